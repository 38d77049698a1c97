"""
What goes wrong is said in one sentence, with the right exit code, nothing on stdout, and nothing changed.

Each row of the tables is one thing that can be wrong.
"""

from __future__ import annotations

import base64
import errno
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest
import requests

from scripts.images import image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Desk, Said


class Fault(NamedTuple):
    """A command that cannot succeed, and how it has to end; ``{…}`` are filled in from the desk."""

    words: tuple[str, ...]
    code: int
    sentence: str
    remedy: str | None = None


USAGE = {
    "no command": Fault(("nonsense",), 2, "No such command 'nonsense'."),
    "no image": Fault(("verify",), 2, "Name images, or files with -f; not both."),
    "no option": Fault(("verify", "--nonsense", "{image}"), 2, r"No such option '--nonsense'."),
    "two GUNs": Fault(("list", "{gun}", "x"), 2, "Got unexpected extra argument (x)"),
    "format": Fault(("list", "--format", "xml", "{gun}"), 2, "'xml' is not one of 'text', 'json'."),
    "image": Fault(("verify", "{gun}:"), 2, "'' is not a tag"),
    "digest": Fault(("verify", "{gun}@sha256:0"), 2, "64 lower-case hex digits have to follow sha256:"),
    "upper case": Fault(("sign", "localhost/Team/app:1"), 2, "(a repository name is lower case)"),
    "GUN": Fault(("init", "{gun}:1.0"), 2, "a collection is named without tag and digest"),
    "key kind": Fault(("init", "--kind", "dsa", "{gun}"), 2, "'dsa' is not one of 'ed25519', 'ecdsa', 'rsa'."),
}

