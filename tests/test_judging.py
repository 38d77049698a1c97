"""What a policy says of images: which signatures count, for what, and what comes of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, combinations, permutations
from typing import TYPE_CHECKING, Any

import pytest

from trustreg.dialects import simple
from trustreg.errors import (
    FormatError,
    GpgError,
    GpgSignatureError,
    NotInRegistryError,
    OfflineError,
    UnsignedError,
)
from trustreg.identity import Identity
from trustreg.judging import Judge
from trustreg.metadata import Key
from trustreg.names import Digest, Gun, Reference
from trustreg.policy import (
    AcceptAnything,
    AllOf,
    AtLeast,
    GpgKey,
    InCollection,
    OldOrNew,
    PlainKey,
    Policy,
    Reject,
    Rule,
    SignedByGpg,
    SignedByKey,
)
from trustreg.ports import Detached, Garbage, Manifest, Message, Vouched
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.judging import Decision
    from trustreg.policy import Requirement
    from trustreg.ports import Attached

NOW = datetime(2026, 12, 1, tzinfo=UTC)
REPO = "registry.example/team/app"
IMAGE = Reference.parse(f"{REPO}:1.0")
RAW = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(raw: bytes) -> Digest:
    """Return the digest of a manifest."""
    return Digest("sha256", hashlib.sha256(raw).hexdigest())


DIGEST = digest_of(RAW)
CI, OTHER = LocalSigner.generate("ed25519"), LocalSigner.generate("ed25519")


def plain(signer: LocalSigner, name: str) -> PlainKey:
    """Return the public half of a key as a policy has it."""
    key = Key(id=name, kind=signer.kind, public=signer.public, scheme=simple.SCHEMES[signer.kind])
    return PlainKey(name=name, key=key, fingerprint=hashlib.sha256(signer.public).hexdigest())


RELEASE = GpgKey(name="release", raw=b"release", fingerprints=("A" * 40,), ids=("A" * 16,))
GPG = SignedByGpg(path="gpg", keys=(RELEASE,))
KEY = SignedByKey(path="key", keys=(plain(CI, "ci"),))
COLLECTION = InCollection(path="collection", roles=("targets/releases",))


def payload(reference: str = str(IMAGE), digest: Digest = DIGEST, kind: str = simple.COSIGN) -> bytes:
    """Write what is to be signed."""
    return simple.write(simple.Payload(reference=reference, digest=digest, timestamp=1), kind)


def detached(signer: LocalSigner = CI, **said: Any) -> Detached:
    """Sign with a plain key."""
    raw = payload(**said)
    return Detached(where="tag#1", payload=raw, signature=signer.sign(raw, "").value)


def message(by: str = "release", **said: Any) -> Message:
    """Sign as the GPG of these tests does: with the name of the key in front."""
    return Message(where="lookaside/signature-1", raw=by.encode() + b"|" + payload(kind=simple.ATOMIC, **said))


class Gpg:
    """Believes a message that names one of the keys; ``broken`` is what it does instead."""

    broken: Exception | None = None

    def verify(self, keys: tuple[bytes, ...], raw: bytes, now: datetime) -> Vouched:
        """See :class:`trustreg.ports.OpenPgp`."""
        by, bar, content = raw.partition(b"|")
        if self.broken:
            raise self.broken
        if not bar:
            raise FormatError("OpenPGP message", "", "it is none")
        if by not in keys:
            raise GpgSignatureError("A" * 16 if by == b"broken" else "B" * 16, "it does not hold")
        return Vouched(content=content, fingerprint="A" * 40, made=now)


class Shelf:
    """A place with signatures by digest."""

    holds: frozenset[type[Message | Detached]] = frozenset({Message, Detached})

    def __init__(self, kept: Mapping[Digest, list[Attached]], where: str = "shelf") -> None:
        self.kept, self.where = kept, where
        self.broken: Exception | None = None
        self.asked: list[str] = []

    def read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        """See :class:`trustreg.ports.SignaturePlace`."""
        self.asked.append(f"{image.repository}@{digest}")
        yield from self.kept.get(digest, [])
        if self.broken:
            raise self.broken


class Team:
    """A collection that lists digests by tag and role."""

    def __init__(self, listed: Mapping[str, Mapping[str, Digest]]) -> None:
        self.listed = listed
        self.broken: Exception | None = None
        self.asked: list[tuple[str, ...]] = []
        self.keys: dict[str, str] = {}
        self.first_use: set[str] = set()

    def verify(self, image: Reference, now: datetime, *, compare: bool, roles: tuple[str, ...]) -> Any:
        """See :class:`trustreg.client.Verifier`."""
        from trustreg.client import Trusted

        self.asked.append(roles)
        assert (now, compare) == (NOW, False)
        if self.broken:
            raise self.broken
        (role,) = roles
        if self.listed.get(role, {}).get(image.tag or "1.0") != image.digest:
            raise UnsignedError(str(image.gun), image.tag or "", roles)
        assert image.digest
        return Trusted(
            image=str(image),
            pinned=image.pinned(image.digest),
            gun=Gun(image.repository),
            tag=image.tag or "1.0",
            digest=image.digest,
            length=1,
            role=role,
            keyids=(f"id of {role}",),
            fingerprints=(self.keys.get(role, f"key of {role}"),),
            root_keyids=("root",),
            expires=NOW,
            first_use=role in self.first_use,
            compared=False,
        )


class Registry:
    """Serves manifests by tag and by digest."""

    def __init__(self, served: Mapping[str, tuple[str, bytes]]) -> None:
        self.served = dict(served)
        self.broken: Exception | None = None
        self.asked: list[str] = []

    def manifest(self, reference: Reference) -> Manifest:
        """See :class:`trustreg.ports.Registry`."""
        self.asked.append(str(reference))
        if self.broken:
            raise self.broken
        found = self.served.get(str(reference))
        if found is None:
            raise NotInRegistryError(str(reference))
        return Manifest(media_type=found[0], digest=digest_of(found[1]), raw=found[1])


class World:
    """One image, its signatures and its collection, and whoever judges it."""

    def __init__(self, *attached: Attached, listed: Mapping[str, Mapping[str, Digest]] | None = None) -> None:
        self.registry = Registry({str(IMAGE): (OCI, RAW), f"{REPO}@{DIGEST}": (OCI, RAW)})
        self.shelf = Shelf({DIGEST: list(attached)})
        self.gpg, self.team = Gpg(), Team(listed or {})
        self.shelves = [self.shelf]

    def judge(self, requirement: Requirement, image: Reference = IMAGE, now: datetime = NOW, **more: Any) -> Decision:
        """Judge by a policy of one rule."""
        said = {name: more.pop(name) for name in ("mode", "of") if name in more}
        aliases = more.pop("aliases", {})
        rule = Rule(scope=REPO, require=requirement, name="team", where="policy.yaml:3", **said)
        default = Rule(scope="", require=Reject(path="default"), name="default", where="policy.yaml:9")
        policy = Policy(rules={REPO: rule}, default=default, aliases=aliases)

        def places(asked: Reference, logical: Reference) -> list[Any]:
            assert policy.logical(asked) == logical
            return [(shelf, logical) for shelf in self.shelves]

        clock = more.pop("clock", lambda: 0.0)
        judge = Judge(policy, self.registry, places, self.gpg, lambda _: self.team, clock)  # type: ignore[arg-type, return-value]
        return judge.judge(image, now, **more)


def code(decision: Decision) -> tuple[str, ...]:
    """Return the codes of a decision that is no yes."""
    return tuple(getattr(decision.error, "codes", ())) or ((decision.error.code,) if decision.error else ())


@pytest.mark.parametrize("requirement", [GPG, KEY, COLLECTION], ids=["gpg", "key", "collection"])
def test_each_kind_says_yes(requirement: Requirement) -> None:
    """
    What the key signed, or the role lists, is trusted, pinned to what the registry serves, and bound to the tag.
    """
    world = World(message(), detached(), listed={"targets/releases": {"1.0": DIGEST}})
    found = world.judge(requirement)

    assert (found.verdict, found.allowed, found.pinned, found.bound) == ("trusted", True, f"{REPO}@{DIGEST}", True)
    assert found.error is None
    assert world.judge(requirement, Reference.parse(f"{REPO}@{DIGEST}")).bound is None


@pytest.mark.parametrize("present", list(chain.from_iterable(combinations("gkc", n) for n in range(4))), ids="".join)
def test_two_of_three(present: tuple[str, ...]) -> None:
    """
    "2 of {GPG key, plain key, role of the collection}": two will do, whichever they are, and one will not.
    """
    attached: list[Attached] = [one for name, one in (("g", message()), ("k", detached())) if name in present]
    world = World(*attached, listed={"targets/releases": {"1.0": DIGEST}} if "c" in present else {})
    found = world.judge(AtLeast(path="two", count=2, parts=(GPG, KEY, COLLECTION)), whole=True)

    assert found.verdict == ("trusted" if len(present) >= 2 else "untrusted")
    answers = [part.outcome for part in found.judged[0].answer.parts]
    assert answers == ["yes" if name in present else "no" for name in "gkc"]


@pytest.mark.parametrize("unknown", "gkc")
@pytest.mark.parametrize("present", [(), ("g",), ("k",), ("c",), ("g", "k"), ("g", "c"), ("k", "c")], ids="".join)
def test_two_of_three_where_one_gives_no_answer(unknown: str, present: tuple[str, ...]) -> None:
    """
    Two others make a yes whatever it would have been; one other leaves it open; none makes a no.
    """
    present = tuple(name for name in present if name != unknown)
    attached: list[Attached] = [one for name, one in (("g", message()), ("k", detached())) if name in present]
    world = World(listed={"targets/releases": {"1.0": DIGEST}} if "c" in present else {})
    gpg = Shelf({DIGEST: [one for one in attached if isinstance(one, Message)]})
    key = Shelf({DIGEST: [one for one in attached if isinstance(one, Detached)]})
    gpg.holds, key.holds = frozenset({Message}), frozenset({Detached})
    world.shelves = [gpg, key]
    broken: Any = {"g": gpg, "k": key, "c": world.team}[unknown]
    broken.broken = OfflineError("https://away.example", "timed out")
    found = world.judge(AtLeast(path="two", count=2, parts=(GPG, KEY, COLLECTION)))

    expected = {2: "trusted", 1: "unknown", 0: "untrusted"}[len(present)]
    assert found.verdict == expected
    if expected == "unknown":
        assert code(found) == ("offline",)
        assert found.allowed is False


BAD = [
    ("nothing", GPG, [], "no-signature"),
    ("nothing", KEY, [], "no-signature"),
    ("another key", KEY, [detached(OTHER)], "no-signature"),
    ("another key", GPG, [message("other")], "no-signature"),
    ("one that does not hold", GPG, [message("broken"), message("other")], "gpg-signature"),
    ("the other kind", KEY, [message()], "no-signature"),
    ("the other kind", GPG, [detached()], "no-signature"),
    ("another tag", GPG, [message(reference=f"{REPO}:2.0")], "identity"),
    ("another tag", KEY, [detached(reference=f"{REPO}:2.0")], "identity"),
    ("another repository", KEY, [detached(reference="registry.example/team/other:1.0")], "identity"),
    ("no tag", KEY, [detached(reference=REPO)], "identity"),
    ("another digest", KEY, [detached(digest=digest_of(b"x"))], "signed-digest"),
    ("another digest", GPG, [message(digest=digest_of(b"x"))], "signed-digest"),
    ("the payload of the other kind", KEY, [detached(kind=simple.ATOMIC)], "format"),
    ("rubbish in it", GPG, [Message(where="x", raw=b"release|{}")], "format"),
    ("rubbish", GPG, [Message(where="x", raw=b"rubbish")], "format"),
    ("garbage", KEY, [Garbage(where="x", error=FormatError("signature", "", "it is none"))], "no-signature"),
    ("one byte changed", KEY, [replace(detached(), payload=payload() + b" ")], "no-signature"),
    ("the nearest miss", KEY, [detached(OTHER), detached(reference=f"{REPO}:2.0"), detached(OTHER)], "identity"),
]


@pytest.mark.parametrize(("what", "requirement", "attached", "expected"), BAD, ids=lambda value: str(value)[:30])
def test_what_does_not_count(what: str, requirement: Requirement, attached: list[Attached], expected: str) -> None:
    """
    Each is refused with the code of the nearest miss, and nothing of it is pinned; beside a good one, it does no harm.
    """
    found = World(*attached).judge(requirement)
    good = message() if requirement is GPG else detached()

    assert (found.verdict, found.allowed, found.pinned, code(found)) == ("untrusted", False, None, (expected,))
    assert World(*attached, good).judge(requirement).verdict == "trusted"


def test_garbage_is_told_of() -> None:
    """
    It is passed over with a warning, also where a good signature follows.
    """
    garbage = Garbage(where="tag#1", error=FormatError("signature", "size", "it is no length"))
    found = World(garbage, detached()).judge(KEY)

    assert found.verdict == "trusted"
    assert found.warnings == ("passed over tag#1: signature metadata is malformed at size: it is no length",)


def test_a_place_that_gives_no_answer_is_not_an_empty_one() -> None:
    """
    Without a good signature it is not known whether there is one; with one, from wherever, nobody waits for it.
    """
    world = World()
    world.shelf.broken = OfflineError("https://away.example", "timed out")
    assert (world.judge(KEY).verdict, code(world.judge(KEY))) == ("unknown", ("offline",))
    world.shelves.append(Shelf({DIGEST: [detached()]}))
    assert world.judge(KEY).verdict == "trusted"
    world = World(message())
    world.gpg.broken = GpgError("it cannot be run")
    assert (world.judge(GPG).verdict, code(world.judge(GPG))) == ("unknown", ("gpg",))


def test_what_the_registry_says() -> None:
    """
    No such image is a no, no answer is none; a tag that was moved has no signature; a digest need not be asked for.
    """
    world = World(detached())
    assert world.judge(KEY, Reference.parse(f"{REPO}:2.0")).verdict == "untrusted"
    world.registry.served[str(IMAGE)] = (OCI, RAW + b" ")
    moved = world.judge(KEY)
    assert (moved.verdict, code(moved), moved.digest) == ("untrusted", ("no-signature",), digest_of(RAW + b" "))
    world.registry.asked.clear()
    assert world.judge(KEY, Reference.parse(f"{REPO}:1.0@{DIGEST}")).pinned == f"{REPO}@{DIGEST}"
    assert world.registry.asked == []
    world.registry.broken = OfflineError("https://registry.example", "timed out")
    away = world.judge(KEY)
    assert (away.verdict, away.error and away.error.code, away.digest) == ("unknown", "offline", None)


def test_tag_and_digest_have_to_belong_together() -> None:
    """
    Pinned by whoever asks, the digest still has to be signed as that tag.
    """
    world = World(detached(), message(), listed={"targets/releases": {"1.0": DIGEST}})
    for requirement in (KEY, GPG, COLLECTION):
        assert world.judge(requirement, Reference.parse(f"{REPO}:1.0@{DIGEST}")).bound is True
        assert world.judge(requirement, Reference.parse(f"{REPO}:2.0@{DIGEST}")).verdict == "untrusted"


def test_what_binds_no_tag_says_so() -> None:
    """
    Under identity "repository" any tag will do: the decision says that nobody vouched for this one.
    """
    loose = replace(KEY, identity=Identity(way="repository"))
    found = World(detached(reference=f"{REPO}:2.0")).judge(loose)

    assert (found.verdict, found.bound) == ("trusted", False)
    assert "says that 1.0 is this digest" in found.warnings[0]
    both = World(detached(reference=f"{REPO}:2.0"), listed={"targets/releases": {"1.0": DIGEST}})
    assert both.judge(AllOf(path="all", parts=(loose, COLLECTION))).bound is True


def test_the_rule_is_the_most_specific_and_no_other() -> None:
    """
    What no rule covers is judged by the default; hosts are compared in lower case.
    """
    world = World(detached())
    other = world.judge(KEY, Reference.parse("registry.example/team/application:1.0"))
    assert (other.rule.name, other.verdict, code(other), world.registry.asked) == (
        "default",
        "untrusted",
        ("reject",),
        [],
    )
    loud = Reference.parse(f"REGISTRY.example/team/app@{DIGEST}")
    assert world.judge(KEY, loud).rule.name == "team"


@pytest.mark.parametrize(
    "name",
    [
        *("nginx", "docker.io/nginx", "DOCKER.IO/nginx", "Docker.io/library/nginx", "INDEX.docker.io/nginx"),
        *("mirror.example:5000/hub/nginx", "MIRROR.example:5000/hub/library/nginx"),
    ],
)
def test_docker_hub_has_one_name(name: str) -> None:
    """
    However it is called: the rule for one of its images is not got around, and others there are others.
    """
    rule = Rule(scope="docker.io/library/nginx", require=Reject(path="r"))
    aliases = {"mirror.example:5000/hub": "docker.io"}
    policy = Policy(rules={rule.scope: rule}, default=Rule(scope="", require=AcceptAnything(path="d")), aliases=aliases)

    assert policy.rule(policy.logical(Reference.parse(name))) is rule
    assert policy.rule(policy.logical(Reference.parse(f"{name}-else"))) is policy.default


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("registry.example:05000/app:1.0", "registry.example:5000/app"),
        ("REGISTRY.example:05000/app:1.0", "registry.example:5000"),
        ("[::1]:05000/app:1.0", "[::1]:5000/app"),
        ("registry.example:443/app:1.0", "registry.example/app"),
        ("registry.example:0443/app:1.0", "registry.example/app:1.0"),
    ],
)
def test_a_port_has_one_spelling(name: str, scope: str) -> None:
    """
    Zeros in front of it, or that of https said, lead to the same registry, and so to the same rule.
    """
    rule, loose = Rule(scope=scope, require=Reject(path="r")), Rule(scope="*.example", require=AcceptAnything(path="l"))
    rules = {one.scope: one for one in (rule, loose)}
    policy = Policy(rules=rules, default=Rule(scope="", require=AcceptAnything(path="d")))

    assert policy.rule(policy.logical(Reference.parse(name))) is rule


def test_an_alias_is_judged_by_the_name_that_was_signed() -> None:
    """
    What a mirror serves is asked of it, and has to be signed under the logical name; the pin is at the mirror.
    """
    world = World(detached(), listed={"targets/releases": {"1.0": DIGEST}})
    asked = Reference.parse("mirror.example:5000/hub/team/app:1.0")
    world.registry.served = {str(asked): (OCI, RAW)}
    aliases = {"mirror.example:5000/hub": "registry.example"}
    found = world.judge(AllOf(path="all", parts=(KEY, COLLECTION)), asked, aliases=aliases)

    assert (found.verdict, found.logical, found.rule.name) == ("trusted", str(IMAGE), "team")
    assert found.pinned == f"mirror.example:5000/hub/team/app@{DIGEST}"


@pytest.mark.parametrize(("mode", "allowed"), [("enforce", False), ("warn", True), ("audit", True)])
def test_modes_change_what_is_allowed_and_not_what_is_true(mode: str, allowed: bool) -> None:
    """
    A no stays a no, and a don't know one, also where it is let through.
    """
    world = World()
    found = world.judge(KEY, mode=mode)
    assert (found.verdict, found.allowed, found.pinned is not None) == ("untrusted", allowed, allowed)
    world.shelf.broken = OfflineError("https://away.example", "timed out")
    assert (world.judge(KEY, mode=mode).verdict, world.judge(KEY, mode=mode).allowed) == ("unknown", allowed)


def test_old_or_new_ends() -> None:
    """
    What was old counts before the day, and not from then on.
    """
    until = datetime(2026, 12, 24, tzinfo=UTC)
    change = OldOrNew(path="change", new=KEY, old=GPG, until=until)
    world = World(message())

    assert world.judge(change).verdict == "trusted"
    assert world.judge(change, now=until).verdict == "untrusted"
    assert World(detached()).judge(change, now=until).verdict == "trusted"


# --- indexes -------------------------------------------------------------------------------------------------------

AMD, ARM = RAW + b" ", RAW + b"  "


def index(*manifests: tuple[bytes, str]) -> bytes:
    """Write an index of manifests for platforms."""
    entries = []
    for raw, platform in manifests:
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        entry: dict[str, Any] = {"mediaType": OCI, "digest": str(digest_of(raw)), "size": len(raw)}
        entry["platform"] = {"os": system, "architecture": architecture, **({"variant": variant} if variant else {})}
        entries.append(entry)
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


MANY = index((AMD, "linux/amd64"), (ARM, "linux/arm64/v8"))


@pytest.mark.parametrize(
    ("of", "signed", "platform", "verdict"),
    [
        ("index", [MANY], None, "trusted"),
        ("index", [AMD, ARM], None, "untrusted"),
        ("instance", [AMD, ARM], None, "trusted"),
        ("instance", [MANY, AMD], None, "untrusted"),
        ("instance", [AMD], "linux/amd64", "trusted"),
        ("instance", [AMD], "linux/arm64", "untrusted"),
        ("instance", [ARM], "linux/arm64", "trusted"),
        ("instance", [MANY, AMD, ARM], "windows/amd64", "untrusted"),
        ("both", [MANY, AMD, ARM], None, "trusted"),
        ("both", [AMD, ARM], None, "untrusted"),
        ("both", [MANY, AMD], None, "untrusted"),
        ("both", [MANY, AMD], "linux/amd64", "trusted"),
        ("index", [], None, "untrusted"),
    ],
)
@pytest.mark.parametrize("by_digest", [False, True], ids=["tag", "digest"])
def test_what_of_an_index_is_signed(
    of: str, signed: list[bytes], platform: str | None, verdict: str, by_digest: bool
) -> None:
    """
    The index, what it lists, or both; one platform where that was chosen. The pin is always the index.
    """
    world = World()
    pinned = f"{REPO}@{digest_of(MANY)}"
    world.registry.served = {str(IMAGE): (INDEX, MANY), pinned: (INDEX, MANY)}
    world.shelf.kept = {digest_of(raw): [detached(digest=digest_of(raw))] for raw in signed}
    asked = Reference.parse(pinned) if by_digest else IMAGE
    found = world.judge(KEY, asked, of=of, platform=platform)

    assert found.verdict == verdict
    assert found.pinned == (pinned if verdict == "trusted" else None)


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8", "linux/aarch64", "Linux/ARM64"])
@pytest.mark.parametrize(
    "listed",
    [
        None,
        {},
        {"os": "linux"},
        {"architecture": "arm64"},
        {"os": "linux", "architecture": "aarch64"},
        {"os": "Linux", "architecture": "Arm64"},
        {"os": "linux", "architecture": "arm64", "variant": "8"},
        {"os": "linux", "architecture": "arm64", "variant": None},
    ],
    ids=str,
)
def test_what_may_be_pulled_for_a_platform_is_judged(listed: dict[str, Any] | None, platform: str) -> None:
    """
    Who pulls takes other names of a platform for it, and what says none: a bad image cannot hide behind that.
    """
    whole = json.loads(index((ARM, "linux/arm64/v8"), (AMD, "linux/amd64")))
    whole["manifests"].insert(0, {**whole["manifests"][0], "digest": str(digest_of(b"bad")), "platform": listed})
    raw = json.dumps(whole).encode()
    world = World()
    world.registry.served = {str(IMAGE): (INDEX, raw)}
    world.shelf.kept = {digest_of(ARM): [detached(digest=digest_of(ARM))]}

    assert world.judge(KEY, of="instance", platform=platform).verdict == "untrusted"
    world.shelf.kept[digest_of(b"bad")] = [detached(digest=digest_of(b"bad"))]
    assert world.judge(KEY, of="instance", platform=platform).verdict == "trusted"


def test_an_index_may_not_take_forever() -> None:
    """
    Whoever keeps us waiting at each of a thousand manifests gets no answer out of it; a no that was found is one.
    """
    world = World()
    world.registry.served = {str(IMAGE): (INDEX, MANY)}
    world.shelf.kept = {digest_of(raw): [detached(digest=digest_of(raw))] for raw in (AMD, ARM)}
    assert world.judge(KEY, of="instance", clock=iter([0, 1, 600]).__next__).verdict == "trusted"
    slow = world.judge(KEY, of="instance", clock=iter([0, 1, 601]).__next__)
    assert (slow.verdict, code(slow), slow.allowed) == ("unknown", ("deadline",), False)
    world.shelf.kept = {}
    assert world.judge(KEY, of="instance", whole=True, clock=iter([0, 1, 601]).__next__).verdict == "untrusted"


def test_a_collection_speaks_of_the_index_for_all_it_lists() -> None:
    """
    It is asked once, about the index.
    """
    world = World(listed={"targets/releases": {"1.0": digest_of(MANY)}})
    world.registry.served = {str(IMAGE): (INDEX, MANY)}
    found = world.judge(COLLECTION, of="both")

    assert (found.verdict, world.team.asked, len(found.judged)) == ("trusted", [("targets/releases",)], 3)


def test_instances_under_digests_that_nobody_can_sign() -> None:
    """
    A sha512 instance is refused, not left out.
    """
    raw = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": f"sha512:{'0' * 128}"}]}
    ).encode()
    world = World()
    world.registry.served = {str(IMAGE): (INDEX, raw)}

    assert code(world.judge(KEY, of="instance")) == ("format",)


def test_every_required_role_is_asked() -> None:
    """
    A signer that is missing is a refusal; no other role stands in for it.
    """
    team = InCollection(path="team", roles=("targets/alice", "targets/bob"))
    one = World(listed={"targets/alice": {"1.0": DIGEST}, "targets": {"1.0": DIGEST}})
    two = World(listed={"targets/alice": {"1.0": DIGEST}, "targets/bob": {"1.0": DIGEST}})

    assert (one.judge(team).verdict, code(one.judge(team))) == ("untrusted", ("unsigned",))
    assert two.judge(team).verdict == "trusted"
    assert two.judge(team).judged[0].answer.by == ("key of targets/alice", "key of targets/bob")


def test_a_key_of_a_role_is_not_another_for_signing_beside_it() -> None:
    """
    Who has the key of the role, and signs with the same one by itself, is one; so are two roles with one key.
    """
    world = World(detached(), listed={role: {"1.0": DIGEST} for role in ("targets/releases", "targets/ci")})
    pair = AtLeast(path="two", count=2, parts=(KEY, COLLECTION))
    roles = AtLeast(path="two", count=2, parts=(COLLECTION, replace(COLLECTION, path="c", roles=("targets/ci",))))
    assert [world.judge(two).verdict for two in (pair, roles)] == ["trusted", "trusted"]
    world.team.keys = dict.fromkeys(("targets/releases", "targets/ci"), KEY.keys[0].fingerprint)
    assert [code(world.judge(two)) for two in (pair, roles)] == [("not-enough",), ("not-enough",)]
    assert "1 more rest on the same keys" in str(world.judge(pair).error)


TEAM = {name: LocalSigner.generate("ed25519") for name in "abcd"}


def one_of(*names: str) -> SignedByKey:
    """One of these has to have signed."""
    return SignedByKey(path="".join(names), keys=tuple(plain(TEAM[name], name) for name in names))


@pytest.mark.parametrize(
    ("parts", "signed", "count", "verdict"),
    [
        (("ab", "ab"), "ab", 2, "trusted"),
        (("abc", "abc", "abc"), "abc", 3, "trusted"),
        (("abc", "abc", "abc"), "aab", 3, "untrusted"),
        (("abc", "abc"), "c", 2, "untrusted"),
        (("ab", "a"), "ab", 2, "trusted"),
        (("a", "ab"), "ab", 2, "trusted"),
        (("ab", "bc", "a"), "abc", 3, "trusted"),
        (("ab", "bc", "cd", "a"), "abcd", 4, "trusted"),
        (("ab", "bc", "ca", "a"), "abc", 3, "trusted"),
        (("ab", "bc", "ca", "a"), "abc", 4, "untrusted"),
        (("ab", "ab", "d"), "abd", 3, "trusted"),
    ],
)
def test_any_two_of_a_team(parts: tuple[str, ...], signed: str, count: int, verdict: str) -> None:
    """
    It does not matter whose signature comes first, nor which of those who may vouch for a part is taken for it.
    """
    required = AtLeast(path="few", count=count, parts=tuple(one_of(*names) for names in parts))
    for order in permutations(signed):
        world = World(*(detached(TEAM[name]) for name in order))
        for whole in (False, True):
            found = world.judge(required, whole=whole)
            assert found.verdict == verdict
            assert verdict == "untrusted" or len(set(found.judged[0].answer.by)) >= count


def test_what_is_odd_about_one_role_is_said() -> None:
    """
    The second one may come from another collection than the first, whose root nobody pinned.
    """
    team = InCollection(path="team", roles=("targets/alice", "targets/bob"))
    world = World(listed={role: {"1.0": DIGEST} for role in team.roles})
    world.team.first_use = {"targets/bob"}
    found = world.judge(team)

    assert found.judged[0].answer.facts["firstUse"] is True
    assert found.warnings == (f"the root of {REPO} was believed because it came first: pin it",)


def test_signatures_are_read_once_and_as_far_as_needed() -> None:
    """
    Two requirements share what was read; who found a good one looks no further.
    """
    world = World(detached(), detached(OTHER))
    later = Shelf({})
    world.shelves.append(later)
    both = AllOf(path="all", parts=(KEY, SignedByKey(path="other", keys=(plain(OTHER, "other"),))))

    assert world.judge(both).verdict == "trusted"
    assert (len(world.shelf.asked), later.asked) == (1, [])


def test_more_signatures_than_anybody_needs() -> None:
    """
    After 64 that do not count it ends, with a no that says so.
    """
    world = World(*[detached(OTHER)] * 64, detached())
    assert code(world.judge(KEY)) == ("too-large",)
    assert World(*[detached(OTHER)] * 63, detached()).judge(KEY).verdict == "trusted"


def test_accepting_anything_still_pins() -> None:
    """
    It is what the registry serves now.
    """
    found = World().judge(AcceptAnything(path="x"))
    assert (found.verdict, found.pinned, found.bound) == ("trusted", f"{REPO}@{DIGEST}", False)
