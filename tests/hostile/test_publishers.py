"""
What a hostile server can do to those who publish: what they are told, what they keep, and that it works afterwards.

They have read the collection before. A server that says yes is not believed: what counts is what readers get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.uploads import AFTER, BEFORE, CHANGES, Desk, Hostile
from tests.io.rogue import Rogue, reply
from tests.world import DIALECT, GUN, IMAGE, NOW, MemoryCache, MemoryServer, World
from trustreg.errors import (
    EquivocationError,
    FormatError,
    PublishRefusedError,
    TrustregError,
)
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.notary import NotaryServer
from trustreg.io.tls import Tls
from trustreg.names import SNAPSHOT, TIMESTAMP
from trustreg.sign.changes import SetKeys
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from pathlib import Path

    from trustreg.sign.changes import Change


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("does", BEFORE)
def test_a_server_that_lies_to_who_reads(does: str, what: str) -> None:
    """
    Nothing is signed on top of what a reader would refuse.
    """
    desk = Desk()
    do, code = BEFORE[does]
    hostile = Hostile(desk)
    do(hostile)

    ends(desk, CHANGES[what](desk), hostile, code)

    assert hostile.uploads == 0


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("does", AFTER)
def test_a_server_that_lies_to_who_publishes(does: str, what: str) -> None:
    """
    It is found out, what was wanted still waits, and with an honest server it is done.
    """
    desk = Desk()
    upload, code = AFTER[does]

    ends(desk, CHANGES[what](desk), Hostile(desk, upload), code)


@pytest.mark.parametrize("what", ["sign", "delegate", "rotate targets"])
def test_who_never_read_it_cannot_tell_old_from_new(what: str) -> None:
    """
    What is signed on top of an older state is signed; but readers who know the newer one are not taken back.
    """
    desk = Desk()
    hostile = Hostile(desk)
    hostile.show(desk.past)
    change = CHANGES[what](desk)
    desk.server, desk.publisher_cache = hostile, MemoryCache()

    desk.publisher().publish(GUN, NOW, [change])

    assert hostile.uploads == 1
    with pytest.raises(EquivocationError):
        desk.verifier().verify(IMAGE, NOW)


@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT])
@pytest.mark.parametrize("offered", [b"", b"<html>", b"{}", b'{"keytype":"ed25519","keyval":{"public":"AAAA"}}'])
def test_a_key_that_is_none_is_not_put_into_a_root(offered: bytes, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Neither at the beginning nor when the server is asked for another one.
    """
    desk, fresh = Desk(), World()
    monkeypatch.setattr(MemoryServer, "rotate_server_key", lambda *_: offered)
    monkeypatch.setattr(MemoryServer, "server_key", lambda *_: offered)

    with pytest.raises(FormatError):
        desk.publisher().offered_key(GUN, role)
    with pytest.raises(FormatError):
        fresh.init()

    assert fresh.keys.keys() == ()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(404, b"<html>"), "server"),
        (reply(500), "server"),
        (reply(401), "unauthorized"),
        (reply(307, location="/elsewhere"), "server"),
        (None, "offline"),
        (reply(200, bytes(300_000)), "too-large"),
    ],
)
def test_a_key_that_does_not_come(answer: bytes | None, code: str, tmp_path: Path) -> None:
    """
    No answer is none, and no more is read than a key may have.
    """
    with Rogue(lambda _: answer) as rogue:
        http = Http({}, Tls({}, str(tmp_path), system=()))
        server = NotaryServer(Auth(http), DockerCredentials({}, str(tmp_path)), rogue.url, GUN)
        for ask in (server.server_key, server.rotate_server_key):
            with pytest.raises(TrustregError) as caught:
                ask(TIMESTAMP)
            assert code == caught.value.code


def test_a_key_of_the_attackers_signs_timestamps_and_no_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Which key signs timestamps is for the server to say. Who has it can do what a server can, and no more: see the
    attacks of who has the keys of timestamp and snapshot. Another rotation ends it.
    """
    desk, stolen = Desk(), LocalSigner.generate("ed25519")
    offered = DIALECT.spell_key(DIALECT.key(stolen.kind, stolen.public))
    with monkeypatch.context() as patch:
        patch.setattr(MemoryServer, "rotate_server_key", lambda *_: offered)
        key = desk.publisher().offered_key(GUN, TIMESTAMP)
    change = SetKeys(role=TIMESTAMP, add=(key,), remove=desk.held(TIMESTAMP))

    with pytest.raises(PublishRefusedError):  # an honest server cannot sign with it
        desk.publisher().publish(GUN, NOW, [change])

    desk.publisher().publish(GUN, NOW, [CHANGES["rotate the timestamp"](desk)])
    assert desk.verifier().verify(IMAGE, NOW)


def ends(desk: Desk, change: Change, hostile: Hostile, code: str) -> None:
    desk.publisher().stage(GUN, [change])
    before = desk.changed()
    desk.server = hostile

    with pytest.raises(TrustregError) as caught:
        desk.publisher().publish(GUN, NOW)
    assert code == caught.value.code
    assert before == desk.changed()

    desk.server = desk.honest
    desk.publisher().publish(GUN, NOW)
    assert desk.stage.changes() == ()
    for cache in (desk.cache, MemoryCache()):
        assert desk.verifier(cache=cache).verify(IMAGE, NOW)
