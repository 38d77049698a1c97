"""Target files on their way to the disk: written aside, verified as they come in, put in place when they are whole.

What was received is kept when a transfer breaks off, and the next one goes on from there: whatever happened to it
meanwhile shows in its digest. At no moment is there a file of the wanted name that is not the target.

When to ask again, and when to give up, is said once, by :func:`downloading`; there are two that carry out what it
yields, one that waits for the bytes and one that awaits them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from trustreg.errors import AbsentError, ContentError, FileError, UnavailableError
from trustreg.io.files import file_error, sync_folder
from trustreg.io.steps import in_thread, run, run_awaiting
from trustreg.reader import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from trustreg.io.stores.streams import AsyncPieces
    from trustreg.io.stores.web import AsyncWebRepository
    from trustreg.ports import Stream, TargetFiles
    from trustreg.reader import Target

    Progress = Callable[[int, int], None]

S = TypeVar("S", bound="Stream | AsyncPieces")


def download(files: TargetFiles, target: Target, path: Path, progress: Progress | None = None) -> bool:
    """Have *target* at *path*; return whether it had to be fetched.

    Args:
        files: Where target files can be had.
        target: What was looked up.
        path: Where to; what is there is replaced, and a symbolic link is not followed.
        progress: Told how many bytes of how many are there.

    Raises:
        ContentError: What came is not the target.
        AbsentError: The repository does not have it.
        UnavailableError: It cannot be had, or not to the end; what came is kept for the next attempt.
        FileError: It cannot be written.
    """

    def receive(landing: Landing) -> UnavailableError | None:
        with files.open(target.path, landing.length) as stream:
            pieces = landing.expecting(stream)
            try:
                for piece in pieces:
                    landing.write(piece)
                    if progress:
                        progress(landing.length, target.length)
            except UnavailableError as exc:
                return _broken_off(exc)
        return None

    return run(downloading(target, path), receive)


async def download_awaiting(
    files: AsyncWebRepository, target: Target, path: Path, progress: Progress | None = None
) -> bool:
    """Do as :func:`download` where bytes have to be awaited; the disk is for other threads, *progress* for this one."""

    async def receive(landing: Landing) -> UnavailableError | None:
        async with files.open(target.path, landing.length) as stream:
            pieces = landing.expecting(stream)
            try:
                async for piece in pieces:
                    await in_thread(partial(landing.write, piece))
                    if progress:
                        progress(landing.length, target.length)
            except UnavailableError as exc:
                return _broken_off(exc)
        return None

    return await run_awaiting(downloading(target, path), receive, in_thread)


def downloading(target: Target, path: Path) -> Generator[Landing, UnavailableError | None, bool]:
    """Have *target* at *path*: yield a landing that waits for bytes, from its length on; return whether it was needed.

    It is sent what broke the transfer off, or ``None`` at its end; what kept it from beginning is thrown.
    """
    if is_there(target, path):
        return False
    for last in (False, True):
        with Landing(target, path) as landing:
            resumed = landing.begin()
            try:
                yield from _transfer(target, landing)
                landing.finish()
            except ContentError:
                landing.discard()
                if last or not resumed:
                    raise
                continue  # what was left of an earlier attempt may have been something else
            return True
    raise AssertionError(path)  # pragma: no cover


def is_there(target: Target, path: Path) -> bool:
    """Say whether the file at *path* is *target*."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return False
    try:
        found, receipt = os.fstat(descriptor), Receipt(target)
        if not stat.S_ISREG(found.st_mode) or found.st_size != target.length:
            return False
        while piece := os.read(descriptor, _PIECE):
            receipt.take(piece)
        receipt.close()
    except (ContentError, OSError):
        return False
    finally:
        os.close(descriptor)
    return True


