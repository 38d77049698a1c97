"""Archives: complete copies of collections, as they stood at several times, in a folder or in one zip file.

``collections/`` has a manifest for each collection, which says what was copied when, and ``files/`` every file once,
named after its sha256. A file is written before the manifest that speaks of it, and never changed: whoever is stopped
at any moment leaves an archive that can be read. Nothing in a manifest is the path of a file here; what it says of the
world is a claim, and all that is read of it is verified like anything that a trust server says.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from trustreg.client import Site
from trustreg.copying import Held, Recalling, copy, require_successor, reread
from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import (
    DamagedError,
    FileError,
    NameFormError,
    NotArchivedError,
    SettingError,
    UntrustedError,
)
from trustreg.io.cache import file_name
from trustreg.io.files import locked
from trustreg.io.parts import FolderParts, Parts, ZipParts, make_folder
from trustreg.names import TIMESTAMP, Gun
from trustreg.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from trustreg.copying import Copied
    from trustreg.dialect import Dialect
    from trustreg.ports import Repository
    from trustreg.verify.requests import Want


@dataclass(frozen=True, kw_only=True)
class ArchivedState:
    """A collection as it stood when it was copied; all but the digests is what the archive says of it.

    Attributes:
        taken: When.
        server: Where it was read.
        timestamp: The sha256 of its timestamp, in hex.
        expires: When the first of its files expires.
        files: The sha256 of each file, in hex, by the path at which readers ask for it.
        failed: The delegated roles that are left out, and why.
    """

    taken: datetime
    server: str
    timestamp: str
    expires: datetime
    files: Mapping[str, str] = field(hash=False, repr=False)
    failed: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What became of one collection: its latest ``state``, and what was ``added`` to the archive.

    Attributes:
        gun: The collection.
        state: What the archive has of it now.
        states: How many states there are.
        new: Whether this one was not there before.
        added: How many files were not there before.
        roots: The versions of the first root and of the current one.
        first_use: The root was believed because it came first.
        root_keyids: Ids of the keys that vouched for the current root.
    """

    gun: Gun
    state: ArchivedState
    states: int
    new: bool
    added: int
    roots: tuple[int, int]
    first_use: bool
    root_keyids: tuple[str, ...]


class Archive:
    """The archive at *path*, for readers.

    Raises:
        FileError: There is none, or it cannot be read.
        DamagedError: It is a zip file, and not a whole one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: Parts = ZipParts(path) if is_single(path) else FolderParts(path)

    def guns(self) -> tuple[Gun, ...]:
        """Return which collections there are copies of.

        Raises:
            DamagedError: A manifest cannot be made sense of.
        """
        return tuple(self._guns())

    def _guns(self) -> Iterator[Gun]:
        for name in sorted(self._files.manifests()):
            gun, _, _ = self._parsed(name)
            if _manifest(gun) != name:
                raise DamagedError(str(self.path), name, f"is the manifest of {gun}")
            yield gun

    def states(self, gun: Gun) -> tuple[ArchivedState, ...]:
        """Return the states of *gun* in the order in which they were taken; none where there is no copy.

        Raises:
            DamagedError: The manifest cannot be made sense of.
        """
        return self._read(gun)[1]

    def collection(self, gun: Gun, at: datetime | None = None) -> Copy:
        """Return *gun* as it stood in the last copy that was taken at *at* or before; by default in the last one.

        Raises:
            NotArchivedError: There is none.
            DamagedError: The manifest cannot be made sense of.
        """
        dialect, states = self._read(gun)
        fitting = [state for state in states if at is None or state.taken <= at]
        if not fitting:
            first = states[0].taken if states else None
            has = () if states else tuple(map(str, islice(self._guns(), _SHOWN)))
            raise NotArchivedError(str(self.path), str(gun), has, at if states else None, first)
        return Copy(self, dialect, fitting[-1])

    def file(self, sha256: str, limit: int) -> bytes | None:
        """Return the file with this digest, or ``None``.

        Raises:
            TooLargeError: It has more than *limit* bytes.
            DamagedError: It has another digest.
        """
        raw = self._files.read(_file(sha256), limit)
        if raw is not None and hashlib.sha256(raw).hexdigest() != sha256:
            raise DamagedError(str(self.path), _file(sha256), "is not the file with this digest")
        return raw

    def _read(self, gun: Gun) -> tuple[Dialect, tuple[ArchivedState, ...]]:
        name = _manifest(gun)
        if self._files.read(name, _LONGEST_MANIFEST) is None:
            return Notary1(), ()
        said, dialect, states = self._parsed(name)
        if said != gun:
            raise DamagedError(str(self.path), name, f"is the manifest of {said}")
        return dialect, states

    def _parsed(self, name: str) -> tuple[Gun, Dialect, tuple[ArchivedState, ...]]:
        raw = self._files.read(name, _LONGEST_MANIFEST)
        try:
            return _read_manifest(f"{self.path}/{name}", orjson.loads(raw or b""))
        except (ValueError, KeyError, TypeError, AttributeError, NameFormError) as exc:
            raise DamagedError(str(self.path), name, "is no manifest of a collection") from exc


class Copy:
    """One state of a collection in *archive*; a :class:`trustreg.ports.Repository`."""

    def __init__(self, archive: Archive, dialect: Dialect, state: ArchivedState) -> None:
        self.dialect, self.state = dialect, state
        self._archive = archive

    @property
    def where(self) -> str:
        """The path of the archive."""
        return str(self._archive.path)

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where it is no part of this state.

        Raises:
            TooLargeError: It is longer than ``want.limit``.
            DamagedError: It is not in the archive, or not what it was.
        """
        sha256 = self.state.files.get(want.path)
        if sha256 is None:
            return None
        raw = self._archive.file(sha256, want.limit)
        if raw is None:
            raise DamagedError(self.where, _file(sha256), "is missing")
        return raw


