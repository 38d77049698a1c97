"""A complete copy of a collection: every file that it takes to verify it elsewhere, each of them verified here.

The collection is read as any reader reads it, with pins and with what is remembered of it. To that come the older
roots, which those need who trusted one of them last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast

from trustreg.client import Site, drive
from trustreg.dialect import Dialect
from trustreg.errors import FormatError, TooLargeError, UntrustedError, VersionError
from trustreg.metadata import Envelope, Root, Signed
from trustreg.names import ROOT, SNAPSHOT, TIMESTAMP, Gun
from trustreg.ports import Cache
from trustreg.values import dataclass, field
from trustreg.verify.pinning import anchor, succeed
from trustreg.verify.requests import Keep, Memory, Want
from trustreg.verify.signatures import Verified
from trustreg.verify.workflow import Limits


@dataclass(frozen=True, kw_only=True)
class Copied:
    """A collection as it stood at one moment.

    Attributes:
        gun: Its name.
        dialect: How it is written.
        where: Where it was read.
        taken: When.
        roots: Every version of its root from the first that was to be had, oldest first: each signed by the keys of
            the one before, the last one current. The first vouches for itself.
        roles: All roles by name, each after the one that delegates to it; ``root`` is the last of ``roots``.
        failed: The delegated roles that are left out, and why: each failed a check, and what it delegates to is
            missing, too.
        expires: When the first of ``roles`` expires.
        first_use: The root was believed because it came first.
    """

    gun: Gun
    dialect: Dialect
    where: str
    taken: datetime
    roots: tuple[Verified[Root], ...] = field(repr=False)
    roles: Mapping[str, Verified[Signed]] = field(hash=False, repr=False)
    failed: Mapping[str, UntrustedError] = field(hash=False)
    expires: datetime
    first_use: bool

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file by each path at which readers ask for it.

        Who writes them in this order never has a file that leads to one that is not there yet: the timestamp is last.
        """
        dialect, root = self.dialect, self.roots[-1]
        consistent = root.signed.consistent_snapshot
        for role, part in self.roles.items():
            if role not in {ROOT, TIMESTAMP}:
                listed = dialect.listed(part.raw, part.signed.version)
                yield dialect.locate(role, listed, consistent=consistent), part.raw
        for old in self.roots:
            yield dialect.locate(ROOT, version=old.signed.version), old.raw
        if not dialect.rules.by_version:  # readers begin with the current root, or ask for it by its digest
            yield dialect.locate(ROOT, dialect.listed(root.raw, root.signed.version)), root.raw
            yield dialect.locate(ROOT), root.raw
        yield dialect.locate(TIMESTAMP), self.roles[TIMESTAMP].raw


def copy(site: Site, now: datetime, *, dangerous_skip_expiry: bool = False) -> Copied:
    """Read all of the collection at *site*, verified as of *now*; target files are no part of it.

    Args:
        site: Where it lives. What is read is remembered in its cache, as ever.
        now: The time.
        dangerous_skip_expiry: Read what has expired, too. Nothing of it is remembered then.

    Raises:
        UntrustedError: A top-level role failed a check, or a root is not signed by the keys of the one before.
        UnavailableError: An answer could not be had.
    """
    workflow = site.workflow(now, dangerous_skip_expiry=dangerous_skip_expiry)
    drive(workflow.refresh(), site.repository, site.cache)
    failed = drive(workflow.delegated(), site.repository, site.cache)
    roles: dict[str, Verified[Signed]] = {
        ROOT: workflow.root,
        TIMESTAMP: workflow.timestamp,
        SNAPSHOT: workflow.snapshot,
        **workflow.roles,
    }
    return Copied(
        gun=site.gun,
        dialect=site.dialect,
        where=site.repository.where,
        taken=now,
        roots=tuple(_roots(site, workflow.root)),
        roles=roles,
        failed=failed,
        expires=workflow.expires(tuple(workflow.roles.values())),
        first_use=workflow.first_use,
    )


