"""The model: what trust metadata says, whatever it is written in.

Units are settled by the codec before anything gets here: digests and keys are bytes, times are aware UTC,
integers are integers. Values are frozen. An :class:`Envelope` is a claim; only ``verify.signatures`` turns
one into a :class:`trustreg.verify.signatures.Verified`.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Key:
    """A public key as metadata lists it.

    ``id`` is the id it is listed under. ``kind`` is ``ed25519``, ``ecdsa`` or ``rsa``; anything else is a key
    that cannot vouch for anything, and harms nobody. ``public`` is DER SubjectPublicKeyInfo, for ed25519 the
    32 raw bytes, and empty where ``certificates`` (DER, leaf first) carries the key. ``sound`` is false where
    the dialect computes ids from keys and this one does not compute: such a key does not count either.
    """

    id: str
    kind: str
    public: bytes = b""
    certificates: tuple[bytes, ...] = ()
    sound: bool = True
    spelled: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # as the dialect wrote it


@dataclass(frozen=True, kw_only=True)
class Role:
    """Who may sign: ``threshold`` distinct keys out of ``keyids``."""

    name: str
    keyids: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True, kw_only=True)
class Delegation(Role):
    """A role that another one lets speak for some names: those that start with one of ``prefixes``."""

    prefixes: tuple[str, ...] = ()

    def covers(self, name: str) -> bool:
        """Say whether *name* is among those this role may speak for."""
        return any(name.startswith(prefix) for prefix in self.prefixes)


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """A listed file: ``length`` in bytes, digests raw, by algorithm.

    ``version`` is 0 where a dialect lists none, so it never outranks a real one. ``custom`` is what the
    publishers added, as parsed JSON, or ``None``.
    """

    version: int = 0
    length: int | None = None
    hashes: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    custom: Any = field(default=None, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", MappingProxyType(dict(self.hashes)))


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What every role states; ``extra`` keeps members the model has no field for."""

    version: int
    expires: datetime
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Root(Signed):
    """Which keys may sign for which top-level role."""

    keys: Mapping[str, Key] = field(hash=False)
    roles: Mapping[str, Role] = field(hash=False)
    consistent_snapshot: bool = False
    certified: bool = False  # root keys have to be certificates naming the collection (Notary)


@dataclass(frozen=True, kw_only=True)
class Timestamp(Signed):
    """Which snapshot is current; short-lived."""

    snapshot: FileMeta


@dataclass(frozen=True, kw_only=True)
class Snapshot(Signed):
    """Which files of all other roles belong together, by role name."""

    meta: Mapping[str, FileMeta] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class Targets(Signed):
    """Which names have which content, and who else may say so.

    ``targets`` may read its entries on access; a malformed one raises :class:`FormatError` there.
    ``delegations`` are in order of priority.
    """

    targets: Mapping[str, FileMeta] = field(hash=False)
    keys: Mapping[str, Key] = field(default_factory=dict, hash=False)
    delegations: tuple[Delegation, ...] = ()

    def delegation(self, name: str) -> Delegation | None:
        """Return the delegation to *name*, or ``None``."""
        return next((d for d in self.delegations if d.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature: by which key id, how, and its bytes.

    ``scheme`` is one that ``verify.signatures`` knows; any other is a signature that cannot count.
    """

    keyid: str
    scheme: str
    value: bytes


S_co = TypeVar("S_co", bound=Signed, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Envelope(Generic[S_co]):
    """A claim: what was received for ``role``, read but not believed.

    ``payload`` is the exact bytes that signatures cover, ``raw`` the exact bytes that came in.
    """

    role: str
    signed: S_co
    payload: bytes = field(repr=False)
    signatures: tuple[Signature, ...]
    raw: bytes = field(repr=False)
