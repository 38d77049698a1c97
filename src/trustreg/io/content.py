"""Files of this machine that are to become targets."""

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

from trustreg.errors import FileError
from trustreg.io.files import file_error, open_if_present
from trustreg.publisher import Content


def content_of(path: Path, name: str, custom: Any = None) -> Content:
    """Return the file at *path* as the content of the target *name*; it is read once, piece by piece.

    Raises:
        FileError: It cannot be read.
    """
    digest, length = hashlib.sha256(), 0
    with _open(path) as file:
        try:
            while piece := file.read(_PIECE):
                digest.update(piece)
                length += len(piece)
        except OSError as exc:
            raise file_error(path, exc) from exc
    return Content(name=name, length=length, sha256=digest.digest(), open=lambda: _open(path), custom=custom)


def _open(path: Path) -> BinaryIO:
    file = open_if_present(path)
    if file is None:
        raise FileError(str(path), "there is no such file")
    return file


_PIECE = 1 << 20
