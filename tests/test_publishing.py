"""What publications have in common."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.authoring import TUF1, Place, meta
from trustreg.dialects.tuf1 import Tuf1
from trustreg.names import TOP_LEVEL
from trustreg.publishing import reading_once
from trustreg.sign.changes import AddTarget, DelegateBins

if TYPE_CHECKING:
    import pytest

    from trustreg.metadata import Envelope, Signed


def test_a_file_is_decoded_once_where_it_is_read_again() -> None:
    """
    The same bytes of a top-level role, one after the other; other bytes, and other roles, each time.
    """
    place = Place()
    place.init()
    place.publish(DelegateBins(role="targets", bits=1, prefix="bin", keys=(place.key(),)))
    files, dialect = place.store.files, reading_once(TUF1)

    def decode(role: str, path: str) -> object:
        return dialect.decode(role, bytes(bytearray(files[path])))

    first = decode("snapshot", "1.snapshot.json")
    assert first is decode("snapshot", "1.snapshot.json")
    assert first == TUF1.decode("snapshot", files["1.snapshot.json"])
    assert decode("snapshot", "2.snapshot.json") == TUF1.decode("snapshot", files["2.snapshot.json"])
    assert decode("snapshot", "1.snapshot.json") is not first
    assert decode("bin-0", "1.bin-0.json") is not decode("bin-0", "1.bin-0.json")
    assert dialect.locate("snapshot", version=3) == "3.snapshot.json"


def test_a_publisher_decodes_what_is_new_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It reads back what it published, and begins the next publication with it, without decoding it again.
    """
    place, decoded = Place(), list[str]()
    place.init()
    publisher = place.publisher()

    def publish(number: int) -> None:
        change = AddTarget(role="targets", name=f"v{number}", meta=meta(number))
        publisher.publish(place.gun, place.now + timedelta(seconds=number), (change,))

    publish(1)
    decode = Tuf1.decode

    def noting(self: Tuf1, role: str, raw: bytes) -> Envelope[Signed]:
        decoded.append(role)
        return decode(self, role, raw)

    monkeypatch.setattr(Tuf1, "decode", noting)
    publish(2)

    assert sorted(decoded) == sorted(set(TOP_LEVEL) - {"root"})
