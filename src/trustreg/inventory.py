"""Who leaves a trust server takes stock of its collections: what is signed, by whom, and until when.

A collection that is not to be trusted any more is listed as far as its files can be read, and is never taken for one
that is: each role and each tag says what it rests on.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from trustreg.client import Opened, Site, Sites, entries, refresh
from trustreg.dialect import Dialect
from trustreg.errors import (
    ExpiredError,
    NameFormError,
    NotInRegistryError,
    OfflineError,
    PinError,
    RollbackError,
    ServerError,
    ThresholdError,
    TlsError,
    TooLargeError,
    TrustregError,
    UnauthorizedError,
    UnavailableError,
    UntrustedError,
)
from trustreg.metadata import Bins, Delegation, Key, Role, Root, Signed, Targets
from trustreg.names import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP_LEVEL,
    Digest,
    Gun,
    Reference,
    is_tag,
    signer_of,
)
from trustreg.ports import Shelves
from trustreg.values import dataclass, field
from trustreg.verify import certificates
from trustreg.verify.keys import spell
from trustreg.verify.pinning import anchor, succeed
from trustreg.verify.requests import Want
from trustreg.verify.signatures import Verified, load, verify
from trustreg.verify.workflow import Limits, Workflow

TRUSTED: Final = "trusted"
"""Every check holds today."""
EXPIRED: Final = "expired"
"""Every check held once, and would hold today but for the time."""
UNCONFIRMED: Final = "unconfirmed"
"""The right keys signed it; that it is what they signed last, nobody says."""
REFUSED: Final = "refused"
"""A check does not hold."""
UNKNOWN: Final = "unknown"
"""It could not be read."""
UNSIGNED: Final = "unsigned"
"""Of a role: it has signed nothing yet."""

HELD: Final = "held"
"""The registry serves the signed digest for the tag."""
MOVED: Final = "moved"
"""It serves another digest for the tag."""
UNTAGGED: Final = "untagged"
"""It has the digest, and no such tag."""
GONE: Final = "gone"
"""It has neither."""


@dataclass(frozen=True, kw_only=True)
class CertificateLine:
    """A certificate: the common name of its subject, and from when to when it is valid."""

    subject: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, kw_only=True)
class KeyLine:
    """A public key as its role lists it.

    Attributes:
        id: Its id, as listed.
        plain_id: The id of the key itself, by which tools show it and call its file; another one in a certificate only.
        algorithm: What it is: ``ed25519``, ``ecdsa P-256``, ``rsa 2048``.
        strength: In bits; 0 where it cannot vouch for anything.
        certificate: What it came in, where it came in one.
    """

    id: str
    plain_id: str
    algorithm: str
    strength: int
    certificate: CertificateLine | None = None


@dataclass(frozen=True, kw_only=True)
class RoleLine:
    """Who may sign a role, by the word of one delegator, and what became of it.

    Attributes:
        name: The role; for bins, what their names begin with.
        delegator: Who says so; empty for the root.
        signer: Who signs it as Docker names people: ``alice`` for ``targets/alice``; empty for the other roles.
        state: ``trusted``, ``expired``, ``unconfirmed``, ``refused``, ``unknown`` or ``unsigned``.
        error: Why it is not trusted.
        threshold: How many have to sign.
        keys: Who may.
        signed_by: Ids of those who did.
        version: The version that there is.
        expires: Until when it is good; of bins, the first of them.
        paths: Of a delegation, what it may speak for: globs, or beginnings with ``*`` behind them.
        bins: How many there are; ``None`` where it is a role.
    """

    name: str
    delegator: str
    signer: str
    state: str
    error: TrustregError | None
    threshold: int
    keys: tuple[KeyLine, ...]
    signed_by: tuple[str, ...] = ()
    version: int | None = None
    expires: datetime | None = None
    paths: tuple[str, ...] = ()
    bins: int | None = None


@dataclass(frozen=True, kw_only=True)
class RootLine:
    """One version of the root, as far as it is served.

    Attributes:
        version: Its version.
        served: Whether it can be had, and read.
        follows: Whether the keys of the version before signed it; the first that is served follows nobody.
        expires: Until when it is good.
        keys: Those that may sign the root from then on.
        threshold: How many of them have to.
    """

    version: int
    served: bool
    follows: bool = False
    expires: datetime | None = None
    keys: tuple[KeyLine, ...] = ()
    threshold: int = 0


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What the registry says it has of a signed tag.

    Attributes:
        state: ``held``, ``moved``, ``untagged``, ``gone`` or ``unknown``.
        serves: The digest that it serves for the tag.
        kept: Whether it has the signed digest; ``None`` where that was not to be found out.
        error: Why it is unknown.
    """

    state: str
    serves: Digest | None = None
    kept: bool | None = None
    error: TrustregError | None = None