class Archivist(Archive):
    """The archive at *path*, for whoever adds to it; see :func:`writing`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = ZipParts(path, write=True) if is_single(path) else FolderParts(path, write=True)

    def take(self, site: Site, now: datetime, *, dangerous_skip_expiry: bool = False) -> Archived:
        """Copy the collection at *site* as of *now*; what is here already is not asked for.

        Where the last state is the same, no other is added. States that there are stay.

        Raises:
            UntrustedError: A check failed, or this does not follow what is archived of it. Nothing is added then.
            UnavailableError: An answer could not be had. What came before that is where the next attempt goes on.
        """
        states = self.states(site.gun)
        loose = _Ahead(self, site.repository, states[-1].files if states else {})
        try:
            held = self._held(site.gun) if states else None
            ahead = replace(site, repository=loose, cache=Recalling(site.cache, held or Held()))
            copied = copy(ahead, now, dangerous_skip_expiry=dangerous_skip_expiry)
            if held:
                self._require_successor(copied, held)
        except UntrustedError:
            self._files.remove(loose.put)  # whoever is not believed does not get to fill the disk
            raise
        return self._add(copied, states, met=copied.first_use and not states)

    def close(self) -> None:
        """Have everything written."""
        self._files.close()

    def keep(self, sha256: str, raw: bytes) -> None:
        """Have the file *raw*, which has this digest."""
        self._files.write({_file(sha256): raw})

    def _held(self, gun: Gun) -> Held:
        """Return what somebody keeps who reads the last state of *gun*."""
        last = self.collection(gun)
        return reread(Site(gun=gun, dialect=last.dialect, repository=last, cache=Held()), last.state.taken)

    def _require_successor(self, copied: Copied, held: Held) -> None:
        try:
            require_successor(copied, held)
        except UntrustedError as exc:
            exc.add_note(f"{self.path} has an earlier copy that this does not follow: archive it in another place")
            raise

    def _add(self, copied: Copied, states: tuple[ArchivedState, ...], *, met: bool) -> Archived:
        files = {path: hashlib.sha256(raw).hexdigest() for path, raw in copied.files()}
        state = ArchivedState(
            taken=copied.taken.astimezone(UTC).replace(microsecond=0),
            server=copied.where,
            timestamp=files[copied.dialect.locate(TIMESTAMP)],
            expires=copied.expires,
            files=files,
            failed={role: str(error) for role, error in copied.failed.items()},
        )
        named = {_file(files[path]): raw for path, raw in copied.files()}
        known = {_file(sha256) for past in states for sha256 in past.files.values()}
        self._files.write({name: raw for name, raw in named.items() if not self._files.has(name)})
        new = not states or (states[-1].files, states[-1].failed) != (state.files, state.failed)
        if new:
            states += (state,)
            manifest = _spell(copied.gun, copied.dialect.name, states)
            if len(manifest) > _LONGEST_MANIFEST:
                raise FileError(str(self.path), f"there is no room for another copy of {copied.gun}: begin a new one")
            self._files.write({_manifest(copied.gun): manifest})
        return Archived(
            gun=copied.gun,
            state=states[-1],
            states=len(states),
            new=new,
            added=len(named.keys() - known),
            roots=(copied.roots[0].signed.version, copied.roots[-1].signed.version),
            first_use=met,
            root_keyids=copied.roots[-1].keyids,
        )


@contextmanager
def writing(path: Path, *, patience: float = 10.0) -> Iterator[Archivist]:
    """Open the archive at *path*, which is made if there is none, to add to it; nobody else may at the same time.

    What was added by then is kept, however this ends. Whoever adds to it is waited for *patience* seconds.

    Raises:
        SettingError: *path* is called like a file of a kind that archives are not.
        FileError: There is something else, or it cannot be written.
        DamagedError: There is a zip file, and not a whole one.
    """
    single = is_single(path)
    if path.suffix in _OTHERS:
        raise SettingError(str(path), "an archive is a folder, or one file that is called .zip")
    make_folder(path.parent if single else path)
    if not single:
        FolderParts(path, write=True)  # nothing is put between somebody's other files, not even a lock
    with locked(path.with_name(f".{path.name}.lock") if single else path / ".lock", patience=patience):
        archive = Archivist(path)
        try:
            yield archive
        finally:
            archive.close()


def is_single(path: Path) -> bool:
    """Say whether *path* is, or is to be, one file and no folder."""
    return path.suffix == ".zip" or path.is_file()


class _Ahead:
    """Reads *repository*, but takes from *archive* what is there; ``put`` is what was put there on the way."""

    def __init__(self, archive: Archivist, repository: Repository, files: Mapping[str, str]) -> None:
        self._archive, self._repository = archive, repository
        self._roots = {path: sha256 for path, sha256 in files.items() if _ROOT.fullmatch(path)}
        self.put: list[str] = []

    @property
    def where(self) -> str:
        return self._repository.where

    def fetch(self, want: Want) -> bytes | None:
        found = _BY_DIGEST.fullmatch(want.path)
        sha256 = found[1] if found else self._roots.get(want.path)
        if sha256 and (here := self._archive.file(sha256, want.limit)) is not None:
            return here
        raw = self._repository.fetch(want)
        if raw is not None and found and hashlib.sha256(raw).hexdigest() == sha256:
            self._archive.keep(sha256, raw)  # should this end here, the next attempt goes on from there
            self.put.append(_file(sha256))
        return raw


def _manifest(gun: Gun) -> str:
    return f"collections/{file_name(gun)}.json"


def _file(sha256: str) -> str:
    return f"files/{sha256}.json"


def _read_manifest(where: str, document: dict[str, Any]) -> tuple[Gun, Dialect, tuple[ArchivedState, ...]]:
    if document["version"] != 1:
        raise FileError(where, f"this is version {document['version']!r} of the format, and only 1 is known here")
    states = tuple(map(_read_state, document["states"]))
    if not states:
        raise ValueError(states)
    return Gun(document["gun"]), _DIALECTS[document["dialect"]](), states


def _read_state(state: dict[str, Any]) -> ArchivedState:
    files, failed = state["files"], state["failed"]
    texts = (state["server"], *files, *failed, *failed.values())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(state)
    if not all(_SHA256.fullmatch(text) for text in (state["timestamp"], *files.values())):
        raise ValueError(state)
    return ArchivedState(
        taken=_read_moment(state["taken"]),
        server=state["server"],
        timestamp=state["timestamp"],
        expires=_read_moment(state["expires"]),
        files=files,
        failed=failed,
    )


def _read_moment(text: str) -> datetime:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)


def _spell(gun: Gun, dialect: str, states: tuple[ArchivedState, ...]) -> bytes:
    spelled = [
        {
            "taken": _moment(state.taken),
            "server": state.server,
            "timestamp": state.timestamp,
            "expires": _moment(state.expires),
            "files": dict(state.files),
            "failed": dict(state.failed),
        }
        for state in states
    ]
    document = {"version": 1, "gun": str(gun), "dialect": dialect, "states": spelled}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _moment(time: datetime) -> str:
    return time.strftime(_MOMENT)


_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_OTHERS = {".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".json"}
_DIALECTS: dict[str, type[Dialect]] = {"notary1": Notary1, "tuf1": Tuf1}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BY_DIGEST = re.compile(r".*\.([0-9a-f]{64})\.json")
_ROOT = re.compile(r"[0-9]+\.root\.json")
_SHOWN = 8  # collections
_LONGEST_MANIFEST = 64 << 20  # bytes; some ten thousand states of a collection with forty roles
