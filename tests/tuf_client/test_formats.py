"""Well-signed and ill-formed: whatever is not TUF metadata is refused, and nothing falls over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import canonical
from tests.tuf_client.stories import ROLES, next_of_all, versions_before, with_team

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository

MISSING = object()


@pytest.mark.parametrize("role", ["timestamp", "team"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 0),
        ("version", -2),
        ("version", True),
        ("version", 2.0),
        ("version", "2"),
        ("version", None),
        ("version", [2]),
        ("version", MISSING),
        ("spec_version", "2.0.0"),
        ("spec_version", "0.9"),
        ("spec_version", ""),
        ("spec_version", "one"),
        ("spec_version", "1.x.y"),
        ("spec_version", 1),
        ("spec_version", None),
        ("spec_version", MISSING),
        ("_type", "root"),
        ("_type", "Timestamp"),
        ("_type", None),
        ("_type", MISSING),
        ("expires", MISSING),
        ("x-float", 1.5),
        ("x-deep", float("nan")),
        ("x-deep", float("inf")),
    ],
    ids=lambda value: "missing" if value is MISSING else str(value),
)
def test_a_field_is_what_it_has_to_be(repo: Repository, client: Client, role: str, name: str, value: object) -> None:
    """One wrong value in a well-signed file, and the file is refused."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)

    def change(signed: dict[str, Any]) -> None:
        if value is MISSING:
            del signed[name]
        else:
            signed[name] = value

    repo.document(role).edit(change)
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions
    assert [b"one"] == list(client.downloaded.values())


@pytest.mark.parametrize("spec_version", ["1.0", "1.0.0", "1.0.31", "1.0.99", "1.1.0", "1.31.4"])
def test_every_first_major_version_is_read(repo: Repository, client: Client, spec_version: str) -> None:
    """``spec_version`` counts by its major number; ``1.0`` exists in the wild."""
    for document in (repo.root, repo.timestamp, repo.snapshot, repo.targets):
        document.signed["spec_version"] = spec_version
    repo.publish()

    assert 0 == client.init(repo.newest()["root"])
    assert 0 == client.refresh()


def _twice(content: bytes) -> bytes:
    return content.replace(b'"version":2', b'"version":1,"version":2', 1)


def _twice_by_an_escape(content: bytes) -> bytes:
    return content.replace(b'"version":2', b'"\\u0076ersion":1,"version":2', 1)


def _two_envelopes(content: bytes) -> bytes:
    return content + content


def _second_signed(content: bytes) -> bytes:
    return b'{"signed":{},' + content[1:]


def _not_utf8(content: bytes) -> bytes:
    return content[:-1] + b',"x":"\xff\xfe"}'


def _utf16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


def _deep(content: bytes) -> bytes:
    return content[:-1] + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"


def _deep_and_open(content: bytes) -> bytes:
    return b'{"x":' * 2_000 + content


def _comment(content: bytes) -> bytes:
    return b"// a comment\n" + content


def _comma(content: bytes) -> bytes:
    return content[:-1] + b",}"


def _single_quotes(content: bytes) -> bytes:
    return content.replace(b'"', b"'")


def _leading_zero(content: bytes) -> bytes:
    return content.replace(b'"version":2', b'"version":02', 1)


def _nothing(content: bytes) -> bytes:
    return content[:0]


def _null(content: bytes) -> bytes:
    return content[:0] + b"null"


def _nul(content: bytes) -> bytes:
    return content + b"\0"


