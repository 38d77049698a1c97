"""What the workflow asks for. A decision is a value, an effect is one of these."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from trustreg.values import dataclass, field


@dataclass(frozen=True)
class Floor:
    """What was trusted last for a role: nothing older, and nothing else of that version, may follow.

    ``keys`` are fingerprints of the keys that vouched. A role whose keys were replaced since starts anew; without
    ``keys`` it never does. ``listed`` is what it said of others, by role: as long as the floor stands, none of these
    versions may fall.
    """

    version: int
    sha256: str
    keys: tuple[str, ...] = ()
    listed: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Memory:
    """What outlives the cached files: the floor of each role, and when the last refresh succeeded.

    ``walked`` is when a newer root was last asked for. ``begun`` is the sha256 of the root that somebody brought, and
    that led to the one that is trusted.
    """

    floors: Mapping[str, Floor] = field(default_factory=dict)
    refreshed: datetime | None = None
    walked: datetime | None = None
    begun: str = ""


@dataclass(frozen=True)
class Remember:
    """Ask for the :class:`Memory` of this collection; an empty one if there is none."""


@dataclass(frozen=True)
class Recall:
    """Ask for the bytes kept for ``role``, or ``None``."""

    role: str


@dataclass(frozen=True)
class Want:
    """Ask the repository for ``path``, at most ``limit`` bytes, or ``None`` where it has no such file."""

    role: str
    path: str
    limit: int


@dataclass(frozen=True)
class Keep:
    """Hand over what passed every check: files by role, and the memory that goes with them. No answer.

    ``against`` is the memory that they were checked against: where another process has changed it meanwhile, its
    floors and these have to be reconciled.
    """

    files: Mapping[str, bytes]
    memory: Memory
    against: Memory = field(default_factory=Memory)


Request: TypeAlias = Remember | Recall | Want | Keep
Answer: TypeAlias = Memory | bytes | None
