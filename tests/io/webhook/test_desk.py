"""What the webhook remembers of decisions, and for how long."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from trustreg.client import RoleState, Standing
from trustreg.errors import OfflineError
from trustreg.io.webhook.desk import Bench, Desk, Logins, Spans
from trustreg.io.webhook.memo import Flights, Memo
from trustreg.io.webhook.tally import Tally
from trustreg.judging import Decision
from trustreg.names import Digest, Gun, Reference
from trustreg.policy import AcceptAnything, InCollection, OldOrNew, Policy, Rule
from trustreg.ports import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "registry.example/app:1.0"
BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
COLLECTION = InCollection(path="collection")


def manifest(raw: bytes) -> Manifest:
    """Return what a registry serves."""
    return Manifest(media_type="x", digest=Digest("sha256", hashlib.sha256(raw).hexdigest()), raw=raw)


class World:
    """A registry, a collection and a judge, all of whom count what they are asked; and the time."""

    def __init__(self, rule: Rule, spans: Spans | None = None) -> None:
        self.now, self.served, self.version, self.verdict = BEGIN, manifest(b"first"), 1, "trusted"
        self.expires = BEGIN + timedelta(days=1)
        self.asked: list[str] = []
        self.broken = False
        self.policy = Policy(rules={}, default=rule)
        self.wait: Callable[[], Any] = lambda: None
        pool = ThreadPoolExecutor(4)
        self.desk = Desk(self.policy, lambda *_: self.bench(), Tally(), spans or Spans(), lambda: self.now, pool)

    def bench(self) -> Bench:
        """Return who judges."""
        fake: Any = self
        return Bench(fake, lambda name: name, fake)

    def digest(self, _: Reference) -> Digest:
        """Be the registry."""
        self.asked.append("tag")
        if self.broken:
            raise OfflineError("registry.example", "refused")
        return self.served.digest

    def manifest(self, _: Reference) -> Manifest:
        """Be the registry."""
        return self.served

    def standing(self, _: Reference, now: datetime) -> tuple[Standing, ...]:
        """Be the judge."""
        if not isinstance(self.policy.default.require, InCollection):
            return ()
        self.asked.append("collection")
        role = RoleState(
            name="timestamp", version=self.version, expires=self.expires, threshold=1, keyids=(), signed_by=()
        )
        gun = Gun("registry.example/app")
        return (Standing(gun=gun, place="here", roles=(role,), expires=self.expires, asked=now),)

    def judge(self, image: Reference, _now: datetime, *, served: Any = None) -> Decision:
        """Be the judge."""
        self.asked.append("judge")
        self.wait()
        rule, verdict = self.policy.default, self.verdict
        try:
            digest = served().digest if served else image.digest
        except OfflineError as exc:
            return replace(self._decision(image, rule, "unknown"), error=exc)
        return replace(self._decision(image, rule, verdict), digest=digest)

    @staticmethod
    def _decision(image: Reference, rule: Rule, verdict: Any) -> Decision:
        return Decision(image=str(image), logical=str(image), rule=rule, verdict=verdict, allowed=verdict == "trusted")

    def ask(self, image: str = IMAGE, seconds: float = 5) -> tuple[str, list[str]]:
        """Ask for a decision; return its verdict, and who was asked for it."""
        self.asked.clear()
        (decision,) = self.desk.decide([image], Logins(), self.now + timedelta(seconds=seconds))
        return decision.verdict, list(self.asked)

    def later(self, seconds: float) -> World:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        return self


ANYTHING = Rule(scope="", require=AcceptAnything(path="default"))
IN_COLLECTION = Rule(scope="", require=COLLECTION)


def test_what_is_remembered() -> None:
    """
    Nobody is asked within the time of reuse; then what a decision rests on, and the judge only if that has changed.
    """
    world = World(IN_COLLECTION)
    found = [world.ask()[1], world.later(2).ask()[1], world.later(4).ask()[1]]
    world.version = 2
    found.append(world.later(6).ask()[1])
    world.served = manifest(b"second")
    found.append(world.later(6).ask()[1])

    asked = ["tag", "collection"]
    assert found == [[*asked, "judge"], [], asked, [*asked, "judge"], [*asked, "judge"]]
    assert world.desk.known([IMAGE], Logins()) is not None
    assert world.later(6).desk.known([IMAGE], Logins()) is None
    assert world.desk.known([IMAGE], Logins("others")) is None


@pytest.mark.parametrize(
    ("verdict", "seconds", "again"),
    [("trusted", 299, False), ("trusted", 301, True), ("untrusted", 9, False), ("untrusted", 11, True)],
)
def test_for_how_long(verdict: str, seconds: float, again: bool) -> None:
    """
    A yes for five minutes, a no for ten seconds.
    """
    world = World(ANYTHING)
    world.verdict = verdict
    world.ask()

    assert ("judge" in world.later(seconds).ask()[1]) is again


def test_no_longer_than_what_it_rests_on() -> None:
    """
    When a collection expires, or what was old counts no more, it is judged again, however short the time.
    """
    world = World(IN_COLLECTION)
    world.expires = BEGIN + timedelta(seconds=3)
    world.ask()
    until = OldOrNew(path="", new=ANYTHING.require, old=ANYTHING.require, until=BEGIN + timedelta(seconds=3))
    other = World(Rule(scope="", require=until))
    other.ask()

    assert "judge" in world.later(3.5).ask()[1]
    assert other.later(2).ask()[1] == []
    assert "judge" in other.later(1.5).ask()[1]


def test_clock_set_back() -> None:
    """
    What was found out later than it is now is asked for anew: nobody knows for how long it would count.
    """
    world = World(IN_COLLECTION)
    world.ask()

    assert world.later(-3600).ask() == ("trusted", ["tag", "collection", "judge"])
    assert world.ask() == ("trusted", [])


def test_asked_ahead() -> None:
    """
    Who meets with something that ends soon does not wait, and has it asked for; so nobody after him has to.
    """
    world = World(ANYTHING)
    world.ask()
    ahead = world.later(4).ask()
    for _ in range(100):
        if world.asked:
            break
        time.sleep(0.01)

    assert (ahead[0], world.asked) == ("trusted", ["tag"])
    assert world.later(2.5).ask() == ("trusted", [])


def test_what_is_not_known_is_not_remembered() -> None:
    """
    A registry that does not answer is asked again at once; and what was known of a digest is of no use for a tag.
    """
    world = World(ANYTHING, Spans(reuse=timedelta(0)))
    first = world.ask()
    world.broken = True
    found = [world.ask(), world.ask()]
    world.broken = False

    assert first[0] == "trusted"
    assert found == [("unknown", ["tag", "judge"])] * 2
    assert world.ask() == ("trusted", ["tag"])


def test_one_flight() -> None:
    """
    Twenty who want the same wait for one; and who cannot wait is told so, while it is found out for the next.
    """
    world = World(ANYTHING)
    over = threading.Event()
    world.wait = lambda: over.wait(5)
    late = world.desk.decide([IMAGE], Logins(), world.now)
    threads = [
        threading.Thread(target=world.desk.decide, args=([IMAGE], Logins(), world.now + timedelta(seconds=5)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()

    assert (late[0].verdict, late[0].error and late[0].error.code, late[0].allowed) == ("unknown", "deadline", False)
    assert world.asked.count("judge") == 1
    assert world.ask() == ("trusted", [])


def test_memo_and_flights() -> None:
    """
    A memo has a size and a time, and does not speak of the past; a flight that fails fails for all, and the next one is
    another.
    """
    memo: Memo[int] = Memo(2)
    for number in range(3):
        memo.put(number, number, BEGIN, BEGIN + timedelta(seconds=number))
    flights: Flights[int] = Flights()

    assert [memo.get(number, BEGIN) for number in range(3)] == [None, 1, 2]
    assert memo.get(1, BEGIN + timedelta(seconds=1)) is None
    assert memo.get(2, BEGIN - timedelta(seconds=1)) is None
    assert len(memo) == 0
    with pytest.raises(ZeroDivisionError):
        flights.once("key", lambda: 1 // 0)
    assert flights.once("key", lambda: 1) == 1
