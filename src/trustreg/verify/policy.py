"""What comes of a policy: the answers to its requirements, put together.

The answers themselves are asked for by whoever judges. There are three of them, and they are never confused: yes, no,
and don't know.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from typing import Any, Final, Literal, TypeAlias

from trustreg.errors import TrustregError
from trustreg.policy import (
    AcceptAnything,
    AllOf,
    AtLeast,
    InCollection,
    Leaf,
    OldOrNew,
    Reject,
    Requirement,
    SignedByGpg,
    SignedByKey,
)
from trustreg.values import dataclass, field

Outcome: TypeAlias = Literal["yes", "no", "unknown"]
YES: Final = "yes"
NO: Final = "no"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one requirement.

    Attributes:
        path: Where in the policy it stands.
        kind: ``gpg``, ``key``, ``collection``, ``all``, ``at-least``, ``old-or-new``, ``reject`` or
            ``accept-anything``.
        outcome: ``yes``, ``no``, or ``unknown``; ``None`` where it was not asked, because others had decided.
        code: Why it is no yes, see ``docs/reference/reasons.md``; "" for a yes.
        said: The same in a sentence, or what the yes rests on.
        by: The keys that it rests on: GPG fingerprints, or the sha256 of other keys, those of a role as well.
        bound: Whether it says that the tag that was asked for, and no other, is meant.
        error: What a no or a don't know comes from.
        warnings: What was passed over on the way.
        parts: The answers it is made of.
        facts: More of what a yes rests on, ready for JSON.
    """

    path: str
    kind: str
    outcome: Outcome | None
    code: str = ""
    said: str = ""
    by: tuple[str, ...] = ()
    bound: bool = False
    error: TrustregError | None = None
    warnings: tuple[str, ...] = ()
    parts: "tuple[Answer, ...]" = ()
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def each(self) -> "Iterator[Answer]":
        """Yield this answer and all that it is made of."""
        yield self
        for part in self.parts:
            yield from part.each()


Ask: TypeAlias = Callable[[Leaf], Answer]


def evaluate(requirement: Requirement, ask: Ask, now: datetime, *, whole: bool = False) -> Answer:
    """Find out whether *requirement* holds.

    Args:
        requirement: What has to hold.
        ask: Answers requirements that are not made of others. It is asked in their order, and only until it is clear
            what comes of it.
        now: The time.
        whole: Ask all of it, to show it to people. What comes of it is the same.
    """
    if isinstance(requirement, AllOf):
        parts = _some(requirement.parts, ask, now, whole=whole, enough=lambda found: NO in found)
        found = _outcomes(parts)
        outcome: Outcome = NO if NO in found else UNKNOWN if UNKNOWN in found else YES
        return _made_of(requirement.path, "all", outcome, parts, f"all {len(requirement.parts)} are required")
    if isinstance(requirement, AtLeast):
        return _at_least(requirement, ask, now, whole=whole)
    if isinstance(requirement, OldOrNew):
        return _old_or_new(requirement, ask, now, whole=whole)
    if isinstance(requirement, Reject):
        code, said = ("requirement", requirement.problem) if requirement.problem else ("reject", "the policy says so")
        return Answer(path=requirement.path, kind="reject", outcome=NO, code=code, said=said)
    if isinstance(requirement, AcceptAnything):
        said = "the policy accepts anything here, whoever made it"
        return Answer(path=requirement.path, kind="accept-anything", outcome=YES, said=said)
    return ask(requirement)


def _at_least(requirement: AtLeast, ask: Ask, now: datetime, *, whole: bool) -> Answer:
    """Count the parts that hold, and only such as rest on different keys."""
    count, most = requirement.count, len(requirement.parts)

    def enough(found: list[Outcome]) -> bool:
        left = most - len(found)
        return found.count(YES) + found.count(UNKNOWN) + left < count

    parts: list[Answer] = []
    for part in requirement.parts:
        decided = not whole and (_independent(parts) >= count or enough(_outcomes(tuple(parts))))
        parts.append(_unasked(part) if decided else evaluate(part, ask, now, whole=whole))
    if _independent(parts) < count <= _outcomes(tuple(parts)).count(YES):
        parts = _apart(requirement.parts, parts, ask)
    held, unknown = _independent(parts), _outcomes(tuple(parts)).count(UNKNOWN)
    outcome: Outcome = YES if held >= count else UNKNOWN if held + unknown >= count else NO
    said = f"{count} of {most} required, {held} hold" + (f", {unknown} unknown" if unknown else "")
    same = _outcomes(tuple(parts)).count(YES) - held
    said += f", {same} more rest on the same keys" if same else ""
    enough_of = next((at for at in range(1, most) if _independent(parts[:at]) >= count), most)
    kind = "any" if count == 1 else "at-least"
    return _made_of(requirement.path, kind, outcome, tuple(parts), said, tuple(parts[:enough_of]))


