"""A place of each kind, empty, on a real server where it takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from trustreg.io.stores.folder import FolderStore
from trustreg.ports import Store, TargetFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Both(Store, TargetFiles, Protocol):
    """What every place is that can be written to."""


@pytest.fixture(params=["folder"])
def place(request: pytest.FixtureRequest) -> Callable[[], Both]:
    """Open one empty place, anew each time."""
    opened: Callable[[], Both] = request.getfixturevalue(f"{request.param}_place")
    return opened


@pytest.fixture
def folder_place(tmp_path: Path) -> Callable[[], Both]:
    return lambda: FolderStore(tmp_path / "shelf" / "trust")
