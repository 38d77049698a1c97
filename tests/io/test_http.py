"""The HTTP client is bounded in time and size, gives nothing away, and says precisely what failed."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import (
    OfflineError,
    ServerError,
    SettingError,
    TooLargeError,
    UnauthorizedError,
)
from trustreg.io.address import Url, proxy_for
from trustreg.io.http import Http, PlainServerError, Reply, Timeouts, api_errors, clock_hint, plain, refusal
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.io.rogue import Request


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with make(tmp_path) as client:
        yield client


def make(
    home: Path,
    *,
    env: dict[str, str] | None = None,
    timeouts: Timeouts | None = None,
    insecure: tuple[str, ...] = (),
    trace: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Http:
    tls = Tls({}, str(home), system=())
    return Http(env or {}, tls, insecure=insecure, timeouts=timeouts or Timeouts(2, 2, 10), trace=trace, sleep=sleep)


def change(http: Http, method: str, url: str) -> Reply:
    return http.post(url, b"x", "a/b", limit=9) if method == "post" else http.delete(url, limit=9)


def test_an_answer_comes_back_with_its_headers(http: Http) -> None:
    """Status, headers by lower-case name and the body; we say who we are and ask for nothing packed."""
    with Rogue(lambda _: reply(201, b"hi", content_type="Text/Plain; charset=utf-8", x_a="1")) as server:
        got = http.get(server.url, limit=2)

    assert (got.status, got.body, got.media_type, got.headers["x-a"]) == (201, b"hi", "text/plain", "1")
    assert server.requests[0].headers["user-agent"].startswith("trustreg/")
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_connection_serves_many_requests(http: Http) -> None:
    """One connection is used again, one that the server has closed meanwhile is not."""
    with Rogue(
        lambda r: reply(body=r.target.encode(), connection="close" if r.target == "/2" else "keep-alive")
    ) as server:
        bodies = [http.get(f"{server.url}/{n}", limit=9).body for n in range(5)]

    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    assert server.connections == 2


def test_threads_share_a_client(http: Http) -> None:
    """Sixteen threads get each its own answer."""
    with Rogue(lambda r: reply(body=r.target.encode())) as server:
        got: dict[int, bytes] = {}

        def ask(number: int) -> None:
            got[number] = http.get(f"{server.url}/{number}", limit=9).body

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {n: f"/{n}".encode() for n in range(16)} == got


# --- bounds ------------------------------------------------------------------------------------


def endless(_: Request) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1000\r\n" + bytes(4096) + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        lambda _: reply(body=b"x" * 1001),
        lambda _: reply(body=b"x", content_length="99999999999999"),
        lambda _: b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2000,
        lambda _: reply(body=gzip.compress(bytes(1_000_000)), content_encoding="gzip"),
    ],
    ids=["endless", "longer", "announced", "unannounced", "gzip bomb"],
)
def test_too_much_is_refused(http: Http, answer: Callable[[Request], bytes]) -> None:
    """However it comes, more than the limit is refused and not read on."""
    with Rogue(answer) as server, pytest.raises(TooLargeError) as caught:
        http.get(server.url, limit=1000)

    assert caught.value.limit == 1000


def test_the_limit_itself_is_allowed(http: Http) -> None:
    """Exactly as many bytes as allowed, whole, chunked and packed."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    answers = {
        "/whole": reply(body=b"hello"),
        "/chunked": chunked,
        "/packed": reply(body=gzip.compress(b"hello" * 20), content_encoding="gzip"),
    }
    with Rogue(lambda r: answers[r.target]) as server:
        assert http.get(server.url + "/whole", limit=5).body == b"hello"
        assert http.get(server.url + "/chunked", limit=5).body == b"hello"
        assert http.get(server.url + "/packed", limit=100).body == b"hello" * 20


def test_an_endless_error_is_cut(http: Http) -> None:
    """What explains an error may be long; the status counts."""
    with Rogue(lambda _: [b"HTTP/1.1 500 No\r\n\r\n", *[b"<p>sorry" * 1000] * 100]) as server:
        got = http.get(server.url, limit=10)

    assert (got.status, len(got.body)) == (500, 65_536)


