"""The server as a process: how it starts, what it says, how it ends, and what a kill leaves."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.peers.process import accepts
from tests.server.shapes import END, part
from tests.server.team import DIALECT, GUN, NOW, Team
from trustreg.errors import FileError, InputError, PassphraseError, SettingError
from trustreg.io import serve
from trustreg.io.serve import PASSPHRASE, Embedded, ExtraError, Settings, StartError, find_passphrase, run
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from trustreg.verify.requests import Memory, Remember, Want
from trustreg.verify.workflow import Workflow

if TYPE_CHECKING:
    from tests.peers import Authority
    from trustreg.verify.requests import Answer, Request

TUF = f"/v2/{GUN}/_trust/tuf/"


class Process:
    """A running ``trustreg serve``, alone in its process group."""

    def __init__(self, state: Path, *options: str, port: int = 0) -> None:
        argv = [sys.executable, "-m", "trustreg", "serve", "--state", str(state), "--listen", f"127.0.0.1:{port}"]
        environ = {**os.environ, PASSPHRASE: "passphrase"}
        self._popen = subprocess.Popen(
            [*argv, *options], stderr=subprocess.PIPE, text=True, env=environ, start_new_session=True
        )
        self.pid = self._popen.pid
        self.said: list[str] = []
        assert self._popen.stderr
        for line in self._popen.stderr:
            self.said.append(line.strip())
            if line.startswith("listening on "):
                break
        else:
            raise AssertionError("\n".join(self.said))
        self.url = self.said[-1].removeprefix("listening on ")
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._popen.stderr
        self._popen.stderr.close()

    def get(self, path: str) -> bytes | None:
        """Return what *path* holds; ``None`` where it is missing."""
        status, body = self.ask("GET", path)
        assert status in {200, 404}, body
        return body if status == 200 else None

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body of an answer; each request has a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, FORM if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in listed.split()]

    def terminate(self) -> int:
        """Ask it to end, and return its exit code."""
        self._popen.terminate()
        return self._popen.wait(30)

    def kill(self) -> None:
        """End it and its workers at once, if it is still there."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def rest(self) -> str:
        """Return what it said since it listened."""
        assert self._popen.stderr
        return self._popen.stderr.read()


class Publisher:
    """Publishes to a running server, which signs snapshot and timestamp."""

    def __init__(self, server: Process) -> None:
        self.keys = {
            name: DIALECT.read_key(server.ask("GET", f"{TUF}{role}.key")[1])
            for name, role in {TIMESTAMP: TIMESTAMP, "snapshot of the server": SNAPSHOT}.items()
        }
        self.team = Team(managed=True)

    def first(self) -> bytes:
        """Return the body of the first upload."""
        return form({ROOT: self.team.root(certificates=self.keys), TARGETS: self.team.targets()})

    def next(self, version: int) -> bytes:
        """Return the body of a later one."""
        return form({TARGETS: self.team.targets(version)})


def form(files: dict[str, bytes]) -> bytes:
    """Return an upload of *files*."""
    return b"".join(part(content, role) for role, content in files.items()) + END


def read(server: Process) -> dict[str, int]:
    """Read the collection as a client would, believe it, and return its versions."""

    def answer(request: Request) -> Answer:
        if isinstance(request, Want):
            return server.get(f"{TUF}{request.path}")
        return Memory() if isinstance(request, Remember) else None

    workflow = Workflow(DIALECT, GUN, NOW)
    flow = workflow.refresh()
    try:
        request = next(flow)
        while True:
            request = flow.send(answer(request))
    except StopIteration:
        pass
    roles = {ROOT: workflow.root, TIMESTAMP: workflow.timestamp, SNAPSHOT: workflow.snapshot, **workflow.roles}
    return {role: verified.signed.version for role, verified in roles.items()}


