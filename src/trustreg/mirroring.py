"""A collection in another place, byte for byte, so that those who know it verify it there with the same pins.

What is copied was verified where it comes from. The place it goes to is no more believed than any other: what is there
is read as readers read it, and the copy has to be one that a reader who remembers all of that would follow. So nothing
newer is ever replaced by something older, nor one collection by another of the same name.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from trustreg.client import Site, Verifier
from trustreg.copying import Copied, Files, Held, copy, require_successor, reread
from trustreg.errors import (
    EquivocationError,
    MirrorRefusedError,
    RollbackError,
    TooLargeError,
    UnprovenError,
    UntrustedError,
)
from trustreg.metadata import Snapshot
from trustreg.names import ROOT, SNAPSHOT, TIMESTAMP, TOP_LEVEL, Digest, Reference, is_delegation, is_tag
from trustreg.ports import Manifest, ReplicaServer, Repository, Store, Write
from trustreg.values import dataclass, field
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Want
from trustreg.verify.workflow import Limits, check_content


@dataclass(frozen=True, kw_only=True)
class Original:
    """What is to be mirrored.

    ``copied`` is what a reader believes. ``others`` are roles that the snapshot lists and readers pass over, by name:
    what fails a check, and what is behind it. They come along as the snapshot lists them, since clients may look for
    them in vain otherwise; whoever reads the mirror judges them as at the source.
    """

    copied: Copied
    others: Mapping[str, bytes] = field(hash=False, repr=False)

    @property
    def roles(self) -> dict[str, bytes]:
        """All files but those of the root, by role."""
        return {**self.others, **{role: part.raw for role, part in self.copied.roles.items() if role != ROOT}}

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file by each path at which readers ask for it, in an order to write them in.

        Whoever reads meanwhile finds what is listed: what does the listing comes later, and the timestamp is last.
        """
        dialect = self.copied.dialect
        for role, raw in self.others.items():
            yield _path(self.copied, role), raw
        if not dialect.rules.by_version:  # nobody who verifies asks for these, but people look at them
            for role, raw in self.roles.items():
                if role != TIMESTAMP:
                    yield dialect.locate(role), raw
        yield from self.copied.files()


def original(site: Site, now: datetime) -> Original:
    """Read all of the collection at *site* as of *now*.

    Raises:
        UntrustedError: A top-level role failed a check, or what is served is not what is listed.
        UnavailableError: An answer could not be had.
    """
    copied = copy(site, now)
    limits, tree = site.limits or Limits(), site.dialect.rules.tree
    others, read = dict[str, bytes](), 0
    for role, listed in _snapshot(copied).meta.items():
        if role in copied.roles or role in TOP_LEVEL or not (listed.hashes and (tree or is_delegation(role))):
            continue
        limit = min(listed.length or limits.targets, limits.targets)
        raw = site.repository.fetch(Want(role, _path(copied, role), limit))
        if raw is None:
            continue
        check_content(role, listed, raw)
        others[role], read = raw, read + len(raw)
        if read > limits.together or len(others) > limits.roles:
            raise TooLargeError(f"what {site.gun} lists and readers pass over", limits.together)
    return Original(copied=copied, others=others)


def signed(copied: Copied, roles: tuple[str, ...], now: datetime) -> dict[str, Digest]:
    """Return the tags of *copied* that count for who asks *roles*, and what they are bound to."""
    site = replace(_site(copied, Files(copied.where, dict(copied.files()))), roles=roles)
    entries = Verifier(lambda _: site, _NoRegistry()).contents(copied.gun, now).entries
    return {entry.tag: entry.digest for entry in entries if entry.counts and is_tag(entry.tag)}


def to_store(
    source: Original, store: Store, now: datetime, first: Callable[[], None] = lambda: None
) -> tuple[str, ...]:
    """Write the files of *source* that *store* lacks, and return their paths: none where it has all of them.

    *first* is called when it is known that they may be written: for what has to be there before they are.

    Raises:
        MirrorRefusedError: Who has read what is there would not believe *source*.
        UnavailableError: It is not known how far it got; the same may be done again.
    """
    _require_follows(source.copied, store, now)
    first()
    writes = []
    for path, raw in source.files():
        there = store.fetch(Want("", path, Limits().targets))
        if there != raw:
            writes.append(Write(path=path, data=raw, was=there))
    store.write(writes)
    return tuple(write.path for write in writes)


