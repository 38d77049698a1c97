"""``trustreg convert`` and ``check-conversion``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.entry import EXIT_REFUSED
from trustreg.cli.options import GUN, KIND, as_format, settings_to_convert
from trustreg.cli.progress import progress
from trustreg.cli.render import announce, moment, print_json, say, table
from trustreg.names import ROOT, Gun

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.conversion import Gathered, Plan, Refused, Step
    from trustreg.converting import Checked
    from trustreg.statement import Statement
    from trustreg.wire import Wiring

_PLACE = "dir:PATH, s3://BUCKET/PREFIX, gs:, az:, oci:, https://SERVER or lookaside:FOLDER"


def _to_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* what says where the tags are signed again, and by which GPG key."""
    options = (
        click.option("--to", "place", required=True, metavar="PLACE", help=f"The new place: {_PLACE}."),
        click.option(
            "--to-pin",
            "pins",
            multiple=True,
            metavar="KEYID",
            help="Accept only a root with this key there. Repeatable.",
        ),
        click.option("--gpg-key", metavar="FINGERPRINT", help="The primary key of the GPG signatures."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(short_help="Sign the tags of a collection again, under new keys.")
@click.argument("gun", type=GUN, required=False)
@_to_options
@click.option("--execute", is_flag=True, help="Do it. Without this, only say what would be done.")
@click.option("--statement", type=click.Path(path_type=Path), metavar="FILE", help="Where to leave the statement.")
@click.option("--replace", is_flag=True, help="Replace what the new place signs otherwise.")
@click.option("--check-registry", is_flag=True, help="Note where the registry serves something else than was signed.")
@click.option("--index-only", is_flag=True, help="With GPG, do not sign the platforms of an index.")
@click.option("--gpg-home", type=click.Path(path_type=Path), metavar="DIR", help="The GNUPGHOME of the key.")
@click.option("--no-old-keys", is_flag=True, help="Do not sign the statement with keys of the old collection.")
@click.option("--use", multiple=True, metavar="KEYID", help="Begin a new collection with this key that is here.")
@click.option("--root-kind", type=click.Choice(["ecdsa", "rsa", "ed25519"]), help="Kind of a new root key.")
@click.option(
    "--kind",
    type=KIND,
    default="ed25519",
    show_default=True,
    help="Kind of the other new keys.",
)
@as_format
@settings_to_convert
@click.pass_context
def convert(
    ctx: click.Context,
    wiring: Wiring,
    /,
    gun: Gun | None,
    as_: str,
    *,
    execute: bool,
    statement: Path | None,
    replace: bool,
    check_registry: bool,
    no_old_keys: bool,
    **to: Any,
) -> None:
    """Sign the verified tags of the collection GUN again: in a store, on another trust server, or with GPG.

    Without --execute this changes nothing, and prints what it would do: every tag, who signed it, and what cannot be
    converted, with the reason. What could not be verified is never converted.

    With --execute all tags are signed in one publication, and a statement, signed by keys of both sides, links the two.
    Whoever is interrupted runs it again: it goes on, and does nothing twice. A collection that is new gets keys of its
    own, which are kept here as by `trustreg init`.

    \b
    Exit codes: 0 everything is, or would be, converted; 1 something is refused; 3 it could not be found out.

    \b
    Examples:
      trustreg convert --to dir:/srv/trust registry.example/team/app
      trustreg convert --to oci: --execute registry.example/team/app
      trustreg convert --to https://notary.example --execute registry.example/team/app
      trustreg convert --to lookaside:/srv/signatures --gpg-key FINGERPRINT --execute registry.example/team/app
    """
    from trustreg.converting import Conversion, To

    home = wiring.collection(gun)
    with (
        progress(f"converting {home}"),
        Conversion(wiring, home, To(**to), overwrite=replace, compare=check_registry) as work,
    ):
        plan, done, path = work.plan(), None, statement or Path(_file_name(home))
        if execute and plan.steps:
            done = work.run(plan, path, old_keys=not no_old_keys)
    if plan.source.first_use:
        announce(plan.source.collection.gun, plan.source.root.keyids)
    if as_ == "json":
        print_json(_spell(plan, work.where, done, path))
    else:
        _print(plan, work.where, done, path, execute=execute)
    ctx.exit(EXIT_REFUSED if plan.refused else 0)


@click.command("check-conversion", short_help="Verify a statement that links two collections.")
@click.argument("file", type=click.Path(path_type=Path), metavar="STATEMENT")
@_to_options
@as_format
@settings_to_convert
@click.pass_context
def check_conversion(ctx: click.Context, wiring: Wiring, /, file: Path, as_: str, **to: Any) -> None:
    """Verify the STATEMENT that `trustreg convert` left, by keys of both sides, and compare the tags of both with it.

    The old collection need not be reachable any more if its root is remembered here or pinned with --pin.

    \b
    Exit codes: 0 it holds, 1 it does not, or tags differ, 3 it could not be found out.

    \b
    Examples:
      trustreg check-conversion --to dir:/srv/trust team-app.conversion.json
      trustreg check-conversion --to lookaside:/srv/signatures --gpg-key FINGERPRINT team-app.conversion.json
    """
    from trustreg.converting import To, check
    from trustreg.io.files import read_bounded
    from trustreg.statement import LARGEST

    with progress("checking"):
        said, old, new = check(wiring, read_bounded(file, LARGEST * 2), To(**to))
    if as_ == "json":
        print_json(
            {
                "statement": _spell_statement(said),
                "source": _spell_checked(old),
                "destination": _spell_checked(new),
            }
        )
    else:
        say(f"{said.source.gun}: {len(said.lines)} tags, as of {moment(said.made)}, list sha256:{said.digest}")
        _print_side("old", said.source.place, old)
        _print_side("new", said.destination.place, new)
    ctx.exit(EXIT_REFUSED if old.differences or new.differences else 0)


def _print(plan: Plan, where: str, done: Statement | None, path: Path, *, execute: bool) -> None:
    source = plan.source.collection
    say(f"from  {source.gun} at {source.place}, {_versions(plan.source)}")
    say(f"to    {where}{', which is to begin' if plan.begin and not done else ''}")
    if plan.steps:
        click.echo()
        table(("TAG", "DIGEST", "SIZE", "ROLE", "SIGNED BY", "STATE"), (_row(step, done) for step in plan.steps))
    if plan.refused:
        click.echo()
        table(
            ("NOT CONVERTED", "ROLE", "REASON"), ((one.name or "(all)", one.role, one.reason) for one in plan.refused)
        )
    click.echo()
    due, there, refused = _counts(plan)
    say(f"{due} {'converted' if done else 'to convert'}, {there} there already, {refused} refused")
    if done:
        old, new = (", ".join(keyid[:12] for keyid in done.signed_by[side]) for side in ("source", "destination"))
        say(f"{path}: signed by {f'old keys {old}' if old else 'no key of the old collection'} and new keys {new}")
    elif not execute and plan.steps:
        say("Nothing was changed. Run it again with --execute to do this.")


def _row(step: Step, done: Statement | None) -> tuple[str, ...]:
    state = {"there": "there already", "convert": "converted" if done else "to convert"}[step.state]
    more = f"+ {len(step.manifests)} platforms" if step.manifests else ""
    tag = step.tag
    keys = ", ".join(keyid[:12] for keyid in tag.keyids)
    also = f", also {' '.join(tag.signers[1:])}" if tag.signers[1:] else ""
    said = "; ".join(filter(None, (f"{state} {more}".strip(), step.note)))
    return tag.name, str(tag.digest), str(tag.length), tag.role, f"{keys}{also}", said


def _print_side(which: str, place: str, checked: Checked) -> None:
    keys = ", ".join(keyid[:12] for keyid in checked.keyids)
    how = _KNOWN[checked.known]
    tags = "the same tags" if checked.compared else f"tags not compared: {checked.problem}"
    tags = f"{len(checked.differences)} tags differ" if checked.differences else tags
    say(f"{which}  {place}: signed by {checked.role} (key {keys}), {how}; {tags}")
    for difference in checked.differences:
        say(f"  {difference}", err=True)


def _versions(source: Gathered) -> str:
    top = (f"{role} v{source.files[role].version}" for role in (ROOT, "timestamp", "snapshot", "targets"))
    return ", ".join(top)


def _counts(plan: Plan) -> tuple[int, int, int]:
    due = len(plan.due)
    return due, len(plan.steps) - due, len(plan.refused)


def _spell(plan: Plan, where: str, done: Statement | None, path: Path) -> dict[str, Any]:
    due, there, refused = _counts(plan)
    return {
        "executed": done is not None,
        "source": {
            "collection": str(plan.source.collection.gun),
            "place": plan.source.collection.place,
            "files": {
                role: {"version": file.version, "sha256": file.sha256, "keyids": list(file.keyids)}
                for role, file in plan.source.files.items()
            },
        },
        "destination": {"place": where, "begins": plan.begin},
        "tags": [_spell_step(step, done) for step in plan.steps],
        "refused": [_spell_refused(one) for one in plan.refused],
        "summary": {"convert": due, "there": there, "refused": refused},
        "statement": {"path": str(path), **_spell_statement(done)} if done else None,
    }


def _spell_step(step: Step, done: Statement | None) -> dict[str, Any]:
    return {
        "name": step.tag.name,
        "digest": str(step.tag.digest),
        "length": step.tag.length,
        "role": step.tag.role,
        "keyids": list(step.tag.keyids),
        "signers": list(step.tag.signers),
        "manifests": [str(digest) for digest in step.manifests],
        "state": "there" if step.state == "there" else "converted" if done else "convert",
        "note": step.note,
    }


def _spell_refused(one: Refused) -> dict[str, Any]:
    return {"name": one.name or None, "role": one.role, "code": one.code, "reason": one.reason}


def _spell_statement(said: Statement) -> dict[str, Any]:
    return {
        "made": moment(said.made),
        "collection": str(said.source.gun),
        "tags": len(said.lines),
        "tagsSha256": said.digest,
        "signedBy": {side: list(ids) for side, ids in said.signed_by.items()},
    }


def _spell_checked(checked: Checked) -> dict[str, Any]:
    return {
        "role": checked.role,
        "keyids": list(checked.keyids),
        "known": checked.known,
        "compared": checked.compared,
        "problem": checked.problem or None,
        "differences": list(checked.differences),
    }


def _file_name(gun: Gun) -> str:
    """Return what a statement about *gun* is called: its path without the host, as far as that can be a file name."""
    return f"{re.sub(r'[^A-Za-z0-9._]+', '-', str(gun).partition('/')[2] or str(gun)).strip('-.')}.conversion.json"


_KNOWN = {
    "remembered": "whose root is remembered",
    "pinned": "whose root is pinned",
    "asked": "whose root it has now",
    "first-use": "whose root was believed because it came first: compare and pin it",
    "named": "as named",
}
