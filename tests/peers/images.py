"""Images on disk, in the forms that skopeo takes them from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.images import DOCKER, OCI, Blob, Image, image, index

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DOCKER", "OCI", "Blob", "Image", "image", "index", "write_layout"]


def write_layout(what: Image, directory: Path) -> str:
    """
    Write *what* with all that it refers to, and give skopeo's name for it.

    OCI images become an OCI image layout (``oci:DIRECTORY``). Docker's media types have no place
    there, so they become skopeo's own flat directory (``dir:DIRECTORY``).
    """
    directory.mkdir(parents=True, exist_ok=True)
    if what.manifest.media_type in (OCI.manifest, OCI.index):
        _write_oci(what, directory)
        return f"oci:{directory}"
    _write_dir(what, directory)
    return f"dir:{directory}"


def _write_oci(what: Image, directory: Path) -> None:
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for part in what.walk():
        for blob in (part.manifest, *part.blobs):
            (blobs / blob.hex).write_bytes(blob.raw)
    entries = {"schemaVersion": 2, "manifests": [what.manifest.descriptor()]}
    (directory / "index.json").write_text(json.dumps(entries))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _write_dir(what: Image, directory: Path) -> None:
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(what.manifest.raw)
    for part in what.walk():
        if part is not what:
            (directory / f"{part.manifest.hex}.manifest.json").write_bytes(part.manifest.raw)
        for blob in part.blobs:
            (directory / blob.hex).write_bytes(blob.raw)
