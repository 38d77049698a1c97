"""What the webhook talks to beside registries: a Redis, the API of the cluster, and who is told of alerts."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from tests.peers import Skopeo, docker_registry, image
from tests.peers.cluster import cluster
from tests.peers.redis import redis_server
from tests.peers.webhook import pod_review, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import Authority, RegistryPeer
    from tests.peers.webhook import WebhookPeer


@pytest.fixture(scope="module")
def private() -> Iterator[RegistryPeer]:
    """A registry that lets nobody in without a login."""
    with docker_registry(htpasswd={"alice": "correct horse"}) as peer:
        for number in range(4):
            Skopeo(peer).push(image(f"image {number}"), f"team/app:{number}")
        yield peer


@pytest.fixture
def policy(tmp_path: Path, private: RegistryPeer) -> Path:
    """A policy by which the image itself is looked at, and nobody has to have signed it."""
    found = tmp_path / "policy.yaml"
    accept = {"require": "dangerous_accept_anything", "of": "both"}
    found.write_text(json.dumps({"version": 1, "rules": [{"match": private.host, **accept}], "default": accept}))
    return found


@pytest.fixture
def login(tmp_path: Path, private: RegistryPeer) -> dict[str, str]:
    """The environment of a webhook that has a login of its own."""
    (tmp_path / "docker").mkdir()
    auth = {"username": "alice", "password": "correct horse"}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {private.host: auth}}))
    return {"DOCKER_CONFIG": str(tmp_path / "docker")}


def by_digest(registry: RegistryPeer, number: int) -> str:
    """Name an image by its digest."""
    return f"{registry.host}/team/app@{image(f'image {number}').digest}"


def test_redis_is_never_needed_and_never_believed(
    private: RegistryPeer, policy: Path, login: dict[str, str], authority: Authority
) -> None:
    """
    What one replica has fetched, another finds; what has another digest is fetched as if it were not there; and
    with a Redis that is killed, the answers are the same.
    """
    with redis_server() as redis:
        env = {**login, "TRUSTREG_ADMISSION_REDIS": f"redis://{redis.host}/0"}
        store = Redis(port=redis.port)
        with webhook(policy, authority, env=env) as first:
            assert first.admit(*(by_digest(private, number) for number in range(3)))["allowed"]
        names = {number: f"trustreg:1:{image(f'image {number}').digest}" for number in range(3)}
        assert all(store.get(name) == image(f"image {number}").manifest.raw for number, name in names.items())
        store.set(names[1], b"garbage")
        store.set(names[2], image("something else").manifest.raw)
        with webhook(policy, authority, env=env) as second:
            with private.down():
                found = [second.admit(by_digest(private, number))["allowed"] for number in range(3)]
            again = [second.admit(by_digest(private, number))["allowed"] for number in range(3)]
            redis.kill()
            after = second.admit(by_digest(private, 3))["allowed"]
            metrics = second.metrics()
        store.close()

    assert found == [True, False, False]
    assert again == [True, True, True]
    assert after
    assert metrics['trustreg_admission_upstream_calls_total{kind="redis",outcome="failed"}'] >= 1


@pytest.mark.parametrize("how", ["down", "silent", "no Redis"])
def test_a_redis_of_no_use(
    private: RegistryPeer, policy: Path, login: dict[str, str], authority: Authority, how: str
) -> None:
    """
    One that is down from the start, that accepts and says nothing, or that is something else, costs a moment.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if how == "silent":
            listener.listen()
        port = private.port if how == "no Redis" else listener.getsockname()[1]
        env = {**login, "TRUSTREG_ADMISSION_REDIS": f"redis://127.0.0.1:{port}/0"}
        with webhook(policy, authority, env=env) as hook:
            assert hook.admit(*(by_digest(private, number) for number in range(4)))["allowed"]
            assert hook.records[-1]["milliseconds"] < 5000


def test_pull_secrets_of_pods(private: RegistryPeer, policy: Path, authority: Authority, tmp_path: Path) -> None:
    """
    The login of the pod, or of its service account, opens the registry for it and nobody else; only what is named is
    read; and a secret has no program run.
    """
    alice, name = ("alice", "correct horse"), f"{private.host}/team/app:1"
    with cluster(authority) as api:
        api.secret("team", "pulls", private.host, alice, credsStore="evil", credHelpers={private.host: "evil"})
        api.secret("other", "wrong", private.host, ("alice", "wrong"))
        api.account("team", "default")
        api.account("accounts", "builder", "of-account")
        api.secret("accounts", "of-account", private.host, alice)
        env = {"KUBECONFIG": str(api.kubeconfig(tmp_path, authority.ca_file))}
        with webhook(policy, authority, "--pull-secrets", env=env) as hook:
            found = [
                hook.admit(name, spec={"imagePullSecrets": [{"name": "pulls"}]}),
                hook.admit(name, namespace="accounts", spec={"serviceAccountName": "builder"}),
                hook.admit(name, namespace="team"),
                hook.admit(name, namespace="other", spec={"imagePullSecrets": [{"name": "wrong"}]}),
                hook.admit(name, namespace="other", spec={"imagePullSecrets": [{"name": "absent"}]}),
            ]
            verdicts = [record["verdict"] for record in hook.records]
            log = hook.log

    assert [one["allowed"] for one in found] == [True, True, False, False, False]
    assert verdicts == ["trusted", "trusted", "unknown", "unknown", "unknown"]
    assert all("/secrets/" in path or "/serviceaccounts/" in path for path in api.asked)
    assert len(api.asked) == len(set(api.asked))  # each once: it is remembered for a while
    assert "correct horse" not in log


