"""Every command of Go's client and of ``docker trust`` that changes a collection, seen by trustreg."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.interop.parity import Crowd, Hand, go_adds, on, person, role, root_certificate
from tests.interop.test_notary_reads import row, sha256
from tests.peers import DockerTrust, GoNotary, TargetRow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peers import Peer


@pytest.fixture
def go(trust_server_tls: Peer, tmp_path: Path) -> GoNotary:
    """Who owns the collection."""
    (tmp_path / "go-owner").mkdir()
    return GoNotary(trust_server_tls, tmp_path / "go-owner" / "trust")


@pytest.fixture
def docker(trust_server_tls: Peer, tmp_path: Path) -> DockerTrust:
    """Who owns the collection."""
    return DockerTrust(trust_server_tls, tmp_path / "docker-owner")


@on("notary-server-postgres", "trustreg-serve")
def test_targets(go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Begun with and without publishing, add, addhash by either digest, custom data, roles, remove.
    """
    alice = person(tmp_path, "alice")
    manual, custom = tmp_path / "manual.pdf", tmp_path / "custom.json"
    manual.write_bytes(b"a manual")
    custom.write_text('{"a":[1,null,true],"b":"\u00e9"}')
    go.init(gun)
    assert crowd.hand.run("inspect", gun, check=False).returncode == 1
    go.add(gun, "manual.pdf", manual, custom=custom)
    go.publish(gun)
    crowd.find(gun, TargetRow("manual.pdf", sha256("a manual"), 8, "targets"))
    assert crowd.hand.json("check", "--gun", gun, "manual.pdf", manual)["files"][0]["custom"] == {
        "a": [1, None, True],
        "b": "\u00e9",
    }

    go.delegation_add(gun, "targets/releases", alice.public, publish=True)
    go.key_import(alice.private, role="targets/releases")
    go_adds(go, gun, "both", "targets", "targets/releases")
    go.addhash(gun, "512", 3, sha256=sha256("512"), sha512=hashlib.sha512(b"512").hexdigest(), publish=True)
    go.remove(gun, "manual.pdf", publish=True)
    go.remove(gun, "both", roles=["targets"], publish=True)
    crowd.see(gun, row("both", "targets/releases"), row("512"), roles=[role("targets/releases", alice)])
    go.run("delete", gun, "--remote")
    assert crowd.hand.run("inspect", gun, check=False).returncode == 1


