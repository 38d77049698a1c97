"""Where key files lie in a trust directory: where Notary's clients keep them, and where those before 0.4 kept them.

Today's are ``private/<id>.key``. Older clients had ``private/root_keys`` and, with the collection as folders,
``private/tuf_keys/<GUN>``; the first of them called a file ``<id>_<role>.key``, and later ones, whose headers named the
role, ``<id>.key``.

Source: notary ``storage/filestore.go`` (migrateTo0Dot4).
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from trustreg.errors import FileError, KeyFileError
from trustreg.io.files import file_error, read_bounded, write_atomically


class KeyPlace(NamedTuple):
    """A file that by its name holds the key ``id``; ``role`` and ``gun`` are what its place says, if anything."""

    path: Path
    id: str
    role: str | None = None
    gun: str | None = None
    old: bool = False

    def require_sayable(self) -> None:
        """Require role and collection to be text that may stand in a line; raise :class:`KeyFileError`."""
        if not f"{self.role}{self.gun}".isprintable():
            raise KeyFileError(str(self.path), "its place holds characters that have no place in a name")


def key_places(private: Path) -> Iterator[KeyPlace]:
    """Yield the key files below *private*, those of today first, each folder in the order of its names.

    In the old folders symbolic links are passed over, as Notary's clients do: the first of them linked certificates.

    Raises:
        FileError: A folder cannot be read, or more is in them than anybody's keys are.
    """
    left = _MOST
    for entry in _entries(private, left):
        left -= 1
        if _KEY_FILE.fullmatch(entry.name):
            yield KeyPlace(Path(entry.path), entry.name.partition(".")[0])
    folders = [private / name for name in reversed(_OLD_FOLDERS) if not (private / name).is_symlink()]
    while folders:
        folder = folders.pop()
        below = []
        for entry in _entries(folder, left):
            left -= 1
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                below.append(path)
            elif entry.is_file(follow_symlinks=False) and (
                found := _OLD.fullmatch(path.relative_to(private).as_posix())
            ):
                yield KeyPlace(path, found["id"], found["role"], found["gun"], old=True)
        folders += reversed(below)


def write_backup(directory: Path, files: Mapping[Path, bytes], now: datetime) -> Path:
    """Write *files*, which lie below *directory*, into a new tar file there, read it back, and return its path.

    Raises:
        FileError: It could not be written, or is not what was written.
    """
    import tarfile

    names = {path.relative_to(directory).as_posix(): raw for path, raw in files.items()}
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, raw in names.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(raw), int(now.timestamp()), 0o600
            tar.addfile(member, BytesIO(raw))
    stem = f"keys-{now:%Y%m%dT%H%M%SZ}"
    suffixes = chain([""], (f"-{number}" for number in count(2)))
    path = next(path for suffix in suffixes if not (path := directory / f"{stem}{suffix}.tar").exists())
    write_atomically(path, packed.getvalue())
    if read_bounded(path, len(packed.getvalue())) != packed.getvalue():
        raise FileError(str(path), "it is not what was written a moment ago")
    return path


def remove_empty(private: Path) -> None:
    """Remove the old folders, as far as nothing is in them."""
    for top in (private / name for name in _OLD_FOLDERS):
        for folder, _, _ in () if top.is_symlink() else os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _entries(folder: Path, most: int) -> "list[os.DirEntry[str]]":
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) > most:
                    raise FileError(str(folder), f"there are more than {_MOST} files where keys are kept")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise file_error(folder, exc) from exc
    return sorted(found, key=lambda entry: entry.name)


_OLD_FOLDERS = ("root_keys", "tuf_keys")
_MOST = 100_000  # files and folders
_KEY_FILE = re.compile(r"[0-9a-f]{64}\.(?:pem|key|uri)")
_OLD = re.compile(
    rf"(?:{'|'.join(_OLD_FOLDERS)})(?:/(?P<gun>.+))?/(?P<id>[0-9a-f]{{64}})(?:_(?P<role>[^/]+))?\.key", re.DOTALL
)
