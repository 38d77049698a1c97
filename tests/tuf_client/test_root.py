"""The walk from the root that was given to the newest one: TUF 1.0.34 sections 5.2 and 5.3."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import START, ed25519, rsa_pss, spelled, unknown_key
from tests.tuf_client.server import reset, says, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Document, Repository
    from tests.tuf_client.server import Fault, Server

PAST = spelled(START - timedelta(days=400))
WALK = [("timestamp", None), ("snapshot", 1), ("targets", 1)]


def roots(count: int) -> list[tuple[str, int | None]]:
    """The requests for the roots after the first, when there are so many: one more than there are."""
    return [("root", version) for version in range(2, count + 2)]


def test_init_trusts_the_file_and_asks_nobody(repo: Repository, client: Client, server: Server) -> None:
    """``init`` keeps the root byte for byte and makes no request."""
    repo.publish()
    root = repo.newest()["root"]

    assert 0 == client.init(root)
    assert [root] == client.json_files
    assert {"root": root} == client.trusted
    assert [] == server.requests


def test_without_init_there_is_nothing_to_trust(repo: Repository, client: Client, server: Server) -> None:
    """``refresh`` and ``download`` without a trusted root fail without a request."""
    repo.publish()

    assert [1, 1] == [client.refresh(), client.download("x")]
    assert [] == server.requests
    assert [] == client.json_files


def _unsigned(root: Document) -> None:
    root.signers = []


def _by_another(root: Document) -> None:
    root.signers = [ed25519("another")]


def _out_of_reach(root: Document) -> None:
    root.signed["roles"]["root"]["threshold"] = 2


def _one_key_twice(root: Document) -> None:
    again = root.signers[0].known_as("again")
    root.signed["keys"][again.keyid] = again.fields
    root.signed["roles"]["root"] = {"keyids": [root.signers[0].keyid, again.keyid], "threshold": 2}
    root.signers.append(again)


def _one_id_twice(root: Document) -> None:
    root.signed["roles"]["root"] = {"keyids": [root.signers[0].keyid] * 2, "threshold": 2}


def _a_timestamp(root: Document) -> None:
    root.edit(lambda signed: signed.update(_type="timestamp"))


def _a_role_is_missing(root: Document) -> None:
    root.edit(lambda signed: signed["roles"].pop("snapshot"))


def _cut_off(root: Document) -> None:
    root.spell(lambda content: content[:100])


def _empty(root: Document) -> None:
    root.spell(lambda content: content[:0])


@pytest.mark.parametrize(
    "fault",
    [
        _unsigned,
        _by_another,
        _out_of_reach,
        _one_key_twice,
        _one_id_twice,
        _a_timestamp,
        _a_role_is_missing,
        _cut_off,
        _empty,
    ],
    ids=lambda fault: fault.__name__.lstrip("_"),
)
def test_init_checks_the_root_against_itself(
    repo: Repository, client: Client, fault: Callable[[Document], None]
) -> None:
    """A file that is no root, or not signed as it says itself, does not become trusted: then or at the first use."""
    fault(repo.root)
    repo.publish()

    assert 1 == (client.init(repo.newest()["root"]) or client.refresh())


def test_a_given_root_may_be_expired(repo: Repository, client: Client) -> None:
    """What was given long ago leads to what is good today."""
    repo.root.expires = PAST
    repo.publish()
    assert 0 == client.init(repo.newest()["root"])
    assert 1 == client.refresh()
    repo.root.version, repo.root.expires = 2, repo.timestamp.expires
    repo.publish()

    assert 0 == client.refresh()
    assert {"root": 2, "timestamp": 1, "snapshot": 1, "targets": 1} == client.versions


@pytest.mark.parametrize(
    "expires", ["2017-08-31T12:33:20.752346Z", "2017-08-31T12:33:20.752346789-07:00", "2017-08-31T12:33:20+00:00"]
)
def test_a_given_root_may_spell_its_end_as_old_tools_did(repo: Repository, client: Client, expires: str) -> None:
    """Old roots in the wild carry fractions of seconds and offsets."""
    repo.root.expires = expires
    repo.publish()
    assert 0 == client.init(repo.newest()["root"])
    repo.root.version, repo.root.expires = 2, repo.timestamp.expires
    repo.publish()

    assert 0 == client.refresh()


def test_the_walk_goes_one_by_one(repo: Repository, client: Client, server: Server) -> None:
    """From version 3 the client asks for 4, 5, 6 and 7, and takes the timestamp where there is none."""
    for version in range(1, 7):
        repo.root.version = version
        repo.publish()
    client.init(repo.files["metadata/3.root.json"])

    assert 0 == client.refresh()
    assert [*roots(6)[2:], *WALK] == server.metadata
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("end", [404, 403])
def test_no_next_root_ends_the_walk(repo: Repository, client: Client, server: Server, end: int) -> None:
    """404 says that there is none, and so does 403, which object stores answer instead."""
    repo.publish()
    client.start()
    server.faults["metadata/2.root.json"] = status(end)

    assert 0 == client.refresh()
    assert [*roots(1), *WALK] == server.metadata


@pytest.mark.parametrize(
    "fault",
    [status(500), status(503), status(401), status(400), status(204, b""), status(200, b""), reset, says(b"{}")],
    ids=["500", "503", "401", "400", "204", "empty", "reset", "{}"],
)
def test_any_other_answer_than_a_root_aborts(repo: Repository, client: Client, server: Server, fault: Fault) -> None:
    """Whoever can break an answer must not keep the client at an old root."""
    repo.publish()
    client.start()
    server.faults["metadata/2.root.json"] = fault

    assert 1 == client.refresh()
    assert {("root", 2)} == set(server.metadata)
    assert {"root": repo.newest()["root"]} == client.trusted


def test_a_gap_is_an_end(repo: Repository, client: Client, server: Server) -> None:
    """Where version 2 is missing, version 3 does not exist."""
    repo.publish()
    client.start()
    repo.root.version = 3
    repo.publish_root()

    assert 0 == client.refresh()
    assert 1 == client.versions["root"]
    assert [*roots(1), *WALK] == server.metadata


def test_both_the_old_and_the_new_keys_sign(repo: Repository, client: Client) -> None:
    """Each step of a key's succession is signed by the keys before and after it."""
    a, b, c = (ed25519(name) for name in "abc")
    repo.trust("root", a)
    repo.publish()
    client.start()
    for version, old, new in ((2, a, b), (3, b, c)):
        repo.root.version = version
        repo.trust("root", new, sign=[old, new])
        repo.publish()

    assert 0 == client.refresh()
    assert 3 == client.versions["root"]


