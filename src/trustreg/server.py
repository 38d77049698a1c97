"""A trust server: take an upload or refuse it, and sign snapshot and timestamp.

The server distrusts its clients and shares the verifier with them: what it accepts is what a reader would believe.
A decision is a value: :func:`judge` looks at an upload and at the collection as it stands, and returns an
:class:`Update` or raises. :class:`TrustServer` reads, has it judged and commits, and starts over where somebody else
committed in between, so nothing is ever half done.

Stricter than notary-server (``server/handlers/validation.go``), each point because its absence breaks readers or
publishers:

* a root that gives ``targets`` to other keys comes with ``targets`` signed by them;
* a snapshot lists the whole collection, with the digests and lengths of the files that are there;
* the server's own snapshots drop delegations that are no more, and list the bytes that are stored;
* files that Go would write otherwise are refused, since Go lists what it would have written;
* timestamp and snapshot are signed again when half of their life is over.

A collection whose timestamps are signed elsewhere may be kept here as a replica (:func:`judge_replica`): read only, and
as fresh as it is handed over. Nothing marks it but its root, which lists no timestamp key of this server; with a root
that lists one it becomes a collection like any other.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar, cast

from trustreg.dialects.notary1 import Notary1, exact
from trustreg.errors import AbsentError, ContentError, ExpiredError, TrustregError, UnavailableError, UntrustedError
from trustreg.metadata import Envelope, Key, Role, Root, Signed, Snapshot, Targets, Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun, is_delegation, parent
from trustreg.sign.draft import Lifetimes
from trustreg.sign.signer import LocalSigner
from trustreg.verify.pinning import Pins, admit, anchor, succeed
from trustreg.verify.requests import Answer, Memory, Recall, Remember, Want
from trustreg.verify.signatures import verify
from trustreg.verify.workflow import Flow, Workflow, check_content

S = TypeVar("S", bound=Signed)
T = TypeVar("T")


# --- what is stored --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One version of one role: the bytes as they came, or as the server signed them.

    ``renew`` is when the server should sign the role again; ``None`` where that is not up to it.
    """

    role: str
    version: int
    raw: bytes = field(repr=False)
    created: datetime
    renew: datetime | None = None

    @property
    def sha256(self) -> str:
        """The digest that the file is asked for by, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def due(self, now: datetime) -> bool:
        """Say whether the server should sign the role again."""
        return self.renew is not None and self.renew <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """A key of the server's own, for one role of one collection."""

    role: str
    signer: LocalSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection as it stands.

    ``files`` are the current ones by role: those that the snapshot lists, the snapshot and the timestamp.
    ``newest`` are the highest versions ever stored, of roles that are no more too. ``revision`` names this state.
    """

    revision: int = 0
    files: Mapping[str, File] = field(default_factory=dict)
    newest: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[ServerKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What to store, all of it or nothing.

    ``current`` are the roles that the collection consists of afterwards; ``used`` the public keys of those server
    keys that signed.
    """

    files: tuple[File, ...]
    current: frozenset[str]
    used: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A line of the change feed: a new timestamp (``update``) or the end of a collection (``deletion``)."""

    id: int
    created: datetime
    gun: str
    version: int
    sha256: str
    category: str


class Store(Protocol):
    """Where collections, the server's keys and the change feed are kept."""

    def find(self, gun: Gun, role: str, *, version: int | None = None, sha256: str | None = None) -> File | None:
        """Return the current file of *role*, or any ever stored by its *version* or *sha256*."""

    def collection(self, gun: Gun) -> Collection:
        """Return the whole of a collection as of one moment; an empty one for a GUN nobody knows."""

    def commit(self, gun: Gun, update: Update, revision: int) -> bool:
        """Store *update* durably if the collection is still at *revision*, else do nothing and return False."""

    def delete(self, gun: Gun, now: datetime) -> None:
        """Forget a collection and its keys, whether there is one or not."""

    def keys(self, gun: Gun) -> tuple[ServerKey, ...]:
        """Return the server's keys for *gun*, those that have signed first."""

    def unused_key(self, gun: Gun, role: str, make: Callable[[], LocalSigner]) -> LocalSigner:
        """Return the key for *role* that has not signed yet; store the one that *make* returns if there is none."""

    def changes(
        self, gun: Gun | None, *, after: int | None = None, before: int | None = None, limit: int
    ) -> list[ChangeRecord]:
        """Return changes, oldest first: the next *limit* after an id, or the last *limit* before one."""


