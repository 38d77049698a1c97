"""GPG signatures, made and verified by ``gpg``.

Only status lines are believed, never what ``gpg`` says to people, its exit code alone, or the text that it gives out.
``gpg`` is handed no name but whole fingerprints, no passphrase but through its standard input, and no message that
``dialects.openpgp`` has not looked through. What was signed is verified before it is given out. Who is to be believed
is decided by the keys in a home of its own, which holds no others and is gone afterwards.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from trustreg.dialects import openpgp
from trustreg.errors import FormatError, GpgError, GpgSignatureError, PassphraseError, SettingError
from trustreg.ports import Vouched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustreg.io.passphrases import Passphrases


class Keyring:
    """A home of ``gpg`` that holds *keys*, exported public keys, and nothing else. Close it, or use ``with``.

    Raises:
        GpgError: There is no gpg, or it does not work.
        FormatError: One of *keys* is no public key.
    """

    def __init__(self, keys: Sequence[bytes], env: Mapping[str, str]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="gpg-"))  # 0700
        try:
            self._gpg = _program(env, self._home, ("--no-autostart", "--lock-never"))
            imported = [self._import(key) for key in keys]
        except BaseException:
            self.close()
            raise
        self.fingerprints = tuple(dict.fromkeys(imported))
        """Of the primary keys, 40 or 64 upper-case hex digits."""

    def verify(self, message: bytes, now: datetime, largest: int = 64 << 10) -> Vouched:
        """Return what *message* says, if one of the keys signed it.

        Args:
            message: The message, opaque and binary.
            now: The time; a signature from the future is none.
            largest: How many bytes may have been signed.

        Raises:
            FormatError: It is no such message.
            GpgSignatureError: The signature is not good, or by another key.
            GpgError: gpg does not work.
        """
        opened = openpgp.open_message(message, largest)
        result = self._gpg.decrypt(message)
        said = _status(result.stderr)
        counts = {word: sum(line[0] == word for line in said) for word in ("NEWSIG", "GOODSIG", "VALIDSIG")}
        bad = [line[0] for line in said if line[0] in _BAD]
        if bad or set(counts.values()) != {1} or result.returncode != 0:
            raise GpgSignatureError(opened.issuer, _PROBLEMS.get(next(iter(bad), ""), "gpg does not call it good"))
        fields = next(line for line in said if line[0] == "VALIDSIG")[1:]
        if len(fields) < 10 or fields[9] not in self.fingerprints:
            raise GpgSignatureError(opened.issuer, "it is by a key that was not asked for")
        if fields[7] not in _DIGESTS or fields[8] != "00":
            raise GpgSignatureError(
                opened.issuer, "it is made over a digest that is too weak, or not over binary content"
            )
        made = datetime.fromtimestamp(int(fields[2]), UTC)
        if made > now + _SKEW:
            raise GpgSignatureError(opened.issuer, f"it claims to be from the future, {made:%Y-%m-%dT%H:%M:%SZ}")
        if result.data != opened.content:
            raise GpgSignatureError(opened.issuer, "gpg read something else in it")
        return Vouched(content=opened.content, fingerprint=fields[9], made=made)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _import(self, key: bytes) -> str:
        result = self._gpg.import_keys(key)
        found: set[str] = set(result.fingerprints)
        if len(found) != 1 or result.sec_read:
            raise FormatError("GPG key", "", "exactly one public key is due")
        return found.pop()


class GpgSigner:
    """Signs with the primary key *fingerprint*, whose private half is in a home of ``gpg``.

    Args:
        fingerprint: Of the primary key, 40 or 64 hex digits.
        home: That home; ``None`` for the one that ``gpg`` uses of itself.
        passphrases: Where its passphrase comes from, if it has one and no agent knows it.
        env: The environment.

    Raises:
        SettingError: This is no fingerprint, or not that of a primary key in that home.
        GpgError: There is no gpg, or it does not work.
    """

    def __init__(self, fingerprint: str, home: Path | None, passphrases: Passphrases, env: Mapping[str, str]) -> None:
        plain = fingerprint.replace(" ", "").upper()
        if not _FINGERPRINT.fullmatch(plain):
            raise SettingError("GPG key", f"{fingerprint!r} is not a fingerprint, 40 hex digits")
        if home and not home.is_dir():
            raise SettingError("GPG home", f"{home} is not a folder")
        self.fingerprint, self._passphrases = plain, passphrases
        self._gpg = _program(env, home)
        self._passphrase: str | None = None
        self.public: bytes = self._gpg.export_keys([plain], armor=False, minimal=True)
        """The public key, as others import it."""
        if not self.public:
            raise SettingError("GPG key", f"no key {plain} is there")
        self.keyring = Keyring([self.public], env)
        """What verifies its signatures."""
        if self.keyring.fingerprints != (plain,):
            self.close()
            raise SettingError("GPG key", f"{plain} is a subkey of {self.keyring.fingerprints[0]}: name that one")

    def sign(self, content: bytes, now: datetime) -> bytes:
        """Return an opaque message that says *content*.

        Raises:
            PassphraseError: It is wrong or cannot be had.
            GpgError: gpg did not sign.
            GpgSignatureError: It did, but not so that readers would believe it.
        """
        message = self._sign(content)
        if self.keyring.verify(message, now, len(content)).content != content:
            raise GpgSignatureError(self.fingerprint, "it is not about what was to be signed")
        return message

    def close(self) -> None:
        """Remove what was needed to verify; the home that has the private key stays as it is."""
        self.keyring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sign(self, content: bytes) -> bytes:
        try:
            return self._attempt(content, self._passphrase)
        except PassphraseError:
            pass

        def attempt(passphrase: str) -> bytes:
            message = self._attempt(content, passphrase)
            self._passphrase = passphrase
            return message

        return self._passphrases.unlock(self.fingerprint, None, None, attempt)

    def _attempt(self, content: bytes, passphrase: str | None) -> bytes:
        # An empty passphrase would make gpg take the first line of the content for it.
        options = ["--local-user", f"{self.fingerprint}!", "--digest-algo", "SHA512"]
        if not passphrase:
            options += ["--pinentry-mode", "error"]  # ask nobody: that is for us to do
        if passphrase and not set("\r\n\0").isdisjoint(passphrase):
            raise PassphraseError(self.fingerprint, "gpg takes the first line of a passphrase, and this has more")
        spelled = (
            passphrase.encode(errors="surrogateescape").decode("latin-1") if passphrase else None
        )  # as it is written
        result = self._gpg.sign(
            content, detach=False, clearsign=False, binary=True, passphrase=spelled, extra_args=options
        )
        said = _status(result.stderr)
        words = {line[0] for line in said}
        if result.returncode == 0 and "SIG_CREATED" in words and result.data:
            message: bytes = result.data
            return message
        failures = {int(line[-1]) & 0xFFFF for line in said if line[0] in {"FAILURE", "ERROR"} and line[-1].isdecimal()}
        if failures & _LOCKED:
            raise PassphraseError(self.fingerprint, "gpg cannot open it with that passphrase, or needs one")
        if "KEYEXPIRED" in words or "KEYREVOKED" in words:
            raise GpgError(f"key {self.fingerprint} has expired, or was revoked")
        raise GpgError(f"it did not sign with key {self.fingerprint}: {' '.join(sorted(words)) or 'it gave no reason'}")


def _program(env: Mapping[str, str], home: Path | None, options: Sequence[str] = ()) -> Any:
    try:
        import gnupg  # type: ignore[import-untyped,unused-ignore]
    except ImportError as exc:
        raise GpgError("python-gnupg is not installed") from exc  # it is a dependency
    try:
        return gnupg.GPG(gnupghome=home and str(home), env=dict(env), options=[*_OPTIONS, *options])
    except (OSError, ValueError) as exc:
        raise GpgError("it cannot be run") from exc


def _status(stderr: str) -> list[list[str]]:
    """Return the words of each status line."""
    lines = (line.removeprefix(_MARK).split() for line in stderr.splitlines() if line.startswith(_MARK))
    return [line for line in lines if line]


_MARK = "[GNUPG:] "
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")
_SKEW: Final = timedelta(minutes=5)  # between the clocks of two machines
_OPTIONS = (
    "--trust-model=always",
    "--no-auto-key-locate",
    "--no-auto-key-retrieve",
    "--disable-dirmngr",
    "--weak-digest=SHA1",
    "--no-options",
    "--logger-file=/dev/null",  # what it says to people may quote a key, and shares a stream with what is believed
)
_BAD = frozenset(
    {"BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "KEYREVOKED", "NO_PUBKEY"}
    | {"NODATA", "UNEXPECTED", "ERROR", "FAILURE", "BADARMOR"}
)
_PROBLEMS = {
    "BADSIG": "it does not hold",
    "EXPSIG": "it has expired",
    "EXPKEYSIG": "its key has expired",
    "REVKEYSIG": "its key was revoked",
    "NO_PUBKEY": "it is by a key that was not asked for",
    "ERRSIG": "it cannot be checked: it is by a key that was not asked for, or made in a way that is too weak",
}
_DIGESTS = frozenset({"8", "9", "10"})  # SHA-256, SHA-384, SHA-512
_LOCKED = frozenset({11, 85, 99, 177})  # bad passphrase, no pinentry, cancelled, no passphrase: libgpg-error
