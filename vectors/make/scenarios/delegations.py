"""Who speaks for which name."""

from collections.abc import Iterator
from typing import Final

from vectors.make.collection import GUN, NOW, Collection, Delegated, Json, Published
from vectors.make.material import raw
from vectors.make.scenario import NIGHTLY, RELEASES, Named, case, error, found, threshold, usual, with_expiry

SOURCE: Final = "TUF 1.0.34 section 5.6.7; notary client/client.go"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _deep()
    yield from _covering()
    yield from _silent()
    yield from _gone(usual().publish())
    siblings = with_expiry(
        Collection.usual(Delegated("targets/alice", [raw("alice")]), Delegated("targets/bob", [raw("bob")]))
    )
    yield from _siblings(siblings)
    yield _too_many()
    yield _all_roles(siblings)


def _deep() -> Iterator[Named]:
    """Yield roles two levels down."""

    def deep(name: str, comment: str, paths: list[str], below: list[str], loads: tuple[str, ...]) -> Named:
        releases, nightly = Delegated(RELEASES, [raw("releases")], paths), Delegated(NIGHTLY, [raw("nightly")], below)
        published = with_expiry(Collection.usual(releases, nightly)).publish()
        expect = found(published, NIGHTLY if NIGHTLY in loads else None, first_use=True)
        return case(f"delegation-deep{name}", comment, SOURCE, published, expect, loads=loads, ask=_asked(NIGHTLY))

    both = (RELEASES, NIGHTLY)
    yield deep("", "both levels may speak for every name", [""], [""], both)
    yield deep("-covered", "both levels cover the name", ["v"], ["v1"], both)
    comment = "the level in between may not speak for the name, so neither may the one below"
    yield deep("-not-covered-above", comment, ["v2"], [""], ())
    comment = "the lowest level lists the name and may not speak for it"
    yield deep("-not-covered", comment, [""], ["v2"], (RELEASES,))


def _covering() -> Iterator[Named]:
    for name, paths in (("not-covered", ["v2", "V1", "xv1"]), ("no-paths", [])):
        published = with_expiry(Collection.usual(Delegated(RELEASES, [raw("releases")], paths))).publish()
        comment = "the role lists the name and may not speak for it: targets answers"
        expect = found(published, "targets", first_use=True)
        yield case(f"delegation-{name}", comment, SOURCE, published, expect, loads=())
    published = with_expiry(Collection.usual(Delegated(RELEASES, [raw("releases")], ["x", "v1"]))).publish()
    expect = found(published, RELEASES, first_use=True)
    yield case("delegation-covered", "one of its prefixes fits", SOURCE, published, expect)
    published = usual().publish()
    yield case(
        "delegation-nobody",
        "the role that is asked for is not delegated to",
        SOURCE,
        published,
        found(published, None, first_use=True),
        loads=(),
        ask=_asked("targets/unheard-of"),
    )


def _silent() -> Iterator[Named]:
    """Yield roles that speak for nobody, or not yet."""

    def silent(name: str, comment: str, collection: Collection) -> Named:
        published = collection.publish()
        expect = found(published, "targets", first_use=True)
        return case(f"delegation-{name}", comment, SOURCE, published, expect, loads=())

    purged = usual()
    purged.parts["targets"].edit = lambda signed: signed["delegations"]["roles"][0].update(keyids=None)
    yield silent("purged", "its keys were all taken away, its file is still listed: it speaks for nobody", purged)
    yield silent("not-yet", "it is delegated to and has published nothing yet", _unlisted(usual()))


def _gone(known: Published) -> Iterator[Named]:
    """Yield what a client may think of a role that it read before and that is listed no more."""

    def gone(name: str, comment: str, collection: Collection, expect: Json | None = None) -> Named:
        published = collection.publish()
        answer = found(published, "targets")
        name, vector = case(f"delegation-{name}", comment, SOURCE, published, answer, known=known, loads=())
        return name, vector | {"expect": expect or answer}

    comment = "it was read before, is still delegated to, and the snapshot omits it"
    yield gone("omitted", comment, _unlisted(usual().next()), error("removed", role=RELEASES))
    removed = usual().next("targets")
    removed.parts["targets"].delegations = []
    del removed.parts[RELEASES]
    yield gone("removed", "it was read before, and targets delegates to it no longer", removed)
    given = _unlisted(usual().next("targets"))
    given.parts["targets"].delegations = [Delegated(RELEASES, [raw("new releases")])]
    comment = "it was read before, and belongs to other keys by now, which have published nothing"
    yield gone("given-to-others", comment, given)


def _siblings(siblings: Collection) -> Iterator[Named]:
    both = {"gun": GUN, "name": "v1", "roles": ["targets/bob", "targets/alice"]}
    published = siblings.publish()
    yield case(
        "delegation-order",
        "the order of the question counts, not that of the delegations",
        SOURCE,
        published,
        found(published, "targets/bob", first_use=True),
        loads=("targets/bob",),
        ask=both,
    )
    cross = siblings.next()
    cross.parts["targets/bob"].signers = [raw("alice")]
    swapped = siblings.next()
    swapped.parts["targets/bob"].rewrite = lambda _: published.files["targets/alice"]
    for name, comment, collection in (
        ("signed-by-a-sibling", "a key that has a say in one role has none in another", cross),
        ("of-a-sibling", "one role's file stands in another's place", swapped),
    ):
        yield case(
            f"delegation-{name}",
            comment,
            SOURCE,
            collection.publish(),
            threshold("targets/bob"),
            at="targets/bob",
            loads=("targets/bob",),
            ask=both,
        )
    by_targets = usual()
    by_targets.parts[RELEASES].signers = by_targets.keys["targets"]
    comment = "whoever delegates does not sign for the role"
    expect = threshold(RELEASES)
    yield case("delegation-signed-by-the-delegator", comment, SOURCE, by_targets.publish(), expect, at=RELEASES)


def _too_many() -> Named:
    roles = [f"targets/r{number}" for number in range(3)]
    published = with_expiry(Collection.usual(*(Delegated(role, [raw("many")]) for role in roles))).publish()
    return case(
        "delegation-too-many",
        "more delegated roles than a client is willing to read",
        SOURCE,
        published,
        error("too-large", what=f"the tree of delegations of {GUN}", limit=2, unit="roles"),
        at=roles[1],
        loads=(roles[0], roles[1]),
        ask={"gun": GUN, "name": "v9", "roles": roles},
        limits={"roles": 2},
    )


def _all_roles(siblings: Collection) -> Named:
    """Return what becomes of every delegated role, one of which fails."""
    stale = siblings.next()
    stale.parts["targets/alice"].expires = NOW
    published = stale.publish()
    answer = found(published, None, first_use=True)
    del answer["found"]
    failed = {"targets/alice": error("expired", role="targets/alice", version=1, expires=NOW, now=NOW)}
    name, vector = case(
        "delegations-all",
        "all roles are read; one has expired, and the others do not suffer for it",
        "a listing shows what holds and says what does not",
        published,
        answer | {"roles": ["targets", "targets/bob"], "failed": failed},
        loads=("targets/alice", "targets/bob"),
        ask={"gun": GUN, "delegated": True},
    )
    vector["trace"][-1] = ["keep", ["targets/bob"]]
    return name, vector


def _asked(role: str) -> Json:
    return {"gun": GUN, "name": "v1", "roles": [role]}


def _unlisted(collection: Collection) -> Collection:
    """Have the snapshot of *collection* omit the delegated role."""
    collection.parts["snapshot"].edit = lambda signed: signed["meta"].pop(RELEASES)
    return collection
