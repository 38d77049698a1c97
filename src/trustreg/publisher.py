"""The use cases of people who write collections: init, sign, remove, publish.

A publisher puts what it made before the verifier that readers use, hands it over to the trust server in one piece or to
a store in an order that leaves readers something whole at every moment, and believes in it when it has read it back.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from trustreg.ceremony import Ceremony
from trustreg.client import Site, Sites, drive
from trustreg.errors import (
    AmbiguousKeyError,
    ChangeError,
    ConflictError,
    ExistsError,
    ExpiredError,
    FormatError,
    KnownError,
    MismatchError,
    MovedError,
    NameFormError,
    NoKeyError,
    OfflineError,
    PublishRefusedError,
    TakenError,
    TrustregError,
    UnauthorizedError,
    UnavailableError,
    UnprovenError,
    UnsignedError,
    UntrustedError,
)
from trustreg.lint import Finding, Inspected, lint
from trustreg.metadata import Envelope, FileMeta, Key, Role, Root, Targets, target_path
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun, Reference
from trustreg.ports import HeldKey, KeyStore, Registry, Stage, Store, TrustServer
from trustreg.publishing import (
    Proven,
    Reading,
    apply,
    begin,
    confirm,
    hand_over,
    in_search_order,
    old_files,
    plain_id,
    prove,
    read,
    reading_once,
    rehearse,
    require_base,
    taken,
    unattended,
    versions,
)
from trustreg.sign.changes import AddTarget, Change, RemoveTarget, Witness
from trustreg.sign.draft import UNATTENDED, Draft, Lifetimes, create
from trustreg.sign.keyfile import key_id
from trustreg.sign.pages import File, Find, Page, stamp
from trustreg.sign.signer import Signer
from trustreg.values import dataclass, field
from trustreg.verify.pinning import anchor
from trustreg.verify.requests import Want
from trustreg.verify.signatures import Verified, load
from trustreg.verify.workflow import Limits


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published and read back: versions by role; empty if there was nothing to publish.

    ``waiting`` are the delegated roles that others have to sign again before they count.
    """

    gun: Gun
    versions: Mapping[str, int]
    changes: tuple[Change, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file that is to become a target.

    Attributes:
        name: The name of the target; slashes part it.
        length: Its length in bytes.
        sha256: Its digest.
        open: Opens it, to be read once; what was uploaded has to have that length and digest.
        custom: What is to be said of it besides, as JSON.
    """

    name: str
    length: int
    sha256: bytes
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    custom: Any = None


@dataclass(frozen=True, kw_only=True)
class Left:
    """A role that expires and was not signed again, and why; ``expires`` is ``None`` where it could not be read."""

    role: str
    expires: datetime | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What was signed again, and what was not."""

    published: Published
    left: tuple[Left, ...]


class Publisher:
    """Signs and publishes for collections whose keys are here.

    Args:
        sites: Finds a collection, with the right to write to it.
        keys: The private keys that are here.
        stage: Where changes of a collection wait.
        certify: Makes the certificate of a root key where there has to be one: ``(signer, gun, now) -> DER``.
        lifetimes: For how long signatures are good.
    """

    def __init__(
        self,
        sites: Sites,
        keys: KeyStore,
        stage: Callable[[Gun], Stage],
        certify: Callable[[Signer, Gun, datetime], bytes],
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._sites, self._keys, self._stage = sites, keys, stage
        self._certify, self._lifetimes = certify, lifetimes
        self._known: dict[Gun, Site] = {}
        self._asked: dict[Gun, Gun] = {}  # collection -> by which name it was found
        self._seen: set[Gun] = set()
        self._last: tuple[Gun, datetime, Reading] | None = None

    def init(
        self,
        gun: Gun,
        now: datetime,
        make: Callable[[str], Signer],
        *,
        use: Iterable[HeldKey] = (),
        hold_snapshot: bool = False,
        certificates: tuple[bytes, ...] = (),
    ) -> Published:
        """Begin a collection: a root, an empty targets role, and the keys they need.

        Where that broke off in a store, and the keys that were made are here, it goes on.

        Args:
            gun: Its name.
            now: The time.
            make: Makes a key for the role it is given.
            use: Keys that are here, to be used for their roles. The root key that is here is used without being named.
            hold_snapshot: Keep the snapshot key here. Otherwise the server, if there is one, holds it, and signs each
                snapshot.
            certificates: DER certificates of the root key on a trust server, its own first; without them one is made.

        Raises:
            ExistsError: The server has a collection of this name.
            KnownError: It has none, but one of this name is remembered, which readers would miss.
            AmbiguousKeyError: Several root keys are here, and none of them is to be used.
            PublishRefusedError: The server does not want it; no key of it is kept.
        """
        site = self._at(gun)
        if (there := self._first_root(site)) is not None:
            return Published(gun=site.gun, versions=self._begin_again(now, site, there))
        if site.cache.memory().floors:
            raise KnownError(str(site.gun), site.repository.where)
        made: list[HeldKey] = []
        try:
            held = (TARGETS, SNAPSHOT, TIMESTAMP) if unattended(site) else (TARGETS, SNAPSHOT)[: 1 + hold_snapshot]
            signers = self._signers(site, make, {held.role: held for held in use}, made, held)
            proven = self._begin(now, site, signers, certificates)
        except BaseException:
            self._forget(made)
            raise
        try:
            self._deliver(now, site, proven)
        except (PublishRefusedError, UnauthorizedError, ConflictError, TakenError) as exc:
            # It was refused for certain; after any other failure it may have been published. Where the root was taken,
            # somebody who has these keys as well goes on with it.
            if not isinstance(exc, TakenError) or self._first_root(site) != proven[0].raw:
                self._forget(made)
            raise
        return Published(gun=site.gun, versions=versions(proven))

    def home(self, gun: Gun) -> Gun:
        """Return the collection that signs for the repository *gun*: several may share one."""
        return self._at(gun).gun

    def additions(
        self, image: Reference, registry: Registry, now: datetime, roles: tuple[str, ...] = ()
    ) -> tuple[AddTarget, ...]:
        """Return what says that the tag of *image* is what the registry serves for it, in each role that is to sign it.

        In Notary that is each top-level delegation that may speak for the tag and whose keys are here, or else
        ``targets``: Docker's convention. In TUF it is one role where readers find it: see :meth:`role_for`. *roles* are
        asked for instead.

        Raises:
            NameFormError: *image* has no tag.
            MovedError: *image* names a digest too, and the registry serves another one under the tag.
        """
        tag = _tag(image)
        served = registry.manifest(image)
        if image.digest and image.digest != served.digest:
            raise MovedError(str(image.gun), tag, str(image.digest), str(served.digest))
        digests = {served.digest.algorithm: bytes.fromhex(served.digest.hex)}
        meta = FileMeta(length=len(served.raw), hashes=digests)
        return self.listing(image.gun, self._at(image.gun).target(image), meta, now, roles)

    def role_for(self, gun: Gun, name: str, now: datetime) -> str:
        """Return the role that is to list the target *name* in a TUF collection, so that readers find it there.

        It is the one farthest down that may speak for it, that the search of readers gets to before anybody else says
        something of it, and whose keys are here: a bin rather than who has the bins. ``targets`` if there is no such
        role.
        """
        return self._signing_roles(self._read(gun, now), name)[0]

    def roles_for(self, gun: Gun, names: Iterable[str], now: datetime) -> dict[str, tuple[str, ...]]:
        """Return the roles that are to sign each of the targets *names* of *gun*, as :meth:`additions` has them."""
        reading, held = self._read(gun, now), self._held()
        return {name: self._signing_roles(reading, name, held) for name in names}

    def finder(self) -> Find:
        """Return what finds the signer of a listed key, if it is here; it opens each once."""
        return self._find()

    def removals(self, image: Reference, now: datetime, roles: tuple[str, ...] = ()) -> tuple[RemoveTarget, ...]:
        """Return what takes the tag of *image* out of all roles that say it to somebody who looks for it.

        In Notary these are ``targets`` and the roles that it delegates to. With *roles* only these are asked.

        Raises:
            NameFormError: *image* has no tag.
            UnsignedError: None of them signs it.
        """
        tag = _tag(image)
        reading = self._read(image.gun, now)
        return _removals(reading, image.gun, reading.site.target(image), tag, roles)

    def removals_of(self, gun: Gun, name: str, now: datetime, roles: tuple[str, ...] = ()) -> tuple[RemoveTarget, ...]:
        """Return what takes the target *name* out of all roles, or *roles*, that say it to somebody who looks for it.

        Raises:
            UnsignedError: None of them lists it; it was looked for on behalf of *gun*.
        """
        return _removals(self._read(gun, now), gun, name, name, roles)

    def stage(self, gun: Gun, changes: Iterable[Change]) -> None:
        """Put *changes* with those that wait for the next :meth:`publish` of the collection that signs for *gun*."""
        stage = self._stage(self.home(gun))
        for change in changes:
            stage.add(change)

    def publish(self, gun: Gun, now: datetime, changes: Iterable[Change] = ()) -> Published:
        """Apply what is staged and then *changes*, sign, publish, and read back what there is now.

        A trust server gets it in one piece; a store file by file, so that readers have a whole collection at every
        moment, and who is killed on the way can begin again. *gun* names the collection, or any repository that it
        signs for. What is staged waits on if this fails. *changes* are not staged: a signature that could not be given
        must not come along with a later one.

        Raises:
            NoKeyError: A role that changes cannot be signed here.
            ChangeError: The collection has no place for a change, or nobody would find what it adds.
            ConflictError: Other publishers were faster, time and again.
            PublishRefusedError: The server finds fault with it.
            UnprovenError: What it serves is not what was published.
        """
        site = self._at(gun)
        stage = self._stage(site.gun)
        staged = stage.changes()
        wanted = (*(change for _, change in staged), *changes)
        done = self._publish(site, now, wanted)
        stage.clear(name for name, _ in staged)
        return done

    def offered_key(self, gun: Gun, role: str) -> Key:
        """Have the trust server make a key that it will sign *role* with, once a root lists it.

        Raises:
            InputError: The collection is in a store, where no server signs.
            UnavailableError: The server does not offer one.
        """
        return _server_key(self._server_of(gun), role, another=True)

    def delete(self, gun: Gun) -> None:
        """Remove the collection *gun* from its trust server; fine if there is none. Keys, and what is staged, stay."""
        self._last = None
        cast("TrustServer", self._server_of(gun).repository).delete()

    def staged(self, gun: Gun) -> tuple[tuple[str, Change], ...]:
        """Return what waits for the next :meth:`publish`, each with the name to clear it by."""
        return self._stage(self.home(gun)).changes()

    def unstage(self, gun: Gun, names: Iterable[str]) -> None:
        """Forget staged changes."""
        self._stage(self.home(gun)).clear(names)

    # --- files ---

    def add_files(
        self, gun: Gun, files: Iterable[Content], now: datetime, roles: tuple[str, ...] = ()
    ) -> tuple[AddTarget, ...]:
        """Upload *files* as targets, and return what says so of them, each in the role where readers find it.

        Nobody refers to them before that is published. It may be staged too. A trust server takes no files: there
        only what they are is signed. *roles* are asked for instead of the one that readers find.

        Raises:
            NameFormError: A name is none that a target can have.
            UnavailableError: A file could not be uploaded.
        """
        site = self._at(gun)
        changes: list[AddTarget] = []
        for file in files:
            meta = FileMeta(length=file.length, hashes={"sha256": file.sha256}, custom=file.custom)
            if unattended(site):
                if problem := _target_name_problem(file.name):
                    raise NameFormError(file.name, "target name", problem)
                with file.open() as source:
                    path = target_path(file.name, meta, consistent=True)
                    cast("Store", site.repository).upload(path, source, file.length)
            changes += self.listing(gun, file.name, meta, now, roles)
        return tuple(changes)

    def listing(
        self, gun: Gun, name: str, meta: FileMeta, now: datetime, roles: tuple[str, ...] = ()
    ) -> tuple[AddTarget, ...]:
        """Return what says of the target *name* that it is *meta*, in each role that is to sign it, or in *roles*."""
        roles = roles or self._signing_roles(self._read(gun, now), name)
        return tuple(AddTarget(role=role, name=name, meta=meta) for role in roles)

    # --- several signers ---

    def prepare(self, gun: Gun, now: datetime, changes: Iterable[Change], *, whole: bool = False) -> Ceremony:
        """Return a ceremony that brings *changes* about, signed with the keys that are here, however few.

        What is staged is left alone. Snapshot and timestamp, which list the others, are made by :meth:`finish` with the
        keys that are there; with *whole* they are part of the ceremony, and it takes no key to finish it. That is for
        stores: a trust server lists what it gets.

        Raises:
            ChangeError: The collection has no place for a change, or is like that already.
        """
        site = self._store_of(gun) if whole else self._at(gun)
        reading = self._read(site.gun, now, site)
        if reading.root is not reading.workflow.root:
            raise ChangeError(ROOT, "", "the other files are not signed for it yet: publish first")
        draft = begin(reading, now, self._lifetimes, taken(site))
        find = self._find()
        apply(draft, reading, changes, find)
        pages = () if whole else draft.pages(find)
        pages = pages or (draft.whole(find) if unattended(site) else ())
        if not pages:
            raise ChangeError(TARGETS, "", "the collection is like that already")
        current = reading.files()
        signed = {page.role for page in pages}
        base = {
            role: mine.raw
            for role, mine in current.items()
            if role in {ROOT, *signed}
            or (isinstance(mine.signed, Targets) and (mine.signed.delegations or mine.signed.bins))
        }
        payloads = [(page.role, page.payload) for page in pages]
        return Ceremony.prepare(site.gun, site.dialect, now, base, payloads).sign(find)

    def co_sign(self, ceremony: Ceremony) -> Ceremony:
        """Return *ceremony* with the signatures of all keys that are here. Nothing is asked of anybody.

        Look at :meth:`Ceremony.accounts` first.
        """
        return ceremony.sign(self._find())

    def finish(self, gun: Gun, ceremony: Ceremony, now: datetime) -> Published:
        """Publish *ceremony*.

        Raises:
            IncompleteError: Signatures are missing.
            MismatchError: It is for another collection.
            OutdatedError: What it builds on is not what is published any more.
            ExpiredError: It took so long that a file has expired.
            NoKeyError: Snapshot or timestamp is not part of it, and cannot be signed here.
        """
        site = self._at(gun)
        if ceremony.gun != site.gun:
            raise MismatchError(str(ceremony.gun), f"this is {site.gun}")
        files = ceremony.files()
        for file in files:
            if file.page.signed.expires <= now:
                raise ExpiredError(file.page.role, file.page.signed.version, file.page.signed.expires, now)

        def draft(reading: Reading, used: Mapping[str, Collection[int]]) -> Proven:
            require_base(reading, ceremony, files)
            made = begin(reading, now, self._lifetimes, used)
            made.adopt(files)
            find = self._find()
            apply(made, reading, (), find)
            proven = prove(made, made.complete(files, find), site.gun)
            if unattended(site):
                rehearse(now, reading, proven, ())
            return proven

        return Published(gun=site.gun, versions=self._commit(site, now, draft))

    def add_signature(self, gun: Gun, role: str, now: datetime) -> Published:
        """Add the signatures of all keys that are here to the published version of *role*: a root or targets role.

        The version stays, and so does what is signed; its file is replaced. Where the snapshot lists the digest of the
        file, a new snapshot that lists the version alone comes first: who begins after that believes the file before
        and after. A reader who has begun with the snapshot of before, and not got to the file, has to begin again.

        Raises:
            NoKeyError: No key that has a say and has not signed yet is here.
            ChangeError: There is no such role, or it is one that is signed anew with every publication.
        """
        site = self._store_of(gun)
        if role in {SNAPSHOT, TIMESTAMP}:
            raise ChangeError(role, "", "it is signed anew with every publication")
        replaced: dict[str, bytes] = {}

        def draft(reading: Reading, used: Mapping[str, Collection[int]]) -> Proven:
            made = begin(reading, now, self._lifetimes, used)
            find = self._find()
            apply(made, reading, (), find)
            part = reading.root if role == ROOT else reading.load(role)
            if part is None:
                raise ChangeError(role, "", "nobody delegates to this role")
            made.know(reading.targets())
            claim = site.dialect.decode(role, part.raw)
            page = Page(role=role, signed=claim.signed, payload=claim.payload, authorities=made.authorities(role))
            known = {signature.keyid: signature for signature in claim.signatures}
            more = {one.keyid: one for one in stamp(page, find) if one.keyid not in known}
            if not more:
                ids = (keyid for authority, _ in page.authorities for keyid in authority.keyids)
                raise NoKeyError(role, tuple(keyid for keyid in dict.fromkeys(ids) if keyid not in known))
            file = File(page=page, raw=site.dialect.encode(page.payload, (known | more).values()))
            replaced[site.dialect.locate(role, version=claim.signed.version)] = part.raw
            made.list_by_version(role)
            return prove(made, (*made.complete((), find), file), site.gun)

        return Published(gun=site.gun, versions=self._commit(site, now, draft, replaced))

    # --- upkeep ---

    def renew(self, gun: Gun, now: datetime, within: timedelta, *, dangerous_skip_expiry: bool = False) -> Renewed:
        """Sign again what has expired or will *within* that time, as far as its keys are here; say what could not be.

        What is staged is left alone. Where there is a trust server, what that signs is its own business.

        A collection in a store that has expired has to be known here: see :func:`trustreg.publishing.read`. With
        *dangerous_skip_expiry* the caller vouches that what is in the store is the latest.

        Raises:
            StaleError: It is not known here, or the store holds a later snapshot than the one it serves.
        """
        site = self._at(gun)
        reading = self._read(site.gun, now, site, dangerous_skip_expiry=dangerous_skip_expiry)
        failed = drive(reading.workflow.delegated(), site.repository, site.cache)
        draft = begin(reading, now, self._lifetimes, {})
        held, alone = self._held(), unattended(site)
        due: list[str] = []
        left = [Left(role=role, expires=None, problem=str(exc)) for role, exc in failed.items()]
        for role, part in reading.files().items():
            if part.signed.expires > now + within or (not alone and self._is_the_servers(role, draft, held)):
                continue
            signed_too = (SNAPSHOT, TIMESTAMP) if alone and role != ROOT else ()
            needed = dict.fromkeys((role, *(signed_too if role != TIMESTAMP else ())))
            lacking = [one for one in needed if not all(self._may(*who, held) for who in draft.authorities(one))]
            if lacking:
                problem = f"too few keys that may sign {' and '.join(lacking)} are here"
                left.append(Left(role=role, expires=part.signed.expires, problem=problem))
            else:
                due.append(role)
        again = tuple(Witness(role=role) for role in due)
        done = self._publish(site, now, again, dangerous_skip_expiry=dangerous_skip_expiry)
        return Renewed(published=done, left=tuple(left))

    def _is_the_servers(self, role: str, draft: Draft, held: Mapping[str, HeldKey]) -> bool:
        """Say whether a trust server signs *role* by itself: the snapshot, if nobody here can."""
        if role == SNAPSHOT:
            return not all(self._may(*who, held) for who in draft.authorities(role))
        return role == TIMESTAMP

    def prune(self, gun: Gun, now: datetime, keep: int = 2) -> tuple[str, ...]:
        """Remove old metadata files that neither the snapshot nor the last *keep* ones before it list; return which.

        Whoever is reading finds what he has begun with, if that was published no longer ago. Roots stay, as readers
        need them all, and so does what is newer than the snapshot: somebody may be publishing it.
        """
        site = self._store_of(gun)
        reading = self._read(site.gun, now, site)
        old = tuple(old_files(reading, keep))
        cast("Store", reading.site.repository).remove(old)
        return old

    def lint(self, gun: Gun, now: datetime, within: timedelta = timedelta(days=2)) -> tuple[Finding, ...]:
        """Return what is odd about a TUF collection, errors first; see :mod:`trustreg.lint`."""
        site = self._store_of(gun)
        workflow = site.workflow(
            now, dangerous_skip_expiry=True
        )  # it may be odd in ways in which none can be published
        drive(workflow.refresh(), site.repository, site.cache)
        failed = drive(workflow.delegated(), site.repository, site.cache)
        parts = {(above, part.role): part.signed for above, part in workflow.delegators}
        parts["", TARGETS] = workflow.roles[TARGETS].signed
        seen = Inspected(
            root=workflow.root.signed,
            timestamp=workflow.timestamp.signed,
            snapshot=workflow.snapshot.signed,
            parts=parts,
            failed=failed,
        )
        return lint(seen, now, within)

    # --- publishing ---

    def _store_of(self, gun: Gun) -> Site:
        site = self._at(gun)
        if not unattended(site):
            raise ChangeError(TARGETS, "", "a trust server has its own ways: this is for collections in a store")
        return site

    def _server_of(self, gun: Gun) -> Site:
        site = self._at(gun)
        if unattended(site):
            raise ChangeError(TARGETS, "", "the collection is in a store, and this is for those on a trust server")
        return site

    def _publish(
        self, site: Site, now: datetime, changes: tuple[Change, ...], *, dangerous_skip_expiry: bool = False
    ) -> Published:
        waiting: set[str] = set()

        def draft(reading: Reading, used: Mapping[str, Collection[int]]) -> Proven:
            made, proven = self._draft(reading, now, changes, used)
            waiting.clear()
            waiting.update(made.waiting)
            return proven

        done = self._commit(site, now, draft, dangerous_skip_expiry=dangerous_skip_expiry)
        return Published(gun=site.gun, versions=done, changes=changes, waiting=tuple(sorted(waiting)))

    def _commit(
        self,
        site: Site,
        now: datetime,
        draft: Callable[[Reading, Mapping[str, Collection[int]]], Proven],
        replaced: Mapping[str, bytes] | None = None,
        *,
        dangerous_skip_expiry: bool = False,
    ) -> dict[str, int]:
        """Publish what *draft* makes, of a fresh reading each time that somebody else was faster; return the versions.

        *draft* is told of versions that are taken. *replaced* are files, by path, that are to make way.
        """
        used: Mapping[str, Collection[int]] = {}
        done: dict[str, int] = {}
        for left in reversed(range(_TRIES if unattended(site) else 2)):
            reading = self._read(site.gun, now, site, dangerous_skip_expiry=dangerous_skip_expiry)
            proven: Proven = ()
            try:
                proven = draft(reading, used)
                if proven:
                    self._deliver(now, reading.site, proven, reading, replaced)
            except (ConflictError, TakenError, UntrustedError, UnprovenError) as exc:
                self._last = None
                if not left and isinstance(exc, TakenError):
                    raise ConflictError(str(site.gun), str(exc)) from exc
                if not left or not self._may_help(exc, reading, proven, now):
                    raise
                if isinstance(exc, TakenError):
                    used = taken(reading.site)
                if isinstance(exc, UnprovenError):
                    done |= versions(proven)
            else:
                return done | versions(proven)
        raise AssertionError("the last of the tries returns or raises")

    def _may_help(self, exc: TrustregError, reading: Reading, proven: Proven, now: datetime) -> bool:
        """Say whether to try again may help after *exc*."""
        site = reading.site
        if isinstance(exc, ConflictError | TakenError) or not unattended(site):
            return isinstance(exc, ConflictError | TakenError)
        if isinstance(exc, UnprovenError):
            # With a new root, somebody who did not know it may have published between two of our files.
            return ROOT in versions(proven)
        again = self._read(site.gun, now, site, dangerous_skip_expiry=True)  # to compare, not to sign
        self._last = None
        return not again.same(reading)  # it is for certain if nobody has published meanwhile

    def _draft(
        self, reading: Reading, now: datetime, changes: Iterable[Change], used: Mapping[str, Collection[int]]
    ) -> tuple[Draft, Proven]:
        """Return the signed files that bring *changes* about, and the draft; none where there is nothing to be done."""
        draft = begin(reading, now, self._lifetimes, used)
        find = self._find()
        apply(draft, reading, changes, find)
        if not draft.touched:
            return draft, ()
        proven = prove(draft, draft.sign(find), reading.site.gun)
        if unattended(reading.site):
            rehearse(now, reading, proven, changes)
        return draft, proven

    def _signers(
        self,
        site: Site,
        make: Callable[[str], Signer],
        use: Mapping[str, HeldKey],
        made: list[HeldKey],
        roles: tuple[str, ...],
    ) -> dict[str, Signer]:
        """Return a signer for the root and each of *roles*, and note in *made* which keys were made for it."""
        roots = [held for held in self._held().values() if held.role == ROOT]
        if not unattended(site):  # Notary has no ed25519 roots, so such a key is for stores
            roots = [held for held in roots if held.kind != "ed25519"]
        if len(roots) > 1 and ROOT not in use:
            raise AmbiguousKeyError(ROOT, tuple(held.id for held in roots))
        use = {ROOT: roots[0], **use} if roots else use
        signers: dict[str, Signer] = {}
        for role in dict.fromkeys((ROOT, *roles, *([SNAPSHOT] if SNAPSHOT in use else []))):
            signers[role] = self._keys.open(use[role]) if role in use else make(role)
            if role not in use:
                made.append(self._keys.add(signers[role], role, None if role == ROOT else str(site.gun)))
        return signers

    def _begin(
        self, now: datetime, site: Site, signers: Mapping[str, Signer], certificates: tuple[bytes, ...]
    ) -> Proven:
        """Make the first files of a collection."""
        dialect, root = site.dialect, signers[ROOT]
        if not unattended(site):
            certificates = certificates or (self._certify(root, site.gun, now),)
        keys = {ROOT: dialect.key(root.kind, root.public, certificates)}
        if plain_id(keys[ROOT]) != key_id(root.kind, root.public):
            raise ChangeError(ROOT, "", "the certificate is not that of the root key")
        for role in (TARGETS, SNAPSHOT, TIMESTAMP):
            signer = signers.get(role)
            offered = dialect.key(signer.kind, signer.public) if signer else None
            keys[role] = offered or _server_key(site, role)
        by_id = {keys[role].id: signer for role, signer in signers.items()}
        lifetimes = self._lifetimes or (UNATTENDED if unattended(site) else Lifetimes())
        draft = create(dialect, now, keys, lifetimes, unattended=unattended(site))
        return prove(draft, draft.sign(lambda key: by_id.get(key.id)), site.gun)

    def _begin_again(self, now: datetime, site: Site, raw: bytes) -> dict[str, int]:
        """Go on with a collection of which there is no more than what nobody can read yet.

        Raises:
            ExistsError: There is more, or its keys are not here.
        """
        exists = ExistsError(f"the collection {site.gun} on {site.repository.where}")
        stamp = Want(TIMESTAMP, site.dialect.locate(TIMESTAMP), Limits().timestamp)
        if not unattended(site) or site.repository.fetch(stamp) is not None:
            raise exists
        root = anchor(cast("Envelope[Root]", site.dialect.decode(ROOT, raw)), site.gun)
        draft = Draft(
            site.dialect,
            now,
            root.signed,
            {TARGETS: Targets(version=0, expires=now, targets={})},
            unattended=True,
            lifetimes=self._lifetimes or UNATTENDED,
            taken=taken(site),
            touched={TARGETS},
        )
        try:
            proven = (root, *prove(draft, draft.sign(self._find()), site.gun))
        except NoKeyError:
            raise exists from None
        self._deliver(now, site, proven)
        return versions(proven)

    def _first_root(self, site: Site) -> bytes | None:
        return site.repository.fetch(Want(ROOT, site.dialect.locate(ROOT), Limits().root))

    def _at(self, gun: Gun) -> Site:
        """Return where the collection lives that signs for *gun*, or is called so."""
        if gun not in self._known:
            site = self._sites(gun)
            site = replace(site, dialect=reading_once(site.dialect))
            self._known[gun] = self._known.setdefault(site.gun, site)
            self._asked.setdefault(site.gun, gun)
        return self._known[gun]

    def _anew(self, site: Site) -> Site:
        """Return *site* for another reading: a repository may be one that goes on showing what it showed at first."""
        if site.gun not in self._seen:
            self._seen.add(site.gun)
            return site
        return replace(site, repository=self._sites(self._asked[site.gun]).repository)

    def _read(
        self, gun: Gun, now: datetime, site: Site | None = None, *, dangerous_skip_expiry: bool = False
    ) -> Reading:
        """Return a reading of the collection of *gun* as of *now*; one made for this very moment is good enough."""
        site = site or self._at(gun)
        if self._last is None or self._last[:2] != (site.gun, now):
            self._last = (site.gun, now, read(self._anew(site), now, dangerous_skip_expiry=dangerous_skip_expiry))
        return self._last[2]

    def _deliver(
        self,
        now: datetime,
        site: Site,
        proven: Proven,
        before: Reading | None = None,
        replaced: Mapping[str, bytes] | None = None,
    ) -> None:
        """Publish *proven* and read back: what counts is what readers get, not what was answered."""
        self._last = None
        try:
            hand_over(site, proven, before, replaced or {})
        except OfflineError:
            try:
                confirm(now, site, proven, before)
            except (UnprovenError, UnavailableError):
                pass
            else:
                return  # only the answer got lost
            raise
        confirm(now, site, proven, before)

    # --- keys ---

    def _signing_roles(self, reading: Reading, name: str, held: Mapping[str, HeldKey] | None = None) -> tuple[str, ...]:
        targets, held = reading.workflow.roles[TARGETS].signed, self._held() if held is None else held
        if not reading.site.dialect.rules.tree:
            mine = (d.name for d in targets.covering(name) if self._may(d, targets.keys, held))
            return tuple(mine) or (TARGETS,)
        drive(reading.workflow.find(name), reading.site.repository, reading.site.cache)
        parts = {(above, part.role): part.signed for above, part in reading.workflow.delegators}
        parts["", TARGETS] = targets
        reached: list[tuple[str, ...]] = []
        for chain in in_search_order(name, lambda above, role: parts.get((above, role))):
            reached.append(chain)
            if name in parts[chain[-2] if len(chain) > 1 else "", chain[-1]].targets:
                break  # nobody is asked after this one

        def mine_below(chain: tuple[str, ...]) -> str | None:
            for below in reached:
                if below[:-1] == chain and (found := mine_below(below)):
                    return found
            if len(chain) == 1:
                return None
            above = parts[chain[-3] if len(chain) > 2 else "", chain[-2]]
            delegation = above.delegation(chain[-1])
            return chain[-1] if delegation and self._may(delegation, above.keys, held) else None

        return (mine_below((TARGETS,)) or TARGETS,)

    def _may(self, role: Role, keys: Mapping[str, Key], held: Mapping[str, HeldKey]) -> bool:
        return sum(keyid in keys and plain_id(keys[keyid]) in held for keyid in role.keyids) >= role.threshold

    def _forget(self, made: Iterable[HeldKey]) -> None:
        for held in made:
            self._keys.remove(held)

    def _held(self) -> dict[str, HeldKey]:
        held = self._keys.keys()
        return {key.id: key for key in held}

    def _find(self) -> Find:
        """Return what finds the signer of a listed key, and opens it once."""
        held, opened = self._held(), dict[str, Signer | None]()

        def find(key: Key) -> Signer | None:
            plain = plain_id(key)
            if plain not in opened:
                opened[plain] = self._keys.open(held[plain]) if plain in held else None
            return opened[plain]

        return find


def _server_key(site: Site, role: str, *, another: bool = False) -> Key:
    """Return the key that the server signs *role* with: one that can, for what it says is what gets signed."""
    server = cast("TrustServer", site.repository)
    key = site.dialect.read_key(server.rotate_server_key(role) if another else server.server_key(role))
    if load(key) is None:
        raise FormatError("server key", "", f"for {role} the server names a key that can sign nothing")
    return key


def _removals(
    reading: Reading, gun: Gun, name: str, called: str, asked: tuple[str, ...] = ()
) -> tuple[RemoveTarget, ...]:
    """Return what takes the target *name*, *called* so by who asks, out of all roles, or those *asked*, that say it."""
    asked = asked or _asked(reading, name)
    loaded = {role: reading.load(role) for role in asked}
    listing = (role for role, part in loaded.items() if part and name in part.signed.targets)
    changes = tuple(RemoveTarget(role=role, name=name) for role in listing)
    if not changes:
        raise UnsignedError(str(gun), called, asked)
    return changes


def _asked(reading: Reading, name: str) -> tuple[str, ...]:
    """Return the roles that may say the target *name* to somebody who looks for it."""
    if reading.site.dialect.rules.tree:
        chains = in_search_order(name, lambda _, role: _signed(reading.load(role)))
        return tuple(dict.fromkeys(chain[-1] for chain in chains))
    # A role that may no longer speak for it may still say it.
    return (TARGETS, *(d.name for d in reading.workflow.roles[TARGETS].signed.delegations))


def _signed(part: Verified[Targets] | None) -> Targets | None:
    return part.signed if part else None


def _tag(image: Reference) -> str:
    if image.tag is None:
        raise NameFormError(str(image), "tagged image", "a tag is what gets signed, and it names none")
    return image.tag


def _target_name_problem(name: str) -> str | None:
    if not name.isprintable() or "\\" in name:
        return "it holds a character that has no place in a path"
    if set(name.split("/")) & {"", ".", ".."}:
        return "its parts between slashes may not be empty, '.' or '..'"
    if max(len(part.encode("utf-8", "surrogatepass")) for part in name.split("/")) > 180:
        return "its parts between slashes may have 180 bytes"
    return None


_TRIES = 8  # of a publication to a store, where two that begin at once hinder each other more than once
