"""``trustreg list`` and ``trustreg inspect``."""

import click

from trustreg.cli.entry import EXIT_REFUSED
from trustreg.cli.options import GUN, IMAGE, as_format, reading
from trustreg.cli.progress import progress
from trustreg.cli.render import (
    print_contents,
    print_inspection,
    print_json,
    spell_contents,
)
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring


@click.command("list", short_help="List the signed tags.")
@click.argument("gun", type=GUN)
@as_format
@reading
@click.pass_context
def list_(ctx: click.Context, wiring: Wiring, gun: Gun, as_: str) -> None:
    """List the signed tags of GUN, the collection of a repository.

    \b
    Example:
      trustreg list registry.example/team/app
    """
    with progress(f"reading {gun}"):
        contents = wiring.verifier().contents(wiring.logical(gun), wiring.now())
    if as_ == "json":
        print_json(spell_contents(contents))
    else:
        print_contents(contents)
    ctx.exit(EXIT_REFUSED if contents.failed else 0)


@click.command(short_help="Show who may sign, who did, and until when.")
@click.argument("image", type=IMAGE)
@as_format
@reading
@click.pass_context
def inspect(ctx: click.Context, wiring: Wiring, image: Reference, as_: str) -> None:
    """Show who may sign in the collection of IMAGE, who did, until when, and what is signed under its tag.

    \b
    Example:
      trustreg inspect registry.example/team/app:1.0
    """
    with progress(f"reading {image.gun}"):
        contents = wiring.verifier().contents(wiring.logical(image).gun, wiring.now())
    if as_ == "json":
        print_json(spell_contents(contents, image.tag))
    else:
        print_inspection(contents, image.tag)
    ctx.exit(EXIT_REFUSED if contents.failed else 0)
