"""The model: frozen values that say what metadata says."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import pytest

from trustreg.metadata import Delegation, FileMeta, Key, Root, Targets

LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_nothing_can_be_changed() -> None:
    """
    What was verified stays what was verified.
    """
    root = Root(version=1, expires=LATER, keys={}, roles={})

    with pytest.raises(FrozenInstanceError):
        root.version = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del root.version


def test_digests_are_copied_and_cannot_be_changed() -> None:
    """
    Whoever made the value keeps no handle on it.
    """
    hashes = {"sha256": bytes(32)}
    meta = FileMeta(length=1, hashes=hashes)
    hashes["sha256"] = b"other"

    assert meta.hashes["sha256"] == bytes(32)
    with pytest.raises(TypeError):
        meta.hashes["sha256"] = b"other"  # type: ignore[index]


def test_values_compare_by_what_they_say() -> None:
    """
    Another version, length, digest or addition is another file.
    """
    meta = FileMeta(version=1, length=1, hashes={"sha256": bytes(32)}, custom={"a": 1})

    assert meta == replace(meta)
    assert meta != replace(meta, version=2)
    assert meta != replace(meta, length=2)
    assert meta != replace(meta, hashes={})
    assert meta != replace(meta, custom=None)


def test_a_key_is_what_it_is_however_it_is_spelled() -> None:
    """
    How a dialect wrote it does not make it another key; its id, its kind, its bytes and its soundness do.
    """
    key = Key(id="a", kind="ed25519", public=bytes(32), spelled={"keytype": "ed25519"})

    assert key == replace(key, spelled={})
    assert hash(key) == hash(replace(key, spelled={}))
    assert key != replace(key, id="b")
    assert key != replace(key, kind="ecdsa")
    assert key != replace(key, public=b"")
    assert key != replace(key, certificates=(b"",))
    assert key != replace(key, sound=False)


@pytest.mark.parametrize(
    ("prefixes", "name", "covered"),
    [
        ((), "v1", False),
        (("",), "v1", True),
        (("",), "", True),
        (("v",), "v1", True),
        (("v1",), "v1", True),
        (("v1.",), "v1", False),
        (("V",), "v1", False),
        (("1",), "v1", False),
        (("x", "v"), "v1", True),
        (("v*",), "v1", False),
        (("v",), "", False),
    ],
)
def test_a_delegation_covers_what_begins_like_its_prefixes(
    prefixes: tuple[str, ...], name: str, covered: bool
) -> None:  # of a table
    """
    Prefixes are plain text; none covers nothing, the empty one everything.
    """
    assert Delegation(name="targets/a", keyids=(), prefixes=prefixes).covers(name) is covered


def test_delegations_are_found_by_name() -> None:
    """
    Or not at all.
    """
    one, two = (Delegation(name=f"targets/{name}", keyids=()) for name in ("one", "two"))
    targets = Targets(version=1, expires=LATER, targets={}, delegations=(one, two))

    assert targets.delegation("targets/two") is two
    assert targets.delegation("targets/three") is None
