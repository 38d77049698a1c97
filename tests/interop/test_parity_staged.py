"""What one tool staged, the other shows and publishes: delegations, targets, witness; and turns on one directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.parity import Hand, go_adds, on, person, role
from tests.interop.test_notary_reads import row
from tests.peers import GoNotary, TargetRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.parity import Crowd
    from tests.peers import Peer


@pytest.fixture
def hand(trust_server_tls: Peer, tmp_path: Path) -> Hand:
    """Somebody with trustreg."""
    return Hand(trust_server_tls, tmp_path / "owner")


@pytest.fixture
def go(hand: Hand, trust_server_tls: Peer) -> GoNotary:
    """The same person with Go's client, on the same trust directory."""
    return GoNotary(trust_server_tls, hand.trust_dir)


@on("notary-server")
def test_staged_by_trustreg(hand: Hand, go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Go's client shows it, and publishes it.
    """
    alice, bob = person(tmp_path, "alice", certificate=True), person(tmp_path, "bob", "rsa")
    hand.run("init", gun, "--kind", "ecdsa", "--hold-snapshot-key")
    releases, qa = "targets/releases", "targets/qa"
    hand.run("key", "import", alice.private, "--role", releases)

    hand.run("delegation", "add", gun, releases, alice.public, bob.public, "--all-paths", "--no-publish")
    hand.run("delegation", "add", gun, qa, bob.public, "--path", "rc-", "--path", "x", "--no-publish")
    hand.sign(gun, "1.0", "--role", "targets", "--no-publish")
    assert [(each.action, each.role, each.kind, each.path) for each in go.status(gun)] == [
        ("create", releases, "delegation", ""),
        ("create", qa, "delegation", ""),
        ("create", "targets", "target", "1.0"),
    ]
    go.publish(gun)
    crowd.see(gun, row("1.0"), roles=[role(releases, alice, bob), role(qa, bob, paths=["rc-", "x"])])

    go_adds(go, gun, "2.0", releases)
    hand.run("delegation", "remove", gun, qa, "--path", "x", "--no-publish")
    hand.run("delegation", "remove", gun, releases, bob.keyid, "--no-publish")
    hand.run("witness", gun, releases, "--no-publish")
    hand.run("remove", "--gun", gun, "--name", "1.0", "--no-publish")
    assert [(each.action, each.role, each.kind, each.path) for each in go.status(gun)] == [
        ("update", qa, "delegation", ""),
        ("update", releases, "delegation", ""),
        ("update", releases, "witness", ""),
        ("delete", "targets", "target", "1.0"),
    ]
    go.publish(gun)
    rows = [row("2.0", releases)]
    crowd.see(gun, *rows, roles=[role(releases, alice), role(qa, bob, paths=["rc-"])])

    hand.run("delegation", "purge", gun, "--key", bob.keyid, "--no-publish")
    assert [(each.action, each.role, each.kind) for each in go.status(gun)] == [("update", "targets/*", "delegation")]
    go.publish(gun)
    crowd.see(gun, *rows, roles=[role(releases, alice), role(qa, paths=["rc-"])])
    hand.run("delegation", "remove", gun, qa, "--yes", "--no-publish")
    assert [(each.action, each.role, each.kind) for each in go.status(gun)] == [("delete", qa, "delegation")]
    go.publish(gun)
    crowd.see(gun, *rows, roles=[role(releases, alice)])


@on("notary-server")
def test_staged_by_go(hand: Hand, go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    And here trustreg does.
    """
    alice, bob = person(tmp_path, "alice", certificate=True), person(tmp_path, "bob", "rsa")
    go.init(gun, publish=True)
    releases, qa = "targets/releases", "targets/qa"
    go.key_import(alice.private, role=releases)

    def staged() -> list[tuple[str, str]]:
        return [(each["action"], each.get("name") or each["role"]) for each in hand.json("status", gun)["staged"]]

    go.delegation_add(gun, releases, alice.public, bob.public)
    go.delegation_add(gun, qa, bob.public, paths=["rc-", "x"])
    go_adds(go, gun, "1.0", "targets", publish=False)
    assert staged() == [("amend", releases)] * 2 + [("amend", qa)] * 2 + [("add", "targets")]
    hand.run("publish", gun)
    crowd.see(gun, row("1.0"), roles=[role(releases, alice, bob), role(qa, bob, paths=["rc-", "x"])])

    go_adds(go, gun, "2.0", releases)
    go.delegation_remove(gun, qa, paths=["x"])
    go.delegation_remove(gun, releases, bob.keyid)
    go.witness(gun, releases)
    go.remove(gun, "1.0")
    assert staged() == [("amend", qa), ("amend", releases), ("witness", releases), ("remove", "targets")]
    hand.run("publish", gun)
    rows = [row("2.0", releases)]
    crowd.see(gun, *rows, roles=[role(releases, alice), role(qa, bob, paths=["rc-"])])

    go_adds(go, gun, "3.0", publish=False)
    hand.run("unstage", gun)
    assert go.status(gun) == []
    hand.sign(gun, "3.0", "--no-publish")
    go.reset(gun)
    assert staged() == []

    go.delegation_purge(gun, bob.keyid)
    assert staged() == [("purge", "targets")]
    hand.run("publish", gun)
    crowd.see(gun, *rows, roles=[role(releases, alice), role(qa, paths=["rc-"])])
    go.delegation_remove(gun, qa)
    assert staged() == [("undelegate", qa)]
    hand.run("publish", gun)
    assert go.status(gun) == []
    crowd.see(gun, *rows, roles=[role(releases, alice)])


def test_ten_turns_with_delegations_and_rotations(
    hand: Hand, go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path
) -> None:
    """
    One trust directory, both tools in turn, each turn another change of who may sign, and a tag with it; readers of
    every kind follow, and in the end nothing is lost.
    """
    alice, bob, carol = (person(tmp_path, name) for name in ("alice", "bob", "carol"))
    releases, qa = "targets/releases", "targets/qa"
    go.init(gun, publish=True)
    hand.run("key", "import", alice.private, "--role", releases)
    go.key_import(bob.private, role=releases)
    go.key_import(carol.private, role=qa)
    turns: tuple[Callable[[], object], ...] = (
        lambda: go.delegation_add(gun, releases, alice.public, publish=True),
        lambda: hand.run("key", "rotate", gun, "targets", "--kind", "ecdsa"),
        lambda: go.key_rotate(gun, "root"),
        lambda: hand.run("delegation", "add", gun, qa, carol.public, "--path", "qa-"),
        lambda: go.key_rotate(gun, "snapshot", server_managed=True),
        lambda: hand.run("key", "rotate", gun, "root"),
        lambda: go.delegation_add(gun, releases, bob.public, publish=True),
        lambda: hand.run("key", "rotate", gun, "snapshot", "--kind", "ecdsa"),
        lambda: go.delegation_remove(gun, releases, alice.keyid, publish=True),
        lambda: hand.run("witness", gun, releases),
    )
    rows: list[TargetRow] = []
    for number, turn in enumerate(turns):
        turn()
        name = f"v{number}"
        where = releases if number != 8 else "targets"  # nobody may sign what alice had signed until it is witnessed
        if number % 2:
            hand.sign(gun, name, "--role", where)
        else:
            go_adds(go, gun, name, where)
        rows.append(row(name, where))
        if number != 8:
            crowd.find(gun, *rows, roles=[releases])
    go_adds(go, gun, "qa-1", qa)
    roles = [role(releases, bob), role(qa, carol, paths=["qa-"])]
    crowd.see(gun, *rows, row("qa-1", qa), roles=roles)
    assert go.status(gun) == hand.json("status", gun)["staged"] == []
