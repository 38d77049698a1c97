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

    orjson does the work; what it escapes and canonical JSON does not is put back.

    Raises:
        ValueError: *value* has no canonical form: floats, integers beyond 64 bits, lone surrogates, or nesting
            deeper than orjson goes (254).
    """
    try:
        out = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as exc:  # orjson.JSONEncodeError is one
        raise ValueError(str(exc)) from exc
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
        msg = "nested too deeply"
        raise ValueError(msg) from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"member {twice!r} stands twice"
        raise ValueError(msg)
    return members


def _no_float(text: str) -> NoReturn:
    msg = f"{text} is not an integer"
    raise ValueError(msg)


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > LARGEST_INTEGER:
        msg = f"{text[:20]} is beyond 2^53"
        raise ValueError(msg)
    return number


def _raw(escape: re.Match[bytes]) -> bytes:
    text = escape[0]
    if text[1:2] in b'"\\':
        return text
    return _SHORT.get(text) or bytes([int(text[-4:], 16)])


LARGEST_INTEGER = 2**53  # what a double holds exactly; Go reads numbers through one
_ESCAPE = re.compile(rb'\\(?:["\\]|[bfnrt]|u00[01][0-9a-f])')
_SHORT = {rb"\b": b"\b", rb"\f": b"\f", rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t"}