@pytest.mark.parametrize("signers", ["a", "b", "ac", "bc"])
def test_one_side_alone_is_not_enough(repo: Repository, client: Client, signers: str) -> None:
    """Keys of the old root only, of the new one only, or of a root before the old one do not make a root."""
    repo.trust("root", ed25519("a"))
    repo.publish()
    client.start()
    repo.root.version = 2
    repo.trust("root", ed25519("d"), sign=[ed25519("a"), ed25519("d")])
    repo.publish()
    repo.root.version = 3
    repo.trust("root", ed25519("e"), sign=[ed25519({"a": "d", "b": "e", "c": "a"}[name]) for name in signers])
    repo.publish()

    assert 1 == client.refresh()
    assert 2 == client.versions["root"]
    assert ["root"] == list(client.trusted)


@pytest.mark.parametrize(("old", "new", "good"), [("ab", "cd", True), ("a", "cd", False), ("ab", "c", False)])
def test_both_thresholds_are_reached(repo: Repository, client: Client, old: str, new: str, good: bool) -> None:
    """Two of the old and two of the new keys where both want two."""
    keys = {name: ed25519(name) for name in "abcd"}
    repo.trust("root", keys["a"], keys["b"], threshold=2)
    repo.publish()
    client.start()
    repo.root.version = 2
    repo.trust("root", keys["c"], keys["d"], threshold=2, sign=[keys[name] for name in old + new])
    repo.publish()

    assert (0 if good else 1) == client.refresh()
    assert (2 if good else 1) == client.versions["root"]


