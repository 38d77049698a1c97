"""``trustreg sign``, ``publish`` and ``remove``: what is said is what was done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.images import image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk


@pytest.fixture
def mine(desk: Desk) -> Desk:
    """A collection of one's own with nothing in it, and three images in the registry."""
    desk.begin()
    for tag in ("1.0", "1.1", "2.0"):
        desk.push(tag)
    return desk


def tags(desk: Desk) -> dict[str, str]:
    """Give the digest of each signed tag."""
    listed = json.loads(desk.do("list", desk.gun, "--format", "json").out)["tags"]
    return {tag["tag"]: tag["digest"] for tag in listed}


def test_several_tags_in_one_publish(mine: Desk) -> None:
    """
    A line for each tag with the digest that was signed, one for the new versions, and one upload.
    """
    said = mine.do("sign", f"{mine.gun}:1.0", f"{mine.gun}:2.0")

    assert said.lines == [
        f"{mine.gun}:1.0 is {image('1.0').digest}, says targets",
        f"{mine.gun}:2.0 is {image('2.0').digest}, says targets",
        f"{mine.gun}: published targets v2",
    ]
    assert tags(mine) == {tag: image(tag).digest for tag in ("1.0", "2.0")}
    again = mine.run("sign", "-v", f"{mine.gun}:1.0")
    assert again.lines[-1] == f"{mine.gun}: nothing to publish"
    assert "POST" not in again.err


def test_a_tag_is_signed_again_after_it_moved(mine: Desk) -> None:
    """
    What the registry holds now is what is signed now.
    """
    mine.do("sign", f"{mine.gun}:1.0")
    moved = mine.push("1.0", image("moved"))
    assert mine.run("verify", f"{mine.gun}:1.0").code == 1

    mine.do("sign", f"{mine.gun}:1.0")

    assert tags(mine) == {"1.0": moved.digest}
    mine.do("verify", f"{mine.gun}:1.0")


def test_all_or_nothing(mine: Desk) -> None:
    """
    If one of several images is not there, none is signed, and none waits to be.
    """
    for command in (("sign",), ("sign", "--no-publish")):
        said = mine.run(*command, f"{mine.gun}:1.0", f"{mine.gun}:none")
        assert (said.code, said.out) == (1, "")
        assert said.err == f"trustreg: the registry has no {mine.gun}:none\n"

    assert mine.do("publish", mine.gun).out == f"{mine.gun}: nothing to publish\n"
    assert tags(mine) == {}


def test_staged_then_published(mine: Desk) -> None:
    """
    ``--no-publish`` says what waits, in a file; ``publish`` sends all of it at once; readers see nothing before.
    """
    staged = mine.do("sign", "--no-publish", f"{mine.gun}:1.0", f"{mine.gun}:1.1")
    assert staged.lines == [f"staged: {mine.gun}:{tag} is {image(tag).digest}, says targets" for tag in ("1.0", "1.1")]
    assert tags(mine) == {}

    published = mine.do("publish", mine.gun)

    assert published.lines[-1] == f"{mine.gun}: published targets v2"
    assert tags(mine) == {tag: image(tag).digest for tag in ("1.0", "1.1")}
    mine.do("remove", "--no-publish", f"{mine.gun}:1.0")
    assert len(tags(mine)) == 2
    mine.do("publish", mine.gun)
    assert set(tags(mine)) == {"1.1"}
    assert mine.do("publish", mine.gun).out == f"{mine.gun}: nothing to publish\n"


def test_removed(mine: Desk) -> None:
    """
    A tag taken back is refused, by tag and by digest; the others and the image stay.
    """
    mine.do("sign", f"{mine.gun}:1.0", f"{mine.gun}:1.1")

    said = mine.do("remove", f"{mine.gun}:1.0")

    assert said.lines == [f"{mine.gun}:1.0 is no longer signed by targets", f"{mine.gun}: published targets v3"]
    assert mine.run("verify", f"{mine.gun}:1.0").code == 1
    assert mine.run("verify", f"{mine.gun}@{image('1.0').digest}").code == 1
    mine.do("verify", f"{mine.gun}:1.1")
    mine.do("sign", f"{mine.gun}:1.0")


def test_as_json(mine: Desk) -> None:
    """
    Programs get the versions and the changes of each collection.
    """
    said = mine.do("sign", "--format", "json", f"{mine.gun}:1.0")

    assert json.loads(said.out) == {
        "published": [
            {
                "gun": mine.gun,
                "versions": {"targets": 2},
                "waiting": [],
                "changes": [
                    {
                        "action": "add",
                        "role": "targets",
                        "tag": "1.0",
                        "length": image("1.0").size,
                        "hashes": {"sha256": image("1.0").manifest.hex},
                    }
                ],
            }
        ]
    }
    removed = json.loads(mine.do("remove", "--no-publish", "--format", "json", f"{mine.gun}:1.0").out)
    assert removed == {"staged": [{"gun": mine.gun, "action": "remove", "role": "targets", "tag": "1.0"}]}


def test_a_publisher_pins_too(mine: Desk) -> None:
    """
    Nothing is signed into a collection whose root is not the one that is pinned.
    """
    said = mine.run("sign", "--pin", "0" * 64, f"{mine.gun}:1.0")

    assert (said.code, said.out) == (1, "")
    assert f"the root of {mine.gun} is refused" in said.err
    assert tags(mine) == {}


def test_a_mirror_is_a_name_for_the_same(mine: Desk, tmp_path: Path) -> None:
    """
    Every command takes the name of a copy in a mirror for that of the collection, as ``verify`` does.
    """
    config, copy = tmp_path / "config.toml", "mirror.example/copies/app"
    config.write_text(f'[[registry]]\nmatch = "{mine.gun}"\nmirror = "{copy}"\n')
    config.chmod(0o600)
    told = ("--config", config)
    mine.do("sign", "--no-publish", f"{mine.gun}:1.0")

    assert mine.do("publish", *told, copy).lines[-1] == f"{mine.gun}: published targets v2"
    assert mine.do("list", *told, copy) == mine.do("list", mine.gun)
    assert mine.do("inspect", *told, f"{copy}:1.0") == mine.do("inspect", f"{mine.gun}:1.0")
    assert mine.do("remove", *told, f"{copy}:1.0").lines[-1] == f"{mine.gun}: published targets v3"
    assert "exists already" in mine.run("init", *told, copy).err
    mine.do("forget", *told, copy)
    assert mine.run("list", mine.gun).err.startswith(f"trustreg: {mine.gun} was not known before")


def test_the_server_is_down(mine: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A publish that could not be sent leaves what was staged, and nothing that was not.
    """
    mine.do("sign", "--no-publish", f"{mine.gun}:1.0")
    with monkeypatch.context() as patch:
        patch.setenv("TRUSTREG_SERVER", "http://127.0.0.1:9")
        for command in (("sign", f"{mine.gun}:1.1"), ("publish", mine.gun)):
            said = mine.run(*command)
            assert (said.code, said.out) == (3, "")
            assert said.err == "trustreg: http://127.0.0.1:9 cannot be reached: connection refused\n"

    mine.do("publish", mine.gun)
    assert set(tags(mine)) == {"1.0"}
