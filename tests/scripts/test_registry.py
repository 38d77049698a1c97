"""The demonstration's registry and pusher, against each other and against the real ones."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.images import DOCKER, OCI, image, index
from scripts.mini_registry import MiniRegistry
from scripts.push_image import PushError, push
from tests.peers import RegistryPeer, Skopeo, docker_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.images import Family


@pytest.fixture
def mini() -> Iterator[MiniRegistry]:
    """A running registry of the demonstration's."""
    with MiniRegistry() as registry:
        yield registry


class Asker:
    """One kept connection to a registry."""

    def __init__(self, registry: MiniRegistry) -> None:
        self.connection = http.client.HTTPConnection(registry.host, timeout=5)

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Give status and body; ``headers`` are those of the last answer."""
        self.connection.request(method, path, body, {name.replace("_", "-"): it for name, it in headers.items()})
        response = self.connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()


@pytest.fixture
def ask(mini: MiniRegistry) -> Iterator[Asker]:
    """Ask the registry over one connection, so that every answer has to leave it in order."""
    asker = Asker(mini)
    yield asker
    asker.connection.close()


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
def test_what_is_pushed_is_served(mini: MiniRegistry, ask: Asker, family: Family) -> None:
    """
    A pushed index is served by tag and by digest, with its media type, its images and their blobs, byte for byte.
    """
    many = index("seed", family)

    assert push(many, mini.url, "demo/app", "1.0") == many.digest
    for reference in ("1.0", many.digest):
        assert ask("GET", f"/v2/demo/app/manifests/{reference}") == (200, many.manifest.raw)
        assert ask.headers["Content-Type"] == family.index
        assert ask.headers["Docker-Content-Digest"] == many.digest
    for one in many.images:
        assert ask("GET", f"/v2/demo/app/manifests/{one.digest}") == (200, one.manifest.raw)
        for blob in one.blobs:
            assert ask("GET", f"/v2/demo/app/blobs/{blob.digest}") == (200, blob.raw)
    assert ask("HEAD", "/v2/demo/app/manifests/1.0") == (200, b"")
    assert ask.headers["Content-Length"] == str(many.size)
    assert json.loads(ask("GET", "/v2/demo/app/tags/list")[1]) == {"name": "demo/app", "tags": ["1.0"]}


def test_a_tag_moves(mini: MiniRegistry, ask: Asker) -> None:
    """
    Pushing other bytes moves the tag; what it pointed to is still there by digest.
    """
    before, after = image("before"), image("after")
    push(before, mini.url, "demo/app", "1.0")
    push(after, mini.url, "demo/app", "1.0")

    assert ask("GET", "/v2/demo/app/manifests/1.0") == (200, after.manifest.raw)
    assert ask("GET", f"/v2/demo/app/manifests/{before.digest}") == (200, before.manifest.raw)


def test_what_refers_to_a_manifest_is_listed(ask: Asker) -> None:
    """
    Of any type or of one; with the digest that says so when it is pushed; until it is deleted.
    """
    subject, kind = f"sha256:{'ab' * 32}", "application/vnd.oci.image.index.v1+json"
    document = {
        "layers": [],
        "artifactType": "application/x",
        "annotations": {"a": "b"},
        "subject": {"digest": subject},
    }
    raw = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert ask("PUT", "/v2/demo/app/manifests/1.0", raw)[0] == 201
    assert ask.headers["OCI-Subject"] == subject

    def listed(query: str = "") -> list[str]:
        status, body = ask("GET", f"/v2/demo/app/referrers/{subject}{query}")
        assert (status, ask.headers["Content-Type"]) == (200, kind)
        assert all(entry["annotations"] == {"a": "b"} for entry in json.loads(body)["manifests"])
        return [entry["digest"] for entry in json.loads(body)["manifests"]]

    assert listed() == listed("?artifactType=application/x") == [digest]
    assert listed("?artifactType=application/y") == []
    assert ask("DELETE", f"/v2/demo/app/manifests/{digest}")[0] == 202
    assert listed() == []
    assert ask("GET", "/v2/demo/app/manifests/1.0")[0] == 404
    assert ask("DELETE", f"/v2/demo/app/manifests/{digest}")[0] == 404


def test_refusals_are_the_specifications(mini: MiniRegistry, ask: Asker) -> None:
    """
    Each refusal has the status and code that the specification names, and the connection goes on.
    """
    push(image("seed"), mini.url, "demo/app", "1.0")
    nothing = "sha256:" + 64 * "0"

    def code(method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        status, text = ask(method, path, body)
        return status, json.loads(text)["errors"][0]["code"]

    assert code("GET", "/v2/demo/app/manifests/2.0") == (404, "MANIFEST_UNKNOWN")
    assert code("GET", "/v2/demo/other/manifests/1.0") == (404, "MANIFEST_UNKNOWN")
    assert code("GET", f"/v2/demo/app/blobs/{nothing}") == (404, "BLOB_UNKNOWN")
    assert code("PUT", f"/v2/demo/app/manifests/{nothing}", b"{}") == (400, "DIGEST_INVALID")
    assert code("PUT", "/v2/demo/app/manifests/x", b"nonsense") == (400, "MANIFEST_INVALID")
    assert code("PUT", "/v2/demo/app/manifests/x", b'{"layers":[7]}') == (400, "MANIFEST_INVALID")
    assert code("PUT", "/v2/demo/app/manifests/x", image("other").manifest.raw) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert code("POST", f"/v2/demo/app/blobs/uploads/?digest={nothing}", b"x") == (400, "DIGEST_INVALID")
    assert code("PUT", f"/v2/demo/app/blobs/uploads/none?digest={nothing}", b"x") == (404, "BLOB_UPLOAD_UNKNOWN")
    assert code("GET", "/v2/../secrets") == (404, "UNSUPPORTED")
    assert ask("GET", "/v2/") == (200, b"{}")


def test_an_upload_can_come_in_pieces(ask: Asker) -> None:
    """
    PATCH adds to an upload, GET tells how far it is, PUT ends it.
    """
    blob = image("seed").blobs[0]
    ask("POST", "/v2/demo/app/blobs/uploads/")
    upload = ask.headers["Location"]

    assert ask("PATCH", upload, blob.raw[:10])[0] == 202
    assert ask("GET", upload)[0] == 204
    assert ask.headers["Range"] == "0-9"
    assert ask("PUT", f"{upload}?digest={blob.digest}", blob.raw[10:])[0] == 201
    assert ask("GET", f"/v2/demo/app/blobs/{blob.digest}") == (200, blob.raw)


@pytest.mark.parametrize("length", ["-1", "99999999999", "many"])
def test_an_absurd_length_is_refused_unread(ask: Asker, length: str) -> None:
    """
    A body that is said to be huge, or of no length at all, is refused before it is read.
    """
    status, _ = ask("PUT", "/v2/demo/app/manifests/x", Content_Length=length)

    assert status == 413
    assert ask.headers["Connection"] == "close"


def test_who_hangs_up_is_nothing_to_report(mini: MiniRegistry, ask: Asker, capfd: pytest.CaptureFixture[str]) -> None:
    """
    In the middle of a request; the others are served on.
    """
    _, host, port = mini.url.replace("//", "").split(":")
    for _ in range(10):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"POST /v2/demo/app/blobs/uploads/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset

    assert ask("GET", "/v2/")[0] == 200
    assert capfd.readouterr().err == ""


def test_skopeo_gets_along(mini: MiniRegistry, tmp_path: Path) -> None:
    """
    skopeo, which uploads in chunks, pushes into it and reads the same bytes back.
    """
    port = int(mini.host.rpartition(":")[2])
    address = RegistryPeer(tmp_path, port=port, directory=tmp_path, ca_file=None, credentials={})
    skopeo = Skopeo(address)

    for tag, what in {"one": image("seed"), "many": index("seed", DOCKER)}.items():
        skopeo.push(what, f"app:{tag}")
        assert skopeo.raw_manifest(f"app:{tag}") == what.manifest.raw


def test_the_pusher_gets_along_with_a_real_registry() -> None:
    """
    The pusher logs in to docker-registry, and is told when it may not.
    """
    with docker_registry(htpasswd={"alice": "correct horse"}) as registry:
        login = registry.login()[registry.host]
        for _ in range(2):  # the second time the blobs are there
            push(index("seed"), registry.url, "demo/app", "1.0", login)

        assert Skopeo(registry).raw_manifest("demo/app:1.0") == index("seed").manifest.raw
        with pytest.raises(PushError, match=r"HEAD /v2/demo/app/blobs/sha256:\w+: 401"):
            push(image("seed"), registry.url, "demo/app", "1.0")


def test_both_are_commands() -> None:
    """
    The registry and the pusher run from a shell with nothing but Python.
    """
    python = [sys.executable, "-S", "-m"]  # -S: without what is installed
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*python, "scripts.mini_registry", "--port", "0"], cwd=root, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        url = server.stdout.readline().split()[-1]
        pushed = subprocess.run(
            [*python, "scripts.push_image", url, "demo/app", "1.0"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        server.terminate()

    assert pushed.stdout.strip() == image("hello").digest
