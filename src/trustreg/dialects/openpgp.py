"""Looks into OpenPGP messages and public keys before ``gpg`` does.

Of all messages that ``gpg`` understands one form is let through to it: a binary message of one signature over one
literal, in one packet of compression or none. Armour, two messages, rubbish behind the message, and several signers are
not. Of keys it gets public ones only, in binary form, each packet of which was looked at.

Source: RFC 4880 sections 4.2 to 5.12, 6.2, 11.1, 11.3 and 12.2.
"""

import binascii
import bz2
import hashlib
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, NoReturn

from trustreg.errors import FormatError
from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SignedMessage:
    """A message as it presents itself: nothing in it was verified.

    ``issuer`` is the id of the key that signed, 16 hex digits, by which to find it, and ``content`` what is signed.
    """

    issuer: str
    content: bytes = field(repr=False)


def open_message(raw: bytes, largest: int) -> SignedMessage:
    """Take *raw* apart, whose content may have *largest* bytes.

    Raises:
        FormatError: It is not one opaque message with one signature, made over SHA-256 or better.
    """
    packets = _packets(raw, largest, _MOST)
    if len(packets) == 1 and packets[0].tag == _COMPRESSED:
        packets = _packets(_decompress(packets[0].body, largest + _OVERHEAD), largest, _MOST)
    if [packet.tag for packet in packets] != [_ONE_PASS, _LITERAL, _SIGNATURE]:
        _fault("it is not one signed message with one signature")
    once, literal, signature = (packet.body for packet in packets)
    if len(once) != 13 or once[0] != 3 or once[12] != 1:
        _fault("its one-pass packet is not that of one signature")
    if len(signature) < 10 or signature[0] != 4:
        _fault("its signature is not of version 4")
    if (once[1], once[2], once[3]) != (signature[1], signature[3], signature[2]) or once[1] != 0:
        _fault("its signature is not the one that was announced, over binary content")
    if once[2] not in _DIGESTS:
        _fault("its signature is over a digest that is too weak")
    issuer = once[4:12].hex().upper()
    said = _subpackets(signature)
    if said is None or said.issuers != {issuer}:
        _fault("its signature is not by the key that was announced")
    begin = 6 + literal[1] if len(literal) > 1 else 6  # after kind, name and date
    if len(literal) < begin or literal[:1] not in {b"b", b"t", b"u"}:
        _fault("its literal packet is damaged")
    content = literal[begin:]
    if len(content) > largest:
        _fault(f"its content is longer than {largest} bytes")
    return SignedMessage(issuer=issuer, content=content)


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A public key with its subkeys, as it presents itself: of what signatures in it say nothing was verified.

    Attributes:
        fingerprint: Of the primary key, 40 upper-case hex digits.
        subkeys: The fingerprints of the others.
        weak: Those of these keys that are too short to be believed, or of a kind that makes no signatures.
        users: The user ids.
        created: When it was made.
        expires: When the primary key expires, if it says so.
        revoked: It says that it was.
        raw: The packets, binary.
    """

    fingerprint: str
    subkeys: tuple[str, ...] = ()
    weak: frozenset[str] = frozenset()
    users: tuple[str, ...] = ()
    created: datetime
    expires: datetime | None = None
    revoked: bool = False
    raw: bytes = field(repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids by which signatures name these keys, 16 hex digits, that of the primary key first."""
        return tuple(fingerprint[-16:] for fingerprint in (self.fingerprint, *self.subkeys))


def open_keys(raw: bytes) -> tuple[PublicKey, ...]:
    """Read exported public keys, one or several, binary or armoured; what stands around armour is no matter.

    Raises:
        FormatError: There are none, one of them is private, or one is not of version 4; or something is damaged.
    """
    if len(raw) > LARGEST_KEYS:
        _no_key(f"it is longer than {LARGEST_KEYS} bytes")
    try:
        packets = _packets(raw if raw[:1] >= b"\x80" else _dearmour(raw), LARGEST_KEYS, _MOST_OF_KEYS)
    except FormatError as exc:
        raise FormatError(_KEYS, "", exc.problem) from None
    packets = [packet for packet in packets if packet.tag not in {_MARKER, _TRUST}]  # of no meaning outside of a home
    if any(packet.tag in _SECRET for packet in packets):
        _no_key("it is private: a public one is due")
    starts = [at for at, packet in enumerate(packets) if packet.tag == _PUBLIC]
    if not starts or starts[0] != 0:
        _no_key("there is no public key in it")
    keys = [_key(packets[at:end]) for at, end in zip(starts, [*starts[1:], None], strict=True)]
    if len({key.fingerprint for key in keys}) != len(keys):
        _no_key("a public key is in it twice")
    return tuple(keys)


class _Packet(NamedTuple):
    tag: int
    body: bytes
    whole: bytes  # with its header


