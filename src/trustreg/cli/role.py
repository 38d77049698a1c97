"""``trustreg role``: who may sign what in a collection."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from trustreg.cli.chosen import Keys, pick
from trustreg.cli.finish import finish, no_publish_option, result
from trustreg.cli.options import DURATION, KIND, MOMENT, as_format, gun_option, reading, writing
from trustreg.cli.progress import progress
from trustreg.cli.render import moment, print_json, table
from trustreg.errors import ChangeError, InputError, KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from trustreg.metadata import Key
    from trustreg.names import Gun
    from trustreg.ports import HeldKey
    from trustreg.sign.changes import Change
    from trustreg.survey import Seat
    from trustreg.wire import Wiring

P = ParamSpec("P")

_keys = click.argument("keys", nargs=-1, metavar="[KEY...]")
_kind = click.option(
    "--kind",
    type=KIND,
    help="Kind of a new key: ed25519, for the root of a collection on a trust server ecdsa.",
)
_threshold = click.option("--threshold", type=click.IntRange(1), help="How many of the keys have to sign.")
_by_whom = click.option("--by", "delegator", metavar="ROLE", help="Who delegates to the role, where several do.")
_delegator = click.option(
    "--by", "delegator", default="targets", show_default=True, metavar="ROLE", help="Who delegates to it."
)


def _changing(command: Callable[Concatenate[Wiring, Gun, Keys, P], list[Change]]) -> Callable[..., None]:
    """Make a command of what returns changes: they are published or staged, and said."""

    @wraps(command)
    def changing(wiring: Wiring, /, **given: Any) -> None:
        gun, no_publish, as_ = (given.pop(name) for name in ("gun", "no_publish", "as_"))
        home = wiring.collection(gun)
        keys = Keys(wiring, home)
        try:
            changes = command(wiring, home, keys, **given)  # type: ignore[call-arg] # click hands over what it takes
            finish(wiring, [(home, change) for change in changes], as_, no_publish=no_publish)
        except InputError:
            keys.forget()
            raise
        keys.announce()

    return gun_option(no_publish_option(as_format(writing(changing))))


@click.group(short_help="Look at, and change, who may sign what.")
def role() -> None:
    """Look at, and change, who may sign what in a collection.

    KEY is a public key (PEM) in a file, or how the id of a key begins that is here; on a trust server a file may hold
    a certificate, as that of a root key has to. A change is published at once if the keys that it takes are here. If
    they are with others: --no-publish, then `trustreg ceremony prepare FILE`. To delegate on a trust server:
    `trustreg delegation`.
    """


@role.command()
@click.argument("name", metavar="[ROLE]", required=False)
@gun_option
@as_format
@reading
def show(wiring: Wiring, name: str | None, gun: Gun | None, as_: str) -> None:
    """Show who may sign ROLE, or all roles.

    \b
    Examples:
      trustreg role show --store dir:/srv/trust
      trustreg role show --store dir:/srv/trust root
    """
    home = wiring.collection(gun)
    with progress(f"reading {home}"):
        seats = [seat for seat in wiring.seats(home, wiring.now()) if name in {None, seat.name}]
    if not seats:
        raise ChangeError(name or "", "", "there is no such role")
    here = wiring.here()
    if as_ == "json":
        print_json({"gun": str(home), "roles": [_spell(wiring, seat, here) for seat in seats]})
        return
    table(("ROLE", "BY", "VERSION", "EXPIRES", "NEEDS", "SPEAKS FOR"), map(_row, seats))
    click.echo()
    rows = ((s.name, key.id, key.kind, *_marks(wiring, s, key, here)) for s in seats for key in s.keys)
    table(("ROLE", "KEY ID", "KIND", "SIGNED", "HERE"), rows)


@role.command("add-key", short_help="Let another key sign a role.")
@click.argument("name", metavar="ROLE")
@_keys
@_kind
@_threshold
@_by_whom
@_changing
def add_key(
    wiring: Wiring,
    home: Gun,
    made: Keys,
    name: str,
    keys: tuple[str, ...],
    kind: str | None,
    threshold: int | None,
    delegator: str | None,
) -> list[Change]:
    """Let each KEY sign ROLE; without KEY, a new one, which is kept here.

    \b
    Examples:
      trustreg role add-key --store dir:/srv/trust root alice.pub bob.pub --threshold 2
      trustreg role add-key --store dir:/srv/trust timestamp
    """
    from trustreg.sign.changes import SetKeys

    del wiring, home
    return [SetKeys(role=name, add=made.named(keys, name, kind), threshold=threshold, delegator=delegator)]


@role.command("remove-key", short_help="Let a key sign a role no more.")
@click.argument("name", metavar="ROLE")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_threshold
@_by_whom
@_changing
def remove_key(
    wiring: Wiring,
    home: Gun,
    made: Keys,
    name: str,
    keys: tuple[str, ...],
    threshold: int | None,
    delegator: str | None,
) -> list[Change]:
    """Let no KEY sign ROLE any more. KEY may also be how an id begins that the role lists.

    \b
    Example:
      trustreg role remove-key --store dir:/srv/trust root 4f3a --threshold 1
    """
    from trustreg.sign.changes import SetKeys

    del made
    listed = _listed(wiring, home, name, delegator)
    gone = tuple(pick(wiring, listed, text, name) for text in keys)
    return [SetKeys(role=name, remove=gone, threshold=threshold, delegator=delegator)]


@role.command("rotate-key", short_help="Replace a key of a role.")
@click.argument("name", metavar="ROLE")
@click.argument("old", metavar="[KEY]", required=False)
@click.option("--new", metavar="KEY", help="The new key; without it, one is made and kept here.")
@_kind
@_by_whom
@_changing
def rotate_key(
    wiring: Wiring,
    home: Gun,
    made: Keys,
    name: str,
    old: str | None,
    new: str | None,
    kind: str | None,
    delegator: str | None,
) -> list[Change]:
    """Replace KEY, or the only key, of ROLE by a new one.

    Whatever the role signed is signed again. The private half of the old key stays where it is, and counts no more:
    `trustreg key remove` deletes it.

    \b
    Examples:
      trustreg role rotate-key --store dir:/srv/trust timestamp
      trustreg role rotate-key --store dir:/srv/trust root 4f3a --new alice.pub
    """
    from trustreg.sign.changes import SetKeys

    listed = _listed(wiring, home, name, delegator)
    if old is None and len(listed) != 1:
        raise KeyFileError(name, f"it has {len(listed)} keys: say which to replace")
    gone = listed[0].id if old is None else pick(wiring, listed, old, name)
    added = made.named((new,) if new else (), name, kind)
    return [SetKeys(role=name, add=added, remove=(gone,), delegator=delegator)]


@role.command(short_help="Say how many keys have to sign a role.")
@click.argument("name", metavar="ROLE")
@click.argument("number", type=click.IntRange(1))
@_by_whom
@_changing
def threshold(wiring: Wiring, home: Gun, made: Keys, name: str, number: int, delegator: str | None) -> list[Change]:
    """Say that NUMBER of its keys have to sign ROLE.

    \b
    Example:
      trustreg role threshold --store dir:/srv/trust root 2
    """
    from trustreg.sign.changes import SetKeys

    del wiring, home, made
    return [SetKeys(role=name, threshold=number, delegator=delegator)]


@role.command(short_help="Let a role speak for some targets.")
@click.argument("name")
@_keys
@click.option("--path", "patterns", multiple=True, metavar="PATTERN", help="For these; no * crosses a /. Repeatable.")
@click.option("--hash-prefix", "hash_prefixes", multiple=True, metavar="HEX", help="For names of such a hash.")
@_delegator
@click.option("--threshold", type=click.IntRange(1), default=1, show_default=True, help="How many keys have to sign.")
@click.option("--terminating", is_flag=True, help="What it may speak for and does not list, nobody after it may.")
@click.option("--position", type=click.IntRange(0), help="Its place among the delegations; 0 is asked first.")
@_kind
@_changing
def delegate(  # as many things are to be said of a delegation
    wiring: Wiring,
    home: Gun,
    made: Keys,
    name: str,
    keys: tuple[str, ...],
    patterns: tuple[str, ...],
    hash_prefixes: tuple[str, ...],
    delegator: str,
    threshold: int,
    position: int | None,
    kind: str | None,
    *,
    terminating: bool,
) -> list[Change]:
    """Let the role NAME speak for the targets that PATTERN matches, signed by KEY; or by a new one, kept here.

    If it may speak already, it does so on these terms from now on. A role whose keys are with others has to be signed
    by them first: that takes a ceremony.

    \b
    Examples:
      trustreg role delegate --store dir:/srv/trust docs alice.pub --path "docs/*"
      trustreg role delegate --store dir:/srv/trust app --path "registry.example/team/app:*" --terminating
    """
    from trustreg.sign.changes import Delegate

    del wiring, home
    change = Delegate(
        role=delegator,
        name=name,
        keys=made.named(keys, name, kind),
        threshold=threshold,
        patterns=patterns,
        hash_prefixes=hash_prefixes,
        terminating=terminating,
        position=position,
    )
    return [change]


@role.command(short_help="Let a role speak no more.")
@click.argument("name")
@_delegator
@_changing
def undelegate(wiring: Wiring, home: Gun, made: Keys, name: str, delegator: str) -> list[Change]:
    """Let the role NAME, or all bins whose names begin so, speak no more. What only they list is signed no more.

    \b
    Example:
      trustreg role undelegate --store dir:/srv/trust docs
    """
    from trustreg.sign.changes import Undelegate

    del wiring, home, made
    return [Undelegate(role=delegator, name=name)]


@role.command(short_help="Spread the targets of a role over bins.")
@click.argument("number", type=click.IntRange(2, 1 << 16))
@_keys
@_delegator
@click.option("--prefix", default="bin", show_default=True, help="What the names of the bins begin with.")
@_threshold
@_kind
@_changing
def bins(
    wiring: Wiring,
    home: Gun,
    made: Keys,
    number: int,
    keys: tuple[str, ...],
    delegator: str,
    prefix: str,
    threshold: int | None,
    kind: str | None,
) -> list[Change]:
    """Spread the targets of a role over NUMBER bins, a power of two, by the hash of their names.

    Readers then fetch one bin to find a target, and publishers sign one to add it. If there are bins already, their
    targets move. Bins are signed by KEY, or by those who sign the bins that there are, or by a new key, kept here.

    \b
    Examples:
      trustreg role bins --store dir:/srv/trust 256
      trustreg role bins --store dir:/srv/trust 1024 4f3a
    """
    from trustreg.sign.changes import DelegateBins

    bits = number.bit_length() - 1
    if number != 1 << bits:
        raise click.BadParameter(f"{number} is no power of two.")
    already = not keys and any(s.bins and s.delegator == delegator for s in wiring.seats(home, wiring.now()))
    signing = () if already else made.named(keys, prefix, kind)
    return [DelegateBins(role=delegator, bits=bits, prefix=prefix, keys=signing, threshold=threshold)]


@role.command(short_help="Say until when a role is good.")
@click.argument("name", metavar="ROLE")
@click.option("--until", type=MOMENT, help="When its next version expires.")
@click.option("--lifetime", type=DURATION, help="For how long each version is good, as 30d; 0d: as long as usual.")
@_changing
def expiry(
    wiring: Wiring,
    home: Gun,
    made: Keys,
    name: str,
    until: datetime | None,
    lifetime: timedelta | None,
) -> list[Change]:
    """Say until when ROLE is good, once or from now on. It is signed anew.

    \b
    Examples:
      trustreg role expiry --store dir:/srv/trust timestamp --lifetime 2d
      trustreg role expiry --store dir:/srv/trust root --until 2028-01-31
    """
    from trustreg.sign.changes import SetExpiry

    del wiring, home, made
    if until is None and lifetime is None:
        raise click.UsageError("Say when: --until, or --lifetime.")
    return [SetExpiry(role=name, expires=until, lifetime=lifetime)]


@role.command(short_help="Add a signature to what is published.")
@click.argument("name", metavar="ROLE")
@gun_option
@as_format
@writing
def sign(wiring: Wiring, name: str, gun: Gun | None, as_: str) -> None:
    """Add the signatures of the keys that are here to the published version of ROLE, a root or targets role.

    The version stays, and so does what it says.

    \b
    Example:
      trustreg role sign --store dir:/srv/trust root
    """
    home = wiring.collection(gun)
    with progress(f"signing {name}"):
        published = wiring.publisher().add_signature(home, name, wiring.now())
    result(published, as_)


def _listed(wiring: Wiring, home: Gun, name: str, delegator: str | None) -> tuple[Key, ...]:
    """Return the keys of a role."""
    found = {key.id: key for seat in _seats_of(wiring, home, name, delegator) for key in seat.keys}
    if not found:
        raise ChangeError(name, "", "there is no such role")
    return tuple(found.values())


def _seats_of(wiring: Wiring, home: Gun, name: str, delegator: str | None) -> Iterator[Seat]:
    with progress(f"reading {home}"):
        seats = wiring.seats(home, wiring.now())
    return (seat for seat in seats if seat.name == name and delegator in {None, seat.delegator})


def _row(seat: Seat) -> tuple[str, ...]:
    what = [*seat.patterns, *(f"{start}… (hash)" for start in seat.hash_prefixes[:4])]
    what += ["…"] if len(seat.hash_prefixes) > 4 else []
    what += ["(terminating)"] if seat.terminating else []
    name = f"{seat.name} ({seat.bins} bins)" if seat.bins else seat.name
    version = "failed" if seat.failed else "-" if seat.version is None else str(seat.version)
    expires = moment(seat.expires) if seat.expires else "-"
    return name, seat.delegator, version, expires, f"{seat.threshold} of {len(seat.keys)}", " ".join(what) or "-"


def _marks(wiring: Wiring, seat: Seat, key: Key, here: Mapping[str, HeldKey]) -> tuple[str, str]:
    signed = "-" if seat.version is None else "yes" if key.id in seat.signed_by else "no"
    plain = wiring.plain_id(key)
    return signed, plain[:12] if plain in here else "no"


def _spell(wiring: Wiring, seat: Seat, here: Mapping[str, HeldKey]) -> dict[str, Any]:
    return {
        "name": seat.name,
        "delegator": seat.delegator,
        "version": seat.version,
        "expires": moment(seat.expires) if seat.expires else None,
        "threshold": seat.threshold,
        "keys": [
            {
                "keyid": key.id,
                "kind": key.kind,
                "signed": None if seat.version is None else key.id in seat.signed_by,
                "here": wiring.plain_id(key) in here,
            }
            for key in seat.keys
        ],
        "patterns": list(seat.patterns),
        "hashPrefixes": list(seat.hash_prefixes),
        "terminating": seat.terminating,
        "bins": seat.bins,
        "failed": str(seat.failed) if seat.failed else None,
    }
