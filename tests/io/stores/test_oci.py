"""A registry keeps a collection beside its images: in one piece, by one publisher at a time, and believed by nobody."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
import sys
import threading
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.io.rogue import Rogue, reply
from tests.peers import docker_registry, write_docker_config
from trustreg.errors import (
    ConflictError,
    ContentError,
    OfflineError,
    ServerError,
    TakenError,
    TooLargeError,
    UnauthorizedError,
)
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.stores import oci
from trustreg.io.stores.oci import OciStore
from trustreg.io.stores.writers import Writers
from trustreg.io.tls import Tls
from trustreg.names import Reference
from trustreg.ports import Write
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.io.rogue import Request

OCI = "application/vnd.oci.image.manifest.v1+json"
ROOT = Write(path="1.root.json", data=b"root 1")


def read(store: OciStore, path: str) -> bytes | None:
    return store.fetch(Want("x", path, 1000))


def tagged(registry: HttpRegistry, repository: Reference, tag: str) -> dict[str, Any]:
    raw = registry.manifest(Reference(repository.domain, repository.path, tag)).raw
    content: dict[str, Any] = json.loads(raw)
    return content


def announce(registry: HttpRegistry, repository: Reference, ago: float, writer: str = "0" * 16) -> OciStore:
    """Announce another publisher, who has been at it for that many seconds."""
    other = OciStore(registry, repository, writer=writer)
    other._announce(other._moment() - ago)
    return other


# --- what it looks like ------------------------------------------------------------------------


def test_it_is_an_artifact_that_other_tools_can_read(registry: HttpRegistry, repository: Reference) -> None:
    """One layer for each file, titled, under one tag."""
    store = OciStore(registry, repository)
    store.write([ROOT])
    store.upload("a/d.file", BytesIO(b"target"), 6)

    def layer(title: str, data: bytes, kind: str) -> dict[str, Any]:
        return {
            "mediaType": f"application/vnd.trustreg.{kind}",
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "size": len(data),
            "annotations": {"org.opencontainers.image.title": title},
        }

    digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert tagged(registry, repository, "trustreg") == {
        "schemaVersion": 2,
        "mediaType": OCI,
        "artifactType": "application/vnd.trustreg.collection.v1",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2},
        "layers": [
            layer("1.root.json", b"root 1", "metadata.v1+json"),
            layer("targets/a/d.file", b"target", "target.v1"),
        ],
    }


def test_a_reader_sees_one_state(registry: HttpRegistry, repository: Reference) -> None:
    """That of its first look, whatever is published meanwhile; and all of a publication or nothing."""
    OciStore(registry, repository).write([ROOT, Write(path="timestamp.json", data=b"1")])
    reader = OciStore(registry, repository)
    assert read(reader, "timestamp.json") == b"1"
    OciStore(registry, repository).write(
        [Write(path="2.root.json", data=b"root 2"), Write(path="timestamp.json", data=b"2", was=b"1")]
    )
    with pytest.raises(TakenError):
        OciStore(registry, repository).write(
            [Write(path="3.root.json", data=b"root 3"), Write(path="timestamp.json", data=b"3", was=b"1")]
        )

    assert [read(reader, "timestamp.json"), read(reader, "2.root.json")] == [b"1", None]
    assert sorted(OciStore(registry, repository).names()) == ["1.root.json", "2.root.json", "timestamp.json"]


def test_several_collections_may_be_in_one_repository(registry: HttpRegistry, repository: Reference) -> None:
    """Each under its tag."""
    OciStore(registry, repository, tag="one").write([ROOT])

    assert read(OciStore(registry, repository), "1.root.json") is None
    assert read(OciStore(registry, repository, tag="one"), "1.root.json") == ROOT.data


def test_it_may_become_empty(registry: HttpRegistry, repository: Reference) -> None:
    """A manifest has to have a layer; that is nobody's file."""
    store = OciStore(registry, repository)
    store.write([ROOT])
    store.remove(["1.root.json"])

    assert list(OciStore(registry, repository).names()) == []
    OciStore(registry, repository).write([ROOT])


