"""A folder, which any web server can show to the world.

Files are written aside and renamed, so whoever reads, through a web server or here, finds each of them whole. One lock
file, ``.lock`` in the base, keeps publishers apart; it ends with the process that holds it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trustreg.errors import TakenError, TooLargeError
from trustreg.io.files import (
    file_error,
    locked,
    open_if_present,
    read_some,
    remove_file,
    write_atomically,
    write_stream,
)
from trustreg.io.stores.paths import METADATA, metadata_key, metadata_path, target_key
from trustreg.io.stores.streams import PIECE, Pieces, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from trustreg.ports import Write
    from trustreg.verify.requests import Want


class FolderStore:
    """The collection in the folder *base*; a :class:`trustreg.ports.Store` and its target files.

    The folder is made when something is first written. One that is not there has no files: what is to be a mounted
    disk looks so too while it is not mounted.

    Args:
        base: Gets ``metadata/`` and ``targets/``: folders 0755 and files 0644, less what the umask takes off.
        patience: Seconds to wait for other publishers.
        key: Says where a metadata file is below *base*, by its path.
    """

    def __init__(self, base: Path, *, patience: float = 10.0, key: Callable[[str], str] = metadata_key) -> None:
        self._base, self._patience, self._key = Path(base), patience, key

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._base)

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where there is none.

        Raises:
            TooLargeError: The file is longer than ``want.limit``.
            FileError: It cannot be read.
        """
        at = self._base / self._key(want.path)
        content = read_some(at, want.limit + 1)
        if content is not None and len(content) > want.limit:
            raise TooLargeError(str(at), want.limit)
        return content

    def write(self, writes: Sequence[Write]) -> None:
        """Carry out *writes* in their order, each only if its condition holds.

        Raises:
            TakenError: Something else is there than a write expects; those before it are done.
            FileError: One could not be written; those before it are done.
        """
        places = [self._base / self._key(write.path) for write in writes]
        with self._alone():
            for write, at in zip(writes, places, strict=True):
                there = read_some(at, max(len(write.data), len(write.was or b"")) + 1)
                if there == write.data:
                    continue
                if there != write.was:
                    raise TakenError(self.where, write.path)
                _make(at.parent)
                write_atomically(at, write.data, _MODE)

    def names(self) -> Iterator[str]:
        """Yield the paths of all metadata files."""
        for folder, _, files in os.walk(self._base / METADATA, onerror=_complain):
            for name in files:
                if path := metadata_path(str(Path(folder, name).relative_to(self._base))):
                    yield path

    def remove(self, paths: Iterable[str]) -> None:
        """Remove metadata files; fine where they are gone."""
        places = [self._base / self._key(path) for path in paths]
        with self._alone():
            for at in places:
                if at.parent.is_dir():
                    remove_file(at)

    def upload(self, path: str, source: BinaryIO, length: int) -> None:
        """Store *length* bytes of *source* as the target file *path*.

        Raises:
            FileError: It could not be done, or *source* is not what was promised; what was at *path* still is.
        """
        at = self._base / target_key(path)
        _make(at.parent)
        write_stream(at, measured(source, length, path, str(at)), _MODE)

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open the target file *path*, from byte *start* on; ``None`` where there is no such file.

        Raises:
            FileError: It cannot be read.
        """
        at = self._base / target_key(path)
        file = open_if_present(at)
        if file is None:
            yield None
            return
        with file:
            if start > os.fstat(file.fileno()).st_size:
                start = 0
            file.seek(start)
            yield Pieces(start, _pieces(at, file))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        _make(self._base)
        with locked(self._base / ".lock", patience=self._patience):
            yield


def _make(folder: Path) -> None:
    try:
        for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            with suppress(FileExistsError):
                missing.mkdir(0o755)
    except (OSError, ValueError) as exc:
        raise file_error(folder, exc) from exc


def _complain(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise file_error(exc.filename, exc) from exc


def _pieces(path: Path, file: BinaryIO) -> Iterator[bytes]:
    try:
        while piece := file.read(PIECE):
            yield piece
    except OSError as exc:
        raise file_error(path, exc) from exc


_MODE = 0o644
