"""A notary server is read and written as the Go client does it, and its refusals keep their meaning."""

from __future__ import annotations

import base64
import json
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from tests.io.rogue import Rogue, reply
from tests.peers import GoNotary, notary_server
from trustreg.errors import (
    ConflictError,
    OfflineError,
    PublishRefusedError,
    ServerError,
    SettingError,
    TooLargeError,
    UnauthorizedError,
)
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http, Timeouts
from trustreg.io.notary import NotaryServer, multipart
from trustreg.io.tls import Tls
from trustreg.names import Gun
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.io.rogue import Request

ROOT = Want("root", "root.json", 100_000)


def make(
    url: str,
    home: Path,
    gun: str = "reg.example/team/app",
    *,
    env: dict[str, str] | None = None,
    write: bool = False,
    trace: Callable[[str], None] | None = None,
    **how: Any,
) -> NotaryServer:
    http = Http({}, Tls({}, str(home), system=()), timeouts=Timeouts(5, 5, 10), trace=trace)
    return NotaryServer(Auth(http), DockerCredentials(env or {}, str(home)), url, Gun(gun), write=write, **how)


def refused(code: str, message: str = "why", detail: object = None) -> bytes:
    entry = {"code": code, "message": message} | ({} if detail is None else {"detail": detail})
    return json.dumps({"errors": [entry]}).encode()


# --- the real one --------------------------------------------------------------------------------


@pytest.mark.interop
def test_a_collection_is_read(tmp_path: Path) -> None:
    """What Go has published: current files, and those by hash and version; in one request each, without a ping."""
    gun = "reg.example:5000/team/app"
    lines: list[str] = []
    with notary_server() as peer:
        GoNotary(peer, tmp_path / "trust").init(gun, publish=True)
        server = make(peer.url, tmp_path, gun, trace=lines.append)
        root = server.fetch(ROOT)
        assert root is not None
        assert json.loads(root)["signed"]["_type"] == "Root"
        assert server.fetch(Want("root", "1.root.json", 100_000)) == root
        assert server.fetch(Want("targets", f"targets.{'0' * 64}.json", 100_000)) is None
        assert make(peer.url, tmp_path, "reg.example/other").fetch(ROOT) is None
        with pytest.raises(TooLargeError):
            server.fetch(Want("root", "root.json", len(root) - 1))

    assert len(lines) == 4


@pytest.mark.interop
def test_a_collection_is_published_key_by_key_and_deleted(tmp_path: Path) -> None:
    """What Go would have sent is accepted; the same again is a conflict; deleted it is gone."""
    gun = "reg.example/team/app"
    with notary_server() as peer:
        GoNotary(peer, tmp_path / "trust").init(gun, publish=True)
        names = {role: f"{role}.json" for role in ("root", "targets", "snapshot")}
        server = make(peer.url, tmp_path, gun, write=True)
        files = {role: server.fetch(Want(role, name, 100_000)) or b"" for role, name in names.items()}

        with pytest.raises(ConflictError):
            server.publish(files)
        key = json.loads(server.server_key("timestamp"))
        assert key["keytype"] == "ed25519"
        assert json.loads(server.rotate_server_key("snapshot"))["keytype"] == "ed25519"
        server.delete()
        server.delete()
        assert server.fetch(ROOT) is None
        server.publish(files)
        assert server.fetch(ROOT) == files["root"]


@pytest.mark.interop
def test_faults_are_named_by_the_server(tmp_path: Path) -> None:
    """With the reason that it gives; an unknown role for a key is an answer that helps nobody."""
    with notary_server() as peer:
        server = make(peer.url, tmp_path, write=True)
        with pytest.raises(PublishRefusedError) as caught:
            server.publish({"root": b"{}"})
        assert caught.value.reason == "ErrBadRoot"
        assert "version" in caught.value.detail
        with pytest.raises(PublishRefusedError) as caught:
            server.publish({"root": b"{"})
        assert caught.value.reason == "MALFORMED_JSON"
        with pytest.raises(PublishRefusedError) as caught:
            server.publish({"evil": b"{}"})
        assert (caught.value.reason, caught.value.detail) == ("INVALID_ROLE", "evil")
        with pytest.raises(ServerError):
            server.server_key("root")


