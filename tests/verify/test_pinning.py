"""Root certificates that no vector should have to carry twice: what cannot be read is refused, and nothing escapes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.vectors.loading import Vector, load
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import PinError, UntrustedError
from trustreg.metadata import Envelope, Root
from trustreg.names import Gun
from trustreg.verify.pinning import Pins, admit
from vectors.make import material
from vectors.make.collection import GUN, Collection

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PRIVATE = material.private_key("root", "p256")
BASIC_CONSTRAINTS = b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02"
DUPLICATE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x30\x00")


def _unreadable() -> dict[str, bytes]:
    """Return certificates, each with one thing in it that cannot be read."""
    plain = material.certificate(PRIVATE, GUN)
    double = material.certificate(PRIVATE, GUN, more=DUPLICATE)
    return {
        "an extension twice": material.altered(double, b"\x06\x03\x55\x1d\x63", b"\x06\x03\x55\x1d\x13"),
        "a version nobody knows": material.altered(plain, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),
        "a signature algorithm nobody knows": material.altered(
            plain, bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040309")
        ),
        "basic constraints that are none": material.altered(
            plain,
            b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00",
            b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x02\x00",
        ),
        "a name that is no text": material.altered(plain, GUN.encode(), b"\xff" * len(GUN)),
        "a time that is none": material.altered(plain, b"350101000000Z", b"35010100000\xff0"[:13]),
        "a curve nobody knows": material.altered(
            plain, bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030177")
        ),
        "nothing but its first half": plain.public_bytes(Encoding.DER)[:150],
    }


@pytest.mark.parametrize("size", [300, 3_000, 40_000, 70_000])
@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_name_that_goes_on_and_on_is_another_name(size: int) -> None:
    """
    No length that DER can write leads anywhere else.
    """
    der = material.certificate(PRIVATE, "a" * size).public_bytes(Encoding.DER)

    with pytest.raises(PinError, match="has a certificate for"):
        admit(_claim(der), Gun(GUN), Pins(), NOW, known=False)


def _claim(der: bytes) -> Envelope[Root]:
    collection = Collection.usual()
    collection.keys["root"] = [material.listed(PRIVATE, "ecdsa-x509", material.pem(der))]
    claim = Notary1().decode("root", collection.file("root"))
    assert isinstance(claim.signed, Root)
    return claim  # type: ignore[return-value]


def test_pins_of_two_both_have_to_hold() -> None:
    """
    A key that one of them does not know is not pinned; who knows nothing has no say.
    """
    claim = _claim(material.certificate(PRIVATE, GUN).public_bytes(Encoding.DER))
    right, wrong, none = Pins(keys=claim.signed.roles["root"].keyids), Pins(keys=("0" * 64,)), Pins(first_use=False)

    def believed(pins: Pins, also: Pins) -> bool:
        try:
            admit(claim, Gun(GUN), replace(pins, also=also), NOW, known=False)
        except PinError:
            return False
        return True

    assert [believed(pins, also) for pins in (right, wrong) for also in (right, wrong, none)] == [
        *(True, False, True),
        *(False, False, False),
    ]
    assert [believed(none, also) for also in (right, wrong)] == [True, False]


@pytest.mark.parametrize("what", _unreadable())
@pytest.mark.parametrize("pins", [Pins(), Pins(authorities=(b"no certificate",)), None], ids=["free", "junk", "ca"])
def test_a_certificate_that_cannot_be_read_vouches_for_nothing(what: str, pins: Pins | None) -> None:
    """
    Certificates come from whoever answers for the server; whatever is wrong with one is a refusal.
    """
    authority = material.certificate(material.private_key("ca", "p256"), "CA", ca=True)
    pins = pins or Pins(authorities=(authority.public_bytes(Encoding.DER),))

    with pytest.raises(PinError):
        admit(_claim(_unreadable()[what]), Gun(GUN), pins, NOW, known=False)


@pytest.mark.filterwarnings("ignore")  # cryptography frets about some that it still reads
def test_every_single_damage_to_a_certificate_is_refused_or_harmless() -> None:
    """
    One byte of the DER changed, at every place: nothing but a refusal comes out.
    """
    der = material.certificate(PRIVATE, GUN).public_bytes(Encoding.DER)
    damages: tuple[Callable[[int], int], ...] = (lambda b: b ^ 0x01, lambda b: b ^ 0x80, lambda _: 0xFF)
    refused = 0
    for at in range(len(der)):
        for damage in damages:
            bent = der[:at] + bytes([damage(der[at])]) + der[at + 1 :]
            try:
                admit(_claim(bent), Gun(GUN), Pins(), NOW, known=False)
            except UntrustedError:
                refused += 1
    assert refused > len(der)


REASONS = {
    "certificate-ca": "of a CA",
    "certificate-bundle-reversed": "of a CA",
    "certificate-other-name": "for 'registry.example/team/other', not for registry.example/team/app",
    "certificate-longer-name": "for 'registry.example/team/app/more'",
    "certificate-shorter-name": "for 'registry.example/team'",
    "certificate-no-name": "for ''",
    "certificate-star": "for '*'",
    "certificate-prefix-of-others": "for 'registry.example/other/*'",
    "certificate-star-inside": "for 'registry.example/*/app'",
    "certificate-other-name-after-rotation": "for 'registry.example/team/other'",
    "certificate-expired": "expired at 2026-05-01T11:59:59Z",
    "certificate-one-expired-of-two": "expired at 2026-05-01T11:59:59Z",
    "certificate-expired-and-not-replaced": "expired at 2026-05-01T11:59:59Z",
    "certificate-not-yet": "valid from 2026-05-03T00:00:00Z",
    "certificate-sha1": "signed with sha1",
    "certificate-md5": "signed with md5",
    "certificate-rsa1024": "cannot be used",
    "certificate-of-another-kind": "cannot be used",
    "certificate-wrong-id": "cannot be used",
    "certificate-version": "cannot be used",
    "certificate-none": "cannot be used",
    "certificate-unknown-algorithm": "cannot be read",
    "certificate-extension-twice": "cannot be read",
    "certificate-raw-key": "is no certificate",
    "certificate-no-pem": "is no certificate",
    "pin-key-other": "is not pinned",
    "pin-key-other-warm": "is not pinned",
    "pin-key-after-rotation": "is not pinned",
    "pin-key-cut": "is not pinned",
    "pin-key-half": "is not pinned",
    "pin-certificate-other": "is not pinned",
    "pin-certificate-of-the-same-key": "is not pinned",
    "pin-authority-gap": "is issued by none of the pinned CAs",
    "pin-authority-expired": "is issued by none of the pinned CAs",
    "pin-authority-between-expired": "is issued by none of the pinned CAs",
    "pin-authority-between-none": "is issued by none of the pinned CAs",
    "pin-authority-between-may-not": "is issued by none of the pinned CAs",
    "pin-authority-too-deep": "is issued by none of the pinned CAs",
    "pin-authority-other": "is issued by none of the pinned CAs",
    "pin-authority-self-signed": "is issued by none of the pinned CAs",
}


def test_every_refused_root_has_a_reason_here() -> None:
    """
    The code is the same for all; the sentence is not.
    """
    assert REASONS.keys() == {vector.name for vector in load("notary1") if vector.expect.get("error") == "pin"}


@pytest.mark.parametrize("vector", [v for v in load("notary1") if v.name in REASONS], ids=attrgetter("name"))
def test_a_root_is_refused_for_its_own_reason(vector: Vector) -> None:
    """
    And not for another one that happens to come first.
    """
    with pytest.raises(PinError) as caught:
        vector.world().drive(vector.workflow().refresh())

    assert REASONS[vector.name] in caught.value.problem