def test_a_manifest_has_a_size(registry: HttpRegistry, repository: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files than it can list are refused before anything is changed."""
    OciStore(registry, repository).write([ROOT])
    monkeypatch.setattr(oci, "LARGEST", 600)
    with pytest.raises(TooLargeError, match="which lists 2 files"):
        OciStore(registry, repository).write([Write(path="2.root.json", data=b"x")])

    assert list(OciStore(registry, repository).names()) == ["1.root.json"]


def test_it_takes_the_login_of_the_images(tmp_path: Path) -> None:
    """And says so where there is none."""
    with docker_registry(htpasswd={"bob": "s3cret"}) as peer:
        repository = Reference.parse(f"{peer.host}/team/app")
        http = Http({}, Tls({}, str(tmp_path)))

        def store() -> OciStore:
            keyring = DockerCredentials({"DOCKER_CONFIG": str(tmp_path)}, str(tmp_path))
            return OciStore(HttpRegistry(Auth(http), keyring), repository)

        with pytest.raises(UnauthorizedError, match="there is none here"):
            store().write([ROOT])
        write_docker_config(tmp_path, peer.login())
        store().upload("d.file", BytesIO(b"x" * 3_000_000), 3_000_000)
        store().write([ROOT])
        assert read(store(), "1.root.json") == ROOT.data


# --- one publisher at a time ---------------------------------------------------------------------


def test_publishers_take_back_what_they_announced(registry: HttpRegistry, repository: Reference) -> None:
    """Whether it went well or not; and use their announcement again."""
    store = OciStore(registry, repository, writer="ab" * 8)
    store.write([ROOT])
    with pytest.raises(TakenError):
        store.write([Write(path="1.root.json", data=b"x")])

    assert "annotations" not in tagged(registry, repository, f"trustreg-writer-{'ab' * 8}")
    assert OciStore(registry, repository)._others() == []


@pytest.mark.parametrize("writer", ["0" * 16, "f" * 16])
def test_while_somebody_is_publishing_nobody_else_does(
    registry: HttpRegistry, repository: Reference, writer: str
) -> None:
    """It is waited for, for some time; whoever is first in order waits where it is."""
    other = announce(registry, repository, ago=0, writer=writer)
    with pytest.raises(ConflictError, match=writer):
        OciStore(registry, repository, writer="7" * 16, patience=0.2).write([ROOT])
    assert list(OciStore(registry, repository).names()) == []

    timer = threading.Timer(0.2, other._announce, [None])
    timer.start()
    OciStore(registry, repository, writer="7" * 16).write([ROOT])
    timer.join()
    assert list(OciStore(registry, repository).names()) == ["1.root.json"]


def test_a_dead_publisher_counts_for_ten_minutes(registry: HttpRegistry, repository: Reference) -> None:
    """By the registry's clock."""
    announce(registry, repository, ago=590)
    with pytest.raises(ConflictError):
        OciStore(registry, repository, patience=0).write([ROOT])
    announce(registry, repository, ago=610)
    OciStore(registry, repository, patience=0).write([ROOT])


def test_a_dead_publisher_from_here_is_not_waited_for(
    registry: HttpRegistry, repository: Reference, tmp_path: Path
) -> None:
    """Its name is free, and nobody can be it while it is ours. One that lives is waited for."""
    first, dead = Writers(tmp_path), Writers(tmp_path)
    first.claim()
    announce(registry, repository, ago=0, writer=dead.claim())
    with pytest.raises(ConflictError):
        OciStore(registry, repository, writers=Writers(tmp_path), patience=0).write([ROOT])
    name = dead.claim()
    del dead
    OciStore(registry, repository, writers=first, patience=0).write([ROOT])

    assert "annotations" not in tagged(registry, repository, f"trustreg-writer-{name}")
    assert list(OciStore(registry, repository).names()) == ["1.root.json"]


def test_a_slow_publisher_gives_up(registry: HttpRegistry, repository: Reference) -> None:
    """When it is about to replace the tag five minutes after it announced itself."""
    OciStore(registry, repository, clock=partial(next, itertools.count(0, 299))).write([ROOT])
    with pytest.raises(ConflictError, match="longer than the 300 s"):
        OciStore(registry, repository, clock=partial(next, itertools.count(0, 301))).write(
            [Write(path="2.root.json", data=b"x")]
        )

    assert list(OciStore(registry, repository).names()) == ["1.root.json"]


def test_what_is_no_announcement_is_not_guessed_at(registry: HttpRegistry, repository: Reference) -> None:
    """Somebody has to look at it."""
    OciStore(registry, repository, tag=f"trustreg-writer-{'0' * 16}").write([ROOT])
    with pytest.raises(ServerError, match="announce") as caught:
        OciStore(registry, repository).write([ROOT])
    assert caught.value.remedy == "remove that tag"


def test_whoever_replaces_the_tag_without_a_word_is_noticed(
    registry: HttpRegistry, repository: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication is read back."""
    store, other = OciStore(registry, repository), OciStore(registry, repository)
    put = store._tag_as

    def overwritten(tag: str, raw: bytes) -> None:
        put(tag, raw)
        if tag == "trustreg":
            other._tag_as(tag, raw.replace(b"1.root", b"9.root"))

    monkeypatch.setattr(store, "_tag_as", overwritten)
    with pytest.raises(TakenError):
        store.write([ROOT])


def test_without_an_answer_the_announcement_stays(
    registry: HttpRegistry, repository: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry may be at it still; the same publisher may try again at once."""
    store = OciStore(registry, repository)
    put = store._tag_as

    def lost(tag: str, raw: bytes) -> None:
        if tag == "trustreg":
            raise OfflineError("registry", "there was no answer in time")
        put(tag, raw)

    monkeypatch.setattr(store, "_tag_as", lost)
    with pytest.raises(OfflineError):
        store.write([ROOT])
    monkeypatch.undo()
    with pytest.raises(ConflictError):
        OciStore(registry, repository, patience=0).write([ROOT])
    store.write([ROOT])
    OciStore(registry, repository, patience=0).write([ROOT])


def test_a_publisher_may_be_killed(repository: Reference, registry: HttpRegistry) -> None:
    """Readers see a whole state, and the same publisher goes on."""
    script = f"""
import itertools
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.stores.oci import OciStore
from trustreg.io.tls import Tls
from trustreg.names import Reference
from trustreg.ports import Write
registry = HttpRegistry(Auth(Http({{}}, Tls({{}}, "/"))), DockerCredentials({{}}, "/"))
store, before = OciStore(registry, Reference.parse({str(repository)!r}), writer="a" * 16), None
for n in itertools.count(1):
    stamp = str(n).encode()
    store.write([Write(path=f"{{n}}.snapshot.json", data=stamp), Write(path="timestamp.json", data=stamp, was=before)])
    before = stamp
    print(n, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        threading.Event().wait(0.15)
        process.send_signal(signal.SIGKILL)
    reader = OciStore(registry, repository)
    stamp = read(reader, "timestamp.json") or b""
    expected = [*(f"{n}.snapshot.json" for n in range(1, int(stamp) + 1)), "timestamp.json"]

    assert sorted(reader.names()) == sorted(expected)
    OciStore(registry, repository, writer="a" * 16).write([Write(path="timestamp.json", data=b"next", was=stamp)])


# --- registries that mean no good ------------------------------------------------------------------


def serve(*layers: object, **blobs: bytes) -> Callable[[Request], bytes]:
    content = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "artifactType": "application/vnd.trustreg.collection.v1",
        "config": {},
        "layers": layers,
    }

    def answer(request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        if "/manifests/" in request.target:
            return reply(200, json.dumps(content).encode(), content_type=OCI)
        return reply(200, blobs["blob"])

    return answer


def layer(**more: object) -> dict[str, object]:
    title = {"org.opencontainers.image.title": "timestamp.json"}
    return {"digest": f"sha256:{hashlib.sha256(b'x').hexdigest()}", "size": 1, "annotations": title, **more}


@pytest.mark.parametrize(
    "bad",
    [
        7,
        layer(digest="sha256:0"),
        layer(digest=7),
        layer(size="1"),
        layer(size=True),
        layer(size=-1),
        layer(annotations=[]),
        layer(annotations={"org.opencontainers.image.title": 7}),
    ],
)
def test_what_is_no_collection_is_no_answer(registry: HttpRegistry, bad: object) -> None:
    """It is not an empty one."""
    with Rogue(serve(layer(), bad)) as server:
        store = OciStore(registry, Reference.parse(f"{server.host}/app"))
        with pytest.raises(ServerError, match="no collection"):
            read(store, "timestamp.json")


def test_an_image_is_no_collection(registry: HttpRegistry) -> None:
    """Whatever it is called."""

    def answer(request: Request) -> bytes:
        return reply(400) if request.method == "TLS" else reply(200, b'{"layers":[]}', content_type=OCI)

    with Rogue(answer) as server, pytest.raises(ServerError, match="no collection"):
        read(OciStore(registry, Reference.parse(f"{server.host}/app")), "timestamp.json")


@pytest.mark.parametrize(("blob", "error"), [(b"y", ContentError), (b"xx", TooLargeError), (b"", ContentError)])
def test_a_file_has_the_digest_that_is_listed(registry: HttpRegistry, blob: bytes, error: type[Exception]) -> None:
    """And its length."""
    with Rogue(serve(layer(), blob=blob)) as server, pytest.raises(error):
        read(OciStore(registry, Reference.parse(f"{server.host}/app")), "timestamp.json")


def test_names_that_lead_elsewhere_are_not_listed(registry: HttpRegistry) -> None:
    """Whoever mirrors a collection writes down what is listed."""
    bad = [layer(annotations={"org.opencontainers.image.title": title}) for title in ("..", "../x", "targets/a", "a/b")]
    with Rogue(serve(layer(), *bad)) as server:
        assert list(OciStore(registry, Reference.parse(f"{server.host}/app")).names()) == ["timestamp.json"]


def test_an_upload_that_leads_elsewhere_takes_no_login_along(tmp_path: Path) -> None:
    """The file goes there; the password does not."""
    with Rogue(lambda _: reply(201)) as there:

        def answer(request: Request) -> bytes:
            if request.method == "TLS":
                return reply(400)
            if "authorization" not in request.headers:
                return reply(401, www_authenticate="Basic realm=x")
            if request.method == "POST":
                return reply(202, location=f"{there.url}/put?state=1")
            return reply(404 if request.method == "HEAD" else 500)

        with Rogue(answer) as server:
            write_docker_config(tmp_path, {server.host: ("bob", "s3cret")})
            keyring = DockerCredentials({"DOCKER_CONFIG": str(tmp_path)}, str(tmp_path))
            registry = HttpRegistry(Auth(Http({}, Tls({}, str(tmp_path)))), keyring)
            with pytest.raises(ServerError):  # the next step is not what this is about
                OciStore(registry, Reference.parse(f"{server.host}/app"), sleep=lambda _: None).upload(
                    "d.file", BytesIO(b"x"), 1
                )

    put = there.requests[0]
    digest = hashlib.sha256(b"x").hexdigest()
    assert (put.method, put.target, put.body) == ("PUT", f"/put?state=1&digest=sha256%3A{digest}", b"x")
    assert "authorization" not in put.headers


def test_a_list_of_tags_has_an_end(registry: HttpRegistry) -> None:
    """It is followed page by page, on the same host."""

    def pages(request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        if "last=b" in request.target:
            return reply(200, b'{"tags":["trustreg-writer-1"]}')
        if "tags" in request.target:
            return reply(200, b'{"tags":["b"]}', link='</v2/app/tags/list?last=b>; rel="next"')
        return reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    def away(request: Request) -> bytes:
        return reply(200, b'{"tags":null}', link="<http://127.0.0.1:1/x>") if request.method != "TLS" else reply(400)

    with Rogue(pages) as server, Rogue(away) as other:
        assert OciStore(registry, Reference.parse(f"{server.host}/app"))._others() == []
        with pytest.raises(ServerError, match="leads elsewhere"):
            OciStore(registry, Reference.parse(f"{other.host}/app"))._others()
    assert server.requests[-1].target == "/v2/app/manifests/trustreg-writer-1"
