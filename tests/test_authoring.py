"""What may be relied on by publishers of collections that nobody else signs for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.authoring import GUN, TUF1, Died, Place, dying_before, meta
from tests.world import NOW, MemoryCache
from trustreg.errors import ChangeError, ThresholdError, UntrustedError
from trustreg.metadata import Delegation, Root, Targets
from trustreg.names import Reference
from trustreg.sign.changes import (
    AddTarget,
    Change,
    Delegate,
    DelegateBins,
    RemoveTarget,
    SetKeys,
    Undelegate,
    Witness,
)
from trustreg.sign.draft import UNATTENDED, Draft

NAMES = [f"registry.example/team/app:{number}.0" for number in range(20)]


@pytest.fixture
def place() -> Place:
    place = Place()
    place.init()
    return place


def test_init_sign_verify(place: Place) -> None:
    image = Reference.parse(f"{GUN}:1.0")
    place.sign(image)
    assert place.verifier().verify(image, place.now).role == "targets"


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_key_is_replaced(place: Place, role: str) -> None:
    """
    Whoever read the collection before reads on, and the old key is of no use any more.
    """
    place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    old = place.read().root.signed.roles[role].keyids
    new, cache = place.key(role=role), MemoryCache()
    place.read(cache=cache)
    change = SetKeys(role=role, add=(new,), remove=old)

    assert place.publish(change)["root"] == 2

    del place.keys.signers[place.held(role).id]
    assert place.read(cache=cache).root.signed.roles[role].keyids == (new.id,)
    assert place.publish(change) == {}
    assert place.find("a")
    assert place.publish(AddTarget(role="targets", name="b", meta=meta(2)))


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_key_that_is_lost_is_replaced_in_two_steps(place: Place, role: str) -> None:
    """
    Between two roots in which the old key counts and does not, there is one in which either does.
    """
    place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    old = place.read().root.signed.roles[role].keyids
    del place.keys.signers[place.held(role).id]
    new = place.key(role=role)

    assert place.publish(SetKeys(role=role, add=(new,), remove=old))["root"] == 3

    root = place.read().root.signed
    assert root.roles[role].keyids == (new.id,)
    assert root.keys.keys().isdisjoint(old)
    assert place.find("a")


def rotations(place: Place) -> dict[str, list[Change]]:
    root = place.read().root.signed
    out: dict[str, list[Change]] = {
        role: [SetKeys(role=role, add=(place.key(role=role),), remove=root.roles[role].keyids)]
        for role in ("root", "targets", "snapshot", "timestamp")
    }
    out["all"] = [change for changes in list(out.values()) for change in changes]
    out["more"] = [SetKeys(role="timestamp", add=(place.key(),), threshold=2)]
    out["bins"] = [DelegateBins(role="targets", bits=3, prefix="bin", keys=(place.key(),))]
    team = place.key()
    out["team"] = [
        Delegate(role="targets", name="team", keys=(team,), patterns=("registry.example/*/*",)),
        AddTarget(role="team", name=NAMES[0], meta=meta(3)),
    ]
    out["target"] = [AddTarget(role="targets", name="z", meta=meta(3))]
    return out


WHAT = ["root", "targets", "snapshot", "timestamp", "all", "more", "bins", "team", "target"]


@pytest.mark.parametrize(
    ("what", "lost"),
    [
        *((what, "") for what in WHAT),
        *((what, lost) for lost in ("timestamp", "snapshot", "targets") for what in (lost, "all")),
    ],
)
def test_a_publisher_who_is_killed_leaves_a_whole_collection(what: str, lost: str) -> None:
    """
    After each write in turn readers find all that there was, and whoever publishes again succeeds.
    """
    for number in range(40):
        place = Place()
        place.init()
        place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
        changes = rotations(place)[what]
        if lost:
            del place.keys.signers[place.held(lost).id]  # the first, which is the one that counts
        cache = MemoryCache()
        place.read(cache=cache)
        place.store.step = dying_before(number)
        try:
            place.publish(*changes)
            died = False
        except Died:
            died = True
        place.store.step = lambda _: None
        assert "a" in whole(place)
        place.read(cache=cache)
        place.publish(*changes)
        assert "a" in whole(place)
        place.read(cache=cache)
        assert place.publish(*changes) == {}
        if not died:
            break
    assert not died
    assert number >= 1


def whole(place: Place) -> set[str]:
    workflow = place.read()
    return {name for part in workflow.roles.values() for name in part.signed.targets}


def test_bins(place: Place) -> None:
    place.publish(*(AddTarget(role="targets", name=name, meta=meta(n)) for n, name in enumerate(NAMES)))
    key = place.key()
    done = place.publish(DelegateBins(role="targets", bits=3, prefix="bin", keys=(key,)))
    assert set(done) == {"targets", "snapshot", "timestamp", *(f"bin-{n:x}" for n in range(8))}
    for n, name in enumerate(NAMES):
        found = place.find(name)
        assert found.meta == meta(n)
        assert found.role.startswith("bin-")
    done = place.publish(AddTarget(role="targets", name="new", meta=meta(99)))
    assert len(done) == 3
    assert place.find("new").role in done
    place.publish(RemoveTarget(role="targets", name="new"))
    assert place.look("new") is None
    done = place.publish(DelegateBins(role="targets", bits=5, prefix="b"))
    assert len(done) == 32 + 3
    workflow = place.read()
    assert "bin-0" in workflow.snapshot.signed.meta
    assert "bin-0" not in workflow.roles
    for n, name in enumerate(NAMES):
        found = place.find(name)
        assert found.meta == meta(n)
        assert found.role.startswith("b-")
    done = place.publish(DelegateBins(role="targets", bits=6, prefix="b"))
    assert all(place.find(name) for name in NAMES)
    new = place.key()
    done = place.publish(SetKeys(role="b", add=(new,), threshold=2))
    assert len(done) == 64 + 3
    done = place.publish(SetKeys(role="b", remove=(key.id,), threshold=1))
    assert len(done) == 3
    assert place.publish(Undelegate(role="targets", name="b"))
    assert whole(place) == set()


def test_images_go_where_they_are_looked_for(place: Place) -> None:
    image = Reference.parse(f"{GUN}:1.0")
    team, sub = place.key(), place.key()
    place.publish(
        Delegate(role="targets", name="team", keys=(team,), patterns=("registry.example/team/*",), terminating=True),
        Delegate(role="targets", name="late", keys=(place.key(),), patterns=("registry.example/team/*",)),
        DelegateBins(role="team", bits=2, prefix="tb", keys=(sub,)),
    )
    place.sign(image)
    assert place.find(f"{GUN}:1.0").role.startswith("tb-")
    publisher = place.publisher(place.only("root", "snapshot", "timestamp", also=(team,)))
    place.publish(RemoveTarget(role="team", name=f"{GUN}:1.0"))
    assert publisher.role_for(GUN, f"{GUN}:1.0", place.now) == "team"
    with pytest.raises(ChangeError, match="readers would not find it"):
        place.publish(AddTarget(role="late", name=f"{GUN}:2.0", meta=meta(1)))
    with pytest.raises(ChangeError, match="may not speak"):
        place.publish(AddTarget(role="late", name="other", meta=meta(1)))
    place.publish(AddTarget(role="targets", name=f"{GUN}:2.0", meta=meta(1)))
    assert place.publisher().role_for(GUN, f"{GUN}:2.0", place.now) == "targets"
    publisher = place.publisher()
    publisher.publish(GUN, place.now, publisher.removals(Reference.parse(f"{GUN}:2.0"), place.now))
    assert place.look(f"{GUN}:2.0") is None


def test_a_root_that_the_other_files_were_never_signed_for_is_repaired(place: Place) -> None:
    """
    Somebody who had not seen the new root published over what was signed for it: nobody can read it, but to publish.
    """
    place.publish(AddTarget(role="targets", name="a", meta=meta(1)))
    old = place.read().root.signed.roles["timestamp"].keyids
    late = place.only("targets", "snapshot", "timestamp")
    new = place.key(role="timestamp")

    def meanwhile(path: str) -> None:
        if path == "2.root.json":
            place.store.step = lambda _: None
            place.publisher(late).publish(GUN, place.now, [AddTarget(role="targets", name="b", meta=meta(2))])
            place.store.step = died

    def died(path: str) -> None:
        if path != "2.root.json":
            raise Died(path)

    place.store.step = meanwhile
    with pytest.raises(Died):
        place.publish(SetKeys(role="timestamp", add=(new,), remove=old))
    place.store.step = lambda _: None
    with pytest.raises(ThresholdError):
        place.read()

    place.publish(AddTarget(role="targets", name="c", meta=meta(3)))

    assert whole(place) == {"a", "b", "c"}


def test_a_root_that_nobody_can_vouch_for_repairs_nothing(place: Place) -> None:
    """
    What was published before a root is believed only if the keys of that root signed the one before it.
    """
    place.publish(SetKeys(role="timestamp", add=(place.key(),), threshold=2))
    place.store.files["timestamp.json"] = place.store.files["timestamp.json"].replace(b'"sig":"', b'"sig":"00')
    place.store.files.pop("1.root.json")

    with pytest.raises(UntrustedError):
        place.publish(Witness(role="timestamp"))


def test_a_collection_whose_snapshots_are_not_consistent_is_left_alone(place: Place) -> None:
    """
    There readers see halves whatever the order of files.
    """
    signed = place.read().root.signed
    draft = Draft(TUF1, place.now, replace(signed, consistent_snapshot=False), {}, before=signed, touched={"root"})
    find = place.publisher()._find()
    place.store.files["2.root.json"] = draft.sign(find)[-1].raw
    for role in ("snapshot", "targets"):
        place.store.files[f"{role}.json"] = place.store.files[f"1.{role}.json"]

    with pytest.raises(ChangeError, match="not consistent"):
        place.publish(Witness(role="targets"))


def test_changes_that_have_no_place(place: Place) -> None:
    """
    Each is refused before anything is signed.
    """
    key, other = place.key(), place.key()
    place.publish(
        Delegate(role="targets", name="team", keys=(key,), patterns=("team/*",)),
        Delegate(role="team", name="sub", keys=(key,), patterns=("team/s*",)),
    )
    renamed = replace(other, id=key.id)

    def delegate(name: str = "x", **terms: Any) -> Delegate:
        return Delegate(**{"role": "targets", "name": name, "keys": (key,), "patterns": ("*",), **terms})

    wrong: list[Change] = [
        SetKeys(role="targets", threshold=0),
        SetKeys(role="targets", threshold=2),
        SetKeys(role="targets", remove=place.read().root.signed.roles["targets"].keyids),
        SetKeys(role="targets", add=(key, replace(key, id="twice")), threshold=3),
        SetKeys(role="team", add=(renamed,)),
        SetKeys(role="nobody", add=(key,)),
        SetKeys(role="team", add=(other,), delegator="team"),
        delegate(name="root"),
        delegate(name="Root"),
        delegate(name="1.root"),
        delegate(name=""),
        delegate(name="a/../b"),
        delegate(name="a\nb"),
        delegate(name="x" * 201),
        delegate(name="targets"),
        delegate(name="team", role="team"),
        delegate(patterns=()),
        delegate(patterns=("",)),
        delegate(hash_prefixes=("ab",)),
        delegate(patterns=(), hash_prefixes=("AB",)),
        delegate(keys=()),
        delegate(threshold=2),
        delegate(role="nobody"),
        DelegateBins(role="targets", bits=1, prefix="bin", keys=(key,)),
        DelegateBins(role="sub", bits=0, prefix="bin", keys=(key,)),
        DelegateBins(role="sub", bits=17, prefix="bin", keys=(key,)),
        DelegateBins(role="sub", bits=1, prefix="1.x", keys=(key,)),
        DelegateBins(role="sub", bits=1, prefix="bin"),
        Witness(role="nobody"),
        AddTarget(role="nobody", name="a", meta=meta()),
        RemoveTarget(role="nobody", name="a"),
        AddTarget(role="sub", name="team/x", meta=meta()),
        AddTarget(role="sub", name="team/s\udcff", meta=meta()),
    ]
    before = dict(place.store.files)
    for change in wrong:
        with pytest.raises(ChangeError):
            place.publish(change)
    assert place.store.files == before


def test_delegations_change_their_terms_and_end(place: Place) -> None:
    """
    A role keeps what it said while its terms change, and begins anew when it is delegated to again.
    """
    key, other = place.key(), place.key()
    team = Delegate(role="targets", name="team", keys=(key,), patterns=("*",))
    place.publish(team, AddTarget(role="team", name="a", meta=meta(1)))
    done = place.publish(replace(team, patterns=("*", "*/*"), terminating=True))
    assert set(done) == {"targets", "snapshot", "timestamp"}
    done = place.publish(replace(team, keys=(other,)))
    assert set(done) == {"targets", "team", "snapshot", "timestamp"}
    assert place.find("a").signers == (other.id,)
    assert place.read().roles["targets"].signed.keys.keys() == {other.id}
    place.publish(SetKeys(role="team", add=(key,), threshold=2))
    assert len(place.find("a").signers) == 2
    place.publish(Undelegate(role="targets", name="team"))
    assert place.look("a") is None
    assert place.read().snapshot.signed.meta["team"].version == 3
    assert place.publish(Undelegate(role="targets", name="team")) == {}
    assert place.publish(team)["team"] == 4
    assert place.look("a") is None


def test_a_role_of_two_delegators_satisfies_both(place: Place) -> None:
    """
    Readers may get to it on either way.
    """
    one, two = place.key(), place.key()
    place.publish(
        Delegate(role="targets", name="a", keys=(one,), patterns=("a/*",)),
        Delegate(role="targets", name="b", keys=(one,), patterns=("b/*",)),
    )
    place.publish(Delegate(role="a", name="shared", keys=(one,), patterns=("*/*",)))
    place.publish(Delegate(role="b", name="shared", keys=(two,), patterns=("*/*",)))
    place.publish(
        AddTarget(role="shared", name="a/x", meta=meta(1)),
        AddTarget(role="shared", name="b/x", meta=meta(2)),
    )
    assert place.find("a/x").signers == (one.id,)
    assert place.find("b/x").signers == (two.id,)
    with pytest.raises(ChangeError, match="a and b delegate"):
        place.publish(SetKeys(role="shared", add=(two,)))
    place.publish(SetKeys(role="shared", add=(two,), threshold=2, delegator="a"))
    assert len(place.find("a/x").signers) == 2


def test_rubbish_decides_no_version() -> None:
    """
    Whoever may write to the store, without any key, does not drive versions to their end; only past what he left.
    """
    place = Place()
    place.init()
    last = 2**53 - 1
    for path in ("2.targets.json", f"{last}.targets.json", f"{last}.snapshot.json"):
        place.store.files[path] = b"rubbish"
    assert place.publish(AddTarget(role="targets", name="a", meta=meta(1)))["targets"] == 3
    ceremony = place.publisher().prepare(place.gun, place.now, [AddTarget(role="targets", name="b", meta=meta(1))])
    assert [sheet.page.signed.version for sheet in ceremony.sheets] == [4]
    place.store.files |= {f"{number}.targets.json": b"rubbish" for number in range(4, 1004)}
    with pytest.raises(ChangeError, match="1000 versions after v3"):
        place.publish(AddTarget(role="targets", name="b", meta=meta(1)))


def test_roles_that_all_delegate_to_each_other() -> None:
    """
    Whoever delegates to whom is found in one search, not along every way there is.
    """
    root = Root(version=1, expires=NOW, keys={}, roles={})
    names = [f"m{number}" for number in range(40)]

    def speaking(*others: str) -> Targets:
        delegations = tuple(Delegation(name=name, keyids=("a",), patterns=("x/*",)) for name in others)
        return Targets(version=1, expires=NOW, targets={}, delegations=delegations)

    roles = {name: speaking(*(other for other in names if other != name)) for name in names}
    draft = Draft(TUF1, NOW, root, {"targets": speaking("m0"), **roles, "alone": speaking("m1")})
    assert list(draft.delegators("m1")) == sorted(set(names) - {"m1"})
    assert next(draft.delegators("m0")) == "targets"
    assert list(draft.delegators("alone")) == []
    draft.apply(AddTarget(role="m39", name="x/a", meta=meta(1)))
    with pytest.raises(ChangeError, match="may not speak"):
        draft.apply(AddTarget(role="m39", name="y", meta=meta(1)))


def test_lost_keys_are_replaced_with_no_fewer_asked_for() -> None:
    """
    The root in between is short-lived, and a threshold does not change with it.
    """
    place = Place()
    place.init()
    first = place.read().root.signed.roles["targets"].keyids
    lost, new = (place.key(role="lost"), place.key(role="lost")), (place.key(), place.key())
    place.publish(SetKeys(role="targets", add=lost, remove=first, threshold=2))
    keys = place.only("root", "snapshot", "timestamp", also=new)
    gone = tuple(key.id for key in lost)
    with pytest.raises(ChangeError, match="second step"):
        place.publisher(keys).publish(
            place.gun, place.now, [SetKeys(role="targets", add=new[:1], remove=gone, threshold=1)]
        )
    place.publisher(keys).publish(place.gun, place.now, [SetKeys(role="targets", add=new, remove=gone)])
    bridge = TUF1.decode("root", place.store.files["3.root.json"]).signed
    assert isinstance(bridge, Root)
    assert (bridge.roles["targets"].threshold, len(bridge.roles["targets"].keyids)) == (2, 4)
    assert bridge.expires - place.now <= UNATTENDED.timestamp
    place.publisher(keys).publish(place.gun, place.now, [SetKeys(role="targets", threshold=1)])
    place.read()
