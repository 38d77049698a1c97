"""
The attacks, as a table: what the server does to the file of which role, and how that has to end.

Each function below is one attack; for a role it gives a :class:`Cell`, or ``None`` where the attack makes no sense.
What is refused is refused with the code that stands there. What is not refused cannot be seen, and ``unseen`` says why.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from tests.hostile.scene import (
    DELEGATED,
    FIRST,
    KNOWN,
    LIMITS,
    NOW,
    OLD,
    ROLES,
    SECOND,
    TODAY,
    Server,
    begun,
    believed,
    bent,
    keyed,
    later,
    serving,
    tomorrow,
)
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from vectors.make.collection import GUN, TOP, Collection, Delegated, Json, Published, listing, root_key, target
from vectors.make.material import Listed, certificate, certified, private_key, raw

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED = (ROOT, SNAPSHOT, TARGETS, *DELEGATED)
"""The roles that another file lists."""

Outcome: TypeAlias = str | tuple[str, str]
"""The code of an error; or which role is believed, and the digest that it lists."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """
    One attack on one role.

    Attributes:
        server: Who answers.
        warm: How it ends for a reader who has verified ``known``.
        cold: How it ends for one who knows nothing and believes the first root.
        pinned: How it ends for one who knows nothing but the id of the root key; as ``cold`` unless said otherwise.
        now: When they ask.
        known: What a warm reader knows.
        after: What an honest server serves afterwards; by default what was published last, and later where the
            attacker could sign.
        unseen: Why what passes cannot be seen.
    """

    server: Server
    warm: Outcome
    cold: Outcome
    pinned: Outcome | None = None
    now: datetime = TODAY
    known: Published = KNOWN
    after: Published | None = None
    unseen: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One attack on the file of one role, in its variations.

    Attributes:
        group: What the server has to hold for it.
        attack: A name for it.
        does: Completes the sentence "the server …".
        role: Whose file it is about.
        cells: How it is done, and how each of it ends.
    """

    group: str
    attack: str
    does: str
    role: str
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return f"{self.attack}-{self.role}"


Maker: TypeAlias = Callable[[str], "Cell | Iterable[Cell]"]

_REGISTERED: list[tuple[str, str, tuple[str, ...], Maker]] = []


def attack(group: str, does: str, roles: tuple[str, ...] = ROLES) -> Callable[[Maker], Maker]:
    """Register an attack on the files of *roles*; *group* is what the server has to hold for it."""

    def register(maker: Maker) -> Maker:
        _REGISTERED.append((group, does, roles, maker))
        return maker

    return register


@cache
def rows() -> tuple[Row, ...]:
    """Return every attack on every role."""
    return tuple(
        Row(group=group, attack=maker.__name__, does=does, role=role, cells=_cells(maker(role)))
        for group, does, roles, maker in _REGISTERED
        for role in roles
    )


def _cells(made: Cell | Iterable[Cell]) -> tuple[Cell, ...]:
    return (made,) if isinstance(made, Cell) else tuple(made)


# --- without a key ----------------------------------------------------------------------------------------------------

NOTHING = "no key at all"


@attack(NOTHING, "answers with a file that is older than the one the reader knows")
def older(role: str) -> Cell:
    file = OLD.files[role]
    if role == ROOT:  # one answer to whatever root is asked for
        return Cell(server=serving(NOW, {ROOT: file, "2.root.json": file}), warm="version", cold="version")
    if role == TIMESTAMP:  # to others it is the beginning of a state that the root does not belong to
        return Cell(server=serving(NOW, {role: file}), warm="rollback", cold="content")
    return Cell(server=serving(NOW, {role: file}), warm="content", cold="content")


@attack(NOTHING, "answers with the file that the reader knows, though there is a newer one")
def stale(role: str) -> Cell:
    file = KNOWN.files[role]
    if role == ROOT:
        return Cell(server=serving(NOW, {ROOT: file}), warm="version", cold="version")
    # for a timestamp: there is a newer root, which does not go with what it leads to
    return Cell(server=serving(NOW, {role: file}), warm="content", cold="content")


