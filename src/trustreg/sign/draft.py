"""What comes next: a collection with changes applied, signed and ready to publish.

A draft begins with verified metadata, or with nothing, and ends as files by role. It talks to nobody.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from trustreg.dialect import Dialect
from trustreg.errors import ChangeError, NoKeyError
from trustreg.metadata import Delegation, FileMeta, Key, Role, Root, Signed, Snapshot, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, is_delegation, parent
from trustreg.sign.changes import AddTarget, Change, RemoveTarget
from trustreg.sign.signer import Signer
from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """For how long a signature is good. Those of Notary, so that both tools ask for the same care."""

    root: timedelta = timedelta(days=3650)
    targets: timedelta = timedelta(days=1095)
    snapshot: timedelta = timedelta(days=1095)
    timestamp: timedelta = timedelta(days=14)


@dataclass()
class Draft:
    """A collection in the making.

    ``roles`` holds the verified targets roles that changes may touch, with their delegators; ``snapshot`` is the
    verified snapshot. For a new collection there is neither, and ``root`` is signed too.
    """

    dialect: Dialect
    now: datetime
    root: Root
    roles: dict[str, Targets]
    snapshot: Snapshot | None = None
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    touched: set[str] = field(default_factory=set)

    def apply(self, change: Change) -> None:
        """Apply *change*; one that changes nothing leaves the role as it is.

        Raises:
            ChangeError: The collection as it stands has no place for it.
        """
        role = change.role
        if isinstance(change, AddTarget):
            self._cover(role, change.name)
            old = self._own(role, change.name)
            if old.targets.get(change.name) != change.meta:
                self._list(role, old, change.name, change.meta)
        elif isinstance(change, RemoveTarget):
            old = self._own(role, change.name)
            if change.name in old.targets:
                self._list(role, old, change.name, None)
        else:
            self._put(role, self._own(role, ""))

    def sign(self, find: Callable[[Key], Signer | None]) -> dict[str, bytes]:
        """Sign what changed, and the snapshot where its key is here; return the files by role.

        Args:
            find: Returns the signer for a listed key, or ``None`` where its private half is not here.

        Raises:
            NoKeyError: A role that changed cannot be signed by enough keys.
            ChangeError: It holds what readers refuse, whether it was put there now or by another tool before.
        """
        files: dict[str, bytes] = {}
        if self.snapshot is None:
            files[ROOT] = self._seal(self.root, self.root.roles[ROOT], self.root.keys, find)
        for name in sorted(self.touched):
            role, keys = self.authority(name)
            life = self.now + self.lifetimes.targets
            files[name] = self._seal(self._next(self.roles[name], life), role, keys, find)
        role = self.root.roles[SNAPSHOT]
        if any(find(self.root.keys[keyid]) for keyid in role.keyids):
            files[SNAPSHOT] = self._seal(self._next_snapshot(files), role, self.root.keys, find)
        return files

    def authority(self, name: str) -> tuple[Role, Mapping[str, Key]]:
        """Return who may sign *name*, and the keys of its delegator."""
        if name in self.root.roles:
            return self.root.roles[name], self.root.keys
        return self._delegation(name, ""), self.roles[parent(name)].keys

    def _list(self, role: str, old: Targets, name: str, meta: FileMeta | None) -> None:
        self._put(role, replace(old, targets=self.dialect.amend(old.targets, name, meta)))

    def _put(self, role: str, targets: Targets) -> None:
        self.roles[role] = targets
        self.touched.add(role)

    def _own(self, role: str, path: str) -> Targets:
        """Return the targets of *role*, which begins empty where it was delegated to and never published."""
        if role in self.roles:
            return self.roles[role]
        self._delegation(role, path)
        return Targets(version=0, expires=self.now, targets={})

    def _delegation(self, role: str, path: str) -> Delegation:
        delegator = self.roles.get(parent(role)) if is_delegation(role) else None
        delegation = delegator.delegation(role) if delegator else None
        if delegation is None:
            raise ChangeError(role, path, "nobody delegates to this role")
        return delegation

    def _cover(self, role: str, name: str) -> None:
        while role != TARGETS:
            if not self._delegation(role, name).covers(name):
                raise ChangeError(role, name, "the role may not speak for this name")
            role = parent(role)

    def _next(self, old: Targets, expires: datetime) -> Targets:
        return replace(old, version=old.version + 1, expires=expires)

    def _next_snapshot(self, files: Mapping[str, bytes]) -> Snapshot:
        kept = self.snapshot.meta if self.snapshot else {}
        return Snapshot(
            version=self.snapshot.version + 1 if self.snapshot else 1,
            expires=self.now + self.lifetimes.snapshot,
            meta={**kept, **{name: file_meta(raw) for name, raw in files.items()}},
        )

    def _seal(self, signed: Signed, role: Role, keys: Mapping[str, Key], find: "_Find") -> bytes:
        try:
            payload = self.dialect.payload(signed)
        except ValueError as exc:
            raise ChangeError(role.name, "", str(exc)) from exc
        held = ((keyid, find(keys[keyid])) for keyid in role.keyids if keyid in keys)
        signatures = [signer.sign(payload, keyid) for keyid, signer in held if signer]
        if len(signatures) < role.threshold:
            raise NoKeyError(role.name, role.keyids)
        return self.dialect.encode(payload, signatures)


def create(dialect: Dialect, now: datetime, keys: Mapping[str, Key], lifetimes: Lifetimes | None = None) -> Draft:
    """Begin a collection: one key for each of the four top-level roles, no targets."""
    lifetimes = lifetimes or Lifetimes()
    root = Root(
        version=1,
        expires=now + lifetimes.root,
        keys={key.id: key for key in keys.values()},
        roles={name: Role(name=name, keyids=(keys[name].id,)) for name in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)},
        certified=bool(keys[ROOT].certificates),
    )
    empty = Targets(version=0, expires=now, targets={})
    return Draft(dialect, now, root, {TARGETS: empty}, lifetimes=lifetimes, touched={TARGETS})


def file_meta(raw: bytes) -> FileMeta:
    """Return how snapshot and timestamp list *raw*: its length, sha256 and sha512."""
    digests = {name: hashlib.new(name, raw).digest() for name in ("sha256", "sha512")}
    return FileMeta(length=len(raw), hashes=digests)


_Find = Callable[[Key], Signer | None]
