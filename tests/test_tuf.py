"""Programs read TUF repositories: what it costs, whom they ask, what lasts. With and without an event loop alike."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import trustreg
from tests.programs import KINDS, Programs, programs
from tests.tuf_client.repository import START, Repository, spelled
from tests.tuf_client.server import Server, broken_off, drip, endless, says, silent, status, tagged
from trustreg.errors import (
    AbsentError,
    ContentError,
    ExpiredError,
    FirstUseError,
    FormatError,
    OfflineError,
    RollbackError,
    ServerError,
    SettingError,
    TooLargeError,
)
from trustreg.io.http import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tuf_client.server import Exchange, Fault

ROOT, STAMP = ("root", 2), ("timestamp", None)
COLD = [ROOT, STAMP, ("snapshot", 1), ("targets", 1)]
BODY = b"a target file " * 20_000


class World:
    """A repository at one or two servers, a program's cache, its clock, and the program."""

    def __init__(self, made: Programs, folder: Path, servers: list[Server]) -> None:
        self._made, self.folder, self.servers = made, folder, servers
        self.now = START
        self.repo = Repository()
        self.repo.add("targets", "a/b", BODY)
        self.repo.publish()
        self.root = self.repo.files["metadata/1.root.json"]
        for server in servers:
            server.tell(self.repo)

    @property
    def server(self) -> Server:
        """The first of them."""
        return self.servers[0]

    def client(self, **options: Any) -> Any:
        """Begin, or begin again with what is kept."""
        given = {
            "cache": self.folder / "cache",
            "root": self.root,
            "clock": lambda: self.now,
            "timeouts": Timeouts(2, 1, 3),
            "env": {"HOME": str(self.folder)},
        }
        urls = [[f"{server.url}{part}" for server in self.servers] for part in ("metadata", "targets")]
        return self._made.client(*urls, **(given | options))

    def asked(self, server: int = 0) -> list[tuple[str, int | None]]:
        """Give the metadata that was asked for since the last time."""
        asked = self.servers[server].metadata
        self.servers[server].forget()
        return asked

    def renew(self) -> None:
        """Publish the next version of everything but the root, with other content."""
        self.repo.add("targets", "a/b", BODY[::-1])
        self.repo.bump("targets")
        self.repo.publish()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    with Server() as one, Server() as other:
        yield [one, other]


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Iterator[Programs]:
    with programs(request.param) as maker:
        yield maker


@pytest.fixture
def world(made: Programs, tmp_path: Path, servers: list[Server]) -> World:
    """A repository at one server."""
    return World(made, tmp_path, servers[:1])


@pytest.fixture
def mirrored(made: Programs, tmp_path: Path, servers: list[Server]) -> World:
    """A repository at two."""
    return World(made, tmp_path, servers)


# --- what it does --------------------------------------------------------------------------------


def test_a_target_is_found_and_fetched(world: World) -> None:
    """With what is known of it; and it is not fetched again."""
    client = world.client()
    client.refresh()
    target = client.find("a/b")

    assert (target.name, target.length, target.role, target.custom) == ("a/b", len(BODY), "targets", None)
    assert target.hashes == {"sha256": hashlib.sha256(BODY).digest()}
    assert target.keyids == (world.repo.keys["targets"].keyid,)
    assert target.expires == START + timedelta(days=1)
    path = client.download(target, world.folder / "out")
    assert (path.name, path.read_bytes()) == ("a%2Fb", BODY)
    assert client.download(target, world.folder / "out", "b").read_bytes() == BODY
    assert client.download(target, world.folder / "out", "b").name == "b"
    assert len(world.server.targets) == 2
    assert world.asked() == COLD
    assert client.find("nothing") is None


def test_progress_is_told(world: World) -> None:
    """It grows, and ends with all of it; in the thread of whoever asked."""
    client, told = world.client(), list[tuple[int, int, int]]()
    client.refresh()
    client.download(
        client.find("a/b"),
        world.folder / "out",
        progress=lambda done, of: told.append((done, of, threading.get_ident())),
    )

    assert [done for done, *_ in told] == sorted({done for done, *_ in told})
    assert told[-1] == (len(BODY), len(BODY), threading.get_ident())
    assert {(of, thread) for _, of, thread in told} == {(len(BODY), threading.get_ident())}


