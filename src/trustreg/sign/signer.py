"""Private keys that sign.

A :class:`Signer` is all that authoring needs to know of a private key: what its public half is, and how to
get a signature out of it. :class:`LocalSigner` holds the key in memory; an HSM or a KMS looks the same.
"""

from typing import Protocol, Self, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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

    def sign(self, payload: bytes, keyid: str) -> Signature:
        """Sign *payload* in the name of *keyid*; ECDSA signatures are ``r || s``."""


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

    def sign(self, payload: bytes, keyid: str) -> Signature:
        """Sign *payload* in the name of *keyid*."""
        private = self.private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return Signature(keyid=keyid, scheme="ed25519", value=private.sign(payload))
        if isinstance(private, ec.EllipticCurvePrivateKey):
            der = private.sign(payload, ec.ECDSA(hashes.SHA256()))
            return Signature(keyid=keyid, scheme="ecdsa-p1363-sha256", value=fixed_width(der, private.curve.key_size))
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return Signature(keyid=keyid, scheme="rsa-pss-sha256", value=private.sign(payload, pss, hashes.SHA256()))


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
