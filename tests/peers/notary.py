"""The Go ``notary`` command, without a person at the keyboard."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.peers.command import Result, clean_env, require, run

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.peers.authority import KeyPair
    from tests.peers.trust import TrustServerPeer


@dataclass(frozen=True, slots=True)
class Passphrases:
    """
    What the key files are encrypted with, by role; ``delegation`` is for every role that is not a base role.

    The last three are one unless said otherwise, as Docker has it, so both tools can share a trust directory.
    """

    root: str = field(default="root passphrase", repr=False)
    targets: str = field(default="repository passphrase", repr=False)
    snapshot: str = field(default="repository passphrase", repr=False)
    delegation: str = field(default="repository passphrase", repr=False)

    def notary_env(self) -> dict[str, str]:
        """The variables that Go ``notary`` reads."""
        return {
            "NOTARY_ROOT_PASSPHRASE": self.root,
            "NOTARY_TARGETS_PASSPHRASE": self.targets,
            "NOTARY_SNAPSHOT_PASSPHRASE": self.snapshot,
            "NOTARY_DELEGATION_PASSPHRASE": self.delegation,
        }

    def docker_env(self) -> dict[str, str]:
        """The variables that Docker reads, which has one passphrase for every key but the root's."""
        return {
            "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": self.root,
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": self.targets,
        }


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One signed name, as ``list`` and ``lookup`` show it. ``sha256`` is lower-case hex; ``lookup`` says no role."""

    name: str
    sha256: str
    length: int
    role: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One staged change, as ``status`` shows it."""

    number: int
    action: str
    role: str
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class DelegationRow:
    """One delegation, as ``delegation list`` shows it; ``paths`` holds ``""`` where all paths are meant."""

    role: str
    paths: tuple[str, ...]
    key_ids: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One private key, as ``key list`` shows it; ``key_id`` is the canonical one, ``gun`` is empty for a root."""

    role: str
    gun: str
    key_id: str


class GoNotary:
    """
    One Go client: a trust server, a trust directory, its passphrases.

    Every method runs the real program once. Two instances on one directory are two
    runs by one person; two directories are two people. What changes a collection is
    only staged unless ``publish=True``.

    Args:
        server: Its URL and CA are used.
        trust_dir: Keys, cache and staged changes; made by the program.
        passphrases: For the keys that it makes and opens.
        login: User and password for a server that asks.
        client: Certificate for a server that wants mutual TLS.
    """

    def __init__(
        self,
        server: TrustServerPeer,
        trust_dir: Path,
        *,
        passphrases: Passphrases | None = None,
        login: tuple[str, str] | None = None,
        client: KeyPair | None = None,
    ) -> None:
        require("notary")
        self.trust_dir = trust_dir
        self.passphrases = passphrases or Passphrases()
        self._argv: list[str | Path] = ["notary", "-s", server.url, "-d", trust_dir]
        if server.ca_file:
            self._argv += ["--tlscacert", server.ca_file]
        if client:
            self._argv += ["--tlscert", client.cert, "--tlskey", client.key]
        self._env = clean_env(HOME=str(trust_dir.parent), **self.passphrases.notary_env())
        if login:
            self._env["NOTARY_AUTH"] = base64.b64encode(":".join(login).encode()).decode()

    def run(self, *args: str | Path, stdin: bytes = b"", check: bool = True) -> Result:
        """Run ``notary`` with *args* after the options that this instance stands for."""
        return run([*self._argv, *args], env=self._env, stdin=stdin, check=check)

    # Collections

    def init(self, gun: str, *, root_key: Path | None = None, publish: bool = False) -> Result:
        """Begin a collection; with a root key that is held already, or *root_key* (PEM), or else a new one."""
        return self.run("init", *_option("--rootkey", root_key), gun, *_publish(publish))

    def publish(self, gun: str) -> Result:
        """Sign and send what is staged."""
        return self.run("publish", gun)

    def status(self, gun: str) -> builtins.list[Change]:
        """List what is staged."""
        rows = _table(self.run("status", gun).stdout)
        return [Change(int(number), *cells) for number, *cells in rows]

    def reset(self, gun: str) -> Result:
        """Forget all that is staged."""
        return self.run("reset", "--all", gun)

    def delete(self, gun: str, *, remote: bool = False) -> Result:
        """Delete the local copy of a collection, and the server's with *remote*."""
        return self.run("delete", gun, *(["--remote"] if remote else []))

    # Targets

    def add(
        self,
        gun: str,
        name: str,
        file: Path,
        *,
        roles: Sequence[str] = (),
        custom: Path | None = None,
        publish: bool = False,
    ) -> Result:
        """Sign *file* under *name*, in *roles* rather than ``targets``; *custom* is a JSON file to sign with it."""
        return self.run("add", gun, name, file, *_roles(roles), *_option("--custom", custom), *_publish(publish))

    def addhash(
        self,
        gun: str,
        name: str,
        length: int,
        *,
        sha256: str | None = None,
        sha512: str | None = None,
        roles: Sequence[str] = (),
        custom: Path | None = None,
        publish: bool = False,
    ) -> Result:
        """Sign a length and hex digests under *name*: what Docker does with a manifest."""
        options = [*_option("--sha256", sha256), *_option("--sha512", sha512), *_option("--custom", custom)]
        return self.run("addhash", gun, name, str(length), *options, *_roles(roles), *_publish(publish))

    def remove(self, gun: str, name: str, *, roles: Sequence[str] = (), publish: bool = False) -> Result:
        """Take *name* out of ``targets``, or out of *roles*."""
        return self.run("remove", gun, name, *_roles(roles), *_publish(publish))

    def list(self, gun: str, *, roles: Sequence[str] = ()) -> builtins.list[TargetRow]:
        """List the signed names, those of *roles* first and only."""
        rows = _table(self.run("list", gun, *_roles(roles)).stdout)
        return [TargetRow(name, digest, int(length), role) for name, digest, length, role in rows]

    def lookup(self, gun: str, name: str) -> TargetRow | None:
        """Look one name up; None where the collection is there and does not sign it."""
        result = self.run("lookup", gun, name, check=False)
        if result.said("No valid trust data for"):
            return None
        if found := re.fullmatch(r"(.+) sha256:([0-9a-f]*) (\d+)", result.stdout.strip()):
            return TargetRow(found[1], found[2], int(found[3]), None)
        raise AssertionError(str(result))

    def verify(self, gun: str, name: str, content: bytes) -> bool:
        """
        Ask whether *content* is what is signed under *name*.

        Raises:
            AssertionError: It could not say.
        """
        result = self.run("verify", "-q", gun, name, stdin=content, check=False)
        if result.returncode and not result.said("data not present in the trusted collection"):
            raise AssertionError(str(result))
        return result.returncode == 0

    # Delegations

    def delegation_add(
        self, gun: str, role: str, *keys: Path, paths: Sequence[str] = ("",), publish: bool = False
    ) -> Result:
        """Let *keys* (PEM, certificates or public) sign for *role* what begins with one of *paths*; ``""`` is all."""
        return self.run("delegation", "add", gun, role, *keys, *_paths(paths), *_publish(publish))

    def delegation_list(self, gun: str) -> builtins.list[DelegationRow]:
        """List the delegations of ``targets``."""
        return list(_delegations(self.run("delegation", "list", gun).stdout))

    def delegation_remove(
        self, gun: str, role: str, *key_ids: str, paths: Sequence[str] = (), publish: bool = False
    ) -> Result:
        """Take *key_ids* and *paths* from a delegation; the whole of it where neither is named."""
        return self.run("delegation", "remove", "-y", gun, role, *key_ids, *_paths(paths), *_publish(publish))

    def delegation_purge(self, gun: str, *key_ids: str, publish: bool = False) -> Result:
        """Take *key_ids* (canonical) from every delegation."""
        keys = [word for key_id in key_ids for word in ("--key", key_id)]
        return self.run("delegation", "purge", gun, *keys, *_publish(publish))

    def witness(self, gun: str, *roles: str, publish: bool = False) -> Result:
        """Mark delegations to be signed anew as they are."""
        return self.run("witness", gun, *roles, *_publish(publish))

    # Keys

    def key_generate(self, role: str = "root") -> str:
        """Make an ECDSA key, the only kind that it makes, and give its canonical id."""
        return self.run("key", "generate", "ecdsa", "--role", role).stdout.strip().rpartition(" ")[2]

    def key_import(self, *files: Path, role: str | None = None, gun: str | None = None) -> Result:
        """Take private keys in from PEM files; *role* and *gun* where their headers do not say."""
        return self.run("key", "import", *files, *_option("--role", role), *_option("--gun", gun))

    def key_export(self, output: Path, *key_ids: str) -> Result:
        """Write the private keys, or those of *key_ids*, to *output*; they stay encrypted."""
        keys = [word for key_id in key_ids for word in ("--key", key_id)]
        return self.run("key", "export", "-o", output, *keys)

    def key_list(self) -> builtins.list[KeyRow]:
        """List the private keys held."""
        rows = _table(self.run("key", "list").stdout)
        return [KeyRow(role, gun, key_id) for role, gun, key_id, _location in rows]

    def key_rotate(self, gun: str, role: str, *, server_managed: bool = False, keys: Sequence[Path] = ()) -> Result:
        """Replace the key of *role* by one of the server's, by those in *keys*, or by a new one; published at once."""
        chosen = [word for key in keys for word in ("--key", str(key))]
        managed = ["--server-managed"] if server_managed else []
        return self.run("key", "rotate", gun, role, *managed, *chosen, stdin=b"yes\n")  # it asks before a root

    def key_remove(self, key_id: str) -> Result:
        """Delete a private key."""
        return self.run("key", "remove", key_id, stdin=b"yes\n")


