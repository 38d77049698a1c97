"""What a setting may be, and where it can be said: flags, variables and the tables of a TOML file.

Each place that says something becomes a :class:`Layer` of checked values that remember their source; who wins over
whom is decided in ``config``. The tables at the end are the whole vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias, TypeVar

from trustreg.errors import FileError, NameFormError, SettingError
from trustreg.io.address import Url
from trustreg.io.files import file_error, read_if_present
from trustreg.io.signatures.places import parse as parse_signatures
from trustreg.io.stores.place import Place
from trustreg.names import RELEASES, TARGETS, Gun, is_delegation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_T = TypeVar("_T")
Flag: TypeAlias = str | tuple[str, ...] | bool | None


class Setting(NamedTuple):
    """A value and who gave it: ``--server``, ``TRUSTREG_SERVER``, ``/etc/…: defaults.server`` or ``default``."""

    name: str
    value: Any
    source: str


class Part(NamedTuple):
    """A registry or a part of one, ``host[:port][/path]``; ``*.host`` stands for all hosts below."""

    host: str
    path: tuple[str, ...] = ()

    @property
    def wild(self) -> bool:
        """Say whether it stands for many hosts."""
        return self.host.startswith("*.")

    def covers(self, name: str) -> bool:
        """Say whether the repository or collection *name* belongs to it, component by component."""
        host, *path = name.split("/")
        same = host.lower().endswith(self.host[1:]) if self.wild else host.lower() == self.host
        return same and tuple(path[: len(self.path)]) == self.path

    def __str__(self) -> str:
        return "/".join((self.host, *self.path))


class Layer(NamedTuple):
    """What one place says of the collections that ``match`` covers, or of all; ``prefix`` names the place."""

    settings: Mapping[str, Setting]
    match: Part | None = None
    prefix: str = ""

    def speaks_of(self, gun: Gun | None) -> bool:
        """Say whether it holds for *gun*; ``None`` is no collection in particular."""
        return self.match is None or (gun is not None and self.match.covers(str(gun)))

    @property
    def specificity(self) -> tuple[int, ...]:
        """Sorts by how much is named: a host before hosts alike before everything, then the longer path."""
        if self.match is None:
            return ()
        return not self.match.wild, self.match.host.count("."), len(self.match.path)


def spoken(flags: Mapping[str, Flag], env: Mapping[str, str]) -> Layer:
    """Return what flags and variables say; a flag silences the variables that mean the same.

    Raises:
        SettingError: One of them is not what it has to be.
    """
    given = [(key, name, flags.get(option), read) for key, option, name, read in FLAGS]
    given += [(key, name, env.get(name) or None, read) for key, name, read in VARIABLES]
    found: dict[str, Setting] = {}
    for key, name, value, read in given:
        if key not in found and value not in (None, ()):
            found[key] = Setting(key, read(value, _Place(name, Path())), name)
    return Layer(found)


def written(path: str) -> tuple[Layer, ...] | None:
    """Return what the TOML file *path* says, entry by entry and then of everything; ``None`` where there is none.

    Raises:
        SettingError: It is not TOML, or something in it is not what it has to be.
        FileError: It cannot be read, or anybody may write to it.
    """
    raw = read_unspoilt(path)
    return None if raw is None else tuple(_layers(_parse(path, raw), _Place(path, Path(path).parent)))


def read_unspoilt(path: str) -> bytes | None:
    """Read a small file that not just anybody may write to; ``None`` where there is none.

    Raises:
        FileError: Anybody may write to it, it is no file, it is too long, or it cannot be read.
    """
    raw = read_if_present(Path(path), 1 << 20)  # a hundred times the longest that anybody wrote by hand
    if raw is None:
        return None
    try:
        mode = Path(path).stat().st_mode
    except OSError as exc:
        raise file_error(path, exc) from exc
    if mode & 0o002:
        raise FileError(path, "anybody may write to it, so it vouches for nothing", f"chmod o-w {path}")
    return raw


def of_place(values: Mapping[str, Any], source: str, folder: Path = Path()) -> Layer:  # it is frozen
    """Return what *source*, a flag, says of a collection that is elsewhere: *values*, as a file in *folder* has them.

    Raises:
        SettingError: One of them is not what it has to be.
    """
    place = _Place(source, folder)
    return Layer({name: Setting(name, DEFAULTS[name](value, place), source) for name, value in values.items()})


def spelled(setting: Setting) -> Iterator[Setting]:
    """Spell the value as a file or JSON would; a table becomes a row for each of its keys."""
    match setting.value:
        case {**inner} if inner:
            for key, value in inner.items():
                yield from spelled(setting._replace(name=f"{setting.name}.{key}", value=value))
        case dict():
            yield setting._replace(value=None)
        case timedelta() as span:
            yield setting._replace(value=_duration_text(int(span.total_seconds())))
        case Part() | Place() as place:
            yield setting._replace(value=str(place))
        case datetime() as moment:
            yield setting._replace(value=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
        case _:
            yield setting


def is_host(text: str) -> bool:
    """Say whether *text*, the first component of a name, is the host of a registry: distribution/reference's rule."""
    return bool({".", ":"} & set(text)) or text.lower() == "localhost" or text != text.lower()


