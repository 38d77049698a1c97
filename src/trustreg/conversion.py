"""The way from a collection to another one: what of it could be verified, and how that gets signed again.

Nothing is converted that was not verified, and nothing is passed over in silence: whatever the old collection lists
is either a :class:`Tag` or :class:`Refused`. What is at the destination already is left as it is, so whoever is
interrupted begins again and goes on.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Literal, cast

from trustreg.client import Site, content_of, drive
from trustreg.copying import Held
from trustreg.errors import (
    AbsentError,
    EquivocationError,
    FormatError,
    NameFormError,
    NoTrustDataError,
    UnprovenError,
    UntrustedError,
)
from trustreg.metadata import Envelope, FileMeta, Root, Signed
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Digest, Gun, Reference
from trustreg.ports import Repository
from trustreg.publisher import Publisher
from trustreg.sign.changes import AddTarget
from trustreg.statement import Collection, Line, Read
from trustreg.values import dataclass
from trustreg.verify.pinning import Pins, admit
from trustreg.verify.requests import Want
from trustreg.verify.signatures import Verified
from trustreg.verify.workflow import Workflow


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag of the old collection that was verified.

    Attributes:
        image: Its whole name.
        digest: What it is bound to.
        meta: How the collection lists that.
        role: The role whose word counts: the first, in the order in which roles are asked, that lists it.
        keyids: Ids of the keys that vouched for that role.
        signers: All roles that list the same and may, that one first.
    """

    image: Reference
    digest: Digest
    meta: FileMeta
    role: str
    keyids: tuple[str, ...]
    signers: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its whole name."""
        return str(self.image)

    @property
    def length(self) -> int:
        """The length of what it is bound to, in bytes."""
        return self.meta.length or 0


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What is not converted: an entry, or with an empty ``name`` all of a ``role``; ``code`` sums ``reason`` up.

    Codes are those of errors, and ``no-image``, ``no-word``, ``digest-kind``, ``other-repository`` and ``differs``.
    """

    name: str
    role: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """An old collection as it was read: what can be converted, what cannot, and which files say so."""

    collection: Collection
    files: Mapping[str, Read]
    root: Verified[Root]
    tags: tuple[Tag, ...]
    refused: tuple[Refused, ...]
    first_use: bool


