"""
The pages, and what can be run on them.

A page is Markdown. Its fenced blocks say by their language what becomes of them:

* ``console``: a transcript, run from top to bottom; what follows ``$`` is a command, ``>`` goes on with it.
* ``python``: a program that is run.
* ``toml``: a configuration file, which is loaded.
* ``json``: has to parse, and with ``schema=NAME`` to fit that schema of ours.
* ``yaml``: has to be YAML as policies are.
* ``sh``: a script that is checked for its syntax.
* ``ini``: a systemd unit.
* ``text``: anything else.

``file=NAME`` after the language saves a block for the commands that follow. A comment ``<!-- test: WORDS -->``
begins with a new machine that has what it names: ``registry``, ``trust-server``, programs, or ``nothing``. A
comment that begins with ``<!-- test`` and goes on with ``$`` lines prepares what a reader has anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
LANGUAGES = ("console", "python", "toml", "json", "yaml", "sh", "ini", "text")
COMMENTS = ("hidden", "machine")


@dataclass(frozen=True)
class Command:
    """A command of a transcript, and the lines that it is said to print."""

    text: str
    says: tuple[str, ...] = ()

    def spelled(self, says: Sequence[str] | None = None) -> str:
        """Give it as a transcript has it, saying what it does or *says*."""
        first, *more = self.text.split("\n")
        lines = (f"$ {first}", *(f"> {line}" for line in more), *(self.says if says is None else says))
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Block:
    """A fenced block; or what a comment says, with the language ``hidden`` or ``machine``."""

    language: str
    text: str
    line: int
    info: Mapping[str, str] = field(default_factory=dict)

    def commands(self) -> Iterator[Command]:
        """Give the commands of a transcript."""
        command: list[str] = []
        says: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                if command:
                    yield Command("\n".join(command), tuple(says))
                command, says = [line[2:]], []
            elif line.startswith("> ") and command and not says:
                command.append(line[2:])
            elif command:
                says.append(line)
            else:
                raise ValueError(f"a transcript has to begin with a command, not {line!r}")
        if command:
            yield Command("\n".join(command), tuple(says))


@dataclass(frozen=True)
class Page:
    """A page: ``name`` is its path in the checkout."""

    name: str
    text: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What stands between fences, and in comments for the test, in their order."""
        return tuple(_blocks(self.text))

    @property
    def prose(self) -> str:
        """The text without comments, fenced blocks and code."""
        return re.sub(r"<!--.*?-->|^ *```.*?^ *```$|`[^`\n]+`", "", self.text, flags=re.DOTALL | re.MULTILINE)

    @property
    def anchors(self) -> frozenset[str]:
        """The names of its headings, as links have them after ``#``."""
        text = re.sub(r"^ *```.*?^ *```$", "", self.text, flags=re.DOTALL | re.MULTILINE)
        return frozenset(anchor(title) for title in re.findall(r"^#+ +(.*)$", text, re.MULTILINE))


def anchor(title: str) -> str:
    """Give what a link to a heading has after ``#``: as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def pages() -> list[Page]:
    """Read every page of the project that is written for people."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "changes" / "README.md"]
    return [Page(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in sorted(paths)]


def _blocks(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        comment = next((name for name in COMMENTS if found[name] is not None), None)
        if comment:
            yield Block(comment, found[comment], line)
            continue
        language, *words = found["info"].split() or [""]
        info = dict(word.split("=", 1) for word in words)
        indent = len(found["indent"])
        yield Block(language, "".join(row[indent:] for row in found["text"].splitlines(keepends=True)), line, info)


_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$|^<!-- test\n(?P<hidden>.*?)^-->$"
    r"|^<!-- test: (?P<machine>.*?) -->$",
    re.DOTALL | re.MULTILINE,
)
