"""An inventory as a sheet: comma-separated values, RFC 4180."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from trustreg.errors import shown
from trustreg.forecast import Inventory
from trustreg.inventory import Collection, TagLine

COLUMNS = (
    "collection",
    "server",
    "state",
    "problem",
    "tag",
    "digest",
    "size",
    "role",
    "role_state",
    "signer",
    "key_ids",
    "algorithms",
    "role_expires",
    "counts",
    "registry",
    "registry_digest",
    "registry_problem",
)


def sheet(inventory: Inventory) -> str:
    """Return *inventory* with one line for each tag and each role that signs it.

    A collection without tags has one line, too, so that none is missing. A cell that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for collection in inventory.collections:
        for row in _rows(collection):
            writer.writerow(map(_cell, row))
    return out.getvalue()


def _rows(seen: Collection) -> Iterator[tuple[str, ...]]:
    about = (seen.gun, seen.where, seen.state, str(seen.error or ""))
    for tag in seen.tags:
        for role in tag.roles:
            yield (*about, tag.tag, str(tag.digest), str(tag.length), *_role(seen, tag, role), *_held(tag))
    if not seen.tags:
        yield (*about, *[""] * (len(COLUMNS) - len(about)))


def _role(seen: Collection, tag: TagLine, name: str) -> tuple[str, ...]:
    line = seen.role(name)
    signed = [key for key in line.keys if key.id in line.signed_by] if line else []
    return (
        name,
        tag.state,
        line.signer if line else "",
        " ".join(key.id for key in signed),
        " ".join(key.algorithm.replace(" ", "-") for key in signed),
        _moment(line.expires if line else None),
        "yes" if tag.counts and name == tag.roles[0] else "no",
    )


def _held(tag: TagLine) -> tuple[str, ...]:
    holding = tag.holding
    if holding is None:
        return "", "", ""
    return holding.state, str(holding.serves or ""), str(holding.error or "")


def _cell(text: str) -> str:
    text = shown(text)
    return f"'{text}" if text.startswith(_COMPUTED) else text


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")  # and the same in full width
