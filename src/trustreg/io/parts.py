"""The parts of an archive by their names, ``collections/….json`` and ``files/….json``: in a folder, or in a zip file.

Whoever made it may mean no good: no part is a link, none is longer than was asked for, and no zip file has a member of
another name.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from trustreg.errors import DamagedError, FileError, TooLargeError
from trustreg.io.files import file_error, open_if_present, read_some, remove_file, replacing, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from io import FileIO
    from pathlib import Path


class Parts(Protocol):
    """Where the parts of an archive are."""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a part, or ``None`` where there is none.

        Raises:
            TooLargeError: It has more than *limit* bytes.
            DamagedError: It is no plain file, or not a whole one.
        """

    def has(self, name: str) -> bool:
        """Say whether there is such a part."""

    def manifests(self) -> Iterator[str]:
        """Yield the names of the manifests."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write parts, each of them whole or not at all, at the latest when this is closed."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove parts that no manifest speaks of, as far as that can be done."""

    def close(self) -> None:
        """Write what waits to be written, and let go."""


class FolderParts:
    """The parts of an archive in the folder *base*; where it is to be written, what it lacks is made.

    Raises:
        FileError: There is no such folder, or something else is in it.
    """

    def __init__(self, base: Path, *, write: bool = False) -> None:
        self._base = base
        try:
            found = {path.name for path in base.iterdir() if not path.name.startswith(".")}
        except OSError as exc:
            missing = isinstance(exc, FileNotFoundError)
            raise (FileError(str(base), "there is no such archive") if missing else file_error(base, exc)) from exc
        if "collections" not in found and (found or not write):
            raise FileError(str(base), "this is no archive, but something else", "name a folder that is not there yet")
        if write:
            make_folder(base / "collections")
            make_folder(base / "files")

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a part, or ``None`` where there is none."""
        content = read_some(self._at(name), limit + 1)
        if content is not None and len(content) > limit:
            raise TooLargeError(name, limit)
        return content

    def has(self, name: str) -> bool:
        """Say whether there is such a part."""
        return self._at(name).exists()

    def manifests(self) -> Iterator[str]:
        """Yield the names of the manifests."""
        try:
            found = [path.name for path in self._at("collections").iterdir()]
        except OSError as exc:
            raise file_error(self._base, exc) from exc
        return (f"collections/{name}" for name in found if name.endswith(".json") and name[0] != ".")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write parts, each of them whole or not at all."""
        write_all({self._at(name): raw for name, raw in files.items()}, _MODE)

    def remove(self, names: Iterable[str]) -> None:
        """Remove parts that no manifest speaks of."""
        for name in names:
            remove_file(self._at(name))

    def close(self) -> None:
        """Nothing is open."""

    def _at(self, name: str) -> Path:
        path = self._base / name
        for part in (path.parent, path) if path.parent != self._base else (path,):
            if part.is_symlink():
                at = part.relative_to(self._base)
                raise DamagedError(str(self._base), str(at), "is a symbolic link, and archives have none")
        return path


