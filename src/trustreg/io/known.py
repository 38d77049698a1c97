"""Content that is called by its digest, kept to spare asking for it again.

It is the same wherever it comes from: what is kept is hashed again when it is read, and what does not hash to its name
is as good as not there. So it does not matter who can write where it is kept. What is asked for by a tag or by a
version is never kept here.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trustreg.names import Digest


class Known(Protocol):
    """Keeps content by its digest."""

    def get(self, digest: Digest, limit: int) -> bytes | None:
        """Return the content with this *digest*, at most *limit* bytes, if it is kept; it never fails."""

    def put(self, digest: Digest, raw: bytes) -> None:
        """Keep *raw*, which has been found to have this *digest*; it never fails."""


class Nothing:
    """Keeps nothing; a :class:`Known`."""

    def get(self, digest: Digest, limit: int) -> bytes | None:
        """Return nothing."""

    def put(self, digest: Digest, raw: bytes) -> None:
        """Keep nothing."""


class InMemory:
    """Keeps content in memory, at most *most* bytes of it, and behind that in *far*; a :class:`Known`.

    Threads may share it.
    """

    def __init__(self, far: Known | None = None, most: int = 64 << 20) -> None:
        self._far, self._most = far or Nothing(), most
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()  # the one that was used last comes last
        self._size = 0
        self._lock = Lock()

    def get(self, digest: Digest, limit: int) -> bytes | None:
        """Return the content with this *digest*, if it is kept here or there."""
        with self._lock:
            raw = self._kept.get(digest)
            if raw is not None:
                self._kept.move_to_end(digest)
                return raw if len(raw) <= limit else None
        raw = self._far.get(digest, limit)
        if raw is None or len(raw) > limit or not is_of(digest, raw):
            return None
        self._keep(digest, raw)
        return raw

    def put(self, digest: Digest, raw: bytes) -> None:
        """Keep *raw* here and there."""
        self._keep(digest, raw)
        self._far.put(digest, raw)

    def _keep(self, digest: Digest, raw: bytes) -> None:
        cost = len(raw) + _OVERHEAD
        if cost > self._most // 8:
            return
        with self._lock:
            if digest in self._kept:
                return
            self._kept[digest] = raw
            self._size += cost
            while self._size > self._most:
                _, gone = self._kept.popitem(last=False)
                self._size -= len(gone) + _OVERHEAD


def is_of(digest: Digest, raw: bytes) -> bool:
    """Say whether *raw* has this *digest*."""
    import hashlib

    return hashlib.new(digest.algorithm, raw).hexdigest() == digest.hex


NOTHING = Nothing()
_OVERHEAD = 512  # bytes that keeping something takes beside it
