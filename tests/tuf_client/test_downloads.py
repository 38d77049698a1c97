"""Target files: what is written is what was listed, whole, and in its place: section 5.7."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import described
from tests.tuf_client.server import (
    after,
    broken_off,
    endless,
    endless_behind_the_file,
    misplaced_part,
    reset,
    says,
    silent,
    status,
    times,
    whole,
)
from tests.tuf_client.stories import with_team

if TYPE_CHECKING:
    from tests.tuf_client.client import Client
    from tests.tuf_client.repository import Repository
    from tests.tuf_client.server import Fault, Server

BIG = b"0123456789abcdef" * 40_000  # more than any buffer


def place(content: bytes, path: str = "x") -> str:
    """Where a target is with consistent snapshots, for a path without directories."""
    return f"targets/{hashlib.sha256(content).hexdigest()}.{path}"


def test_a_target_is_fetched_once(repo: Repository, client: Client, server: Server) -> None:
    """A file that is there already, with the right content, is not fetched again; another content is."""
    repo.add("targets", "x", BIG)
    repo.publish()
    client.start()

    assert 0 == client.download("x")
    assert [place(BIG).removeprefix("targets/")] == server.targets
    ((name, content),) = client.downloaded.items()
    assert BIG == content

    server.forget()
    assert 0 == client.download("x")
    assert [] == server.targets

    (client.target_dir / name).write_bytes(BIG[:-1] + b"!")
    assert 0 == client.download("x")
    assert {name: BIG} == client.downloaded


def test_a_changed_target_takes_the_place_of_the_old(repo: Repository, client: Client) -> None:
    """A file keeps its name when its content changes, be it longer or shorter."""
    for content in (b"first", b"second one", b""):
        repo.add("targets", "dir/x", content)
        repo.bump("targets")
        repo.publish()
        client.start()
        assert 0 == client.download("dir/x")
        ((name, held),) = client.downloaded.items()
        assert content == held
        assert name.endswith("x")


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\0\xff", BIG], ids=["empty", "newline", "binary", "big"])
def test_every_content_arrives_as_it_is(repo: Repository, client: Client, content: bytes) -> None:
    """Nothing is added, converted or left out."""
    repo.add("targets", "x", content)
    repo.publish()
    client.start()

    assert 0 == client.download("x")
    assert [content] == list(client.downloaded.values())


@pytest.mark.parametrize("consistent", [True, False])
def test_directories_stay_before_the_hash(
    repo: Repository, client: Client, server: Server, *, consistent: bool
) -> None:
    """With consistent snapshots a target is asked for as ``dir/HASH.name``, without as ``dir/name``."""
    repo.root.signed["consistent_snapshot"] = consistent
    repo.add("targets", "a/b.c/x.tar.gz", b"x")
    repo.publish()
    client.start()

    assert 0 == client.download("a/b.c/x.tar.gz")
    digest = f"{hashlib.sha256(b'x').hexdigest()}." if consistent else ""
    assert [f"a/b.c/{digest}x.tar.gz"] == server.targets


@pytest.mark.parametrize("algorithms", [("sha512",), ("sha256", "sha512"), ("sha512", "sha256")], ids=str)
def test_any_listed_hash_names_the_file(repo: Repository, client: Client, algorithms: tuple[str, ...]) -> None:
    """A repository has a target under each of its hashes; which one is asked for is the client's choice."""
    repo.add("targets", "x", b"x", **described(b"x", *algorithms))
    repo.publish()
    client.start()

    assert 0 == client.download("x")
    assert [b"x"] == list(client.downloaded.values())


