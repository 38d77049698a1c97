"""The keys that a command names, or makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustreg.cli.render import say

if TYPE_CHECKING:
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
            say(f"trustreg: made key {self._wiring.plain_id(key)}, listed as {key.id}", err=True)

    def forget(self) -> None:
        """Remove what was made."""
        for key in self._made:
            self._wiring.forget_key(key)
