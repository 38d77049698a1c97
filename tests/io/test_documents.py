"""Documents as people write them: what they mean, where it stands, and what is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from trustreg.errors import ManifestError
from trustreg.io.documents import read


def values(text: str) -> list[Any]:
    """Return what the documents of *text* hold."""
    return [document.value for document in read(text.encode(), "a.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n", []),
        ("---\n---\na: 1\n...\n", [None, {"a": 1}]),
        ("a: 1\n---\nb: yes\n", [{"a": 1}, {"b": "yes"}]),
        ("\ufeffa: b\r\n", [{"a": "b"}]),
        ("a: &x [1, 2]\nb: *x\n", [{"a": [1, 2], "b": [1, 2]}]),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n", [{"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}]),
        (
            "a: [&x {k: 1}, &y {k: 2, m: 3}]\nb: {<<: [*x, *y]}\n",
            [{"a": [{"k": 1}, {"k": 2, "m": 3}], "b": {"k": 1, "m": 3}}],
        ),
        ("'<<': {a: 1}\n", [{"<<": {"a": 1}}]),
        ("a: {l: 3, !!merge <<: {k: 1}}\nb: {!!merge '<<': {k: 1}}\n", [{"a": {"l": 3, "k": 1}, "b": {"k": 1}}]),
        ("a: {!!str <<: 1}\n", [{"a": {"<<": 1}}]),
        ("a: !!str 1\nb: !reset null\nc: ! 2\n", [{"a": "1", "b": None, "c": "2"}]),
        ("1: a\ntrue: b\n", [{"1": "a", "true": "b"}]),
        ('{"a": "\\ud83d\\ude00"}{"b": 1}\n[2]', [{"a": "\ufffd" * 12}, {"b": 1}, [2]]),
        ('{"a":\t"x\\/y"}', [{"a": "x/y"}]),
    ],
)
def test_what_documents_mean(text: str, expected: list[Any]) -> None:
    """
    Anchors, merge keys and tags mean what they do to Kubernetes and Compose; JSON may follow on JSON.
    """
    assert expected == values(text)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b"a: 1\nb: \xff", 2, "it is not UTF-8 text"),
        (b"a: 1\na: 2\n", 2, "'a' stands here twice"),
        (b'{"a": 1,\n "a": 2}', 2, "'a' stands here twice"),
        (b"a: {{ .Values.image }}\n", 1, "a key has to be text"),
        (b"a: *x\n", 1, "*x is the name of nothing that stands before it"),
        (b"a: &x [*x]\n", 1, "*x is the name of nothing that stands before it"),
        (b"---\na: 1\n---\nb: *x\n", 4, "*x is the name of nothing that stands before it"),
        (b"a: 1\n<<: 2\n", 2, "<< is for maps, to be merged into this one"),
        (b"a: &x {k: 1}\nb: {<<: *x, <<: *x}\n", 2, "<< stands here twice"),
        (b"a: &x {k: 1}\nb:\n  k: 2\n  <<: *x\n", 3, "'k' is merged below, by <<; write it after that"),
        (b"a: !!binary aGVsbG8=\n", 1, "the tag tag:yaml.org,2002:binary is not for here"),
        (b"a: b: c\n", 1, "this is not YAML: mapping values are not allowed in this context"),
        (b"a:\n\t- b\n", 2, "this is not YAML: found character that cannot start any token"),
        (b"a: \x00", 1, "this is not YAML that can be read"),
        (b"[" * 300 + b"]" * 300, 1, "it is nested too deeply"),
        (b"[" * 100_000, 1, "this is not YAML: exceeded maximum nesting depth"),
        (b'{"a":' * 100_000, 1, "it is nested too deeply"),
    ],
)
def test_what_is_refused(text: bytes, line: int, problem: str) -> None:
    """
    With its line.
    """
    with pytest.raises(ManifestError) as refused:
        read(text, "a.yaml")

    assert ("a.yaml", line, problem) == (refused.value.source, refused.value.line, refused.value.problem)


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)),
        "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60)),
    ],
)
def test_a_bomb_does_not_go_off(text: str) -> None:
    """
    What aliases blow up is counted as what it becomes.
    """
    begun = time.monotonic()

    with pytest.raises(ManifestError, match="it holds more than"):
        read(text.encode(), "a.yaml")

    assert time.monotonic() - begun < 60


def test_where_values_stand() -> None:
    """
    By pointers, in characters of the text, quotes included; an alias stands where its key does.
    """
    text = "\ufeff# ü\r\na/b: &x 'ü:1'\r\nc:\r\n- {d: *x, e: \"f\"}\r\n- |\r\n  g\r\n---\r\nh: >-\r\n  i\r\n"

    whole, (first, second) = read(text.encode(), "a.yaml")
    spots = {pointer: first.place(pointer) for pointer in ("/a~1b", "/c/0/d", "/c/0/e", "/c/1", "/c/7", "/none")}

    assert text == whole
    assert {
        "/a~1b": (2, 6, "&x 'ü:1'"),
        "/c/0/d": (4, 4, "&x 'ü:1'"),
        "/c/0/e": (4, 14, '"f"'),
        "/c/1": (5, 3, "|\r\n  g\r\n"),
        "/c/7": (4, 1, text[text.index("- {d") : text.index("---")]),
        "/none": (2, 1, text[text.index("a/b") : text.index("---")]),
    } == {pointer: (at.line, at.column, text[at.start : at.end]) for pointer, at in spots.items()}
    assert (8, 4, ">-\r\n  i\r\n") == (
        second.place("/h").line,
        second.place("/h").column,
        text[slice(*second.place("/h")[2:])],
    )


def test_where_values_of_json_stand() -> None:
    """
    Also of one that YAML cannot read, and of one that follows on another.
    """
    text = '{"x": "\\ud83d\\ude00"} {\n"image": "a:1"}'

    whole, (_, second) = read(text.encode(), "a.json")
    at = second.place("/image")

    assert (2, 10, '"a:1"') == (at.line, at.column, whole[at.start : at.end])
    assert {"image": "a:1"} == second.value
    assert json.loads(whole[text.index("} {") + 2 :]) == second.value
