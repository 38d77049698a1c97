"""Keys are found where older clients kept them, read there, and moved only by who asks for it, without a loss."""

import os
import stat
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.old_keys import Era, lay
from trustreg.errors import ExistsError, FileError, PassphraseError, TrustregError, shown
from trustreg.io import keyplaces, keystore
from trustreg.io.files import locked
from trustreg.io.keystore import FileKeyStore
from trustreg.io.passphrases import Passphrases
from trustreg.io.trustdir import Form, claim_store, store_form
from trustreg.sign import keyfile
from trustreg.sign.signer import LocalSigner, describe
from vectors.make import keys as maker

GUN = "registry.example:5000/team/app"
NOW = datetime(2026, 11, 24, 13, 42, tzinfo=UTC)
P256, P384, RSA = maker.P256, maker.P384, maker.RSA
IDS = {name: keyfile.key_id(*describe(getattr(maker, name).public_key())) for name in ("P256", "P384", "RSA")}


@pytest.fixture(autouse=True)
def _less_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys in a hundredth of the time; what that protects is nothing."""
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))


def store(
    directory: Path, form: Form = "notary", warn: Callable[[TrustregError], None] = lambda _: None
) -> FileKeyStore:
    """Return a new store, as another process would have it."""
    return FileKeyStore(directory, form, Passphrases({"TRUSTREG_PASSPHRASE": "secret"}), warn=warn)


STEPS = 1 + 3 + 3 + 5  # the archive, the new files, the old files, their folders


def laid(trust: Path, era: Era = "0.1") -> dict[Path, bytes]:
    """Lay a key of each role, one of them not encrypted; return all files by path."""
    lay(trust, RSA, "root", era=era)
    lay(trust, P256, "targets", GUN, era=era)
    lay(trust, P384, "snapshot", GUN, era=era, passphrase=None)
    return content(trust)


def content(trust: Path) -> dict[Path, bytes]:
    """Return what is in *trust*, but for lock files."""
    return {path: path.read_bytes() for path in trust.rglob("*") if path.is_file() and path.name != ".lock"}


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["0.1", "0.3"])
def test_keys_are_read_where_they_lie(tmp_path: Path, era: Era) -> None:
    """
    With role and collection, encrypted or not; they sign; the folder counts as shared; and no file changes.
    """
    before = laid(tmp_path, era)
    kept = store(tmp_path, store_form(tmp_path))

    keys = kept.keys()

    assert [(held.role, held.gun, held.id) for held in keys] == [
        ("root", None, IDS["RSA"]),
        ("snapshot", GUN, IDS["P384"]),
        ("targets", GUN, IDS["P256"]),
    ]
    assert [Path(held.where) in before for held in keys] == [True] * 3
    assert [kept.open(held).sign(b"x", held.id).keyid for held in keys] == [held.id for held in keys]
    assert content(tmp_path) == before


def test_a_delegation_key_has_no_collection(tmp_path: Path) -> None:
    """
    It lies in the folder itself, with the role in its headers.
    """
    lay(tmp_path, P256, "targets/releases", era="0.3")

    assert [(held.role, held.gun) for held in store(tmp_path).keys()] == [("targets/releases", None)]


def test_a_key_in_two_places_is_one(tmp_path: Path) -> None:
    """
    The file of today wins, unless it holds no key; and the key is not to be added again.
    """
    lay(tmp_path, P256, "targets", GUN)
    lay(tmp_path, P256, "targets", GUN, era="0.3")
    with pytest.raises(ExistsError):
        store(tmp_path).add(LocalSigner(P256), "targets", GUN)
    today = tmp_path / "private" / f"{IDS['P256']}.key"
    today.write_bytes(keyfile.write_notary(P256, "secret", role="targets", gun="other", random=os.urandom))

    assert [(held.where, held.gun) for held in store(tmp_path).keys()] == [(str(today), "other")]

    today.write_bytes(b"")
    assert [held.gun for held in store(tmp_path).keys()] == [GUN]


def test_a_removed_key_is_gone_from_everywhere(tmp_path: Path) -> None:
    """
    It does not come back from an older place.
    """
    lay(tmp_path, P256, "targets", GUN)
    lay(tmp_path, P256, "targets", GUN, era="0.3")
    kept = store(tmp_path)

    kept.remove(kept.keys()[0])

    assert kept.keys() == ()
    assert content(tmp_path) == {}


def test_a_passphrase_is_changed_in_its_place(tmp_path: Path) -> None:
    """
    The file stays where it is.
    """
    path = lay(tmp_path, P256, "targets", GUN)
    given = Passphrases({"TRUSTREG_PASSPHRASE": "secret", "TRUSTREG_NEW_PASSPHRASE": "other"})
    kept = FileKeyStore(tmp_path, "notary", given)

    kept.change_passphrase(kept.keys()[0])

    (held,) = FileKeyStore(tmp_path, "notary", Passphrases({"TRUSTREG_PASSPHRASE": "other"})).keys()
    assert (held.where, held.role, held.gun) == (str(path), "targets", GUN)
    with pytest.raises(PassphraseError):
        store(tmp_path).open(held)


def test_strange_names_are_passed_over(tmp_path: Path) -> None:
    """
    Links, other names, folders and sockets that are called like keys; text that a terminal would obey is said of.
    """
    real = lay(tmp_path, P256, "targets", GUN)
    folder = real.parent
    (folder / f"{IDS['P384']}_targets.key").symlink_to(real)
    (folder / f"{IDS['RSA']}_targets.key").mkdir()
    (folder / f"{IDS['P256'].upper()}_targets.key").write_bytes(real.read_bytes())
    (folder / "releases.key").write_bytes(real.read_bytes())
    (tmp_path / "private" / "tuf_keys" / "link").symlink_to(folder)
    os.mkfifo(folder / f"{'0' * 64}.key")
    obeyed = lay(tmp_path, P384, "targets", "evil\x1b[2J\nroot")
    told: list[TrustregError] = []

    keys = store(tmp_path, warn=told.append).keys()

    assert [held.where for held in keys] == [str(real)]
    assert [str(error) for error in told] == [
        f"{shown(str(obeyed))}: its place holds characters that have no place in a name"
    ]


def test_a_link_instead_of_the_folder(tmp_path: Path) -> None:
    """
    It is passed over, wherever it leads.
    """
    lay(tmp_path / "elsewhere", P256, "root")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "root_keys").symlink_to(tmp_path / "elsewhere" / "private" / "root_keys")

    assert store(tmp_path).keys() == ()


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    """
    It is not read, and does not hide others.
    """
    laid(tmp_path)
    huge = tmp_path / "private" / "tuf_keys" / f"{'1' * 64}.key"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    told: list[TrustregError] = []

    assert len(store(tmp_path, warn=told.append).keys()) == 3
    assert [str(error) for error in told] == [f"{huge}: it is longer than the 262144 bytes that it may have"]


@pytest.mark.parametrize("where", ["private", "private/tuf_keys/a/b", "private/root_keys"])
def test_more_files_than_anybody_has(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    They are counted before they are looked at, and refused; whatever they are called, and wherever.
    """
    monkeypatch.setattr(keyplaces, "_MOST", 20)
    laid(tmp_path)
    (tmp_path / where).mkdir(parents=True, exist_ok=True)
    for number in range(20):
        (tmp_path / where / str(number)).touch()

    with pytest.raises(FileError, match="more than 20 files where keys are kept"):
        store(tmp_path).keys()


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is never taken for an empty one.
    """
    laid(tmp_path)
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "team":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(FileError, match="team: permission denied"):
        store(tmp_path).keys()


# --- migrating --------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["0.1", "0.3"])
def test_keys_are_moved_when_asked(tmp_path: Path, era: Era) -> None:
    """
    No passphrase is needed; roles, collections and passphrases stay; the old files are in an archive; again is nothing.
    """
    before = laid(tmp_path, era)
    certificate = tmp_path / "trusted_certificates" / GUN / "x.crt"
    certificate.parent.mkdir(parents=True)
    certificate.write_bytes(b"certificate")
    listed = [(held.id, held.role, held.gun) for held in store(tmp_path).keys()]

    moved = FileKeyStore(tmp_path, "notary", Passphrases({})).migrate(NOW)

    assert moved is not None
    keys = store(tmp_path).keys()
    assert [(held.id, held.role, held.gun) for held in keys] == listed
    assert {held.where for held in keys} == {str(tmp_path / "private" / f"{keyid}.key") for keyid in IDS.values()}
    assert {held.id for held in moved.keys} == set(IDS.values())
    assert [store(tmp_path).open(held).sign(b"x", held.id).keyid for held in keys] == [held.id for held in keys]
    assert moved.backup == tmp_path / "keys-20261124T134200Z.tar"
    assert stat.S_IMODE(moved.backup.stat().st_mode) == 0o600
    with tarfile.open(moved.backup) as tar:
        packed = {tmp_path / member.name: tar.extractfile(member) for member in tar}
        assert {path: file.read() for path, file in packed.items() if file} == before
        assert {member.mode for member in tar} == {0o600}
    assert sorted(path.name for path in (tmp_path / "private").iterdir() if path.is_dir()) == []
    assert certificate.read_bytes() == b"certificate"
    after = content(tmp_path)
    assert store(tmp_path).migrate(NOW) is None
    assert content(tmp_path) == after


def test_nothing_is_tidied_up_behind_a_link(tmp_path: Path) -> None:
    """
    A folder that is a link is none of the old ones, and what is empty there stays.
    """
    lay(tmp_path, RSA, "root")
    (tmp_path / "elsewhere" / "empty").mkdir(parents=True)
    (tmp_path / "private" / "tuf_keys").symlink_to(tmp_path / "elsewhere")

    assert store(tmp_path).migrate(NOW) is not None
    assert (tmp_path / "elsewhere" / "empty").is_dir()


def test_in_our_own_form_keys_are_encrypted_anew(tmp_path: Path) -> None:
    """
    Those that were not encrypted, too.
    """
    claim_store(tmp_path, "own")
    laid(tmp_path)

    moved = store(tmp_path, "own").migrate(NOW)

    assert moved is not None
    assert {Path(held.where).suffix for held in moved.keys} == {".pem"}
    assert {held.public for held in moved.keys} == {store(tmp_path).open(held).public for held in moved.keys}
    assert {(held.role, held.gun) for held in moved.keys} == {("root", None), ("targets", GUN), ("snapshot", GUN)}
    assert b"\nPRIVATE KEY" not in b"".join(path.read_bytes() for path in tmp_path.glob("private/*"))


def test_in_our_own_form_nothing_moves_without_a_passphrase(tmp_path: Path) -> None:
    """
    One key that cannot be opened, and all stays as it was.
    """
    claim_store(tmp_path, "own")
    before = laid(tmp_path) | content(tmp_path)

    with pytest.raises(PassphraseError):
        FileKeyStore(tmp_path, "own", Passphrases({})).migrate(NOW)

    assert content(tmp_path) == before


def test_a_file_of_today_is_left_as_it_is(tmp_path: Path) -> None:
    """
    The older one is in the archive, and gone.
    """
    old = lay(tmp_path, P256, "targets", GUN)
    today = tmp_path / "private" / f"{IDS['P256']}.key"
    today.write_bytes(keyfile.write_notary(P256, "secret", role="targets", gun="other", random=os.urandom))
    before = today.read_bytes()

    moved = store(tmp_path).migrate(NOW)

    assert moved is not None
    assert (moved.keys, today.read_bytes(), old.exists()) == ((), before, False)
    with tarfile.open(moved.backup) as tar:
        assert tar.getnames() == [old.relative_to(tmp_path).as_posix()]


def test_a_file_of_ours_does_not_stand_for_one_of_theirs(tmp_path: Path) -> None:
    """
    In a shared folder Notary's clients keep every key that they had.
    """
    lay(tmp_path, P256, "targets", GUN)
    ours = keyfile.write_own(P256, "secret", role="targets", gun=GUN, random=os.urandom)
    (tmp_path / "private" / f"{IDS['P256']}.pem").write_bytes(ours)

    moved = store(tmp_path).migrate(NOW)

    assert moved is not None
    assert [Path(held.where).name for held in moved.keys] == [f"{IDS['P256']}.key"]


@pytest.mark.parametrize("raw", [b"", b"\xff" * 300_000], ids=["no key", "too long"])
def test_what_is_no_key_stays(tmp_path: Path, raw: bytes) -> None:
    """
    Be it the old file or that of today. It is said, and in no way of the others.
    """
    laid(tmp_path)
    (tmp_path / "private" / f"{IDS['P256']}.key").write_bytes(raw)
    odd = tmp_path / "private" / "tuf_keys" / f"{'2' * 64}.key"
    odd.write_bytes(raw)
    told: list[TrustregError] = []

    moved = store(tmp_path, warn=told.append).migrate(NOW)

    assert moved is not None
    assert {held.id for held in moved.keys} == {IDS["RSA"], IDS["P384"]}
    assert odd.read_bytes() == raw
    assert [held.id for held in store(tmp_path).keys() if held.role == "targets"] == [IDS["P256"]]
    assert len(told) == 2


def test_an_archive_is_never_replaced(tmp_path: Path) -> None:
    """
    Twice within a second, there are two.
    """
    laid(tmp_path)
    store(tmp_path).migrate(NOW)
    lay(tmp_path, P256, "targets", GUN)

    moved = store(tmp_path).migrate(NOW)

    assert moved is not None
    assert moved.backup.name == "keys-20261124T134200Z-2.tar"


@pytest.mark.parametrize("form", ["own", "notary"])
@pytest.mark.parametrize("step", range(STEPS))
def test_a_migration_that_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, form: Form) -> None:
    """
    Before each rename and each removal in turn: every key is there and signs, and the next attempt ends it.
    """
    if form == "own":
        claim_store(tmp_path, "own")
    laid(tmp_path)
    done = 0

    def counted(act: Callable[..., object]) -> Callable[..., object]:
        def acting(*arguments: object, **more: object) -> object:
            nonlocal done
            if done == step:
                raise KeyboardInterrupt
            done += 1
            return act(*arguments, **more)

        return acting

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path, form).migrate(NOW)

    kept = store(tmp_path, form)
    assert {kept.open(held).sign(b"x", held.id).keyid for held in kept.keys()} == set(IDS.values())
    kept.migrate(NOW)
    assert {Path(held.where).parent for held in kept.keys()} == {tmp_path / "private"}
    assert kept.migrate(NOW) is None


def test_a_full_disk_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No archive, no migration.
    """
    before = laid(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(FileError, match="the disk is full"):
        store(tmp_path).migrate(NOW)

    assert content(tmp_path) == before


def test_what_is_not_read_back_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The archive or a key: no old file is removed.
    """
    before = laid(tmp_path)
    for module, problem in ((keyplaces, "it is not what was written"), (keystore, "another process wrote")):

        def read(path: Path, _: int) -> bytes:
            return b"" if path.parent in {tmp_path, tmp_path / "private"} else path.read_bytes()

        with monkeypatch.context() as patch:
            patch.setattr(module, "read_bounded", read)
            with pytest.raises(TrustregError, match=problem):
                store(tmp_path).migrate(NOW)
        assert content(tmp_path).items() >= before.items()


def test_a_migration_waits_for_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It holds the lock that every writer of keys holds.
    """
    laid(tmp_path)
    monkeypatch.setattr(keystore, "locked", lambda path: locked(path, patience=0.0))

    with locked(tmp_path / "private" / ".lock"), pytest.raises(FileError, match="another process has held this lock"):
        store(tmp_path).migrate(NOW)
