"""Programs that read TUF repositories: one that waits for answers, one with an event loop, asked for the same."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trustreg

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("waiting", "awaiting")


class Awaited:
    """What has to be awaited, waited for on a loop of its own."""

    def __init__(self, made: Any, loop: asyncio.Runner) -> None:
        self.made, self._loop = made, loop

    def __getattr__(self, name: str) -> Any:
        """Give a method that waits for what that of the other returns."""
        method = getattr(self.made, name)

        async def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            return await result if asyncio.iscoroutine(result) else result

        return lambda *args, **options: self._loop.run(call(*args, **options))


class Programs:
    """Makes programs of one kind; leaving the context closes them."""

    def __init__(self, kind: str) -> None:
        self.kind, self._made = kind, list[Any]()
        self._loop = asyncio.Runner(debug=True) if kind == "awaiting" else None

    def client(self, *args: Any, **options: Any) -> Any:
        """Make a client of one repository."""
        return self._kept(trustreg.AsyncClient if self._loop else trustreg.Client, *args, **options)

    def map(self, *args: Any, **options: Any) -> Any:
        """Make a client of several."""
        return self._kept(trustreg.AsyncMap if self._loop else trustreg.Map, *args, **options)

    def _kept(self, make: Any, *args: Any, **options: Any) -> Any:
        made = make(*args, **options)
        self._made.append(Awaited(made, self._loop) if self._loop else made)
        return self._made[-1]

    def close(self) -> None:
        """Close them all."""
        for made in self._made:
            made.close()
        if self._loop:
            self._loop.close()


@contextmanager
def programs(kind: str) -> Iterator[Programs]:
    """Lend a maker of programs of this kind."""
    maker = Programs(kind)
    try:
        yield maker
    finally:
        maker.close()
