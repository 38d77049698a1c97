"""The GPG keys that somebody has: found by what they are called, made, and handed out.

What people type is no argument of ``gpg``. It lists all secret keys, and which one is meant is decided here; it makes
keys by what is written to its standard input.
"""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trustreg.errors import GpgError, NameFormError, PassphraseError, SettingError
from trustreg.io.files import private_dir
from trustreg.io.gpg import program, status
from trustreg.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """A primary key whose private half is in a home of ``gpg``, or on a card that it knows.

    Attributes:
        fingerprint: Its own, 40 or 64 upper-case hex digits.
        keyid: The end of that, 16 digits.
        subkeys: The fingerprints and ids of its subkeys.
        names: Its user ids.
        problem: Why it cannot sign; "" where it can.
    """

    fingerprint: str
    keyid: str
    subkeys: tuple[str, ...]
    names: tuple[str, ...]
    problem: str

    def __str__(self) -> str:
        return f"{self.fingerprint} ({', '.join(self.names) or 'without a name'})"


class GpgKeys:
    """The keys in a home of ``gpg``.

    Args:
        home: The home; ``None`` for the one that ``gpg`` uses of itself.
        env: The environment.

    Raises:
        SettingError: *home* is no folder.
        GpgError: There is no gpg, or it does not work.
    """

    def __init__(self, home: Path | None, env: Mapping[str, str]) -> None:
        if home and not home.is_dir():
            raise SettingError("GPG home", f"{home} is not a folder")
        self._home = _home(home, env)
        self._gpg = program(env, home)
        self._gpg.encoding, self._gpg.decode_errors = "utf-8", "replace"

    def secret(self) -> tuple[SecretKey, ...]:
        """Return the keys that are here with their private half.

        Raises:
            GpgError: gpg does not work.
        """
        if not self._home.exists():  # that of somebody who never had a key
            return ()
        found = self._gpg.list_keys(True)  # noqa: FBT003 # by position, and of that name
        if found.returncode:
            raise GpgError("it does not list its secret keys")
        return tuple(map(_secret_key, found))

    def find(self, text: str) -> SecretKey:
        """Return the one key that can sign and is called *text*.

        Args:
            text: Its fingerprint, its key id, a user id of it, or the name or the mail address in one.

        Raises:
            SettingError: There is none, or more than one.
            GpgError: gpg does not work.
        """
        keys = self.secret()
        called = [key for key in keys if _is_called(key, text)]
        usable = [key for key in called if not key.problem] or called
        if len(usable) == 1 and not usable[0].problem:
            return usable[0]
        plain = _hexadecimal(text)
        above = [key for key in keys if plain and any(name.endswith(plain) for name in key.subkeys)]
        if len(usable) == 1:
            problem = f"{usable[0]} cannot sign: {usable[0].problem}"
        elif above and not called:
            problem = f"{text} is a subkey of {above[0]}: name that one, images are signed by primary keys"
        elif called:
            problem = f"{text!r} is what {len(called)} keys are called: name one by its fingerprint"
        else:
            problem = f"no key is here with its private half that is called {text!r}"
        failed = SettingError("GPG key", problem)
        for key in usable if called else keys[:8]:
            failed.add_note(f"there is {key}")
        if not keys:
            failed.add_note("make one: trustreg key generate --gpg NAME")
        raise failed

    def generate(self, name: str, kind: str, passphrase: str | None, expires: datetime | None) -> str:
        """Make a primary key that signs, and return its fingerprint.

        Args:
            name: Whose it is: ``Release``, ``release@team.example`` or ``Release <release@team.example>``.
            kind: ``ed25519`` or ``rsa``.
            passphrase: To encrypt it under; ``None`` leaves it unprotected.
            expires: When it does; ``None`` for never.

        Raises:
            NameFormError: *name* is none of these.
            PassphraseError: ``gpg`` would read another passphrase.
            GpgError: It made none.
        """
        lines = [
            *_KINDS[kind],
            "Key-Usage: sign",
            *_named(name),
            f"Expire-Date: {expires.astimezone(UTC):%Y%m%dT%H%M%S}" if expires else "Expire-Date: 0",
            "%no-protection" if passphrase is None else f"Passphrase: {_writable(name, passphrase)}",
            "%commit",
        ]
        made = self._gpg.gen_key("".join(f"{line}\n" for line in lines))
        if made.returncode or not made.fingerprint:
            said = " ".join(sorted({line[0] for line in status(made.stderr)}))
            raise GpgError(f"it did not make a key: {said or 'it gave no reason'}")
        fingerprint: str = made.fingerprint
        return fingerprint

    def public(self, fingerprint: str) -> bytes:
        """Return the public key *fingerprint* as others import it, in ASCII armour and without what others say of it.

        Raises:
            GpgError: It is not there.
        """
        armoured: str = self._gpg.export_keys([fingerprint], minimal=True)
        if not armoured:
            raise GpgError(f"it does not export key {fingerprint}")
        return armoured.encode()


