"""Collections in the Notary v1 spelling, made without trustreg, and bent where a scenario wants them bent.

A :class:`Collection` writes its files from the root up, so that a change of one file shows in the digests that list
it: the one fault of a vector is then the only one.
"""

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

from securesystemslib.formats import encode_canonical

from vectors.make import material
from vectors.make.material import Listed, base64

Json: TypeAlias = dict[str, Any]

GUN: Final = "registry.example/team/app"
NOW: Final = "2026-05-01T12:00:00Z"
TOP: Final = ("root", "timestamp", "snapshot", "targets")
EXPIRES: Final = {
    "root": "2034-01-01T00:00:00Z",
    "timestamp": "2026-05-14T00:00:00Z",
    "snapshot": "2028-01-01T00:00:00Z",
    "targets": "2029-01-01T00:00:00Z",
}


@dataclass
class Part:
    """One role's file: what it says, and what is done to it on the way.

    ``edit`` bends the signed part before it is signed, ``wrap`` the envelope afterwards, ``rewrite`` the bytes.
    ``signers`` are those who sign; None stands for every key of the role.
    """

    version: int = 1
    expires: str = "2029-01-01T00:00:00Z"
    signers: list[Listed] | None = None
    edit: Callable[[Json], object] | None = None
    wrap: Callable[[Json], object] | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    targets: Json = field(default_factory=dict)
    delegations: "list[Delegated]" = field(default_factory=list)


@dataclass
class Delegated:
    """An entry of ``delegations.roles``."""

    name: str
    keys: list[Listed]
    paths: list[str] = field(default_factory=lambda: [""])
    threshold: int = 1

    def spelled(self) -> Json:
        """Return it as metadata has it."""
        paths = {"paths": self.paths} if self.paths else {}
        return {"keyids": [k.id for k in self.keys], "name": self.name, "threshold": self.threshold, **paths}


@dataclass
class Collection:
    """A whole collection; :meth:`publish` writes it down."""

    gun: str = GUN
    keys: dict[str, list[Listed]] = field(default_factory=dict)
    thresholds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOP, 1))
    parts: dict[str, Part] = field(default_factory=dict)
    history: list[bytes] = field(default_factory=list)
    old_root_signers: list[Listed] = field(default_factory=list)

    @classmethod
    def usual(cls, *delegations: Delegated) -> Self:
        """Return a collection with one key for each role, a target ``v1``, and *delegations* that are all signed."""
        keys = {"root": [root_key()], **{role: [material.raw(role)] for role in TOP[1:]}}
        made = cls(keys=keys, parts={role: Part(expires=EXPIRES[role]) for role in TOP})
        made.parts["targets"].targets["v1"] = target("v1")
        for delegation in delegations:
            made.delegate(delegation)
        return made

    def delegate(self, delegation: Delegated, *, to_nobody: bool = False) -> Part | None:
        """Add *delegation* to the role above it, and unless it is *to_nobody* a part for it; return that."""
        self.parts[delegation.name.rpartition("/")[0]].delegations.append(delegation)
        if to_nobody:
            return None
        part = self.parts[delegation.name] = Part()
        part.targets["v1"] = target(f"v1 of {delegation.name}")
        return part

    def next(self, *roles: str) -> Self:
        """Return a copy in which *roles*, and those that list them, have the next version."""
        after = deepcopy(self)
        for role in {*roles, "snapshot", "timestamp"}:
            after.parts[role].version += 1
        return after

    def rotate(self, role: str, *keys: Listed, old: Iterable[Listed] | None = None) -> Self:
        """Return the collection after *keys* took over *role*: the next root, and the role signed anew.

        A new root key is vouched for by the *old* ones, all unless told otherwise.
        """
        after = self.next("root", role) if role != "root" else self.next("root")
        after.history.append(self.file("root"))
        if role == "root":
            after.old_root_signers = list(self.keys["root"] if old is None else old)
        else:
            after.old_root_signers = []
        after.keys[role] = list(keys)
        return after

    def publish(self) -> "Published":
        """Return what a server would hold now."""
        files: dict[str, bytes] = {"root": self._write("root", self._root())}
        for role in sorted((r for r in self.parts if r.startswith("targets")), key=lambda r: (r.count("/"), r)):
            files[role] = self._write(role, self._targets(role))
        meta = {role: listing(raw) for role, raw in files.items()}
        files["snapshot"], snapshot = self._written("snapshot", {"_type": "Snapshot", "meta": meta})
        meta = {"snapshot": listing(files["snapshot"])}
        files["timestamp"], timestamp = self._written("timestamp", {"_type": "Timestamp", "meta": meta})
        listed = {**_listings(snapshot), **_listings(timestamp)}
        return Published(self, files, listed)

    def file(self, role: str) -> bytes:
        """Return one file as :meth:`publish` writes it."""
        return self.publish().files[role]

    def signers(self, role: str) -> list[Listed]:
        """Return those who sign *role*."""
        part = self.parts[role]
        if part.signers is not None:
            return part.signers
        if role in self.keys:
            return self.keys[role] + [k for k in self.old_root_signers if role == "root" and k not in self.keys[role]]
        above = self.parts[role.rpartition("/")[0]]
        return next(d.keys for d in above.delegations if d.name == role)

    def _root(self) -> Json:
        roles = {r: {"keyids": [k.id for k in self.keys[r]], "threshold": self.thresholds[r]} for r in TOP}
        every = {key.id: key.spelled for role in TOP for key in self.keys[role]}
        return {"_type": "Root", "consistent_snapshot": False, "keys": every, "roles": roles}

    def _targets(self, role: str) -> Json:
        part = self.parts[role]
        keys = {key.id: key.spelled for delegation in part.delegations for key in delegation.keys}
        delegations = {"keys": keys, "roles": [delegation.spelled() for delegation in part.delegations]}
        return {"_type": "Targets", "delegations": delegations, "targets": part.targets}

    def _write(self, role: str, body: Json) -> bytes:
        return self._written(role, body)[0]

    def _written(self, role: str, body: Json) -> tuple[bytes, Json]:
        part = self.parts[role]
        signed = deepcopy({**body, "version": part.version, "expires": part.expires})
        if part.edit:
            part.edit(signed)
        payload = canonical(signed)
        envelope = {"signed": signed, "signatures": [key.sign(payload) for key in self.signers(role)]}
        if part.wrap:
            part.wrap(envelope)
        raw = wire(envelope)
        return (part.rewrite(raw) if part.rewrite else raw), signed


