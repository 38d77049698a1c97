"""Trust servers: the Go one, and trustreg's own, behind one protocol so that a test can have either."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from tests.peers.authority import Authority
from tests.peers.command import clean_env, require
from tests.peers.postgres import postgres
from tests.peers.process import Peer, workspace, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


class TrustServerPeer(Protocol):
    """What an interop test may ask of any trust server; :class:`~tests.peers.process.Peer` has it all."""

    @property
    def name(self) -> str:
        """``notary-server`` or ``trustreg serve``."""

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``, which names its TLS directory."""

    @property
    def port(self) -> int:
        """The port it has, even while it is down."""

    @property
    def ca_file(self) -> Path | None:
        """The CA of its certificate, None for plain http."""

    @property
    def log(self) -> str:
        """All that it has printed."""

    def start(self) -> None:
        """Bring it up and wait for it."""

    def stop(self) -> None:
        """Take it down in good order."""

    def kill(self) -> None:
        """Take it down with SIGKILL."""

    def down(self) -> AbstractContextManager[None]:
        """Be down inside a block: connections are refused."""

    def paused(self) -> AbstractContextManager[None]:
        """Be frozen inside a block: connections hang."""


@contextlib.contextmanager
def notary_server(*, tls: Authority | None = None, clients: Authority | None = None) -> Iterator[Peer]:
    """
    Run Debian's ``notary-server``, all in memory, holding its own ed25519 keys.

    A restart forgets every collection and key. Its DELETE removes every GUN that
    *begins* with the given one, so no test's GUN may be the beginning of another's.

    Args:
        tls: Speak https, certified by this authority.
        clients: Also refuse clients that show no certificate of this authority.
    """
    with _notary_server({"type": "local"}, {"backend": "memory"}, tls=tls, clients=clients) as peer:
        yield peer


@contextlib.contextmanager
def notary_server_with_signer(*, tls: Authority | None = None) -> Iterator[Peer]:
    """
    Run Debian's ``notary-server`` as operators do: on PostgreSQL, with the keys in a ``notary-signer``.

    Collections and keys outlive a restart of the peer, which is the server alone. The signer's keys are ECDSA, it has
    them in the same database, and the two speak mutual TLS.

    Args:
        tls: Speak https, certified by this authority.
    """
    require("notary-signer")
    with postgres(_NOTARY_SCHEMA) as database, workspace("notary-signer") as (directory, port):
        storage = {"backend": "postgres", "db_url": database.database}
        authority = Authority(directory)
        server, client = authority.server(), authority.client()
        listen = {
            "grpc_addr": f"127.0.0.1:{port}",
            "tls_cert_file": str(server.cert),
            "tls_key_file": str(server.key),
            "client_ca_file": str(authority.ca_file),
        }
        trust_service = {
            "type": "remote",
            "hostname": "127.0.0.1",
            "port": str(port),
            "key_algorithm": "ecdsa",
            "tls_ca_file": str(authority.ca_file),
            "tls_client_cert": str(client.cert),
            "tls_client_key": str(client.key),
        }
        signer = Peer(
            "notary-signer",
            _notary("notary-signer", directory, {"server": listen, "storage": storage | {"default_alias": "tests"}}),
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory), NOTARY_SIGNER_TESTS=_PASSPHRASE),
        )
        with signer.running(), _notary_server(trust_service, storage, tls=tls) as peer:
            yield peer


@contextlib.contextmanager
def trustreg_serve(*, tls: Authority | None = None) -> Iterator[Peer]:
    """
    Run ``trustreg serve`` as installed, on a state directory of its own that outlives restarts.

    Args:
        tls: Speak https, certified by this authority.
    """
    with workspace("trustreg-serve") as (directory, port):
        argv = [sys.executable, "-m", "trustreg", "serve"]
        argv += ["--state", str(directory / "state"), "--listen", f"127.0.0.1:{port}"]
        if tls:
            pair = tls.server()
            argv += ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
        peer = Peer(
            "trustreg serve",
            argv,
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory), TRUSTREG_SERVER_PASSPHRASE=_PASSPHRASE),
            ca_file=tls.ca_file if tls else None,
        )
        with peer.running():
            yield peer


@contextlib.contextmanager
def _notary_server(
    trust_service: Mapping[str, str],
    storage: Mapping[str, str],
    *,
    tls: Authority | None = None,
    clients: Authority | None = None,
) -> Iterator[Peer]:
    require("notary-server")
    with workspace("notary-server") as (directory, port):
        server: dict[str, Any] = {"http_addr": f"127.0.0.1:{port}"}
        if tls:
            pair = tls.server()
            server |= {"tls_cert_file": str(pair.cert), "tls_key_file": str(pair.key)}
        if clients:
            server |= {"client_ca_file": str(clients.ca_file)}
        peer = Peer(
            "notary-server",
            _notary("notary-server", directory, {"server": server, "trust_service": trust_service, "storage": storage}),
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory)),
            ca_file=tls.ca_file if tls else None,
        )
        with peer.running():
            yield peer


def _notary(program: str, directory: Path, settings: Mapping[str, Any]) -> list[str]:
    config = directory / "config.json"  # the extension tells it the format
    write_private(config, json.dumps({**settings, "logging": {"level": "info"}}))
    return [program, "-config", str(config)]


_PASSPHRASE = "what the server's keys are kept under"
_NOTARY_SCHEMA = """
CREATE TABLE tuf_files (
    id serial PRIMARY KEY,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    gun varchar(255) NOT NULL,
    role varchar(255) NOT NULL,
    version integer NOT NULL,
    data bytea NOT NULL,
    sha256 char(64),
    UNIQUE (gun, role, version)
);

CREATE INDEX ON tuf_files (sha256);

CREATE TABLE changefeed (
    id serial PRIMARY KEY,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    gun varchar(255) NOT NULL,
    version integer NOT NULL,
    sha256 char(64),
    category varchar(20) NOT NULL
);

CREATE INDEX ON changefeed (gun);

CREATE TABLE private_keys (
    id serial PRIMARY KEY,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    key_id varchar(255) NOT NULL UNIQUE,
    encryption_alg varchar(255) NOT NULL,
    keywrap_alg varchar(255) NOT NULL,
    algorithm varchar(50) NOT NULL,
    passphrase_alias varchar(50) NOT NULL,
    gun varchar(255) NOT NULL,
    role varchar(255) NOT NULL,
    public bytea NOT NULL,
    private bytea NOT NULL,
    last_used timestamp
);

"""
