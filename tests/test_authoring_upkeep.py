"""What publishers do so that a collection goes on: renew, prune, look for what is odd; and files of any kind."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.authoring import GUN, TUF1, Died, Place, dying_before, meta
from tests.world import MemoryCache
from tests.world import World as NotaryWorld
from trustreg.client import drive
from trustreg.errors import AbsentError, ChangeError, NameFormError, RollbackError, StaleError
from trustreg.io.content import content_of
from trustreg.lint import CODES, Finding, Inspected, lint
from trustreg.metadata import Bins, Delegation, FileMeta, Role, Root, Snapshot, Targets, Timestamp
from trustreg.publisher import Content, Renewed
from trustreg.sign.changes import LIFETIME, AddTarget, Delegate, DelegateBins, SetExpiry, Witness
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from pathlib import Path

    from trustreg.metadata import Key
    from trustreg.verify.requests import Want

DAY = timedelta(days=1)


@pytest.fixture
def place() -> Place:
    place = Place()
    place.init()
    return place


# --- renew ---


def test_renew_signs_what_is_near_its_end(place: Place) -> None:
    """
    The timestamp alone while only that is near; everything in time; and nothing where all is good for long.
    """

    def renew(within: timedelta) -> Renewed:
        return place.publisher().renew(GUN, place.now, within)

    assert renew(DAY).published.versions == {}
    assert renew(8 * DAY).published.versions == {"timestamp": 2}
    assert renew(31 * DAY).published.versions == {"snapshot": 2, "timestamp": 3}
    place.now += 400 * DAY  # all has expired by now
    done = place.publisher().renew(GUN, place.now, DAY, dangerous_skip_expiry=True)
    assert done.published.versions == {"root": 2, "targets": 2, "snapshot": 3, "timestamp": 4}
    assert done.left == ()
    place.read()


def test_renew_says_what_it_could_not(place: Place) -> None:
    """
    A machine with the online keys keeps these going, and tells of the others.
    """
    place.publish(Delegate(role="targets", name="team", keys=(place.key(),), patterns=("*",)))
    online = place.publisher(place.only("snapshot", "timestamp"))
    place.now += 360 * DAY
    done = online.renew(GUN, place.now, 10 * DAY, dangerous_skip_expiry=True)
    assert set(done.published.versions) == {"snapshot", "timestamp"}
    assert {one.role for one in done.left} == {"root", "targets", "team"}
    done = place.publisher(place.only("timestamp")).renew(GUN, place.now, 40 * DAY)
    assert set(done.published.versions) == {"timestamp"}
    assert {one.role for one in done.left} == {"root", "targets", "team", "snapshot"}
    assert all("keys" in one.problem for one in done.left)


def test_renew_leaves_what_is_staged_and_what_a_server_signs() -> None:
    world = NotaryWorld()
    world.init()
    world.stage.add(AddTarget(role="targets", name="x", meta=meta()))
    done = world.publisher().renew(world.gun, world.now, 2000 * DAY)
    assert "targets" in done.published.versions
    assert done.left == ()
    assert len(world.stage.changes()) == 1


def test_what_has_expired_is_signed_only_where_it_is_known(place: Place) -> None:
    """
    Somebody without keys puts an old state back: no publisher brings it back to life who cannot tell.
    """
    place.publish(AddTarget(role="targets", name="app", meta=meta(1)))
    old = place.store.files["timestamp.json"]
    cache = MemoryCache()
    place.publisher(cache=cache).publish(GUN, place.now, [AddTarget(role="targets", name="app", meta=meta(2))])
    new = place.store.files["timestamp.json"]
    place.now += 20 * DAY
    place.store.files["timestamp.json"] = old
    before = dict(place.store.files)
    for skip in (False, True):  # the later snapshot is still there
        with pytest.raises(StaleError) as caught:
            place.publisher().renew(GUN, place.now, DAY, dangerous_skip_expiry=skip)
        assert (caught.value.role, caught.value.version, caught.value.later) == ("timestamp", 2, 3)
    with pytest.raises(StaleError):
        place.publish(AddTarget(role="targets", name="b", meta=meta(3)))
    with pytest.raises(RollbackError):
        place.publisher(cache=cache).renew(GUN, place.now, DAY)
    assert place.store.files == before
    place.store.files["timestamp.json"] = new
    with pytest.raises(StaleError, match="nothing is remembered"):
        place.publisher().renew(GUN, place.now, DAY)
    place.store.files["4.snapshot.json"] = b"rubbish"
    assert place.publisher(cache=cache).renew(GUN, place.now, DAY).published.versions == {"timestamp": 4}
    place.now += 20 * DAY
    done = place.publisher().renew(GUN, place.now, DAY, dangerous_skip_expiry=True)
    assert done.published.versions == {"snapshot": 5, "timestamp": 5}


def test_a_lifetime_stays_and_a_date_does_not(place: Place) -> None:
    place.publish(SetExpiry(role="targets", expires=place.now + 3 * DAY, lifetime=20 * DAY))
    assert place.read().roles["targets"].signed.expires == place.now + 3 * DAY
    place.publish(Witness(role="targets"))
    assert place.read().roles["targets"].signed.expires == place.now + 20 * DAY
    for role in ("root", "snapshot", "timestamp"):
        place.publish(SetExpiry(role=role, lifetime=5 * DAY))
    place.publish(Witness(role="root"), Witness(role="snapshot"))
    workflow = place.read()
    for part in (workflow.root, workflow.snapshot, workflow.timestamp):
        assert part.signed.expires == place.now + 5 * DAY
        assert part.signed.extra[LIFETIME] == 5 * 86_400
    place.publish(SetExpiry(role="timestamp", lifetime=timedelta(0)))
    assert LIFETIME not in place.read().timestamp.signed.extra
    for wrong in (
        SetExpiry(role="targets", expires=place.now),
        SetExpiry(role="targets", lifetime=timedelta(microseconds=1)),
        SetExpiry(role="targets", lifetime=-DAY),
        SetExpiry(role="nobody", lifetime=DAY),
    ):
        with pytest.raises(ChangeError):
            place.publish(wrong)


# --- prune ---


def test_prune_leaves_readers_what_they_have_begun_with(place: Place) -> None:
    """
    Roots stay, and so does what the last snapshots list; whoever began with an older one has to begin again.
    """
    for number in range(6):
        place.publish(AddTarget(role="targets", name=f"t{number}", meta=meta(number)))
    place.publish(Witness(role="root"))
    place.store.files["9.targets.json"] = b"somebody is publishing this"
    gone = place.publisher().prune(GUN, place.now, keep=2)
    assert set(gone) == {f"{n}.{role}.json" for n in range(1, 5) for role in ("targets", "snapshot")}
    assert {"1.root.json", "2.root.json", "9.targets.json", "5.snapshot.json"} <= place.store.files.keys()
    place.read()
    assert place.publisher().prune(GUN, place.now, keep=2) == ()
    assert set(place.publisher().prune(GUN, place.now, keep=0)) == {
        f"{n}.{role}.json" for n in (5, 6) for role in ("targets", "snapshot")
    }
    place.read()


def test_a_reader_in_the_middle_reads_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two publications and a pruning between two of his requests do him no harm.
    """
    fetch = place.store.fetch

    def meanwhile(want: Want) -> bytes | None:
        if want.path == "1.snapshot.json":
            monkeypatch.setattr(place.store, "fetch", fetch)
            for number in range(2):
                place.publish(AddTarget(role="targets", name=f"t{number}", meta=meta(number)))
            place.publisher().prune(GUN, place.now)
        return fetch(want)

    monkeypatch.setattr(place.store, "fetch", meanwhile)
    assert place.read().snapshot.signed.version == 1


