"""A complete copy of a collection: every file that it takes to verify it elsewhere, each of them verified here.

The collection is read as any reader reads it, with pins and with what is remembered of it. To that come the older
roots, which those need who trusted one of them last.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import cast

from trustreg.client import Site, drive
from trustreg.dialect import Dialect
from trustreg.errors import FormatError, TooLargeError, UntrustedError, VersionError
from trustreg.metadata import Envelope, Root, Signed
from trustreg.names import ROOT, SNAPSHOT, TIMESTAMP, Gun
from trustreg.values import dataclass, field
from trustreg.verify.pinning import anchor, succeed
from trustreg.verify.requests import Want
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
