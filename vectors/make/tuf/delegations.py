"""Who speaks for which name: order, ends, cycles, patterns, hash prefixes and bins."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from vectors.make.tuf.keys import Json, eddsa
from vectors.make.tuf.repository import GUN, NOW, Delegated, Repository, target
from vectors.make.tuf.scenario import Named, case, error, found, malformed, threshold

SPEC: Final = "TUF 1.0.34 section 5.6.7"
NAME: Final = "app/v1"
DIGEST: Final = hashlib.sha256(NAME.encode()).hexdigest()


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _order()
    yield from _terminating()
    yield from _graphs()
    yield from _failures()
    yield from _patterns()
    yield from _hashes()
    yield from _bins()
    yield from _names()
    yield from _all()


def tree(*edges: str, lists: str = "", **members: Json) -> Repository:
    """Return a repository in which these *edges*, ``targets>a``, are delegations; *lists* are roles with the target.

    *members* belong to the delegations to the role of that name.
    """
    made = Repository()
    for edge in edges:
        above, _, role = edge.partition(">")
        delegation = Delegated(role, [eddsa(role)], ["app/*"], members=members.get(role, {}))
        made.delegate(above, delegation, *([NAME] if role in lists.split() else []))
    return made


def _case(name: str, comment: str, made: Repository, loads: str, role: str | None, *above: str, **how: Any) -> Named:
    published = made.publish()
    answer = found(published, role, how.get("ask", NAME), *above)
    source = how.pop("source", SPEC)
    return case(f"delegation-{name}", comment, source, published, answer, loads=tuple(loads.split()), **how)


def _order() -> Iterator[Named]:
    siblings = ("targets>zulu", "targets>alpha", "targets>mike")
    comment = "three list the name: the first delegation counts, not the first name"
    yield _case("order", comment, tree(*siblings, lists="zulu alpha mike"), "zulu", "zulu")
    comment = "the first two do not list the name"
    yield _case("order-last", comment, tree(*siblings, lists="mike"), "zulu alpha mike", "mike")
    comment = "nobody lists the name: all are asked"
    yield _case("order-none", comment, tree(*siblings), "zulu alpha mike", None)
    deep = ("targets>a", "targets>b", "a>c", "c>d")
    comment = "depth first: what the first one delegates to comes before the second one"
    yield _case("depth-first", comment, tree(*deep, lists="b d"), "a c d", "d", "a", "c")
    yield _case("depth-first-back", "after the depth comes the second one", tree(*deep, lists="b"), "a c d b", "b")
    comment = "a role answers before those that it delegates to"
    yield _case("pre-order", comment, tree(*deep, lists="a d"), "a", "a")


def _terminating() -> Iterator[Named]:
    ends = {"terminating": True}
    siblings = ("targets>a", "targets>b")
    comment = "the first one is terminating and does not list the name: nobody after it may"
    yield _case("terminating", comment, tree(*siblings, lists="b", a=ends), "a", None)
    comment = "the first one is terminating and lists the name"
    yield _case("terminating-lists", comment, tree(*siblings, lists="a b", a=ends), "a", "a")
    comment = "the first one is terminating, and what it delegates to is asked all the same"
    yield _case("terminating-descends", comment, tree(*siblings, "a>c", lists="b c", a=ends), "a c", "c", "a")
    comment = "one further down is terminating: that ends what is left above it, too"
    yield _case("terminating-below", comment, tree(*siblings, "a>c", "a>d", lists="b d", c=ends), "a c", None)
    comment = "the second one is terminating: the third is not asked"
    yield _case("terminating-second", comment, tree(*siblings, "targets>c", lists="c", b=ends), "a b", None)
    elsewhere = tree(*siblings, lists="b", a=ends)
    elsewhere.parts["targets"].delegations[0].paths = ["other/*"]
    comment = "the first one is terminating and does not cover the name: it ends nothing"
    yield _case("terminating-elsewhere", comment, elsewhere, "b", "b")
    comment = "no word on whether it is terminating: it is not"
    yield _case("terminating-missing", comment, tree(*siblings, lists="b", a={"terminating": None}), "a b", "b")


def _graphs() -> Iterator[Named]:
    comment = "two delegate to each other, and neither lists the name"
    yield _case("cycle", comment, tree("targets>a", "a>b", "b>a"), "a b", None)
    comment = "two delegate to each other, and the third lists the name"
    yield _case("cycle-and-on", comment, tree("targets>a", "targets>c", "a>b", "b>a", lists="c"), "a b c", "c")
    yield _case("cycle-of-one", "one delegates to itself", tree("targets>a", "a>a"), "a", None)
    diamond = ("targets>a", "targets>b", "a>c", "b>c", "c>d")
    comment = "two delegate to the same role: it is read once"
    yield _case("diamond", comment, tree(*diamond, lists="c"), "a c", "c", "a")
    yield _case(
        "diamond-none", "two delegate to the same role, and nobody lists the name", tree(*diamond), "a c d b", None
    )
    comment = "two delegate to the same role, and only the second for this name"
    narrow = tree(*diamond, lists="c")
    narrow.parts["a"].delegations[0].paths = ["other/*"]
    yield _case("diamond-second", comment, narrow, "a b c", "c", "b")
    keys = tree("targets>a", "targets>b", "a>c", "b>c", lists="c")
    keys.parts["a"].delegations[0].paths = ["other/*"]
    keys.parts["b"].delegations[0].keys = [eddsa("another")]
    published = keys.publish()
    comment = "two delegate to one role with other keys; it is signed by those of who does not cover the name"
    yield case(
        "delegation-diamond-keys",
        comment,
        "TUF 1.0.34 section 5.6.3: a role verified for one delegator is not verified for another",
        published,
        threshold("c"),
        at="c",
        loads=("a", "b", "c"),
        ask=NAME,
    )
    narrow = tree("targets>a", "a>b", lists="b")
    narrow.parts["targets"].delegations[0].paths = ["app/v2"]
    comment = "the way there does not cover the name, though its end does"
    yield _case("not-covered-above", comment, narrow, "", None)
    narrow = tree("targets>a", "a>b", lists="b")
    narrow.parts["a"].delegations[0].paths = ["app/v2"]
    yield _case("not-covered", "the role lists a name that it may not speak for", narrow, "a", None)


def _failures() -> Iterator[Named]:
    siblings = ("targets>a", "targets>b")

    def bad(name: str, comment: str, made: Repository, expect: Json, at: Any = "a", **how: Any) -> Named:
        loads = how.pop("loads", ("a", "b"))
        source = "TUF 1.0.34 section 5.6.7: a role that cannot be had ends the search"
        published = made.publish()
        return case(f"delegation-{name}", comment, source, published, expect, at=at, loads=loads, **how)

    made = tree(*siblings, lists="b")
    made.parts["a"].signers = [eddsa("b")]
    yield bad("first-fails", "the first one is signed by another; the second would list the name", made, threshold("a"))
    made = tree(*siblings, lists="b")
    made.parts["a"].expires = NOW
    expect = error("expired", role="a", version=1, expires=NOW, now=NOW)
    yield bad("first-expired", "the first one expired; the second would list the name", made, expect)
    made = tree(*siblings, lists="b")
    made.hidden = ("a",)
    expect = error("unlisted", role="a", delegator="targets")
    yield bad("unlisted", "the snapshot does not list the first one", made, expect, at=["keep", []])
    made = tree(*(f"targets>r{number}" for number in range(4)))
    expect = error("too-large", what=f"the search for {NAME} in {GUN}", limit=3, unit="delegations")
    comment = "more delegations than the client is willing to follow: that is not the same as nobody"
    loads = ("r0", "r1", "r2")
    yield bad("too-many", comment, made, expect, at=["keep", ["r2"]], loads=loads, limits={"roles": 3})
    published = made.publish()
    yield case(
        "delegation-as-many-as-may-be",
        "as many as it is willing to",
        SPEC,
        published,
        found(published, None),
        loads=(*loads, "r3"),
        limits={"roles": 4},
    )


def _patterns() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.5: PATHPATTERN"
    for number, (pattern, name, covers, why) in enumerate(PATTERNS, 1):
        made = Repository()
        part = made.delegate("targets", Delegated("a", [eddsa("a")], [pattern]))
        part.targets[name] = target(name)
        comment = f"{pattern!r} {'covers' if covers else 'does not cover'} {name!r}: {why}"
        role = "a" if covers else None
        yield _case(f"pattern-{number:02}", comment, made, role or "", role, ask=name, source=source)
    made = Repository()
    made.delegate("targets", Delegated("a", [eddsa("a")], ["b/*", "app/v?"]), NAME)
    yield _case("pattern-of-two", "one of two patterns covers the name", made, "a", "a", source=source)
    made = Repository()
    made.delegate("targets", Delegated("a", [eddsa("a")], []), NAME)
    yield _case("pattern-of-none", "no patterns cover nothing", made, "", None, source=source)


def _hashes() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.5: path_hash_prefixes go by the hex digest of the name"

    def hashed(*prefixes: str) -> Repository:
        made = Repository()
        members = {"paths": None, "path_hash_prefixes": list(prefixes)}
        made.delegate("targets", Delegated("a", [eddsa("a")], members=members), NAME)
        return made

    for name, prefix in (("one-digit", DIGEST[:1]), ("three-digits", DIGEST[:3]), ("all-digits", DIGEST)):
        yield _case(
            f"hash-prefix-{name}", "the digest begins with it", hashed("0" * 64, prefix), "a", "a", source=source
        )
    other = f"{int(DIGEST[0], 16) ^ 1:x}"
    yield _case("hash-prefix-other", "the digest begins otherwise", hashed(other), "", None, source=source)
    yield _case("hash-prefix-capitals", "hex digits are small", hashed(_capitals()), "", None, source=source)
    yield _case("hash-prefix-longer", "it is longer than a digest", hashed(DIGEST + "0"), "", None, source=source)
    yield _case("hash-prefix-none", "no prefixes cover nothing", hashed(), "", None, source=source)
    comment = "the sha256 of another spelling of the name"
    slash = hashlib.sha256(f"/{NAME}".encode()).hexdigest()
    yield _case("hash-prefix-slash", comment, hashed(slash[:8]), "", None, source=source)


def _capitals() -> str:
    """Return a beginning of the digest that has a letter, in capitals."""
    end = next(at for at, digit in enumerate(DIGEST) if digit.isalpha()) + 1
    return DIGEST[:end].upper()


def _bins() -> Iterator[Named]:
    source = "TAP 15"
    for bits in (1, 2, 3, 4, 5, 7, 8, 9, 14, 16, 31, 32):
        number = int(DIGEST, 16) >> (256 - bits)
        role = f"bin-{number:0{(bits + 3) // 4}x}"
        made = Repository()
        (part,) = made.delegate_bins("targets", "bin", bits, [eddsa("bins")], role)
        part.targets[NAME] = target("binned")
        comment = f"2 to the {bits} bins: the leftmost {bits} bits of the digest say which"
        yield _case(f"bins-{bits:02}", comment, made, role, role, source=source)
    role = f"bin-{int(DIGEST, 16) >> 248:02x}"
    made = Repository()
    made.delegate_bins("targets", "bin", 8, [eddsa("bins")], role)
    yield _case(
        "bins-not-listed", "the bin does not list the name, and no other is asked", made, role, None, source=source
    )
    made = Repository()
    made.delegate_bins("targets", "bin", 8, [eddsa("bins")], role, "bin-00")
    made.hidden = (role,)
    published = made.publish()
    expect = error("unlisted", role=role, delegator="targets")
    comment = "the bin is not in the snapshot"
    yield case("delegation-bins-unlisted", comment, source, published, expect, loads=(), at=["keep", []])
    made = Repository()
    (part,) = made.delegate_bins("targets", "bin", 8, [eddsa("bins")], role)
    part.signers = [eddsa("stranger")]
    comment = "the bin is signed by a stranger"
    published = made.publish()
    yield case("delegation-bins-forged", comment, source, published, threshold(role), loads=(role,), at=role)
    made = Repository()
    made.delegate("targets", Delegated("a", [eddsa("a")]))
    (part,) = made.delegate_bins("a", "a/b", 8, [eddsa("bins")], role.replace("bin", "a/b"))
    part.targets[NAME] = target("binned")
    named = role.replace("bin", "a/b")
    yield _case("bins-below", "a delegated role has bins", made, f"a {named}", named, "a", source=source)


def _names() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5.6.1; a name in a URL is percent-encoded, slashes too"
    for number, name in enumerate(NAMES, 1):
        for way, consistent in (("", True), ("-not-consistent", False)):
            made = Repository(consistent=consistent)
            made.delegate("targets", Delegated(name, [eddsa("odd")]), NAME)
            comment = f"a role called {name!r}"
            published = made.publish()
            answer = found(published, name)
            yield case(f"role-name-{number:02}{way}", comment, source, published, answer, loads=(name,))


def _all() -> Iterator[Named]:
    made = tree("targets>a", "targets>b", "a>c", "b>c")
    made.parts["b"].expires = NOW
    expect: Json = {
        "versions": {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1},
        "expires": min(made.parts[role].expires for role in ("timestamp", "a", "c", "targets")),
        "first_use": False,
        "roles": ["targets", "a", "c"],
        "failed": {"b": error("expired", role="b", version=1, expires=NOW, now=NOW)},
    }
    yield _walked("all", "all roles are asked for, nearest first, and one failed", made, expect)
    made = tree("targets>a", "a>b", "b>a")
    expect = {**expect, "roles": ["targets", "a", "b"], "failed": {}}
    yield _walked("all-in-a-cycle", "all roles are asked for, and two delegate to each other", made, expect)


def _walked(name: str, comment: str, made: Repository, expect: Json) -> Named:
    published = made.publish()
    ask = {"gun": GUN, "delegated": True}
    loads = tuple(role for role in made.parts if role not in {"root", "timestamp", "snapshot", "targets"})
    named, vector = case(f"delegation-{name}", comment, "decided here", published, expect, ask=ask, loads=loads)
    if failed := expect["failed"]:
        vector["trace"] = [step for step in vector["trace"] if step != ["keep", list(failed)]]
    return named, vector


def spelled() -> Iterator[tuple[str, str, Any, str]]:
    """Yield what may not stand in ``delegations``: name, comment, edit and path."""
    entry = "delegations.roles[0]"

    def role(**members: Any) -> Any:
        return lambda signed: signed["delegations"]["roles"][0].update(members)

    def bins(**members: Any) -> Any:
        def edit(signed: Json) -> None:
            del signed["delegations"]["roles"]
            usual = {"keyids": [], "threshold": 1, "bit_length": 8, "name_prefix": "bin"}
            shared = {**usual, **members}
            signed["delegations"]["succinct_roles"] = {k: v for k, v in shared.items() if v is not None}

        return edit

    yield "both", "patterns and hash prefixes", role(path_hash_prefixes=["a"]), f"{entry}.paths"
    yield (
        "neither",
        "neither patterns nor hash prefixes",
        lambda s: s["delegations"]["roles"][0].pop("paths"),
        f"{entry}.paths",
    )
    yield "paths-text", "patterns are a text", role(paths="*"), f"{entry}.paths"
    yield "paths-numbers", "patterns are numbers", role(paths=[1]), f"{entry}.paths"
    yield "terminating-text", "terminating is a text", role(terminating="true"), f"{entry}.terminating"
    yield "terminating-null", "terminating is null", role(terminating=None), f"{entry}.terminating"
    yield "threshold-zero", "a threshold of zero", role(threshold=0), f"{entry}.threshold"
    yield "threshold-negative", "a threshold below zero", role(threshold=-1), f"{entry}.threshold"
    yield "threshold-true", "a threshold of true", role(threshold=True), f"{entry}.threshold"
    yield "threshold-text", "a threshold of a text", role(threshold="1"), f"{entry}.threshold"
    yield "keyids-twice", "a key id twice", role(keyids=["a", "a"]), f"{entry}.keyids"
    yield "keyids-null", "no key ids", role(keyids=None), f"{entry}.keyids"
    yield "name-empty", "a role without a name", role(name=""), f"{entry}.name"
    for top in ("root", "timestamp", "snapshot", "targets"):
        yield f"name-{top}", f"a delegation to {top}", role(name=top), f"{entry}.name"
    yield "name-number", "a role called 1", role(name=1), f"{entry}.name"
    yield (
        "name-twice",
        "two delegations to one role",
        lambda s: s["delegations"]["roles"].append(s["delegations"]["roles"][0]),
        "delegations.roles[1].name",
    )
    yield "roles-object", "delegations are no list", lambda s: s["delegations"].update(roles={}), "delegations.roles"
    yield "roles-missing", "neither roles nor bins", lambda s: s["delegations"].pop("roles"), "delegations.roles"
    yield "keys-missing", "no keys", lambda s: s["delegations"].pop("keys"), "delegations.keys"
    yield "keys-list", "keys are a list", lambda s: s["delegations"].update(keys=[]), "delegations.keys"
    yield "list", "delegations are a list", lambda s: s.update(delegations=[]), "delegations"
    succinct = "delegations.succinct_roles"
    yield "bins-beside-roles", "bins beside roles", lambda s: s["delegations"].update(succinct_roles={}), succinct
    for name, comment, bits in (
        ("zero", "no bits", 0),
        ("33", "more bits than anybody can use", 33),
        ("negative", "bits below zero", -1),
        ("true", "bits of true", True),
        ("text", "bits as a text", "8"),
        ("missing", "no word on how many", None),
    ):
        yield f"bins-{name}", comment, bins(bit_length=bits), f"{succinct}.bit_length"
    yield "bins-prefix-number", "a name prefix that is a number", bins(name_prefix=1), f"{succinct}.name_prefix"
    yield "bins-prefix-missing", "no name prefix", bins(name_prefix=None), f"{succinct}.name_prefix"
    yield "bins-threshold-zero", "bins with a threshold of zero", bins(threshold=0), f"{succinct}.threshold"


def malformed_delegations() -> Iterator[Named]:
    """Yield repositories whose targets delegate in a way that there is not."""
    source = "TUF 1.0.34 section 4.5; TAP 15"
    for name, comment, edit, path in spelled():
        made = Repository.usual()
        made.parts["targets"].edit = edit
        expect = malformed("targets", f"signed.{path}")
        yield case(f"format-delegations-{name}", comment, source, made.publish(), expect, at="targets")


PATTERNS: Final = (
    ("*", "v1", True, "a star stands for a segment"),
    ("*", "app/v1", False, "a star does not cross a slash"),
    ("app/*", "app/v1", True, "a star in the last segment"),
    ("app/*", "app/v1/x", False, "a star does not cross a slash"),
    ("app/*", "app/", True, "a star stands for nothing as well"),
    ("app/*", "App/v1", False, "case counts, whatever the system says"),
    ("app/V*", "app/v1", False, "case counts in patterns"),
    ("*/v1", "app/v1", True, "a star in the first segment"),
    ("*/*", "app/v1", True, "a star in each segment"),
    ("*/*", "v1", False, "there have to be as many segments"),
    ("**", "app/v1", False, "two stars are no more than one"),
    ("app/**/v1", "app/v1", False, "two stars are no more than one"),
    ("app/v?", "app/v1", True, "a question mark stands for one character"),
    ("app/v?", "app/v", False, "a question mark does not stand for nothing"),
    ("app/v?", "app/v12", False, "a question mark does not stand for two"),
    ("app?v1", "app/v1", False, "a question mark does not stand for a slash"),
    ("app/?", "app/\u00fc", True, "one character, two bytes"),
    ("app/*", "app/.v1", True, "a dot in front is a character like others"),
    ("app/*.tgz", "app/v1.tgz", True, "what follows the star has to follow"),
    ("app/*.tgz", "app/v1.tgz.sig", False, "and nothing else"),
    ("app/v1", "app/v1", True, "no wildcard, the name itself"),
    ("app/v1", "app/v1\n", False, "a line break is a character"),
    ("app/*", "app/v\n1", True, "a line break is a character"),
    ("/app/v1", "app/v1", False, "a slash in front counts"),
    ("app/", "app/v1", False, "no prefix"),
    ("", "app/v1", False, "nothing covers nothing"),
    ("app/v1$", "app/v1", False, "no regular expression"),
    ("app/v.", "app/v1", False, "no regular expression"),
    ("app/(v1)", "app/(v1)", True, "no regular expression"),
    ("app/\\*", "app/*", False, "nothing is escaped"),
)
NAMES: Final = (
    "a/b",
    "../../etc/passwd",
    ".",
    "..",
    "a b",
    "a%2Fb",
    "a?b#c",
    "\u00fc",
    "\U0001f600",
    "Root",
    "root.json",
    "1.root",
    "a\n\u0000b",
    "a\\b",
    "a" * 300,
    "con",
    "~a_.-b",
    "targets/releases",
)
