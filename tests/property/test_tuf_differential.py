"""
The same repositories, read by trustreg and by python-tuf: what one signs the other accepts, and both refuse the same.

Hypothesis draws repositories: keys of every kind, thresholds, chains of roots, delegations by patterns, hash prefixes
and bins, consistent or not, files listed with or without length and digests, custom data with any characters. They are
written by python-tuf or by trustreg, perhaps bent and signed again, and served to both clients, each with a cache of
its own. Where the two do differ, a test at the end says in what, and why.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey
from tuf.api import _payload as theirs
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from tests.verify.world import World
from trustreg import metadata as ours
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import UntrustedError
from trustreg.names import Gun
from trustreg.sign.signer import LocalSigner
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import Workflow
from vectors.make.collection import canonical
from vectors.make.material import private_key
from vectors.make.tuf.repository import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json: TypeAlias = dict[str, Any]
Files: TypeAlias = dict[str, bytes]
Answer: TypeAlias = dict[str, tuple[int, dict[str, str]] | None] | None
"""What became of each name, ``None`` where no role lists it; or ``None``, a refusal."""

FULL = bool(os.environ.get("TRUSTREG_FULL"))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
TOP = ("root", "timestamp", "snapshot", "targets")
NAMES = ("readme", "app/v1", "app/v2", "app/x/y", "\u00fc/\U0001f600", 'q"\\', "c\n\u0001")
POOL = ("alpha", "beta", "g/m m\u00e4")
DIALECT = Tuf1()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 300)]
few = settings(max_examples=3000 if FULL else 25, deadline=None)


# --- keys ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """One private key, as both libraries have it."""

    label: str
    scheme: str

    @property
    def private(self) -> Any:
        """The key itself."""
        return private_key(f"differential {self.label}", _KINDS[self.scheme])

    @property
    def their_key(self) -> SSlibKey:
        """The public key as python-tuf lists it."""
        return SSlibKey.from_crypto(self.private.public_key(), scheme=self.scheme)

    @property
    def their_signer(self) -> CryptoSigner:
        """What signs in python-tuf."""
        return CryptoSigner(self.private, self.their_key)

    @property
    def our_key(self) -> ours.Key:
        """The public key as trustreg lists it."""
        signer = LocalSigner(self.private)
        key = DIALECT.key(signer.kind, signer.public)
        return DIALECT.read_key(json.dumps({**key.spelled, "scheme": self.scheme}).encode())

    def sign(self, payload: bytes) -> Json:
        """Return an entry of ``signatures``."""
        key = _our_key(self)
        return {"keyid": key.id, "sig": LocalSigner(self.private).sign(payload, key.id, self.scheme).value.hex()}


@cache
def _our_key(pair: Pair) -> ours.Key:
    return pair.our_key


@cache
def _their_key(pair: Pair) -> SSlibKey:
    return pair.their_key


_KINDS = {
    "ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "p256",
    "ecdsa-sha2-nistp384": "p384",
    "rsassa-pss-sha256": "rsa2048",
    "rsa-pkcs1v15-sha256": "rsa2048",
}
PAIRS = tuple(
    Pair(label, scheme)
    for label, schemes in (("one", [*_KINDS]), ("two", [*_KINDS][:3]), ("three", ["ed25519"]), ("four", ["ed25519"]))
    for scheme in schemes
)


# --- repositories --------------------------------------------------------------------------------------------------


@dataclass
class Delegating:
    """An entry of ``delegations.roles``."""

    name: str
    keys: list[Pair]
    threshold: int
    terminating: bool
    paths: list[str] | None
    prefixes: list[str] | None


@dataclass
class Plan:
    """What one role is to say."""

    version: int = 1
    expires: datetime = LATER
    keys: list[Pair] = field(default_factory=list)
    threshold: int = 1
    targets: dict[str, Any] = field(default_factory=dict)  # name -> custom
    delegations: list[Delegating] = field(default_factory=list)
    bits: int | None = None
    prefix: str = "bin"


@dataclass
class Story:
    """A repository before anybody has written it."""

    consistent: bool
    lists: tuple[str, ...]
    roots: list[dict[str, tuple[list[Pair], int]]]  # who may sign, root by root
    plans: dict[str, Plan]

    def signers(self, role: str) -> list[Pair]:
        """Return who signs *role*, which is not root."""
        return self.roots[-1][role][0] if role in TOP else self.plans[role].keys

    def root_signers(self, version: int) -> list[Pair]:
        """Return who signs that root: its keys, and those of the one before."""
        every = [self.roots[version - 1]["root"][0], *([self.roots[version - 2]["root"][0]] if version > 1 else [])]
        return list(dict.fromkeys(pair for pairs in every for pair in pairs))


pairs = st.lists(st.sampled_from(PAIRS), min_size=1, max_size=3, unique_by=lambda pair: (pair.label, pair.scheme[:3]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
customs = st.none() | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), plain, max_size=3)
listings = st.sampled_from([(), ("length",), ("hashes",), ("length", "hashes")])
patterns = st.lists(
    st.sampled_from(["*", "app/*", "app/v?", "*/*", "app/*/*", "readme", "APP/*", "\u00fc/*", "c*", "", "**"]),
    max_size=3,
)
# Digests of the names that begin so; others cover nothing.
digests = st.lists(
    st.sampled_from([hashlib.sha256(name.encode()).hexdigest()[:size] for name in NAMES for size in (1, 2, 5)]),
    max_size=4,
)


@st.composite
def authorities(draw: st.DrawFn) -> tuple[list[Pair], int]:
    """Draw keys and a threshold that they meet."""
    keys = draw(pairs)
    return keys, draw(st.integers(1, len(keys)))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw a repository."""
    roots = draw(st.lists(st.fixed_dictionaries({role: authorities() for role in TOP}), min_size=1, max_size=3))
    plans = {role: Plan(version=draw(st.integers(1, 9))) for role in TOP}
    plans["root"].version = len(roots)
    plans["targets"].targets = draw(st.dictionaries(st.sampled_from(NAMES), customs, max_size=2))
    speaking = ["targets"]
    for name in draw(st.lists(st.sampled_from(POOL), unique=True, max_size=3)):
        keys, threshold = draw(authorities())
        above = draw(st.sampled_from(speaking))
        paths = draw(st.none() | patterns)
        prefixes = draw(digests) if paths is None else None
        entry = Delegating(name, keys, threshold, draw(st.booleans()), paths, prefixes)
        plans[above].delegations.append(entry)
        listed = draw(st.dictionaries(st.sampled_from(NAMES), customs, max_size=4))
        plans[name] = Plan(version=draw(st.integers(1, 9)), keys=keys, threshold=threshold, targets=listed)
        speaking.append(name)
    binned = draw(st.none() | st.sampled_from(speaking))
    if binned and not plans[binned].delegations:
        keys, threshold = draw(authorities())
        bits = plans[binned].bits = draw(st.integers(1, 4))
        plans[binned].prefix = f"{binned[:1]}in"
        for number in range(2**bits):
            role = f"{plans[binned].prefix}-{number:0{(bits + 3) // 4}x}"
            listed = {name: None for name in NAMES if draw(st.booleans())} if number % 3 == 0 else {}
            plans[role] = Plan(keys=keys, threshold=threshold, targets=listed)
    return Story(draw(st.booleans()), draw(listings), roots, plans)


