"""The metadata directory: untrusted input when read, never torn when written, shared by several processes."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.tuf_client.repository import Repository, ed25519
from tests.tuf_client.server import late, silent
from tests.tuf_client.stories import next_of_all, with_team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tests.tuf_client.client import Client
    from tests.tuf_client.server import Server

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: content[:0],
    "garbage": lambda content: b"\x00\xff{" + content[:0],
    "half": lambda content: content[: len(content) // 2],
    "[]": lambda content: b"[]" + content[:0],
    "unsigned": lambda content: json.dumps(json.loads(content) | {"signatures": []}).encode(),
    "tampered": lambda content: content.replace(b'"version":1', b'"version":9', 1),
    "deep": lambda content: b"[" * 100_000 + content[:0],
    "huge": lambda content: content[:0] + b"{" * 2**24,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_damaged_file_is_fetched_again(repo: Repository, client: Client, role: str, damage: str) -> None:
    """What is not good in the cache is as good as not there; afterwards it is good again."""
    repo.publish()
    client.settle()
    client.write(role, DAMAGES[damage](client.trusted[role]))

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_delegated_role_is_fetched_again(repo: Repository, client: Client, damage: str) -> None:
    """The same where the file's name is the client's own."""
    with_team(repo)
    client.settle("x")
    (file,) = [
        file
        for file in client.metadata_dir.glob("*.json")
        if b'"_type":"targets"' in file.read_bytes() and file.name != "targets.json"
    ]
    file.write_bytes(DAMAGES[damage](file.read_bytes()))

    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_root_is_not_believed(repo: Repository, client: Client, damage: str) -> None:
    """Without a root there is nothing to begin with: the client says so, unless it has a good copy."""
    repo.publish()
    client.settle()
    good = client.trusted["root"]
    client.write("root", DAMAGES[damage](good))

    code = client.refresh()
    assert code == 1 or client.trusted["root"] == good


@pytest.mark.parametrize("damage", ["empty", "garbage", "missing"])
def test_a_lost_root_is_not_learnt_from_a_stranger(
    repo: Repository, client: Client, server: Server, damage: str
) -> None:
    """Whoever serves the files must not become the one who is trusted because the root is gone."""
    repo.publish()
    client.settle()
    if damage == "missing":
        (client.metadata_dir / "root.json").unlink()
    else:
        client.write("root", DAMAGES[damage](client.trusted["root"]))
    stranger = Repository()
    for role in ("root", "timestamp", "snapshot", "targets"):
        stranger.trust(role, ed25519(f"stranger {role}"))
        stranger.document(role).version = 2
    stranger.publish()
    stranger.root.version = 1
    stranger.publish()
    server.tell(stranger)

    assert 1 == client.refresh()
    assert stranger.newest()["timestamp"] != client.trusted.get("timestamp")


def test_a_lost_root_may_have_gained_signatures(repo: Repository, client: Client) -> None:
    """The same version, signed by those who signed it before and somebody else, is the root that is trusted."""
    first, second = ed25519("first"), ed25519("second")
    repo.trust("root", first, second, threshold=1, sign=[first])
    repo.publish()
    client.settle()
    (client.metadata_dir / "root.json").unlink()
    repo.root.signers = [second, first]
    repo.publish_root()

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("signs", ["newcomer", "second"])
def test_a_lost_root_is_not_replaced_by_who_did_not_vouch_for_it(repo: Repository, client: Client, signs: str) -> None:
    """Another root of that version does not do, though it lists the keys that are trusted and is signed as it asks."""
    first, second = ed25519("first"), ed25519("second")
    repo.trust("root", first, second, threshold=1, sign=[first])
    repo.publish()
    client.settle()
    (client.metadata_dir / "root.json").unlink()
    repo.trust("root", first, second, ed25519("newcomer"), threshold=1, sign=[ed25519(signs)])
    repo.publish_root()

    assert 1 == client.refresh()


def test_files_of_another_role_are_not_taken_for_it(repo: Repository, client: Client) -> None:
    """Well-signed files in each other's places are damage like any other."""
    repo.publish()
    client.settle()
    held = client.trusted
    client.write("timestamp", held["snapshot"])
    client.write("snapshot", held["targets"])
    client.write("targets", held["timestamp"])

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_missing_file_is_fetched_again(repo: Repository, client: Client, role: str) -> None:
    """As on the first refresh."""
    repo.publish()
    client.settle()
    (client.metadata_dir / f"{role}.json").unlink()

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


