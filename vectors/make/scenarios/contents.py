"""Missing files, and bytes other than those that are listed."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from vectors.make.collection import (
    GUN,
    Json,
    listing,
)
from vectors.make.material import base64
from vectors.make.scenario import (
    RELEASES,
    ROLES,
    Named,
    bent,
    case,
    error,
    first,
    found,
    slug,
    usual,
)

SOURCE: Final = "TUF 1.0.34 sections 5.5.2, 5.6.2"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _missing()
    yield from _contents()


def _missing() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5; what trusted metadata lists has to be there"
    published = usual().publish()
    for role in ROLES:
        path = published.path(role)
        lacking = {name: file for name, file in published.repository().items() if name != path}
        expect = error("absent", role=role, path=path)
        if role == "root":
            expect = error("no-trust-data", gun=GUN, server="the repository")
        comment = "the server has everything but this file"
        yield case(f"absent-{slug(role)}", comment, source, published, expect, at=first(role), repository=lacking)
    yield case(
        "absent-everything",
        "the server has nothing of a collection that was trusted before: it was deleted, or is withheld",
        source,
        published,
        error("absent", role="timestamp", path="timestamp.json"),
        at="timestamp",
        known=published,
        repository={},
    )
    yield case(
        "absent-but-cached",
        "the server has lost what is in the cache: listed files are the same wherever they are found",
        source,
        published,
        found(published, RELEASES),
        known=published,
        repository={"1.root.json": published.files["root"], "timestamp.json": published.files["timestamp"]},
    )


def _contents() -> Iterator[Named]:
    for role in ROLES[2:]:
        yield from _served(role)
        yield from _listed(role)
    published = usual().publish()
    for role, what in (
        ("root", "root.json"),
        ("timestamp", "timestamp.json"),
        ("snapshot", "snapshot metadata"),
        ("targets", "targets metadata"),
    ):
        expect = error("too-large", what=what, limit=100, unit="bytes")
        at: Any = ["recall", role] if role in published.listed and role != "root" else ["want", what, 100]
        comment = "more than the client is willing to read"
        yield case(f"too-large-{role}", comment, SOURCE, published, expect, at=at, limits={role: 100})
    yield case(
        "root-other-than-listed",
        "the snapshot lists another root than the one that is trusted",
        "notary tuf/builder.go: the root is listed as well",
        bent("snapshot", edit=lambda signed: signed["meta"].update(root=listing(b"another root"))).publish(),
        error("content", what="root", expected="12 bytes", actual=f"{len(published.files['root'])} bytes"),
        at="snapshot",
    )


def _served(role: str) -> Iterator[Named]:
    """Yield what else may be served in the place of a listed file."""
    published = usual().publish()
    path, (digest, length) = published.path(role), published.listed[role]
    file = published.files[role]

    def served(name: str, comment: str, other: bytes, expect: Json) -> Named:
        repository = published.repository() | {path: other}
        return case(f"content-{name}-{slug(role)}", comment, SOURCE, published, expect, at=role, repository=repository)

    flipped = file.replace(b"2", b"3", 1)
    actual = hashlib.sha256(flipped).hexdigest()
    expect = error("content", what=role, expected=f"sha256:{digest}", actual=f"sha256:{actual}")
    yield served("other", "other bytes of the same length", flipped, expect)
    expect = error("content", what=role, expected=f"{length} bytes", actual=f"{length - 1} bytes")
    yield served("cut", "the last byte is missing: that shows before anything is parsed", file[:-1], expect)
    expect = error("content", what=role, expected=f"{length} bytes", actual="4 bytes")
    yield served("unparsable", "no JSON at all: that shows before anything is parsed", b"oops", expect)
    expect = error("too-large", what=path, limit=length, unit="bytes")
    yield served("longer", "one more byte than listed", file + b"\n", expect)


def _listed(role: str) -> Iterator[Named]:
    """Yield how else a file may be listed."""
    above = "timestamp" if role == "snapshot" else "snapshot"
    usually = usual().publish()
    length = usually.listed[role][1]

    def listed(name: str, comment: str, members: Json, expect: Json, at: Any = role) -> Named:
        published = bent(above, edit=lambda signed: signed["meta"][role].update(members)).publish()
        return case(f"listed-{name}-{slug(role)}", comment, SOURCE, published, expect, at=at)

    expect = error("content", what=role, expected=f"{length + 1} bytes", actual=f"{length} bytes")
    yield listed("longer", "it is listed with one byte more", {"length": length + 1}, expect)
    expect = error("too-large", what=usually.path(role), limit=length - 1, unit="bytes")
    yield listed("shorter", "it is listed with one byte less", {"length": length - 1}, expect)
    actual = hashlib.sha512(usually.files[role]).hexdigest()
    expect = error("content", what=role, expected=f"sha512:{bytes(64).hex()}", actual=f"sha512:{actual}")
    comment = "one of two digests does not fit: all that are known have to"
    hashes = listing(usually.files[role])["hashes"] | {"sha512": base64(bytes(64))}
    yield listed("sha512", comment, {"hashes": hashes}, expect)
    cap = (16 << 20) if role == "snapshot" else (64 << 20)
    expect = error("too-large", what=f"{role} metadata", limit=cap, unit="bytes")
    comment = "it is listed with a length that nobody should read: nothing is asked for"
    yield listed("absurd", comment, {"length": 1 << 53}, expect, at=["recall", role])
