"""What is broken in collections, what will break and when, and what is weaker than it looks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trustreg.errors import TrustregError, shown
from trustreg.inventory import (
    GONE,
    MOVED,
    REFUSED,
    TRUSTED,
    UNCONFIRMED,
    UNKNOWN,
    UNSIGNED,
    UNTAGGED,
    CertificateLine,
    Collection,
    KeyLine,
    RoleLine,
    TagLine,
)
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, Digest
from trustreg.values import dataclass, field

BROKEN: Final = "broken"
"""So it is now."""
BREAKS: Final = "breaks"
"""So it will be, from a moment on."""
NOTE: Final = "note"
"""It is weaker than it looks, or breaks only if something else happens."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that is broken, will break, or is weaker than it looks.

    Attributes:
        code: What; it does not change.
        level: ``broken``, ``breaks`` or ``note``.
        when: From when on; ``None`` where it has no date.
        gun: In which collection.
        role: Which role it is about; empty for the collection and its tags.
        facts: The particulars, ready for JSON.
    """

    code: str
    level: str
    when: datetime | None
    gun: str = ""
    role: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self._spelled(_said(self)[0])

    @property
    def remedy(self) -> str:
        """What a person can do about it, in one sentence."""
        return self._spelled(_said(self)[1])

    def _spelled(self, sentence: str) -> str:
        told = {name: ", ".join(value) if isinstance(value, list) else value for name, value in self.facts.items()}
        more = self.facts.get("count", 0) - len(self.facts.get("names", ()))
        names = f"{told.get('names')} and {more} more" if more > 0 else told.get("names")
        return shown(sentence.format(**{**told, "names": names, "gun": self.gun, "role": self.role}))


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Collections as they were at one moment, and what is to be expected of them.

    Attributes:
        at: When that was.
        asked: Whether registries were asked for the images.
        collections: In the order in which they were asked for.
        notices: What is broken, then what breaks in the order of time, then the rest.
    """

    at: datetime
    asked: bool
    collections: tuple[Collection, ...]
    notices: tuple[Notice, ...]

    @property
    def tags(self) -> Iterator[TagLine]:
        """All tags of all collections."""
        return (tag for collection in self.collections for tag in collection.tags)


def forecast(collections: Iterable[Collection], now: datetime) -> tuple[Notice, ...]:
    """Return what is to be said of *collections* at *now*: what is broken, what breaks by date, what is weak."""
    found = (replace(notice, gun=seen.gun) for seen in collections for notice in _of(seen, now))
    return tuple(sorted(found, key=_order))


def _of(seen: Collection, now: datetime) -> Iterator[Notice]:
    yield from _of_collection(seen)
    yield from _of_roles(seen, now)
    yield from _of_keys(seen, now)
    yield from _of_roots(seen)
    yield from _of_tags(seen)


def _of_collection(seen: Collection) -> Iterator[Notice]:
    code = {REFUSED: "refused", UNKNOWN: "unknown", UNCONFIRMED: "unconfirmed"}.get(seen.state)
    if seen.error and code:
        yield _notice(code, BROKEN, problem=str(seen.error), hint=seen.error.remedy or _HINTS[code])
    if seen.first_use:
        root = seen.role(ROOT)
        yield _notice("first-use", NOTE, keyids=list(root.signed_by) if root else [])


def _of_roles(seen: Collection, now: datetime) -> Iterator[Notice]:
    for role in seen.roles:
        able = sum(key.strength > 0 for key in role.keys)
        if able < role.threshold:
            yield _notice("no-keys", NOTE, role.name, able=able, threshold=role.threshold)
        if role.state == UNSIGNED and able:
            yield _notice("never-signed", NOTE, role.name, by=role.delegator)
        if role.error and role.state in {REFUSED, UNKNOWN}:
            hint = role.error.remedy or _HINTS["role-refused"]
            yield _notice(f"role-{role.state}", BROKEN, role.name, problem=str(role.error), hint=hint)
        elif role.error and role.state == TRUSTED:
            yield _notice("entry-refused", BROKEN, role.name, problem=str(role.error))
        if role.expires is None:
            continue
        code, level = "role-expires", NOTE if role.name == TIMESTAMP and not seen.stored else BREAKS
        if role.expires <= now:
            code, level = "role-expired", BROKEN
        elif role.name == ROOT and not seen.stored:
            yield _notice("root-asked-for", NOTE, ROOT, when=role.expires - _GO_RENEWS)
        yield _notice(code, level, role.name, when=role.expires, stored=seen.stored)


def _of_keys(seen: Collection, now: datetime) -> Iterator[Notice]:
    weak: dict[str, list[str]] = defaultdict(list)
    for role in seen.roles:
        for key in role.keys:
            if not key.strength:
                yield _notice("unusable-key", NOTE, role.name, keyid=key.id, algorithm=key.algorithm)
            elif key.strength < _STRONG:
                weak[key.algorithm].append(f"{key.id[:12]} of {role.name}")
            if key.certificate:
                yield _of_certificate(role, key, key.certificate, now)
    for algorithm, names in weak.items():
        yield _notice("weak-key", NOTE, when=_WEAK_FROM, algorithm=algorithm, count=len(names), names=names[:_SHOWN])


