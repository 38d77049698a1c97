"""Which version may follow which, and for how long one holds."""

from collections.abc import Iterator
from typing import Any, Final

from vectors.make.tuf.keys import Json, eddsa
from vectors.make.tuf.repository import NOW, Delegated, Published, Repository
from vectors.make.tuf.scenario import ROLES, Named, bent, case, error, found, slug, where

ROLLBACK: Final = "TUF 1.0.34 sections 5.4.3, 5.5.4 and 5.5.5"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _timestamp()
    yield from _snapshot()
    yield from _listed()
    yield from _expiry()


def _timestamp() -> Iterator[Named]:
    usual = Repository.usual()
    known = usual.next("timestamp").publish()
    expect = error("rollback", role="timestamp", floor=2, offered=1)
    comment = "the timestamp is older than the trusted one"
    yield case("timestamp-rollback", comment, ROLLBACK, usual.publish(), expect, known=known, at="timestamp")
    same = usual.next("timestamp")
    same.parts["timestamp"].edit = lambda signed: signed.update({"x-note": "other bytes"})
    published = same.publish()
    comment = "another timestamp of the trusted version: the one that is trusted stays, and that is no error"
    source = "TUF 1.0.34 section 5.4.3.1"
    yield _kept("timestamp-same-version", comment, source, published, found(known), known)
    forged = usual.next("timestamp")
    forged.parts["timestamp"].signers = [eddsa("stranger")]
    comment = "another timestamp of the trusted version, signed by a stranger: signatures come first"
    expect = error("threshold", role="timestamp", needed=1, valid=0)
    yield case("timestamp-same-version-forged", comment, source, forged.publish(), expect, known=known, at="timestamp")
    late = usual.next("timestamp")
    late.parts["timestamp"].expires = NOW
    stale = late.publish()
    same.parts["timestamp"].expires = "2030-01-01T00:00:00Z"
    expect = error("expired", role="timestamp", version=2, expires=NOW, now=NOW)
    comment = "the trusted timestamp expired, and another of its version has not: the trusted one stays, and is refused"
    name, vector = _kept("timestamp-same-version-expired", comment, source, same.publish(), expect, stale)
    yield name, vector | {"trace": vector["trace"][:5]}
    older = usual.next("targets")
    before = older.publish()
    behind = usual.next("timestamp").next("timestamp").publish()
    expect = error("rollback", role="snapshot", floor=2, offered=1)
    comment = "a newer timestamp lists an older snapshot: it is not even kept"
    source = "TUF 1.0.34 section 5.4.3.2; CVE-2025-2888"
    yield case("timestamp-lists-older-snapshot", comment, source, behind, expect, known=before, at="timestamp")


def _kept(name: str, comment: str, source: str, published: Published, expect: Json, known: Published) -> Named:
    """Return a vector in which the trusted timestamp is recalled, and stays."""
    named, vector = case(name, comment, source, known, expect, known=known, repository=published.repository())
    at = vector["trace"].index(["want", "timestamp.json", 65536]) + 1
    vector["trace"].insert(at, ["recall", "timestamp"])
    return named, vector


def _snapshot() -> Iterator[Named]:
    usual = Repository.usual()
    for role in ("targets", "releases"):
        known = usual.next(role).publish()
        back = usual.next("snapshot").next("snapshot")
        expect = error("rollback", role=role, floor=2, offered=1)
        comment = f"a newer snapshot lists an older {role}"
        yield case(
            f"snapshot-lists-older-{slug(role)}", comment, ROLLBACK, back.publish(), expect, known=known, at="snapshot"
        )
    known = usual.publish()
    gone = usual.next("snapshot")
    gone.hidden = ("releases",)
    expect = error("removed", role="releases")
    comment = "a newer snapshot does not list a role any more"
    yield case("snapshot-omits-a-role", comment, ROLLBACK, gone.publish(), expect, known=known, at="snapshot")
    dropped = usual.next("targets")
    dropped.parts["targets"].delegations = []
    del dropped.parts["releases"]
    comment = "nor does anybody delegate to it: it has to be listed all the same"
    yield case("snapshot-omits-a-former-role", comment, ROLLBACK, dropped.publish(), expect, known=known, at="snapshot")
    stale = Repository.usual()
    stale.parts["snapshot"].expires = "2026-04-30T23:00:00Z"
    stale.parts["releases"].version = 3
    known = stale.publish()
    behind = usual.next("snapshot").publish()
    expect = error("rollback", role="releases", floor=3, offered=1)
    comment = "the trusted snapshot expired: what it listed counts all the same"
    source = "TUF 1.0.34 section 5.5.5: the floor holds whatever became of the file"
    yield case("snapshot-expired-floor", comment, source, behind, expect, known=known, at="snapshot")
    kept = {role: raw for role, raw in known.files.items() if role != "snapshot"}
    comment = "the trusted snapshot is missing in the cache: what it listed counts all the same"
    yield case("snapshot-lost-floor", comment, source, behind, expect, known=known, kept=kept, at="snapshot")
    fewer = usual.next("snapshot")
    fewer.parts["snapshot"].edit = lambda signed: signed["meta"].pop("targets.json")
    expect = error("format", role="snapshot", path="signed.meta.targets.json")
    comment = "a snapshot that does not list targets"
    yield case(
        "snapshot-omits-targets",
        comment,
        "TUF 1.0.34 section 4.4",
        fewer.publish(),
        expect,
        known=usual.publish(),
        at="snapshot",
    )
    more = usual.next("snapshot")
    more.delegate("targets", Delegated("nightly", [eddsa("nightly")], ["nightly/*"]))
    more.parts["targets"].version = 2
    published = more.publish()
    yield case(
        "snapshot-lists-a-new-role", "a role is new", ROLLBACK, published, found(published), known=usual.publish()
    )


