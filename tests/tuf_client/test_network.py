"""Servers that never end, never begin, or send you elsewhere: a client is done in bounded time and space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.server import (
    bomb,
    broken_off,
    drip,
    endless,
    endless_behind_the_file,
    reset,
    silent,
    status,
    times,
)
from tests.tuf_client.stories import next_of_all, versions_before, with_team

if TYPE_CHECKING:
    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Fault, Server

ROLES = ("root", "timestamp", "snapshot", "targets", "team")
FULL = bool(os.environ.get("TRUSTREG_FULL"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "fault", [endless(), endless(b"{"), endless_behind_the_file, bomb], ids=["[", "{", "file", "bomb"]
)
def test_data_without_end_is_cut(repo: Repository, client: Client, server: Server, role: str, fault: Fault) -> None:
    """However it begins, however it is packed, and where no length is listed: a client stops reading."""
    repo.lists = ()
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    server.faults[repo.place(role)] = fault

    assert 1 == client.download("x")
    assert client.seconds < 20
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("fault", [broken_off(100), reset], ids=["broken off", "reset"])
def test_a_broken_connection_is_an_error(
    repo: Repository, client: Client, server: Server, role: str, fault: Fault
) -> None:
    """Half a file is no file, and for a root no reason to stay at the old one."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    server.faults[repo.place(role)] = fault

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("role", ROLES)
def test_a_hiccup_is_survived_or_an_error(repo: Repository, client: Client, server: Server, role: str) -> None:
    """A connection that breaks once may be tried again; with the second run all is well in any case."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    server.faults[repo.place(role)] = times(1, reset)

    if client.download("x"):
        assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirects_end(repo: Repository, client: Client, server: Server, code: int) -> None:
    """A circle of them is an error; one that leads to the file may be followed, but not for ever."""
    repo.publish()
    client.start()
    server.faults["metadata/timestamp.json"] = status(code, location="/metadata/timestamp.json")

    assert 1 == client.refresh()
    assert len(server.requests) < 100
    assert client.seconds < 10


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://127.0.0.1:9/", "", "http://[", "\\\\x", "data:,x"])
def test_redirects_elsewhere_are_errors(repo: Repository, client: Client, server: Server, location: str) -> None:
    """Where nothing good can come from."""
    repo.publish()
    client.start()
    server.faults["metadata/timestamp.json"] = status(302, location=location)

    assert 1 == client.refresh()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["timestamp", "targets"] if FULL else ["timestamp"])
def test_a_trickle_is_cut(repo: Repository, client: Client, server: Server, role: str) -> None:
    """
    A byte now and then does not hold a client for ever.

    By default the server gives up after some seconds, and what came is refused; in the full run it goes on for longer
    than any patience.
    """
    repo.publish()
    client.start()
    server.faults[repo.place(role)] = drip(0.25, 800 if FULL else 12)

    assert 1 == client.refresh()
    assert client.seconds < 60


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="waits for a time-out")
def test_silence_is_cut(repo: Repository, client: Client, server: Server) -> None:
    """A server that takes the request and says nothing is left alone after a while."""
    repo.publish()
    client.start()
    server.faults["metadata/timestamp.json"] = silent

    assert 1 == client.refresh()
    assert client.seconds < 60
