"""HTTP as a client of registries and trust servers needs it: bounded in time and size, precise when it fails.

What it does, so that nobody else has to:

* Plain http goes to this machine or to hosts marked insecure, nowhere else, whoever redirects there.
* GET follows up to five redirects, also to other hosts: registries keep their content elsewhere, and what is read
  is verified whoever served it. Another host gets no header of ours but ``Accept`` and ``Range``. From https it never
  leads to http. POST, PUT and DELETE are not redirected: an upload goes where it was meant to go or nowhere.
* GET is tried once more on a new connection when the first was refused or reset; and when the server asks to come back
  within ten seconds (429 or 503 with ``Retry-After``). Of a name's addresses each is tried until one connects.
* Nothing is compressed unless the server insists, and then the limit counts what it unpacks to.
* Proxies come from ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, in either case, as curl, Go and
  requests read them. As in Go, this machine is never reached through a proxy. There are no netrc and no cookies.

``requests`` does the speaking, in :mod:`trustreg.io.session`; here is what to say, and what an answer or its absence
means.

Failures: :class:`OfflineError` only where nobody answered; :class:`TlsError` where a certificate is in the way;
:class:`ServerError` where somebody answered something else. Answers with a status come back as they are, for the
caller to judge; :func:`refusal` makes the error of one that nobody expected.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from trustreg.errors import (
    OfflineError,
    ServerError,
    SettingError,
    TlsError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from trustreg.io.address import Proxy, Url, in_networks, proxy_for, without_secrets
from trustreg.io.steps import run
from trustreg.io.tls import bracketed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping
    from types import UnionType

    from trustreg.io.session import Session
    from trustreg.io.tls import Tls


class Timeouts(NamedTuple):
    """Seconds: to connect, to wait for the next bytes, and for a request with all its redirects and retries."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 120.0


class Deadline:
    """When a request has to be over, and how long each step of it may take; seconds."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.connect, self.read, self._total = timeouts
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self.until = time.monotonic() + self._total

    def left(self, step: float) -> float:
        """Return how long a step of at most *step* seconds may take; raise ``TimeoutError`` at the end."""
        rest = self.until - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        return min(rest, step)


class Reply(NamedTuple):
    """An answer: where it came from in the end, its headers by lower-case name, repeated ones joined by commas.

    ``rest`` has its body where that was asked for piece by piece; they raise what :meth:`Http.get` raises.
    """

    url: Url
    status: int
    headers: Mapping[str, str]
    body: bytes
    rest: Iterator[bytes] = iter(())

    @property
    def media_type(self) -> str:
        """Its Content-Type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Body(NamedTuple):
    """What is sent piece by piece: *length* bytes, which *pieces* makes, anew for each attempt to send them."""

    length: int
    pieces: Callable[[], Iterator[bytes]]


class ApiError(NamedTuple):
    """One entry of the error body that registries and notary servers share."""

    code: str
    message: str
    detail: Any = None


class PlainServerError(TlsError):
    """The port does not speak TLS at all."""


