"""Canonical JSON is what the reference encoder makes of it, for every value that has a canonical form."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from tests.property.strategies import LARGEST, plain_values, text, values
from trustreg.dialects import canonical

every_value = values(st.integers(-(2**63), 2**64 - 1))


@given(every_value)
def test_it_is_the_reference_encoders(value: Any) -> None:
    """
    Byte for byte: all of Unicode, control characters, nesting, every integer of 64 bits.
    """
    assert canonical.encode(value) == str(encode_canonical(value)).encode()


@given(st.lists(text, max_size=4), st.sampled_from('\\"/bfnrtu0\x00\x08\x1f\x7f\x80\u2028&'))
def test_escapes_side_by_side(parts: list[str], joint: str) -> None:
    r"""
    Runs of ``\``, quotes and what looks like an escape, which is where putting escapes back could go wrong.
    """
    value = joint.join([*parts, "\\" + joint, joint + "\\"])

    assert canonical.encode({value: value}) == str(encode_canonical({value: value})).encode()


@given(plain_values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_reading_takes_any_spelling(value: Any, ascii_only: bool, indent: Any) -> None:  # drawn
    """
    Escapes, blanks and order on the wire do not matter to what is signed.
    """
    sent = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert canonical.encode(canonical.parse(sent)) == canonical.encode(value)
    assert canonical.encode(canonical.parse_strictly(sent)) == canonical.encode(value)
    canonical.require_plain(value)


@given(plain_values, plain_values)
def test_different_values_have_different_forms(one: Any, other: Any) -> None:
    """
    Nobody signs two things at once; true is not 1 here.
    """
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (canonical.encode(one) == canonical.encode(other)) == same


@given(plain_values, st.floats() | st.integers(LARGEST + 1) | st.integers(max_value=-LARGEST - 1), st.data())
def test_one_odd_number_is_found_wherever_it_is(value: Any, number: float, data: st.DataObject) -> None:
    """
    At any depth, beside anything.
    """
    for _ in range(data.draw(st.integers(0, 4))):
        value = [value, number] if data.draw(st.booleans()) else {"a": value, "b": number}
    hidden = [value, number]

    with pytest.raises(ValueError, match="every reader"):
        canonical.require_plain(hidden)


@given(st.binary() | text.map(str.encode))
def test_reading_raises_nothing_but_value_errors(raw: bytes) -> None:
    """
    Whatever the bytes.
    """
    for read in (canonical.parse, canonical.parse_strictly):
        with suppress(ValueError):
            canonical.encode(read(raw))
