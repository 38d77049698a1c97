"""What all scenarios share: the form of a vector, the usual requests, the usual collection and ways to bend it."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from vectors.make.collection import (
    NOW,
    TOP,
    Collection,
    Delegated,
    Json,
    Published,
)
from vectors.make.material import Listed, raw

Vector: TypeAlias = dict[str, Any]
Named: TypeAlias = tuple[str, Vector]
Step: TypeAlias = tuple[str, list[Any]]

RELEASES: Final = "targets/releases"
NIGHTLY: Final = "targets/releases/nightly"
ROLES: Final = (*TOP, RELEASES)
ROOT_LIMIT: Final = 4 << 20
TIMESTAMP_LIMIT: Final = 1 << 16
RETRIED: Final = {"absent", "content", "threshold", "version"}  # a publisher may have been at work: read once more


def case(
    name: str,
    comment: str,
    source: str,
    published: Published,
    expect: Json,
    *,
    at: str | list[Any] | None = None,
    loads: tuple[str, ...] = (RELEASES,),
    ask: Json | None = None,
    known: Published | None = None,
    kept: Mapping[str, bytes] | None = None,
    repository: Mapping[str, bytes] | None = None,
    pins: Json | None = None,
    limits: Json | None = None,
    met: int | None = None,
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
        ask: What is asked, if not for ``v1``.
        known: What the client trusted before.
        kept: What its cache holds, if not what it trusted before.
        repository: What the server holds, if not all of *published*.
        pins: What the client knows of the root.
        limits: What it is willing to read.
        met: The version of the root that a client without memory meets, if not that of *published*.
    """
    if repository is None:
        repository = published.repository()
        if not known and not published.collection.history:
            del repository[f"{published.collection.parts['root'].version}.root.json"]  # nobody asks for it
    memory = known.memory() if known else {"floors": {}, "refreshed": None}
    if kept is None:
        kept = known.kept() if known else {}
    version = met or published.collection.parts["root"].version
    steps = [
        ("", ["remember"]),
        *root_steps(repository, kept, memory["floors"], version, (limits or {}).get("root", ROOT_LIMIT)),
        ("timestamp", ["want", "timestamp.json", (limits or {}).get("timestamp", TIMESTAMP_LIMIT)]),
        *other_steps(published, kept, loads),
    ]
    vector: Vector = {
        "comment": comment,
        "source": source,
        "dialect": "notary1",
        "now": NOW,
        "pins": {"keys": [], "certificates": [], "authorities": [], "first_use": True} | (pins or {}),
        **({"limits": limits} if limits else {}),
        "kept": {role: shown(content) for role, content in kept.items()},
        "memory": memory,
        "repository": {path: shown(content) for path, content in repository.items()},
        "ask": ask or {"gun": published.collection.gun, "name": "v1", "roles": [RELEASES, "targets"]},
        "expect": expect,
        "trace": _until(at, steps, again=expect.get("error") in RETRIED and at not in loads),
    }
    return name, vector


def root_steps(
    repository: Mapping[str, bytes], kept: Mapping[str, bytes], floors: Json, version: int, limit: int
) -> Iterator[Step]:
    """Yield how a root is found and followed: the kept one if it is the trusted one, then the next, and the next."""
    if floors:
        yield "root", ["recall", "root"]
        version = floors["root"]["version"]
        if hashlib.sha256(kept.get("root", b"")).hexdigest() != floors["root"]["sha256"]:
            yield "root", ["want", f"{version}.root.json", limit]
            if f"{version}.root.json" not in repository:
                yield "root", ["want", "root.json", limit]
    else:
        yield "root", ["want", "root.json", limit]
    for number in range(version + 1, 100):
        yield "root", ["want", f"{number}.root.json", limit]
        if f"{number}.root.json" not in repository:
            break


def other_steps(published: Published, kept: Mapping[str, bytes], loads: tuple[str, ...]) -> Iterator[Step]:
    """Yield how listed files are read: from the cache if it has the listed one; and what is kept in the end."""
    for role in ("snapshot", "targets"):
        yield from _step(published, kept, role)
    yield "", ["keep", sorted(TOP)]
    for role in loads:
        yield from _step(published, kept, role)
    if loads:
        yield "", ["keep", sorted(loads)]


