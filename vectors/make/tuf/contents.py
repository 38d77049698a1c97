"""What is listed of a file, what is received, and what may be read at all."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from vectors.make.tuf.keys import Json
from vectors.make.tuf.repository import Repository
from vectors.make.tuf.scenario import LIMITS, Named, absent, bent, case, error, found, slug

SPEC: Final = "TUF 1.0.34 sections 5.5.2 and 5.6.2"
LISTED: Final = ("snapshot", "targets", "releases")


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    for role in LISTED:
        yield from _received(role)
        yield from _listed(role)
        yield from _caps(role)
    yield from _missing()
    expect = error("too-large", what="timestamp.json", limit=1 << 16, unit="bytes")
    large = bent("timestamp", rewrite=lambda raw: raw.ljust((1 << 16) + 1))
    comment = "the timestamp has a byte too many"
    yield case("too-large-timestamp", comment, "TUF 1.0.34 section 5.4.1", large.publish(), expect, at="timestamp")
    full = bent("timestamp", rewrite=lambda raw: raw.ljust(1 << 16)).publish()
    yield case("as-large-as-may-be-timestamp", "as large as it may be", SPEC, full, found(full))


def _received(role: str) -> Iterator[Named]:
    """Yield what else a server may send than what is listed."""
    published = Repository.usual().publish()
    path, file = published.path(role), published.files[role]
    digest, length = hashlib.sha256(file).hexdigest(), len(file)

    def served(name: str, comment: str, raw: bytes, expect: Json) -> Named:
        repository = {**published.repository(), path: raw}
        return case(f"content-{name}-{slug(role)}", comment, SPEC, published, expect, at=role, repository=repository)

    loose = file.replace(b'"', b" ", 1).replace(b" ", b'"', 1).replace(b"{", b"[", 1)
    actual = hashlib.sha256(loose).hexdigest()
    expect = error("content", what=role, expected=f"sha256:{digest}", actual=f"sha256:{actual}")
    yield served(
        "unparsable", "no JSON, of the right length: digests are compared before anything is parsed", loose, expect
    )
    expect = error("content", what=role, expected=f"{length} bytes", actual=f"{length - 1} bytes")
    yield served("cut", "the last byte is missing", file[:-1], expect)
    expect = error("content", what=role, expected=f"{length} bytes", actual="0 bytes")
    yield served("empty", "nothing is sent", b"", expect)
    expect = error("too-large", what=path, limit=length, unit="bytes")
    yield served("longer", "one more byte than listed", file + b"\n", expect)


def _listed(role: str) -> Iterator[Named]:
    """Yield how else a file may be listed."""
    above = "timestamp" if role == "snapshot" else "snapshot"
    usually = Repository.usual().publish()
    file = usually.files[role]

    def listed(name: str, comment: str, expect: Json, **members: Any) -> Named:
        published = bent(above, edit=lambda signed: signed["meta"][f"{role}.json"].update(members)).publish()
        at = ["recall", role] if name == "absurd" else role
        return case(f"listed-{name}-{slug(role)}", comment, SPEC, published, expect, at=at)

    length, digest = len(file), hashlib.sha256(file).hexdigest()
    expect = error("content", what=role, expected=f"{length + 1} bytes", actual=f"{length} bytes")
    yield listed("longer", "it is listed with one byte more", expect, length=length + 1)
    expect = error("too-large", what=usually.path(role), limit=length - 1, unit="bytes")
    yield listed("shorter", "it is listed with one byte less", expect, length=length - 1)
    zeros = "00" * 32
    expect = error("content", what=role, expected=f"sha256:{zeros}", actual=f"sha256:{digest}")
    yield listed("otherwise", "it is listed with another digest", expect, hashes={"sha256": zeros})
    actual = hashlib.sha512(file).hexdigest()
    expect = error("content", what=role, expected=f"sha512:{'00' * 64}", actual=f"sha512:{actual}")
    comment = "one of two digests does not fit: all that are known have to"
    hashes = {"sha256": digest, "sha512": "00" * 64}
    yield listed("sha512-otherwise", comment, expect, hashes=hashes)
    expect = error("content", what=role, expected="a sha256 or sha512 digest", actual="none")
    comment = "digests are listed, and none of them is one to rely on"
    yield listed("weakly", comment, expect, hashes={"md5": hashlib.md5(file).hexdigest()})  # noqa: S324
    cap = LIMITS["snapshot" if role == "snapshot" else "targets"]
    expect = error("too-large", what=f"{role} metadata", limit=cap, unit="bytes")
    comment = "it is listed with a length that nobody should read: nothing is asked for"
    yield listed("absurd", comment, expect, length=1 << 53)


def _caps(role: str) -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.5.1 and 5.6.1: where no length is listed, the client's own limit counts"
    made = bent(role, edit=lambda signed: signed.update({"x-note": "x" * 2000}))  # larger than all others
    made.lists = ()
    published = made.publish()
    kind, size = "snapshot" if role == "snapshot" else "targets", len(published.files[role]) - 1
    expect = error("too-large", what=published.path(role), limit=size, unit="bytes")
    comment = "no length is listed, and it is larger than the client is willing to read"
    yield case(f"too-large-{slug(role)}", comment, source, published, expect, at=role, limits={kind: size})


def _missing() -> Iterator[Named]:
    source = "TUF 1.0.34 sections 5.4.1, 5.5.1 and 5.6.1"
    for made in (Repository.usual(), Repository.usual(consistent=False)):
        published = made.publish()
        way = "" if made.consistent else "-not-consistent"
        for role in ("timestamp", *LISTED):
            path = published.path(role)
            repository = {at: raw for at, raw in published.repository().items() if at != path}
            comment = f"the repository lacks {path}"
            expect = absent(role, path)
            name = f"absent-{slug(role)}{way}"
            yield case(name, comment, source, published, expect, at=role, repository=repository)
