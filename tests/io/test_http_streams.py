"""What is too long for memory goes out and comes in piece by piece, and is given up where it stalls."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import FileError, OfflineError, ServerError
from trustreg.io.http import Body, Http, Timeouts
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.io.rogue import Request

OCTETS = "application/octet-stream"


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with Http({}, Tls({}, str(tmp_path)), timeouts=Timeouts(0.5, 0.5, 1)) as http:
        yield http


def test_a_body_is_made_as_it_is_sent(http: Http) -> None:
    """It may take longer than a request, as long as it goes on; its length is known to the server."""

    def pieces() -> Iterator[bytes]:
        for number in range(6):
            time.sleep(0.25)
            yield bytes([number]) * 1000

    with Rogue(lambda _: reply(201)) as server:
        assert http.put(server.url, Body(6000, pieces), OCTETS, limit=9).status == 201

    assert server.requests[0].headers["content-length"] == "6000"
    assert "transfer-encoding" not in server.requests[0].headers
    assert server.requests[0].body == b"".join(pieces())


def test_an_empty_body_has_a_length_too(http: Http) -> None:
    """Nothing is sent, and said to be nothing."""
    with Rogue(lambda _: reply(201)) as server:
        http.put(server.url, Body(0, lambda: iter(())), OCTETS, limit=9)
    assert server.requests[0].headers["content-length"] == "0"


def test_what_the_body_raises_is_raised(http: Http) -> None:
    """A file that cannot be read is not the network's fault."""

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise FileError("/a/file", "it cannot be read")

    with Rogue(lambda _: reply(201)) as server, pytest.raises(FileError):
        http.put(server.url, Body(2, broken), OCTETS, limit=9)


def test_a_server_that_stops_reading_is_given_up(http: Http) -> None:
    """It need not answer, and need not be waited for."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, contextlib.ExitStack() as held:
        threading.Thread(target=lambda: held.enter_context(deaf.accept()[0]), daemon=True).start()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(OfflineError):
            http.put(url, Body(1 << 30, lambda: iter([b"x" * 65_536] * (1 << 14))), OCTETS, limit=9)
    assert time.monotonic() - started < 5


def test_put_is_not_redirected_and_head_is(http: Http) -> None:
    """A file goes where it was meant to go or nowhere; a question may be answered elsewhere."""

    def answer(request: Request) -> bytes:
        if request.target == "/there":
            return reply(200, content_length="7") if request.method == "HEAD" else reply(201)
        return reply(307, location="/there")

    with Rogue(answer) as server:
        assert http.head(f"{server.url}/here").headers["content-length"] == "7"
        with pytest.raises(ServerError, match="redirects"):
            http.put(f"{server.url}/here", b"x", OCTETS, limit=9)
    assert [r.method for r in server.requests] == ["HEAD", "HEAD", "PUT"]


def test_a_stream_that_fails_says_why(http: Http) -> None:
    """Before its first byte, or after it."""
    with Rogue(lambda _: None) as server, pytest.raises(OfflineError), http.stream(server.url):
        pass
    with Rogue(lambda _: reply(404, b"gone")) as server, http.stream(server.url) as refused:
        assert (refused.status, refused.body, list(refused.rest)) == (404, b"gone", [])
    with (
        Rogue(lambda _: reply(200, b"x", content_length="2", connection="close")) as server,
        http.stream(server.url) as cut,
        pytest.raises(OfflineError, match="cut short"),
    ):
        list(cut.rest)
