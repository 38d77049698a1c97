"""``trustreg doctor``: a report for people and for programs, and an exit code for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

from tests.cli.conftest import SCHEMAS

if TYPE_CHECKING:
    from tests.cli.conftest import Desk

SCHEMA = Draft202012Validator(json.loads((SCHEMAS / "doctor.schema.json").read_text()))


def test_a_report_is_for_people(begun: Desk) -> None:
    """
    Part by part, with a line that counts.
    """
    said = begun.run("doctor", f"{begun.gun}:1.0")
    words = [line.split() for line in said.lines]

    assert said.code == 0
    assert words[0] == ["this", "machine", "settings"]
    assert ["registry", begun.registry.host] in words
    assert ["trust", "server", begun.server.url] in words
    assert any(line.startswith("  ok       the tag 1.0 is signed as sha256:") for line in said.lines)
    assert said.lines[-1].startswith("0 broken, 0 to keep an eye on, of ")


def test_what_is_broken_is_said_with_a_remedy(begun: Desk) -> None:
    """
    And ends the command with 1.
    """
    said = begun.run("doctor", "--no-uploads", f"{begun.gun}:2.0", "--server", "http://127.0.0.1:9")

    assert said.code == 1
    at = said.lines.index("  FAILED   127.0.0.1 refuses connections at port 9: nothing listens there [refused]")
    assert said.lines[at + 1].startswith("           remedy: start the server there")
    assert "uploads" not in "".join(line for line in said.lines if "skipped" not in line)


def test_a_report_is_for_programs(begun: Desk) -> None:
    """
    It fits its schema.
    """
    said = begun.run("doctor", "--format", "json", f"{begun.gun}:2.0", begun.server.url)
    document = json.loads(said.out)
    SCHEMA.validate(document)
    codes = {part["what"]: [each["code"] for each in part["findings"]] for part in document["parts"]}

    assert (said.code, document["verdict"]) == (1, "failed")
    assert list(codes) == ["this machine", "registry", "trust server", "server"]
    assert "unsigned" in codes["trust server"]


@pytest.mark.parametrize("name", ["localhost", "localhost:5000", "trust.example", "trust.example:443", "10.0.0.1:5000"])
def test_a_server_without_its_scheme_is_no_image(desk: Desk, name: str) -> None:
    """
    It would be one of Docker Hub, which nobody means.
    """
    said = desk.run("doctor", name)

    assert (said.code, said.out) == (2, "")
    assert f"a server is named by its URL, https://{name}" in said.err


@pytest.mark.parametrize("words", [(), ("Registry.example/UPPER",), ("ftp://x",), ("https://bob:s3cret@x",)])
def test_what_cannot_be_looked_at_is_usage(desk: Desk, words: tuple[str, ...]) -> None:
    """
    Nothing, or a name or an address that is none; and what is secret in it is not said.
    """
    said = desk.run("doctor", *words)

    assert (said.code, said.out) == (2, "")
    assert "s3cret" not in said.err
