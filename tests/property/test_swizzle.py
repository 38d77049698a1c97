r"""
One byte of one file changed: refused, or the very same signed content.

Every position of every file of a collection takes other values, three by default and all 255 with TRUSTREG_FULL=1.

In a collection as publishers make it no such change is accepted at all. Files are listed with their digests by the
snapshot, and that by the timestamp; root is listed as well; the timestamp's signed part is signed, and its envelope can
be written in one way only. What the files alone, without those that list them, can suffer without a change of what is
signed are two kinds of bytes, both outside of what is signed:

* inside a signature that is not needed, because enough others hold: its key id, method and value (of the root's
  signatures by retired keys, say);
* the letters of an escape, ``\u003c`` or ``\u003C``, which Go writes for five characters.

So in the timestamp of a role with more keys than its threshold, and of no other file, they may be changed on the way to
a client that has never seen it. One that has compares bytes, and refuses.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.property.mutation import NIGHTLY, RELEASES, ROLES, Stock, look, verify_once
from tests.verify.world import World
from trustreg.errors import UntrustedError
from trustreg.metadata import Role, Root, Targets
from trustreg.names import parent
from trustreg.verify.signatures import verify
from vectors.make.collection import Collection, Delegated, root_key
from vectors.make.material import raw
from vectors.make.scenario import with_expiry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.property.mutation import Ending

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FULL = bool(os.environ.get("TRUSTREG_FULL"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if FULL else 300), pytest.mark.filterwarnings("ignore")]


@cache
def usual() -> Stock:
    """A collection as publishers make it."""
    delegations = Delegated(RELEASES, [raw("releases")]), Delegated(NIGHTLY, [raw("nightly", "p256")])
    return Stock(with_expiry(Collection.usual(*delegations)))


@cache
def spare() -> Stock:
    """A collection in which every file has a signature more than it needs, and escapes."""
    delegations = (
        Delegated(RELEASES, [raw("releases"), raw("releases too")]),
        Delegated(NIGHTLY, [raw("nightly"), raw("nightly too")]),
    )
    made = with_expiry(Collection.usual(*delegations))
    for role in ("timestamp", "snapshot", "targets"):
        made.keys[role] = [raw(role), raw(f"{role} too")]
    made = made.rotate("root", root_key("root"), root_key("root too"))
    for part in made.parts.values():
        part.edit = lambda signed: signed.update({"x-note": "<&>"})
    return Stock(made)


def changes(file: bytes, values: int = 3) -> Iterator[tuple[int, bytes]]:
    """Yield every position of *file*, and *file* with another byte there: as many others as there are *values*."""
    for at, byte in enumerate(file):
        others = range(256) if FULL else (byte ^ 0x01, byte ^ 0x20, (byte * 7 + at) % 256)[:values]
        for other in others:
            if other != byte:
                yield at, file[:at] + bytes((other,)) + file[at + 1 :]


def redundant(file: bytes) -> set[int]:
    """Return the positions of bytes of which one may change in a *file* of which one signature is not needed."""
    escapes = {match.end() - 1 for match in re.finditer(rb"\\u003[cCeE]", file)}
    envelope = file.index(b',"signatures":[')
    values = re.finditer(rb'"(?:keyid|method|sig)":"([^"]*)"', file[envelope:])
    return escapes | {envelope + at for match in values for at in range(match.start(1), match.end(1))}


def tolerated(stock: Stock, role: str) -> set[int]:
    """Return the positions at which a change of the file of *role* alone is accepted: read, and enough keys hold."""
    good = stock.dialect.decode(role, stock.files[role])
    above = stock.dialect.decode("root", stock.files["root"]).signed
    assert isinstance(above, Root)
    keys, allowed = above.keys, above.roles.get(role)
    if role not in above.roles:
        delegator = stock.dialect.decode(parent(role), stock.files[parent(role)]).signed
        assert isinstance(delegator, Targets)
        keys, allowed = delegator.keys, delegator.delegation(role)
    assert isinstance(allowed, Role)
    accepted = set()
    for at, file in changes(stock.files[role]):
        try:
            claim = stock.dialect.decode(role, file)
            verify(claim, allowed, keys)
        except UntrustedError:
            continue
        assert claim.payload == good.payload
        assert claim.signed == good.signed
        accepted.add(at)
    return accepted


def served(stock: Stock, role: str, *, known: bool = False) -> set[int]:
    """Return the positions at which a client accepts a change of the served file of *role*."""
    path = f"{role}.json" if role in {"root", "timestamp"} else stock.published.path(role)
    accepted = set()
    for at, file in changes(stock.files[role]):
        world = World(stock.repository | {path: file}, stock.files if known else None, stock.memory if known else None)
        try:
            ending = look(stock, world, NOW, NIGHTLY, "v1")
        except UntrustedError:
            assert not any(role in keep.files for keep in world.keeps)
            continue
        assert same(stock, ending)
        if file in world.kept.values():
            accepted.add(at)
    return accepted


def same(stock: Stock, ending: Ending) -> bool:
    """Say whether *ending* is that of the unchanged collection."""
    due = look(stock, World(stock.repository), NOW, NIGHTLY, "v1").found
    return ending.found is not None and due is not None and ending.found.meta == due.meta


@pytest.mark.parametrize("role", ROLES)
def test_of_a_collection_as_it_is_made_no_byte_can_change(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Not one change of one byte is accepted, wherever it is.
    """
    verify_once(monkeypatch, usual())

    assert served(usual(), role) == set()
    assert tolerated(usual(), role) == set()


@pytest.mark.parametrize("role", ROLES)
def test_what_a_file_alone_can_suffer(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Bytes of a signature that is not needed, and the letters of an escape; and those can.
    """
    verify_once(monkeypatch, spare())
    file = spare().files[role]

    accepted = tolerated(spare(), role)

    assert accepted <= redundant(file)
    assert {at for at in accepted if file[at - 5 : at] == rb"\u003"}, "an escape"
    assert len(accepted) > 2, "a signature that is not needed"


@pytest.mark.parametrize("role", ROLES)
def test_what_a_client_can_be_served(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of these only the timestamp's: all else is listed with its digest.
    """
    verify_once(monkeypatch, spare())

    accepted = served(spare(), role)

    assert accepted <= redundant(spare().files[role])
    assert bool(accepted) == (role == "timestamp")


def test_a_client_that_knows_it_compares_what_was_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Once a timestamp is known, its version says this; what nobody signed can be changed as for anybody.
    """
    verify_once(monkeypatch, spare())

    assert (
        served(spare(), "timestamp", known=True)
        == served(spare(), "timestamp")
        <= redundant(spare().files["timestamp"])
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_byte_changed_in_the_cache_changes_nothing(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The file is read again from the repository, and kept as it should be.
    """
    verify_once(monkeypatch, usual())

    for _, file in changes(usual().files[role], values=1):
        world = World(usual().repository, usual().files | {role: file}, usual().memory)
        assert same(usual(), look(usual(), world, NOW, NIGHTLY, "v1"))
        assert world.kept == usual().files