State = Literal["convert", "there"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A tag, and whether it is yet to be signed at the destination or is signed ``there`` as it should be.

    ``manifests`` are digests that are signed along with it: the platforms of an index. ``note`` is what people should
    know of it.
    """

    tag: Tag
    state: State
    manifests: tuple[Digest, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What converting a collection would do, or has done: every tag, and everything that is refused, and why.

    ``begin`` says whether the destination is a collection that has yet to begin.
    """

    source: Gathered
    steps: tuple[Step, ...]
    refused: tuple[Refused, ...]
    begin: bool = False

    @property
    def due(self) -> tuple[Step, ...]:
        """The tags that are yet to be signed."""
        return tuple(step for step in self.steps if step.state == "convert")

    def lines(self) -> tuple[Line, ...]:
        """Return what a statement says of the tags."""
        return tuple(
            Line(
                name=step.tag.name,
                digest=step.tag.digest,
                length=step.tag.length,
                role=step.tag.role,
                signers=step.tag.signers,
                manifests=step.manifests,
            )
            for step in self.steps
        )


def gather(site: Site, gun: Gun, now: datetime) -> Gathered:
    """Read what the collection at *site* says of the repository *gun*: all of it, where that is its own name.

    It is asked for now: what is remembered does not stand in for a server that cannot be reached.

    Raises:
        UntrustedError: A top-level role failed a check.
        UnavailableError: An answer could not be had.
    """
    site = replace(site, repository=_Once(site.repository))
    workflow = site.workflow(now)
    drive(workflow.refresh(), site.repository, site.cache)
    failed = drive(workflow.delegated(), site.repository, site.cache)
    prefix = "" if gun == site.gun else site.prefix(gun)
    listing: dict[str, list[str]] = {}
    for role, part in workflow.roles.items():
        for name in part.signed.targets:
            if name.startswith(prefix):
                listing.setdefault(name, []).append(role)
    refused = [
        Refused(name="", role=role, code=exc.code, reason=f"what it signs is not known: {exc}")
        for role, exc in failed.items()
    ]
    tags: list[Tag] = []
    order = {role: rank for rank, role in enumerate(site.roles)}
    for name, roles in sorted(listing.items()):
        asked_first = sorted(roles, key=lambda role: order.get(role, len(order)))
        found = _judge(site, gun, workflow, name, asked_first)
        if isinstance(found, Tag):
            tags.append(found)
        else:
            refused.append(found)
    return Gathered(
        collection=Collection(
            gun=site.gun, dialect=site.dialect.name, place=site.repository.where, root=workflow.root.raw
        ),
        files={role: _read(part) for role, part in _files(workflow).items()},
        root=workflow.root,
        tags=tuple(tags),
        refused=tuple(refused),
        first_use=workflow.first_use,
    )


def standing(site: Site, now: datetime, names: Iterable[str]) -> tuple[Workflow, dict[str, FileMeta]] | None:
    """Return the collection at *site* and what readers find there of *names*; ``None`` where there is none yet.

    Raises:
        UntrustedError: A check failed.
        UnavailableError: An answer could not be had.
    """
    workflow = site.workflow(now)
    try:
        drive(workflow.refresh(), site.repository, site.cache)
    except NoTrustDataError:
        return None
    except AbsentError as exc:
        if exc.role != TIMESTAMP or not site.dialect.rules.tree or site.cache.memory().floors.keys() - {ROOT}:
            raise
        return None  # whoever began it broke off before anybody could read it
    found = {}
    for name in names:
        if entry := drive(workflow.find(name, site.roles), site.repository, site.cache):
            found[name] = entry.meta
    return workflow, found


def plan_collection(source: Gathered, site: Site, now: datetime, *, overwrite: bool = False) -> Plan:
    """Return what it takes to have the tags of *source* in the collection at *site*.

    Args:
        source: The old collection.
        site: The new one, which may not have begun yet.
        now: The time.
        overwrite: Let the old collection have the last word on tags of which the new one says something else.
    """
    refused, steps = list(source.refused), list[Step]()
    wanted: list[Tag] = []
    for tag in source.tags:
        if site.dialect.rules.tree or tag.image.gun == site.gun:
            wanted.append(tag)
        else:
            refused.append(_refuse(tag, "other-repository", f"it is of another repository than {site.gun}"))
    there = standing(site, now, map(site.target, (tag.image for tag in wanted)))
    found = there[1] if there else {}
    for tag in wanted:
        meta = found.get(site.target(tag.image))
        if meta is None:
            steps.append(Step(tag=tag, state="convert"))
        elif _agree(meta, tag.meta):
            steps.append(Step(tag=tag, state="there"))
        elif overwrite:
            steps.append(Step(tag=tag, state="convert", note=f"replaces {_digests(meta)}"))
        else:
            refused.append(_refuse(tag, "differs", f"the destination signs {_digests(meta)} for it"))
    return Plan(source=source, steps=tuple(steps), refused=tuple(refused), begin=there is None)


def publish(plan: Plan, site: Site, publisher: Publisher, now: datetime) -> None:
    """Sign what is due of *plan* in the collection at *site*, which has begun, in one publication.

    What it says of its targets is what the old collection said, what publishers added included.
    """
    due = {site.target(step.tag.image): step.tag for step in plan.due}
    if not due:
        return
    roles = publisher.roles_for(site.gun, due, now)
    changes = [AddTarget(role=role, name=name, meta=tag.meta) for name, tag in due.items() for role in roles[name]]
    publisher.publish(site.gun, now, changes)


def require(plan: Plan, site: Site, now: datetime) -> Workflow:
    """Require readers of the collection at *site* to find every tag of *plan* there, as the old collection has it.

    Raises:
        UnprovenError: They do not.
    """
    names = {site.target(step.tag.image): step.tag for step in plan.steps}
    there = standing(site, now, names)
    if there is None:
        raise UnprovenError(str(site.gun), "there is no such collection")
    workflow, found = there
    for name, tag in names.items():
        if name not in found or not _agree(found[name], tag.meta):
            raise UnprovenError(str(site.gun), f"readers do not find {name} as {tag.digest}")
    return workflow


def plan_signatures(
    source: Gathered,
    manifests: Callable[[Tag], tuple[tuple[Digest, ...], str]],
    signed: Callable[[Reference, Digest], bool],
) -> Plan:
    """Return what it takes to have a GPG signature of every tag of *source*.

    Args:
        source: The old collection.
        manifests: Returns what else is to be signed with a tag, and what people should know of that.
        signed: Says whether there is a good signature already, of a digest under a name.
    """
    steps: list[Step] = []
    refused = list(source.refused)
    for tag in source.tags:
        if tag.digest.algorithm != "sha256":
            reason = f"simple signing is for sha256, and it is listed as {tag.digest.algorithm} only"
            refused.append(_refuse(tag, "digest-kind", reason))
            continue
        more, note = manifests(tag)
        done = all(signed(tag.image, digest) for digest in (tag.digest, *more))
        steps.append(Step(tag=tag, state="there" if done else "convert", manifests=more, note=note))
    return Plan(source=source, steps=tuple(steps), refused=tuple(refused))


def familiar(site: Site, side: Collection, now: datetime) -> str:
    """Require the root that came with a statement, that of *side*, to be one of the collection at *site*.

    Returns:
        How that is known: it was ``remembered`` or ``pinned``, or the server was ``asked``, with ``first-use`` by who
        did not know the collection before.

    Raises:
        UntrustedError: It is not.
        UnavailableError: Nothing is known here, and an answer could not be had.
    """
    root, floor = side.believed(), site.cache.memory().floors.get(ROOT)
    if floor and (floor.version, floor.sha256) == (root.signed.version, _sha256(side.root)):
        return "remembered"
    if floor is None and (site.pins.given or site.pins.root == side.root):
        claim = cast("Envelope[Root]", site.dialect.decode(ROOT, side.root))
        admit(claim, site.gun, site.pins, now, known=site.pins.root == side.root)
        return "pinned"
    workflow = site.workflow(now)
    drive(workflow.refresh(), site.repository, site.cache)
    if workflow.root.raw != side.root:
        expected, actual = _sha256(workflow.root.raw), _sha256(side.root)
        if workflow.root.signed.version <= root.signed.version:
            raise EquivocationError(ROOT, root.signed.version, expected, actual)
        follows = site.workflow(now, pins=Pins(root=side.root))
        drive(follows.refresh(), site.repository, Held())
        if follows.root.raw != workflow.root.raw:
            raise EquivocationError(ROOT, root.signed.version, expected, actual)
    return "first-use" if workflow.first_use else "asked"


def differences(lines: Iterable[Line], found: Mapping[str, tuple[Digest, int]]) -> tuple[str, ...]:
    """Return what *found*, digest and length by name, says otherwise than *lines*, a sentence each."""
    said = []
    for line in lines:
        other = found.get(line.name)
        if other != (line.digest, line.length):
            said.append(f"{line.name} is {line.digest} in the statement, and {other[0] if other else 'not there'}")
    return tuple(said)


def _judge(site: Site, gun: Gun, workflow: Workflow, name: str, roles: list[str]) -> Tag | Refused:
    """Return the tag that *name*, which *roles* list, is; or why it is none that can be converted."""
    whole = name if site.dialect.rules.tree else f"{gun}:{name}"
    try:
        found = drive(workflow.find(name, site.roles), site.repository, site.cache)
        digest = content_of(name, found.meta)[0] if found else None
    except UntrustedError as exc:  # of a role that is asked first, or of what it lists
        return Refused(name=whole, role=roles[0], code=exc.code, reason=str(exc))
    if found is None or digest is None:
        reason = f"readers do not take the word of {' or '.join(roles)} for it"
        return Refused(name=whole, role=roles[0], code="no-word", reason=reason)
    try:
        image = Reference.parse(whole)
    except NameFormError:
        image = None
    if image is None or str(image) != whole or image.tag is None or image.digest:
        return Refused(name=whole, role=found.role, code="no-image", reason="it is not the name of an image with a tag")
    also = (role for role in roles if role != found.role and _says(site, workflow, role, name, found.meta))
    return Tag(
        image=image,
        digest=digest,
        meta=found.meta,
        role=found.role,
        keyids=found.signers,
        signers=(found.role, *also),
    )


def _says(site: Site, workflow: Workflow, role: str, name: str, meta: FileMeta) -> bool:
    """Say whether *role* lists *name* as *meta*, and may."""
    if site.dialect.rules.tree:
        parts = [
            workflow.roles[above].signed.delegation(role) for above, part in workflow.delegators if part.role == role
        ]
        may = role == TARGETS or any(delegation and delegation.covers(name) for delegation in parts)
    else:
        may = workflow.may_speak(role, name)
    with suppress(FormatError):
        return may and _agree(workflow.roles[role].signed.targets[name], meta)
    return False


def _agree(one: FileMeta, other: FileMeta) -> bool:
    """Say whether both list the same content: one length, and one of the digests that can be relied on in common."""
    shared = one.hashes.keys() & other.hashes.keys() & {"sha256", "sha512"}
    same = all(one.hashes[algorithm] == other.hashes[algorithm] for algorithm in shared)
    return bool(shared) and same and one.length == other.length


def _digests(meta: FileMeta) -> str:
    return " ".join(f"{algorithm}:{digest.hex()}" for algorithm, digest in sorted(meta.hashes.items())[:1])


def _refuse(tag: Tag, code: str, reason: str) -> Refused:
    return Refused(name=tag.name, role=tag.role, code=code, reason=reason)


def _files(workflow: Workflow) -> Mapping[str, Verified[Signed]]:
    return {ROOT: workflow.root, TIMESTAMP: workflow.timestamp, SNAPSHOT: workflow.snapshot, **workflow.roles}


def _read(part: Verified[Signed]) -> Read:
    return Read(version=part.signed.version, sha256=_sha256(part.raw), keyids=part.keyids)


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


class _Once:
    """A repository that is asked for each file once: a role that fails stands before many names."""

    def __init__(self, repository: Repository) -> None:
        self._repository, self.where = repository, repository.where
        self._known: dict[str, bytes | None] = {}

    def fetch(self, want: Want) -> bytes | None:
        if want.path not in self._known:
            self._known[want.path] = self._repository.fetch(want)
        return self._known[want.path]
