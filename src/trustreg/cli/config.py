"""``trustreg config``: what is set, and where it comes from."""

from typing import Any

import click

from trustreg.cli.options import GUN, as_format, reading, settings
from trustreg.cli.render import print_json, table
from trustreg.errors import SettingError
from trustreg.names import Gun
from trustreg.wire import Wiring


@click.group()
def config() -> None:
    """Show the configuration and where it comes from."""


@config.command(short_help="Show what is set, and who set it.")
@click.argument("gun", type=GUN, required=False)
@as_format
@reading
def show(wiring: Wiring, gun: Gun | None, as_: str) -> None:
    """Show what holds for GUN, or all that was set, and who set it.

    GUN is the collection of a repository. Without one, nothing is said of defaults.

    \b
    Examples:
      trustreg config show
      trustreg config show registry.example/team/app
    """
    found = wiring.config()
    gun = gun and found.logical(gun)
    rows = [(row.name, row.value, row.source) for row in found.explain(gun)]
    if as_ == "json":
        listed = [dict(zip(("name", "value", "source"), row, strict=True)) for row in rows]
        print_json({"gun": gun and str(gun), "files": found.files, "settings": listed})
        return
    if gun:
        click.echo(f"{gun}\n")
    table(("NAME", "VALUE", "SOURCE"), ((name, _spell(value), source) for name, value, source in rows))


@config.command()
@settings
def path(wiring: Wiring) -> None:
    """Print the name of your configuration file.

    It need not be there yet.

    \b
    Example:
      $EDITOR "$(trustreg config path)"
    """
    found = wiring.config().path
    if found is None:
        raise SettingError("HOME", "no home folder is known to look in; name a file with --config")
    click.echo(found)


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) or "-" if isinstance(value, tuple) else str(value or "-")
