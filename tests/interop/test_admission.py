"""The webhook end to end: a registry, a trust server, keys, and reviews over TLS as an API server sends them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography import x509

import trustreg
from tests.peers import Skopeo, Trustreg, docker_registry, image, trustreg_serve
from tests.peers.gpg import gpg_home
from tests.peers.webhook import WebhookPeer, pod_review, webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers import Authority, RegistryPeer
    from tests.peers.process import Peer

HOST = "registry.example"


@dataclass(frozen=True)
class Scene:
    """Images that are signed in every way, and a policy with a rule for each of these ways."""

    registry: RegistryPeer
    trust: Peer
    author: Trustreg
    policy: Path
    at: Path

    def push(self, name: str, seed: str = "") -> str:
        """Push an image that nobody else has; return its digest."""
        return Skopeo(self.registry).push(image(seed or name), name)

    @property
    def env(self) -> dict[str, str]:
        """What the webhook wants to find in its environment."""
        return {"TRUSTREG_CONFIG": str(self.author.config), "DOCKER_CONFIG": str(self.author.docker_config)}

    def publisher(self, store: Path, days: int = 0) -> trustreg.Publisher:
        """Return who publishes in a folder, so many days ago."""
        at = datetime.now(UTC) - timedelta(days=days)
        where: dict[str, Any] = {"store": f"dir:{store}", "trust_dir": self.at / "keys", "clock": lambda: at}
        return trustreg.Publisher(config=self.author.config, env=self.author.env, **where)

    def serve(self, authority: Authority, *args: str, **more: Any) -> Any:
        """Run a webhook that remembers nothing of the world for longer than a moment."""
        where = ["--reuse", "0s", "--trust-dir", str(self.at / "webhook"), *args]
        return webhook(self.policy, authority, *where, env=self.env, **more)


@pytest.fixture(scope="module")
def scene(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One of everything."""
    at = tmp_path_factory.mktemp("admission")
    with docker_registry() as registry, trustreg_serve(tls=authority) as trust, gpg_home() as gpg:
        author = Trustreg(trust, at / "author", registry=registry)
        with author.config.open("a") as config:  # after the entry of the registry
            config.write(f"\nsignatures = {json.dumps(['tag', f'lookaside:{at}/lookaside'])}\n")
        made = Scene(registry, trust, author, at / "policy.yaml", at)
        for name in ("signed:1", "signed:2", "signed:moved", "gpg:1", "gpg:none", "key:other", "mixed:2", "mixed:1"):
            made.push(name)
        release = gpg.generate("release")
        (at / "release.gpg").write_bytes(gpg.public(release))
        ci, stranger = (author.run("key", "generate", "--role", role).stdout.split()[0] for role in ("ci", "stranger"))
        author.run("key", "export", ci, "--public", "--output", at / "ci.pub")
        by_gpg = ("sign", "--gpg", release, "--gpg-home", gpg.home, "--to", f"lookaside:{at}/lookaside")
        author.run("init", f"{HOST}/signed")
        author.run("sign", f"{HOST}/signed:1", f"{HOST}/signed:moved")
        made.push("signed:moved", "something else")
        author.run(*by_gpg, f"{HOST}/gpg:1", f"{HOST}/mixed:2", f"{HOST}/mixed:1")
        author.run("sign", "--key", ci, f"{HOST}/mixed:2")
        author.run("sign", "--key", stranger, f"{HOST}/key:other")
        for name, days in (("old", 4000), ("back", 0)):
            made.push(f"{name}:1")
            publisher = made.publisher(at / name, days)
            publisher.init(f"{HOST}/{name}")
            publisher.sign(f"{HOST}/{name}:1")
        made.policy.write_text(json.dumps(_policy(made)))
        yield made


