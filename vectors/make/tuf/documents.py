"""What is no JSON, has more than one meaning, or has members of the wrong kind."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vectors.make.tuf.delegations import malformed_delegations
from vectors.make.tuf.keys import Json
from vectors.make.tuf.scenario import ROLES, TOP, Named, bent, case, found, malformed, setting, slug, where

STRICT: Final = "RFC 8259; one meaning for every reader"
FORMAT: Final = "TUF 1.0.34 section 4"
Edit = Callable[[Json], Any]


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _documents()
    yield from _texts()
    yield from _twice()
    yield from _types()
    yield from _versions()
    for role, name, comment, edit, path in (*_common(), *_root(), *_lists(), *_targets()):
        published = bent(role, edit=edit).publish()
        expect = malformed(role, f"signed.{path}")
        at = ["keep", ["releases"]] if role == "releases" and path.startswith("targets.") else where(role)
        yield case(f"format-{slug(role)}-{name}", comment, FORMAT, published, expect, at=at)
    yield from malformed_delegations()


def _refused(name: str, comment: str, rewrite: Callable[[bytes], bytes], path: str = "") -> Named:
    published = bent("timestamp", rewrite=rewrite).publish()
    return case(f"json-{name}", comment, STRICT, published, malformed("timestamp", path), at="timestamp")


def _documents() -> Iterator[Named]:
    yield _refused("empty", "there is nothing", lambda _: b"")
    yield _refused("blank", "there are blanks", lambda _: b" \n")
    yield _refused("cut", "the last brace is missing", lambda file: file[:-1])
    yield _refused("goes-on", "something follows", lambda file: file + b"x")
    yield _refused("twice", "it stands there twice", lambda file: file + file)
    yield _refused("page", "a page of some proxy", lambda _: b"<html><body>sign in</body></html>")
    yield _refused("byte-order-mark", "it begins with a byte order mark", lambda file: b"\xef\xbb\xbf" + file)
    yield _refused("utf-16", "it is written in UTF-16", lambda file: file.decode().encode("utf-16"))
    yield _refused("nul", "a zero byte follows", lambda file: file + b"\x00")
    yield _refused("is-list", "it is no object", lambda _: b"[]")
    yield _refused("is-text", "it is no object", lambda _: b'"signed"')
    yield _refused("is-number", "it is no object", lambda _: b"1")
    yield _refused("is-null", "it is no object", lambda _: b"null")
    yield _refused("deep", "lists in lists that never end", lambda _: b"[" * 30000)
    yield _noted("comment", "a comment", b'"?"/* ? */')
    yield _noted("trailing-comma", "a comma before the end", b"[1,]")


def _noted(name: str, comment: str, value: bytes) -> Named:
    """Return a vector in which *value* is a member that nobody knows: text that could not be signed."""
    return _refused(name, comment, _swap(b'"spec_version"', b'"x-note":' + value + b',"spec_version"'))


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda file: file.replace(old, new, 1)


def _texts() -> Iterator[Named]:
    yield _noted("not-utf-8", "a byte that is not UTF-8", b'"\xff"')
    yield _noted("overlong", "a slash written in two bytes", b'"\xc0\xaf"')
    yield _noted("surrogate-bytes", "half a character in UTF-8", b'"\xed\xa0\x80"')
    yield _noted("surrogate-escape", "half a character as an escape", b'"\\ud800"')
    yield _noted("control-character", "a raw line break inside a text", b'"\n"')
    yield _noted("bad-escape", "an escape that is none", b'"\\x41"')
    yield _noted("single-quotes", "a text in single quotes", b"'?'")
    yield _noted("nan", "a number that not every reader has", b"NaN")
    yield _noted("infinity", "a number that not every reader has", b"-Infinity")
    for name, value in (("float", 1.5), ("integral-float", 1.0), ("beyond", 2**53 + 1), ("negative", -(2**53) - 1)):
        comment = "a number that not every reader can hold, in a member that nobody knows"
        published = bent("timestamp", edit=setting(**{"x-note": value})).publish()
        yield case(f"json-number-{name}", comment, STRICT, published, malformed("timestamp", ""), at="timestamp")


def _twice() -> Iterator[Named]:
    def twice(name: str, comment: str, old: bytes, more: bytes) -> Named:
        return _refused(f"member-twice-{name}", comment, _swap(old, more + b"," + old))

    comment = "a member stands twice: readers differ in which one they take"
    yield twice("version", comment, b'"version":', b'"version":9')
    yield twice("same-value", f"{comment}, and here it is the same", b'"version":', b'"version":1')
    yield twice("escaped", f"{comment}; once it is escaped", b'"version":', b'"\\u0076ersion":9')
    yield twice("signed", comment, b'"signed":', b'"signed":{}')
    yield twice("signatures", comment, b'"signatures":', b'"signatures":[]')
    yield twice("keyid", comment, b'"keyid":', b'"keyid":"x"')
    yield twice("further-down", comment, b'"sha256":', b'"sha256":"00"')
    yield twice("unknown", f"{comment}; nobody knows it", b'"version":', b'"x-note":1,"x-note":1')


def _types() -> Iterator[Named]:
    for role in ROLES:
        kind = role if role in TOP else "targets"
        for other in (*TOP, kind.title(), None):
            if other != kind:
                name = f"type-{slug(role)}-{'in-capitals' if other == kind.title() else other or 'none'}"
                published = bent(role, edit=setting(_type=other)).publish()
                expect = malformed(role, "signed._type")
                comment = "it says that it is something else"
                yield case(name, comment, FORMAT, published, expect, at=where(role))
        published = bent(role, edit=lambda signed: signed.pop("_type")).publish()
        comment = "it does not say what it is"
        yield case(
            f"type-{slug(role)}-missing", comment, FORMAT, published, malformed(role, "signed._type"), at=where(role)
        )


def _versions() -> Iterator[Named]:
    for name, version in (("1.0", "1.0"), ("1.0.0", "1.0.0"), ("1.99.99", "1.99.99")):
        for role in ("root", "timestamp"):
            published = bent(role, edit=setting(spec_version=version)).publish()
            comment = f"version {version} of the specification"
            source = "TUF 1.0.34 section 4.3 and 6.1; 1.0 exists in the wild"
            yield case(f"spec-version-{name}-{slug(role)}", comment, source, published, found(published))
    for name, other in (
        ("2.0.0", "2.0.0"),
        ("0.9", "0.9"),
        ("10.0", "10.0"),
        ("1", "1"),
        ("four-numbers", "1.0.0.0"),
        ("blank", "1.0 "),
        ("letters", "1.x"),
        ("other-digits", "1.\u0660"),
        ("empty", ""),
        ("number", 1),
        ("null", None),
    ):
        for role in ("root", "timestamp"):
            published = bent(role, edit=setting(spec_version=other)).publish()
            expect = malformed(role, "signed.spec_version")
            comment = "a version of the specification that this reader does not know, or none"
            name_ = f"spec-version-{name}-{slug(role)}"
            yield case(name_, comment, "TUF 1.0.34 section 6.1", published, expect, at=where(role))


def _common() -> Iterator[tuple[str, str, str, Edit, str]]:
    for role in ROLES:
        for name, value in VERSIONS.items():
            yield role, f"version-{name}", "a version is an integer of at least 1", setting(version=value), "version"
        for member in ("version", "expires", "spec_version"):
            yield role, f"{member.replace('_', '-')}-missing", "it is missing", _without(member), member
        body = {"root": ["keys", "roles"], "releases": ["targets"], "targets": ["targets"]}.get(role, ["meta"])
        for member in body:
            yield role, f"{member}-missing", "it is missing", _without(member), member
            yield role, f"{member}-null", "it is null", setting(**{member: None}), member
            yield role, f"{member}-list", "it is a list", setting(**{member: []}), member
    for name, value in EXPIRES.items():
        yield "timestamp", f"expires-{name}", "this is no time", setting(expires=value), "expires"


def _without(member: str) -> Edit:
    return lambda signed: signed.pop(member)


def _root() -> Iterator[tuple[str, str, str, Edit, str]]:
    def bad(name: str, comment: str, edit: Edit, path: str) -> tuple[str, str, str, Edit, str]:
        return "root", name, comment, edit, path

    for role in TOP:
        yield bad(f"without-{role}", f"there is no role {role}", _role(role, None), f"roles.{role}")
        for name, threshold in (("zero", 0), ("negative", -1), ("true", True), ("text", "1"), ("null", None)):
            path = f"roles.{role}.threshold"
            comment = "a threshold is an integer of at least 1"
            yield bad(f"threshold-{name}-{role}", comment, _role(role, threshold=threshold), path)
        path = f"roles.{role}.keyids"
        yield bad(f"keyids-null-{role}", "no key ids", _role(role, keyids=None), path)
        yield bad(f"keyids-text-{role}", "key ids are a text", _role(role, keyids="a"), path)
        yield bad(f"keyids-numbers-{role}", "key ids are numbers", _role(role, keyids=[1]), path)
        yield bad(f"keyids-twice-{role}", "a key id stands twice", _role(role, keyids=["a", "a"]), path)
    for name, key, path in (
        ("number", 1, ""),
        ("empty", {}, ".keytype"),
        ("no-scheme", {"keytype": "ed25519", "keyval": {"public": ""}}, ".scheme"),
        ("scheme-null", {"keytype": "ed25519", "scheme": None, "keyval": {"public": ""}}, ".scheme"),
        ("keytype-number", {"keytype": 1, "scheme": "ed25519", "keyval": {"public": ""}}, ".keytype"),
        ("no-keyval", {"keytype": "ed25519", "scheme": "ed25519"}, ".keyval"),
        ("keyval-text", {"keytype": "ed25519", "scheme": "ed25519", "keyval": "00"}, ".keyval"),
    ):
        comment = "a key that is spelled as none"
        yield bad(f"key-{name}", comment, _key(key), f"keys.odd{path}")
    for name, flag in (("text", "true"), ("null", None), ("number", 1)):
        comment = "whether snapshots are consistent is true or false"
        yield bad(f"consistent-{name}", comment, setting(consistent_snapshot=flag), "consistent_snapshot")


def _key(key: Any) -> Edit:
    return lambda signed: signed["keys"].update(odd=key)


def _role(role: str, value: Any = "", **members: Any) -> Edit:
    if members:
        return lambda signed: signed["roles"][role].update(members)
    return lambda signed: signed["roles"].pop(role) if value is None else None


def _lists() -> Iterator[tuple[str, str, str, Edit, str]]:
    for role, listed in (("timestamp", "snapshot.json"), ("snapshot", "targets.json")):

        def bad(name: str, comment: str, value: Any, path: str) -> tuple[str, str, str, Edit, str]:
            edit = _entry(listed, value)  # noqa: B023 # called at once
            return role, f"entry-{name}", comment, edit, f"meta.{listed}{path}"  # noqa: B023

        usual = {"version": 1}
        yield bad("null", "what is listed is null", None, "")
        yield bad("number", "what is listed is a number", 1, "")
        yield bad("empty", "what is listed has no version", {}, ".version")
        for name, version in VERSIONS.items():
            yield bad(f"version-{name}", "a version is an integer of at least 1", {"version": version}, ".version")
        for name, length in (("negative", -1), ("true", True), ("text", "1"), ("null", None)):
            yield bad(f"length-{name}", "a length is an integer of at least 0", {**usual, "length": length}, ".length")
        for name, hashes in (("null", None), ("empty", {}), ("list", [])):
            yield bad(f"hashes-{name}", "hashes that are none", {**usual, "hashes": hashes}, ".hashes")
        for name, digest in DIGESTS.items():
            comment = "a digest is 64 hex digits"
            yield bad(f"digest-{name}", comment, {**usual, "hashes": {"sha256": digest}}, ".hashes.sha256")
    comment = "the timestamp lists nothing"
    yield "timestamp", "meta-empty", comment, setting(meta={}), "meta.snapshot.json"
    comment = "names of files end in .json"
    edit: Edit = lambda signed: signed["meta"].update(releases={"version": 1})  # noqa: E731
    yield "snapshot", "name-without-ending", comment, edit, "meta.releases"


def _entry(listed: str, value: Any) -> Edit:
    return lambda signed: signed["meta"].update({listed: value})


def _targets() -> Iterator[tuple[str, str, str, Edit, str]]:
    usual: Json = {"length": 1, "hashes": {"sha256": "00" * 32}}
    for name, comment, value, path in (
        ("null", "the target is null", None, ""),
        ("empty", "the target has no length", {}, ".length"),
        ("length-negative", "a length below zero", {**usual, "length": -1}, ".length"),
        ("length-float", "a length that is no integer", {**usual, "length": 1.0}, ".length"),
        ("length-true", "a length of true", {**usual, "length": True}, ".length"),
        ("length-null", "a length of null", {**usual, "length": None}, ".length"),
        ("hashes-missing", "a target without digests", {"length": 1}, ".hashes"),
        ("hashes-empty", "a target without digests", {**usual, "hashes": {}}, ".hashes"),
        *(
            (f"digest-{n}", "a digest is 64 hex digits", {**usual, "hashes": {"sha256": d}}, ".hashes.sha256")
            for n, d in DIGESTS.items()
        ),
        ("custom-float", "a number that not every reader can hold", {**usual, "custom": {"a": 1.5}}, ".custom.a"),
    ):
        edit: Edit = lambda signed, value=value: signed["targets"].update({"app/v1": value})  # type: ignore[misc] # noqa: E731
        yield "releases", f"target-{name}", comment, edit, f"targets.app/v1{path}"


VERSIONS: Final[dict[str, Any]] = {
    "zero": 0,
    "negative": -1,
    "true": True,
    "text": "1",
    "null": None,
    "list": [1],
}
DIGESTS: Final[dict[str, Any]] = {
    "short": "00" * 31,
    "long": "00" * 33,
    "odd": "0" * 63,
    "base64": "A" * 43 + "=",
    "not-ascii": "\u0660" * 64,
    "number": 0,
    "null": None,
}
EXPIRES: Final[dict[str, Any]] = {
    "date": "2030-01-01",
    "blank": "2030-01-01 00:00:00Z",
    "no-zone": "2030-01-01T00:00:00",
    "small-letters": "2030-01-01t00:00:00z",
    "february-30": "2030-02-30T00:00:00Z",
    "month-13": "2030-13-01T00:00:00Z",
    "hour-24": "2030-01-01T24:00:00Z",
    "second-60": "2030-01-01T00:00:60Z",
    "year-0": "0000-01-01T00:00:00Z",
    "five-digits": "12030-01-01T00:00:00Z",
    "other-digits": "203\u0660-01-01T00:00:00Z",
    "line-after": "2030-01-01T00:00:00Z\n",
    "empty-fraction": "2030-01-01T00:00:00.Z",
    "offset-without-colon": "2030-01-01T00:00:00+0000",
    "offset-of-a-day": "2030-01-01T00:00:00+24:00",
    "number": 1893456000,
    "null": None,
    "list": [],
}
