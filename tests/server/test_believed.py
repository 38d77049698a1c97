"""Whatever the server takes, every reader believes: new ones, and those who have been reading all along."""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.server.team import DIALECT, EMPTY, GUN, NOW, Team, after, file_meta, raws, signer
from tests.verify.world import World
from trustreg.dialects.notary1 import exact
from trustreg.errors import RemovedError
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.server import Collection, RefusedError, ServerKey, VersionTakenError, judge, renew
from trustreg.verify.workflow import Workflow

NAMES = strategies.sampled_from(["targets/a", "targets/a/b", "targets/c"])
KEYS = strategies.sampled_from([1, 2, 3])


class Readers(RuleBasedStateMachine):
    """
    A team publishes, right or wrong; the server judges; two readers read.

    What is refused changes nothing. Upload and keys are chosen independently, so many uploads are wrong.
    """

    @initialize(managed=strategies.booleans())
    def begin(self, *, managed: bool) -> None:
        self.team, self.now, self.taken = Team(managed=managed), NOW, 0
        self.dropped, self.published = set[str](), set[str]()
        servers = tuple(ServerKey(role=TIMESTAMP, signer=signer(f"timestamp {n}")) for n in (1, 2, 3))
        self.old = Collection(keys=(*EMPTY.keys, *servers))
        self.world = World({})
        self.team.delegate("targets/a")
        self.team.delegate("targets/c")
        self.publish(self.team.first())
        assert self.taken == 1

    @rule(role=strategies.just(TARGETS) | NAMES, jump=strategies.integers(0, 3))
    def publish_targets(self, role: str, jump: int) -> None:
        expires = self.now + timedelta(days=365, seconds=self.taken)
        self.publish({role: self.team.targets(max(self.next(role) + jump - 1, 1), role, expires=expires)})

    @rule(role=NAMES)
    def delegate(self, role: str) -> None:
        """Delegate, and have the parent published: the role has no file yet, or the one from before."""
        before = dict(self.team.delegations)
        self.team.delegate(role)
        parent = role.rpartition("/")[0]
        if not self.publish({parent: self.team.targets(self.next(parent), parent)}):
            self.team.delegations = before

    @rule(role=NAMES)
    def drop(self, role: str) -> None:
        before = dict(self.team.delegations)
        parent = role.rpartition("/")[0]
        self.team.delegations[parent] = tuple(d for d in self.team.delegations.get(parent, ()) if d.name != role)
        if self.publish({parent: self.team.targets(self.next(parent), parent)}):
            gone = {each for each in ("targets/a", "targets/a/b", "targets/c") if each.startswith(role)}
            self.dropped |= gone
            self.published -= gone
        else:
            self.team.delegations = before

    @rule(key=KEYS, signed_by_both=strategies.booleans(), with_targets=strategies.booleans())
    def rotate_root(self, key: int, *, signed_by_both: bool, with_targets: bool) -> None:
        before = self.team.root_keys
        self.team.root_keys = (f"root {key}",)
        by = {*before, *self.team.root_keys} if signed_by_both else set(self.team.root_keys)
        upload = {ROOT: self.team.root(self.next(ROOT), by=sorted(by))}
        if with_targets:
            upload[TARGETS] = self.team.targets(self.next(TARGETS))
        if not self.publish(upload):
            self.team.root_keys = before

    @rule(key=KEYS, with_targets=strategies.booleans())
    def rotate_targets(self, key: int, *, with_targets: bool) -> None:
        before = self.team.targets_keys
        self.team.targets_keys = (f"targets {key}",)
        upload = {ROOT: self.team.root(self.next(ROOT))}
        if with_targets:
            upload[TARGETS] = self.team.targets(self.next(TARGETS))
        if not self.publish(upload):
            self.team.targets_keys = before

    @rule(key=strategies.integers(1, 4), toggle=strategies.booleans())
    def rotate_the_servers(self, key: int, *, toggle: bool) -> None:
        """Give the timestamp to one of the server's keys, or to a fourth that is not; snapshot from side to side."""
        before = self.team.timestamp_keys, self.team.managed
        self.team.timestamp_keys = (f"timestamp {key}",)
        self.team.managed ^= toggle
        if not self.publish({ROOT: self.team.root(self.next(ROOT))}):
            self.team.timestamp_keys, self.team.managed = before

    @rule(days=strategies.integers(1, 10))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)
        if any(file.due(self.now) for file in self.old.files.values()):
            self.old = after(self.old, renew(GUN, self.old, self.now))

    @invariant()
    def everybody_believes(self) -> None:
        if not hasattr(self, "old"):
            return
        self.read(World({}))
        self.read(self.world)
        for role, file in self.old.files.items():
            exact(role, file.raw)

    def publish(self, upload: dict[str, bytes]) -> bool:
        if not self.team.managed and SNAPSHOT not in upload:
            upload[SNAPSHOT] = self.team.snapshot({**raws(self.old), **upload}, self.next(SNAPSHOT))
        try:
            self.old = after(self.old, judge(GUN, upload, self.old, self.now))
        except (RefusedError, VersionTakenError):
            return False
        self.taken += 1
        self.published |= upload.keys() - {ROOT, SNAPSHOT}
        for role, file in self.old.files.items():
            self.world.repository[DIALECT.locate(role)] = file.raw
            self.world.repository[DIALECT.locate(role, version=file.version)] = file.raw
        return True

    def read(self, world: World) -> None:
        for role, file in self.old.files.items():
            world.repository |= {DIALECT.locate(role): file.raw, DIALECT.locate(role, file_meta(file.raw)): file.raw}
        flow = Workflow(DIALECT, GUN, self.now)
        world.drive(flow.refresh())
        failed = world.drive(flow.delegated())
        # A role that was dropped and is delegated to anew is missed by those who knew it, until it is published.
        assert all(role in self.dropped and isinstance(error, RemovedError) for role, error in failed.items())
        assert self.published <= flow.roles.keys() | failed.keys()
        assert self.old.files[TIMESTAMP].version == flow.timestamp.signed.version

    def next(self, role: str) -> int:
        return self.old.newest.get(role, 0) + 1


def test_whatever_is_taken_is_believed() -> None:
    """
    After any uploads, right and wrong ones, in any order, a new reader and an old one believe the collection.
    """
    examples = 1000 if os.environ.get("TRUSTREG_FULL") else 60
    run_state_machine_as_test(Readers, settings=settings(max_examples=examples, stateful_step_count=20))
