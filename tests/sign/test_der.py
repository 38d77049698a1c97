"""DER has one spelling for each value, and the reader accepts no other."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.sign import der

SPELLINGS: list[tuple[Callable[[der.Reader], Any], Callable[[Any], bytes]]] = [
    (der.Reader.integer, der.integer),
    (der.Reader.oid, der.oid),
    (lambda reader: reader.take(der.OCTET_STRING), der.octets),
    (lambda reader: reader.take(der.SEQUENCE), der.sequence),
]


@given(st.integers(0, 1 << 300))
def test_an_integer_comes_back(number: int) -> None:
    """
    Whatever its size, in the fewest bytes.
    """
    assert number == der.Reader(der.integer(number)).integer()


@given(st.tuples(st.integers(0, 1), st.integers(0, 39)) | st.tuples(st.just(2), st.integers(0, 1 << 20)), st.data())
def test_an_object_identifier_comes_back(first: tuple[int, int], data: st.DataObject) -> None:
    """
    The first two arcs share a number.
    """
    dotted = ".".join(map(str, (*first, *data.draw(st.lists(st.integers(0, 1 << 40), max_size=5)))))

    assert dotted == der.Reader(der.oid(dotted)).oid()


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_536])
def test_a_length_comes_back(size: int) -> None:
    """
    Short and long forms meet at 128.
    """
    assert bytes(size) == der.Reader(der.octets(bytes(size))).take(der.OCTET_STRING)


@given(st.binary(max_size=40))
def test_what_is_read_is_written_alike(raw: bytes) -> None:
    """
    If bytes read as a value, writing that value gives those bytes: there is no second spelling.
    """
    for read, write in SPELLINGS:
        reader = der.Reader(raw)
        try:
            value = read(reader)
            reader.end()
        except der.DerError:
            continue
        assert raw == write(value)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "02",
        "0200",
        "020100ff",
        "020180",
        "02020001",
        "0281010100",
        "02810101",
        "0282000101",
        "028001",
        "048401000000",
    ],
)
def test_other_spellings_are_refused(raw: str) -> None:
    """
    Empty, trailing, negative, padded, long where short would do, indefinite, cut off.
    """
    reader = der.Reader(bytes.fromhex(raw.removeprefix("empty")))

    with pytest.raises(der.DerError):
        _only_integer(reader)


def test_the_tag_that_was_due_is_named() -> None:
    """
    The sentence helps whoever wrote the other encoder.
    """
    with pytest.raises(der.DerError, match="tag 0x30 was due and 0x02 was found"):
        der.read(der.integer(1))


def _only_integer(reader: der.Reader) -> None:
    reader.integer()
    reader.end()
