"""What the tests of several adapters want to speak to."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.peers import RegistryPeer, docker_registry
from tests.peers.moto import MotoPeer, moto_server
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.tls import Tls
from trustreg.names import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


_NUMBERS = itertools.count()
