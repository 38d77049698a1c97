"""Signatures as images in a registry: one manifest, in which each layer is what was signed, annotated with who says so.

This is cosign's form. Whoever adds a signature leaves the other layers as they are, whatever they may be.

Sources: cosign ``specs/SIGNATURE_SPEC.md``; containers/image ``docker/docker_image_dest.go``.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from trustreg.errors import ContentError, FormatError, NameFormError, NotInRegistryError, TooLargeError
from trustreg.io.pushing import Blob, Pusher, blob_of, pull
from trustreg.io.signatures.bounds import LARGEST
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trustreg.io.registry import HttpRegistry


class Held(NamedTuple):
    """A manifest with signatures, as it is in the registry."""

    digest: Digest
    media_type: str
    content: Mapping[str, Any]

    @property
    def layers(self) -> Sequence[Any]:
        """Its layers, as it lists them."""
        return list(self.content["layers"])


def find(
    registry: HttpRegistry, image: Reference, *, tag: str | None = None, digest: Digest | None = None
) -> Held | None:
    """Return the manifest with this *tag* or *digest* in the repository of *image*; ``None`` where there is none.

    Raises:
        FormatError: It is no manifest with layers.
        UntrustedError, UnavailableError: As :meth:`HttpRegistry.manifest` raises them.
    """
    named = Reference(image.domain, image.path, tag, digest)
    try:
        served = registry.manifest(named)
    except NotInRegistryError:
        return None
    content = orjson.loads(served.raw)  # the registry adapter has read it already
    if served.media_type not in {OCI, DOCKER} or not isinstance(content.get("layers"), list):
        raise FormatError("signature", "layers", "it is an image index, or something else without layers")
    return Held(served.digest, served.media_type, content)


def signatures(
    registry: HttpRegistry, image: Reference, held: Held, where: str
) -> Iterator[Message | Detached | Garbage]:
    """Yield what the layers of *held* are, which is at *where*; layers that want to be something else are passed over.

    Raises:
        UnavailableError: The registry does not serve what it lists.
    """
    for number, layer in enumerate(held.layers, 1):
        kind = layer.get("mediaType") if isinstance(layer, dict) else None
        if kind not in (SIMPLE_SIGNING, OPENPGP):
            continue
        at = f"{where}#{number}"
        try:
            raw = pull(registry, image, _blob(layer, at), at)
            yield Message(where=at, raw=raw) if kind == OPENPGP else _detached(layer, raw, at)
        except (FormatError, ContentError, TooLargeError) as exc:
            yield Garbage(where=at, error=exc)


def layer_of(signature: Message | Detached) -> tuple[dict[str, Any], bytes]:
    """Return the layer that *signature* is, and the bytes in it."""
    raw = signature.raw if isinstance(signature, Message) else signature.payload
    blob = blob_of(raw)
    layer: dict[str, Any] = {"mediaType": OPENPGP, "digest": str(blob.digest), "size": blob.size}
    if isinstance(signature, Detached):
        layer["mediaType"] = SIMPLE_SIGNING
        layer["annotations"] = {SIGNATURE: b64encode(signature.signature).decode()}
    return layer, raw


def is_layer(found: Any, layer: Mapping[str, Any]) -> bool:
    """Say whether *found*, in a manifest, holds the signature that *layer* does."""
    said = found if isinstance(found, dict) else {}
    mine, theirs = layer.get("annotations", {}), said.get("annotations") or {}
    return (said.get("mediaType"), said.get("digest")) == (layer["mediaType"], layer["digest"]) and (
        not mine or (isinstance(theirs, dict) and theirs.get(SIGNATURE) == mine[SIGNATURE])
    )


def push_config(pusher: Pusher, layers: Sequence[Any], media_type: str) -> dict[str, Any]:
    """Have the registry store what cosign and skopeo want to find as the configuration of *layers*; return it."""
    digests = [layer["digest"] for layer in layers if isinstance(layer, dict) and "digest" in layer]
    zero = "0001-01-01T00:00:00Z"
    raw = orjson.dumps(
        {
            "architecture": "",
            "created": zero,
            "history": [{"created": zero} for _ in digests],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": digests},
            "config": {},
        }
    )
    return push(pusher, raw, media_type)


def push(pusher: Pusher, raw: bytes, media_type: str) -> dict[str, Any]:
    """Have the registry store *raw*; return what a manifest says of it."""
    blob = blob_of(raw)
    pusher.push(blob, partial(iter, (raw,)))
    return {"mediaType": media_type, "digest": str(blob.digest), "size": blob.size}


def _blob(layer: Mapping[str, Any], at: str) -> Blob:
    size = layer.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise FormatError("signature", "size", "it is no length")
    if size > LARGEST:
        raise TooLargeError(at, LARGEST)
    try:
        return Blob(Digest.parse(layer["digest"]), size)
    except (KeyError, AttributeError, TypeError, NameFormError) as exc:
        raise FormatError("signature", "digest", "it is no digest") from exc


def _detached(layer: Mapping[str, Any], raw: bytes, at: str) -> Detached:
    annotations = layer.get("annotations")
    said = annotations.get(SIGNATURE) if isinstance(annotations, dict) else None
    if not isinstance(said, str) or len(said) > _LONGEST:
        raise FormatError("signature", f"annotations.{SIGNATURE}", "it is no text, or too long")
    try:
        return Detached(where=at, payload=raw, signature=b64decode(said, validate=True))
    except (ValueError, binascii.Error) as exc:
        raise FormatError("signature", f"annotations.{SIGNATURE}", "it is not base64") from exc


OCI: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
OPENPGP: Final = "application/vnd.trustreg.signature.openpgp.v1"  # ours: nobody has a type for it
_LONGEST = 32 << 10  # characters of base64; those of the largest plain keys have a thousand
