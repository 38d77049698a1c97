"""Publishers who publish at the same time, in every order in which their requests can fall."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authoring import MemoryPlace, Place, meta, no_certificate
from tests.world import MemoryCache, MemoryStage
from trustreg.publisher import Publisher
from trustreg.sign.changes import AddTarget, Change, DelegateBins, RemoveTarget, SetKeys, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trustreg.client import Site
    from trustreg.names import Gun
    from trustreg.ports import Write
    from trustreg.verify.requests import Want


class Turns:
    """Lets one thread go on at a time: whose turn it is comes from *order*, and then goes round."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order, self._waiting = list(order), dict[int, threading.Event]()
        self._lock, self._mine = threading.Lock(), threading.local()

    def run(self, *works: Callable[[], None]) -> list[BaseException]:
        """Run *works* together; return what they raised."""
        raised: list[BaseException] = []
        begun = threading.Barrier(len(works) + 1)

        def begin(number: int, work: Callable[[], None]) -> None:
            self._mine.number = number
            with self._lock:
                self._waiting[number] = threading.Event()
            begun.wait()
            self._waiting[number].wait()
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 # the test is to see it
                raised.append(exc)
            with self._lock:
                del self._waiting[number]
                self._next()

        threads = [threading.Thread(target=begin, args=one, daemon=True) for one in enumerate(works)]
        for thread in threads:
            thread.start()
        begun.wait()
        with self._lock:
            self._next()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return raised

    def take(self) -> None:
        """Wait for the next turn of this thread."""
        if (number := getattr(self._mine, "number", None)) is None:
            return
        with self._lock:
            self._waiting[number].clear()
            self._next()
        self._waiting[number].wait()

    def _next(self) -> None:
        if self._waiting:
            numbers = sorted(self._waiting)
            pick = self._order.pop(0) if self._order else 0
            self._waiting[numbers[pick % len(numbers)]].set()


class TurnPlace(MemoryPlace):
    """A store in which each request waits for its turn."""

    turns = Turns([])

    def fetch(self, want: Want) -> bytes | None:
        self.turns.take()
        return super().fetch(want)

    def write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self.turns.take()
            super().write((write,))


def together(place: Place, order: Sequence[int], *batches: Sequence[Change]) -> None:
    """Publish each of *batches* at the same time, by publishers who know nothing of each other."""
    store = TurnPlace()
    store.files, store.turns = place.store.files, Turns(order)
    place.store = store

    def publish(batch: Sequence[Change]) -> Callable[[], None]:
        publisher = place.publisher()
        return lambda: void(publisher.publish(place.gun, place.now, batch))

    raised = store.turns.run(*map(publish, batches))
    assert raised == []
    store.turns = Turns([])


def void(_: object) -> None:
    """Return nothing."""


def begun() -> Place:
    place = Place()
    place.init()
    place.publish(*(AddTarget(role="targets", name=f"old-{n}", meta=meta(n)) for n in range(3)))
    return place


ORDERS = st.lists(st.integers(0, 2), max_size=120)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(ORDERS)
def test_no_update_is_lost(order: list[int]) -> None:
    """
    What each of three publishers added is there, and what one of them removed is not.
    """
    place = begun()
    cache = MemoryCache()
    place.read(cache=cache)

    together(
        place,
        order,
        [AddTarget(role="targets", name="a", meta=meta(1))],
        [AddTarget(role="targets", name="b", meta=meta(2)), RemoveTarget(role="targets", name="old-0")],
        [AddTarget(role="targets", name="c", meta=meta(3)), Witness(role="timestamp")],
    )

    workflow = place.read(cache=cache)
    assert set(workflow.roles["targets"].signed.targets) == {"a", "b", "c", "old-1", "old-2"}


@FEW
@given(ORDERS)
def test_no_update_is_lost_while_keys_and_bins_change(order: list[int]) -> None:
    """
    One publishes a tag, one replaces the timestamp key, one spreads the targets over bins.
    """
    place = begun()
    old = place.read().root.signed.roles["timestamp"].keyids
    cache = MemoryCache()
    place.read(cache=cache)

    together(
        place,
        order,
        [AddTarget(role="targets", name="a", meta=meta(1))],
        [SetKeys(role="timestamp", add=(place.key(),), remove=old)],
        [DelegateBins(role="targets", bits=1, prefix="bin", keys=(place.key(),))],
    )

    workflow = place.read(cache=cache)
    assert {name for part in workflow.roles.values() for name in part.signed.targets} >= {
        "a",
        "old-0",
        "old-1",
        "old-2",
    }
    assert all(place.find(name) for name in ("a", "old-0"))


class Fixed:
    """A place that goes on showing what it showed at first, but for what is written through it: as a registry does."""

    def __init__(self, place: MemoryPlace) -> None:
        self.place, self.where, self.seen = place, place.where, dict[str, bytes]()

    def fetch(self, want: Want) -> bytes | None:
        self.seen = self.seen or dict(self.place.files)
        return self.seen.get(want.path)

    def write(self, writes: Sequence[Write]) -> None:
        self.place.write(writes)
        self.seen = dict(self.place.files)

    def names(self) -> Iterator[str]:
        return self.place.names()


def test_what_others_publish_is_seen_where_one_object_shows_one_state() -> None:
    """
    Somebody publishes time and again from where others do, too: what is remembered there is theirs as well.
    """
    place, cache = Place(), MemoryCache()
    place.init()

    def person() -> Publisher:
        def find(gun: Gun) -> Site:
            del gun  # there is one
            return replace(place.site(cache), repository=Fixed(place.store))

        return Publisher(find, place.keys, lambda _: MemoryStage(), no_certificate)

    alice, bob = person(), person()
    for number in range(3):
        for name, publisher in (("alice", alice), ("bob", bob)):
            place.now += timedelta(seconds=1)
            change = AddTarget(role="targets", name=f"{name}-{number}", meta=meta(number))
            publisher.publish(place.gun, place.now, [change])

    assert {f"{name}-{number}" for name in ("alice", "bob") for number in range(3)} == set(
        place.read().roles["targets"].signed.targets
    )
