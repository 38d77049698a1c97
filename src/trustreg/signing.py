"""Signs images without any collection: one key says what their manifests may be called, and that is kept beside them.

The digest is that of the bytes that came from the registry. Of an index each manifest that it lists is signed along:
some readers look only at the manifest for their platform, others only at the index.

All signatures are made, and verified as readers verify them, before the first is kept. The index comes last: whoever
looks at it meanwhile finds nothing of it signed, or everything.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeAlias

from trustreg._version import __version__
from trustreg.dialects import openpgp, simple
from trustreg.dialects.index import platforms
from trustreg.errors import (
    KeyKindError,
    MovedError,
    NameFormError,
    SettingError,
    SignerError,
    TrustregError,
    UntrustedError,
)
from trustreg.metadata import Key
from trustreg.names import Digest, Reference
from trustreg.ports import Attached, Detached, Message, Registry, SignaturePlace, Vouched, WritablePlace
from trustreg.sign.signer import Signer
from trustreg.values import dataclass, field
from trustreg.verify.signatures import fingerprint, holds, load


class Vouching(Protocol):
    """One key, and what its signatures look like."""

    kind: str
    """That of what it signs, see :mod:`trustreg.dialects.simple`."""

    def vouched(self, signature: Attached, now: datetime) -> bytes | None:
        """Return what *signature* says, if it is a good one by this key, and ``None`` if not."""


class Signatory(Vouching, Protocol):
    """One key that signs images."""

    form: type[Message] | type[Detached]
    key: str
    """The fingerprint of its primary key, for GPG, or the sha256 of the public key."""

    def sign(self, payload: bytes, now: datetime) -> Message | Detached:
        """Return a signature of *payload*; its ``where`` is empty."""


class ByKey:
    """Signs with a plain key, as cosign does.

    Args:
        signer: What has the key.
        name: What people call it, for messages.

    Raises:
        KeyKindError: No reader would believe a key like that.
    """

    form: type[Message] | type[Detached] = Detached
    kind = simple.COSIGN

    def __init__(self, signer: Signer, name: str) -> None:
        scheme = simple.SCHEMES[signer.kind]
        public = load(Key(id="", kind=signer.kind, public=signer.public, scheme=scheme))
        if public is None:
            raise KeyKindError(name, signer.kind, "it is too weak, or on a curve that readers do not know")
        self.key = fingerprint(public)
        self._signer = signer
        self._key = Key(id=self.key, kind=signer.kind, public=signer.public, scheme=scheme)

    def sign(self, payload: bytes, now: datetime) -> Detached:
        """Return a signature of *payload*.

        Raises:
            KeyKindError: What holds the key signs in other ways only.
            PassphraseError, SignerError: It did not sign.
        """
        del now
        value = self._signer.sign(payload, self.key, self._key.scheme).value
        return Detached(where="", payload=payload, signature=value)

    def vouched(self, signature: Attached, now: datetime) -> bytes | None:
        """Return what *signature* says, if this key made it."""
        del now
        if isinstance(signature, Detached) and holds(self._key, signature.signature, signature.payload):
            return signature.payload
        return None


class _GpgSigner(Protocol):
    fingerprint: str

    def sign(self, content: bytes, now: datetime) -> bytes: ...


Verify: TypeAlias = Callable[[bytes, datetime], Vouched]


class OfGpg:
    """Knows what a GPG key has signed.

    Args:
        verify: Says what a message by this key says.
    """

    kind = simple.ATOMIC

    def __init__(self, verify: Verify) -> None:
        self._verify = verify

    def vouched(self, signature: Attached, now: datetime) -> bytes | None:
        """Return what *signature* says, if this key made it.

        Raises:
            GpgError: gpg does not work.
        """
        if isinstance(signature, Message):
            with suppress(UntrustedError):
                return self._verify(signature.raw, now).content
        return None


class ByGpg(OfGpg):
    """Signs with a GPG key.

    Args:
        signer: What has it; verifies what it signs.
        verify: Says what a message by this key says.
    """

    form: type[Message] | type[Detached] = Message

    def __init__(self, signer: _GpgSigner, verify: Verify) -> None:
        super().__init__(verify)
        self.key, self._signer = signer.fingerprint, signer

    def sign(self, payload: bytes, now: datetime) -> Message:
        """Return a signed message.

        Raises:
            PassphraseError: The passphrase is wrong, or cannot be had.
            GpgError: gpg did not sign.
            GpgSignatureError: It did, but not so that readers would believe it.
        """
        return Message(where="", raw=self._signer.sign(payload, now))


@dataclass(frozen=True, kw_only=True)
class SignedManifest:
    """A manifest that is signed now.

    Attributes:
        digest: Of the manifest.
        name: What it is signed as.
        where: Where the signature is.
        added: Whether it was not there before.
    """

    digest: Digest
    name: str
    where: str
    added: bool


@dataclass(frozen=True, kw_only=True)
class Signed:
    """An image that is signed now.

    Attributes:
        image: As it was asked for.
        pinned: Its name by digest.
        digest: That of the image, or of the index.
        key: The fingerprint of the GPG key, or the sha256 of the public key.
        gpg: Whether it is a GPG key.
        place: Where its signatures are kept.
        manifests: The image itself, and what the index lists.
        problem: Why it is not known to be what the tag means still: somebody may have moved the tag meanwhile.
    """

    image: str
    pinned: str
    digest: Digest
    key: str
    gpg: bool
    place: str
    manifests: tuple[SignedManifest, ...]
    problem: TrustregError | None = field(default=None, compare=False)


def sign(
    image: Reference,
    registry: Registry,
    signatory: Signatory,
    place: WritablePlace,
    now: datetime,
    *,
    name: Reference | None = None,
    recursive: bool = True,
) -> Signed:
    """Sign the manifest of *image*, and keep the signatures at *place*. A good one that is there is not added again.

    Args:
        image: With tag and digest both, the tag has to be that digest.
        registry: Has it.
        signatory: Signs.
        place: Keeps what it signs.
        now: The time, which the signature states.
        name: What it is to be called, if not *image*; without a tag, that of *image*, or the digest.
        recursive: Sign what an index lists, too.

    Raises:
        NotInRegistryError: There is no such image.
        MovedError: The tag of *image* is not its digest.
        SettingError: The place keeps no signatures like these.
        NameFormError: *name* has a digest, or the image one that no signature can be about.
        FormatError: It says that it is an index, and is none.
        SignerError: What was signed does not pass our own check; nothing was kept.
        UnavailableError: An answer could not be had, or a signature not be kept. What was kept was kept: try again.
    """
    if signatory.form not in place.holds:
        what, others = _PLACES[signatory.form]
        failed = SettingError(place.where, f"no {what} are kept there")
        failed.add_note(f"name another place: {others}")
        raise failed
    if name and name.digest:
        raise NameFormError(str(name), "name to sign as", "the digest is that of what is signed")
    served = registry.manifest(image)
    if image.digest and image.digest != served.digest:
        raise MovedError(str(image.gun), image.tag or "", str(image.digest), str(served.digest))
    if served.digest.algorithm != "sha256":
        raise NameFormError(str(image), "image to sign", "signatures are about sha256 digests")
    called = replace(name or image, tag=(name and name.tag) or image.tag, digest=None)
    listed = platforms(served.media_type, served.raw) if recursive else ()
    there: dict[Digest, str] = {}
    new: dict[Digest, Message | Detached] = {}
    for digest in dict.fromkeys((served.digest, *listed)):
        payload = saying(_spelled(called, digest), digest, now)
        where = kept(place, image, payload, signatory, now)
        if where is None:
            new[digest] = signature(payload, signatory, now)
        else:
            there[digest] = where
    for digest, made in reversed(new.items()):
        there[digest] = place.add(image, digest, made)
    return Signed(
        image=str(image),
        pinned=image.pinned(served.digest),
        digest=served.digest,
        key=signatory.key,
        gpg=signatory.form is Message,
        place=place.where,
        manifests=tuple(
            SignedManifest(digest=digest, name=_spelled(called, digest), where=there[digest], added=digest in new)
            for digest in dict.fromkeys((served.digest, *listed))
        ),
        problem=_moved(image, served.digest, registry),
    )


def saying(name: str, digest: Digest, now: datetime) -> simple.Payload:
    """Return what says, at the time *now*, that the manifest *digest* may be called *name*."""
    return simple.Payload(
        reference=name, digest=digest, creator=f"trustreg {__version__}", timestamp=int(now.timestamp())
    )


def kept(place: SignaturePlace, image: Reference, payload: simple.Payload, by: Vouching, now: datetime) -> str | None:
    """Return where there is a good signature that says what *payload* does, whenever it was made.

    ``None`` where there is none; rubbish counts as none.

    Raises:
        UnavailableError: An answer could not be had.
    """
    for found in place.read(image, payload.digest):
        with suppress(UntrustedError):
            if not _may_say(found, payload, by.kind):  # most others need no gpg
                continue
            said = by.vouched(found, now)
            if said is not None and _same(said, payload, by.kind):
                return found.where
    return None


def signature(payload: simple.Payload, by: Signatory, now: datetime) -> Message | Detached:
    """Return a signature of *payload* that readers accept.

    Raises:
        SignerError: What was signed does not pass the check that they make.
        TrustregError: It was not signed.
    """
    raw = simple.write(payload, by.kind)
    made = by.sign(raw, now)
    if by.vouched(made, now) != raw or simple.read(raw, by.kind) != payload:
        raise SignerError(by.key, "what it signed does not pass the check that readers make")
    return made


def _spelled(called: Reference, digest: Digest) -> str:
    return str(called) if called.tag else called.pinned(digest)


def _may_say(found: Attached, payload: simple.Payload, kind: str) -> bool:
    if isinstance(found, Message):
        return _same(openpgp.open_message(found.raw, simple.LARGEST).content, payload, kind)
    return isinstance(found, Detached) and _same(found.payload, payload, kind)


def _same(raw: bytes, payload: simple.Payload, kind: str) -> bool:
    said = simple.read(raw, kind)
    return (said.reference, said.digest) == (payload.reference, payload.digest)


def _moved(image: Reference, digest: Digest, registry: Registry) -> TrustregError | None:
    """Return what is to be said of the tag of *image*, which was *digest* before."""
    if image.tag is None:
        return None
    try:
        served = registry.manifest(replace(image, digest=None)).digest
    except TrustregError as exc:
        return exc
    return None if served == digest else MovedError(str(image.gun), image.tag, str(digest), str(served))


_PLACES: dict[type, tuple[str, str]] = {
    Message: ("GPG signatures", "a lookaside, or extension"),
    Detached: ("signatures of plain keys", "tag or referrers"),
}
