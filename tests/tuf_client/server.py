"""
A real HTTP server on loopback that serves one repository, remembers every request, and misbehaves where told to.

A fault is a function of an ``Exchange``; ``server.faults[path]`` holds for that path until taken away.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import socket
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import Message

    from tests.tuf_client.repository import Repository

    Fault = Callable[["Exchange"], None]


class Request(NamedTuple):
    """A request: its path in our spelling, as it was sent, and the headers, names in lower case."""

    path: str
    raw: str
    headers: dict[str, str]

    @property
    def metadata(self) -> tuple[str, int | None] | None:
        """The role and the version that its file name asks for; ``None`` for anything else than metadata."""
        if found := re.fullmatch(r"metadata/(?:([0-9]+)\.)?(.*)\.json", self.path):
            return unquote(found[2]), int(found[1]) if found[1] else None
        return None


class Exchange:
    """One request being answered."""

    def __init__(self, handler: _Handler, server: Server, path: str) -> None:
        self._handler, self._server, self.path = handler, server, path

    @property
    def body(self) -> bytes | None:
        """What the repository has there now."""
        return self._server.repository.files.get(self.path) if self._server.repository else None

    def answer(self) -> None:
        """Answer as a good server does, with a part where one is asked for."""
        body = self.body
        if body is None:
            self.send(404, b"no such file")
            return
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.asked.get("Range", ""))
        if not asked:
            self.send(200, body)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
        if first >= len(body):
            self.send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        else:
            self.send(206, body[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(body)}"})

    @property
    def asked(self) -> Message:
        """The headers of the request."""
        return self._handler.headers

    def send(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer with this."""
        self.begin(code, {"Content-Length": str(len(body)), **(headers or {})})
        self.write([body])

    def begin(self, code: int, headers: dict[str, str]) -> None:
        """Send the head of an answer; without a length it ends with the connection."""
        self._handler.send_response(code)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        if "Content-Length" not in headers:
            self.hang_up()
        self._handler.end_headers()

    def write(self, pieces: Iterable[bytes], pause: float = 0) -> None:
        """Send pieces of a body, until the other side goes or the story ends."""
        for piece in pieces:
            self._handler.wfile.write(piece)
            if self.wait(pause):
                return

    def wait(self, seconds: float) -> bool:
        """Wait, but not beyond the end of the story; tell whether that came."""
        return self._server.over.wait(seconds) if seconds else self._server.over.is_set()

    def hang_up(self) -> None:
        """Close the connection after this."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Break the connection at once."""
        self.hang_up()
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """
    The server, while its ``with`` block lasts. ``tell`` begins a new story.

    ``requests`` is what came in since; ``faults`` say where to misbehave, by path.
    """

    def __init__(self) -> None:
        self.repository: Repository | None = None
        self.requests: list[Request] = []
        self.faults: dict[str, Fault] = {}
        self.over = threading.Event()
        self._http = _HTTPServer(("127.0.0.1", 0), _Handler)
        self._http.story = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_port}/"

    @property
    def metadata(self) -> list[tuple[str, int | None]]:
        """Which metadata was asked for, in order: role and version."""
        return [asked for request in self.requests if (asked := request.metadata)]

    @property
    def targets(self) -> list[str]:
        """Which target files were asked for, in order, without their directory."""
        return [request.path[len("targets/") :] for request in self.requests if request.path.startswith("targets/")]

    @property
    def visited(self) -> list[str]:
        """Which delegated roles were asked for, in order."""
        return [role for role, _ in self.metadata if role not in {"root", "timestamp", "snapshot", "targets"}]

    def tell(self, repository: Repository) -> None:
        """Serve this repository from now on, and well."""
        self.over.set()
        self.over = threading.Event()
        self.repository, self.requests, self.faults = repository, [], {}

    def forget(self) -> None:
        """Forget the requests so far."""
        self.requests = []

    def take(self, handler: _Handler) -> None:
        """Answer one request."""
        segments = handler.path.removeprefix("/").split("/")
        path = "/".join(quote(unquote(segment), safe="") for segment in segments)
        self.requests.append(Request(path, handler.path, {k.lower(): v for k, v in handler.headers.items()}))
        exchange = Exchange(handler, self, path)
        self.faults.get(path, Exchange.answer)(exchange)