def _key(packets: list[_Packet]) -> PublicKey:
    fingerprint, strong = _fingerprint(packets[0])
    created = datetime.fromtimestamp(int.from_bytes(packets[0].body[1:5], "big"), UTC)
    found = {fingerprint: strong}
    users = []
    newest: tuple[int, int] = (0, 0)  # when a self-signature was made, and how long the key lasts by it
    revoked = False
    for packet in packets[1:]:
        if packet.tag == _SUBKEY:
            subkey, strong = _fingerprint(packet)
            found.setdefault(subkey, strong)
        elif packet.tag == _USER:
            users.append(packet.body.decode(errors="replace"))
        elif packet.tag == _SIGNATURE:
            said = _subpackets(packet.body)
            kind = packet.body[1:2]
            if said is None or fingerprint[-16:] not in said.issuers:
                continue
            revoked = revoked or kind == b"\x20"
            if kind in _OVER_PRIMARY:
                lasts = int.from_bytes(said.hashed.get(_KEY_EXPIRY, b""), "big")
                newest = max(newest, (int.from_bytes(said.hashed.get(_CREATED, b""), "big"), lasts))
        elif packet.tag != _ATTRIBUTE:
            _no_key("there is something in it that belongs into no public key")
    return PublicKey(
        fingerprint=fingerprint,
        subkeys=tuple(list(found)[1:]),
        weak=frozenset(name for name, strong in found.items() if not strong),
        users=tuple(users),
        created=created,
        expires=created + timedelta(seconds=newest[1]) if newest[1] else None,
        revoked=revoked,
        raw=b"".join(packet.whole for packet in packets),
    )


def _fingerprint(packet: _Packet) -> tuple[str, bool]:
    """Return the fingerprint of a key, and whether it can make signatures that are to be believed."""
    body = packet.body
    if len(body) < 8:
        _no_key("a key in it is damaged")
    if body[0] != 4:
        _no_key(f"a key in it is of version {body[0]}: version 4 is due")
    named = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    bits = int.from_bytes(body[6:8], "big")  # of the modulus, or of the prime
    return named, body[5] in _CURVES or (body[5] in _NUMBERS and LEAST_BITS <= bits <= MOST_BITS)


def _dearmour(raw: bytes) -> bytes:
    """Return the content of all blocks of armour in *raw*."""
    found: list[bytes] = []
    block: list[bytes] | None = None
    for line in map(bytes.rstrip, raw.split(b"\n")):
        if line == _BEGIN and block is None:
            block = []
        elif line == _END and block is not None:
            found.append(_block(block))
            block = None
        elif line.startswith(b"-----BEGIN PGP PRIVATE KEY"):
            _no_key("it is private: a public one is due")
        elif b"-----BEGIN PGP " in line or b"-----END PGP " in line:
            _no_key("its armour is not that of public keys")
        elif block is not None:
            block.append(line)
    if block is not None:
        _no_key("its armour does not end")
    return b"".join(found)


def _block(lines: list[bytes]) -> bytes:
    if b"" not in lines or not all(map(_HEADER.fullmatch, lines[: lines.index(b"")])):
        _no_key("the headers of its armour do not end")
    text = [line for line in lines[lines.index(b"") :] if line]
    total = text.pop() if text and text[-1][:1] == b"=" and len(text[-1]) == 5 else None
    try:
        content = binascii.a2b_base64(b"".join(text), strict_mode=True)
        if total is not None and binascii.a2b_base64(total[1:], strict_mode=True) != _crc24(content):
            _no_key("the checksum of its armour is another")
    except binascii.Error:
        _no_key("its armour is not base64")
    return content


def _crc24(content: bytes) -> bytes:
    total = 0xB704CE
    for byte in content:
        total ^= byte << 16
        for _ in range(8):
            total = total << 1 ^ (0x1864CFB if total & 0x800000 else 0)
    return (total & 0xFFFFFF).to_bytes(3, "big")


class _Said(NamedTuple):
    """What a signature says: of each kind the last, as most readers take it."""

    hashed: dict[int, bytes]
    issuers: frozenset[str]  # ids of keys, of which there should be one


def _subpackets(body: bytes) -> _Said | None:
    """Return what the signature *body* says, or ``None`` where it cannot be read."""
    if body[:1] != b"\x04" or len(body) < 6:
        return None
    middle = 6 + int.from_bytes(body[4:6], "big")
    end = middle + 2 + int.from_bytes(body[middle : middle + 2], "big")
    if end > len(body):
        return None
    try:
        hashed = list(_each(body[6:middle]))
        every = [*hashed, *_each(body[middle + 2 : end])]
    except FormatError:
        return None
    issuers = {value[-8:].hex().upper() for kind, value in every if kind in {_ISSUER, _ISSUER_FINGERPRINT}}
    return _Said(dict(hashed), frozenset(issuers))


