"""``trustreg inventory``: all that is there, in any form, and whether all of it is to be trusted."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

from scripts.images import image
from tests.cli.conftest import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

ONE = image("1.0")
SCHEMA = Draft202012Validator(json.loads((SCHEMAS / "inventory.schema.json").read_text()))


def taken(desk: Desk, *arguments: str | Path, code: int = 0) -> Any:
    """Take stock as JSON, which has to fit the schema and to end with *code*."""
    said = desk.run("inventory", "--format", "json", *arguments)
    assert said.code == code, said
    document = json.loads(said.out)
    SCHEMA.validate(document)
    return document


def test_a_collection_is_listed_for_people(begun: Desk) -> None:
    """
    Roles, roots, tags, what will break, and a line that counts.
    """
    said = begun.do("inventory", begun.gun)
    words = [line.split() for line in said.lines]

    assert words[0] == [begun.gun, "trusted", begun.server.url]
    assert [row[:3] for row in words[3:7]] == [
        ["root", "trusted", "1"],
        ["targets", "trusted", "2"],
        ["snapshot", "trusted", "2"],
        ["timestamp", "trusted", "2"],
    ]
    assert ["1.0", ONE.digest, str(ONE.size), "targets", "held"] in words
    assert any("[root-certificate-expires]" in line for line in said.lines)
    assert said.lines[-1] == "1 collection (1 trusted) with 1 tag; 0 things are broken"


def test_a_collection_is_listed_for_programs(begun: Desk) -> None:
    """
    With keys and certificates, and what the registry says.
    """
    found = taken(begun, begun.gun)
    (one,) = found["collections"]

    assert (one["gun"], one["where"], one["state"], one["stored"]) == (begun.gun, begun.server.url, "trusted", False)
    root = one["roles"][0]
    assert root["signedBy"] == [key["id"] for key in root["keys"]]
    assert root["keys"][0]["certificate"]["subject"] == begun.gun
    (tag,) = one["tags"]
    assert (tag["tag"], tag["digest"], tag["image"]) == ("1.0", ONE.digest, f"{begun.gun}:1.0")
    assert tag["registry"] == {"state": "held", "serves": ONE.digest, "kept": True, "error": None}
    codes = {finding["code"] for finding in found["findings"]}
    assert {"role-expires", "root-certificate-expires", "root-asked-for"} == codes


def test_the_registry_may_be_left_alone(begun: Desk) -> None:
    """
    Then nothing is said of it.
    """
    found = taken(begun, "--no-registry", begun.gun)

    assert (found["registryAsked"], found["collections"][0]["tags"][0]["registry"]) == (False, None)


def test_a_server_stands_for_its_collections(begun: Desk) -> None:
    """
    Whatever they are, and with when they were published.
    """
    said = begun.run("inventory", "--no-registry", "--format", "json", begun.server.url)
    mine = next(one for one in json.loads(said.out)["collections"] if one["gun"] == begun.gun)

    assert (mine["state"], mine["changed"][:2]) == ("trusted", "20")


def test_one_that_fails_does_not_hide_the_others(begun: Desk) -> None:
    """
    It is listed with its error; the exit code is that of the worst: 1 for refused, 3 for unknown.
    """
    found = taken(begun, "registry.example/none", begun.gun, code=1)
    assert [one["state"] for one in found["collections"]] == ["refused", "trusted"]
    assert found["collections"][0]["error"]["code"] == "no-trust-data"
    assert found["findings"][0]["code"] == "refused"

    found = taken(begun, "--server", "http://127.0.0.1:9", begun.gun, code=3)
    assert [one["state"] for one in found["collections"]] == ["unknown"]
    assert found["collections"][0]["error"]["code"] == "offline"


def test_a_registry_that_is_away_is_no_fault_of_the_collection(begun: Desk, tmp_path: Path) -> None:
    """
    Each tag says why it is unknown; the exit code is about collections.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[[registry]]\nmatch = "{begun.gun}"\nmirror = "127.0.0.1:9/x"\n')
    (one,) = taken(begun, "--config", config, begun.gun)["collections"]

    assert one["tags"][0]["registry"]["state"] == "unknown"
    assert one["tags"][0]["registry"]["error"]["code"] == "offline"


@pytest.mark.parametrize("form", ["html", "csv", "json", "txt"])
def test_a_file_is_written_in_the_form_of_its_name(begun: Desk, tmp_path: Path, form: str) -> None:
    """
    Standard output stays empty; what was taken is counted beside.
    """
    path = tmp_path / f"stock.{form}"
    said = begun.run("inventory", begun.gun, "-o", path)
    text = path.read_text("utf-8")

    assert (said.code, said.out) == (0, "")
    assert said.talk == [f"trustreg: {path} has 1 collection (1 trusted) with 1 tag; 0 things are broken"]
    assert ONE.digest in text
    assert path.stat().st_mode & 0o777 == 0o644
    if form == "html":
        HTMLParser().feed(text)
        assert text.startswith("<!DOCTYPE html>")
        assert begun.do("inventory", begun.gun, "--format", "html").out[:400] == text[:400]
    elif form == "csv":
        assert [row["tag"] for row in csv.DictReader(io.StringIO(text))] == ["1.0"]
    elif form == "json":
        SCHEMA.validate(json.loads(text))
    else:
        assert text.splitlines()[0].startswith(begun.gun)


def test_first_use_is_said(begun: Desk, tmp_path: Path) -> None:
    """
    Once for all, and in the findings of each with the key to compare.
    """
    said = begun.run("inventory", "--trust-dir", tmp_path / "new", begun.gun)

    assert said.code == 0
    assert said.talk[0].startswith("trustreg: 1 of 1 collections were not known before")
    assert any("[first-use]" in line for line in said.lines)


def test_a_store_is_listed(stall: Desk, tmp_path: Path) -> None:
    """
    With files, which are no images.
    """
    (tmp_path / "manual.pdf").write_text("read me")
    stall.do("add", "manual.pdf")
    (one,) = taken(stall)["collections"]

    assert (one["stored"], one["state"], one["roots"][0]["version"]) == (True, "trusted", 1)
    assert [(tag["tag"], tag["image"], tag["registry"]) for tag in one["tags"]] == [("manual.pdf", None, None)]


def test_what_cannot_be_asked_for_is_usage(begun: Desk) -> None:
    """
    Nothing, an address that is none, a name with a tag.
    """
    for words in ((), ("ftp://trust.example",), (f"{begun.gun}:1.0",)):
        said = begun.run("inventory", *words)
        assert (said.code, said.out) == (2, ""), words
    assert "name a trust server" in begun.run("inventory").err
