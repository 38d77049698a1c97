"""An archive keeps what was verified, as it was, and gives out nothing else, whoever had it in the meantime."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
import struct
import warnings
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.authoring import TUF1, Place, meta
from tests.world import DIALECT, MemoryCache
from trustreg.client import Site, drive
from trustreg.copying import Held
from trustreg.errors import (
    ContentError,
    DamagedError,
    EquivocationError,
    FileError,
    NotArchivedError,
    OfflineError,
    RollbackError,
    SettingError,
    ThresholdError,
    TooLargeError,
    TrustregError,
)
from trustreg.io import archive as archive_module
from trustreg.io.archive import Archive, writing
from trustreg.names import Gun
from trustreg.sign.changes import AddTarget
from trustreg.wire import Wiring
from vectors.make.collection import GUN, Collection, Delegated, root_key, target
from vectors.make.material import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trustreg.io.archive import Archived
    from trustreg.verify.requests import Want
    from trustreg.verify.workflow import Workflow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
HOME = Gun(GUN)


class Server:
    """A repository that is these files, and notes which of them it was asked for; ``offline`` after so many."""

    where = "https://notary.example"

    def __init__(self, collection: Collection | Mapping[str, bytes], patience: int = 1000) -> None:
        self.files = collection.publish().repository() if isinstance(collection, Collection) else dict(collection)
        self.asked: list[str] = []
        self._patience = patience

    def fetch(self, want: Want) -> bytes | None:
        if len(self.asked) >= self._patience:
            raise OfflineError(self.where, "gone")
        self.asked.append(want.path)
        return self.files.get(want.path)


@pytest.fixture
def collection() -> Collection:
    """A collection with two delegations, one below the other, and two roots."""
    made = Collection.usual(Delegated("targets/a", [raw("a")]), Delegated("targets/a/b", [raw("b")]))
    return made.rotate("root", root_key("second"))


@pytest.fixture(params=["backup", "backup.zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where an archive is to be, in either form."""
    form: str = request.param
    return tmp_path / form


def test_what_was_archived_can_be_read(collection: Collection, place: Path) -> None:
    """Everything that the server had is there, under the paths that it had it at, and verifies."""
    server = Server(collection)

    done = take(place, server)

    assert (True, 7, (1, 2), 1) == (done.new, done.added, done.roots, done.states)
    assert [HOME] == list(Archive(place).guns())
    (state,) = Archive(place).states(HOME)
    assert (done.state, NOW, server.where) == (state, state.taken, state.server)
    assert hashlib.sha256(server.files["timestamp.json"]).hexdigest() == state.timestamp
    assert {"targets", "targets/a", "targets/a/b"} == set(read(place).roles)
    assert server.files == {path: archived(place, path) for path in server.files}


def test_archiving_again_changes_and_asks_nothing(collection: Collection, place: Path) -> None:
    """What is there is not asked for: root and timestamp tell whether there is anything else."""
    take(place, Server(collection))
    before, server = content(place), Server(collection)

    done = take(place, server, LATER)

    assert (False, 0, NOW) == (done.new, done.added, done.state.taken)
    assert ["root.json", "3.root.json", "timestamp.json"] == server.asked
    assert before == content(place)


def test_only_what_is_new_is_asked_for(collection: Collection, place: Path) -> None:
    """After one role was published, that one is asked for, and what lists it; so it is in a store."""
    take(place, Server(collection))
    collection.parts["targets/a"].targets["v2"] = target("v2")
    server = Server(collection.next("targets/a"))

    done = take(place, server, LATER)

    asked = [path.partition(".")[0] for path in server.asked]
    assert ["root", "3", "timestamp", "snapshot", "targets/a"] == asked
    assert (True, 3, 2) == (done.new, done.added, done.states)


def test_of_a_store_only_what_is_new_is_asked_for(place: Path) -> None:
    """The same in the spelling of TUF, by whoever remembers nothing but has the archive."""
    store = Place()
    store.init()
    tuf = Server(store.store.files)
    take(place, tuf, store.now, gun=store.gun, dialect=TUF1)
    again = Server(tuf.files)
    take(place, again, store.now, gun=store.gun, dialect=TUF1)
    store.publish(AddTarget(role="targets", name="a", meta=meta()))
    after = Server(store.store.files)
    done = take(place, after, store.now, gun=store.gun, dialect=TUF1)

    assert ["2.root.json", "timestamp.json"] == again.asked
    assert ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"] == after.asked
    assert (3, 2) == (done.added, done.states)


