"""Every message of vectors/simple-signing ends as it says, and says enough."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.vectors.loading import VECTORS, VectorError
from tests.vectors.signed import Signed, load, outcome, read
from tests.vectors.skopeo import ACCEPTED, MANIFEST, REFUSED
from trustreg.dialects import policykeys
from trustreg.io.gpg import Keyrings
from trustreg.judging import Judge
from trustreg.names import Digest
from trustreg.policy import Policy, Rule, SignedByGpg
from trustreg.ports import Manifest, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trustreg.names import Reference

STRICTER = Path(__file__).parents[2] / "docs" / "explanation" / "stricter.md"


@pytest.fixture(scope="module")
def openpgp() -> Iterator[Keyrings]:
    """What verifies messages."""
    with Keyrings(os.environ) as rings:
        yield rings


@pytest.mark.parametrize("vector", load(), ids=attrgetter("name"))
def test_a_message_is_judged_as_the_vector_says(vector: Signed, openpgp: Keyrings) -> None:
    """
    With the error that the one fault in it has to lead to, whatever time it is here.
    """
    assert vector.expect == outcome(vector, openpgp)


class Here:
    """A registry that has the image of the vectors, and a place that has one message."""

    where, holds = "here", frozenset({Message})

    def __init__(self, message: bytes) -> None:
        self._message = message

    def manifest(self, _: Reference) -> Manifest:
        """See :class:`trustreg.ports.Registry`."""
        blob = MANIFEST.manifest
        return Manifest(media_type=blob.media_type, digest=Digest.parse(MANIFEST.digest), raw=blob.raw)

    def read(self, *_: object) -> Iterator[Message]:
        """See :class:`trustreg.ports.SignaturePlace`."""
        yield Message(where=self.where, raw=self._message)


@pytest.mark.parametrize("vector", load(), ids=attrgetter("name"))
def test_a_policy_comes_to_the_same(vector: Signed, openpgp: Keyrings) -> None:
    """
    Whoever judges images by it trusts no other message.
    """
    keys = tuple(policykeys.read_gpg(raw, f"file {number}") for number, raw in enumerate(vector.keys))
    rule = Rule(scope="", require=SignedByGpg(path="require", keys=keys))
    here = Here(vector.message)
    judge = Judge(Policy(rules={}, default=rule), here, lambda *_: [(here, vector.image)], openpgp, no_collection)

    decision = judge.judge(vector.image, vector.now)

    assert vector.expect["outcome"] == decision.verdict
    assert vector.trusted == decision.allowed == (decision.bound is True)


def no_collection(_: object) -> NoReturn:
    """Nobody asks for one."""
    raise AssertionError


def test_there_are_many() -> None:
    """
    With every error that a message can lead to.
    """
    met = {vector.expect.get("error") for vector in load()}

    assert {None, "format", "gpg-signature", "signed-digest", "identity"} == met
    assert 200 < len(load())
    assert 40 < sum(vector.trusted for vector in load())


@pytest.mark.parametrize("vector", load(), ids=attrgetter("name"))
def test_where_skopeo_says_otherwise_there_is_a_reason(vector: Signed) -> None:
    """
    And it stands in the documentation.
    """
    ours = ACCEPTED if vector.trusted else REFUSED
    words = " ".join(STRICTER.read_text("utf-8").split())

    assert {vector.skopeo, vector.policy} <= {ACCEPTED, REFUSED}
    assert ({vector.skopeo, vector.policy} != {ours}) == bool(vector.difference)
    assert (vector.difference or "") in words


def test_every_vector_says_what_it_is_about() -> None:
    """
    A comment of its own words, one line long, and where it comes from.
    """
    comments = [vector.comment for vector in load()]

    assert len(set(comments)) == len(comments)
    for vector in load():
        assert vector.comment.isprintable()
        assert not vector.comment.endswith(".")
        assert vector.source
    assert {name for name in map(attrgetter("name"), fields(Signed)) if f"`{name}`" not in README} == set()


@pytest.mark.parametrize("change", [{"more": None}, {"message": ...}])
def test_a_field_that_is_missing_or_unknown_is_refused(change: dict[str, object]) -> None:
    """
    A misspelt field would be a check that is not made.
    """
    spelled = json.loads((VECTORS / "simple-signing" / "key-ed25519.json").read_text("utf-8")) | change

    with pytest.raises(VectorError, match=next(iter(change))):
        read("bent", {name: value for name, value in spelled.items() if value is not ...})


README = (VECTORS / "README.md").read_text("utf-8")
