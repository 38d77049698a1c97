"""
``kill -9`` of a publisher at any moment of a publication leaves readers a whole collection, in every kind of store.

Each kind of publication in turn is killed at a random moment of its measured life, which is measured again as the test
goes on. A few are killed by default, 200 in each store with ``TRUSTREG_FULL=1``.
"""

from __future__ import annotations

import collections
import hashlib
import io
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]

from tests.interop.stores import Person, State, kill_after, served, stranger, to_the_end
from tests.interop.test_kill import spread
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import AbsentError, NoTrustDataError
from trustreg.metadata import FileMeta
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.publisher import Content
from trustreg.sign.changes import AddTarget, Delegate, DelegateBins, RemoveTarget, SetKeys, Undelegate
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.interop.stores import Shelf
    from trustreg.metadata import Key
    from trustreg.sign.changes import Change

FULL = bool(os.environ.get("TRUSTREG_FULL"))
MOMENTS = 200 if FULL else 6
BEGINNINGS = 40 if FULL else 2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 300)]


class Author(Person):
    """Somebody who changes a collection in every way that there is."""

    def __init__(self, shelf: Shelf, home: Path) -> None:
        super().__init__(shelf, home)
        self.names: dict[str, None] = {}
        self._numbers, self._teams = itertools.count(), collections.deque[str]()
        self._old: dict[str, str] = {}

    def begin(self) -> None:
        """Begin a collection with something of everything in it."""
        self.init()
        key = self._key(TARGETS)
        self._stage(
            Delegate(role=TARGETS, name="spread", keys=(key,), patterns=("spread/*",)),
            DelegateBins(role="spread", bits=2, prefix="bin", keys=(key,)),
        )
        for way in (self.tag, self.tag, self.spread, self.spread, self.delegate, self.delegate, self.file):
            way()

    @property
    def ways(self) -> dict[str, Callable[[], None]]:
        """All kinds of publication; each stages one."""
        return {
            "tag": self.tag,
            "timestamp key": lambda: self.rotate(TIMESTAMP),
            "tag in a bin": self.spread,
            "root key": lambda: self.rotate(ROOT),
            "file": self.file,
            "snapshot key": lambda: self.rotate(SNAPSHOT),
            "other bins": self.rebin,
            "removal": self.remove,
            "targets key": lambda: self.rotate(TARGETS),
            "delegation": self.delegate,
            "lost key": self.lose,
            "end of a delegation": self.undelegate,
        }

    def tag(self) -> None:
        self._add(TARGETS, f"tags/v{next(self._numbers)}")

    def spread(self) -> None:
        self._add("spread", f"spread/{next(self._numbers)}")

    def remove(self) -> None:
        name = next(name for name in self.names if name.startswith("tags/"))
        self.names.pop(name)
        self._stage(RemoveTarget(role=TARGETS, name=name))

    def file(self) -> None:
        data = f"file {next(self._numbers)}".encode()
        name, digest = f"files/{data.decode()[5:]}", hashlib.sha256(data).digest()
        content = Content(name=name, length=len(data), sha256=digest, open=lambda: io.BytesIO(data))
        self.names[name] = None
        self._stage(*self.publisher().add_files(self.gun, [content], datetime.now(UTC)))

    def delegate(self) -> None:
        name = f"team-{next(self._numbers)}"
        self._stage(Delegate(role=TARGETS, name=name, keys=(self._key(TARGETS),), patterns=(f"{name}/*",)))
        self._add(name, f"{name}/one")
        self._teams.append(name)

    def undelegate(self) -> None:
        name = self._teams.popleft()
        self.names.pop(f"{name}/one")
        self._stage(Undelegate(role=TARGETS, name=name))

    def rebin(self) -> None:
        bits = 1 + next(self._numbers) % 3
        self._stage(DelegateBins(role="spread", bits=bits, prefix=f"bin{bits}"))

    def rotate(self, role: str) -> None:
        """Let a new key take the place of the one that there is."""
        (old,) = (state.keyids for state in self.verifier().contents(self.gun).roles if state.name == role)
        self._stage(SetKeys(role=role, add=(self._key(role),), remove=old))

    def lose(self) -> None:
        """Let a new key take the place of one that is lost."""
        self.rotate(TIMESTAMP)
        self._forget(TIMESTAMP)

    def clear(self) -> None:
        """Remove the keys that others took the place of."""
        for role in tuple(self._old):
            self._forget(role)

    def keys(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.trust_dir / "private").iterdir()}

    def require_whole_files(self) -> None:
        """Require every file of the cache and of the memory to be whole, and every change that is staged."""
        for suffix in ("json", "change"):
            for path in self.trust_dir.rglob(f"*.{suffix}"):
                json.loads(path.read_bytes())

    def _stage(self, *changes: Change) -> None:
        self.publisher().stage(self.gun, changes)

    def _add(self, role: str, name: str) -> None:
        self.names[name] = None
        digest = hashlib.sha256(name.encode()).digest()
        self._stage(AddTarget(role=role, name=name, meta=FileMeta(length=len(name), hashes={"sha256": digest})))

    def _key(self, role: str) -> Key:
        signer, keys = LocalSigner.generate("ed25519"), self.wiring().keystore()
        if role in {TIMESTAMP, SNAPSHOT, ROOT} and role not in self._old:
            self._old[role] = next(held.id for held in keys.keys() if held.role == role)
        keys.add(signer, role, None if role == ROOT else str(self.gun))
        return Tuf1().key(signer.kind, signer.public)

    def _forget(self, role: str) -> None:
        keys = self.wiring().keystore()
        keys.remove(keys.find(self._old.pop(role)))


