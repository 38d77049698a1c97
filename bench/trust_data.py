"""Collections of many tags, made by the Go client, and the trust directories to read and extend them from."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
import uuid
from typing import TYPE_CHECKING

from tests.peers import GoNotary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.peers import TrustServerPeer


def digest(tag: str) -> str:
    """Return the sha256, in hex, of the manifest that stands for *tag*."""
    return hashlib.sha256(tag.encode()).hexdigest()


def tags(count: int) -> list[str]:
    """Return the names of *count* tags, as release jobs give them."""
    return [f"v1.{number // 100}.{number % 100}-{number:06d}" for number in range(count)]


def stage(trust_dir: Path, gun: str, names: Iterable[str]) -> None:
    """Stage that *names* are signed, where ``notary`` and trustreg both look for what to publish."""
    folder = trust_dir / "tuf" / gun / "changelist"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number, name in enumerate(names):
        meta = {"length": 1357, "hashes": {"sha256": base64.b64encode(bytes.fromhex(digest(name))).decode()}}
        data = base64.b64encode(json.dumps(meta, separators=(",", ":")).encode()).decode()
        change = {"action": "create", "role": "targets", "type": "target", "path": name, "data": data}
        (folder / f"{time.time_ns() + number:020d}_{uuid.uuid4()}.change").write_text(json.dumps(change))


def collection(server: TrustServerPeer, trust_dir: Path, gun: str, count: int) -> GoNotary:
    """Publish a collection of *count* tags, whose snapshot the server signs, as Docker has it; return who did."""
    author = GoNotary(server, trust_dir)
    author.init(gun, publish=True)
    author.key_rotate(gun, "snapshot", server_managed=True)
    stage(trust_dir, gun, tags(count))
    author.publish(gun)
    return author


def forget(trust_dir: Path) -> None:
    """Make the trust directory a new one, which knows nothing."""
    shutil.rmtree(trust_dir, ignore_errors=True)
    trust_dir.mkdir(mode=0o700, parents=True)
