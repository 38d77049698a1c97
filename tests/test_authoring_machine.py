"""Whatever publishers do in whatever order, readers find what was said last, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.authoring import GUN, Died, Place, dying_before, meta
from tests.world import MemoryCache
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

if TYPE_CHECKING:
    from trustreg.metadata import FileMeta

NAMES = st.sampled_from([f"{team}/{number}" for team in ("red", "blue", "any") for number in range(4)])
TEAMS = st.sampled_from(["red", "blue"])


class Authors(RuleBasedStateMachine):
    """A collection, a reader who remembers, and what he ought to find."""

    def __init__(self) -> None:
        super().__init__()
        self.place, self.cache = Place(), MemoryCache()
        self.place.init()
        self.said: dict[str, FileMeta] = {}
        self.teams: set[str] = set()
        self.bits = 0

    def publish(self, *changes: Change) -> None:
        self.place.publish(*changes)

    @rule(name=NAMES, number=st.integers(1, 99))
    def add(self, name: str, number: int) -> None:
        role = self.place.publisher().role_for(GUN, name, self.place.now)
        self.publish(AddTarget(role=role, name=name, meta=meta(number)))
        self.said[name] = meta(number)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        role = self.place.find(name).role if name in self.said else "targets"
        self.publish(RemoveTarget(role=role, name=name))
        self.said.pop(name, None)

    @precondition(lambda self: not self.bits)
    @rule(team=TEAMS, terminating=st.booleans(), position=st.none() | st.just(0))
    def delegate(self, team: str, terminating: bool, position: int | None) -> None:
        self.publish(
            Delegate(
                role="targets",
                name=team,
                keys=(self.place.key(),),
                patterns=(f"{team}/*",),
                terminating=terminating,
                position=position,
            )
        )
        self.teams.add(team)

    @precondition(lambda self: self.teams)
    @rule(data=st.data())
    def undelegate(self, data: st.DataObject) -> None:
        team = data.draw(st.sampled_from(sorted(self.teams)))
        lost = set(self.place.read().roles[team].signed.targets)
        bins = self.place.read().roles[team].signed.bins
        for bin_ in bins or ():
            lost |= set(self.place.read().roles[bin_.name].signed.targets)
        self.publish(Undelegate(role="targets", name=team))
        self.teams.discard(team)
        for name in lost:
            if self.place.look(name) is None:
                self.said.pop(name, None)

    @precondition(lambda self: not self.teams)
    @rule(bits=st.integers(1, 3))
    def spread(self, bits: int) -> None:
        keys = () if self.bits else (self.place.key(),)
        self.publish(DelegateBins(role="targets", bits=bits, prefix="bin", keys=keys))
        self.bits = bits

    @rule(team=TEAMS)
    def spread_a_team(self, team: str) -> None:
        if team in self.teams:
            self.publish(DelegateBins(role=team, bits=1, prefix=f"{team}-bin", keys=(self.place.key(),)))

    @rule(role=st.sampled_from(["root", "targets", "snapshot", "timestamp"]), lost=st.booleans())
    def rotate(self, role: str, lost: bool) -> None:
        old = self.place.read().root.signed.roles[role].keyids
        if lost and role != "root":
            for held in [held for held in self.place.keys.keys() if held.role == role]:
                if role != "targets":  # the keys of bins and teams are kept under that name too
                    del self.place.keys.signers[held.id]
        self.publish(SetKeys(role=role, add=(self.place.key(role=role),), remove=old))

    @rule(role=st.sampled_from(["root", "targets", "snapshot", "timestamp"]))
    def witness(self, role: str) -> None:
        self.publish(Witness(role=role))

    @rule(number=st.integers(0, 3), name=NAMES)
    def die(self, number: int, name: str) -> None:
        role = self.place.publisher().role_for(GUN, name, self.place.now)
        change = AddTarget(role=role, name=name, meta=meta(100))
        self.place.store.step = dying_before(number)
        with suppress(Died):
            self.publish(change)
        self.place.store.step = lambda _: None
        found = self.place.look(name)
        if found and found.meta == meta(100):
            self.said[name] = meta(100)

    @rule(keep=st.integers(0, 2))
    def prune(self, keep: int) -> None:
        self.place.publisher().prune(GUN, self.place.now, keep)

    @invariant()
    def readers_find_what_was_said(self) -> None:
        self.place.read(cache=self.cache)
        for name, said in self.said.items():
            assert self.place.find(name).meta == said
        for name in {"red/0", "blue/1", "any/2"} - self.said.keys():
            assert self.place.look(name) is None
        assert not [one for one in self.place.publisher().lint(GUN, self.place.now) if one.severity == "error"]


TestAuthors = Authors.TestCase
TestAuthors.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
