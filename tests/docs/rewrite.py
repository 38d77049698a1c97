"""
Put into the transcripts of pages what their commands say now: ``python -m tests.docs.rewrite docs/tutorial.md``.

What is right stays as it is, with all that it leaves out. Look at the difference before you commit it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.pages import ROOT, Page
from tests.docs.running import run_page


def rewrite(page: Page) -> str:
    """Give the text of *page* with transcripts that are right."""
    said: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        run_page(page, Path(folder), lambda command, lines: said.append((command.spelled(), command.spelled(lines))))
    text, done = page.text, ""
    for shown, right in said:
        before, found, after = text.partition(shown)
        if found:  # one that is indented is left as it is
            done, text = done + before + right, after
    return done + text


def main() -> None:
    """Rewrite the pages that are named."""
    for name in sys.argv[1:]:
        path = ROOT / name
        path.write_text(rewrite(Page(name, path.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