@dataclass(frozen=True)
class Published:
    """Files by role, and what the snapshot and the timestamp say of them: hex sha256 and length."""

    collection: Collection
    files: dict[str, bytes]
    listed: dict[str, tuple[str, int]]

    def repository(self) -> dict[str, bytes]:
        """Return the files by the paths that a server has them at."""
        paths = {f"{version}.root.json": raw for version, raw in enumerate(self.collection.history, self._first())}
        paths[f"{self.collection.parts['root'].version}.root.json"] = self.files["root"]
        paths["root.json"] = self.files["root"]
        paths["timestamp.json"] = self.files["timestamp"]
        return paths | {self.path(role): raw for role, raw in self.files.items() if role not in {"root", "timestamp"}}

    def path(self, role: str) -> str:
        """Return where *role* is found by the hash it is listed with."""
        return f"{role}.{self.listed[role][0]}.json" if role in self.listed and role != "root" else f"{role}.json"

    def floor(self, role: str) -> Json:
        """Return what a client remembers of *role* after it trusted it."""
        allowed = self.collection.signers(role)
        if role == "root":
            allowed = [key for key in allowed if key in self.collection.keys["root"]]
        marks = list(dict.fromkeys(key.fingerprint for key in allowed))
        sha256 = hashlib.sha256(self.files[role]).hexdigest()
        return {"version": self.collection.parts[role].version, "sha256": sha256, "keys": marks}

    def memory(self) -> Json:
        """Return what a client remembers after it read and trusted everything."""
        return {"floors": {role: self.floor(role) for role in self.files}, "refreshed": "2026-04-30T12:00:00Z"}

    def kept(self) -> dict[str, bytes]:
        """Return what it has in its cache then."""
        return dict(self.files)

    def _first(self) -> int:
        return self.collection.parts["root"].version - len(self.collection.history)


def target(content: str, **custom: Any) -> Json:
    """Return the entry of a file that holds *content*."""
    raw = content.encode()
    entry: Json = {"hashes": {"sha256": base64(hashlib.sha256(raw).digest())}, "length": len(raw)}
    return entry | ({"custom": custom} if custom else {})


def listing(raw: bytes) -> Json:
    """Return how a snapshot or timestamp lists *raw*."""
    hashes = {name: base64(hashlib.new(name, raw).digest()) for name in ("sha256", "sha512")}
    return {"hashes": hashes, "length": len(raw)}


def root_key(label: str = "root", name: str | None = GUN, kind: str = "p256", **about: Any) -> Listed:
    """Return a root key with a certificate for *name*."""
    private = material.private_key(label, kind)
    return material.certified(private, material.certificate(private, name, **about))


def canonical(value: Any) -> bytes:
    """Return what signatures cover; where no canonical form exists, something that is signed all the same."""
    try:
        return str(encode_canonical(value)).encode("utf-8", "surrogatepass")
    except Exception:  # noqa: BLE001 # securesystemslib raises its own for a float
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )


def wire(envelope: Mapping[str, Any]) -> bytes:
    """Return the file as Go writes it: the signed part in order, and five characters escaped."""
    ordered = {**envelope, "signed": _sorted(envelope["signed"])} if "signed" in envelope else envelope
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "surrogatepass")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _listings(signed: Json) -> dict[str, tuple[str, int]]:
    """Return role, hex sha256 and length of whatever *signed* lists well enough to be asked for."""
    found = {}
    meta = signed.get("meta")
    for role, entry in meta.items() if isinstance(meta, dict) else ():
        try:
            found[role] = (b64decode(entry["hashes"]["sha256"]).hex(), entry["length"])
        except (KeyError, TypeError, ValueError):
            continue
    return found
