"""``skopeo``: how images get into a registry without a Docker engine."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.command import Result, clean_env, require, run
from tests.peers.images import write_layout
from tests.peers.registry import RegistryPeer, write_docker_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.images import Image


class Skopeo:
    """
    One person with skopeo, who works on one registry.

    Args:
        registry: Its CA is used where it speaks https.
        user: Who to be, of those that the registry knows; its first when None.
        anonymous: Be nobody, whatever the registry asks for.
    """

    def __init__(self, registry: RegistryPeer, *, user: str | None = None, anonymous: bool = False) -> None:
        require("skopeo")
        self._registry = registry
        self._logins = {} if anonymous else registry.login(user)

    def push(self, what: Image, name: str) -> str:
        """
        Push *what*, with every platform if it is an index, to ``REPOSITORY:TAG`` or ``REPOSITORY@DIGEST``.

        Returns:
            The digest of its manifest or index, ``sha256:…``, the same bytes in the registry as here.

        Raises:
            CommandError: The registry, or skopeo, would not have it.
        """
        with tempfile.TemporaryDirectory(prefix="image-") as directory:
            source = write_layout(what, Path(directory))
            self._run(
                "copy", "--all", "--preserve-digests", source, f"docker://{self._registry.host}/{name}", side="dest-"
            )
        return what.digest

    def raw_manifest(self, name: str) -> bytes:
        """Fetch the very bytes that the registry holds under ``REPOSITORY:TAG`` or ``REPOSITORY@DIGEST``."""
        return self._run("inspect", "--raw", f"docker://{self._registry.host}/{name}").out

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository."""
        listing = json.loads(self._run("list-tags", f"docker://{self._registry.host}/{repository}").out)
        return sorted(listing["Tags"])

    def delete(self, name: str) -> Result:
        """Delete the manifest under ``REPOSITORY:TAG``, and so every tag that it has."""
        return self._run("delete", f"docker://{self._registry.host}/{name}")

    def pull_signed(self, name: str, key: Path, lookaside: Path, scope: str = "") -> Result:
        """
        Pull ``REPOSITORY:TAG`` or ``REPOSITORY@DIGEST`` under a policy that wants a signature by the GPG key in a file.

        Args:
            name: The image.
            key: A file with the public key.
            lookaside: The folder that has the signatures.
            scope: ``amd64`` and the like: the platform to pull of an index; by default that of this machine.
        """
        wanted = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(key)}
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self._registry.host: [wanted]}}}
        options = ("--override-arch", scope) if scope else ()
        return self.pull_under(json.dumps(policy), f"{self._registry.host}/{name}", lookaside, options=options)

    @staticmethod
    def pull_under(
        policy: str,
        name: str,
        lookaside: Path,
        *,
        mirrors: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
        every: bool = False,
    ) -> Result:
        """
        Pull the image *name*, with its host, under a ``policy.json``.

        Args:
            policy: What is in that.
            name: The image.
            lookaside: The folder that has the signatures.
            mirrors: Where a registry is, by the name that it goes by in *name*.
            options: More options of skopeo.
            every: Pull all platforms of an index, and the index.
        """
        with tempfile.TemporaryDirectory(prefix="policy-") as directory:
            home = Path(directory)
            (home / "policy.json").write_text(policy)
            (home / "registries.d").mkdir()
            places = {"lookaside": lookaside.as_uri(), "sigstore": lookaside.as_uri()}
            (home / "registries.d" / "here.yaml").write_text(json.dumps({"default-docker": places}))  # JSON is YAML
            lines = (
                f"[[registry]]\nprefix = {json.dumps(prefix)}\nlocation = {json.dumps(location)}\ninsecure = true\n"
                for prefix, location in (mirrors or {}).items()
            )
            (home / "registries.conf").write_text("".join(lines))
            argv: list[str | Path] = ["skopeo", "--policy", home / "policy.json"]
            argv += ["--registries.d", home / "registries.d", "--registries-conf", home / "registries.conf", *options]
            argv += ["copy", "--remove-signatures", "--src-tls-verify=false", *(["--all"] if every else [])]
            argv += [f"docker://{name}", f"dir:{home / 'pulled'}"]
            return run(argv, env=clean_env(HOME=directory, XDG_RUNTIME_DIR=directory), check=False)

    @staticmethod
    def verify_signature(manifest: bytes, name: str, fingerprint: str, signature: bytes, gpg_home: Path) -> Result:
        """Have skopeo say whether *signature* is one of *manifest* as *name*, by a key in the home of gpg."""
        with tempfile.TemporaryDirectory(prefix="signed-") as directory:
            files = Path(directory) / "manifest", Path(directory) / "signature"
            for path, raw in zip(files, (manifest, signature), strict=True):
                path.write_bytes(raw)
            return run(
                ["skopeo", "standalone-verify", files[0], name, fingerprint, files[1]],
                env=clean_env(HOME=directory, GNUPGHOME=str(gpg_home)),
                check=False,
            )

    def _run(self, command: str, *args: str, side: str = "") -> Result:
        """Run a command with the options that say who asks, whom, and how; *side* is their prefix."""
        with tempfile.TemporaryDirectory(prefix="skopeo-") as directory:
            home = Path(directory)
            options = [f"--{side}authfile", str(write_docker_config(home, self._logins))]
            if self._registry.ca_file:
                certificates = home / "certs.d"
                certificates.mkdir()
                shutil.copy(self._registry.ca_file, certificates / "ca.crt")
                options += [f"--{side}cert-dir", str(certificates)]
            else:
                options += [f"--{side}tls-verify=false"]
            # --insecure-policy is about signatures that skopeo itself would ask for
            argv = ["skopeo", "--insecure-policy", command, *options, *args]
            return run(argv, env=clean_env(HOME=directory, XDG_RUNTIME_DIR=directory))
