"""What the server takes of a collection that is signed elsewhere, and what it refuses for which reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.server.team import DIALECT, EMPTY, GUN, NOW, Team, after, raws, server_keys, sign
from tests.verify.world import World
from trustreg.metadata import Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection, MissingError, RefusedError, Update, VersionTakenError, judge, judge_replica
from trustreg.verify.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING = Collection()
LATER = NOW + timedelta(hours=1)


class Source:
    """A server whose collection is copied: its state, and every root it ever had."""

    def __init__(self, team: Team) -> None:
        self.team, self.at = team, after(EMPTY, judge(GUN, team.first(), EMPTY, NOW))
        self.roots = {1: self.at.files[ROOT].raw}

    def publish(self, **files: bytes) -> None:
        """Take an upload, with a snapshot of the team."""
        upload = {role.replace("_", "/"): raw for role, raw in files.items()}
        upload[SNAPSHOT] = self.team.snapshot({**raws(self.at), **upload}, self.at.newest[SNAPSHOT] + 1)
        self.at = after(self.at, judge(GUN, upload, self.at, LATER))
        self.roots[self.at.files[ROOT].version] = self.at.files[ROOT].raw

    def upload(self) -> dict[str, bytes]:
        """Return all of it, as a replica gets it."""
        files = {role: file.raw for role, file in self.at.files.items() if role != ROOT}
        return files | {f"{version}.root": raw for version, raw in self.roots.items()}


def rotated(source: Source) -> None:
    """Have the keys of targets and of the root replaced, one after the other."""
    team = source.team
    team.targets_keys = ("targets, new",)
    source.publish(root=team.root(2), targets=team.targets(2))
    team.root_keys = ("root, new",)
    source.publish(root=team.root(3, by=("root", "root, new")))


def taken(upload: Mapping[str, bytes], old: Collection = NOTHING) -> Collection:
    """Return what the upload makes of *old*."""
    update = judge_replica(GUN, upload, old, LATER)
    assert update is not None
    return after(old, update)


def stored(update: Update | None) -> list[tuple[str, int]]:
    """Name what is to be stored."""
    return [(file.role, file.version) for file in update.files] if update else []


def believed(replica: Collection, source: Source, kept: World | None = None) -> World:
    """Have a reader read the replica."""
    files = {DIALECT.locate(role, DIALECT.listed(file.raw, 0)): file.raw for role, file in replica.files.items()}
    files |= {DIALECT.locate(role): replica.files[role].raw for role in (ROOT, TIMESTAMP)}
    files |= {DIALECT.locate(ROOT, version=version): raw for version, raw in source.roots.items()}
    world = World(files, kept.kept if kept else None, kept.memory if kept else None)
    world.drive(Workflow(DIALECT, GUN, LATER).refresh())
    return world


# --- what is taken -----------------------------------------------------------------------------------------------


def test_a_whole_history_is_taken() -> None:
    """
    Every root, and the other files as they are, the timestamp included; nothing is for the server to renew.
    """
    source = Source(Team())
    early = believed(taken(source.upload()), source)
    rotated(source)

    update = judge_replica(GUN, source.upload(), NOTHING, LATER)

    assert stored(update) == [(ROOT, 1), (ROOT, 2), (ROOT, 3), (TARGETS, 2), (SNAPSHOT, 3), (TIMESTAMP, 3)]
    assert update is not None
    assert update.used == frozenset()
    assert {file.renew for file in update.files} == {None}
    replica = after(NOTHING, update)
    assert {role: file.raw for role, file in replica.files.items()} == {
        role: file.raw for role, file in source.at.files.items()
    }
    believed(replica, source)
    believed(replica, source, early)


def test_a_replica_moves_forward_by_what_it_lacks() -> None:
    """
    What is here need not be sent again, and is not stored again; the same once more is nothing.
    """
    source = Source(Team())
    replica = taken(source.upload())
    rotated(source)
    lacking = {name: raw for name, raw in source.upload().items() if name != "1.root"}

    update = judge_replica(GUN, lacking, replica, LATER)

    assert stored(update) == [(ROOT, 2), (ROOT, 3), (TARGETS, 2), (SNAPSHOT, 3), (TIMESTAMP, 3)]
    assert stored(judge_replica(GUN, source.upload(), replica, LATER)) == stored(update)
    replica = taken(lacking, replica)
    assert judge_replica(GUN, source.upload(), replica, LATER) is None


def test_a_timestamp_alone_moves_it() -> None:
    """
    A server that only signs its timestamp again is followed by that one file.
    """
    source = Source(Team())
    replica = taken(source.upload())
    snapshot = DIALECT.listed(source.at.files[SNAPSHOT].raw, 0)
    newer = sign(Timestamp(version=2, expires=NOW + timedelta(days=20), snapshot=snapshot), TIMESTAMP)

    assert stored(judge_replica(GUN, {TIMESTAMP: newer}, replica, LATER)) == [(TIMESTAMP, 2)]


def test_delegations_come_and_go() -> None:
    """
    A role that the collection lists no more is no part of the replica either.
    """
    team = Team()
    team.delegate("targets/a", "targets/a")
    source = Source(team)
    source.publish(targets=team.targets(2), targets_a=team.targets(1, "targets/a"))
    replica = taken(source.upload())
    assert "targets/a" in replica.files

    team.delegations.clear()
    upload = {**raws(source.at, "targets/a"), TARGETS: team.targets(3)}
    upload[SNAPSHOT] = team.snapshot(upload, source.at.newest[SNAPSHOT] + 1)
    del upload[ROOT]
    source.at = after(source.at, judge(GUN, upload, source.at, LATER))

    assert "targets/a" not in taken(source.upload(), replica).files


def test_a_role_that_its_readers_refuse_is_theirs_to_refuse() -> None:
    """
    A delegation that has expired is copied as the snapshot lists it: no reader is told less than at the source.
    """
    team = Team()
    team.delegate("targets/a", "targets/a")
    source = Source(team)
    brief = team.targets(1, "targets/a", expires=LATER + timedelta(minutes=1))
    source.publish(targets=team.targets(2), targets_a=brief)

    update = judge_replica(GUN, source.upload(), NOTHING, LATER + timedelta(hours=1))

    assert ("targets/a", 1) in stored(update)


# --- what is refused ---------------------------------------------------------------------------------------------


def refused(upload: Mapping[str, bytes], old: Collection = NOTHING, now: timedelta = timedelta(0)) -> RefusedError:
    """Return why the upload is refused."""
    with pytest.raises(RefusedError) as caught:
        judge_replica(GUN, upload, old, LATER + now)
    return caught.value


def test_never_back() -> None:
    """
    An older state of the same collection is refused, whatever part of it is old.
    """
    source = Source(Team())
    before = source.upload()
    source.publish(targets=source.team.targets(2))
    middle = source.upload()
    rotated_team = source.team
    rotated_team.targets_keys = ("targets, new",)
    source.publish(root=rotated_team.root(2), targets=rotated_team.targets(3))
    replica = taken(source.upload())

    assert str(refused(before, replica)) == "timestamp v1 is older than trusted v3"
    assert str(refused(middle, replica)) == "timestamp v2 is older than trusted v3"


def test_never_another() -> None:
    """
    A collection with other root keys, or the same version with another content, does not take its place.
    """
    source, other = Source(Team()), Source(Team(root_keys=("root of others",)))
    replica = taken(source.upload())
    other.team.root_keys = ("root of others, new",)
    other.publish(root=other.team.root(2, by=("root of others", "root of others, new")))
    assert refused(other.upload(), replica).role == ROOT

    fork = {**source.upload(), TARGETS: source.team.targets(1, targets={"v2": DIALECT.listed(b"other", 0)})}
    fork[SNAPSHOT] = source.team.snapshot({ROOT: source.roots[1], TARGETS: fork[TARGETS]})
    listing = DIALECT.listed(fork[SNAPSHOT], 0)
    fork[TIMESTAMP] = sign(Timestamp(version=2, expires=NOW + timedelta(days=14), snapshot=listing), TIMESTAMP)

    assert "was trusted with sha256" in str(refused(fork, replica))


def test_each_root_is_looked_at() -> None:
    """
    A root that nothing vouches for does not come in under the number of one that is here, or that is passed over.
    """
    source, others = Source(Team()), Source(Team(root_keys=("root of others",)))
    stranger = others.team.root(2)
    replica = taken(source.upload())
    source.publish(targets=source.team.targets(2))

    assert str(refused({**source.upload(), "1.root": stranger}, replica)) == "root: what is sent as v1 is v2"
    assert str(refused({**source.upload(), "1.root": stranger})) == "root: what is sent as v1 is v2"
    assert "signatures" in str(refused({**source.upload(), "2.root": stranger}, replica))
    assert stored(judge_replica(GUN, {**source.upload(), "1.root": others.roots[1]}, replica, LATER)) == [
        (TARGETS, 2),
        (SNAPSHOT, 2),
        (TIMESTAMP, 2),
    ]  # what is here is not replaced


@pytest.mark.parametrize("lacking", [TARGETS, SNAPSHOT, TIMESTAMP, "targets/a", "1.root", "2.root"])
def test_whole_or_not_at_all(lacking: str) -> None:
    """
    Whatever a reader would look for in vain has to come along.
    """
    team = Team()
    team.delegate("targets/a", "targets/a")
    source = Source(team)
    source.publish(targets=team.targets(2), targets_a=team.targets(1, "targets/a"))
    for version in (2, 3):
        source.publish(root=team.root(version))
    upload = source.upload()
    del upload[lacking]
    if lacking == "1.root":
        del upload["2.root"]  # a history may begin with v2

    assert isinstance(refused(upload), MissingError)


def test_garbage_is_refused() -> None:
    """
    Files that are not listed, are not what is listed, have expired or are for another name.
    """
    source = Source(Team())
    upload = source.upload()

    assert refused({**upload, "targets/b": upload[TARGETS]}).role == "targets/b"
    assert refused({**upload, TARGETS: source.team.targets(9)}).role == TARGETS
    assert refused({**upload, TIMESTAMP: b"{}"}).role == TIMESTAMP
    assert refused({**upload, "1.root": b"\xff"}).role == ROOT
    assert "expired" in str(refused(upload, now=timedelta(days=15)))
    with pytest.raises(RefusedError, match="certificate for"):
        judge_replica(Gun("registry.example/other"), upload, NOTHING, LATER)


def test_versions_are_not_used_twice() -> None:
    """
    Where a role has had a version here that it has no more, the same version with other bytes is not stored.
    """
    source = Source(Team())
    replica = taken(source.upload())
    source.publish(targets=source.team.targets(2))
    gone = replace(replica, newest={**replica.newest, TARGETS: 2})

    with pytest.raises(VersionTakenError):
        judge_replica(GUN, source.upload(), gone, LATER)


# --- who signs here ----------------------------------------------------------------------------------------------


def test_what_is_signed_here_is_no_replica() -> None:
    """
    A server does not take from others what it signs itself.
    """
    source = Source(Team())

    assert refused(source.upload(), source.at).role == TIMESTAMP


def test_an_ordinary_upload_is_told_where_to_go() -> None:
    """
    Nobody can publish to a replica, as it could not sign the timestamp.
    """
    source = Source(Team())
    replica = taken(source.upload())
    files = {TARGETS: source.team.targets(2)}
    files[SNAPSHOT] = source.team.snapshot({ROOT: source.roots[1], **files}, 2)

    with pytest.raises(RefusedError, match="this is a replica"):
        judge(GUN, files, replica, LATER)


def test_a_replica_becomes_a_collection_of_this_server() -> None:
    """
    With the next root, by the same root keys, that lists a timestamp key of this server; its readers follow.
    """
    source = Source(Team())
    replica = replace(taken(source.upload()), keys=tuple(replace(key) for key in server_keys()))
    reader = believed(replica, source)
    source.team.timestamp_keys = ("snapshot of the server",)  # as a key of the new server
    keys = tuple(replace(key, role=TIMESTAMP) for key in server_keys() if key.role == SNAPSHOT)
    replica = replace(replica, keys=keys)
    root = source.team.root(2)
    files = {ROOT: root, SNAPSHOT: source.team.snapshot({ROOT: root, TARGETS: replica.files[TARGETS].raw}, 2)}

    moved = after(replica, judge(GUN, files, replica, LATER))

    source.roots[2] = root
    assert moved.files[TIMESTAMP].version == 2
    believed(moved, source, reader)
    assert refused(source.upload(), moved).role == TIMESTAMP
