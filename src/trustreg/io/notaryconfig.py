"""Notary's own ``config.json``: which server its client asks, with which certificates, and which roots it believes.

Pins are found as Notary's client finds them: the key ids for exactly this collection; else those for the longest
beginning of its name, written with a ``*`` behind it; else the CA for the longest beginning. What differs, always to
the strict side, is in ``docs/reference/configuration.md``.

Source: notary ``docs/reference/client-config.md``, ``cmd/notary/main.go``, ``cmd/notary/tuf.go`` (getTrustPinning),
``trustpinning/trustpin.go``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trustreg.errors import SettingError
from trustreg.io.settings import CLIENT, DEFAULTS, EVERYWHERE, PINS, Layer, Setting, _Place, read_unspoilt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class NotaryConfig(NamedTuple):
    """What the file says: ``layer`` of all collections, and pins by the names, or beginnings of names, they are for.

    ``first_use`` is there where the file forbids it. ``server`` is the one that the certificates in ``layer`` are for;
    ``None`` is any. ``warnings`` are what the file asks for and does not get.
    """

    path: str
    layer: Layer
    server: str | None
    keys: Mapping[str, Setting]
    authorities: Mapping[str, Setting]
    first_use: Setting | None
    warnings: tuple[SettingError, ...]

    def pins(self, gun: str) -> Setting | None:
        """Return what the root of *gun* has to be, as ``pins``; ``None`` where the file does not say."""
        exact = next((setting for name, setting in self.keys.items() if gun in {name, name.lower()}), None)
        starred = {name[:-1]: setting for name, setting in self.keys.items() if name.endswith("*")}
        return exact or _longest(starred, gun) or _longest(self.authorities, gun)

    def settings(self) -> Iterator[Setting]:
        """Yield all that the file says, each by a name that says it is Notary's."""
        tables = (self.layer.settings, self.keys, self.authorities)
        said = [setting for table in tables for setting in table.values()]
        for setting in (*said, *([self.first_use] if self.first_use else [])):
            yield setting._replace(name=f"notary.{setting.name}")


def read_notary_config(path: str) -> NotaryConfig | None:
    """Read the file *path*; ``None`` where there is none.

    Members of other names are passed over as Notary's client does, but for those that look like misspelt ones, and for
    all that stand among the pins.

    Raises:
        SettingError: It is not JSON, or something in it is not what it has to be.
        FileError: It cannot be read, or anybody may write to it.
    """
    raw = read_unspoilt(path)
    if raw is None:
        return None
    place = _Place(path, Path(path).parent)
    top = _members(_parse(raw, place), ("trust_dir", "remote_server", "trust_pinning"), place)
    here = place / "remote_server"
    known = ("url", "root_ca", "tls_client_cert", "tls_client_key", "skipTLSVerify")
    server = _members(top.get("remote_server", {}), known, here)
    here = place / "trust_pinning"
    pinning = _members(top.get("trust_pinning", {}), ("certs", "ca", "disable_tofu"), here, strictly=True)
    forbidden = DEFAULTS["first_use"](pinning.get("disable_tofu", False), here / "disable_tofu")
    layer = Layer({setting.name: setting for setting in _general(top, server, place)}, prefix="notary.")
    return NotaryConfig(
        path=path,
        layer=layer,
        server=layer.settings["server"].value if "server" in layer.settings else None,
        keys=_pins(pinning.get("certs", {}), "keys", here / "certs"),
        authorities=_pins(pinning.get("ca", {}), "authorities", here / "ca"),
        first_use=Setting("first_use", value=False, source=(here / "disable_tofu").source) if forbidden else None,
        warnings=tuple(_refused(server, place / "remote_server")),
    )


def _longest(table: Mapping[str, Setting], gun: str) -> Setting | None:
    found = [start for start in table if gun.startswith((start, start.lower()))]
    return table[max(found, key=len)] if found else None


def _general(top: Mapping[str, Any], server: Mapping[str, Any], place: _Place) -> Iterator[Setting]:
    """Yield what holds for all collections."""
    if "trust_dir" in top:
        at = place / "trust_dir"
        yield Setting("trust_dir", EVERYWHERE["trust_dir"](top["trust_dir"], at), at.source)
    place /= "remote_server"
    for name, key in (("server", "url"), ("ca", "root_ca")):
        if key in server:
            yield Setting(name, DEFAULTS[name](server[key], place / key), (place / key).source)
    client = {name: key for name, key in (("cert", "tls_client_cert"), ("key", "tls_client_key")) if key in server}
    if len(client) == 1:
        place.fault("a client certificate and its key go together")
    if client:
        read = {name: CLIENT[name](server[key], place / key) for name, key in client.items()}
        yield Setting("client", read, (place / client["cert"]).source)


def _refused(server: Mapping[str, Any], place: _Place) -> Iterator[SettingError]:
    place /= "skipTLSVerify"
    if DEFAULTS["insecure_server"](server.get("skipTLSVerify", False), place):
        yield SettingError(place.source, "certificates are always verified; name the CA of the server in root_ca")


def _pins(value: Any, kind: str, place: _Place) -> dict[str, Setting]:
    if not isinstance(value, dict):
        place.fault("it has to be an object of names of collections")
    spelled: dict[str, str] = {}
    found = {}
    for name, pinned in value.items():
        at = place._replace(source=f"{place.source}[{name}]")
        if (other := spelled.setdefault(name.lower(), name)) != name:
            at.fault(f"Notary's client does not tell this name from {other}")
        pins = PINS[kind]([pinned] if kind == "authorities" else pinned, at)
        found[name] = Setting("pins", {kind: pins}, at.source)
    return found


def _members(value: Any, known: tuple[str, ...], place: _Place, *, strictly: bool = False) -> dict[str, Any]:
    """Return the *known* members, however they are capitalised, without those that are empty."""
    from difflib import get_close_matches

    if not isinstance(value, dict):
        place.fault("it has to be an object")
    spelled = {name.lower(): name for name in known}
    found: dict[str, Any] = {}
    for name, content in value.items():
        start = name.lower().partition(".")[0]
        if name.lower() in spelled:
            if (right := spelled[name.lower()]) in found:
                (place / right).fault("it is there twice")
            found[right] = content
        elif start in spelled or get_close_matches(start, spelled, 1) or (strictly and name[:1] not in "_#/"):
            (place / ascii(name)).fault(f"there is no such member; there are {', '.join(known)}")
    return {name: content for name, content in found.items() if content not in (None, "")}


def _parse(raw: bytes, place: _Place) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a member is there twice")
        return found

    try:
        return json.loads(raw.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as exc:
        raise SettingError(place.source, f"this is not JSON that can be used: {exc}") from exc
