"""How results look to people."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.world import GUN, IMAGE, NOW, World
from trustreg.cli.changes import say_change
from trustreg.cli.commands import cli
from trustreg.cli.entry import run
from trustreg.cli.render import (
    print_contents,
    print_inspection,
    print_json,
    print_verdict,
    say,
    spell_contents,
)
from trustreg.names import Reference
from trustreg.sign.changes import RemoveTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.client import Contents
    from trustreg.names import Digest


@pytest.fixture
def world() -> World:
    world = World()
    world.init()
    return world


@pytest.fixture
def signed(world: World) -> Digest:
    return world.sign()


@pytest.mark.parametrize(
    ("image", "compare", "unasked"),
    [
        ("{gun}:1.0", True, False),
        ("{gun}:1.0", False, True),
        ("{gun}@{digest}", True, False),
        ("{gun}:1.0@{digest}", True, False),
    ],
)
def test_that_the_registry_was_not_asked_is_said_where_that_matters(
    world: World, signed: Digest, capsys: pytest.CaptureFixture[str], image: str, compare: bool, unasked: bool
) -> None:
    """
    A digest names bytes that cannot move: there is nothing to ask the registry.
    """
    reference = Reference.parse(image.format(gun=GUN, digest=signed))

    print_verdict(world.verifier().judge(reference, NOW, compare=compare))

    assert unasked == ("registry not asked" in capsys.readouterr().out)


def test_an_inspection_names_the_root_key_to_pin(
    world: World, signed: Digest, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    In full: that is what publishers hand to those who verify.
    """
    (root,) = world.verifier().verify(IMAGE, NOW).root_keyids

    print_inspection(world.verifier().contents(GUN, NOW), "1.0")

    said = capsys.readouterr().out
    assert f"root key    {root}\n" in said
    assert f"\n1.0  {signed}" in said


def test_an_inspection_of_a_tag_that_nobody_signed_says_so(
    world: World, signed: Digest, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Silence could be taken for consent.
    """
    print_inspection(world.verifier().contents(GUN, NOW), "2.0")

    assert capsys.readouterr().out.endswith("\n\n2.0 is not signed by any role\n")


ODD = "1.0\r\n\x1b[2Jregistry.example/other@sha256:…  tag 1.0 signed by targets\x7f\x9b\u202e"


def odd(world: World) -> Contents:
    """Give a collection whose publisher, or whoever has a delegated key, named a tag for the terminals of others."""
    contents = world.verifier().contents(GUN, NOW)
    entry = replace(contents.entries[0], tag=ODD)
    role = replace(contents.roles[0], keyids=("\x1b[2J",), prefixes=(ODD,))
    return replace(contents, entries=(entry,), roles=(*contents.roles, role))


@pytest.mark.parametrize(
    ("show", "lines"),
    [
        (lambda world: print_contents(odd(world)), 2),
        (lambda world: print_inspection(odd(world), ODD), 14),
        (lambda world: print_inspection(odd(world), "2.0\x1b["), 13),
        (lambda world: print_verdict(replace(world.verifier().verify(IMAGE, NOW), tag=ODD)), 1),
        (lambda _: say(say_change(RemoveTarget(role="targets", name=ODD), f"{GUN}:")), 1),
        (lambda world: print_json(spell_contents(odd(world))), None),
    ],
)
def test_what_publishers_wrote_is_nothing_that_a_terminal_obeys(
    world: World, signed: Digest, capsys: pytest.CaptureFixture[str], show: Callable[[World], None], lines: int | None
) -> None:
    """
    A name with a line feed in it would be a line of its own, and begin like one that names another image.
    """
    show(world)

    shown = capsys.readouterr().out.splitlines(keepends=True)
    assert all(line.endswith("\n") and line[:-1].isprintable() for line in shown)
    assert lines in {None, len(shown)}


def test_json_of_an_odd_name_is_the_name(world: World, signed: Digest, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Escaped, not changed.
    """
    print_json(spell_contents(odd(world)))

    assert ODD == json.loads(capsys.readouterr().out)["tags"][0]["tag"]


def test_a_bug_says_nothing_that_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    What Python raises may quote what a server sent.
    """

    def fail(*_: object, **__: object) -> None:
        raise ValueError(ODD)

    monkeypatch.setattr(cli, "main", fail)

    assert run([]) == 3

    (line,) = capsys.readouterr().err.splitlines(keepends=True)
    assert line[:-1].isprintable()