# --- what is refused -------------------------------------------------------------------------------------------


@dataclass(eq=False)
class RefusedError(UntrustedError):
    """An upload is not accepted because of one role; nothing was changed."""

    code = "upload-refused"
    role: str
    problem: str

    def __str__(self) -> str:
        return self.problem if self.problem.startswith(self.role) else f"{self.role}: {self.problem}"


@dataclass(eq=False)
class MissingError(RefusedError):
    """An upload is not accepted because it lacks one role; nothing was changed."""

    code = "upload-incomplete"

    def __str__(self) -> str:
        return f"{self.role} is missing: {self.problem}"


@dataclass(eq=False)
class VersionTakenError(TrustregError):
    """A version is not above those already stored: somebody else published first."""

    code = "version-taken"
    role: str
    stored: int
    offered: int

    def __str__(self) -> str:
        return f"{self.role} v{self.offered} is offered, and v{self.stored} is stored already"


@dataclass(eq=False)
class BusyError(UnavailableError):
    """So many others publish to the same collection that this upload never got its turn."""

    code = "busy"
    gun: str

    def __str__(self) -> str:
        return f"{self.gun} is being changed by many publishers at once"


# --- the use cases ---------------------------------------------------------------------------------------------


class TrustServer:
    """Serves collections from a :class:`Store`; holds nothing itself, so many threads may share one.

    Args:
        store: Where everything is kept.
        lifetimes: For how long the server's own signatures are good.
        key_kind: What to make for the server: ``ecdsa`` or ``ed25519``. Go and Docker read both; of the readers
            in other languages some know ECDSA only, which every notary-server with a signer has used.
        report: Told why something could not be signed again, for whoever looks after the server.
    """

    def __init__(
        self,
        store: Store,
        *,
        lifetimes: Lifetimes | None = None,
        key_kind: str = "ecdsa",
        report: Callable[[TrustregError], None] = lambda _: None,
    ) -> None:
        self._store, self._lifetimes, self._key_kind = store, lifetimes or Lifetimes(), key_kind
        self._report = report

    def accept(self, gun: Gun, upload: Mapping[str, bytes], now: datetime) -> None:
        """Take the files of *upload*, by role, into the collection: all of them or none.

        Raises:
            RefusedError: A reader would not believe the result, or could not read it.
            VersionTakenError: A version is not above those already stored.
            BusyError: Others kept changing the collection meanwhile.
        """
        for _ in range(_PATIENCE):
            old = self._store.collection(gun)
            update = judge(gun, upload, old, now, self._lifetimes)
            if self._store.commit(gun, update, old.revision):
                return
        raise BusyError(str(gun))

    def replicate(self, gun: Gun, upload: Mapping[str, bytes], now: datetime) -> None:
        """Take the files of a collection that is signed elsewhere; see :func:`judge_replica`.

        Raises:
            RefusedError: A reader would not believe the result, or one who knows what is here would not follow.
            VersionTakenError: A version is not above those already stored.
            BusyError: Others kept changing the collection meanwhile.
        """
        for _ in range(_PATIENCE):
            old = self._store.collection(gun)
            update = judge_replica(gun, upload, old, now)
            if update is None or self._store.commit(gun, update, old.revision):
                return
        raise BusyError(str(gun))

    def current(self, gun: Gun, role: str, now: datetime) -> File | None:
        """Return the current file of *role*, signed anew where that is due.

        Of several readers that find it due, one gets its version stored and all return that one. What cannot be
        signed or stored again is returned as it is, and good for a while yet: its readers see until when.
        """
        file = self._store.find(gun, role)
        if file is None or not file.due(now):
            return file
        old = self._store.collection(gun)
        file = old.files.get(role)
        if file is None or not file.due(now):  # somebody else was faster
            return file
        try:
            self._store.commit(gun, renew(gun, old, now, self._lifetimes), old.revision)
        except (UntrustedError, UnavailableError) as exc:
            self._report(exc)
            return file
        return self._store.find(gun, role)

    def past(self, gun: Gun, role: str, *, version: int | None = None, sha256: str | None = None) -> File | None:
        """Return a file of *role* by its *version* or *sha256*, whether current or not."""
        return self._store.find(gun, role, version=version, sha256=sha256)

    def delete(self, gun: Gun, now: datetime) -> None:
        """Forget a collection, whether there is one or not."""
        self._store.delete(gun, now)

    def key(self, gun: Gun, role: str) -> bytes:
        """Return the public key that the server signs *role* with, or will once a root lists it."""
        root = self._store.find(gun, ROOT)
        if root is not None:
            listed = _read(ROOT, root.raw, Root).signed.roles[role].keyids
            for key in self._store.keys(gun):
                if key.role == role and (public := _public(key.signer)).id in listed:
                    return _DIALECT.spell_key(public)
        return self.next_key(gun, role)

    def next_key(self, gun: Gun, role: str) -> bytes:
        """Return the public key that *role* may change to; the same one until it has signed."""
        signer = self._store.unused_key(gun, role, lambda: LocalSigner.generate(self._key_kind))
        return _DIALECT.spell_key(_public(signer))

    def changes(
        self, gun: Gun | None, *, after: int | None = None, before: int | None = None, limit: int
    ) -> list[ChangeRecord]:
        """Return changes of *gun*, or of all collections; see :meth:`Store.changes`."""
        return self._store.changes(gun, after=after, before=before, limit=limit)


