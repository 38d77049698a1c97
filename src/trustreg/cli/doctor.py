"""``trustreg doctor``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.options import IMAGE, as_format, reading
from trustreg.cli.render import moment, print_json, say
from trustreg.doctor import FAILED, OK, SKIPPED, UNKNOWN, WARNING, Report
from trustreg.io.address import Url, without_secrets

if TYPE_CHECKING:
    from trustreg.names import Reference
    from trustreg.wire import Wiring


@click.command(short_help="Find out which link of the chain is broken, and what to do about it.")
@click.argument("targets", nargs=-1, required=True, metavar="IMAGE|SERVER...")
@click.option("--no-uploads", is_flag=True, help="Do not find out how large uploads may be.")
@as_format
@reading
@click.pass_context
def doctor(ctx: click.Context, wiring: Wiring, targets: tuple[str, ...], as_: str, *, no_uploads: bool) -> None:
    """Find out which link of the chain is broken between here and an image, and what to do about it.

    IMAGE is an image as in `trustreg verify`: its registry is examined, and its trust server or store. SERVER is the
    URL of a trust server or a registry.

    Examined are settings, names and each of their addresses, TLS, clocks, logins, what the servers answer, and until
    when trust data is good. Nothing is changed anywhere: of uploads only the headers are sent, to find out whether a
    proxy minds their size, and nothing could take them.

    \b
    Exit codes: 0 nothing is broken, 1 something is, 3 something could not be found out.

    \b
    Examples:
      trustreg doctor registry.example/team/app:1.0
      trustreg doctor https://trust.example https://registry.example
      trustreg doctor --format json registry.example/team/app:1.0
    """
    from trustreg.examining import Examiner

    report = Examiner(wiring, uploads=not no_uploads).examine([_target(text, ctx) for text in targets])
    if as_ == "json":
        print_json(spell_report(report))
    else:
        _print(report)
    ctx.exit({FAILED: EXIT_REFUSED, UNKNOWN: EXIT_UNKNOWN}.get(report.verdict, 0))


def _target(text: str, ctx: click.Context) -> Reference | str:
    parameter = next(param for param in ctx.command.params if param.name == "targets")
    if "://" not in text:
        if "/" not in text and _SERVER.fullmatch(text):
            problem = f"{text!r} would be an image of Docker Hub: a server is named by its URL, https://{text}."
            raise click.BadParameter(problem, ctx, parameter)
        image: Reference = IMAGE.convert(text, parameter, ctx)
        return image
    try:
        return str(Url.parse(text)._replace(query="")).removesuffix("/")
    except ValueError as exc:
        raise click.BadParameter(f"{without_secrets(text)!r}: {exc}.", ctx, parameter) from exc


def spell_report(report: Report) -> dict[str, Any]:
    """Return *report* as ``schemas/doctor.schema.json`` has it."""
    return {
        "at": moment(report.at),
        "verdict": report.verdict,
        "parts": [
            {
                "what": part.what,
                "name": part.name,
                "findings": [
                    {
                        "code": each.code,
                        "status": each.status,
                        "message": str(each),
                        "remedy": each.remedy,
                        "facts": dict(each.facts),
                    }
                    for each in part.findings
                ],
            }
            for part in report.parts
        ],
    }


def _print(report: Report) -> None:
    for part in report.parts:
        say(f"{part.what}  {part.name}")
        for each in part.findings:
            say(f"  {_MARKS[each.status]:<7}  {each} [{each.code}]")
            if each.remedy and each.status != SKIPPED:
                say(f"  {'':<7}  remedy: {each.remedy}")
        click.echo()
    found = [each.status for part in report.parts for each in part.findings]
    failed, unknown, warned = (found.count(status) for status in (FAILED, UNKNOWN, WARNING))
    more = f", {unknown} could not be found out" if unknown else ""
    say(f"{failed} broken{more}, {warned} to keep an eye on, of {len(found)} that were looked at")


_SERVER = re.compile(r"localhost(:[0-9]+)?|[^@:]+\.[^@:]+:[0-9]+|[^@:]+\.[A-Za-z][^@:.]+")  # it has a port, or a domain
_MARKS = {OK: "ok", WARNING: "warning", FAILED: "FAILED", UNKNOWN: "unknown", SKIPPED: "skipped"}
