"""Private keys and certificates that are the same on every machine. They protect nothing.

Every key grows from its label. Ed25519, ECDSA as RFC 6979 has it and RSA with a fixed salt make the same signature
each time; certificates have fixed serials and dates.
"""

import hashlib
import re
import warnings
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from securesystemslib.formats import encode_canonical

Private: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "p224": ec.SECP224R1,
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}


@lru_cache
def private_key(label: str, kind: str = "ed25519") -> Private:
    """Return the key called *label*: ``ed25519``, a curve of :data:`CURVES`, or ``rsa`` and its bits."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(_stream(label, 32))
    if kind in CURVES:
        return ec.derive_private_key(int.from_bytes(_stream(label, 27), "big"), CURVES[kind]())
    bits = int(kind.removeprefix("rsa"))
    p, q = _prime(f"{label} p", bits // 2), _prime(f"{label} q", bits // 2)
    return rsa.RSAPrivateNumbers(
        p=max(p, q),
        q=min(p, q),
        d=(d := pow(65537, -1, (p - 1) * (q - 1))),
        dmp1=d % (max(p, q) - 1),
        dmq1=d % (min(p, q) - 1),
        iqmp=pow(min(p, q), -1, max(p, q)),
        public_numbers=rsa.RSAPublicNumbers(65537, p * q),
    ).private_key()


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as metadata lists it: ``id``, ``spelled`` and what it takes to sign with it.

    ``id`` is what its signatures and roles call it, which a scenario may have changed for the worse.
    """

    private: Private = field(repr=False)
    spelled: dict[str, Any] = field(repr=False)
    id: str
    method: str

    @property
    def fingerprint(self) -> str:
        """The sha256 of the DER public key, whatever it is listed as."""
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def sign(self, payload: bytes) -> dict[str, str]:
        """Return an entry of ``signatures``."""
        return {"keyid": self.id, "method": self.method, "sig": base64(signature(self.private, self.method, payload))}


def raw(label: str, kind: str = "ed25519", method: str | None = None) -> Listed:
    """List the key called *label* by itself, under its Notary id."""
    private = private_key(label, kind)
    public = private.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return listed(private, "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw), method)
    keytype = "rsa" if isinstance(public, rsa.RSAPublicKey) else "ecdsa"
    return listed(private, keytype, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), method)


def certified(private: Private, *chain: x509.Certificate, method: str | None = None) -> Listed:
    """List a key by its certificate and those above it, under its Notary id."""
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    return listed(private, "rsa-x509" if isinstance(private, rsa.RSAPrivateKey) else "ecdsa-x509", pem, method)


def listed(private: Private, keytype: str, public: bytes, method: str | None = None) -> Listed:
    """List *public*, which may be anything, as a *keytype*, under its Notary id."""
    spelled = {"keytype": keytype, "keyval": {"private": None, "public": base64(public)}}
    usual = {"ecdsa": "ecdsa", "ecdsa-x509": "ecdsa", "rsa": "rsapss", "rsa-x509": "rsapss"}.get(keytype, "eddsa")
    keyid = hashlib.sha256(str(encode_canonical(spelled)).encode()).hexdigest()
    return Listed(private, spelled, keyid, method or usual)


def certificate(
    private: Private,
    name: str | None,
    *,
    issuer: tuple[Private, x509.Certificate] | None = None,
    ca: bool | None = False,
    path_length: int | None = None,
    key_cert_sign: bool | None = None,
    not_before: datetime = datetime(2025, 1, 1, tzinfo=UTC),
    not_after: datetime = datetime(2035, 1, 1, tzinfo=UTC),
    more: x509.ExtensionType | None = None,
) -> x509.Certificate:
    """Return a certificate such as Notary makes: for *name*, of no CA, self-signed unless there is an *issuer*."""
    subject = x509.Name([_common_name(name)] if name is not None else [])
    serial = int.from_bytes(_stream(f"serial {name} {not_before}", 16), "big") >> 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_key_usage(key_cert_sign=bool(ca) if key_cert_sign is None else key_cert_sign), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if more:
        builder = builder.add_extension(more, critical=False)
    by = issuer[0] if issuer else private
    if isinstance(by, ed25519.Ed25519PrivateKey):
        return builder.sign(by, None)
    if isinstance(by, rsa.RSAPrivateKey):
        return builder.sign(by, hashes.SHA256())
    return builder.sign(by, hashes.SHA256(), ecdsa_deterministic=True)


def altered(original: x509.Certificate, old: bytes, new: bytes) -> bytes:
    """Return the DER of *original* with every *old* made a *new* of the same length. Its own signature is lost."""
    der = original.public_bytes(Encoding.DER)
    if old not in der or len(old) != len(new):
        raise ValueError(old)
    return der.replace(old, new)


def pem(der: bytes) -> bytes:
    """Return *der* as the PEM of a certificate, as Go writes it."""
    text = base64(der)
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


def signature(private: Private, method: str, payload: bytes) -> bytes:
    """Return the one signature that *private* makes of *payload*."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(payload)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        der = private.sign(payload, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        width = (private.curve.key_size + 7) // 8
        return b"".join(number.to_bytes(width, "big") for number in decode_dss_signature(der))
    if method == "rsapkcs1v15":
        return private.sign(payload, padding.PKCS1v15(), hashes.SHA256())
    return pss(private, payload)


def pss(private: rsa.RSAPrivateKey, payload: bytes, size: int = 32) -> bytes:
    """Sign as RFC 8017 section 9.1.1 says, with SHA-256 and a salt of *size* bytes that is always the same."""
    numbers = private.private_numbers()
    modulus = numbers.public_numbers.n
    width = (modulus.bit_length() + 7) // 8
    salt = _stream("salt", size)
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(payload).digest() + salt).digest()
    block = b"\x01" + salt
    block = block.rjust(width - 33, b"\x00")
    mask = b"".join(hashlib.sha256(digest + at.to_bytes(4, "big")).digest() for at in range(width // 32 + 1))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=False))
    masked[0] &= 0x7F
    message = int.from_bytes(bytes(masked) + digest + b"\xbc", "big")
    return pow(message, numbers.d, modulus).to_bytes(width, "big")


def as_der(value: bytes) -> bytes:
    """Return the ECDSA signature ``r || s`` as DER has it."""
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))


def base64(data: bytes) -> str:
    """Return *data* in standard base64."""
    return b64encode(data).decode("ascii")


def _common_name(name: str) -> x509.NameAttribute[str]:
    """Return *name* in the type that Go gives it: printable where that will do."""
    kind = _ASN1Type.PrintableString if re.fullmatch(r"[A-Za-z0-9 '()+,./:=?-]*", name) else _ASN1Type.UTF8String
    with warnings.catch_warnings(action="ignore"):  # of names longer than 64, which Go allows
        return x509.NameAttribute(NameOID.COMMON_NAME, name, kind, _validate=False)


def _key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _stream(label: str, size: int) -> bytes:
    return hashlib.shake_256(f"trustreg vectors: {label}".encode()).digest(size)


def _prime(label: str, bits: int) -> int:
    """Return the first prime after a number that grows from *label*, with both highest bits set."""
    number = int.from_bytes(_stream(label, bits // 8), "big") | 3 << bits - 2 | 1
    while any(number % small == 0 for small in _SMALL) or not _probably_prime(number) or number % 65537 == 1:
        number += 2
    return number


def _probably_prime(number: int) -> bool:
    """Miller and Rabin's test with fixed bases; plenty for numbers nobody chose."""
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    for base in _SMALL[:12]:
        power = pow(base, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


_SMALL = tuple(n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1)))
