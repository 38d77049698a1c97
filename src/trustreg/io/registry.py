"""Manifests from a registry, by HTTP.

The digest is computed here from the bytes that came in; ``Docker-Content-Digest`` is never believed. "No such image" is
only said when a registry said it: a page that some proxy serves with 404 is no answer.

Where images really are may differ from what they are called: *aliases* map a host, or a host with the beginning of a
path, to another. Signatures and collections keep the logical name; only requests and credentials go elsewhere.

https is tried first everywhere. Plain http follows only for this machine and for hosts marked insecure, when there is
no TLS at that port or no answer. A certificate that is refused stays refused.

Source: distribution ``docs/spec/api.md``; OCI distribution-spec 1.1; CVE-2021-41190 for the media types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from trustreg.errors import (
    ContentError,
    NameFormError,
    NotInRegistryError,
    OfflineError,
    ServerError,
    SettingError,
)
from trustreg.io.address import Url, without_secrets
from trustreg.io.auth import Access
from trustreg.io.http import PlainServerError, api_errors, plain, refusal
from trustreg.io.known import NOTHING
from trustreg.names import Digest
from trustreg.ports import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trustreg.io.auth import Auth
    from trustreg.io.docker import DockerCredentials
    from trustreg.io.http import Reply
    from trustreg.io.known import Known
    from trustreg.names import Reference

T = TypeVar("T")


class HttpRegistry:
    """Where images live, whatever host their names say; a :class:`trustreg.ports.Shelves`.

    Args:
        auth: Carries the requests.
        credentials: Has the logins; asked when a registry wants one.
        aliases: Where images really are: ``{"docker.io": "mirror.example:5000/hub"}``, keys and values without tag;
            a value may begin with ``http://`` or ``https://``. The longest key wins.
        headers: Sent along to registries.
        known: Keeps manifests and blobs by digest.
    """

    def __init__(
        self,
        auth: Auth,
        credentials: DockerCredentials,
        *,
        aliases: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        known: Known = NOTHING,
    ) -> None:
        self._auth, self._credentials = auth, credentials
        self._aliases, self._headers = aliases or {}, headers or {}
        self.known = known
        self._schemes: dict[str, str] = {}  # what a host was found to speak

    def manifest(self, reference: Reference) -> Manifest:
        """Return what the registry serves for the tag of *reference*, or for its digest if it has no tag.

        Raises:
            NotInRegistryError: The registry has no such image.
            ContentError: The bytes do not have the digest that was asked for.
            TooLargeError: The manifest is larger than registries take, 4 MiB.
            UnavailableError: No answer could be had.
        """
        place = self._place(reference)
        by_digest = None if reference.tag else reference.digest
        if by_digest and (kept := self._kept(by_digest)):
            return kept
        reply = self._get(place, str(by_digest or reference.tag))
        if reply.status == 404 and (missing := unknown(reply)):
            raise NotInRegistryError(reference.repository if missing == "NAME_UNKNOWN" else str(reference))
        if reply.status != 200:
            raise refusal(reply, "this answer does not come from a registry" if reply.status == 404 else None)
        digest = _digest(reply.body, by_digest.algorithm if by_digest else "sha256")
        if by_digest and digest != by_digest:
            raise ContentError(str(reference), str(by_digest), str(digest))
        claimed = reply.headers.get("docker-content-digest", str(digest))
        if self._auth.http.trace and claimed != str(digest):
            self._auth.http.trace(f"{reply.url}: it claims {plain(claimed, 80)} and serves {digest}")
        media_type, said = _media_type(str(reply.url), reply.media_type, reply.body)
        if said:  # its digest vouches for that, too
            self.known.put(digest, reply.body)
        return Manifest(media_type=media_type, digest=digest, raw=reply.body)

    def digest(self, reference: Reference) -> Digest | None:
        """Return the digest of what the registry says that it has for *reference*; ``None`` where it has none.

        It is asked by HEAD: registries answer that from an index, and count no download. What it says is its word, to
        be listed and not to be relied on. Where it says too little, the manifest is read.

        Raises:
            UntrustedError, UnavailableError: As :meth:`manifest` does.
        """
        by_digest = None if reference.tag else reference.digest
        headers = {**self._headers, "Accept": _ACCEPT}
        ending = f"manifests/{by_digest or reference.tag}"
        reply = self.ask(reference, "pull", ending, lambda auth, url, access: auth.head(url, access, headers=headers))
        if reply.status == 404 and unknown(reply):
            return None
        if reply.status == 200:
            try:
                return by_digest or Digest.parse(reply.headers.get("docker-content-digest", ""))
            except NameFormError:
                pass
        try:
            return self.manifest(reference).digest
        except NotInRegistryError:
            return None

    def ask(self, reference: Reference, actions: str, ending: str, send: Callable[[Auth, Url, Access], T]) -> T:
        """Have *send* ask for ``…/v2/NAME/ending`` where the repository of *reference* really is.

        Args:
            reference: Its tag and digest do not matter.
            actions: What is to be done: ``pull`` or ``pull,push``.
            ending: The end of the URL.
            send: Called with what is spoken there; again, in plain, if there is no TLS and none is needed.

        Raises:
            UnavailableError: No answer could be had.
        """
        return self._ask(self._place(reference), actions, ending, send)

    def endpoint(self, reference: Reference) -> Url:
        """Return where the repository of *reference* really is: its host, and its path as registries call it."""
        place = self._place(reference)
        return Url.parse(f"{place.scheme or 'https'}://{place.host}/v2/{place.path}/")

    def access(self, reference: Reference, actions: str) -> Access:
        """Return what it takes to do *actions*, ``pull`` or ``pull,push``, in the repository of *reference*."""
        return self._access(self._place(reference), actions)

    @property
    def headers(self) -> Mapping[str, str]:
        """What is sent along to registries."""
        return self._headers

    def _kept(self, digest: Digest) -> Manifest | None:
        raw = self.known.get(digest, LARGEST)
        if raw is None:
            return None
        try:
            media_type, said = _media_type("what is kept", "", raw)
        except ServerError:
            return None
        return Manifest(media_type=media_type, digest=digest, raw=raw) if said else None

    def _place(self, reference: Reference) -> _Place:
        name = reference.repository
        keys = [key for key in self._aliases if name == key or name.startswith(f"{key}/")]
        if not keys:
            host = _HUB_ENDPOINT if reference.domain == _HUB else reference.domain
            return _Place(None, host, reference.path)
        key = max(keys, key=len)
        scheme, _, rest = self._aliases[key].rpartition("://")
        host, _, path = f"{rest.rstrip('/')}{name[len(key) :]}".partition("/")
        try:
            Url.parse(f"{scheme or 'https'}://{host}/{path}")
        except ValueError as exc:
            raise SettingError(
                f"aliases: {key}", f"{without_secrets(self._aliases[key])!r} is no place: {exc}"
            ) from exc
        return _Place(scheme or None, _HUB_ENDPOINT if host == _HUB else host, path)

    def _get(self, place: _Place, wanted: str) -> Reply:
        headers = {**self._headers, "Accept": _ACCEPT}
        return self._ask(
            place,
            "pull",
            f"manifests/{wanted}",
            lambda auth, url, access: auth.get(url, access, limit=LARGEST, headers=headers),
        )

    def _ask(self, place: _Place, actions: str, ending: str, send: Callable[[Auth, Url, Access], T]) -> T:
        access = self._access(place, actions)
        known = place.scheme or self._schemes.get(place.host)
        for scheme in (known,) if known else ("https", "http"):
            url = Url.parse(f"{scheme}://{place.host}/v2/{place.path}/{ending}")
            try:
                answer = send(self._auth, url, access)
            except (PlainServerError, OfflineError) as exc:
                if known or scheme == "http" or exc.where != url.origin or not self._auth.http.may_be_plain(url):
                    raise
            else:
                self._schemes[place.host] = scheme
                return answer
        raise AssertionError(place)  # pragma: no cover

    def _access(self, place: _Place, actions: str) -> Access:
        return Access(
            scope=f"repository:{place.path}:{actions}",
            credentials=lambda: filter(None, [self._credentials.find(place.account, place.path)]),
            login=f"log in: docker login {place.account}",
        )


class _Place(NamedTuple):
    """Where a repository really is; no ``scheme`` means to find out."""

    scheme: str | None
    host: str
    path: str

    @property
    def account(self) -> str:
        """The host that logins are kept for."""
        return _HUB if self.host == _HUB_ENDPOINT else self.host


def unknown(reply: Reply) -> str | None:
    """Return the code with which a registry says that it has no such thing; ``None`` if no registry says so."""
    codes = [error.code for error in api_errors(reply)]
    known = next((code for code in codes if code in _UNKNOWN), None)
    is_registry = reply.headers.get("docker-distribution-api-version", "").startswith("registry/2")
    return known or ("MANIFEST_UNKNOWN" if is_registry and not codes else None)


def _digest(raw: bytes, algorithm: str) -> Digest:
    import hashlib

    return Digest(algorithm, hashlib.new(algorithm, raw).hexdigest())


def _media_type(where: str, declared: str, raw: bytes) -> tuple[str, bool]:
    """Return what the manifest *raw* is, which its bytes and the registry have to agree on; and whether it says so."""
    import orjson

    def refused(problem: str, hint: str | None = None) -> ServerError:
        return ServerError(where, 200, problem, hint)

    try:
        content = orjson.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise refused("what it serves is no manifest")
    inside = content.get("mediaType")
    if declared.startswith(_SCHEMA_1) or content.get("schemaVersion") == 1:
        raise refused("it serves a schema 1 manifest, whose digest is not that of an image", "push the image again")
    kind = declared if declared in MEDIA_TYPES else inside
    if kind not in MEDIA_TYPES:
        raise refused(f"it serves {plain(declared or 'something', 80)}, which is no image manifest and no index")
    if inside is not None and inside != kind:
        raise refused(f"it serves as {kind} what calls itself {plain(inside, 80)}")
    parts = {name.casefold() for name in content}  # in which case ever: that is how Docker and others read them
    if "manifests" in parts and (kind not in _INDEXES or not parts.isdisjoint({"config", "layers", "fslayers"})):
        raise refused("what it serves is a manifest and an index at once")
    return str(kind), inside is not None


_HUB = "docker.io"
_HUB_ENDPOINT = "registry-1.docker.io"
_UNKNOWN = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"}  # the last one is Harbor's
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEXES = MEDIA_TYPES[::2]
_ACCEPT = ", ".join(MEDIA_TYPES)
LARGEST = 4 << 20  # bytes; what registries accept (distribution-spec, "Pushing manifests")
