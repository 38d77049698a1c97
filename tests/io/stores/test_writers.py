"""No two publishers have the same name at the same time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError
from trustreg.io.stores import writers
from trustreg.io.stores.writers import Writers

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
import pathlib, sys
from trustreg.io.stores.writers import Writers
print(Writers(pathlib.Path(sys.argv[1])).claim())
"""


def other(folder: Path) -> str:
    """Return the name that another process gets, which has ended then."""
    return subprocess.run(
        [sys.executable, "-c", ASK, folder], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_name_is_used_again(tmp_path: Path) -> None:
    """
    Of a process that has ended, and of an object that went, and not of one that is there.
    """
    first = other(tmp_path / "writers")
    mine = Writers(tmp_path / "writers")

    assert first == other(tmp_path / "writers") == mine.claim() == mine.claim()
    assert first not in {other(tmp_path / "writers"), Writers(tmp_path / "writers").claim()}
    assert len(first) == 16
    del mine
    assert first == Writers(tmp_path / "writers").claim()


def test_only_the_dead_are_buried(tmp_path: Path) -> None:
    """
    A name whose process has ended is taken, once; one that is in use, or from elsewhere, is not.
    """
    here, there = Writers(tmp_path), Writers(tmp_path)
    mine, others = here.claim(), there.claim()

    assert not here.bury(others)
    assert not here.bury("0" * 16)
    del there
    assert here.bury(others)
    assert not here.bury(others)
    assert Writers(tmp_path).claim() not in {mine, others}
    assert not Writers(tmp_path / "none").bury(mine)


def test_there_is_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Too many at a time are refused.
    """
    monkeypatch.setattr(writers, "_MOST", 1)
    first = Writers(tmp_path)
    first.claim()

    with pytest.raises(FileError, match="publishing from here already"):
        Writers(tmp_path).claim()


def test_a_copy_elsewhere_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two machines that began with the same backup are two writers.
    """
    first = other(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "another machine")

    assert first != Writers(tmp_path).claim()
