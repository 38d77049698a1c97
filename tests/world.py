"""The world in memory: a trust server that judges as the real one does, a registry, a cache, keys, a stage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trustreg.client import Site, Verifier
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import ConflictError, ExistsError, NotInRegistryError, OfflineError, PublishRefusedError
from trustreg.names import Digest, Gun, Reference
from trustreg.ports import HeldKey, Manifest
from trustreg.publisher import Publisher
from trustreg.server import (
    ChangeRecord,
    Collection,
    File,
    RefusedError,
    ServerKey,
    TrustServer,
    Update,
    VersionTakenError,
)
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner, Signer
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Keep, Memory, Want
from trustreg.verify.workflow import RELEASED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trustreg.sign.changes import Change

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
GUN = Gun("registry.example/team/app")
IMAGE = Reference.parse("registry.example/team/app:1.0")
DIALECT = Notary1()


class MemoryStore:
    """A ``server.Store`` in dictionaries."""

    def __init__(self) -> None:
        self.versions: dict[tuple[Gun, str], list[File]] = {}
        self.present: dict[Gun, frozenset[str]] = {}
        self.revisions: dict[Gun, int] = {}
        self.held: dict[Gun, list[ServerKey]] = {}
        self.used: set[bytes] = set()

    def find(self, gun: Gun, role: str, *, version: int | None = None, sha256: str | None = None) -> File | None:
        files = self.versions.get((gun, role), [])
        if version is not None:
            return next((file for file in files if file.version == version), None)
        if sha256 is not None:
            return next((file for file in files if file.sha256 == sha256), None)
        return files[-1] if files and role in self.present[gun] else None

    def collection(self, gun: Gun) -> Collection:
        mine = {role: files for (owner, role), files in self.versions.items() if owner == gun}
        present = self.present.get(gun, frozenset())
        return Collection(
            revision=self.revisions.get(gun, 0),
            files={role: files[-1] for role, files in mine.items() if role in present},
            newest={role: files[-1].version for role, files in mine.items()},
            keys=tuple(self.held.get(gun, ())),
        )

    def commit(self, gun: Gun, update: Update, revision: int) -> bool:
        if self.revisions.get(gun, 0) != revision:
            return False
        for file in update.files:
            self.versions.setdefault((gun, file.role), []).append(file)
        self.present[gun], self.revisions[gun] = update.current, revision + 1
        self.used |= update.used
        return True

    def delete(self, gun: Gun, now: datetime) -> None:
        del now
        self.versions = {key: files for key, files in self.versions.items() if key[0] != gun}
        self.held.pop(gun, None)

    def keys(self, gun: Gun) -> tuple[ServerKey, ...]:
        return tuple(self.held.get(gun, ()))

    def unused_key(self, gun: Gun, role: str, make: Callable[[], LocalSigner]) -> LocalSigner:
        for key in self.held.get(gun, ()):
            if key.role == role and key.signer.public not in self.used:
                return key.signer
        self.held.setdefault(gun, []).append(ServerKey(role=role, signer=make()))
        return self.held[gun][-1].signer

    def changes(
        self, gun: Gun | None, *, after: int | None = None, before: int | None = None, limit: int
    ) -> list[ChangeRecord]:
        del gun, after, before, limit
        return []


@dataclass
class MemoryServer:
    """A ``ports.TrustServer`` for one collection; faults can be put in its way."""

    gun: Gun
    server: TrustServer
    now: Callable[[], datetime]
    where: str = "https://notary.example"
    offline: bool = False
    lose_answer: bool = False
    before_publish: Callable[[], None] | None = None
    instead: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetch(self, want: Want) -> bytes | None:
        if self.offline:
            raise OfflineError(self.where, "connection refused")
        self.asked.append(want.path)
        if want.path in self.instead:
            return self.instead[want.path]
        stem = want.path.removesuffix(".json")
        head, _, rest = stem.partition(".")
        if head.isdigit():
            file = self.server.past(self.gun, rest, version=int(head))
        elif rest:
            file = self.server.past(self.gun, head, sha256=rest)
        else:
            file = self.server.current(self.gun, stem, self.now())
        return file.raw if file else None

    def publish(self, files: Mapping[str, bytes]) -> None:
        if self.offline:
            raise OfflineError(self.where, "connection refused")
        if self.before_publish:
            before, self.before_publish = self.before_publish, None
            before()
        try:
            self.server.accept(self.gun, files, self.now())
        except VersionTakenError as exc:
            raise ConflictError(str(self.gun), str(exc)) from exc
        except RefusedError as exc:
            raise PublishRefusedError(str(self.gun), exc.code, str(exc)) from exc
        if self.lose_answer:
            raise OfflineError(self.where, "connection reset")

    def server_key(self, role: str) -> bytes:
        return self.server.key(self.gun, role)

    def rotate_server_key(self, role: str) -> bytes:
        return self.server.next_key(self.gun, role)

    def delete(self) -> None:
        self.server.delete(self.gun, self.now())


class MemoryCache:
    """A ``ports.Cache``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.remembered = Memory()

    def memory(self) -> Memory:
        return self.remembered

    def recall(self, role: str) -> bytes | None:
        return self.files.get(role)

    def keep(self, keep: Keep) -> None:
        self.files.update(keep.files)
        self.remembered = keep.memory


