"""``trustreg renew``, ``prune`` and ``lint``: what a nightly job does, and what it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk


def metadata(folder: Path) -> set[str]:
    """Give the names of the metadata files in the store."""
    return {path.name for path in (folder / "store/metadata").iterdir()}


def test_renewed(stall: Desk) -> None:
    """
    What expires within the time, and nothing else; there may be nothing.
    """
    assert stall.do("renew").out.endswith("nothing to publish\n")
    said = stall.do("renew", "--within", "10d")
    assert said.lines[0] == "timestamp is signed again"
    assert said.lines[1].endswith("published timestamp v2")
    document = stall.json("renewed", "renew", "--within", "31d")
    assert document["published"]["versions"] == {"snapshot": 2, "timestamp": 3}
    assert document["left"] == []


def test_who_lacks_keys_is_told(stall: Desk) -> None:
    """
    What can be signed is; the rest is named, and the job fails.
    """
    listed = stall.do("key", "list").lines
    stall.do("key", "remove", "--yes", next(line.split()[2] for line in listed if line.startswith("root ")))

    said = stall.run("renew", "--within", "400d")

    assert said.code == 3
    assert said.lines[-1].endswith("published snapshot v2, targets v2, timestamp v2")
    assert re.fullmatch(
        r"trustreg: root expires at \S+, and was not signed again: too few keys that may sign root are here\n", said.err
    )
    assert stall.run("renew", "--within", "3x").code == 2


def test_pruned(stall: Desk, tmp_path: Path) -> None:
    """
    Old files go but for the last states; roots and whoever reads are left alone.
    """
    for number in range(4):
        (tmp_path / "f").write_text(str(number))
        stall.do("add", "f")

    said = stall.do("prune", "--keep", "1")

    assert sorted(said.lines) == [f"removed {n}.{role}.json" for n in (1, 2, 3) for role in ("snapshot", "targets")]
    assert metadata(tmp_path) == {
        "1.root.json",
        "timestamp.json",
        *(f"{n}.{role}.json" for n in (4, 5) for role in ("snapshot", "targets")),
    }
    assert stall.json("pruned", "prune", "--keep", "0")["removed"]
    assert stall.do("prune").out.endswith("nothing to remove\n")
    stall.do("list", "--trust-dir", tmp_path / "reader", "--pin", root(stall))


def root(desk: Desk) -> str:
    """Give the id of the root key."""
    return str(desk.json("roles", "role", "show", "root")["roles"][0]["keys"][0]["keyid"])


def test_linted(stall: Desk) -> None:
    """
    Warnings are told, and count where that is asked for; errors always do.
    """
    assert stall.do("lint").out.endswith("nothing is odd\n")
    warned = stall.do("lint", "--within", "14d")
    assert re.fullmatch(r"warning: timestamp: it expires at \S+\n", warned.out)
    assert stall.run("lint", "--strict", "--within", "14d").code == 1
    (finding,) = stall.json("lint", "lint", "--within", "14d")["findings"]
    assert (finding["code"], finding["severity"], finding["role"]) == ("expires-soon", "warning", "timestamp")
    stall.run("role", "delegate", "all", "--path", "*", "--terminating")
    stall.run("role", "delegate", "behind", "--path", "a")
    codes = [finding["code"] for finding in stall.json("lint", "lint")["findings"]]
    assert codes == ["unreachable"]


@pytest.mark.parametrize("command", ["renew", "prune", "lint", "status", "unstage", "publish"])
def test_there_is_no_collection(stall: Desk, tmp_path: Path, command: str) -> None:
    """
    Nothing is made where nothing is.
    """
    said = stall.run(command, "--store", f"dir:{tmp_path}/none")

    assert said.code == (0 if command in {"status", "unstage"} else 1)
    assert not (tmp_path / "none").exists()
