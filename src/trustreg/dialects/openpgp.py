"""Looks into an OpenPGP message before ``gpg`` does.

Of all that ``gpg`` understands one form is let through to it: a binary message of one signature over one literal, in
one packet of compression or none. Armour, two messages, rubbish behind the message, and several signers are not.

Source: RFC 4880 sections 4.2 to 5.9 and 11.3.
"""

import bz2
import zlib
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
    packets = _packets(raw, largest)
    if len(packets) == 1 and packets[0].tag == _COMPRESSED:
        packets = _packets(_decompress(packets[0].body, largest + _OVERHEAD), largest)
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
    begin = 6 + literal[1] if len(literal) > 1 else 6  # after kind, name and date
    if len(literal) < begin or literal[:1] not in {b"b", b"t", b"u"}:
        _fault("its literal packet is damaged")
    content = literal[begin:]
    if len(content) > largest:
        _fault(f"its content is longer than {largest} bytes")
    return SignedMessage(issuer=once[4:12].hex().upper(), content=content)


class _Packet(NamedTuple):
    tag: int
    body: bytes


def _packets(raw: bytes, largest: int) -> list[_Packet]:
    """Return the packets that *raw* consists of, to its last byte."""
    if len(raw) > largest + _OVERHEAD:
        _fault(f"it is longer than {largest} bytes")
    found: list[_Packet] = []
    at = 0
    while at < len(raw):
        if not raw[at] & 0x80:
            _fault("it is not a binary OpenPGP message" if at == 0 else "something else follows the message")
        if len(found) == _MOST:
            _fault("it has too many parts")
        packet, at = (_new if raw[at] & 0x40 else _old)(raw, at)
        found.append(packet)
    return found


def _old(raw: bytes, at: int) -> tuple[_Packet, int]:
    tag, kind = raw[at] >> 2 & 0x0F, raw[at] & 3
    if kind == 3:  # up to the end
        return _Packet(tag, raw[at + 1 :]), len(raw)
    size = 1 << kind
    start = at + 1 + size
    end = start + int.from_bytes(_bytes(raw, at + 1, size), "big")
    return _Packet(tag, _bytes(raw, start, end - start)), end


def _new(raw: bytes, at: int) -> tuple[_Packet, int]:
    tag, at, body = raw[at] & 0x3F, at + 1, bytearray()
    while True:
        first = _bytes(raw, at, 1)[0]
        partial = 224 <= first < 255
        if first < 192:
            length, at = first, at + 1
        elif first < 224:
            length, at = (first - 192 << 8) + _bytes(raw, at + 1, 1)[0] + 192, at + 2
        elif partial:
            length, at = 1 << (first & 0x1F), at + 1
        else:
            length, at = int.from_bytes(_bytes(raw, at + 1, 4), "big"), at + 5
        body += _bytes(raw, at, length)
        at += length
        if not partial:
            return _Packet(tag, bytes(body)), at
        if tag not in {_LITERAL, _COMPRESSED}:
            _fault("a packet comes in parts that may not")


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


_SIGNATURE, _ONE_PASS, _COMPRESSED, _LITERAL = 2, 4, 8, 11
_DIGESTS: Final = frozenset({8, 9, 10})  # SHA-256, SHA-384, SHA-512
_MOST = 4  # packets; three are due
_OVERHEAD = 16 << 10  # bytes of packets around the content: a signature with all that can be said in it
