"""The folder that private keys live in: our own, or one shared with Docker or notary.

``private/<id>.pem`` is a key in our own form, ``private/<id>.key`` one in that of the Go client, ``private/<id>.uri``
says where a key lives that is not here. All three are read wherever they lie; the form of the folder decides what is
written. ``<id>`` is the Notary id of the plain public key. Keys that lie where older clients of Notary kept them, see
:mod:`trustreg.io.keyplaces`, are read there, and stay there until :meth:`FileKeyStore.migrate` is asked for.

Source: notary ``storage/filestore.go``, ``trustmanager/keystore.go``.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trustreg.errors import ExistsError, FileError, KeyFileError, KeyKindError, TrustregError
from trustreg.io.files import (
    file_error,
    locked,
    private_dir,
    read_bounded,
    remove_file,
    write_all,
    write_atomically,
)
from trustreg.io.keyplaces import KeyPlace, key_places, remove_empty, write_backup
from trustreg.io.passphrases import Passphrases
from trustreg.io.trustdir import Form, claim_store
from trustreg.names import SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.ports import HeldKey
from trustreg.sign import keyfile
from trustreg.sign.signer import LocalSigner, PrivateKey, PublicKey, Signer, describe

if TYPE_CHECKING:
    from trustreg.io.uri import UriSigner


class Migration(NamedTuple):
    """Keys that were moved, and the archive of the files that they were in."""

    backup: Path
    keys: tuple[HeldKey, ...]


class FileKeyStore:
    """The private keys in a trust directory, as :class:`trustreg.ports.KeyStore`; and what people do with them.

    A key that was opened, or added, stays open for as long as this object lives.

    Args:
        directory: The trust directory; made when the first key is written.
        form: What is written: see :func:`store_form`.
        passphrases: Where they come from.
        random: Returns so many random bytes.
        warn: Is told of files that are passed over, when keys are listed.
    """

    def __init__(
        self,
        directory: Path,
        form: Form,
        passphrases: Passphrases,
        *,
        random: keyfile.Random = secrets.token_bytes,
        warn: Callable[[TrustregError], None] = lambda _: None,
    ) -> None:
        self._directory, self._form, self._passphrases = directory, form, passphrases
        self._private = directory / "private"
        self._random, self._warn = random, warn
        self._open: dict[str, Signer] = {}
        self._passed_over: set[Path] = set()

    def keys(self, warn: Callable[[TrustregError], None] | None = None) -> tuple[HeldKey, ...]:
        """Return all keys, without opening any; a file that is no key is passed over, and *warn* told why, once.

        Of a key that is here twice it is the one that lies where today's clients look.

        Raises:
            FileError: The folder cannot be read, or holds more than anybody's.
        """
        found: dict[str, HeldKey] = {}
        for place in key_places(self._private):
            try:
                if place.id not in found:
                    found[place.id] = _held(place)
            except (FileError, KeyFileError) as exc:
                self._pass_over(place.path, exc, warn)
        return tuple(sorted(found.values(), key=lambda held: (held.role, held.gun or "", held.id)))

    def find(self, start: str) -> HeldKey:
        """Return the one key whose id begins with *start*.

        Raises:
            KeyFileError: There is none, or more than one.
        """
        found = [held for held in self.keys() if start and held.id.startswith(start.lower())]
        if len(found) != 1:
            problem = f"the ids of {len(found)} keys begin" if found else "no key has an id that begins"
            raise KeyFileError(str(self._private), f"{problem} with {start!r}")
        return found[0]

    def open(self, held: HeldKey) -> Signer:
        """Return a signer for *held*, asking for its passphrase where it needs one.

        Raises:
            PassphraseError: It is wrong or cannot be had.
            KeyFileError: The file is damaged, or holds another key than it says.
            FileError: The file cannot be read, or others can read it.
            SignerError: The key lives elsewhere, and there is no getting at it.
        """
        if held.id not in self._open:
            self._open[held.id] = self._foreign(held) if held.uri else LocalSigner(self._unlock(held))
        return self._open[held.id]

    def add(self, signer: Signer, role: str, gun: str | None) -> HeldKey:
        """Store the key of *signer* encrypted.

        Raises:
            ExistsError: It is here.
            KeyKindError: It is not in memory, so there is nothing to store.
            PassphraseError: There is none to encrypt it under.
            FileError: It could not be written.
        """
        private = _private(signer)
        keyid = keyfile.key_id(signer.kind, signer.public)
        self._require_new(keyid)
        passphrase = self._passphrases.choose(keyid, role, gun)
        return self._store(private, keyid, passphrase, role, gun)

    def add_uri(self, uri: str, public: PublicKey, role: str, gun: str | None) -> HeldKey:
        """Note that the private half of *public* is behind *uri*, after a trial signature.

        Raises:
            ExistsError: The key is here.
            SettingError, KeyKindError, SignerError, PassphraseError: See :class:`trustreg.io.uri.UriSigner`.
            FileError: It could not be written.
        """
        kind, raw = describe(public)
        keyid = keyfile.key_id(kind, raw)
        self._require_new(keyid)
        held = HeldKey(id=keyid, kind=kind, role=role, gun=gun, public=raw, where=self._path(keyid, ".uri"), uri=uri)
        signer = self._foreign(held)
        signer.sign(b"trustreg: a trial signature", keyid, signer.scheme)
        document = {"uri": uri, "public": keyfile.public_pem(kind, raw).decode(), "role": role, "gun": gun}
        self._write(held, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
        self._open[keyid] = signer
        return held

    def import_file(self, path: Path, role: str | None = None, gun: str | None = None) -> tuple[HeldKey, ...]:
        """Store every private key in a file: PEM of any kind, OpenSSH, or an export of the Go client.

        All of them or, where one cannot be opened or is here, none.

        Args:
            path: The file; its own passphrase is asked for as that of the file.
            role: What the keys are to sign for; None takes the file's word for each.
            gun: The collection; None takes the file's word for each.

        Raises:
            KeyFileError: It holds no key that could be used, or does not say for which role.
            PassphraseError: The file's is wrong, or there is none to encrypt a key under.
            ExistsError: One of the keys is here.
            FileError: It cannot be read, or the store cannot be written.
        """
        keys: dict[str, tuple[PrivateKey, str, str | None]] = {}
        for sealed in keyfile.read_key_file(read_bounded(path, keyfile.LARGEST_KEY_FILE), str(path)):
            private = self._unseal(sealed, role)
            keyid = _id(private)
            self._require_new(keyid)
            if not (wanted := role or sealed.role):
                raise KeyFileError(str(path), "it does not say for which role its key is to sign: name the role")
            keys[keyid] = private, wanted, gun or sealed.gun
        return self._store_all(keys)

    def export(self, held: HeldKey, form: Form) -> bytes:
        """Return *held* as a file in *form*, encrypted under a passphrase that is chosen for it.

        Raises:
            PassphraseError: That of the key is wrong, or there is none to encrypt it under.
            KeyKindError: The key lives elsewhere.
            KeyFileError, FileError: See :meth:`open`.
        """
        private = _private(self.open(held))
        passphrase = self._passphrases.choose(held.id, held.role, held.gun)
        return self._seal(private, passphrase, held.role, held.gun, form=form, path=held.id)

    def export_public(self, held: HeldKey) -> bytes:
        """Return the public key of *held* as PEM; keys in the Go client's form have to be opened for it."""
        key = held if held.public else self.open(held)
        return keyfile.public_pem(key.kind, key.public)

    def change_passphrase(self, held: HeldKey) -> None:
        """Encrypt *held* under another passphrase, in the form that it has.

        Raises:
            PassphraseError: The old one is wrong, or there is no new one.
            KeyKindError: The key lives elsewhere.
            KeyFileError, FileError: See :meth:`open`; the old file is as it was.
        """
        if held.uri:
            raise _elsewhere(held.id, held.kind)
        private = self._unlock(held)
        passphrase = self._passphrases.choose(held.id, held.role, held.gun, replacing=True)
        path = Path(held.where)
        raw = self._seal(private, passphrase, held.role, held.gun, form="notary" if path.suffix == ".key" else "own")
        with self._lock():
            write_atomically(path, raw)

    def remove(self, held: HeldKey) -> None:
        """Forget *held*, wherever else it lies, too; no complaint where it is gone already."""
        with self._lock():
            for place in self._places(held.id):
                remove_file(place.path)
        self._open.pop(held.id, None)

    def migrate(self, now: datetime) -> Migration | None:
        """Move the keys that lie where older clients of Notary kept them to where today's look.

        First all old files go into one archive; then today's files are written, in the form of the folder, and read
        back; then the old ones are removed. In Notary's form nothing is opened and each key keeps its passphrase. Of a
        key that lies in both places today's file stays as it is. A file that holds no key stays where it is, and is
        reported. Whenever this is interrupted, every key is in one of the places, and doing it again goes on.

        Returns:
            What was done; ``None`` where there was nothing to do.

        Raises:
            PassphraseError: In our own form every key is encrypted anew; one could not be opened.
            FileError: It could not be read or written, or not be read back as written; every old file is still there.
        """
        suffixes = {".key"} if self._form == "notary" else {".key", ".pem", ".uri"}
        todays: dict[str, KeyPlace] = {}
        old: dict[Path, bytes] = {}
        new: dict[str, bytes] = {}
        for place in key_places(self._private):
            if not place.old:
                if place.path.suffix in suffixes:
                    todays[place.id] = place
                continue
            try:
                held, raw = _held(todays.get(place.id, place)), read_bounded(place.path, keyfile.LARGEST_KEY_FILE)
                if place.id not in {*todays, *new}:
                    new[place.id] = self._migrated(held)
            except (FileError, KeyFileError) as exc:
                self._pass_over(place.path, exc)
            else:
                old[place.path] = raw
        if not old:
            return None
        files = {Path(self._path(keyid, _SUFFIX[self._form])): raw for keyid, raw in new.items()}
        with self._lock():
            backup = write_backup(self._directory, old, now)
            write_all({path: raw for path, raw in files.items() if not path.exists()})
            if any(read_bounded(path, len(raw)) != raw for path, raw in files.items()):
                raise FileError(str(self._private), "another process wrote the same keys at the same time", "try again")
            for path in old:
                remove_file(path)
            remove_empty(self._private)
        return Migration(backup, tuple(_held(KeyPlace(path, path.stem)) for path in files))

    def _migrated(self, held: HeldKey) -> bytes:
        """Return the file of today for the key in an old place."""
        if self._form == "notary":
            sealed = _sealed(Path(held.where))
            raw = keyfile.write_unopened(sealed, role=held.role, gun=held.gun)
            (again,) = keyfile.read_key_file(raw, held.where)
            if (again.role or "", again.gun, again.content) != (held.role, held.gun, sealed.content):
                raise KeyFileError(held.where, "its role and collection cannot be written into a key file")
            return raw
        private = self._unlock(held)
        passphrase = self._passphrases.choose(held.id, held.role, held.gun)
        return self._seal(private, passphrase, held.role, held.gun, form=self._form)

    def _pass_over(self, path: Path, error: TrustregError, warn: Callable[[TrustregError], None] | None = None) -> None:
        if path not in self._passed_over:
            (warn or self._warn)(error)
            self._passed_over.add(path)

    def _foreign(self, held: HeldKey) -> "UriSigner":
        from trustreg.io.uri import UriSigner

        public = keyfile.read_public(keyfile.public_pem(held.kind, held.public), held.where)
        return UriSigner(held.uri or "", public, partial(self._passphrases.secret, held.uri or ""))

    def _unlock(self, held: HeldKey) -> PrivateKey:
        path = Path(held.where)
        sealed = _sealed(path)
        _require_private(path)
        if sealed.encrypted:
            private = self._passphrases.unlock(held.id, held.role or None, held.gun, sealed.open)
        else:
            private = sealed.open()
        if _id(private) != held.id:
            raise KeyFileError(held.where, f"it holds key {_id(private)}, not the one it is named after")
        return private

    def _unseal(self, sealed: keyfile.SealedKey, role: str | None) -> PrivateKey:
        if not sealed.encrypted:
            return sealed.open()
        name = f"{sealed.source}#{sealed.path}" if sealed.path else sealed.source
        return self._passphrases.unlock(name, sealed.role or role, sealed.gun, sealed.open)

    def _require_new(self, keyid: str) -> None:
        if self._places(keyid):
            raise ExistsError(f"key {keyid}")

    def _places(self, keyid: str) -> list[KeyPlace]:
        return [place for place in key_places(self._private) if place.id == keyid]

    def _store(self, private: PrivateKey, keyid: str, passphrase: str, role: str, gun: str | None) -> HeldKey:
        if self._form == "notary" and role not in _ROLES_OF_ONE_GUN:
            gun = None  # as Go has it: a root or a delegation key may sign for many
        kind, public = describe(private.public_key())
        held = HeldKey(
            id=keyid, kind=kind, role=role, gun=gun, public=public, where=self._path(keyid, _SUFFIX[self._form])
        )
        self._write(held, self._seal(private, passphrase, role, gun, form=self._form))
        self._open[keyid] = LocalSigner(private)
        return held

    def _store_all(self, keys: Mapping[str, tuple[PrivateKey, str, str | None]]) -> tuple[HeldKey, ...]:
        chosen = {keyid: self._passphrases.choose(keyid, role, gun) for keyid, (_, role, gun) in keys.items()}
        stored: list[HeldKey] = []
        try:
            for keyid, (private, role, gun) in keys.items():
                stored.append(self._store(private, keyid, chosen[keyid], role, gun))
        except TrustregError:
            for held in stored:
                self.remove(held)
            raise
        return tuple(stored)

    def _seal(
        self, private: PrivateKey, passphrase: str, role: str, gun: str | None, *, form: Form, path: str | None = None
    ) -> bytes:
        if form == "own":
            return keyfile.write_own(private, passphrase, role=role, gun=gun, random=self._random)
        return keyfile.write_notary(private, passphrase, role=role, gun=gun, random=self._random, path=path)

    def _write(self, held: HeldKey, raw: bytes) -> None:
        claim_store(self._directory, self._form)
        private_dir(self._private)
        with self._lock():
            self._require_new(held.id)
            write_atomically(Path(held.where), raw)

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self._private / ".lock")

    def _path(self, keyid: str, suffix: str) -> str:
        return str(self._private / f"{keyid}{suffix}")


