"""A folder keeps a collection so that a web server can show it, and nothing spoils it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError, UnavailableError
from trustreg.io.files import locked
from trustreg.io.http import Http
from trustreg.io.stores.folder import FolderStore
from trustreg.io.stores.web import WebRepository
from trustreg.io.tls import Tls
from trustreg.ports import Write
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from pathlib import Path


def files(base: Path) -> list[str]:
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir())


def test_a_web_server_may_show_it(tmp_path: Path) -> None:
    """Anybody may read files and folders, less what the umask takes off; only the lock is our own."""
    before = os.umask(0o022)
    try:
        store = FolderStore(tmp_path / "srv" / "trust")
        store.write([Write(path="1.a%2Fb.json", data=b"x")])
        store.upload("t/d.file", BytesIO(b"y"), 1)
        os.umask(0o027)
        store.write([Write(path="timestamp.json", data=b"z")])
    finally:
        os.umask(before)

    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {
        "srv": 0o755,
        "srv/trust": 0o755,
        "srv/trust/.lock": 0o600,
        "srv/trust/metadata": 0o755,
        "srv/trust/metadata/1.a": 0o755,
        "srv/trust/metadata/1.a/b.json": 0o644,
        "srv/trust/metadata/timestamp.json": 0o640,
        "srv/trust/targets": 0o755,
        "srv/trust/targets/t": 0o755,
        "srv/trust/targets/t/d.file": 0o644,
    }


def test_a_plain_web_server_is_enough(tmp_path: Path) -> None:
    """What is kept in a folder is found through Python's own server, whatever its name."""
    store = FolderStore(tmp_path)
    store.write([Write(path="3.a%2Fb.json", data=b"role"), Write(path="4.%C3%A4%20%25.json", data=b"odd")])
    store.upload("x y/%41ä.file", BytesIO(b"target"), 6)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        with Http({}, Tls({}, str(tmp_path))) as http:
            web = WebRepository(http, [f"{base}/metadata"], [f"{base}/targets"])
            found = [web.fetch(Want("x", path, 10)) for path in ("3.a%2Fb.json", "4.%C3%A4%20%25.json", "5.a.json")]
            with web.open("x y/%41ä.file") as stream:
                target = stream and b"".join(stream)
        server.shutdown()

    assert found == [b"role", b"odd", None]
    assert target == b"target"


def test_links_are_replaced_and_not_followed(tmp_path: Path) -> None:
    """Whoever puts a link in the way does not make us write elsewhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    base = tmp_path / "trust"
    store = FolderStore(base)
    store.write([Write(path="1.root.json", data=b"r")])
    store.upload("a.file", BytesIO(b"f"), 1)
    for name in ("metadata/timestamp.json", "targets/b.file"):
        (base / name).symlink_to(victim)

    store.write([Write(path="timestamp.json", data=b"new", was=b"untouched")])
    store.upload("b.file", BytesIO(b"new"), 3)

    assert victim.read_bytes() == b"untouched"
    assert not (base / "metadata/timestamp.json").is_symlink()
    assert (base / "targets/b.file").read_bytes() == b"new"


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """It could lead to a file that somebody else needs."""
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError):
        FolderStore(tmp_path).write([Write(path="1.root.json", data=b"r")])

    assert not (tmp_path / "elsewhere").exists()


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    """A pipe, or a folder, is no file."""
    for folder in ("metadata", "targets"):
        (tmp_path / folder).mkdir()
        os.mkfifo(tmp_path / folder / "1.root.json")
        (tmp_path / folder / "2.root.json").mkdir()
    store = FolderStore(tmp_path)
    for name in ("1.root.json", "2.root.json"):
        with pytest.raises(FileError):
            store.fetch(Want("root", name, 10))
        with pytest.raises(FileError), store.open(name):
            pass


def test_somebody_else_is_waited_for(tmp_path: Path) -> None:
    """For some time; then it is said who was in the way."""
    with locked(tmp_path / ".lock"), pytest.raises(FileError, match="lock"):
        FolderStore(tmp_path, patience=0.05).write([Write(path="1.root.json", data=b"r")])


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    """A file where a folder should be, for one."""
    (tmp_path / "trust").write_bytes(b"")
    with pytest.raises(FileError, match="not a folder"):
        FolderStore(tmp_path / "trust" / "x").write([Write(path="1.root.json", data=b"r")])
    with pytest.raises(FileError, match="not a folder"):
        FolderStore(tmp_path / "trust").fetch(Want("root", "1.root.json", 10))


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a temporary one; and what was there is there."""

    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

    store = FolderStore(tmp_path)
    store.upload("a.file", BytesIO(b"good"), 4)
    for source in (Broken(b"x"), BytesIO(b"xyz")):
        with pytest.raises(UnavailableError):
            store.upload("a.file", source, 5)

    assert files(tmp_path) == ["targets/a.file"]
    assert (tmp_path / "targets/a.file").read_bytes() == b"good"


def test_other_collections_below_are_not_ours(tmp_path: Path) -> None:
    """``app`` and ``app/metadata`` are two collections, and each lists its own files."""
    outer, inner = FolderStore(tmp_path / "app"), FolderStore(tmp_path / "app" / "metadata")
    outer.write([Write(path="1.targets%2Freleases.json", data=b"x")])
    inner.write([Write(path="1.root.json", data=b"y")])

    assert list(outer.names()) == ["1.targets%2Freleases.json"]
    assert list(inner.names()) == ["1.root.json"]


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.1, 0.2])
def test_a_publisher_may_be_killed(tmp_path: Path, moment: float) -> None:
    """Whatever it was at, every file is whole, in order, and the next publisher goes on at once."""
    script = f"""
import itertools, sys
from pathlib import Path
from trustreg.io.stores.folder import FolderStore
from trustreg.ports import Write
store, before = FolderStore(Path({str(tmp_path)!r})), None
print("up", flush=True)
for n in itertools.count(1):
    stamp = (str(n) * 50_000).encode()
    store.write([Write(path=f"{{n}}.snapshot.json", data=stamp), Write(path="timestamp.json", data=stamp, was=before)])
    before = stamp
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        threading.Event().wait(moment)
        process.send_signal(signal.SIGKILL)

    store = FolderStore(tmp_path, patience=0)
    stamp = store.fetch(Want("timestamp", "timestamp.json", 1 << 20))
    names = sorted(store.names(), key=lambda name: int(name.partition(".")[0]) if name[0].isdigit() else 0)
    number = int(stamp[: len(stamp) // 50_000]) if stamp else 0
    assert stamp == ((str(number) * 50_000).encode() if number else None)
    for n in range(1, number + 1):
        assert store.fetch(Want("snapshot", f"{n}.snapshot.json", 1 << 20)) == (str(n) * 50_000).encode()
    assert len(names) - bool(stamp) in {number, number + 1}
    store.write([Write(path="timestamp.json", data=b"next", was=stamp)])
