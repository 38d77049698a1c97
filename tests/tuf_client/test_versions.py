"""No version goes back, nothing listed vanishes, what is listed is what is taken: sections 5.4 to 5.6."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import described
from tests.tuf_client.server import endless_behind_the_file, says, status
from tests.tuf_client.stories import ROLES, next_of_all, versions_before, with_team

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Fault, Server


def test_an_older_timestamp_is_refused(repo: Repository, client: Client, server: Server) -> None:
    """A lower version than the trusted one is a rollback; the client keeps what it has."""
    repo.timestamp.version = 2
    repo.publish()
    client.settle()
    before = client.trusted
    repo.timestamp.version = 1
    repo.publish()

    assert 1 == client.refresh()
    assert [("root", 2), ("timestamp", None)] == server.metadata
    assert before == client.trusted


@pytest.mark.parametrize("change", ["note", "expires", "snapshot", "nothing"])
def test_another_timestamp_of_the_same_version_is_discarded(
    repo: Repository, client: Client, server: Server, change: str
) -> None:
    """5.4.3: the trusted one stays, whatever the other says, and that is no error."""
    repo.publish()
    client.settle()
    before = client.trusted
    if change == "note":
        repo.timestamp.signed["note"] = "other bytes"
    elif change == "expires":
        repo.timestamp.expires = "2000-01-01T00:00:00Z"
    elif change == "snapshot":
        repo.snapshot.version = 2
    repo.publish()

    assert 0 == client.refresh()
    assert [("root", 2), ("timestamp", None)] == server.metadata
    assert before == client.trusted


def test_a_timestamp_may_not_list_an_older_snapshot(repo: Repository, client: Client, server: Server) -> None:
    """5.4.3.2: the listed version is compared before the timestamp is kept, so that the next one meets it again."""
    repo.snapshot.version = 2
    repo.publish()
    client.settle()
    before = client.trusted
    repo.timestamp.version, repo.snapshot.version = 2, 1
    repo.publish()

    assert [1, 1] == [client.refresh(), client.refresh()]
    assert [("root", 2), ("timestamp", None)] * 2 == server.metadata
    assert before == client.trusted


def test_a_kept_timestamp_is_a_floor_before_its_snapshot_came(repo: Repository, client: Client, server: Server) -> None:
    """A timestamp whose snapshot could not be had is trusted all the same: no older one comes after it."""
    repo.publish()
    client.settle()
    repo.timestamp.version, repo.snapshot.version = 5, 5
    repo.publish()
    server.faults["metadata/5.snapshot.json"] = status(404)
    assert 1 == client.refresh()
    assert {"root": 1, "timestamp": 5, "snapshot": 1, "targets": 1} == client.versions

    repo.timestamp.version = 4
    repo.publish()

    assert 1 == client.refresh()
    assert 5 == client.versions["timestamp"]


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"targets.json": {"version": 1}},
        {"snapshot.json": {}},
        {"snapshot.json": {"version": 0}},
        {"snapshot.json": {"version": "2"}},
        {"snapshot.json": {"version": True}},
        {"snapshot.json": {"version": 2.0}},
        {"snapshot.json": {"version": 2, "length": -1}},
        {"snapshot.json": {"version": 2, "length": "9"}},
        {"snapshot.json": {"version": 2, "hashes": {"sha256": 5}}},
        {"snapshot.json": {"version": 2, "hashes": []}},
        {"snapshot.json": {"version": 2, "hashes": {"sha256": "no hex"}}},
        {"snapshot.json": {"version": 2, "hashes": {"sha256": "abcd"}}},
        {"snapshot.json": []},
        [],
        None,
    ],
    ids=str,
)
def test_a_timestamp_lists_a_snapshot(repo: Repository, client: Client, meta: Any) -> None:
    """A well-signed timestamp that does not say which snapshot there is, or says it wrongly, is refused."""
    repo.publish()
    client.settle()
    repo.bump("snapshot")
    repo.timestamp.edit(lambda signed: signed.update(meta=meta))
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["snapshot"]


@pytest.mark.parametrize("lists", [(), ("length",), ("hashes",), ("length", "hashes")], ids=str)
def test_lengths_and_hashes_may_be_missing(repo: Repository, client: Client, lists: tuple[str, ...]) -> None:
    """``meta`` entries need no more than a version."""
    repo.lists = lists
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


LISTED = ("snapshot", "targets", "team")


def _listing(repo: Repository, role: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what is listed of a role, by the timestamp or by the snapshot."""
    lister = repo.timestamp if role == "snapshot" else repo.snapshot
    lister.edit(lambda signed: change(signed["meta"][f"{role}.json"]))


