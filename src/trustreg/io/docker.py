"""The credentials that ``docker login``, ``podman login`` and Kubernetes left behind.

Where they are looked for, until one place has some:

1. ``DOCKER_AUTH_CONFIG``: the content of a ``config.json``;
2. ``REGISTRY_AUTH_FILE``: if set, the only file that is read;
3. ``$DOCKER_CONFIG/config.json``, if the variable is set;
4. ``$XDG_RUNTIME_DIR/containers/auth.json``, ``$XDG_CONFIG_HOME/containers/auth.json``;
5. ``~/.docker/config.json``.

In one place, as Docker does, a helper named for the host (``credHelpers``) comes before the one for all hosts
(``credsStore``), and both before what is written there (``auths``). Keys may end in a path: the longest that leads to
the repository wins, whole components only, ``host/team`` is not ``host/teams``. Docker Hub has its historical key
``https://index.docker.io/v1/`` and some more. Absent files are no error; broken ones are, and the member is named.

Sources: docker/cli ``cli/config``; docker-credential-helpers ``client``; containers/image ``pkg/docker/config``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trustreg.errors import HelperError, SettingError
from trustreg.io.files import read_if_present
from trustreg.io.http import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Credential(NamedTuple):
    """What proves who we are to ``host``; it goes to nobody else. ``source`` says where it was found.

    Either ``user`` and ``password``, or ``identity_token``, which a token service takes for an access token, or
    ``registry_token``, which is one.
    """

    host: str
    source: str
    user: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credential(host={self.host!r}, source={self.source!r}, user={self.user!r}, …)"


class DockerCredentials:
    """Finds credentials by registry and repository. Nothing is read, and no helper asked, before somebody asks for one.

    Args:
        env: The environment: names the files, and is what helpers run in.
        home: The home directory.
        helper_timeout: Seconds that a credential helper may take; it may be waiting for a person.
    """

    def __init__(self, env: Mapping[str, str], home: str, *, helper_timeout: float = 60.0) -> None:
        self._env, self._home, self._helper_timeout = env, home, helper_timeout

    def find(self, host: str, path: str = "") -> Credential | None:
        """Return what lets us use the repository *path* of the registry *host* (``host:port``), or ``None``.

        Raises:
            SettingError: A file or variable holds something else than it should, or names a helper that is not here.
            HelperError: The helper failed.
            FileError: A file cannot be read.
        """
        names = _names(host, path)
        for source, config in self._configs():
            if found := self._in_config(source, config, host, names):
                return found
        return None

    def trust_server(self, host: str) -> Credential | None:
        """Return the user and password in ``NOTARY_AUTH``, base64 of ``user:password``, for the trust server *host*."""
        text = self._env.get("NOTARY_AUTH")
        return _from_auth(text, host, "NOTARY_AUTH") if text else None

    def headers(self) -> dict[str, str]:
        """Return ``HttpHeaders``, what Docker's configuration wants to be sent along to registries.

        Left out is what belongs to the protocol: a file must not change what a request means.
        """
        for source, config in self._configs():
            if members := _object(config, "HttpHeaders", source):
                for name, value in members.items():
                    if not (isinstance(value, str) and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                        raise SettingError(f"{source}: HttpHeaders.{plain(name, 40)}", "this is not a header")
                return {name: value for name, value in members.items() if name.lower() not in _OURS}
        return {}

    def helpers(self) -> list[tuple[str, str]]:
        """Return the programs that may be asked, each after where it is named; raises what :meth:`find` raises."""
        found: list[tuple[str, str]] = []
        for source, config in self._configs():
            named = {"credsStore": config.get("credsStore")}
            named |= {f"credHelpers.{name}": each for name, each in _object(config, "credHelpers", source).items()}
            for name, helper in named.items():
                if isinstance(helper, str) and _HELPER.fullmatch(helper):
                    found.append((f"{source}: {plain(name, 80)}", f"docker-credential-{helper}"))
        return found

    def _configs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if text := self._env.get("DOCKER_AUTH_CONFIG"):
            yield "DOCKER_AUTH_CONFIG", _parsed("DOCKER_AUTH_CONFIG", text.encode(errors="replace"))
        for path in self._files():
            raw = read_if_present(path, _LARGEST_CONFIG)
            if raw and raw.strip():  # empty is what a container's placeholder is
                yield str(path), _parsed(str(path), raw)

    def _files(self) -> tuple[Path, ...]:
        env, home = self._env, Path(self._home)
        if only := env.get("REGISTRY_AUTH_FILE"):
            return (Path(only),)
        docker, runtime = env.get("DOCKER_CONFIG"), env.get("XDG_RUNTIME_DIR")
        return (
            *((Path(docker, "config.json"),) if docker else ()),
            *((Path(runtime, "containers/auth.json"),) if runtime else ()),
            Path(env.get("XDG_CONFIG_HOME") or home / ".config", "containers/auth.json"),
            *(() if docker else (home / ".docker/config.json",)),
        )

    def _in_config(self, source: str, config: dict[str, Any], host: str, names: list[str]) -> Credential | None:
        helpers = _by_name(_object(config, "credHelpers", source))
        name = next((name for name in names if name in helpers), None)
        helper = helpers[name] if name else config.get("credsStore") or None
        if helper is not None:
            where = f"{source}: credHelpers.{name}" if name else f"{source}: credsStore"
            if found := self._from_helper(helper, host, where):
                return found
        auths = _by_name(_object(config, "auths", source))
        for name in names:
            if name in auths and (found := _from_entry(auths[name], host, f"{source}: auths.{name}")):
                return found
        return None

    def _from_helper(self, helper: Any, host: str, where: str) -> Credential | None:
        import subprocess

        if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
            raise SettingError(where, "this is not the name of a credential helper")
        program = f"docker-credential-{helper}"
        try:
            ran = subprocess.run(
                [program, "get"],
                input=(_HUB_KEY if host == _HUB else host).encode(),
                capture_output=True,
                env={name: value for name, value in self._env.items() if not _SECRET.fullmatch(name)},
                timeout=self._helper_timeout,
                check=False,
            )
        except FileNotFoundError as exc:
            raise SettingError(where, f"{program} is not installed, or not in PATH") from exc
        except subprocess.TimeoutExpired:
            raise HelperError(program, f"no answer within {self._helper_timeout:g} seconds") from None
        except OSError as exc:
            raise HelperError(program, f"it cannot be started ({exc.strerror})") from exc
        said = (ran.stdout if ran.stdout.strip() else ran.stderr)[:_LARGEST_ANSWER].decode(errors="replace").strip()
        if ran.returncode:
            if any(nothing in said for nothing in _NOTHING):
                return None
            raise HelperError(program, plain(said) or f"it ended with {ran.returncode} and said nothing")
        return _from_answer(ran.stdout[: _LARGEST_ANSWER + 1], host, program)


def _from_answer(answer: bytes, host: str, program: str) -> Credential | None:
    import orjson

    try:
        found = orjson.loads(answer)
        user, secret = found["Username"], found["Secret"]
    except (ValueError, TypeError, LookupError):
        found, user, secret = None, None, None
    if not (isinstance(user, str) and isinstance(secret, str)):
        raise HelperError(program, "its answer is not JSON with Username and Secret")
    if user == "<token>":  # the helpers' way to say that the secret is an identity token
        return Credential(host, program, identity_token=secret)
    return Credential(host, program, user, secret) if user or secret else None


def _from_entry(entry: Any, host: str, where: str) -> Credential | None:
    if not isinstance(entry, dict):
        raise SettingError(where, "this has to be an object")
    texts = {name: _text(entry, name, where) for name in _ENTRY}
    found = Credential(host, where)
    if texts["auth"]:
        found = _from_auth(texts["auth"], host, f"{where}.auth")
    found = found._replace(
        source=where,
        user=texts["username"] or found.user,
        password=texts["password"] or found.password,
        identity_token=texts["identitytoken"],
        registry_token=texts["registrytoken"],
    )
    return found if any(found[2:]) else None  # docker login leaves empty entries where a helper has the rest


def _from_auth(text: str, host: str, where: str) -> Credential:
    from base64 import b64decode

    try:
        user, colon, password = b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        user = colon = password = ""
    if not colon or not user:
        raise SettingError(where, "this has to be base64 of user:password")
    return Credential(host, where, user, password.rstrip("\0"))


def _parsed(source: str, raw: bytes) -> dict[str, Any]:
    import orjson

    try:
        config = orjson.loads(raw)
    except ValueError as exc:
        line = raw.count(b"\n", 0, getattr(exc, "pos", 0)) + 1
        raise SettingError(source, f"this is not JSON (line {line})") from None  # the cause holds the text
    if not isinstance(config, dict):
        raise SettingError(source, "this has to be an object")
    return config


def _object(config: dict[str, Any], name: str, source: str) -> dict[str, Any]:
    value = config.get(name) or {}
    if not isinstance(value, dict):
        raise SettingError(f"{source}: {name}", "this has to be an object")
    return value


def _text(entry: dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name) or ""
    if not isinstance(value, str):
        raise SettingError(f"{where}.{name}", "this has to be a string")
    return value


def _names(host: str, path: str) -> list[str]:
    """Return the keys to look for, the best first."""
    parts = path.split("/") if path else []
    return ["/".join([host, *parts[:length]]) for length in range(len(parts), -1, -1)]


def _by_name(entries: dict[str, Any]) -> dict[str, Any]:
    """Return *entries* by normalised key; one that was written that way already comes first."""
    named: dict[str, Any] = {}
    for key, entry in entries.items():
        named.setdefault(_normalised(key), entry)
    return named | {key: entry for key, entry in entries.items() if "://" not in key}


def _normalised(key: str) -> str:
    """Return ``host`` or ``host/path`` for a key that people or old versions wrote as a URL."""
    name = key.rpartition("://")[2].rstrip("/")
    host, _, path = name.partition("/")
    if path in {"v1", "v2"}:
        path = ""
    if host in _HUB_HOSTS:
        host = _HUB
    return f"{host}/{path}" if path else host


_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = {"index.docker.io", "registry-1.docker.io"}
_ENTRY = ("auth", "username", "password", "identitytoken", "registrytoken")
_HELPER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NOTHING = ("credentials not found", "no credentials server URL", "no credentials username")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OURS = {
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
}
_LARGEST_CONFIG = 4 << 20  # bytes; a cluster's merged pull secrets stay below 1 MiB
_LARGEST_ANSWER = 1 << 20  # bytes; cloud tokens have a few thousand
_SECRET = re.compile(r"TRUSTREG_.*|.*_PASSPHRASE|NOTARY_AUTH")  # secrets that a helper has no use for
