"""``trustreg init``, ``sign``, ``publish`` and ``remove``."""

from collections.abc import Sequence

import click

from trustreg.cli.options import GUN, IMAGE, as_format, settings, writing
from trustreg.cli.progress import progress
from trustreg.cli.render import (
    print_json,
    print_published,
    say,
    say_change,
    spell_change,
    spell_published,
)
from trustreg.names import Gun, Reference
from trustreg.sign.changes import Change
from trustreg.wire import Wiring

_no_publish = click.option("--no-publish", is_flag=True, help="Only stage the change; `trustreg publish` sends it.")


@click.command(short_help="Begin the collection of a repository.")
@click.argument("gun", type=GUN)
@click.option("--hold-snapshot-key", is_flag=True, help="Keep the snapshot key here, not on the server.")
@click.option(
    "--root-kind",
    type=click.Choice(["ecdsa", "rsa"]),
    default="ecdsa",
    show_default=True,
    help="Kind of a new root key.",
)
@click.option(
    "--kind",
    type=click.Choice(["ed25519", "ecdsa", "rsa"]),
    default="ed25519",
    show_default=True,
    help="Kind of the other new keys.",
)
@click.option("--use", multiple=True, metavar="KEYID", help="Use this key that is here, for its role. Repeatable.")
@as_format
@writing
def init(
    wiring: Wiring, gun: Gun, as_: str, root_kind: str, kind: str, use: tuple[str, ...], *, hold_snapshot_key: bool
) -> None:
    """Begin the collection GUN: make its keys, sign its first root, and publish it.

    A root key that is here already is used for this collection too.

    \b
    Examples:
      trustreg init registry.example/team/app
      trustreg init --use 3f9a0c registry.example/team/app
    """
    gun = wiring.logical(gun)
    with progress(f"beginning {gun}"):
        published = wiring.init(gun, root_kind=root_kind, kind=kind, use=use, hold_snapshot=hold_snapshot_key)
    if as_ == "json":
        print_json({"published": [spell_published(published)]})
    else:
        print_published(published)


@click.command(short_help="Sign what the registry holds under a tag.")
@click.argument("images", type=IMAGE, nargs=-1, required=True, metavar="IMAGE...")
@_no_publish
@as_format
@writing
def sign(wiring: Wiring, images: tuple[Reference, ...], as_: str, *, no_publish: bool) -> None:
    """Sign what the registry holds under the tag of each IMAGE now, and publish that.

    \b
    Examples:
      trustreg sign registry.example/team/app:1.0
      trustreg sign --no-publish registry.example/team/app:1.0 registry.example/team/app:latest
    """
    publisher, now = wiring.publisher(), wiring.now()
    with progress(f"signing {len(images)} image{'s' * (len(images) > 1)}"):
        named = [wiring.logical(image) for image in images]
        changes = [(image.gun, change) for image in named for change in publisher.additions(image, wiring, now)]
    _finish(wiring, changes, as_, no_publish=no_publish)


@click.command(short_help="Publish the staged changes.")
@click.argument("gun", type=GUN)
@as_format
@writing
def publish(wiring: Wiring, gun: Gun, as_: str) -> None:
    """Publish the staged changes of the collection GUN.

    \b
    Example:
      trustreg publish registry.example/team/app
    """
    _finish(wiring, [], as_, no_publish=False, guns=(wiring.logical(gun),))


@click.command(short_help="Take the signature off a tag.")
@click.argument("images", type=IMAGE, nargs=-1, required=True, metavar="IMAGE...")
@_no_publish
@as_format
@writing
def remove(wiring: Wiring, images: tuple[Reference, ...], as_: str, *, no_publish: bool) -> None:
    """Take the signature off the tag of each IMAGE, in every role that signed it.

    The image itself stays in the registry.

    \b
    Example:
      trustreg remove registry.example/team/app:1.0
    """
    publisher, now = wiring.publisher(), wiring.now()
    with progress("looking for what signed it"):
        named = [wiring.logical(image) for image in images]
        changes = [(image.gun, change) for image in named for change in publisher.removals(image, now)]
    _finish(wiring, changes, as_, no_publish=no_publish)


@click.command(short_help="Forget what is remembered of a collection.")
@click.argument("gun", type=GUN)
@settings
def forget(wiring: Wiring, gun: Gun) -> None:
    """Forget which root and versions of the collection GUN were trusted here.

    For a collection that its publishers deleted and began anew. Its next root is met for the first time, and
    whatever it was protected from so far, it is not then: pin the new root. Keys are left alone.

    \b
    Example:
      trustreg forget registry.example/team/app
    """
    wiring.forget(wiring.logical(gun))


def _finish(
    wiring: Wiring,
    changes: Sequence[tuple[Gun, Change]],
    as_: str,
    *,
    no_publish: bool,
    guns: tuple[Gun, ...] = (),
) -> None:
    """Publish *changes* after what is staged, or stage them, and say what was done."""
    by_gun: dict[Gun, list[Change]] = {gun: [] for gun in guns}
    for gun, change in changes:
        by_gun.setdefault(gun, []).append(change)
    if no_publish:
        for gun, mine in by_gun.items():
            wiring.publisher().stage(gun, mine)
        if as_ == "json":
            print_json({"staged": [{"gun": str(gun), **spell_change(change)} for gun, change in changes]})
        for gun, change in changes if as_ == "text" else ():
            say(f"staged: {say_change(change, gun)}")
        return
    done = []
    try:
        for gun, mine in by_gun.items():
            with progress("publishing"):
                done.append(wiring.publisher().publish(gun, wiring.now(), mine))
    finally:  # what was published was published, whatever became of the rest
        if as_ == "json" and done:
            print_json({"published": [spell_published(each) for each in done]})
        for each in done if as_ == "text" else ():
            for change in each.changes:
                say(say_change(change, each.gun))
            print_published(each)
