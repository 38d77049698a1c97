"""GPG keys by what people call them, and new ones."""

from __future__ import annotations

import shutil
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.peers.command import run
from tests.peers.gpg import Gpg, gpg_home
from trustreg.errors import GpgError, NameFormError, PassphraseError, SettingError
from trustreg.io.gpg import GpgSigner, Keyring
from trustreg.io.gpgkeys import GpgKeys, make_home
from trustreg.io.passphrases import Passphrases

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b'{"critical": {}}'


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as home:
        yield home


@pytest.fixture(scope="module")
def alice(gpg: Gpg) -> str:
    """The key of Alice, which has a subkey, among others."""
    for name in ("Alice's Twin", "Bob"):
        gpg.generate(name.replace("'", "").replace(" ", "-"))
    made = gpg.generate("Alice")
    gpg.subkey(made)
    gpg.run("--passphrase", "", "--quick-add-uid", made, "Álice (at work) <alice@work.example>")
    return made


@pytest.fixture
def keys(gpg: Gpg, alice: str) -> GpgKeys:
    del alice
    return GpgKeys(gpg.home, gpg.env)


@pytest.mark.parametrize(
    "called",
    [
        "{0}",
        "0x{0}",
        "{0:.4} {0}",
        "{0:short}",
        "Alice",
        "Alice@example.com",
        "Alice <Alice@example.com>",
        "Álice",
        "alice@work.example",
        "Álice (at work) <alice@work.example>",
    ],
)
def test_what_a_key_is_called(keys: GpgKeys, alice: str, called: str) -> None:
    """
    Its fingerprint, its key id, and the whole of a user id, of a name, or of an address: never a part of one.
    """
    text = {"{0:short}": alice[-16:].lower(), "{0:.4} {0}": f"{alice[:4]} {alice[4:]}"}.get(called)

    assert keys.find(text or called.format(alice)).fingerprint == alice


@pytest.mark.parametrize("called", ["Ali", "example.com", "", "*", "Carol", "0" * 40, "--output=x", "Alice\n"])
def test_what_no_key_is_called(keys: GpgKeys, alice: str, called: str) -> None:
    """
    Then it is said which there are.
    """
    with pytest.raises(SettingError, match="no key is here with its private half") as caught:
        keys.find(called)

    assert any(alice in note for note in caught.value.__notes__)


def test_a_subkey_is_not_what_signs(keys: GpgKeys, gpg: Gpg, alice: str) -> None:
    """
    Its primary key is named.
    """
    subkey = gpg.run("--with-colons", "-k", alice).stdout.split("fpr:::::::::")[-1].split(":")[0]
    for text in (subkey, subkey[-16:]):
        with pytest.raises(SettingError, match=f"is a subkey of {alice}"):
            keys.find(text)


def test_two_of_one_name(gpg: Gpg) -> None:
    """
    Neither is chosen, unless one alone can sign.
    """
    twins = []
    for lasts in ("0", "seconds=1"):
        lines = ["Key-Type: eddsa", "Key-Curve: ed25519", "Key-Usage: sign", "Name-Real: Twin", f"Expire-Date: {lasts}"]
        text = "\n".join([*lines, "%no-protection", "%commit", ""])
        at = "20200101T000000" if lasts != "0" else None
        said = gpg.run("--status-fd", "1", "--gen-key", stdin=text.encode(), at=at).stdout
        twins.append(said.split("KEY_CREATED P ")[1].split()[0])
    keys = GpgKeys(gpg.home, gpg.env)

    assert keys.find("Twin").fingerprint == twins[0]
    with pytest.raises(SettingError, match="cannot sign: it has expired"):
        keys.find(twins[1])
    more = keys.generate("Twin", "ed25519", None, None)
    with pytest.raises(SettingError, match="'Twin' is what 3 keys are called") as caught:
        keys.find("Twin")
    assert {f"there is {one} (Twin)" for one in (twins[0], more)} == set(caught.value.__notes__)


