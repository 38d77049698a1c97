"""What comes next: a collection with changes applied, signed and ready to publish.

A draft begins with verified metadata, or with nothing, and ends as files by role. It talks to nobody.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from trustreg.dialect import Dialect
from trustreg.errors import ChangeError, NoKeyError
from trustreg.metadata import FileMeta, Key, Role, Root, Signature, Signed, Snapshot, Targets, Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, is_delegation, parent
from trustreg.sign.changes import AddTarget, Change, RemoveTarget
from trustreg.sign.signer import Signer
from trustreg.values import dataclass, field

S = TypeVar("S", bound=Signed)
Authority: TypeAlias = tuple[Role, Mapping[str, Key]]
"""Who may sign a role, and the keys of its delegator."""


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """For how long a signature is good. Those of Notary, so that both tools ask for the same care."""

    root: timedelta = timedelta(days=3650)
    targets: timedelta = timedelta(days=1095)
    snapshot: timedelta = timedelta(days=1095)
    timestamp: timedelta = timedelta(days=14)


UNATTENDED = Lifetimes(
    root=timedelta(days=365), targets=timedelta(days=365), snapshot=timedelta(days=30), timestamp=timedelta(days=7)
)
"""Where no server signs: as long as people can wait for a revocation, and as short as a weekly job can keep up with."""


@dataclass()
class Draft:
    """A collection in the making.

    Attributes:
        dialect: How it is written.
        now: The time.
        root: Its root, with changes applied.
        roles: The verified targets roles that changes may touch, with their delegators.
        snapshot: The verified snapshot; ``None`` where there is none yet.
        timestamp: The verified timestamp, where it is signed here and not by a server.
        before: The root that is published; ``None`` for a new collection.
        unattended: No server signs: snapshot and timestamp are signed here, or not at all.
        taken: Versions that exist, published or not, by the name of the file: others are to be used.
        touched: The roles that are to be signed.
    """

    dialect: Dialect
    now: datetime
    root: Root
    roles: dict[str, Targets]
    snapshot: Snapshot | None = None
    timestamp: Timestamp | None = None
    before: Root | None = None
    unattended: bool = False
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    taken: Mapping[str, int] = field(default_factory=dict)
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
        """Sign what changed, and what has to list it; return the files by role, in the order to publish them.

        A new root comes last: what is published with it is signed by the keys that counted before, too, where they are
        here, so that a reader finds a whole collection before it and after it.

        Args:
            find: Returns the signer for a listed key, or ``None`` where its private half is not here.

        Raises:
            NoKeyError: A role that changed cannot be signed by enough keys.
            ChangeError: It holds what readers refuse, whether it was put there now or by another tool before.
        """
        files: dict[str, bytes] = {}
        listed: dict[str, FileMeta] = {}

        def seal(name: str, signed: Signed, *authorities: Authority, also: Authority | None = None) -> None:
            files[name] = self._seal(name, signed, authorities, also, find)
            listed[name] = self.dialect.listed(files[name], signed.version)

        if ROOT in self.touched:
            authorities = [self._top_level(root, ROOT) for root in (self.before, self.root) if root]
            seal(ROOT, self._dated(self.root, ROOT), *authorities)
        for name in sorted(self.touched - {ROOT, SNAPSHOT, TIMESTAMP}):
            also = self._top_level(self.before, name) if self.before and name in TOP_LEVEL else None
            seal(name, self._next(name, self.roles[name]), self.authority(name), also=also)
        if self._signs(SNAPSHOT, bool(listed.keys() - self._unlisted()), find):
            also = self._top_level(self.before, SNAPSHOT) if self.before else None
            seal(SNAPSHOT, self._next_snapshot(listed), self.authority(SNAPSHOT), also=also)
        if self.unattended and (SNAPSHOT in files or TIMESTAMP in self.touched):
            also = self._top_level(self.before, TIMESTAMP) if self.before else None
            seal(TIMESTAMP, self._next_timestamp(listed), self.authority(TIMESTAMP), also=also)
        if ROOT in files and self.before:
            files[ROOT] = files.pop(ROOT)
        return files

    def authority(self, name: str) -> Authority:
        """Return who may sign *name*, and the keys of its delegator."""
        if name in self.root.roles:
            return self._top_level(self.root, name)
        delegator = self._delegator(name)
        if delegator is None or (delegation := self.roles[delegator].delegation(name)) is None:
            raise ChangeError(name, "", "nobody delegates to this role")
        return delegation, self.roles[delegator].keys

    # --- changes ---

    def _list(self, role: str, old: Targets, name: str, meta: FileMeta | None) -> None:
        self._put(role, replace(old, targets=self.dialect.amend(old.targets, name, meta)))

    def _put(self, role: str, targets: Targets) -> None:
        self.roles[role] = targets
        self.touched.add(role)

    def _own(self, role: str, path: str) -> Targets:
        """Return the targets of *role*, which begins empty where it was delegated to and never published."""
        if role in self.roles:
            return self.roles[role]
        if self._delegator(role) is None:
            raise ChangeError(role, path, "nobody delegates to this role")
        return Targets(version=0, expires=self.now, targets={})

    def _delegator(self, role: str) -> str | None:
        """Return the role that delegates to *role*; of several the first."""
        if self.dialect.rules.tree:
            return next((name for name, part in self.roles.items() if part.delegation(role)), None)
        if not is_delegation(role) or (above := self.roles.get(parent(role))) is None or not above.delegation(role):
            return None
        return parent(role)

    def _cover(self, role: str, name: str) -> None:
        while role != TARGETS:
            delegator = self._delegator(role)
            delegation = self.roles[delegator].delegation(role) if delegator else None
            if delegator is None or delegation is None:
                raise ChangeError(role, name, "nobody delegates to this role")
            if not delegation.covers(name):
                raise ChangeError(role, name, "the role may not speak for this name")
            role = delegator

    # --- signing ---

    @staticmethod
    def _top_level(root: Root, name: str) -> Authority:
        return root.roles[name], root.keys

    def _unlisted(self) -> set[str]:
        """Return what a snapshot does not list: Notary's lists all, and that of TUF no root."""
        return {ROOT} if self.dialect.rules.by_version else set()

    def _signs(self, role: str, due: bool, find: "_Find") -> bool:  # noqa: FBT001 # it is what is asked
        if self.unattended:
            return due or role in self.touched
        return any(find(self.root.keys[keyid]) for keyid in self.root.roles[role].keyids)

    def _next(self, name: str, old: S) -> S:
        version = max(old.version, self.taken.get(self.dialect.locate(name), 0)) + 1
        return self._dated(replace(old, version=version), name)

    def _dated(self, signed: S, name: str) -> S:
        life = getattr(self.lifetimes, name if name in TOP_LEVEL else TARGETS)
        return replace(signed, expires=self.now + life)

    def _next_snapshot(self, listed: Mapping[str, FileMeta]) -> Snapshot:
        old = self.snapshot or Snapshot(version=0, expires=self.now, meta={})
        new = {name: meta for name, meta in listed.items() if name not in self._unlisted()}
        return self._next(SNAPSHOT, replace(old, meta={**old.meta, **new}))

    def _next_timestamp(self, listed: Mapping[str, FileMeta]) -> Timestamp:
        old = self.timestamp or Timestamp(version=0, expires=self.now, snapshot=FileMeta())
        return self._dated(
            replace(old, version=old.version + 1, snapshot=listed.get(SNAPSHOT, old.snapshot)), TIMESTAMP
        )

    def _seal(
        self, name: str, signed: Signed, required: tuple[Authority, ...], also: Authority | None, find: "_Find"
    ) -> bytes:
        """Sign *signed* with every key that is here of those that are *required*, and those that *also* may."""
        try:
            payload = self.dialect.payload(signed)
        except ValueError as exc:
            raise ChangeError(name, "", str(exc)) from exc
        signatures: dict[str, Signature] = {}
        for role, keys in (*required, *([also] if also else [])):
            for key, signer in _held(role, keys, find):
                if key.id not in signatures:
                    signatures[key.id] = signer.sign(payload, key.id, key.scheme)
        for role, keys in required:
            if sum(keyid in signatures for keyid in role.keyids if keyid in keys) < role.threshold:
                raise NoKeyError(name, role.keyids)
        return self.dialect.encode(payload, signatures.values())


def create(
    dialect: Dialect,
    now: datetime,
    keys: Mapping[str, Key],
    lifetimes: Lifetimes | None = None,
    *,
    unattended: bool = False,
) -> Draft:
    """Begin a collection: one key for each of the four top-level roles, no targets."""
    root = Root(
        version=1,
        expires=now,
        keys={key.id: key for key in keys.values()},
        roles={name: Role(name=name, keyids=(keys[name].id,)) for name in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)},
        consistent_snapshot=unattended,
        certified=bool(keys[ROOT].certificates),
    )
    return Draft(
        dialect,
        now,
        root,
        {TARGETS: Targets(version=0, expires=now, targets={})},
        unattended=unattended,
        lifetimes=lifetimes or Lifetimes(),
        touched={ROOT, TARGETS},
    )


def _held(role: Role, keys: Mapping[str, Key], find: "_Find") -> Iterator[tuple[Key, Signer]]:
    for keyid in role.keyids:
        if (key := keys.get(keyid)) and (signer := find(key)):
            yield key, signer


_Find = Callable[[Key], Signer | None]
