"""Debian's ``redis-server``, all in memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.peers.command import clean_env, require
from tests.peers.process import Peer, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def redis_server() -> Iterator[Peer]:
    """Run a Redis; a restart forgets everything."""
    require("redis-server")
    with workspace("redis") as (directory, port):
        argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        peer = Peer("redis-server", argv, port=port, directory=directory, env=clean_env(HOME=str(directory)))
        with peer.running():
            yield peer