@attack(NOTHING, "holds back everything new, until the file has expired")
def frozen(role: str) -> Iterator[Cell]:
    known = _expiring(role, "2026-05-01T13:00:00Z")
    after = later(known.collection)
    after.parts[role].expires = "2028-01-01T00:00:00Z"
    seen = believed(SECOND, 2)
    why = "until it expires, nothing tells a file from the newest one"
    for minutes, outcome in ((59, seen), (60, "expired")):
        moment = TODAY + timedelta(minutes=minutes)
        yield Cell(
            server=serving(known),
            warm=outcome,
            cold=outcome,
            now=moment,
            known=known,
            after=after.publish(),
            unseen=why,
        )


@attack(NOTHING, "cuts the file")
def cut(role: str) -> Cell:
    code = "format" if role in {ROOT, TIMESTAMP} else "content"
    return Cell(server=serving(NOW, {role: NOW.files[role][:-40]}), warm=code, cold=code)


@attack(NOTHING, "appends a blank to the file")
def blank(role: str) -> Cell:
    server = serving(NOW, {role: NOW.files[role] + b" "})
    if role == TIMESTAMP:
        seen = believed(SECOND, 3)
        return Cell(server=server, warm=seen, cold=seen, unseen="what was signed is the same")
    code = "content" if role == ROOT else "too-large"
    return Cell(server=server, warm=code, cold=code)


@attack(NOTHING, "sends more than may be read")
def endless(role: str) -> Cell:
    return Cell(server=serving(NOW, {role: bytes(5 << 20)}), warm="too-large", cold="too-large")


@attack(NOTHING, "sends a page in HTML")
def page(role: str) -> Cell:
    code = "format" if role in {ROOT, TIMESTAMP} else "content"
    return Cell(server=serving(NOW, {role: b"<html><body>Welcome!</body></html>"}), warm=code, cold=code)


@attack(NOTHING, "sends an empty file")
def empty(role: str) -> Cell:
    code = "format" if role in {ROOT, TIMESTAMP} else "content"
    return Cell(server=serving(NOW, {role: b""}), warm=code, cold=code)


@attack(NOTHING, "does not have the file")
def missing(role: str) -> Cell:
    server = serving(NOW, {role: None})
    if role == ROOT:  # the snapshot says that there is a newer one than the reader has
        return Cell(server=server, warm="content", cold="no-trust-data")
    return Cell(server=server, warm="absent", cold="absent")


@attack(NOTHING, "has nothing at all", (ROOT,))
def gone(role: str) -> Cell:
    return Cell(server=Server({}), warm="absent", cold="no-trust-data")


@attack(NOTHING, "answers with the file of another role")
def swapped(role: str) -> Iterator[Cell]:
    for other in ROLES:
        file = NOW.files[other]
        if other == role:
            continue
        code = "format" if role in {ROOT, TIMESTAMP} else _unlisted(role, file)
        yield Cell(server=serving(NOW, {role: file}), warm=code, cold=code)


@attack(NOTHING, "answers with old files for some roles, and with new ones for the others", ROLES[1:])
def patchwork(role: str) -> Iterator[Cell]:
    """Every choice in which *role* is the first that does not fit those before."""
    number = ROLES.index(role)
    for moments in product((KNOWN, NOW), repeat=len(ROLES) - number):
        before, *others = moments
        at = dict.fromkeys(ROLES[:number], before) | {role: NOW if before is KNOWN else KNOWN}
        at |= dict(zip(ROLES[number + 1 :], others, strict=True))
        newest = NOW.files[ROOT] if at[ROOT] is NOW else None
        files: dict[str, bytes | None] = {"root.json": at[ROOT].files[ROOT], "3.root.json": newest}
        files["timestamp.json"] = at[TIMESTAMP].files[TIMESTAMP]
        for name in ROLES[2:]:
            files |= {moment.path(name): at[name].files[name] for moment in (KNOWN, NOW)}
        nothing_new = at[ROOT] is at[TIMESTAMP] is KNOWN  # so nobody asks for the rest
        warm = believed(SECOND, 2) if nothing_new else "content"
        yield Cell(server=Server(files), warm=warm, cold="content", unseen="who knows it all already asks for nothing")


