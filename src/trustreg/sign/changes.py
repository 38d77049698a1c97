"""Changes to a collection, as they are staged.

The same five things that Notary's change files say (notary ``client/changelist``).
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from trustreg.metadata import FileMeta, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTarget:
    """Say in ``role`` that ``name`` has this content."""

    role: str
    name: str
    meta: FileMeta


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTarget:
    """Say nothing of ``name`` in ``role`` any more."""

    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDelegation:
    """Create the delegation ``role`` or change its keys, prefixes and threshold."""

    role: str
    add_keys: tuple[Key, ...] = ()
    remove_keys: tuple[str, ...] = ()  # ids of the plain keys
    add_prefixes: tuple[str, ...] = ()
    remove_prefixes: tuple[str, ...] = ()
    clear_prefixes: bool = False
    threshold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDelegation:
    """Delegate to ``role`` no longer."""

    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeKeys:
    """Take these keys (ids of the plain keys) out of every delegation below ``role``."""

    role: str
    keyids: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Sign ``role`` again as it stands."""

    role: str


Change: TypeAlias = AddTarget | RemoveTarget | ChangeDelegation | RemoveDelegation | PurgeKeys | Witness
