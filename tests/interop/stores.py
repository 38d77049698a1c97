"""A collection in a store of each kind, and those who publish to it and read it."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import trustreg
from tests.peers.command import clean_env
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.stores.folder import FolderStore
from trustreg.io.stores.objects import ObjectStore
from trustreg.io.stores.oci import OciStore
from trustreg.io.stores.place import Place
from trustreg.io.tls import Tls
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.client import Contents
    from trustreg.ports import TargetFiles
    from trustreg.publisher import Publisher


@dataclass(frozen=True)
class Shelf:
    """An empty place for a collection: ``store`` is its name, ``env`` what it takes to get there."""

    kind: str
    store: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def gun(self) -> Gun:
        """What the collection is called."""
        return Place.parse(self.store).gun

    def another(self, name: str) -> Shelf:
        """Return another empty place, beside this one."""
        return replace(self, store=f"{self.store}-{name}")

    def files(self) -> TargetFiles:
        """Open it for target files."""
        scheme, _, rest = self.store.partition(":")
        if scheme == "dir":
            return FolderStore(Path(rest))
        if scheme == "s3":
            return ObjectStore(self.store, self.env)
        registry = HttpRegistry(Auth(Http({}, Tls({}, "/none"))), DockerCredentials({}, "/none"))
        return OciStore(registry, Reference.parse(rest))


class Person:
    """Somebody with a trust directory of their own, below *home*."""

    def __init__(self, shelf: Shelf, home: Path) -> None:
        self.gun, self.trust_dir = shelf.gun, home / "trust"
        # Notary's form of key files: to open one takes a tenth of the time.
        (self.trust_dir / "private").mkdir(parents=True, mode=0o700)
        self.trust_dir.chmod(0o700)
        settings = {"TRUSTREG_STORE": shelf.store, "TRUSTREG_TRUST_DIR": str(self.trust_dir)}
        self.env = clean_env(HOME=str(home), TRUSTREG_PASSPHRASE="of whoever it is", **settings, **shelf.env)

    def wiring(self) -> Wiring:
        """Begin anew, as a process does."""
        return Wiring({}, self.env, lambda: datetime.now(UTC))

    def publisher(self) -> Publisher:
        return self.wiring().publisher()

    def init(self) -> None:
        trustreg.Publisher(env=self.env).init()

    def verifier(self) -> trustreg.Verifier:
        return trustreg.Verifier(env=self.env)

    def state(self, verifier: trustreg.Verifier | None = None) -> State:
        """Return what *verifier*, or one that remembers what there is in the trust directory, sees."""
        return State.of((verifier or self.verifier()).contents(self.gun))

    @contextlib.contextmanager
    def process(self, *words: str) -> Iterator[Process]:
        """Run ``tests.interop.authors`` with *words*, from when it is ready to the end of the block."""
        argv = [sys.executable, "-m", "tests.interop.authors", *words]
        with (
            (self.trust_dir.parent / "said").open("w+") as said,
            subprocess.Popen(
                argv, env=self.env, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            ) as process,
        ):
            try:
                running = Process(process, Path(said.name))
                running.expect("ready")
                yield running
            finally:
                process.kill()


class Process:
    """A process that is told by lines and answers by lines."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self._stdin, self._stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

    def tell(self, line: str = "") -> None:
        self._stdin.write(f"{line}\n")
        self._stdin.flush()

    def hear(self) -> str:
        line = self._stdout.readline().strip()
        assert line, self.log
        return line

    def expect(self, line: str) -> None:
        assert self.hear() == line, self.log

    def result(self) -> Any:
        """Read what it found."""
        return json.loads(self.hear())

    @property
    def log(self) -> str:
        """What it complained of."""
        return self._log.read_text()


@dataclass(frozen=True)
class State:
    """All that a reader sees: what each role lists, and who may sign which role."""

    targets: frozenset[tuple[str, str, int, str]]
    keys: frozenset[tuple[str, frozenset[str]]]

    @classmethod
    def of(cls, contents: Contents) -> State:
        """Require *contents* to be whole: each role is believed, and each target is found where it is listed."""
        assert not contents.failed
        assert not [entry for entry in contents.entries if not entry.counts]
        return cls(
            frozenset((entry.tag, entry.digest.hex, entry.length, entry.role) for entry in contents.entries),
            frozenset((role.name, frozenset(role.keyids)) for role in contents.roles),
        )

    def either(self, other: State) -> State:
        """Return the state in which the keys of both may sign."""
        mine, others = dict(self.keys), dict(other.keys)
        return State(self.targets, frozenset((role, mine[role] | others[role]) for role in mine))


def kill_after(process: Process, seconds: float, what: str = "publish") -> bool:
    """Have *process* begin a publication, kill that after *seconds*, and say whether it had not ended by then."""
    process.tell(what)
    child = int(process.hear())
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return process.hear() == str(-signal.SIGKILL)


def to_the_end(process: Process, what: str = "publish") -> float:
    """Have *process* publish undisturbed; return how long that took."""
    begin = time.monotonic()
    process.tell(what)
    process.hear()
    ended = process.hear()
    assert ended == "0", process.log
    return time.monotonic() - begin


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Have a web server show *folder*; this is its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def stranger(shelf: Shelf) -> Iterator[Person]:
    """Be somebody who has never seen the collection."""
    home = Path(tempfile.mkdtemp())
    try:
        yield Person(shelf, home)
    finally:
        shutil.rmtree(home)


ROOT = Path(__file__).resolve().parents[2]
