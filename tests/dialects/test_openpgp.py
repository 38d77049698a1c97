"""Of all OpenPGP messages, one form is taken for a signature."""

from __future__ import annotations

import bz2
import zlib
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.gpg import gpg_home
from tests.vectors.signed import load
from trustreg.dialects.openpgp import open_keys, open_message
from trustreg.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers.gpg import Gpg

CONTENT = b'{"critical": {}}'
KEY = bytes.fromhex("0123456789ABCDEF")
BY = b"\x09\x10" + KEY  # the issuer, as a subpacket
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


def signature(kind: int = 0, digest: int = 10, version: int = 4, hashed: bytes = b"", unhashed: bytes = BY) -> bytes:
    """Give the body of a signature packet but for the numbers at its end."""
    areas = b"".join(len(area).to_bytes(2, "big") + area for area in (hashed, unhashed))
    return bytes([version, kind, 22, digest]) + areas + bytes(2)


def message(write: Callable[[int, bytes], bytes] = old, **changed: bytes) -> bytes:
    """Give a signed message that is not compressed."""
    parts = {"once": once(), "literal": literal(), "signature": signature()} | changed
    return b"".join(write(tag, parts[name]) for tag, name in ((4, "once"), (11, "literal"), (2, "signature")))


def once_then_literal_without_end() -> bytes:
    """Give a message whose content takes what follows it for its own."""
    return old(4, once()) + b"\xaf" + literal() + old(2, signature())


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
        "a signature by nobody": message(signature=signature(unhashed=b"")),
        "a signature by another key": message(signature=signature(unhashed=BY[:-1] + b"x")),
        "a signature by two keys": message(signature=signature(hashed=BY[:-1] + b"x")),
        "a signature by another fingerprint": message(signature=signature(hashed=b"\x16\x21\x04" + bytes(20))),
        "a subpacket that is cut off": message(signature=signature(hashed=b"\x05\x02x")),
        "a subpacket of no length": message(signature=signature(hashed=b"\x00")),
        "a signature that is shorter than it says": message(signature=signature()[:-3]),
        "content without end": once_then_literal_without_end(),
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
        assert open_message(bytes(raw), MOST).content in raw


@given(data=st.data())
def test_what_gpg_made_is_refused_or_opened_however_it_is_bent(data: st.DataObject) -> None:
    """
    Nothing else than a refusal ever comes of it.
    """
    raw = data.draw(st.sampled_from([vector.message for vector in load() if len(vector.message) < 2000]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 4)) :]
    with suppress(FormatError):
        assert len(open_message(raw, MOST).content) <= MOST


@given(data=st.data())
def test_keys_are_refused_or_read_however_they_are_bent(data: st.DataObject) -> None:
    """
    Those that are read are read so again.
    """
    armour = data.draw(st.sampled_from(sorted({vector.keys[0] for vector in load()})))
    raw = data.draw(st.sampled_from([armour, b"".join(found.raw for found in open_keys(armour))]))
    at = data.draw(st.integers(0, len(raw)))
    bent = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 4)) :]
    with suppress(FormatError):
        for found in open_keys(bent):
            assert found == open_keys(found.raw)[0]


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as home:
        yield home


def armoured(raw: bytes, head: str = "Comment: x", tail: str = "") -> bytes:
    """Give *raw* in armour."""
    text = b64encode(raw).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return (
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n{head}\n\n{lines}\n{tail}-----END PGP PUBLIC KEY BLOCK-----\n".encode()
    )


def key(version: int = 4, algorithm: int = 22, bits: int = 2048) -> bytes:
    """Give the body of a key."""
    return bytes([version]) + bytes(4) + bytes([algorithm]) + bits.to_bytes(2, "big") + b"\x80" + bytes(30)


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_keys_are_called_what_gpg_calls_them(gpg: Gpg, armour: tuple[str, ...]) -> None:
    """
    With their subkeys and user ids, whoever they are exported with, and however.
    """
    names = [gpg.generate(f"somebody {kind} {len(armour)}", kind) for kind in ("ed25519", "nistp256", "rsa2048")]
    subkeys = [gpg.subkey(name) for name in names]
    exported = gpg.run("--export", *armour, *names).out

    keys = open_keys(exported)

    assert list(zip(names, subkeys, strict=True)) == [(found.fingerprint, *found.subkeys) for found in keys]
    assert [(names[0][-16:], subkeys[0][-16:])] == [found.ids for found in keys[:1]]
    assert [(f"somebody ed25519 {len(armour)} <somebody ed25519 {len(armour)}@example.com>",)] == [
        found.users for found in keys[:1]
    ]
    assert [gpg.public(name) for name in names] == [found.raw for found in keys]
    assert {False} == {found.revoked or bool(found.weak) or found.expires is not None for found in keys}


