"""Which requests a client makes, in which order and how many; what it keeps afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.server import status, tagged
from tests.tuf_client.stories import with_team

if TYPE_CHECKING:
    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Server

NOTHING_NEW = [("root", 2), ("timestamp", None)]


def test_the_first_refresh_asks_for_five_files(repo: Repository, client: Client, server: Server) -> None:
    """The next root, which is not there, and the other top-level files; delegated roles are not asked for."""
    with_team(repo)
    client.start()

    assert 0 == client.refresh()
    assert [*NOTHING_NEW, ("snapshot", 1), ("targets", 1)] == server.metadata
    assert len(server.metadata) == len(server.requests)
    assert repo.newest() == client.trusted
    assert sorted(repo.newest().values()) == client.json_files


def test_without_consistent_snapshots_names_have_no_versions(repo: Repository, client: Client, server: Server) -> None:
    """Except for the root's."""
    repo.root.signed["consistent_snapshot"] = False
    with_team(repo)
    client.start()

    assert 0 == client.download("x")
    unversioned = [(role, None) for role in ("timestamp", "snapshot", "targets", "team")]
    assert [("root", 2), *unversioned] == server.metadata
    assert ["x"] == server.targets
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ((), []),
        (("timestamp",), []),
        (("snapshot",), [("snapshot", 2)]),
        (("targets",), [("snapshot", 2), ("targets", 2)]),
        (("team",), [("snapshot", 2), ("team", 2)]),
        (("targets", "team"), [("snapshot", 2), ("targets", 2), ("team", 2)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("lists", [(), ("length", "hashes")], ids=["versions", "hashes"])
def test_only_what_changed_is_asked_for(
    repo: Repository,
    client: Client,
    server: Server,
    changed: tuple[str, ...],
    asked: list[tuple[str, int]],
    lists: tuple[str, ...],
) -> None:
    """A client that is up to date makes two requests, whether or not hashes are listed."""
    repo.lists = lists
    with_team(repo)
    client.settle("x")
    repo.bump(*changed)
    repo.publish()

    assert 0 == client.download("x")
    assert [*NOTHING_NEW, *asked] == server.metadata
    assert [] == server.targets
    assert sorted(repo.newest("team").values()) == client.json_files


def test_a_new_root_alone_is_asked_for(repo: Repository, client: Client, server: Server) -> None:
    """A root that changes nothing for the others leaves them where they are."""
    repo.publish()
    client.settle()
    repo.root.version = 2
    repo.publish()

    assert 0 == client.refresh()
    assert [("root", 2), ("root", 3), ("timestamp", None)] == server.metadata
    assert repo.newest() == client.trusted


def test_roles_that_are_not_needed_are_not_asked_for(repo: Repository, client: Client, server: Server) -> None:
    """A delegation that does not cover the path costs nothing, also where its file is broken."""
    repo.delegate("targets", "other", paths=["other/*"])
    repo.delegated["other"].signers = []
    with_team(repo)
    client.start()

    assert 0 == client.download("x")
    assert ["team"] == server.visited


@pytest.mark.parametrize("slash", ["", "/"])
def test_urls_end_with_a_slash_or_not(repo: Repository, client: Client, server: Server, slash: str) -> None:
    """Both say the same directory."""
    repo.add("targets", "x", b"x")
    repo.publish()
    client.start()
    client.metadata_url = client.metadata_url.rstrip("/") + slash
    client.target_base_url = client.target_base_url.rstrip("/") + slash

    assert 0 == client.download("x")
    assert [b"x"] == list(client.downloaded.values())
    assert all("//" not in request.raw for request in server.requests)


def test_a_server_with_etags_changes_nothing(repo: Repository, client: Client, server: Server) -> None:
    """A client may ask whether something changed, and an answer that it did not is as good as the file it has."""
    repo.publish()
    server.faults["metadata/timestamp.json"] = tagged
    client.start()
    assert [0, 0] == [client.refresh(), client.refresh()]
    assert repo.newest() == client.trusted

    repo.bump("targets")
    repo.publish()
    assert [0, 0] == [client.refresh(), client.refresh()]
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("damage", [b"", b"{}", None], ids=["empty", "other", "missing"])
def test_a_file_that_is_lost_is_not_unchanged(
    repo: Repository, client: Client, server: Server, damage: bytes | None
) -> None:
    """Who lost a file since must have it again from a server that believes it is known."""
    repo.publish()
    server.faults["metadata/timestamp.json"] = tagged
    client.start()
    assert 0 == client.refresh()
    if damage is None:
        (client.metadata_dir / "timestamp.json").unlink()
    else:
        client.write("timestamp", damage)

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("settled", [False, True])
def test_not_modified_is_no_file(repo: Repository, client: Client, server: Server, *, settled: bool) -> None:
    """304 to a client that has nothing to compare with is an error, or at least no news."""
    repo.publish()
    if settled:
        client.settle()
    else:
        client.start()
    before = client.trusted
    server.faults["metadata/timestamp.json"] = status(304, b"")

    assert 1 == client.refresh()
    assert before == client.trusted


def test_nobody_at_the_address_is_an_error(repo: Repository, client: Client) -> None:
    """A refused connection changes nothing."""
    repo.publish()
    client.settle()
    before = client.trusted
    client.metadata_url = "http://127.0.0.1:9/"

    assert 1 == client.refresh()
    assert before == client.trusted


@pytest.mark.parametrize(
    "arguments", [["--metadata-dir", "{dir}", "init", "/nonexistent"], []], ids=["no file", "none"]
)
def test_a_call_that_says_too_little_fails(client: Client, arguments: list[str]) -> None:
    """With an exit code of its own, perhaps, but not with 0."""
    with client.spawn([argument.format(dir=client.metadata_dir) for argument in arguments]) as process:
        output, _ = process.communicate()
    assert 0 != process.returncode
    assert "Traceback" not in output
