"""Changes as they are staged in JSON, where Notary has no form for them.

One object with ``trustreg`` (1, the version of this form), ``change`` (its kind) and the fields of the kind under their
own names. Keys are as the collection lists them, times as RFC 3339 has them, lifetimes in seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from trustreg.dialects import canonical
from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.reading import Members
from trustreg.dialects.tuf1 import Tuf1, read_target, spell_target
from trustreg.metadata import Key
from trustreg.sign.changes import (
    AddTarget,
    Amend,
    Change,
    Delegate,
    DelegateBins,
    RemoveTarget,
    SetExpiry,
    SetKeys,
    Undelegate,
    Witness,
)


def spell_change(change: Change) -> bytes:
    """Return *change* in JSON."""
    kind = next(kind for kind, made in _KINDS.items() if isinstance(change, made))
    said = {name: _spell(value) for name, value in vars(change).items() if value is not None}
    if isinstance(change, AddTarget):
        said["meta"] = spell_target(change.meta)
    return orjson.dumps(
        {"trustreg": _VERSION, "change": kind, **said}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    )


def read_change(raw: bytes) -> Change:
    """Read what :func:`spell_change` wrote.

    Raises:
        FormatError: It says something else.
        ValueError: It is not JSON, or not JSON with one meaning only.
    """
    item = Members("staged", "", canonical.parse_strictly(raw))
    if item.integer("trustreg", 1) != _VERSION:
        item.fail("trustreg", "another version of trustreg staged this")
    kind = item.text("change")
    if kind not in _KINDS:
        item.fail("change", f"{kind[:40]!r} is none that trustreg knows")
    made = _KINDS[kind]
    known = [field.name for field in fields(made)]
    for name in item.value:
        if name not in {"trustreg", "change", *known}:
            item.fail(name[:80], f"{kind} has no such member")
    required = [field.name for field in fields(made) if field.default is MISSING]
    change: Change = made(**{name: _READERS[name](item, name) for name in known if name in {*item.value, *required}})
    return change


def _spell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value // timedelta(seconds=1)
    if isinstance(value, tuple):
        return [{"keyid": one.id, "key": one.spelled} if isinstance(one, Key) else one for one in value]
    return value


def _keys(item: Members, name: str) -> tuple[Key, ...]:
    return tuple(map(_key, item.objects(name)))


def _key(item: Members) -> Key:
    spelled = item.members("key").value
    key = (Tuf1() if "scheme" in spelled else Notary1()).read_key(orjson.dumps(spelled))
    return replace(key, id=item.text("keyid"))


_VERSION = 1
_KINDS: Mapping[str, type[Any]] = {
    "add-target": AddTarget,
    "remove-target": RemoveTarget,
    "witness": Witness,
    "amend": Amend,
    "set-keys": SetKeys,
    "delegate": Delegate,
    "undelegate": Undelegate,
    "delegate-bins": DelegateBins,
    "set-expiry": SetExpiry,
}
_READERS: Mapping[str, Callable[[Members, str], Any]] = {
    "role": Members.text,
    "name": Members.text,
    "delegator": Members.text,
    "prefix": Members.text,
    "meta": lambda item, name: read_target(item.members(name)),
    "add": _keys,
    "add_keys": _keys,
    "keys": _keys,
    "remove": Members.strings,
    "remove_keys": Members.strings,
    "add_paths": Members.strings,
    "remove_paths": Members.strings,
    "patterns": Members.strings,
    "hash_prefixes": Members.strings,
    "threshold": lambda item, name: item.integer(name, 1),
    "bits": lambda item, name: item.integer(name, 1, 32),
    "position": lambda item, name: item.integer(name, 0),
    "terminating": Members.boolean,
    "clear_paths": Members.boolean,
    "expires": Members.moment,
    "lifetime": lambda item, name: timedelta(seconds=item.integer(name, 0, 2**32)),
}
