"""The certificate that makes a key the root of one collection.

Notary root keys are listed as certificates, so that each says which collection it may sign for. The certificate is
assembled here rather than by ``cryptography``, which takes no name over 64 characters and signs only with keys in
memory: this way a key in an HSM certifies itself as well.

Source: RFC 5280 section 4.1; notary ``cryptoservice/certificate.go``; RFC 4055 for RSA-PSS.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trustreg.errors import KeyKindError
from trustreg.names import Gun
from trustreg.sign import der
from trustreg.sign.keyfile import key_id
from trustreg.sign.signer import Signer

LIFETIME: Final = timedelta(days=3650)  # as Go's


def root_certificate(signer: Signer, gun: Gun, now: datetime, serial: int) -> bytes:
    """Return a self-signed DER certificate that lets the key of *signer* be a root key of *gun* for ten years.

    Each field is as the Go client makes it; with RSA the signature is PSS, like every RSA signature of Notary.

    Args:
        signer: ECDSA or RSA; Notary has no ed25519 roots.
        gun: The subject, and issuer.
        now: Valid from then, to the second.
        serial: At random, 128 bits: two certificates of one key differ by it.

    Raises:
        KeyKindError: The key of *signer* cannot be a root key.
    """
    own = key_id(signer.kind, signer.public)
    if signer.kind not in _ALGORITHMS:
        raise KeyKindError(own, signer.kind, "a Notary root key has to be ECDSA or RSA")
    algorithm = _ALGORITHMS[signer.kind]
    name = _common_name(str(gun))
    claim = der.sequence(
        der.explicit(0, der.integer(2)),  # version 3
        der.integer(serial),
        algorithm,
        name,
        der.sequence(_time(now), _time(now + LIFETIME)),
        name,
        signer.public,
        der.explicit(3, _EXTENSIONS),
    )
    signature = signer.sign(claim, own).value
    if signer.kind == "ecdsa":
        half = len(signature) // 2
        signature = encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
    return der.sequence(claim, algorithm, der.bits(signature))


def _common_name(text: str) -> bytes:
    tag = der.PRINTABLE_STRING if _PRINTABLE.fullmatch(text) else der.UTF8_STRING
    attribute = der.sequence(der.oid("2.5.4.3"), der.value(tag, text.encode()))
    return der.sequence(der.value(der.SET, attribute))


def _time(moment: datetime) -> bytes:
    moment = moment.astimezone(UTC)
    if moment.year < 2050:  # RFC 5280 section 4.1.2.5
        return der.value(der.UTC_TIME, f"{moment:%y%m%d%H%M%SZ}".encode())
    return der.value(der.GENERALIZED_TIME, f"{moment:%Y%m%d%H%M%SZ}".encode())


def _extension(name: str, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(der.oid(name), der.TRUE if critical else b"", der.octets(value))


_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.NONE)
_MGF1 = der.sequence(der.oid("1.2.840.113549.1.1.8"), _SHA256)
_PSS = der.sequence(der.explicit(0, _SHA256), der.explicit(1, _MGF1), der.explicit(2, der.integer(32)))
_ALGORITHMS = {
    "ecdsa": der.sequence(der.oid("1.2.840.10045.4.3.2")),  # ecdsa-with-SHA256, whatever the curve
    "rsa": der.sequence(der.oid("1.2.840.113549.1.1.10"), _PSS),
}
_EXTENSIONS = der.sequence(
    _extension("2.5.29.15", der.bits(b"\xa0", unused=5), critical=True),  # digitalSignature, keyEncipherment
    _extension("2.5.29.37", der.sequence(der.oid("1.3.6.1.5.5.7.3.3"))),  # codeSigning
    _extension("2.5.29.19", der.sequence(), critical=True),  # no CA: a CA may not be a root key
)
