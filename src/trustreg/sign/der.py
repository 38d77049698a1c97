"""Just enough DER for private keys and certificates: strict reading, definite lengths, one-byte tags.

Source: ITU-T X.690, section 10.
"""

from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31


class DerError(ValueError):
    """The bytes are not the DER that was expected; the text says what is wrong."""


class Reader:
    """Takes one value after the other out of the content of a constructed one."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    @property
    def tag(self) -> int | None:
        """The tag of the next value, ``None`` at the end."""
        return self._rest[0] if self._rest else None

    def take(self, tag: int) -> bytes:
        """Return the content of the next value, which has to have *tag*."""
        rest = self._rest
        if len(rest) < 2:
            raise DerError("it ends too early")
        if rest[0] != tag:
            raise DerError(f"tag {tag:#04x} was due and {rest[0]:#04x} was found")
        size, start = rest[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(rest[2:start], "big")
            if not 2 < start <= min(len(rest), 6) or size < 0x80 or rest[2] == 0:
                raise DerError("a length is not written the one way that DER allows")
        if len(rest) < start + size:
            raise DerError("it ends too early")
        self._rest = rest[start + size :]
        return bytes(rest[start : start + size])

    def sequence(self) -> "Reader":
        """Return a reader of the next value, a SEQUENCE."""
        return Reader(self.take(SEQUENCE))

    def integer(self) -> int:
        """Return the next value, an INTEGER that is not negative."""
        content = self.take(INTEGER)
        if not content or content[0] & 0x80 or (len(content) > 1 and content[0] == 0 and not content[1] & 0x80):
            raise DerError("an integer is negative or not written the one way that DER allows")
        return int.from_bytes(content, "big")

    def oid(self) -> str:
        """Return the next value, an OBJECT IDENTIFIER, in dots."""
        content = self.take(OID)
        if not 0 < len(content) <= 64 or content[-1] & 0x80:
            raise DerError("an object identifier ends too early")
        arcs: list[int] = []
        arc = 0
        for byte in content:
            if arc == 0 and byte == 0x80:
                raise DerError("an object identifier is not written the one way that DER allows")
            arc = arc << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    def end(self) -> None:
        """Insist that nothing follows."""
        if self._rest:
            raise DerError("something follows where it should end")


def read(raw: bytes) -> Reader:
    """Return a reader of *raw*, which has to be one SEQUENCE and nothing else."""
    whole = Reader(raw)
    inside = whole.sequence()
    whole.end()
    return inside


def value(tag: int, *contents: bytes) -> bytes:
    """Return the value with *tag* and the joined *contents*."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(long))) + long + content


def sequence(*items: bytes) -> bytes:
    """Return a SEQUENCE of values."""
    return value(SEQUENCE, *items)


def integer(number: int) -> bytes:
    """Return an INTEGER; *number* is not negative."""
    return value(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return value(OID, *map(_base128, (40 * first + second, *rest)))


def octets(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return value(OCTET_STRING, content)


def bits(content: bytes, unused: int = 0) -> bytes:
    """Return a BIT STRING whose last *unused* bits do not count."""
    return value(BIT_STRING, bytes((unused,)), content)


def explicit(number: int, content: bytes) -> bytes:
    """Return *content*, a whole value, under the explicit context tag *number*."""
    return value(0xA0 | number, content)


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(arc & 0x7F | 0x80)
    return bytes(reversed(groups))


TRUE: Final = b"\x01\x01\xff"
NONE: Final = b"\x05\x00"
