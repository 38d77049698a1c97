"""A good collection, and what becomes of it when its files are damaged, bent, or bent and signed again."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from trustreg.dialects import canonical as fast_canonical
from trustreg.dialects.notary1 import Notary1
from trustreg.names import Gun
from trustreg.verify import keys, signatures
from trustreg.verify.requests import Floor, Memory
from trustreg.verify.workflow import Workflow
from vectors.make.collection import GUN, Collection, Delegated, canonical, listing, target, wire
from vectors.make.material import raw
from vectors.make.scenario import with_expiry

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from pytest import MonkeyPatch  # noqa: PT013 # a type

    from tests.verify.world import World
    from trustreg.metadata import Envelope, Signed
    from trustreg.verify.workflow import Found

Json: TypeAlias = dict[str, Any]

RELEASES = "targets/releases"
NIGHTLY = "targets/releases/nightly"
ROLES = ("root", "timestamp", "snapshot", "targets", RELEASES, NIGHTLY)


def collection() -> Collection:
    """Return a collection that has something of everything."""
    made = with_expiry(
        Collection.usual(
            Delegated(RELEASES, [raw("releases"), raw("releases too", "p256")], ["v", "n"]),
            Delegated(NIGHTLY, [raw("nightly"), raw("nightly too")], ["n", ""], threshold=2),
        )
    )
    made.parts[NIGHTLY].targets["n1"] = target("n1", note="a<b>&\u2028\u00e9", list=[1, None, True, {"a": -1}])
    made.parts["targets"].targets["name with \u00fcber & <escapes>"] = target("more")
    made.parts["timestamp"].edit = lambda signed: signed.update({"x-note": "&"})
    return made


class Stock:
    """The good collection, and ways to serve it with one file exchanged."""

    def __init__(self, made: Collection) -> None:
        self.published = made.publish()
        self.files = self.published.files
        self.documents = {role: file.decode() for role, file in self.files.items()}
        self.signed = {role: json.dumps(json.loads(text)["signed"]) for role, text in self.documents.items()}
        self.repository = self.published.repository()
        floors = self.published.memory()["floors"]
        self.memory = Memory({role: Floor(f["version"], f["sha256"], tuple(f["keys"])) for role, f in floors.items()})
        self.signers = {role: made.signers(role) for role in self.files}
        self.dialect = Remembering(self.files)

    def sign(self, role: str, signed: Json) -> bytes:
        """Return *signed* as a file that the right keys signed."""
        try:
            payload = fast_canonical.encode(signed)
        except ValueError:
            payload = canonical(signed)
        return wire({"signed": signed, "signatures": [key.sign(payload) for key in self.signers[role]]})

    def serve(self, role: str, file: bytes, *, listed: bool) -> dict[str, bytes]:
        """Return a repository with *file* for *role*; where *listed*, snapshot and timestamp say so and are signed."""
        served = dict(self.repository)
        if role in {"root", "timestamp"}:
            served[f"{role}.json"] = file
        elif not listed:
            served[self.published.path(role)] = file
        if not listed or role == "timestamp":
            return served
        if role != "snapshot":
            file = self._relist("snapshot", role, file, served)
        served["timestamp.json"] = self._relist("timestamp", "snapshot", file, served)
        return served

    def workflow(self, now: datetime) -> Workflow:
        """Return a workflow that reads the good files only once."""
        return Workflow(self.dialect, Gun(GUN), now)

    def _relist(self, above: str, role: str, file: bytes, served: dict[str, bytes]) -> bytes:
        signed = json.loads(self.signed[above])
        signed["meta"][role] = listing(file)
        if role != "root":
            served[f"{role}.{hashlib.sha256(file).hexdigest()}.json"] = file
        return self.sign(above, signed)


class Remembering(Notary1):
    """Reads the files it knows once, so that a hundred thousand workflows read what is new to them."""

    def __init__(self, known: dict[str, bytes]) -> None:
        self._known = {(role, file): super(Remembering, self).decode(role, file) for role, file in known.items()}

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Return what *raw* says, which may be known."""
        return self._known.get((role, raw)) or super().decode(role, raw)


