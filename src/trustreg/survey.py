"""Who may sign what in a collection: for people who look after one and are about to change it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from trustreg.client import Site, drive
from trustreg.errors import UntrustedError
from trustreg.metadata import Bins, Delegation, Key, Role, Signed, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL
from trustreg.publishing import Reading, unattended
from trustreg.values import dataclass, field
from trustreg.verify.requests import Want
from trustreg.verify.signatures import Verified, verify


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Who may sign a role, by the word of one delegator.

    Attributes:
        name: The role; for bins, what their names begin with.
        delegator: Who says so.
        threshold: How many have to sign.
        keys: Who may, in the order in which they are listed.
        signed_by: Ids of those that have signed the version that there is.
        version: That version; ``None`` for bins, each of which has its own.
        expires: Until when it is good; ``None`` for bins.
        patterns: Of a delegation, what it may speak for: globs, or beginnings with ``*`` behind them.
        hash_prefixes: The same as beginnings of the sha256 of names.
        terminating: What it may speak for and does not list, nobody after it may.
        bins: How many there are; ``None`` where it is a role.
        failed: Why what is published of the role counts for nobody; ``None`` where it does, or there is nothing.
    """

    name: str
    delegator: str
    threshold: int
    keys: tuple[Key, ...]
    signed_by: tuple[str, ...] = ()
    version: int | None = None
    expires: datetime | None = None
    patterns: tuple[str, ...] = ()
    hash_prefixes: tuple[str, ...] = field(default=(), repr=False)
    terminating: bool = False
    bins: int | None = None
    failed: UntrustedError | None = None


def seats(site: Site, now: datetime) -> tuple[Seat, ...]:
    """Return the seats of the collection at *site*, top-level roles first; bins are not opened.

    In a store it may have expired: this is to look at, and nothing is signed on account of it.

    Raises:
        UntrustedError: A check failed.
        UnavailableError: An answer could not be had.
    """
    flow = site.workflow(now, dangerous_skip_expiry=unattended(site))
    drive(flow.refresh(), site.repository, site.cache)
    reading = Reading(site=site, workflow=flow, root=flow.root)
    root = flow.root.signed
    top: dict[str, Verified[Signed]] = {
        ROOT: reading.root,
        TARGETS: flow.roles[TARGETS],
        SNAPSHOT: flow.snapshot,
        TIMESTAMP: flow.timestamp,
    }
    found = [_seat(reading, root.roles[name], ROOT, dict(root.keys), top[name]) for name in TOP_LEVEL]
    ahead, seen = [TARGETS], {TARGETS}
    while ahead:
        delegator = ahead.pop(0)
        part = flow.roles[delegator].signed
        if part.bins:
            found.append(_seat(reading, part.bins, delegator, dict(part.keys), None))
            continue
        for delegation in part.delegations:
            loaded, failed = _load(reading, delegation.name)
            seat = _seat(reading, delegation, delegator, dict(part.keys), loaded)
            found.append(replace(seat, failed=failed))
            if loaded and delegation.name not in seen:
                seen.add(delegation.name)
                ahead.append(delegation.name)
    return tuple(found)


def _load(reading: Reading, role: str) -> tuple[Verified[Targets] | None, UntrustedError | None]:
    """Load *role*; in Notary one that fails stands beside the others, so that somebody can mend it."""
    try:
        return reading.load(role), None
    except UntrustedError as exc:
        if unattended(reading.site):
            raise
        return None, exc


def _signed_by(reading: Reading, role: Role, keys: Mapping[str, Key], part: Verified[Signed]) -> tuple[str, ...]:
    """Return whose signatures the published file has: others may have signed since it was read for the first time."""
    site, name = reading.site, part.role
    if not site.dialect.rules.tree or name in {SNAPSHOT, TIMESTAMP}:
        return part.keyids
    raw = site.repository.fetch(Want(name, site.dialect.locate(name, version=part.signed.version), _LONGEST))
    if raw is None or raw == part.raw:
        return part.keyids
    try:
        claim = site.dialect.decode(name, raw)
        return verify(claim, replace(role, threshold=1), keys).keyids
    except UntrustedError:
        return part.keyids


def _seat(
    reading: Reading, role: Role | Bins, delegator: str, keys: Mapping[str, Key], part: Verified[Signed] | None
) -> Seat:
    delegation = role if isinstance(role, Delegation) else None
    return Seat(
        name=role.prefix if isinstance(role, Bins) else role.name,
        delegator=delegator,
        threshold=role.threshold,
        keys=tuple(keys[keyid] for keyid in role.keyids if keyid in keys),
        signed_by=_signed_by(reading, role, keys, part) if part and isinstance(role, Role) else (),
        version=part.signed.version if part else None,
        expires=part.signed.expires if part else None,
        patterns=(*(f"{start}*" for start in delegation.prefixes), *delegation.patterns) if delegation else (),
        hash_prefixes=delegation.hash_prefixes if delegation else (),
        terminating=bool(delegation and delegation.terminating),
        bins=len(role) if isinstance(role, Bins) else None,
    )


_LONGEST = 64 << 20  # bytes