@pytest.mark.interop
def test_a_wrong_path_to_the_server_is_no_absence(tmp_path: Path) -> None:
    """The server answers METADATA_NOT_FOUND for any path; the base URL is what is wrong."""
    with notary_server() as peer, pytest.raises(ServerError, match="no trust server at this address"):
        make(f"{peer.url}/prefix/", tmp_path).fetch(ROOT)


@pytest.mark.interop
def test_down_is_offline(tmp_path: Path) -> None:
    """For reading and for writing."""
    with notary_server() as peer, peer.down():
        with pytest.raises(OfflineError):
            make(peer.url, tmp_path).fetch(ROOT)
        with pytest.raises(OfflineError):
            make(peer.url, tmp_path).publish({"root": b"{}"})


@pytest.mark.interop
def test_a_server_that_takes_no_replicas_is_named_so(tmp_path: Path) -> None:
    """And what is none at all is not."""
    with notary_server() as peer:
        with pytest.raises(PublishRefusedError, match="takes no replicas"):
            make(peer.url, tmp_path).replicate({"1.root": b"{}"})
        with pytest.raises(ServerError, match="no trust server"):
            make(f"{peer.url}/elsewhere", tmp_path).replicate({"1.root": b"{}"})


# --- absence -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"<html>404", b'{"error":"not found"}', refused("NAME_UNKNOWN"), b'{"errors":[]}']
)
def test_absence_is_said_by_a_trust_server_only(tmp_path: Path, body: bytes) -> None:
    """A proxy's 404, or a registry's, means that we do not know."""
    with Rogue(lambda _: reply(404, body)) as server, pytest.raises(ServerError, match="404"):
        make(server.url, tmp_path).fetch(ROOT)


def test_of_the_next_root_any_server_may_say_that_there_is_none(tmp_path: Path) -> None:
    """A web server that shows a copy of a collection has no words of a trust server."""
    with Rogue(lambda _: reply(404, b"<html>404")) as server:
        assert make(server.url, tmp_path).fetch(Want("root", "2.root.json", 100_000)) is None


@pytest.mark.parametrize(("ping", "absent"), [(200, True), (401, True), (404, False), (500, False)])
def test_without_detail_the_server_is_asked_whether_it_is_one(tmp_path: Path, ping: int, absent: bool) -> None:
    """Other servers than Go's may leave it out; a wrong path does too."""
    with Rogue(lambda r: reply(ping) if r.target == "/v2/" else reply(404, refused("METADATA_NOT_FOUND"))) as server:
        if absent:
            assert make(server.url, tmp_path).fetch(ROOT) is None
        else:
            with pytest.raises(ServerError):
                make(server.url, tmp_path).fetch(ROOT)


def test_with_detail_absence_takes_one_request(tmp_path: Path) -> None:
    """As Go's server says it."""
    with Rogue(lambda _: reply(404, refused("METADATA_NOT_FOUND", detail={}))) as server:
        assert make(server.url, tmp_path).fetch(ROOT) is None

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, UnauthorizedError), (403, UnauthorizedError), (500, ServerError), (204, ServerError)]
)
def test_everything_else_is_no_answer(tmp_path: Path, status: int, kind: type[Exception]) -> None:
    """Never absence."""
    with Rogue(lambda _: reply(status)) as server, pytest.raises(kind):
        make(server.url, tmp_path).fetch(ROOT)