@on("notary-server-postgres", "trustreg-serve")
def test_init_with_keys_and_certificates(go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    A root key of one's own, and a certificate for it that a CA issued.
    """
    root, hand = person(tmp_path, "root"), Hand(crowd.server, tmp_path / "maker")
    certificate, key = root_certificate(tmp_path, gun, root), tmp_path / "root.key.pem"
    hand.run("key", "import", root.private, "--role", "root")
    hand.run("key", "export", root.keyid, "--form", "notary", "-o", key)
    go.run("init", gun, "--rootkey", key, "--rootcert", certificate, "-p")
    go_adds(go, gun, "1.0")
    crowd.see(gun, row("1.0"))
    assert [each.key_id for each in go.key_list() if each.role == "root"] == [root.keyid]


@on("notary-server-postgres", "trustreg-serve")
def test_delegations(go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Added, with several keys and paths, narrowed, purged, witnessed after another key came, and removed.
    """
    alice, bob = person(tmp_path, "alice", "rsa"), person(tmp_path, "bob", certificate=True)
    carol = person(tmp_path, "carol")
    go.init(gun, publish=True)
    go.delegation_add(gun, "targets/releases", alice.public, bob.public, publish=True)
    go.delegation_add(gun, "targets/qa", alice.public, paths=["rc-", "beta-"], publish=True)
    go.delegation_add(gun, "targets/qa/deep", bob.public, paths=["rc-1"])
    go.key_import(alice.private, role="targets/releases")
    go.key_import(bob.private, role="targets/qa/deep")
    go.publish(gun)
    go_adds(go, gun, "1.0", "targets/releases")
    go_adds(go, gun, "rc-2", "targets/qa")
    go_adds(go, gun, "rc-10", "targets/qa/deep")
    rows = [row("1.0", "targets/releases"), row("rc-2", "targets/qa"), row("rc-10", "targets/qa/deep")]
    deep = role("targets/qa/deep", bob, paths=["rc-1"])
    qa = role("targets/qa", alice, paths=["beta-", "rc-"])
    crowd.see(gun, *rows, roles=[role("targets/releases", alice, bob), qa, deep])

    go.delegation_remove(gun, "targets/releases", bob.keyid, publish=True)
    go.delegation_remove(gun, "targets/qa", paths=["beta-"], publish=True)
    qa = role("targets/qa", alice, paths=["rc-"])
    crowd.see(gun, *rows, roles=[role("targets/releases", alice), qa, deep])
    go.delegation_remove(gun, "targets/qa", publish=True)
    crowd.see(gun, rows[0], roles=[role("targets/releases", alice)])
    go.delegation_purge(gun, alice.keyid, publish=True)
    crowd.see(gun, roles=[role("targets/releases")])
    go.key_import(carol.private, role="targets/releases")
    go.delegation_add(gun, "targets/releases", carol.public, paths=[], publish=True)
    go.witness(gun, "targets/releases", publish=True)
    crowd.see(gun, rows[0], roles=[role("targets/releases", carol)])


def test_every_key_is_rotated(go: GoNotary, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Each role in turn, snapshots to the server and back; trustreg follows, after two roots that it missed, too.
    """
    go.init(gun, publish=True)
    go_adds(go, gun, "1.0")
    crowd.find(gun, row("1.0"))
    late = Crowd(crowd.server, tmp_path / "late")
    late.find(gun, row("1.0"))
    for name, managed in (
        ("targets", False),
        ("root", False),
        ("snapshot", True),
        ("timestamp", True),
        ("snapshot", True),
        ("root", False),
        ("snapshot", False),
    ):
        before = crowd.hand.signs(gun)
        go.key_rotate(gun, name, server_managed=managed)
        after = crowd.hand.signs(gun)
        assert {each for each in before if before[each] != after[each]} == {name}
        crowd.find(gun, row("1.0"))
    go_adds(go, gun, "1.1")
    crowd.see(gun, row("1.0"), row("1.1"))
    late.see(gun, row("1.0"), row("1.1"))


@on("trustreg-serve")
def test_docker(docker: DockerTrust, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Keys made and loaded, signers added and removed, a tag that is released signed by another, tags revoked.
    """
    alice, bob = docker.key_generate("alice", tmp_path), person(tmp_path, "bob")
    docker.key_load(bob.private, "bob")
    docker.signer_add("alice", gun, [alice])
    docker.signer_add("bob", gun, [bob.public])
    hand = Hand(crowd.server, tmp_path / "hand", trust_dir=docker.trust_dir)
    assert {each["name"] for each in hand.json("signer", "list", gun)["signers"]} == {"alice", "bob"}
    crowd.agree(gun)

    hand.sign(gun, "1.0", "--role", "targets/alice", "--role", "targets/releases")
    hand.sign(gun, "2.0")
    assert [tag["Signers"] for tag in crowd.agree(gun)[0]["SignedTags"]] == [["alice"], ["alice", "bob"]]
    docker.run("sign", f"{gun}:1.0")
    assert [tag["Signers"] for tag in crowd.agree(gun)[0]["SignedTags"]] == [["alice", "bob"], ["alice", "bob"]]

    docker.revoke(f"{gun}:1.0")
    assert [tag["SignedTag"] for tag in crowd.agree(gun)[0]["SignedTags"]] == ["2.0"]
    docker.revoke(gun)
    assert crowd.agree(gun)[0]["SignedTags"] == []
    hand.run("signer", "remove", "bob", gun)
    hand.run("witness", gun, "targets/releases")  # Docker 28 removes only who alone has signed it
    docker.signer_remove("alice", gun)
    crowd.see(gun, roles=[role("targets/releases")])
    assert hand.json("signer", "list", gun)["signers"] == []
