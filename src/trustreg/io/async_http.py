"""HTTP for programs that run an event loop: what :mod:`trustreg.io.http` does, by the same rules, on ``httpx``.

Only reading: a GET of bounded size, or of a body that comes piece by piece. ``httpx`` makes the connections, one pool
for each server, whose TLS context is ours. Its transports are used without the client around them, which would bring
cookies, default headers, netrc, redirects and proxies of its own.

Where a deadline comes or the caller is cancelled, the connection in use is closed, and what was read of a body piece by
piece is handed over before the error.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
from urllib3.exceptions import ProxyError

from trustreg._version import __version__
from trustreg.errors import SettingError, TooLargeError
from trustreg.io.address import proxy_for
from trustreg.io.http import (
    ERROR_LIMIT,
    Deadline,
    Reply,
    Rules,
    Timeouts,
    causes_of,
    is_dead_end,
    packed,
    packing_of,
    patience,
    unpacked,
)
from trustreg.io.steps import in_thread, run_awaiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping

    from trustreg.io.address import Proxy, Url
    from trustreg.io.tls import Tls


class AsyncHttp(Rules):
    """An HTTP client for the tasks of one event loop; connections are kept and used again.

    Args:
        env: The environment; names the proxies.
        tls: Makes the TLS contexts.
        insecure: Hosts that may be reached by plain http: ``host``, ``host:port`` or a network, ``10.0.0.0/8``.
        timeouts: How long things may take.
        trace: Called with a line of text for each exchange; never with a secret.
        sleep: Waits where a server asks to; tests need not.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        tls: Tls,
        *,
        insecure: Collection[str] = (),
        timeouts: Timeouts | None = None,
        trace: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(env, tls, insecure)
        self._timeouts, self._trace, self._sleep = timeouts or Timeouts(), trace, sleep
        self._transports: dict[tuple[str, bool], httpx.AsyncHTTPTransport] = {}

    async def get(self, url: str | Url, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Read *url*: at most *limit* bytes if the status is 2xx, else what explains it.

        Raises:
            SettingError: The URL is none, or plain http to a host that has to prove who it is.
            TooLargeError: The answer is longer than *limit*.
            UnavailableError: There is no answer: :class:`OfflineError`, :class:`TlsError` or :class:`ServerError`.
        """
        deadline = Deadline(self._timeouts)
        return await run_awaiting(
            self.following(url, headers or {}), lambda ask: self._get_patiently(*ask, limit, deadline)
        )

    @asynccontextmanager
    async def stream(
        self, url: str | Url, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        """Read *url* piece by piece: give the answer and, if it is good, its body, to be read while the context lasts.

        It may have any length and take any time, as long as 64 KiB come within the time that a whole request has.
        Nothing is tried twice, and an answer that is packed is refused. Raises what :meth:`get` raises.
        """
        deadline = Deadline(self._timeouts)
        async with AsyncExitStack() as held:
            rest: list[AsyncIterator[bytes]] = []

            async def ask(asked: tuple[Url, Mapping[str, str]]) -> Reply:
                reply, pieces = await held.enter_async_context(self._streamed(*asked, deadline))
                rest[:] = (pieces,)
                return reply

            reply = await run_awaiting(self.following(url, headers or {}), ask)
            yield reply, rest[0]

    async def close(self) -> None:
        """Close all connections."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _get_patiently(self, at: Url, headers: Mapping[str, str], limit: int, deadline: Deadline) -> Reply:
        reply = await self._exchange(at, headers, limit, deadline)
        wait = patience(reply, deadline)
        if wait is None:
            return reply
        await self._sleep(wait)
        return await self._exchange(at, headers, limit, deadline)

    async def _exchange(self, at: Url, headers: Mapping[str, str], limit: int, deadline: Deadline) -> Reply:
        """Exchange one request for one answer; reading that meets a dead end has a second try."""
        proxy = proxy_for(at, self._env)
        for last in (False, True):
            started, said = time.monotonic(), "no answer"
            try:
                async with self._sent(at, headers, proxy, deadline, kept=True) as response:
                    reply = await _read(at, response, limit, deadline)
                said = f"{reply.status}, {len(reply.body)} bytes"
                break
            except _FAILURES as error:
                causes = _causes(error)
                if last or time.monotonic() >= deadline.until or not is_dead_end(causes):
                    await self._fail(causes, at, proxy, deadline)
            except TooLargeError:
                said = f"more than {limit} bytes"
                raise
            finally:
                self._tell(at, said, started)
        return reply._replace(body=unpacked(reply, limit))

    @asynccontextmanager
    async def _streamed(
        self, at: Url, headers: Mapping[str, str], deadline: Deadline
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        proxy = proxy_for(at, self._env)
        async with AsyncExitStack() as held:
            started, said = time.monotonic(), "no answer"
            try:
                response = await held.enter_async_context(self._sent(at, headers, proxy, deadline, kept=False))
                good = response.is_success
                reply = _reply(at, response) if good else await _read(at, response, 0, deadline)
                said = f"{reply.status}, as it comes"
            except _FAILURES as error:
                await self._fail(_causes(error), at, proxy, deadline)
            finally:
                self._tell(at, said, started)
            if good and (packing := packing_of(reply)):
                raise packed(reply, packing)
            async with aclosing(self._rest(at, response, proxy, deadline)) as rest:
                yield reply, rest

    async def _rest(
        self, at: Url, response: httpx.Response, proxy: Proxy | None, deadline: Deadline
    ) -> AsyncGenerator[bytes, None]:
        piece, chunks = bytearray(), _chunks(response)
        async with aclosing(chunks):
            try:
                more = True
                while more:
                    deadline.begin()
                    async with asyncio.timeout(deadline.left(math.inf)):
                        more = await _fill(piece, chunks, _PIECE)
                    if not more:
                        _require_whole(response)
                    if piece:
                        yield bytes(piece)
                    piece.clear()
            except _FAILURES as error:
                if piece:
                    yield bytes(piece)
                await self._fail(_causes(error), at, proxy, deadline)

    @asynccontextmanager
    async def _sent(
        self, at: Url, headers: Mapping[str, str], proxy: Proxy | None, deadline: Deadline, *, kept: bool
    ) -> AsyncIterator[httpx.Response]:
        transport = await self._transport(at, proxy, kept=kept)
        timeout = {"connect": deadline.connect, "read": deadline.read, "write": deadline.read}
        failed: list[str] = []

        async def trace(event: str, _: object) -> None:
            if event.endswith(".failed"):
                failed.append(event)

        extensions = {"timeout": timeout, "trace": trace}
        request = httpx.Request(
            "GET", f"{at.origin}{at.target}", headers={**_HEADERS, **headers}, extensions=extensions
        )
        async with asyncio.timeout(deadline.left(math.inf)):
            try:
                response = await transport.handle_async_request(request)
            except httpx.HTTPError as exc:
                if proxy and "connection.start_tls.failed" in failed:  # with whom we speak it first
                    exc.add_note(_BY_PROXY)
                raise
        stream: Any = response.stream
        async with aclosing(stream):
            yield response

    async def _transport(self, at: Url, proxy: Proxy | None, *, kept: bool) -> httpx.AsyncHTTPTransport:
        """Return the pool of connections to where *at* is; what is read piece by piece has new ones."""
        key = (at.origin, kept)
        if key not in self._transports:
            made = await in_thread(lambda: self._connecting(at, proxy, kept=kept))  # which reads certificates
            self._transports.setdefault(key, made)
        return self._transports[key]

    def _connecting(self, at: Url, proxy: Proxy | None, *, kept: bool) -> httpx.AsyncHTTPTransport:
        context = self._tls.context(at.host, at.port) if at.scheme == "https" else _trusting_nobody()
        by_tls = proxy is not None and proxy.at.scheme == "https"
        proxy_context = self._tls.context(proxy.at.host, proxy.at.port) if proxy and by_tls else None
        try:
            return httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT if kept else 0),
                proxy=httpx.Proxy(proxy.url, ssl_context=proxy_context) if proxy else None,
            )
        except (ImportError, ValueError) as exc:
            problem = (
                "for a SOCKS proxy, socks5 or socks5h, the package socksio has to be installed, as by httpx[socks]"
            )
            raise SettingError("all_proxy", problem) from exc

    async def _fail(self, causes: list[BaseException], at: Url, proxy: Proxy | None, deadline: Deadline) -> NoReturn:
        def fail() -> NoReturn:
            self.fail(causes, at, proxy, deadline)

        await in_thread(fail)  # which may look at a certificate again
        raise AssertionError(causes)  # pragma: no cover

    def _tell(self, at: Url, said: str, started: float) -> None:
        if self._trace:
            self._trace(f"GET {at}: {said}, {(time.monotonic() - started) * 1000:.0f} ms")


