"""``trustreg init``, ``publish``, ``remove`` and ``forget``."""

from typing import TYPE_CHECKING

import click

from trustreg.cli.finish import finish, no_publish_option, result
from trustreg.cli.options import GUN, IMAGE, KIND, as_format, gun_option, roles_option, settings, writing
from trustreg.cli.progress import progress
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from trustreg.sign.changes import Change


@click.command(short_help="Begin the collection of a repository.")
@click.argument("gun", type=GUN, required=False)
@click.option("--hold-snapshot-key", is_flag=True, help="Keep the snapshot key here, not on the server.")
@click.option(
    "--root-kind",
    type=click.Choice(["ecdsa", "rsa", "ed25519"]),
    help="Kind of a new root key: ecdsa where nothing is said, in a store ed25519.",
)
@click.option(
    "--kind",
    type=KIND,
    default="ed25519",
    show_default=True,
    help="Kind of the other new keys.",
)
@click.option("--use", multiple=True, metavar="KEYID", help="Use this key that is here, for its role. Repeatable.")
@click.option(
    "--root-certificate", metavar="FILE", help="The certificate of the root key (PEM), instead of one made for it."
)
@as_format
@writing
def init(
    wiring: Wiring,
    gun: Gun | None,
    as_: str,
    root_kind: str | None,
    kind: str,
    use: tuple[str, ...],
    root_certificate: str | None,
    *,
    hold_snapshot_key: bool,
) -> None:
    """Begin the collection GUN: make its keys, sign its first root, and publish it.

    A root key that is here already is used for this collection too. A store that is the place of one collection names
    it, so GUN may be left out then. In a store all keys are yours: nobody else signs there.

    \b
    Examples:
      trustreg init registry.example/team/app
      trustreg init --use 3f9a0c registry.example/team/app
      trustreg init --store dir:/srv/trust
      trustreg init --store oci: registry.example/team/app
    """
    home = wiring.collection(gun)
    with progress(f"beginning {home}"):
        published = wiring.init(
            home,
            root_kind=root_kind,
            kind=kind,
            use=use,
            hold_snapshot=hold_snapshot_key,
            certificates=root_certificate,
        )
    result(published, as_)


@click.command(short_help="Publish the staged changes.")
@click.argument("gun", type=GUN, required=False)
@as_format
@writing
def publish(wiring: Wiring, gun: Gun | None, as_: str) -> None:
    """Publish the staged changes of the collection GUN, or of the one that a store is the place of.

    \b
    Examples:
      trustreg publish registry.example/team/app
      trustreg publish --store dir:/srv/trust
    """
    finish(wiring, [], as_, no_publish=False, guns=(wiring.collection(gun),))


@click.command(short_help="Take the signature off a tag or a file.")
@click.argument("images", type=IMAGE, nargs=-1, metavar="[IMAGE...]")
@click.option("--name", "names", multiple=True, help="The name of a target that is no image. Repeatable.")
@roles_option
@gun_option
@no_publish_option
@as_format
@writing
def remove(
    wiring: Wiring,
    images: tuple[Reference, ...],
    names: tuple[str, ...],
    roles: tuple[str, ...],
    gun: Gun | None,
    as_: str,
    *,
    no_publish: bool,
) -> None:
    """Take the signature off the tag of each IMAGE, in every role that signed it, or in each ROLE.

    The image itself stays in the registry. With --name, do so for files; their content stays in the store.

    \b
    Examples:
      trustreg remove registry.example/team/app:1.0
      trustreg remove --store dir:/srv/trust --name docs/manual.pdf
    """
    if not images and not names:
        raise click.UsageError("Say what: IMAGE, or --name NAME.")
    publisher, now = wiring.publisher(), wiring.now()
    with progress("looking for what signed it"):
        named = [wiring.logical(image) for image in images]
        changes: list[tuple[Gun, Change]] = [
            (image.gun, change) for image in named for change in publisher.removals(image, now, roles)
        ]
        if names:
            home = wiring.collection(gun)
            changes += [(home, change) for name in names for change in publisher.removals_of(home, name, now, roles)]
    finish(wiring, changes, as_, no_publish=no_publish)


@click.command(short_help="Forget what is remembered of a collection.")
@click.argument("gun", type=GUN, required=False)
@settings
def forget(wiring: Wiring, gun: Gun | None) -> None:
    """Forget which root and versions of the collection GUN were trusted here.

    For a collection that its publishers deleted and began anew; without GUN, the one that a store is the place of. Its
    next root is met for the first time, and whatever it was protected from so far, it is not then: pin the new root.
    Keys are left alone.

    \b
    Example:
      trustreg forget registry.example/team/app
    """
    wiring.forget(wiring.collection(gun))
