"""Stock is taken of everything that can be read, and nothing is taken for better than it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.authoring import Place, meta
from tests.inventories import HOSTILE, collection
from tests.server.team import DIALECT, GUN, NOW, Team, file_meta, listed, sign
from tests.world import MemoryCache
from trustreg.client import Site
from trustreg.errors import (
    NotInRegistryError,
    OfflineError,
    ServerError,
    TrustregError,
    UnauthorizedError,
    UnavailableError,
)
from trustreg.forecast import BREAKS, BROKEN, CODES, NOTE, forecast
from trustreg.inventory import Collection, Holding, RoleLine, look_up, read
from trustreg.io.notary import ChangeFeed, NotaryServer
from trustreg.metadata import FileMeta, Timestamp
from trustreg.names import Digest, Gun, Reference
from trustreg.ports import Manifest
from trustreg.sign.changes import AddTarget, Delegate, DelegateBins
from trustreg.verify.pinning import Pins
from trustreg.wire import Wiring
from vectors.make import collection as made

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trustreg.verify.requests import Want

YEARS = timedelta(days=365)
OTHER = FileMeta(length=7, hashes={"sha256": b"\1" * 32})


class Shop:
    """A collection that a team has published, as a repository; some of it may fail."""

    where = "https://trust.example"

    def __init__(
        self, team: Team, more: Mapping[str, bytes] | None = None, roots: tuple[bytes, ...] = (), **expires: datetime
    ) -> None:
        late = {role: {"expires": moment} for role, moment in expires.items()}
        root = roots[-1] if roots else team.root(**late.get("root", {}))  # type: ignore[arg-type]
        files = {"root": root, "targets": team.targets(**late.get("targets", {})), **(more or {})}  # type: ignore[arg-type]
        files["snapshot"] = team.snapshot(files, **late.get("snapshot", {}))  # type: ignore[arg-type]
        good = expires.get("timestamp", NOW + timedelta(days=14))
        stamp = Timestamp(version=1, expires=good, snapshot=file_meta(files["snapshot"]))
        files["timestamp"] = sign(stamp, "timestamp")
        self.files = {f"{role}.json": raw for role, raw in files.items()}
        self.files |= {DIALECT.locate(role, file_meta(raw)): raw for role, raw in files.items()}
        self.files |= {f"{number}.root.json": raw for number, raw in enumerate(roots or (root,), 1)}
        self.failing: dict[str, TrustregError] = {}
        self.asked: list[str] = []

    def fetch(self, want: Want) -> bytes | None:
        self.asked.append(want.path)
        for name, error in self.failing.items():
            if want.path.startswith(name):
                raise error
        return self.files.get(want.path)

    def read(self, now: datetime = NOW, pins: Pins | None = None, cache: MemoryCache | None = None) -> Collection:
        known, grace = cache or MemoryCache(), timedelta(days=1) if cache else timedelta(0)
        site = Site(gun=GUN, dialect=DIALECT, repository=self, cache=known, pins=pins or Pins(), offline_grace=grace)
        return read(str(GUN), lambda _: site, now)


class Images:
    """A registry: digests by tag, and those it has besides; some of it may fail. It counts how often it is asked."""

    def __init__(self, tags: Mapping[str, str] | None = None, kept: tuple[str, ...] = ()) -> None:
        self.tags, self.kept = dict(tags or {}), kept
        self.failing: UnavailableError | None = None
        self.raw: bytes | None = None
        self.asked: list[str] = []

    def digest(self, reference: Reference) -> Digest | None:
        self.asked.append(str(reference))
        if self.failing:
            raise self.failing
        if reference.tag:
            return Digest.parse(self.tags[reference.tag]) if reference.tag in self.tags else None
        return reference.digest if str(reference.digest) in self.kept else None

    def manifest(self, reference: Reference) -> Manifest:
        if self.raw is None:
            raise NotInRegistryError(str(reference))
        digest = Digest("sha256", hashlib.sha256(self.raw).hexdigest())
        return Manifest(media_type="application/vnd.oci.image.manifest.v1+json", digest=digest, raw=self.raw)


def line(found: Collection, name: str) -> RoleLine:
    """Give the role *name* of *found*, which has it."""
    role = found.role(name)
    assert role
    return role


def states(found: Collection) -> dict[str, str]:
    """Give the state of each role."""
    return {role.name: role.state for role in found.roles}


def codes(found: Collection, level: str, now: datetime = NOW) -> list[tuple[str, str]]:
    """Give code and role of what is said of *found* at some level."""
    return [(one.code, one.role) for one in forecast([found], now) if one.level == level]


def team() -> Team:
    """Give a team with two people, one of whom has delegated on."""
    made = Team()
    made.delegate("targets/a")
    made.delegate("targets/c", prefixes=("w",))
    made.delegate("targets/a/b")
    return made


def parts(of: Team, **more: Any) -> dict[str, bytes]:
    """Give the files of the delegated roles, some made otherwise."""
    names = ("targets/a", "targets/a/b", "targets/c")
    return {name: of.targets(role=name, **more.get(name.rpartition("/")[2], {})) for name in names}


# --- what is read ------------------------------------------------------------------------------------------------


def test_a_collection_is_listed_whole() -> None:
    """
    Every role with its keys, every tag with those who sign it, and the roots that led here.
    """
    mine = team()
    found = Shop(mine, parts(mine, c={"targets": {"w1": OTHER}})).read()

    assert (found.state, found.error, found.where, found.first_use) == ("trusted", None, "https://trust.example", True)
    assert [(role.name, role.delegator, role.signer) for role in found.roles] == [
        ("root", "", ""),
        ("targets", "root", ""),
        ("snapshot", "root", ""),
        ("timestamp", "root", ""),
        ("targets/a", "targets", "a"),
        ("targets/c", "targets", "c"),
        ("targets/a/b", "targets/a", ""),
    ]
    assert {"trusted"} == set(states(found).values())
    assert line(found, "targets/c").paths == ("w*",)
    assert line(found, "targets/c").signed_by == (listed("targets/c").id,)
    (key,) = line(found, "root").keys
    assert (key.algorithm, key.strength, key.certificate and key.certificate.subject) == ("ecdsa P-256", 128, str(GUN))
    assert [(tag.tag, tag.roles, tag.signers, tag.counts) for tag in found.tags] == [
        ("v1", ("targets", "targets/a", "targets/a/b"), ("a",), True),
        ("w1", ("targets/c",), ("c",), False),
    ]
    assert str(found.tags[0].image) == f"{GUN}:v1"
    assert [(root.version, root.served, root.follows) for root in found.roots] == [(1, True, False)]


def test_roots_that_led_here_are_listed_as_far_as_they_are_served() -> None:
    """
    Each is signed by the keys before it, or it is said that it is not.
    """
    first, second, third = Team(), Team(root_keys=("root 2",)), Team(root_keys=("root 3",))
    roots = (first.root(), second.root(2, by=("root", "root 2")), third.root(3, by=("root 2", "root 3")))
    shop = Shop(third, roots=roots)
    whole = shop.read()
    assert [(root.version, root.served, root.follows) for root in whole.roots] == [
        (1, True, False),
        (2, True, True),
        (3, True, True),
    ]
    assert [root.keys[0].id for root in whole.roots] == [listed(name).id for name in ("root", "root 2", "root 3")]

    del shop.files["1.root.json"]
    shop.files["2.root.json"] = second.root(2, by=("root 2",))
    shop.files["3.root.json"] = shop.files["root.json"]
    assert [root.served for root in shop.read().roots] == [False, True, True]
    assert ("roots-missing", "root") in codes(shop.read(), NOTE)
    shop.files["2.root.json"] = Team(root_keys=("root 4",)).root(2)
    assert [root.follows for root in shop.read().roots] == [False, False, False]
    assert ("roots-apart", "root") in codes(shop.read(), BROKEN)


def test_a_root_that_cannot_be_had_now_ends_the_search_for_others() -> None:
    """
    Those that came before it are listed.
    """
    names = ("root", *(f"root {number}" for number in range(2, 5)))
    teams = [Team(root_keys=(name,)) for name in names]
    roots = tuple(one.root(number, by=names[max(number - 2, 0) : number]) for number, one in enumerate(teams, 1))
    shop = Shop(teams[-1], roots=roots)
    shop.failing = {"2.root": ServerError("https://trust.example", 500, "UNKNOWN")}

    assert [root.served for root in shop.read().roots] == [True, False, False, True]
    assert "3.root.json" not in shop.asked


def test_what_is_remembered_may_stand_in_for_who_is_offline() -> None:
    """
    As far as the caller allows it; nobody is then asked for old roots.
    """
    cache, shop = MemoryCache(), Shop(team(), parts(team()))
    before = shop.read(cache=cache)
    shop.failing, shop.asked = {"": OfflineError("https://trust.example", "connection refused")}, []
    after = shop.read(NOW + timedelta(hours=1), cache=cache)

    assert (after.state, after.stale_since, len(shop.asked)) == ("trusted", NOW, 1)
    assert (after.tags, after.roles, after.roots) == (before.tags, before.roles, before.roots)


def test_what_has_expired_is_marked() -> None:
    """
    Nothing in it is trusted; what has not expired itself is not confirmed by anybody any more.
    """
    mine = team()
    found = Shop(mine, parts(mine), timestamp=NOW - timedelta(days=1)).read()

    assert (found.state, found.error and found.error.code) == ("expired", "expired")
    assert states(found) == {
        "timestamp": "expired",
        **dict.fromkeys(("root", "targets", "snapshot", "targets/a", "targets/c", "targets/a/b"), "unconfirmed"),
    }
    assert {tag.state for tag in found.tags} == {"expired"}
    assert codes(found, BROKEN) == [("role-expired", "timestamp")]


def test_an_expired_root_certificate_is_found_out() -> None:
    """
    The root itself may be good for longer than that.
    """
    far = NOW + 20 * YEARS
    found = Shop(Team(), root=far, targets=far, snapshot=far, timestamp=far).read(NOW + 11 * YEARS)

    assert (found.state, found.error and found.error.code) == ("expired", "pin")
    assert states(found)["root"] == "expired"
    assert [tag.tag for tag in found.tags] == ["v1"]
    assert ("root-certificate-expired", "root") in codes(found, BROKEN, NOW + 11 * YEARS)


def test_an_expired_delegation_stands_apart() -> None:
    """
    What it lists, and what those list that it delegates to, has lines of its own.
    """
    mine = team()
    found = Shop(mine, parts(mine, a={"expires": NOW - timedelta(days=1)})).read()

    assert found.state == "trusted"
    assert states(found) == {
        **dict.fromkeys(("root", "targets", "snapshot", "timestamp", "targets/c"), "trusted"),
        "targets/a": "expired",
        "targets/a/b": "expired",
    }
    assert [(tag.tag, tag.state, tag.roles) for tag in found.tags] == [
        ("v1", "trusted", ("targets", "targets/c")),
        ("v1", "expired", ("targets/a", "targets/a/b")),
    ]
    assert codes(found, BROKEN) == [("role-expired", "targets/a")]


def test_what_the_wrong_key_signed_is_refused_and_not_listed() -> None:
    """
    Of a delegated role it is the role, of a top-level role the collection.
    """
    mine = team()
    found = Shop(mine, parts(mine, c={"by": ("another",), "targets": {"w1": OTHER}})).read()
    assert (found.state, states(found)["targets/c"]) == ("trusted", "refused")
    assert [tag.tag for tag in found.tags] == ["v1"]
    assert ("role-refused", "targets/c") in codes(found, BROKEN)

    forged = Shop(mine, {"targets": mine.targets(by=("another",))}).read()
    assert (forged.state, forged.error and forged.error.code, forged.tags) == ("refused", "threshold", ())
    assert states(forged) == {
        "root": "unconfirmed",
        "targets": "refused",
        "snapshot": "unknown",
        "timestamp": "unknown",
    }
    assert codes(forged, BROKEN) == [("refused", ""), ("role-refused", "targets")]


def test_an_entry_that_cannot_be_used_is_not_passed_over_in_silence() -> None:
    """
    The others of its role are listed.
    """
    mine = Team()
    weak = FileMeta(length=1, hashes={"md5": bytes(16)})
    found = Shop(mine, {"targets": mine.targets(targets={"v1": OTHER, "v2": weak})}).read()

    assert (found.state, [tag.tag for tag in found.tags], line(found, "targets").state) == (
        "trusted",
        ["v1"],
        "trusted",
    )
    assert codes(found, BROKEN) == [("entry-refused", "targets")]


def test_a_pin_that_does_not_match_is_refused() -> None:
    """
    Then nothing of it is read.
    """
    found = Shop(Team()).read(pins=Pins(keys=("0" * 64,)))

    assert (found.state, found.error and found.error.code, found.roles, found.tags) == ("refused", "pin", (), ())


def test_a_server_that_cannot_say_what_is_current_is_read_by_signatures() -> None:
    """
    As the one does that holds no key of a snapshot that has expired. It is listed, and not trusted.
    """
    mine = team()
    shop = Shop(mine, parts(mine, c={"by": ("another",)}))
    shop.failing = {name: ServerError("https://trust.example", 500, "UNKNOWN") for name in ("timestamp", "snapshot")}
    found = shop.read()

    assert (found.state, found.error and found.error.code) == ("unconfirmed", "server")
    assert states(found) == {
        **dict.fromkeys(("root", "targets", "targets/a", "targets/a/b"), "unconfirmed"),
        **dict.fromkeys(("snapshot", "timestamp"), "unknown"),
        "targets/c": "refused",
    }
    assert [(tag.state, tag.roles) for tag in found.tags] == [("unconfirmed", ("targets", "targets/a", "targets/a/b"))]
    assert [code for code, _ in codes(found, BROKEN)] == ["role-refused", "unconfirmed"]
    many = Team()
    for number in range(2000):
        many.delegate(f"targets/{number}", "another")
    shop = Shop(many)
    shop.failing = {name: ServerError("https://trust.example", 500, "UNKNOWN") for name in ("timestamp", "snapshot")}
    assert [role.state for role in shop.read().roles].count("refused") == 2001 - 1024
    assert len([path for path in shop.asked if path.startswith("targets")]) == 1024
    shop.failing["targets.json"] = shop.failing["timestamp"]
    assert (shop.read().state, shop.read().tags) == ("unknown", ())


def test_what_cannot_be_read_says_why() -> None:
    """
    Nobody answers; there is no such collection; the name cannot be used.
    """
    shop = Shop(Team())
    shop.failing = {"": OfflineError("https://trust.example", "connection refused")}
    assert (shop.read().state, codes(shop.read(), BROKEN)) == ("unknown", [("unknown", "")])
    assert shop.asked == 2 * ["root.json"]
    shop.failing, shop.files = {}, {}
    assert (shop.read().state, codes(shop.read(), BROKEN)) == ("refused", [("refused", "")])
    unusable = read("../etc", lambda _: pytest.fail("it was asked for"), NOW)
    assert (unusable.gun, unusable.state, unusable.error and unusable.error.code) == ("../etc", "unknown", "name")


def test_a_collection_in_a_store_is_listed() -> None:
    """
    With the names of images in full, where it is that of many; files are no images.
    """
    place = Place()
    place.init()
    key = place.key()
    place.publish(Delegate(role="targets", name="tools", keys=(key,), patterns=("tools/*",)))
    names = {f"{GUN}:1.0": "targets", "other.example/app:2.0": "targets", "tools/x": "tools"}
    place.publish(*(AddTarget(role=role, name=name, meta=meta(1)) for name, role in names.items()))
    site = place.site()
    found = read(str(GUN), lambda _: site, place.now)
    assert (found.state, found.stored) == ("trusted", True)
    assert [(tag.tag, tag.roles, tag.signers, str(tag.image)) for tag in found.tags] == [
        ("1.0", ("targets",), (), f"{GUN}:1.0"),
        ("other.example/app:2.0", ("targets",), (), "other.example/app:2.0"),
        ("tools/x", ("tools",), (), "None"),
    ]
    assert line(found, "tools").paths == ("tools/*",)
    late = read(str(GUN), lambda _: place.site(), place.now + timedelta(days=30))
    assert (late.state, len(late.tags), {tag.state for tag in late.tags}) == ("expired", 3, {"expired"})


def test_bins_are_one_line() -> None:
    """
    However many there are.
    """
    place = Place()
    place.init()
    place.publish(DelegateBins(role="targets", bits=4, prefix="bin", keys=(place.key(),)))
    place.publish(*(AddTarget(role="targets", name=f"{GUN}:{number}", meta=meta(number)) for number in range(9)))
    found = read(str(GUN), lambda _: place.site(), place.now)

    assert [(role.name, role.bins) for role in found.roles if role.delegator == "targets"] == [("bin", 16)]
    assert len(found.tags) == 9
    assert line(found, found.tags[0].roles[0]).name == "bin"


# --- the registry ------------------------------------------------------------------------------------------------

SIGNED, ANOTHER = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("tags", "kept", "state", "asked"),
    [
        ({"v1": SIGNED}, (), "held", 1),
        ({"v1": ANOTHER}, (SIGNED,), "moved", 2),
        ({"v1": ANOTHER}, (), "moved", 2),
        ({}, (SIGNED,), "untagged", 2),
        ({}, (), "gone", 2),
    ],
)
def test_the_registry_is_asked_by_tag_and_by_digest(
    tags: dict[str, str], kept: tuple[str, ...], state: str, asked: int
) -> None:
    """
    By digest only where the tag is not what was signed.
    """
    images = Images(tags, kept)
    (found,) = look_up([Shop(Team()).read()], images)
    (tag,) = found.tags

    assert tag.holding
    assert (tag.holding.state, len(images.asked)) == (state, asked)
    assert tag.holding.kept is (state == "held" or bool(kept))
    code = {"moved": "tag-moved", "untagged": "tag-gone", "gone": "image-gone"}.get(state)
    assert codes(found, BROKEN) == ([(code, "")] if code else [])


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (OfflineError("https://registry.example", "connection refused"), 1),
        (UnauthorizedError("https://registry.example", 401, "no"), 1),
        (ServerError("https://registry.example", 429, "too many"), 1),
        (ServerError("https://registry.example", 500, "why"), 3),
    ],
)
def test_a_registry_that_does_not_answer_is_not_asked_again(error: UnavailableError, asked: int) -> None:
    """
    Each tag is unknown, with the reason; what is wrong with one tag only is not taken for more.
    """
    targets = {f"v{number}": OTHER for number in range(3)}
    images = Images()
    images.failing = error
    mine = Team()
    (found,) = look_up([Shop(mine, {"targets": mine.targets(targets=targets)}).read()], images)

    assert [tag.holding for tag in found.tags] == [Holding(state="unknown", error=error)] * 3
    assert len(images.asked) == asked
    assert codes(found, NOTE).count(("registry-unknown", "")) == 1


def test_what_is_signed_by_sha512_only_is_compared_by_its_bytes() -> None:
    """
    Registries go by sha256.
    """
    raw = b"{}"
    listing = {"v1": FileMeta(length=2, hashes={"sha512": hashlib.sha512(raw).digest()})}
    mine, images = Team(), Images()
    seen = Shop(mine, {"targets": mine.targets(targets=listing)}).read()
    found = []
    for images.raw in (raw, b"[]", None):
        (after,) = look_up([seen], images)
        found.append(after.tags[0].holding.state if after.tags[0].holding else "")

    assert found == ["held", "moved", "gone"]
    assert ("sha512-only", "") in codes(seen, NOTE)


def test_several_at_once_stay_in_order() -> None:
    """
    Whoever applies the questions may do so in any order; answers go to whom they belong.
    """
    mine = Team()
    seen = Shop(mine, {"targets": mine.targets(targets={"v1": OTHER, "no tag": OTHER, "v2": OTHER})}).read()

    def backwards(function: Any, values: Any) -> Any:
        return [function(value) for value in list(values)[::-1]][::-1]

    first, second = look_up([seen, replace(seen, gun="other")], Images({"v2": f"sha256:{'01' * 32}"}), backwards)
    assert first.tags == second.tags
    assert [(tag.tag, tag.holding and tag.holding.state) for tag in first.tags] == [
        ("no tag", None),
        ("v1", "gone"),
        ("v2", "held"),
    ]


# --- what will break ---------------------------------------------------------------------------------------------


def test_what_breaks_is_in_the_order_of_time() -> None:
    """
    With what is broken in front, and what has no date at the end.
    """
    mine = team()
    found = Shop(mine, parts(mine, c={"expires": NOW + timedelta(days=3)}), snapshot=NOW + timedelta(days=5)).read()
    told = forecast([found], NOW)

    assert [(one.code, one.role) for one in told if one.level == BREAKS][:2] == [
        ("role-expires", "targets/c"),
        ("role-expires", "snapshot"),
    ]
    dates = [one.when for one in told if one.when]
    assert dates == sorted(dates)
    assert ("role-expires", "timestamp") in codes(found, NOTE)
    assert ("root-asked-for", "root") in codes(found, NOTE)
    assert (told[-1].code, told[-1].when) == ("first-use", None)
    assert told[-1].facts["keyids"] == [listed("root").id]


def test_keys_that_are_missing_or_weak() -> None:
    """
    Too few, of too few bits, or of a kind that cannot vouch for anything.
    """
    mine = team()
    seen = Shop(mine, parts(mine)).read()
    weak = replace(seen.roles[4].keys[0], algorithm="rsa 2048", strength=112)
    roles = [replace(role, keys=(weak,), state="unsigned", expires=None) for role in seen.roles[4:6]]
    none = replace(seen.roles[6], keys=(replace(weak, strength=0),))
    found = replace(seen, roles=(*seen.roles[:4], *roles, none), first_use=False)

    assert [one for one in codes(found, NOTE) if one[0] not in {"role-expires", "root-asked-for"}] == [
        ("weak-key", ""),
        ("never-signed", "targets/a"),
        ("never-signed", "targets/c"),
        ("no-keys", "targets/a/b"),
        ("unusable-key", "targets/a/b"),
    ]


def test_every_notice_says_what_it_is_and_what_to_do() -> None:
    """
    Whatever publishers wrote into names: on one line, and nothing that a terminal obeys.
    """
    told = forecast((collection(HOSTILE, 40, 12, state=state) for state in ("trusted", "expired")), NOW)

    assert len({one.code for one in told}) > 8
    assert {one.code for one in told} <= set(CODES)
    for one in told:
        assert str(one).isprintable()
        assert one.remedy
        assert one.gun == HOSTILE


def test_what_a_server_names_is_not_met_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It may name collections of others, and show a root of its own: that must not stand against theirs.
    """
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    evil = made.Collection.usual()
    evil.keys["root"] = [made.root_key("others")]
    servers = {"evil.example": evil, "good.example": made.Collection.usual()}
    files = {host: one.publish().repository() for host, one in servers.items()}

    def fetch(self: NotaryServer, want: Want) -> bytes | None:
        return files[self.where.removeprefix("https://")].get(want.path)

    monkeypatch.setattr(NotaryServer, "fetch", fetch)
    monkeypatch.setattr(ChangeFeed, "collections", lambda _: {made.GUN: ""})
    flags = {"trust_dir": str(tmp_path / "trust"), "config": None}
    wiring = Wiring(flags, {"TRUSTREG_SERVER": "https://good.example"}, lambda: now)

    (listed,) = wiring.inventory(["https://evil.example"], registry=False).collections

    assert (listed.state, listed.first_use) == ("trusted", True)
    assert wiring.verifier().contents(Gun(made.GUN), now).first_use
    (listed,) = wiring.inventory(["https://evil.example"], registry=False).collections
    assert listed.state != "trusted"
