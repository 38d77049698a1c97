"""
Hostile input: whatever the bytes, reading and verifying end in a result or in a refusal of trustreg's own.

Six files of a collection are damaged byte by byte, bent member by member, and bent and signed again by the right keys
with everything that lists them, so that the damage gets as deep as it can; so are the keys that servers offer. 112 200
inputs by default, with TRUSTREG_FULL=1 ten times as many; the seeds are fixed, so a red run is red again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.property.mutation import NIGHTLY, RELEASES, ROLES, Stock, bend, collection, damage, look, spell, verify_once
from tests.verify.world import World
from trustreg.dialects.notary1 import Notary1, exact
from trustreg.errors import FormatError, UntrustedError
from trustreg.metadata import Key, Role, Root, Targets
from trustreg.verify.signatures import load, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.property.mutation import Ending

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FULL = bool(os.environ.get("TRUSTREG_FULL"))
EACH = 34_000 if FULL else 3_400
"""Inputs of one kind for one role: there are five kinds and six roles."""
DIALECT = Notary1()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600 if FULL else 300),
    pytest.mark.filterwarnings("ignore"),  # cryptography frets about odd certificates
]


@cache
def stock() -> Stock:
    """The good collection."""
    return Stock(collection())


@cache
def untouched() -> Ending:
    """How the good collection ends."""
    return look(stock(), World(stock().repository), NOW, NIGHTLY, "n1")


@pytest.fixture(autouse=True)
def _verify_once(monkeypatch: pytest.MonkeyPatch) -> None:
    verify_once(monkeypatch, stock())


def read(role: str, file: bytes) -> None:
    """Read *file* in every way there is, and verify it with the good collection's keys."""
    with suppress(FormatError):
        exact(role, file)
    with suppress(UntrustedError):
        claim = DIALECT.decode(role, file)
        if isinstance(claim.signed, Targets):
            list(claim.signed.targets.items())
        if isinstance(claim.signed, Root):
            for own in claim.signed.roles.values():
                with suppress(UntrustedError):
                    verify(claim, own, claim.signed.keys)
        verified = verify(claim, Role(name=role, keyids=tuple(k.id for k in stock().signers[role])), listed_keys())
        assert verified.keyids


def refused_or_same(role: str, file: bytes, *, listed: bool) -> None:
    """Require a served *file* that is not signed anew to be refused, or to say what the good one says."""
    world = World(stock().serve(role, file, listed=listed))
    with suppress(UntrustedError):
        ending = look(stock(), world, NOW, NIGHTLY, "n1")
        payloads = [stock().dialect.decode(role, raw).payload for raw in (world.kept[role], stock().files[role])]
        assert payloads[0] == payloads[1]
        assert same(ending)


def same(ending: Ending) -> bool:
    """Say whether *ending* is that of the good collection."""
    found, due = ending.found, untouched().found
    return found is not None and due is not None and (found.role, found.meta) == (due.role, due.meta)


@cache
def listed_keys() -> dict[str, Key]:
    """All keys of the good collection, by id."""
    listed: dict[str, Key] = {}
    for role in ("root", "targets", RELEASES):
        signed = stock().dialect.decode(role, stock().files[role]).signed
        assert isinstance(signed, Root | Targets)
        listed |= signed.keys
    return listed


def _bytes(random: Random, role: str) -> None:
    file = damage(random, stock().files[role])
    read(role, file)
    refused_or_same(role, file, listed=random.random() < 0.5)


def _structure(random: Random, role: str) -> None:
    file = spell(random, bend(random, stock().documents[role]))
    read(role, file)
    refused_or_same(role, file, listed=random.random() < 0.8)


def _signed(random: Random, role: str) -> None:
    """Bend what is signed, and sign it: what comes of it may be anything but another error."""
    signed = bend(random, stock().signed[role])
    file = stock().sign(role, signed)
    read(role, file)
    world = World(stock().serve(role, file, listed=True))
    with suppress(UntrustedError):
        look(stock(), world, NOW, random.choice((RELEASES, NIGHTLY)), random.choice(("n1", "v1", "")))
    assert len(world.keeps) <= 3


def _cached(random: Random, role: str) -> None:
    """Damage what is in the cache: nothing comes of it."""
    kept = dict(stock().files)
    kept[role] = damage(random, kept[role])
    world = World(stock().repository, kept, stock().memory)

    ending = look(stock(), world, NOW, NIGHTLY, "n1")

    assert same(ending)
    assert world.kept == stock().files


def _known(random: Random, role: str) -> None:
    """Serve something bent and signed to a client that knows better: what it trusted stays trusted."""
    signed = bend(random, stock().signed[role])
    file = stock().sign(role, signed)
    world = World(stock().serve(role, file, listed=True), stock().files, stock().memory)
    with suppress(UntrustedError):
        look(stock(), world, NOW, NIGHTLY, "n1")
    for name, floor in stock().memory.floors.items():
        assert world.memory.floors[name].version >= floor.version or set(world.memory.floors[name].keys).isdisjoint(
            floor.keys
        )


@pytest.mark.parametrize("keytype", ["ed25519", "ecdsa", "ecdsa-x509"])
def test_what_a_server_says_is_its_key(keytype: str) -> None:
    """
    A key, sound or not, or a refusal.
    """
    spelled = json.dumps({"keytype": keytype, "keyval": {"public": "A" * 44, "private": None}})
    for seed in range(EACH):
        random = Random(f"key {keytype} {seed}")
        bent = spell(random, bend(random, spelled))
        file = bent if seed % 2 else damage(random, bent)
        with suppress(FormatError):
            load(DIALECT.read_key(file))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", [_bytes, _structure, _signed, _cached, _known], ids=lambda kind: kind.__name__[1:])
def test_nothing_but_refusals(kind: Callable[[Random, str], None], role: str) -> None:
    """
    Every input of this kind ends as it may.
    """
    for seed in range(EACH):
        try:
            kind(Random(f"{kind.__name__} {role} {seed}"), role)
        except BaseException as exc:
            exc.add_note(f"{kind.__name__} {role} {seed}")
            raise