@pytest.mark.parametrize("where", ["status", "headers", "body", "chunks", "rest", "last"])
def test_a_slow_drip_ends_at_the_deadline(tmp_path: Path, where: str) -> None:
    """A byte now and then never exceeds a read timeout; the total does."""
    heads = {
        "status": b"",
        "headers": b"HTTP/1.1 200 OK\r\nX: ",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "rest": b"HTTP/1.0 200 OK\r\n\r\n",
        "last": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n",
    }

    def drip(_: Request) -> Iterator[bytes]:
        yield heads[where]
        while True:
            server.pause(0.05)
            yield b"1"

    started = time.monotonic()
    with (
        Rogue(drip) as server,
        make(tmp_path, timeouts=Timeouts(1, 1, 0.4)) as http,
        pytest.raises(OfflineError, match="not complete in time"),
    ):
        http.get(server.url, limit=10_000)

    assert time.monotonic() - started < 2


def test_a_proxy_that_drips_ends_at_the_deadline(tmp_path: Path) -> None:
    """So does one that takes its time to say whether it connects us."""

    def drip(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX: "
        while True:
            proxy.pause(0.05)
            yield b"1"

    started = time.monotonic()
    with (
        Rogue(drip) as proxy,
        make(tmp_path, env={"https_proxy": proxy.host}, timeouts=Timeouts(1, 1, 0.4)) as http,
        pytest.raises(OfflineError, match="not complete in time"),
    ):
        http.get("https://example.org/", limit=10_000)

    assert time.monotonic() - started < 2


def test_an_explanation_that_drips_is_cut(tmp_path: Path) -> None:
    """The status is known, so it is no silence; of the rest there is what came in time."""

    def drip(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 404 No\r\nContent-Length: 1000\r\n\r\nnot he"
        while True:
            server.pause(0.05)
            yield b"r"

    with Rogue(drip) as server, make(tmp_path, timeouts=Timeouts(1, 1, 0.4)) as http:
        got = http.get(server.url, limit=10)

    assert got.status == 404
    assert got.body.startswith(b"not her") or got.body == b""


def test_a_redirect_is_read_no_further_than_an_error(http: Http) -> None:
    """Where it leads is in its headers."""

    def answer(request: Request) -> bytes | Iterator[bytes]:
        if request.target == "/there":
            return reply(body=b"there")
        return iter([b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", *[b"<p>moved" * 1000] * 1000])

    with Rogue(answer) as server:
        assert http.get(server.url, limit=9).body == b"there"


def test_a_long_upload_may_take_longer_than_a_timeout(tmp_path: Path) -> None:
    """The timeout is for a step, and so for a piece of what is sent."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            left = 8_000_000
            while left > 0:
                left -= len(connection.recv(400_000))
                time.sleep(0.02)
            connection.sendall(reply(200, b"", connection="close"))

    with socket.socket() as listener, make(tmp_path, timeouts=Timeouts(0.2, 5, 20)) as http:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        started = time.monotonic()
        got = http.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", bytes(8_000_000), "a/b", limit=9)
        thread.join()

    assert got.status == 200
    assert time.monotonic() - started > 0.3


def test_silence_ends_at_the_read_timeout(tmp_path: Path) -> None:
    """A server that takes the request and says nothing has not answered."""

    def wait(_: Request) -> bytes:
        server.pause(5)
        return b""

    with (
        Rogue(wait) as server,
        make(tmp_path, timeouts=Timeouts(1, 0.2, 5)) as http,
        pytest.raises(OfflineError, match="no answer in time"),
    ):
        http.get(server.url, limit=10)


# --- nobody answered ---------------------------------------------------------------------------


def test_refused_is_offline_after_a_second_try(tmp_path: Path) -> None:
    """Nobody listens: that is offline, said after one more try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    lines: list[str] = []
    with make(tmp_path, trace=lines.append) as http, pytest.raises(OfflineError, match="connection refused"):
        http.get(f"http://127.0.0.1:{port}/", limit=1)

    assert len(lines) == 2


def test_an_unknown_name_is_offline(http: Http) -> None:
    """A name that does not resolve is offline."""
    with pytest.raises(OfflineError, match="does not resolve"):
        http.get("https://nowhere.invalid/", limit=1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: reply(body=b"short", content_length="50", connection="close"),
        lambda _: b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        lambda _: reply(body=gzip.compress(b"hello" * 50)[:-9], content_encoding="gzip"),
    ],
    ids=["length", "chunked", "packed"],
)
def test_a_truncated_body_is_offline(http: Http, answer: Callable[[Request], bytes]) -> None:
    """Half an answer is none."""
    with Rogue(answer) as server, pytest.raises(OfflineError, match="cut short"):
        http.get(server.url, limit=1000)


def test_a_reset_get_is_tried_once_more(http: Http) -> None:
    """One reset is forgiven, two are not."""
    resets = iter([None, reply(body=b"ok"), None, None])
    with Rogue(lambda _: next(resets)) as server:
        assert http.get(server.url, limit=9).body == b"ok"
        http.close()
        with pytest.raises(OfflineError, match="closed before there was an answer"):
            http.get(server.url, limit=9)

    assert len(server.requests) == 4


def test_each_address_of_a_name_is_tried(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that refuses is not the last word."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    with Rogue(lambda _: reply(body=b"ok")) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (closed, server.port)]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
        assert http.get("http://localhost/", limit=9).body == b"ok"


@pytest.mark.parametrize("method", ["post", "delete"])
def test_what_changes_something_is_never_sent_twice(http: Http, method: str) -> None:
    """After a reset nobody knows whether it was done, so it is not done again; nor on an old connection."""
    with Rogue(lambda r: reply() if r.method == "GET" else None) as server:
        http.get(server.url, limit=9)
        with pytest.raises(OfflineError):
            change(http, method, server.url)

    assert len(server.requests) == 2
    assert server.connections == 2


# --- somebody answered -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc Hi\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"],
    ids=["ssh", "status", "headers"],
)
def test_what_is_not_http_is_no_silence(http: Http, answer: bytes) -> None:
    """Somebody answered, so this is not offline."""
    with Rogue(lambda _: answer) as server, pytest.raises(ServerError, match="something that is not HTTP") as caught:
        http.get(server.url, limit=9)

    assert caught.value.status == 0


def test_packing_that_nobody_asked_for(http: Http) -> None:
    """What is packed as gzip is understood, anything else is said to be a surprise."""
    with (
        Rogue(lambda _: reply(body=b"x", content_encoding="br")) as server,
        pytest.raises(ServerError, match="packed as br"),
    ):
        http.get(server.url, limit=9)
    with (
        Rogue(lambda _: reply(body=b"no gzip", content_encoding="gzip")) as server,
        pytest.raises(ServerError, match="not packed"),
    ):
        http.get(server.url, limit=9)


def test_too_large_an_upload_hears_the_answer(http: Http) -> None:
    """A proxy that answers 413 before it has read everything is still heard."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(reply(413, b"", connection="close"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        got = http.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", bytes(200_000), "a/b", limit=9)
        thread.join()

    error = refusal(got)
    assert got.status == 413
    assert "client_max_body_size" in str(error.remedy)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, UnauthorizedError), (403, UnauthorizedError), (404, ServerError), (418, ServerError), (502, ServerError)],
)
def test_a_refusal_says_what_the_server_says(status: int, kind: type) -> None:
    """The registry's own words, made harmless, and the status."""
    body = b'{"errors":[{"code":"DENIED","message":"\\u001b[31mno\\n"}]}'

    error = refusal(Reply(Url.parse("https://a/b?sig=1"), status, {}, body))

    assert kind is type(error)
    assert "DENIED: [31mno" in str(error).replace("  ", " ")
    assert "\x1b" not in str(error)
    assert "sig=1" not in str(error)


def test_a_refusal_without_words_has_a_phrase() -> None:
    """No body, a text and a page of HTML."""
    at = Url.parse("https://a/")

    assert "bad gateway" in str(refusal(Reply(at, 502, {"content-type": "text/html"}, b"<html>")))
    assert "please wait" in str(refusal(Reply(at, 429, {"content-type": "text/plain"}, b"please wait")))
    assert "without a meaning" in str(refusal(Reply(at, 799, {}, b"")))
    hint = refusal(Reply(at, 400, {}, b"Client sent an HTTP request to an HTTPS server.\n")).remedy
    assert "speaks https" in str(hint)


def test_an_error_code_nested_beyond_sense_is_no_trouble() -> None:
    """What is no text is not spelled out."""
    nested = b'{"errors":[{"code":' + b"[" * 1020 + b"]" * 1020 + b',"message":"m"}]}'

    assert [error.code for error in api_errors(Reply(Url.parse("https://a/"), 500, {}, nested))] in (["…"], [])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"errors":1}', b'{"errors":[1]}', b'{"errors":[{}]}', b"\xff", b"null"]
)
def test_other_error_bodies_are_none(body: bytes) -> None:
    """Whatever has another shape is not an error of a registry."""
    assert api_errors(Reply(Url.parse("https://a/"), 500, {}, body)) == []


def test_clocks_that_differ_are_named() -> None:
    """A minute is enough to invalidate a token."""
    at = Url.parse("https://a/")

    assert "ahead of" in str(clock_hint(Reply(at, 401, {"date": "Thu, 01 Jan 2015 00:00:00 GMT"}, b"")))
    assert "behind" in str(clock_hint(Reply(at, 401, {"date": "Thu, 01 Jan 2099 00:00:00 GMT"}, b"")))
    assert clock_hint(Reply(at, 401, {"date": "garbage"}, b"")) is None
    assert clock_hint(Reply(at, 401, {}, b"")) is None


def test_foreign_text_is_made_plain() -> None:
    """One line, no escapes, not too long."""
    assert plain("a\nb\x1b[2Jc").replace("  ", " ") == "a b [2Jc"
    assert plain("xxxx", 3) == "xxx…"


# --- redirects ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_carries_no_secret(http: Http, status: int) -> None:
    """Of our headers another host sees Accept only; the same host sees all."""
    headers = {"Authorization": "Basic c2VjcmV0", "X-Mine": "1", "Accept": "a/b"}
    with Rogue(lambda _: reply(body=b"there")) as there:
        location = {"/": "/next", "/next": there.url + "/x"}
        with Rogue(lambda r: reply(status, location=location[r.target])) as here:
            got = http.get(here.url, limit=9, headers=headers)

    assert (b"there", there.url) == (got.body, got.url.origin)
    assert here.requests[1].headers["authorization"] == "Basic c2VjcmV0"
    assert {"authorization", "x-mine"}.isdisjoint(there.requests[0].headers)
    assert there.requests[0].headers["accept"] == "a/b"


def test_redirects_end(http: Http) -> None:
    """Five are followed, not six."""
    with (
        Rogue(lambda r: reply(302, location=f"{r.target}x")) as server,
        pytest.raises(ServerError, match="more than 5"),
    ):
        http.get(server.url, limit=9)

    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "location", ["http://example.org/", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://127.0.0.1:x/", "//["]
)
def test_a_redirect_leads_nowhere_bad(http: Http, location: str) -> None:
    """Plain http to other machines, other schemes, credentials and nonsense are refused."""
    with Rogue(lambda _: reply(302, location=location)) as server, pytest.raises(ServerError, match="redirects to"):
        http.get(server.url, limit=9)


def test_a_redirect_without_a_place_is_just_a_status(http: Http) -> None:
    """The caller judges it."""
    with Rogue(lambda _: reply(302)) as server:
        assert http.get(server.url, limit=9).status == 302


@pytest.mark.parametrize("method", ["post", "delete"])
def test_what_changes_something_is_not_redirected(http: Http, method: str) -> None:
    """An upload goes where it was meant to go."""
    with (
        Rogue(lambda _: reply(307, location="/other")) as server,
        pytest.raises(ServerError, match="redirects to /other"),
    ):
        change(http, method, server.url)

    assert len(server.requests) == 1


# --- patience ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_once(tmp_path: Path, status: int) -> None:
    """The server asks for three seconds, gets them, and is asked once more only."""
    waits: list[float] = []
    with Rogue(lambda _: reply(status, retry_after="3")) as server, make(tmp_path, sleep=waits.append) as http:
        assert status == http.get(server.url, limit=9).status

    assert waits == [3.0]
    assert len(server.requests) == 2


@pytest.mark.parametrize("after", ["11", "soon", "-1", "Fri, 01 Jan 2100 00:00:00 GMT", ""])
def test_nobody_waits_too_long(tmp_path: Path, after: str) -> None:
    """More than ten seconds, or nonsense, is not waited for."""
    waits: list[float] = []
    with Rogue(lambda _: reply(429, retry_after=after)) as server, make(tmp_path, sleep=waits.append) as http:
        assert http.get(server.url, limit=9).status == 429

    assert waits == []
    assert len(server.requests) == 1


# --- where requests go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "http://127.evil.org/", "http://localhost.evil.org/", "http://10.0.0.1/", "http://[::2]/"],
)
def test_plain_http_is_for_this_machine(http: Http, url: str) -> None:
    """No other host is spoken to without TLS."""
    with pytest.raises(SettingError, match="plain http"):
        http.get(url, limit=9)


