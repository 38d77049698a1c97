"""The table of what to type instead of notary and docker trust has all that they offer, and nothing that we lack."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import click
import pytest

from tests.docs.pages import ROOT
from tests.peers import require
from tests.peers.command import clean_env, run
from tests.peers.docker import require_docker_trust
from trustreg.cli.commands import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference" / "notary-and-docker.md"
SPAN = re.compile(r"`([^`]*)`")


@cache
def rows() -> dict[str, tuple[tuple[str, ...], str, str]]:
    """Return the rows of the page: by command and option the short names of the option, what to type, and remarks."""
    found: dict[str, tuple[tuple[str, ...], str, str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith(("| `notary", "| `docker")):
            what, instead, remark = (cell.strip() for cell in line.strip("|").split("|"))
            name, *short = SPAN.findall(what)
            assert name not in found, f"{name} is there twice"
            found[name] = tuple(short), instead, remark
    return found


def offered(words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give what ``--help`` offers below *words*: each command, and each option with its short name."""
    text = run([*words, "--help"], env=clean_env(), check=False).stdout
    options = text.partition("\nGlobal Flags:")[0]
    for short, name in re.findall(r"^ +(?:-(\w), |    )--([\w-]+)\b", options, re.MULTILINE):
        if name != "help" or len(words) == 1:
            yield f"{' '.join(words)} --{name}", (f"-{short}",) * bool(short)
    commands = re.findall(r"^(?:[A-Z]\w* )*Commands:\n((?: .*\n)+)", text, re.MULTILINE)
    for command in re.findall(r"^  (\w+) ", "".join(commands), re.MULTILINE):
        yield " ".join((*words, command)), ()
        yield from offered((*words, command))


@pytest.mark.parametrize("tool", ["notary", "docker trust"])
def test_all_that_they_offer_is_in_the_table(tool: str) -> None:
    """
    Every command and every option, by its long name and its short one; and nothing that they do not offer.
    """
    if tool == "notary":
        require("notary")
    else:
        require_docker_trust()
    real = dict(offered(tuple(tool.split())))
    listed = {name: short for name, (short, _, _) in rows().items() if name.startswith(tool)}

    assert len(real) > {"notary": 80, "docker trust": 15}[tool]
    assert listed == real


def test_what_the_table_names_is_there() -> None:
    """
    Each command of ours, with each option that is named with it; and where there is none, the table says why.
    """
    reason = ""
    for name, (_, instead, remark) in rows().items():
        assert instead or remark or reason, f"{name}: no reason is given"
        reason = remark if not instead else ""
        for words in [*SPAN.findall(instead), *(span for span in SPAN.findall(remark) if span.startswith("trustreg "))]:
            assert words.split()[0] == "trustreg", f"{name}: {words} is none of ours"
            require_ours(name, words.partition(" && ")[0].split()[1:])


def require_ours(name: str, words: list[str]) -> None:
    """Require *words* to be a command of ours, and options that it has."""
    command: click.Command = cli
    context = click.Context(cli, **cli.context_settings)
    for word in words:
        if word.startswith("-"):
            known = {option for parameter in command.get_params(context) for option in parameter.opts}
            assert word in known, f"{name}: {command.name} has no {word}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found, f"{name}: there is no {word}"
            command = found
    assert command.name
