"""The key store keeps keys encrypted, lists them closed, opens the right one, and loses none."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trustreg.errors import (
    ExistsError,
    FileError,
    KeyFileError,
    KeyKindError,
    PassphraseError,
    SettingError,
    SignerError,
    TrustregError,
)
from trustreg.io import files
from trustreg.io.keystore import FileKeyStore
from trustreg.io.passphrases import Passphrases
from trustreg.io.trustdir import Form, claim_store, store_form
from trustreg.metadata import Signature
from trustreg.sign import keyfile
from trustreg.sign.signer import LocalSigner, describe
from vectors.make import keys as maker

GUN = "docker.io/library/alpine"
SECRET = {"TRUSTREG_PASSPHRASE": "secret"}
FORMS: tuple[Form, ...] = ("own", "notary")
SIGNERS = {name: LocalSigner(getattr(maker, name)) for name in ("ED25519", "P256", "P384", "RSA")}


def store(directory: Path, form: Form = "own", environ: dict[str, str] | None = None, **more: object) -> FileKeyStore:
    """Return a new store, as another process would have it."""
    return FileKeyStore(directory, form, Passphrases(SECRET if environ is None else environ), **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _less_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys in a hundredth of the time; what that protects is nothing."""
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))


# --- which form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (Path, "own"),
        (Path.mkdir, "own"),
        (lambda d: (d / "private").mkdir(parents=True), "notary"),
        (lambda d: (d / "tuf").mkdir(parents=True), "notary"),
        (lambda d: claim_store(d) and (d / "private").mkdir(), "own"),
    ],
    ids=["absent", "empty", "private", "tuf", "marked"],
)
def test_the_form_of_a_folder(tmp_path: Path, make: Callable[[Path], object], form: Form) -> None:
    """
    What Docker or notary have used stays theirs; what is new or marked is ours.
    """
    make(tmp_path / "trust")

    assert store_form(tmp_path / "trust") == form


def test_the_places_of_the_go_clients(tmp_path: Path) -> None:
    """
    They may not be there yet, and are theirs all the same.
    """
    assert store_form(tmp_path / ".docker" / "trust") == "notary"
    assert store_form(tmp_path / ".notary") == "notary"
    assert store_form(tmp_path / "trust") == "own"


def test_a_folder_of_a_newer_trustreg(tmp_path: Path) -> None:
    """
    It is not touched.
    """
    (tmp_path / "trustreg-store").write_text("2\n")

    with pytest.raises(FileError, match="its layout is that of a newer trustreg"):
        store_form(tmp_path)


def test_a_claimed_folder_is_marked_once(tmp_path: Path) -> None:
    """
    Ours are marked, theirs never.
    """
    assert claim_store(tmp_path / "a") == "own"
    assert claim_store(tmp_path / "a") == "own"
    assert (tmp_path / "a" / "trustreg-store").read_text() == "1\n"
    assert claim_store(tmp_path / ".notary") == "notary"
    assert list((tmp_path / ".notary").iterdir()) == []


# --- adding and opening -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_a_key_comes_back(tmp_path: Path, signer: LocalSigner, form: Form) -> None:
    """
    Another process lists it without its passphrase and signs with it, in both forms.
    """
    trust = tmp_path / "trust"
    added = store(trust, form).add(signer, "targets", GUN)
    kept = store(trust, form)

    (held,) = kept.keys()

    assert (held.id, held.role, held.gun) == (added.id, "targets", GUN)
    assert held.id == keyfile.key_id(signer.kind, signer.public)
    if form == "own":
        assert held == added
    assert kept.open(held).public == signer.public
    assert kept.open(held) is kept.open(held)


def test_everything_is_private(tmp_path: Path) -> None:
    """
    Folders are 0700, key files 0600, and only the form's own files are there.
    """
    trust = tmp_path / "trust"
    held = store(trust).add(SIGNERS["ED25519"], "targets", GUN)

    modes = {str(p.relative_to(trust)): stat.S_IMODE(p.stat().st_mode) for p in [trust, *trust.rglob("*")]}

    assert modes == {
        ".": 0o700,
        "private": 0o700,
        f"private/{held.id}.pem": 0o600,
        "private/.lock": 0o600,
        "trustreg-store": 0o644,
    }


