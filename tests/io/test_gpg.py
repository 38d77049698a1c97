"""GPG signatures: made by the key that was named, believed only from the keys that were named."""

from __future__ import annotations

import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.peers.gpg import gpg_home
from trustreg.errors import FormatError, GpgError, GpgSignatureError, PassphraseError, SettingError
from trustreg.io.gpg import GpgSigner, Keyring
from trustreg.io.passphrases import Passphrases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.gpg import Gpg

CONTENT = b'{"critical": {}}'
PASSPHRASE = "a pässphrase that nobody may see"
LONG_AGO, LATER = "20200101T000000", "20400101T000000"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as home:
        yield home


@pytest.fixture(scope="module")
def key(gpg: Gpg) -> str:
    """A key without a passphrase."""
    return gpg.generate("plain")


def signer(gpg: Gpg, fingerprint: str, **passphrases: str) -> GpgSigner:
    """Give what signs with a key of *gpg*."""
    return GpgSigner(fingerprint, gpg.home, Passphrases(passphrases), gpg.env)


def now() -> datetime:
    return datetime.now(UTC)


def refused(gpg: Gpg, message: bytes, *fingerprints: str) -> str:
    """Require *message* to be refused by who believes these keys, and say why."""
    with (
        Keyring([gpg.public(one) for one in fingerprints], gpg.env) as ring,
        pytest.raises(GpgSignatureError) as caught,
    ):
        ring.verify(message, now())
    return str(caught.value)


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048", "nistp256"])
def test_what_is_signed_is_believed(gpg: Gpg, kind: str) -> None:
    """
    By the primary key that was named, and only where that is asked for; by gpg itself too.
    """
    name = gpg.generate(f"sign-{kind}", kind)
    with signer(gpg, name.lower()) as mine:
        message = mine.sign(CONTENT, now())
        with Keyring([mine.public], gpg.env) as ring:
            vouched = ring.verify(message, now())

    assert (CONTENT, name) == (vouched.content, vouched.fingerprint)
    assert abs(vouched.made - now()) < timedelta(minutes=1)
    assert gpg.run("--decrypt", stdin=message).out == CONTENT


def test_of_a_key_with_subkeys_the_primary_signs(gpg: Gpg) -> None:
    """
    Though gpg would take the newest subkey; and a message by that is one by its primary key.
    """
    name = gpg.generate("with-subkey")
    subkey = gpg.subkey(name)
    with signer(gpg, name) as mine:
        message = mine.sign(CONTENT, now())
        vouched = mine.keyring.verify(gpg.sign(CONTENT, f"{subkey}!"), now())
    with pytest.raises(SettingError, match=f"{subkey} is a subkey of {name}"):
        signer(gpg, subkey)

    assert name == vouched.fingerprint
    assert f"using EDDSA key {name}" in gpg.run("--decrypt", stdin=message).stderr


def test_a_passphrase_comes_from_where_all_come_from(gpg: Gpg) -> None:
    """
    It is never on a command line, and a wrong one is called wrong.
    """
    name = gpg.generate("locked", passphrase=PASSPHRASE)
    gpg.forget_passphrases()
    with signer(gpg, name) as mine, pytest.raises(PassphraseError, match="nobody to ask"):
        mine.sign(CONTENT, now())
    with signer(gpg, name, TRUSTREG_PASSPHRASE="another one") as mine, pytest.raises(PassphraseError, match="wrong"):
        mine.sign(CONTENT, now())
    with signer(gpg, name, TRUSTREG_PASSPHRASE=PASSPHRASE) as mine:
        assert CONTENT == mine.keyring.verify(mine.sign(CONTENT, now()), now()).content
        gpg.forget_passphrases()
        assert mine.sign(CONTENT, now())


@pytest.mark.parametrize("odd", ["two\nlines", "a\rb", "a\0b", "not UTF-8 \udcff"])
def test_no_passphrase_is_too_odd(gpg: Gpg, odd: str) -> None:
    """
    What gpg cannot read, or is not text at all, is a wrong passphrase and no crash.
    """
    name = gpg.generate(f"locked for {odd.encode().hex() if odd.isascii() else 'bytes'}", passphrase=PASSPHRASE)
    gpg.forget_passphrases()

    with signer(gpg, name, TRUSTREG_PASSPHRASE=odd) as mine, pytest.raises(PassphraseError):
        mine.sign(CONTENT, now())


def test_the_first_line_of_what_is_signed_is_no_passphrase(gpg: Gpg) -> None:
    """
    An empty passphrase is none.
    """
    name = gpg.generate("lines", passphrase="first")
    gpg.forget_passphrases()
    with signer(gpg, name, TRUSTREG_PASSPHRASE="") as mine, pytest.raises(PassphraseError):
        mine.sign(b"first\nsecond", now())


@pytest.mark.parametrize("name", ["0" * 40, "plain", "", "--output=/tmp/x", "A" * 39])
def test_a_key_is_named_by_its_whole_fingerprint(gpg: Gpg, name: str) -> None:
    """
    One that is not there is not replaced by another; and nothing is an option.
    """
    with pytest.raises(SettingError):
        signer(gpg, name)


def test_an_expired_or_revoked_key_does_not_sign(gpg: Gpg) -> None:
    """
    Nobody would believe it.
    """
    old, gone = gpg.generate("expired", lasts="1d", at=LONG_AGO), gpg.generate("revoked")
    gpg.revoke(gone)
    for name in (old, gone):
        with signer(gpg, name) as mine, pytest.raises(GpgError):
            mine.sign(CONTENT, now())


