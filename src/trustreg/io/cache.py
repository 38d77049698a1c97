"""What is remembered of a collection between runs.

Files are input like any other: nothing vouches for them. The memory, what may never be rolled back, lies apart: losing
the files costs requests, not safety. In a trust directory the files of Notary lie where its clients keep theirs,
``tuf/<GUN>/metadata``, others in ``tuf1/<GUN>``, and the memory in ``trusted/``.
"""

import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from trustreg.dialect import Dialect
from trustreg.errors import FileError
from trustreg.io.files import file_error, locked, private_dir, read_if_present, remove_file, write_all
from trustreg.io.trustdir import claim_store
from trustreg.names import SNAPSHOT, TOP_LEVEL, Gun
from trustreg.verify.requests import Floor, Keep, Memory


class FolderCache:
    """The cache of one collection, in the folder *files*; several processes and threads may share it.

    Args:
        files: Where files are kept, each as *dialect* would have it called.
        memory: The file of the memory.
        name: Whose memory it is; one of another name is refused.
        dialect: How the metadata is written.
    """

    def __init__(self, files: Path, memory: Path, name: str, dialect: Dialect) -> None:
        self._files, self._memory, self._name, self._dialect = files, memory, name, dialect

    def memory(self) -> Memory:
        """Return what is remembered.

        Raises:
            FileError: It is there and cannot be read. It is never taken for nothing remembered.
        """
        raw = read_if_present(self._memory, _MOST)
        if raw is None:
            return Memory()
        try:
            return _read(orjson.loads(raw), self._name)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise FileError(
                str(self._memory),
                "this is not what trustreg remembers of a collection",
                "restore it from a backup; without it older metadata cannot be told from current",
            ) from exc

    def recall(self, role: str) -> bytes | None:
        """Return the bytes kept for *role*."""
        return read_if_present(self._path(role), _MOST)

    def keep(self, keep: Keep) -> None:
        """Store files and memory together; what another process has raised meanwhile stays raised."""
        paths = {role: self._path(role) for role in keep.files}
        self._prepare()
        private_dir(self._memory.parent)
        with locked(self._memory.with_suffix(".lock")):
            there = self.memory()
            held, known = there.floors, keep.against.floors
            new = {role: floor for role, floor in keep.memory.floors.items() if role in keep.files}
            raised = {role: floor for role, floor in new.items() if _replaces(floor, held.get(role), known.get(role))}
            floors = {**held, **raised}
            memory = Memory(
                floors,
                _later(keep.memory.refreshed, there.refreshed),
                _later(keep.memory.walked, there.walked),
                keep.memory.begun or there.begun,
            )
            # A file whose role has no floor of its own belongs to the snapshot, and is as current as that is.
            current = keep.memory.floors.get(SNAPSHOT) == floors.get(SNAPSHOT)
            files = {
                paths[role]: raw
                for role, raw in keep.files.items()
                if (new[role] == floors[role] if role in new else current) and self.recall(role) != raw
            }
            for path in files:
                _make_folder(path.parent)
            if memory != there:
                files[self._memory] = _spell(self._name, memory)
            write_all(files)

    def begun(self) -> bool:
        """Say whether anything is remembered here."""
        return self._memory.exists()

    def forget(self) -> None:
        """Remember nothing of this collection any more; its next root is met for the first time."""
        if not self._memory.parent.exists():
            return
        with locked(self._memory.with_suffix(".lock")):
            roles = set(TOP_LEVEL)
            with suppress(FileError):  # memory that cannot be read is to go as well
                for role, floor in self.memory().floors.items():
                    roles |= {role, *floor.listed}
            for path in map(self._path, roles):
                if path.is_symlink() or path.exists():
                    remove_file(path)
            remove_file(self._memory)

    def _path(self, role: str) -> Path:
        return self._files / self._dialect.kept_as(role)

    def _prepare(self) -> None:
        """Do what has to be done before the first file is written."""


class FileCache(FolderCache):
    """The cache of the collection *gun* in the trust directory *trust_dir*."""

    def __init__(self, trust_dir: Path, gun: Gun, dialect: Dialect) -> None:
        notary = dialect.name == "notary1"  # whose clients may share the directory, and settled where
        files = trust_dir / "tuf" / str(gun) / "metadata" if notary else trust_dir / dialect.name / str(gun)
        memory = trust_dir / "trusted" / ("" if notary else dialect.name) / f"{file_name(gun)}.json"
        super().__init__(files, memory, str(gun), dialect)
        self._trust_dir = trust_dir

    def _prepare(self) -> None:
        claim_store(self._trust_dir)
        if self._memory.parent.parent != self._trust_dir:
            private_dir(self._memory.parent.parent)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise file_error(folder, exc) from exc


def _later(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _replaces(new: Floor, held: Floor | None, known: Floor | None) -> bool:
    """Say whether *new*, which was checked against *known*, may take the place of *held*.

    If another process kept *held* meanwhile, only a later version by one of the same signers may. Which of two
    signers came later cannot be told here; the next refresh can, and loses nothing.
    """
    if held is None or held == known:
        return True
    return new.version > held.version and not set(new.keys).isdisjoint(held.keys)


def file_name(name: Gun | str) -> str:
    """Return one safe file name for *name*, readable, and different for different names."""
    plain = re.sub(r"[^A-Za-z0-9._-]", lambda found: "".join(f"%{byte:02x}" for byte in found[0].encode()), str(name))
    if len(plain) <= 200:
        return plain
    import hashlib

    return f"{plain[:120]}~{hashlib.sha256(str(name).encode()).hexdigest()}"  # no name in full has a ~


def _read(document: dict[str, Any], gun: str) -> Memory:
    if document["gun"] != gun:
        raise ValueError(document["gun"])
    floors = {role: _read_floor(floor) for role, floor in document["floors"].items()}
    begun = document.get("begun", "")
    if not isinstance(begun, str):
        raise TypeError(begun)
    return Memory(floors, _read_moment(document["refreshed"]), _read_moment(document.get("walked")), begun)


def _read_moment(text: str | None) -> datetime | None:
    moment = datetime.fromisoformat(text) if text else None
    if moment and moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _read_floor(floor: dict[str, Any]) -> Floor:
    version, sha256, keys = floor["version"], floor["sha256"], floor["keys"]
    if type(version) is not int or version < 0 or not all(isinstance(text, str) for text in (sha256, *keys)):
        raise ValueError(floor)
    listed = floor.get("listed", {})
    if not all(type(least) is int for least in listed.values()):
        raise ValueError(floor)
    return Floor(version, sha256, tuple(keys), listed)


def _spell(gun: str, memory: Memory) -> bytes:
    floors = {role: _spell_floor(floor) for role, floor in memory.floors.items()}
    spelled: dict[str, Any] = {"gun": gun, "refreshed": memory.refreshed and memory.refreshed.isoformat()}
    if memory.walked:
        spelled["walked"] = memory.walked.isoformat()
    if memory.begun:
        spelled["begun"] = memory.begun
    return orjson.dumps({**spelled, "floors": floors}, option=orjson.OPT_INDENT_2)


def _spell_floor(floor: Floor) -> dict[str, Any]:
    spelled = {"version": floor.version, "sha256": floor.sha256, "keys": list(floor.keys)}
    return {**spelled, "listed": dict(floor.listed)} if floor.listed else spelled


_MOST = 1 << 30  # bytes; how much is read is decided when it is fetched
