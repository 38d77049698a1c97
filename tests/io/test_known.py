"""Content that is kept by its digest."""

from __future__ import annotations

import hashlib

from trustreg.io.known import InMemory
from trustreg.names import Digest


def digest(raw: bytes) -> Digest:
    """Return what *raw* is called."""
    return Digest("sha256", hashlib.sha256(raw).hexdigest())


class Far:
    """Somewhere that others write to."""

    def __init__(self) -> None:
        self.kept: dict[Digest, bytes] = {}

    def get(self, digest: Digest, limit: int) -> bytes | None:
        """Return whatever is there."""
        del limit
        return self.kept.get(digest)

    def put(self, digest: Digest, raw: bytes) -> None:
        """Keep it."""
        self.kept[digest] = raw


def test_it_is_hashed_again() -> None:
    """
    What lies elsewhere is believed only if it has its name; what is too long, or too much, is not kept or not given.
    """
    far = Far()
    near = InMemory(far, most=8 * 2000)
    near.put(digest(b"good"), b"good")
    far.put(digest(b"better"), b"better")
    far.put(digest(b"bad"), b"worse")
    near.put(digest(bytes(3000)), bytes(3000))

    assert near.get(digest(b"good"), 100) == b"good"
    assert near.get(digest(b"good"), 3) is None
    assert near.get(digest(b"better"), 100) == b"better"
    assert near.get(digest(b"bad"), 100) is None
    far.kept.clear()
    assert near.get(digest(b"better"), 100) == b"better"
    assert near.get(digest(bytes(3000)), 4000) is None
    for number in range(40):
        near.put(digest(b"%d" % number), b"%d" % number)
    far.kept.clear()
    assert near.get(digest(b"better"), 100) is None
    assert near.get(digest(b"39"), 100) == b"39"
