"""Canonical JSON, where a table of values says too little."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from trustreg.dialects import canonical

VECTORS = Path(__file__).parent.parent.parent / "vectors" / "canonical"


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


def table(name: str) -> list[Any]:
    """Return the cases of a table; a field that nobody knows is an error."""
    spelled = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    assert spelled.keys() == {"comment", "source", "cases"}
    known = {"comment", "sent", "canonical"} if name == "values" else {"comment", "sent"}
    assert all(case.keys() == known for case in spelled["cases"])
    return [pytest.param(case, id=case["comment"]) for case in spelled["cases"]]


@pytest.mark.parametrize("case", table("values"))
def test_a_value_has_one_canonical_form(case: dict[str, str]) -> None:
    """
    Whichever way it is read, and however it was sent.
    """
    sent, due = case["sent"].encode(), case["canonical"].encode()

    assert canonical.encode(canonical.parse(sent)) == due
    assert canonical.encode(canonical.parse_strictly(sent)) == due
    canonical.require_plain(canonical.parse(sent))


@pytest.mark.parametrize("case", table("refusals"))
def test_what_has_more_than_one_meaning_has_no_canonical_form(case: dict[str, Any]) -> None:
    """
    Reading strictly and encoding refuse it, one or the other.
    """
    sent = case["sent"]
    raw = sent.encode() if isinstance(sent, str) else base64.b64decode(sent["base64"])

    with pytest.raises(ValueError, match=r".") as caught:
        canonical.encode(canonical.parse_strictly(raw))

    assert len(str(caught.value)) < 200
