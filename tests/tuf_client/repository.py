"""
A TUF 1.0 repository in memory, written from the specification, in which one thing is easy to bend.

``Repository()`` is a good one. Change what the story needs (``repo.timestamp.version = 1``), then ``publish()``:
it fills in what one file says of another, signs, and puts the bytes into ``files``. Nothing here is shared with
the code under test: canonical JSON, names, hashes and key formats are spelled once more.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes as digests
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

Json = dict[str, Any]
START = datetime.now(UTC).replace(microsecond=0)  # one for the whole run: the same story has the same bytes
TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")


def canonical(value: object) -> bytes:
    """Encode as OLPC canonical JSON; floats, which it does not have, as Python spells them."""
    match value:
        case str():
            return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "surrogatepass") + b'"'
        case dict():
            return b"{" + b",".join(canonical(name) + b":" + canonical(value[name]) for name in sorted(value)) + b"}"
        case list() | tuple():
            return b"[" + b",".join(map(canonical, value)) + b"]"
        case _:
            return json.dumps(value).encode()


def spelled(moment: datetime) -> str:
    """Write a time as metadata does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_now(**interval: float) -> str:
    """Write the time so long from now, rounded up to a whole second."""
    return spelled(datetime.now(UTC) + timedelta(**interval) + timedelta(microseconds=999_999))


@dataclass(frozen=True)
class Key:
    """
    A signing key: what metadata says of it, its id there, and how it signs.

    ``fields`` may say anything of the key, also what is wrong.
    """

    fields: Json = field(compare=False)
    sign: Callable[[bytes], bytes] = field(compare=False)
    keyid: str

    def known_as(self, keyid: str, **fields: Any) -> Key:
        """Give the same key under another id, perhaps with other fields."""
        return replace(self, keyid=keyid, fields=self.fields | fields)

    def signature(self, message: bytes) -> dict[str, str]:
        """Sign, as an entry of ``signatures``."""
        return {"keyid": self.keyid, "sig": self.sign(message).hex()}


def ed25519(name: str) -> Key:
    """Make the Ed25519 key of this name: always the same one."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return _key("ed25519", "ed25519", private.public_key().public_bytes_raw().hex(), private.sign)


def ecdsa(name: str, curve: ec.EllipticCurve | None = None, *, keytype: str = "ecdsa", scheme: str = "") -> Key:
    """Make the ECDSA key of this name, by default on P-256 with SHA-256."""
    curve = curve or ec.SECP256R1()
    hashing = {256: digests.SHA256(), 384: digests.SHA384()}[curve.key_size]
    private = ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest()) >> 8, curve)
    scheme = scheme or f"ecdsa-sha2-nistp{curve.key_size}"
    return _key(keytype, scheme, _pem(private.public_key()), lambda message: private.sign(message, ec.ECDSA(hashing)))


def rsa_pss(name: str, *, salt: int = 32, bits: int = 2048) -> Key:
    """Make an RSA key that signs with PSS and a salt of so many bytes."""
    private = _rsa(name, bits)
    filling = padding.PSS(padding.MGF1(digests.SHA256()), salt)
    return _key(
        "rsa",
        "rsassa-pss-sha256",
        _pem(private.public_key()),
        lambda message: private.sign(message, filling, digests.SHA256()),
    )


def rsa_pkcs1(name: str, *, bits: int = 2048) -> Key:
    """Make an RSA key that signs as PKCS #1 1.5 says."""
    private = _rsa(name, bits)
    return _key(
        "rsa",
        "rsa-pkcs1v15-sha256",
        _pem(private.public_key()),
        lambda message: private.sign(message, padding.PKCS1v15(), digests.SHA256()),
    )


def unknown_key(name: str) -> Key:
    """Make a key of a type that nobody has heard of; its signatures are noise."""
    public = hashlib.sha512(name.encode()).hexdigest()
    return _key("glyph", "glyph-9000", public, lambda message: hashlib.sha512(message).digest())


