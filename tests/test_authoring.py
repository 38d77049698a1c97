"""What may be relied on by publishers of collections that nobody else signs for."""

from __future__ import annotations

import pytest

from tests.authoring import GUN, Died, Place, dying_before, meta
from tests.world import MemoryCache
from trustreg.errors import ChangeError
from trustreg.names import Reference
from trustreg.sign.changes import (
    AddTarget,
    Change,
    Delegate,
    DelegateBins,
    RemoveTarget,
    SetKeys,
    Undelegate,
)

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
