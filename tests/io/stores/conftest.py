"""A place of each kind, empty, on a real server where it takes one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import pytest

from trustreg.io.stores.folder import FolderStore
from trustreg.io.stores.objects import ObjectStore
from trustreg.io.stores.oci import OciStore
from trustreg.ports import Store, TargetFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trustreg.io.registry import HttpRegistry
    from trustreg.names import Reference


class Both(Store, TargetFiles, Protocol):
    """What every place is that can be written to."""


@pytest.fixture(params=["folder", "bucket", "oci"])
def place(request: pytest.FixtureRequest) -> Callable[[], Both]:
    """Open one empty place, anew each time."""
    opened: Callable[[], Both] = request.getfixturevalue(f"{request.param}_place")
    return opened


@pytest.fixture
def folder_place(tmp_path: Path) -> Callable[[], Both]:
    return lambda: FolderStore(tmp_path / "shelf" / "trust")


@pytest.fixture
def oci_place(registry: HttpRegistry, repository: Reference) -> Callable[[], Both]:
    return lambda: OciStore(registry, repository)


@pytest.fixture
def bucket_place(bucket: str) -> Callable[[], Both]:
    return lambda: ObjectStore(f"{bucket}/some/where", os.environ)
