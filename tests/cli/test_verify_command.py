"""``trustreg verify`` as a script and a person meet it: what goes where, what is said once, and what holds."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from scripts.images import image

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Desk

ONE = image("1.0")


def root_of(desk: Desk) -> str:
    """Give the id of the root key."""
    roles = json.loads(desk.run("inspect", desk.gun, "--format", "json").out)["roles"]
    (keyid,) = next(role["keyids"] for role in roles if role["name"] == "root")
    return str(keyid)


def test_the_line_begins_with_the_name_to_use(begun: Desk) -> None:
    """
    ``trustreg verify … | cut -d' ' -f1`` is the image by digest; standard error is silent in a pipe.
    """
    said = begun.do("verify", f"{begun.gun}:1.0")

    assert re.fullmatch(
        rf"{begun.gun}@{ONE.digest}  tag 1\.0 signed by targets \(key [0-9a-f]{{12}}\), good until 20\S+Z\n", said.out
    )


def test_first_use_is_said_with_what_to_pin(begun: Desk, tmp_path: Path) -> None:
    """
    A root that is believed because it came first is said to be so, once, on standard error, with the option to pin.
    """
    new, keyid = ("--trust-dir", tmp_path / "new"), root_of(begun)

    first = begun.run("verify", *new, f"{begun.gun}:1.0")
    again = begun.run("verify", *new, f"{begun.gun}:1.0")

    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert again.err == ""
    (line,) = first.talk
    assert line.startswith(f"trustreg: {begun.gun} was not known before: its root was trusted on first use.")
    assert line.endswith(f"pin it: --pin {keyid}")
    begun.do("verify", *line.partition("pin it: ")[2].split(), "--trust-dir", tmp_path / "pinned", f"{begun.gun}:1.0")


def test_first_use_can_be_forbidden(begun: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    By flag or variable: then an unknown root is refused, leaves no trace, and a pinned one is fine.
    """
    new, image_ = ("--trust-dir", tmp_path / "new"), f"{begun.gun}:1.0"
    begun.do("verify", "--no-first-use", image_)  # known here

    by_flag = begun.run("verify", *new, "--no-first-use", image_)
    monkeypatch.setenv("TRUSTREG_FIRST_USE", "false")
    by_variable = begun.run("verify", *new, image_)

    assert by_flag == by_variable
    assert (by_flag.code, by_flag.out) == (1, "")
    assert by_flag.talk[0].startswith(f"trustreg: refused: {begun.gun} has no pinned root and first use is forbidden")
    assert by_flag.talk[1].startswith("  remedy: ask the publishers for their root key id")
    assert not list((tmp_path / "new").rglob("*.json"))
    begun.do("verify", *new, "--pin", root_of(begun), image_)
    begun.do("verify", *new, image_)


