"""What a server may do instead of sending a file."""

from __future__ import annotations

import gzip
from functools import cache
from typing import TYPE_CHECKING

from tests.io.rogue import reply

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def bomb() -> bytes:
    """Return 80 MiB, packed."""
    return gzip.compress(bytes(80 << 20), 1)


ODD: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "fails": (lambda _: reply(500, b"<html>"), "server"),
    "is overloaded": (lambda _: reply(503), "server"),
    "wants a login that it does not describe": (lambda _: reply(401), "unauthorized"),
    "forbids it": (lambda _: reply(403), "unauthorized"),
    "has a page for what it does not have": (lambda _: reply(404, b"<html>not found</html>"), "server"),
    "answers without content": (lambda _: reply(204), "server"),
    "resets the connection": (lambda _: None, "offline"),
    "hangs up too early": (
        lambda file: reply(200, file[:100], content_length=str(len(file)), connection="close"),
        "offline",
    ),
    "does not speak HTTP": (lambda _: b"SSH-2.0-OpenSSH_9.2\r\n\r\nConnection: close", "server"),
    "sends a little that unpacks to a lot": (lambda _: reply(200, bomb(), content_encoding="gzip"), "too-large"),
    "announces more than may be read": (lambda file: reply(200, file, content_length=str(1 << 40)), "too-large"),
}
"""By what it does: the answer in the place of a file, ``None`` for a reset, and the code with which that ends."""
