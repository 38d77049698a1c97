"""What is remembered survives crashes, other processes, full disks and odd names, and is never taken for nothing."""

import errno
import hashlib
import json
import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.notary1 import Notary1
from trustreg.errors import FileError, NameFormError
from trustreg.io import cache as under_test
from trustreg.io.cache import FileCache
from trustreg.names import Gun
from trustreg.verify.requests import Floor, Keep, Memory

GUN = Gun("registry.example/team/app")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SENTENCE = "this is not what trustreg remembers of a collection"


def raw(version: int, role: str = "targets") -> bytes:
    """Give the bytes of a version of a role."""
    return f"{role} v{version}".encode()


def floor(version: int, keys: tuple[str, ...] = ("k",), role: str = "targets") -> Floor:
    """Give the floor that such bytes make."""
    return Floor(version, hashlib.sha256(raw(version, role)).hexdigest(), keys)


def keep(
    version: int,
    against: Memory | None = None,
    *,
    keys: tuple[str, ...] = ("k",),
    now: datetime = NOW,
    role: str = "targets",
) -> Keep:
    """Give what a workflow hands over that read *against* and then found *version* of *role*."""
    before = against or Memory()
    memory = Memory({**before.floors, role: floor(version, keys, role)}, now)
    return Keep({role: raw(version, role)}, memory, before)


@pytest.fixture
def trust_dir(tmp_path: Path) -> Path:
    return tmp_path / "trust"


@pytest.fixture
def cache(trust_dir: Path) -> FileCache:
    return FileCache(trust_dir, GUN, Notary1())


def memory_file(trust_dir: Path, name: str = "registry.example%2fteam%2fapp.json") -> Path:
    return trust_dir / "trusted" / name


def test_nothing_is_remembered_and_reading_writes_nothing(trust_dir: Path, cache: FileCache) -> None:
    """
    The first look at a collection leaves no folder behind.
    """
    assert cache.memory() == Memory()
    assert cache.recall("root") is None
    cache.forget()
    assert not trust_dir.exists()