@attack(NOTHING, "answers with the file of another collection")
def foreign(role: str) -> Cell:
    file = _elsewhere(whose="their").files[role]
    if role == ROOT:
        return Cell(server=serving(NOW, {role: file}), warm="threshold", cold="pin")
    code = "threshold" if role == TIMESTAMP else _unlisted(role, file)
    return Cell(server=serving(NOW, {role: file}), warm=code, cold=code)


@attack(NOTHING, "answers with another collection whose keys are the same")
def sibling(role: str) -> Iterator[Cell]:
    other = _elsewhere()
    if role == ROOT:  # with and without the rest
        for server in (serving(NOW, {role: other.files[role]}), serving(other)):
            yield Cell(server=server, warm="threshold", cold="pin")
    elif role == TIMESTAMP:  # with all that it leads to, but for the root
        own = {ROOT: NOW.files[ROOT]}
        yield Cell(server=serving(other, own), warm="content", cold="content")
        yield Cell(server=serving(NOW, {role: other.files[role]}), warm="absent", cold="absent")
    else:
        code = _unlisted(role, other.files[role])
        yield Cell(server=serving(NOW, {role: other.files[role]}), warm=code, cold=code)


@attack(NOTHING, "takes the signatures off")
def stripped(role: str) -> Cell:
    file = bent(role, wrap=lambda envelope: envelope.update(signatures=[]))
    code = "threshold" if role in {ROOT, TIMESTAMP} else "content"
    return Cell(server=serving(NOW, {role: file}), warm=code, cold=code)


@attack(NOTHING, "changes what was signed")
def tampered(role: str) -> Cell:
    file = bent(role, wrap=lambda envelope: envelope["signed"].update(expires="2030-01-01T00:00:00Z"))
    code = "threshold" if role in {ROOT, TIMESTAMP} else "content"
    return Cell(server=serving(NOW, {role: file}), warm=code, cold=code)


@attack(NOTHING, "adds signatures of its own")
def signed_by_all_and_sundry(role: str) -> Iterator[Cell]:
    for extra in (1, 200, 256, 1000):
        file = bent(role, wrap=lambda envelope, n=extra: envelope["signatures"].extend(_junk(n)))
        server = serving(NOW, {role: file})
        if role not in {ROOT, TIMESTAMP}:
            yield Cell(server=server, warm="too-large", cold="too-large")
        elif extra >= 256:
            code = "too-large" if role == TIMESTAMP and extra == 1000 else "format"
            yield Cell(server=server, warm=code, cold=code)
        elif role == ROOT:
            yield Cell(server=server, warm="content", cold="content")
        else:
            seen = believed(SECOND, 3)
            yield Cell(server=server, warm=seen, cold=seen, unseen="what was signed is the same")


@attack(NOTHING, "repeats a signature, or spoils it before it comes")
def repeated(role: str) -> Iterator[Cell]:
    def again(envelope: Json) -> None:
        envelope["signatures"] *= 3

    def spoiled(envelope: Json) -> None:
        envelope["signatures"] = [{**one, "sig": _ZEROS} for one in envelope["signatures"]] + envelope["signatures"]

    for wrap, first in ((again, believed(SECOND, 3)), (spoiled, "threshold")):
        server = serving(NOW, {role: bent(role, wrap=wrap)})
        if role == TIMESTAMP:
            yield Cell(server=server, warm=first, cold=first, unseen="what was signed is the same")
        elif role == ROOT:
            code = first if isinstance(first, str) else "content"
            yield Cell(server=server, warm=code, cold=code)
        else:
            yield Cell(server=server, warm="too-large", cold="too-large")


# --- with the keys of timestamp and snapshot --------------------------------------------------------------------------

ONLINE = "the keys of timestamp and snapshot"


