"""``docker trust``, as far as it goes without a Docker engine."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.peers.command import Result, clean_env, give_up, require, run
from tests.peers.notary import Passphrases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.peers.authority import KeyPair
    from tests.peers.trust import TrustServerPeer


@dataclass(frozen=True, slots=True)
class SignedTag:
    """A tag that Docker would run: its manifest's sha256 in hex, and who signed it."""

    tag: str
    sha256: str
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustReport:
    """What ``docker trust inspect`` says of one repository: key ids by signer, and by administrative role."""

    name: str
    tags: tuple[SignedTag, ...]
    signers: dict[str, tuple[str, ...]]
    administrative_keys: dict[str, tuple[str, ...]]


class DockerTrust:
    """
    One person with a Docker CLI and its configuration directory.

    Args:
        server: Has to speak https; its CA goes where Docker looks for it. Name images of some other registry
            than localhost or 127.0.0.1: for those Docker checks no certificate.
        config: To be ``DOCKER_CONFIG``; made if need be. Keys and cache are in its ``trust``.
        passphrases: ``targets`` is for all keys but the root's.
        client: Certificate for a server that wants mutual TLS.
    """

    def __init__(
        self,
        server: TrustServerPeer,
        config: Path,
        *,
        passphrases: Passphrases | None = None,
        client: KeyPair | None = None,
    ) -> None:
        require_docker_trust()
        if server.ca_file is None:
            msg = f"docker trust speaks https only, {server.url} does not"
            raise ValueError(msg)
        self.config = config
        self.trust_dir = config / "trust"
        self.passphrases = passphrases or Passphrases()
        certificates = config / "tls" / server.host
        certificates.mkdir(parents=True, exist_ok=True)
        shutil.copy(server.ca_file, certificates / "ca.crt")
        if client:
            shutil.copy(client.cert, certificates / "client.cert")
            shutil.copy(client.key, certificates / "client.key")
        self._env = clean_env(
            HOME=str(config),
            DOCKER_CONFIG=str(config),
            DOCKER_CONTENT_TRUST_SERVER=server.url,
            **self.passphrases.docker_env(),
        )

    def run(self, *args: str | Path, stdin: bytes = b"", check: bool = True) -> Result:
        """Run ``docker trust`` with *args*."""
        return run(["docker", "trust", *args], env=self._env, stdin=stdin, check=check)

    def inspect(self, image: str) -> TrustReport | None:
        """Say what is signed of *image* (a repository, or one tag); None where Docker has no trust data for it."""
        result = self.run("inspect", image, check=False)
        found: list[dict[str, Any]] = json.loads(result.stdout or "[]")
        if not found and result.said(" signatures or cannot access"):  # "no", "No" before 28
            return None
        if result.returncode or len(found) != 1:
            raise AssertionError(str(result))
        (report,) = found
        return TrustReport(
            report["Name"],
            tuple(SignedTag(tag["SignedTag"], tag["Digest"], tuple(tag["Signers"])) for tag in report["SignedTags"]),
            _key_ids(report["Signers"]),
            _key_ids(report["AdministrativeKeys"]),
        )

    def key_generate(self, name: str, directory: Path) -> Path:
        """Make a signing key called *name*, load it, and give the public half, ``directory/NAME.pub``."""
        self.run("key", "generate", name, "--dir", directory)
        return directory / f"{name}.pub"

    def key_load(self, file: Path, name: str) -> Result:
        """Take a private key (PEM) in, as *name*'s."""
        return self.run("key", "load", file, "--name", name)

    def signer_add(self, name: str, repository: str, keys: Sequence[Path]) -> Result:
        """Let *name* sign, with *keys* (public, PEM); begins the collection where there is none. Published at once."""
        chosen = [word for key in keys for word in ("--key", key)]
        return self.run("signer", "add", *chosen, name, repository)

    def signer_remove(self, name: str, repository: str) -> Result:
        """
        Let *name* sign no more.

        Docker 28 does so only where it asks first: for the last signer of ``targets/releases``. Of another
        signer, or with ``--force``, it removes nothing and exits 0.

        Raises:
            AssertionError: It removed nothing.
        """
        result = self.run("signer", "remove", name, repository, stdin=b"y\n")
        if not result.said("Successfully removed"):
            raise AssertionError(str(result))
        return result

    def revoke(self, image: str) -> Result:
        """Remove a tag, or all of a repository's, from what is signed."""
        return self.run("revoke", "--yes", image)


def require_docker_trust() -> None:
    """Skip the test, or fail it on CI, where there is no Docker CLI or it has lost ``trust``, as 29 has."""
    require("docker")
    if run(["docker", "trust", "inspect", "--help"], env=clean_env(), check=False).returncode:
        give_up("this docker has no 'trust' command")


def _key_ids(entries: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    return {entry["Name"]: tuple(key["ID"] for key in entry["Keys"]) for entry in entries}
