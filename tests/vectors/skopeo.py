"""What skopeo says of vectors/simple-signing."""

from __future__ import annotations

import contextlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers import Skopeo, image
from tests.peers.gpg import Gpg, gpg_home

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.peers import RegistryPeer
    from tests.vectors.signed import Signed

MANIFEST = image("simple signing")
ACCEPTED, REFUSED = "accepted", "refused"


class Reader:
    """Somebody who asks skopeo, with an image in a registry. Use :func:`reader` to have one."""

    def __init__(self, registry: RegistryPeer, homes: contextlib.ExitStack, folder: Path) -> None:
        self._homes, self._folder = homes, folder
        self._mirrors = {"registry.example": registry.host}
        self._known: dict[tuple[bytes, ...], Gpg] = {}
        Skopeo(registry).push(MANIFEST, "team/app:1.0")

    def verdicts(self, vectors: Iterable[Signed]) -> dict[str, dict[str, str]]:
        """Return, by name, what ``standalone-verify`` says of each vector, and ``copy`` under a policy.json."""
        every = tuple(vectors)
        for vector in every:
            self._home(vector.keys)
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(self._verdict, every))
        return {vector.name: verdict for vector, verdict in zip(every, found, strict=True)}

    def _verdict(self, vector: Signed) -> dict[str, str]:
        home = self._home(vector.keys)
        alone = Skopeo.verify_signature(
            MANIFEST.manifest.raw, str(vector.image), vector.named, vector.message, home.home
        )
        place = self._folder / vector.name
        kept = place / "lookaside" / f"team/app@sha256={vector.digest.hex}"
        kept.mkdir(parents=True)
        (kept / "signature-1").write_bytes(vector.message)
        (place / "keys").write_bytes(b"".join(vector.keys))
        wanted = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(place / "keys")}
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {"registry.example": [wanted]}}}
        pulled = Skopeo.pull_under(json.dumps(policy), str(vector.image), place / "lookaside", mirrors=self._mirrors)
        return {"skopeo": _word(alone.returncode), "policy": _word(pulled.returncode)}

    def _home(self, keys: tuple[bytes, ...]) -> Gpg:
        """Return a home of gpg that has *keys*, for ``standalone-verify`` knows no other way to be told."""
        if keys not in self._known:
            self._known[keys] = self._homes.enter_context(gpg_home())
            for key in keys:
                self._known[keys].run("--import", stdin=key, at="20990201T000000")  # when all of them are there
        return self._known[keys]


@contextlib.contextmanager
def reader(registry: RegistryPeer) -> Iterator[Reader]:
    """Make somebody who asks skopeo."""
    with contextlib.ExitStack() as homes, tempfile.TemporaryDirectory(prefix="vectors-") as folder:
        yield Reader(registry, homes, Path(folder))


def _word(code: int) -> str:
    return ACCEPTED if code == 0 else REFUSED