def _step(published: Published, kept: Mapping[str, bytes], role: str) -> Iterator[Step]:
    yield role, ["recall", role]
    if role in published.listed and kept.get(role) != published.files.get(role):
        yield role, ["want", published.path(role), published.listed[role][1]]


def _until(at: str | list[Any] | None, steps: list[Step], *, again: bool) -> list[list[Any]]:
    """Return the requests up to the last one of a role or for a path, twice where it is all read once more."""
    requests = [request for _, request in steps]
    if at is not None:
        last = max(n for n, (role, request) in enumerate(steps) if at in (role, request, *request[1:2]))
        requests = requests[: last + 1]
    return requests * (2 if again else 1)


def shown(content: bytes) -> str | dict[str, str]:
    """Return *content* as text, if it is that."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def found(published: Published, role: str | None, name: str = "v1", *, first_use: bool = False, **other: Any) -> Json:
    """Return what to expect where *role* is the one that says what *name* is; None where nobody does."""
    collection = published.collection
    relied_on = [*TOP, *_chain(role)]
    expect: Json = {
        "versions": {top: collection.parts[top].version for top in TOP},
        "expires": min(collection.parts[part].expires for part in relied_on),
        "first_use": first_use,
        "found": None,
    }
    if role:
        entry = collection.parts[role].targets[name]
        expect["found"] = {
            "role": role,
            "hashes": {name: b64decode(digest).hex() for name, digest in sorted(entry["hashes"].items())},
            "length": entry["length"],
            "signers": [key.id for key in collection.signers(role)],
        }
    return expect | other


def error(code: str, **facts: Any) -> Json:
    """Return what to expect where a check fails."""
    return {"error": code, "facts": facts}


def threshold(role: str, needed: int = 1, valid: int = 0) -> Json:
    """Return what to expect where too few keys signed."""
    return error("threshold", role=role, needed=needed, valid=valid)


def malformed(role: str, path: str) -> Json:
    """Return what to expect where *role* is malformed at *path*."""
    return error("format", role=role, path=path)


def usual() -> Collection:
    """Return the collection that most scenarios begin with: ``v1`` in targets and in targets/releases."""
    return with_expiry(Collection.usual(Delegated(RELEASES, [raw("releases")])))


def with_expiry(collection: Collection) -> Collection:
    """Return *collection* with delegated files that expire at a time of their own."""
    for role, part in collection.parts.items():
        if role not in TOP:
            part.expires = "2027-01-01T00:00:00Z"
    return collection


def bent(role: str, **how: Any) -> Collection:
    """Return the usual collection with something about the file of *role* bent."""
    collection = usual()
    for what, value in how.items():
        setattr(collection.parts[role], what, value)
    return collection


def slug(role: str) -> str:
    """Return *role* as file names of vectors have it."""
    return "delegation" if role == RELEASES else role


def first(role: str) -> str:
    """Return where a fault of the file of *role* shows in a client that knows nothing: root is judged at once."""
    return "root.json" if role == "root" else role


def _chain(role: str | None) -> list[str]:
    parts = (role or "").split("/")[1:]
    return [RELEASES.partition("/")[0] + "/" + "/".join(parts[: n + 1]) for n in range(len(parts))]


def setting(**members: Any) -> Callable[[Json], object]:
    """Return an edit that sets members."""
    return lambda item: item.update(members)


def without(member: str) -> Callable[[Json], object]:
    """Return an edit that removes a member."""
    return lambda item: item.pop(member)


def keyed(role: str, keys: list[Listed], threshold: int = 1) -> Collection:
    """Return the usual collection with *keys* for *role*."""
    collection = usual()
    if role == RELEASES:
        collection.parts["targets"].delegations = [Delegated(RELEASES, keys, threshold=threshold)]
    else:
        collection.keys[role] = keys
        collection.thresholds[role] = threshold
    return collection


def signing(member: str, value: Any) -> Callable[[Json], None]:
    """Return a change of one member of the first signature."""
    return lambda envelope: envelope["signatures"][0].update({member: value})


JUNK: Final = {"keyid": "f" * 64, "method": "nobody-knows", "sig": ""}
