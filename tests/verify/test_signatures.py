"""Who signed, and what a refusal says of each signature that did not count."""

from __future__ import annotations

from base64 import b64decode
from operator import attrgetter

import pytest

from tests.vectors.loading import Vector, answer, load
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import ThresholdError
from trustreg.metadata import Role
from trustreg.verify.signatures import fingerprint, verify
from trustreg.verify.signatures import load as load_key
from vectors.make.collection import Collection
from vectors.make.material import raw

DIALECT = Notary1()
REASONS = {
    "signature-bad": ("does not hold",),
    "signature-cut": ("does not hold",),
    "signature-empty": ("does not hold",),
    "signature-forged": ("does not hold",),
    "signature-other-content": ("does not hold",),
    "signature-ecdsa": ("does not hold",),
    "signature-rsapss": ("does not hold",),
    "signature-none": (),
    "signature-stranger": ("has no say here",),
    "threshold-one": (),
    "threshold-twins": ("under another id",),
    "key-under-the-right-id": ("cannot be used",),
    "key-x509-expired": ("expired at 2026-05-01T11:59:59Z",),
    "key-x509-not-yet": ("valid from 2026-05-03T00:00:00Z",),
    "key-method": ("does not hold",),
    "key-": ("cannot be used",),
    "delegation-signed-by": ("has no say here",),
    "delegation-of-a-sibling": ("has no say here",),
    "root-not-by-the-old": ("has no say here",),
    "root-not-by-the-new": ("has no say here",),
    "root-not-by-anybody": ("has no say here",),
    "root-new-threshold": ("has no say here",),
    "root-old-threshold": ("has no say here",),
    "pin-key-did-not-sign": ("has no say here", "is not pinned"),
}
"""By the beginning of a vector's name, the first that fits."""


@pytest.mark.parametrize(
    "vector", [v for v in load("notary1") if v.expect.get("error") == "threshold"], ids=attrgetter("name")
)
def test_a_refusal_says_what_became_of_each_signature(vector: Vector) -> None:
    """
    One reason for each that did not count, and no other.
    """
    with pytest.raises(ThresholdError) as caught:
        answer(vector, vector.workflow(), vector.world())

    due = next(reasons for begin, reasons in REASONS.items() if vector.name.startswith(begin))
    why = [reason for reason in caught.value.why if "has no say here" not in reason or "has no say here" in due]
    assert len(why) >= len(due)
    assert all(any(part in reason for part in due) for reason in why), why
    assert all(any(part in reason for reason in why) for part in due), why


def test_the_same_key_has_one_fingerprint_however_it_is_listed() -> None:
    """
    By itself, by a certificate, compressed or not: the floors of roles go by it.
    """
    for kind in ("ed25519", "p256", "p384", "rsa2048"):
        listed = raw("some", kind)
        public = DIALECT.read_key(DIALECT.spell_key(DIALECT.key(listed.spelled["keytype"], _public(kind))))
        loaded = load_key(public)
        assert loaded is not None
        assert fingerprint(loaded) == listed.fingerprint


def test_the_first_signature_of_a_key_counts() -> None:
    """
    Ids are tried once: a thousand bad signatures in one name cost one attempt.
    """
    collection = Collection.usual()
    bad = {**raw("targets").sign(b"something else")}
    collection.parts["targets"].wrap = lambda envelope: envelope.update(signatures=[bad, *envelope["signatures"]])
    claim = DIALECT.decode("targets", collection.file("targets"))
    key = DIALECT.key("ed25519", _public("ed25519", "targets"))

    with pytest.raises(ThresholdError):
        verify(claim, Role(name="targets", keyids=(key.id,)), {key.id: key})


@pytest.mark.parametrize("threshold", [0, -1])
def test_no_threshold_is_met_by_nobody(threshold: int) -> None:
    """
    Whatever a role says, at least one key has to sign.
    """
    claim = DIALECT.decode("targets", Collection.usual().file("targets"))

    with pytest.raises(ThresholdError):
        verify(claim, Role(name="targets", keyids=(), threshold=threshold), {})


def _public(kind: str, label: str = "some") -> bytes:
    return b64decode(raw(label, kind).spelled["keyval"]["public"])
