"""TUF repositories for programs that run an event loop: what :mod:`trustreg.tuf` does, awaited.

The decisions are the very same generators. They run in threads, with all that they read and write, so that the loop
goes on while large metadata is parsed and a lock is waited for; only the network is the loop's. A task that is
cancelled waits for the step that is being made: what is being written is written to its end.
"""

from __future__ import annotations

from asyncio import Lock
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from trustreg.client import advance
from trustreg.errors import SettingError
from trustreg.io.download import download_awaiting
from trustreg.io.steps import in_thread
from trustreg.io.stores.web import AsyncWebRepository
from trustreg.tuf import Settings
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    import os
    from datetime import datetime

    from trustreg.io.download import Progress
    from trustreg.reader import Target
    from trustreg.verify.requests import Answer
    from trustreg.verify.workflow import Flow

T = TypeVar("T")


class AsyncClient(Settings):
    """Reads one TUF repository over HTTP. Keep one; the tasks of one event loop may share it, and caches anybody.

    :class:`trustreg.tuf.Settings` says what it may be told. It needs ``trustreg[async]``. Look-ups wait for each other,
    downloads do not.
    """

    _lock: Lock

    async def refresh(self) -> None:
        """Bring the top-level roles up to date as of now; raises what :meth:`trustreg.Client.refresh` raises."""
        async with self._lock:
            known = await in_thread(self._known)
            self._files = AsyncWebRepository(self._http, self._metadata, self._targets, known=known)
            await self._drive(self._reader.refresh(self._clock()))
            await in_thread(partial(self._note, self._files.known, known))

    async def recall(self, now: datetime | None = None) -> None:
        """Read the top-level roles as they are kept, as of *now*, without asking anybody.

        Raises:
            UntrustedError: They did not hold then, or too little is kept.
        """
        async with self._lock:
            await self._drive(self._reader.recall(now or self._clock()))

    async def find(self, name: str) -> Target | None:
        """Look the target *name* up as of the last refresh; ``None`` where no role that may lists it.

        Raises what :meth:`trustreg.Client.find` raises.
        """
        async with self._lock:
            return await self._drive(self._reader.find(name))

    async def download(
        self, target: Target, folder: str | os.PathLike[str], name: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Have the file of *target* in *folder*, and return its path; one that is there already is not fetched again.

        Arguments and errors are those of :meth:`trustreg.Client.download`.
        """
        path = Path(folder) / (target.file_name if name is None else name)
        await download_awaiting(self._files, target, path, progress)
        return path

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _start(self) -> None:
        try:
            from trustreg.io.async_http import AsyncHttp
        except ModuleNotFoundError as exc:
            if exc.name != "httpx":
                raise
            raise SettingError("AsyncClient", "it needs the package httpx: install trustreg[async]") from exc
        self._http = AsyncHttp(self._env, self._tls, timeouts=self._timeouts, trace=self._trace)
        self._files = AsyncWebRepository(self._http, self._metadata, self._targets)
        self._lock = Lock()

    async def _drive(self, flow: Flow[T]) -> T:
        answer: Answer = None
        while True:
            reached = await in_thread(partial(advance, flow, answer, self._cache))
            if not isinstance(reached, Want):
                result: T = reached.result
                return result
            answer = await self._files.fetch(reached)
