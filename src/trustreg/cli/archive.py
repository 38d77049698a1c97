"""``trustreg archive``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.entry import EXIT_REFUSED, exit_code
from trustreg.cli.options import GUN, as_format, reading
from trustreg.cli.progress import progress
from trustreg.cli.render import announce, complain, moment, print_json, say, spell_error
from trustreg.errors import TrustregError

if TYPE_CHECKING:
    from trustreg.io.archive import Archived
    from trustreg.names import Gun
    from trustreg.wire import Wiring


@click.command(short_help="Keep verified copies of whole collections.")
@click.argument("guns", type=GUN, nargs=-1, metavar="[GUN...]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PLACE",
    help="The archive: a folder, or one file that is called .zip.",
)
@click.option("--dangerous-skip-expiry", is_flag=True, help="Copy what has expired, too.")
@as_format
@reading
@click.pass_context
def archive(
    ctx: click.Context,
    wiring: Wiring,
    guns: tuple[Gun, ...],
    output: Path,
    as_: str,
    *,
    dangerous_skip_expiry: bool,
) -> None:
    """Add a complete copy of each collection GUN to the archive at PLACE: all roots, and every role, verified.

    What PLACE has of it is kept, and not asked for again. Without GUN, copy the collection that a store is the place
    of, or else all that PLACE has copies of. `trustreg verify --from PLACE` reads them without a server.

    \b
    Exit codes: 0 all are copied whole, 1 something is refused, 3 it could not be found out.

    \b
    Examples:
      trustreg archive -o backup registry.example/team/app registry.example/team/db
      trustreg archive -o backup
      trustreg archive -o tools.zip --store s3://trust/tools
    """
    found: list[tuple[Gun, Archived | TrustregError]] = []
    with progress(f"copying to {output}"):
        for gun, result in wiring.archive(output, guns, wiring.now(), dangerous_skip_expiry=dangerous_skip_expiry):
            found.append((gun, result))
            if as_ == "text":
                _print(gun, result)
    if as_ == "json":
        print_json({"archive": str(output), "collections": [_spell(gun, result) for gun, result in found]})
    ctx.exit(min(filter(None, (_code(result) for _, result in found)), default=0))


def _print(gun: Gun, result: Archived | TrustregError) -> None:
    if isinstance(result, TrustregError):
        complain(result, f"trustreg: {gun} is not copied")
        return
    if result.first_use:
        announce(gun, result.root_keyids)
    state, (first, last) = result.state, result.roots
    files = f"{len(set(state.files.values()))} files"
    roots = f"root v{last}" if first == last else f"roots v{first} to v{last}"
    news = f"{files}, {result.added} of them new" if result.new else f"{files}, as before"
    say(f"{gun}  {news}, {roots}, taken at {moment(state.taken)}, good until {moment(state.expires)}")
    for role, problem in state.failed.items():
        say(f"trustreg: {role} of {gun} is left out: {problem}", err=True)


def _spell(gun: Gun, result: Archived | TrustregError) -> dict[str, Any]:
    if isinstance(result, TrustregError):
        return {"gun": str(gun), "error": spell_error(result)}
    state, (first, last) = result.state, result.roots
    return {
        "gun": str(result.gun),
        "taken": moment(state.taken),
        "server": state.server,
        "timestamp": state.timestamp,
        "expires": moment(state.expires),
        "new": result.new,
        "files": len(set(state.files.values())),
        "added": result.added,
        "states": result.states,
        "roots": {"first": first, "last": last},
        "firstUse": result.first_use,
        "rootKeyids": list(result.root_keyids),
        "failed": dict(state.failed),
    }


def _code(result: Archived | TrustregError) -> int:
    if isinstance(result, TrustregError):
        return exit_code(result)
    return EXIT_REFUSED if result.state.failed else 0
