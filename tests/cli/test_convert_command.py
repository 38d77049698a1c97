"""``trustreg convert`` and ``check-conversion``, as people type them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.images import index
from tests.peers.gpg import gpg_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Desk
    from tests.peers.gpg import Gpg


@pytest.fixture
def moved(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose collection has two tags, in a folder where a store may begin."""
    monkeypatch.chdir(tmp_path)
    desk.begin("1.0", "2.0")
    return desk


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gpg_home() as home:
        yield home


def test_nothing_is_changed_unless_it_is_asked_for(moved: Desk, tmp_path: Path) -> None:
    """
    The plan has every tag, and says how to go on; no key is made and no file written.
    """
    before = sorted(path.name for path in tmp_path.iterdir())
    keys = moved.holdings()
    said = moved.do("convert", "--to", "dir:new", moved.gun)

    assert [line.split()[0] for line in said.lines[4:6]] == [f"{moved.gun}:1.0", f"{moved.gun}:2.0"]
    assert "2 to convert, 0 there already, 0 refused" in said.out
    assert said.lines[-1] == "Nothing was changed. Run it again with --execute to do this."
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert {name for name in moved.holdings() if name.startswith("private")} == {
        name for name in keys if name.startswith("private")
    }


def test_it_is_done_once(moved: Desk, tmp_path: Path) -> None:
    """
    The second time nothing is left to do, and the statement stays as it is.
    """
    words = ("convert", "--to", "dir:new", "--execute", moved.gun)
    first = moved.json("convert", *words)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "trust" not in path.parts}
    second = moved.json("convert", *words)

    assert [tag["state"] for tag in first["tags"]] == ["converted", "converted"]
    assert [tag["state"] for tag in second["tags"]] == ["there", "there"]
    assert first["statement"] == second["statement"]
    assert files == {path: path.read_bytes() for path in files}
    assert "2 tags" not in moved.do("list", "--store", "dir:new").out
    assert [line.split()[0] for line in moved.do("list", "--store", "dir:new").lines[1:]] == [
        f"{moved.gun}:1.0",
        f"{moved.gun}:2.0",
    ]


def test_the_new_collection_has_keys_of_its_own(moved: Desk) -> None:
    """
    Though a root key is here, as it is for whoever converts; unless that is named.
    """
    (mine,) = (line.split()[2] for line in moved.do("key", "list").lines if line.startswith("root "))
    moved.do("convert", "--to", "dir:new", "--execute", moved.gun)
    old, new = (
        {key for role in moved.json("contents", *words)["roles"] for key in role["keyids"]}
        for words in (("inspect", moved.gun), ("inspect", "--store", "dir:new"))
    )
    roots = [line for line in moved.do("key", "list").lines if line.startswith("root ")]
    moved.do("convert", "--to", "dir:third", "--use", mine, "--execute", "--statement", "t.json", moved.gun)

    assert old.isdisjoint(new)
    assert len(roots) == 2
    assert len([line for line in moved.do("key", "list").lines if line.startswith("root ")]) == 2


def test_a_statement_is_checked(moved: Desk, tmp_path: Path) -> None:
    """
    By whoever knows one of the roots; what differs is said.
    """
    moved.do("convert", "--to", "dir:new", "--execute", "--statement", "s.json", moved.gun)
    document = moved.json("checked", "check-conversion", "--to", "dir:new", "s.json")
    stranger = moved.run("check-conversion", "--trust-dir", "nobody", "--to", "dir:new", "s.json")
    pinned = moved.run("check-conversion", "--trust-dir", "other", "--pin", "0" * 64, "--to", "dir:new", "s.json")
    moved.do("remove", "--store", "dir:new", f"{moved.gun}:2.0")
    changed = moved.run("check-conversion", "--to", "dir:new", "s.json")

    assert (document["source"]["known"], document["destination"]["known"]) == ("remembered", "remembered")
    assert document["statement"]["signedBy"]["source"]
    assert (stranger.code, pinned.code, changed.code) == (0, 1, 1)
    assert "whose root was believed because it came first" in stranger.out
    assert f"{moved.gun}:2.0 is sha256:" in changed.err
    assert json.loads((tmp_path / "s.json").read_text())["payloadType"].startswith("application/vnd.trustreg")


def test_without_old_keys_the_statement_says_so(moved: Desk) -> None:
    """
    And it does not pass for one that links.
    """
    said = moved.do("convert", "--to", "dir:new", "--execute", "--no-old-keys", "--statement", "s.json", moved.gun)
    checked = moved.run("check-conversion", "--to", "dir:new", "s.json")

    assert "signed by no key of the old collection" in said.lines[-1]
    assert (checked.code, "no key of it signed" in checked.err) == (1, True)


def test_somebody_elses_file_is_not_replaced(moved: Desk, tmp_path: Path) -> None:
    """
    Nothing is done before that is known.
    """
    (tmp_path / "s.json").write_text("{}")
    said = moved.run("convert", "--to", "dir:new", "--execute", "--statement", "s.json", moved.gun)

    assert said.code == 2
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "s.json").read_text() == "{}"