def judge(
    gun: Gun, upload: Mapping[str, bytes], old: Collection, now: datetime, lifetimes: Lifetimes | None = None
) -> Update:
    """Decide what *upload* makes of the collection *old*.

    Args:
        gun: Whose collection it is; root certificates have to name it.
        upload: Files by role. A timestamp among them is passed over: the server makes its own.
        old: The collection as it stands.
        now: When this is.
        lifetimes: For how long the server's own signatures are good.

    Raises:
        RefusedError: With the role at fault; :class:`MissingError` where the upload lacks it.
        VersionTakenError: A version is not above those already stored.
    """
    upload = {role: raw for role, raw in upload.items() if role != TIMESTAMP}
    case = _Case(gun, upload, old, now, lifetimes or Lifetimes())
    case.read()
    case.judge_root()
    for role in (TARGETS, *sorted(filter(is_delegation, upload))):
        case.believe(role)
    if SNAPSHOT in upload:
        case.judge_snapshot()
    else:
        case.sign_snapshot()
    return case.close()


def renew(gun: Gun, old: Collection, now: datetime, lifetimes: Lifetimes | None = None) -> Update:
    """Sign the timestamp of *old* again, and its snapshot if that is due and the server's to sign.

    Raises:
        RefusedError: The server does not hold the keys.
    """
    case = _Case(gun, {}, old, now, lifetimes or Lifetimes())
    if old.files[SNAPSHOT].due(now):
        case.sign_snapshot()
    return case.close()


def judge_replica(gun: Gun, upload: Mapping[str, bytes], old: Collection, now: datetime) -> Update | None:
    """Decide what *upload*, files of a collection that is signed elsewhere, makes of the replica *old*.

    What a reader would believe is taken, and nothing else: one who knows no more than the first root where there is
    nothing yet, and otherwise one who remembers all that is here.

    Args:
        gun: Whose collection it is; root certificates have to name it.
        upload: Files by role, those that are here already left out or not; of the root each version, as ``7.root``.
        old: The replica as it stands.
        now: When this is.

    Returns:
        What to store; ``None`` where all of it is here.

    Raises:
        RefusedError: With the role at fault; :class:`MissingError` where the upload lacks it.
        VersionTakenError: A version is not above those already stored.
    """
    if old.files and _Case(gun, {}, old, now, Lifetimes()).ours:
        raise RefusedError(TIMESTAMP, "this server signs the collection itself, so it is no replica of another one")
    replica = _Replica(gun, upload, old)
    try:
        return replica.close(replica.believe(now), now)
    except RefusedError:
        raise
    except AbsentError as exc:
        raise MissingError(exc.role, "the collection has to have it, and the upload does not bring it") from exc
    except UntrustedError as exc:
        raise RefusedError(getattr(exc, "role", ""), str(exc)) from exc


