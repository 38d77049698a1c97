"""The policy file of trustreg, as it was parsed, read as a :class:`trustreg.policy.Policy`.

``docs/reference/policy.md`` says what each member means, and ``schemas/policy.schema.json`` what it may be.
"""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, NoReturn, Protocol, TypeVar, cast

from trustreg.dialects.kubernetes import steps
from trustreg.dialects.reading import RFC3339, Members
from trustreg.errors import FormatError, NameFormError
from trustreg.identity import Identity, Way, repository, scope_problem, written
from trustreg.names import TARGETS, is_delegation
from trustreg.policy import (
    MODES,
    OF,
    PINS,
    AcceptAnything,
    Admission,
    AllOf,
    AtLeast,
    BreakGlass,
    Exemption,
    Extractor,
    GpgKey,
    InCollection,
    Mode,
    Of,
    OldOrNew,
    Pin,
    PlainKey,
    Policy,
    Reject,
    Requirement,
    Rule,
    SignedByGpg,
    SignedByKey,
)

K = TypeVar("K", GpgKey, PlainKey)


class Keys(Protocol):
    """Reads the keys that a policy names. Errors are those of whoever reads the file."""

    def gpg(self, name: str, text: str, path: str) -> GpgKey:
        """Return what the policy calls *name*: *text*, which stands at *path*, is a file or the keys themselves."""

    def plain(self, name: str, text: str, path: str) -> PlainKey:
        """Return what the policy calls *name*, as :meth:`gpg` does."""


def read(document: Any, source: str, digest: str, line: Callable[[str], int], keys: Keys) -> Policy:
    """Read *document*.

    Args:
        document: What was parsed: dicts, lists, text, numbers, true, false and ``None``.
        source: What the file is called.
        digest: The sha256 of all of it.
        line: Returns the line in which what is at a path begins.
        keys: Reads the keys.

    Raises:
        FormatError: It is no policy; ``path`` says where.
    """
    whole = _Members("policy", "", document)
    whole.known("version", "aliases", "keys", "rules", "default", "admission")
    whole.integer("version", 1, 1)
    reading = _Reading(whole, source, line, keys)
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(whole.list("rules"), 1):
        if number > _MOST_RULES:
            whole.fail("rules", f"more than {_MOST_RULES} are listed")
        for rule in reading.rules(entry):
            if rule.scope in rules:
                entry.fail("match", f"{rule.scope} has a rule already, at {rules[rule.scope].where}")
            rules[rule.scope] = rule
    return Policy(
        rules=rules,
        default=reading.default(),
        aliases=reading.aliases(),
        admission=reading.admission(),
        source=source,
        digest=digest,
    )


