"""A key that lives elsewhere signs like one that is here, and what it signs is checked before it is used."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from securesystemslib import signer as theirs

from trustreg.dialects.simple import SCHEMES
from trustreg.errors import KeyKindError, PassphraseError, SettingError, SignerError, TrustregError
from trustreg.io.uri import UriSigner
from trustreg.metadata import Envelope, Key, Role, Signature, Signed
from trustreg.sign.keyfile import key_id
from trustreg.sign.signer import PrivateKey
from trustreg.verify.signatures import holds, verify
from vectors.make import keys as maker

PAYLOAD = b'{"_type":"Targets"}'


def unasked(name: str) -> str:
    """Fail, because no secret was to be asked for."""
    raise AssertionError(name)


@pytest.fixture
def fake() -> Iterator[Callable[[Callable[[bytes], bytes | str]], None]]:
    """Teach securesystemslib the scheme ``fake:``, with a function that signs."""
    table: dict[str, Any] = theirs.SIGNER_FOR_URI_SCHEME  # type: ignore[attr-defined]

    def install(sign: Callable[[bytes], bytes | str]) -> None:
        class Fake:
            @classmethod
            def from_priv_key_uri(cls, uri: str, key: object, secrets: Callable[[str], str]) -> "Fake":
                del uri, key
                cls.ask = staticmethod(secrets)  # type: ignore[attr-defined]
                return cls()

            def sign(self, payload: bytes) -> Any:
                value = sign(payload)
                return theirs.Signature("id", value if isinstance(value, str) else value.hex())  # type: ignore[attr-defined]

        table["fake"] = Fake

    yield install
    table.pop("fake", None)


@pytest.mark.parametrize("private", [maker.ED25519, maker.P256, maker.RSA], ids=["ed25519", "ecdsa", "rsa"])
def test_a_file_of_another_program_signs(tmp_path: Path, private: PrivateKey) -> None:
    """
    What it signs is what our own verifier accepts, in the spelling of trust metadata.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))

    signer = UriSigner(f"file2:{tmp_path / 'key.pem'}", private.public_key(), unasked)

    _require_valid(signer, signer.sign(PAYLOAD, "id"))


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("file2:/no/such/file", "the signer file2:/no/such/file failed: FileNotFoundError: "),
        ("no-such-scheme:1", "signer URI no-such-scheme:1: its scheme is none of awskms:, "),
        ("", "signer URI : its scheme is none of"),
    ],
)
def test_a_uri_that_leads_nowhere(uri: str, error: str) -> None:
    """
    One sentence, when the signer is made.
    """
    with pytest.raises((SignerError, SettingError)) as caught:
        UriSigner(uri, maker.P256.public_key(), unasked)

    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_of_another_key(tmp_path: Path) -> None:
    """
    The public key is what counts.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(maker.P521)))

    with pytest.raises(SignerError):
        UriSigner(f"file2:{tmp_path / 'key.pem'}", maker.P256.public_key(), unasked)


@pytest.mark.parametrize("private", [maker.P384, maker.P521], ids=["P-384", "P-521"])
def test_longer_curves_do_not_sign_for_notary(private: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    """
    Their signers hash with SHA-384 or SHA-512. TUF verifies that, and Notary verifies over SHA-256.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
    signer = UriSigner(f"file2:{tmp_path / 'key.pem'}", private.public_key(), unasked)

    assert f"ecdsa-sha2-nistp{private.curve.key_size}" == signer.sign(b"payload", "id", signer.scheme).scheme
    with pytest.raises(KeyKindError, match="does not sign as ecdsa-p1363-sha256"):
        signer.sign(b"payload", "id")


