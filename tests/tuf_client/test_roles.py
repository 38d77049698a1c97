"""Every role goes through the same checks; one fault in one of them and the client stays where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import START, ed25519, spelled, unknown_key
from tests.tuf_client.stories import ROLES, demand, next_of_all, versions_before, with_team

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Document, Repository
    from tests.tuf_client.server import Server


def test_a_new_version_of_everything_is_taken(repo: Repository, client: Client) -> None:
    """Without a fault, the stories of this module end well: all of them differ from this one by one fault."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files
    assert [b"two"] == list(client.downloaded.values())


def unsigned(document: Document) -> None:
    document.signers = []


def signed_by_a_stranger(document: Document) -> None:
    document.signers = [ed25519("stranger")]


def a_stranger_under_the_right_id(document: Document) -> None:
    document.signers = [ed25519("stranger").known_as(document.signers[0].keyid)]


def changed_after_signing(document: Document) -> None:
    document.seal(lambda envelope: envelope["signed"].update(note="the signature does not cover this"))


def an_empty_signature(document: Document) -> None:
    document.seal(lambda envelope: envelope["signatures"][0].update(sig=""))


def one_id_signs_twice(document: Document) -> None:
    document.seal(lambda envelope: envelope["signatures"].append(dict(envelope["signatures"][0])))


def no_list_of_signatures(document: Document) -> None:
    document.seal(lambda envelope: envelope.pop("signatures"))


def another_type(document: Document) -> None:
    document.edit(lambda signed: signed.update(_type="snapshot" if signed["_type"] != "snapshot" else "timestamp"))


def a_later_specification(document: Document) -> None:
    document.edit(lambda signed: signed.update(spec_version="2.0.0"))


def no_json(document: Document) -> None:
    document.spell(lambda content: content[:-1])


def a_list(document: Document) -> None:
    document.spell(lambda content: b"[" + content + b"]")


