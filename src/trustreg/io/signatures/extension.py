"""Signatures by the extension of registries that say ``X-Registry-Supports-Signatures: 1``, as OpenShift's does.

``/extensions/v2/NAME/signatures/DIGEST`` has a list of signatures, and takes one at a time. None can be removed.

Source: containers/image ``docs/signature-protocols.md`` and ``docker/docker_client.go``.
"""

from __future__ import annotations

import binascii
import random
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import orjson

from trustreg.errors import FormatError, NameFormError, ServerError, SignaturePlaceError, TooLargeError
from trustreg.io.http import refusal
from trustreg.io.registry import LARGEST as LARGEST_LIST
from trustreg.io.registry import unknown
from trustreg.io.signatures.bounds import LARGEST, MOST, bounded
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trustreg.io.address import Url
    from trustreg.io.auth import Access, Auth
    from trustreg.io.http import Reply
    from trustreg.io.registry import HttpRegistry
    from trustreg.names import Digest, Reference


class ExtensionPlace:
    """The signatures that *registry* keeps itself, where it does; a :class:`trustreg.ports.WritablePlace`.

    Args:
        registry: Knows where repositories really are, and how to get in.
        offered: Which registries, by scheme, host and port, were found to have the extension, or not to.
    """

    holds: frozenset[type[Message | Detached]] = frozenset({Message})
    where = "extension"

    def __init__(self, registry: HttpRegistry, *, offered: dict[str, bool] | None = None) -> None:
        self._registry = registry
        self._offered = {} if offered is None else offered

    def read(self, image: Reference, digest: Digest) -> Iterator[Message | Garbage]:
        """Yield the signatures of the manifest *digest* in the repository of *image*; none where it is not offered.

        Raises:
            SignaturePlaceError: There are too many.
            UnavailableError: An answer could not be had.
        """
        where = self._where(image, digest)
        return bounded(self._read(image, digest, where), where)

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        """Add *signature* to those of the manifest *digest*, if it is not there; return where it is.

        Raises:
            SignaturePlaceError: The registry has no such extension, or too many signatures already.
            UnavailableError: It is not known whether it was added. It may be tried again.
        """
        where = self._where(image, digest)
        if not isinstance(signature, Message):
            raise SignaturePlaceError(self.where, "only OpenPGP messages have a place here", "use the place: tag")
        there = list(self.read(image, digest))
        for one in there:
            if isinstance(one, Message) and one.raw == signature.raw:
                return one.where
        if len(there) >= MOST:
            raise SignaturePlaceError(where, f"{MOST} signatures are there already")
        name = f"{digest}@{random.SystemRandom().randbytes(16).hex()}"
        body = orjson.dumps(
            {"schemaVersion": 2, "name": name, "type": "atomic", "content": b64encode(signature.raw).decode()}
        )

        def send(auth: Auth, url: Url, access: Access) -> Reply | None:
            if not self._offers(auth, url):
                return None
            headers = self._registry.headers
            return auth.put(_extended(url), access, body, "application/json", limit=_SHORT, headers=headers)

        reply = self._registry.ask(image, "pull,push", f"signatures/{digest}", send)
        if reply is None:
            problem = "the registry does not offer to keep signatures"
            raise SignaturePlaceError(where, problem, "name another place: a lookaside, or referrers")
        if reply.status not in {200, 201}:
            raise refusal(reply)
        return f"{where}#{name}"

    def remove(self, image: Reference, digest: Digest, signature: Message | Detached) -> None:
        """Raise :class:`SignaturePlaceError` if *signature* is there: nothing is ever removed here."""
        for one in self._read(image, digest, self._where(image, digest)):
            if isinstance(one, Message) and isinstance(signature, Message) and one.raw == signature.raw:
                raise SignaturePlaceError(one.where, "registries have no way to remove a signature from here")

    def _read(self, image: Reference, digest: Digest, where: str) -> Iterator[Message | Garbage]:
        def send(auth: Auth, url: Url, access: Access) -> Reply | None:
            if not self._offers(auth, url):
                return None
            return auth.get(_extended(url), access, limit=LARGEST_LIST, headers=self._registry.headers)

        if digest.algorithm != "sha256":
            raise NameFormError(str(digest), "digest", "signatures that a registry keeps are for sha256 digests")
        reply = self._registry.ask(image, "pull", f"signatures/{digest}", send)
        if reply is None or (reply.status == 404 and unknown(reply)):
            return
        if reply.status != 200:
            raise refusal(reply)
        try:
            entries = orjson.loads(reply.body)["signatures"] or []
            found = list(enumerate(entries, 1)) if isinstance(entries, list) else None
        except (ValueError, TypeError, LookupError) as exc:
            raise ServerError(str(reply.url), reply.status, "this is no list of signatures") from exc
        if found is None:
            raise ServerError(str(reply.url), reply.status, "this is no list of signatures")
        for number, entry in found:
            yield _message(entry, f"{where}#{number}", digest)

    def _offers(self, auth: Auth, url: Url) -> bool:
        """Say whether the registry has the extension; it says so to whoever asks, logged in or not, once."""
        if url.origin not in self._offered:
            reply = auth.http.get(url._replace(path="/v2/"), limit=_SHORT, headers=self._registry.headers)
            if reply.status not in {200, 401}:
                raise refusal(reply)
            self._offered[url.origin] = reply.headers.get("x-registry-supports-signatures") == "1"
        return self._offered[url.origin]

    def _where(self, image: Reference, digest: Digest) -> str:
        return f"extension of {image.pinned(digest)}"


def _extended(url: Url) -> Url:
    return url._replace(path=f"/extensions{url.path}")


def _message(entry: Any, where: str, digest: Digest) -> Message | Garbage:
    said = entry if isinstance(entry, dict) else {}
    name, content = said.get("name"), said.get("content")
    if isinstance(name, str) and name.startswith(f"{digest}@") and name.isprintable() and len(name) < _LONGEST:
        where = f"{where.rpartition('#')[0]}#{name}"
    if said.get("schemaVersion") != _VERSION or said.get("type") != "atomic" or not isinstance(content, str):
        problem = "it is not one of the kind that is known here"
        return Garbage(where=where, error=FormatError("signature", "type", problem))
    if len(content) > LARGEST * 4 // 3 + 4:
        return Garbage(where=where, error=TooLargeError("the signature", LARGEST))
    try:
        return Message(where=where, raw=b64decode(content, validate=True))
    except (ValueError, binascii.Error):
        return Garbage(where=where, error=FormatError("signature", "content", "it is not base64"))


_VERSION = 2
_SHORT = 65_536  # bytes; answers that have nothing to say
_LONGEST = 200  # characters of a name
