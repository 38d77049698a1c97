"""What Go's publishers make, trustreg reads: the same content, whatever they did to keys, roles and tags meanwhile."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

import trustreg
from tests.interop.test_peers import signer
from tests.peers import TargetRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import GoNotary, Peer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]


def sha256(name: str) -> str:
    """Give the digest that these tests sign under *name*."""
    return hashlib.sha256(name.encode()).hexdigest()


def add(go: GoNotary, gun: str, *names: str, role: str = "targets") -> None:
    """Have Go sign and publish *names*, each with a digest of its own."""
    for name in names:
        go.addhash(gun, name, len(name), sha256=sha256(name), roles=[role])
    go.publish(gun)


def delegate(go: GoNotary, gun: str, role: str, key: tuple[Path, Path], *, paths: tuple[str, ...] = ("",)) -> None:
    """Have Go let *key* sign for *role*, and take the private half in."""
    go.delegation_add(gun, role, key[0], paths=paths, publish=True)
    go.key_import(key[1], role=role)


def row(name: str, role: str = "targets") -> TargetRow:
    """Give what has to be listed for *name*."""
    return TargetRow(name, sha256(name), len(name), role)


def pinned(gun: str, name: str) -> str:
    """Give the name that verification of *name* has to end in."""
    return f"{gun}@sha256:{sha256(name)}"


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, Path]:
    """A delegate's certificate and private key."""
    return signer(tmp_path)


def test_a_whole_collection(
    trust_server: Peer, go_notary: Go, people: People, gun: str, key: tuple[Path, Path]
) -> None:
    """
    Two levels of delegations, rotated root and targets keys, several tags: listed as Go lists them, each verified,
    by the command and by the library.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "1.0", "1.1", "name_with.all-signs")
    delegate(go, gun, "targets/releases", key)
    go.delegation_add(gun, "targets/releases/nightly", key[0], paths=["nightly-"], publish=True)
    add(go, gun, "2.0", "2.1", role="targets/releases")
    add(go, gun, "nightly-1", "nightly-2", role="targets/releases/nightly")
    go.key_rotate(gun, "root")
    go.key_rotate(gun, "targets")
    go.key_rotate(gun, "root")
    add(go, gun, "1.2")
    expected = [
        *map(row, ("1.0", "1.1", "1.2")),
        *(row(name, "targets/releases") for name in ("2.0", "2.1")),
        *map(row, ("name_with.all-signs",)),
        *(row(name, "targets/releases/nightly") for name in ("nightly-1", "nightly-2")),
    ]

    assert sorted(expected, key=lambda each: each.name) == go_notary(trust_server).list(gun)
    assert sorted(expected, key=lambda each: each.name) == reader.list(gun)

    verifier = reader.verifier(roles=("targets/releases", "targets", "targets/releases/nightly"))
    for each in expected:
        found = verifier.verify(f"{gun}:{each.name}", compare=False)
        assert (found.digest.hex, found.length, found.role) == (each.sha256, each.length, each.role)
        assert verifier.verify(f"{gun}@sha256:{each.sha256}").tag == each.name
    state = {role.name: role for role in verifier.contents(gun).roles}
    assert state["root"].version == 4  # one from init, one for each rotation
    assert reader.run("verify", "--no-registry", f"{gun}:2.1").stdout.startswith(f"{pinned(gun, '2.1')}  ")


@pytest.mark.parametrize("managed", [False, True], ids=["client-snapshot", "server-snapshot"])
def test_every_rotation_under_a_warm_cache(
    trust_server: Peer, go_notary: Go, people: People, gun: str, *, managed: bool
) -> None:
    """
    Whatever key Go replaces between two verifications, the next one holds, though its cache is that of the first; and
    what was signed after the rotation is seen.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "0")
    if managed:
        go.key_rotate(gun, "snapshot", server_managed=True)
    reader.run("verify", "--no-registry", f"{gun}:0")

    for number, role in enumerate(("targets", "timestamp", "snapshot", "root", "targets", "root"), 1):
        taken_by_server = role == "timestamp" or (role == "snapshot" and not managed)
        go.key_rotate(gun, role, server_managed=taken_by_server)
        assert reader.run("verify", "--no-registry", f"{gun}:0").stdout.startswith(pinned(gun, "0")), role
        add(go, gun, str(number))
        assert reader.list(gun) == go_notary(trust_server).list(gun), role

    go.key_rotate(gun, "root")
    go.key_rotate(gun, "root")  # two at once
    assert [row(str(number)) for number in range(7)] == reader.list(gun)


