"""What every publication goes through: read, draft, prove, hand over, read back."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, cast

from trustreg.ceremony import Ceremony
from trustreg.client import Site, drive, from_memory
from trustreg.dialect import Dialect
from trustreg.errors import (
    AbsentError,
    ChangeError,
    ContentError,
    ExpiredError,
    FormatError,
    NoKeyError,
    OutdatedError,
    PinError,
    RollbackError,
    ServerError,
    StaleError,
    ThresholdError,
    UnlistedError,
    UnprovenError,
    UntrustedError,
    VersionError,
)
from trustreg.metadata import Envelope, Key, Root, Signed, Snapshot, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, Gun, is_delegation, parent
from trustreg.ports import Cache, Repository, Store, TrustServer, Write
from trustreg.sign.changes import AddTarget, Amend, Change, Purge, RemoveTarget, SetKeys, Witness
from trustreg.sign.draft import UNATTENDED, Draft, Lifetimes
from trustreg.sign.keyfile import key_id
from trustreg.sign.pages import File, Find, suffices
from trustreg.sign.signer import describe
from trustreg.values import dataclass
from trustreg.verify.pinning import Pins, admit, anchor
from trustreg.verify.requests import Keep, Memory, Want
from trustreg.verify.signatures import Verified, load, verify
from trustreg.verify.workflow import Limits, Workflow, check_content

T = TypeVar("T")
Proven: TypeAlias = tuple[Verified[Signed], ...]
"""Files that the verifier of readers believes, in the order to publish them."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A collection as its publisher reads it.

    ``root`` is the root that readers have. It is newer than that of ``workflow`` where the other files were not signed
    for it: whoever published it broke off there, or somebody who had not seen it published meanwhile.
    """

    site: Site
    workflow: Workflow
    root: Verified[Root]

    def load(self, role: str) -> Verified[Targets] | None:
        """Load a targets role; ``None`` where there is none, or none yet."""
        try:
            return drive(self.workflow.load(role), self.site.repository, self.site.cache)
        except UnlistedError as exc:
            if exc.role != role:
                raise
            return None

    def same(self, other: "Reading") -> bool:
        """Say whether nothing was published between this one and *other*."""
        mine, theirs = self.workflow, other.workflow
        return self.root.raw == other.root.raw and mine.timestamp.raw == theirs.timestamp.raw

    def files(self) -> dict[str, Verified[Signed]]:
        """Return what was loaded, by role."""
        flow = self.workflow
        return {ROOT: self.root, SNAPSHOT: flow.snapshot, TIMESTAMP: flow.timestamp, **flow.roles}

    def targets(self) -> dict[str, Targets]:
        """Return what was loaded of targets roles."""
        return {name: part.signed for name, part in self.workflow.roles.items()}


def reading_once(dialect: Dialect) -> Dialect:
    """Return *dialect*, but that it decodes bytes of a top-level role once which it has just decoded.

    A publication reads the same files again and again: as they were kept, proven, rehearsed and read back.
    """
    return cast("Dialect", _Once(dialect))


def unattended(site: Site) -> bool:
    """Say whether nobody signs at *site* but the publishers."""
    return site.dialect.rules.tree


def read(site: Site, now: datetime, *, dangerous_skip_expiry: bool = False) -> Reading:
    """Read the collection at *site*; what its publishers sign may have expired, for they are to sign it again.

    Where a server signs the timestamp, that says what is the latest. In a store the collection has to have been read
    here before, for whoever may write there, without any key, can put back files that were good once. With
    *dangerous_skip_expiry* the caller vouches that what is there is the latest, or what is remembered where a server
    does not give it away any more.

    Raises:
        StaleError: It has expired, and nothing is remembered of it; or a later snapshot exists.
        UntrustedError: Another check failed.
        UnavailableError: An answer could not be had.
        ChangeError: It is laid out in a way that cannot be published to.
    """
    if not unattended(site):
        return _read_attended(site, now, dangerous_skip_expiry=dangerous_skip_expiry)
    reading = _steadily(lambda: _read(site, now))
    stamp = reading.workflow.timestamp.signed  # a good one says which of the rest is the latest, expired or not
    if stamp.expires <= now and TIMESTAMP not in site.cache.memory().floors:
        later = _later_snapshot(reading)
        if later or not dangerous_skip_expiry:
            raise StaleError(str(site.gun), TIMESTAMP, stamp.version, stamp.expires, later)
    if not reading.root.signed.consistent_snapshot:
        raise ChangeError(
            ROOT, "", "its snapshots are not consistent: files are replaced, and readers would see halves"
        )
    return reading


def _later_snapshot(reading: Reading) -> int:
    """Return a version of the snapshot after the one that is served, signed by its keys; 0 if there is none."""
    site, root = reading.site, reading.root.signed
    current, name = reading.workflow.snapshot.signed.version, site.dialect.locate(SNAPSHOT)
    for version in sorted(one for one in taken(site).get(name, ()) if one > current)[:_MOST_LATER]:
        raw = site.repository.fetch(Want(SNAPSHOT, site.dialect.locate(SNAPSHOT, version=version), Limits().snapshot))
        with suppress(UntrustedError):  # anybody can leave rubbish
            claim = site.dialect.decode(SNAPSHOT, raw or b"")
            verify(claim, root.roles[SNAPSHOT], root.keys)
            if claim.signed.version == version:
                return version
    return 0


def _read(site: Site, now: datetime) -> Reading:
    workflow = site.workflow(now, dangerous_skip_expiry=unattended(site))  # who is late has to sign, not wait
    try:
        drive(workflow.refresh(), site.repository, site.cache)
    except ThresholdError as exc:
        if not unattended(site) or exc.role not in {TARGETS, SNAPSHOT, TIMESTAMP}:
            raise
        root = workflow.root
        return Reading(site=site, workflow=_under_the_root_before(site, now, root, exc), root=root)
    return Reading(site=site, workflow=workflow, root=workflow.root)


def _read_attended(site: Site, now: datetime, *, dangerous_skip_expiry: bool) -> Reading:
    try:
        return _read(site, now)
    except (ExpiredError, PinError) as exc:
        if isinstance(exc, ExpiredError) and exc.role == TIMESTAMP:
            raise
    except ServerError as exc:
        # A server of Notary does not serve a timestamp any more when the snapshot has expired, and is not its to sign.
        if not dangerous_skip_expiry or not exc.status >= 500:
            raise
        workflow = site.workflow(now, where="the cache", dangerous_skip_expiry=True)
        drive(from_memory(workflow.refresh(recalled=True), site.dialect), site.repository, site.cache)
        return Reading(site=site, workflow=workflow, root=workflow.root)
    late = site.workflow(now, dangerous_skip_expiry=True)
    drive(late.refresh(), site.repository, site.cache)
    stamp = late.timestamp.signed
    if stamp.expires <= now:
        raise ExpiredError(TIMESTAMP, stamp.version, stamp.expires, now)
    return Reading(site=site, workflow=late, root=late.root)


def _steadily(read: Callable[[], T]) -> T:
    """Return what *read* returns: anew where it fails as it may while others publish between two of its requests."""
    for _ in range(_READS - 1):
        with suppress(AbsentError, ContentError, ThresholdError, UnlistedError, VersionError):
            return read()
    return read()


def _under_the_root_before(site: Site, now: datetime, root: Verified[Root], exc: ThresholdError) -> Workflow:
    """Read the collection as those do who do not know *root* yet.

    The root of before is believed because the keys of *root* signed it as well as its own; what is remembered of the
    other roles still holds.
    """
    dialect, version = site.dialect, root.signed.version
    raw = site.repository.fetch(Want(ROOT, dialect.locate(ROOT, version=version - 1), Limits().root))
    if raw is None:
        raise exc
    before = cast("Envelope[Root]", dialect.decode(ROOT, raw))
    try:
        verify(before, root.signed.roles[ROOT], root.signed.keys)
        anchor(before, site.gun)
    except UntrustedError:
        raise exc from None
    workflow = site.workflow(now, pins=Pins(root=raw), dangerous_skip_expiry=True)
    hidden = dialect.locate(ROOT, version=version)
    drive(workflow.refresh(), _Without(site.repository, hidden), _Rootless(site.cache))
    return workflow


def begin(reading: Reading, now: datetime, lifetimes: Lifetimes | None, taken: Mapping[str, Collection[int]]) -> Draft:
    """Begin a draft on top of *reading*."""
    alone = unattended(reading.site)
    return Draft(
        reading.site.dialect,
        now,
        reading.root.signed,
        reading.targets(),
        reading.workflow.snapshot.signed,
        reading.workflow.timestamp.signed,
        before=reading.root.signed,
        unattended=alone,
        lifetimes=lifetimes or (UNATTENDED if alone else Lifetimes()),
        taken=taken,
    )


def apply(draft: Draft, reading: Reading, changes: Iterable[Change], find: Find) -> None:
    """Apply *changes* to *draft*, and have it sign again what its own signatures do not vouch for any more.

    Raises:
        ChangeError: The collection as it stands has no place for one of them.
    """
    changes = tuple(changes)  # they are gone through twice
    for change in changes:
        asked: set[str] = set()
        while missing := [role for role in draft.needs(change) if role not in asked]:
            for role in missing:
                asked.add(role)
                for above in _lineage(reading.site, role):
                    draft.know(_unvouched(draft, reading, above, change))
            draft.know(reading.targets())
        draft.apply(_as_listed(draft, change))
    if not unattended(reading.site):
        _go_on(draft, reading, {change.name for change in changes if isinstance(change, Amend)}, find)
    _settle(draft, reading, find)


def _go_on(draft: Draft, reading: Reading, amended: Collection[str], find: Find) -> None:
    """Have roles that begin again go on after the versions that they had.

    Readers who know those miss a role that is delegated to again until it is published. Where its keys are here, it is
    at once.
    """
    for role in amended:
        above = reading.workflow.roles.get(parent(role))
        old = above and above.signed.delegation(role)
        if old or role in draft.roles or not any(draft.delegators(role)):
            continue
        (authority,) = draft.authorities(role)
        if not (authority[0].keyids and _last_version(reading, role)):
            continue
        if suffices(authority, find):
            draft.apply(Witness(role=role))
        elif role not in reading.workflow.snapshot.signed.meta:  # a server that lists it still has what it said
            draft.waiting.add(role)
    begun = [role for role in draft.touched if is_delegation(role) and not draft.roles[role].version]
    draft.know_versions({role: _last_version(reading, role) for role in begun})


def _last_version(reading: Reading, role: str) -> int:
    """Return the last version of *role* that a trust server ever had, where it was delegated to before; else 0."""
    site = reading.site
    floor = site.cache.memory().floors.get(role)
    version = floor.version if floor else 0
    for later in range(version + 1, version + _MOST_LATER_VERSIONS):
        path = site.dialect.locate(role, version=later)
        if site.repository.fetch(Want(role, path, Limits().targets)) is None:
            break
        version = later
    return version


def _unvouched(draft: Draft, reading: Reading, role: str, change: Change) -> dict[str, Targets]:
    """Load *role*, and return what it says though its keys do not vouch for it any more, where *change* is to mend it.

    Where other keys may sign a role of Notary now than have, it stays so until one of them signs what it said.
    """
    mending = is_delegation(role) and not unattended(reading.site) and isinstance(change, _MENDING)
    try:
        reading.load(role)
    except (ThresholdError, ExpiredError) as exc:
        if not mending or exc.role != role:
            raise
        if isinstance(change, Witness):
            return {role: _as_it_stands(draft.dialect, reading, role, exc)}
    return {}  # its terms can be changed all the same


def _as_it_stands(dialect: Dialect, reading: Reading, role: str, fault: ThresholdError | ExpiredError) -> Targets:
    """Return what the file of *role* says that the snapshot lists, if it counted once before there was *fault* with it.

    Raises:
        ThresholdError: As far as can be known it never did: whoever signs snapshots can list anything.
    """
    listed, site = reading.workflow.snapshot.signed.meta[role], reading.site
    path = dialect.locate(role, listed)
    raw = site.repository.fetch(Want(role, path, min(listed.length or 0, Limits().targets)))
    if raw is None:
        raise AbsentError(role, path)
    check_content(role, listed, raw)
    claim = dialect.decode(role, raw)
    floor = site.cache.memory().floors.get(role)
    if floor and claim.signed.version < floor.version:
        raise RollbackError(role, floor.version, claim.signed.version)
    known = floor is not None and hashlib.sha256(raw).hexdigest() == floor.sha256
    if isinstance(fault, ThresholdError) and not known and not _counted_once(reading, claim):
        why = (*fault.why, "nor did keys that might sign it earlier: take the delegation away, and begin it again")
        raise ThresholdError(role, fault.needed, fault.valid, why) from fault
    return cast("Targets", claim.signed)


def _counted_once(reading: Reading, claim: Envelope[Signed]) -> bool:
    """Say whether an earlier version of who delegates to the role of *claim* has keys that signed it."""
    above, site = parent(claim.role), reading.site
    part = reading.load(above)
    if part is None:
        return False
    by, keys = reading.workflow.root.signed.roles[TARGETS], reading.workflow.root.signed.keys
    if above != TARGETS:
        owner = reading.workflow.roles[parent(above)].signed
        by, keys = owner.delegation(above) or by, owner.keys
    for version in range(part.signed.version - 1, max(0, part.signed.version - 1 - _MOST_EARLIER), -1):
        raw = site.repository.fetch(Want(above, site.dialect.locate(above, version=version), Limits().targets))
        with suppress(UntrustedError):  # who is looked at is not believed
            earlier = site.dialect.decode(above, raw or b"")
            verify(earlier, replace(by, name=above), keys)
            owner = cast("Targets", earlier.signed)
            if delegation := owner.delegation(claim.role):
                verify(claim, delegation, owner.keys)
                return True
    return False


def _as_listed(draft: Draft, change: Change) -> Change:
    """Return *change* with the ids under which keys are listed, where it has those of the plain keys."""
    if isinstance(change, Purge):
        return replace(change, keys=_listed_ids(draft.roles.get(change.role), change.keys))
    if isinstance(change, Amend):
        return replace(change, remove_keys=_listed_ids(draft.roles.get(change.role), change.remove_keys))
    return change


def _listed_ids(owner: Targets | None, ids: Collection[str]) -> tuple[str, ...]:
    keys = owner.keys if owner and ids else {}
    return tuple(keyid for keyid, key in keys.items() if keyid in ids or plain_id(key) in ids)


def plain_id(key: Key) -> str:
    """Return the id that private keys go by: that of the plain key, whatever it is listed as."""
    public = load(key)
    return key_id(*describe(public)) if public else key.id


def _settle(draft: Draft, reading: Reading, find: Find) -> None:
    """Have signed again what too few of the keys have signed that count from now on.

    A delegated role of Notary can wait for those who may sign it.
    """
    changed = draft.root is not reading.workflow.root.signed
    workflow, alone = reading.workflow, unattended(reading.site)
    published: dict[str, Verified[Signed]] = {**workflow.roles}
    if alone:
        published |= {SNAPSHOT: workflow.snapshot, TIMESTAMP: workflow.timestamp}
    for name, part in published.items():
        if name in draft.touched or (name in TOP_LEVEL and not changed):
            continue
        claim = draft.dialect.decode(name, part.raw)
        try:
            for role, keys in draft.authorities(name):
                verify(claim, role, keys)
        except ChangeError:
            continue  # nobody delegates to it any more
        except ThresholdError:
            mine = name in TOP_LEVEL or alone or all(suffices(one, find) for one in draft.authorities(name))
            (draft.touched if mine else draft.waiting).add(name)
    if not alone:  # nobody could read back what is published beside something that has expired
        top: dict[str, Verified[Signed]] = {ROOT: reading.root, TARGETS: workflow.roles[TARGETS]}
        draft.touched |= {name for name, part in top.items() if part.signed.expires <= draft.now and draft.touched}


def prove(draft: Draft, files: Iterable[File], gun: Gun) -> Proven:
    """Put what is about to be published before the verifier that readers use.

    Raises:
        ThresholdError: Too few keys signed it.
        PinError: It is a root with a key that can be none of *gun*.
    """
    proven = []
    for file in files:
        claim = draft.dialect.decode(file.page.role, file.raw)
        for role, keys in file.page.authorities:
            verified = verify(claim, role, keys)
        if isinstance(claim.signed, Root):
            admit(cast("Envelope[Root]", claim), gun, Pins(), draft.now, known=True)
        proven.append(verified)
    return tuple(proven)


def rehearse(now: datetime, reading: Reading, proven: Proven, changes: Iterable[Change]) -> None:
    """Read *proven* as if it had been published, and find what *changes* add, before anybody else does.

    Raises:
        UntrustedError: A reader would refuse it.
        NoKeyError: Readers would refuse it until the last file is there.
        ChangeError: No reader would find a target where it is added.
    """
    site = reading.site
    workflow = site.workflow(now, pins=Pins(root=reading.root.raw), dangerous_skip_expiry=True)
    repository = _Over(site.repository, {write.path: write.data for write in writes(site, proven, {})})
    cache = _Just(site.cache, proven)
    drive(workflow.refresh(), repository, cache)
    if reading.root is reading.workflow.root:  # else readers have no whole collection to begin with
        _rehearse_each_step(now, reading, proven)
    for mine in proven:
        if mine.role not in TOP_LEVEL:
            drive(workflow.load(mine.role), repository, cache)
    last = {change.name: change for change in changes if isinstance(change, AddTarget | RemoveTarget)}
    for name, change in last.items():
        if not isinstance(change, AddTarget):
            continue
        found = drive(workflow.find(name), repository, cache)
        if found is None or found.meta != change.meta:
            speaker = f"{found.role} speaks for it first" if found else "their search does not get there"
            raise ChangeError(change.role, name, f"readers would not find it: {speaker}")


def _rehearse_each_step(now: datetime, reading: Reading, proven: Proven) -> None:
    """Read as readers do between two files: only a root and the timestamp change what they see.

    Raises:
        NoKeyError: Readers would refuse a file, because a key that counts until the last root is there is not here.
    """
    site, steps = reading.site, writes(reading.site, proven, {})
    for done, mine in enumerate(proven[:-1], 1):
        if mine.role not in {ROOT, TIMESTAMP}:
            continue
        workflow = site.workflow(now, pins=Pins(root=reading.root.raw), dangerous_skip_expiry=True)
        there = _Over(site.repository, {write.path: write.data for write in steps[:done]})
        try:
            drive(workflow.refresh(), there, site.cache)
        except ThresholdError as exc:
            role = reading.root.signed.roles.get(exc.role)
            if role is None:
                raise
            raise NoKeyError(exc.role, role.keyids) from exc


def hand_over(site: Site, proven: Proven, before: Reading | None, replaced: Mapping[str, bytes]) -> None:
    """Publish *proven* on top of *before*; files at the paths *replaced* make way."""
    if not unattended(site):
        cast("TrustServer", site.repository).publish({mine.role: mine.raw for mine in proven})
        return
    was = {site.dialect.locate(TIMESTAMP): before.workflow.timestamp.raw} if before else {}
    cast("Store", site.repository).write(writes(site, proven, was | dict(replaced)))


def writes(site: Site, proven: Proven, was: Mapping[str, bytes]) -> list[Write]:
    """Return the steps that publish *proven*; *was* is what there is, by path."""
    steps = []
    for mine in proven:
        version = None if mine.role == TIMESTAMP else mine.signed.version  # everything else has it in its name
        path = site.dialect.locate(mine.role, version=version)
        steps.append(Write(path=path, data=mine.raw, was=was.get(path)))
    return steps


def confirm(now: datetime, site: Site, proven: Proven, before: Reading | None = None) -> None:
    """Read the collection as a reader does, and find *proven* in it, or later files.

    Raises:
        UnprovenError: It is not there.
        UnavailableError: An answer could not be had.
    """
    cache, last = _Just(site.cache, proven), {mine.role: mine for mine in proven}
    pins = _pins_to_confirm(site, last.get(ROOT), before)

    def look() -> Workflow:
        workflow = site.workflow(now, pins=pins)
        drive(workflow.refresh(), site.repository, cache)
        for role in last:
            if role not in TOP_LEVEL:
                drive(workflow.load(role), site.repository, cache)
        return workflow

    try:
        workflow = _steadily(look) if unattended(site) else look()
    except UntrustedError as exc:
        raise UnprovenError(str(site.gun), str(exc)) from exc
    current = Reading(site=site, workflow=workflow, root=workflow.root).files()
    for role, mine in last.items():
        served, version = current.get(role), mine.signed.version
        if served is None or (served.raw != mine.raw and served.signed.version <= version):
            raise UnprovenError(str(site.gun), f"the server does not have {role} v{version} as it was published")


def _pins_to_confirm(site: Site, root: Verified[Signed] | None, before: Reading | None) -> Pins:
    if root and before:  # who pinned what it replaces has to hear of it, and not from here
        again = root.signed.version == before.root.signed.version  # readers do not ask for what they have
        path = site.dialect.locate(ROOT, version=root.signed.version)
        raw = site.repository.fetch(Want(ROOT, path, Limits().root)) if again else before.root.raw
        return Pins(root=raw)
    if root and not site.cache.memory().floors:  # not to be taken on trust by the very one who signed it
        return Pins(keys=root.signed.roles[ROOT].keyids if isinstance(root.signed, Root) else ())
    return site.pins


def taken(site: Site) -> dict[str, set[int]]:
    """Return the versions of each file in a store, whether a snapshot lists them or not; a server looks for itself."""
    found: dict[str, set[int]] = {}
    if not unattended(site):
        return found
    for path in cast("Store", site.repository).names():
        version, _, name = path.partition(".")
        if version.isdecimal() and name:
            found.setdefault(name, set()).add(int(version))
    return found


def require_base(reading: Reading, ceremony: Ceremony, files: Iterable[File]) -> None:
    """Require *ceremony* to build on what is published, and the versions of its *files* to be free.

    Raises:
        OutdatedError: They are not.
    """
    site, dialect = reading.site, reading.site.dialect
    for role, raw in ceremony.base.items():
        current = reading.files().get(role) or reading.load(role)
        if current is None or current.raw != raw:
            built_on = dialect.decode(role, raw).signed.version
            raise OutdatedError(str(site.gun), role, built_on, current.signed.version if current else 0)
    for file in files:
        role, version = file.page.role, file.page.signed.version
        if role == TIMESTAMP:
            continue
        there = site.repository.fetch(Want(role, dialect.locate(role, version=version), Limits().targets))
        if there not in {None, file.raw}:
            raise OutdatedError(str(site.gun), role, version - 1, version)


def old_files(reading: Reading, keep: int) -> Iterator[str]:
    """Yield the paths of files that neither the snapshot nor the last *keep* ones before it list."""
    site, snapshot = reading.site, reading.workflow.snapshot.signed
    locate, store = site.dialect.locate, cast("Store", site.repository)
    current = {locate(role): meta.version for role, meta in snapshot.meta.items()}
    current[locate(SNAPSHOT)] = snapshot.version
    versioned = (path.partition(".") for path in store.names())
    there = [(int(version), name) for version, _, name in versioned if version.isdecimal() and name in current]
    needed = {(version, name) for name, version in current.items()}
    earlier = sorted((v for v, name in there if name == locate(SNAPSHOT) and v < snapshot.version), reverse=True)
    for version in earlier:
        if keep <= 0:
            break
        raw = store.fetch(Want(SNAPSHOT, locate(SNAPSHOT, version=version), Limits().snapshot))
        with suppress(FormatError):  # rubbish keeps nothing
            old = site.dialect.decode(SNAPSHOT, raw or b"").signed
            meta = old.meta if isinstance(old, Snapshot) else {}
            needed |= {(version, locate(SNAPSHOT)), *((one.version, locate(role)) for role, one in meta.items())}
            keep -= 1
    for version, name in there:
        if version < current[name] and (version, name) not in needed:
            yield f"{version}.{name}"


def in_search_order(name: str, load: Callable[[str, str], Targets | None]) -> Iterator[tuple[str, ...]]:
    """Yield the roles that may speak for *name*, each with those above it, in the order in which readers ask them.

    Args:
        name: The name of a target.
        load: Returns what a role says, given who delegates to it; ``None`` where that is not to be followed.

    Source: TUF 1.0.34 section 5.6.7.
    """
    ahead: list[tuple[str, ...]] = [(TARGETS,)]
    seen: set[tuple[str, ...]] = set()
    while ahead:
        chain = ahead.pop()
        if chain[-2:] in seen:
            continue
        seen.add(chain[-2:])
        part = load(chain[-2] if len(chain) > 1 else "", chain[-1])
        if part is None:
            continue
        yield chain
        following, ends = part.followed(name)
        ahead = ([] if ends else ahead) + [(*chain, delegation.name) for delegation in reversed(following)]


def versions(proven: Sequence[Verified[Signed]]) -> dict[str, int]:
    """Return the version of each role that is in *proven*."""
    return {mine.role: mine.signed.version for mine in proven}


_MENDING = (Witness, Amend, Purge, SetKeys)
_MOST_LATER_VERSIONS = 1000  # of a role that begins again
_MOST_EARLIER = 256  # versions of who delegates to a role that nobody vouches for
_MOST_LATER = 16  # snapshots looked at: each may have the size of the limit
_READS = 4  # of a collection that others publish to at the same time


def _lineage(site: Site, role: str) -> tuple[str, ...]:
    """Return *role* and, where its name says so, every role above it, the highest first."""
    if site.dialect.rules.tree:
        return (role,)
    parts = role.split("/")
    return tuple("/".join(parts[: n + 1]) for n in range(len(parts)))


class _Once:
    """A dialect that knows what it has decoded last of each top-level role."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._decoded = dialect, dict[str, Envelope[Signed]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        known = self._decoded.get(role)
        if known is not None and known.raw == raw:
            return known
        decoded = self._dialect.decode(role, raw)
        if role in TOP_LEVEL:
            self._decoded[role] = decoded
        return decoded


