"""Whole processes, timed in turns, so that whatever else the machine does happens to all of them."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Time(NamedTuple):
    """How long one process took, in milliseconds: on the clock, and of the processors with its children."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """
    A command to time.

    Args:
        name: What to call it.
        argv: The command; the first word is a path.
        env: Its whole environment.
        prepare: Puts things back before each run; not timed.
        check: Judges what it printed, after the clock has stopped.
    """

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    prepare: Callable[[], object] = lambda: None
    check: Callable[[str], bool] = lambda _printed: True


class Series:
    """The times of one contestant, in the order of the rounds."""

    def __init__(self, times: Sequence[Time]) -> None:
        self.wall = [time.wall for time in times]
        self.cpu = [time.cpu for time in times]

    @property
    def median(self) -> float:
        """The median time on the clock."""
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        """The median time of the processors."""
        return statistics.median(self.cpu)

    @property
    def middle(self) -> tuple[float, float]:
        """Between these two lies the middle half of the runs."""
        if len(self.wall) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.wall, n=4, method="inclusive")
        return low, high

    def ratio_to(self, other: Series) -> float:
        """The median, over the rounds, of the time of this one over that of *other*."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.wall, other.wall, strict=True))


def compete(contestants: Sequence[Contestant], rounds: int) -> dict[str, Series]:
    """Time each of *contestants* *rounds* times, in turns; who begins changes. One more round before is not counted."""
    times: dict[str, list[Time]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds + 1):
        for contestant in _rotated(contestants, number):
            taken = once(contestant)
            times[contestant.name] += [taken] if number else []
    return {name: Series(each) for name, each in times.items()}


def once(contestant: Contestant) -> Time:
    """
    Run *contestant* once.

    Raises:
        AssertionError: It failed, or printed something else than it should.
    """
    contestant.prepare()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        argv = [os.fspath(word) for word in contestant.argv]
        begun = time.perf_counter()
        process = os.posix_spawn(argv[0], argv, dict(contestant.env), file_actions=[_into(1, out), _into(2, err)])
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - begun
        code = os.waitstatus_to_exitcode(status)
        assert code == 0, f"{contestant.name}: {argv} ended with {code}: {err.read_text()[-2000:]}"
        assert contestant.check(out.read_text()), f"{contestant.name}: {argv} printed {out.read_text()[-2000:]}"
    return Time(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)


def _into(descriptor: int, file: Path) -> tuple[int, int, str, int, int]:
    return os.POSIX_SPAWN_OPEN, descriptor, str(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600


def _rotated(contestants: Sequence[Contestant], number: int) -> Iterator[Contestant]:
    start = number % len(contestants)
    yield from contestants[start:]
    yield from contestants[:start]
