"""The chain of roots, where it begins, and what a new root makes of what was trusted."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from vectors.make.tuf.keys import Json, Key, eddsa
from vectors.make.tuf.repository import GUN, NOW, Delegated, Published, Repository
from vectors.make.tuf.scenario import (
    Named,
    case,
    error,
    found,
    malformed,
    threshold,
)

WALK: Final = "TUF 1.0.34 section 5.3"
OLD, NEW, NEWER = eddsa("root"), eddsa("new root"), eddsa("newer root")


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _walk()
    yield from _faults()
    yield from _beginnings()
    yield from _trusted_before()
    yield from _cache()
    yield from _recovery()


def _walked(**how: Any) -> Repository:
    return Repository.usual(**how).rotate({"root": [NEW]}).rotate({"root": [NEWER]}).next("root")


def _walk() -> Iterator[Named]:
    made = _walked()
    published = made.publish()
    yield case("root-walk", "four roots, two changes of keys, one step at a time", WALK, published, found(published))
    known = Repository.usual().publish()
    comment = "the same from the cache"
    yield case("root-walk-warm", comment, WALK, published, found(published), known=known)
    comment = "a client that was given a root from the middle begins there"
    yield case("root-walk-from-the-middle", comment, WALK, published, found(published), anchor=made.history[1])
    again = Repository.usual().rotate({"root": [NEW]}).rotate({"root": [OLD]})
    published = again.publish()
    yield case("root-walk-back-to-an-old-key", "a key comes back", WALK, published, found(published))
    more = Repository.usual().rotate({"root": [OLD, NEW]}, root=2).rotate({"root": [NEW, NEWER]}, root=2)
    published = more.publish()
    yield case("root-walk-thresholds", "thresholds grow on the way", WALK, published, found(published))
    for name, comment, flags in (
        ("consistent", "the second root says that snapshots are consistent", True),
        ("not-consistent", "the second root says that snapshots are not consistent any more", False),
    ):
        made = Repository.usual(consistent=not flags)
        after = made.next("root")
        after.consistent = flags
        published = after.publish()
        yield case(f"root-becomes-{name}", comment, "TUF 1.0.34 section 6.2", published, found(published))
    gone = Repository.usual()
    gone.parts["root"].expires = "2020-01-01T00:00:00Z"
    after = gone.next("root")
    after.parts["root"].expires = "2034-01-01T00:00:00Z"
    published = after.publish()
    comment = "the root that the client was given expired, and the next one has not"
    yield case("root-expired-on-the-way", comment, "TUF 1.0.34 section 5.3.10", published, found(published))
    lone = Repository.usual().publish()
    repository = {**lone.repository(), "3.root.json": published.files["root"]}
    comment = "there is a third root and no second one: nobody asks for the third"
    yield case("root-gap", comment, WALK, lone, found(lone), repository=repository)


def _faults() -> Iterator[Named]:
    usual = Repository.usual()

    def bad(name: str, comment: str, published: Published, expect: Json, **how: Any) -> Named:
        return case(f"root-{name}", comment, WALK, published, expect, **{"at": "2.root.json", **how})

    def signed_by(*keys: Key, needed: int = 1, new: list[Key] | None = None) -> Published:
        made = usual.rotate({"root": new or [NEW]}, root=needed)
        made.parts["root"].signers = list(keys)
        return made.publish()

    yield bad("not-by-the-old", "the old key did not sign the next root", signed_by(NEW), threshold("root"))
    yield bad("not-by-the-new", "the new key did not sign the next root", signed_by(OLD), threshold("root"))
    yield bad("by-nobody", "nobody signed the next root", signed_by(), threshold("root"))
    comment = "the new root wants two of its keys, and one signed"
    new = [NEW, NEWER]
    yield bad("new-threshold", comment, signed_by(OLD, NEW, needed=2, new=new), threshold("root", 2, 1))
    two = Repository.usual()
    two.keys["root"], two.thresholds["root"] = [OLD, eddsa("root too")], 2
    made = two.rotate({"root": [NEW]}, root=1)
    made.parts["root"].signers = [OLD, NEW]
    comment = "the old root wants two of its keys, and one signed"
    yield bad("old-threshold", comment, made.publish(), threshold("root", 2, 1))
    twins = [NEW, NEW.known_as("another-id")]
    comment = "the new root wants two keys, and has one under two ids"
    published = signed_by(OLD, *twins, needed=2, new=twins)
    yield bad("new-twins", comment, published, threshold("root", 2, 1))

    second, third = usual.next("root"), usual.next("root").next("root")
    for name, comment, raw, offered in (
        ("jump", "the third root stands in the place of the second", third.file("root"), 3),
        ("same", "the first root stands in the place of the second", usual.file("root"), 1),
    ):
        published = second.publish()
        expect = error("version", role="root", expected=2, offered=offered)
        yield bad(name, comment, published, expect, repository={**published.repository(), "2.root.json": raw})
    published = third.publish()
    repository = {**published.repository(), "3.root.json": b"{}"}
    comment = "the third root is broken; the second was good, and is kept"
    expect = malformed("root", "signed")
    yield bad("broken-at-last", comment, published, expect, repository=repository, at="3.root.json")
    after = usual.next("root")
    after.parts["root"].expires = NOW
    expect = error("expired", role="root", version=2, expires=NOW, now=NOW)
    comment = "the last root expires this second; it was followed, and is kept"
    yield bad("expired-at-the-end", comment, after.publish(), expect, at="3.root.json")
    expect = error("too-large", what=f"the history of the root of {GUN}", limit=1, unit="rotations")
    comment = "more roots than the client is willing to follow"
    limits = {"rotations": 1}
    yield bad("too-many", comment, third.publish(), expect, limits=limits, at=["keep", ["root"]])
    published = second.publish()
    yield case("root-as-many-as-may-be", "as many as it is", WALK, published, found(published), limits=limits)
    limits = {"root": 1000}
    expect = error("too-large", what="2.root.json", limit=1000, unit="bytes")
    published = second.publish()
    repository = {**published.repository(), "2.root.json": published.files["root"].ljust(1001)}
    yield bad("too-large", "the next root has a byte too many", published, expect, repository=repository, limits=limits)


def _beginnings() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5.2"
    usual = Repository.usual()
    published = usual.publish()

    def bad(name: str, comment: str, anchor: bytes, expect: Json, **how: Any) -> Named:
        return case(
            f"given-{name}", comment, source, published, expect, **{"anchor": anchor, "at": ["remember"], **how}
        )

    unsigned = Repository.usual()
    unsigned.parts["root"].signers = [eddsa("stranger")]
    comment = "the root that the client was given is not signed by its own key"
    yield bad("not-by-its-own", comment, unsigned.file("root"), threshold("root"))
    yield bad(
        "targets", "it was given the file of targets", published.files["targets"], malformed("root", "signed._type")
    )
    yield bad("an-empty-file", "it was given an empty file", b"", malformed("root", ""))
    other = Repository.usual()
    other.parts["root"].expires = NOW
    expect = error("expired", role="root", version=1, expires=NOW, now=NOW)
    comment = "it was given a root that expires this second, and there is no newer one"
    yield bad("expired", comment, other.file("root"), expect, at="2.root.json", repository={})
    comment = "it was given another root of that version than the repository has: what it was given counts"
    other = Repository.usual()
    other.parts["root"].edit = lambda signed: signed.update({"x-note": "mine"})
    yield case("given-its-own", comment, source, published, found(published), anchor=other.file("root"))
    both = usual.rotate({"root": [NEW]}).publish()
    comment = "it was given a newer root than it trusts, of other keys: what it was given counts"
    fresh = Repository.usual()
    fresh.keys["root"] = [NEWER]
    fresh.parts["root"].version = 7
    later = fresh.publish()
    known = published
    at = {role: later.files[role] for role in later.files}
    yield case("given-newer", comment, source, later, found(later), anchor=at["root"], known=known)
    comment = "it was given nothing, and believes the first root that it meets"
    yield case(
        "given-nothing-and-trusting",
        comment,
        "decided here",
        both,
        found(both, first_use=True),
        pins={"first_use": True},
    )
    comment = "it was given nothing, and may not believe the first root that it meets"
    expect = error("first-use", gun=GUN, offered=[OLD.id])
    yield case(
        "given-nothing-and-strict",
        comment,
        "decided here",
        published,
        expect,
        pins={"first_use": False},
        at="2.root.json",
    )
    comment = "it was given nothing, and there is no root"
    expect = error("no-trust-data", gun=GUN, server="the repository")
    yield case(
        "given-nothing-and-none-there",
        comment,
        "decided here",
        published,
        expect,
        pins={"first_use": True},
        at="1.root.json",
        repository={},
    )
    comment = "it was given the id of a root key"
    pins: Json = {"first_use": False, "keys": [OLD.id]}
    yield case("given-a-key-id", comment, "decided here", published, found(published), pins=pins)
    pins = {"first_use": False, "keys": [NEW.id]}
    expect = error("pin", gun=GUN, offered=[OLD.id])
    comment = "it was given the id of another root key"
    yield case("given-another-key-id", comment, "decided here", published, expect, pins=pins, at="2.root.json")


def _trusted_before() -> Iterator[Named]:
    """Yield what becomes of a root that was given to a client that trusts one already."""
    usual = Repository.usual()
    published, both = usual.publish(), usual.rotate({"root": [NEW]}).publish()
    comment = "it was given an older root than it trusts: that one led there, and the newer one stays"
    yield case(
        "given-older", comment, "TUF 1.0.34 section 5.2", both, found(both), anchor=usual.file("root"), known=both
    )
    comment = "it was given an older root than it trusts, and the repository shows nothing that followed"
    yield case(
        "given-older-and-stuck",
        comment,
        "decided here",
        both,
        error("rollback", role="root", floor=2, offered=1),
        anchor=usual.file("root"),
        known=both,
        repository={path: raw for path, raw in both.repository().items() if path != "2.root.json"},
        at="2.root.json",
    )
    comment = "it was given a root, and trusts another one of that version, which came first: that is not believed now"
    stranger = Repository.usual()
    stranger.keys["root"] = [NEWER]
    trusted = stranger.publish()
    one, other_one = (hashlib.sha256(each.files["root"]).hexdigest() for each in (trusted, usual.publish()))
    expect = error("equivocation", role="root", version=1, trusted=one, offered=other_one)
    yield case(
        "given-another-chain",
        comment,
        "decided here",
        published,
        expect,
        anchor=usual.file("root"),
        known=trusted,
        at=["remember"],
    )


def _cache() -> Iterator[Named]:
    source = "what a cache holds is untrusted input"
    usual = Repository.usual()
    known = usual.publish()
    damaged = {**known.files, "root": known.files["root"][:-1]}
    comment = "the root in the cache is damaged: it is read again, and kept as it should be"
    yield case("cache-root-damaged", comment, source, known, found(known), known=known, kept=damaged)
    newer = usual.rotate({"root": [NEW]}).publish()
    lost = {role: raw for role, raw in known.files.items() if role != "root"}
    comment = "the root is missing in the cache: it is read again, and followed"
    yield case("cache-root-lost", comment, source, newer, found(newer), known=known, kept=lost)
    planted = Repository.usual()
    planted.keys["root"] = [eddsa("stranger")]
    comment = "a stranger's root of that version lies in the cache: it is read again"
    kept = {**known.files, "root": planted.file("root")}
    yield case("cache-root-planted", comment, source, known, found(known), known=known, kept=kept)
    theirs = planted.publish()
    trusted, offered = (hashlib.sha256(p.files["root"]).hexdigest() for p in (known, theirs))
    expect = error("equivocation", role="root", version=1, trusted=trusted, offered=offered)
    comment = "the root is missing in the cache, and the repository has another one of that version"
    yield case(
        "cache-root-lost-to-a-stranger", comment, source, theirs, expect, known=known, kept=lost, at="1.root.json"
    )
    for role in ("timestamp", "snapshot", "targets", "releases"):
        name = "delegation" if role == "releases" else role
        kept = {**known.files, role: known.files[role].replace(b'"version":1', b'"version":9')}
        comment = f"{role} in the cache is damaged: that shows, and it is read again"
        yield case(f"cache-damaged-{name}", comment, source, known, found(known), known=known, kept=kept)
        kept = {other: raw for other, raw in known.files.items() if other != role}
        comment = f"{role} is missing in the cache: it is read again"
        yield case(f"cache-lost-{name}", comment, source, known, found(known), known=known, kept=kept)
    everything: Json = {"floors": {}, "refreshed": None}
    comment = "files in the cache, and nothing is remembered: of those that are listed the digests tell"
    anchor = known.files["root"]
    yield case(
        "cache-without-memory", comment, source, known, found(known), anchor=anchor, kept=known.files, memory=everything
    )
    less = {role: floor for role, floor in known.memory()["floors"].items() if role != "snapshot"}
    yield case(
        "cache-without-floor-of-snapshot",
        "the floor of the snapshot is missing: the timestamp says which one it is",
        source,
        known,
        found(known),
        known=known,
        memory={"floors": less, "refreshed": None},
    )


def _recovery() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5.3.11; facts of fast-forward recovery"
    good = Repository.usual()
    good.parts["timestamp"].version = good.parts["snapshot"].version = 5

    def driven(*roles: str) -> Published:
        """Return what a client trusted after thieves drove the versions of *roles* up."""
        made = Repository.usual()
        for role in roles:
            made.parts[role].version = 2**31
        return made.publish()

    def after(keys: dict[str, list[Key]]) -> Published:
        return good.rotate(keys).publish()

    fresh = {role: [eddsa(f"new {role}")] for role in ("timestamp", "snapshot", "targets")}

    def ends(
        name: str, comment: str, known: Published, now: Published, expect: Json | None = None, at: Any = None
    ) -> Named:
        return case(f"recovery-{name}", comment, source, now, expect or found(now), known=known, at=at)

    both = {role: fresh[role] for role in ("timestamp", "snapshot")}
    yield ends(
        "timestamp",
        "thieves drove the timestamp up; its key was replaced",
        driven("timestamp"),
        after({"timestamp": fresh["timestamp"]}),
    )
    yield ends(
        "both",
        "thieves drove timestamp and snapshot up; both keys were replaced",
        driven("timestamp", "snapshot"),
        after(both),
    )
    comment = "thieves drove the snapshot up; its key was replaced: what the timestamp said of it is forgotten as well"
    yield ends("snapshot", comment, driven("snapshot"), after({"snapshot": fresh["snapshot"]}))
    comment = "thieves of timestamp and snapshot drove targets up in the snapshot; both keys were replaced"
    yield ends("targets-by-the-snapshot", comment, driven("timestamp", "snapshot", "targets"), after(both))
    comment = "the same with a delegated role"
    yield ends("delegation-by-the-snapshot", comment, driven("timestamp", "snapshot", "releases"), after(both))
    keeps = {"timestamp": [eddsa("timestamp"), eddsa("new timestamp")]}
    comment = "a key was added and none was taken away: those who vouched still may, and the floor stands"
    now = after(keeps)
    expect = error("rollback", role="timestamp", floor=2**31, offered=now.made.parts["timestamp"].version)
    yield ends("keeps-key", comment, driven("timestamp"), now, expect, "timestamp")
    comment = "no key was replaced"
    same = good.next("root").publish()
    expect = error("rollback", role="timestamp", floor=2**31, offered=same.made.parts["timestamp"].version)
    yield ends("none", comment, driven("timestamp"), same, expect, "timestamp")
    other = after({"targets": fresh["targets"]})
    expect = error("rollback", role="snapshot", floor=2**31, offered=other.made.parts["snapshot"].version)
    comment = "the key of another role was replaced"
    yield ends("of-another-role", comment, driven("snapshot"), other, expect, "timestamp")
    known = Repository.usual()
    known.keys["timestamp"], known.thresholds["timestamp"] = [eddsa("timestamp"), eddsa("timestamp too")], 2
    known.parts["timestamp"].version = 2**31
    before = known.publish()
    half = Repository.usual()
    half.keys["timestamp"], half.thresholds["timestamp"] = known.keys["timestamp"], 2
    half = half.rotate({"timestamp": [eddsa("timestamp"), eddsa("new timestamp")]})
    comment = "one of the two keys that vouched was replaced, and two have to: the floor falls"
    yield ends("one-of-two", comment, before, half.publish())
    gone = Repository.usual()
    gone.delegate("targets", Delegated("nightly", [eddsa("nightly")]))
    gone.parts["timestamp"].version = gone.parts["snapshot"].version = 9
    comment = "a role that the snapshot listed is gone; the snapshot's key was replaced, and so nobody misses it"
    yield ends("removed-role", comment, gone.publish(), after(both))