# --- the tables of a file ----------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a value stands: whom to blame for it, and what its paths are relative to."""

    source: str
    folder: Path
    inside: str = ": "

    def __truediv__(self, key: str) -> _Place:
        return self._replace(source=f"{self.source}{self.inside}{key}", inside=".")

    def fault(self, problem: str) -> NoReturn:
        raise SettingError(self.source, problem)


_Read: TypeAlias = Callable[[Any, _Place], _T]


def _layers(table: Mapping[str, Any], place: _Place) -> Iterator[Layer]:
    _require_known(table, {*EVERYWHERE, "defaults", "registry"}, place)
    seen: set[Part] = set()
    for number, entry in enumerate(_list(table.get("registry", []), place / "registry"), 1):
        here = place / f"registry[#{number}]"  # until its match is known to be printable
        if not isinstance(entry, dict):
            here.fault("it has to be a table: write [[registry]]")
        match = _match(entry.get("match"), here / "match")
        if match in seen:
            (here / "match").fault(f"there is an entry for {match} already")
        seen.add(match)
        here = place / f"registry[{match}]"
        for key, what in (("mirror", "mirror"), ("served_as", "name")):
            if match.wild and key in entry:
                (here / key).fault(f"many hosts have no {what} in common: name one host in match")
        yield Layer(_settings(entry, REGISTRY, here), match, f"registry[{match}].")
    general = {key: value for key, value in table.items() if key in EVERYWHERE}
    yield Layer(_settings(general, EVERYWHERE, place))
    yield Layer(_settings(table.get("defaults", {}), DEFAULTS, place / "defaults"), prefix="defaults.")


def _settings(value: Any, keys: Mapping[str, _Read[Any]], place: _Place) -> dict[str, Setting]:
    said = _table(value, keys, place)
    read = ((name, (at := place / name), keys[name](said[name], at)) for name in said if name != "match")
    return {name: Setting(name, value, at.source) for name, at, value in read}


def _parse(path: str, raw: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise SettingError(f"{path}:{line}", "it is not UTF-8 text") from exc
    except RecursionError as exc:
        raise SettingError(path, "it is nested too deeply") from exc
    except tomllib.TOMLDecodeError as exc:
        found = re.fullmatch(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", str(exc), re.DOTALL)
        problem, number = found.groups() if found else (str(exc), None)
        at = number or raw.rstrip().count(b"\n") + 1
        raise SettingError(f"{path}:{at}", f"this is not TOML: {_sentence(problem)}") from exc
    except ValueError as exc:  # what int() refuses to read
        raise SettingError(path, "a number in it is too long") from exc


# --- what a value may be -----------------------------------------------------------------------------------------


def _text(value: Any, place: _Place) -> str:
    if not isinstance(value, str):
        place.fault(f"it has to be text in quotes, not {_kind(value)}")
    if not value:
        place.fault("it is empty")
    if not value.isprintable():
        place.fault("it holds a character that cannot be seen")
    return value


def _bool(value: Any, place: _Place) -> bool:
    if not isinstance(value, bool):
        place.fault(f"it has to be true or false, not {_kind(value)}")
    return value


def _list(value: Any, place: _Place) -> list[Any]:
    if not isinstance(value, list):
        place.fault(f"it has to be a list in brackets, not {_kind(value)}")
    return value


def _table(value: Any, known: Iterable[str], place: _Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        place.fault(f"it has to be a table, not {_kind(value)}")
    _require_known(value, known, place)
    return value


def _require_known(said: Iterable[str], known: Iterable[str], place: _Place) -> None:
    for name in said:
        if name not in known:
            from difflib import get_close_matches

            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known))}"
            (place / (name if name.isprintable() else ascii(name))).fault(f"there is no such key; {hint}")


