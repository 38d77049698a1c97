"""One HTTP/1.1 connection that ends on time: ``http.client`` with a deadline under every read and write.

A timeout per read does not stop a peer that sends one byte now and then, neither in the body nor in the headers. So
the socket asks a :class:`Deadline` before each system call how long it may wait.

Imported when a request is made, not before: ``http.client`` and ``ssl`` take 16 ms of a command's start. (``requests``
takes 71; of what it adds, cookies, netrc, its redirects, retries and CA handling would all have to be turned off here.)
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from trustreg.errors import TooLargeError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from _typeshed import ReadableBuffer, WriteableBuffer

    from trustreg.io.address import Proxy


class ProxyRefusedError(OSError):
    """The proxy answered, and did not connect us; ``status`` is what it said."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


class TruncatedError(OSError):
    """The connection ended before the body did."""


class Deadline(NamedTuple):
    """When an exchange has to be over, and how long each step of it may take; seconds."""

    until: float
    connect: float
    wait: float

    def left(self, step: float) -> float:
        """Return how long a step of at most *step* seconds may take; raise ``TimeoutError`` at the end."""
        rest = self.until - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        return min(rest, step)


class Answer(NamedTuple):
    """What came back. ``reusable``: the connection can serve another exchange."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


class Connection(http.client.HTTPConnection):
    """A connection to *host*, direct or through *proxy*; *context* makes it TLS.

    ``address`` is where it went; one in *avoid* is tried after all others that the name has.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        proxy: Proxy | None,
        avoid: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(host, port)
        self.default_port = 443 if context else 80  # what the Host header leaves out
        self.address: Any = None
        self.proxy = proxy
        self._context = context
        self._avoid = avoid
        self._deadline = Deadline(0, 0, 0)

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        what: str,
        limit: int,
        error_limit: int,
        deadline: Deadline,
    ) -> Answer:
        """Send one request and read all of the answer.

        Args:
            method: As on the wire.
            target: Path and query, or the whole URL where the proxy does the rest.
            headers: Sent as they are, and no others but ``Host`` and ``Content-Length``.
            body: Sent after the headers.
            what: What a good answer is, for the message that it is too long.
            limit: Bytes that a good answer may have.
            error_limit: Bytes to read of any other answer; the rest is not waited for.
            deadline: When to give up.

        Raises:
            TooLargeError: A good answer is longer, or says that it will be.
            OSError: Nobody answered, or not in time, or not to the end.
            http.client.HTTPException: What answered does not speak HTTP.
        """
        self._deadline = deadline
        try:
            if self.sock is None:
                self.connect()
            self._send(method, target, headers, body)
            with self.getresponse() as response:
                good = 200 <= response.status < 300
                content = _read(response, limit, what) if good else _read_some(response, error_limit)
                whole = response.isclosed()
        except BaseException:
            self.close()
            raise
        fields: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            fields[key] = f"{fields[key]}, {value}" if key in fields else value
        return Answer(response.status, fields, content, reusable=whole and not response.will_close)

    def connect(self) -> None:
        """Open the socket, through the proxy if there is one, and shake hands."""
        raw = self._dial()
        try:
            if self._context:
                if self.proxy:
                    self._tunnel_through(raw, self.proxy)
                raw.settimeout(self._deadline.left(self._deadline.connect))
                raw = self._context.wrap_socket(raw, server_hostname=self.host, suppress_ragged_eofs=False)
        except BaseException:
            raw.close()
            raise
        self.sock = cast("socket.socket", _Socket(raw, self._left))

    def usable(self) -> bool:
        """Say whether an idle connection still stands: nothing came in, not even its end."""
        import select

        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLIN)
        return not poll.poll(0)

    def names(self, context: ssl.SSLContext, deadline: Deadline) -> list[str]:
        """Return the names in the certificate of the server, whose chain *context* has to find good."""
        self._deadline, self._context = deadline, context
        self.connect()
        shown = cast("_Socket", self.sock).certificate()
        self.close()
        return [str(value) for _, value in shown.get("subjectAltName", ())]

    def _left(self) -> float:
        return self._deadline.left(self._deadline.wait)

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
        try:
            self.request(method, target, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            if body is None:
                raise  # else the server may have answered before it had read everything: "too large"

    def _dial(self) -> socket.socket:
        host, port = (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        problem: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
        for family, kind, protocol, _, address in sorted(found, key=lambda entry: entry[4] in self._avoid):
            self.address = address
            raw = socket.socket(family, kind, protocol)
            try:
                raw.settimeout(self._deadline.left(self._deadline.connect))
                raw.connect(address)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as exc:
                raw.close()
                problem = exc
            else:
                return raw
        raise problem

    def _tunnel_through(self, raw: socket.socket, proxy: Proxy) -> None:
        """Have the proxy connect us; what it says before TLS begins decides nothing but that."""
        there = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        channel = _Socket(raw, self._left)
        channel.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        with http.client.HTTPResponse(cast("socket.socket", channel), method="CONNECT") as response:
            response.begin()
        if response.status != 200:
            raise ProxyRefusedError(response.status)


class _Socket:
    """The part of a socket that ``http.client`` uses, on a deadline."""

    def __init__(self, raw: socket.socket, left: Callable[[], float]) -> None:
        self._raw, self._left = raw, left

    def sendall(self, data: ReadableBuffer) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            self._raw.settimeout(self._left())
            self._raw.sendall(view[start : start + _CHUNK])

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._raw, self._left))

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()

    def certificate(self) -> dict[str, Any]:
        return cast("ssl.SSLSocket", self._raw).getpeercert() or {}


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self._raw, self._left = raw, left
        self._file = raw.makefile("rb", buffering=0)  # keeps the socket open until the answer is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._raw.settimeout(self._left())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _read(response: http.client.HTTPResponse, limit: int, what: str) -> bytes:
    if (response.length or 0) > limit:
        raise TooLargeError(what, limit)
    content = bytearray()
    while chunk := response.read(min(_CHUNK, limit + 1 - len(content))):
        content += chunk
        if len(content) > limit:
            raise TooLargeError(what, limit)
    if response.length:
        raise TruncatedError("the answer was cut short")
    return bytes(content)


def _read_some(response: http.client.HTTPResponse, limit: int) -> bytes:
    content = bytearray()
    try:
        while len(content) < limit and (chunk := response.read(min(_CHUNK, limit - len(content)))):
            content += chunk
    except (OSError, http.client.HTTPException):
        response.will_close = True  # the status is what counts; of the explanation, take what there is
    return bytes(content)


_CHUNK = 65_536
