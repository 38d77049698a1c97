"""
The TUF 1.0 spelling: what is written is read as what was meant, and whatever else is read is refused by name.

The second half damages the files of a repository byte by byte, bends them member by member, and bends and signs them
again with everything that lists them. 7 500 inputs by default, with TRUSTREG_FULL=1 two hundred times as many; the
seeds are fixed, so a red run is red again. Last, every byte of every file is changed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property import strategies
from tests.property.mutation import bend, damage
from tests.verify.world import World
from trustreg.dialects import canonical as fast_canonical
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import FormatError, UntrustedError
from trustreg.metadata import (
    Bins,
    Delegation,
    FileMeta,
    Key,
    Role,
    Root,
    Signature,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from trustreg.names import TOP_LEVEL, Gun
from trustreg.verify import signatures
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Floor, Memory
from trustreg.verify.workflow import Workflow
from vectors.make.collection import canonical
from vectors.make.tuf.keys import ecdsa, eddsa, rsa_pss
from vectors.make.tuf.repository import GUN, Delegated, Repository, listing, target, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trustreg.metadata import Envelope
    from trustreg.verify.keys import PublicKey
    from trustreg.verify.workflow import Found

Json: TypeAlias = dict[str, Any]
Model: TypeAlias = tuple[str, Signed]

DIALECT = Tuf1()
FULL = bool(os.environ.get("TRUSTREG_FULL"))
EACH = 50_000 if FULL else 250
"""Inputs of one kind for one role: there are five kinds and six roles."""
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROLES = ("root", "timestamp", "snapshot", "targets", "releases", "bin-5")

# --- models --------------------------------------------------------------------------------------------------------

LISTED = [
    DIALECT.read_key(json.dumps(key.spelled).encode())
    for key in (eddsa("a"), eddsa("b"), ecdsa("c"), ecdsa("d", "p384"), rsa_pss("e"), eddsa("f").spelled_as(scheme="?"))
]
keys = st.lists(st.sampled_from(LISTED), unique_by=lambda key: key.id).map(lambda some: {key.id: key for key in some})
moments = strategies.moments.map(lambda moment: moment.replace(microsecond=0))
common: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "version": strategies.versions,
        "expires": moments,
        "extra": st.dictionaries(
            strategies.text.map(lambda name: f"x-{name}"), strategies.plain_values, max_size=2
        ).map(lambda extra: {"spec_version": "1.0.34", **extra}),
    }
)
digests = st.fixed_dictionaries(
    {"sha256": st.binary(min_size=32, max_size=32)},
    optional={"sha512": st.binary(min_size=64, max_size=64), "sha3-256": st.binary(min_size=1, max_size=40)},
)
metas = st.builds(
    FileMeta,
    version=strategies.versions,
    length=st.none() | st.integers(0, strategies.LARGEST),
    hashes=st.just({}) | digests,
)
entries = st.builds(
    FileMeta, length=st.integers(0, strategies.LARGEST), hashes=digests, custom=st.none() | strategies.plain_values
)
names = strategies.text.filter(lambda name: name and name not in TOP_LEVEL)
thresholds = st.integers(1, 256)


def _some(listed: dict[str, Key]) -> st.SearchStrategy[tuple[str, ...]]:
    ids = st.sampled_from(sorted(listed)) if listed else st.nothing()
    return st.lists(ids | st.text(max_size=3), unique=True, max_size=4).map(tuple)


@st.composite
def roots(draw: st.DrawFn) -> Root:
    """Draw a root."""
    listed = draw(keys)
    roles = {name: Role(name=name, keyids=draw(_some(listed)), threshold=draw(thresholds)) for name in TOP_LEVEL}
    return Root(**draw(common), keys=listed, roles=roles, consistent_snapshot=draw(st.booleans()))


@st.composite
def targets(draw: st.DrawFn) -> Targets:
    """Draw what a targets role says."""
    listed: dict[str, Key] = {}
    delegations: tuple[Delegation, ...] = ()
    bins = None
    if draw(st.booleans()):
        listed = draw(keys)
        bins = Bins(
            prefix=draw(strategies.text),
            bits=draw(st.integers(1, 32)),
            keyids=draw(_some(listed)),
            threshold=draw(thresholds),
        )
    elif named := draw(st.lists(names, unique=True, max_size=3)):
        listed = draw(keys)
        delegations = tuple(draw(_delegations(name, listed)) for name in named)
    listing = draw(st.dictionaries(strategies.text, entries, max_size=4))
    return Targets(**draw(common), targets=listing, keys=listed, delegations=delegations, bins=bins)


@st.composite
def _delegations(draw: st.DrawFn, name: str, listed: dict[str, Key]) -> Delegation:
    by_hash = draw(st.booleans())
    some = tuple(draw(st.lists(strategies.text, max_size=3)))
    return Delegation(
        name=name,
        keyids=draw(_some(listed)),
        threshold=draw(thresholds),
        patterns=() if by_hash else some,
        hash_prefixes=some if by_hash else (),
        terminating=draw(st.booleans()),
    )


snapshots = st.builds(
    lambda common, targets, others: Snapshot(**common, meta={**others, "targets": targets}),
    common,
    metas,
    st.dictionaries(names.filter(lambda name: name != "root"), metas, max_size=4),
)
timestamps = st.builds(lambda common, snapshot: Timestamp(**common, snapshot=snapshot), common, metas)
models: st.SearchStrategy[Model] = st.one_of(
    st.tuples(st.just("root"), roots()),
    st.tuples(st.just("timestamp"), timestamps),
    st.tuples(st.just("snapshot"), snapshots),
    st.tuples(st.sampled_from(["targets", "releases", "a/b"]), targets()),
)
signed_by = st.lists(
    st.builds(Signature, keyid=st.text(max_size=4), scheme=st.just(""), value=st.binary(max_size=80)),
    unique_by=lambda signature: signature.keyid,
    max_size=4,
).map(tuple)


def written(model: Model, by: tuple[Signature, ...] = ()) -> bytes:
    """Return the file of *model*."""
    return DIALECT.encode(DIALECT.payload(model[1]), by)


@given(models, signed_by)
def test_what_is_written_is_read_as_what_was_meant(model: Model, by: tuple[Signature, ...]) -> None:
    """
    The same model, the same signed bytes, the same signatures.
    """
    role, signed = model
    raw = written(model, by)

    claim = DIALECT.decode(role, raw)

    assert claim.signed == signed
    assert claim.payload == DIALECT.payload(signed) == canonical(json.loads(raw)["signed"])
    assert claim.signatures == by
    assert claim.raw == raw


@given(models, signed_by)
def test_what_is_read_is_written_as_it_was(model: Model, by: tuple[Signature, ...]) -> None:
    """
    Reading and writing again changes no byte.
    """
    raw = written(model, by)
    claim = DIALECT.decode(model[0], raw)

    assert DIALECT.encode(DIALECT.payload(claim.signed), claim.signatures) == raw


@given(models, signed_by)
def test_a_loose_spelling_means_the_same(model: Model, by: tuple[Signature, ...]) -> None:
    """
    Order, blanks and escapes are not signed.
    """
    role, signed = model
    document = json.loads(written(model, by))
    loose = json.dumps({name: document[name] for name in reversed(document)}, indent=1).encode()

    claim = DIALECT.decode(role, loose)

    assert claim.signed == signed
    assert claim.payload == DIALECT.payload(signed)


@given(st.sampled_from(["root", "timestamp", "snapshot", "targets", "a/b"]), st.binary() | strategies.plain_values)
def test_decode_raises_nothing_else(role: str, hostile: Any) -> None:
    """
    Whatever the bytes, and whatever the JSON.
    """
    raw = hostile if isinstance(hostile, bytes) else json.dumps(hostile).encode()

    with pytest.raises(FormatError):
        DIALECT.decode(role, raw)
    if not isinstance(hostile, bytes):
        with pytest.raises(FormatError):
            DIALECT.decode(role, json.dumps({"signed": hostile, "signatures": []}).encode())


# --- hostile files -------------------------------------------------------------------------------------------------


class Remembering(Tuf1):
    """Reads the files it knows once."""

    def __init__(self, known: dict[str, bytes]) -> None:
        self._known = {(role, file): super(Remembering, self).decode(role, file) for role, file in known.items()}

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Return what *raw* says, which may be known."""
        return self._known.get((role, raw)) or super().decode(role, raw)


