"""
The real servers, shared by the tests of a run, and the real clients, new for each test.

A test that takes a shared server down makes its own with the context managers of
``tests.peers``; a test that only writes uses a ``gun`` that nobody else has.
"""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.stores import Shelf
from tests.peers import (
    DockerTrust,
    GoNotary,
    Passphrases,
    Peer,
    RegistryPeer,
    Trustreg,
    docker_registry,
    notary_server,
    notary_server_with_signer,
    trustreg_serve,
)
from tests.peers.moto import MotoPeer, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.parity import Crowd
    from tests.peers import Authority, TrustServerPeer

pytest.register_assert_rewrite("tests.interop.parity")

TRUST_SERVERS = {
    "notary-server": notary_server,
    "notary-server-postgres": notary_server_with_signer,
    "trustreg-serve": trustreg_serve,
}
ON_POSTGRES = {
    "test_notary_reads",
    "test_notary_writes",
    "test_parity_ours",
    "test_parity_staged",
    "test_parity_theirs",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run a test that takes a trust server once with each, if it does not say itself with which; on PostgreSQL where much
    is asked of a server.
    """
    on_postgres = metafunc.module.__name__.rpartition(".")[2] in ON_POSTGRES
    names = [name for name in TRUST_SERVERS if on_postgres or "postgres" not in name]
    said = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    for fixture in {"trust_server", "trust_server_tls"} & set(metafunc.fixturenames) - said:
        metafunc.parametrize(fixture, names, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the real peers, which is everything in this directory."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("interop")


@pytest.fixture(scope="session")
def go_server() -> Iterator[Peer]:
    """A shared ``notary-server``, plain http."""
    with notary_server() as peer:
        yield peer


@pytest.fixture(scope="session")
def go_server_tls(authority: Authority) -> Iterator[Peer]:
    """A shared ``notary-server``, https, certified by ``authority``."""
    with notary_server(tls=authority) as peer:
        yield peer


@pytest.fixture(scope="session")
def trust_server(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Each trust server in turn, shared, plain http: a test that takes it runs once with Go's and once with ours."""
    with TRUST_SERVERS[request.param]() as peer:
        yield peer


@pytest.fixture(scope="session")
def trust_server_tls(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Peer]:
    """Each trust server in turn, shared, https, certified by ``authority``."""
    with TRUST_SERVERS[request.param](tls=authority) as peer:
        yield peer


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryPeer]:
    """A shared registry behind a password file: ``registry.login()`` is alice's, ``registry.login("bob")`` bob's."""
    with docker_registry(htpasswd={"alice": "correct horse", "bob": "battery: staple"}) as peer:
        yield peer


@pytest.fixture(scope="session")
def open_registry() -> Iterator[RegistryPeer]:
    """A shared registry that lets everybody in."""
    with docker_registry() as peer:
        yield peer


@pytest.fixture
def gun() -> str:
    """
    Name a collection that no other test has.

    All are of one length, so none begins with another: notary-server deletes by prefix.
    """
    return f"registry.example/app-{secrets.token_hex(6)}"


@pytest.fixture
def go_notary(tmp_path: Path) -> Callable[..., GoNotary]:
    """Make Go clients: ``go_notary(server)``. Each call is another person, with a trust directory of their own."""
    people = itertools.count(1)

    def make(server: TrustServerPeer, *, passphrases: Passphrases | None = None) -> GoNotary:
        place = tmp_path / f"go-{next(people)}"
        place.mkdir()
        return GoNotary(server, place / "trust", passphrases=passphrases)

    return make


@pytest.fixture
def docker_trust(tmp_path: Path) -> Callable[..., DockerTrust]:
    """Make Docker clients: ``docker_trust(server)``. Each call is another person, with a DOCKER_CONFIG of their own."""
    people = itertools.count(1)

    def make(server: TrustServerPeer, *, passphrases: Passphrases | None = None) -> DockerTrust:
        return DockerTrust(server, tmp_path / f"docker-{next(people)}", passphrases=passphrases)

    return make


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Trustreg]:
    """
    Make people who use trustreg: ``people(server)``. Each call is another one, with a home of their own.

    The keywords are those of :class:`tests.peers.Trustreg`.
    """
    count = itertools.count(1)

    def make(server: TrustServerPeer, **settings: Any) -> Trustreg:
        return Trustreg(server, tmp_path / f"person-{next(count)}", **settings)

    return make


@pytest.fixture
def crowd(trust_server_tls: Peer, tmp_path: Path) -> Crowd:
    """Readers of every kind, of collections on ``trust_server_tls``."""
    from tests.interop.parity import Crowd

    return Crowd(trust_server_tls, tmp_path)


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoPeer]:
    """Something that speaks S3."""
    with moto_server() as peer:
        yield peer


@pytest.fixture(params=["dir", "s3", "oci"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty place in each kind of store that can be written to."""
    kind, name = request.param, f"app-{secrets.token_hex(6)}"
    if kind == "dir":
        return Shelf(kind, f"dir:{tmp_path / 'shelf'}")
    if kind == "s3":
        peer: MotoPeer = request.getfixturevalue("moto")
        for variable, value in peer.env.items():
            monkeypatch.setenv(variable, value)  # obstore looks there for itself
        return Shelf(kind, f"{peer.bucket(name)}/trust", peer.env)
    return Shelf(kind, f"oci:{request.getfixturevalue('open_registry').host}/trust/{name}")
