"""What is going on, for who waits at a terminal; and out of the way of everything else that is said there."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show on a terminal that *what* is going on, once it has taken longer than a second."""
    if not sys.stderr.isatty():
        yield
        return
    from threading import Timer

    timer = Timer(_PATIENCE, _LINE.show, (what,))
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
    """The line of the terminal that progress is shown in; ``spinner`` makes something to start and stop."""

    def __init__(self, spinner: Callable[[str], Any]) -> None:
        self._spinner, self._lock = spinner, Lock()
        self._what: str | None = None
        self._running: Any = None
        self._hushed = 0

    def show(self, what: str | None) -> None:
        """Show *what* as soon as nothing hushes it, or nothing any more."""
        with self._lock:
            self._what = what
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
        if self._what is not None and not self._hushed:
            self._running = self._spinner(self._what)
            self._running.start()


def _status(what: str) -> Any:
    from rich.console import Console

    return Console(stderr=True).status(what)


_PATIENCE = 1.0  # seconds
_LINE = _Line(_status)