class Stock:
    """A good repository that has something of everything, and ways to serve it with one file exchanged."""

    def __init__(self, *, spare: bool = True) -> None:
        made = Repository()
        made.keys["targets"] = [eddsa("targets"), ecdsa("targets too", "p384")]
        made.thresholds["targets"] = 1 if spare else 2
        more = [eddsa("releases too")] if spare else []
        prefixes = {"paths": None, "path_hash_prefixes": list("0123456789abcdef")}
        made.delegate("targets", Delegated("never", [eddsa("never")], ["never/*"]))
        made.delegate("targets", Delegated("releases", [eddsa("releases"), *more], members=prefixes))
        (part,) = made.delegate_bins("releases", "bin", 3, [ecdsa("bins")], "bin-5")
        part.targets[TARGET] = target("v1", note="a\n\u0000\u2028\u00e9", list=[1, None, True, {"a": -1}])
        made.parts["timestamp"].edit = lambda signed: signed.update({"x-note": "\n"})
        self.made, self.published = made, made.publish()
        self.files = self.published.files
        self.repository = self.published.repository()
        floors = self.published.memory()["floors"].items()
        self.memory = Memory(
            {role: Floor(f["version"], f["sha256"], tuple(f["keys"]), f["listed"]) for role, f in floors}
        )
        self.documents = {role: file.decode() for role, file in self.files.items()}
        self.signed = {role: json.dumps(json.loads(text)["signed"]) for role, text in self.documents.items()}
        self.dialect = Remembering(self.files)

    def sign(self, role: str, signed: Any) -> bytes:
        """Return *signed* as a file that the right keys signed."""
        try:
            payload = fast_canonical.encode(signed)
        except ValueError:
            payload = canonical(signed)
        return wire({"signatures": [key.sign(payload) for key in self.made.signers(role)], "signed": signed})

    def serve(self, role: str, file: bytes, *, listed: bool) -> dict[str, bytes]:
        """Return a repository with *file* for *role*; where *listed*, snapshot and timestamp say so and are signed."""
        served = {**self.repository, "2.root.json" if role == "root" else self.published.path(role): file}
        if not listed or role in {"root", "timestamp"}:
            return served
        if role != "snapshot":
            file = served[self.published.path("snapshot")] = self._relist("snapshot", role, file)
        served["timestamp.json"] = self._relist("timestamp", "snapshot", file)
        return served

    def look(self, world: World) -> Found | None:
        """Refresh, look a name up, and load everything."""
        workflow = Workflow(self.dialect, Gun(GUN), NOW, pins=Pins(root=self.files["root"]))
        world.drive(workflow.refresh())
        found = world.drive(workflow.find(TARGET))
        assert workflow.expires(found.chain if found else ()) > NOW
        return found

    def _relist(self, above: str, role: str, file: bytes) -> bytes:
        signed = json.loads(self.signed[above])
        signed["meta"][f"{role}.json"] = listing(file, 1, ("length", "hashes"))
        return self.sign(above, signed)


