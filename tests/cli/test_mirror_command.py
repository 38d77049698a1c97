"""``trustreg mirror``: what it writes where, what it says of it, and what it does not do."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING

from tests.peers.images import image, index, write_layout

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Desk


def test_a_folder_gets_the_form_of_a_server(begun: Desk, tmp_path: Path) -> None:
    """
    The paths are those of a server; a second run finds nothing to do, and says so.
    """
    said = begun.do("mirror", "--to", f"dir:{tmp_path}/www", begun.gun)

    assert f"{begun.gun} is at {tmp_path}/www: 8 files written, good until " in said.out
    base = tmp_path / "www/v2" / begun.gun / "_trust/tuf"
    assert {"1.root.json", "root.json", "snapshot.json", "targets.json", "timestamp.json"} < {
        path.name for path in base.iterdir()
    }
    assert (tmp_path / "www/v2/index.html").read_text() == "{}\n"
    assert begun.do("mirror", "--to", f"dir:{tmp_path}/www", begun.gun).out.count("nothing new") == 1
    document = begun.json("mirrored", "mirror", "--to", f"dir:{tmp_path}/www", begun.gun)
    assert (document["collections"][0]["result"], document["collections"][0]["written"]) == ("unchanged", [])


def test_what_stands_there_already_is_left(begun: Desk, tmp_path: Path) -> None:
    """
    Whoever has answers of their own for clients keeps them.
    """
    own = tmp_path / "www/v2/index.html"
    own.parent.mkdir(parents=True)
    own.write_text('{"mine": true}')

    begun.do("mirror", "--to", f"dir:{tmp_path}/www", begun.gun)

    assert own.read_text() == '{"mine": true}'
    assert (own.parent / "absent.json").exists()


def test_one_that_fails_does_not_hide_the_others(begun: Desk, tmp_path: Path) -> None:
    """
    The rest is done; no comes before don't know.
    """
    never = f"{begun.registry.host}/team/never"

    said = begun.run("mirror", "--to", f"dir:{tmp_path}/www", never, begun.gun)

    assert said.code == 1
    assert "8 files written" in said.out
    assert f"{never} is not mirrored: " in said.err
    assert "has no trust data" in said.err
    rows = begun.run("mirror", "--format", "json", "--to", f"dir:{tmp_path}/www", never, begun.gun)
    assert (rows.code, rows.out.count('"failed"'), rows.out.count('"unchanged"')) == (1, 2, 1)


def test_a_first_use_is_announced(begun: Desk, tmp_path: Path) -> None:
    """
    A copy rests on a root as a verdict does.
    """
    said = begun.run("mirror", "--trust-dir", tmp_path / "new", "--to", f"dir:{tmp_path}/www", begun.gun)
    assert said.code == 0
    assert "was trusted on first use" in said.err
    refused = begun.run(
        "mirror", "--trust-dir", tmp_path / "newer", "--no-first-use", "--to", f"dir:{tmp_path}/w", begun.gun
    )
    assert refused.code == 1
    assert not (tmp_path / "w").exists()


def test_what_cannot_be_asked(begun: Desk, tmp_path: Path) -> None:
    """
    Places that are none, names that lead nowhere; nothing is written.
    """
    for words in (
        ["--to", f"{tmp_path}/www", begun.gun],
        ["--to", "oci:registry.example/trust", begun.gun],
        ["--to", "http://trust.example", begun.gun],
        ["--to", "https://trust.example", "--as", "new.example/app", begun.gun],
        ["--to", f"dir:{tmp_path}/www", "--as", "new.example/app", begun.gun, f"{begun.gun}/other"],
    ):
        assert begun.run("mirror", *words).code == 2
    assert not (tmp_path / "www").exists()


def test_images_are_pushed_where_the_copy_is(begun: Desk, tmp_path: Path) -> None:
    """
    By tag, with what they refer to; what nobody signed, and what the layout lacks, is named.
    """
    write_layout(index("another"), tmp_path / "layout")
    home = f"{begun.registry.host}/moved/{begun.path}"
    words = ("mirror", "--to", f"dir:{tmp_path}/www", "--as", home, "--images", tmp_path / "layout", begun.gun)

    said = begun.run(*words)

    assert said.code == 0
    assert said.err == (
        "  left out, as the layout has none of this digest: 1.0\n"
        f"  left out, as nobody signed it: {index('another').digest}\n"
    )
    write_layout(image("1.0"), tmp_path / "second")
    words = (*words[:-2], tmp_path / "second", begun.gun)
    assert "  pushed: 1.0\n" in begun.run(*words).out
    assert "  there already: 1.0\n" in begun.run(*words).out
    assert begun.json("mirrored", *words)["collections"][0]["images"]["present"] == ["1.0"]
    assert begun.run(*words[:-3], "--images", tmp_path, begun.gun).code == 3


def test_a_spoilt_layout_is_refused(begun: Desk, tmp_path: Path) -> None:
    """
    Before anything of it, or of the collection, is written.
    """
    made = image("1.0")
    write_layout(made, tmp_path / "layout")
    (tmp_path / "layout/blobs/sha256" / made.blobs[1].hex).write_bytes(b"other")
    home = f"{begun.registry.host}/spoilt/{begun.path}"

    said = begun.run("mirror", "--to", f"dir:{tmp_path}/www", "--as", home, "--images", tmp_path / "layout", begun.gun)

    assert said.code == 1
    assert "sha256" in said.err
    assert not (tmp_path / "www").exists()


def test_what_is_older_moves_no_tag_back(begun: Desk, tmp_path: Path) -> None:
    """
    An old archive with its old images changes nothing: neither what is signed nor what the registry has.
    """
    home = f"{begun.registry.host}/back/{begun.path}"
    begun.do("archive", "-o", tmp_path / "kept", begun.gun)
    write_layout(image("1.0"), tmp_path / "old")
    to = ("--to", f"dir:{tmp_path}/www", "--as", home)
    begun.run("mirror", *to, begun.gun)
    stamp = tmp_path / "www/v2" / home / "_trust/tuf/2.root.json"
    stamp.write_bytes(b"whatever is newer than the stick")

    said = begun.run("mirror", "--from", tmp_path / "kept", *to, "--images", tmp_path / "old", begun.gun)

    assert said.code == 1
    assert "is older than trusted" in said.err
    asking = HTTPConnection(begun.registry.host)
    asking.request("GET", f"/v2/back/{begun.path}/manifests/1.0")
    assert asking.getresponse().status == 404
    asking.close()


def test_a_store_gets_a_store(stall: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With the files that it signs; readers fetch them there.
    """
    (tmp_path / "manual").write_text("how to")
    stall.do("add", tmp_path / "manual")

    said = stall.do("mirror", "--to", f"dir:{tmp_path}/other", f"dir:{tmp_path}/store")

    assert "files written" in said.out
    monkeypatch.setenv("TRUSTREG_STORE", f"dir:{tmp_path}/other")
    stall.run("fetch", "manual", "-o", tmp_path / "fetched")
    assert "nothing new" in stall.run("mirror", "--to", f"dir:{tmp_path}/other", f"dir:{tmp_path}/other").out
    assert (tmp_path / "fetched").read_text() == "how to"
    assert stall.run("mirror", "--to", f"dir:{tmp_path}/x", "--as", "a.example/b", f"dir:{tmp_path}/other").code == 2
    assert stall.run("mirror", "--to", "https://web.example", f"dir:{tmp_path}/other").code == 2


def test_from_an_archive(begun: Desk, tmp_path: Path) -> None:
    """
    No server is asked; what the archive had when it was written is what the mirror gets, and no older state.
    """
    begun.do("archive", "-o", tmp_path / "kept", begun.gun)
    begun.do("mirror", "--to", f"dir:{tmp_path}/www", begun.gun)
    words = ("mirror", "--server", "https://gone.example", "--from", tmp_path / "kept")

    assert "nothing new" in begun.do(*words, "--to", f"dir:{tmp_path}/www", begun.gun).out
    assert "8 files written" in begun.do(*words, "--to", f"dir:{tmp_path}/other", begun.gun).out
    assert begun.run(*words, "--to", f"dir:{tmp_path}/other", f"{begun.gun}/none").code != 0


def test_a_store_from_an_archive(stall: Desk, tmp_path: Path) -> None:
    """
    Its metadata; files lie elsewhere.
    """
    stall.run("archive", "-o", tmp_path / "kept")

    said = stall.do("mirror", "--from", tmp_path / "kept", "--to", f"dir:{tmp_path}/other", f"dir:{tmp_path}/store")

    assert "files written" in said.out
    assert (tmp_path / "other/metadata/timestamp.json").exists()
