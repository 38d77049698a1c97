"""``trustreg init`` begins a collection whole, or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Desk


def keys(desk: Desk) -> dict[str, dict[str, str]]:
    """Give the keys that are here by role; none twice."""
    listed = json.loads(desk.do("key", "list", "--format", "json").out)["keys"]
    assert len({key["role"] for key in listed}) == len(listed)
    return {key["role"]: key for key in listed}


def roles(desk: Desk, gun: str) -> dict[str, list[str]]:
    """Give the key ids of each role of a collection."""
    return {role["name"]: role["keyids"] for role in json.loads(desk.do("list", gun, "--format", "json").out)["roles"]}


def test_a_collection_begins(desk: Desk) -> None:
    """
    One line says what was published; a certified ECDSA root and an ed25519 targets key are here, the rest is the
    server's; and the one who began it has nothing to trust on first use.
    """
    said = desk.do("init", desk.gun)

    assert said.out == f"{desk.gun}: published root v1, targets v1\n"
    held, listed = keys(desk), roles(desk, desk.gun)
    assert {role: key["kind"] for role, key in held.items()} == {"root": "ecdsa", "targets": "ed25519"}
    assert held["targets"]["gun"] == desk.gun
    assert listed["targets"] == [held["targets"]["id"]]
    assert listed["root"] != [held["root"]["id"]]  # listed by its certificate
    assert set(listed) == {"root", "targets", "snapshot", "timestamp"}


def test_the_snapshot_key_can_be_held(desk: Desk) -> None:
    """
    With ``--hold-snapshot-key`` the snapshot is signed here, too.
    """
    said = desk.do("init", "--hold-snapshot-key", "--format", "json", desk.gun)

    assert json.loads(said.out)["published"] == [
        {"gun": desk.gun, "versions": {"root": 1, "targets": 1, "snapshot": 1}, "waiting": [], "changes": []}
    ]
    assert roles(desk, desk.gun)["snapshot"] == [keys(desk)["snapshot"]["id"]]


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_keys_of_another_kind(desk: Desk, kind: str) -> None:
    """
    ``--kind`` is for all keys but the root's.
    """
    desk.do("init", "--kind", kind, "--hold-snapshot-key", desk.gun)

    assert {role: key["kind"] for role, key in keys(desk).items()} == {
        "root": "ecdsa",
        "targets": kind,
        "snapshot": kind,
    }


def test_the_root_key_is_used_again_and_another_key_when_named(desk: Desk) -> None:
    """
    A second collection gets the root key that is here, and the targets key that ``--use`` names by its beginning.
    """
    desk.do("init", desk.gun)
    root = keys(desk)["root"]["id"]
    targets = desk.run("key", "generate", "--role", "targets").out.strip()
    other = f"{desk.gun}-other"

    desk.do("init", "--use", targets[:12], other)

    assert roles(desk, other)["targets"] == [targets]
    listed = json.loads(desk.do("key", "list", "--format", "json").out)["keys"]
    assert [key["id"] for key in listed if key["role"] == "root"] == [root]
    assert len(listed) == 3


def test_several_root_keys_are_not_chosen_from(desk: Desk) -> None:
    """
    Which of two root keys it is to be, somebody has to say; nothing is made until then.
    """
    first, second = (desk.run("key", "generate", "--role", "root").out.strip() for _ in range(2))
    before = desk.holdings()

    said = desk.run("init", desk.gun)

    assert (said.code, said.out) == (2, "")
    assert said.talk[0] == f"trustreg: several root keys are here: {', '.join(sorted((first, second)))}"
    assert said.talk[1] == "  remedy: say which with --use, of `trustreg init` or `convert`"
    assert desk.holdings() == before
    desk.do("init", "--use", second, desk.gun)


def test_no_passphrase_no_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without anybody to ask for a passphrase nothing is made and nothing is published, and the remedy is named.
    """
    monkeypatch.delenv("TRUSTREG_PASSPHRASE")

    said = desk.run("init", desk.gun)

    assert (said.code, said.out) == (2, "")
    assert "there is nobody to ask for a passphrase" in said.talk[0]
    assert said.talk[1].startswith("  remedy: set TRUSTREG_PASSPHRASE")
    assert desk.run("list", desk.gun).code == 1
    assert not list(desk.trust_dir.rglob("*.pem"))
