"""Debian's ``docker-registry``, open or behind a password file."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

from tests.peers.command import clean_env, require, run
from tests.peers.process import Peer, workspace, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.peers.authority import Authority


class RegistryPeer(Peer):
    """A registry that knows who may use it: ``credentials`` by user, empty where it is open to all."""

    def __init__(
        self, config: Path, *, port: int, directory: Path, ca_file: Path | None, credentials: Mapping[str, str]
    ) -> None:
        super().__init__(
            "docker-registry",
            ["docker-registry", "serve", str(config)],
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory)),
            ca_file=ca_file,
        )
        self.credentials = dict(credentials)

    def login(self, user: str | None = None) -> dict[str, tuple[str, str]]:
        """
        Give the entry for :func:`write_docker_config` that lets *user* (the first, when not named) in.

        Empty where the registry asks for nothing.
        """
        for name, password in self.credentials.items():
            if user in (None, name):
                return {self.host: (name, password)}
        return {}


@contextlib.contextmanager
def docker_registry(
    *, htpasswd: Mapping[str, str] | None = None, tls: Authority | None = None
) -> Iterator[RegistryPeer]:
    """
    Run a registry that keeps its images in files, so they outlive :meth:`Peer.down`.

    Args:
        htpasswd: Passwords by user, stored with bcrypt; None lets everybody in.
        tls: Speak https, certified by this authority.
    """
    require("docker-registry", *(["htpasswd"] if htpasswd else []))
    with workspace("docker-registry") as (directory, port):
        http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "one replica only"}
        if tls:
            pair = tls.server()
            http["tls"] = {"certificate": str(pair.cert), "key": str(pair.key)}
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "images")}, "delete": {"enabled": True}},
            "http": http,
        }
        if htpasswd:
            users = write_private(directory / "htpasswd", "".join(map(_hashed, htpasswd, htpasswd.values())))
            config["auth"] = {"htpasswd": {"realm": "trustreg tests", "path": str(users)}}
        config_file = directory / "config.yml"
        config_file.write_text(json.dumps(config))  # JSON is YAML
        peer = RegistryPeer(
            config_file,
            port=port,
            directory=directory,
            ca_file=tls.ca_file if tls else None,
            credentials=htpasswd or {},
        )
        with peer.running():
            yield peer


def write_docker_config(directory: Path, logins: Mapping[str, tuple[str, str]]) -> Path:
    """
    Write the ``config.json`` that ``docker login`` would leave in *directory*, and return it.

    Args:
        directory: To be used as ``DOCKER_CONFIG``; made if need be. The file also serves skopeo's ``--authfile``.
        logins: User and password by registry, ``host:port`` as in image references.
    """
    directory.mkdir(parents=True, exist_ok=True)
    auths = {
        host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
        for host, (user, password) in logins.items()
    }
    return write_private(directory / "config.json", json.dumps({"auths": auths}))


def _hashed(user: str, password: str) -> str:
    """One line of a password file; the password goes in by stdin, where no process list shows it."""
    return run(["htpasswd", "-Bni", user], env=clean_env(), stdin=password.encode()).stdout.strip() + "\n"