def test_a_raised_threshold_holds_at_once(repo: Repository, client: Client) -> None:
    """The new root is held against its own threshold, also where the old one was content."""
    repo.publish()
    client.start()
    repo.root.version = 2
    repo.trust("root", repo.keys["root"], ed25519("b"), threshold=2, sign=[repo.keys["root"]])
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["root"]


def test_the_old_keys_are_looked_up_in_the_old_root(repo: Repository, client: Client) -> None:
    """A new root that gives an old key id another key does not speak for the old one."""
    repo.publish()
    client.start()
    repo.root.version = 2
    repo.trust("root", ed25519("thief").known_as(repo.keys["root"].keyid))
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["root"]


def test_intermediate_roots_may_be_expired(repo: Repository, client: Client) -> None:
    """Only the last root's end matters."""
    end = repo.root.expires
    repo.root.expires = PAST
    for version in (1, 2, 3):
        repo.root.version = version
        repo.publish()
    repo.root.version, repo.root.expires = 4, end
    repo.publish()
    client.start()

    assert 0 == client.refresh()
    assert 4 == client.versions["root"]


def test_the_last_root_may_not_be_expired(repo: Repository, client: Client, server: Server) -> None:
    """Nothing is asked for under an expired root; it is kept, for the next walk begins there."""
    repo.publish()
    client.start()
    repo.root.version, repo.root.expires = 2, PAST
    repo.publish()

    assert 1 == client.refresh()
    assert roots(2) == server.metadata
    assert {"root": repo.newest()["root"]} == client.trusted


def test_each_step_is_kept_before_the_next(repo: Repository, client: Client, server: Server) -> None:
    """A walk that breaks at version 4 goes on from version 3."""
    for version in (1, 2, 3, 4):
        repo.root.version = version
        if version == 4:
            repo.root.signers = []
        repo.publish()
    client.start()

    assert 1 == client.refresh()
    assert {"root": repo.files["metadata/3.root.json"]} == client.trusted

    server.forget()
    repo.root.signers = [repo.keys["root"]]
    repo.publish()

    assert 0 == client.refresh()
    assert [*roots(4)[2:], *WALK] == server.metadata


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_rotated_key_counts_at_once(repo: Repository, client: Client, role: str) -> None:
    """A new root's keys for a role hold for that role's next file, and the old ones do not any more."""
    repo.publish()
    client.settle()
    repo.root.version = 2
    repo.bump("targets")
    repo.trust(role, ed25519("next"), sign=[repo.keys[role]])
    repo.publish()

    assert 1 == client.refresh()
    assert 2 == client.versions["root"]
    assert 1 == client.versions.get(role, 1)

    repo.bump(role)
    repo.document(role).signers = [ed25519("next")]
    repo.publish()

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_revoked_key_is_gone_also_where_nothing_changed(repo: Repository, client: Client, role: str) -> None:
    """Files that only a revoked key signed are not used from the cache either."""
    repo.publish()
    client.settle()
    repo.root.version = 2
    repo.trust(role, ed25519("next"), sign=[repo.keys[role]])
    repo.publish_root()

    assert 1 == client.refresh()


def test_the_root_says_whether_snapshots_are_consistent(repo: Repository, client: Client, server: Server) -> None:
    """The newest root decides under which names the rest is asked for."""
    repo.add("targets", "a/x", b"x")
    repo.publish()
    client.start()
    repo.root.version = 2
    repo.root.signed["consistent_snapshot"] = False
    repo.publish()

    assert 0 == client.download("a/x")
    assert [*roots(2), ("timestamp", None), ("snapshot", None), ("targets", None)] == server.metadata
    assert ["a/x"] == server.targets


def test_a_root_may_have_the_role_of_mirrors(repo: Repository, client: Client) -> None:
    """``mirrors`` is a role that the specification knows, with or without keys of its own."""
    repo.root.signed["roles"]["mirrors"] = {"keyids": [repo.keys["root"].keyid], "threshold": 1}
    repo.publish()

    assert 0 == client.init(repo.newest()["root"])
    assert 0 == client.refresh()


def test_a_long_walk_arrives(repo: Repository, client: Client) -> None:
    """Thirty rotations, each to another key, between what was given and today."""
    before = repo.keys["root"]
    for version in range(1, 31):
        repo.root.version = version
        now = ed25519(f"root {version}")
        repo.trust("root", now, sign=[before, now])
        before = now
        repo.publish_root()
    repo.publish()
    client.init(repo.files["metadata/1.root.json"])

    assert 0 == client.refresh()
    assert 30 == client.versions["root"]


