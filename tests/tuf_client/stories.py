"""How many of the stories begin: a repository with a delegated role, and a new version of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.tuf_client.repository import Key, Repository

ROLES = ("root", "timestamp", "snapshot", "targets", "team")  # in the order in which a client gets to them


def with_team(repo: Repository) -> None:
    """Delegate everything to ``team``, which lists the file ``x``; publish version 1 of all."""
    repo.delegate("targets", "team")
    repo.add("team", "x", b"one")
    repo.publish()


def next_of_all(repo: Repository) -> None:
    """Go to version 2 of every role, with new content of ``x``; not published yet."""
    repo.bump("root", "targets", "team")
    repo.add("team", "x", b"two")


def demand(repo: Repository, role: str, *keys: Key, threshold: int) -> None:
    """Let a role's delegator, which is the root or the targets role, want so many of these keys."""
    if role != "team":
        repo.trust(role, *keys, threshold=threshold)
        return
    delegations = repo.targets.signed["delegations"]
    delegations["keys"] |= {key.keyid: key.fields for key in keys}
    delegations["roles"][0] |= {"keyids": [key.keyid for key in keys], "threshold": threshold}
    repo.delegated["team"].signers = list(keys)


def versions_before(role: str) -> dict[str, int]:
    """What a client with version 1 of all holds when it got to the second version of this role, and refused it."""
    return {earlier: 2 if ROLES.index(earlier) < ROLES.index(role) else 1 for earlier in ROLES[:4]}
