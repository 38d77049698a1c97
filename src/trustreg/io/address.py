"""Where a request goes: URLs taken apart, and the proxies on the way.

Small values are named tuples here and in the other modules on the way of every command: making a frozen dataclass takes
half a millisecond of its start, a named tuple a tenth of that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from trustreg.errors import SettingError
from trustreg.io.tls import bracketed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Url(NamedTuple):
    """An absolute http or https URL, taken apart. As text it shows nothing secret: a query may hold a signature."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read *text*; raise ``ValueError`` with a sentence that does not repeat it."""
        from urllib.parse import quote, urlsplit

        parts = urlsplit(quote(text, safe="%/:?#[]@!$&'()*+,;=~"))  # people and servers write spaces and umlauts
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("it has to be an absolute http or https URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("credentials do not belong in a URL")
        if parts.fragment:
            raise ValueError("a URL of a server has no fragment")
        if not _HOST.fullmatch(parts.hostname):
            raise ValueError("its host is not spelled as the network spells it")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], parts.path or "/", parts.query)

    def join(self, location: str) -> Url:
        """Return where *location*, absolute or relative to here, points; raise ``ValueError``."""
        from urllib.parse import urljoin

        return self.parse(urljoin(f"{self.origin}{self.target}", location.partition("#")[0]))

    @property
    def authority(self) -> str:
        """Host and port, without the port that goes without saying."""
        host = bracketed(self.host)
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def target(self) -> str:
        """What goes into the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def loopback(self) -> bool:
        """Say whether this is the machine we are on."""
        return self.host in {"localhost", "::1"} or _LOOPBACK.fullmatch(self.host) is not None

    def __str__(self) -> str:
        shown = [pair if pair.partition("=")[0] in _SHOWN else "…" for pair in self.query.split("&") if pair]
        return f"{self.origin}{self.path}{'?' if shown else ''}{'&'.join(dict.fromkeys(shown))}"


class Proxy(NamedTuple):
    """A proxy: where it is, and its URL with what gets us in, which is nothing to show."""

    at: Url
    url: str


def without_secrets(text: str) -> str:
    """Return what somebody meant to be a URL so that it can be shown: no credentials, no query, on one line."""
    shown = _SECRETS.sub("…", text[:200])
    return "".join(char if char.isprintable() else " " for char in shown)


def proxy_for(at: Url, env: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that *env* names for *at*.

    Raises:
        SettingError: It names one that cannot be used.
    """
    names = [f"{at.scheme}_proxy", f"{at.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in env:
        names.remove("HTTP_PROXY") if at.scheme == "http" else None  # in CGI a header of the request sets it
    name = next((name for name in names if env.get(name)), None)
    if name is None or at.loopback or _unproxied(at, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return None
    from urllib.parse import quote, unquote, urlsplit

    try:
        parts = urlsplit(env[name] if "://" in env[name] else f"http://{env[name]}")
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 1080)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        f"{user}{password}".encode("latin-1")  # as requests spells them in Proxy-Authorization
    except ValueError as exc:
        raise SettingError(name, "this is not the address of a proxy") from exc
    if parts.scheme not in {*_PORTS, *_SOCKS} or not _HOST.fullmatch(host):
        raise SettingError(name, "a proxy is written http://host:port, https://host:port or socks5h://host:port")
    if parts.scheme in _SOCKS:
        from importlib.util import find_spec

        if find_spec("socks") is None:
            raise SettingError(name, "for a SOCKS proxy the package PySocks has to be installed, as by requests[socks]")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return Proxy(Url(parts.scheme, host, port), f"{parts.scheme}://{login}{bracketed(host)}:{port}")


def in_networks(host: str, entries: Collection[str]) -> bool:
    """Say whether *host* is an address in one of the networks, ``10.0.0.0/8``, among *entries*."""
    networks = [entry for entry in entries if "/" in entry]
    if not networks or not _ADDRESS.fullmatch(host):
        return False
    import ipaddress

    for entry in networks:
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _unproxied(at: Url, no_proxy: str) -> bool:
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    for entry in entries:
        name = entry.removeprefix("*").removeprefix(".")
        if entry == "*" or at.host == name or at.host.endswith(f".{name}") or name == f"{bracketed(at.host)}:{at.port}":
            return True
    return in_networks(at.host, entries)


_PORTS: Final = {"http": 80, "https": 443}
_SOCKS: Final = {"socks4", "socks4a", "socks5", "socks5h"}
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?|[0-9a-f:.]*:[0-9a-f:.]*")
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}")
_SHOWN = {"service", "scope"}  # what a token is asked for; anything else in a query may be a secret
_SECRETS = re.compile(r"^.*(?=@)|(?<=\?).*", re.DOTALL)
