"""Run the trust server: ``trustreg serve``, and the same inside a program.

One parent process unlocks the keys and watches; workers serve. All of them share one SQLite file and may be killed
at any moment. A worker ends with its parent, so a killed server leaves nobody behind on its port.
"""

import errno
import gc
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from multiprocessing import connection, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from trustreg.errors import FileError, InputError, PassphraseError, SettingError, UnavailableError
from trustreg.io.files import private_dir, read_bounded, read_if_present, write_atomically

if TYPE_CHECKING:
    from trustreg.io.front import Front

PASSPHRASE: Final = "TRUSTREG_SERVER_PASSPHRASE"  # noqa: S105 (the name of a variable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve.

    Args:
        state: The folder of the database; made if it is not there.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        tls_cert: Certificate chain (PEM), leaf first. Plain HTTP without.
        tls_key: Its private key (PEM).
        workers: Processes. One gives tens of thousands of answers per second.
        log: ``off``, ``text`` or ``json``: a line on standard error for each request.
        key_kind: What keys to make for the server's own roles.
        dangerous_plain_http: Speak plain HTTP on addresses that other machines reach.
    """

    state: Path
    host: str = "127.0.0.1"
    port: int = 4443
    tls_cert: Path | None = None
    tls_key: Path | None = None
    workers: int = 1
    log: str = "off"
    key_kind: str = "ecdsa"
    dangerous_plain_http: bool = False

    @property
    def url(self) -> str:
        """The base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


@dataclass(eq=False)
class ExtraError(InputError):
    """A package is not installed that only a server needs; ``extra`` is ours that brings it."""

    code = "extra"
    package: str
    extra: str = "server"

    def __str__(self) -> str:
        return f"the server needs {self.package}, which is not installed"

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return f"pip install 'trustreg[{self.extra}]'"


@dataclass(eq=False)
class StartError(UnavailableError):
    """An embedded server did not come up."""

    code = "start"
    said: str

    def __str__(self) -> str:
        return f"the embedded server did not start: {self.said}"


