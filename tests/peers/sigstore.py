"""``cosign``, and a ``skopeo`` that knows the signatures it makes: see ``scripts/sigstore_peers.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.sigstore_peers import folder
from tests.peers.command import Result, clean_env, give_up, run

if TYPE_CHECKING:
    from pathlib import Path


def program(name: str) -> Path:
    """Find ``cosign`` or ``skopeo``; skip the running test where they were not fetched, or fail it on CI."""
    found = folder() / name
    if not found.exists():
        give_up(f"not fetched: {name} (python3 -m scripts.sigstore_peers does, on Debian)")
    return found


class Cosign:
    """One person with cosign, who works on registries that speak plain http, and asks no transparency log."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def generate_key_pair(self, password: str) -> tuple[Path, Path]:
        """Make a key pair, ECDSA P-256, in the home: the encrypted private key, and the public one."""
        self._run("generate-key-pair", password=password)
        return self._home / "cosign.key", self._home / "cosign.pub"

    def sign(self, name: str, key: Path, password: str, *options: str) -> None:
        """Sign ``HOST/REPOSITORY@DIGEST``."""
        self._run("sign", "--key", key, "--tlog-upload=false", "--yes", *_HERE, *options, name, password=password)

    def verify(self, name: str, key: Path) -> Result:
        """Say whether ``HOST/REPOSITORY:TAG`` or ``…@DIGEST`` is signed with *key*, a file with the public one."""
        return self._run("verify", "--key", key, "--insecure-ignore-tlog=true", *_HERE, name, check=False)

    def _run(self, *argv: str | Path, password: str = "", check: bool = True) -> Result:
        env = clean_env(HOME=str(self._home), COSIGN_PASSWORD=password)
        return run([program("cosign"), *argv], env=env, cwd=self._home, check=check)


_HERE = ("--allow-http-registry",)
