"""``gpg``: people with keys, and with the faults that keys can have."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.command import Result, clean_env, require, run

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gpg:
    """A home of ``gpg``. Use :func:`gpg_home` to make one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = clean_env(HOME=str(home), GNUPGHOME=str(home))

    def run(self, *args: str | Path, stdin: bytes = b"", check: bool = True, at: str | None = None) -> Result:
        """Run ``gpg`` with *args*, *at* a time such as ``20200101T000000``."""
        clock = [f"--faked-system-time={at}!"] if at else []
        quiet = ["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback"]
        return run(["gpg", *quiet, *clock, *args], env=self.env, stdin=stdin, check=check)

    def generate(
        self, name: str, kind: str = "ed25519", *, passphrase: str = "", lasts: str = "0", at: str | None = None
    ) -> str:
        """Make a primary key that signs, and return its fingerprint."""
        words = ["--quick-gen-key", f"{name} <{name}@example.com>", kind, "cert,sign", lasts]
        self.run("--passphrase", passphrase, *words, at=at)
        listed = self.run("--with-colons", "--fixed-list-mode", "-k", f"={name} <{name}@example.com>").stdout
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def subkey(self, fingerprint: str, kind: str = "ed25519", *, lasts: str = "0", at: str | None = None) -> str:
        """Give a key a subkey that signs, and return the fingerprint of that."""
        self.run("--passphrase", "", "--quick-add-key", fingerprint, kind, "sign", lasts, at=at)
        listed = self.run("--with-colons", "-k", fingerprint).stdout
        return [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")][-1]

    def public(self, *fingerprints: str) -> bytes:
        """Export public keys."""
        return self.run("--export", *fingerprints).out

    def sign(self, content: bytes, *fingerprints: str, options: tuple[str, ...] = (), at: str | None = None) -> bytes:
        """Sign *content* as an opaque message, by every one of *fingerprints*."""
        by = [word for fingerprint in fingerprints for word in ("--local-user", fingerprint)]
        return self.run(*options, *by, "--sign", stdin=content, at=at).out

    def revoke(self, fingerprint: str) -> None:
        """Revoke a key."""
        certificate = self.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        self.run("--import", stdin=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))

    def revoke_subkey(self, fingerprint: str, number: int, *, at: str | None = None) -> None:
        """Revoke a subkey of a key, the first of which is number 1."""
        self.edit(fingerprint, f"key {number}", "revkey", "y", "0", "", "y", "save", at=at)

    def edit(self, fingerprint: str, *words: str, at: str | None = None) -> None:
        """Change a key as somebody does who answers with *words* what gpg asks."""
        lines = "".join(f"{word}\n" for word in words).encode()
        self.run("--command-fd=0", "--expert", "--edit-key", fingerprint, stdin=lines, at=at)

    def forget_passphrases(self) -> None:
        """Have the agent forget what it was told."""
        run(["gpgconf", "--reload", "gpg-agent"], env=self.env)

    def close(self) -> None:
        """End the agent."""
        run(["gpgconf", "--kill", "all"], env=self.env)


@contextlib.contextmanager
def gpg_home() -> Iterator[Gpg]:
    """Make a home of ``gpg``, with a path that is short enough for its sockets."""
    require("gpg")
    home = Path(tempfile.mkdtemp(prefix="gpg-home-"))
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n")  # to open a key is not to take long here
    made = Gpg(home)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)
