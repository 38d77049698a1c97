"""Where files of a lookaside can lie: a folder, a web server, a bucket.

All three are asked for one file at a time, by a name below a base: ``team/app@sha256=…/signature-1``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol

from trustreg.errors import SignaturePlaceError, TakenError, TooLargeError
from trustreg.io.files import file_error, locked, read_some, remove_file, sync_folder, write_atomically
from trustreg.io.http import refusal
from trustreg.names import ROOT
from trustreg.ports import Write
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from trustreg.io.address import Url
    from trustreg.io.auth import Access, Auth
    from trustreg.io.http import Reply
    from trustreg.io.stores.objects import ObjectStore


class Files(Protocol):
    """Files by name, below a base."""

    where: str

    def at(self, name: str) -> str:
        """Return where the file *name* is, for people."""

    def get(self, name: str, limit: int) -> bytes | None:
        """Return what is there; ``None`` where nothing is.

        Raises:
            TooLargeError: It is longer than *limit*.
            UnavailableError: No answer could be had.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Put *data* there if nothing is, and say whether that was so.

        Raises:
            UnavailableError: It is not known whether it was done.
        """

    def replace(self, name: str, data: bytes, was: bytes) -> None:
        """Put *data* there in the place of *was*; raises what :meth:`create` raises."""

    def delete(self, name: str) -> None:
        """Remove what is there; fine where nothing is."""

    def alone(self, folder: str) -> AbstractContextManager[None]:
        """Keep other writers out of *folder* as far as that is possible here."""

    def state(self, folder: str) -> object:
        """Return what is another value after files of *folder* were changed; ``None`` where nobody can tell."""


class FolderFiles:
    """Files in the folder *base*. Others find each of them whole, or none.

    Args:
        base: Where they lie; it is made when the first is written.
        patience: Seconds to wait for other writers.
    """

    def __init__(self, base: Path, *, patience: float = 10.0) -> None:
        self._base, self._patience = base, patience
        self.where = str(base)

    def at(self, name: str) -> str:
        """Return its path."""
        return str(self._base / name)

    def get(self, name: str, limit: int) -> bytes | None:
        """Read it; raise :class:`FileError` where it cannot be read."""
        content = read_some(self._base / name, limit + 1)
        if content is not None and len(content) > limit:
            raise TooLargeError(self.at(name), limit)
        return content

    def create(self, name: str, data: bytes) -> bool:
        """Write it aside, and link it: a link, unlike a rename, takes the place of nothing."""
        path = self._base / name
        try:
            aside = path.with_name(f".{os.urandom(8).hex()}.tmp")
            try:
                with aside.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                path.hardlink_to(aside)
            except FileExistsError:
                return False
            finally:
                with suppress(FileNotFoundError):
                    aside.unlink()
            sync_folder(path.parent)
        except (OSError, ValueError) as exc:
            raise file_error(path, exc) from exc
        return True

    def replace(self, name: str, data: bytes, was: bytes) -> None:
        """Rename a new file into its place."""
        del was  # nobody else writes here now
        write_atomically(self._base / name, data, 0o644)

    def delete(self, name: str) -> None:
        """Unlink it."""
        if (path := self._base / name).parent.is_dir():
            remove_file(path)

    @contextmanager
    def alone(self, folder: str) -> Iterator[None]:
        """Hold the lock of the folder itself, which is made for it."""
        path = self._base / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as exc:
            raise file_error(path, exc) from exc
        with locked(path, patience=self._patience):
            yield

    def state(self, folder: str) -> object:
        """Return which files are there, by name and inode."""
        path = self._base / folder
        try:
            with os.scandir(path) as entries:
                return {entry.name: entry.inode() for entry in entries if entry.name[0] != "."}
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise file_error(path, exc) from exc


class WebFiles:
    """Files that a web server shows at *base*, and takes by PUT if it is one that does.

    Args:
        auth: Carries the requests.
        base: Where they are.
        access: How to log in, should the server want that.
        ends_at_403: The server answers 403 for what is not there, as buckets do to those who may not list them.
    """

    def __init__(self, auth: Auth, base: Url, access: Access, *, ends_at_403: bool = False) -> None:
        self._auth, self._base, self._access = auth, base, access
        self._absent = {404, 403} if ends_at_403 else {404}
        self.where = str(base).rstrip("/")

    def at(self, name: str) -> str:
        """Return its URL."""
        return str(self._url(name))

    def get(self, name: str, limit: int) -> bytes | None:
        """Ask for it."""
        reply = self._auth.get(self._url(name), self._access, limit=limit)
        if reply.status in self._absent:
            return None
        if reply.status != 200:
            raise refusal(reply)
        return reply.body

    def create(self, name: str, data: bytes) -> bool:
        """Put it on condition that nothing is there, and look: not every server heeds the condition."""
        reply = self._put(name, data, {"If-None-Match": "*"})
        if reply.status == 412:
            return False
        _require_taken(reply)
        try:
            return self.get(name, len(data)) == data
        except TooLargeError:
            return False

    def replace(self, name: str, data: bytes, was: bytes) -> None:
        """Put it there."""
        del was  # servers of files have no condition for that
        _require_taken(self._put(name, data, {}))

    def delete(self, name: str) -> None:
        """Ask the server to delete it."""
        reply = self._auth.delete(self._url(name), self._access, limit=_SHORT)
        if reply.status not in {200, 202, 204, 404}:
            _require_taken(reply)

    def alone(self, folder: str) -> AbstractContextManager[None]:
        """Do nothing: nobody can be kept out."""
        del folder
        return nullcontext()

    def state(self, folder: str) -> None:
        """Return ``None``."""

    def _url(self, name: str) -> Url:
        return self._base._replace(path=f"{self._base.path.rstrip('/')}/{name}")

    def _put(self, name: str, data: bytes, headers: dict[str, str]) -> Reply:
        return self._auth.put(self._url(name), self._access, data, _OCTETS, limit=_SHORT, headers=headers)


class BucketFiles:
    """Files in a bucket.

    Args:
        store: The bucket, which has its files under their own names.
        ends_at_403: It says 403 for what is not there.
    """

    def __init__(self, store: ObjectStore, *, ends_at_403: bool = False) -> None:
        self._store = store
        self._as = ROOT if ends_at_403 else ""  # of a root it is an answer that it is not shown
        self.where = store.where

    def at(self, name: str) -> str:
        """Return its URL."""
        return f"{self.where}/{name}"

    def get(self, name: str, limit: int) -> bytes | None:
        """Ask for it."""
        return self._store.fetch(Want(self._as, name, limit))

    def create(self, name: str, data: bytes) -> bool:
        """Put it on a condition that the service itself looks at."""
        try:
            self._store.write([Write(path=name, data=data)])
        except TakenError:
            return False
        return True

    def replace(self, name: str, data: bytes, was: bytes) -> None:
        """Put it on condition that what was there still is."""
        try:
            self._store.write([Write(path=name, data=data, was=was)])
        except TakenError as exc:
            raise SignaturePlaceError(self.at(name), "somebody else has changed it meanwhile", "try again") from exc

    def delete(self, name: str) -> None:
        """Delete it."""
        self._store.remove([name])

    def alone(self, folder: str) -> AbstractContextManager[None]:
        """Do nothing: nobody can be kept out."""
        del folder
        return nullcontext()

    def state(self, folder: str) -> None:
        """Return ``None``."""


def _require_taken(reply: Reply) -> None:
    if reply.status in {200, 201, 202, 204}:
        return
    if reply.status in {403, 405, 501}:
        hint = "write to the folder that it shows: set lookaside-staging in registries.d, or name the folder"
        raise SignaturePlaceError(str(reply.url), f"the server takes no files ({reply.status})", hint)
    raise refusal(reply)


_OCTETS = "application/octet-stream"
_SHORT = 65_536  # bytes; answers to an upload have no content to speak of
