"""Changes to a collection, as they are staged.

The first five, and :class:`Undelegate`, are what Notary's change files say (notary ``client/changelist``); two of them,
:class:`Amend` and :class:`Purge`, are for collections of Notary alone, and :class:`Delegate` and :class:`DelegateBins`
for those of TUF.

``role`` is the role whose word changes; for a change of keys it is the role whose keys these are. A change that finds
things as it wants them changes nothing, so that one whose publication broke off can be published again.
"""

import re
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from trustreg.metadata import FileMeta, Key
from trustreg.names import TOP_LEVEL
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class AddTarget:
    """Say in ``role`` that ``name`` has this content; where ``role`` has bins, in the bin of ``name``."""

    role: str
    name: str
    meta: FileMeta


@dataclass(frozen=True, kw_only=True)
class RemoveTarget:
    """Say nothing of ``name`` in ``role`` any more; where ``role`` has bins, in the bin of ``name``."""

    role: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Witness:
    """Sign ``role`` again as it stands."""

    role: str


@dataclass(frozen=True, kw_only=True)
class Amend:
    """Change the terms on which ``role`` lets ``name`` speak; where it does not yet, it does from now on (Notary).

    The delegated role itself is published by those who sign it, whenever they have something to say.

    Attributes:
        role: The delegator, which is what the name of a role begins with.
        name: The role that is delegated to.
        add_keys: Keys that may sign it from now on; one that may already stays.
        remove_keys: Ids of keys that may not any more; one that may not anyway is passed over.
        add_paths: What the names of targets begin with that it may speak for besides; ``""`` is all of them.
        remove_paths: Those for which it may not any more.
        clear_paths: Whether it may speak for none but ``add_paths``.
        threshold: How many keys have to sign it; as many as before where it is ``None``, and 1 for a new one.
    """

    role: str
    name: str
    add_keys: tuple[Key, ...] = ()
    remove_keys: tuple[str, ...] = ()
    add_paths: tuple[str, ...] = ()
    remove_paths: tuple[str, ...] = ()
    clear_paths: bool = False
    threshold: int | None = None


@dataclass(frozen=True, kw_only=True)
class Purge:
    """Let none of the keys with the ids ``keys`` sign any role that ``role`` delegates to (Notary)."""

    role: str
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SetKeys:
    """Change who signs ``role``: a top-level role, a delegated one, or all bins of one prefix.

    Attributes:
        role: The role.
        add: Keys that may sign it from now on; one that may already stays.
        remove: Ids of keys that may not any more; one that may not anyway is passed over.
        threshold: How many of them have to; as many as before where it is ``None``.
        delegator: Whose delegation it is; only needed where several roles delegate to it.
    """

    role: str
    add: tuple[Key, ...] = ()
    remove: tuple[str, ...] = ()
    threshold: int | None = None
    delegator: str | None = None


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """Have ``role`` let ``name`` speak for some targets; where it does so already, by these terms from now on.

    A role that is new begins empty, and is published at once: readers refuse one that is delegated to and not there.

    Attributes:
        role: The delegator.
        name: The role that is delegated to.
        keys: Who may sign it.
        threshold: How many of them have to.
        patterns: For which targets: globs, segment by segment. Either these or ``hash_prefixes``.
        hash_prefixes: For which targets: beginnings of the sha256 of their names, in lower-case hex.
        terminating: What it may speak for and does not list, nobody after it may.
        position: Its place among the delegations of ``role``, 0 the first; where ``None``, the one it has, or the last.
    """

    role: str
    name: str
    keys: tuple[Key, ...]
    threshold: int = 1
    patterns: tuple[str, ...] = ()
    hash_prefixes: tuple[str, ...] = ()
    terminating: bool = False
    position: int | None = None


@dataclass(frozen=True, kw_only=True)
class Undelegate:
    """Have ``role`` no longer let ``name`` speak; ``name`` may be the prefix of its bins."""

    role: str
    name: str


@dataclass(frozen=True, kw_only=True)
class DelegateBins:
    """Spread all targets of ``role`` over ``2 ** bits`` roles ``prefix-…`` by the hash of their names.

    Where it has bins already, their targets move to the new ones; the old ones are no longer delegated to.

    Attributes:
        role: The delegator; bins are the only delegations it can have.
        bits: 1 to 16.
        prefix: What the names of the bins begin with.
        keys: Who may sign the bins; empty: who may sign those that there are.
        threshold: How many of them have to; where ``None``, as many as with the bins that there are, or 1.
    """

    role: str
    bits: int
    prefix: str
    keys: tuple[Key, ...] = ()
    threshold: int | None = None


@dataclass(frozen=True, kw_only=True)
class SetExpiry:
    """Say until when ``role`` is good, or for how long from now on each time that it is signed.

    Attributes:
        role: The role, which is signed anew.
        expires: When its next version expires; later ones go by its lifetime again.
        lifetime: For how long each version is good from when it is signed, in whole seconds. It is kept in the role
            itself; zero takes it out again, and then what the publisher is set up for counts.
    """

    role: str
    expires: datetime | None = None
    lifetime: timedelta | None = None


Change: TypeAlias = (
    AddTarget | RemoveTarget | Witness | Amend | Purge | SetKeys | Delegate | Undelegate | DelegateBins | SetExpiry
)


def role_name_problem(name: str) -> str | None:
    """Say why no role that is delegated to should be called *name*, or ``None``.

    Its file lies beside those of all others, on any disk: ``1.root`` would be a root, and ``Root`` is ``root`` where
    case does not count.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > _LONGEST:
        return f"it needs 1 to {_LONGEST} bytes"
    if not name.isprintable() or "\\" in name:
        return "it holds a character that has no place in a name"
    if name.casefold() in TOP_LEVEL:
        return "it is that of a top-level role, or would be where case does not count"
    if _VERSIONED.match(name):
        return "it begins like the file of a version"
    if set(name.split("/")) & {"", ".", ".."}:
        return "its parts between slashes may not be empty, '.' or '..'"
    return None


LIFETIME: Final = "x-trustreg-lifetime"  # a member of the signed part: for how many seconds a version is good
MOST_BITS: Final = 16  # readers follow that many delegations
_LONGEST = 200
_VERSIONED = re.compile(r"[0-9]+\.")
