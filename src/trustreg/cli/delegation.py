"""``trustreg delegation``, ``signer``, ``witness`` and ``delete``: what ``notary`` and ``docker trust`` do as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trustreg.cli.chosen import Keys, pick
from trustreg.cli.finish import finish, no_publish_option
from trustreg.cli.options import GUN, as_format, confirm, reading, writing, yes_option
from trustreg.cli.progress import progress
from trustreg.cli.render import print_json, say, table
from trustreg.errors import ChangeError, NoTrustDataError
from trustreg.names import RELEASES, TARGETS, is_delegation, parent, signer_of
from trustreg.sign.changes import Amend, Purge, Undelegate, Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trustreg.names import Gun
    from trustreg.sign.changes import Change
    from trustreg.survey import Seat
    from trustreg.wire import Wiring


def _delegated(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not is_delegation(name):
        raise click.BadParameter(f"{name!r} is not the name of a delegated role, as targets/releases.")
    return name


def _signer(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    role = f"{TARGETS}/{name}"
    if "/" in name or not is_delegation(role) or role == RELEASES:
        raise click.BadParameter(f"{name!r} is not the name of a signer: small letters, digits, - and _.")
    return role


_gun = click.argument("gun", type=GUN)
_guns = click.argument("guns", type=GUN, nargs=-1, required=True, metavar="GUN...")
_role = click.argument("name", metavar="ROLE", callback=_delegated)
_name = click.argument("role", metavar="NAME", callback=_signer)
_paths = click.option("--path", "paths", multiple=True, metavar="START", help="What names begin with. Repeatable.")


@click.group(short_help="Let other roles of a trust server sign.")
def delegation() -> None:
    """Let others sign for a collection on a trust server, as `notary delegation` does.

    KEY is a public key or a certificate (PEM) in a file, or how the id of a key begins that is here. For collections in
    stores: `trustreg role delegate`.
    """


@delegation.command(short_help="Let keys sign a role, and a role speak.")
@_gun
@_role
@click.argument("keys", nargs=-1, metavar="[KEY...]")
@_paths
@click.option("--all-paths", is_flag=True, help="For all names.")
@click.option("--threshold", type=click.IntRange(1), help="How many of its keys have to sign it.")
@no_publish_option
@as_format
@writing
def add(
    wiring: Wiring,
    gun: Gun,
    name: str,
    keys: tuple[str, ...],
    paths: tuple[str, ...],
    threshold: int | None,
    as_: str,
    *,
    all_paths: bool,
    no_publish: bool,
) -> None:
    """Let each KEY sign the role ROLE, and the role speak for names that begin with START.

    A role that is there already keeps the keys and paths that it has.

    \b
    Examples:
      trustreg delegation add registry.example/team/app targets/releases alice.crt --all-paths
      trustreg delegation add registry.example/team/app targets/qa bob.pub carol.pub --path rc- --threshold 2
    """
    added = Keys(wiring, wiring.collection(gun)).named(keys, name) if keys else ()
    wanted = (*paths, *([""] if all_paths else []))
    if not (added or wanted or threshold):
        raise click.UsageError("Say what to add: KEY, --path or --all-paths.")
    change = Amend(role=parent(name), name=name, add_keys=added, add_paths=wanted, threshold=threshold)
    finish(wiring, [(wiring.collection(gun), change)], as_, no_publish=no_publish)


@delegation.command(short_help="Take keys and paths from a role, or all.")
@_gun
@_role
@click.argument("keys", nargs=-1, metavar="[KEYID...]")
@_paths
@click.option("--all-paths", is_flag=True, help="All paths that it has.")
@click.option("--threshold", type=click.IntRange(1), help="How many of its keys have to sign it from now on.")
@yes_option
@no_publish_option
@as_format
@writing
def remove(
    wiring: Wiring,
    gun: Gun,
    name: str,
    keys: tuple[str, ...],
    paths: tuple[str, ...],
    threshold: int | None,
    as_: str,
    *,
    all_paths: bool,
    yes: bool,
    no_publish: bool,
) -> None:
    """Take keys and paths from the role ROLE; without any of them, let it speak no more at all.

    KEYID is an id of a key in full, or how one begins that the role lists, or a file with the key (PEM).

    \b
    Examples:
      trustreg delegation remove registry.example/team/app targets/qa 4f3a
      trustreg delegation remove registry.example/team/app targets/qa --yes
    """
    home = wiring.collection(gun)
    change: Change = Undelegate(role=parent(name), name=name)
    if keys or paths or all_paths or threshold:
        seats = [seat for seat in _seats(wiring, home) if seat.name == name]
        if not seats:
            raise ChangeError(name, "", "there is no such role")
        gone = _ids(wiring, seats, keys)
        change = Amend(
            role=parent(name),
            name=name,
            remove_keys=gone,
            remove_paths=paths,
            clear_paths=all_paths,
            threshold=threshold,
        )
    else:
        confirm(f"Let {name} of {home} speak no more", yes=yes)
    finish(wiring, [(home, change)], as_, no_publish=no_publish)


@delegation.command("list", short_help="List the delegated roles.")
@_gun
@as_format
@reading
def list_(wiring: Wiring, gun: Gun, as_: str) -> None:
    """List the delegated roles, with the ids of their keys as `trustreg key list` shows them.

    \b
    Example:
      trustreg delegation list registry.example/team/app
    """
    home = wiring.collection(gun)
    seats = [seat for seat in _seats(wiring, home) if is_delegation(seat.name)]
    if as_ == "json":
        spelled = [
            {
                "name": seat.name,
                "paths": [pattern.removesuffix("*") for pattern in seat.patterns],
                "threshold": seat.threshold,
                "keys": [wiring.plain_id(key) for key in seat.keys],
                "signed": seat.version is not None,
                "failed": str(seat.failed) if seat.failed else None,
            }
            for seat in seats
        ]
        print_json({"gun": str(home), "delegations": spelled})
        return
    table(("ROLE", "PATHS", "NEEDS", "KEY IDS"), (_row(wiring, seat) for seat in seats))


@delegation.command(short_help="Let a key sign no delegated role any more.")
@_gun
@click.option("--key", "keys", multiple=True, required=True, metavar="KEYID", help="Whose key. Repeatable.")
@no_publish_option
@as_format
@writing
def purge(wiring: Wiring, gun: Gun, keys: tuple[str, ...], as_: str, *, no_publish: bool) -> None:
    """Let a key sign none of the roles any more that targets delegates to.

    \b
    Example:
      trustreg delegation purge registry.example/team/app --key 4f3a
    """
    home = wiring.collection(gun)
    seats = [seat for seat in _seats(wiring, home) if is_delegation(seat.name)]
    gone = _ids(wiring, seats, keys)
    finish(wiring, [(home, Purge(role=TARGETS, keys=gone))], as_, no_publish=no_publish)


@click.group(short_help="Let people sign, in Docker's way.")
def signer() -> None:
    """Let people sign for a collection on a trust server, as `docker trust signer` does.

    A signer NAME has a role of their own, targets/NAME, and signs targets/releases, which is what Docker pulls.
    """


@signer.command("add", short_help="Let somebody sign.")
@_name
@_guns
@click.option("--key", "keys", multiple=True, required=True, metavar="KEY", help="Public key, or id. Repeatable.")
@no_publish_option
@as_format
@writing
def add_signer(
    wiring: Wiring, role: str, guns: tuple[Gun, ...], keys: tuple[str, ...], as_: str, *, no_publish: bool
) -> None:
    """Let NAME sign for each collection GUN, with each KEY. A collection that is not there yet is begun.

    \b
    Example:
      trustreg signer add alice registry.example/team/app --key alice.pub
    """
    changes: list[tuple[Gun, Change]] = []
    for gun in guns:
        home = wiring.collection(gun)
        _begin(wiring, home)
        added = Keys(wiring, home).named(keys, role)
        changes += [(home, Amend(role=TARGETS, name=n, add_keys=added, add_paths=("",))) for n in (role, RELEASES)]
    finish(wiring, changes, as_, no_publish=no_publish)


@signer.command("remove", short_help="Let somebody sign no more.")
@_name
@_guns
@yes_option
@no_publish_option
@as_format
@writing
def remove_signer(wiring: Wiring, role: str, guns: tuple[Gun, ...], as_: str, *, yes: bool, no_publish: bool) -> None:
    """Let NAME sign no more for each collection GUN. Asks where nobody is left then who signs what Docker pulls.

    \b
    Example:
      trustreg signer remove alice registry.example/team/app
    """
    changes: list[tuple[Gun, Change]] = []
    for gun in guns:
        home = wiring.collection(gun)
        seats = {seat.name: seat for seat in _seats(wiring, home)}
        if role not in seats:
            raise ChangeError(role, "", f"{home} has no such signer")
        others = {key.id for name, seat in seats.items() if signer_of(name) and name != role for key in seat.keys}
        gone = tuple(key.id for key in seats[role].keys if key.id not in others)
        released = seats.get(RELEASES)
        if released and all(key.id in gone for key in released.keys):
            confirm(f"Let nobody sign {RELEASES} of {home} any more, so that no tag in it counts", yes=yes)
        if released and gone:
            changes.append((home, Amend(role=TARGETS, name=RELEASES, remove_keys=gone)))
        changes.append((home, Undelegate(role=TARGETS, name=role)))
    finish(wiring, changes, as_, no_publish=no_publish)


@signer.command("list", short_help="List the signers.")
@_gun
@as_format
@reading
def list_signers(wiring: Wiring, gun: Gun, as_: str) -> None:
    """List the signers of the collection GUN, with the ids of their keys as `trustreg key list` shows them.

    \b
    Example:
      trustreg signer list registry.example/team/app
    """
    home = wiring.collection(gun)
    signers = [seat for seat in _seats(wiring, home) if signer_of(seat.name)]
    rows = [(signer_of(seat.name), [wiring.plain_id(key) for key in seat.keys]) for seat in signers]
    if as_ == "json":
        print_json({"gun": str(home), "signers": [{"name": name, "keys": keys} for name, keys in rows]})
        return
    table(("SIGNER", "KEY IDS"), ((name, " ".join(keys) or "-") for name, keys in rows))


@click.command(short_help="Sign roles again as they stand.")
@_gun
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
@no_publish_option
@as_format
@writing
def witness(wiring: Wiring, gun: Gun, roles: tuple[str, ...], as_: str, *, no_publish: bool) -> None:
    """Sign each ROLE again as it stands: with new keys, or for another while.

    A delegated role that was signed by keys that may not sign it any more counts again then, with all that it says:
    look at that first.

    \b
    Example:
      trustreg witness registry.example/team/app targets/releases
    """
    home = wiring.collection(gun)
    finish(wiring, [(home, Witness(role=role)) for role in roles], as_, no_publish=no_publish)


@click.command(short_help="Delete a collection.")
@_gun
@click.option("--remote", is_flag=True, help="On the trust server, too, for everybody.")
@yes_option
@writing
def delete(wiring: Wiring, gun: Gun, *, remote: bool, yes: bool) -> None:
    """Delete what is kept here of the collection GUN on a trust server: metadata, what was trusted, staged changes.

    Its keys stay. With --remote it goes from the server, too, and nobody can verify its tags any more.

    \b
    Examples:
      trustreg delete registry.example/team/app
      trustreg delete registry.example/team/app --remote --yes
    """
    home = wiring.collection(gun)
    confirm(f"Delete {home}{' from its trust server' if remote else ''}", yes=yes)
    publisher = wiring.publisher()
    if remote:
        publisher.delete(home)
    publisher.unstage(home, [name for name, _ in publisher.staged(home)])
    wiring.forget(home)
    say(f"{home}: deleted{' here and on the trust server' if remote else ' here'}")


def _seats(wiring: Wiring, home: Gun) -> tuple[Seat, ...]:
    with progress(f"reading {home}"):
        return wiring.seats(home, wiring.now())


def _begin(wiring: Wiring, home: Gun) -> None:
    try:
        _seats(wiring, home)
    except NoTrustDataError:
        with progress(f"beginning {home}"):
            wiring.init(home)
        say(f"{home}: begun", err=True)


def _ids(wiring: Wiring, seats: Iterable[Seat], texts: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the keys of *seats* that *texts* mean."""
    listed = list(seats)
    keys, names = [key for seat in listed for key in seat.keys], ", ".join(seat.name for seat in listed) or TARGETS
    return tuple(pick(wiring, keys, text, names) for text in texts)


def _row(wiring: Wiring, seat: Seat) -> tuple[str, ...]:
    paths = " ".join("all" if pattern == "*" else pattern for pattern in seat.patterns)
    ids = " ".join(wiring.plain_id(key) for key in seat.keys)
    return seat.name, paths or "-", f"{seat.threshold} of {len(seat.keys)}", ids or "-"
