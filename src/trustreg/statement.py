"""The statement that links an old collection to what its tags were signed again in.

It names both sides, brings their roots along (for GPG the public key), lists every tag with its digest, and is signed
by keys of both: those of the old root or ``targets`` role, as far as they are here, and those of the new ones. The old
server may be gone when somebody reads it; but a root that comes with it proves nothing to who does not know it.

The form is a DSSE envelope around canonical JSON, ``trustreg-conversion`` (1). What is signed begins with ``DSSEv1``,
so no signature of a statement is one of metadata, and none of metadata one of a statement. Who signed is part of what
is signed: a signature that was taken away is missed.

Source: https://github.com/secure-systems-lab/dsse, ``protocol.md`` and ``envelope.md``.
"""

import binascii
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, cast

import orjson

from trustreg.dialect import Dialect
from trustreg.dialects import canonical
from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.reading import Members
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import FormatError, NameFormError, ThresholdError
from trustreg.metadata import Envelope, Root, Signature, Signed
from trustreg.names import ROOT, TARGETS, Digest, Gun, Reference
from trustreg.sign.pages import Find, held, suffices
from trustreg.values import dataclass, field
from trustreg.verify.pinning import anchor
from trustreg.verify.signatures import Verified, verify
from trustreg.verify.workflow import Limits

Side: TypeAlias = Literal["source", "destination"]


