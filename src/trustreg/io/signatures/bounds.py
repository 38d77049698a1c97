"""How much of signatures is read of one manifest in one place, whatever lies there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from trustreg.errors import SignaturePlaceError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")


def bounded(found: Iterator[T], where: str, clock: Callable[[], float] = time.monotonic) -> Iterator[T]:
    """Yield what *found* does, at *where*.

    Raises:
        SignaturePlaceError: It is too much, or takes too long.
    """
    until = clock() + LONGEST
    try:
        for number, one in enumerate(found, 1):
            if number > MOST:
                raise SignaturePlaceError(where, f"more than {MOST} signatures are there")
            yield one
            if clock() > until:
                raise SignaturePlaceError(where, f"reading the signatures takes more than {LONGEST} seconds")
    except TooLargeError as exc:  # a list of them; one that is too long is garbage
        raise SignaturePlaceError(where, str(exc)) from exc


LARGEST: Final = 64 << 10  # bytes of one signature, and of what it is about
MOST: Final = 256  # of one manifest
LONGEST: Final = 300  # seconds that reading them may take