def test_what_was_kept_is_there_for_the_next_process(trust_dir: Path, cache: FileCache) -> None:
    """
    Files lie where Go's clients keep theirs, the memory apart from them; both are for their owner alone.
    """
    memory = Memory({"root": floor(1, role="root"), "targets/a/b": floor(2, role="targets/a/b")}, NOW)
    cache.keep(Keep({"root": raw(1, "root"), "targets/a/b": raw(2, "targets/a/b")}, memory))

    other = FileCache(trust_dir, GUN, Notary1())

    assert other.memory() == memory
    assert other.recall("root") == b"root v1"
    files = trust_dir / "tuf" / "registry.example" / "team" / "app" / "metadata"
    assert (files / "targets" / "a" / "b.json").read_bytes() == b"targets/a/b v2"
    written = [path for path in trust_dir.rglob("*") if path.is_file() and path.name != "trustreg-store"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    assert {path.suffix for path in written} == {".json", ".lock"}  # no temporary file stays behind
    assert stat.S_IMODE(memory_file(trust_dir).parent.stat().st_mode) == 0o700


def test_losing_the_files_loses_no_floor(trust_dir: Path, cache: FileCache) -> None:
    """
    Whoever clears the cached files, to go back to older ones, has not cleared what was trusted.
    """
    cache.keep(keep(5))
    for path in (trust_dir / "tuf").rglob("*.json"):
        path.unlink()

    assert cache.recall("targets") is None
    assert cache.memory().floors["targets"].version == 5


def test_a_damaged_file_heals(cache: FileCache, trust_dir: Path) -> None:
    """
    A file that was spoilt is written again when the same version is kept again.
    """
    cache.keep(keep(5))
    (path,) = (trust_dir / "tuf").rglob("targets.json")
    path.write_bytes(b"spoilt")

    cache.keep(keep(5, cache.memory()))

    assert cache.recall("targets") == raw(5)


def test_what_another_process_raised_stays_raised(trust_dir: Path) -> None:
    """
    The slower of two readers may not put its older floor, or its older file, over the faster one's.
    """
    slow, fast = FileCache(trust_dir, GUN, Notary1()), FileCache(trust_dir, GUN, Notary1())
    slow.keep(keep(1))
    before = slow.memory()
    fast.keep(keep(9, fast.memory(), now=NOW + timedelta(hours=1)))

    slow.keep(keep(2, before))

    assert fast.memory() == Memory({"targets": floor(9)}, NOW + timedelta(hours=1))
    assert fast.recall("targets") == raw(9)


def test_a_reader_of_an_old_root_does_not_undo_a_rotation(trust_dir: Path) -> None:
    """
    While one reader still works with the first root, another follows a rotation to new keys: that floor stays.
    """
    slow, fast = FileCache(trust_dir, GUN, Notary1()), FileCache(trust_dir, GUN, Notary1())
    slow.keep(keep(1, role="root", keys=("old",)))
    before = slow.memory()
    fast.keep(keep(2, fast.memory(), role="root", keys=("new",)))

    slow.keep(keep(1, before, role="root", keys=("old",)))
    slow.keep(keep(3, before))  # knows of the root only what it read

    assert fast.memory().floors["root"] == floor(2, ("new",), "root")
    assert fast.recall("root") == b"root v2"
    assert fast.memory().floors["targets"].version == 3


def test_of_two_files_of_one_version_the_first_stays(trust_dir: Path) -> None:
    """
    Two readers who are shown different files of one version at the same time: the next refresh of one of them tells.
    """
    one, two = FileCache(trust_dir, GUN, Notary1()), FileCache(trust_dir, GUN, Notary1())
    before = one.memory()
    one.keep(keep(5, before))
    forged = Floor(5, "f" * 64, ("k",))

    two.keep(Keep({"targets": b"other"}, Memory({"targets": forged}, NOW), before))

    assert one.memory().floors["targets"] == floor(5)
    assert one.recall("targets") == raw(5)


@pytest.mark.parametrize("keys", [("b", "c"), ("x", "y")], ids=["partly new keys", "all new keys"])
def test_what_was_judged_against_the_floor_replaces_it(cache: FileCache, keys: tuple[str, ...]) -> None:
    """
    Once a role has other keys, its versions may begin anew. Who judged that by this very floor knows best.
    """
    cache.keep(keep(9, keys=("a", "b")))

    cache.keep(keep(1, cache.memory(), keys=keys))

    assert cache.memory().floors["targets"] == floor(1, keys)
    assert cache.recall("targets") == raw(1)


def test_the_last_refresh_is_never_earlier(cache: FileCache) -> None:
    """
    A clock that was set back does not make what is known older than it is.
    """
    cache.keep(keep(1, now=NOW))
    cache.keep(keep(2, cache.memory(), now=NOW - timedelta(days=1)))

    assert cache.memory().refreshed == NOW


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"null",
        lambda _: b"[]",
        lambda _: b"{}",
        lambda _: b"\xff\xfe",
        lambda _: b"[" * 100_000,
        lambda text: text[:-1],
        lambda text: text + b"x",
        lambda text: text.replace(b"registry.example/team/app", b"registry.example/team/other"),
        lambda text: text.replace(b'"version": 3', b'"version": null'),
        lambda text: text.replace(b'"version": 3', b'"version": "x"'),
        lambda text: text.replace(b'"version": 3', b'"version": -3'),
        lambda text: text.replace(b'"version": 3', b'"version": 3.5'),
        lambda text: text.replace(b'"version": 3', b'"version": true'),
        lambda text: text.replace(b'"version"', b'"Version"'),
        lambda text: text.replace(b'"sha256"', b'"sha1"'),
        lambda text: text.replace(b'"keys": [', b'"keys": null, "x": ['),
        lambda text: text.replace(b"+00:00", b""),
        lambda text: text.replace(b"2026-11", b"2026-13"),
        lambda text: text.replace(b'"refreshed"', b'"fresh"'),
        lambda text: text.replace(b'"floors": {', b'"floors": [], "x": {'),
    ],
)
def test_a_spoilt_memory_is_an_error_and_stays_as_it_is(
    trust_dir: Path, cache: FileCache, spoil: Callable[[bytes], bytes]
) -> None:
    """
    What cannot be read is not "nothing was remembered": it stops every use with one sentence, and is not overwritten.
    """
    cache.keep(keep(3))
    path = memory_file(trust_dir)
    spoilt = spoil(path.read_bytes())
    assert spoilt != path.read_bytes()
    path.write_bytes(spoilt)

    for use in (cache.memory, lambda: cache.keep(keep(4))):
        with pytest.raises(FileError) as caught:
            use()
        assert str(caught.value) == f"{path}: {SENTENCE}"
        assert caught.value.remedy
    assert path.read_bytes() == spoilt
    assert cache.recall("targets") == raw(3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "it is a folder, not a file"),
        (os.mkfifo, "it is a pipe, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    ],
    ids=["folder", "pipe", "device"],
)
def test_what_is_no_file_is_an_error(
    trust_dir: Path, cache: FileCache, make: Callable[[Path], Any], sentence: str
) -> None:
    """
    A folder, pipe or device in place of a file is refused at once: nothing blocks.
    """
    cache.keep(keep(3))
    for path, use in (
        (memory_file(trust_dir), cache.memory),
        (next((trust_dir / "tuf").rglob("targets.json")), lambda: cache.recall("targets")),
    ):
        path.unlink()
        make(path)
        with pytest.raises(FileError) as caught:
            use()
        assert str(caught.value) == f"{path}: {sentence}"


