"""Record vectors/notary1/recorded: a collection as the real Go client and server make it.

It needs Debian's ``notary`` and ``notary-server``, and writes something else each time: keys, dates and signatures are
Go's own. So it is run by hand, when there is something new to record. What has to come of it is what ``notary`` itself
said at the time.

    python -m vectors.make.record_notary1 [FOLDER]
"""

import hashlib
import json
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from tests.peers import GoNotary, Peer, TargetRow, notary_server
from vectors.make.collection import TOP, Collection, Json, Part, Published
from vectors.make.material import certificate, private_key
from vectors.make.notary1 import FOLDER as NOTARY1
from vectors.make.notary1 import text
from vectors.make.scenario import NIGHTLY, RELEASES, ROOT_LIMIT, TIMESTAMP_LIMIT, Vector, other_steps, root_steps, shown

FOLDER: Final = NOTARY1 / "recorded"
GUN: Final = "registry.example/recorded/app"
ESCAPES: Final = "caf\u00e9 <&>"
SOURCE: Final = "recorded from notary 0.7.0 and notary-server 0.7.0"


@dataclass(frozen=True)
class State:
    """What the server had at one time, and what ``notary list`` said of it."""

    now: datetime
    published: Published
    listed: dict[str, TargetRow]


def main(folder: Path) -> None:
    """Record a collection and write its vectors into *folder*."""
    with tempfile.TemporaryDirectory() as directory, notary_server() as server:
        early, late = _record(server, Path(directory))
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    for name, vector in _vectors(early, late):
        (folder / f"{name}.json").write_text(text(vector), "utf-8")


