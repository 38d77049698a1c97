"""``trustreg inventory``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.entry import EXIT_REFUSED, EXIT_UNKNOWN
from trustreg.cli.options import GUN, reading
from trustreg.cli.progress import counted
from trustreg.cli.render import aligned, moment, print_json, say, spell_error
from trustreg.errors import SettingError, UntrustedError, shown
from trustreg.forecast import BROKEN, Inventory, Notice
from trustreg.inventory import (
    EXPIRED,
    MOVED,
    REFUSED,
    TRUSTED,
    Collection,
    KeyLine,
    RoleLine,
    RootLine,
    TagLine,
)
from trustreg.io.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from trustreg.errors import TrustregError
    from trustreg.names import Gun
    from trustreg.wire import Wiring

_FORMATS = ("text", "json", "csv", "html")


@click.command(short_help="Take stock: what is signed, by whom, and what will break.")
@click.argument("names", nargs=-1, metavar="[SERVER|GUN]...")
@click.option("--no-registry", is_flag=True, help="Do not ask registries whether they still hold what is signed.")
@click.option(
    "--format",
    "as_",
    type=click.Choice(_FORMATS),
    help="How to print it: text, or what the name of the file to write ends in.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it to FILE."
)
@reading
@click.pass_context
def inventory(
    ctx: click.Context,
    wiring: Wiring,
    names: tuple[str, ...],
    as_: str | None,
    output: Path | None,
    *,
    no_registry: bool,
) -> None:
    """Take stock of collections: all that is signed, by whom, until when, and what will break.

    SERVER is the URL of a trust server, and stands for all collections there; its change feed says which these are. GUN
    is one collection. Without either, it is the one that a store is the place of.

    What has expired, or cannot be verified any more, is listed as far as it can be read, and marked. Registries are
    asked by HEAD: it is their word that they hold something. Only `trustreg verify` computes digests.

    \b
    Exit codes: 0 all collections are trusted, 1 some are not, 3 some could not be read.

    \b
    Examples:
      trustreg inventory https://trust.example -o inventory.html
      trustreg inventory --format csv registry.example/team/app registry.example/team/web > tags.csv
      trustreg inventory --no-registry --store dir:/srv/trust
    """
    kind = as_ or _kind_of(output)
    asked: list[Gun | str] = [name if "://" in name else _gun(name, ctx) for name in names]
    try:
        with counted("taking stock") as tell:
            found = wiring.inventory(asked, registry=not no_registry, tell=tell)
    except SettingError as exc:
        if not names:
            exc.add_note("or name a trust server, as https://trust.example, to list all collections there")
        raise
    if output:
        write_atomically(output, _spelled(found, kind).encode(), 0o644)
    elif kind == "json":
        print_json(spell_inventory(found))
    else:
        click.echo(_spelled(found, kind), nl=False, color=True)  # no colours to look for and take out
    _caution(found, output)
    states = {one.state for one in found.collections}
    roles = [role for one in found.collections for role in one.roles]
    refused = states & {EXPIRED, REFUSED} or any(isinstance(role.error, UntrustedError) for role in roles)
    ctx.exit(EXIT_REFUSED if refused else EXIT_UNKNOWN if states - {TRUSTED} else 0)


def _kind_of(output: Path | None) -> str:
    suffix = output.suffix.lower().lstrip(".") if output else ""
    return {"htm": "html", **dict(zip(_FORMATS, _FORMATS, strict=True))}.get(suffix, "text")


def _gun(name: str, ctx: click.Context) -> Gun:
    found: Gun = GUN.convert(name, next(param for param in ctx.command.params if param.name == "names"), ctx)
    return found


def _caution(found: Inventory, output: Path | None) -> None:
    new = [one.gun for one in found.collections if one.first_use]
    if new:
        say(
            f"trustreg: {len(new)} of {len(found.collections)} collections were not known before: their roots were "
            "trusted on first use. Compare them with what their publishers say",
            err=True,
        )
    if output:
        say(f"trustreg: {output} has {_counted(found)}", err=True)


def _counted(found: Inventory) -> str:
    states = Counter(one.state for one in found.collections)
    said = ", ".join(f"{number} {state}" for state, number in states.items())
    broken = sum(notice.level == BROKEN for notice in found.notices)
    tags = len({(one.gun, tag.tag) for one in found.collections for tag in one.tags})
    things = _many(broken, "thing") + (" is broken" if broken == 1 else " are broken")
    return f"{_many(len(found.collections), 'collection')} ({said or 'none'}) with {_many(tags, 'tag')}; {things}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _spelled(found: Inventory, kind: str) -> str:
    if kind == "html":
        from trustreg.report.page import page

        return page(found)
    if kind == "csv":
        from trustreg.report.sheet import sheet

        return sheet(found)
    if kind == "json":
        import json

        return json.dumps(spell_inventory(found), indent=2) + "\n"
    return "".join(f"{line}\n" for line in _lines(found))


# --- for people --------------------------------------------------------------------------------------------------


def _lines(found: Inventory) -> Iterator[str]:
    for one in found.collections:
        yield shown(f"{one.gun}  {one.state}{f'  {one.where}' if one.where else ''}")
        if one.error:
            yield f"  problem: {one.error}"
            yield from (f"  remedy: {remedy}" for remedy in filter(None, (one.error.remedy,)))
        if one.roles:
            yield ""
            yield from aligned(
                ("ROLE", "STATE", "VERSION", "EXPIRES", "NEEDS", "KEYS (* signed)"), map(_role, one.roles)
            )
            yield ""
            yield from aligned(("ROOT", "EXPIRES", "NEEDS", "KEYS", "CERTIFICATES UNTIL"), map(_root, one.roots))
        if one.tags:
            yield ""
            yield from aligned(("TAG", "DIGEST", "SIZE", "SIGNED BY", "REGISTRY"), map(_tag, one.tags))
        yield ""
    for notice in found.notices:
        yield from _notice(notice, several=len(found.collections) > 1)
    yield ""
    yield _counted(found)


def _role(line: RoleLine) -> tuple[str, ...]:
    name = f"{line.bins} bins {line.name}" if line.bins else line.name
    keys = ", ".join(f"{k.id[:12]}{'*' * (k.id in line.signed_by)} {k.algorithm}" for k in line.keys)
    needs = f"{line.threshold} of {len(line.keys)}"
    return name, line.state, str(line.version or "-"), _until(line.expires), needs, keys or "-"


def _root(line: RootLine) -> tuple[str, ...]:
    if not line.served:
        return str(line.version), "not served", "-", "-", "-"
    keys = ", ".join(f"{key.id[:12]} {key.algorithm}" for key in line.keys)
    ends = ", ".join(moment(key.certificate.ends) for key in line.keys if key.certificate)
    return str(line.version), _until(line.expires), f"{line.threshold} of {len(line.keys)}", keys, ends or "-"


def _tag(tag: TagLine) -> tuple[str, ...]:
    marks = ([] if tag.counts else ["does not count"]) + ([] if tag.state == TRUSTED else [tag.state])
    roles = ", ".join(tag.roles) + (f" ({', '.join(marks)})" if marks else "")
    return tag.tag, str(tag.digest), str(tag.length), roles, _holding(tag)


def _holding(tag: TagLine) -> str:
    holding = tag.holding
    if holding is None:
        return "-" if tag.image else "no image"
    if holding.error:
        return f"unknown: {holding.error.code}"
    return f"moved to {holding.serves}" if holding.state == MOVED else holding.state


def _notice(notice: Notice, *, several: bool) -> tuple[str, str]:
    when = moment(notice.when) if notice.when else "now" if notice.level == BROKEN else "-"
    where = f"{shown(notice.gun)}: " if several else ""
    return f"{when:<20}  {where}{notice} [{notice.code}]", f"{'':<20}  remedy: {notice.remedy}"


def _until(expires: datetime | None) -> str:
    return moment(expires) if expires else "-"


# --- for programs ------------------------------------------------------------------------------------------------


def spell_inventory(found: Inventory) -> dict[str, Any]:
    """Return *found* as ``schemas/inventory.schema.json`` has it."""
    return {
        "at": moment(found.at),
        "registryAsked": found.asked,
        "collections": [_spell_collection(one) for one in found.collections],
        "findings": [
            {
                "code": notice.code,
                "level": notice.level,
                "when": _moment(notice.when),
                "gun": notice.gun,
                "role": notice.role,
                "message": str(notice),
                "remedy": notice.remedy,
                "facts": dict(notice.facts),
            }
            for notice in found.notices
        ],
    }


def _spell_collection(one: Collection) -> dict[str, Any]:
    return {
        "gun": one.gun,
        "where": one.where,
        "state": one.state,
        "error": _error(one.error),
        "stored": one.stored,
        "firstUse": one.first_use,
        "staleSince": _moment(one.stale_since),
        "changed": one.changed or None,
        "roles": [_spell_role(line) for line in one.roles],
        "roots": [_spell_root(line) for line in one.roots],
        "tags": [_spell_tag(tag) for tag in one.tags],
    }


def _spell_role(line: RoleLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "delegator": line.delegator or None,
        "signer": line.signer or None,
        "state": line.state,
        "error": _error(line.error),
        "version": line.version,
        "expires": _moment(line.expires),
        "threshold": line.threshold,
        "keys": [_spell_key(key) for key in line.keys],
        "signedBy": list(line.signed_by),
        "paths": list(line.paths),
        "bins": line.bins,
    }


def _spell_root(line: RootLine) -> dict[str, Any]:
    return {
        "version": line.version,
        "served": line.served,
        "follows": line.follows,
        "expires": _moment(line.expires),
        "threshold": line.threshold,
        "keys": [_spell_key(key) for key in line.keys],
    }


def _spell_key(key: KeyLine) -> dict[str, Any]:
    certificate = key.certificate and {
        "subject": key.certificate.subject,
        "begins": moment(key.certificate.begins),
        "ends": moment(key.certificate.ends),
    }
    return {
        "id": key.id,
        "plainId": key.plain_id,
        "algorithm": key.algorithm,
        "strength": key.strength,
        "certificate": certificate,
    }


def _spell_tag(tag: TagLine) -> dict[str, Any]:
    holding = tag.holding and {
        "state": tag.holding.state,
        "serves": str(tag.holding.serves) if tag.holding.serves else None,
        "kept": tag.holding.kept,
        "error": _error(tag.holding.error),
    }
    return {
        "tag": tag.tag,
        "digest": str(tag.digest),
        "length": tag.length,
        "state": tag.state,
        "roles": list(tag.roles),
        "signers": list(tag.signers),
        "counts": tag.counts,
        "image": str(tag.image) if tag.image else None,
        "registry": holding,
    }


def _error(error: TrustregError | None) -> dict[str, Any] | None:
    return spell_error(error) if error else None


def _moment(time: datetime | None) -> str | None:
    return moment(time) if time else None