def _policy(scene: Scene) -> dict[str, Any]:
    (pin,) = scene.author.verifier().verify(f"{HOST}/signed:1").root_keyids[:1]
    gpg, key = {"gpg": "release"}, {"key": "ci"}

    def stored(name: str) -> dict[str, Any]:
        return {"collection": {"store": f"dir:{scene.at}/{name}", "first_use": True}}

    rules = {
        "signed": {"collection": {"pins": [pin], "offline_grace": "1h"}},
        "nograce": {"collection": {"first_use": True, "offline_grace": "0s"}},
        "gpg": gpg,
        "key": key,
        "mixed": {"at_least": 2, "of": [gpg, key, {"collection": {"first_use": True}}]},
        "old": stored("old"),
        "back": stored("back"),
    }
    return {
        "version": 1,
        "keys": {"release": {"gpg": "release.gpg"}, "ci": {"key": "ci.pub"}},
        "rules": [{"match": f"{HOST}/{name}", "name": name, "require": require} for name, require in rules.items()],
        "default": "reject",
        "admission": {
            "pin": "pin",
            "break_glass": {"annotation": "team.example/break-glass", "users": ["admin"]},
        },
    }


@pytest.fixture(scope="module")
def hook(scene: Scene, authority: Authority) -> Iterator[WebhookPeer]:
    """A webhook for all."""
    with scene.serve(authority, "--environment", "tests") as peer:
        yield peer


CASES = [
    ("signed:1", True, ""),
    ("signed:2", False, "unsigned"),
    ("signed:moved", False, "moved"),
    ("gpg:1", True, ""),
    ("gpg:none", False, "no-signature"),
    ("key:other", False, "no-signature"),
    ("mixed:2", True, ""),
    ("mixed:1", False, "no-signature"),
    ("old:1", False, "expired"),
    ("back:1", True, ""),
    ("nobody/knows:1", False, "reject"),
]


@pytest.mark.parametrize(("name", "allowed", "reason"), CASES, ids=[case[0] for case in CASES])
def test_verdicts(hook: WebhookPeer, name: str, allowed: bool, reason: str) -> None:
    """
    Signed, unsigned, moved, by GPG alone, by somebody else, two of three, expired; each by its own rule.
    """
    response = hook.admit(f"{HOST}/{name}")
    record = hook.records[-1]

    assert (response["allowed"], record["images"][0]["image"]) == (allowed, f"{HOST}/{name}")
    assert reason in ("", *record["images"][0]["reasons"]), record
    if not allowed:
        assert f"{HOST}/{name}" in response["status"]["message"]
    assert (record["service"], record["environment"]) == ("trustreg-admission", "tests")


