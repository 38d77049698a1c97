"""A copy has all that it takes to verify the collection elsewhere, and nothing that was not verified."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.authoring import Place, meta
from tests.world import DIALECT, MemoryCache
from trustreg.client import Site, drive
from trustreg.copying import copy
from trustreg.errors import ContentError, ExpiredError, ThresholdError, TooLargeError, VersionError
from trustreg.names import Gun
from trustreg.sign.changes import AddTarget, Delegate, SetKeys
from trustreg.verify.workflow import Limits
from vectors.make.collection import GUN, Collection, Delegated, root_key
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.dialect import Dialect
    from trustreg.ports import Repository
    from trustreg.verify.requests import Want

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Fixed:
    """A repository that is these files."""

    where = "https://notary.example"

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def fetch(self, want: Want) -> bytes | None:
        return self.files.get(want.path)


@pytest.fixture
def rotated() -> Collection:
    """A Notary collection with two levels of delegations and three roots."""
    made = Collection.usual(Delegated("targets/a", [raw("a")]), Delegated("targets/a/b", [raw("b")]))
    return made.rotate("root", root_key("second")).rotate("targets", raw("other"))


def test_a_notary_collection_is_copied_whole(rotated: Collection) -> None:
    """All roots and roles are there, a delegator before what it delegates to, at the paths that clients ask for."""
    files = rotated.publish().repository()

    copied = copy(_site(Fixed(files)), NOW)

    assert [1, 2, 3] == [root.signed.version for root in copied.roots]
    assert ["root", "timestamp", "snapshot", "targets", "targets/a", "targets/a/b"] == list(copied.roles)
    assert ({}, True, NOW) == (copied.failed, copied.first_use, copied.taken)
    assert datetime(2026, 5, 14, tzinfo=UTC) == copied.expires
    got = dict(copied.files())
    by_digest = DIALECT.locate("root", DIALECT.listed(files["root.json"], 3))
    assert {**files, by_digest: files["root.json"]} == got
    assert "timestamp.json" == list(got)[-1]


def test_a_copy_is_read_like_the_original(rotated: Collection) -> None:
    """Copies of copies are the same, and who trusted the first root gets to the last in them."""
    copied = copy(_site(Fixed(rotated.publish().repository())), NOW)
    again = _site(Fixed(dict(copied.files())))
    begun = MemoryCache()
    drive(again.workflow(NOW).refresh(), Fixed(Collection.usual().publish().repository()), begun)

    assert dict(copied.files()) == dict(copy(again, NOW).files())
    assert begun.remembered.floors["root"].version == 1
    assert 3 == copy(_site(again.repository, cache=begun), NOW).roots[-1].signed.version


@pytest.mark.parametrize("lost", [1, 2])
def test_roots_begin_where_there_is_no_gap(rotated: Collection, lost: int) -> None:
    """A server that has lost an old root still gives those after it."""
    files = rotated.publish().repository()
    del files[f"{lost}.root.json"]

    copied = copy(_site(Fixed(files)), NOW)

    assert list(range(lost + 1, 4)) == [root.signed.version for root in copied.roots]
    assert not [path for path, _ in copied.files() if path[0].isdigit() and int(path[0]) <= lost]


def test_roots_that_do_not_lead_here_are_refused(rotated: Collection) -> None:
    """A history that other keys signed is no history of this collection, and neither is one out of order."""
    files = rotated.publish().repository()
    other = Collection.usual()
    other.keys["root"] = [root_key("stranger")]

    with pytest.raises(ThresholdError):
        copy(_site(Fixed({**files, "2.root.json": other.next("root").file("root")})), NOW)
    with pytest.raises(VersionError):
        copy(_site(Fixed({**files, "2.root.json": files["1.root.json"]})), NOW)


def test_a_history_without_end_is_refused(rotated: Collection) -> None:
    """However many roots a server offers, a copy reads only so many."""
    repository = Fixed(rotated.publish().repository())

    assert 3 == len(copy(_site(repository, limits=Limits(rotations=2)), NOW).roots)
    with pytest.raises(TooLargeError):
        copy(_site(repository, limits=Limits(rotations=1)), NOW)


def test_a_role_that_fails_is_reported(rotated: Collection) -> None:
    """What cannot be verified is left out, with all below it, and never silently."""
    files = rotated.publish().repository()
    (path,) = (path for path in files if path.startswith("targets/a."))
    files[path] = bytes(len(files[path]))

    copied = copy(_site(Fixed(files)), NOW)

    assert ["targets/a"] == list(copied.failed)
    assert isinstance(copied.failed["targets/a"], ContentError)
    assert ["root", "timestamp", "snapshot", "targets"] == list(copied.roles)


def test_what_has_expired_is_copied_only_on_demand(rotated: Collection) -> None:
    """A collection that nobody looks after any more can be kept, and nothing of it is remembered."""
    repository, late, cache = Fixed(rotated.publish().repository()), NOW + timedelta(days=30), MemoryCache()

    with pytest.raises(ExpiredError):
        copy(_site(repository), late)
    copied = copy(_site(repository, cache=cache), late, dangerous_skip_expiry=True)

    assert late > copied.expires
    assert not cache.remembered.floors


def test_a_collection_in_a_store_is_copied_whole() -> None:
    """Files are at the paths that clients of TUF ask for, all roots among them."""
    place = Place()
    place.init()
    key = place.key()
    place.publish(Delegate(role="targets", name="some/role", keys=(key,), patterns=("a*",)))
    place.publish(AddTarget(role="some/role", name="a", meta=meta()))
    place.publish(SetKeys(role="targets", add=(place.key(),), threshold=1))
    site = place.site()

    copied = copy(site, place.now)
    again = copy(_site(Fixed(dict(copied.files())), place.gun, site.dialect), place.now)

    assert ["1.root.json", "2.root.json"] == [path for path, _ in copied.files() if path.endswith("root.json")]
    assert "2.some%2Frole.json" in dict(copied.files())
    assert {path: place.store.files[path] for path, _ in copied.files()} == dict(copied.files())
    assert dict(copied.files()) == dict(again.files())


def _site(
    repository: Repository,
    gun: Gun | None = None,
    dialect: Dialect = DIALECT,
    *,
    cache: MemoryCache | None = None,
    limits: Limits | None = None,
) -> Site:
    return Site(
        gun=gun or Gun(GUN), dialect=dialect, repository=repository, cache=cache or MemoryCache(), limits=limits
    )