def test_hosts_marked_insecure_may_be_plain(tmp_path: Path) -> None:
    """By name, by name and port, by network."""
    http = make(tmp_path, insecure=("lan", "box:5000", "10.0.0.0/8", "nonsense/x"))

    assert [
        http.may_be_plain(Url.parse(url))
        for url in [
            "http://lan/",
            "http://box:5000",
            "http://box",
            "http://10.1.2.3",
            "http://11.0.0.1",
            "http://[::1]:9",
        ]
    ] == [True, True, False, True, False, True]


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "file:///etc/passwd",
        "https://",
        "https://a b/",
        "https://a:99999/",
        "https://x#y",
        "https://ä/",
        "https://.a/",
        "https://a..b/",
        f"https://{'a' * 64}/",
    ],
)
def test_what_is_no_url_is_refused(http: Http, url: str) -> None:
    """A setting is wrong, and named."""
    with pytest.raises(SettingError):
        http.get(url, limit=9)


@pytest.mark.parametrize("password", ["hunter2", "hun/hunter2", "hun@hunter2"])
def test_credentials_in_a_url_are_refused_and_not_repeated(http: Http, password: str) -> None:
    """They would end in logs, so they do not end in the error either."""
    with pytest.raises(SettingError) as caught:
        http.get(f"https://user:{password}@example.org/?token=hunter2", limit=9)

    assert "hunter2" not in str(caught.value)


