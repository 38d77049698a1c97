"""The SQLite store: what it promises under threads, restarts, full disks and strangers' files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.server.team import GUN, NOW, Team, raws, signer
from trustreg.errors import FileError, PassphraseError
from trustreg.io import sql
from trustreg.io.sql import SqlStore, Stamps, unlock
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection, File, TrustServer, Update, VersionTakenError
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = Gun("registry.example/team/apples")
PASSPHRASE = "open, sesame"


@pytest.fixture(autouse=True)
def _fast_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_SCRYPT", (2, 8, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a store."""
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[SqlStore]:
    """A new store."""
    with closing(SqlStore(folder, unlock(folder, PASSPHRASE))) as made:
        yield made


def file(role: str, version: int, content: bytes = b"", *, renew: timedelta | None = None) -> File:
    """Return a file; the store does not care what is in it."""
    due = NOW + renew if renew else None
    return File(role=role, version=version, raw=content or f"{role} {version}".encode(), created=NOW, renew=due)


def update(*files: File, current: frozenset[str] | None = None, used: frozenset[bytes] = frozenset()) -> Update:
    """Return an update to *files*, which are all there is unless said otherwise."""
    return Update(
        files=files, current=frozenset(each.role for each in files) if current is None else current, used=used
    )


# --- opening -----------------------------------------------------------------------------------------------------


def test_only_the_owner_can_read_it(folder: Path, store: SqlStore) -> None:
    """
    Nobody but the owner may read the folder or any file in it, whatever the umask.
    """
    before = os.umask(0)
    try:
        store.commit(GUN, update(file(TIMESTAMP, 1)), 0)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    finally:
        os.umask(before)

    assert modes == {
        "state": 0o700,
        **dict.fromkeys(["trust.db", "trust.db-wal", "trust.db-shm", "stamps", "lock"], 0o600),
    }


def test_a_passphrase_opens_it_again_and_no_other(folder: Path) -> None:
    """
    The same passphrase gives the same key; another one is told so, and changes nothing.
    """
    first = unlock(folder, PASSPHRASE)

    with pytest.raises(PassphraseError, match="sealed under another passphrase"):
        unlock(folder, "open, barley")

    assert first == unlock(folder, PASSPHRASE)


def test_many_begin_at_once(folder: Path) -> None:
    """
    Servers that start at the same moment make one store between them.
    """
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: unlock(folder, PASSPHRASE), range(8)))

    assert len(keys) == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no database" * 1000), "not a database of trustreg"),
        (lambda path: path.mkdir(), "cannot be opened|folder"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged"),
    ],
    ids=["garbage", "folder", "truncated"],
)
def test_a_spoilt_file_is_named(folder: Path, spoil: Any, said: str) -> None:
    """
    A file that is no database of ours gives one sentence with its name.
    """
    unlock(folder, PASSPHRASE)
    path = folder / "trust.db"
    content = path.read_bytes()
    path.unlink()
    for each in folder.glob("trust.db-*"):
        each.unlink()
    if "damaged" in said:
        path.write_bytes(content)
    spoil(path)

    with pytest.raises(FileError, match=said) as caught:
        unlock(folder, PASSPHRASE)
    assert caught.value.path == str(path)


def test_a_newer_store_is_left_alone(folder: Path) -> None:
    """
    A database with tables of a later version is not touched.
    """
    unlock(folder, PASSPHRASE)
    with closing(sqlite3.connect(folder / "trust.db")) as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(FileError, match="written by a newer trustreg"):
        unlock(folder, PASSPHRASE)


