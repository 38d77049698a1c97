"""The harness itself: the real peers come up, work, and fail where they should."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.peers import (
    DOCKER,
    OCI,
    Authority,
    CommandError,
    GoNotary,
    PeerError,
    Skopeo,
    TargetRow,
    docker_registry,
    image,
    index,
    notary_server,
    notary_server_with_signer,
    require,
)
from tests.peers.process import Peer, accepts, workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.images import Family
    from tests.peers import DockerTrust, RegistryPeer


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A file to sign."""
    file = tmp_path / "payload"
    file.write_bytes(b"hello\n")
    return file


SHA256 = hashlib.sha256(b"hello\n").hexdigest()


def test_go_collection(go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, payload: Path) -> None:
    """
    One person publishes, another reads the same; and what is staged, unknown or other than signed shows as such.
    """
    publisher, reader = go_notary(go_server), go_notary(go_server)

    publisher.init(gun)
    publisher.add(gun, "v1", payload)
    publisher.addhash(gun, "name with  spaces", 6, sha256=SHA256)
    staged = publisher.status(gun)
    publisher.publish(gun)

    assert [(change.action, change.role, change.path) for change in staged] == [
        ("create", "targets", "v1"),
        ("create", "targets", "name with  spaces"),
    ]
    assert publisher.status(gun) == []
    assert [
        TargetRow("name with  spaces", SHA256, 6, "targets"),
        TargetRow("v1", SHA256, 6, "targets"),
    ] == reader.list(gun)
    assert TargetRow("v1", SHA256, 6, None) == reader.lookup(gun, "v1")
    assert reader.lookup(gun, "v2") is None
    assert reader.verify(gun, "v1", b"hello\n")
    assert not reader.verify(gun, "v1", b"hullo\n")


def test_go_delegations_and_rotation(
    go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, payload: Path, tmp_path: Path
) -> None:
    """
    The whole of what a Go publisher can do to a collection works without a person to answer.
    """
    go = go_notary(go_server)
    cert, key = signer(tmp_path)
    go.init(gun, publish=True)

    go.delegation_add(gun, "targets/releases", cert, publish=True)
    go.key_import(key, role="targets/releases")
    go.delegation_add(gun, "targets/nightly", cert, paths=["nightly", "weekly"], publish=True)
    go.add(gun, "v1", payload, roles=["targets/releases"], publish=True)
    go.witness(gun, "targets/releases", publish=True)
    go.key_rotate(gun, "snapshot", server_managed=True)
    go.key_rotate(gun, "timestamp", server_managed=True)
    go.key_rotate(gun, "targets")
    go.key_rotate(gun, "root")

    nightly, releases = sorted(go.delegation_list(gun), key=lambda row: row.role)
    assert (releases.role, releases.paths, releases.threshold) == ("targets/releases", ("",), 1)
    assert ("targets/nightly", ("nightly", "weekly"), releases.key_ids) == (
        nightly.role,
        nightly.paths,
        nightly.key_ids,
    )
    assert [TargetRow("v1", SHA256, 6, "targets/releases")] == go_notary(go_server).list(gun)
    assert {"root", "targets", "targets/releases"} == {row.role for row in go.key_list()}

    go.delegation_purge(gun, *releases.key_ids, publish=True)
    assert [row.key_ids for row in go.delegation_list(gun)] == [(), ()]
    go.delegation_remove(gun, "targets/nightly", publish=True)
    assert [row.role for row in go.delegation_list(gun)] == ["targets/releases"]

    go.addhash(gun, "v2", 6, sha256=SHA256)
    go.reset(gun)
    assert go.status(gun) == []
    go.delete(gun, remote=True)
    with pytest.raises(CommandError, match="does not have trust data"):
        go.list(gun)


def test_go_keys(go_server: Peer, go_notary: Callable[..., GoNotary], tmp_path: Path) -> None:
    """
    Keys move from one person to another by way of an export.
    """
    giver, taker = go_notary(go_server), go_notary(go_server)

    key_id = giver.key_generate("targets/releases")
    giver.key_export(tmp_path / "export.pem", key_id)
    taker.key_import(tmp_path / "export.pem")

    assert [key_id] == [row.key_id for row in taker.key_list()]
    taker.key_remove(key_id)
    assert taker.key_list() == []