def test_pinned(hook: WebhookPeer, scene: Scene) -> None:
    """
    What is let in by /mutate is what was judged; /validate changes nothing; an ImageReview has its own door.
    """
    digest = Skopeo(scene.registry).push(image("signed:1"), "signed:1")
    patch = json.loads(base64.b64decode(hook.admit(f"{HOST}/signed:1", path="/mutate")["patch"]))
    assert patch[-1]["value"] == f"{HOST}/signed:1@{digest}"
    assert "patch" not in hook.admit(f"{HOST}/signed:1")
    spec = {"containers": [{"image": f"{HOST}/signed:1"}, {"image": f"{HOST}/signed:2"}], "namespace": "team"}
    document = {"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "spec": spec}
    assert hook.review(document, "/imagereview")["allowed"] is False


def test_rolled_back(hook: WebhookPeer, scene: Scene) -> None:
    """
    A store that is put back to what it was is refused, whatever was decided before.
    """
    store = scene.at / "back"
    shutil.copytree(store, scene.at / "before")
    scene.push("back:2")
    scene.publisher(store).sign(f"{HOST}/back:2")
    assert hook.admit(f"{HOST}/back:2")["allowed"]
    shutil.rmtree(store)
    shutil.copytree(scene.at / "before", store)

    response = hook.admit(f"{HOST}/back:1")

    assert not response["allowed"]
    assert hook.records[-1]["images"][0]["reasons"] == ["rollback"]


def test_trust_server_down(hook: WebhookPeer, scene: Scene) -> None:
    """
    Inside the grace, what is remembered will do, and it is said; where there is none, it is not known. Nothing of that
    is remembered when the server is back.
    """
    scene.push("nograce:1")
    scene.author.run("init", f"{HOST}/nograce")
    scene.author.run("sign", f"{HOST}/nograce:1")
    assert hook.admit(f"{HOST}/signed:1", f"{HOST}/nograce:1")["allowed"]
    with scene.trust.down():
        inside, beyond = hook.admit(f"{HOST}/signed:1"), hook.admit(f"{HOST}/nograce:1")
        record = hook.records[-1]
    after = hook.admit(f"{HOST}/signed:1", f"{HOST}/nograce:1")

    assert inside["allowed"]
    assert "cannot be reached; this is as of" in " ".join(inside["warnings"])
    assert not beyond["allowed"]
    assert record["images"][0]["verdict"] == "unknown"
    assert (after["allowed"], after.get("warnings")) == (True, None)


def test_registry_down(hook: WebhookPeer, scene: Scene) -> None:
    """
    A tag is not known then, however lately it was; a digest that was judged is what it was.
    """
    digest = Skopeo(scene.registry).push(image("signed:1"), "signed:1")
    assert hook.admit(f"{HOST}/signed@{digest}")["allowed"]
    with scene.registry.down():
        by_tag, by_digest = hook.admit(f"{HOST}/signed:1"), hook.admit(f"{HOST}/signed@{digest}")

    assert not by_tag["allowed"]
    assert "offline" in by_tag["status"]["message"]
    assert by_digest["allowed"]
    assert hook.admit(f"{HOST}/signed:1")["allowed"]


def test_what_is_no_review(hook: WebhookPeer) -> None:
    """
    400 without a uid and for what is no review, 413 for too much, 404 and 405 elsewhere; never 500.
    """
    without = pod_review(f"{HOST}/signed:1")
    del without["request"]["uid"]
    sent: list[tuple[str, str, Any]] = [
        ("POST", "/validate", without),
        ("POST", "/validate", b"{"),
        ("POST", "/mutate", []),
        ("POST", "/imagereview", pod_review()),
        ("POST", "/validate", b" " * (9 << 20)),
        ("GET", "/validate", None),
        ("POST", "/healthz", {}),
        ("GET", "/", None),
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
    ]
    assert [hook.ask(*each)[0] for each in sent] == [400, 400, 400, 400, 413, 405, 405, 404, 200, 200]


def _hammer(hook: WebhookPeer, until: threading.Event, ask: Callable[[], Any], found: list[Any]) -> None:
    while not until.is_set():
        try:
            found.append(ask())
        except Exception as exc:  # noqa: BLE001 # it is what the test is about
            found.append(exc)


def _under_load(hook: WebhookPeer, ask: Callable[[], Any], change: Callable[[], None]) -> list[Any]:
    """Ask all the time, in four threads, while *change* is made; return every answer."""
    over, found = threading.Event(), list[Any]()
    threads = [threading.Thread(target=_hammer, args=(hook, over, ask, found)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        change()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return found


def test_certificate_replaced_under_load(hook: WebhookPeer, authority: Authority) -> None:
    """
    Not one handshake fails while the certificate is replaced, again and again, by keys of other kinds, and by the
    turning over of a link as Kubernetes does it; what is of no use is passed over.
    """
    shown: set[int] = set()

    def ask() -> int:
        connection = hook.connect()
        try:
            connection.connect()
            raw = connection.sock.getpeercert(binary_form=True)
            shown.add(x509.load_der_x509_certificate(raw or b"").serial_number)
            connection.request("GET", "/healthz")
            return connection.getresponse().status
        finally:
            connection.close()

    def change() -> None:
        for number, pair in enumerate(pairs):
            generation = hook.directory / f"..{number}"
            generation.mkdir()
            (generation / "tls.crt").write_bytes(pair[0])
            (generation / "tls.key").write_bytes(pair[1])
            _turn(hook.directory / "..data", generation)
            for name in ("tls.crt", "tls.key"):
                if not (hook.directory / name).is_symlink():
                    _turn(hook.directory / name, hook.directory / "..data" / name)
            time.sleep(1.15)

    pairs = _pairs(authority)
    found = _under_load(hook, ask, change)

    assert set(found) == {200}
    assert len(found) > 50
    assert len(shown) == 4  # the first, two more, none for what is of no use, and the last
    assert hook.metrics()['trustreg_admission_reloads_total{outcome="failed",what="certificate"}'] == 1


def _turn(link: Path, target: Path) -> None:
    made = link.with_name("..made")
    made.symlink_to(target)
    made.rename(link)


def _pairs(authority: Authority) -> list[tuple[bytes, bytes]]:
    """Return certificates with their keys: elliptic, RSA, one of no use, and elliptic again."""
    pairs: list[tuple[bytes, bytes]] = []
    for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA, None, trustme.KeyType.ECDSA):
        if kind is None:
            pairs.append((pairs[0][0], pairs[1][1]))
            continue
        pair = authority.issue("webhook", "127.0.0.1", "localhost", kind=kind)
        pairs.append((pair.cert.read_bytes(), pair.key.read_bytes()))
    return pairs


def test_policy_replaced_under_load(scene: Scene, authority: Authority) -> None:
    """
    Each review is answered by the one policy or the other while it is replaced; a broken one is passed over and said.
    """
    document = json.loads(scene.policy.read_text())

    def write(text: str) -> None:
        (scene.at / "new").write_text(text)
        (scene.at / "new").rename(scene.policy)
        time.sleep(1.2)

    with scene.serve(authority, "--trusted-for", "0s") as hook:
        connection_of, made = threading.local(), list[Any]()

        def ask() -> bool:
            if not hasattr(connection_of, "made"):
                connection_of.made = hook.connect()
                made.append(connection_of.made)
            return bool(hook.review(pod_review(f"{HOST}/gpg:1"), connection=connection_of.made)["allowed"])

        def change() -> None:
            time.sleep(0.5)
            write(json.dumps({**document, "rules": [], "default": "reject"}))
            write("version: 1\nrules: nonsense\n")
            states.append(json.loads(hook.ask("GET", "/readyz")[1]))
            write(json.dumps(document))

        states: list[Any] = []
        found = _under_load(hook, ask, change)
        ready, metrics = json.loads(hook.ask("GET", "/readyz")[1]), hook.metrics()
        assert hook.admit(f"{HOST}/gpg:1")["allowed"]
        for connection in made:
            connection.close()

    assert set(found) == {True, False}
    assert found[0] is True
    assert "policy.yaml" in states[0]["policy"]["problem"]
    assert (ready["ready"], ready["policy"]["problem"]) == (True, None)
    assert metrics['trustreg_admission_reloads_total{outcome="failed",what="policy"}'] == 1
    assert metrics['trustreg_admission_reloads_total{outcome="loaded",what="policy"}'] == 2
    assert metrics["trustreg_admission_failures_total"] == 0


def test_drain(scene: Scene, authority: Authority) -> None:
    """
    SIGTERM ends it with 0, after the review that is under way was answered; nobody else is let in meanwhile.
    """
    with scene.serve(authority) as hook:
        assert hook._process is not None
        found: list[Any] = []
        with scene.registry.paused():
            slow = threading.Thread(target=lambda: found.append(hook.admit(f"{HOST}/signed:1")))
            slow.start()
            time.sleep(0.5)
            os.kill(hook.pid, signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(OSError, match="refused"):
                hook.ask("GET", "/healthz")
        slow.join()
        code = hook._process.wait(10)

    assert [response["allowed"] for response in found] == [True]
    assert code == 0


def test_what_is_counted(hook: WebhookPeer, scene: Scene) -> None:
    """
    Decisions by rule, verdict, reason and mode; questions to others; and when everything expires that is in use.
    """
    hook.admit(f"{HOST}/signed:1", f"{HOST}/gpg:none")
    found = hook.metrics()

    labels = 'allowed="false",mode="enforce",reason="no-signature",rule="gpg",verdict="untrusted"'
    assert found[f"trustreg_admission_decisions_total{{{labels}}}"] >= 1
    assert any(name.startswith("trustreg_admission_upstream_calls_total") for name in found)
    expiries = {name: seconds for name, seconds in found.items() if name.startswith("trustreg_admission_expiry")}
    roles = [name for name in expiries if f'{HOST}/signed timestamp"' in name]
    assert len(roles) == 1
    assert any('kind="certificate"' in name for name in expiries)
    assert found["trustreg_admission_ready"] == 1