def test_a_statement_about_another_place_is_not_replaced(moved: Desk, tmp_path: Path) -> None:
    """
    By one that is called like it.
    """
    moved.do("convert", "--to", "dir:new", "--execute", "--statement", "s.json", moved.gun)
    before = (tmp_path / "s.json").read_bytes()
    said = moved.run("convert", "--to", "dir:third", "--execute", "--statement", "s.json", moved.gun)

    assert (said.code, f"dir:{tmp_path}/new" in said.err) == (2, True)
    assert (tmp_path / "s.json").read_bytes() == before


def test_what_the_new_place_says_stays(moved: Desk) -> None:
    """
    Unless the old collection is to have the last word.
    """
    moved.do("convert", "--to", "dir:new", "--execute", moved.gun)
    moved.push("1.0", index("another"))
    moved.do("sign", "--store", "dir:new", f"{moved.gun}:1.0")
    said = moved.run("convert", "--to", "dir:new", "--check-registry", moved.gun)
    replaced = moved.do("convert", "--to", "dir:new", "--replace", "--execute", moved.gun)

    assert said.code == 1
    assert "the destination signs sha256:" in said.out
    assert "1 converted, 1 there already, 0 refused" in replaced.out
    assert moved.run("verify", "--store", "dir:new", f"{moved.gun}:1.0").code == 1


def test_a_collection_of_somebody_else_is_left_alone(
    moved: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its keys are not here.
    """
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(tmp_path / "other"))
    moved.do("init", "--store", "dir:new")
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(moved.trust_dir))
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*.json")}
    said = moved.run("convert", "--to", "dir:new", "--execute", moved.gun)

    assert (said.code, "no private key" in said.err) == (2, True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "new").rglob("*.json")}
    assert not list(tmp_path.glob("*.conversion.json"))


def test_one_root_key_is_made_however_often_it_broke_off(
    moved: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Between the key and the collection, too.
    """
    with monkeypatch.context() as broken:
        broken.setattr("trustreg.publisher.Publisher.init", _broken)
        for _ in range(3):
            assert moved.run("convert", "--to", "dir:new", "--execute", moved.gun).code == 3
    moved.do("convert", "--to", "dir:new", "--execute", moved.gun)

    assert len([line for line in moved.do("key", "list").lines if line.startswith("root ")]) == 2


def _broken(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_moved_tag_is_noted(moved: Desk) -> None:
    """
    And converted as it was signed.
    """
    moved.push("1.0", index("another"))
    document = moved.json("convert", "convert", "--to", "dir:new", "--check-registry", moved.gun)

    assert [bool(tag["note"]) for tag in document["tags"]] == [True, False]
    assert "converted as it was signed" in document["tags"][0]["note"]


def test_staged_changes_do_not_come_along(moved: Desk) -> None:
    """
    They were meant for another publication.
    """
    moved.do("convert", "--to", "dir:new", "--execute", moved.gun)
    moved.push("3.0")
    moved.do("sign", "--store", "dir:new", "--no-publish", f"{moved.gun}:3.0")
    moved.do("sign", f"{moved.gun}:3.0")
    said = moved.run("convert", "--to", "dir:new", "--execute", moved.gun)

    assert (said.code, "are staged there" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("nowhere", 2),
        ("lookaside:", 2),
        ("lookaside:x", 2),
        ("ftp://server.example", 2),
        ("http://server.example", 2),
        ("http://127.0.0.1:9", 3),
    ],
)
def test_a_place_that_cannot_be_used(moved: Desk, to: str, code: int) -> None:
    """
    Is a usage error; one that does not answer is not.
    """
    said = moved.run("convert", "--to", to, "--execute", moved.gun)

    assert (said.code, said.out) == (code, "")


def test_to_gpg(moved: Desk, gpg: Gpg, tmp_path: Path) -> None:
    """
    The passphrase is that of all keys, and platforms of an index are signed along.
    """
    key = gpg.generate("team", passphrase="a passphrase that nobody may see")
    gpg.forget_passphrases()
    moved.push("1.0", index("another"))
    moved.do("sign", f"{moved.gun}:1.0")
    words = ("--to", f"lookaside:{tmp_path}/signatures", "--gpg-key", key)
    home = ("--gpg-home", str(gpg.home))
    narrow = moved.json("convert", "convert", *words, *home, "--index-only", moved.gun)
    wide = moved.json("convert", "convert", *words, *home, "--execute", "--statement", "g.json", moved.gun)
    checked = moved.json("checked", "check-conversion", *words, "g.json")
    wrong = moved.run("check-conversion", "--to", f"lookaside:{tmp_path}/signatures", "g.json")

    assert [len(tag["manifests"]) for tag in narrow["tags"]] == [0, 0]
    assert [len(tag["manifests"]) for tag in wide["tags"]] == [2, 0]
    assert len(list((tmp_path / "signatures").rglob("signature-*"))) == 4
    assert checked["destination"]["keyids"] == [key]
    assert (wrong.code, key in wrong.err) == (2, True)


def test_an_archive_is_a_source(moved: Desk, tmp_path: Path) -> None:
    """
    Of a server that is gone, as of a time at which it was valid.
    """
    moved.do("archive", "-o", "backup", moved.gun)
    said = moved.run("convert", "--from", "backup", "--to", "dir:new", "--execute", "--statement", "s.json", moved.gun)
    checked = moved.run("check-conversion", "--from", "backup", "--to", "dir:new", "s.json")

    assert (said.code, checked.code) == (0, 0), (said, checked)
    assert "2 converted" in said.out
