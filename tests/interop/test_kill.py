"""
``kill -9`` of a publisher at any moment of its life leaves a whole collection, a whole cache and every key.

Moments are spread evenly over the measured life of the process, from its first instruction to after its last, each
moved by chance within its share; the life is measured again as the test goes on. A few run by default, 200 for each
server with ``TRUSTREG_FULL=1``.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_notary_writes import push, signed
from tests.peers import Skopeo, TargetRow, image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers import GoNotary, Peer, RegistryPeer, Trustreg

    Go = Callable[..., GoNotary]
    People = Callable[..., Trustreg]

MOMENTS = 200 if os.environ.get("TRUSTREG_FULL") else 12
BEGINNINGS = 40 if os.environ.get("TRUSTREG_FULL") else 4
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if os.environ.get("TRUSTREG_FULL") else 300)]


class Life:
    """How long a command takes on this machine at this time: the median of its last five undisturbed runs."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._taken: list[float] = []
        for _ in range(3):
            self.measure(run)

    @property
    def seconds(self) -> float:
        """The expected length of the next run."""
        return statistics.median(self._taken[-5:])

    def measure(self, run: Callable[[], object]) -> None:
        """Run the command undisturbed."""
        begin = time.monotonic()
        run()
        self._taken.append(time.monotonic() - begin)


def spread(count: int, chance: random.Random) -> Iterator[float]:
    """Give *count* shares of a life, 0 to a little more than 1, in no order, one in each equal part."""
    shares = [(number + chance.random()) / count * 1.05 for number in range(count)]
    chance.shuffle(shares)
    yield from shares


def kill_after(person: Trustreg, seconds: float, *words: str) -> bool:
    """Run ``trustreg`` and kill it after *seconds*; say whether it had not ended by then."""
    with subprocess.Popen(
        person.argv(*words), env=person.env, cwd=person.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        time.sleep(seconds)
        process.kill()
        return process.wait() != 0


def keys(person: Trustreg) -> dict[str, bytes]:
    """Give the key files of *person*."""
    return {path.name: path.read_bytes() for path in (person.trust_dir / "private").iterdir()}


def require_whole_files(person: Trustreg) -> None:
    """Require every file of the cache and of the memory to be whole, and every change that is staged."""
    for path in person.trust_dir.rglob("*.json"):
        json.loads(path.read_bytes())
    for path in person.trust_dir.rglob("*.change"):
        json.loads(path.read_bytes())


def test_a_publisher_that_is_killed(
    trust_server: Peer, registry: RegistryPeer, go_notary: Go, people: People, gun: str
) -> None:
    """
    ``sign`` and ``publish`` in turn. Afterwards readers, new and old, find all that was there, and the new tag or not;
    the keys are as they were; and the same command, run again, does what it was to do.
    """
    person, stranger = people(trust_server, registry=registry), people(trust_server)
    person.run("init", gun)
    first, tags = ["a", "b", "c"], [f"v{number}" for number in range(MOMENTS)]
    pushed = {tag: signed(tag, push(registry, gun, tag)) for tag in (*first, *tags)}
    unsigned = iter(first)
    life = Life(lambda: person.run("sign", f"{gun}:{next(unsigned)}"))
    published, held, interrupted, half_way = set(first), keys(person), 0, 0
    publisher = person.publisher()

    for number, (tag, share) in enumerate(zip(tags, spread(MOMENTS, random.Random(gun)), strict=True)):
        words = ("sign", f"{gun}:{tag}") if number % 2 == 0 else ("publish", gun)
        if words[0] == "publish":
            publisher.stage(f"{gun}:{tag}")
        alive = kill_after(person, share * life.seconds, *words)

        require_whole_files(person)
        assert keys(person) == held
        new = listed(stranger, gun)
        assert new == listed(person, gun), f"{words} killed at {share:.3f} of {life.seconds:.3f} s"
        before, after = rows(pushed, published), rows(pushed, published | {tag})
        assert new in (before, after), f"{words} killed at {share:.3f} of {life.seconds:.3f} s"
        interrupted += alive
        half_way += alive and new == after

        if number % 2 == 0:
            life.measure(partial(person.run, *words))
        else:
            person.run(*words)
        published.add(tag)
        assert listed(person, gun) == rows(pushed, published)
        assert not list(person.trust_dir.rglob("*.change"))

    assert go_notary(trust_server).list(gun) == rows(pushed, published)
    assert interrupted >= MOMENTS // 2, f"of {MOMENTS} processes only {interrupted} were still there to be killed"
    print(f"{trust_server.name}: {MOMENTS} kills, {interrupted} alive, {half_way} of them after publishing")


def test_a_beginning_that_is_killed(trust_server: Peer, registry: RegistryPeer, people: People, gun: str) -> None:
    """
    ``init``: afterwards there is no collection, and it begins when run again; or there is, and its keys are here.
    """
    skopeo = Skopeo(registry)
    warm = iter(range(3))
    life = Life(lambda: people(trust_server).run("init", f"{gun}-warm-{next(warm)}"))

    for number, share in enumerate(spread(BEGINNINGS, random.Random(gun))):
        name, person = f"{gun}-{number:02d}", people(trust_server, registry=registry)
        kill_after(person, share * life.seconds, "init", name)

        again = person.run("init", name, check=False)
        assert again.returncode == 0 or again.stderr.endswith("exists already\n"), f"at {share:.3f}: {again}"
        skopeo.push(image("seed"), f"{name.partition('/')[2]}:v1")
        person.run("sign", f"{name}:v1")
        assert [signed("v1", image("seed"))] == people(trust_server).list(name)


def rows(pushed: dict[str, TargetRow], tags: set[str]) -> list[TargetRow]:
    """Give what has to be listed of *tags*."""
    return [pushed[tag] for tag in sorted(tags)]


def listed(person: Trustreg, gun: str) -> list[TargetRow]:
    """List the collection with the library, which is quicker than a process."""
    contents = person.verifier().contents(gun)
    return [TargetRow(entry.tag, entry.digest.hex, entry.length, entry.role) for entry in contents.entries]
