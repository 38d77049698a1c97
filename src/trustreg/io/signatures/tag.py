"""Signatures in the repository of the image, under the tag that cosign gave them: ``sha256-HEX.sig``.

A registry has no "replace if it is still this one". Whoever adds a signature reads what is there, pushes, makes sure
that nobody has changed the tag until then, replaces it, and reads it back; if the signature is not there, somebody else
was faster, and it is done again. What remains is two who replace the tag within one request of each other: one of the
two signatures is lost after it was seen. Adding it again is all that it takes, and never does harm.

Source: cosign ``specs/SIGNATURE_SPEC.md``, "Storage".
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

import orjson

from trustreg.errors import FormatError, NameFormError, ServerError, SignaturePlaceError, TooLargeError
from trustreg.io.pushing import Pusher
from trustreg.io.signatures import attached
from trustreg.io.signatures.bounds import MOST, bounded
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from trustreg.io.registry import HttpRegistry
    from trustreg.io.signatures.attached import Held
    from trustreg.ports import Attached, Message

T = TypeVar("T")
_ATTEMPTS = 8


class TagPlace:
    """The tags of signatures in the repositories of *registry*; a :class:`trustreg.ports.WritablePlace`.

    Args:
        registry: Knows where repositories really are, and how to get in.
        sleep: Waits; tests need not.
    """

    holds: frozenset[type[Message | Detached]] = frozenset({Detached})
    where = "tag"

    def __init__(self, registry: HttpRegistry, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._registry, self._sleep = registry, sleep

    def read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        """Yield the signatures of the manifest *digest* in the repository of *image*, in their order.

        Raises:
            SignaturePlaceError: There are too many, or it took too long.
            UnavailableError: An answer could not be had.
        """
        where = self._where(image, digest)
        try:
            (held,) = until(lambda: (self._find(image, digest),), where, self._sleep, attempts=_TRIES)
        except (FormatError, TooLargeError) as exc:
            yield Garbage(where=where, error=exc)
            return
        if held:
            yield from bounded(attached.signatures(self._registry, image, held, where), where)

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        """Add *signature* behind those of the manifest *digest*, if it is not there; return where it is.

        Raises:
            SignaturePlaceError: There are too many already, or something else has the tag, or is changing it.
            UnavailableError: It is not known whether it was added. It may be tried again.
        """
        if not isinstance(signature, Detached):
            raise SignaturePlaceError(self.where, "only signatures by plain keys have a place here", _OTHERS)
        where, (layer, raw) = self._where(image, digest), attached.layer_of(signature)
        pusher = Pusher(self._registry, image)
        stored = False

        def added() -> str | None:
            nonlocal stored
            held = self._held(image, digest)
            layers = held.layers if held else []
            if there := next((n for n, one in enumerate(layers, 1) if attached.is_layer(one, layer)), 0):
                return f"{where}#{there}"
            if len(layers) >= MOST:
                raise SignaturePlaceError(where, f"{MOST} signatures are there already")
            if not stored:
                attached.push(pusher, raw, layer["mediaType"])
                stored = True
            self._replace(pusher, image, digest, held, [*layers, layer])
            return None

        return until(added, where, self._sleep)

    def remove(self, image: Reference, digest: Digest, signature: Message | Detached) -> None:
        """Remove *signature*, and the manifest if it was the last one; fine where it is gone.

        Raises:
            SignaturePlaceError: Somebody else is changing the tag all the time.
            UnavailableError: It is not known whether it was removed. It may be tried again.
        """
        if not isinstance(signature, Detached):
            return
        (layer, _), pusher = attached.layer_of(signature), Pusher(self._registry, image)

        def removed() -> bool:
            held = self._held(image, digest)
            others = [one for one in held.layers if not attached.is_layer(one, layer)] if held else []
            if held is None or len(others) == len(held.layers):
                return True
            self._replace(pusher, image, digest, held, others)
            return False

        until(removed, self._where(image, digest), self._sleep)

    def _replace(self, pusher: Pusher, image: Reference, digest: Digest, held: Held | None, layers: list[Any]) -> None:
        """Have *layers* take the place of what is *held*; do nothing if something else is there by now."""
        content = {"schemaVersion": 2, "mediaType": attached.OCI, **(held.content if held else {})}
        tag = Reference(image.domain, image.path, _tag(digest))
        if not layers:
            if held and self._registry.digest(tag) == held.digest and pusher.delete(held.digest):
                return
            layers = [attached.push(pusher, b"{}", _EMPTY)]  # which is no signature; a manifest has to have one
        config = content.get("config")
        if not isinstance(config, dict) or config.get("mediaType") == attached.CONFIG:
            content["config"] = attached.push_config(pusher, layers, attached.CONFIG)
        raw = orjson.dumps({**content, "layers": layers})
        if self._registry.digest(tag) == (held.digest if held else None):
            pusher.put(_tag(digest), raw, held.media_type if held else attached.OCI)

    def _held(self, image: Reference, digest: Digest) -> Held | None:
        try:
            return self._find(image, digest)
        except FormatError as exc:
            where = self._where(image, digest)
            raise SignaturePlaceError(where, "something else than signatures has this tag", _OTHERS) from exc

    def _find(self, image: Reference, digest: Digest) -> Held | None:
        return attached.find(self._registry, image, tag=_tag(digest))

    def _where(self, image: Reference, digest: Digest) -> str:
        return f"{image.repository}:{_tag(digest)}"


def until(done: Callable[[], T | None], where: str, sleep: Callable[[float], None], *, attempts: int = _ATTEMPTS) -> T:
    """Return what *done* does, once that is something; it looks whether it is, and does it if not.

    A registry on plain files may answer 500 to what several do at once, so that is tried again, too.

    Raises:
        SignaturePlaceError: Somebody else undoes it all the time.
    """
    for attempt in range(attempts):
        if attempt:
            sleep(random.SystemRandom().uniform(0, _PAUSE * 2**attempt))
        try:
            if found := done():
                return found
        except ServerError as exc:
            if exc.status < 500 or attempt == attempts - 1:
                raise
    raise SignaturePlaceError(where, "others change it all the time", "try again")


def _tag(digest: Digest) -> str:
    if digest.algorithm != "sha256":
        raise NameFormError(str(digest), "digest", "signatures under a tag are for sha256 digests")
    return f"{digest.algorithm}-{digest.hex}.sig"


_OTHERS = "name another place: referrers, extension or a lookaside"
_EMPTY = "application/vnd.oci.empty.v1+json"
_TRIES = 4
_PAUSE = 0.05  # seconds