def test_earlier_states_stay(collection: Collection, place: Path) -> None:
    """Each state is read as it was, by the time that is asked about; a later one adds to the archive."""
    take(place, Server(collection))
    before = content(place) if place.is_dir() else {}
    take(place, Server(collection.rotate("targets", raw("new"))), LATER)

    assert before.items() <= {**content(place), **{k: v for k, v in before.items() if k.startswith("c")}}.items()
    versions = [read(place, at).root.signed.version for at in (NOW, LATER - timedelta(seconds=1), LATER)]
    assert [2, 2, 3] == versions
    assert 3 == read(place).root.signed.version
    with pytest.raises(NotArchivedError) as caught:
        read(place, NOW - timedelta(seconds=1))
    assert (NOW, NOW - timedelta(seconds=1)) == (caught.value.first, caught.value.at)


def test_an_archive_holds_several_collections(collection: Collection, place: Path) -> None:
    """They share a place, and of one that is not there nothing is known."""
    other = Place(Gun("dir:/srv/trust"))
    other.init()
    take(place, Server(other.store.files), other.now, gun=other.gun, dialect=TUF1)
    take(place, Server(collection))

    assert {HOME, other.gun} == set(Archive(place).guns())
    assert {"targets"} == set(read(place, gun=other.gun, now=other.now).roles)
    with pytest.raises(NotArchivedError) as caught:
        read(place, gun=Gun("registry.example/none"))
    assert {str(HOME), str(other.gun)} == set(caught.value.has)


def test_one_file_depends_on_nothing_but_its_content(collection: Collection, tmp_path: Path) -> None:
    """The same states make the same bytes, in however many steps they came."""
    later = collection.next("targets")
    for name in ("a.zip", "b.zip"):
        take(tmp_path / name, Server(collection))
        os.utime(tmp_path / name, (0, 0))
    take(tmp_path / "a.zip", Server(later), LATER)
    with writing(tmp_path / "b.zip") as archive:
        archive.take(site(Server(later)), LATER)
        archive.take(site(Server(later)), LATER)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda _: Collection.usual().next("root"), (ThresholdError, EquivocationError)),
        (lambda _: Collection.usual(), (RollbackError, EquivocationError, ThresholdError)),
        (lambda was: was, RollbackError),
    ],
    ids=["other keys", "begun anew", "older"],
)
def test_what_does_not_follow_is_refused(
    collection: Collection, place: Path, change: Callable[[Collection], Collection], error: type[TrustregError]
) -> None:
    """Another collection of the same name, or an older state of this one, comes into no archive that knows better."""
    stranger = change(collection)
    if stranger is not collection:
        stranger.keys["root"] = [root_key("stranger")]
    take(place, Server(collection.next("targets")))
    before = content(place)

    with pytest.raises(error) as caught:
        take(place, Server(stranger), LATER)

    assert before == content(place)
    if stranger is collection:
        assert "archive it in another place" in caught.value.__notes__[0]


def test_what_fails_a_check_leaves_nothing_behind(collection: Collection, place: Path) -> None:
    """A top-level role that is not what was signed ends it, and what came on the way to it is gone."""
    server = Server(collection)
    (targets,) = (path for path in server.files if path.startswith("targets."))
    server.files[targets] = bytes(len(server.files[targets]))

    with pytest.raises(ContentError):
        take(place, server)

    assert not content(place)


def test_a_role_that_failed_is_said_to_be_left_out(collection: Collection, place: Path) -> None:
    """An archive says what it lacks, and has it once the server has."""
    server = Server(collection)
    (path,) = (path for path in server.files if path.startswith("targets/a."))
    was = server.files.pop(path)

    without = take(place, server)
    server.files[path] = was
    whole = take(place, server, LATER)

    assert {"targets/a"} == set(without.state.failed)
    assert {} == whole.state.failed
    assert (True, 2) == (whole.new, whole.added)


def test_what_came_before_the_network_went_is_not_asked_for_again(collection: Collection, tmp_path: Path) -> None:
    """An attempt that broke off is where the next one goes on."""
    place = tmp_path / "backup"
    with pytest.raises(OfflineError):
        take(place, Server(collection, patience=5))  # root twice, timestamp, snapshot, targets
    server = Server(collection)

    take(place, server)

    assert not {"snapshot", "targets"} & {path.partition(".")[0] for path in server.asked}
    assert {"targets", "targets/a", "targets/a/b"} == set(read(place).roles)


