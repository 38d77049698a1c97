"""Which roles are searched for a target, in which order, and under whose keys: section 5.6.7 and TAP 15."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import ed25519
from tests.tuf_client.server import status
from tests.tuf_client.stories import with_team

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Server

FULL = bool(os.environ.get("TRUSTREG_FULL"))
Tree = dict[str, str]  # delegator: its delegations in order, all for every path; "!" marks a terminating one


def grow(repo: Repository, tree: Tree) -> None:
    """Make the delegations of a tree."""
    for delegator, roles in tree.items():
        for role in roles.split():
            repo.delegate(delegator, role.rstrip("!"), terminating=role.endswith("!"))


@pytest.mark.parametrize(
    ("tree", "visited"),
    [
        ({"targets": "A B", "A": "C"}, "A C B"),
        ({"targets": "B A", "B": "D C"}, "B D C A"),
        ({"targets": "A B C", "A": "D", "B": "E", "D": "F"}, "A D F B E C"),
        ({"targets": "A! B"}, "A"),
        ({"targets": "A! B", "A": "C D"}, "A C D"),
        ({"targets": "A B! C", "A": "D"}, "A D B"),
        ({"targets": "A B", "A": "C! D", "C": "E F"}, "A C E F"),
        ({"targets": "A", "A": "B", "B": "A"}, "A B"),
        ({"targets": "A B", "A": "A"}, "A B"),
        ({"targets": "A B", "A": "C", "B": "C", "C": "D"}, "A C D B"),
        ({"targets": "A B", "A": "B", "B": "A"}, "A B"),
        ({"targets": "A", "A": "B", "B": "C", "C": "D", "D": "E", "E": "F", "F": "G"}, "A B C D E F G"),
    ],
    ids=str,
)
def test_the_search_is_depth_first_and_ends(
    repo: Repository, client: Client, server: Server, tree: Tree, visited: str
) -> None:
    """
    For a target that is nowhere, every role that the search gets to is asked for once, in order.

    A role before its own delegations, these before its siblings; a terminating delegation ends the search behind it,
    but not below it; circles and diamonds end.
    """
    grow(repo, tree)
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert visited.split() == server.visited


@pytest.mark.parametrize(
    ("tree", "holders", "visited"),
    [
        ({"targets": "A B"}, "targets A", ""),
        ({"targets": "A B"}, "A B", "A"),
        ({"targets": "B A"}, "B A", "B"),
        ({"targets": "A B", "A": "C"}, "C B", "A C"),
        ({"targets": "A B", "A": "C"}, "B", "A C B"),
        ({"targets": "A! B", "A": "C"}, "C B", "A C"),
        ({"targets": "A B", "A": "B", "B": "A"}, "B", "A B"),
    ],
    ids=str,
)
def test_the_first_role_that_lists_it_is_believed(
    repo: Repository, client: Client, server: Server, tree: Tree, holders: str, visited: str
) -> None:
    """What comes later in the order may list the same path with other content; it is not asked."""
    grow(repo, tree)
    for holder in reversed(holders.split()):
        repo.add(holder, "x", f"from {holder}".encode())
    first = holders.split(maxsplit=1)[0]
    repo.publish()
    for holder in holders.split():  # all of them are served
        content = f"from {holder}".encode()
        repo.files[f"targets/{hashlib.sha256(content).hexdigest()}.x"] = content
    client.start()

    assert 0 == client.download("x")
    assert visited.split() == server.visited
    assert [f"from {first}".encode()] == list(client.downloaded.values())


def test_the_path_matches_all_along_the_chain(repo: Repository, client: Client, server: Server) -> None:
    """A role cannot hand on what it was not given, and is not asked for anything else."""
    repo.delegate("targets", "A", paths=["a/*"])
    repo.delegate("A", "B", paths=["*/*"])
    repo.add("A", "b/from-a", b"not A's to give")
    repo.add("B", "b/from-b", b"nor B's")
    repo.add("B", "a/from-b", b"fine")
    repo.publish()
    client.start()

    assert 1 == client.download("b/from-a")
    assert 1 == client.download("b/from-b")
    assert [] == server.visited
    assert 0 == client.download("a/from-b")
    assert ["A", "B"] == server.visited


def test_a_terminating_delegation_of_another_path_is_not_there(
    repo: Repository, client: Client, server: Server
) -> None:
    """Only one that covers the path ends the search."""
    repo.delegate("targets", "A", paths=["a/*"], terminating=True)
    repo.delegate("targets", "B", terminating=None)  # which may be missing
    repo.delegate("targets", "C")
    repo.add("C", "x", b"x")
    repo.publish()
    client.start()

    assert 0 == client.download("x")
    assert ["B", "C"] == server.visited


def _unsigned(repo: Repository, server: Server) -> None:
    repo.delegated["A"].signers = []


def _expired(repo: Repository, server: Server) -> None:
    repo.delegated["A"].expires = "2020-01-01T00:00:00Z"


def _not_listed(repo: Repository, server: Server) -> None:
    repo.snapshot.edit(lambda signed: signed["meta"].pop("A.json"))


def _not_there(repo: Repository, server: Server) -> None:
    server.faults["metadata/1.A.json"] = status(404)


def _forbidden(repo: Repository, server: Server) -> None:
    server.faults["metadata/1.A.json"] = status(403)


def _garbage(repo: Repository, server: Server) -> None:
    repo.delegated["A"].spell(lambda content: content[1:])


@pytest.mark.parametrize(
    "fault",
    [_unsigned, _expired, _not_listed, _not_there, _forbidden, _garbage],
    ids=lambda fault: fault.__name__.lstrip("_"),
)
def test_a_role_that_fails_ends_the_search(
    repo: Repository, client: Client, server: Server, fault: Callable[[Repository, Server], None]
) -> None:
    """Whoever can break the file of one role must not choose by that whom the client believes instead."""
    grow(repo, {"targets": "A B"})
    repo.add("B", "x", b"x")
    fault(repo, server)
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert "B" not in server.visited
    assert {} == client.downloaded


@pytest.mark.parametrize("signers", ["1", "2", "12"])
def test_a_role_is_verified_for_each_delegator(repo: Repository, client: Client, signers: str) -> None:
    """
    Two roles delegate to one under different keys: what one of them believes, the other need not.

    In one run of the client, the first target leads to the role by the one way and the second by the other.
    """
    keys = {name: ed25519(f"C {name}") for name in "12"}
    repo.delegate("targets", "A", paths=["a/*"])
    repo.delegate("targets", "B", paths=["b/*"])
    repo.delegate("A", "C", keys["1"], paths=["*/*"])
    repo.delegate("B", "C", keys["2"], paths=["*/*"])
    repo.delegated["C"].signers = [keys[name] for name in signers]
    repo.add("C", "a/x", b"a")
    repo.add("C", "b/x", b"b")
    repo.publish()
    client.start()

    assert (0 if "1" in signers else 1) == client.download("a/x")
    assert (0 if "2" in signers else 1) == client.download("b/x")  # C is in the cache by now
    assert (0 if signers == "12" else 1) == client.download("a/x", "b/x")  # or in memory
    assert ["ab"[int(name) - 1].encode() for name in signers] == sorted(client.downloaded.values())


def test_a_diamond_under_different_keys_fails_on_the_other_side(
    repo: Repository, client: Client, server: Server
) -> None:
    """In one search, a role that was good for its first delegator is looked at again for the second."""
    repo.delegate("targets", "A")
    repo.delegate("targets", "B")
    repo.delegate("A", "C", ed25519("C 1"))
    repo.delegate("B", "C", ed25519("C 2"))
    repo.delegate("targets", "D")
    repo.add("D", "x", b"x")
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert "D" not in server.visited


def test_a_delegation_can_be_taken_back(repo: Repository, client: Client) -> None:
    """A role in the cache is not searched when nobody delegates to it any more, or not to that key."""
    with_team(repo)
    client.settle("x")
    del repo.targets.signed["delegations"]
    repo.bump("targets")
    repo.publish()
    assert 1 == client.download("x")

    repo.delegate("targets", "team", ed25519("successor"))
    repo.bump("targets")
    repo.publish()
    assert 1 == client.download("x")

    repo.delegated["team"].signers = [ed25519("successor")]
    repo.bump("team")
    repo.publish()
    assert 0 == client.download("x")


def test_a_chain_without_mercy_ends(repo: Repository, client: Client, server: Server) -> None:
    """Hundreds of roles, each delegating to the next, are followed or refused, but do not bring anything down."""
    for number in range(1_100 if FULL else 350):
        repo.delegate(f"r{number - 1}" if number else "targets", f"r{number}")
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert [f"r{number}" for number in range(len(server.visited))] == server.visited


MATCHING: dict[str, tuple[list[str], list[str]]] = {
    "a/b.txt": (
        ["a/b.txt", "*/b.txt", "a/*", "a/*.txt", "*/*", "a/?.txt", "a/b.*", "?/b.txt", "a/b?txt", "a/**", "a*/*b*"],
        [
            *("*", "a*", "A/b.txt", "a/B.txt", "*.txt", "a/b.tx", "a/b.txt/", "a/?", "a/b.txt?", "**", "a/b/*"),
            *("/a/b.txt", "./a/b.txt", "a//b.txt", "", "?/?", "*/a/b.txt", "b.txt", "a", "a?b.txt"),
        ],
    ),
    "x": (["x", "*", "?", "x*", "*x"], ["X", "??", "x?", "?x", "*/x", "x/*", "/x", "x/", "", "xx", " x"]),
    "a/b/c": (["a/b/c", "*/*/*", "a/*/c"], ["a/*", "*", "a/*c", "*/c", "a*c", "a/b", "a/b/", "*/*/*/*", "a?b?c"]),
    "a.b+c(d)|e^$": (["a.b+c(d)|e^$", "a.*"], ["aab+c(d)|e^$", "a.bbc(d)|e^$", ".*", ".+", "a.b+c(d)", "e^$"]),
    "line\nline": (["line\nline", "*", "line?line"], ["line", "line\n", "lineline", "*.line"]),
    "line\n": (["line\n", "line*"], ["line"]),
    "ÜBER/ß": (["ÜBER/ß", "Ü*/?"], ["über/ß", "ÜBER/ss", "*", "U\u0308BER/ß"]),
}


@pytest.mark.parametrize("path", MATCHING)
def test_patterns_are_globs_by_segment(repo: Repository, client: Client, server: Server, path: str) -> None:
    """``*`` and ``?`` never cross a slash, nothing else is special, and case counts."""
    good, bad = MATCHING[path]
    patterns = sorted(good + bad)
    for number, pattern in enumerate(patterns):
        repo.delegate("targets", f"r{number}", paths=["nothing else", pattern])
    repo.publish()
    client.start()

    assert 1 == client.download(path)
    assert sorted(good) == [patterns[int(role[1:])] for role in server.visited]


def test_no_pattern_covers_nothing(repo: Repository, client: Client, server: Server) -> None:
    """An empty list is not everything."""
    repo.delegate("targets", "A", paths=[])
    repo.delegate("targets", "B", paths=None, path_hash_prefixes=[])
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert [] == server.visited


@pytest.mark.parametrize("path", ["x", "dir/file.txt", "ü"])
def test_hash_prefixes_compare_with_the_hex_digest(repo: Repository, client: Client, server: Server, path: str) -> None:
    """The SHA-256 of the path as it stands in metadata, from its first digit."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    other = f"{int(digest[0], 16) ^ 1:x}"
    prefixes = {
        "first digit": [digest[0]],
        "odd": [digest[:5]],
        "other digit": [other],
        "one of several": [other, digest[:2]],
        "whole": [digest],
        "too long": [digest + "0"],
        "from the second digit": [digest[1:9]],
        "of the path with a slash": [hashlib.sha256(f"/{path}".encode()).hexdigest()[:8]],
        "last digit differs": [digest[:-1] + f"{int(digest[-1], 16) ^ 1:x}"],
    }
    for number, listed in enumerate(prefixes.values()):
        repo.delegate("targets", f"r{number}", paths=None, path_hash_prefixes=listed)
    repo.publish()
    client.start()

    assert 1 == client.download(path)
    names = [list(prefixes)[int(role[1:])] for role in server.visited]
    assert ["first digit", "odd", "one of several", "whole"] == names


