"""``trustreg add`` and ``fetch``: any file is signed, stored, and comes back as what was signed or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder ``dist`` with two files, one deeper down, and a file beside it; the current one is where it lies."""
    (tmp_path / "dist/lib").mkdir(parents=True)
    (tmp_path / "dist/tool").write_bytes(b"a tool")
    (tmp_path / "dist/lib/part").write_bytes(b"a part")
    (tmp_path / "manual.pdf").write_bytes(b"a manual")
    return tmp_path


def stored(files: Path, name: str, content: bytes) -> Path:
    """Give the path at which the store has the file *name* with *content*."""
    folder, slash, base = name.rpartition("/")
    return files / "store/targets" / f"{folder}{slash}{hashlib.sha256(content).hexdigest()}.{base}"


def test_added_and_fetched(stall: Desk, files: Path) -> None:
    """
    A file by its last name, a folder by what is in it, a prefix before all of them; and back, by the last name.
    """
    said = stall.do("add", "manual.pdf", "dist", "--name", "v1/")

    digest = hashlib.sha256(b"a manual").hexdigest()
    assert said.lines[0] == f"v1/manual.pdf is sha256:{digest}, says targets"
    assert said.lines[-1] == f"dir:{files}/store: published snapshot v2, targets v2, timestamp v2"
    assert stored(files, "v1/dist/lib/part", b"a part").read_bytes() == b"a part"
    names = [tag["tag"] for tag in stall.json("contents", "list")["tags"]]
    assert names == ["v1/dist/lib/part", "v1/dist/tool", "v1/manual.pdf"]
    fetched = stall.do("fetch", "v1/dist/tool", "v1/manual.pdf", "-d", "got")
    assert [line.split(" signed by ")[0] for line in fetched.lines] == [
        "got/tool  v1/dist/tool",
        "got/manual.pdf  v1/manual.pdf",
    ]
    assert (files / "got/tool").read_bytes() == b"a tool"


def test_one_file_under_another_name(stall: Desk, files: Path) -> None:
    """
    With something said of it besides; programs learn both, and whether it had to be fetched.
    """
    document = stall.json("published", "add", "dist/tool", "--name", "latest", "--custom", '{"arch": ["arm64"]}')
    assert document["published"][0]["changes"][0]["tag"] == "latest"

    for fetched in (True, False):
        (found,) = stall.json("fetched", "fetch", "latest", "-o", files / "bin")["files"]
        assert (found["path"], found["fetched"], found["custom"]) == (f"{files}/bin", fetched, {"arch": ["arm64"]})
    (files / "bin").write_text("something else")
    assert stall.json("fetched", "fetch", "latest", "-o", files / "bin")["files"][0]["fetched"]
    assert (files / "bin").read_bytes() == b"a tool"


def test_staged_first(stall: Desk, files: Path) -> None:
    """
    The content is stored at once, and nobody hears of it before it is published.
    """
    staged = stall.json("published", "add", "--no-publish", "manual.pdf")["staged"]

    assert [change["tag"] for change in staged] == ["manual.pdf"]
    assert stored(files, "manual.pdf", b"a manual").exists()
    assert stall.run("fetch", "manual.pdf").code == 1
    stall.do("publish")
    stall.do("fetch", "manual.pdf", "-o", "got")


def test_a_download_goes_on(stall: Desk, files: Path) -> None:
    """
    What came of an earlier one is kept, and what is wrong with it shows.
    """
    (files / "large").write_bytes(bytes(3 << 20))
    stall.do("add", "large")
    digest = hashlib.sha256(bytes(3 << 20)).hexdigest()
    for beginning in (bytes(1 << 20), b"rubbish"):
        part = files / "got" / f".{digest[:32]}.part"
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(beginning)
        stall.do("fetch", "large", "-d", "got")
        assert (files / "got/large").read_bytes() == bytes(3 << 20)
        assert [path.name for path in (files / "got").iterdir()] == ["large"]
        (files / "got/large").unlink()


def test_what_was_not_signed_does_not_arrive(stall: Desk, files: Path) -> None:
    """
    Neither under its name nor beside it; a file that was there stays.
    """
    stall.do("add", "manual.pdf")
    stored(files, "manual.pdf", b"a manual").write_bytes(b"a manuel")
    (files / "got").write_text("mine")

    said = stall.run("fetch", "manual.pdf", "-o", "got")

    assert (said.code, said.out) == (1, "")
    assert "is not what was signed" in said.err
    assert (files / "got").read_text() == "mine"
    assert not list(files.glob(".*.part"))
    stored(files, "manual.pdf", b"a manual").unlink()
    assert "the repository has no" in stall.run("fetch", "manual.pdf", "-o", "got").err


def test_removed(stall: Desk, files: Path) -> None:
    """
    By name, out of every role that says it; the content stays, for those who have older metadata.
    """
    stall.do("add", "manual.pdf", "dist")
    stall.run("role", "delegate", "other", "--path", "manual.pdf")
    stall.do("add", "manual.pdf", "--role", "targets")

    said = stall.do("remove", "--name", "manual.pdf", "--name", "dist/tool")

    assert said.lines[:2] == [f"{name} is no longer signed by targets" for name in ("manual.pdf", "dist/tool")]
    refused = stall.run("fetch", "manual.pdf")
    assert (refused.code, refused.err) == (1, f"trustreg: dir:{files}/store:manual.pdf is not signed in targets\n")
    again = stall.run("remove", "--name", "manual.pdf")
    assert again.code == 1
    assert "is not signed in targets or other" in again.err
    assert stall.run("remove").code == 2


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["add", "nothing"], 3, "there is no such file"),
        (["add", "empty"], 2, "there are no files"),
        (["add", "manual.pdf", "dist/manual.pdf"], 2, "is to be called manual.pdf already"),
        (["add", "manual.pdf", "--name", "../x"], 2, "may not be empty, '.' or '..'"),
        (["add", "manual.pdf", "--custom", "{"], 2, "this is not JSON"),
        (["add", "manual.pdf", "--role", "nobody"], 2, "nobody"),
        (["fetch", "a", "b", "-o", "x"], 2, "--output is for one file"),
        (["fetch", "a/manual.pdf", "b/manual.pdf"], 2, "would both be manual.pdf: fetch them apart"),
    ],
)
def test_what_cannot_be_done(stall: Desk, files: Path, words: list[str], code: int, problem: str) -> None:
    """
    It is said, and nothing is done by halves.
    """
    (files / "empty").mkdir()
    (files / "dist/manual.pdf").write_bytes(b"another")
    if words[0] == "fetch":
        stall.do("add", "manual.pdf", "--name", "a/")
        stall.do("add", "manual.pdf", "--name", "b/")
    before = stall.do("list").out

    said = stall.run(*words)

    assert (said.code, said.out) == (code, "")
    assert problem in said.err
    assert stall.do("list").out == before
