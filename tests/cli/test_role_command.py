"""``trustreg role``: what is said of who may sign is what readers then go by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk, Said


def role(desk: Desk, name: str) -> dict[str, Any]:
    """Give what is said of a role."""
    (found,) = desk.json("roles", "role", "show", name)["roles"]
    return dict(found)


def keyids(desk: Desk, name: str) -> list[str]:
    """Give the ids of the keys of a role."""
    return [key["keyid"] for key in role(desk, name)["keys"]]


def made(said: Said) -> tuple[str, str]:
    """Give the id of the key that a command has made, and the one it is listed under."""
    assert said.code == 0, said
    found = re.search("made key ([0-9a-f]{64}), listed as ([0-9a-f]{64})", said.err)
    assert found
    return found[1], found[2]


@pytest.fixture
def alice(stall: Desk, tmp_path: Path) -> Path:
    """The public half of a key that is on another machine."""
    there = ("--trust-dir", tmp_path / "alice")
    keyid = stall.run("key", "generate", "ed25519", "--role", "root", *there).out.strip()
    stall.do("key", "export", keyid, "--public", "-o", tmp_path / "alice.pub", *there)
    return tmp_path / "alice.pub"


def test_shown(stall: Desk) -> None:
    """
    Every role with its delegator, version, expiry, threshold and keys; which have signed, and which are here.
    """
    said = stall.do("role", "show")

    assert [line.split()[:3] for line in said.lines[1:5]] == [
        ["root", "root", "1"],
        ["targets", "root", "1"],
        ["snapshot", "root", "1"],
        ["timestamp", "root", "1"],
    ]
    assert all(line.split()[2:4] == ["ed25519", "yes"] for line in said.lines[7:])
    held = {line.split()[2][:12] for line in stall.do("key", "list").lines[1:]}
    assert {line.split()[4] for line in said.lines[7:]} == held
    shown = role(stall, "timestamp")
    assert (shown["threshold"], shown["keys"][0]["signed"], shown["keys"][0]["here"]) == (1, True, True)
    assert stall.run("role", "show", "nobody").code == 2


def test_keys_come_and_go(stall: Desk, alice: Path) -> None:
    """
    A new one is made here, one of somebody else's comes from a file; each goes by any of its names.
    """
    (first,) = keyids(stall, "root")
    held, listed = made(stall.run("role", "add-key", "root", "--threshold", "2", "--kind", "ecdsa"))
    assert keyids(stall, "root") == [first, listed]
    stall.do("role", "add-key", "root", alice)
    (other,) = set(keyids(stall, "root")) - {first, listed}
    shown = {key["keyid"]: (key["kind"], key["here"]) for key in role(stall, "root")["keys"]}
    assert shown == {first: ("ed25519", True), listed: ("ecdsa", True), other: ("ed25519", False)}

    stall.do("role", "remove-key", "root", alice)
    stall.do("role", "add-key", "root", alice)
    stall.do("role", "remove-key", "root", other[:10])
    stall.do("role", "remove-key", "root", held[:10], "--threshold", "1")

    assert keyids(stall, "root") == [first]
    assert role(stall, "root")["version"] == 7
    stall.do("list", "--trust-dir", alice.parent / "reader", "--pin", first)


def test_a_key_is_replaced(stall: Desk, alice: Path) -> None:
    """
    The only one without being named; readers follow, whatever it signed is signed again.
    """
    stall.do("list")
    (old,) = keyids(stall, "targets")
    said = stall.run("role", "rotate-key", "targets")
    _, new = made(said)

    assert said.lines[0] == f"targets: + key {new[:12]} (ed25519), - key {old[:12]}"
    assert said.lines[1].endswith("published root v2, snapshot v2, targets v2, timestamp v2")
    assert keyids(stall, "targets") == [new]
    assert role(stall, "targets")["version"] == 2
    stall.do("list")
    stall.do("role", "add-key", "targets", alice)
    ambiguous = stall.run("role", "rotate-key", "targets")
    assert (ambiguous.code, ambiguous.err) == (2, "trustreg: targets: it has 2 keys: say which to replace\n")
    stall.do("role", "rotate-key", "root", "--new", new)
    assert keyids(stall, "root") == [new]


def test_delegated(stall: Desk, tmp_path: Path) -> None:
    """
    A role speaks for what it is let speak for, on the terms that were said last, and then no more.
    """
    (tmp_path / "a").write_text("a")
    stall.run("role", "delegate", "docs", "--path", "docs/*", "--path", "README", "--terminating")
    stall.run("role", "delegate", "first", "--path", "docs/*", "--position", "0")

    shown = role(stall, "docs")
    assert (shown["delegator"], shown["patterns"], shown["terminating"]) == ("targets", ["docs/*", "README"], True)
    assert [one["name"] for one in stall.json("roles", "role", "show")["roles"]][4:] == ["first", "docs"]
    assert stall.do("add", "a", "--name", "README").lines[0].endswith("says docs")
    assert stall.do("add", "a", "--name", "docs/a").lines[0].endswith("says first")
    assert stall.do("fetch", "docs/a").out.startswith("a  docs/a signed by first (key ")
    assert "docs/* README (terminating)" in stall.do("role", "show").out
    key = keyids(stall, "docs")[0]
    stall.do("role", "delegate", "docs", key, "--path", "docs/*")
    assert (role(stall, "docs")["terminating"], keyids(stall, "docs")) == (False, [key])
    stall.do("role", "undelegate", "first")
    assert stall.run("fetch", "docs/a").code == 1
    stall.do("role", "delegate", "deep", key, "--path", "docs/*", "--by", "docs")
    assert role(stall, "deep")["delegator"] == "docs"


def test_bins(stall: Desk, tmp_path: Path) -> None:
    """
    Targets move into them, into more of them, and are found; those who sign them stay unless others are named.
    """
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    stall.do("add", "a", "b")
    _, key = made(stall.run("role", "bins", "4"))

    assert (role(stall, "bin")["bins"], keyids(stall, "bin")) == (4, [key])
    assert stall.do("add", "c").lines[0].split(" says ")[1].startswith("bin-")
    said = stall.do("role", "bins", "256")
    assert said.lines[0] == "targets: spreads its targets over 256 bins bin-…"
    assert ", and 2" in said.lines[-1]
    assert keyids(stall, "bin") == [key]
    assert {tag["role"][:4] for tag in stall.json("contents", "list")["tags"]} == {"bin-"}
    stall.do("fetch", "a", "b", "c", "-d", "got")
    _, other = made(stall.run("role", "rotate-key", "bin"))
    assert keyids(stall, "bin") == [other]
    assert stall.run("role", "bins", "100").code == 2


def test_expiry(stall: Desk) -> None:
    """
    Once, or each time that the role is signed.
    """
    stall.do("role", "expiry", "root", "--until", "2099-12-31")
    assert role(stall, "root")["expires"] == "2099-12-31T00:00:00Z"
    said = stall.do("role", "expiry", "timestamp", "--lifetime", "36h")
    assert said.lines[0] == "timestamp: is good for 36h each time"
    stall.do("renew", "--within", "2d")
    assert role(stall, "timestamp")["version"] == 3
    assert "is good until 2099" in stall.do("role", "expiry", "targets", "--until", "2099-01-01T10:00+01:00").out
    for words in (
        ["root"],
        ["root", "--until", "yesterday"],
        ["root", "--lifetime", "3"],
        ["root", "--until", "2001-01-01"],
    ):
        assert stall.run("role", "expiry", *words).code == 2


def test_staged_and_dropped(stall: Desk) -> None:
    """
    ``status`` shows what waits and whose keys it takes, ``unstage`` takes it back, ``publish`` sends it.
    """
    stall.run("role", "delegate", "docs", "--path", "docs/*", "--no-publish")
    stall.do("role", "threshold", "targets", "1", "--no-publish")
    waiting = stall.json("status", "status")
    assert [change["action"] for change in waiting["staged"]] == ["delegate", "set-keys"]
    assert {one["role"] for one in waiting["roles"]} == {"docs", "targets", "snapshot", "timestamp"}
    assert all(one["here"] and not one["elsewhere"] for one in waiting["roles"])
    assert stall.do("unstage", "-n", "2").out == "no longer staged: targets: needs 1\n"
    said = stall.do("status")
    assert said.lines[0].startswith("1  targets: docs may speak for docs/*; needs 1 of ")
    assert said.lines[2].split() == ["ROLE", "VERSION", "FOR", "NEEDS", "HERE", "ELSEWHERE"]
    stall.do("publish")
    assert role(stall, "docs")["version"] == 1
    assert stall.do("status").lines == [f"{stall.json('status', 'status')['gun']}: nothing is staged"]
    assert stall.run("unstage", "-n", "1").code == 2


def test_a_key_that_was_made_for_nothing_goes_again(stall: Desk) -> None:
    """
    Nothing is kept of a change that cannot be.
    """
    before = stall.holdings()

    for words, problem in (
        (["add-key", "root", "--threshold", "3"], "3 of 2 different keys cannot sign"),
        (["delegate", "root", "--path", "x"], "top-level role"),
        (["delegate", "docs"], "either patterns or hash prefixes"),
        (["add-key", "nobody"], "nobody delegates to this role"),
        (["remove-key", "root", "ffff"], "none of its keys are called ffff"),
        (["remove-key", "nobody", "ffff"], "there is no such role"),
        (["undelegate", "docs", "--by", "nobody"], "nobody"),
    ):
        said = stall.run("role", *words)
        assert (said.code, said.out) == (2, ""), words
        assert problem in said.err
    keys = {path for path in before if path.startswith("private")}
    assert {path for path in stall.holdings() if path.startswith("private")} == keys


def test_keys_that_are_elsewhere(stall: Desk, alice: Path) -> None:
    """
    What takes the key of somebody else is not published, and the way to go on is named.
    """
    said = stall.run("role", "add-key", "root", alice, "--threshold", "2")

    assert (said.code, said.out) == (2, "")
    assert said.talk[0].startswith("trustreg: no private key for root is here")
    assert "trustreg ceremony prepare FILE" in said.talk[1]
    assert role(stall, "root")["version"] == 1


def test_a_signature_is_added(stall: Desk, alice: Path) -> None:
    """
    To the version that there is, by somebody who has another key and may write to the store.
    """
    stall.do("role", "add-key", "root", alice)
    assert [key["signed"] for key in role(stall, "root")["keys"]] == [True, False]
    hers = ("--trust-dir", alice.parent / "alice")

    assert stall.run("role", "sign", "root", *hers).lines[-1].endswith("published root v2")

    assert [key["signed"] for key in role(stall, "root")["keys"]] == [True, True]
    assert stall.run("role", "sign", "root", *hers).code == 2
    assert stall.run("role", "sign", "timestamp").code == 2
