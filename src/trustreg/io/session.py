"""A ``requests`` session for one server, held to what a client of trust data may do.

``requests`` and ``urllib3`` make the connections, use them again, speak to proxies and read answers. Here is only what
they leave open, or do unasked:

* Nothing comes from the process's environment (proxies, netrc, CA bundles), nothing is kept (cookies).
* The TLS context is ours, and neither replaced nor widened by the CA bundle that ``requests`` brings along.
* A redirect is an answer. ``requests``, told not to follow it, would still read its body to the end, however long.
* A timeout counts from one byte to the next, so a peer that sends one now and then would hold us for days, in the body
  or in the headers. At the deadline the socket is shut down from another thread, and that ends every read.

What the deadline does not cut short: resolving a name, and opening a connection, which for each address of the name
takes the connect timeout at most.

Imported when a request is made, not before: see docs/adr/0008-http-on-requests.md for what it costs.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from io import BytesIO
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from requests import Session as _Session
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from trustreg._version import __version__
from trustreg.errors import TooLargeError
from trustreg.io.http import Body, Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from requests import Response
    from urllib3 import BaseHTTPResponse

    from trustreg.io.address import Url
    from trustreg.io.http import Deadline


class Session(_Session):
    """Speaks to one server, for one thread at a time, over one connection that is kept.

    Args:
        context: What TLS trusts and shows; ``None`` if it is not TLS.
        proxy: The URL of the proxy on the way.
        proxy_context: What TLS trusts of a proxy that is spoken to by https.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        proxy: str | None = None,
        proxy_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.proxies = {"all": proxy} if proxy else {}
        self.headers.update({"User-Agent": f"trustreg/{__version__}", "Accept-Encoding": "identity"})
        self._adapter = _Adapter(context, proxy_context)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def exchange(
        self,
        method: str,
        at: Url,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        *,
        limit: int,
        error_limit: int,
        deadline: Deadline,
    ) -> Reply:
        """Send one request and read the answer, whose body is left as it came: it may be packed.

        Args:
            method: As on the wire.
            at: Where to; not followed elsewhere.
            headers: Sent beside those that every request has.
            body: Sent piece by piece, each with the connect timeout for itself; those of a :class:`Body` begin the
                deadline anew.
            limit: Bytes that a good answer may have.
            error_limit: Bytes to read of any other answer; the rest is not waited for.
            deadline: When to give up.

        Raises:
            TooLargeError: A good answer is longer, or says that it will be.
            Exception: Of ``requests``, ``urllib3`` or Python: there is no answer, or not to the end, or it is not HTTP.
        """
        with self._sent(method, at, headers, body, deadline) as response:
            if not 200 <= response.status_code < 300:
                return _reply(at, response, _explanation(response.raw, error_limit))
            if (response.raw.length_remaining or 0) > limit:
                raise TooLargeError(str(at), limit)
            content = bytearray()
            for piece in _pieces(response.raw, limit + 1):
                content += piece
            if len(content) > limit:
                raise TooLargeError(str(at), limit)
            deadline.left(0)  # one that ends with the connection looks complete where it was cut
            return _reply(at, response, bytes(content))

    @contextmanager
    def streamed(self, at: Url, headers: Mapping[str, str], *, error_limit: int, deadline: Deadline) -> Iterator[Reply]:
        """Send one GET; the body of a good answer is in ``rest``, to be read while the context lasts.

        Each of its pieces begins *deadline* anew. What may be raised is what :meth:`exchange` raises.
        """
        with self._sent("GET", at, headers, None, deadline) as response:
            if 200 <= response.status_code < 300:
                yield _reply(at, response, b"")._replace(rest=_rest(response.raw, deadline))
            else:
                yield _reply(at, response, _explanation(response.raw, error_limit))

    def get_redirect_target(self, resp: Response) -> None:
        """Have it lead nowhere: who asked decides whether to follow."""

    @contextmanager
    def _sent(
        self, method: str, at: Url, headers: Mapping[str, str], body: bytes | Body | None, deadline: Deadline
    ) -> Iterator[Response]:
        timeout = (deadline.left(deadline.connect), deadline.left(deadline.read))
        url, data = f"{at.origin}{at.target}", _data(body, deadline)
        with (
            self._cut_at(deadline),
            self.request(
                method, url, headers=headers, data=data, timeout=timeout, allow_redirects=False, stream=True
            ) as response,
        ):
            yield response

    @contextmanager
    def _cut_at(self, deadline: Deadline) -> Iterator[None]:
        over = Event()

        def watch() -> None:
            while not over.wait(max(0.1, deadline.until - time.monotonic())):
                if time.monotonic() >= deadline.until:  # which may have been put off meanwhile
                    self._adapter.cut()

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext | None, proxy_context: ssl.SSLContext | None) -> None:
        self._context = context or proxy_context  # plain http to a proxy that speaks TLS: older urllib3 looks here
        self._proxy_context = proxy_context
        self._socket: socket.socket | None = None
        super().__init__(pool_connections=1, pool_maxsize=1)

    def cut(self) -> None:
        """End what is being read or sent. Without telling TLS, which another thread is using."""
        if self._socket:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if self._proxy_context:
            options["proxy_ssl_context"] = self._proxy_context
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, *_: object) -> None:
        """Leave the context as it is; the inherited method adds a bundle of CAs."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        kind = type(pool).ConnectionCls
        if pool.ConnectionCls is kind:
            pool.ConnectionCls = type(kind.__name__, (kind,), {"sock": property(_own_socket, self._watch)})
        return pool

    def _watch(self, connection: object, opened: object) -> None:
        """Remember the socket: a connection lets go of it when the answer will be the last."""
        vars(connection)["sock"] = opened
        if isinstance(opened, socket.socket):
            self._socket = opened


def _own_socket(connection: object) -> object:
    return vars(connection)["sock"]


class _Sending:
    """A body of known length, for ``requests``, which asks for ``len`` and iterates."""

    def __init__(self, body: Body, deadline: Deadline) -> None:
        self.len, self._pieces, self._deadline = body.length, body.pieces, deadline

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces():
            self._deadline.begin()
            yield piece


def _data(body: bytes | Body | None, deadline: Deadline) -> Any:
    if isinstance(body, Body):
        return _Sending(body, deadline) if body.length else b""
    return BytesIO(body) if body else body


def _reply(at: Url, response: Response, body: bytes) -> Reply:
    return Reply(at, response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def _explanation(raw: BaseHTTPResponse, limit: int) -> bytes:
    content = bytearray()
    with suppress(HTTPError, HTTPException, OSError):  # the status counts; take what explains it
        for piece in _pieces(raw, limit):
            content += piece
    return bytes(content)


def _pieces(raw: BaseHTTPResponse, limit: int) -> Iterator[bytes]:
    while limit and (piece := raw.read(min(_PIECE, limit), decode_content=False)):
        yield piece
        limit -= len(piece)


def _rest(raw: BaseHTTPResponse, deadline: Deadline) -> Iterator[bytes]:
    while True:
        deadline.begin()
        piece = raw.read(_PIECE, decode_content=False)
        deadline.left(0)  # what was cut looks complete, or like one more piece
        if not piece:
            return
        yield piece


_PIECE = 65_536  # bytes
