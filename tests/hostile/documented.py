"""
Write what the attacks come to into docs/explanation/hostile-servers.md, below its introduction.

    python -m tests.hostile.documented
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hostile.answers import ODD
from tests.hostile.attacks import rows
from tests.hostile.scene import DELEGATED, ROLES
from tests.hostile.uploads import AFTER, BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.hostile.attacks import Cell, Outcome, Row

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "hostile-servers.md"
COLUMNS = {role: (role,) for role in ROLES if role not in DELEGATED} | {"a delegated role": DELEGATED}


def tables() -> str:
    """Return headings and tables: for each kind of attacker, for answers that are none, for what publishers meet."""
    by_group = groupby(rows(), key=lambda row: row.group)
    lines = [line for group, found in by_group for line in _table(group, found)]
    answers = _short("A server whose answer is none", "any role", {does: code for does, (_, code) in ODD.items()})
    told = {f"{does}, before anything is signed": code for does, (_, code) in BEFORE.items()}
    told |= {does: code for does, (_, code) in AFTER.items()}
    return "\n".join([*lines, *answers, "", *_short("A server that lies to publishers", "any change", told), ""])


def page(text: str) -> str:
    """Return *text*, the page, with the tables of today."""
    introduction, _, _ = text.partition(_heading(rows()[0].group))
    return introduction + tables()


def _table(group: str, found: Iterable[Row]) -> Iterator[str]:
    yield from (_heading(group), "")
    yield f"| the server … | {' | '.join(COLUMNS)} |"
    yield f"|---|{'---|' * len(COLUMNS)}"
    passing: dict[str, dict[str, None]] = {}
    for does, several in groupby(found, key=lambda row: row.does):
        by_role = {row.role: row.cells for row in several}
        columns = [[cell for role in roles for cell in by_role.get(role, ())] for roles in COLUMNS.values()]
        yield f"| {does} | {' | '.join(map(_written, columns))} |"
        for cell in (cell for column in columns for cell in column):
            if not (isinstance(cell.warm, str) and isinstance(cell.cold, str)):
                passing.setdefault(does, {})[cell.unseen] = None
    yield ""
    if passing:
        yield from ("What passes, and why:", "")
        yield from (f"* *{does}*: {'; '.join(why)}." for does, why in passing.items())
        yield ""


def _short(heading: str, column: str, codes: Mapping[str, str]) -> Iterator[str]:
    yield from (f"## {heading}", "", f"| the server … | {column} |", "|---|---|")
    yield from (f"| {does} | `{code}` |" for does, code in codes.items())


def _written(cells: list[Cell]) -> str:
    """Return how *cells* end for who knows the collection, and for who does not where that is another way."""
    warm, cold = _outcomes(cell.warm for cell in cells), _outcomes(cell.cold for cell in cells)
    return warm if warm == cold else f"{warm} / {cold}"


def _outcomes(outcomes: Iterable[Outcome]) -> str:
    return ", ".join(dict.fromkeys(f"`{each}`" if isinstance(each, str) else "passes" for each in outcomes))


def _heading(group: str) -> str:
    return f"## A server with {group}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
