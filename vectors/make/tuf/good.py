"""What ends well: cold and warm, consistent and not, listed in every way, and spelled in every way."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from vectors.make.collection import canonical
from vectors.make.tuf.keys import Json
from vectors.make.tuf.repository import Repository, target
from vectors.make.tuf.scenario import RELEASES, ROLES, Named, bent, case, found, setting, slug

SPEC: Final = "TUF 1.0.34 section 5"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _cold()
    yield from _warm()
    yield from _listed()
    yield from _spelled()
    yield from _targets()


def _cold() -> Iterator[Named]:
    for name, comment, made in (
        ("cold", "a client that was given the first root", Repository.usual()),
        ("cold-not-consistent", "snapshots are not consistent: files have no version in their names", _plain()),
    ):
        published = made.publish()
        yield case(name, comment, SPEC, published, found(published))
    published = Repository.usual().publish()
    yield case("cold-refresh", "a refresh and no more", SPEC, published, found(published, None), loads=(), ask=None)
    comment = "a target that nobody lists and no delegation covers: only targets is read"
    yield case("cold-nobody", comment, SPEC, published, found(published, None), loads=(), ask="elsewhere")
    comment = "a target that nobody lists: the delegation that covers it is read"
    yield case("cold-not-listed", comment, SPEC, published, found(published, None), ask="app/v2")
    comment = "what targets itself lists, no delegation is asked for"
    answer = found(published, "targets", "readme")
    yield case("cold-top-level-target", comment, SPEC, published, answer, loads=(), ask="readme")


def _warm() -> Iterator[Named]:
    for way, usual in (("", Repository.usual()), ("-not-consistent", _plain())):
        known = usual.publish()
        answer = found(known)
        yield case(f"warm-unchanged{way}", "nothing is new: two requests", SPEC, known, answer, known=known)
        for role in ("timestamp", "snapshot", "targets", RELEASES):
            published = usual.next(role).publish()
            comment = f"{role} is newer, and what lists it: the rest stays"
            yield case(f"warm-newer-{slug(role)}{way}", comment, SPEC, published, found(published), known=known)
    known = Repository.usual().publish()
    unread = {role: raw for role, raw in known.files.items() if role != RELEASES}
    comment = "a delegated role that was not read before"
    yield case("warm-first-look", comment, SPEC, known, found(known), known=known, kept=unread)
    largest = Repository.usual()
    for part in largest.parts.values():
        part.version = 2**53
    del largest.parts["root"]
    largest.parts["root"] = Repository.usual().parts["root"]
    published = largest.publish()
    comment = "versions as large as every reader can hold"
    yield case("warm-largest-versions", comment, "decided here: 2^53", published, found(published), known=known)


def _listed() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.4: length and hashes of METAFILES are optional"
    for name, lists in (("version", ()), ("version-and-length", ("length",)), ("version-and-hashes", ("hashes",))):
        made = Repository.usual(lists=lists)
        published = made.publish()
        comment = f"files are listed with {name.replace('-', ' ').replace('version and', 'their version and')} only"
        yield case(f"listed-{name}", comment, source, published, found(published))
        yield case(
            f"listed-{name}-warm", f"{comment}; nothing is new", source, published, found(published), known=published
        )
        newer = made.next(RELEASES).publish()
        yield case(
            f"listed-{name}-newer", f"{comment}; the delegation is newer", source, newer, found(newer), known=published
        )
    for name, algorithms in (("sha512", ["sha512"]), ("sha256-and-unknown", ["sha256", "blake3"])):
        made = Repository.usual()
        made.parts["snapshot"].edit = _hashing(made.publish().files, algorithms)
        published = made.publish()
        comment = f"files are listed with {' and '.join(algorithms)}: what is known has to fit"
        yield case(f"listed-{name}", comment, source, published, found(published))


def _hashing(files: dict[str, bytes], algorithms: list[str]) -> Callable[[Json], None]:
    def edit(signed: Json) -> None:
        for name, entry in signed["meta"].items():
            digests = target(files[name.removesuffix(".json")].decode(), "sha256", "sha512")["hashes"]
            entry["hashes"] = {algorithm: digests.get(algorithm, "00" * 32) for algorithm in algorithms}

    return edit


def _spelled() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.2.1: signatures cover the canonical form, files may have any"
    for role in ROLES:
        published = bent(role, rewrite=_loosely).publish()
        comment = "indented, members in another order, letters as escapes"
        yield case(f"spelled-loosely-{slug(role)}", comment, source, published, found(published))
        published = bent(role, rewrite=lambda raw: canonical(json.loads(raw))).publish()
        comment = "in canonical form as a whole"
        yield case(f"spelled-canonically-{slug(role)}", comment, source, published, found(published))
        published = bent(role, edit=setting(**UNKNOWN)).publish()
        comment = "members that nobody knows: they are signed with the rest, and mean nothing"
        source_ = "TUF 1.0.34 section 4: unrecognized fields"
        yield case(f"unknown-members-{slug(role)}", comment, source_, published, found(published))
        published = bent(role, wrap=setting(**UNKNOWN)).publish()
        comment = "members beside signed and signatures that nobody knows"
        yield case(f"unknown-members-around-{slug(role)}", comment, source_, published, found(published))
        published = bent(
            role, edit=setting(**{'x\u0000\u001f\n\t"\\\u007f': "\u0000\u0001\b\f\r\u2028\U0001f600"})
        ).publish()
        comment = "control characters: they stand raw in what is signed and escaped in what is sent"
        yield case(f"control-characters-{slug(role)}", comment, source, published, found(published))
    yield from _unknown_inside()


def _unknown_inside() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4: unrecognized fields"

    def inside(name: str, role: str, edit: Callable[[Json], Any]) -> Named:
        published = bent(role, edit=edit).publish()
        comment = "members that nobody knows, further down"
        return case(f"unknown-members-of-{name}", comment, source, published, found(published))

    yield inside("a-key", "root", lambda signed: [key.update(UNKNOWN) for key in signed["keys"].values()])
    yield inside(
        "a-key-value", "root", lambda signed: [key["keyval"].update(UNKNOWN) for key in signed["keys"].values()]
    )
    yield inside("a-role", "root", lambda signed: [role.update(UNKNOWN) for role in signed["roles"].values()])
    yield inside("an-entry", "snapshot", lambda signed: [entry.update(UNKNOWN) for entry in signed["meta"].values()])
    yield inside("a-delegation", "targets", lambda signed: signed["delegations"]["roles"][0].update(UNKNOWN))
    yield inside("delegations", "targets", lambda signed: signed["delegations"].update(UNKNOWN))
    yield inside("a-target", RELEASES, lambda signed: signed["targets"]["app/v1"].update(UNKNOWN))
    yield inside(
        "meta-of-a-timestamp", "timestamp", lambda signed: signed["meta"].update({"more.json": {"version": 1}})
    )
    published = bent("timestamp", wrap=lambda envelope: envelope["signatures"][0].update(UNKNOWN)).publish()
    comment = "a signature with members that nobody knows"
    yield case("unknown-members-of-a-signature", comment, source, published, found(published))
    mirrored = bent("root", edit=lambda signed: signed["roles"].update(mirrors={"keyids": [], "threshold": 1}))
    published = mirrored.publish()
    comment = "root has a role for mirrors, which the specification knows and nobody uses"
    yield case("root-role-mirrors", comment, "TUF 1.0.34 section 4.3", published, found(published))
    without_flag = bent("root", edit=lambda signed: signed.pop("consistent_snapshot"))
    without_flag.consistent = False
    published = without_flag.publish()
    comment = "root does not say whether snapshots are consistent: they are not"
    source = "decided here; the specification calls the member optional in a note only"
    yield case("root-no-consistent-snapshot", comment, source, published, found(published))


def _targets() -> Iterator[Named]:
    for name, comment, entry in (
        (
            "custom",
            "publishers may add what they like",
            target("x", note="\u00fc\n\u2028", list=[1, None, {"a": True}]),
        ),
        ("custom-null", "or nothing", target("x") | {"custom": None}),
        ("sha512", "sha512 alone will do", target("x", "sha512")),
        ("two-digests", "two digests", target("x", "sha256", "sha512")),
        ("empty", "an empty file", target("")),
    ):
        made = Repository.usual()
        made.parts[RELEASES].targets["app/v1"] = entry
        published = made.publish()
        yield case(f"target-{name}", comment, "TUF 1.0.34 section 4.5", published, found(published))
    for name, path in (
        ("unicode", "app/\u00fc\U0001f600"),
        ("control-characters", "app/\n\u0000\u007f"),
        ("quotes", 'app/"\\'),
        ("blanks", "app/ a b "),
        ("dots", "app/.."),
    ):
        made = Repository.usual()
        made.parts[RELEASES].targets[path] = target(name)
        published = made.publish()
        comment = "the name is a text and nothing else: whoever makes it a path has to be careful"
        answer = found(published, RELEASES, path)
        yield case(f"target-name-{name}", comment, "TUF 1.0.34 section 4.5", published, answer, ask=path)
    broken = bent(RELEASES, edit=lambda signed: signed["targets"].update(broken={"length": "much"}))
    published = broken.publish()
    comment = "an entry beside the one that is asked for is broken: nobody asked for that one"
    source = "decided here: a reader of ten thousand targets may read the one that it needs"
    yield case("target-broken-beside", comment, source, published, found(published))


def _plain() -> Repository:
    return Repository.usual(consistent=False)


def _loosely(raw: bytes) -> bytes:
    document = json.loads(raw)
    backwards = {name: document[name] for name in reversed(document)}
    backwards["signed"] = dict(reversed(document["signed"].items()))
    return json.dumps(backwards, indent="\t").encode().replace(b'"_type"', b'"\\u005ftype"') + b"\n"


UNKNOWN: Final[Json] = {"x-note": {"a": [1, None, True, "\u00fc"]}, "": 0}
