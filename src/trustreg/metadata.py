"""The model: what trust metadata says, whatever it is written in.

Units are settled by the codec before anything gets here: digests and keys are bytes, times are aware UTC,
integers are integers. Values are frozen. An :class:`Envelope` is a claim; only ``verify.signatures`` turns
one into a :class:`trustreg.verify.signatures.Verified`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Key:
    """A public key as metadata lists it.

    ``id`` is the id it is listed under. ``kind`` is ``ed25519``, ``ecdsa`` or ``rsa``; anything else is a key
    that cannot vouch for anything, and harms nobody. ``public`` is DER SubjectPublicKeyInfo, for ed25519 the
    32 raw bytes, and empty where ``certificates`` (DER, leaf first) carries the key. ``sound`` is false where
    the dialect computes ids from keys and this one does not compute: such a key does not count either.
    ``derived`` says whether ``id`` is the one that the dialect computes from the key. TUF lets publishers choose
    another (TAP 12); nobody can know a key by that.
    ``scheme`` is the one that ``verify.signatures`` holds its signatures to; empty where each of these names its own.
    """

    id: str
    kind: str
    public: bytes = b""
    certificates: tuple[bytes, ...] = ()
    sound: bool = True
    derived: bool = True
    scheme: str = ""
    spelled: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # as the dialect wrote it


@dataclass(frozen=True, kw_only=True)
class Role:
    """Who may sign: ``threshold`` distinct keys out of ``keyids``; ``extra`` keeps members without a field here."""

    name: str
    keyids: tuple[str, ...]
    threshold: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Delegation(Role):
    """A role that another one lets speak for some names.

    These are the names that start with one of ``prefixes`` (Notary), that one of ``patterns`` matches segment by
    segment, or whose sha256 begins, in hex, with one of ``hash_prefixes`` (TUF). What a ``terminating`` one covers and
    does not list, nobody after it may.
    """

    prefixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    hash_prefixes: tuple[str, ...] = ()
    terminating: bool = False

    def covers(self, name: str) -> bool:
        """Say whether *name* is among those this role may speak for."""
        if self.hash_prefixes and path_digest(name).startswith(self.hash_prefixes):
            return True
        return name.startswith(self.prefixes) or any(matches(name, pattern) for pattern in self.patterns)


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Delegations to ``2 ** bits`` roles that share all names by their hash: ``prefix-00`` to ``prefix-ff``.

    They are terminating, as they are wherever they are in use; TAP 15 says otherwise of them.

    Source: TAP 15.
    """

    prefix: str
    bits: int
    keyids: tuple[str, ...]
    threshold: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def __len__(self) -> int:
        return 1 << self.bits

    def __iter__(self) -> Iterator[Delegation]:
        return map(self._bin, range(len(self)))

    def of(self, name: str) -> Delegation:
        """Return the one bin that *name* belongs in."""
        return self._bin(int(path_digest(name)[:8], 16) >> (32 - self.bits))

    def named(self, role: str) -> Delegation | None:
        """Return the bin called *role*, or ``None``."""
        digits = role.removeprefix(f"{self.prefix}-")
        try:
            delegation = self._bin(int(digits, 16) % len(self))
        except ValueError:
            return None
        return delegation if delegation.name == role else None

    def _bin(self, number: int) -> Delegation:
        width = (self.bits + 3) // 4  # hex digits
        spare = 4 * width - self.bits
        first = number << spare
        return Delegation(
            name=f"{self.prefix}-{number:0{width}x}",
            keyids=self.keyids,
            threshold=self.threshold,
            hash_prefixes=tuple(f"{at:0{width}x}" for at in range(first, first + (1 << spare))),
            terminating=True,
        )


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
    ``delegations`` are in order of priority; where there are ``bins`` instead, there are none of them.
    """

    targets: Mapping[str, FileMeta] = field(hash=False)
    keys: Mapping[str, Key] = field(default_factory=dict, hash=False)
    delegations: tuple[Delegation, ...] = ()
    bins: Bins | None = None

    def delegation(self, name: str) -> Delegation | None:
        """Return the delegation to the role *name*, or ``None``."""
        if self.bins:
            return self.bins.named(name)
        return next((d for d in self.delegations if d.name == name), None)

    def delegates(self) -> Iterator[Delegation]:
        """Yield all delegations in order of priority."""
        return iter(self.bins or self.delegations)

    def covering(self, name: str) -> Iterator[Delegation]:
        """Yield the delegations that cover the target *name*, in order of priority."""
        return iter((self.bins.of(name),)) if self.bins else (d for d in self.delegations if d.covers(name))

    def followed(self, name: str) -> tuple[list[Delegation], bool]:
        """Return the delegations that a search for *name* follows from here, and whether they end it.

        A terminating one is the last, of all that the search had before it, too.

        Source: TUF 1.0.34 section 5.6.7.2.
        """
        found: list[Delegation] = []
        for delegation in self.covering(name):
            found.append(delegation)
            if delegation.terminating:
                return found, True
        return found, False


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature: by which key id, how, and its bytes.

    ``scheme`` is one that ``verify.signatures`` knows; any other is a signature that cannot count. It is empty where
    the key says how it signs.
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


def target_path(name: str, meta: FileMeta, *, consistent: bool) -> str:
    """Return where a repository has the target *name*: with its digest in front where snapshots are consistent.

    Source: TUF 1.0.34 section 5.7.3.
    """
    if not consistent:
        return name
    digest = next((meta.hashes[algorithm] for algorithm in (*STRONG, *meta.hashes) if algorithm in meta.hashes), b"")
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{digest.hex()}.{base}"


def path_digest(name: str) -> str:
    """Return the sha256 of the target *name* in hex: what hash prefixes and bins go by (TUF 1.0.34 section 4.5)."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def matches(name: str, pattern: str) -> bool:
    """Say whether *pattern* matches *name* segment by segment: no wildcard crosses a slash, and case counts everywhere.

    Source: TUF 1.0.34 section 4.5.
    """
    if name.count("/") != pattern.count("/"):
        return False
    if _WILD.isdisjoint(pattern):  # most are, and there may be thousands
        return name == pattern
    return all(map(_matches_segment, name.split("/"), pattern.split("/")))


def _matches_segment(segment: str, pattern: str) -> bool:
    """Match without a regular expression: one would be compiled for each pattern of each file."""
    if "[" in pattern:
        return fnmatchcase(segment, pattern)
    at = begun = 0
    star, tried = -1, 0
    while at < len(segment):
        if begun < len(pattern) and pattern[begun] == "*":
            star, tried = begun, at
            begun += 1
        elif begun < len(pattern) and pattern[begun] in {"?", segment[at]}:
            at, begun = at + 1, begun + 1
        elif star >= 0:  # let the last star take one more
            tried += 1
            at, begun = tried, star + 1
        else:
            return False
    return not pattern[begun:].strip("*")


STRONG: Final = ("sha256", "sha512")
"""Digests that can be relied on, the usual one first."""
_WILD = frozenset("*?[")
