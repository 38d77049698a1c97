"""Manifests come with a digest computed here, from whatever place an image really is, or a precise reason why not."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.io.rogue import Rogue, reply
from tests.peers import DOCKER, OCI, Authority, Skopeo, docker_registry, image, index, write_docker_config
from trustreg.errors import (
    ContentError,
    NotInRegistryError,
    OfflineError,
    ServerError,
    SettingError,
    TlsError,
    TooLargeError,
    UnauthorizedError,
)
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http, Timeouts
from trustreg.io.registry import HttpRegistry
from trustreg.io.tls import Tls, TlsFiles
from trustreg.names import Digest, Reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.images import Family
    from tests.io.rogue import Request

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def make(
    home: Path,
    *,
    ca: Path | None = None,
    insecure: tuple[str, ...] = (),
    trace: Callable[[str], None] | None = None,
    **more: Any,
) -> HttpRegistry:
    tls = Tls({}, str(home), {"*": TlsFiles(ca=str(ca))} if ca else None, system=())
    http = Http({}, tls, insecure=insecure, timeouts=Timeouts(5, 5, 10), trace=trace)
    return HttpRegistry(Auth(http), DockerCredentials({"DOCKER_CONFIG": str(home)}, str(home)), **more)


def manifest(**more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": {}, "layers": [], **more}).encode()


def serve(body: bytes, status: int = 200, **headers: str) -> Callable[[Request], bytes]:
    headers.setdefault("content_type", OCI_MANIFEST)
    return lambda r: reply(400) if r.method == "TLS" else reply(status, body, **headers)


def named(server: Rogue, rest: str = "/team/app:1") -> Reference:
    return Reference.parse(server.host + rest)


# --- the real one --------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
def test_an_image_is_found_by_tag_and_by_digest(tmp_path: Path, family: Family) -> None:
    """Behind a password, as manifest and as index, in both families of media types."""
    one = image("one", family)
    many = index("many", family)
    with docker_registry(htpasswd={"bob": "s3cret"}) as peer:
        write_docker_config(tmp_path, peer.login())
        for tag, pushed in (("one", one), ("many", many)):
            Skopeo(peer).push(pushed, f"team/app:{tag}")
            registry = make(tmp_path)

            by_tag = registry.manifest(Reference.parse(f"{peer.host}/team/app:{tag}"))
            by_digest = registry.manifest(Reference.parse(f"{peer.host}/team/app@{by_tag.digest}"))

            assert (pushed.manifest.hex, pushed.manifest.media_type) == (by_tag.digest.hex, by_tag.media_type)
            assert by_digest == by_tag
            assert by_tag.raw == pushed.manifest.raw


@pytest.mark.interop
def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    """Neither the tag nor the repository; that is an answer."""
    with docker_registry() as peer:
        Skopeo(peer).push(image("x"), "team/app:1")
        for rest in ("team/app:2", f"team/app@sha256:{'0' * 64}", "team/other:1"):
            with pytest.raises(NotInRegistryError) as caught:
                make(tmp_path).manifest(Reference.parse(f"{peer.host}/{rest}"))
            assert caught.value.image.startswith(f"{peer.host}/team/")


@pytest.mark.interop
def test_it_says_what_it_holds_without_handing_it_over(tmp_path: Path) -> None:
    """By tag and by digest, of images and of indexes; one request each, by HEAD."""
    many, lines = index("many"), list[str]()
    with docker_registry(htpasswd={"bob": "s3cret"}) as peer:
        write_docker_config(tmp_path, peer.login())
        Skopeo(peer).push(many, "team/app:many")
        registry = make(tmp_path, trace=lines.append)
        name = f"{peer.host}/team/app"

        assert str(registry.digest(Reference.parse(f"{name}:many"))) == many.digest
        lines.clear()
        assert str(registry.digest(Reference.parse(f"{name}@{many.digest}"))) == many.digest
        assert registry.digest(Reference.parse(f"{name}:none")) is None
        assert registry.digest(Reference.parse(f"{name}@sha256:{'0' * 64}")) is None
        assert [line.split()[0] for line in lines] == ["HEAD"] * 3


@pytest.mark.interop
def test_without_a_login_or_with_a_wrong_one(tmp_path: Path) -> None:
    """That is no answer, and the remedy is docker login."""
    with docker_registry(htpasswd={"bob": "s3cret"}) as peer:
        reference = Reference.parse(f"{peer.host}/team/app:1")
        with pytest.raises(UnauthorizedError, match="there is none here") as caught:
            make(tmp_path).manifest(reference)
        assert caught.value.remedy == f"log in: docker login {peer.host}"
        write_docker_config(tmp_path, {peer.host: ("bob", "wrong")})
        with pytest.raises(UnauthorizedError, match=r"config\.json: auths\..* is wrong"):
            make(tmp_path).manifest(reference)


@pytest.mark.interop
def test_over_tls_and_down(tmp_path: Path, authority: Authority) -> None:
    """With its CA; without it the answer is not asked for in plain; when it is down it is offline."""
    with docker_registry(tls=authority) as peer:
        Skopeo(peer).push(image("x"), "app:1")
        reference = Reference.parse(f"{peer.host}/app:1")
        assert make(tmp_path, ca=authority.ca_file).manifest(reference).digest
        with pytest.raises(TlsError, match="unknown authority"):
            make(tmp_path).manifest(reference)
        with peer.down(), pytest.raises(OfflineError):
            make(tmp_path).manifest(reference)


# --- hostile ones --------------------------------------------------------------------------------


def test_a_digest_that_lies_is_not_believed(tmp_path: Path) -> None:
    """By tag the true one is returned and the lie is traced, by digest other bytes are refused."""
    lie, lines = f"sha256:{'0' * 64}", list[str]()
    with Rogue(serve(manifest(), docker_content_digest=lie)) as server:
        registry = make(tmp_path, trace=lines.append)
        assert registry.manifest(named(server)).digest.hex == hashlib.sha256(manifest()).hexdigest()
        with pytest.raises(ContentError) as caught:
            registry.manifest(named(server, f"/team/app@{lie}"))

    assert caught.value.expected == lie
    assert any("it claims" in line for line in lines)


@pytest.mark.parametrize("head", [reply(200), reply(405), reply(404), reply(200, docker_content_digest="md5:1")])
def test_where_it_says_too_little_the_manifest_is_read(tmp_path: Path, head: bytes) -> None:
    """Whether it does not speak HEAD, or names no digest, or it is not sure that a registry says no."""
    with Rogue(lambda r: head if r.method == "HEAD" else serve(manifest())(r)) as server:
        found = make(tmp_path).digest(named(server))

    assert found == Digest("sha256", hashlib.sha256(manifest()).hexdigest())


def test_what_it_says_of_a_digest_is_whether_it_is_there(tmp_path: Path) -> None:
    """Whatever digest it names instead; and a page with 404 is no answer."""
    asked = f"sha256:{'1' * 64}"
    with Rogue(lambda _: reply(200, docker_content_digest=f"sha256:{'0' * 64}")) as server:
        assert str(make(tmp_path).digest(named(server, f"/a@{asked}"))) == asked
    page = reply(404, b"<html>")
    with Rogue(lambda r: reply(404) if r.method == "HEAD" else page) as server, pytest.raises(ServerError):
        make(tmp_path).digest(named(server, f"/a@{asked}"))


def test_a_digest_may_be_sha512(tmp_path: Path) -> None:
    """Then that is what is computed."""
    digest = f"sha512:{hashlib.sha512(manifest()).hexdigest()}"
    with Rogue(serve(manifest())) as server:
        assert str(make(tmp_path).manifest(named(server, f"/a@{digest}")).digest) == digest


def test_tag_and_digest_ask_for_the_tag(tmp_path: Path) -> None:
    """The caller compares; here it only counts what the tag is now."""
    with Rogue(serve(manifest())) as server:
        make(tmp_path).manifest(named(server, f"/a:1@sha256:{'0' * 64}"))

    assert server.requests[-1].target == "/v2/a/manifests/1"


@pytest.mark.parametrize(
    ("status", "body", "headers", "image"),
    [
        (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {}, "/team/app:1"),
        (404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}', {}, "/team/app"),
        (404, b'{"errors":[{"code":"NOT_FOUND"}]}', {}, "/team/app:1"),
        (404, b"", {"docker_distribution_api_version": "registry/2.0"}, "/team/app:1"),
    ],
)
def test_a_registry_says_no(tmp_path: Path, status: int, body: bytes, headers: dict[str, str], image: str) -> None:
    """In its own words, or at least under its own header."""
    with Rogue(serve(body, status, **headers)) as server, pytest.raises(NotInRegistryError) as caught:
        make(tmp_path).manifest(named(server))

    assert caught.value.image == server.host + image


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"<html>not found", ServerError),
        (404, b'{"errors":[{"code":"SOMETHING"}]}', ServerError),
        (404, b'{"error":"no"}', ServerError),
        (403, b"", UnauthorizedError),
        (500, b"", ServerError),
        (204, b"", ServerError),
        (302, b"", ServerError),
    ],
)
def test_everything_else_is_no_answer(tmp_path: Path, status: int, body: bytes, kind: type[Exception]) -> None:
    """A proxy's page is not "no such image"."""
    with Rogue(serve(body, status)) as server, pytest.raises(kind):
        make(tmp_path).manifest(named(server))


