"""What is published here is read by python-tuf, the reference implementation."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tuf.api._payload import Root
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from tests.authoring import GUN, TUF1, Place, meta
from tests.world import MemoryKeys
from trustreg.ceremony import Ceremony
from trustreg.publisher import Content
from trustreg.sign.changes import AddTarget, Delegate, DelegateBins, SetKeys, Witness
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trustreg.metadata import Key

NAMES = [f"registry.example/team/app:{number}.0" for number in range(12)]


class Served(FetcherInterface):
    """The files of a store, as a web server has them."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = urlsplit(url).path.removeprefix("/")
        kind, _, rest = path.partition("/")
        # Delegated roles are kept as they are spelled in a URL.
        found = self.place.store.files.get(rest) if kind == "metadata" else self.place.store.targets.get(unquote(rest))
        if found is None:
            raise DownloadHTTPError(url, 404)
        return iter([found])


class Client:
    """A client of python-tuf that began with the first root."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        folder.mkdir()
        self.first = place.store.files["1.root.json"]

    def updater(self) -> Updater:
        updater = Updater(
            str(self.folder),
            "http://x/metadata/",
            str(self.folder),
            "http://x/targets/",
            fetcher=Served(self.place),
            bootstrap=self.first,
        )
        updater._trusted_set.reference_time = self.place.now
        return updater

    def find(self, name: str) -> tuple[int, str] | None:
        info = self.updater().get_targetinfo(name)
        return (info.length, info.hashes["sha256"]) if info else None


def same(client: Client, names: list[str]) -> None:
    """Require both readers to say the same."""
    for name in names:
        mine = client.place.find(name).meta
        assert client.find(name) == (mine.length, mine.hashes["sha256"].hex())


def make(kind: str) -> LocalSigner:
    if kind == "p384":
        return LocalSigner(ec.generate_private_key(ec.SECP384R1()))
    if kind == "rsa":
        return LocalSigner(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return LocalSigner.generate(kind)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "p384", "rsa"])
def test_keys_of_each_kind(tmp_path: Path, kind: str) -> None:
    """
    Signatures and key ids are those that python-tuf computes.
    """
    place = Place()
    place.publisher().init(GUN, place.now, lambda _: make(kind))
    client = Client(place, tmp_path / "client")
    place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    same(client, ["a"])
    root = Metadata[Root].from_bytes(client.first)
    for key in root.signed.keys.values():
        again = type(key).from_dict(key.keyid, key.to_dict())
        assert again == key
    root.verify_delegate("root", root)


def test_delegations_bins_rotations(tmp_path: Path) -> None:
    """
    A client follows a collection through all that its publishers can do to it.
    """
    place = Place()
    place.init()
    client = Client(place, tmp_path / "client")
    place.publish(*(AddTarget(role="targets", name=name, meta=meta(n)) for n, name in enumerate(NAMES)))
    same(client, NAMES)
    place.publish(DelegateBins(role="targets", bits=3, prefix="bin", keys=(place.key("ecdsa"),)))
    same(client, NAMES)
    place.publish(DelegateBins(role="targets", bits=5, prefix="bin"))
    same(client, NAMES)
    for role in ("root", "targets", "snapshot", "timestamp"):
        old = place.read().root.signed.roles[role].keyids
        for held in [held for held in place.keys.keys() if held.role == role and role in {"snapshot", "timestamp"}]:
            del place.keys.signers[held.id]  # lost, so that it takes two roots
        add = (place.key(role=role), place.key("ecdsa", role=role))
        if role in {"snapshot", "timestamp"}:  # whose old keys are lost: one thing after the other
            place.publish(SetKeys(role=role, add=add, remove=old))
            place.publish(SetKeys(role=role, threshold=2))
        else:
            place.publish(SetKeys(role=role, add=add, remove=old, threshold=2))
        same(client, NAMES)
    assert place.read().root.signed.version == 9
    place.publish(Witness(role="root"), SetKeys(role="bin", add=(place.key(),), threshold=2))
    same(client, NAMES)
    same(Client(place, tmp_path / "another"), NAMES)


def test_a_tree_of_delegations(tmp_path: Path) -> None:
    """
    Patterns, hash prefixes, terminating ones, and names that have to be quoted.
    """
    place = Place()
    place.init()
    client = Client(place, tmp_path / "client")
    digits = hashlib.sha256(b"by hash").hexdigest()
    place.publish(
        Delegate(role="targets", name="last", keys=(place.key(),), patterns=("*/*",)),
        Delegate(role="targets", name="team", keys=(place.key(),), patterns=("team/*",), terminating=True, position=0),
        Delegate(role="team", name="team-sub", keys=(place.key("ecdsa"),), patterns=("team/sub-*",)),
        Delegate(role="targets", name="hashed", keys=(place.key(),), hash_prefixes=(digits[:3],)),
        AddTarget(role="team-sub", name="team/sub-1", meta=meta(1)),
        AddTarget(role="last", name="other/x", meta=meta(2)),
        AddTarget(role="hashed", name="by hash", meta=meta(3)),
    )
    same(client, ["team/sub-1", "other/x", "by hash"])
    assert client.find("team/none") is None


def test_a_ceremony_and_a_file(tmp_path: Path) -> None:
    """
    What several signed is believed, and a file arrives whole.
    """
    place = Place()
    place.init()
    client = Client(place, tmp_path / "client")
    people = [MemoryKeys(), MemoryKeys()]
    keys: tuple[Key, ...] = tuple(
        place.key(kind, keys) for kind, keys in zip(("ed25519", "ecdsa"), people, strict=True)
    )
    publisher = place.publisher()
    ceremony = publisher.prepare(GUN, place.now, [SetKeys(role="targets", add=keys, threshold=3)])
    for mine in people:
        ceremony = Ceremony.read(place.publisher(mine).co_sign(ceremony).spell(), TUF1)
    publisher.finish(GUN, ceremony, place.now)
    data = b"hello"
    file = Content(
        name="docs/read me.txt", length=5, sha256=hashlib.sha256(data).digest(), open=lambda: io.BytesIO(data)
    )
    changes = place.publisher().add_files(GUN, [file], place.now)
    ceremony = place.publisher().prepare(GUN, place.now, changes, whole=True)
    for mine in people:
        ceremony = place.publisher(mine).co_sign(ceremony)
    place.publisher(MemoryKeys()).finish(GUN, ceremony, place.now)
    updater = client.updater()
    info = updater.get_targetinfo("docs/read me.txt")
    assert info is not None
    updater.download_target(info, str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == data
