"""Target files get whole to where they belong, or not at all, and go on where they broke off."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.programs import KINDS
from tests.tuf_client.repository import Repository
from tests.tuf_client.server import Server
from trustreg.errors import AbsentError, ContentError, FileError, OfflineError
from trustreg.io.download import download, download_awaiting
from trustreg.io.stores.streams import AsyncPieces, Pieces
from trustreg.reader import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.tuf_client.server import Exchange

SMALL = b"0123456789abcdefghij"


def target(content: bytes = SMALL, *, hashes: dict[str, bytes] | None = None) -> Target:
    """Make the target with this content."""
    return Target(
        name="t",
        length=len(content),
        hashes=hashes or {"sha256": hashlib.sha256(content).digest()},
        custom=None,
        role="targets",
        keyids=(),
        path="t",
        expires=datetime(2099, 1, 1, tzinfo=UTC),
    )


def part(folder: Path, content: bytes = SMALL) -> Path:
    """Give where what came of the target is kept."""
    return folder / f".{hashlib.sha256(content).hexdigest()[:32]}.part"


def names(folder: Path) -> list[str]:
    """Give what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


class Shelf:
    """
    Has a target file, and breaks off after so many bytes, once for each of *cuts*; after the last it is gone.

    Args:
        content: What it has; ``None`` for nothing.
        cuts: Where it breaks off, counted from where it begins.
        stays: Answer well after the last cut.
        ranged: Begin where it is asked to.
        size: The bytes of a piece.
        during: Happens before each piece.
    """

    def __init__(
        self,
        content: bytes | None = SMALL,
        *cuts: int,
        stays: bool = True,
        ranged: bool = True,
        size: int = 3,
        during: Callable[[], object] = lambda: None,
    ) -> None:
        self._content, self._cuts, self._stays, self._ranged = content, list(cuts), stays, ranged
        self._size, self._during = size, during
        self.starts: list[int] = []

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Pieces | None]:
        """Open it."""
        assert path == "t"
        self.starts.append(start)
        if not (self._cuts or self._stays):
            raise OfflineError("here", "gone")
        start = start if self._ranged else 0
        yield None if self._content is None else Pieces(start, self._pieces(self._content[start:]))

    def _pieces(self, rest: bytes) -> Iterator[bytes]:
        cut = self._cuts.pop(0) if self._cuts else None
        rest = rest[:cut]
        for at in range(0, len(rest), self._size):
            self._during()
            yield rest[at : at + self._size]
        if cut is not None:
            raise OfflineError("here", "cut")


class AwaitedShelf:
    """The same, awaited."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    @asynccontextmanager
    async def open(self, path: str, start: int = 0) -> AsyncIterator[AsyncPieces | None]:
        """Open it."""
        with self._shelf.open(path, start) as pieces:
            yield AsyncPieces(pieces.start, self._pieces(pieces)) if pieces else None

    async def _pieces(self, pieces: Pieces) -> AsyncIterator[bytes]:
        for piece in pieces:
            await asyncio.sleep(0)
            yield piece


def waiting(shelf: Shelf, wanted: Target, path: Path, *rest: Any) -> bool:
    """Download by a program that waits."""
    return download(shelf, wanted, path, *rest)


def awaiting(shelf: Shelf, wanted: Target, path: Path, *rest: Any) -> bool:
    """Download by one with an event loop."""
    files: Any = AwaitedShelf(shelf)
    return asyncio.run(download_awaiting(files, wanted, path, *rest))


@pytest.fixture(params=(waiting, awaiting), ids=KINDS)
def get(request: pytest.FixtureRequest) -> Any:
    """Download, by either kind of program."""
    return request.param


# --- going on ------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_not_fetched(get: Any, tmp_path: Path) -> None:
    """Unless it is another."""
    shelf, path = Shelf(), tmp_path / "deep" / "t"

    assert get(shelf, target(), path) is True
    assert get(shelf, target(), path) is False
    path.write_bytes(SMALL[::-1])
    assert get(shelf, target(), path) is True
    assert (path.read_bytes(), shelf.starts) == (SMALL, [0, 0])
    assert names(path.parent) == ["t"]


@pytest.mark.parametrize("cut", range(len(SMALL) + 1))
@pytest.mark.parametrize("ranged", [True, False])
def test_the_next_attempt_goes_on_from_any_byte(get: Any, tmp_path: Path, cut: int, *, ranged: bool) -> None:
    """What came is kept, whoever comes next, or begins anew where the other side cannot go on."""
    broken, path = Shelf(SMALL, cut, stays=False), tmp_path / "t"
    if cut < len(SMALL):
        with pytest.raises(OfflineError):
            get(broken, target(), path)
        assert not path.exists()
        assert (part(tmp_path).read_bytes() if cut else b"") == SMALL[:cut]
        assert names(tmp_path) == ([part(tmp_path).name] if cut else [])
    else:
        assert get(broken, target(), path)
    whole = Shelf(ranged=ranged)
    assert get(whole, target(), path) is (cut < len(SMALL))
    assert whole.starts == ([cut] if cut < len(SMALL) else [])
    assert (path.read_bytes(), names(tmp_path)) == (SMALL, ["t"])


@given(
    content=st.binary(min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 60), max_size=12),
    ranged=st.booleans(),
    size=st.integers(1, 70),
    left=st.binary(max_size=70) | st.integers(0, 60),
)
@settings(max_examples=150, deadline=None)
def test_it_gets_there_however_often_it_breaks_off(
    content: bytes, cuts: list[int], size: int, left: bytes | int, *, ranged: bool
) -> None:
    """And whatever was left over; or it says so, and what it would have replaced is as it was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "t").write_bytes(b"before")
        part(folder, content).write_bytes(left if isinstance(left, bytes) else content[:left])
        shelf = Shelf(content, *cuts, ranged=ranged, size=size)
        for _ in range(8):
            try:
                download(shelf, target(content), folder / "t")
                break
            except OfflineError:
                assert (folder / "t").read_bytes() == b"before"
        assert (folder / "t").read_bytes() == content
        assert names(folder) == ["t"]