def test_owners(authority: Authority, tmp_path: Path) -> None:
    """
    Where owners are trusted, a pod passes by the owner that the cluster has, with that uid and those images by digest.
    """
    pinned, other = (f"registry.example/app@sha256:{digit * 64}" for digit in "ab")
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"version": 1, "rules": [], "default": "reject", "admission": {"trust_owners": True}}))
    with cluster(authority) as api:
        owner = api.replica_set("team", "app", pinned)
        env = {"KUBECONFIG": str(api.kubeconfig(tmp_path, authority.ca_file))}
        with webhook(policy, authority, "--pull-secrets", env=env) as hook:
            found = [
                hook.admit(pinned, owner=owner),
                hook.admit(other, owner=owner),
                hook.admit(pinned, owner={**owner, "uid": "another"}),
                hook.admit(pinned, owner={**owner, "name": "absent"}),
                hook.admit(pinned),
            ]

    assert [one["allowed"] for one in found] == [True, False, False, False, False]


def test_more_than_there_is_room_for(
    private: RegistryPeer, policy: Path, login: dict[str, str], authority: Authority
) -> None:
    """
    One review too many is told to come back, one that does not come in is ended, one that takes too long is answered
    in time, with the reason.
    """
    name = f"{private.host}/team/app:1"
    with webhook(policy, authority, "--max-reviews", "1", "--max-time", "1s", env=login) as hook:
        with private.paused():
            found: list[Any] = []
            slow = threading.Thread(target=lambda: found.append(hook.admit(name)))
            slow.start()
            time.sleep(0.3)
            refused = hook.ask("POST", "/validate", pod_review(name))[0]
            slow.join()
        with contextlib.closing(hook.connect()) as connection:
            connection.putrequest("POST", "/validate")
            connection.putheader("Content-Length", "100")
            connection.endheaders()
            late = connection.getresponse().status
        metrics = hook.metrics()
        assert hook.admit(name)["allowed"]

    assert (refused, late, found[0]["allowed"]) == (503, 408, False)
    assert "deadline" in found[0]["status"]["message"]
    assert metrics['trustreg_admission_requests_refused_total{status="503"}'] == 1


def test_heads_have_bounds(authority: Authority, tmp_path: Path) -> None:
    """
    Who sends a head without end, or a trailer, is cut off long before memory ends; and a body may be long.
    """
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"version": 1, "rules": [], "default": "reject"}))
    ways = (
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nA: ",
        b"POST /validate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: ",
    )
    with webhook(policy, authority) as hook:
        taken = [_endless(hook, begin) for begin in ways]
        assert hook.ask("POST", "/validate", b" " * (4 << 20))[0] == 400

    assert max(taken) < 16 << 20  # most of it what the systems on both sides hold


def _endless(hook: WebhookPeer, begin: bytes) -> int:
    """Send *begin* and then the same letter for ever; return how much of that was taken."""
    connection = hook.connect()
    connection.connect()
    sent = 0
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.sock.sendall(begin)
        while sent < 64 << 20:
            connection.sock.sendall(b"a" * 65_536)
            sent += 65_536
    return sent


def test_alerts(authority: Authority, tmp_path: Path) -> None:
    """
    A refusal and a broken glass are told, by each template, with no more of each than is allowed in a minute, so that
    no refusals hide a broken glass; what is only tried is not; and no address is shown.
    """
    policy = tmp_path / "policy.yaml"
    glass = {"annotation": "team.example/why", "users": ["admin"]}
    policy.write_text(json.dumps({"version": 1, "rules": [], "default": "reject", "admission": {"break_glass": glass}}))
    with receiver() as (url, told):
        alerts = tmp_path / "alerts"
        alerts.write_text(f"# who is told\nslack {url}/secret-path\ngeneric {url}/other\n")
        more = ("--alerts-file", str(alerts), "--alerts-per-minute", "2", "--environment", "tests")
        with webhook(policy, authority, *more) as hook:
            why = {"team.example/why": "fire <!here>"}
            hook.admit("registry.example/app:1", dry_run=True)
            hook.admit("registry.example/<app>:1")
            hook.admit("registry.example/app:1")
            hook.admit("registry.example/app:1")
            broken = hook.admit("registry.example/app:1", annotations=why, user="admin")
            hook.admit("registry.example/app:1")
            metrics = hook.metrics()
            hook.stop()
            log = hook.log

    assert broken["allowed"]
    slack = [body["text"] for path, body in told if path == "/secret-path"]
    generic = [body for path, body in told if path == "/other"]
    assert [body["event"] for body in generic] == ["refused", "refused", "break-glass"]
    assert [body["suppressed"] for body in generic] == [0, 0, 1]
    assert len(slack) == len(generic)
    assert metrics['trustreg_admission_alerts_total{outcome="dropped"}'] == 2
    assert "secret-path" not in log
    assert {body["environment"] for body in generic} == {"tests"}


class receiver:  # noqa: N801 # used as a function
    """Somebody who is told of alerts."""

    def __enter__(self) -> tuple[str, list[tuple[str, Any]]]:
        told: list[tuple[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take one."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}", told

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