def test_what_lies_there_shows_no_secret(tmp_path: Path) -> None:
    """
    Neither the seed nor the passphrase is anywhere in the folder, nor in the repr of anything.
    """
    kept = store(tmp_path / "trust")
    held = kept.add(SIGNERS["ED25519"], "targets", GUN)
    seed = maker.ED25519.private_bytes_raw()

    raw = Path(held.where).read_bytes()

    assert seed not in raw
    assert b"secret" not in raw
    assert repr(seed) not in repr(vars(kept))


def test_go_writes_the_gun_of_three_roles_only(tmp_path: Path) -> None:
    """
    A root key signs for many collections, a delegation key too.
    """
    kept = store(tmp_path / "trust", "notary")

    held = [
        kept.add(SIGNERS[n], role, GUN) for n, role in (("P256", "root"), ("P384", "targets/a"), ("RSA", "snapshot"))
    ]

    assert [key.gun for key in held] == [None, None, GUN]
    listed = kept.keys()
    assert {(key.role, key.gun) for key in listed} == {("root", None), ("targets/a", None), ("snapshot", GUN)}


def test_a_key_is_added_once(tmp_path: Path) -> None:
    """
    Whatever the form it is here in.
    """
    store(tmp_path / "trust", "notary").add(SIGNERS["P256"], "root", None)

    with pytest.raises(ExistsError, match="exists already"):
        store(tmp_path / "trust").add(SIGNERS["P256"], "root", None)


def test_two_keys_may_be_added_in_turn_under_one_lock(tmp_path: Path) -> None:
    """
    Whoever waits for the lock finds out that the key is here by now.
    """
    kept = store(tmp_path / "trust")
    kept.add(SIGNERS["P256"], "root", None)

    with pytest.raises(ExistsError):
        kept._write(kept.find("77"), b"")


def test_without_a_passphrase_nothing_is_written(tmp_path: Path) -> None:
    """
    Nor is the folder made.
    """
    with pytest.raises(PassphraseError):
        store(tmp_path / "trust", environ={}).add(SIGNERS["P256"], "root", None)

    assert not (tmp_path / "trust").exists()


def test_a_key_elsewhere_cannot_be_added(tmp_path: Path) -> None:
    """
    There is nothing to write down.
    """

    class Elsewhere:
        kind, public = SIGNERS["P256"].kind, SIGNERS["P256"].public

        def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
            raise AssertionError(payload, keyid, scheme)

    with pytest.raises(KeyKindError, match="its private half is not here"):
        store(tmp_path).add(Elsewhere(), "root", None)


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    """
    The message names the key, and where the wrong passphrase came from.
    """
    held = store(tmp_path).add(SIGNERS["P256"], "root", None)

    with pytest.raises(PassphraseError) as caught:
        store(tmp_path, environ={"NOTARY_ROOT_PASSPHRASE": "other"}).open(held)

    assert str(caught.value) == f"key {held.id}: the passphrase is wrong (from NOTARY_ROOT_PASSPHRASE)"


def test_a_file_named_after_another_key(tmp_path: Path) -> None:
    """
    A file that was moved, or planted, signs nothing.
    """
    kept = store(tmp_path, "notary")
    held = kept.add(SIGNERS["P256"], "root", None)
    other = Path(held.where).with_name("0" * 64 + ".key")
    Path(held.where).rename(other)

    with pytest.raises(KeyFileError, match=f"it holds key {held.id}, not the one it is named after"):
        store(tmp_path).open(store(tmp_path).keys()[0])


def test_a_public_key_that_was_changed(tmp_path: Path) -> None:
    """
    The list can be lied to; opening finds out.
    """
    held = store(tmp_path).add(SIGNERS["P256"], "root", None)
    path = Path(held.where)
    path.write_bytes(path.read_bytes().replace(b"public: MFkw", b"public: MFkx"))

    with pytest.raises(KeyFileError, match="the public key beside the private key is that of another key"):
        store(tmp_path).open(store(tmp_path).keys()[0])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """
    It is refused with the remedy, as ssh does.
    """
    held = store(tmp_path).add(SIGNERS["P256"], "root", None)
    Path(held.where).chmod(mode)

    with pytest.raises(FileError, match="other users may read or write this private key") as caught:
        store(tmp_path).open(held)

    assert caught.value.remedy == f"chmod 600 {held.where}"


