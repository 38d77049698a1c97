"""What is odd about a policy, though images may well be judged by it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

from trustreg.dialects.openpgp import PublicKey, open_keys
from trustreg.errors import FormatError, PolicyError, shown
from trustreg.identity import prefixes, scope_problem
from trustreg.policy import (
    AcceptAnything,
    AllOf,
    AtLeast,
    GpgKey,
    InCollection,
    OldOrNew,
    Policy,
    Reject,
    Requirement,
    Rule,
    SignedByGpg,
    SignedByKey,
    leaves,
)
from trustreg.values import dataclass, field

ERROR: Final = "error"
"""It can never be as it is meant: nobody can meet it, or nothing reaches it."""
WARNING: Final = "warning"
"""It works, and is weaker than it looks or will soon not work."""
NOTE: Final = "note"
"""It is weaker than it could be, and may well be meant so."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something odd.

    Attributes:
        code: What; it does not change.
        severity: ``error``, ``warning`` or ``note``.
        where: Where it stands, ``policy.yaml:12``.
        facts: The particulars, ready for JSON.
    """

    code: str
    severity: str
    where: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return shown(f"{self.where}: {_CODES[self.code][0].format(**{k: _told(v) for k, v in self.facts.items()})}")

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return _CODES[self.code][1]


def refused(error: PolicyError) -> Finding:
    """Return the one finding about a file that is no policy."""
    where = f"{error.source}:{error.line}" if error.line else error.source
    problem = f"{error.path}: {error.problem}" if error.path else error.problem
    return _finding("refused", ERROR, where, path=error.path, problem=problem)


def lint(
    policy: Policy,
    now: datetime,
    within: timedelta,
    *,
    listed: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Finding, ...]:
    """Return what is odd about *policy*.

    Args:
        policy: It.
        now: The time.
        within: What ends within that time is.
        listed: Where each key stands that the file lists, by name, used or not.
        elsewhere: The scopes that the file has for other transports than docker, by transport.
    """
    findings: list[Finding] = []
    for rule in (*policy.rules.values(), policy.default):
        scope = tuple(_scope(policy, rule))
        findings += scope
        if any(one.severity == ERROR for one in scope):
            continue  # nothing gets there
        findings += _ends(rule, now, within)
        findings += _rule(rule, _live(rule.require, now))
    findings += _keys(policy, listed or {}, now, within)
    findings += _admission(policy, now, within)
    for transport, scopes in (elsewhere or {}).items():
        known = transport in _TRANSPORTS
        code, severity = ("transport-elsewhere", NOTE) if known else ("transport-unknown", WARNING)
        findings.append(_finding(code, severity, policy.source, transport=transport, scopes=len(scopes)))
    order = {ERROR: 0, WARNING: 1, NOTE: 2}
    told = {(one.code, str(one)): one for one in findings}.values()
    return tuple(sorted(told, key=lambda one: (order[one.severity], one.code, _natural(one.where), str(one))))


# --- scopes --------------------------------------------------------------------------------------------------------


def _scope(policy: Policy, rule: Rule) -> Iterator[Finding]:
    """Look for rules that no image gets to, or not all that they seem to be for."""
    if not rule.scope:
        if rule is policy.default and "" in policy.rules:
            yield _finding("default-unreached", NOTE, rule.where, by=policy.rules[""].where)
        return
    if problem := scope_problem(rule.scope):
        yield _finding("scope-dead", ERROR, rule.where, scope=rule.scope, problem=problem)
        return
    bare = _bare(rule.scope)
    for prefix in prefixes(bare):
        if prefix in policy.aliases:
            facts = {"scope": rule.scope, "alias": prefix, "by": policy.aliases[prefix]}
            yield _finding("scope-aliased", ERROR, rule.where, **facts)
            return
    host, _, path = rule.scope.partition("/")
    if host == "docker.io" and path not in {"", "library"} and "/" not in path:
        yield _finding("scope-official", NOTE, rule.where, scope=rule.scope, image=f"{host}/library/{path}")
    behind = _behind(policy, rule.scope)
    if _same(rule.require, behind.require) and (rule.mode, rule.of) == (behind.mode, behind.of):
        yield _finding("rule-idle", NOTE, rule.where, scope=rule.scope, by=_called(behind))
    elif bare != rule.scope:
        way = "a tag" if "@" in rule.scope else "its digest"
        yield _finding("scope-exact", WARNING, rule.where, scope=rule.scope, way=way, by=_called(behind))


def _bare(scope: str) -> str:
    """Return *scope* without tag and digest."""
    head, slash, tail = scope.partition("@")[0].rpartition("/")
    return f"{head}/{tail.partition(':')[0]}" if slash else tail


def _behind(policy: Policy, scope: str) -> Rule:
    """Return the rule that would hold for what *scope* covers, if that one were not there."""
    bare = _bare(scope)
    less = [] if scope.startswith("*.") else [prefix for prefix in prefixes(bare) if prefix != scope]
    host = bare.removeprefix("*.").partition("/")[0].partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        less.append(f"*.{host}")
    return next((policy.rules[one] for one in (*less, "") if one in policy.rules), policy.default)


# --- rules ---------------------------------------------------------------------------------------------------------


def _rule(rule: Rule, require: Requirement) -> Iterator[Finding]:
    """Look at what *rule* requires, as it stands now."""
    if rule.mode != "enforce":
        yield _finding("not-enforced", WARNING, rule.where, rule=_called(rule), mode=rule.mode)
    ways = _ways(require)
    if frozenset() in ways:
        yield _finding("accepts-anything", WARNING, rule.where, scope=rule.scope or "everything else")
    elif any(not any(key.startswith(_COLLECTION) for key in keys) for keys in ways):
        yield _finding("no-freshness", NOTE, rule.where, rule=_called(rule))
    broken = tuple(_broken(rule, require))
    yield from broken
    if not ways and not broken and not all(isinstance(leaf, Reject) for leaf in leaves(require)):
        yield _finding("never-met", ERROR, rule.where, path=require.path, problem="a part of it rejects everything")
    for leaf in leaves(require):
        if isinstance(leaf, InCollection) and leaf.first_use:
            yield _finding("first-use", WARNING, rule.where, path=leaf.path)
        if isinstance(leaf, SignedByGpg | SignedByKey):
            yield from _identity(rule, leaf)
    for one in _counted(require):
        if one.count > 1 and _ways(one):
            yield from _shared(rule, one)


def _broken(rule: Rule, require: Requirement) -> Iterator[Finding]:
    """Look for what can never hold, though the policy does not say so."""
    for leaf in leaves(require):
        if isinstance(leaf, Reject) and leaf.problem:
            yield _finding("cannot-be-checked", ERROR, rule.where, path=leaf.path, problem=leaf.problem)
    for one in _counted(require):
        if not _ways(one):
            yield _finding("never-met", ERROR, rule.where, path=one.path, problem=_unmet(one))


def _identity(rule: Rule, leaf: SignedByGpg | SignedByKey) -> Iterator[Finding]:
    identity = leaf.identity
    if identity.way in {"repository", "exact-repository"}:
        yield _finding("tag-unbound", WARNING, rule.where, path=leaf.path, identity=identity.way)
    if identity.way == "remap" and rule.scope and not rule.scope.startswith("*."):
        bare = _bare(rule.scope)
        if identity.name not in prefixes(bare) and bare not in prefixes(identity.name):
            yield _finding("remap-idle", WARNING, rule.where, path=leaf.path, prefix=identity.name, scope=rule.scope)


# --- requirements --------------------------------------------------------------------------------------------------


def _ends(rule: Rule, now: datetime, within: timedelta) -> Iterator[Finding]:
    """Look at what counts until some day."""
    for one in _each(rule.require):
        if isinstance(one, OldOrNew) and one.until <= now + within:
            code = "old-over" if one.until <= now else "old-ends-soon"
            yield _finding(code, WARNING, rule.where, path=one.path, until=_moment(one.until))


def _live(requirement: Requirement, now: datetime) -> Requirement:
    """Return what *requirement* demands now: what is old, and over, is no part of it."""
    if isinstance(requirement, OldOrNew) and requirement.until <= now:
        return _live(requirement.new, now)
    if isinstance(requirement, OldOrNew):
        return replace(requirement, new=_live(requirement.new, now), old=_live(requirement.old, now))
    if isinstance(requirement, AllOf | AtLeast):
        return replace(requirement, parts=tuple(_live(part, now) for part in requirement.parts))
    return requirement


def _each(requirement: Requirement) -> Iterator[Requirement]:
    """Yield *requirement* and all that it is made of."""
    yield requirement
    if isinstance(requirement, AllOf | AtLeast | OldOrNew):
        for part in requirement.parts:
            yield from _each(part)


def _counted(requirement: Requirement) -> Iterator[AtLeast]:
    return (one for one in _each(requirement) if isinstance(one, AtLeast))


def _unmet(requirement: AtLeast) -> str:
    """Return why *requirement* can never be met."""
    able = sum(bool(_ways(part)) for part in requirement.parts)
    if able < requirement.count:
        return f"{requirement.count} are required, and {able} of them can hold at all"
    return f"{requirement.count} are required, and too many of them rest on the same keys"


def _shared(rule: Rule, requirement: AtLeast) -> Iterator[Finding]:
    """Look for keys that stand in several parts: they count once."""
    seen: dict[str, str] = {}
    for part in requirement.parts:
        for leaf in leaves(part):
            if not isinstance(leaf, SignedByGpg | SignedByKey):
                continue
            for mark, name in _marks(leaf).items():
                first = seen.setdefault(mark, part.path)
                if first != part.path:
                    facts = {"path": requirement.path, "key": name, "in": [first, part.path]}
                    yield _finding("key-shared", WARNING, rule.where, **facts)


def _marks(leaf: SignedByGpg | SignedByKey) -> dict[str, str]:
    """Return the distinct keys of *leaf*: what they are called, by what they are."""
    if isinstance(leaf, SignedByGpg):
        return {mark: key.name for key in leaf.keys for mark in key.fingerprints}
    return {key.fingerprint: key.name for key in leaf.keys}


def _ways(requirement: Requirement) -> list[frozenset[str]]:
    """Return the least sets of keys that *requirement* can be met with; none where it never is.

    Of a requirement with very many of them, not all are returned.
    """
    if isinstance(requirement, SignedByGpg | SignedByKey):
        return [frozenset({mark}) for mark in _marks(requirement)][:_MOST_WAYS]
    if isinstance(requirement, InCollection):
        return [frozenset({f"{_COLLECTION}{requirement.path}"})]
    if isinstance(requirement, AllOf | AtLeast | OldOrNew):
        each = [_ways(part) for part in requirement.parts]
        if isinstance(requirement, AllOf):
            return _together(each)
        return _enough(each, requirement.count if isinstance(requirement, AtLeast) else 1)
    return [frozenset()] if isinstance(requirement, AcceptAnything) else []


def _together(each: Sequence[list[frozenset[str]]]) -> list[frozenset[str]]:
    """Return what one way of each makes up."""
    found = [frozenset[str]()]
    for ways in each:
        found = list(dict.fromkeys(a | b for a, b in product(found, ways)))[:_MOST_WAYS]
    return found


def _enough(each: Sequence[list[frozenset[str]]], count: int) -> list[frozenset[str]]:
    """Return what ways of *count* parts make up, no key of which stands for two of them."""
    found: list[list[frozenset[str]]] = [[frozenset()], *([] for _ in range(count))]
    for ways in each:
        for held in range(count, 0, -1):
            more = (a | b for a, b in product(found[held - 1], ways) if not a & b)
            found[held] = list(dict.fromkeys((*found[held], *more)))[:_MOST_WAYS]
    return found[count]


def _same(one: Requirement, other: Requirement) -> bool:
    """Say whether both demand the same, wherever they stand and whatever they call their keys."""
    return bool(_anywhere(one) == _anywhere(other))


def _anywhere(requirement: Requirement) -> Any:
    if isinstance(requirement, SignedByGpg | SignedByKey):
        return type(requirement), frozenset(_marks(requirement)), requirement.identity
    if isinstance(requirement, AllOf | AtLeast):
        count = requirement.count if isinstance(requirement, AtLeast) else 0
        return type(requirement), count, tuple(map(_anywhere, requirement.parts))
    if isinstance(requirement, OldOrNew):
        return _anywhere(requirement.new), _anywhere(requirement.old), requirement.until
    return replace(requirement, path="")


# --- admission -----------------------------------------------------------------------------------------------------


def _admission(policy: Policy, now: datetime, within: timedelta) -> Iterator[Finding]:
    """Look at what gets past the rules at the door of a cluster."""
    admission = policy.admission
    for one in admission.exceptions:
        if one.until <= now + within:
            code = "exception-over" if one.until <= now else "exception-ends-soon"
            yield _finding(code, WARNING, one.where, scopes=list(one.match), until=_moment(one.until))
        for scope in one.match:
            if problem := scope_problem(scope):
                yield _finding("scope-dead", ERROR, one.where, scope=scope, problem=problem)
    for name, mode in admission.namespaces.items():
        if mode != "enforce":
            yield _finding("namespace-not-enforced", WARNING, policy.source, namespace=name, mode=mode)
    if admission.break_glass and admission.break_glass.anyone:
        yield _finding("break-glass-anyone", WARNING, policy.source, annotation=admission.break_glass.annotation)


# --- keys ----------------------------------------------------------------------------------------------------------


def _keys(policy: Policy, listed: Mapping[str, str], now: datetime, within: timedelta) -> Iterator[Finding]:
    """Look for keys that nobody names, and for what GPG keys say of themselves."""
    named: set[str] = set()
    for rule in (*policy.rules.values(), policy.default):
        for leaf in leaves(rule.require):
            if isinstance(leaf, SignedByGpg | SignedByKey):
                named |= {key.name for key in leaf.keys}
            if isinstance(leaf, SignedByGpg):
                faults = [_key(name, key, listed.get(name, rule.where), now) for name, key in _opened(leaf.keys)]
                yield from (fault for fault in faults if fault)
                if all(faults):
                    yield _finding("keys-useless", ERROR, rule.where, path=leaf.path)
                for name, key in _opened(leaf.keys):
                    if key.expires and now < key.expires <= now + within:
                        facts = {"key": name, "fingerprint": key.fingerprint, "expires": _moment(key.expires)}
                        yield _finding("key-expires-soon", WARNING, listed.get(name, rule.where), **facts)
    yield from (_finding("key-unused", WARNING, at, key=name) for name, at in listed.items() if name not in named)


def _key(name: str, key: PublicKey, where: str, now: datetime) -> Finding | None:
    """Return why nothing that *key* signs counts, by what it says of itself; or ``None``."""
    facts = {"key": name, "fingerprint": key.fingerprint}
    if key.revoked:
        return _finding("key-revoked", ERROR, where, **facts)
    if key.fingerprint in key.weak and not set(key.subkeys) - key.weak:
        return _finding("key-weak", ERROR, where, **facts)
    if key.expires and key.expires <= now:
        return _finding("key-expired", ERROR, where, **facts, expires=_moment(key.expires))
    return None


def _opened(keys: Collection[GpgKey]) -> Iterator[tuple[str, PublicKey]]:
    for key in keys:
        try:
            yield from ((key.name, one) for one in open_keys(key.raw))
        except FormatError:  # pragma: no cover # whoever read the policy has opened it
            continue


def _called(rule: Rule) -> str:
    return rule.name or rule.scope or "default"


def _natural(where: str) -> tuple[str, int]:
    head, _, line = where.rpartition(":")
    return (head, int(line)) if line.isdecimal() else (where, 0)


def _moment(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _finding(code: str, severity: str, where: str, **facts: Any) -> Finding:
    return Finding(code=code, severity=severity, where=where, facts=facts)


def _told(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


_COLLECTION: Final = "collection "  # what stands for the keys of a collection, which the policy does not name
_MOST_WAYS = 64
_TRANSPORTS: Final = frozenset(
    {
        *("atomic", "containers-storage", "dir", "docker", "docker-archive", "docker-daemon"),
        *("oci", "oci-archive", "ostree", "sif", "tarball"),
    }
)
_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "accepts-anything": (
        "any image is accepted for {scope}, whoever made it",
        "demand a signature, or name the images that you mean more closely",
    ),
    "break-glass-anyone": (
        "whoever may make an object gets past the policy by the annotation {annotation}",
        "name the users or groups who may",
    ),
    "cannot-be-checked": (
        "{path} can never be met: {problem}",
        "mend what it names, or demand something that can be checked here",
    ),
    "default-unreached": (
        'the default is for no image in a registry: {by}, for "", covers all of them',
        "leave it, if the file is for other transports, too",
    ),
    "exception-ends-soon": (
        "the exception for {scopes} ends at {until}",
        "see that what it lets in is signed by then",
    ),
    "exception-over": ("the exception for {scopes} ended at {until}", "take it out"),
    "first-use": (
        "{path} believes the first root that it sees of a collection",
        "pin the root, and take first_use out",
    ),
    "key-expired": (
        "key {key} ({fingerprint}) expired at {expires}: nothing that it signed counts any more",
        "ask its owner for the key with a later date, or for the one that comes after it",
    ),
    "key-expires-soon": (
        "key {key} ({fingerprint}) expires at {expires}",
        "ask its owner for the key with a later date, or for the one that comes after it",
    ),
    "key-revoked": ("key {key} ({fingerprint}) is revoked", "take it out, and look at what it signed"),
    "key-shared": (
        "{path} counts key {key} once, though {in} both name it",
        "name each key in one of them, if different people are meant",
    ),
    "key-unused": ("no rule names key {key}", "take it out, or name it where it was meant to count"),
    "key-weak": (
        "key {key} ({fingerprint}) is too weak, or of a kind that makes no signatures: nothing that it signed counts",
        "ask its owner for another one: ed25519, or RSA with 3072 bits",
    ),
    "keys-useless": ("{path} can never be met: none of its keys counts any more", "ask for keys that do"),
    "namespace-not-enforced": (
        "nothing is enforced in namespaces called {namespace} ({mode})",
        "enforce it once the log shows nothing that should have passed",
    ),
    "never-met": ("{path} can never be met: {problem}", "demand less, or name more keys"),
    "no-freshness": (
        "rule {rule} can be met by signatures alone: they do not say that they are the latest, so an old image passes",
        "demand a trust collection, too, where it matters that an image is the latest",
    ),
    "not-enforced": (
        "rule {rule} is not enforced ({mode}): what it refuses is let through",
        "enforce it once the log shows nothing that should have passed",
    ),
    "old-ends-soon": ("{path}: what is old counts until {until}", "see that what is new is signed everywhere"),
    "old-over": ("{path}: what is old counts no more since {until}", "leave what is new, and take old_or_new out"),
    "refused": ("it cannot be used: {problem}", "correct it: nothing is judged by it until then"),
    "remap-idle": (
        "{path} never puts another name in place of {prefix}: no image in {scope} is called so",
        "name the beginning that images of this rule have",
    ),
    "rule-idle": (
        "the rule for {scope} says what rule {by} says for it anyway",
        "take it out, if nothing else is meant",
    ),
    "scope-aliased": (
        "no image gets to the rule for {scope}: what begins with {alias} is judged as {by}",
        "write the rule for the name that images are signed under",
    ),
    "scope-dead": ("no image is called {scope}: {problem}", "write it as images are called when all is written out"),
    "scope-exact": (
        "the rule for {scope} is not asked where the image is named by {way}: rule {by} is",
        "write the rule for the repository, if it is meant however the image is named",
    ),
    "scope-official": (
        "{scope} is for the images below it; the image of that name is {image}",
        "leave it, if you mean all that this name publishes",
    ),
    "tag-unbound": (
        "{path} takes a signature under any tag ({identity}): an image passes under the name of another",
        "have images signed under their tag, and leave identity out",
    ),
    "transport-elsewhere": (
        "what it says of {transport} is passed over: only images in registries are judged here",
        "leave them, if other programs use the file",
    ),
    "transport-unknown": (
        "there is no transport {transport}: what it says of that is for no image",
        "the images of registries are those of docker",
    ),
}
CODES: Final = tuple(sorted(_CODES))
