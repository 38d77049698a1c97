"""Write vectors/canonical: what signatures cover, beside what was sent, and what nobody may read.

The expectations come from securesystemslib's reference encoder.

    python -m vectors.make.canonical [FOLDER]
"""

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, Final, TypeAlias

from securesystemslib.formats import encode_canonical

Table: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parent.parent / "canonical"
SOURCE: Final = "OLPC canonical JSON as TUF uses it; docker/go canonical/json; RFC 8259"


def make() -> dict[str, Table]:
    """Return the tables by name."""
    values = [{"comment": comment, "sent": sent, "canonical": _canonical(sent)} for comment, sent in VALUES]
    refusals = [{"comment": comment, "sent": _shown(sent)} for comment, sent in REFUSALS]
    return {
        "values": {"comment": "texts and their canonical form", "source": SOURCE, "cases": values},
        "refusals": {"comment": "texts that have no canonical form", "source": SOURCE, "cases": refusals},
    }


def text(table: Table) -> str:
    """Return *table* as its file has it."""
    return json.dumps(table, indent=2, ensure_ascii=True) + "\n"


def main(folder: Path) -> None:
    """Write the tables into *folder*, and remove those that are made no more."""
    tables = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in tables:
            stale.unlink()
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(text(table), "utf-8")


def _canonical(sent: str) -> str:
    return str(encode_canonical(json.loads(sent)))


def _shown(sent: bytes) -> str | dict[str, str]:
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(sent).decode()}


VALUES: Final = (
    ("an empty object", "{}"),
    ("an empty list", "[]"),
    ("an empty text", '""'),
    ("null, true and false", "[null,true,false]"),
    ("blanks say nothing", ' {\t"a" :\r\n[ 1 , 2 ] } \n'),
    ("names in order", '{"b":1,"a":2,"":3,"B":4}'),
    ("names inside as well", '{"z":{"y":1,"x":[{"w":1,"v":2}]}}'),
    ("a shorter name before one that begins with it", '{"ab":1,"a":2,"a-":3,"a.b":4}'),
    ("digits as text, not as numbers", '{"10":1,"9":2}'),
    (
        "names by code point: U+FFFF before U+10000, where UTF-16 has it the other way round",
        '{"\U00010000":1,"\uffff":2}',
    ),
    ("names by code point: U+E000 before U+1F600", '{"\U0001f600":1,"\ue000":2,"z":3}'),
    ("zero", "0"),
    ("zero has no sign", "-0"),
    ("a negative number", "-17"),
    ("the largest number", "9007199254740992"),
    ("the smallest number", "-9007199254740992"),
    ("quotes and backslashes stay escaped", r'"\"\\"'),
    ("a slash does not", r'"\/"'),
    ("what is escaped without need", r'"\u0041\u00e9\ud83d\ude00"'),
    ("control characters stand raw", r'"\b\f\n\r\t\u0000\u0001\u001f"'),
    ("U+007F and U+0080 stand raw", '"\\u007f\\u0080"'),
    ("line separators stand raw", r'"\u2028\u2029"'),
    ("what Go escapes on the wire stands raw", r'"\u0026\u003c\u003e"'),
    ("backslashes before letters that escape", r'"\\n\\u0041\\\\n"'),
    ("a backslash at the end", r'"a\\"'),
    ("an escaped backslash and an escape", r'"\\\n\\\u000a"'),
    ("names with control characters", '{"a\\nb":1,"a\\tb":2,"a\\"b":3}'),
    ("nothing is composed: one character or two", '["\u00e9","e\u0301"]'),
    ("the highest code point", '"\U0010ffff"'),
    ("U+FEFF inside a text", '"\ufeff"'),
    ("lists keep their order", "[3,1,2,[2,1]]"),
    ("a key as Notary has it", '{"keyval":{"public":"AA==","private":null},"keytype":"ed25519"}'),
    ("two hundred lists", "[" * 200 + "]" * 200),
)
REFUSALS: Final = (
    ("nothing", b""),
    ("blanks", b"  "),
    ("two values", b"{} {}"),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
    ("a byte that is not UTF-8", b'"\xff"'),
    ("an overlong encoding", b'"\xc0\xaf"'),
    ("a surrogate in UTF-8", b'"\xed\xa0\x80"'),
    ("UTF-16", "{}".encode("utf-16")),
    ("half a surrogate pair", rb'"\ud800"'),
    ("the other half", rb'"\udc00"'),
    ("a pair in the wrong order", rb'"\ude00\ud83d"'),
    ("half a pair as a name", rb'{"\ud800":1}'),
    ("a raw control character", b'"\n"'),
    ("a raw zero", b'"\x00"'),
    ("an escape that is none", rb'"\x41"'),
    ("a cut escape", rb'"\u00"'),
    ("a float", b"1.5"),
    ("a float that is an integer", b"1.0"),
    ("an exponent", b"1e3"),
    ("a negative zero as a float", b"-0.0"),
    ("2^53 + 1", b"9007199254740993"),
    ("-(2^53) - 1", b"-9007199254740993"),
    ("2^64", b"18446744073709551616"),
    ("a number of five thousand digits", b"9" * 5000),
    ("a zero before a number", b"01"),
    ("a plus", b"+1"),
    ("a lone minus", b"-"),
    ("not a number", b"NaN"),
    ("infinity", b"Infinity"),
    ("a member twice", b'{"a":1,"a":1}'),
    ("a member twice, once escaped", rb'{"a":1,"\u0061":2}'),
    ("a member twice, further down", b'[{"x":[{"a":1,"b":2,"a":3}]}]'),
    ("a comma before the end", b"[1,]"),
    ("a comma before the end of an object", b'{"a":1,}'),
    ("a missing comma", b"[1 2]"),
    ("a missing colon", b'{"a" 1}'),
    ("a name that is no text", b"{1:2}"),
    ("single quotes", b"'a'"),
    ("a comment", b"[1/**/]"),
    ("an unfinished list", b"["),
    ("an unfinished text", b'"a'),
    ("True is not true", b"True"),
    ("three hundred lists", b"[" * 300 + b"]" * 300),
    ("two thousand lists", b"[" * 2000 + b"]" * 2000),
)

if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