def _apart(requirements: tuple[Requirement, ...], parts: list[Answer], ask: Ask) -> list[Answer]:
    """Return *parts*, of which those that could rest on one of several keys rest on one that no other needs.

    "Two of our team" is two parts with the same keys: that one person's signature comes first everywhere decides
    nothing. Parts that are made of others stay as they are.
    """
    ways: dict[int, list[Answer]] = {}
    for at, (leaf, part) in enumerate(zip(requirements, parts, strict=True)):
        if part.outcome == YES:
            ways[at] = [part]
            if isinstance(leaf, SignedByGpg | SignedByKey) and len(leaf.keys) > 1:
                ways[at] += (ask(replace(leaf, keys=(key,))) for key in leaf.keys)  # type: ignore[arg-type]
    chosen: dict[int, Answer] = {}

    def place(at: int, tried: set[str]) -> bool:
        """Find keys for one part, if need be by finding others for those that have them."""
        for way in ways[at]:
            if way.outcome != YES or not tried.isdisjoint(way.by):
                continue
            tried.update(way.by)
            rivals = [other for other, has in chosen.items() if other != at and not set(has.by).isdisjoint(way.by)]
            if all(place(other, tried) for other in rivals):
                chosen[at] = way
                return True
        return False

    for at in ways:
        place(at, set())
    found = [chosen.get(at, part) for at, part in enumerate(parts)]
    return found if _independent(found) > _independent(parts) else parts


def _independent(parts: list[Answer]) -> int:
    """Return how many of *parts* hold and rest on keys that none of the others of these rests on."""
    held = [frozenset(part.by) for part in parts if part.outcome == YES]
    for size in range(len(held), 1, -1):
        for chosen in combinations(held, size):
            if len(frozenset().union(*chosen)) == sum(map(len, chosen)):
                return size
    return min(len(held), 1)


def _old_or_new(requirement: OldOrNew, ask: Ask, now: datetime, *, whole: bool) -> Answer:
    new = evaluate(requirement.new, ask, now, whole=whole)
    day = requirement.until.strftime("%Y-%m-%dT%H:%M:%SZ")
    if now >= requirement.until:
        said = f"what was old counts no more since {day}"
        return _made_of(requirement.path, "old-or-new", new.outcome or NO, (new, _unasked(requirement.old)), said)
    decided = new.outcome == YES and not whole
    old = _unasked(requirement.old) if decided else evaluate(requirement.old, ask, now, whole=whole)
    outcomes = _outcomes((new, old))
    outcome: Outcome = YES if YES in outcomes else UNKNOWN if UNKNOWN in outcomes else NO
    said = f"what was old counts until {day}"
    return _made_of(requirement.path, "old-or-new", outcome, (new, old), said, (new,) if new.outcome == YES else (old,))


def _some(
    parts: tuple[Requirement, ...],
    ask: Ask,
    now: datetime,
    *,
    whole: bool,
    enough: Callable[[list[Outcome]], bool],
) -> tuple[Answer, ...]:
    answers: list[Answer] = []
    for part in parts:
        decided = not whole and enough(_outcomes(tuple(answers)))
        answers.append(_unasked(part) if decided else evaluate(part, ask, now, whole=whole))
    return tuple(answers)


def _outcomes(parts: tuple[Answer, ...]) -> list[Outcome]:
    return [part.outcome for part in parts if part.outcome]


def _made_of(
    path: str, kind: str, outcome: Outcome, parts: tuple[Answer, ...], said: str, decisive: tuple[Answer, ...] = ()
) -> Answer:
    """Return the answer that *parts* make up.

    Of a yes, only what holds is relied on; and no more than the *decisive*, so that it is the same whoever else was
    asked.
    """
    held = tuple(part for part in decisive or parts if part.outcome == YES) if outcome == YES else ()
    why = next((part for part in parts if part.outcome == outcome), None) if outcome != YES else None
    return Answer(
        path=path,
        kind=kind,
        outcome=outcome,
        code=why.code if why else "not-enough" if outcome == NO else "",
        said=said,
        by=tuple(dict.fromkeys(key for part in held for key in part.by)),
        bound=any(part.bound for part in held),
        error=why.error if why else None,
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
        parts=parts,
    )


def _unasked(requirement: Requirement) -> Answer:
    return Answer(path=requirement.path, kind=_KINDS[type(requirement)], outcome=None, said="not asked")


_KINDS: Final[Mapping[type, str]] = {
    SignedByGpg: "gpg",
    SignedByKey: "key",
    InCollection: "collection",
    AllOf: "all",
    AtLeast: "at-least",
    OldOrNew: "old-or-new",
    Reject: "reject",
    AcceptAnything: "accept-anything",
}
