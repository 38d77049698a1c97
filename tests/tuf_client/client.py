"""A TUF client as a command, one process for each call, with a metadata and a target directory of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tuf_client.repository import TOP_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.tuf_client.server import Server

_EXAMPLE = Path(__file__).parents[2] / "examples" / "tuf_client"
_GIVEN = shlex.split(os.environ.get("TRUSTREG_TUF_CLIENT", ""))  # read here: a test's environment has no such thing
COMMAND = _GIVEN or [sys.executable, str(_EXAMPLE)]
PRESENT = bool(_GIVEN) or _EXAMPLE.exists()
LONGEST = 60  # seconds; a call that takes longer hangs


class Starter:
    """
    Makes calls. One process each, which costs a start of the interpreter only where ``TRUSTREG_FULL`` is set.

    Any other command than a Python script is always started anew.
    """

    def __init__(self, directory: Path) -> None:
        self._output = directory / "output"
        self._process: subprocess.Popen[str] | None = None
        if COMMAND[0] == sys.executable and len(COMMAND) == 2 and not os.environ.get("TRUSTREG_FULL"):
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("starter.py")), COMMAND[1]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def run(self, arguments: Sequence[str], home: Path) -> tuple[int, str]:
        """Make a call in this directory; give its exit code, negative for a signal, and what it printed."""
        if self._process is None:
            with spawn(arguments, home) as process:
                timer = threading.Timer(LONGEST, process.kill)
                timer.start()
                output, _ = process.communicate()
                timer.cancel()
            return process.returncode, output
        code = self._order(self._process, arguments, home, str(self._output))
        return code, self._output.read_text(errors="backslashreplace")

    def warm_up(self, arguments: Sequence[str], home: Path) -> None:
        """Let later calls find in memory what this one takes."""
        if self._process is not None:
            self._order(self._process, arguments, home, "")

    def _order(self, process: subprocess.Popen[str], arguments: Sequence[str], home: Path, output: str) -> int:
        assert process.stdin
        assert process.stdout
        order = {"argv": list(arguments), "cwd": str(home), "output": output, "seconds": LONGEST}
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def end(self) -> None:
        """Make no more calls."""
        if self._process:
            self._process.communicate()


def spawn(arguments: Sequence[str], home: Path) -> subprocess.Popen[str]:
    """Start a call in this directory and do not wait for it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        cwd=home,
    )


