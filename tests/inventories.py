"""Inventories as they could be: of any size, and with names that nobody would choose who means well."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.world import NOW
from trustreg.errors import ExpiredError, OfflineError
from trustreg.forecast import Inventory, forecast
from trustreg.inventory import CertificateLine, Collection, Holding, KeyLine, RoleLine, RootLine, TagLine
from trustreg.names import Digest, Reference

if TYPE_CHECKING:
    from datetime import datetime

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[31m"
STATES = ("held", "held", "held", "moved", "held", "untagged", "held", "gone", "held", "unknown")


def key(name: str, algorithm: str = "ecdsa P-256", *, until: datetime | None = None, subject: str = "app") -> KeyLine:
    """Give a key with an id that is made of *name*, in a certificate if it is good *until* then."""
    strength = 112 if algorithm.startswith("rsa 2") else 128
    certificate = CertificateLine(subject=subject, begins=NOW - timedelta(days=99), ends=until) if until else None
    found = hashlib.sha256(name.encode()).hexdigest()
    return KeyLine(
        id=found,
        plain_id=found[::-1] if until else found,
        algorithm=algorithm,
        strength=strength,
        certificate=certificate,
    )


def role(name: str, delegator: str = "targets", state: str = "trusted", days: int = 900, keys: int = 1) -> RoleLine:
    """Give a role that is good for so many *days* more."""
    mine = tuple(key(f"{name}{number}", "rsa 2048" if number % 3 else "ecdsa P-256") for number in range(keys))
    return RoleLine(
        name=name,
        delegator=delegator,
        signer=name.removeprefix("targets/") if delegator == "targets" else "",
        state=state,
        error=ExpiredError(name, 7, NOW - timedelta(days=1), NOW) if state == "refused" else None,
        threshold=(keys + 1) // 2,
        keys=mine,
        signed_by=tuple(one.id for one in mine[: (keys + 1) // 2]) if state == "trusted" else (),
        version=7 if state != "unsigned" else None,
        expires=NOW + timedelta(days=days) if state != "unsigned" else None,
        paths=("*",) if delegator == "targets" else (),
    )


def tag(name: str, number: int, roles: tuple[str, ...], *, state: str = "trusted") -> TagLine:
    """Give a tag that the registry has, or not, by its *number*."""
    digest = Digest("sha256", hashlib.sha256(f"{name}{number}".encode()).hexdigest())
    held = STATES[number % len(STATES)]
    error = OfflineError("https://registry.example", "connection refused") if held == "unknown" else None
    serves = {"held": digest, "moved": Digest("sha256", "0" * 64)}.get(held)
    return TagLine(
        tag=name,
        digest=digest,
        length=1357 + number,
        state=state,
        roles=roles,
        signers=tuple(sorted(one.removeprefix("targets/") for one in roles if one.startswith("targets/"))),
        counts=True,
        image=Reference.parse("registry.example/app:1"),
        holding=Holding(state=held, serves=serves, kept=held in {"held", "untagged"}, error=error),
    )


def collection(gun: str, tags: int, delegations: int, *, state: str = "trusted") -> Collection:
    """Give a collection of any size."""
    people = [f"targets/{name}" for name in _PEOPLE[:delegations]]
    top = [
        replace(role("root", "", keys=3), keys=(key("root", until=NOW + timedelta(days=200), subject=gun),)),
        role("targets", "root"),
        role("snapshot", "root", days=30),
        role(
            "timestamp",
            "root",
            state="expired" if state == "expired" else "trusted",
            days=-3 if state == "expired" else 9,
        ),
    ]
    odd = {2: ("expired", -40), 4: ("unsigned", 0), 6: ("refused", 90)}
    delegated = [
        role(name, state=(was := odd.get(i, ("trusted", 800)))[0], days=was[1], keys=1 + i % 4)
        for i, name in enumerate(people)
    ]
    signed = ("targets/releases", *people[:3]) if delegations > 3 else tuple(people) or ("targets",)
    return Collection(
        gun=gun,
        where="https://trust.example",
        state=state,
        error=ExpiredError("timestamp", 7, NOW - timedelta(days=3), NOW) if state == "expired" else None,
        roles=(*top, *delegated),
        roots=tuple(
            RootLine(
                version=number,
                served=number != 2,
                follows=number > 3,
                expires=NOW + timedelta(days=900),
                keys=(key(f"r{number}"),),
                threshold=1,
            )
            for number in (1, 2, 3, 4)
        ),
        tags=tuple(tag(f"v{number // 50}.{number % 50}", number, signed, state=state) for number in range(tags)),
        first_use=True,
        changed="2026-11-20T10:00:00.123Z",
    )


def inventory(*collections: Collection) -> Inventory:
    """Give an inventory, with its forecast."""
    return Inventory(at=NOW, asked=True, collections=collections, notices=forecast(collections, NOW))


_PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "releases")