class _Members(Members):
    """A mapping of the policy; what it cannot have is said with what was meant, as far as that can be guessed."""

    def known(self, *names: str) -> None:
        for name in self.value:
            if name not in names:
                close = get_close_matches(name, names, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
                self.fail(name, f"there is no such member; {hint}")

    def mapping(self, name: str) -> "_Members":
        return _Members(self.role, self.at(name), self.require(name))

    def list(self, name: str) -> "list[_Members]":
        if self.value.get(name) is None:
            return []
        return [
            _Members(self.role, self.at(f"{name}[{n}]"), item)
            for n, item in enumerate(self._list(name, nullable=False))
        ]

    def names(self, name: str) -> tuple[str, ...]:
        """Return the text of *name*, or a list of such: one at least, and each but once."""
        found = (self.text(name),) if isinstance(self.require(name), str) else self.strings(name)
        if not found:
            self.fail(name, "it names nothing")
        if twice := [one for one in found if found.count(one) > 1]:
            self.fail(name, f"{twice[0]!r} stands here twice")
        return found

    def choice(self, name: str, words: Collection[str], default: str) -> str:
        word = self.text(name) if name in self.value else default
        if word not in words:
            self.fail(name, f"{word[:40]!r} is none of {', '.join(words)}")
        return word

    def at(self, name: str) -> str:
        return self._at(name)


class _Reading:
    """The keys and aliases of a policy, and what its rules make of them."""

    def __init__(self, whole: _Members, source: str, line: Callable[[str], int], keys: Keys) -> None:
        self._whole, self._source, self._line = whole, source, line
        self._gpg: dict[str, GpgKey] = {}
        self._plain: dict[str, PlainKey] = {}
        for name, entry in whole.mapping("keys").value.items() if "keys" in whole.value else ():
            self._key(name, _Members("policy", f"keys.{name}", entry), keys)

    def _key(self, name: str, entry: _Members, keys: Keys) -> None:
        if not _NAME.fullmatch(name):
            entry.fail("", "the name of a key has letters, digits, '.', '_' and '-', and 64 of them at most")
        entry.known("gpg", "key", "fingerprint")
        if len(entry.value.keys() & {"gpg", "key"}) != 1:
            entry.fail("", "it has to say gpg or key, one of the two: a file, or the key itself")
        if "gpg" in entry.value:
            found = keys.gpg(name, entry.text("gpg"), entry.at("gpg"))
            self._gpg[name], is_now = found, found.fingerprints
        else:
            plain = keys.plain(name, entry.text("key"), entry.at("key"))
            self._plain[name], is_now = plain, (plain.fingerprint,)
        if "fingerprint" in entry.value:
            due = tuple(sorted(one.replace(" ", "").upper() for one in entry.names("fingerprint")))
            if due != tuple(sorted(one.upper() for one in is_now)):
                entry.fail("fingerprint", f"the key is {', '.join(is_now)}")

    def aliases(self) -> Mapping[str, str]:
        if "aliases" not in self._whole.value:
            return {}
        aliases = self._whole.mapping("aliases")
        for name in aliases.value:
            for side in (name, aliases.text(name)):
                if (problem := scope_problem(side)) or {"*", "@"} & set(side) or ":" in side.partition("/")[2]:
                    aliases.fail(name, f"{side!r} is not the beginning of the names of images: {problem or 'no tag'}")
        return cast("Mapping[str, str]", aliases.value)

    def rules(self, entry: _Members) -> list[Rule]:
        entry.known("match", "name", *_RULE)
        scopes = _scopes(entry)
        name = entry.text("name") if "name" in entry.value else ""
        return [self._rule(entry, scope, name or scope) for scope in scopes]

    def default(self) -> Rule:
        value = self._whole.require("default")
        if isinstance(value, dict) and "require" in value:
            entry = self._whole.mapping("default")
            entry.known(*_RULE)
            return self._rule(entry, "", "default")
        where = f"{self._source}:{self._line('default')}"
        return Rule(scope="", require=self._requirement(value, "default", 0), name="default", where=where)

    def admission(self) -> Admission:
        if self._whole.value.get("admission") is None:
            return Admission()
        said = self._whole.mapping("admission")
        said.known("pin", "namespaces", "exceptions", "break_glass", "extractors", "max_images", "trust_owners")
        namespaces = said.mapping("namespaces") if "namespaces" in said.value else _Members("policy", "", {})
        return Admission(
            pin=cast("Pin", said.choice("pin", PINS, "validate")),
            namespaces={
                _pattern(namespaces, name, name): cast("Mode", namespaces.choice(name, MODES, ""))
                for name in namespaces.value
            },
            exceptions=tuple(self._exemption(entry) for entry in said.list("exceptions")),
            break_glass=_break_glass(said.mapping("break_glass")) if "break_glass" in said.value else None,
            extractors=tuple(_extractor(entry) for entry in said.list("extractors")),
            max_images=said.integer("max_images", 1, _MOST_IMAGES) if "max_images" in said.value else 100,
            trust_owners="trust_owners" in said.value and said.boolean("trust_owners"),
        )

    def _exemption(self, entry: _Members) -> Exemption:
        entry.known("match", "namespaces", "until", "reason")
        return Exemption(
            match=_scopes(entry),
            namespaces=_patterns(entry),
            until=_moment(entry, "until"),
            reason=_reason(entry),
            where=f"{self._source}:{self._line(entry.path)}",
        )

    def _rule(self, entry: _Members, scope: str, name: str) -> Rule:
        return Rule(
            scope=scope,
            require=self._requirement(entry.require("require"), entry.at("require"), 0),
            mode=cast("Mode", entry.choice("mode", MODES, "enforce")),
            of=cast("Of", entry.choice("of", OF, "index")),
            name=name,
            where=f"{self._source}:{self._line(entry.path)}",
        )

    def _requirement(self, value: Any, path: str, depth: int) -> Requirement:
        if isinstance(value, str) and value in _WORDS:
            return AcceptAnything(path=path) if value == _ACCEPT else Reject(path=path)
        if not isinstance(value, dict):
            words = ", ".join(_WORDS)
            _fail(path, f"a requirement is {words}, or a mapping with one of {', '.join(_KINDS)}")
        entry = _Members("policy", path, value)
        kinds = [name for name in _KINDS if name in value]
        if len(kinds) != 1:
            entry.known(*_KINDS)
            entry.fail("", f"it has to say one of {', '.join(_KINDS)}, and says {' and '.join(kinds) or 'none'}")
        if depth > _DEEPEST:
            entry.fail("", f"requirements are nested more than {_DEEPEST} deep")
        (kind,) = kinds
        entry.known(kind, *_KINDS[kind])
        return self._of_kind(kind, entry, depth)

    def _of_kind(self, kind: str, entry: _Members, depth: int) -> Requirement:
        if kind == "gpg":
            return SignedByGpg(path=entry.path, keys=self._keys(entry, kind, self._gpg), identity=_identity(entry))
        if kind == "key":
            return SignedByKey(path=entry.path, keys=self._keys(entry, kind, self._plain), identity=_identity(entry))
        if kind == "collection":
            return _collection(entry)
        if kind == "old_or_new":
            return self._old_or_new(entry.mapping(kind), depth)
        parts = self._parts(entry, "of" if kind == "at_least" else kind, depth)
        if kind == "all":
            return AllOf(path=entry.path, parts=parts)
        count = entry.integer("at_least", 1, len(parts)) if kind == "at_least" else 1
        return AtLeast(path=entry.path, count=count, parts=parts)

    def _parts(self, entry: _Members, name: str, depth: int) -> tuple[Requirement, ...]:
        values = entry.require(name)
        if not isinstance(values, list) or not 0 < len(values) <= _MOST_PARTS:
            entry.fail(name, f"a list of 1 to {_MOST_PARTS} requirements is due")
        return tuple(self._requirement(v, entry.at(f"{name}[{n}]"), depth + 1) for n, v in enumerate(values))

    def _old_or_new(self, entry: _Members, depth: int) -> OldOrNew:
        entry.known("new", "old", "until")
        new, old = (self._requirement(entry.require(n), entry.at(n), depth + 1) for n in ("new", "old"))
        return OldOrNew(path=entry.path, new=new, old=old, until=_moment(entry, "until"))

    def _keys(self, entry: _Members, kind: str, known: Mapping[str, K]) -> tuple[K, ...]:
        for name in (names := entry.names(kind)):
            if name not in known:
                other = self._plain if kind == "gpg" else self._gpg
                hint = f"it is no {kind} key" if name in other else "no such key stands under keys"
                entry.fail(kind, f"{name!r}: {hint}")
        return tuple(known[name] for name in names)


def _scopes(entry: _Members) -> tuple[str, ...]:
    found = entry.names("match")
    for scope in found:
        if problem := scope_problem(scope):
            entry.fail("match", f"{scope!r} is no scope: {problem}")
    return found


def _pattern(entry: _Members, member: str, text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        entry.fail(member, f"{text[:80]!r} is not the name of a namespace, or a pattern, as test-*")
    return text


def _patterns(entry: _Members) -> tuple[str, ...]:
    return tuple(
        _pattern(entry, "namespaces", text)
        for text in (entry.names("namespaces") if "namespaces" in entry.value else ())
    )


def _reason(entry: _Members) -> str:
    text = entry.text("reason").strip()
    if not 0 < len(text) <= _LONGEST_REASON:
        entry.fail("reason", f"it has to say why, in {_LONGEST_REASON} characters at most")
    return text


def _break_glass(entry: _Members) -> BreakGlass:
    entry.known("annotation", "users", "groups", "dangerous_anyone", "namespaces")
    annotation = entry.text("annotation")
    if not _ANNOTATION.fullmatch(annotation):
        entry.fail("annotation", f"{annotation[:80]!r} is not the name of an annotation, as example.com/break-glass")
    found = BreakGlass(
        annotation=annotation,
        users=entry.names("users") if "users" in entry.value else (),
        groups=entry.names("groups") if "groups" in entry.value else (),
        anyone="dangerous_anyone" in entry.value and entry.boolean("dangerous_anyone"),
        namespaces=_patterns(entry),
    )
    if not (found.users or found.groups or found.anyone):
        entry.fail("", "it has to say who may: users, groups, or dangerous_anyone")
    for member, names in (("users", found.users), ("groups", found.groups)):
        for name in names:
            if _FOR_ANYBODY.fullmatch(name) and not found.anyone:
                entry.fail(member, f"{name} acts for anybody; where that is meant, say dangerous_anyone: true")
    return found


def _extractor(entry: _Members) -> Extractor:
    entry.known("kind", "api_version", "images", "pods")
    paths = {name: entry.names(name) if name in entry.value else () for name in ("images", "pods")}
    for name, each in paths.items():
        for path in each:
            try:
                steps(path)
            except FormatError as exc:
                entry.fail(name, exc.problem)
    if not any(paths.values()):
        entry.fail("", "it has to say images or pods: the paths to them")
    version = entry.text("api_version") if "api_version" in entry.value else ""
    return Extractor(kind=entry.text("kind"), api_version=version, images=paths["images"], pods=paths["pods"])


def _identity(entry: _Members) -> Identity:
    value = entry.value.get("identity", "digest_or_exact")
    if isinstance(value, str):
        if value not in _PLAIN_WAYS:
            entry.fail("identity", f"{value[:40]!r} is none of {', '.join((*_PLAIN_WAYS, *_NAMED_WAYS))}")
        return Identity(way=cast("Way", value.replace("_", "-")))
    identity = entry.mapping("identity")
    identity.known(*_NAMED_WAYS)
    if len(identity.value) != 1:
        identity.fail("", f"it has to say one of {', '.join(_NAMED_WAYS)}")
    (way,) = identity.value
    try:
        if way == "exact_reference":
            named = written(name := identity.text(way))
            if not (named.tag or named.digest):
                identity.fail(way, "it has to have a tag or a digest")
            return Identity(way="exact-reference", name=name)
        if way == "exact_repository":
            return Identity(way="exact-repository", name=repository(identity.text(way)))
    except NameFormError as exc:
        identity.fail(way, str(exc))
    remap = identity.mapping("remap")
    remap.known("prefix", "signed_prefix")
    names = [remap.text(name) for name in ("prefix", "signed_prefix")]
    for name, text in zip(("prefix", "signed_prefix"), names, strict=True):
        if (problem := scope_problem(text)) or {"*", "@"} & set(text) or ":" in text.partition("/")[2]:
            remap.fail(name, f"{text!r} is not the beginning of the names of images: {problem or 'no tag'}")
    return Identity(way="remap", name=names[0], by=names[1])


def _collection(entry: _Members) -> InCollection:
    if entry.require("collection") in (True, None):
        return InCollection(path=entry.path)
    said = entry.mapping("collection")
    said.known("roles", "signers", "pins", "server", "store", "first_use", "offline_grace", "max_age")
    roles = said.names("roles") if "roles" in said.value else ()
    roles += tuple(f"{TARGETS}/{name}" for name in said.names("signers")) if "signers" in said.value else ()
    for role in roles:
        if role != TARGETS and not is_delegation(role):
            said.fail("roles", f"{role[:80]!r} is not a role that signs tags, as {TARGETS} and {TARGETS}/releases are")
    pins = tuple(pin.lower() for pin in said.names("pins")) if "pins" in said.value else ()
    for pin in pins:
        if not _KEY_ID.fullmatch(pin):
            said.fail("pins", f"{pin[:80]!r} is not a key id, 64 hex digits")
    if "server" in said.value and "store" in said.value:
        said.fail("store", "a collection is on a trust server or in a store, one of the two")
    return InCollection(
        path=entry.path,
        roles=tuple(dict.fromkeys(roles)),
        pins=pins,
        server=said.text("server") if "server" in said.value else None,
        store=said.text("store") if "store" in said.value else None,
        first_use="first_use" in said.value and said.boolean("first_use"),
        offline_grace=_duration(said, "offline_grace") if "offline_grace" in said.value else None,
        max_age=_duration(said, "max_age") if "max_age" in said.value else timedelta(0),
    )


def _duration(entry: _Members, name: str) -> timedelta:
    found = _DURATION.fullmatch(entry.text(name))
    if not found or (span := timedelta(seconds=int(found[1]) * _SECONDS[found[2]])) > timedelta(days=366):
        entry.fail(name, "it has to be a number and its unit, 90s, 15m, 36h or 7d, and a year at most")
    return span


def _moment(entry: _Members, name: str) -> datetime:
    text = entry.text(name)
    if RFC3339.fullmatch(text):
        return entry.moment(name)
    with suppress(ValueError):
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return entry.fail(name, f"{text[:40]!r} is not a day, as 2027-01-31, or a time, as 2027-01-31T12:00:00Z")


def _fail(path: str, problem: str) -> NoReturn:
    _Members("policy", path, {}).fail("", problem)


_RULE: Final = ("require", "mode", "of")
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "gpg": ("identity",),
    "key": ("identity",),
    "collection": (),
    "all": (),
    "any": (),
    "at_least": ("of",),
    "old_or_new": (),
}
_ACCEPT: Final = "dangerous_accept_anything"
_WORDS: Final = ("reject", _ACCEPT)
_PLAIN_WAYS: Final = ("digest_or_exact", "exact", "repository")
_NAMED_WAYS: Final = ("exact_reference", "exact_repository", "remap")
_MOST_RULES = 10_000
_MOST_PARTS = 16
_MOST_IMAGES = 1000
_LONGEST_REASON = 200
_DEEPEST = 16
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAMESPACE = re.compile(r"[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?")
_ANNOTATION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_FOR_ANYBODY = re.compile(
    r"system:(?:anonymous|(?:un)?authenticated|kube-controller-manager|serviceaccounts(?::kube-system)?"
    r"|serviceaccount:kube-system:[a-z-]+-controller)"
)
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DURATION = re.compile(r"([0-9]{1,8})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