def _several(read: _Read[_T]) -> _Read[tuple[_T, ...]]:
    """Read a list of one or more, each but once."""

    def several(value: Any, place: _Place) -> tuple[_T, ...]:
        found = tuple(read(item, place) for item in _list(value, place))
        if not found:
            place.fault("it names nothing; leave the key out")
        if twice := [item for item in found if found.count(item) > 1]:
            place.fault(f"{twice[0]} is listed twice")
        return found

    return several


def _server(value: Any, place: _Place) -> str:
    text = _text(value, place)
    try:
        url = Url.parse(text)
    except ValueError as exc:
        place.fault(_sentence(exc))
    if "?" in text:
        place.fault("the address of a trust server has no query")
    return f"{url.origin}{url.path}".rstrip("/")


def _store(value: Any, place: _Place) -> Place:
    found = Place.parse(_text(value, place), place.source)
    return found._replace(rest=str(place.folder / Path(found.rest).expanduser())) if found.scheme == "dir" else found


def _signatures(value: Any, place: _Place) -> str:
    found = parse_signatures(_text(value, place), place.source)
    return str(found._replace(base=str(place.folder / found.base)) if found.is_folder else found)


def _docker_server(value: Any, place: _Place) -> str:
    server = _server(value, place)
    if not server.startswith("https:"):
        place.fault("it has to be an https URL, as it has to be for Docker")
    return server


def _path(value: Any, place: _Place) -> str:
    text = _text(value, place)
    try:
        return str(place.folder / Path(text).expanduser())
    except RuntimeError:
        place.fault(f"no home folder is known for {text.partition('/')[0]}")


def _client(value: Any, place: _Place) -> dict[str, str]:
    said = _table(value, CLIENT, place)
    if missing := CLIENT.keys() - said.keys():
        place.fault(f"{min(missing)} is missing; a certificate and its key go together")
    return {name: read(said[name], place / name) for name, read in CLIENT.items()}


def _pins(value: Any, place: _Place) -> dict[str, tuple[str, ...]]:
    said = _table(value, PINS, place)
    if not said:
        place.fault("it pins nothing; leave the key out")
    return {name: read(said[name], place / name) for name, read in PINS.items() if name in said}


def _previous(value: Any, place: _Place) -> dict[str, Any]:
    said = _table(value, PREVIOUS, place)
    if "until" not in said:
        place.fault("until is missing: say until when the word of the other collection counts")
    if ("server" in said) == ("store" in said):
        place.fault("it has to name the server or the store of the other collection, one of the two")
    return {name: read(said[name], place / name) for name, read in PREVIOUS.items() if name in said}


def _until(value: Any, place: _Place) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            place.fault(f"{value!r} is not a day, as 2027-01-31, or a time, as 2027-01-31T12:00:00Z")
    if not isinstance(value, date):
        place.fault(f"it has to be a day or a time, not {_kind(value)}")
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _key_id(value: Any, place: _Place) -> str:
    text = _text(value, place).lower()
    if not re.fullmatch("[0-9a-f]{64}", text):
        place.fault(f"{text!r} is not a key id, 64 hex digits")
    return text


def _role(value: Any, place: _Place) -> str:
    text = _text(value, place)
    if text != TARGETS and not is_delegation(text):
        place.fault(f"{text!r} is not a role that signs tags, as {TARGETS} and {RELEASES} are")
    return text


def _duration(value: Any, place: _Place) -> timedelta:
    found = re.fullmatch("([0-9]{1,8})([smhd])", _text(value, place))
    span = timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None
    if span is None or span > timedelta(days=366):
        place.fault("it has to be a number and its unit, 90s, 15m, 36h or 7d, and a year at most")
    return span


