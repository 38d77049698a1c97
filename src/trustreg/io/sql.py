"""Collections in one SQLite file.

Several processes may share it: each write is one transaction that is on disk before it is over, readers never wait,
and a kill at any moment leaves the last committed state. The server's private keys are sealed with AES-256-GCM under
a key that is itself sealed with scrypt of a passphrase.

Source: sqlite.org/wal.html; NIST SP 800-38D (GCM); RFC 7914 (scrypt).
"""

import mmap
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from trustreg.errors import FileError, PassphraseError
from trustreg.io.files import file_error, locked, private_dir
from trustreg.names import TIMESTAMP, Gun
from trustreg.server import ChangeRecord, Collection, File, ServerKey, Update
from trustreg.sign.signer import LocalSigner, PrivateKey


def unlock(folder: Path, passphrase: str) -> bytes:
    """Make or open the store in *folder*, bring its tables up to date, and return the key to open it with.

    Slow by intent, as every guess at the passphrase has to be: do it once, and hand the key to the workers.

    Raises:
        PassphraseError: The server's keys are sealed under another passphrase.
        FileError: The folder or the file in it cannot be used.
    """
    path = private_dir(folder) / _NAME
    # Switching to WAL does not wait for others as everything else here does.
    with locked(folder / "lock"), _told(path):
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)  # SQLite gives its other files the mode of this one
        with closing(_connect(path)) as db:
            if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise FileError(str(path), "this file system cannot hold a database that several processes share")
            _migrate(db, path)
            return _vault_key(db, path, passphrase)


