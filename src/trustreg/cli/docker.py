"""What ``docker trust inspect`` prints: the same JSON, for programs that read it.

Source: docker/cli ``cli/command/trust/{inspect,common}.go``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trustreg.names import RELEASES, ROOT, TARGETS, is_delegation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    signed: dict[tuple[str, str], list[str]] = {}
    for entry in contents.entries:
        if entry.role in _RELEASED and tag in {None, entry.tag}:
            signed[entry.tag, entry.digest.hex] = []
    for entry in contents.entries:
        if entry.role not in _RELEASED and (entry.tag, entry.digest.hex) in signed:
            signed[entry.tag, entry.digest.hex].append(entry.role.removeprefix(f"{TARGETS}/"))
    listed = {seat.name: seat for seat in seats}
    signers = [seat for name, seat in listed.items() if is_delegation(name) and name != RELEASES]
    return {
        "Name": image,
        "SignedTags": [
            {"SignedTag": name, "Digest": digest, "Signers": sorted(who) or ["Repo Admin"]}
            for (name, digest), who in sorted(signed.items(), key=lambda item: _natural(item[0][0]))
        ],
        "Signers": [
            _keys(seat.name.removeprefix(f"{TARGETS}/"), map(plain_id, seat.keys))
            for seat in sorted(signers, key=lambda seat: _natural(seat.name))
        ],
        "AdministrativeKeys": [
            _keys("Root", (key.id for key in listed[ROOT].keys)),
            _keys("Repository", (key.id for key in listed[TARGETS].keys)),
        ],
    }


def _keys(name: str, ids: Iterable[str]) -> dict[str, Any]:
    return {"Name": name, "Keys": [{"ID": keyid} for keyid in sorted(ids)]}


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Return a key to sort by in which 10 comes after 9."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split("([0-9]+)", text) if part]


_RELEASED = frozenset({TARGETS, RELEASES})
