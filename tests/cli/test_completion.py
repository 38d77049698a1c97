"""Shell completion: the script for each shell, and what the program answers to it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.peers.command import clean_env, run
from trustreg.cli.entry import run as run_here

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str) -> None:
    """
    The script is for the program's own name, and has no syntax error where the shell is here to say so.
    """
    code = run_here(["completion", shell])
    said = capsys.readouterr()

    assert (code, said.err) == (0, "")
    assert "_TRUSTREG_COMPLETE=" in said.out
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(said.out)
        subprocess.run([shell, "-n", script], check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("trustreg ver", ["verify"]),
        ("trustreg key ge", ["generate"]),
        ("trustreg verify --no-f", ["--no-first-use"]),
        ("trustreg list --format ", ["text", "json"]),
        ("trustreg verify ", []),
    ],
)
def test_what_is_offered(typed: str, offered: list[str]) -> None:
    """
    Commands, options and choices are offered, and nothing is said on standard error, which would garble the line.
    """
    words = typed.split(" ")
    env = clean_env(_TRUSTREG_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))

    result = run([sys.executable, "-m", "trustreg"], env=env)

    found = [line.partition(",")[2] for line in result.stdout.splitlines()]
    assert [text for text in found if text] == offered
    assert result.stderr == ""


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Another shell is a wrong argument, and the right ones are named.
    """
    code = run_here(["completion", "cmd"])
    said = capsys.readouterr()

    assert (code, said.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in said.err
