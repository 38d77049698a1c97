"""Repositories in the TUF 1.0 spelling, made without trustreg, and bent where a scenario wants them bent.

A :class:`Repository` writes its files from the targets up, so that a change of one file shows in what lists it: the
one fault of a vector is then the only one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote

from vectors.make.collection import EXPIRES, NOW, TOP, canonical
from vectors.make.tuf.keys import Json, Key, eddsa

GUN: Final = "repository.example/app"
BEFORE: Final = "2026-04-30T12:00:00Z"
__all__ = ["BEFORE", "EXPIRES", "GUN", "NOW", "TOP", "Delegated", "Part", "Published", "Repository", "listing", "wire"]


@dataclass
class Part:
    """One role's file: what it says, and what is done to it on the way.

    ``edit`` bends the signed part before it is signed, ``wrap`` the envelope afterwards, ``rewrite`` the bytes.
    ``signers`` are those who sign; None stands for every key of the role. What lists the file goes by ``version``,
    whatever an edit makes the file say.
    """

    version: int = 1
    expires: str = "2027-01-01T00:00:00Z"
    signers: list[Key] | None = None
    edit: Callable[[Json], object] | None = None
    wrap: Callable[[Json], object] | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    targets: Json = field(default_factory=dict)
    delegations: "list[Delegated]" = field(default_factory=list)
    bins: Json | None = None
    keys: list[Key] = field(default_factory=list)  # of bins

    def delegated_keys(self) -> list[Key]:
        """Return every key that is delegated to."""
        return [*(key for delegation in self.delegations for key in delegation.keys), *self.keys]


@dataclass
class Delegated:
    """An entry of ``delegations.roles``; ``members`` set others, or with None remove them."""

    name: str
    keys: list[Key]
    paths: list[str] | None = None
    threshold: int = 1
    members: Json = field(default_factory=dict)

    def spelled(self) -> Json:
        """Return it as metadata has it."""
        entry = {
            "name": self.name,
            "keyids": [key.id for key in self.keys],
            "threshold": self.threshold,
            "terminating": False,
            "paths": ["app/*"] if self.paths is None else self.paths,
            **self.members,
        }
        return {name: value for name, value in entry.items() if value is not None}


@dataclass
class Repository:
    """A whole repository; :meth:`publish` writes it down.

    ``lists`` is what ``meta`` gives of a file besides its version. ``hidden`` are roles that the snapshot omits.
    """

    keys: dict[str, list[Key]] = field(default_factory=lambda: {role: [eddsa(role)] for role in TOP})
    thresholds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOP, 1))
    parts: dict[str, Part] = field(default_factory=lambda: {role: Part(expires=EXPIRES[role]) for role in TOP})
    consistent: bool = True
    lists: tuple[str, ...] = ("length", "hashes")
    hidden: tuple[str, ...] = ()
    history: list[bytes] = field(default_factory=list)
    old_root_signers: list[Key] = field(default_factory=list)

    @classmethod
    def usual(cls, **how: Any) -> Self:
        """Return a repository with one key for each role; ``releases`` lists ``app/v1``, and ``targets`` a readme."""
        made = cls(**how)
        made.parts["targets"].targets["readme"] = target("readme")
        made.delegate("targets", Delegated("releases", [eddsa("releases")]), "app/v1")
        return made

    def delegate(self, delegator: str, delegation: Delegated, *lists: str) -> Part:
        """Have *delegator* delegate, after all others; return the part of the role, which *lists* these targets."""
        self.parts[delegator].delegations.append(delegation)
        part = self.parts.setdefault(delegation.name, Part())
        part.targets |= {name: target(f"{name} of {delegation.name}") for name in lists}
        return part

    def delegate_bins(self, delegator: str, prefix: str, bits: Any, keys: list[Key], *roles: str) -> list[Part]:
        """Have *delegator* share names among bins; return the parts of the bins called *roles*, the others are none."""
        part = self.parts[delegator]
        part.bins = {
            "keyids": [key.id for key in keys],
            "threshold": 1,
            "bit_length": bits,
            "name_prefix": prefix,
        }
        part.keys, part.delegations = keys, []
        for role in roles:
            self.parts[role] = Part(signers=keys)
        return [self.parts[role] for role in roles]

    def next(self, *roles: str) -> Self:
        """Return a copy in which *roles*, and those that list them, have the next version."""
        after = deepcopy(self)
        for role in {*roles, "timestamp", *({"snapshot"} if {*roles} - {"root", "timestamp"} else ())}:
            after.parts[role].version += 1
        if "root" in roles:
            after.history.append(self.file("root"))
            after.old_root_signers = []
        return after

    def rotate(self, keys: Mapping[str, list[Key]], *, old: Iterable[Key] | None = None, **thresholds: int) -> Self:
        """Return a copy with the next root, in which roles have other *keys* or thresholds.

        Every role whose keys changed has the next version. A new root is vouched for by the *old* keys, all of them
        unless told otherwise.
        """
        after = self.next("root", *keys)
        after.old_root_signers = list(self.keys["root"] if old is None else old)
        after.keys |= keys
        after.thresholds |= thresholds
        return after

    def publish(self) -> "Published":
        """Return what a server would hold now."""
        files: dict[str, bytes] = {}
        meta: Json = {}
        for role in (role for role in self.parts if role not in {"root", "timestamp", "snapshot"}):
            files[role], _ = self._written(role, self._targets(role))
            if role not in self.hidden:
                meta[f"{role}.json"] = listing(files[role], self.parts[role].version, self.lists)
        files["snapshot"], snapshot = self._written("snapshot", {"_type": "snapshot", "meta": meta})
        version = self.parts["snapshot"].version
        meta = {"snapshot.json": listing(files["snapshot"], version, self.lists)}
        files["timestamp"], timestamp = self._written("timestamp", {"_type": "timestamp", "meta": meta})
        files["root"] = self.file("root")
        return Published(self, files, {**_entries(snapshot), **_entries(timestamp)})

    def file(self, role: str) -> bytes:
        """Return the file of *role*, which lists none, as :meth:`publish` writes it."""
        return self._written(role, self._root() if role == "root" else self._targets(role))[0]

    def signers(self, role: str) -> list[Key]:
        """Return those who sign *role*."""
        part = self.parts[role]
        if part.signers is not None:
            return part.signers
        if role in self.keys:
            known = {key.id for key in self.keys[role]}
            return self.keys[role] + [k for k in self.old_root_signers if role == "root" and k.id not in known]
        return next(d.keys for part in self.parts.values() for d in part.delegations if d.name == role)

    def _root(self) -> Json:
        roles = {r: {"keyids": [k.id for k in self.keys[r]], "threshold": self.thresholds[r]} for r in TOP}
        every = {key.id: key.spelled for role in TOP for key in self.keys[role]}
        return {"_type": "root", "consistent_snapshot": self.consistent, "keys": every, "roles": roles}

    def _targets(self, role: str) -> Json:
        part = self.parts[role]
        body: Json = {"_type": "targets", "targets": part.targets}
        if not part.delegations and part.bins is None:
            return body
        delegations: Json = {"keys": {key.id: key.spelled for key in part.delegated_keys()}}
        if part.bins is None:
            delegations["roles"] = [delegation.spelled() for delegation in part.delegations]
        else:
            delegations["succinct_roles"] = part.bins
        return {**body, "delegations": delegations}

    def _written(self, role: str, body: Json) -> tuple[bytes, Json]:
        part = self.parts[role]
        signed = deepcopy({"spec_version": "1.0.34", **body, "version": part.version, "expires": part.expires})
        if part.edit:
            part.edit(signed)
        payload = canonical(signed)
        envelope = {"signatures": [key.sign(payload) for key in self.signers(role)], "signed": signed}
        if part.wrap:
            part.wrap(envelope)
        raw = wire(envelope)
        return (part.rewrite(raw) if part.rewrite else raw), signed


@dataclass(frozen=True)
class Published:
    """Files by role, and what the snapshot and the timestamp say of them."""

    made: Repository
    files: dict[str, bytes]
    listed: dict[str, Json]

    def repository(self) -> dict[str, bytes]:
        """Return the files by the paths that a server has them at."""
        last = self.made.parts["root"].version
        paths = {f"{last - back}.root.json": raw for back, raw in enumerate(reversed(self.made.history), 1)}
        paths[f"{last}.root.json"] = self.files["root"]
        paths["timestamp.json"] = self.files["timestamp"]
        return paths | {self.path(role): raw for role, raw in self.files.items() if role not in {"root", "timestamp"}}

    def path(self, role: str) -> str:
        """Return where *role* is found as it is listed."""
        name = f"{quote(role, safe='')}.json"
        version = self.listed.get(role, {}).get("version", self.made.parts[role].version)
        return f"{version}.{name}" if self.made.consistent and role != "timestamp" else name

    def floor(self, role: str) -> Json:
        """Return what a client remembers of *role* after it trusted it."""
        allowed = [key for key in self.made.signers(role) if key.id in {k.id for k in self.made.keys[role]}]
        return {
            "version": self.made.parts[role].version,
            "sha256": hashlib.sha256(self.files[role]).hexdigest(),
            "keys": list(dict.fromkeys(key.fingerprint for key in allowed)),
            "listed": self._listed_by(role),
        }

    def memory(self) -> Json:
        """Return what a client remembers after it read and trusted everything."""
        return {"floors": {role: self.floor(role) for role in ("root", "timestamp", "snapshot")}, "refreshed": BEFORE}

    def _listed_by(self, role: str) -> Json:
        """Return the versions that *role* lists, by role."""
        below = {"timestamp": ["snapshot"], "snapshot": [r for r in self.listed if r not in {"snapshot", "root"}]}
        return {name: self.listed[name]["version"] for name in below.get(role, ())}


def target(content: str, *algorithms: str, **custom: Any) -> Json:
    """Return the entry of a file that holds *content*."""
    raw = content.encode()
    named = algorithms or ("sha256",)
    entry: Json = {"length": len(raw), "hashes": {name: hashlib.new(name, raw).hexdigest() for name in named}}
    return entry | ({"custom": custom} if custom else {})


def listing(raw: bytes, version: int, lists: Iterable[str]) -> Json:
    """Return how a snapshot or timestamp lists *raw*."""
    described = {"length": len(raw), "hashes": {"sha256": hashlib.sha256(raw).hexdigest()}}
    return {"version": version} | {name: described[name] for name in lists}


def wire(envelope: Mapping[str, Any]) -> bytes:
    """Return the file as tools write it."""
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _entries(signed: Json) -> dict[str, Json]:
    """Return what *signed* lists well enough to be asked for, by role."""
    meta = signed.get("meta")
    entries = meta.items() if isinstance(meta, dict) else ()
    return {name.removesuffix(".json"): entry for name, entry in entries if isinstance(entry, dict)}
