"""One root after the other, and roots that were lost."""

import hashlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from vectors.make.collection import GUN, NOW, TOP, Collection, Json, Part, Published, root_key
from vectors.make.material import Listed, raw
from vectors.make.scenario import RELEASES, Named, case, error, found, threshold, usual

SOURCE: Final = "TUF 1.0.34 section 5.3"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    old = usual()
    rotated = old.rotate("root", root_key("second root"))
    far = rotated.rotate("root", root_key("third root")).rotate("root", root_key("fourth root"))
    yield from _followed(old, rotated, far)
    yield from _expired()
    yield from _wrong(old, rotated)
    yield from _thresholds(old, rotated)
    yield from _bounds(old.publish(), rotated.publish(), far.publish())
    yield from _lost(old.publish(), rotated.publish())


def _followed(old: Collection, rotated: Collection, far: Collection) -> Iterator[Named]:
    known, after, last = old.publish(), rotated.publish(), far.publish()

    def fine(name: str, comment: str, published: Published, known: Published | None, **how: Any) -> Named:
        expect = found(published, RELEASES, first_use=known is None)
        return case(f"root-{name}", comment, SOURCE, published, expect, known=known, **how)

    yield fine("rotated", "the old keys and the new ones signed", after, known)
    yield fine("rotated-cold", "a client that knows nothing begins with the newest", after, None)
    yield fine("walk", "three rotations, followed one by one", last, known)
    yield fine(
        "walk-from-old",
        "the current root is an older one than the history has: a client that knows nothing follows, too",
        last,
        None,
        repository=last.repository() | {"root.json": known.files["root"]},
        met=1,
    )
    same = old.next("root")
    same.history = [known.files["root"]]
    yield fine("same-keys", "a new root with the same keys", same.publish(), known)


def _expired() -> Iterator[Named]:
    gone = "2026-01-01T00:00:00Z"
    stale = usual()
    stale.parts["root"].expires = gone
    known = stale.publish()
    second = stale.rotate("root", root_key("second root"))
    stays = second.publish()
    third = second.rotate("root", root_key("third root"))
    third.parts["root"].expires = "2034-01-01T00:00:00Z"
    lively = third.publish()
    comment = "roots on the way may have expired, the last one may not"
    yield case("root-expired-on-the-way", comment, SOURCE, lively, found(lively, RELEASES), known=known)
    for name, comment, version, published in (
        ("at-the-end", "the last root has expired", 2, stays),
        ("in-cache", "the trusted root has expired", 1, known),
    ):
        expect = error("expired", role="root", version=version, expires=gone, now=NOW)
        yield case(f"root-expired-{name}", comment, SOURCE, published, expect, at="root", known=known)


def _wrong(old: Collection, rotated: Collection) -> Iterator[Named]:
    known, new = old.publish(), rotated.keys["root"]

    def served(name: str, comment: str, second: bytes, expect: Json) -> Named:
        return _second(f"root-{name}", comment, known, second, expect)

    jump, standing = (
        error("version", role="root", expected=2, offered=3),
        error("version", role="root", expected=2, offered=1),
    )
    third = _signed(rotated, version=3)
    yield served("jump", "after the first root comes the third, which the first one's keys signed as well", third, jump)
    yield served("standing", "after the first root comes the first root again", known.files["root"], standing)
    none = threshold("root")
    yield served("not-by-the-old", "the new keys alone signed", _signed(rotated, signers=new), none)
    yield served("not-by-the-new", "the old keys alone signed", _signed(rotated, signers=old.keys["root"]), none)
    yield served("not-by-anybody", "somebody else signed", _signed(rotated, signers=[root_key("stranger")]), none)


def _thresholds(old: Collection, rotated: Collection) -> Iterator[Named]:
    wider = old.rotate("root", root_key("second root"), root_key("third root"))
    wider.thresholds["root"] = 2
    yield _second(
        "root-new-threshold",
        "the new root demands two signatures of its keys, and has one",
        old.publish(),
        _signed(wider, signers=[*old.keys["root"], wider.keys["root"][0]]),
        threshold("root", 2, 1),
    )
    pair = usual()
    pair.keys["root"] = [root_key("root"), root_key("root two")]
    pair.thresholds["root"] = 2
    yield _second(
        "root-old-threshold",
        "the old root demands two signatures of its keys, and the new one has one of them",
        pair.publish(),
        _signed(rotated, signers=[pair.keys["root"][0], *rotated.keys["root"]]),
        threshold("root", 2, 1),
    )


