"""How changes of a collection look, and what was published: to people, and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trustreg.cli.render import moment, say
from trustreg.sign.changes import (
    AddTarget,
    Amend,
    Delegate,
    DelegateBins,
    Purge,
    RemoveTarget,
    SetExpiry,
    SetKeys,
    Undelegate,
    Witness,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from trustreg.metadata import FileMeta, Key
    from trustreg.publisher import Published
    from trustreg.reader import Target
    from trustreg.sign.changes import Change


def print_published(published: Published) -> None:
    """Say what was published."""
    if not published.versions:
        say(f"{published.gun}: nothing to publish")
        return
    say(f"{published.gun}: published {versions(published)}")
    for role in published.waiting:
        after = f"trustreg witness {published.gun} {role}"
        say(f"trustreg: {role} counts for nobody until one who may sign it has run `{after}`", err=True)


def versions(published: Published) -> str:
    """Return the versions of what was published; of many roles, as bins are, how many more there are."""
    each = [f"{role} v{version}" for role, version in sorted(published.versions.items())]
    return ", ".join(each if len(each) <= _MANY else [*each[:_MANY], f"and {len(each) - _MANY} more"])


def spell_published(published: Published) -> dict[str, Any]:
    """Return *published* as ``schemas/published.schema.json`` has it."""
    return {
        "gun": str(published.gun),
        "versions": dict(published.versions),
        "waiting": list(published.waiting),
        "changes": [spell_change(change) for change in published.changes],
    }


def spell_change(change: Change) -> dict[str, Any]:  # noqa: C901, PLR0911 # one for each kind
    """Return a change."""
    match change:
        case AddTarget(role=role, name=name, meta=meta):
            return {"action": "add", "role": role, "tag": name, "length": meta.length, "hashes": hexed(meta)}
        case RemoveTarget(role=role, name=name):
            return {"action": "remove", "role": role, "tag": name}
        case Witness(role=role):
            return {"action": "witness", "role": role}
        case Amend():
            return {
                "action": "amend",
                "role": change.role,
                "name": change.name,
                "add": keyids(change.add_keys),
                "remove": list(change.remove_keys),
                "addPaths": list(change.add_paths),
                "removePaths": list(change.remove_paths),
                "clearPaths": change.clear_paths,
                "threshold": change.threshold,
            }
        case Purge(role=role, keys=keys):
            return {"action": "purge", "role": role, "remove": list(keys)}
        case SetKeys():
            gone, many = list(change.remove), change.threshold
            spelled = {"action": "set-keys", "role": change.role, "add": keyids(change.add), "remove": gone}
            return {**spelled, "threshold": many, "delegator": change.delegator}
        case Delegate():
            return {
                "action": "delegate",
                "role": change.role,
                "name": change.name,
                "keyids": keyids(change.keys),
                "threshold": change.threshold,
                "patterns": list(change.patterns),
                "hashPrefixes": list(change.hash_prefixes),
                "terminating": change.terminating,
                "position": change.position,
            }
        case Undelegate(role=role, name=name):
            return {"action": "undelegate", "role": role, "name": name}
        case DelegateBins():
            bins = {"action": "delegate-bins", "role": change.role, "prefix": change.prefix, "bins": 1 << change.bits}
            return {**bins, "keyids": keyids(change.keys), "threshold": change.threshold}
        case SetExpiry():
            until, life = change.expires and moment(change.expires), change.lifetime
            seconds = None if life is None else int(life.total_seconds())
            return {"action": "set-expiry", "role": change.role, "expires": until, "lifetime": seconds}


def say_change(change: Change, prefix: str = "") -> str:  # noqa: C901, PLR0911 # one for each kind
    """Return a change as a line for people; *prefix* stands before the names of targets."""
    match change:
        case AddTarget(role=role, name=name, meta=meta):
            return f"{prefix}{name} is sha256:{meta.hashes.get('sha256', b'').hex()}, says {role}"
        case RemoveTarget(role=role, name=name):
            return f"{prefix}{name} is no longer signed by {role}"
        case Witness(role=role):
            return f"{prefix.removesuffix(':') + ': ' if prefix else ''}{role} is signed again"
        case Amend(name=name):
            return f"{name}: {', '.join(_new_terms(change)) or 'stays as it is'}"
        case Purge(role=role, keys=keys):
            return f"{role}: no role below it is signed by {', '.join(f'key {keyid[:12]}' for keyid in keys)}"
        case SetKeys(role=role):
            return f"{role}: {', '.join(_new_keys(change)) or 'stays as it is'}"
        case Delegate(role=role, name=name):
            what = " ".join((*change.patterns, *(f"{start}…" for start in change.hash_prefixes)))
            last = ", and nobody after it may" if change.terminating else ""
            return f"{role}: {name} may speak for {what}{last}; {_by(change.threshold, change.keys)}"
        case Undelegate(role=role, name=name):
            return f"{role}: {name} may not speak any more"
        case DelegateBins(role=role):
            by = f"; {_by(change.threshold or 1, change.keys)}" if change.keys else ""
            return f"{role}: spreads its targets over {1 << change.bits} bins {change.prefix}-…{by}"
        case SetExpiry(role=role):
            return f"{role}: {' and '.join(_good(change))}"


def lasting(life: timedelta) -> str:
    """Return a duration as people write it, ``30d``."""
    seconds = int(life.total_seconds())
    unit, size = next(((u, s) for u, s in _UNITS if seconds and seconds % s == 0), ("s", 1))
    return f"{seconds // size}{unit}"


def keyids(keys: Iterable[Key]) -> list[str]:
    """Return the ids of *keys*."""
    return [key.id for key in keys]


def hexed(meta: FileMeta | Target) -> dict[str, str]:
    """Return the digests of *meta*."""
    return {name: digest.hex() for name, digest in meta.hashes.items()}


def _new_keys(change: SetKeys) -> Iterator[str]:
    yield from (f"+ key {key.id[:12]} ({key.kind})" for key in change.add)
    yield from (f"- key {keyid[:12]}" for keyid in change.remove)
    if change.threshold is not None:
        yield f"needs {change.threshold}"


def _new_terms(change: Amend) -> Iterator[str]:
    keys = SetKeys(role=change.name, add=change.add_keys, remove=change.remove_keys, threshold=change.threshold)
    yield from _new_keys(keys)
    if change.clear_paths:
        yield "- all paths"
    yield from (f"- path {path}*" for path in change.remove_paths)
    yield from (f"+ path {path}*" for path in change.add_paths)


def _by(threshold: int, keys: tuple[Key, ...]) -> str:
    return f"needs {threshold} of {', '.join(key.id[:12] for key in keys)}"


def _good(change: SetExpiry) -> Iterator[str]:
    if change.expires is not None:
        yield f"is good until {moment(change.expires)}"
    if change.lifetime is not None:
        yield f"is good for {lasting(change.lifetime)} each time" if change.lifetime else "has the usual lifetime"


_MANY = 12
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60))
