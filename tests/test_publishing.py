"""What publications have in common."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.authoring import TUF1, Died, Place, dying_before, meta
from tests.world import MemoryKeys
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import ExistsError, TakenError
from trustreg.names import TOP_LEVEL
from trustreg.publishing import reading_once
from trustreg.sign.changes import AddTarget, DelegateBins

if TYPE_CHECKING:
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


@pytest.mark.parametrize("number", range(5))
def test_a_beginning_that_broke_off_goes_on(number: int) -> None:
    """
    By who has the keys that were made; where nothing is missing there is nothing to go on with.
    """
    place = Place()
    place.store.step = dying_before(number)
    with contextlib.suppress(Died):
        place.init()
    place.store.step = lambda _: None
    root = place.store.files.get("1.root.json")
    if number == 4:
        with pytest.raises(ExistsError):
            place.init()
    else:
        place.init()

    assert place.store.files["1.root.json"] == (root or place.store.files["1.root.json"])
    place.publish(AddTarget(role="targets", name="v1", meta=meta(1)))
    assert place.find("v1").meta == meta(1)


def test_nobody_goes_on_with_what_somebody_else_began() -> None:
    """
    Whose keys are not here may be at it still.
    """
    place = Place()
    place.store.step = dying_before(2)
    with pytest.raises(Died):
        place.init()
    place.store.step, place.keys = lambda _: None, MemoryKeys()

    with pytest.raises(ExistsError):
        place.init()
    assert sorted(place.store.files) == ["1.root.json", "1.targets.json"]


def test_two_who_begin_at_once_keep_the_keys() -> None:
    """
    The second takes the first for dead and goes on with the same keys; the first hears that it was too late.
    """
    place = Place()

    def step(path: str) -> None:
        if path == "timestamp.json":
            place.store.step = lambda _: None
            place.init()

    place.store.step = step
    with pytest.raises(TakenError):
        place.init()
    place.publish(AddTarget(role="targets", name="v1", meta=meta(1)))

    assert place.find("v1").meta == meta(1)
