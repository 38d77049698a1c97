"""``trustreg list`` and ``inspect``: what is signed, by whom, and until when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.images import image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

ONE = image("1.0")


def test_list(begun: Desk) -> None:
    """
    A table for people, with a head, in the order of the tags.
    """
    said = begun.do("list", begun.gun)

    assert [line.split() for line in said.lines] == [
        ["TAG", "DIGEST", "SIZE", "ROLE"],
        ["1.0", ONE.digest, str(ONE.size), "targets"],
    ]


def test_a_role_that_does_not_count_is_marked(begun: Desk) -> None:
    """
    ``--role`` says whose word counts; what others signed is listed as not counting.
    """
    said = begun.do("list", "--role", "targets/qa", begun.gun)

    assert said.lines[1].endswith("  targets (does not count)")
    assert json.loads(begun.do("list", "--role", "targets/qa", "--format", "json", begun.gun).out)["tags"] == [
        {
            "tag": "1.0",
            "digest": ONE.digest,
            "length": ONE.size,
            "role": "targets",
            "keyids": json.loads(begun.do("list", "--format", "json", begun.gun).out)["tags"][0]["keyids"],
            "counts": False,
        }
    ]


def test_inspect(begun: Desk) -> None:
    """
    Who may sign, who did, until when; and of the tags only the one that was asked for.
    """
    said = begun.do("inspect", f"{begun.gun}:1.0")

    assert said.lines[0] == f"collection  {begun.gun}"
    assert said.lines[1] == f"server      {begun.server.url}"
    rows = [line.split() for line in said.lines if line]
    head = next(number for number, row in enumerate(rows) if row[0] == "ROLE")
    roles = rows[head + 1 : head + 5]
    assert [row[:2] for row in roles[:2]] == [["root", "1"], ["targets", "2"]]
    assert [row[0] for row in roles[2:]] == ["snapshot", "timestamp"]
    assert all(row[3:6] == ["1", "of", "1"] and row[-1].endswith("*") for row in roles)
    assert rows[-1] == ["1.0", ONE.digest, str(ONE.size), "targets", "yes"]
    unsigned = begun.do("inspect", f"{begun.gun}:2.0")
    assert unsigned.lines[-1] == "2.0 is not signed by any role"


def test_inspect_as_json(begun: Desk) -> None:
    """
    Programs get roles with full key ids, and the tag that was asked for.
    """
    found = json.loads(begun.do("inspect", "--format", "json", f"{begun.gun}:1.0").out)

    assert (found["gun"], found["server"], found["firstUse"]) == (begun.gun, begun.server.url, False)
    assert (found["staleSince"], found["failed"]) == (None, {})
    assert [tag["tag"] for tag in found["tags"]] == ["1.0"]
    for role in found["roles"]:
        assert role["signedBy"] == role["keyids"]
        assert [len(keyid) for keyid in role["keyids"]] == [64]
    assert json.loads(begun.do("inspect", "--format", "json", f"{begun.gun}:none").out)["tags"] == []


def test_first_use_is_said(begun: Desk, tmp_path: Path) -> None:
    """
    A list of an unknown collection rests on first use, too, and says so beside the result.
    """
    said = begun.run("list", "--trust-dir", tmp_path / "new", begun.gun)

    assert (said.code, said.out) == (0, begun.do("list", begun.gun).out)
    assert said.err.startswith(f"trustreg: {begun.gun} was not known before: its root was trusted on first use.")


def test_offline_with_grace(begun: Desk) -> None:
    """
    What is known may be listed without the server where a grace was allowed, and is said to be as of then.
    """
    begun.do("list", begun.gun)
    said = begun.run("list", "--server", "http://127.0.0.1:9", "--offline-grace", "1h", begun.gun)

    assert (said.code, said.out) == (0, begun.do("list", begun.gun).out)
    assert said.err.startswith(f"trustreg: the trust server of {begun.gun} cannot be reached; this is as of 20")