def _of_certificate(role: RoleLine, key: KeyLine, certificate: CertificateLine, now: datetime) -> Notice:
    ends = certificate.ends
    left = sum(bool(k.strength and (not k.certificate or k.certificate.ends > ends)) for k in role.keys)
    past, enough = ends < now, left >= role.threshold
    return _notice(
        f"{'root' if role.name == ROOT else 'key'}-certificate-{'expired' if past else 'expires'}",
        NOTE if enough else BROKEN if past else BREAKS,
        role.name,
        when=ends,
        keyid=key.id,
        subject=certificate.subject,
        left=left,
        threshold=role.threshold,
    )


def _of_roots(seen: Collection) -> Iterator[Notice]:
    missing = [str(line.version) for line in seen.roots if not line.served]
    if missing:
        yield _notice("roots-missing", NOTE, ROOT, count=len(missing), names=missing[:_SHOWN])
    steps = zip(seen.roots, seen.roots[1:], strict=False)
    torn = [str(after.version) for before, after in steps if before.served and after.served and not after.follows]
    if torn:
        yield _notice("roots-apart", BROKEN, ROOT, count=len(torn), names=torn[:_SHOWN])


def _of_tags(seen: Collection) -> Iterator[Notice]:
    by_state: dict[str, list[str]] = defaultdict(list)
    problems: dict[str, tuple[TrustregError, list[str]]] = {}  # the first of each kind, and all tags that it is of
    digests: dict[str, set[Digest]] = defaultdict(set)
    for tag in seen.tags:
        digests[tag.tag].add(tag.digest)
        if tag.holding and tag.holding.error:
            problems.setdefault(tag.holding.error.code, (tag.holding.error, []))[1].append(tag.tag)
        elif tag.holding:
            by_state[tag.holding.state].append(tag.tag)
    for state, code in ((MOVED, "tag-moved"), (UNTAGGED, "tag-gone"), (GONE, "image-gone")):
        if names := by_state[state]:
            yield _notice(code, BROKEN, count=len(names), names=names[:_SHOWN])
    for error, names in problems.values():
        hint = error.remedy or _HINTS["registry-unknown"]
        problem = str(error)
        yield _notice("registry-unknown", NOTE, count=len(names), names=names[:_SHOWN], problem=problem, hint=hint)
    apart = sorted(name for name, found in digests.items() if len(found) > 1)
    if apart:
        yield _notice("signed-apart", NOTE, count=len(apart), names=apart[:_SHOWN])
    other = sorted({tag.tag for tag in seen.tags if tag.digest.algorithm != "sha256"})
    if other:
        yield _notice("sha512-only", NOTE, count=len(other), names=other[:_SHOWN])


def _notice(code: str, level: str, role: str = "", *, when: datetime | None = None, **facts: Any) -> Notice:
    return Notice(code=code, level=level, when=when, role=role, facts=facts)


def _said(notice: Notice) -> tuple[str, str]:
    """Return the sentence of *notice*, and what to do about it, without the facts."""
    sentence, hint = _SAID[notice.code]
    if notice.code in {"role-expires", "role-expired"}:
        kind = notice.role if notice.role in TOP_LEVEL else "delegation"
        key = notice.facts["stored"], kind
        effect, hint = _EXPIRY[key] if notice.code == "role-expires" else _EXPIRED.get(key, (_EXPIRY[key][0], hint))
    elif notice.code.partition("-")[2].startswith("certificate"):
        effect = "the other keys are enough"
        if notice.facts["left"] < notice.facts["threshold"]:
            effect = "clients refuse the whole collection" if notice.role == ROOT else "too few keys of {role} are left"
    else:
        return sentence, hint
    return f"{sentence}: {effect}", hint


def _order(notice: Notice) -> tuple[Any, ...]:
    dated = notice.when or datetime.max.replace(tzinfo=UTC)
    return notice.level != BROKEN, notice.when is None, dated, notice.gun, notice.code, notice.role


