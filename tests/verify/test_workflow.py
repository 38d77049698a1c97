"""The client workflow where a vector cannot say it: what is asked again, what is never kept, what callers get wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.verify.world import World
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import AbsentError, NameFormError, RollbackError, TooLargeError, UntrustedError, VersionError
from trustreg.metadata import Envelope, Signed, Snapshot
from trustreg.names import Gun
from trustreg.verify.requests import Answer, Floor, Memory, Remember, Request, Want
from trustreg.verify.workflow import Workflow
from vectors.make.collection import Collection, Delegated, root_key
from vectors.make.material import raw

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
RELEASES = "targets/releases"


def workflow(collection: Collection) -> Workflow:
    return Workflow(Notary1(), Gun(collection.gun), NOW)


def remembered(spelled: dict[str, object]) -> Memory:
    floors = spelled["floors"]
    assert isinstance(floors, dict)
    return Memory({role: Floor(f["version"], f["sha256"], tuple(f["keys"])) for role, f in floors.items()})


def test_a_lost_root_is_replaced_by_itself_only() -> None:
    """
    When the kept root is gone, the file under its number has to be that root: not a newer one that signs itself.
    """
    mine = Collection.usual()
    theirs = Collection.usual()
    theirs.keys["root"] = [root_key("somebody else")]
    theirs.keys |= {role: [raw(f"their {role}")] for role in ("timestamp", "snapshot", "targets")}
    theirs.parts["root"].version = 2
    repository = theirs.publish().repository()
    repository["1.root.json"] = repository["2.root.json"]
    world = World(repository, memory=remembered(mine.publish().memory()))

    with pytest.raises(UntrustedError) as caught:
        world.drive(workflow(mine).refresh())

    assert isinstance(caught.value, VersionError)
    assert caught.value.facts() == {"role": "root", "expected": 1, "offered": 2}
    assert world.keeps == []


def test_a_floor_that_names_no_keys_holds() -> None:
    """
    Not knowing whose word it was is no reason to forget it.
    """
    older, newer = Collection.usual(), Collection.usual().next("targets")
    memory = remembered(newer.publish().memory())
    memory = Memory({role: replace(floor, keys=()) for role, floor in memory.floors.items()})
    world = World(older.publish().repository(), kept=newer.publish().kept(), memory=memory)

    with pytest.raises(RollbackError):
        world.drive(workflow(older).refresh())


def test_a_higher_threshold_does_not_lower_a_floor() -> None:
    """
    The keys that signed it are all there still; that two are due now does not make one of both an earlier word.
    """
    older = Collection.usual()
    older.keys["targets"] = [raw("targets"), raw("second")]  # both signed this one
    newer = older.next("targets")
    newer.parts["targets"].signers = [raw("targets")]  # and one sufficed for that
    memory = remembered(newer.publish().memory())
    raised = older.next().next("root")
    raised.history.append(older.file("root"))
    raised.thresholds["targets"] = 2
    world = World(raised.publish().repository(), kept=newer.publish().kept(), memory=memory)

    with pytest.raises(RollbackError) as caught:
        world.drive(workflow(older).refresh())

    assert caught.value.facts() == {"role": "targets", "floor": 2, "offered": 1}


def test_a_repository_without_a_timestamp_is_not_one_without_trust_data() -> None:
    """
    There is a root: then the timestamp is missing, and has been taken away or not been made yet.
    """
    collection = Collection.usual()
    repository = collection.publish().repository()
    del repository["timestamp.json"]

    with pytest.raises(AbsentError):
        World(repository).drive(workflow(collection).refresh())


def test_more_than_was_asked_for_is_refused_whoever_brings_it() -> None:
    """
    An adapter stops reading at the limit. Where one does not, the workflow still refuses.
    """
    collection = Collection.usual()
    published = collection.publish()
    repository = published.repository()
    repository[published.path("targets")] += b" "

    with pytest.raises(TooLargeError) as caught:
        World(repository).drive(workflow(collection).refresh())

    assert caught.value.facts() == {
        "what": published.path("targets"),
        "limit": len(published.files["targets"]),
        "unit": "bytes",
    }


def test_a_role_given_to_others_may_start_with_nothing() -> None:
    """
    A delegation whose keys were all replaced has not been removed: its new keys have said nothing yet.
    """
    before = Collection.usual(Delegated(RELEASES, [raw("releases")]))
    after = before.next("targets")
    after.parts["targets"].delegations = [Delegated(RELEASES, [raw("new releases")])]
    del after.parts[RELEASES]
    known = before.publish()
    world = World(after.publish().repository(), known.kept(), remembered(known.memory()))
    flow = workflow(after)
    world.drive(flow.refresh())

    found = world.drive(flow.find("v1"))

    assert found is not None
    assert found.role == "targets"


def test_a_delegated_file_of_another_version_is_not_kept() -> None:
    """
    Looking at all roles goes on where one fails, and keeps none that did.
    """

    class Versioned(Notary1):
        """A spelling whose snapshot lists versions, as TUF's does."""

        def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
            claim = super().decode(role, raw)
            if isinstance(claim.signed, Snapshot):
                meta = dict(claim.signed.meta)
                meta[RELEASES] = replace(meta[RELEASES], version=2)
                return replace(claim, signed=replace(claim.signed, meta=meta))
            return claim

    collection = Collection.usual(Delegated(RELEASES, [raw("releases")]))
    world = World(collection.publish().repository())
    flow = Workflow(Versioned(), Gun(collection.gun), NOW)
    world.drive(flow.refresh())

    failed = world.drive(flow.delegated())

    assert isinstance(failed[RELEASES], VersionError)
    assert RELEASES not in world.kept
    assert RELEASES not in world.memory.floors
    assert RELEASES not in flow.roles


