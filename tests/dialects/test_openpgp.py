"""Of all OpenPGP messages, one form is taken for a signature."""

from __future__ import annotations

import bz2
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.openpgp import open_message
from trustreg.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = b'{"critical": {}}'
KEY = bytes.fromhex("0123456789ABCDEF")
MOST = 1 << 16


def old(tag: int, body: bytes) -> bytes:
    """Give a packet with a length of two bytes, as GnuPG writes most."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def new(tag: int, body: bytes) -> bytes:
    """Give a packet in the newer format, with a length of five bytes."""
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def in_parts(tag: int, body: bytes) -> bytes:
    """Give a packet that comes in two parts."""
    return bytes([0xC0 | tag, 0xE2]) + body[:4] + bytes([len(body) - 4]) + body[4:]


def once(kind: int = 0, digest: int = 10, last: int = 1) -> bytes:
    """Give the body of a one-pass packet."""
    return bytes([3, kind, digest, 22]) + KEY + bytes([last])


def literal(content: bytes = CONTENT) -> bytes:
    """Give the body of a literal packet."""
    return b"b\x03abc" + bytes(4) + content


def signature(kind: int = 0, digest: int = 10, version: int = 4) -> bytes:
    """Give the beginning of the body of a signature packet."""
    return bytes([version, kind, 22, digest]) + bytes(20)


def message(write: Callable[[int, bytes], bytes] = old, **changed: bytes) -> bytes:
    """Give a signed message that is not compressed."""
    parts = {"once": once(), "literal": literal(), "signature": signature()} | changed
    return b"".join(write(tag, parts[name]) for tag, name in ((4, "once"), (11, "literal"), (2, "signature")))


def compressed(raw: bytes, how: int = 1) -> bytes:
    """Give *raw* in a packet of compression that goes on to the end."""
    raws = {0: raw, 1: zlib.compress(raw)[2:-4], 2: zlib.compress(raw), 3: bz2.compress(raw)}
    return b"\xa3" + bytes([how]) + raws.get(how, raw)


@pytest.mark.parametrize(
    "raw",
    [
        message(),
        message(new),
        *(compressed(message(), how) for how in range(4)),
        old(8, compressed(message(), 2)[1:]),
        new(4, once()) + in_parts(11, literal()) + new(2, signature()),
    ],
)
def test_a_signed_message_is_opened(raw: bytes) -> None:
    """
    In either format, compressed or not.
    """
    opened = open_message(raw, MOST)

    assert (CONTENT, KEY.hex().upper()) == (opened.content, opened.issuer)


@pytest.mark.parametrize(
    "raw",
    {
        "nothing": b"",
        "armour": b"-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n",
        "a signature alone": old(2, signature()),
        "a literal alone": old(11, literal()),
        "two messages": message() * 2,
        "two messages in one": compressed(message() * 2),
        "two compressed ones": compressed(message())[:-1] + compressed(message()),
        "rubbish behind it": message() + b"x",
        "a packet behind it": message() + old(11, literal()),
        "rubbish behind what is compressed": compressed(message(), 2) + b"x",
        "compressed twice": compressed(compressed(message())),
        "two signers": old(4, once(last=0)) + old(4, once()) + old(11, literal()) + old(2, signature()) * 2,
        "not the last one": message(once=once(last=0)),
        "text": message(once=once(kind=1), signature=signature(kind=1)),
        "SHA-1": message(once=once(digest=2), signature=signature(digest=2)),
        "another digest than announced": message(once=once(digest=8)),
        "version 3": message(signature=signature(version=3)),
        "an empty signature": message(signature=b""),
        "an empty literal": message(literal=b""),
        "a literal that is shorter than its name": message(literal=b"b\xffabc"),
        "encrypted": old(1, bytes(20)) + old(9, bytes(20)),
        "an old signature in front": old(2, signature()) + old(11, literal()),
        "a signature in parts": old(4, once()) + old(11, literal()) + in_parts(2, signature()),
        "cut off": message()[:-1],
        "cut off in a length": b"\xc2\xff\x00",
        "compressed and cut off": compressed(message(), 2)[:-3],
        "no compression that there is": b"\xa3\x07abc",
        "too long": message(new, literal=literal(bytes(MOST + 1))),
        "too long when unpacked": compressed(message(new, literal=literal(bytes(1 << 24))), 2),
        "many packets": old(13, b"") * 1000,
    }.values(),
)
def test_anything_else_is_not(raw: bytes) -> None:
    """
    It is not even shown to gpg.
    """
    with pytest.raises(FormatError):
        open_message(raw, MOST)


@given(raw=st.binary(max_size=300), how=st.sampled_from([0, 1, 2, 3, None]))
def test_rubbish_is_refused_and_nothing_worse(raw: bytes, how: int | None) -> None:
    """
    Compressed or not.
    """
    with pytest.raises(FormatError):
        open_message(raw if how is None else compressed(raw, how), MOST)


@given(at=st.integers(0, len(message()) - 1), bit=st.integers(0, 7))
def test_one_bit_is_refused_or_changes_what_is_found(at: int, bit: int) -> None:
    """
    Or it is in the part that gpg looks at.
    """
    raw = bytearray(message())
    raw[at] ^= 1 << bit
    with suppress(FormatError):
        assert open_message(bytes(raw), MOST).content