def bin_of(path: str, bits: int, prefix: str = "bin") -> str:
    """Name the bin of a path."""
    number = int.from_bytes(hashlib.sha256(path.encode()).digest()) >> (256 - bits)
    return f"{prefix}-{number:0{(bits + 3) // 4}x}"


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8, 10, 16, 31, 32])
def test_a_bin_is_named_by_the_first_bits(repo: Repository, client: Client, server: Server, bits: int) -> None:
    """TAP 15: as many bits as are said, in as many hex digits as the last bin needs."""
    paths = ["a", "dir/b", "c.txt"]
    bins = [bin_of(path, bits) for path in paths]
    repo.delegate_bins("targets", "bin", bits)
    for path, name in zip(paths, bins, strict=True):
        repo.bin(name, ed25519("bin"))
        repo.add(name, path, path.encode())
    repo.publish()
    client.start()

    assert 0 == client.download(*paths)
    assert list(dict.fromkeys(bins)) == server.visited
    assert sorted(path.encode() for path in paths) == sorted(client.downloaded.values())


@pytest.mark.parametrize("bits", [0, -1, 33, 256, "8", True, 8.0, None])
def test_bins_have_one_to_thirty_two_bits(repo: Repository, client: Client, bits: Any) -> None:
    """Any other number of bits is no delegation."""
    repo.delegate_bins("targets", "bin", bits)
    for name in ("bin-0", "bin-1", bin_of("x", 8), bin_of("x", 1)):
        repo.bin(name, ed25519("bin"))
        repo.add(name, "x", b"x")
    repo.publish()
    client.start()

    assert 1 == client.download("x")


