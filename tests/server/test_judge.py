"""What the server takes, what it makes of it, and what it refuses for which reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.team import (
    DIALECT,
    EMPTY,
    GUN,
    NOW,
    Team,
    after,
    file_meta,
    listed,
    raws,
    read,
    sign,
    signer,
    snapshot_of,
)
from tests.verify.world import World
from trustreg.dialects.notary1 import exact
from trustreg.errors import UntrustedError
from trustreg.metadata import FileMeta, Role, Root, Timestamp
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection, MissingError, RefusedError, ServerKey, VersionTakenError, judge, renew
from trustreg.sign.certificate import root_certificate
from trustreg.verify.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MANAGED = pytest.mark.parametrize("managed", [False, True], ids=["client-snapshot", "server-snapshot"])
LATER = NOW + timedelta(hours=1)


def begun(team: Team) -> Collection:
    """Return the collection after the first upload."""
    return after(EMPTY, judge(GUN, team.first(), EMPTY, NOW))


def publish(team: Team, old: Collection, **files: bytes) -> Collection:
    """Have *files* judged, with a snapshot where the team signs it; ``targets_a`` is ``targets/a``."""
    upload = {role.replace("_", "/"): raw for role, raw in files.items()}
    if not team.managed:
        everything = {**raws(old), **upload}
        upload[SNAPSHOT] = team.snapshot(everything, old.newest[SNAPSHOT] + 1)
    return after(old, judge(GUN, upload, old, LATER))


def believe(collection: Collection, *, now: datetime = LATER, kept: World | None = None) -> World:
    """Let a reader read *collection*: one without a past, or one who *kept* something."""
    repository = {DIALECT.locate(TIMESTAMP): collection.files[TIMESTAMP].raw, "root.json": collection.files[ROOT].raw}
    for role, file in collection.files.items():
        repository[DIALECT.locate(role, file_meta(file.raw))] = file.raw
    root = collection.files[ROOT]
    repository[DIALECT.locate(ROOT, version=root.version)] = root.raw
    world = World(repository, kept.kept if kept else None, kept.memory if kept else None)
    flow = Workflow(DIALECT, GUN, now)
    world.drive(flow.refresh())
    failed = world.drive(flow.delegated())
    assert not failed
    return world


# --- what is taken -----------------------------------------------------------------------------------------------


@MANAGED
@pytest.mark.parametrize("version", [1, 2])
def test_first_upload(version: int, *, managed: bool) -> None:
    """
    A first root is v1 or v2, the rest begins anywhere, and a reader believes the whole.
    """
    team = Team(managed=managed)
    files = {ROOT: team.root(version), TARGETS: team.targets(2)}
    upload = files if managed else {**files, SNAPSHOT: team.snapshot(files, 2)}

    collection = after(EMPTY, judge(GUN, upload, EMPTY, NOW))

    assert {role: file.version for role, file in collection.files.items()} == {
        ROOT: version,
        TARGETS: 2,
        SNAPSHOT: 1 if managed else 2,
        TIMESTAMP: 1,
    }
    assert collection.files[TARGETS].raw == upload[TARGETS]
    believe(collection)


def test_an_uploaded_timestamp_is_passed_over() -> None:
    """
    Whatever stands in the place of a timestamp, the server makes its own.
    """
    update = judge(GUN, {**Team().first(), TIMESTAMP: b"nonsense"}, EMPTY, NOW)

    assert [file.role for file in update.files] == [ROOT, TARGETS, SNAPSHOT, TIMESTAMP]


@MANAGED
def test_what_the_server_signs(*, managed: bool) -> None:
    """
    It lists the stored bytes, in the way that Go would write it, and is to be renewed at half of its life.
    """
    collection = begun(Team(managed=managed))
    timestamp, snapshot = collection.files[TIMESTAMP], collection.files[SNAPSHOT]

    signed = read(timestamp)

    assert isinstance(signed, Timestamp)
    assert signed.snapshot == file_meta(snapshot.raw)
    assert snapshot_of(collection).meta == {role: file_meta(collection.files[role].raw) for role in (ROOT, TARGETS)}
    assert signed.expires == NOW + timedelta(days=14)
    assert timestamp.renew == NOW + timedelta(days=7)
    assert snapshot.renew == (NOW + timedelta(days=1095) / 2 if managed else None)
    exact(TIMESTAMP, timestamp.raw)
    exact(SNAPSHOT, snapshot.raw)


def test_used_keys_are_named() -> None:
    """
    Those keys count as used that have signed, and no other of the server's.
    """
    spare = ServerKey(role=TIMESTAMP, signer=signer("timestamp, spare"))
    old = replace(EMPTY, keys=(*EMPTY.keys, spare))

    assert judge(GUN, Team().first(), old, NOW).used == {signer(TIMESTAMP).public}
    assert judge(GUN, Team(managed=True).first(), old, NOW).used == {
        signer(TIMESTAMP).public,
        signer("snapshot of the server").public,
    }


@MANAGED
def test_versions_may_jump(*, managed: bool) -> None:
    """
    Targets may leave versions out, as Go's server lets them.
    """
    team = Team(managed=managed)
    collection = publish(team, begun(team), targets=team.targets(7))

    assert collection.files[TARGETS].version == 7
    believe(collection)


@MANAGED
def test_delegations_come_and_go(*, managed: bool) -> None:
    """
    A delegated role is listed once it is uploaded, by a delegate alone too; one delegated to no more is dropped
    with its subtree where the server signs, and may stay where the publishers do.
    """
    team = Team(managed=managed)
    collection = begun(team)
    early = believe(collection)
    team.delegate("targets/a")
    team.delegate("targets/c")
    collection = publish(team, collection, targets=team.targets(2))
    assert set(snapshot_of(collection).meta) == {ROOT, TARGETS}

    team.delegate("targets/a/b")
    collection = publish(team, collection, targets_a=team.targets(1, "targets/a"))
    collection = publish(team, collection, targets_a_b=team.targets(1, "targets/a/b"))
    collection = publish(team, collection, targets_c=team.targets(1, "targets/c"))
    assert set(snapshot_of(collection).meta) == {ROOT, TARGETS, "targets/a", "targets/a/b", "targets/c"}
    believe(collection, kept=early)

    team.delegations[TARGETS] = tuple(each for each in team.delegations[TARGETS] if each.name == "targets/c")
    collection = publish(team, collection, targets=team.targets(3))

    assert managed == ("targets/a" not in snapshot_of(collection).meta)
    assert set(collection.files) == {*snapshot_of(collection).meta, SNAPSHOT, TIMESTAMP}
    believe(collection, kept=early)


def test_a_dropped_role_keeps_its_versions() -> None:
    """
    A role that comes back goes on above the versions that readers may remember.
    """
    team = Team(managed=True)
    team.delegate("targets/a")
    collection = publish(team, begun(team), targets=team.targets(2), targets_a=team.targets(5, "targets/a"))
    delegations, team.delegations = team.delegations, {}
    collection = publish(team, collection, targets=team.targets(3))
    team.delegations = delegations
    collection = publish(team, collection, targets=team.targets(4))
    assert set(snapshot_of(collection).meta) == {ROOT, TARGETS}

    with pytest.raises(VersionTakenError) as caught:
        publish(team, collection, targets_a=team.targets(5, "targets/a"))
    assert (caught.value.role, caught.value.stored, caught.value.offered) == ("targets/a", 5, 5)
    believe(publish(team, collection, targets_a=team.targets(6, "targets/a")))


def test_a_delegation_without_keys_stays_listed() -> None:
    """
    Go publishers take the last key away, and give the role another later: its file has to be there still.
    """
    team = Team(managed=True)
    team.delegate("targets/a")
    collection = publish(team, begun(team), targets=team.targets(2), targets_a=team.targets(1, "targets/a"))
    (purged,) = team.delegations[TARGETS]
    team.delegations[TARGETS] = (replace(purged, keyids=()),)

    collection = publish(team, collection, targets=team.targets(3))

    assert "targets/a" in snapshot_of(collection).meta


@MANAGED
def test_rotations(*, managed: bool) -> None:
    """
    Each role changes keys; what the last keys signed is signed again, or the server's to sign.
    """
    team = Team(managed=managed)
    collection = begun(team)
    early = believe(collection)

    team.root_keys = ("root 2",)
    collection = publish(team, collection, root=team.root(2, by=["root", "root 2"]))
    believe(collection, kept=early)
    team.targets_keys = ("targets 2",)
    collection = publish(team, collection, root=team.root(3), targets=team.targets(2))
    team.managed = not managed
    collection = publish(team, collection, root=team.root(4))
    team.timestamp_keys = ("timestamp 2",)
    collection = replace(collection, keys=(*EMPTY.keys, ServerKey(role=TIMESTAMP, signer=signer("timestamp 2"))))
    collection = publish(team, collection, root=team.root(5))

    believe(collection)
    assert collection.files[ROOT].version == 5


def test_nothing_uploaded() -> None:
    """
    A Go publisher with nothing staged uploads nothing where the server signs snapshots, and that is fine.
    """
    team = Team(managed=True)

    collection = publish(team, begun(team))

    assert (collection.files[SNAPSHOT].version, collection.files[TIMESTAMP].version) == (2, 2)
    believe(collection)


# --- signing again -----------------------------------------------------------------------------------------------


@MANAGED
def test_renewal(*, managed: bool) -> None:
    """
    The timestamp is signed again as it is due, the snapshot only when it is due itself and the server's.
    """
    old = begun(Team(managed=managed))
    soon, much_later = NOW + timedelta(days=8), NOW + timedelta(days=600)

    first = after(old, renew(GUN, old, soon))
    second = after(first, renew(GUN, first, much_later))

    assert (first.files[SNAPSHOT].version, first.files[TIMESTAMP].version) == (1, 2)
    assert (second.files[SNAPSHOT].version, second.files[TIMESTAMP].version) == (2 if managed else 1, 3)
    assert first.files[TIMESTAMP].renew == soon + timedelta(days=7)
    believe(first, now=soon)
    believe(second, now=much_later)


def test_a_snapshot_soon_due_brings_the_timestamp_forward() -> None:
    """
    A reader who asks for the timestamp only has the server look after the snapshot as well.
    """
    old = begun(Team(managed=True))
    almost = NOW + timedelta(days=1095) / 2 - timedelta(days=1)

    update = renew(GUN, old, almost)

    (timestamp,) = update.files
    assert timestamp.renew == old.files[SNAPSHOT].renew == almost + timedelta(days=1)


def test_an_expired_client_snapshot_is_not_the_servers_to_sign() -> None:
    """
    The timestamp goes on; readers see that the snapshot has expired, and why.
    """
    old = begun(Team(managed=False))
    late = NOW + timedelta(days=1100)

    collection = after(old, renew(GUN, old, late))

    with pytest.raises(UntrustedError, match="snapshot v1 expired"):
        believe(collection, now=late)


# --- what is refused ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """An upload with one fault: the role at fault, and what is said of it."""

    make: Callable[[Team, Collection], dict[str, bytes]]
    role: str
    said: str
    managed: bool = False


def again(**change: Any) -> Callable[[Team, Collection], dict[str, bytes]]:
    """Return the next root of a team that has changed so, and nothing else."""

    def make(team: Team, _: Collection) -> dict[str, bytes]:
        return {ROOT: replace(team, **change).root(2)}

    return make


def listing(**wrong: Any) -> Callable[[Team, Collection], dict[str, bytes]]:
    """Return new targets, with a snapshot that is right but for what *wrong* says."""

    def make(team: Team, old: Collection) -> dict[str, bytes]:
        targets = team.targets(3)
        return {TARGETS: targets, SNAPSHOT: team.snapshot({**raws(old), TARGETS: targets}, 3, **wrong)}

    return make


def certified(certificate: bytes | None) -> bytes:
    """Return a root whose root key is listed with this certificate, or with none."""
    key = DIALECT.key("ecdsa", signer("root").public, (certificate,) if certificate else ())
    return Team().root(certificates={"root": key})


OTHER = root_certificate(signer("root"), Gun("registry.example/team/other"), NOW, 1)
EXPIRED = root_certificate(signer("root"), GUN, NOW - timedelta(days=3651), 1)
WRONG = FileMeta(length=6, hashes={"sha256": bytes(32)})
TARGETS_V1 = Team().targets()

FIRST: dict[str, tuple[dict[str, bytes], str, str]] = {
    "not JSON": ({TARGETS: b"{"}, TARGETS, "targets metadata is malformed"),
    "another type": ({TARGETS: Team().root()}, TARGETS, "'Targets' is due"),
    "a final line feed, which Go would drop": ({TARGETS: TARGETS_V1 + b"\n"}, TARGETS, "not the bytes that Go writes"),
    "a member that Go would drop": (
        {TARGETS: TARGETS_V1.replace(b'"_type":"Targets"', b'"_type":"Targets","a":1')},
        TARGETS,
        "Go knows no such member",
    ),
    "root v3 before any other": ({ROOT: Team().root(3)}, ROOT, "v1 is due, not v3"),
    "expired root": ({ROOT: Team().root(expires=NOW)}, ROOT, "root v1 expired"),
    "unsigned root": ({ROOT: Team().root(by=[])}, ROOT, "needs 1 valid signatures and has 0"),
    "root signed by fewer than it asks for": (
        {ROOT: Team(root_keys=("root", "root 2")).root(threshold=2, by=["root"])},
        ROOT,
        "needs 2 valid signatures and has 1",
    ),
    "root certificate of another collection": ({ROOT: certified(OTHER)}, ROOT, "for 'registry.example/team/other'"),
    "expired root certificate": ({ROOT: certified(EXPIRED)}, ROOT, "has a certificate that expired"),
    "root key without certificate": ({ROOT: certified(None)}, ROOT, "is no certificate"),
    "timestamp key of somebody else": (
        {ROOT: Team(timestamp_keys=("timestamp of somebody",)).root()},
        ROOT,
        "too few of its timestamp keys are this server's",
    ),
    "targets by the wrong key": ({TARGETS: Team().targets(by=["another"])}, TARGETS, "has no say here"),
    "expired targets": ({TARGETS: Team().targets(expires=NOW)}, TARGETS, "targets v1 expired"),
}

NEXT = {
    "root skips a version": Fault(lambda team, _: {ROOT: team.root(3)}, ROOT, "v2 is due, not v3"),
    "root not signed by the last keys": Fault(again(root_keys=("root 2",)), ROOT, "needs 1 valid signatures"),
    "root gives targets to other keys, targets stay behind": Fault(
        again(targets_keys=("targets 2",)), TARGETS, "its keys were replaced, so the upload has to bring it signed anew"
    ),
    "root gives the timestamp to a key that is not ours": Fault(
        again(timestamp_keys=("timestamp of somebody",)), ROOT, "too few of its timestamp keys are this server's"
    ),
    "nobody delegates to the role": Fault(
        lambda team, _: {"targets/c": team.targets(1, "targets/c")}, "targets/c", "targets does not delegate to it"
    ),
    "a delegated role delegates to nobody": Fault(
        lambda team, _: {"targets/a/b": team.targets(1, "targets/a/b")},
        "targets/a/b",
        "targets/a does not delegate to it",
    ),
    "nobody between the role and targets": Fault(
        lambda team, _: {"targets/c/d": team.targets(1, "targets/c/d", by=["another"])},
        "targets/c",
        "targets does not delegate to it",
    ),
    "delegated role by the wrong key": Fault(
        lambda team, _: {"targets/a": team.targets(2, "targets/a", by=["targets"])},
        "targets/a",
        "needs 1 valid signatures and has 0",
    ),
    "delegated role expired": Fault(
        lambda team, _: {"targets/a": team.targets(2, "targets/a", expires=NOW)}, "targets/a", "targets/a v2 expired"
    ),
    "snapshot by the wrong key": Fault(listing(by=[TARGETS]), SNAPSHOT, "needs 1 valid signatures"),
    "snapshot by a publisher, while it is the server's": Fault(
        listing(by=[SNAPSHOT]), SNAPSHOT, "needs 1 valid signatures", managed=True
    ),
    "snapshot expired": Fault(listing(expires=NOW), SNAPSHOT, "snapshot v3 expired"),
    "snapshot lists another length": Fault(
        listing(meta={TARGETS: WRONG}), SNAPSHOT, "it lists targets with 6 bytes, not"
    ),
    "snapshot lists another digest of a role that stays": Fault(
        listing(meta={"targets/a": replace(WRONG, length=len(Team().targets(1, "targets/a")))}),
        SNAPSHOT,
        "it lists targets/a with sha256:0000",
    ),
    "snapshot lists the root before the last": Fault(
        lambda team, old: {
            ROOT: (root := team.root(2)),
            SNAPSHOT: team.snapshot({**raws(old), ROOT: root}, 3, meta={ROOT: file_meta(old.files[ROOT].raw)}),
        },
        SNAPSHOT,
        "it lists root with",
    ),
    "snapshot leaves out a role that is delegated to": Fault(
        listing(meta={"targets/a": None}), SNAPSHOT, "it does not list targets/a"
    ),
    "snapshot leaves out a role of the same upload": Fault(
        lambda team, old: {
            "targets/a": team.targets(2, "targets/a"),
            SNAPSHOT: team.snapshot(raws(old, "targets/a"), 3),
        },
        SNAPSHOT,
        "it does not list targets/a",
    ),
    "snapshot lists a role nobody has": Fault(
        listing(meta={"targets/x": WRONG}), SNAPSHOT, "it lists 'targets/x', which the collection does not have"
    ),
    "snapshot lists a timestamp": Fault(listing(meta={TIMESTAMP: WRONG}), SNAPSHOT, "it lists 'timestamp', which"),
}


@pytest.mark.parametrize("fault", FIRST)
def test_refused_at_first(fault: str) -> None:
    """
    A first upload with one fault is refused by the name of the role, for that reason.
    """
    wrong, role, said = FIRST[fault]
    team = Team()
    files = {ROOT: team.root(), TARGETS: team.targets(), **wrong}

    with pytest.raises(RefusedError, match=re.escape(said)) as caught:
        judge(GUN, {**files, SNAPSHOT: team.snapshot(files)}, EMPTY, NOW)

    assert role == caught.value.role


@pytest.mark.parametrize("fault", NEXT)
def test_refused(fault: str) -> None:
    """
    A later upload with one fault is refused by the name of the role, for that reason.
    """
    case = NEXT[fault]
    team = Team(managed=case.managed)
    team.delegate("targets/a")
    old = publish(team, begun(team), targets=team.targets(2), targets_a=team.targets(1, "targets/a"))
    upload = case.make(team, old)
    if SNAPSHOT not in upload and not case.managed:
        upload[SNAPSHOT] = team.snapshot({**raws(old), **upload}, 3)

    with pytest.raises(RefusedError, match=re.escape(case.said)) as caught:
        judge(GUN, upload, old, LATER)

    assert case.role == caught.value.role


@pytest.mark.parametrize("role", [ROOT, TARGETS, SNAPSHOT])
def test_missing(role: str) -> None:
    """
    A first upload without a role that has to be there says which.
    """
    upload = Team().first()
    del upload[role]

    with pytest.raises(MissingError) as caught:
        judge(GUN, upload, EMPTY, NOW)

    assert role == caught.value.role


@pytest.mark.parametrize("role", [ROOT, TARGETS, SNAPSHOT, "targets/a"])
def test_taken(role: str) -> None:
    """
    A version that is there already is taken, even by the same bytes: somebody published first.
    """
    team = Team()
    team.delegate("targets/a")
    old = publish(team, begun(team), targets=team.targets(2), targets_a=team.targets(1, "targets/a"))

    with pytest.raises(VersionTakenError) as caught:
        judge(GUN, {role: old.files[role].raw}, old, LATER)

    assert (role, old.files[role].version) == (caught.value.role, caught.value.offered)


def test_one_key_listed_twice_is_one_key() -> None:
    """
    A root that asks for two timestamp keys and lists one of ours under two ids can be signed by nobody.
    """
    team = Team()
    root = team.root()
    ours = listed(TIMESTAMP)
    twin = DIALECT.key("ecdsa", certificates=(root_certificate(signer(TIMESTAMP), GUN, NOW, 1),))
    signed = DIALECT.decode(ROOT, root).signed
    assert isinstance(signed, Root)
    roles = {**signed.roles, TIMESTAMP: Role(name=TIMESTAMP, keyids=(ours.id, twin.id), threshold=2)}
    files = {
        ROOT: sign(replace(signed, keys={**signed.keys, twin.id: twin}, roles=roles), "root"),
        TARGETS: team.targets(),
    }

    with pytest.raises(RefusedError, match="too few of its timestamp keys"):
        judge(GUN, {**files, SNAPSHOT: team.snapshot(files)}, EMPTY, NOW)