def test_what_a_killed_publisher_left_is_pruned(place: Place) -> None:
    place.store.step = dying_before(2)
    with pytest.raises(Died):
        place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    place.store.step = lambda _: None
    for number in range(4):
        place.publish(AddTarget(role="targets", name=f"t{number}", meta=meta(number)))
    assert "2.targets.json" in place.publisher().prune(GUN, place.now)
    place.read()


# --- lint ---


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.code for finding in findings}


def test_a_new_collection_has_nothing_odd(place: Place) -> None:
    place.publish(
        AddTarget(role="targets", name="a", meta=meta(1)),
        DelegateBins(role="targets", bits=2, prefix="bin", keys=(place.key(),)),
    )
    assert place.publisher().lint(GUN, place.now, DAY) == ()


def test_lint_finds_each(place: Place) -> None:
    """
    A collection with everything wrong that can be; each finding has a sentence.
    """
    good = [TUF1.key("ed25519", LocalSigner.generate("ed25519").public) for _ in range(3)]
    renamed, strange = replace(good[0], id="ff"), replace(good[1], id="ee", kind="dilithium", sound=False)
    keys: dict[str, Key] = {key.id: key for key in (*good, renamed, strange)}
    now = place.now

    def role(name: str, *ids: str, threshold: int = 1) -> Role:
        return Role(name=name, keyids=ids, threshold=threshold)

    root = Root(
        version=1,
        expires=now + DAY,
        keys=keys,
        roles={
            "root": role("root", good[0].id),
            "targets": role("targets", good[1].id, "ee", threshold=2),
            "snapshot": role("snapshot", "ff"),
            "timestamp": role("timestamp", good[2].id),
        },
    )

    def delegation(name: str, *patterns: str, hashes: tuple[str, ...] = (), end: bool = False) -> Delegation:
        return Delegation(name=name, keyids=(good[0].id,), patterns=patterns, hash_prefixes=hashes, terminating=end)

    targets = Targets(
        version=1,
        expires=now - DAY,
        targets={"weak": FileMeta(length=1, hashes={"md5": bytes(16)})},
        keys={good[0].id: good[0]},
        delegations=(
            delegation("wide", "a/*", end=True),
            delegation("narrow", "a/b"),
            delegation("1.root", "c"),
            delegation("team", "d/*"),
            delegation("Team", "e/*"),
            delegation("odd", hashes=("XY",)),
        ),
    )
    team = Targets(
        version=1,
        expires=now + 90 * DAY,
        targets={"elsewhere": meta(1)},
        keys={good[0].id: good[0]},
        delegations=(delegation("never", "f/*"),),
    )
    binned = Targets(
        version=1,
        expires=now + 90 * DAY,
        targets={},
        keys={good[0].id: good[0]},
        bins=Bins(prefix="bin", bits=6, keyids=(good[0].id,)),
    )
    full = replace(binned, bins=Bins(prefix="full", bits=1, keyids=(good[0].id,)))
    many = Targets(version=1, expires=now + 90 * DAY, targets={f"a/{number}": meta(1) for number in range(4001)})
    plain = Targets(version=1, expires=now + 90 * DAY, targets={})
    listed = ["targets", "wide", "narrow", "1.root", "team", "Team", "never", "full-0", "full-1"]
    snapshot = Snapshot(version=1, expires=now + 90 * DAY, meta={name: FileMeta(version=1) for name in listed})
    seen = Inspected(
        root=root,
        timestamp=Timestamp(version=1, expires=now + 90 * DAY, snapshot=FileMeta(version=1)),
        snapshot=snapshot,
        parts={
            ("", "targets"): targets,
            ("targets", "team"): team,
            ("team", "never"): plain,
            ("targets", "wide"): binned,
            ("targets", "narrow"): full,
            ("narrow", "full-0"): many,
        },
        failed={"odd": AbsentError("odd", "1.odd.json")},
    )
    findings = lint(seen, now, 14 * DAY)
    assert codes(findings) == set(CODES)
    assert all(str(finding).startswith(f"{finding.role}: ") for finding in findings)
    assert [finding.severity for finding in findings] == sorted(finding.severity for finding in findings)