def test_whoever_is_stopped_at_any_write_leaves_an_archive(
    collection: Collection, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each file gets its name, in turn: what there is can be read, and the next attempt brings the rest."""
    take(place, Server(collection))
    later, rename, left = collection.next("targets/a"), Path.replace, [0]

    def dying(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    for number in itertools.count():
        copied = place.with_name(f"{number}-{place.name}")
        (shutil.copytree if place.is_dir() else shutil.copy)(place, copied)
        left[0] = number
        with contextlib.suppress(KeyboardInterrupt):
            take(copied, Server(later), LATER)
        died, left[0] = left[0] < 0, 100

        assert read(copied).roles["targets/a"].signed.version in {1, 2}
        take(copied, Server(later), LATER)
        assert 2 == read(copied).roles["targets/a"].signed.version
        assert 2 == len(Archive(copied).states(HOME))
        if not died:
            break
    assert (4 if place.is_dir() else 1) == number  # snapshot, targets/a, timestamp, manifest


def test_only_one_adds_to_it(collection: Collection, place: Path) -> None:
    """Who comes second waits, and is told if that takes too long; readers are not kept waiting."""
    take(place, Server(collection))

    with writing(place), pytest.raises(FileError, match="another process has held"), writing(place, patience=0):
        raise AssertionError
    assert read(place)


def test_what_is_no_archive_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written between somebody's other files, or over one of them."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis").write_text("chapter one")
    (tmp_path / "other.zip").write_text("something else")

    for name, error in (("home", FileError), ("other.zip", DamagedError), ("a.tar", SettingError)):
        with pytest.raises(error), writing(tmp_path / name):
            raise AssertionError
    for name in ("home", "none", "none.zip"):
        with pytest.raises(FileError):
            Archive(tmp_path / name)
    assert ["thesis"] == [path.name for path in (tmp_path / "home").iterdir()]
    assert "something else" == (tmp_path / "other.zip").read_text()


# --- what others may have done to it ---


def manifest(place: Path) -> Path:
    """Give the manifest in the folder *place*."""
    return place / "collections/registry.example%2fteam%2fapp.json"


def respell(change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Return what has *change* done to the manifest."""

    def spoil(place: Path) -> None:
        document = json.loads(manifest(place).read_bytes())
        change(document)
        manifest(place).write_text(json.dumps(document))

    return spoil


def at(place: Path, role: str) -> Path:
    """Give the file of *role*."""
    (state,) = Archive(place).states(HOME)
    (digest,) = {digest for path, digest in state.files.items() if path.startswith(f"{role}.")}
    return place / f"files/{digest}.json"


def swap(place: Path) -> None:
    """Exchange two files."""
    one, two = at(place, "targets"), at(place, "snapshot")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def link(place: Path) -> None:
    """Put a link in the place of a file, to the very same content."""
    path = at(place, "targets")
    path.rename(place / "aside")
    path.symlink_to(place / "aside")


def link_folder(place: Path) -> None:
    """Put a link in the place of the folder of all files."""
    (place / "files").rename(place / "aside")
    (place / "files").symlink_to(place / "aside")


def pipe(place: Path) -> None:
    """Put something in the place of a file that never ends."""
    at(place, "targets").unlink()
    os.mkfifo(at(place, "targets"))


def first(document: Any) -> Any:
    """Give the first state."""
    return document["states"][0]


SPOILT: dict[str, tuple[Callable[[Path], object], type[TrustregError]]] = {
    "changed": (lambda p: at(p, "targets").write_bytes(at(p, "targets").read_bytes() + b" "), TooLargeError),
    "other content": (lambda p: at(p, "timestamp").write_bytes(b"{}"), DamagedError),
    "truncated": (lambda p: os.truncate(at(p, "snapshot"), 100), DamagedError),
    "missing": (lambda p: at(p, "timestamp").unlink(), DamagedError),
    "swapped": (swap, DamagedError),
    "a link": (link, DamagedError),
    "a folder that is a link": (link_folder, DamagedError),
    "a pipe": (pipe, FileError),
    "huge": (lambda p: os.truncate(at(p, "timestamp"), 1 << 40), TooLargeError),
    "no JSON": (lambda p: manifest(p).write_text("{"), DamagedError),
    "an empty manifest": (lambda p: manifest(p).write_text(""), DamagedError),
    "deep": (lambda p: manifest(p).write_text("[" * 100_000), DamagedError),
    "a huge manifest": (lambda p: os.truncate(manifest(p), 1 << 40), TooLargeError),
    "no manifest": (lambda p: manifest(p).unlink(), NotArchivedError),
    "of a later version": (respell(lambda d: d.update(version=2)), FileError),
    "of another collection": (respell(lambda d: d.update(gun="registry.example/other")), DamagedError),
    "of no collection": (respell(lambda d: d.update(gun=7)), DamagedError),
    "of what has no name": (respell(lambda d: d.update(gun="a\nb")), DamagedError),
    "of another kind": (respell(lambda d: d.update(dialect="tuf2")), DamagedError),
    "without states": (respell(lambda d: d.update(states=[])), DamagedError),
    "without times": (respell(lambda d: first(d).update(taken="yesterday")), DamagedError),
    "without files": (respell(lambda d: first(d)["files"].clear()), TrustregError),
    "other paths": (respell(lambda d: first(d)["files"].update({"timestamp.json": "../../secret"})), DamagedError),
    "lists for texts": (respell(lambda d: first(d).update(failed={"targets/a": []})), DamagedError),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_folder_is_refused(collection: Collection, tmp_path: Path, name: str) -> None:
    """Whatever was done to the files, nothing but what was archived is given out, and it is said what is wrong."""
    place = tmp_path / "backup"
    take(place, Server(collection))
    spoil, error = SPOILT[name]

    spoil(place)

    with pytest.raises(error):
        read(place)


def repack(place: Path, change: Callable[[dict[str, bytes]], object], way: int = zipfile.ZIP_DEFLATED) -> None:
    """Write the zip file anew, compressed as others do it, after *change*."""
    with zipfile.ZipFile(place) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    change(members)
    with zipfile.ZipFile(place, "w", way) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members.items():
            packed.writestr(name, content)


def adding(*names: str) -> Callable[[dict[str, bytes]], object]:
    """Return what adds members of these names, and nothing in them."""
    return lambda members: members.update(dict.fromkeys(names, b""))


def twice(place: Path) -> None:
    """Have the manifest in it twice."""
    with zipfile.ZipFile(place, "a") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed.writestr(packed.namelist()[0], "{}")


def link_member(place: Path) -> None:
    """Have a member that is a link."""
    info = zipfile.ZipInfo("files/" + "0" * 64 + ".json")
    info.external_attr, info.create_system = (stat.S_IFLNK | 0o777) << 16, 3
    with zipfile.ZipFile(place, "a") as packed:
        packed.writestr(info, "/etc/passwd")


def bomb(members: dict[str, bytes]) -> None:
    """Have all files be much longer than they were."""
    members.update({name: bytes(5 << 20) for name in members if name.startswith("files/")})


def many(place: Path) -> None:
    """Have a list of members that is too long, and says so only where large files do."""
    content = place.read_bytes()
    large = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1 << 20, 1 << 20, 1 << 30, 0)
    place.write_bytes(content[:-22] + large + struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1) + content[-22:])


