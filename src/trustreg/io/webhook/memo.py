"""What was found out is remembered for a time, and what somebody is finding out is found out once."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

V = TypeVar("V")


class Memo(Generic[V]):
    """Remembers at most *most* values, each until a time of its own; of more, those go that were not used for longest.

    What is from the future counts no more, either: the clock was set back, and nobody knows for how long.

    Threads may share it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[V, datetime, datetime]] = OrderedDict()
        self._ending: set[Hashable] = set()
        self._lock = Lock()

    def get(self, key: Hashable, now: datetime) -> V | None:
        """Return what is remembered as *key*, if it still counts at *now*."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if not found[1] <= now < found[2]:
                del self._kept[key]
                self._ending.discard(key)
                return None
            self._kept.move_to_end(key)
            return found[0]

    def ends(self, key: Hashable, soon: datetime) -> bool:
        """Say, once, whether what is remembered as *key* counts no more *soon*."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[2] > soon or key in self._ending:
                return False
            self._ending.add(key)
            return True

    def put(self, key: Hashable, value: V, since: datetime, until: datetime) -> None:
        """Remember *value*, which was asked for at *since*, as *key* until then."""
        with self._lock:
            self._ending.discard(key)
            self._kept[key] = value, since, until
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._ending.discard(self._kept.popitem(last=False)[0])

    def __len__(self) -> int:
        return len(self._kept)


class Flights(Generic[V]):
    """Has one thread at a time find out a thing, and others that want the same wait for it. Nothing is remembered."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Future[V]] = {}
        self._lock = Lock()

    def once(self, key: Hashable, find: Callable[[], V]) -> V:
        """Return what *find* does, or what somebody else finds who is at it already; raise what that raises."""
        with self._lock:
            flight = self._under_way.get(key)
            if mine := flight is None:
                flight = self._under_way[key] = Future()
        if not mine:
            return flight.result()
        try:
            found = find()
        except BaseException as exc:
            flight.set_exception(exc)
            raise
        else:
            flight.set_result(found)
            return found
        finally:
            with self._lock:
                del self._under_way[key]
