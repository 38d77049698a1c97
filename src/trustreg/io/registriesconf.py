"""``registries.conf``: what short names mean to containers' tools, where images really are, and what is blocked.

Read are ``~/.config/containers/registries.conf`` and the ``*.conf`` in ``registries.conf.d`` beside it; or, if there is
no such file, ``/etc/containers/registries.conf``, the files beside it, and then those of the user. What a later file
says of a prefix or an alias counts. ``CONTAINERS_REGISTRIES_CONF`` names a file that is the only one.

Only ``[aliases]``, and ``prefix``, ``location`` and ``blocked`` of ``[[registry]]``, mean something here. ``insecure``
is never taken over: whom trustreg asks over plain http, it has to be told itself. Mirrors are for those who pull.

Source: containers/image ``docs/containers-registries.conf.5.md`` and ``pkg/sysregistriesv2``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from trustreg.errors import FileError, NameFormError, SettingError
from trustreg.io.files import file_error
from trustreg.io.settings import is_host, read_unspoilt
from trustreg.names import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Registry(NamedTuple):
    """Images whose names begin with ``prefix`` are at ``location``, which may be nothing; ``source`` is the file."""

    prefix: str
    location: str
    blocked: bool
    source: str

    def covers(self, name: str) -> str | None:
        """Return the beginning of the repository *name* that the prefix is; ``None`` where it is not."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0].partition(":")[0]
            return name.partition("/")[0] if host.endswith(self.prefix[1:]) else None
        return self.prefix if f"{name}/".startswith(f"{self.prefix}/") else None


class RegistriesConf:
    """What the files say: *aliases* as name and source, and *registries* by prefix."""

    def __init__(self, aliases: Mapping[str, tuple[str, str]], registries: Mapping[str, Registry]) -> None:
        self._aliases, self._registries = aliases, registries

    def long(self, text: str) -> tuple[str, str] | None:
        """Return what *text*, an image or a repository as somebody typed it, is short for, and which file says so."""
        name, mark, rest = _parts(text)
        if is_host(name.partition("/")[0]) and "/" in name:
            return None
        said, source = self._aliases.get(name, ("", ""))
        return (f"{said}{mark}{rest}", source) if said else None

    def place(self, name: str) -> str:
        """Return where the repository *name* really is: *name*, most often.

        Raises:
            SettingError: It is blocked.
        """
        plain = _plain(name)  # what is blocked is blocked in capitals, too
        found = [(beginning, one) for one in self._registries.values() if (beginning := one.covers(plain))]
        if not found:
            return name
        beginning, entry = max(found, key=lambda pair: len(pair[1].prefix))
        if entry.blocked:
            raise SettingError(entry.source, f"{name} is blocked: prefix {entry.prefix}")
        return f"{entry.location or beginning}{name[len(beginning) :]}"


def read(home: str, env: Mapping[str, str]) -> RegistriesConf:
    """Read all that there is.

    Raises:
        SettingError: A file is not what it has to be.
        FileError: One cannot be read, or anybody may write to it.
    """
    aliases: dict[str, tuple[str, str]] = {}
    registries: dict[str, Registry] = {}
    for path in _files(home, env.get("CONTAINERS_REGISTRIES_CONF") or None):
        table = _parse(path)
        for name, value in _table(table.get("aliases", {}), f"{path}: aliases").items():
            aliases[name] = (_alias(value, f"{path}: aliases.{name}"), str(path))
        for entry in _registries(table, str(path)):
            registries[entry.prefix] = entry
    return RegistriesConf(aliases, registries)


def _files(home: str, named: str | None) -> list[Path]:
    if named:
        return [Path(named)]
    users, machines = Path(home, ".config/containers"), MACHINE
    if (own := users / _NAME).exists():
        return [own, *_beside(users)]
    main = machines / _NAME
    return [*([main] if main.exists() else []), *_beside(machines), *_beside(users)]


def _beside(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in (folder / f"{_NAME}.d").iterdir() if path.suffix == ".conf")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise file_error(folder / f"{_NAME}.d", exc) from exc


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    raw = read_unspoilt(str(path))
    if raw is None:
        raise FileError(str(path), "there is no such file")
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as exc:
        raise SettingError(str(path), f"this is not TOML: {exc}") from exc


def _registries(table: Mapping[str, Any], path: str) -> Iterator[Registry]:
    if _table(_table(table.get("registries", {}), f"{path}: registries").get("block", {}), f"{path}: block"):
        _fault(f"{path}: block", "this is the first version of the format, which is not read; write [[registry]]")
    entries = table.get("registry", [])
    if not isinstance(entries, list):
        _fault(f"{path}: registry", "it has to be a list: write [[registry]]")
    for number, entry in enumerate(entries, 1):
        source = f"{path}: registry[#{number}]"
        said = _table(entry, source)
        location, _ = _name(said.get("location", ""), f"{source}.location")
        prefix, one = _name(said.get("prefix", "") or said.get("location", ""), f"{source}.prefix")
        blocked = said.get("blocked", False)
        if not isinstance(blocked, bool):
            _fault(f"{source}.blocked", "it has to be true or false")
        if not prefix or (not location and not prefix.startswith("*.")):
            _fault(source, "it has no location")
        if location.startswith("*."):
            _fault(f"{source}.location", "many hosts are no place")
        if blocked or not one:  # that a single image is elsewhere is not for who asks for a repository
            yield Registry(_plain(prefix), location, blocked, path)


def _name(value: Any, source: str) -> tuple[str, bool]:
    """Read a registry, or the beginning of the names of repositories, and whether it is a single image of one."""
    if not isinstance(value, str):
        _fault(source, "it has to be text in quotes")
    name, one, _ = _parts(value.rstrip("/")) if "/" in value else (value, "", "")
    if name and not _PREFIX.fullmatch(name):
        _fault(source, f"{name[:80]!r} is no host with or without a port, and no repository below one")
    return name, bool(one)


def _plain(name: str) -> str:
    host, slash, path = name.partition("/")
    return f"{host.lower()}{slash}{path}"


def _alias(value: Any, source: str) -> str:
    """Read what an alias is short for; nothing is no alias any more."""
    if not isinstance(value, str):
        _fault(source, "it has to be text in quotes")
    if not value:
        return ""
    name, mark, _ = _parts(value)
    try:
        Reference.parse(value)
    except NameFormError as exc:
        raise SettingError(source, f"{value[:80]!r} is no repository: {exc.problem}") from exc
    if mark or not is_host(name.partition("/")[0]):
        _fault(source, f"{value[:80]!r} is no repository with its registry, without tag and digest")
    return value


def _parts(text: str) -> tuple[str, str, str]:
    """Take *text* apart: a name, what ends it, and a tag or a digest."""
    name, at, digest = text.partition("@")
    head, slash, tail = name.rpartition("/")
    tail, colon, tag = tail.partition(":")
    return f"{head}{slash}{tail}", colon or at, f"{tag}{at}{digest}" if colon else digest


def _table(value: Any, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _fault(source, "it has to be a table")
    return value


def _fault(source: str, problem: str) -> NoReturn:
    raise SettingError(source, problem)


MACHINE: Final = Path("/etc/containers")
_NAME = "registries.conf"
_PREFIX = re.compile(r"(?:\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
