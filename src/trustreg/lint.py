"""What is odd about a collection, though readers may well believe it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from trustreg.dialects.tuf1 import key_id
from trustreg.errors import UntrustedError, shown
from trustreg.metadata import STRONG, Bins, Delegation, Key, Role, Root, Signed, Snapshot, Targets
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.sign.changes import role_name_problem
from trustreg.sign.pages import Authority
from trustreg.values import dataclass, field
from trustreg.verify.signatures import fingerprint, load
from trustreg.verify.workflow import Limits

ERROR: Final = "error"
"""Some reader refuses it, or it can never be signed or found."""
WARNING: Final = "warning"
"""It works, and is weaker than it looks or will soon not work."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something odd.

    Attributes:
        code: What; it does not change.
        severity: ``error`` or ``warning``.
        role: In which role's file.
        facts: The particulars, ready for JSON.
    """

    code: str
    severity: str
    role: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = {name: _told(value) for name, value in self.facts.items()}
        return shown(f"{self.role}: {_SENTENCES[self.code].format(**facts)}")


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A collection as it is looked at: ``parts`` are targets roles by delegator (``""`` for ``targets``) and name.

    ``failed`` are those that readers refuse, and why.
    """

    root: Root
    timestamp: Signed
    snapshot: Snapshot
    parts: Mapping[tuple[str, str], Targets]
    failed: Mapping[str, UntrustedError] = field(default_factory=dict)


def lint(seen: Inspected, now: datetime, within: timedelta = timedelta(days=2)) -> tuple[Finding, ...]:
    """Return what is odd about *seen*; what expires *within* that time is."""
    findings = [
        *_root(seen.root),
        *_expiry(seen, now, within),
        *(_finding("refused", ERROR, role, problem=str(exc)) for role, exc in seen.failed.items()),
    ]
    names: dict[str, set[str]] = defaultdict(set)
    for (_, role), part in seen.parts.items():
        findings += _keys(role, part.keys)
        findings += _thresholds(role, (part.bins,) if part.bins else part.delegations, part.keys)
        findings += _delegations(role, part, seen.snapshot)
        findings += _targets(role, part)
        for delegation in islice(part.delegates(), _MOST_LOOKED_AT):
            names[delegation.name.casefold()].add(delegation.name)
    findings += (
        _finding("role-names-collide", ERROR, TARGETS, names=sorted(same)) for same in names.values() if len(same) > 1
    )
    findings += _silent(seen.parts)
    findings += _bin_sizes(seen.parts)
    order = {ERROR: 0, WARNING: 1}
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: (order[one.severity], one.code, one.role, str(one))))


# --- keys --------------------------------------------------------------------------------------------------------


def _root(root: Root) -> Iterator[Finding]:
    if not root.consistent_snapshot:
        yield _finding("not-consistent", WARNING, ROOT)
    yield from _keys(ROOT, root.keys)
    yield from _thresholds(ROOT, root.roles.values(), root.keys)
    marks = {name: _marks((role, root.keys)) for name, role in root.roles.items()}
    for online in (SNAPSHOT, TIMESTAMP):
        for mark in sorted(marks[ROOT].keys() & marks[online].keys()):
            yield _finding("root-key-online", WARNING, ROOT, keyid=marks[ROOT][mark], signs=online)


