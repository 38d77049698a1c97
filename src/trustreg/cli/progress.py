"""What is going on, for who waits at a terminal; and out of the way of everything else that is said there."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show on a terminal that *what* is going on, once it has taken longer than a second."""
    if not sys.stderr.isatty():
        yield
        return
    with _shown(lambda: _status(what)):
        yield


def transfer(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Show on a terminal how much of *what* is there, once it takes long; hand over what is to be told of it."""
    return _measured(_Bar(what))


def counted(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Show how many of *what* are done as :func:`transfer` shows how much is there."""
    return _measured(_Bar(what, counts=True))


@contextmanager
def _measured(bar: _Bar) -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield bar.tell
        return
    with _shown(bar.restarted):
        yield bar.tell


@contextmanager
def _shown(make: Callable[[], Any]) -> Iterator[None]:
    from threading import Timer

    timer = Timer(_PATIENCE, _LINE.show, (make,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _LINE.show(None)


@contextmanager
def hushed() -> Iterator[None]:
    """Take progress off the screen, for a question to a person or a line that stays."""
    _LINE.hush(1)
    try:
        yield
    finally:
        _LINE.hush(-1)


class _Line:
    """The line of the terminal that progress is shown in."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._make: Callable[[], Any] | None = None
        self._running: Any = None
        self._hushed = 0

    def show(self, make: Callable[[], Any] | None) -> None:
        """Show what *make* makes, to be started and stopped, as soon as nothing hushes it; or nothing any more."""
        with self._lock:
            self._make = make
            self._update()

    def hush(self, change: int) -> None:
        """Count one more or less who wants silence."""
        with self._lock:
            self._hushed += change
            self._update()

    def _update(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None
        if self._make is not None and not self._hushed:
            self._running = self._make()
            self._running.start()


class _Bar:
    """How much of something is there. It may be told by one thread and shown by another."""

    def __init__(self, what: str, *, counts: bool = False) -> None:
        self._what, self._done, self._total, self._counts = what, 0, 0, counts
        self._shown: Any = None

    def tell(self, done: int, total: int) -> None:
        """Take note that *done* of *total* are there, bytes or whatever is counted."""
        self._done, self._total = done, total
        if self._shown is not None:
            self._shown.update(0, completed=done, total=total)

    def restarted(self) -> Any:
        """Return something to start and stop that shows what is known by now."""
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        from trustreg.errors import shown

        amount = (MofNCompleteColumn(),) if self._counts else (DownloadColumn(), TransferSpeedColumn())
        self._shown = Progress(
            TextColumn("{task.description}"), BarColumn(), *amount, console=Console(stderr=True), transient=True
        )
        self._shown.add_task(escape(shown(self._what)), completed=self._done, total=self._total or None)
        return self._shown


def _status(what: str) -> Any:
    from rich.console import Console

    return Console(stderr=True).status(what)


_PATIENCE = 1.0  # seconds
_LINE = _Line()
