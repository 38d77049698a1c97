"""Signatures beside a registry, in files without a gap."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.io.rogue import Rogue, reply
from tests.io.signatures.conftest import web
from trustreg.errors import (
    FileError,
    NameFormError,
    OfflineError,
    ServerError,
    SignaturePlaceError,
    TooLargeError,
    TrustregError,
    UnavailableError,
)
from trustreg.io.signatures.bounds import LARGEST, MOST
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.io.rogue import Request

DIGEST = Digest("sha256", "ab" * 32)
IMAGE = Reference.parse("registry.example:5000/team/app:1.0")


def message(raw: bytes) -> Message:
    return Message(where="", raw=raw)


def contents(place: Lookaside) -> list[bytes]:
    return [one.raw if isinstance(one, Message) else b"garbage" for one in place.read(IMAGE, DIGEST)]


def below(tmp_path: Path) -> Path:
    return tmp_path / "team" / f"app@sha256={'ab' * 32}"


# --- wherever it is -------------------------------------------------------------------------------


def test_what_is_added_is_found(lookaside: Lookaside) -> None:
    """
    In that order, numbered from one, without the host; what is there already is not added again.
    """
    assert contents(lookaside) == []
    places = [lookaside.add(IMAGE, DIGEST, message(raw)) for raw in (b"one", b"two", b"one")]

    assert contents(lookaside) == [b"one", b"two"]
    assert [place.partition(lookaside.where.partition(":")[2])[2] for place in places] == [
        f"/team/app@sha256={'ab' * 32}/signature-{number}" for number in (1, 2, 1)
    ]
    assert [one.where for one in lookaside.read(IMAGE, DIGEST)] == places[:2]


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_what_is_removed_leaves_no_gap(lookaside: Lookaside, gone: int) -> None:
    """
    And no other is lost; what is not there is gone already.
    """
    raws = [b"one", b"two", b"three", b"four"]
    for raw in raws:
        lookaside.add(IMAGE, DIGEST, message(raw))
    for _ in range(2):
        lookaside.remove(IMAGE, DIGEST, message(raws[gone]))

        assert sorted(contents(lookaside)) == sorted(raws[:gone] + raws[gone + 1 :])
    for raw in raws:
        lookaside.remove(IMAGE, DIGEST, message(raw))
    assert contents(lookaside) == []


def test_what_is_too_long_ends_nothing(lookaside: Lookaside, files: FolderFiles) -> None:
    """
    It is garbage, which never counts, stays where it is, and is not moved to another number.
    """
    lookaside.add(IMAGE, DIGEST, message(b"one"))
    name = f"team/app@sha256={'ab' * 32}/signature-2"
    files.create(name, bytes(LARGEST + 1))
    where = lookaside.add(IMAGE, DIGEST, message(b"three"))

    assert where.endswith("signature-3")
    assert contents(lookaside) == [b"one", b"garbage", b"three"]
    lookaside.remove(IMAGE, DIGEST, message(b"one"))
    assert contents(lookaside) == [b"three", b"garbage"]
    with pytest.raises(SignaturePlaceError, match="cannot take its place"):
        lookaside.remove(IMAGE, DIGEST, message(b"three"))
    assert contents(lookaside) == [b"three", b"garbage"]


def test_only_messages_of_bounded_size_about_sha256_have_a_place(lookaside: Lookaside) -> None:
    """
    The format has no other.
    """
    with pytest.raises(NameFormError):
        lookaside.add(IMAGE, Digest("sha512", "ab" * 64), message(b"one"))
    with pytest.raises(SignaturePlaceError):
        lookaside.add(IMAGE, DIGEST, Detached(where="", payload=b"{}", signature=b"s"))
    with pytest.raises(TooLargeError):
        lookaside.add(IMAGE, DIGEST, message(bytes(LARGEST + 1)))
    lookaside.remove(IMAGE, DIGEST, Detached(where="", payload=b"{}", signature=b"s"))
    assert contents(lookaside) == []


@pytest.mark.parametrize("files", ["folder", "bucket"], indirect=True)
def test_several_who_add_at_once_all_do(files: FolderFiles) -> None:
    """
    None takes the place of another, where the place knows conditions: nginx does not.
    """
    wanted = [f"{number}".encode() for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda raw: Lookaside(files).add(IMAGE, DIGEST, message(raw)), wanted))

    assert sorted(wanted) == sorted(contents(Lookaside(files)))


def test_a_gap_is_closed_as_soon_as_it_is_seen(files: FolderFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One was added by somebody else while one was removed: it is not left behind.
    """
    lookaside, delete = Lookaside(files), type(files).delete
    for raw in (b"one", b"two"):
        lookaside.add(IMAGE, DIGEST, message(raw))

    def add_first(self: FolderFiles, name: str) -> None:
        monkeypatch.undo()
        files.create(name.replace("-2", "-3"), b"three")
        delete(self, name)

    monkeypatch.setattr(type(files), "delete", add_first)
    lookaside.remove(IMAGE, DIGEST, message(b"one"))

    assert contents(lookaside) == [b"two", b"three"]