@pytest.mark.parametrize("role", ["root", "snapshot", "timestamp", "", "targets/", "targets/../root", "other/releases"])
def test_only_targets_roles_are_looked_up(role: str) -> None:
    """
    A name that is no targets role's is a wrong question, and not taken for ``targets``.
    """
    collection = Collection.usual()
    world = World(collection.publish().repository())
    flow = workflow(collection)
    world.drive(flow.refresh())

    with pytest.raises(NameFormError):
        world.drive(flow.find("v1", (role,)))
    with pytest.raises(NameFormError):
        world.drive(flow.load(role))


def test_a_look_up_needs_a_refresh() -> None:
    """
    Nothing is trusted before.
    """
    with pytest.raises(RuntimeError, match="refresh"):
        World({}).drive(workflow(Collection.usual()).find("v1"))


def test_after_a_refused_refresh_nothing_can_be_looked_up() -> None:
    """
    What passed before the refusal does not count.
    """
    collection = Collection.usual()
    published = collection.publish()
    repository = published.repository()
    del repository[published.path("targets")]
    world, flow = World(repository), workflow(collection)
    with pytest.raises(AbsentError):
        world.drive(flow.refresh())

    with pytest.raises(RuntimeError, match="refresh"):
        world.drive(flow.find("v1"))
    assert world.keeps == []


def test_one_fresh_reading_tells_a_race_from_an_attack() -> None:
    """
    A publisher who replaces files between two reads is not suspected: everything is read once more.
    """
    old, new = Collection.usual(), Collection.usual().next("targets")

    class Busy(World):
        """Where the new files come in, and the old ones go, while the snapshot is on its way."""

        def answer(self, request: Request) -> Answer:
            if isinstance(request, Want) and request.role == "snapshot":
                self.repository = new.publish().repository()
            return super().answer(request)

    world, flow = Busy(old.publish().repository()), workflow(old)

    world.drive(flow.refresh())

    assert flow.timestamp.signed.version == 2
    assert [type(request) for request in world.requests].count(Remember) == 2
    assert len(world.keeps) == 1