@dataclass(frozen=True, kw_only=True)
class TagLine:
    """One tag with one digest, and the roles that say so.

    Attributes:
        tag: The name that is signed; in stores, the name in full where it is not a tag of the collection's own name.
        digest: What it is bound to.
        length: The size of that in bytes.
        state: ``trusted``, ``expired`` or ``unconfirmed``: that of the roles; one that says so in another state has a
            line of its own.
        roles: Who signs it.
        signers: Those of them that are people as Docker names them.
        counts: Whether one of them is the role whose word is taken.
        image: What it is in a registry, if it is an image.
        holding: What the registry has of it; ``None`` where it was not asked.
    """

    tag: str
    digest: Digest
    length: int
    state: str
    roles: tuple[str, ...]
    signers: tuple[str, ...]
    counts: bool
    image: Reference | None
    holding: Holding | None = None


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One collection, as far as it could be read.

    Attributes:
        gun: Its name, or that of the repository it was asked on behalf of.
        where: The server or store.
        state: ``trusted``, ``expired``, ``unconfirmed``, ``refused`` or ``unknown``.
        error: Why it is not trusted.
        stored: It is in a store: nobody signs there but its publishers.
        roles: Top-level roles first, then delegations.
        roots: The versions of the root, the current one last.
        tags: What is signed, by name.
        first_use: The root was believed because it came first.
        stale_since: Nobody could be reached: this is as of then.
        changed: When it was published last, as the change feed of the server has it.
    """

    gun: str
    where: str
    state: str
    error: TrustregError | None = None
    stored: bool = False
    roles: tuple[RoleLine, ...] = ()
    roots: tuple[RootLine, ...] = ()
    tags: tuple[TagLine, ...] = ()
    first_use: bool = False
    stale_since: datetime | None = None
    changed: str = ""

    def role(self, name: str) -> RoleLine | None:
        """Return the first line of the role *name*, or of the bins that it is one of; or ``None``."""
        found = (line for line in self.roles if line.name == name or (line.bins and name.startswith(f"{line.name}-")))
        return next(found, None)


def read(gun: str, sites: Sites, now: datetime) -> Collection:
    """Take stock of the collection of *gun* without asking a registry; whatever is wrong with it is in the result."""
    try:
        name = Gun(gun)
        site = sites(name)
    except TrustregError as exc:
        return Collection(gun=gun, where="", state=UNKNOWN, error=exc)
    reading = _read(site, now)
    opened = reading.layers[0].opened if reading.layers else None
    tags, odd = _tags(site, name, reading)
    found = Collection(
        gun=gun,
        where=site.repository.where,
        state=reading.state,
        error=reading.error,
        stored=site.dialect.rules.tree,
        tags=tags,
        first_use=bool(opened and opened.workflow.first_use),
        stale_since=opened.stale_since if opened else None,
    )
    if reading.root is None:
        return found
    lines = (*_top_roles(site, reading.root, reading, now), *_delegated(site, reading, now))
    roles = tuple(replace(line, error=odd[line.name]) if line.name in odd else line for line in lines)
    return replace(found, roles=roles, roots=_history(site, reading.root, offline=found.stale_since is not None))


def look_up(collections: Iterable[Collection], registry: Shelves, each: "_Each" = map) -> tuple[Collection, ...]:
    """Return *collections* with what the registries say they have of their tags.

    Args:
        collections: As :func:`read` returned them.
        registry: Asked for each image by tag, and by digest where it serves something else for that.
        each: Applies a function to many values, in their order; it may do so several at once.
    """
    collections = tuple(collections)
    ask = _Asking(registry)
    wanted = [tag for collection in collections for tag in collection.tags if tag.image]
    found = iter(each(ask, wanted))

    def held(tag: TagLine) -> TagLine:
        return replace(tag, holding=next(found)) if tag.image else tag

    return tuple(replace(collection, tags=tuple(map(held, collection.tags))) for collection in collections)


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """Targets roles by delegator and name, ``("root", "targets")`` first, that rest on the same."""

    state: str
    opened: Opened
    parts: Mapping[tuple[str, str], Verified[Targets]]


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A collection as far as it was read; the first of ``layers`` is what its top-level roles rest on."""

    state: str
    error: TrustregError | None = None
    root: Verified[Root] | None = None
    top: Mapping[str, Verified[Signed]] = field(default_factory=dict)
    layers: tuple[_Layer, ...] = ()
    failed: Mapping[str, UntrustedError | UnavailableError] = field(default_factory=dict)