def path_of(story: Story, role: str, version: int) -> str:
    """Return where a file is found."""
    from urllib.parse import quote

    versioned = role == "root" or (story.consistent and role != "timestamp")
    return f"{version}.{quote(role, '')}.json" if versioned else f"{quote(role, '')}.json"


# --- written by python-tuf -----------------------------------------------------------------------------------------


def by_them(story: Story) -> Files:
    """Write *story* with python-tuf."""
    files: Files = {}
    for version, roles in enumerate(story.roots, 1):
        root = theirs.Root(version=version, expires=LATER, consistent_snapshot=story.consistent)
        for role, (keys, threshold) in roles.items():
            for pair in keys:
                root.add_key(_their_key(pair), role)
            root.roles[role].threshold = threshold
        files[f"{version}.root.json"] = _their_file(root, story.root_signers(version))
    snapshot = theirs.Snapshot(version=story.plans["snapshot"].version, expires=LATER, meta={})
    for role, plan in story.plans.items():
        if role not in {"root", "timestamp", "snapshot"}:
            raw = _their_file(_their_targets(story, plan), story.signers(role))
            files[path_of(story, role, plan.version)] = raw
            snapshot.meta[f"{role}.json"] = _their_listing(story, plan.version, raw)
    raw = files[path_of(story, "snapshot", snapshot.version)] = _their_file(snapshot, story.signers("snapshot"))
    timestamp = theirs.Timestamp(version=story.plans["timestamp"].version, expires=LATER)
    timestamp.snapshot_meta = _their_listing(story, snapshot.version, raw)
    files["timestamp.json"] = _their_file(timestamp, story.signers("timestamp"))
    return files


