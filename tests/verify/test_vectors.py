"""The workflow over vectors/notary1: it asks what the vector says, in that order, and ends as it says."""

from __future__ import annotations

import hashlib
from operator import attrgetter

import pytest

from tests.vectors.loading import Vector, load, outcome


@pytest.mark.parametrize("vector", load("notary1"), ids=attrgetter("name"))
def test_workflow(vector: Vector) -> None:
    """
    The requests are those of the trace, the outcome is the expected one, and a refused refresh keeps nothing.
    """
    world, workflow = vector.world(), vector.workflow()

    assert outcome(vector, workflow, world) == vector.expect
    assert world.trace == vector.trace


@pytest.mark.parametrize("vector", load("notary1"), ids=attrgetter("name"))
def test_what_is_kept(vector: Vector) -> None:
    """
    Files go to the cache as they came, with a floor that fits them; floors of other roles stay as they were.
    """
    world = vector.world()
    outcome(vector, vector.workflow(), world)

    floors = dict(vector.memory.floors)
    for keep in world.keeps:
        for role, raw in keep.files.items():
            assert raw in {*vector.repository.values(), *vector.kept.values()}
            assert keep.memory.floors[role].sha256 == hashlib.sha256(raw).hexdigest()
            assert keep.memory.floors[role].keys
            floors[role] = keep.memory.floors[role]
        assert keep.memory.floors == floors
        assert keep.memory.refreshed == vector.now


@pytest.mark.parametrize("vector", [v for v in load("notary1") if "found" in v.expect], ids=attrgetter("name"))
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
