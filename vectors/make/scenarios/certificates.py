"""Certificates of root keys."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vectors.make import material
from vectors.make.collection import GUN, Published, root_key
from vectors.make.material import Listed, certificate, certified, private_key, raw
from vectors.make.scenario import RELEASES, Named, case, error, found, keyed, usual

SOURCE: Final = "notary trustpinning/certs.go"
PRIVATE: Final = private_key("root", "p256")
PLAIN: Final = certificate(PRIVATE, GUN)
GONE: Final[dict[str, Any]] = {
    "not_before": datetime(2016, 1, 1, tzinfo=UTC),
    "not_after": datetime(2026, 5, 1, 11, 59, 59, tzinfo=UTC),
}


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _names()
    yield from _dates()
    yield from _algorithms()
    yield from _forms()
    yield from _later()


def _names() -> Iterator[Named]:
    yield _refused("ca", "a CA does not sign metadata", _odd(ca=True))
    yield _fine("no-basic-constraints", "without basic constraints it is no CA", _odd(ca=None))
    longer, shorter = f"{GUN}/more", "registry.example/team"
    yield _refused("other-name", "it is for another collection", _odd(name="registry.example/team/other"))
    yield _refused("longer-name", "its name begins like the collection's and goes on", _odd(name=longer))
    yield _refused("shorter-name", "the collection's name begins like its name and goes on", _odd(name=shorter))
    yield _refused("no-name", "it is for nobody", _odd(name=None))
    yield _refused("star", "a name that stands for every collection stands for none", _odd(name="*"))
    yield _fine("prefix", "a name ending in * stands for those that begin alike", _odd(name="registry.example/team/*"))
    yield _refused(
        "prefix-of-others", "a name ending in * that others begin with", _odd(name="registry.example/other/*")
    )
    yield _refused("star-inside", "a * that is not the end is a character", _odd(name="registry.example/*/app"))


def _dates() -> Iterator[Named]:
    second = root_key("second root")
    after_tomorrow, tomorrow = datetime(2026, 5, 3, tzinfo=UTC), datetime(2026, 5, 2, 11, tzinfo=UTC)
    yield _refused("expired", "it expired a second ago", _odd(**GONE), at="root")
    yield _fine("expires-now", "it is valid for this second", _odd(not_after=datetime(2026, 5, 1, 12, tzinfo=UTC)))
    yield _refused("not-yet", "it is valid the day after tomorrow", _odd(not_before=after_tomorrow), at="root")
    yield _fine("tomorrow", "clocks differ: a day is allowed", _odd(not_before=tomorrow))
    yield _fine("one-expired", "one of two keys has an expired one, and one suffices", _odd(**GONE), second)
    comment = "one of two keys has an expired one, and two are due"
    yield _refused("one-expired-of-two", comment, _odd(**GONE), second, at="root", threshold=2)


def _algorithms() -> Iterator[Named]:
    rsa, small = private_key("root", "rsa2048"), private_key("root", "rsa1024")
    yield _fine("rsa", "an RSA key of 2048 bits", certified(rsa, certificate(rsa, GUN)))
    yield _refused("rsa1024", "an RSA key that is too short", certified(small, certificate(small, GUN)))
    for algorithm, last in (("sha1", b"\x05"), ("md5", b"\x04")):
        weak = material.altered(certificate(rsa, GUN), _RSA_WITH + b"\x0b", _RSA_WITH + last)
        key = material.listed(rsa, "rsa-x509", material.pem(weak))
        yield _refused(algorithm, f"it is signed with {algorithm}", key)
    unknown = _spoilt(PLAIN, _ECDSA_WITH + b"\x02", _ECDSA_WITH + b"\x09")
    yield _refused("unknown-algorithm", "it is signed with an algorithm that nobody knows", unknown)


def _forms() -> Iterator[Named]:
    def listed(keytype: str, public: bytes) -> Listed:
        return material.listed(PRIVATE, keytype, public, "ecdsa")

    future = _spoilt(PLAIN, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")
    yield _refused("version", "it is of a version that nobody knows", future)
    more = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x30\x00")
    double = _spoilt(certificate(PRIVATE, GUN, more=more), b"\x06\x03\x55\x1d\x63", b"\x06\x03\x55\x1d\x13")
    yield _refused("extension-twice", "it has an extension twice", double)
    yield _refused("none", "PEM around bytes that are none", listed("ecdsa-x509", material.pem(b"\x30\x00")))
    yield _refused("no-pem", "it is not in PEM", listed("ecdsa-x509", PLAIN.public_bytes(Encoding.DER)))
    yield _refused("raw-key", "a root key without a certificate", raw("root", "p256"))
    other = listed("rsa-x509", PLAIN.public_bytes(Encoding.PEM))
    yield _refused("of-another-kind", "it holds an EC key and is listed as RSA", other)
    authority = private_key("ca", "p256")
    between = certificate(authority, "authority", ca=True)
    issued = certificate(PRIVATE, GUN, issuer=(authority, between))
    yield _fine("bundle", "others may follow it", certified(PRIVATE, issued, between))
    yield _refused("bundle-reversed", "the first one counts, and is a CA's", certified(PRIVATE, between, issued))
    wrong = Listed(PRIVATE, certified(PRIVATE, PLAIN).spelled, "0" * 64, "ecdsa")
    yield _refused("wrong-id", "it is listed under an id not its own", wrong)


def _later() -> Iterator[Named]:
    """Yield roots that were known before."""
    expired = keyed("root", [_odd(**GONE)])
    known = expired.publish()
    after = expired.rotate("root", root_key("second root")).publish()
    yield case(
        "certificate-expired-in-cache",
        "the certificate of the cached root has expired; its key still vouches for the next root",
        SOURCE,
        after,
        found(after, RELEASES),
        known=known,
    )
    yield case(
        "certificate-expired-and-not-replaced",
        "the certificate of the cached root has expired, and no other root follows",
        SOURCE,
        known,
        error("pin", gun=GUN, offered=[expired.keys["root"][0].id]),
        at="root",
        known=known,
    )
    before = usual()
    other = _odd(name="registry.example/team/other")
    yield case(
        "certificate-other-name-after-rotation",
        "the next root is for another collection",
        SOURCE,
        before.rotate("root", other).publish(),
        error("pin", gun=GUN, offered=[other.id]),
        at="2.root.json",
        known=before.publish(),
    )


def _rooted(*keys: Listed, threshold: int = 1) -> Published:
    return keyed("root", list(keys), threshold).publish()


def _fine(name: str, comment: str, *keys: Listed) -> Named:
    published = _rooted(*keys)
    return case(f"certificate-{name}", comment, SOURCE, published, found(published, RELEASES, first_use=True))


def _refused(name: str, comment: str, *keys: Listed, at: str = "root.json", threshold: int = 1) -> Named:
    expect = error("pin", gun=GUN, offered=[key.id for key in keys])
    return case(f"certificate-{name}", comment, SOURCE, _rooted(*keys, threshold=threshold), expect, at=at)


def _odd(*, name: str | None = GUN, **about: Any) -> Listed:
    return certified(PRIVATE, certificate(PRIVATE, name, **about))


def _spoilt(original: x509.Certificate, old: bytes, new: bytes) -> Listed:
    return material.listed(PRIVATE, "ecdsa-x509", material.pem(material.altered(original, old, new)))


_RSA_WITH: Final = bytes.fromhex("06092a864886f70d0101")
_ECDSA_WITH: Final = bytes.fromhex("06082a8648ce3d0403")
