"""Blobs and manifests on their way into a registry, and blobs on their way out.

Source: OCI distribution-spec 1.1, "Pull", "Push" and "Content Management".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from trustreg.errors import ContentError, ServerError
from trustreg.io.http import Body, refusal
from trustreg.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trustreg.io.address import Url
    from trustreg.io.auth import Access, Auth
    from trustreg.io.http import Reply
    from trustreg.io.registry import HttpRegistry
    from trustreg.names import Reference


class Blob(NamedTuple):
    """Some bytes, by digest and length."""

    digest: Digest
    size: int


def blob_of(data: bytes) -> Blob:
    """Return what *data* is."""
    return Blob(Digest("sha256", hashlib.sha256(data).hexdigest()), len(data))


def pull(registry: HttpRegistry, reference: Reference, blob: Blob, what: str) -> bytes:
    """Return *blob*, which is called *what*, from the repository of *reference*.

    Raises:
        ContentError: The registry serves other bytes.
        UnavailableError: No answer could be had.
    """
    kept = registry.known.get(blob.digest, blob.size)
    if kept is not None and blob_of(kept) == blob:
        return kept
    reply = registry.ask(
        reference,
        "pull",
        f"blobs/{blob.digest}",
        lambda auth, url, access: auth.get(url, access, limit=blob.size, headers=registry.headers),
    )
    if reply.status != 200:
        raise refusal(reply, "its manifest lists this, so the registry is damaged" if reply.status == 404 else None)
    if (found := blob_of(reply.body)) != blob:
        raise ContentError(what, str(blob.digest), str(found.digest))
    registry.known.put(blob.digest, reply.body)
    return reply.body


class Pusher:
    """Puts things into the repository of *reference*, whose tag and digest do not matter.

    Args:
        registry: Knows where the repository really is, and how to get in.
        reference: Names the repository.
    """

    def __init__(self, registry: HttpRegistry, reference: Reference) -> None:
        self._registry, self._reference = registry, reference

    def head(self, blob: Blob) -> Reply:
        """Ask whether the registry has *blob*: 200 or 404."""
        reply = self._registry.ask(
            self._reference,
            "pull,push",
            f"blobs/{blob.digest}",
            lambda auth, url, access: auth.head(url, access, headers=self._registry.headers),
        )
        if reply.status not in {200, 404}:
            raise refusal(reply)
        return reply

    def push(self, blob: Blob, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Have the registry store *blob*, which *pieces* yields, anew for each attempt; it looks at the digest too.

        Raises:
            UnavailableError: It did not.
        """

        def send(auth: Auth, url: Url, access: Access) -> Reply:
            headers = self._registry.headers
            begun = auth.post(url, access, b"", _OCTETS, limit=_SHORT, headers=headers)
            location = begun.headers.get("location")
            if begun.status != 202 or not location:
                raise refusal(begun)
            there = auth.http.pointed(begun, location)
            query = "&".join(filter(None, [there.query, f"digest={quote(str(blob.digest))}"]))
            there, body = there._replace(query=query), Body(blob.size, pieces)
            if there.origin != url.origin:  # somebody else's, who gets nothing of ours but the file
                return auth.http.put(there, body, _OCTETS, limit=_SHORT)
            return auth.put(there, access, body, _OCTETS, limit=_SHORT, headers=headers)

        _require_stored(self._registry.ask(self._reference, "pull,push", "blobs/uploads/", send), blob)

    def put(self, name: str, raw: bytes, media_type: str) -> Reply:
        """Have the registry store the manifest *raw* under *name*, a tag or its digest, and return what it says.

        Raises:
            UnavailableError: It did not.
        """
        reply = self._registry.ask(
            self._reference,
            "pull,push",
            f"manifests/{name}",
            lambda auth, url, access: auth.put(
                url, access, raw, media_type, limit=_SHORT, headers=self._registry.headers
            ),
        )
        _require_stored(reply, blob_of(raw))
        return reply

    def delete(self, digest: Digest) -> bool:
        """Have the registry delete the manifest *digest*; say whether it does such things at all.

        Raises:
            UnavailableError: It is not known whether it did.
        """
        reply = self._registry.ask(
            self._reference,
            "pull,push,delete",
            f"manifests/{digest}",
            lambda auth, url, access: auth.delete(url, access, limit=_SHORT),
        )
        if reply.status not in {200, 202, 204, 404, 405}:
            raise refusal(reply)
        return reply.status != 405


def _require_stored(reply: Reply, blob: Blob) -> None:
    if reply.status != 201:
        raise refusal(reply)
    said = reply.headers.get("docker-content-digest", str(blob.digest))
    if said != str(blob.digest):
        raise ServerError(str(reply.url), reply.status, "it has stored something else than it was sent")


_OCTETS = "application/octet-stream"
_SHORT = 65_536  # bytes; answers to an upload have no content to speak of
