"""``trustreg archive``, and reading archives: what goes where, what is said of it, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.cli.conftest import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

NOBODY = "http://127.0.0.1:1"  # a trust server that is not there


@pytest.fixture(params=["backup", "backup.zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where an archive is to be, in either form."""
    form: str = request.param
    return tmp_path / form


@pytest.fixture
def kept(begun: Desk, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of the collection, of which nothing is remembered but for that, after its server went away."""
    begun.do("archive", "-o", place, begun.gun)
    monkeypatch.setenv("TRUSTREG_SERVER", NOBODY)
    return place


def today(place: Path, gun: str) -> str:
    """Give the time of the last copy, as the archive says."""
    from trustreg.io.archive import Archive

    return Archive(place).states(trustreg.Gun(gun))[-1].taken.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_line_says_what_was_copied(begun: Desk, place: Path) -> None:
    """What is there, what is new in it, and until when it is good; the second time there is nothing new."""
    first = begun.do("archive", "-o", place, begun.gun)
    again = begun.do("archive", "-o", place)

    taken = today(place, begun.gun)
    assert first.out.startswith(f"{begun.gun}  4 files, 4 of them new, root v1, taken at {taken}, good until 20")
    assert again.out == first.out.replace("4 files, 4 of them new", "4 files, as before")


def test_several_collections_and_what_became_of_each(begun: Desk, place: Path) -> None:
    """What goes wrong with one keeps no other from being copied, and the exit code is that of the worst."""
    none = f"{begun.gun}-none"

    said = begun.run("archive", "-o", place, none, begun.gun)

    assert (said.code, len(said.lines)) == (1, 1)
    assert said.talk == [f"trustreg: {none} is not copied: {begun.server.url} has no trust data for {none}"]
    unknown = begun.run("archive", "-o", place, "--server", NOBODY, begun.gun)
    assert (unknown.code, unknown.out) == (3, "")
    assert "cannot be reached" in unknown.err


def test_json_of_an_archive(begun: Desk, place: Path) -> None:
    """Fits its schema, as every manifest does, whether or not it was copied."""
    done = begun.json("archived", "archive", "-o", place, begun.gun)
    failed = begun.run("archive", "-o", place, f"{begun.gun}-none", "--format", "json")

    (one,) = done["collections"]
    assert (one["gun"], one["new"], one["states"], one["firstUse"]) == (begun.gun, True, 1, False)
    schema = json.loads((SCHEMAS / "archived.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(failed.out))
    if place.is_dir():
        (manifest,) = (place / "collections").glob("*.json")
        document = json.loads(manifest.read_bytes())
        Draft202012Validator(json.loads((SCHEMAS / "manifest.schema.json").read_text())).validate(document)
        assert document["states"][0]["timestamp"] == one["timestamp"]


def test_first_use_is_said_once(begun: Desk, tmp_path: Path) -> None:
    """A root that is believed because it came first is said to be so, unless the archive knew it."""
    first = begun.run("archive", "-o", tmp_path / "a", "--trust-dir", tmp_path / "new", begun.gun)
    again = begun.run("archive", "-o", tmp_path / "a", "--trust-dir", tmp_path / "newer", begun.gun)

    assert "its root was trusted on first use" in first.err
    assert (again.code, again.err) == (0, "")


def test_it_is_verified_without_a_server(begun: Desk, kept: Path) -> None:
    """The answer is the same, and says that it is from a copy, and of when."""
    image, taken = f"{begun.gun}:1.0", today(kept, begun.gun)

    said = begun.run("verify", "--from", kept, image)
    unsigned = begun.run("verify", "--from", kept, f"{begun.gun}:2.0")

    assert (said.code, said.talk) == (0, [f"trustreg: no trust server is asked: {kept} is judged as of now"])
    assert said.out.startswith(f"{begun.gun}@sha256:")
    assert said.out.endswith(f", in a copy taken at {taken}\n")
    assert (unsigned.code, unsigned.talk[1]) == (
        1,
        f"trustreg: refused: {begun.gun}:2.0 is not signed in targets/releases or targets",
    )
    assert begun.run("verify", image).code == 3


def test_a_chosen_time_is_said(begun: Desk, kept: Path) -> None:
    """In words and in JSON, with what was judged by; what has expired by then names a time that does."""
    image, taken = f"{begun.gun}:1.0", today(kept, begun.gun)
    source = ("--from", kept, "--no-registry", image)

    said = begun.run("verify", "--at", taken, *source)
    spelled = begun.run("verify", "--at", taken, *source, "--format", "json")
    plain = begun.run("verify", *source, "--format", "json")
    late = begun.run("verify", "--at", f"{datetime.now(UTC) + timedelta(days=100):%Y-%m-%d}", *source)
    early = begun.run("verify", "--at", "2020-01-01", *source)

    assert said.talk[0] == f"trustreg: no trust server is asked: {kept} is judged as of {taken}, a time that was chosen"
    document = json.loads(spelled.out)
    Draft202012Validator(json.loads((SCHEMAS / "verify.schema.json").read_text())).validate(document)
    assert (document["archive"], document["at"], document["verdicts"][0]["taken"]) == (str(kept), taken, taken)
    assert json.loads(plain.out)["at"] is None
    assert (late.code, late.talk[2]) == (1, f"  remedy: say as of when it is to be judged: --at {taken}")
    assert (early.code, early.talk[1].endswith(f"it begins at {taken}")) == (3, True)


def test_with_a_chosen_time_nothing_is_remembered(begun: Desk, kept: Path, tmp_path: Path) -> None:
    """The trust directory is as it was; without one, first use is said, unless the root is pinned."""
    image, taken = f"{begun.gun}:1.0", today(kept, begun.gun)
    before, new = begun.holdings(), tmp_path / "new"
    source = ("--from", kept, "--at", taken, "--no-registry", image)

    said = begun.run("verify", *source, "--trust-dir", new)
    begun.run("verify", *source)

    assert said.code == 0
    assert "its root was trusted on first use" in said.err
    assert (before, new.exists()) == (begun.holdings(), False)
    pin = said.err.partition("--pin ")[2].split()[0]
    assert "first use" not in begun.run("verify", *source, "--pin", pin).err
    assert begun.run("verify", *source, "--pin", "f" * 64).code == 1
    assert begun.run("verify", *source, "--no-first-use").code == 1


def test_an_archive_older_than_what_is_known_is_refused(desk: Desk, place: Path) -> None:
    """As of now, what was seen before counts; as of then, it does not."""
    desk.begin("1.0")
    desk.do("archive", "-o", place, desk.gun)
    desk.push("2.0")
    desk.do("sign", f"{desk.gun}:2.0")
    source = ("--from", place, "--no-registry", f"{desk.gun}:1.0")

    now = desk.run("verify", *source)
    then = desk.run("verify", "--at", today(place, desk.gun), *source)

    assert (now.code, "is older than trusted" in now.err) == (1, True)
    assert then.code == 0


def test_reading_an_archive_is_not_asking_the_server(begun: Desk, kept: Path, tmp_path: Path) -> None:
    """What was read is remembered, but does not stand in for a server that cannot be reached."""
    new = ("--no-registry", "--trust-dir", tmp_path / "new", f"{begun.gun}:1.0")
    first = begun.run("verify", "--from", kept, *new)

    again = begun.run("verify", "--from", kept, *new)
    offline = begun.run("verify", "--offline-grace", "7d", *new)

    assert ("its root was trusted on first use" in first.err, again.code) == (True, 0)
    assert "first use" not in again.err
    assert (offline.code, "cannot be reached" in offline.err) == (3, True)


def test_list_and_inspect_read_archives(begun: Desk, kept: Path) -> None:
    """They say the same as of the server, and name the archive; the only collection need not be named."""
    listed, by_name = begun.run("list", "--from", kept), begun.run("list", "--from", kept, begun.gun)
    shown = begun.run("inspect", "--from", kept, f"{begun.gun}:1.0")
    spelled = json.loads(begun.run("list", "--from", kept, "--format", "json").out)

    assert listed == by_name
    assert listed.lines[1].split()[0] == "1.0"
    assert f"archive     {kept}" in shown.lines
    assert f"copied at   {today(kept, begun.gun)}" in shown.lines
    assert (spelled["server"], spelled["taken"]) == (str(kept), today(kept, begun.gun))


def test_what_cannot_be_asked(begun: Desk, tmp_path: Path) -> None:
    """A time without an archive, an archive that is none, and one that is called like none."""
    without = begun.run("verify", "--at", "2026-01-01", f"{begun.gun}:1.0")
    missing = begun.run("verify", "--from", tmp_path / "none", f"{begun.gun}:1.0")
    tar = begun.run("archive", "-o", tmp_path / "a.tar", begun.gun)
    nothing = begun.run("archive", "-o", tmp_path / "empty")

    assert (without.code, "--at is for archives" in without.err) == (2, True)
    assert (missing.code, "there is no such archive" in missing.err) == (3, True)
    assert (tar.code, tar.err) == (
        2,
        f"trustreg: {tmp_path}/a.tar: an archive is a folder, or one file that is called .zip\n",
    )
    assert (nothing.code, "say which collection" in nothing.err) == (2, True)
    assert not (tmp_path / "a.tar").exists()


def test_a_damaged_archive_is_refused(begun: Desk, kept: Path, tmp_path: Path) -> None:
    """That is a no, and says what to do."""
    if kept.is_dir():
        for file in (kept / "files").iterdir():
            file.write_bytes(file.read_bytes()[:-1])
    else:
        os.truncate(kept, kept.stat().st_size - 1)

    said = begun.run("verify", "--from", kept, f"{begun.gun}:1.0")

    assert (said.code, "is damaged" in said.err) == (1, True)
    assert "remedy: use another copy of this archive" in said.err


def test_a_collection_in_a_store(stall: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is named as ever, when it is copied and when the copy is read; target files stay where they are."""
    (tmp_path / "manual").write_text("read me")
    stall.do("add", tmp_path / "manual")

    stall.do("archive", "-o", "tools.zip")
    (tmp_path / "manual").write_text("read me again")
    stall.do("add", tmp_path / "manual")
    done = stall.json("archived", "archive", "-o", "tools.zip")["collections"][0]
    shutil.rmtree(tmp_path / "store")

    assert (done["gun"], done["states"], done["added"]) == (f"dir:{tmp_path}/store", 2, 3)
    assert stall.run("list").code == 1
    listed = stall.run("list", "--from", "tools.zip")
    monkeypatch.delenv("TRUSTREG_STORE")
    assert listed == stall.run("list", "--from", "tools.zip", f"dir:{tmp_path}/store")
    assert listed.lines[1].split()[0] == "manual"
    said = stall.run("verify", "--from", "tools.zip", "registry.example/app:1.0")
    assert (said.code, f"it has dir:{tmp_path}/store" in said.err) == (3, True)


def test_what_has_expired_is_copied_only_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can do all that, too: as of today, a collection that expired long ago is refused, then kept."""
    clock = [datetime(2026, 5, 1, 12, tzinfo=UTC)]
    settings = {"store": f"dir:{tmp_path}/store", "env": {"HOME": str(tmp_path), "TRUSTREG_PASSPHRASE": "correct"}}
    publisher = trustreg.Publisher(trust_dir=tmp_path / "keys", clock=lambda: clock[0], **settings)  # type: ignore[arg-type]
    publisher.init()
    verifier = trustreg.Verifier(trust_dir=tmp_path / "reader", clock=lambda: clock[0], **settings)  # type: ignore[arg-type]
    clock[0] += timedelta(days=1000)

    with pytest.raises(trustreg.UntrustedError, match="expired"):
        verifier.archive(tmp_path / "backup")
    done = verifier.archive(tmp_path / "backup", dangerous_skip_expiry=True)

    assert (done.new, done.state.expires < done.state.taken) == (True, True)
    assert verifier.archive(tmp_path / "backup", dangerous_skip_expiry=True).new is False
    copied = {"archive": tmp_path / "backup", "trust_dir": tmp_path / "other", **settings}
    then = trustreg.Verifier(at=clock[0], **copied)  # type: ignore[arg-type]
    with pytest.raises(trustreg.UntrustedError, match="this copy of it was taken at"):
        then.contents()
    with pytest.raises(trustreg.InputError):
        trustreg.Verifier(at=clock[0])