def test_tls_to_a_plain_port_is_told_apart(http: Http) -> None:
    """So that a registry on this machine can be asked again in plain."""
    with Rogue(lambda _: reply(400)) as server, pytest.raises(PlainServerError) as caught:
        http.get(server.url.replace("http", "https"), limit=9)

    assert "does not speak TLS" in str(caught.value)


def test_the_trace_tells_each_exchange_and_no_secret(tmp_path: Path) -> None:
    """Method, URL, status, size and time; of the query only what a token is asked for."""
    lines: list[str] = []
    with Rogue(lambda _: reply(200, b"hello")) as server, make(tmp_path, trace=lines.append) as http:
        http.get(server.url + "/a?scope=x&sig=hunter2", limit=9, headers={"Authorization": "hunter2"})

    assert lines[0].startswith(f"GET {server.url}/a?scope=x&…: 200, 5 bytes, ")
    assert "hunter2" not in lines[0]


# --- proxies -----------------------------------------------------------------------------------


def test_a_plain_request_goes_whole_to_the_proxy(tmp_path: Path) -> None:
    """With its whole URL, and what lets us in."""
    with Rogue(lambda _: reply(body=b"via")) as proxy:
        env = {"http_proxy": f"http://me:p%40ss@{proxy.host}"}
        with make(tmp_path, env=env, insecure=("lan",)) as http:
            got = http.get("http://lan/a", limit=9)

    assert got.body == b"via"
    assert (proxy.requests[0].target, proxy.requests[0].headers["host"]) == ("http://lan/a", "lan")
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6cEBzcw=="