class Document:
    """
    A metadata file in the making: what it says, who signs it, and how it is bent on its way out.

    ``edit``, ``seal`` and ``spell`` add a fault at three places: in what is about to be signed, in the finished
    envelope, in its bytes. They hold for every later publication until ``mend``.
    """

    def __init__(self, role: str, kind: str, signers: Iterable[Key], body: Mapping[str, Any]) -> None:
        self.role = role
        self.signers: list[Key] = list(signers)
        self.signed: Json = {
            "_type": kind,
            "spec_version": "1.0.34",
            "version": 1,
            "expires": spelled(START + timedelta(days=1)),
            **body,
        }
        self.mend()

    @property
    def version(self) -> int:
        """The version that it says it is."""
        return int(self.signed["version"])

    @version.setter
    def version(self, version: int) -> None:
        self.signed["version"] = version

    @property
    def expires(self) -> str:
        """When it expires, spelled."""
        return str(self.signed["expires"])

    @expires.setter
    def expires(self, expires: str) -> None:
        self.signed["expires"] = expires

    def edit(self, change: Callable[[Json], object]) -> None:
        """Change what is signed, just before it is."""
        self._edits.append(change)

    def seal(self, change: Callable[[Json], object]) -> None:
        """Change the envelope with its signatures."""
        self._seals.append(change)

    def spell(self, change: Callable[[bytes], bytes]) -> None:
        """Change the bytes of the file."""
        self._spellings.append(change)

    def mend(self) -> None:
        """Be good again."""
        self._edits: list[Callable[[Json], object]] = []
        self._seals: list[Callable[[Json], object]] = []
        self._spellings: list[Callable[[bytes], bytes]] = []

    def content(self) -> bytes:
        """Sign, encode and bend; where it goes and how it is listed follows ``version``, whatever is edited."""
        signed = copy.deepcopy(self.signed)
        for edit in self._edits:
            edit(signed)
        message = canonical(signed)
        envelope = {"signatures": [key.signature(message) for key in self.signers], "signed": signed}
        for seal in self._seals:
            seal(envelope)
        content = json.dumps(envelope, separators=(",", ":")).encode()
        for spell in self._spellings:
            content = spell(content)
        return content