def lie(place: Path) -> None:
    """Have the members say that they are shorter than they are."""
    repack(place, bomb)
    content = bytearray(place.read_bytes())
    start = 0
    while (start := content.find(b"PK\1\2", start)) >= 0:
        content[start + 24 : start + 28] = (100).to_bytes(4, "little")
        start += 4
    place.write_bytes(content)


ZIPS: dict[str, tuple[Callable[[Path], object], type[TrustregError]]] = {
    "truncated": (lambda p: os.truncate(p, p.stat().st_size - 30), DamagedError),
    "cut at the front": (lambda p: p.write_bytes(p.read_bytes()[500:]), DamagedError),
    "empty": (lambda p: os.truncate(p, 0), DamagedError),
    "no zip": (lambda p: p.write_bytes(b"x" * 5000), DamagedError),
    "leading out": (lambda p: repack(p, adding("files/../../../etc/passwd")), DamagedError),
    "absolute": (lambda p: repack(p, adding("/etc/passwd")), DamagedError),
    "something else": (lambda p: repack(p, adding("readme")), DamagedError),
    "twice": (twice, DamagedError),
    "a link": (link_member, DamagedError),
    "a bomb": (lambda p: repack(p, bomb), TooLargeError),
    "a lie": (lie, DamagedError),
    "packed in a way without bounds": (lambda p: repack(p, adding(), zipfile.ZIP_BZIP2), DamagedError),
    "changed": (lambda p: p.write_bytes(p.read_bytes().replace(b'"expires":"2', b'"expires":"3')), DamagedError),
    "too many": (lambda p: p.write_bytes(p.read_bytes()[:-10] + b"\xff" * 4 + p.read_bytes()[-6:]), DamagedError),
}


