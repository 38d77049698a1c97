"""Changes that wait to be published, in the files that Notary's clients stage theirs in.

``tuf/<GUN>/changelist/<nanoseconds>_<uuid>.change``. Source: notary ``client/changelist/file_changelist.go``.

What these files cannot say, changes of the keys of top-level roles, thresholds, delegations of TUF, and targets of
roles that Notary could not have, is beside them in files of our own: ``tuf/<GUN>/_trust/changes``, called alike but for
``.json``. Notary's clients read and clear all of a changelist, so it is not in theirs; no collection has ``_trust`` in
its name. Both are applied in the order in which they were staged.
"""

import binascii
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from trustreg.dialects import canonical
from trustreg.dialects.notary1 import Notary1, read_file, spell_file
from trustreg.dialects.reading import Members
from trustreg.errors import FileError, FormatError
from trustreg.io.files import file_error, private_dir, read_if_present, remove_file, write_atomically
from trustreg.io.spelling import read_change, spell_change
from trustreg.io.trustdir import claim_store
from trustreg.names import TARGETS, Gun, is_delegation, parent
from trustreg.sign.changes import AddTarget, Amend, Change, Purge, RemoveTarget, Undelegate, Witness


class FileStage:
    """The staged changes of one collection below *trust_dir*."""

    def __init__(self, trust_dir: Path, gun: Gun) -> None:
        self._trust_dir = trust_dir
        self._collection = trust_dir / "tuf" / str(gun)

    def changes(self) -> tuple[tuple[str, Change], ...]:
        """Return the staged changes, the oldest first, each with its file name.

        Raises:
            FileError: A file holds no change that trustreg can apply. Nothing is skipped: a publisher who staged
                something expects all of it.
        """
        names = sorted(name for suffix in _FOLDERS for name in self._names(suffix))
        if len(names) > _MOST_CHANGES:
            raise FileError(str(self._collection / "changelist"), f"more than {_MOST_CHANGES} changes are staged")
        found = ((name, read_if_present(self._path(name), _LARGEST)) for name in names)
        # One that has gone meanwhile was published by another process.
        return tuple((name, _read(self._path(name), raw)) for name, raw in found if raw is not None)

    def add(self, change: Change) -> None:
        """Stage *change* after all others."""
        claim_store(self._trust_dir)
        suffix, raw = (".change", _spell(change)) if _notary_says(change) else (".json", spell_change(change))
        folder = self._collection
        private_dir(folder)
        for part in _FOLDERS[suffix]:
            folder = private_dir(folder / part)
        random = bytearray(os.urandom(16))
        random[6], random[8] = random[6] & 0x0F | 0x40, random[8] & 0x3F | 0x80  # a version 4 UUID
        digits = random.hex()
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        write_atomically(folder / f"{time.time_ns():020d}_{uuid}{suffix}", raw)

    def clear(self, names: Iterable[str]) -> None:
        """Forget the changes in the files *names*."""
        for name in names:
            remove_file(self._path(name))

    def _path(self, name: str) -> Path:
        return self._collection.joinpath(*_FOLDERS[Path(name).suffix], name)

    def _names(self, suffix: str) -> Iterator[str]:
        folder = self._collection.joinpath(*_FOLDERS[suffix])
        if not folder.exists():
            return
        private_dir(folder)  # what others put there would be signed
        try:
            yield from [entry.name for entry in folder.iterdir() if entry.suffix == suffix]
        except OSError as exc:
            raise file_error(folder, exc) from exc


def _read(path: Path, raw: bytes) -> Change:
    try:
        return read_change(raw) if path.suffix == ".json" else _change(_members(raw))
    except (FormatError, ValueError, TypeError) as exc:  # the last is of what orjson cannot write again
        problem = exc.problem if isinstance(exc, FormatError) else str(exc)
        where = f"{exc.path}: " if isinstance(exc, FormatError) and exc.path else ""
        raise FileError(str(path), f"this is no change that can be published: {where}{problem}") from exc


def _members(raw: bytes) -> Members:
    return Members("staged", "", canonical.parse_strictly(raw))


def _notary_says(change: Change) -> bool:
    """Say whether a change file of Notary can hold *change*."""
    if isinstance(change, Amend):
        return change.threshold is None  # Go heeds one only where a role begins
    if isinstance(change, Purge):
        return True
    if isinstance(change, Undelegate):
        return is_delegation(change.name) and parent(change.name) == change.role
    if not isinstance(change, AddTarget | RemoveTarget | Witness):
        return False
    if isinstance(change, AddTarget) and not change.meta.hashes.keys() <= {"sha256", "sha512"}:
        return False
    return change.role == TARGETS or is_delegation(change.role)