class _Case:
    """One upload before its judge: its claims stand in front of those of the stored collection."""

    def __init__(
        self, gun: Gun, upload: Mapping[str, bytes], old: Collection, now: datetime, lifetimes: Lifetimes
    ) -> None:
        self._gun, self._upload, self._old, self._now, self._lifetimes = gun, upload, old, now, lifetimes
        self._files = {**{role: file.raw for role, file in old.files.items()}, **upload}
        self._claims: dict[str, Envelope[Signed]] = {}
        self._believed: dict[str, Targets] = {}
        self._signed: list[str] = []
        self._used: set[bytes] = set()

    def read(self) -> None:
        """Decode the upload; require bytes that Go would write too, and versions that nobody has."""
        if ROOT not in self._files:
            raise MissingError(ROOT, "there is none yet, and the upload brings none")
        for role, raw in self._upload.items():
            version = self._claim(role, Signed).signed.version
            try:
                exact(role, raw)
            except UntrustedError as exc:
                raise RefusedError(role, str(exc)) from exc
            if version <= (stored := self._old.newest.get(role, 0)):
                raise VersionTakenError(role, stored, version)

    def judge_root(self) -> None:
        """Require the next root in turn, by the keys of the last one and by its own, with a timestamp key of ours."""
        if ROOT in self._upload:
            claim = self._claim(ROOT, Root)
            old = self._old.files.get(ROOT)
            due = (old.version + 1,) if old else (1, 2)  # 2: a Go client that rotated a key before it published
            if claim.signed.version not in due:
                raise RefusedError(ROOT, f"v{due[0]} is due, not v{claim.signed.version}")
            try:
                if old:
                    succeed(claim, anchor(_read(ROOT, old.raw, Root), self._gun), self._gun)
                admit(claim, self._gun, Pins(), self._now, known=True)
            except UntrustedError as exc:
                raise RefusedError(ROOT, str(exc)) from exc
            self._alive(claim)
        if not self.ours:
            if ROOT not in self._upload:
                why = "this is a replica of a collection that is signed elsewhere: publish there, and mirror it again"
                raise RefusedError(TIMESTAMP, why)
            raise RefusedError(ROOT, "too few of its timestamp keys are this server's, so nobody could sign timestamps")

    def believe(self, role: str) -> Targets:
        """Require *role*, uploaded or stored, to be signed as its delegator says, and so on up to the root."""
        if role in self._believed:
            return self._believed[role]
        authority, keys = self._authority(role)
        if role not in self._files:
            raise MissingError(role, "there is none yet, and the upload brings none")
        claim = self._claim(role, Targets)
        try:
            verify(claim, authority, keys)
        except UntrustedError as exc:
            why = "" if role in self._upload else "; its keys were replaced, so the upload has to bring it signed anew"
            raise RefusedError(role, f"{exc}{why}") from exc
        if role in self._upload:
            self._alive(claim)
        self._believed[role] = claim.signed
        return claim.signed

    def judge_snapshot(self) -> None:
        """Require the uploaded snapshot to list the whole collection as it will be, each file as it is."""
        claim = self._claim(SNAPSHOT, Snapshot)
        try:
            verify(claim, self._root.roles[SNAPSHOT], self._root.keys)
        except UntrustedError as exc:
            raise RefusedError(SNAPSHOT, str(exc)) from exc
        self._alive(claim)
        meta = claim.signed.meta
        for role in self._reachable():
            if role not in meta:
                raise RefusedError(SNAPSHOT, f"it does not list {role}")
        for role, listed in meta.items():
            if role not in self._files or role in {SNAPSHOT, TIMESTAMP}:
                raise RefusedError(SNAPSHOT, f"it lists {role[:80]!r}, which the collection does not have")
            try:
                check_content(role, listed, self._files[role])
            except ContentError as exc:
                raise RefusedError(SNAPSHOT, f"it lists {role} with {exc.expected}, not {exc.actual}") from exc

    def sign_snapshot(self) -> None:
        """Sign a snapshot of the collection as it will be."""
        meta = {role: _DIALECT.listed(self._files[role], 0) for role in self._reachable()}
        expires = self._now + self._lifetimes.snapshot
        self._sign(Snapshot(version=self._next(SNAPSHOT), expires=expires, meta=meta), SNAPSHOT)

    def close(self) -> Update:
        """Sign the timestamp, and say what to store."""
        snapshot = self._claim(SNAPSHOT, Snapshot)
        expires = self._now + self._lifetimes.timestamp
        listed = _DIALECT.listed(snapshot.raw, 0)
        self._sign(Timestamp(version=self._next(TIMESTAMP), expires=expires, snapshot=listed), TIMESTAMP)
        renew: dict[str, datetime] = {TIMESTAMP: expires - self._lifetimes.timestamp / 2}
        if self._signers(SNAPSHOT) is not None:
            renew[SNAPSHOT] = snapshot.signed.expires - self._lifetimes.snapshot / 2
            renew[TIMESTAMP] = min(renew.values())
        files = (
            File(
                role=role,
                version=self._claim(role, Signed).signed.version,
                raw=self._files[role],
                created=self._now,
                renew=renew.get(role),
            )
            for role in (*self._upload, *self._signed)
        )
        current = frozenset({*snapshot.signed.meta, SNAPSHOT, TIMESTAMP})
        return Update(files=tuple(files), current=current, used=frozenset(self._used))

    @property
    def ours(self) -> bool:
        """Say whether this server holds the keys that sign the timestamp."""
        return self._signers(TIMESTAMP) is not None

    @property
    def _root(self) -> Root:
        return self._claim(ROOT, Root).signed

    def _claim(self, role: str, kind: type[S]) -> Envelope[S]:
        """Return *role* decoded, uploaded or stored."""
        if role not in self._claims:
            try:
                self._claims[role] = _read(role, self._files[role], kind)
            except UntrustedError as exc:
                raise RefusedError(role, str(exc)) from exc
        return cast("Envelope[S]", self._claims[role])

    def _authority(self, role: str) -> tuple[Role, Mapping[str, Key]]:
        """Return who may sign *role*."""
        if role == TARGETS:
            return self._root.roles[TARGETS], self._root.keys
        delegator = self.believe(parent(role))
        delegation = delegator.delegation(role)
        if delegation is None:
            raise RefusedError(role, f"{parent(role)} does not delegate to it")
        return delegation, delegator.keys

    def _reachable(self) -> list[str]:
        """Return root, targets, and each role that somebody in this list delegates to and that has a file."""
        found = [TARGETS]
        for role in found:  # which grows meanwhile
            delegations = self._claim(role, Targets).signed.delegations
            found += [each.name for each in delegations if each.name in self._files]
        return [ROOT, *found]

    def _next(self, role: str) -> int:
        return self._old.newest.get(role, 0) + 1

    def _alive(self, claim: Envelope[Signed]) -> None:
        signed = claim.signed
        if signed.expires <= self._now:
            error = ExpiredError(claim.role, signed.version, signed.expires, self._now)
            raise RefusedError(claim.role, str(error)) from error

    def _signers(self, role: str) -> dict[str, LocalSigner] | None:
        """Return the server's keys by the ids that the root lists, or ``None`` if they are too few to sign *role*."""
        listed = self._root.roles[role]
        held = {_public(key.signer).id: key.signer for key in self._old.keys if key.role == role}
        signers = {keyid: held[keyid] for keyid in listed.keyids if keyid in held}
        return signers if len(signers) >= listed.threshold else None

    def _sign(self, signed: Signed, role: str) -> None:
        """Sign *signed* with every key of *role* that is ours, and hold the result to the same test as an upload."""
        signers = self._signers(role)
        if signers is None:
            raise MissingError(role, "the upload brings none, and the server does not hold the keys to sign one")
        payload = _DIALECT.payload(signed)
        self._files[role] = _DIALECT.encode(payload, [signer.sign(payload, keyid) for keyid, signer in signers.items()])
        self._claims.pop(role, None)
        try:
            verify(self._claim(role, Signed), self._root.roles[role], self._root.keys)
        except UntrustedError as exc:  # a root that lists one key twice, and asks for two
            raise RefusedError(role, str(exc)) from exc
        self._signed.append(role)
        self._used |= {signer.public for signer in signers.values()}


