"""The use cases of people who read collections: verify, list, inspect.

Everything outside comes through ``ports``.
"""

import itertools
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, Protocol, TypeAlias, TypeVar

from trustreg.dialect import Dialect
from trustreg.errors import (
    AbsentError,
    ContentError,
    DigestUnsignedError,
    ExpiredCopyError,
    ExpiredError,
    FormatError,
    MovedError,
    NeitherError,
    NeitherKnownError,
    OfflineError,
    TrustregError,
    UnavailableError,
    UnsignedError,
    UntrustedError,
    VersionError,
)
from trustreg.metadata import STRONG, FileMeta, Role, Signed, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, Digest, Gun, Reference, is_tag
from trustreg.ports import Cache, Registry, Repository
from trustreg.values import dataclass, field
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Answer, Keep, Recall, Remember, Want
from trustreg.verify.signatures import Verified
from trustreg.verify.workflow import RELEASED, Flow, Found, Limits, Workflow

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Yes: this digest is what the publishers signed.

    Attributes:
        image: What was asked, normalised.
        pinned: ``repository@digest``: the name to use from here on.
        gun: The collection that vouched.
        tag: The tag that is bound to the digest.
        digest: The digest of the manifest or index.
        length: Its length in bytes.
        role: The role that signed the tag.
        keyids: Ids of the keys that vouched for that role.
        fingerprints: The sha256 of each of these keys, however it is listed.
        root_keyids: Ids of the keys that vouched for the root.
        expires: When the first of the files relied on expires.
        first_use: The root was not pinned and nothing was known of it: it was believed because it came first.
        compared: The registry was asked, and serves the same digest.
        place: Where that collection is: the address of its server or store.
        previous_until: It is not the collection that is in use, but the one before, whose word counts until then.
        stale_since: The trust server could not be reached; this is what was known then, within the grace allowed.
        taken: It was judged by a copy that was taken then.
    """

    image: str
    pinned: str
    gun: Gun
    tag: str
    digest: Digest
    length: int
    role: str
    keyids: tuple[str, ...]
    root_keyids: tuple[str, ...]
    expires: datetime
    first_use: bool
    compared: bool
    fingerprints: tuple[str, ...] = ()
    place: str = ""
    previous_until: datetime | None = None
    stale_since: datetime | None = None
    taken: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Untrusted:
    """No: a check was made and did not hold; ``error`` says which."""

    image: str
    error: UntrustedError


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Don't know: an answer could not be had; ``error`` says why."""

    image: str
    error: TrustregError


Verdict: TypeAlias = Trusted | Untrusted | Unknown


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tag as one role signs it; ``counts`` says whether this role's word is the one that is taken."""

    tag: str
    digest: Digest
    length: int
    role: str
    keyids: tuple[str, ...]
    counts: bool