@cache
def stock() -> Stock:
    """The good repository."""
    return Stock()


@cache
def untouched() -> Found:
    """What is found in it."""
    found = stock().look(World(stock().repository))
    assert found is not None
    return found


@pytest.fixture
def verify_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify each signature of the good files once: nearly all the time goes there, and it says nothing new."""
    known = {stock().dialect.decode(role, file).payload for role, file in stock().files.items()}
    verified: dict[tuple[int, bytes, bytes], tuple[object, bool]] = {}
    really = signatures._holds

    def holds(public: PublicKey, scheme: str, value: bytes, payload: bytes) -> bool:
        if payload not in known:
            return really(public, scheme, value, payload)
        asked = id(public), value, payload
        if asked not in verified:
            verified[asked] = public, really(public, scheme, value, payload)  # who is held keeps its id
        return verified[asked][1]

    monkeypatch.setattr(signatures, "_holds", holds)


def read(role: str, file: bytes) -> None:
    """Read all that there is in *file*, and verify it with the keys of the good repository."""
    with suppress(UntrustedError):
        claim = stock().dialect.decode(role, file)
        if isinstance(claim.signed, Targets):
            list(claim.signed.covering(TARGET))
            for name in claim.signed.targets:
                with suppress(UntrustedError):
                    assert claim.signed.targets[name].length is not None
        if isinstance(claim.signed, Snapshot):
            for name in claim.signed.meta:
                with suppress(UntrustedError):
                    assert claim.signed.meta[name].version
        if isinstance(claim.signed, Root):
            for own in claim.signed.roles.values():
                with suppress(UntrustedError):
                    signatures.verify(claim, own, claim.signed.keys)
        listed = {key.id: DIALECT.read_key(json.dumps(key.spelled).encode()) for key in stock().made.signers(role)}
        assert signatures.verify(claim, Role(name=role, keyids=tuple(listed)), listed).keyids


def same(found: Found | None) -> bool:
    """Say whether *found* is what the good repository has."""
    return found is not None and (found.role, found.meta) == (untouched().role, untouched().meta)


def _spelled(random: Random, document: Any) -> bytes:
    if random.random() < 0.3:
        return json.dumps(document, indent=random.choice((None, 1))).encode()
    return wire(document)


def _refused_or_same(role: str, file: bytes, *, listed: bool) -> None:
    world = World(stock().serve(role, file, listed=listed))
    with suppress(UntrustedError):
        assert same(stock().look(world))
        assert all(
            stock().dialect.decode(name, raw).payload == stock().dialect.decode(name, stock().files[name]).payload
            for name, raw in world.kept.items()
            if name == role
        )


def _bytes(random: Random, role: str) -> None:
    file = damage(random, stock().files[role])
    read(role, file)
    _refused_or_same(role, file, listed=random.random() < 0.5)


def _structure(random: Random, role: str) -> None:
    file = _spelled(random, bend(random, stock().documents[role]))
    read(role, file)
    _refused_or_same(role, file, listed=random.random() < 0.8)


def _signed(random: Random, role: str) -> None:
    """Bend what is signed, and sign it: what comes of it may be anything but another error."""
    file = stock().sign(role, bend(random, stock().signed[role]))
    read(role, file)
    with suppress(UntrustedError):
        stock().look(World(stock().serve(role, file, listed=True)))


def _cached(random: Random, role: str) -> None:
    """Damage what is in the cache: nothing comes of it, and it is repaired."""
    kept = {**stock().files, role: damage(random, stock().files[role])}
    world = World(stock().repository, kept, stock().memory)

    assert same(stock().look(world))
    assert {name: raw for name, raw in world.kept.items() if name != "never"} == {
        name: raw for name, raw in stock().files.items() if name != "never"
    }


def _known(random: Random, role: str) -> None:
    """Serve something bent and signed to a client that knows better: what it trusted stays trusted."""
    signed = bend(random, stock().signed[role])
    if role == "root" and type(signed.get("version")) is int:
        signed["version"] += 1
    world = World(stock().serve(role, stock().sign(role, signed), listed=True), stock().files, stock().memory)
    with suppress(UntrustedError):
        stock().look(world)
    for name, floor in stock().memory.floors.items():
        after = world.memory.floors[name]
        assert after.version >= floor.version or set(after.keys).isdisjoint(floor.keys)


@pytest.mark.slow
@pytest.mark.timeout(7200 if FULL else 300)
@pytest.mark.filterwarnings("ignore")  # cryptography frets about odd keys
@pytest.mark.usefixtures("verify_once")
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


@pytest.mark.parametrize("seed", range(3 if not FULL else 300))
def test_what_is_said_to_be_a_key(seed: int) -> None:
    """
    A key, sound or not, or a refusal.
    """
    for kind in (eddsa("x"), ecdsa("x"), rsa_pss("x")):
        for number in range(200):
            random = Random(f"key {seed} {number}")
            bent = _spelled(random, bend(random, json.dumps(kind.spelled)))
            with suppress(FormatError):
                signatures.load(DIALECT.read_key(bent if number % 2 else damage(random, bent)))


# --- every byte ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swizzled:
    """A file with one byte changed."""

    at: int
    file: bytes


def swizzled(file: bytes) -> Iterator[Swizzled]:
    """Yield *file* with each of its bytes changed: to two others, or to every other."""
    for at, byte in enumerate(file):
        for other in range(256) if FULL else (byte ^ 0x01, byte ^ 0x20):
            if other != byte:
                yield Swizzled(at, file[:at] + bytes((other,)) + file[at + 1 :])


@pytest.mark.slow
@pytest.mark.timeout(7200 if FULL else 300)
@pytest.mark.parametrize("role", ROLES)
def test_a_byte_that_was_changed(role: str) -> None:
    """
    Refused, or in a signature that is not needed or the letter case of hex, and the signed content is the very same.
    """
    good = stock().dialect.decode(role, stock().files[role])
    listed = {key.id: DIALECT.read_key(json.dumps(key.spelled).encode()) for key in stock().made.signers(role)}
    own = Role(name=role, keyids=tuple(listed))
    accepted = 0
    for changed in swizzled(stock().files[role]):
        try:
            claim = DIALECT.decode(role, changed.file)
            signatures.verify(claim, own, listed)
        except UntrustedError:
            continue
        accepted += 1
        assert claim.payload == good.payload
        assert claim.signed == good.signed
        assert changed.at < stock().files[role].index(b'"signed"') or role == "timestamp"
    assert accepted < len(stock().files[role])


TARGET = next(
    f"app/{number}"
    for number in range(100)
    if Bins(prefix="bin", bits=3, keyids=()).of(f"app/{number}").name == "bin-5"
)