def _held(place: KeyPlace) -> HeldKey:
    if place.path.suffix == ".uri":
        return _reference(place.path)
    place.require_sayable()
    sealed = _sealed(place.path)
    return HeldKey(
        id=place.id,
        kind=sealed.kind,
        role=place.role or sealed.role or "",
        gun=place.gun or sealed.gun,
        public=sealed.public,
        where=str(place.path),
    )


def _reference(path: Path) -> HeldKey:
    try:
        document = json.loads(read_bounded(path, _LARGEST_REFERENCE))
    except (ValueError, RecursionError) as exc:
        raise KeyFileError(str(path), "it is no JSON") from exc
    if not isinstance(document, dict) or set(document) != {"uri", "public", "role", "gun"}:
        raise KeyFileError(str(path), "it has to be an object of uri, public, role and gun")
    uri, pem, role, gun = (document[name] for name in ("uri", "public", "role", "gun"))
    if not all(isinstance(text, str) for text in (uri, pem, role, "" if gun is None else gun)):
        raise KeyFileError(str(path), "its uri, public, role and gun have to be text")
    kind, public = describe(keyfile.read_public(pem.encode("utf-8", "replace"), str(path)))
    if keyfile.key_id(kind, public) != path.stem:
        raise KeyFileError(str(path), "its public key is not the one it is named after")
    return HeldKey(id=path.stem, kind=kind, role=role, gun=gun, public=public, where=str(path), uri=uri)


def _sealed(path: Path) -> keyfile.SealedKey:
    keys = keyfile.read_key_file(read_bounded(path, keyfile.LARGEST_KEY_FILE), str(path))
    if len(keys) > 1:
        raise KeyFileError(str(path), f"it holds {len(keys)} keys, and one was due")
    return keys[0]


def _require_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        raise file_error(path, exc) from exc
    if mode & 0o077:
        raise FileError(str(path), "other users may read or write this private key", f"chmod 600 {path}")


def _private(signer: Signer) -> PrivateKey:
    if not isinstance(signer, LocalSigner):
        raise _elsewhere(keyfile.key_id(signer.kind, signer.public), signer.kind)
    return signer.private


def _elsewhere(keyid: str, kind: str) -> KeyKindError:
    return KeyKindError(keyid, kind, "its private half is not here")


def _id(private: PrivateKey) -> str:
    return keyfile.key_id(*describe(private.public_key()))


_LARGEST_REFERENCE = 65_536  # bytes
_SUFFIX: Mapping[Form, str] = {"own": ".pem", "notary": ".key"}
_ROLES_OF_ONE_GUN = frozenset({TARGETS, SNAPSHOT, TIMESTAMP})
