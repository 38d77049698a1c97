"""Reading the certificate that everybody makes, and reading any certificate, come to the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from warnings import catch_warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trustreg.errors import NameFormError
from trustreg.names import Gun
from trustreg.sign import der
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner
from trustreg.verify import certificates, keys

SIGNER = LocalSigner(ec.derive_private_key(7, ec.SECP256R1()))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAIN = root_certificate(SIGNER, Gun("registry.example/app"), NOW, serial=2**100 + 1)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TIMES = st.integers(-2_200_000_000, 5_600_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="*\\%?# ", exclude_categories=["C", "Z"]), min_size=1)


def library(raw: bytes) -> Any:
    """Return what the library makes of a certificate, or None."""
    try:
        with catch_warnings(action="ignore"):  # of names that are longer than some like them
            return certificates._odd(raw)
    except ValueError:
        return None


def key_by_library(raw: bytes) -> Any:
    """Return the key the library finds in a certificate, or the kind of its complaint."""
    try:
        return certificates.load(raw).public_key()
    except Exception as exc:  # noqa: BLE001 # whatever it is
        return type(exc)


def agree(raw: bytes) -> bool:
    """Require that both readings agree, and say whether the quick one read anything."""
    quick = certificates._plain(raw)
    if quick is None:
        return False
    assert quick == library(raw)
    try:
        key: Any = certificates.public_key(raw)
    except ValueError:
        assert key_by_library(raw) is ValueError
    else:
        assert key == key_by_library(raw)
    return True


@given(name=NAMES.filter(lambda text: len(text.encode()) < 200), now=TIMES, serial=st.integers(1, 2**160))
@example(name="app", now=datetime(2039, 12, 31, 23, 59, 59, tzinfo=UTC), serial=1)
@example(name="app", now=datetime(2050, 1, 1, tzinfo=UTC), serial=128)
def test_what_we_make_is_read_quickly_and_right(name: str, now: datetime, serial: int) -> None:
    """
    Whatever the name, the time and the number: no library is needed, and one would say the same.
    """
    try:
        gun = Gun(f"registry.example/{name}")
    except NameFormError:
        return

    assert agree(root_certificate(SIGNER, gun, now, serial))


@given(at=st.integers(0, len(PLAIN) - 1), value=st.integers(0, 255), cut=st.integers(0, 3), more=st.binary(max_size=3))
@settings(max_examples=500)
def test_a_damaged_one_is_read_alike_or_not_at_all(at: int, value: int, cut: int, more: bytes) -> None:
    """
    A byte replaced, some taken out, some put in.
    """
    agree(PLAIN[:at] + bytes((value,)) + more + PLAIN[at + 1 + cut :])


def test_no_single_byte_makes_a_difference() -> None:
    """
    Each byte of a certificate, with each value in turn of those that mean something to DER.
    """
    meaningful = {*range(0x20), 0x30, 0x31, 0x7F, 0x80, 0x81, 0x82, 0x83, 0x84, 0xA0, 0xA3, 0xFF}
    read = [agree(PLAIN[:at] + bytes((value,)) + PLAIN[at + 1 :]) for at in range(len(PLAIN)) for value in meaningful]

    assert 0.1 < sum(read) / len(read) < 0.9


VALUES = {
    "serial": st.binary(max_size=22),
    "common name": st.one_of(st.binary(max_size=6), st.sampled_from([b"", b"a", b"a*", "ü".encode(), b"\xff", b"a@b"])),
    "kind of name": st.sampled_from([0x0C, 0x13, 0x14, 0x16, 0x1E]),
    "begins": st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [b"260501000000Z", b"20260501000000Z", b"20500101000000Z", b"2605010000Z", b"260501000000+0000"]
        ),
        st.from_regex(rb"\A[0-9]{12}([0-9]{2})?Z\Z"),
    ),
    "kind of time": st.sampled_from([0x17, 0x18]),
    "key": st.one_of(
        st.just(SIGNER.public),
        st.binary(min_size=64, max_size=64).map(keys.P256.__add__),
        st.just(SIGNER.public[:-64] + b"\0" * 64),
    ),
    "algorithm": st.sampled_from(["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.1"]),
    "version": st.sampled_from([0, 1, 2, 3]),
    "unused bits": st.sampled_from([0, 0, 0, 1, 8]),
    "no ca": st.sampled_from([b"\x30\x00", b"\x30\x03\x01\x01\x00", b"\x30\x03\x01\x01\xff", b"\x30\x03\x02\x01\x00"]),
}


@given(found=st.fixed_dictionaries({}, optional=VALUES))
@settings(max_examples=500)
def test_one_assembled_from_odd_parts_is_read_alike_or_not_at_all(found: dict[str, Any]) -> None:
    """
    Everything is in its place and well wrapped, and some of it is not what it should be.
    """
    agree(assembled(found))


def assembled(found: dict[str, Any]) -> bytes:
    """Return the usual certificate with *found* in it."""
    algorithm = der.sequence(der.oid(found.get("algorithm", "1.2.840.10045.4.3.2")))
    kind, text = found.get("kind of name", 0x0C), found.get("common name", b"registry.example/app")
    attribute = der.sequence(der.oid("2.5.4.3"), der.value(kind, text))
    name = der.sequence(der.value(der.SET, attribute))
    begins = der.value(found.get("kind of time", 0x17), found.get("begins", b"260501000000Z"))
    extensions = (
        der.sequence(der.oid("2.5.29.15"), der.TRUE, der.octets(der.bits(b"\xa0", unused=5))),
        der.sequence(der.oid("2.5.29.37"), der.octets(der.sequence(der.oid("1.3.6.1.5.5.7.3.3")))),
        der.sequence(der.oid("2.5.29.19"), der.TRUE, der.octets(found.get("no ca", b"\x30\x00"))),
    )
    claim = der.sequence(
        der.explicit(0, der.integer(found.get("version", 2))),
        der.value(der.INTEGER, found.get("serial", b"\x01")),
        algorithm,
        name,
        der.sequence(begins, der.value(0x17, b"360501000000Z")),
        name,
        found.get("key", SIGNER.public),
        der.explicit(3, der.sequence(*extensions)),
    )
    return der.sequence(claim, algorithm, der.bits(b"signature", unused=found.get("unused bits", 0)))


def test_the_usual_certificate_is_assembled() -> None:
    """
    The test before this one begins with a certificate that is read quickly.
    """
    assert agree(assembled({"kind of name": 0x13}))
    assert agree(assembled({"kind of name": 0x0C, "common name": "ü".encode()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda builder: builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a")]), critical=False),
        lambda builder: builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        lambda builder: builder,
    ],
    ids=["another extension", "a CA", "nothing special"],
)
def test_others_are_left_to_the_library(change: Any) -> None:
    """
    What is made otherwise is not read quickly, and read all the same.
    """
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry.example/app")])
    builder = x509.CertificateBuilder(name, name, SIGNER.private.public_key(), 7)
    builder = change(builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)))
    built = builder.sign(SIGNER.private, hashes.SHA256())
    raw = built.public_bytes(Encoding.DER)

    assert certificates._plain(raw) is None
    assert certificates.read(raw).ends == NOW + timedelta(days=1)
    assert certificates.public_key(raw) == built.public_key()


KINDS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "rsa": RSA,
    **{curve.name: ec.derive_private_key(5, curve) for curve in (ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1())},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_spelled_as_the_library_does(kind: str) -> None:
    """
    Fingerprints that were remembered stay what they are.
    """
    public = KINDS[kind].public_key()

    assert keys.spell(public) == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keys.read(keys.spell(public)) == public


@given(at=st.integers(0, 90), value=st.integers(0, 255), cut=st.integers(0, 2), more=st.binary(max_size=2))
@settings(max_examples=500)
def test_a_damaged_key_is_read_as_the_library_does(at: int, value: int, cut: int, more: bytes) -> None:
    """
    Also where the point is on no curve.
    """
    raw = SIGNER.public[:at] + bytes((value,)) + more + SIGNER.public[at + 1 + cut :]

    assert outcome(keys.read, raw) == outcome(load_der_public_key, raw)


def outcome(read: Any, raw: bytes) -> Any:
    """Return what *read* makes of *raw*, or the kind of its complaint."""
    try:
        return read(raw)
    except Exception as exc:  # noqa: BLE001 # whatever it is
        return type(exc)
