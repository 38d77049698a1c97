"""What a review is handed to judge images with: several at once, each for itself, in time or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.admission import decision
from trustreg.admission import Context
from trustreg.errors import DeadlineError, OfflineError
from trustreg.wire import Wiring
from vectors.make.admission import A

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trustreg.admission import Decide
    from trustreg.judging import Decision, Judge
    from trustreg.names import Reference


class Scripted:
    """Judges as it is told: some images late, some not at all."""

    def __init__(self) -> None:
        self.release = Event()
        self.times: list[datetime] = []

    def judge(self, image: Reference, now: datetime) -> Decision:
        """Judge *image* by what its name says."""
        self.times.append(now)
        if "slow" in image.path:
            self.release.wait(30)
        if "away" in image.path:
            raise OfflineError("https://registry.example", "no")
        if "bug" in image.path:
            raise ZeroDivisionError
        return decision(str(image), {"verdict": "trusted", "digest": A})


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """One whose threads come to an end."""
    made = Scripted()
    yield made
    made.release.set()


def clock() -> datetime:
    """Read the time."""
    return datetime.now(UTC)


@pytest.fixture
def decide(scripted: Scripted) -> Callable[[], Decide]:
    """Make what judges."""
    return lambda: Wiring({}, {"HOME": "/nowhere"}, clock).decide(cast("Judge", scripted), clock)


def outcomes(found: Any) -> list[Any]:
    """Return the verdicts, and the kinds of errors."""
    return [type(one) if isinstance(one, Exception) else one.verdict for one in found]


def test_one_that_is_late_keeps_no_other_from_its_answer(decide: Callable[[], Decide], scripted: Scripted) -> None:
    """
    Nor does one that cannot be judged; all are judged as of one time.
    """
    context = Context(deadline=clock() + timedelta(seconds=0.5))
    images = ["a.example/good:1", "a.example/slow:1", "a.example/away:1", *(f"a.example/x{n}:1" for n in range(20))]

    began = clock()
    found = decide()(images, context)

    assert outcomes(found) == ["trusted", DeadlineError, OfflineError, *["trusted"] * 20]
    assert clock() - began < timedelta(seconds=5)
    assert len(set(scripted.times)) == 1


def test_after_the_deadline_nothing_is_known(decide: Callable[[], Decide]) -> None:
    """
    However many are still waiting for their turn.
    """
    images = [f"a.example/slow-{n}:1" for n in range(30)]

    assert outcomes(decide()(images, Context(deadline=clock() - timedelta(seconds=1)))) == [DeadlineError] * 30


def test_without_a_deadline_all_are_waited_for(decide: Callable[[], Decide]) -> None:
    """
    And a bug stays one.
    """
    assert outcomes(decide()(["a.example/good:1"], Context())) == ["trusted"]
    with pytest.raises(ZeroDivisionError):
        decide()(["a.example/good:1", "a.example/bug:1"], Context())
