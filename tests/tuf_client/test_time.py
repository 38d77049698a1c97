"""What expires and what does not, by the clock of the machine: these stories wait for a second or two."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import from_now
from tests.tuf_client.server import late
from tests.tuf_client.stories import with_team

if TYPE_CHECKING:
    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Server


def wait_until(moment: str) -> None:
    """Wait until a spelled time is over."""
    end = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    time.sleep(max(0, (end - datetime.now(UTC)).total_seconds() + 0.01))


def test_what_is_kept_expires(repo: Repository, client: Client) -> None:
    """
    An expired file is not used because it was good once, but it is still the floor.

    In one story, to wait once: all but the root expire; then their successors come back one after the other.
    """
    with_team(repo)
    good = repo.timestamp.expires
    soon = from_now(seconds=2)
    for document in (repo.timestamp, repo.snapshot, repo.targets, repo.delegated["team"]):
        document.version, document.expires = 5, soon
    repo.publish()
    client.start()
    assert 0 == client.download("x")
    before = client.trusted
    wait_until(soon)
    assert 1 == client.refresh()  # nothing new, and what is there is too old
    assert before == client.trusted

    repo.timestamp.version, repo.timestamp.expires = 4, good
    repo.publish()
    assert 1 == client.refresh()  # the expired timestamp is still the floor
    assert before == client.trusted

    repo.timestamp.version = 6
    repo.publish()
    assert 1 == client.refresh()  # a new timestamp does not make an old snapshot good
    assert {"root": 1, "timestamp": 6, "snapshot": 5, "targets": 5} == client.versions

    repo.timestamp.version, repo.snapshot.version, repo.snapshot.expires = 7, 6, good
    repo.targets.version = 4
    repo.publish()
    assert 1 == client.refresh()  # the expired snapshot is still the floor
    assert {"root": 1, "timestamp": 7, "snapshot": 5, "targets": 5} == client.versions

    repo.timestamp.version, repo.snapshot.version, repo.targets.version = 8, 7, 5
    repo.publish()
    assert 1 == client.refresh()  # a new snapshot does not make old targets good
    assert {"root": 1, "timestamp": 8, "snapshot": 7, "targets": 5} == client.versions

    repo.timestamp.version, repo.snapshot.version, repo.targets.version, repo.targets.expires = 9, 8, 6, good
    repo.publish()
    assert 0 == client.refresh()
    assert repo.newest() == client.trusted
    assert 1 == client.download("x")  # nor do new targets make an old delegated role good

    repo.bump("team")
    repo.delegated["team"].expires = good
    repo.publish()
    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


def test_one_time_holds_for_a_whole_update(repo: Repository, client: Client, server: Server) -> None:
    """5.1: what expires while the update is under way was good when it began, and is good until it ends."""
    soon = from_now(seconds=2)
    for document in (repo.root, repo.timestamp, repo.snapshot, repo.targets):
        document.expires = soon
    repo.publish()
    assert 0 == client.init(repo.newest()["root"])
    server.faults["metadata/2.root.json"] = late(3.1)

    assert 0 == client.refresh()
    server.faults.clear()
    assert 1 == client.refresh()


@pytest.mark.parametrize(
    "expires",
    ["never", "", None, 5, "2100-13-01T00:00:00Z", "2100-01-01", "2100-01-01T00:00:00", "2100-02-30T00:00:00Z", []],
    ids=str,
)
@pytest.mark.parametrize("role", ["timestamp", "targets"])
def test_an_end_is_a_time(repo: Repository, client: Client, role: str, expires: object) -> None:
    """Whatever else is written where the time of expiry belongs is refused."""
    repo.publish()
    client.settle()
    repo.bump("targets")
    repo.document(role).edit(lambda signed: signed.update(expires=expires))
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions[role]


def test_an_end_far_away_is_fine(repo: Repository, client: Client) -> None:
    """The last second that can be written is a time like any other."""
    repo.timestamp.expires = "9999-12-31T23:59:59Z"
    repo.publish()
    client.start()

    assert 0 == client.refresh()
