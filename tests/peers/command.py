"""Run a peer's command-line tool to its end, and say everything when it fails."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished command said. ``returncode`` is negative for a signal, as in :mod:`subprocess`."""

    argv: tuple[str, ...]
    returncode: int
    out: bytes
    err: bytes

    @property
    def stdout(self) -> str:
        """Standard output as text; bytes that are not UTF-8 show as escapes."""
        return self.out.decode(errors="backslashreplace")

    @property
    def stderr(self) -> str:
        """Standard error as text; bytes that are not UTF-8 show as escapes."""
        return self.err.decode(errors="backslashreplace")

    def said(self, text: str) -> bool:
        """Tell whether *text* was printed, on either stream: the Go tools complain on both."""
        return text in self.stdout or text in self.stderr

    def __str__(self) -> str:
        return (
            f"$ {shlex.join(self.argv)}\nexit {self.returncode}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


class CommandError(AssertionError):
    """A command exited non-zero where the test expected it to work. An assertion, so pytest shows it as a failure."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: bytes = b"",
    cwd: Path | None = None,
    check: bool = True,
    timeout: float = 60,
) -> Result:
    """
    Run *argv* to its end in exactly *env*; never with a terminal.

    Raises:
        CommandError: The exit code is not 0 and *check* was not turned off.
        subprocess.TimeoutExpired: It took longer than *timeout* seconds; it was killed.
    """
    words = tuple(map(str, argv))
    done = subprocess.run(words, env=dict(env), input=stdin, capture_output=True, cwd=cwd, timeout=timeout, check=False)
    result = Result(words, done.returncode, done.stdout, done.stderr)
    if check and result.returncode:
        raise CommandError(result)
    return result


def clean_env(**extra: str) -> dict[str, str]:
    """
    Make an environment for a child from nothing but what it takes to find programs, plus *extra*.

    A developer's proxies, registries, passphrases and Docker settings stay outside.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
    return kept | {"LANG": "C.UTF-8"} | extra


def missing(*programs: str) -> list[str]:
    """Name those of *programs* that are not on the path."""
    return [program for program in programs if shutil.which(program) is None]


def require(*programs: str) -> None:
    """
    Skip the running test where a peer is not installed; on CI, where all must be, fail it.

    ``CI=true`` is how CI says that it is CI; ``scripts/test`` installs the peers.
    """
    if absent := missing(*programs):
        give_up(f"not installed: {', '.join(absent)} (scripts/test installs it on Debian)")


def give_up(reason: str) -> None:
    """Skip the running test for *reason*, or fail it when ``CI`` is set: CI may not lose a test unnoticed."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