def test_lint_reads_what_nobody_can_publish_to(place: Place) -> None:
    """
    What has expired, and what is missing, is told and not raised.
    """
    place.publish(Delegate(role="targets", name="team", keys=(place.key(),), patterns=("*",)))
    del place.store.files["1.team.json"]
    place.now += 400 * DAY
    found = {(one.code, one.role) for one in place.publisher().lint(GUN, place.now)}
    assert {("refused", "team"), ("expired", "root"), ("expired", "timestamp")} <= found


# --- files ---


def content(name: str, data: bytes) -> Content:
    return Content(name=name, length=len(data), sha256=hashlib.sha256(data).digest(), open=lambda: io.BytesIO(data))


def test_files_are_there_before_anybody_refers_to_them(place: Place, tmp_path: Path) -> None:
    """
    Each under a name with its digest, so that an older version stays what it was.
    """
    place.publish(DelegateBins(role="targets", bits=2, prefix="bin", keys=(place.key(),)))
    path = tmp_path / "x"
    path.write_bytes(b"hello")
    publisher = place.publisher()
    changes = publisher.add_files(
        GUN, [content_of(path, "docs/readme.txt", {"a": 1}), content("tool", b"\x7fELF")], place.now
    )
    digest = hashlib.sha256(b"hello").hexdigest()
    assert place.store.targets[f"docs/{digest}.readme.txt"] == b"hello"
    assert place.look("tool") is None
    publisher.publish(GUN, place.now, changes)
    found = place.find("docs/readme.txt")
    assert found.role.startswith("bin-")
    assert (found.meta.length, found.meta.hashes["sha256"].hex(), found.meta.custom) == (5, digest, {"a": 1})
    for name in ("", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "a\\b", "x" * 200):
        with pytest.raises(NameFormError):
            publisher.add_files(GUN, [content(name, b"")], place.now)


def test_a_trust_server_takes_no_files() -> None:
    """
    What a file is is signed all the same. What only TUF has is refused.
    """
    world = NotaryWorld()
    world.init()
    publisher = world.publisher()
    (added,) = publisher.add_files(world.gun, [content("a", b"")], world.now)
    assert (added.role, added.name, added.meta.length) == ("targets", "a", 0)
    with pytest.raises(ChangeError):
        publisher.publish(world.gun, world.now, [DelegateBins(role="targets", bits=1, prefix="bin")])
    with pytest.raises(ChangeError):
        publisher.prepare(world.gun, world.now, [Witness(role="targets")], whole=True)


def test_several_repositories_share_a_collection() -> None:
    """
    What is staged for any of them waits with the others, and is published at once.
    """
    place = Place()
    place.init()
    publisher = place.publisher()
    assert publisher.home(GUN) == GUN
    publisher.stage(GUN, [AddTarget(role="targets", name="other/app:1", meta=meta(1))])
    assert [change for _, change in publisher.staged(GUN)]
    assert publisher.publish(GUN, place.now).versions
    assert publisher.staged(GUN) == ()
    cache = MemoryCache()
    site = place.site(cache)
    drive(site.workflow(place.now).refresh(), place.store, cache)
