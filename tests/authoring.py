"""A collection in a store in memory, with publishers and readers; a store that dies, and turns that are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tests.world import NOW, MemoryCache, MemoryKeys, MemoryRegistry, MemoryStage
from trustreg.client import Site, Verifier, drive
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import OfflineError, TakenError
from trustreg.metadata import FileMeta, Key
from trustreg.names import Gun, Reference
from trustreg.publisher import Publisher
from trustreg.sign.signer import LocalSigner
from trustreg.verify.pinning import Pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from trustreg.ports import HeldKey, Write
    from trustreg.sign.changes import Change
    from trustreg.sign.draft import Lifetimes
    from trustreg.sign.signer import Signer
    from trustreg.verify.requests import Want
    from trustreg.verify.workflow import Found, Workflow

GUN = Gun("registry.example/team/app")
TUF1 = Tuf1()


class Died(Exception):  # noqa: N818 # nobody is to catch it
    """The publisher was killed."""


class MemoryPlace:
    """A ``ports.Store`` in a dictionary. ``step`` is called before each write; what it raises ends the publication."""

    where = "the store"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.targets: dict[str, bytes] = {}
        self.step: Callable[[str], None] = lambda _: None
        self.asked: list[str] = []

    def fetch(self, want: Want) -> bytes | None:
        self.asked.append(want.path)
        return self.files.get(want.path)

    def write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self.step(write.path)
            there = self.files.get(write.path)
            if there == write.data:
                continue
            if there != write.was:
                raise TakenError(self.where, write.path)
            self.files[write.path] = write.data

    def names(self) -> Iterator[str]:
        return iter(list(self.files))

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.files.pop(path, None)

    def upload(self, path: str, source: BinaryIO, length: int) -> None:
        content = source.read(length)
        if len(content) < length:
            raise OfflineError(self.where, "it ended early")
        self.targets[path] = content


class Place:
    """A collection in a store: its keys, its publishers and its readers. ``now`` can be moved."""

    def __init__(self, gun: Gun = GUN, lifetimes: Lifetimes | None = None) -> None:
        self.gun, self.now, self.lifetimes = gun, NOW, lifetimes
        self.store, self.registry = MemoryPlace(), MemoryRegistry()
        self.keys, self.stage = MemoryKeys(), MemoryStage()
        self.cache = MemoryCache()

    def site(self, cache: MemoryCache | None = None, pins: Pins | None = None) -> Site:
        return Site(
            gun=self.gun, dialect=TUF1, repository=self.store, cache=cache or MemoryCache(), pins=pins or Pins()
        )

    def publisher(self, keys: MemoryKeys | None = None, cache: MemoryCache | None = None) -> Publisher:
        """Return a publisher who knows nothing yet; by default the one with all keys."""
        site = self.site(cache)
        return Publisher(lambda _: site, keys or self.keys, lambda _: self.stage, no_certificate, self.lifetimes)

    def init(self, kind: str = "ed25519") -> None:
        self.publisher().init(self.gun, self.now, lambda _: LocalSigner.generate(kind))

    def publish(self, *changes: Change) -> dict[str, int]:
        return dict(self.publisher().publish(self.gun, self.now, changes).versions)

    def key(self, kind: str = "ed25519", keys: MemoryKeys | None = None, role: str = "targets") -> Key:
        """Return a new key, whose private half is here."""
        signer = LocalSigner.generate(kind)
        (self.keys if keys is None else keys).add(signer, role, None)
        return TUF1.key(signer.kind, signer.public)

    def only(self, *roles: str, also: Iterable[Key] = ()) -> MemoryKeys:
        """Return a key store with the keys that were made for *roles*, and *also* these."""
        mine, public = MemoryKeys(), {key.public for key in also}
        mine.signers = {i: (h, s) for i, (h, s) in self.keys.signers.items() if h.role in roles or h.public in public}
        return mine

    def held(self, role: str) -> HeldKey:
        return next(held for held in self.keys.keys() if held.role == role)

    def read(self, now: datetime | None = None, cache: MemoryCache | None = None, pins: Pins | None = None) -> Workflow:
        """Read the whole collection as somebody does who knows no more than *cache*."""
        site = self.site(cache, pins)
        workflow = site.workflow(now or self.now)
        drive(workflow.refresh(), self.store, site.cache)
        for failure in drive(workflow.delegated(), self.store, site.cache).values():
            raise failure
        return workflow

    def find(self, name: str) -> Found:
        """Look *name* up as a reader does."""
        found = self.look(name)
        assert found, f"{name} is not found"
        return found

    def look(self, name: str) -> Found | None:
        """Look *name* up as a reader does; ``None`` where it is not found."""
        site = self.site()
        workflow = site.workflow(self.now)
        drive(workflow.refresh(), self.store, site.cache)
        return drive(workflow.find(name), self.store, site.cache)

    def verifier(self) -> Verifier:
        site = self.site()
        return Verifier(lambda _: site, self.registry)

    def sign(self, image: Reference, raw: bytes = b"{}") -> None:
        self.registry.push(image, raw)
        publisher = self.publisher()
        publisher.publish(image.gun, self.now, publisher.additions(image, self.registry, self.now))


def dying_before(number: int) -> Callable[[str], None]:
    """Return a step that lets *number* writes pass."""
    left = [number]

    def step(path: str) -> None:
        if not left[0]:
            raise Died(path)
        left[0] -= 1

    return step


def meta(number: int = 0) -> FileMeta:
    return FileMeta(length=number, hashes={"sha256": number.to_bytes(32, "big")})


def no_certificate(signer: Signer, gun: Gun, now: datetime) -> bytes:
    del signer, gun, now
    raise AssertionError("TUF has no certificates")