@attack(ONLINE, "lists a file that is older than the one the reader knows")
def older_listed(role: str) -> Cell:
    collection = tomorrow()
    if role == ROOT:
        collection.parts[SNAPSHOT].edit = _listing(ROOT, listing(OLD.files[ROOT]))
        return Cell(server=serving(collection.publish()), warm="content", cold="content")
    collection.parts[role] = deepcopy(OLD.collection.parts[role])
    seen = believed(SECOND, 1 if role == SECOND else 4)
    return Cell(server=serving(collection.publish()), warm="rollback", cold=seen, unseen=_KNOWS_NOTHING)


@attack(ONLINE, "signs a version that was trusted again, with another content", (TIMESTAMP, SNAPSHOT))
def signed_again(role: str) -> Cell:
    collection = tomorrow()
    collection.parts[role].version = 2
    seen = believed(SECOND, 4)
    return Cell(server=serving(collection.publish()), warm="equivocation", cold=seen, unseen=_KNOWS_NOTHING)


@attack(ONLINE, "leaves the role out of the snapshot", (ROOT, TARGETS, *DELEGATED))
def dropped(role: str) -> Cell:
    collection = tomorrow()
    collection.parts[SNAPSHOT].edit = lambda signed: signed["meta"].pop(role)
    server = serving(collection.publish())
    if role not in DELEGATED:
        return Cell(server=server, warm="format", cold="format")
    seen = believed(TARGETS if role == FIRST else FIRST, 4)
    return Cell(server=server, warm="removed", cold=seen, unseen=_KNOWS_NOTHING)


@attack(ONLINE, "lists a digest that its file does not have", LISTED)
def listed_digest(role: str) -> Iterator[Cell]:
    collection = tomorrow()
    right = collection.file(role)
    wrong = {**listing(right), "hashes": {"sha256": base64.b64encode(bytes(32)).decode()}}
    collection.parts[_above(role)].edit = _listing(role, wrong)
    published = collection.publish()
    for content in (right,) if role == ROOT else (right, None):
        code = "content" if content else "absent"
        yield Cell(server=serving(published, {role: content}), warm=code, cold=code)


@attack(ONLINE, "lists a length that its file does not have", LISTED)
def listed_length(role: str) -> Iterator[Cell]:
    for more in (1, -1):
        collection = tomorrow()
        listed = listing(collection.file(role))
        collection.parts[_above(role)].edit = _listing(role, {**listed, "length": listed["length"] + more})
        code = "content" if more > 0 or role == ROOT else "too-large"
        yield Cell(server=serving(collection.publish()), warm=code, cold=code)


@attack(ONLINE, "lists the file of another role in its place", LISTED)
def listed_for_another(role: str) -> Iterator[Cell]:
    right = tomorrow().publish()
    for other in ROLES:
        if other == role:
            continue
        collection = tomorrow()
        collection.parts[_above(role)].edit = _listing(role, listing(right.files[other]))
        published = collection.publish()
        if role == ROOT:
            code, server = "content", serving(published)
        else:  # nothing is delegated by the second delegation: its file could be that of any targets role, if signed so
            code = "threshold" if role.startswith(TARGETS) and other == SECOND else "format"
            server = serving(published, {role: right.files[other]})
        yield Cell(server=server, warm=code, cold=code)


@attack(ONLINE, "puts files of different times together", (SNAPSHOT, TARGETS, *DELEGATED))
def mixed(role: str) -> Iterator[Cell]:
    """Every way in which *role* is the first of the targets roles that is older than what is known; or none is."""
    roles = (TARGETS, *DELEGATED)
    for moments in product((OLD, KNOWN, NOW), repeat=3):
        at = dict(zip(roles, moments, strict=True))
        if role != next((name for name in roles if at[name] is OLD), SNAPSHOT):
            continue
        collection = tomorrow()
        for name, moment in at.items():
            collection.parts[name] = deepcopy(moment.collection.parts[name])
        seen = believed(SECOND, collection.parts[SECOND].version)
        why = "each file is one that its role signed, and none is older than what is known"
        warm = seen if role == SNAPSHOT else "rollback"
        yield Cell(server=serving(collection.publish()), warm=warm, cold=seen, unseen=why)


