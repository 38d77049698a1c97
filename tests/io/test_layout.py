"""An OCI layout is what its digests say, or it is refused before anything of it is sent."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.peers.images import OCI, image, index, write_layout
from trustreg.errors import ContentError, FileError, FormatError, TooLargeError, TrustregError
from trustreg.io.layout import Layout
from trustreg.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trustreg.io.pushing import Blob, Pusher


class Sent:
    """A repository that writes down what it gets, and looks at it as registries do."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.order: list[str] = []

    def head(self, blob: Blob) -> Any:
        return type("Reply", (), {"status": 200 if str(blob.digest) in self.there else 404})

    def push(self, blob: Blob, pieces: Callable[[], Iterator[bytes]]) -> None:
        raw = b"".join(pieces())
        assert (hashlib.sha256(raw).hexdigest(), len(raw)) == (blob.digest.hex, blob.size)
        self._take(str(blob.digest), raw)

    def put(self, name: str, raw: bytes, media_type: str) -> None:
        content = json.loads(raw)
        assert media_type == content.get("mediaType", media_type)
        parts = [*content.get("manifests", ()), *content.get("layers", ())]
        assert {part["digest"] for part in parts if "urls" not in part} <= self.there.keys(), "children come first"
        self._take(name, raw)

    def _take(self, name: str, raw: bytes) -> None:
        self.there[name] = raw
        self.order.append(name)


def pushed(folder: Path, digest: str, sent: Sent | None = None) -> Sent:
    """Push an image of the layout."""
    layout, sent = Layout(folder), sent or Sent()
    part = layout.image(Digest.parse(digest))
    assert part
    layout.push(part, "1.0", cast("Pusher", sent))
    return sent


def blob(folder: Path, raw: bytes | dict[str, Any]) -> dict[str, Any]:
    """Put something into the layout, and return what refers to it."""
    raw = json.dumps(raw).encode() if isinstance(raw, dict) else raw
    digest = hashlib.sha256(raw).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(raw)
    return {"mediaType": "x", "digest": f"sha256:{digest}", "size": len(raw)}


