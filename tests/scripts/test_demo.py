"""The demonstration works from its first command to its last, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bootstrap import ROOT
from scripts.demo import DemoError, demonstrate, main
from tests.peers.command import clean_env, give_up, missing, run
from tests.peers.process import accepts

DEMO = "import sys; from scripts import demo; demo.bootstrap = lambda mode: sys.executable; sys.exit(demo.main({!r}))"


def argv(*options: str) -> list[str]:
    """Give the words that run the demonstration in this environment, without making one."""
    return [sys.executable, "-c", DEMO.format(list(options))]


def environment(temporary: Path) -> dict[str, str]:
    """Give an environment in which temporary folders are made in *temporary*."""
    return clean_env(HOME=str(temporary), TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demonstration makes its folder."""
    place = tmp_path / "tmp"
    place.mkdir()
    return place


@pytest.mark.parametrize("options", [(), ("--mini",)], ids=["docker-registry", "mini"])
def test_it_shows_the_main_job(temporary: Path, options: tuple[str, ...]) -> None:
    """
    With either registry: signed, verified, refused after the move, refused unsigned; nothing stays.
    """
    if not options and missing("docker-registry"):
        give_up("not installed: docker-registry")

    done = run(argv(*options), env=environment(temporary), cwd=ROOT)
    said = done.stdout

    assert "" == done.stderr
    assert ["init", "sign", "verify", "verify", "verify", "verify"] == re.findall(
        r"^\$ .*\btrustreg (\w+) local", said, re.MULTILINE
    )
    assert 2 == said.count("$ echo $?\n1\n")
    assert "but the registry serves" in said
    assert "demo/app:2.0 is not signed" in said
    assert said.endswith("Everything went as it should.\n")
    assert ("docker-registry" in said) != ("mini_registry" in said)
    assert "\x1b" not in said
    assert [] == list(temporary.iterdir())


def test_a_terminal_gets_colours(temporary: Path) -> None:
    """
    And NO_COLOR takes them away.
    """
    assert b"\x1b[" in on_a_terminal(environment(temporary))
    assert b"\x1b[" not in on_a_terminal({**environment(temporary), "NO_COLOR": "1"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_cleans_up_when_it_is_told_to_end(temporary: Path, number: signal.Signals) -> None:
    """
    Its servers end with it, and its folder goes.
    """
    demo = subprocess.Popen(argv("--mini"), env=environment(temporary), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert demo.stdout
    with demo.stdout:
        said = "".join(iter(demo.stdout.readline, "3. Sign it\n"))
        demo.send_signal(number)
        demo.stdout.read()
    servers = [int(port) for port in re.findall(r"(?:--port |--listen 127\.0\.0\.1:)(\d+) &", said)]

    assert 128 + number == demo.wait(20)
    assert [] == list(temporary.iterdir())
    assert 2 == len(servers)
    assert [] == [port for port in servers if accepts(port)]


@pytest.mark.parametrize(
    "fault",
    ["exit 0", "exit 3", '{python} -m trustreg "$@"; exit 0'],
    ids=["silent", "failing", "gullible"],
)
def test_it_fails_where_trustreg_does(tmp_path: Path, fault: str) -> None:
    """
    No command is taken to have worked because the demonstration got past it.
    """
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nif [ "$2" = trustreg ] && [ "$3" != serve ]; then shift 2\n'
        f'{fault.format(python=sys.executable)}\nfi\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)

    with pytest.raises(DemoError, match="this should have"):
        demonstrate(python, mini=True)


def test_it_says_why_it_cannot_begin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a server that starts there is nothing to show: exit 1 and what the server said.
    """
    monkeypatch.setattr("scripts.demo.bootstrap", lambda _: Path("/bin/false"))

    assert 1 == main(["--mini"])
    assert "this does not listen on port" in capsys.readouterr().err


def test_the_command_itself(temporary: Path) -> None:
    """
    ``scripts/demo``, where the environment is the one that ``scripts/test`` made.
    """
    if not (Path(sys.prefix) / "trustreg-bootstrap.json").exists():
        give_up("this environment was not made by scripts/bootstrap.py")

    done = run([ROOT / "scripts" / "demo"], env={**environment(temporary), "TRUSTREG_VENV": sys.prefix}, cwd=Path("/"))

    assert done.stdout.endswith("Everything went as it should.\n")


def on_a_terminal(env: dict[str, str]) -> bytes:
    """Run the demonstration on a terminal, and give what it showed."""
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(argv("--mini"), env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert 0 == demo.wait(20)
    return shown
