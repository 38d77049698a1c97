"""The client workflow: what to ask for, in which order, and when to believe it.

Every step that needs the world is a yielded request, so the text reads from top to bottom like TUF 1.0.34 section 5,
and a dictionary is a whole repository to test it with. Notary v1 goes through the same steps; ``Rules`` says where it
asks for something else.

What is stricter than the Go client of Notary: floors are remembered apart from the cached files; an equal version
with other bytes is refused; root is walked version by version; nothing is kept unless the whole refresh succeeded;
pins hold with a warm cache; a role that was read before may not silently go missing.
"""

import hashlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar, cast

from trustreg.dialect import Dialect
from trustreg.errors import (
    AbsentError,
    ContentError,
    EquivocationError,
    ExpiredError,
    FormatError,
    NameFormError,
    NoTrustDataError,
    RemovedError,
    RollbackError,
    ThresholdError,
    TooLargeError,
    UnlistedError,
    UntrustedError,
    VersionError,
)
from trustreg.metadata import (
    STRONG,
    Delegation,
    Envelope,
    FileMeta,
    Key,
    Role,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from trustreg.names import RELEASES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun, is_delegation, parent
from trustreg.values import dataclass
from trustreg.verify.pinning import Pins, admit, anchor, succeed
from trustreg.verify.requests import Answer, Floor, Keep, Memory, Recall, Remember, Request, Want
from trustreg.verify.signatures import Verified, fingerprint, load, verify

T = TypeVar("T")
S = TypeVar("S", bound=Signed)
Flow: TypeAlias = Generator[Request, Answer, T]
_Chain: TypeAlias = tuple[Verified[Targets], ...]

RELEASED = (RELEASES, TARGETS)
"""Roles whose word counts by default, in order: Docker's convention."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What metadata may cost, whatever it says of itself. Bytes, but for the last three."""

    root: int = 4 << 20
    timestamp: int = 1 << 16  # a hundred times the largest seen
    snapshot: int = 16 << 20
    targets: int = 64 << 20  # 700 000 tags
    together: int = 1 << 30  # snapshot and targets roles read in one refresh and the look-ups after it
    rotations: int = 256  # roots followed in one refresh
    roles: int = 1024  # delegations followed to find one name; where roles are asked by name, of all together
    tree: int = 65_536  # delegations followed to list a collection


@dataclass(frozen=True, kw_only=True)
class Found:
    """A name as a role lists it: ``chain`` is the roles that lead there, ``targets`` first."""

    name: str
    role: str
    meta: FileMeta
    chain: tuple[Verified[Targets], ...]

    @property
    def signers(self) -> tuple[str, ...]:
        """Ids of the keys that vouched for the role."""
        return self.chain[-1].keyids


class Workflow:
    """One refresh of one collection, and the look-ups that follow it.

    Its methods are generators of requests; drive them with ``client.drive``.

    Args:
        dialect: How the metadata is written.
        gun: The name of the collection.
        now: The time, fixed for all of it.
        pins: What the caller knows of its root.
        limits: What it may cost.
        where: Names the repository in messages.
        root_age: For how long nobody is asked for a newer root again.
        dangerous_skip_expiry: For who is about to sign what has expired, or wants to know what it was: certificates of
            keys may have expired, too. Nothing of what is read then is kept.
    """

    def __init__(
        self,
        dialect: Dialect,
        gun: Gun,
        now: datetime,
        *,
        pins: Pins | None = None,
        limits: Limits | None = None,
        where: str = "the repository",
        root_age: timedelta = timedelta(0),
        dangerous_skip_expiry: bool = False,
    ) -> None:
        self.gun, self.now, self._skip_expiry = gun, now, dangerous_skip_expiry
        self._root_age = root_age
        self.first_use = False
        self.roles: dict[str, Verified[Targets]] = {}
        """The targets roles that were loaded, by name; what two delegate to counts as loaded for the first."""
        self._dialect, self._rules, self._where = dialect, dialect.rules, where
        self._pins = Pins() if pins is None else pins
        self._limits = Limits() if limits is None else limits
        self._memory = Memory()
        self._walked = self._skipped = self._recalled = False
        self._read = 0  # bytes
        self._fresh: dict[str, Verified[Signed]] = {}
        self._root: Verified[Root] | None = None
        self._timestamp: Verified[Timestamp] | None = None
        self._snapshot: Verified[Snapshot] | None = None
        self._trusted: dict[tuple[str, str], Verified[Targets]] = {}  # by delegator and role: keys may differ

    @property
    def root(self) -> Verified[Root]:
        """The trusted root, after :meth:`refresh`."""
        return _refreshed(self._root)

    @property
    def timestamp(self) -> Verified[Timestamp]:
        """The trusted timestamp, after :meth:`refresh`."""
        return _refreshed(self._timestamp)

    @property
    def snapshot(self) -> Verified[Snapshot]:
        """The trusted snapshot, after :meth:`refresh`."""
        return _refreshed(self._snapshot)

    @property
    def delegators(self) -> Iterator[tuple[str, Verified[Targets]]]:
        """Each delegated role that was loaded, after the name of who delegates to it."""
        return ((delegator, part) for (delegator, _), part in self._trusted.items())

    @property
    def _most(self) -> int:
        """How many delegations may be followed at all."""
        return self._limits.tree if self._rules.tree else self._limits.roles

    def expires(self, chain: tuple[Verified[Targets], ...] = ()) -> datetime:
        """Return when the first of the files that were relied on expires."""
        parts = (self.root, self.timestamp, self.snapshot, self.roles[TARGETS], *chain)
        return min(part.signed.expires for part in parts)

    def floors(self) -> dict[str, Floor]:
        """Return what is to be remembered of all that was read, by role."""
        parts: list[Verified[Signed]] = [self.root, self.timestamp, self.snapshot, *self.roles.values()]
        return {role: floor for part in parts for role, floor in self._floors(part).items()}

    def refresh(self, *, recalled: bool = False) -> Flow[None]:
        """Bring the four top-level roles up to date, and keep them.

        Args:
            recalled: The answers are those that were kept: nothing is newer after that.

        Raises:
            UntrustedError: Some check failed. What passed before it is kept where the rules say stepwise, else nothing.
        """
        self._recalled = recalled
        try:
            yield from self._refresh()
        except (AbsentError, ContentError, ThresholdError, VersionError) as exc:
            # A publisher may have replaced files between two of our reads, or a root that was not asked for.
            if self._rules.stepwise and not (self._skipped and isinstance(exc, ThresholdError)):
                raise
            self._root_age = timedelta(0)
            yield from self._refresh()
        yield from self._keep(refreshed=True)

    def find(self, name: str, roles: tuple[str, ...] = RELEASED) -> Flow[Found | None]:
        """Look *name* up: where the rules say so in the tree of delegations, else in *roles*; the first that lists it.

        With *roles* a role nobody delegates to, one whose keys were all taken away, and one that may not speak for
        *name* are passed over. A role that fails a check ends the search.
        """
        if self._rules.tree:
            return (yield from self._search(name))
        for role in roles:
            chain = yield from self._chain(role, name)
            if chain and (meta := chain[-1].signed.targets.get(name)):
                yield from self._keep()
                return Found(name=name, role=role, meta=meta, chain=chain)
        yield from self._keep()
        return None

    def delegated(self) -> Flow[dict[str, UntrustedError]]:
        """Load every role that is delegated to; return the ones that failed, with why."""
        failed: dict[str, UntrustedError] = {}
        queue, seen, count = [TARGETS], {TARGETS}, 0
        while queue:
            delegator = self.roles[queue.pop(0)]
            for delegation in delegator.signed.delegates():
                if (count := count + 1) > self._most:
                    raise TooLargeError(f"the tree of delegations of {self.gun}", self._most, "delegations")
                try:
                    loaded = yield from self._delegate(delegator, delegation)
                except UntrustedError as exc:
                    failed[delegation.name] = exc
                else:
                    queue += [delegation.name] if loaded and delegation.name not in seen else []
                    seen.add(delegation.name)
        yield from self._keep()
        return failed

    def load(self, role: str) -> Flow[Verified[Targets] | None]:
        """Load a delegated role; ``None`` where nobody who is loaded delegates to it, or it speaks for nobody (yet).

        Raises:
            RemovedError: It was read before, those who signed it then may still do so, and the snapshot lists it no
                more.
            NameFormError: *role* is not the name of a targets role.
        """
        if role in self.roles:
            return self.roles[role]
        if role == TARGETS:
            raise RuntimeError("refresh() comes first")
        delegators = (yield from self._all_up_to(role)) if self._rules.tree else (yield from self._parent_of(role))
        for delegator in delegators:
            if delegation := delegator.signed.delegation(role):
                return (yield from self._delegate(delegator, delegation))
        return None

    def may_speak(self, role: str, name: str) -> bool:
        """Say whether every delegation on the way from ``targets`` to *role*, which is loaded, covers *name*.

        Only where names of roles say who delegates to them.
        """
        while role != TARGETS:
            delegation = self.roles[parent(role)].signed.delegation(role)
            if delegation is None or not delegation.covers(name):
                return False
            role = parent(role)
        return True

    # --- the five steps -------------------------------------------------------------------------------------------

    def _refresh(self) -> Flow[None]:
        self._memory = cast("Memory", (yield Remember()))
        self._fresh, self.roles, self._trusted, self._read = {}, {}, {}, 0
        yield from self._update_root()
        yield from self._update_timestamp()
        yield from self._update_snapshot()
        yield from self._update_targets()

    def _update_root(self) -> Flow[None]:
        """TUF 5.2 and 5.3: begin with what was trusted, follow version by version, then judge the last one."""
        floor = self._memory.floors.get(ROOT)
        root, held = yield from self._known_root(floor)
        if root is None:
            claim = self._decode(ROOT, (yield from self._want(ROOT)), Root)
            root = anchor(claim, self.gun) if floor is None else self._stand_in(claim, floor)
        # A root that was only met is kept when it is admitted; one that follows what was trusted, at once.
        known = floor is not None or self._pins.root is not None
        yield from self._pass(root, floor, known=known, held=held)
        for _ in range(self._limits.rotations + 1):
            if self._walked_lately(root):
                self._skipped = True
                break
            path = self._dialect.locate(ROOT, version=root.signed.version + 1)
            raw = yield from _ask(Want(ROOT, path, self._limits.root))
            if raw is None:
                self._walked = True
                break
            claim = self._decode(ROOT, raw, Root)
            if claim.signed.version != root.signed.version + 1:
                raise VersionError(ROOT, root.signed.version + 1, claim.signed.version)
            root = succeed(claim, root, self.gun)
            yield from self._pass(root, floor, known=known)
        else:
            raise TooLargeError(f"the history of the root of {self.gun}", self._limits.rotations, "rotations")
        if floor and root.signed.version < floor.version:
            raise RollbackError(ROOT, floor.version, root.signed.version)
        claim = self._decode(ROOT, root.raw, Root)
        skip = self._skip_expiry
        final = admit(claim, self.gun, self._pins, self.now, known=known, dangerous_skip_expiry=skip)
        self._alive(final)
        self.first_use = not known and not self._pins.given
        self._root = final
        if not (known and self._rules.stepwise):
            yield from self._note(final)

    def _pass(self, root: Verified[Root], floor: Floor | None, *, known: bool, held: bool = False) -> Flow[None]:
        """Have *root*, on the way up, kept; where one of its version was trusted before, it has to be that one."""
        if floor and root.signed.version == floor.version and not _vouched(floor, root):
            self._above(self._decode(ROOT, root.raw, Root), floor)
        if known and (floor is None or root.signed.version >= floor.version):
            yield from self._note(root, held=held)

    def _walked_lately(self, root: Verified[Root]) -> bool:
        """Say whether a root after *root* was asked for so lately that it need not be asked for again."""
        floor, walked = self._memory.floors.get(ROOT), self._memory.walked
        known = floor is not None and floor.version == root.signed.version and root.signed.expires > self.now
        return known and walked is not None and timedelta(0) <= self.now - walked < self._root_age

    def _known_root(self, floor: Floor | None) -> Flow[tuple[Verified[Root] | None, bool]]:
        """Return the root to begin with, and whether the cache has it.

        It is the one trusted last. If the caller brought one, that has to have led there: it is begun with where it is
        newer, or where it was not begun with before.
        """
        if self._pins.root is not None:
            brought = anchor(self._decode(ROOT, self._pins.root, Root), self.gun)
            if floor is None or brought.signed.version > floor.version or self._memory.begun != _sha256(brought.raw):
                return brought, False
        if floor is None:
            return None, False
        raw = yield from _ask(Recall(ROOT))
        held = raw is not None and _sha256(raw) == floor.sha256
        if not held:
            path = self._dialect.locate(ROOT, version=floor.version)
            raw = yield from _ask(Want(ROOT, path, self._limits.root))
        if raw is None:
            return None, False
        claim = self._decode(ROOT, raw, Root)
        if claim.signed.version > floor.version:
            raise VersionError(ROOT, floor.version, claim.signed.version)
        return self._again(claim, floor), held

    def _stand_in(self, claim: Envelope[Root], floor: Floor) -> Verified[Root]:
        """The root that was trusted is nowhere to be had: only the very same one may take its place."""
        if claim.signed.version > floor.version:
            raise AbsentError(ROOT, self._dialect.locate(ROOT, version=floor.version))
        return self._again(claim, floor)

    def _again(self, claim: Envelope[Root], floor: Floor) -> Verified[Root]:
        """Believe *claim* to be the root that was trusted: by its bytes, or by all who vouched for it.

        One that is known by its version may have gained signatures since.
        """
        if not self._rules.by_version:
            self._above(claim, floor)
        root = anchor(claim, self.gun)
        if claim.signed.version < floor.version or not _vouched(floor, root):
            self._above(claim, floor)
        return root

    def _update_timestamp(self) -> Flow[None]:
        """TUF 5.4."""
        raw = yield from self._want(TIMESTAMP)
        role, keys = self.root.signed.roles[TIMESTAMP], self.root.signed.keys
        offered = verified = self._believe(TIMESTAMP, raw, role, keys, Timestamp)
        floor = self._standing(TIMESTAMP, role, keys)
        if floor and offered.signed.version == floor.version and _sha256(raw) != floor.sha256:
            kept = yield from _ask(Recall(TIMESTAMP))
            known = kept if kept is not None and _sha256(kept) == floor.sha256 else None
            if not self._rules.by_version:
                self._require_same(raw, known, floor)
            elif known is not None:  # 5.4.3.1: the one that is known stays, and that is no error
                verified = self._believe(TIMESTAMP, known, role, keys, Timestamp)
        least = floor.listed.get(SNAPSHOT, 0) if floor and self._may_follow_snapshot() else 0
        if least > verified.signed.snapshot.version:
            raise RollbackError(SNAPSHOT, least, verified.signed.snapshot.version)
        self._alive(verified)
        self._timestamp = verified
        yield from self._note(verified)

    def _require_same(self, raw: bytes, known: bytes | None, floor: Floor) -> None:
        """Require *raw*, of the version that was trusted, to say what *known* says, however it is spelled and signed.

        Nothing lists a timestamp: whoever is on the way can add a blank or a signature to it, and readers who have seen
        that have to go on believing the publishers' own.
        """
        decode = self._dialect.decode
        if known is None or decode(TIMESTAMP, known).payload != decode(TIMESTAMP, raw).payload:
            raise EquivocationError(TIMESTAMP, floor.version, floor.sha256, _sha256(raw))

    def _may_follow_snapshot(self) -> bool:
        """Say whether what is known of the snapshot still counts; not so once its keys were replaced (5.3.11)."""
        root, known = self.root.signed, self._memory.floors.get(SNAPSHOT)
        return known is None or _may_still_sign(known, root.roles[SNAPSHOT], root.keys)

    def _update_snapshot(self) -> Flow[None]:
        """TUF 5.5."""
        role, listed = self.root.signed.roles[SNAPSHOT], self.timestamp.signed.snapshot
        limit, keys = self._limits.snapshot, self.root.signed.keys
        self._snapshot = yield from self._listed(SNAPSHOT, listed, limit, role, keys, Snapshot)
        if (root := self._snapshot.signed.meta.get(ROOT)) is not None:
            check_content(ROOT, root, self.root.raw)

    def _update_targets(self) -> Flow[None]:
        """TUF 5.6."""
        role, listed = self.root.signed.roles[TARGETS], self.snapshot.signed.meta[TARGETS]
        limit, keys = self._limits.targets, self.root.signed.keys
        self.roles[TARGETS] = yield from self._listed(TARGETS, listed, limit, role, keys, Targets)

    # --- delegations ----------------------------------------------------------------------------------------------

    def _search(self, name: str) -> Flow[Found | None]:
        """TUF 5.6.7: depth first, in the order of the delegations, each of them once."""
        chain: _Chain | None = (self.roles[TARGETS],)
        ahead: list[tuple[_Chain, Delegation]] = []
        seen: set[tuple[str, str]] = set()
        while chain and name not in chain[-1].signed.targets:
            ahead = _ahead(chain, name, ahead)
            chain = yield from self._next(ahead, seen, name)
        yield from self._keep()
        if not chain:
            return None
        return Found(name=name, role=chain[-1].role, meta=chain[-1].signed.targets[name], chain=chain)

    def _next(
        self, ahead: list[tuple[_Chain, Delegation]], seen: set[tuple[str, str]], name: str
    ) -> Flow[_Chain | None]:
        """Take the next delegation that was not followed yet off *ahead*, and follow it."""
        while ahead:
            chain, delegation = ahead.pop()
            edge = (chain[-1].role, delegation.name)
            if edge in seen:
                continue
            seen.add(edge)
            if len(seen) > self._limits.roles:
                raise TooLargeError(f"the search for {name} in {self.gun}", self._limits.roles, "delegations")
            if part := (yield from self._delegate(chain[-1], delegation)):
                return (*chain, part)
        return None

    def _chain(self, role: str, name: str) -> Flow[tuple[Verified[Targets], ...] | None]:
        """Load the roles from ``targets`` to *role*, if all of them may speak for *name*."""
        _require_targets(role)
        chain: list[Verified[Targets]] = []
        at = TARGETS
        for step in ["", *role.split("/")[1:]]:
            at = f"{at}/{step}" if step else at
            if chain:
                delegation = chain[-1].signed.delegation(at)
                if delegation is None or not delegation.covers(name):
                    return None
            loaded = yield from self.load(at)
            if loaded is None:
                return None
            chain.append(loaded)
        return tuple(chain)

    def _parent_of(self, role: str) -> Flow[tuple[Verified[Targets], ...]]:
        _require_targets(role)
        delegator = yield from self.load(parent(role))
        return (delegator,) if delegator else ()

    def _all_up_to(self, role: str) -> Flow[tuple[Verified[Targets], ...]]:
        """Load roles, nearest to ``targets`` first, until one of them delegates to *role*; return that one."""
        queue = [self.roles[TARGETS]]
        seen = {TARGETS}
        while queue:
            delegator = queue.pop(0)
            if delegator.signed.delegation(role):
                return (delegator,)
            for delegation in delegator.signed.delegates():
                if delegation.name not in seen:
                    seen.add(delegation.name)
                    loaded = yield from self._delegate(delegator, delegation)
                    queue += [loaded] if loaded else []
        return ()

    def _delegate(self, delegator: Verified[Targets], delegation: Delegation) -> Flow[Verified[Targets] | None]:
        """Load what *delegator* delegates to, by the keys that it names; ``None`` where it speaks for nobody (yet)."""
        role, edge = delegation.name, (delegator.role, delegation.name)
        if edge in self._trusted:
            return self._trusted[edge]
        keys = delegator.signed.keys
        listed = self.snapshot.signed.meta.get(role)
        if self._rules.tree:
            if listed is None:
                raise UnlistedError(role, delegator.role)
        elif not delegation.keyids:
            return None
        elif listed is None:
            if self._standing(role, delegation, keys):
                raise RemovedError(role)
            return None
        if len(self._trusted) >= self._most:
            raise TooLargeError(f"the tree of delegations of {self.gun}", self._most, "roles")
        verified = yield from self._listed(role, listed, self._limits.targets, delegation, keys, Targets)
        self._trusted[edge] = verified
        self.roles.setdefault(role, verified)
        return verified

    # --- one load path for every file -----------------------------------------------------------------------------

    def _listed(
        self,
        name: str,
        listed: FileMeta,
        cap: int,
        role: Role | Delegation,
        keys: Mapping[str, Key],
        kind: type[S],
    ) -> Flow[Verified[S]]:
        """Load a file that trusted metadata lists: from the cache if it is still that one, else from where it lies."""
        if name in self.roles:  # for another delegator, whose keys have no say here
            return self._judge(name, self.roles[name].raw, listed, role, keys, kind)
        raw = yield from _ask(Recall(name))
        if raw is not None and _is(listed, raw):
            try:
                verified = self._judge(name, raw, listed, role, keys, kind)
            except UntrustedError:
                if listed.hashes:
                    raise  # the repository has the same bytes
            else:
                yield from self._note(verified, held=True)
                return verified
        if listed.length is not None and listed.length > cap:
            raise TooLargeError(f"{name} metadata", cap)
        path = self._dialect.locate(name, listed, consistent=self.root.signed.consistent_snapshot)
        raw = yield from _ask(Want(name, path, cap if listed.length is None else listed.length))
        if raw is None:
            raise AbsentError(name, path)
        check_content(name, listed, raw)
        self._read += len(raw)
        if self._read > self._limits.together:
            raise TooLargeError(f"all that was read of {self.gun}", self._limits.together)
        verified = self._judge(name, raw, listed, role, keys, kind)
        yield from self._note(verified)
        return verified

    def _judge(
        self, name: str, raw: bytes, listed: FileMeta, role: Role, keys: Mapping[str, Key], kind: type[S]
    ) -> Verified[S]:
        """Signatures, the version that is listed, the floor, then expiry: the same for every role that is listed."""
        verified = self._believe(name, raw, role, keys, kind)
        if listed.version and verified.signed.version != listed.version:
            raise VersionError(name, listed.version, verified.signed.version)
        floor = self._standing(name, role, keys)
        for other, least in floor.listed.items() if floor else ():
            self._still_lists(verified.signed, other, least)
        self._alive(verified)
        return verified

    def _believe(self, name: str, raw: bytes, role: Role, keys: Mapping[str, Key], kind: type[S]) -> Verified[S]:
        claim = self._decode(name, raw, kind)
        verified = verify(claim, replace(role, name=name), keys, None if self._skip_expiry else self.now)
        if floor := self._standing(name, role, keys):
            self._above(claim, floor)
        return verified

    def _standing(self, name: str, role: Role, keys: Mapping[str, Key]) -> Floor | None:
        """Return the floor of *name*, if those who vouched for it may still sign."""
        floor = self._memory.floors.get(name)
        return floor if floor and _may_still_sign(floor, role, keys) else None

    def _above(self, claim: Envelope[Signed], floor: Floor) -> None:
        version = claim.signed.version
        if version < floor.version:
            raise RollbackError(claim.role, floor.version, version)
        if version == floor.version and (offered := _sha256(claim.raw)) != floor.sha256:
            if claim.role == TIMESTAMP or (self._rules.by_version and claim.role != ROOT):
                return  # of the timestamp it is known later, with what is kept of it
            raise EquivocationError(claim.role, version, floor.sha256, offered)

    def _still_lists(self, signed: Signed, other: str, least: int) -> None:
        """TUF 5.5.5: what a snapshot listed it goes on to list, in no older version."""
        if not isinstance(signed, Snapshot):
            return
        if (listed := signed.meta.get(other)) is None:
            raise RemovedError(other)
        if listed.version < least:
            raise RollbackError(other, least, listed.version)

    def _alive(self, verified: Verified[Signed]) -> None:
        if verified.signed.expires <= self.now and not self._skip_expiry:
            raise ExpiredError(verified.role, verified.signed.version, verified.signed.expires, self.now)

    def _decode(self, role: str, raw: bytes, kind: type[S]) -> Envelope[S]:
        claim = self._dialect.decode(role, raw)
        if not isinstance(claim.signed, kind):
            raise FormatError(role, "signed", f"this is {type(claim.signed).__name__.lower()} metadata")
        return cast("Envelope[S]", claim)

    def _want(self, role: str) -> Flow[bytes]:
        """Ask for the current file of *role*."""
        path = self._dialect.locate(role)
        raw = yield from _ask(Want(role, path, self._limits.root if role == ROOT else self._limits.timestamp))
        if raw is None:
            if role == ROOT and not self._memory.floors:
                raise NoTrustDataError(str(self.gun), self._where)
            raise AbsentError(role, path)
        return raw

    # --- what is remembered ---------------------------------------------------------------------------------------

    def _note(self, verified: Verified[Signed], *, held: bool = False) -> Flow[None]:
        """Have *verified* kept: now, or with all the others. Where the cache has *held* it, it may be there already."""
        if self._rules.stepwise and held and self._floors(verified).items() <= self._memory.floors.items():
            return
        self._fresh[verified.role] = verified
        if self._rules.stepwise:
            yield from self._keep()

    def _keep(self, *, refreshed: bool = False) -> Flow[None]:
        """Hand over what was verified since the last time."""
        fresh, self._fresh = self._fresh, {}
        refreshed = (refreshed if self._rules.stepwise else bool(fresh)) and not self._recalled
        if (fresh or refreshed) and not self._skip_expiry:
            before = self._memory
            floors = {role: floor for verified in fresh.values() for role, floor in self._floors(verified).items()}
            moment = self.now if refreshed else before.refreshed
            walked = self.now if refreshed and self._walked and self._root_age else before.walked
            begun = _sha256(self._pins.root) if self._pins.root is not None and refreshed else before.begun
            self._memory = Memory({**before.floors, **floors}, moment, walked, begun)
            yield Keep({role: verified.raw for role, verified in fresh.items()}, self._memory, before)

    def _floors(self, verified: Verified[Signed]) -> dict[str, Floor]:
        """Return the floor that *verified* sets; none where the snapshot is what its role may not fall below."""
        signed, role = verified.signed, verified.role
        listed: dict[str, int] = {}
        if self._rules.by_version:
            if role not in {ROOT, TIMESTAMP, SNAPSHOT}:
                return {}
            if isinstance(signed, Timestamp):
                listed = {SNAPSHOT: signed.snapshot.version}
            elif isinstance(signed, Snapshot):
                listed = {name: meta.version for name, meta in signed.meta.items()}
        return {role: Floor(signed.version, _sha256(verified.raw), verified.fingerprints, listed)}


def check_content(what: str, listed: FileMeta, raw: bytes) -> None:
    """Require *raw* to have the length and every digest that trusted metadata lists.

    Raises:
        ContentError: It does not, or no digest listed is one that can be relied on. A file that is listed by its
            version needs none.

    Source: TUF 1.0.34 sections 5.5.2, 5.6.2, 5.7.3.
    """
    if listed.length is not None and listed.length != len(raw):
        raise ContentError(what, f"{listed.length} bytes", f"{len(raw)} bytes")
    strong = [name for name in STRONG if name in listed.hashes]
    if not strong and (listed.hashes or not listed.version):
        raise ContentError(what, "a sha256 or sha512 digest", "none")
    for name in strong:
        actual = hashlib.new(name, raw).hexdigest()
        if actual != listed.hashes[name].hex():
            raise ContentError(what, f"{name}:{listed.hashes[name].hex()}", f"{name}:{actual}")


def _refreshed(verified: Verified[S] | None) -> Verified[S]:
    if verified is None:
        raise RuntimeError("refresh() comes first")
    return verified


def _require_targets(role: str) -> None:
    if role != TARGETS and not is_delegation(role):
        raise NameFormError(role, "role", "it is not the name of a targets role")


def _ask(request: Recall | Want) -> Flow[bytes | None]:
    """Yield *request*, whose answer is bytes: no more of them than were wanted, whoever brings them."""
    raw = cast("bytes | None", (yield request))
    if isinstance(request, Want) and raw is not None and len(raw) > request.limit:
        raise TooLargeError(request.path, request.limit)
    return raw


def _is(listed: FileMeta, raw: bytes) -> bool:
    """Say whether *raw* may be the file that is listed; where only its version is, that shows later."""
    try:
        check_content("", listed, raw)
    except ContentError:
        return False
    return True


def _ahead(chain: _Chain, name: str, ahead: list[tuple[_Chain, Delegation]]) -> list[tuple[_Chain, Delegation]]:
    """Return what is still to follow after *chain*, the next last; a terminating delegation ends the rest."""
    following, ends = chain[-1].signed.followed(name)
    return ([] if ends else ahead) + [(chain, delegation) for delegation in reversed(following)]


def _vouched(floor: Floor, root: Verified[Root]) -> bool:
    """Say whether all who vouched for *floor* signed *root*, too."""
    return bool(floor.keys) and set(floor.keys) <= set(root.fingerprints)


def _may_still_sign(floor: Floor, role: Role, keys: Mapping[str, Key]) -> bool:
    """Say whether the keys that vouched for the floor could do so today.

    If not, their role was given to others, and begins anew: the way out of a version that a stolen key drove up
    (TUF 1.0.34 section 5.3.11). A rotation that keeps a threshold of the old keys does not lower the floor, nor does
    one that keeps all of them and asks for more, or by which nobody can tell whose word the floor was.
    """
    if not floor.keys:
        return True
    publics = (load(keys[keyid]) for keyid in role.keyids if keyid in keys)
    today = {fingerprint(public) for public in publics if public is not None}
    before = set(floor.keys)
    return len(today & before) >= min(role.threshold, len(before))


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