def test_a_pin_holds_with_a_warm_cache(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is known does not outweigh what is pinned; the right pin beside a wrong one suffices.
    """
    image_, keyid = f"{begun.gun}:1.0", root_of(begun)
    begun.do("verify", image_)

    wrong = begun.run("verify", "--pin", "f" * 64, image_)
    monkeypatch.setenv("TRUSTREG_PIN", "f" * 64)
    by_variable = begun.run("verify", image_)

    assert (wrong.code, wrong.out) == (1, "")
    assert wrong == by_variable
    assert f"the root of {begun.gun} is refused: key {keyid[:12]} is not pinned" in wrong.err
    begun.do("verify", "--pin", keyid, image_)
    begun.do("verify", "--pin", "f" * 64, "--pin", keyid, image_)


def test_verbose_prints_each_request(begun: Desk) -> None:
    """
    ``-v`` shows method, URL, status and size of each request on standard error, three when all is known.
    """
    said = begun.run("verify", "-v", f"{begun.gun}:1.0")

    assert (said.code, len(said.lines)) == (0, 1)
    base = f"http://{begun.server.host}/v2/{begun.gun}/_trust/tuf"
    ends = [line.rpartition(", ")[0] for line in said.talk if "no answer" not in line]
    assert re.fullmatch(rf"GET {base}/2\.root\.json: 404, \d+ bytes", ends[0])
    assert re.fullmatch(rf"GET {base}/timestamp\.json: 200, \d+ bytes", ends[1])
    assert ends[2:] == [f"GET {begun.registry.url}/v2/{begun.path}/manifests/1.0: 200, {ONE.size} bytes"]


def test_results_to_stdout_the_rest_to_stderr(begun: Desk, tmp_path: Path) -> None:
    """
    Of several images, those that are trusted are on stdout in their order, the others on stderr in theirs.
    """
    names = [f"{begun.gun}:{tag}" for tag in ("none", "1.0", "2.0")] + [f"{begun.gun}@{ONE.digest}"]

    said = begun.run("verify", *names)

    assert said.code == 1
    assert [line.split("  ")[0] for line in said.lines] == [f"{begun.gun}@{ONE.digest}"] * 2
    assert [line.split(" is not")[0] for line in said.talk] == [
        f"trustreg: refused: {begun.gun}:{tag}" for tag in ("none", "2.0")
    ]


def test_where_nobody_said_that_there_is_a_collection(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A policy may be what was meant, and that is said once. Where a server is named, it is not.
    """
    desk.push("1.0")
    names = [f"{desk.gun}:1.0", f"{desk.gun}:2.0"]
    named = desk.run("verify", *names)
    monkeypatch.delenv("TRUSTREG_SERVER")
    unnamed = desk.run("verify", *names)

    assert (named.code, "--policy" in named.err) == (1, False)
    assert (unnamed.code, unnamed.err.count("--policy")) == (3, 1)


def test_as_json_all_verdicts_are_results(begun: Desk) -> None:
    """
    As JSON everything is on stdout, refusals too, with their facts; standard error is silent.
    """
    said = begun.run("verify", "--format", "json", f"{begun.gun}:none", f"{begun.gun}:1.0")

    assert (said.code, said.err) == (1, "")
    refused, trusted = json.loads(said.out)["verdicts"]
    assert (refused["verdict"], refused["error"]["code"]) == ("untrusted", "unsigned")
    assert refused["error"]["facts"] == {
        "gun": begun.gun,
        "tag": "none",
        "roles": ["targets/releases", "targets"],
        "elsewhere": [],
    }
    assert (trusted["verdict"], trusted["pinned"]) == ("trusted", f"{begun.gun}@{ONE.digest}")


def test_a_name_as_people_type_it(begun: Desk, tmp_path: Path) -> None:
    """
    A mirror's name and the image's own come to the same verdict, under the image's own name.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[[registry]]\nmatch = "{begun.gun}"\nmirror = "mirror.example/copies"\n')
    config.chmod(0o600)
    told = ("--config", config, "--no-registry")

    by_mirror = begun.do("verify", *told, "mirror.example/copies:1.0")

    assert by_mirror == begun.do("verify", *told, f"{begun.gun}:1.0")
    assert by_mirror.out.startswith(f"{begun.gun}@{ONE.digest}  ")


def test_on_a_terminal_long_work_shows(begun: Desk) -> None:
    """
    After a second, a person sees that something is going on; the result on stdout stays clean.
    """
    argv = [sys.executable, "-m", "trustreg", "verify", "--no-registry", f"{begun.gun}:1.0"]
    ours, theirs = pty.openpty()
    begun.server.pause()
    try:
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=theirs, env=begun.env() | {"TERM": "xterm"}
        ) as process:
            os.close(theirs)
            shown = until(ours, "verifying 1 image")
            begun.server.resume()
            assert process.stdout
            out, code = process.stdout.read().decode(), process.wait(30)
    finally:
        begun.server.resume()
        os.close(ours)

    assert "verifying 1 image" in shown
    assert (code, out.split("  ")[0]) == (0, f"{begun.gun}@{ONE.digest}")


def until(terminal: int, text: str) -> str:
    """Read from *terminal* until *text* was shown."""
    shown, end = "", time.monotonic() + 20
    while text not in shown and time.monotonic() < end:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_eight_processes_share_a_trust_directory(desk: Desk) -> None:
    """
    Eight processes verify, again and again, while publishers move the collection on: nobody fails, floors only rise,
    and the cache is whole afterwards.
    """
    desk.begin("1.0")
    loop = f"""
import sys, trustreg
verifier = trustreg.Verifier()
for _ in range(6):
    assert str(verifier.verify({desk.gun + ":1.0"!r}, compare=False).digest) == {ONE.digest!r}
"""
    readers = [subprocess.Popen([sys.executable, "-c", loop], env=desk.env(), stderr=subprocess.PIPE) for _ in range(8)]
    floors, round_ = [], 0
    while any(reader.poll() is None for reader in readers):
        round_ += 1
        desk.push(f"2.{round_}")
        desk.do("sign", f"{desk.gun}:2.{round_}")
        floors.append(json.loads(desk.memory_file.read_bytes())["floors"]["timestamp"]["version"])
    said = [reader.communicate(timeout=60)[1] for reader in readers]

    assert [(reader.returncode, text) for reader, text in zip(readers, said, strict=True)] == [(0, b"")] * 8
    assert floors == sorted(floors)
    assert floors[-1] >= round_ + 1
    assert not list(desk.trust_dir.rglob("*.tmp"))
    desk.do("verify", f"{desk.gun}:1.0", f"{desk.gun}:2.{round_}")


def test_eight_processes_publish_from_one_trust_directory(desk: Desk) -> None:
    """
    Eight publishers at once, each with tags of its own: who is told to publish again does, and in the end all is there.
    """
    desk.begin()
    tags = [f"{number}.{step}" for number in range(8) for step in range(2)]
    for tag in tags:
        desk.push(tag)
    loop = f"""
import sys, trustreg
from trustreg.errors import ConflictError
publisher = trustreg.Publisher()
for step in range(2):
    for attempt in range(100):
        try:
            publisher.sign({desk.gun!r} + f":{{sys.argv[1]}}.{{step}}")
            break
        except ConflictError:
            pass
    else:
        sys.exit("never got to publish")
"""
    publishers = [
        subprocess.Popen([sys.executable, "-c", loop, str(number)], env=desk.env(), stderr=subprocess.PIPE)
        for number in range(8)
    ]
    said = [publisher.communicate(timeout=120)[1] for publisher in publishers]

    assert [(each.returncode, text) for each, text in zip(publishers, said, strict=True)] == [(0, b"")] * 8
    listed = json.loads(desk.do("list", desk.gun, "--format", "json").out)["tags"]
    assert {tag["tag"]: tag["digest"] for tag in listed} == {tag: image(tag).digest for tag in tags}
    assert not list(desk.trust_dir.rglob("*.tmp"))
