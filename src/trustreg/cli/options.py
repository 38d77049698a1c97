"""Options that several commands share, and the types of their arguments."""

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from trustreg.cli.progress import hushed
from trustreg.cli.render import complain, moment, say
from trustreg.errors import NameFormError, SettingError, TrustregError
from trustreg.io.settings import is_host
from trustreg.names import Gun, Reference
from trustreg.wire import Wiring

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # generic in newer releases only
    _ParamType = click.ParamType

P = ParamSpec("P")
R = TypeVar("R")


class _Named(_ParamType):
    """An argument that one of our names is parsed from."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parsed *value*, or fail as a usage error."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except (NameFormError, SettingError) as exc:
            self.fail(str(exc), param, ctx)


def _gun(text: str) -> Gun:
    """Read a GUN as people type a repository: ``team/app`` is ``docker.io/team/app``, and a tag is a mistake."""
    try:
        reference = Reference.parse(_long(text))
    except NameFormError:
        return Gun(text)  # collections may be named more freely than repositories
    if reference.digest or text.rpartition("/")[2].count(":"):
        raise NameFormError(text, "GUN", "a collection is named without tag and digest")
    return reference.gun


def _image(text: str) -> Reference:
    return Reference.parse(_long(text))


def _long(text: str) -> str:
    """Return what *text* is short for by the configuration of containers' tools, and say so if that is unusual."""
    if is_host(text.partition("/")[0]) and "/" in text:
        return text
    from trustreg.io.registriesconf import read

    found = read(os.environ.get("HOME") or "", os.environ).long(text)
    if found is None:
        return text
    if Reference.parse(found[0]) != Reference.parse(text):
        say(f"trustreg: {text} is short for {found[0]}, says {found[1]}", err=True)
    return found[0]


def _place(text: str) -> str:
    from trustreg.io.signatures.places import parse

    return str(parse(text, "place"))


IMAGE = _Named("image", _image)
PLACE = _Named("place", _place)
"""Where signatures are kept."""
GUN = _Named("gun", _gun)


class _Duration(_ParamType):
    """A number and its unit, ``90s``, ``15m``, ``36h``, ``7d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a duration, or fail as a usage error."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch("([0-9]{1,7})([smhd])", value)
        if not found:
            self.fail(f"{value!r} is not a number and its unit, as 90s, 15m, 36h or 7d.", param, ctx)
        return timedelta(seconds=int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]])


class _Moment(_ParamType):
    """A day, or a day and a time, in UTC where nothing else is said."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a moment, or fail as a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day, as 2027-01-31, or a time, as 2027-01-31T12:00Z.", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


DURATION, MOMENT = _Duration(), _Moment()
KIND = click.Choice(["ed25519", "ecdsa", "rsa"])

gun_option = click.option(
    "--gun", type=GUN, help="The repository whose collection is meant, where a store is not the place of one alone."
)

roles_option = click.option(
    "--role", "roles", multiple=True, metavar="ROLE", help="In this role, and no other. Repeatable."
)

gpg_home_option = click.option(
    "--gpg-home", type=click.Path(path_type=Path), metavar="DIR", help="The GNUPGHOME of the GPG key; else gpg's own."
)