def fetch(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """Return what *url* holds."""
    with urllib.request.urlopen(url, context=context) as answer:  # noqa: S310 (our own server's)
        content: bytes = answer.read()
        return content


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


# --- what cannot be run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "0.0.0.0"}, "plain HTTP lets anybody"),
        ({"host": "::"}, "plain HTTP lets anybody"),
        ({"host": "nowhere.invalid"}, "nowhere.invalid:0 cannot be had"),
        ({"tls_cert": "cert.pem"}, "go together"),
        ({"tls_key": "key.pem"}, "go together"),
        ({"tls_cert": "cert.pem", "tls_key": "key.pem"}, "no certificate with its key"),
        ({"host": "192.0.2.1", "dangerous_plain_http": True}, "cannot be had"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    """
    Settings that make no sense, or no safe server, are refused before anything listens.
    """
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    paths = {name: tmp_path / value for name, value in wrong.items() if name.startswith("tls")}

    def passphrase() -> str:
        raise AssertionError

    with pytest.raises(SettingError, match=said):
        run(Settings(state=tmp_path / "state", port=0, **{**wrong, **paths}), passphrase, print)
    assert not (tmp_path / "state").exists()


def test_an_address_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A port that somebody listens on is not shared with them.
    """
    monkeypatch.setattr(serve, "_TAKE_OVER", 0.1)
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"127.0.0.1:{port} cannot be had: address already in use"):
            run(Settings(state=tmp_path / "state", port=port), lambda: "passphrase", print)


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    """
    A wrong passphrase is told at the start.
    """
    with Process(tmp_path / "state"):
        pass

    with pytest.raises(PassphraseError, match="sealed under another passphrase"):
        run(Settings(state=tmp_path / "state", port=0), lambda: "wrong", print)


@pytest.mark.parametrize("package", ["granian", "falcon"])
def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """
    Without the packages of the server, one sentence says which, and how to get it.
    """
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "trustreg.io.wsgi", raising=False)
    monkeypatch.delitem(sys.modules, "trustreg.io.front", raising=False)

    with pytest.raises(ExtraError, match=f"the server needs {package}") as caught:
        run(Settings(state=tmp_path / "state"), lambda: "passphrase", print)
    assert isinstance(caught.value, InputError)
    assert caught.value.remedy == "pip install 'trustreg[server]'"


@pytest.mark.parametrize("listen", ["4443", ":4443", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_addresses_that_are_none(tmp_path: Path, listen: str) -> None:
    """
    An address that is none is a usage error of the command.
    """
    argv = [sys.executable, "-m", "trustreg", "serve", "--state", str(tmp_path / "state"), "--listen", listen]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr
    assert not (tmp_path / "state").exists()


# --- passphrases ---------------------------------------------------------------------------------------------------


def test_a_passphrase_is_made_and_kept(tmp_path: Path) -> None:
    """
    A new server without a passphrase makes one, says where, and finds it again.
    """
    said: list[str] = []

    made = find_passphrase(tmp_path / "state", None, None, said.append)

    kept = tmp_path / "state" / "passphrase"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len(made) == 43
    assert str(kept) in "".join(said)
    assert made not in "".join(said)
    assert made == find_passphrase(tmp_path / "state", None, None, said.append)
    assert len(said) == 1


def test_which_passphrase_counts(tmp_path: Path) -> None:
    """
    A file that is named wins over the environment, and that over the one kept.
    """
    state, file = tmp_path / "state", tmp_path / "file"
    file.write_bytes(b"from the file\r\n")
    find_passphrase(state, None, None, lambda _: None)

    assert find_passphrase(state, file, "given", print) == "from the file"
    assert find_passphrase(state, None, "given", print) == "given"


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_passphrase_file(tmp_path: Path, content: bytes) -> None:
    """
    A file without a passphrase in it is a mistake, not an empty passphrase.
    """
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(FileError, match="holds no passphrase"):
        find_passphrase(tmp_path / "state", tmp_path / "file", None, print)


def test_a_passphrase_that_was_elsewhere(tmp_path: Path) -> None:
    """
    Where keys are sealed already, none is made up.
    """
    (tmp_path / "trust.db").touch()

    with pytest.raises(PassphraseError, match="a passphrase that is not kept there") as caught:
        find_passphrase(tmp_path, None, None, print)
    assert PASSPHRASE in str(caught.value.remedy)


# --- running -------------------------------------------------------------------------------------------------------


def test_embedded(tmp_path: Path) -> None:
    """
    A server for a block: it is there inside, keeps its state between two, and is gone after.
    """
    keys = []
    for _ in range(2):
        with Embedded(tmp_path / "state") as server:
            keys.append(fetch(f"{server.url}{TUF}timestamp.key"))
            port = int(server.url.rpartition(":")[2])
        assert not accepts(port)

    assert keys[0] == keys[1]


def test_embedded_without_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a folder it makes one, which goes away with it.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Embedded() as server:
        assert fetch(f"{server.url}/v2/") == b"{}"
        assert list(tmp_path.iterdir())
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("listen", ["localhost:0", "[::1]:0"])
def test_names_and_ipv6(tmp_path: Path, listen: str) -> None:
    """
    A name is listened on as what it stands for, and IPv6 addresses stand in brackets.
    """
    with Process(tmp_path / "state", "--listen", listen) as server:
        assert fetch(f"{server.url}/v2/") == b"{}"


def test_embedded_that_cannot_be(tmp_path: Path) -> None:
    """
    A server that does not start says why.
    """
    (tmp_path / "cert").write_text("nothing")

    with (
        pytest.raises(StartError, match="no certificate with its key"),
        Embedded(tmp_path / "state", tls_cert=tmp_path / "cert", tls_key=tmp_path / "cert"),
    ):
        pass


def test_tls(tmp_path: Path, authority: Authority) -> None:
    """
    Over https the certificate is the one given, from TLS 1.2 on.
    """
    pair = authority.server()
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2

    with Embedded(tmp_path / "state", tls_cert=pair.cert, tls_key=pair.key) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert fetch(f"{server.url}/v2/", trusting) == b"{}"


def test_it_ends_in_good_order(tmp_path: Path) -> None:
    """
    Asked to end, it finishes the upload that is under way, answers it, and exits with 0.
    """
    with Process(tmp_path / "state") as server:
        body = Publisher(server).first()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST {TUF} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['Content-Type']}\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:100])
            time.sleep(0.2)
            os.kill(server.pid, signal.SIGTERM)
            time.sleep(0.2)
            client.sendall(body[100:])
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert server.terminate() == 0
        assert not accepts(server.port)

    with Process(tmp_path / "state") as server:
        assert read(server) == dict.fromkeys([ROOT, TARGETS, SNAPSHOT, TIMESTAMP], 1)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """
    A parent that is killed leaves no worker on the port, so the next server has it for itself.
    """
    with Process(tmp_path / "state", "--workers", "2") as server:
        assert len(server.workers()) == 2
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while accepts(server.port):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """
    A worker may die; another takes its place.
    """
    with Process(tmp_path / "state") as server:
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while server.workers() in ([], [worker]) or not accepts(server.port):
            assert time.monotonic() < deadline
            time.sleep(0.02)

        assert server.get("/v2/") == b"{}"


def test_workers_agree(tmp_path: Path) -> None:
    """
    Whoever was told that their upload is taken reads it from every worker, though each remembers answers.
    """
    with Process(tmp_path / "state", "--workers", "2") as server:
        publisher = Publisher(server)
        assert server.ask("POST", TUF, publisher.first())[0] == 200
        for version in range(2, 30):
            assert server.ask("POST", TUF, publisher.next(version))[0] == 200
            seen = [
                json.loads(server.get(f"{TUF}{role}.json") or b"")["signed"]["version"]
                for role in [TARGETS, TIMESTAMP] * 4
            ]
            assert seen == [version] * 8


def test_a_stalled_upload_stops_nobody(tmp_path: Path) -> None:
    """
    Uploads that do not go on hold nobody up, however many.
    """
    with Process(tmp_path / "state") as server:
        stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        for client in stalled:
            client.sendall(f"POST {TUF} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n--b".encode())
        time.sleep(0.1)

        begun = time.monotonic()
        publisher = Publisher(server)
        assert server.ask("POST", TUF, publisher.first())[0] == 200
        assert read(server)[TARGETS] == 1
        assert time.monotonic() - begun < 5
        for client in stalled:
            client.close()


@pytest.mark.parametrize("form_of", ["text", "json"])
def test_the_log(tmp_path: Path, form_of: str) -> None:
    """
    Asked for it, there is a line for each request on standard error.
    """
    with Process(tmp_path / "state", "--log", form_of) as server:
        server.get("/v2/")
        server.get("/nothing")
        server.terminate()
        lines = server.rest().splitlines()

    asked = [json.loads(line) for line in lines] if form_of == "json" else [line.split() for line in lines]
    assert [200, 404] == [int(line["status"] if isinstance(line, dict) else line[4]) for line in asked]


@pytest.mark.slow
def test_kill_at_any_moment(tmp_path: Path) -> None:
    """
    Killed at a random moment of uploads, the server comes back with a whole collection, in which every upload is
    that was answered, and at most one that was not.
    """
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    times = 200 if os.environ.get("TRUSTREG_FULL") else 20
    sent = answered = 0
    publisher: Publisher | None = None
    for _ in range(times):
        with Process(tmp_path / "state") as server:
            if publisher is None:
                publisher = Publisher(server)
                assert server.ask("POST", TUF, publisher.first())[0] == 200
                sent = answered = 1
            versions = read(server)
            assert versions[TARGETS] in {answered, sent}, f"seed {seed}"
            assert versions[TARGETS] == versions[SNAPSHOT] == versions[TIMESTAMP], f"seed {seed}"
            threading.Timer(chance.uniform(0, 0.2), server.kill).start()
            answered = sent = versions[TARGETS]
            try:
                while True:
                    sent = answered + 1
                    assert server.ask("POST", TUF, publisher.next(sent))[0] == 200
                    answered = sent
            except (ConnectionError, http.client.HTTPException):
                pass
    assert answered > times, "it was killed while it took uploads"
