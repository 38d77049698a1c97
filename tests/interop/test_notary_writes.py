"""What trustreg publishes, Go's and Docker's readers take for their own; and each publishes what the other staged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.test_notary_reads import add, delegate, row, sha256
from tests.interop.test_peers import signer
from tests.peers import Skopeo, TargetRow, image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.images import Image
    from tests.peers import DockerTrust, GoNotary, Peer, RegistryPeer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

SNAPSHOT = pytest.mark.parametrize("hold", [False, True], ids=["server-snapshot", "client-snapshot"])


def push(registry: RegistryPeer, gun: str, tag: str, what: Image | None = None) -> Image:
    """Push *what*, or an image that is only called *tag*, under *tag* of the repository that *gun* is for."""
    what = what or image(tag)
    Skopeo(registry).push(what, f"{gun.partition('/')[2]}:{tag}")
    return what


def signed(tag: str, what: Image, role: str | None = "targets") -> TargetRow:
    """Give what has to be listed for an image."""
    return TargetRow(tag, what.manifest.hex, len(what.manifest.raw), role)


@SNAPSHOT
def test_go_reads_what_trustreg_published(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, *, hold: bool
) -> None:
    """
    ed25519 targets, the snapshot key on either side: listed, looked up and verified; and a tag taken back is gone.
    """
    publisher, reader = people(trust_server, registry=registry), go_notary(trust_server)
    publisher.run("init", gun, *["--hold-snapshot-key"] * hold)
    one, two = push(registry, gun, "1.0"), push(registry, gun, "2.0")

    publisher.run("sign", f"{gun}:1.0", f"{gun}:2.0")

    assert [signed("1.0", one), signed("2.0", two)] == reader.list(gun) == publisher.list(gun)
    assert reader.lookup(gun, "1.0") == signed("1.0", one, None)
    assert reader.verify(gun, "2.0", two.manifest.raw)
    assert not reader.verify(gun, "2.0", one.manifest.raw)
    kinds = {key["role"]: key["kind"] for key in publisher.json("key", "list")["keys"]}
    assert kinds == {"root": "ecdsa", "targets": "ed25519"} | ({"snapshot": "ed25519"} if hold else {})

    publisher.run("remove", f"{gun}:1.0")
    push(registry, gun, "2.0", image("other"))
    publisher.run("sign", f"{gun}:2.0")

    assert [signed("2.0", image("other"))] == reader.list(gun) == go_notary(trust_server).list(gun)
    assert reader.lookup(gun, "1.0") is None


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_every_kind_of_key(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, kind: str
) -> None:
    """
    A collection of ECDSA or RSA keys throughout, root included, is read like one of the usual kinds.
    """
    publisher = people(trust_server, registry=registry)
    publisher.run("init", gun, "--root-kind", kind, "--kind", kind, "--hold-snapshot-key")
    pushed = push(registry, gun, "1.0")

    publisher.run("sign", f"{gun}:1.0")

    assert [signed("1.0", pushed)] == go_notary(trust_server).list(gun)
    assert {key["kind"] for key in publisher.json("key", "list")["keys"]} == {kind}


@SNAPSHOT
def test_docker_inspects_over_tls(
    trust_server_tls: Peer,
    registry: RegistryPeer,
    docker_trust: Callable[..., DockerTrust],
    people: People,
    gun: str,
    *,
    hold: bool,
) -> None:
    """
    Docker shows the tag with the digest of its manifest, the key that signed it, and refuses nothing.
    """
    publisher, docker = people(trust_server_tls, registry=registry), docker_trust(trust_server_tls)
    publisher.run("init", gun, *["--hold-snapshot-key"] * hold, "--ca", trust_server_tls.ca_file or "")
    assert docker.inspect(gun) is not None
    pushed = push(registry, gun, "1.0")

    publisher.run("sign", f"{gun}:1.0")
    report = docker.inspect(gun)

    assert report is not None
    assert [(tag.tag, tag.sha256, tag.signers) for tag in report.tags] == [
        ("1.0", pushed.manifest.hex, ("Repo Admin",))
    ]
    (targets,) = (key["id"] for key in publisher.json("key", "list")["keys"] if key["role"] == "targets")
    assert report.administrative_keys["Repository"] == (targets,)


def test_docker_signers_sign_with_trustreg(
    trust_server_tls: Peer,
    registry: RegistryPeer,
    docker_trust: Callable[..., DockerTrust],
    people: People,
    gun: str,
    tmp_path: Path,
) -> None:
    """
    Docker makes alice a signer; from Docker's own trust directory, trustreg signs as Docker does: as alice, and
    released. Docker shows alice as who signed.
    """
    docker = docker_trust(trust_server_tls)
    public = docker.key_generate("alice", tmp_path)
    docker.signer_add("alice", gun, [public])
    alice = people(trust_server_tls, registry=registry, trust_dir=docker.trust_dir, passphrases=docker.passphrases)
    pushed = push(registry, gun, "1.0")

    said = alice.run("sign", f"{gun}:1.0").stdout
    report = docker.inspect(f"{gun}:1.0")

    assert [line.rpartition(" says ")[2] for line in said.splitlines()[:2]] == ["targets/alice", "targets/releases"]
    assert report is not None
    assert [(tag.tag, tag.sha256, tag.signers) for tag in report.tags] == [("1.0", pushed.manifest.hex, ("alice",))]
    assert alice.verifier().verify(f"{gun}:1.0").role == "targets/releases"

    alice.run("remove", f"{gun}:1.0")
    report = docker.inspect(gun)
    assert report is not None
    assert report.tags == ()


def test_one_publishes_what_the_other_staged(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Changes that one tool staged in a shared trust directory, the other shows and publishes, custom data and all.
    """
    go = go_notary(trust_server)
    person = people(trust_server, registry=registry, trust_dir=go.trust_dir)
    pushed = push(registry, gun, "ours")
    custom = tmp_path / "custom.json"
    custom.write_text('{"a": [1, null, true], "b": {"c": "d"}}')
    go.init(gun, publish=True)
    add(go, gun, "gone")

    person.run("sign", "--no-publish", f"{gun}:ours")
    assert [(change.action, change.role, change.path) for change in go.status(gun)] == [("create", "targets", "ours")]
    go.publish(gun)
    assert [row("gone"), signed("ours", pushed)] == go_notary(trust_server).list(gun)

    go.addhash(gun, "theirs", 6, sha256=sha256("theirs"), custom=custom)
    go.remove(gun, "gone")
    person.run("publish", gun)
    assert go.status(gun) == []
    assert [signed("ours", pushed), row("theirs")] == go_notary(trust_server).list(gun)

    person.run("remove", "--no-publish", f"{gun}:ours")
    go.publish(gun)
    assert [row("theirs")] == go_notary(trust_server).list(gun) == person.list(gun)
    assert (
        b'"custom":{"a":[1,null,true],"b":{"c":"d"}}'
        in (person.trust_dir / "tuf" / gun / "metadata" / "targets.json").read_bytes()
    )


