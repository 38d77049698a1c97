"""
Whether a command said what the page shows.

Some of what is printed differs from run to run. Times are as good as any other, and so are durations and sizes of
answers. Of ids and digests, one on the page has to stand for the same one of the run wherever it stands, and the
beginning of one for the beginning of the other. ``…`` stands for what is left out of a word, and a line ``...`` for
lines that are left out. Columns may be wider or narrower.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Translation:
    """What ids and digests of a page are in this run."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def command(self, text: str) -> str:
        """Put the ids of this run into a command of the page."""
        return _replaced(text, self._known)

    def shown(self, text: str) -> str:
        """Put the ids of the page into what was said in this run."""
        return _replaced(text, {its: other for other, its in self._known.items()})

    def learn(self, shown: str, said: str) -> bool:
        """Note that *shown* is *said*; tell whether that agrees with what is known."""
        if len(shown) != len(said):
            return False
        for other, its in self._known.items():
            size = min(len(shown), len(other))
            if (shown[:size] == other[:size]) != (said[:size] == its[:size]):
                return False
        self._known[shown] = said
        return True

    def matches(self, shown: Sequence[str], said: Sequence[str]) -> bool:
        """Tell whether the lines *said* are those *shown*; learn the ids in them, if so."""
        before = dict(self._known)
        if _lines(shown, said, self):
            return True
        self._known = before
        return False


def _replaced(text: str, ids: Mapping[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        word = found[0]
        return next((its[: len(word)] for other, its in ids.items() if other.startswith(word)), word)

    return _WORD.sub(one, text)


def _lines(shown: Sequence[str], said: Sequence[str], translation: Translation) -> bool:
    if not shown:
        return not said
    if shown[0] == "...":
        return any(translation.matches(shown[1:], said[skipped:]) for skipped in range(len(said) + 1))
    return bool(said) and _line(shown[0], said[0], translation) and _lines(shown[1:], said[1:], translation)


def _line(shown: str, said: str, translation: Translation) -> bool:
    shown, said = (re.sub(" {2,}", "  ", line) for line in (shown, said))
    pattern = "".join(map(_pattern, _VOLATILE.split(shown)))
    found = re.fullmatch(pattern, said)
    ids = _ID.findall(shown)
    return found is not None and all(map(translation.learn, ids, found.groups()))


def _pattern(part: str) -> str:
    if _ID.fullmatch(part):
        return rf"([0-9{'A-F' if part.isupper() else 'a-f'}]{{{len(part)}}})"
    for volatile in (_TIME, _COST):
        if re.fullmatch(volatile, part):
            return volatile
    return re.escape(part).replace("…", r"\S*")


_WORD = re.compile(r"\b(?:[0-9a-f]{4,128}|[0-9A-F]{16}(?:[0-9A-F]{24})?)\b")
# a word of letters only is none; fingerprints and key ids of GPG are written large
_ID = re.compile(r"\b(?:(?=[a-f]*[0-9])[0-9a-f]{8,128}|[0-9A-F]{16}(?:[0-9A-F]{24})?)(?![0-9a-zA-Z])")
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_COST = r"\d+ bytes, \d+ ms"
_VOLATILE = re.compile(rf"({_TIME}|{_COST}|{_ID.pattern})")
