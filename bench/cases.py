"""What is measured: starting, reading and publishing, as people run the two tools."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.stopwatch import Contestant, Series, compete
from bench.trust_data import collection, digest, forget, stage, tags
from tests.peers import Passphrases
from tests.peers.command import clean_env, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.peers import TrustServerPeer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one comparison; ``base`` is the contestant that the others are measured by."""

    group: str
    what: str
    server: str
    tags: int
    base: str
    series: Mapping[str, Series]


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs under test, and a folder that is theirs."""

    trustreg: Path
    notary: Path
    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter that runs trustreg."""
        return self.trustreg.with_name("python")

    def env(self, **extra: str) -> dict[str, str]:
        """Return an environment in which nothing but the installed trustreg is found."""
        env = clean_env(HOME=str(self.folder / "home"), **extra)
        env.pop("PYTHONPATH", None)
        return env


def starting(tools: Tools, rounds: int) -> Iterator[Outcome]:
    """Start the interpreter, import the library, start the commands, and do nothing."""
    env = tools.env()
    contestants = [
        Contestant("python -c pass", [tools.python, "-c", "pass"], env),
        Contestant("import trustreg", [tools.python, "-c", "import trustreg"], env),
        Contestant(f"import {', '.join(LIBRARIES)}", [tools.python, "-c", f"import {', '.join(LIBRARIES)}"], env),
        Contestant("trustreg --version", [tools.trustreg, "--version"], env),
        Contestant("notary version", [tools.notary, "version"], env),
    ]
    yield Outcome("start", "start", "", 0, "python -c pass", compete(contestants, rounds))


def reading(tools: Tools, server: TrustServerPeer, sizes: Sequence[int], rounds: int) -> Iterator[Outcome]:
    """Look one tag up and list all of them, knowing nothing yet (cold) and having looked before (warm)."""
    for size in sizes:
        gun = f"registry.example/read/of-{size}-tags"
        collection(server, tools.folder / f"author-{server.port}-{size}", gun, size)
        for state in ("cold", "warm"):
            for command in ("verify", "list"):
                contestants = _readers(tools, server, gun, size, command, cold=state == "cold")
                found = compete(contestants, rounds)
                yield Outcome(command, state, server.name, size, contestants[0].name, found)


def publishing(tools: Tools, server: TrustServerPeer, size: int, rounds: int) -> Iterator[Outcome]:
    """Publish one more tag. Each tool has a collection of its own, and the cache that its last run left behind."""
    contestants = [
        _publisher(tools, server, size, "notary publish", collection),
        _publisher(tools, server, size, "trustreg publish (key file of notary)", collection),
        _publisher(tools, server, size, "trustreg publish", functools.partial(_own_collection, tools)),
    ]
    found = compete(contestants, rounds)
    yield Outcome("publish", "one tag", server.name, size, "notary publish", found)


def _readers(
    tools: Tools, server: TrustServerPeer, gun: str, size: int, command: str, *, cold: bool
) -> list[Contestant]:
    tag = tags(size)[size // 2]
    places = {name: tools.folder / f"{name}-{server.port}-{size}" for name in ("notary", "trustreg")}
    words: dict[str, tuple[list[str], list[str]]] = {
        "verify": (["lookup", gun, tag], ["verify", "--no-registry", f"{gun}:{tag}"]),
        "list": (["list", gun], ["list", gun]),
    }
    theirs, ours = words[command]
    where = {"TRUSTREG_SERVER": server.url, "TRUSTREG_TRUST_DIR": str(places["trustreg"])}
    made = [
        Contestant(
            f"notary {theirs[0]}", [tools.notary, "-s", server.url, "-d", places["notary"], *theirs], tools.env()
        ),
        Contestant(f"trustreg {ours[0]}", [tools.trustreg, *ours], tools.env(**where)),
    ]
    result = []
    for contestant, place in zip(made, places.values(), strict=True):
        forget(place)
        if not cold:
            run(contestant.argv, env=contestant.env)
        prepare: Callable[[], object] = functools.partial(forget, place) if cold else (lambda: None)
        check = functools.partial(_names, digest(tag))
        result.append(Contestant(contestant.name, contestant.argv, contestant.env, prepare, check))
    return result


LIBRARIES = ("click", "requests", "orjson", "cryptography.hazmat.primitives.asymmetric.ec")
"""What a look-up stands on, and cannot be faster than."""


def _names(sha256: str, printed: str) -> bool:
    return sha256 in printed


def _publisher(
    tools: Tools,
    server: TrustServerPeer,
    size: int,
    name: str,
    make: Callable[[TrustServerPeer, Path, str, int], object],
) -> Contestant:
    label = name.translate(str.maketrans(" ", "-", "()"))
    gun, place = f"registry.example/{label}/app", tools.folder / f"{label}-{server.port}"
    make(server, place, gun, size)
    argv: dict[str, list[str | Path]] = {
        "notary": [tools.notary, "-s", server.url, "-d", place, "publish", gun],
        "trustreg": [tools.trustreg, "publish", "--server", server.url, "--trust-dir", str(place), gun],
    }
    number = iter(range(1_000_000))
    return Contestant(
        name,
        argv[name.partition(" ")[0]],
        tools.env(**Passphrases().notary_env()),
        lambda: stage(place, gun, [f"added-{next(number)}"]),
    )


def _own_collection(tools: Tools, server: TrustServerPeer, place: Path, gun: str, count: int) -> None:
    """Do as :func:`bench.trust_data.collection`, with trustreg and keys in the form that it prefers."""
    env = tools.env(**Passphrases().notary_env())
    common = ["--server", server.url, "--trust-dir", str(place), gun]
    run([tools.trustreg, "init", *common], env=env)
    stage(place, gun, tags(count))
    run([tools.trustreg, "publish", *common], env=env, timeout=600)
