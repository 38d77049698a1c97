"""Kinds of keys, and which of them count."""

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vectors.make import material
from vectors.make.collection import (
    Collection,
)
from vectors.make.material import Listed, certificate, certified, private_key, raw
from vectors.make.scenario import (
    RELEASES,
    ROLES,
    Named,
    case,
    found,
    keyed,
    slug,
    threshold,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    source = "notary tuf/data/keys.go, tuf/signed/verifiers.go"

    def signed_with(name: str, comment: str, key: Listed, *, refused: bool = False) -> Named:
        collection = Collection.usual()
        collection.keys["targets"] = [key]
        published = collection.publish()
        expect = threshold("targets") if refused else found(published, "targets", first_use=True)
        at = "targets" if refused else None
        return case(name, comment, source, published, expect, at=at, loads=())

    for kind in ("p224", "p256", "p384", "p521"):
        yield signed_with(f"key-ecdsa-{kind}", "r and s have the width of the curve", raw("targets", kind))
    for method in ("rsapss", "rsapkcs1v15"):
        yield signed_with(f"key-{method}", "an RSA key of 2048 bits", raw("targets", "rsa2048", method))
    yield signed_with("key-secp256k1", "a curve that Notary does not know", raw("targets", "secp256k1"), refused=True)
    yield signed_with("key-rsa1024", "an RSA key that is too short", raw("targets", "rsa1024"), refused=True)
    yield signed_with(
        "key-method-of-another-kind",
        "the method is not one of this kind of key",
        raw("targets", "p256", "eddsa"),
        refused=True,
    )
    yield signed_with(
        "key-method-unknown", "a method that nobody knows", raw("targets", "ed25519", "eddsa2"), refused=True
    )
    yield signed_with(
        "key-method-in-capitals",
        "methods are written in lower case",
        raw("targets", "ed25519", "EDDSA"),
        refused=True,
    )
    private = private_key("targets", "p256")
    cert = certificate(private, "anything")
    yield signed_with(
        "key-x509", "a key listed by its certificate; its name means nothing here", certified(private, cert)
    )
    for name, begins, ends in (
        ("expired", datetime(2016, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, 11, 59, 59, tzinfo=UTC)),
        ("not-yet", datetime(2026, 5, 3, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)),
    ):
        dated = certificate(private, "anything", not_before=begins, not_after=ends)
        comment = "a key counts while its certificate is valid, whoever lists it"
        yield signed_with(f"key-x509-{name}", comment, certified(private, dated), refused=True)
    gone = certified(private, certificate(private, "anything", not_after=datetime(2026, 5, 1, tzinfo=UTC)))
    yield _beside("key-x509-expired-beside-delegation", "an expired key beside a good one", RELEASES, raw("good"), gone)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield signed_with(
        "key-kind-of-another",
        "the key is no key of the kind it is listed as",
        material.listed(private, "rsa", der, "ecdsa"),
        refused=True,
    )
    yield signed_with(
        "key-kind-unknown",
        "a kind of key that nobody knows vouches for nothing",
        material.listed(private, "quantum", der, "ecdsa"),
        refused=True,
    )
    yield signed_with(
        "key-ed25519-too-short",
        "31 bytes are no ed25519 key",
        material.listed(private_key("targets"), "ed25519", bytes(31)),
        refused=True,
    )
    yield signed_with(
        "key-no-key", "bytes that are no key", material.listed(private, "ecdsa", b"\x30\x00"), refused=True
    )
    for role in ROLES[1:]:
        good, odd = raw(f"good {role}"), material.listed(private, "quantum", der, "ecdsa")
        yield _beside(f"key-unknown-beside-{slug(role)}", "an unknown kind of key beside a good one", role, good, odd)
        wrong = Listed(private_key("wrong"), raw("wrong").spelled, "0" * 64, "eddsa")
        yield _beside(
            f"key-wrong-id-beside-{slug(role)}", "a key under an id not its own beside a good one", role, good, wrong
        )


def _beside(name: str, comment: str, role: str, good: Listed, odd: Listed) -> Named:
    """Yield a role with two keys, of which only *good* counts; both sign."""
    published = keyed(role, [odd, good]).publish()
    expect = found(published, RELEASES, first_use=True)
    if role == RELEASES:
        expect["found"]["signers"] = [good.id]
    return case(name, comment, "TUF 1.0.34 section 4.2: unknown keys are inert", published, expect)