def _their_targets(story: Story, plan: Plan) -> theirs.Targets:
    made = theirs.Targets(version=plan.version, expires=plan.expires)
    for name, custom in plan.targets.items():
        made.targets[name] = theirs.TargetFile.from_data(name, name.encode(), ["sha256"])
        if custom is not None:
            made.targets[name].unrecognized_fields["custom"] = custom
    if plan.bits:
        keys = story.plans[f"{plan.prefix}-{0:0{(plan.bits + 3) // 4}x}"]
        ids = {_their_key(pair).keyid: _their_key(pair) for pair in keys.keys}
        shared = theirs.SuccinctRoles([*ids], keys.threshold, plan.bits, plan.prefix)
        made.delegations = theirs.Delegations(cast("dict[str, Any]", ids), succinct_roles=shared)
    elif plan.delegations:
        known = {_their_key(pair).keyid: _their_key(pair) for entry in plan.delegations for pair in entry.keys}
        roles = {
            entry.name: theirs.DelegatedRole(
                entry.name,
                [_their_key(pair).keyid for pair in entry.keys],
                entry.threshold,
                entry.terminating,
                paths=entry.paths,
                path_hash_prefixes=entry.prefixes,
            )
            for entry in plan.delegations
        }
        made.delegations = theirs.Delegations(cast("dict[str, Any]", known), roles)
    return made


def _their_listing(story: Story, version: int, raw: bytes) -> theirs.MetaFile:
    length = len(raw) if "length" in story.lists else None
    hashes = {"sha256": hashlib.sha256(raw).hexdigest()} if "hashes" in story.lists else None
    return theirs.MetaFile(version, length, hashes)


def _their_file(signed: Any, signers: list[Pair]) -> bytes:
    made = Metadata(signed)
    for pair in signers:
        made.sign(pair.their_signer, append=True)
    return made.to_bytes()


# --- written by trustreg -------------------------------------------------------------------------------------------


def by_us(story: Story) -> Files:
    """Write *story* with trustreg."""
    files: Files = {}
    for version, roles in enumerate(story.roots, 1):
        root = ours.Root(
            version=version,
            expires=LATER,
            keys={_our_key(pair).id: _our_key(pair) for keys, _ in roles.values() for pair in keys},
            roles={name: _our_role(name, keys, threshold) for name, (keys, threshold) in roles.items()},
            consistent_snapshot=story.consistent,
        )
        files[f"{version}.root.json"] = _our_file(root, story.root_signers(version))
    meta = {}
    for role, plan in story.plans.items():
        if role not in {"root", "timestamp", "snapshot"}:
            raw = _our_file(_our_targets(story, plan), story.signers(role))
            files[path_of(story, role, plan.version)] = raw
            meta[role] = _our_listing(story, plan.version, raw)
    snapshot = ours.Snapshot(version=story.plans["snapshot"].version, expires=LATER, meta=meta)
    raw = files[path_of(story, "snapshot", snapshot.version)] = _our_file(snapshot, story.signers("snapshot"))
    listed = _our_listing(story, snapshot.version, raw)
    timestamp = ours.Timestamp(version=story.plans["timestamp"].version, expires=LATER, snapshot=listed)
    files["timestamp.json"] = _our_file(timestamp, story.signers("timestamp"))
    return files


def _our_role(name: str, keys: list[Pair], threshold: int) -> ours.Role:
    return ours.Role(name=name, keyids=tuple(_our_key(pair).id for pair in keys), threshold=threshold)


def _our_targets(story: Story, plan: Plan) -> ours.Targets:
    keys = [pair for entry in plan.delegations for pair in entry.keys]
    bins = None
    if plan.bits:
        first = story.plans[f"{plan.prefix}-{0:0{(plan.bits + 3) // 4}x}"]
        keys = first.keys
        ids = tuple(_our_key(pair).id for pair in keys)
        bins = ours.Bins(prefix=plan.prefix, bits=plan.bits, keyids=ids, threshold=first.threshold)
    return ours.Targets(
        version=plan.version,
        expires=plan.expires,
        targets={
            name: ours.FileMeta(
                length=len(name.encode()), hashes={"sha256": hashlib.sha256(name.encode()).digest()}, custom=custom
            )
            for name, custom in plan.targets.items()
        },
        keys={_our_key(pair).id: _our_key(pair) for pair in keys},
        delegations=tuple(
            ours.Delegation(
                name=entry.name,
                keyids=tuple(_our_key(pair).id for pair in entry.keys),
                threshold=entry.threshold,
                terminating=entry.terminating,
                patterns=tuple(entry.paths or ()),
                hash_prefixes=tuple(entry.prefixes or ()),
            )
            for entry in plan.delegations
        ),
        bins=bins,
    )


def _our_listing(story: Story, version: int, raw: bytes) -> ours.FileMeta:
    full = DIALECT.listed(raw, version)
    return replace(
        full,
        length=full.length if "length" in story.lists else None,
        hashes=full.hashes if "hashes" in story.lists else {},
    )


def _our_file(signed: ours.Signed, signers: list[Pair]) -> bytes:
    payload = DIALECT.payload(signed)
    made = (LocalSigner(pair.private).sign(payload, _our_key(pair).id, pair.scheme) for pair in signers)
    return DIALECT.encode(payload, made)


# --- read by both --------------------------------------------------------------------------------------------------