def test_a_proxy_that_refuses_has_answered(tmp_path: Path) -> None:
    """TLS goes through CONNECT; a proxy's no is not offline, and our request never reached it."""
    with (
        Rogue(lambda _: reply(403)) as proxy,
        make(tmp_path, env={"HTTPS_PROXY": proxy.host}) as http,
        pytest.raises(ServerError, match=r"no way to https://example\.org") as caught,
    ):
        http.get("https://example.org/secret", limit=9, headers={"Authorization": "x"})

    assert caught.value.status == 403
    assert proxy.requests[0][:2] == ("CONNECT", "example.org:443")
    assert "authorization" not in proxy.requests[0].headers


def test_a_proxy_that_is_down_is_named(tmp_path: Path) -> None:
    """The address is right and the way there is not."""
    with (
        make(tmp_path, env={"ALL_PROXY": "127.0.0.1:1"}) as http,
        pytest.raises(OfflineError, match=r"example.org cannot be reached: .*through the proxy 127\.0\.0\.1:1"),
    ):
        http.get("https://example.org/", limit=9)


@pytest.mark.parametrize(
    ("url", "env", "used"),
    [
        ("https://a.org", {"https_proxy": "p:1"}, "p:1"),
        ("https://a.org", {"https_proxy": "p:1", "HTTPS_PROXY": "q:2"}, "p:1"),
        ("https://a.org", {"http_proxy": "p:1"}, None),
        ("https://a.org", {"all_proxy": "p:1"}, "p:1"),
        ("https://a.org", {"https_proxy": "p:1", "no_proxy": "a.org"}, None),
        ("https://b.a.org", {"https_proxy": "p:1", "no_proxy": ".a.org"}, None),
        ("https://b.a.org", {"https_proxy": "p:1", "NO_PROXY": "x, a.org"}, None),
        ("https://ba.org", {"https_proxy": "p:1", "no_proxy": "a.org"}, "p:1"),
        ("https://a.org:8443", {"https_proxy": "p:1", "no_proxy": "a.org:8443"}, None),
        ("https://10.1.1.1", {"https_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, None),
        ("https://a.org", {"https_proxy": "p:1", "no_proxy": "*"}, None),
        ("https://localhost:5000", {"https_proxy": "p:1"}, None),
        ("https://127.0.0.1", {"https_proxy": "p:1"}, None),
        ("http://a.org", {"HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"}, None),
    ],
)
def test_proxies_are_read_as_people_know_them(url: str, env: dict[str, str], used: str | None) -> None:
    """Lower case wins, no_proxy excludes, this machine is never reached through one."""
    proxy = proxy_for(Url.parse(url), env)

    assert used == (proxy and proxy.at.authority)


@pytest.mark.parametrize(
    "value", ["ftp://p:1", "http://", "http://p:x", "http://me:hunter2@", "http://me:hunter2\u20ac@p:1", "http://a b"]
)
def test_a_proxy_that_cannot_be_used_is_a_setting(value: str) -> None:
    """Rather than going out without it."""
    with pytest.raises(SettingError) as caught:
        proxy_for(Url.parse("https://a.org"), {"https_proxy": value})

    assert caught.value.source == "https_proxy"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("installed", [True, False])
def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    """Which is said before anything goes out."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object() if installed else None)
    env = {"all_proxy": "socks5h://me:p%40ss@p"}

    if installed:
        assert proxy_for(Url.parse("https://a.org"), env) == (Url("socks5h", "p", 1080), "socks5h://me:p%40ss@p:1080")
    else:
        with pytest.raises(SettingError, match="PySocks"):
            proxy_for(Url.parse("https://a.org"), env)


def test_the_process_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies are those of the environment we were given; netrc is nobody's business."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\ndefault login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Rogue(lambda _: reply(body=b"ok")) as server, make(tmp_path) as http:
        assert http.get(server.url, limit=9).body == b"ok"

    assert "authorization" not in server.requests[0].headers


def test_no_cookies_are_kept(http: Http) -> None:
    """Each request says all that it has to say."""
    with Rogue(lambda _: reply(body=b"ok", set_cookie="a=b; Path=/")) as server:
        http.get(server.url, limit=9)
        http.get(server.url, limit=9)

    assert ["cookie" in request.headers for request in server.requests] == [False, False]


def test_nothing_heavy_is_imported_before_a_request() -> None:
    """A command that asks nobody does not pay for HTTP, TLS or JSON."""
    heavy = "{'http.client', 'ssl', 'email', 'urllib3', 'subprocess', 'orjson', 'logging', 'requests'}"
    modules = "trustreg.io.http, trustreg.io.auth, trustreg.io.registry, trustreg.io.notary, trustreg.io.docker"
    code = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