def _change(item: Members) -> Change:
    role, action, kind = item.text("role"), item.text("action"), item.text("type")
    if kind == "delegation":
        return _delegation(item, role, action)
    if role != TARGETS and not is_delegation(role):
        item.fail("role", f"{role[:80]!r} has no targets to change")
    if kind == "witness":
        return Witness(role=role)
    if kind != "target":
        item.fail("type", f"{kind[:40]!r} was staged by another tool; publish it with that one")
    name = item.text("path")
    if action == "delete":
        return RemoveTarget(role=role, name=name)
    if action not in {"create", "update"}:
        item.fail("action", f"{action[:40]!r} is none that a target can undergo")
    content = Members("staged", "data", canonical.parse_strictly(item.base64("data")))
    return AddTarget(role=role, name=name, meta=read_file(content, "sha256", "sha512"))


def _delegation(item: Members, role: str, action: str) -> Change:
    """Read what Go stages of a delegation: its keys and its paths one after the other, so one of them may be missing.

    Source: notary ``client/changelist/changelist.go``, ``client/helpers.go``.
    """
    above, _, last = role.rpartition("/")
    if above != TARGETS and not is_delegation(above):
        item.fail("role", f"{role[:80]!r} is no role that is delegated to")
    if action == "delete":
        return Undelegate(role=above, name=role)
    if action not in {"create", "update"}:
        item.fail("action", f"{action[:40]!r} is none that a delegation can undergo")
    said = Members("staged", "data", canonical.parse_strictly(item.base64("data")))
    said.only(_DELEGATION)
    gone = said.strings("remove_keys", nullable=True)
    if last == "*":
        return Purge(role=above, keys=gone)
    if not is_delegation(role):
        item.fail("role", f"{role[:80]!r} is no role that is delegated to")
    if said.value.get("new_name"):
        said.fail("new_name", "a role is not renamed")
    if said.value.get("threshold", 1) not in (0, 1):
        said.fail("threshold", "Go heeds it only where a role begins, and then begins with 1")
    keys = said.objects("add_keys", nullable=True)
    return Amend(
        role=above,
        name=role,
        add_keys=tuple(Notary1().read_key(orjson.dumps(key.value)) for key in keys),
        remove_keys=gone,
        add_paths=said.strings("add_paths", nullable=True),
        remove_paths=said.strings("remove_paths", nullable=True),
        clear_paths=said.boolean("clear_paths") if "clear_paths" in said.value else False,
    )


def _spell(change: Change) -> bytes:
    role, path, data = change.role, "", None
    match change:
        case AddTarget():
            action, kind, path = "create", "target", change.name
            data = canonical.encode(spell_file(change.meta))
        case RemoveTarget():
            action, kind, path = "delete", "target", change.name
        case Amend():
            removes = change.remove_keys or change.remove_paths or change.clear_paths
            action, kind, role = "update" if removes else "create", "delegation", change.name
            data = orjson.dumps(_said(change))
        case Purge():
            action, kind, role = "update", "delegation", f"{change.role}/*"
            data = orjson.dumps({"remove_keys": list(change.keys)})
        case Undelegate():
            action, kind, role = "delete", "delegation", change.name
        case _:
            action, kind = "update", "witness"
    spelled: dict[str, Any] = {"action": action, "role": role, "type": kind, "path": path}
    return orjson.dumps({**spelled, "data": None if data is None else _base64(data)})


def _said(change: Amend) -> dict[str, Any]:
    said: dict[str, Any] = {
        "threshold": 1 if change.add_keys else 0,
        "add_keys": [orjson.Fragment(Notary1().spell_key(key)) for key in change.add_keys],
        "remove_keys": list(change.remove_keys),
        "add_paths": list(change.add_paths),
        "remove_paths": list(change.remove_paths),
        "clear_paths": change.clear_paths,
    }
    return {name: value for name, value in said.items() if value}


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


_FOLDERS: Mapping[str, tuple[str, ...]] = {".change": ("changelist",), ".json": ("_trust", "changes")}  # by suffix
_DELEGATION = frozenset(
    {"new_name", "threshold", "add_keys", "remove_keys", "add_paths", "remove_paths", "clear_paths"}
)
_LARGEST = 1 << 20  # bytes of one change
_MOST_CHANGES = 100_000