# --- with what lists the role, but without its own keys ---------------------------------------------------------------

ABOVE = "the keys of what lists the role, but not enough of its own"


@attack(ABOVE, "has it signed by nobody")
def unsigned(role: str) -> Cell:
    return _ends(role, tomorrow(role, signers=[]), "threshold")


@attack(ABOVE, "signs it with a key that has no say")
def by_a_stranger(role: str) -> Cell:
    return _ends(role, tomorrow(role, signers=[_stranger(role)]), "threshold")


@attack(ABOVE, "signs it with the key of another role")
def by_another_role(role: str) -> Iterator[Cell]:
    for other in ROLES:
        if other != role:
            yield _ends(role, tomorrow(role, signers=NOW.collection.signers(other)), "threshold")


@attack(ABOVE, "signs it with a signature that does not hold")
def rubbish(role: str) -> Cell:
    return _ends(role, tomorrow(role, wrap=lambda envelope: envelope["signatures"][0].update(sig=_ZEROS)), "threshold")


@attack(ABOVE, "signs it with another key under the id of the right one")
def forged(role: str) -> Cell:
    (right, *_) = NOW.collection.signers(role)
    return _ends(role, tomorrow(role, signers=[replace(_stranger(role), id=right.id)]), "threshold")


@attack(ABOVE, "has the right signature under the id of another key")
def misattributed(role: str) -> Cell:
    (right, *_) = NOW.collection.signers(role)
    return _ends(role, tomorrow(role, signers=[replace(right, id=_stranger(role).id)]), "threshold")


@attack(ABOVE, "has it signed once, or by one key twice, where two keys are due")
def one_of_two(role: str) -> Iterator[Cell]:
    (right, *_) = NOW.collection.signers(role)
    for times in (1, 2):
        collection = keyed(role, right, _stranger(role), threshold=2)
        collection.parts[role].signers = [right] * times
        yield _ends(role, collection, "threshold")


@attack(ABOVE, "has one key listed under two ids, and it signs under both, where two keys are due")
def twins(role: str) -> Cell:
    private = private_key(f"twin of {role}", "p256")
    second = certified(private, certificate(private, GUN, not_after=datetime(2034, 1, 1, tzinfo=UTC)))
    first = certified(private, certificate(private, GUN)) if role == ROOT else raw(f"twin of {role}", "p256")
    return _ends(role, keyed(role, first, second, threshold=2), "threshold")


@attack(ABOVE, "has another key listed under the id of the right one, and signs with it")
def substituted(role: str) -> Cell:
    (right, *_) = NOW.collection.signers(role)
    cell = _ends(role, keyed(role, replace(_stranger(role), id=right.id)), "threshold")
    return replace(cell, cold="pin") if role == ROOT else cell


@attack(ABOVE, "has the right key listed under an id that is not its own, and it signs under that")
def renamed(role: str) -> Cell:
    (right, *_) = NOW.collection.signers(role)
    return _ends(role, keyed(role, replace(right, id="0" * 64)), "pin" if role == ROOT else "threshold")


# --- with the role's own keys -----------------------------------------------------------------------------------------

OWN = "the keys of the role itself, and of what lists it"


@attack(OWN, "signs a version that was trusted again, with another content")
def equivocating(role: str) -> Cell:
    collection = tomorrow(role, edit=lambda signed: signed.update({"x-other": True}), version=2)
    if role == ROOT:  # who has that version does not ask for it again, but it is listed
        collection.history = [OLD.files[ROOT]]
        return Cell(
            server=serving(collection.publish()), warm="content", cold=believed(SECOND, 4), unseen=_KNOWS_NOTHING
        )
    seen = believed(SECOND, 4)
    return Cell(server=serving(collection.publish()), warm="equivocation", cold=seen, unseen=_KNOWS_NOTHING)


@attack(OWN, "adds signatures of nobody to the right ones")
def crowded(role: str) -> Iterator[Cell]:
    for extra in (1, 200, 256, 1000):
        collection = tomorrow(role, wrap=lambda envelope, n=extra: envelope["signatures"].extend(_junk(n)))
        code: Outcome = "too-large" if role == TIMESTAMP and extra == 1000 else "format"
        seen = code if extra >= 256 else believed(SECOND, 4)
        yield Cell(server=serving(collection.publish()), warm=seen, cold=seen, unseen="the right keys signed, too")