def status(code: int, body: bytes = b"so it is", **headers: str) -> Fault:
    """Answer with this status."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.send(code, body, spelled)


def says(body: bytes) -> Fault:
    """Answer 200 with other bytes than the repository's."""
    return lambda exchange: exchange.send(200, body)


def endless(unit: bytes = b"[" * 65_536) -> Fault:
    """Answer with a body that never ends."""

    def answer(exchange: Exchange) -> None:
        exchange.begin(200, {})
        exchange.write(unit for _ in range(16_384))  # a gigabyte, should nobody stop it

    return answer


def endless_behind_the_file(exchange: Exchange) -> None:
    """Answer with the file, and blanks behind it without end."""
    exchange.begin(200, {})
    exchange.write([exchange.body or b""])
    exchange.write(b" " * 65_536 for _ in range(16_384))


def bomb(exchange: Exchange) -> None:
    """Answer with a small packed body that unpacks to 256 MiB."""
    exchange.send(200, _packed(), {"Content-Encoding": "gzip"})


def drip(pause: float, pieces: int) -> Fault:
    """Promise a megabyte and send so many bytes of it, one by one, with a pause after each."""

    def answer(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": "1000000"})
        exchange.hang_up()
        exchange.write((b" " for _ in range(pieces)), pause)

    return answer


def broken_off(keep: int) -> Fault:
    """Promise the whole file and hang up after so many bytes."""

    def answer(exchange: Exchange) -> None:
        body = exchange.body or b""
        exchange.begin(200, {"Content-Length": str(len(body))})
        exchange.hang_up()
        exchange.write([body[:keep]])

    return answer


def reset(exchange: Exchange) -> None:
    """Break the connection before a word is said."""
    exchange.reset()


def misplaced_part(exchange: Exchange) -> None:
    """Answer any request with a part from somewhere else in the file."""
    body = exchange.body or b""
    exchange.send(206, body[1:], {"Content-Range": f"bytes 1-{len(body) - 1}/{len(body)}"})


def late(seconds: float) -> Fault:
    """Answer well, but late."""

    def answer(exchange: Exchange) -> None:
        if not exchange.wait(seconds):
            exchange.answer()

    return answer


def silent(exchange: Exchange) -> None:
    """Say nothing, and keep the connection."""
    exchange.hang_up()
    exchange.wait(300)


def whole(exchange: Exchange) -> None:
    """Answer with the whole file whatever part is asked for."""
    exchange.send(200, exchange.body or b"")


def tagged(exchange: Exchange) -> None:
    """Answer with an ETag, and with 304 where the client has that already."""
    body = exchange.body or b""
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    known = exchange.asked.get("If-None-Match", "")
    exchange.send(*((304, b"") if tag in known else (200, body)), {"ETag": tag})


def times(count: int, fault: Fault) -> Fault:
    """Misbehave so many times, then be good."""
    left = [fault] * count

    def answer(exchange: Exchange) -> None:
        (left.pop() if left else Exchange.answer)(exchange)

    return answer


def after(happening: Callable[[], object]) -> Fault:
    """Answer well; before the client can have read it, this happens."""

    def answer(exchange: Exchange) -> None:
        body = exchange.body
        happening()
        if body is None:
            exchange.send(404)
        else:
            exchange.send(200, body)

    return answer


@functools.cache
def _packed() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(256)) + packer.flush()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    timeout = 60
    server: _HTTPServer

    def do_GET(self) -> None:  # the library's name
        with contextlib.suppress(OSError):
            self.server.story.take(self)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        pass

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    story: Server

    def handle_error(self, request: object, client_address: object) -> None:
        pass