FAULTS = {
    # settings
    "server": Fault(("verify", "{image}", "--server", "ftp://x"), 2, "--server: it has to be an absolute http or"),
    "plain http": Fault(
        ("verify", "{image}", "--server", "http://notary.invalid"), 2, "plain http is for this machine"
    ),
    "grace": Fault(("verify", "{image}", "--offline-grace", "soon"), 2, "--offline-grace: it has to be a number and"),
    "pin": Fault(("verify", "{image}", "--pin", "xyz"), 2, "--pin: 'xyz' is not a key id, 64 hex digits"),
    "role": Fault(("list", "{gun}", "--role", "root"), 2, "--role: 'root' is not a role that signs tags"),
    "no CA": Fault(("verify", "{image}", "--ca", "{tmp}/none"), 2, "{tmp}/none: the CA certificate cannot be read"),
    "CA": Fault(("verify", "{image}", "--ca", "{tmp}/text"), 2, "{tmp}/text: this file holds no CA certificate"),
    "no config": Fault(("verify", "{image}", "--config", "{tmp}/none"), 3, "{tmp}/none: there is no such file"),
    "config": Fault(("list", "{gun}", "--config", "{tmp}/text"), 2, "{tmp}/text:1: this is not TOML"),
    "trust dir": Fault(("verify", "{image}", "--trust-dir", "{tmp}/text"), 3, "{tmp}/text"),
    # servers
    "refused": Fault(
        ("verify", "{image}", "--server", "http://127.0.0.1:9"), 3, "cannot be reached: connection refused"
    ),
    "no name": Fault(("list", "{gun}", "--server", "https://notary.invalid"), 3, "its name does not resolve"),
    "not a trust server": Fault(
        ("verify", "{image}", "--server", "http://{registry}"), 3, "answered 404", "this answer does not come from"
    ),
    "no registry": Fault(("sign", "127.0.0.1:9/x:1"), 3, "127.0.0.1:9 cannot be reached: connection refused"),
    "not a registry": Fault(("sign", "{server}/x:1"), 3, "answered 404"),
    # content
    "no collection": Fault(("list", "{gun}-none"), 1, "has no trust data for {gun}-none"),
    "nothing to inspect": Fault(("inspect", "{gun}-none:1.0"), 1, "has no trust data for {gun}-none"),
    "unsigned": Fault(("verify", "{gun}:none"), 1, "{gun}:none is not signed in targets/releases or targets"),
    "no digest": Fault(("verify", "{gun}@sha256:" + "0" * 64), 1, "is not signed in targets/releases or targets"),
    "first use": Fault(
        ("list", "{gun}", "--no-first-use", "--trust-dir", "{tmp}/new"), 1, "has no pinned root", "ask the publishers"
    ),
    "other pin": Fault(("list", "{gun}", "--pin", "0" * 64), 1, "the root of {gun} is refused: key"),
    "no image in the registry": Fault(("sign", "{gun}:none"), 1, "the registry has no {gun}:none"),
    "nothing to remove": Fault(("remove", "{gun}:none"), 1, "{gun}:none is not signed in targets"),
    "exists": Fault(("init", "{gun}"), 2, "the collection {gun} on http://{server} exists already"),
    "digest only": Fault(("sign", "{gun}@sha256:" + "0" * 64), 2, "a tag is what gets signed, and it names none"),
    # keys
    "no key": Fault(("init", "{gun}-new", "--use", "abc"), 2, "no key has an id that begins with 'abc'"),
    "passphrase file": Fault(("sign", "{pushed}", "--passphrase-file", "{tmp}/none"), 3, "there is no such file"),
    "passphrase folder": Fault(("sign", "{pushed}", "--passphrase-file", "{tmp}"), 3, "{tmp}: it is a folder"),
    "empty passphrase": Fault(("sign", "{pushed}", "--passphrase-file", "{tmp}/empty"), 2, "holds no passphrase"),
    "wrong passphrase": Fault(("sign", "{pushed}", "--passphrase-file", "{tmp}/text"), 2, "the passphrase is wrong"),
    "no private key": Fault(("sign", "{pushed}", "--trust-dir", "{tmp}/new"), 2, "no private key for targets is here"),
    "key folder": Fault(("key", "import", "{tmp}"), 3, "{tmp}: it is a folder, not a file"),
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    """Have files that are not what they should be."""
    (tmp_path / "text").write_text("[this is some text\n")
    (tmp_path / "empty").write_text("")


def failed(desk: Desk, said: Said, code: int, sentence: str, remedy: str | None = None) -> None:
    """Require one sentence, with a remedy or none, and nothing else."""
    assert (said.code, said.out) == (code, ""), said
    first, *rest = said.talk
    assert first.startswith("trustreg: ")
    assert sentence in first
    assert len(rest) <= 1, said.talk
    assert all(line.startswith("  remedy: ") for line in rest)
    assert (remedy or "") in "".join(rest)
    assert "Traceback" not in said.err
    assert "bug" not in said.err


def published(desk: Desk) -> bytes:
    """Give what the trust server says is current."""
    answer = requests.get(f"{desk.server.url}/v2/{desk.gun}/_trust/tuf/timestamp.json", timeout=5)
    return answer.content if answer.status_code == 200 else b""


def without_news(holdings: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out the time of the last refresh, which a refused look-up may have moved on."""
    return {name: re.sub(rb'"refreshed": "[^"]*"', b"", raw) for name, raw in holdings.items()}


@pytest.mark.parametrize("name", USAGE)
def test_usage(begun: Desk, name: str) -> None:
    """
    A wrong argument shows how the command is used, ends in one sentence that names it, and does nothing.
    """
    fault, before = USAGE[name], begun.holdings()

    said = begun.run(*filled(begun, fault.words))

    assert (said.code, said.out) == (2, "")
    *usage, last = said.talk
    assert usage[0].startswith("Usage: trustreg ")
    assert last.startswith("Error: ")
    assert fault.sentence in last
    assert begun.holdings() == before


@pytest.mark.parametrize("name", FAULTS)
def test_fault(begun: Desk, tmp_path: Path, name: str) -> None:
    """
    One sentence, perhaps a remedy, the right code; cache, keys, staged changes and server are as they were.
    """
    fault, before, on_server = FAULTS[name], begun.holdings(), published(begun)

    said = begun.run(*filled(begun, fault.words, tmp_path))

    (sentence,) = filled(begun, (fault.sentence,), tmp_path)
    failed(begun, said, fault.code, sentence, fault.remedy)
    assert without_news(begun.holdings()) == without_news(before)
    assert published(begun) == on_server
    assert begun.do("verify", f"{begun.gun}:1.0")


def filled(desk: Desk, words: tuple[str, ...], tmp_path: Path | None = None) -> list[str]:
    """Fill in the names of the desk."""
    names = {
        "image": f"{desk.gun}:1.0",
        "pushed": f"{desk.gun}:2.0",
        "gun": desk.gun,
        "registry": desk.registry.host,
        "server": desk.server.host,
        "tmp": str(tmp_path),
    }
    return [word.format(**names) for word in words]


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, None], ids=["empty", "object", "bytes", "swapped"])
def test_a_spoilt_cache_file_is_fetched_again(begun: Desk, role: str, content: bytes | None) -> None:
    """
    A cached file that somebody spoilt, or swapped for another role's, changes no verdict, and is put right.
    """
    path = begun.metadata / f"{role}.json"
    before = path.read_bytes()
    other = "targets" if role == "root" else "root"
    path.write_bytes((begun.metadata / f"{other}.json").read_bytes() if content is None else content)

    begun.do("verify", f"{begun.gun}:1.0")

    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["verify", "list", "inspect", "sign", "remove", "publish"])
def test_a_spoilt_memory_stops_everything(begun: Desk, command: str) -> None:
    """
    What was trusted cannot be known, so nothing is: a don't know for readers and publishers, and the file stays.
    """
    path = begun.memory_file
    path.write_bytes(path.read_bytes()[:-3])
    before, on_server = begun.holdings(), published(begun)

    said = begun.run(command, begun.gun if command in {"list", "publish"} else f"{begun.gun}:1.0")

    failed(begun, said, 3, f"{path}: this is not what trustreg remembers of a collection", "restore it from a backup")
    assert (begun.holdings(), published(begun)) == (before, on_server)


def test_a_key_file_that_is_a_folder(begun: Desk) -> None:
    """
    A folder in place of a key file is said, once, and the key is then one that is not here.
    """
    (held,) = (path for path in (begun.trust_dir / "private").iterdir() if b"role: targets" in path.read_bytes())
    held.unlink()
    held.mkdir()
    on_server = published(begun)

    said = begun.run("sign", f"{begun.gun}:2.0")

    assert (said.code, said.out) == (2, "")
    assert len(said.talk) == 3
    assert said.talk[0] == f"trustreg: passed over: {held}: it is a folder, not a file"
    assert said.talk[1].startswith("trustreg: no private key for targets is here")
    assert "ceremony" in said.talk[2]
    assert published(begun) == on_server


def test_a_damaged_key_file(begun: Desk) -> None:
    """
    A key file that was cut off is said to be that; nothing is published.
    """
    (held,) = (path for path in (begun.trust_dir / "private").iterdir() if b"role: targets" in path.read_bytes())
    held.write_bytes(held.read_bytes()[:-80])
    on_server = published(begun)

    said = begun.run("sign", f"{begun.gun}:2.0")

    assert (said.code, said.out) == (2, "")
    assert str(held) in said.err
    assert published(begun) == on_server


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount small file systems with options; only root can."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"mount-{len(mounted)}"
        place.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", place], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip("only root can mount")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def fresh(desk: Desk) -> Desk:
    """A collection of one's own, with 1.0 signed and 2.0 only pushed, to be changed."""
    desk.begin("1.0")
    desk.push("2.0")
    return desk


def fill(path: Path) -> None:
    """Write to *path* until nothing more fits."""
    with suppress(OSError), path.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@pytest.mark.parametrize("command", ["verify", "sign", "init"])
def test_a_full_disk(fresh: Desk, mount: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """
    On a real full disk: said so, and what was there before is there still, key files and memory whole.
    """
    place = mount("size=256k") / "trust"
    fresh.trust_dir.rename(fresh.trust_dir.with_name("copied"))
    subprocess.run(["cp", "-a", fresh.trust_dir.with_name("copied"), place], check=True)
    fresh.trust_dir = place
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(place))
    fresh.do("verify", f"{fresh.gun}:1.0")
    moment = fresh.memory_file.read_bytes()
    fill(place.parent / "filler")
    before, on_server = fresh.holdings(), published(fresh)

    name = {"verify": f"{fresh.gun}:1.0", "sign": f"{fresh.gun}:2.0", "init": f"{fresh.gun}-new"}[command]
    said = fresh.run(command, name)

    failed(fresh, said, 3, "the disk is full")
    assert fresh.holdings() == before
    assert fresh.memory_file.read_bytes() == moment
    assert published(fresh) == on_server
    (place.parent / "filler").unlink()
    fresh.do(command, name)


@pytest.mark.parametrize("command", ["verify", "sign", "init"])
def test_a_disk_that_fills_up(fresh: Desk, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """
    The same without mounting anything: no byte can be synced, so nothing is replaced.
    """

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before, on_server = fresh.holdings(), published(fresh)
    name = {"verify": f"{fresh.gun}:1.0", "sign": f"{fresh.gun}:2.0", "init": f"{fresh.gun}-new"}[command]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        said = fresh.run(command, name)

    failed(fresh, said, 3, "the disk is full")
    assert fresh.holdings() == before
    assert published(fresh) == on_server
    fresh.do(command, name)


@pytest.mark.parametrize("command", ["verify", "sign", "init", "key"])
def test_a_read_only_trust_directory(
    begun: Desk, mount: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """
    Where nothing can be remembered, nothing is verified or published: said so, as a don't know.
    """
    place = mount("size=1m")
    trust = place / "trust"
    subprocess.run(["cp", "-a", begun.trust_dir, trust], check=True)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    monkeypatch.setenv("TRUSTREG_TRUST_DIR", str(trust))
    on_server = published(begun)
    words = {
        "verify": ("verify", f"{begun.gun}:1.0"),
        "sign": ("sign", f"{begun.gun}:2.0"),
        "init": ("init", f"{begun.gun}-new"),
        "key": ("key", "generate", "--role", "targets"),
    }[command]

    failed(begun, begun.run(*words), 3, "the file system is read-only")
    assert published(begun) == on_server


def test_a_trust_directory_that_others_may_write_to(begun: Desk) -> None:
    """
    What anybody can change is no place for trust; the remedy is a command.
    """
    begun.trust_dir.chmod(0o777)

    said = begun.run("verify", f"{begun.gun}:1.0")

    failed(begun, said, 3, f"{begun.trust_dir}: anybody may write to this folder", f"chmod go-w {begun.trust_dir}")


def test_one_of_two_collections_fails(fresh: Desk, desks: Callable[[str], Desk]) -> None:
    """
    Signing in two collections, of which the second cannot be published: the first is, and only that is said.
    """
    other = desks(f"team/other-{os.urandom(6).hex()}")
    other.push("1.0")
    other.begin()
    (key,) = (p for p in (fresh.trust_dir / "private").iterdir() if f"gun: {other.gun}".encode() in p.read_bytes())
    key.unlink()

    said = fresh.run("sign", f"{fresh.gun}:2.0", f"{other.gun}:1.0")

    assert said.code == 2
    assert said.lines == [
        f"{fresh.gun}:2.0 is {image('2.0').digest}, says targets",
        f"{fresh.gun}: published targets v3",
    ]
    assert said.err.startswith("trustreg: no private key for targets is here")


def test_a_reader_that_goes_away(begun: Desk) -> None:
    """
    ``trustreg list | head -0`` ends without a traceback, and not as a success.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "trustreg", "list", begun.gun],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=begun.env(),
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
        code = process.wait(30)

    assert (code, said) == (3, b"")


def test_an_interrupt(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ctrl-C is no verdict, and nothing to apologise for.
    """
    from trustreg.wire import Wiring

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Wiring, "judge_all", interrupted)

    said = begun.run("verify", f"{begun.gun}:1.0")

    assert (said.code, said.out, said.err.strip()) == (3, "", "trustreg: interrupted")


def test_a_bug_is_no_verdict(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What nobody foresaw is called a bug in one line, with its place, and is a don't know.
    """
    from trustreg.wire import Wiring

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Wiring, "judge_all", broken)

    said = begun.run("verify", f"{begun.gun}:1.0")

    assert (said.code, said.out) == (3, "")
    assert re.fullmatch(r"trustreg: this is a bug in trustreg: ZeroDivisionError: .*\(.*:\d+\)\n", said.err)


def test_no_passphrase_is_ever_shown(begun: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Neither by ``-v`` nor by an error: not the right passphrase, nor a wrong one, nor a login, nor its base64.
    """
    secrets = ["the right one: 0x5ec", "the wrong one: 0x5ed", "login: 0x5ee"]
    login = base64.b64encode(f"ann:{secrets[2]}".encode()).decode()
    monkeypatch.setenv("NOTARY_AUTH", login)
    monkeypatch.setenv("TRUSTREG_PASSPHRASE", secrets[0])
    (tmp_path / "wrong").write_text(secrets[1])
    gun = f"{begun.gun}-secret"
    said = [
        begun.run("init", "-v", gun),
        begun.run("sign", "-v", f"{begun.gun}:2.0"),
        begun.run("sign", "-v", f"{begun.gun}:2.0", "--passphrase-file", tmp_path / "wrong"),
        begun.run("key", "list"),
        begun.run("verify", "-v", f"{begun.gun}:1.0", "--server", "http://ann:" + secrets[2] + "@127.0.0.1:9"),
        begun.run("config", "show", gun),
    ]

    text = "".join(each.out + each.err for each in said)
    assert "GET http" in text
    for secret in (*secrets, login):
        assert secret not in text