def test_a_pin_holds_until_its_key_is_gone(trust_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    A pinned root key is found, another one is refused though the cache is warm, and so is the root that follows once
    the pinned key is no longer one of its own: who pins a key wants that key.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "v1")
    image = f"{gun}:v1"
    (keyid,) = reader.verifier().verify(image, compare=False).root_keyids

    assert reader.run("verify", "--no-registry", "--pin", keyid, image).stderr == ""
    assert people(trust_server).run("verify", "--no-registry", "--pin", keyid, "--no-first-use", image).stderr == ""
    wrong = reader.run("verify", "--no-registry", "--pin", "0" * 64, image, check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert f"the root of {gun} is refused: key {keyid[:12]} is not pinned" in wrong.stderr

    go.key_rotate(gun, "root")
    rotated = reader.run("verify", "--no-registry", "--pin", keyid, image, check=False)
    assert (rotated.returncode, rotated.stdout) == (1, "")
    assert reader.run("verify", "--no-registry", image).stdout.startswith(pinned(gun, "v1"))


def test_a_removed_tag_is_refused(trust_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    What Go takes back is refused by tag and by digest, and the rest still verifies.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "v1", "v2")
    reader.run("verify", "--no-registry", f"{gun}:v1", f"{gun}:v2")

    go.remove(gun, "v1", publish=True)

    refused = reader.run("verify", "--no-registry", f"{gun}:v1", pinned(gun, "v1"), f"{gun}:v2", check=False)
    assert refused.returncode == 1
    assert refused.stdout.startswith(f"{pinned(gun, 'v2')}  ")
    assert refused.stderr.splitlines() == [
        f"trustreg: refused: {gun}:v1 is not signed in targets/releases or targets",
        f"trustreg: refused: {pinned(gun, 'v1')} is not signed in targets/releases or targets",
    ]


def test_a_deleted_collection_is_refused(trust_server: Peer, go_notary: Go, people: People, gun: str) -> None:
    """
    A collection that its owner deleted is trusted no longer, however warm the cache.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "v1")
    reader.run("verify", "--no-registry", f"{gun}:v1")

    go.delete(gun, remote=True)

    refused = reader.run("verify", "--no-registry", f"{gun}:v1", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the repository has no timestamp.json" in refused.stderr


def test_a_role_speaks_for_its_paths_only(
    trust_server: Peer, go_notary: Go, people: People, gun: str, key: tuple[Path, Path]
) -> None:
    """
    When Go narrows the paths of a role, what the role had signed elsewhere counts no more, as for Go's readers.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    delegate(go, gun, "targets/releases", key, paths=("1.", "2."))
    add(go, gun, "1.0", "2.0", role="targets/releases")
    assert reader.list(gun) == [row("1.0", "targets/releases"), row("2.0", "targets/releases")]

    go.delegation_remove(gun, "targets/releases", paths=["2."], publish=True)

    assert go_notary(trust_server).list(gun) == [row("1.0", "targets/releases")]
    assert reader.run("verify", "--no-registry", f"{gun}:1.0").stdout.startswith(pinned(gun, "1.0"))
    refused = reader.run("verify", "--no-registry", f"{gun}:2.0", pinned(gun, "2.0"), check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert {tag["tag"]: tag["counts"] for tag in reader.json("list", gun)["tags"]} == {"1.0": True, "2.0": False}


def test_releases_come_before_targets(
    trust_server: Peer, go_notary: Go, people: People, gun: str, key: tuple[Path, Path]
) -> None:
    """
    Where both have signed a tag, ``targets/releases`` counts, as for Docker; ``--role`` asks as Go's notary does.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    delegate(go, gun, "targets/releases", key)
    delegate(go, gun, "targets/qa", key)
    add(go, gun, "v1", role="targets/qa")
    only = reader.run("verify", "--no-registry", f"{gun}:v1", check=False)
    go.addhash(gun, "v1", 5, sha256=sha256("other"), publish=True)
    before = reader.verifier().verify(f"{gun}:v1", compare=False)
    add(go, gun, "v1", role="targets/releases")
    verifier = reader.verifier()
    after = verifier.verify(f"{gun}:v1", compare=False)

    assert (only.returncode, only.stdout) == (1, "")
    assert "is not signed in targets/releases or targets" in only.stderr
    assert (before.role, before.digest.hex) == ("targets", sha256("other"))
    assert (after.role, after.digest.hex) == ("targets/releases", sha256("v1"))
    with pytest.raises(trustreg.UntrustedError):
        verifier.verify(f"{gun}@sha256:{sha256('other')}")
    assert go.lookup(gun, "v1") == TargetRow("v1", sha256("other"), 5, None)
    as_go = reader.run("verify", "--no-registry", "--role", "targets", f"{gun}:v1").stdout
    assert as_go.startswith(f"{gun}@sha256:{sha256('other')}  ")
    counting = {(tag["role"], tag["counts"]) for tag in reader.json("list", gun)["tags"]}
    assert counting == {("targets/releases", True), ("targets", False), ("targets/qa", False)}


def test_names_that_only_notary_has(
    trust_server: Peer, go_notary: Go, people: People, gun: str, tmp_path: Path
) -> None:
    """
    Go signs more than tags: spaces, markup, other alphabets, custom data. It is listed as Go lists it.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    custom = tmp_path / "custom.json"
    custom.write_text('{"a": [1, null, true], "b": {"c": "d"}}')
    names = ["name with  spaces", "a<b>&c", "näme", "日本", 'quote"back\\slash', "trailing.", "UPPER"]
    go.init(gun)
    for name in names:
        go.addhash(gun, name, len(name), sha256=sha256(name), custom=custom)
    go.publish(gun)
    assert {name: sha256(name) for name in names} == {each.name: each.sha256 for each in reader.list(gun)}

    go.addhash(gun, "with-sha512", 1, sha256=sha256("x"), sha512=hashlib.sha512(b"x").hexdigest(), publish=True)
    go.addhash(gun, "only-sha512", 1, sha512=hashlib.sha512(b"x").hexdigest(), publish=True)
    found = reader.verifier().verify(f"{gun}:only-sha512", compare=False)
    assert str(found.digest) == f"sha512:{hashlib.sha512(b'x').hexdigest()}"
    assert reader.verifier().verify(f"{gun}:with-sha512", compare=False).digest.hex == sha256("x")


def test_purged_keys_silence_a_role(
    trust_server: Peer, go_notary: Go, people: People, gun: str, key: tuple[Path, Path]
) -> None:
    """
    A role that lost its last key says nothing, to Go as to us; with a key again, and witnessed, it speaks again.
    """
    go, reader = go_notary(trust_server), people(trust_server)
    go.init(gun, publish=True)
    add(go, gun, "v1")
    delegate(go, gun, "targets/releases", key)
    add(go, gun, "v2", role="targets/releases")
    both = [row("v1"), row("v2", "targets/releases")]
    assert reader.list(gun) == both

    (keyid,) = go.delegation_list(gun)[0].key_ids
    go.delegation_purge(gun, keyid, publish=True)
    assert go_notary(trust_server).list(gun) == [row("v1")] == reader.list(gun)

    delegate(go, gun, "targets/releases", key)
    go.witness(gun, "targets/releases", publish=True)
    assert go_notary(trust_server).list(gun) == both == reader.list(gun)