class SqlStore:
    """The store in *folder*, which :func:`unlock` gave *key* for. Threads share it; processes open their own."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._path = folder / _NAME
        self._cipher = AESGCM(key)
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        with _told(folder / "stamps"):
            self.stamps = Stamps(folder / "stamps")

    def close(self) -> None:
        """Close the connections of all threads."""
        for db in self._open:
            db.close()
        self._open.clear()
        self._local = threading.local()
        self.stamps.close()

    # --- reading ---------------------------------------------------------------------------------------------

    def find(self, gun: Gun, role: str, *, version: int | None = None, sha256: str | None = None) -> File | None:
        """Return the current file of *role*, or any ever stored by its *version* or *sha256*."""
        query, which = _FIND, tuple[int | str, ...]()
        if version is not None:
            query, which = _FIND_VERSION, (version,)
        elif sha256 is not None:
            query, which = _FIND_SHA256, (sha256,)
        with _told(self._path):
            row = self._db().execute(query, (gun.text, role, *which)).fetchone()
        return _file(role, *row) if row else None

    def collection(self, gun: Gun) -> Collection:
        """Return the whole of a collection as of one moment; an empty one for a GUN nobody knows."""
        with self._transaction("BEGIN") as db:
            current = {row[0]: _file(*row) for row in db.execute(_ALL, (gun.text,))}
            newest = dict(db.execute(_NEWEST, (gun.text,)).fetchall())
            return Collection(revision=_revision(db, gun), files=current, newest=newest, keys=self._keys(db, gun))

    def keys(self, gun: Gun) -> tuple[ServerKey, ...]:
        """Return the server's keys for *gun*, those that have signed first."""
        with _told(self._path):
            return self._keys(self._db(), gun)

    def changes(
        self, gun: Gun | None, *, after: int | None = None, before: int | None = None, limit: int
    ) -> list[ChangeRecord]:
        """Return changes, oldest first: the next *limit* after an id, or the last *limit* before one."""
        last = _LARGEST if before is None else before
        where, order, bound = ("id < ?", "DESC", last) if after is None else ("id > ?", "ASC", after)
        whose, name = ("gun = ? AND ", (gun.text,)) if gun else ("", ())
        query = f"SELECT {_CHANGE} FROM change WHERE {whose}{where} ORDER BY id {order} LIMIT ?"  # noqa: S608 (constants)
        with _told(self._path):
            rows = self._db().execute(query, (*name, bound, limit)).fetchall()
        return [_change(*row) for row in sorted(rows)]

    # --- writing ---------------------------------------------------------------------------------------------

    def commit(self, gun: Gun, update: Update, revision: int) -> bool:
        """Store *update* durably if the collection is still at *revision*, else do nothing and return False."""
        with self._writing(gun) as db:
            if _revision(db, gun) != revision:
                return False
            for file in update.files:
                row = (gun.text, file.role, file.version, file.sha256, _micros(file.created))
                renew = None if file.renew is None else _micros(file.renew)
                db.execute("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, renew, file.raw))
                db.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", row[:3])
                if file.role == TIMESTAMP:
                    _record(db, file.created, gun, file.version, file.sha256, "update")
            for (role,) in db.execute("SELECT role FROM current WHERE gun = ?", (gun.text,)).fetchall():
                if role not in update.current:
                    db.execute("DELETE FROM current WHERE gun = ? AND role = ?", (gun.text, role))
            for public in update.used:
                db.execute("UPDATE key SET used = 1 WHERE gun = ? AND public = ?", (gun.text, public))
        return True

    def delete(self, gun: Gun, now: datetime) -> None:
        """Forget a collection and its keys, whether there is one or not."""
        with self._writing(gun) as db:
            if sum(db.execute(query, (gun.text,)).rowcount for query in _DELETE):
                _record(db, now, gun, 0, "", "deletion")

    def unused_key(self, gun: Gun, role: str, make: Callable[[], LocalSigner]) -> LocalSigner:
        """Return the key for *role* that has not signed yet; store the one that *make* returns if there is none."""
        with _told(self._path):
            row = self._db().execute(_UNUSED, (gun.text, role)).fetchone()
        if row is None:
            signer = make()
            plain = signer.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            sealed = _seal(self._cipher, plain, _context(gun.text, role, signer.public))
            with self._writing(gun) as db:
                columns = "INSERT OR IGNORE INTO key (gun, role, public, sealed) VALUES (?, ?, ?, ?)"
                db.execute(columns, (gun.text, role, signer.public, sealed))
                row = db.execute(_UNUSED, (gun.text, role)).fetchone()
        return self._signer(gun, role, *row)

    # --- connections -----------------------------------------------------------------------------------------

    def _db(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        try:
            return cast("sqlite3.Connection", self._local.db)
        except AttributeError:
            db = self._local.db = _connect(self._path)
            self._open.append(db)
            return db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with _told(self._path):
            db = self._db()
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _writing(self, gun: Gun) -> Iterator[sqlite3.Connection]:
        """Run one transaction as the only writer; once it is on disk, whatever was remembered of *gun* is stale."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db
        self.stamps.renew(gun)

    def _keys(self, db: sqlite3.Connection, gun: Gun) -> tuple[ServerKey, ...]:
        rows = db.execute("SELECT role, public, sealed FROM key WHERE gun = ? ORDER BY used DESC, id", (gun.text,))
        return tuple(ServerKey(role=role, signer=self._signer(gun, role, *row)) for role, *row in rows.fetchall())

    def _signer(self, gun: Gun, role: str, public: bytes, sealed: bytes) -> LocalSigner:
        try:
            plain = _unseal(self._cipher, sealed, _context(gun.text, role, public))
        except InvalidTag:
            raise FileError(str(self._path), f"the server's {role} key of {gun} was tampered with") from None
        return LocalSigner(cast("PrivateKey", load_der_private_key(plain, None)))


class Stamps:
    """A number for each GUN that changes with every change to its collection, seen by all processes at once.

    What a process remembers is good as long as the stamp that it was read under stands: a writer changes the stamp
    after its transaction is on disk and before it answers, so nobody who was told of a change is shown the state
    before it. Two GUNs may share a stamp; then each change forgets a little too much.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(descriptor, _STAMPS * _WIDTH)
            self._map = mmap.mmap(descriptor, _STAMPS * _WIDTH)
        finally:
            os.close(descriptor)
        self._map[:] = os.urandom(_STAMPS * _WIDTH)  # a writer may have been killed between its disk and its stamp

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()

    def slot(self, gun: Gun) -> slice:
        """Return where the stamp of *gun* stands, for :meth:`read`."""
        at = zlib.crc32(gun.text.encode()) % _STAMPS * _WIDTH
        return slice(at, at + _WIDTH)

    def read(self, slot: slice) -> bytes:
        """Return the stamp at *slot* as it is now."""
        return self._map[slot]

    def renew(self, gun: Gun) -> None:
        """Change the stamp of *gun*; random, so that it never returns to what it was."""
        self._map[self.slot(gun)] = os.urandom(_WIDTH)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")  # a commit is on disk before it is answered
    db.execute("PRAGMA trusted_schema = OFF")
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Run the numbered scripts that this database has not seen; each with its number, or not at all."""
    scripts = sorted(each.name for each in files("trustreg.io").joinpath("migrations").iterdir())
    for number, name in enumerate(scripts, 1):
        db.execute("BEGIN IMMEDIATE")  # and only then look: another process may be migrating too
        try:
            if _version(db) < number:
                for statement in _statements(files("trustreg.io").joinpath("migrations", name).read_text("utf-8")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
    if _version(db) > len(scripts):
        raise FileError(str(path), "it was written by a newer trustreg", "run that one, or name another folder")


def _version(db: sqlite3.Connection) -> int:
    return cast("int", db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _vault_key(db: sqlite3.Connection, path: Path, passphrase: str) -> bytes:
    """Return the key that private keys are sealed with; the first caller makes it."""
    secret = passphrase.encode("utf-8", "surrogateescape")
    query = "SELECT salt, n, r, p, sealed FROM vault"
    row = db.execute(query).fetchone()
    if row is None:
        salt, key = os.urandom(16), AESGCM.generate_key(256)
        sealed = _seal(AESGCM(_derive(secret, salt, *_SCRYPT)), key, _VAULT)
        db.execute("INSERT OR IGNORE INTO vault VALUES (1, ?, ?, ?, ?, ?)", (salt, *_SCRYPT, sealed))
        row = db.execute(query).fetchone()
    *scrypt, sealed = row
    try:
        return _unseal(AESGCM(_derive(secret, *scrypt)), sealed, _VAULT)
    except InvalidTag:
        raise PassphraseError(f"ring in {path.parent}", "it is sealed under another passphrase") from None


def _derive(secret: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(secret)


def _seal(cipher: AESGCM, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, plain, context)


def _unseal(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    return cipher.decrypt(sealed[:12], sealed[12:], context)


def _context(gun: str, role: str, public: bytes) -> bytes:
    """Bind a sealed key to its row: one moved to another row does not open."""
    return f"{gun}\0{role}\0".encode() + public


def _revision(db: sqlite3.Connection, gun: Gun) -> int:
    return cast("int", db.execute("SELECT max(id) FROM change WHERE gun = ?", (gun.text,)).fetchone()[0] or 0)


def _record(db: sqlite3.Connection, created: datetime, gun: Gun, version: int, sha256: str, category: str) -> None:
    columns = "INSERT INTO change (created, gun, version, sha256, category) VALUES (?, ?, ?, ?, ?)"
    db.execute(columns, (_micros(created), gun.text, version, sha256, category))


def _file(role: str, version: int, created: int, renew: int | None, raw: bytes) -> File:
    due = None if renew is None else _moment(renew)
    return File(role=role, version=version, raw=raw, created=_moment(created), renew=due)


def _change(number: int, created: int, gun: str, version: int, sha256: str, category: str) -> ChangeRecord:
    moment = _moment(created)
    return ChangeRecord(id=number, created=moment, gun=gun, version=version, sha256=sha256, category=category)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in our words what SQLite or the operating system says of *path*."""
    try:
        yield
    except sqlite3.Error as exc:
        text = str(exc)
        said = next((ours for theirs, ours in _SENTENCES.items() if theirs in text), text)
        raise FileError(str(path), said) from exc
    except OSError as exc:
        raise file_error(path, exc) from exc


_NAME: Final = "trust.db"
_PATIENCE = 10  # seconds to wait for another writer; a write takes milliseconds
_SCRYPT = (1 << 15, 8, 1)  # n, r, p: 32 MB and a tenth of a second
_VAULT = b"trustreg vault"
_STAMPS, _WIDTH = 4096, 8
_LARGEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIND_VERSION = "SELECT version, created, renew, raw FROM file WHERE gun = ? AND role = ? AND version = ?"
_FIND_SHA256 = "SELECT version, created, renew, raw FROM file WHERE gun = ? AND role = ? AND sha256 = ?"
_CURRENT = "FROM current c JOIN file f USING (gun, role, version) WHERE c.gun = ?"
_FIND = f"SELECT f.version, f.created, f.renew, f.raw {_CURRENT} AND c.role = ?"
_ALL = f"SELECT f.role, f.version, f.created, f.renew, f.raw {_CURRENT}"
_NEWEST = "SELECT role, max(version) FROM file WHERE gun = ? GROUP BY role"
_UNUSED = "SELECT public, sealed FROM key WHERE gun = ? AND role = ? AND used = 0"
_CHANGE = "id, created, gun, version, sha256, category"
_DELETE = ("DELETE FROM file WHERE gun = ?", "DELETE FROM current WHERE gun = ?", "DELETE FROM key WHERE gun = ?")
_SENTENCES = {
    "database is locked": "another process keeps it locked",
    "disk is full": "the disk is full",
    "disk I/O error": "the disk could not be read or written",
    "not a database": "this is not a database of trustreg",
    "malformed": "the database is damaged",
    "readonly": "it may not be written",
    "unable to open": "it cannot be opened",
}
