"""The Notary v1 spelling: what is written is read as what was meant, and is what Go would write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property import strategies
from trustreg.dialects.notary1 import Notary1, exact
from trustreg.errors import FormatError
from trustreg.metadata import Signature, Signed
from vectors.make.collection import Collection, Delegated, target
from vectors.make.material import raw

Model: TypeAlias = tuple[str, Signed]
DIALECT = Notary1()


def written(model: Model, signatures: tuple[Signature, ...] = ()) -> bytes:
    """Return the file of *model*."""
    return DIALECT.encode(DIALECT.payload(model[1]), signatures)


@given(strategies.models, strategies.signatures)
def test_what_is_written_is_read_as_what_was_meant(model: Model, signatures: tuple[Signature, ...]) -> None:
    """
    The same model, the same signed bytes, the same signatures.
    """
    role, signed = model
    raw = written(model, signatures)

    claim = DIALECT.decode(role, raw)

    assert claim.signed == signed
    assert claim.payload == DIALECT.payload(signed)
    assert claim.signatures == signatures
    assert claim.raw == raw


@given(strategies.models, strategies.signatures)
def test_what_is_read_is_written_as_it_was(model: Model, signatures: tuple[Signature, ...]) -> None:
    """
    Reading and writing again changes no byte.
    """
    raw = written(model, signatures)
    claim = DIALECT.decode(model[0], raw)

    assert DIALECT.encode(DIALECT.payload(claim.signed), claim.signatures) == raw


@given(strategies.mirrored_models, strategies.signatures)
def test_what_is_written_is_what_go_would_write(model: Model, signatures: tuple[Signature, ...]) -> None:
    """
    All that Go can sign again passes.
    """
    exact(model[0], written(model, signatures))


@given(strategies.models, strategies.signatures)
def test_a_loose_spelling_means_the_same(model: Model, signatures: tuple[Signature, ...]) -> None:
    """
    Order, blanks and escapes are not signed.
    """
    role, signed = model
    document = json.loads(written(model, signatures))
    loose = json.dumps({name: document[name] for name in reversed(document)}, indent=1).encode()

    claim = DIALECT.decode(role, loose)

    assert claim.signed == signed
    assert claim.payload == DIALECT.payload(signed)
    assert claim.raw == loose


Change: TypeAlias = Callable[[dict[str, Any]], object]


def respelled(change: Change, **how: Any) -> Callable[[bytes], bytes]:
    """Return what changes the parsed file, and spells it as usual otherwise."""

    def respell(raw: bytes) -> bytes:
        document = json.loads(raw)
        change(document)
        options: dict[str, Any] = {"separators": (",", ":"), "ensure_ascii": False, **how}
        text = json.dumps(document, **options)
        for character in strategies.SENT_OTHERWISE if how.get("ensure_ascii", False) is False else "":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text.encode()

    return respell


def _first_signature(**members: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        if document["signatures"]:
            document["signatures"][0].update(members)

    return change


def _shout(document: dict[str, Any]) -> None:
    for signature in document["signatures"]:
        signature["method"] = signature["method"].upper()


def _turn_signatures(document: dict[str, Any]) -> None:
    document["signatures"] = [dict(reversed(signature.items())) for signature in document["signatures"]]


def _turn(document: dict[str, Any]) -> None:
    signed, signatures = document.pop("signed"), document.pop("signatures")
    document.update(signatures=signatures, signed=signed)


def _keys(document: dict[str, Any]) -> list[dict[str, Any]]:
    signed = document["signed"]
    return [*signed.get("keys", {}).values(), *signed.get("delegations", {}).get("keys", {}).values()]


def _each_key(change: Change) -> Change:
    return lambda document: [change(key) for key in _keys(document)]


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [*document["signed"].get("meta", {}).values(), *document["signed"].get("targets", {}).values()]


def _each_entry(change: Change) -> Change:
    return lambda document: [change(entry) for entry in _entries(document)]


def _each_role(change: Change) -> Change:
    def each(document: dict[str, Any]) -> None:
        signed = document["signed"]
        for role in [*signed.get("roles", {}).values(), *signed.get("delegations", {}).get("roles", [])]:
            change(role)

    return each


def _expires(spell: Callable[[str], str]) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["signed"]["expires"] = spell(document["signed"]["expires"])

    return change


def _whole(text: str) -> str:
    return text.partition(".")[0].removesuffix("Z")


INEXACT: dict[str, Callable[[bytes], bytes]] = {
    "a line break after": lambda raw: raw + b"\n",
    "a blank before": lambda raw: b" " + raw,
    "a blank inside": lambda raw: raw.replace(b":", b": ", 1),
    "indented": respelled(lambda _: None, indent=1),
    "signatures first": respelled(_turn),
    "not in order": respelled(lambda d: d.update(signed=dict(sorted(d["signed"].items(), reverse=True)))),
    "signature not in order": respelled(_turn_signatures),
    "method in capitals": respelled(_shout),
    "more in a signature": respelled(_first_signature(more=1)),
    "more in the envelope": respelled(lambda d: d.update(more=1)),
    "more in the signed part": respelled(lambda d: d["signed"].update(zzz=1)),
    "more in a key": respelled(_each_key(lambda key: key.update(more=1))),
    "more in a key's value": respelled(_each_key(lambda key: key["keyval"].update(zzz=1))),
    "no private: null": respelled(_each_key(lambda key: key["keyval"].pop("private"))),
    "more in a role": respelled(_each_role(lambda role: role.update(zzz=1))),
    "more in an entry": respelled(_each_entry(lambda entry: entry.update(zzz=1))),
    "custom: null": respelled(_each_entry(lambda entry: entry.update(custom=None))),
    "custom with <": respelled(_each_entry(lambda entry: entry.update(custom="<"))),
    "escapes for letters": lambda raw: (
        raw.replace(b'"_type":"', b'"_type":"\\u0054'.replace(b"T", b""), 1)
        .replace(b"\\u0054R", b"\\u0052")
        .replace(b"\\u0054T", b"\\u0054")
        .replace(b"\\u0054S", b"\\u0053")
    ),
    "all escaped": respelled(lambda _: None, ensure_ascii=True),
    "& sent raw": lambda raw: raw.replace(rb"\u0026", b"&"),
    "escapes in capitals": lambda raw: raw.replace(rb"\u003c", rb"\u003C"),
    "zeros after the fraction": respelled(_expires(lambda text: _whole(text) + ".120Z")),
    "a fraction of zero": respelled(_expires(lambda text: _whole(text) + ".0Z")),
    "+00:00 for Z": respelled(_expires(lambda text: _whole(text) + "+00:00")),
    "-00:00 for Z": respelled(_expires(lambda text: _whole(text) + "-00:00")),
    "ten digits of a fraction": respelled(_expires(lambda text: _whole(text) + ".1234567891Z")),
    "-0": lambda raw: raw.replace(b'"length":0', b'"length":-0'),
    "no delegations": respelled(lambda d: d["signed"].pop("delegations", None)),
    "empty paths": respelled(_each_role(lambda role: role.update(paths=[]) if "name" in role else None)),
    "paths: null": respelled(_each_role(lambda role: role.update(paths=None) if "name" in role else None)),
    "no consistent_snapshot": respelled(lambda d: d["signed"].pop("consistent_snapshot", None)),
}


def _examples() -> dict[str, bytes]:
    """Return a file of each role that has something of everything, and is exact."""
    collection = Collection.usual(Delegated("targets/a", [raw("one")], ["<v>"]))
    collection.parts["targets"].targets |= {"&<\u00e9>": target("", note="\u00e9")}
    for role in ("timestamp", "snapshot"):
        collection.parts[role].edit = lambda signed: [entry.update(length=0) for entry in signed["meta"].values()]
    return collection.publish().files


EXAMPLES = _examples()


@pytest.mark.parametrize("change", INEXACT.values(), ids=INEXACT.keys())
def test_what_go_would_write_otherwise_is_refused(change: Callable[[bytes], bytes]) -> None:
    """
    Each of the ways to write it in which Go would not: it would hash other bytes than those that were stored.
    """
    changed = {role: other for role, file in EXAMPLES.items() if (other := change(file)) != file}
    assert changed

    for role, other in changed.items():
        exact(role, EXAMPLES[role])
        with pytest.raises(FormatError):
            exact(role, other)


@given(st.sampled_from(["root", "timestamp", "snapshot", "targets", "targets/a"]), st.binary())
def test_exact_raises_nothing_else(role: str, raw: bytes) -> None:
    """
    Whatever the bytes.
    """
    for read in (DIALECT.decode, exact):
        with pytest.raises(FormatError):
            read(role, raw)