def verify_once(monkeypatch: MonkeyPatch, stock: Stock) -> None:
    """Verify each signature of the good files once: nearly all the time goes there, and it says nothing new."""
    known = {stock.dialect.decode(role, file).payload for role, file in stock.files.items()}
    verified: dict[tuple[int, str, bytes, bytes], tuple[object, bool]] = {}
    really = signatures._holds

    def holds(public: keys.PublicKey, scheme: str, value: bytes, payload: bytes) -> bool:
        if payload not in known:
            return really(public, scheme, value, payload)
        asked = id(public), scheme, value, payload
        if asked not in verified:
            verified[asked] = public, really(public, scheme, value, payload)  # who is held keeps its id
        return verified[asked][1]

    monkeypatch.setattr(signatures, "_holds", holds)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a refresh and a look-up ended, and in which world."""

    found: Found | None
    world: World


def look(stock: Stock, world: World, now: datetime, role: str, name: str) -> Ending:
    """Refresh, load everything and look *name* up in *role*."""
    workflow = stock.workflow(now)
    world.drive(workflow.refresh())
    world.drive(workflow.delegated())
    return Ending(world.drive(workflow.find(name, (role, "targets"))), world)


def damage(random: Random, file: bytes) -> bytes:
    """Return *file* with some bytes changed, lost, doubled or added."""
    raw = bytearray(file)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at = random.randrange(len(raw) + 1)
        match random.randrange(7):
            case 0:
                raw[at : at + 1] = bytes([random.randrange(256)])
            case 1 if at < len(raw):
                raw[at] ^= 1 << random.randrange(8)
            case 2:
                raw[at:at] = random.choice(_PIECES)
            case 3:
                del raw[at : at + random.choice((1, 1, 2, 8, 64))]
            case 4:
                raw[at:at] = raw[at : at + random.randrange(64)]
            case 5:
                other = random.randrange(len(raw) + 1)
                raw[at : at + 8], raw[other : other + 8] = raw[other : other + 8], raw[at : at + 8]
            case _:
                raw[at : at + random.choice((1, 2, 8))] = random.choice(_PIECES)
    return bytes(raw)


def bend(random: Random, text: str) -> Json:
    """Return the document *text* with some of its values or members changed, lost, doubled or added."""
    bent: Json = json.loads(text)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = [(bent, name) for name in bent]
        for holder, name in places:  # it grows
            inner: Any = holder[name]
            if isinstance(inner, dict):
                places += [(inner, member) for member in inner]
            elif isinstance(inner, list):
                places += [(inner, index) for index in range(len(inner))]  # type: ignore[misc]
        if not places:
            break
        _bend_at(random, *random.choice(places), bent)
    return bent


def spell(random: Random, document: Json) -> bytes:
    """Return *document* as JSON, most often as Go writes it."""
    match random.randrange(6):
        case 0:
            text = json.dumps(document)
        case 1:
            text = json.dumps(document, indent=1)
        case _:
            return wire(document)
    return text.encode()


def _bend_at(random: Random, holder: Any, name: Any, whole: Json) -> None:
    value = holder[name]
    match random.randrange(8):
        case 0:
            del holder[name]
        case 1:
            holder[name] = deepcopy(random.choice(_ODD))
        case 2 if isinstance(holder, dict):
            holder[random.choice((name.upper(), name.capitalize(), name + " ", "", "x", "constructor"))] = value
        case 3 if isinstance(holder, list):
            holder.insert(random.randrange(len(holder) + 1), deepcopy(random.choice((value, *_ODD))))
        case 4:
            holder[name] = deepcopy(
                random.choice((whole.get("signed"), whole.get("signatures"), [value], {"a": value}))
            )
        case 5 if type(value) is int:
            holder[name] = random.choice((value + 1, -value, value * 2**53, value * 10, str(value), bool(value)))
        case 5 | 6 if isinstance(value, str):
            at = random.randrange(len(value) + 1)
            holder[name] = random.choice((value[:at], value + value, value[:at] + random.choice(_TEXTS) + value[at:]))
        case 7 if isinstance(value, list | dict):
            holder[name] = type(value)()
        case _:
            holder[name] = deepcopy(random.choice(_ODD))


_PIECES = (
    *(bytes([byte]) for byte in b"\x00\n \"\\,:{}[]-0e.'/"),
    b"null",
    b"true",
    b"1e999",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xed\xa0\x80",
    b"[" * 40,
    b'"a":',
    b'"signed":{},',
    b"\xef\xbb\xbf",
)
_TEXTS = ("", "\x00", "\n", "\u017f", "\u202e", "=", "+", "/", "..", "A", "\U0001f600", "0" * 300)
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    257,
    2**31,
    2**53,
    2**53 + 1,
    2**63,
    2**64,
    -(2**70),
    10**400,
    1.0,
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "root",
    "targets",
    "targets/../root",
    "targets/releases",
    "Root",
    "2029-02-30T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "\x00\x1f",
    "\ud800",
    "\U0010ffff",
    "x" * 5000,
    "AAAA",
    "A===",
    [],
    {},
    [None],
    [[]],
    ["targets"],
    {"": ""},
    {"sha256": "AAAA"},
    {"keyid": "", "method": "", "sig": ""},
    {"keytype": "ecdsa", "keyval": {"private": None, "public": "MFkw"}},
    {"keytype": "ecdsa-x509", "keyval": {"private": None, "public": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="}},
    {"keyids": [], "name": "targets/x", "paths": [""], "threshold": 1},
    {"hashes": {}, "length": 0},
    json.loads("[" * 60 + "]" * 60),
)
