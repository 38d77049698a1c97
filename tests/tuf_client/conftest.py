"""A repository, a server that serves it, and a client; new for every story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.client import PRESENT, Client, Starter
from tests.tuf_client.repository import Repository
from tests.tuf_client.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def _serving() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def _starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    starter = Starter(tmp_path_factory.mktemp("starter"))
    yield starter
    starter.end()


@pytest.fixture
def repo(_serving: Server) -> Repository:
    """A good repository with four top-level roles at version 1, not yet published."""
    return Repository()


@pytest.fixture
def server(_serving: Server, repo: Repository) -> Server:
    """The server, with ``repo`` on it."""
    _serving.tell(repo)
    return _serving


@pytest.fixture
def client(server: Server, tmp_path: Path, _prepared: Path, _starter: Starter) -> Client:
    """A client that knows nothing yet."""
    if not PRESENT:
        pytest.skip("there is no client to test")
    return Client(server, tmp_path / "user" / "home", _prepared, _starter)
