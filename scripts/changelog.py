"""
Put the fragments in ``changes/`` into the changelog.

    python3 -m scripts.changelog                     # below "Unreleased"
    python3 -m scripts.changelog 0.1.0 2026-12-01    # below a version, and the fragments are removed
"""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from scripts.bootstrap import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERBS = ("Added", "Changed", "Deprecated", "Fixed", "Removed")
UNRELEASED = "Unreleased"


class FragmentError(Exception):
    """A fragment cannot be used; the text says which and why."""


def fragments(folder: Path) -> list[Path]:
    """List the fragments in *folder*, in the order of their names."""
    return sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def section(heading: str, paths: Sequence[Path]) -> str:
    """
    Give the part of the changelog that *paths* make.

    Raises:
        FragmentError: The first word of one is no verb of a change.
    """
    entries: dict[str, list[str]] = {verb: [] for verb in VERBS}
    for path in paths:
        words = path.read_text("utf-8").split()
        if not words or words[0] not in entries:
            raise FragmentError(f"{path.name}: its first word is not one of {', '.join(VERBS)}")
        entries[words[0]].append(_bullet(words))
    return f"## {heading}\n\n" + "".join(f"{entry}\n" for found in entries.values() for entry in found)


def updated(changelog: str, made: str) -> str:
    """Give *changelog* with *made* at the top, in place of what is unreleased."""
    head, *sections = changelog.split("\n## ")
    released = [f"## {part.rstrip()}\n" for part in sections if not part.startswith(f"{UNRELEASED}\n")]
    return "\n".join([f"{head.rstrip()}\n", made, *released])


def main(args: Sequence[str]) -> int:
    """Write the changelog anew."""
    if len(args) not in (0, 2):
        print("usage: python3 -m scripts.changelog [VERSION DATE]", file=sys.stderr)
        return 2
    changelog, paths = ROOT / "CHANGELOG.md", fragments(ROOT / "changes")
    try:
        made = section(f"{args[0]} ({args[1]})" if args else UNRELEASED, paths)
    except FragmentError as error:
        print(f"scripts/changelog: {error}", file=sys.stderr)
        return 1
    changelog.write_text(updated(changelog.read_text("utf-8"), made), "utf-8")
    for path in paths if args else ():
        path.unlink()
    return 0


def _bullet(words: Sequence[str]) -> str:
    text = "* " + " ".join(words)
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