# --- a folder -------------------------------------------------------------------------------------


def test_they_lie_where_readers_look(tmp_path: Path) -> None:
    """
    For everybody to read, and nothing else lies there.
    """
    folder = Lookaside(FolderFiles(tmp_path))
    for raw in (b"one", b"two", b"three"):
        folder.add(IMAGE, DIGEST, message(raw))
    folder.remove(IMAGE, DIGEST, message(b"one"))

    assert {"signature-1": b"three", "signature-2": b"two"} == {
        path.name: path.read_bytes() for path in below(tmp_path).iterdir()
    }
    assert {0o644} == {path.stat().st_mode & 0o777 for path in below(tmp_path).iterdir()}


def test_a_gap_ends_the_list_and_is_filled(tmp_path: Path) -> None:
    """
    As for every reader.
    """
    folder = Lookaside(FolderFiles(tmp_path))
    for raw in (b"one", b"two", b"three"):
        folder.add(IMAGE, DIGEST, message(raw))
    (below(tmp_path) / "signature-2").unlink()

    assert contents(folder) == [b"one"]
    assert folder.add(IMAGE, DIGEST, message(b"another")) == str(below(tmp_path) / "signature-2")
    assert contents(folder) == [b"one", b"another", b"three"]


def test_more_than_anybody_signs_is_no_answer(tmp_path: Path) -> None:
    """
    Nor is what is no file.
    """
    folder = Lookaside(FolderFiles(tmp_path))
    below(tmp_path).mkdir(parents=True)
    for number in range(1, MOST + 1):
        (below(tmp_path) / f"signature-{number}").write_bytes(b"%d" % number)
    assert len(contents(folder)) == MOST
    with pytest.raises(SignaturePlaceError):
        folder.add(IMAGE, DIGEST, message(b"one more"))
    (below(tmp_path) / f"signature-{MOST + 1}").touch()
    with pytest.raises(SignaturePlaceError):
        contents(folder)
    (below(tmp_path) / "signature-1").unlink()
    (below(tmp_path) / "signature-1").mkdir()
    with pytest.raises(FileError):
        contents(folder)