class Client:
    """
    A user's client: ``init``, ``refresh`` and ``download`` give the exit code.

    A call that ends with a Python traceback, with a code other than 0 and 1, or not at all, fails the test.

    Args:
        server: Where the repository is served.
        home: A directory for its directories; also what it must not write to.
        prepared: Where directories that several stories begin with are kept, for ``start`` and ``settle``.
        starter: What makes the calls.
    """

    def __init__(self, server: Server, home: Path, prepared: Path, starter: Starter) -> None:
        self._server, self._prepared, self._starter = server, prepared, starter
        self.home = home
        self.metadata_dir = home / "metadata"
        self.target_dir = home / "targets"
        self.metadata_url = f"{server.url}metadata/"
        self.target_base_url = f"{server.url}targets/"
        self.output = ""
        self.seconds = 0.0
        for directory in (self.metadata_dir, self.target_dir):
            directory.mkdir(parents=True)

    def init(self, root: bytes) -> int:
        """Trust this root."""
        given = self.home / "given-root"
        given.write_bytes(root)
        code = self.run("--metadata-dir", str(self.metadata_dir), "init", str(given))
        given.unlink()
        return code

    def refresh(self) -> int:
        """Bring the top-level roles up to date."""
        return self.run(*self.refreshing())

    def download(self, *names: str) -> int:
        """Refresh, then fetch these in order."""
        return self.run(*self.downloading(*names))

    def start(self) -> None:
        """Trust the repository's first root, as ``init`` does; costs no process when that was done before."""
        root = self._repository_files()["metadata/1.root.json"]
        if not self._copied(name := hashlib.sha256(root).hexdigest()):
            assert self.init(root) == 0, self.output
            self._keep(name)

    def settle(self, *names: str) -> None:
        """
        Be a client that was up to date a moment ago, and has downloaded these.

        The requests for it are forgotten. Costs no process when another story began the same way.
        """
        files = self._repository_files()
        story = hashlib.sha256(repr((sorted(files.items()), names)).encode()).hexdigest()
        if not self._copied(story):
            self.start()
            assert (self.download(*names) if names else self.refresh()) == 0, self.output
            self._keep(story)
        self._server.forget()

    def refreshing(self) -> Sequence[str]:
        """The arguments of ``refresh``."""
        return ("--metadata-url", self.metadata_url, "--metadata-dir", str(self.metadata_dir), "refresh")

    def downloading(self, *names: str) -> Sequence[str]:
        """The arguments of ``download``."""
        return (
            *("--metadata-url", self.metadata_url, "--metadata-dir", str(self.metadata_dir)),
            *(argument for name in names for argument in ("--target-name", name)),
            *("--target-base-url", self.target_base_url, "--target-dir", str(self.target_dir)),
            "download",
        )

    def spawn(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Start a call and do not wait for it."""
        return spawn(arguments, self.home)

    def run(self, *arguments: str) -> int:
        """Make a call; ``output`` is what it printed and ``seconds`` how long it took."""
        began = time.monotonic()
        code, self.output = self._starter.run(arguments, self.home)
        self.seconds = time.monotonic() - began
        return self.judged(code, self.output)

    def judged(self, code: int, output: str) -> int:
        """Take the code of a call, unless it crashed."""
        print(output, end="")  # pytest shows it where the test fails
        assert "Traceback (most recent call last)" not in output, output
        assert code in {0, 1}, f"exit code {code}: {output}"
        return code

    @property
    def trusted(self) -> dict[str, bytes]:
        """The top-level metadata that it holds, by role."""
        files = {role: self.metadata_dir / f"{role}.json" for role in TOP_LEVEL}
        return {role: file.read_bytes() for role, file in files.items() if file.exists()}

    @property
    def versions(self) -> dict[str, int]:
        """The versions of the top-level metadata that it holds."""
        return {role: json.loads(content)["signed"]["version"] for role, content in self.trusted.items()}

    @property
    def json_files(self) -> list[bytes]:
        """The bytes of every ``.json`` file directly in its metadata directory, sorted."""
        return sorted(file.read_bytes() for file in self.metadata_dir.glob("*.json"))

    @property
    def downloaded(self) -> dict[str, bytes]:
        """What is in its target directory, by the path there; but not what a client put aside to go on from."""
        found = (file for file in self.target_dir.rglob("*") if file.is_file() and file.suffix != ".part")
        return {file.relative_to(self.target_dir).as_posix(): file.read_bytes() for file in found}

    @property
    def surroundings(self) -> set[str]:
        """What there is outside of its two directories, up to its home's parent."""
        outside = (file for file in self.home.parent.rglob("*"))
        mine = (self.metadata_dir, self.target_dir)
        return {str(file) for file in outside if not any(file == own or own in file.parents for own in mine)}

    def write(self, role: str, content: bytes) -> None:
        """Overwrite a file of its metadata directory behind its back."""
        (self.metadata_dir / f"{role}.json").write_bytes(content)

    def _repository_files(self) -> dict[str, bytes]:
        assert self._server.repository is not None
        return self._server.repository.files

    def _copied(self, name: str) -> bool:
        kept = self._prepared / name
        if not kept.exists():
            return False
        for directory in (self.metadata_dir, self.target_dir):
            shutil.copytree(kept / directory.name, directory, symlinks=True, dirs_exist_ok=True)
        return True

    def _keep(self, name: str) -> None:
        for directory in (self.metadata_dir, self.target_dir):
            shutil.copytree(directory, self._prepared / name / directory.name, symlinks=True)
