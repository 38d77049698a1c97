"""GPG signatures: made by the key that was named, believed only from the keys that were named."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.peers.gpg import gpg_home
from trustreg.errors import FormatError, GpgError, GpgSignatureError, PassphraseError, SettingError
from trustreg.io.gpg import GpgSigner, Keyring, Keyrings
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


def refused(gpg: Gpg, message: bytes, *fingerprints: str, at: datetime | None = None) -> str:
    """Require *message* to be refused by who believes these keys, and say why."""
    with (
        Keyring([gpg.public(one) for one in fingerprints], gpg.env) as ring,
        pytest.raises(GpgSignatureError) as caught,
    ):
        ring.verify(message, at or now())
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


def test_what_an_agent_knows_is_not_asked_for(gpg: Gpg) -> None:
    """
    Once it has opened a key, it signs without a word, for others too.
    """
    name = gpg.generate("cached", passphrase=PASSPHRASE)
    gpg.forget_passphrases()
    with signer(gpg, name, TRUSTREG_PASSPHRASE=PASSPHRASE) as mine:
        mine.sign(CONTENT, now())

    with signer(gpg, name) as another:
        assert another.sign(CONTENT, now())


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


def test_the_time_that_counts_is_the_one_that_is_given(gpg: Gpg) -> None:
    """
    To the second, whatever the clock of gpg says: for the key, for a signature that expires, and for the skew.
    """
    begin = datetime(2031, 1, 1, tzinfo=UTC)
    name = gpg.generate("timed", lasts="seconds=1000", at="20310101T000000")
    message = gpg.sign(CONTENT, name, at="20310101T000010")
    brief = gpg.sign(CONTENT, name, at="20310101T000010", options=("--default-sig-expire", "seconds=100"))
    cases = {
        (message, -1): "cannot vouch",  # the key is not there yet
        (message, 0): None,
        (message, 999): None,
        (message, 1001): "key has expired",
        (brief, 109): None,
        (brief, 111): "it has expired",
    }
    with Keyring([gpg.public(name)], gpg.env) as ring:
        assert cases == {(raw, second): verdict(ring, raw, begin, second) for raw, second in cases}
        early = gpg.sign(CONTENT, name, at="20310101T000501")
        assert [None, "from the future"] == [verdict(ring, early, begin, second) for second in (1, 0)]
        with pytest.raises(GpgError, match="cannot judge"):
            ring.verify(message, datetime(1969, 1, 1, tzinfo=UTC))


def verdict(ring: Keyring, message: bytes, begin: datetime, second: int) -> str | None:
    """Say why *message* is refused at a time, in the words that tests look for."""
    try:
        ring.verify(message, begin + timedelta(seconds=second))
    except GpgSignatureError as exc:
        words = "cannot vouch", "key has expired", "it has expired", "from the future"
        return next(word for word in words if word in str(exc))
    return None


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
    Nor a private one.
    """
    private = gpg.run("--export-secret-keys", key).out
    for rubbish in (b"", b"rubbish", private):
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


