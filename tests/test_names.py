"""Names over vectors/names: what is one, what its parts are, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trustreg.errors import NameFormError
from trustreg.names import TOP_LEVEL, Digest, Gun, Reference, is_delegation, is_role, parent, signer_of

VECTORS = Path(__file__).parent.parent / "vectors" / "names"


def cases(table: str) -> list[Any]:
    """Return the cases of *table*; a field that nobody knows is an error."""
    spelled = json.loads((VECTORS / f"{table}.json").read_text("utf-8"))
    assert spelled.keys() == {"comment", "source", "cases"}
    assert all({"text", "expect"} <= case.keys() <= {"text", "expect", "comment"} for case in spelled["cases"])
    return [pytest.param(case["text"], case["expect"], id=ascii(case["text"])[:60]) for case in spelled["cases"]]


def refused(expect: object) -> bool:
    """Say whether a case is one that is no name."""
    return expect == {"error": "name"}


@pytest.mark.parametrize(("text", "expect"), cases("references"))
def test_references(text: str, expect: dict[str, str | None]) -> None:
    """
    A reference has the parts the table says, and its normal form is read the same.
    """
    if refused(expect):
        with pytest.raises(NameFormError) as caught:
            Reference.parse(text)
        assert caught.value.kind in {"image reference", "digest"}
        return

    reference = Reference.parse(text)

    assert {
        "domain": reference.domain,
        "path": reference.path,
        "tag": reference.tag,
        "digest": str(reference.digest) if reference.digest else None,
        "familiar": str(reference),
    } == expect
    assert Reference.parse(str(reference)) == reference
    assert str(reference.gun) == reference.repository == f"{reference.domain}/{reference.path}"
    assert Reference.parse(reference.pinned(Digest("sha256", "0" * 64))).digest == Digest("sha256", "0" * 64)


@pytest.mark.parametrize(("text", "expect"), cases("digests"))
def test_digests(text: str, expect: object) -> None:
    """
    Lower-case hex of the right length, and nothing else.
    """
    if refused(expect):
        with pytest.raises(NameFormError):
            Digest.parse(text)
        return

    assert str(Digest.parse(text)) == expect


@pytest.mark.parametrize(("text", "expect"), cases("guns"))
def test_guns(text: str, expect: object) -> None:
    """
    Whatever has one spelling in a URL and is safe as a folder.
    """
    if refused(expect):
        with pytest.raises(NameFormError):
            Gun(text)
        return

    assert str(Gun(text)) == expect


@pytest.mark.parametrize(("text", "expect"), cases("roles"))
def test_roles(text: str, expect: object) -> None:
    """
    Four names, and those of delegations.
    """
    assert is_role(text) is not refused(expect)
    assert is_delegation(text) is (expect is True)
    assert (text in TOP_LEVEL) is (expect is False)


def test_whose_parent() -> None:
    """
    The role that delegates.
    """
    assert parent("targets/a/b") == "targets/a"
    assert parent("targets/a") == "targets"


def test_a_long_reference_is_not_repeated_in_full() -> None:
    """
    The sentence shows its beginning.
    """
    with pytest.raises(NameFormError) as caught:
        Reference.parse("a/" * 100_000)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("role", "signer"),
    [("targets/alice", "alice"), ("targets/releases", ""), ("targets/alice/ci", ""), ("targets", ""), ("root", "")],
)
def test_signers_have_roles_of_their_own(role: str, signer: str) -> None:
    """
    Below targets and called like them; what Docker pulls is nobody's own, and what is further down is not looked at.
    """
    assert signer == signer_of(role)
