"""What has to be true of an image before it may be used: rules, and the requirements they are made of.

A policy is a value, whatever it was written in. What comes of answers to its requirements is computed in
``verify.policy``.

Source for scopes and their order: containers/image ``docs/containers-policy.json.5.md``.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from trustreg.identity import Identity, prefixes, scopes
from trustreg.metadata import Key
from trustreg.names import Reference
from trustreg.values import dataclass, field

# --- requirements --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GpgKey:
    """Exported public keys of GPG, as one file has them: ``name`` is what the policy calls it.

    ``fingerprints`` are those of the primary keys, and ``ids`` what signatures call these and their subkeys.
    """

    name: str
    raw: bytes = field(repr=False)
    fingerprints: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlainKey:
    """A public key, ed25519, ECDSA or RSA: ``name`` is what the policy calls it, ``fingerprint`` the sha256 of it."""

    name: str
    key: Key
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class SignedByGpg:
    """One of ``keys`` has to have signed the manifest, under a name that ``identity`` admits."""

    path: str
    keys: tuple[GpgKey, ...]
    identity: Identity = Identity()


@dataclass(frozen=True, kw_only=True)
class SignedByKey:
    """One of ``keys`` has to have signed the manifest, under a name that ``identity`` admits."""

    path: str
    keys: tuple[PlainKey, ...]
    identity: Identity = Identity()


@dataclass(frozen=True, kw_only=True)
class InCollection:
    """The collection of the repository has to list the digest.

    Attributes:
        path: Where in the policy this stands.
        roles: Each of these roles has to list it; none of them stands in for another. Without any, the roles whose
            word counts by the settings.
        pins: Root key ids; the root has to have one of them. Without any, those of the settings.
        server: The trust server, instead of the one of the settings.
        store: The place of a collection without a server, instead.
        first_use: Whether a root that nobody pinned may be believed because it came first.
        offline_grace: How old what is remembered may be while nobody can be reached; ``None`` for what is set.
        max_age: How long a collection that was read may answer again without asking the server.
    """

    path: str
    roles: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    server: str | None = None
    store: str | None = None
    first_use: bool = False
    offline_grace: timedelta | None = None
    max_age: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """Every one of ``parts`` has to hold."""

    path: str
    parts: "tuple[Requirement, ...]"


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """So many of ``parts`` have to hold; ``any`` is one of them."""

    path: str
    count: int
    parts: "tuple[Requirement, ...]"


@dataclass(frozen=True, kw_only=True)
class OldOrNew:
    """``new`` has to hold; before ``until``, ``old`` will do."""

    path: str
    new: "Requirement"
    old: "Requirement"
    until: datetime

    @property
    def parts(self) -> "tuple[Requirement, ...]":
        """Both of them."""
        return self.new, self.old


@dataclass(frozen=True, kw_only=True)
class Reject:
    """Nothing will do. ``problem`` is empty where the policy says so, or tells what it demands that cannot be had."""

    path: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class AcceptAnything:
    """Anything will do, whatever it is and whoever made it."""

    path: str


Leaf: TypeAlias = SignedByGpg | SignedByKey | InCollection | Reject | AcceptAnything
Requirement: TypeAlias = Leaf | AllOf | AtLeast | OldOrNew
Mode: TypeAlias = Literal["enforce", "warn", "audit"]
Of: TypeAlias = Literal["index", "instance", "both"]
MODES: Final = ("enforce", "warn", "audit")
OF: Final = ("index", "instance", "both")


def leaves(requirement: Requirement) -> Iterator[Leaf]:
    """Yield the requirements that *requirement* is made of and that are asked about themselves."""
    if isinstance(requirement, AllOf | AtLeast | OldOrNew):
        for part in requirement.parts:
            yield from leaves(part)
    else:
        yield requirement


# --- rules ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is required of the images that ``scope`` covers.

    Attributes:
        scope: ``registry.example/team``, ``registry.example/team/app:1.0``, ``…@sha256:…``, ``*.example``; or "", which
            covers everything, for the default.
        require: What has to hold.
        mode: ``enforce`` refuses, ``warn`` lets through and says so aloud, ``audit`` lets through and keeps a record.
        of: What of an image with several platforms has to be signed: the ``index``, each ``instance`` that it lists, or
            ``both``. What a collection says of an index holds for what it lists.
        name: What people call it.
        where: Where it stands, ``policy.yaml:12``.
    """

    scope: str
    require: Requirement
    mode: Mode = "enforce"
    of: Of = "index"
    name: str = ""
    where: str = ""