def run(settings: Settings, passphrase: Callable[[], str], say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first.

    Args:
        settings: How to serve.
        passphrase: Returns what the server's keys are encrypted under; asked once all else is in order.
        say: Takes one line for people, ``listening on URL``, when the first request can come.

    Raises:
        InputError: The settings cannot be used, the passphrase is wrong, or a package is missing.
        FileError: The state folder cannot be used.
    """
    try:
        from granian import Granian
        from granian.constants import HTTPModes, Interfaces, SSLProtocols
        from granian.http import HTTP1Settings
        from granian.log import LogLevels

        from trustreg.io.sql import unlock

        import_module("trustreg.io.front")  # what workers need, once and before they are forked
    except ImportError as exc:
        raise ExtraError(exc.name or "granian") from exc
    settings = _with_address(settings)
    _require_safe(settings)
    key = unlock(settings.state, passphrase())
    gc.enable()  # a command line that ends soon may have turned it off
    server = Granian(
        "trustreg",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_PATIENCE * 1000),
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
        ssl_cert=settings.tls_cert,
        ssl_key=settings.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,  # Docker and notary are old
        respawn_failed_workers=True,
        workers_kill_timeout=_DRAIN,
    )

    def announce() -> None:
        while len(server.wrks) < settings.workers or not _listens(settings):
            time.sleep(0.01)
        say(f"{_READY}{settings.url}")

    threading.Thread(target=announce, daemon=True).start()
    server.serve(target_loader=partial(_worker, settings, key), wrap_loader=False)


def find_passphrase(state: Path, file: Path | None, given: str | None, say: Callable[[str], None]) -> str:
    """Return the passphrase of the server's keys: from *file*, as *given*, or kept beside the database.

    A new server that is given none makes one and keeps it in the state folder, readable by its owner only. It then
    protects copies of the database alone, such as backups; to keep it elsewhere is better, and said.

    Raises:
        PassphraseError: None is given, and the keys are sealed under one that is not kept here.
        FileError: A file cannot be read or written.
    """
    if file is not None:
        return _line(file, read_bounded(file, _LONGEST, pipes=True))
    if given:
        return given
    kept = private_dir(state) / "passphrase"
    content = read_if_present(kept, _LONGEST)
    if content is not None:
        return _line(kept, content)
    if (state / "trust.db").exists():
        hint = f"set {PASSPHRASE} or name a file with --passphrase-file"
        raise PassphraseError(f"ring in {state}", "it is sealed under a passphrase that is not kept there", hint)
    made = secrets.token_urlsafe(32)
    write_atomically(kept, f"{made}\n".encode())
    say(f"made a passphrase for the server's keys: {kept} (better kept elsewhere, see --passphrase-file)")
    return made


class Embedded:
    """A trust server for as long as a ``with`` block runs: for tests, demonstrations and a first try.

    ::

        with Embedded() as server:
            print(server.url)

    It is ``trustreg serve`` in a process of its own, on a free port of the loopback address.

    Args:
        state: The folder of its database; without, nothing outlives the block.
        tls_cert: Certificate chain (PEM); plain HTTP without.
        tls_key: Its private key (PEM).
    """

    def __init__(self, state: Path | None = None, *, tls_cert: Path | None = None, tls_key: Path | None = None) -> None:
        self._state = state
        self._tls = [("--tls-cert", tls_cert), ("--tls-key", tls_key)]
        self._cleanup = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="trustreg-"))
            state = self._state or Path(folder) / "state"
            argv = [sys.executable, "-m", "trustreg", "serve", "--state", str(state), "--listen", "127.0.0.1:0"]
            argv += [word for name, path in self._tls if path for word in (name, str(path))]
            log = Path(folder) / "log"
            with log.open("wb") as stderr:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
            stack.callback(_end, process)
            self.url = _await_url(process, log)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()


def _await_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START
    while True:
        ended = process.poll() is not None or time.monotonic() > deadline
        said = log.read_text("utf-8", "replace")
        for line in said.splitlines():
            if line.startswith(_READY):
                return line.removeprefix(_READY)
        if ended:
            raise StartError(said.strip()[-400:])
        time.sleep(0.01)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_DRAIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- the parent ------------------------------------------------------------------------------------------------


def _require_safe(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingError("--tls-cert, --tls-key", "a certificate and its key go together")
    if settings.tls_cert and settings.tls_key:
        try:
            # The password is for keys that want one: without, OpenSSL would ask for it on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        except OSError as exc:  # ssl.SSLError is one
            problem = (
                f"{settings.tls_cert} and {settings.tls_key} are no certificate with its key, not encrypted: {exc}"
            )
            raise SettingError("--tls-cert, --tls-key", problem) from exc
    private = ipaddress.ip_address(settings.host).is_loopback or settings.dangerous_plain_http
    if settings.tls_cert is None and not private:
        problem = f"{settings.host} is reached by other machines, and plain HTTP lets anybody on the way change answers"
        raise SettingError("--listen", f"{problem}; give --tls-cert and --tls-key")


def _with_address(settings: Settings) -> Settings:
    """Resolve the address and require it to be free: workers share their port, so a second server would not be told."""
    deadline = time.monotonic() + _TAKE_OVER
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                host, port, *_ = probe.getsockname()
                return replace(settings, host=host, port=port)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)  # a server that was killed may not be gone yet
                continue
            where = f"{settings.host}:{settings.port}"
            raise SettingError("--listen", f"{where} cannot be had: {(exc.strerror or str(exc)).lower()}") from exc


def _listens(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (a comparison)
    try:
        socket.create_connection((host, settings.port), timeout=1).close()
    except OSError:
        return False
    return True


def _line(path: Path, content: bytes) -> str:
    text = content.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    if not text:
        raise FileError(str(path), "it holds no passphrase")
    return text


# --- a worker --------------------------------------------------------------------------------------------------


def _worker(settings: Settings, key: bytes) -> "Front":
    """Make what one worker process serves."""
    from trustreg.io.front import Access, Front
    from trustreg.io.sql import SqlStore
    from trustreg.io.wsgi import make_app
    from trustreg.server import TrustServer

    threading.Thread(target=_end_with_parent, daemon=True).start()
    store = SqlStore(settings.state, key)
    report = partial(logging.getLogger("trustreg.server").error, "%s")
    server = TrustServer(store, key_kind=settings.key_kind, report=report)
    app = make_app(server, stamps=store.stamps)
    spell = {"text": Access.text, "json": Access.json}.get(settings.log)
    log = (lambda access: print(spell(access), file=sys.stderr, flush=True)) if spell else None  # noqa: T201
    return Front(app, store.stamps, log=log, close=store.close)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


_READY = "listening on "
_START = 30.0  # seconds that a start may take
_TAKE_OVER = 2.0  # seconds to wait for the address
_DRAIN = 30  # seconds that requests under way have to end in
_HEADER_PATIENCE = 10  # seconds for the head of a request
_LONGEST = 4096  # bytes of a passphrase
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "trustreg: %(levelname)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}},
    "loggers": {
        "_granian": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "granian.access": {"handlers": [], "propagate": False},
        "trustreg.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
