"""Public keys as policies name them: a PEM file with one ed25519, ECDSA or RSA key, or what GPG exports.

What a plain key signs is the payload of simple signing in cosign's form, and what GPG keys do is the same in theirs.
"""

import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustreg.dialects import openpgp, simple
from trustreg.errors import KeyFileError
from trustreg.metadata import Key
from trustreg.policy import GpgKey, PlainKey
from trustreg.verify.keys import spell
from trustreg.verify.signatures import fingerprint, load


def read_pem(raw: bytes, name: str) -> PlainKey:
    """Read the one public key in PEM text *raw*, which a policy calls *name*.

    Raises:
        KeyFileError: There is none, or more than one, or it is of no use here.
    """
    if len(raw) > LARGEST:
        raise KeyFileError(name, f"it is longer than the {LARGEST} bytes that a public key may have")
    labels = [label.decode() for label in _BEGIN.findall(raw)]
    if raw.count(b"-----BEGIN ") != len(labels):  # who parses it may take that one
        raise KeyFileError(name, "a PEM block in it does not begin at the beginning of a line")
    if len(labels) != 1 or labels[0] not in {"PUBLIC KEY", "RSA PUBLIC KEY"}:
        found = " and ".join(f"a {label}" for label in labels[:3]) or "no PEM block"
        raise KeyFileError(name, f"it holds {found}, and one PUBLIC KEY is due")
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise KeyFileError(name, f"its public key is damaged or of no known kind: {exc}") from exc
    if isinstance(public, ed25519.Ed25519PublicKey):
        kind, spelled = "ed25519", public.public_bytes_raw()
    elif isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        kind, spelled = "ecdsa" if isinstance(public, ec.EllipticCurvePublicKey) else "rsa", spell(public)
    else:
        raise KeyFileError(name, "it is neither an ed25519, an ECDSA nor an RSA key")
    mark = fingerprint(public)
    key = Key(id=mark, kind=kind, public=spelled, scheme=simple.SCHEMES[kind])
    if load(key) is None:
        raise KeyFileError(name, f"its {kind} key of {public.key_size} bits is too weak, or too large")  # type: ignore[union-attr]
    return PlainKey(name=name, key=key, fingerprint=mark)


def read_gpg(raw: bytes, name: str) -> GpgKey:
    """Read the public GPG keys in *raw*, which a policy calls *name*.

    Raises:
        FormatError: There are none, or they are of no use here.
    """
    keys = openpgp.open_keys(raw)
    return GpgKey(
        name=name,
        raw=b"".join(key.raw for key in keys),
        fingerprints=tuple(key.fingerprint for key in keys),
        ids=tuple(keyid for key in keys for keyid in key.ids),
    )


LARGEST: Final = 64 << 10  # bytes; an RSA key of 16384 bits has 3000
_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t\r]*$", re.MULTILINE)