def test_what_a_key_says_of_its_life_is_read(gpg: Gpg) -> None:
    """
    For whoever wants to warn; who believes it asks gpg.
    """
    short = gpg.generate("short", lasts="30d", at="20200101T000000")
    (found,) = open_keys(gpg.public(short))

    assert (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 31, tzinfo=UTC)) == (found.created, found.expires)
    gpg.run("--quick-set-expire", short, "60d", at="20200201T000000")
    assert datetime(2020, 4, 1, tzinfo=UTC) == open_keys(gpg.public(short))[0].expires
    gpg.run("--quick-set-expire", short, "0", at="20200202T000000")
    assert open_keys(gpg.public(short))[0].expires is None
    gpg.revoke(short)
    assert open_keys(gpg.public(short))[0].revoked


@pytest.mark.parametrize(("algorithm", "bits", "weak"), [(1, 2047, True), (1, 2048, False), (1, 16_385, True)])
def test_short_keys_are_weak(algorithm: int, bits: int, weak: bool) -> None:
    """
    As plain keys are; and those of absurd lengths.
    """
    assert weak == bool(open_keys(old(6, key(4, algorithm, bits)))[0].weak)
    assert open_keys(old(6, key(4, 16)))[0].weak  # Elgamal
    assert not open_keys(old(6, key(4, 19)))[0].weak


@pytest.mark.parametrize(
    "raw",
    [
        armoured(old(6, key())),
        b"This key signs packages.\r\n\r\n" + armoured(old(6, key())).replace(b"\n", b"\r\n"),
        armoured(old(6, key()), tail="=OKry\n"),
        old(10, b"PGP") + old(6, key()) + old(12, b"xx"),
        new(6, key()),
        armoured(old(6, key())) + b"and\n" + armoured(old(6, key(bits=4096))),
    ],
)
def test_a_key_file_is_read_with_what_stands_around_it(raw: bytes) -> None:
    """
    As distributions hand them out; only the keys remain.
    """
    first, *more = open_keys(raw)

    assert (first.raw, len(more)) in {(old(6, key()), raw.count(b"and\n")), (new(6, key()), 0)}


@pytest.mark.parametrize(
    "raw",
    {
        "nothing": b"",
        "text": b"ssh-rsa AAAA",
        "a private key": old(5, key()),
        "a public key and a private subkey": old(6, key()) + old(7, key()),
        "a private key in armour": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
        "a message in armour": b"-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----\n",
        "version 3": old(6, key(3)),
        "version 5": old(6, key(5)),
        "a key that is cut off": old(6, key()[:7]),
        "a file that is cut off": old(6, key())[:-1],
        "a user id first": old(13, b"x") + old(6, key()),
        "a subkey alone": old(14, key()),
        "a literal in it": old(6, key()) + old(11, literal()),
        "one key twice": old(6, key()) * 2,
        "a key without end": b"\x9b" + key(),
        "a key in parts": in_parts(6, key()),
        "too long": old(6, key()) + new(13, bytes(1 << 21)),
        "too many packets": old(6, key()) + old(13, b"") * 10_001,
        "another checksum": armoured(old(6, key()), tail="=AAAA\n"),
        "no base64": armoured(old(6, key())).replace(b"\n\n", b"\n\n!"),
        "armour without an end": armoured(old(6, key())).partition(b"-----END")[0],
        "armour within armour": armoured(old(6, key())).partition(b"-----END")[0] + armoured(old(6, key())),
        "headers that are none": armoured(old(6, key()), head="x"),
        "headers without end": armoured(old(6, key())).replace(b"\n\n", b"\n"),
        "a marker of armour in other text": b"> " + armoured(old(6, key())),
    }.values(),
)
def test_what_is_no_public_key_is_refused(raw: bytes) -> None:
    """
    All of it, whatever else is there.
    """
    with pytest.raises(FormatError):
        open_keys(raw)


@given(raw=st.binary(max_size=300), how=st.sampled_from([lambda raw: raw, armoured, lambda raw: old(6, key()) + raw]))
def test_rubbish_in_place_of_keys_is_refused_and_nothing_worse(raw: bytes, how: Callable[[bytes], bytes]) -> None:
    """
    In armour or not, alone or behind a key.
    """
    with suppress(FormatError):
        open_keys(how(raw))
