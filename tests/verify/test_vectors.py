"""The workflow over the vectors: it asks what the vector says, in that order, and ends as it says."""

from __future__ import annotations

import hashlib
from operator import attrgetter

import pytest

from tests.vectors.loading import Vector, load, outcome

EVERY = (*load("notary1"), *load("tuf1"))


@pytest.mark.parametrize("vector", EVERY, ids=attrgetter("name"))
def test_workflow(vector: Vector) -> None:
    """
    The requests are those of the trace, the outcome is the expected one, and a refused refresh keeps nothing.
    """
    world, workflow = vector.world(), vector.workflow()

    assert outcome(vector, workflow, world) == vector.expect
    assert world.trace == vector.trace


@pytest.mark.parametrize("vector", EVERY, ids=attrgetter("name"))
def test_what_is_kept(vector: Vector) -> None:
    """
    Files go to the cache as they came, with a floor that fits them; floors of other roles stay as they were.
    """
    world = vector.world()
    outcome(vector, vector.workflow(), world)
    came = {*vector.repository.values(), *vector.kept.values(), vector.pins.root}

    floors = dict(vector.memory.floors)
    for keep in world.keeps:
        for role, raw in keep.files.items():
            assert raw in came
            if vector.dialect == "tuf1" and role not in {"root", "timestamp", "snapshot"}:
                assert role not in keep.memory.floors
                continue
            assert keep.memory.floors[role].sha256 == hashlib.sha256(raw).hexdigest()
            assert keep.memory.floors[role].keys
            floors[role] = keep.memory.floors[role]
        assert keep.memory.floors == floors


@pytest.mark.parametrize("vector", EVERY, ids=attrgetter("name"))
def test_when_a_refresh_counts(vector: Vector) -> None:
    """
    Where it went through, and not before; what is looked up later is kept with its time.
    """
    world = vector.world()
    outcome(vector, vector.workflow(), world)

    for at, keep in enumerate(world.keeps):
        through = vector.dialect == "notary1" or not all(k.files for k in world.keeps[: at + 1])
        assert keep.memory.refreshed == (vector.now if through else vector.memory.refreshed)


@pytest.mark.parametrize("vector", [v for v in EVERY if "found" in v.expect], ids=attrgetter("name"))
def test_what_is_kept_suffices(vector: Vector) -> None:
    """
    Asking again needs no more than the next root and the timestamp, and gives the same answer.
    """
    world = vector.world()
    outcome(vector, vector.workflow(), world)
    world.requests.clear()
    version = world.memory.floors["root"].version

    again = outcome(vector, vector.workflow(), world)

    assert again == {**vector.expect, "first_use": False}
    assert [step[1] for step in world.trace if step[0] == "want"] == [f"{version + 1}.root.json", "timestamp.json"]
