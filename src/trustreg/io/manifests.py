"""Manifests on the disk: found, read once, and written anew.

Everything is bounded: how many files, how deep, how long. In folders only what is called ``.yaml``, ``.yml`` or
``.json`` is read, nothing that is hidden, and no link is followed that leads out of the folder that was asked for.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trustreg import manifests
from trustreg.errors import FileError, TrustregError
from trustreg.io.documents import read
from trustreg.io.files import file_error, read_bounded, write_all
from trustreg.manifests import Passed, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trustreg.policy import Extractor

STDIN = "-"


class File(NamedTuple):
    """A file that was read: what it is called, where it is, ``None`` for standard input, and what it holds."""

    name: str
    path: Path | None
    text: str
    places: tuple[Place, ...]
    problems: tuple[Problem, ...]
    passed: tuple[Passed, ...]


def gather(names: Sequence[str], extractors: Sequence[Extractor]) -> Iterator[File]:
    """Read the files and folders that are called *names*, each file once; ``-`` is standard input.

    Of what names no image, the text is not kept.
    """
    seen: set[Path] = set()
    left = _MOST_TOGETHER
    for name in names:
        for shown, path in _files(name):
            try:
                if isinstance(path, TrustregError):
                    raise path
                real = path and _real(path)
                if real in seen:
                    continue
                if real:
                    seen.add(real)
                raw = _raw(path, shown, pipes=shown == name)
                if (left := left - len(raw)) < 0:
                    problem = f"with what was read before, it is longer than the {_MOST_TOGETHER} bytes that are read"
                    raise FileError(shown, problem)
                yield _read(raw, shown, path, extractors, named=shown == name)
            except TrustregError as exc:
                bad = Problem(file=shown, line=getattr(exc, "line", 1), error=exc)
                yield File(shown, None, "", (), (bad,), ())


def write(changed: Mapping[Path, tuple[str, str]]) -> None:
    """Replace files: what they held, and what they shall hold. None is, unless all are as they were.

    Raises:
        FileError: One was changed meanwhile, or cannot be written.
    """
    by_mode: dict[int, dict[Path, bytes]] = {}
    for path, (before, after) in changed.items():
        real = _real(path)
        try:
            mode = stat.S_IMODE(real.stat().st_mode)
        except OSError as exc:
            raise file_error(path, exc) from exc
        if read_bounded(real, _LONGEST) != before.encode():
            raise FileError(str(path), "it was changed by somebody else meanwhile; nothing was written")
        by_mode.setdefault(mode, {})[real] = after.encode()
    for mode, files in by_mode.items():
        write_all(files, mode)


def _read(raw: bytes, name: str, path: Path | None, extractors: Sequence[Extractor], *, named: bool) -> File:
    found: list[Place | Problem | Passed] = []
    if not name.endswith(_SUFFIXES) and manifests.is_list(text := raw.decode(errors="replace")):
        found += manifests.of_list(text, name)
    else:
        text, documents = read(raw, name)
        for document in documents:
            found += manifests.of_document(document, name, extractors, named=named)
    places = tuple(one for one in found if isinstance(one, Place))
    problems = tuple(one for one in found if isinstance(one, Problem))
    return File(
        name, path, text if places else "", places, problems, tuple(one for one in found if isinstance(one, Passed))
    )


def _raw(path: Path | None, name: str, *, pipes: bool) -> bytes:
    if path is not None:
        return read_bounded(path, _LONGEST, pipes=pipes)
    raw = sys.stdin.buffer.read(_LONGEST + 1)
    if len(raw) > _LONGEST:
        raise FileError(name, f"standard input is longer than the {_LONGEST} bytes that it may have")
    return raw


def _files(name: str) -> Iterator[tuple[str, Path | TrustregError | None]]:
    """Yield the files that *name* stands for, as people call them, and where they are, or why they cannot be read."""
    if name == STDIN:
        yield name, None
        return
    path = Path(name)
    try:
        if not path.is_dir():
            yield name, path
            return
        for below in _walk(path, _real(path), iter(range(_MOST)), 0):
            yield str(below), below
    except (OSError, ValueError) as exc:
        yield name, file_error(name, exc)
    except FileError as exc:
        yield name, exc


def _walk(folder: Path, root: Path, left: Iterator[int], depth: int) -> Iterator[Path]:
    """Yield the manifests in *folder*, in order, but for what is hidden or leads out of *root*."""
    if depth > _DEEPEST:
        raise FileError(str(folder), f"it is more than {_DEEPEST} folders deep")
    try:
        with os.scandir(folder) as listed:
            entries = sorted((entry for entry in listed if next(left, None) is not None), key=lambda entry: entry.name)
    except OSError as exc:
        raise file_error(folder, exc) from exc
    if next(left, None) is None:
        raise FileError(str(root), f"more than {_MOST} files and folders are in it")
    for entry in entries:
        below = Path(folder, entry.name)
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(below, root, left, depth + 1)
        elif entry.name.endswith(_SUFFIXES) and below.is_file() and _real(below).is_relative_to(root):
            yield below


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError) as exc:
        raise file_error(path, exc) from exc
    except RuntimeError as exc:  # what Python below 3.13 makes of links that lead in a circle
        raise FileError(str(path), "symbolic links lead in a circle") from exc


_SUFFIXES = (".yaml", ".yml", ".json")
_LONGEST = 16_777_216  # bytes of a file; the manifests of a large operator have four million
_MOST_TOGETHER = 268_435_456
_MOST = 100_000  # files and folders
_DEEPEST = 32