# --- publishing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, refused("VERSION", detail={}), ConflictError, "why"),
        (500, refused("UPDATING"), ConflictError, "why"),
        (
            400,
            refused("INVALID_UPDATE", detail={"Name": "ErrBadTargets", "Error": {"Msg": "bad\x1b[1m"}}),
            PublishRefusedError,
            r"\(ErrBadTargets\): bad \[1m",
        ),
        (
            400,
            refused("INVALID_UPDATE", detail={"Name": "ErrBadHierarchy", "Error": {"Missing": "snapshot"}}),
            PublishRefusedError,
            r"\(ErrBadHierarchy\): snapshot is missing",
        ),
        (400, refused("INVALID_UPDATE", detail={"Name": "ErrX", "Error": 5}), PublishRefusedError, r"\(ErrX\): why"),
        (400, refused("INVALID_UPDATE", detail=[1]), PublishRefusedError, r"\(INVALID_UPDATE\): why"),
        (400, refused("INVALID_GUN", detail="Require GUNs with prefix: [a]"), PublishRefusedError, "prefix: .a"),
        (400, refused("NO_FILENAME"), PublishRefusedError, "NO_FILENAME"),
        (400, b"<html>", ServerError, "400"),
        (413, b"<html>", ServerError, "413"),
        (500, refused("NO_CRYPTOSERVICE"), ServerError, "NO_CRYPTOSERVICE: why"),
        (201, b"", ServerError, "201"),
        (302, b"", ServerError, "redirects"),
        (404, refused("METADATA_NOT_FOUND"), ServerError, "404"),
    ],
)
def test_a_refused_upload_keeps_its_meaning(
    tmp_path: Path, status: int, body: bytes, kind: type[Exception], text: str
) -> None:
    """A conflict can be retried, a fault has to be mended, anything else is not known to have failed."""
    with Rogue(lambda _: reply(status, body)) as server, pytest.raises(kind, match=text):
        make(server.url, tmp_path).publish({"root": b"{}"})


def test_an_upload_is_one_form_that_others_can_read(tmp_path: Path) -> None:
    """Each role a file, its bytes untouched; the same upload is the same bytes."""
    files = {"targets/releases": b'{"a":"\r\n--"}', "root": b"{}", "targets": b""}
    with Rogue(lambda _: reply()) as server:
        make(server.url, tmp_path, "reg.example:5000/team/ärger").publish(files)

    (sent,) = server.requests
    form = message_from_bytes(f"Content-Type: {sent.headers['content-type']}\r\n\r\n".encode() + sent.body)
    parts = {part.get_filename(): part.get_payload(decode=True) for part in form.get_payload()}  # type: ignore[union-attr]
    assert sent.target == "/v2/reg.example:5000/team/%C3%A4rger/_trust/tuf/"
    assert parts == files
    assert list(parts) == ["root", "targets", "targets/releases"]
    assert multipart(files) == multipart(dict(reversed(files.items())))


def test_an_upload_is_not_repeated_after_a_reset(tmp_path: Path) -> None:
    """It may have been done."""
    with Rogue(lambda _: None) as server, pytest.raises(OfflineError):
        make(server.url, tmp_path).publish({"root": b"{}"})

    assert len(server.requests) == 1


def test_a_key_has_a_size(tmp_path: Path) -> None:
    """As for the Go client, 256 KiB."""
    with Rogue(lambda _: reply(body=b"x" * 262_145)) as server, pytest.raises(TooLargeError):
        make(server.url, tmp_path).server_key("timestamp")


# --- getting in ----------------------------------------------------------------------------------


def needs_token(asked: list[str]) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        if request.target.startswith("/token"):
            asked.append(request.target)
            return reply(body=b'{"token":"t"}')
        if request.headers.get("authorization") == "Bearer t":
            return reply(body=b"{}")
        realm = f"http://{request.headers['host']}/token"
        return reply(401, refused("UNAUTHORIZED"), www_authenticate=f'Bearer realm="{realm}",service="notary"')

    return answer


def test_each_action_asks_for_its_rights(tmp_path: Path) -> None:
    """As the Go client names them; a publisher asks for push from the first request on."""
    asked: list[str] = []
    with Rogue(needs_token(asked)) as server:
        reader, writer = make(server.url, tmp_path), make(server.url, tmp_path, write=True)
        reader.fetch(ROOT)
        reader.fetch(ROOT)
        writer.fetch(ROOT)
        writer.server_key("timestamp")
        writer.publish({"root": b"{}"})
        writer.rotate_server_key("timestamp")
        writer.delete()

    scopes = [target.rpartition("%3A")[2] for target in asked]
    assert scopes == ["pull", "push%2Cpull", "%2A"]
    assert "scope=repository%3Areg.example%2Fteam%2Fapp%3Apull" in asked[0]