@pytest.mark.parametrize(
    "hashes",
    [
        {"sha256": hashlib.sha256(b"x").hexdigest(), "sha512": "0" * 128},
        {"sha512": hashlib.sha512(b"x").hexdigest(), "sha256": "0" * 64},
        {"md5": hashlib.md5(b"x").hexdigest()},  # noqa: S324 # that is the point
        {"sha256": "0" * 64},
        {"sha256": ""},
        {},
    ],
    ids=["wrong second", "wrong first", "only weak", "wrong", "empty", "none"],
)
def test_every_hash_counts(repo: Repository, client: Client, server: Server, hashes: dict[str, str]) -> None:
    """One wrong hash is enough to refuse, a weak one not enough to accept."""
    repo.add("targets", "x", b"x", hashes=hashes)
    repo.publish()
    repo.files |= {f"targets/{digest}.x": b"x" for digest in hashes.values()} | {"targets/x": b"x"}
    client.start()

    assert 1 == client.download("x")
    assert {} == client.downloaded


def test_several_targets_come_in_order(repo: Repository, client: Client, server: Server) -> None:
    """Through one client: the metadata is asked for once, a role that holds two targets too."""
    with_team(repo)
    for path in "cab":
        repo.add("team", path, path.encode())
    repo.publish()
    client.start()

    assert 0 == client.download("c", "a", "b", "a")
    assert ["c", "a", "b"] == [path[-1] for path in server.targets]
    assert [("root", 2), ("timestamp", None), ("snapshot", 1), ("targets", 1), ("team", 1)] == server.metadata


@pytest.mark.parametrize("fault", ["unknown", "missing", "wrong"])
def test_the_first_failure_ends_a_download_of_several(
    repo: Repository, client: Client, server: Server, fault: str
) -> None:
    """What came before stays, what comes after is not asked for."""
    for path in "abc":
        repo.add("targets", path, path.encode())
    repo.publish()
    if fault != "unknown":
        server.faults[place(b"b", "b")] = {"missing": status(404), "wrong": says(b"B")}[fault]
    client.start()

    assert 1 == client.download("a", "nowhere" if fault == "unknown" else "b", "c")
    assert [b"a"] == list(client.downloaded.values())
    assert "c" not in [path[-1] for path in server.targets]


FAULTS: dict[str, Fault] = {
    "404": status(404),
    "403": status(403),
    "500": status(500),
    "204": status(204, b""),
    "304": status(304, b""),
    "wrong": says(BIG[:-1] + b"!"),
    "longer": says(BIG + b"!"),
    "shorter": says(BIG[:-1]),
    "empty": says(b""),
    "broken off": broken_off(len(BIG) // 2),
    "reset": reset,
    "without end": endless(),
    "and without end": endless_behind_the_file,
    "a part that nobody asked for": misplaced_part,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_download_leaves_the_old_file(repo: Repository, client: Client, server: Server, fault: str) -> None:
    """Whatever goes wrong, the file under the target's name is the old one or a whole new one; then it works again."""
    repo.add("targets", "x", b"old")
    repo.publish()
    client.settle("x")
    (name,) = client.downloaded
    repo.add("targets", "x", BIG)
    repo.bump("targets")
    repo.publish()
    server.faults[place(BIG)] = FAULTS[fault]

    assert 1 == client.download("x")
    assert client.seconds < 20
    assert {name: b"old"} == client.downloaded

    server.faults.clear()
    assert 0 == client.download("x")
    assert {name: BIG} == client.downloaded


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_first_download_leaves_no_file(repo: Repository, client: Client, server: Server, fault: str) -> None:
    """Under the target's name there is nothing before there is all of it."""
    repo.add("targets", "x", BIG)
    repo.publish()
    server.faults[place(BIG)] = FAULTS[fault]
    client.settle()

    assert 1 == client.download("x")
    assert {} == client.downloaded


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (broken_off(300_000), None),
        (broken_off(300_000), whole),
        (broken_off(300_000), broken_off(100_000)),
        (broken_off(300_000), misplaced_part),
        (broken_off(300_000), status(416)),
        (broken_off(300_000), says(b"?" * len(BIG))),
        (reset, None),
        (times(3, broken_off(200_000)), None),
    ],
    ids=["parts", "no parts", "worse", "another part", "416", "another file", "reset", "often"],
)
def test_what_broke_off_may_be_resumed(
    repo: Repository, client: Client, server: Server, first: Fault, then: Fault | None
) -> None:
    """A client may ask for the rest, now or in its next run; in no case is the outcome another file."""
    repo.add("targets", "x", BIG)
    repo.publish()
    client.settle()
    left = [first]

    def answer(exchange: object) -> None:
        fault = left.pop() if left else then
        if fault is None:
            exchange.answer()  # type: ignore[attr-defined]
        else:
            fault(exchange)  # type: ignore[arg-type]

    server.faults[place(BIG)] = answer
    code = client.download("x")
    assert ([BIG] if code == 0 else []) == list(client.downloaded.values())

    server.faults.clear()
    assert 0 == client.download("x")
    assert [BIG] == list(client.downloaded.values())


