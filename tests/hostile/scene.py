"""
One collection over its time, a trust server that answers for it, and readers with a cache on disk.

Everything is signed by fixed keys and at fixed times (``vectors.make``), without trustreg. The collection has been at
three moments: ``OLD``; ``KNOWN``, which a reader with a cache has verified; and ``NOW``, which an honest server serves.
From one to the next every role got one version more, with another content.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.world import MemoryRegistry
from trustreg.client import Site, Trusted, Verifier
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import UntrustedError
from trustreg.io.cache import FileCache
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun, Reference
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import Limits
from vectors.make.collection import GUN, Collection, Delegated, Published, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trustreg.ports import Repository
    from trustreg.verify.requests import Want
    from vectors.make.material import Listed

FIRST, SECOND = "targets/releases", "targets/releases/nightly"
ROLES = (ROOT, TIMESTAMP, SNAPSHOT, TARGETS, FIRST, SECOND)
DELEGATED = (FIRST, SECOND)
IMAGE = Reference.parse(f"{GUN}:v1")
TODAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMITS = Limits(rotations=8)


def begun() -> Collection:
    """Return the collection as it began: ``v1`` in every targets role, each with a digest of its own."""
    collection = Collection.usual(Delegated(FIRST, [raw("releases")]), Delegated(SECOND, [raw("nightly")]))
    for role in DELEGATED:
        collection.parts[role].expires = "2029-01-01T00:00:00Z"
    return _said(collection)


def later(before: Collection) -> Collection:
    """Return the collection after every role was signed anew, the root by the same keys."""
    after = before.next(*ROLES)
    after.history.append(before.file(ROOT))
    return _said(after)


def _said(collection: Collection) -> Collection:
    for role, part in collection.parts.items():
        if role.startswith(TARGETS):
            part.targets["v1"] = target(f"v1 of {role}, version {part.version}")
    return collection


def tomorrow(role: str = ROOT, **how: Any) -> Collection:
    """Return the collection after the next publication, with something about the file of *role* bent; see ``Part``."""
    collection = deepcopy(_tomorrow())
    for what, value in how.items():
        setattr(collection.parts[role], what, value)
    return collection


@cache
def _tomorrow() -> Collection:
    return later(NOW.collection)


def keyed(role: str, *keys: Listed, threshold: int = 1) -> Collection:
    """Return the collection of tomorrow with *keys* for *role*, which all of them signed."""
    collection = tomorrow()
    if role in DELEGATED:
        above = collection.parts[role.rpartition("/")[0]]
        above.delegations = [Delegated(role, list(keys), threshold=threshold)]
    else:
        collection.keys[role], collection.thresholds[role] = list(keys), threshold
    if role == ROOT:
        collection.old_root_signers = NOW.collection.keys[ROOT]
    return collection


def bent(role: str, **how: Any) -> bytes:
    """Return today's file of *role* with something about it bent; see ``Part``."""
    collection = deepcopy(NOW.collection)
    for what, value in how.items():
        setattr(collection.parts[role], what, value)
    return collection.file(role)


def believed(role: str, version: int) -> tuple[str, str]:
    """Return what :meth:`Reader.ask` says of a reader who believes that version of *role*."""
    return role, hashlib.sha256(f"v1 of {role}, version {version}".encode()).hexdigest()


@dataclass(frozen=True)
class Server:
    """A ``ports.Repository``: files by path; what it lacks, or is ``None``, is a 404."""

    files: Mapping[str, bytes | None]
    where: str = "https://notary.example"

    def fetch(self, want: Want) -> bytes | None:
        """Answer *want*."""
        return self.files.get(want.path)


def serving(published: Published, instead: Mapping[str, bytes | None] | None = None) -> Server:
    """
    Return a server that has *published* now, and by digest all that was ever published.

    Args:
        published: What it serves. Its root is the one after its history, whatever version it says that it has.
        instead: What it serves instead, by role, or by path.
    """
    files: dict[str, bytes | None] = {**_by_digest()}
    for number, root in enumerate(published.collection.history, 1):
        files[f"{number}.root.json"] = root
    for name, content in {**published.files, **(instead or {})}.items():
        files |= dict.fromkeys(places(published, name) if name in published.files else (name,), content)
    return Server(files)


def places(published: Published, role: str) -> tuple[str, ...]:
    """Return the paths at which readers ask for the current file of *role*."""
    history = len(published.collection.history)
    return ("root.json", f"{history + 1}.root.json") if role == ROOT else (published.path(role),)


@cache
def _by_digest() -> dict[str, bytes]:
    every = ((moment, role) for moment in (OLD, KNOWN, NOW) for role in ROLES if role not in {ROOT, TIMESTAMP})
    return {moment.path(role): moment.files[role] for moment, role in every}


class Reader:
    """
    Somebody who verifies ``v1``, with a trust directory at *trust_dir*.

    ``v1`` is asked of the second delegation, the first one and ``targets``, in this order.
    """

    def __init__(self, trust_dir: Path, pins: Pins | None = None) -> None:
        self.trust_dir, self._pins = trust_dir, pins or Pins()

    def ask(self, server: Server, now: datetime = TODAY) -> str | tuple[str, str]:
        """Return why the answer is no, or which role is believed and the digest that it lists."""
        try:
            trusted = self.verify(server, now)
        except UntrustedError as error:
            return error.code
        return trusted.role, trusted.digest.hex

    def verify(self, server: Repository, now: datetime = TODAY) -> Trusted:
        """Verify ``v1`` as a process of its own would."""
        site = Site(
            gun=Gun(GUN),
            dialect=Notary1(),
            repository=server,
            cache=FileCache(self.trust_dir, Gun(GUN), Notary1()),
            pins=self._pins,
            roles=(SECOND, FIRST, TARGETS),
            limits=LIMITS,
        )
        return Verifier(lambda _: site, MemoryRegistry()).verify(IMAGE, now, compare=False)

    def forget(self) -> None:
        """Do as ``trustreg forget`` does."""
        FileCache(self.trust_dir, Gun(GUN), Notary1()).forget()

    def holdings(self) -> dict[str, bytes]:
        """Return every file of the trust directory."""
        found = (path for path in sorted(self.trust_dir.rglob("*")) if path.is_file() and path.suffix != ".lock")
        return {str(path.relative_to(self.trust_dir)): path.read_bytes() for path in found}


OLD = begun().publish()
KNOWN = later(OLD.collection).publish()
NOW = later(KNOWN.collection).publish()