FAULTS = [
    unsigned,
    signed_by_a_stranger,
    a_stranger_under_the_right_id,
    changed_after_signing,
    an_empty_signature,
    one_id_signs_twice,
    no_list_of_signatures,
    another_type,
    a_later_specification,
    no_json,
    a_list,
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_a_role_stops_there(
    repo: Repository, client: Client, role: str, fault: Callable[[Document], None]
) -> None:
    """What comes before the faulty file is kept; it and all that follows is not, and nothing is downloaded."""
    with_team(repo)
    client.settle("x")
    team = client.json_files
    next_of_all(repo)
    fault(repo.document(role))
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions
    assert [b"one"] == list(client.downloaded.values())
    assert len(team) == len(client.json_files)


@pytest.mark.parametrize("role", ROLES)
def test_an_expired_file_stops_there(repo: Repository, client: Client, role: str) -> None:
    """A version that is expired when it is offered is not used; only a root is kept, as a step to the good one."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.document(role).expires = spelled(START)
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) | ({"root": 2} if role == "root" else {}) == client.versions
    assert [b"one"] == list(client.downloaded.values())


@pytest.mark.parametrize("offered", [1, 3])
@pytest.mark.parametrize("role", [role for role in ROLES if role != "timestamp"])
def test_a_file_says_the_version_that_was_asked_for(repo: Repository, client: Client, role: str, offered: int) -> None:
    """A file under the name and in the list of version 2 says neither 1 nor 3."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.document(role).edit(lambda signed: signed.update(version=offered))
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("role", ROLES)
def test_one_of_two_signatures_is_not_enough(repo: Repository, client: Client, role: str) -> None:
    """A threshold of two is reached by two keys, and not by one."""
    keys = (ed25519("a"), ed25519("b"))
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    demand(repo, role, *keys, threshold=2)
    repo.publish()
    client.settle("x")
    next_of_all(repo)
    repo.document(role).signers = [keys[0]]
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions

    repo.bump(*{role} - {"root"})  # the second version of a root is still to come, any other was offered already
    repo.document(role).signers = [keys[1], keys[0]]
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("role", ROLES)
def test_one_key_under_two_ids_is_one_signer(repo: Repository, client: Client, role: str) -> None:
    """A threshold counts keys: a second id for the same key adds nothing."""
    keys = (ed25519("a"), ed25519("a").known_as("a2"), ed25519("b"))
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    demand(repo, role, *keys, threshold=2)
    repo.publish()
    client.settle("x")
    next_of_all(repo)
    repo.document(role).signers = [keys[0], keys[1]]
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize("threshold", [0, -1, True, "1", 1.0, None, 2])
@pytest.mark.parametrize("role", ["timestamp", "team"])
def test_a_threshold_is_a_number_from_one_and_within_reach(
    repo: Repository, client: Client, role: str, threshold: Any
) -> None:
    """A root or a delegation with another threshold lets nobody speak for the role."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    if role == "team":
        repo.targets.signed["delegations"]["roles"][0]["threshold"] = threshold
    else:
        repo.root.signed["roles"][role]["threshold"] = threshold
    repo.publish()

    assert 1 == client.download("x")
    assert [b"one"] == list(client.downloaded.values())
    assert 1 == client.versions["timestamp" if role == "timestamp" else "root"] or role == "team"


@pytest.mark.parametrize("role", ROLES)
def test_what_a_client_does_not_know_stays_in_the_signed_bytes(repo: Repository, client: Client, role: str) -> None:
    """Fields of later or private specifications, at any depth, neither disturb nor fall out of what is verified."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    strange = {"b": [None, True, {"c": -1}], "a": 'control \x01\x1f\n\t, quotes "\\" and \u2028 \U0001f512 \x7f'}
    signed = repo.document(role).signed
    signed["x-strange"] = strange
    for entry in _entries(role, signed):
        entry["x-strange"] = strange
    if role in {"timestamp", "snapshot"}:
        repo.document(role).edit(lambda made: [entry.update({"x-strange": strange}) for entry in made["meta"].values()])
    repo.document(role).seal(lambda envelope: envelope.update({"x-strange": strange}))
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("role", ROLES)
def test_the_spelling_of_the_json_does_not_matter(repo: Repository, client: Client, role: str) -> None:
    """Blanks, escapes and order are free: what is signed is the canonical form; what is kept is the bytes."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.document(role).signed["note"] = "ünï/cödé \U0001f512"
    repo.document(role).spell(_respelled)
    repo.publish()

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("role", ROLES)
def test_junk_beside_good_signatures_is_ignored(repo: Repository, client: Client, role: str) -> None:
    """Signatures by nobody, of unknown kinds, empty, not hex or wrong do not spoil the good one."""
    keys = (ed25519("good"), ed25519("second"), ed25519("third"), ed25519("fourth"), unknown_key("glyph"))
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    demand(repo, role, *keys, threshold=1)
    repo.document(role).signers = [keys[0]]
    repo.document(role).seal(
        lambda envelope: envelope["signatures"].__setitem__(
            slice(0, 0),
            [
                {"keyid": "ab" * 32, "sig": "00"},
                {"keyid": "nobody", "sig": ""},
                {"keyid": keys[1].keyid, "sig": ""},
                {"keyid": keys[2].keyid, "sig": "no hex"},
                {"keyid": keys[3].keyid, "sig": "ab" * 64},
                {"keyid": keys[4].keyid, "sig": "ab"},
            ],
        )
    )
    repo.publish()

    client.start()
    assert 0 == client.download("x")


def test_thousands_of_junk_signatures_cost_nothing(repo: Repository, client: Client, server: Server) -> None:
    """Whoever serves files can add signatures; that none of ten thousand counts is found out at once."""
    with_team(repo)
    client.settle()
    junk = [{"keyid": f"{number:064x}", "sig": "ab" * 64} for number in range(10_000)]
    next_of_all(repo)
    repo.targets.signers = []
    repo.targets.seal(lambda envelope: envelope["signatures"].extend(junk))
    repo.publish()

    assert 1 == client.refresh()
    assert client.seconds < 5


def _entries(role: str, signed: dict[str, Any]) -> list[dict[str, Any]]:
    match role:
        case "root":
            return [*signed["roles"].values(), *signed["keys"].values()]
        case "targets":
            return [signed["delegations"], *signed["delegations"]["roles"], *signed["delegations"]["keys"].values()]
        case "team":
            return [{}, *signed["targets"].values()]
        case _:
            return []


def _respelled(content: bytes) -> bytes:
    envelope = json.loads(content)
    turned = {"signed": dict(reversed(envelope["signed"].items())), "signatures": envelope["signatures"]}
    return b"\n " + json.dumps(turned, indent=3, ensure_ascii=False).replace("/", "\\/").encode() + b"\r\n"