def test_a_forged_future_in_the_cache_is_no_floor(repo: Repository, client: Client) -> None:
    """Files that nobody signed do not keep a client from what is good."""
    repo.publish()
    client.settle()
    other = Repository()
    other.keys = {}
    for document in (other.timestamp, other.snapshot, other.targets):
        document.version, document.signers = 1_000_000, [ed25519("stranger")]
    other.publish()
    for role, content in other.newest().items():
        if role != "root":
            client.write(role, content)

    assert 0 == client.refresh()
    assert repo.newest() == client.trusted


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        "lock",
        "metadata.lock",
        "timestamp.json.lock",
        "timestamp.json.tmp",
        ".timestamp.json.tmp",
        "timestamp.json~",
        "tmp0123abcd",
        ".tmp",
        "root.json.new",
    ],
)
def test_what_a_dead_process_left_is_not_in_the_way(repo: Repository, client: Client, name: str) -> None:
    """A lock file or half a file of somebody who is gone does not stop anybody."""
    repo.publish()
    client.start()
    (client.metadata_dir / name).write_text("12345\n")

    assert 0 == client.refresh()
    assert client.seconds < 5
    assert repo.newest() == client.trusted


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_link_in_the_cache_is_not_followed(repo: Repository, client: Client, role: str) -> None:
    """A file that the cache links to is not written to."""
    repo.publish()
    client.settle()
    elsewhere = client.home / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (client.metadata_dir / f"{role}.json").unlink()
    (client.metadata_dir / f"{role}.json").symlink_to(elsewhere)
    repo.bump("targets")
    repo.publish()

    client.refresh()
    assert b"precious" == elsewhere.read_bytes()


@pytest.mark.parametrize("path", ["metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json"])
def test_a_killed_client_leaves_a_cache_that_works(repo: Repository, client: Client, server: Server, path: str) -> None:
    """Killed at any of its requests, it holds no lock and no half file that matters to the next."""
    with_team(repo)
    client.settle("x")
    next_of_all(repo)
    repo.publish()

    def kill(exchange: object) -> None:
        process.kill()
        silent(exchange)  # type: ignore[arg-type]

    server.faults[path] = kill
    with client.spawn(client.downloading("x")) as process:
        process.communicate()

    server.faults.clear()
    assert 0 == client.download("x")
    assert client.seconds < 5
    assert sorted(repo.newest("team").values()) == client.json_files


def test_a_second_init_begins_anew(repo: Repository, client: Client) -> None:
    """Another root that is given is the trusted one from then on, and what the old one vouched for is no floor."""
    repo.timestamp.version = 9
    repo.publish()
    client.settle()
    other = Repository()
    for role in ("root", "timestamp", "snapshot", "targets"):
        other.trust(role, ed25519(f"other {role}"))
    other.publish()

    assert 0 == client.init(other.newest()["root"])
    assert other.newest()["root"] == client.trusted["root"]


def _watch(client: Client, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """Read the files again and again; every one of them is whole."""
    while not stop.is_set():
        for file in client.metadata_dir.glob("*.json"):
            try:
                signed = json.loads(file.read_bytes())["signed"]
            except FileNotFoundError:
                continue
            yield {file.name: signed["version"]}
        time.sleep(0.002)


@pytest.mark.parametrize("what", ["refresh", "download"])
def test_several_processes_share_a_directory(repo: Repository, client: Client, server: Server, what: str) -> None:
    """
    Four processes at a time over one directory while the repository goes on: every one of them succeeds or fails
    cleanly, nobody ever sees half a file or one that went back, and in the end all is well.
    """
    with_team(repo)
    client.start()
    arguments = client.refreshing() if what == "refresh" else client.downloading("x")
    stop, seen, trouble = threading.Event(), dict[str, int](), list[str]()

    def watch() -> None:
        try:
            for found in _watch(client, stop):
                ((name, version),) = found.items()
                if version < seen.get(name, 0):
                    trouble.append(f"{name} went from {seen[name]} to {version}")
                seen[name] = version
        except Exception as exc:  # noqa: BLE001 # shown below
            trouble.append(repr(exc))

    watcher = threading.Thread(target=watch)
    watcher.start()
    codes = []
    for _ in range(4):
        processes = [client.spawn(arguments) for _ in range(4)]
        while any(process.poll() is None for process in processes):
            repo.bump("targets", "team")
            repo.add("team", "x", f"content {repo.timestamp.version}".encode())
            repo.publish()
            time.sleep(0.02)
        for process in processes:
            output, _ = process.communicate()
            codes.append(client.judged(process.returncode, output))
    stop.set()
    watcher.join()

    assert [] == trouble
    assert 0 in codes
    assert 0 == client.download("x")
    assert sorted(repo.newest("team").values()) == client.json_files


def test_a_slow_process_does_not_bring_back_the_past(repo: Repository, client: Client, server: Server) -> None:
    """A process that got an old timestamp and a break does not overwrite what a faster one has kept meanwhile."""
    repo.publish()
    client.settle()
    repo.bump("targets")
    repo.publish()
    old = repo.files
    server.faults["metadata/2.snapshot.json"] = late(1.5)
    with client.spawn(client.refreshing()) as slow:
        deadline = time.monotonic() + 10
        while ("snapshot", 2) not in server.metadata and time.monotonic() < deadline:
            time.sleep(0.01)
        repo.bump("targets")
        repo.publish()
        fast = client.refresh()
        output, _ = slow.communicate()
    client.judged(slow.returncode, output)

    assert old["metadata/timestamp.json"] != repo.files["metadata/timestamp.json"]
    assert 0 == fast
    assert {"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3} == client.versions
