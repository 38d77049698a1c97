"""What stands between granian and the application: memory, limits, deadlines, log lines."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trustreg.io.front import Access, Answer, Front, Headers, Limits
from trustreg.io.wsgi import HOT, Hot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from trustreg.names import Gun

FAR = float("inf")


@dataclass
class Request:
    """A request, and the answer to it."""

    method: str = "GET"
    path: str = "/a"
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] = ()
    pause: float = 0.0
    scheme: str = "http"
    http_version: str = "1.1"
    server: str = "127.0.0.1:4443"
    client: str = "127.0.0.1:50000"
    answer: Answer | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(self.pause)
            yield chunk

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self.answer = Answer(status, headers, body)


class Memory:
    """Stamps that a test changes by hand."""

    def __init__(self) -> None:
        self.stamp = b"1"

    def slot(self, gun: Gun) -> slice:
        raise AssertionError(gun)

    def read(self, slot: slice) -> bytes:
        assert slot == slice(0, 8)
        return self.stamp


class App:
    """A WSGI application that counts, and lets its answers be repeated."""

    def __init__(self, *, until: float = FAR, size: int = 1, wait: threading.Event | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self.until, self.size, self.wait, self.status = until, size, wait, "200 OK"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if self.wait:
            self.wait.wait(5)
        self.calls.append(environ)
        environ[HOT] = Hot(slice(0, 8), b"1", self.until)
        start_response(self.status, [("x", str(len(self.calls)))])
        return [b"a" * self.size]


def ask(front: Front, *requests: Request) -> list[Answer]:
    """Let *front* answer *requests*, one after the other."""

    async def run() -> None:
        for request in requests:
            await front(request, request)

    asyncio.run(run())
    return [request.answer for request in requests if request.answer]


def test_the_same_again() -> None:
    """
    An answer is given again without the application while the stamp stands, for that path, by GET.
    """
    app, stamps = App(), Memory()
    front = Front(app, stamps)

    first, second = ask(front, Request(), Request())
    assert first == second == Answer(200, [("x", "1")], b"a")
    ask(front, Request(path="/b"), Request(method="POST"), Request(method="HEAD"))
    assert len(app.calls) == 4
    stamps.stamp = b"2"
    ask(front, Request(), Request())
    assert len(app.calls) == 6, "what the application read under an old stamp is not repeated"


def test_until_it_is_due() -> None:
    """
    An answer is not given again when its file is due to be signed again.
    """
    app = App(until=time.time() + 0.05)
    front = Front(app, Memory())

    ask(front, Request(), Request())
    time.sleep(0.06)
    ask(front, Request())

    assert len(app.calls) == 2


def test_credentials_are_always_looked_at() -> None:
    """
    A request with credentials is neither answered from memory, nor is its answer remembered for others.
    """
    app = App()
    front = Front(app, Memory())
    secret = {"authorization": "Bearer x"}

    ask(front, Request(headers=secret), Request(), Request(), Request(headers=secret))

    assert [environ.get("HTTP_AUTHORIZATION") for environ in app.calls] == ["Bearer x", None, "Bearer x"]


def test_only_good_answers_are_remembered() -> None:
    """
    What is missing now may be there in a moment.
    """
    app = App()
    app.status = "404 Not Found"
    front = Front(app, Memory())

    ask(front, Request(), Request())

    assert len(app.calls) == 2


def test_memory_is_bounded() -> None:
    """
    Answers are forgotten before they take more than they may, and a large one is not remembered at all.
    """
    small, large = App(size=1000), App(size=3000)
    limits = Limits(remembered=5000, largest=3500)

    front = Front(small, Memory(), limits=limits)
    ask(front, *(Request(path=f"/{number}") for number in range(100)))
    assert front._remembered <= 5000
    assert len(front._answers) <= 2
    ask(front, Request(path="/99"))
    assert len(small.calls) == 100

    front = Front(large, Memory(), limits=limits)
    ask(front, Request(), Request())
    assert len(large.calls) == 2


def test_the_environ() -> None:
    """
    The application sees the request as PEP 3333 has it.
    """
    app = App()
    headers = {"content-type": "a/b", "content-length": "3", "x-y": "z"}

    ask(Front(app, Memory()), Request("POST", "/é", "a=b", headers, [b"ab", b"c"]))

    (environ,) = app.calls
    assert environ["wsgi.input"].read() == b"abc"
    assert {name: value for name, value in environ.items() if name.isupper() and isinstance(value, str)} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/Ã©",
        "QUERY_STRING": "a=b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "4443",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "3",
        "HTTP_X_Y": "z",
    }


def test_bodies_are_bounded() -> None:
    """
    A body is not received beyond its limit, whether it says its length or not, nor at all with a GET.
    """
    app = App()
    front = Front(app, Memory(), limits=Limits(body=10))
    endless = (b"12345" for _ in range(1_000_000))

    said, unsaid, fits, get = ask(
        front,
        Request("POST", headers={"content-length": "11"}),
        Request("POST", chunks=endless),
        Request("POST", chunks=[b"1234567890"]),
        Request("GET", headers={"content-length": "11"}, chunks=[b"x" * 11]),
    )

    assert [said.status, unsaid.status, fits.status, get.status] == [413, 413, 200, 200]
    assert json.loads(said.body)["errors"][0]["detail"] == "an upload may have 10 bytes"
    assert next(endless) == b"12345", "and the rest was not read"
    assert front._receiving == 0


def test_slow_bodies_end() -> None:
    """
    A body that drips in is given up at its deadline, while others are answered.
    """
    app = App()
    front = Front(app, Memory(), limits=Limits(patience=0.1))
    slow, quick = Request("POST", chunks=[b"x"] * 100, pause=0.02), Request()
    order: list[str] = []

    async def run(name: str, request: Request) -> None:
        await front(request, request)
        order.append(name)

    async def both() -> None:
        await asyncio.gather(run("slow", slow), run("quick", quick))

    asyncio.run(both())

    assert order == ["quick", "slow"]
    assert slow.answer
    assert (slow.answer.status, len(app.calls), front._receiving) == (408, 1, 0)


def test_many_bodies_at_once_are_bounded() -> None:
    """
    All bodies under way together take no more than they may; whoever is too many is asked to come back.
    """
    front = Front(App(), Memory(), limits=Limits(bodies=25))
    requests = [Request("POST", chunks=[b"12345"] * 2, pause=0.01) for _ in range(5)]

    async def together() -> None:
        await asyncio.gather(*(front(request, request) for request in requests))

    asyncio.run(together())

    assert {request.answer.status for request in requests if request.answer} == {200, 503}
    assert front._receiving == 0


def test_a_busy_application_does_not_stop_memory() -> None:
    """
    While all threads wait for the disk, answers come from memory.
    """
    gate = threading.Event()
    app = App()
    front = Front(app, Memory(), limits=Limits(threads=2))
    ask(front, Request())
    app.wait = gate
    waiting = [Request(path=f"/{number}") for number in range(5)]

    async def run() -> None:
        tasks = [asyncio.create_task(front(request, request)) for request in waiting]
        await asyncio.sleep(0.05)
        await front(again := Request(), again)
        assert again.answer
        assert not any(task.done() for task in tasks)
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_raising_application_is_an_error_of_its_own() -> None:
    """
    What the application does not catch reaches granian, which answers 500; what was received is let go.
    """

    def fail(_: object, __: object) -> list[bytes]:
        raise RuntimeError

    front = Front(fail, Memory())
    failed = False
    try:
        ask(front, Request("POST", chunks=[b"x"]))
    except RuntimeError:
        failed = True

    assert (failed, front._receiving) == (True, 0)


def test_log_lines() -> None:
    """
    A line has what a request was and what became of it; a path cannot end the line.
    """
    lines: list[Access] = []
    front = Front(App(), Memory(), log=lines.append)

    ask(front, Request(path="/a\nb"), Request(path="/a\nb"))

    for line in lines:
        assert line.text().endswith("ms")
        assert r"127.0.0.1:50000 GET /a\nb 200 1 " in line.text()
        facts = json.loads(line.json())
        assert facts.keys() == {"time", "client", "method", "path", "status", "bytes", "ms"}
        assert (facts["path"], facts["status"]) == ("/a\nb", 200)


def test_it_ends_with_the_worker() -> None:
    """
    What is under way is finished before the store is closed.
    """
    closed: list[int] = []
    app = App()
    front = Front(app, Memory(), close=lambda: closed.append(len(app.calls)))
    ask(front, Request())

    front.__rsgi_del__(None)

    assert closed == [1]
