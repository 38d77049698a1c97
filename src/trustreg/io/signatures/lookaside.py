"""Signatures beside a registry, as files: ``BASE/REPOSITORY@sha256=HEX/signature-1``, ``-2``, and so on.

The host is not part of the path, and the numbers have no gap: the first that is missing ends the list for who reads it.
So a file is added at once and whole, behind those that are there. What is removed gives its number to the last one:
that is copied to where it was, and only then removed from the end. Whoever is killed in between leaves a signature
twice, which counts once, and loses none.

Who reads while somebody removes may have passed by the place where the last one goes to, and find it gone from the end.
In a folder this is noticed and everything read again. A web server and a bucket do not tell; nor do they keep two
writers apart, who may leave a gap there if one removes while the other adds. It is closed as soon as it is seen.

Source: containers/image ``docs/signature-protocols.md`` and ``docs/containers-registries.d.5.md``.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from trustreg.errors import NameFormError, SignaturePlaceError, TooLargeError
from trustreg.io.signatures.bounds import LARGEST, MOST, bounded
from trustreg.ports import Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trustreg.io.signatures.numbered import Files
    from trustreg.names import Digest, Reference
    from trustreg.ports import Detached


class Lookaside:
    """The signatures among *files*, for as many repositories as there are; a :class:`trustreg.ports.WritablePlace`.

    Args:
        files: Where they lie.
        clock: Reads the seconds, monotonic.
    """

    holds: frozenset[type[Message | Detached]] = frozenset({Message})

    def __init__(self, files: Files, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock = files, clock
        self.where = f"lookaside:{files.where}"

    def read(self, image: Reference, digest: Digest) -> Iterator[Message | Garbage]:
        """Yield the signatures of the manifest *digest* in the repository of *image*, in their order.

        What is too long to be one is :class:`Garbage`.

        Raises:
            SignaturePlaceError: There are too many, or it took too long.
            UnavailableError: One cannot be read.
        """
        folder = self._folder(image, digest)
        before = self._files.state(folder)
        if before is None:
            yield from self._numbered(folder)
            return
        seen: dict[object, Message | Garbage] = {}
        for _ in range(_TRIES):
            for one in self._numbered(folder):
                seen.setdefault(one.raw if isinstance(one, Message) else one.where, one)
            if before == (before := self._files.state(folder)):
                break
        yield from seen.values()

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        """Add *signature* behind those of the manifest *digest*, if it is not there; return where it is.

        Raises:
            SignaturePlaceError: There are too many already, or the place takes none.
            UnavailableError: It is not known whether it was added. It may be tried again.
        """
        if not isinstance(signature, Message):
            raise SignaturePlaceError(self.where, "only OpenPGP messages have a place here", "use the place: tag")
        if len(signature.raw) > LARGEST:
            raise TooLargeError("the signature", LARGEST)
        folder = self._folder(image, digest)
        with self._files.alone(folder):
            for name in (f"{folder}/signature-{number}" for number in range(1, MOST + 1)):
                found = self._get(name)
                if _is(found, signature) or (found is None and self._files.create(name, signature.raw)):
                    return self._files.at(name)
        raise SignaturePlaceError(self._files.at(folder), f"{MOST} signatures are there already")

    def remove(self, image: Reference, digest: Digest, signature: Message | Detached) -> None:
        """Remove *signature*, wherever in the list it is; fine where it is gone.

        Raises:
            SignaturePlaceError: The place takes no changes, or somebody else has made some meanwhile.
            UnavailableError: It is not known whether it was removed. It may be tried again.
        """
        folder = self._folder(image, digest)
        if not isinstance(signature, Message) or self._get(f"{folder}/signature-1") is None:
            return
        with self._files.alone(folder):
            for _ in range(MOST):  # it may be there twice
                listed = list(self._numbered(folder))
                hole = next((i for i, one in enumerate(listed, 1) if _is(one, signature)), None)
                if hole is None:
                    return
                self._close(folder, hole, listed, signature)

    def _close(self, folder: str, hole: int, listed: list[Message | Garbage], signature: Message) -> None:
        """Remove the signature with the number *hole*, whose number the last one gets."""
        last = listed[-1]
        if hole < len(listed):
            if isinstance(last, Garbage):
                problem = "what is last here is too long to be a signature, and cannot take its place"
                raise SignaturePlaceError(last.where, problem, "look at that file, and remove it yourself")
            self._files.replace(f"{folder}/signature-{hole}", last.raw, signature.raw)
        self._files.delete(f"{folder}/signature-{len(listed)}")
        # One that was added meanwhile would be behind a gap.
        for end in range(len(listed), MOST + 1):
            if not isinstance(later := self._get(f"{folder}/signature-{end + 1}"), Message):
                break
            if self._files.create(f"{folder}/signature-{end}", later.raw):
                self._files.delete(f"{folder}/signature-{end + 1}")

    def _numbered(self, folder: str) -> Iterator[Message | Garbage]:
        def found() -> Iterator[Message | Garbage]:
            for number in count(1):
                if (one := self._get(f"{folder}/signature-{number}")) is None:
                    return
                yield one

        return bounded(found(), self._files.at(folder), self._clock)

    def _get(self, name: str) -> Message | Garbage | None:
        where = self._files.at(name)
        try:
            raw = self._files.get(name, LARGEST)
        except TooLargeError as exc:
            return Garbage(where=where, error=exc)
        return None if raw is None else Message(where=where, raw=raw)

    def _folder(self, image: Reference, digest: Digest) -> str:
        if digest.algorithm != "sha256":
            raise NameFormError(str(digest), "digest", "signatures beside a registry are for sha256 digests")
        return f"{image.path}@{digest.algorithm}={digest.hex}"


def _is(found: Message | Garbage | None, signature: Message) -> bool:
    return isinstance(found, Message) and found.raw == signature.raw


_TRIES = 3
