"""Trust directories of clients before Notary 0.4: used as they are, moved when asked, and Go's client goes on there."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_kill import Life, kill_after, spread
from tests.interop.test_notary_reads import row, sha256
from tests.interop.test_notary_writes import push, signed
from tests.old_keys import Era, lay
from trustreg.sign.keyfile import key_id, read_key_file
from trustreg.sign.signer import LocalSigner, describe
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import DockerTrust, GoNotary, Passphrases, Peer, RegistryPeer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

ERAS: tuple[Era, ...] = ("0.1", "0.3")
MOMENTS = 60 if os.environ.get("TRUSTREG_FULL") else 5


def age(trust_dir: Path, passphrases: Passphrases, era: Era, *, plain: bool = False) -> dict[Path, bytes]:
    """Put every key of *trust_dir* where a client of *era* would have it; return the files there are then."""
    for path in list((trust_dir / "private").glob("*.key")):
        (sealed,) = read_key_file(path.read_bytes(), str(path))
        role = sealed.role or ""
        passphrase = getattr(passphrases, role, passphrases.delegation)
        private = sealed.open(passphrase)
        lay(trust_dir, private, role, sealed.gun, era=era, passphrase=None if plain else passphrase)
        path.unlink()
    return keys(trust_dir)


def keys(trust_dir: Path) -> dict[Path, bytes]:
    """Return the key files below *trust_dir*."""
    return {path: path.read_bytes() for path in (trust_dir / "private").rglob("*.key")}


@pytest.mark.parametrize(("era", "plain"), [("0.1", False), ("0.3", True)], ids=["encrypted", "plain"])
def test_both_publish_before_and_after(
    go_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, era: Era, *, plain: bool
) -> None:
    """
    We sign with keys where they are, and no file changes; we move them when asked; then both tools sign in turn.
    """
    go = go_notary(go_server)
    go.init(gun, publish=True)
    old = age(go.trust_dir, go.passphrases, era, plain=plain)
    person = people(go_server, registry=registry, trust_dir=go.trust_dir)

    first = signed("ours", push(registry, gun, "ours"))
    person.run("sign", f"{gun}:ours")
    listed = person.json("key", "list")["keys"]

    assert {key["where"] for key in listed} == {str(path) for path in old}
    assert keys(go.trust_dir) == old
    moved = person.json("key", "migrate")
    assert {key["id"] for key in moved["keys"]} == {key["id"] for key in listed}
    assert {(row.role, row.key_id) for row in go.key_list()} == {(key["role"], key["id"]) for key in listed}
    go.addhash(gun, "theirs", 6, sha256=sha256("theirs"), publish=True)
    go.key_rotate(gun, "targets")  # with the root key
    second = signed("more", push(registry, gun, "more"))
    person.run("sign", f"{gun}:more")
    expected = sorted([first, row("theirs"), second], key=str)
    assert expected == go_notary(go_server).list(gun) == people(go_server).list(gun)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("passphrase", ["repository passphrase", None], ids=["encrypted", "plain"])
def test_what_we_move_is_what_go_would_have_moved(
    go_server: Peer, go_notary: Go, people: People, era: Era, passphrase: str | None
) -> None:
    """
    File by file and byte by byte, for every kind of key that those clients had.
    """
    go, ours = go_notary(go_server), go_notary(go_server)
    for role, name in (("root", "RSA"), ("targets", "P256"), ("snapshot", "P384"), ("timestamp", "P521")):
        lay(go.trust_dir, getattr(maker, name), role, "registry.example:5000/team/app", era=era, passphrase=passphrase)
    shutil.copytree(go.trust_dir, ours.trust_dir)

    people(go_server, trust_dir=ours.trust_dir).run("key", "migrate")
    listed = go.key_list()  # which moves them

    theirs = {path.name: raw for path, raw in keys(go.trust_dir).items()}
    assert len(theirs) == len(listed) == 4
    assert {path.name: raw for path, raw in keys(ours.trust_dir).items()} == theirs
    assert sorted(path.name for path in (ours.trust_dir / "private").iterdir()) == sorted([".lock", *theirs])


def test_docker_goes_on_with_what_we_moved(
    go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], people: People, gun: str, tmp_path: Path
) -> None:
    """
    A root key and a signer's key of old are those that Docker begins a collection with, and reports.
    """
    docker = docker_trust(go_server_tls)
    lay(docker.trust_dir, maker.RSA, "root", era="0.1", passphrase=docker.passphrases.root)
    lay(docker.trust_dir, maker.P256, "alice", era="0.3", passphrase=docker.passphrases.delegation)
    person = people(go_server_tls, trust_dir=docker.trust_dir)
    ids = {key["role"]: key["id"] for key in person.json("key", "migrate")["keys"]}
    person.run("key", "export", ids["alice"], "--public", "-o", tmp_path / "alice.pub")

    docker.signer_add("alice", gun, [tmp_path / "alice.pub"])

    report = docker.inspect(gun)
    assert report is not None
    assert report.signers == {"alice": (ids["alice"],)}
    assert [key["id"] for key in person.json("key", "list")["keys"] if key["role"] == "root"] == [ids["root"]]


@pytest.mark.slow
def test_a_migration_that_is_killed(go_server: Peer, go_notary: Go, people: People) -> None:
    """
    At any moment: every key is there for both, no file is half written, and again it comes to its end.
    """
    private = [LocalSigner.generate("ecdsa").private for _ in range(10)]
    ids = {key_id(*describe(key.public_key())) for key in private}
    go = go_notary(go_server)
    person = people(go_server, trust_dir=go.trust_dir)

    def begin() -> None:
        shutil.rmtree(go.trust_dir, ignore_errors=True)
        for number, key in enumerate(private):
            lay(go.trust_dir, key, "targets", f"registry.example/{number}", passphrase="repository passphrase")

    def migrate() -> None:
        begin()
        person.run("key", "migrate")

    life = Life(migrate)
    for share in spread(MOMENTS, random.Random("migrate")):
        begin()
        kill_after(person, share * life.seconds, "key", "migrate")

        assert {key["id"] for key in person.json("key", "list")["keys"]} == ids
        for path, raw in keys(go.trust_dir).items():
            assert read_key_file(raw, str(path))[0].open("repository passphrase")
        person.run("key", "migrate")
        assert {row.key_id for row in go.key_list()} == ids
        assert person.json("key", "migrate") == {"backup": None, "keys": []}
