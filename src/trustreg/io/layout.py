"""An OCI image layout, as ``skopeo copy --all docker://… oci:DIR:TAG`` writes it, and the way from there to a registry.

Nothing in it is believed: each manifest is what its digest says, each blob is measured and digested before a byte of it
is sent, and what is pushed is what somebody else has signed.

Source: OCI image-spec 1.1, "OCI Image Layout Specification".
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from trustreg.errors import ContentError, FileError, FormatError, NameFormError, TooLargeError
from trustreg.io.files import open_if_present, read_bounded, read_if_present
from trustreg.io.pushing import Blob, Pusher
from trustreg.io.registry import LARGEST, MEDIA_TYPES
from trustreg.names import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Part(NamedTuple):
    """A manifest or index, and what it refers to: ``blobs`` that are files, ``parts`` that are manifests again."""

    raw: bytes
    media_type: str
    digest: Digest
    blobs: tuple[Blob, ...]
    parts: tuple[Part, ...]


class Layout:
    """The images in *folder*.

    Raises:
        FileError: It is no OCI image layout, or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if read_if_present(folder / "oci-layout", _SMALL) is None:
            raise FileError(str(folder), "this is no OCI image layout: it has no file oci-layout")
        index = _parsed(read_bounded(folder / "index.json", LARGEST), str(folder / "index.json"))
        self._listed: dict[Digest, list[str]] = {}
        for entry in _objects(index, "manifests", "index.json"):
            digest = _descriptor(entry, "index.json").digest
            notes = entry.get("annotations")
            name = notes.get(_NAME) if isinstance(notes, dict) else None
            self._listed.setdefault(digest, []).extend([name] if isinstance(name, str) else [])

    def names(self) -> dict[Digest, list[str]]:
        """Return the digests that the layout lists, and what it calls them."""
        return {digest: list(names) for digest, names in self._listed.items()}

    def image(self, digest: Digest) -> Part | None:
        """Return the image *digest* with all it is made of; ``None`` where the layout has no such manifest.

        Raises:
            FileError: Something that it is made of is missing, or cannot be read.
            ContentError: A file is not what its name says, or what refers to it.
            FormatError: It is no manifest and no index.
            TooLargeError: It refers to more than an image can sensibly have.
        """
        if read_if_present(self._path(digest), LARGEST) is None:
            return None
        return self._part(digest, None, [], 0)

    def push(self, part: Part, tag: str, pusher: Pusher) -> int:
        """Push *part* under *tag*, what it refers to first; return how many blobs and manifests were not there yet.

        Raises:
            FileError: A blob cannot be read, or has been replaced meanwhile.
            ContentError: A blob is not what its digest says.
            UnavailableError: The registry does not take it.
        """
        sent = self._push_parts(part, pusher)
        pusher.put(tag, part.raw, part.media_type)
        return sent + 1

    def _push_parts(self, part: Part, pusher: Pusher) -> int:
        sent = 0
        for child in part.parts:
            sent += self._push_parts(child, pusher)
            pusher.put(str(child.digest), child.raw, child.media_type)
            sent += 1
        for blob in dict.fromkeys(part.blobs):
            if pusher.head(blob).status != 200:
                self._require(blob)
                pusher.push(blob, partial(self._pieces, blob))
                sent += 1
        return sent

    def _part(self, digest: Digest, size: int | None, seen: list[Digest], depth: int) -> Part:
        seen.append(digest)
        if len(seen) > _MOST or depth > _DEEPEST:
            raise TooLargeError(f"the image in {self._folder}", _MOST, "parts")
        path = self._path(digest)
        raw = read_bounded(path, LARGEST)
        _require_digest(str(path), digest, size, hashlib.new(digest.algorithm, raw).hexdigest(), len(raw))
        what = f"{digest} in {self._folder}"
        content = _parsed(raw, what)
        manifests = _objects(content, "manifests", what) if "manifests" in content else []
        layers = _objects(content, "layers", what) if "layers" in content else []
        media_type = content.get("mediaType", _MEDIA_TYPE["manifests" in content])
        if media_type not in MEDIA_TYPES or ("manifests" in content) == ("layers" in content):
            raise FormatError(what, "mediaType", "this is no image manifest and no index")
        children = [_descriptor(entry, what) for entry in manifests]
        blobs = [_descriptor(entry, what) for entry in layers if not entry.get("urls")]  # those lie elsewhere for good
        if layers or "config" in content:
            blobs.append(_descriptor(content.get("config"), what))
        if len(blobs) > _MOST:
            raise TooLargeError(f"the image in {self._folder}", _MOST, "parts")
        parts = tuple(self._part(child.digest, child.size, seen, depth + 1) for child in dict.fromkeys(children))
        return Part(raw, media_type, digest, tuple(blobs), parts)

    def _require(self, blob: Blob) -> None:
        """Require the file to be what its digest says, before anything of it is sent."""
        found, size = hashlib.new(blob.digest.algorithm), 0
        for piece in self._pieces(blob):
            found.update(piece)
            size += len(piece)
        _require_digest(str(self._path(blob.digest)), blob.digest, blob.size, found.hexdigest(), size)

    def _pieces(self, blob: Blob) -> Iterator[bytes]:
        path = self._path(blob.digest)
        file = open_if_present(path)
        if file is None:
            raise FileError(str(path), "the layout lacks this part of an image")
        with file:
            left = blob.size + 1
            while left and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece

    def _path(self, digest: Digest) -> Path:
        return self._folder / "blobs" / digest.algorithm / digest.hex


def _require_digest(what: str, digest: Digest, size: int | None, found: str, length: int) -> None:
    if found != digest.hex:
        raise ContentError(what, str(digest), f"{digest.algorithm}:{found}")
    if size not in {None, length}:
        raise ContentError(what, f"{size} bytes", f"{length} bytes")


def _parsed(raw: bytes, what: str) -> dict[str, Any]:
    import orjson

    try:
        content = orjson.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise FormatError(what, "", "this is no JSON object")
    return content


def _objects(content: dict[str, Any], name: str, what: str) -> list[dict[str, Any]]:
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise FormatError(what, name, "it has to be a list of objects")
    return found


def _descriptor(entry: Any, what: str) -> Blob:
    try:
        digest, size = Digest.parse(entry["digest"]), entry["size"]
    except (TypeError, KeyError, AttributeError, NameFormError) as exc:
        raise FormatError(what, "digest", "a descriptor has a digest and a size") from exc
    if type(size) is not int or not 0 <= size < 1 << 50:
        raise FormatError(what, "size", "it has to be a length in bytes")
    return Blob(digest, size)


_NAME = "org.opencontainers.image.ref.name"
_MEDIA_TYPE = {
    True: "application/vnd.oci.image.index.v1+json",
    False: "application/vnd.oci.image.manifest.v1+json",
}
_MOST = 1024  # manifests of one index, and blobs of one manifest; the largest seen had some 130 layers
_DEEPEST = 4  # indexes inside each other
_SMALL = 4096
_PIECE = 65_536
