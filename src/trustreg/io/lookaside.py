"""Signatures beside a registry, as files: ``BASE/REPOSITORY@sha256=HEX/signature-1``, ``-2``, and so on.

The host is not part of the path, and the numbers have no gap: the first that is missing ends the list for who reads it.
So files are only ever added, each at once and whole, behind those that are there.

Source: containers/image ``docs/signature-protocols.md`` and ``docs/containers-registries.d.5.md``.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trustreg.errors import FileError, NameFormError
from trustreg.io.files import file_error, read_if_present, sync_folder
from trustreg.names import Digest, Reference


class Lookaside:
    """The signatures in the folder *base*, for as many repositories as there are."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self.where = str(base)

    def read(self, image: Reference, digest: Digest) -> Iterator[bytes]:
        """Yield the signatures of the manifest *digest* in the repository of *image*, in their order.

        Raises:
            FileError: One cannot be read, or is too long to be one; or there are too many.
        """
        folder = self._folder(image, digest)
        for number in range(1, _MOST + 1):
            raw = read_if_present(folder / f"signature-{number}", LARGEST)
            if raw is None:
                return
            yield raw
        raise FileError(str(folder), f"more than {_MOST} signatures are there")

    def add(self, image: Reference, digest: Digest, signature: bytes) -> Path:
        """Add *signature* behind those of the manifest *digest*, and return its file.

        Raises:
            FileError: It could not be written, or there are too many already.
        """
        folder = self._folder(image, digest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            aside = folder / f".{os.urandom(8).hex()}.tmp"
            try:
                with aside.open("xb") as file:
                    file.write(signature)
                    file.flush()
                    os.fsync(file.fileno())
                path = self._link(aside, folder)
            finally:
                with suppress(FileNotFoundError):
                    aside.unlink()
            sync_folder(folder)
        except (OSError, ValueError) as exc:
            raise file_error(folder, exc) from exc
        return path

    def _link(self, aside: Path, folder: Path) -> Path:
        """Give *aside* the first name that is free: a link, unlike a rename, takes the place of nothing."""
        for number in range(1, _MOST + 1):
            path = folder / f"signature-{number}"
            with suppress(FileExistsError):
                path.hardlink_to(aside)
                return path
        raise FileError(str(folder), f"{_MOST} signatures are there already")

    def _folder(self, image: Reference, digest: Digest) -> Path:
        if digest.algorithm != "sha256":
            raise NameFormError(str(digest), "digest", "signatures beside a registry are for sha256 digests")
        return self._base / f"{image.path}@{digest.algorithm}={digest.hex}"


LARGEST = 64 << 10  # bytes of one signature
_MOST = 256  # of one manifest