def _duration_text(seconds: int) -> str:
    unit = next((unit for unit, size in _SECONDS.items() if seconds and seconds % size == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"


def _match(value: Any, place: _Place) -> Part:
    if value is None:
        place.fault("it is missing: say which registry, or which part of one, this entry is for")
    text = _text(value, place)
    if text == "*":
        place.fault("what holds for every registry belongs in [defaults]")
    if not text.startswith("*."):
        return _part(text, place)
    below = _split(text[2:], place)
    return below._replace(host=f"*.{below.host}")


def _part(value: Any, place: _Place) -> Part:
    text = _text(value, place)
    part = _split(text, place)
    if not is_host(text.partition("/")[0]):
        place.fault(f"{text!r} does not begin with the host of a registry; Docker Hub's is docker.io")
    return part._replace(host="docker.io") if part.host == "index.docker.io" else part


def _split(text: str, place: _Place) -> Part:
    try:
        host, *path = str(Gun(text)).split("/")
    except NameFormError as exc:
        place.fault(f"{text!r} names no registry: {exc.problem}")
    if not re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", host):
        place.fault(f"{host!r} is not a host with or without a port")
    if any({"@", ":"} & set(component) for component in path):
        place.fault(f"{text!r} has a tag or digest, and here is about repositories")
    return Part(host.lower(), tuple(path))


def _realm(value: Any, place: _Place) -> str:
    part = _part(value, place)
    if part.path:
        place.fault(f"'{part}' is not a host with or without a port")
    return part.host


def _kind(value: Any) -> str:
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")


def _sentence(problem: object) -> str:
    text = str(problem)
    return text[:1].lower() + text[1:]


# --- flags and variables, where they are read otherwise than files -----------------------------------------------


def _words(read: _Read[_T]) -> _Read[_T]:
    """Read a flag given several times, or a variable with spaces between its values."""
    return lambda value, place: read(value.split() if isinstance(value, str) else list(value), place)


def _pinned_keys(value: Any, place: _Place) -> dict[str, tuple[str, ...]]:
    return {"keys": _words(PINS["keys"])(value, place)}


def _bool_word(value: Any, place: _Place) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if (truth := words.get(value.lower())) is None:
        place.fault("it has to be true or false, or 1 or 0")
    return truth


_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

CLIENT: Mapping[str, _Read[str]] = {"cert": _path, "key": _path}
PINS: Mapping[str, _Read[tuple[str, ...]]] = {
    "keys": _several(_key_id),
    "certificates": _several(_path),
    "authorities": _several(_path),
    "root": lambda value, place: (_path(value, place),),
}
EVERYWHERE: Mapping[str, _Read[Any]] = {
    "trust_dir": _path,
    "notary_config": _path,
    "policy": _path,
    "registries_d": _path,
}
DEFAULTS: Mapping[str, _Read[Any]] = {
    "server": _server,
    "store": _store,
    "insecure_server": _bool,
    "insecure_registry": _bool,
    "ca": _path,
    "client": _client,
    "pins": _pins,
    "first_use": _bool,
    "roles": _several(_role),
    "offline_grace": _duration,
    "realms": _several(_realm),
    "previous": _previous,
    "signatures": _several(_signatures),
    "lookaside_ends_at_403": _bool,
}
PREVIOUS: Mapping[str, _Read[Any]] = {
    **{name: DEFAULTS[name] for name in ("server", "store", "insecure_server", "pins", "first_use", "roles")},
    "until": _until,
}
REGISTRY: Mapping[str, _Read[Any]] = {"match": _match, "mirror": _part, "served_as": _part, **DEFAULTS}

FLAGS: tuple[tuple[str, str, str, _Read[Any]], ...] = (
    ("trust_dir", "trust_dir", "--trust-dir", _path),
    ("notary_config", "notary_config", "--notary-config", _path),
    ("policy", "policy", "--policy", _path),
    ("server", "server", "--server", _server),
    ("store", "store", "--store", _store),
    ("ca", "ca", "--ca", _path),
    ("pins", "pin", "--pin", _pinned_keys),
    ("first_use", "first_use", "--no-first-use", _bool),
    ("roles", "roles", "--role", _words(DEFAULTS["roles"])),
    ("offline_grace", "offline_grace", "--offline-grace", _duration),
)
VARIABLES: tuple[tuple[str, str, _Read[Any]], ...] = (  # of two for one key, the first that is set
    ("trust_dir", "TRUSTREG_TRUST_DIR", _path),
    ("notary_config", "TRUSTREG_NOTARY_CONFIG", _path),
    ("policy", "TRUSTREG_POLICY", _path),
    ("registries_d", "TRUSTREG_REGISTRIES_D", _path),
    ("server", "TRUSTREG_SERVER", _server),
    ("server", "DOCKER_CONTENT_TRUST_SERVER", _docker_server),
    ("store", "TRUSTREG_STORE", _store),
    ("ca", "TRUSTREG_CA", _path),
    ("pins", "TRUSTREG_PIN", _pinned_keys),
    ("first_use", "TRUSTREG_FIRST_USE", _bool_word),
    ("roles", "TRUSTREG_ROLES", _words(DEFAULTS["roles"])),
    ("offline_grace", "TRUSTREG_OFFLINE_GRACE", _duration),
    ("signatures", "TRUSTREG_SIGNATURES", _words(DEFAULTS["signatures"])),
)
