"""How results look: to people, and to programs as ``--format json``. Results go to stdout, talk to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.progress import hushed
from trustreg.client import Trusted, Unknown, Untrusted
from trustreg.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from trustreg.client import Contents, Entry, RoleState, Verdict
    from trustreg.errors import TrustregError
    from trustreg.reader import Target


def say(line: str, *, err: bool = False) -> None:
    """Print one line, whatever publishers and servers wrote into it: nothing that a terminal obeys."""
    with hushed():
        click.echo(shown(line), err=err)


def complain(error: TrustregError, lead: str = "trustreg") -> None:
    """Say on stderr what went wrong, and what can be done about it."""
    say(f"{lead}: {error}", err=True)
    for remedy in filter(None, (error.remedy, *getattr(error, "__notes__", ()))):
        say(f"  remedy: {remedy}", err=True)


def print_json(document: Any) -> None:
    """Print *document* as JSON, all of it escaped where a terminal would obey some of it."""
    import orjson

    try:
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # half of a surrogate pair, which the facts of an error may quote
        text = ""
    if not text.replace("\n", "").isprintable() or not text:
        import json

        text = json.dumps(document, indent=2)
    click.echo(text, color=True)  # no colours to look for and take out


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns under *head*."""
    click.echo("\n".join(aligned(head, rows)), color=True)  # no colours to look for and take out


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table: columns under *head*."""
    lines = [tuple(head), *(tuple(map(shown, row)) for row in rows)]
    *widths, _ = (max(map(len, column)) for column in zip(*lines, strict=True))
    form = "  ".join([*(f"{{:<{width}}}" for width in widths), "{}"])
    return [form.format(*line) for line in lines]


def print_verdict(verdict: Verdict) -> None:
    """Print *verdict* for people: yes on stdout, beginning with the name to use; no and don't know on stderr."""
    if isinstance(verdict, Untrusted):
        complain(verdict.error, "trustreg: refused")
    elif isinstance(verdict, Unknown):
        complain(verdict.error, "trustreg: could not find out")
    else:
        caution(verdict)
        said = f"tag {verdict.tag} {vouched(verdict)}"
        if verdict.previous_until:
            said += f", by the collection before, at {verdict.place}, until {moment(verdict.previous_until)}"
        unasked = "" if verdict.compared or "@" in verdict.image else ", registry not asked"
        copied = f", in a copy taken at {moment(verdict.taken)}" if verdict.taken else ""
        say(f"{verdict.pinned}  {said}{unasked}{copied}")


def caution(verdict: Trusted | Contents) -> None:
    """Say aloud what a yes rests on, where that is less than it could be."""
    if verdict.first_use:
        announce(verdict.gun, verdict.root_keyids if isinstance(verdict, Trusted) else _root_of(verdict))
    if verdict.stale_since:
        since = moment(verdict.stale_since)
        say(f"trustreg: the trust server of {verdict.gun} cannot be reached; this is as of {since}", err=True)


def announce(gun: object, root_keyids: Iterable[str]) -> None:
    """Say aloud that the root of *gun* was believed because it came first."""
    pins = " ".join(f"--pin {keyid}" for keyid in root_keyids)
    say(
        f"trustreg: {gun} was not known before: its root was trusted on first use. "
        f"Compare it with what its publishers say, and pin it: {pins}",
        err=True,
    )


def vouched(found: Trusted | Target) -> str:
    """Say who vouches for *found*, and until when."""
    keys = ", ".join(keyid[:12] for keyid in found.keyids)
    return f"signed by {found.role} (key {keys}), good until {moment(found.expires)}"