@pytest.mark.parametrize("name", ZIPS)
def test_a_spoilt_zip_file_is_refused(collection: Collection, tmp_path: Path, name: str) -> None:
    """Whatever was done to the file, no member is believed, none is unpacked to anywhere, and no bomb goes off."""
    place = tmp_path / "backup.zip"
    take(place, Server(collection))
    spoil, error = ZIPS[name]

    spoil(place)

    with pytest.raises(error):
        read(place)


def test_a_list_of_members_is_not_read_before_its_length_is_known(collection: Collection, tmp_path: Path) -> None:
    """Large files say it in another place, and that counts wherever it is."""
    place = tmp_path / "backup.zip"
    take(place, Server(collection))

    many(place)

    with pytest.raises(DamagedError, match="too many members"):
        read(place)


def test_a_zip_file_may_be_packed_anew(collection: Collection, tmp_path: Path) -> None:
    """Compressed by others, or made of a folder, it is the same archive."""
    place = tmp_path / "backup.zip"
    take(place, Server(collection))
    repack(place, adding("collections/", "files/"))

    assert {"targets", "targets/a", "targets/a/b"} == set(read(place).roles)
    assert not take(place, Server(collection), LATER).new


def test_only_those_are_looked_at_that_are_named(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive says what else it has, and may have more of that than anybody has time for."""
    take(tmp_path / "backup", Server(collection))
    (tmp_path / "backup" / "collections" / "zzz.json").write_text("endless")
    monkeypatch.setattr(archive_module, "_SHOWN", 1)

    with pytest.raises(NotArchivedError, match=GUN):
        Archive(tmp_path / "backup").collection(Gun("registry.example/other"))


def test_what_is_remembered_apart_holds_for_copies_too(collection: Collection, tmp_path: Path) -> None:
    """Where another collection of the name came before, what is known of the configured one is not forgotten."""
    (tmp_path / "config.toml").write_text(
        f"""[[registry]]
        match = "{GUN}"
        server = "https://new.example"
        previous = {{ server = "https://old.example", until = 2027-01-01 }}
        """
    )
    flags = {"config": str(tmp_path / "config.toml"), "trust_dir": str(tmp_path / "trust")}
    known = Wiring(flags, {}, lambda: NOW).site(HOME)
    refresh = known.workflow(NOW).refresh()
    drive(refresh, Server(collection), known.cache)
    take(tmp_path / "backup", Server(Collection.usual().rotate("root", root_key("other"))))

    with pytest.raises(EquivocationError):
        Wiring({**flags, "archive": str(tmp_path / "backup")}, {}, lambda: NOW).verifier().contents(HOME, NOW)


# --- helpers ---


def site(server: Server, gun: Gun = HOME, dialect: Any = DIALECT) -> Site:
    """Give the collection on *server*, of which nothing is remembered."""
    return Site(gun=gun, dialect=dialect, repository=server, cache=MemoryCache())


def take(place: Path, server: Server, now: datetime = NOW, gun: Gun = HOME, dialect: Any = DIALECT) -> Archived:
    """Archive what *server* has."""
    with writing(place) as archive:
        return archive.take(site(server, gun, dialect), now)


def read(place: Path, when: datetime | None = None, gun: Gun = HOME, now: datetime | None = None) -> Workflow:
    """Read all of the collection in the archive, verified."""
    found = Archive(place).collection(gun, when)
    copied = Site(gun=gun, dialect=found.dialect, repository=found, cache=Held())
    workflow = copied.workflow(now or when or LATER)
    drive(workflow.refresh(), found, copied.cache)
    for failure in drive(workflow.delegated(), found, copied.cache).values():
        raise failure
    return workflow


def archived(place: Path, path: str) -> bytes | None:
    """Give the file that the last state has at *path*."""
    archive = Archive(place)
    return archive.file(archive.states(HOME)[-1].files[path], 1 << 20)


def content(place: Path) -> dict[str, bytes]:
    """Give all parts of the archive."""
    if not place.is_dir():
        return {"": place.read_bytes()} if place.exists() else {}
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
