"""Several repositories are read as one, by a map file: each with its own root, cache and mirrors."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs import KINDS, Programs, programs
from tests.tuf_client.repository import START, Repository
from tests.tuf_client.server import Server, broken_off, says, silent, status
from trustreg.agreement import DisagreementError, UndecidedError
from trustreg.errors import AbsentError, ContentError, FileError, OfflineError, ServerError, SettingError
from trustreg.io.http import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tuf_client.server import Fault

BODY = b"the same everywhere " * 1000


class World:
    """Three repositories, ``a``, ``b`` and ``c``, each with a server of its own, and a map of them."""

    def __init__(self, made: Programs, folder: Path, servers: list[Server]) -> None:
        self._made, self.folder, self.now = made, folder, START
        self.servers = dict(zip("abc", servers, strict=True))
        self.repos = {name: Repository(consistent=name != "c") for name in self.servers}
        for name, repo in self.repos.items():
            repo.add("targets", "app.tar", BODY)
            repo.add("targets", f"only-{name}", name.encode())
            repo.publish()
            self.servers[name].tell(repo)
        self.rules: list[dict[str, Any]] = [
            {"paths": ["only-*"], "repositories": ["c"], "threshold": 1, "terminating": True},
            {"paths": ["*"], "repositories": ["a", "b", "c"], "threshold": 2},
        ]

    def map(self, **options: Any) -> Any:
        """Begin, or begin again with what is kept."""
        document = {
            "repositories": {name: [server.url.rstrip("/")] for name, server in self.servers.items()},
            "mapping": self.rules,
        }
        (self.folder / "map.json").write_text(json.dumps(document))
        given = {
            "cache": self.folder / "metadata",
            "roots": {name: repo.files["metadata/1.root.json"] for name, repo in self.repos.items()},
            "clock": lambda: self.now,
            "timeouts": Timeouts(2, 0.5, 2),
            "env": {"HOME": str(self.folder)},
        }
        return self._made.map(self.folder / "map.json", **(given | options))

    def asked(self) -> dict[str, int]:
        """Give how many requests each has had since the last time."""
        counts = {name: len(server.requests) for name, server in self.servers.items()}
        for server in self.servers.values():
            server.forget()
        return counts

    def fail(self, name: str, fault: Fault) -> None:
        """Have the timestamp of a repository be something else."""
        self.servers[name].faults["metadata/timestamp.json"] = fault

    def say(self, name: str, content: bytes) -> None:
        """Have a repository publish another target."""
        self.repos[name].add("targets", "app.tar", content)
        self.repos[name].bump("targets")
        self.repos[name].publish()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    with Server() as one, Server() as two, Server() as three:
        yield [one, two, three]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, servers: list[Server]) -> Iterator[World]:
    with programs(request.param) as made:
        yield World(made, tmp_path, servers)


def test_enough_agree(world: World) -> None:
    """The others are not asked, each keeps its own metadata, and the file comes from one of them."""
    found = world.map()
    agreed = found.find("app.tar")

    assert (agreed.repositories, agreed.length, agreed.custom) == (("a", "b"), len(BODY), None)
    assert world.asked() == {"a": 4, "b": 4, "c": 0}
    assert sorted(path.name for path in (world.folder / "metadata").iterdir()) == ["a", "b"]
    assert (world.folder / "metadata/a/root.json").read_bytes() == world.repos["a"].files["metadata/1.root.json"]
    assert found.download(agreed, world.folder / "out").read_bytes() == BODY
    assert world.asked() == {"a": 1, "b": 0, "c": 0}


def test_each_repository_is_refreshed_once(world: World) -> None:
    """Until all are refreshed; then each is when it is next asked, at one time for all."""
    found = world.map()
    found.find("app.tar")
    found.find("other")
    assert found.find("only-c").repositories == ("c",)
    assert world.asked() == {"a": 4, "b": 4, "c": 4}
    found.refresh()
    assert world.asked() == {"a": 0, "b": 0, "c": 0}
    found.find("app.tar")
    assert world.asked() == {"a": 2, "b": 2, "c": 0}
    world.now += timedelta(days=2)
    found.refresh()
    with pytest.raises(DisagreementError, match="expired"):
        found.find("app.tar")


def test_a_mapping_that_ends_the_search(world: World) -> None:
    """What it covers nobody else may list."""
    assert world.map().find("only-a") is None
    assert world.asked() == {"a": 0, "b": 0, "c": 4}


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"a": silent}, "bc"),
        ({"a": status(500), "b": status(500)}, UndecidedError),
        ({"a": says(b"{}")}, "bc"),
        ({"a": says(b"{}"), "b": says(b"{}")}, DisagreementError),
        ({"a": says(b"{}"), "b": status(500)}, UndecidedError),
        ({"a": status(403), "b": status(404)}, UndecidedError),
        ({"a": status(404), "b": status(404)}, DisagreementError),
    ],
)
def test_one_that_cannot_be_had_agrees_with_nobody(
    world: World, faults: dict[str, Fault], expected: str | type[Exception]
) -> None:
    """Whether the others are enough, whether it could have been, or not."""
    for name, fault in faults.items():
        world.fail(name, fault)
    found = world.map()
    if isinstance(expected, str):
        assert found.find("app.tar").repositories == tuple(expected)
        return
    for _ in range(2):  # it is asked once, until all are refreshed
        with pytest.raises(expected):
            found.find("app.tar")
    for server in world.servers.values():
        server.faults.clear()
    found.refresh()
    assert found.find("app.tar").repositories == ("a", "b")


def test_one_that_lists_another_content(world: World) -> None:
    """It is outvoted; or they disagree."""
    world.say("a", b"something else")
    assert world.map().find("app.tar").repositories == ("b", "c")
    world.say("b", b"something else again")
    with pytest.raises(DisagreementError) as caught:
        world.map().find("app.tar")
    assert [answer.partition(":")[0] for answer in caught.value.answers] == ["a", "b", "c"]


def test_a_role_that_cannot_be_had_is_like_a_repository(world: World) -> None:
    """Its repository may list what it would say."""
    for name in "ab":
        repo = world.repos[name]
        repo.delegate("targets", "team", paths=["team-*"])
        repo.add("team", "team-app", BODY)
        repo.bump("targets")
        repo.publish()
    world.servers["a"].faults["metadata/1.team.json"] = status(503)
    found = world.map()

    with pytest.raises(UndecidedError):
        found.find("team-app")
    world.servers["a"].faults.clear()
    assert found.find("team-app").repositories == ("a", "b")  # a role that failed is asked for again


@pytest.mark.parametrize("fault", [status(404), status(500), says(b"x" * len(BODY)), broken_off(100), broken_off(0)])
def test_the_file_comes_from_any_that_agrees(world: World, fault: Fault) -> None:
    """From where the one before left off, if it left something."""
    found = world.map()
    agreed = found.find("app.tar")
    world.servers["a"].faults[f"targets/{agreed.targets['a'].path}"] = fault

    assert found.download(agreed, world.folder / "out", "app").read_bytes() == BODY
    assert [path.name for path in (world.folder / "out").iterdir()] == ["app"]


def test_a_file_that_none_has(world: World) -> None:
    """It is not known as long as one of them might; the disk is nobody's fault."""
    found = world.map()
    agreed = found.find("app.tar")
    path = f"targets/{agreed.targets['a'].path}"
    for first, second, error in (
        (status(404), status(500), ServerError),
        (status(404), says(b"x" * len(BODY)), AbsentError),
        (says(b"x" * len(BODY)), status(404), ContentError),
        (silent, silent, OfflineError),
    ):
        world.servers["a"].faults[path], world.servers["b"].faults[path] = first, second
        with pytest.raises(error):
            found.download(agreed, world.folder / "out")
    (world.folder / "file").touch()
    world.asked()
    with pytest.raises(FileError):
        found.download(agreed, world.folder / "file" / "out")
    assert world.asked() == {"a": 0, "b": 0, "c": 0}


