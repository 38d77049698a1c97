"""What the caller knows of a root beforehand."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vectors.make.collection import (
    GUN,
    Json,
    Published,
    root_key,
)
from vectors.make.material import certificate, certified, private_key
from vectors.make.scenario import (
    RELEASES,
    Named,
    case,
    error,
    found,
    keyed,
    threshold,
    usual,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    source = "notary trustpinning/trustpin.go; pins hold on every refresh"
    old = usual()
    plain = old.publish()
    (key,) = old.keys["root"]
    other = root_key("second root")
    rotated = old.rotate("root", other).publish()

    def fine(name: str, comment: str, published: Published, pins: Json, **how: Any) -> Named:
        expect = found(published, RELEASES)
        return case(f"pin-{name}", comment, source, published, expect, pins=pins, **how)

    def refused(name: str, comment: str, published: Published, pins: Json, **how: Any) -> Named:
        expect = error("pin", gun=GUN, offered=[k.id for k in published.collection.keys["root"]])
        return case(f"pin-{name}", comment, source, published, expect, at="root", pins=pins, **how)

    match, mismatch = {"keys": [key.id]}, {"keys": [other.id]}
    yield fine("key", "the id of the root key is pinned", plain, match)
    yield fine("key-one-of-many", "any of the pinned ids will do", plain, {"keys": [other.id, key.id]})
    yield refused("key-other", "another id is pinned", plain, mismatch)
    yield fine("key-warm", "pins that match a known root", plain, match, known=plain)
    yield refused("key-other-warm", "pins hold although the root is known", plain, mismatch, known=plain)
    yield refused("key-after-rotation", "pins hold after a rotation", rotated, match, known=plain)
    yield fine("key-before-rotation", "the next root is pinned already", rotated, mismatch, known=plain)
    yield fine("key-through-rotation", "the last root counts, not those on the way", rotated, mismatch)
    prefix = {"keys": [key.id[:63]]}
    yield refused("key-cut", "an id without its last digit is no id", plain, prefix)
    both = keyed("root", [key, other], 2).publish()
    yield refused("key-half", "two keys are due, and one is pinned", both, match)
    yield fine("key-both", "two keys are due, and both are pinned", both, {"keys": [key.id, other.id]})
    either = keyed("root", [key, other]).publish()
    yield fine("key-one-of-two", "one key is due, and the pinned one signed", either, match)
    lone = keyed("root", [key, other])
    lone.parts["root"].signers = [other]
    yield case(
        "pin-key-did-not-sign",
        "one key is due, and the one that signed is not the pinned one",
        source,
        lone.publish(),
        threshold("root"),
        at="root",
        pins=match,
    )
    private = private_key("root", "p256")
    mine, others = (_pem(certificate(private_key(label, "p256"), GUN)) for label in ("root", "second root"))
    renewed = _pem(certificate(private, GUN, not_after=datetime(2036, 1, 1, tzinfo=UTC)))
    yield fine("certificate", "the certificate of the root key is pinned", plain, {"certificates": [mine]})
    yield refused("certificate-other", "another certificate is pinned", plain, {"certificates": [others]})
    yield refused(
        "certificate-of-the-same-key", "another certificate of the key is pinned", plain, {"certificates": [renewed]}
    )
    yield fine("either", "of all kinds of pins any will do", plain, {"keys": [other.id], "certificates": [mine]})
    yield from _authorities(fine, refused, private)
    first_use = {"first_use": False}
    yield case(
        "first-use-forbidden",
        "nothing is pinned and nothing known, and first use is forbidden",
        source,
        plain,
        error("first-use", gun=GUN, offered=[key.id]),
        at="root",
        pins=first_use,
    )
    expect = found(plain, RELEASES)
    yield case(
        "first-use-over",
        "first use is forbidden, and this is not the first",
        source,
        plain,
        expect,
        pins=first_use,
        known=plain,
    )
    yield fine("first-use-pinned", "first use is forbidden, and the root is pinned", plain, match | first_use)


def _authorities(fine: Callable[..., Named], refused: Callable[..., Named], private: Any) -> Iterator[Named]:
    """Yield roots whose certificates come from a CA."""
    top, middle, stray = (private_key(label, "p256") for label in ("authority", "intermediate", "stray authority"))

    def issued(
        *, chain: bool = True, top_about: Json | None = None, middle_about: Json | None = None
    ) -> tuple[Published, Json]:
        """Publish with a root certificate from an intermediate CA, and pin the CA above that."""
        of_top: Json = {"ca": True, **(top_about or {})}
        of_middle: Json = {"ca": True, **(middle_about or {})}
        authority = certificate(top, "authority", **of_top)
        between = certificate(middle, "intermediate", issuer=(top, authority), **of_middle)
        leaf = certificate(private, GUN, issuer=(middle, between))
        bundle = (leaf, between) if chain else (leaf,)
        return keyed("root", [certified(private, *bundle)]).publish(), {"authorities": [_pem(authority)]}

    gone = {"not_after": datetime(2026, 4, 30, tzinfo=UTC)}
    yield fine("authority", "a pinned CA issued the CA that issued it", *issued())
    published, pins = issued()
    yield fine("authority-warm", "the same with a known root", published, pins, known=published)
    yield refused("authority-gap", "the CA in the middle is missing", *issued(chain=False))
    yield refused("authority-expired", "the pinned CA has expired", *issued(top_about=gone))
    yield refused("authority-between-expired", "the CA in the middle has expired", *issued(middle_about=gone))
    yield refused("authority-between-none", "the one in the middle is no CA", *issued(middle_about={"ca": False}))
    yield refused(
        "authority-between-may-not",
        "the one in the middle is a CA and may not sign certificates",
        *issued(middle_about={"ca": True, "key_cert_sign": False}),
    )
    yield refused("authority-too-deep", "the pinned CA allows no other below it", *issued(top_about={"path_length": 0}))
    other = {"authorities": [_pem(certificate(stray, "authority", ca=True))]}
    yield refused("authority-other", "a CA of the same name and another key is pinned", issued()[0], other)
    yield refused("authority-self-signed", "it is signed by itself", usual().publish(), other)
    direct = certificate(top, "authority", ca=True)
    leaf = certificate(private, GUN, issuer=(top, direct))
    published = keyed("root", [certified(private, leaf)]).publish()
    yield fine("authority-direct", "a pinned CA issued it", published, {"authorities": [_pem(direct)]})


def _pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(Encoding.PEM).decode()
