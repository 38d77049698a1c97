"""What a root certificate says: whose key it is, for which collection, and from when to when.

``cryptography.x509`` reads any certificate, and importing it takes a tenth of a look-up. Nearly every root certificate
was made by notary, Docker or trustreg, and these are all alike: one template with a serial number, a name, two times, a
P-256 key and a signature put in. :func:`_plain` reads what is that template byte for byte, so that there is one way to
understand it; whatever differs anywhere goes to the library. The tests hold the two to the same answers.

Sources: RFC 5280 section 4.1; ITU-T X.690, section 10; notary ``cryptoservice/certificate.go``.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trustreg.values import dataclass, field
from trustreg.verify import keys

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate, read and not believed.

    Attributes:
        name: The common name; ``None`` where there is not exactly one, or it is no text.
        authority: Whether it is one of a CA.
        digest: The hash that its signature is over; ``None`` where the algorithm has no choice of one.
        begins: Valid from then.
        ends: Valid until then.
        key: Its key as DER SubjectPublicKeyInfo, where that is known already.
    """

    name: str | None
    authority: bool
    digest: str | None
    begins: datetime
    ends: datetime
    key: bytes = field(default=b"", compare=False)


def read(der: bytes) -> Leaf:
    """Read the certificate *der*.

    Raises:
        ValueError: It is none, or something in it cannot be read.
    """
    return _plain(der) or _odd(der)


def out_of_date(begins: datetime, ends: datetime, now: datetime) -> str | None:
    """Say what is wrong with the dates of a certificate at *now*; a day is allowed before it begins: clocks differ."""
    if now > ends:
        return f"has a certificate that expired at {ends:%Y-%m-%dT%H:%M:%SZ}"
    if now + timedelta(days=1) < begins:
        return f"has a certificate valid from {begins:%Y-%m-%dT%H:%M:%SZ}"
    return None


def public_key(der: bytes) -> object:
    """Return the public key of the certificate *der*, whatever it is.

    Raises:
        ValueError: It is no certificate, or its key cannot be read.
        UnsupportedAlgorithm: Its key is of a kind that nobody knows.
    """
    leaf = _plain(der)
    return keys.read(leaf.key) if leaf else load(der).public_key()


def load(der: bytes) -> "Certificate":
    """Return the certificate as the library reads it; raise :class:`ValueError` where it is none."""
    from cryptography.x509 import InvalidVersion, load_der_x509_certificate

    try:
        return load_der_x509_certificate(der)
    except InvalidVersion as exc:
        raise ValueError(str(exc)) from exc


def unreadable() -> tuple[type[Exception], ...]:
    """What the library raises where a certificate holds something odd. Some of it is no ValueError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509 import DuplicateExtension, UnsupportedGeneralNameType

    return ValueError, UnsupportedAlgorithm, DuplicateExtension, UnsupportedGeneralNameType


def _odd(der: bytes) -> Leaf:
    from cryptography.x509 import BasicConstraints, ExtensionNotFound
    from cryptography.x509.oid import NameOID

    try:
        certificate = load(der)
        try:
            authority = certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
        except ExtensionNotFound:
            authority = False
        names = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        algorithm = certificate.signature_hash_algorithm
        return Leaf(
            name=names[0] if len(names) == 1 and isinstance(names[0], str) else None,
            authority=authority,
            digest=algorithm.name if algorithm else None,
            begins=certificate.not_valid_before_utc,
            ends=certificate.not_valid_after_utc,
        )
    except unreadable() as exc:
        raise ValueError(str(exc)) from exc


def _plain(der: bytes) -> Leaf | None:
    """Read the certificate that notary and trustreg make; ``None`` where *der* is any other, or none at all."""
    if len(der) > _LONGEST:
        return None
    try:
        claim, _, signature = _parts(_parts(der)[0])
        _, serial, _, _, times, subject, key, _ = _parts(claim)
        begins, ends = map(_read_time, _parts(times))
        name = _parts(_parts(_parts(subject)[0])[0])[1].decode()
    except (ValueError, IndexError):
        return None
    key = keys.P256 + key[-64:]
    # The reading is proven by writing it again: it holds of nothing else.
    if der != _write(int.from_bytes(serial, "big"), name, begins, ends, key, signature[1:]) or not name:
        return None
    return Leaf(name=name, authority=False, digest="sha256", begins=begins, ends=ends, key=key)


def _write(serial: int, name: str, begins: datetime, ends: datetime, key: bytes, signature: bytes) -> bytes:
    """Return the certificate as notary and trustreg make it."""
    kind = _PRINTABLE_STRING if _PRINTABLE.fullmatch(name) else _UTF8_STRING
    attribute = _value(_SEQUENCE, _COMMON_NAME, _value(kind, name.encode()))
    named = _value(_SEQUENCE, _value(_SET, attribute))
    number = _value(_INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
    times = _value(_SEQUENCE, _write_time(begins), _write_time(ends))
    claim = _value(_SEQUENCE, _VERSION_3, number, _ECDSA_SHA256, named, times, named, key, _EXTENSIONS)
    return _value(_SEQUENCE, claim, _ECDSA_SHA256, _value(_BIT_STRING, b"\0", signature))


def _read_time(text: bytes) -> datetime:
    digits = text.decode("ascii")[:-1]
    if len(digits) == 12:  # a year of two digits lies between 1950 and 2049
        digits = ("20" if digits < "50" else "19") + digits
    year, month, day, hour, minute, second = map(int, (digits[:4], *(digits[i : i + 2] for i in range(4, 14, 2))))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _write_time(moment: datetime) -> bytes:
    kind, digits = (_UTC_TIME, f"{moment:%y}") if 1950 <= moment.year < 2050 else (_GENERALIZED_TIME, f"{moment:%Y}")
    return _value(kind, f"{digits}{moment:%m%d%H%M%SZ}".encode())


def _parts(content: bytes) -> list[bytes]:
    """Return the contents of the DER values that *content* consists of; whether it does shows later."""
    found = []
    while content:
        start = 2 + (content[1] & 3 if content[1] & 0x80 else 0)
        end = start + (int.from_bytes(content[2:start], "big") if start > 2 else content[1])
        found.append(content[start:end])
        content = content[end:]
    return found


def _value(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content).to_bytes(2, "big").lstrip(b"\0") or b"\0"
    long = bytes((0x80 | len(size),)) if len(content) > 0x7F else b""
    return bytes((tag,)) + long + size + content


_LONGEST = 2048  # bytes; a name has at most 255, stands there twice, and the rest takes 300
_INTEGER, _BIT_STRING, _UTF8_STRING, _PRINTABLE_STRING = 0x02, 0x03, 0x0C, 0x13
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE, _SET = 0x17, 0x18, 0x30, 0x31
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
_VERSION_3 = bytes.fromhex("a003020102")
_COMMON_NAME = bytes.fromhex("0603550403")
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_EXTENSIONS = bytes.fromhex(
    "a3353033"
    "300e0603551d0f0101ff0404030205a0"  # key usage: digital signature, key encipherment
    "30130603551d25040c300a06082b06010505070303"  # extended key usage: code signing
    "300c0603551d130101ff04023000"  # basic constraints: no CA
)