@attack(OWN, "signs a version below one")
def below_one(role: str) -> Iterator[Cell]:
    for version in (0, -1):
        yield _ends(role, tomorrow(role, version=version), "format")


@attack(OWN, "signs a version that is greater than every reader can hold")
def beyond(role: str) -> Cell:
    return _ends(role, tomorrow(role, version=2**53 + 1), "format")


@attack(OWN, "signs what is no file of its role")
def of_another_type(role: str) -> Iterator[Cell]:
    for kind in ("Root", "Timestamp", "Snapshot", "Targets", "targets", ""):
        if kind != (role if role in TOP else TARGETS).capitalize():
            yield _ends(role, tomorrow(role, edit=lambda signed, kind=kind: signed.update(_type=kind)), "format")


@attack(OWN, "signs the greatest version that there is")
def jump(role: str) -> Cell:
    """The way out is to give the role to another key."""
    collection, seen = tomorrow(role, version=2**53), believed(SECOND, 4)
    if role == ROOT:
        return Cell(server=serving(collection.publish()), warm="version", cold=seen, unseen=FIRST_MET)
    return Cell(
        server=serving(collection.publish()),
        warm=seen,
        cold=seen,
        after=_given_to_others(role),
        unseen="versions may be left out; giving the role to another key ends it",
    )


@attack(OWN, "signs a delegation away that its role has", (TARGETS, FIRST))
def undelegated(role: str) -> Cell:
    """That is the right of whoever has this key: what nobody delegates to does not count."""
    collection = tomorrow(role, edit=lambda signed: signed["delegations"].update(roles=[]))
    seen = believed(role, 4)
    return Cell(server=serving(collection.publish()), warm=seen, cold=seen, unseen="to end it is the right of this key")


# --- roots ------------------------------------------------------------------------------------------------------------

ROOTS = "root keys of its own, or some that were stolen"


@attack(ROOTS, "leaves a root out of the history", (ROOT,))
def gap(role: str) -> Iterator[Cell]:
    published = tomorrow().publish()
    seen = believed(SECOND, 4)
    why = "who begins with the newest root needs none before it"
    for third, code in ((None, "content"), (published.files[ROOT], "version")):
        yield Cell(server=serving(published, {"3.root.json": third}), warm=code, cold=seen, unseen=why)


@attack(ROOTS, "offers a root that the keys before it did not sign", (ROOT,))
def usurped(role: str) -> Cell:
    collection = keyed(ROOT, root_key("second"))
    collection.old_root_signers = []
    seen = believed(SECOND, 4)
    server = serving(collection.publish())
    return Cell(server=server, warm="threshold", cold=seen, pinned="pin", unseen=FIRST_MET)


@attack(ROOTS, "offers a root that its own keys did not sign", (ROOT,))
def unowned(role: str) -> Cell:
    collection = keyed(ROOT, root_key("second"))
    collection.parts[ROOT].signers = collection.old_root_signers
    return _ends(ROOT, collection, "threshold")


@attack(ROOTS, "asks for fewer signatures than before, and has no more", (ROOT,))
def lowered(role: str) -> Cell:
    one, two = root_key("one"), root_key("two")
    before = deepcopy(KNOWN.collection)
    before.keys[ROOT], before.thresholds[ROOT] = [one, two], 2
    before.history = []
    before.parts[ROOT].version = 1
    known = before.publish()
    after = later(before)
    lower = deepcopy(after)
    lower.keys[ROOT], lower.thresholds[ROOT] = [one], 1
    seen = believed(SECOND, 3)
    return Cell(
        server=serving(lower.publish()),
        warm="threshold",
        cold=seen,
        known=known,
        after=after.publish(),
        unseen=FIRST_MET,
    )


