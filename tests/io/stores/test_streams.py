"""Target files that come from somewhere else are what is signed, or are never finished."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from trustreg.errors import ContentError, FileError, TrustregError
from trustreg.io.stores.folder import FolderStore
from trustreg.io.stores.streams import Flowing

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 600
SHA512 = {"sha512": hashlib.sha512(CONTENT).digest()}


def pieces(content: bytes) -> list[bytes]:
    """Cut *content* in the way of a network, with nothing now and then."""
    return [b"", content[:1], content[1:70_000], b"", content[70_000:]]


def test_what_is_signed_arrives(tmp_path: Path) -> None:
    """
    However it was cut.
    """
    flowing = Flowing(pieces(CONTENT), len(CONTENT), SHA512, "a target")

    FolderStore(tmp_path).upload("file", cast("BinaryIO", flowing), len(CONTENT))

    assert (tmp_path / "targets/file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "kind"),
    [(CONTENT[:-1] + b"x", ContentError), (CONTENT[:-1], FileError), (b"", FileError), (b"x" + CONTENT, ContentError)],
)
def test_anything_else_does_not(tmp_path: Path, content: bytes, kind: type[TrustregError]) -> None:
    """
    Nothing is at its place then.
    """
    flowing = Flowing(pieces(content), len(CONTENT), SHA512, "a target")

    with pytest.raises(kind):
        FolderStore(tmp_path).upload("file", cast("BinaryIO", flowing), len(CONTENT))

    assert list((tmp_path / "targets").iterdir()) == []


def test_without_a_digest_nothing_is_believed() -> None:
    """
    Nor with one that anybody can meet.
    """
    with pytest.raises(ContentError):
        Flowing([], 0, {"md5": b""}, "a target")