def test_a_killed_download_is_made_good(repo: Repository, client: Client, server: Server) -> None:
    """A client that is killed in the middle leaves the old file, and nothing that stands in the way."""
    repo.add("targets", "x", b"old")
    repo.publish()
    client.settle("x")
    (name,) = client.downloaded
    repo.add("targets", "x", BIG)
    repo.bump("targets")
    repo.publish()

    def kill(exchange: object) -> None:
        broken_off(300_000)(exchange)  # type: ignore[arg-type]
        process.kill()

    server.faults[place(BIG)] = kill
    with client.spawn(client.downloading("x")) as process:
        process.communicate()
    assert {name: b"old"} == client.downloaded

    server.faults.clear()
    assert 0 == client.download("x")
    assert {name: BIG} == client.downloaded


def test_nothing_is_written_through_a_link(repo: Repository, client: Client) -> None:
    """A symbolic link under the target's name is replaced; what it points to is not touched."""
    repo.add("targets", "x", b"old")
    repo.publish()
    client.settle("x")
    (name,) = client.downloaded
    elsewhere = client.home / "elsewhere"
    elsewhere.write_bytes(b"old")
    (client.target_dir / name).unlink()
    (client.target_dir / name).symlink_to(elsewhere)
    repo.add("targets", "x", b"new")
    repo.bump("targets")
    repo.publish()

    code = client.download("x")
    assert b"old" == elsewhere.read_bytes()
    assert (b"new" if code == 0 else b"old") == (client.target_dir / name).read_bytes()


def test_a_directory_in_the_way_is_an_error(repo: Repository, client: Client) -> None:
    """Where the file should go there is a directory: it stays, and the client says so."""
    repo.add("targets", "x", b"old")
    repo.publish()
    client.settle("x")
    (name,) = client.downloaded
    (client.target_dir / name).unlink()
    (client.target_dir / name).mkdir()
    (client.target_dir / name / "precious").write_bytes(b"precious")

    assert 1 == client.download("x")
    assert {f"{name}/precious": b"precious"} == client.downloaded


def test_a_target_that_is_replaced_meanwhile_is_refused(repo: Repository, client: Client, server: Server) -> None:
    """Without consistent snapshots the file may be newer than the metadata; the next run has both."""
    repo.root.signed["consistent_snapshot"] = False
    repo.add("targets", "x", b"one")
    repo.publish()
    client.start()

    def publish() -> None:
        repo.add("targets", "x", b"two")
        repo.bump("targets")
        repo.publish()

    server.faults["metadata/targets.json"] = after(publish)
    assert 1 == client.download("x")
    assert {} == client.downloaded

    server.faults.clear()
    assert 0 == client.download("x")
    assert [b"two"] == list(client.downloaded.values())


def test_a_target_without_a_repository_is_not_there(repo: Repository, client: Client, server: Server) -> None:
    """That the file is there from before is no reason to skip the metadata."""
    repo.add("targets", "x", b"x")
    repo.publish()
    client.settle("x")
    server.faults["metadata/timestamp.json"] = reset

    assert 1 == client.download("x")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TRUSTREG_FULL"), reason="waits for a time-out")
def test_silence_in_place_of_a_target_ends(repo: Repository, client: Client, server: Server) -> None:
    """A server that takes the request and says nothing does not hold the client for ever."""
    repo.add("targets", "x", b"x")
    repo.publish()
    client.settle()
    server.faults[place(b"x")] = silent

    assert 1 == client.download("x")
    assert {} == client.downloaded