def _listed() -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.5.4 and 5.6.4"
    for role in ("snapshot", "targets", "releases"):
        for name, offered in (("newer", 3), ("older", 1)):
            made = Repository.usual()
            made.parts[role].version = 2
            made.parts[role].edit = _version(offered)
            expect = error("version", role=role, expected=2, offered=offered)
            comment = f"{role} is {name} than it is listed as, under the listed digest"
            yield case(f"version-{name}-{slug(role)}", comment, source, made.publish(), expect, at=role)
        made = Repository.usual(lists=())
        made.parts[role].version = 2
        made.parts[role].edit = _version(1)
        expect = error("version", role=role, expected=2, offered=1)
        comment = f"{role} is older than it is listed as; only its version is listed"
        yield case(f"version-only-{slug(role)}", comment, source, made.publish(), expect, at=role)


def _version(version: int) -> Any:
    return lambda signed: signed.update(version=version)


def _expiry() -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.3.10, 5.4.4, 5.5.6 and 5.6.6"
    for role in ROLES:
        for name, comment, expires in (
            ("expired", "it expired long ago", "2020-02-29T00:00:00Z"),
            ("expires-now", "it expires this second: that is too late", NOW),
        ):
            made = bent(role, expires=expires)
            version = made.parts[role].version
            expect = error("expired", role=role, version=version, expires=expires, now=NOW)
            at = "3.root.json" if role == "root" else where(role)
            yield case(f"{name}-{slug(role)}", comment, source, made.publish(), expect, at=at)
        made = bent(role, expires="2026-05-01T12:00:01Z")
        published = made.publish()
        answer = found(published)
        yield case(f"expires-in-a-second-{slug(role)}", "it expires in a second", source, published, answer)
    for role in ("snapshot", "targets", "releases"):
        made = Repository.usual()
        made.parts[role].expires = "2026-04-30T23:00:00Z"
        known = made.publish()
        expect = error("expired", role=role, version=1, expires="2026-04-30T23:00:00Z", now=NOW)
        comment = "it lies in the cache, is still the listed one, and expired since"
        yield case(f"expired-in-cache-{slug(role)}", comment, source, known, expect, known=known, at=role)
    made = Repository.usual()
    made.parts["timestamp"].expires = "2026-04-30T23:00:00Z"
    expect = error("expired", role="timestamp", version=1, expires="2026-04-30T23:00:00Z", now=NOW)
    comment = "the server goes on to show what the client knows, and that expired"
    known = made.publish()
    yield case("expired-frozen", comment, "TUF 1.0.34 section 5.4.4", known, expect, known=known, at="timestamp")
    for name, expires, spelled in (
        ("fraction", "2026-05-01T12:00:00.000001Z", "2026-05-01T12:00:00Z"),
        ("fraction-of-nine-digits", "2026-05-01T12:00:01.123456789Z", "2026-05-01T12:00:01Z"),
        ("offset", "2026-05-01T14:00:01+02:00", "2026-05-01T12:00:01Z"),
        ("offset-west", "2026-05-01T11:30:01-00:30", "2026-05-01T12:00:01Z"),
        ("offset-of-none", "2026-05-01T12:00:01+00:00", "2026-05-01T12:00:01Z"),
    ):
        published = bent("root", expires=expires).publish()
        comment = "old roots in the wild have fractions of a second and offsets"
        source = "RFC 3339; roots in the wild"
        yield case(f"expires-{name}", comment, source, published, found(published, expires=spelled))
    published = bent("root", expires="2026-05-01T13:59:59+02:00").publish()
    expect = error("expired", role="root", version=2, expires="2026-05-01T11:59:59Z", now=NOW)
    comment = "with its offset it expired a second ago"
    yield case("expires-offset-expired", comment, "RFC 3339", published, expect, at="3.root.json")