@pytest.mark.slow
def test_a_walk_without_an_end_is_cut(repo: Repository, client: Client, server: Server) -> None:
    """Whoever has the root key, or recorded enough roots, cannot keep a client walking for ever."""
    for version in range(1, 3_001):
        repo.root.version = version
        content = repo.root.content()
        repo.files[f"metadata/{version}.root.json"] = content
    repo.publish()
    client.start()

    client.refresh()
    assert len(server.metadata) < 2_900


def _fast(role: str) -> Callable[[Repository], None]:
    def forward(repo: Repository) -> None:
        repo.document(role).version = 2**31 - 1
        for later in ("timestamp", "snapshot"):
            repo.document(later).version = max(2, repo.document(later).version)

    return forward


@pytest.mark.parametrize(
    ("role", "rotated"),
    [
        ("timestamp", ["timestamp"]),
        ("snapshot", ["timestamp", "snapshot"]),
        ("snapshot", ["snapshot"]),
        ("targets", ["timestamp", "snapshot"]),
        ("targets", ["snapshot"]),
    ],
)
def test_new_keys_recover_from_a_fast_forward(repo: Repository, client: Client, role: str, rotated: list[str]) -> None:
    """
    A thief of a key who made the highest version is undone by a root with other keys.

    5.3.11: where the keys of timestamp or snapshot changed, what was trusted of both is forgotten.
    """
    repo.publish()
    client.settle()
    _fast(role)(repo)
    repo.publish()
    assert 0 == client.refresh()
    for document in (repo.timestamp, repo.snapshot, repo.targets):
        document.version = 3 if document.version < 2**30 else 2
    repo.publish()
    assert 1 == client.refresh()  # as long as the keys are the same, it is a rollback

    repo.bump("root", "timestamp")
    for changed in rotated:
        repo.trust(changed, ed25519(f"new {changed}"))
    repo.publish()

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


def test_other_keys_do_not_excuse_a_rollback(repo: Repository, client: Client) -> None:
    """A root that changes the keys of the targets role only, or a threshold of the root's, forgets nothing."""
    repo.timestamp.version = repo.snapshot.version = 5
    repo.publish()
    client.settle()
    repo.root.version = 2
    repo.trust("targets", ed25519("new"))
    repo.timestamp.version = 4
    repo.publish()

    assert 1 == client.refresh()
    assert 5 == client.versions["timestamp"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["roles"], None),
        (["roles"], []),
        (["roles", "timestamp"], None),
        (["roles", "timestamp", "keyids"], None),
        (["roles", "timestamp", "keyids"], [1]),
        (["roles", "timestamp", "keyids"], "abc"),
        (["keys"], None),
        (["keys"], []),
        (["keys", 0], None),
        (["keys", 0], []),
        (["keys", 0, "keytype"], 5),
        (["keys", 0, "keyval"], None),
        (["consistent_snapshot"], "yes"),
    ],
    ids=str,
)
def test_json_that_is_no_root_is_refused(repo: Repository, client: Client, path: list[Any], value: object) -> None:
    """A well-signed file with the wrong thing in some place is refused, and nothing falls over."""
    repo.publish()
    client.start()
    repo.root.version = 2

    def change(signed: dict[str, Any]) -> None:
        *way, last = (min(signed["keys"]) if step == 0 else step for step in path)
        for step in way:
            signed = signed[step]
        signed[last] = value

    repo.root.edit(change)
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["root"]


def test_unknown_keys_in_a_root_are_inert(repo: Repository, client: Client) -> None:
    """A root may name keys of types that this client has never heard of, for itself too, beside those it knows."""
    strange = unknown_key("strange")
    repo.trust("root", strange, repo.keys["root"], rsa_pss("r"), threshold=2)
    repo.publish()

    assert 0 == client.init(repo.newest()["root"])
    assert 0 == client.refresh()
    assert json.loads(client.trusted["root"])["signed"]["keys"][strange.keyid] == strange.fields
