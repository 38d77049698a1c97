"""Private keys that sign.

A :class:`Signer` is all that authoring needs to know of a private key: what its public half is, and how to
get a signature out of it. :class:`LocalSigner` holds the key in memory; an HSM or a KMS looks the same.
"""

from typing import NamedTuple, Protocol, Self, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trustreg.errors import KeyKindError
from trustreg.metadata import Signature

PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Signer(Protocol):
    """Something that can sign with one private key."""

    @property
    def kind(self) -> str:
        """``ed25519``, ``ecdsa`` or ``rsa``."""

    @property
    def public(self) -> bytes:
        """The public key as :attr:`trustreg.metadata.Key.public` has it."""

    def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
        """Sign *payload* in the name of *keyid*.

        Args:
            payload: What to sign.
            keyid: The id that the key is listed under.
            scheme: One that ``verify.signatures`` knows. Without one, the signature names the one that Notary has for
                this kind of key.

        Raises:
            KeyKindError: A key of this kind does not sign like that.
        """


class LocalSigner:
    """Signs with a private key in memory."""

    def __init__(self, private: PrivateKey) -> None:
        self.private = private
        self.kind, self.public = describe(private.public_key())

    @classmethod
    def generate(cls, kind: str) -> Self:
        """Make a new key: ``ed25519``, ``ecdsa`` (P-256) or ``rsa`` (3072 bits)."""
        if kind == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        if kind == "ecdsa":
            return cls(ec.generate_private_key(ec.SECP256R1()))
        if kind == "rsa":
            return cls(rsa.generate_private_key(public_exponent=65537, key_size=3072))
        raise ValueError(kind)

    def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
        """Sign *payload* in the name of *keyid*; see :meth:`Signer.sign`."""
        way, private = find_scheme(self.private.public_key(), keyid, scheme), self.private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            value = private.sign(payload)
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            value = private.sign(payload, ec.ECDSA(way.digest))
            value = fixed_width(value, private.curve.key_size) if way.fixed_width else value
        else:
            value = private.sign(payload, way.padding, way.digest)
        return Signature(keyid=keyid, scheme=way.scheme, value=value)


class Way(NamedTuple):
    """How to sign: ``digest`` where there is a choice, ``padding`` for RSA, ECDSA as ``r || s`` or as DER."""

    scheme: str
    digest: hashes.HashAlgorithm = hashes.SHA256()
    fixed_width: bool = False
    padding: AsymmetricPadding = PKCS1v15()


def find_scheme(public: PublicKey, keyid: str, scheme: str = "") -> Way:
    """Return how *public* signs in *scheme*, or as Notary has it where there is none; raise :class:`KeyKindError`."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        kind, ways = "ed25519", [Way("ed25519")]
    elif isinstance(public, ec.EllipticCurvePublicKey):
        kind = f"ecdsa on {public.curve.name}"
        notary, cosign = Way("ecdsa-p1363-sha256", fixed_width=True), Way("ecdsa-der-sha256")
        ways = [notary, cosign, *_CURVES.get(public.curve.name, ())]
    else:
        kind = "rsa"
        ways = [Way("rsa-pss-sha256", padding=_pss(hashes.SHA256())), *_RSA]
    found = next((way for way in ways if scheme in {"", way.scheme}), None)
    if found is None:
        raise KeyKindError(keyid, kind, f"it cannot sign as {scheme[:40]}")
    return found


def describe(public: PublicKey) -> tuple[str, bytes]:
    """Return kind and bytes of *public* as :class:`trustreg.metadata.Key` has them."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind = "ecdsa" if isinstance(public, ec.EllipticCurvePublicKey) else "rsa"
    return kind, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def fixed_width(der: bytes, bits: int) -> bytes:
    """Turn a DER ECDSA signature into ``r || s``, each padded to the width of a curve of *bits*."""
    width = (bits + 7) // 8
    r, s = decode_dss_signature(der)
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def _pss(digest: hashes.HashAlgorithm) -> PSS:
    return PSS(MGF1(digest), salt_length=digest.digest_size)


_CURVES = {
    "secp256r1": [Way("ecdsa-sha2-nistp256")],
    "secp384r1": [Way("ecdsa-sha2-nistp384", hashes.SHA384())],
    "secp521r1": [Way("ecdsa-sha2-nistp521", hashes.SHA512())],
}
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_RSA = [
    *(Way(f"rsassa-pss-{name}", digest, padding=_pss(digest)) for name, digest in _DIGESTS.items()),
    *(Way(f"rsa-pkcs1v15-{name}", digest) for name, digest in _DIGESTS.items()),
]
