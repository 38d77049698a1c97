"""Read vectors/notary1 and vectors/tuf1 strictly, and say what trustreg makes of one, in the vector's own words."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.verify.world import World
from trustreg.dialects.notary1 import Notary1
from trustreg.dialects.tuf1 import Tuf1
from trustreg.errors import UntrustedError
from trustreg.names import TARGETS, TOP_LEVEL, Gun
from trustreg.verify.pinning import Pins
from trustreg.verify.requests import Floor, Memory
from trustreg.verify.workflow import Limits, Workflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustreg.dialect import Dialect
    from trustreg.verify.workflow import Found

VECTORS = Path(__file__).parent.parent.parent / "vectors"
PROSE = frozenset({"problem", "why"})
"""Facts that are sentences: an implementation words them as it likes."""


class VectorError(Exception):
    """A vector is not what vectors/README.md says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One scenario; vectors/README.md says what its fields mean."""

    name: str
    comment: str
    source: str
    dialect: str
    now: datetime
    pins: Pins
    kept: Mapping[str, bytes]
    memory: Memory
    repository: Mapping[str, bytes]
    ask: Mapping[str, Any]
    expect: Mapping[str, Any]
    trace: list[list[Any]]
    limits: Limits = Limits()  # noqa: RUF009 # it is frozen

    def world(self) -> World:
        """Return the world as the client finds it."""
        return World(self.repository, self.kept, self.memory)

    def workflow(self) -> Workflow:
        """Return the workflow that is asked."""
        dialect, gun = DIALECTS[self.dialect], Gun(self.ask["gun"])
        return Workflow(dialect, gun, self.now, pins=self.pins, limits=self.limits)


DIALECTS: Mapping[str, Dialect] = {"notary1": Notary1(), "tuf1": Tuf1()}


@cache
def load(folder: str) -> tuple[Vector, ...]:
    """Return the vectors of *folder* and of the folders in it, by name."""
    files = sorted((VECTORS / folder).rglob("*.json"))
    if not files:
        raise VectorError(f"there are no vectors in {folder}")
    return tuple(read(file.stem, json.loads(file.read_text("utf-8"))) for file in files)


def read(name: str, spelled: dict[str, Any]) -> Vector:
    """Read the vector called *name*; raise :class:`VectorError` where a field is missing or unknown."""
    _fields(name, spelled, {f.name for f in fields(Vector)} - {"name", "limits"}, {"limits"})
    pins, memory, ask = spelled["pins"], spelled["memory"], spelled["ask"]
    _fields(f"{name} pins", pins, {"keys", "certificates", "authorities", "first_use"}, {"root"})
    _fields(f"{name} memory", memory, {"floors", "refreshed"})
    _fields(f"{name} ask", ask, {"gun"}, {"name", "roles", "delegated"})
    for role, floor in memory["floors"].items():
        _fields(f"{name} floor of {role}", floor, {"version", "sha256", "keys"}, {"listed"})
    if "error" in spelled["expect"]:
        _fields(f"{name} expect", spelled["expect"], {"error", "facts"})
    else:
        _fields(f"{name} expect", spelled["expect"], {"versions", "expires", "first_use"}, {"found", "roles", "failed"})
    return Vector(
        name=name,
        comment=spelled["comment"],
        source=spelled["source"],
        dialect=spelled["dialect"],
        now=_time(spelled["now"]),
        pins=Pins(
            keys=tuple(pins["keys"]),
            certificates=tuple(map(_der, pins["certificates"])),
            authorities=tuple(map(_der, pins["authorities"])),
            root=_content(pins["root"]) if "root" in pins else None,
            first_use=pins["first_use"],
        ),
        kept={role: _content(shown) for role, shown in spelled["kept"].items()},
        memory=Memory(
            {
                role: Floor(f["version"], f["sha256"], tuple(f["keys"]), f.get("listed", {}))
                for role, f in memory["floors"].items()
            },
            _time(memory["refreshed"]) if memory["refreshed"] else None,
        ),
        repository={path: _content(shown) for path, shown in spelled["repository"].items()},
        ask=ask,
        expect=spelled["expect"],
        trace=spelled["trace"],
        limits=Limits(**spelled.get("limits", {})),
    )


def outcome(vector: Vector, workflow: Workflow, world: World) -> dict[str, Any]:
    """Let *workflow* answer what *vector* asks in *world*; return what came of it, as ``expect`` has it."""
    try:
        answered = answer(vector, workflow, world)
    except UntrustedError as exc:
        return refusal(exc)
    top = {role: getattr(workflow, role).signed for role in TOP_LEVEL if role != TARGETS}
    top[TARGETS] = workflow.roles[TARGETS].signed
    versions = {role: signed.version for role, signed in top.items()}
    return {"versions": versions, "first_use": workflow.first_use, **answered}


def refusal(error: UntrustedError) -> dict[str, Any]:
    """Return *error* as ``expect`` has it."""
    return {"error": error.code, "facts": {k: v for k, v in error.facts().items() if k not in PROSE}}


def answer(vector: Vector, workflow: Workflow, world: World) -> dict[str, Any]:
    """Refresh, and return what *vector* asks for; raise what refuses it."""
    world.drive(workflow.refresh())
    if vector.ask.get("delegated"):
        failed = world.drive(workflow.delegated())
        return {
            "expires": _spelled(workflow.expires()),
            "roles": list(workflow.roles),
            "failed": {role: refusal(error) for role, error in failed.items()},
        }
    found: Found | None = None
    if "name" in vector.ask:
        found = world.drive(workflow.find(vector.ask["name"], tuple(vector.ask.get("roles", ()))))
    return {
        "expires": _spelled(workflow.expires(found.chain if found else ())),
        "found": {
            "role": found.role,
            "hashes": {name: digest.hex() for name, digest in sorted(found.meta.hashes.items())},
            "length": found.meta.length,
            "signers": list(found.signers),
        }
        if found
        else None,
    }


def _fields(where: str, value: object, due: set[str], maybe: set[str] | None = None) -> None:
    if not isinstance(value, dict):
        raise VectorError(f"{where}: an object is due")
    if missing := due - value.keys():
        raise VectorError(f"{where}: {', '.join(sorted(missing))} is missing")
    if unknown := value.keys() - due - (maybe or set()):
        raise VectorError(f"{where}: {', '.join(sorted(unknown))} is unknown")


def _content(shown: str | dict[str, str]) -> bytes:
    return shown.encode() if isinstance(shown, str) else b64decode(shown["base64"], validate=True)


def _der(pem: str) -> bytes:
    return load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