@pytest.mark.parametrize("role", LISTED)
@pytest.mark.parametrize(
    "change",
    [
        lambda listed: listed["hashes"].update(sha256="0" * 64),
        lambda listed: listed["hashes"].update(sha512="0" * 128),
        lambda listed: listed.update(length=listed["length"] - 1),
        lambda listed: listed.update(hashes={"md5": "0" * 32}),
    ],
    ids=["sha256", "second hash", "length", "wrong md5"],
)
def test_a_file_is_what_is_listed(
    repo: Repository, client: Client, role: str, change: Callable[[dict[str, Any]], object]
) -> None:
    """A well-signed file with another hash or a greater length than listed is refused; every listed hash counts."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    _listing(repo, role, change)
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions
    assert [b"one"] == list(client.downloaded.values())


@pytest.mark.parametrize("role", LISTED)
def test_sha512_is_as_good(repo: Repository, client: Client, role: str) -> None:
    """Other strong hashes than SHA-256 are understood, alone and beside it."""
    with_team(repo)
    content = repo.files[repo.place(role)]
    _listing(repo, role, lambda listed: listed.update(hashes=described(content, "sha512")["hashes"]))
    if role != "snapshot":
        repo.add("team", "y", b"y", **described(b"y", "sha256", "sha512"))
        content = repo.delegated["team"].content() if role == "team" else content
        repo.snapshot.mend()
        _listing(repo, role, lambda listed: listed.update(hashes=described(content, "sha512", "sha256")["hashes"]))
    repo.publish()
    client.start()

    assert 0 == client.download("x")


@pytest.mark.parametrize("role", LISTED)
def test_weak_hashes_alone_prove_nothing(repo: Repository, client: Client, server: Server, role: str) -> None:
    """A file that only MD5 vouches for is not taken."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    content = repo.files[repo.place(role)]
    weak = hashlib.md5(content).hexdigest()  # noqa: S324 # that is the point
    _listing(repo, role, lambda listed: listed.update(hashes={"md5": weak}))
    repo.publish()
    server.faults[repo.place(role)] = says(content)

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("role", LISTED)
@pytest.mark.parametrize("fault", ["longer", "shorter", "other", "without end"])
def test_bytes_are_compared_before_they_are_read(
    repo: Repository, client: Client, server: Server, role: str, fault: str
) -> None:
    """The right file with a blank more or less, and a well-signed other one, are not what is listed."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    content = repo.files[repo.place(role)]
    faults: dict[str, Fault] = {
        "longer": says(content + b" "),
        "shorter": says(content[:-1]),
        "other": says(content.replace(b'"signatures"', b' "signatures"')),
        "without end": endless_behind_the_file,
    }
    server.faults[repo.place(role)] = faults[fault]

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_a_huge_listed_length_is_no_permission(repo: Repository, client: Client, server: Server, role: str) -> None:
    """The client's own bound on a file's size holds, whatever is listed."""
    repo.lists = ()
    with_team(repo)
    _listing(repo, role, lambda listed: listed.update(length=2**40))
    repo.publish()
    client.start()
    server.faults[repo.place(role)] = endless_behind_the_file

    assert 1 == client.refresh()
    assert client.seconds < 20


@pytest.mark.parametrize("role", ["targets", "team"])
def test_a_snapshot_lists_no_older_version(repo: Repository, client: Client, role: str) -> None:
    """5.5.5: neither of the targets role nor of a delegated one, whether or not it was ever asked for."""
    with_team(repo)
    repo.document(role).version = 2
    repo.publish()
    client.settle()
    repo.bump("snapshot")
    repo.document(role).version = 1
    repo.publish()

    assert 1 == client.refresh()
    assert [2, 1] == [client.versions["timestamp"], client.versions["snapshot"]]


@pytest.mark.parametrize("role", ["targets", "team"])
def test_what_a_snapshot_listed_stays(repo: Repository, client: Client, role: str) -> None:
    """5.5.6: an entry that vanished is refused, of a delegated role too."""
    with_team(repo)
    client.settle()
    repo.bump("snapshot")
    repo.snapshot.edit(lambda signed: signed["meta"].pop(f"{role}.json"))
    repo.publish()

    assert 1 == client.refresh()
    assert [2, 1] == [client.versions["timestamp"], client.versions["snapshot"]]


def test_a_snapshot_may_list_more(repo: Repository, client: Client) -> None:
    """New entries are welcome, whatever their role."""
    repo.publish()
    client.settle()
    repo.bump("targets")
    with_team(repo)

    assert 0 == client.download("x")


@pytest.mark.parametrize(
    "entry",
    [{}, {"version": 0}, {"version": -1}, {"version": True}, {"version": "1"}, {"version": 1.0}, [], None, "1"],
    ids=str,
)
def test_every_entry_of_a_snapshot_is_checked(repo: Repository, client: Client, entry: Any) -> None:
    """A well-signed snapshot with one bad entry, be it of a role that nobody asks for, is refused."""
    repo.publish()
    client.settle()
    repo.bump("snapshot")
    repo.snapshot.edit(lambda signed: signed["meta"].update({"unused.json": entry}))
    repo.publish()

    assert 1 == client.refresh()
    assert [2, 1] == [client.versions["timestamp"], client.versions["snapshot"]]


@pytest.mark.parametrize("lists", [(), ("length", "hashes")], ids=["versions", "hashes"])
def test_a_snapshot_that_is_no_longer_listed_is_still_the_floor(
    repo: Repository, client: Client, lists: tuple[str, ...]
) -> None:
    """What was trusted is remembered also where the new timestamp lists another hash or version."""
    repo.lists = lists
    repo.targets.version = 3
    repo.publish()
    client.settle()
    repo.bump("snapshot")
    repo.targets.version = 2
    repo.publish()
    assert 1 == client.refresh()
    repo.bump("snapshot")
    repo.publish()

    assert 1 == client.refresh()
    assert [3, 1] == [client.versions["timestamp"], client.versions["snapshot"]]

    repo.bump("snapshot")
    repo.targets.version = 3
    repo.publish()

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("role", LISTED)
def test_a_resigned_file_of_the_same_version_is_fetched(
    repo: Repository, client: Client, server: Server, role: str
) -> None:
    """Where the listed hash changed and the version did not, the cached file is not the listed one any more."""
    with_team(repo)
    client.settle("x")
    repo.bump("timestamp" if role == "snapshot" else "snapshot")
    repo.document(role).signed["note"] = "signed again"
    repo.publish()

    assert 0 == client.download("x")
    assert (role, 1) in server.metadata
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("code", [404, 403, 500, 304, 204])
def test_a_file_that_cannot_be_had_is_an_error(
    repo: Repository, client: Client, server: Server, role: str, code: int
) -> None:
    """Only a root may be missing; for all else the client stays where it is."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()
    server.faults[repo.place(role)] = status(code, b"")

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions
    assert [b"one"] == list(client.downloaded.values())