# --- keyrings that are kept ----------------------------------------------------------------------------------------


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where homes are made."""
    (folder := tmp_path / "homes").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The processes that are started."""
    seen: list[list[str]] = []
    popen = subprocess.Popen

    def watched(argv: list[str], *args: object, **kwargs: object) -> object:
        seen.append(argv)
        return popen(argv, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("gnupg.Popen", watched)
    return seen


def test_a_verification_is_one_process(gpg: Gpg, key: str, homes: Path, started: list[list[str]]) -> None:
    """
    And none where the message is by a key that was not asked for, or is no message.
    """
    keys, message, other = (gpg.public(key),), gpg.sign(CONTENT, key), gpg.sign(CONTENT, gpg.generate("not asked for"))
    with Keyrings(gpg.env) as rings:
        assert key == rings.verify(keys, message, now()).fingerprint
        del started[:]
        assert CONTENT == rings.verify(keys, message, now()).content
        assert 1 == len(started)
        for raw, error in ((other, GpgSignatureError), (b"rubbish", FormatError)):
            with pytest.raises(error):
                rings.verify(keys, raw, now())
        assert 1 == len(started)
        assert 1 == len(list(homes.iterdir()))
    assert [] == list(homes.iterdir())


def test_each_set_of_keys_has_a_home_of_its_own(gpg: Gpg, key: str, homes: Path) -> None:
    """
    In whatever order, armoured or not, in one file or in two; and nobody else's key counts in it.
    """
    other = gpg.generate("other set")
    mine, theirs, both = gpg.public(key), gpg.public(other), gpg.run("--armor", "--export", key, other).out
    with Keyrings(gpg.env) as rings:
        for keys in ((mine, theirs), (theirs, mine), (both,)):
            assert [key, other] == [rings.verify(keys, gpg.sign(CONTENT, by), now()).fingerprint for by in (key, other)]
        assert 2 == len(list(homes.iterdir()))
        with pytest.raises(GpgSignatureError, match="not asked for"):
            rings.verify((theirs,), gpg.sign(CONTENT, key), now())
        assert 3 == len(list(homes.iterdir()))
        assert [both.count(b"END"), 1] == [1, len({home.stat().st_mode for home in homes.iterdir()})]


@pytest.mark.parametrize("how", ["the home", "the keys", "what the keys were"])
def test_a_home_that_was_removed_is_made_anew(gpg: Gpg, key: str, homes: Path, how: str) -> None:
    """
    As by whatever tidies up temporary folders; or changed.
    """
    with Keyrings(gpg.env) as rings:
        for _ in range(3):
            assert key == rings.verify((gpg.public(key),), gpg.sign(CONTENT, key), now()).fingerprint
            (home,) = homes.iterdir()
            if how == "the home":
                shutil.rmtree(home)
            elif how == "the keys":
                (home / "keys.gpg").unlink()
            else:
                (home / "keys.gpg").write_bytes(gpg.public(gpg.generate(f"put in {os.urandom(4).hex()}")))
    assert [] == list(homes.iterdir())


def test_a_home_that_is_removed_while_gpg_runs_is_no_refusal(gpg: Gpg, key: str, tmp_path: Path, homes: Path) -> None:
    """
    It is asked once more.
    """
    program = tmp_path / "bin" / "gpg"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *--decrypt*) mkdir {tmp_path}/once 2>/dev/null && rm -r {homes}/*;; esac\n'
        f'exec {shutil.which("gpg")} "$@"\n'
    )
    program.chmod(0o755)
    env = {**gpg.env, "PATH": f"{program.parent}:{gpg.env['PATH']}"}
    with Keyrings(env) as rings:
        assert key == rings.verify((gpg.public(key),), gpg.sign(CONTENT, key), now()).fingerprint
    assert (tmp_path / "once").is_dir()


def test_so_many_are_kept(gpg: Gpg, homes: Path) -> None:
    """
    Those that were used last; and threads that use one that has to go are done with it first.
    """
    names = [gpg.generate(f"one of many {number}") for number in range(3)]
    sets = [((gpg.public(name),), gpg.sign(CONTENT, name), name) for name in names]
    with Keyrings(gpg.env, most=2) as rings:
        for keys, message, _ in (*sets, sets[2], sets[0]):
            rings.verify(keys, message, now())
            assert 2 >= len(list(homes.iterdir()))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: rings.verify(one[0], one[1], now()).fingerprint, sets * 20))
        assert names * 20 == found
        assert 2 == len(list(homes.iterdir()))
    assert [] == list(homes.iterdir())


@pytest.mark.parametrize("ends", ["", "raise SystemExit(0)", "from trustreg.cli.entry import main; main()"])
def test_nothing_is_left_at_the_exit(gpg: Gpg, key: str, tmp_path: Path, ends: str) -> None:
    """
    Of a program that does not close what it opened, or of a command, which ends at once.
    """
    (homes := tmp_path / "homes").mkdir()
    for name, content in (("key", gpg.public(key)), ("message", gpg.sign(CONTENT, key))):
        (tmp_path / name).write_bytes(content)
    script = (
        "import os, sys, pathlib, datetime; from trustreg.io.gpg import Keyrings; here = pathlib.Path(sys.argv[1])\n"
        "rings = Keyrings(os.environ); keys = ((here / 'key').read_bytes(),)\n"
        "rings.verify(keys, (here / 'message').read_bytes(), datetime.datetime.now(datetime.UTC))\n"
        "print(len(list((here / 'homes').iterdir())))\n"
        f"sys.argv = ['trustreg', '--version']\n{ends}\n"
    )
    env = {**os.environ, **gpg.env, "TMPDIR": str(homes)}
    done = subprocess.run([sys.executable, "-c", script, tmp_path], env=env, capture_output=True, check=True)

    assert done.stdout.startswith(b"1\n")
    assert [] == list(homes.iterdir())


@pytest.mark.parametrize(
    ("does", "says"),
    [("exec sleep 60", "ended by signal 9"), ("exit 2", "said nothing"), ("kill -11 $$", "ended by signal 11")],
)
def test_a_gpg_that_does_not_answer_is_no_verdict(
    gpg: Gpg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: str
) -> None:
    """
    It is ended after some time.
    """
    monkeypatch.setattr("trustreg.io.gpg._LONGEST", 0.2)
    program = tmp_path / "gpg"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--decrypt*) {does};; esac\nexec {shutil.which("gpg")} "$@"\n')
    program.chmod(0o755)
    env = {**gpg.env, "PATH": f"{tmp_path}:{gpg.env['PATH']}"}
    with Keyrings(env) as rings, pytest.raises(GpgError, match=says):
        rings.verify((gpg.public(key),), gpg.sign(CONTENT, key), now())


def test_gpg_gets_so_much_memory(gpg: Gpg, key: str, tmp_path: Path) -> None:
    """
    However much a message asks for.
    """
    program = tmp_path / "gpg"
    told = f"*--decrypt*) sleep 0.1; ulimit -v >{tmp_path / 'limit'};;"
    program.write_text(f'#!/bin/sh\ncase "$*" in {told} esac\nexec {shutil.which("gpg")} "$@"\n')
    program.chmod(0o755)
    with Keyrings({**gpg.env, "PATH": f"{tmp_path}:{gpg.env['PATH']}"}) as rings:
        assert key == rings.verify((gpg.public(key),), gpg.sign(CONTENT, key), now()).fingerprint

    assert "1048576\n" == (tmp_path / "limit").read_text()  # KiB


def test_a_key_that_is_short_is_not_believed(gpg: Gpg) -> None:
    """
    As a plain one would not be.
    """
    name = gpg.generate("brief", "rsa1024")

    assert "too short" in refused(gpg, gpg.sign(CONTENT, name), name)


def test_a_revoked_or_expired_subkey_is_refused(gpg: Gpg) -> None:
    """
    Though its primary key is fine; and one that is fine of a primary key that is not.
    """
    name = gpg.generate("of subkeys", lasts="1000d", at="20310101T000000")
    subkey = gpg.subkey(name, lasts="10d", at="20310101T000000")
    message = gpg.sign(CONTENT, f"{subkey}!", at="20310105T000000")
    assert [None, "key has expired"] == [subkey_verdict(gpg, name, message, days) for days in (9, 11)]

    lasting = gpg.subkey(name, lasts="0", at="20310101T000000")
    message = gpg.sign(CONTENT, f"{lasting}!", at="20310105T000000")
    assert [None, "key has expired"] == [subkey_verdict(gpg, name, message, days) for days in (999, 1001)]

    gpg.revoke_subkey(name, 2, at="20310201T000000")
    assert "revoked" in refused(gpg, message, name, at=datetime(2031, 1, 6, tzinfo=UTC))


def test_a_key_that_is_not_for_signing_does_not_sign(gpg: Gpg) -> None:
    """
    A subkey for logins, which lies on servers, says nothing of images; nor does a primary key that certifies only.
    """
    name = gpg.generate("for other things")
    subkey = gpg.subkey(name)
    by_subkey, by_primary = gpg.sign(CONTENT, f"{subkey}!"), gpg.sign(CONTENT, f"{name}!")
    gpg.edit(name, "key 1", "change-usage", "s", "a", "q", "save")
    assert "not for signing" in refused(gpg, by_subkey, name)
    gpg.edit(name, "change-usage", "s", "q", "save")
    assert "not for signing" in refused(gpg, by_primary, name)


def subkey_verdict(gpg: Gpg, name: str, message: bytes, days: int) -> str | None:
    with Keyring([gpg.public(name)], gpg.env) as ring:
        return verdict(ring, message, datetime(2031, 1, 1, tzinfo=UTC), days * 86_400)


@pytest.fixture(scope="module")
def one(gpg: Gpg, key: str) -> Iterator[tuple[Keyring, tuple[bytes, ...]]]:
    """A keyring, and messages by its key, compressed in all ways."""
    with Keyring([gpg.public(key)], gpg.env) as ring:
        yield ring, tuple(gpg.sign(CONTENT, key, options=("--compress-algo", how)) for how in ("none", "zip", "bzip2"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 300), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_a_changed_key_vouches_for_itself_or_for_nothing(gpg: Gpg, key: str, at: int, cut: int, put: bytes) -> None:
    """
    And is never taken for what it is not.
    """
    whole, message = gpg.public(key), gpg.sign(CONTENT, key)
    try:
        with Keyring([whole[:at] + put + whole[at + cut :]], gpg.env) as ring:
            assert key == ring.verify(message, now()).fingerprint
            assert (key,) == ring.fingerprints
    except (FormatError, GpgSignatureError, GpgError):
        pass


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 2), at=st.integers(0, 400), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_a_changed_message_never_says_anything_else(
    one: tuple[Keyring, tuple[bytes, ...]], which: int, at: int, cut: int, put: bytes
) -> None:
    """
    Whatever is changed, taken out or put in: it is refused, or says what was signed.
    """
    ring, messages = one
    whole = messages[which]
    bent = whole[:at] + put + whole[at + cut :]
    try:
        vouched = ring.verify(bent, now())
    except (FormatError, GpgSignatureError):
        assert bent != whole
    else:
        assert (CONTENT, ring.fingerprints) == (vouched.content, (vouched.fingerprint,))