def test_what_is_kept_is_read_without_asking(world: World) -> None:
    """At any time; a repository of which nothing is kept is one that fails."""
    world.map().find("app.tar")
    world.asked()
    world.now += timedelta(days=2)
    offline = world.map(roots={})

    offline.recall()
    with pytest.raises(DisagreementError):
        offline.find("app.tar")
    offline.recall(START)
    assert offline.find("app.tar").repositories == ("a", "b")
    with pytest.raises(DisagreementError):
        offline.find("only-c")
    assert world.asked() == {"a": 0, "b": 0, "c": 0}


def test_a_map_that_cannot_be_used(world: World) -> None:
    """A setting, before anybody is asked."""
    with pytest.raises(SettingError, match="no such repository"):
        world.map(roots={"z": b""})
    world.rules[0]["threshold"] = 2
    with pytest.raises(SettingError, match=r"mapping\[0\].threshold"):
        world.map()
    with pytest.raises(FileError):
        world._made.map(world.folder / "none.json", cache=world.folder)
    (world.folder / "map.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(FileError, match="longer"):
        world._made.map(world.folder / "map.json", cache=world.folder)
    assert world.asked() == {"a": 0, "b": 0, "c": 0}


def test_tasks_share_a_map(tmp_path: Path, servers: list[Server]) -> None:
    """Each repository is refreshed once, however many ask at the same time."""
    import asyncio

    with programs("awaiting") as made:
        world = World(made, tmp_path, servers)
        found = world.map().made

        async def ask() -> list[Any]:
            async with found:
                return await asyncio.gather(*(found.find("app.tar") for _ in range(10)), found.find("only-c"))

        *agreed, only = asyncio.run(ask())
        assert {one.repositories for one in agreed} == {("a", "b")}
        assert only.repositories == ("c",)
        assert world.asked() == {"a": 4, "b": 4, "c": 4}


def test_a_map_is_left_as_it_is_entered(tmp_path: Path, servers: list[Server]) -> None:
    """Closed."""
    with programs("waiting") as made:
        world = World(made, tmp_path, servers)
        with world.map() as found:
            assert found.find("app.tar")