def test_a_migration_happens_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A script that fails in the middle leaves no trace, and the next start runs it again.
    """
    whole = sql._statements

    def half(script: str) -> Iterator[str]:
        yield from list(whole(script))[:3]
        yield "SELECT no_such_function()"

    with monkeypatch.context() as patch:
        patch.setattr(sql, "_statements", half)
        with pytest.raises(FileError, match="no_such_function"):
            unlock(folder, PASSPHRASE)

    unlock(folder, PASSPHRASE)


# --- keys --------------------------------------------------------------------------------------------------------


def test_unused_keys(store: SqlStore) -> None:
    """
    A key stays the unused one until it has signed; then there is another, and both are held.
    """
    made = [signer("timestamp 1"), signer("timestamp 2"), signer("timestamp 3")]
    queue = iter(made)

    first = [store.unused_key(GUN, TIMESTAMP, lambda: next(queue)).public for _ in range(2)]
    store.commit(GUN, update(file(TIMESTAMP, 1), used=frozenset(first)), 0)
    second = store.unused_key(GUN, TIMESTAMP, lambda: next(queue)).public
    other = store.unused_key(OTHER, TIMESTAMP, lambda: next(queue)).public

    assert [made[0].public] * 2 == first
    assert [made[1].public, made[2].public] == [second, other]
    assert [made[0].public, made[1].public] == [key.signer.public for key in store.keys(GUN)]


def test_no_private_key_stands_in_the_files(folder: Path, store: SqlStore) -> None:
    """
    What is on disk holds neither a private key nor what opens it.
    """
    made = LocalSigner.generate("ecdsa")
    store.unused_key(GUN, TIMESTAMP, lambda: made)
    number = made.private.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]

    everything = b"".join(path.read_bytes() for path in folder.iterdir())

    assert made.public in everything
    assert number not in everything
    assert unlock(folder, PASSPHRASE) not in everything


def test_a_key_that_was_moved_does_not_open(folder: Path, store: SqlStore) -> None:
    """
    A sealed key opens in its own row only, so nobody can give one collection the key of another.
    """
    store.unused_key(OTHER, TIMESTAMP, lambda: signer(TIMESTAMP))
    with closing(sqlite3.connect(folder / "trust.db")) as db, db:
        db.execute("UPDATE key SET gun = ?", (GUN.text,))

    with pytest.raises(FileError, match="was tampered with"):
        store.keys(GUN)


# --- trouble -----------------------------------------------------------------------------------------------------


def test_a_full_disk(store: SqlStore) -> None:
    """
    A disk that fills up in the middle of an update leaves the collection as it was.
    """
    store.commit(GUN, update(file(TIMESTAMP, 1)), 0)
    before = store.collection(GUN)
    pages = store._db().execute("PRAGMA page_count").fetchone()[0]
    store._db().execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(FileError, match="the disk is full"):
        store.commit(GUN, update(file(TARGETS, 1), file(TIMESTAMP, 2, bytes(100_000))), before.revision)

    assert before == store.collection(GUN)


def test_a_writer_that_does_not_let_go(folder: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Somebody who keeps the database locked makes a writer give up, while readers read on.
    """
    monkeypatch.setattr(sql, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(folder / "trust.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FileError, match="another process keeps it locked"):
            store.commit(GUN, update(file(TIMESTAMP, 1)), 0)
        assert store.find(GUN, TIMESTAMP) is None
        other.execute("ROLLBACK")

    assert store.commit(GUN, update(file(TIMESTAMP, 1)), 0)


# --- stamps ------------------------------------------------------------------------------------------------------


def test_a_change_is_seen_by_other_processes(folder: Path, store: SqlStore) -> None:
    """
    Another process sees the stamp of a collection change with it, and that of others stay.
    """
    slot, other = store.stamps.slot(GUN), store.stamps.slot(OTHER)
    before = store.stamps.read(slot), store.stamps.read(other)
    script = (
        "import sys; from pathlib import Path; from trustreg.io.sql import SqlStore; from trustreg.names import Gun\n"
        "store = SqlStore(Path(sys.argv[1]), bytes(32)); print(flush=True); input()\n"
        f"print(store.stamps.read({slot}).hex(), store.stamps.read({other}).hex())"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    child.stdout.readline()
    unchanged = store.stamps.read(slot), store.stamps.read(other)

    store.commit(GUN, update(file(TIMESTAMP, 1)), 0)
    seen, _ = child.communicate("\n")

    assert before != unchanged, "a process that starts makes all others forget"
    after = store.stamps.read(slot), store.stamps.read(other)
    assert [stamp.hex() for stamp in after] == seen.split()
    assert after[0] != unchanged[0]
    assert after[1] == unchanged[1]


def test_stamps_are_made_once(tmp_path: Path) -> None:
    """
    Every GUN has its place in the file, and the file never grows.
    """
    for _ in range(2):
        with closing(Stamps(tmp_path / "stamps")) as stamps:
            assert all(len(stamps.read(stamps.slot(Gun(f"a/{number}")))) == 8 for number in range(1000))

    assert (tmp_path / "stamps").stat().st_size == 32_768


# --- together ----------------------------------------------------------------------------------------------------


def test_of_two_conflicting_uploads_one_wins(store: SqlStore) -> None:
    """
    Whoever of many publishes the same version first has it published, and each of the others is told.
    """
    server, team = TrustServer(store), served(store)
    uploads = [{TARGETS: team.targets(2, expires=NOW + timedelta(days=days))} for days in range(1, 9)]

    won = publish_at_once(server, uploads)

    assert won.count(True) == 1
    stored = store.find(GUN, TARGETS)
    assert stored is not None
    assert uploads[won.index(True)][TARGETS] == stored.raw
    assert [change.version for change in store.changes(GUN, limit=10)] == [1, 2]


def test_uploads_that_do_not_conflict_all_win(store: SqlStore) -> None:
    """
    Delegates publish their own roles at the same moment; none is lost, and each is listed with the others.
    """
    team = Team(managed=True)
    names = ["targets/a", "targets/c"]
    for name in names:
        team.delegate(name)
    server = TrustServer(store)
    served(store, team)

    won = publish_at_once(server, [{name: team.targets(1, name)} for name in names])

    assert won == [True, True]
    assert set(raws(store.collection(GUN))) == {ROOT, TARGETS, *names}
    assert [change.version for change in store.changes(GUN, limit=10)] == [1, 2, 3]


def test_readers_who_find_it_due_get_one_new_version(store: SqlStore) -> None:
    """
    A timestamp that is due is signed once, however many ask for it at that moment.
    """
    server = TrustServer(store)
    served(store)
    due = NOW + timedelta(days=8)
    gate = threading.Barrier(8)

    def read(_: int) -> bytes:
        gate.wait()
        found = server.current(GUN, TIMESTAMP, due)
        assert found
        return found.raw

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(read, range(8)))

    assert len(seen) == 1
    assert [change.version for change in store.changes(GUN, limit=10)] == [1, 2]


def test_a_disk_that_cannot_be_written_does_not_stop_readers(store: SqlStore) -> None:
    """
    A timestamp that cannot be signed again for now is served as it is, and somebody is told.
    """
    told: list[Any] = []
    server = TrustServer(store, report=told.append)
    served(store)
    before = store.find(GUN, TIMESTAMP)
    store._db().execute("PRAGMA query_only = ON")

    assert before == server.current(GUN, TIMESTAMP, NOW + timedelta(days=8))
    assert ["it may not be written"] == [error.problem for error in told]


def test_readers_never_see_half(store: SqlStore) -> None:
    """
    Whatever is committed meanwhile, a collection is read as of one moment.
    """
    roles = [ROOT, TARGETS, SNAPSHOT, TIMESTAMP]
    stop = threading.Event()

    def write() -> None:
        for version in range(1, 60):
            revision = store.collection(GUN).revision
            assert store.commit(GUN, update(*(file(role, version) for role in roles)), revision)
        stop.set()

    def read() -> int:
        seen = set()
        while not stop.is_set():
            versions = {each.version for each in store.collection(GUN).files.values()}
            assert len(versions) <= 1
            seen |= versions
        return len(seen)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        pool.submit(write).result()
        assert all(reader.result() > 1 for reader in readers)


def served(store: SqlStore, team: Team | None = None) -> Team:
    """Publish the first version of a collection of *team*, which leaves the snapshot to the server."""
    team = team or Team(managed=True)
    store.unused_key(GUN, TIMESTAMP, lambda: signer(TIMESTAMP))
    store.unused_key(GUN, SNAPSHOT, lambda: signer("snapshot of the server"))
    TrustServer(store).accept(GUN, team.first(), NOW)
    return team


def publish_at_once(server: TrustServer, uploads: list[dict[str, bytes]]) -> list[bool]:
    """Publish all *uploads* at the same moment; say of each whether it was taken."""
    gate = threading.Barrier(len(uploads))

    def publish(upload: dict[str, bytes]) -> bool:
        gate.wait()
        try:
            server.accept(GUN, upload, NOW)
        except VersionTakenError:
            return False
        return True

    with ThreadPoolExecutor(len(uploads)) as pool:
        return list(pool.map(publish, uploads))


# --- any order of operations ---------------------------------------------------------------------------------------


GUNS = strategies.sampled_from([GUN, OTHER])
SOME_ROLES = strategies.sampled_from([ROOT, TARGETS, SNAPSHOT, "targets/a"])


class StoreMachine(RuleBasedStateMachine):
    """The store beside a dictionary: they answer alike, after any operations in any order, restarts included."""

    revisions = Bundle("revisions")

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[Gun, dict[tuple[str, int], File]] = defaultdict(dict)
        self.present: dict[Gun, frozenset[str]] = defaultdict(frozenset)
        self.waiting: dict[tuple[Gun, str], bytes] = {}
        self.signed: dict[Gun, list[bytes]] = defaultdict(list)
        self.feed: list[tuple[Gun, int, str]] = []

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="trustreg-store-")) / "state"
        self.key = unlock(self.folder, PASSPHRASE)
        self.store = SqlStore(self.folder, self.key)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder.parent)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = SqlStore(self.folder, unlock(self.folder, PASSPHRASE))

    @rule(target=revisions, gun=GUNS)
    def look(self, gun: Gun) -> tuple[Gun, int, int]:
        return gun, self.store.collection(gun).revision, len(self.feed)

    @rule(gun=GUNS, roles=strategies.sets(SOME_ROLES, min_size=1), others_stay=strategies.booleans())
    def commit(self, gun: Gun, roles: set[str], *, others_stay: bool) -> None:
        files = [file(role, self.newest(gun).get(role, 0) + 1) for role in (*roles, TIMESTAMP)]
        current = frozenset({*roles, TIMESTAMP, *(self.present[gun] if others_stay else ())})
        used = [public for (owner, _), public in self.waiting.items() if owner == gun]
        revision = self.store.collection(gun).revision

        assert self.store.commit(gun, update(*files, current=current, used=frozenset(used)), revision)

        self.history[gun] |= {(each.role, each.version): each for each in files}
        self.present[gun] = current
        self.signed[gun] += used
        self.waiting = {key: public for key, public in self.waiting.items() if key[0] != gun}
        self.feed.append((gun, files[-1].version, "update"))

    @rule(seen=revisions)
    def commit_on_what_was_seen(self, seen: tuple[Gun, int, int]) -> None:
        gun, revision, since = seen
        if any(owner == gun for owner, *_ in self.feed[since:]):
            assert not self.store.commit(gun, update(file(TIMESTAMP, 1000)), revision)

    @rule(gun=GUNS)
    def delete(self, gun: Gun) -> None:
        self.store.delete(gun, NOW)
        if self.history.pop(gun, None) or self.signed[gun] or any(owner == gun for owner, _ in self.waiting):
            self.feed.append((gun, 0, "deletion"))
        self.present.pop(gun, None)
        self.signed.pop(gun, None)
        self.waiting = {key: public for key, public in self.waiting.items() if key[0] != gun}

    @rule(gun=GUNS, role=strategies.sampled_from([SNAPSHOT, TIMESTAMP]))
    def ask_for_a_key(self, gun: Gun, role: str) -> None:
        public = self.store.unused_key(gun, role, lambda: LocalSigner.generate("ed25519")).public
        assert public == self.waiting.setdefault((gun, role), public)
        assert public not in self.signed[gun]

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "store"):
            return
        for gun in (GUN, OTHER):
            newest = self.newest(gun)
            current = {role: self.history[gun][role, newest[role]] for role in self.present[gun] if role in newest}
            waiting = [public for (owner, _), public in self.waiting.items() if owner == gun]
            found = self.store.collection(gun)
            assert (current, newest) == (found.files, found.newest)
            assert sorted(self.signed[gun] + waiting) == sorted(key.signer.public for key in found.keys)
            assert [self.store.find(gun, role) for role in ROLES] == [current.get(role) for role in ROLES]
            for (role, version), each in self.history[gun].items():
                assert each == self.store.find(gun, role, version=version)
                assert each == self.store.find(gun, role, sha256=each.sha256)
        feed = self.store.changes(None, after=0, limit=1000)
        assert self.feed == [(Gun(each.gun), each.version, each.category) for each in feed]
        assert [each for each in feed if each.gun == GUN.text][-2:] == self.store.changes(GUN, limit=2)
        assert feed[1:3] == (self.store.changes(None, after=feed[0].id, limit=2) if feed else [])

    def newest(self, gun: Gun) -> dict[str, int]:
        newest: dict[str, int] = {}
        for role, version in self.history[gun]:
            newest[role] = max(version, newest.get(role, 0))
        return newest


ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP, "targets/a", "targets/b")


def test_any_order() -> None:
    """
    Commits on a fresh and on a stale state, deletions, keys and restarts, in any order.
    """
    examples = 500 if os.environ.get("TRUSTREG_FULL") else 25
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=examples, stateful_step_count=25))


def test_an_unknown_collection_is_empty(store: SqlStore) -> None:
    """
    A GUN that nobody has published is an empty collection at revision 0, and deleting it is no change.
    """
    store.delete(GUN, NOW)

    assert store.collection(GUN) == Collection()
    assert store.find(GUN, TIMESTAMP) is None
    assert store.changes(None, limit=10) == []


def test_times_survive(store: SqlStore) -> None:
    """
    Times come back to the microsecond.
    """
    made = replace(file(TIMESTAMP, 1, renew=timedelta(microseconds=1)), created=NOW + timedelta(microseconds=999_999))
    store.commit(GUN, update(made), 0)

    assert made == store.find(GUN, TIMESTAMP)
