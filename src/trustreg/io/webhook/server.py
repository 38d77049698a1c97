"""The webhook as a server: it listens, replaces what has changed on disk, and ends in good order.

Uvicorn speaks HTTP, asyncio's TLS stands before it. See docs/adr/0031 for why.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson
import uvicorn

from trustreg.errors import SettingError, TrustregError
from trustreg.io import policyfile
from trustreg.io.http import plain
from trustreg.io.webhook.app import App, Limits
from trustreg.io.webhook.desk import AT_ONCE, Bench, Desk, Logins, Spans
from trustreg.io.webhook.heads import Bounded
from trustreg.io.webhook.watching import Certificate, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from trustreg.admission import Owners
    from trustreg.io.webhook.app import LoginsOf
    from trustreg.io.webhook.tally import Tally
    from trustreg.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve.

    Args:
        policy: The policy file.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        tls_cert: Certificate chain (PEM), leaf first.
        tls_key: Its private key (PEM).
        metrics: Address and port where health and metrics are to be had in plain HTTP besides, or ``None``.
        environment: Noted in each line of the log, and in alerts.
        spans: How long things hold.
        limits: What may be asked.
        drain: Seconds that reviews under way have to end in.
        look: Seconds between two looks at files that may have changed.
    """

    policy: Path
    host: str
    port: int
    tls_cert: Path
    tls_key: Path
    spans: Spans
    limits: Limits
    metrics: tuple[str, int] | None = None
    environment: str = ""
    drain: int = 20
    look: float = 1.0


class Log:
    """Writes one line of JSON for each thing, with ``service`` and *environment*. Threads may share it."""

    def __init__(self, environment: str) -> None:
        self._common = {"service": SERVICE, "environment": environment}
        self._lock = Lock()

    def record(self, facts: Mapping[str, Any]) -> None:
        """Write *facts*, of a review, to standard output."""
        self._write({**self._common, **facts}, sys.stdout.buffer)

    def warn(self, problem: str) -> None:
        """Write that something is wrong, to standard error."""
        self._say("warning", problem)

    def info(self, what: str) -> None:
        """Write that something has happened, to standard error."""
        self._say("info", what)

    def _say(self, level: str, message: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write({**self._common, "time": at, "level": level, "message": plain(message, 2000)}, sys.stderr.buffer)

    def _write(self, facts: Mapping[str, Any], stream: Any) -> None:
        line = orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE, default=str)
        with self._lock, suppress(OSError):  # nobody reads it any more: that is no reason to refuse anything
            stream.write(line)
            stream.flush()


class Office:
    """The policy in use, with its desk, and the certificate; they are looked at now and then, and replaced.

    Args:
        settings: How to serve.
        bench: Makes who judges.
        tally: Counts.
        log: Is told what was replaced, and what could not be.
        clock: Reads the time.

    Raises:
        PolicyError, FileError, SettingError: The policy, a key or the certificate cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        bench: Callable[[Policy, Logins], Bench],
        tally: Tally,
        log: Log,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings, self._bench, self._tally, self._log, self._clock = settings, bench, tally, log, clock
        self.certificate = Certificate(settings.tls_cert, settings.tls_key)
        self._watched_certificate = Watch(self.certificate.paths)
        self._problems: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "judge")
        self.desk = self._opened()
        self._loaded = clock()
        self.draining = False
        self._note_certificate()

    def state(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether reviews are to be sent here, and what there is to say about that."""
        policy = self.desk.policy
        return not self.draining, {
            "ready": not self.draining,
            "draining": self.draining,
            "policy": {
                "source": policy.source,
                "digest": f"sha256:{policy.digest}",
                "loaded": _moment(self._loaded),
                "problem": self._problems.get("policy"),
            },
            "certificate": {
                "expires": _moment(self.certificate.expires),
                "problem": self._problems.get("certificate"),
            },
        }

    async def attend(self) -> None:
        """Look at the files again and again."""
        while True:
            await asyncio.sleep(self._settings.look)
            if self._watched_certificate.changed():
                await asyncio.to_thread(self._renew, "certificate", self._replace_certificate)
            if self._watched_policy.changed():
                await asyncio.to_thread(self._renew, "policy", self._replace_policy)
            elif self.desk.worn:
                await asyncio.to_thread(self._reopen)

    def _renew(self, what: str, replace: Callable[[], None]) -> None:
        """Replace *what*; where that cannot be done, what is in use stays in use."""
        try:
            replace()
        except TrustregError as exc:
            self._problems[what] = str(exc)
            self._tally.reloaded(what, good=False)
            self._log.warn(f"the new {what} is of no use, and the one before stays in use: {exc}")
        else:
            self._problems.pop(what, None)
            self._tally.reloaded(what, good=True)
            self._log.info(f"the {what} was replaced")

    def _replace_certificate(self) -> None:
        self.certificate.reload()
        self._note_certificate()

    def _note_certificate(self) -> None:
        self._tally.expiries.put("certificate", str(self._settings.tls_cert), self.certificate.expires)

    def _replace_policy(self) -> None:
        self.desk = self._opened()
        self._loaded = self._clock()

    def _reopen(self) -> None:
        self.desk = self._made(self.desk.policy)

    def _opened(self) -> Desk:
        self._watched_policy = Watch()
        policy = policyfile.load(self._settings.policy, self._watched_policy.add)
        desk = self._made(policy)
        desk.warm()
        self._tally.uses(policy, self._clock())
        self._tally.expiries.clear("key")
        for name, expires in desk.expiring():
            self._tally.expiries.put("key", name, expires)
        return desk

    def _made(self, policy: Policy) -> Desk:
        return Desk(policy, self._bench, self._tally, self._settings.spans, self._clock, self._pool)