class ZipParts:
    """A zip file. What is written is held back, so that the file is not written anew for each collection."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._path = path
        self._zip: ZipFile | None = None
        self._members: dict[str, ZipInfo] = {}
        self._waiting: dict[str, bytes] = {}
        self._open(write=write)

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a part, or ``None`` where there is none."""
        if (raw := self._waiting.get(name)) is None:
            member = self._members.get(name)
            if member is None or self._zip is None:
                return None
            if member.file_size > limit:
                raise TooLargeError(name, limit)
            try:
                with self._zip.open(member) as file:
                    raw = file.read(limit + 1)
            except _BROKEN as exc:
                raise DamagedError(str(self._path), name, f"cannot be unpacked: {exc}") from exc
        if len(raw) > limit:
            raise TooLargeError(name, limit)
        return raw

    def has(self, name: str) -> bool:
        """Say whether there is such a part."""
        return name in self._waiting or name in self._members

    def manifests(self) -> Iterator[str]:
        """Yield the names of the manifests."""
        return (name for name in {*self._waiting, *self._members} if name.startswith("collections/"))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write parts, now or when this is closed."""
        self._waiting.update(files)
        if sum(map(len, self._waiting.values())) > _MOST_WAITING:
            self._flush()

    def remove(self, names: Iterable[str]) -> None:
        """Remove parts that were not written yet."""
        for name in names:
            self._waiting.pop(name, None)

    def _flush(self) -> None:
        """Write the file anew, the same bytes for the same content; files whose manifest is not there yet, too."""
        names = {*self._waiting, *self._members}
        if not self._waiting:
            return
        if len(names) > _MOST_MEMBERS:
            raise FileError(str(self._path), f"one file has room for {_MOST_MEMBERS} files: archive to a folder")
        with replacing(self._path, _MODE) as out, ZipFile(out, "w") as packed:
            for name in sorted(names):
                info = ZipInfo(name)  # of 1980, which is as good as any other time, and not compressed
                info.external_attr, info.create_system = (0o100000 | _MODE) << 16, 3
                packed.writestr(info, self.read(name, _LONGEST_FILE) or b"")
        self._waiting.clear()
        self._release()
        self._open()

    def close(self) -> None:
        """Write what waits to be written, and let go."""
        self._flush()
        self._release()

    def _release(self) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def _open(self, *, write: bool = False) -> None:
        self._members = {}
        file = open_if_present(self._path)
        if file is None:
            if not write:
                raise FileError(str(self._path), "there is no such archive")
            return
        try:
            with file:
                _require_small(file)
            self._zip = ZipFile(self._path)
        except _BROKEN as exc:
            raise DamagedError(str(self._path), "its end", f"is not that of an archive: {exc}") from exc
        for member in self._zip.infolist():
            if member.filename in {"collections/", "files/"}:
                continue
            if problem := self._problem(member):
                self._release()
                raise DamagedError(str(self._path), member.filename, problem)
            self._members[member.filename] = member

    def _problem(self, member: ZipInfo) -> str | None:
        if not _MEMBER.fullmatch(member.filename):
            return "has no place in an archive"
        if member.filename in self._members:
            return "is there twice"
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            return "is a symbolic link, and archives have none"
        if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:  # others are unpacked whole, however long that is
            return "is packed in a way that archives are not"
        return None


def _require_small(file: FileIO) -> None:
    """Require *file* to be a zip file whose list of members may be read: that is done at once, and as a whole."""
    file.seek(-min(98, file.seek(0, 2)), 2)
    large, end = (tail := file.read(98))[:-22], tail[-22:]  # what stands at the end of a zip file without a comment
    size = struct.unpack("<I", end[12:16])[0] if end[:4] == b"PK\5\6" else None
    if size is not None and large[-20:-16] == b"PK\6\7":  # that of a large one counts
        size = struct.unpack("<Q", large[40:48])[0] if large[:4] == b"PK\6\6" else None
    if size is None or size > _LONGEST_DIRECTORY:
        raise BadZipFile("this is no zip file, its end is missing, or it has too many members")


def make_folder(folder: Path) -> None:
    """Have *folder*, with those above it, for everybody to read."""
    try:
        folder.mkdir(0o755, parents=True, exist_ok=True)
    except (OSError, ValueError) as exc:
        raise file_error(folder, exc) from exc


_MEMBER = re.compile(r"collections/(?!\.)[A-Za-z0-9._%~-]{1,250}\.json|files/[0-9a-f]{64}\.json")
_BROKEN = (BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, ValueError, struct.error, zlib.error)
_MODE = 0o644  # there is nothing secret in it
_LONGEST_FILE = 64 << 20  # bytes, as in verify.workflow.Limits
_MOST_WAITING = 64 << 20  # bytes
_MOST_MEMBERS = 100_000
_LONGEST_DIRECTORY = 16 << 20  # bytes, at 115 for each member
