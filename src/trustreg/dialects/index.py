"""The manifests that an index, an image for several platforms, is made of."""

from typing import Final

import orjson

from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError
from trustreg.names import Digest
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A manifest that an index lists: ``platform`` is ``linux/arm64/v8``, or "" where the index does not say."""

    digest: Digest
    platform: str = ""


def instances(media_type: str, raw: bytes) -> tuple[Instance, ...]:
    """Return the manifests that the index *raw* lists, each once; none where it is no index.

    Raises:
        FormatError: It says that it is one, and is not.
    """
    if media_type not in _INDEXES:
        return ()
    try:
        whole = Members("image index", "", orjson.loads(raw))
        found = [
            Instance(digest=Digest.parse(e.text("digest")), platform=_platform(e)) for e in whole.objects("manifests")
        ]
    except (ValueError, NameFormError) as exc:
        raise FormatError("image index", "manifests", "it does not list digests of manifests") from exc
    if len(found) > _MOST:
        raise FormatError("image index", "manifests", f"more than {_MOST} are listed")
    return tuple(dict.fromkeys(found))


def platforms(media_type: str, raw: bytes) -> tuple[Digest, ...]:
    """Return the sha256 digests of the manifests that the index *raw* lists, each once; none where it is no index.

    Raises:
        FormatError: It says that it is one, and is not.
    """
    listed = dict.fromkeys(instance.digest for instance in instances(media_type, raw))
    return tuple(digest for digest in listed if digest.algorithm == "sha256")


def _platform(entry: Members) -> str:
    said = entry.value.get("platform")
    if not isinstance(said, dict):
        return ""
    return "/".join(
        part for name in ("os", "architecture", "variant") if isinstance(part := said.get(name), str) and part
    )


_MOST = 1000
_INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
