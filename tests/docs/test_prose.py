"""Links lead somewhere, and nothing is left unfinished."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePosixPath

import pytest

from tests.docs.pages import ROOT, Page, pages

PAGES = {page.name: page for page in pages()}
EVERY = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def links(page: Page) -> list[str]:
    """Give the targets of the links on *page*."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@EVERY
def test_a_link_leads_somewhere(page: Page) -> None:
    """
    To a file in the checkout, and to a heading that is there.
    """
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        name = resolved(PurePosixPath(page.name).parent, path) if path else page.name
        target = PAGES.get(name)
        if not (ROOT / name).exists() or (heading and (target is None or heading not in target.anchors)):
            broken.append(link)

    assert [] == broken


def test_every_page_is_linked_to() -> None:
    """
    From some other page.
    """
    targets = {
        resolved(PurePosixPath(page.name).parent, link.partition("#")[0])
        for page in PAGES.values()
        for link in links(page)
    }
    alone = {name for name in PAGES if name not in targets}

    assert set() == alone


@EVERY
def test_nothing_is_left_unfinished(page: Page) -> None:
    """
    No notes to ourselves, no promises, no words that say nothing.
    """
    found = re.findall(
        r"\b(?:TODO|FIXME|XXX|TBD|WIP|lorem|coming soon|simply|obviously|seamless\w*|blazing\w*)\b",
        page.text,
        re.IGNORECASE,
    )

    assert [] == found


@EVERY
def test_a_page_begins_with_its_title(page: Page) -> None:
    """
    One, and no level is skipped below it.
    """
    text = re.sub(r"^ *```.*?^ *```$", "", page.text, flags=re.DOTALL | re.MULTILINE)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]

    assert page.text.startswith("# ")
    assert 1 == levels.count(1)
    assert [] == [(above, below) for above, below in itertools.pairwise(levels) if below > above + 1]


def resolved(folder: PurePosixPath, path: str) -> str:
    """Give the path in the checkout that *path* means on a page in *folder*."""
    parts: list[str] = []
    for part in (folder / path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
