"""Older, other and expired files, and the way back from versions that a stolen key drove up."""

import hashlib
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

from vectors.make.collection import (
    NOW,
    Delegated,
    Published,
    target,
)
from vectors.make.material import raw
from vectors.make.scenario import (
    JUNK,
    RELEASES,
    ROLES,
    Named,
    bent,
    case,
    error,
    found,
    keyed,
    setting,
    slug,
    usual,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _time()
    yield from _rollback()
    yield from _recovery()


def _time() -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.3.10, 5.4.4, 5.5.6, 5.6.6"
    for role in ROLES:
        published = bent(role, expires=NOW).publish()
        expect = error("expired", role=role, version=1, expires=NOW, now=NOW)
        yield case(f"expired-{slug(role)}", "it expires at this very moment", source, published, expect, at=role)
        published = bent(role, expires="2026-05-01T12:00:01Z").publish()
        expect = found(published, RELEASES, first_use=True)
        yield case(f"expires-soon-{slug(role)}", "one second is left", source, published, expect)
        if role not in {"root", "timestamp"}:
            known = bent(role, expires="2026-04-30T12:00:00Z").publish()
            fresh = known.collection.next(*([role] if role != "snapshot" else []))
            fresh.parts[role].expires = "2028-01-01T00:00:00Z"
            published = fresh.publish()
            yield case(
                f"expired-in-cache-{slug(role)}",
                "the cached one has expired, the published one has not",
                source,
                published,
                found(published, RELEASES),
                known=known,
            )


def _rollback() -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.4.3, 5.5.5, 5.6.4"
    known = usual().next("targets", RELEASES).publish()

    def older(role: str, *, smaller: bool) -> Published:
        """Publish an older file of *role*, the others being newer."""
        after = known.collection.next()
        part = after.parts[role]
        part.version = 1
        if role.startswith("targets"):
            part.targets = {} if smaller else {**part.targets, "more": target("more")}
        elif not smaller:
            part.edit = setting(**{"x-note": "longer than the one before"})
        return after.publish()

    for role in ROLES[1:]:
        expect = error("rollback", role=role, floor=2, offered=1)
        give = partial(case, source=source, expect=expect, at=role, known=known)
        for smaller in (True, False):
            size = "smaller" if smaller else "larger"
            yield give(
                f"rollback-{size}-{slug(role)}", f"an older and {size} file", published=older(role, smaller=smaller)
            )
        if role == "timestamp":
            continue
        published = older(role, smaller=True)
        kept = {name: file for name, file in known.kept().items() if name != role}
        yield give(
            f"rollback-cache-deleted-{slug(role)}",
            "the cached file was deleted; what was trusted is remembered apart from it",
            published=published,
            kept=kept,
        )
        yield give(
            f"rollback-cache-damaged-{slug(role)}",
            "the cached file is damaged; what was trusted is remembered apart from it",
            published=published,
            kept=kept | {role: b"{}"},
        )
        yield give(
            f"rollback-cache-planted-{slug(role)}",
            "the older file was put into the cache",
            published=published,
            kept=kept | {role: published.files[role]},
        )
    half_way = older("targets", smaller=True)
    yield case(
        "rollback-in-two-steps",
        "the newer snapshot of a refresh that failed is in the cache, and targets is not",
        source,
        older("targets", smaller=True),
        error("rollback", role="targets", floor=2, offered=1),
        at="targets",
        known=known,
        kept={
            "root": known.files["root"],
            "timestamp": known.files["timestamp"],
            "snapshot": half_way.files["snapshot"],
        },
    )
    yield from _equivocation(known)


def _equivocation(known: Published) -> Iterator[Named]:
    source = "a version has one content: stricter than TUF 1.0.34, which discards what is no newer"

    def other(name: str, comment: str, role: str, published: Published) -> Named:
        trusted, offered = (hashlib.sha256(p.files[role]).hexdigest() for p in (known, published))
        version = known.collection.parts[role].version
        expect = error("equivocation", role=role, version=version, trusted=trusted, offered=offered)
        named = case(name, comment, source, published, expect, at=role, known=known)
        return _compared(named) if role == "timestamp" else named

    for role in ROLES[1:]:
        after = known.collection.next()
        after.parts[role].version = 2
        after.parts[role].edit = setting(**{"x-note": "other bytes"})
        yield other(f"equivocation-{slug(role)}", "a trusted version with other bytes", role, after.publish())
        after.parts[role].edit = None
        after.parts[role].wrap = lambda envelope: envelope["signatures"].append(JUNK)
        published = after.publish()
        if role != "timestamp":
            comment = "a trusted version with one more signature: bytes are compared, not what they say"
            yield other(f"equivocation-signatures-{slug(role)}", comment, role, published)
    yield from _same(known)


def _same(known: Published) -> Iterator[Named]:
    """Yield timestamps that say the same as the trusted one: no file lists their bytes, so anybody can change them."""
    source = "decided here: what was signed is compared, so that nobody on the way can lock readers out"
    again = deepcopy(known.collection)
    part = again.parts["timestamp"]
    for name, comment, how in (
        ("signature", "one more signature", {"wrap": lambda envelope: envelope["signatures"].append(JUNK)}),
        ("blank", "a blank more", {"rewrite": lambda file: file + b" "}),
    ):
        part.wrap, part.rewrite = how.get("wrap"), how.get("rewrite")
        published = again.publish()
        named = case(
            f"same-timestamp-{name}",
            f"the trusted timestamp with {comment}",
            source,
            published,
            found(published, RELEASES),
            known=known,
        )
        yield _compared(named)
    kept = {role: file for role, file in known.kept().items() if role != "timestamp"}
    trusted, offered = (hashlib.sha256(p.files["timestamp"]).hexdigest() for p in (known, published))
    expect = error("equivocation", role="timestamp", version=2, trusted=trusted, offered=offered)
    comment = "the trusted timestamp with a blank more, and what it was is not known any more"
    yield _compared(
        case("same-timestamp-lost", comment, source, published, expect, at="timestamp", known=known, kept=kept)
    )


def _compared(named: Named) -> Named:
    """Return a vector in which the timestamp that was trusted is recalled, to be compared with the one that came."""
    name, vector = named
    at = next(n for n, request in enumerate(vector["trace"], 1) if request[:2] == ["want", "timestamp.json"])
    vector["trace"].insert(at, ["recall", "timestamp"])
    return name, vector


def _recovery() -> Iterator[Named]:
    """Yield versions that a stolen key drove up, and the way back."""
    source = "TUF 1.0.34 section 5.3.11"
    for role in ROLES[1:]:
        driven = usual()
        for part in {role, "timestamp"} | ({"snapshot"} if role != "timestamp" else set()):
            driven.parts[part].version = 5 if part != role else 1 << 40
        known = driven.publish()
        new = raw(f"new {role}")
        back = usual().next(role) if role not in {"timestamp", "snapshot"} else usual().next()
        floors = {part: 6 for part in ("timestamp", "snapshot") if part != role}
        for part, version in floors.items():
            back.parts[part].version = version
        if role == RELEASES:
            back.parts["targets"].delegations = [Delegated(RELEASES, [new])]
            back.parts["targets"].version = 2
        else:
            back.history = [known.files["root"]]
            back.parts["root"].version = 2
            back.keys[role] = [new]
        published = back.publish()
        yield case(
            f"recovery-{slug(role)}",
            "a stolen key drove the version up; the role belongs to another key now, and begins anew",
            source,
            published,
            found(published, RELEASES),
            known=known,
        )
        kept_key = usual().signers(role)[0]
        if role == RELEASES:
            back.parts["targets"].delegations = [Delegated(RELEASES, [kept_key, new])]
        else:
            back.keys[role] = [kept_key, new]
        back.parts[role].signers = [new]
        published = back.publish()
        expect = error("rollback", role=role, floor=1 << 40, offered=2)
        yield case(
            f"recovery-keeps-key-{slug(role)}",
            "the role was given to another key as well; the old one could still sign, so its version counts",
            "decided here: a rotation that keeps a threshold of the keys that vouched keeps what they vouched for",
            published,
            expect,
            at=role,
            known=known,
        )
    two = keyed("timestamp", [raw("one"), raw("two")], 2)
    two.parts["timestamp"].version = 1 << 40
    known = two.publish()
    back = keyed("timestamp", [raw("one"), raw("three")], 2)
    back.history = [known.files["root"]]
    back.parts["root"].version = 2
    back.parts["snapshot"].version = 2
    back.parts["timestamp"].version = 2
    published = back.publish()
    yield case(
        "recovery-one-of-two",
        "two keys are due, and one was replaced: those that vouched could not do so today",
        source,
        published,
        found(published, RELEASES),
        known=known,
    )
