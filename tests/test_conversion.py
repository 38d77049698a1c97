"""What of a collection is converted, what is not, and that nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authoring import Place
from tests.test_client import Fixed
from tests.world import DIALECT, GUN, NOW, MemoryCache, MemoryRegistry, World
from trustreg.client import Site, Verifier
from trustreg.conversion import Gathered, familiar, gather, plan_collection, plan_signatures, publish, require, standing
from trustreg.errors import (
    EquivocationError,
    ExpiredError,
    OfflineError,
    PinError,
    TrustregError,
    UnavailableError,
    UnprovenError,
    UntrustedError,
)
from trustreg.metadata import FileMeta
from trustreg.names import Digest, Gun, Reference
from trustreg.sign.changes import AddTarget, Delegate, RemoveTarget
from trustreg.verify.pinning import Pins
from vectors.make.collection import Collection, Delegated, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from trustreg import conversion
    from trustreg.verify.requests import Want

RELEASES, ALICE, BOB = "targets/releases", "targets/alice", "targets/bob"
AT = NOW.replace(month=5, day=1)


def team(*names: str, paths: tuple[str, ...] = ("",)) -> Collection:
    """Give a collection whose ``targets`` delegates to *names*; none of them lists anything yet."""
    made = Collection.usual(*(Delegated(name, [raw(name.replace("/", "-"))], paths=list(paths)) for name in names))
    for name in ("targets", *names):
        made.parts[name].targets.clear()
    return made


def at(collection: Collection, **more: Any) -> Site:
    """Give the place that *collection* is published at."""
    server = Fixed(collection.publish().repository())
    return Site(gun=Gun(collection.gun), dialect=DIALECT, repository=server, cache=MemoryCache(), **more)


def read(collection: Collection, **more: Any) -> Gathered:
    """Give what is gathered from *collection*."""
    return gather(at(collection, **more), Gun(collection.gun), AT)


def refusals(found: Gathered | conversion.Plan) -> dict[str, tuple[str, str]]:
    """Give the codes of what was refused, by name or else role."""
    return {one.name.removeprefix(f"{GUN}:") or one.role: (one.role, one.code) for one in found.refused}


@pytest.fixture
def place() -> Place:
    """An empty store."""
    place = Place(Gun("dir:/srv/trust"))
    place.now = AT
    return place


def test_the_first_role_that_is_asked_decides() -> None:
    """
    And whoever says the same is a signer, whoever says otherwise is not.
    """
    collection = team(RELEASES, ALICE, BOB)
    for role, content in ((RELEASES, "one"), (ALICE, "one"), (BOB, "another"), ("targets", "another")):
        collection.parts[role].targets["1.0"] = target(content)
    collection.parts["targets"].targets["2.0"] = target("two")

    one, two = read(collection).tags

    assert (f"{GUN}:1.0", RELEASES, (RELEASES, ALICE)) == (one.name, one.role, one.signers)
    assert ("2.0", "targets", ("targets",)) == (two.image.tag, two.role, two.signers)
    assert Digest("sha256", one.meta.hashes["sha256"].hex()) == one.digest
    assert (len("one"), (raw("targets-releases").id,)) == (one.length, one.keyids)


def test_other_roles_may_be_asked() -> None:
    """
    Whoever reads a collection by other roles converts it by them.
    """
    collection = team(RELEASES, ALICE)
    for role in (RELEASES, ALICE):
        collection.parts[role].targets["1.0"] = target(role)

    assert [ALICE] == [tag.role for tag in read(collection, roles=(ALICE,)).tags]


def test_all_files_that_were_read_are_named() -> None:
    """
    With their versions and digests.
    """
    found = read(team(RELEASES))

    assert {"root", "timestamp", "snapshot", "targets", RELEASES} == set(found.files)
    assert found.root.raw == found.collection.root
    assert all(file.version == 1 and len(file.sha256) == 64 and file.keyids for file in found.files.values())


def test_what_no_word_stands_behind_is_refused() -> None:
    """
    Roles that are not asked, and a role that may not speak for it.
    """
    collection = team(RELEASES, ALICE, paths=("v1",))
    collection.parts[ALICE].targets["v1.0"] = target("x")
    collection.parts[RELEASES].targets |= {"v1.1": target("x"), "v2.0": target("x")}
    collection.parts["targets"].targets["v3.0"] = target("x")

    found = read(collection)

    assert [f"{GUN}:v1.1", f"{GUN}:v3.0"] == [tag.name for tag in found.tags]
    assert {"v1.0": (ALICE, "no-word"), "v2.0": (RELEASES, "no-word")} == refusals(found)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"hashes": {"md5": "AAAA"}, "length": 1}, "format"),
        ({"hashes": {}, "length": 1}, "format"),
        ({"hashes": {"sha256": "AAAA"}, "length": 1}, "format"),
        ({"hashes": target("x")["hashes"], "length": -1}, "format"),
        ("rubbish", "format"),
    ],
)
def test_an_entry_without_a_usable_digest_is_refused(entry: Any, code: str) -> None:
    """
    Alone: the others of its role are as good as before. And no role behind it is asked instead.
    """
    collection = team(RELEASES)
    collection.parts[RELEASES].targets |= {"1.0": entry, "2.0": target("two")}
    collection.parts["targets"].targets["1.0"] = target("one")

    found = read(collection)

    assert [f"{GUN}:2.0"] == [tag.name for tag in found.tags]
    assert {"1.0": (RELEASES, code)} == refusals(found)


@pytest.mark.parametrize("name", ["docs/manual.pdf", ".hidden", "a b", "", "x" * 129, "1.0@sha256:" + "0" * 64])
def test_what_is_no_tag_is_refused(name: str) -> None:
    """
    Nobody could pull it.
    """
    collection = team()
    collection.parts["targets"].targets = {name: target("x"), "1.0": target("one")}

    found = read(collection)

    assert [f"{GUN}:1.0"] == [tag.name for tag in found.tags]
    assert ["no-image"] == [one.code for one in found.refused]


def test_behind_a_role_that_failed_nothing_is_converted() -> None:
    """
    Its word would have come first, and is not known.
    """
    collection = team(RELEASES, ALICE)
    collection.parts[RELEASES].signers = [raw("somebody")]
    collection.parts["targets"].targets["1.0"] = target("one")
    collection.parts[ALICE].targets["2.0"] = target("two")

    found = read(collection)

    assert (
        (),
        {RELEASES: (RELEASES, "threshold"), "1.0": ("targets", "threshold"), "2.0": (ALICE, "threshold")},
    ) == (
        found.tags,
        refusals(found),
    )


def test_a_role_that_failed_and_is_not_asked_takes_nothing_along() -> None:
    """
    But is said.
    """
    collection = team(RELEASES, ALICE)
    collection.parts[ALICE].expires = "2026-01-01T00:00:00Z"
    collection.parts[RELEASES].targets["1.0"] = target("one")

    found = read(collection)

    assert [RELEASES] == [tag.role for tag in found.tags]
    assert {ALICE: (ALICE, "expired")} == refusals(found)


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a_top_level_role_that_fails_ends_it(role: str) -> None:
    """
    Nothing is converted at all.
    """
    collection = team()
    collection.parts[role].signers = [raw("somebody")]

    with pytest.raises(UntrustedError):
        read(collection)


def test_what_is_remembered_does_not_stand_in() -> None:
    """
    A server that cannot be reached is asked again, whatever grace readers have.
    """
    site = at(team(), offline_grace=timedelta(days=3))
    gather(site, GUN, AT)

    with pytest.raises(OfflineError):
        gather(replace(site, repository=_Off()), GUN, AT)
    with pytest.raises(ExpiredError):
        gather(at(team()), GUN, AT + timedelta(days=365))


def test_a_store_is_a_source_too(place: Place) -> None:
    """
    Of one repository, or of all of them; files are none.
    """
    place.init()
    meta = FileMeta(length=1, hashes={"sha256": bytes(32)})
    key = place.key()
    names = ("registry.example/team/app:1.0", "registry.example/team/web:1.0", "docs/manual.pdf", "team/app")
    place.publish(
        Delegate(role="targets", name="web", keys=(key,), patterns=("registry.example/team/*",)),
        *(AddTarget(role="targets", name=name, meta=meta) for name in names),
        AddTarget(role="web", name=names[1], meta=meta),
    )

    every = gather(place.site(), place.gun, AT)
    one = gather(place.site(), Gun("registry.example/team/web"), AT)

    assert list(names[:2]) == [tag.name for tag in every.tags]
    assert {"docs/manual.pdf", "team/app"} == {item.name for item in every.refused}
    assert [(names[1], ("targets", "web"))] == [(tag.name, tag.signers) for tag in one.tags]


# --- to a collection ---------------------------------------------------------------------------------------------


def convert(source: Gathered, place: Place, **options: Any) -> conversion.Plan:
    """Convert *source* to *place*, and give what was planned."""
    plan = plan_collection(source, place.site(), AT, **options)
    if plan.begin:
        place.init()
    publish(plan, place.site(), place.publisher(), AT)
    require(plan, place.site(), AT)
    return plan


@pytest.fixture
def source() -> Gathered:
    """A collection with three tags."""
    collection = team(RELEASES, ALICE)
    collection.parts[RELEASES].targets = {tag: target(tag, about=tag) for tag in ("1.0", "2.0", "latest")}
    return read(collection)


def test_every_tag_is_found_at_the_new_place(source: Gathered, place: Place) -> None:
    """
    By its whole name, with what publishers had added, in one publication; and a reader trusts it.
    """
    plan = convert(source, place)
    later = plan_collection(source, place.site(), AT)
    versions = sorted(path for path in place.store.files if path.endswith("targets.json"))
    found = Verifier(lambda _: place.site(), MemoryRegistry()).verify(source.tags[1].image, AT, compare=False)

    assert (True, ["convert"] * 3) == (plan.begin, [step.state for step in plan.steps])
    assert (False, ["there"] * 3) == (later.begin, [step.state for step in later.steps])
    assert ["1.targets.json", "2.targets.json"] == versions
    assert ({"about": "2.0"}, source.tags[1].digest) == (place.find(f"{GUN}:2.0").meta.custom, found.digest)


def test_what_is_there_is_left_alone(source: Gathered, place: Place) -> None:
    """
    Not a file is written.
    """
    convert(source, place)
    before = dict(place.store.files)
    convert(source, place)

    assert before == place.store.files


def test_what_the_new_place_says_otherwise_is_refused_or_replaced(source: Gathered, place: Place) -> None:
    """
    Somebody signed something newer there, as a rule.
    """
    convert(source, place)
    other = FileMeta(length=3, hashes={"sha256": bytes(32)})
    place.publish(
        AddTarget(role="targets", name=f"{GUN}:1.0", meta=other), RemoveTarget(role="targets", name=f"{GUN}:2.0")
    )

    plan = convert(source, place)
    assert {"1.0": (RELEASES, "differs")} == refusals(plan)
    assert [("2.0", "convert"), ("latest", "there")] == [(step.tag.image.tag, step.state) for step in plan.steps]
    assert other.hashes == place.find(f"{GUN}:1.0").meta.hashes

    assert [f"replaces sha256:{'00' * 32}", "", ""] == [
        step.note for step in convert(source, place, overwrite=True).steps
    ]
    assert source.tags[0].meta.hashes == place.find(f"{GUN}:1.0").meta.hashes


def test_another_length_is_another_content(source: Gathered, place: Place) -> None:
    """
    Though the digest is the same: one of them cannot be verified.
    """
    tag = source.tags[0]
    place.init()
    place.publish(AddTarget(role="targets", name=tag.name, meta=replace(tag.meta, length=tag.length + 1)))

    assert {"1.0": (RELEASES, "differs")} == refusals(plan_collection(source, place.site(), AT))


def test_tags_go_to_the_roles_that_readers_ask_first(source: Gathered, place: Place) -> None:
    """
    Where somebody has them delegated already.
    """
    place.init()
    place.publish(
        Delegate(role="targets", name="app", keys=(place.key(),), patterns=("registry.example/team/*",)),
    )
    convert(source, place)

    assert {"app"} == {place.find(tag.name).role for tag in source.tags}


def test_a_trust_server_takes_the_tags_of_its_repository(source: Gathered) -> None:
    """
    And no others; by the tag alone.
    """
    world, there = World(), World(Gun("registry.example/team/web"))
    for one in (world, there):
        one.now = AT
        one.init()
    site = Site(gun=GUN, dialect=DIALECT, repository=world.server, cache=MemoryCache())
    plan = plan_collection(source, site, AT)
    publish(plan, site, world.publisher(), AT)
    require(plan, site, AT)
    other = Site(gun=there.gun, dialect=DIALECT, repository=there.server, cache=MemoryCache())

    assert {"1.0", "2.0", "latest"} == {entry.tag for entry in world.verifier().contents(GUN, AT).entries}
    assert {"other-repository"} == {one.code for one in plan_collection(source, other, AT).refused}


def test_a_place_that_somebody_else_began_is_no_new_one(source: Gathered, place: Place) -> None:
    """
    A root alone is one that was begun; files of another kind are a fault.
    """
    place.init()
    site = place.site()
    place.store.files.pop("timestamp.json")
    assert standing(site, AT, ()) is None
    place.init()
    assert standing(site, AT, ())
    place.store.files |= dict.fromkeys(("1.targets.json", "2.targets.json"), b"rubbish")

    with pytest.raises(UntrustedError):
        plan_collection(source, place.site(), AT)


def test_what_readers_do_not_find_is_not_converted(source: Gathered, place: Place) -> None:
    """
    Whatever was published.
    """
    plan = convert(source, place)
    place.publish(RemoveTarget(role="targets", name=f"{GUN}:2.0"))

    with pytest.raises(UnprovenError, match=r"app:2\.0"):
        require(plan, place.site(), AT)
    with pytest.raises(UnprovenError):
        require(plan, Place().site(), AT)


ROLES = ("targets", RELEASES, ALICE, BOB)


@given(
    listed=st.dictionaries(
        st.tuples(st.sampled_from(ROLES), st.sampled_from(["1.0", "2.0", "v3", "no tag"])),
        st.sampled_from(["one", "two", None]),
        max_size=10,
    ),
    bad=st.sets(st.sampled_from(ROLES[1:]), max_size=2),
    paths=st.sampled_from([("",), ("v", "1")]),
)
def test_every_name_is_accounted_for(
    listed: dict[tuple[str, str], str | None], bad: set[str], paths: tuple[str, ...]
) -> None:
    """
    Once: what a reader of tags would trust is converted, and nothing else.
    """
    collection = team(*ROLES[1:], paths=paths)
    for (role, name), content in listed.items():
        entry = {"hashes": {"md5": "AAAA"}, "length": 1} if content is None else target(content)
        collection.parts[role].targets[name] = entry
    for role in bad:
        collection.parts[role].signers = [raw("somebody")]
    site = at(collection)
    found = gather(site, GUN, AT)
    verifier = Verifier(lambda _: replace(site, cache=MemoryCache()), MemoryRegistry())

    def digest(name: str) -> Digest | None:
        try:
            return verifier.verify(Reference.parse(f"{GUN}:{name}"), AT, compare=False).digest
        except TrustregError:
            return None

    known = {name for role, name in listed if role not in bad}
    tags = {str(tag.image.tag): tag.digest for tag in found.tags}
    assert sorted(known) == sorted([*tags, *(one.name.removeprefix(f"{GUN}:") for one in found.refused if one.name)])
    assert {name: digest(name) for name in known if digest(name)} == tags
    assert bad == {one.role for one in found.refused if not one.name}


# --- to signatures -----------------------------------------------------------------------------------------------


def test_signatures_are_for_sha256(source: Gathered) -> None:
    """
    The others are refused; what is signed along, and what is signed already, is said by who looks.
    """
    strange = replace(source.tags[0], digest=Digest("sha512", "0" * 128))
    platform = Digest("sha256", "1" * 64)
    plan = plan_signatures(
        replace(source, tags=(strange, *source.tags[1:])),
        lambda tag: ((platform,), "an index") if tag.image.tag == "latest" else ((), ""),
        lambda _, digest: digest != platform,
    )

    assert {"1.0": (RELEASES, "digest-kind")} == refusals(plan)
    assert [("there", (), ""), ("convert", (platform,), "an index")] == [
        (step.state, step.manifests, step.note) for step in plan.steps
    ]
    assert [(), (platform,)] == [line.manifests for line in plan.lines()]


# --- whose root it is ----------------------------------------------------------------------------------------------


def test_a_root_is_familiar_by_memory_by_pin_or_by_asking() -> None:
    """
    In that order; after a rotation, by asking whether the one follows the other.
    """
    collection = team()
    site = at(collection)
    side = read(collection).collection
    pinned = at(collection, pins=Pins(keys=tuple(key.id for key in collection.keys["root"])))

    assert "pinned" == familiar(pinned, side, AT)
    assert "pinned" == familiar(at(collection, pins=Pins(root=side.root)), side, AT)
    assert "first-use" == familiar(site, side, AT)
    assert "remembered" == familiar(site, side, AT)
    rotated = collection.rotate("targets", raw("another"))
    assert "first-use" == familiar(at(rotated), side, AT)
    assert "asked" == familiar(replace(at(rotated), cache=site.cache), read(rotated).collection, AT)


def test_a_root_of_somebody_else_is_not() -> None:
    """
    Whatever comes with it.
    """
    from vectors.make.collection import root_key

    collection, foreign = team(), team()
    foreign.keys["root"] = [root_key("somebody")]
    side = read(foreign).collection
    mine = tuple(key.id for key in collection.keys["root"])
    known = at(collection)
    gather(known, GUN, AT)

    for site, error in ((at(collection), EquivocationError), (known, EquivocationError)):
        with pytest.raises(error):
            familiar(site, side, AT)
    with pytest.raises(PinError):
        familiar(at(collection, pins=Pins(keys=mine)), side, AT)
    with pytest.raises(UntrustedError):
        familiar(at(collection), replace(side, root=b"rubbish"), AT)
    with pytest.raises(UnavailableError):
        familiar(replace(at(collection), repository=_Off()), side, AT)


class _Off:
    where = "nowhere"

    def fetch(self, want: Want) -> bytes | None:
        raise OfflineError(self.where, f"{want.path} was asked for in vain")