class Rules:
    """Where an HTTP client may go, and what it means that it had no answer.

    Args:
        env: The environment; names the proxies.
        tls: Makes the TLS contexts.
        insecure: Hosts that may be reached by plain http: ``host``, ``host:port`` or a network, ``10.0.0.0/8``.
    """

    def __init__(self, env: Mapping[str, str], tls: Tls, insecure: Collection[str] = ()) -> None:
        self._env, self._tls, self._insecure = env, tls, frozenset(insecure)

    @property
    def tls(self) -> Tls:
        """What makes the TLS contexts."""
        return self._tls

    def parsed(self, url: str | Url) -> Url:
        """Return where *url* leads; raise :class:`SettingError` where nobody may go."""
        try:
            at = url if isinstance(url, Url) else Url.parse(url)
        except ValueError as exc:
            raise SettingError(without_secrets(str(url)), str(exc)) from exc
        if at.scheme == "http" and not self.may_be_plain(at):
            raise SettingError(str(at), "plain http is for this machine only: nothing proves who answers; use https")
        return at

    def may_be_plain(self, url: Url) -> bool:
        """Say whether the host of *url* may be spoken to without TLS."""
        names = {url.host, f"{bracketed(url.host)}:{url.port}"}
        return url.loopback or not names.isdisjoint(self._insecure) or in_networks(url.host, self._insecure)

    def pointed(self, reply: Reply, location: str) -> Url:
        """Return where *location*, a header of *reply*, leads; raise :class:`ServerError` if nobody may go there."""
        try:
            there = reply.url.join(location)
        except ValueError as exc:
            raise ServerError(str(reply.url), reply.status, f"it redirects to no proper URL: {exc}") from exc
        if there.scheme == "http" and (reply.url.scheme == "https" or not self.may_be_plain(there)):
            raise ServerError(str(reply.url), reply.status, f"it redirects to plain http, {there.origin}")
        return there

    def following(
        self, url: str | Url, headers: Mapping[str, str]
    ) -> Generator[tuple[Url, Mapping[str, str]], Reply, Reply]:
        """Yield what to ask, is sent the answer, and returns the one to which the redirects lead."""
        at, sent = self.parsed(url), headers
        for _ in range(1 + _REDIRECTS):
            reply = yield at, sent
            location = reply.headers.get("location")
            if reply.status not in {301, 302, 303, 307, 308} or location is None:
                return reply
            there = self.pointed(reply, location)
            if there.origin != at.origin:
                sent = {name: value for name, value in sent.items() if name.lower() in {"accept", "range"}}
            at = there
        raise ServerError(str(at), reply.status, f"it has been redirected more than {_REDIRECTS} times")

    def fail(self, causes: list[BaseException], at: Url, proxy: Proxy | None, deadline: Deadline) -> NoReturn:
        """Raise what *causes*, of which the first was raised, mean for who asked *at*."""
        import ssl
        from http.client import HTTPException

        from urllib3.exceptions import ProxyError

        error, problem = causes[0], _network_problem(causes, deadline)
        peer = proxy.at if proxy and any(isinstance(cause, ProxyError) for cause in causes) else at
        for cause in causes:
            match cause:
                case OSError() if proxy and (refused := _REFUSED_TUNNEL.fullmatch(str(cause))):
                    where, hint = f"the proxy {proxy.at.host}", "check the proxy settings: https_proxy and no_proxy"
                    raise ServerError(where, int(refused[1]), f"no way to {at.origin}", hint) from error
                case ssl.SSLCertVerificationError():
                    raise self._certificate_error(cause, peer, proxy, deadline) from error
                case ssl.SSLError() if not isinstance(cause, ssl.SSLEOFError):
                    raise handshake_error(cause, peer) from error
        if problem is None:
            said = next((f" {cause}" for cause in causes if isinstance(cause, HTTPException)), "")
            raise ServerError(at.origin, 0, plain(f"{type(causes[-1]).__name__}{said}", 100).strip()) from error
        via = f" (through the proxy {bracketed(proxy.at.host)}:{proxy.at.port})" if proxy else ""
        raise OfflineError(at.origin, problem + via) from error

    def _certificate_error(
        self, error: ssl.SSLCertVerificationError, at: Url, proxy: Proxy | None, deadline: Deadline
    ) -> TlsError:
        problem, hint = f"its certificate is refused ({error.verify_message})", None
        match error.verify_code:
            case 9 | 10:  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
                state = "has expired" if error.verify_code == 10 else "is not valid yet"
                problem, hint = (
                    f"its certificate {state}",
                    "if this machine's clock is right, it needs a new certificate",
                )
            case 2 | 18 | 19 | 20 | 21:  # no issuer that we know; self-signed
                problem = f"its certificate is signed by an unknown authority ({error.verify_message})"
                place = self._tls.ca_file(at.host, at.port)
                hint = f"if that is the right server, put the certificate of its CA into {place}"
            case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
                hint = "use a name that the certificate has"
                names = self._certified_names(at, deadline) if proxy is None or at == proxy.at else None
                if names:
                    problem = f"its certificate is for {', '.join(names)}"
                elif names is not None:
                    problem = "its certificate has no subjectAltName; a common name (CN) alone is not accepted"
                    hint = f"it needs a certificate with the subjectAltName {at.host}"
        return TlsError(at.origin, problem, hint)

    def _certified_names(self, at: Url, deadline: Deadline) -> list[str] | None:
        """Look again which names the certificate has; nothing is asked of the server."""
        import socket

        context = self._tls.ignoring_names(at.host, at.port)
        try:
            with (
                socket.create_connection((at.host, at.port), deadline.left(deadline.connect)) as raw,
                context.wrap_socket(raw, server_hostname=at.host) as shown,
            ):
                certificate: Mapping[str, Any] = shown.getpeercert() or {}
        except (OSError, ValueError):
            return None
        return [plain(name, 80) for _, name in certificate.get("subjectAltName", ())][:8]