def test_versions_may_jump(repo: Repository, client: Client) -> None:
    """Only roots go one by one."""
    with_team(repo)
    client.settle("x")
    repo.timestamp.version, repo.snapshot.version, repo.targets.version = 10, 2**31, 7
    repo.delegated["team"].version = 2**53
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


def test_without_consistent_snapshots_nothing_goes_back_either(repo: Repository, client: Client) -> None:
    """The checks are the same where names have no versions in them."""
    repo.root.signed["consistent_snapshot"] = False
    with_team(repo)
    client.settle("x")
    old = {role: repo.files[repo.place(role)] for role in LISTED}
    next_of_all(repo)
    repo.root.version = 1
    repo.publish()
    good = repo.files
    for role in LISTED:
        repo.files = good | {repo.place(role): old[role]}
        assert 1 == client.download("x")
        assert {**versions_before(role), "root": 1} == client.versions

    repo.files = good
    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


def test_a_race_with_a_publisher_is_survived(repo: Repository, client: Client, server: Server) -> None:
    """Without consistent snapshots a file may be replaced between two requests; the next refresh makes up for it."""
    repo.root.signed["consistent_snapshot"] = False
    with_team(repo)
    client.settle("x")
    repo.bump("targets", "team")
    repo.publish()
    old = repo.files
    repo.bump("targets", "team")
    repo.publish()
    server.faults["metadata/timestamp.json"] = says(old["metadata/timestamp.json"])

    assert 1 == client.download("x")
    assert [2, 1] == [client.versions["timestamp"], client.versions["snapshot"]]

    server.faults.clear()
    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files
