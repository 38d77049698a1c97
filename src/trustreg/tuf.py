"""TUF repositories for programs: refresh, look targets up, fetch their files."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from trustreg.client import drive
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import FileError, FirstUseError, SettingError
from trustreg.io.address import Url, without_secrets
from trustreg.io.cache import FolderCache
from trustreg.io.files import read_if_present, write_atomically
from trustreg.io.http import Http, Timeouts
from trustreg.io.stores.web import WebRepository
from trustreg.io.tls import Tls, TlsFiles
from trustreg.names import TIMESTAMP, Gun
from trustreg.reader import Reader, begin
from trustreg.verify.pinning import Pins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trustreg.io.download import Progress
    from trustreg.reader import Target
    from trustreg.verify.workflow import Flow, Limits

    Known: TypeAlias = Mapping[str, tuple[str, bytes]]

T = TypeVar("T")


class Settings:
    """What a client of one TUF repository is told, and what it does that needs no network.

    Args:
        metadata_url: Where metadata is, or several mirrors of it, the best first.
        targets_url: The same for target files.
        cache: The folder of trusted metadata, shared by any number of processes: each role's file as it was received,
            and what may never be rolled back in a hidden one.
        root: The file of a root to begin with. Later it counts only where it is newer than what is trusted.
        max_age: For how long what was read may answer again without anybody being asked.
        root_age: For how long nobody is asked for a newer root where something else has to be asked for.
        ca: A PEM file with the CA of the servers.
        timeouts: How long a request may take.
        limits: What metadata may cost.
        env: The environment; by default that of the process.
        clock: Reads the time, once for each refresh; by default that of the machine.
        trace: Is told of each request, one line each.
    """

    def __init__(
        self,
        metadata_url: str | Sequence[str],
        targets_url: str | Sequence[str] = (),
        *,
        cache: str | os.PathLike[str],
        root: bytes | None = None,
        max_age: timedelta = timedelta(0),
        root_age: timedelta = timedelta(0),
        ca: str | os.PathLike[str] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        env = os.environ if env is None else env
        self._metadata, self._targets = _urls(metadata_url), _urls(targets_url)
        if not self._metadata:
            raise SettingError("metadata_url", "it names no repository")
        servers = {_authority(url) for url in (*self._metadata, *self._targets)}
        shown = dict.fromkeys(servers, TlsFiles(ca=os.fspath(ca))) if ca else {}
        self._env, self._tls = env, Tls(env, env.get("HOME") or str(Path("~").expanduser()), shown)
        self._timeouts, self._trace, self._clock = timeouts, trace, clock or utc_now
        self._cache, self._etag = folder_cache(cache), Path(cache) / ".etag"
        self._begun = root is not None
        self._reader = Reader(
            _NAME,
            Tuf1(),
            where=self._metadata[0],
            pins=Pins(root=root, first_use=False),
            limits=limits,
            max_age=max_age,
            root_age=root_age,
        )
        self._start()

    def _start(self) -> None:
        """Prepare for requests; none is made yet."""

    def _known(self) -> Known:
        """Return the ETag of the timestamp that is kept: one that has not changed need not come again.

        Raises:
            FirstUseError: Nothing is kept and no root was given: nothing that is served could be believed.
        """
        if not (self._begun or self._cache.memory().floors):
            raise FirstUseError(self._metadata[0], ())
        with suppress(FileError, ValueError):
            url, etag, digest = (read_if_present(self._etag, 4096) or b"").decode("ascii").split("\n")
            kept = self._cache.recall(TIMESTAMP)
            if kept is not None and sha256(kept).hexdigest() == digest:
                return {url: (etag, kept)}
        return {}

    def _note(self, known: Known, before: Known) -> None:
        """Keep the ETag of the timestamp that is *known* now, unless it was so *before*."""
        for url, (etag, raw) in known.items():
            if before.get(url) != (etag, raw):
                with suppress(FileError):  # it saves a transfer, no more
                    write_atomically(self._etag, f"{url}\n{etag}\n{sha256(raw).hexdigest()}".encode())


class Client(Settings):
    """Reads one TUF repository over HTTP. Keep one; it is for one thread, and caches may be shared.

    :class:`Settings` says what it may be told.
    """

    def refresh(self) -> None:
        """Bring the top-level roles up to date as of now.

        Raises:
            UntrustedError: A check failed: what was trusted before still is, and :meth:`recall` reads it.
            UnavailableError: An answer could not be had.
        """
        known = self._known()
        self._files = WebRepository(self._http, self._metadata, self._targets, known=known)
        self._drive(self._reader.refresh(self._clock()))
        self._note(self._files.known, known)

    def recall(self, now: datetime | None = None) -> None:
        """Read the top-level roles as they are kept, as of *now*, without asking anybody.

        Raises:
            UntrustedError: They did not hold then, or too little is kept.
        """
        self._drive(self._reader.recall(now or self._clock()))

    def find(self, name: str) -> Target | None:
        """Look the target *name* up as of the last refresh; ``None`` where no role that may lists it.

        Raises:
            UntrustedError: A role on the way failed a check.
            UnavailableError: An answer could not be had.
            RuntimeError: There was no refresh, or it failed.
        """
        return self._drive(self._reader.find(name))

    def download(
        self, target: Target, folder: str | os.PathLike[str], name: str | None = None, progress: Progress | None = None
    ) -> Path:
        """Have the file of *target* in *folder*, and return its path; one that is there already is not fetched again.

        Args:
            target: What :meth:`find` returned.
            folder: Where to; it is made where it is missing.
            name: What to call the file; by default what the target is called, made safe.
            progress: Told how many bytes of how many are there.

        Raises:
            ContentError: What came is not the target.
            UnavailableError: It cannot be had, or not to the end; the next attempt goes on from there.
        """
        from trustreg.io.download import download

        path = Path(folder) / (target.file_name if name is None else name)
        download(self._files, target, path, progress)
        return path

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._http = Http(self._env, self._tls, timeouts=self._timeouts, trace=self._trace)
        self._files = WebRepository(self._http, self._metadata, self._targets)

    def _drive(self, flow: Flow[T]) -> T:
        return drive(flow, self._files, self._cache)


def trust(cache: str | os.PathLike[str], root: bytes) -> None:
    """Begin the folder *cache* anew with the file of a root that is trusted; nobody is asked.

    Raises:
        UntrustedError: It is no root that signs itself.
        FileError: The folder cannot be written.
    """
    folder, keep = folder_cache(cache), begin(root, Tuf1(), _NAME)
    folder.forget()
    folder.keep(keep)


def folder_cache(cache: str | os.PathLike[str]) -> FolderCache:
    """Return the cache of a repository in the folder *cache*."""
    folder = Path(cache)
    return FolderCache(folder, folder / ".trusted", str(_NAME), Tuf1())


def _urls(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _authority(url: str) -> str:
    try:
        return Url.parse(url).authority
    except ValueError as exc:
        raise SettingError(without_secrets(url), str(exc)) from exc


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


_NAME = Gun("repository")
