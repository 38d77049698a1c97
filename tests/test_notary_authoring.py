"""What a publisher may change of a collection on a trust server: keys, roots, delegations, and when they expire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from tests.world import DIALECT, GUN, IMAGE, MemoryCache, MemoryKeys, World, certify
from trustreg.ceremony import Ceremony
from trustreg.client import Site, drive
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import (
    ChangeError,
    ExpiredError,
    IncompleteError,
    InputError,
    NoKeyError,
    OutdatedError,
    PinError,
    ServerError,
    ThresholdError,
    TrustregError,
    UnsignedError,
)
from trustreg.metadata import FileMeta, Key
from trustreg.names import RELEASES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection, File, renew
from trustreg.sign.certificate import root_certificate
from trustreg.sign.changes import (
    AddTarget,
    Amend,
    Change,
    Delegate,
    DelegateBins,
    Purge,
    RemoveTarget,
    SetExpiry,
    SetKeys,
    Undelegate,
    Witness,
)
from trustreg.sign.draft import Lifetimes
from trustreg.sign.signer import LocalSigner
from trustreg.survey import seats
from trustreg.verify.pinning import Pins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.metadata import Targets
    from trustreg.publisher import Published
    from trustreg.survey import Seat

META = FileMeta(length=1, hashes={"sha256": bytes(32)})


class Desk(World):
    """A collection, and a person who changes it."""

    def publish(self, *changes: Change, keys: MemoryKeys | None = None) -> Published:
        return self.publisher(keys).publish(self.gun, self.now, changes)

    def key(self, kind: str = "ecdsa", role: str = RELEASES, keys: MemoryKeys | None = None) -> Key:
        """Return a new key as Notary lists it, whose private half is here, or in *keys*."""
        signer = LocalSigner.generate(kind)
        (self.keys if keys is None else keys).add(signer, role, None)
        certificates = (certify(signer, self.gun, self.now),) if role == ROOT else ()
        return DIALECT.key(signer.kind, signer.public, certificates)

    def site(self, cache: MemoryCache | None = None) -> Site:
        return Site(gun=self.gun, dialect=DIALECT, repository=self.server, cache=cache or MemoryCache())

    def seats(self) -> Mapping[str, Seat]:
        return {seat.name: seat for seat in seats(self.site(), self.now)}

    def ids(self, role: str) -> tuple[str, ...]:
        return tuple(key.id for key in self.seats()[role].keys)

    def role_of(self, name: str) -> str | None:
        """Say which role a reader who knows nothing finds *name* in."""
        site = self.site()
        flow = site.workflow(self.now)
        drive(flow.refresh(), self.server, site.cache)
        found = drive(flow.find(name), self.server, site.cache)
        return found.role if found else None

    def only(self, *roles: str) -> MemoryKeys:
        mine = MemoryKeys()
        mine.signers = {i: (held, signer) for i, (held, signer) in self.keys.signers.items() if held.role in roles}
        return mine


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.init()
    desk.sign()
    return desk


# --- delegations ----------------------------------------------------------------------------------------------------


def test_a_delegation_begins_and_signs(desk: Desk) -> None:
    """
    Its file appears when somebody signs it, and what it says comes before what targets says.
    """
    published = desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(desk.key(),), add_paths=("",)))

    assert published.versions.keys() == {TARGETS}
    assert desk.role_of("1.0") == TARGETS
    desk.sign()
    assert desk.role_of("1.0") == RELEASES


def test_terms_are_added_and_taken_away(desk: Desk) -> None:
    """
    What is there already stays as it is, and what is not there cannot be missed.
    """
    one, two = desk.key(), desk.key("rsa")
    desk.publish(
        Amend(role=TARGETS, name=RELEASES, add_keys=(one,), add_paths=("a", "b")),
        Amend(role=TARGETS, name=RELEASES, add_keys=(one, two), add_paths=("b", "c"), threshold=2),
    )
    seat = desk.seats()[RELEASES]
    assert (seat.keys, seat.patterns, seat.threshold) == ((one, two), ("a*", "b*", "c*"), 2)

    desk.publish(
        Amend(role=TARGETS, name=RELEASES, remove_keys=(two.id, "0" * 64), remove_paths=("a", "x"), threshold=1)
    )
    seat = desk.seats()[RELEASES]
    assert (seat.keys, seat.patterns, seat.threshold) == ((one,), ("b*", "c*"), 1)

    desk.publish(Amend(role=TARGETS, name=RELEASES, clear_paths=True, add_paths=("z",)))
    assert desk.seats()[RELEASES].patterns == ("z*",)


def test_a_key_goes_by_the_id_of_its_plain_half(desk: Desk) -> None:
    """
    As Go stages it, whose lists show the ids of private keys: a certificate has another one in metadata.
    """
    signer = LocalSigner.generate("ecdsa")
    certificate = root_certificate(signer, Gun("whoever"), desk.now, serial=7)
    key, plain = DIALECT.key("ecdsa", b"", (certificate,)), DIALECT.key("ecdsa", signer.public).id
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(key, desk.key())))
    assert key.id != plain
    assert key.id in desk.ids(RELEASES)

    desk.publish(Amend(role=TARGETS, name=RELEASES, remove_keys=(plain,)))

    assert key.id not in desk.ids(RELEASES)


def test_a_purged_key_signs_nowhere(desk: Desk) -> None:
    """
    The roles that are left without any key speak for nobody, until somebody gets one and looks at what they said.
    """
    gone, stays = desk.key(), desk.key()
    for name, keys in ((RELEASES, (gone,)), ("targets/qa", (gone, stays))):
        desk.publish(Amend(role=TARGETS, name=name, add_keys=keys, add_paths=("",)))
    desk.publish(AddTarget(role=RELEASES, name="1.0", meta=META), AddTarget(role="targets/qa", name="1.0", meta=META))
    assert desk.role_of("1.0") == RELEASES

    published = desk.publish(Purge(role=TARGETS, keys=(gone.id,)))

    assert published.waiting == (RELEASES,)
    assert desk.ids(RELEASES) == ()
    assert desk.ids("targets/qa") == (stays.id,)
    assert desk.role_of("1.0") == TARGETS  # nobody speaks for releases

    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(desk.key(),)))
    assert desk.seats()[RELEASES].failed
    assert desk.publish(Witness(role=RELEASES)).versions[RELEASES] == 2
    assert desk.role_of("1.0") == RELEASES


def test_those_who_stay_sign_again_at_once(desk: Desk) -> None:
    """
    Where one of them is here; else it is said for whom the role waits.
    """
    gone, elsewhere = desk.key(), MemoryKeys()
    stays = desk.key(keys=elsewhere)
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(gone, stays), add_paths=("",)))
    desk.publish(AddTarget(role=RELEASES, name="1.0", meta=META))

    published = desk.publish(Amend(role=TARGETS, name=RELEASES, remove_keys=(gone.id,)))
    assert (published.waiting, RELEASES in published.versions) == ((RELEASES,), False)
    with pytest.raises(ThresholdError):
        desk.role_of("1.0")

    published = desk.publish(Witness(role=RELEASES), keys=elsewhere)
    assert (published.waiting, published.versions[RELEASES]) == ((), 2)
    assert desk.role_of("1.0") == RELEASES

    again = desk.key()
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(again,)))
    desk.publish(Witness(role=RELEASES))
    published = desk.publish(Amend(role=TARGETS, name=RELEASES, remove_keys=(stays.id,)))
    assert published.waiting == ()
    assert desk.role_of("1.0") == RELEASES


@pytest.mark.parametrize("known", [False, True], ids=["stranger", "reader"])
def test_nobody_witnesses_what_a_server_made_up(desk: Desk, *, known: bool) -> None:
    """
    A server that signs snapshots can list any file of a role. Before somebody signs it, it has to have counted once.
    """
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(desk.key(),), add_paths=("",)))
    desk.publish(AddTarget(role=RELEASES, name="1.0", meta=META))
    if not known:
        desk.publisher_cache = MemoryCache()
    thief = LocalSigner.generate("ecdsa")
    there = cast("Targets", DIALECT.decode(RELEASES, desk.store.collection(desk.gun).files[RELEASES].raw).signed)
    forged = DIALECT.payload(replace(there, version=there.version + 1, targets={"evil": META}))
    raw = DIALECT.encode(forged, [thief.sign(forged, DIALECT.key(thief.kind, thief.public).id)])
    old = desk.store.collection(desk.gun)
    file = File(role=RELEASES, version=there.version + 1, raw=raw, created=desk.now)
    made = Collection(revision=old.revision, files={**old.files, RELEASES: file}, newest=old.newest, keys=old.keys)
    case = renew(desk.gun, made, desk.now + timedelta(days=365 * 2), Lifetimes())
    assert desk.store.commit(desk.gun, replace(case, files=(file, *case.files)), old.revision)
    assert desk.seats()[RELEASES].failed

    with pytest.raises(ThresholdError, match="nor did keys that might sign it earlier"):
        desk.publish(Witness(role=RELEASES))


def test_a_role_that_nobody_could_sign_is_refused(desk: Desk) -> None:
    """
    Two of one key cannot sign; none at all is a role that is closed.
    """
    one, two = desk.key(), desk.key()
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(one, two), threshold=2))

    for change in (
        Amend(role=TARGETS, name=RELEASES, remove_keys=(one.id,)),
        Purge(role=TARGETS, keys=(two.id,)),
        Amend(role=TARGETS, name=RELEASES, threshold=3),
    ):
        with pytest.raises(ChangeError, match="different keys cannot sign"):
            desk.publish(change)
    desk.publish(Purge(role=TARGETS, keys=(one.id, two.id)))
    assert desk.ids(RELEASES) == ()


def test_roles_below_roles(desk: Desk) -> None:
    """
    A role may let others speak for what it may speak for itself, and each signs with its own keys.
    """
    desk.publish(Amend(role=TARGETS, name="targets/a", add_keys=(desk.key(role="targets/a"),), add_paths=("v1",)))
    below = Amend(
        role="targets/a", name="targets/a/b", add_keys=(desk.key(role="targets/a/b"),), add_paths=("v1.2", "v2")
    )

    assert desk.publish(below).versions.keys() == {"targets/a"}
    desk.publish(AddTarget(role="targets/a/b", name="v1.2.3", meta=META))

    assert desk.seats()["targets/a/b"].patterns == ("v1.2*", "v2*")
    for name in ("v1.3", "v2"):
        with pytest.raises(ChangeError, match="may not speak for this name"):
            desk.publish(AddTarget(role="targets/a/b", name=name, meta=META))
    with pytest.raises(NoKeyError):
        desk.publish(Amend(role="targets/a", name="targets/a/c", add_paths=("",)), keys=desk.only(TARGETS))


@pytest.mark.parametrize("hold_snapshot", [False, True], ids=["server snapshot", "own snapshot"])
def test_a_delegation_ends_and_begins_again(*, hold_snapshot: bool) -> None:
    """
    What it said goes with it, and all below; in its next life its versions go on, as the server has those of before.
    """
    desk = Desk()
    desk.init(hold_snapshot=hold_snapshot)
    desk.sign()
    begin = (
        Amend(role=TARGETS, name="targets/a", add_keys=(desk.key(),), add_paths=("",)),
        Amend(role="targets/a", name="targets/a/b", add_keys=(desk.key(),), add_paths=("",)),
    )
    say = [AddTarget(role=role, name="1.0", meta=META) for role in ("targets/a", "targets/a/b")]
    desk.publish(*begin)
    desk.publish(*say)
    desk.publish(Witness(role="targets/a"))

    desk.publish(Undelegate(role=TARGETS, name="targets/a"))
    assert "targets/a" not in desk.seats()
    flow = desk.site().workflow(desk.now)
    drive(flow.refresh(), desk.server, MemoryCache())
    assert flow.snapshot.signed.meta.keys() == {ROOT, TARGETS}

    assert desk.publish(*begin[:1]).versions["targets/a"] == 4  # at once, and empty: who knew it would miss it
    assert desk.publish(say[0]).versions["targets/a"] == 5
    with pytest.raises(ChangeError, match="nobody delegates"):
        desk.publish(say[1])


def test_who_begins_again_without_the_keys_waits_for_them(desk: Desk) -> None:
    """
    Readers who knew the role miss it until one who may sign it has witnessed it, and that is said.
    """
    begin = Amend(role=TARGETS, name="targets/a", add_keys=(desk.key(),), add_paths=("",))
    assert desk.publish(begin).waiting == ()  # nobody knows it yet
    desk.publish(AddTarget(role="targets/a", name="1.0", meta=META))
    desk.publish(Undelegate(role=TARGETS, name="targets/a"))

    again = desk.publish(begin, keys=desk.only(TARGETS))

    assert (again.waiting, set(again.versions)) == (("targets/a",), {TARGETS})
    assert desk.publish(Witness(role="targets/a")).versions["targets/a"] == 2


def test_what_is_not_delegated_cannot_be_changed(desk: Desk) -> None:
    """
    Nor can a role delegate to one that is not called after it, and what only TUF has is not to be had here.
    """
    key = desk.key()
    for change in (
        Amend(role=TARGETS, name=RELEASES, remove_keys=(key.id,)),
        Amend(role=TARGETS, name="targets/a/b", add_keys=(key,)),
        Amend(role=TARGETS, name="docs", add_keys=(key,)),
        Amend(role="targets/a", name="targets/a/b", add_keys=(key,)),
        SetKeys(role=RELEASES, add=(key,)),
        Delegate(role=TARGETS, name=RELEASES, keys=(key,), patterns=("*",)),
        DelegateBins(role=TARGETS, bits=1, prefix="bin", keys=(key,)),
        SetExpiry(role=TARGETS, lifetime=timedelta(days=1)),
        Witness(role=TIMESTAMP),
    ):
        with pytest.raises(InputError):
            desk.publish(change)
    assert desk.publish(Undelegate(role=TARGETS, name=RELEASES)).versions == {}


# --- keys of the top-level roles ------------------------------------------------------------------------------------


def test_the_keys_of_targets_are_replaced(desk: Desk) -> None:
    """
    Root and targets come together; the old key signs nothing any more.
    """
    old, before = desk.only(ROOT, TARGETS), desk.ids(TARGETS)
    desk.verifier().verify(IMAGE, desk.now)

    published = desk.publish(SetKeys(role=TARGETS, add=(desk.key("ed25519", TARGETS),), remove=before))

    assert published.versions == {ROOT: 2, TARGETS: 3}
    assert desk.verifier().verify(IMAGE, desk.now).keyids == desk.ids(TARGETS)
    with pytest.raises(NoKeyError):
        desk.publish(AddTarget(role=TARGETS, name="2.0", meta=META), keys=old)


def test_a_root_key_is_replaced(desk: Desk) -> None:
    """
    Who trusted the old one, or pinned the root that it signed, follows; who pinned the new one begins there.
    """
    known, (old,) = MemoryCache(), desk.ids(ROOT)
    desk.verifier(cache=known).verify(IMAGE, desk.now)
    first = known.files[ROOT]
    for _ in range(3):  # one of these readers was away for all of them
        (gone,) = desk.ids(ROOT)
        desk.publish(SetKeys(role=ROOT, add=(desk.key(role=ROOT),), remove=(gone,)))
        desk.keys.remove(next(held for held in desk.keys.keys() if held.role == ROOT))

    (new,) = desk.ids(ROOT)
    assert desk.verifier(cache=known).verify(IMAGE, desk.now).root_keyids == (new,)
    assert desk.verifier(Pins(root=first), cache=MemoryCache()).verify(IMAGE, desk.now).root_keyids == (new,)
    assert desk.verifier(Pins(keys=(new,)), cache=MemoryCache()).verify(IMAGE, desk.now)
    with pytest.raises(PinError):
        desk.verifier(Pins(keys=(old,)), cache=MemoryCache()).verify(IMAGE, desk.now)


def test_two_root_keys_sign_together(desk: Desk) -> None:
    """
    With a threshold of two, one of them alone changes nothing.
    """
    (one,) = desk.ids(ROOT)
    alone = desk.only(ROOT, TARGETS)
    desk.publish(SetKeys(role=ROOT, add=(desk.key(role=ROOT),), threshold=2))
    assert set(desk.verifier().verify(IMAGE, desk.now).root_keyids) == set(desk.ids(ROOT))

    with pytest.raises(NoKeyError):
        desk.publish(SetKeys(role=ROOT, remove=(one,), threshold=1), keys=alone)
    desk.publish(SetKeys(role=ROOT, remove=(one,), threshold=1))

    assert one not in desk.ids(ROOT)


def test_a_root_for_another_collection_is_not_published(desk: Desk) -> None:
    """
    Readers would refuse it, so we do before they can.
    """
    signer = LocalSigner.generate("ecdsa")
    desk.keys.add(signer, ROOT, None)
    for certificates in ((), (root_certificate(signer, Gun("registry.example/other"), desk.now, serial=1),)):
        key = DIALECT.key(signer.kind, signer.public, certificates)
        with pytest.raises(PinError):
            desk.publish(SetKeys(role=ROOT, add=(key,), remove=desk.ids(ROOT)))
    assert desk.seats()[ROOT].version == 1


def test_who_signs_snapshots_changes(desk: Desk) -> None:
    """
    From the server to us and back: one upload each time, and readers notice nothing.
    """
    desk.verifier().verify(IMAGE, desk.now)
    to_us = desk.publish(SetKeys(role=SNAPSHOT, add=(desk.key("ed25519", SNAPSHOT),), remove=desk.ids(SNAPSHOT)))
    assert to_us.versions.keys() == {ROOT, SNAPSHOT}
    assert desk.verifier().verify(IMAGE, desk.now)
    assert desk.publish(Witness(role=SNAPSHOT)).versions.keys() == {SNAPSHOT}

    offered = desk.publisher().offered_key(GUN, SNAPSHOT)
    back = desk.publish(SetKeys(role=SNAPSHOT, add=(offered,), remove=desk.ids(SNAPSHOT)))
    assert back.versions.keys() == {ROOT}
    assert desk.verifier().verify(IMAGE, desk.now)
    with pytest.raises(NoKeyError):
        desk.publish(Witness(role=SNAPSHOT))


def test_the_server_gets_another_timestamp_key(desk: Desk) -> None:
    """
    It makes it, the root lists it, and it signs with it.
    """
    before = desk.ids(TIMESTAMP)
    offered = desk.publisher().offered_key(GUN, TIMESTAMP)
    assert desk.publish(SetKeys(role=TIMESTAMP, add=(offered,), remove=before)).versions == {ROOT: 2}

    assert desk.ids(TIMESTAMP) == (offered.id,) != before
    assert desk.verifier().verify(IMAGE, desk.now)


# --- several signers ------------------------------------------------------------------------------------------------


def test_two_people_sign_one_after_the_other(desk: Desk) -> None:
    """
    Each with a key of their own, in a file that is carried around; root and targets need both of them.
    """
    bob = MemoryKeys()
    both = MemoryKeys()
    added = [SetKeys(role=ROOT, add=(desk.key(role=ROOT, keys=bob),), threshold=2)]
    added.append(SetKeys(role=TARGETS, add=(desk.key("rsa", TARGETS, bob),), threshold=2))
    both.signers = {**desk.keys.signers, **bob.signers}
    desk.publish(*added, keys=both)
    with pytest.raises(NoKeyError):
        desk.publish(AddTarget(role=TARGETS, name="2.0", meta=META))

    changes = (AddTarget(role=TARGETS, name="2.0", meta=META), Witness(role=ROOT))
    prepared = desk.publisher().prepare(GUN, desk.now, changes)
    assert (prepared.missing, {sheet.page.role for sheet in prepared.sheets}) == (3, {ROOT, TARGETS})
    carried = Ceremony.read(prepared.spell(), Tuf1(), DIALECT)
    with pytest.raises(IncompleteError):
        desk.publisher().finish(GUN, carried, desk.now)
    signed = Ceremony.read(desk.publisher(bob).co_sign(carried).spell(), DIALECT)
    assert signed.missing == 0

    done = desk.publisher(MemoryKeys()).finish(GUN, signed, desk.now)

    assert done.versions.keys() == {ROOT, TARGETS}
    assert desk.role_of("2.0") == TARGETS
    with pytest.raises(OutdatedError):
        desk.publisher().finish(GUN, signed, desk.now)
    with pytest.raises(ChangeError):
        desk.publisher().prepare(GUN, desk.now, changes, whole=True)


# --- time -----------------------------------------------------------------------------------------------------------


def test_targets_that_have_expired_can_be_signed_again(desk: Desk) -> None:
    """
    The timestamp, which the server signs, says that they are the latest.
    """
    desk.now += timedelta(days=1100)
    with pytest.raises(ExpiredError):
        desk.verifier().verify(IMAGE, desk.now)

    published = desk.publish(AddTarget(role=TARGETS, name="2.0", meta=META))

    assert published.versions == {TARGETS: 3}
    assert desk.verifier().verify(IMAGE, desk.now)


def test_a_root_that_has_expired_can_be_signed_again(desk: Desk) -> None:
    """
    It, and the certificate in it, are good for ten years. Nothing is published beside a root that nobody believes.
    """
    old_root = desk.seats()[ROOT].keys
    desk.now += timedelta(days=3700)
    with pytest.raises(PinError):
        desk.publish(Witness(role=TARGETS))
    old = tuple(key.id for key in old_root)

    published = desk.publish(SetKeys(role=ROOT, add=(desk.key(role=ROOT),), remove=old))

    assert published.versions == {ROOT: 2, TARGETS: 3}
    assert desk.verifier(cache=MemoryCache()).verify(IMAGE, desk.now)


def test_renewing_signs_what_is_ours(desk: Desk) -> None:
    """
    Root and targets where their keys are here, the snapshot where it is ours to sign, and never the timestamp.
    """
    assert desk.publisher().renew(GUN, desk.now, timedelta(days=20)).published.versions == {}
    desk.publish(SetKeys(role=SNAPSHOT, add=(desk.key("ed25519", SNAPSHOT),), remove=desk.ids(SNAPSHOT)))
    desk.now += timedelta(days=1)  # a reading of the same moment is used again

    renewed = desk.publisher().renew(GUN, desk.now, timedelta(days=5000))

    assert renewed.published.versions.keys() == {ROOT, TARGETS, SNAPSHOT}
    assert renewed.left == ()
    lacking = desk.publisher(desk.only(TARGETS, SNAPSHOT)).renew(GUN, desk.now, timedelta(days=5000))
    assert [left.role for left in lacking.left] == [ROOT]


def test_a_server_that_hides_an_expired_snapshot(desk: Desk) -> None:
    """
    Notary's serves no timestamp then. Who vouches for what is remembered being the latest may sign it again.
    """
    desk.publish(SetKeys(role=SNAPSHOT, add=(desk.key("ed25519", SNAPSHOT),), remove=desk.ids(SNAPSHOT)))
    desk.publish(SetExpiry(role=SNAPSHOT, expires=desk.now + timedelta(days=1)))
    desk.publisher().renew(GUN, desk.now, timedelta(0))
    desk.now += timedelta(days=2)
    fetch = desk.server.fetch

    def hiding(want: object) -> bytes | None:
        if getattr(want, "path", "") == "timestamp.json" and len(desk.store.versions[GUN, SNAPSHOT]) == before:
            raise ServerError(desk.server.where, 500, "no")
        return fetch(want)  # type: ignore[arg-type]

    before = len(desk.store.versions[GUN, SNAPSHOT])
    desk.server.fetch = hiding  # type: ignore[method-assign]

    with pytest.raises(ServerError):
        desk.publisher().renew(GUN, desk.now, timedelta(days=3))
    renewed = desk.publisher().renew(GUN, desk.now, timedelta(days=3), dangerous_skip_expiry=True)

    assert renewed.published.versions.keys() == {SNAPSHOT}
    assert desk.verifier().verify(IMAGE, desk.now)


# --- what else is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("custom", "problem"),
    [
        ({"a": "<&>"}, "could not sign it again"),
        ({"a": "\u2028"}, "could not sign it again"),
        ({"a": "tab\there"}, "control character"),
        ({"a": 1.5}, "not an integer"),
        ([2**53 + 1], "not an integer"),
    ],
)
def test_custom_data_that_go_could_not_sign_again(desk: Desk, custom: object, problem: str) -> None:
    """
    It would lock out everybody who publishes with Go's client, so it is refused, with the reason.
    """
    with pytest.raises(ChangeError, match=problem):
        desk.publish(AddTarget(role=TARGETS, name="x", meta=FileMeta(length=1, hashes=META.hashes, custom=custom)))


def test_custom_data(desk: Desk) -> None:
    """
    Anything else is signed as it is.
    """
    meta = FileMeta(length=1, hashes=META.hashes, custom={"z": [1, None, {"é": '\\"'}], "a": -(2**53)})
    desk.publish(AddTarget(role=TARGETS, name="x", meta=meta))
    site = desk.site()
    flow = site.workflow(desk.now)
    drive(flow.refresh(), desk.server, site.cache)
    assert flow.roles[TARGETS].signed.targets["x"].custom == meta.custom


def test_a_tag_is_signed_and_taken_back_in_one_role_only(desk: Desk) -> None:
    """
    Where roles are named, only these.
    """
    desk.publish(Amend(role=TARGETS, name=RELEASES, add_keys=(desk.key(),), add_paths=("",)))
    publisher = desk.publisher()
    assert [c.role for c in publisher.additions(IMAGE, desk.registry, desk.now)] == [RELEASES]
    additions = publisher.additions(IMAGE, desk.registry, desk.now, (TARGETS, RELEASES))
    desk.publish(*additions)

    publisher = desk.publisher()
    removals = publisher.removals(IMAGE, desk.now, (RELEASES,))
    assert removals == (RemoveTarget(role=RELEASES, name="1.0"),)
    desk.publish(*removals)

    assert desk.role_of("1.0") == TARGETS
    with pytest.raises(UnsignedError):
        desk.publisher().removals(IMAGE, desk.now, (RELEASES,))


def test_a_collection_is_deleted(desk: Desk) -> None:
    """
    Nobody can verify its tags any more; its keys stay.
    """
    held = desk.keys.keys()
    desk.publisher().delete(GUN)
    with pytest.raises(TrustregError):
        desk.verifier(cache=MemoryCache()).verify(IMAGE, desk.now)
    assert desk.keys.keys() == held


def test_a_collection_begins_with_a_certificate_of_ones_own(desk: Desk) -> None:
    """
    It has to be that of the root key, and for this collection.
    """
    for gun, signer in ((GUN, LocalSigner.generate("ecdsa")), (Gun("registry.example/other"), None)):
        world = Desk()
        root = world.keys.add(LocalSigner.generate("ecdsa"), ROOT, None)
        certificate = root_certificate(signer or world.keys.open(root), gun, desk.now, serial=3)
        with pytest.raises((ChangeError, PinError)):
            world.publisher().init(GUN, desk.now, lambda _: LocalSigner.generate("ecdsa"), certificates=(certificate,))
    world = Desk()
    root = world.keys.add(LocalSigner.generate("ecdsa"), ROOT, None)
    certificate = root_certificate(world.keys.open(root), GUN, desk.now, serial=3)
    world.publisher().init(GUN, desk.now, lambda _: LocalSigner.generate("ecdsa"), certificates=(certificate,))
    assert [key.certificates for key in world.seats()[ROOT].keys] == [(certificate,)]
