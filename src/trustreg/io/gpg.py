"""GPG signatures, made and verified by ``gpg``.

Only status lines are believed, never what ``gpg`` says to people, its exit code alone, or the text that it gives out.
``gpg`` is handed no name but whole fingerprints, no passphrase but through its standard input, and no message or key
that ``dialects.openpgp`` has not looked through. What was signed is verified before it is given out. Who is to be
believed is decided by the keys in a home of its own, which holds no others and is gone afterwards.
"""

from __future__ import annotations

import re
import resource
import shutil
import tempfile
import threading
import weakref
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from trustreg.dialects import openpgp
from trustreg.errors import GpgError, GpgSignatureError, PassphraseError, SettingError
from trustreg.io.passphrases import GPG
from trustreg.ports import Vouched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trustreg.dialects.openpgp import PublicKey, SignedMessage
    from trustreg.io.passphrases import Passphrases


class Keyrings:
    """Verifies messages by keys as they come, and keeps a :class:`Keyring` for each set of them. Threads may share it.

    Close it, or use ``with``; what is left at the exit of Python is removed then.

    Args:
        env: The environment of ``gpg``.
        most: How many keyrings to keep; of more, those go that were not used for longest.
    """

    def __init__(self, env: Mapping[str, str], most: int = 256) -> None:
        self._env, self._most = dict(env), most
        self._kept: dict[frozenset[bytes], Keyring] = {}  # the one that was used last comes last
        self._lock = threading.Lock()

    def verify(self, keys: tuple[bytes, ...], message: bytes, now: datetime) -> Vouched:
        """Return what *message* says, if one of *keys* signed it: see :meth:`Keyring.verify`."""
        return self._ring(frozenset(keys)).verify(message, now)

    def close(self) -> None:
        """Remove all keyrings."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for ring in kept.values():
            ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ring(self, keys: frozenset[bytes]) -> Keyring:
        with self._lock:
            ring = self._kept.pop(keys, None) or Keyring(sorted(keys), self._env)
            self._kept[keys] = ring
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]  # its home goes when nobody uses it any more
            return ring


class Keyring:
    """Verifies messages by *keys*, exported public keys, and by nothing else. Threads may share it.

    It has a home of ``gpg`` of its own, which is made anew if somebody removes it meanwhile. Close it, or use ``with``.

    Raises:
        GpgError: There is no gpg, or it does not work.
        FormatError: One of *keys* is no public key.
    """

    def __init__(self, keys: Sequence[bytes], env: Mapping[str, str]) -> None:
        self._keys = {one.fingerprint: one for key in keys for one in openpgp.open_keys(key)}
        self._ids = {keyid for one in self._keys.values() for keyid in one.ids}
        self._weak = {weak[-16:] for one in self._keys.values() for weak in one.weak}
        self.fingerprints = tuple(self._keys)
        """Of the primary keys, 40 upper-case hex digits."""
        self._env = dict(env)
        self._lock = threading.Lock()
        self._home = _Home(self._keys.values(), self._env)

    def verify(self, message: bytes, now: datetime, largest: int = 64 << 10) -> Vouched:
        """Return what *message* says, if one of the keys signed it.

        Args:
            message: The message, opaque and binary.
            now: The time at which it has to be good, whatever gpg's own clock says; a signature from the future, five
                minutes and more, is none.
            largest: How many bytes may have been signed.

        Raises:
            FormatError: It is no such message.
            GpgSignatureError: The signature is not good, or by another key.
            GpgError: gpg does not work.
        """
        opened = openpgp.open_message(message, largest)
        if opened.issuer not in self._ids:
            raise GpgSignatureError(opened.issuer, _PROBLEMS["NO_PUBKEY"])
        if opened.issuer in self._weak:
            raise GpgSignatureError(opened.issuer, "its key is too short, or not one that signs")
        home = self._current()
        try:
            return self._judge(opened, home.ask(message, now, len(opened.content)), now)
        except (GpgSignatureError, GpgError):
            if home.is_whole():
                raise
        return self._judge(opened, self._current().ask(message, now, len(opened.content)), now)

    def close(self) -> None:
        """Remove its home."""
        self._home.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current(self) -> _Home:
        """Return the home, made anew where it is not as it was made."""
        with self._lock:
            if not self._home.is_whole():
                self._home.remove()
                self._home = _Home(self._keys.values(), self._env)
            return self._home

    def _judge(self, opened: SignedMessage, answer: _Answer, now: datetime) -> Vouched:
        said = answer.said
        counts = {word: sum(line[0] == word for line in said) for word in ("NEWSIG", "GOODSIG", "VALIDSIG")}
        bad = [line[0] for line in said if line[0] in _BAD]
        if bad or set(counts.values()) != {1} or answer.code != 0:
            raise GpgSignatureError(opened.issuer, _PROBLEMS.get(next(iter(bad), ""), "gpg does not call it good"))
        fields = next(line for line in said if line[0] == "VALIDSIG")[1:]
        key: PublicKey | None = self._keys.get(fields[9]) if len(fields) > 9 else None
        if key is None or fields[0] not in {key.fingerprint, *key.subkeys}:
            raise GpgSignatureError(opened.issuer, _PROBLEMS["NO_PUBKEY"])
        if fields[7] not in _DIGESTS or fields[8] != "00":
            raise GpgSignatureError(
                opened.issuer, "it is made over a digest that is too weak, or not over binary content"
            )
        made = datetime.fromtimestamp(int(fields[2]), UTC)
        if made > now + _SKEW:
            raise GpgSignatureError(opened.issuer, f"it claims to be from the future, {made:%Y-%m-%dT%H:%M:%SZ}")
        if answer.content != opened.content:
            raise GpgSignatureError(opened.issuer, "gpg read something else in it")
        ends = [datetime.fromtimestamp(int(fields[3]), UTC)] if int(fields[3]) else []
        expires = min([*ends, *([key.expires] if key.expires else [])], default=None)
        return Vouched(content=opened.content, fingerprint=key.fingerprint, made=made, expires=expires)


def remove_homes() -> None:
    """Remove all homes, as Python does at its exit where it gets to that."""
    for home in list(_HOMES):
        home.remove()


class _Answer(NamedTuple):
    said: list[list[str]]  # the words of each status line
    content: bytes
    code: int


class _Home:
    """A home of ``gpg`` that holds *keys* and nothing else. It goes with this object, if it is not removed before."""

    def __init__(self, keys: Iterable[PublicKey], env: Mapping[str, str]) -> None:
        path = Path(tempfile.mkdtemp(prefix="gpg-"))  # 0700
        self.remove = weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        _HOMES.add(self)
        self._ring = path / "keys.gpg"  # what gpg exports is a keyring as it is: nothing has to be imported
        self._ring.write_bytes(b"".join(key.raw for key in keys))
        self._gpg = copy(_prototype(tuple(sorted(env.items()))))
        self._gpg.gnupghome, self._gpg.keyring = str(path), [str(self._ring)]
        self._note_self_signatures()
        self._mark = self._stamp()

    def is_whole(self) -> bool:
        """Say whether the keys are there as they were put there."""
        try:
            return self._stamp() == self._mark
        except OSError:
            return False

    def ask(self, message: bytes, now: datetime, largest: int) -> _Answer:
        """Return what gpg says of *message* at *now*, and what it read in it, at most *largest* bytes.

        Raises:
            GpgError: It did not come to an answer.
        """
        seconds = int(now.timestamp())
        if not 0 < seconds <= _LAST:
            raise GpgError(f"it cannot judge at {now:%Y-%m-%d}")
        options = [f"--faked-system-time={seconds}!", f"--max-output={max(largest, 1)}"]
        result = self._run(lambda: self._gpg.decrypt(message, extra_args=options))
        said = status(result.stderr)
        if not said:
            raise GpgError(f"it ended with {result.returncode} and said nothing")
        return _Answer(said, result.data, result.returncode)

    def _note_self_signatures(self) -> None:
        """Have gpg note which of them hold, so that it need not compute that for each message; not when they do."""
        options = ["--rebuild-keydb-caches", f"--faked-system-time={_LAST}!"]  # no key is from later
        done = self._run(lambda: self._gpg._handle_io(options, BytesIO(), self._gpg.result_map["verify"](self._gpg)))  # noqa: SLF001 # it has no name of its own
        if done.returncode != 0:
            raise GpgError(f"it does not read the keys, and ended with {done.returncode}")

    @staticmethod
    def _run(call: Callable[[], Any]) -> Any:
        try:
            result = call()
        except OSError as exc:
            raise GpgError("it cannot be run") from exc
        if result.returncode < 0:
            raise GpgError(f"it was ended by signal {-result.returncode}, at the latest after {_LONGEST} s")
        return result

    def _stamp(self) -> tuple[int, int, int]:
        seen = self._ring.stat()
        return seen.st_ino, seen.st_size, seen.st_mtime_ns


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
        self._gpg = program(env, home)
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

        return self._passphrases.unlock(self.fingerprint, GPG, None, attempt)

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
        said = status(result.stderr)
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


def program(env: Mapping[str, str], home: Path | None, options: Sequence[str] = (), kind: Any = None) -> Any:
    """Return a ``gnupg.GPG``, or a *kind* of it, that works in *home*; raise :class:`GpgError` where there is none."""
    try:
        import gnupg  # type: ignore[import-untyped,unused-ignore]
    except ImportError as exc:
        raise GpgError("python-gnupg is not installed") from exc  # it is a dependency
    try:
        made = (kind or gnupg.GPG)(gnupghome=home and str(home), env=dict(env), options=[*_OPTIONS, *options])
    except (OSError, ValueError) as exc:
        raise GpgError("it cannot be run") from exc
    return made


@lru_cache(maxsize=8)
def _prototype(env: tuple[tuple[str, str], ...]) -> Any:
    """Return a ``gnupg.GPG`` for the verifying, which asked gpg for its version once, and needs a home yet."""
    import gnupg

    class Verifying(gnupg.GPG):  # type: ignore[misc,unused-ignore]
        """Reads all that comes of one process without a thread for each pipe, and for so long only."""

        def _handle_io(self, args: list[str], message: Any, result: Any, *_: object, **__: object) -> Any:
            with self._open_subprocess(args) as process:
                clock = threading.Timer(_LONGEST, process.kill)
                clock.daemon = True
                clock.start()
                try:
                    with suppress(AttributeError, OSError):  # a system without such limits, or a process that is over
                        resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
                    result.data, told = process.communicate(message.read())
                finally:
                    clock.cancel()
                    process.kill()  # where it did not end of itself
            result.stderr, result.returncode = told.decode("latin-1"), process.returncode
            return result

    return program(dict(env), None, ("--no-autostart", "--lock-never"), Verifying)


def status(stderr: str) -> list[list[str]]:
    """Return the words of each status line."""
    lines = (line.removeprefix(_MARK).split() for line in stderr.splitlines() if line.startswith(_MARK))
    return [line for line in lines if line]


_HOMES: Final[weakref.WeakSet[_Home]] = weakref.WeakSet()
_MARK = "[GNUPG:] "
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")
_SKEW: Final = timedelta(minutes=5)  # between the clocks of two machines
_LAST = (1 << 32) - 2  # second of 2106, which gpg can count
_LONGEST = 20  # seconds; a verification takes a few thousandths of one
_MEMORY = 1 << 30  # bytes of addresses; gpg has 20 MB of them
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
    "ERRSIG": "its key cannot vouch: it is not for signing, is younger than this, or rests on too weak a digest",
}
_DIGESTS = frozenset({"8", "9", "10"})  # SHA-256, SHA-384, SHA-512
_LOCKED = frozenset({11, 85, 99, 177})  # bad passphrase, no pinentry, cancelled, no passphrase: libgpg-error