def _read(site: Site, now: datetime) -> _Reading:
    try:
        opened = refresh(site, now)
        return _loaded(opened, TRUSTED, None)
    except (UntrustedError, UnavailableError) as exc:
        error = exc
    if isinstance(error, UnavailableError) and not isinstance(error, ServerError):
        return _Reading(state=UNKNOWN, error=error)  # whoever did not let us ask will not let us ask again
    late = Opened(site, _late(site, now), now)
    state = EXPIRED if isinstance(error, ExpiredError | PinError | ThresholdError) else UNCONFIRMED
    try:
        late.drive(late.workflow.refresh())
        return _loaded(late, state, error)
    except (UntrustedError, UnavailableError):
        return _by_signatures(late, error)


def _late(site: Site, now: datetime) -> Workflow:
    """Return a workflow that believes what has expired, and remembers nothing of it."""
    return site.workflow(now, dangerous_skip_expiry=True)


def _loaded(opened: Opened, state: str, error: TrustregError | None) -> _Reading:
    """Load the delegations of a collection whose top-level roles are believed."""
    flow = opened.workflow
    failed: dict[str, UntrustedError | UnavailableError] = {**opened.drive(flow.delegated())}
    layers = [_Layer(state=state, opened=opened, parts=_parts(flow))]
    if failed and state == TRUSTED:
        with suppress(UntrustedError, UnavailableError):
            late = replace(opened, workflow=_late(opened.site, opened.at))
            late.drive(late.workflow.refresh(recalled=opened.stale_since is not None))
            late.drive(late.workflow.delegated())
            known = layers[0].parts.keys()
            rest = {edge: part for edge, part in _parts(late.workflow).items() if edge not in known}
            layers += [_Layer(state=EXPIRED, opened=late, parts=rest)] if rest else []
    return _Reading(
        state=state,
        error=error,
        root=flow.root,
        top={SNAPSHOT: flow.snapshot, TIMESTAMP: flow.timestamp},
        layers=tuple(layers),
        failed=failed,
    )


def _parts(flow: Workflow) -> dict[tuple[str, str], Verified[Targets]]:
    delegated = {(delegator, part.role): part for delegator, part in flow.delegators}
    return {(ROOT, TARGETS): flow.roles[TARGETS], **delegated}


def _by_signatures(late: Opened, error: TrustregError) -> _Reading:
    """Believe of targets roles what the right keys signed, where a server does not say which of it is current.

    Servers that hold no key of a snapshot that has expired answer neither for it nor for the timestamp. In stores,
    files cannot even be found without these.
    """
    site, flow = late.site, late.workflow
    state = REFUSED if isinstance(error, UntrustedError) else UNKNOWN
    try:
        root = flow.root
    except RuntimeError:  # it did not get that far
        return _Reading(state=state, error=error)
    if site.dialect.rules.tree or isinstance(error, UntrustedError):
        return _Reading(state=state, error=error, root=root)
    parts: dict[tuple[str, str], Verified[Targets]] = {}
    failed: dict[str, UntrustedError | UnavailableError] = {}
    ahead: deque[tuple[str, Role, Mapping[str, Key]]] = deque([(ROOT, root.signed.roles[TARGETS], root.signed.keys)])
    left = Limits().together
    for _ in range(Limits().roles):
        if not ahead:
            break
        delegator, role, keys = ahead.popleft()
        try:
            part = _current(site, role, keys, min(left, Limits().targets)) if role.keyids else None
        except (UntrustedError, UnavailableError) as exc:
            failed[role.name] = exc
            continue
        if part:
            left -= len(part.raw)
            parts[delegator, role.name] = part
            ahead += ((role.name, delegation, part.signed.keys) for delegation in part.signed.delegations)
    too_many = TooLargeError(f"the tree of delegations of {site.gun}", Limits().roles, "roles")
    failed.update({role.name: too_many for _, role, _ in ahead})
    if (ROOT, TARGETS) not in parts:
        return _Reading(state=UNKNOWN, error=error, root=root)
    flow.roles = {name: part for (_, name), part in parts.items()}
    layer = _Layer(state=UNCONFIRMED, opened=late, parts=parts)
    return _Reading(state=UNCONFIRMED, error=error, root=root, layers=(layer,), failed=failed)