def test_a_key_that_is_not_encrypted(tmp_path: Path) -> None:
    """
    Somebody put it there: it is used, and changing its passphrase encrypts it.
    """
    kept = store(tmp_path, environ={"TRUSTREG_NEW_PASSPHRASE": "secret"})
    keyid = keyfile.key_id(*describe(maker.P256.public_key()))
    (tmp_path / "private").mkdir()
    path = tmp_path / "private" / f"{keyid}.key"
    path.write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(maker.P256), role="root"))
    path.chmod(0o600)

    (held,) = kept.keys()

    assert kept.open(held).public == SIGNERS["P256"].public
    kept.change_passphrase(held)
    assert b"ENCRYPTED" in path.read_bytes()
    assert store(tmp_path).open(held).public == SIGNERS["P256"].public


# --- listing ------------------------------------------------------------------------------------------


def test_an_absent_folder_holds_no_key(tmp_path: Path) -> None:
    """
    That is an answer, not an error.
    """
    assert store(tmp_path / "trust").keys() == ()


def test_a_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """
    It is passed over with a warning; what is no key file by its name, without.
    """
    warnings: list[TrustregError] = []
    kept = store(tmp_path, warn=warnings.append)
    held = kept.add(SIGNERS["P256"], "root", None)
    private = tmp_path / "private"
    (private / ("1" * 64 + ".key")).write_bytes(b"")
    (private / ("2" * 64 + ".pem")).mkdir()
    (private / ("3" * 64 + ".uri")).write_text("{}")
    os.mkfifo(private / ("4" * 64 + ".key"))
    (private / "notes.txt").write_bytes(b"")
    (private / "root_keys").mkdir()
    (private / ("5" * 64 + ".key")).write_bytes(maker._recorded("notary-export"))

    assert kept.keys() == (held,)
    assert [str(warning).rpartition(": ")[2] for warning in warnings] == [
        "it holds no PEM block, and no private key",
        "it is a folder, not a file",
        "it has to be an object of uri, public, role and gun",
        "it is a pipe, not a file",
        "it holds 4 keys, and one was due",
    ]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """
    One sentence, in reading and in writing.
    """
    (tmp_path / "private").write_bytes(b"")

    with pytest.raises(FileError, match="a part of its path is not a folder"):
        store(tmp_path).keys()
    with pytest.raises(FileError, match="a part of its path is not a folder"):
        store(tmp_path).add(SIGNERS["P256"], "root", None)


def test_a_key_is_found_by_how_its_id_begins(tmp_path: Path) -> None:
    """
    As long as that says which.
    """
    kept = store(tmp_path)
    held = kept.add(SIGNERS["P256"], "root", None)
    kept.add(SIGNERS["ED25519"], "targets", GUN)

    assert kept.find(held.id) == kept.find(held.id[:6].upper()) == held
    for start, problem in (("", "no key has"), ("fffffff", "no key has an id that begins with 'fffffff'")):
        with pytest.raises(KeyFileError, match=problem):
            kept.find(start)


def test_an_ambiguous_beginning(tmp_path: Path) -> None:
    """
    It is not guessed.
    """
    (tmp_path / "private").mkdir()
    for last in "ab":
        (tmp_path / "private" / ("0" * 63 + last + ".key")).write_bytes(maker._recorded("notary-root"))

    with pytest.raises(KeyFileError, match="the ids of 2 keys begin with '00'"):
        store(tmp_path).find("00")


# --- import and export --------------------------------------------------------------------------------


def test_an_export_of_go_is_imported_whole(tmp_path: Path) -> None:
    """
    Four keys, each under the passphrase of its role, with the roles and GUN they say.
    """
    environ = {
        "NOTARY_ROOT_PASSPHRASE": "root-pass",
        "NOTARY_TARGETS_PASSPHRASE": "targets-pass",
        "NOTARY_SNAPSHOT_PASSPHRASE": "snapshot-pass",
        "NOTARY_DELEGATION_PASSPHRASE": "delegation-pass",
    }
    export = tmp_path / "export.pem"
    export.write_bytes(maker._recorded("notary-export"))

    held = store(tmp_path / "trust", environ=environ).import_file(export)

    assert {(key.role, key.gun, key.kind) for key in held} == {
        ("root", None, "ecdsa"),
        ("targets", GUN, "rsa"),
        ("snapshot", GUN, "ecdsa"),
        ("targets/releases", None, "ecdsa"),
    }
    kept = store(tmp_path / "trust", environ=environ)
    listed = kept.keys()
    assert {kept.open(key).public for key in listed} == {key.public for key in held}


