"""Signing images without a collection: what is signed, as what, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.images import DOCKER, OCI, image, index
from tests.peers.gpg import gpg_home
from tests.world import IMAGE, NOW
from trustreg._version import __version__
from trustreg.dialects import simple
from trustreg.errors import (
    FormatError,
    KeyKindError,
    MovedError,
    NameFormError,
    NotInRegistryError,
    OfflineError,
    SettingError,
    SignerError,
)
from trustreg.io.gpg import GpgSigner
from trustreg.io.passphrases import Passphrases
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Manifest, Message
from trustreg.sign.signer import LocalSigner
from trustreg.signing import ByGpg, ByKey, sign
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.images import Family, Image
    from trustreg.metadata import Signature
    from trustreg.ports import Attached
    from trustreg.sign.signer import PrivateKey

KEYS: dict[str, PrivateKey] = {
    "ed25519": maker.ED25519,
    "P-256": maker.P256,
    "P-384": maker.P384,
    "P-521": maker.P521,
    "RSA": maker.RSA,
}
APP, APPS = image("app"), index("apps")


@dataclass
class Shelf:
    """A registry: what it serves by tag and by digest, and what it does to the tag in between."""

    images: dict[str, Image]
    moves: dict[str, Image | None] = field(default_factory=dict)

    def manifest(self, reference: Reference) -> Manifest:
        name = reference.tag or str(reference.digest)
        found = self.images.get(name)
        if name in self.moves:
            moved = self.moves.pop(name)
            self.images = {n: i for n, i in self.images.items() if n != name} | ({name: moved} if moved else {})
        if found is None:
            raise NotInRegistryError(str(reference))
        raw, kind = found.manifest.raw, found.manifest.media_type
        return Manifest(media_type=kind, digest=Digest.parse(found.digest), raw=raw)


@dataclass
class Place:
    """Signatures in a dictionary, in the order in which they came."""

    holds: frozenset[type[Message | Detached]] = frozenset({Message, Detached})
    where: str = "memory"
    kept: dict[Digest, list[Attached]] = field(default_factory=dict)

    def read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        del image
        yield from self.kept.get(digest, ())

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        del image
        mine = self.kept.setdefault(digest, [])
        mine.append(replace(signature, where=f"{digest.hex[:8]}-{len(mine) + 1}"))
        return mine[-1].where

    def remove(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def said(self, digest: str) -> list[simple.Payload]:
        """Give what plain keys have signed of a manifest."""
        found = self.kept.get(Digest.parse(digest), ())
        return [simple.read(one.payload, simple.COSIGN) for one in found if isinstance(one, Detached)]


def by(private: PrivateKey = maker.ED25519) -> ByKey:
    return ByKey(LocalSigner(private), "mine")


@pytest.mark.parametrize("name", KEYS)
def test_what_a_plain_key_signs(name: str) -> None:
    """
    The digest of the bytes that came, under the name that was asked for, by whom and when; and its own check accepts
    it.
    """
    place, signatory = Place(), by(KEYS[name])

    signed = sign(IMAGE, Shelf({"1.0": APP}), signatory, place, NOW)

    payload = simple.Payload(
        reference="registry.example/team/app:1.0",
        digest=Digest.parse(APP.digest),
        creator=f"trustreg {__version__}",
        timestamp=int(NOW.timestamp()),
    )
    (kept,) = place.kept[payload.digest]
    assert [payload] == place.said(APP.digest)
    assert simple.write(payload, simple.COSIGN) == signatory.vouched(kept, NOW)
    assert [(APP.digest, "registry.example/team/app:1.0", kept.where, True)] == [
        (str(one.digest), one.name, one.where, one.added) for one in signed.manifests
    ]
    assert (signed.pinned, signed.key, signed.problem) == (f"{IMAGE.repository}@{APP.digest}", signatory.key, None)


def test_a_key_that_no_reader_believes() -> None:
    """
    Is refused before anything is signed.
    """

    class Odd:
        kind = "ecdsa"
        public = LocalSigner(ec.generate_private_key(ec.SECP256K1())).public

        def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
            raise NotImplementedError

    with pytest.raises(KeyKindError, match="key mine"):
        ByKey(Odd(), "mine")


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
def test_an_index_with_all_that_it_lists(family: Family) -> None:
    """
    Each platform is signed under the same name; the index last, and it is named first. One can leave them out.
    """
    whole, place, alone = index("apps", family), Place(), Place()

    signed = sign(IMAGE, Shelf({"1.0": whole}), by(), place, NOW)
    sign(IMAGE, Shelf({"1.0": whole}), by(), alone, NOW, recursive=False)

    digests = [whole.digest, *(part.digest for part in whole.images)]
    assert digests == [str(one.digest) for one in signed.manifests]
    assert digests[::-1] == [str(digest) for digest in place.kept]
    assert {str(IMAGE)} == {said.reference for digest in digests for said in place.said(digest)}
    assert [whole.digest] == [str(digest) for digest in alone.kept]


@pytest.mark.parametrize(
    ("asked", "name", "says"),
    [
        ("app:1.0", None, "app:1.0"),
        ("app:1.0@", None, "app:1.0"),
        ("app@", None, "app@"),
        ("app:1.0", "vendor.example/x:2", "vendor.example/x:2"),
        ("app:1.0", "vendor.example/x", "vendor.example/x:1.0"),
        ("app@", "vendor.example/x", "vendor.example/x@"),
        ("app@", "vendor.example/x:2", "vendor.example/x:2"),
    ],
)
def test_the_name_that_is_signed(asked: str, name: str | None, says: str) -> None:
    """
    The tag, or the digest of each manifest where none was named; or another name.
    """
    reference = Reference.parse(f"registry.example/team/{asked}{APPS.digest if asked.endswith('@') else ''}")
    other = Reference.parse(name) if name else None
    if other and ":" not in (name or ""):
        other = replace(other, tag=None)
    place = Place()

    sign(reference, Shelf({"1.0": APPS, APPS.digest: APPS}), by(), place, NOW, name=other)

    expected = says if name else f"registry.example/team/{says}"
    for digest, (said,) in ((str(digest), place.said(str(digest))) for digest in place.kept):
        assert (expected + digest if expected.endswith("@") else expected) == said.reference


def test_once_is_enough() -> None:
    """
    What the same key has said of the same manifest under the same name is not said again, whenever it was; anything
    else that lies there does not count.
    """
    place, shelf = Place(), Shelf({"1.0": APP, "2.0": APP})
    digest = Digest.parse(APP.digest)
    first = sign(IMAGE, shelf, by(), place, NOW)
    (kept,) = place.kept[digest]
    assert isinstance(kept, Detached)

    again = sign(IMAGE, shelf, by(), place, NOW.replace(year=2027))
    assert (len(place.kept[digest]), again.manifests[0].added) == (1, False)
    assert first.manifests[0].where == again.manifests[0].where

    bad = replace(kept, signature=kept.signature[:-1] + bytes([kept.signature[-1] ^ 1]))
    other = replace(kept, payload=kept.payload.replace(b"1.0", b"3.0"))
    rubbish: list[Attached] = [Garbage(where="x", error=FormatError("x", "", "x")), Message(where="m", raw=b"rubbish")]
    place.kept[digest] = [bad, other, replace(kept, payload=b"{}"), *rubbish]
    assert sign(IMAGE, shelf, by(), place, NOW).manifests[0].added
    assert sign(IMAGE, shelf, by(maker.P256), place, NOW).manifests[0].added
    assert sign(replace(IMAGE, tag="2.0"), shelf, by(), place, NOW).manifests[0].added
    assert len(place.kept[digest]) == 8


def test_of_an_index_what_is_missing_is_added() -> None:
    """
    One that broke off goes on.
    """
    place, shelf = Place(), Shelf({"1.0": APPS})
    sign(IMAGE, shelf, by(), place, NOW)
    del place.kept[Digest.parse(APPS.digest)], place.kept[Digest.parse(APPS.images[0].digest)]

    signed = sign(IMAGE, shelf, by(), place, NOW)

    assert {APPS.digest, APPS.images[0].digest} == {str(one.digest) for one in signed.manifests if one.added}


def test_a_signer_that_signs_something_else() -> None:
    """
    What it made is kept nowhere.
    """

    class Forgetful(LocalSigner):
        def sign(self, payload: bytes, keyid: str, scheme: str = "") -> Signature:
            return super().sign(
                payload if b"sha256:" + APPS.manifest.hex.encode() not in payload else b"", keyid, scheme
            )

    place = Place()

    with pytest.raises(SignerError, match="does not pass"):
        sign(IMAGE, Shelf({"1.0": APPS}), ByKey(Forgetful(maker.ED25519), "mine"), place, NOW)

    assert place.kept == {}


def test_what_cannot_be_signed() -> None:
    """
    Nothing is kept, and it is said why.
    """
    place, shelf = Place(), Shelf({"1.0": APP, "broken": replace(APP, manifest=replace(APPS.manifest, raw=b"{}"))})
    digest = Digest.parse(APPS.digest)
    with pytest.raises(NotInRegistryError):
        sign(replace(IMAGE, tag="2.0"), shelf, by(), place, NOW)
    with pytest.raises(MovedError):
        sign(replace(IMAGE, digest=digest), shelf, by(), place, NOW)
    with pytest.raises(NameFormError, match="name to sign as"):
        sign(IMAGE, shelf, by(), place, NOW, name=replace(IMAGE, digest=digest))
    with pytest.raises(FormatError):
        sign(replace(IMAGE, tag="broken"), shelf, by(), place, NOW)
    with pytest.raises(SettingError, match="memory: no signatures of plain keys are kept there") as caught:
        sign(IMAGE, shelf, by(), Place(holds=frozenset({Message})), NOW)
    assert caught.value.__notes__ == ["name another place: tag or referrers"]

    assert place.kept == {}


class Long(Shelf):
    """A registry that computes digests otherwise."""

    def manifest(self, reference: Reference) -> Manifest:
        return replace(super().manifest(reference), digest=Digest("sha512", "ab" * 64))


def test_only_one_algorithm() -> None:
    """
    Readers know signatures of sha256 digests.
    """
    with pytest.raises(NameFormError, match="sha256"):
        sign(IMAGE, Long({"1.0": APP}), by(), Place(), NOW)


def test_a_tag_that_moves_meanwhile() -> None:
    """
    What it was is signed, and that it is something else by now, gone, or not known is said.
    """
    moved = sign(IMAGE, Shelf({"1.0": APP}, {"1.0": APPS}), by(), Place(), NOW)
    gone = sign(IMAGE, Shelf({"1.0": APP}, {"1.0": None}), by(), Place(), NOW)

    class Away(Shelf):
        def manifest(self, reference: Reference) -> Manifest:
            if not self.images:
                raise OfflineError("registry.example", "nobody answers")
            found = super().manifest(reference)
            self.images = {}
            return found

    away = sign(IMAGE, Away({"1.0": APP}), by(), Place(), NOW)

    assert isinstance(moved.problem, MovedError)
    assert (moved.problem.signed, moved.problem.served) == (APP.digest, APPS.digest)
    assert isinstance(gone.problem, NotInRegistryError)
    assert isinstance(away.problem, OfflineError)
    assert moved.pinned == f"{IMAGE.repository}@{APP.digest}"


def test_gpg_says_it_in_a_message_of_its_own() -> None:
    """
    With the type that belongs to GPG; once, as with plain keys, and what others signed does not count.
    """
    digest = Digest.parse(APP.digest)
    with gpg_home() as gpg:
        now, place, shelf = NOW.replace(year=2040), Place(), Shelf({"1.0": APP})
        names = [gpg.generate(name) for name in ("mine", "another")]
        signers = [GpgSigner(name, gpg.home, Passphrases({}), gpg.env) for name in names]
        mine, other = (ByGpg(signer, signer.keyring.verify) for signer in signers)

        first = sign(IMAGE, shelf, mine, place, now)
        again = sign(IMAGE, shelf, mine, place, now)
        others = sign(IMAGE, shelf, other, place, now)
        for signer in signers:
            signer.close()

    assert [True, False, True] == [one.manifests[0].added for one in (first, again, others)]
    assert (first.key, first.gpg) == (names[0], True)
    kept = place.kept[digest]
    assert [Message, Message] == [type(one) for one in kept]
    assert mine.vouched(Detached(where="", payload=b"", signature=b""), now) is None
    assert by().vouched(kept[0], now) is None
