"""The payload of simple signing: what a signature of an image says, be it by GPG or, in cosign's form, by a plain key.

It is ``{"critical": …, "optional": …}``, and critical are ``identity.docker-reference``,
``image.docker-manifest-digest`` and ``type``.

Read strictly: of what another reader might take for something else, nothing is read at all. The times in it are what
the signer said, and never a proof of freshness.

Source: containers/image ``docs/atomic-signature.md`` and ``signature/simple.go``.
"""

from collections.abc import Collection, Mapping
from json import JSONDecodeError
from types import MappingProxyType
from typing import Any, Final

import orjson

from trustreg.dialects import canonical
from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError
from trustreg.names import Digest, Reference
from trustreg.values import dataclass, field

ATOMIC: Final = "atomic container signature"
COSIGN: Final = "cosign container image signature"


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What is said: the manifest with this digest may be called so.

    Attributes:
        reference: The name, ``registry.example/team/app:1.0``, as it was written.
        digest: The sha256 of the manifest.
        creator: The program that signed, as it calls itself.
        timestamp: When it did, by its own clock, in seconds since 1970.
        extra: Other members of ``optional``.
    """

    reference: str
    digest: Digest
    creator: str | None = None
    timestamp: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))


def read(raw: bytes, kind: str = ATOMIC) -> Payload:
    """Read a payload of *kind*: :data:`ATOMIC`, which GPG keys sign, or :data:`COSIGN`, which plain keys do.

    Raises:
        FormatError: It is none, or one that another reader may read differently; or its name has a digest, and not the
            one that it is about.
    """
    if len(raw) > LARGEST:
        raise FormatError(_WHAT, "", f"it is longer than {LARGEST} bytes")
    try:
        whole = Members(_WHAT, "", canonical.parse_strictly(raw))
        canonical.encode(whole.value)  # half of a character is text that nobody could write down
    except ValueError as exc:
        raise FormatError(_WHAT, "", _problem(exc)) from exc
    critical = _exactly(whole, {"critical", "optional"}).members("critical")
    if kind == COSIGN and whole.require("optional") is None:
        whole.value["optional"] = {}
    optional = whole.members("optional")
    _exactly(critical, {"identity", "image", "type"})
    if (said := critical.text("type")) != kind:
        critical.fail("type", f"{said[:60]!r} is not {kind!r}")
    digest = _digest(_exactly(critical.members("image"), {"docker-manifest-digest"}))
    identity = _exactly(critical.members("identity"), {"docker-reference"})
    optional.only({"creator", "timestamp"})
    has = optional.value.keys()
    return Payload(
        reference=_reference(identity, digest),
        digest=digest,
        creator=optional.text("creator") if "creator" in has else None,
        timestamp=optional.integer("timestamp", 0) if "timestamp" in has else None,
        extra={name: value for name, value in optional.value.items() if name not in {"creator", "timestamp"}},
    )


def write(payload: Payload, kind: str = ATOMIC) -> bytes:
    """Return *payload*, as one of *kind*, as the JSON that gets signed: sorted, without blanks, the same each time."""
    optional = {"creator": payload.creator, "timestamp": payload.timestamp}
    critical = {
        "identity": {"docker-reference": payload.reference},
        "image": {"docker-manifest-digest": str(payload.digest)},
        "type": kind,
    }
    said = {name: value for name, value in optional.items() if value is not None}
    return orjson.dumps({"critical": critical, "optional": {**payload.extra, **said}}, option=orjson.OPT_SORT_KEYS)


def _problem(error: ValueError) -> str:
    """Say in our own words what a library found."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, orjson.JSONEncodeError) or isinstance(error.__cause__, orjson.JSONEncodeError):
        return "it has text that is none: half a character"
    return "it is not JSON" if isinstance(error, JSONDecodeError) else str(error)


def _exactly(members: Members, names: Collection[str]) -> Members:
    for name in members.value:
        if name not in names:
            members.fail(name, "there is no such member")
    return members


def _digest(image: Members) -> Digest:
    text = image.text("docker-manifest-digest")
    try:
        digest = Digest.parse(text)
    except NameFormError as exc:
        image.fail("docker-manifest-digest", exc.problem)
    if digest.algorithm != "sha256":
        image.fail("docker-manifest-digest", "it has to start with sha256:")
    return digest


def _reference(identity: Members, digest: Digest) -> str:
    text = identity.text("docker-reference")
    try:
        named = Reference.parse(text)
    except NameFormError as exc:
        identity.fail("docker-reference", exc.problem)
    if named.digest not in {None, digest}:
        identity.fail("docker-reference", "it names another digest than the image has")
    return text


SCHEMES: Final = {"ed25519": "ed25519", "ecdsa": "ecdsa-der-sha256", "rsa": "rsa-pkcs1v15-sha256"}
"""How plain keys of each kind sign a payload: as cosign has it, over SHA-256 whatever the curve."""
LARGEST: Final = 64 << 10  # bytes; fifty times the longest that anything writes
_WHAT = "simple signing"
