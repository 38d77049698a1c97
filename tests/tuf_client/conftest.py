"""A repository, a server that serves it, and a client; new for every story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.client import PRESENT, Client, Starter
from tests.tuf_client.repository import Repository, ecdsa, rsa_pss
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
def _starter(_serving: Server, _prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """What makes the calls, after one of every kind."""
    home = tmp_path_factory.mktemp("starter")
    starter = Starter(home)
    repo = Repository()
    repo.trust("timestamp", ecdsa("warm"))
    repo.trust("snapshot", rsa_pss("warm"))
    repo.add("targets", "x", b"x")
    repo.publish()
    _serving.tell(repo)
    client = Client(_serving, home / "warm", _prepared, starter)
    (client.home / "root").write_bytes(repo.newest()["root"])
    starter.warm_up(("--metadata-dir", str(client.metadata_dir), "init", str(client.home / "root")), home)
    starter.warm_up(client.downloading("x", "missing"), home)
    yield starter
    starter.end()


@pytest.fixture
def repo(_serving: Server) -> Repository:
    """A good repository with four top-level roles at version 1, not yet published."""
    return Repository()


@pytest.fixture
def server(_serving: Server, _starter: Starter, repo: Repository) -> Server:
    """The server, with ``repo`` on it."""
    _serving.tell(repo)
    return _serving


@pytest.fixture
def client(server: Server, tmp_path: Path, _prepared: Path, _starter: Starter) -> Client:
    """A client that knows nothing yet."""
    if not PRESENT:
        pytest.skip("there is no client to test")
    return Client(server, tmp_path / "user" / "home", _prepared, _starter)