def test_a_failing_command_says_everything(go_server: Peer, go_notary: Callable[..., GoNotary], gun: str) -> None:
    """
    The error of a peer's command has its arguments, its exit code and all that it printed.
    """
    with pytest.raises(CommandError) as caught:
        go_notary(go_server).list(gun)

    assert caught.value.result.returncode == 1
    assert f"list {gun}\nexit 1\n--- stdout\n" in str(caught.value)
    assert f"does not have trust data for {gun}" in str(caught.value)


def test_docker_trust(
    go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], go_notary: Callable[..., GoNotary], gun: str
) -> None:
    """
    Docker reads over https what Go signed, says nothing of what is not there, and adds and removes a signer.
    """
    go, docker = go_notary(go_server_tls), docker_trust(go_server_tls)

    assert docker.inspect(gun) is None
    go.init(gun)
    go.addhash(gun, "v1", 6, sha256=SHA256, publish=True)
    report = docker.inspect(gun)

    assert report is not None
    assert [(tag.tag, tag.sha256, tag.signers) for tag in report.tags] == [("v1", SHA256, ("Repo Admin",))]
    assert {"Root", "Repository"} == set(report.administrative_keys)


def test_docker_signers(
    go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], gun: str, tmp_path: Path
) -> None:
    """
    Docker begins a collection by adding a signer, adds another, and removes the first; Go signs with Docker's keys.
    """
    docker = docker_trust(go_server_tls)
    go = GoNotary(go_server_tls, docker.trust_dir, passphrases=docker.passphrases)
    public = docker.key_generate("alice", tmp_path)
    signer(tmp_path)

    docker.signer_add("alice", gun, [public])
    docker.signer_add("bob", gun, [tmp_path / "signer.pub"])
    go.addhash(gun, "v1", 6, sha256=SHA256, roles=["targets/alice", "targets/releases"], publish=True)
    added = docker.inspect(f"{gun}:v1")
    docker.signer_remove("alice", gun)
    removed = docker.inspect(gun)

    assert added is not None
    assert [tag.signers for tag in added.tags] == [("alice",)]
    assert set(added.signers) == {"alice", "bob"}
    assert removed is not None
    assert set(removed.signers) == {"bob"}


def test_docker_key_load(go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], tmp_path: Path) -> None:
    """
    A private key made by OpenSSL becomes a signer's.
    """
    docker = docker_trust(go_server_tls)
    _, private = signer(tmp_path)

    docker.key_load(private, "bob")

    assert [row.role for row in GoNotary(go_server_tls, docker.trust_dir).key_list()] == ["bob"]


def test_docker_wants_the_right_ca(docker_trust: Callable[..., DockerTrust], tmp_path: Path, gun: str) -> None:
    """
    The CA in Docker's directory is what makes https work, so a test with it proves something.
    """
    with notary_server(tls=Authority(tmp_path / "mine")) as server:
        docker = docker_trust(server)
        other = Authority(tmp_path / "other").ca_file
        (docker.config / "tls" / server.host / "ca.crt").write_bytes(other.read_bytes())

        with pytest.raises(CommandError, match="certificate"):
            docker.revoke(f"{gun}:v1")


def test_mutual_tls(authority: Authority, tmp_path: Path, gun: str) -> None:
    """
    A server with a client CA serves those who show a certificate, and nobody else.
    """
    clients = Authority(tmp_path / "clients")
    with notary_server(tls=authority, clients=clients) as server:
        GoNotary(server, tmp_path / "go" / "trust", client=clients.client()).init(gun, publish=True)

        with pytest.raises(CommandError, match=r"certificate|offline"):
            GoNotary(server, tmp_path / "stranger" / "trust").list(gun)


def test_down_and_paused() -> None:
    """
    A server can be down, where connections are refused, or frozen, where they hang, and comes back where it was.
    """
    with notary_server() as server:
        with server.down():
            assert not accepts(server.port)
            with pytest.raises(urllib.error.URLError, match="refused"):
                get(server, timeout=5)
        with server.paused(), pytest.raises(TimeoutError):
            get(server, timeout=0.3)
        assert get(server, timeout=5) == 200
        with pytest.raises(PeerError, match="is running already"):
            server.start()
        server.kill()
        assert not accepts(server.port)
        server.start()
        assert accepts(server.port)
        os.kill(server.pid, signal.SIGKILL)  # behind the harness's back
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        server.start()
        assert accepts(server.port)
    assert not accepts(server.port)


