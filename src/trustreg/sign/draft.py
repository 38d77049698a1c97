"""What comes next: a collection with changes applied, signed and ready to publish.

A draft begins with verified metadata, or with nothing, and ends as files by role. It talks to nobody.

Files come in the order to publish them, which leaves readers a whole collection at every moment. What a new root asks
of timestamp, snapshot and targets has to hold on both sides of the moment at which it appears:

* Where enough of the keys that counted before are here, these files are signed by old and new keys, and come before
  the root.
* Where they are not, because they are lost, two roots are made. The first lets old keys and new ones sign; then come
  the files that the new ones signed; the second root ends the say of the old ones. Who has
  as many old keys as it took can do until then what he could before. A threshold is the same on both sides, or fewer
  old keys would do: where it is to change too, that takes a second step. What remains where it is more than one: until
  the second root is there, old and new keys count together. The first root is good for as short as a timestamp, so
  that nobody can be held there for long. Any other order would leave a gap in which
  nobody could read the collection, and whoever stops the publication there could make it last.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

from trustreg.dialect import Dialect
from trustreg.errors import ChangeError
from trustreg.metadata import Bins, Delegation, FileMeta, Key, Role, Root, Signed, Snapshot, Targets, Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, is_delegation, parent
from trustreg.sign.changes import (
    LIFETIME,
    MOST_BITS,
    AddTarget,
    Amend,
    Change,
    Delegate,
    DelegateBins,
    Purge,
    RemoveTarget,
    SetExpiry,
    SetKeys,
    Undelegate,
    Witness,
    role_name_problem,
)
from trustreg.sign.pages import Authority, File, Find, Page, seal, suffices
from trustreg.values import dataclass, field

S = TypeVar("S", bound=Signed)
R = TypeVar("R", Role, Delegation, Bins)


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
        lifetimes: For how long signatures are good, where a role does not say so itself.
        taken: Versions that exist, published or not, by the name of the file: others are to be used.
        touched: The roles that are to be signed.
        waiting: The delegated roles that others have to sign again before they count.
        dates: When the next version of a role expires, where that was set.
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
    taken: Mapping[str, Collection[int]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    dates: dict[str, datetime] = field(default_factory=dict)
    _speaking: set[str] = field(default_factory=set)  # the roles that delegate at all, of thousands
    _gone: set[str] = field(default_factory=set)  # the roles that nobody delegates to any more

    def __post_init__(self) -> None:
        self._speaking = {name for name, part in self.roles.items() if part.delegations or part.bins}

    def needs(self, change: Change) -> tuple[str, ...]:
        """Return the roles that have to be in ``roles`` for *change* to be applied, and are not.

        When they have been brought, it may turn out that others are needed too.
        """
        if isinstance(change, AddTarget | RemoveTarget):
            role = change.role
            while (part := self.roles.get(role)) and part.bins and change.name not in part.targets:
                role = part.bins.of(change.name).name
            wanted: Iterable[str] = (role,)
        elif isinstance(change, DelegateBins):
            wanted = (change.role, *self._bins_of(change.role))
        elif isinstance(change, Amend):
            wanted = (change.role, change.name)
        elif isinstance(change, Purge):
            below = self.roles[change.role].delegations if change.role in self.roles else ()
            wanted = (change.role, *(delegation.name for delegation in below))
        elif isinstance(change, Delegate):
            listed = self.snapshot and change.name in self.snapshot.meta  # somebody else may delegate to it
            wanted = (change.role, change.name) if listed else (change.role,)
        elif isinstance(change, SetKeys):
            owner = next((n for n, part in self._speakers() if part.bins and part.bins.prefix == change.role), "")
            above = (change.delegator,) if change.delegator else ()
            wanted = (*above, *(self._bins_of(owner) or (change.role,)))
        else:
            wanted = (change.role,)
        return tuple(role for role in wanted if role not in self.roles and role not in TOP_LEVEL)

    def know(self, roles: Mapping[str, Targets]) -> None:
        """Add verified targets roles; those that are here already stay as they are."""
        for name, part in roles.items():
            if name not in self.roles:
                self._keep(name, part)

    def know_versions(self, versions: Mapping[str, int]) -> None:
        """Have the next version of each role come after that in *versions*."""
        for name, version in versions.items():
            self.roles[name] = replace(self.roles[name], version=version)

    def adopt(self, files: Iterable[File]) -> None:
        """Take over what others have signed."""
        for file in files:
            if isinstance(file.page.signed, Root):
                self.root = file.page.signed
            elif isinstance(file.page.signed, Targets):
                self._keep(file.page.role, file.page.signed)

    def list_by_version(self, role: str) -> None:
        """Have the snapshot list *role* by its version alone, so that its file may get more signatures."""
        if self.snapshot and (listed := self.snapshot.meta.get(role)) and (listed.hashes or listed.length is not None):
            meta = {**self.snapshot.meta, role: FileMeta(version=listed.version)}
            self.snapshot = replace(self.snapshot, meta=meta)
            self.touched.add(SNAPSHOT)

    def apply(self, change: Change) -> None:
        """Apply *change*; one that changes nothing leaves the role as it is.

        Raises:
            ChangeError: The collection as it stands has no place for it.
        """
        if isinstance(change, _OF_NOTARY if self.dialect.rules.tree else _OF_TUF):
            where = "on a trust server" if self.dialect.rules.tree else "in a store"
            raise ChangeError(change.role, "", f"only a collection {where} has such delegations")
        ways: dict[type, Callable[[Any], None]] = {
            AddTarget: self._set_target,
            RemoveTarget: self._set_target,
            Witness: self._witness,
            Amend: self._amend,
            Purge: self._purge,
            SetKeys: self._set_keys,
            Delegate: self._delegate,
            Undelegate: self._undelegate,
            DelegateBins: self._spread,
            SetExpiry: self._set_expiry,
        }
        ways[type(change)](change)

    def sign(self, find: Find) -> tuple[File, ...]:
        """Sign what changed, and what has to list it; return the files in the order to publish them.

        Args:
            find: Returns the signer for a listed key, or ``None`` where its private half is not here.

        Raises:
            NoKeyError: A role that changed cannot be signed by enough keys.
            ChangeError: It holds what readers refuse, whether it was put there now or by another tool before.
        """
        return self.complete([seal(self.dialect, page, find) for page in self.pages(find)], find)

    def pages(self, find: Find) -> tuple[Page, ...]:
        """Return what is to be signed of roots and targets roles: all that depends on no signature.

        Raises:
            ChangeError: It holds what readers refuse.
        """
        roots = self._roots(find)
        pages = []
        for before, root in zip((self.before, *roots), roots, strict=False):
            authorities = tuple((part.roles[ROOT], part.keys) for part in (before, root) if part)
            pages.append(self._page(ROOT, root, authorities))
        touched = sorted(self.touched - {ROOT, SNAPSHOT, TIMESTAMP})
        pages += (self._page(name, self._next(name, self.roles[name]), self.authorities(name)) for name in touched)
        return tuple(pages)

    def complete(self, files: Sequence[File], find: Find) -> tuple[File, ...]:
        """Return *files*, with the snapshot and the timestamp that go with them, in the order to publish them.

        Raises:
            NoKeyError: One of the two cannot be signed by enough keys.
        """
        files = list(files)
        listed = {file.page.role: self.dialect.listed(file.raw, file.page.signed.version) for file in files}
        due = SNAPSHOT in self.touched or bool(listed.keys() - self._unlisted())
        if SNAPSHOT not in listed and self._signs(SNAPSHOT, due, find):
            files.append(seal(self.dialect, self._snapshot_page(listed), find))
            listed[SNAPSHOT] = self.dialect.listed(files[-1].raw, files[-1].page.signed.version)
        if TIMESTAMP not in listed and self.unattended and (SNAPSHOT in listed or TIMESTAMP in self.touched):
            files.append(seal(self.dialect, self._timestamp_page(listed.get(SNAPSHOT)), find))
        return self._ordered(files)

    def whole(self, find: Find) -> tuple[Page, ...]:
        """Return all that is to be signed, snapshot and timestamp too, though nobody can tell what files will be like.

        These two list no length and no digest of a file whose signatures are to come: they go by versions.
        """
        pages = list(self.pages(find))
        listed = {page.role: FileMeta(version=page.signed.version) for page in pages}
        if listed.keys() - self._unlisted() or SNAPSHOT in self.touched:
            pages.append(self._snapshot_page(listed))
            listed[SNAPSHOT] = FileMeta(version=pages[-1].signed.version)
        if SNAPSHOT in listed or TIMESTAMP in self.touched:
            pages.append(self._timestamp_page(listed.get(SNAPSHOT)))
        return tuple(pages)

    def authorities(self, name: str) -> tuple[Authority, ...]:
        """Return who may sign *name*, in the eyes of each role that is here and delegates to it.

        Raises:
            ChangeError: None does.
        """
        if name in self.root.roles:
            return ((self.root.roles[name], self.root.keys),)
        found = tuple(
            (delegation, self.roles[delegator].keys)
            for delegator in self.delegators(name)
            if (delegation := self.roles[delegator].delegation(name))
        )
        if not found:
            raise ChangeError(name, "", "nobody delegates to this role")
        return found

    def delegators(self, role: str) -> Iterator[str]:
        """Yield the roles that delegate to *role*, as far as they are delegated to themselves; ``targets`` first."""
        if not self.dialect.rules.tree:
            above = self.roles.get(parent(role)) if is_delegation(role) else None
            if above and above.delegation(role):
                yield parent(role)
            return
        reached: set[str] | None = None
        for name, part in self._speakers():
            if part.delegation(role):
                reached = self._reached(past=role) if reached is None else reached
                if name in reached:
                    yield name

    # --- targets ---

    def _set_target(self, change: AddTarget | RemoveTarget) -> None:
        role, old = self._home(change.role, change.name)
        meta = change.meta if isinstance(change, AddTarget) else None
        if meta is not None:
            self._cover(role, change.name)
        if old.targets.get(change.name) != meta:
            try:
                targets = self.dialect.amend(old.targets, change.name, meta)
            except ValueError as exc:
                raise ChangeError(role, change.name, str(exc)) from exc
            self._put(role, replace(old, targets=targets))

    def _home(self, role: str, name: str) -> tuple[str, Targets]:
        """Return the role that lists *name* for *role*, and what it says: where there are bins, one of them."""
        part = self._own(role, name)
        while part.bins and name not in part.targets:
            role = part.bins.of(name).name
            part = self._own(role, name)
        return role, part

    def _put(self, role: str, targets: Targets) -> None:
        self._keep(role, targets)
        self.touched.add(role)

    def _keep(self, role: str, targets: Targets) -> None:
        self.roles[role] = targets
        if targets.delegations or targets.bins:
            self._speaking.add(role)
        else:
            self._speaking.discard(role)

    def _own(self, role: str, path: str) -> Targets:
        """Return the targets of *role*, which begins empty where it was delegated to and never published."""
        if role != TARGETS and next(self.delegators(role), None) is None:
            raise ChangeError(role, path, "nobody delegates to this role")
        return self.roles.get(role) or self._empty(role)  # whoever brought what is needed has found none published

    def _empty(self, role: str) -> Targets:
        listed = self.snapshot.meta.get(role) if self.snapshot else None
        return Targets(version=listed.version if listed else 0, expires=self.now, targets={})

    def _speakers(self) -> Iterator[tuple[str, Targets]]:
        """Yield the roles that delegate at all."""
        return ((name, self.roles[name]) for name in sorted(self._speaking, key=_top_first))

    def _reached(self, past: str = "", name: str | None = None) -> set[str]:
        """Return the roles that delegate and that delegations lead to from ``targets``, none of them from *past*.

        With *name*, only those that may speak for it on the way count.
        """
        reached, ahead, left = {TARGETS}, [TARGETS], self._speaking - {TARGETS}
        while ahead and left:
            part = self.roles.get(above := ahead.pop())
            if part is None or above == past:
                continue
            names = (
                left if part.bins or len(left) < len(part.delegations) else {d.name for d in part.delegations} & left
            )
            found = {role for role in names if _leads(part, role, name)}
            left, reached, ahead = left - found, reached | found, [*ahead, *found]
        return reached

    def _cover(self, role: str, name: str) -> None:
        """Require that *role* may speak for *name*, on some way from ``targets`` down to it."""
        reached = self._reached(name=name)
        if role != TARGETS and not any(
            _leads(self.roles[above], role, name) for above in reached if above in self.roles
        ):
            raise ChangeError(role, name, "the role may not speak for this name")
        if not self.dialect.rules.tree and not name.startswith(self._starts(role)):
            raise ChangeError(role, name, "clients of Notary pass over a path that goes beyond those above it")

    def _starts(self, role: str) -> tuple[str, ...]:
        """Return what the names begin with that clients of Notary let *role* speak for.

        Source: notary ``tuf/data/roles.go``, ``Restrict``.
        """
        if role == TARGETS:
            return ("",)
        delegation, above = self.roles[parent(role)].delegation(role), self._starts(parent(role))
        return tuple(start for start in delegation.prefixes if start.startswith(above)) if delegation else ()

    # --- roles and keys ---

    def _witness(self, change: Witness) -> None:
        role = change.role
        if role in TOP_LEVEL and role != TARGETS:
            if not self.unattended and role == TIMESTAMP:
                raise ChangeError(role, "", "the trust server signs it")
            self.touched.add(role)
        else:
            self._put(role, self._own(role, ""))

    def _set_keys(self, change: SetKeys) -> None:
        if change.role in TOP_LEVEL:
            role, keys = _rekeyed(self.root.roles[change.role], self.root.keys, change)
            roles = {**self.root.roles, change.role: role}
            root = replace(self.root, roles=roles, keys=_without(keys, change.remove, roles.values()))
            if root != self.root:
                self.root = root
                self.touched.add(ROOT)
            return
        delegator, owner = self._delegator_to_change(change)
        if owner.bins:
            bins, keys = _rekeyed(owner.bins, owner.keys, change)
            changed = replace(owner, bins=bins, keys=_without(keys, change.remove, (bins,)))
        else:
            old = cast("Delegation", owner.delegation(change.role))
            new, keys = _rekeyed(old, owner.keys, change)
            delegations = tuple(new if delegation is old else delegation for delegation in owner.delegations)
            changed = replace(owner, delegations=delegations, keys=_without(keys, change.remove, delegations))
        if changed != owner:
            self._put(delegator, changed)

    def _amend(self, change: Amend) -> None:
        owner, name = self._own(change.role, change.name), change.name
        if not is_delegation(name) or parent(name) != change.role:
            raise ChangeError(change.role, name, "this is not the name of a role below it")
        old = owner.delegation(name)
        if old is None and not (change.add_keys or change.add_paths):
            raise ChangeError(change.role, name, "nobody delegates to this role")
        terms = old or Delegation(name=name, keyids=())
        kept = () if change.clear_paths else (path for path in terms.prefixes if path not in change.remove_paths)
        terms = replace(terms, prefixes=tuple(dict.fromkeys((*kept, *change.add_paths))))
        wanted = SetKeys(role=name, add=change.add_keys, remove=change.remove_keys, threshold=change.threshold)
        new, keys = _rekeyed(terms, owner.keys, wanted, or_none=True)
        delegations = (*(new if d is old else d for d in owner.delegations), *(() if old else (new,)))
        changed = replace(owner, delegations=delegations, keys=_without(keys, change.remove_keys, delegations))
        self._gone.discard(name)
        if changed != owner:
            self._put(change.role, changed)

    def _purge(self, change: Purge) -> None:
        for delegation in self._own(change.role, "").delegations:
            if not set(change.keys).isdisjoint(delegation.keyids):
                self._amend(Amend(role=change.role, name=delegation.name, remove_keys=change.keys))

    def _delegator_to_change(self, change: SetKeys) -> tuple[str, Targets]:
        role = change.role
        prefixes = (n for n, part in self._speakers() if part.bins and part.bins.prefix == role)
        found = tuple(dict.fromkeys((*self.delegators(role), *(n for n in prefixes if n in self._reached()))))
        if change.delegator:
            found = tuple(name for name in found if name == change.delegator)
        if len(found) != 1:
            problem = f"{' and '.join(found)} delegate to this role" if found else "nobody delegates to this role"
            raise ChangeError(role, "", problem)
        bins = self.roles[found[0]].bins
        if bins and bins.prefix != role:
            raise ChangeError(role, "", f"all bins {bins.prefix} have the same keys")
        return found[0], self.roles[found[0]]

    def _delegate(self, change: Delegate) -> None:
        owner, name = self._own(change.role, change.name), change.name
        if problem := _terms_problem(change):
            raise ChangeError(change.role, name, problem)
        if owner.bins:
            raise ChangeError(change.role, name, "the role has bins, and nothing else beside them")
        old = owner.delegation(name)
        terms = Delegation(
            name=name,
            keyids=(),
            patterns=change.patterns,
            hash_prefixes=change.hash_prefixes,
            terminating=change.terminating,
            extra=old.extra if old else {},
        )
        new, keys = _rekeyed(terms, owner.keys, SetKeys(role=name, add=change.keys, threshold=change.threshold))
        others = [delegation for delegation in owner.delegations if delegation is not old]
        place = owner.delegations.index(old) if old else len(others)
        others.insert(place if change.position is None else change.position, new)
        keys = _without(keys, old.keyids if old else (), others)
        changed = replace(owner, delegations=tuple(others), keys=keys)
        known = next(self.delegators(name), None) is not None
        if changed != owner:
            self._put(change.role, changed)
        if not known:
            self._put(name, self._empty(name))

    def _undelegate(self, change: Undelegate) -> None:
        owner, name = self._own(change.role, change.name), change.name
        if owner.bins and owner.bins.prefix == name:
            gone, changed = [bin_.name for bin_ in owner.bins], replace(owner, bins=None, keys={})
        elif (old := owner.delegation(name)) and not owner.bins:
            rest = tuple(delegation for delegation in owner.delegations if delegation is not old)
            gone, changed = [name], replace(owner, delegations=rest, keys=_without(owner.keys, old.keyids, rest))
        else:
            return
        if not self.dialect.rules.tree:
            gone += [role for role in self.roles if role.startswith(f"{name}/")]
            self._gone.add(name)
        self._put(change.role, changed)
        self._forget(gone)

    def _spread(self, change: DelegateBins) -> None:
        """Move what the role and its bins list into new bins; one that had its name and its targets already stays."""
        owner = self._own(change.role, change.prefix)
        former = {name: self.roles[name] for name in self._bins_of(change.role) if name in self.roles}
        if problem := _bins_problem(change, owner, former.values()):
            raise ChangeError(change.role, change.prefix, problem)
        bins, keys = _new_bins(change, owner)
        contents: dict[str, dict[str, FileMeta]] = {bin_.name: {} for bin_ in bins}
        for part in (*former.values(), owner):  # what the owner lists itself is what readers found first
            for name, meta in part.targets.items():
                contents[bins.of(name).name][name] = meta
        changed = replace(owner, targets={}, bins=bins, keys=keys)
        if owner.targets or bins != owner.bins or keys != dict(owner.keys):
            self._put(change.role, changed)
        self._forget(former.keys() - contents.keys())
        for name, targets in contents.items():
            if name not in former and any(above != change.role for above in self.delegators(name)):
                raise ChangeError(change.role, name, "another role delegates to one of this name")
            if name not in former or dict(former[name].targets) != targets:
                self._put(name, replace(former.get(name) or self._empty(name), targets=targets))

    def _bins_of(self, role: str) -> tuple[str, ...]:
        bins = self.roles[role].bins if role in self.roles else None
        return tuple(bin_.name for bin_ in bins) if bins and bins.bits <= MOST_BITS else ()

    def _forget(self, roles: Iterable[str]) -> None:
        """Drop *roles* as far as nobody else delegates to them. The snapshot goes on listing them, as it has to."""
        for name in roles:
            if next(self.delegators(name), None) is None:
                self.roles.pop(name, None)
                self.touched.discard(name)
                self._speaking.discard(name)

    def _set_expiry(self, change: SetExpiry) -> None:
        role = change.role
        known = {ROOT: self.root, SNAPSHOT: self.snapshot, TIMESTAMP: self.timestamp}
        old = known[role] if role in known else self._own(role, "")
        if old is None:
            raise ChangeError(role, "", "it has not been published yet")
        if change.expires is not None:
            if change.expires <= self.now:
                raise ChangeError(role, "", "it would have expired already")
            self.dates[role] = change.expires
        if change.lifetime is not None:
            if not self.dialect.rules.tree:
                raise ChangeError(role, "", "it has no place to say for how long it is good each time: say until when")
            old = replace(old, extra=_with_lifetime(role, old.extra, change.lifetime))
        if isinstance(old, Targets):
            self._keep(role, old)
        elif isinstance(old, Root):
            self.root = old
        elif isinstance(old, Snapshot):
            self.snapshot = old
        elif isinstance(old, Timestamp):
            self.timestamp = old
        self.touched.add(role)

    # --- signing ---

    def _page(self, name: str, signed: Signed, authorities: tuple[Authority, ...]) -> Page:
        try:
            payload = self.dialect.payload(signed)
        except ValueError as exc:
            raise ChangeError(name, "", str(exc)) from exc
        twice = self.unattended and name != ROOT and name in TOP_LEVEL  # nothing is handed over in one piece
        also = self._before(name) if twice else ()
        return Page(role=name, signed=signed, payload=payload, authorities=authorities, also=also)

    def _before(self, name: str) -> tuple[Authority, ...]:
        return ((self.before.roles[name], self.before.keys),) if self.before else ()

    def _roots(self, find: Find) -> tuple[Root, ...]:
        if ROOT not in self.touched:
            return ()
        if self.before is None:
            return (self._dated(self.root, ROOT),)
        first = replace(self.root, version=self.before.version + 1)
        if not self.unattended or not any(self._is_cut(name, find) for name in self._due()):
            return (self._dated(first, ROOT),)
        bridge = replace(
            first,
            keys={**self.before.keys, **self.root.keys},
            roles={name: role if name == ROOT else self._bridged(name, find) for name, role in self.root.roles.items()},
        )
        dated = self._dated(bridge, ROOT)  # nobody who walks past it asks how long it is good, only who is held there
        short = replace(dated, expires=min(dated.expires, self.now + self.lifetimes.timestamp))
        return short, self._dated(replace(first, version=first.version + 1), ROOT)

    def _due(self) -> Iterator[str]:
        """Yield the top-level roles other than the root that are to be signed."""
        if TARGETS in self.touched:
            yield TARGETS
        if self.touched - {ROOT, TIMESTAMP}:
            yield SNAPSHOT
        if self.touched - {ROOT}:
            yield TIMESTAMP

    def _is_cut(self, name: str, find: Find) -> bool:
        """Say whether those who know the root of before would not believe what the keys sign that are here."""
        (before,) = self._before(name)
        return before != self.authorities(name)[0] and not suffices(before, find)

    def _bridged(self, name: str, find: Find) -> Role:
        """Return the role in which what is published and what is about to be are both believed."""
        (old, _), (new, _) = *self._before(name), *self.authorities(name)
        if name not in self._due() or not self._is_cut(name, find):
            return old  # what is published stays, or its keys are here and sign what comes as well
        if old.threshold != new.threshold:
            problem = "enough of its old keys are not here, so its threshold has to stay: change that in a second step"
            raise ChangeError(name, "", problem)
        keyids = tuple(dict.fromkeys((*old.keyids, *new.keyids)))
        return replace(new, keyids=keyids, threshold=old.threshold)

    def _ordered(self, files: Sequence[File]) -> tuple[File, ...]:
        roots = [file for file in files if file.page.role == ROOT]
        order = [TARGETS, SNAPSHOT, TIMESTAMP]
        rest = sorted(
            (file for file in files if file.page.role != ROOT),
            key=lambda file: order.index(file.page.role) if file.page.role in order else -1,
        )
        last = roots[-1:] if self.before else []
        return (*roots[: len(roots) - len(last)], *rest, *last)

    def _unlisted(self) -> set[str]:
        """Return what a snapshot does not list: Notary's lists all, and that of TUF no root."""
        return {ROOT} if self.dialect.rules.by_version else set()

    def _signs(self, role: str, due: bool, find: Find) -> bool:  # noqa: FBT001 # it is what is asked
        if self.unattended or role in self.touched:
            return due
        keys = self.root.keys
        return any(find(keys[keyid]) for keyid in self.root.roles[role].keyids if keyid in keys)

    def _next(self, name: str, old: S) -> S:
        used = self.taken.get(self.dialect.locate(name), ())
        version = next((v for v in range(old.version + 1, old.version + _MOST_TAKEN) if v not in used), None)
        if version is None:
            raise ChangeError(name, "", f"the {_MOST_TAKEN} versions after v{old.version} are taken by other files")
        return self._dated(replace(old, version=version), name)

    def _dated(self, signed: S, name: str) -> S:
        life = getattr(self.lifetimes, name if name in TOP_LEVEL else TARGETS)
        return replace(signed, expires=self.dates.get(name) or self.now + (lifetime(signed) or life))

    def _snapshot_page(self, listed: Mapping[str, FileMeta]) -> Page:
        old = self.snapshot or Snapshot(version=0, expires=self.now, meta={})
        new = {name: meta for name, meta in listed.items() if name not in self._unlisted()}
        meta = {name: one for name, one in {**old.meta, **new}.items() if not self._has_gone(name)}
        signed = self._next(SNAPSHOT, replace(old, meta=meta))
        return self._page(SNAPSHOT, signed, self.authorities(SNAPSHOT))

    def _has_gone(self, role: str) -> bool:
        """Say whether a snapshot lists *role* no more: that of TUF goes on listing what it listed."""
        parts = role.split("/")
        above = ("/".join(parts[:many]) for many in range(1, len(parts) + 1))
        return not self.dialect.rules.tree and not self._gone.isdisjoint(above)

    def _timestamp_page(self, snapshot: FileMeta | None) -> Page:
        old = self.timestamp or Timestamp(version=0, expires=self.now, snapshot=FileMeta())
        signed = replace(old, version=old.version + 1, snapshot=snapshot or old.snapshot)
        return self._page(TIMESTAMP, self._dated(signed, TIMESTAMP), self.authorities(TIMESTAMP))


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


