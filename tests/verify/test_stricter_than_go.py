"""
Where trustreg is stricter than the Go client of Notary: one test for each such place, by what trustreg refuses.

Scenarios are those of vectors/notary1, by name; each has one fault, and each of these tests says which faults make a
claim and how they have to end. What no vector can say is driven here.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from tests.vectors.loading import Vector, load, outcome
from tests.verify.world import World
from trustreg.client import Site, Verifier
from trustreg.dialects.notary1 import Notary1
from trustreg.errors import ContentError, ServerError, UnauthorizedError, UnavailableError
from trustreg.names import Digest, Reference
from trustreg.ports import Manifest
from trustreg.verify.requests import Answer, Keep, Memory, Recall, Remember, Request, Want
from vectors.make.collection import GUN, Collection

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SEVERAL = ("snapshot", "targets", "delegation")


@cache
def vectors() -> dict[str, Vector]:
    """Return vectors/notary1 by name."""
    return {vector.name: vector for vector in load("notary1")}


def ends(error: str | None, *names: str) -> None:
    """Require scenarios to end with *error*, or well where it is None."""
    for name in names:
        vector = vectors()[name]
        world = vector.world()
        assert outcome(vector, vector.workflow(), world).get("error") == error, name


def test_an_older_file_is_refused_however_small_it_is() -> None:
    """
    A snapshot, targets or delegated file older than one that was trusted is refused, be it smaller than that or larger.
    """
    ends("rollback", *(f"rollback-{size}-{role}" for size in ("smaller", "larger") for role in SEVERAL))


def test_an_older_file_is_refused_in_two_steps_as_well() -> None:
    """
    A refresh that failed half-way leaves nothing behind that makes an older file acceptable in the next one.
    """
    ends("rollback", "rollback-in-two-steps")

    older, newer = Collection.usual(), Collection.usual().next("targets")
    world = World(newer.publish().repository())
    world.drive(replaced(newer).workflow().refresh())
    half = newer.next()
    missing = half.publish()
    world.repository = {p: f for p, f in missing.repository().items() if p != missing.path("targets")}
    world.kept.pop("targets")
    with pytest.raises(Exception, match="no targets"):
        world.drive(replaced(half).workflow().refresh())
    back = half.next()
    back.parts["targets"] = older.parts["targets"]
    world.repository = back.publish().repository()

    with pytest.raises(Exception, match="targets v1 is older than trusted v2"):
        world.drive(replaced(back).workflow().refresh())


def test_a_floor_outlives_the_cached_file() -> None:
    """
    What was trusted is remembered apart from the cached files: deleted, damaged or exchanged, they change nothing.
    """
    faults = ("deleted", "damaged", "planted")
    ends("rollback", *(f"rollback-cache-{fault}-{role}" for fault in faults for role in SEVERAL))


def test_a_version_has_one_content() -> None:
    """
    A version that was trusted is refused with any other bytes, for every role, root too. Of a timestamp, whose bytes no
    other file lists, it is what was signed that may not differ.
    """
    ends("equivocation", *(f"equivocation-{role}" for role in ("timestamp", *SEVERAL)))
    ends("equivocation", *(f"equivocation-signatures-{role}" for role in SEVERAL))
    ends("equivocation", "same-timestamp-lost")
    ends(None, "same-timestamp-signature", "same-timestamp-blank")
    ends("equivocation", "root-lost-other-bytes", "root-lost-other-current")


def test_a_root_may_not_jump() -> None:
    """
    Roots are followed version by version; one that skips a version is refused although the old keys signed it.
    """
    ends("version", "root-jump", "root-standing")
    ends(None, "root-walk", "root-walk-from-old")


def test_a_new_root_is_looked_for_in_every_refresh() -> None:
    """
    Nothing has to fail first: the next root is asked for before the timestamp is, also when nothing else changed.
    """
    vector = vectors()["warm-unchanged"]
    world = vector.world()
    outcome(vector, vector.workflow(), world)

    wanted = [request.path for request in world.requests if isinstance(request, Want)]

    assert wanted == ["2.root.json", "timestamp.json"]
    ends("content", "root-withheld")


def test_a_server_without_the_timestamp_is_not_one_that_cannot_be_reached() -> None:
    """
    A collection that is gone is refused, whatever is cached.
    """
    ends("absent", "absent-everything", "absent-timestamp")


@pytest.mark.parametrize("error", [ServerError, UnauthorizedError])
def test_a_server_that_answers_something_else_is_no_reason_to_take_the_cache(error: type[UnavailableError]) -> None:
    """
    Only where nobody answers at all may what is cached stand in, and only for as long as the caller allows.
    """
    collection = Collection.usual()
    shop = Shop(World(collection.publish().repository()))
    verifier = Verifier(lambda _: shop.site, shop)
    verifier.verify(Reference.parse(f"{GUN}:v1"), NOW - timedelta(hours=1), compare=False)

    shop.trouble = error("the trust server", 500, "it is in trouble")

    with pytest.raises(error):
        verifier.verify(Reference.parse(f"{GUN}:v1"), NOW, compare=False)


def test_nothing_is_kept_unless_everything_holds() -> None:
    """
    A refresh hands over all four files in one piece after the last check, or nothing.
    """
    for vector in vectors().values():
        world = vector.world()
        refused = "error" in outcome(vector, vector.workflow(), world)
        top = [keep for keep in world.keeps if "root" in keep.files]
        assert all(set(keep.files) == {"root", "timestamp", "snapshot", "targets"} for keep in top)
        assert refused or len(top) == 1


def test_an_expired_certificate_of_a_cached_root_is_overcome() -> None:
    """
    Its key still vouches for the root that replaces it; only if none does the refresh end, after asking for one.
    """
    ends(None, "certificate-expired-in-cache")
    ends("pin", "certificate-expired-and-not-replaced")
    assert ["want", "2.root.json", 4 << 20] in vectors()["certificate-expired-and-not-replaced"].trace


def test_pins_hold_on_every_refresh() -> None:
    """
    A root that does not match is refused with a warm cache and after a rotation.
    """
    ends("pin", "pin-key-other", "pin-key-other-warm", "pin-key-after-rotation", "pin-certificate-other")


def test_first_use_can_be_forbidden_and_is_said_aloud() -> None:
    """
    Without a pin the first root is believed only where that is allowed, and the caller is told; a name ``*`` is none.
    """
    ends("first-use", "first-use-forbidden")
    ends("pin", "certificate-star")
    vector = vectors()["cold"]
    assert outcome(vector, vector.workflow(), vector.world())["first_use"] is True


def test_one_key_is_one_signer() -> None:
    """
    Listed by itself and by a certificate, or by two certificates, it meets no threshold of two.
    """
    ends("threshold", *(f"threshold-twins-{role}" for role in ("root", "timestamp", *SEVERAL)))


def test_a_key_under_an_id_that_is_not_its_own_vouches_for_nothing() -> None:
    """
    It does no harm beside keys that suffice, and does not count where they do not.
    """
    ends(None, *(f"key-wrong-id-beside-{role}" for role in ("timestamp", *SEVERAL)))
    ends("threshold", *(f"key-under-the-right-id-{role}" for role in ("timestamp", *SEVERAL)))


def test_an_answer_that_is_too_long_is_refused_and_not_cut() -> None:
    """
    One byte more than listed, or than the caller is willing to read, is one too many.
    """
    ends("too-large", *(f"content-longer-{role}" for role in SEVERAL))
    ends("too-large", "too-large-root", "too-large-timestamp", "too-large-snapshot", "too-large-targets")


def test_a_certificate_counts_only_while_it_is_valid() -> None:
    """
    Also that of a delegation, a target's, a snapshot's or a timestamp's key.
    """
    ends("threshold", "key-x509-expired", "key-x509-not-yet")
    ends(None, "key-x509", "key-x509-expired-beside-delegation")


def test_a_target_is_bound_to_its_content() -> None:
    """
    An entry has a strong digest of the right size and a length that is one.
    """
    bad = (
        "hashes-empty",
        "md5-only",
        "digest-short",
        "digest-hex",
        "sha512-short",
        "length-negative",
        "length-missing",
    )
    ends("format", *(f"format-delegation-entry-{fault}" for fault in bad))


def test_the_length_of_an_image_counts() -> None:
    """
    The right digest with another length is refused.
    """
    collection = Collection.usual()
    content = b"v1 "
    entry = collection.parts["targets"].targets["v1"]
    entry["hashes"] = {"sha256": Shop.digest(content)[1]}
    shop = Shop(World(collection.publish().repository()), content)

    with pytest.raises(ContentError, match="expected 2 bytes, got 3 bytes"):
        Verifier(lambda _: shop.site, shop).verify(Reference.parse(f"{GUN}:v1"), NOW)


def test_a_role_may_not_go_missing() -> None:
    """
    A delegated role that was read before and is still delegated to has to be listed.
    """
    ends("removed", "delegation-omitted")
    ends(None, "delegation-removed", "delegation-given-to-others", "delegation-not-yet")


def test_there_is_an_end_to_roots_and_roles() -> None:
    """
    More rotations or delegated roles than anybody needs are refused, and never taken for an answer.
    """
    ends("too-large", "root-too-many", "delegation-too-many")


def replaced(collection: Collection) -> Vector:
    """Return a vector that only lends its workflow to *collection*."""
    return replace(vectors()["cold"], ask={"gun": collection.gun})


class Shop:
    """A trust server, a cache and a registry in one."""

    where = "the trust server"

    def __init__(self, world: World, content: bytes = b"v1") -> None:
        self._world, self._content = world, content
        self.trouble: Exception | None = None
        self.site = Site(
            gun=Reference.parse(f"{GUN}:v1").gun,
            dialect=Notary1(),
            repository=self,
            cache=self,
            offline_grace=timedelta(days=1),
        )

    @staticmethod
    def digest(content: bytes) -> tuple[Digest, str]:
        """Return the digest of *content*, and as metadata has it."""
        found = hashlib.sha256(content)
        return Digest("sha256", found.hexdigest()), base64.b64encode(found.digest()).decode()

    def fetch(self, want: Want) -> bytes | None:
        """Answer as a server does."""
        if self.trouble:
            raise self.trouble
        return self._bytes(want)

    def recall(self, role: str) -> bytes | None:
        """Answer as a cache does."""
        return self._bytes(Recall(role))

    def memory(self) -> Memory:
        """Answer as a cache does."""
        answer = self._world.answer(Remember())
        assert isinstance(answer, Memory)
        return answer

    def keep(self, keep: Keep) -> None:
        """Do as a cache does."""
        self._world.answer(keep)

    def manifest(self, _: Reference) -> Manifest:
        """Answer as a registry does."""
        return Manifest(media_type="", digest=self.digest(self._content)[0], raw=self._content)

    def _bytes(self, request: Request) -> bytes | None:
        answer: Answer = self._world.answer(request)
        assert not isinstance(answer, Memory)
        return answer
