"""``trustreg ceremony``: what several people sign, each where his key is, in a file to carry around."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustreg.cli.accounts import print_ceremony, print_standings, progress_of, spell_ceremony
from trustreg.cli.finish import prefix, result
from trustreg.cli.options import as_format, gun_option, with_keys, writing
from trustreg.cli.progress import progress
from trustreg.cli.render import print_json, say
from trustreg.errors import ExistsError, NoKeyError, SettingError

if TYPE_CHECKING:
    from trustreg.ceremony import Ceremony
    from trustreg.names import Gun
    from trustreg.wire import Wiring

_file = click.argument("file", type=click.Path(path_type=Path))
_output = click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a new file instead of FILE.")


@click.group(short_help="Have several people sign, each where his key is.")
def ceremony() -> None:
    """Have several people sign, each where his key is: offline, one after the other or all at once.

    Somebody prepares a file. It goes to those whose signatures are needed; each looks at it and signs it. When
    nothing is missing, anybody publishes it. The file holds no secrets.
    """


@ceremony.command(short_help="Write what is staged to a file to sign.")
@_file
@click.option("--renew", "roles", multiple=True, metavar="ROLE", help="Also sign this role again. Repeatable.")
@click.option("--whole", is_flag=True, help="With snapshot and timestamp, so that it takes no key to finish.")
@gun_option
@as_format
@writing
def prepare(wiring: Wiring, file: Path, roles: tuple[str, ...], gun: Gun | None, as_: str, *, whole: bool) -> None:
    """Write a new FILE with what is staged, as files to sign, and sign them with the keys that are here.

    What went into FILE is not staged any more. It builds on what is published now: if somebody publishes the same
    roles before it is finished, it has to be prepared anew.

    \b
    Examples:
      trustreg ceremony prepare --store dir:/srv/trust root-v2.ceremony
      trustreg ceremony prepare --store dir:/srv/trust root-v3.ceremony --renew root
    """
    from trustreg.sign.changes import Witness

    if file.exists():
        raise ExistsError(str(file))
    home, publisher = wiring.collection(gun), wiring.publisher()
    staged = publisher.staged(home)
    changes = [*(change for _, change in staged), *(Witness(role=role) for role in roles)]
    if not changes:
        raise SettingError(str(home), "nothing is staged: say what with --no-publish, or name a role with --renew")
    with progress(f"preparing {file}"):
        prepared = publisher.prepare(home, wiring.now(), changes, whole=whole)
    _write(file, prepared)
    publisher.unstage(home, [name for name, _ in staged])
    _print(prepared, file, as_)


@ceremony.command(short_help="Show what signing a file means.")
@_file
@as_format
@with_keys
def show(wiring: Wiring, file: Path, as_: str) -> None:
    """Show what signing FILE means: every key, threshold, delegation, target and date that changes, and who signed.

    Nobody is asked: this works on a machine without network. If this machine has not read the collection, compare the
    digest of the root that FILE builds on with that of somebody who has.

    \b
    Example:
      trustreg ceremony show root-v2.ceremony
    """
    found = wiring.read_ceremony(file)
    if as_ == "json":
        print_json(spell_ceremony(found, file))
        return
    print_ceremony(found, known=wiring.knows(found))
    click.echo()
    print_standings(found, _here(wiring, found))


@ceremony.command(short_help="Look at a file, and sign it.")
@_file
@_output
@click.option("--yes", is_flag=True, help="Do not ask: you have looked at it with `show`.")
@as_format
@with_keys
def sign(wiring: Wiring, file: Path, output: Path | None, as_: str, *, yes: bool) -> None:
    """Show what signing FILE means, ask, and sign it with the keys that are here.

    Nobody else is asked: this works on a machine that has nothing but the keys.

    \b
    Examples:
      trustreg ceremony sign root-v2.ceremony
      trustreg ceremony sign root-v2.ceremony -o from-alice.ceremony
    """
    if output and output.exists():
        raise ExistsError(str(output))
    found = wiring.read_ceremony(file)
    here = _here(wiring, found)
    known = wiring.knows(found)
    waiting = [standing for standing in found.standings() if here.intersection(standing.waiting)]
    if not waiting:
        wanted = next((standing for standing in found.standings() if standing.waiting), None)
        if wanted is None:
            raise SettingError(str(file), "everybody who may sign it has")
        raise NoKeyError(wanted.role, wanted.waiting)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody is here to look at it: say --yes.")
        print_ceremony(found, known=known)
        click.echo()
        print_standings(found, here)
        click.echo()
        click.confirm("Sign this", abort=True, err=True)
    signed = wiring.publisher().co_sign(found)
    _write(output or file, signed)
    _print(signed, output or file, as_)


@ceremony.command(short_help="Put the signatures of several copies together.")
@_file
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="COPY...")
@_output
@as_format
@with_keys
def merge(wiring: Wiring, file: Path, others: tuple[Path, ...], output: Path | None, as_: str) -> None:
    """Add to FILE the signatures in each COPY of it, where several people have signed at the same time.

    \b
    Example:
      trustreg ceremony merge root-v2.ceremony from-alice.ceremony from-bob.ceremony
    """
    if output and output.exists():
        raise ExistsError(str(output))
    merged = wiring.read_ceremony(file)
    for other in others:
        merged = merged.merge(wiring.read_ceremony(other))
    _write(output or file, merged)
    _print(merged, output or file, as_)


@ceremony.command(short_help="Show who has signed a file, and who has not.")
@_file
@as_format
@with_keys
def status(wiring: Wiring, file: Path, as_: str) -> None:
    """Show who has signed FILE, who may and has not, and how many signatures are missing.

    \b
    Example:
      trustreg ceremony status root-v2.ceremony
    """
    found = wiring.read_ceremony(file)
    if as_ == "json":
        print_json(spell_ceremony(found, file))
        return
    print_standings(found, _here(wiring, found))


@ceremony.command(short_help="Publish a file that everybody has signed.")
@_file
@gun_option
@as_format
@writing
def finish(wiring: Wiring, file: Path, gun: Gun | None, as_: str) -> None:
    """Publish FILE. Snapshot and timestamp, which list the rest, are signed with the keys that are here.

    \b
    Example:
      trustreg ceremony finish --store dir:/srv/trust root-v2.ceremony
    """
    found = wiring.read_ceremony(file)
    try:
        home = wiring.collection(gun)
    except SettingError:
        home = found.gun  # the place is one for many: this says which
    with progress("publishing"):
        published = wiring.publisher().finish(home, found, wiring.now())
    result(published, as_, prefix(wiring, home))


def _write(file: Path, ceremony: Ceremony) -> None:
    from trustreg.io.files import write_atomically

    write_atomically(file, ceremony.spell(), 0o644)


def _print(ceremony: Ceremony, file: Path, as_: str) -> None:
    if as_ == "json":
        print_json(spell_ceremony(ceremony, file))
    else:
        say(f"{file}: {progress_of(ceremony)}")


def _here(wiring: Wiring, found: Ceremony) -> set[str]:
    """Return the ids under which *found* lists keys that are here."""
    here = wiring.here()
    listed = {key.id: key for sheet in found.sheets for _, keys in sheet.page.authorities for key in keys.values()}
    return {keyid for keyid, key in listed.items() if wiring.plain_id(key) in here}