def _current(site: Site, role: Role, keys: Mapping[str, Key], limit: int) -> Verified[Targets] | None:
    """Return what is served as current of *role*, if the keys that may sign it did; ``None`` where nothing is."""
    raw = site.repository.fetch(Want(role.name, site.dialect.locate(role.name), limit))
    if raw is None:
        return None
    verified = verify(site.dialect.decode(role.name, raw), role, keys)
    floor = site.cache.memory().floors.get(role.name)
    if floor and verified.signed.version < floor.version:
        raise RollbackError(role.name, floor.version, verified.signed.version)
    return cast("Verified[Targets]", verified)


def _history(site: Site, root: Verified[Root], *, offline: bool) -> tuple[RootLine, ...]:
    """Return the roots that led to *root*, as far as they are served; each that is has to be a root of its version."""
    current = root.signed.version
    versions = range(current if offline else max(1, current - Limits().rotations), current)
    roots = [*_past_roots(site, versions), root]
    steps = zip((*versions, current), (None, *roots), roots, strict=False)
    return tuple(_root(site, version, before, found) for version, before, found in steps)


def _root(site: Site, version: int, before: Verified[Root] | None, found: Verified[Root] | None) -> RootLine:
    if found is None:
        return RootLine(version=version, served=False)
    role = found.signed.roles[ROOT]
    return RootLine(
        version=version,
        served=True,
        follows=before is not None and _follows(site, found, before),
        expires=found.signed.expires,
        keys=_keys(site.dialect, role, found.signed.keys),
        threshold=role.threshold,
    )


def _past_roots(site: Site, versions: range) -> list[Verified[Root] | None]:
    found: list[Verified[Root] | None] = []
    with suppress(UnavailableError):  # then the others will not come either; those that came are kept
        found.extend(_past_root(site, version) for version in versions)
    return [*found, *[None] * (len(versions) - len(found))]


def _past_root(site: Site, version: int) -> Verified[Root] | None:
    raw = site.repository.fetch(Want(ROOT, site.dialect.locate(ROOT, version=version), Limits().root))
    try:
        claim = site.dialect.decode(ROOT, raw) if raw else None
        if claim is None or not isinstance(claim.signed, Root) or claim.signed.version != version:
            return None
        return anchor(cast("Any", claim), site.gun)
    except UntrustedError:
        return None


def _follows(site: Site, root: Verified[Root], before: Verified[Root]) -> bool:
    try:
        succeed(cast("Any", site.dialect.decode(ROOT, root.raw)), before, site.gun)
    except UntrustedError:
        return False
    return True


# --- lines -------------------------------------------------------------------------------------------------------


def _top_roles(site: Site, root: Verified[Root], reading: _Reading, now: datetime) -> Iterator[RoleLine]:
    top: dict[str, Verified[Signed]] = {ROOT: root, **reading.top}
    if reading.layers:
        top[TARGETS] = reading.layers[0].parts[ROOT, TARGETS]
    at_fault = getattr(reading.error, "role", ROOT) if isinstance(reading.error, UntrustedError) else None
    for name in TOP_LEVEL:
        part, error = top.get(name), reading.error if name == at_fault else None
        if part is None:
            state = REFUSED if error else UNKNOWN
        else:
            state = _state(part, reading, reading.state if reading.layers else UNCONFIRMED, now)
        keys = _keys(site.dialect, root.signed.roles[name], root.signed.keys)
        yield _role(root.signed.roles[name], keys, "" if name == ROOT else ROOT, part, state, error)


