"""Canonical JSON, where a table of values says too little."""

from __future__ import annotations

import time

import pytest

from trustreg.dialects import canonical


def test_a_member_that_stands_twice_is_found_at_once() -> None:
    """
    Half a million members and one twice: found while reading, not by comparing each with each.
    """
    names = ",".join(f'"{number}":0' for number in range(200_000))
    began = time.monotonic()

    with pytest.raises(ValueError, match="'199999' stands twice"):
        canonical.parse_strictly(f'{{{names},"199999":0}}'.encode())

    assert time.monotonic() - began < 10


def test_a_long_name_that_stands_twice_is_not_repeated_in_full() -> None:
    """
    The sentence shows enough of a name to find it.
    """
    name = "n" * 100_000

    with pytest.raises(ValueError, match="stands twice") as caught:
        canonical.parse_strictly(f'{{"{name}":0,"{name}":0}}'.encode())

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [1.5, 1.0, 2**53 + 1, -(2**53) - 1, {"a": [{"b": 0.1}]}])
def test_numbers_that_readers_take_for_different_ones_are_found(value: object) -> None:
    """
    Floats, and integers beyond 2^53, however deep.
    """
    with pytest.raises(ValueError, match="is not an integer that every reader can hold"):
        canonical.require_plain(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), 0, True, None, "1.5", {"1.5": []}])
def test_all_else_is_plain(value: object) -> None:
    """
    Booleans are no integers to Python's readers, and text is text.
    """
    canonical.require_plain(value)
