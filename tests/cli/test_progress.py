"""Who waits at a terminal sees what for, and can read everything else that is said meanwhile."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from trustreg.cli import progress

SCRIPT = """
import time
from trustreg.cli.progress import progress
from trustreg.cli.options import make_wiring
from trustreg.errors import PassphraseError
from trustreg.cli.render import say

wiring = make_wiring({}, verbose=True)
def attempt(passphrase):
    if passphrase != "right":
        raise PassphraseError("k", "wrong")

with progress("working hard"):
    time.sleep(%s)
    wiring.passphrases().unlock("k", "root", None, attempt)
    time.sleep(1.3)
    say("a line that stays", err=True)
    time.sleep(0.3)
print("done")
"""


class Screen:
    """A script on a terminal, and all that it has shown."""

    def __init__(self, script: str) -> None:
        self._ours, theirs = pty.openpty()
        env = {**os.environ, "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        self.text = ""

    def until(self, words: str, patience: float = 20) -> str:
        """Give what has been shown up to *words*, or for *patience* if they do not come."""
        deadline = time.monotonic() + patience
        while words not in self.text and (left := deadline - time.monotonic()) > 0:
            if select.select([self._ours], [], [], left)[0]:
                try:
                    self.text += os.read(self._ours, 65_536).decode()
                except OSError:  # the other side is closed
                    break
        before, _, self.text = self.text.partition(words)
        return before

    def type(self, words: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{words}\n".encode())

    def close(self) -> int:
        """Wait for the end."""
        self.until("\0", 10)
        os.close(self._ours)
        return self.process.wait(10)


@pytest.mark.parametrize("before", [0, 1.3], ids=["before it is shown", "after"])
def test_a_question_stands_on_a_quiet_screen(before: float) -> None:
    """
    Nothing moves while a passphrase is typed, whether progress had begun or would have by then.
    """
    screen = Screen(SCRIPT % before)

    shown = screen.until("Passphrase of the root key k: ")
    time.sleep(1.3)
    screen.type("wrong")
    between = screen.until("Wrong. Passphrase of the root key k: ")
    screen.type("right")
    after = screen.until("done")

    assert ("working hard" in shown) == bool(before)
    assert "working hard" not in between or between.endswith("\x1b[2K")  # cleared before the next question
    assert "working hard" in after
    line, rest = after.split("a line that stays\r\n")
    assert line.endswith("\x1b[2K")  # its line was cleared first
    assert "working hard" in rest
    assert screen.close() == 0


def test_a_transfer_has_a_bar() -> None:
    """
    With how much of it is there, and it makes way for lines that stay; nothing in its name is taken for markup.
    """
    screen = Screen("""
import time
from trustreg.cli.progress import transfer
from trustreg.cli.render import say

with transfer("[red]docs/manual.pdf") as tell:
    tell(1_000_000, 4_000_000)
    time.sleep(1.3)
    say("a line that stays", err=True)
    tell(3_000_000, 4_000_000)
    time.sleep(0.5)
print("done")
""")

    before = screen.until("a line that stays")
    after = screen.until("done")

    assert "[red]docs/manual.pdf" in before
    assert "1.0/4.0 MB" in before
    assert "3.0/4.0 MB" in after
    assert screen.close() == 0


def test_what_is_counted_has_a_bar_without_bytes() -> None:
    """
    How many of how many, from whichever thread says so.
    """
    bar = progress._Bar("tags", counts=True)
    bar.tell(3, 7)
    shown = bar.restarted()
    bar.tell(4, 7)

    (task,) = shown.tasks
    assert [column.render(task).plain for column in shown.columns if hasattr(column, "separator")] == ["4/7"]


def test_nothing_is_shown_where_nobody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A log is no terminal.
    """
    monkeypatch.setattr(progress, "_PATIENCE", 0)

    with progress.progress("working"), progress.transfer("a file") as tell, progress.counted("tags") as count:
        tell(1, 2)
        count(1, 2)
        time.sleep(0.05)

    assert capsys.readouterr() == ("", "")


def test_those_who_want_silence_are_counted() -> None:
    """
    Two at once get it until both have done.
    """
    said: list[str] = []

    class Spinner:
        def __init__(self, what: str) -> None:
            self.what = what

        def start(self) -> None:
            said.append(f"+{self.what}")

        def stop(self) -> None:
            said.append(f"-{self.what}")

    line = progress._Line()
    line.hush(1)
    line.show(lambda: Spinner("a"))
    line.hush(1)
    line.hush(-1)
    assert said == []
    line.hush(-1)
    line.hush(1)
    line.show(lambda: Spinner("b"))
    line.hush(-1)
    line.show(None)

    assert said == ["+a", "-a", "+b", "-b"]