class Served(FetcherInterface):
    """Fetches from a dictionary."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def _fetch(self, url: str) -> Iterator[bytes]:
        raw = self.files.get(url.removeprefix("x:/"))
        if raw is None:
            raise DownloadHTTPError("there is none", 404)
        yield raw


class Both:
    """Two clients, each with a cache, that were given the same root."""

    def __init__(self, first: bytes) -> None:
        self.first, self.world = first, World({})
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def ask(self, files: Mapping[str, bytes], now: datetime = NOW) -> tuple[Answer, Answer]:
        """Refresh and look all names up; return what we say and what they say."""
        return self.ask_us(files, now), self.ask_them(files, now)

    def ask_us(self, files: Mapping[str, bytes], now: datetime) -> Answer:
        """Ask trustreg."""
        self.world.repository = dict(files)
        workflow = Workflow(DIALECT, Gun("example/app"), now, pins=Pins(root=self.first))
        try:
            self.world.drive(workflow.refresh())
            found = {name: self.world.drive(workflow.find(name)) for name in NAMES}
        except UntrustedError:
            return None
        return {name: _ours(at.meta) if at else None for name, at in found.items()}

    def ask_them(self, files: Mapping[str, bytes], now: datetime) -> Answer:
        """Ask python-tuf; whatever it raises, it refused."""
        try:
            updater = Updater(self._folder.name, "x:/", fetcher=Served(files), bootstrap=self.first)
            updater._trusted_set.reference_time = now
            updater.refresh()
            found = {name: updater.get_targetinfo(name) for name in NAMES}
        except Exception:  # noqa: BLE001 # it lets many through
            return None
        return {name: (at.length, dict(at.hashes)) if at else None for name, at in found.items()}


def _ours(meta: ours.FileMeta) -> tuple[int, dict[str, str]]:
    return meta.length or 0, {name: digest.hex() for name, digest in meta.hashes.items()}


def both(files: Files, now: datetime = NOW) -> tuple[Answer, Answer]:
    """Have two new clients look all names up."""
    with Both(files["1.root.json"]) as clients:
        return clients.ask(files, now)


@few
@given(stories())
def test_what_they_sign_we_accept(story: Story) -> None:
    """
    With the same targets found.
    """
    mine, yours = both(by_them(story))

    assert mine is not None
    assert mine == yours


@few
@given(stories())
def test_what_we_sign_they_accept(story: Story) -> None:
    """
    With the same targets found, and each file by itself.
    """
    files = by_us(story)

    mine, yours = both(files)

    assert mine is not None
    assert mine == yours
    root = Metadata[theirs.Root].from_bytes(files[f"{len(story.roots)}.root.json"])
    for role in TOP:
        read = Metadata[Any].from_bytes(files[path_of(story, role, story.plans[role].version)])
        root.signed.verify_delegate(role, read.signed_bytes, read.signatures)
    for plan in story.plans.values():
        for entry in plan.delegations:
            read = Metadata[Any].from_bytes(files[path_of(story, entry.name, story.plans[entry.name].version)])
            claim = DIALECT.decode(entry.name, files[path_of(story, entry.name, story.plans[entry.name].version)])
            assert read.signed_bytes == claim.payload


@few
@given(stories())
def test_both_write_the_same(story: Story) -> None:
    """
    What python-tuf reads of ours and writes again is what we wrote, and the other way round.
    """
    for path, raw in by_us(story).items():
        again = Metadata[Any].from_bytes(raw).to_bytes()
        assert (
            DIALECT.decode(_role_at(story, path), again).payload == DIALECT.decode(_role_at(story, path), raw).payload
        )
    for path, raw in by_them(story).items():
        claim = DIALECT.decode(_role_at(story, path), raw)
        assert Metadata[Any].from_bytes(raw).signed_bytes == claim.payload


def _role_at(story: Story, path: str) -> str:
    """Return whose file is at *path*."""
    if path.endswith(".root.json"):
        return "root"
    return next(role for role, plan in story.plans.items() if path_of(story, role, plan.version) == path)


# --- bent ----------------------------------------------------------------------------------------------------------

Change: TypeAlias = "Callable[[Json, int], object]"


def _set(**members: Any) -> Change:
    return lambda signed, _: signed.update(members)


def _drop(member: str) -> Change:
    return lambda signed, _: signed.pop(member, None)


def _roles(change: Callable[[Json, int], object]) -> Change:
    """Return what changes one of those that a file gives a say to."""

    def edit(signed: Json, number: int) -> None:
        shared = signed.get("delegations") or {}
        roles = [*signed.get("roles", {}).values(), *shared.get("roles", [])]
        roles += [shared["succinct_roles"]] if "succinct_roles" in shared else []
        if roles:
            change(roles[number % len(roles)], number)

    return edit


def _entries(change: Callable[[Json, int], object]) -> Change:
    """Return what changes one of the files that a snapshot or timestamp lists."""

    def edit(signed: Json, number: int) -> None:
        if entries := [*signed.get("meta", {}).values()]:
            change(entries[number % len(entries)], number)

    return edit


SIGNED: dict[str, Change] = {
    "another version": lambda signed, number: signed.update(version=1 + number % 12),
    "version 0": _set(version=0),
    "version -1": _set(version=-1),
    "version as text": _set(version="1"),
    "no version": _drop("version"),
    "expired": _set(expires="2026-05-01T12:00:00Z"),
    "expires in a second": _set(expires="2026-05-01T12:00:01Z"),
    "expires never": _drop("expires"),
    "expires on a day": _set(expires="2027-01-01"),
    "another type": lambda signed, number: signed.update(_type=TOP[number % 4]),
    "no type": _drop("_type"),
    "spec 1.0": _set(spec_version="1.0"),
    "spec 1.99.0": _set(spec_version="1.99.0"),
    "spec 2.0.0": _set(spec_version="2.0.0"),
    "spec 1": _set(spec_version="1"),
    "no spec": _drop("spec_version"),
    "unknown": _set(**{"x-note": {"a": ["\u0000\u001f\u007f\u2028", -1, None, True]}}),
    "a float": _set(**{"x-note": 1.5}),
    "no targets": _drop("targets"),
    "no meta": _drop("meta"),
    "meta empty": lambda signed, _: signed.update(meta={}) if "meta" in signed else None,
    "no roles": _drop("roles"),
    "no keys": _drop("keys"),
    "delegations empty": lambda signed, _: signed.update(delegations={}) if "targets" in signed else None,
    "delegations without keys": lambda signed, _: (signed.get("delegations") or {}).update(keys={}),
    "delegations backwards": lambda signed, _: (signed.get("delegations") or {}).get("roles", []).reverse(),
    "threshold 0": _roles(lambda role, _: role.update(threshold=0)),
    "threshold more": _roles(lambda role, _: role.update(threshold=role["threshold"] + 1)),
    "threshold 1": _roles(lambda role, _: role.update(threshold=1)),
    "threshold as text": _roles(lambda role, _: role.update(threshold="1")),
    "a key id less": _roles(lambda role, _: role["keyids"] and role["keyids"].pop()),
    "a key id more": _roles(lambda role, _: role["keyids"].append("nobody")),
    "a key id twice": _roles(lambda role, _: role["keyids"].append(role["keyids"][0]) if role["keyids"] else None),
    "key ids backwards": _roles(lambda role, _: role["keyids"].reverse()),
    "no key ids": _roles(lambda role, _: role.pop("keyids")),
    "terminating": _roles(lambda role, _: role.update(terminating=True) if "name" in role else None),
    "not terminating": _roles(lambda role, _: role.update(terminating=False) if "name" in role else None),
    "other paths": _roles(lambda role, n: role.update(paths=["app/*", "*"][: n % 3]) if "paths" in role else None),
    "paths and prefixes": _roles(
        lambda role, _: role.update(paths=["*"], path_hash_prefixes=["0"]) if "name" in role else None
    ),
    "neither": _roles(lambda role, _: [role.pop("paths", None), role.pop("path_hash_prefixes", None)]),
    "a top-level name": _roles(lambda role, n: role.update(name=TOP[n % 4]) if "name" in role else None),
    "no name": _roles(lambda role, _: role.pop("name", None)),
    "bits 0": _roles(lambda role, _: role.update(bit_length=0) if "bit_length" in role else None),
    "bits 33": _roles(lambda role, _: role.update(bit_length=33) if "bit_length" in role else None),
    "bits otherwise": _roles(lambda role, n: role.update(bit_length=1 + n % 5) if "bit_length" in role else None),
    "listed older": _entries(lambda entry, _: entry.update(version=max(1, entry["version"] - 1))),
    "listed newer": _entries(lambda entry, _: entry.update(version=entry["version"] + 1)),
    "listed without a version": _entries(lambda entry, _: entry.pop("version")),
    "listed as 0": _entries(lambda entry, _: entry.update(version=0)),
    "listed shorter": _entries(lambda entry, _: entry.update(length=entry.get("length", 700) - 1)),
    "listed longer": _entries(lambda entry, _: entry.update(length=entry.get("length", 700) + 1)),
    "listed below 0": _entries(lambda entry, _: entry.update(length=-1)),
    "listed otherwise": _entries(lambda entry, _: entry.update(hashes={"sha256": "00" * 32})),
    "listed with no digest": _entries(lambda entry, _: entry.update(hashes={})),
    "listed with null": _entries(lambda entry, _: entry.update(hashes=None)),
    "unlisted": lambda signed, n: (
        signed["meta"].pop([*signed["meta"]][n % len(signed["meta"])]) if signed.get("meta") else None
    ),
    "hash prefixes in capitals": _roles(
        lambda role, _: (
            role.update(path_hash_prefixes=[p.upper() for p in role["path_hash_prefixes"]])
            if "path_hash_prefixes" in role
            else None
        )
    ),
    "not consistent": lambda signed, _: signed.update(consistent_snapshot=False) if "roles" in signed else None,
}
ENVELOPES: dict[str, Callable[[Json, int], object]] = {
    "no signatures": lambda envelope, _: envelope.update(signatures=[]),
    "a signature less": lambda envelope, _: envelope["signatures"].pop(),
    "a signature more": lambda envelope, _: envelope["signatures"].insert(0, {"keyid": "nobody", "sig": "00"}),
    "an empty signature": lambda envelope, _: envelope["signatures"].append({"keyid": "nobody", "sig": ""}),
    "a signature twice": lambda envelope, _: envelope["signatures"].append(envelope["signatures"][0]),
    "a signature cut": lambda envelope, n: _first(envelope, n, lambda sig: sig[:-2]),
    "a signature of no hex": lambda envelope, n: _first(envelope, n, lambda sig: "x" + sig[1:]),
    "a signature in capitals": lambda envelope, n: _first(envelope, n, str.upper),
    "a signature without an id": lambda envelope, _: envelope["signatures"][0].pop("keyid"),
    "a signature without a value": lambda envelope, _: envelope["signatures"][0].pop("sig"),
    "signatures exchanged": lambda envelope, _: _exchange(envelope["signatures"]),
    "signatures backwards": lambda envelope, _: envelope["signatures"].reverse(),
    "more members": lambda envelope, _: envelope.update({"x-note": 1}),
    "no signed": lambda envelope, _: envelope.pop("signed"),
    "no list": lambda envelope, _: envelope.pop("signatures"),
    "other content": lambda envelope, _: envelope["signed"].update({"x-note": 1}),
}


def _first(envelope: Json, number: int, change: Callable[[str], str]) -> None:
    entry = envelope["signatures"][number % len(envelope["signatures"])]
    entry["sig"] = change(entry["sig"])


def _exchange(signatures: list[Json]) -> None:
    signatures[0]["sig"], signatures[-1]["sig"] = signatures[-1]["sig"], signatures[0]["sig"]


class Bent:
    """A story written by trustreg, of which one file can be changed, signed, and listed."""

    def __init__(self, story: Story, files: Files | None = None) -> None:
        self.story = story
        self.files = dict(files or by_us(story))
        self.roles = list(story.plans)

    def path(self, role: str) -> str:
        """Return where the newest file of *role* is."""
        return path_of(self.story, role, self.story.plans[role].version)

    def change(
        self, role: str, change: Change, number: int, around: Callable[[Json, int], object] | None = None
    ) -> Files:
        """Return the files with that of *role* changed and signed anew, and those that list it."""
        signed = json.loads(self.files[self.path(role)])["signed"]
        change(signed, number)
        files = self._put(role, signed, (lambda envelope: around(envelope, number)) if around else None)
        return self._relisted(role, files) if role not in {"root", "timestamp"} else files

    def _relisted(self, role: str, files: Files) -> Files:
        above = "timestamp" if role == "snapshot" else "snapshot"
        signed = json.loads(files[self.path(above)])["signed"]
        raw = files[self.path(role)]
        entry = signed["meta"][f"{role}.json"]
        entry |= {"length": len(raw)} if "length" in entry else {}
        entry |= {"hashes": {"sha256": hashlib.sha256(raw).hexdigest()}} if "hashes" in entry else {}
        self.files = files
        files = self._put(above, signed, None)
        return files if above == "timestamp" else self._relisted(above, files)

    def _put(self, role: str, signed: Json, around: Callable[[Json], object] | None) -> Files:
        signers = self.story.root_signers(len(self.story.roots)) if role == "root" else self.story.signers(role)
        message = canonical(signed)
        envelope = {"signatures": [pair.sign(message) for pair in signers], "signed": signed}
        if around:
            around(envelope)
        return {**self.files, self.path(role): wire(envelope)}


def agreed(files: Files, root: bytes) -> None:
    """Require two clients that were given *root* to say the same of *files*."""
    with Both(root) as clients:
        mine, yours = clients.ask(files)

    assert mine == yours


@pytest.mark.parametrize("change", SIGNED)
@settings(max_examples=200 if FULL else 3, deadline=None)
@given(story=stories(), which=st.integers(0, 63), number=st.integers(0, 63))
def test_what_is_signed_otherwise(change: str, story: Story, which: int, number: int) -> None:
    """
    Bent and signed again, and listed as it is: both accept it, or both refuse it.
    """
    bent = Bent(story)
    files = bent.change(bent.roles[which % len(bent.roles)], SIGNED[change], number)

    agreed(files, by_us(story)["1.root.json"])


@pytest.mark.parametrize("change", ENVELOPES)
@settings(max_examples=200 if FULL else 3, deadline=None)
@given(story=stories(), which=st.integers(0, 63), number=st.integers(0, 63))
def test_what_is_bent_around_it(change: str, story: Story, which: int, number: int) -> None:
    """
    Signatures lost, damaged, exchanged.
    """
    bent = Bent(story)
    files = bent.change(bent.roles[which % len(bent.roles)], lambda *_: None, number, ENVELOPES[change])

    agreed(files, by_us(story)["1.root.json"])


@few
@given(stories(), st.lists(st.integers(0, 1 << 16), min_size=5, max_size=5))
def test_what_is_damaged(story: Story, numbers: list[int]) -> None:
    """
    A bit changed, a file lost, cut, longer, or another file in its place.
    """
    files = by_us(story)
    kind, which, other, at, bit = numbers
    path = sorted(files)[which % len(files)]
    raw = bytearray(files[path])
    raw[at % len(raw)] ^= 1 << bit % 8
    served: dict[str, bytes | None] = dict(files)
    served[path] = (
        bytes(raw),
        files[sorted(files)[other % len(files)]],
        bytes(raw[: at % len(raw)]),
        bytes(raw) + b" ",
        None,
    )[kind % 5]

    agreed({place: bytes(content) for place, content in served.items() if content is not None}, files["1.root.json"])


@few
@given(stories(), st.lists(st.tuples(st.lists(st.integers(0, 63), max_size=3), st.integers(0, 5)), max_size=5))
def test_one_after_another(story: Story, steps: list[tuple[list[int], int]]) -> None:
    """
    What was read before is in the caches of both: they accept what follows, and refuse to go back or to mix.
    """
    moments = [by_us(story)]
    others = [role for role in story.plans if role not in {"root", "snapshot", "timestamp"}]
    with Both(moments[0]["1.root.json"]) as clients:
        for numbers, back in steps:
            for role in {"snapshot", "timestamp", *(others[number % len(others)] for number in numbers)}:
                story.plans[role].version += 1
            moments.append(by_us(story))
            old = moments[-1 - back % len(moments)]
            mixed = moments[-1] | {path: raw for path, raw in old.items() if "timestamp" in path or back < 3}
            mine, yours = clients.ask(mixed)
            assert mine == yours


@few
@given(stories(), st.integers(-2, 2))
def test_when_it_expires(story: Story, seconds: int) -> None:
    """
    To the second.
    """
    mine, yours = both(by_us(story), LATER + timedelta(seconds=seconds))

    assert mine == yours
    assert (mine is None) == (seconds >= 0)


# --- where they differ ---------------------------------------------------------------------------------------------


def _story(**plans: Plan) -> Story:
    """Return a repository with ``app/v1`` in targets."""
    one = [PAIRS[0]]
    every = {role: Plan() for role in TOP} | plans
    every["targets"].targets = {"app/v1": None}
    return Story(consistent=True, lists=("length", "hashes"), roots=[dict.fromkeys(TOP, (one, 1))], plans=every)


def _of(role: str, change: Change) -> Files:
    return Bent(_story()).change(role, change, 0)


def _keyed(key: Json) -> Change:
    """Return what adds a key to root, and lets it sign for the timestamp besides."""

    def edit(signed: Json, _: int) -> None:
        signed["keys"]["odd"] = key
        signed["roles"]["timestamp"]["keyids"].append("odd")

    return edit


_GLYPH = {"keytype": "glyph", "scheme": "glyph-9000", "keyval": {"public": "?"}}
_SCHEME = {"keytype": "ed25519", "scheme": "ed25519ph", "keyval": {"public": "00" * 32}}
_BROKEN = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {}}
LOOSER: dict[str, tuple[str, Change, str]] = {
    "a key of an unknown type": ("root", _keyed(_GLYPH), "TUF section 4.2: clients ignore keys that they cannot use"),
    "a key of an unknown scheme": ("root", _keyed(_SCHEME), "as above: readers outlive schemes"),
    "a key that is none": ("root", _keyed(_BROKEN), "as above; it vouches for nothing"),
    "a role for mirrors": (
        "root",
        lambda signed, _: signed["roles"].update(mirrors={"keyids": [], "threshold": 1}),
        "TUF section 4.3 names it",
    ),
    "a fraction of a second": ("root", _set(expires="2027-01-01T00:00:00.123456Z"), "roots in the wild have it"),
    "an offset": ("root", _set(expires="2027-01-01T00:00:00+02:00"), "roots in the wild have it"),
    "delegations are null": ("targets", _set(delegations=None), "null says what absence says"),
    "an entry that nobody asked for": (
        "targets",
        lambda signed, _: signed["targets"].update(other={"length": "much"}),
        "of ten thousand entries one is read; whoever asks for this one is refused",
    ),
}
STRICTER: dict[str, tuple[str, Change, str]] = {
    "an integer beyond 2^53": ("targets", _set(**{"x-note": 2**53 + 1}), "readers that have doubles read another one"),
    "a version of true": ("snapshot", _set(version=True), "true is no integer; python-tuf takes it for 1"),
    "a length of true": (
        "targets",
        lambda signed, _: signed["targets"]["app/v1"].update(length=True),
        "true is no integer; python-tuf takes it for 1",
    ),
    "a digest that is none": (
        "targets",
        lambda signed, _: signed["targets"]["app/v1"]["hashes"].update(sha256="much"),
        "a digest that nothing can have is refused where it is read, not after a download",
    ),
    "a digest that is weak": (
        "snapshot",
        lambda signed, _: signed["meta"]["targets.json"].update(hashes={"md5": _md5()}),
        "who can make two files with one md5 may exchange them",
    ),
}


def _md5() -> str:
    files = by_us(_story())
    return hashlib.md5(files["1.targets.json"]).hexdigest()  # noqa: S324 # that is the point


@pytest.mark.parametrize("case", LOOSER)
def test_where_we_accept_more(case: str) -> None:
    """
    For the reason that stands beside it.
    """
    role, change, why = LOOSER[case]
    mine, yours = both_with(role, change)

    assert (mine is not None, yours is None) == (True, True), why


@pytest.mark.parametrize("case", STRICTER)
def test_where_we_accept_less(case: str) -> None:
    """
    For the reason that stands beside it.
    """
    role, change, why = STRICTER[case]
    mine, yours = both_with(role, change)

    assert (mine is None, yours is not None) == (True, True), why


def both_with(role: str, change: Change) -> tuple[Answer, Answer]:
    """Have both read a good repository with the file of *role* changed and signed; a root is what they were given."""
    files = _of(role, change)
    return both(files)


def test_a_member_that_stands_twice() -> None:
    """
    python-tuf takes the last one, others the first: what was signed means two things, and is refused.
    """
    files = by_us(_story())
    raw = files["timestamp.json"]
    files["timestamp.json"] = raw.replace(b'"version":1}', b'"version":1,"version":1}')
    assert files["timestamp.json"] != raw

    mine, yours = both(files)

    assert mine is None
    assert yours is not None


def test_one_key_under_two_ids() -> None:
    """
    python-tuf counts two: who holds one key meets a threshold of two.
    """
    pair, files = PAIRS[0], {}
    bent = Bent(_story())
    root = json.loads(bent.files["1.root.json"])["signed"]
    root["keys"]["twin"] = root["keys"][_our_key(pair).id]
    root["roles"]["timestamp"].update(keyids=[_our_key(pair).id, "twin"], threshold=2)
    files = bent._put("root", root, None)
    timestamp = json.loads(files["timestamp.json"])
    timestamp["signatures"].append({**timestamp["signatures"][0], "keyid": "twin"})

    mine, yours = both({**files, "timestamp.json": wire(timestamp)})

    assert mine is None
    assert yours is not None


def test_a_short_rsa_key() -> None:
    """
    1024 bits have been within reach for years; python-tuf takes them.
    """
    private = cast("Any", private_key("differential short", "rsa1024"))
    key = SSlibKey.from_crypto(private.public_key(), scheme="rsassa-pss-sha256")
    files = _of("root", _keyed({**key.to_dict()}))
    root = json.loads(files["1.root.json"])["signed"]
    root["roles"]["timestamp"]["keyids"] = ["odd"]
    bent = Bent(_story(), files)
    files = bent._put("root", root, None)
    signer = CryptoSigner(private, key)
    timestamp = json.loads(files["timestamp.json"])
    signature = signer.sign(canonical(timestamp["signed"])).to_dict()
    timestamp["signatures"] = [{**signature, "keyid": "odd"}]

    mine, yours = both({**files, "timestamp.json": wire(timestamp)})

    assert mine is None
    assert yours is not None


def test_a_role_delegated_to_twice_with_other_keys() -> None:
    """
    Each delegator's keys have to hold: python-tuf asks the first who gets there, and not the second.
    """
    story = _story()
    one, two = [PAIRS[0]], [PAIRS[4]]
    for name in ("a", "b"):
        story.plans[name] = Plan(keys=one)
        story.plans["targets"].delegations.append(Delegating(name, one, 1, False, ["*"], None))
    story.plans["c"] = Plan(keys=one)
    story.plans["a"].delegations.append(Delegating("c", one, 1, False, ["*"], None))
    story.plans["b"].delegations.append(Delegating("c", two, 1, False, ["*"], None))

    mine, yours = both(by_us(story))

    assert mine is None
    assert yours is not None
