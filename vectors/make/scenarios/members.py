"""Members of the wrong kind."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from vectors.make.collection import (
    NOW,
    TOP,
    Delegated,
    Json,
)
from vectors.make.material import base64
from vectors.make.scenario import (
    RELEASES,
    ROLES,
    Named,
    bent,
    case,
    first,
    malformed,
    setting,
    signing,
    slug,
    usual,
    without,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _types()
    for role, name, comment, edit, path in (*_timestamp(), *_snapshot(), *_root(), *_targets(), *_target_entries()):
        published = bent(role, edit=edit).publish()
        expect = malformed(role, f"signed.{path}")
        source = "notary tuf/data; typed reading says where"
        yield case(f"format-{slug(role)}-{name}", comment, source, published, expect, at=first(role))
    for name, comment, wrap, path in _envelopes():
        published = bent("timestamp", wrap=wrap).publish()
        expect = malformed("timestamp", path)
        yield case(f"format-envelope-{name}", comment, "notary tuf/data/types.go", published, expect, at="timestamp")


def _types() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.3; notary tuf/data: the type is compared exactly"
    kinds = {"root": "Root", "timestamp": "Timestamp", "snapshot": "Snapshot", "targets": "Targets"}
    for role in ROLES:
        kind = kinds.get(role, "Targets")
        for other in (*kinds.values(), kind.lower(), None):
            if other != kind:
                name = f"type-{slug(role)}-{'lower' if other == kind.lower() else (other or 'none').lower()}"
                published = bent(role, edit=setting(_type=other)).publish()
                expect = malformed(role, "signed._type")
                yield case(name, "it says that it is something else", source, published, expect, at=first(role))
    published = usual().publish()
    for role, other in (("root", "targets"), ("timestamp", "snapshot")):
        repository = published.repository() | {f"{role}.json": published.files[other]}
        yield case(
            f"type-{role}-is-{other}",
            "another role's file stands in its place",
            source,
            published,
            malformed(role, "signed._type"),
            at=first(role),
            repository=repository,
        )


Entry: TypeAlias = tuple[str, str, Callable[[Json], object], str]
Fault: TypeAlias = tuple[str, str, str, Callable[[Json], object], str]


def _timestamp() -> Iterator[Fault]:
    def bad(name: str, comment: str, edit: Callable[[Json], object], path: str) -> Fault:
        return "timestamp", name, comment, edit, path

    versions = {
        "zero": 0,
        "negative": -1,
        "true": True,
        "text": "1",
        "list": [1],
        "beyond": (1 << 53) + 1,
        "float": 1.5,
    }
    for name, value in versions.items():
        yield bad(f"version-{name}", "a version is an integer from 1 to 2^53", setting(version=value), "version")
    yield bad("version-null", "null is no version", setting(version=None), "version")
    yield bad("version-missing", "the version is missing", without("version"), "version")
    for name, value in _TIMES.items():
        yield bad(f"expires-{name}", "not a time as RFC 3339 writes it, with a zone", setting(expires=value), "expires")
    yield bad("expires-missing", "it would never expire", without("expires"), "expires")
    yield bad("expires-null", "it would never expire", setting(expires=None), "expires")
    for name, value in _NO_OBJECTS:
        yield bad(f"meta-{name}", "an object is due", setting(meta=value), "meta")
    yield bad("meta-missing", "an object is due", without("meta"), "meta")
    yield bad("meta-empty", "no snapshot is listed", setting(meta={}), "meta.snapshot")
    yield from (
        bad(name, comment, _listed("snapshot", edit), f"meta.snapshot.{path}") for name, comment, edit, path in _ENTRIES
    )
    yield bad("case-version", "some readers take it for the version", setting(Version=2), "Version")
    yield bad("case-meta", "some readers take it for meta", setting(META={}), "META")
    long_s = "expire\u017f"
    yield bad("case-long-s", "some readers take U+017F for an s", lambda s: s.update({long_s: NOW}), long_s)


def _listed(role: str, edit: Callable[[Json], object]) -> Callable[[Json], object]:
    """Return an edit of the listing of *role*."""
    return lambda signed: edit(signed["meta"][role])


def _digest(value: Any) -> Callable[[Json], object]:
    return lambda entry: entry["hashes"].update(sha256=value)


def _respell(change: Callable[[str], str]) -> Callable[[Json], object]:
    return lambda entry: entry["hashes"].update(sha256=change(entry["hashes"]["sha256"]))


_TIMES: Final[dict[str, Any]] = {
    "number": 1893456000,
    "date": "2029-01-01",
    "blank": "2029-01-01 00:00:00Z",
    "no-zone": "2029-01-01T00:00:00",
    "small-letters": "2029-01-01t00:00:00z",
    "blank-before": " 2029-01-01T00:00:00Z",
    "line-after": "2029-01-01T00:00:00Z\n",
    "february-30": "2029-02-30T00:00:00Z",
    "month-13": "2029-13-01T00:00:00Z",
    "hour-24": "2029-01-01T24:00:00Z",
    "second-60": "2029-01-01T00:00:60Z",
    "year-0": "0000-01-01T00:00:00Z",
    "five-digits": "12029-01-01T00:00:00Z",
    "fraction-empty": "2029-01-01T00:00:00.Z",
    "fraction-of-ten": "2029-01-01T00:00:00.0123456789Z",
    "offset-of-a-day": "2029-01-01T00:00:00+24:00",
    "offset-of-sixty-minutes": "2029-01-01T00:00:00+05:60",
    "offset-without-colon": "2029-01-01T00:00:00+0530",
    "beyond-the-calendar": "9999-12-31T23:59:59-01:00",
    "other-digits": "2029-01-01T00:00:0\u0660Z",
}
_ENTRIES: Final[tuple[Entry, ...]] = (
    ("length-missing", "a length is due", without("length"), "length"),
    ("length-negative", "a length is not negative", setting(length=-1), "length"),
    ("length-text", "a length is an integer", setting(length="1"), "length"),
    ("length-true", "true is no length", setting(length=True), "length"),
    ("length-float", "a length is an integer", setting(length=1.5), "length"),
    ("length-beyond", "no file is that long", setting(length=(1 << 53) + 1), "length"),
    ("length-null", "null is no length", setting(length=None), "length"),
    ("length-in-capitals", "some readers take it for the length", setting(LENGTH=1), "LENGTH"),
    ("hashes-missing", "digests are due", without("hashes"), "hashes"),
    ("hashes-null", "null is no set of digests", setting(hashes=None), "hashes"),
    ("hashes-empty", "no digest is listed", setting(hashes={}), "hashes.sha256"),
    ("sha512-only", "files are found by their sha256", lambda entry: entry["hashes"].pop("sha256"), "hashes.sha256"),
    ("md5-only", "md5 binds nothing", setting(hashes={"md5": base64(bytes(16))}), "hashes.sha256"),
    ("digest-null", "null is no digest", _digest(None), "hashes.sha256"),
    ("digest-hex", "hex digits read as base64 are no sha256", _digest("0" * 64), "hashes.sha256"),
    ("digest-short", "31 bytes are no sha256", _digest(base64(bytes(31))), "hashes.sha256"),
    ("digest-long", "33 bytes are no sha256", _digest(base64(bytes(33))), "hashes.sha256"),
    ("digest-empty", "nothing is no sha256", _digest(""), "hashes.sha256"),
    ("digest-unpadded", "base64 without its padding", _respell(lambda text: text.rstrip("=")), "hashes.sha256"),
    ("digest-padded-more", "base64 with more padding", _respell(lambda text: text + "="), "hashes.sha256"),
    ("digest-blank", "a blank inside base64", _respell(lambda text: text[:8] + " " + text[8:]), "hashes.sha256"),
    ("digest-line", "a line break after base64", _respell(lambda text: text + "\n"), "hashes.sha256"),
    (
        "digest-url-safe",
        "the other alphabet",
        _digest(base64(bytes([251] * 32)).replace("+", "-").replace("/", "_")),
        "hashes.sha256",
    ),
    (
        "digest-loose-bits",
        "bits after the end that are not zero",
        _respell(lambda text: text[:-2] + chr(ord(text[-2]) + 1) + "="),
        "hashes.sha256",
    ),
    ("digest-not-ascii", "letters that are not ASCII", _digest("\u00e9" * 44), "hashes.sha256"),
)


def _snapshot() -> Iterator[Fault]:
    def bad(name: str, comment: str, edit: Callable[[Json], object], path: str) -> Fault:
        return "snapshot", name, comment, edit, path

    for role in ("root", "targets"):
        yield bad(f"without-{role}", "it has to be listed", _without("meta", role), f"meta.{role}")
        edit = _listed(role, lambda entry: entry["hashes"].pop("sha256"))
        yield bad(f"{role}-sha512-only", "files are found by their sha256", edit, f"meta.{role}.hashes.sha256")
    yield bad(
        "entry-null", "null lists nothing", lambda signed: signed["meta"].update({RELEASES: None}), f"meta.{RELEASES}"
    )
    yield bad(
        "entry-negative-length",
        "a length is not negative",
        _listed(RELEASES, setting(length=-1)),
        f"meta.{RELEASES}.length",
    )
    yield bad("meta-null", "an object is due", setting(meta=None), "meta")
    yield bad("version-zero", "a version is an integer from 1 to 2^53", setting(version=0), "version")


def _root() -> Iterator[Fault]:
    def bad(name: str, comment: str, edit: Callable[[Json], object], path: str) -> Fault:
        return "root", name, comment, edit, path

    def of(role: str, **members: Any) -> Callable[[Json], object]:
        return lambda signed: signed["roles"][role].update(members)

    def key(**members: Any) -> Callable[[Json], object]:
        return lambda signed: signed["keys"][keyid].update(members)

    keyid = usual().keys["timestamp"][0].id
    for role in TOP:
        yield bad(
            f"without-{role}",
            "all four roles are due",
            _without("roles", role),
            f"roles.{role}",
        )
        yield bad(
            f"threshold-zero-{role}", "a threshold is at least 1", of(role, threshold=0), f"roles.{role}.threshold"
        )
    for name, value in (("negative", -1), ("absurd", 1 << 53), ("text", "1"), ("true", True), ("null", None)):
        yield bad(
            f"threshold-{name}", "nobody can meet it", of("timestamp", threshold=value), "roles.timestamp.threshold"
        )
    yield bad("role-null", "null is no role", lambda signed: signed["roles"].update(timestamp=None), "roles.timestamp")
    yield bad("keyids-null", "null is no list", of("timestamp", keyids=None), "roles.timestamp.keyids")
    yield bad("keyids-number", "a list of texts is due", of("timestamp", keyids=[1]), "roles.timestamp.keyids")
    yield bad(
        "keyids-unlisted",
        "it names a key that is not there",
        of("timestamp", keyids=["0" * 64]),
        "roles.timestamp.keyids",
    )
    yield bad("keys-null", "an object is due", setting(keys=None), "keys")
    yield bad("key-null", "null is no key", lambda signed: signed["keys"].update({keyid: None}), f"keys.{keyid}")
    yield bad(
        "key-without-kind",
        "the kind is missing",
        lambda signed: signed["keys"][keyid].pop("keytype"),
        f"keys.{keyid}.keytype",
    )
    yield bad("key-without-value", "null is no value", key(keyval=None), f"keys.{keyid}.keyval")
    private = {"private": base64(bytes(32)), "public": base64(bytes(32))}
    yield bad("key-private", "a private key has no place here", key(keyval=private), f"keys.{keyid}.keyval.private")
    public = {"private": None, "public": "no base64"}
    yield bad("key-not-base64", "it is not base64", key(keyval=public), f"keys.{keyid}.keyval.public")
    yield bad("key-in-capitals", "some readers take it for the kind", key(KeyType="rsa"), f"keys.{keyid}.KeyType")
    yield bad("consistent-missing", "it is always there", without("consistent_snapshot"), "consistent_snapshot")
    yield bad("consistent-text", "true or false is due", setting(consistent_snapshot="no"), "consistent_snapshot")
    yield bad("version-zero", "a version is an integer from 1 to 2^53", setting(version=0), "version")


def _targets() -> Iterator[Fault]:
    def bad(name: str, comment: str, edit: Callable[[Json], object], path: str) -> Fault:
        return "targets", name, comment, edit, path

    def part(**members: Any) -> Callable[[Json], object]:
        return lambda signed: signed["delegations"].update(members)

    yield from (
        bad(f"targets-{name}", "an object is due", setting(targets=odd), "targets") for name, odd in _NO_OBJECTS
    )
    yield bad("targets-missing", "an object is due", without("targets"), "targets")
    for name, odd in _NO_OBJECTS:
        yield bad(f"delegations-{name}", "an object is due", setting(delegations=odd), "delegations")
    yield bad("keys-null", "an object is due", part(keys=None), "delegations.keys")
    yield bad("keys-missing", "the keys are missing", lambda s: s["delegations"].pop("keys"), "delegations.keys")
    yield bad("roles-object", "a list is due", part(roles={}), "delegations.roles")
    yield bad("role-null", "null is no role", part(roles=[None]), "delegations.roles[0]")
    yield bad("role-twice", "one of them would have no effect", _twice, "delegations.roles")
    yield from (bad(name, comment, edit, f"delegations.roles[0].{path}") for name, comment, edit, path in _delegation())
    yield (
        RELEASES,
        "name-above",
        "it is no name of a role below this one",
        lambda signed: signed["delegations"]["roles"].append(Delegated("targets/other", []).spelled()),
        "delegations.roles[0].name",
    )


def _delegation() -> Iterator[Entry]:
    def role(**members: Any) -> Callable[[Json], object]:
        return lambda signed: signed["delegations"]["roles"][0].update(members)

    for name, odd in _OUTSIDE.items():
        yield f"name-{name}", "it is no name of a role below this one", role(name=odd), "name"
    for name, odd in (("zero", 0), ("null", None), ("absurd", 1 << 53)):
        yield f"threshold-{name}", "a threshold is at least 1", role(threshold=odd), "threshold"
    yield "keyids-unlisted", "it names a key that is not there", role(keyids=["0" * 64]), "keyids"
    yield "keyids-text", "a list is due", role(keyids="0" * 64), "keyids"
    yield "paths-text", "a list is due", role(paths=""), "paths"
    yield "paths-number", "a list of texts is due", role(paths=[1]), "paths"
    yield "paths-in-capitals", "some readers take it for the paths", role(Paths=[""]), "Paths"


def _target_entries() -> Iterator[Fault]:
    """Yield what may be wrong with an entry of targets, which shows when it is asked for."""
    short = {"sha256": base64(bytes(32)), "sha512": base64(bytes(63))}
    odd = {"float": {"a": [0.5]}, "beyond": {"a": [(1 << 53) + 1]}}
    entries: list[Entry] = [entry for entry in _ENTRIES if "sha512" not in entry[0]]
    entries.append(("sha512-short", "63 bytes are no sha512", setting(hashes=short), "hashes.sha512"))
    for name, custom in odd.items():
        entries.append(
            (f"custom-{name}", "a number that not every reader can hold", setting(custom=custom), "custom.a")
        )
    for name, comment, edit, path in entries:
        bent_entry = partial(_in_target, edit)
        yield RELEASES, f"entry-{name}", comment, bent_entry, f"targets.v1.{path}"
    yield RELEASES, "entry-null", "null lists nothing", lambda signed: signed["targets"].update(v1=None), "targets.v1"


def _in_target(edit: Callable[[Json], object], signed: Json) -> None:
    edit(signed["targets"]["v1"])


def _without(*path: str | int) -> Callable[[Json], object]:
    """Take out what stands at *path*."""

    def edit(value: Any) -> object:
        for step in path[:-1]:
            value = value[step]
        return value.pop(path[-1])

    return edit


def _twice(signed: Json) -> None:
    signed["delegations"]["roles"] *= 2


_NO_OBJECTS: Final[tuple[tuple[str, Any], ...]] = (("null", None), ("list", []), ("text", "v1"))
_OUTSIDE: Final[dict[str, Any]] = {
    "targets": "targets",
    "root": "root",
    "two-levels": "targets/releases/nightly",
    "other": "other/releases",
    "climbing": "targets/../root",
    "in-capitals": "targets/Releases",
    "blank": "targets/a b",
    "slash": "targets/releases/",
    "empty": "",
    "number": 1,
    "long": "targets/" + "a" * 248,
    "line-after": "targets/releases\n",
}


def _envelopes() -> Iterator[Entry]:
    yield "signed-missing", "nothing is signed", lambda env: env.pop("signed"), "signed"
    yield "signed-null", "nothing is signed", lambda env: env.update(signed=None), "signed"
    yield "signed-list", "an object is due", lambda env: env.update(signed=[env["signed"]]), "signed"
    yield "signed-in-capitals", "some readers take it for what is signed", lambda env: env.update(Signed={}), "Signed"
    yield (
        "signed-long-s",
        "some readers take U+017F for an s",
        lambda env: env.update({"\u017figned": {}}),
        "\u017figned",
    )
    yield "signatures-missing", "a list is due", lambda env: env.pop("signatures"), "signatures"
    for name, value in (("null", None), ("object", {}), ("number", 5), ("text", "none")):
        yield f"signatures-{name}", "a list is due", partial(_update, "signatures", value), "signatures"
    none: Final[tuple[tuple[str, Any], ...]] = (("null", None), ("text", "sig"), ("list", []))
    for name, value in none:
        yield f"signature-{name}", "an object is due", partial(_update, "signatures", [value]), "signatures[0]"
    for member in ("keyid", "method", "sig"):
        where = f"signatures[0].{member}"
        yield f"{member}-missing", "it is missing", _without("signatures", 0, member), where
        yield f"{member}-number", "a text is due", signing(member, 1), where
        yield f"{member}-null", "a text is due", signing(member, None), where
    yield "keyid-in-capitals", "some readers take it for the id", signing("KeyID", "0"), "signatures[0].KeyID"
    yield "sig-not-base64", "it is not base64", signing("sig", "?"), "signatures[0].sig"
    yield (
        "sig-unpadded",
        "base64 without its padding",
        lambda env: signing("sig", env["signatures"][0]["sig"][:-1])(env),
        "signatures[0].sig",
    )
    yield (
        "signatures-257",
        "more than anybody needs",
        lambda env: env.update(signatures=env["signatures"] * 257),
        "signatures",
    )


def _update(member: str, value: Any, envelope: Json) -> None:
    envelope[member] = value
