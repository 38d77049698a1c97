"""The use case of who admits images: judge one by a policy.

Everything outside comes through ``ports``. A decision says what every requirement of the rule answered, so that nobody
has to guess why; and it is one of three, trusted, untrusted or unknown, whatever the mode of the rule makes of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from trustreg.client import Standing, Trusted, Verifier
from trustreg.dialects import simple
from trustreg.dialects.index import Instance, instances
from trustreg.errors import (
    DeadlineError,
    FormatError,
    GpgError,
    GpgSignatureError,
    IdentityError,
    NoSignatureError,
    NotInRegistryError,
    PolicyRefusedError,
    PolicyUnknownError,
    SignatureError,
    SignedDigestError,
    TooLargeError,
    TrustregError,
    UnavailableError,
    UntrustedError,
)
from trustreg.names import Digest, Reference
from trustreg.policy import InCollection, Leaf, Policy, Reject, Rule, SignedByGpg, SignedByKey, leaves
from trustreg.ports import Attached, Detached, Garbage, Manifest, Message, OpenPgp, Registry, SignaturePlace, Vouched
from trustreg.values import dataclass
from trustreg.verify.policy import NO, UNKNOWN, YES, Answer, evaluate
from trustreg.verify.signatures import holds

Word: TypeAlias = Literal["trusted", "untrusted", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One manifest of an image, and what the requirements of the rule answered for it.

    ``part`` is ``image`` for a plain image, ``index``, or ``instance`` for what an index lists; ``platform`` is as that
    says it.
    """

    digest: Digest
    part: str
    answer: Answer
    platform: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a policy says of an image.

    Attributes:
        image: What was asked, normalised.
        logical: The name that it is signed under; the same, unless it was asked for at a mirror.
        rule: The rule that it was judged by: the most specific one.
        verdict: ``trusted``, ``untrusted`` or ``unknown``.
        allowed: Whether it may be used: it is trusted, or the rule does not enforce.
        digest: The digest of the manifest or index; ``None`` where it was not found out.
        pinned: ``repository@digest``, of what was asked: the name to use from here on, where it may be used.
        bound: Whether somebody whose word counts says that the tag is this digest; ``None`` where no tag was asked for.
        judged: Each manifest that was looked at.
        error: Why it is not trusted.
        warnings: What should be seen, though nothing was made of it.
    """

    image: str
    logical: str
    rule: Rule
    verdict: Word
    allowed: bool
    digest: Digest | None = None
    pinned: str | None = None
    bound: bool | None = None
    judged: tuple[Judged, ...] = ()
    error: TrustregError | None = None
    warnings: tuple[str, ...] = ()


class Judge:
    """Judges images by *policy*. Keep one; threads may share it.

    Args:
        policy: The rules.
        registry: Where images are asked for.
        places: Returns where signatures of an image are looked for, in order, and by which name each place knows it.
            It is told what was asked, and the name that is signed under.
        openpgp: Verifies GPG signatures.
        collections: Returns the reader of the collections that a requirement is about. Its answers have to rest on what
            the requirement says of pins, places and grace; roles are asked for here.
        clock: Reads the seconds, monotonic: places and collections may be slow, and an index may list many manifests.
    """

    def __init__(
        self,
        policy: Policy,
        registry: Registry,
        places: Callable[[Reference, Reference], Sequence[tuple[SignaturePlace, Reference]]],
        openpgp: OpenPgp,
        collections: Callable[[InCollection], Verifier],
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.policy, self._clock = policy, clock
        self._registry, self._places, self._openpgp, self._collections = registry, places, openpgp, collections

    def judge(
        self,
        image: Reference,
        now: datetime,
        *,
        platform: str | None = None,
        whole: bool = False,
        served: Callable[[], Manifest] | None = None,
    ) -> Decision:
        """Say whether *image* may be used. Nothing is raised but what is wrong with settings.

        By tag, the digest is that of what the registry serves now, and signatures have to be of that; with tag and
        digest both, it is that digest, and has to be signed as that tag.

        Args:
            image: What is asked for.
            now: The time.
            platform: Of an index, judge only what may be pulled for this one, ``linux/arm64``, where the rule is about
                instances.
            whole: Ask all requirements, also where some have decided, to show them to people.
            served: Returns what the registry serves for it, where somebody asks that otherwise.

        Raises:
            InputError: A setting cannot be used.
        """
        logical = self.policy.logical(image)
        rule = self.policy.rule(logical)
        try:
            digest, parts = self._parts(image, rule, platform, served)
        except (UntrustedError, UnavailableError) as exc:
            return _decide(image, logical, rule, None, (), exc)
        asking = _Asking(self, image, logical, digest, now)
        judged: list[Judged] = []
        until = self._clock() + _LONGEST
        for part in parts:
            if self._clock() > until:
                is_no = any(one.answer.outcome == NO for one in judged)
                late = None if is_no else DeadlineError(str(image))
                return _decide(image, logical, rule, digest, tuple(judged), late)
            answer = evaluate(rule.require, asking.of(part), now, whole=whole)
            judged.append(replace(part, answer=answer))
            if answer.outcome == NO and not whole:
                break
        return _decide(image, logical, rule, digest, tuple(judged), None)

    def standing(self, image: Reference, now: datetime) -> tuple[Standing, ...]:
        """Return the collections that are asked about *image*, as they stand at *now*.

        As long as they and the digest of the image are the same, what collections say of it is the same.

        Raises:
            UntrustedError, UnavailableError: That could not be found out.
        """
        logical = self.policy.logical(image)
        asked = (leaf for leaf in leaves(self.policy.rule(logical).require) if isinstance(leaf, InCollection))
        return tuple(one for leaf in asked for one in self._collections(leaf).standing(logical.gun, now))

    def _parts(
        self, image: Reference, rule: Rule, platform: str | None, ask: Callable[[], Manifest] | None
    ) -> tuple[Digest | None, tuple[Judged, ...]]:
        """Return the digest of *image*, and the manifests of it that have to be judged."""
        if all(isinstance(leaf, Reject) for leaf in leaves(rule.require)):
            return image.digest, (_part(image.digest or _NO_DIGEST, "image"),)
        if image.digest and rule.of == "index":
            return image.digest, (_part(image.digest, "image"),)
        served = ask() if ask else self._registry.manifest(replace(image, tag=None) if image.digest else image)
        listed = instances(served.media_type, served.raw)
        if not listed:
            return served.digest, (_part(served.digest, "image"),)
        wanted = [one for one in listed if platform is None or _is_platform(one, platform)]
        if rule.of != "index" and not wanted:
            raise NotInRegistryError(f"{image} for {platform}")
        each = tuple(_part(one.digest, "instance", one.platform) for one in wanted)
        index = (_part(served.digest, "index"),)
        return served.digest, {"index": index, "instance": each, "both": index + each}[rule.of]

    # --- what _Asking needs ---

    def places(self, asked: Reference, logical: Reference) -> Sequence[tuple[SignaturePlace, Reference]]:
        """Return where signatures are looked for."""
        return self._places(asked, logical)

    def by_gpg(self, leaf: SignedByGpg, message: Message, now: datetime) -> tuple[Vouched, str]:
        """Return what *message* says, and what people call the key of *leaf* that signed it."""
        vouched = self._openpgp.verify(tuple(key.raw for key in leaf.keys), message.raw, now)
        name = next((key.name for key in leaf.keys if vouched.fingerprint in key.fingerprints), "")
        return vouched, name or vouched.fingerprint

    def in_collection(self, leaf: InCollection, image: Reference, now: datetime) -> tuple[Trusted, ...]:
        """Return what each role that *leaf* requires says of *image*, or else one of the roles whose word counts."""
        verifier = self._collections(leaf)
        required: list[tuple[str, ...]] = [(role,) for role in leaf.roles] or [()]
        return tuple(verifier.verify(image, now, compare=False, roles=roles) for roles in required)


class _Asking:
    """Asks the requirements of a rule about one image, and nobody twice."""

    def __init__(
        self, judge: Judge, asked: Reference, logical: Reference, digest: Digest | None, now: datetime
    ) -> None:
        self._judge, self._now, self._asked, self._logical = judge, now, asked, logical
        self._top = digest
        self._found: dict[tuple[Digest, type], _Signatures] = {}
        self._said: dict[str, Answer] = {}  # by collections, which speak of the index for all that it lists
        self._places: Sequence[tuple[SignaturePlace, Reference]] | None = None

    def of(self, part: Judged) -> Callable[[Leaf], Answer]:
        """Return what asks about the manifest *part*."""

        def ask(leaf: Leaf) -> Answer:
            if isinstance(leaf, InCollection):
                if leaf.path not in self._said:
                    self._said[leaf.path] = self._collection(leaf)
                return self._said[leaf.path]
            if isinstance(leaf, SignedByGpg):
                return self._signed(leaf, part, Message)
            assert isinstance(leaf, SignedByKey)  # noqa: S101 # the others, nobody is asked about
            return self._signed(leaf, part, Detached)

        return ask

    def _collection(self, leaf: InCollection) -> Answer:
        logical = replace(self._logical, digest=self._top)
        try:
            found = self._judge.in_collection(leaf, logical, self._now)
        except (UntrustedError, UnavailableError) as exc:
            return _refused(leaf, "collection", exc)
        first = found[0]
        roles = ", ".join(one.role for one in found)
        warnings = []
        for one in found:  # that were read at other moments, and maybe not all in the same collection
            if one.stale_since:
                since = one.stale_since.strftime("%Y-%m-%dT%H:%M:%SZ")
                warnings.append(f"the trust server of {one.gun} cannot be reached; this is as of {since}")
            if one.first_use:
                warnings.append(f"the root of {one.gun} was believed because it came first: pin it")
        return Answer(
            path=leaf.path,
            kind="collection",
            outcome=YES,
            said=f"{first.gun} lists it as {first.tag}, in {roles}",
            by=tuple(dict.fromkeys(key for one in found for key in one.fingerprints)),
            bound=logical.tag is not None,
            warnings=tuple(dict.fromkeys(warnings)),
            facts={
                "gun": str(first.gun),
                "place": first.place,
                "tag": first.tag,
                "roles": [one.role for one in found],
                "rootKeyids": list(first.root_keyids),
                "expires": min(one.expires for one in found),
                "firstUse": any(one.first_use for one in found),
                "staleSince": min((one.stale_since for one in found if one.stale_since), default=None),
            },
        )

    def _signed(self, leaf: SignedByGpg | SignedByKey, part: Judged, kind: type[Message] | type[Detached]) -> Answer:
        """Look through the signatures of *part* for one that will do."""
        name = "gpg" if kind is Message else "key"
        if part.digest.algorithm != "sha256":
            problem = "signatures of manifests are for sha256 digests"
            return _refused(leaf, name, FormatError("simple signing", "", problem))
        signatures = self._signatures(part.digest, kind)
        keys = tuple(key.name for key in leaf.keys)
        asked = self._logical if self._logical.tag else replace(self._logical, digest=part.digest)
        nearest: UntrustedError | None = None
        count = 0
        for found in signatures:
            count += 1
            if count > _MOST_TRIED:
                nearest = TooLargeError(f"what is kept with {part.digest}", _MOST_TRIED, "signatures")
                break
            try:
                payload, called, by, expires = self._vouched(leaf, found)
                self._require(payload, leaf, part.digest, asked, found.where, called)
            except UntrustedError as exc:
                nearest = exc if nearest is None or _RANK.get(type(exc), 0) > _RANK.get(type(nearest), 0) else nearest
                continue
            except GpgError as exc:
                signatures.failed.append(exc)
                continue
            return Answer(
                path=leaf.path,
                kind=name,
                outcome=YES,
                said=f"signed by {called} as {payload.reference}, at {found.where}",
                by=(by,),
                bound=leaf.identity.binds(asked, payload.reference),
                warnings=signatures.warnings(),
                facts={
                    "key": called,
                    "fingerprint": by,
                    "identity": payload.reference,
                    "where": found.where,
                    "creator": payload.creator,
                    "timestamp": payload.timestamp,
                    **({"expires": expires} if expires else {}),
                },
            )
        error: TrustregError
        if signatures.failed:
            error = signatures.failed[0]
        elif nearest is None or type(nearest) not in _RANK:
            looked = tuple(dict.fromkeys(signatures.looked))
            error = NoSignatureError(str(asked), str(part.digest), keys, looked, count)
        else:
            error = nearest
        return replace(_refused(leaf, name, error), warnings=signatures.warnings())

    def _vouched(self, leaf: SignedByGpg | SignedByKey, found: Message | Detached) -> "_Said":
        """Return what *found* says, if a key of *leaf* signed it.

        Raises:
            UntrustedError: None did.
            GpgError: gpg does not work.
        """
        if isinstance(leaf, SignedByGpg):
            assert isinstance(found, Message)  # noqa: S101
            try:
                vouched, called = self._judge.by_gpg(leaf, found, self._now)
            except GpgSignatureError as exc:
                if any(exc.key in key.ids for key in leaf.keys):
                    raise
                raise _OtherKeyError(found.where, exc.key, "it is by none of these keys") from exc
            return _Said(simple.read(vouched.content), called, vouched.fingerprint, vouched.expires)
        assert isinstance(found, Detached)  # noqa: S101
        for key in leaf.keys:
            if holds(key.key, found.signature, found.payload):
                return _Said(simple.read(found.payload, simple.COSIGN), key.name, key.fingerprint, None)
        raise _OtherKeyError(found.where, " or ".join(key.name for key in leaf.keys), "it is by none of these keys")

    @staticmethod
    def _require(
        payload: simple.Payload,
        leaf: SignedByGpg | SignedByKey,
        digest: Digest,
        asked: Reference,
        where: str,
        called: str,
    ) -> None:
        if payload.digest != digest:
            raise SignedDigestError(where, called, str(digest), str(payload.digest))
        if not leaf.identity.admits(asked, payload.reference):
            raise IdentityError(str(asked), called, payload.reference, str(leaf.identity))

    def _signatures(self, digest: Digest, kind: type[Message] | type[Detached]) -> "_Signatures":
        if (digest, kind) not in self._found:
            if self._places is None:
                self._places = self._judge.places(self._asked, self._logical)
            self._found[digest, kind] = _Signatures(self._places, digest, kind)
        return self._found[digest, kind]


class _Said(NamedTuple):
    """What a signature says: who made it, as people call the key, and its fingerprint; and when it ends, if it does."""

    payload: simple.Payload
    called: str
    by: str
    expires: datetime | None


class _Signatures:
    """The signatures of one kind of one manifest, wherever they are: read on as they are asked for, and once.

    A place that gives no answer is noted in ``failed``, and what is no signature in the warnings; ``looked`` is where
    was looked.
    """

    def __init__(
        self, places: Sequence[tuple[SignaturePlace, Reference]], digest: Digest, kind: type[Message] | type[Detached]
    ) -> None:
        self.failed: list[UnavailableError] = []
        self.looked: list[str] = []
        self._garbage: list[Garbage] = []
        self._kind = kind
        self._known: list[Any] = []
        self._rest = self._read([(place, image) for place, image in places if kind in place.holds], digest)

    def __iter__(self) -> Iterator[Any]:
        at = 0
        while True:
            if at == len(self._known):
                try:
                    self._known.append(next(self._rest))
                except StopIteration:
                    return
            yield self._known[at]
            at += 1

    def warnings(self) -> tuple[str, ...]:
        passed = [f"passed over {one.where}: {one.error}" for one in self._garbage[:_MOST_WARNINGS]]
        return (*passed, *(str(error) for error in self.failed))

    def _read(self, places: list[tuple[SignaturePlace, Reference]], digest: Digest) -> Iterator[Attached]:
        for place, image in places:
            self.looked.append(place.where)
            try:
                for found in place.read(image, digest):
                    if isinstance(found, Garbage):
                        self._garbage.append(found)
                    elif isinstance(found, self._kind):
                        yield found
            except UnavailableError as exc:
                self.failed.append(exc)
            except UntrustedError as exc:  # it serves something else than it says
                self._garbage.append(Garbage(where=place.where, error=exc))


class _OtherKeyError(SignatureError):
    """A signature that is of no concern here."""


def _refused(leaf: Leaf, kind: str, error: TrustregError) -> Answer:
    outcome: Literal["no", "unknown"] = NO if isinstance(error, UntrustedError) else UNKNOWN
    return Answer(path=leaf.path, kind=kind, outcome=outcome, code=error.code, said=str(error), error=error)


def _decide(
    image: Reference,
    logical: Reference,
    rule: Rule,
    digest: Digest | None,
    judged: tuple[Judged, ...],
    error: TrustregError | None,
) -> Decision:
    """Put the answers about all manifests together: every one of them has to be a yes."""
    outcomes = [one.answer.outcome for one in judged]
    verdict: Word = "trusted"
    if isinstance(error, UntrustedError) or NO in outcomes:
        verdict = "untrusted"
    elif error or UNKNOWN in outcomes:
        verdict = "unknown"
    if verdict != "trusted" and error is None:
        error = _error(image, rule, judged, verdict)
    allowed = verdict == "trusted" or rule.mode != "enforce"
    bound = all(one.answer.bound for one in judged) if logical.tag and verdict == "trusted" else None
    warnings = tuple(dict.fromkeys(warning for one in judged for warning in one.answer.warnings))
    if bound is False:
        warnings += (f"nobody whose word counts says that {logical.tag} is this digest; the rule does not ask for it",)
    return Decision(
        image=str(image),
        logical=str(logical),
        rule=rule,
        verdict=verdict,
        allowed=allowed,
        digest=digest,
        pinned=image.pinned(digest) if digest and allowed else None,
        bound=bound,
        judged=judged,
        error=error,
        warnings=warnings,
    )


def _error(image: Reference, rule: Rule, judged: tuple[Judged, ...], verdict: Word) -> TrustregError:
    wanted = NO if verdict == "untrusted" else UNKNOWN
    decisive = [one for one in judged if one.answer.outcome == wanted]
    found = [
        (part.code, f"{one.platform or one.part}: {part.said}" if one.part == "instance" else part.said)
        for one in decisive
        for part in one.answer.each()
        if part.outcome == wanted and all(each.outcome != wanted for each in part.parts)
    ]
    codes, reasons = (tuple(dict.fromkeys(each)) for each in zip(*found, strict=True))
    kind = PolicyRefusedError if verdict == "untrusted" else PolicyUnknownError
    return kind(str(image), rule.name, rule.where, codes, reasons)


def _part(digest: Digest, part: str, platform: str = "") -> Judged:
    return Judged(digest=digest, part=part, platform=platform, answer=_UNASKED)


def _is_platform(instance: Instance, platform: str) -> bool:
    """Say whether somebody may take *instance* when *platform* is pulled, by any of the names that it has.

    What the index does not say of an instance may be what is asked for, and another way to write it is.
    """
    for listed, asked in zip(_plain_platform(instance.platform), _plain_platform(platform), strict=True):
        if listed and asked and listed != asked:
            return False
    return True


def _plain_platform(text: str) -> tuple[str, str, str]:
    """Return system, architecture and variant of *text*, as those who pull images read it; "" where it does not say."""
    system, architecture, variant = (*text.strip().lower().split("/", 2), "", "")[:3]
    architecture, own = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = variant or own
    return _SYSTEMS.get(system, system), architecture, variant if variant.startswith("v") else variant and f"v{variant}"


_SYSTEMS: Final = {"macos": "darwin"}
_ARCHITECTURES: Final = {  # containerd ``platforms/database.go``: other names, and the variant that they imply
    **dict.fromkeys(("x86_64", "x86-64"), ("amd64", "")),
    "aarch64": ("arm64", ""),
    **dict.fromkeys(("i386", "i486", "i586", "i686"), ("386", "")),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_UNASKED: Final = Answer(path="", kind="", outcome=None)
_NO_DIGEST: Final = Digest("sha256", "0" * 64)  # of what nobody is asked about
_LONGEST = 600  # seconds, after which no further manifest of an index is judged
_MOST_TRIED = 64  # signatures of a manifest
_MOST_WARNINGS = 8
_RANK: Final[dict[type, int]] = {  # of what is wrong with several signatures, the nearest miss is told
    FormatError: 1,
    GpgSignatureError: 2,
    SignatureError: 2,
    SignedDigestError: 3,
    IdentityError: 4,
    TooLargeError: 5,
}
