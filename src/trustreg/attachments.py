"""What signatures are kept of an image, and keeping them elsewhere, or nowhere.

Nothing is verified here. What a signature says of itself is a claim: whoever may write to a place can put any claim
there. A signature that cannot be read is never copied and never removed.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from trustreg.dialects import openpgp, simple
from trustreg.dialects.index import instances
from trustreg.errors import (
    ContentError,
    FormatError,
    MovedError,
    NotInRegistryError,
    SettingError,
    TrustregError,
    UnavailableError,
    UntrustedError,
)
from trustreg.names import Digest, Reference
from trustreg.ports import Attached, Detached, Garbage, Message, Registry, SignaturePlace, WritablePlace
from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Part:
    """A manifest: that of the image, or one that its index lists, which is for ``platform``."""

    digest: Digest
    platform: str = ""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a signature says of itself.

    ``key`` is the id of the GPG key that it names; a plain key is not named. ``name`` is what the image may be called.
    """

    key: str
    name: str
    creator: str | None
    timestamp: int | None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A signature of ``part``, or what is among signatures, in the place ``place``.

    Attributes:
        id: The sha256 of what it consists of, by which to name it; "" for what is no signature.
        claims: What it says of itself; ``None`` where it cannot be read.
        error: Why not, or why it was left where it is.
    """

    part: Part
    place: str
    found: Attached
    id: str = ""
    claims: Claims | None = None
    error: TrustregError | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """``gpg``, ``plain`` or ``garbage``."""
        return {Message: "gpg", Detached: "plain"}.get(type(self.found), "garbage")


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The place ``place`` gave no answer about ``part``, or did not do with the signature ``id`` what it was to do."""

    part: Part
    place: str
    error: UnavailableError
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """``kept`` is at ``where`` now; ``added`` says whether it was not before."""

    kept: Kept
    where: str
    added: bool


def parts(image: Reference, registry: Registry, *, recursive: bool = True) -> tuple[Part, ...]:
    """Return the manifest of *image*, and each that its index lists.

    Args:
        image: With tag and digest both, the tag has to be that digest. One with a digest alone need not be there.
        registry: Has it.
        recursive: Return the latter, too.

    Raises:
        NotInRegistryError: There is no such image.
        MovedError: The tag is another digest.
        FormatError: It says that it is an index, and is none.
        UnavailableError: No answer could be had.
    """
    try:
        served = registry.manifest(image)
    except NotInRegistryError:
        if image.digest is None or image.tag:
            raise
        return (Part(digest=image.digest),)
    if image.digest and image.digest != served.digest:
        raise MovedError(str(image.gun), image.tag or "", str(image.digest), str(served.digest))
    listed = instances(served.media_type, served.raw) if recursive else ()
    platforms = {each.digest: each.platform for each in reversed(listed) if each.digest.algorithm == "sha256"}
    platforms.pop(served.digest, None)
    others = (Part(digest=digest, platform=platforms[digest]) for digest in reversed(platforms))
    return (Part(digest=served.digest), *others)


def kept(image: Reference, among: Iterable[Part], places: Sequence[SignaturePlace]) -> Iterator[Kept | Failed]:
    """Yield what is in *places* of each of the parts *among* those of *image*. One that fails keeps no other back."""
    for part in among:
        for place in places:
            try:
                for found in place.read(image, part.digest):
                    yield _described(part, place.where, found)
            except UnavailableError as exc:
                yield Failed(part=part, place=place.where, error=exc)


def copy(
    signatures: Iterable[Kept], to: Reference, place: Callable[[type[Message | Detached]], WritablePlace]
) -> Iterator[Copied | Kept | Failed]:
    """Add *signatures* to those of *to*, at the place that *place* returns for their kind, each once.

    Yields:
        What was copied; and as it came what cannot be read, and what has no place there.

    Raises:
        SettingError: Nobody has said where a kind is to go.
    """
    done: set[tuple[Digest, str]] = set()
    for one in signatures:
        found = one.found
        if one.id and (one.part.digest, one.id) in done:
            continue
        done.add((one.part.digest, one.id))
        if one.claims is None or isinstance(found, Garbage):
            yield one
            continue
        there = place(type(found))
        if type(found) not in there.holds:
            what = "GPG signatures" if one.kind == "gpg" else "signatures of plain keys"
            yield replace(one, error=SettingError(there.where, f"no {what} are kept there"))
            continue
        try:
            before = {_id(each) for each in there.read(to, one.part.digest)}
            yield Copied(kept=one, where=there.add(to, one.part.digest, found), added=one.id not in before)
        except UnavailableError as exc:
            yield Failed(part=one.part, place=there.where, error=exc, id=one.id)


def require_same(image: Reference, registry: Registry, part: Part) -> None:
    """Require *image* to be the manifest of *part*, so that its signatures are about it.

    Raises:
        NotInRegistryError, ContentError: It is not there, or is another one.
        UnavailableError: No answer could be had.
    """
    served = registry.manifest(image).digest
    if served != part.digest:
        raise ContentError(str(image), str(part.digest), str(served))


def chosen(signatures: Sequence[Kept], starts: Sequence[str]) -> tuple[Kept, ...]:
    """Return those of *signatures* whose ids begin with one of *starts*.

    Raises:
        SettingError: One of them is the beginning of no id, or of several.
    """
    found: list[Kept] = []
    for start in starts:
        ids = {one.id for one in signatures if one.id and start and one.id.startswith(start.lower())}
        if len(ids) != 1:
            problem = "several signatures begin so: say more" if ids else "no signature that is there begins so"
            raise SettingError(f"ID {start}", problem)
        found += (one for one in signatures if one.id in ids and one not in found)
    return tuple(found)


def remove(image: Reference, signatures: Iterable[Kept], places: Sequence[WritablePlace]) -> Iterator[Kept | Failed]:
    """Remove *signatures* of *image*, each from the one of *places* that it is in; yield those that are gone.

    What cannot be read stays, and is not yielded.
    """
    by_name = {place.where: place for place in places}
    for one in signatures:
        if one.claims is None or isinstance(one.found, Garbage):
            continue
        try:
            by_name[one.place].remove(image, one.part.digest, one.found)
            yield one
        except UnavailableError as exc:
            yield Failed(part=one.part, place=one.place, error=exc, id=one.id)


def _described(part: Part, place: str, found: Attached) -> Kept:
    if isinstance(found, Garbage):
        return Kept(part=part, place=place, found=found, error=found.error)
    try:
        return Kept(part=part, place=place, found=found, id=_id(found), claims=_claims(found, part.digest))
    except UntrustedError as exc:
        return Kept(part=part, place=place, found=found, error=exc)


def _claims(found: Message | Detached, digest: Digest) -> Claims:
    if isinstance(found, Message):
        message = openpgp.open_message(found.raw, simple.LARGEST)
        key, said = message.issuer, simple.read(message.content, simple.ATOMIC)
    else:
        key, said = "", simple.read(found.payload, simple.COSIGN)
    if said.digest != digest:
        raise FormatError("signature", "critical.image", f"it is about another manifest, {said.digest}")
    return Claims(key=key, name=said.reference, creator=said.creator, timestamp=said.timestamp)


def _id(found: Attached) -> str:
    if isinstance(found, Garbage):
        return ""
    raws = (found.raw,) if isinstance(found, Message) else (found.payload, found.signature)
    return hashlib.sha256(b"".join(hashlib.sha256(raw).digest() for raw in raws)).hexdigest()
