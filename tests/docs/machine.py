"""
The machine that a page is read at: a shell that remembers, a home, a registry and a trust server.

On the page it has the names of examples. ``localhost:5000`` or ``registry.example`` is the registry,
``localhost:4443`` or ``https://trust.example`` the trust server, and ``/home/ann`` the home. Where there are no such
servers, ``https://repo.example`` and ``https://mirror.example`` stand for those ports.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT
from tests.peers import docker_registry
from tests.peers.command import clean_env, require
from tests.peers.gpg import gpg_home
from tests.peers.process import reserved_port
from tests.peers.sigstore import program
from tests.peers.trust import trustreg_serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a command said, on both streams, and how it ended."""

    lines: tuple[str, ...]
    code: int


class Machine:
    """A shell in a home of its own. Use :func:`machine` to make one."""

    def __init__(
        self, folder: Path, registry: int, trust: int, names: Sequence[str], also: Mapping[str, str] | None = None
    ) -> None:
        self.home, self._names = folder / "home", names
        self._ports = {"5000": str(registry), "4443": str(trust)}
        self._scratch = folder / "command"
        programs = folder / "bin"
        for made in (self.home, programs):
            made.mkdir(parents=True)
        for name, words in _PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (programs / name).chmod(0o755)
        insecure = f'[[registry]]\nlocation = "localhost:{registry}"\ninsecure = true\n'
        (self.home / ".config/containers").mkdir(parents=True)
        (self.home / ".config/containers/registries.conf").write_text(insecure)
        env = clean_env(
            HOME=str(self.home), REGISTRY=f"http://localhost:{registry}", TRUSTREG_SERVER_LISTEN=f"127.0.0.1:{trust}"
        )
        paths = [str(ROOT), *(str(ROOT / path) for path in env.get("PYTHONPATH", "").split(":") if path)]
        env |= {"PATH": f"{programs}:{env['PATH']}", "PYTHONPATH": ":".join(paths), **(also or {})}
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=self.home,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._code = 0

    def run(self, command: str) -> Outcome:
        """Run a command line of the page, and give what it said; what it started in the background goes on."""
        self._scratch.write_text(f"(exit {self._code})\n{self.real(command)}\n")
        assert self._shell.stdin
        self._shell.stdin.write(f". {self._scratch} </dev/null; printf '\\n%s %s\\n' '{_MARK}' $?\n".encode())
        self._shell.stdin.flush()
        said, _, rest = self._read(f"\n{_MARK} ").rpartition(f"\n{_MARK} ")
        self._code = int(rest)
        return Outcome(tuple(self._shown(said).splitlines()), self._code)

    def more(self) -> tuple[str, ...]:
        """Give what commands in the background have said since."""
        return tuple(self._shown(self._read("", patience=0.1)).splitlines())

    def write(self, name: str, text: str) -> None:
        """Write a file of the page, by its name in the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.real(text))

    def real(self, text: str) -> str:
        """Put this machine's names into a text of the page."""
        for name, plain in NAMES.items():
            text = re.sub(rf"{re.escape(name)}(?![\w.:])", plain, text)
        text = re.sub(r"\b(5000|4443)\b", lambda found: self._ports[found[0]], text)
        return text.replace("/home/ann", str(self.home))

    def _shown(self, text: str) -> str:
        """Put the page's names into what was said."""
        text = text.replace(str(self.home), "/home/ann")
        for shown, port in self._ports.items():
            text = re.sub(rf"\b{port}\b", shown, text)
        for name in self._names:
            text = text.replace(NAMES[name], name)
        return text

    def close(self) -> None:
        """End the shell and all that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._shell.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._shell.wait(5)
        for stream in (self._shell.stdin, self._shell.stdout):
            if stream:
                stream.close()

    def _read(self, until: str, patience: float = 120) -> str:
        """Read what is said, up to the line that begins with *until*, or for as long as *patience* has it."""
        assert self._shell.stdout
        said, deadline = b"", time.monotonic() + patience
        while not (until and until.encode() in said and said.endswith(b"\n")):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._shell.stdout], [], [], left)[0]:
                break
            chunk = os.read(self._shell.stdout.fileno(), 65_536)
            if not chunk:
                break
            said += chunk
        if until and until.encode() not in said:
            raise TimeoutError(said.decode(errors="replace"))
        return said.decode(errors="replace")


@contextlib.contextmanager
def machine(folder: Path, needs: Sequence[str], names: Sequence[str] = ()) -> Iterator[Machine]:
    """Run what a page *needs*, and lend a machine to read it at; it calls what it can by one of *names*."""
    require(*sorted(set(needs) - {"registry", "trust-server", "cosign", "nothing"}))
    with contextlib.ExitStack() as held:
        registry = held.enter_context(docker_registry()).port if "registry" in needs else _free(held)
        trust = held.enter_context(trustreg_serve()).port if "trust-server" in needs else _free(held)
        gpg = {"GNUPGHOME": str(held.enter_context(gpg_home()).home)} if "gpg" in needs else {}
        made = Machine(folder, registry, trust, names, gpg)
        held.callback(made.close)
        if "cosign" in needs:
            (folder / "bin" / "cosign").symlink_to(program("cosign"))
        yield made


def _free(held: contextlib.ExitStack) -> int:
    return held.enter_context(reserved_port())


NAMES = {
    "registry.example": "localhost:5000",
    "https://trust.example": "http://localhost:4443",
    "https://repo.example": "http://localhost:4443",
    "https://mirror.example": "http://localhost:5000",
}
_PROGRAMS = {
    "python": "",
    "python3": "",
    "trustreg": "-m trustreg",
    "push": "-m scripts.push_image $REGISTRY",  # push REPOSITORY TAG --seed SEED
    "layout": "-m tests.docs.layout",  # layout FOLDER SEED
    "repository": "-m tests.docs.repository",  # repository PORT...
}
_MARK = "-- the command has ended, with"