def test_forgetting_begins_anew(trust_dir: Path, cache: FileCache) -> None:
    """
    Files and memory go, also a spoilt memory, and no other collection's.
    """
    other = FileCache(trust_dir, Gun(f"{GUN}/below"), Notary1())
    for each in (cache, other):
        each.keep(keep(3))
    memory_file(trust_dir).write_bytes(b"spoilt")

    cache.forget()

    assert cache.memory() == Memory()
    assert cache.recall("targets") is None
    assert other.memory().floors["targets"].version == 3
    assert other.recall("targets") == raw(3)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_changes_nothing(
    trust_dir: Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """
    What cannot be written is said in one sentence; memory and files are those from before, and nothing is left over.
    """
    cache.keep(keep(3))
    before = contents(trust_dir)

    def full(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError):
            cache.keep(keep(4, cache.memory()))

    assert contents(trust_dir) == before
    cache.keep(keep(4, cache.memory()))  # the lock was let go
    assert cache.recall("targets") == raw(4)


def test_a_crash_between_two_files_costs_no_floor(
    trust_dir: Path, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Killed while files are being replaced, the next process finds a memory that is whole, and files that are input.
    """
    cache.keep(keep(3))
    done: list[Path] = []
    really = Path.replace

    def once(self: Path, target: Path) -> Path:
        if done:
            raise KeyboardInterrupt
        done.append(target)
        return really(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", once)
        with pytest.raises(KeyboardInterrupt):
            cache.keep(keep(4, cache.memory()))

    assert done
    assert FileCache(trust_dir, GUN, Notary1()).memory().floors["targets"] == floor(3)
    cache.keep(keep(4, cache.memory()))
    assert cache.memory().floors["targets"] == floor(4)


@pytest.mark.parametrize(
    "role",
    ["", "../root", "/etc/passwd", "targets/../../x", "targets/", "targets//x", "Targets", "targets/A", "x", "."],
)
def test_a_hostile_role_gets_no_path(trust_dir: Path, cache: FileCache, role: str) -> None:
    """
    A name that is no role's never becomes part of a path.
    """
    with pytest.raises(ValueError, match=r".*"):
        cache.recall(role)
    with pytest.raises(ValueError, match=r".*"):
        cache.keep(Keep({role: b"x"}, Memory({role: floor(1)}, NOW)))

    assert [path for path in trust_dir.rglob("*.json") if path.is_file()] == []


NAMES = [
    "a",
    "registry.example:5000/team/app",
    "UPPER/lower",
    "ünï/日本",
    "-dash/.dot/_",
    "x/" + "y" * 253,
    "日" * 85,
    "/".join(["long"] * 51),
    "a" * 255,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_of_collections_are_kept_apart(trust_dir: Path, name: str) -> None:
    """
    Any name a collection may have works as one, however long or foreign, and is found in its memory.
    """
    cache = FileCache(trust_dir, Gun(name), Notary1())
    cache.keep(keep(3))

    assert FileCache(trust_dir, Gun(name), Notary1()).memory().floors["targets"].version == 3
    assert FileCache(trust_dir, Gun(name), Notary1()).recall("targets") == raw(3)
    (path,) = trust_dir.glob("trusted/*.json")
    assert json.loads(path.read_bytes())["gun"] == name
    for other in set(NAMES) - {name}:
        assert FileCache(trust_dir, Gun(other), Notary1()).memory() == Memory()


def _gun(text: str) -> Gun | None:
    try:
        return Gun(text)
    except NameFormError:
        return None


GUNS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300).map(_gun).filter(bool)
SIMILAR = st.text("aA/._-%2f:~é", min_size=1, max_size=255).map(_gun).filter(bool)


@given(one=GUNS | SIMILAR, two=GUNS | SIMILAR)
def test_every_name_is_a_file_name_of_its_own(one: Gun, two: Gun) -> None:
    """
    Different collections never share a memory, and each name fits into a folder.
    """
    names = [under_test.file_name(gun) for gun in (one, two)]

    assert (names[0] == names[1]) == (one == two)
    for name in names:
        assert 0 < len(f"{name}.json".encode()) <= 255
        assert name.isascii()
        assert not set(name) & set("/\0")
        assert name not in {".", ".."}


def test_long_names_are_not_confused_with_short_ones() -> None:
    """
    The short form of a long name is none that another name has in full.
    """
    for number in range(2000):
        short = under_test.file_name(Gun(f"{number:0255d}"))
        decoded = short.replace("%2f", "/")
        found = _gun(decoded)
        assert found is None or under_test.file_name(found) != short


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 9)), max_size=30))
def test_floors_only_rise_however_readers_interleave(steps: list[tuple[int, bool, int]]) -> None:
    """
    Four readers read their memory and keep versions at any time, in any order: the floor is that of the highest kept.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        caches = [FileCache(Path(directory) / "trust", GUN, Notary1()) for _ in range(4)]
        known = [Memory()] * 4
        highest = 0
        for reader, reads, version in steps:
            if reads:
                known[reader] = caches[reader].memory()
            else:
                keep_if_due(caches[reader], version, known[reader])
                highest = max(highest, version)
            found = caches[reader].memory().floors.get("targets")
            assert (found.version if found else 0) == highest
            assert caches[reader].recall("targets") == (raw(highest) if highest else None)


def test_threads_share_one_cache(trust_dir: Path, cache: FileCache) -> None:
    """
    One object in many threads: nobody fails, nobody reads half a file, and the highest floor stays.
    """
    failed: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for version in range(first, 61, 4):
                keep_if_due(cache, version, cache.memory())
                assert cache.memory().floors["targets"].version >= version
        except BaseException as exc:  # noqa: BLE001 # shown below
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert cache.memory().floors["targets"] == floor(60)


def test_processes_share_one_folder(trust_dir: Path) -> None:
    """
    Eight processes keep versions in an order of their own while one reads: no floor is lost, none is ever lowered.
    """
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(trust_dir, seed)) for seed in range(8)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        found = FileCache(trust_dir, GUN, Notary1()).memory().floors.get("targets")
        assert (found.version if found else 0) >= seen
        seen = found.version if found else 0
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * 8
    assert FileCache(trust_dir, GUN, Notary1()).memory().floors["targets"] == floor(100)
    assert FileCache(trust_dir, GUN, Notary1()).recall("targets") == raw(100)
    assert [path.name for path in trust_dir.rglob("*.tmp")] == []


def _write(trust_dir: Path, seed: int) -> None:
    import random

    cache, order = FileCache(trust_dir, GUN, Notary1()), random.Random(seed)
    known = Memory()
    for version in [*sorted(order.sample(range(1, 101), 25)), 100]:
        if order.random() < 0.5:
            known = cache.memory()
        keep_if_due(cache, version, known)


def keep_if_due(cache: FileCache, version: int, known: Memory) -> None:
    """Keep *version*, unless it is below the floor that is known, where a workflow would have refused it."""
    if "targets" not in known.floors or known.floors["targets"].version <= version:
        cache.keep(keep(version, known))


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below *folder*."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """
    Whatever is in its place: it is a FileError as for any other file of ours, and nothing is remembered.
    """
    (tmp_path / "tuf").symlink_to("nowhere")
    cache = FileCache(tmp_path, GUN, Notary1())

    with pytest.raises(FileError, match=f"{GUN}/metadata: "):
        cache.keep(keep(1))

    assert cache.memory() == Memory()