@attack(ROOTS, "offers a root whose certificate is for another collection, of a CA, or out of date", (ROOT,))
def miscertified(role: str) -> Iterator[Cell]:
    for key in (
        root_key("second", "registry.example/team/other"),
        root_key("second", "*"),
        root_key("second", ca=True),
        root_key("second", not_after=TODAY - timedelta(seconds=1)),
        root_key("second", not_before=TODAY + timedelta(days=2)),
        raw("second", "p256"),
    ):
        yield _ends(ROOT, keyed(ROOT, key), "pin")


@attack(ROOTS, "offers one root after the other without end", (ROOT,))
def unending(role: str) -> Cell:
    collection = deepcopy(NOW.collection)
    for _ in range(LIMITS.rotations):
        root = collection.file(ROOT)
        collection.history.append(root)
        collection.parts[ROOT].version += 1
    first = {"root.json": OLD.files[ROOT]}
    return Cell(server=serving(collection.publish(), first), warm="too-large", cold="too-large")


@attack(ROOTS, "presents a collection of its own under the name", (ROOT,))
def impostor(role: str) -> Iterator[Cell]:
    theirs = _elsewhere(GUN, "their")
    seen = believed(SECOND, 3)
    yield Cell(server=serving(theirs), warm="threshold", cold=seen, pinned="pin", unseen=FIRST_MET)
    without = serving(theirs, {"3.root.json": None})
    yield Cell(server=without, warm="threshold", cold=seen, pinned="pin", unseen=FIRST_MET)


# --- what they are made of --------------------------------------------------------------------------------------------


def _ends(role: str, collection: Collection, code: str) -> Cell:
    """Return a cell that ends in the same way for all."""
    return Cell(server=serving(collection.publish()), warm=code, cold=code)


def _unlisted(role: str, file: bytes) -> str:
    """Return how *file* ends where another one is listed."""
    return "too-large" if len(file) > len(NOW.files[role]) else "content"


def _expiring(role: str, expires: str) -> Published:
    """Return what is known, with a file of *role* that expires then, and others that do not for a year."""
    collection = deepcopy(KNOWN.collection)
    collection.parts[TIMESTAMP].expires = "2027-05-01T00:00:00Z"
    collection.parts[role].expires = expires
    return collection.publish()


def _elsewhere(gun: str = "registry.example/team/other", whose: str = "") -> Published:
    """Return a collection that is like ours, under another name or with the keys of somebody else."""
    collection = begun()
    collection.gun = gun
    collection.keys[ROOT] = [root_key(f"{whose} root".strip(), gun)]
    if whose:
        for role in (TIMESTAMP, SNAPSHOT, TARGETS):
            collection.keys[role] = [raw(f"{whose} {role}")]
        for role in DELEGATED:
            collection.parts[role.rpartition("/")[0]].delegations = [Delegated(role, [raw(f"{whose} {role}")])]
    for role in (TARGETS, *DELEGATED):
        collection.parts[role].targets["v2"] = target(f"v2 of {gun}")
    return later(later(collection)).publish()


def _given_to_others(role: str) -> Published:
    """Return what publishers publish after *role* got out of their hands: its key replaced, and all signed anew."""
    collection = later(tomorrow())
    if role in DELEGATED:
        collection.parts[role.rpartition("/")[0]].delegations[0] = Delegated(role, [raw("new")])
    else:
        collection.keys[role] = [raw("new")]
    return collection.publish()


def _stranger(role: str) -> Listed:
    return root_key("stranger") if role == ROOT else raw("stranger")


def _above(role: str) -> str:
    return TIMESTAMP if role == SNAPSHOT else SNAPSHOT


def _listing(role: str, listed: Json) -> Callable[[Json], object]:
    return lambda signed: signed["meta"].update({role: listed})


def _junk(count: int) -> list[Json]:
    return [{"keyid": f"{number:064x}", "method": "eddsa", "sig": _ZEROS} for number in range(count)]


_ZEROS = base64.b64encode(bytes(64)).decode()
_KNOWS_NOTHING = "who knows nothing has nothing to compare it with"
FIRST_MET = "who knows nothing and pinned nothing believes the root that comes first, and is told so"