def test_a_delegation_staged_by_go(trust_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path) -> None:
    """
    It is published with the tags that were staged beside it, and is what Go would have made of it.
    """
    go = go_notary(trust_server)
    person = people(trust_server, trust_dir=go.trust_dir)
    go.init(gun, publish=True)
    go.addhash(gun, "v1", 2, sha256=sha256("v1"))
    go.delegation_add(gun, "targets/releases", signer(tmp_path)[0])
    assert len(go.status(gun)) == 3

    person.run("publish", gun)

    assert go.status(gun) == []
    assert go_notary(trust_server).list(gun) == [row("v1")]
    assert [(each.role, each.paths, each.threshold) for each in go.delegation_list(gun)] == [
        ("targets/releases", ("",), 1)
    ]


def test_a_witness_staged_by_go(trust_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path) -> None:
    """
    What Go marked to be signed anew, trustreg signs anew.
    """
    go = go_notary(trust_server)
    person = people(trust_server, trust_dir=go.trust_dir)
    go.init(gun, publish=True)
    delegate(go, gun, "targets/releases", signer(tmp_path))
    add(go, gun, "v1", role="targets/releases")

    go.witness(gun, "targets/releases")
    said = person.json("publish", gun)["published"]

    assert [(each["versions"], each["changes"]) for each in said] == [
        (
            {"snapshot": said[0]["versions"]["snapshot"], "targets/releases": 2},
            [{"action": "witness", "role": "targets/releases"}],
        )
    ]
    assert go_notary(trust_server).list(gun) == [row("v1", "targets/releases")]


def test_go_takes_the_collection_over(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str
) -> None:
    """
    With the keys that trustreg made and exported for it, Go signs in the collection and rotates its keys.
    """
    publisher, go = people(trust_server, registry=registry), go_notary(trust_server)
    publisher.run("init", gun)
    pushed = push(registry, gun, "1.0")
    publisher.run("sign", f"{gun}:1.0")
    for key in publisher.json("key", "list")["keys"]:
        file = publisher.home / f"{key['role']}.pem"
        publisher.run("key", "export", key["id"], "--form", "notary", "-o", file)
        go.key_import(file)

    add(go, gun, "theirs")
    go.key_rotate(gun, "targets")
    go.key_rotate(gun, "root")
    go.key_rotate(gun, "snapshot")

    assert {each.role for each in go.key_list()} == {"root", "targets", "snapshot"}
    expected = [signed("1.0", pushed), row("theirs")]
    assert expected == go_notary(trust_server).list(gun) == publisher.list(gun) == people(trust_server).list(gun)
    locked_out = publisher.run("sign", f"{gun}:1.0", check=False)
    assert locked_out.returncode == 0  # nothing to change, nothing to sign
    push(registry, gun, "1.1")
    locked_out = publisher.run("sign", f"{gun}:1.1", check=False)
    assert (locked_out.returncode, locked_out.stdout) == (2, "")
    assert "no private key for targets is here" in locked_out.stderr


def test_the_same_name_is_taken(trust_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    Neither tool begins a collection that the other one began; ours says so and makes no key.
    """
    person = people(trust_server)
    go_notary(trust_server).init(gun, publish=True)

    refused = person.run("init", gun, check=False)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"trustreg: the collection {gun} on {trust_server.url} exists already\n"
    assert person.json("key", "list") == {"keys": []}