def test_an_import_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the disk is full after the first key, the first is taken back.
    """
    keys = tmp_path / "keys.pem"
    keys.write_bytes(maker._recorded("openssl-rsa") + maker._pem("PRIVATE KEY", maker._pkcs8(maker.ED25519)) * 2)
    kept = store(tmp_path / "trust")
    written: list[Path] = []

    def write(path: Path, data: bytes, mode: int = 0o600) -> None:
        if path.suffix == ".pem" and len(written) == 1:
            raise FileError(str(path), "the disk is full")
        files.write_atomically(path, data, mode)
        written.extend([path] if path.suffix == ".pem" else [])

    with monkeypatch.context() as patch:
        patch.setattr("trustreg.io.keystore.write_atomically", write)
        with pytest.raises(FileError, match="the disk is full"):
            kept.import_file(keys, "targets", GUN)

    assert kept.keys() == ()
    assert len(kept.import_file(keys, "targets", GUN)) == 2


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (maker._recorded("openssl-rsa"), "it does not say for which role its key is to sign: name the role"),
        (maker._recorded("openssl-public"), "it holds a PUBLIC KEY, and no private key"),
        (b"\0" * 300_000, "it is longer than the 262144 bytes that it may have"),
    ],
    ids=["no role", "public", "long"],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, raw: bytes, problem: str) -> None:
    """
    One sentence, and no folder is made.
    """
    (tmp_path / "a.pem").write_bytes(raw)

    with pytest.raises((KeyFileError, FileError)) as caught:
        store(tmp_path / "trust").import_file(tmp_path / "a.pem")

    assert str(caught.value) == f"{tmp_path / 'a.pem'}: {problem}"
    assert not (tmp_path / "trust").exists()


def test_a_folder_cannot_be_imported(tmp_path: Path) -> None:
    """
    A key file that is a directory is said to be one.
    """
    with pytest.raises(FileError, match="it is a folder, not a file"):
        store(tmp_path).import_file(tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("exported", FORMS)
def test_what_is_exported_can_be_imported(tmp_path: Path, form: Form, exported: Form) -> None:
    """
    Between any two forms, under a passphrase of its own, with role and GUN.
    """
    held = store(tmp_path / "a", form).add(SIGNERS["P256"], "targets", GUN)
    away = {"TRUSTREG_NEW_PASSPHRASE": "other", **SECRET}

    raw = store(tmp_path / "a", form, away).export(held, exported)

    (tmp_path / "key.pem").write_bytes(raw)
    environ = {"TRUSTREG_PASSPHRASE": "other"}
    (again,) = store(tmp_path / "b", environ=environ).import_file(tmp_path / "key.pem")
    assert (again.id, again.role, again.gun) == (held.id, "targets", GUN)
    assert (f"path: {held.id}".encode() in raw) == (exported == "notary")


@pytest.mark.parametrize("form", FORMS)
def test_a_public_key_is_exported(tmp_path: Path, form: Form) -> None:
    """
    Ours needs no passphrase for that, Go's does.
    """
    held = store(tmp_path, form).add(SIGNERS["ED25519"], "targets", GUN)
    kept = store(tmp_path, form, {} if form == "own" else None)

    raw = kept.export_public(kept.find(held.id))

    assert describe(keyfile.read_public(raw, "a")) == ("ed25519", held.public)


@pytest.mark.parametrize("form", FORMS)
def test_a_passphrase_is_changed(tmp_path: Path, form: Form) -> None:
    """
    The form, role and GUN stay; the old passphrase opens it no more.
    """
    held = store(tmp_path, form).add(SIGNERS["P256"], "targets", GUN)
    kept = store(tmp_path, form, {**SECRET, "TRUSTREG_NEW_PASSPHRASE": "other"})

    kept.change_passphrase(kept.find(held.id))

    with pytest.raises(PassphraseError):
        store(tmp_path).open(held)
    changed = store(tmp_path, environ={"TRUSTREG_PASSPHRASE": "other"})
    assert changed.open(changed.find(held.id)).public == held.public
    assert (changed.find(held.id).role, changed.find(held.id).gun) == ("targets", GUN)


def test_a_failed_change_leaves_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A full disk, a missing passphrase: the file is as it was.
    """
    held = store(tmp_path).add(SIGNERS["P256"], "targets", GUN)
    before = Path(held.where).read_bytes()

    with pytest.raises(PassphraseError, match="nobody to ask for a new passphrase"):
        store(tmp_path).change_passphrase(held)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FileError, match="the disk is full"):
        store(tmp_path, environ={**SECRET, "TRUSTREG_NEW_PASSPHRASE": "x"}).change_passphrase(held)

    assert Path(held.where).read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "private").iterdir()) == [".lock", f"{held.id}.pem"]


