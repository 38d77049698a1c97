"""The manifests that an index, an image for several platforms, is made of."""

from typing import Final

import orjson

from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError
from trustreg.names import Digest


def platforms(media_type: str, raw: bytes) -> tuple[Digest, ...]:
    """Return the manifests that the index *raw* lists; none where it is no index.

    Raises:
        FormatError: It says that it is one, and is not.
    """
    if media_type not in _INDEXES:
        return ()
    try:
        whole = Members("image index", "", orjson.loads(raw))
        found = tuple(dict.fromkeys(Digest.parse(each.text("digest")) for each in whole.objects("manifests")))
    except (ValueError, NameFormError) as exc:
        raise FormatError("image index", "manifests", "it does not list digests of manifests") from exc
    if len(found) > _MOST:
        raise FormatError("image index", "manifests", f"more than {_MOST} are listed")
    return tuple(digest for digest in found if digest.algorithm == "sha256")


_MOST = 1000
_INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