class Http(Rules):
    """An HTTP client that threads may share; connections are kept and used again.

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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(env, tls, insecure)
        self._timeouts, self._sleep = timeouts or Timeouts(), sleep
        self._idle: dict[str, list[Session]] = {}
        self._lock = Lock()
        self.trace = trace

    def get(self, url: str | Url, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Read *url*: at most *limit* bytes if the status is 2xx, else what explains it.

        Raises:
            SettingError: The URL is none, or plain http to a host that has to prove who it is.
            TooLargeError: The answer is longer than *limit*.
            UnavailableError: There is no answer: :class:`OfflineError`, :class:`TlsError` or :class:`ServerError`.
        """
        deadline = Deadline(self._timeouts)
        return run(self.following(url, headers or {}), lambda ask: self._get_patiently(*ask, limit, deadline))

    @contextmanager
    def stream(self, url: str | Url, *, headers: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """Read *url* piece by piece: the body of a good answer is ``rest``, to be read while the context lasts.

        It may have any length and take any time, as long as 64 KiB come within the time that a whole request has.
        Nothing is tried twice, and an answer that is packed is refused. Raises what :meth:`get` raises.
        """
        deadline = Deadline(self._timeouts)
        with ExitStack() as held:
            yield run(
                self.following(url, headers or {}), lambda ask: held.enter_context(self._streamed(*ask, deadline))
            )

    def head(self, url: str | Url, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for what :meth:`get` would, without its body."""
        deadline = Deadline(self._timeouts)
        return run(
            self.following(url, headers or {}), lambda ask: self._exchange("HEAD", *ask, None, ERROR_LIMIT, deadline)
        )

    def post(
        self, url: str | Url, body: bytes, media_type: str, *, limit: int, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send *body* once; raises what :meth:`get` raises.

        After :class:`OfflineError` it is not known whether the server has acted on it.
        """
        return self._once("POST", url, {**(headers or {}), "Content-Type": media_type}, body, limit)

    def put(
        self,
        url: str | Url,
        body: bytes | Body,
        media_type: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send *body* once; raises what :meth:`get` raises, and what its pieces raise.

        A :class:`Body` may take any time, as long as each of its pieces is sent within the time of a whole request.
        """
        return self._once("PUT", url, {**(headers or {}), "Content-Type": media_type}, body, limit)

    def delete(self, url: str | Url, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask once to delete what *url* names; raises what :meth:`get` raises."""
        return self._once("DELETE", url, dict(headers or {}), None, limit)

    def close(self) -> None:
        """Close the connections that are kept; those in use close when they are done."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for sessions in idle.values():
            for session in sessions:
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _once(
        self, method: str, url: str | Url, headers: Mapping[str, str], body: bytes | Body | None, limit: int
    ) -> Reply:
        at = self.parsed(url)
        reply = self._exchange(method, at, headers, body, limit, Deadline(self._timeouts), fresh=True)
        if 300 <= reply.status < 400:
            problem = f"it redirects to {plain(reply.headers.get('location', 'nowhere'), 100)}"
            raise ServerError(str(at), reply.status, problem, "set the address it redirects to, if that is right")
        return reply

    def _get_patiently(self, at: Url, headers: Mapping[str, str], limit: int, deadline: Deadline) -> Reply:
        reply = self._exchange("GET", at, headers, None, limit, deadline)
        wait = patience(reply, deadline)
        if wait is None:
            return reply
        self._sleep(wait)
        return self._exchange("GET", at, headers, None, limit, deadline)

    def _exchange(
        self,
        method: str,
        at: Url,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        limit: int,
        deadline: Deadline,
        *,
        fresh: bool = False,
    ) -> Reply:
        """Exchange one request for one answer; reading that meets a dead end has a second try."""
        proxy = proxy_for(at, self._env)
        for last in (method not in {"GET", "HEAD"}, True):
            session = self._borrow(at, proxy, fresh=fresh)
            started, said = time.monotonic(), "no answer"
            try:
                reply = session.exchange(
                    method, at, headers, body, limit=limit, error_limit=ERROR_LIMIT, deadline=deadline
                )
                said = f"{reply.status}, {len(reply.body)} bytes"
                break
            except _failures() as error:
                session.close()
                causes = list(causes_of(error))
                if last or time.monotonic() >= deadline.until or not is_dead_end(causes):
                    self.fail(causes, at, proxy, deadline)
                fresh = True
            except TooLargeError:
                said = f"more than {limit} bytes"
                raise
            finally:
                self._tell(method, at, said, started)
        self._give_back(at, session)
        return reply._replace(body=unpacked(reply, limit))

    @contextmanager
    def _streamed(self, at: Url, headers: Mapping[str, str], deadline: Deadline) -> Iterator[Reply]:
        proxy, failures = proxy_for(at, self._env), _failures()

        def translated(rest: Iterator[bytes]) -> Iterator[bytes]:
            try:
                yield from rest
            except failures as error:
                self.fail(list(causes_of(error)), at, proxy, deadline)

        with ExitStack() as held:
            session = held.enter_context(self._borrow(at, proxy, fresh=True))
            started, said = time.monotonic(), "no answer"
            try:
                reply = held.enter_context(session.streamed(at, headers, error_limit=ERROR_LIMIT, deadline=deadline))
                said = f"{reply.status}, as it comes"
            except failures as error:
                self.fail(list(causes_of(error)), at, proxy, deadline)
            finally:
                self._tell("GET", at, said, started)
            if 200 <= reply.status < 300 and (packing := packing_of(reply)):
                raise packed(reply, packing)
            yield reply._replace(rest=translated(reply.rest))

    def _tell(self, method: str, at: Url, said: str, started: float) -> None:
        if self.trace:
            self.trace(f"{method} {at}: {said}, {(time.monotonic() - started) * 1000:.0f} ms")

    def _borrow(self, at: Url, proxy: Proxy | None, *, fresh: bool) -> Session:
        from trustreg.io.session import Session

        with self._lock:
            if not fresh and (idle := self._idle.get(at.origin)):
                return idle.pop()
        context = self._tls.context(at.host, at.port) if at.scheme == "https" else None
        if proxy is None:
            return Session(context)
        return Session(
            context, proxy.url, self._tls.context(proxy.at.host, proxy.at.port) if proxy.at.scheme == "https" else None
        )

    def _give_back(self, at: Url, session: Session) -> None:
        with self._lock:
            kept = self._idle.setdefault(at.origin, [])
            if len(kept) < _KEPT:
                kept.append(session)
                return
        session.close()


def patience(reply: Reply, deadline: Deadline) -> float | None:
    """Return the seconds after which the server asks to come back, if it does and that is not too long."""
    wait = _retry_after(reply) if reply.status in {429, 503} else None
    return None if wait is None or wait > _PATIENCE or time.monotonic() + wait > deadline.until else wait


def refusal(reply: Reply, hint: str | None = None) -> UnavailableError:
    """Return the error that an answer is which was not asked for, with what the server says about it."""
    problem = explanation(reply) or _phrase(reply)
    where = str(reply.url)
    if reply.status in {401, 403}:
        return UnauthorizedError(where, reply.status, problem, hint or clock_hint(reply))
    if reply.status == 400 and b"HTTP request to an HTTPS server" in reply.body[:512]:
        hint = "this port speaks https: say so in the address"
    return ServerError(where, reply.status, problem, hint or _HINTS.get(reply.status))


def api_errors(reply: Reply) -> list[ApiError]:
    """Read ``{"errors": [{"code", "message", "detail"}]}``; empty where the body is something else."""
    import orjson

    try:
        entries = orjson.loads(reply.body)["errors"]
        return [
            ApiError(plain(entry["code"], 80), plain(entry.get("message") or "", 200), entry.get("detail"))
            for entry in entries
        ]
    except (ValueError, TypeError, LookupError, AttributeError):
        return []


def explanation(reply: Reply) -> str:
    """Return what the server says is wrong, if it says so as registries and notary servers do."""
    return "; ".join(f"{error.code}: {error.message}".strip(": ") for error in api_errors(reply)[:4])


def clock_hint(reply: Reply) -> str | None:
    """Say how far apart the clocks are, if that is far enough to invalidate tokens."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        theirs = parsedate_to_datetime(reply.headers["date"])
        apart = (datetime.now(UTC) - theirs).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
    if abs(apart) < 60:
        return None
    return (
        f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the server's: correct it"
    )


def plain(text: object, longest: int = 200) -> str:
    """Return *text* from elsewhere so that it can be shown: on one line, nothing a terminal obeys, not too long."""
    if not isinstance(text, str | int | Exception):  # parsed JSON may be nested deeper than Python can spell
        return "…"
    shown = "".join(char if char.isprintable() else " " for char in str(text)[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def _failures() -> tuple[type[Exception], ...]:
    from http.client import HTTPException

    from requests import RequestException
    from urllib3.exceptions import HTTPError

    return RequestException, HTTPError, HTTPException, OSError


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all that it was made of, the outermost first; the libraries wrap in several ways."""
    found: list[BaseException] = [error]
    for cause in found:  # which grows
        yield cause
        several = getattr(cause, "exceptions", ())  # one for each address of a name
        inner = (getattr(cause, "reason", None), *cause.args, *several, cause.__cause__, cause.__context__)
        found += [one for one in inner if isinstance(one, BaseException) and one not in found]


def is_dead_end(causes: list[BaseException]) -> bool:
    """Say whether the connection was refused or closed, so that a new one is worth a try."""
    import ssl

    return any(isinstance(cause, ConnectionError | ssl.SSLEOFError) for cause in causes)


def _network_problem(causes: list[BaseException], deadline: Deadline) -> str | None:
    """Say why there was no answer; ``None`` where there was one, and it was not HTTP."""
    import http.client
    import socket
    import ssl

    from urllib3.exceptions import NewConnectionError

    if time.monotonic() >= deadline.until:
        return "the answer was not complete in time"
    said = next((_said(cause) for cause in causes if isinstance(cause, OSError) and cause.strerror), "").lower()
    sentences: tuple[tuple[type[BaseException] | UnionType, str], ...] = (
        (
            ssl.SSLEOFError | ConnectionResetError | BrokenPipeError | ConnectionAbortedError,
            "the connection was closed before there was an answer",
        ),
        (socket.gaierror, f"its name does not resolve ({said})"),
        (TimeoutError, "there was no answer in time"),
        (http.client.IncompleteRead, "the answer was cut short"),
        (NewConnectionError, said or plain(causes[-1])),
    )
    for kind, sentence in sentences:
        if any(isinstance(cause, kind) for cause in causes):
            return sentence
    return said or None


def _said(error: OSError) -> str:
    """Return what the system says; asyncio has words of its own in its place."""
    import errno

    return os.strerror(error.errno) if error.errno and error.errno in errno.errorcode else error.strerror or ""


def handshake_error(error: ssl.SSLError, at: Url) -> TlsError:
    """Return what *error* means, which is not about the certificate, for who asked *at*."""
    reason = error.reason or str(error)
    if reason in {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return PlainServerError(at.origin, "this port does not speak TLS", "check the port, and whether it is http")
    problem = reason.lower().replace("_", " ")
    hint = None
    if "ALERT_PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        hint = "the server has to speak TLS 1.2 or newer"
    elif "ALERT" in reason:
        hint = "the server may want a client certificate: X.cert and X.key beside its ca.crt, or in the configuration"
    return TlsError(at.origin, problem, hint)


def packing_of(reply: Reply) -> str:
    """Return how the body is packed; empty where it is not."""
    packing = reply.headers.get("content-encoding", "").strip().lower()
    return "" if packing == "identity" else packing


def packed(reply: Reply, packing: str) -> ServerError:
    """Return the error that an answer is which is packed."""
    return ServerError(str(reply.url), reply.status, f"it is packed as {plain(packing, 20)}, which was not asked for")


def unpacked(reply: Reply, limit: int) -> bytes:
    """Return the body of *reply*, unpacked: at most *limit* bytes if the status is 2xx."""
    packing = packing_of(reply)
    if not packing:
        return reply.body
    import zlib

    good = 200 <= reply.status < 300
    if packing not in {"gzip", "x-gzip"}:
        if not good:
            return b""
        raise packed(reply, packing)
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(reply.body, (limit if good else ERROR_LIMIT) + 1)
    except zlib.error as exc:
        if not good:
            return b""
        raise ServerError(str(reply.url), reply.status, "it is not packed as it says") from exc
    if good and len(body) > limit:
        raise TooLargeError(str(reply.url), limit)
    if good and not unpacker.eof:
        raise OfflineError(reply.url.origin, "the answer was cut short")
    return body


def _retry_after(reply: Reply) -> float | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _phrase(reply: Reply) -> str:
    from http import HTTPStatus

    if reply.media_type == "text/plain" and reply.body.strip():
        return plain(reply.body.decode(errors="replace").strip())
    try:
        return HTTPStatus(reply.status).phrase.lower()
    except ValueError:
        return "a status without a meaning"


_REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}).*", re.DOTALL)  # as http.client says it
_REDIRECTS = 5
_PATIENCE = 10.0  # seconds; a command has somebody waiting for it
_KEPT = 8  # idle connections to one server; as many images are checked at once
ERROR_LIMIT = 65_536  # what explains an error is text for people
_HINTS = {
    407: "check the proxy settings: http_proxy and no_proxy",
    413: "a proxy in front of the server limits the size of uploads; raise its limit (nginx: client_max_body_size)",
    429: "the server limits how often it may be asked; wait, or log in if you have not",
    502: "a proxy answers, the server behind it does not",
    503: "the server is overloaded or being maintained; try again later",
    504: "a proxy answers, the server behind it does not",
}