@pytest.mark.parametrize(
    ("body", "declared", "problem"),
    [
        (b"<html>", OCI_MANIFEST, "no manifest"),
        (b"[]", OCI_MANIFEST, "no manifest"),
        (manifest(), "text/html", "no image manifest"),
        (manifest(mediaType=[]), "", "no image manifest"),
        (manifest(mediaType=OCI_INDEX), OCI_MANIFEST, "calls itself"),
        (manifest(mediaType=7), OCI_MANIFEST, "calls itself 7"),
        (manifest(manifests=[]), OCI_INDEX, "at once"),
        (manifest(Manifests=[]), OCI_MANIFEST, "at once"),
        (b'{"schemaVersion":2,"manifests":[],"Layers":[]}', OCI_INDEX, "at once"),
        (b'{"schemaVersion":2,"manifests":[]}', OCI_MANIFEST, "at once"),
        (b'{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b'{"schemaVersion":1}', "application/json", "schema 1"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, body: bytes, declared: str, problem: str) -> None:
    """Content and Content-Type have to agree on what it is."""
    with Rogue(serve(body, content_type=declared)) as server, pytest.raises(ServerError, match=problem):
        make(tmp_path).manifest(named(server))


@pytest.mark.parametrize("declared", ["", "application/octet-stream", f"{OCI_INDEX}; charset=utf-8"])
def test_a_static_registry_may_not_know_the_type(tmp_path: Path, declared: str) -> None:
    """Then the content says it."""
    body = json.dumps({"mediaType": OCI_INDEX, "manifests": []}).encode()
    with Rogue(serve(body, content_type=declared)) as server:
        assert make(tmp_path).manifest(named(server)).media_type == OCI_INDEX


def test_a_manifest_has_a_size(tmp_path: Path) -> None:
    """Four mebibytes, as registries have it."""
    with Rogue(serve(b" " * (4 << 20) + b"x")) as server, pytest.raises(TooLargeError):
        make(tmp_path).manifest(named(server))


def test_headers_are_sent_along_and_cannot_change_what_is_asked(tmp_path: Path) -> None:
    """All four media types are accepted."""
    with Rogue(serve(manifest())) as server:
        make(tmp_path, headers={"X-Meta": "1", "Accept": "x/y"}).manifest(named(server))

    assert server.requests[-1].headers["x-meta"] == "1"
    assert server.requests[-1].headers["accept"].count("application/vnd.") == 4


# --- places --------------------------------------------------------------------------------------


def test_plain_http_is_found_out_once(tmp_path: Path) -> None:
    """TLS is tried first; what a host speaks is remembered."""
    with Rogue(serve(manifest())) as server:
        registry = make(tmp_path)
        registry.manifest(named(server))
        registry.manifest(named(server))

    assert [r.method for r in server.requests] == ["TLS", "GET", "GET"]


def test_another_host_is_never_asked_in_plain(tmp_path: Path) -> None:
    """Unless it was marked, what does not speak TLS is not spoken to."""
    with Rogue(serve(manifest())) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", server.port))])
        reference = Reference.parse(f"registry.example:{server.port}/app:1")
        with pytest.raises(TlsError, match="does not speak TLS"):
            make(tmp_path).manifest(reference)
        assert make(tmp_path, insecure=("registry.example",)).manifest(reference).digest

    assert [r.method for r in server.requests] == ["TLS", "TLS", "GET"]


@pytest.mark.parametrize(
    ("aliases", "reference", "target"),
    [
        ({"docker.io": "{host}"}, "alpine:3", "/v2/library/alpine/manifests/3"),
        ({"docker.io": "http://{host}/hub/"}, "alpine:3", "/v2/hub/library/alpine/manifests/3"),
        ({"r.example": "{host}", "r.example/a": "{host}/b"}, "r.example/a/x:1", "/v2/b/x/manifests/1"),
        ({"r.example": "{host}", "r.example/a": "nowhere.invalid"}, "r.example/ab:1", "/v2/ab/manifests/1"),
        ({"r.example/app": "{host}/other"}, "r.example/app:1", "/v2/other/manifests/1"),
    ],
)
def test_an_alias_says_where_an_image_really_is(
    tmp_path: Path, aliases: dict[str, str], reference: str, target: str
) -> None:
    """Whole components, the longest key first."""
    with Rogue(serve(manifest())) as server:
        places = {key: value.format(host=server.host) for key, value in aliases.items()}
        make(tmp_path, aliases=places).manifest(Reference.parse(reference))

    assert server.requests[-1].target == target


def test_the_login_is_that_of_the_real_place(tmp_path: Path) -> None:
    """The mirror gets the mirror's password, not Docker Hub's; the scope names its repository."""
    asked: list[Request] = []

    def answer(request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        if request.target.startswith("/token"):
            asked.append(request)
            return reply(body=b'{"token":"t"}')
        if "authorization" in request.headers:
            return reply(body=manifest(), content_type=OCI_MANIFEST)
        return reply(401, www_authenticate=f'Bearer realm="http://{request.headers["host"]}/token"')

    with Rogue(answer) as server:
        write_docker_config(tmp_path, {server.host: ("mirror", "m"), "https://index.docker.io/v1/": ("hub", "h")})
        make(tmp_path, aliases={"docker.io": f"{server.host}/hub"}).manifest(Reference.parse("alpine:3"))

    want = {"account": ["mirror"], "scope": ["repository:hub/library/alpine:pull"]}
    assert parse_qs(urlsplit(asked[0].target).query) == want


def test_docker_hub_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is not the address of its registry."""
    lines: list[str] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [])
    with pytest.raises(OfflineError, match=r"registry-1\.docker\.io"):
        make(tmp_path, trace=lines.append).manifest(Reference.parse("alpine"))

    assert lines[0].startswith("GET https://registry-1.docker.io/v2/library/alpine/manifests/latest: ")


@pytest.mark.parametrize("place", ["", "ftp://x", "http://u:p@x", "a b", "x#y"])
def test_an_alias_to_no_place_is_a_setting(tmp_path: Path, place: str) -> None:
    """And is named."""
    with pytest.raises(SettingError, match=r"aliases: r\.example"):
        make(tmp_path, aliases={"r.example": place}).manifest(Reference.parse("r.example/a:1"))
