"""Changes to a collection, as they are staged.

What Notary's change files say (notary ``client/changelist``).
"""

from typing import TypeAlias

from trustreg.metadata import FileMeta
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class AddTarget:
    """Say in ``role`` that ``name`` has this content."""

    role: str
    name: str
    meta: FileMeta


@dataclass(frozen=True, kw_only=True)
class RemoveTarget:
    """Say nothing of ``name`` in ``role`` any more."""

    role: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Witness:
    """Sign ``role`` again as it stands."""

    role: str


Change: TypeAlias = AddTarget | RemoveTarget | Witness
