"""Run a page from top to bottom, and tell where it is wrong."""

from __future__ import annotations

import configparser
import contextlib
import json
import time
import tomllib
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import TYPE_CHECKING, Any

from click import ClickException
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.docs.machine import NAMES, machine
from tests.docs.matching import Translation
from trustreg.cli.commands import cli
from trustreg.errors import TrustregError
from trustreg.io import yaml
from trustreg.io.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.docs.machine import Machine, Outcome
    from tests.docs.pages import Block, Command, Page

SCHEMAS = Path(trustreg.__file__).parent / "schemas"


class PageError(AssertionError):
    """A page shows what is not so. An assertion, so that pytest shows it as a failure."""

    def __init__(self, page: Page, block: Block, problem: str) -> None:
        super().__init__(f"{page.name}:{block.line}: {problem}")


def run_page(page: Page, folder: Path, hear: Callable[[Command, Sequence[str]], None] | None = None) -> None:
    """
    Run every block of *page*, at a machine in *folder*.

    Args:
        page: It.
        folder: An empty one.
        hear: Takes each command of a transcript with the lines that it should say; then none of them is wrong.

    Raises:
        PageError: A command says something else than is shown, or ends otherwise; a block is not what it has to be.
    """
    with contextlib.ExitStack() as held:
        reader = None
        for number, block in enumerate(page.blocks):
            if block.language == "machine" or reader is None:
                held.close()
                needs = block.text.split() if block.language == "machine" else []
                rest = page.text.split("\n", block.line)[-1]
                names = [name for name in NAMES if name in rest.split("<!-- test: ")[0]]
                reader = _Reader(page, held.enter_context(machine(folder / str(number), needs, names)), hear)
            if block.language != "machine":
                reader.read(block)


class _Reader:
    def __init__(self, page: Page, at: Machine, hear: Callable[[Command, Sequence[str]], None] | None) -> None:
        self._page, self._machine, self._translation, self._hear = page, at, Translation(), hear

    def read(self, block: Block) -> None:
        """Do what the language of *block* says."""
        if name := block.info.get("file"):
            self._machine.write(name.removeprefix("~/"), self._translation.command(block.text))
        try:
            getattr(self, f"_{block.language}")(block)
        except (ValueError, SyntaxError, ValidationError, TrustregError, ClickException, CalledProcessError) as exc:
            raise PageError(self._page, block, str(exc)) from exc

    def _console(self, block: Block) -> None:
        commands = list(block.commands())
        for command, following in zip(commands, [*commands[1:], None], strict=True):
            outcome = self._run(command)
            right = self._translation.matches(command.says, outcome.lines)
            if self._hear:
                self._hear(command, command.says if right else tuple(map(self._translation.shown, outcome.lines)))
                continue
            if not right:
                shown, said = "\n".join(command.says), "\n".join(outcome.lines)
                raise PageError(self._page, block, f"$ {command.text}\n--- shown\n{shown}\n--- said\n{said}")
            if outcome.code and (following is None or following.text != "echo $?"):
                said = "\n".join(outcome.lines)
                raise PageError(
                    self._page, block, f"$ {command.text}\nexit code {outcome.code}, and no word of it\n{said}"
                )

    def _hidden(self, block: Block) -> None:
        for command in block.commands():
            outcome = self._run(command)
            if outcome.code:
                said = "\n".join(outcome.lines)
                raise PageError(self._page, block, f"$ {command.text}\nexit code {outcome.code}\n{said}")

    def _run(self, command: Command) -> Outcome:
        outcome = self._machine.run(self._translation.command(command.text))
        lines, deadline = list(outcome.lines), time.monotonic() + _PATIENCE
        while command.text.endswith("&") and time.monotonic() < deadline:
            if self._translation.matches(command.says, lines):
                break
            lines += self._machine.more()
        return type(outcome)(tuple(lines), outcome.code)

    def _python(self, block: Block) -> None:
        compile(block.text, self._page.name, "exec")
        if "file" not in block.info:
            self._machine.write("block.py", self._translation.command(block.text))
            outcome = self._machine.run("python block.py")
            if outcome.code:
                raise PageError(self._page, block, "\n".join(outcome.lines))

    def _toml(self, block: Block) -> None:
        _schema("config").validate(tomllib.loads(block.text))
        path = self._machine.home / "block.toml"
        path.write_text(block.text)
        load({}, {}, str(path))

    def _json(self, block: Block) -> None:
        document = json.loads(block.text)
        if name := block.info.get("schema"):
            _schema(name).validate(document)

    def _yaml(self, block: Block) -> None:
        yaml.read(block.text.encode(), self._page.name)

    def _sh(self, block: Block) -> None:
        run(["sh", "-n"], input=block.text, text=True, check=True)

    def _ini(self, block: Block) -> None:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.read_string(block.text)
        program, *words = unit["Service"]["ExecStart"].split()
        if not program.endswith("/bin/trustreg"):
            raise PageError(self._page, block, f"{program} is none of ours")
        context = cli.make_context("trustreg", words)
        command = cli.get_command(context, words[0])
        assert command
        command.make_context(words[0], words[1:], parent=context)

    def _text(self, _block: Block) -> None:
        """Leave it as it is."""


def _schema(name: str) -> Any:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


_PATIENCE = 60.0  # seconds for a server to say that it listens