def _delegated(site: Site, reading: _Reading, now: datetime) -> Iterator[RoleLine]:
    parts = {edge: (part, layer.state) for layer in reversed(reading.layers) for edge, part in layer.parts.items()}
    ahead, seen = deque([TARGETS]), {TARGETS}
    delegators = {name: part for (_, name), (part, _) in parts.items()}
    while ahead:
        delegator = ahead.popleft()
        if not (above := delegators.get(delegator)):
            continue
        if bins := above.signed.bins:
            loaded = [part for (by, _), (part, _) in parts.items() if by == delegator]
            error = next((exc for name, exc in reading.failed.items() if bins.named(name)), None)
            keys = _keys(site.dialect, bins, above.signed.keys)
            yield _bins(bins, keys, delegator, loaded, REFUSED if error else reading.state, error)
            continue
        for delegation in above.signed.delegations:
            part, state = parts.get((delegator, delegation.name), (None, UNSIGNED))
            error = reading.failed.get(delegation.name)
            if part:
                state = _state(part, reading, state, now)
            elif error:
                state = REFUSED if isinstance(error, UntrustedError) else UNKNOWN
            signer = "" if site.dialect.rules.tree else signer_of(delegation.name)
            keys = _keys(site.dialect, delegation, above.signed.keys)
            yield _role(delegation, keys, delegator, part, state, error, signer)
            if part and delegation.name not in seen:
                seen.add(delegation.name)
                ahead.append(delegation.name)


def _state(part: Verified[Signed], reading: _Reading, state: str, now: datetime) -> str:
    """Return what is to be said of *part*: in a collection that has expired, not every role has."""
    late = part.signed.expires <= now or part.role == getattr(reading.error, "role", ROOT)
    return UNCONFIRMED if reading.state == EXPIRED and not late else state


def _role(
    role: Role,
    keys: tuple[KeyLine, ...],
    delegator: str,
    part: Verified[Signed] | None,
    state: str,
    error: TrustregError | None,
    signer: str = "",
) -> RoleLine:
    delegation = role if isinstance(role, Delegation) else None
    return RoleLine(
        name=role.name,
        delegator=delegator,
        signer=signer,
        state=state,
        error=error,
        threshold=role.threshold,
        keys=keys,
        signed_by=part.keyids if part else (),
        version=part.signed.version if part else None,
        expires=part.signed.expires if part else None,
        paths=(*(f"{start}*" for start in delegation.prefixes), *delegation.patterns) if delegation else (),
    )


def _bins(
    bins: Bins,
    keys: tuple[KeyLine, ...],
    delegator: str,
    loaded: list[Verified[Targets]],
    state: str,
    error: TrustregError | None,
) -> RoleLine:
    return RoleLine(
        name=bins.prefix,
        delegator=delegator,
        signer="",
        state=state,
        error=error,
        threshold=bins.threshold,
        keys=keys,
        signed_by=tuple(dict.fromkeys(keyid for part in loaded for keyid in part.keyids)),
        expires=min((part.signed.expires for part in loaded), default=None),
        bins=len(bins),
    )


def _keys(dialect: Dialect, role: Role | Bins, keys: Mapping[str, Key]) -> tuple[KeyLine, ...]:
    return tuple(_key(dialect, keys[keyid]) for keyid in role.keyids if keyid in keys)


def _key(dialect: Dialect, key: Key) -> KeyLine:
    public = load(key)
    certificate = None
    if key.certificates:
        with suppress(ValueError):
            leaf = certificates.read(key.certificates[0])
            certificate = CertificateLine(subject=leaf.name or "", begins=leaf.begins, ends=leaf.ends)
    if public is None:
        algorithm, strength = key.kind, 0
    elif isinstance(public, rsa.RSAPublicKey):
        algorithm = f"rsa {public.key_size}"
        strength = 112 if public.key_size < _STRONG_RSA else 128
    elif isinstance(public, ec.EllipticCurvePublicKey):
        algorithm, strength = f"ecdsa P-{public.curve.key_size}", public.curve.key_size // 2
    else:
        algorithm, strength = "ed25519", 128
    plain_id = dialect.key(key.kind, spell(public)).id if public and key.certificates else key.id
    return KeyLine(id=key.id, plain_id=plain_id, algorithm=algorithm, strength=strength, certificate=certificate)