@dataclass(frozen=True, kw_only=True)
class Read:
    """A file of the old collection that the tags were read from; ``keyids`` are those that vouched for it."""

    version: int
    sha256: str
    keyids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One of the two sides, where it is a collection: its name, its dialect, where it was, and its root."""

    gun: Gun
    dialect: str
    place: str
    root: bytes = field(repr=False)

    def believed(self) -> Verified[Root]:
        """Return the root, checked against itself only.

        Raises:
            UntrustedError: It is none.
        """
        claim = cast("Envelope[Root]", DIALECTS[self.dialect].decode(ROOT, self.root))
        return anchor(claim, self.gun)


@dataclass(frozen=True, kw_only=True)
class GpgKey:
    """The other side, where it is a folder of GPG signatures: the primary key that made them."""

    place: str
    fingerprint: str
    public: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One tag that is signed on both sides.

    Attributes:
        name: Its whole name, ``registry.example/team/app:1.0``.
        digest: What it is bound to.
        length: The length of that in bytes.
        role: The role of the old collection whose word was taken.
        signers: All roles that said the same, that one first.
        manifests: Besides ``digest``, what was signed with it: the platforms of an index.
    """

    name: str
    digest: Digest
    length: int
    role: str
    signers: tuple[str, ...]
    manifests: tuple[Digest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What links the two, before or after it was signed.

    ``files`` are those of the source, by role. ``signed_by`` says whose signatures have to be there.
    """

    made: datetime
    source: Collection
    files: Mapping[str, Read] = field(hash=False)
    destination: Collection | GpgKey
    lines: tuple[Line, ...]
    signed_by: Mapping[Side, tuple[str, ...]] = field(hash=False)
    payload: bytes = field(default=b"", repr=False, compare=False)
    signatures: tuple[Signature, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> str:
        """The sha256, in hex, of the list of names, digests and lengths: to compare over the telephone."""
        return listed(self.lines)

    def same(self, other: "Statement") -> bool:
        """Say whether *other* links the same two and says the same of their tags."""
        return (self.source, self.destination, self.lines) == (other.source, other.destination, other.lines)


def listed(lines: Iterable[Line]) -> str:
    """Return the sha256 of *lines* in hex: of their names, digests and lengths."""
    return hashlib.sha256(canonical.encode([[line.name, str(line.digest), line.length] for line in lines])).hexdigest()


def preimage(payload: bytes) -> bytes:
    """Return the bytes that signatures of *payload* cover."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def spell(statement: Statement) -> bytes:
    """Return *statement* as canonical JSON, the payload of its envelope."""
    return canonical.encode(
        {
            "trustreg-conversion": 1,
            "made": _moment(statement.made),
            "source": {
                **_spell_side(statement.source),
                "files": {
                    role: {"version": file.version, "sha256": file.sha256, "keyids": list(file.keyids)}
                    for role, file in statement.files.items()
                },
            },
            "destination": _spell_side(statement.destination),
            "signedBy": {side: list(ids) for side, ids in statement.signed_by.items()},
            "tagsSha256": statement.digest,
            "tags": [_spell_line(line) for line in statement.lines],
        }
    )


def seal(payload: bytes, signatures: Iterable[Signature]) -> bytes:
    """Return the envelope of *payload*."""
    spelled = [{"keyid": one.keyid, "scheme": one.scheme, "sig": _base64(one.value)} for one in signatures]
    envelope = {"payloadType": TYPE, "payload": _base64(payload), "signatures": spelled}
    return orjson.dumps(envelope, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(raw: bytes) -> Statement:
    """Read an envelope and what is in it; of its signatures nothing was verified.

    Raises:
        FormatError: It is none.
    """
    envelope = _object(raw)
    if (kind := envelope.text("payloadType")) != TYPE:
        envelope.fail("payloadType", f"{kind[:80]!r} is not that of a statement, {TYPE!r}")
    payload = envelope.base64("payload")
    signatures = tuple(
        Signature(keyid=each.text("keyid"), scheme=each.text("scheme"), value=each.base64("sig"))
        for each in envelope.objects("signatures")
    )
    if len(signatures) > _MOST_SIGNATURES:
        envelope.fail("signatures", f"there may be {_MOST_SIGNATURES}")
    said = _object(payload)
    if said.integer("trustreg-conversion", 1) != 1:
        said.fail("trustreg-conversion", "this is for a newer trustreg")
    source, signed_by = said.members("source"), said.members("signedBy")
    found = Statement(
        made=said.moment("made"),
        source=_collection(source),
        files={
            role: Read(version=f.integer("version", 1), sha256=f.text("sha256"), keyids=f.strings("keyids"))
            for role, f in source.members("files").each()
        },
        destination=_side(said.members("destination")),
        lines=tuple(map(_line, said.objects("tags"))),
        signed_by={"source": signed_by.strings("source"), "destination": signed_by.strings("destination")},
        payload=payload,
        signatures=signatures,
    )
    if len({line.name for line in found.lines}) != len(found.lines):
        said.fail("tags", "a name stands twice")
    if spell(found) != payload:
        said.fail("", "it is not canonical, or has members that nobody knows")
    return found


def sign(payload: bytes, root: Root, find: Find) -> tuple[Signature, ...]:
    """Return the signatures of *payload* by all keys that are here of those that sign *root*, or its ``targets``."""
    found: dict[str, Signature] = {}
    for role in (ROOT, TARGETS):
        for key, signer in held((root.roles[role], root.keys), find):
            if key.id not in found:
                found[key.id] = signer.sign(preimage(payload), key.id, key.scheme)
    return tuple(found.values())


def keys_here(root: Root, find: Find) -> tuple[str, ...]:
    """Return the ids of the keys that :func:`sign` would sign with; none if they are too few to vouch for anything.

    They are opened for that.
    """
    authorities = [(root.roles[role], root.keys) for role in (ROOT, TARGETS)]
    if not any(suffices(authority, find) for authority in authorities):
        return ()
    return tuple(dict.fromkeys(key.id for authority in authorities for key, _ in held(authority, find)))


def vouched(statement: Statement, root: Verified[Root], side: Side) -> tuple[str, tuple[str, ...]]:
    """Require enough keys of *root*, that of *side*, to have signed *statement*.

    Returns:
        The role whose keys did, ``root`` or else ``targets``, and the ids of those that did.

    Raises:
        ThresholdError: Too few of either role did, or one that is said to have signed did not.
    """
    claim: Envelope[Signed] = Envelope(
        role="statement",
        signed=root.signed,
        payload=preimage(statement.payload),
        signatures=statement.signatures,
        raw=b"",
    )
    if not statement.signed_by[side]:
        raise ThresholdError(ROOT, root.signed.roles[ROOT].threshold, 0, ("it says itself that no key of it signed",))
    fault: ThresholdError | None = None
    for role in (ROOT, TARGETS):
        try:
            ids = verify(claim, root.signed.roles[role], root.signed.keys).keyids
        except ThresholdError as exc:
            fault = fault or exc
            continue
        missing = set(statement.signed_by[side]) - {one.keyid for one in statement.signatures}
        if missing:
            why = tuple(f"the signature by key {keyid[:12]} was taken away" for keyid in sorted(missing))
            raise ThresholdError(role, len(statement.signed_by[side]), len(ids), why)
        return role, ids
    assert fault  # noqa: S101 # neither of the two was met
    raise fault


def _object(raw: bytes) -> Members:
    if len(raw) > LARGEST:
        raise FormatError(_WHAT, "", f"it is longer than {LARGEST} bytes")
    try:
        return Members(_WHAT, "", canonical.parse_strictly(raw))
    except ValueError as exc:
        raise FormatError(_WHAT, "", str(exc)) from exc


def _side(members: Members) -> Collection | GpgKey:
    if members.text("kind") != GPG:
        return _collection(members)
    fingerprint, public = members.text("fingerprint"), _bytes(members, "publicKey")
    return GpgKey(place=members.text("place"), fingerprint=fingerprint, public=public)


def _collection(members: Members) -> Collection:
    if (dialect := members.text("kind")) not in DIALECTS:
        members.fail("kind", f"{dialect[:40]!r} is no kind of collection")
    try:
        gun = Gun(members.text("collection"))
    except NameFormError as exc:
        members.fail("collection", exc.problem)
    return Collection(gun=gun, dialect=dialect, place=members.text("place"), root=_bytes(members, "root"))


def _bytes(members: Members, name: str) -> bytes:
    found = members.base64(name)
    if len(found) > Limits().root:
        members.fail(name, f"it is longer than {Limits().root} bytes")
    return found


def _line(members: Members) -> Line:
    return Line(
        name=_image(members),
        digest=_digest(members, "digest", members.text("digest")),
        length=members.integer("length", 0),
        role=members.text("role"),
        signers=members.strings("signers"),
        manifests=tuple(_digest(members, "manifests", text) for text in members.strings("manifests", nullable=True)),
    )


def _image(members: Members) -> str:
    text = members.text("name")
    try:
        image = Reference.parse(text)
    except NameFormError as exc:
        members.fail("name", exc.problem)
    if str(image) != text or image.tag is None or image.digest:
        members.fail("name", "it is not the whole name of an image with a tag")
    return text


def _digest(members: Members, name: str, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except NameFormError as exc:
        members.fail(name, exc.problem)


def _spell_side(side: Collection | GpgKey) -> dict[str, Any]:
    if isinstance(side, GpgKey):
        spelled = {"fingerprint": side.fingerprint, "publicKey": _base64(side.public)}
        return {"kind": GPG, "place": side.place, **spelled}
    root = {"root": _base64(side.root)}
    return {"kind": side.dialect, "place": side.place, "collection": str(side.gun), **root}


def _spell_line(line: Line) -> dict[str, Any]:
    spelled: dict[str, Any] = {
        "name": line.name,
        "digest": str(line.digest),
        "length": line.length,
        "role": line.role,
        "signers": list(line.signers),
    }
    return {**spelled, "manifests": [str(digest) for digest in line.manifests]} if line.manifests else spelled


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


DIALECTS: Final[Mapping[str, Dialect]] = {"notary1": Notary1(), "tuf1": Tuf1()}
GPG: Final = "gpg"
TYPE: Final = "application/vnd.trustreg.conversion+json"
LARGEST: Final = 64 << 20  # bytes: 190 000 tags
_MOST_SIGNATURES = 64
_WHAT = "conversion statement"