def test_a_target_belongs_into_its_bin(repo: Repository, client: Client, server: Server) -> None:
    """A bin that lists the target of another is not asked."""
    right = bin_of("x", 1)
    wrong = {"bin-0": "bin-1", "bin-1": "bin-0"}[right]
    repo.delegate_bins("targets", "bin", 1)
    for name in (right, wrong):
        repo.bin(name, ed25519("bin"))
    repo.add(wrong, "x", b"x")
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert [right] == server.visited


def test_bins_are_terminating(repo: Repository, client: Client, server: Server) -> None:
    """TAP 15 says they are not; what is deployed treats them so, and two readings of one repository are worse."""
    grow(repo, {"targets": "A B"})
    repo.delegate_bins("A", "bin", 2)
    repo.bin(bin_of("x", 2), ed25519("bin"))
    repo.add("B", "x", b"x")
    repo.publish()
    client.start()

    assert 1 == client.download("x")
    assert ["A", bin_of("x", 2)] == server.visited


def test_bins_have_thresholds(repo: Repository, client: Client) -> None:
    """A bin is verified as any role is."""
    keys = ed25519("a"), ed25519("b")
    name = bin_of("x", 2)
    repo.delegate_bins("targets", "bin", 2, *keys, threshold=2)
    repo.bin(name, keys[0])
    repo.add(name, "x", b"x")
    repo.publish()
    client.start()
    assert 1 == client.download("x")

    repo.bump(name)
    repo.delegated[name].signers = list(keys)
    repo.publish()
    assert 0 == client.download("x")