def test_who_reads_while_one_is_removed_misses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The last one moves to a number that was read already: everything is read again.
    """
    folder, get, seen = Lookaside(FolderFiles(tmp_path)), FolderFiles.get, list[str]()
    for raw in (b"one", b"two", b"three"):
        folder.add(IMAGE, DIGEST, message(raw))

    def removing(self: FolderFiles, name: str, limit: int) -> bytes | None:
        seen.append(name)
        if len(seen) == 3:
            monkeypatch.undo()
            Lookaside(FolderFiles(tmp_path)).remove(IMAGE, DIGEST, message(b"one"))
        return get(self, name, limit)

    monkeypatch.setattr(FolderFiles, "get", removing)

    assert contents(folder) == [b"one", b"two", b"three"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12))
def test_it_is_a_set(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]]) -> None:
    """
    Whatever is added and removed in whatever order.
    """
    folder, model = Lookaside(FolderFiles(tmp_path_factory.mktemp("any"))), set[bytes]()
    for adds, number in steps:
        raw = b"%d" % number
        (folder.add if adds else folder.remove)(IMAGE, DIGEST, message(raw))
        (model.add if adds else model.discard)(raw)

        assert sorted(contents(folder)) == sorted(model)


def test_killed_at_any_point_none_is_lost(tmp_path: Path) -> None:
    """
    A process adds and removes without end, and is killed again and again: what nobody removes is always found.
    """
    keep = [b"kept-%d" % number for number in range(3)]
    folder = Lookaside(FolderFiles(tmp_path))
    folder.add(IMAGE, DIGEST, message(b"first"))
    for raw in keep:
        folder.add(IMAGE, DIGEST, message(raw))
    for round_ in range(int(os.environ.get("TRUSTREG_FULL") or 0) * 90 + 8):
        worker = subprocess.Popen([sys.executable, "-c", _WORK, str(tmp_path)], env=os.environ, stdout=subprocess.PIPE)
        assert worker.stdout
        worker.stdout.readline()
        time.sleep(0.003 * (round_ % 8))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()

        assert set(keep) <= set(contents(folder))
    folder.add(IMAGE, DIGEST, message(b"last"))
    assert {*keep, b"last"} <= set(contents(folder))


_WORK = """
import sys
from pathlib import Path
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.names import Digest, Reference
from trustreg.ports import Message
folder = Lookaside(FolderFiles(Path(sys.argv[1])))
where = Reference.parse("registry.example:5000/team/app:1.0"), Digest("sha256", "ab" * 32)
print("on", flush=True)
while True:
    for raw in (b"first", b"second"):
        folder.add(*where, Message(where="", raw=raw))
    for raw in (b"first", b"second"):
        folder.remove(*where, Message(where="", raw=raw))
