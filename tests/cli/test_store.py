"""The commands of images where there is no trust server: a folder, a registry, a web server."""

from __future__ import annotations

import json
import os
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from scripts.images import image
from scripts.push_image import push
from tests.peers.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Desk


class Quiet(SimpleHTTPRequestHandler):
    """Python's own web server for files, without its log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as it is called there
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL at which a web server of Python's own shows the folder ``store``."""
    (tmp_path / "store").mkdir(exist_ok=True)
    handler = partial(Quiet, directory=tmp_path / "store")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_folder_for_several_repositories(stall: Desk, tmp_path: Path) -> None:
    """
    One collection has the tags of both, each under its whole name; nobody who asks for one gets that of the other.
    """
    web, folder = f"{stall.gun}-web", f"dir:{tmp_path}/store"
    stall.push("1.0")
    push(image("web"), stall.registry.url, f"{stall.path}-web", "1.0")

    said = stall.do("sign", f"{stall.gun}:1.0", f"{web}:1.0")

    assert said.lines == [
        f"{stall.gun}:1.0 is {image('1.0').digest}, says targets",
        f"{web}:1.0 is {image('web').digest}, says targets",
        f"{folder}: published snapshot v2, targets v2, timestamp v2",
    ]
    assert stall.do("verify", f"{web}:1.0").out.startswith(f"{web}@{image('web').digest}  tag 1.0 signed by targets")
    found = stall.json("verify", "verify", f"{stall.gun}@{image('1.0').digest}")["verdicts"][0]
    assert (found["gun"], found["tag"]) == (stall.gun, "1.0")
    assert stall.run("verify", f"{stall.gun}@{image('web').digest}").code == 1
    assert [tag["tag"] for tag in stall.json("contents", "list", web)["tags"]] == ["1.0"]
    everything = stall.json("contents", "list")
    assert everything["gun"] == folder
    assert {tag["tag"] for tag in everything["tags"]} == {f"{stall.gun}:1.0", f"{web}:1.0"}
    assert stall.do("inspect", f"{web}:1.0").lines[1] == f"store       {tmp_path}/store"
    assert stall.do("remove", f"{web}:1.0").lines[0] == f"{web}:1.0 is no longer signed by targets"
    assert stall.run("verify", f"{web}:1.0").code == 1
    assert f"{folder} on {tmp_path}/store exists already" in stall.run("init", web).err


