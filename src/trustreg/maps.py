"""Several TUF repositories as one: a target is what enough of them say it is, as a map file has it.

Source: TAP 4.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypedDict, TypeVar

from trustreg.agreement import read_map
from trustreg.errors import FileError, SettingError, UnavailableError, UntrustedError
from trustreg.io.files import read_bounded
from trustreg.io.steps import run, run_awaiting
from trustreg.tuf import Client, utc_now

if TYPE_CHECKING:
    from asyncio import Lock
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime, timedelta
    from typing import Unpack

    from trustreg.agreement import Agreed, Answer
    from trustreg.aio import AsyncClient
    from trustreg.io.download import Progress
    from trustreg.io.http import Timeouts
    from trustreg.reader import Target
    from trustreg.verify.workflow import Limits

    class Options(TypedDict, total=False):
        """What every client is told alike; :class:`trustreg.tuf.Settings` says what it means."""

        max_age: timedelta
        root_age: timedelta
        ca: str | os.PathLike[str] | None
        timeouts: Timeouts | None
        limits: Limits | None
        env: Mapping[str, str] | None
        trace: Callable[[str], None] | None


C = TypeVar("C", "Client", "AsyncClient")


class Repositories(Generic[C]):
    """The repositories of a map file, each with a client and a cache folder of its own.

    A repository has its metadata at ``metadata/`` below its URLs, its target files at ``targets/``.

    Args:
        file: The map file.
        cache: The folder of trusted metadata: one folder for each repository, called like it.
        roots: The file of a root to begin with, by name of the repository.
        clock: Reads the time, once for all of them; by default that of the machine.
        options: What each client is told: see :class:`trustreg.tuf.Settings`.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        cache: str | os.PathLike[str],
        roots: Mapping[str, bytes] | None = None,
        clock: Callable[[], datetime] | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._map = read_map(read_bounded(Path(file), _MOST), os.fspath(file))
        self._clock = clock or utc_now
        roots = roots or {}
        for name in roots.keys() - self._map.repositories.keys():
            raise SettingError(f"roots[{name}]", f"{os.fspath(file)} has no such repository")
        make = self._kind()
        self._clients: dict[str, C] = {
            name: make(
                [f"{url.rstrip('/')}/metadata/" for url in urls],
                [f"{url.rstrip('/')}/targets/" for url in urls],
                cache=Path(cache) / name,
                root=roots.get(name),
                clock=lambda: self._now,
                **options,
            )
            for name, urls in self._map.repositories.items()
        }
        self.refresh()

    def refresh(self) -> None:
        """Have each repository brought up to date when it is next asked, as of now."""
        self._begin_anew(offline=False, now=self._clock())

    def recall(self, now: datetime | None = None) -> None:
        """Have each repository read as it is kept when it is next asked, as of *now*, without asking anybody."""
        self._begin_anew(offline=True, now=now or self._clock())

    def _begin_anew(self, *, offline: bool, now: datetime) -> None:
        self._offline, self._now = offline, now
        self._begun: dict[str, UntrustedError | UnavailableError | None] = {}  # and what that failed with

    def _kind(self) -> type[C]:
        raise NotImplementedError


class Map(Repositories[Client]):
    """Reads several TUF repositories, and believes of a target what enough of them say. It is for one thread.

    :class:`Repositories` says what it may be told.
    """

    def find(self, name: str) -> Agreed | None:
        """Look the target *name* up where the map file says; ``None`` where no repository that may lists it.

        Raises:
            DisagreementError: Too few of them say the same.
            UndecidedError: That cannot be told without those that cannot be reached.
        """
        return run(self._map.find(name), lambda repository: self._answer(repository, name))

    def download(
        self, agreed: Agreed, folder: str | os.PathLike[str], name: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Have the file of *agreed* in *folder*, from the first that has it of those that agree; return its path.

        Arguments and errors are those of :meth:`trustreg.Client.download`.
        """
        return run(_from_any(agreed), lambda asked: self._clients[asked[0]].download(asked[1], folder, name, progress))

    def close(self) -> None:
        """Close the connections that are kept."""
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kind(self) -> type[Client]:
        return Client

    def _answer(self, repository: str, name: str) -> Answer:
        client = self._clients[repository]
        try:
            if repository not in self._begun:
                client.recall() if self._offline else client.refresh()
                self._begun[repository] = None
        except (UntrustedError, UnavailableError) as exc:
            self._begun[repository] = exc
        try:
            return self._begun[repository] or client.find(name)
        except (UntrustedError, UnavailableError) as exc:
            return exc


class AsyncMap(Repositories["AsyncClient"]):
    """A :class:`Map` for the tasks of one event loop; it needs ``trustreg[async]``."""

    async def find(self, name: str) -> Agreed | None:
        """Look the target *name* up as :meth:`Map.find` does."""
        return await run_awaiting(self._map.find(name), lambda repository: self._answer(repository, name))

    async def download(
        self, agreed: Agreed, folder: str | os.PathLike[str], name: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Have the file of *agreed* in *folder* as :meth:`Map.download` does."""
        return await run_awaiting(
            _from_any(agreed), lambda asked: self._clients[asked[0]].download(asked[1], folder, name, progress)
        )

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _kind(self) -> type[AsyncClient]:
        from trustreg.aio import AsyncClient

        return AsyncClient

    def _begin_anew(self, *, offline: bool, now: datetime) -> None:
        super()._begin_anew(offline=offline, now=now)
        self._locks: dict[str, Lock] = {}

    async def _answer(self, repository: str, name: str) -> Answer:
        from asyncio import Lock

        client, begun = self._clients[repository], self._begun
        async with self._locks.setdefault(repository, Lock()):
            try:
                if repository not in begun:
                    await (client.recall() if self._offline else client.refresh())
                    begun[repository] = None
            except (UntrustedError, UnavailableError) as exc:
                begun[repository] = exc
        try:
            return begun[repository] or await client.find(name)
        except (UntrustedError, UnavailableError) as exc:
            return exc


def _from_any(agreed: Agreed) -> Generator[tuple[str, Target], Path, Path]:
    """Ask one repository after the other for the file of *agreed*, each by its name; return where the first put it."""
    failed: list[UntrustedError | UnavailableError] = []
    for asked in agreed.targets.items():
        try:
            return (yield asked)
        except FileError:
            raise
        except (UntrustedError, UnavailableError) as exc:
            failed.append(exc)
    raise _worst(failed)


def _worst(failed: list[UntrustedError | UnavailableError]) -> UntrustedError | UnavailableError:
    """Return the first that leaves it open whether the file could be had, or else the first."""
    return next((error for error in failed if isinstance(error, UnavailableError)), failed[0])


_MOST = 1 << 20  # bytes of a map file
