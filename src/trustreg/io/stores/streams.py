"""Target files on their way, piece by piece."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from trustreg.errors import ContentError, FileError, ServerError
from trustreg.metadata import STRONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

    from trustreg.io.http import Reply

PIECE = 65_536  # bytes that are held at a time


def ranged(get: Callable[[Mapping[str, str]], Reply], start: int) -> tuple[Reply, int]:
    """Have *get* ask with these headers for a file from byte *start* on; return the answer and where it begins.

    It is asked for from the beginning where it has no such byte. The status is for the caller to judge.
    """
    reply = get({"Range": f"bytes={start}-"} if start else {})
    if start and reply.status == 416:
        reply = get({})
    return reply, beginning(reply, start)


def beginning(reply: Reply, asked: int) -> int:
    """Return where in the file the body of *reply* begins; :class:`ServerError` where that was not *asked*."""
    if reply.status != 206:
        return 0
    said = _RANGE.fullmatch(reply.headers.get("content-range", ""))
    if not said or int(said[1]) != asked:
        raise ServerError(str(reply.url), reply.status, "it sends another part of the file than it was asked for")
    return asked


class Pieces:
    """The bytes of a target file from ``start`` on; a :class:`trustreg.ports.Stream`."""

    def __init__(self, start: int, pieces: Iterable[bytes]) -> None:
        self.start, self._pieces = start, pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


class AsyncPieces:
    """The same, where they have to be awaited."""

    def __init__(self, start: int, pieces: AsyncIterator[bytes]) -> None:
        self.start, self._pieces = start, pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


class Flowing:
    """Pieces as something to read from, and nothing but what has these *hashes* to its end at *length* bytes.

    Raises:
        ContentError: On the read that would be the last, before it is handed out; or where there is no digest to go by.
    """

    def __init__(self, pieces: Iterable[bytes], length: int, hashes: Mapping[str, bytes], what: str) -> None:
        self._pieces, self._left, self._what, self._kept = iter(pieces), length, what, b""
        self._due = {name: hashes[name].hex() for name in STRONG if name in hashes}
        self._found = {name: hashlib.new(name) for name in self._due}
        if not self._due:
            raise ContentError(what, "a sha256 or sha512 digest", "none")

    def read(self, most: int) -> bytes:
        """Return some bytes, *most* at most, and none at the end."""
        if not self._kept:
            self._kept = next(filter(None, self._pieces), b"")
        piece, self._kept = self._kept[:most], self._kept[most:]
        self._left -= len(piece)
        for name, digest in self._found.items():
            digest.update(piece)
            if self._left <= 0 and digest.hexdigest() != self._due[name]:
                raise ContentError(self._what, f"{name}:{self._due[name]}", f"{name}:{digest.hexdigest()}")
        return piece


def measured(source: BinaryIO, length: int, path: str, where: str) -> Iterator[bytes]:
    """Yield *length* bytes of *source*, which are to become the target file *path*; errors say *where* that is.

    Where a digest is part of the name, it is required before the last piece is handed out, so that no store ever
    finishes a file with other content: *source* may have changed since it was digested.

    Raises:
        FileError: It has less, has another digest than the name says, or cannot be read.
    """
    left, found = length, hashlib.sha256()
    due = _DIGEST.match(path.rpartition("/")[2])
    while True:
        try:
            piece = source.read(min(PIECE, left))
        except OSError as exc:
            raise FileError(where, f"what it is to be made of cannot be read: {exc.strerror or exc}") from exc
        if not piece and left:
            raise FileError(where, f"what it is to be made of ends after {length - left} of {length} bytes")
        left -= len(piece)
        found.update(piece)
        if not left and due and found.hexdigest() != due[1]:
            raise FileError(where, f"what it is to be made of has changed meanwhile: its digest is {found.hexdigest()}")
        if piece:
            yield piece
        if not left:
            return


_DIGEST = re.compile(r"([0-9a-f]{64})\.")
_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)", re.IGNORECASE)