as_format = click.option(
    "--format", "as_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(what: str, *, yes: bool) -> None:
    """Ask a person whether *what* is to be done, unless ``--yes`` says so; end the command where it is not."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is here to confirm: say --yes.")
    click.confirm(what, abort=True, err=True)


_SETTINGS = (
    click.option("--config", "config", metavar="FILE", help="Read this configuration file and no other."),
    click.option("--trust-dir", metavar="DIR", help="Keep keys and trusted metadata here."),
    click.option("--notary-config", metavar="FILE", help="Use what this config.json of Notary's own client says."),
    click.option("--server", metavar="URL", help="The trust server, instead of the configured one."),
    click.option("--store", metavar="PLACE", help="Keep the collection here, without a server: dir:, s3:, oci:, ..."),
    click.option("--ca", metavar="FILE", help="Trust this CA (PEM) for the trust server and the registry."),
    click.option("-v", "--verbose", is_flag=True, help="Print each request on standard error."),
)
_TRUST = (
    click.option("--pin", multiple=True, metavar="KEYID", help="Accept only a root with this key. Repeatable."),
    click.option("--no-first-use", "first_use", flag_value=False, default=None, help="Refuse a root never seen."),
    click.option("--role", "roles", multiple=True, metavar="ROLE", help="Roles whose word counts, in order."),
    click.option("--offline-grace", metavar="TIME", help="Without network, use trust data this old, as 12h or 3d."),
)
_SECRETS = (click.option("--passphrase-file", metavar="FILE", help="Read the passphrase of the keys from FILE."),)


def settings(command: Callable[Concatenate[Wiring, P], R], *, options: tuple[Any, ...] = _SETTINGS) -> Callable[P, R]:
    """Give *command* the options that find its way around, and hand it the wiring made of them."""
    names = _names_of(options)

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        flags = {name: kwargs.pop(name) for name in names}
        verbose = bool(flags.pop("verbose", False))
        wiring = make_wiring(flags, verbose=verbose)
        click.get_current_context().obj = wiring
        return command(wiring, *args, **kwargs)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def make_wiring(flags: dict[str, Any], *, verbose: bool = False) -> Wiring:
    """Return what a command needs, of this process, with *flags*."""
    trace = partial(say, err=True) if verbose else None
    return Wiring(flags, os.environ, lambda: datetime.now(UTC), trace, _pass_over, hushed)


def reading(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to read collections."""
    return settings(command, options=_SETTINGS + _TRUST)


_ARCHIVE = (
    click.option("--from", "archive", metavar="ARCHIVE", help="Read this archive, and ask no trust server."),
    click.option("--at", type=MOMENT, metavar="TIME", help="With --from: judge as of this time, not of now."),
)


def reading_archives(command: Callable[Concatenate[Wiring, P], R], *, also: tuple[Any, ...] = ()) -> Callable[P, R]:
    """Give *command* what it takes to read collections and copies of them in archives, and the options *also*."""

    @wraps(command)
    def told(wiring: Wiring, /, *args: P.args, **kwargs: P.kwargs) -> R:
        params = click.get_current_context().params
        if params["at"] and not params["archive"]:
            raise click.UsageError("--at is for archives: say which with --from.")
        if params["archive"]:
            when = f"as of {moment(params['at'])}, a time that was chosen" if params["at"] else "as of now"
            say(f"trustreg: no trust server is asked: {params['archive']} is judged {when}", err=True)
        return command(wiring, *args, **kwargs)

    return settings(told, options=_SETTINGS + _TRUST + _ARCHIVE + also)


_POLICY = (
    click.option("--policy", metavar="FILE", help="Judge by this policy: YAML, or the policy.json of containers."),
)


def judging(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to judge images, by a policy or without one."""
    return reading_archives(command, also=_POLICY)


def by_policy(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to judge images by a policy."""
    return settings(command, options=_SETTINGS + _TRUST + _POLICY)


def copying(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to copy collections as they are now, and what archives have of them."""
    return settings(command, options=_SETTINGS + _TRUST + _ARCHIVE[:1])


def writing(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to write collections."""
    return settings(command, options=_SETTINGS + _TRUST[:2] + _SECRETS)


def settings_to_convert(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to read collections, copies of them too, and to sign."""
    return reading_archives(command, also=_SECRETS)


def with_keys(command: Callable[Concatenate[Wiring, P], R]) -> Callable[P, R]:
    """Give *command* what it takes to handle keys."""
    return settings(command, options=_SETTINGS[:3] + _SECRETS)


def _pass_over(error: TrustregError) -> None:
    complain(error, "trustreg: passed over")


def _names_of(options: tuple[Any, ...]) -> tuple[str, ...]:
    def probe() -> None:
        """Carry the options, so that click names them."""

    for option in options:
        option(probe)
    parameters: list[click.Parameter] = probe.__click_params__  # type: ignore[attr-defined]
    return tuple(parameter.name for parameter in parameters if parameter.name)