@pytest.mark.parametrize(
    ("left", "starts"),
    [
        (SMALL[:7], [7]),
        (b"x" * 7, [7, 0]),  # which shows when it is whole
        (b"x" * 20, [0]),
        (b"x" * 21, [0]),
        (SMALL, []),
        (b"", [0]),
    ],
)
def test_what_was_left_over_may_be_something_else(get: Any, tmp_path: Path, left: bytes, starts: list[int]) -> None:
    """It is begun anew then, once."""
    part(tmp_path).write_bytes(left)
    shelf = Shelf()

    assert get(shelf, target(), tmp_path / "t")
    assert shelf.starts == starts
    assert (names(tmp_path), (tmp_path / "t").read_bytes()) == (["t"], SMALL)


@pytest.mark.parametrize("content", [SMALL[::-1], SMALL + b"x", SMALL[:-1]])
@pytest.mark.parametrize("left", [b"", b"x" * 5, SMALL[:5]])
def test_what_is_not_the_target_never_gets_there(get: Any, tmp_path: Path, content: bytes, left: bytes) -> None:
    """Nor is it kept for another time; what was there before stays."""
    (tmp_path / "t").write_bytes(b"before")
    part(tmp_path).write_bytes(left)
    with pytest.raises(ContentError):
        get(Shelf(content), target(), tmp_path / "t")
    assert (names(tmp_path), (tmp_path / "t").read_bytes()) == (["t"], b"before")


@pytest.mark.parametrize("cuts", [(0, 0, 0), (5, 0, 0, 0)])
def test_nobody_asks_for_ever(get: Any, tmp_path: Path, cuts: tuple[int, ...]) -> None:
    """Three attempts in a row that bring nothing are enough, and 32 that bring something."""
    shelf = Shelf(SMALL, *cuts)
    with pytest.raises(OfflineError):
        get(shelf, target(), tmp_path / "t")
    assert len(shelf.starts) == len(cuts)

    long = b"y" * 100
    dripping = Shelf(long, *[1] * 100)
    with pytest.raises(OfflineError):
        get(dripping, target(long), tmp_path / "long")
    assert dripping.starts == list(range(32))


def test_what_the_repository_does_not_have(get: Any, tmp_path: Path) -> None:
    """It is not there afterwards either."""
    with pytest.raises(AbsentError):
        get(Shelf(None), target(), tmp_path / "t")
    assert names(tmp_path) == []


def test_an_empty_target_costs_nothing(get: Any, tmp_path: Path) -> None:
    """All of it is known."""
    shelf = Shelf(None)
    assert get(shelf, target(b""), tmp_path / "t")
    assert ((tmp_path / "t").read_bytes(), shelf.starts) == (b"", [])


