"""A PostgreSQL server, for those who keep their state in one."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.command import clean_env, give_up, run
from tests.peers.process import Peer, PeerError, workspace, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator


class PostgresPeer(Peer):
    """One PostgreSQL with one database; ``database`` is its URL, with the password in it."""

    database: str

    def start(self, timeout: float = 30) -> None:
        """Start it and wait until it takes queries, which is a moment after it listens."""
        super().start(timeout)
        deadline = time.monotonic() + timeout
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while run(ready, env=clean_env(), check=False).returncode:
            if time.monotonic() > deadline:
                self.kill()
                raise PeerError(self, f"took no query within {timeout:g} s")
            time.sleep(0.01)


@contextlib.contextmanager
def postgres(schema: str) -> Iterator[PostgresPeer]:
    """
    Run PostgreSQL on data of its own, behind a password. Its data outlives restarts, but no power cut.

    It refuses to be run by root: root runs it as the user that Debian's package makes for it.

    Args:
        schema: SQL to begin with, an empty line after each statement.
    """
    with workspace("postgres") as (directory, port):
        data, password = directory / "data", secrets.token_hex(8)
        env = clean_env(HOME=str(directory), LC_ALL="C")
        password_file = write_private(directory / "password", password)
        become = _become_its_user(directory, password_file)
        initdb = [*become, str(programs() / "initdb"), "-D", str(data), "--no-sync", "--encoding=UTF8"]
        run([*initdb, f"--username={_USER}", "--auth=scram-sha-256", f"--pwfile={password_file}"], env=env)
        server = [*become, str(programs() / "postgres")]
        settings = [
            f"port={port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",  # the disk is waited for by nobody
        ]
        options = ["-D", str(data), *(word for setting in settings for word in ("-c", setting))]
        load = [*server, "--single", "-j", *options, "-c", "exit_on_error=on", "postgres"]
        run(load, env=env, stdin=schema.encode())
        peer = PostgresPeer("postgres", [*server, *options], port=port, directory=directory, env=env)
        peer.database = f"postgres://{_USER}:{password}@127.0.0.1:{port}/postgres?sslmode=disable"
        with peer.running():
            yield peer


def programs() -> Path:
    """Find PostgreSQL's own programs, which Debian keeps off the path; the newest, where there are several."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not places:
        give_up("not installed: PostgreSQL's server (scripts/test installs it on Debian)")
    return places[-1].parent


def _become_its_user(*files: Path) -> list[str]:
    """Give *files* to the user that may run the server, and what goes before a command to run it as that user."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    for file in files:
        os.chown(file, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


_USER = "notary"
