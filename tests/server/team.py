"""
The publishers of one collection, and whatever they could upload: right by default, wrong where a test says how.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, cast

from trustreg.dialects.notary1 import Notary1
from trustreg.metadata import Delegation, FileMeta, Key, Role, Root, Signed, Snapshot, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection, File, ServerKey, Update
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GUN = Gun("registry.example/team/app")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DIALECT = Notary1()
V1 = FileMeta(length=6, hashes={"sha256": bytes(32)})


@cache
def signer(name: str) -> LocalSigner:
    """Return the private key called *name*, the same each time."""
    return LocalSigner.generate("ecdsa" if name.startswith(("root", "timestamp")) else "ed25519")


@cache
def listed(name: str, gun: Gun = GUN) -> Key:
    """Return the public key called *name* as metadata lists it: a certificate for *gun* where it is a root's."""
    private = signer(name)
    if name.startswith("root"):
        return DIALECT.key("ecdsa", certificates=(root_certificate(private, gun, NOW, 1),))
    return DIALECT.key(private.kind, private.public)


def file_meta(raw: bytes) -> FileMeta:
    """Return how a snapshot or timestamp lists *raw*."""
    return DIALECT.listed(raw, 0)


def sign(signed: Signed, *by: str) -> bytes:
    """Return *signed* as a file, signed by the keys called so."""
    payload = DIALECT.payload(signed)
    return DIALECT.encode(payload, [signer(name).sign(payload, listed(name).id) for name in by])


@dataclass
class Team:
    """
    Who may sign, by the names of the keys; ``managed``: the snapshot is the server's to sign.

    The server's keys are called ``timestamp`` and ``snapshot of the server``.
    """

    root_keys: tuple[str, ...] = ("root",)
    targets_keys: tuple[str, ...] = ("targets",)
    managed: bool = False
    timestamp_keys: tuple[str, ...] = (TIMESTAMP,)
    delegations: dict[str, tuple[Delegation, ...]] = field(default_factory=dict)

    @property
    def snapshot_keys(self) -> tuple[str, ...]:
        return ("snapshot of the server",) if self.managed else (SNAPSHOT,)

    def root(
        self,
        version: int = 1,
        *,
        by: Sequence[str] | None = None,
        threshold: int = 1,
        expires: datetime = NOW + timedelta(days=3650),
        certificates: Mapping[str, Key] | None = None,
    ) -> bytes:
        """Return a root that gives each role to the keys of this team."""
        names = {
            ROOT: self.root_keys,
            TARGETS: self.targets_keys,
            SNAPSHOT: self.snapshot_keys,
            TIMESTAMP: self.timestamp_keys,
        }
        keys = {name: (certificates or {}).get(name) or listed(name) for many in names.values() for name in many}
        signed = Root(
            version=version,
            expires=expires,
            keys={key.id: key for key in keys.values()},
            roles={
                role: Role(
                    name=role, keyids=tuple(keys[n].id for n in many), threshold=threshold if role == ROOT else 1
                )
                for role, many in names.items()
            },
            certified=True,
        )
        payload = DIALECT.payload(signed)
        by = self.root_keys if by is None else by
        ids = {name: keys.get(name) or listed(name) for name in by}
        return DIALECT.encode(payload, [signer(name).sign(payload, key.id) for name, key in ids.items()])

    def targets(
        self,
        version: int = 1,
        role: str = TARGETS,
        *,
        by: Sequence[str] | None = None,
        expires: datetime = NOW + timedelta(days=1095),
        targets: Mapping[str, FileMeta] | None = None,
    ) -> bytes:
        """Return the targets of *role*, with the delegations that the team has for it."""
        delegations = self.delegations.get(role, ())
        keyids = {keyid for each in delegations for keyid in each.keyids}
        keys = {key.id: key for name in DELEGATES if (key := listed(name)).id in keyids}
        signed = Targets(
            version=version, expires=expires, targets=targets or {"v1": V1}, keys=keys, delegations=delegations
        )
        return sign(signed, *((self.targets_keys if role == TARGETS else (role,)) if by is None else by))

    def snapshot(
        self,
        files: Mapping[str, bytes],
        version: int = 1,
        *,
        by: Sequence[str] | None = None,
        expires: datetime = NOW + timedelta(days=1095),
        meta: Mapping[str, FileMeta | None] | None = None,
    ) -> bytes:
        """Return a snapshot of *files*; *meta* says what to list instead, None to leave it out."""
        right: dict[str, FileMeta | None] = {role: file_meta(raw) for role, raw in files.items()}
        wrong = {role: listed for role, listed in {**right, **(meta or {})}.items() if listed is not None}
        return sign(Snapshot(version=version, expires=expires, meta=wrong), *(self.snapshot_keys if by is None else by))

    def delegate(self, role: str, *keys: str, prefixes: tuple[str, ...] = ("",)) -> None:
        """Delegate to *role*, whose key is called like it unless said otherwise."""
        parent = role.rpartition("/")[0]
        keyids = tuple(listed(name).id for name in keys or (role,))
        others = tuple(each for each in self.delegations.get(parent, ()) if each.name != role)
        self.delegations[parent] = (*others, Delegation(name=role, keyids=keyids, prefixes=prefixes))

    def first(self) -> dict[str, bytes]:
        """Return the first upload."""
        files = {ROOT: self.root(), TARGETS: self.targets()}
        return files if self.managed else {**files, SNAPSHOT: self.snapshot(files)}


def server_keys() -> tuple[ServerKey, ...]:
    """Return the keys that the server holds."""
    names = {TIMESTAMP: TIMESTAMP, SNAPSHOT: "snapshot of the server"}
    return tuple(ServerKey(role=role, signer=signer(name)) for role, name in names.items())


def after(old: Collection, update: Update) -> Collection:
    """Return what *update* makes of *old*."""
    files = {role: file for role, file in old.files.items() if role in update.current}
    files |= {file.role: file for file in update.files}
    newest = {**old.newest, **{file.role: file.version for file in update.files}}
    return replace(old, revision=old.revision + 1, files=files, newest=newest)


def raws(collection: Collection, *but: str) -> dict[str, bytes]:
    """Return the files of *collection* that a snapshot lists, save those of the roles *but*."""
    return {role: file.raw for role, file in collection.files.items() if role not in {SNAPSHOT, TIMESTAMP, *but}}


def read(file: File) -> Signed:
    """Return what *file* says."""
    return DIALECT.decode(file.role, file.raw).signed


def snapshot_of(collection: Collection) -> Snapshot:
    """Return the snapshot of *collection*."""
    return cast("Snapshot", read(collection.files[SNAPSHOT]))


DELEGATES = ("targets/a", "targets/a/b", "targets/c", "another")
EMPTY = Collection(keys=server_keys())
