"""YAML: what it means, where its values stand, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.errors import SettingError
from trustreg.io.yaml import read

DOCUMENT = b"""\
# a comment
version: 1
rules:
  - match: registry.example/team
    require:
      any: [{gpg: release}, reject]
  - match: "other"
    until: 2027-01-31
"""


def test_values_know_their_lines() -> None:
    """
    What people wrote comes back, with the line that each value begins in; what is missing is missing somewhere.
    """
    tree = read(DOCUMENT, "policy.yaml")

    assert tree.value == {
        "version": 1,
        "rules": [
            {"match": "registry.example/team", "require": {"any": [{"gpg": "release"}, "reject"]}},
            {"match": "other", "until": "2027-01-31"},
        ],
    }
    assert [tree.line(path) for path in ("version", "rules", "rules[0].require.any[1]", "rules[1].until")] == [
        2,
        3,
        6,
        8,
    ]
    assert tree.line("rules[1].require") == 7  # which is not there
    assert tree.line("default") == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("012", 12),
        ("-3", -3),
        ("0x10", "0x10"),
        ("1.5", 1.5),
        ("1:30", "1:30"),
        ("2027-01-31", "2027-01-31"),
        ("'true'", "true"),
        ('"12"', "12"),
        ("sha256:00", "sha256:00"),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("1_000", "1_000"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """
    No word is a truth by surprise, no number a time of day.
    """
    assert read(f"a: {text}\n".encode(), "x").value == {"a": value}


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, "'a' stands here twice"),
        (b"a:\n  !!python/object:os.system x\n", 2, "tags"),
        (b"a: !!str 1\n", 1, "tags"),
        (b"a: [1\nb: 2\n", 2, "this is not YAML"),
        (b"a: 1\n---\nb: 2\n", 2, "this is not YAML"),
        (b"? [a, b]\n: 1\n", 1, "a key has to be text"),
        (b"a: \xff\n", 1, "it is not UTF-8 text"),
        (b"a: *x\n", 1, "this is not YAML"),
        (b"a: &x [*x]\n", 1, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, 1, "nested too deeply"),
        (b"a: \x07\n", 1, "this is not YAML"),
    ],
)
def test_what_is_refused(raw: bytes, line: int, problem: str) -> None:
    """
    Each with the line in which it stands.
    """
    with pytest.raises(SettingError, match=problem) as refused:
        read(raw, "policy.yaml")
    assert refused.value.source == f"policy.yaml:{line}"


def test_aliases_cannot_blow_up() -> None:
    """
    An alias is what it stands for; a thousand million laughs are refused in no time.
    """
    laughs = b"a0: &a0 [x, x]\n" + b"".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n".encode() for n in range(1, 30))

    assert read(b"a: &one {b: 1}\nc: *one\n", "x").value == {"a": {"b": 1}, "c": {"b": 1}}
    with pytest.raises(SettingError, match="more than 100000 values"):
        read(laughs, "x")


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(raw: bytes) -> None:
    """
    Whatever it is, nothing else comes out.
    """
    with contextlib.suppress(SettingError):
        read(raw, "x")
