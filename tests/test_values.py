"""The dataclasses that are cheap to define are dataclasses: whatever these do, ``dataclasses.dataclass`` does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, asdict, astuple, fields, replace
from types import FunctionType
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg import values
from trustreg.names import Digest

T = TypeVar("T")
BOTH = pytest.mark.parametrize("dataclass", [values.dataclass, dataclasses.dataclass], ids=["ours", "Python's"])


def made(dataclass: Any, **options: bool) -> Any:
    """Define one class with everything in it that our classes use."""

    @dataclass(**options)
    class Base:
        """A base."""

        one: int
        two: Any = dataclasses.field(default_factory=list, hash=False)

    @dataclass(**options)
    class Value(Base, Generic[T]):
        """A value."""

        three: str = dataclasses.field(default="3", repr=False)
        four: int = dataclasses.field(default=4, compare=False)

        def __post_init__(self) -> None:
            if self.one == 13:
                raise ValueError(self.one)

        def __str__(self) -> str:
            return f"<{self.one}>"

    return Value


ANSWERS = {
    "repr": lambda value, _: repr(value).rpartition(".")[2],
    "str": lambda value, _: str(value),
    "fields": lambda value, _: [(f.name, f.type, f.compare, f.hash, f.repr, f.kw_only) for f in fields(value)],
    "replace": lambda value, _: astuple(replace(value, one=7)),
    "dict": lambda value, _: asdict(value),
    "copy": lambda value, _: (copy.copy(value) == value, copy.deepcopy(value) == value),
    "hash": lambda value, _: hash(value),
    "equal": lambda value, other: (value == other, value != other, value == astuple(value), value == 1),
    "less": lambda value, other: (value < other, value <= other, value > other, value >= other),
    "set": lambda value, _: value.__setattr__("one", 2),
    "add": lambda value, _: value.__setattr__("more", 2),
    "delete": lambda value, _: value.__delattr__("one"),
    "match": lambda value, _: type(value).__match_args__,
}
OPTIONS = [
    {"frozen": True, "kw_only": True},
    {"frozen": True},
    {"frozen": True, "order": True},
    {"eq": False},
    {},
]
ARGUMENTS = st.tuples(
    st.lists(st.integers(0, 3), max_size=5),
    st.dictionaries(st.sampled_from(["one", "two", "three", "four", "five"]), st.integers(0, 13), max_size=5),
)


def outcome(ask: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what *ask* answers, or the kind of error."""
    try:
        return ask(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, FrozenInstanceError) as exc:
        return type(exc)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(first=ARGUMENTS, second=ARGUMENTS)
def test_they_answer_alike(
    options: dict[str, bool],
    first: tuple[list[int], dict[str, int]],
    second: tuple[list[int], dict[str, int]],
) -> None:
    """
    However they are built and whatever they are asked, both give the same answer or fail in the same way.
    """
    answers = []
    for dataclass in (values.dataclass, dataclasses.dataclass):
        kind = made(dataclass, **options)
        built = [outcome(kind, *args, **kwargs) for args, kwargs in (first, second)]
        failed = [value if isinstance(value, type) else None for value in built]
        if any(failed):
            answers.append(failed)
        elif options != {"eq": False}:
            answers.append([outcome(ask, *built) for ask in ANSWERS.values()])
        else:
            same = {name: ask for name, ask in ANSWERS.items() if name not in {"hash", "copy"}}  # by identity
            answers.append([outcome(ask, *built) for ask in same.values()])

    assert answers[0] == answers[1]


@BOTH
def test_each_value_has_its_own_default(dataclass: Any) -> None:
    """
    What a factory makes is not shared.
    """
    kind = made(dataclass)

    assert kind(1).two is not kind(1).two


def test_a_value_survives_pickling() -> None:
    """
    It may go to another process, and is still frozen there.
    """
    there = pickle.loads(pickle.dumps(Digest("sha256", "ab")))  # noqa: S301

    assert there == Digest("sha256", "ab")
    with pytest.raises(FrozenInstanceError):
        there.hex = "cd"


def test_nothing_is_compiled_for_a_class() -> None:
    """
    That is what they are for: the code of the methods is in the module, not written anew for each class.
    """
    kind = made(values.dataclass, frozen=True)
    methods = [vars(kind)[name] for name in ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__")]

    assert {method.__code__.co_filename for method in methods if isinstance(method, FunctionType)} == {values.__file__}
