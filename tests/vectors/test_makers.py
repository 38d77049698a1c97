"""The vectors are what their makers write, and are read strictly."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from tests.peers.command import clean_env, require, run
from tests.vectors.loading import VECTORS, Vector, VectorError, load, read
from vectors.make.__main__ import makers

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.mark.parametrize("maker", list(makers()), ids=lambda maker: maker.__name__)
def test_a_rerun_changes_nothing(maker: ModuleType, tmp_path: Path) -> None:
    """
    The same files with the same bytes; recorded ones are not made again, and messages only by the gpg that made them.
    """
    if maker.FOLDER.name == "simple-signing" and not made_by_this_gpg():
        pytest.skip("these were made by gpg 2.2")
    maker.main(tmp_path)

    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    kept = {path.name: path.read_bytes() for path in maker.FOLDER.glob("*.json")}
    assert made.keys() == kept.keys()
    assert {name for name in made if made[name] != kept[name]} == set()


def made_by_this_gpg() -> bool:
    """Say whether the gpg that is here writes what the one wrote that made the vectors."""
    require("gpg")
    return run(["gpg", "--version"], env=clean_env()).stdout.startswith("gpg (GnuPG) 2.2.")


def test_makers_are_found() -> None:
    """
    By their folders.
    """
    assert {"canonical", "keys", "names", "notary1", "simple-signing", "tuf1"} <= {
        maker.FOLDER.name for maker in makers()
    }


def test_every_folder_has_a_maker() -> None:
    """
    No vector is written by hand.
    """
    folders = {path.name for path in VECTORS.iterdir() if any(path.glob("*.json"))}

    assert folders == {maker.FOLDER.name for maker in makers()}


@pytest.fixture
def spelled() -> dict[str, object]:
    """One vector as it is written."""
    vector: dict[str, object] = json.loads((VECTORS / "notary1" / "warm-unchanged.json").read_text("utf-8"))
    return vector


@pytest.mark.parametrize("where", [(), ("pins",), ("memory",), ("ask",), ("memory", "floors", "root"), ("expect",)])
def test_an_unknown_field_is_refused(spelled: dict[str, object], where: tuple[str, ...]) -> None:
    """
    A misspelt field would be a check that is not made.
    """
    inner = spelled
    for name in where:
        step = inner[name]
        assert isinstance(step, dict)
        inner = step
    inner["more"] = None

    with pytest.raises(VectorError, match="more is unknown"):
        read("bent", spelled)


@pytest.mark.parametrize("field", ["comment", "source", "dialect", "now", "pins", "kept", "expect", "trace"])
def test_a_missing_field_is_refused(spelled: dict[str, object], field: str) -> None:
    """
    Nothing is taken for granted.
    """
    del spelled[field]

    with pytest.raises(VectorError, match=f"{field} is missing"):
        read("bent", spelled)


def test_every_vector_says_what_it_is_about() -> None:
    """
    A comment of its own words, one line long, and where it comes from.
    """
    for vector in (*load("notary1"), *load("tuf1")):
        assert vector.comment.isprintable()
        assert vector.comment[0].islower() or not vector.comment[0].isalpha() or vector.comment.split()[0].isupper()
        assert not vector.comment.endswith(".")
        assert vector.source


@pytest.mark.parametrize(("folder", "more"), [("notary1", set()), ("tuf1", {"unlisted"})])
def test_every_error_of_the_workflow_is_met(folder: str, more: set[str]) -> None:
    """
    No check without a vector that fails it.
    """
    met = {vector.expect.get("error") for vector in load(folder)}

    assert met == more | {
        None,
        "absent",
        "content",
        "equivocation",
        "expired",
        "first-use",
        "format",
        "no-trust-data",
        "pin",
        "removed",
        "rollback",
        "threshold",
        "too-large",
        "version",
    }


def test_the_readme_names_every_field_and_error() -> None:
    """
    Whoever implements a reader finds all of them there.
    """
    text = (VECTORS / "README.md").read_text("utf-8")
    every = (*load("notary1"), *load("tuf1"))
    met = {str(vector.expect["error"]) for vector in every if "error" in vector.expect}
    facts = {name for vector in every for name in vector.expect.get("facts", ())}
    names = {"listed"} | {field.name for field in fields(Vector)} - {"name"}

    assert {name for name in (*names, *met, *facts) if f"`{name}`" not in text} == set()
    assert {path.name for path in VECTORS.iterdir() if path.is_dir() and path.name != "make"} <= {
        *re.findall(r"\]\(([\w-]+)\)", text),
        "__pycache__",
    }
