"""What readers of TUF collections are held to: pins, memory and its age, what many share, and what it costs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.verify.world import World
from tests.world import MemoryCache, MemoryRegistry
from trustreg.agreement import read_map
from trustreg.client import Site, Trusted, Unknown, Verifier, drive
from trustreg.dialects import split
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import (
    EquivocationError,
    FormatError,
    OfflineError,
    PinError,
    SettingError,
    TooLargeError,
)
from trustreg.metadata import matches
from trustreg.names import Gun, Reference
from trustreg.reader import Reader
from trustreg.tuf import folder_cache, trust
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import Limits, Workflow
from vectors.make.tuf.keys import eddsa
from vectors.make.tuf.repository import NOW as SPELLED_NOW
from vectors.make.tuf.repository import Delegated, Repository, target

if TYPE_CHECKING:
    from pathlib import Path

    from trustreg.verify.requests import Want

NOW = datetime.fromisoformat(SPELLED_NOW).astimezone(UTC)
GUN = Gun("repository.example/app")
HOUR = timedelta(hours=1)


class Files:
    """A repository in memory that can be cut off, whole or from some path on."""

    where = "https://repository.example"

    def __init__(self, repository: Repository) -> None:
        self.files = repository.publish().repository()
        self.asked: list[str] = []
        self.cut: tuple[str, ...] | None = None

    def fetch(self, want: Want) -> bytes | None:
        """Return the file, as a server does."""
        if self.cut is not None and want.path not in self.cut:
            raise OfflineError(self.where, "cut off")
        self.asked.append(want.path)
        return self.files.get(want.path)


def images(**lists: list[str]) -> Repository:
    """Return a repository that delegates ``reg.example/*`` to roles, in order, which list these images."""
    made = Repository()
    for role, names in lists.items():
        made.delegate("targets", Delegated(role, [eddsa(role)], paths=["reg.example/*"]), *names)
    return made


def verifier(files: Files, cache: MemoryCache | None = None, max_age: timedelta = timedelta(0), **how: Any) -> Verifier:
    """Return a reader of the collection that all of ``reg.example`` share."""
    site = Site(gun=Gun("shared"), dialect=Tuf1(), repository=files, cache=cache or MemoryCache(), **how)
    return Verifier(lambda _: site, MemoryRegistry(), max_age)


# --- pins ---------------------------------------------------------------------------------------------------


def test_a_pinned_id_that_another_key_is_listed_under() -> None:
    """TUF lets publishers choose key ids; an id that somebody pinned is that of one key all the same."""
    good, evil = eddsa("root"), eddsa("evil")
    forged = Repository(keys={**Repository().keys, "root": [evil.known_as(good.id)]})
    for repository, believed in ((Repository(), True), (forged, False)):
        world = World(repository.publish().repository())
        flow = Workflow(Tuf1(), GUN, NOW, pins=Pins(keys=(good.id,), first_use=False))
        if believed:
            world.drive(flow.refresh())
        else:
            with pytest.raises(PinError):
                world.drive(flow.refresh())


def test_a_root_that_is_brought_is_held_against_what_was_believed_at_first_use() -> None:
    """Whoever pins the right root does not go on with a wrong one because that came first."""
    good, evil = Repository(), Repository(keys={**Repository().keys, "root": [eddsa("evil")]})
    world = World(evil.publish().repository())
    world.drive(Workflow(Tuf1(), GUN, NOW).refresh())
    pins = Pins(root=good.file("root"), first_use=False)

    with pytest.raises(EquivocationError):
        world.drive(Workflow(Tuf1(), GUN, NOW, pins=pins).refresh())


def test_a_root_that_is_brought_is_walked_from_once() -> None:
    """After that it is known to have led to the one that is trusted."""
    first = Repository()
    world = World(first.rotate({"root": [eddsa("next")]}).publish().repository())
    world.drive(Workflow(Tuf1(), GUN, NOW, pins=Pins(keys=(eddsa("next").id,))).refresh())
    pins = Pins(root=first.file("root"), first_use=False)
    for expected in (["want", "2.root.json", 4 << 20], ["recall", "root"]):
        world.requests.clear()
        world.drive(Workflow(Tuf1(), GUN, NOW, pins=pins).refresh())
        assert expected == world.trace[1]


# --- memory and its age ---------------------------------------------------------------------------------------


def test_max_age_counts_from_when_the_timestamp_was_asked_for(tmp_path: Path) -> None:
    """Look-ups of roles that nobody had asked for yet do not make the rest any younger."""
    files, cache = Files(images(one=["reg.example/1"], two=["reg.example/2"])), folder_cache(tmp_path)
    pins = Pins(root=files.files["1.root.json"], first_use=False)

    def ask(name: str, now: datetime) -> list[str]:
        files.asked.clear()
        reader = Reader(GUN, Tuf1(), where="", pins=pins, max_age=HOUR)
        drive(reader.refresh(now), files, cache)
        assert drive(reader.find(name), files, cache) is not None
        return list(files.asked)

    assert "timestamp.json" in ask("reg.example/1", NOW)
    assert ["1.two.json"] == ask("reg.example/2", NOW + HOUR * 0.9)
    assert "timestamp.json" in ask("reg.example/2", NOW + HOUR * 1.8)


def test_recalling_asks_nobody_and_leaves_no_trace(tmp_path: Path) -> None:
    """A look-up after it neither, whatever the time was said to be."""
    files, cache = Files(images(one=["reg.example/1"])), folder_cache(tmp_path)
    reader = Reader(GUN, Tuf1(), where="", pins=Pins(root=files.files["1.root.json"], first_use=False))
    drive(reader.refresh(NOW), files, cache)
    before = cache.memory()
    files.cut = ()

    drive(reader.recall(NOW + HOUR * 5), files, cache)

    with pytest.raises(Exception, match="has no"):
        drive(reader.find("reg.example/1"), files, cache)
    assert before == cache.memory()


def test_a_line_that_is_cut_in_the_middle_is_not_an_attack() -> None:
    """Within the grace what was known does, and where it does not suffice nobody knows: that is no "no"."""
    repository = images(one=["reg.example/a:1"])
    files, cache = Files(repository), MemoryCache()
    image = Reference.parse("reg.example/a:1")
    reader = verifier(files, cache, offline_grace=HOUR)
    assert isinstance(reader.judge(image, NOW, compare=False), Trusted)
    files.files = repository.next("targets").publish().repository()
    files.cut = ("2.root.json", "timestamp.json")

    verdict = reader.judge(image, NOW + HOUR / 2, compare=False)

    assert isinstance(verdict, Unknown)


def test_grace_and_max_age_do_not_add_up() -> None:
    """What stood in for a server that nobody could reach stands in no longer than it may."""
    files = Files(images(one=["reg.example/a:1"]))
    image = Reference.parse("reg.example/a:1")
    reader = verifier(files, MemoryCache(), HOUR * 5, offline_grace=HOUR * 2)
    assert isinstance(reader.judge(image, NOW, compare=False), Trusted)
    reader = verifier(files, reader._sites(GUN).cache, HOUR * 5, offline_grace=HOUR * 2)  # type: ignore[arg-type]
    files.cut = ()

    assert isinstance(reader.judge(image, NOW + HOUR * 1.5, compare=False), Trusted)
    assert isinstance(reader.judge(image, NOW + HOUR * 2.5, compare=False), Unknown)


def test_a_root_that_was_not_asked_for_is_asked_for_when_it_is_missed() -> None:
    """``root_age`` saves a request and never costs a refusal: keys that were replaced meanwhile are looked for."""
    before = Repository()
    world = World(before.publish().repository())
    pins = Pins(root=before.file("root"), first_use=False)
    world.drive(Workflow(Tuf1(), GUN, NOW, pins=pins, root_age=HOUR).refresh())
    world.repository = before.rotate({"timestamp": [eddsa("new timestamp")]}).publish().repository()

    flow = Workflow(Tuf1(), GUN, NOW + HOUR / 2, pins=pins, root_age=HOUR)
    world.drive(flow.refresh())

    assert 2 == flow.root.signed.version


# --- one collection, many repositories --------------------------------------------------------------------------


def test_a_digest_is_found_below_a_role_that_was_read_before() -> None:
    """Whatever was asked first."""
    made = images(one=["reg.example/a:1"])
    made.delegate("one", Delegated("below", [eddsa("below")], paths=["reg.example/*"]), "reg.example/a:2")
    digest = made.parts["below"].targets["reg.example/a:2"]["hashes"]["sha256"]
    by_digest = Reference.parse(f"reg.example/a@sha256:{digest}")
    reader = verifier(Files(made))

    assert isinstance(reader.judge(Reference.parse("reg.example/a:1"), NOW, compare=False), Trusted)
    assert isinstance(reader.judge(by_digest, NOW), Trusted)
    assert {"1", "2"} == {entry.tag for entry in reader.contents(Gun("reg.example/a"), NOW).entries}


def test_a_bad_entry_of_one_team_does_not_silence_the_others() -> None:
    """Its role is listed as one that failed; what the others say counts, by tag and by digest."""
    made = images(one=["reg.example/a:1"], two=["reg.example/b:1"])
    made.parts["two"].targets["reg.example/b:2"] = {"length": 1, "hashes": {"md5": "00" * 16}}
    digest = made.parts["one"].targets["reg.example/a:1"]["hashes"]["sha256"]
    reader = verifier(Files(made))

    assert isinstance(reader.judge(Reference.parse(f"reg.example/a@sha256:{digest}"), NOW), Trusted)
    contents = reader.contents(Gun("shared"), NOW)
    assert ["two"] == list(contents.failed)
    assert {"reg.example/a:1", "reg.example/b:1"} == {entry.tag for entry in contents.entries}


def test_only_a_tag_vouches_for_a_digest() -> None:
    """A target whose name goes on after what could be a tag is none of the image's."""
    made = images(one=["reg.example/a:1"])
    evil = target("evil")
    made.parts["one"].targets["reg.example/a:1 evil"] = evil
    digest = evil["hashes"]["sha256"]

    verdict = verifier(Files(made)).judge(Reference.parse(f"reg.example/a@sha256:{digest}"), NOW)

    assert not isinstance(verdict, Trusted)


# --- what it costs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [0, 1 << 40])
def test_depth_has_an_end(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    """Brackets without end are malformed, in files of any size, and nothing else goes wrong."""
    monkeypatch.setattr(split, "LARGE", large)
    for raw in (
        b"[" * 100_000,
        b'{"signed":' * 100_000,
        b'{"signatures":[],"signed":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ):
        with pytest.raises(FormatError):
            Tuf1().decode("root", raw)


def test_bins_without_end() -> None:
    """Four thousand million of them are not looked for one by one."""
    made = Repository()
    made.delegate_bins("targets", "bin", 32, [eddsa("bins")])
    world = World(made.publish().repository())
    flow = Workflow(Tuf1(), GUN, NOW, limits=Limits(tree=1000))
    world.drive(flow.refresh())

    with pytest.raises(TooLargeError):
        world.drive(flow.delegated())


def test_all_that_is_read_together_is_bounded() -> None:
    """Not only each file."""
    files = images(one=["reg.example/1"]).publish()
    size = len(files.files["snapshot"]) + len(files.files["targets"]) + 10
    flow = Workflow(Tuf1(), GUN, NOW, limits=Limits(together=size))
    world = World(files.repository())
    world.drive(flow.refresh())

    with pytest.raises(TooLargeError, match="all that was read"):
        world.drive(flow.find("reg.example/1"))


def test_patterns_are_cheap() -> None:
    """A hundred thousand of them, and one that could be tried in very many ways, end before anybody gives up."""
    assert not any(matches("some/name", f"*{number}*/x?") for number in range(100_000))
    assert not matches("a" * 200, "*a" * 100 + "b")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "", True),
        ("*", "a/b", False),
        ("*/*", "a/b", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*.tgz", "a.tgz.tgz", True),
        ("*ab*cd", "xabyabzcd", True),
        ("*ab*cd", "xabyabzc", False),
        ("a**b", "ab", True),
        ("[ab]x", "bx", True),
        ("A", "a", False),
        ("?", "", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    """As shells match, segment by segment."""
    assert expected is matches(name, pattern)


# --- files --------------------------------------------------------------------------------------------------------


def test_beginning_anew_leaves_strange_files_alone(tmp_path: Path) -> None:
    """A folder that holds something else as well keeps it."""
    strange = [tmp_path / "package.json", tmp_path / "project" / "package.json"]
    strange[1].parent.mkdir()
    for path in strange:
        path.write_text("{}")

    trust(tmp_path, Repository().file("root"))
    trust(tmp_path, Repository().file("root"))

    assert all(path.read_text() == "{}" for path in strange)


def test_no_two_roles_share_a_file() -> None:
    """Not even where the digest of a long name looks like an escape."""
    long = next(
        name for n in range(10_000) if hashlib.sha256((name := f"{n:05}" + "x" * 300).encode()).hexdigest()[:2] == "41"
    )
    digest = hashlib.sha256(long.encode()).hexdigest()

    assert Tuf1().kept_as(long) != Tuf1().kept_as(f"{long[:100]}A{digest[2:]}")


def test_one_repository_is_not_two() -> None:
    """A map that lists one place under two names would have it agree with itself."""
    raw = b"""{"repositories": {"one": ["https://r.example"], "two": ["https://r.example/"]},
               "mapping": [{"paths": ["*"], "repositories": ["one", "two"], "threshold": 2}]}"""

    with pytest.raises(SettingError, match="one place"):
        read_map(raw, "map.json")
