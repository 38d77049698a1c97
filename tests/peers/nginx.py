"""Debian's ``nginx``, which shows a folder to the world."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.peers.command import clean_env, require
from tests.peers.process import Peer, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.authority import Authority


@contextlib.contextmanager
def nginx(folder: Path, *, inside: str = "", tls: Authority | None = None) -> Iterator[Peer]:
    """
    Show *folder* as it is.

    Args:
        folder: Its root.
        inside: What else stands in the ``server`` block.
        tls: Speak https, certified by this authority.
    """
    require("nginx")
    with workspace("nginx") as (directory, port):
        secure, lines = "", ""
        if tls:
            pair = tls.server()
            secure, lines = " ssl", f"ssl_certificate {pair.cert}; ssl_certificate_key {pair.key};"
        paths = "".join(
            f"{kind}_temp_path {directory};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = directory / "nginx.conf"
        config.write_text(
            f"daemon off; master_process off; pid {directory}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log {directory}/log; {paths}\n"
            f"server {{ listen 127.0.0.1:{port}{secure}; {lines} root {folder};\n{inside}\n}} }}\n"
        )
        argv = ["nginx", "-e", "stderr", "-c", str(config)]
        ca_file = tls.ca_file if tls else None
        peer = Peer("nginx", argv, port=port, directory=directory, env=clean_env(HOME=str(directory)), ca_file=ca_file)
        with peer.running():
            yield peer
