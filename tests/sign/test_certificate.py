"""A root certificate is what the Go client would have made of the same key, name, time and serial number."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustreg.errors import KeyKindError
from trustreg.names import Gun
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner, describe
from vectors.make import keys as maker

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length")  # cryptography, of any name over 64 characters

NOW = datetime(2026, 11, 24, 6, 8, 49, 123, tzinfo=UTC)
SIGNERS = [LocalSigner(private) for private in (maker.P256, maker.P384, maker.P521, maker.RSA)]


def test_it_is_that_of_go() -> None:
    """
    Every signed byte but the key's is that of a certificate recorded from notary 0.7.0, with a name of 99 characters.
    """
    recorded = x509.load_pem_x509_certificate(maker._recorded("notary-certificate"))
    name = recorded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert isinstance(name, str)
    assert len(name) == 99
    public = recorded.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)

    made = x509.load_der_x509_certificate(
        root_certificate(SIGNERS[0], Gun(name), recorded.not_valid_before_utc, recorded.serial_number)
    )

    ours, theirs = SIGNERS[0].public, describe(public)[1]
    assert recorded.tbs_certificate_bytes == made.tbs_certificate_bytes.replace(ours, theirs)


@pytest.mark.parametrize("signer", SIGNERS, ids=["P-256", "P-384", "P-521", "RSA"])
@pytest.mark.parametrize("gun", ["docker.io/library/alpine", "localhost:5000/a_b/" + "x" * 200, "example.com/é&@"])
def test_it_says_what_a_root_certificate_has_to_say(signer: LocalSigner, gun: str) -> None:
    """
    The name is the collection's, the key is the signer's, it is no CA, it signs code, it vouches for itself.
    """
    certificate = x509.load_der_x509_certificate(root_certificate(signer, Gun(gun), NOW, 1 << 127 | 1))

    public = certificate.public_key()
    assert signer.public == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert [gun] == [attribute.value for attribute in certificate.subject]
    assert certificate.issuer == certificate.subject
    assert certificate.version is x509.Version.v3
    assert certificate.serial_number == 1 << 127 | 1
    assert certificate.not_valid_before_utc == NOW.replace(microsecond=0)
    assert certificate.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=3650)
    usage, purpose, basic = certificate.extensions
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    assert purpose.value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=False, path_length=None)
    hash_algorithm = certificate.signature_hash_algorithm
    assert hash_algorithm is not None
    assert hash_algorithm.name == "sha256"
    if isinstance(public, rsa.RSAPublicKey):
        pss = certificate.signature_algorithm_parameters
        assert isinstance(pss, padding.PSS)
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, pss, hash_algorithm)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hash_algorithm))


def test_ten_years_lead_beyond_2049() -> None:
    """
    From 2050 on, a date takes four digits for the year.
    """
    now = datetime(2045, 2, 28, tzinfo=UTC)

    certificate = x509.load_der_x509_certificate(root_certificate(SIGNERS[0], Gun("a"), now, 1))

    assert certificate.not_valid_before_utc == now
    assert certificate.not_valid_after_utc == now + timedelta(days=3650)


def test_an_ed25519_key_is_no_root() -> None:
    """
    Notary lists roots as certificates of ECDSA and RSA keys only.
    """
    signer = LocalSigner(maker.ED25519)

    with pytest.raises(KeyKindError, match=r"\(ed25519\) cannot be used: a Notary root key has to be ECDSA or RSA"):
        root_certificate(signer, Gun("a"), NOW, 1)