def to_server(
    source: Original, server: ReplicaServer, now: datetime, first: Callable[[], None] = lambda: None
) -> tuple[str, ...]:
    """Hand over the files of *source* that *server* lacks, and return their names: none where it has all of them.

    *first* is called as :func:`to_store` does.

    Raises:
        MirrorRefusedError: Who has read what is there would not believe *source*.
        PublishRefusedError: The server does not take it.
        UnprovenError: It was taken, and the server shows something else.
        UnavailableError: An answer could not be had.
    """
    there = _require_follows(source.copied, server, now)
    first()
    stamp = source.copied.roles[TIMESTAMP].raw
    if stamp in there:
        return ()  # it takes all or nothing
    files = {f"{root.signed.version}.root": root.raw for root in source.copied.roots if root.raw not in there}
    files |= {role: raw for role, raw in source.roles.items() if raw not in there}
    server.replicate(files)
    if server.fetch(Want(TIMESTAMP, source.copied.dialect.locate(TIMESTAMP), Limits().timestamp)) != stamp:
        raise UnprovenError(str(source.copied.gun), "the server shows another timestamp")
    return tuple(files)


def _require_follows(copied: Copied, there: Repository, now: datetime) -> frozenset[bytes]:
    """Require *copied* to be what a reader of what is *there* would follow; return the files that are there."""
    try:
        roots = {root.raw for root in copied.roots if _same(copied, there, root.signed.version, root.raw)}
        stamp, before = copied.roles[TIMESTAMP], Held()
        if there.fetch(Want(TIMESTAMP, copied.dialect.locate(TIMESTAMP), Limits().timestamp)) is not None:
            before = reread(_site(copied, there), now)  # without one it is half a copy, which nobody can have read
            floor = before.memory().floors[TIMESTAMP]
            if floor.version == stamp.signed.version and floor.sha256 != _sha256(stamp.raw):
                raise EquivocationError(TIMESTAMP, floor.version, floor.sha256, _sha256(stamp.raw))
        require_successor(copied, before)
    except UntrustedError as exc:
        raise MirrorRefusedError(str(copied.gun), there.where, str(exc)) from exc
    return frozenset({*roots, *before.files.values()})


def _same(copied: Copied, there: Repository, version: int, raw: bytes) -> bool:
    """Say whether the root of *version* is *there*; if so, it has to be *raw*."""
    dialect, limit = copied.dialect, Limits().root
    found = there.fetch(Want(ROOT, dialect.locate(ROOT, version=version), limit))
    if found is not None and found != raw:
        raise EquivocationError(ROOT, version, _sha256(found), _sha256(raw))
    last = copied.roots[-1].signed.version
    if version == last and there.fetch(Want(ROOT, dialect.locate(ROOT, version=last + 1), limit)) is not None:
        raise RollbackError(ROOT, last + 1, last)
    return found is not None


def _site(copied: Copied, repository: Repository) -> Site:
    """Return *repository* as who believes the first root of *copied*, and knows nothing else, reads it."""
    pins = Pins(root=copied.roots[0].raw)
    return Site(gun=copied.gun, dialect=copied.dialect, repository=repository, cache=Held(), pins=pins)


class _NoRegistry:
    """A registry that nobody asks."""

    def manifest(self, reference: Reference) -> Manifest:
        raise AssertionError(reference)


def _snapshot(copied: Copied) -> Snapshot:
    snapshot = copied.roles[SNAPSHOT].signed
    assert isinstance(snapshot, Snapshot)  # noqa: S101 # it was read as one
    return snapshot


def _path(copied: Copied, role: str) -> str:
    listed, consistent = _snapshot(copied).meta[role], copied.roots[-1].signed.consistent_snapshot
    return copied.dialect.locate(role, listed, consistent=consistent)


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
