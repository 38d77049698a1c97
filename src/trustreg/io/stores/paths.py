"""Where the files of a collection are below its base, and which paths could lead elsewhere.

One that is written for Notary lies where a trust server has it, ``v2/GUN/_trust/tuf/root.json``, so that any web server
that shows the base can stand in for one. What follows is about all others.

Metadata is below ``metadata/``, target files are below ``targets/``. A role ``some/role`` has the file
``3.some%2Frole.json``, which is how clients spell it in a URL; web servers and buckets that are asked for that look for
``3.some/role.json``. So that is where folders and buckets keep it, and anybody may serve them as they are.

Paths come from metadata that somebody signed, who may mean no good to whoever reads or mirrors it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from trustreg.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.names import Gun

METADATA = "metadata"
TARGETS = "targets"


def metadata_key(path: str) -> str:
    """Return where the metadata file *path*, ``3.some%2Frole.json``, is below the base; raise :class:`FormatError`."""
    key = unquote(path, errors="surrogateescape")
    if quote(key, safe="", errors="surrogateescape") != path:
        raise FormatError("targets", path, "this is not how a metadata file is named")
    return f"{METADATA}/{_safe(key, path)}"


def served_key(gun: Gun) -> Callable[[str], str]:
    """Return what says where the metadata files of *gun* are below a base that is shown as a trust server."""

    def key(path: str) -> str:
        return f"v2/{gun}/_trust/tuf/{_safe(path, path)}"

    return key


def require_name(path: str) -> str:
    """Return the metadata file *path*; raise :class:`FormatError` if that is not one name in a URL."""
    if not _NAME.fullmatch(path):
        raise FormatError("targets", path, "this is not how a metadata file is named")
    return path


def metadata_path(key: str) -> str | None:
    """Return the path of the metadata file that is at *key*, below the base; ``None`` if it is something else.

    Where places hold many collections, that of ``app/metadata`` is inside that of ``app``: what is deeper down is only
    ours if it is the file of a role with a slash, ``3.some/role.json``.
    """
    name = key.removeprefix(f"{METADATA}/")
    if name.startswith(".") or ("/" in name and not name.partition(".")[0].isdigit()):
        return None
    return quote(name, safe="")


def target_key(path: str) -> str:
    """Return where the target file *path* is below the base; raise :class:`FormatError` if that is elsewhere."""
    return f"{TARGETS}/{_safe(path, path)}"


def in_url(key: str) -> str:
    """Spell *key* as the end of a URL."""
    return quote(key, safe="/")


def _safe(key: str, path: str) -> str:
    problem = None
    try:
        parts = key.encode().split(b"/")
    except UnicodeEncodeError:
        raise FormatError("targets", path, "this is no text that could name a file") from None
    if not set(parts).isdisjoint({b"", b".", b".."}):
        problem = "the parts of a path may not be empty, '.' or '..'"
    elif "\\" in key or not key.isprintable():
        problem = "a path may hold no backslash and nothing that cannot be shown"
    elif max(map(len, parts)) > _LONGEST_PART or len(key.encode()) > _LONGEST:
        problem = f"a path has at most {_LONGEST} bytes, and {_LONGEST_PART} between two slashes"
    if problem:
        raise FormatError("targets", path, problem)
    return key


_NAME = re.compile(r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2}){1,1000}\.json")
_LONGEST_PART = 255  # bytes; what file systems take
_LONGEST = 900  # bytes; buckets take 1024, of which the base needs some