def test_a_target_without_a_digest_to_rely_on(get: Any, tmp_path: Path) -> None:
    """It is refused before anything is asked; of two digests both have to hold."""
    shelf = Shelf()
    with pytest.raises(ContentError):
        get(shelf, target(hashes={"md5": hashlib.md5(SMALL).digest()}), tmp_path / "t")  # noqa: S324 # that is the point
    assert shelf.starts == []
    both = {"sha256": hashlib.sha256(SMALL).digest(), "sha512": hashlib.sha512(SMALL).digest()}
    assert get(shelf, target(hashes=both), tmp_path / "t")
    with pytest.raises(ContentError):
        get(shelf, target(hashes=both | {"sha512": bytes(64)}), tmp_path / "u")


def test_progress_counts_what_was_there(get: Any, tmp_path: Path) -> None:
    """After each piece."""
    told: list[tuple[int, int]] = []
    part(tmp_path).write_bytes(SMALL[:10])
    get(Shelf(SMALL, 4), target(), tmp_path / "t", lambda done, of: told.append((done, of)))

    assert told == [(done, 20) for done in (13, 14, 17, 20)]


def test_whoever_is_told_may_end_it(get: Any, tmp_path: Path) -> None:
    """By an error of its own; what came is kept."""

    def enough(done: int, _: int) -> None:
        if done > 7:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        get(Shelf(), target(), tmp_path / "t", enough)
    assert part(tmp_path).read_bytes() == SMALL[:9]
    assert get(Shelf(), target(), tmp_path / "t")


# --- what is in the way --------------------------------------------------------------------------


def test_a_link_is_replaced_and_not_followed(get: Any, tmp_path: Path) -> None:
    """At the destination, even where it leads to the same content."""
    victim, path = tmp_path / "victim", tmp_path / "out" / "t"
    path.parent.mkdir()
    victim.write_bytes(SMALL)
    path.symlink_to(victim)

    assert get(Shelf(), target(), path)
    assert not path.is_symlink()
    assert (path.read_bytes(), victim.stat().st_nlink) == (SMALL, 1)
    assert names(path.parent) == ["t"]


def _link(at: Path, victim: Path) -> None:
    at.symlink_to(victim)


def _second_name(at: Path, victim: Path) -> None:
    at.hardlink_to(victim)


def _pipe(at: Path, _: Path) -> None:
    os.mkfifo(at)


def _folder(at: Path, _: Path) -> None:
    at.mkdir()


