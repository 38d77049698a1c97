"""Readers who know the collection, and a disk that nobody waits for."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.hostile.scene import KNOWN, SECOND, TODAY, Reader, believed, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vectors.make.collection import Published


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no disk: nobody pulls a plug here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trust directory of somebody who has verified ``KNOWN``."""
    return _learn(tmp_path_factory.mktemp("known") / "trust", KNOWN)


@pytest.fixture
def knowing(known: Path) -> Callable[[Path, Published], Path]:
    """Make a trust directory of somebody who verified something the day before: ``knowing(trust_dir, published)``."""

    def make(trust_dir: Path, published: Published) -> Path:
        if published is KNOWN:
            return shutil.copytree(known, trust_dir)
        return _learn(trust_dir, published)

    return make


def _learn(trust_dir: Path, published: Published) -> Path:
    version = published.collection.parts[SECOND].version
    assert believed(SECOND, version) == Reader(trust_dir).ask(serving(published), TODAY - timedelta(days=1))
    return trust_dir