def _second(name: str, comment: str, known: Published, second: bytes, expect: Json) -> Named:
    """Serve *second* as the second root."""
    repository = known.repository() | {"2.root.json": second}
    return case(name, comment, SOURCE, known, expect, at="2.root.json", known=known, repository=repository)


def _signed(collection: Collection, *, version: int = 2, signers: list[Listed] | None = None) -> bytes:
    """Return the root of *collection* under another version or by other signers."""
    other = deepcopy(collection)
    expires = collection.parts["root"].expires
    other.parts["root"] = Part(version=version, expires=expires, signers=signers or collection.signers("root"))
    return other.file("root")


def _bounds(known: Published, after: Published, last: Published) -> Iterator[Named]:
    yield case(
        "root-too-many",
        "more rotations than a client is willing to follow at once",
        SOURCE,
        last,
        error("too-large", what=f"the history of the root of {GUN}", limit=2, unit="rotations"),
        at="4.root.json",
        known=known,
        limits={"rotations": 2},
    )
    sizes = (f"{len(published.files['root'])} bytes" for published in (after, known))
    yield case(
        "root-withheld",
        "the newest root is withheld, and the snapshot says that there is one",
        SOURCE,
        after,
        error("content", what="root", expected=next(sizes), actual=next(sizes)),
        at="snapshot",
        known=known,
        repository=_without(after.repository(), "2.root.json"),
    )
    yield case(
        "root-rollback",
        "the second root was trusted and is lost; under its number stands the first",
        SOURCE,
        after,
        error("rollback", role="root", floor=2, offered=1),
        at="2.root.json",
        known=after,
        kept={},
        repository=after.repository() | {"2.root.json": known.files["root"]},
    )
    yield case(
        "root-cache-planted",
        "the first root was put back into the cache after the second was trusted",
        SOURCE,
        after,
        found(after, RELEASES),
        known=after,
        kept=after.kept() | {"root": known.files["root"]},
    )


def _lost(known: Published, after: Published) -> Iterator[Named]:
    """Yield what may stand in for a root that was trusted and is no longer cached."""
    source = "the trusted root is known by its digest; nothing else may begin the walk"

    def lost(
        name: str, comment: str, published: Published, repository: Json, expect: Json, at: str | None = None
    ) -> Named:
        kept = _without(known.kept(), "root")
        return case(
            f"root-lost{name}", comment, source, published, expect, at=at, known=known, kept=kept, repository=repository
        )

    theirs = _stranger(2)
    yield lost("", "the server's history has it", after, after.repository(), found(after, RELEASES))
    yield lost(
        "-stand-in",
        "there is no history, and the current root is still the very same",
        known,
        _without(known.repository(), "1.root.json"),
        found(known, RELEASES),
    )
    yield lost(
        "-and-gone",
        "there is no history, and the current root is a newer one: nothing says that it follows",
        after,
        _without(after.repository(), "1.root.json"),
        error("absent", role="root", path="1.root.json"),
        at="root.json",
    )
    yield lost(
        "-to-a-stranger",
        "under the number of the trusted root stands somebody else's, of a higher version",
        theirs,
        theirs.repository() | {"1.root.json": theirs.files["root"]},
        error("version", role="root", expected=1, offered=2),
        at="1.root.json",
    )
    theirs = _stranger(1)
    trusted, offered = (hashlib.sha256(published.files["root"]).hexdigest() for published in (known, theirs))
    expect = error("equivocation", role="root", version=1, trusted=trusted, offered=offered)
    comment = "under the number of the trusted root stands another root of this number"
    yield lost("-other-bytes", comment, theirs, theirs.repository(), expect, at="1.root.json")
    comment = "there is no history, and the current root is another one of this number"
    yield lost("-other-current", comment, theirs, _without(theirs.repository(), "1.root.json"), expect, at="root.json")


def _stranger(version: int) -> Published:
    """Return somebody else's collection, whose root signs itself well."""
    collection = usual()
    collection.keys = {role: [root_key("stranger") if role == "root" else raw(f"stranger {role}")] for role in TOP}
    collection.parts["root"].version = version
    return collection.publish()


def _without(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    return {path: file for path, file in files.items() if path != name}