def _each(area: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(area):
        length, at = _length(area, at)
        if length < 1:
            _fault("its signature is damaged")
        content = _bytes(area, at, length)
        yield content[0] & 0x7F, content[1:]
        at += length


def _packets(raw: bytes, largest: int, most: int) -> list[_Packet]:
    """Return the packets that *raw* consists of, to its last byte."""
    if len(raw) > largest + _OVERHEAD:
        _fault(f"it is longer than {largest} bytes")
    found: list[_Packet] = []
    at = 0
    while at < len(raw):
        if not raw[at] & 0x80:
            _fault("it is not in binary OpenPGP packets" if at == 0 else "something else follows")
        if len(found) == most:
            _fault("it has too many parts")
        tag, body, end = (_new if raw[at] & 0x40 else _old)(raw, at)
        found.append(_Packet(tag, body, raw[at:end]))
        at = end
    return found


def _old(raw: bytes, at: int) -> tuple[int, bytes, int]:
    tag, kind = raw[at] >> 2 & 0x0F, raw[at] & 3
    if kind == 3:  # up to the end
        if tag not in _STREAMS:
            _fault("a packet has no length that has to have one")
        return tag, raw[at + 1 :], len(raw)
    size = 1 << kind
    start = at + 1 + size
    end = start + int.from_bytes(_bytes(raw, at + 1, size), "big")
    return tag, _bytes(raw, start, end - start), end


def _new(raw: bytes, at: int) -> tuple[int, bytes, int]:
    tag, at, body = raw[at] & 0x3F, at + 1, bytearray()
    while 224 <= _bytes(raw, at, 1)[0] < 255:
        if tag not in _STREAMS:
            _fault("a packet comes in parts that may not")
        length = 1 << (raw[at] & 0x1F)
        body += _bytes(raw, at + 1, length)
        at += 1 + length
    length, at = _length(raw, at)
    body += _bytes(raw, at, length)
    return tag, bytes(body), at + length


def _length(raw: bytes, at: int) -> tuple[int, int]:
    """Return the length that stands there, and where it ends."""
    first = _bytes(raw, at, 1)[0]
    if first < 192:
        return first, at + 1
    if first < 255:
        return (first - 192 << 8) + _bytes(raw, at + 1, 1)[0] + 192, at + 2
    return int.from_bytes(_bytes(raw, at + 1, 4), "big"), at + 5


def _bytes(raw: bytes, at: int, length: int) -> bytes:
    if at + length > len(raw):
        _fault("it ends early")
    return raw[at : at + length]


def _decompress(body: bytes, most: int) -> bytes:
    try:
        if body[:1] == b"\x00":
            return body[1:]
        if body[:1] == b"\x03":
            bzip = bz2.BZ2Decompressor()
            found, ended, rest = bzip.decompress(body[1:], most + 1), bzip.eof, bzip.unused_data
        else:
            stream = zlib.decompressobj(-15 if body[:1] == b"\x01" else 15)
            found = stream.decompress(body[1:], most + 1)
            ended, rest = stream.eof, stream.unused_data
    except (OSError, ValueError, zlib.error):
        _fault("what it compresses cannot be read")
    if len(found) > most:
        _fault("it is longer than it may be when it is unpacked")
    if not ended or rest:
        _fault("what it compresses does not end with it")
    return found


def _fault(problem: str) -> NoReturn:
    raise FormatError("OpenPGP message", "", problem)


def _no_key(problem: str) -> NoReturn:
    raise FormatError(_KEYS, "", problem)


LEAST_BITS, MOST_BITS = 2048, 16_384  # of RSA and DSA, as for plain keys
LARGEST_KEYS: Final = 1 << 20  # bytes; a key that hundreds have signed has some 200 000
_KEYS = "GPG key"
_SIGNATURE, _ONE_PASS, _PUBLIC, _COMPRESSED, _MARKER, _LITERAL, _TRUST = 2, 4, 6, 8, 10, 11, 12
_USER, _SUBKEY, _ATTRIBUTE = 13, 14, 17
_SECRET = frozenset({5, 7})
_STREAMS = frozenset({_COMPRESSED, _LITERAL})  # whose lengths need not be known beforehand
_CREATED, _KEY_EXPIRY, _ISSUER, _ISSUER_FINGERPRINT = 2, 9, 16, 33  # subpackets
_OVER_PRIMARY = frozenset({b"\x10", b"\x11", b"\x12", b"\x13", b"\x1f"})  # signatures of user ids, and direct ones
_NUMBERS, _CURVES = frozenset({1, 3, 17}), frozenset({19, 22})  # RSA and DSA; ECDSA and EdDSA
_DIGESTS: Final = frozenset({8, 9, 10})  # SHA-256, SHA-384, SHA-512
_MOST = 4  # packets; three are due
_MOST_OF_KEYS = 10_000
_OVERHEAD = 16 << 10  # bytes of packets around the content: a signature with all that can be said in it
_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*: ?.*")
