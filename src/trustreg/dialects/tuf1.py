"""TUF 1.0: metadata as The Update Framework specifies it.

Files are signed over canonical JSON, and may be sent with any blanks and in any order of members. Members that are
not known here are left alone, keys of unknown kinds vouch for nothing and harm nobody, and key ids are whatever the
publishers chose (TAP 12).

Sources: TUF 1.0.34 section 4; TAP 12; TAP 15; securesystemslib for keys and schemes.
"""

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from types import MappingProxyType
from typing import Any, Final

import orjson

from trustreg.dialect import Rules
from trustreg.dialects import canonical, split
from trustreg.dialects.reading import Listing, Members
from trustreg.dialects.split import Split
from trustreg.errors import FormatError
from trustreg.metadata import (
    Bins,
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
from trustreg.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL


class Tuf1:
    """The TUF 1.0 spelling; it has no state."""

    name: Final = "tuf1"
    rules: Final = Rules(by_version=True, stepwise=True, tree=True)

    def decode(self, role: str, raw: bytes) -> Envelope[Signed]:
        """Read *raw* as metadata of *role*; raise :class:`FormatError` with the path of the first fault."""
        document, payload = _open(role, raw)
        signed = document.members("signed")
        due = role if role in TOP_LEVEL else TARGETS
        if signed.text("_type") != due:
            signed.fail("_type", f"{due!r} is due, not {signed.text('_type')[:40]!r}")
        if not _SPEC_1.fullmatch(signed.text("spec_version")):
            signed.fail("spec_version", f"1.x is due, not {signed.text('spec_version')[:40]!r}")
        return Envelope(
            role=role,
            signed=_READERS[due](signed),
            payload=payload,
            signatures=_signatures(document),
            raw=raw,
        )

    def payload(self, signed: Signed) -> bytes:
        """Return the canonical form of *signed*; raise :class:`ValueError` where it has none."""
        spelled = _spell(signed)
        files = spelled.get("targets")
        for value in spelled.values():
            if value is not files:
                canonical.require_plain(value)
        if not isinstance(files, Split):
            return canonical.encode(spelled)
        return _joined({**spelled, "targets": files.spelled()}, "targets")

    def encode(self, payload: bytes, signatures: Iterable[Signature]) -> bytes:
        """Return the file: the signed part as it is signed, but for control characters, which JSON has to escape."""
        listed = [{"keyid": signature.keyid, "sig": signature.value.hex()} for signature in signatures]
        is_plain = len(payload.translate(None, _CONTROLS)) == len(payload)
        sent = payload if is_plain else _CONTROL.sub(_escape, payload)
        return b"".join((b'{"signatures":', orjson.dumps(listed), b',"signed":', sent, b"}"))

    def locate(
        self, role: str, listed: FileMeta | None = None, version: int | None = None, *, consistent: bool = False
    ) -> str:
        """Return ``role.json``, or ``VERSION.role.json`` for roots and in consistent snapshots."""
        if role == ROOT:
            version = 1 if version is None else version
        elif consistent and listed:
            version = listed.version
        return f"{quote(role)}.json" if version is None else f"{version}.{quote(role)}.json"

    def kept_as(self, role: str) -> str:
        """Return ``role.json``, with what might not be one file everywhere written as ``%`` and hex."""
        return f"{cut(_UNSAFE.sub(_percent, role), role, _LONGEST_NAME)}.json"

    def listed(self, raw: bytes, version: int) -> FileMeta:
        """Return version, length and sha256 of *raw*."""
        return FileMeta(version=version, length=len(raw), hashes={"sha256": hashlib.sha256(raw).digest()})

    def amend(self, targets: Mapping[str, FileMeta], name: str, meta: FileMeta | None) -> Mapping[str, FileMeta]:
        """Return *targets* with *name* listed as *meta*, or not at all; the other entries are not even read."""
        old = _spell_files(targets, spell_target)
        entries = type(old)(old)
        if meta is None:
            entries.pop(name, None)
        else:
            canonical.require_plain(meta.custom)
            spelled = spell_target(meta)
            entries[name] = split.text(spelled) if isinstance(entries, Split) else spelled
        return split.listing(Members(TARGETS, "signed.targets", entries), read_target)

    def key(self, kind: str, public: bytes = b"", certificates: tuple[bytes, ...] = ()) -> Key:
        """Return the key under the sha256 of its canonical form; there is no place for certificates."""
        del certificates
        keytype, scheme = kind, _scheme_of(kind, public)
        text = public.hex() if kind == "ed25519" else _pem(public)
        spelled = {"keytype": keytype, "keyval": {"public": text}, "scheme": scheme}
        return Key(id=key_id(spelled), kind=kind, public=public, scheme=scheme, spelled=spelled)

    def read_key(self, raw: bytes) -> Key:
        """Read a public key as metadata lists it, ``{"keytype":…,"keyval":{"public":…},"scheme":…}``."""
        try:
            item = Members("key", "", canonical.parse_strictly(raw))
            keyid = key_id(item.value)
        except ValueError as exc:
            raise FormatError("key", "", str(exc)) from exc
        return _key(keyid, item)


def quote(role: str) -> str:
    """Return *role* as it stands in a URL: nothing but letters, digits and ``_.-~`` is left as it is."""
    return _UNQUOTED.sub(_percent, role)


def key_id(spelled: Mapping[str, Any]) -> str:
    """Return the id that is derived from a key as metadata lists it: the sha256 of its canonical form, in hex."""
    return hashlib.sha256(canonical.encode(dict(spelled))).hexdigest()


def cut(quoted: str, name: str, most: int) -> str:
    """Return *quoted*, or where it has more than *most* characters its beginning and the digest of *name*.

    Nothing that is quoted in full has a ``%_``.
    """
    if len(quoted) <= most:
        return quoted
    return f"{quoted[:100]}%_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


# --- reading ---------------------------------------------------------------------------------------------------


def _open(role: str, raw: bytes) -> tuple[Members, bytes]:
    """Return the document and the signed bytes."""
    if len(raw) >= split.LARGE and (found := _open_split(role, raw)):
        return found
    try:
        document = Members(role, "", canonical.parse(raw))
        signed = document.members("signed").value
        payload = canonical.encode(signed)
        around = canonical.encode({**document.value, "signed": 0})
        if canonical.texts(raw) != canonical.texts(payload) + canonical.texts(around):
            canonical.parse_strictly(raw)
            document.fail("", "a member stands twice")
        for name, value in signed.items():
            if name != "targets":  # of which each is judged when it is read
                canonical.require_plain(value)
    except RecursionError:
        raise FormatError(role, "", "nested too deeply") from None
    except ValueError as exc:
        raise FormatError(role, "", str(exc)) from exc
    return document, payload


def _open_split(role: str, raw: bytes) -> tuple[Members, bytes] | None:
    """Return the document and the signed bytes with the targets unparsed; ``None`` where *raw* has to be read whole."""
    document = split.split(raw)
    signed = split.split(bytes(document["signed"])) if document and "signed" in document else None
    targets = split.split(bytes(signed["targets"]), alike=True) if signed and "targets" in signed else None
    if not document or not signed or targets is None:
        return None
    try:
        values = {name: canonical.parse_strictly(bytes(text)) for name, text in signed.items() if name != "targets"}
        around = {name: canonical.parse_strictly(bytes(text)) for name, text in document.items() if name != "signed"}
        payload = _joined({**values, "targets": bytes(signed["targets"])}, "targets")
    except ValueError as exc:
        raise FormatError(role, "", str(exc)) from exc
    return Members(role, "", {**around, "signed": {**values, "targets": targets}}), payload


def _joined(members: dict[str, Any], spelled: str) -> bytes:
    """Return the canonical form of an object, one member of which is *spelled* already."""
    encode = canonical.encode
    parts = (
        encode(name) + b":" + (value if name == spelled else encode(value)) for name, value in sorted(members.items())
    )
    return b"{" + b",".join(parts) + b"}"


def _signatures(document: Members) -> tuple[Signature, ...]:
    listed = document.require("signatures")
    if isinstance(listed, list) and len(listed) > MOST_SIGNATURES:
        document.fail("signatures", f"there are more than {MOST_SIGNATURES}")
    found: dict[str, Signature] = {}
    for item in document.objects("signatures"):
        keyid = item.text("keyid")
        if keyid in found:
            item.fail("keyid", f"{keyid[:64]!r} has signed already")
        found[keyid] = Signature(keyid=keyid, scheme="", value=_unhex(item.text("sig")) or b"")
    return tuple(found.values())


def _common(signed: Members, *known: str) -> dict[str, Any]:
    extra = {name: value for name, value in signed.value.items() if name not in {*_COMMON, *known}}
    return {
        "version": signed.integer("version", 1),
        "expires": signed.moment("expires"),
        "extra": MappingProxyType(extra),
    }


def _root(signed: Members) -> Root:
    consistent = signed.boolean("consistent_snapshot") if "consistent_snapshot" in signed.value else False
    roles = signed.members("roles")
    return Root(
        keys=_keys(signed),
        roles={name: Role(name=name, **_authority(roles.members(name))) for name in TOP_LEVEL},
        consistent_snapshot=consistent,
        **_common(signed, "consistent_snapshot", "keys", "roles"),
    )


def _authority(item: Members, *known: str) -> dict[str, Any]:
    """Read what every role has: who may sign, and how many of them have to."""
    keyids = item.strings("keyids")
    if len(set(keyids)) < len(keyids):
        item.fail("keyids", "a key id stands twice")
    extra = {name: value for name, value in item.value.items() if name not in {"keyids", "threshold", *known}}
    return {"keyids": keyids, "threshold": item.integer("threshold", 1), "extra": MappingProxyType(extra)}


def _keys(owner: Members) -> dict[str, Key]:
    return {keyid: _key(keyid, item) for keyid, item in owner.members("keys").each()}


def _key(keyid: str, item: Members) -> Key:
    """Read a key. One of an unknown kind, or that is spelled as none of its kind, is one that cannot vouch."""
    keytype, scheme = item.text("keytype"), item.text("scheme")
    public = item.members("keyval").value.get("public")
    kind = "ecdsa" if keytype.startswith("ecdsa-sha2-") else keytype
    raw = _public(kind, public) if isinstance(public, str) else None
    sound = raw is not None and scheme in _SCHEMES
    derived = keyid == key_id(item.value)
    return Key(id=keyid, kind=kind, public=raw or b"", sound=sound, derived=derived, scheme=scheme, spelled=item.value)


def _public(kind: str, text: str) -> bytes | None:
    if kind == "ed25519":
        return _unhex(text)
    if kind not in {"ecdsa", "rsa"}:
        return None
    if kind == "ecdsa" and _POINT.fullmatch(text):  # as the first TUF tools in Go wrote P-256 keys
        return _P256 + bytes.fromhex(text)
    found = _PEM.fullmatch(text.strip())
    try:
        return binascii.a2b_base64(found["der"]) if found else None
    except ValueError:
        return None


def _targets(signed: Members) -> Targets:
    part = signed.members("delegations") if signed.value.get("delegations") is not None else None
    return Targets(
        targets=split.listing(signed.members("targets"), read_target),
        keys=_keys(part) if part else {},
        delegations=_delegations(part) if part else (),
        bins=_bins(part) if part else None,
        **_common(signed, "delegations", "targets"),
    )


def _delegations(part: Members) -> tuple[Delegation, ...]:
    if part.value.get("succinct_roles") is not None:
        if part.value.get("roles") is not None:
            part.fail("succinct_roles", "it stands beside roles, and only one of them may")
        return ()
    found: dict[str, Delegation] = {}
    for item in part.objects("roles"):
        delegation = _delegation(item)
        if delegation.name in found:
            item.fail("name", f"{delegation.name[:80]!r} is delegated to twice")
        found[delegation.name] = delegation
    return tuple(found.values())


def _delegation(item: Members) -> Delegation:
    name = item.text("name")
    if not name or name in TOP_LEVEL:
        item.fail("name", f"{name!r} is not the name of a delegated role")
    paths, prefixes = item.value.get("paths"), item.value.get("path_hash_prefixes")
    if (paths is None) == (prefixes is None):
        item.fail("paths", "either they or path_hash_prefixes are due")
    patterns = item.strings("paths", nullable=True)
    if any(len(pattern) > _LONGEST_PATTERN for pattern in patterns):
        item.fail("paths", f"a pattern has more than {_LONGEST_PATTERN} characters")
    return Delegation(
        name=name,
        patterns=patterns,
        hash_prefixes=item.strings("path_hash_prefixes", nullable=True),
        terminating=item.boolean("terminating") if "terminating" in item.value else False,
        **_authority(item, "name", "paths", "path_hash_prefixes", "terminating"),
    )


def _bins(part: Members) -> Bins | None:
    if part.value.get("succinct_roles") is None:
        return None
    item = part.members("succinct_roles")
    authority = _authority(item, "bit_length", "name_prefix")
    return Bins(prefix=item.text("name_prefix"), bits=item.integer("bit_length", 1, 32), **authority)


def _snapshot(signed: Members) -> Snapshot:
    listed = signed.members("meta")
    for name in listed.value:
        if not name.endswith(_JSON):
            listed.fail(name[:80], "a name that ends in .json is due")
    if f"{TARGETS}{_JSON}" not in listed.value:
        listed.fail(f"{TARGETS}{_JSON}", "it is missing")
    read = Listing(listed, _read_meta, _JSON)
    meta = {
        (role := name.removesuffix(_JSON)): _usual_meta(value) or read[role] for name, value in listed.value.items()
    }
    meta.pop(ROOT, None)
    return Snapshot(meta=meta, **_common(signed, "meta"))


def _timestamp(signed: Members) -> Timestamp:
    snapshot = _read_meta(signed.members("meta").members(f"{SNAPSHOT}{_JSON}"))
    return Timestamp(snapshot=snapshot, **_common(signed, "meta"))


def _usual_meta(value: Any) -> FileMeta | None:
    """Read a file as snapshots list thousands of them; ``None`` where it is listed in any other way."""
    if (
        type(value) is not dict
        or type(version := value.get("version")) is not int
        or not 1 <= version <= canonical.LARGEST_INTEGER
    ):
        return None
    if len(value) == 1:
        return FileMeta(version=version, length=None, hashes={}, custom=None)
    length, hashes = value.get("length"), value.get("hashes")
    if len(value) != 3 or type(length) is not int or not 0 <= length <= canonical.LARGEST_INTEGER:
        return None
    if type(hashes) is not dict or len(hashes) != 1 or type(text := hashes.get("sha256")) is not str or len(text) != 64:
        return None
    digest = _unhex(text)
    return FileMeta(version=version, length=length, hashes={"sha256": digest}, custom=None) if digest else None


def _read_meta(item: Members) -> FileMeta:
    value = item.value
    length = item.integer("length", 0) if "length" in value else None
    hashes = _hashes(item) if "hashes" in value else {}
    return FileMeta(version=item.integer("version", 1), length=length, hashes=hashes)


def read_target(item: Members) -> FileMeta:
    """Read a target: its length, its digests, and what its publishers added."""
    return FileMeta(length=item.integer("length", 0), hashes=_hashes(item), custom=item.plain("custom"))


def _hashes(item: Members) -> dict[str, bytes]:
    hashes = item.members("hashes")
    if not hashes.value:
        item.fail("hashes", "a digest is due")
    digests = {}
    for algorithm in hashes.value:
        digest = _unhex(hashes.text(algorithm))
        if digest is None or len(digest) != _DIGEST_SIZES.get(algorithm, len(digest)):
            hashes.fail(algorithm[:40], "this is no such digest in hex")
        digests[algorithm] = digest
    return digests


def _unhex(text: str) -> bytes | None:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return None


# --- writing ---------------------------------------------------------------------------------------------------


def _spell(signed: Signed) -> dict[str, Any]:
    common = {
        "spec_version": SPEC_VERSION,
        **signed.extra,
        "version": signed.version,
        "expires": f"{signed.expires.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z",
    }
    if isinstance(signed, Root):
        roles = {name: _spell_authority(role) for name, role in signed.roles.items()}
        kept = {"consistent_snapshot": signed.consistent_snapshot, "keys": _spell_keys(signed.keys), "roles": roles}
        return {**common, "_type": ROOT, **kept}
    if isinstance(signed, Targets):
        spelled = {**common, "_type": TARGETS, "targets": _spell_files(signed.targets, spell_target)}
        return {**spelled, "delegations": _spell_delegations(signed)} if signed.delegations or signed.bins else spelled
    if isinstance(signed, Snapshot):
        meta = {f"{name}{_JSON}": _spell_meta(listed) for name, listed in signed.meta.items()}
        return {**common, "_type": SNAPSHOT, "meta": meta}
    if isinstance(signed, Timestamp):
        return {**common, "_type": TIMESTAMP, "meta": {f"{SNAPSHOT}{_JSON}": _spell_meta(signed.snapshot)}}
    raise TypeError(type(signed))


def _spell_authority(role: Role | Bins) -> dict[str, Any]:
    return {**role.extra, "keyids": list(role.keyids), "threshold": role.threshold}


def _spell_keys(keys: Mapping[str, Key]) -> dict[str, Any]:
    return {keyid: key.spelled for keyid, key in keys.items()}


def _spell_delegations(signed: Targets) -> dict[str, Any]:
    keys = _spell_keys(signed.keys)
    if bins := signed.bins:
        shared = {**_spell_authority(bins), "bit_length": bins.bits, "name_prefix": bins.prefix}
        return {"keys": keys, "succinct_roles": shared}
    return {"keys": keys, "roles": [_spell_delegation(delegation) for delegation in signed.delegations]}


def _spell_delegation(delegation: Delegation) -> dict[str, Any]:
    covered = (
        {"path_hash_prefixes": list(delegation.hash_prefixes)}
        if delegation.hash_prefixes
        else {"paths": list(delegation.patterns)}
    )
    named = {"name": delegation.name, "terminating": delegation.terminating}
    return {**_spell_authority(delegation), **named, **covered}


def _spell_files(files: Mapping[str, FileMeta], spell: Callable[[FileMeta], dict[str, Any]]) -> dict[str, Any]:
    if isinstance(files, Listing):
        return files.spelled
    return {name: spell(meta) for name, meta in files.items()}


def spell_target(meta: FileMeta) -> dict[str, Any]:
    """Return *meta* as a targets role lists it."""
    spelled = {"hashes": {name: digest.hex() for name, digest in meta.hashes.items()}, "length": meta.length or 0}
    return spelled if meta.custom is None else {**spelled, "custom": meta.custom}


def _spell_meta(meta: FileMeta) -> dict[str, Any]:
    spelled: dict[str, Any] = {"version": meta.version}
    if meta.length is not None:
        spelled["length"] = meta.length
    if meta.hashes:
        spelled["hashes"] = {name: digest.hex() for name, digest in meta.hashes.items()}
    return spelled


def _scheme_of(kind: str, public: bytes) -> str:
    if kind == "ecdsa":
        return next((scheme for oid, scheme in _CURVES if oid in public[:32]), "ecdsa-sha2-nistp256")
    return "rsassa-pss-sha256" if kind == "rsa" else kind


def _pem(der: bytes) -> str:
    text = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n"


def _escape(control: re.Match[bytes]) -> bytes:
    return _SHORT.get(control[0]) or b"\\u%04x" % control[0][0]


def _percent(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode("utf-8", "surrogatepass"))


SPEC_VERSION: Final = "1.0.34"
MOST_SIGNATURES: Final = 256  # per file
_JSON = ".json"
_SPEC_1 = re.compile(r"1\.[0-9]{1,9}(?:\.[0-9]{1,9})?")
_COMMON = frozenset({"_type", "version", "expires"})
_DIGEST_SIZES = {"sha256": 32, "sha512": 64}
_LONGEST_PATTERN = 4096  # characters
_LONGEST_NAME = 180  # bytes; a file name has 255
_UNQUOTED = re.compile(r"[^A-Za-z0-9_.~-]")
_UNSAFE = re.compile(r"[^a-z0-9_.~-]|^\.")  # upper case too: some file systems take root and Root for one
_CONTROLS = bytes(range(0x20))
_CONTROL = re.compile(rb"[\x00-\x1f]")
_SHORT = {b"\b": rb"\b", b"\f": rb"\f", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}
_POINT = re.compile(r"04[0-9a-f]{128}")
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_PEM = re.compile(r"-----BEGIN (?P<kind>(?:RSA )?PUBLIC KEY)-----\s(?P<der>[A-Za-z0-9+/=\s]+)-----END (?P=kind)-----")
_SCHEMES = frozenset(  # verify.signatures knows those of Notary besides, which nobody signs TUF metadata with
    (
        "ed25519",
        *(f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)),
        *(f"{padding}-sha{bits}" for padding in ("rsassa-pss", "rsa-pkcs1v15") for bits in (256, 384, 512)),
    )
)
_CURVES = (
    (bytes.fromhex("06052b81040022"), "ecdsa-sha2-nistp384"),
    (bytes.fromhex("06052b81040023"), "ecdsa-sha2-nistp521"),
)
_READERS: dict[str, Callable[[Members], Signed]] = {
    ROOT: _root,
    TARGETS: _targets,
    SNAPSHOT: _snapshot,
    TIMESTAMP: _timestamp,
}