@pytest.mark.parametrize("plant", [_link, _second_name, _pipe, _folder])
def test_what_is_planted_aside_is_left_alone(get: Any, tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    """What is written goes nowhere else, and what is there of others is not taken for ours."""
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    victim.write_bytes(SMALL[:5])
    plant(part(out), victim)

    assert get(Shelf(), target(), out / "t")
    assert (out / "t").read_bytes() == SMALL
    assert victim.read_bytes() == SMALL[:5]
    assert names(out) == sorted([part(out).name, "t"])


def test_a_folder_in_its_place(get: Any, tmp_path: Path) -> None:
    """It stays, and nothing is fetched for it."""
    (tmp_path / "t").mkdir()
    shelf = Shelf()
    with pytest.raises(FileError, match="folder"):
        get(shelf, target(), tmp_path / "t")
    assert (shelf.starts, names(tmp_path)) == ([], ["t"])


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_name_that_no_file_has(get: Any, tmp_path: Path, name: str) -> None:
    """It is said so before anything is fetched."""
    shelf = Shelf()
    with pytest.raises(FileError, match="name"):
        get(shelf, target(), tmp_path / name)
    assert (shelf.starts, names(tmp_path)) == ([], [])


def test_a_file_aside_that_others_replace_is_not_put_in_place(get: Any, tmp_path: Path) -> None:
    """What is there then was verified by nobody."""

    def replace() -> None:
        part(tmp_path).unlink(missing_ok=True)
        part(tmp_path).write_bytes(b"half of what another one fetches")

    with pytest.raises(FileError, match="somebody else"):
        get(Shelf(during=replace), target(), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_full_disk(get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the disk's fault, nobody is asked again, and what was there before stays."""
    (tmp_path / "t").write_bytes(b"before")
    write, left = os.write, [8]

    def full(descriptor: int, data: bytes) -> int:
        if descriptor < 3 or Path(f"/proc/self/fd/{descriptor}").readlink().suffix != ".part":
            return write(descriptor, data)
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(descriptor, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", full)
    shelf = Shelf()
    with pytest.raises(FileError, match="the disk is full"):
        get(shelf, target(), tmp_path / "t")
    monkeypatch.undo()
    assert ((tmp_path / "t").read_bytes(), part(tmp_path).read_bytes()) == (b"before", SMALL[:8])
    assert shelf.starts == [0]
    again = Shelf()
    assert get(again, target(), tmp_path / "t")
    assert again.starts == [8]


def test_a_file_may_not_grow_so_large(tmp_path: Path) -> None:
    """A limit of the system is no less a reason."""
    script = f"""
import resource, signal, sys
from pathlib import Path
from tests.io.test_download import Shelf, target
from trustreg.errors import FileError
from trustreg.io.download import download
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    download(Shelf(), target(), Path({str(tmp_path / "t")!r}))
except FileError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT)

    assert "larger than a file may be" in done.stdout
    assert (names(tmp_path), part(tmp_path).read_bytes()) == ([part(tmp_path).name], SMALL[:10])


# --- several at once -----------------------------------------------------------------------------


def test_threads_that_want_the_same(tmp_path: Path) -> None:
    """Each gets it whole, and nothing else is left."""
    content = os.urandom(200_000)
    wrong: list[object] = []
    meeting = threading.Barrier(8)

    def fetch(number: int) -> None:
        try:
            meeting.wait(10)
            for _ in range(5):
                path = tmp_path / f"t{number % 2}"
                download(Shelf(content, 50_000, size=20_000, during=lambda: time.sleep(0.001)), target(content), path)
                wrong.extend([] if path.read_bytes() == content else ["other content"])
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # another thread has removed it
        except Exception as exc:  # noqa: BLE001 # whatever it is
            wrong.append(exc)

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []
    assert [name for name in names(tmp_path) if not name.startswith("t")] == []


_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import sys, trustreg
url, cache, root, out = sys.argv[1:]
with trustreg.Client(f"{url}metadata", f"{url}targets", cache=cache, root=open(root, "rb").read()) as client:
    client.refresh()
    print(client.download(client.find("t"), out))
"""


class Programs:
    """Programs that download the target ``t`` of a repository."""

    def __init__(self, folder: Path, server: Server, content: bytes) -> None:
        self._folder, self._server, self.out = folder, server, folder / "out"
        repo = Repository()
        repo.add("targets", "t", content)
        repo.publish()
        server.tell(repo)
        (folder / "root.json").write_bytes(repo.files["metadata/1.root.json"])
        self.path = f"targets/{hashlib.sha256(content).hexdigest()}.t"

    def start(self) -> subprocess.Popen[str]:
        """Start one."""
        words = [self._server.url, str(self._folder / "cache"), str(self._folder / "root.json"), str(self.out)]
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def test_processes_that_want_the_same(tmp_path: Path) -> None:
    """At the same time."""
    content = os.urandom(3_000_000)
    with Server() as server:
        programs = Programs(tmp_path, server, content)
        running = [programs.start() for _ in range(4)]
        said = [program.communicate(timeout=60)[0] for program in running]

    assert [program.returncode for program in running] == [0] * 4, said
    assert names(programs.out) == ["t"]
    assert (programs.out / "t").read_bytes() == content


def test_a_process_that_is_killed_goes_on_when_it_runs_again(tmp_path: Path) -> None:
    """From the bytes that it had; several times, and there is no wrong file at any time."""
    content = os.urandom(1_000_000)

    def slowly(exchange: Exchange) -> None:
        start = int(exchange.asked.get("Range", "bytes=0-")[6:-1])
        length = {"Content-Length": str(len(content) - start)}
        place = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        exchange.begin(206 if start else 200, length | place)
        exchange.write([content[start : start + 200_000]])
        exchange.wait(30)

    with Server() as server:
        programs = Programs(tmp_path, server, content)
        server.faults[programs.path] = slowly
        had = 0
        for _ in range(3):
            program = programs.start()
            deadline = time.monotonic() + 30
            aside = part(programs.out, content)
            while not (aside.exists() and aside.stat().st_size > had):
                assert program.poll() is None, program.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(0.1)
            program.send_signal(signal.SIGKILL)
            program.communicate()
            assert names(programs.out) == [aside.name]
            had = aside.stat().st_size
            assert content.startswith(aside.read_bytes())
        server.faults.clear()
        server.forget()
        program = programs.start()
        said, _ = program.communicate(timeout=60)
        assert program.returncode == 0, said
        ranges = [request.headers.get("range") for request in server.requests if request.path == programs.path]

    assert ranges == [f"bytes={had}-"]
    assert (names(programs.out), (programs.out / "t").read_bytes()) == (["t"], content)
