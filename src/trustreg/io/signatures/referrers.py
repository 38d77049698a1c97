"""Signatures as artifacts that refer to the manifest they are about: the referrers of OCI 1.1.

A registry that knows of them lists them by itself. For one that does not, whoever adds one keeps an image index under
the tag ``sha256-HEX``, as the specification has it; two who do so at once are kept apart as at :mod:`.tag`.

Signatures by plain keys have cosign's type of artifact and are made as those under its tag. OpenPGP messages have one
of our own, :data:`trustreg.io.signatures.attached.OPENPGP`, which is also the type of the one layer. Each signature is
an artifact of its own, so nobody has to change that of another.

Sources: OCI distribution-spec 1.1, "Listing Referrers", "Pushing Manifests with Subject", "Referrers Tag Schema".
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from trustreg.errors import (
    ContentError,
    FormatError,
    NameFormError,
    NotInRegistryError,
    ServerError,
    SignaturePlaceError,
    TooLargeError,
)
from trustreg.io.http import api_errors, plain, refusal
from trustreg.io.pushing import Pusher, blob_of
from trustreg.io.registry import LARGEST
from trustreg.io.signatures import attached
from trustreg.io.signatures.bounds import bounded
from trustreg.io.signatures.tag import until
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trustreg.io.address import Url
    from trustreg.io.auth import Access, Auth
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.signatures.attached import Held
    from trustreg.ports import Attached, Manifest


class ReferrersPlace:
    """The referrers in the repositories of *registry*; a :class:`trustreg.ports.WritablePlace`.

    Args:
        registry: Knows where repositories really are, and how to get in.
        without: The registries, by scheme, host and port, that were found not to know of referrers.
        sleep: Waits; tests need not.
    """

    holds: frozenset[type[Message | Detached]] = frozenset({Message, Detached})
    where = "referrers"

    def __init__(
        self,
        registry: HttpRegistry,
        *,
        without: set[str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry, self._sleep = registry, sleep
        self._without = set() if without is None else without

    def read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        """Yield the signatures among those that refer to the manifest *digest* in the repository of *image*.

        Raises:
            SignaturePlaceError: There are too many, or it took too long.
            UnavailableError: An answer could not be had.
        """
        return bounded(self._read(image, digest), self._where(image, digest))

    def add(self, image: Reference, digest: Digest, signature: Message | Detached) -> str:
        """Add *signature* to those that refer to the manifest *digest*, if it is not there; return where it is.

        Raises:
            UnavailableError: It is not known whether it was added. It may be tried again.
        """
        subject = self._subject(image, digest)
        layer, raw = attached.layer_of(signature)
        pusher, kind = Pusher(self._registry, image), _kind(signature)
        attached.push(pusher, raw, layer["mediaType"])
        content = {
            "schemaVersion": 2,
            "mediaType": attached.OCI,
            "artifactType": kind,
            "config": attached.push_config(pusher, [layer], kind),
            "layers": [layer],
            "subject": subject,
        }
        manifest = orjson.dumps(content)
        blob = blob_of(manifest)
        said = pusher.put(str(blob.digest), manifest, attached.OCI)
        if said.headers.get("oci-subject") != str(digest):
            entry = {"mediaType": attached.OCI, "digest": str(blob.digest), "size": blob.size, "artifactType": kind}

            def listed(entries: Sequence[Any]) -> Sequence[Any]:
                return entries if _names(entries, blob.digest) else [*entries, entry]

            self._change(pusher, image, digest, listed)
        return f"{image.repository}@{blob.digest}#1"

    def remove(self, image: Reference, digest: Digest, signature: Message | Detached) -> None:
        """Remove the artifact that holds *signature* alone; fine where it is gone.

        Raises:
            SignaturePlaceError: It holds others, too, or the registry deletes nothing.
            UnavailableError: It is not known whether it was removed. It may be tried again.
        """
        layer, _ = attached.layer_of(signature)
        pusher = Pusher(self._registry, image)
        for held in list(self._artifacts(image, digest)):
            if isinstance(held, Garbage) or not any(attached.is_layer(one, layer) for one in held.layers):
                continue
            where = f"{image.repository}@{held.digest}"
            if len(held.layers) > 1:
                raise SignaturePlaceError(where, "it holds other things, too, and one signature is not taken out of it")
            index = self._index(image, digest)
            ours = index is not None and _names(index.entries, held.digest)
            if ours:  # first, since what is listed has to be there
                self._change(pusher, image, digest, partial(_without, held.digest))
            if not pusher.delete(held.digest) and not ours:
                raise SignaturePlaceError(where, "the registry deletes nothing", "allow it to, or delete this yourself")

    def _read(self, image: Reference, digest: Digest) -> Iterator[Attached]:
        for held in self._artifacts(image, digest):
            if isinstance(held, Garbage):
                yield held
                continue
            where = f"{image.repository}@{held.digest}"
            found = attached.signatures(self._registry, image, held, where)
            first = next(found, None)
            yield first or Garbage(where=where, error=FormatError("signature", "layers", "none of them is a signature"))
            yield from found

    def _artifacts(self, image: Reference, digest: Digest) -> Iterator[Held | Garbage]:
        """Yield the artifacts that are to hold signatures; one that is about something else is none."""

        def found() -> Iterator[Held | Garbage]:
            for entry in filter(_is_signature, self._entries(image, digest)):
                yield self._artifact(image, digest, entry)

        return bounded(found(), self._where(image, digest))

    def _artifact(self, image: Reference, digest: Digest, entry: Mapping[str, Any]) -> Held | Garbage:
        where = f"{image.repository}@{plain(entry.get('digest'), 80)}"
        try:
            held = attached.find(self._registry, image, digest=_digest(entry))
            if held is None:
                raise ServerError(where, 404, "it is listed, and the registry does not have it")
            _require_about(held, digest)
        except (FormatError, ContentError, TooLargeError) as exc:
            return Garbage(where=where, error=exc)
        return held

    # --- the list ------------------------------------------------------------------------------------

    def _entries(self, image: Reference, digest: Digest) -> Iterator[Any]:
        _require_sha256(digest)
        listed = self._registry.ask(image, "pull", f"referrers/{digest}", self._list)
        if listed is not None:
            return iter(listed)
        index = self._index(image, digest)
        return iter(index.entries if index else ())

    def _list(self, auth: Auth, url: Url, access: Access) -> list[Any] | None:
        """Return which signatures the registry says refer to a manifest; ``None`` where it knows of no such things."""
        if url.origin in self._without:
            return None
        entries: list[Any] = []
        for page in range(_PAGES):
            reply = auth.get(url, access, limit=LARGEST, headers={**self._registry.headers, "Accept": _INDEX})
            if reply.status in {404, 405, 501} and not page:
                if not api_errors(reply):
                    self._without.add(url.origin)
                return None
            if reply.status != 200:
                raise refusal(reply)
            entries += filter(_is_signature, _manifests(reply.body, str(reply.url)))  # others may be without number
            link, found, _ = reply.headers.get("link", "").partition(">")
            if not found:
                return entries
            url = auth.http.pointed(reply, link.strip().removeprefix("<"))
            if url.origin != reply.url.origin:
                break
        raise ServerError(str(reply.url), reply.status, "its list of referrers does not end, or leads elsewhere")

    def _index(self, image: Reference, digest: Digest) -> _Index | None:
        """Return the list that those keep who add signatures to a registry that keeps none."""
        reference = Reference(image.domain, image.path, _tag(digest))

        def read() -> tuple[Manifest | None]:
            try:
                return (self._registry.manifest(reference),)
            except NotInRegistryError:
                return (None,)

        (served,) = until(read, str(reference), self._sleep, attempts=_TRIES)
        if served is None:
            return None
        if served.media_type != _INDEX:
            raise SignaturePlaceError(str(reference), "something else than a list of referrers has this tag")
        return _Index(served.digest, orjson.loads(served.raw), _manifests(served.raw, str(reference)))

    def _change(
        self, pusher: Pusher, image: Reference, digest: Digest, change: Callable[[Sequence[Any]], Sequence[Any]]
    ) -> None:
        """Have the list be what *change* makes of it."""
        reference = Reference(image.domain, image.path, _tag(digest))

        def changed() -> bool:
            index = self._index(image, digest)
            entries = index.entries if index else []
            if (wanted := change(entries)) == entries:
                return True
            content = {"schemaVersion": 2, "mediaType": _INDEX, **(index.content if index else {}), "manifests": wanted}
            if self._registry.digest(reference) == (index.digest if index else None):
                pusher.put(_tag(digest), orjson.dumps(content), _INDEX)
            return False

        until(changed, str(reference), self._sleep)

    def _subject(self, image: Reference, digest: Digest) -> dict[str, Any]:
        _require_sha256(digest)
        served = self._registry.manifest(Reference(image.domain, image.path, None, digest))
        return {"mediaType": served.media_type, "digest": str(digest), "size": len(served.raw)}

    def _where(self, image: Reference, digest: Digest) -> str:
        return f"referrers of {image.pinned(digest)}"


class _Index(NamedTuple):
    digest: Digest
    content: Mapping[str, Any]
    entries: list[Any]


def _kind(signature: Message | Detached) -> str:
    return attached.OPENPGP if isinstance(signature, Message) else COSIGN


def _manifests(raw: bytes, where: str) -> list[Any]:
    try:
        found = orjson.loads(raw)["manifests"]
    except (ValueError, TypeError, LookupError) as exc:
        raise ServerError(where, 200, "this is no list of referrers") from exc
    if not isinstance(found, list):
        raise ServerError(where, 200, "this is no list of referrers")
    return found


def _is_signature(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("artifactType") in _KINDS


def _names(entries: Sequence[Any], digest: Digest) -> bool:
    return any(isinstance(entry, dict) and entry.get("digest") == str(digest) for entry in entries)


def _without(digest: Digest, entries: Sequence[Any]) -> Sequence[Any]:
    return [entry for entry in entries if not _names([entry], digest)]


def _digest(entry: Mapping[str, Any]) -> Digest:
    try:
        return Digest.parse(entry["digest"])
    except (KeyError, AttributeError, NameFormError) as exc:
        raise FormatError("signature", "digest", "it is no digest") from exc


def _require_about(held: Held, digest: Digest) -> None:
    subject, config = held.content.get("subject"), held.content.get("config")
    if not isinstance(subject, dict) or subject.get("digest") != str(digest):
        raise FormatError("signature", "subject", "it is about another manifest")
    kind = held.content.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    if kind not in _KINDS:
        raise FormatError("signature", "artifactType", "it is listed as a signature, and is none")


def _require_sha256(digest: Digest) -> None:
    if digest.algorithm != "sha256":
        raise NameFormError(str(digest), "digest", "signatures that refer to a manifest are for sha256 digests")


def _tag(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"


COSIGN: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
_KINDS = (COSIGN, attached.OPENPGP)
_INDEX = "application/vnd.oci.image.index.v1+json"
_PAGES = 16  # of at most 4 MiB each
_TRIES = 4
