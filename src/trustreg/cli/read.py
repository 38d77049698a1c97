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
@click.argument("gun", type=GUN, required=False)
@as_format
@reading
@click.pass_context
def list_(ctx: click.Context, wiring: Wiring, gun: Gun | None, as_: str) -> None:
    """List the signed tags of the repository GUN.

    Without GUN, list all that is signed in the collection that a store is the place of, by its name in full: tags of
    any repository, and files.

    \b
    Examples:
      trustreg list registry.example/team/app
      trustreg list --store dir:/srv/trust
    """
    home = wiring.collection(gun)
    with progress(f"reading {home}"):
        contents = wiring.verifier().contents(home, wiring.now())
    if as_ == "json":
        print_json(spell_contents(contents))
    else:
        print_contents(contents)
    ctx.exit(EXIT_REFUSED if contents.failed else 0)


@click.command(short_help="Show who may sign, who did, and until when.")
@click.argument("image", type=IMAGE, required=False)
@as_format
@reading
@click.pass_context
def inspect(ctx: click.Context, wiring: Wiring, image: Reference | None, as_: str) -> None:
    """Show who may sign in the collection of IMAGE, who did, until when, and what is signed under its tag.

    Without IMAGE, show the collection that a store is the place of.

    \b
    Examples:
      trustreg inspect registry.example/team/app:1.0
      trustreg inspect --store https://trust.example/tools
    """
    home, tag = wiring.collection(image and image.gun), image and image.tag
    with progress(f"reading {home}"):
        contents = wiring.verifier().contents(home, wiring.now())
    if as_ == "json":
        print_json(spell_contents(contents, tag))
    else:
        print_inspection(contents, tag, stored=wiring.stored(home))
    ctx.exit(EXIT_REFUSED if contents.failed else 0)
