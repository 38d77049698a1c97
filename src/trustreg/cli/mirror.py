"""``trustreg mirror``."""

from pathlib import Path
from typing import Any

import click

from trustreg.cli.entry import exit_code
from trustreg.cli.options import GUN, as_format, copying
from trustreg.cli.progress import progress
from trustreg.cli.render import announce, complain, moment, print_json, say, spell_error
from trustreg.errors import SettingError, TrustregError
from trustreg.names import ROOT, Gun
from trustreg.wire import Mirrored, Wiring


@click.command(short_help="Copy collections to another place or server.")
@click.argument("guns", type=GUN, nargs=-1, required=True, metavar="GUN...")
@click.option("--to", required=True, metavar="PLACE|URL", help="Where to: dir:, s3:, ..., or a trust server.")
@click.option("--as", "home", type=GUN, metavar="GUN", help="Write it there under this name.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Push the signed images of this OCI layout, too.",
)
@as_format
@copying
@click.pass_context
def mirror(
    ctx: click.Context,
    wiring: Wiring,
    guns: tuple[Gun, ...],
    to: str,
    home: Gun | None,
    images: Path | None,
    as_: str,
) -> None:
    """Copy each collection GUN, verified and byte for byte, so that its readers verify it there with the same pins.

    A collection of Notary goes into a folder or bucket in the form of a trust server, for any web server to show, or to
    a trust server that takes replicas, as trustreg serve does. One in a store goes to another store. No key is needed.

    Run it again to bring the copy up to date. It never goes back: a copy that is newer, or that is another collection,
    stays as it is.

    \b
    Exit codes: 0 all are there, 1 some are refused, 2 a setting cannot be used, 3 it could not be found out.

    \b
    Examples:
      trustreg mirror --to dir:/srv/www registry.example/team/app
      trustreg mirror --to https://trust.example registry.example/team/app registry.example/team/web
      trustreg mirror --to dir:/srv/www --images layout --from stick/archive registry.example/team/app
    """
    if home and len(guns) > 1:
        raise SettingError("--as", "this is the name of one collection, and several are to be mirrored")
    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    for gun in map(wiring.collection, guns):
        try:
            with progress(f"mirroring {gun}"):
                done = wiring.mirror(gun, to, as_=home, images=images)
        except TrustregError as exc:
            codes.append(exit_code(exc))
            rows.append({"gun": str(gun), "result": "failed", "error": spell_error(exc)})
            if as_ == "text":
                complain(exc, f"trustreg: {gun} is not mirrored")
            continue
        rows.append(_spelled(done))
        if as_ == "text":
            _print(done)
    if as_ == "json":
        print_json({"collections": rows})
    ctx.exit(min(codes, default=0))  # refused comes before a wrong setting, that before not knowing


def _print(done: Mirrored) -> None:
    copied = done.source.copied
    if copied.first_use:
        announce(done.gun, copied.roots[-1].keyids)
    name = f" as {done.home}" if done.home != done.gun else ""
    what = f"{len(done.written)} files written" if done.written else "nothing new"
    say(f"{done.gun} is at {done.where}{name}: {what}, good until {moment(copied.expires)}")
    for role, why in copied.failed.items():
        how = "copied as it is, and its readers refuse it" if role in done.source.others else "left out"
        say(f"  {role} is {how}: {why}", err=True)
    if images := done.images:
        _tags("pushed", images.sent)
        _tags("there already", images.present)
        _tags("left out, as the layout has none of this digest", images.missing, err=True)
        _tags("left out, as nobody signed it", images.unsigned, err=True)


def _tags(what: str, tags: tuple[str, ...], *, err: bool = False) -> None:
    if tags:
        say(f"  {what}: {', '.join(tags)}", err=err)


def _spelled(done: Mirrored) -> dict[str, Any]:
    copied = done.source.copied
    images = done.images and {
        "pushed": list(done.images.sent),
        "present": list(done.images.present),
        "missing": list(done.images.missing),
        "unsigned": list(done.images.unsigned),
    }
    return {
        "gun": str(done.gun),
        "result": "mirrored" if done.written else "unchanged",
        "as": str(done.home),
        "where": done.where,
        "written": list(done.written),
        "root": copied.roles[ROOT].signed.version,
        "expires": moment(copied.expires),
        "failed": {role: spell_error(why) for role, why in copied.failed.items()},
        "images": images,
    }
