"""What a GPG signature says is read in one way, or not at all."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.simple import ATOMIC, COSIGN, LARGEST, Payload, read, write
from trustreg.errors import FormatError, UntrustedError
from trustreg.names import Digest

HEX = "c13cff12c260615cc1387fcbc8b4b4ca8600639006ae4979206c3376cf9dc57e"
DIGEST = Digest("sha256", HEX)
NAME = "registry.example/team/app:1.0"


def said(**changes: Any) -> dict[str, Any]:
    """Give a payload as JSON, with *changes* of its members by their path; ``None`` takes one out."""
    document: dict[str, Any] = {
        "critical": {
            "identity": {"docker-reference": NAME},
            "image": {"docker-manifest-digest": f"sha256:{HEX}"},
            "type": "atomic container signature",
        },
        "optional": {"creator": "somebody 1", "timestamp": 1_700_000_000},
    }
    for path, value in changes.items():
        *way, last = path.replace("__", ".").replace("_", "-").split(".")
        at = document
        for step in way:
            at = at[step]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return document


def test_what_was_written_is_read() -> None:
    """
    Byte by byte canonical, and all of it.
    """
    payload = Payload(reference=NAME, digest=DIGEST, creator="trustreg 1", timestamp=7, extra={"more": [1, None]})
    raw = write(payload)

    assert payload == read(raw)
    assert raw == (
        b'{"critical":{"identity":{"docker-reference":"registry.example/team/app:1.0"},"image":{"docker-manifest-digest":'
        b'"sha256:' + HEX.encode() + b'"},"type":"atomic container signature"},'
        b'"optional":{"creator":"trustreg 1","more":[1,null],"timestamp":7}}'
    )


def of_kind(raw: bytes, kind: str) -> bytes:
    """Give a payload of the usual kind as one of *kind*."""
    return raw.replace(ATOMIC.encode(), kind.encode())


@pytest.mark.parametrize("kind", [ATOMIC, COSIGN])
@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(said(), indent=2).encode() + b"\n",
        b"\r\n\t " + json.dumps(said()).encode() + b" \t\r\n",
        json.dumps(said(optional__timestamp=0)).encode(),
        json.dumps(said(optional__more=[None, True, "\u2028\0", {"critical": {}}])).encode(),
        b"  " + json.dumps(said(optional={})).encode(),
        json.dumps(said(optional__other={"a": ["b"]})).encode(),
        json.dumps(said(critical__identity={"docker-reference": "registry.example/team/app"})).encode(),
        json.dumps(said(critical__identity={"docker-reference": f"{NAME}@sha256:{HEX}"})).encode(),
    ],
)
def test_other_tools_write_it_otherwise(raw: bytes, kind: str) -> None:
    """
    Spaces, a newline at the end, nothing or more in ``optional``, a name without tag or with the digest.
    """
    assert DIGEST == read(of_kind(raw, kind), kind).digest


def test_one_kind_is_not_read_as_the_other() -> None:
    """
    And cosign's may have null for ``optional``, which is the same as nothing in it.
    """
    null = json.dumps({**said(critical__type=COSIGN), "optional": None}).encode()
    assert read(null.replace(b"null", b"{}"), COSIGN) == read(null, COSIGN)
    for kind, other in ((ATOMIC, COSIGN), (COSIGN, ATOMIC)):
        with pytest.raises(FormatError, match=f"is not '{other}'"):
            read(of_kind(json.dumps(said()).encode(), kind), other)


def twice(name: str) -> bytes:
    """Give a payload that has a member twice, at the first place where it stands."""
    return json.dumps(said()).encode().replace(f'"{name}"'.encode(), f'"{name}": null, "{name}"'.encode(), 1)


@pytest.mark.parametrize("kind", [ATOMIC, COSIGN])
@pytest.mark.parametrize(
    "raw",
    {
        "no JSON": b"no",
        "a list": b"[]",
        "nothing": b"",
        "not UTF-8": b'{"critical":"\xff"}',
        "a mark in front": b"\xef\xbb\xbf" + json.dumps(said()).encode(),
        "two documents": json.dumps(said()).encode() * 2,
        "something behind it": json.dumps(said()).encode() + b"x",
        "a member twice": json.dumps(said()).encode().replace(b'"optional"', b'"critical": {}, "optional"'),
        "another member": json.dumps(said(more=1)).encode(),
        "another critical member": json.dumps(said(critical__more=1)).encode(),
        "another member of the image": json.dumps(said(critical__image__more=1)).encode(),
        "no optional": json.dumps(said(optional=None)).encode(),
        "optional is a list": json.dumps(said(optional=[])).encode(),
        "critical is null": json.dumps({**said(), "critical": None}).encode(),
        "another mark in front": json.dumps(said()).encode("utf-16"),
        "a zero behind it": json.dumps(said()).encode() + b"\0",
        "a comment": json.dumps(said()).encode() + b"// x",
        "a comma too many": json.dumps(said()).encode()[:-1] + b",}",
        "a time in powers of ten": json.dumps(said()).encode().replace(b"1700000000", b"17e8"),
        "a time that is no number": json.dumps(said()).encode().replace(b"1700000000", b"NaN"),
        "a time before 1970": json.dumps(said(optional__timestamp=-1)).encode(),
        "a time beyond what is exact": json.dumps(said(optional__timestamp=2**53 + 1)).encode(),
        "a time that is null": json.dumps(said()).encode().replace(b"1700000000", b"null"),
        "a fraction in what nobody knows": json.dumps(said(optional__more=[0.5])).encode(),
        "half a character": json.dumps(said(optional__creator="\ud800")).encode(),
        "half a character in a name": json.dumps(said(optional={"\udfff": 1})).encode(),
        "a line break in a text": json.dumps(said()).encode().replace(b"somebody", b"some\nbody"),
        "the name of a member, escaped and again": twice("type").replace(b'"type": null', b'"\\u0074ype": null'),
        "a digest without its kind": json.dumps(said(critical__image={"docker-manifest-digest": HEX})).encode(),
        "a digest that is a list": json.dumps(said(critical__image={"docker-manifest-digest": [HEX]})).encode(),
        "a name that is null": json.dumps(said(critical__identity={"docker-reference": [None]})).encode(),
        "another member of the identity": json.dumps(said(critical__identity__more=1)).encode(),
        "blanks around the name": json.dumps(said(critical__identity={"docker-reference": f" {NAME}"})).encode(),
        "a scheme in the name": json.dumps(said(critical__identity={"docker-reference": f"docker://{NAME}"})).encode(),
        **{
            f"{name} twice": twice(name)
            for name in ("critical", "optional", "type", "image", "identity", "creator", "timestamp")
        },
        **{
            f"{name} in another case": json.dumps(said()).encode().replace(name.encode(), name.upper().encode())
            for name in (
                "critical",
                "optional",
                "type",
                "image",
                "identity",
                "creator",
                "timestamp",
                "docker-reference",
            )
        },
        "no type": json.dumps(said(critical__type=None)).encode(),
        "another type": json.dumps(said(critical__type="Atomic container signature")).encode(),
        "another case": json.dumps(said()).encode().replace(b"critical", b"Critical"),
        "a member of optional in another case": json.dumps(said(optional={"Creator": "x"})).encode(),
        "an upper-case digest": json.dumps(said()).encode().replace(HEX.encode(), HEX.upper().encode()),
        "a short digest": json.dumps(said()).encode().replace(HEX.encode(), HEX[:-1].encode()),
        "sha512": json.dumps(said(critical__image={"docker-manifest-digest": "sha512:" + HEX * 2})).encode(),
        "a name with another digest": json.dumps(
            said(critical__identity={"docker-reference": f"{NAME}@sha256:{'0' * 64}"})
        ).encode(),
        "no name": json.dumps(said(critical__identity={"docker-reference": ""})).encode(),
        "a time that is text": json.dumps(said(optional__timestamp="7")).encode(),
        "a time with a fraction": json.dumps(said(optional__timestamp=7.5)).encode(),
        "a time that is true": json.dumps(said(optional__timestamp=True)).encode(),
        "a creator that is none": json.dumps(said(optional__creator=7)).encode(),
        "too long": json.dumps(said(optional__more="x" * LARGEST)).encode(),
        "too deep": b'{"critical":' + b"[" * 50_000,
    }.values(),
)
def test_what_may_be_read_in_two_ways_is_not_read(raw: bytes, kind: str) -> None:
    """
    One error for all of it.
    """
    with pytest.raises(FormatError):
        read(of_kind(raw, kind), kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EXTRA = st.dictionaries(st.text().filter(lambda name: name.casefold() not in {"creator", "timestamp"}), JSON)


@given(
    extra=EXTRA,
    creator=st.none() | st.text(),
    timestamp=st.none() | st.integers(0, 2**53),
    kind=st.sampled_from([ATOMIC, COSIGN]),
    blanks=st.text(" \t\r\n", max_size=3),
)
def test_whatever_is_written_is_read_again(
    extra: dict[str, Any], creator: str | None, timestamp: int | None, kind: str, blanks: str
) -> None:
    """
    As it is written, and pretty-printed with anything blank around it.
    """
    payload = Payload(reference=NAME, digest=DIGEST, creator=creator, timestamp=timestamp, extra=extra)
    raw = write(payload, kind)

    assert payload == read(raw, kind)
    assert extra == dict(read(raw, kind).extra)
    pretty = json.dumps(json.loads(raw), indent=1, ensure_ascii=False)
    assert payload == read((blanks + pretty + blanks).encode(), kind)


@given(data=st.data(), kind=st.sampled_from([ATOMIC, COSIGN]))
def test_a_changed_payload_is_refused_or_says_what_it_says(data: st.DataObject, kind: str) -> None:
    """
    What is read, written again, is what was read; and what others would read in it is the same.
    """
    raw = write(Payload(reference=NAME, digest=DIGEST, creator="x", timestamp=7), kind)
    at = data.draw(st.integers(0, len(raw)))
    bent = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + data.draw(st.integers(0, 2)) :]
    with suppress(FormatError):
        said_now = read(bent, kind)
        assert said_now == read(write(said_now, kind), kind)
        lenient = json.loads(bent)
        assert lenient["critical"] == json.loads(write(said_now, kind))["critical"]
        assert kind == lenient["critical"]["type"]


@given(raw=st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_rubbish_is_refused_and_nothing_worse(raw: bytes) -> None:
    """
    Whatever somebody signed.
    """
    with pytest.raises(UntrustedError):
        read(raw)
