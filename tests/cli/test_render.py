"""How results look to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.world import GUN, IMAGE, NOW, World
from trustreg.cli.render import print_inspection, print_verdict
from trustreg.names import Reference

if TYPE_CHECKING:
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
