"""A mirror has the very bytes, moves only forward, and takes nothing that its readers would not follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.authoring import MemoryPlace, Place, meta
from tests.server.team import after
from tests.world import DIALECT, MemoryCache
from trustreg.client import Site, drive
from trustreg.copying import Files
from trustreg.errors import ContentError, ExpiredError, MirrorRefusedError, TakenError, TooLargeError, UnprovenError
from trustreg.mirroring import Original, original, to_server, to_store
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Gun
from trustreg.server import Collection as Stored
from trustreg.server import judge_replica
from trustreg.sign.changes import AddTarget
from trustreg.verify.workflow import Limits
from vectors.make.collection import GUN, Collection, Delegated, root_key
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.ports import Cache, Repository
    from trustreg.verify.requests import Want

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def site(repository: Repository, cache: Cache | None = None, limits: Limits | None = None) -> Site:
    return Site(gun=Gun(GUN), dialect=DIALECT, repository=repository, cache=cache or MemoryCache(), limits=limits)


def read(files: Mapping[str, bytes], limits: Limits | None = None) -> Original:
    """Read what is to be mirrored from *files*."""
    return original(site(Files("https://notary.example", files), limits=limits), NOW)


def refresh(place: Site) -> None:
    """Have a reader read a mirror whole."""
    workflow = place.workflow(NOW)
    drive(workflow.refresh(), place.repository, place.cache)
    assert not drive(workflow.delegated(), place.repository, place.cache)


@pytest.fixture
def first() -> Collection:
    """A collection with delegations."""
    return Collection.usual(Delegated("targets/a", [raw("a")]), Delegated("targets/a/b", [raw("b")]))


@pytest.fixture
def second(first: Collection) -> Collection:
    """The same after two rotations."""
    return first.rotate("root", root_key("second")).rotate("targets", raw("other"))


# --- places that sign nothing ------------------------------------------------------------------------------------


def test_a_mirror_is_read_as_the_source(first: Collection, second: Collection) -> None:
    """By who comes new, and by who was here before; what is there is not written again."""
    place = MemoryPlace()
    written = to_store(read(first.publish().repository()), place, NOW)
    assert written[-1] == "timestamp.json"
    early = MemoryCache()
    refresh(site(place, early))

    written = to_store(read(second.publish().repository()), place, NOW)

    assert {"1.root.json", "root.json", "snapshot.json", "targets.json", "targets/a.json"} <= place.files.keys()
    assert "1.root.json" not in written
    refresh(site(place, early))
    refresh(site(place))
    assert to_store(read(second.publish().repository()), place, NOW) == ()


def test_whoever_reads_meanwhile_reads_one_state_or_the_other(first: Collection) -> None:
    """Between any two writes, as long as the root stays: what is listed is there before what lists it."""
    place, early = MemoryPlace(), MemoryCache()
    to_store(read(first.publish().repository()), place, NOW)
    refresh(site(place, early))

    def look(_: str) -> None:
        refresh(site(place, early))
        refresh(site(place))

    place.step = look
    assert to_store(read(first.next("targets", "targets/a").publish().repository()), place, NOW)


def test_half_a_copy_is_completed(first: Collection) -> None:
    """Whichever write it ended before, and whoever left it."""
    whole = read(first.publish().repository())
    count = len(list(whole.files()))
    for most in range(count):
        place, left = MemoryPlace(), iter(range(most))

        def step(_: str, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise TakenError("the store", "killed")

        place.step = step
        with pytest.raises(TakenError):
            to_store(whole, place, NOW)
        place.step = lambda _: None
        to_store(whole, place, NOW)
        refresh(site(place))


def test_what_was_spoilt_is_mended(first: Collection) -> None:
    """A file that nobody's trust depends on is written again; if it does, a person has to look."""
    place, source = MemoryPlace(), read(first.publish().repository())
    to_store(source, place, NOW)
    whole = dict(place.files)
    for path in ("targets.json", "root.json", "snapshot.json"):
        place.files[path] = b"spoilt"
        assert to_store(source, place, NOW) == (path,)
    listed = next(path for path in place.files if path.startswith("targets.") and path != "targets.json")
    for path in (listed, "1.root.json", "timestamp.json"):
        place.files = {**whole, path: b"spoilt"}
        with pytest.raises(MirrorRefusedError):
            to_store(source, place, NOW)


def test_never_back_and_never_another(first: Collection, second: Collection) -> None:
    """An older state, another state of the same version, another collection: the place stays as it is."""
    place = MemoryPlace()
    to_store(read(second.publish().repository()), place, NOW)
    before = dict(place.files)

    other = Collection.usual()
    other.keys["root"] = [root_key("others")]
    late = second.next("targets")
    late.parts["timestamp"].version -= 1
    states = {
        "root v. is older": first.next("targets"),
        "timestamp v3 was trusted": late,
        "root v1 was trusted with": other.rotate("root", root_key("third")).rotate("root", root_key("fourth")),
    }
    for said, state in states.items():
        with pytest.raises(MirrorRefusedError, match=said):
            to_store(read(state.publish().repository()), place, NOW)
        assert place.files == before
    ahead = second.next("targets")
    to_store(read(ahead.publish().repository()), place, NOW)
    with pytest.raises(MirrorRefusedError, match="timestamp v3 is older than trusted v4"):
        to_store(read(second.publish().repository()), place, NOW)


