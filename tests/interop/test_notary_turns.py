"""Both tools publish to one collection in turn, and at the same time, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_notary_reads import delegate, row, sha256
from tests.interop.test_notary_writes import push, signed
from tests.interop.test_peers import signer
from tests.peers import TargetRow, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import GoNotary, Peer, RegistryPeer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

ROUNDS = 10


@pytest.mark.parametrize(("began", "hold"), [("go", True), ("trustreg", False)])
def test_ten_rounds_with_the_same_keys(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, began: str, *, hold: bool
) -> None:
    """
    One shared trust directory, one set of keys, whoever made them; each tool publishes ten tags, taking turns. A
    reader of each kind follows with a warm cache, and in the end all is there for those who come new, too.
    """
    go = go_notary(trust_server)
    if began == "trustreg":  # a folder of this name is in the form of Go's client from the start
        go.trust_dir = go.trust_dir.with_name(".notary")
        go = type(go)(trust_server, go.trust_dir)
    person = people(trust_server, registry=registry, trust_dir=go.trust_dir)
    if began == "trustreg":
        person.run("init", gun, "--kind", "ecdsa", *["--hold-snapshot-key"] * hold)
    else:
        go.init(gun, publish=True)
        go.key_rotate(gun, "snapshot", server_managed=not hold)
    go_reader, reader = go_notary(trust_server), people(trust_server)
    expected = []
    for number in range(ROUNDS):
        ours, theirs = f"ours-{number}", f"theirs-{number}"
        pushed = push(registry, gun, ours)
        person.run("sign", f"{gun}:{ours}")
        go.addhash(gun, theirs, len(theirs), sha256=sha256(theirs), publish=True)
        expected += [signed(ours, pushed), row(theirs)]
        if number % 3 == 0:
            assert sorted(expected, key=str) == go_reader.list(gun) == reader.list(gun)

    everything = sorted(expected, key=str)
    assert len(everything) == 2 * ROUNDS
    for each in (go_reader, reader, go_notary(trust_server), people(trust_server)):
        assert everything == each.list(gun)
    assert go.status(gun) == []
    version = {role["name"]: role["version"] for role in reader.json("inspect", gun)["roles"]}["targets"]
    assert version >= 2 * ROUNDS + 1  # no publish was built on anything but its predecessor


def test_ed25519_keys_are_for_both(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str
) -> None:
    """
    The usual ed25519 targets key, in a folder shared with Go's client, is one that Go's client signs with, too.
    """
    go = go_notary(trust_server)
    go.key_generate("root")  # so the folder is theirs
    person = people(trust_server, registry=registry, trust_dir=go.trust_dir)
    person.run("init", gun, "--hold-snapshot-key")
    expected = []
    for number in range(2):
        ours, theirs = f"ours-{number}", f"theirs-{number}"
        expected += [signed(ours, push(registry, gun, ours)), row(theirs)]
        person.run("sign", f"{gun}:{ours}")
        go.addhash(gun, theirs, len(theirs), sha256=sha256(theirs), publish=True)

    assert sorted(expected, key=str) == go_notary(trust_server).list(gun) == people(trust_server).list(gun)


def test_ten_rounds_with_a_delegation_each(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Two delegates, each with their own tool, folder, and key for their own role. All they share is the snapshot key.
    """
    owner, go = go_notary(trust_server), go_notary(trust_server)
    person = people(trust_server, registry=registry)
    require("openssl")
    (tmp_path / "theirs").mkdir()
    their_key = signer(tmp_path / "theirs")
    keyid = person.json("key", "generate", "ecdsa", "--role", "targets/releases")["keys"][0]["id"]
    public = tmp_path / "ours.pub"
    person.run("key", "export", keyid, "--public", "-o", public)
    owner.init(gun, publish=True)
    owner.delegation_add(gun, "targets/releases", public, publish=True)
    delegate(owner, gun, "targets/theirs", their_key)
    go.key_import(their_key[1], role="targets/theirs")
    (snapshot,) = (each.key_id for each in owner.key_list() if each.role == "snapshot")
    owner.key_export(tmp_path / "snapshot.pem", snapshot)
    person.run("key", "import", tmp_path / "snapshot.pem")
    go.key_import(tmp_path / "snapshot.pem")
    expected = []
    for number in range(ROUNDS):
        ours, theirs = f"ours-{number}", f"theirs-{number}"
        expected.append(signed(ours, push(registry, gun, ours), "targets/releases"))
        expected.append(row(theirs, "targets/theirs"))
        person.run("sign", f"{gun}:{ours}")
        go.addhash(gun, theirs, len(theirs), sha256=sha256(theirs), roles=["targets/theirs"], publish=True)

    assert sorted(expected, key=str) == go_notary(trust_server).list(gun) == people(trust_server).list(gun)


def test_at_the_same_time(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Both publish at once, again and again. Whoever is told that it worked, it worked for; whoever loses a race can
    publish again; and in the end all is there.
    """
    go = go_notary(trust_server)
    go.init(gun, publish=True)
    go.key_rotate(gun, "snapshot", server_managed=True)
    person = people(trust_server, registry=registry)
    for key in go.key_list():
        if key.role == "targets":
            go.key_export(tmp_path / "targets.pem", key.key_id)
            person.run("key", "import", tmp_path / "targets.pem")
    expected = []

    def theirs(name: str) -> None:
        go.addhash(gun, name, len(name), sha256=sha256(name))
        while go.run("publish", gun, check=False).returncode:
            pass

    def ours(name: str) -> None:
        while (result := person.run("sign", f"{gun}:{name}", check=False)).returncode:
            assert result.returncode == 3, result
            assert "was changed by another publisher at the same time" in result.stderr

    for number in range(5):
        pushed = push(registry, gun, f"ours-{number}")
        expected += [signed(f"ours-{number}", pushed), row(f"theirs-{number}")]
        with ThreadPoolExecutor(2) as pool:
            for done in (pool.submit(theirs, f"theirs-{number}"), pool.submit(ours, f"ours-{number}")):
                done.result(timeout=60)

    assert sorted(expected, key=str) == go_notary(trust_server).list(gun) == people(trust_server).list(gun)


def test_both_read_from_one_folder(trust_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    Go's client replaces cached files while trustreg reads them, and the other way round: neither is ever misled.
    """
    publisher, go = go_notary(trust_server), go_notary(trust_server)
    publisher.init(gun)
    publisher.addhash(gun, "v1", 2, sha256=sha256("v1"), publish=True)
    person = people(trust_server, trust_dir=go.trust_dir)
    go.list(gun)
    expected = [row("v1")]

    def ours() -> None:
        for _ in range(20):
            found = person.verifier().verify(f"{gun}:v1", compare=False)
            assert found.digest.hex == sha256("v1")

    def theirs() -> None:
        for _ in range(20):
            assert set(go.list(gun)) >= {row("v1")}

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ours), pool.submit(theirs)]
        for number in range(5):
            publisher.addhash(gun, f"w{number}", 2, sha256=sha256(f"w{number}"), publish=True)
            expected.append(TargetRow(f"w{number}", sha256(f"w{number}"), 2, "targets"))
        for done in running:
            done.result(timeout=60)

    assert expected == go.list(gun) == person.list(gun)