@dataclass(frozen=True, kw_only=True)
class RoleState:
    """A role as it stands: who may sign it, who did, and until when."""

    name: str
    version: int
    expires: datetime
    threshold: int
    keyids: tuple[str, ...]
    signed_by: tuple[str, ...]
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A whole collection, verified: its roles, its tags, and the delegated roles that failed a check."""

    gun: Gun
    server: str
    roles: tuple[RoleState, ...]
    entries: tuple[Entry, ...]
    failed: Mapping[str, UntrustedError]
    expires: datetime
    first_use: bool
    stale_since: datetime | None = None
    taken: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A collection as it stood when it was last asked for.

    Attributes:
        gun: Its name.
        place: Where it is.
        roles: Those that were read, as they stand.
        expires: When the first of their files expires, or the time is over in which memory may stand in.
        asked: When it was asked for.
        stale_since: Nobody could be reached; this is what was known then.
    """

    gun: Gun
    place: str
    roles: tuple[RoleState, ...]
    expires: datetime
    asked: datetime
    stale_since: datetime | None = None

    @property
    def versions(self) -> tuple[object, ...]:
        """What is the same as long as everything that the collection says is the same."""
        top = tuple(role.version for role in self.roles if role.name in TOP_LEVEL)
        return (str(self.gun), self.place, top, self.stale_since)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a collection lives and what the caller demands of it.

    Attributes:
        gun: Its name: that of the repository whose tags it signs, or one of its own where it signs for several.
        dialect: How its metadata is written.
        repository: Where its files are read; to publish, a :class:`TrustServer` or a :class:`trustreg.ports.Store`.
        cache: What is remembered of it.
        pins: What the caller knows of its root.
        roles: The roles whose word counts, in order; they all do in the tree of delegations of TUF.
        offline_grace: How long what is remembered may stand in for a repository that cannot be reached.
        limits: What its metadata may cost.
        taken: When what is in ``repository`` was copied there; ``None`` where it is no copy.
    """

    gun: Gun
    dialect: Dialect
    repository: Repository
    cache: Cache
    pins: Pins = field(default_factory=Pins)
    roles: tuple[str, ...] = RELEASED
    offline_grace: timedelta = timedelta(0)
    limits: Limits | None = None
    taken: datetime | None = None

    def target(self, image: Reference) -> str:
        """Return the name of the target that binds the tag of *image*.

        In Notary it is the tag: a collection is that of one repository, and its root names it. In TUF it is the whole
        name, so that what was signed for one image is never taken for another.
        """
        return f"{self.prefix(image.gun)}{image.tag}"

    def prefix(self, gun: Gun) -> str:
        """Return what the targets of the repository *gun* begin with, before the tag."""
        return f"{gun}:" if self.dialect.rules.tree else ""

    def workflow(
        self,
        now: datetime,
        *,
        pins: Pins | None = None,
        where: str | None = None,
        root_age: timedelta = timedelta(0),
        dangerous_skip_expiry: bool = False,
    ) -> Workflow:
        """Return a workflow that reads the collection at *now*."""
        return Workflow(
            self.dialect,
            self.gun,
            now,
            pins=pins or self.pins,
            limits=self.limits,
            where=where or self.repository.where,
            root_age=root_age,
            dangerous_skip_expiry=dangerous_skip_expiry,
        )


@dataclass(frozen=True, kw_only=True)
class Previous:
    """The collection that another one takes the place of, and until when its word counts beside that of the new one."""

    site: Site
    until: datetime


class Sites(Protocol):
    """Finds the :class:`Site` of a collection."""

    def __call__(self, gun: Gun) -> Site:
        """Return where the collection that signs for the repository *gun* lives."""


class Verifier:
    """Says whether images are what their publishers signed. Keep one; it may be shared by threads.

    Args:
        sites: Finds a collection.
        registry: Where images are asked for.
        max_age: How long a refreshed collection may be used again before the server is asked; by default
            only within one ``now``.
        previous: Finds the collection that a repository had before, if the word of that counts for a time.
    """

    def __init__(
        self,
        sites: Sites,
        registry: Registry,
        max_age: timedelta = timedelta(0),
        previous: Callable[[Gun], Previous | None] = lambda _: None,
    ) -> None:
        self._sites, self._registry, self._max_age = sites, registry, max_age
        self._previous, self._known_previous = previous, dict[Gun, Previous | None]()
        self._before: Verifier | None = None
        self._homes: dict[Gun, Gun] = {}  # repository -> collection
        self._unread: dict[Gun, Site] = {}  # found to learn that, and good for the first reading
        self._open: dict[Gun, Opened] = {}
        self._locks: dict[Gun, Lock] = {}
        self._guard = Lock()

    def verify(self, image: Reference, now: datetime, *, compare: bool = True, roles: tuple[str, ...] = ()) -> Trusted:
        """Require *image* to be what its publishers signed.

        By tag, the signed digest has to be the one that the registry serves now; *compare* false leaves the
        registry alone and only resolves the tag. By digest, some tag that counts has to be bound to it. With tag
        and digest both, the tag has to be bound to that digest. Where *roles* are given, only their word counts.

        Where the repository had another collection before, whose word counts until after *now*, and the new one does
        not say yes, the old one may: see :class:`Previous`.

        Raises:
            UntrustedError: It is not: :class:`NeitherError` where two collections were asked.
            UnavailableError: An answer could not be had: :class:`NeitherKnownError` where two were asked, and one of
                them gave none, or what the other said was no yes.
        """
        try:
            return self._verify(image, now, roles, compare=compare)
        except (UntrustedError, UnavailableError) as exc:
            previous = self._previous_of(image.gun)
            if previous is None or now >= previous.until:
                raise
            try:
                found = self._verifier_before().verify(image, now, compare=compare, roles=roles)
            except (UntrustedError, UnavailableError) as before:
                both = isinstance(exc, UntrustedError) and isinstance(before, UntrustedError)
                kind = NeitherError if both else NeitherKnownError
                raise kind(str(image), exc.code, str(exc), before.code, str(before)) from exc
        return replace(found, previous_until=previous.until)

    def _previous_of(self, gun: Gun) -> Previous | None:
        if gun not in self._known_previous:
            self._known_previous[gun] = self._previous(gun)
        return self._known_previous[gun]

    def _verifier_before(self) -> "Verifier":
        """Return what reads the collections that others have taken the place of."""

        def site(gun: Gun) -> Site:
            previous = self._previous_of(gun)
            assert previous  # noqa: S101 # nobody else is asked about
            return previous.site

        with self._guard:
            self._before = self._before or Verifier(site, self._registry, self._max_age)
        return self._before

    def _verify(self, image: Reference, now: datetime, roles: tuple[str, ...], *, compare: bool) -> Trusted:
        find = self._by_tag if image.tag else self._by_digest
        with self._one(image.gun):
            opened, found = self._read(image.gun, now, lambda opened: find(opened, image, roles))
            expires = opened.workflow.expires(found.chain)
        digest, length = content_of(found.name, found.meta)
        tag = found.name.removeprefix(opened.site.prefix(image.gun))
        if image.digest and image.digest != digest:
            raise MovedError(str(image.gun), tag, str(digest), str(image.digest))
        compared = bool(compare and image.tag and not image.digest)
        if compared:
            served = self._registry.manifest(image)
            if served.digest != digest:
                raise MovedError(str(image.gun), tag, str(digest), str(served.digest))
            if len(served.raw) != length:
                raise ContentError(f"the manifest of {image}", f"{length} bytes", f"{len(served.raw)} bytes")
        return Trusted(
            image=str(image),
            pinned=image.pinned(digest),
            gun=image.gun,
            tag=tag,
            digest=digest,
            length=length,
            role=found.role,
            keyids=found.signers,
            root_keyids=opened.workflow.root.keyids,
            expires=expires,
            first_use=opened.workflow.first_use,
            compared=compared,
            fingerprints=found.chain[-1].fingerprints,
            place=opened.site.repository.where,
            stale_since=opened.stale_since,
            taken=opened.site.taken,
        )

    def judge(self, image: Reference, now: datetime, *, compare: bool = True) -> Verdict:
        """Say whether *image* is what its publishers signed; like :meth:`verify`, but raises nothing."""
        try:
            return self.verify(image, now, compare=compare)
        except UntrustedError as exc:
            return Untrusted(image=str(image), error=exc)
        except TrustregError as exc:
            return Unknown(image=str(image), error=exc)

    def contents(self, gun: Gun, now: datetime) -> Contents:
        """Return everything the collection says, and which delegated roles failed a check.

        Raises:
            UntrustedError: A top-level role failed.
            UnavailableError: An answer could not be had.
        """
        with self._one(gun):
            opened, failed = self._read(gun, now, lambda opened: opened.drive(opened.workflow.delegated()))
            workflow = opened.workflow
            return Contents(
                gun=gun,
                server=opened.site.repository.where,
                roles=tuple(_role_states(workflow)),
                entries=tuple(sorted(entries(opened, gun, failed), key=lambda e: (e.tag, not e.counts, e.role))),
                failed=failed,
                expires=workflow.expires(tuple(workflow.roles.values())),
                first_use=workflow.first_use,
                stale_since=opened.stale_since,
                taken=opened.site.taken,
            )

    def standing(self, gun: Gun, now: datetime) -> "tuple[Standing, ...]":
        """Return what answers about *gun* rest on at *now*: its collection, and the one before, if its word counts.

        Raises:
            UntrustedError: A check failed.
            UnavailableError: An answer could not be had.
        """
        with self._one(gun):
            opened = self._refreshed(gun, now)
            workflow = opened.workflow
            mine = Standing(
                gun=opened.site.gun,
                place=opened.site.repository.where,
                roles=tuple(_role_states(workflow)),
                expires=opened.until(),
                asked=opened.at,
                stale_since=opened.stale_since,
            )
        previous = self._previous_of(gun)
        if previous is None or now >= previous.until:
            return (mine,)
        before = self._verifier_before().standing(gun, now)
        return (mine, *(replace(one, expires=min(one.expires, previous.until)) for one in before))

    def _one(self, gun: Gun) -> Lock:
        home = self._home(gun)
        with self._guard:
            return self._locks.setdefault(home, Lock())

    def _home(self, gun: Gun) -> Gun:
        """Return the collection that signs for *gun*."""
        if gun not in self._homes:
            self._unread[gun] = self._sites(gun)
            self._homes[gun] = self._unread[gun].gun
        return self._homes[gun]

    def _read(self, gun: Gun, now: datetime, look: "Callable[[Opened], T]") -> "tuple[Opened, T]":
        """Return *gun* opened, and what *look* makes of it at *now*, not at the time of an earlier refresh."""
        while True:
            opened = self._refreshed(gun, now)
            found = look(opened)
            if opened.at == now or opened.serves(now, self._max_age):  # it may have loaded what has expired since
                return opened, found

    def _refreshed(self, gun: Gun, now: datetime) -> "Opened":
        home = self._home(gun)
        opened = self._open.get(home)
        if opened is None or not opened.serves(now, self._max_age):
            site = self._unread.pop(gun, None)
            opened = refresh(site or self._sites(gun), now)
            with self._guard:
                self._open.pop(home, None)
                if len(self._open) >= _MOST_OPEN:
                    del self._open[next(iter(self._open))]
                self._open[home] = opened
        return opened

    def _by_tag(self, opened: "Opened", image: Reference, required: tuple[str, ...]) -> Found:
        name, tree = opened.site.target(image), opened.site.dialect.rules.tree
        found = _look(opened, name, required)
        if found is None:
            asked = required or ((TARGETS,) if tree else opened.site.roles)
            elsewhere = (role for role, part in opened.workflow.roles.items() if name in part.signed.targets)
            raise UnsignedError(str(image.gun), image.tag or "", asked, tuple(sorted(set(elsewhere) - set(asked))))
        return found

    def _by_digest(self, opened: "Opened", image: Reference, required: tuple[str, ...]) -> Found:
        """Find a tag that resolves to the digest; a tag that another role has since bound elsewhere is none."""
        digest, workflow = image.digest, opened.workflow
        assert digest is not None  # noqa: S101 # a reference has a tag or a digest
        wanted, prefix, roles = bytes.fromhex(digest.hex), opened.site.prefix(image.gun), required or opened.site.roles
        failed: dict[str, UntrustedError] = {}
        if opened.site.dialect.rules.tree:
            failed = opened.drive(workflow.delegated())
            roles = tuple(workflow.roles)
        for role in roles:
            targets = opened.drive(workflow.load(role))
            for name in _names_with(targets, prefix, digest.algorithm, wanted):
                found = _look(opened, name, required)
                if found and found.meta.hashes.get(digest.algorithm) == wanted:
                    return found
        for failure in failed.values():
            raise failure  # what it would have said is not known
        raise DigestUnsignedError(str(image.gun), str(digest), required or roles)


def _look(opened: "Opened", name: str, required: tuple[str, ...]) -> Found | None:
    """Return what readers find as *name*; where roles are *required*, only if it is one of them that says so."""
    found = opened.drive(opened.workflow.find(name, required or opened.site.roles))
    return found if found and (not required or found.role in required) else None


def refresh(site: Site, now: datetime) -> "Opened":
    """Bring the collection at *site* up to date; within its grace, what is remembered stands in for who is offline.

    Raises:
        UntrustedError: A check failed.
        UnavailableError: An answer could not be had.
    """
    workflow = site.workflow(now)
    try:
        with _told_of_copies(site):
            drive(workflow.refresh(), site.repository, site.cache)
    except OfflineError:
        since = site.cache.memory().refreshed
        if since is None or not timedelta(0) <= now - since <= site.offline_grace:
            raise
        opened = Opened(site, site.workflow(now, where="the cache"), now, stale_since=since)
        with suppress(AbsentError, ContentError, VersionError):  # too little is remembered to tell
            opened.drive(opened.workflow.refresh(recalled=True))
            return opened
        raise
    return Opened(site, workflow, now)


def from_memory(flow: Flow[T], dialect: Dialect) -> Flow[T]:
    """Run *flow* on what is kept, without asking anybody: what it wants is recalled, and it remembers nothing new."""
    answer: Answer = None
    while True:
        try:
            request = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(request, Want):
            is_history = request.role == ROOT and request.path != dialect.locate(ROOT)
            answer = None if is_history else (yield Recall(request.role))
        else:
            answer = None if isinstance(request, Keep) else (yield request)


@dataclass()
class Opened:
    """A collection as it was read at ``at``; from memory, of ``stale_since``, where nobody could be reached."""

    site: Site
    workflow: Workflow
    at: datetime
    stale_since: datetime | None = None

    def drive(self, flow: Flow[T]) -> T:
        """Run *flow* where this came from."""
        if self.stale_since:
            flow = from_memory(flow, self.site.dialect)
        with _told_of_copies(self.site):
            return drive(flow, self.site.repository, self.site.cache)

    def until(self) -> datetime:
        """Return when something in it expires, or the grace is over in which memory stands in."""
        expires = self.workflow.expires(tuple(self.workflow.roles.values()))
        return min(expires, self.stale_since + self.site.offline_grace) if self.stale_since else expires

    def serves(self, now: datetime, max_age: timedelta) -> bool:
        """Say whether this may answer at *now*: asked recently enough, and nothing in it has expired since."""
        return timedelta(0) <= now - self.at <= max_age and now < self.until()


def drive(flow: Flow[T], repository: Repository, cache: Cache) -> T:
    """Run *flow*, answering its requests from *repository* and *cache*; return what it returns."""
    reached = advance(flow, None, cache)
    while isinstance(reached, Want):
        reached = advance(flow, repository.fetch(reached), cache)
    return reached.result


@dataclass(frozen=True)
class Finished(Generic[T]):
    """The end of a flow: what it returned."""

    result: T


def advance(flow: Flow[T], answer: Answer, cache: Cache) -> Want | Finished[T]:
    """Send *answer* into *flow* and run it on from *cache*, as far as it gets without the repository."""
    while True:
        try:
            request = flow.send(answer)
        except StopIteration as stop:
            return Finished(stop.value)
        if isinstance(request, Want):
            return request
        if isinstance(request, Recall):
            answer = cache.recall(request.role)
        elif isinstance(request, Remember):
            answer = cache.memory()
        else:
            cache.keep(request)
            answer = None


@contextmanager
def _told_of_copies(site: Site) -> Iterator[None]:
    """Say of a copy that has expired that it is one."""
    try:
        yield
    except ExpiredError as exc:
        if site.taken is None:
            raise
        raise ExpiredCopyError(exc.role, exc.version, exc.expires, exc.now, site.taken) from exc


def content_of(name: str, meta: FileMeta) -> tuple[Digest, int]:
    """Return digest and length of what is listed as *name*; only sha256 and sha512 name a manifest."""
    for algorithm in STRONG:
        if algorithm in meta.hashes:
            return Digest(algorithm, meta.hashes[algorithm].hex()), meta.length or 0
    raise ContentError(name, "a sha256 or sha512 digest", "none")


def _names_with(targets: Verified[Targets] | None, prefix: str, algorithm: str, digest: bytes) -> list[str]:
    """Return which tags, behind *prefix*, have *digest*; an entry that is malformed has none."""
    found = []
    for name in targets.signed.targets if targets else ():
        if name.startswith(prefix) and is_tag(name.removeprefix(prefix)):
            with suppress(FormatError):
                found += [name] if targets.signed.targets[name].hashes.get(algorithm) == digest else []  # type: ignore[union-attr]
    return found


def entries(opened: Opened, gun: Gun, failed: dict[str, UntrustedError]) -> Iterator[Entry]:
    """Yield what is said of *gun*: all of it, where that is the collection. A role with a bad entry has *failed*."""
    workflow, prefix = opened.workflow, opened.site.prefix(gun)
    asked = "" if gun == opened.site.gun else prefix
    counting = _counting(opened, asked, failed)
    for role, part in workflow.roles.items():
        for name in part.signed.targets:
            if not name.startswith(asked):
                continue
            try:
                digest, length = content_of(name, part.signed.targets[name])
            except UntrustedError as exc:
                failed.setdefault(role, exc)
                continue
            counts, tag = counting.get(name) == role, name.removeprefix(prefix)
            yield Entry(tag=tag, digest=digest, length=length, role=role, keyids=part.keyids, counts=counts)


def _counting(opened: Opened, prefix: str, failed: Container[str]) -> dict[str, str]:
    """Return which role's word is taken, by name."""
    workflow, first = opened.workflow, dict[str, str]()
    if opened.site.dialect.rules.tree:
        names = {name for part in workflow.roles.values() for name in part.signed.targets if name.startswith(prefix)}
        for name in names:
            with suppress(UntrustedError):  # behind a role that failed nothing counts
                found = opened.drive(workflow.find(name))
                first |= {name: found.role} if found else {}
        return first
    # Behind a role that failed nothing counts: its word would have come first, and it is not known.
    sound = itertools.takewhile(lambda role: role not in failed, opened.site.roles)
    order = {role: rank for rank, role in enumerate(sound)}
    for role in sorted(workflow.roles, key=lambda role: order.get(role, len(order))):
        for name in workflow.roles[role].signed.targets if role in order else ():
            if workflow.may_speak(role, name):
                first.setdefault(name, role)
    return first


def _role_states(workflow: Workflow) -> Iterator[RoleState]:
    top: dict[str, Verified[Signed]] = {
        ROOT: workflow.root,
        SNAPSHOT: workflow.snapshot,
        TIMESTAMP: workflow.timestamp,
        TARGETS: workflow.roles[TARGETS],
    }
    for name in TOP_LEVEL:
        yield _role_state(workflow.root.signed.roles[name], top[name])
    for delegator, part in workflow.delegators:
        if delegation := workflow.roles[delegator].signed.delegation(part.role):
            yield _role_state(delegation, part, delegation.prefixes or delegation.patterns)


def _role_state(role: Role, part: Verified[Signed], prefixes: tuple[str, ...] = ()) -> RoleState:
    return RoleState(
        name=role.name,
        version=part.signed.version,
        expires=part.signed.expires,
        threshold=role.threshold,
        keyids=role.keyids,
        signed_by=part.keyids,
        prefixes=prefixes,
    )


_MOST_OPEN = 64  # collections kept in memory, at 1 MB for 10 000 tags
