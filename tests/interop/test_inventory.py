"""Stock is taken of what Go's tools have made, on both trust servers, beside a real registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scripts.images import image
from scripts.push_image import push
from tests.interop.conftest import TRUST_SERVERS
from tests.peers import GoNotary, Passphrases
from trustreg.names import Gun
from trustreg.sign.draft import Lifetimes
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers import DockerTrust, Peer, RegistryPeer, Trustreg


@pytest.fixture(params=TRUST_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A trust server with no other collections on it than those of the test."""
    with TRUST_SERVERS[request.param]() as peer:
        yield peer


def certified(folder: Path, name: str, *kind: str) -> Path:
    """Make a key and its certificate as people do for delegations; give the path of the certificate."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    words = ["-newkey", *kind, "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "90"]
    subprocess.run(["openssl", "req", "-x509", *words, "-subj", f"/CN={name}"], check=True, capture_output=True)
    return certificate


def test_what_go_has_made_is_listed_whole(
    server: Peer,
    open_registry: RegistryPeer,
    go_notary: Callable[..., GoNotary],
    people: Callable[..., Trustreg],
    gun: str,
    tmp_path: Path,
) -> None:
    """
    Delegations in certificates, three rotations of the root, a key of the snapshot that came from the server, tags that
    the registry has, serves otherwise or has lost; and of the server what was not deleted.
    """
    path, go = gun.partition("/")[2], go_notary(server)
    images = {tag: image(f"{path} {tag}") for tag in ("held", "moved", "gone")}
    for tag, what in images.items():
        push(what, open_registry.url, path, tag)
    go.init(gun, publish=True)
    kinds = {"alice": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "releases": ("rsa:2048",)}
    for name, kind in kinds.items():
        certificate = certified(tmp_path, name, *kind)
        go.key_import(certificate.with_suffix(".key"), role=name, gun=gun)
        go.delegation_add(gun, f"targets/{name}", certificate)
    go.publish(gun)
    for tag, what in images.items():
        go.addhash(gun, tag, what.size, sha256=what.digest[7:], roles=["targets/alice", "targets/releases"])
    go.addhash(gun, "old", 5, sha256=hashlib.sha256(b"hello").hexdigest())
    go.publish(gun)
    for role in ("root", "root", "root", "targets"):
        go.key_rotate(gun, role)
    go.key_rotate(gun, "snapshot", server_managed=True)
    go.init(f"{gun}-b", publish=True)
    go.delete(f"{gun}-b", remote=True)
    push(image("another"), open_registry.url, path, "moved")
    lost = f"{open_registry.url}/v2/{path}/manifests/{images['gone'].digest}"
    urllib.request.urlopen(urllib.request.Request(lost, method="DELETE")).close()  # noqa: S310 # a loopback http URL

    found = people(server, registry=open_registry).json("inventory", server.url)

    (one,) = found["collections"]
    assert (one["gun"], one["state"], one["firstUse"]) == (gun, "trusted", True)
    roles = {role["name"]: role for role in one["roles"]}
    assert {name: role["signer"] for name, role in roles.items() if role["delegator"] == "targets"} == {
        "targets/alice": "alice",
        "targets/releases": None,
    }
    assert roles["targets/alice"]["keys"][0]["certificate"]["subject"] == "alice"
    assert [roles[name]["keys"][0]["algorithm"] for name in ("targets/alice", "targets/releases")] == [
        "ecdsa P-256",
        "rsa 2048",
    ]
    assert {row.role: row.key_ids for row in go.delegation_list(gun)} == {
        name: tuple(key["plainId"] for key in roles[name]["keys"]) for name in ("targets/alice", "targets/releases")
    }
    assert roles["root"]["keys"][0]["plainId"] in {row.key_id for row in go.key_list() if row.role == "root"}
    assert [(root["served"], root["follows"]) for root in one["roots"]] == [(True, False)] + 5 * [(True, True)]
    signed = {row.name: (row.sha256, row.length) for row in go.list(gun)}
    assert {tag["tag"]: (tag["digest"][7:], tag["length"]) for tag in one["tags"]} == signed
    assert {tag["tag"]: (tag["registry"]["state"], tag["signers"]) for tag in one["tags"]} == {
        "gone": ("gone", ["alice"]),
        "held": ("held", ["alice"]),
        "moved": ("moved", ["alice"]),
        "old": ("gone", []),
    }
    assert {one["code"] for one in found["findings"] if one["level"] == "broken"} == {"image-gone", "tag-moved"}


def test_signers_are_those_that_docker_names(
    go_server_tls: Peer,
    docker_trust: Callable[..., DockerTrust],
    people: Callable[..., Trustreg],
    gun: str,
    tmp_path: Path,
) -> None:
    """
    By tag, and with their keys.
    """
    docker = docker_trust(go_server_tls)
    for name in ("alice", "bob"):
        docker.signer_add(name, gun, [docker.key_generate(name, tmp_path)])
    go = GoNotary(go_server_tls, docker.trust_dir, passphrases=docker.passphrases)
    for tag, names in {"both": ("alice", "bob"), "one": ("bob",), "none": ()}.items():
        roles = [f"targets/{name}" for name in ("releases", *names)]
        go.addhash(gun, tag, 5, sha256=hashlib.sha256(tag.encode()).hexdigest(), roles=roles)
    go.publish(gun)
    report = docker.inspect(gun)
    assert report

    one = _only(people(go_server_tls).run("inventory", "--format", "json", "--no-registry", gun).stdout)

    assert {tag["tag"]: tuple(tag["signers"]) or ("Repo Admin",) for tag in one["tags"]} == {
        tag.tag: tag.signers for tag in report.tags
    }
    keys = {role["signer"]: tuple(key["plainId"] for key in role["keys"]) for role in one["roles"] if role["signer"]}
    assert keys == report.signers


@pytest.mark.parametrize("server", ["notary-server", "trustreg-serve"], indirect=True)
def test_a_snapshot_that_its_publisher_let_expire(
    server: Peer, people: Callable[..., Trustreg], gun: str, tmp_path: Path
) -> None:
    """
    Go's server does not answer for it any more, ours does: the tags are listed either way, and trusted neither way.
    """
    flags = {"server": server.url, "trust_dir": str(tmp_path / "author")}
    env = {"HOME": str(tmp_path), **Passphrases().notary_env()}
    wiring = Wiring(flags, env, lambda: datetime.now(UTC))
    author = wiring.publisher()
    author._lifetimes = Lifetimes(snapshot=timedelta(seconds=2))
    wiring.init(Gun(gun), root_kind=None, kind="ecdsa", hold_snapshot=True)
    time.sleep(2)

    said = people(server).run("inventory", "--format", "json", "--no-registry", gun, check=False)
    one = _only(said.stdout)
    roles = {role["name"]: role["state"] for role in one["roles"]}

    if server.name.startswith("notary-server"):
        assert (said.returncode, one["state"], one["error"]["code"]) == (3, "unconfirmed", "server")
        assert roles == {"root": "unconfirmed", "targets": "unconfirmed", "snapshot": "unknown", "timestamp": "unknown"}
    else:
        assert (said.returncode, one["state"], one["error"]["code"]) == (1, "expired", "expired")
        assert roles == {
            "root": "unconfirmed",
            "targets": "unconfirmed",
            "snapshot": "expired",
            "timestamp": "unconfirmed",
        }


def _only(text: str) -> Any:
    (one,) = json.loads(text)["collections"]
    return one
