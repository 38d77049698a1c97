"""What publishers to registries are called: a name each that no two of them have at the same time.

A name is used again by later processes, so that a registry that deletes nothing does not collect them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from typing import TYPE_CHECKING

from trustreg.errors import FileError
from trustreg.io.files import file_error, private_dir

if TYPE_CHECKING:
    from pathlib import Path


def claim_writer(folder: Path) -> str:
    """Return a name, 16 hex digits, which is this process's until it ends.

    It is made from what a file in *folder* holds and from the name of the machine: whoever restores the folder
    elsewhere does not take the name along.

    Raises:
        FileError: The folder cannot be written, or everything in it is in use.
    """
    private_dir(folder)
    for number in range(_MOST):
        path = folder / str(number)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the process ends, however it ends
            except BlockingIOError:
                os.close(descriptor)
                continue
            if not (kept := os.read(descriptor, 64)):
                kept = os.urandom(16).hex().encode()
                os.write(descriptor, kept)
        except OSError as exc:
            raise file_error(path, exc) from exc
        return hashlib.sha256(kept + socket.gethostname().encode()).hexdigest()[:16]
    raise FileError(str(folder), f"{_MOST} processes are publishing from here already")


_MOST = 64