class _Just:
    """A cache that also has the files just published: what the server lists of them need not come back."""

    def __init__(self, cache: Cache, proven: Proven) -> None:
        self._cache, self._files = cache, {mine.role: mine.raw for mine in proven}

    def memory(self) -> Memory:
        return self._cache.memory()

    def recall(self, role: str) -> bytes | None:
        # The root is not recalled: a first root has to be met like anybody's.
        return self._files.get(role) if role in self._files and role != ROOT else self._cache.recall(role)

    def keep(self, keep: Keep) -> None:
        self._cache.keep(keep)


class _Rootless:
    """A cache that knows nothing of roots, and keeps nothing."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def memory(self) -> Memory:
        memory = self._cache.memory()
        return replace(memory, floors={role: floor for role, floor in memory.floors.items() if role != ROOT})

    def recall(self, role: str) -> bytes | None:
        return None if role == ROOT else self._cache.recall(role)

    def keep(self, keep: Keep) -> None:
        pass


class _Without:
    """A repository that has no file at one path."""

    def __init__(self, repository: Repository, path: str) -> None:
        self._repository, self._path, self.where = repository, path, repository.where

    def fetch(self, want: Want) -> bytes | None:
        return None if want.path == self._path else self._repository.fetch(want)


class _Over:
    """A repository with files lying over its own."""

    def __init__(self, repository: Repository, files: Mapping[str, bytes]) -> None:
        self._repository, self._files, self.where = repository, files, repository.where

    def fetch(self, want: Want) -> bytes | None:
        return self._files[want.path] if want.path in self._files else self._repository.fetch(want)
