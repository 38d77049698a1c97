"""What is no JSON, or has more than one meaning."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vectors.make.scenario import (
    Named,
    bent,
    case,
    malformed,
    setting,
)

SOURCE: Final = "RFC 8259; one meaning for every reader"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    yield from _documents()
    yield from _texts()
    yield from _numbers()
    yield from _doubles()


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
    yield _noted("comment", "a comment", b'"?"/* ? */')
    yield _noted("trailing-comma", "a comma before the end", b"[1,]")
    yield _noted("deep", "lists in lists, three hundred deep", b"[" * 300 + b"]" * 300)
    yield _noted("deeper", "lists in lists, three thousand deep", b"[" * 3000 + b"]" * 3000)
    yield _noted("deep-and-cut", "lists in lists that never end", b"[" * 30000)


def _texts() -> Iterator[Named]:
    yield _noted("not-utf-8", "a byte that is not UTF-8", b'"\xff"')
    yield _noted("overlong", "a slash written in two bytes", b'"\xc0\xaf"')
    yield _noted("surrogate-bytes", "half a character in UTF-8", b'"\xed\xa0\x80"')
    yield _noted("surrogate-escape", "half a character as an escape", b'"\\ud800"')
    yield _noted("control-character", "a line break inside a text", b'"\n"')
    yield _noted("bad-escape", "an escape that is none", b'"\\x41"')
    yield _noted("single-quotes", "a text in single quotes", b"'?'")


def _numbers() -> Iterator[Named]:
    version = b'"version":1'
    for name, number in (("exponent", b"1e0"), ("zero-first", b"01"), ("plus", b"+1"), ("hexadecimal", b"0x1")):
        odd = _swap(version, b'"version":' + number)
        yield _refused(f"number-{name}", "a version written in another way", odd)
    comment = "1.0 is 1 to some readers; here it is no integer"
    yield _refused("number-point", comment, _swap(version, version + b".0"), "signed.version")
    for name, number in (("nan", b"NaN"), ("infinity", b"-Infinity"), ("endless", b"9" * 400)):
        yield _noted(f"number-{name}", "a number that not every reader has", number)
    for name, number in (("float", b"1.5"), ("integral-float", b"1.0"), ("beyond", b"9007199254740993")):
        comment = "a number that not every reader can hold, in a member that nobody knows"
        yield _noted(f"number-unknown-{name}", comment, number, "signed.x-note")


def _doubles() -> Iterator[Named]:
    for name, old, new in (
        ("version", b'"version":1', b'"version":1,"version":1'),
        ("escaped", b'"version":1', b'"version":1,"\\u0076ersion":1'),
        ("signed", b',"signatures"', b',"signed":{},"signatures"'),
        ("signatures", b',"signatures":[', b',"signatures":[],"signatures":['),
        ("keyid", b'[{"keyid":', b'[{"keyid":"","keyid":'),
        ("digest", b'"hashes":{', b'"hashes":{"sha256":"",'),
    ):
        yield _refused(f"member-twice-{name}", "a member stands twice", _swap(old, new))


def _refused(name: str, comment: str, rewrite: Callable[[bytes], bytes], path: str = "", **how: Any) -> Named:
    published = bent("timestamp", rewrite=rewrite, **how).publish()
    return case(f"json-{name}", comment, SOURCE, published, malformed("timestamp", path), at="timestamp")


def _noted(name: str, comment: str, value: bytes, path: str = "") -> Named:
    """Put *value* where a signed member nobody knows has its text."""
    return _refused(name, comment, _swap(b'"?"', value), path, edit=setting(**{"x-note": "?"}))


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def rewrite(file: bytes) -> bytes:
        if file.count(old) != 1:
            raise ValueError(old)
        return file.replace(old, new)

    return rewrite
