"""The client workflow: what to ask for, in which order, and when to believe it.

Every step that needs the world is a yielded request, so the text reads from top to bottom like TUF 1.0.34 section 5,
and a dictionary is a whole repository to test it with. Notary v1 goes through the same steps.

What is stricter than the Go client of Notary: floors are remembered apart from the cached files; an equal version
with other bytes is refused; root is walked version by version; nothing is kept unless the whole refresh succeeded;
pins hold with a warm cache; a role that was read before may not silently go missing.
"""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime
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
    UntrustedError,
    VersionError,
)
from trustreg.metadata import Delegation, Envelope, FileMeta, Key, Role, Root, Signed, Snapshot, Targets, Timestamp
from trustreg.names import RELEASES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun, is_delegation, parent
from trustreg.values import dataclass
from trustreg.verify.pinning import Pins, admit, anchor, succeed
from trustreg.verify.requests import Answer, Floor, Keep, Memory, Recall, Remember, Request, Want
from trustreg.verify.signatures import Verified, fingerprint, load, verify

T = TypeVar("T")
S = TypeVar("S", bound=Signed)
Flow: TypeAlias = Generator[Request, Answer, T]

RELEASED = (RELEASES, TARGETS)
"""Roles whose word counts by default, in order: Docker's convention."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What metadata may cost, whatever it says of itself. Bytes, but for the last two."""

    root: int = 4 << 20
    timestamp: int = 1 << 16  # a hundred times the largest seen
    snapshot: int = 16 << 20
    targets: int = 64 << 20  # 700 000 tags
    rotations: int = 256  # roots followed in one refresh
    roles: int = 1024  # delegated roles read in one refresh


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

    Its methods are generators of requests; drive them with ``client.drive``. ``now`` is fixed for all of it.
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
    ) -> None:
        self.gun, self.now = gun, now
        self.first_use = False
        self.roles: dict[str, Verified[Targets]] = {}
        self._dialect, self._where = dialect, where
        self._pins = Pins() if pins is None else pins
        self._limits = Limits() if limits is None else limits
        self._memory = Memory()
        self._fresh: dict[str, Verified[Signed]] = {}
        self._root: Verified[Root] | None = None
        self._timestamp: Verified[Timestamp] | None = None
        self._snapshot: Verified[Snapshot] | None = None

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

    def expires(self, chain: tuple[Verified[Targets], ...] = ()) -> datetime:
        """Return when the first of the files that were relied on expires."""
        parts = (self.root, self.timestamp, self.snapshot, self.roles[TARGETS], *chain)
        return min(part.signed.expires for part in parts)

    def refresh(self) -> Flow[None]:
        """Bring the four top-level roles up to date, and keep them.

        Raises:
            UntrustedError: Some check failed; nothing was kept.
        """
        try:
            yield from self._refresh()
        except (AbsentError, ContentError, ThresholdError, VersionError):
            # A publisher may have replaced files between two of our reads: one fresh reading tells.
            yield from self._refresh()
        yield from self._keep()

    def find(self, name: str, roles: tuple[str, ...] = RELEASED) -> Flow[Found | None]:
        """Look *name* up in *roles*, the first that lists it wins.

        A role nobody delegates to, one whose keys were all taken away, and one that may not speak for *name* are
        passed over; a role that fails a check ends the search.
        """
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
        queue = [TARGETS]
        while queue:
            delegator = queue.pop(0)
            for delegation in self.roles[delegator].signed.delegations:
                try:
                    loaded = yield from self.load(delegation.name)
                except UntrustedError as exc:
                    failed[delegation.name] = exc
                else:
                    queue += [delegation.name] if loaded else []
        yield from self._keep()
        return failed

    def load(self, role: str) -> Flow[Verified[Targets] | None]:
        """Load a delegated role; ``None`` where its delegator is loaded and it speaks for nobody (yet).

        Raises:
            RemovedError: It was read before, those who signed it then may still do so, and the snapshot lists it no
                more.
            NameFormError: *role* is not the name of a targets role.
        """
        _require_targets(role)
        if role in self.roles:
            return self.roles[role]
        if role == TARGETS:
            raise RuntimeError("refresh() comes first")
        delegator = yield from self.load(parent(role))
        delegation = delegator.signed.delegation(role) if delegator else None
        if delegator is None or delegation is None or not delegation.keyids:
            return None
        listed = self.snapshot.signed.meta.get(role)
        if listed is None:
            floor = self._memory.floors.get(role)
            if floor and _may_still_sign(floor, delegation, delegator.signed.keys):
                raise RemovedError(role)
            return None
        if len(self.roles) > self._limits.roles:
            raise TooLargeError(f"the tree of delegations of {self.gun}", self._limits.roles, "roles")
        keys = delegator.signed.keys
        verified = yield from self._listed(role, listed, self._limits.targets, delegation, keys, Targets)
        self.roles[role] = verified
        return verified

    def may_speak(self, role: str, name: str) -> bool:
        """Say whether every delegation on the way from ``targets`` to *role*, which is loaded, covers *name*."""
        while role != TARGETS:
            delegation = self.roles[parent(role)].signed.delegation(role)
            if delegation is None or not delegation.covers(name):
                return False
            role = parent(role)
        return True

    # --- the five steps -------------------------------------------------------------------------------------------

    def _refresh(self) -> Flow[None]:
        self._memory = cast("Memory", (yield Remember()))
        self._fresh, self.roles = {}, {}
        yield from self._update_root()
        yield from self._update_timestamp()
        yield from self._update_snapshot()
        yield from self._update_targets()

    def _update_root(self) -> Flow[None]:
        """TUF 5.2 and 5.3: begin with what was trusted, follow version by version, then judge the last one."""
        floor = self._memory.floors.get(ROOT)
        root = yield from self._known_root(floor)
        if root is None:
            claim = self._decode(ROOT, (yield from self._want(ROOT)), Root)
            root = anchor(claim, self.gun) if floor is None else self._stand_in(claim, floor)
        for _ in range(self._limits.rotations + 1):
            path = self._dialect.locate(ROOT, version=root.signed.version + 1)
            raw = yield from _ask(Want(ROOT, path, self._limits.root))
            if raw is None:
                break
            claim = self._decode(ROOT, raw, Root)
            if claim.signed.version != root.signed.version + 1:
                raise VersionError(ROOT, root.signed.version + 1, claim.signed.version)
            root = succeed(claim, root, self.gun)
        else:
            raise TooLargeError(f"the history of the root of {self.gun}", self._limits.rotations, "rotations")
        final = admit(self._decode(ROOT, root.raw, Root), self.gun, self._pins, self.now, known=floor is not None)
        self._alive(final)
        self.first_use = floor is None and not self._pins.given
        self._root = final
        self._note(final)

    def _known_root(self, floor: Floor | None) -> Flow[Verified[Root] | None]:
        """Return the root that was trusted last, from the cache or from the server's history."""
        if floor is None:
            return None
        raw = yield from _ask(Recall(ROOT))
        if raw is None or _sha256(raw) != floor.sha256:
            path = self._dialect.locate(ROOT, version=floor.version)
            raw = yield from _ask(Want(ROOT, path, self._limits.root))
        if raw is None:
            return None
        claim = self._decode(ROOT, raw, Root)
        self._above(claim, floor)
        if claim.signed.version != floor.version:
            raise VersionError(ROOT, floor.version, claim.signed.version)
        return anchor(claim, self.gun)

    def _stand_in(self, claim: Envelope[Root], floor: Floor) -> Verified[Root]:
        """The root that was trusted is nowhere to be had: only the very same one may take its place."""
        self._above(claim, floor)
        if claim.signed.version != floor.version:
            raise AbsentError(ROOT, self._dialect.locate(ROOT, version=floor.version))
        return anchor(claim, self.gun)

    def _update_timestamp(self) -> Flow[None]:
        """TUF 5.4."""
        raw = yield from self._want(TIMESTAMP)
        role = self.root.signed.roles[TIMESTAMP]
        self._timestamp = self._judge(TIMESTAMP, raw, role, self.root.signed.keys, Timestamp)
        self._note(self._timestamp)

    def _update_snapshot(self) -> Flow[None]:
        """TUF 5.5."""
        role, listed = self.root.signed.roles[SNAPSHOT], self.timestamp.signed.snapshot
        limit, keys = self._limits.snapshot, self.root.signed.keys
        self._snapshot = yield from self._listed(SNAPSHOT, listed, limit, role, keys, Snapshot)
        check_content(ROOT, self._snapshot.signed.meta[ROOT], self.root.raw)

    def _update_targets(self) -> Flow[None]:
        """TUF 5.6."""
        role, listed = self.root.signed.roles[TARGETS], self.snapshot.signed.meta[TARGETS]
        limit, keys = self._limits.targets, self.root.signed.keys
        self.roles[TARGETS] = yield from self._listed(TARGETS, listed, limit, role, keys, Targets)

    # --- one load path for every file -----------------------------------------------------------------------------

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

    def _listed(
        self,
        name: str,
        listed: FileMeta,
        cap: int,
        role: Role | Delegation,
        keys: Mapping[str, Key],
        kind: type[S],
    ) -> Flow[Verified[S]]:
        """Load a file that trusted metadata lists: from the cache if it is still that one, else by its hash."""
        raw = yield from _ask(Recall(name))
        if raw is None or not _is(listed, raw):
            if listed.length is not None and listed.length > cap:
                raise TooLargeError(f"{name} metadata", cap)
            path = self._dialect.locate(name, listed)
            raw = yield from _ask(Want(name, path, cap if listed.length is None else listed.length))
            if raw is None:
                raise AbsentError(name, path)
            check_content(name, listed, raw)
        verified = self._judge(name, raw, role, keys, kind)
        if listed.version and verified.signed.version != listed.version:
            raise VersionError(name, listed.version, verified.signed.version)
        self._note(verified)
        return verified

    def _judge(self, name: str, raw: bytes, role: Role, keys: Mapping[str, Key], kind: type[S]) -> Verified[S]:
        """Signatures, then the floor, then expiry: the same for every role but root."""
        claim = self._decode(name, raw, kind)
        verified = verify(claim, replace(role, name=name), keys, self.now)
        floor = self._memory.floors.get(name)
        if floor and _may_still_sign(floor, role, keys):
            self._above(claim, floor)
        self._alive(verified)
        return verified

    def _above(self, claim: Envelope[Signed], floor: Floor) -> None:
        version = claim.signed.version
        if version < floor.version:
            raise RollbackError(claim.role, floor.version, version)
        if version == floor.version and (offered := _sha256(claim.raw)) != floor.sha256:
            raise EquivocationError(claim.role, version, floor.sha256, offered)

    def _alive(self, verified: Verified[Signed]) -> None:
        if verified.signed.expires <= self.now:
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

    def _note(self, verified: Verified[Signed]) -> None:
        self._fresh[verified.role] = verified

    def _keep(self) -> Flow[None]:
        """Hand over what was verified since the last time."""
        if not self._fresh:
            return
        floors = {
            role: Floor(verified.signed.version, _sha256(verified.raw), verified.fingerprints)
            for role, verified in self._fresh.items()
        }
        before, self._memory = self._memory, Memory({**self._memory.floors, **floors}, self.now)
        files = {role: verified.raw for role, verified in self._fresh.items()}
        self._fresh = {}
        yield Keep(files, self._memory, before)


def check_content(what: str, listed: FileMeta, raw: bytes) -> None:
    """Require *raw* to have the length and every digest that trusted metadata lists.

    Raises:
        ContentError: It does not, or no digest listed is one that can be relied on.

    Source: TUF 1.0.34 sections 5.5.2, 5.6.2, 5.7.3.
    """
    if listed.length is not None and listed.length != len(raw):
        raise ContentError(what, f"{listed.length} bytes", f"{len(raw)} bytes")
    strong = [name for name in _STRONG if name in listed.hashes]
    if not strong:
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
    try:
        check_content("", listed, raw)
    except ContentError:
        return False
    return True


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


_STRONG = ("sha256", "sha512")
