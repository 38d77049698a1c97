"""Who signed: the one function that makes a claim believed.

Keys are counted, never signatures or key ids: a key under two ids is one signer.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Generic, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trustreg.errors import ThresholdError
from trustreg.metadata import Envelope, Key, Role, Signed
from trustreg.values import dataclass, field
from trustreg.verify import certificates
from trustreg.verify.keys import PublicKey, read, spell

S = TypeVar("S", bound=Signed)
S_co = TypeVar("S_co", bound=Signed, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Verified(Generic[S_co]):
    """What enough of the right keys signed.

    ``keyids`` are the ids that vouched, ``fingerprints`` the keys behind them, ``raw`` the bytes as received.
    Only :func:`verify` makes one.
    """

    role: str
    signed: S_co
    raw: bytes = field(repr=False)
    keyids: tuple[str, ...]
    fingerprints: tuple[str, ...]


def verify(claim: Envelope[S], role: Role, keys: Mapping[str, Key], now: datetime | None = None) -> Verified[S]:
    """
    Require enough distinct keys to have signed *claim*.

    Args:
        claim: ``payload`` is the exact signed bytes; signatures are in the scheme that they name, or else their key.
        role: Ids that may sign, and the threshold, at least 1.
        keys: The delegator's keys by id; ids without a key do not count.
        now: Where it is given, a key does not count unless its certificate, if it has one, is valid then.

    Returns:
        ``claim.signed`` with the ids that vouched for it.

    Raises:
        ThresholdError: Fewer than ``role.threshold`` distinct keys signed.

    Source: TUF 1.0.34 sections 5.3.4, 5.4.2, 5.5.3, 5.6.3; notary ``tuf/signed/verify.go``, which counts ids.
    """
    vouched: dict[str, str] = {}  # fingerprint -> key id
    why: list[str] = []
    tried: set[str] = set()
    allowed = frozenset(role.keyids)
    for signature in claim.signatures:
        keyid = signature.keyid
        if keyid not in allowed or keyid in tried:
            continue
        tried.add(keyid)
        key = keys.get(keyid)
        public = load(key) if key else None
        if key is None or public is None:
            why.append(f"key {keyid[:12]} cannot be used")
        elif (mark := fingerprint(public)) in vouched:
            why.append(f"key {keyid[:12]} is key {vouched[mark][:12]} under another id")
        elif now and (late := _out_of_date(key, now)):
            why.append(f"key {keyid[:12]} {late}")
        elif not _holds(public, key.scheme or signature.scheme, signature.value, claim.payload):
            why.append(f"the signature by {keyid[:12]} does not hold")
        else:
            vouched[mark] = keyid
    if len(vouched) < max(role.threshold, 1):
        unasked = {s.keyid[:12] for s in claim.signatures if s.keyid not in allowed}
        why += [f"key {keyid} has no say here" for keyid in sorted(unasked)[:8]]
        raise ThresholdError(role.name, role.threshold, len(vouched), tuple(why))
    return Verified(
        role=claim.role,
        signed=claim.signed,
        raw=claim.raw,
        keyids=tuple(vouched.values()),
        fingerprints=tuple(vouched),
    )


def holds(key: Key, value: bytes, payload: bytes) -> bool:
    """Say whether *value* is a signature of *payload* by *key*, in the scheme of that.

    For signatures that stand beside what they sign, one by one. Metadata goes through :func:`verify`.
    """
    public = load(key)
    return public is not None and _holds(public, key.scheme, value, payload)


@lru_cache(maxsize=1024)
def load(key: Key) -> PublicKey | None:
    """Return the public key to verify with, or ``None`` where it is none that may vouch for anything."""
    if not key.sound:
        return None
    try:
        public = _read(key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(public, rsa.RSAPublicKey):
        return public if key.kind == "rsa" and 2048 <= public.key_size <= 16_384 else None
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public if key.kind == "ecdsa" and public.curve.name in _CURVES else None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public if key.kind == "ed25519" else None
    return None


def fingerprint(public: PublicKey) -> str:
    """Return the sha256, in hex, of the one DER spelling of *public*: the same for the same key, however listed."""
    return hashlib.sha256(spell(public)).hexdigest()


def _read(key: Key) -> object:
    if key.certificates:
        return certificates.public_key(key.certificates[0])
    if key.kind == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(key.public)
    return read(key.public)


def _out_of_date(key: Key, now: datetime) -> str | None:
    if not key.certificates:
        return None
    try:
        leaf = certificates.read(key.certificates[0])
    except ValueError:
        return "has a certificate that cannot be read"
    return certificates.out_of_date(leaf.begins, leaf.ends, now)


def _holds(public: PublicKey, scheme: str, value: bytes, payload: bytes) -> bool:
    """Say whether *value* is a signature in *scheme* by *public*, a key of the kind that the scheme is for."""
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            if scheme != "ed25519":
                return False
            public.verify(value, payload)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            curve, digest = _ECDSA.get(scheme, ("", None))
            if digest is None or curve not in {"", public.curve.name}:
                return False
            public.verify(_der(public, value) if scheme == _FIXED_WIDTH else value, payload, ec.ECDSA(digest))
        else:
            padded = _RSA.get(scheme)
            if padded is None:
                return False
            public.verify(value, payload, *padded)
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(public: ec.EllipticCurvePublicKey, value: bytes) -> bytes:
    """Return ``r || s`` as DER; raise :class:`ValueError` where *value* is not as long as that is."""
    width = (public.curve.key_size + 7) // 8
    if len(value) != 2 * width:
        raise ValueError(len(value))
    return encode_dss_signature(int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big"))


def _pss(digest: hashes.HashAlgorithm, salt: int | None = None) -> padding.PSS:
    """Return the padding with so long a salt; any will do where none is given."""
    return padding.PSS(padding.MGF1(digest), padding.PSS.AUTO if salt is None else salt)


_CURVES = frozenset({"secp224r1", "secp256r1", "secp384r1", "secp521r1"})
_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
_FIXED_WIDTH = "ecdsa-p1363-sha256"
_ECDSA: dict[str, tuple[str, hashes.HashAlgorithm | None]] = {  # the one curve it is for, if it is for one
    _FIXED_WIDTH: ("", _SHA256),  # Notary: r || s, on any curve
    "ecdsa-der-sha256": ("", _SHA256),  # cosign: DER, on any curve
    "ecdsa-sha2-nistp256": ("secp256r1", _SHA256),  # TUF and securesystemslib: DER
    "ecdsa-sha2-nistp384": ("secp384r1", _SHA384),
    "ecdsa-sha2-nistp521": ("secp521r1", _SHA512),
}
_RSA: dict[str, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = {
    "rsa-pss-sha256": (_pss(_SHA256, 32), _SHA256),  # Notary: a salt as long as the digest, no other
    "rsassa-pss-sha256": (_pss(_SHA256), _SHA256),
    "rsassa-pss-sha384": (_pss(_SHA384), _SHA384),
    "rsassa-pss-sha512": (_pss(_SHA512), _SHA512),
    "rsa-pkcs1v15-sha256": (padding.PKCS1v15(), _SHA256),
    "rsa-pkcs1v15-sha384": (padding.PKCS1v15(), _SHA384),
    "rsa-pkcs1v15-sha512": (padding.PKCS1v15(), _SHA512),
}
