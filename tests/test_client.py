"""What a reader may rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.world import DIALECT, GUN, IMAGE, NOW, MemoryCache, MemoryRegistry, World, make
from trustreg.client import Previous, Site, Trusted, Unknown, Untrusted, Verifier
from trustreg.errors import (
    AbsentError,
    DigestUnsignedError,
    ExpiredError,
    FirstUseError,
    MovedError,
    NameFormError,
    NeitherError,
    NeitherKnownError,
    NotInRegistryError,
    NoTrustDataError,
    OfflineError,
    PinError,
    UnsignedError,
)
from trustreg.names import Digest, Gun, Reference
from trustreg.verify.pinning import Pins
from vectors.make.collection import Collection, Delegated, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.verify.requests import Want


class Fixed:
    """A trust server that serves these files, and takes none."""

    where = "https://notary.example"

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def fetch(self, want: Want) -> bytes | None:
        return self._files.get(want.path)

    def publish(self, files: Mapping[str, bytes]) -> None:
        raise NotImplementedError

    def server_key(self, role: str) -> bytes:
        raise NotImplementedError

    def rotate_server_key(self, role: str) -> bytes:
        raise NotImplementedError

    def delete(self) -> None:
        raise NotImplementedError


@pytest.fixture
def world() -> World:
    world = World()
    world.init()
    return world


def test_a_signed_tag_is_trusted_and_pinned(world: World) -> None:
    """By tag, the answer names the digest, who signed it and until when."""
    digest = world.sign()

    verdict = world.verifier().verify(IMAGE, NOW)

    assert verdict.pinned == f"{GUN}@{digest}"
    assert (verdict.tag, verdict.role, verdict.compared) == ("1.0", "targets", True)
    assert verdict.keyids == tuple(held.id for held in world.keys.keys() if held.role == "targets")
    assert verdict.expires == NOW + timedelta(days=14)  # the timestamp's, which is the first to go


def test_a_moved_tag_is_refused(world: World) -> None:
    """A tag that the registry has moved to other bytes is refused, with both digests."""
    signed = world.sign()
    served = world.registry.push(IMAGE, b'{"other": true}')

    with pytest.raises(MovedError) as caught:
        world.verifier().verify(IMAGE, NOW)

    assert (caught.value.signed, caught.value.served) == (str(signed), str(served))


def test_without_registry_only_the_signed_digest_is_resolved(world: World) -> None:
    """A build tool may want the signed digest whatever the registry serves."""
    signed = world.sign()
    world.registry.push(IMAGE, b"moved")

    verdict = world.verifier().verify(IMAGE, NOW, compare=False)

    assert (verdict.digest, verdict.compared) == (signed, False)


def test_an_image_the_registry_does_not_have_is_refused(world: World) -> None:
    """What is signed and gone is not there to run."""
    world.sign()
    world.registry.tags.clear()

    with pytest.raises(NotInRegistryError):
        world.verifier().verify(IMAGE, NOW)


def test_a_digest_is_trusted_if_some_tag_that_counts_has_it(world: World) -> None:
    """By digest, the registry is not asked: the digest is the content."""
    digest = world.sign()
    world.registry.tags.clear()

    verdict = world.verifier().verify(Reference.parse(f"{GUN}@{digest}"), NOW)

    assert (verdict.tag, verdict.compared) == ("1.0", False)


def test_a_digest_nobody_signed_is_refused(world: World) -> None:
    """A digest without a tag that is bound to it is not signed."""
    world.sign()

    with pytest.raises(DigestUnsignedError):
        world.verifier().verify(Reference.parse(f"{GUN}@sha256:{'0' * 64}"), NOW)


def test_a_digest_whose_tag_was_signed_again_is_no_longer_signed(world: World) -> None:
    """Signing a tag again revokes what it said before."""
    old = world.sign()
    world.sign(raw=b"newer")

    with pytest.raises(DigestUnsignedError):
        world.verifier().verify(Reference.parse(f"{GUN}@{old}"), NOW)


def test_tag_and_digest_have_to_agree(world: World) -> None:
    """With both, the tag has to be bound to that digest."""
    digest = world.sign()
    verifier = world.verifier()

    assert verifier.verify(Reference.parse(f"{IMAGE}@{digest}"), NOW).digest == digest
    with pytest.raises(MovedError):
        verifier.verify(Reference.parse(f"{IMAGE}@sha256:{'1' * 64}"), NOW)


def test_an_unsigned_tag_is_refused(world: World) -> None:
    """A tag nobody signed is refused although the collection is in order."""
    world.sign()
    other = Reference.parse(f"{GUN}:2.0")
    world.registry.push(other, b"{}")

    with pytest.raises(UnsignedError) as caught:
        world.verifier().verify(other, NOW)

    assert caught.value.roles == ("targets/releases", "targets")


def test_no_trust_data_is_a_no_and_offline_a_dont_know() -> None:
    """The three outcomes are never confused."""
    world = World()
    verdict = world.verifier().judge(IMAGE, NOW)
    assert isinstance(verdict, Untrusted)
    assert isinstance(verdict.error, NoTrustDataError)

    world.server.offline = True
    verdict = world.verifier().judge(IMAGE, NOW)
    assert isinstance(verdict, Unknown)
    assert isinstance(verdict.error, OfflineError)


def test_a_collection_that_vanishes_is_refused(world: World) -> None:
    """Once known, an absent collection is a refusal, not a first use."""
    world.sign()
    verifier = world.verifier()
    verifier.verify(IMAGE, NOW)
    world.server.delete()

    with pytest.raises(AbsentError):
        verifier.verify(IMAGE, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("grace", "later", "trusted"),
    [
        (timedelta(0), timedelta(0, 1), False),
        (timedelta(hours=1), timedelta(minutes=59), True),
        (timedelta(hours=1), timedelta(minutes=61), False),
        (timedelta(days=90), timedelta(days=15), False),
        (timedelta(hours=1), timedelta(minutes=-5), False),
    ],
    ids=["no grace", "within", "beyond", "expired within", "clock went back"],
)
def test_offline_grace(world: World, grace: timedelta, later: timedelta, *, trusted: bool) -> None:
    """Without network, what was known may serve for as long as the caller allows, and never past its expiry."""
    world.sign()
    world.verifier().verify(IMAGE, NOW)
    world.server.offline = True

    verdict = world.verifier(grace=grace).judge(IMAGE, NOW + later)

    assert isinstance(verdict, Trusted) is trusted
    if isinstance(verdict, Trusted):
        assert verdict.stale_since == NOW


def test_offline_use_does_not_extend_the_grace(world: World) -> None:
    """Answers given offline do not count as having heard from the server."""
    world.sign()
    world.verifier().verify(IMAGE, NOW)
    world.server.offline = True
    verifier = world.verifier(grace=timedelta(hours=1))

    assert isinstance(verifier.judge(IMAGE, NOW + timedelta(minutes=50)), Trusted)
    assert isinstance(verifier.judge(IMAGE, NOW + timedelta(minutes=70)), Unknown)


def test_an_error_of_the_server_is_not_being_offline(world: World) -> None:
    """The grace is for a network that is down, not for a server that answers otherwise."""
    world.sign()
    world.verifier().verify(IMAGE, NOW)
    world.server.instead["timestamp.json"] = None

    with pytest.raises(AbsentError):
        world.verifier(grace=timedelta(days=1)).verify(IMAGE, NOW + timedelta(seconds=1))


def test_an_expired_timestamp_is_refused(world: World) -> None:
    """Freshness ends with the timestamp, even if the server keeps serving it."""
    world.sign()
    stale = world.server.server.current(GUN, "timestamp", NOW)
    assert stale is not None
    world.server.instead["timestamp.json"] = stale.raw

    with pytest.raises(ExpiredError):
        world.verifier().verify(IMAGE, NOW + timedelta(days=15))


def test_first_use_is_said_and_can_be_forbidden(world: World) -> None:
    """Believing the first root is a choice that shows in the answer; pinned, there is no first use."""
    world.sign()
    root = world.verifier().verify(IMAGE, NOW)
    assert root.first_use
    pinned = world.verifier(Pins(keys=root.root_keyids, first_use=False), cache=MemoryCache()).verify(IMAGE, NOW)
    assert not pinned.first_use
    with pytest.raises(FirstUseError) as caught:
        world.verifier(Pins(first_use=False), cache=MemoryCache()).verify(IMAGE, NOW)
    assert caught.value.offered == root.root_keyids


def test_a_pin_holds_with_a_warm_cache(world: World) -> None:
    """A root that was trusted on first use is refused once another one is pinned."""
    world.sign()
    world.verifier().verify(IMAGE, NOW)

    with pytest.raises(PinError):
        world.verifier(Pins(keys=("0" * 64,))).verify(IMAGE, NOW)


def test_a_warm_reader_asks_two_questions(world: World) -> None:
    """With nothing new: is there a next root, and what is the timestamp."""
    world.sign()
    world.verifier().verify(IMAGE, NOW)
    world.server.asked.clear()

    world.verifier().verify(IMAGE, NOW)

    assert world.server.asked == ["2.root.json", "timestamp.json"]


def test_within_max_age_nothing_is_asked_but_expiry_counts(world: World) -> None:
    """A long-lived verifier may answer from what it has just read, until that expires."""
    world.sign()
    verifier = world.verifier(max_age=timedelta(days=30))
    verifier.verify(IMAGE, NOW)
    world.server.asked.clear()

    verifier.verify(IMAGE, NOW + timedelta(days=13))
    assert world.server.asked == []
    world.now = NOW + timedelta(days=14)
    verifier.verify(IMAGE, world.now)
    assert "timestamp.json" in world.server.asked


@pytest.mark.parametrize("look", ["verify", "contents"])
def test_a_role_read_late_is_judged_by_the_time_of_the_question(look: str) -> None:
    """What has expired since the refresh that is used again has expired, though this role is read only now."""
    begun = datetime(2026, 5, 1, 12, tzinfo=UTC)
    collection = Collection.usual(Delegated("targets/releases", [raw("releases")]))
    collection.parts["targets/releases"].expires = "2026-05-02T00:00:00Z"
    collection.parts["targets/releases"].targets["v2"] = target("v2")
    server = Fixed(collection.publish().repository())
    site = Site(
        gun=Gun(collection.gun),
        dialect=DIALECT,
        repository=server,
        cache=MemoryCache(),
        roles=("targets", "targets/releases"),
    )
    verifier = Verifier(lambda _: site, MemoryRegistry(), timedelta(days=3))
    image = Reference.parse(f"{collection.gun}:v1")
    assert isinstance(verifier.judge(image, begun, compare=False), Trusted)  # targets lists it: nothing else is read
    later = begun + timedelta(days=1)

    if look == "verify":
        verdict = verifier.judge(Reference.parse(f"{collection.gun}:v2"), later, compare=False)
        assert isinstance(verdict, Untrusted)
        error: object = verdict.error
    else:
        error = verifier.contents(Gun(collection.gun), later).failed["targets/releases"]

    assert isinstance(error, ExpiredError)


def test_behind_a_role_that_failed_nothing_counts() -> None:
    """A listing says of a tag what verify would: refused, where the role that comes first cannot be believed."""
    begun = datetime(2026, 5, 3, 12, tzinfo=UTC)
    collection = Collection.usual(Delegated("targets/releases", [raw("releases")]))
    collection.parts["targets/releases"].expires = "2026-05-02T00:00:00Z"
    server = Fixed(collection.publish().repository())
    site = Site(gun=Gun(collection.gun), dialect=DIALECT, repository=server, cache=MemoryCache())
    verifier = Verifier(lambda _: site, MemoryRegistry())

    contents = verifier.contents(Gun(collection.gun), begun)

    assert isinstance(verifier.judge(Reference.parse(f"{collection.gun}:v1"), begun, compare=False), Untrusted)
    assert "v1" in {entry.tag for entry in contents.entries}
    assert not any(entry.counts for entry in contents.entries)


def test_sha512_targets_are_compared_with_nothing_the_registry_has(world: World) -> None:
    """A digest of another algorithm than was signed is another name."""
    world.sign()

    with pytest.raises(DigestUnsignedError):
        world.verifier().verify(Reference.parse(f"{GUN}@sha512:{'0' * 128}"), NOW)


def test_contents_lists_roles_and_tags(world: World) -> None:
    """Listing shows each tag once for each role that signs it, and who may sign."""
    digests = {tag: world.sign(Reference.parse(f"{GUN}:{tag}"), tag.encode()) for tag in ("b", "a")}

    contents = world.verifier().contents(GUN, NOW)

    assert [(e.tag, e.digest, e.role, e.counts) for e in contents.entries] == [
        (tag, digests[tag], "targets", True) for tag in ("a", "b")
    ]
    assert [role.name for role in contents.roles] == ["root", "targets", "snapshot", "timestamp"]
    assert not contents.failed


def test_names_that_are_not_references() -> None:
    """Names are parsed at the door."""
    for text in ("", "a" * 300, "app:", "app@sha256:12", "app@md5:" + "0" * 32, "http://host/app"):
        with pytest.raises(NameFormError):
            Reference.parse(text)


def test_digest_of_the_world_is_real() -> None:
    """The in-memory registry computes digests as the real one does."""
    world = World()
    assert world.registry.push(IMAGE, b"{}") == Digest(
        "sha256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert DIALECT.key("ed25519", make("targets").public).kind == "ed25519"


# --- the collection before ----------------------------------------------------------------------------------------


class Move:
    """A repository whose collection moved: from ``old`` to ``new``, whose images are the same."""

    until = NOW + timedelta(days=30)

    def __init__(self) -> None:
        self.old, self.new = World(), World()
        for world in (self.old, self.new):
            world.init()
        self.new.registry = self.registry = self.old.registry
        self.was, self.now = self.site(self.old), self.site(self.new)

    def site(self, world: World) -> Site:
        return Site(gun=GUN, dialect=DIALECT, repository=world.server, cache=MemoryCache())

    def verifier(self) -> Verifier:
        previous = Previous(site=self.was, until=self.until)
        return Verifier(lambda _: self.now, self.registry, previous=lambda _: previous)

    def judge(self, image: Reference = IMAGE, now: datetime = NOW) -> object:
        return self.verifier().judge(image, now)

    def switch_off(self, which: str) -> None:
        off = Site(gun=GUN, dialect=DIALECT, repository=Unreachable({}), cache=MemoryCache())
        setattr(self, which, off)


class Unreachable(Fixed):
    """A trust server that is down."""

    def fetch(self, want: Want) -> bytes | None:
        raise OfflineError(self.where, f"nobody gave {want.path}")


@pytest.fixture
def move() -> Move:
    return Move()


def test_the_new_collection_is_asked_first(move: Move) -> None:
    """And alone where it says yes; the verdict says who vouched."""
    move.new.sign()
    move.switch_off("was")

    verdict = move.judge()

    assert isinstance(verdict, Trusted)
    assert (verdict.previous_until, verdict.place) == (None, move.now.repository.where)


@pytest.mark.parametrize("new", ["says no", "is down", "is rubbish"])
def test_the_old_collection_may_say_yes(move: Move, new: str) -> None:
    """Whatever is wrong with the new one."""
    move.old.sign()
    if new == "is down":
        move.switch_off("now")
    elif new == "is rubbish":
        move.now = Site(gun=GUN, dialect=DIALECT, repository=Fixed({"root.json": b"rubbish"}), cache=MemoryCache())

    verdict = move.judge()

    assert isinstance(verdict, Trusted)
    assert (verdict.previous_until, verdict.place) == (move.until, move.was.repository.where)


def test_its_word_ends(move: Move) -> None:
    """At that moment, not after it."""
    move.old.sign()
    before, after = move.until - timedelta(microseconds=1), move.until
    move.old.now = before  # whose server signs timestamps anew
    move.new.now = before

    assert isinstance(move.judge(now=before), Trusted)
    verdict = move.judge(now=after)
    assert isinstance(verdict, Untrusted)
    assert isinstance(verdict.error, UnsignedError)


@pytest.mark.parametrize(
    ("off", "kind", "codes"),
    [
        ((), Untrusted, ("unsigned", "unsigned")),
        (("was",), Unknown, ("unsigned", "offline")),
        (("now",), Unknown, ("offline", "unsigned")),
        (("was", "now"), Unknown, ("offline", "offline")),
    ],
)
def test_no_and_unknown_are_not_confused(move: Move, off: tuple[str, ...], kind: type, codes: tuple[str, str]) -> None:
    """It is no only where both said so; and both reasons are given."""
    for which in off:
        move.switch_off(which)

    verdict = move.judge()

    assert isinstance(verdict, kind)
    assert isinstance(verdict, Untrusted | Unknown)
    error = verdict.error
    assert isinstance(error, NeitherError | NeitherKnownError)
    assert codes == (error.new_code, error.old_code)


def test_a_tag_that_moved_is_refused_by_both(move: Move) -> None:
    """Neither signs what the registry serves."""
    move.old.sign()
    move.new.sign()
    move.registry.push(IMAGE, b"something else")

    verdict = move.judge()

    assert isinstance(verdict, Untrusted)
    assert isinstance(verdict.error, NeitherError)
    assert ("moved", "moved") == (verdict.error.new_code, verdict.error.old_code)


def test_the_pins_of_one_say_nothing_of_the_other(move: Move) -> None:
    """Each collection has its own."""
    move.old.sign()
    move.was = Site(
        gun=GUN, dialect=DIALECT, repository=move.old.server, cache=MemoryCache(), pins=Pins(keys=("0" * 64,))
    )

    verdict = move.judge()
    assert isinstance(verdict, Untrusted)
    assert isinstance(verdict.error, NeitherError)
    assert ("unsigned", "pin") == (verdict.error.new_code, verdict.error.old_code)


def test_a_question_that_cannot_be_asked_is_asked_of_nobody_else(move: Move) -> None:
    """A setting that is wrong is not an answer."""
    move.old.sign()

    def nowhere(gun: Gun) -> Site:
        raise NameFormError(str(gun), "GUN", "nobody knows where it is")

    previous = Previous(site=move.was, until=move.until)
    verifier = Verifier(nowhere, move.registry, previous=lambda _: previous)
    with pytest.raises(NameFormError):
        verifier.verify(IMAGE, NOW)