def _keys(role: str, keys: Mapping[str, Key]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for keyid, key in keys.items():
        if (due := key_id(key.spelled)) != keyid:
            yield _finding("key-id", WARNING, role, keyid=keyid, due=due)
        public = load(key)
        if public is None:
            yield _finding("key-unknown", WARNING, role, keyid=keyid, kind=key.kind)
            continue
        first = seen.setdefault(fingerprint(public), keyid)
        if first != keyid:
            yield _finding("key-twice", WARNING, role, keyids=[first, keyid])


def _thresholds(role: str, delegated: Iterable[Role | Bins], keys: Mapping[str, Key]) -> Iterator[Finding]:
    for one in delegated:
        name = one.prefix if isinstance(one, Bins) else one.name
        able = len(_marks((one, keys)))
        if able < one.threshold:
            yield _finding("threshold", ERROR, role, of=name, threshold=one.threshold, keys=able)


def _marks(authority: Authority | tuple[Role | Bins, Mapping[str, Key]]) -> dict[str, str]:
    """Return the distinct keys that can sign: their ids by what they are."""
    role, keys = authority
    publics = ((keyid, load(keys[keyid])) for keyid in role.keyids if keyid in keys)
    return {fingerprint(public): keyid for keyid, public in publics if public is not None}


# --- time --------------------------------------------------------------------------------------------------------


def _expiry(seen: Inspected, now: datetime, within: timedelta) -> Iterator[Finding]:
    parts: list[tuple[str, Signed]] = [(ROOT, seen.root), (TIMESTAMP, seen.timestamp), (SNAPSHOT, seen.snapshot)]
    for role, signed in (*parts, *((role, part) for (_, role), part in seen.parts.items())):
        when = signed.expires.isoformat().replace("+00:00", "Z")
        if signed.expires <= now:
            yield _finding("expired", ERROR, role, expires=when)
        elif signed.expires <= now + within:
            yield _finding("expires-soon", WARNING, role, expires=when)


# --- delegations -------------------------------------------------------------------------------------------------


def _delegations(role: str, part: Targets, snapshot: Snapshot) -> Iterator[Finding]:
    for delegation in islice(part.delegates(), _MOST_LOOKED_AT):
        if delegation.name not in snapshot.meta:
            yield _finding("not-in-snapshot", ERROR, role, name=delegation.name)
    for name in [f"{part.bins.prefix}-0"] if part.bins else [one.name for one in part.delegations]:
        if problem := role_name_problem(name):
            yield _finding("role-name", WARNING, role, name=name, problem=problem)
    for place, delegation in enumerate(part.delegations):
        for earlier in part.delegations[:place]:
            if earlier.terminating and _all_within(delegation, earlier):
                yield _finding("unreachable", WARNING, role, name=delegation.name, behind=earlier.name)
                break
        for text in delegation.hash_prefixes:
            if len(text) > 64 or text.strip("0123456789abcdef"):
                yield _finding("matches-nothing", WARNING, role, name=delegation.name, pattern=text)


def _all_within(inner: Delegation, outer: Delegation) -> bool:
    """Say whether *outer* covers for sure all that *inner* does."""
    globs = all(any(_wider(wide, pattern) for wide in outer.patterns) for pattern in inner.patterns)
    hashes = not inner.hash_prefixes or bool(outer.hash_prefixes)
    return globs and hashes and all(text.startswith(outer.hash_prefixes) for text in inner.hash_prefixes)


def _wider(wide: str, pattern: str) -> bool:
    mine, theirs = wide.split("/"), pattern.split("/")
    return len(mine) == len(theirs) and all(a in {"*", b} for a, b in zip(mine, theirs, strict=True))


def _apart(one: Delegation, other: Delegation) -> bool:
    """Say whether for sure no name is covered by both."""
    if not one.patterns or not other.patterns:
        return False
    return all(_differ(a, b) for a in one.patterns for b in other.patterns)


def _differ(one: str, other: str) -> bool:
    mine, theirs = one.split("/"), other.split("/")
    literal = ((a, b) for a, b in zip(mine, theirs, strict=False) if not set(a + b) & set("*?["))
    return len(mine) != len(theirs) or any(a != b for a, b in literal)


def _silent(parts: Mapping[tuple[str, str], Targets]) -> Iterator[Finding]:
    """Look for roles that no name leads to, and for targets that roles list and may not speak for."""
    for (above, role), part in parts.items():
        delegation = _delegation(parts, above, role)
        if delegation is None:
            continue
        higher = [_delegation(parts, top, above) for top, name in parts if name == above and top]
        if higher and all(one and _apart(one, delegation) for one in higher):
            yield _finding("matches-nothing", WARNING, above, name=role, pattern=", ".join(delegation.patterns))
        stray = [name for name in part.targets if not delegation.covers(name)]
        if stray:
            yield _finding("not-its-own", WARNING, role, count=len(stray), names=sorted(stray)[:_SHOWN], by=above)


def _delegation(parts: Mapping[tuple[str, str], Targets], above: str, role: str) -> Delegation | None:
    return next((part.delegation(role) for (_, name), part in parts.items() if name == above), None)


# --- targets -----------------------------------------------------------------------------------------------------


def _targets(role: str, part: Targets) -> Iterator[Finding]:
    weak = [name for name, meta in part.targets.items() if not meta.hashes.keys() & set(STRONG)]
    if weak:
        yield _finding("weak-hash", ERROR, role, count=len(weak), names=sorted(weak)[:_SHOWN])


def _bin_sizes(parts: Mapping[tuple[str, str], Targets]) -> Iterator[Finding]:
    for role, part in {role: part for (_, role), part in parts.items()}.items():
        if not part.bins:
            continue
        count = sum(
            len(parts[role, one.name].targets)
            for one in islice(part.bins, _MOST_LOOKED_AT)
            if (role, one.name) in parts
        )
        size = 1 << part.bins.bits
        if count > _MOST_IN_BIN * size:
            yield _finding("bins-full", WARNING, role, prefix=part.bins.prefix, bins=size, targets=count)
        elif size > _FEW_BINS and size > 2 * count:
            yield _finding("bins-empty", WARNING, role, prefix=part.bins.prefix, bins=size, targets=count)


def _finding(code: str, severity: str, role: str, **facts: Any) -> Finding:
    return Finding(code=code, severity=severity, role=role, facts=_Facts(facts))


class _Facts(dict[str, Any]):
    """Facts that findings can be told apart by."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(str(sorted(self.items())))


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


_MOST_LOOKED_AT = Limits().tree  # delegations of one role; readers follow no more, and bins can be 2 ** 32
_SHOWN = 5  # names in one finding
_MOST_IN_BIN = 2_000  # targets; a reader fetches a whole bin to find one
_FEW_BINS = 16
_SENTENCES = {
    "bins-empty": "{bins} bins {prefix} hold {targets} targets: so many files are of no use",
    "bins-full": "{bins} bins {prefix} hold {targets} targets: readers fetch large files, and more bins would help",
    "expired": "it expired at {expires}",
    "expires-soon": "it expires at {expires}",
    "key-id": "key {keyid} is listed under an id that is not its hash, {due}",
    "key-twice": "one key is listed under two ids, {keyids}, and counts once",
    "key-unknown": "key {keyid} ({kind}) cannot vouch for anything here",
    "matches-nothing": "{name} is delegated to for names that cannot be: {pattern}",
    "not-consistent": "snapshots are not consistent: while somebody publishes, readers see halves",
    "not-in-snapshot": "{name} is delegated to, and no snapshot lists it: readers refuse what they look for there",
    "not-its-own": "it lists {count} targets that {by} does not let it speak for: {names}",
    "refused": "readers refuse it: {problem}",
    "role-name": "{name} is no good name for a role: {problem}",
    "role-names-collide": "roles differ in case only, and some disks take them for one: {names}",
    "root-key-online": "root key {keyid} signs {signs} too, so it cannot be kept offline",
    "threshold": "{of} needs {threshold} keys, and {keys} of them can sign: nobody can ever publish it",
    "unreachable": "{name} is never asked: {behind} stands before it, covers the same and ends the search",
    "weak-hash": "{count} targets have no sha256 or sha512, and readers refuse them: {names}",
}
CODES: Final = tuple(sorted(_SENTENCES))