def test_a_key_is_removed(tmp_path: Path) -> None:
    """
    For good, and twice is no error.
    """
    kept = store(tmp_path)
    held = kept.add(SIGNERS["P256"], "root", None)

    kept.remove(held)
    kept.remove(held)

    assert kept.keys() == ()
    assert kept.add(SIGNERS["P256"], "root", None) == held


# --- elsewhere ----------------------------------------------------------------------------------------


def test_a_key_behind_a_uri(tmp_path: Path) -> None:
    """
    It is listed and signs like any other; what needs its private half is refused.
    """
    (tmp_path / "plain.pem").write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(maker.P256)))
    uri = f"file2:{tmp_path / 'plain.pem'}"
    added = store(tmp_path).add_uri(uri, maker.P256.public_key(), "root", None)
    kept = store(tmp_path, environ={})

    (held,) = kept.keys()

    assert held == added
    assert (held.uri, held.id) == (uri, keyfile.key_id("ecdsa", SIGNERS["P256"].public))
    assert kept.open(held).sign(b"x", held.id).scheme == "ecdsa-p1363-sha256"
    assert kept.export_public(held) == keyfile.public_pem("ecdsa", held.public)
    refused: list[Callable[[], object]] = [lambda: kept.export(held, "own"), lambda: kept.change_passphrase(held)]
    for refuse in refused:
        with pytest.raises(KeyKindError, match="its private half is not here"):
            refuse()
    with pytest.raises(ExistsError):
        kept.add_uri(uri, maker.P256.public_key(), "root", None)


@pytest.mark.parametrize(
    ("uri", "error"),
    [("file2:/no/such/file", SignerError), ("no-such-scheme:", SettingError)],
    ids=["absent", "scheme"],
)
def test_a_uri_that_does_not_sign_is_not_noted(tmp_path: Path, uri: str, error: type[Exception]) -> None:
    """
    A trial signature finds out at once.
    """
    with pytest.raises(error):
        store(tmp_path / "trust").add_uri(uri, maker.P256.public_key(), "root", None)

    assert not (tmp_path / "trust").exists()


REFERENCE = {
    "uri": "hsm:2",
    "public": keyfile.public_pem("ecdsa", SIGNERS["P256"].public).decode(),
    "role": "root",
    "gun": None,
}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "it is no JSON"),
        ("[" * 60_000, "it is no JSON"),
        ('"\ud800"', "it has to be an object"),
        ("[]", "it has to be an object of uri, public, role and gun"),
        ({**REFERENCE, "more": 1}, "it has to be an object of uri, public, role and gun"),
        ({**REFERENCE, "uri": 1}, "its uri, public, role and gun have to be text"),
        ({**REFERENCE, "gun": []}, "its uri, public, role and gun have to be text"),
        ({**REFERENCE, "public": ""}, "it holds no PEM public key"),
        (
            {**REFERENCE, "public": keyfile.public_pem("rsa", SIGNERS["RSA"].public).decode()},
            "its public key is not the one it is named after",
        ),
    ],
)
def test_a_bad_reference(tmp_path: Path, document: object, problem: str) -> None:
    """
    A file that says where a key lives is input like any other.
    """
    warnings: list[TrustregError] = []
    keyid = keyfile.key_id("ecdsa", SIGNERS["P256"].public)
    (tmp_path / "private").mkdir()
    text = document if isinstance(document, str) else json.dumps(document)
    (tmp_path / "private" / f"{keyid}.uri").write_text(text, errors="surrogatepass")

    assert store(tmp_path, warn=warnings.append).keys() == ()
    assert problem in str(warnings[0])
