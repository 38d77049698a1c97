"""The clients for event loops with the manners of those that wait, so that both can be asked for the same."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from trustreg.io.async_http import AsyncHttp
from trustreg.io.stores.streams import Pieces
from trustreg.io.stores.web import AsyncWebRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from trustreg.io.http import Reply
    from trustreg.verify.requests import Want


_LOOPS: list[asyncio.Runner] = []


def end_loops() -> None:
    """Close the loops of all clients that were made so far."""
    while _LOOPS:
        _LOOPS.pop().close()


class AwaitedHttp:
    """An :class:`AsyncHttp` that is waited for, on a loop of its own; :func:`end_loops` ends it."""

    def __init__(self, *args: Any, sleep: Callable[[float], None] | None = None, **options: Any) -> None:
        async def rest(seconds: float) -> None:
            (sleep or time.sleep)(seconds)

        self.loop = asyncio.Runner(debug=True)
        _LOOPS.append(self.loop)
        self.http = AsyncHttp(*args, sleep=rest, **options)

    def get(self, url: Any, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Wait for an answer."""
        return self.loop.run(self.http.get(url, limit=limit, headers=headers))

    @contextmanager
    def stream(self, url: Any, *, headers: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """Wait for the beginning of an answer."""
        with self.entered(self.http.stream(url, headers=headers)) as (reply, rest):
            yield reply._replace(rest=self.iterated(rest))

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
        """Enter and leave a context; it has to do with being left by an error as well."""
        value = self.loop.run(context.__aenter__())
        try:
            yield value
        except BaseException as exc:
            if not self.loop.run(context.__aexit__(type(exc), exc, exc.__traceback__)):
                raise
        else:
            self.loop.run(context.__aexit__(None, None, None))

    def iterated(self, pieces: AsyncIterator[bytes]) -> Iterator[bytes]:
        """Wait for each piece."""

        async def following() -> bytes | None:
            return await anext(pieces, None)

        while (piece := self.loop.run(following())) is not None:
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self.http, name)

    def close(self) -> None:
        """Close the connections."""
        self.loop.run(self.http.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AwaitedWeb:
    """An :class:`AsyncWebRepository` that is waited for."""

    def __init__(self, http: AwaitedHttp, urls: Sequence[str], targets: Sequence[str] = (), **options: Any) -> None:
        self._http, self._web = http, AsyncWebRepository(http.http, urls, targets, **options)

    @property
    def known(self) -> Mapping[str, tuple[str, bytes]]:
        """See there."""
        return self._web.known

    @property
    def where(self) -> str:
        """See there."""
        return self._web.where

    def fetch(self, want: Want) -> bytes | None:
        """Wait for the file."""
        return self._http.loop.run(self._web.fetch(want))

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Wait for the beginning of the file."""
        with self._http.entered(self._web.open(path, start)) as pieces:
            yield Pieces(pieces.start, self._http.iterated(aiter(pieces))) if pieces else None
