"""A collection is read from web servers as they are: slow, gone, behind, or not quite to the letter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import OfflineError, ServerError, SettingError, TooLargeError, UnauthorizedError, UnavailableError
from trustreg.io.http import Http, Timeouts
from trustreg.io.stores.web import WebRepository
from trustreg.io.tls import Tls
from trustreg.verify.requests import Want

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.io.rogue import Request

ROOT, STAMP = Want("root", "2.root.json", 100), Want("timestamp", "timestamp.json", 100)
TARGETS = Want("targets", "1.targets.json", 100)


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with Http({}, Tls({}, str(tmp_path)), timeouts=Timeouts(2, 0.5, 1), sleep=lambda _: None) as http:
        yield http


def always(status: int, body: bytes = b"", **headers: str) -> Callable[[Request], bytes]:
    return lambda _: reply(status, body, **headers)


def get(web: WebRepository, path: str = "a/d.file", start: int = 0) -> tuple[int, bytes] | None:
    with web.open(path, start) as stream:
        return (stream.start, b"".join(stream)) if stream else None


# --- metadata ------------------------------------------------------------------------------------


def test_files_are_where_their_names_say(http: Http) -> None:
    """Names of metadata are in the URL as they are, those of targets are spelled for it."""
    with Rogue(always(200, b"x")) as server:
        web = WebRepository(http, [f"{server.url}/m"], [f"{server.url}/t/"])
        assert web.fetch(Want("a/b", "3.a%2Fb.json", 9)) == b"x"
        assert get(web, "ä b/%41?#.file") == (0, b"x")

    assert [r.target for r in server.requests] == ["/m/3.a%2Fb.json", "/t/%C3%A4%20b/%2541%3F%23.file"]
    assert web.where == f"{server.url}/m/"


@pytest.mark.parametrize("status", [403, 404])
def test_the_next_root_may_not_be_there(http: Http, status: int) -> None:
    """That is an answer, and nobody else is asked."""
    with Rogue(always(status)) as first, Rogue(always(200, b"x")) as second:
        assert WebRepository(http, [first.url, second.url]).fetch(ROOT) is None
    assert second.requests == []


def test_what_one_mirror_does_not_have_another_may(http: Http) -> None:
    """Only when none has it, it is not there; the first is still asked first."""
    with Rogue(always(404)) as first, Rogue(always(200, b"x")) as second:
        web = WebRepository(http, [first.url, second.url])
        assert [web.fetch(TARGETS), web.fetch(STAMP)] == [b"x", b"x"]
        assert WebRepository(http, [first.url, f"{first.url}/b"]).fetch(TARGETS) is None
    assert len(first.requests) == 4


def test_forbidden_is_not_absent(http: Http) -> None:
    """Unless another mirror has it, nobody knows."""
    with Rogue(always(403)) as first, Rogue(always(404)) as second, Rogue(always(200, b"x")) as third:
        with pytest.raises(UnauthorizedError):
            WebRepository(http, [first.url, second.url]).fetch(TARGETS)
        assert WebRepository(http, [first.url, third.url]).fetch(TARGETS) == b"x"


@pytest.mark.parametrize("trouble", [None, reply(500), reply(503), reply(429), b"no http\r\n\r\n"])
def test_a_mirror_in_trouble_is_passed_over_for_good(http: Http, trouble: bytes | None) -> None:
    """So that all files come from one place."""
    with Rogue(lambda _: trouble) as first, Rogue(always(200, b"x")) as second:
        web = WebRepository(http, [first.url, second.url])
        assert [web.fetch(ROOT), web.fetch(STAMP), web.fetch(TARGETS)] == [b"x"] * 3
        asked = len(first.requests)
        assert WebRepository(http, [first.url, second.url]).fetch(ROOT) == b"x"
    assert 0 < asked < len(first.requests)


def test_a_mirror_that_stalls_is_passed_over(http: Http) -> None:
    """As one that does not answer at all."""

    def stall(_: Request) -> Iterator[bytes]:
        first.pause(5)
        yield reply(200, b"late")

    with Rogue(stall) as first, Rogue(always(200, b"x")) as second:
        assert WebRepository(http, [first.url, second.url]).fetch(STAMP) == b"x"


def test_with_no_mirror_left_the_first_is_to_blame(http: Http) -> None:
    """It is not known, not absent, even if another one says that it is not there."""
    with Rogue(always(500)) as first, Rogue(always(404)) as second:
        web = WebRepository(http, [first.url, second.url])
        for _ in range(2):
            with pytest.raises(ServerError, match="500"):
                web.fetch(TARGETS)
    with pytest.raises(OfflineError):
        WebRepository(http, [first.url, second.url]).fetch(ROOT)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 410])
def test_any_other_status_is_no_answer(http: Http, status: int) -> None:
    """And no reason to ask somebody else."""
    with Rogue(always(status)) as first, Rogue(always(200, b"x")) as second, pytest.raises(ServerError):
        WebRepository(http, [first.url, second.url]).fetch(STAMP)
    assert second.requests == []


def test_metadata_has_a_limit(http: Http) -> None:
    """More is not read."""
    with Rogue(always(200, b"x" * 101)) as server, pytest.raises(TooLargeError):
        WebRepository(http, [server.url]).fetch(STAMP)


def test_plain_http_is_for_this_machine(http: Http) -> None:
    """A repository elsewhere has to prove who it is."""
    with pytest.raises(SettingError, match="plain http"):
        WebRepository(http, ["http://repo.example/m"]).fetch(STAMP)


def test_a_redirect_is_followed(http: Http) -> None:
    """Whoever serves it: it is verified."""
    with (
        Rogue(
            lambda r: reply(206, b"yz", content_range="bytes 1-2/3") if "range" in r.headers else reply(400)
        ) as there,
        Rogue(always(302, location=f"{there.url}/x")) as here,
    ):
        assert get(WebRepository(http, [here.url], [here.url]), start=1) == (1, b"yz")


# --- timestamps ----------------------------------------------------------------------------------


def test_a_timestamp_that_has_not_changed_is_not_sent_again(http: Http) -> None:
    """The server is asked for another one than the one that is known, within a run and from run to run."""

    def answer(request: Request) -> bytes:
        return reply(304) if request.headers.get("if-none-match") == '"1"' else reply(200, b"stamp", etag='"1"')

    with Rogue(answer) as server:
        web = WebRepository(http, [server.url])
        assert [web.fetch(STAMP), web.fetch(STAMP)] == [b"stamp", b"stamp"]
        later = WebRepository(http, [server.url], known=web.known)
        assert later.fetch(STAMP) == b"stamp"
        assert later.known == web.known == {f"{server.url}/timestamp.json": ('"1"', b"stamp")}

    assert [r.headers.get("if-none-match") for r in server.requests] == [None, '"1"', '"1"']


@pytest.mark.parametrize(
    ("known", "want"),
    [
        (('"1"', b"x" * 101), STAMP),  # longer than it may be now
        (('"1"', b"x"), TARGETS),  # not a timestamp
        (("", b"x"), STAMP),
    ],
)
def test_304_without_a_question_is_no_answer(http: Http, known: tuple[str, bytes], want: Want) -> None:
    """What may not be asked is not taken."""
    with Rogue(always(304)) as server:
        web = WebRepository(http, [server.url], known={f"{server.url}/{want.path}": known})
        with pytest.raises(ServerError, match="304"):
            web.fetch(want)
    assert "if-none-match" not in server.requests[0].headers


@pytest.mark.parametrize("etag", ["", "bare", '"a b"', '"\x01"', f'"{"x" * 201}"'])
def test_a_strange_etag_is_not_kept(http: Http, etag: str) -> None:
    """Nor is the one before it."""
    with Rogue(always(200, b"new", etag=etag)) as server:
        web = WebRepository(http, [server.url], known={f"{server.url}/timestamp.json": ('"1"', b"old")})
        assert web.fetch(STAMP) == b"new"
    assert web.known == {}


# --- target files --------------------------------------------------------------------------------


def test_a_target_file_goes_on_where_it_was(http: Http) -> None:
    """If the server can; if not it begins anew, and says so."""

    def ranged(request: Request) -> bytes:
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        if start > 5:
            return reply(416)
        return reply(206, b"hello"[start:], content_range=f"bytes {start}-4/5") if start else reply(200, b"hello")

    with Rogue(ranged) as able, Rogue(always(200, b"hello")) as unable:
        one, other = (WebRepository(http, [s.url], [s.url]) for s in (able, unable))
        assert [get(one), get(one, start=2), get(one, start=6)] == [(0, b"hello"), (2, b"llo"), (0, b"hello")]
        assert get(other, start=2) == (0, b"hello")


@pytest.mark.parametrize("said", ["", "bytes 1-4/5", "bytes */5", "lines 2-4/5", f"bytes {'9' * 30}-4/5"])
def test_another_part_is_not_taken(http: Http, said: str) -> None:
    """A server that sends it does not understand us."""
    with Rogue(always(206, b"llo", content_range=said)) as server, pytest.raises(ServerError, match="another part"):
        get(WebRepository(http, [server.url], [server.url]), start=2)


def test_part_of_a_file_is_not_the_file(http: Http) -> None:
    """When all of it was asked for."""
    with Rogue(always(206, b"llo", content_range="bytes 2-4/5")) as server, pytest.raises(ServerError):
        get(WebRepository(http, [server.url], [server.url]))


def test_a_target_file_may_be_long(http: Http) -> None:
    """It may take longer than a request for metadata, as long as it keeps coming."""
    piece = os.urandom(40_000)

    def slowly(_: Request) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nContent-Length: {8 * len(piece)}\r\n\r\n".encode()
        for _number in range(8):
            server.pause(0.2)
            yield piece

    with Rogue(slowly) as server:
        assert get(WebRepository(http, [server.url], [server.url])) == (0, piece * 8)


def test_a_target_file_that_drips_is_given_up(http: Http) -> None:
    """A byte now and then is not enough."""

    def drip(_: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        for _number in range(100):
            server.pause(0.1)
            yield b"x"

    with Rogue(drip) as server, pytest.raises(OfflineError, match="in time"):
        get(WebRepository(http, [server.url], [server.url]))
    assert len(server.requests) == 1


def test_a_target_file_that_breaks_off_goes_on_at_the_next_mirror(http: Http) -> None:
    """It is not known how it ends, and the mirror is passed over."""

    def cut(_: Request) -> bytes:
        return reply(200, b"hel", content_length="5", connection="close")

    def rest(request: Request) -> bytes:
        return reply(206, b"lo", content_range="bytes 3-4/5") if "range" in request.headers else reply(500)

    with Rogue(cut) as first, Rogue(rest) as second:
        web = WebRepository(http, [first.url], [first.url, second.url])
        with web.open("d.file") as stream:
            pieces = iter(stream or ())
            got = next(pieces)
            with pytest.raises(UnavailableError):
                next(pieces)
        assert get(web, start=len(got)) == (3, b"lo")
    assert got == b"hel"


def test_a_reader_may_stop(http: Http) -> None:
    """What it does with the pieces is its own business, and its errors are too."""
    with Rogue(always(200, b"x" * 300_000)) as server:
        web = WebRepository(http, [server.url], [server.url])
        opened = web.open("d.file")
        next(iter(opened.__enter__() or ()))
        error = OSError("disk")
        assert not opened.__exit__(OSError, error, None)
        assert get(web) == (0, b"x" * 300_000)


def test_a_packed_target_file_is_refused(http: Http) -> None:
    """Nobody asked for it, and its bytes are not those that were signed."""
    with Rogue(always(200, b"x", content_encoding="gzip")) as server, pytest.raises(ServerError, match="packed"):
        get(WebRepository(http, [server.url], [server.url]))
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_target_files_have_mirrors_of_their_own(http: Http) -> None:
    """Absent, forbidden and broken mean for them what they mean for metadata; none at all has nothing."""
    with (
        Rogue(always(404)) as gone,
        Rogue(always(403)) as shut,
        Rogue(always(500)) as broken,
        Rogue(always(200)) as good,
    ):
        assert get(WebRepository(http, [good.url])) is None
        assert get(WebRepository(http, [good.url], [gone.url])) is None
        for bad in (shut, broken):
            with pytest.raises(UnavailableError):
                get(WebRepository(http, [good.url], [bad.url, gone.url]))
        assert get(WebRepository(http, [gone.url], [gone.url, shut.url, broken.url, good.url])) == (0, b"")
