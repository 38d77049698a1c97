"""Publishers in processes of their own, at once, on a store of each kind: nothing that anybody published is lost."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.interop.stores import Person, State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.stores import Shelf

FULL = bool(os.environ.get("TRUSTREG_FULL"))
SECONDS = 60 if FULL else 2.5
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 if FULL else 120)]


@pytest.mark.parametrize(
    ("count", "shared"), [(2, False), (4, True)], ids=["two with a trust directory each", "four who share one"]
)
def test_publishers_at_once(shelf: Shelf, tmp_path: Path, count: int, *, shared: bool) -> None:
    """
    Every tag that one of them took for published is there at the end. Who could not is told so: a conflict, exit
    code 3; and then somebody else could.
    """
    first = Person(shelf, tmp_path / "author-0")
    first.init()
    people = [first]
    for number in range(1, count):
        people.append(first if shared else Person(shelf, tmp_path / f"author-{number}"))
        if not shared:
            shutil.copytree(first.trust_dir / "private", people[-1].trust_dir / "private", dirs_exist_ok=True)

    with ExitStack() as held:
        running = [
            held.enter_context(person.process("add", f"p{number}", str(SECONDS)))
            for number, person in enumerate(people)
        ]
        for process in running:
            process.tell()
        found = [process.result() for process in running]

    published = [name for one in found for name in one["published"]]
    refused = [tuple(each) for one in found for each in one["refused"]]
    assert {("conflict", 3)} >= {(code, status) for code, status, _ in refused}, refused
    with_one = State.of(Person(shelf, tmp_path / "reader").verifier().contents(shelf.gun))
    assert set(published) <= {name for name, *_ in with_one.targets}
    assert len(published) >= count
    print(
        f"{shelf.kind}, {count} publishers: {[len(one['published']) for one in found]} tags, {len(refused)} conflicts"
    )
