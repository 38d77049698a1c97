"""Reading a large file costs little more than the least it can cost: parsing it, and writing what is signed."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

import orjson
import pytest

from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.tuf1 import Tuf1
from trustreg.metadata import FileMeta, Role, Targets
from trustreg.verify.signatures import load, verify
from vectors.make.collection import Collection, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_large_file_is_read_once_and_written_once(count: int) -> None:
    """
    Decode, verify and one look-up take less than three times as long as orjson and the signature alone.
    """
    collection = Collection.usual()
    collection.parts["targets"].targets = {f"v{number}": target(str(number)) for number in range(count)}
    file = collection.file("targets")
    key = Notary1().key("ed25519", raw("targets").private.public_key().public_bytes_raw())  # type: ignore[union-attr]
    role = Role(name="targets", keyids=(key.id,))
    public = load(key)
    assert public is not None

    def ours() -> None:
        claim = Notary1().decode("targets", file)
        signed = verify(claim, role, {key.id: key}).signed
        assert isinstance(signed, Targets)
        assert signed.targets["v7"].length == 1

    signature = Notary1().decode("targets", file).signatures[0].value
    payload = Notary1().decode("targets", file).payload

    def floor() -> None:
        document = orjson.loads(file)
        assert orjson.dumps(document["signed"], option=orjson.OPT_SORT_KEYS) == payload
        public.verify(signature, payload)  # type: ignore[call-arg]

    ratio = _best(ours) / _best(floor)

    assert ratio < 3, f"{ratio:.2f}"


def test_four_times_as_many_targets_take_four_times_as_long() -> None:
    """
    To list one of them anew, and to write them all: they are in order then but for one, which some sorts mind.
    """

    def writing(count: int) -> Callable[[], None]:
        listed = {f"v{number:06}": FileMeta(length=1, hashes={"sha256": bytes(32)}) for number in range(count)}
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        file = Tuf1().encode(Tuf1().payload(Targets(version=1, expires=moment, targets=listed)), ())
        read = Tuf1().decode("targets", file).signed
        assert isinstance(read, Targets)
        middle = f"v{count // 2:06}"

        def write() -> None:
            amended = Tuf1().amend(read.targets, middle, FileMeta(length=2, hashes={"sha256": bytes(32)}))
            Tuf1().payload(replace(read, targets=amended))

        return write

    few, many = _best(writing(10_000)), _best(writing(40_000))

    assert many / few < 8, f"{many / few:.2f}"


def _best(work: Callable[[], None]) -> float:
    """Return the shortest of several runs, which is the one that the machine left alone."""
    gc.collect()
    times = []
    for _ in range(15):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times)
