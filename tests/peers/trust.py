"""Trust servers: the Go one, and trustreg's own, behind one protocol so that a test can have either."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from tests.peers.command import clean_env, require
from tests.peers.process import Peer, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.peers.authority import Authority


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
    require("notary-server")
    with workspace("notary-server") as (directory, port):
        server: dict[str, Any] = {"http_addr": f"127.0.0.1:{port}"}
        if tls:
            pair = tls.server()
            server |= {"tls_cert_file": str(pair.cert), "tls_key_file": str(pair.key)}
        if clients:
            server |= {"client_ca_file": str(clients.ca_file)}
        config = directory / "server.json"  # the extension tells it the format
        config.write_text(
            json.dumps(
                {
                    "server": server,
                    "trust_service": {"type": "local"},
                    "storage": {"backend": "memory"},
                    "logging": {"level": "info"},
                }
            )
        )
        peer = Peer(
            "notary-server",
            ["notary-server", "-config", str(config)],
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory)),
            ca_file=tls.ca_file if tls else None,
        )
        with peer.running():
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


_PASSPHRASE = "what the server's keys are kept under"