def test_it_can_be_closed_by_leaving(world: World, made: Programs) -> None:
    """As anything that is opened."""
    if made.kind == "waiting":
        with world.client() as client:
            client.refresh()
    else:
        client = world.client()
        client.__getattr__("__aenter__")()
        client.refresh()
        client.__getattr__("__aexit__")(None, None, None)
    assert world.asked() == COLD


def test_the_trace_tells_each_request(world: World) -> None:
    """One line each."""
    lines: list[str] = []
    world.client(trace=lines.append).refresh()

    assert [line.split(",")[0] for line in lines] == [
        f"GET {world.server.url}metadata/{path}"
        for path in ("2.root.json: 404", "timestamp.json: 200", "1.snapshot.json: 200", "1.targets.json: 200")
    ]


# --- what it costs -------------------------------------------------------------------------------


def test_an_unchanged_repository_costs_two_requests(world: World) -> None:
    """The next root and the timestamp, from the same client and from another one."""
    client = world.client()
    client.refresh()
    world.asked()

    client.refresh()
    assert world.asked() == [ROOT, STAMP]
    world.client(root=None).refresh()
    assert world.asked() == [ROOT, STAMP]


def test_within_the_age_of_the_root_it_costs_one(world: World) -> None:
    """And with the end of that age two again; a clock that was set back does not make it longer."""
    options = {"root_age": timedelta(hours=1)}
    world.client(**options).refresh()
    world.asked()

    for minutes, due in [(0, [STAMP]), (59, [STAMP]), (60, [ROOT, STAMP]), (61, [STAMP]), (30, [ROOT, STAMP])]:
        world.now = START + timedelta(minutes=minutes)
        world.client(**options).refresh()
        assert (minutes, world.asked()) == (minutes, due)


def test_within_the_maximal_age_it_costs_nothing(world: World) -> None:
    """Also another process; after that it is two again. Look-ups cost nothing either way."""
    options = {"max_age": timedelta(minutes=5)}
    world.client(**options).refresh()
    world.asked()

    for minutes, due in [(0, []), (5, []), (6, [ROOT, STAMP]), (7, []), (3, [ROOT, STAMP])]:
        world.now = START + timedelta(minutes=minutes)
        client = world.client(**options)
        client.refresh()
        assert client.find("a/b")
        assert (minutes, world.asked()) == (minutes, due)


def test_what_has_expired_is_asked_for_whatever_its_age(world: World) -> None:
    """The maximal age makes nothing good for longer."""
    world.repo.timestamp.expires = spelled(START + timedelta(minutes=1))
    world.repo.publish()
    options = {"max_age": timedelta(days=1)}
    world.client(**options).refresh()
    world.asked()
    world.now = START + timedelta(minutes=2)

    with pytest.raises(ExpiredError):
        world.client(**options).refresh()
    assert world.asked() == [ROOT, STAMP]
    world.repo.timestamp.expires = spelled(START + timedelta(days=1))
    world.repo.bump("timestamp")
    world.repo.publish()
    world.client(**options).refresh()


def test_a_timestamp_that_is_known_does_not_come_again(world: World) -> None:
    """Not even to the next process, unless what is kept has been touched."""
    world.server.faults["metadata/timestamp.json"] = tagged
    client = world.client()
    client.refresh()
    client.refresh()
    world.client().refresh()
    (world.folder / "cache" / "timestamp.json").write_bytes(b"{}")
    world.client().refresh()

    etags = [request.headers.get("if-none-match") for request in world.server.requests if "timestamp" in request.path]
    assert etags[0] is etags[3] is None
    assert etags[1] == etags[2] is not None
    world.renew()
    world.now += timedelta(seconds=1)
    renewed = world.client()
    renewed.refresh()
    assert renewed.find("a/b").hashes["sha256"] == hashlib.sha256(BODY[::-1]).digest()