def test_one_changed_byte_changes_nothing_that_is_believed(gpg: Gpg, key: str) -> None:
    """
    It is refused, or one of those that no signature covers: a name of a file, an id that is a hint.
    """
    message = gpg.sign(CONTENT, key, options=("-z0",))
    with Keyring([gpg.public(key)], gpg.env) as ring:
        assert CONTENT == ring.verify(message, now()).content
        refusals = 0
        for at in range(0, len(message), 7):
            bent = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
            try:
                assert CONTENT == ring.verify(bent, now()).content
            except (FormatError, GpgSignatureError):
                refusals += 1
    assert refusals > len(message) // 14


def test_another_key_is_refused(gpg: Gpg, key: str) -> None:
    """
    Whatever the home of the person who asks holds.
    """
    assert "by a key that was not asked for" in refused(gpg, gpg.sign(CONTENT, gpg.generate("other")), key)


def test_two_signers_are_refused(gpg: Gpg, key: str) -> None:
    """
    Even if both are asked for.
    """
    other = gpg.generate("second")
    with Keyring([gpg.public(key), gpg.public(other)], gpg.env) as ring, pytest.raises(FormatError):
        ring.verify(gpg.sign(CONTENT, key, other), now())


@pytest.mark.parametrize(
    "options", [("--armor",), ("--clear-sign",), ("--detach-sign",), ("--symmetric", "--passphrase=x")]
)
def test_other_forms_are_refused(gpg: Gpg, key: str, options: tuple[str, ...]) -> None:
    """
    Other readers read only one.
    """
    verb = () if "--clear-sign" in options else ("--sign",)
    message = gpg.run("--local-user", key, *options, *verb, stdin=CONTENT).out
    with Keyring([gpg.public(key)], gpg.env) as ring, pytest.raises(FormatError):
        ring.verify(message, now())


def test_a_weak_digest_is_refused(gpg: Gpg) -> None:
    """
    Gpg itself would take it.
    """
    name = gpg.generate("weak", "rsa2048")
    message = gpg.sign(CONTENT, name, options=("--digest-algo", "SHA1"))
    with Keyring([gpg.public(name)], gpg.env) as ring, pytest.raises(FormatError, match="too weak"):
        ring.verify(message, now())


def test_times_are_held_to(gpg: Gpg) -> None:
    """
    A signature from the future, one that has expired, and any by a key that has since.
    """
    lasting = gpg.generate("lasting", at=LONG_AGO)
    short = gpg.generate("short", lasts="30d", at=LONG_AGO)

    assert "future" in refused(gpg, gpg.sign(CONTENT, lasting, at=LATER), lasting)
    assert "expired" in refused(
        gpg, gpg.sign(CONTENT, lasting, at=LONG_AGO, options=("--default-sig-expire", "1d")), lasting
    )
    assert "key has expired" in refused(gpg, gpg.sign(CONTENT, short, at=LONG_AGO), short)
    with Keyring([gpg.public(lasting)], gpg.env) as ring, pytest.raises(GpgSignatureError, match="future"):
        ring.verify(gpg.sign(CONTENT, lasting), now() - timedelta(hours=1))


def test_a_revoked_key_is_refused(gpg: Gpg) -> None:
    """
    Though it signed before.
    """
    name = gpg.generate("to-revoke")
    message = gpg.sign(CONTENT, name)
    gpg.revoke(name)

    assert "revoked" in refused(gpg, message, name)


def test_what_is_no_public_key_is_not_imported(gpg: Gpg, key: str) -> None:
    """
    Nor two at once, nor a private one.
    """
    two, private = gpg.public(key, gpg.generate("two")), gpg.run("--export-secret-keys", key).out
    for rubbish in (b"", b"rubbish", two, private):
        with pytest.raises(FormatError):
            Keyring([rubbish], gpg.env)


def test_the_home_of_a_keyring_is_nobodys(gpg: Gpg, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Closed to others, and gone afterwards.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Keyring([gpg.public(key)], gpg.env):
        (home,) = tmp_path.iterdir()
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with pytest.raises(FormatError):
        Keyring([b"rubbish"], gpg.env)

    assert [] == list(tmp_path.iterdir())


def test_without_gpg_there_is_no_answer(gpg: Gpg, tmp_path: Path) -> None:
    """
    Which is not a no.
    """
    with pytest.raises(GpgError):
        Keyring([], {**gpg.env, "PATH": str(tmp_path)})
    with pytest.raises(SettingError):
        GpgSigner("0" * 40, tmp_path / "none", Passphrases({}), gpg.env)


def test_a_passphrase_is_in_no_argument(gpg: Gpg, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of any process that is started.
    """
    name = gpg.generate("argued", passphrase=PASSPHRASE)
    gpg.forget_passphrases()
    seen: list[object] = []
    popen = subprocess.Popen

    def watched(argv: list[str], *args: object, **kwargs: object) -> object:
        seen.append((argv, kwargs.get("env")))
        return popen(argv, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("gnupg.Popen", watched)
    with signer(gpg, name, TRUSTREG_PASSPHRASE=PASSPHRASE) as mine:
        mine.sign(CONTENT, now())

    assert seen
    assert PASSPHRASE not in repr(seen)
    assert os.environ.get("TRUSTREG_PASSPHRASE") is None
