"""A server that answers exactly what a test tells it to, however wrong."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import io
    import ssl
    from collections.abc import Callable, Iterable


class Request(NamedTuple):
    """What came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Rogue:
    """
    Listens on a loopback port while its ``with`` block lasts, and remembers all ``requests``.

    Args:
        answer: Gives the raw bytes of each answer, at once or piece by piece; ``None`` resets the connection.
        tls: Speak TLS.
    """

    def __init__(
        self, answer: Callable[[Request], bytes | Iterable[bytes] | None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self.requests: list[Request] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def pause(self, seconds: float) -> None:
        """Wait inside an answer, but not beyond the end of the test."""
        self._closing.wait(seconds)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as file:
                while request := _read(file):
                    self.requests.append(request)
                    answer = self._answer(request)
                    if answer is None:
                        linger = struct.pack("ii", 1, 0)  # close with RST
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        return
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        connection.sendall(piece)
                    if request.headers.get("x-close") or (isinstance(answer, bytes) and b"Connection: close" in answer):
                        return
        except OSError:
            pass
        finally:
            connection.close()


class Tunnel:
    """
    A proxy that connects whoever asks, wherever they want to go, to *port* of this machine.

    Args:
        port: Where every tunnel leads.
        tls: Speak TLS to those who ask.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._to, self._tls = port, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.asked: list[bytes] = []
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), near:
                self._serve(self._tls.wrap_socket(near, server_side=True) if self._tls else near)

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._to)) as far:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (got := near.recv(1)):
                    return
                head += got
            self.asked.append(head)
            near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            others = {near: far, far: near}
            while True:
                for ready in select.select(list(others), [], [], 10)[0]:
                    if not (data := ready.recv(65_536)):
                        return
                    others[ready].sendall(data)


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Spell an answer; ``content_type="…"`` becomes ``Content-Type``, and a length given wins over the true one."""
    fields = {name.replace("_", "-").title(): value for name, value in headers.items()}
    fields.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("latin-1") + body


def _read(file: io.BufferedReader) -> Request | None:
    if file.peek(1)[:1] == b"\x16":
        return Request("TLS", "", {"x-close": "yes"}, b"")  # somebody believes that we speak it
    first = file.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := file.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(first[0], first[1], headers, file.read(int(headers.get("content-length", 0))))