# --- mirrors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [status(500), status(404), silent, broken_off(10), broken_off(0)])
@pytest.mark.parametrize("at", ["timestamp", "1.snapshot", "1.targets"])
def test_a_mirror_stands_in_in_the_middle_of_a_refresh(mirrored: World, at: str, fault: Fault) -> None:
    """From there on; one that is only missing a file is asked for the next one still."""
    mirrored.server.faults[f"metadata/{at}.json"] = fault
    client = mirrored.client()
    client.refresh()

    parts = ["2.root", "timestamp", "1.snapshot", "1.targets"]
    asked = [request.path for request in mirrored.server.requests]
    stood_in = [request.path for request in mirrored.servers[1].requests]
    alone = [f"metadata/{at}.json"]
    rest = [f"metadata/{part}.json" for part in parts[parts.index(at) :]]
    assert stood_in in (alone, rest)
    assert list(dict.fromkeys([*asked, *stood_in])) == [f"metadata/{part}.json" for part in parts]
    assert client.find("a/b")


@pytest.mark.parametrize("keep", [0, 1, 100_000, len(BODY) - 1])
def test_a_mirror_goes_on_in_the_middle_of_a_download(mirrored: World, keep: int) -> None:
    """From the byte where the other one broke off."""
    client = mirrored.client()
    client.refresh()
    target = client.find("a/b")
    mirrored.server.faults[f"targets/{target.path}"] = broken_off(keep)

    assert client.download(target, mirrored.folder / "out").read_bytes() == BODY
    (request,) = (request for request in mirrored.servers[1].requests if request.path.startswith("targets/"))
    assert request.headers.get("range") == (f"bytes={keep}-" if keep else None)


def test_one_mirror_alone_is_asked_again(world: World) -> None:
    """For the rest; not for ever, where it brings nothing any more."""
    client = world.client()
    client.refresh()
    target = client.find("a/b")
    cuts = iter([100, 100_000])

    def shorter(exchange: Exchange) -> None:
        if (cut := next(cuts, None)) is None:
            exchange.answer()
            return
        start = int(exchange.asked.get("Range", "bytes=0-")[6:-1])
        exchange.begin(206 if start else 200, {"Content-Length": str(len(BODY) - start)} | _range(start))
        exchange.hang_up()
        exchange.write([BODY[start : start + cut]])

    world.server.faults[f"targets/{target.path}"] = shorter
    assert client.download(target, world.folder / "out").read_bytes() == BODY
    ranges = [r.headers.get("range") for r in world.server.requests if r.path.startswith("targets/")]
    assert ranges == [None, "bytes=100-", "bytes=100100-"]
    world.server.forget()
    world.server.faults[f"targets/{target.path}"] = broken_off(0)
    with pytest.raises(OfflineError):
        client.download(target, world.folder / "again")
    assert len(world.server.requests) <= 5


def _range(start: int) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}


def test_where_no_mirror_is_left_the_first_is_named(mirrored: World) -> None:
    """It is not known; and a client that lasts asks both again."""
    for server in mirrored.servers:
        server.faults["metadata/timestamp.json"] = status(503)
    client = mirrored.client()
    with pytest.raises(ServerError) as caught:
        client.refresh()
    assert caught.value.where.startswith(mirrored.server.url)

    mirrored.servers[1].faults.clear()
    client.refresh()


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "fault", "error"),
    [
        ("timestamp", says(b"{}"), FormatError),
        ("timestamp", status(404), trustreg.UntrustedError),
        ("timestamp", status(500), ServerError),
        ("timestamp", status(403), trustreg.UnavailableError),
        ("timestamp", endless(), TooLargeError),
        ("timestamp", drip(0.05, 1000), OfflineError),
        ("timestamp", silent, OfflineError),
        ("1.snapshot", endless(), TooLargeError),
        ("1.snapshot", status(404), AbsentError),
        ("1.targets", says(b"{}"), ContentError),
        ("2.root", status(500), ServerError),
        ("2.root", says(b"{}"), FormatError),
    ],
)
def test_what_fails_is_told_apart(world: World, at: str, fault: Fault, error: type[Exception]) -> None:
    """No is not don't know; and afterwards all is as it was."""
    world.server.faults[f"metadata/{at}.json"] = fault
    client = world.client()
    with pytest.raises(error):
        client.refresh()
    with pytest.raises(RuntimeError, match="refresh"):
        client.find("a/b")

    world.server.faults.clear()
    client.refresh()
    assert client.find("a/b")


