"""A server process on a loopback port, started, watched and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO


class PeerError(Exception):
    """A peer did not come up, or died; the text ends with its log."""

    def __init__(self, peer: Peer, what: str) -> None:
        super().__init__(f"{peer.name} on port {peer.port} {what}\n$ {' '.join(peer.argv)}\n{peer.log_tail()}")


class Peer:
    """
    One server process, which can go down and come back under the same address.

    Args:
        name: What to call it in messages.
        argv: The command that runs it in the foreground.
        port: Where *argv* makes it listen, on 127.0.0.1.
        directory: Its own, for its log; removed by whoever made it.
        env: Its whole environment.
        ca_file: The CA that its certificate chains to; None where it speaks plain http.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        port: int,
        directory: Path,
        env: Mapping[str, str],
        ca_file: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.port = port
        self.directory = directory
        self.ca_file = ca_file
        self._env = dict(env)
        self._log_file = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The address as image references and TLS directories spell it, ``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    @property
    def pid(self) -> int:
        """The process id of the running server, which leads a process group of its own."""
        if self._process is None:
            raise PeerError(self, "is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has printed, over every start."""
        return self._log_file.read_text(errors="backslashreplace") if self._log_file.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        """The last *lines* of its log."""
        return "\n".join(self.log.splitlines()[-lines:])

    def start(self, timeout: float = 30) -> None:
        """
        Start it and wait until it accepts connections.

        Raises:
            PeerError: It exited, or did not listen within *timeout* seconds, or is up already.
        """
        if self._process is not None and self._process.poll() is None:
            raise PeerError(self, "is running already")
        self.kill()  # what is left of one that died by itself
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self.directory,
                start_new_session=True,  # a group to signal as one: server, workers and all
            )
        _RUNNING.append(self)
        deadline = time.monotonic() + timeout
        while not accepts(self.port):
            if (code := self._process.poll()) is not None:
                self.kill()
                raise PeerError(self, f"exited with {code} before it listened")
            if time.monotonic() > deadline:
                self.kill()
                raise PeerError(self, f"did not listen within {timeout:g} s")
            time.sleep(0.01)

    def stop(self, timeout: float = 10) -> None:
        """Ask it to end, insist after *timeout* seconds. Does nothing where it is down already."""
        if self._process is not None:
            self.resume()  # a stopped process would not hear the request
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            self.kill()

    def kill(self) -> None:
        """End it and its workers at once, as a power cut would (``kill -9``)."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            _RUNNING.remove(self)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections are still accepted by the kernel, nobody answers."""
        self._signal(signal.SIGSTOP)
        tasks, deadline = Path(f"/proc/{self.pid}/task"), time.monotonic() + 5
        while any(not _is_stopped(task) for task in tasks.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)  # on a busy machine a thread may answer once more

    def resume(self) -> None:
        """Let a paused one go on (SIGCONT), with all that it remembers."""
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Be down inside the block: connections are refused. What it kept in memory is lost."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Be frozen inside the block: connections hang. Nothing is lost."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be up when the block begins, and gone after it."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def running_peers() -> tuple[Peer, ...]:
    """List every peer that is up now, for the report of a failed test."""
    return tuple(_RUNNING)


@contextlib.contextmanager
def workspace(name: str) -> Iterator[tuple[Path, int]]:
    """Lend a peer a directory and a port for its life; *name* is the directory's prefix."""
    with (
        tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as directory,
        reserved_port() as port,
    ):
        yield Path(directory), port


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """
    Reserve a free loopback port that only a peer which is told of it will bind.

    The reservation is a bound socket that never listens. The options are set after
    binding, so the kernel offers the port to nobody who asks for any free port,
    yet a server that sets SO_REUSEADDR or SO_REUSEPORT itself, as they all do, may
    listen there, again after a restart too. While none does, connections are refused.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield held.getsockname()[1]


def accepts(port: int) -> bool:
    """Tell whether somebody listens on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def write_private(path: Path, content: bytes | str) -> Path:
    """Write a file that only its owner can read."""
    opened: BinaryIO
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as opened:
        opened.write(content.encode() if isinstance(content, str) else content)
    return path


def _is_stopped(task: Path) -> bool:
    """Say whether the thread *task*, below ``/proc``, does not run; ``T`` stands behind its name."""
    try:
        return (task / "stat").read_text().rpartition(") ")[2].startswith("T")
    except OSError:  # it has ended
        return True


_RUNNING: list[Peer] = []