class Repository:
    """
    A repository: documents, target files, and in ``files`` what was published, by URL path.

    Published paths begin with ``metadata/`` or ``targets/`` and are percent-encoded. With consistent snapshots
    old versions stay; without, they are replaced.

    Args:
        consistent: Use consistent snapshots.
        lists: What the ``meta`` entries give besides the version: ``length``, ``hashes``.
    """

    def __init__(self, *, consistent: bool = True, lists: Sequence[str] = ("length", "hashes")) -> None:
        self.lists = tuple(lists)
        self.keys = {role: ed25519(role) for role in TOP_LEVEL}
        roles = {role: {"keyids": [key.keyid], "threshold": 1} for role, key in self.keys.items()}
        self.root = Document(
            "root",
            "root",
            [self.keys["root"]],
            {
                "consistent_snapshot": consistent,
                "keys": {key.keyid: key.fields for key in self.keys.values()},
                "roles": roles,
            },
        )
        self.timestamp = Document("timestamp", "timestamp", [self.keys["timestamp"]], {"meta": {}})
        self.snapshot = Document("snapshot", "snapshot", [self.keys["snapshot"]], {"meta": {}})
        self.targets = Document("targets", "targets", [self.keys["targets"]], {"targets": {}})
        self.delegated: dict[str, Document] = {}
        self.contents: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}

    @property
    def consistent(self) -> bool:
        """Whether the root says that snapshots are consistent."""
        return bool(self.root.signed["consistent_snapshot"])

    def document(self, role: str) -> Document:
        """The document of a role, top-level or delegated."""
        top = {"root": self.root, "timestamp": self.timestamp, "snapshot": self.snapshot, "targets": self.targets}
        return top.get(role) or self.delegated[role]

    def trust(self, role: str, *keys: Key, threshold: int = 1, sign: Iterable[Key] | None = None) -> None:
        """Let these keys (and only these) be a top-level role's, in the root as it stands; they sign from now on."""
        self.root.signed["roles"][role] = {"keyids": [key.keyid for key in keys], "threshold": threshold}
        self.root.signed["keys"] |= {key.keyid: key.fields for key in keys}
        self.document(role).signers = list(keys if sign is None else sign)

    def delegate(
        self,
        delegator: str,
        role: str,
        *keys: Key,
        paths: Sequence[str] | None = ("*",),
        threshold: int = 1,
        **fields: Any,
    ) -> Document:
        """
        Delegate to a role, after those that are there; make its document where it has none.

        Args:
            delegator: Who delegates.
            role: To whom.
            keys: Whose signatures the delegator wants; the role's own key where none is given.
            paths: Patterns, or ``None`` for no such field.
            threshold: How many of them.
            fields: More fields of the delegation; ``None`` takes one away.
        """
        keys = keys or (ed25519(role),)
        entry = {
            "name": role,
            "keyids": [key.keyid for key in keys],
            "threshold": threshold,
            "terminating": False,
            "paths": None if paths is None else list(paths),
            **fields,
        }
        delegations = self._delegations(delegator, keys)
        delegations.setdefault("roles", []).append({name: value for name, value in entry.items() if value is not None})
        return self._made(role, keys)

    def delegate_bins(self, delegator: str, prefix: str, bit_length: Any, *keys: Key, threshold: int = 1) -> None:
        """Delegate to succinct hash bins (TAP 15); make a bin's document with ``bin``."""
        keys = keys or (ed25519(prefix),)
        self._delegations(delegator, keys)["succinct_roles"] = {
            "keyids": [key.keyid for key in keys],
            "threshold": threshold,
            "bit_length": bit_length,
            "name_prefix": prefix,
        }

    def bin(self, role: str, *keys: Key) -> Document:
        """The document of a delegated role, made where there is none."""
        return self._made(role, keys)

    def add(self, role: str, path: str, content: bytes, **fields: Any) -> None:
        """Put a file into the list of a role; it is served from the next publication on."""
        self.document(role).signed["targets"][path] = {**described(content), **fields}
        self.contents[path] = content

    def bump(self, *roles: str) -> None:
        """Make the next version of these roles, and of the snapshot and the timestamp where they list them."""
        listing = {"root": (), "timestamp": (), "snapshot": ("timestamp",)}
        for role in {*roles}.union(*(listing.get(role, ("snapshot", "timestamp")) for role in roles)):
            self.document(role).version += 1

    def publish(self) -> None:
        """Sign everything as it stands and put it where a client finds it."""
        published: dict[str, bytes] = {}
        meta: Json = {}
        for role, document in {"targets": self.targets, **self.delegated}.items():
            published[self.place(role)] = content = document.content()
            meta[f"{role}.json"] = self._listed(document.version, content)
        self.snapshot.signed["meta"] = meta
        published[self.place("snapshot")] = content = self.snapshot.content()
        self.timestamp.signed["meta"] = {"snapshot.json": self._listed(self.snapshot.version, content)}
        published[self.place("timestamp")] = self.timestamp.content()
        published[self.place("root")] = self.root.content()
        for document in (self.targets, *self.delegated.values()):
            for path, described_as in document.signed["targets"].items():
                for place in self._target_places(path, described_as):
                    published[place] = self.contents[path]
        self.files = self.files | published  # in one step, as a client may be reading

    def publish_root(self) -> None:
        """Put only the root there, as it stands."""
        self.files = self.files | {self.place("root"): self.root.content()}

    def place(self, role: str) -> str:
        """Where the newest file of a role is."""
        versioned = role == "root" or (self.consistent and role != "timestamp")
        return f"metadata/{f'{self.document(role).version}.' if versioned else ''}{quote(role, safe='')}.json"

    def newest(self, *roles: str) -> dict[str, bytes]:
        """What a client that is up to date holds: the top-level files and those of these roles, by role."""
        return {role: self.files[self.place(role)] for role in (*TOP_LEVEL, *roles)}

    def _delegations(self, delegator: str, keys: Iterable[Key]) -> Json:
        delegations: Json = self.document(delegator).signed.setdefault("delegations", {"keys": {}})
        delegations["keys"] |= {key.keyid: key.fields for key in keys}
        return delegations

    def _made(self, role: str, keys: Sequence[Key]) -> Document:
        if role not in self.delegated:
            self.delegated[role] = Document(role, "targets", keys, {"targets": {}})
        return self.delegated[role]

    def _listed(self, version: int, content: bytes) -> Json:
        return {"version": version} | {name: value for name, value in described(content).items() if name in self.lists}

    def _target_places(self, path: str, described_as: Mapping[str, Any]) -> list[str]:
        if not self.consistent:
            return [f"targets/{quote(path)}"]
        directory, _, name = path.rpartition("/")
        start = f"targets/{quote(directory)}/" if directory else "targets/"
        return [f"{start}{digest}.{quote(name)}" for digest in described_as["hashes"].values()]


def described(content: bytes, *algorithms: str) -> Json:
    """Give the length and the digests of a file, by default its SHA-256."""
    named = algorithms or ("sha256",)
    return {"length": len(content), "hashes": {name: hashlib.new(name, content).hexdigest() for name in named}}


def _key(keytype: str, scheme: str, public: str, sign: Callable[[bytes], bytes]) -> Key:
    fields = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}}
    return Key(fields, sign, hashlib.sha256(canonical(fields)).hexdigest())


def _pem(public: PublicKeyTypes) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@functools.cache
def _rsa(name: str, bits: int) -> rsa.RSAPrivateKey:
    del name  # one key each
    return rsa.generate_private_key(65537, bits)
