r"""Canonical JSON: the one spelling of a value that signatures cover.

Object keys sorted, no blanks, and of all characters only ``"`` and ``\`` escaped, so control characters stand
raw. Source: OLPC canonical JSON as TUF uses it; docker/go ``canonical/json``.
"""

import json
import re
from typing import Any, NoReturn

import orjson


def encode(value: Any) -> bytes:
    """Return the canonical form of parsed JSON *value*.

    orjson does the work; what it escapes and canonical JSON does not is put back. Numbers are written as they are:
    :func:`require_plain` judges them.

    Raises:
        ValueError: *value* has no canonical form: integers beyond 64 bits, lone surrogates, or nesting deeper than
            orjson goes (254).
    """
    try:
        out = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as exc:  # orjson.JSONEncodeError is one
        raise ValueError(str(exc)) from exc
    return unescaped(out)


def unescaped(out: bytes) -> bytes:
    """Return what an encoder wrote with only those escapes left that canonical JSON has."""
    return _ESCAPE.sub(_raw, out) if b"\\" in out else out


def parse(raw: bytes) -> Any:
    """Read JSON leniently and fast: the caller proves the reading by encoding it again, or reads strictly.

    Raises:
        ValueError: This is not JSON, not UTF-8, or nested too deeply.
    """
    return orjson.loads(raw)


def parse_strictly(raw: bytes) -> Any:
    """Read JSON with one meaning only.

    Raises:
        ValueError: This is not JSON, an object names a member twice, or a number is no integer that every
            implementation can hold.
    """
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def texts(raw: bytes) -> int:
    """Return how many strings stand in *raw*, which is JSON, canonical or not.

    A parser that takes the last of two members of one name drops at least the name of the other: who parses *raw* and
    encodes it again with as many strings has proof that no name stood twice.
    """
    return (_ESCAPED.sub(b"", raw) if b"\\" in raw else raw).count(b'"') // 2


def require_plain(value: Any) -> None:
    """Require that every implementation reads the numbers in *value* alike.

    Raises:
        ValueError: There is a float, or an integer beyond 2^53.
    """
    way = unplain(value)
    if way is not None:
        raise ValueError(f"{'.'.join(way) or 'the value'} {NOT_PLAIN}")


def unplain(value: Any) -> tuple[str, ...] | None:
    """Return the member names that lead to the first number that is not plain, or ``None``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            kind = type(inner)  # most are texts and small integers, and there may be ten thousands of them
            if kind is str or (kind is int and -LARGEST_INTEGER <= inner <= LARGEST_INTEGER):
                continue
            if (way := unplain(inner)) is not None:
                return (name, *way)
    elif isinstance(value, list | tuple):
        return next((way for inner in value if (way := unplain(inner)) is not None), None)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > LARGEST_INTEGER):
        return ()
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"member {name[:80]!r} stands twice")
            seen.add(name)
    return members


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} {NOT_PLAIN}")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > LARGEST_INTEGER:
        raise ValueError(f"{text[:20]} {NOT_PLAIN}")
    return number


def _raw(escape: re.Match[bytes]) -> bytes:
    text = escape[0]
    if text[1:2] in b'"\\':
        return text
    return _SHORT.get(text) or bytes([int(text[-4:], 16)])


LARGEST_INTEGER = 2**53  # what a double holds exactly; Go reads numbers through one
NOT_PLAIN = "is not an integer that every reader can hold"
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_ESCAPE = re.compile(rb'\\(?:["\\]|[bfnrt]|u00[01][0-9a-f])')
_SHORT = {rb"\b": b"\b", rb"\f": b"\f", rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t"}
