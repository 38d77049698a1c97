"""Change files in one folder: what either tool stages, the other shows and publishes, one after another or mixed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.test_notary_reads import add, delegate, row, sha256
from tests.interop.test_peers import signer
from tests.peers import TargetRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import GoNotary, Peer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

RELEASES = "targets/releases"
CUSTOM = {"a": [1, None, True], "b": {"c": "d"}}


@pytest.fixture
def both(go_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path) -> tuple[GoNotary, Trustreg]:
    """Both tools in one folder, with keys for targets and targets/releases, and tags to be taken out again."""
    go = go_notary(go_server)
    go.init(gun, publish=True)
    delegate(go, gun, RELEASES, signer(tmp_path))
    add(go, gun, "gone", "stays")
    add(go, gun, "old", role=RELEASES)
    return go, people(go_server, trust_dir=go.trust_dir)


def staged(go: GoNotary, gun: str) -> list[tuple[str, str, str, str]]:
    """Say what Go shows of the change files."""
    return [(change.action, change.role, change.kind, change.path) for change in go.status(gun)]


def metadata(go_server: Peer, gun: str, people: People) -> dict[str, Any]:
    """Return the targets that a new reader finds, of both roles by their names."""
    person = people(go_server)
    person.run("list", gun)
    folder = person.trust_dir / "tuf" / gun / "metadata"
    files = [json.loads((folder / f"{role}.json").read_bytes()) for role in ("targets", RELEASES)]
    return {name: meta for file in files for name, meta in file["signed"]["targets"].items()}


def test_go_publishes_all_that_we_stage(
    go_server: Peer, go_notary: Go, people: People, gun: str, both: tuple[GoNotary, Trustreg]
) -> None:
    """
    Files, digests with sha512, custom data, removals, witnessed roles; in targets and in a delegation.
    """
    go, person = both
    (person.home / "payload").write_bytes(b"file")
    file = ("--no-publish", "--gun", gun)
    hex512 = "ab" * 64

    person.run(
        "add", *file, "--name", "file", "--role", "targets", "--custom", json.dumps(CUSTOM), person.home / "payload"
    )
    digests = ("--digest", f"sha256:{sha256('both')}", "--digest", f"sha512:{hex512}", "--length", "4")
    person.run("add", *file, "--name", "both", "--role", RELEASES, *digests)
    person.run("remove", *file, "--name", "gone", "--role", "targets")
    person.run("remove", *file, "--name", "old", "--role", RELEASES)
    person.run("witness", "--no-publish", gun, RELEASES)

    assert staged(go, gun) == [
        ("create", "targets", "target", "file"),
        ("create", RELEASES, "target", "both"),
        ("delete", "targets", "target", "gone"),
        ("delete", RELEASES, "target", "old"),
        ("update", RELEASES, "witness", ""),
    ]
    go.publish(gun)
    assert staged(go, gun) == []
    assert [
        TargetRow("both", sha256("both"), 4, RELEASES),
        TargetRow("file", sha256("file"), 4, "targets"),
        row("stays"),
    ] == go_notary(go_server).list(gun)
    found = metadata(go_server, gun, people)
    assert found["file"]["custom"] == CUSTOM
    assert set(found["both"]["hashes"]) == {"sha256", "sha512"}


def test_we_publish_all_that_go_stages(
    go_server: Peer, go_notary: Go, people: People, gun: str, both: tuple[GoNotary, Trustreg]
) -> None:
    """
    The same, the other way round.
    """
    go, person = both
    (person.home / "payload").write_bytes(b"file")
    (person.home / "custom").write_text(json.dumps(CUSTOM, separators=(",", ":")))

    go.add(gun, "file", person.home / "payload", custom=person.home / "custom")
    go.addhash(gun, "both", 4, sha256=sha256("both"), sha512="ab" * 64, roles=[RELEASES])
    go.remove(gun, "gone")
    go.remove(gun, "old", roles=[RELEASES])
    go.witness(gun, RELEASES)

    person.run("publish", gun)
    assert staged(go, gun) == []
    assert [
        TargetRow("both", sha256("both"), 4, RELEASES),
        TargetRow("file", sha256("file"), 4, "targets"),
        row("stays"),
    ] == go_notary(go_server).list(gun)
    found = metadata(go_server, gun, people)
    assert found["file"]["custom"] == CUSTOM
    assert set(found["both"]["hashes"]) == {"sha256", "sha512"}


@pytest.mark.parametrize("publisher", ["go", "ours"])
def test_mixed_changes_are_published_in_their_order(
    go_server: Peer, go_notary: Go, gun: str, both: tuple[GoNotary, Trustreg], publisher: str
) -> None:
    """
    What one tool staged, the other takes back or replaces; whoever publishes, the last word counts.
    """
    go, person = both
    ours = ("--no-publish", "--gun", gun, "--role", "targets", "--name")

    go.addhash(gun, "a", 1, sha256=sha256("first"))
    person.run("remove", *ours, "a", check=False)
    person.run("add", *ours, "b", "--digest", f"sha256:{sha256('first')}", "--length", "1")
    go.addhash(gun, "b", 1, sha256=sha256("second"))
    go.addhash(gun, "c", 1, sha256=sha256("first"))
    person.run("add", *ours, "c", "--digest", f"sha256:{sha256('second')}", "--length", "1")
    person.run("remove", *ours, "stays")
    go.addhash(gun, "stays", 1, sha256=sha256("second"))
    assert len(go.status(gun)) >= 7

    if publisher == "go":
        go.publish(gun)
    else:
        person.run("publish", gun)

    rows = {each.name: each.sha256 for each in go_notary(go_server).list(gun)}
    assert {name: rows[name] for name in ("b", "c", "stays")} == dict.fromkeys(("b", "c", "stays"), sha256("second"))
    assert staged(go, gun) == []