class _Replica:
    """A collection that is signed elsewhere, as an upload would have it, before a reader who knows what is here."""

    def __init__(self, gun: Gun, upload: Mapping[str, bytes], old: Collection) -> None:
        self._gun, self._newest = gun, old.newest
        self._roots = {int(name.removesuffix(_OF_ROOT)): upload[name] for name in upload if name.endswith(_OF_ROOT)}
        self._upload = {role: raw for role, raw in upload.items() if not role.endswith(_OF_ROOT)}
        self._stored = {role: file.raw for role, file in old.files.items()}
        self._files = {**self._stored, **self._upload}

    def believe(self, now: datetime) -> Workflow:
        """Read all of it, as who remembers what is here; as who knows the first root, where nothing is."""
        versions = sorted(self._roots)
        if versions and versions[-1] - versions[0] >= len(versions):
            raise MissingError(ROOT, f"not every version from v{versions[0]} to v{versions[-1]} is there")
        for version, raw in self._roots.items():  # and so the walk below looks at each that is new
            if (said := _read(ROOT, raw, Root).signed.version) != version:
                raise RefusedError(ROOT, f"what is sent as v{version} is v{said}")
        if self._stored:
            due = range(1, self._newest[ROOT] + 2)
            flow, memory = Workflow(_DIALECT, self._gun, now), self._memory(now)
        else:
            due = range(1, 3)  # as a first root may be
            pins = Pins(root=self._roots[versions[0]] if versions else None)
            flow, memory = Workflow(_DIALECT, self._gun, now, pins=pins), Memory()
        if (versions or not self._stored) and not {*versions[:1]} & {*due}:
            raise MissingError(ROOT, f"its history has to begin with v{due[-1]} at the latest")
        paths = {_DIALECT.locate(ROOT, version=version): raw for version, raw in self._roots.items()}
        paths |= _by_path(self._files)
        _answered(flow.refresh(), paths, memory, self._stored)
        for failure in _answered(flow.delegated(), paths, memory, self._stored).values():
            if isinstance(failure, AbsentError):  # whatever else is wrong with a role, its readers see as elsewhere
                raise failure
        return flow

    def close(self, flow: Workflow, now: datetime) -> Update | None:
        """Say what to store."""
        if flow.timestamp.raw == self._stored.get(TIMESTAMP):
            return None
        meta = flow.snapshot.signed.meta
        for role in sorted(self._upload.keys() - _OWN):
            if role not in meta:
                raise RefusedError(role, "the snapshot does not list it")
            check_content(role, meta[role], self._upload[role])
        roles = [role for role in sorted(meta.keys() - _OWN) if role in self._files]
        new = [(ROOT, self._roots[version]) for version in sorted(self._roots) if version > self._newest.get(ROOT, 0)]
        new += [(role, self._files[role]) for role in (*roles, SNAPSHOT, TIMESTAMP)]
        files = tuple(self._file(role, raw, now) for role, raw in new if raw != self._stored.get(role))
        return Update(files=files, current=frozenset({*roles, *_OWN}), used=frozenset())

    def _file(self, role: str, raw: bytes, now: datetime) -> File:
        version, newest = _read(role, raw, Signed).signed.version, self._newest.get(role, 0)
        if role != ROOT and version <= newest:
            raise VersionTakenError(role, newest, version)
        return File(role=role, version=version, raw=raw, created=now)

    def _memory(self, now: datetime) -> Memory:
        """Return what who has read all that is here remembers, expired or not."""
        pins = Pins(root=self._stored[ROOT])
        flow, paths = Workflow(_DIALECT, self._gun, now, pins=pins, dangerous_skip_expiry=True), _by_path(self._stored)
        _answered(flow.refresh(), paths)
        _answered(flow.delegated(), paths)
        return Memory(flow.floors())


