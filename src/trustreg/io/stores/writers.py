"""What publishers to registries are called: a name each that no two of them have at the same time.

A name is used again by later processes, so that a registry that deletes nothing does not collect them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import weakref
from typing import TYPE_CHECKING

from trustreg.errors import FileError
from trustreg.io.files import file_error, private_dir, read_if_present

if TYPE_CHECKING:
    from pathlib import Path


class Writers:
    """The names of those who publish from one trust directory, which are in files in *folder*.

    A name that was taken is this object's until it goes, or the process ends, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, ""
        self._held: list[int] = []
        weakref.finalize(self, _close, self._held)

    def claim(self) -> str:
        """Return a name, 16 hex digits, that nobody else has; the same each time.

        It is made from what a file holds and from the name of the machine: whoever restores the folder elsewhere does
        not take the name along.

        Raises:
            FileError: The folder cannot be written, or everything in it is in use.
        """
        if not self._name:
            private_dir(self._folder)
            self._name = next(filter(None, map(self._take, range(_MOST))), "")
        if not self._name:
            raise FileError(str(self._folder), f"{_MOST} processes are publishing from here already")
        return self._name

    def bury(self, name: str) -> bool:
        """Take *name* too, if it is one from here whose process has ended, and say so; nobody else can have it then.

        Raises:
            FileError: The folder cannot be read or written.
        """
        for number in range(_MOST):
            kept = read_if_present(self._folder / str(number), 64)
            if kept is None:
                return False
            if kept and _named(kept) == name:
                return bool(self._take(number))
        return False

    def _take(self, number: int) -> str:
        """Return the name that is in a file, which gets one where it has none; nothing where somebody has it."""
        path = self._folder / str(number)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return ""
            self._held.append(descriptor)
            if not (kept := os.read(descriptor, 64)):
                kept = os.urandom(16).hex().encode()
                os.write(descriptor, kept)
        except OSError as exc:
            raise file_error(path, exc) from exc
        return _named(kept)


def _named(kept: bytes) -> str:
    return hashlib.sha256(kept + socket.gethostname().encode()).hexdigest()[:16]


def _close(held: list[int]) -> None:
    while held:
        os.close(held.pop())


_MOST = 64