def test_keys_and_collections_outlive_the_server(go_notary: Callable[..., GoNotary], gun: str) -> None:
    """
    With PostgreSQL and a signer behind it a server that was killed goes on where it was, with the keys that it had.
    """
    with notary_server_with_signer() as server:
        go = go_notary(server)
        go.init(gun, publish=True)
        go.key_rotate(gun, "snapshot", server_managed=True)
        server.kill()
        server.start()
        go.addhash(gun, "v1", 6, sha256=SHA256, publish=True)

        assert [TargetRow("v1", SHA256, 6, "targets")] == go_notary(server).list(gun)


def test_a_server_that_cannot_start_shows_its_log() -> None:
    """
    A peer that exits at once is an error with what it said.
    """
    require("notary-server")
    with workspace("broken") as (directory, port):
        peer = Peer("broken", ["notary-server", "-config", "no.json"], port=port, directory=directory, env={})

        with pytest.raises(PeerError, match=r"(?s)exited with 1 before it listened.*no\.json"):
            peer.start()


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
def test_push(registry: RegistryPeer, gun: str, family: Family) -> None:
    """
    Images and indexes of both families arrive in a registry with a password file byte for byte.
    """
    repository = gun.rpartition("/")[2]
    skopeo = Skopeo(registry)

    for tag, what in {"one": image("seed", family), "many": index("seed", family)}.items():
        assert what.digest == skopeo.push(what, f"{repository}:{tag}")
        assert what.manifest.raw == skopeo.raw_manifest(f"{repository}:{tag}")
    assert Skopeo(registry, user="bob").tags(repository) == ["many", "one"]


def test_anonymous_is_refused(registry: RegistryPeer) -> None:
    """
    The password file is in force.
    """
    with pytest.raises(CommandError, match=r"(?i)unauthorized|authentication required"):
        Skopeo(registry, anonymous=True).push(image("seed"), "app:v1")


def test_registry_keeps_images_over_a_restart(authority: Authority) -> None:
    """
    An https registry that went down and came back has what it had.
    """
    with docker_registry(tls=authority) as registry:
        skopeo = Skopeo(registry)
        skopeo.push(image("seed"), "app:v1")
        with registry.down(), pytest.raises(CommandError):
            skopeo.raw_manifest("app:v1")

        assert image("seed").manifest.raw == skopeo.raw_manifest("app:v1")


def test_seeds_make_the_difference() -> None:
    """
    The same seed is the same digest, in this release and the next; another seed, platform or family is another.
    """
    assert image("seed") == image("seed")
    assert image("seed").digest == "sha256:238231ee63e0db24504f91f7d48af3bf47f481b7154b0e0aba0804f54cc40c51"
    assert len({image(seed, family).digest for seed in ("a", "b") for family in (OCI, DOCKER)}) == 4
    assert len({part.digest for part in index("seed").images}) == 2


def test_nobody_is_at_home(home: Path) -> None:
    """
    A test finds an empty home, Docker's directory inside it, and no setting of the developer's.
    """
    assert list(Path.home().iterdir()) == []
    assert Path.home() == home
    assert Path(os.environ["DOCKER_CONFIG"]).parent == home
    assert not {name for name in os.environ if name.startswith(("NOTARY_", "DOCKER_CONTENT_", "REQUESTS_"))}


def test_absent_peers_fail_on_ci_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where a peer is missing a test is skipped; under CI=true it fails.
    """
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-peer"):
        require("sh", "no-such-peer")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-peer"):
        require("sh", "no-such-peer")
    require("sh")


def get(server: Peer, timeout: float) -> int:
    """Ask *server* whether it is there; its status code."""
    with urllib.request.urlopen(f"{server.url}/v2/", timeout=timeout) as reply:  # noqa: S310 - our own URL
        status: int = reply.status
    return status


def signer(directory: Path) -> tuple[Path, Path]:
    """Make a signer's certificate and private key with OpenSSL; the public key is ``signer.pub`` beside them."""
    require("openssl")
    cert, key = directory / "signer.crt", directory / "signer.key"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=signer"
    subprocess.run(
        ["openssl", *make.split(), "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout", "-out", directory / "signer.pub"], check=True, capture_output=True
    )
    return cert, key
