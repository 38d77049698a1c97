"""Large files, of which only what is asked for is parsed.

A file of a hundred thousand targets is signed as one text, and a look-up needs one line of it. Here objects are split
into their members, whose values stay the bytes they came as; what is read of them later is read strictly then. All of
it holds for text that is in canonical form already, as tools write it, and that is proven on the way: of the members by
their order and their lengths, of their values by one pattern or one by one. Anything else is read whole, as small files
are.

``msgspec`` does the splitting. It is imported for large files only: that takes longer than reading a small one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from trustreg.dialects import canonical
from trustreg.dialects.reading import Listing, Members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msgspec import Raw

    from trustreg.metadata import FileMeta

LARGE = 1 << 20  # bytes, some 8 000 targets, from which on it pays


class Split(dict[str, Any]):
    """The members of an object in the order of their names, their values as text."""

    def spelled(self) -> bytes:
        """Return the object in canonical form."""
        from msgspec.json import Encoder

        # Sorted here: where all members but one are in order, the encoder takes the square of their number for it.
        names = sorted(self)
        members = self if names == list(self) else {name: self[name] for name in names}
        return canonical.unescaped(Encoder().encode(members))


class SplitListing(Listing):
    """Files as metadata lists them, each parsed when it is asked for."""

    def __getitem__(self, name: str) -> FileMeta:
        entries, spelled = self._entries, f"{name}{self._suffix}"
        raw = bytes(entries.value[spelled])
        try:
            value = canonical.parse(raw)
            if canonical.encode(value) != raw:
                value = canonical.parse_strictly(raw)
        except ValueError as exc:
            entries.fail(spelled, str(exc))
        return self._read(Members(entries.role, f"{entries.path}.{spelled}", value))


def listing(entries: Members, read: Callable[[Members], FileMeta]) -> Listing:
    """Return the files that *entries* list, split or not."""
    return (SplitListing if isinstance(entries.value, Split) else Listing)(entries, read)


def text(value: Any) -> Raw:
    """Return *value* as what stands in a :class:`Split`."""
    from msgspec import Raw

    return Raw(canonical.encode(value))


def split(raw: bytes, *, alike: bool = False) -> Split | None:
    """Return the members of the object *raw*; ``None`` where it is not in canonical form, or none.

    Args:
        raw: Text.
        alike: Prove that the values are in canonical form, too.
    """
    from msgspec import DecodeError, Raw
    from msgspec.json import Decoder

    try:
        members = Decoder(dict[str, Raw]).decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = list(members)
    # Quotes, colons, commas and braces; a blank, an escape or a second member of one name would show.
    spelled = sum(map(len, members.values())) + len("".join(names).encode()) + 4 * len(names) + (1 if names else 2)
    if spelled != len(raw) or names != sorted(names):
        return None
    if alike and not (_usual(raw, members) or all(map(_canonical, members.values()))):
        return None
    return Split(members)


def _usual(raw: bytes, members: dict[str, Raw]) -> bool:
    """Say whether the values of the object *raw* are all what targets files are full of: one digest, and a length."""
    if not raw.isascii() or b"\\" in raw:
        return False
    return all(map(_USUAL.fullmatch, cast("Iterable[bytes]", members.values())))  # they are buffers, and not copied


def _canonical(value: Raw) -> bool:
    raw = bytes(value)
    try:
        parsed = canonical.parse(raw)
        return canonical.encode(parsed) == raw and canonical.unplain(parsed) is None
    except ValueError:
        return False


_USUAL = re.compile(rb'\{"hashes":\{"sha256":"[^"]{64}"\},"length":[0-9]+\}')  # digits are read when they are asked for