def serve(
    settings: Settings,
    office: Office,
    tally: Tally,
    log: Log,
    *,
    logins: LoginsOf,
    owners: Owners | None,
    alert: Callable[[Mapping[str, Any]], None],
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; reviews under way are finished first.

    Raises:
        SettingError: The address cannot be had.
    """
    common = {"service": SERVICE, "environment": settings.environment}
    app = App(
        office,
        tally,
        settings.limits,
        logins=logins,
        owners=owners,
        log=log.record,
        alert=lambda facts: alert({**common, **facts}),
        warn=log.warn,
        clock=lambda: datetime.now(UTC),
    )
    gc.enable()  # a command line that ends soon may have turned it off
    gc.freeze()  # what is there now stays: it need not be looked through again and again
    sys.setswitchinterval(_TURN)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the first of its lines would be the port scans
    main = _Server(_config(app, settings, office.certificate), _listener(settings.host, settings.port))
    servers = [main]
    if settings.metrics:
        servers.append(_Server(_config(_only_pages(app), settings, None), _listener(*settings.metrics)))
    asyncio.run(_run(servers, office, log, say))


async def _run(servers: list[_Server], office: Office, log: Log, say: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        office.draining = True
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    attending = loop.create_task(office.attend())
    serving = [loop.create_task(server.serve(sockets=[server.listener])) for server in servers]
    for server in servers:
        await server.listening.wait()
    for server, scheme in zip(servers, ("https", "http"), strict=False):
        host, port, *_ = server.address
        say(f"listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}")
    await asyncio.gather(*serving)
    attending.cancel()
    log.info("ended, after what was under way")


class _Server(uvicorn.Server):
    """A server that leaves signals to others."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener, self.address = listener, listener.getsockname()
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: there may be two servers in this process, and it has to end with 0."""
        yield


def _config(app: Any, settings: Settings, certificate: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=Bounded,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=settings.drain,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
    )


def _only_pages(app: App) -> Any:
    """Return *app* for who may see its state, and send it nothing."""

    async def pages(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "path": "/none"} if scope["method"] not in {"GET", "HEAD"} else scope, receive, send)

    return pages


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # By number: asyncio turns Nagle's algorithm off only where it sees TCP, and that is 40 ms for each answer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and ipaddress.ip_address(address[0]).is_unspecified:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError as exc:
        raise SettingError("--listen", f"{host}:{port} cannot be had: {(exc.strerror or str(exc)).lower()}") from exc
    return listener


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SERVICE = "trustreg-admission"
_IDLE = 120  # seconds; longer than API servers keep a connection that is idle, so that it is they who close it
_TURN = 0.001  # seconds that a thread may run while the event loop wants to; 5 ms would be half of what there is
