"""
Every attack on every role, against a reader who knows the collection, one who does not, and one who pinned its root.

What is refused is refused for the reason that the table names, nothing of it stays, and the honest server is believed
afterwards as if nothing had been.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.hostile.attacks import FIRST_MET, NOTHING, Cell, Outcome, Row, rows
from tests.hostile.scene import (
    DELEGATED,
    NOW,
    SECOND,
    Reader,
    Server,
    believed,
    later,
    serving,
    tomorrow,
)
from trustreg.names import ROOT
from trustreg.verify.pinning import Pins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vectors.make.collection import Published


@pytest.mark.parametrize("row", rows(), ids=str)
def test_who_knows_the_collection(row: Row, knowing: Callable[[Path, Published], Path], tmp_path: Path) -> None:
    """
    A reader with a cache is told the reason, keeps what he had, and goes on with the honest server.
    """
    for number, cell in enumerate(row.cells):
        reader = Reader(knowing(tmp_path / str(number), cell.known))
        attacked(row, cell, reader, cell.warm)


@pytest.mark.parametrize("row", rows(), ids=str)
def test_who_does_not(row: Row, tmp_path: Path) -> None:
    """
    A reader without a cache is told the reason, and begins with the honest server as if nothing had been.
    """
    for number, cell in enumerate(row.cells):
        attacked(row, cell, Reader(tmp_path / str(number)), cell.cold)


@pytest.mark.parametrize("row", [row for row in rows() if row.role == ROOT], ids=str)
def test_who_pinned_its_root(row: Row, tmp_path: Path) -> None:
    """
    A reader who knows nothing but the ids of the root keys is told the reason.
    """
    for number, cell in enumerate(row.cells):
        pins = Pins(keys=tuple(key.id for key in cell.known.collection.keys[ROOT]))
        attacked(row, cell, Reader(tmp_path / str(number), pins), cell.pinned or cell.cold)


def attacked(row: Row, cell: Cell, reader: Reader, expected: Outcome) -> None:
    before = reader.holdings()

    assert expected == reader.ask(cell.server, cell.now)
    refused = isinstance(expected, str)
    assert refused or cell.unseen, "why is this not refused?"
    after = reader.holdings()
    if refused and row.role not in DELEGATED:
        assert before == after
    elif refused:
        only_above(before, after, cell.server)

    if not refused and cell.unseen == FIRST_MET:
        reader.forget()  # and pin; nothing less leads back
    honest = cell.after or (NOW if before == after or row.group == NOTHING else AFTERWARDS)
    version = honest.collection.parts[SECOND].version
    assert believed(SECOND, version) == reader.ask(serving(honest), cell.now + timedelta(minutes=1))


def only_above(before: dict[str, bytes], after: dict[str, bytes], server: Server) -> None:
    """Require that nothing of a delegated role was kept, and of the roles above only what is right in itself."""
    served = set(server.files.values())
    for path in before.keys() | after.keys():
        if path.startswith("tuf/"):
            old, new = before.get(path), after.get(path)
            assert old == new or (new in served and not path.endswith(("releases.json", "nightly.json"))), path
    floors_before, floors_after = floors(before), floors(after)
    for role in DELEGATED:
        assert floors_before.get(role) == floors_after.get(role)


def floors(holdings: dict[str, bytes]) -> dict[str, object]:
    memory = next((file for path, file in holdings.items() if path.startswith("trusted/")), None)
    found: dict[str, object] = json.loads(memory)["floors"] if memory else {}
    return found


AFTERWARDS = later(tomorrow()).publish()
