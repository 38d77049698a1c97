"""Signatures that a registry keeps by its own extension, as containers/image documents it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import NameFormError, SignaturePlaceError, UnavailableError
from trustreg.io.signatures.bounds import LARGEST, MOST
from trustreg.io.signatures.extension import ExtensionPlace
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.io.rogue import Request
    from trustreg.io.registry import HttpRegistry

DIGEST = Digest("sha256", "ab" * 32)
PATH = f"/extensions/v2/team/app/signatures/{DIGEST}"
MESSAGE = Message(where="", raw=b"an OpenPGP message")


class Extended:
    """A registry with the extension; ``offers`` is what it says of that."""

    def __init__(self, offers: str | None = "1", *, status: int = 200) -> None:
        self.entries: list[Any] = []
        self.asked: list[tuple[str, str]] = []
        self._offers, self._status = offers, status

    def __call__(self, request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        self.asked.append((request.method, request.target))
        if request.target == "/v2/":
            if self._offers is None:
                return reply(self._status)
            return reply(self._status, x_registry_supports_signatures=self._offers)
        if request.target != PATH:
            return reply(404)
        if request.method == "PUT":
            self.entries.append(json.loads(request.body))
            return reply(201)
        return reply(200, json.dumps({"signatures": self.entries or None}).encode())


def entry(raw: bytes = MESSAGE.raw, **more: Any) -> dict[str, Any]:
    said = {"schemaVersion": 2, "name": f"{DIGEST}@{'0' * 32}", "type": "atomic", "content": b64encode(raw).decode()}
    return {**said, **more}


def at(server: Rogue) -> Reference:
    return Reference.parse(f"{server.host}/team/app:1.0")


@pytest.mark.parametrize("status", [200, 401])
def test_what_is_added_is_found(registry: HttpRegistry, status: int) -> None:
    """
    In the documented form, once; whether the registry does such things is asked once, before anybody logs in.
    """
    with Rogue(peer := Extended(status=status)) as server:
        place = ExtensionPlace(registry)
        assert list(place.read(at(server), DIGEST)) == []
        where = [place.add(at(server), DIGEST, MESSAGE) for _ in range(2)]
        (one,) = place.read(at(server), DIGEST)

    assert isinstance(one, Message)
    assert (one.raw, [one.where] * 2) == (MESSAGE.raw, where)
    (kept,) = peer.entries
    assert kept == entry(name=kept["name"])
    assert re.fullmatch(f"{DIGEST}@[0-9a-f]{{32}}", kept["name"])
    assert peer.asked.count(("GET", "/v2/")) == 1


@pytest.mark.parametrize("offers", [None, "0", "yes"])
def test_who_does_not_offer_it_is_not_asked(registry: HttpRegistry, offers: str | None) -> None:
    """
    There are none then, and none can be added.
    """
    with Rogue(peer := Extended(offers)) as server:
        place = ExtensionPlace(registry)
        assert list(place.read(at(server), DIGEST)) == []
        with pytest.raises(SignaturePlaceError, match="does not offer"):
            place.add(at(server), DIGEST, MESSAGE)

    assert peer.asked == [("GET", "/v2/")]


def test_none_is_ever_removed(registry: HttpRegistry) -> None:
    """
    And it is said so; what is not there is gone already.
    """
    with Rogue(peer := Extended()) as server:
        place = ExtensionPlace(registry)
        place.remove(at(server), DIGEST, MESSAGE)
        peer.entries.append(entry())
        with pytest.raises(SignaturePlaceError, match="no way to remove"):
            place.remove(at(server), DIGEST, MESSAGE)


@pytest.mark.parametrize(
    "bad",
    [
        7,
        None,
        {},
        entry(type="other"),
        entry(schemaVersion=3),
        entry(content=None),
        entry(content="no base64"),
        entry(content=b64encode(bytes(LARGEST + 10)).decode()),
    ],
    ids=str,
)
def test_one_that_is_bad_ends_nothing(registry: HttpRegistry, bad: Any) -> None:
    """
    It is garbage, and the next one is read.
    """
    with Rogue(peer := Extended()) as server:
        peer.entries = [bad, entry()]
        found = list(ExtensionPlace(registry).read(at(server), DIGEST))

    assert [type(one) for one in found] == [Garbage, Message]


@pytest.mark.parametrize(
    "answer",
    [
        *map(reply, (500, 403, 404)),
        *(reply(200, raw) for raw in (b"no", b"{}", b'{"signatures":{"a":1}}', bytes(5 << 20))),
    ],
    ids=len,
)
def test_no_list_is_no_answer(registry: HttpRegistry, answer: bytes) -> None:
    """
    That nobody knows is not that there are none.
    """

    def served(request: Request) -> bytes:
        return answer if request.target == PATH else Extended()(request)

    with Rogue(served) as server, pytest.raises(UnavailableError):
        list(ExtensionPlace(registry).read(at(server), DIGEST))


def test_nor_is_trouble_at_the_door(registry: HttpRegistry) -> None:
    """
    Whether it offers the extension is not known then.
    """
    with Rogue(Extended(status=503)) as server, pytest.raises(UnavailableError):
        list(ExtensionPlace(registry).read(at(server), DIGEST))


def test_what_the_registry_does_not_know_has_none(registry: HttpRegistry) -> None:
    """
    Where the registry itself says so.
    """
    unknown: Callable[[Request], bytes] = lambda r: (  # noqa: E731
        reply(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN"}]}).encode())
        if r.target == PATH
        else Extended()(r)
    )
    with Rogue(unknown) as server:
        assert list(ExtensionPlace(registry).read(at(server), DIGEST)) == []


def test_bounds(registry: HttpRegistry) -> None:
    """
    Too many are no answer; another kind of signature has no place here; nor has another digest.
    """
    with Rogue(peer := Extended()) as server:
        place = ExtensionPlace(registry)
        peer.entries = [entry(b"%d" % number) for number in range(MOST)]
        assert len(list(place.read(at(server), DIGEST))) == MOST
        with pytest.raises(SignaturePlaceError):
            place.add(at(server), DIGEST, MESSAGE)
        peer.entries.append(entry())
        with pytest.raises(SignaturePlaceError):
            list(place.read(at(server), DIGEST))
        with pytest.raises(SignaturePlaceError):
            place.add(at(server), DIGEST, Detached(where="", payload=b"{}", signature=b"s"))
        with pytest.raises(NameFormError):
            list(place.read(at(server), Digest("sha512", "ab" * 64)))
