"""``trustreg signatures``: what it lists, copies and removes, and what it leaves alone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

from scripts.push_image import push
from tests.cli.conftest import SCHEMAS
from tests.peers.gpg import gpg_home
from tests.peers.images import image, index
from trustreg.dialects import simple
from trustreg.names import Digest, Reference
from trustreg.ports import Detached
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.images import Image
    from tests.cli.conftest import Desk
    from tests.peers.gpg import Gpg

NAME = "registry.example/team/app:1.0"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gpg_home() as made:
        made.generate("signer")
        yield made


class Bench:
    """A desk with an index whose signatures are in several places: the tag, referrers, and a folder."""

    def __init__(self, desk: Desk, folder: Path, gpg: Gpg) -> None:
        self.desk, self.folder, self._gpg = desk, folder, gpg
        self.index = desk.push("1.0", index(desk.path))
        self.image = f"{desk.gun}:1.0"
        self._wiring = Wiring({}, {"HOME": str(folder)}, lambda: datetime.now(UTC))

    def add(self, place: str, *, of: Image | None = None, signature: bytes = b"s", name: str = NAME) -> None:
        """Sign the index, or the image *of*, by a plain key."""
        digest = Digest.parse((of or self.index).digest)
        payload = simple.write(simple.Payload(reference=name, digest=digest, creator="c", timestamp=0), simple.COSIGN)
        named = Reference.parse(self.image)
        made = Detached(where="", payload=payload, signature=signature)
        self._wiring.signature_place(named, place).add(named, digest, made)

    def put(self, raw: bytes | None = None) -> None:
        """Sign the index by GPG, in the folder; or put something else there."""
        digest = Digest.parse(self.index.digest)
        payload = simple.write(simple.Payload(reference=NAME, digest=digest, timestamp=0))
        below = self.folder / f"{self.desk.path}@sha256={digest.hex}"
        below.mkdir(parents=True, exist_ok=True)
        raw = self._gpg.sign(payload, "signer") if raw is None else raw
        (below / f"signature-{len(list(below.iterdir())) + 1}").write_bytes(raw)

    def listed(self, *options: str) -> Any:
        return self.desk.json("signatures", "signatures", "list", *options, self.image)

    def found(self, *options: str) -> list[tuple[str, str]]:
        return [(one["kind"], one["place"].partition(":")[0]) for one in self.listed(*options)["signatures"]]


@pytest.fixture
def bench(
    desks: Callable[[str], Desk],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    gpg: Gpg,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    monkeypatch.setenv("TRUSTREG_SIGNATURES", f"tag lookaside:{tmp_path}/signatures referrers")
    path = re.sub(r"[^a-z0-9]+", "-", request.node.name).strip("-")
    return Bench(desks(f"signatures/{path}"), tmp_path / "signatures", gpg)


def test_claims_are_listed_as_claims(bench: Bench) -> None:
    """
    Of the index and of each image in it, in every place, by id; and what is no signature is said to be none.
    """
    bench.add("tag")
    bench.add("referrers", of=bench.index.images[1])
    bench.put()
    bench.put(b"rubbish")
    said = bench.desk.run("signatures", "list", bench.image)
    rows = [line.split() for line in said.lines]
    heads = [row for row in rows if "@sha256:" in row[0]]

    assert said.code == 0
    assert [row[1:] for row in heads] == [[], ["for", "linux/amd64:", "no", "signatures"], ["for", "linux/arm64"]]
    table = [row for row in rows if row[0] not in {"ID", *(head[0] for head in heads)}]
    where = f"{bench.folder}/{bench.desk.path}@sha256={bench.index.digest[7:]}/signature-"
    assert [row[1:4] for row in table] == [
        ["plain", "tag", "-"],
        ["gpg", f"lookaside:{bench.folder}", table[1][3]],
        ["gpg?", f"lookaside:{bench.folder}", "-"],
        ["plain", "referrers", "-"],
    ]
    assert re.fullmatch("[0-9A-F]{16}", table[1][3])
    assert table[0][4:] == [NAME, "c", "1970-01-01T00:00:00Z"]
    assert "nothing of this was verified" in said.err
    assert f"{where}2 is no signature" in said.err
    document = bench.listed()
    assert [(one["kind"], bool(one["claims"]), bool(one["error"])) for one in document["signatures"]] == [
        ("plain", True, False),
        ("gpg", True, False),
        ("gpg", False, True),
        ("plain", True, False),
    ]
    assert {one["result"] for one in document["signatures"]} == {"found"}
    assert bench.found("--index-only", "--from", "referrers") == []


def test_a_place_that_does_not_answer_is_not_one_without_signatures(bench: Bench) -> None:
    """
    The others are listed all the same.
    """
    bench.add("tag")
    (bench.folder / f"{bench.desk.path}@sha256={bench.index.digest[7:]}" / "signature-1").mkdir(parents=True)
    said = bench.desk.run("signatures", "list", "--format", "json", bench.image)
    document = json.loads(said.out)
    Draft202012Validator(json.loads((SCHEMAS / "signatures.schema.json").read_text())).validate(document)

    assert said.code == 3
    assert len(document["signatures"]) == 1
    assert [one["error"]["code"] for one in document["failed"]] == ["file"]
    assert bench.desk.run("signatures", "list", f"{bench.desk.gun}:none").code == 1


def test_to_a_copy_of_the_image(bench: Bench) -> None:
    """
    Every signature once, to the usual place for its kind, as it is; only if it is the same image.
    """
    for place in ("tag", "referrers"):
        bench.add(place)
    bench.add("tag", of=bench.index.images[0])
    copy = f"{bench.desk.gun}-copy:2.0"
    missing = bench.desk.run("signatures", "copy", bench.image, copy)
    push(image("other"), bench.desk.registry.url, f"{bench.desk.path}-copy", "2.0")
    other = bench.desk.run("signatures", "copy", bench.image, copy)
    push(bench.index, bench.desk.registry.url, f"{bench.desk.path}-copy", "2.0")

    assert (missing.code, other.code) == (1, 1)
    first = bench.desk.json("signatures", "signatures", "copy", bench.image, copy)
    assert [(one["result"], one["claims"]["name"]) for one in first["signatures"]] == [("copied", NAME)] * 2
    assert all(one["to"].startswith(f"{bench.desk.gun}-copy:sha256-") for one in first["signatures"])
    again = bench.desk.do("signatures", "copy", bench.image, copy)
    assert [line.split()[1:3] for line in again.lines] == [["there", "already:"]] * 2
    listed = bench.desk.json("signatures", "signatures", "list", copy)
    assert {one["place"] for one in listed["signatures"]} == {"tag"}


def test_to_another_place(bench: Bench) -> None:
    """
    What has no place there, and what cannot be read, is left, and said to be.
    """
    bench.add("tag")
    bench.put()
    bench.put(b"rubbish")
    said = bench.desk.run("signatures", "copy", "--to", "referrers", bench.image)

    assert said.code == 1
    assert [line.split()[1] for line in said.lines] == ["copied:", "copied:"]
    assert "signature-2 is not copied" in said.err
    assert sorted(bench.found("--from", "referrers")) == [("gpg", "referrers"), ("plain", "referrers")]
    only = bench.desk.run("signatures", "copy", "--from", "referrers", "--to", "tag", bench.image)
    assert (only.code, only.out.count("there already")) == (1, 1)
    assert "no GPG signatures are kept there" in only.err
    nowhere = bench.desk.run("signatures", "copy", "--to", "extension", bench.image)
    assert nowhere.code == 3
    assert "does not offer to keep signatures" in nowhere.err
    empty = bench.desk.run("signatures", "copy", "--from", "extension", "--to", "tag", bench.image)
    assert (empty.code, "has no signatures" in empty.err) == (0, True)
    assert bench.desk.run("signatures", "copy", bench.image).code == 2
    for option in ("--from", "--to"):
        wrong = bench.desk.run("signatures", "copy", option, "s3://bucket", "registry.invalid/app")
        assert (wrong.code, "is no place of signatures" in wrong.err) == (2, True)


def test_removed_by_id(bench: Bench) -> None:
    """
    From wherever it is, or from one place; nothing else.
    """
    for place in ("tag", "referrers"):
        bench.add(place)
    bench.add("tag", signature=b"another")
    first, second = (one["id"] for one in bench.listed("--from", "tag")["signatures"])
    for wrong in ("", "zz", first[:8] + "zz"):
        assert bench.desk.run("signatures", "remove", bench.image, wrong).code == 2
    one = bench.desk.do("signatures", "remove", "--from", "tag", bench.image, first[:12].upper())
    assert one.out.startswith(f"{first[:12]}  removed from {bench.desk.gun}:sha256-")
    assert bench.found() == [("plain", "tag"), ("plain", "referrers")]
    document = bench.desk.json("signatures", "signatures", "remove", bench.image, first[:12], second)
    assert [row["result"] for row in document["signatures"]] == ["removed", "removed"]
    assert bench.found() == []
    assert bench.desk.run("signatures", "remove", bench.image).code == 2
    assert bench.desk.run("signatures", "remove", "--all", bench.image, first).code == 2


def test_an_ambiguous_id_removes_nothing(bench: Bench) -> None:
    """
    Say more of it.
    """
    for number in range(17):
        bench.add("tag", signature=b"%d" % number)
    ids = [one["id"] for one in bench.listed()["signatures"]]
    twice = next(one[0] for one in ids if [other[0] for other in ids].count(one[0]) > 1)
    said = bench.desk.run("signatures", "remove", bench.image, twice)

    assert (said.code, "several signatures begin so" in said.err) == (2, True)
    assert len(bench.found()) == 17


def test_all_of_them_but_what_cannot_be_read(bench: Bench) -> None:
    """
    After a yes; rubbish stays, and is named.
    """
    bench.add("tag")
    bench.add("tag", of=bench.index.images[0])
    bench.put()
    bench.put(b"rubbish")
    asked = bench.desk.run("signatures", "remove", "--all", bench.image)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    said = bench.desk.run("signatures", "remove", "--all", "--yes", bench.image)

    assert (said.code, said.out.count("removed from")) == (0, 3)
    assert "stays, as it cannot be read" in said.err
    assert [(one["kind"], one["claims"]) for one in bench.listed()["signatures"]] == [("gpg", None)]
    document = bench.desk.json("signatures", "signatures", "remove", "--all", "--yes", bench.image)
    assert [row["result"] for row in document["signatures"]] == ["left"]
    nothing = bench.desk.run("signatures", "remove", "--all", "--from", "tag", bench.image)
    assert (nothing.code, nothing.out, "has no signatures" in nothing.err) == (0, "", True)


def test_what_the_registry_has_no_more_can_be_cleared(bench: Bench) -> None:
    """
    By its digest.
    """
    bench.put()
    gone = f"{bench.desk.gun}@sha256:{'ab' * 32}"
    folder = bench.folder / f"{bench.desk.path}@sha256={'ab' * 32}"
    next(bench.folder.rglob("signature-1")).parent.rename(folder)

    assert bench.desk.json("signatures", "signatures", "list", gone)["signatures"][0]["error"]
    assert bench.desk.run("signatures", "list", f"{gone.replace('@', ':1.0@')}").code == 1


def test_short_names(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What a name is short for is said, unless it is what it would be anyway.
    """
    conf = tmp_path / "registries.conf"
    conf.write_text(f'[aliases]\nbench = "{bench.desk.gun}"\nalpine = "docker.io/library/alpine"\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    said = bench.desk.run("signatures", "list", "bench:1.0")

    assert (said.code, said.out.count(f"{bench.desk.gun}@sha256:")) == (0, 3)
    assert said.err == f"trustreg: bench:1.0 is short for {bench.image}, says {conf}\n"
    assert bench.desk.do("config", "show", "alpine").out.startswith("docker.io/library/alpine\n")
    assert bench.desk.run("config", "show", "bench").out.startswith(f"{bench.desk.gun}\n")
    conf.write_text("nonsense")
    assert bench.desk.run("signatures", "list", "bench:1.0").code == 2