"""


def test_whoever_works_at_once_loses_nothing_of_others(tmp_path: Path) -> None:
    """
    Four who add and remove their own, and one who reads what stays: it is there each time.
    """
    folder = Lookaside(FolderFiles(tmp_path))

    def work(number: int) -> None:
        mine = Lookaside(FolderFiles(tmp_path))
        for turn in range(6):
            raw = b"%d-%d" % (number, turn)
            mine.add(IMAGE, DIGEST, message(raw))
            if turn:
                mine.remove(IMAGE, DIGEST, message(raw))

    folder.add(IMAGE, DIGEST, message(b"goes"))
    folder.add(IMAGE, DIGEST, message(b"stays"))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, number) for number in range(4)]
        folder.remove(IMAGE, DIGEST, message(b"goes"))
        while not all(job.done() for job in jobs):
            assert b"stays" in contents(folder)
        for job in jobs:
            job.result()

    assert sorted(contents(folder)) == sorted([b"stays", *(b"%d-0" % number for number in range(4))])


# --- a web server ---------------------------------------------------------------------------------


def served(answer: Callable[[Request], bytes], *, ends_at_403: bool = False) -> list[Message | Garbage]:
    with Rogue(answer) as server:
        return list(Lookaside(web(server.url, ends_at_403=ends_at_403)).read(IMAGE, DIGEST))


def second(status: int, **headers: str) -> Callable[[Request], bytes]:
    return lambda r: reply(200, b"one") if r.target.endswith("-1") else reply(status, b"", **headers)


def test_only_404_ends_the_list() -> None:
    """
    Or 403, where somebody has said that this server says so. Anything else is no answer.
    """
    assert len(served(second(404))) == 1
    assert len(served(second(403), ends_at_403=True)) == 1
    for status in (403, 401, 410, 500, 503, 204):
        with pytest.raises(UnavailableError):
            served(second(status))
    with pytest.raises(ServerError):
        served(second(500), ends_at_403=True)


def test_a_server_may_send_anything() -> None:
    """
    Too much is garbage; what breaks off is no answer; and it ends, however many there are.
    """

    def long(request: Request) -> bytes:
        return reply(404) if request.target.endswith("-3") else reply(200, bytes(LARGEST + 1))

    assert [type(one.error) for one in served(long) if isinstance(one, Garbage)] == [TooLargeError, TooLargeError]
    with pytest.raises(OfflineError):
        served(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    with pytest.raises(SignaturePlaceError, match="more than 256"):
        served(lambda r: reply(200, r.target.encode()))


def test_a_list_that_drips_ends() -> None:
    """
    Each file in its time, and all of them in theirs.
    """
    ticks = iter(range(0, 10_000, 100))
    with Rogue(lambda r: reply(200, r.target.encode())) as server:
        place = Lookaside(web(server.url), clock=lambda: next(ticks))
        with pytest.raises(SignaturePlaceError, match="300 seconds"):
            list(place.read(IMAGE, DIGEST))


def test_who_removes_comes_to_an_end() -> None:
    """
    Though the server has always one more behind the last.
    """
    asked: list[Request] = []

    def answer(request: Request) -> bytes:
        asked.append(request)
        if request.method == "DELETE":
            return reply(204)
        begun = any(one.method == "DELETE" for one in asked)
        return reply(200, b"one") if request.method == "PUT" or begun or request.target.endswith("-1") else reply(404)

    with Rogue(answer) as server, suppress(UnavailableError):
        Lookaside(web(server.url)).remove(IMAGE, DIGEST, message(b"one"))

    assert len(asked) < 10 * MOST


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_takes_nothing_is_named_as_such(status: int) -> None:
    """
    And what to do instead.
    """
    with Rogue(lambda r: reply(404) if r.method == "GET" else reply(status)) as server:
        place = Lookaside(web(server.url))
        with pytest.raises(SignaturePlaceError, match="takes no files") as failed:
            place.add(IMAGE, DIGEST, message(b"one"))

    assert "lookaside-staging" in str(failed.value.remedy)


def test_a_condition_goes_along_and_the_next_number_is_tried() -> None:
    """
    A server that heeds it answers 412; one that does not is read back, and shows what somebody else has put there.
    """
    asked: list[tuple[str, str, str]] = []

    def answer(request: Request) -> bytes:
        number = request.target[-1]
        asked.append((request.method, number, request.headers.get("if-none-match", "")))
        if request.method == "PUT":
            return reply(412 if number == "1" else 201)
        puts = [n for method, n, _ in asked if method == "PUT"]
        if number not in puts:
            return reply(404)
        return reply(200, b"theirs" if number in "12" else b"mine")

    with Rogue(answer) as server:
        where = Lookaside(web(server.url)).add(IMAGE, DIGEST, message(b"mine"))

    assert where.endswith("signature-3")
    assert [("PUT", number, "*") for number in "123"] == [one for one in asked if one[0] == "PUT"]


# --- a bucket -------------------------------------------------------------------------------------


def test_a_bucket_that_forbids_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ends the list only if somebody has said so.
    """
    from trustreg.io.signatures.numbered import BucketFiles
    from trustreg.io.stores.objects import ObjectStore

    denied = b"<Error><Code>AccessDenied</Code></Error>"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    with Rogue(lambda _: reply(403, denied, content_type="application/xml")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

        def read(*, ends_at_403: bool) -> list[Message | Garbage]:
            store = ObjectStore("s3://bucket/x", os.environ, timeout=5, key=str)
            return list(Lookaside(BucketFiles(store, ends_at_403=ends_at_403)).read(IMAGE, DIGEST))

        assert read(ends_at_403=True) == []
        with pytest.raises(TrustregError):
            read(ends_at_403=False)


def test_it_is_named_by_the_digest_alone() -> None:
    """
    Two images never share a folder.
    """
    place, seen = Lookaside(FolderFiles(__import__("pathlib").Path("/nowhere"))), set[str]()
    for path in ("team/app", "team/app2", "app"):
        for number in range(3):
            digest = Digest("sha256", hashlib.sha256(b"%d" % number).hexdigest())
            seen.add(place._folder(Reference("registry.example", path, None, digest), digest))
    assert len(seen) == 9
