"""``cosign``, and a ``skopeo`` that knows the signatures it makes: see ``scripts/sigstore_peers.py``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.sigstore_peers import folder
from tests.peers.command import Result, clean_env, give_up, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def program(name: str) -> Path:
    """Find ``cosign`` or ``skopeo``; skip the running test where they were not fetched, or fail it on CI."""
    found = _FOLDER / name
    if not found.exists():
        give_up(f"not fetched: {name} (python3 -m scripts.sigstore_peers does, on Debian)")
    return found


def copy(
    source: str,
    destination: str,
    *options: str | Path,
    requirement: Mapping[str, Any] | None = None,
    registries: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Result:
    """
    Have the newer skopeo copy an image, from and to registries that speak plain http.

    Args:
        source: ``docker://HOST/REPOSITORY:TAG`` and the like.
        destination: The same; a relative ``dir:`` goes away afterwards.
        options: Of ``skopeo copy``.
        requirement: What a ``policy.json`` wants of every image; anything goes if there is none.
        registries: What ``registries.d`` says of all registries; by default that signatures are in them.
        env: More of an environment.
    """
    with tempfile.TemporaryDirectory(prefix="skopeo-") as directory:
        home = Path(directory)
        (home / "policy.json").write_text(json.dumps({"default": [requirement or {"type": "insecureAcceptAnything"}]}))
        (home / "registries.d").mkdir()
        said = {"default-docker": registries or {"use-sigstore-attachments": True}}
        (home / "registries.d" / "here.yaml").write_text(json.dumps(said))  # JSON is YAML
        settings: Sequence[str | Path] = ("--policy", home / "policy.json", "--registries.d", home / "registries.d")
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        return run(
            [program("skopeo"), *settings, "copy", *plain, *options, source, destination],
            env=clean_env(HOME=directory, XDG_RUNTIME_DIR=directory, **(env or {})),
            cwd=home,
            check=False,
        )


class Cosign:
    """One person with cosign, who works on registries that speak plain http, and asks no transparency log."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def generate_key_pair(self, password: str) -> tuple[Path, Path]:
        """Make a key pair, ECDSA P-256, in the home: the encrypted private key, and the public one."""
        self._run("generate-key-pair", password=password)
        return self._home / "cosign.key", self._home / "cosign.pub"

    def import_key_pair(self, key: Path, password: str) -> tuple[Path, Path]:
        """Encrypt the private key in the PEM file *key* as cosign does; give the files of both halves."""
        self._run("import-key-pair", "--key", key, "--output-key-prefix", "imported", password=password)
        return self._home / "imported.key", self._home / "imported.pub"

    def sign(self, name: str, key: Path, password: str, *options: str) -> None:
        """Sign ``HOST/REPOSITORY@DIGEST``."""
        self._run("sign", "--key", key, "--tlog-upload=false", "--yes", _HERE, *options, name, password=password)

    def verify(self, name: str, key: Path) -> Result:
        """Say whether ``HOST/REPOSITORY:TAG`` or ``…@DIGEST`` is signed with *key*, a file with the public one."""
        return self._run("verify", "--key", key, "--insecure-ignore-tlog=true", _HERE, name, check=False)

    def _run(self, *argv: str | Path, password: str = "", check: bool = True) -> Result:
        env = clean_env(HOME=str(self._home), COSIGN_PASSWORD=password)
        return run([program("cosign"), *argv], env=env, cwd=self._home, check=check)


_FOLDER = folder()  # of whoever runs the tests; a test has a home of its own
_HERE = "--allow-http-registry"
