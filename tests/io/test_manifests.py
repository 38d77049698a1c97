"""Manifests on the disk: what is read of a folder, how far, and how they are written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError
from trustreg.io import manifests
from trustreg.io.manifests import gather, write

if TYPE_CHECKING:
    from collections.abc import Callable

POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'app:1'}]}\n"


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write files, and be where they are."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str, text: str = POD) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def test_a_folder_is_read_in_order(put: Callable[..., Path]) -> None:
    """
    What is hidden or is called otherwise is not, and nothing twice.
    """
    put("k8s/b.yaml", "k8s/a/c.yml", "k8s/a.json", "k8s/.hidden.yaml", "k8s/.git/d.yaml", "k8s/e.txt", "k8s/f.yaml.bak")
    put("k8s/g.yaml/h.yaml")

    assert ["k8s/a/c.yml", "k8s/a.json", "k8s/b.yaml", "k8s/g.yaml/h.yaml"] == [
        file.name for file in gather(["k8s"], ())
    ]
    assert 4 == len(list(gather(["k8s", "k8s/b.yaml", "./k8s"], ())))
    assert ["app:1"] == [place.text for file in gather(["k8s/b.yaml"], ()) for place in file.places]


def test_links_lead_nowhere_else(put: Callable[..., Path]) -> None:
    """
    A link within the folder is followed, as mounted configuration has them; one out of it is not, and no folder.
    """
    put("k8s/..data/a.yaml", "other/b.yaml", "k8s/real/c.yaml")
    Path("k8s/a.yaml").symlink_to("..data/a.yaml")
    Path("k8s/b.yaml").symlink_to("../other/b.yaml")
    Path("k8s/other").symlink_to("../other")
    Path("k8s/round").symlink_to(".")
    Path("k8s/gone.yaml").symlink_to("nowhere")
    Path("k8s/circle.yaml").symlink_to("circle.yaml")

    assert ["k8s/a.yaml", "k8s/real/c.yaml"] == [file.name for file in gather(["k8s"], ())]
    assert ["k8s/b.yaml"] == [file.name for file in gather(["k8s/b.yaml"], ())]  # which was asked for


def test_what_cannot_be_read_is_a_problem(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    And what can is read nevertheless.
    """
    put("good.yaml", "long.yaml")
    put("bad.yaml", text="a: b: c")
    put("values.yaml", text="image: x")
    put("deep/1/2/3/4.yaml")
    os.mkfifo("pipe.yaml")
    monkeypatch.setattr(manifests, "_DEEPEST", 2)

    names = ["bad.yaml", "none.yaml", "values.yaml", "deep", "pipe\0", "good.yaml", "."]
    files = list(gather(names, ()))

    said = [(problem.file, problem.line, problem.error.code) for file in files for problem in file.problems]
    assert [
        ("bad.yaml", 1, "manifest"),
        ("none.yaml", 1, "file"),
        ("values.yaml", 1, "manifest"),
        ("deep", 1, "file"),
        ("pipe\0", 1, "file"),
        (".", 1, "file"),
    ] == said
    assert ["good.yaml"] == [file.name for file in files if file.places]


@pytest.mark.parametrize(
    ("bound", "value", "problem"),
    [
        ("_LONGEST", 50, "it is longer than the 50 bytes that it may have"),
        ("_MOST_TOGETHER", 100, "with what was read before, it is longer than the 100 bytes that are read"),
        ("_MOST", 2, "more than 2 files and folders are in it"),
    ],
)
def test_there_are_bounds(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, bound: str, value: int, problem: str
) -> None:
    """
    On one file, on all of them, and on their number.
    """
    put("k8s/a.yaml", "k8s/b.yaml")
    monkeypatch.setattr(manifests, bound, value)

    problems = [one for file in gather(["k8s"], ()) for one in file.problems]

    assert problem == getattr(problems[-1].error, "problem", "")


@pytest.mark.parametrize(
    ("name", "text", "images"),
    [
        ("-", "a:1\n# b\nc\n", ["a:1", "c"]),
        ("-", POD, ["app:1"]),
        ("-", '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "x"}]}}', ["x"]),
        ("images.txt", "a:1\n", ["a:1"]),
        ("manifest", POD, ["app:1"]),
    ],
)
def test_standard_input_and_lists(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, text: str, images: list[str]
) -> None:
    """
    What is not called a manifest may be a list.
    """
    put("images.txt", "manifest", text=text)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    (file,) = gather([name], ())

    assert images == [place.text for place in file.places]


def test_a_list_that_is_no_text_is_unknown(put: Callable[..., Path]) -> None:
    """
    And is never written.
    """
    folder = put()
    (folder / "list").write_bytes(b"a\xff:1\n")

    (file,) = gather(["list"], ())

    assert ["a\ufffd:1"] == [place.text for place in file.places]
    with pytest.raises(FileError, match="changed by somebody else"):
        write({folder / "list": (file.text, "b")})
    assert b"a\xff:1\n" == (folder / "list").read_bytes()


def test_files_are_written_all_or_none(put: Callable[..., Path]) -> None:
    """
    With their modes; through links; and none where one has changed meanwhile.
    """
    folder = put("a.yaml", "b.yaml", "c.yaml")
    (folder / "b.yaml").chmod(0o600)
    Path("link.yaml").symlink_to("a.yaml")

    write({folder / "link.yaml": (POD, "a"), folder / "b.yaml": (POD, "b")})

    assert ["a", "b"] == [(folder / name).read_text() for name in ("a.yaml", "b.yaml")]
    assert (folder / "link.yaml").is_symlink()
    assert 0o600 == (folder / "b.yaml").stat().st_mode & 0o777
    with pytest.raises(FileError, match="changed by somebody else"):
        write({folder / "c.yaml": (POD, "c"), folder / "b.yaml": (POD, "x")})
    with pytest.raises(FileError):
        write({folder / "gone.yaml": (POD, "c")})
    assert POD == (folder / "c.yaml").read_text()
