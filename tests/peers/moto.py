"""Moto's server, which speaks S3, with its buckets in memory."""

from __future__ import annotations

import contextlib
import http.client
import sys
from typing import TYPE_CHECKING

from tests.peers.command import clean_env
from tests.peers.process import Peer, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


class MotoPeer(Peer):
    """S3 for anybody who signs at all."""

    @property
    def env(self) -> dict[str, str]:
        """What the tools of AWS want to find in the environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, name: str) -> str:
        """Make a bucket, and return its URL."""
        asking = http.client.HTTPConnection(self.host, timeout=30)
        asking.request("PUT", f"/{name}")
        assert asking.getresponse().status == 200
        asking.close()
        return f"s3://{name}"


@contextlib.contextmanager
def moto_server() -> Iterator[MotoPeer]:
    """
    Run Moto with one thread only.

    It looks at a condition (``If-Match``, ``If-None-Match``) and then puts, which S3 does as one step. With several
    threads somebody else could put in between; with one nobody can.
    """
    with workspace("moto") as (directory, port):
        peer = MotoPeer(
            "moto",
            [sys.executable, "-c", _SERVE.format(port=port)],
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory)),
        )
        with peer.running():
            yield peer


_SERVE = """
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", {port}, DomainDispatcherApplication(create_backend_app), threaded=False)
"""