def _tags(site: Site, gun: Gun, reading: _Reading) -> tuple[tuple[TagLine, ...], dict[str, UntrustedError]]:
    """Return what is signed, and by role what is wrong with an entry that cannot be used."""
    failed = {role: exc for role, exc in reading.failed.items() if isinstance(exc, UntrustedError)}
    odd: dict[str, UntrustedError] = {}
    said: dict[tuple[str, Digest, int, str], dict[str, bool]] = defaultdict(dict)  # which roles say so, and count
    for layer in reading.layers:
        mine = {name for _, name in layer.parts}
        found = dict(failed) if layer.state == TRUSTED else {}
        for entry in entries(layer.opened, gun, found):
            if entry.role in mine:
                said[entry.tag, entry.digest, entry.length, layer.state][entry.role] = entry.counts
        odd |= {role: exc for role, exc in found.items() if role in mine}
    order = sorted(said.items(), key=lambda each: (each[0][0], each[0][3] != TRUSTED, not any(each[1].values())))
    return tuple(_tag(site, gun, *key, roles) for key, roles in order), odd


def _tag(site: Site, gun: Gun, tag: str, digest: Digest, length: int, state: str, roles: Mapping[str, bool]) -> TagLine:
    return TagLine(
        tag=tag,
        digest=digest,
        length=length,
        state=state,
        roles=tuple(sorted(roles, key=lambda role: (not roles[role], role))),
        signers=() if site.dialect.rules.tree else tuple(sorted(filter(None, map(signer_of, roles)))),
        counts=any(roles.values()),
        image=_image(site, gun, tag),
    )


def _image(site: Site, gun: Gun, tag: str) -> Reference | None:
    """Return the image that is signed as *tag*; ``None`` where it can be none."""
    whole = site.dialect.rules.tree and gun == site.gun
    repository, _, last = tag.rpartition(":") if whole else ("", "", tag)
    repository = repository or str(gun)
    if not is_tag(last):
        return None
    try:
        image = Reference.parse(f"{repository}:{last}")
    except NameFormError:
        return None
    return image if image.repository == repository else None


# --- the registry ------------------------------------------------------------------------------------------------


class _Asking:
    """Asks a registry for signed tags; where it cannot be asked at all, it is asked once."""

    def __init__(self, registry: Shelves) -> None:
        self._registry = registry
        self._silent: dict[str, UnavailableError] = {}  # by host, or repository

    def __call__(self, tag: TagLine) -> Holding:
        image = tag.image
        assert image  # noqa: S101 # of all others nobody asks
        for name in (image.domain, image.repository):
            if name in self._silent:
                return Holding(state=UNKNOWN, error=self._silent[name])
        try:
            return self._holding(image, tag.digest)
        except UnavailableError as exc:
            if isinstance(exc, OfflineError | TlsError) or (isinstance(exc, ServerError) and exc.status == _TOO_MANY):
                self._silent[image.domain] = exc
            elif isinstance(exc, UnauthorizedError):
                self._silent[image.repository] = exc
            return Holding(state=UNKNOWN, error=exc)
        except TrustregError as exc:
            return Holding(state=UNKNOWN, error=exc)

    def _holding(self, image: Reference, digest: Digest) -> Holding:
        if digest.algorithm != "sha256":  # by which registries go
            return self._by_bytes(image, digest)
        serves = self._registry.digest(image)
        if serves == digest:
            return Holding(state=HELD, serves=serves, kept=True)
        kept = self._registry.digest(replace(image, tag=None, digest=digest)) is not None
        return Holding(state=MOVED if serves else UNTAGGED if kept else GONE, serves=serves, kept=kept)

    def _by_bytes(self, image: Reference, digest: Digest) -> Holding:
        try:
            manifest = self._registry.manifest(image)
        except NotInRegistryError:
            return Holding(state=GONE)
        same = hashlib.new(digest.algorithm, manifest.raw).hexdigest() == digest.hex
        return Holding(state=HELD if same else MOVED, serves=manifest.digest, kept=same or None)


_Each: TypeAlias = Callable[[Callable[[TagLine], Holding], Iterable[TagLine]], Iterable[Holding]]
_STRONG_RSA = 3072  # bits of a modulus that are as strong as 128 bits (NIST SP 800-57 part 1)
_TOO_MANY = 429
