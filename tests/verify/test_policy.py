"""What comes of the answers to the requirements of a policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.policy import AcceptAnything, AllOf, AtLeast, InCollection, OldOrNew, Reject, leaves
from trustreg.verify.policy import NO, UNKNOWN, YES, Answer, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trustreg.policy import Leaf, Requirement
    from trustreg.verify.policy import Outcome

NOW = datetime(2026, 12, 1, tzinfo=UTC)
OUTCOMES: tuple[Outcome, ...] = (YES, NO, UNKNOWN)


def leaf(name: str) -> InCollection:
    """A requirement that is asked about."""
    return InCollection(path=name)


def answering(said: Mapping[str, Outcome], keys: Mapping[str, str] | None = None) -> Callable[[Leaf], Answer]:
    """Answer as *said*, each with a key of its own unless *keys* says whose it is; an unexpected question fails."""

    def ask(asked: Leaf) -> Answer:
        outcome = said[asked.path]
        by = ((keys or {}).get(asked.path, asked.path),) if outcome == YES else ()
        code = "" if outcome == YES else f"code-{asked.path}"
        return Answer(path=asked.path, kind="collection", outcome=outcome, by=by, code=code)

    return ask


requirements = st.recursive(
    st.sampled_from("abcdef").map(leaf) | st.just(Reject(path="r")) | st.just(AcceptAnything(path="x")),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: AllOf(path="", parts=tuple(parts))),
        st.tuples(st.lists(inner, min_size=1, max_size=4), st.integers(1, 4)).map(
            lambda t: AtLeast(path="", count=min(t[1], len(t[0])), parts=tuple(t[0]))
        ),
        st.tuples(inner, inner, st.booleans()).map(
            lambda t: OldOrNew(path="", new=t[0], old=t[1], until=NOW + timedelta(days=1 if t[2] else -1))
        ),
    ),
    max_leaves=8,
)


def holds(requirement: Requirement, said: Mapping[str, bool]) -> bool:
    """Say what comes of a requirement where everything is known, and every key is another one."""
    match requirement:
        case AllOf():
            return all(holds(part, said) for part in requirement.parts)
        case AtLeast():
            return sum(holds(part, said) for part in requirement.parts) >= requirement.count
        case OldOrNew():
            return holds(requirement.new, said) or (NOW < requirement.until and holds(requirement.old, said))
        case Reject():
            return False
        case AcceptAnything():
            return True
    return said[requirement.path]


def apart(requirement: Requirement, count: list[int]) -> Requirement:
    """Give every leaf of *requirement* a name of its own."""
    match requirement:
        case AllOf():
            return AllOf(path="", parts=tuple(apart(part, count) for part in requirement.parts))
        case AtLeast():
            parts = tuple(apart(part, count) for part in requirement.parts)
            return AtLeast(path="", count=requirement.count, parts=parts)
        case OldOrNew():
            new, old = apart(requirement.new, count), apart(requirement.old, count)
            return OldOrNew(path="", new=new, old=old, until=requirement.until)
        case InCollection():
            count[0] += 1
            return leaf(str(count[0]))
    return requirement


@given(requirements, st.data())
def test_three_answers_stand_for_what_could_be(requirement: Requirement, data: st.DataObject) -> None:
    """
    Yes where it would hold whatever the unknown answers were, no where it would not; else unknown. Asking all of it
    comes to the same.
    """
    tree = apart(requirement, [0])
    names = sorted({one.path for one in leaves(tree) if isinstance(one, InCollection)})
    said = {name: data.draw(st.sampled_from(OUTCOMES)) for name in names}
    unknown = [name for name in names if said[name] == UNKNOWN]
    known = {name: said[name] == YES for name in names}
    worlds = [
        {**known, **dict(zip(unknown, guess, strict=True))} for guess in product((True, False), repeat=len(unknown))
    ]
    could = {holds(tree, world) for world in worlds}
    expected = UNKNOWN if len(could) == 2 else YES if could == {True} else NO

    assert evaluate(tree, answering(said), NOW).outcome == expected
    assert evaluate(tree, answering(said), NOW, whole=True).outcome == expected


@pytest.mark.parametrize(
    ("said", "keys", "outcome"),
    [
        ({"a": YES, "b": YES, "c": NO}, {"a": "k", "b": "k"}, NO),
        ({"a": YES, "b": YES, "c": YES}, {"a": "k", "b": "k"}, YES),
        ({"a": YES, "b": YES, "c": UNKNOWN}, {"a": "k", "b": "k"}, UNKNOWN),
        ({"a": YES, "b": YES, "c": NO}, {}, YES),
    ],
)
def test_one_key_counts_once(said: dict[str, Outcome], keys: dict[str, str], outcome: Outcome) -> None:
    """
    "At least two of" takes two keys: what rests on the same one counts as one.
    """
    two = AtLeast(path="two", count=2, parts=tuple(map(leaf, "abc")))

    assert evaluate(two, answering(said, keys), NOW).outcome == outcome


@pytest.mark.parametrize(
    "either",
    [
        AtLeast(path="any", count=1, parts=(leaf("a"), leaf("b"))),
        OldOrNew(path="change", new=leaf("a"), old=leaf("b"), until=NOW + timedelta(days=1)),
        AtLeast(path="any", count=1, parts=(AtLeast(path="", count=1, parts=(leaf("a"), leaf("b"))), leaf("c"))),
    ],
    ids=lambda one: one.path,
)
def test_what_is_asked_to_be_shown_decides_nothing(either: Requirement) -> None:
    """
    "One of a and b, and b" holds by a and b; that b would do for both makes no no of it for who asks for all of it.
    """
    said: dict[str, Outcome] = {"a": YES, "b": YES, "c": YES, "d": YES}
    two = AtLeast(path="two", count=2, parts=(either, leaf("d")))
    few, all_ = (evaluate(two, answering(said, {"d": "b"}), NOW, whole=whole) for whole in (False, True))

    assert (few.outcome, few.by) == (all_.outcome, all_.by) == (YES, ("a", "b"))


def test_nobody_is_asked_in_vain() -> None:
    """
    Who comes after the decision is not asked, and the answer says so; to show it to people, all of it is asked.
    """
    tree = AtLeast(path="any", count=1, parts=(leaf("a"), AllOf(path="all", parts=(leaf("b"), leaf("c")))))
    first = evaluate(tree, answering({"a": YES}), NOW)
    whole = evaluate(tree, answering({"a": YES, "b": NO, "c": YES}), NOW, whole=True)

    assert [(part.kind, part.outcome) for part in first.parts] == [("collection", YES), ("all", None)]
    assert [part.outcome for part in whole.each()] == [YES, YES, NO, NO, YES]
    assert first.by == whole.by == ("a",)


def test_a_refusal_says_what_it_comes_from() -> None:
    """
    The code is that of the first part that decided it, through all levels.
    """
    tree = AllOf(path="all", parts=(leaf("a"), AtLeast(path="any", count=1, parts=(leaf("b"), leaf("c")))))
    said: dict[str, Outcome] = {"a": YES, "b": NO, "c": UNKNOWN}

    assert (evaluate(tree, answering(said), NOW).outcome, evaluate(tree, answering(said), NOW).code) == (
        UNKNOWN,
        "code-c",
    )
    assert evaluate(tree, answering({**said, "c": NO}), NOW).code == "code-b"
    assert evaluate(Reject(path=""), answering({}), NOW).code == "reject"
    assert evaluate(Reject(path="", problem="it needs fulcio"), answering({}), NOW).code == "requirement"


def test_what_was_old_counts_until_then() -> None:
    """
    At the moment itself it counts no more, and is not asked.
    """
    tree = OldOrNew(path="", new=leaf("a"), old=leaf("b"), until=NOW)
    said: dict[str, Outcome] = {"a": NO, "b": YES}

    assert evaluate(tree, answering(said), NOW - timedelta(seconds=1)).outcome == YES
    assert evaluate(tree, answering({"a": NO}), NOW).outcome == NO
