"""How a ceremony looks: what signing each of its files means, who has signed it, and who has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trustreg.cli.changes import hexed
from trustreg.cli.render import moment, say, table
from trustreg.metadata import Bins, Delegation
from trustreg.verify.signatures import fingerprint, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustreg.ceremony import Account, Ceremony, RoleChange, Standing, TargetChange
    from trustreg.metadata import FileMeta, Key, Role


def print_ceremony(ceremony: Ceremony, *, known: bool) -> None:
    """Print what signing *ceremony* means, whole: nothing that is signed is left out.

    *known* says whether the files that it builds on are those that are trusted here.
    """
    say(f"collection  {ceremony.gun}")
    say(f"prepared    {moment(ceremony.prepared)}")
    for role, digest in ceremony.digests.items():
        say(f"builds on   {_named(ceremony, role)}  sha256:{digest}")
    say("known here  " + ("yes: these files are the ones that are trusted here" if known else _UNKNOWN))
    for account in ceremony.accounts():
        click.echo()
        for line in _account(account):
            say(line)


def print_standings(ceremony: Ceremony, here: set[str] | None = None) -> None:
    """Print who has signed *ceremony* and who may still; mark keys that are *here*."""
    authorities = (role for sheet in ceremony.sheets for role, _ in sheet.page.authorities)
    places = {keyid: place for role in authorities for place, keyid in enumerate(role.keyids)}
    rows = (
        (s.role, str(s.version), s.by, str(s.threshold), *_who(s, places, here), str(s.missing))
        for s in ceremony.standings()
    )
    starred = " (* here)" if here else ""
    table(("ROLE", "VERSION", "FOR", "NEEDS", "SIGNED BY", f"MAY SIGN{starred}", "MISSING"), rows)


def progress_of(ceremony: Ceremony) -> str:
    """Say in a few words how far *ceremony* has come."""
    roles = ", ".join(f"{sheet.page.role} v{sheet.page.signed.version}" for sheet in ceremony.sheets[:_MANY])
    more = f" and {len(ceremony.sheets) - _MANY} more" if len(ceremony.sheets) > _MANY else ""
    missing = ceremony.missing
    waits = f"{missing} signature{'s' * (missing > 1)} missing" if missing else "all signatures are there"
    return f"{roles}{more}: {waits}"


def spell_ceremony(ceremony: Ceremony, file: object) -> dict[str, Any]:
    """Return *ceremony* as ``schemas/ceremony.schema.json`` has it."""
    return {
        "file": str(file),
        "gun": str(ceremony.gun),
        "prepared": moment(ceremony.prepared),
        "base": [{"role": role, "sha256": digest} for role, digest in ceremony.digests.items()],
        "sheets": [_spell_account(account) for account in ceremony.accounts()],
        "standings": [_spell_standing(standing) for standing in ceremony.standings()],
        "missing": ceremony.missing,
    }


# --- for people --------------------------------------------------------------------------------------------------


def _account(account: Account) -> Iterator[str]:
    follows = f"follows v{account.before}" if account.before is not None else "the first"
    yield f"{account.role} v{account.version}, {follows}"
    if account.before is not None and account.version != account.before + 1:
        yield f"  warning: versions are skipped: ask whether v{account.before} is the latest"
    was = account.expired_before
    before = f", was {moment(was)}" if was and was != account.expires else ""
    yield f"  good until {moment(account.expires)}{before}"
    for change in account.roles:
        yield from _role(change)
    for target in account.targets:
        yield from _target(target)
    yield f"  bytes to sign: sha256:{account.sha256}"
    yield "  member by member:"
    for difference in account.differences:
        path = ".".join(difference.path) or "(all)"
        yield f"    {path}: {_or_none(difference.before)} -> {_or_none(difference.after)}"


def _role(change: RoleChange) -> Iterator[str]:
    if change.after is None:
        yield f"  {change.name}: may sign no more"
    else:
        now, was = _terms(change.after, change.place), _terms(change.before, change.place_before)
        yield f"  {change.name}: {now}" + (f"; was: {was}" if was and was != now else "" if was else "; is new")
    for key in change.added:
        yield f"    + key {_key(key)}"
    for key in change.removed:
        yield f"    - key {_key(key)}"


def _terms(role: Role | Bins | None, place: int | None) -> str:
    """Say what has to be there for *role* to be believed, and of what."""
    if role is None:
        return ""
    said = [f"needs {role.threshold} of {len(role.keyids)} keys"]
    if isinstance(role, Bins):
        said.append(f"{len(role)} bins")
    if isinstance(role, Delegation):
        what = (*_patterns(role), *(f"{start}… (hash)" for start in role.hash_prefixes))
        said.append(f"speaks for {' '.join(what)}")
        said += ["terminating"] if role.terminating else []
        said += [f"place {place}"] if place is not None else []
    return ", ".join(said)


def _patterns(delegation: Delegation) -> tuple[str, ...]:
    return (*(f"{start}*" for start in delegation.prefixes), *delegation.patterns)


def _target(change: TargetChange) -> Iterator[str]:
    if change.before is None and change.after is not None:
        yield f"  + {change.name}  {_content(change.after)}"
    elif change.after is None and change.before is not None:
        yield f"  - {change.name}  {_content(change.before)}"
    elif change.before is not None and change.after is not None:
        yield f"  ~ {change.name}  {_content(change.before)} -> {_content(change.after)}"


def _content(meta: FileMeta) -> str:
    said = [f"v{meta.version}"] if meta.version else []
    said += [f"{name}:{digest}" for name, digest in hexed(meta).items()]
    said += [f"{meta.length} bytes"] if meta.length is not None else []
    return " ".join(said)


def _key(key: Key) -> str:
    public = None if key.derived else load(key)  # an id that is no hash says nothing of the key
    return f"{key.id}  {key.kind}" + (f"  fingerprint sha256:{fingerprint(public)}" if public else "")


def _who(standing: Standing, places: Mapping[str, int], here: set[str] | None) -> tuple[str, str]:
    """Name who has signed, in the order in which their keys are listed, and who may."""
    return _ids(tuple(sorted(standing.signed, key=places.__getitem__)), here), _ids(standing.waiting, here)


def _ids(keyids: tuple[str, ...], here: set[str] | None) -> str:
    return " ".join(keyid[:12] + ("*" if here and keyid in here else "") for keyid in keyids) or "-"


def _or_none(text: str | None) -> str:
    return "(not there)" if text is None else text


def _named(ceremony: Ceremony, role: str) -> str:
    return f"{role} v{ceremony.dialect.decode(role, ceremony.base[role]).signed.version}"


# --- for programs ------------------------------------------------------------------------------------------------


def _spell_account(account: Account) -> dict[str, Any]:
    return {
        "role": account.role,
        "version": account.version,
        "before": account.before,
        "expires": moment(account.expires),
        "expiredBefore": moment(account.expired_before) if account.expired_before else None,
        "sha256": account.sha256,
        "roles": [_spell_role(change) for change in account.roles],
        "targets": [
            {"name": one.name, "before": _spell_content(one.before), "after": _spell_content(one.after)}
            for one in account.targets
        ],
        "differences": [
            {"path": list(one.path), "before": one.before, "after": one.after} for one in account.differences
        ],
    }


def _spell_role(change: RoleChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "before": _spell_terms(change.before, change.place_before),
        "after": _spell_terms(change.after, change.place),
        "added": [{"keyid": key.id, "kind": key.kind} for key in change.added],
        "removed": [{"keyid": key.id, "kind": key.kind} for key in change.removed],
    }


def _spell_terms(role: Role | Bins | None, place: int | None) -> dict[str, Any] | None:
    if role is None:
        return None
    delegation = role if isinstance(role, Delegation) else None
    return {
        "threshold": role.threshold,
        "keyids": list(role.keyids),
        "patterns": list(_patterns(delegation)) if delegation else [],
        "hashPrefixes": list(delegation.hash_prefixes) if delegation else [],
        "terminating": bool(delegation and delegation.terminating),
        "position": place,
        "bins": len(role) if isinstance(role, Bins) else None,
    }


def _spell_content(meta: FileMeta | None) -> dict[str, Any] | None:
    if meta is None:
        return None
    return {"version": meta.version, "length": meta.length, "hashes": hexed(meta), "custom": meta.custom}


def _spell_standing(standing: Standing) -> dict[str, Any]:
    return {
        "role": standing.role,
        "version": standing.version,
        "by": standing.by,
        "threshold": standing.threshold,
        "signed": list(standing.signed),
        "waiting": list(standing.waiting),
        "missing": standing.missing,
    }


_MANY = 6
_UNKNOWN = "no: compare the digest of the root with somebody who has read the collection, before you sign"