def test_nobody_is_asked_where_nothing_could_be_believed(world: World) -> None:
    """Without a root, of which nothing is known."""
    with pytest.raises(FirstUseError):
        world.client(root=None).refresh()
    assert world.asked() == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://repository.example/metadata", "plain http"),
        ("repository.example", "absolute"),
        ("https://me:secret@repository.example", "credentials"),
        ((), "no repository"),
    ],
)
def test_a_wrong_address_is_a_setting(made: Programs, tmp_path: Path, url: str, problem: str) -> None:
    """And its secrets are not repeated."""
    with pytest.raises(SettingError, match=problem) as caught:
        made.client(url, cache=tmp_path, root=Repository().root.content(), env={}).refresh()
    assert "secret" not in str(caught.value)


def test_a_target_that_is_not_there_leaves_nothing_behind(world: World) -> None:
    """Nor does one that is another."""
    client = world.client()
    client.refresh()
    target = client.find("a/b")
    for fault, error in ((status(404), AbsentError), (says(b"x" * len(BODY)), ContentError), (endless(), ContentError)):
        world.server.faults[f"targets/{target.path}"] = fault
        with pytest.raises(error):
            client.download(target, world.folder / "out")
    assert list((world.folder / "out").iterdir()) == []


# --- time ----------------------------------------------------------------------------------------


def test_each_refresh_has_its_own_time(world: World) -> None:
    """A client that lasts does not live in the past."""
    client = world.client()
    client.refresh()
    world.now = START + timedelta(days=2)

    with pytest.raises(ExpiredError) as caught:
        client.refresh()
    assert caught.value.role in {"root", "timestamp"}
    for role in ("root", "timestamp", "snapshot", "targets"):
        world.repo.document(role).expires = spelled(START + timedelta(days=3))
    world.repo.bump("root", "targets")
    world.repo.publish()
    client.refresh()
    assert client.find("a/b").expires == START + timedelta(days=3)


def test_what_is_kept_is_read_at_any_time(world: World) -> None:
    """Without a word to anybody: as it was then, and not before nor after."""
    client = world.client()
    client.refresh()
    world.asked()
    world.now = START + timedelta(days=2)
    offline = world.client(root=None)

    for moment in (None, START + timedelta(days=1)):
        with pytest.raises(ExpiredError):
            offline.recall(moment)
        with pytest.raises(RuntimeError):
            offline.find("a/b")
    for moment in (START, START + timedelta(hours=23), START - timedelta(days=300)):
        offline.recall(moment)
        assert offline.find("a/b").length == len(BODY)
    assert world.asked() == []


def test_nothing_is_recalled_where_nothing_is_kept(world: World) -> None:
    """That is a no: it was never checked."""
    with pytest.raises(trustreg.UntrustedError):
        world.client().recall()
    assert world.asked() == []


def test_a_refresh_that_fails_leaves_what_was_trusted(world: World) -> None:
    """It is there to be recalled."""
    client = world.client()
    client.refresh()
    world.repo.timestamp.version = 0
    world.server.faults["metadata/timestamp.json"] = says(world.repo.timestamp.content())
    with pytest.raises((RollbackError, FormatError)):
        client.refresh()

    client.recall()
    assert client.find("a/b")


def test_a_root_to_begin_with_counts_where_it_is_newer(world: World) -> None:
    """An older one does not take back what is trusted."""
    world.client().refresh()
    world.repo.bump("root")
    world.repo.publish()
    world.client().refresh()
    world.asked()

    world.client(root=world.root).refresh()
    assert world.asked()[0] == ("root", 3)
    (world.folder / "cache" / ".trusted").unlink()
    world.client(root=world.repo.files["metadata/2.root.json"]).refresh()
    assert world.asked()[0] == ("root", 3)


# --- sharing -------------------------------------------------------------------------------------


