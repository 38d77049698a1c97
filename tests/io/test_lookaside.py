"""Signatures beside a registry, in files without a gap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError, NameFormError
from trustreg.io.lookaside import LARGEST, Lookaside
from trustreg.names import Digest, Reference

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = Digest("sha256", "ab" * 32)
IMAGE = Reference.parse("registry.example:5000/team/app:1.0")


def test_they_lie_where_readers_look(tmp_path: Path) -> None:
    """
    Without the host, and numbered from one; what is there stays.
    """
    folder = Lookaside(tmp_path)
    paths = [folder.add(IMAGE, DIGEST, raw) for raw in (b"one", b"two")]

    below = tmp_path / "team" / f"app@sha256={'ab' * 32}"
    assert [below / "signature-1", below / "signature-2"] == paths
    assert [b"one", b"two"] == list(folder.read(IMAGE, DIGEST))
    assert {"signature-1", "signature-2"} == {path.name for path in below.iterdir()}
    assert {0o644} == {path.stat().st_mode & 0o777 for path in paths}


def test_a_gap_ends_the_list_and_is_filled(tmp_path: Path) -> None:
    """
    As for every reader.
    """
    folder = Lookaside(tmp_path)
    for raw in (b"one", b"two", b"three"):
        path = folder.add(IMAGE, DIGEST, raw)
    path.with_name("signature-2").unlink()

    assert [b"one"] == list(folder.read(IMAGE, DIGEST))
    assert path.with_name("signature-2") == folder.add(IMAGE, DIGEST, b"another")
    assert [b"one", b"another", b"three"] == list(folder.read(IMAGE, DIGEST))


def test_two_who_add_at_once_both_do(tmp_path: Path) -> None:
    """
    None takes the place of another.
    """
    folder = Lookaside(tmp_path)
    wanted = [f"{number}".encode() for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda raw: folder.add(IMAGE, DIGEST, raw), wanted))

    assert sorted(wanted) == sorted(folder.read(IMAGE, DIGEST))


def test_what_cannot_be_a_signature_is_no_answer(tmp_path: Path) -> None:
    """
    A file without end, or more files than anybody signs.
    """
    folder = Lookaside(tmp_path)
    path = folder.add(IMAGE, DIGEST, bytes(LARGEST + 1))
    with pytest.raises(FileError):
        list(folder.read(IMAGE, DIGEST))
    path.unlink()
    for number in range(1, 257):
        path.with_name(f"signature-{number}").touch()

    with pytest.raises(FileError):
        list(folder.read(IMAGE, DIGEST))
    with pytest.raises(FileError):
        folder.add(IMAGE, DIGEST, b"one more")


def test_only_sha256_has_a_place(tmp_path: Path) -> None:
    """
    The format has no other.
    """
    with pytest.raises(NameFormError):
        Lookaside(tmp_path).add(IMAGE, Digest("sha512", "ab" * 64), b"one")