class Readers:
    """Those who look after each publication, and each kill: they have to see the same, and all of it."""

    def __init__(self, shelf: Shelf, author: Author, home: Path) -> None:
        self._shelf, self._author, self._home = shelf, author, home
        self._warm = Person(shelf, home / "warm")
        self._root = (home / "shelf" / "metadata" / "1.root.json").read_bytes() if shelf.kind == "dir" else b""

    def look(self, url: str) -> list[State]:
        """Return what a reader who remembers sees, then one who does not, then the publisher; *url* is for others."""
        with stranger(self._shelf) as new:
            seen = [one.state() for one in (self._warm, new, self._author)]
        names = {name for name, *_ in seen[0].targets}
        for name in (name for name in names if name.startswith("files/")):
            self._require_file(name)
        if url:
            with tempfile.TemporaryDirectory() as cold:
                for folder in (self._home / "tuf", Path(cold)):
                    self._require_all(folder, url, names)
        return seen

    def last(self) -> State:
        """Return what a reader who remembers sees."""
        return self._warm.state()

    def _require_file(self, name: str) -> None:
        """Require the target file *name* to be in the store as it was uploaded."""
        data = f"file {name.removeprefix('files/')}".encode()
        with self._shelf.files().open(
            f"files/{hashlib.sha256(data).hexdigest()}.{name.removeprefix('files/')}"
        ) as found:
            assert found
            assert data == b"".join(found)

    def _require_all(self, folder: Path, url: str, names: Iterable[str]) -> None:
        """Require python-tuf, whose cache is *folder*, to find all targets *names*, and the files that there are."""
        folder.mkdir(exist_ok=True)
        updater = Updater(str(folder), f"{url}/metadata", str(folder), f"{url}/targets", bootstrap=self._root)
        updater.refresh()
        for name in names:
            found = updater.get_targetinfo(name)
            assert found, name
            if name.startswith("files/"):
                updater.download_target(found)


