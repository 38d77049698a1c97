"""Notary v1: the metadata of Docker Content Trust.

Sources: notary ``tuf/data``, ``tuf/signed``; docker/go ``canonical/json``. Files are signed over canonical JSON and
sent with ``& < >`` and two line separators escaped, so the signed bytes and the sent bytes may differ; digests in
snapshot and timestamp are those of the sent bytes.
"""

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from trustreg.dialect import Rules
from trustreg.dialects import canonical
from trustreg.dialects.reading import RFC3339, Listing, Members
from trustreg.errors import FormatError
from trustreg.metadata import (
    Delegation,
    Envelope,
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
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, is_delegation, is_role, parent


class Notary1:
    """The Notary v1 spelling; it has no state."""

    name: Final = "notary1"
    rules: Final = Rules(by_version=False, stepwise=False, tree=False)

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Read *raw* as metadata of *role*; raise :class:`FormatError` with the path of the first fault."""
        document, payload, _ = _open(role, raw)
        signed = document.members("signed")
        _type(role, signed)
        return Envelope(
            role=role,
            signed=_READERS.get(role, _targets)(signed),
            payload=payload,
            signatures=tuple(_signature(item) for item in document.objects("signatures")),
            raw=raw,
        )

    def payload(self, signed: Signed) -> bytes:
        """Return the canonical form of *signed*; raise :class:`ValueError` where it holds what readers refuse."""
        spelled = _spell(signed)
        payload = canonical.encode(spelled)
        canonical.require_plain(spelled)
        if _CONTROL.search(payload):
            raise ValueError("a control character cannot be written: signed, it would be sent as it is")
        return payload

    def encode(self, payload: bytes, signatures: Iterable[Signature]) -> bytes:
        """Return the file as Go would write it, byte for byte."""
        return _assemble(payload, [_spell_signature(signature) for signature in signatures])

    def locate(
        self, role: str, listed: FileMeta | None = None, version: int | None = None, *, consistent: bool = False
    ) -> str:
        """Return ``role.json``, ``role.SHA256.json`` or ``VERSION.role.json``."""
        del consistent  # all versions stay to be had by their digest
        if version is not None:
            return f"{version}.{role}.json"
        return f"{role}.{listed.hashes['sha256'].hex()}.json" if listed else f"{role}.json"

    def kept_as(self, role: str) -> str:
        """Return ``role.json``, with a folder for each part of a delegation's name."""
        if not is_role(role):
            raise ValueError(role)
        return f"{role}.json"

    def listed(self, raw: bytes, version: int) -> FileMeta:
        """Return length, sha256 and sha512 of *raw*; there is no place for a version."""
        del version
        digests = {name: hashlib.new(name, raw).digest() for name in ("sha256", "sha512")}
        return FileMeta(length=len(raw), hashes=digests)

    def amend(self, targets: Mapping[str, FileMeta], name: str, meta: FileMeta | None) -> Mapping[str, FileMeta]:
        """Return *targets* with *name* listed as *meta*, or not at all; the other entries are not even read.

        Raises:
            ValueError: Go could not sign it again, and whoever publishes with it would be stuck.
        """
        entries = dict(_spell_files(targets))
        entries.pop(name, None)
        if meta is not None:
            entries[name] = spell_file(meta)
            if problem := custom_problem(meta.custom):
                raise ValueError(f"custom {problem}")
        return Listing(Members(TARGETS, "signed.targets", entries), read_target)

    def key(self, kind: str, public: bytes = b"", certificates: tuple[bytes, ...] = ()) -> Key:
        """Return the key under its Notary id; with *certificates* the id is that of the certificates."""
        if certificates:
            public = b"".join(map(_pem, certificates))
            kind += "-x509"
        return _key(kind, public)

    def read_key(self, raw: bytes) -> Key:
        """Read a public key as servers offer it: ``{"keytype":…,"keyval":{"public":…,"private":null}}``."""
        where = "server key"
        try:
            item = Members(where, "", canonical.parse_strictly(raw))
            return _key(item.text("keytype"), item.members("keyval").base64("public"))
        except ValueError as exc:
            raise FormatError(where, "", str(exc)) from exc

    def spell_key(self, key: Key) -> bytes:
        """Return *key* as servers offer it; here ``public`` stands before ``private``."""
        value = {"public": key.spelled["keyval"]["public"], "private": None}
        return orjson.dumps({"keytype": key.spelled["keytype"], "keyval": value})


def exact(role: str, raw: bytes) -> None:
    """Require that Go, having parsed *raw*, writes the very same bytes again.

    Go hashes what it writes again when it makes a snapshot or a timestamp. Bytes that it writes otherwise break
    the collection for everyone although each signature is right.

    Raises:
        FormatError: It would not, and the path says where.

    Source: notary ``tuf/tuf.go``, ``SignSnapshot`` and ``SignTimestamp``; ``tuf/data/*.go`` for the fields.
    """
    document, payload, spelled_alike = _open(role, raw)
    signed = document.members("signed")
    _type(role, signed)
    _same(document, ("signed", "signatures"))
    for item in document.objects("signatures"):
        _same(item, _SIGNATURE)
        if item.text("method") != item.text("method").lower():
            item.fail("method", "Go writes it in lower case")
    _READERS.get(role, _targets)(signed)
    _MIRRORS.get(role, _mirror_targets)(signed)
    moment = RFC3339.fullmatch(signed.text("expires"))
    if moment and ((moment["fraction"] or "1").endswith("0") or signed.text("expires").endswith(("+00:00", "-00:00"))):
        signed.fail("expires", "Go writes it otherwise: no trailing zeros, and Z for UTC")
    signatures = [{name: item.text(name) for name in _SIGNATURE} for item in document.objects("signatures")]
    if not spelled_alike or raw != _assemble(payload, signatures):
        document.fail("", "these are not the bytes that Go writes for it: blanks, order or escapes differ")


# --- reading ---------------------------------------------------------------------------------------------------


def _open(role: str, raw: bytes) -> tuple[Members, bytes, bool]:
    """Return the document, the signed bytes, and whether *raw* spells the signed part as Go does."""
    try:
        value = canonical.parse(raw)
        document = Members(role, "", value)
        payload = canonical.encode(document.members("signed").value)
        sent = _sent(payload)
        end = len(_BEFORE) + len(sent)
        alike = raw.startswith(_BEFORE) and raw.startswith(sent, len(_BEFORE)) and raw.startswith(_BETWEEN + b"[", end)
        if not alike or raw[end + len(_BETWEEN) :] != _sent(orjson.dumps(value["signatures"])) + b"}":
            # Only a reading that spells the same bytes again is proof that nothing was dropped on the way.
            value = canonical.parse_strictly(raw)
            document = Members(role, "", value)
            payload = canonical.encode(document.members("signed").value)
    except ValueError as exc:
        raise FormatError(role, "", str(exc)) from exc
    except (TypeError, KeyError) as exc:
        raise FormatError(role, "signatures", "a list of objects is due") from exc
    document.only(("signed", "signatures"))
    signatures = document.value.get("signatures")
    if isinstance(signatures, list) and len(signatures) > MOST_SIGNATURES:
        document.fail("signatures", f"there are more than {MOST_SIGNATURES}")
    return document, payload, alike


def _type(role: str, signed: Members) -> None:
    due = role.capitalize() if role in TOP_LEVEL else "Targets"
    if signed.text("_type") != due:
        signed.fail("_type", f"{due!r} is due, not {signed.text('_type')[:40]!r}")


def _signature(item: Members) -> Signature:
    item.only(_SIGNATURE)
    scheme = _SCHEMES.get(item.text("method"), "")
    return Signature(keyid=item.text("keyid"), scheme=scheme, value=item.base64("sig"))


def _common(signed: Members, *known: str) -> dict[str, Any]:
    names = {"_type", "version", "expires", *known}
    signed.only(names)
    extra = {name: value for name, value in signed.value.items() if name not in names}
    return {
        "version": signed.integer("version", 1),
        "expires": signed.moment("expires"),
        "extra": MappingProxyType(extra),
    }


def _root(signed: Members) -> Root:
    common = _common(signed, "keys", "roles", "consistent_snapshot")
    keys = _keys(signed)
    roles = {name: _role(item, name, keys) for name, item in signed.members("roles").each()}
    for name in TOP_LEVEL:
        if name not in roles:
            signed.fail(f"roles.{name}", "it is missing")
    return Root(
        keys=keys, roles=roles, consistent_snapshot=signed.boolean("consistent_snapshot"), certified=True, **common
    )


def _role(item: Members, name: str, keys: Mapping[str, Key]) -> Role:
    item.only(("keyids", "threshold"))
    keyids = item.strings("keyids")
    for keyid in keyids:
        if keyid not in keys:
            item.fail("keyids", f"key {keyid[:64]} is not listed")
    return Role(name=name, keyids=keyids, threshold=item.integer("threshold", 1, MOST_SIGNATURES))


def _keys(owner: Members) -> dict[str, Key]:
    return {keyid: _listed_key(keyid, item) for keyid, item in owner.members("keys").each()}


def _listed_key(keyid: str, item: Members) -> Key:
    item.only(("keytype", "keyval"))
    value = item.members("keyval")
    value.only(("public", "private"))
    if value.value.get("private") is not None:
        value.fail("private", "a private key has no place here")
    key = _key(item.text("keytype"), value.base64("public"))
    return Key(
        id=keyid,
        kind=key.kind,
        public=key.public,
        certificates=key.certificates,
        sound=key.sound and key.id == keyid,
        spelled=key.spelled,
    )


def _targets(signed: Members) -> Targets:
    common = _common(signed, "targets", "delegations")
    entries = signed.members("targets")
    keys: dict[str, Key] = {}
    delegations: list[Delegation] = []
    if "delegations" in signed.value:
        part = signed.members("delegations")
        part.only(("keys", "roles"))
        keys = _keys(part)
        delegations = [_delegation(item, signed.role, keys) for item in part.objects("roles", nullable=True)]
        if len({delegation.name for delegation in delegations}) != len(delegations):
            part.fail("roles", "a role stands twice")
    return Targets(targets=Listing(entries, read_target), keys=keys, delegations=tuple(delegations), **common)


def _delegation(item: Members, delegator: str, keys: Mapping[str, Key]) -> Delegation:
    item.only(("keyids", "name", "paths", "threshold"))
    name = item.text("name")
    if not is_delegation(name) or parent(name) != delegator:
        item.fail("name", f"{name[:80]!r} is not the name of a role below {delegator}")
    keyids = item.strings("keyids", nullable=True)
    for keyid in keyids:
        if keyid not in keys:
            item.fail("keyids", f"key {keyid[:64]} is not listed")
    return Delegation(
        name=name,
        keyids=keyids,
        threshold=item.integer("threshold", 1, MOST_SIGNATURES),
        prefixes=item.strings("paths", nullable=True),
    )


def _snapshot(signed: Members) -> Snapshot:
    common = _common(signed, "meta")
    meta = {name: read_file(item, "sha256") for name, item in signed.members("meta").each()}
    for name in (ROOT, TARGETS):
        if name not in meta:
            signed.fail(f"meta.{name}", "it is missing")
    return Snapshot(meta=meta, **common)


def _timestamp(signed: Members) -> Timestamp:
    return Timestamp(snapshot=read_file(signed.members("meta").members(SNAPSHOT), "sha256"), **_common(signed, "meta"))


def read_file(item: Members, *strong: str) -> FileMeta:
    """Read a listed file, which has to have at least one of the digests *strong*; also from a staged change."""
    if not item.value.keys() <= _FILE:
        item.only(_FILE)
    hashes = item.members("hashes")
    digests = {name: hashes.base64(name) for name in hashes.value}
    for name, digest in digests.items():
        if len(digest) != _DIGEST_SIZES.get(name, len(digest)):
            hashes.fail(name, f"{_DIGEST_SIZES[name]} bytes are due, not {len(digest)}")
    if digests.keys().isdisjoint(strong):
        hashes.fail(strong[0], "it is missing")
    custom = item.plain("custom") if "custom" in item.value else None
    return FileMeta(version=0, length=item.integer("length", 0), hashes=digests, custom=custom)


def read_target(item: Members) -> FileMeta:
    """Read a target, which has to have a digest that can be relied on."""
    return read_file(item, "sha256", "sha512")


# --- writing ---------------------------------------------------------------------------------------------------


def _spell(signed: Signed) -> dict[str, Any]:
    common = {"version": signed.version, "expires": _spell_time(signed.expires), **signed.extra}
    if isinstance(signed, Root):
        roles = {n: {"keyids": list(r.keyids), "threshold": r.threshold} for n, r in signed.roles.items()}
        kept = {"consistent_snapshot": signed.consistent_snapshot, "keys": _spell_keys(signed.keys), "roles": roles}
        return {"_type": "Root", **kept, **common}
    if isinstance(signed, Targets):
        delegations = {"keys": _spell_keys(signed.keys), "roles": [_spell_delegation(d) for d in signed.delegations]}
        return {"_type": "Targets", "delegations": delegations, "targets": _spell_files(signed.targets), **common}
    if isinstance(signed, Snapshot):
        return {"_type": "Snapshot", "meta": _spell_files(signed.meta), **common}
    if isinstance(signed, Timestamp):
        return {"_type": "Timestamp", "meta": {SNAPSHOT: spell_file(signed.snapshot)}, **common}
    raise TypeError(type(signed))


def _spell_keys(keys: Mapping[str, Key]) -> dict[str, Any]:
    return {keyid: key.spelled for keyid, key in keys.items()}


def _spell_delegation(delegation: Delegation) -> dict[str, Any]:
    spelled = {"keyids": list(delegation.keyids), "name": delegation.name, "threshold": delegation.threshold}
    return {**spelled, "paths": list(delegation.prefixes)} if delegation.prefixes else spelled


def _spell_files(files: Mapping[str, FileMeta]) -> dict[str, Any]:
    if isinstance(files, Listing):
        return files.spelled
    return {name: spell_file(meta) for name, meta in files.items()}


def spell_file(meta: FileMeta) -> dict[str, Any]:
    """Return *meta* as metadata, and a staged change, lists it."""
    hashes = {name: _base64(digest) for name, digest in meta.hashes.items()}
    spelled = {"hashes": hashes, "length": meta.length or 0}
    return spelled if meta.custom is None else {**spelled, "custom": meta.custom}


def _spell_time(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
    whole, dot, fraction = text.partition(".")
    return f"{whole}{dot}{fraction.rstrip('0')}Z"


def _spell_signature(signature: Signature) -> dict[str, str]:
    return {"keyid": signature.keyid, "method": _METHODS[signature.scheme], "sig": _base64(signature.value)}


def _assemble(payload: bytes, signatures: list[dict[str, Any]]) -> bytes:
    return b"".join((_BEFORE, _sent(payload), _BETWEEN, _sent(orjson.dumps(signatures)), b"}"))


def _sent(payload: bytes) -> bytes:
    for raw, escaped in _SENT[:3] if payload.isascii() else _SENT:
        if raw in payload:
            payload = payload.replace(raw, escaped)
    return payload


# --- what Go would write ---------------------------------------------------------------------------------------


def _same(item: Members, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    for name in names:
        item.require(name)
    for name in item.value:
        if name not in names and name not in optional:
            item.fail(name, "Go knows no such member, and drops it")


def _mirror_keys(owner: Members) -> None:
    for _, item in owner.members("keys").each():
        _same(item, ("keytype", "keyval"))
        _same(item.members("keyval"), ("private", "public"))
        item.members("keyval").base64("public")


def _mirror_root(signed: Members) -> None:
    _same(signed, ("_type", "consistent_snapshot", "expires", "keys", "roles", "version"))
    _mirror_keys(signed)
    for _, item in signed.members("roles").each():
        _same(item, ("keyids", "threshold"))


def _mirror_targets(signed: Members) -> None:
    _same(signed, ("_type", "delegations", "expires", "targets", "version"))
    part = signed.members("delegations")
    _same(part, ("keys", "roles"))
    _mirror_keys(part)
    for item in part.objects("roles", nullable=True):
        _same(item, ("keyids", "name", "threshold"), ("paths",))
        if item.value.get("paths", True) in ([], None):
            item.fail("paths", "Go leaves an empty list out")
    for _, item in signed.members("targets").each():
        _mirror_file(item, ("custom",))


def _mirror_meta(signed: Members) -> None:
    _same(signed, ("_type", "expires", "meta", "version"))
    for _, item in signed.members("meta").each():
        _mirror_file(item)


def _mirror_file(item: Members, optional: tuple[str, ...] = ()) -> None:
    _same(item, ("hashes", "length"), optional)
    read_file(item, "sha256", "sha512")
    if "custom" in item.value:
        if item.value["custom"] is None:
            item.fail("custom", "Go drops a null")
        if problem := custom_problem(item.value["custom"]):
            item.fail("custom", problem)


def custom_problem(custom: Any) -> str | None:
    """Say why Go could not sign *custom* again, or ``None``: it copies what it cannot spell in its own way.

    Source: notary ``tuf/data/types.go``, where it is raw JSON.
    """
    try:
        canonical.require_plain(custom)
        payload = canonical.encode(custom)
    except ValueError as exc:
        return str(exc)
    if any(mark in payload for mark, _ in _SENT):
        return "holds & < > or a line separator: Go could not sign it again"
    if _CONTROL.search(payload):
        return "holds a control character: Go could not sign it again"
    return None


# --- spelling tables ---------------------------------------------------------------------------------------------


def _key(keytype: str, public: bytes) -> Key:
    spelled = {"keytype": keytype, "keyval": {"private": None, "public": _base64(public)}}
    keyid = hashlib.sha256(canonical.encode(spelled)).hexdigest()
    kind, _, x509 = keytype.partition("-")
    if x509 != "x509":
        size_fits = kind != "ed25519" or len(public) == 32
        return Key(id=keyid, kind=keytype, public=public, sound=size_fits, spelled=spelled)
    certificates = _unpem(public)
    return Key(id=keyid, kind=kind, certificates=certificates, sound=bool(certificates), spelled=spelled)


def _pem(certificate: bytes) -> bytes:
    text = binascii.b2a_base64(certificate, newline=False)
    lines = b"".join(text[i : i + 64] + b"\n" for i in range(0, len(text), 64))
    return _BEGIN + b"\n" + lines + _END + b"\n"


def _unpem(text: bytes) -> tuple[bytes, ...]:
    parts = text.split(_BEGIN)[1:]
    try:
        return tuple(binascii.a2b_base64(part.split(_END)[0]) for part in parts)
    except ValueError:
        return ()


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


_SIGNATURE: Final = ("keyid", "method", "sig")  # in the order in which Go writes them
MOST_SIGNATURES = 256  # per file; the largest root seen had nine
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BEFORE, _BETWEEN = b'{"signed":', b',"signatures":'
_SENT = (
    (b"&", rb"\u0026"),
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)
_FILE = frozenset({"custom", "hashes", "length"})
_DIGEST_SIZES = {"sha256": 32, "sha512": 64}
_METHODS = {
    "ed25519": "eddsa",
    "ecdsa-p1363-sha256": "ecdsa",
    "rsa-pss-sha256": "rsapss",
    "rsa-pkcs1v15-sha256": "rsapkcs1v15",
}
_SCHEMES = {method: scheme for scheme, method in _METHODS.items()}
_READERS: dict[str, Callable[[Members], Signed]] = {ROOT: _root, SNAPSHOT: _snapshot, TIMESTAMP: _timestamp}
_MIRRORS: dict[str, Callable[[Members], None]] = {ROOT: _mirror_root, SNAPSHOT: _mirror_meta, TIMESTAMP: _mirror_meta}
