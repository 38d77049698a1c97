"""The keys that a command names, or makes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from trustreg.cli.render import say
from trustreg.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trustreg.metadata import Key
    from trustreg.names import Gun
    from trustreg.wire import Wiring


class Keys:
    """The keys of a command: those it names, or a new one; a new one goes again if it was not needed in the end."""

    def __init__(self, wiring: Wiring, gun: Gun) -> None:
        self._wiring, self._gun = wiring, gun
        self._made: list[Key] = []

    def named(self, texts: tuple[str, ...], role: str, kind: str | None = None) -> tuple[Key, ...]:
        """Return the keys *texts*, or a new one for *role*."""
        return tuple(self._wiring.public_key(text, self._gun, role) for text in texts) or (self.new(role, kind),)

    def new(self, role: str, kind: str | None = None) -> Key:
        """Return a new key for *role*."""
        self._made.append(self._wiring.new_key(role, self._gun, kind))
        return self._made[-1]

    def announce(self) -> None:
        """Say which are new."""
        for key in self._made:
            plain = self._wiring.plain_id(key)
            say(f"trustreg: made key {plain}{f', listed as {key.id}' if key.id != plain else ''}", err=True)

    def forget(self) -> None:
        """Remove what was made."""
        for key in self._made:
            self._wiring.forget_key(key)


def pick(wiring: Wiring, listed: Iterable[Key], text: str, name: str) -> str:
    """Return the id of the one of *listed* that *text* means: how an id begins, or what else names a key.

    Raises:
        KeyFileError: None of the keys of the role *name* is called so, or several are.
    """
    called = text.lower()
    keys = {key.id: wiring.plain_id(key) for key in listed}
    found = [i for i, plain in keys.items() if called and (i.startswith(called) or plain.startswith(called))]
    if not found:
        with suppress(KeyFileError):
            meant = wiring.plain_id(wiring.public_key(text))
            found = [keyid for keyid, plain in keys.items() if plain == meant]
    if len(found) != 1:
        raise KeyFileError(name, f"{'several' if found else 'none'} of its keys are called {text}")
    return found[0]