@pytest.mark.parametrize("role", ["timestamp", "team"])
@pytest.mark.parametrize(
    "spell",
    [
        _twice,
        _twice_by_an_escape,
        _two_envelopes,
        _second_signed,
        _not_utf8,
        _utf16,
        _deep,
        _deep_and_open,
        _comment,
        _comma,
        _single_quotes,
        _leading_zero,
        _nothing,
        _null,
        _nul,
    ],
    ids=lambda spell: spell.__name__.lstrip("_"),
)
def test_json_is_strict(repo: Repository, client: Client, role: str, spell: Callable[[bytes], bytes]) -> None:
    """Names that come twice, what is no JSON, and nesting that nobody needs are refused, however it is signed."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.document(role).spell(spell)
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions


@pytest.mark.parametrize(
    "value",
    [2**63, 2**64, -(2**63) - 1, 10**30, 10**4000, "\ud800", "\x00", [[[[]]]] * 500],
    ids=["2^63", "2^64", "-2^63-1", "10^30", "10^4000", "half a pair", "NUL", "wide"],
)
@pytest.mark.parametrize("name", ["version", "x-note"])
def test_extremes_are_taken_or_refused_and_nothing_else(
    repo: Repository, client: Client, name: str, value: object
) -> None:
    """Huge numbers and odd strings may be legal or not; in no case does a client fall over or keep half of it."""
    repo.publish()
    client.settle()
    before = client.trusted["timestamp"]
    repo.timestamp.version = 2
    repo.timestamp.edit(lambda signed: signed.update({name: value}))
    repo.timestamp.spell(lambda content: content.replace(b"null", b"0"))
    try:
        repo.publish()
    except ValueError:  # this interpreter cannot write such a number
        repo.timestamp.mend()
        repo.timestamp.spell(lambda content: content.replace(b'"version":2', b'"version":1' + b"0" * 5_000))
        repo.publish()

    assert [before, repo.newest()["timestamp"]][client.refresh() == 0] == client.trusted["timestamp"]


@pytest.mark.parametrize(
    "signatures",
    [
        {},
        None,
        "x",
        [None],
        ["x"],
        [{}],
        [{"keyid": "a"}],
        [{"sig": "a"}],
        [{"keyid": 5, "sig": "a"}],
        [{"keyid": "a", "sig": 5}],
        [{"keyid": None, "sig": None}],
        [[]],
        [],
    ],
    ids=str,
)
def test_signatures_are_a_list_of_key_ids_and_strings(repo: Repository, client: Client, signatures: object) -> None:
    """What is no list of signatures is refused as what it is."""
    repo.publish()
    client.settle()
    repo.timestamp.version = 2
    repo.timestamp.seal(lambda envelope: envelope.update(signatures=signatures))
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["timestamp"]


@pytest.mark.parametrize("signed", [None, [], "x", 5, {}], ids=str)
def test_what_is_signed_is_an_object(repo: Repository, client: Client, signed: object) -> None:
    """A signature over something else does not make it metadata."""
    repo.publish()
    client.settle()
    repo.timestamp.version = 2
    signatures = [repo.keys["timestamp"].signature(canonical(signed))]
    repo.timestamp.spell(lambda _: json.dumps({"signatures": signatures, "signed": signed}).encode())
    repo.publish()

    assert 1 == client.refresh()
    assert 1 == client.versions["timestamp"]


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(at: Any) -> None:
        for step in path[:-1]:
            at = at[step]
        if to is MISSING:
            del at[path[-1]]
        else:
            at[path[-1]] = to

    change.__name__ = f"{'.'.join(map(str, path))}={'missing' if to is MISSING else to}"
    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("targets", to=None),
        _set("targets", to=[]),
        _set("targets", to=MISSING),
        _set("targets", "y", to=None),
        _set("targets", "y", to={}),
        _set("targets", "y", to={"length": 1}),
        _set("targets", "y", to={"length": 1, "hashes": {}}),
        _set("targets", "y", to={"length": 1, "hashes": []}),
        _set("targets", "y", to={"length": 1, "hashes": {"sha256": None}}),
        _set("targets", "y", to={"length": -1, "hashes": {"sha256": "00" * 32}}),
        _set("targets", "y", to={"length": "1", "hashes": {"sha256": "00" * 32}}),
        _set("targets", "y", to={"length": True, "hashes": {"sha256": "00" * 32}}),
        _set("targets", "y", to={"length": 1.0, "hashes": {"sha256": "00" * 32}}),
        _set("targets", "y", to={"hashes": {"sha256": "00" * 32}}),
    ],
    ids=lambda change: change.__name__,
)
def test_an_ill_formed_target_is_not_downloaded(
    repo: Repository, client: Client, change: Callable[[Any], None]
) -> None:
    """Whether found out when the role is read or when the target is wanted: it is not there in the end."""
    repo.add("targets", "x", b"one")
    repo.publish()
    client.settle("x")
    repo.bump("targets")
    repo.targets.edit(change)
    repo.publish()

    assert 1 == client.download("y")
    assert [b"one"] == list(client.downloaded.values())


@pytest.mark.parametrize(
    "change",
    [
        _set("delegations", to=[]),
        _set("delegations", to="x"),
        _set("delegations", "keys", to=MISSING),
        _set("delegations", "keys", to=[]),
        _set("delegations", "roles", to=MISSING),
        _set("delegations", "roles", to={}),
        _set("delegations", "roles", 0, to=None),
        _set("delegations", "roles", 0, "name", to=MISSING),
        _set("delegations", "roles", 0, "name", to=5),
        _set("delegations", "roles", 0, "keyids", to=MISSING),
        _set("delegations", "roles", 0, "keyids", to="x"),
        _set("delegations", "roles", 0, "keyids", to=[5]),
        _set("delegations", "roles", 0, "threshold", to=MISSING),
        _set("delegations", "roles", 0, "terminating", to="yes"),
        _set("delegations", "roles", 0, "paths", to=MISSING),
        _set("delegations", "roles", 0, "paths", to="*"),
        _set("delegations", "roles", 0, "paths", to=[5]),
        _set("delegations", "roles", 0, "paths", to={"*": 1}),
        _set("delegations", "roles", 0, "path_hash_prefixes", to=[""]),
        _set("delegations", "succinct_roles", to={"keyids": [], "threshold": 1, "bit_length": 1, "name_prefix": "b"}),
    ],
    ids=lambda change: change.__name__,
)
def test_an_ill_formed_delegation_gives_nothing(
    repo: Repository, client: Client, change: Callable[[Any], None]
) -> None:
    """What is no delegation, or one in two ways at once, leads nowhere."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.targets.edit(change)
    repo.publish()

    assert 1 == client.download("x")
    assert [b"one"] == list(client.downloaded.values())


@pytest.mark.parametrize("role", ROLES)
def test_a_list_in_place_of_everything(repo: Repository, client: Client, role: str) -> None:
    """``[]`` is JSON."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.document(role).spell(lambda content: content[:0] + b"[]")
    repo.publish()

    assert 1 == client.download("x")
    assert versions_before(role) == client.versions
