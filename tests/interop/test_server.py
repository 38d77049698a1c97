"""
Unmodified Go clients on ``trustreg serve``: every operation, with snapshot keys on either side.

Each test ends by asking a reader who has no cache, and one whose cache is as old as can be.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_peers import signer
from tests.peers import CommandError, GoNotary, Peer, TargetRow, trustreg_serve
from tests.peers.process import accepts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers import Authority, DockerTrust

    People = Callable[..., GoNotary]

SHA256 = hashlib.sha256(b"hello\n").hexdigest()
MANAGED = pytest.mark.parametrize("managed", [False, True], ids=["client-snapshot", "server-snapshot"])


@pytest.fixture(scope="module")
def server() -> Iterator[Peer]:
    """A shared ``trustreg serve``, plain http."""
    with trustreg_serve() as peer:
        yield peer


@pytest.fixture(scope="module")
def server_tls(authority: Authority) -> Iterator[Peer]:
    """A shared ``trustreg serve``, https."""
    with trustreg_serve(tls=authority) as peer:
        yield peer


class Readers:
    """A person who read the collection first of all and then never, and people who read it for the first time."""

    def __init__(self, people: People, server: Peer, gun: str) -> None:
        self._people, self._server, self._gun = people, server, gun
        self._early = people(server)

    def begin(self) -> None:
        """Let the early reader read."""
        self._early.list(self._gun)

    def list(self) -> dict[str, str | None]:
        """Return the role of each name, of which all readers say the same."""
        rows = self._people(self._server).list(self._gun)
        assert rows == self._early.list(self._gun)
        assert all((row.sha256, row.length) == (SHA256, 6) for row in rows)
        return {row.name: row.role for row in rows}


@pytest.fixture
def readers(server: Peer, go_notary: People, gun: str) -> Readers:
    """Readers of ``gun``."""
    return Readers(go_notary, server, gun)


def begin(go: GoNotary, gun: str, *, managed: bool) -> None:
    """Publish a new collection with one name in it."""
    go.init(gun)
    go.addhash(gun, "v1", 6, sha256=SHA256, publish=True)
    if managed:
        go.key_rotate(gun, "snapshot", server_managed=True)


def kill(server: Peer) -> None:
    """Kill the server, and wait until its workers have let go of the port."""
    server.kill()
    while accepts(server.port):
        time.sleep(0.01)


@MANAGED
def test_targets(server: Peer, go_notary: People, readers: Readers, gun: str, *, managed: bool) -> None:
    """
    Names are added, looked up, verified and removed; publishing nothing is fine too.
    """
    go = go_notary(server)
    begin(go, gun, managed=managed)
    readers.begin()

    go.publish(gun)
    go.addhash(gun, "v2", 6, sha256=SHA256)
    go.addhash(gun, "name with <b> & spaces", 6, sha256=SHA256)
    go.addhash(gun, "näme", 6, sha256=SHA256, publish=True)
    go.remove(gun, "v1", publish=True)
    go.publish(gun)

    assert readers.list() == dict.fromkeys(["v2", "name with <b> & spaces", "näme"], "targets")
    assert go_notary(server).lookup(gun, "v2") == TargetRow("v2", SHA256, 6, None)
    assert go_notary(server).lookup(gun, "v1") is None
    assert go_notary(server).verify(gun, "v2", b"hello\n")
    assert not go_notary(server).verify(gun, "v2", b"hullo\n")


@MANAGED
def test_delegations(
    server: Peer, go_notary: People, readers: Readers, gun: str, tmp_path: Path, *, managed: bool
) -> None:
    """
    Delegations are added, signed by one who holds no other key, witnessed, emptied of keys, given new ones, removed.
    """
    go, delegate = go_notary(server), go_notary(server)
    cert, key = signer(tmp_path)
    begin(go, gun, managed=managed)
    readers.begin()
    go.delegation_add(gun, "targets/releases", cert, publish=True)
    go.delegation_add(gun, "targets/nightly", cert, paths=["nightly", "weekly"], publish=True)
    (signs := delegate if managed else go).key_import(key, role="targets/releases")
    signs.addhash(gun, "v2", 6, sha256=SHA256, roles=["targets/releases"], publish=True)
    signs.addhash(gun, "nightly-1", 6, sha256=SHA256, roles=["targets/nightly"], publish=True)
    signs.witness(gun, "targets/releases", publish=True)

    named = {row.role: row for row in go.delegation_list(gun)}
    assert readers.list() == {"v1": "targets", "v2": "targets/releases", "nightly-1": "targets/nightly"}
    assert named["targets/nightly"].paths == ("nightly", "weekly")

    go.delegation_purge(gun, *named["targets/releases"].key_ids, publish=True)
    assert readers.list() == {"v1": "targets"}
    go.delegation_remove(gun, "targets/nightly", publish=True)
    go.delegation_add(gun, "targets/releases", cert, publish=True)
    go.key_import(key, role="targets/releases")
    go.witness(gun, "targets/releases", publish=True)

    assert readers.list() == {"v1": "targets", "v2": "targets/releases"}
    assert [row.role for row in go.delegation_list(gun)] == ["targets/releases"]


@MANAGED
def test_nested_delegations(
    server: Peer, go_notary: People, readers: Readers, gun: str, tmp_path: Path, *, managed: bool
) -> None:
    """
    A delegation below a delegation goes away with it, and the collection stays whole.
    """
    go = go_notary(server)
    cert, key = signer(tmp_path)
    begin(go, gun, managed=managed)
    readers.begin()
    go.delegation_add(gun, "targets/a", cert, publish=True)
    go.key_import(key, role="targets/a")
    go.delegation_add(gun, "targets/a/b", cert, publish=True)
    go.addhash(gun, "v2", 6, sha256=SHA256, roles=["targets/a/b"], publish=True)
    assert readers.list() == {"v1": "targets", "v2": "targets/a/b"}

    go.delegation_remove(gun, "targets/a", publish=True)
    go.addhash(gun, "v3", 6, sha256=SHA256, publish=True)

    assert readers.list() == {"v1": "targets", "v3": "targets"}


@MANAGED
def test_rotations(server: Peer, go_notary: People, readers: Readers, gun: str, *, managed: bool) -> None:
    """
    Every key is replaced, some twice and the snapshot's to the server and back, and readers follow.
    """
    go = go_notary(server)
    begin(go, gun, managed=managed)
    readers.begin()

    for role in ("root", "targets", "root"):
        go.key_rotate(gun, role)
    go.key_rotate(gun, "timestamp", server_managed=True)
    go.key_rotate(gun, "timestamp", server_managed=True)
    go.key_rotate(gun, "snapshot", server_managed=True)
    go.addhash(gun, "v2", 6, sha256=SHA256, publish=True)
    go.key_rotate(gun, "snapshot")
    go.addhash(gun, "v3", 6, sha256=SHA256, publish=True)
    go.key_rotate(gun, "snapshot", server_managed=True)

    assert readers.list() == dict.fromkeys(["v1", "v2", "v3"], "targets")


def test_rotation_before_publishing(server: Peer, go_notary: People, readers: Readers, gun: str) -> None:
    """
    A key replaced twice within one staged collection gives root versions that follow each other.
    """
    go = go_notary(server)
    go.init(gun, publish=True)
    readers.begin()

    go.key_rotate(gun, "root")
    go.key_rotate(gun, "root")

    assert readers.list() == {}


def test_delete(server: Peer, go_notary: People, gun: str) -> None:
    """
    A deleted collection is gone, others whose names begin alike are not, and the name can be used again.
    """
    go, other, again = go_notary(server), go_notary(server), go_notary(server)
    begin(go, gun, managed=True)
    begin(other, f"{gun}/more", managed=False)

    go.delete(gun, remote=True)
    go.delete(gun, remote=True)

    with pytest.raises(CommandError, match="does not have trust data"):
        go_notary(server).list(gun)
    assert [row.name for row in go_notary(server).list(f"{gun}/more")] == ["v1"]
    begin(again, gun, managed=False)
    assert [row.name for row in go_notary(server).list(gun)] == ["v1"]


@pytest.mark.parametrize("name", ["localhost:5000/app", "Upper/Case", "übung/λ", "a.b/c_d/e-f/g", "one"])
def test_names(server: Peer, go_notary: People, name: str) -> None:
    """
    Collections have names of every shape.
    """
    begin(go_notary(server), name, managed=True)

    assert [row.name for row in go_notary(server).list(name)] == ["v1"]


def test_publishers_take_turns(server: Peer, go_notary: People, gun: str, tmp_path: Path) -> None:
    """
    Two people with the same keys publish in turn, each after the other, and nothing is lost.
    """
    first, second = go_notary(server), go_notary(server)
    begin(first, gun, managed=True)
    first.key_export(tmp_path / "keys.pem")
    second.key_import(tmp_path / "keys.pem")

    for number in range(3):
        first.addhash(gun, f"first-{number}", 6, sha256=SHA256, publish=True)
        second.addhash(gun, f"second-{number}", 6, sha256=SHA256, publish=True)

    assert len(go_notary(server).list(gun)) == 7


def test_a_refusal_is_shown(server: Peer, go_notary: People, gun: str) -> None:
    """
    A Go publisher is shown our reason: here, a collection that was begun with another server's timestamp key.
    """
    go = go_notary(server)
    go.init(gun)

    with trustreg_serve() as other, pytest.raises(CommandError, match="timestamp keys are this server's"):
        GoNotary(other, go.trust_dir, passphrases=go.passphrases).publish(gun)


def test_restart_and_kill(go_notary: People, gun: str) -> None:
    """
    Collections, keys and all outlive a restart and a kill, for readers and publishers.
    """
    with trustreg_serve() as server:
        go = go_notary(server)
        begin(go, gun, managed=True)
        with server.down():
            pass
        go.addhash(gun, "v2", 6, sha256=SHA256, publish=True)
        kill(server)
        server.start()
        go.addhash(gun, "v3", 6, sha256=SHA256, publish=True)
        go.key_rotate(gun, "timestamp", server_managed=True)

        assert [row.name for row in go_notary(server).list(gun)] == ["v1", "v2", "v3"]
        with sqlite3.connect(server.directory / "state" / "trust.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


def test_docker(server_tls: Peer, docker_trust: Callable[..., DockerTrust], go_notary: People, gun: str) -> None:
    """
    Docker inspects over https what Go signed, and knows what is not there.
    """
    docker = docker_trust(server_tls)
    assert docker.inspect(gun) is None

    begin(go_notary(server_tls), gun, managed=False)

    report = docker.inspect(gun)
    assert report is not None
    assert [(tag.tag, tag.sha256, tag.signers) for tag in report.tags] == [("v1", SHA256, ("Repo Admin",))]


def test_docker_signers(server_tls: Peer, docker_trust: Callable[..., DockerTrust], gun: str, tmp_path: Path) -> None:
    """
    Docker begins a collection without a snapshot, adds and removes signers, and shows who signed.
    """
    docker = docker_trust(server_tls)
    go = GoNotary(server_tls, docker.trust_dir, passphrases=docker.passphrases)
    public = docker.key_generate("alice", tmp_path)
    signer(tmp_path)

    docker.signer_add("alice", gun, [public])
    docker.signer_add("bob", gun, [tmp_path / "signer.pub"])
    go.addhash(gun, "v1", 6, sha256=SHA256, roles=["targets/alice", "targets/releases"], publish=True)
    added = docker.inspect(f"{gun}:v1")
    docker.signer_remove("alice", gun)
    removed = docker.inspect(gun)

    assert added is not None
    assert [tag.signers for tag in added.tags] == [("alice",)]
    assert removed is not None
    assert set(removed.signers) == {"bob"}
