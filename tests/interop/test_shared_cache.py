"""Cached metadata in one folder: what either tool wrote is good for the other, and what is spoilt harms neither."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.interop.test_notary_reads import add, delegate, row
from tests.interop.test_peers import signer
from tests.peers import GoNotary, TargetRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import Peer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

ROLES = ("root", "timestamp", "snapshot", "targets", "targets/releases", "targets/releases/ours")
EXPECTED = [row("v1"), row("v4", "targets/releases"), row("v5", "targets/releases/ours")]


@pytest.fixture
def owner(go_server: Peer, go_notary: Go, gun: str, tmp_path: Path) -> GoNotary:
    """Whoever publishes: two levels of delegations, and a tag in each role."""
    go = go_notary(go_server)
    go.init(gun, publish=True)
    add(go, gun, "v1")
    for number, role in enumerate(ROLES[4:], 4):
        folder = tmp_path / str(number)
        folder.mkdir()
        delegate(go, gun, role, signer(folder))
        add(go, gun, f"v{number}", role=role)
    return go


def cached(trust_dir: Path, gun: str) -> dict[str, bytes]:
    """Return the cached files by role."""
    folder = trust_dir / "tuf" / gun / "metadata"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}
    return {name.removesuffix(".json"): raw for name, raw in files.items()}


def spoil(trust_dir: Path, gun: str, role: str, how: str) -> None:
    """Take a cached file away, cut it, or put nothing in its place."""
    path = trust_dir / "tuf" / gun / "metadata" / f"{role}.json"
    raw = path.read_bytes()
    path.unlink()
    if how != "absent":
        path.write_bytes(raw[: len(raw) // 2] if how == "cut" else b"")


def read(person: Trustreg, gun: str) -> tuple[list[TargetRow], list[str]]:
    """Read all roles of a collection; return their tags, and which files the server was asked for."""
    asked: list[str] = []
    entries = person.verifier(trace=asked.append).contents(gun).entries
    found = [TargetRow(each.tag, each.digest.hex, each.length, each.role) for each in entries]
    return sorted(found, key=str), [line.partition("/_trust/tuf/")[2].partition(".json")[0] for line in asked]


def alone(go: GoNotary) -> GoNotary:
    """Return Go's client with the same folder, and nobody to ask: it reads what is cached."""
    nobody = SimpleNamespace(url="http://127.0.0.1:9", ca_file=None)
    return GoNotary(cast("Peer", nobody), go.trust_dir, passphrases=go.passphrases)


@pytest.mark.usefixtures("owner")
def test_we_read_what_go_cached(go_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    Nothing that it holds is asked for again but the root, whom we have not met, and the timestamp; nor is it changed.
    """
    go = go_notary(go_server)
    assert go.list(gun) == EXPECTED
    before = cached(go.trust_dir, gun)
    person = people(go_server, trust_dir=go.trust_dir)

    assert read(person, gun) == (EXPECTED, ["root", "2.root", "timestamp"])
    assert read(person, gun) == (EXPECTED, ["2.root", "timestamp"])
    assert cached(go.trust_dir, gun) == before
    assert set(before) == set(ROLES)


@pytest.mark.usefixtures("owner")
def test_go_reads_what_we_cached(go_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    Every role, with nobody to ask; and with the server it finds nothing to fetch anew.
    """
    go, other = go_notary(go_server), go_notary(go_server)
    person = people(go_server, trust_dir=go.trust_dir)
    read(person, gun)
    before = cached(go.trust_dir, gun)

    assert alone(go).list(gun) == EXPECTED
    assert go.list(gun) == EXPECTED
    assert cached(go.trust_dir, gun) == before
    assert other.list(gun) == EXPECTED
    assert cached(other.trust_dir, gun) == before  # the same bytes, whoever fetched them


def test_rotations_seen_by_one_are_followed_by_the_other(
    go_server: Peer, owner: GoNotary, go_notary: Go, people: People, gun: str
) -> None:
    """
    After each, one tool reads first and the other from what it cached; then they change places.
    """
    go = go_notary(go_server)
    person = people(go_server, trust_dir=go.trust_dir)
    readers: list[Callable[[], list[TargetRow]]] = [lambda: read(person, gun)[0], lambda: go.list(gun)]
    for role in ("targets", "snapshot", "root", "timestamp", "server", "root"):
        server_managed = role in {"timestamp", "server"}
        owner.key_rotate(gun, "snapshot" if role == "server" else role, server_managed=server_managed)

        assert (role, [reader() for reader in readers]) == (role, [EXPECTED, EXPECTED])
        assert alone(go).list(gun) == EXPECTED
        readers.reverse()


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("how", ["absent", "cut", "empty"])
def test_what_is_spoilt_is_fetched_again(go_server: Peer, go_notary: Go, people: People, gun: str, how: str) -> None:
    """
    Each file in turn, in a folder that Go filled and in one that we filled: we read on and put it right, and then Go
    reads it again, with nobody to ask. A snapshot that is not there at all is what Go leaves where the server signs it.
    """
    by_go, by_us = go_notary(go_server), go_notary(go_server)
    by_go.list(gun)
    read(people(go_server, trust_dir=by_us.trust_dir), gun)
    whole = cached(by_go.trust_dir, gun)
    for go in (by_go, by_us):
        person = people(go_server, trust_dir=go.trust_dir)
        for role in ROLES:
            spoil(go.trust_dir, gun, role, how)

            assert (role, read(person, gun)[0]) == (role, EXPECTED)
            assert (role, cached(go.trust_dir, gun)) == (role, whole)
            assert alone(go).list(gun) == EXPECTED
