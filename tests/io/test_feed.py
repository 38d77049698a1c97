"""A change feed says which collections a server has; it is read to its end, and whoever makes it up is found out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import ServerError, SettingError, TooLargeError, UnauthorizedError
from trustreg.io import notary
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http, Timeouts
from trustreg.io.notary import ChangeFeed
from trustreg.io.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.io.rogue import Request


def make(url: str, home: Path, **env: str) -> ChangeFeed:
    http = Http({}, Tls({}, str(home), system=()), timeouts=Timeouts(5, 5, 10))
    return ChangeFeed(Auth(http), DockerCredentials(env, str(home)), url)


def record(number: object, gun: object, category: str = "update") -> dict[str, Any]:
    return {
        "ID": str(number),
        "CreatedAt": f"2026-11-2{number}T10:00:00Z",
        "GUN": gun,
        "Category": category,
        "Version": 1,
    }


def feed(*records: dict[str, Any], none: Any = None) -> Callable[[Request], bytes]:
    """Serve *records* as servers do: those behind an id, a page at a time, and *none* where there are no more."""

    def answer(request: Request) -> bytes:
        query = parse_qs(urlsplit(request.target).query)
        after, most = int(query["change_id"][0]), int(query["records"][0])
        found = [each for each in records if int(each["ID"]) > after][:most]
        return reply(body=json.dumps({"count": len(found), "records": found or none}).encode())

    return answer


@pytest.mark.parametrize("none", [None, []])
def test_a_feed_is_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none: Any) -> None:
    """To its end, which some servers spell ``null``; what was deleted is no collection any more, what came back is."""
    monkeypatch.setattr(notary, "_PAGE", 2)
    records = [record(1, "a"), record(2, "b"), record(3, "a"), record(4, "b", "deletion"), record(5, "c/d:5/ü")]
    records += [record(6, "e"), record(7, "e", "deletion"), record(8, "e")]
    with Rogue(feed(*records, none=none)) as server:
        found = make(f"{server.url}/notary/", tmp_path).collections()

    assert found == {"a": "2026-11-23T10:00:00Z", "c/d:5/ü": "2026-11-25T10:00:00Z", "e": "2026-11-28T10:00:00Z"}
    paths = [request.target for request in server.requests]
    assert paths == [f"/notary/v2/_trust/changefeed?records=2&change_id={after}" for after in (0, 2, 4, 6, 8)]


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("body", [b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"no"}]}', b"<html>"])
def test_a_server_without_a_feed_is_asked_by_name(tmp_path: Path, status: int, body: bytes) -> None:
    """The remedy says how."""
    with Rogue(lambda _: reply(status, body)) as server, pytest.raises(ServerError, match="no change feed") as caught:
        make(server.url, tmp_path).collections()

    assert caught.value.remedy == "name the collections instead: trustreg inventory --server URL GUN..."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"records":5}',
        b'{"records":"ab"}',
        b'{"records":[[]]}',
        b'{"records":[{"ID":"x","GUN":"a","CreatedAt":"","Category":""}]}',
        b'{"records":[{"ID":"1","GUN":["a"],"CreatedAt":"","Category":""}]}',
        b'{"records":[{"ID":"1","GUN":"a","CreatedAt":""}]}',
    ],
)
def test_what_is_no_feed_is_no_answer(tmp_path: Path, body: bytes) -> None:
    """Whatever it is instead."""
    with Rogue(lambda _: reply(body=body)) as server, pytest.raises(ServerError, match="no change feed"):
        make(server.url, tmp_path).collections()


def test_a_feed_that_does_not_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it goes round in circles, on and on, or has more collections than anybody."""
    same = reply(body=json.dumps({"records": [record(1, "a")]}).encode())
    with Rogue(lambda _: same) as server, pytest.raises(ServerError, match="in circles"):
        make(server.url, tmp_path).collections()

    monkeypatch.setattr(notary, "_PAGE", 1)
    many = [record(number, f"g{number}") for number in range(1, 9)]
    for limit in ("_MOST_PAGES", "_MOST_COLLECTIONS"):
        with monkeypatch.context() as patch, Rogue(feed(*many)) as server:
            patch.setattr(notary, limit, 5)
            with pytest.raises(TooLargeError, match="exceeds the limit of 5"):
                make(server.url, tmp_path).collections()


def test_the_right_to_the_catalogue_is_asked_for(tmp_path: Path) -> None:
    """With the login for the server; who may not is told what else can be done."""
    asked: list[dict[str, list[str]]] = []

    def answer(request: Request) -> bytes:
        if request.target.startswith("/token"):
            asked.append(parse_qs(urlsplit(request.target).query))
            good = request.headers.get("authorization") == "Basic Ym9iOnMzY3JldA=="
            return reply(body=b'{"token":"good"}') if good else reply(403)
        if request.headers.get("authorization") == "Bearer good":
            return reply(body=b'{"count":0,"records":null}')
        return reply(401, www_authenticate=f'Bearer realm="http://{request.headers["host"]}/token",service="notary"')

    with Rogue(answer) as server:
        assert make(server.url, tmp_path, NOTARY_AUTH="Ym9iOnMzY3JldA==").collections() == {}
        with pytest.raises(UnauthorizedError) as caught:
            make(server.url, tmp_path).collections()

    assert [query["scope"] for query in asked] == [["registry:catalog:*"]] * 2
    assert caught.value.remedy
    assert "or name the collections" in caught.value.remedy


def test_an_address_that_cannot_be_used_is_a_setting(tmp_path: Path) -> None:
    """As for a collection."""
    with pytest.raises(SettingError):
        make("https://trust.example/?x=1", tmp_path)
