"""Names are data: none becomes a path, a URL or another role's file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.tuf_client.repository import TOP_LEVEL, ed25519

if TYPE_CHECKING:
    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Server

ROLES = [
    "a/b",
    "../a",
    "../../../a",
    "/a",
    "a.b",
    ".a",
    "a b",
    "a+b&c=d?e#f",
    "a%2Fb",
    "a:b",
    "a\\b",
    "UPPER",
    "ünïcödé",
    "役割",
    "\U0001f512",
    "a~b",
    "1.a",
    "a.json",
    "con",
    "-rf",
    "a\nb",
    "*",
    "?",
    "..a",
    "a/../b",
    "http://example.com/a",
]


@pytest.mark.parametrize("role", ROLES, ids=repr)
def test_a_role_has_any_name(repo: Repository, client: Client, server: Server, role: str) -> None:
    """A delegated role is asked for by its percent-encoded name, and its file stays in the metadata directory."""
    repo.delegate("targets", role)
    repo.add(role, "x", b"x")
    repo.publish()
    client.start()
    surroundings = client.surroundings

    assert 0 == client.download("x")
    (asked,) = [request.raw for request in server.requests if (request.metadata or [""])[0] == role]
    assert f"/metadata/1.{quote(role, safe='')}.json" == asked
    assert sorted(repo.newest(role).values()) == client.json_files
    assert repo.newest() == client.trusted
    assert surroundings == client.surroundings

    server.forget()
    assert 0 == client.download("x")
    assert [] == server.visited


def test_roles_with_names_alike_are_apart(repo: Repository, client: Client, server: Server) -> None:
    """Names that are the same after one encoding or another, or on some disk, are files of their own."""
    roles = ["a/b", "a%2Fb", "a%2fb", "a%252Fb", "a_b", "a.b", "A.B", "a.b.json", "1.a.b", "é", "e\u0301"]
    for number, role in enumerate(roles):
        repo.delegate("targets", role, paths=[f"file-{number}"])
        repo.add(role, f"file-{number}", f"content {number}".encode())
    repo.publish()
    client.start()
    names = [f"file-{number}" for number in range(len(roles))]

    assert 0 == client.download(*names)
    assert roles == server.visited
    assert sorted(repo.newest(*roles).values()) == client.json_files
    assert sorted(repo.contents.values()) == sorted(client.downloaded.values())


@pytest.mark.parametrize(
    "role",
    ["root", "timestamp", "snapshot", "targets", "Root", "TIMESTAMP", "Targets", "", ".", "..", "a\0b", "x" * 999],
    ids=lambda role: repr(role[:20]),
)
@pytest.mark.parametrize("consistent", [True, False])
def test_no_role_takes_the_place_of_another(repo: Repository, client: Client, role: str, *, consistent: bool) -> None:
    """Whether such a name is refused or works: the top-level files stay what they are, on any disk."""
    repo.root.signed["consistent_snapshot"] = consistent
    repo.delegate("targets", "other", paths=["y"])
    repo.add("other", "y", b"y")
    repo.publish()
    client.start()
    assert 0 == client.refresh()
    before, surroundings = client.trusted, client.surroundings
    top = {role: repo.files[repo.place(role)] for role in TOP_LEVEL}
    if (
        role in TOP_LEVEL
    ):  # the repository has one file of that name; it is the delegated role's where there is a choice
        repo.targets.signed["delegations"]["roles"][0] |= {"name": role, "keyids": [ed25519("other").keyid]}
        repo.bump("targets")
        repo.publish()
    else:
        repo.delegate("targets", role, paths=["x"])
        repo.add(role, "x", b"x")
        repo.bump("targets")
        repo.publish()

    client.download("y", "x")
    client.download("x")
    assert before["root"] == top["root"] == client.trusted["root"]
    for name in TOP_LEVEL:
        assert name == json.loads(client.trusted[name])["signed"]["_type"]
    assert {"root": 1, "timestamp": 2, "snapshot": 2} == {
        name: version for name, version in client.versions.items() if name != "targets"
    }
    assert [1, 1, 1, 1] == [
        len([file for file in client.metadata_dir.iterdir() if file.name.lower() == f"{name}.json"])
        for name in TOP_LEVEL
    ]
    assert surroundings == client.surroundings


@pytest.mark.parametrize("prefix", ["../bin", "a/b", "/bin", "targets", "ü b"])
def test_prefixes_of_bins_are_names_too(repo: Repository, client: Client, server: Server, prefix: str) -> None:
    """A bin's name begins with what the delegation says, and is encoded as any."""
    repo.delegate_bins("targets", prefix, 1)
    for digit in "01":
        repo.bin(f"{prefix}-{digit}", ed25519(prefix))
        repo.add(f"{prefix}-{digit}", "x", b"x")
    repo.publish()
    client.start()
    surroundings = client.surroundings

    assert 0 == client.download("x")
    (asked,) = [request.raw for request in server.requests if request.metadata and request.metadata[0][-2] == "-"]
    assert asked.startswith(f"/metadata/1.{quote(prefix, safe='')}-")
    assert surroundings == client.surroundings


TARGETS = ["a b", "a%2Fb", "a?b", "a#b", "a&b=c", "ü/ö", "a+b", "a;b", ".hidden", "a:b", "役割.txt", "A", "x" * 150]


def test_targets_have_any_names(repo: Repository, client: Client, server: Server) -> None:
    """A target's path is encoded into its URL, except for its slashes. All names in one run."""
    for path in TARGETS:
        repo.add("targets", path, path.encode())
    repo.publish()
    client.start()

    assert 0 == client.download(*TARGETS)
    assert sorted(path.encode() for path in TARGETS) == sorted(client.downloaded.values())


HOSTILE = [
    "../x",
    "../../../x",
    "/x",
    "//x",
    "a/../../x",
    "a/../x",
    "./x",
    "..",
    ".",
    "a/",
    "a//x",
    "~/x",
    "..\\x",
    "C:\\x",
    "a\nx",
    "-x",
    "",
    "x" * 300,
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: repr(path[:20]))
def test_no_target_leaves_its_directory(repo: Repository, client: Client, path: str) -> None:
    """Whatever the name of a well-signed target, nothing is written outside of the target directory."""
    repo.add("targets", "first", b"first")
    repo.targets.signed["targets"][path] = repo.targets.signed["targets"]["first"]
    repo.contents[path] = b"first"
    repo.publish()
    client.start()
    assert 0 == client.refresh()
    surroundings, held = client.surroundings, client.json_files

    arguments = [argument for argument in client.downloading(path) if argument != "--target-name"]
    arguments[arguments.index(path)] = f"--target-name={path}"  # in one, as it may begin with a dash
    code = client.run(*arguments)
    assert surroundings == client.surroundings
    assert held == client.json_files
    assert ([b"first"] if code == 0 else []) == list(client.downloaded.values())


def test_names_that_differ_are_files_that_differ(repo: Repository, client: Client) -> None:
    """Two targets never share a file, however alike they are encoded."""
    paths = ["a/b", "a%2Fb", "a%252Fb", "a_b", "a-b", "a b", "a+b", "b", "c/b", "a/b.txt", "a/c"]
    for path in paths:
        repo.add("targets", path, path.encode())
    repo.publish()
    client.start()

    assert 0 == client.download(*paths)
    assert sorted(path.encode() for path in paths) == sorted(client.downloaded.values())
