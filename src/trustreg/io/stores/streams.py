"""Target files on their way, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustreg.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

PIECE = 65_536  # bytes that are held at a time


class Pieces:
    """The bytes of a target file from ``start`` on; a :class:`trustreg.ports.Stream`."""

    def __init__(self, start: int, pieces: Iterable[bytes]) -> None:
        self.start, self._pieces = start, pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def measured(source: BinaryIO, length: int, path: str) -> Iterator[bytes]:
    """Yield *length* bytes of *source*; raise :class:`FileError`, about *path*, where it has less."""
    left = length
    while left:
        try:
            piece = source.read(min(PIECE, left))
        except OSError as exc:
            raise FileError(path, f"what it is to be made of cannot be read: {exc.strerror or exc}") from exc
        if not piece:
            raise FileError(path, f"what it is to be made of ends after {length - left} of {length} bytes")
        left -= len(piece)
        yield piece
