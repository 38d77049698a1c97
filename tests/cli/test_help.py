"""Help says what there is to know: each command has an example that it accepts, and each option a meaning."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest

from trustreg._version import __version__
from trustreg.cli.commands import cli
from trustreg.cli.entry import run

if TYPE_CHECKING:
    from collections.abc import Iterator


def every(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give each command with the words that lead to it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name="x")
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every(found, (*path, name))


COMMANDS = list(every())
LEAVES = [(path, command) for path, command in COMMANDS if not isinstance(command, click.Group)]


def ids(found: list[tuple[tuple[str, ...], click.Command]]) -> list[str]:
    """Name the commands of *found*."""
    return [" ".join(path) or "trustreg" for path, _ in found]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=ids(COMMANDS))
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(capsys: pytest.CaptureFixture[str], path: tuple[str, ...], command: click.Command, option: str) -> None:
    """
    Help goes to stdout, names the command as it is typed and every option, and says something of each.
    """
    code = run([*path, option])
    said = capsys.readouterr()

    assert (code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: {' '.join(('trustreg', *path))} ")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(name in said.out for name in parameter.opts)
            assert parameter.help, parameter.name
            assert parameter.help.rstrip().endswith("."), parameter.name
    if path:  # as it stands in the list of commands
        assert len(command.get_short_help_str(60)) > 10
        assert not command.get_short_help_str(60).endswith("...")


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=ids(LEAVES))
def test_the_examples_are_accepted(path: tuple[str, ...], command: click.Command) -> None:
    """
    Each command shows at least one example, and takes the arguments and options that it shows.
    """
    shown = list(examples(command))

    assert shown
    for words in shown:
        assert words[: len(path) + 1] == ["trustreg", *path], words
        command.make_context("x", words[len(path) + 1 :], resilient_parsing=False)


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=ids(LEAVES))
def test_options_are_called_alike(path: tuple[str, ...], command: click.Command) -> None:
    """
    What several commands can do, they can do by the same option.
    """
    options = {name for parameter in command.params for name in parameter.opts}
    unset = {("serve",), ("completion",), ("policy", "lint"), ("policy", "import")}  # no setting matters to them
    settled = {"--config", "--trust-dir"} if path not in unset else set()
    reading = {"--server", "--ca", "--verbose", "--pin", "--no-first-use", "--format"}
    if path[0] in {"verify", "list", "inspect", "fetch", "status", "lint", "inventory"} or path == ("role", "show"):
        settled |= reading | {"--role", "--offline-grace"}
    elif path[0] in {"init", "sign", "publish", "remove", "add", "renew", "prune", "role"}:
        settled |= reading | {"--passphrase-file"}

    assert settled <= options


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The version is one line for people and scripts.
    """
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"trustreg {__version__}\n"


def examples(command: click.Command) -> Iterator[list[str]]:
    """Give the words of each example in the help of *command*, up to a redirection."""
    lines = (command.help or "").replace("\\\n", " ").splitlines()
    begin = next((number for number, line in enumerate(lines) if line.strip() in {"Example:", "Examples:"}), len(lines))
    for line in lines[begin + 1 :]:
        if not line.strip():
            break
        text = re.split(r" [<>|] ", line)[0]
        text = text.partition('"$(')[2].rpartition(')"')[0] or text
        words = shlex.split(text.replace("sha256:...", f"sha256:{'0' * 64}"))
        yield words[words.index("trustreg") :]