def spell_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return *verdict* as ``schemas/verify.schema.json`` has it."""
    if isinstance(verdict, Untrusted | Unknown):
        word = "untrusted" if isinstance(verdict, Untrusted) else "unknown"
        return {"image": verdict.image, "verdict": word, "error": spell_error(verdict.error)}
    return {
        "image": verdict.image,
        "verdict": "trusted",
        "pinned": verdict.pinned,
        "gun": str(verdict.gun),
        "tag": verdict.tag,
        "digest": str(verdict.digest),
        "length": verdict.length,
        "role": verdict.role,
        "keyids": list(verdict.keyids),
        "rootKeyids": list(verdict.root_keyids),
        "expires": moment(verdict.expires),
        "firstUse": verdict.first_use,
        "registryCompared": verdict.compared,
        "place": verdict.place,
        "previousUntil": moment(verdict.previous_until) if verdict.previous_until else None,
        "staleSince": moment(verdict.stale_since) if verdict.stale_since else None,
        "taken": moment(verdict.taken) if verdict.taken else None,
    }


def spell_error(error: TrustregError) -> dict[str, Any]:
    """Return *error* with its facts."""
    return {"code": error.code, "message": str(error), "remedy": error.remedy, "facts": error.facts()}


def print_contents(contents: Contents) -> None:
    """Print the tags of a collection as a table."""
    caution(contents)
    rows = (
        (entry.tag, str(entry.digest), str(entry.length), entry.role + ("" if entry.counts else " (does not count)"))
        for entry in contents.entries
    )
    table(("TAG", "DIGEST", "SIZE", "ROLE"), rows)
    for role, error in contents.failed.items():
        complain(error, f"trustreg: {role} is left out")


def print_inspection(contents: Contents, tag: str | None, *, stored: bool = False) -> None:
    """Print who may sign what in a collection, and who signed *tag*."""
    caution(contents)
    say(f"collection  {contents.gun}")
    say(f"{'archive' if contents.taken else 'store  ' if stored else 'server '}     {contents.server}")
    if contents.taken:
        say(f"copied at   {moment(contents.taken)}")
    for keyid in _root_of(contents):
        say(f"root key    {keyid}")
    say(f"good until  {moment(contents.expires)}")
    click.echo()
    table(("ROLE", "VERSION", "EXPIRES", "NEEDS", "KEYS (* signed)"), map(_role_row, contents.roles))
    signed = [entry for entry in contents.entries if entry.tag == tag]
    if signed:
        click.echo()
        table(
            ("TAG", "DIGEST", "SIZE", "ROLE", "COUNTS"),
            ((e.tag, str(e.digest), str(e.length), e.role, "yes" if e.counts else "no") for e in signed),
        )
    elif tag:
        click.echo()
        say(f"{tag} is not signed by any role")
    for role, error in contents.failed.items():
        complain(error, f"trustreg: {role} is left out")


def spell_contents(contents: Contents, tag: str | None = None) -> dict[str, Any]:
    """Return *contents* as ``schemas/contents.schema.json`` has it; of *tag* only, where one is given."""
    return {
        "gun": str(contents.gun),
        "server": contents.server,
        "expires": moment(contents.expires),
        "firstUse": contents.first_use,
        "staleSince": moment(contents.stale_since) if contents.stale_since else None,
        "taken": moment(contents.taken) if contents.taken else None,
        "roles": [_spell_role(role) for role in contents.roles],
        "tags": [_spell_entry(entry) for entry in contents.entries if tag in {None, entry.tag}],
        "failed": {role: spell_error(error) for role, error in contents.failed.items()},
    }


def moment(time: datetime) -> str:
    """Return *time* as RFC 3339 has it, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _role_row(role: RoleState) -> tuple[str, ...]:
    keys = " ".join(keyid[:12] + ("*" if keyid in role.signed_by else "") for keyid in role.keyids)
    needs = f"{role.threshold} of {len(role.keyids)}"
    return role.name, str(role.version), moment(role.expires), needs, keys


def _spell_role(role: RoleState) -> dict[str, Any]:
    return {
        "name": role.name,
        "version": role.version,
        "expires": moment(role.expires),
        "threshold": role.threshold,
        "keyids": list(role.keyids),
        "signedBy": list(role.signed_by),
        "prefixes": list(role.prefixes),
    }


def _spell_entry(entry: Entry) -> dict[str, Any]:
    return {
        "tag": entry.tag,
        "digest": str(entry.digest),
        "length": entry.length,
        "role": entry.role,
        "keyids": list(entry.keyids),
        "counts": entry.counts,
    }


def _root_of(contents: Contents) -> tuple[str, ...]:
    return next(role.signed_by for role in contents.roles if role.name == "root")