def make_home(home: Path | None, env: Mapping[str, str]) -> Path:
    """Make the folder *home* for ``gpg``, if there is none, so that nobody else sees into it; return where it is.

    ``None`` is the one that ``gpg`` uses of itself. That makes it too, but not where its options are not to be read.
    """
    where = _home(home, env)
    private_dir(where)
    return where


def _home(home: Path | None, env: Mapping[str, str]) -> Path:
    return home or Path(env.get("GNUPGHOME") or Path(env.get("HOME", "~")).expanduser() / ".gnupg")


def _secret_key(row: Any) -> SecretKey:
    subkeys = ((fingerprint or "", keyid) for keyid, _, fingerprint, _ in row["subkeys"])
    return SecretKey(
        fingerprint=row["fingerprint"],
        keyid=row["keyid"],
        subkeys=tuple(name for names in subkeys for name in names if name),
        names=tuple(row["uids"]),
        problem=_problem(row),
    )


def _problem(row: Any) -> str:
    if row["token"] == "#":  # noqa: S105 # a mark of gpg's, no secret
        return "only subkeys of it are here, and its own private half is elsewhere"
    if (known := _VALIDITY.get(row["trust"])) is not None:
        return known
    return "" if "s" in row["cap"] else "it is not made for that"


def _is_called(key: SecretKey, text: str) -> bool:
    if plain := _hexadecimal(text):
        return plain == key.fingerprint or (len(plain) <= 16 and key.keyid.endswith(plain))
    return any(text in names for names in map(_names, key.names))


def _hexadecimal(text: str) -> str:
    plain = text.replace(" ", "").removeprefix("0x").upper()
    return plain if _HEX.fullmatch(plain) else ""


def _names(uid: str) -> Iterator[str]:
    """Yield what a user id calls somebody: all of it, its name, and its mail address."""
    yield uid
    if found := _UID.fullmatch(uid):
        yield from filter(None, (found["name"], found["mail"]))


def _named(name: str) -> Iterator[str]:
    found = _NAME.fullmatch(name)
    if not found or not name.isprintable():
        raise NameFormError(name, "name of a key", "it has to be a name, a mail address, or NAME <ADDRESS>")
    if found["name"]:
        yield f"Name-Real: {found['name']}"
    if mail := found["mail"] or found["alone"]:
        yield f"Name-Email: {mail}"


def _writable(name: str, passphrase: str) -> str:
    if not passphrase or passphrase != passphrase.strip() or not passphrase.isprintable():
        raise PassphraseError(name, "gpg takes one line for it, without blanks at its beginning and end")
    return passphrase


_HEX = re.compile(r"[0-9A-F]{8}|[0-9A-F]{16}|[0-9A-F]{40}|[0-9A-F]{64}")
_UID = re.compile(r"(?P<name>[^<>]*?)(?: \([^<>()]*\))?(?: ?<(?P<mail>[^<>]+)>)?")
_MAIL = r"[^\s<>()@]+@[^\s<>()@]+"
_NAME = re.compile(rf"(?P<alone>{_MAIL})|(?P<name>[^\s<>()@](?:[^<>()@]*[^\s<>()@])?)(?: <(?P<mail>{_MAIL})>)?")
_KINDS: Final = {
    "ed25519": ("Key-Type: eddsa", "Key-Curve: ed25519"),
    "rsa": ("Key-Type: RSA", "Key-Length: 3072"),
}
_VALIDITY: Final = {
    "e": "it has expired",
    "r": "it was revoked",
    "d": "it is disabled",
    "i": "gpg calls it invalid",
}