@dataclass(frozen=True)
class Files:
    """A :class:`trustreg.ports.Repository` that is these files, by the paths that are asked for."""

    where: str
    files: Mapping[str, bytes] = field(repr=False)

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, or ``None`` where there is none."""
        return self.files.get(want.path)


@dataclass(frozen=True)
class Held:
    """A :class:`trustreg.ports.Cache` that was filled once, and takes no more."""

    remembered: Memory = field(default_factory=Memory)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def memory(self) -> Memory:
        """Return what is remembered."""
        return self.remembered

    def recall(self, role: str) -> bytes | None:
        """Return the bytes kept for *role*."""
        return self.files.get(role)

    def keep(self, keep: Keep) -> None:
        """Keep nothing of it."""
        del keep


class Secondhand:
    """The cache *cache*, for readers of a copy: it learns from them, but not that anybody was asked just now."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.memory, self.recall = cache.memory, cache.recall

    def keep(self, keep: Keep) -> None:
        """Store files and memory in *cache*."""
        before = keep.against
        memory = replace(keep.memory, refreshed=before.refreshed, walked=before.walked)
        self._cache.keep(replace(keep, memory=memory))


class Recalling:
    """The cache *cache*, and what is held besides for those whose files it does not have."""

    def __init__(self, cache: Cache, held: Held) -> None:
        self._cache, self._held = cache, held

    def memory(self) -> Memory:
        """Return what *cache* remembers."""
        return self._cache.memory()

    def recall(self, role: str) -> bytes | None:
        """Return the bytes kept for *role*, there or here."""
        kept = self._cache.recall(role)
        return self._held.recall(role) if kept is None else kept

    def keep(self, keep: Keep) -> None:
        """Store files and memory in *cache*."""
        self._cache.keep(keep)


def reread(site: Site, now: datetime) -> Held:
    """Return what somebody keeps who reads all at *site* as of *now*, expired or not.

    Raises:
        UntrustedError: A top-level role failed a check.
    """
    workflow = site.workflow(now, dangerous_skip_expiry=True)
    drive(workflow.refresh(), site.repository, site.cache)
    drive(workflow.delegated(), site.repository, site.cache)
    top: tuple[Verified[Signed], ...] = (workflow.root, workflow.timestamp, workflow.snapshot)
    files = {part.role: part.raw for part in (*top, *workflow.roles.values())}
    return Held(Memory(workflow.floors(), now), files)


def require_successor(copied: Copied, before: Held) -> None:
    """Require *copied* to be what somebody accepts who last read what is held in *before*: nothing older, nor another.

    Raises:
        UntrustedError: It is not.
    """
    files = Files(copied.where, dict(copied.files()))
    site = Site(gun=copied.gun, dialect=copied.dialect, repository=files, cache=before)
    workflow = site.workflow(copied.taken, dangerous_skip_expiry=True)
    drive(workflow.refresh(), files, before)
    for role, failure in drive(workflow.delegated(), files, before).items():
        if role not in copied.failed:
            raise failure


def _roots(site: Site, current: Verified[Root]) -> Iterator[Verified[Root]]:
    """Yield the roots up to *current*, oldest first, from the first that is there and leads here without a gap."""
    limits = site.limits or Limits()
    claims = [_claim(site, current.raw)]
    for version in range(current.signed.version - 1, 0, -1):
        raw = site.repository.fetch(Want(ROOT, site.dialect.locate(ROOT, version=version), limits.root))
        if raw is None:
            break
        if len(claims) > limits.rotations:
            raise TooLargeError(f"the history of the root of {site.gun}", limits.rotations, "rotations")
        claims.append(_claim(site, raw))
        if claims[-1].signed.version != version:
            raise VersionError(ROOT, version, claims[-1].signed.version)
    root = anchor(claims.pop(), site.gun)
    yield root
    while claims:
        root = succeed(claims.pop(), root, site.gun)
        yield root


def _claim(site: Site, raw: bytes) -> Envelope[Root]:
    claim = site.dialect.decode(ROOT, raw)
    if not isinstance(claim.signed, Root):
        raise FormatError(ROOT, "signed", "this is no root")
    return cast("Envelope[Root]", claim)
