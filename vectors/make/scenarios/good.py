"""Nothing is wrong, though some of it is unusual."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from vectors.make.collection import (
    GUN,
    Collection,
    target,
)
from vectors.make.material import base64
from vectors.make.scenario import (
    RELEASES,
    ROLES,
    Named,
    bent,
    case,
    found,
    setting,
    slug,
    usual,
    without,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _good()
    yield from _spelling()


def _good() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5; notary client/tufclient.go"
    now = usual().publish()
    cold = partial(found, now, first_use=True)
    yield case("cold", "nothing is known and everything is there", source, now, cold(RELEASES))
    yield case(
        "cold-refresh-only",
        "only the refresh, no question",
        source,
        now,
        {**cold(None), "found": None},
        loads=(),
        ask={"gun": GUN},
    )
    plain = Collection.usual().publish()
    yield case(
        "cold-no-delegations",
        "nobody is delegated to, so targets answers",
        source,
        plain,
        found(plain, "targets", first_use=True),
        loads=(),
    )
    yield case(
        "cold-not-listed",
        "nobody lists the name; that is no error of the collection",
        source,
        now,
        cold(None),
        ask={"gun": GUN, "name": "v2", "roles": [RELEASES, "targets"]},
    )
    yield case(
        "cold-targets-first",
        "the roles are asked in the order of the question: targets answers before releases is read",
        source,
        now,
        cold("targets"),
        loads=(),
        ask={"gun": GUN, "name": "v1", "roles": ["targets", RELEASES]},
    )
    yield case("warm-unchanged", "nothing has changed since", source, now, found(now, RELEASES), known=now)
    newer = usual().next("targets").publish()
    yield case("warm-newer-targets", "targets is newer", source, newer, found(newer, RELEASES), known=now)
    newer = usual().next(RELEASES).publish()
    yield case("warm-newer-delegation", "a delegated role is newer", source, newer, found(newer, RELEASES), known=now)
    newer = usual().next().publish()
    yield case("warm-newer-timestamp", "only the server signed anew", source, newer, found(newer, RELEASES), known=now)
    grown = usual().next("targets")
    grown.parts["targets"].version = 1 << 53
    largest = grown.publish()
    yield case(
        "warm-largest-version",
        "a version may skip numbers, up to 2^53",
        source,
        largest,
        found(largest, RELEASES),
        known=now,
    )
    yield case(
        "cache-lost",
        "the cached files are gone, the memory is not; the root comes from the server's history",
        source,
        now,
        found(now, RELEASES),
        known=now,
        kept={},
    )
    yield case(
        "cache-damaged",
        "the cached files are damaged: each is read again, and none is believed",
        source,
        now,
        found(now, RELEASES),
        known=now,
        kept={role: raw_file[:-1] + b" }" for role, raw_file in now.kept().items()},
    )
    yield case(
        "cache-without-memory",
        "without a memory no cached root is trusted; listed files are what they are",
        source,
        now,
        cold(RELEASES),
        kept=now.kept(),
    )


def _spelling() -> Iterator[Named]:
    """Yield what is written in an unusual way and means what it says."""
    source = "notary tuf/data; docker/go canonical/json"

    def fine(name: str, comment: str, collection: Collection, role: str = RELEASES, **other: Any) -> Named:
        published = collection.publish()
        asked = other.pop("asked", "v1")
        ask = {"gun": collection.gun, "name": asked, "roles": [RELEASES, "targets"]}
        return case(name, comment, source, published, found(published, role, asked, first_use=True, **other), ask=ask)

    def loose(raw_file: bytes) -> bytes:
        document = json.loads(raw_file)
        turned = {name: document[name] for name in reversed(document)}
        turned["signed"] = {name: document["signed"][name] for name in reversed(document["signed"])}
        return json.dumps(turned, indent=1).encode() + b"\n"

    for role in ROLES:
        yield fine(
            f"spelled-loosely-{slug(role)}",
            "members in another order and blanks between them: signatures cover what is said",
            bent(role, rewrite=loose),
        )
    more = {"x-note": {"list": [1, "two", None, True], "\u00e9": "\U0001f4a1"}}
    for role in ROLES:
        yield fine(
            f"unknown-members-{slug(role)}",
            "members that nobody knows are signed like any other",
            bent(role, edit=lambda signed: signed.update(more)),
        )
    yield fine(
        "unknown-members-envelope",
        "members of the envelope that nobody knows say nothing",
        bent("timestamp", wrap=lambda envelope: envelope.update(more)),
    )
    for name, label in (("html", "a&b<c>d\u2028e\u2029f"), ("unicode", "\u00fcber/\U0001f433"), ("escape", '"\\/')):
        collection = usual()
        collection.parts[RELEASES].targets[label] = target(label, note=label)
        yield fine(f"name-{name}", "sent bytes and signed bytes differ where Go escapes", collection, asked=label)
    collection = usual()
    collection.parts[RELEASES].targets["tab\tline\nbell\x07"] = target("control characters")
    yield fine(
        "name-control-characters",
        "control characters stand raw in the signed bytes",
        collection,
        asked="tab\tline\nbell\x07",
    )
    for role in ("timestamp", "snapshot"):
        yield fine(
            f"sha256-only-{role}",
            "files of early Notary list no sha512",
            bent(role, edit=lambda signed: [entry["hashes"].pop("sha512") for entry in signed["meta"].values()]),
        )
    yield fine(
        "unknown-digest",
        "a digest that nobody knows is listed beside a good one",
        bent("snapshot", edit=lambda signed: signed["meta"]["targets"]["hashes"].update({"sha3-256": base64(b"?")})),
    )
    collection = usual()
    collection.parts[RELEASES].targets["v1"]["hashes"] = {"sha512": base64(hashlib.sha512(b"v1").digest())}
    yield fine("target-sha512-only", "a target with sha512 alone is bound well enough", collection)
    collection = usual()
    collection.parts[RELEASES].targets["v1"]["hashes"]["md5"] = base64(hashlib.md5(b"v1").digest())  # noqa: S324
    yield fine("target-weak-digest-beside", "a weak digest beside a good one", collection)
    collection = usual()
    collection.parts[RELEASES].targets["broken"] = {"length": "?"}
    yield fine("target-broken-beside", "an entry is judged when it is asked for, and v1 is fine", collection)
    collection = usual()
    collection.parts[RELEASES].targets["v1"] = target("v1", build={"number": 7, "clean": True, "of": ["a", None]})
    yield fine("target-custom", "publishers may add what they like", collection)
    for name, expires, read in (
        ("offset", "2026-05-14T05:30:00+05:30", "2026-05-14T00:00:00Z"),
        ("fraction", "2026-05-14T00:00:00.123456789Z", "2026-05-14T00:00:00Z"),
        ("west", "2026-05-13T19:00:00.5-05:00", "2026-05-14T00:00:00Z"),
    ):
        yield fine(f"expires-{name}", "a time as Go writes it", bent("timestamp", expires=expires), expires=read)
    null = setting(delegations={"keys": {}, "roles": None})
    for name, edit in (("null", null), ("absent", without("delegations"))):
        collection = Collection.usual()
        collection.parts["targets"].edit = edit
        published = collection.publish()
        expect = found(published, "targets", first_use=True)
        comment = "this is how Go says that there are none"
        yield case(f"delegations-{name}", comment, source, published, expect, loads=())
