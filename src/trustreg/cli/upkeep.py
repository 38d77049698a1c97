"""``trustreg status``, ``unstage``, ``renew``, ``prune`` and ``lint``: what keeps a collection in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.changes import say_change, spell_change, spell_published
from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.finish import prefix, print_all
from trustreg.cli.options import DURATION, GUN, as_format, reading, settings, writing
from trustreg.cli.progress import progress
from trustreg.cli.render import moment, print_json, say, table
from trustreg.errors import ChangeError

if TYPE_CHECKING:
    from datetime import timedelta

    from trustreg.ceremony import Standing
    from trustreg.names import Gun
    from trustreg.sign.changes import Change
    from trustreg.wire import Wiring

_gun = click.argument("gun", type=GUN, required=False)


@click.command(short_help="Show what is staged, and who has to sign it.")
@_gun
@as_format
@reading
def status(wiring: Wiring, gun: Gun | None, as_: str) -> None:
    """Show what waits for the next publish of the collection GUN, and who has to sign it.

    Whose keys are needed is said of collections in stores. What is carried around in the file of a ceremony is shown
    by `trustreg ceremony status FILE`.

    \b
    Examples:
      trustreg status --store dir:/srv/trust
      trustreg status registry.example/team/app
    """
    home = wiring.collection(gun)
    staged = [change for _, change in wiring.onlooker().staged(home)]
    with progress(f"reading {home}"):
        standings = _standings(wiring, home, staged) if staged and wiring.stored(home) else ()
    here = {wiring.listed(held).id for held in wiring.here().values() if held.public}
    if as_ == "json":
        roles = [_spell(standing, here) for standing in standings]
        print_json({"gun": str(home), "staged": [spell_change(change) for change in staged], "roles": roles})
        return
    if not staged:
        say(f"{home}: nothing is staged")
    for number, change in enumerate(staged, 1):
        say(f"{number}  {say_change(change, prefix(wiring, home))}")
    if standings:
        click.echo()
        rows = ((s.role, str(s.version), s.by, str(s.threshold), *_where(s, here)) for s in standings)
        table(("ROLE", "VERSION", "FOR", "NEEDS", "HERE", "ELSEWHERE"), rows)


@click.command(short_help="Forget what is staged.")
@_gun
@click.option("-n", "--number", "numbers", type=click.IntRange(1), multiple=True, help="Only this one. Repeatable.")
@settings
def unstage(wiring: Wiring, gun: Gun | None, numbers: tuple[int, ...]) -> None:
    """Forget what is staged for the collection GUN, all of it or by the numbers that `trustreg status` shows.

    \b
    Examples:
      trustreg unstage --store dir:/srv/trust
      trustreg unstage registry.example/team/app -n 2
    """
    home, onlooker = wiring.collection(gun), wiring.onlooker()
    staged = onlooker.staged(home)
    if wrong := [number for number in numbers if number > len(staged)]:
        raise click.BadParameter(f"{wrong[0]}: {len(staged)} changes are staged.", param_hint="--number")
    gone = [staged[number - 1] for number in sorted(set(numbers))] if numbers else staged
    onlooker.unstage(home, [name for name, _ in gone])
    for _, change in gone:
        say(f"no longer staged: {say_change(change, prefix(wiring, home))}")


@click.command(short_help="Sign again what expires soon.")
@_gun
@click.option("--within", type=DURATION, default="3d", show_default=True, help="What expires within that time.")
@click.option("--dangerous-skip-expiry", is_flag=True, help="What has expired is the latest: I have asked.")
@as_format
@writing
@click.pass_context
def renew(
    ctx: click.Context, wiring: Wiring, gun: Gun | None, within: timedelta, as_: str, *, dangerous_skip_expiry: bool
) -> None:
    """Sign again whatever in the collection GUN expires soon, as far as the keys are here.

    Where nobody publishes for a while, somebody has to say that what there is still holds. For a store, run this
    every day with the keys of snapshot and timestamp; a trust server does it by itself. What is staged is left alone.
    Ends with 3 if something expires that cannot be signed here.

    What has expired in a store is signed again only where it was read or published before: it may be an old state that
    somebody put back. If nobody remembers it, ask all publishers whether it is the latest before you say
    --dangerous-skip-expiry.

    \b
    Examples:
      trustreg renew --store s3://trust/tools
      trustreg renew --store oci: registry.example/team/app --within 10d
    """
    home = wiring.collection(gun)
    with progress(f"renewing {home}"):
        skip = dangerous_skip_expiry
        renewed = wiring.publisher().renew(home, wiring.now(), within, dangerous_skip_expiry=skip)
    left = renewed.left
    if as_ == "json":
        spelled = [
            {"role": one.role, "expires": moment(one.expires) if one.expires else None, "problem": one.problem}
            for one in left
        ]
        print_json({"published": spell_published(renewed.published), "left": spelled})
    else:
        print_all(renewed.published, prefix(wiring, home))
    for one in left:
        until = f" expires at {moment(one.expires)}" if one.expires else ""
        say(f"trustreg: {one.role}{until}, and was not signed again: {one.problem}", err=True)
    ctx.exit(EXIT_UNKNOWN if left else 0)


@click.command(short_help="Remove old metadata files.")
@_gun
@click.option("--keep", type=click.IntRange(0), default=2, show_default=True, help="So many states before this one.")
@as_format
@writing
def prune(wiring: Wiring, gun: Gun | None, keep: int, as_: str) -> None:
    """Remove metadata files of the collection GUN that are of no use to readers any more.

    Whoever is reading at this moment finds what he began with if no more than --keep publications lie in between.
    Roots stay, all of them: readers walk from one to the next. Target files stay too.

    \b
    Example:
      trustreg prune --store dir:/srv/trust
    """
    home = wiring.collection(gun)
    with progress(f"pruning {home}"):
        gone = wiring.publisher().prune(home, wiring.now(), keep)
    if as_ == "json":
        print_json({"gun": str(home), "removed": list(gone)})
        return
    for path in sorted(gone):
        say(f"removed {path}")
    if not gone:
        say(f"{home}: nothing to remove")


@click.command(short_help="Say what is odd about a collection.")
@_gun
@click.option("--within", type=DURATION, default="2d", show_default=True, help="What expires within that time is.")
@click.option("--strict", is_flag=True, help="End with 1 for a warning, too.")
@as_format
@reading
@click.pass_context
def lint(ctx: click.Context, wiring: Wiring, gun: Gun | None, within: timedelta, as_: str, *, strict: bool) -> None:
    """Say what is odd about the collection GUN, though readers may well believe it.

    Errors are what some readers refuse, or what can never be signed or found. Warnings are what is weaker than it
    looks, or expires soon. Ends with 1 if there are errors.

    \b
    Example:
      trustreg lint --store dir:/srv/trust
    """
    home = wiring.collection(gun)
    with progress(f"reading {home}"):
        findings = wiring.onlooker().lint(home, wiring.now(), within)
    if as_ == "json":
        spelled = [
            {"code": f.code, "severity": f.severity, "role": f.role, "message": str(f), "facts": dict(f.facts)}
            for f in findings
        ]
        print_json({"gun": str(home), "findings": spelled})
    else:
        for finding in findings:
            say(f"{finding.severity}: {finding}")
        if not findings:
            say(f"{home}: nothing is odd")
    ctx.exit(EXIT_REFUSED if any(strict or finding.severity == "error" for finding in findings) else 0)


def _standings(wiring: Wiring, home: Gun, staged: list[Change]) -> tuple[Standing, ...]:
    """Return who has to sign *staged*; nobody where it changes nothing."""
    try:
        return wiring.onlooker().prepare(home, wiring.now(), staged, whole=True).standings()
    except ChangeError as exc:
        say(f"trustreg: {exc}", err=True)
        return ()


def _where(standing: Standing, here: set[str]) -> tuple[str, str]:
    mine = [keyid[:12] for keyid in standing.waiting if keyid in here]
    others = [keyid[:12] for keyid in standing.waiting if keyid not in here]
    return " ".join(mine) or "-", " ".join(others) or "-"


def _spell(standing: Standing, here: set[str]) -> dict[str, Any]:
    return {
        "role": standing.role,
        "version": standing.version,
        "by": standing.by,
        "threshold": standing.threshold,
        "here": [keyid for keyid in standing.waiting if keyid in here],
        "elsewhere": [keyid for keyid in standing.waiting if keyid not in here],
    }
