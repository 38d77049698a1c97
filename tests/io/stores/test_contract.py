"""What is true of every place that collections are kept in: a folder, a bucket, a registry."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FormatError, TakenError, TooLargeError, UnavailableError
from trustreg.ports import Write
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.io.stores.conftest import Both

    Open = Callable[[], Both]

ROOT, STAMP = Write(path="1.root.json", data=b"root 1"), Write(path="timestamp.json", data=b"stamp 1")


def read(store: Both, path: str, limit: int = 1000) -> bytes | None:
    return store.fetch(Want("targets", path, limit))


def get(store: Both, path: str, start: int = 0) -> tuple[int, bytes] | None:
    with store.open(path, start) as stream:
        return (stream.start, b"".join(stream)) if stream else None


def test_an_empty_place_has_nothing(place: Open) -> None:
    """It says so, for metadata and target files, and lists none."""
    store = place()

    assert read(store, "1.root.json") is None
    assert get(store, "a/b") is None
    assert list(store.names()) == []
    assert store.where


def test_what_is_written_is_there(place: Open) -> None:
    """For whoever opens it next, under any name a role may have."""
    writes = [ROOT, Write(path="3.a%2Fb.json", data=b"{}"), Write(path="4.%C3%A4%20%25.json", data=b""), STAMP]
    writer = place()
    writer.write(writes)

    for store in (writer, place()):
        assert [read(store, write.path) for write in writes] == [write.data for write in writes]
        assert sorted(store.names()) == sorted(write.path for write in writes)


def test_a_file_has_a_limit(place: Open) -> None:
    """Up to it, it is read; one byte more is too much."""
    place().write([Write(path="1.root.json", data=b"x" * 100)])

    assert read(place(), "1.root.json", 100) == b"x" * 100
    with pytest.raises(TooLargeError):
        read(place(), "1.root.json", 99)


def test_what_is_new_is_not_written_over_what_is_there(place: Open) -> None:
    """Unless it is the same; then it was a repetition."""
    place().write([ROOT])
    place().write([ROOT, STAMP])
    with pytest.raises(TakenError) as caught:
        place().write([Write(path="1.root.json", data=b"another root")])

    assert caught.value.path == "1.root.json"
    assert read(place(), "1.root.json") == ROOT.data


def test_what_is_there_is_replaced_if_it_is_what_it_was(place: Open) -> None:
    """A publication that saw an older one, or one that is gone, is refused."""
    place().write([STAMP])
    second = Write(path="timestamp.json", data=b"stamp 2", was=b"stamp 1")
    place().write([second])
    place().write([second])  # repeated
    with pytest.raises(TakenError):
        place().write([Write(path="timestamp.json", data=b"stamp 3", was=b"stamp 1")])
    with pytest.raises(TakenError):
        place().write([Write(path="snapshot.json", data=b"x", was=b"y")])

    assert read(place(), "timestamp.json") == b"stamp 2"
    assert read(place(), "snapshot.json") is None


def test_what_ends_it_leaves_no_later_file(place: Open) -> None:
    """In their order, up to the one that does not hold at most."""
    place().write([STAMP])
    with pytest.raises(TakenError):
        place().write(
            [
                Write(path="1.snapshot.json", data=b"s"),
                Write(path="timestamp.json", data=b"n", was=b"o"),
                Write(path="2.snapshot.json", data=b"s"),
            ]
        )

    assert read(place(), "timestamp.json") == STAMP.data
    assert read(place(), "2.snapshot.json") is None


def test_no_update_is_lost(place: Open) -> None:
    """Of several who add one to what they read, at once, each counts."""
    place().write([Write(path="timestamp.json", data=b"0")])

    def add(name: str) -> None:
        done = 0
        while done < 4:
            store = place()
            seen = read(store, "timestamp.json") or b""
            data = f"{int(seen.split()[0]) + 1} {name}".encode()
            with contextlib.suppress(TakenError):
                store.write([Write(path="timestamp.json", data=data, was=seen)])
                done += 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, "abc"))

    assert (read(place(), "timestamp.json") or b"").split()[0] == b"12"


def test_one_of_two_is_first(place: Open) -> None:
    """Whoever writes the same new file at the same time: one does, and the other knows."""

    def attempt(number: int, name: str) -> int:
        try:
            place().write([Write(path=f"{number}.root.json", data=name.encode())])
        except TakenError:
            return 0
        return 1

    with ThreadPoolExecutor(2) as pool:
        for number in range(5):
            won = list(pool.map(attempt, [number, number], ["a", "b"]))
            assert sum(won) == 1
            assert read(place(), f"{number}.root.json") == (b"a" if won[0] else b"b")


def test_metadata_is_removed(place: Open) -> None:
    """What is gone already is no trouble, and the rest stays."""
    place().write([ROOT, Write(path="1.a%2Fb.json", data=b"x"), STAMP])
    place().remove(["1.a%2Fb.json", "7.none.json", "7.no%2Fne.json"])

    assert sorted(place().names()) == ["1.root.json", "timestamp.json"]
    assert read(place(), "1.a%2Fb.json") is None


def test_a_target_file_is_there_after_its_upload(place: Open) -> None:
    """All of it, or from where the reader got to; under any name."""
    content = os.urandom(300_000)
    path = f"a b/%41/ä#?/{hashlib.sha256(content).hexdigest()}.tar.gz"
    place().upload(path, BytesIO(content + b"more"), len(content))
    place().upload(path, BytesIO(content), len(content))

    assert get(place(), path) == (0, content)
    assert get(place(), path, 299_000) == (299_000, content[299_000:])
    assert get(place(), path, 300_001) == (0, content)
    assert get(place(), "a b/A") is None
    assert list(place().names()) == []


def test_an_empty_target_file_is_one(place: Open) -> None:
    """Nothing is not absence."""
    path = f"{hashlib.sha256().hexdigest()}.empty"
    place().upload(path, BytesIO(), 0)

    assert get(place(), path) == (0, b"")


@pytest.mark.parametrize("length", [0, 9, 300_000, 6_000_000])
def test_no_upload_puts_other_bytes_in_place_of_good_ones(place: Open, length: int) -> None:
    """A file may change between the moment it is digested and the upload."""
    good, evil = b"g" * 9, b"e" * length
    path = f"{hashlib.sha256(good).hexdigest()}.bin"
    place().upload(path, BytesIO(good), len(good))
    with pytest.raises(UnavailableError, match="has changed meanwhile"):
        place().upload(path, BytesIO(evil), len(evil))

    assert get(place(), path) == (0, good)


def test_an_upload_that_ends_early_is_none(place: Open) -> None:
    """What was there is there."""
    with pytest.raises(UnavailableError, match="after 3 of 4 bytes"):
        place().upload("d.file", BytesIO(b"abc"), 4)

    assert get(place(), "d.file") is None


def test_a_target_file_does_not_disturb_what_is_read(place: Open) -> None:
    """Metadata and target files of one name are two things."""
    place().write([ROOT])
    place().upload("1.root.json", BytesIO(b"other"), 5)

    assert read(place(), "1.root.json") == ROOT.data
    assert get(place(), "1.root.json") == (0, b"other")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "a/./b"),
        *("a\\..\\b", "a\0b", "a\nb", "\ud800", "n" * 256, "n/" * 500 + "n"),
    ],
)
def test_no_target_leads_elsewhere(place: Open, path: str) -> None:
    """A name in signed metadata is refused, whatever is to be done with it."""
    with pytest.raises(FormatError):
        get(place(), path)
    with pytest.raises(FormatError):
        place().upload(path, BytesIO(b"x"), 1)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "..", "../x", "a/b.json", "..%2Fx.json", "3.a%2F..%2F..%2Fx.json", "%2Fetc%2Fpasswd"),
        *("1.%2e%2e%2Fx.json", "3.a%2F%2Fb.json", "3.a%00.json", "3.a%5Cb.json", "3.%ED%A0%80.json", "3.%FF.json"),
        *("3.a%2fb.json", "3.a%.json", "a b.json"),
    ],
)
def test_no_role_leads_elsewhere(place: Open, path: str) -> None:
    """Nor does the name of a role."""
    with pytest.raises(FormatError):
        read(place(), path)
    with pytest.raises(FormatError):
        place().write([STAMP, Write(path=path, data=b"x")])
    with pytest.raises(FormatError):
        place().remove([path])
    assert read(place(), "timestamp.json") is None