def test_a_publisher_that_is_killed(shelf: Shelf, tmp_path: Path) -> None:
    """
    Afterwards readers, new and old, find all that was there or all that was to be there; the keys are as they were;
    and the same publication, begun again, comes to its end. Meanwhile somebody reads all the time.
    """
    author = Author(shelf, tmp_path / "author")
    author.begin()
    alive, half_way, lost = 0, 0, list[tuple[float, float]]()
    with ExitStack() as held:
        publishing = held.enter_context(author.process("publish"))
        url = held.enter_context(served(tmp_path / "shelf")) if shelf.kind == "dir" else ""
        usual = collections.deque([to_the_end(publishing)], maxlen=20)
        lives = collections.defaultdict[str, collections.deque[float]](lambda: collections.deque(maxlen=5))
        readers = Readers(shelf, author, tmp_path)
        kinds = itertools.cycle(author.ways.items())
        for kind, stage in itertools.islice(kinds, len(author.ways) if FULL else 2):
            stage()
            lives[kind].append(to_the_end(publishing))
        (before,) = set(readers.look(url))
        reading = held.enter_context(Person(shelf, tmp_path / "busy").process("read"))

        shares = enumerate(spread(MOMENTS, random.Random(shelf.kind)))
        for (kind, stage), (number, share) in zip(kinds, shares, strict=False):
            begin = time.time()
            stage()
            keys, seconds = author.keys(), share * statistics.median(lives[kind] or usual)
            alive += (killed := kill_after(publishing, seconds))

            where = f"{kind}, killed after {seconds:.3f} s"
            author.require_whole_files()
            assert keys == author.keys(), where
            seen = readers.look(url)
            to_the_end(publishing)
            author.require_whole_files()
            after = readers.last()
            assert set(author.names) == {name for name, *_ in after.targets}
            whole = [before, after] if kind != "lost key" else [before, before.either(after), after]
            order = [whole.index(state) for state in seen]
            assert order == sorted(order), where  # a registry may have been at it still
            half_way += killed and seen[0] != before
            lost += [(begin, time.time() + 1)] if kind == "lost key" else []
            author.clear()
            if number % 5 == 1:  # how long does it take by now?
                stage()
                taken, after = to_the_end(publishing), readers.last()
                for times in (lives[kind], usual):
                    times.append(taken)
                lost += [(begin, time.time() + 1)] if kind == "lost key" else []
                author.clear()
            before = after

        reading.tell()
        found = reading.result()
    # Who asked for the root before a key was given up as lost, and for the rest after that, has to ask again.
    bad = [error for error in found["errors"] if not any(begin <= error[0] <= end for begin, end in lost)]
    bad = [error for error in bad if shelf.kind == "dir" or error[1] != "unknown"]
    assert not bad
    assert alive >= MOMENTS // 2, f"of {MOMENTS} publications only {alive} were still going on"
    print(
        f"{shelf.kind}: {MOMENTS} kills, {alive} alive, {half_way} after publishing; "
        f"{found['reads']} reads meanwhile, {len(found['errors'])} of which had to be repeated"
    )


def test_a_beginning_that_is_killed(shelf: Shelf, tmp_path: Path) -> None:
    """
    ``init``: afterwards there is no collection for anybody, and it begins when run again; or there is, and its keys
    are here.
    """
    usual = collections.deque([0.1], maxlen=5)
    for number, share in enumerate(spread(BEGINNINGS, random.Random(shelf.kind))):
        place = shelf.another(f"begun-{number}")
        author = Author(place, tmp_path / f"author-{number}")
        with author.process("publish") as publishing:
            seconds = share * statistics.median(usual)
            kill_after(publishing, seconds, "init")
            where = f"killed after {seconds:.3f} s"
            author.require_whole_files()
            with stranger(place) as new:
                try:
                    begun = bool(new.state())
                except (NoTrustDataError, AbsentError):  # a root that nobody has begun to use
                    begun = False

            if not begun:
                usual.append(to_the_end(publishing, "init"))
            author.tag()
            to_the_end(publishing)
        with stranger(place) as new:
            assert set(author.names) == {name for name, *_ in new.state().targets}, where
