"""``trustreg list`` and ``trustreg inspect``."""

import click

from trustreg.cli.entry import EXIT_REFUSED
from trustreg.cli.options import GUN, IMAGE, as_format, reading_archives
from trustreg.cli.progress import progress
from trustreg.cli.render import (
    complain,
    print_contents,
    print_inspection,
    print_json,
    spell_contents,
)
from trustreg.errors import SettingError, TrustregError
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring


@click.command("list", short_help="List the signed tags.")
@click.argument("gun", type=GUN, required=False)
@as_format
@reading_archives
@click.pass_context
def list_(ctx: click.Context, wiring: Wiring, gun: Gun | None, as_: str) -> None:
    """List the signed tags of the repository GUN.

    Without GUN, list all that is signed in the collection that a store is the place of, by its name in full: tags of
    any repository, and files.

    \b
    Examples:
      trustreg list registry.example/team/app
      trustreg list --store dir:/srv/trust
      trustreg list --from backup --at 2026-12-01 registry.example/team/app
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
@click.argument("images", nargs=-1, metavar="[IMAGE...]")
@click.option(
    "--format",
    "as_",
    type=click.Choice(["text", "json", "docker"]),
    default="text",
    show_default=True,
    help="How to print it; docker: as docker trust inspect does.",
)
@reading_archives
@click.pass_context
def inspect(ctx: click.Context, wiring: Wiring, images: tuple[str, ...], as_: str) -> None:
    """Show who may sign in the collection of IMAGE, who did, until when, and what is signed under its tag.

    Without IMAGE, show the collection that a store is the place of. With --format docker there may be several, on trust
    servers, and without a tag all of them are shown.

    \b
    Examples:
      trustreg inspect registry.example/team/app:1.0
      trustreg inspect --store https://trust.example/tools
      trustreg inspect --format docker registry.example/team/app
    """
    if as_ == "docker":
        _inspect_for_docker(ctx, wiring, images)
        return
    if len(images) > 1:
        raise click.UsageError("One IMAGE at a time, but for --format docker.")
    image: Reference | None = IMAGE.convert(images[0], None, ctx) if images else None
    home, tag = wiring.collection(image and image.gun), image and image.tag
    with progress(f"reading {home}"):
        contents = wiring.verifier().contents(home, wiring.now())
    if as_ == "json":
        print_json(spell_contents(contents, tag))
    else:
        print_inspection(contents, tag, stored=not contents.taken and wiring.stored(home))
    ctx.exit(EXIT_REFUSED if contents.failed else 0)


def _inspect_for_docker(ctx: click.Context, wiring: Wiring, images: tuple[str, ...]) -> None:
    from trustreg.cli.docker import docker_report

    if not images:
        raise click.UsageError("Say which IMAGE.")
    named: list[Reference] = [IMAGE.convert(text, None, ctx) for text in images]
    reports, failed, errors = [], False, list[TrustregError]()
    for text, image in zip(images, named, strict=True):
        tag = image.tag if ":" in text.rpartition("/")[2].partition("@")[0] else None
        try:
            home = wiring.collection(image.gun)
            if wiring.stored(home):
                raise SettingError("--format docker", f"{home} is in a store, which Docker knows nothing of")
            with progress(f"reading {home}"):
                contents = wiring.verifier().contents(home, wiring.now())
                seats = wiring.seats(home, wiring.now())
        except TrustregError as exc:  # the others are shown all the same, as Docker does
            errors.append(exc)
        else:
            reports.append(docker_report(text, contents, seats, tag, wiring.plain_id))
            failed = failed or bool(contents.failed)
    print_json(reports)
    for error in errors[1:]:
        complain(error)
    if errors:
        raise errors[0]
    ctx.exit(EXIT_REFUSED if failed else 0)
