"""Policies from files, with the keys that they name: those of trustreg in YAML, and ``policy.json``.

A file that is called ``….json`` is a policy of containers; any other is one of trustreg. Neither it nor a key that it
names may be one that just anybody may write to. All of it is read at once, used or not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trustreg.dialects import policy1, policykeys
from trustreg.errors import FileError, FormatError, KeyFileError, PolicyError, SettingError
from trustreg.io import yaml
from trustreg.io.settings import read_unspoilt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trustreg.policy import GpgKey, PlainKey, Policy
    from trustreg.policy_table import Expected


class Looked(NamedTuple):
    """A policy, and what its file says beside.

    ``listed`` is where each key stands that a policy in YAML lists, by name; ``elsewhere`` are the scopes of a
    ``policy.json`` for other transports than docker, by transport.
    """

    policy: Policy
    listed: Mapping[str, str]
    elsewhere: Mapping[str, tuple[str, ...]]


def load(path: Path, tell: Callable[[Path], None] = lambda _: None) -> Policy:
    """Read the policy at *path*, and *tell* which files it consists of, as soon as they are opened.

    Raises:
        PolicyError: It is none, or a key is of no use.
        FileError: The file, or one that it names, cannot be read.
    """
    return look(path, tell).policy


def look(path: Path, tell: Callable[[Path], None] = lambda _: None) -> Looked:
    """Read the policy at *path*, and what else is in its file; raises what :func:`load` does."""
    if path.suffix == ".json":
        return look_at_json(path, tell)
    files = _Files(path, tell)
    raw = files.read(path)
    tree = read_tree(raw, path)
    keys = _Keys(files, str(path), tree)
    try:
        policy = policy1.read(tree.value, str(path), "", tree.line, keys)
    except FormatError as exc:
        raise PolicyError(str(path), tree.line(exc.path), exc.path, exc.problem) from exc
    listed = {name: f"{path}:{tree.line(f'keys.{name}')}" for name in tree.value.get("keys", {})}
    return Looked(files.sealed(policy), listed, {})


def look_at_json(path: Path, tell: Callable[[Path], None] = lambda _: None) -> Looked:
    """Read the ``policy.json`` at *path*, whatever it is called; raises what :func:`load` does."""
    from trustreg.dialects import policyjson

    files = _Files(path, tell)
    raw = files.read(path)
    policy = policyjson.read(raw, str(path), files.named)
    return Looked(files.sealed(policy), {}, policyjson.elsewhere(raw))


def load_table(path: Path) -> tuple[Expected, ...]:
    """Read the table at *path* of what is expected of a policy; raises what :func:`load` does."""
    from trustreg.policy_table import read

    tree = read_tree(_Files(path).read(path), path)
    return read(tree.value, str(path), tree.line)


def read_tree(raw: bytes, path: Path) -> yaml.Tree:
    """Return what the YAML in *raw*, which is the file at *path*, says; raise :class:`PolicyError` where it is none."""
    try:
        return yaml.read(raw, str(path))
    except SettingError as exc:
        source, _, line = exc.source.rpartition(":")
        raise PolicyError(source, int(line), "", exc.problem) from exc


class _Files:
    """The files that a policy consists of."""

    def __init__(self, path: Path, tell: Callable[[Path], None] = lambda _: None) -> None:
        self._folder, self._all, self._tell = path.parent, hashlib.sha256(), tell

    def read(self, path: Path) -> bytes:
        self._tell(path)
        raw = read_unspoilt(str(path))
        if raw is None:
            raise FileError(str(path), "there is no such file")
        self._all.update(len(raw).to_bytes(8, "big") + raw)
        return raw

    def named(self, text: str) -> bytes:
        """Read the file that a policy calls *text*, from where that is."""
        try:
            return self.read(self._folder / Path(text).expanduser())
        except (RuntimeError, ValueError) as exc:
            raise FileError(text, "this is not the name of a file") from exc

    def sealed(self, policy: Policy) -> Policy:
        """Return *policy* with the digest of all that was read for it."""
        from dataclasses import replace

        return replace(policy, digest=self._all.hexdigest())


class _Keys:
    """The keys of a policy in YAML: each is a file, or stands in the policy itself."""

    def __init__(self, files: _Files, source: str, tree: yaml.Tree) -> None:
        self._files, self._source, self._tree = files, source, tree

    def gpg(self, name: str, text: str, path: str) -> GpgKey:
        raw = self._raw(text, path)
        try:
            return policykeys.read_gpg(raw, name)
        except FormatError as exc:
            raise self._fault(path, f"{name} is no public GPG key: {exc.problem}") from exc

    def plain(self, name: str, text: str, path: str) -> PlainKey:
        raw = self._raw(text, path)
        try:
            return policykeys.read_pem(raw, name)
        except KeyFileError as exc:
            raise self._fault(path, f"{name} is no public key: {exc.problem}") from exc

    def _raw(self, text: str, path: str) -> bytes:
        if text.lstrip().startswith("-----BEGIN "):
            return text.encode()
        try:
            return self._files.named(text)
        except FileError as exc:
            exc.hint = f"{self._source}:{self._tree.line(path)} names it"
            raise

    def _fault(self, path: str, problem: str) -> PolicyError:
        return PolicyError(self._source, self._tree.line(path), path, problem)
