"""The client workflow where a vector cannot say it: what is asked again, what is never kept, what callers get wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.verify.world import World
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import UntrustedError, VersionError
from trustreg.names import Gun
from trustreg.verify.requests import Floor, Memory
from trustreg.verify.workflow import Workflow
from vectors.make.collection import Collection, root_key
from vectors.make.material import raw

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


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
