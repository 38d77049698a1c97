"""``trustreg`` as people use it: the installed command, and the library with the same settings."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import trustreg
from tests.peers.command import Result, clean_env, run
from tests.peers.notary import Passphrases, TargetRow
from tests.peers.registry import write_docker_config

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping
    from pathlib import Path

    from tests.peers.registry import RegistryPeer
    from tests.peers.trust import TrustServerPeer


class Trustreg:
    """
    One person with trustreg: a home with a configuration file, logins and, unless it is shared, a trust directory.

    Args:
        server: The trust server of every collection; with its CA, where it has one.
        home: To be ``HOME``; made if need be. Two instances on one home are two runs by one person.
        trust_dir: One that is shared with Go's tools; by default one in *home*.
        registry: Where the images of ``registry.example`` really are, as its first user. An image of any other host
            is asked for at that host.
        passphrases: For the keys that it makes and opens.
        env: More variables.
    """

    def __init__(
        self,
        server: TrustServerPeer,
        home: Path,
        *,
        trust_dir: Path | None = None,
        registry: RegistryPeer | None = None,
        passphrases: Passphrases | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.trust_dir = home, trust_dir or home / "trust"
        self.config, self.docker_config = home / "trustreg.toml", home / ".docker"
        lines = [f"trust_dir = {_toml(self.trust_dir)}", "[defaults]", f"server = {_toml(server.url)}"]
        lines += [f"ca = {_toml(server.ca_file)}"] if server.ca_file else []
        if registry:
            lines += ["[[registry]]", 'match = "registry.example"', f"mirror = {_toml(registry.host)}"]
            write_docker_config(self.docker_config, registry.login())
        self.config.write_text("\n".join(lines))
        self.env = clean_env(
            HOME=str(home),
            TRUSTREG_CONFIG=str(self.config),
            **(passphrases or Passphrases()).notary_env(),
            **(env or {}),
        )

    def run(self, *args: str | Path, stdin: bytes = b"", check: bool = True, timeout: float = 60) -> Result:
        """Run ``trustreg`` with *args*."""
        return run(self.argv(*args), env=self.env, stdin=stdin, check=check, cwd=self.home, timeout=timeout)

    def argv(self, *args: str | Path) -> tuple[str, ...]:
        """Give the words that run ``trustreg`` with *args*, for who starts it otherwise."""
        return (sys.executable, "-m", "trustreg", *map(str, args))

    def verifier(self, **settings: Any) -> trustreg.Verifier:
        """Make the library's verifier, with the settings of this person and *settings*."""
        return trustreg.Verifier(config=self.config, env=self.env, **settings)

    def publisher(self, **settings: Any) -> trustreg.Publisher:
        """Make the library's publisher, with the settings of this person and *settings*."""
        return trustreg.Publisher(config=self.config, env=self.env, **settings)

    def json(self, *args: str | Path, check: bool = True) -> Any:
        """Run ``trustreg`` with *args* and read what it prints as JSON."""
        return json.loads(self.run(*args, "--format", "json", check=check).stdout)

    def list(self, gun: str) -> builtins.list[TargetRow]:
        """List the tags of a collection, each as the role says that counts, in the order of their names."""
        return [
            TargetRow(tag["tag"], tag["digest"].removeprefix("sha256:"), tag["length"], tag["role"])
            for tag in self.json("list", gun)["tags"]
        ]


def _toml(text: object) -> str:
    return json.dumps(str(text), ensure_ascii=False)  # a JSON string is a TOML string
