"""No two publishers have the same name at the same time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError
from trustreg.io.stores import writers
from trustreg.io.stores.writers import claim_writer

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
import pathlib, sys
from trustreg.io.stores.writers import claim_writer
print(claim_writer(pathlib.Path(sys.argv[1])))
"""


def other(folder: Path) -> str:
    """Return the name that another process gets, which has ended then."""
    return subprocess.run(
        [sys.executable, "-c", ASK, folder], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_name_is_used_again(tmp_path: Path) -> None:
    """
    Of a process that has ended, and not of one that lives.
    """
    first = other(tmp_path / "writers")

    assert first == other(tmp_path / "writers") == claim_writer(tmp_path / "writers")
    assert first not in {other(tmp_path / "writers"), claim_writer(tmp_path / "writers")}
    assert len(first) == 16


def test_there_is_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Too many at a time are refused.
    """
    monkeypatch.setattr(writers, "_MOST", 1)
    claim_writer(tmp_path)

    with pytest.raises(FileError, match="publishing from here already"):
        claim_writer(tmp_path)


def test_a_copy_elsewhere_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two machines that began with the same backup are two writers.
    """
    first = other(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "another machine")

    assert first != claim_writer(tmp_path)
