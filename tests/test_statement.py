"""What links two collections holds by keys of both, or not at all."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authoring import Place
from tests.test_conversion import AT, RELEASES, at, team
from tests.world import GUN
from trustreg.conversion import Gathered, gather
from trustreg.errors import FormatError, ThresholdError, TrustregError, UntrustedError
from trustreg.metadata import Signature
from trustreg.names import Digest, Gun
from trustreg.sign.signer import LocalSigner
from trustreg.statement import (
    LARGEST,
    TYPE,
    Collection,
    GpgKey,
    Line,
    Statement,
    keys_here,
    listed,
    preimage,
    read,
    seal,
    sign,
    spell,
    vouched,
)
from trustreg.verify.signatures import load
from vectors.make.collection import root_key, target
from vectors.make.material import private_key, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.metadata import Key
    from trustreg.sign.signer import Signer

LINES = tuple(
    Line(name=f"{GUN}:{tag}", digest=Digest("sha256", tag[0] * 64), length=7, role=RELEASES, signers=(RELEASES,))
    for tag in ("1.0", "2.0")
)


def find(*labels: str) -> Callable[[Key], Signer | None]:
    """Give what finds the private halves of the keys with these *labels*, the old root among them."""
    kinds = {"root": "p256"}
    mine = [LocalSigner(private_key(label, kinds.get(label, "ed25519"))) for label in labels]

    def found(key: Key) -> Signer | None:
        public = load(key)
        return next((one for one in mine if public == one.private.public_key()), None)

    return found


class Sides:
    """An old collection and a new one, and the statement that links them."""

    def __init__(self, *old: str) -> None:
        collection = team(RELEASES)
        collection.parts[RELEASES].targets = {"1.0": target("1"), "2.0": target("2")}
        self.source: Gathered = gather(at(collection), GUN, AT)
        self.place = Place(Gun("dir:/srv/trust"))
        self.place.now = AT
        self.place.init()
        self.new = self.place.read().root
        self.find = find(*old)
        there = Collection(gun=self.place.gun, dialect="tuf1", place="dir:/srv/trust", root=self.new.raw)
        mine = self.place.publisher().finder()
        unsigned = Statement(
            made=AT,
            source=self.source.collection,
            files=self.source.files,
            destination=there,
            lines=LINES,
            signed_by={
                "source": keys_here(self.source.root.signed, self.find),
                "destination": keys_here(self.new.signed, mine),
            },
        )
        self.payload = spell(unsigned)
        by_old = sign(self.payload, self.source.root.signed, self.find)
        self.raw = seal(self.payload, (*by_old, *sign(self.payload, self.new.signed, mine)))


@pytest.fixture(scope="module")
def sides() -> Sides:
    return Sides("root", "targets")


def test_both_sides_vouch_for_it(sides: Sides) -> None:
    """
    By their roots, and it says what was put into it.
    """
    said = read(sides.raw)

    assert "root" == vouched(said, said.source.believed(), "source")[0]
    assert isinstance(said.destination, Collection)
    assert "root" == vouched(said, said.destination.believed(), "destination")[0]
    assert (LINES, AT, sides.source.files) == (said.lines, said.made, said.files)
    assert (sides.source.root.raw, sides.new.raw) == (said.source.root, said.destination.root)
    assert spell(said) == said.payload == sides.payload


def test_it_is_an_envelope_that_others_can_verify(sides: Sides) -> None:
    """
    DSSE: with nothing but a library for signatures.
    """
    envelope = json.loads(sides.raw)
    payload = b64decode(envelope["payload"])
    covered = f"DSSEv1 {len(TYPE)} {TYPE} {len(payload)} ".encode() + payload
    key = next(one for one in envelope["signatures"] if one["scheme"] == "ed25519")
    public = load({**sides.source.root.signed.keys, **sides.new.signed.keys}[key["keyid"]])

    public.verify(b64decode(key["sig"]), covered)  # type: ignore[union-attr, call-arg]
    assert covered == preimage(payload)


def test_the_targets_keys_will_do() -> None:
    """
    Of who has no root key here.
    """
    sides = Sides("targets")

    assert "targets" == vouched(read(sides.raw), sides.source.root, "source")[0]


def test_without_a_key_of_the_old_side_it_says_so() -> None:
    """
    And nobody takes it for one that links.
    """
    said = read(Sides().raw)

    assert () == said.signed_by["source"]
    with pytest.raises(ThresholdError):
        vouched(said, said.source.believed(), "source")


def test_too_few_keys_are_none(sides: Sides) -> None:
    """
    Where two have to sign for the root, and for targets, one alone does not.
    """
    root = sides.source.root.signed
    roles = {name: replace(role, threshold=2, keyids=(*role.keyids, "another")) for name, role in root.roles.items()}

    assert () == keys_here(replace(root, roles=roles), sides.find)
    assert 2 == len(keys_here(replace(root, roles={**roles, "targets": root.roles["targets"]}), sides.find))


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_signature_that_was_taken_away_is_missed(sides: Sides, side: Any) -> None:
    """
    Even where the others of its side suffice.
    """
    said = read(sides.raw)
    root = sides.source.root if side == "source" else sides.new
    for gone in said.signed_by[side]:
        envelope = json.loads(sides.raw)
        envelope["signatures"] = [one for one in envelope["signatures"] if one["keyid"] != gone]
        with pytest.raises(ThresholdError):
            vouched(read(json.dumps(envelope).encode()), root, side)


def test_keys_of_somebody_else_do_not_vouch(sides: Sides) -> None:
    """
    A root that comes along is one that anybody can make: what it proves depends on who knows it.
    """
    foreign = team(RELEASES)
    foreign.keys |= {"root": [root_key("somebody")], "targets": [raw("somebody")]}

    with pytest.raises(ThresholdError):
        vouched(read(sides.raw), gather(at(foreign), GUN, AT).root, "source")


def test_a_signature_of_metadata_is_none_of_a_statement(sides: Sides) -> None:
    """
    Nor the other way round: what is signed begins otherwise.
    """
    said = read(sides.raw)
    by_old = sign(said.payload, sides.source.root.signed, sides.find)
    plain = [
        replace(one, value=signer.sign(said.payload, one.keyid, one.scheme).value)
        for one in by_old
        if (signer := sides.find(sides.source.root.signed.keys[one.keyid]))
    ]

    assert plain
    with pytest.raises(ThresholdError):
        vouched(read(seal(said.payload, plain)), sides.source.root, "source")


@given(data=st.data())
def test_whatever_is_changed_is_noticed(sides: Sides, data: st.DataObject) -> None:
    """
    One byte of what is signed, and the statement is none, or nobody vouches for it.
    """
    at = data.draw(st.integers(0, len(sides.payload) - 1))
    bent = bytearray(sides.payload)
    bent[at] ^= 1 << data.draw(st.integers(0, 7))
    envelope = json.loads(sides.raw)
    envelope["payload"] = b64encode(bent).decode()

    with pytest.raises(UntrustedError):
        vouched(read(json.dumps(envelope).encode()), sides.source.root, "source")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trustreg-conversion", 2),
        ("trustreg-conversion", True),
        ("more", 1),
        ("made", "yesterday"),
        ("source.kind", "none"),
        ("source.collection", "a b"),
        ("source.root", "!"),
        ("source.files.root.version", 0),
        ("destination.kind", "GPG"),
        ("destination.more", 1),
        ("tagsSha256", "0" * 64),
        ("tags", {}),
        ("tags.0.name", "../../etc:1.0"),
        ("tags.0.name", "app:1.0"),
        ("tags.0.name", f"{GUN}"),
        ("tags.0.digest", "sha256:" + "A" * 64),
        ("tags.0.length", -1),
        ("tags.0.length", 1.0),
        ("tags.0.more", 1),
        ("tags.0.manifests", []),
        ("tags.1.name", f"{GUN}:1.0"),
        ("signedBy.source", "root"),
    ],
)
def test_what_is_no_statement_is_refused(sides: Sides, path: str, value: Any) -> None:
    """
    Whoever signed it.
    """
    document: Any = json.loads(sides.payload)
    *way, last = path.split(".")
    inner = document
    for step in way:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[last] = value
    payload = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    with pytest.raises(FormatError):
        read(seal(payload, ()))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        seal(b"{}", ()),
        seal(b"[" * 100_000, ()),
        b'{"payloadType":"text/plain","payload":"e30=","signatures":[]}',
        seal(b"{}", [Signature(keyid="x", scheme="y", value=b"z")] * 65),
        b" " * (LARGEST + 1),
    ],
    ids=range(9),
)
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    """
    As a fault of the file.
    """
    with pytest.raises(FormatError):
        read(raw)


def test_blanks_in_a_payload_are_refused(sides: Sides) -> None:
    """
    There is one spelling.
    """
    with pytest.raises(FormatError, match="canonical"):
        read(seal(json.dumps(json.loads(sides.payload)).encode(), ()))


def test_a_folder_of_signatures_is_a_side_too(sides: Sides) -> None:
    """
    With the key that made them.
    """
    key = GpgKey(place="lookaside:/srv/signatures", fingerprint="A" * 40, public=b"a key")
    lines = (replace(LINES[0], manifests=(Digest("sha256", "3" * 64),)), LINES[1])
    said = read(seal(spell(replace(read(sides.raw), destination=key, lines=lines)), ()))

    assert (key, lines) == (said.destination, said.lines)
    assert not said.same(read(sides.raw))
    assert said.digest == read(sides.raw).digest == listed(LINES)


def test_a_root_is_not_believed_because_it_comes_along() -> None:
    """
    It has to be signed by its own keys at least.
    """
    with pytest.raises(TrustregError):
        Collection(gun=GUN, dialect="notary1", place="x", root=b"{}").believed()