def lifetime(signed: Signed) -> timedelta | None:
    """Return for how long each version of a role is good, where the role says so itself."""
    seconds = signed.extra.get(LIFETIME)
    return timedelta(seconds=seconds) if type(seconds) is int and 0 < seconds <= _LONGEST_LIFE else None


def _leads(part: Targets, role: str, name: str | None) -> bool:
    delegation = part.delegation(role)
    return delegation is not None and (name is None or delegation.covers(name))


def _top_first(role: str) -> tuple[bool, str]:
    return role != TARGETS, role


def _with_lifetime(role: str, extra: Mapping[str, object], life: timedelta) -> Mapping[str, object]:
    seconds = life // timedelta(seconds=1)
    if not 0 <= seconds <= _LONGEST_LIFE or timedelta(seconds=seconds) != life:
        raise ChangeError(role, "", "a lifetime is a number of whole seconds, and at most a hundred years")
    kept = {name: value for name, value in extra.items() if name != LIFETIME}
    return {**kept, LIFETIME: seconds} if seconds else kept


def _rekeyed(role: R, keys: Mapping[str, Key], change: SetKeys, *, or_none: bool = False) -> tuple[R, dict[str, Key]]:
    """Return *role* and the keys of its delegator as *change* wants them; *or_none* if it may be left without any."""
    listed = dict(keys)
    for key in change.add:
        if listed.setdefault(key.id, key) != key:
            raise ChangeError(change.role, key.id, "another key is listed under this id")
    keyids = dict.fromkeys((*(i for i in role.keyids if i not in change.remove), *(key.id for key in change.add)))
    threshold = role.threshold if change.threshold is None else change.threshold
    distinct = {(listed[i].kind, listed[i].public, listed[i].certificates) for i in keyids if i in listed}
    if not (1 <= threshold <= len(distinct) or (or_none and not keyids)):
        raise ChangeError(change.role, "", f"{threshold} of {len(distinct)} different keys cannot sign")
    return replace(role, keyids=tuple(keyids), threshold=threshold), listed


