"""Every command of trustreg that changes a collection of Notary's, seen by Go's client and by Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.parity import Crowd, Hand, go_adds, on, person, role, root_certificate
from tests.interop.test_notary_reads import row, sha256
from tests.peers import CommandError, GoNotary, TargetRow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peers import Peer


@pytest.fixture
def owner(trust_server_tls: Peer, tmp_path: Path) -> Hand:
    """Who owns the collection."""
    return Hand(trust_server_tls, tmp_path / "owner")


def test_delegations(owner: Hand, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Certificates and plain keys, ECDSA and RSA; several paths, several keys, two of two; and all of it taken back.
    """
    alice, bob = person(tmp_path, "alice", certificate=True), person(tmp_path, "bob", "rsa")
    carol = person(tmp_path, "carol", "rsa", certificate=True)
    owner.run("init", gun)
    owner.sign(gun, "1.0")

    owner.run("delegation", "add", gun, "targets/releases", alice.public, "--all-paths")
    owner.run("delegation", "add", gun, "targets/qa", bob.public, "--path", "rc-", "--path", "beta-")
    released, qa = role("targets/releases", alice), role("targets/qa", bob, paths=("beta-", "rc-"))
    crowd.see(gun, row("1.0"), roles=[released, qa])

    owner.run("key", "import", alice.private, "--role", "targets/releases")
    owner.run("key", "import", bob.private, carol.private, "--role", "targets/qa")
    owner.sign(gun, "2.0")
    owner.sign(gun, "rc-1", "--role", "targets/qa")
    rows = [row("1.0"), row("2.0", "targets/releases"), row("rc-1", "targets/qa")]
    crowd.see(gun, *rows, roles=[released, qa])
    with pytest.raises(CommandError, match="the role may not speak for this name"):
        owner.sign(gun, "final", "--role", "targets/qa")

    owner.run("delegation", "add", gun, "targets/qa", carol.public, "--threshold", "2")
    owner.sign(gun, "beta-1", "--role", "targets/qa")
    qa = role("targets/qa", bob, carol, paths=("beta-", "rc-"), threshold=2)
    rows.append(row("beta-1", "targets/qa"))
    crowd.see(gun, *rows, roles=[released, qa])

    owner.run("delegation", "remove", gun, "targets/qa", carol.public, "--threshold", "1", "--path", "beta-")
    with pytest.raises(CommandError, match=f"none of its keys are called {carol.keyid[:8]}"):
        owner.run("delegation", "remove", gun, "targets/qa", carol.keyid[:8])
    crowd.see(gun, *rows[:3], roles=[released, role("targets/qa", bob, paths=("rc-",))])
    owner.run("delegation", "remove", gun, "targets/qa", "--all-paths")
    crowd.see(gun, *rows[:2], roles=[released, role("targets/qa", bob, paths=())])
    owner.run("delegation", "remove", gun, "targets/qa", "--yes")
    (key,) = owner.json("key", "generate", "ed25519", "--role", "targets/ed")["keys"]
    owner.run("delegation", "add", gun, "targets/ed", key["id"][:8], "--path", "ed-")  # Go reads it, and cannot add it
    owner.sign(gun, "ed-1", "--role", "targets/ed")
    rows[2:] = [row("ed-1", "targets/ed")]
    crowd.see(gun, *rows, roles=[released, role("targets/ed", key["id"], paths=("ed-",))])