@pytest.mark.parametrize(
    ("keys", "notary_auth", "user"),
    [
        (["{host}", "reg.example"], True, "notary"),
        (["{host}", "reg.example"], False, "{host}"),
        (["reg.example"], False, None),
        (["reg.example/team", "{host}/reg.example/team"], False, "{host}/reg.example/team"),
    ],
)
def test_logins_are_tried_in_order_and_kept_from_strangers(
    tmp_path: Path, keys: list[str], notary_auth: bool, user: str | None
) -> None:
    """NOTARY_AUTH, the server's, the registry's; the last only where the server is the registry's host."""
    asked: list[str] = []

    def answer(request: Request) -> bytes:
        got = request.headers.get("authorization", "")
        asked.append(base64.b64decode(got.removeprefix("Basic ")).decode())
        return reply(body=b"{}") if got else reply(401, www_authenticate="Basic realm=x")

    with Rogue(answer) as server:
        names = [key.format(host=server.host) for key in keys]
        auths = {name: {"auth": base64.b64encode(f"{name.replace(':', '+')}:pw".encode()).decode()} for name in names}
        (tmp_path / ".docker").mkdir()
        (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": auths}))
        env = {"NOTARY_AUTH": base64.b64encode(b"notary:pw").decode()} if notary_auth else {}
        if user is None:
            with pytest.raises(UnauthorizedError, match="held back"):
                make(server.url, tmp_path, env=env).fetch(ROOT)
        else:
            make(server.url, tmp_path, env=env).fetch(ROOT)
            assert asked[-1] == f"{user.format(host=server.host.replace(':', '+'))}:pw"

    assert asked[0] == ""


def test_whoever_names_an_image_does_not_get_notary_auth(tmp_path: Path) -> None:
    """Where nobody set a server it is the image's host, and that may be anybody's."""
    asked: list[str] = []

    def answer(request: Request) -> bytes:
        asked.append(request.headers.get("authorization", ""))
        return reply(401, www_authenticate="Basic realm=x")

    env = {"NOTARY_AUTH": base64.b64encode(b"notary:hunter2").decode()}
    with Rogue(answer) as server:
        notary = make(server.url, tmp_path, env=env, named=False)
        with pytest.raises(UnauthorizedError, match="there is none here") as caught:
            notary.fetch(ROOT)

    assert set(asked) == {""}
    assert f"name the server: --server {server.url}" in str(caught.value.remedy)


def test_who_gets_a_copy_gets_no_login_of_the_source(tmp_path: Path) -> None:
    """Neither NOTARY_AUTH nor that of the registry that the collection is named after."""
    asked: list[str] = []

    def answer(request: Request) -> bytes:
        asked.append(request.headers.get("authorization", ""))
        return reply(401, www_authenticate="Basic realm=x")

    env = {"NOTARY_AUTH": base64.b64encode(b"notary:hunter2").decode()}
    with Rogue(answer) as server:
        (tmp_path / ".docker").mkdir()
        login = {"auth": base64.b64encode(b"registry:hunter2").decode()}
        for host, got in ((server.host, {"", f"Basic {login['auth']}"}), ("reg.example", {""})):
            del asked[:]
            (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {host: login}}))
            with pytest.raises(UnauthorizedError) as caught:
                make(server.url, tmp_path, "reg.example/app", env=env, copies=True).replicate({})
            assert set(asked) == got
            assert "NOTARY_AUTH" not in str(caught.value.remedy)


@pytest.mark.parametrize(
    "base", ["", "notary.example", "ftp://n", "https://u:hunter2@n", "https://n/?a=hunter2", "https://n/#a"]
)
def test_an_address_that_cannot_be_used_is_a_setting(tmp_path: Path, base: str) -> None:
    """Told before anything is asked, and without what it may hold."""
    with pytest.raises(SettingError) as caught:
        make(base, tmp_path)

    assert "hunter2" not in str(caught.value)


def test_plain_http_elsewhere_is_refused(tmp_path: Path) -> None:
    """Nothing would prove who answers."""
    with pytest.raises(SettingError, match="plain http"):
        make("http://notary.example", tmp_path).fetch(ROOT)


def test_it_is_named_by_its_address(tmp_path: Path) -> None:
    """As it was set, without the slash."""
    assert make("https://Notary.example:443/a/", tmp_path).where == "https://notary.example/a"
