"""Read vectors/simple-signing strictly, and say what trustreg makes of one, in the vector's own words."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.vectors.loading import VECTORS, VectorError
from trustreg.dialects import simple
from trustreg.errors import UntrustedError
from trustreg.identity import Identity
from trustreg.names import Digest, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.ports import OpenPgp, Vouched


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A message, who reads it when, and what has to come of it; vectors/README.md says what its fields mean."""

    name: str
    comment: str
    source: str
    now: datetime
    image: Reference
    digest: Digest
    keys: tuple[bytes, ...]
    named: str
    message: bytes
    expect: Mapping[str, Any]
    skopeo: str | None
    policy: str | None
    difference: str | None = None

    @property
    def trusted(self) -> bool:
        """Whether it has to be."""
        return bool(self.expect["outcome"] == "trusted")


@cache
def load() -> tuple[Signed, ...]:
    """Return the vectors, by name."""
    files = sorted((VECTORS / "simple-signing").glob("*.json"))
    return tuple(read(file.stem, json.loads(file.read_text("utf-8"))) for file in files)


def read(name: str, spelled: dict[str, Any]) -> Signed:
    """Read the vector called *name*; raise :class:`VectorError` where a field is missing or unknown."""
    due = {field.name for field in fields(Signed)} - {"name", "difference"}
    if wrong := due ^ spelled.keys() - {"difference"}:
        raise VectorError(f"{name}: {', '.join(sorted(wrong))} is missing or unknown")
    return Signed(
        name=name,
        comment=spelled["comment"],
        source=spelled["source"],
        now=datetime.fromisoformat(spelled["now"]),
        image=Reference.parse(spelled["image"]),
        digest=Digest.parse(spelled["digest"]),
        keys=tuple(key.encode() for key in spelled["keys"]),
        named=spelled["named"],
        message=b64decode(spelled["message"], validate=True),
        expect=spelled["expect"],
        skopeo=spelled["skopeo"],
        policy=spelled["policy"],
        difference=spelled.get("difference"),
    )


def outcome(vector: Signed, openpgp: OpenPgp) -> dict[str, Any]:
    """Return what trustreg says of *vector*, as ``expect`` has it."""
    try:
        vouched = openpgp.verify(vector.keys, vector.message, vector.now)
        said = simple.read(vouched.content)
    except UntrustedError as exc:
        facts = {name: value for name, value in exc.facts().items() if name != "problem"}
        return {"outcome": "untrusted", "error": exc.code, "facts": facts, "problem": exc.facts()["problem"]}
    return _judged(vector, vouched, said)


def _judged(vector: Signed, vouched: Vouched, said: simple.Payload) -> dict[str, Any]:
    if said.digest != vector.digest:
        facts = {"expected": str(vector.digest), "signed": str(said.digest)}
        return {"outcome": "untrusted", "error": "signed-digest", "facts": facts, "problem": None}
    if not Identity().admits(vector.image, said.reference):
        return {"outcome": "untrusted", "error": "identity", "facts": {"signed": said.reference}, "problem": None}
    signed = vouched.made.isoformat().replace("+00:00", "Z")
    return {"outcome": "trusted", "key": vouched.fingerprint, "signed": signed}