class Landing:
    """A file that becomes *target* at *path*, beside which it is written, by one process at a time.

    What is there when it is left without :meth:`finish` stays for the next one, if there is anything, and if it has the
    name by which that one would look for it.
    """

    def __init__(self, target: Target, path: Path) -> None:
        self._target, self._path = target, path
        digest = next(iter(target.hashes.values())).hex()
        self._known_as = self._aside = path.with_name(f".{digest[:32]}.part")
        self._descriptor = -1
        self._receipt = Receipt(target)

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(self._path.lstat().st_mode):
                    raise IsADirectoryError(errno.EISDIR, "")
            self._descriptor = self._open()
        except (OSError, ValueError) as exc:
            raise file_error(self._path, exc) from exc
        return self

    def __exit__(self, *_: object) -> None:
        if self._aside != self._known_as or not self._receipt.length:
            self.discard()
        os.close(self._descriptor)

    def begin(self) -> int:
        """Return how many bytes are there already; raises :class:`FileError` where they cannot be read."""
        self._receipt = Receipt(self._target)
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while piece := os.read(self._descriptor, _PIECE):
                self._receipt.take(piece)
        except ContentError:
            self.restart()
        except OSError as exc:
            raise file_error(self._aside, exc) from exc
        return self._receipt.length

    def expecting(self, stream: S | None) -> S:
        """Return *stream*, having begun anew if it does; raise :class:`AbsentError` where there is none."""
        if stream is None:
            raise AbsentError(f"target {self._target.name}", self._target.path)
        if stream.start != self.length:
            self.restart()
        return stream

    def restart(self) -> None:
        """Begin with nothing."""
        self._receipt = Receipt(self._target)
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as exc:
            raise file_error(self._aside, exc) from exc

    def write(self, piece: bytes) -> None:
        """Add *piece*; raise :class:`ContentError` where the target does not have so much."""
        self._receipt.take(piece)
        try:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as exc:
            raise file_error(self._path, exc) from exc

    @property
    def length(self) -> int:
        """How many bytes are there."""
        return self._receipt.length

    def finish(self) -> None:
        """Require the file to be the target, and put it in place; raise :class:`ContentError`."""
        self._receipt.close()
        try:
            if not _is_ours(os.fstat(self._descriptor), self._aside):
                raise FileError(str(self._aside), "somebody else has replaced this file")
            os.fsync(self._descriptor)
            self._aside.replace(self._path)
            self._aside = self._known_as = self._path
            sync_folder(self._path.parent)
        except OSError as exc:
            raise file_error(self._path, exc) from exc

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._aside != self._path:
            with suppress(OSError):
                self._aside.unlink()

    def _open(self) -> int:
        """Open the file aside; another one where somebody is writing to it at this moment, or it is not ours alone."""
        for last in (False, True):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            try:
                descriptor = os.open(self._aside, flags, 0o644)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_ours(os.fstat(descriptor), self._aside):
                        return descriptor
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
            except OSError as exc:
                if last or exc.errno not in _TAKEN:
                    raise
            self._aside = self._aside.with_name(f".{os.urandom(16).hex()}.part")
        raise FileError(str(self._aside), "somebody else keeps replacing this file")


def _transfer(target: Target, landing: Landing) -> Generator[Landing, UnavailableError | None, None]:
    """Ask for what is missing, and where that breaks off for the rest."""
    barren = 0
    for _ in range(_ATTEMPTS):
        before = landing.length
        broke = (yield landing) if before < target.length else None
        if broke is None:
            return
        barren = 0 if landing.length > before else barren + 1
        if barren == _BARREN:
            break
    raise broke or UnavailableError(target.path)


def _broken_off(exc: UnavailableError) -> UnavailableError:
    """Return *exc*, unless it is about the disk and not about the bytes."""
    if isinstance(exc, FileError):
        raise exc
    return exc


def _is_ours(found: os.stat_result, path: Path) -> bool:
    """Say whether what was *found* is the file at *path* still, and nobody else has it under another name."""
    alone = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid()
    return alone and os.path.samestat(found, path.lstat())


_ATTEMPTS = 32
_BARREN = 3  # attempts in a row that bring nothing
_PIECE = 1 << 20  # bytes read at once
_TAKEN = {errno.EWOULDBLOCK, errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES}
