"""What ``docker trust inspect`` prints: the same JSON, for programs that read it.

Source: docker/cli ``cli/command/trust/{inspect,common}.go``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trustreg.names import RELEASES, ROOT, TARGETS, is_delegation, parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trustreg.client import Contents
    from trustreg.metadata import Key
    from trustreg.survey import Seat


def docker_report(
    image: str, contents: Contents, seats: Iterable[Seat], tag: str | None, plain_id: Callable[[Key], str]
) -> dict[str, Any]:
    """Return what Docker says of *image*: of one *tag*, or of all.

    What ``targets`` or ``targets/releases`` list is released; every other role that lists the same tag with the same
    digest is a signer of it. ``plain_id`` returns the id that Docker shows of a delegation's key.
    """
    listed = {seat.name: seat for seat in seats}
    rank = {name: number for number, name in enumerate(listed)}  # Docker names signers as it comes across them
    entries = sorted((each for each in contents.entries if each.role in rank), key=lambda each: rank[each.role])
    if tag is not None:  # only then it asks whether a role may speak for what it lists
        entries = [each for each in entries if each.tag == tag and tag.startswith(_starts(listed, each.role))]
    signed: dict[tuple[str, str], list[str]] = {
        (entry.tag, entry.digest.hex): [] for entry in entries if entry.role in _RELEASED
    }
    for entry in entries:
        if entry.role not in _RELEASED and (entry.tag, entry.digest.hex) in signed:
            signed[entry.tag, entry.digest.hex].append(entry.role.removeprefix(f"{TARGETS}/"))
    signers = [seat for name, seat in listed.items() if is_delegation(name) and name != RELEASES]
    return {
        "Name": image,
        "SignedTags": [
            {"SignedTag": name, "Digest": digest, "Signers": who or ["Repo Admin"]}
            for (name, digest), who in sorted(signed.items(), key=lambda item: _natural(item[0][0]))
        ],
        "Signers": [
            _keys(seat.name.removeprefix(f"{TARGETS}/"), map(plain_id, seat.keys))
            for seat in sorted(signers, key=lambda seat: seat.name, reverse=True)
        ],
        "AdministrativeKeys": [
            _keys("Root", (key.id for key in listed[ROOT].keys)),
            _keys("Repository", (key.id for key in listed[TARGETS].keys)),
        ],
    }


def _keys(name: str, ids: Iterable[str]) -> dict[str, Any]:
    keys = [{"ID": keyid} for keyid in ids]
    return {"Name": name, "Keys": keys} if keys else {"Name": name}


def _starts(listed: Mapping[str, Seat], role: str) -> tuple[str, ...]:
    """Return what the names begin with that *role* may speak for, as far as who delegates to it may itself."""
    if role == TARGETS:
        return ("",)
    starts = (pattern.removesuffix("*") for pattern in listed[role].patterns)
    above = _starts(listed, parent(role))
    return tuple(start for start in starts if start.startswith(above))


def _natural(text: str) -> list[tuple[int, int | str, int]]:
    """Return a key to sort by in which 10 comes after 9, and 01 after 1."""
    parts = re.split("([0-9]+)", text)
    return [(0, int(part), len(part)) if part.isdecimal() else (1, part, 0) for part in parts if part]


_RELEASED = frozenset({TARGETS, RELEASES})
