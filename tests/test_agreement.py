"""Several repositories are believed where enough of them agree; what cannot be known is not taken for a no."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from trustreg.agreement import Agreed, Agreement, DisagreementError, Rule, UndecidedError, read_map
from trustreg.errors import AbsentError, OfflineError, SettingError
from trustreg.io.steps import run
from trustreg.reader import Target


def listed(content: bytes = b"one", *, custom: Any = None, day: int = 1, algorithm: str = "sha256") -> Target:
    """Make what a repository says of a target with this content."""
    return Target(
        name="x",
        length=len(content),
        hashes={algorithm: hashlib.new(algorithm, content).digest()},
        custom=custom,
        role="targets",
        keyids=("k",),
        path="x",
        expires=datetime(2026, 5, day, tzinfo=UTC),
    )


ONE, TWO = listed(), listed(b"two")
CUSTOM, TRUE, STRONG = listed(custom={"a": 1}), listed(custom={"a": True}), listed(algorithm="sha512")
OFFLINE, BAD = OfflineError("https://a", "refused"), AbsentError("snapshot", "1.snapshot.json")
NO, DISAGREED, UNKNOWN = "nobody lists it", "disagreed", "unknown"

Answers = dict[str, Any]


def rule(repositories: str, threshold: int, *paths: str, ends: bool = False) -> Rule:
    """Make a mapping; repositories have names of one letter."""
    return Rule(paths=paths or ("*",), repositories=tuple(repositories), threshold=threshold, terminating=ends)


def outcome(rules: list[Rule], answers: Answers, name: str = "x") -> tuple[str, str]:
    """Give who agrees, or how else it ended, and who was asked, in order."""
    asked: list[str] = []

    def answer(repository: str) -> Any:
        asked.append(repository)
        return answers.get(repository)

    try:
        agreed = run(Agreement(repositories={}, rules=tuple(rules)).find(name), answer)
    except DisagreementError:
        return DISAGREED, "".join(asked)
    except UndecidedError:
        return UNKNOWN, "".join(asked)
    return "".join(agreed.repositories) if agreed else NO, "".join(asked)


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        # a: two of three have to agree, and nobody is asked after them
        ({"a": ONE, "b": ONE, "c": ONE}, "ab", "ab"),
        ({"a": ONE, "b": TWO, "c": ONE}, "ac", "abc"),
        ({"a": TWO, "b": ONE, "c": ONE}, "bc", "abc"),
        ({"a": ONE, "c": ONE}, "ac", "abc"),
        ({}, NO, "abc"),
        ({"a": ONE}, DISAGREED, "abc"),
        ({"a": ONE, "b": TWO}, DISAGREED, "abc"),
        # one cannot be reached
        ({"a": OFFLINE, "b": ONE, "c": ONE}, "bc", "abc"),
        ({"a": OFFLINE, "b": ONE}, UNKNOWN, "abc"),
        ({"a": OFFLINE, "b": ONE, "c": TWO}, UNKNOWN, "abc"),
        ({"a": OFFLINE}, NO, "abc"),  # it alone is not enough
        # two of them
        ({"a": OFFLINE, "b": OFFLINE, "c": ONE}, UNKNOWN, "abc"),
        ({"a": OFFLINE, "b": OFFLINE}, UNKNOWN, "abc"),
        ({"a": OFFLINE, "b": OFFLINE, "c": OFFLINE}, UNKNOWN, "abc"),
        # one fails a check
        ({"a": BAD, "b": ONE, "c": ONE}, "bc", "abc"),
        ({"a": BAD, "b": ONE}, DISAGREED, "abc"),
        ({"a": BAD}, NO, "abc"),
        ({"a": BAD, "b": BAD}, DISAGREED, "abc"),
        # one fails a check, one cannot be reached
        ({"a": BAD, "b": OFFLINE, "c": ONE}, UNKNOWN, "abc"),
        ({"a": BAD, "b": OFFLINE}, DISAGREED, "abc"),  # the one that cannot be reached is not enough
        # what is compared
        ({"a": ONE, "b": CUSTOM}, DISAGREED, "abc"),
        ({"a": CUSTOM, "b": TRUE}, DISAGREED, "abc"),
        ({"a": ONE, "b": STRONG}, DISAGREED, "abc"),
        ({"a": CUSTOM, "b": listed(custom={"a": 1})}, "ab", "ab"),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_a_mapping(answers: Answers, expected: str, asked: str, *, ends: bool) -> None:
    """Two of three; as it is the last one, it does not matter whether it is terminating."""
    assert (expected, asked) == outcome([rule("abc", 2, ends=ends)], answers)


@pytest.mark.parametrize(
    ("answers", "terminating", "expected", "asked"),
    [
        ({"a": ONE, "c": TWO}, False, "a", "a"),
        ({"c": TWO}, False, "c", "abc"),
        ({"c": TWO}, True, NO, "ab"),
        ({"a": OFFLINE, "c": TWO}, False, UNKNOWN, "ab"),  # a cut line does not choose the mapping
        ({"a": BAD, "c": TWO}, False, DISAGREED, "ab"),  # nor does garbage
        ({"a": OFFLINE, "b": ONE, "c": TWO}, False, "b", "ab"),
        ({"c": OFFLINE}, False, UNKNOWN, "abc"),
        ({"c": BAD}, False, DISAGREED, "abc"),
        ({}, False, NO, "abc"),
    ],
)
def test_mappings_in_their_order(
    answers: Answers,
    terminating: bool,
    expected: str,
    asked: str,
) -> None:
    """One of a and b, and c after them."""
    assert (expected, asked) == outcome([rule("ab", 1, ends=terminating), rule("c", 1)], answers)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"a": ONE, "b": TWO, "c": ONE}, "c"),  # they may disagree where others follow
        ({"a": ONE, "b": TWO}, DISAGREED),  # and that is not forgotten where these say nothing
        ({"a": ONE}, DISAGREED),
    ],
)
def test_a_disagreement_that_does_not_end_the_search(answers: Answers, expected: str) -> None:
    """Both of a and b, and c after them."""
    assert expected == outcome([rule("ab", 2), rule("c", 1)], answers)[0]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("x", "c"), ("a/x", "a"), ("a/b/x", ""), ("b/x.tar", "bc"), ("b/y", "bc"), ("B/x.tar", "")],
)
def test_a_mapping_is_about_its_paths(name: str, asked: str) -> None:
    """Patterns are those of delegations."""
    rules = [rule("a", 1, "a/*", ends=True), rule("b", 1, "b/*.tar", "?/y"), rule("c", 1, "*", "b/*")]

    assert (NO, asked) == outcome(rules, {}, name)


def test_what_is_agreed_is_good_until_the_first_of_them_expires() -> None:
    """Each is what it is at its repository."""
    early, late = listed(day=1), listed(day=2)

    agreed = run(
        Agreement(repositories={}, rules=(rule("ab", 2),)).find("x"),
        lambda repository: {"a": late, "b": early}[repository],
    )

    assert isinstance(agreed, Agreed)
    assert (agreed.expires, agreed.targets) == (early.expires, {"a": late, "b": early})
    assert (agreed.name, agreed.length, agreed.hashes, agreed.custom) == ("x", 3, ONE.hashes, None)


def test_an_error_says_what_each_says() -> None:
    """And has what was in the way as its cause."""
    answers: Answers = {"a": CUSTOM, "c": OFFLINE}
    with pytest.raises(UndecidedError, match="of x 2 repositories have to say the same") as caught:
        run(Agreement(repositories={}, rules=(rule("abc", 2),)).find("x"), answers.get)

    digest = CUSTOM.hashes["sha256"].hex()
    assert caught.value.facts() == {
        "target": "x",
        "threshold": 2,
        "answers": [
            f'a: 3 bytes, sha256:{digest}, custom {{"a":1}}',
            "b: does not list it",
            "c: https://a cannot be reached: refused",
        ],
    }
    assert caught.value.__cause__ is OFFLINE


# --- the file ------------------------------------------------------------------------------------

GOOD = {
    "repositories": {"a": ["https://a"], "b.c": ["https://b", "https://c"]},
    "mapping": [{"paths": ["*"], "repositories": ["a", "b.c"], "threshold": 2, "terminating": True}],
}


def test_a_map_file_is_read() -> None:
    """Mappings end nothing unless they say so."""
    more = {"paths": ["x", "y/*"], "repositories": ["a"], "threshold": 1}
    read = read_map(json.dumps(GOOD | {"mapping": [*GOOD["mapping"], more]}).encode(), "map.json")

    assert read.repositories == {"a": ("https://a",), "b.c": ("https://b", "https://c")}
    assert read.rules == (
        Rule(paths=("*",), repositories=("a", "b.c"), threshold=2, terminating=True),
        Rule(paths=("x", "y/*"), repositories=("a",), threshold=1),
    )


def _with(**members: Any) -> dict[str, Any]:
    return GOOD | members


def _mapped(**members: Any) -> dict[str, Any]:
    (mapping,) = GOOD["mapping"]
    return GOOD | {"mapping": [{name: value for name, value in {**mapping, **members}.items() if value is not ...}]}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "the file: it is not an object"),
        ({"repositories": {}}, "the file: it has no mapping"),
        (_with(comment="x"), "nobody knows what comment means"),
        (_with(repositories=[]), "repositories: it is not an object"),
        (_with(repositories={"a": "https://a"}), "repositories.a: it is not a list of texts"),
        (_with(repositories={"a": []}), "repositories.a: it is not a list of texts"),
        (_with(repositories={"a": [1]}), "repositories.a: it is not a list of texts"),
        *(
            (_with(repositories={name: ["https://a"]}), "could not name a folder")
            for name in ("", ".", "..", ".a", "a/b", "a\\b", "-a", "ä", "a b", "a\n", "x" * 101)
        ),
        (_with(repositories={"a": ["u"], "A": ["u"]}), "two names differ in case only"),
        (_with(mapping={}), "mapping: it is not a list"),
        (_with(mapping=[1]), r"mapping\[0\]: it is not an object"),
        (_mapped(paths=...), "it has no paths"),
        (_mapped(paths=[]), "paths: it is not a list of texts"),
        (_mapped(paths="*"), "paths: it is not a list of texts"),
        (_mapped(repositories=["a", "z"]), "there is no repository z"),
        (_mapped(repositories=["a", "a"]), "listed twice"),
        (_mapped(threshold=...), "it has no threshold"),
        *((_mapped(threshold=bad), "an integer from 1 to 2") for bad in (0, 3, -1, True, "1", None)),
        *((_mapped(terminating=bad), "not a boolean") for bad in (1, None, "true")),
        (_mapped(terminate=True), "nobody knows what terminate means"),
    ],
)
def test_a_map_file_that_is_wrong_is_refused(document: Any, problem: str) -> None:
    """With the place that is wrong."""
    with pytest.raises(SettingError, match=problem) as caught:
        read_map(json.dumps(document).encode(), "map.json")

    assert caught.value.source == "map.json"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"mapping": [], "mapping": [], "repositories": {}}',
        b'{"repositories": {"a": ["x"], "a": ["y"]}, "mapping": []}',
        b'{"mapping": [{"paths": ["*"], "repositories": ["a"], "threshold": 1.0}], "repositories": {"a": ["x"]}}',
    ],
)
def test_what_has_more_than_one_meaning_is_refused(raw: bytes) -> None:
    """No member twice, no fractions."""
    with pytest.raises(SettingError, match="not a map file"):
        read_map(raw, "map.json")
