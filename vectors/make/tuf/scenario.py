"""What all scenarios of vectors/tuf1 share: the usual requests, the usual repository and ways to bend it."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vectors.make.scenario import (
    ROOT_LIMIT,
    TIMESTAMP_LIMIT,
    Named,
    Step,
    Vector,
    error,
    malformed,
    setting,
    shown,
    threshold,
    without,
)
from vectors.make.tuf.keys import Json, Key
from vectors.make.tuf.repository import GUN, NOW, TOP, Delegated, Published, Repository

__all__ = [
    "GUN",
    "LIMITS",
    "NOW",
    "ROLES",
    "TOP",
    "Named",
    "absent",
    "bent",
    "case",
    "error",
    "found",
    "keyed",
    "malformed",
    "setting",
    "slug",
    "threshold",
    "where",
    "without",
]

RELEASES: Final = "releases"
ROLES: Final = (*TOP, RELEASES)
LIMITS: Final = {"root": ROOT_LIMIT, "timestamp": TIMESTAMP_LIMIT, "snapshot": 16 << 20, "targets": 64 << 20}


def case(
    name: str,
    comment: str,
    source: str,
    published: Published,
    expect: Json,
    *,
    at: str | list[Any] | None = None,
    loads: tuple[str, ...] = (RELEASES,),
    ask: str | Json | None = "app/v1",
    anchor: bytes | None = None,
    known: Published | None = None,
    kept: Mapping[str, bytes] | None = None,
    memory: Json | None = None,
    repository: Mapping[str, bytes] | None = None,
    pins: Json | None = None,
    limits: Json | None = None,
    now: str = NOW,
) -> Named:
    """Return a vector and its name.

    Args:
        name: Its file's name.
        comment: What is the matter, in one sentence.
        source: Who says what has to come of it.
        published: What is published now.
        expect: What has to come of it.
        at: The role, path or request at which it fails; None where nothing fails.
        loads: The delegated roles that are read for the answer, in order.
        ask: The target that is asked for, or the question; None for a refresh and no more.
        anchor: The root that the client was given, if not the first of *published*.
        known: What the client trusted before; then it was given no root.
        kept: What its cache holds, if not what it trusted before.
        memory: What it remembers, if not what it trusted before.
        repository: What the server holds, if not all of *published*.
        pins: What the client knows of the root, if not *anchor*.
        limits: What it is willing to read.
        now: When it asks.
    """
    if repository is None:
        repository = published.repository()
    if kept is None:
        kept = known.files if known else {}
    if memory is None:
        memory = known.memory() if known else {"floors": {}, "refreshed": None}
    if not memory["floors"] and anchor is None and pins is None:
        anchor = (published.made.history or [published.files["root"]])[0]
    version = published.made.parts["root"].version - (len(published.made.history) if anchor else 0)
    if anchor and (own := [at for at, raw in _roots(repository) if raw == anchor]):
        version = own[0]
    caps = LIMITS | (limits or {})
    floors = memory["floors"]
    steps = [
        ("", ["remember"]),
        *_root_steps(repository, kept, floors, version, caps["root"], anchor=anchor is not None),
        *_top_steps(published, kept, floors, caps),
        *(step for role in loads for step in _listed_steps(published, kept, role, caps["targets"])),
    ]
    pinned: Json = {"keys": [], "certificates": [], "authorities": [], "first_use": anchor is None}
    asked = ask if isinstance(ask, dict) else {"gun": GUN} | ({} if ask is None else {"name": ask})
    vector: Vector = {
        "comment": comment,
        "source": source,
        "dialect": "tuf1",
        "now": now,
        "pins": pinned | ({"root": shown(anchor)} if anchor is not None else {}) | (pins or {}),
        **({"limits": limits} if limits else {}),
        "kept": {role: shown(content) for role, content in kept.items()},
        "memory": memory,
        "repository": {path: shown(content) for path, content in repository.items()},
        "ask": asked,
        "expect": expect,
        "trace": _until(at, steps),
    }
    return name, vector


def _root_steps(
    repository: Mapping[str, bytes], kept: Mapping[str, bytes], floors: Json, version: int, limit: int, *, anchor: bool
) -> Iterator[Step]:
    """Yield how a root is found and followed, each that is not older than the one trusted kept before the next."""
    first = not floors and not anchor
    keep: Step = ("keep", ["keep", ["root"]])
    floor = floors["root"]["version"] if floors else 0
    if floors and not anchor:
        yield "root", ["recall", "root"]
        version = floors["root"]["version"]
        if hashlib.sha256(kept.get("root", b"")).hexdigest() != floors["root"]["sha256"]:
            yield "root", ["want", f"{version}.root.json", limit]
            if f"{version}.root.json" in repository:
                yield keep
    elif anchor:
        if version >= floor:
            yield keep
    else:
        version = 1
        yield "root", ["want", "1.root.json", limit]
    for number in range(version + 1, 1000 + version):
        yield "root", ["want", f"{number}.root.json", limit]
        if f"{number}.root.json" not in repository:
            break
        if not first and number >= floor:
            yield keep
    if first:
        yield keep


def _top_steps(published: Published, kept: Mapping[str, bytes], floors: Json, caps: Json) -> Iterator[Step]:
    """Yield how timestamp, snapshot and targets are read and kept, and how a refresh ends."""
    yield "timestamp", ["want", "timestamp.json", caps["timestamp"]]
    yield "keep", ["keep", ["timestamp"]]
    yield from _listed_steps(published, kept, "snapshot", caps["snapshot"], known="snapshot" in floors)
    yield from _listed_steps(published, kept, "targets", caps["targets"])
    yield "keep", ["keep", []]


def _listed_steps(
    published: Published, kept: Mapping[str, bytes], role: str, cap: int, *, known: bool = True
) -> Iterator[Step]:
    """Yield how a listed file is read: from the cache where it has that one, else it is asked for; what is new is kept.

    A file in the cache is new where its floor is not *known*.
    """
    yield role, ["recall", role]
    if role in published.listed and kept.get(role) != published.files.get(role):
        yield role, ["want", published.path(role), published.listed[role].get("length", cap)]
        known = False
    if not known:
        yield "keep", ["keep", [role]]


def _until(at: str | list[Any] | None, steps: list[Step]) -> list[list[Any]]:
    """Return the requests up to the last one of a role or for a path."""
    requests = [request for _, request in steps]
    if at is None:
        return requests
    last = max(n for n, (role, request) in enumerate(steps) if at in (role, request, *request[1:2]))
    return requests[: last + 1]


def _roots(repository: Mapping[str, bytes]) -> Iterator[tuple[int, bytes]]:
    for path, raw in repository.items():
        if path.endswith(".root.json") and path.partition(".")[0].isdigit():
            yield int(path.partition(".")[0]), raw


def found(published: Published, role: str | None = RELEASES, name: str = "app/v1", *above: str, **other: Any) -> Json:
    """Return what to expect where *role*, reached over *above*, says what *name* is; None where nobody does."""
    made = published.made
    relied_on = [*TOP, *above, *([role] if role else [])]
    expect: Json = {
        "versions": {top: made.parts[top].version for top in TOP},
        "expires": min(made.parts[part].expires for part in relied_on),
        "first_use": False,
        "found": None,
    }
    if role:
        entry = made.parts[role].targets[name]
        expect["found"] = {
            "role": role,
            "hashes": dict(sorted(entry["hashes"].items())),
            "length": entry["length"],
            "signers": [key.id for key in made.signers(role)],
        }
    return expect | other


def bent(role: str, **how: Any) -> Repository:
    """Return the usual repository with something about the file of *role* bent: of root the second, not the first."""
    made = Repository.usual()
    if role == "root":
        made = made.next("root")
    for what, value in how.items():
        setattr(made.parts[role], what, value)
    return made


def keyed(role: str, keys: list[Key], threshold: int = 1) -> Repository:
    """Return the usual repository with *keys* for *role*: of root from the second on, signed by the old one too."""
    made = Repository.usual()
    if role == "root":
        return made.rotate({"root": keys}, root=threshold)
    if role in TOP:
        made.keys[role] = keys
        made.thresholds[role] = threshold
    else:
        made.parts["targets"].delegations = [Delegated(role, keys, threshold=threshold)]
    return made


def absent(role: str, path: str) -> Json:
    """Return what to expect where a file is missing."""
    return error("absent", role=role, path=path)


def slug(role: str) -> str:
    """Return *role* as file names of vectors have it."""
    return "delegation" if role == RELEASES else role


def where(role: str) -> str:
    """Return where a fault of the file of *role* shows; of root it is in the second."""
    return "2.root.json" if role == "root" else role