def test_keys_that_cannot_sign(gpg: Gpg) -> None:
    """
    It is said why.
    """
    revoked, away = gpg.generate("Revoked"), gpg.generate("Away")
    gpg.revoke(revoked)
    gpg.subkey(away)
    (grip,) = (
        line.split(":")[9]
        for line in gpg.run("--with-colons", "--with-keygrip", "-K", away).stdout.splitlines()[:3]
        if line.startswith("grp:")
    )
    (gpg.home / "private-keys-v1.d" / f"{grip}.key").unlink()
    keys = GpgKeys(gpg.home, gpg.env)

    with pytest.raises(SettingError, match="it was revoked"):
        keys.find("Revoked")
    with pytest.raises(SettingError, match="only subkeys of it are here"):
        keys.find("Away")


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_new_key(gpg: Gpg, kind: str) -> None:
    """
    It signs, under the passphrase that it got, and others get its public half and nothing else.
    """
    passphrase = "of sömebody: #%"
    keys = GpgKeys(gpg.home, gpg.env)

    made = keys.generate(f"Néw {kind} <{kind}@new.example>", kind, passphrase, datetime(2040, 1, 1, tzinfo=UTC))
    gpg.forget_passphrases()
    public = keys.public(made)

    assert keys.find(f"{kind}@new.example").fingerprint == made
    assert keys.find(f"Néw {kind}").names == (f"Néw {kind} <{kind}@new.example>",)
    assert public.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    now = datetime.now(UTC)
    with GpgSigner(made, gpg.home, Passphrases({}), gpg.env) as locked, pytest.raises(PassphraseError):
        locked.sign(CONTENT, now)
    with GpgSigner(made, gpg.home, Passphrases({"TRUSTREG_PASSPHRASE": passphrase}), gpg.env) as signer:
        message = signer.sign(CONTENT, now)
        with Keyring([signer.public], gpg.env) as ring:
            assert ring.verify(message, now).fingerprint == made
    assert "[SC] [expires: 2040-01-01]" in gpg.run("-k", made).stdout


@pytest.mark.parametrize("named", [True, False], ids=["named", "of a new user"])
def test_a_home_is_made(named: bool) -> None:
    """
    Nobody else sees into it. Who never used gpg gets the usual one.
    """
    person = Path(tempfile.mkdtemp(prefix="gpg-new-"))
    home = person / ("home" if named else ".gnupg")
    env = {name: value for name, value in Gpg(home).env.items() if named or name != "GNUPGHOME"} | {"HOME": str(person)}
    try:
        assert make_home(home if named else None, env) == home
        made = GpgKeys(home if named else None, env).generate("release@team.example", "ed25519", None, None)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert [made] == [key.fingerprint for key in GpgKeys(home if named else None, env).secret()]
    finally:
        run(["gpgconf", "--kill", "all"], env=env)
        shutil.rmtree(home.parent)


@pytest.mark.parametrize(
    "name", ["", " x", "x ", "a\n%no-protection", "x <y>", "<a@b>", "a@b c", "x (y) <a@b>", "x\t", "x <a@b", "\x1b[0m"]
)
def test_names_that_a_key_cannot_have(keys: GpgKeys, name: str) -> None:
    """
    What would be read as something else is not handed to gpg.
    """
    before = keys.secret()
    with pytest.raises(NameFormError):
        keys.generate(name, "ed25519", None, None)

    assert before == keys.secret()


@pytest.mark.parametrize("passphrase", ["", " blank", "blank ", "two\nlines", "a\0b", "not UTF-8 \udcff"])
def test_passphrases_that_gpg_would_read_otherwise(keys: GpgKeys, passphrase: str) -> None:
    """
    Nothing is made under another one, or under none.
    """
    before = keys.secret()
    with pytest.raises(PassphraseError):
        keys.generate("Somebody", "ed25519", passphrase, None)

    assert before == keys.secret()


def test_a_home_that_is_none(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """
    Is said to be none; where gpg fails, that is said.
    """
    gpg = Gpg(tmp_path)
    request.addfinalizer(gpg.close)
    with pytest.raises(SettingError, match="is not a folder"):
        GpgKeys(tmp_path / "none", gpg.env)
    (tmp_path / "pubring.kbx").mkdir()
    keys = GpgKeys(tmp_path, gpg.env)

    with pytest.raises(GpgError, match="does not list"):
        keys.secret()
    with pytest.raises(GpgError, match="did not make a key"):
        keys.generate("Somebody", "ed25519", None, None)
    with pytest.raises(GpgError, match="does not export"):
        keys.public("0" * 40)
