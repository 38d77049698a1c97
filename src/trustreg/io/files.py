"""Files that other processes use at the same time, and that a crash or a full disk must not spoil.

Everything here fails with one :class:`trustreg.errors.FileError` that names the path and says what is wrong.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from trustreg.errors import FileError


def is_there(text: str) -> bool:
    """Say whether *text*, which may be meant otherwise, is the name of something that can be read as a file."""
    try:
        return Path(text).exists() and not Path(text).is_dir()
    except OSError:  # too long for a name, for one
        return False


def read_bounded(path: Path, limit: int, *, pipes: bool = False) -> bytes:
    """Return the content of a regular file of at most *limit* bytes.

    Symbolic links are followed: mounted secrets are links. Anything that could block or never end is refused,
    unless *pipes* allows for ``/dev/stdin`` and ``<(command)``.

    Raises:
        FileError: There is no such file, it is no regular file, it is longer, or it cannot be read.
    """
    content = read_if_present(path, limit, pipes=pipes)
    if content is None:
        raise FileError(str(path), "there is no such file")
    return content


def read_if_present(path: Path, limit: int, *, pipes: bool = False) -> bytes | None:
    """Do as :func:`read_bounded`, but return ``None`` where there is no such file."""
    content = read_some(path, limit + 1, pipes=pipes)
    if content is not None and len(content) > limit:
        raise FileError(str(path), f"it is longer than the {limit} bytes that it may have")
    return content


def read_some(path: Path, most: int, *, pipes: bool = False) -> bytes | None:
    """Return what a file begins with, *most* bytes at most; ``None`` where there is no such file."""
    file = open_if_present(path, pipes=pipes)
    if file is None:
        return None
    try:
        with file:
            content = bytearray()
            while len(content) < most and (chunk := file.read(most - len(content))):
                content += chunk
    except OSError as exc:
        raise file_error(path, exc) from exc
    return bytes(content)


def open_if_present(path: Path, *, pipes: bool = False) -> FileIO | None:
    """Open a regular file, unbuffered, on the conditions of :func:`read_bounded`; ``None`` where there is no such."""
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to must not wait for somebody who might.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | (0 if pipes else os.O_NONBLOCK))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc
    try:
        _require_readable(path, os.fstat(descriptor).st_mode, pipes=pipes)
        return FileIO(descriptor)
    except OSError as exc:
        os.close(descriptor)
        raise file_error(path, exc) from exc
    except FileError:
        os.close(descriptor)
        raise


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace or create *path* so that a reader, a crash or a full disk finds the old or the new file, whole.

    A temporary file in the same folder is written, synced and renamed, and the folder is synced. A symbolic link
    at *path* is replaced, not followed. The umask still takes its bits off *mode*.

    Raises:
        FileError: It could not be done, and what was there before still is; or, if it was the very last step that
            failed, the new file is there and may be gone after a power cut.
    """
    write_all({path: data}, mode)


def write_all(files: Mapping[Path, bytes], mode: int = 0o600) -> None:
    """Do as :func:`write_atomically` for several files: none is replaced before all of them are on the disk.

    A crash between two of the renames leaves some replaced, in the order given, and the others as they were.
    """
    written: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            at = path
            written[path] = _write_aside(path, data, mode)
        for at, temporary in list(written.items()):
            temporary.replace(at)
            del written[at]
        for at in {path.parent for path in files}:
            sync_folder(at)
    except (OSError, ValueError) as exc:
        raise file_error(at, exc) from exc
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink()


def write_stream(path: Path, pieces: Iterable[bytes], mode: int = 0o600) -> None:
    """Do as :func:`write_atomically` with what *pieces* yield; what they raise is raised, and nothing is changed."""
    with replacing(path, mode) as file:
        for piece in pieces:
            file.write(piece)


@contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Do as :func:`write_atomically` with what is written to the file that is handed out, once that ends well."""
    try:
        temporary, file = _open_aside(path, mode)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc


def remove_file(path: Path) -> None:
    """Remove *path* for good; no complaint where it is gone already."""
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc


@contextmanager
def locked(path: Path, *, patience: float = 10.0) -> Iterator[None]:
    """Hold the lock file *path* against other processes and threads; it is created, and stays. A folder is one, too.

    The lock ends with the process, however it ends. It does not nest: taking it twice is waiting for oneself.

    Args:
        path: A file of its own, never one that :func:`write_atomically` replaces; or a folder that is there.
        patience: Seconds to wait for others.

    Raises:
        FileError: Another holder did not let go in time, or the file cannot be opened.
    """
    descriptor = _lock(path, time.monotonic() + patience, patience)
    try:
        yield
    finally:
        os.close(descriptor)


def private_dir(path: Path) -> Path:
    """Return *path* after making sure that it is a folder of ours; create it for us alone (0700).

    Raises:
        FileError: It is no folder, belongs to somebody else, or anybody may write to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc
    return require_own(path)


def require_own(path: Path) -> Path:
    """Return *path*, which has to be a folder of ours that nobody else may write to; raise :class:`FileError`."""
    try:
        found = path.stat()
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise FileError(str(path), "it is not a folder")
    if found.st_uid != os.geteuid():
        raise FileError(str(path), "this folder belongs to another user", f"chown it to user id {os.geteuid()}")
    if found.st_mode & stat.S_IWOTH:
        raise FileError(str(path), "anybody may write to this folder", f"chmod go-w {path}")
    return path


def file_error(path: Path | str, exc: OSError | ValueError) -> FileError:
    """Say what the operating system said about *path*, in words for people."""
    if isinstance(exc, ValueError):  # an embedded NUL, or characters the file system cannot spell
        return FileError(repr(str(path)), "this cannot be the name of a file")
    said = exc.strerror or str(exc)
    return FileError(str(path), _SENTENCES.get(exc.errno or 0, said[:1].lower() + said[1:]))


def _write_aside(path: Path, data: bytes, mode: int) -> Path:
    """Write a temporary file beside *path* and sync it; leave nothing behind if that fails."""
    temporary, file = _open_aside(path, mode)
    with file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    return temporary


def _open_aside(path: Path, mode: int) -> tuple[Path, BinaryIO]:
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return temporary, os.fdopen(os.open(temporary, flags, mode), "w+b")


def _require_readable(path: Path, mode: int, *, pipes: bool) -> None:
    if stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode)):
        return
    names = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    raise FileError(str(path), f"it is {names.get(stat.S_IFMT(mode), 'a device')}, not a file")


def sync_folder(folder: Path) -> None:
    """Have the disk know what is in *folder*; raises :class:`OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:  # file systems that do not sync folders
            raise
    finally:
        os.close(descriptor)


def _lock(path: Path, deadline: float, patience: float) -> int:
    pause = 0.005
    while True:
        try:
            if (descriptor := _try_lock(path)) is not None:
                return descriptor
        except (OSError, ValueError) as exc:
            raise file_error(path, exc) from exc
        if time.monotonic() >= deadline:
            raise FileError(str(path), f"another process has held this lock for {patience:g} seconds")
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _try_lock(path: Path) -> int | None:
    how = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path, how | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(path, descriptor):
            return descriptor  # else the folder was cleared between open and lock: lock the new file
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


_SENTENCES = {
    errno.EACCES: "permission denied",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than a file may be",
    errno.EISDIR: "it is a folder, not a file",
    errno.ELOOP: "symbolic links lead in a circle, or to where they may not",
    errno.EMFILE: "too many files are open",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "the folder it belongs in does not exist",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.ENXIO: "it is a socket or a device, not a file",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
}
