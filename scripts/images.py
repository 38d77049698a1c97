"""
Small images, made of nothing: valid, and the same bytes for the same seed everywhere.

>>> image("v1").digest == image("v1").digest != image("v2").digest
True
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Family:
    """A spelling of images: the media type of each part."""

    manifest: str
    index: str
    config: str
    layer: str


OCI = Family(
    manifest="application/vnd.oci.image.manifest.v1+json",
    index="application/vnd.oci.image.index.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = Family(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
)


@dataclass(frozen=True)
class Blob:
    """Bytes with their media type."""

    media_type: str
    raw: bytes

    @property
    def hex(self) -> str:
        """The SHA-256 of the bytes in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes as registries write it."""
        return f"sha256:{self.hex}"

    def descriptor(self) -> dict[str, Any]:
        """Give how other documents refer to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw)}


@dataclass(frozen=True)
class Image:
    """A manifest with its config and layers in ``blobs``; or an index, with its ``images``."""

    manifest: Blob
    blobs: tuple[Blob, ...] = ()
    images: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """The digest that a tag points to, and that gets signed."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """The length in bytes of what is signed."""
        return len(self.manifest.raw)

    def walk(self) -> Iterator[Image]:
        """Give what an index refers to, then itself: an order in which a registry takes them."""
        for part in self.images:
            yield from part.walk()
        yield self


def image(seed: str, family: Family = OCI, architecture: str = "amd64") -> Image:
    """Make an image for linux/*architecture*, of one layer with one file that says *seed*."""
    tar = _tar("seed.txt", f"{seed} for linux/{architecture}\n".encode())
    layer = Blob(family.layer, _gzip(tar))
    config = Blob(
        family.config,
        _json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": {"Labels": {"seed": seed}},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "trustreg"}],
            }
        ),
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }
    return Image(Blob(family.manifest, _json(manifest)), (config, layer))


def index(seed: str, family: Family = OCI, architectures: Sequence[str] = ("amd64", "arm64")) -> Image:
    """Make an index (Docker says: a manifest list) of an image for each of *architectures*."""
    images = {architecture: image(seed, family, architecture) for architecture in architectures}
    manifest = {
        "schemaVersion": 2,
        "mediaType": family.index,
        "manifests": [
            one.manifest.descriptor() | {"platform": {"architecture": architecture, "os": "linux"}}
            for architecture, one in images.items()
        ],
    }
    return Image(Blob(family.index, _json(manifest)), images=tuple(images.values()))


def _tar(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _gzip(content: bytes) -> bytes:
    """
    Wrap *content*, less than 64 KiB, uncompressed: what zlib makes of it differs between machines.

    Source: RFC 1952 section 2.3 (the member), RFC 1951 section 3.2.4 (one last, stored block).
    """
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    block = struct.pack("<BHH", 1, len(content), len(content) ^ 0xFFFF) + content
    return header + block + struct.pack("<II", zlib.crc32(content), len(content))


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
