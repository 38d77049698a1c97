"""The manifests that an index, an image for several platforms, is made of."""

from typing import Final

from trustreg.dialects import canonical
from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError
from trustreg.names import Digest
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A manifest that an index lists: ``platform`` is ``linux/arm64/v8``; what the index does not say is empty."""

    digest: Digest
    platform: str = ""


def instances(media_type: str, raw: bytes) -> tuple[Instance, ...]:
    """Return the manifests that the index *raw* lists, each once; none where it is no index.

    Who pulls images mostly takes ``Manifests`` for ``manifests``, too, and of two the last: such an index is none.

    Raises:
        FormatError: It says that it is one, and is not; or others may read another list in it.
    """
    if media_type not in _INDEXES:
        return ()
    try:
        whole = Members("image index", "", canonical.parse_strictly(raw))
        whole.only({"manifests"})
        found = [_instance(entry) for entry in whole.objects("manifests")]
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


def _instance(entry: Members) -> Instance:
    entry.only({"digest", "platform"})
    return Instance(digest=Digest.parse(entry.text("digest")), platform=_platform(entry))


def _platform(entry: Members) -> str:
    said = entry.value.get("platform")
    if not isinstance(said, dict):
        return ""
    names = ("os", "architecture", "variant")
    entry.members("platform").only(names)
    return "/".join(part if isinstance(part := said.get(name), str) else "" for name in names).rstrip("/")


_MOST = 1000
_INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
