"""Keys as TUF 1.0 metadata lists them: the same on every machine, and they protect nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.formats import encode_canonical

from vectors.make.material import Private, private_key, pss

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key as metadata lists it: its ``id`` there, how it is ``spelled``, and what it takes to sign with it."""

    private: Private = field(repr=False)
    spelled: Json = field(repr=False)
    id: str
    how: Callable[[bytes], bytes] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the DER public key, whatever it is listed as."""
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def sign(self, payload: bytes) -> Json:
        """Return an entry of ``signatures``."""
        return {"keyid": self.id, "sig": self.how(payload).hex()}

    def known_as(self, keyid: str, **members: Any) -> "Key":
        """Return the same key under another id, perhaps with other members."""
        return replace(self, id=keyid, spelled=self.spelled | members)

    def spelled_as(self, **members: Any) -> "Key":
        """Return the same key with other members, under the id that these have."""
        spelled = self.spelled | members
        return replace(self, id=key_id(spelled), spelled=spelled)


def eddsa(label: str) -> Key:
    """Return the Ed25519 key called *label*."""
    private = private_key(label)
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise TypeError(label)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    return _key(private, "ed25519", "ed25519", public, private.sign)


def ecdsa(label: str, curve: str = "p256") -> Key:
    """Return the ECDSA key called *label*, on one of ``material.CURVES``."""
    private = private_key(label, curve)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError(label)
    algorithm = ec.ECDSA(DIGESTS.get(curve, hashes.SHA256()), deterministic_signing=True)
    scheme = f"ecdsa-sha2-nist{curve}" if curve in DIGESTS else f"ecdsa-sha2-{curve}"
    return _key(private, "ecdsa", scheme, pem(private), lambda payload: private.sign(payload, algorithm))


def rsa_pss(label: str, salt: int = 32, bits: int = 2048) -> Key:
    """Return the RSA key called *label*, which signs with PSS and a salt of so many bytes."""
    private = _rsa(label, bits)
    return _key(private, "rsa", "rsassa-pss-sha256", pem(private), lambda payload: pss(private, payload, salt))


def rsa_pkcs1(label: str, bits: int = 2048) -> Key:
    """Return the RSA key called *label*, which signs as PKCS #1 1.5 says."""
    private = _rsa(label, bits)
    filling = padding.PKCS1v15()
    return _key(
        private,
        "rsa",
        "rsa-pkcs1v15-sha256",
        pem(private),
        lambda payload: private.sign(payload, filling, hashes.SHA256()),
    )


def key_id(spelled: Json) -> str:
    """Return the id that the specification recommends for a key."""
    return hashlib.sha256(str(encode_canonical(spelled)).encode()).hexdigest()


def pem(private: Private) -> str:
    """Return the public key of *private* as PEM."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _rsa(label: str, bits: int) -> rsa.RSAPrivateKey:
    private = private_key(label, f"rsa{bits}")
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError(label)
    return private


def _key(private: Private, keytype: str, scheme: str, public: str, how: Callable[[bytes], bytes]) -> Key:
    spelled = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}}
    return Key(private, spelled, key_id(spelled), how)


DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    "p256": hashes.SHA256(),
    "p384": hashes.SHA384(),
    "p521": hashes.SHA512(),
}