def _option(name: str, value: str | Path | None) -> builtins.list[str]:
    return [name, str(value)] if value is not None else []


def _publish(publish: bool) -> builtins.list[str]:
    return ["--publish"] if publish else []


def _roles(roles: Sequence[str]) -> builtins.list[str]:
    return ["--roles", ",".join(roles)] if roles else []


def _paths(paths: Sequence[str]) -> builtins.list[str]:
    named = [path for path in paths if path]
    return [*(["--all-paths"] if "" in paths else []), *(["--paths", ",".join(named)] if named else [])]


def _table(text: str) -> Iterator[list[str]]:
    """Read a table as notary prints it: the ruler of dashes under the headings says where each column begins."""
    lines = iter(text.splitlines())
    ruler = next((line for line in lines if line.startswith("-")), "")
    begins = [dashes.start() for dashes in re.finditer("-+", ruler)]
    for line in lines:
        if line.strip():
            yield [line[a:b].strip() for a, b in zip(begins, [*begins[1:], None], strict=True)]


def _delegations(text: str) -> Iterator[DelegationRow]:
    """Join the lines of each delegation: the role stands in the first only, one key and one path in each."""
    role, paths, key_ids, threshold = "", list[str](), list[str](), ""
    for name, path, key_id, needed in [*_table(text), ["end", "", "", ""]]:
        if name:
            if role:
                yield DelegationRow(role, tuple(paths), tuple(key_ids), int(threshold))
            role, paths, key_ids, threshold = name, [], [], needed
        if path:
            paths.append("" if path == '"" <all paths>' else path)
        if key_id:
            key_ids.append(key_id)
