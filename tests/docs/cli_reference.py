"""
Write the reference of the command line from the commands themselves: ``python -m tests.docs.cli_reference``.

A test compares the page with what this writes.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

import click

from tests.docs.pages import ROOT
from trustreg.cli.commands import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference" / "cli.md"


def reference() -> str:
    """Give the page."""
    found = list(commands())
    seen = Counter(_row(option) for _, command in found for option in _options(command))
    shared = [row for row, count in seen.items() if count >= _OFTEN]
    parts = [_HEAD, *(_section(name, command, shared) for name, command in found), _COMMON, _table(shared)]
    return "\n\n".join(parts) + "\n"


def commands(group: click.Group = cli, name: str = "trustreg") -> Iterator[tuple[str, click.Command]]:
    """Give every command with its full name; groups too, before their own."""
    context = click.Context(group, info_name=name, help_option_names=["-h", "--help"])
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command
        yield f"{name} {word}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")


def _section(name: str, command: click.Command, shared: list[_Row]) -> str:
    context = click.Context(command, info_name=name, help_option_names=["-h", "--help"])
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", *([] if isinstance(command, click.Group) else [f"`{usage}`"]), *_text(command)]
    rows = [_row(option) for option in _options(command)]
    if own := [row for row in rows if row not in shared]:
        parts.append(_table(own))
    if common := [names for names, _ in rows if (names, _) in shared]:
        parts.append(f"[Common options](#common-options): {', '.join(common)}.")
    return "\n\n".join(parts)


def _text(command: click.Command) -> Iterator[str]:
    """Give the help, paragraph by paragraph; examples become a block of their own."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = paragraph.removeprefix("\b\n").splitlines()
        if lines[0] in {"Example:", "Examples:"}:
            yield f"```sh\n{inspect.cleandoc(chr(10).join(['', *lines[1:]]))}\n```"
        else:
            yield textwrap.fill(_escaped(" ".join(lines)), 120, break_long_words=False, break_on_hyphens=False)


def _options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def _row(option: click.Option) -> _Row:
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('')))}"
    names = f"`{', '.join([*option.opts, *option.secondary_opts])}{value}`"
    help_ = _escaped(option.help or "")
    if option.envvar:
        help_ += f" Variable `{option.envvar}`."
    if option.required:
        help_ += " Required."
    elif option.show_default and isinstance(option.default, str | int):
        help_ += f" Default: `{option.default}`."
    return names, help_


def _table(rows: list[_Row]) -> str:
    return "\n".join(
        ["| option | |", "|---|---|", *(f"| {names.replace('|', _BAR)} | {help_} |" for names, help_ in rows)]
    )


def _escaped(text: str) -> str:
    return re.sub(r"([<>*|])", r"\\\1", text)


_Row = tuple[str, str]
_OFTEN = 4  # commands: what so many take is explained once
_BAR = "\\|"
_HEAD = """# Commands

What `trustreg COMMAND --help` says, all on one page. [Exit codes](exit-codes.md) are the same for all commands; what
`--format json` prints is on [a page of its own](json.md); an option wins over
[the environment](environment.md), and that over [the configuration file](configuration.md)."""
_COMMON = "## Common options"

if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