def manifest(folder: Path, **members: Any) -> str:
    """Put a manifest into the layout, and return its digest."""
    usual = {"schemaVersion": 2, "mediaType": OCI.manifest, "config": blob(folder, b"{}"), "layers": []}
    made = {name: value for name, value in {**usual, **members}.items() if value is not None}
    return str(blob(folder, made)["digest"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A layout with one image for two platforms."""
    write_layout(index("many"), tmp_path / "layout")
    return tmp_path / "layout"


def test_what_is_referred_to_comes_first(folder: Path) -> None:
    """Blobs, then the manifests of platforms by their digests, then the index by its tag; what is there stays."""
    many = index("many")

    sent = pushed(folder, many.digest)

    assert sent.order[-1] == "1.0"
    assert sent.there["1.0"] == many.manifest.raw
    assert {part.digest for part in many.images} < sent.there.keys()
    assert pushed(folder, many.digest, sent).order[-1] == "1.0"
    assert len(sent.order) == len({*sent.order}) + 3  # manifests are put again, blobs are not
    assert Layout(folder).names() == {Digest.parse(many.digest): []}
    assert Layout(folder).image(Digest.parse(image("other").digest)) is None


def test_what_lies_elsewhere_is_not_looked_for(folder: Path) -> None:
    """Layers with URLs of their own are in no registry."""
    layer = {"mediaType": "foreign", "digest": f"sha256:{'1' * 64}", "size": 9, "urls": ["https://cdn.example/x"]}

    assert pushed(folder, manifest(folder, layers=[layer])).there["1.0"]


def spoil(path: Path, raw: bytes | None, make: Callable[[Path], object] = lambda _: None) -> None:
    path.unlink()
    make(path)
    if raw is not None:
        path.write_bytes(raw)


BLOB = image("one").blobs[1]


@pytest.mark.parametrize(
    ("spoilt", "kind"),
    [
        (lambda path: spoil(path, None), FileError),
        (lambda path: spoil(path, BLOB.raw[:-1]), ContentError),
        (lambda path: spoil(path, BLOB.raw + b"x" * 100), ContentError),
        (lambda path: spoil(path, bytes(len(BLOB.raw))), ContentError),
        (lambda path: spoil(path, None, os.mkfifo), FileError),
        (lambda path: spoil(path, None, os.mkdir), FileError),
    ],
)
def test_a_spoilt_blob_is_not_sent(tmp_path: Path, spoilt: Callable[[Path], object], kind: type[TrustregError]) -> None:
    """Not a byte of it, and no manifest that speaks of it."""
    one = image("one")
    write_layout(one, tmp_path / "layout")
    spoilt(tmp_path / "layout/blobs/sha256" / BLOB.hex)
    sent = Sent()

    with pytest.raises(kind):
        pushed(tmp_path / "layout", one.digest, sent)

    assert not {"1.0", BLOB.digest} & sent.there.keys()


def nested(folder: Path, depth: int) -> str:
    """Return an index in an index in an index…"""
    digest = manifest(folder)
    for _ in range(depth):
        entry = {"mediaType": OCI.index, "digest": digest, "size": _size(folder, digest)}
        made = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": [entry]}
        digest = str(blob(folder, made)["digest"])
    return digest


def _size(folder: Path, digest: str) -> int:
    return (folder / "blobs/sha256" / digest.removeprefix("sha256:")).stat().st_size


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda folder: str(blob(folder, b"[]")["digest"]), FormatError),
        (lambda folder: str(blob(folder, b"\xff")["digest"]), FormatError),
        (lambda folder: str(blob(folder, b"{}")["digest"]), FormatError),
        (lambda folder: manifest(folder, mediaType="text/html"), FormatError),
        (lambda folder: manifest(folder, mediaType=5), FormatError),
        (lambda folder: manifest(folder, layers=None), FormatError),
        (lambda folder: manifest(folder, layers={"a": 1}), FormatError),
        (lambda folder: manifest(folder, layers=[5]), FormatError),
        (lambda folder: manifest(folder, layers=[{"digest": "../../etc/passwd", "size": 1}]), FormatError),
        (lambda folder: manifest(folder, layers=[{"digest": f"sha256:{'0' * 64}", "size": -1}]), FormatError),
        (lambda folder: manifest(folder, layers=[{"digest": f"sha256:{'0' * 64}", "size": True}]), FormatError),
        (lambda folder: manifest(folder, config=None, layers=[]), None),
        (lambda folder: manifest(folder, manifests=[]), FormatError),
        (lambda folder: manifest(folder, layers=[blob(folder, b"x")] * 1025), TooLargeError),
        (lambda folder: nested(folder, 4), None),
        (lambda folder: nested(folder, 5), TooLargeError),
        (lambda folder: nested(folder, 300), TooLargeError),
    ],
)
def test_odd_manifests(folder: Path, made: Callable[[Path], str], kind: type[TrustregError] | None) -> None:
    """Each is refused with its reason, whoever signed it."""
    digest = made(folder)
    if kind is None:
        pushed(folder, digest)
        return
    with pytest.raises(kind):
        pushed(folder, digest)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("index.json", b"[]"),
        ("index.json", b'{"manifests": 5}'),
        ("index.json", b'{"manifests": [{"digest": 5}]}'),
        ("index.json", b'{"manifests": [5]}'),
        ("index.json", None),
        ("oci-layout", None),
    ],
)
def test_what_is_no_layout(folder: Path, name: str, raw: bytes | None) -> None:
    """A folder that is something else, or a broken one."""
    (folder / name).unlink()
    if raw is not None:
        (folder / name).write_bytes(raw)

    with pytest.raises((FileError, FormatError)):
        Layout(folder)


def test_names_are_only_names(folder: Path) -> None:
    """Annotations may be anything; what is listed under several names has all of them."""
    entry = json.loads((folder / "index.json").read_text())["manifests"][0]
    named: list[Any] = [{"org.opencontainers.image.ref.name": name} for name in ("a", "b", 5)]
    entries = [{**entry, "annotations": notes} for notes in [*named, 5, None]]
    (folder / "index.json").write_text(json.dumps({"manifests": entries}))

    assert Layout(folder).names() == {Digest.parse(entry["digest"]): ["a", "b"]}
