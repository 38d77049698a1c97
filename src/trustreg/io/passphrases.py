"""Where passphrases come from: a file, the environment, a person at a terminal. Never argv.

Variables of the Go clients mean what they mean to them: ``NOTARY_ROOT_PASSPHRASE`` and its three sisters,
``DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE`` and ``DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE``. ``TRUSTREG_PASSPHRASE``
is for every key. No passphrase is ever part of a message, a log line or a ``repr``.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from trustreg.errors import PassphraseError
from trustreg.io.files import read_bounded
from trustreg.names import ROOT, SNAPSHOT, TARGETS

Prompt: TypeAlias = Callable[[str], str]  # asks one question, shows nothing of the answer

NEW: Final = "TRUSTREG_NEW_PASSPHRASE"
PIN: Final = "TRUSTREG_HSM_PIN"
GPG: Final = (
    "GPG"  # in the place of a role: keys of gpg, which may be on cards that lock themselves after a few wrong PINs
)

T = TypeVar("T")


class Passphrases:
    """Finds the passphrase of a key, and remembers it for as long as this object lives.

    Args:
        environ: The environment.
        file: A file with one passphrase, for every key; it wins over the environment.
        prompt: Asks a person; ``None`` where there is nobody to ask.
    """

    def __init__(self, environ: Mapping[str, str], *, file: Path | None = None, prompt: Prompt | None = None) -> None:
        self._environ, self._file, self._prompt = environ, file, prompt
        self._known: dict[str, str] = {}
        self._typed: list[str] = []  # what a person has typed, and was right
        self._chosen = ""  # what a person chose for a new key last

    def unlock(self, key: str, role: str | None, gun: str | None, attempt: Callable[[str], T]) -> T:
        """Return what *attempt* makes of the right passphrase of *key*.

        What was given beforehand is tried first, all of it: the tools that share a key call its passphrase by
        different names. A person is asked only where nothing was given, three times at most, and where nothing opens
        the key that the person has typed for another.

        Args:
            key: A key id, or what else names the key in messages.
            role: What the key signs for; says which variables count. None where nobody knows. For ``GPG``, nothing is
                tried that may be meant for other keys.
            gun: The collection it signs for, for the question.
            attempt: Raises :class:`PassphraseError` where the passphrase is wrong.

        Raises:
            PassphraseError: There is none, or none fits.
        """
        if key in self._known:
            try:
                return attempt(self._known[key])
            except PassphraseError:  # it was changed since
                del self._known[key]
        given = list(self._given(role))
        for _, passphrase in given:
            try:
                found = attempt(passphrase)
            except PassphraseError:
                continue
            self._known[key] = passphrase
            return found
        if given:
            sources = ", ".join(source for source, _ in given)
            raise PassphraseError(key, f"the passphrase is wrong (from {sources})")
        for passphrase in self._typed if role != GPG else ():
            with suppress(PassphraseError):
                found = attempt(passphrase)
                self._known[key] = passphrase
                return found
        if self._prompt is None:
            raise self._nobody(key, role, "it is encrypted, and there is nobody to ask for its passphrase")
        question = f"Passphrase of {_describe(key, role, gun)}"
        for _ in range(_ATTEMPTS):
            passphrase = self._prompt(question)
            try:
                found = attempt(passphrase)
            except PassphraseError:
                question = f"Wrong. Passphrase of {_describe(key, role, gun)}"
                continue
            self._known[key] = passphrase
            self._typed.append(passphrase)
            return found
        raise PassphraseError(key, f"the passphrase was wrong {_ATTEMPTS} times")

    def choose(self, key: str, role: str | None, gun: str | None, *, replacing: bool = False) -> str:
        """Return a passphrase to encrypt *key* under.

        Args:
            key: A key id.
            role: What the key signs for.
            gun: The collection it signs for, for the question.
            replacing: The key has a passphrase, and what is given for it is that one: only
                ``TRUSTREG_NEW_PASSPHRASE`` or a person can name another.

        Raises:
            PassphraseError: There is none, or the person did not manage to type one of 8 characters twice alike.
        """
        new = self._environ.get(NEW)
        given = new or (None if replacing else next((passphrase for _, passphrase in self._given(role)), None))
        if given:
            return given
        if self._prompt is None:
            if replacing:
                raise PassphraseError(key, "there is nobody to ask for a new passphrase", f"set {NEW}")
            raise self._nobody(key, role, "there is nobody to ask for a passphrase to encrypt it under")
        lead, again = "", " (nothing: the same again)" if self._chosen and not replacing else ""
        for _ in range(_ATTEMPTS):
            passphrase = self._prompt(f"{lead}New passphrase of {_describe(key, role, gun)}{again}")
            if again and not passphrase:
                return self._chosen
            if len(passphrase) < _SHORTEST:
                lead = f"At least {_SHORTEST} characters. "
            elif self._prompt("Once more") != passphrase:
                lead = "They differ. "
            else:
                self._chosen = passphrase
                return passphrase
        raise PassphraseError(key, "no new passphrase was chosen")

    def secret(self, key: str, name: str) -> str:
        """Return the secret *name* that whatever holds *key* asks for: ``pin`` is that of an HSM.

        Raises:
            PassphraseError: There is none.
        """
        if given := self._environ.get(PIN):
            return given
        remembered = f"{key} {name}"
        if remembered not in self._known:
            if self._prompt is None:
                raise PassphraseError(key, f"there is nobody to ask for its {name}", f"set {PIN}")
            self._known[remembered] = self._prompt(f"{name} of {key}")
        return self._known[remembered]

    def _given(self, role: str | None) -> Iterator[tuple[str, str]]:
        if self._file is not None:
            yield str(self._file), self._in_file(self._file)
            return
        for name in _variables(role):
            if value := self._environ.get(name):  # set to nothing is not set, as Go has it
                yield name, value

    def _in_file(self, file: Path) -> str:
        # A pipe can be read once only, and whoever asks twice means the same file.
        if (source := f"file {file}") not in self._known:
            text = read_bounded(file, _LONGEST, pipes=True).decode("utf-8", "surrogateescape")
            lines = text.removesuffix("\n").removesuffix("\r").split("\n")
            if len(lines) > 1:
                raise PassphraseError(str(file), "this file has to hold one passphrase, in one line")
            if not lines[0]:
                raise PassphraseError(str(file), "this file holds no passphrase")
            self._known[source] = lines[0]
        return self._known[source]

    def _nobody(self, key: str, role: str | None, problem: str) -> PassphraseError:
        *most, last = _variables(role)
        either = f"{', '.join(most)} or " if most else ""
        return PassphraseError(key, problem, f"set {either}{last}, or use --passphrase-file")


def terminal_prompt(hushed: Callable[[], AbstractContextManager[None]] = nullcontext) -> Prompt | None:
    """Return what asks the person at the terminal, or ``None`` where there is no terminal.

    Args:
        hushed: Keeps everything else from writing to the terminal meanwhile.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        import click

        with hushed():
            answer: str = click.prompt(question, default="", show_default=False, hide_input=True, err=True)
        return answer

    return ask


def _variables(role: str | None) -> tuple[str, ...]:
    if role == GPG:
        return ("TRUSTREG_PASSPHRASE",)
    if role is None:  # a file that does not say: whatever is set might be it
        return "TRUSTREG_PASSPHRASE", *_NOTARY.values(), _OTHERS, _DOCKER_ROOT, _DOCKER
    return "TRUSTREG_PASSPHRASE", _NOTARY.get(role, _OTHERS), _DOCKER_ROOT if role == ROOT else _DOCKER


def _describe(key: str, role: str | None, gun: str | None) -> str:
    name = key if len(key) != 64 else key[:12]
    return f"the {role or 'private'} key {name}" + (f" of {gun}" if gun else "")


_ATTEMPTS = 3
_SHORTEST = 8  # characters, as the Go clients demand of a person
_LONGEST = 4096  # bytes of a passphrase file
_NOTARY = {
    ROOT: "NOTARY_ROOT_PASSPHRASE",
    TARGETS: "NOTARY_TARGETS_PASSPHRASE",
    SNAPSHOT: "NOTARY_SNAPSHOT_PASSPHRASE",
}
_OTHERS = "NOTARY_DELEGATION_PASSPHRASE"
_DOCKER_ROOT = "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"
_DOCKER = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"