def test_the_two_kinds_share_a_cache(tmp_path: Path, servers: list[Server]) -> None:
    """What one keeps the other one knows."""
    with programs("waiting") as waiting, programs("awaiting") as awaiting:
        world = World(waiting, tmp_path, servers[:1])
        world.client().refresh()
        world.asked()
        client = awaiting.client(f"{world.server.url}metadata", cache=tmp_path / "cache", root=world.root)
        client.refresh()
        assert client.find("a/b")
        assert world.asked() == [ROOT, STAMP]


READER = """
import sys, threading, time
import trustreg

url, cache, root, seconds, kind = sys.argv[1:]
root = open(root, "rb").read()
until, counts = time.monotonic() + float(seconds), []

def waiting():
    done = 0
    while time.monotonic() < until:
        with trustreg.Client(url, cache=cache, root=root) as client:
            client.refresh()
            assert client.find("a/b") is not None
            client.refresh()
            done += 2
    counts.append(done)

async def awaiting():
    import asyncio
    done = 0
    while time.monotonic() < until:
        async with trustreg.AsyncClient(url, cache=cache, root=root) as client:
            await asyncio.gather(client.refresh(), client.refresh())
            found = await asyncio.gather(*(client.find("a/b") for _ in range(3)))
            assert all(found)
            done += 2
    counts.append(done)

if kind == "awaiting":
    import asyncio
    asyncio.run(awaiting())
else:
    threads = [threading.Thread(target=waiting) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(counts) == 2, counts
print(sum(counts))
"""


