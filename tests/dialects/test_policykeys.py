"""Public keys of policies: one per file, of a kind that can vouch, and the same whatever they are called."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from trustreg.dialects.policykeys import LARGEST, read_pem
from trustreg.errors import KeyFileError
from trustreg.verify.signatures import fingerprint, load


def pem(private: object, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    """Return the public half of *private* as PEM."""
    return private.public_key().public_bytes(Encoding.PEM, form)  # type: ignore[attr-defined,no-any-return]


ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("private", "kind", "scheme"),
    [
        (ED25519, "ed25519", "ed25519"),
        (P256, "ecdsa", "ecdsa-der-sha256"),
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa", "ecdsa-der-sha256"),
        (RSA, "rsa", "rsa-pkcs1v15-sha256"),
    ],
    ids=["ed25519", "p256", "p384", "rsa"],
)
def test_a_key_is_read(private: object, kind: str, scheme: str) -> None:
    """
    It can be loaded, in the scheme of its kind, and is called by its fingerprint.
    """
    key = read_pem(b"some text\n" + pem(private), "keys/ci.pub")

    public = load(key.key)
    assert public is not None
    assert ("keys/ci.pub", kind, scheme) == (key.name, key.key.kind, key.key.scheme)
    assert fingerprint(public) == key.fingerprint == key.key.id


def test_a_key_is_the_same_however_it_is_spelled() -> None:
    """
    PKCS#1 or not, with Windows line ends or not.
    """
    spelled = [pem(RSA), pem(RSA, PublicFormat.PKCS1), pem(RSA).replace(b"\n", b"\r\n")]

    assert 1 == len({read_pem(raw, "a").fingerprint for raw in spelled})


PRIVATE = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "no PEM block"),
        (b"\xff\x00 rubbish", "no PEM block"),
        (pem(ED25519) + pem(P256), "a PUBLIC KEY and a PUBLIC KEY, and one PUBLIC KEY is due"),
        (b"x " + pem(ED25519) + pem(P256), "at the beginning of a line"),
        (pem(ED25519).replace(b"\n", b"\r") + b"\n" + pem(P256), "at the beginning of a line"),
        (b" " + pem(ED25519).replace(b"\n", b"\n ") + b"\n" + pem(P256), "at the beginning of a line"),
        (PRIVATE, "a PRIVATE KEY, and one PUBLIC KEY is due"),
        (pem(ED25519).replace(b"MC", b"MD"), "damaged"),
        (pem(ED25519).replace(b"-----END", b"----END"), "damaged"),
        (pem(ed448.Ed448PrivateKey.generate()), "neither"),
        (pem(dsa.generate_private_key(2048)), "neither"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "of 256 bits is too weak"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "of 1024 bits is too weak"),  # noqa: S505
        (pem(ED25519) + b" " * LARGEST, "longer than"),
    ],
)
def test_anything_else_is_refused(raw: bytes, problem: str) -> None:
    """
    With what is wrong, and without what is in the file.
    """
    with pytest.raises(KeyFileError, match=problem) as refused:
        read_pem(raw, "keys/ci.pub")

    assert "keys/ci.pub" == refused.value.source
