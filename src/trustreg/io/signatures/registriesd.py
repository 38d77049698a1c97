"""``registries.d``: where containers' tools look for signatures beside a registry, and where they put them.

Read are all ``*.yaml`` files of one folder: ``~/.config/containers/registries.d`` if it is there, else
``/etc/containers/registries.d``. Of the scopes that cover an image the most specific that says something counts:
the image itself, its repository, the namespaces around it, the host, ``*.domain``, and ``default-docker`` at last.

Source: containers/image ``docs/containers-registries.d.5.md`` and ``docker/registries_d.go``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trustreg.errors import SettingError
from trustreg.identity import scopes
from trustreg.io.files import file_error
from trustreg.io.signatures.places import Spelled, folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.names import Reference


class Scope(NamedTuple):
    """What is said of one scope, ``source`` being the file that does."""

    source: str
    values: Mapping[str, Any]


class RegistriesD:
    """What a folder says; *scopes* by name, "" being ``default-docker``."""

    def __init__(self, scopes: Mapping[str, Scope]) -> None:
        self._scopes = scopes

    def lookaside(self, image: Reference, *, write: bool = False) -> Spelled | None:
        """Return where signatures of *image* are to be looked for, or put; ``None`` where nothing is said of that.

        Raises:
            SettingError: It is no place that there could be.
        """
        keys = (*(_STAGING if write else ()), *_READING)
        for name in scopes(image):
            scope = self._scopes.get(name)
            if scope and (key := next((key for key in keys if scope.values.get(key)), None)):
                return _place(scope.values[key], f"{scope.source}: {name or _DEFAULT}.{key}")
        return None


def read(folder: Path) -> RegistriesD:
    """Read *folder*; one that is not there says nothing.

    Raises:
        SettingError: A file is not what it has to be, or two say something of the same scope.
        FileError: One cannot be read, or anybody may write to it.
    """
    found: dict[str, Scope] = {}
    for path in _files(folder):
        for name, scope in _scopes(path):
            if name in found:
                raise SettingError(str(path), f"{name or _DEFAULT} is in {found[name].source}, too")
            found[name] = scope
    return RegistriesD(found)


def default_folder(home: str) -> Path:
    """Return the folder that containers' tools read."""
    users = Path(home, ".config/containers/registries.d")
    return users if users.exists() else MACHINE


def default_lookaside(home: str) -> Spelled:
    """Return where containers' tools look for signatures if nobody says where, and keep them."""
    return Spelled("lookaside", _SYSTEM if os.geteuid() == 0 else f"{home}/.local/share/containers/sigstore")


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise file_error(folder, exc) from exc


def _scopes(path: Path) -> Iterator[tuple[str, Scope]]:
    from trustreg.io.settings import read_unspoilt
    from trustreg.io.yaml import read as read_yaml

    source = str(path)
    whole = _table(read_yaml(read_unspoilt(source) or b"", source).value, {_DEFAULT, "docker"}, source)
    if whole.get(_DEFAULT) is not None:
        yield "", Scope(source, _table(whole[_DEFAULT], _KEYS, f"{source}: {_DEFAULT}"))
    docker = whole.get("docker")
    for name, values in _table(docker, None, f"{source}: docker").items():
        if not name:
            raise SettingError(f"{source}: docker", "a scope has no name")
        yield name, Scope(source, _table(values, _KEYS, f"{source}: docker.{name}"))


def _table(value: Any, known: frozenset[str] | set[str] | None, source: str) -> dict[str, Any]:
    """Return *value* as a table of *known* keys; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingError(source, "it has to be a table")
    for key in value if known is not None else ():
        if key not in (known or ()):
            raise SettingError(source, f"there is no key {key!r}; there are {', '.join(sorted(known or ()))}")
    return value


def _place(value: Any, source: str) -> Spelled:
    if not isinstance(value, str):
        raise SettingError(source, "it has to be a URL")
    if value.startswith("file:"):
        return Spelled("lookaside", folder_of(value, source))
    if not value.startswith(("https://", "http://")):
        raise SettingError(source, "it has to be a URL that begins with file:, http: or https:")
    return Spelled.parse(f"lookaside:{value}", source)


MACHINE: Final = Path("/etc/containers/registries.d")
_SYSTEM = "/var/lib/containers/sigstore"
_DEFAULT = "default-docker"
_READING, _STAGING = ("lookaside", "sigstore"), ("lookaside-staging", "sigstore-staging")
_KEYS = frozenset({*_READING, *_STAGING, "use-sigstore-attachments"})