@on("notary-server", "trustreg-serve")
def test_purge_witness_and_begin_again(owner: Hand, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    A purged key signs nowhere; what it signed counts again once a new key has witnessed it. A role that is deleted and
    delegated again goes on where it was, so that readers who knew it take nothing for a step back.
    """
    alice, bob, carol = (person(tmp_path, name) for name in ("alice", "bob", "carol"))
    owner.run("init", gun, "--hold-snapshot-key")
    for each in ("targets/releases", "targets/qa"):
        owner.run("delegation", "add", gun, each, alice.public, "--all-paths")
    owner.run("delegation", "add", gun, "targets/qa", carol.public)
    owner.run("key", "import", alice.private, "--role", "targets/releases")
    owner.run("key", "import", carol.private, "--role", "targets/qa")
    owner.sign(gun, "1.0", "--role", "targets/releases")
    owner.sign(gun, "rc-1", "--role", "targets/qa")
    released = row("1.0", "targets/releases")
    roles = [role("targets/releases", alice), role("targets/qa", alice, carol)]
    crowd.see(gun, released, row("rc-1", "targets/qa"), roles=roles)

    said = owner.run("delegation", "purge", gun, "--key", alice.keyid).stderr
    assert f"targets/releases counts for nobody until one who may sign it has run `trustreg witness {gun}" in said
    crowd.see(gun, row("rc-1", "targets/qa"), roles=[role("targets/releases"), role("targets/qa", carol)])

    owner.run("delegation", "add", gun, "targets/releases", bob.public)
    owner.run("key", "import", bob.private, "--role", "targets/releases")
    owner.run("witness", gun, "targets/releases")
    roles = [role("targets/releases", bob), role("targets/qa", carol)]
    crowd.see(gun, released, row("rc-1", "targets/qa"), roles=roles)

    before = owner.versions(gun)["targets/releases"]
    owner.run("delegation", "remove", gun, "targets/releases", "--yes")
    crowd.see(gun, row("rc-1", "targets/qa"), roles=roles[1:])
    owner.run("delegation", "add", gun, "targets/releases", bob.public, "--path", "2")
    roles = [role("targets/releases", bob, paths=("2",)), role("targets/qa", carol)]
    crowd.see(gun, row("rc-1", "targets/qa"), roles=roles)
    owner.sign(gun, "2.0", "--role", "targets/releases")
    crowd.see(gun, row("rc-1", "targets/qa"), row("2.0", "targets/releases"), roles=roles)
    assert owner.versions(gun)["targets/releases"] == before + 2  # empty at first, as readers would miss it


@on("notary-server", "trustreg-serve")
def test_levels(owner: Hand, crowd: Crowd, gun: str, trust_server_tls: Peer, tmp_path: Path) -> None:
    """
    Who has a role delegates parts of what it speaks for, without the owner; nobody speaks for more than who let him.
    """
    alice, bob, carol = (person(tmp_path, name) for name in ("alice", "bob", "carol"))
    owner.run("init", gun)
    owner.run("delegation", "add", gun, "targets/a", alice.public, "--path", "v1")
    hand = Hand(trust_server_tls, tmp_path / "alice")
    hand.run("key", "import", alice.private, "--role", "targets/a")
    hand.run("delegation", "add", gun, "targets/a/b", bob.public, "--path", "v1.2", "--path", "v1.3")
    hand.run("key", "import", bob.private, "--role", "targets/a/b")
    hand.sign(gun, "v1.0", "--role", "targets/a")
    hand.sign(gun, "v1.2", "--role", "targets/a/b")
    hand.run("delegation", "add", gun, "targets/a/b/c", carol.public, "--path", "v1.3-", "--path", "w")
    hand.run("key", "import", carol.private, "--role", "targets/a/b/c")
    hand.sign(gun, "v1.3-rc", "--role", "targets/a/b/c")
    for name, deep in (("v1.4", "targets/a/b"), ("w-1", "targets/a/b/c"), ("w-1", "targets/a")):
        with pytest.raises(CommandError, match=f"{name} in {deep} cannot .* the role may not speak for this name"):
            hand.sign(gun, name, "--role", deep)
    hand.run("delegation", "add", gun, "targets/a/b/c", "--path", "v")
    with pytest.raises(CommandError, match="clients of Notary pass over a path that goes beyond those above it"):
        hand.sign(gun, "v1.2-c", "--role", "targets/a/b/c")

    rows = [row("v1.0", "targets/a"), row("v1.2", "targets/a/b"), row("v1.3-rc", "targets/a/b/c")]
    roles = [
        role("targets/a", alice, paths=("v1",)),
        role("targets/a/b", bob, paths=("v1.2", "v1.3")),
        role("targets/a/b/c", carol, paths=("v", "v1.3-", "w")),
    ]
    crowd.see(gun, *rows, roles=roles)
    hand.run("delegation", "remove", gun, "targets/a/b", "--path", "v1.3")
    roles[1] = role("targets/a/b", bob, paths=("v1.2",))
    crowd.see(gun, *rows[:2], roles=roles)
    owner.run("delegation", "remove", gun, "targets/a", "--yes")
    crowd.see(gun)


@on("trustreg-serve")
def test_signers(owner: Hand, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    Signers of two repositories, one of them not begun: Docker names who signed what; and one after the other goes.
    """
    zoe, alice, bob = person(tmp_path, "zoe", "rsa"), person(tmp_path, "alice"), person(tmp_path, "bob", "rsa")
    other = f"{gun}-o"
    owner.run("init", other)
    owner.run("signer", "add", "zoe", gun, other, "--key", zoe.public)
    owner.run("signer", "add", "alice", gun, "--key", alice.public, "--key", zoe.public)
    owner.run("signer", "add", "bob10", gun, "--key", bob.public)
    owner.run("signer", "add", "bob9", gun, "--key", bob.public)
    assert owner.json("signer", "list", gun)["signers"] == [
        {"name": "zoe", "keys": [zoe.keyid]},
        {"name": "alice", "keys": [alice.keyid, zoe.keyid]},
        {"name": "bob10", "keys": [bob.keyid]},
        {"name": "bob9", "keys": [bob.keyid]},
    ]

    owner.run("key", "import", zoe.private, alice.private, "--role", "targets/releases")
    for tag in ("1.10", "1.9"):
        owner.sign(gun, tag)
    owner.sign(other, "1.0")
    owner.sign(gun, "only-alice", "--role", "targets/alice", "--role", "targets/releases")
    owner.sign(gun, "unreleased", "--role", "targets/alice")
    reports = crowd.agree(gun, f"{other}:1.0", f"{gun}:only-alice", f"{gun}:none", f"{gun}:unreleased")
    assert [[(tag["SignedTag"], tag["Signers"]) for tag in report["SignedTags"]] for report in reports] == [
        [("1.9", ["zoe", "alice"]), ("1.10", ["zoe", "alice"]), ("only-alice", ["alice"])],
        [("1.0", ["zoe"])],
        [("only-alice", ["alice"])],
        [],
        [],
    ]
    assert crowd.agree(f"{gun}-nobody") == []
    assert crowd.agree(gun, f"{gun}-nobody", other)[0]["Name"] == gun

    owner.run("delegation", "remove", gun, "targets/alice", "--all-paths")
    _, of_one = crowd.agree(gun, f"{gun}:only-alice")
    assert of_one["SignedTags"][0]["Signers"] == ["Repo Admin"]
    owner.run("signer", "remove", "alice", gun)
    owner.run("signer", "remove", "bob10", gun)
    assert [each["Name"] for each in crowd.agree(gun)[0]["Signers"]] == ["zoe", "bob9"]
    owner.run("signer", "remove", "bob9", gun)
    assert owner.refused("signer", "remove", "zoe", gun).startswith("Usage: trustreg signer remove")
    owner.run("signer", "remove", "zoe", gun, "--yes")
    crowd.see(gun, roles=[role("targets/releases")])


def test_every_key_is_rotated(owner: Hand, crowd: Crowd, gun: str, trust_server_tls: Peer, tmp_path: Path) -> None:
    """
    Each role in turn, snapshots from server to client and back: the key is another, and readers go along, those who
    missed two roots too.
    """
    owner.run("init", gun, "--kind", "ecdsa")
    owner.sign(gun, "1.0")
    crowd.see(gun, row("1.0"))
    late = Crowd(trust_server_tls, tmp_path / "late")
    late.see(gun, row("1.0"))
    for step in (
        ("targets",),
        ("root",),
        ("timestamp", "--server-managed"),
        ("snapshot", "--kind", "ecdsa"),
        ("root", "--kind", "rsa"),
        ("snapshot",),
        ("snapshot", "-r"),
    ):
        before = owner.signs(gun)
        owner.run("key", "rotate", gun, *step)
        after = owner.signs(gun)
        assert {each for each in before if before[each] != after[each]} == {step[0]}
        crowd.find(gun, row("1.0"))
    owner.sign(gun, "1.1")
    crowd.see(gun, row("1.0"), row("1.1"))
    late.see(gun, row("1.0"), row("1.1"))
    assert "The trust server signs the timestamp" in owner.refused("key", "rotate", gun, "timestamp")


@on("notary-server", "trustreg-serve")
def test_thresholds(owner: Hand, crowd: Crowd, gun: str, trust_server_tls: Peer, tmp_path: Path) -> None:
    """
    Two of two root keys, and two of three targets keys, which Go cannot set: it reads them, and signs if it has them.
    """
    owner.run("init", gun, "--kind", "ecdsa")
    owner.run("role", "add-key", "--gun", gun, "root", "--threshold", "2")
    owner.run("role", "add-key", "--gun", gun, "targets", "--kind", "ecdsa", "--threshold", "2")
    owner.run("role", "add-key", "--gun", gun, "targets")
    owner.sign(gun, "1.0")
    crowd.see(gun, row("1.0"))
    go = GoNotary(trust_server_tls, owner.trust_dir)
    go_adds(go, gun, "theirs")
    crowd.see(gun, row("1.0"), row("theirs"))

    first, second = owner.signs(gun)["root"]
    owner.run("role", "rotate-key", "--gun", gun, "root", first)
    assert owner.signs(gun)["root"][0] == second
    crowd.see(gun, row("1.0"), row("theirs"))
    owner.run("role", "remove-key", "--gun", gun, "root", second, "--threshold", "1")
    owner.run("role", "remove-key", "--gun", gun, "targets", owner.signs(gun)["targets"][0])
    owner.run("role", "threshold", "--gun", gun, "targets", "1")
    owner.run("role", "expiry", "--gun", gun, "targets", "--until", "2027-05-01")
    owner.sign(gun, "1.1")
    go_adds(go, gun, "theirs-2")
    crowd.see(gun, row("1.0"), row("theirs"), row("1.1"), row("theirs-2"))
    assert [role["threshold"] for role in owner.json("role", "show", "--gun", gun)["roles"][:2]] == [1, 1]


@on("notary-server")
def test_any_file_is_a_target(owner: Hand, crowd: Crowd, gun: str, trust_server_tls: Peer, tmp_path: Path) -> None:
    """
    Files and digests, with custom data as long as Go's client can sign it again, which it then does.
    """
    go = GoNotary(trust_server_tls, owner.trust_dir)
    owner.run("init", gun, "--kind", "ecdsa")
    manual = tmp_path / "manual.pdf"
    manual.write_bytes(b"a manual")
    owner.run("add", "--gun", gun, manual, "--custom", '{"b": [1, null, true, "\\u00e9"], "a": {"c": -5}}')
    for custom, why in (
        ('{"a": "<b> & c"}', "custom holds & < > or a line separator: Go could not sign it again"),
        ('{"a": 1.5}', "custom a is not an integer that every reader can hold"),
        ('{"a": 9007199254740993}', "custom a is not an integer that every reader can hold"),
        ('{"a": "\\u0001"}', "custom holds a control character: Go could not sign it again"),
    ):
        said = owner.refused("add", "--gun", gun, "--name", "x", manual, "--custom", custom)
        assert why in said
    go_adds(go, gun, "theirs")
    assert go.verify(gun, "manual.pdf", b"a manual")
    assert not go.verify(gun, "manual.pdf", b"another")
    rows = [TargetRow("manual.pdf", sha256("a manual"), 8, "targets"), row("theirs")]
    crowd.see(gun, *rows)
    crowd.hand.run("check", "--gun", gun, "manual.pdf", manual)
    crowd.hand.run("check", "--gun", gun, "theirs", "-", stdin=b"theirs")
    assert crowd.hand.run("check", "--gun", gun, "theirs", manual, check=False).returncode == 1

    owner.sign(gun, "staged", "--no-publish")
    owner.run("remove", "--gun", gun, "--name", "manual.pdf", "--role", "targets", "--no-publish")
    owner.sign(gun, "unstaged", "--no-publish")
    assert [(each["action"], each["tag"]) for each in owner.json("status", gun)["staged"]] == [
        ("add", "staged"),
        ("remove", "manual.pdf"),
        ("add", "unstaged"),
    ]
    owner.run("unstage", gun, "-n", "3")
    crowd.see(gun, *rows)
    owner.run("publish", gun)
    crowd.see(gun, row("staged"), row("theirs"))
    owner.run("remove", f"{gun}:staged")
    crowd.see(gun, row("theirs"))


def test_delete(owner: Hand, crowd: Crowd, gun: str) -> None:
    """
    Here, and it is there for others; remote, and it is gone for all and can be begun again.
    """
    owner.run("init", gun)
    owner.sign(gun, "1.0")
    owner.sign(gun, "staged", "--no-publish")
    owner.run("delete", gun, "--yes")
    assert owner.json("status", gun)["staged"] == []
    crowd.see(gun, row("1.0"))
    assert "Nobody is here to confirm" in owner.refused("delete", gun, "--remote")
    owner.run("delete", gun, "--remote", "--yes")
    assert crowd.hand.run("inspect", gun, check=False).returncode == 1  # Docker goes on with what it has
    owner.run("init", gun)
    owner.sign(gun, "2.0")
    for reader in (crowd.go, crowd.hand):
        reader.run("delete", gun, *["--yes"] * (reader is crowd.hand))
    crowd.docker.trust_dir.rename(crowd.docker.config / "old")
    crowd.see(gun, row("2.0"))


@on("notary-server-postgres", "trustreg-serve")
def test_init_with_keys_and_certificates(owner: Hand, crowd: Crowd, gun: str, tmp_path: Path) -> None:
    """
    A root key of Go's client, and of one's own with a certificate that a CA issued; Go goes on in both.
    """
    other, root = f"{gun}-o", person(tmp_path, "root")
    go = GoNotary(crowd.server, owner.trust_dir)
    theirs = go.key_generate("root")
    owner.run("key", "import", root.private, "--role", "root")
    assert "root" in owner.refused("init", gun)  # two are here
    owner.run("init", gun, "--use", theirs, "--kind", "ecdsa")
    certificate = root_certificate(tmp_path, other, root)
    owner.run("init", other, "--use", root.keyid, "--root-certificate", certificate, "--kind", "ecdsa")
    for each in (gun, other):
        owner.sign(each, "ours")
        go_adds(go, each, "theirs")
        crowd.see(each, row("ours"), row("theirs"))
    owner.run("key", "rotate", gun, "root", "--key", root_certificate(tmp_path, gun, root))
    crowd.see(gun, row("ours"), row("theirs"))
    go.key_rotate(gun, "root")  # the old private key is here, and signs the next root, too
    crowd.see(gun, row("ours"), row("theirs"))
    assert "the certificate is not that of the root key" in owner.refused(
        "init", f"{gun}-x", "--use", theirs, "--root-certificate", root_certificate(tmp_path, f"{gun}-x", root)
    )