@pytest.mark.slow
def test_a_cache_is_shared_while_the_repository_publishes(tmp_path: Path, servers: list[Server]) -> None:
    """
    Sixteen processes, of both kinds, some with two threads, refresh all the time; none ever fails.

    By default for some seconds; with TRUSTREG_FULL=1 for a minute.
    """
    seconds = 60.0 if os.environ.get("TRUSTREG_FULL") == "1" else 5.0
    with programs("waiting") as waiting:
        world = World(waiting, tmp_path, servers[:1])
        (tmp_path / "root.json").write_bytes(world.root)
        (tmp_path / "reader.py").write_text(READER)
        world.client().refresh()
        url, cache, root = f"{world.server.url}metadata", str(tmp_path / "cache"), str(tmp_path / "root.json")
        readers = [
            subprocess.Popen(
                [sys.executable, tmp_path / "reader.py", url, cache, root, str(seconds), KINDS[number % 4 == 0]],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(16)
        ]
        published, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            world.repo.bump(*(("root", "targets") if published % 5 == 4 else ("targets",)))
            world.repo.publish()
            published += 1
            time.sleep(0.2)
        outcomes = [(*reader.communicate(timeout=120), reader.returncode) for reader in readers]
        assert [(said, code) for _, said, code in outcomes if code or said] == []
        refreshes = sum(int(count) for count, *_ in outcomes)
        print(f"{refreshes} refreshes by 16 processes, {published} publications, {seconds:g} s, 0 errors")
        assert refreshes > 16
        fresh = world.client(root=None)
        fresh.refresh()
        assert fresh.find("a/b")


# --- event loops ---------------------------------------------------------------------------------


@pytest.fixture
def awaited(tmp_path: Path, servers: list[Server]) -> Iterator[World]:
    """A repository at one server, for a program with an event loop."""
    with programs("awaiting") as maker:
        yield World(maker, tmp_path, servers[:1])


def test_tasks_share_a_client(awaited: World) -> None:
    """Look-ups and downloads at once, while it is refreshed."""
    for number in range(5):
        awaited.repo.add("targets", f"f{number}", bytes([number]) * 300_000)
    awaited.repo.bump("targets")
    awaited.repo.publish()
    client = awaited.client().made

    async def one(number: int) -> bytes:
        target = await client.find(f"f{number % 5}")
        assert target
        path = await client.download(target, awaited.folder / "out", f"{number}")
        content: bytes = path.read_bytes()
        return content

    async def all_of_them() -> list[bytes]:
        async with client:
            await client.refresh()
            results = await asyncio.gather(*(one(number) for number in range(20)), client.refresh())
            return [result for result in results if result is not None]

    contents = asyncio.run(all_of_them())
    assert contents == [bytes([number % 5]) * 300_000 for number in range(20)]


def test_downloads_do_not_wait_for_each_other(awaited: World) -> None:
    """Nor do look-ups wait for downloads."""
    awaited.repo.add("targets", "slow", b"s" * 1000)
    awaited.repo.bump("targets")
    awaited.repo.publish()
    client, order = awaited.client(timeouts=Timeouts(2, 9, 9)).made, list[str]()
    held = threading.Event()

    async def fetch(name: str) -> None:
        target = await client.find(name)
        assert target
        await client.download(target, awaited.folder / "out")
        order.append(name)
        held.set()

    async def both() -> None:
        async with client:
            await client.refresh()
            slow = await client.find("slow")
            assert slow

            def after_the_other(exchange: Exchange) -> None:
                held.wait(9)
                exchange.answer()

            awaited.server.faults[f"targets/{slow.path}"] = after_the_other
            await asyncio.gather(fetch("slow"), fetch("a/b"))

    asyncio.run(both())
    assert order == ["a/b", "slow"]


def test_a_download_that_is_cancelled_can_go_on(awaited: World) -> None:
    """What came is kept, nobody holds it, and nothing of the wanted name is there."""
    client = awaited.client(timeouts=Timeouts(2, 9, 9)).made
    out = awaited.folder / "out"

    def slowly(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": str(len(BODY))})
        exchange.hang_up()
        exchange.write([BODY[:200_000]])
        exchange.wait(9)

    async def cancelled() -> None:
        async with client:
            await client.refresh()
            target = await client.find("a/b")
            assert target
            arrived = asyncio.Event()
            awaited.server.faults[f"targets/{target.path}"] = slowly
            task = asyncio.create_task(client.download(target, out, "b", lambda *_: arrived.set()))
            await asyncio.wait_for(arrived.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (part,) = out.iterdir()
            assert part.name.endswith(".part")
            kept = part.stat().st_size
            assert 0 < kept <= 200_000
            awaited.server.faults.clear()
            awaited.server.forget()
            assert (await client.download(target, out, "b")).read_bytes() == BODY
            assert [request.headers["range"] for request in awaited.server.requests] == [f"bytes={kept}-"]
            assert [path.name for path in out.iterdir()] == ["b"]

    asyncio.run(cancelled())


def test_a_refresh_that_is_cancelled_holds_nothing(awaited: World) -> None:
    """The next one goes through, and what was kept is whole."""
    client = awaited.client(timeouts=Timeouts(2, 9, 9)).made

    async def cancelled() -> None:
        async with client:
            for at in ("2.root", "timestamp", "1.snapshot", "1.targets"):
                awaited.server.faults = {f"metadata/{at}.json": silent}
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.refresh(), 0.2)
                with pytest.raises(RuntimeError):
                    await client.find("a/b")
            awaited.server.faults = {}
            await asyncio.wait_for(client.refresh(), 5)
            assert await client.find("a/b")

    asyncio.run(cancelled())


def test_the_loop_goes_on_while_the_disk_is_waited_for(awaited: World) -> None:
    """A lock that somebody else holds stops nobody but who needs it."""
    from trustreg.io.files import locked

    client = awaited.client().made
    (awaited.folder / "cache").mkdir()

    async def ticking() -> int:
        async with client:
            refreshing = asyncio.create_task(client.refresh())
            ticks = 0
            with locked(awaited.folder / "cache" / ".lock"), locked(awaited.folder / "cache" / ".trusted.lock"):
                for _ in range(20):
                    await asyncio.sleep(0.01)
                    ticks += 1
                assert not refreshing.done()
            await refreshing
            return ticks

    assert asyncio.run(ticking()) == 20


def test_an_event_loop_needs_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is named where it is missing."""
    monkeypatch.delitem(sys.modules, "trustreg.io.async_http", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(SettingError, match=r"trustreg\[async\]"):
        trustreg.AsyncClient("https://repository.example", cache=tmp_path)


def test_now_is_the_time_of_the_machine(made: Programs, tmp_path: Path, servers: list[Server]) -> None:
    """Unless a clock is given."""
    world = World(made, tmp_path, servers[:1])
    client = world.client(clock=None)
    client.refresh()

    assert client.find("a/b").expires > datetime.now(UTC)
