"""The use cases of people who write collections: init, sign, remove, publish.

A publisher puts what it made before the verifier that readers use, hands it over to the trust server in one piece or to
a store in an order that leaves readers something whole at every moment, and believes in it when it has read it back.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeAlias, cast

from trustreg.client import Site, Sites, drive
from trustreg.errors import (
    AmbiguousKeyError,
    ConflictError,
    ExistsError,
    FormatError,
    KnownError,
    MovedError,
    NameFormError,
    OfflineError,
    PublishRefusedError,
    TakenError,
    UnauthorizedError,
    UnavailableError,
    UnprovenError,
    UnsignedError,
    UntrustedError,
)
from trustreg.metadata import FileMeta, Key, Role, Root, Signed
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, Gun, Reference
from trustreg.ports import Cache, HeldKey, KeyStore, Registry, Stage, Store, TrustServer, Write
from trustreg.sign.changes import AddTarget, Change, RemoveTarget
from trustreg.sign.draft import UNATTENDED, Draft, Lifetimes, create
from trustreg.sign.keyfile import key_id
from trustreg.sign.signer import Signer, describe
from trustreg.values import dataclass
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Keep, Memory, Want
from trustreg.verify.signatures import Verified, load, verify
from trustreg.verify.workflow import Limits, Workflow

_Proven: TypeAlias = Mapping[str, Verified[Signed]]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published and read back: versions by role; empty if there was nothing to publish."""

    gun: Gun
    versions: Mapping[str, int]
    changes: tuple[Change, ...] = ()


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
        self._last: tuple[Gun, datetime, Site, Workflow] | None = None

    def init(
        self,
        gun: Gun,
        now: datetime,
        make: Callable[[str], Signer],
        *,
        use: Iterable[HeldKey] = (),
        hold_snapshot: bool = False,
    ) -> Published:
        """Begin a collection: a root, an empty targets role, and the keys they need.

        Args:
            gun: Its name.
            now: The time.
            make: Makes a key for the role it is given.
            use: Keys that are here, to be used for their roles. The root key that is here is used without being named.
            hold_snapshot: Keep the snapshot key here. Otherwise the server, if there is one, holds it, and signs each
                snapshot.

        Raises:
            ExistsError: The server has a collection of this name.
            KnownError: It has none, but one of this name is remembered, which readers would miss.
            AmbiguousKeyError: Several root keys are here, and none of them is to be used.
            PublishRefusedError: The server does not want it; no key of it is kept.
        """
        site = self._sites(gun)
        if site.repository.fetch(Want(ROOT, site.dialect.locate(ROOT), Limits().root)) is not None:
            raise ExistsError(f"the collection {site.gun} on {site.repository.where}")
        if site.cache.memory().floors:
            raise KnownError(str(site.gun), site.repository.where)
        made: list[HeldKey] = []
        try:
            held = (TARGETS, SNAPSHOT, TIMESTAMP) if _unattended(site) else (TARGETS, SNAPSHOT)[: 1 + hold_snapshot]
            signers = self._signers(site.gun, make, {held.role: held for held in use}, made, held)
            proven = self._begin(now, site, signers)
        except BaseException:
            self._forget(made)
            raise
        try:
            self._deliver(now, site, proven)
        except (PublishRefusedError, UnauthorizedError, ConflictError, TakenError):
            self._forget(made)  # it was refused for certain; after any other failure it may have been published
            raise
        return Published(gun=site.gun, versions=_versions(proven))

    def additions(self, image: Reference, registry: Registry, now: datetime) -> tuple[AddTarget, ...]:
        """Return what says that the tag of *image* is what the registry serves for it, in each role that is to sign it.

        That is each top-level delegation that may speak for the tag and whose keys are here, or else ``targets``:
        Docker's convention.

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
        site, workflow = self._read(image.gun, now)
        name = site.target(image)
        roles = self._signing_roles(workflow, name)
        return tuple(AddTarget(role=role, name=name, meta=meta) for role in roles)

    def removals(self, image: Reference, now: datetime) -> tuple[RemoveTarget, ...]:
        """Return what takes the tag of *image* out of ``targets`` and the roles it delegates to.

        Raises:
            NameFormError: *image* has no tag.
            UnsignedError: None of them signs it.
        """
        tag = _tag(image)
        site, workflow = self._read(image.gun, now)
        name = site.target(image)
        names = (TARGETS, *(d.name for d in workflow.roles[TARGETS].signed.covering(name)))
        if not site.dialect.rules.tree:  # a role that may no longer speak for it may still say it
            names = (TARGETS, *(d.name for d in workflow.roles[TARGETS].signed.delegations))
        loaded = {role: drive(workflow.load(role), site.repository, site.cache) for role in names}
        listing = (role for role, part in loaded.items() if part and name in part.signed.targets)
        changes = tuple(RemoveTarget(role=role, name=name) for role in listing)
        if not changes:
            raise UnsignedError(str(image.gun), tag, names)
        return changes

    def stage(self, gun: Gun, changes: Iterable[Change]) -> None:
        """Put *changes* with those that wait for the next :meth:`publish`."""
        stage = self._stage(gun)
        for change in changes:
            stage.add(change)

    def publish(self, gun: Gun, now: datetime, changes: Iterable[Change] = ()) -> Published:
        """Apply what is staged and then *changes*, sign, upload in one piece, and read back what the server now has.

        What is staged waits on if this fails. *changes* are not staged: a signature that could not be given must not
        come along with a later one.

        Raises:
            NoKeyError: A role that changes cannot be signed here.
            ConflictError: Other publishers were faster, twice.
            PublishRefusedError: The server finds fault with it.
            UnprovenError: What it serves is not what was published.
        """
        stage = self._stage(gun)
        staged = stage.changes()
        wanted = (*(change for _, change in staged), *changes)
        taken: Mapping[str, int] = {}
        for last in (False, True):
            try:
                site, workflow = self._read(gun, now)
                proven = self._publish_on(site, workflow, now, wanted, taken)
                break
            except ConflictError:
                if last:
                    raise
            except TakenError as exc:
                if last:
                    raise ConflictError(str(gun), str(exc)) from exc
                taken = _taken(site)
            self._last = None
        stage.clear(name for name, _ in staged)
        return Published(gun=site.gun, versions=_versions(proven), changes=wanted)

    def _publish_on(
        self, site: Site, workflow: Workflow, now: datetime, changes: tuple[Change, ...], taken: Mapping[str, int]
    ) -> _Proven:
        """Publish *changes* on top of the reading *workflow*."""
        for role in {role for change in changes for role in _lineage(site, change.role)}:
            drive(workflow.load(role), site.repository, site.cache)
        draft = Draft(
            site.dialect,
            now,
            workflow.root.signed,
            {name: part.signed for name, part in workflow.roles.items()},
            workflow.snapshot.signed,
            workflow.timestamp.signed,
            before=workflow.root.signed,
            unattended=_unattended(site),
            lifetimes=self._lifetimes or _lifetimes(site),
            taken=taken,
        )
        for change in changes:
            draft.apply(change)
        if not draft.touched:
            return {}
        held = self._held()
        proven = _prove(draft, draft.sign(lambda key: self._signer(key, held)))
        self._deliver(now, site, proven, workflow)
        return proven

    def _signers(
        self,
        gun: Gun,
        make: Callable[[str], Signer],
        use: Mapping[str, HeldKey],
        made: list[HeldKey],
        roles: tuple[str, ...],
    ) -> dict[str, Signer]:
        """Return a signer for the root and each of *roles*, and note in *made* which keys were made for it."""
        roots = [held for held in self._held().values() if held.role == ROOT]
        if len(roots) > 1 and ROOT not in use:
            raise AmbiguousKeyError(ROOT, tuple(held.id for held in roots))
        use = {ROOT: roots[0], **use} if roots else use
        signers: dict[str, Signer] = {}
        for role in dict.fromkeys((ROOT, *roles, *([SNAPSHOT] if SNAPSHOT in use else []))):
            signers[role] = self._keys.open(use[role]) if role in use else make(role)
            if role not in use:
                made.append(self._keys.add(signers[role], role, None if role == ROOT else str(gun)))
        return signers

    def _begin(self, now: datetime, site: Site, signers: Mapping[str, Signer]) -> _Proven:
        """Make the first files of a collection."""
        dialect, root = site.dialect, signers[ROOT]
        certificates = () if _unattended(site) else (self._certify(root, site.gun, now),)
        keys = {ROOT: dialect.key(root.kind, root.public, certificates)}
        for role in (TARGETS, SNAPSHOT, TIMESTAMP):
            signer = signers.get(role)
            offered = dialect.key(signer.kind, signer.public) if signer else None
            keys[role] = offered or _server_key(site, role)
        by_id = {keys[role].id: signer for role, signer in signers.items()}
        lifetimes = self._lifetimes or _lifetimes(site)
        draft = create(dialect, now, keys, lifetimes, unattended=_unattended(site))
        return _prove(draft, draft.sign(lambda key: by_id.get(key.id)))

    def _read(self, gun: Gun, now: datetime) -> tuple[Site, Workflow]:
        """Return a reading of *gun* as of *now*; one made for this very moment is good enough."""
        if self._last is None or self._last[:2] != (gun, now):
            site = self._sites(gun)
            workflow = site.workflow(now, dangerous_skip_expiry=_unattended(site))  # who is late has to sign, not wait
            drive(workflow.refresh(), site.repository, site.cache)
            self._last = (gun, now, site, workflow)
        return self._last[2:]

    def _deliver(self, now: datetime, site: Site, proven: _Proven, before: Workflow | None = None) -> None:
        """Publish *proven* and read back: what counts is what readers get, not what was answered."""
        self._last = None
        try:
            _hand_over(site, proven, before)
        except OfflineError:
            try:
                _confirm(now, site, proven)
            except (UnprovenError, UnavailableError):
                pass
            else:
                return  # only the answer got lost
            raise
        _confirm(now, site, proven)

    # --- keys ---

    def _signing_roles(self, workflow: Workflow, name: str) -> tuple[str, ...]:
        targets, held = workflow.roles[TARGETS].signed, self._held()
        mine = (d.name for d in targets.covering(name) if self._may(d, targets.keys, held))
        return tuple(mine) or (TARGETS,)

    def _may(self, role: Role, keys: Mapping[str, Key], held: Mapping[str, HeldKey]) -> bool:
        return sum(keyid in keys and _plain_id(keys[keyid]) in held for keyid in role.keyids) >= role.threshold

    def _forget(self, made: Iterable[HeldKey]) -> None:
        for held in made:
            self._keys.remove(held)

    def _held(self) -> dict[str, HeldKey]:
        held = self._keys.keys()
        return {key.id: key for key in held}

    def _signer(self, key: Key, held: Mapping[str, HeldKey]) -> Signer | None:
        found = held.get(_plain_id(key))
        return self._keys.open(found) if found else None


def _unattended(site: Site) -> bool:
    """Say whether nobody signs at *site* but the publishers."""
    return site.dialect.rules.tree


def _lifetimes(site: Site) -> Lifetimes:
    return UNATTENDED if _unattended(site) else Lifetimes()


def _server_key(site: Site, role: str) -> Key:
    """Return the key that the server signs *role* with: one that can, for what it says is what gets signed."""
    key = site.dialect.read_key(cast("TrustServer", site.repository).server_key(role))
    if load(key) is None:
        raise FormatError("server key", "", f"for {role} the server names a key that can sign nothing")
    return key


def _prove(draft: Draft, files: Mapping[str, bytes]) -> _Proven:
    """Put what is about to be published before the verifier that readers use."""
    return {name: verify(draft.dialect.decode(name, raw), *draft.authority(name)) for name, raw in files.items()}


def _hand_over(site: Site, proven: _Proven, before: Workflow | None) -> None:
    if not _unattended(site):
        cast("TrustServer", site.repository).publish({role: mine.raw for role, mine in proven.items()})
        return
    was = before.timestamp.raw if before else None
    writes = []
    for role, mine in proven.items():
        moving = role == TIMESTAMP  # everything else has its version in its name
        path = site.dialect.locate(role, version=None if moving else mine.signed.version)
        writes.append(Write(path=path, data=mine.raw, was=was if moving else None))
    cast("Store", site.repository).write(writes)


def _confirm(now: datetime, site: Site, proven: _Proven) -> None:
    """Read the collection as a reader does, and find *proven* in it, or later files."""
    cache = _Just(site.cache, {role: mine.raw for role, mine in proven.items()})
    pins = site.pins
    if ROOT in proven and not site.cache.memory().floors:  # not to be taken on trust by the very one who signed it
        first = proven[ROOT].signed
        pins = Pins(keys=first.roles[ROOT].keyids if isinstance(first, Root) else ())
    workflow = site.workflow(now, pins=pins)
    try:
        drive(workflow.refresh(), site.repository, cache)
        for role in proven:
            if role not in TOP_LEVEL:
                drive(workflow.load(role), site.repository, cache)
    except UntrustedError as exc:
        raise UnprovenError(str(site.gun), str(exc)) from exc
    current = {ROOT: workflow.root, SNAPSHOT: workflow.snapshot, TIMESTAMP: workflow.timestamp, **workflow.roles}
    for role, mine in proven.items():
        served, version = current.get(role), mine.signed.version
        if served is None or (served.raw != mine.raw and served.signed.version <= version):
            raise UnprovenError(str(site.gun), f"the server does not have {role} v{version} as it was published")


def _taken(site: Site) -> dict[str, int]:
    """Return the highest version of each file in the store, whether a snapshot lists it or not."""
    taken: dict[str, int] = {}
    for path in cast("Store", site.repository).names():
        version, _, name = path.partition(".")
        if version.isdecimal() and name:
            taken[name] = max(taken.get(name, 0), int(version))
    return taken


def _plain_id(key: Key) -> str:
    """Return the id that private keys go by: that of the plain key, whatever it is listed as."""
    public = load(key)
    return key_id(*describe(public)) if public else key.id


class _Just:
    """A cache that also has the files just published: what the server lists of them need not come back."""

    def __init__(self, cache: Cache, files: Mapping[str, bytes]) -> None:
        self._cache, self._files = cache, files

    def memory(self) -> Memory:
        return self._cache.memory()

    def recall(self, role: str) -> bytes | None:
        # The root is not recalled: a first root has to be met like anybody's.
        return self._files.get(role) if role in self._files and role != ROOT else self._cache.recall(role)

    def keep(self, keep: Keep) -> None:
        self._cache.keep(keep)


def _tag(image: Reference) -> str:
    if image.tag is None:
        raise NameFormError(str(image), "tagged image", "a tag is what gets signed, and it names none")
    return image.tag


def _versions(proven: _Proven) -> dict[str, int]:
    return {role: mine.signed.version for role, mine in proven.items()}


def _lineage(site: Site, role: str) -> tuple[str, ...]:
    """Return *role* and, where its name says so, every role above it, the highest first."""
    if site.dialect.rules.tree:
        return (role,)
    parts = role.split("/")
    return tuple("/".join(parts[: n + 1]) for n in range(len(parts)))
