"""Target files on their way to the disk: written aside, verified as they come in, put in place when they are whole.

What was received is kept when a transfer breaks off, and the next one goes on from there: whatever happened to it
meanwhile shows in its digest. At no moment is there a file of the wanted name that is not the target.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from trustreg.errors import AbsentError, ContentError, FileError, UnavailableError
from trustreg.io.files import file_error, sync_folder
from trustreg.reader import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trustreg.ports import TargetFiles
    from trustreg.reader import Target

    Progress = Callable[[int, int], None]


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
    if is_there(target, path):
        return False
    for last in (False, True):
        with Landing(target, path, progress) as landing:
            resumed = landing.begin()
            try:
                _transfer(files, target, landing)
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
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if os.fstat(descriptor).st_size != target.length:
            return False
        receipt = Receipt(target)
        try:
            while piece := file.read(_PIECE):
                receipt.take(piece)
            receipt.close()
        except (ContentError, OSError):
            return False
    return True


class Landing:
    """A file that becomes *target* at *path*, beside which it is written."""

    def __init__(self, target: Target, path: Path, progress: Progress | None = None) -> None:
        self._target, self._path, self._progress = target, path, progress
        digest = next(iter(target.hashes.values())).hex()
        self._aside = path.with_name(f".{digest[:32]}.part")
        self._descriptor = -1
        self._receipt = Receipt(target)

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._open()
        except (OSError, ValueError) as exc:
            raise file_error(self._path, exc) from exc
        return self

    def __exit__(self, *_: object) -> None:
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
        if self._progress:
            self._progress(self._receipt.length, self._target.length)

    @property
    def length(self) -> int:
        """How many bytes are there."""
        return self._receipt.length

    def finish(self) -> None:
        """Require the file to be the target, and put it in place; raise :class:`ContentError`."""
        self._receipt.close()
        try:
            os.fsync(self._descriptor)
            self._aside.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as exc:
            raise file_error(self._path, exc) from exc

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            self._aside.unlink()

    def _open(self) -> int:
        """Open the file aside; another one where somebody is writing to it at this moment."""
        for _ in range(2):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(self._aside, flags, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self._aside.stat()):
                    return descriptor
            except (BlockingIOError, FileNotFoundError):
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            self._aside = self._aside.with_name(f".{os.urandom(16).hex()}.part")
        raise FileError(str(self._aside), "somebody else keeps replacing this file")


def _transfer(files: TargetFiles, target: Target, landing: Landing) -> None:
    """Fetch what is missing; where it breaks off after it went on, ask again for the rest."""
    for _ in range(_ATTEMPTS):
        before = landing.length
        if before == target.length:
            return
        try:
            with files.open(target.path, before) as stream:
                if stream is None:
                    raise AbsentError(f"target {target.name}", target.path)
                if stream.start != landing.length:
                    landing.restart()
                for piece in stream:
                    landing.write(piece)
        except UnavailableError as exc:
            if isinstance(exc, FileError) or landing.length <= before:
                raise
        else:
            return
    raise UnavailableError(target.path)


_ATTEMPTS = 16  # each of which has to bring something
_PIECE = 1 << 20  # bytes read at once