class MemoryKeys:
    """A ``ports.KeyStore``."""

    def __init__(self) -> None:
        self.signers: dict[str, tuple[HeldKey, Signer]] = {}

    def keys(self) -> tuple[HeldKey, ...]:
        return tuple(held for held, _ in self.signers.values())

    def open(self, held: HeldKey) -> Signer:
        return self.signers[held.id][1]

    def add(self, signer: Signer, role: str, gun: str | None) -> HeldKey:
        keyid = DIALECT.key(signer.kind, signer.public).id
        if keyid in self.signers:
            raise ExistsError(f"key {keyid}")
        held = HeldKey(id=keyid, kind=signer.kind, role=role, gun=gun, public=signer.public, where="memory")
        self.signers[keyid] = held, signer
        return held

    def remove(self, held: HeldKey) -> None:
        del self.signers[held.id]


class MemoryStage:
    """A ``ports.Stage``."""

    def __init__(self) -> None:
        self.waiting: dict[str, Change] = {}

    def changes(self) -> tuple[tuple[str, Change], ...]:
        return tuple(self.waiting.items())

    def add(self, change: Change) -> None:
        self.waiting[str(len(self.waiting))] = change

    def clear(self, names: Iterable[str]) -> None:
        for name in names:
            del self.waiting[name]


class MemoryRegistry:
    """A ``ports.Registry``."""

    def __init__(self) -> None:
        self.tags: dict[str, bytes] = {}

    def push(self, reference: Reference, raw: bytes) -> Digest:
        self.tags[f"{reference.repository}:{reference.tag}"] = raw
        return Digest("sha256", hashlib.sha256(raw).hexdigest())

    def manifest(self, reference: Reference) -> Manifest:
        raw = self.tags.get(f"{reference.repository}:{reference.tag}")
        if raw is None:
            raise NotInRegistryError(str(reference))
        digest = Digest("sha256", hashlib.sha256(raw).hexdigest())
        return Manifest(media_type="application/vnd.oci.image.manifest.v1+json", digest=digest, raw=raw)


class World:
    """A publisher, a reader and what lies between them. ``now`` can be moved."""

    def __init__(self, gun: Gun = GUN) -> None:
        self.gun, self.now = gun, NOW
        self.store = MemoryStore()
        self.server = MemoryServer(gun, TrustServer(self.store), lambda: self.now)
        self.registry = MemoryRegistry()
        self.keys, self.stage = MemoryKeys(), MemoryStage()
        self.publisher_cache, self.cache = MemoryCache(), MemoryCache()

    def publisher(self, keys: MemoryKeys | None = None, stage: MemoryStage | None = None) -> Publisher:
        """Return a publisher; by default the one whose keys are in ``keys``."""
        mine = stage or self.stage
        site = Site(gun=self.gun, dialect=DIALECT, repository=self.server, cache=self.publisher_cache)
        return Publisher(lambda _: site, keys or self.keys, lambda _: mine, certify)

    def verifier(
        self,
        pins: Pins | None = None,
        grace: timedelta = timedelta(0),
        max_age: timedelta = timedelta(0),
        roles: tuple[str, ...] = RELEASED,
        cache: MemoryCache | None = None,
    ) -> Verifier:
        """Return a reader."""
        site = Site(
            gun=self.gun,
            dialect=DIALECT,
            repository=self.server,
            cache=cache or self.cache,
            pins=pins or Pins(),
            roles=roles,
            offline_grace=grace,
        )
        return Verifier(lambda _: site, self.registry, max_age)

    def init(self, *, hold_snapshot: bool = False) -> None:
        """Begin the collection with fresh keys."""
        self.publisher().init(self.gun, self.now, make, hold_snapshot=hold_snapshot)

    def sign(self, image: Reference = IMAGE, raw: bytes = b"{}") -> Digest:
        """Push *raw* under the tag of *image*, sign and publish it."""
        digest = self.registry.push(image, raw)
        publisher = self.publisher()
        publisher.publish(self.gun, self.now, publisher.additions(image, self.registry, self.now))
        return digest


def make(role: str) -> Signer:
    """Make the key that is usual for *role*."""
    return LocalSigner.generate("ecdsa" if role == "root" else "ed25519")


def certify(signer: Signer, gun: Gun, now: datetime) -> bytes:
    """Make a root certificate."""
    return root_certificate(signer, gun, now, serial=1)
