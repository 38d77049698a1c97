"""A place of each kind, empty, on a real server where it takes one."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.peers import RegistryPeer, docker_registry
from tests.peers.moto import MotoPeer, moto_server
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.stores.folder import FolderStore
from trustreg.io.stores.objects import ObjectStore
from trustreg.io.stores.oci import OciStore
from trustreg.io.tls import Tls
from trustreg.names import Reference
from trustreg.ports import Store, TargetFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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


@pytest.fixture(scope="session")
def registry_peer() -> Iterator[RegistryPeer]:
    """Run a registry, where nobody has to log in."""
    with docker_registry() as peer:
        yield peer


@pytest.fixture
def registry(tmp_path: Path) -> HttpRegistry:
    """Speak to registries on this machine."""
    http = Http({}, Tls({}, str(tmp_path)))
    return HttpRegistry(Auth(http), DockerCredentials({}, str(tmp_path)))


@pytest.fixture
def repository(registry_peer: RegistryPeer) -> Reference:
    """Name a repository that is not there yet."""
    return Reference.parse(f"{registry_peer.host}/trust/app-{next(_NUMBERS)}")


@pytest.fixture
def oci_place(registry: HttpRegistry, repository: Reference) -> Callable[[], Both]:
    return lambda: OciStore(registry, repository)


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoPeer]:
    """Run something that speaks S3."""
    with moto_server() as peer:
        yield peer


@pytest.fixture
def bucket(moto: MotoPeer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a bucket that is empty, and have the credentials for it in the environment."""
    for name, value in moto.env.items():
        monkeypatch.setenv(name, value)
    return moto.bucket(f"bucket-{next(_NUMBERS)}")


@pytest.fixture
def bucket_place(bucket: str) -> Callable[[], Both]:
    return lambda: ObjectStore(f"{bucket}/some/where", os.environ)


_NUMBERS = itertools.count()