def test_an_expired_mirror_moves_on(first: Collection) -> None:
    """However long nobody has looked after it."""
    place, old = MemoryPlace(), first.publish().repository()
    to_store(read(old), place, NOW)
    later = NOW + timedelta(days=30)
    new = first.next("targets")
    new.parts["timestamp"].expires = "2026-08-01T00:00:00Z"

    source = original(site(Files("https://notary.example", new.publish().repository())), later)

    assert to_store(source, place, later)
    with pytest.raises(ExpiredError):
        original(site(Files("https://notary.example", old)), later)


def test_what_readers_pass_over_comes_along(first: Collection) -> None:
    """A role that has expired, and what it delegates to, are there as at the source; one that was swapped is not."""
    first.parts["targets/a"].expires = "2026-04-01T00:00:00Z"
    first.parts["targets/a/b"].targets["long" * 2000] = first.parts["targets"].targets["v1"]
    files = first.publish().repository()

    source = read(files)

    assert ["targets/a"] == list(source.copied.failed)
    assert ["targets/a", "targets/a/b"] == list(source.others)
    place = MemoryPlace()
    to_store(source, place, NOW)
    assert place.files.items() >= files.items()
    (path,) = (path for path in files if path.startswith("targets/a/b."))
    with pytest.raises(ContentError):
        read({**files, path: bytes(len(files[path]))})
    with pytest.raises(TooLargeError):
        read(files, limits=Limits(together=6000))
    assert ["targets/a"] == list(read({p: raw for p, raw in files.items() if p != path}).others)


@pytest.mark.parametrize("name", ["timestamp", "targets/../../etc", "elsewhere", "targets/A"])
def test_names_that_no_role_can_have_are_passed_over(first: Collection, name: str) -> None:
    """A snapshot may list whatever its signers like; no path is made of it."""

    def list_more(signed: dict[str, Any]) -> None:
        signed["meta"][name] = signed["meta"]["targets"]

    first.parts["snapshot"].edit = list_more
    place = MemoryPlace()

    source = read(first.publish().repository())

    assert not source.others
    to_store(source, place, NOW)
    assert not [path for path in place.files if name in path and name != "timestamp"]


def test_a_collection_of_tuf_is_mirrored_from_store_to_store() -> None:
    """Its files keep their names; of two timestamps of one version the first stays."""
    made, place = Place(), MemoryPlace()
    made.init()
    made.publish(AddTarget(role="targets", name="a", meta=meta()))

    def whole() -> Original:
        return original(made.site(), made.now)

    assert to_store(whole(), place, made.now)[-1] == "timestamp.json"
    assert {path: made.store.files[path] for path in place.files} == place.files
    before, old = dict(made.store.files), whole()
    made.publish(AddTarget(role="targets", name="b", meta=meta()))
    assert "3.targets.json" in to_store(whole(), place, made.now)
    with pytest.raises(MirrorRefusedError, match="is older than trusted"):
        to_store(old, place, made.now)
    made.store.files = before
    made.publish(AddTarget(role="targets", name="c", meta=meta()))
    with pytest.raises(MirrorRefusedError, match="was trusted with"):
        to_store(whole(), place, made.now)


# --- servers -----------------------------------------------------------------------------------------------------


class Server:
    """A server that takes replicas, as ours does; what it shows may be bent."""

    where = "https://new.example"

    def __init__(self) -> None:
        self.stored, self.roots = Stored(), dict[str, bytes]()
        self.taken: list[list[str]] = []
        self.hidden: set[str] = set()

    def fetch(self, want: Want) -> bytes | None:
        files = {role: file.raw for role, file in self.stored.files.items()}
        paths = {DIALECT.locate(role, DIALECT.listed(raw, 0)): raw for role, raw in files.items()}
        paths |= {DIALECT.locate(role): files[role] for role in (ROOT, TIMESTAMP) if role in files}
        return None if want.path in self.hidden else {**paths, **self.roots}.get(want.path)

    def replicate(self, files: Mapping[str, bytes]) -> None:
        update = judge_replica(Gun(GUN), files, self.stored, NOW)
        assert update
        self.taken.append(list(files))
        self.stored = after(self.stored, update)
        self.roots |= {f"{name}.json": raw for name, raw in files.items() if name.endswith(".root")}


def test_a_server_gets_what_it_lacks(first: Collection, second: Collection) -> None:
    """The history once, and then what is new; nothing where there is nothing new."""
    server, early = Server(), MemoryCache()

    assert set(to_server(read(first.publish().repository()), server, NOW)) == {
        "1.root", TARGETS, "targets/a", "targets/a/b", SNAPSHOT, TIMESTAMP
    }  # fmt: skip
    refresh(site(server, early))
    assert to_server(read(first.publish().repository()), server, NOW) == ()
    sent = to_server(read(second.publish().repository()), server, NOW)

    assert set(sent) == {"2.root", "3.root", TARGETS, SNAPSHOT, TIMESTAMP}
    refresh(site(server, early))
    refresh(site(server))
    with pytest.raises(MirrorRefusedError):
        to_server(read(first.publish().repository()), server, NOW)
    assert len(server.taken) == 2


def test_a_server_gets_what_readers_pass_over(first: Collection) -> None:
    """Once, like everything else."""
    first.parts["targets/a"].expires = "2026-04-01T00:00:00Z"
    server, source = Server(), read(first.publish().repository())

    assert {"targets/a", "targets/a/b"} < set(to_server(source, server, NOW))
    assert to_server(source, server, NOW) == ()
    assert server.stored.files["targets/a/b"].raw == source.others["targets/a/b"]


def test_a_server_that_shows_something_else_is_not_believed(first: Collection) -> None:
    """Neither before nor after."""
    server = Server()
    server.hidden.add("timestamp.json")
    with pytest.raises(UnprovenError):
        to_server(read(first.publish().repository()), server, NOW)
