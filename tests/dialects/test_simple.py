"""What a GPG signature says is read in one way, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.simple import LARGEST, Payload, read, write
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


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(said(), indent=2).encode() + b"\n",
        b"  " + json.dumps(said(optional={})).encode(),
        json.dumps(said(optional__other={"a": ["b"]})).encode(),
        json.dumps(said(critical__identity={"docker-reference": "registry.example/team/app"})).encode(),
        json.dumps(said(critical__identity={"docker-reference": f"{NAME}@sha256:{HEX}"})).encode(),
    ],
)
def test_other_tools_write_it_otherwise(raw: bytes) -> None:
    """
    Spaces, a newline at the end, nothing or more in ``optional``, a name without tag or with the digest.
    """
    assert DIGEST == read(raw).digest


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
        "optional null": json.dumps({**said(), "optional": None}).encode(),
        "no type": json.dumps(said(critical__type=None)).encode(),
        "the type of cosign": json.dumps(said(critical__type="cosign container image signature")).encode(),
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
def test_what_may_be_read_in_two_ways_is_not_read(raw: bytes) -> None:
    """
    One error for all of it.
    """
    with pytest.raises(FormatError):
        read(raw)


@given(raw=st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_rubbish_is_refused_and_nothing_worse(raw: bytes) -> None:
    """
    Whatever somebody signed.
    """
    with pytest.raises(UntrustedError):
        read(raw)