def test_a_folder_with_a_collection_for_each(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the place says so, each repository has its own root; which one is meant has to be said.
    """
    monkeypatch.delenv("TRUSTREG_SERVER")
    monkeypatch.setenv("TRUSTREG_STORE", f"dir:{tmp_path}/store/{{gun}}")

    assert desk.do("init", desk.gun).out == f"{desk.gun}: published root v1, snapshot v1, targets v1, timestamp v1\n"
    desk.push("1.0")
    desk.do("sign", "--no-publish", f"{desk.gun}:1.0")
    said = desk.do("publish", desk.gun)

    assert said.lines[0] == f"{desk.gun}:1.0 is {image('1.0').digest}, says targets"
    assert (tmp_path / "store" / desk.gun / "metadata" / "timestamp.json").exists()
    assert [key["kind"] for key in json.loads(desk.do("key", "list", "--format", "json").out)["keys"]] == [
        "ed25519"
    ] * 4
    assert desk.run("verify", f"{desk.gun}-other:1.0").code == 1
    for command in (["list"], ["init"], ["publish"], ["renew"], ["role", "show"]):
        said = desk.run(*command)
        assert (said.code, said.out) == (2, "")
        assert "say which collection: name its repository" in said.err


def test_the_registry_keeps_it(counter: Desk) -> None:
    """
    ``oci:`` is the repository of the image itself; a reader needs nothing but the registry.
    """
    counter.push("1.0")
    counter.do("init", counter.gun)
    counter.do("sign", f"{counter.gun}:1.0")

    assert counter.do("verify", f"{counter.gun}:1.0").out.startswith(f"{counter.gun}@{image('1.0').digest}")
    counter.push("1.0", image("moved"))
    refused = counter.run("verify", f"{counter.gun}:1.0")
    assert (refused.code, refused.out) == (1, "")
    assert "but the registry serves" in refused.err
    shown = counter.do("config", "show", counter.gun).out
    assert f"oci:{counter.gun}" in shown


def test_a_repository_for_many(counter: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Files and the tags of several repositories in one repository of the registry.
    """
    place = f"oci:{counter.registry.host}/trust/{os.urandom(6).hex()}"
    monkeypatch.setenv("TRUSTREG_STORE", place)
    counter.push("1.0")
    (tmp_path / "note").write_text("a note")
    counter.do("init")
    counter.do("sign", f"{counter.gun}:1.0")
    counter.do("add", tmp_path / "note", "--name", "notes/first")

    assert [tag["tag"] for tag in counter.json("contents", "list")["tags"]] == [f"{counter.gun}:1.0", "notes/first"]
    counter.do("verify", f"{counter.gun}:1.0")
    counter.do("fetch", "notes/first", "-o", tmp_path / "got")
    assert (tmp_path / "got").read_text() == "a note"
    counter.do("prune", "--keep", "0")
    counter.do("verify", f"{counter.gun}:1.0")


def test_a_bucket(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Whoever has its credentials in the environment needs no more.
    """
    pytest.importorskip("moto")
    pytest.importorskip("obstore")
    monkeypatch.delenv("TRUSTREG_SERVER")
    with moto_server() as s3:
        for name, value in s3.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TRUSTREG_STORE", f"{s3.bucket('trust')}/team")
        desk.push("1.0")
        (tmp_path / "note").write_text("a note")

        assert desk.do("init").out == "s3:trust/team: published root v1, snapshot v1, targets v1, timestamp v1\n"
        desk.do("sign", f"{desk.gun}:1.0")
        desk.do("add", tmp_path / "note")
        desk.do("verify", f"{desk.gun}:1.0")
        desk.do("fetch", "note", "-o", tmp_path / "got")
        assert (tmp_path / "got").read_text() == "a note"
        assert len(desk.do("prune", "--keep", "0").lines) == 4
        desk.do("list")


def test_a_web_server_shows_a_folder(stall: Desk, tmp_path: Path, web: str) -> None:
    """
    Any that serves files does; it is for readers only, and who meets it first is told so.
    """
    stall.push("1.0")
    stall.do("sign", f"{stall.gun}:1.0")
    (tmp_path / "a file").write_text("content")
    assert stall.run("role", "delegate", "some/role", "--path", "files/*").code == 0
    stall.do("add", tmp_path / "a file", "--name", "files/a file")
    reader = ("--trust-dir", tmp_path / "reader", "--store", web)

    said = stall.run("verify", *reader, f"{stall.gun}:1.0")
    assert said.code == 0
    assert "its root was trusted on first use" in said.err
    assert stall.do("fetch", *reader, "files/a file", "-d", tmp_path / "got").out.startswith(f"{tmp_path}/got/a file  ")
    assert (tmp_path / "got" / "a file").read_text() == "content"
    assert stall.run("sign", *reader, f"{stall.gun}:1.0").err == (
        f"trustreg: {web}: a web server is for readers: name the place that it serves\n"
    )
    assert stall.do("lint", *reader).code == 0


def test_a_root_can_be_pinned_by_its_file(stall: Desk, tmp_path: Path) -> None:
    """
    Nobody is believed at first sight then, and nothing is said of it.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[defaults]\nstore = "dir:{tmp_path}/store"\nfirst_use = false\npins.root = "1.root.json"\n')
    config.chmod(0o600)
    reader = ("--config", config, "--trust-dir", tmp_path / "reader")
    assert stall.run("list", "--no-first-use", "--trust-dir", tmp_path / "reader").code == 1
    (tmp_path / "1.root.json").write_bytes((tmp_path / "store" / "metadata" / "1.root.json").read_bytes())

    stall.do("list", *reader)


def test_a_store_and_a_server(stall: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A flag decides between what was set otherwise; two variables, or two flags, contradict each other.
    """
    assert stall.run("list", "--server", stall.server.url, stall.gun).err.startswith("trustreg: " + stall.server.url)
    for words, variable in (([], stall.server.url), (["--server", "https://a.example", "--store", "dir:/x"], "")):
        monkeypatch.setenv("TRUSTREG_SERVER", variable)
        said = stall.run("list", *words, stall.gun)
        assert said.code == 2
        assert "a collection is in a store or on a trust server" in said.err
    monkeypatch.delenv("TRUSTREG_SERVER")
    for place, problem in (
        ("/srv", "is no place"),
        ("s3:bucket", "has to be written"),
        (f"dir:{tmp_path}/none", "no trust data"),
    ):
        assert problem in stall.run("list", "--store", place).err


def test_what_takes_a_store_says_so(desk: Desk, tmp_path: Path) -> None:
    """
    A trust server has no place for files, ceremonies, and what only TUF has.
    """
    desk.begin()
    (tmp_path / "f").write_text("x")

    for command in (
        ["fetch", "f", "--gun", desk.gun],
        ["lint", desk.gun],
        ["prune", desk.gun],
        ["role", "sign", "root", "--gun", desk.gun],
        ["ceremony", "prepare", tmp_path / "c", "--renew", "root", "--whole", "--gun", desk.gun],
    ):
        said = desk.run(*command)
        assert (said.code, said.out) == (2, ""), command
        assert "trust server" in said.err
    assert desk.do("role", "show", "--gun", desk.gun).lines[1].startswith("root ")
    assert desk.do("renew", desk.gun).out == f"{desk.gun}: nothing to publish\n"


def test_forgotten(stall: Desk) -> None:
    """
    What is remembered of a collection in a store goes with ``forget``, and its root is met anew.
    """
    stall.do("list")
    stall.do("forget")

    assert "was not known before" in stall.run("list").err


def test_an_expired_collection_can_be_looked_at(stall: Desk, tmp_path: Path, web: str) -> None:
    """
    By whoever is to do something about it, from anywhere; nobody believes what is in it.
    """
    stall.do("role", "expiry", "timestamp", "--lifetime", "1s")
    time.sleep(1.1)

    for reader in ((), ("--trust-dir", tmp_path / "reader", "--store", web)):
        assert stall.do("role", "show", *reader).lines[4].startswith("timestamp  root  2 ")
        assert "error: timestamp: it expired at" in stall.run("lint", *reader).out
        assert stall.run("list", *reader).code == 1
    stall.do("renew")
    stall.do("list")