def _without(keys: Mapping[str, Key], gone: Iterable[str], roles: Iterable[Role | Bins]) -> dict[str, Key]:
    """Return *keys* without those that are *gone* from one role and in no other."""
    unused = set(gone).difference(*(role.keyids for role in roles))
    return {keyid: key for keyid, key in keys.items() if keyid not in unused}


def _bins_problem(change: DelegateBins, owner: Targets, former: Iterable[Targets]) -> str | None:
    if owner.delegations:
        return "bins are the only delegations that a role can have"
    if not 1 <= change.bits <= MOST_BITS:
        return f"1 to {MOST_BITS} bits of the hash are due"
    if any(part.delegations or part.bins for part in former):
        return "one of its bins delegates to other roles"
    return role_name_problem(f"{change.prefix}-0")


def _new_bins(change: DelegateBins, owner: Targets) -> tuple[Bins, dict[str, Key]]:
    old = owner.bins
    blank = Bins(prefix=change.prefix, bits=change.bits, keyids=(), extra=old.extra if old else {})
    if old:
        blank = replace(blank, threshold=old.threshold, keyids=() if change.keys else old.keyids)
    wanted = SetKeys(role=change.prefix, add=change.keys, threshold=change.threshold)
    bins, keys = _rekeyed(blank, owner.keys, wanted)
    return bins, _without(keys, old.keyids if old else (), (bins,))


def _terms_problem(change: Delegate) -> str | None:
    if problem := role_name_problem(change.name):
        return problem
    if change.name == change.role:
        return "a role does not delegate to itself"
    if bool(change.patterns) == bool(change.hash_prefixes):
        return "either patterns or hash prefixes are due"
    if not all(map(_is_hash_prefix, change.hash_prefixes)):
        return "a hash prefix is 1 to 64 lower-case hex digits"
    if not all(change.patterns):
        return "an empty pattern covers nothing"
    return None


def _is_hash_prefix(text: str) -> bool:
    return 0 < len(text) <= 64 and not text.strip("0123456789abcdef")


_OF_NOTARY = (Amend, Purge)
_OF_TUF = (Delegate, DelegateBins)
_MOST_TAKEN: Final = 1000  # versions in a row: nobody was killed that often, and numbers are not to run out
_LONGEST_LIFE: Final = 100 * 366 * 86_400  # seconds