# --- admission to a cluster ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Where objects of one kind, that is not of Kubernetes itself, name images.

    Attributes:
        kind: Which objects, ``Rollout``.
        api_version: Of which version, ``argoproj.io/v1alpha1``; "" for all.
        images: Paths to the names of images, ``spec.steps[*].image``.
        pods: Paths to what has the form of the spec of a pod, ``spec.template.spec``.
    """

    kind: str
    api_version: str = ""
    images: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """Images that may be used in spite of their rule, for a time.

    Attributes:
        match: Scopes, as those of rules.
        until: From when on it counts no more.
        reason: Why, for people.
        namespaces: Names or patterns of the namespaces where it counts; everywhere without any.
        where: Where it stands, ``policy.yaml:30``.
    """

    match: tuple[str, ...]
    until: datetime
    reason: str
    namespaces: tuple[str, ...] = ()
    where: str = ""

    def covers(self, image: Reference, namespace: str) -> bool:
        """Say whether it is about *image*, by its logical name, in *namespace*, whatever the time."""
        return is_named(namespace, self.namespaces) and not set(self.match).isdisjoint(scopes(image))


@dataclass(frozen=True, kw_only=True)
class BreakGlass:
    """Who may have an object admitted in spite of everything, by an annotation that says why.

    Attributes:
        annotation: What it is called.
        users: Names of users and service accounts.
        groups: Groups, of which a user has to be in one.
        anyone: Whether it counts whoever sets it.
        namespaces: Names or patterns of the namespaces where it counts; everywhere without any.
    """

    annotation: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    anyone: bool = False
    namespaces: tuple[str, ...] = ()


Pin: TypeAlias = Literal["pin", "annotate", "validate"]
PINS: Final = ("pin", "annotate", "validate")


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a policy says of objects that are to be admitted to a cluster.

    Attributes:
        pin: What becomes of images that are named by tag alone: ``pin`` adds the digest that was judged, ``annotate``
            notes it at the object, ``validate`` changes nothing.
        namespaces: Modes by the names of namespaces, or by patterns, ``test-*``.
        exceptions: What may be used nevertheless.
        break_glass: Who may get past all of it.
        extractors: Where objects of other kinds name images.
        max_images: So many different images one object may ask about.
        trust_owners: Whether an object that another made passes by its owner, for the images that this has.
    """

    pin: Pin = "validate"
    namespaces: Mapping[str, Mode] = field(default_factory=dict, hash=False)
    exceptions: tuple[Exemption, ...] = ()
    break_glass: BreakGlass | None = None
    extractors: tuple[Extractor, ...] = ()
    max_images: int = 100
    trust_owners: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespaces", MappingProxyType(dict(self.namespaces)))

    def mode(self, namespace: str) -> Mode:
        """Return the mode for *namespace*: that of its name, or of the longest pattern; ``enforce`` where none is.

        Of two patterns of one length, the stricter counts.
        """
        if namespace in self.namespaces:
            return self.namespaces[namespace]
        fitting = [pattern for pattern in self.namespaces if is_named(namespace, (pattern,))]
        longest = max(map(len, fitting), default=0)
        found = [self.namespaces[pattern] for pattern in fitting if len(pattern) == longest]
        return min(found, key=MODES.index, default="enforce")


def is_named(name: str, patterns: Collection[str]) -> bool:
    """Say whether one of *patterns*, in which ``*`` stands for any text, is *name*; where there are none, it is."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


# --- the whole -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rules by scope, and what holds for images that none of them covers.

    Attributes:
        rules: By scope.
        default: For all other images.
        aliases: What images are called by whom they are signed, by what they are called in a mirror: ``{"mirror.example
            /hub": "docker.io"}``, both the beginnings of names, component by component. The longest one counts.
        admission: What else counts where objects are admitted to a cluster.
        source: Where it was read.
        digest: The sha256, in hex, of all that it was read from.
    """

    rules: Mapping[str, Rule]
    default: Rule
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    admission: Admission = Admission()
    source: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", MappingProxyType(dict(self.rules)))
        object.__setattr__(self, "aliases", MappingProxyType(dict(self.aliases)))

    def logical(self, image: Reference) -> Reference:
        """Return the name under which *image* is signed, where it is called otherwise in a mirror.

        Its host is in lower case, its port without zeros in front, and Docker Hub's images are called as always: nobody
        gets around a rule by the way that a name is written.
        """
        host, colon, port = image.domain.lower().rpartition(":")
        domain = f"{host}:{int(port)}" if colon and port.isdecimal() else image.domain.lower()
        name = Reference.plain(f"{domain}/{image.path}", None, None).repository
        prefix = next((prefix for prefix in prefixes(name) if prefix in self.aliases), "")
        name = f"{self.aliases[prefix]}{name[len(prefix) :]}" if prefix else name
        return Reference.plain(name, image.tag, image.digest)

    def rule(self, image: Reference) -> Rule:
        """Return the rule that *image*, by its logical name, is judged by: the most specific one, and no other."""
        return next((self.rules[scope] for scope in scopes(image) if scope in self.rules), self.default)
