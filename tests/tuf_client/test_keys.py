"""Which keys speak, and which are inert: key types, schemes, ids and material."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tuf_client.repository import Key, ecdsa, ed25519, rsa_pkcs1, rsa_pss, unknown_key
from tests.tuf_client.stories import demand, next_of_all, versions_before, with_team

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository

P384 = ec.SECP384R1()
KINDS: dict[str, Callable[[], Key]] = {
    "ed25519": lambda: ed25519("e"),
    "P-256": lambda: ecdsa("p"),
    "P-384": lambda: ecdsa("p", P384),
    "P-256, old key type": lambda: ecdsa("p", keytype="ecdsa-sha2-nistp256"),
    "P-384, old key type": lambda: ecdsa("p", P384, keytype="ecdsa-sha2-nistp384"),
    "PSS": lambda: rsa_pss("r"),
    "PSS, longest salt": lambda: rsa_pss("r", salt=222),
    "PSS, no salt": lambda: rsa_pss("r", salt=0),
    "PKCS #1 1.5": lambda: rsa_pkcs1("r"),
    "RSA 3072": lambda: rsa_pss("r", bits=3072),
}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_every_kind_sign(repo: Repository, client: Client, kind: str) -> None:
    """All four roles of a root, and a delegated one, with one key of the kind; a changed byte is noticed."""
    key = KINDS[kind]()
    for role in ("root", "timestamp", "snapshot", "targets"):
        repo.trust(role, key)
    repo.delegate("targets", "team", key)
    repo.add("team", "x", b"one")
    repo.publish()
    assert 0 == client.init(repo.newest()["root"])
    assert 0 == client.download("x")

    next_of_all(repo)
    repo.delegated["team"].seal(lambda envelope: envelope["signed"].update(note=""))
    repo.publish()
    assert 1 == client.download("x")


INERT: dict[str, Callable[[], Key]] = {
    "unknown key type": lambda: unknown_key("u"),
    "unknown scheme": lambda: ed25519("e").known_as("e" * 64, scheme="ed448"),
    "scheme of another type": lambda: ed25519("e").known_as("e" * 64, scheme="rsassa-pss-sha256"),
    "RSA 1024": lambda: rsa_pkcs1("r", bits=1024),
    "P-256 as P-384": lambda: ecdsa("p").known_as("e" * 64, scheme="ecdsa-sha2-nistp384"),
    "no hex": lambda: ed25519("e").known_as("e" * 64, keyval={"public": "no hex"}),
    "too short": lambda: ed25519("e").known_as("e" * 64, keyval={"public": "abcd"}),
    "no PEM": lambda: ecdsa("p").known_as("e" * 64, keyval={"public": "no PEM"}),
    "empty": lambda: rsa_pss("r").known_as("e" * 64, keyval={"public": ""}),
}


@pytest.mark.parametrize("kind", INERT)
@pytest.mark.parametrize("role", ["timestamp", "team"])
def test_a_key_that_cannot_be_used_does_not_count(repo: Repository, client: Client, role: str, kind: str) -> None:
    """It is no error that such a key is there, beside a good one; but its signature is worth nothing."""
    strange, good = INERT[kind](), ed25519("good")
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    demand(repo, role, strange, good, threshold=1)
    repo.publish()
    client.settle("x")

    next_of_all(repo)
    repo.document(role).signers = [strange]
    repo.publish()
    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


PAIRS: dict[str, tuple[Key, Key]] = {
    "other fields": (ed25519("a"), ed25519("a").known_as("f" * 64, keyid_hash_algorithms=["sha256", "sha512"])),
    "upper case": (
        ed25519("a"),
        ed25519("a").known_as("f" * 64, keyval={"public": ed25519("a").fields["keyval"]["public"].upper()}),
    ),
    "blank lines in PEM": (
        ecdsa("a"),
        ecdsa("a").known_as("f" * 64, keyval={"public": ecdsa("a").fields["keyval"]["public"] + "\n\n"}),
    ),
    "two key types": (ecdsa("a"), ecdsa("a", keytype="ecdsa-sha2-nistp256")),
    "two schemes": (rsa_pss("a"), rsa_pkcs1("a")),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("role", ["timestamp", "team"])
def test_one_key_in_two_spellings_is_one_signer(repo: Repository, client: Client, role: str, pair: str) -> None:
    """Counted is key material: neither ids nor the way in which a key is written down."""
    once, again = PAIRS[pair]
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    demand(repo, role, once, again, ed25519("other"), threshold=2)
    repo.document(role).signers = [once, ed25519("other")]
    repo.publish()
    client.settle("x")

    next_of_all(repo)
    repo.document(role).signers = [once, again]
    repo.publish()
    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


def test_one_id_twice_in_a_role_is_one_signer(repo: Repository, client: Client) -> None:
    """A key id that a role lists twice does not reach a threshold of two."""
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    repo.targets.signed["delegations"]["roles"][0] |= {"keyids": [ed25519("team").keyid] * 2, "threshold": 2}
    repo.publish()
    client.start()

    assert 1 == client.download("x")


@pytest.mark.parametrize("keyid", ["1", "not a hash", "deadbeef" * 8, "ABCDEF" * 6, "ключ", "a/b", "x" * 500])
def test_key_ids_are_only_names(repo: Repository, client: Client, keyid: str) -> None:
    """TAP 12: an id need not be the hash of its key."""
    for role in ("root", "timestamp", "snapshot", "targets"):
        repo.trust(role, ed25519(role).known_as(f"{keyid}{role}"))
    repo.delegate("targets", "team", ed25519("team").known_as(keyid))
    repo.add("team", "x", b"one")
    repo.publish()

    assert 0 == client.init(repo.newest()["root"])
    assert 0 == client.download("x")


def test_a_key_that_is_not_there_does_not_count(repo: Repository, client: Client) -> None:
    """A role may list ids for which there is no key; the others have to reach the threshold."""
    repo.delegate("targets", "team", ed25519("a"), ed25519("b"), ed25519("c"), threshold=2)
    repo.add("team", "x", b"one")
    del repo.targets.signed["delegations"]["keys"][ed25519("c").keyid]
    repo.delegated["team"].signers = [ed25519("a"), ed25519("b"), ed25519("c")]
    repo.publish()
    client.settle("x")

    repo.bump("team")
    repo.delegated["team"].signers = [ed25519("a"), ed25519("c")]
    repo.publish()
    assert 1 == client.download("x")


def test_the_keys_of_the_root_are_not_those_of_delegations(repo: Repository, client: Client) -> None:
    """A delegated role is signed by the keys in its delegation; that the root knows a key is no reason."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.targets.signed["delegations"]["roles"][0]["keyids"] = [repo.keys["targets"].keyid]
    repo.delegated["team"].signers = [repo.keys["targets"]]
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before("team") == client.versions
