"""Large files are read in parts, and mean what they mean when they are read whole."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects import canonical, split
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import FormatError
from trustreg.metadata import Envelope, FileMeta, Signed, Targets

DIALECT = Tuf1()
ENTRY = {"hashes": {"sha256": "ab" * 32}, "length": 1}
TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | TEXT, lambda v: st.lists(v, max_size=2), max_leaves=3
)
ENTRIES = st.fixed_dictionaries(
    {"hashes": st.fixed_dictionaries({"sha256": st.just("ab" * 32)}), "length": st.integers(0, 10**6)},
    optional={"custom": VALUE, "x-other": VALUE},
)
DOCUMENTS = st.fixed_dictionaries(
    {"targets": st.dictionaries(TEXT, ENTRIES, max_size=4)},
    optional={"x-first": VALUE, "zz-last": VALUE},
)


@pytest.fixture
def _split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "LARGE", 0)


def document(more: dict[str, Any]) -> dict[str, Any]:
    """Return a file of a targets role with these members."""
    signed = {"_type": "targets", "expires": "2030-01-01T00:00:00Z", "spec_version": "1.0.34", "version": 1, **more}
    return {"signatures": [], "signed": signed}


def compact(value: object) -> bytes:
    """Spell *value* as tools do that sort members and leave no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(raw: bytes, *, large: int) -> Envelope[Signed]:
    """Read *raw* in parts if it has so many bytes."""
    kept, split.LARGE = split.LARGE, large
    try:
        return DIALECT.decode("targets", raw)
    finally:
        split.LARGE = kept


def contents(claim: Envelope[Signed]) -> dict[str, FileMeta | str]:
    """Return what a claim lists; of an entry that is malformed, that it is."""
    assert isinstance(claim.signed, Targets)
    found: dict[str, FileMeta | str] = {}
    for name in claim.signed.targets:
        try:
            found[name] = claim.signed.targets[name]
        except FormatError:
            found[name] = "malformed"
    return found


@given(DOCUMENTS, st.sampled_from([compact, orjson.dumps, lambda value: json.dumps(value, indent=1).encode()]))
def test_the_same_either_way(more: dict[str, Any], spell: Any) -> None:
    """
    Whatever the spelling, the bytes that are signed and what is listed are the same.
    """
    raw = spell(document(more))

    whole, parts = read(raw, large=1 << 30), read(raw, large=0)

    assert whole.payload == parts.payload
    assert contents(whole) == contents(parts)
    assert whole.signed.extra == parts.signed.extra


@given(DOCUMENTS, TEXT, ENTRIES)
def test_amended_the_same_either_way(more: dict[str, Any], name: str, entry: dict[str, Any]) -> None:
    """
    A target that is added, and one that is taken out, end in the same bytes.
    """
    raw, meta = compact(document(more)), FileMeta(length=entry["length"], hashes={"sha256": bytes(32)})
    payloads = []
    for large in (0, 1 << 30):
        signed = read(raw, large=large).signed
        assert isinstance(signed, Targets)
        added = DIALECT.amend(signed.targets, name, meta)
        less = DIALECT.amend(added, next(iter(added)), None)
        payloads.append([DIALECT.payload(Targets(version=2, expires=signed.expires, targets=t)) for t in (added, less)])

    assert payloads[0] == payloads[1]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a" :1}',
        b'{ "a":1}',
        b'{"a":1}\n',
        b'{"\\u0061":1}',
        b"[]",
        b"{",
        b'{"a":1}{',
        b'{"\xff":1}',
    ],
)
def test_not_canonical(raw: bytes) -> None:
    """
    An object that could be spelled otherwise is not split.
    """
    assert split.split(raw) is None


@pytest.mark.parametrize("value", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1,"a":1}', b"1.5", b'"\\u00e9"', b'"\\/"'])
def test_values_of_another_form(value: bytes) -> None:
    """
    Where values are proven, one that is not canonical shows.
    """
    raw = b'{"one":' + value + b"}"

    assert split.split(raw) is not None
    assert split.split(raw, alike=True) is None


def test_a_split_object() -> None:
    """
    Its values are the text they came as.
    """
    found = split.split(b'{"a":{"b":1},"\xc3\xa9":[]}', alike=True)

    assert found is not None
    assert {name: bytes(value) for name, value in found.items()} == {"a": b'{"b":1}', "é": b"[]"}
    assert canonical.encode({"a": {"b": 1}, "é": []}) == found.spelled()


@pytest.mark.usefixtures("_split")
def test_an_entry_that_only_looks_alike() -> None:
    """
    Of a shape that was proven, and yet not canonical: it is refused when it is read, and the others are not.
    """
    odd = b'{"hashes":{"sha256":"' + b"ab" * 32 + b'"},"length":1,"length":2}'
    alike = b'{"hashes":{"sha256":"' + b"ab" * 32 + b'"},"length":12,"length":1}'
    start = compact(document({"targets": {}}))
    raw = start.replace(b'"targets":{}', b'"targets":{"a":' + odd + b',"b":' + alike + b"}")

    with pytest.raises(FormatError):
        DIALECT.decode("targets", raw)