def _record(server: Peer, directory: Path) -> tuple[State, State]:
    """Publish, look, rotate everything, publish more, and look again."""
    go = GoNotary(server, directory / "trust")
    releases, nightly = private_key("recorded releases", "p256"), private_key("recorded nightly", "p256")
    cert, public = directory / "releases.crt", directory / "nightly.pub"
    cert.write_bytes(certificate(releases, "releases").public_bytes(Encoding.PEM))
    public.write_bytes(nightly.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    go.init(GUN, publish=True)
    for name in ("1.0", "1.1", ESCAPES):
        _add(go, name)
    go.publish(GUN)
    go.delegation_add(GUN, RELEASES, cert, publish=True)
    for role, private in ((RELEASES, releases), (NIGHTLY, nightly)):
        key = directory / "key.pem"
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        go.key_import(key, role=role)
    go.delegation_add(GUN, NIGHTLY, public, paths=["nightly-"], publish=True)
    _add(go, "1.0", RELEASES)
    _add(go, "nightly-1", NIGHTLY)
    go.publish(GUN)
    early = _look(server, GoNotary(server, directory / "first reader"))

    for role in ("root", "targets", "root"):
        go.key_rotate(GUN, role)
    go.key_rotate(GUN, "snapshot", server_managed=True)
    go.key_rotate(GUN, "timestamp", server_managed=True)
    _add(go, "1.1", RELEASES)
    _add(go, "nightly-2", NIGHTLY)
    _add(go, "2.0")
    go.publish(GUN)
    return early, _look(server, GoNotary(server, directory / "second reader"))


def _add(go: GoNotary, name: str, role: str = "targets") -> None:
    content = f"{name} of {role}".encode()
    go.addhash(GUN, name, len(content), sha256=hashlib.sha256(content).hexdigest(), roles=[role])


def _look(server: Peer, go: GoNotary) -> State:
    """Return what the server has now, and what Go makes of it."""
    now = datetime.now(UTC).replace(microsecond=0)
    base = f"{server.url}/v2/{GUN}/_trust/tuf/"
    files = {role: _required(base + f"{role}.json") for role in ("root", "timestamp")}
    listed: dict[str, tuple[str, int]] = {}
    pending = [("snapshot", _signed(files["timestamp"])["meta"]["snapshot"])]
    for role, entry in pending:  # it grows
        listed[role] = (_hex(entry["hashes"]["sha256"]), entry["length"])
        files[role] = _required(base + f"{role}.{listed[role][0]}.json")
        if role == "snapshot":
            pending += [item for item in _signed(files[role])["meta"].items() if item[0] != "root"]
    version = _signed(files["root"])["version"]
    history = [_required(base + f"{number}.root.json") for number in range(1, version)]
    parts = {
        role: Part(version=_signed(file)["version"], expires=_signed(file)["expires"]) for role, file in files.items()
    }
    published = Published(Collection(gun=GUN, parts=parts, history=history), files, listed)
    rows = {row.name: row for row in go.list(GUN)} | {row.name: row for row in go.list(GUN, roles=[RELEASES])}
    return State(now, published, rows)


def _vectors(early: State, late: State) -> Iterator[tuple[str, Vector]]:
    for name, asked in (
        ("releases", "1.0"),
        ("targets", "2.0"),
        ("escapes", ESCAPES),
        ("nightly", "nightly-2"),
    ):
        row = late.listed[asked]
        comment = "a collection that Go made, with two levels of delegations"
        yield f"go-cold-{name}", _vector(comment, late, None, row)
        comment = "the same, known from before the root's keys were replaced twice, and those of all others once"
        yield f"go-warm-{name}", _vector(comment, late, early, row)


def _vector(comment: str, state: State, known: State | None, asked: TargetRow) -> Vector:
    loads = _chain(asked.role or "")
    published = state.published
    kept = dict(known.published.files) if known else {}
    floors = {role: _floor(known, role) for role in kept} if known else {}
    repository = published.repository()
    version = published.collection.parts["root"].version
    parts = [published.collection.parts[role].expires for role in (*TOP, *loads)]
    steps = [
        ("", ["remember"]),
        *root_steps(repository, kept, floors, version, ROOT_LIMIT),
        ("timestamp", ["want", "timestamp.json", TIMESTAMP_LIMIT]),
        *other_steps(published, kept, loads),
    ]
    return {
        "comment": comment,
        "source": SOURCE,
        "dialect": "notary1",
        "now": _spelled(state.now),
        "pins": {"keys": [], "certificates": [], "authorities": [], "first_use": True},
        "kept": {role: shown(content) for role, content in kept.items()},
        "memory": {"floors": floors, "refreshed": _spelled(known.now) if known else None},
        "repository": {path: shown(content) for path, content in repository.items()},
        "ask": {"gun": GUN, "name": asked.name, "roles": [asked.role]},
        "expect": {
            "versions": {role: published.collection.parts[role].version for role in TOP},
            "expires": _spelled(min(map(datetime.fromisoformat, parts))),
            "first_use": known is None,
            "found": {
                "role": asked.role,
                "hashes": {"sha256": asked.sha256},
                "length": asked.length,
                "signers": _signers(published, asked.role or ""),
            },
        },
        "trace": [request for _, request in steps],
    }


def _chain(role: str) -> tuple[str, ...]:
    parts = role.split("/")
    return tuple("/".join(parts[:count]) for count in range(2, len(parts) + 1))


def _signers(published: Published, role: str) -> list[str]:
    """Return the ids of those keys of *role* that signed its file, in the order of their signatures."""
    allowed = _authority(published, role)[0]
    signed = [signature["keyid"] for signature in json.loads(published.files[role])["signatures"]]
    return [keyid for keyid in signed if keyid in allowed]


def _authority(published: Published, role: str) -> tuple[list[str], Mapping[str, Any]]:
    """Return the ids of the keys that may sign *role*, and the keys."""
    root = _signed(published.files["root"])
    if role in root["roles"]:
        return root["roles"][role]["keyids"], root["keys"]
    above = _signed(published.files[role.rpartition("/")[0]])["delegations"]
    return next(entry["keyids"] for entry in above["roles"] if entry["name"] == role), above["keys"]


def _floor(state: State, role: str) -> Json:
    """Return what a client remembers of *role*."""
    file, keys = state.published.files[role], _authority(state.published, role)[1]
    marks = list(dict.fromkeys(_fingerprint(keys[keyid]) for keyid in _signers(state.published, role)))
    return {"version": _signed(file)["version"], "sha256": hashlib.sha256(file).hexdigest(), "keys": marks}


def _fingerprint(key: Json) -> str:
    public = bytes.fromhex(_hex(key["keyval"]["public"]))
    if key["keytype"] == "ed25519":
        spelled = bytes.fromhex("302a300506032b6570032100") + public
    elif key["keytype"].endswith("-x509"):
        loaded = x509.load_pem_x509_certificate(public).public_key()
        spelled = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        spelled = load_der_public_key(public).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spelled).hexdigest()


def _required(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 # a server on loopback
            content: bytes = reply.read()
            return content
    except urllib.error.HTTPError as exc:
        raise FileNotFoundError(url) from exc


def _signed(file: bytes) -> Json:
    signed: Json = json.loads(file)["signed"]
    return signed


def _hex(text: str) -> str:
    return b64decode(text).hex()


def _spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