_SHOWN = 5  # names in one notice
_STRONG = 128  # bits
_WEAK_FROM = datetime(2031, 1, 1, tzinfo=UTC)  # NIST SP 800-57 part 1: what is below 128 bits ends with 2030
_GO_RENEWS = timedelta(days=183)  # notary asks for the root key when its root is good for less than six months
_HINTS = {
    "refused": "use nothing of it; ask its publishers",
    "unknown": "ask again",
    "unconfirmed": "ask who runs the server; its publishers can sign a new snapshot",
    "registry-unknown": "ask again, or leave the registry out with --no-registry",
    "role-refused": "ask whoever signs it to sign again",
}
_WITNESS = "have moved by then, or have somebody with its key run: trustreg witness {gun} {role}"
_RENEW = "have somebody with its key run trustreg renew before then"
_EXPIRY: Mapping[tuple[bool, str], tuple[str, str]] = {
    (False, ROOT): ("clients refuse the whole collection, and the server signs no timestamp any more", _WITNESS),
    (False, TARGETS): ("clients refuse the whole collection", _WITNESS),
    (False, SNAPSHOT): (
        "if its key is not the server's, the server answers 500 to everybody who reads or publishes",
        "if a publisher holds its key: trustreg witness {gun} snapshot; a server that holds it signs again by itself",
    ),
    (False, TIMESTAMP): (
        "the server signs it again by itself; once it is switched off, nobody can verify anything after that",
        "have moved before the server is switched off",
    ),
    (False, "delegation"): ("what only it signs is not trusted", _WITNESS),
    (True, ROOT): ("readers refuse the whole collection", _RENEW),
    (True, TARGETS): ("readers refuse the whole collection", _RENEW),
    (True, SNAPSHOT): ("readers refuse the whole collection", _RENEW),
    (True, TIMESTAMP): ("readers refuse the whole collection", _RENEW),
    (True, "delegation"): ("readers refuse it, and with it what they look for there", _RENEW),
}
_EXPIRED: Mapping[tuple[bool, str], tuple[str, str]] = {
    (False, SNAPSHOT): (
        "clients refuse the whole collection",
        "whoever holds its key has to publish, or who runs the server to see why it does not sign",
    ),
    (False, TIMESTAMP): ("clients refuse the whole collection", "ask who runs the server, which has to sign it"),
}
_SAID: Mapping[str, tuple[str, str]] = {
    "entry-refused": (
        "{role} lists what nobody can use, and it is left out: {problem}",
        "ask whoever signs it to take it out or sign it again",
    ),
    "first-use": (
        "its root was trusted on first use: nobody has compared its keys, {keyids}",
        "compare them with what its publishers say, and pin them: --pin",
    ),
    "image-gone": (
        "what was signed is not in the registry any more: {names}",
        "there is nothing to take along; where they are still in use, push them from there",
    ),
    "key-certificate-expired": (
        "the certificate of key {keyid:.12} ({subject}) has expired",
        "have a new key of its owner take its place",
    ),
    "key-certificate-expires": (
        "the certificate of key {keyid:.12} ({subject}) expires",
        "have a new key of its owner take its place before then",
    ),
    "never-signed": (
        "{role} is delegated to by {by}, and has signed nothing yet",
        "leave it behind, or ask whoever has its key",
    ),
    "no-keys": (
        "{able} keys of {role} can sign, and it needs {threshold}: nobody can sign it again",
        "have its delegator name new keys, or leave it behind",
    ),
    "refused": ("{problem}", "{hint}"),
    "registry-unknown": ("the registry could not be asked: {problem} ({names})", "{hint}"),
    "role-expired": ("{role} has expired", "have somebody with its key sign it again"),
    "role-expires": ("{role} expires", ""),
    "role-refused": ("{role} is refused, and nothing it lists counts: {problem}", "{hint}"),
    "role-unknown": ("{role} could not be read: {problem}", "{hint}"),
    "root-asked-for": (
        "the root expires within six months then: notary and docker ask for its key at every publication",
        "have its key at hand, or run before then: trustreg witness {gun} root",
    ),
    "root-certificate-expired": (
        "the certificate of root key {keyid:.12} ({subject}) has expired",
        "have somebody with its key run: trustreg key rotate {gun} root",
    ),
    "root-certificate-expires": (
        "the certificate of root key {keyid:.12} ({subject}) expires",
        "have somebody with its key run, early enough for all clients to see it: trustreg key rotate {gun} root",
    ),
    "roots-apart": (
        "roots are not signed by the keys before them, and who trusts an older one cannot follow: {names}",
        "ask its publishers; clients that know an older root have to forget it",
    ),
    "roots-missing": (
        "roots before the current one are not served, and who knows one of them cannot follow: {names}",
        "keep the current root, and pin its key",
    ),
    "sha512-only": (
        "signed without a sha256, by which registries and other clients go: {names}",
        "sign them again with their sha256",
    ),
    "signed-apart": (
        "signed with more than one digest, by different roles: {names}",
        "ask the signers which is meant; what counts is marked",
    ),
    "tag-gone": (
        "the tag is not in the registry any more, though what was signed is: {names}",
        "tag it again by its digest, before the registry collects it",
    ),
    "tag-moved": (
        "the registry serves another digest than the signed one: {names}",
        "sign what is served with trustreg sign, or tag again what was signed",
    ),
    "unconfirmed": ("nobody says whether this is current: {problem}", "{hint}"),
    "unknown": ("{problem}", "{hint}"),
    "unusable-key": ("key {keyid:.12} of {role} ({algorithm}) cannot vouch for anything here", "leave it behind"),
    "weak-key": (
        "keys are {algorithm}, below the 128 bits that are asked for from then on: {names}",
        "sign under a stronger key where you move to",
    ),
}
CODES: Final = tuple(sorted(_SAID))