async def _read(at: Url, response: httpx.Response, limit: int, deadline: Deadline) -> Reply:
    """Read the body, which is left as it came; of an answer that is not good, what explains it."""
    good, content = response.is_success, bytearray()
    if good and int(response.headers.get("content-length", 0)) > limit:
        raise TooLargeError(str(at), limit)
    try:
        async with asyncio.timeout(deadline.left(math.inf)):
            await _fill(content, _chunks(response), limit + 1 if good else ERROR_LIMIT)
        if good and len(content) <= limit:
            _require_whole(response)
    except _FAILURES:
        if good:
            raise
    if good and len(content) > limit:
        raise TooLargeError(str(at), limit)
    return _reply(at, response)._replace(body=bytes(content if good else content[:ERROR_LIMIT]))


def _chunks(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    stream: Any = response.stream
    chunks: AsyncGenerator[bytes, None] = aiter(stream)
    return chunks


async def _fill(content: bytearray, chunks: AsyncIterator[bytes], least: int) -> bool:
    """Read on until *content* has *least* bytes; say whether there may be more."""
    async for chunk in chunks:
        content += chunk
        if len(content) >= least:
            return True
    return False


def _reply(at: Url, response: httpx.Response) -> Reply:
    return Reply(at, response.status_code, {name.lower(): value for name, value in response.headers.items()}, b"")


def _require_whole(response: httpx.Response) -> None:
    """Tell the end of an answer that ends with its connection from a connection that somebody cut."""
    if {"content-length", "transfer-encoding"} & response.headers.keys():
        return
    secured: ssl.SSLObject | None = response.extensions["network_stream"].get_extra_info("ssl_object")
    if secured is not None:
        try:
            secured.read(1)
        except ssl.SSLError as exc:  # the peer did not say good-bye
            raise ssl.SSLEOFError from exc


def _causes(error: Exception) -> list[BaseException]:
    """Return *error* and all that it was made of, and what ``httpx`` says in words only."""
    found = [cause for cause in causes_of(error) if not isinstance(cause, _WAITING)]
    said = str(error)
    if isinstance(error, httpx.ProxyError):
        found.append(OSError(f"Tunnel connection failed: {said}"))
    elif said.startswith("Server disconnected"):
        found.append(ConnectionResetError())
    elif said.startswith("peer closed connection"):
        found.append(IncompleteRead(b""))
    if _BY_PROXY in getattr(error, "__notes__", ()):
        found.append(ProxyError(_BY_PROXY, error))
    return found


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


_BY_PROXY = "the proxy"
_FAILURES = (httpx.HTTPError, OSError)
_HEADERS = {"User-Agent": f"trustreg/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
_KEPT = 8  # idle connections to one server
_PIECE = 65_536  # bytes
_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)  # a state, no failure
