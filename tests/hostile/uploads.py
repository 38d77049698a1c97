"""A trust server that lies to those who publish, and what they want of it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from tests.world import DIALECT, GUN, IMAGE, NOW, MemoryServer, MemoryStore, World
from trustreg.errors import ConflictError, PublishRefusedError, ServerError, TrustregError
from trustreg.names import RELEASES, TARGETS, TIMESTAMP
from trustreg.server import TrustServer
from trustreg.sign.changes import Amend, SetKeys, Witness
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trustreg.metadata import Key
    from trustreg.sign.changes import Change


class Desk(World):
    """
    A collection with a tag, which its publisher and a reader have seen.

    Attributes:
        past: What the server held before the tag was signed.
        theirs: What it would hold of a collection that somebody else began under the name.
        honest: The server as it should be.
    """

    def __init__(self) -> None:
        super().__init__()
        self.init()
        self.past = deepcopy(self.store)
        self.sign()
        self.verifier().verify(IMAGE, NOW)
        other = World()
        other.init()
        other.sign()
        self.theirs = other.store
        self.honest = self.server

    def key(self, role: str) -> Key:
        signer = LocalSigner.generate("ed25519")
        self.keys.add(signer, role, str(GUN))
        return DIALECT.key(signer.kind, signer.public)

    def held(self, role: str) -> tuple[str, ...]:
        """Return who may sign *role*, as the publisher's cache has it."""
        root = DIALECT.decode("root", self.publisher_cache.files["root"]).signed
        return tuple(root.roles[role].keyids)  # type: ignore[attr-defined]

    def changed(self) -> tuple[object, ...]:
        """Return all that may not change where nothing was published."""
        caches = (self.publisher_cache, self.cache)
        known = [(dict(cache.files), dict(cache.memory().floors)) for cache in caches]
        return known, self.stage.changes(), self.keys.keys()


CHANGES: Mapping[str, Callable[[Desk], Change]] = {
    "sign": lambda _: Witness(role=TARGETS),
    "delegate": lambda desk: Amend(role=TARGETS, name=RELEASES, add_keys=(desk.key(RELEASES),), add_paths=("",)),
    "rotate targets": lambda desk: SetKeys(role=TARGETS, add=(desk.key(TARGETS),), remove=desk.held(TARGETS)),
    "rotate the timestamp": lambda desk: SetKeys(
        role=TIMESTAMP, add=(desk.publisher().offered_key(GUN, TIMESTAMP),), remove=desk.held(TIMESTAMP)
    ),
}


class Hostile(MemoryServer):
    """Answers uploads by *upload*, which may then replace ``server``, what it reads from."""

    def __init__(self, desk: Desk, upload: Callable[[Hostile, Mapping[str, bytes]], None] | None = None) -> None:
        super().__init__(GUN, desk.honest.server, lambda: desk.now)
        self.desk, self.uploads, self._upload = desk, 0, upload

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.uploads += 1
        if self._upload:
            self._upload(self, files)
        else:
            super().publish(files)

    def show(self, store: MemoryStore) -> None:
        """Read from *store* from now on."""
        self.server = TrustServer(deepcopy(store))


def _stored_and_hidden(server: Hostile, files: Mapping[str, bytes]) -> None:
    server.instead["timestamp.json"] = server.desk.publisher_cache.files[TIMESTAMP]
    server.server.accept(GUN, files, server.now())


def _raise(error: TrustregError) -> None:
    raise error


def _stored_and_gone(server: Hostile, files: Mapping[str, bytes]) -> None:
    server.server.accept(GUN, files, server.now())
    server.offline = True


BEFORE: Mapping[str, tuple[Callable[[Hostile], None], str]] = {
    "shows an older state": (lambda server: server.show(server.desk.past), "rollback"),
    "has nothing any more": (lambda server: server.show(MemoryStore()), "absent"),
    "shows a collection of somebody else": (lambda server: server.show(server.desk.theirs), "threshold"),
}
"""What a server may do when publishers read, and the code with which that ends."""

AFTER: Mapping[str, tuple[Callable[[Hostile, Mapping[str, bytes]], None], str]] = {
    "says yes and stores nothing": (lambda _server, _files: None, "unproven"),
    "says yes and shows an older state": (lambda server, _: server.show(server.desk.past), "unproven"),
    "says yes and has nothing any more": (lambda server, _: server.show(MemoryStore()), "unproven"),
    "says yes and shows a collection of somebody else": (
        lambda server, _: server.show(server.desk.theirs),
        "unproven",
    ),
    "stores it and shows the timestamp of before": (_stored_and_hidden, "unproven"),
    "stores it and cannot be reached any more": (_stored_and_gone, "offline"),
    "always says that somebody was faster": (lambda *_: _raise(ConflictError(str(GUN), "taken")), "conflict"),
    "finds fault with it": (lambda *_: _raise(PublishRefusedError(str(GUN), "ErrBadRoot", "no")), "publish-refused"),
    "fails": (lambda *_: _raise(ServerError("https://notary.example", 500, "no")), "server"),
}
"""What it may do when something is uploaded, and how that ends."""