@pytest.mark.parametrize("private", [maker.ED25519, maker.P256, maker.RSA], ids=["ed25519", "ecdsa", "rsa"])
def test_images_are_signed_as_cosign_has_it(private: PrivateKey, tmp_path: Path) -> None:
    """
    Which for RSA keys has to be said when the signer is made.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
    uri, public = f"file2:{tmp_path / 'key.pem'}", private.public_key()
    signer = UriSigner(uri, public, unasked, SCHEMES["rsa"])
    key = Key(id="id", kind=signer.kind, public=signer.public, scheme=SCHEMES[signer.kind])

    assert holds(key, signer.sign(PAYLOAD, "id", key.scheme).value, PAYLOAD)
    if signer.kind == "rsa":
        with pytest.raises(KeyKindError, match="does not sign as rsa-pkcs1v15-sha256"):
            UriSigner(uri, public, unasked).sign(PAYLOAD, "id", key.scheme)


@pytest.mark.parametrize("private", [maker.P384, maker.P521], ids=["P-384", "P-521"])
def test_longer_curves_elsewhere_do_not_sign_images(private: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    """
    Those who verify do so over SHA-256, whatever the curve.
    """
    (tmp_path / "key.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
    signer = UriSigner(f"file2:{tmp_path / 'key.pem'}", private.public_key(), unasked)

    with pytest.raises(KeyKindError, match="does not sign as ecdsa-der-sha256"):
        signer.sign(PAYLOAD, "id", SCHEMES["ecdsa"])


# --- signers that do not do as they should ------------------------------------------------------------


@pytest.mark.parametrize(
    "sign",
    [
        lambda _: b"",
        lambda _: b"\0" * 64,
        lambda payload: maker.P384.sign(payload, ec.ECDSA(hashes.SHA256())),
        lambda payload: maker.P256.sign(payload + b" ", ec.ECDSA(hashes.SHA256())),
        lambda payload: maker.P256.sign(payload, ec.ECDSA(hashes.SHA384())),
    ],
    ids=["empty", "zeros", "other key", "other payload", "other hash"],
)
def test_a_wrong_signature_goes_no_further(fake: Callable[..., None], sign: Callable[[bytes], bytes]) -> None:
    """
    Whatever comes back is verified with the public key that the signer was set up with.
    """
    fake(sign)
    signer = UriSigner("fake:1", maker.P256.public_key(), unasked)

    with pytest.raises(SignerError, match="the signer fake:1 failed: what it signed does not verify"):
        signer.sign(PAYLOAD, "id")


@pytest.mark.parametrize("salt", [0, 20, 64])
def test_pss_has_one_length_of_salt(fake: Callable[..., None], salt: int) -> None:
    """
    Notary accepts 32 bytes and nothing else.
    """
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=salt)
    fake(lambda payload: maker.RSA.sign(payload, pss, hashes.SHA256()))

    with pytest.raises(SignerError):
        UriSigner("fake:1", maker.RSA.public_key(), unasked).sign(PAYLOAD, "id")


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (OSError("no\nroute"), "the signer fake:1 failed: OSError: no route"),
        (KeyError(), "the signer fake:1 failed: KeyError"),
        (type("PinLocked", (Exception,), {})(), "key fake:1: the PIN was not accepted (PinLocked)"),
        (
            PassphraseError("fake:1", "there is nobody to ask for its pin"),
            "key fake:1: there is nobody to ask for its pin",
        ),
    ],
    ids=["network", "bug", "locked", "nobody"],
)
def test_a_signer_may_raise_anything(fake: Callable[..., None], exc: Exception, error: str) -> None:
    """
    What comes out is ours, in one sentence.
    """

    def fail(_: bytes) -> bytes:
        raise exc

    fake(fail)

    with pytest.raises(TrustregError) as caught:
        UriSigner("fake:1", maker.P256.public_key(), unasked).sign(PAYLOAD, "id")

    assert str(caught.value) == error


def test_a_signature_that_is_no_hex(fake: Callable[..., None]) -> None:
    """
    It is the signer that failed.
    """
    fake(lambda _: "no hex")

    with pytest.raises(SignerError):
        UriSigner("fake:1", maker.P256.public_key(), unasked).sign(PAYLOAD, "id")


def _require_valid(signer: UriSigner, signature: Signature) -> None:
    claim = Envelope(
        role="targets",
        signed=Signed(version=1, expires=datetime(2030, 1, 1, tzinfo=UTC)),
        payload=PAYLOAD,
        signatures=(signature,),
        raw=b"",
    )
    key = Key(id="id", kind=signer.kind, public=signer.public)
    assert key_id(key.kind, key.public)
    assert verify(claim, Role(name="targets", keyids=("id",)), {"id": key}).keyids == ("id",)