def _by_path(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return *files* by the paths under which readers look for what is listed."""
    return {
        _DIALECT.locate(role, None if role == TIMESTAMP else _DIALECT.listed(raw, 0)): raw
        for role, raw in files.items()
    }


def _answered(
    flow: Flow[T], files: Mapping[str, bytes], memory: Memory | None = None, kept: Mapping[str, bytes] | None = None
) -> T:
    """Run *flow* on *files* by path, on *memory*, and on what is *kept* by role; return what it returns."""
    answer: Answer = None
    while True:
        try:
            request = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(request, Want):
            answer = files.get(request.path)
        elif isinstance(request, Recall):
            answer = (kept or {}).get(request.role)
        else:
            answer = (memory or Memory()) if isinstance(request, Remember) else None


def _read(role: str, raw: bytes, _kind: type[S]) -> Envelope[S]:
    """Decode *raw*; the dialect makes of each role its own kind."""
    return cast("Envelope[S]", _DIALECT.decode(role, raw))


def _public(signer: LocalSigner) -> Key:
    return _DIALECT.key(signer.kind, signer.public)


_DIALECT = Notary1()
_OF_ROOT = f".{ROOT}"
_OWN = frozenset({ROOT, SNAPSHOT, TIMESTAMP})
_PATIENCE = 16  # readings of the collection that may each turn out to be stale
