"""The names people type and servers send: parsed at the door, believed after.

Grammar: distribution/reference (``reference.go``, ``normalize.go``); role names: notary ``tuf/data/roles.go``.
"""

import re
from typing import Final, Self, final

from trustreg.errors import NameFormError
from trustreg.values import dataclass

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
TOP_LEVEL: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
RELEASES: Final = "targets/releases"  # Docker's convention: what this role signs is released


@final
@dataclass(frozen=True, order=True)
class Digest:
    """A content digest, ``sha256:`` and 64 lower-case hex digits."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256:…`` or ``sha512:…``; raise :class:`NameFormError`."""
        algorithm, colon, digits = text.partition(":")
        size = _DIGEST_HEX.get(algorithm)
        if not colon or size is None:
            raise NameFormError(text, "digest", "it has to start with sha256: or sha512:")
        if len(digits) != size or not _HEX.fullmatch(digits):
            raise NameFormError(text, "digest", f"{size} lower-case hex digits have to follow {algorithm}:")
        return cls(algorithm, digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@final
@dataclass(frozen=True, order=True)
class Gun:
    """A globally unique name: which collection of trust data, ``docker.io/library/alpine``.

    Any path that has one spelling in a URL and is safe as a folder. Stricter than a repository name is
    not needed, and Notary collections in the wild are named more freely than that.
    """

    text: str

    def __post_init__(self) -> None:
        problem = _gun_problem(self.text)
        if problem:
            raise NameFormError(self.text, "GUN", problem)

    def __str__(self) -> str:
        return self.text


@final
@dataclass(frozen=True, order=True)
class Reference:
    """An image as people name it, normalised: ``domain``, ``path``, and ``tag``, ``digest`` or both.

    With neither tag nor digest the tag is ``latest``; with both, both have to hold.
    """

    domain: str
    path: str
    tag: str | None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``[host[:port]/]path[:tag][@digest]``; raise :class:`NameFormError`."""
        if len(text) > _LONGEST:
            raise NameFormError(text[:80] + "…", "image reference", "it is too long")
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        head, slash, tail = rest.rpartition("/")
        tail, colon, tag_text = tail.partition(":")
        if colon and not _TAG.fullmatch(tag_text):
            raise NameFormError(text, "image reference", f"{tag_text!r} is not a tag")
        domain, path = _split(head + slash + tail)
        if not _DOMAIN.fullmatch(domain):
            raise NameFormError(text, "image reference", f"{domain!r} is not a registry host")
        if not _PATH.fullmatch(path):
            upper = " (a repository name is lower case)" if path != path.lower() else ""
            raise NameFormError(text, "image reference", f"{path!r} is not a repository name{upper}")
        if len(domain) + 1 + len(path) > 255:
            raise NameFormError(text, "image reference", "its name is longer than 255 characters")
        if not slash and not colon and not at and _BARE_ID.fullmatch(path.removeprefix("library/")):
            raise NameFormError(text, "image reference", "64 hex digits name an image id, not a repository")
        return cls(domain, path, tag_text if colon else (None if at else "latest"), digest)

    @classmethod
    def plain(cls, name: str, tag: str | None, digest: Digest | None) -> Self:
        """Return the image in the repository *name*, written with its host, however Docker Hub is called in it."""
        domain, _, path = name.partition("/")
        return cls(*_of_hub(domain, path), tag, digest)

    @property
    def repository(self) -> str:
        """The normalised name without tag and digest, ``docker.io/library/alpine``."""
        return f"{self.domain}/{self.path}"

    @property
    def gun(self) -> Gun:
        """The collection that signs for this repository."""
        return Gun(self.repository)

    def pinned(self, digest: Digest) -> str:
        """Return ``repository@digest``: a name that cannot move."""
        return f"{self.repository}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_tag(text: str) -> bool:
    """Say whether *text* could be the tag of an image."""
    return _TAG.fullmatch(text) is not None


def is_role(name: str) -> bool:
    """Say whether *name* is a top-level role or a delegation, ``targets/releases``."""
    return name in TOP_LEVEL or is_delegation(name)


def is_delegation(name: str) -> bool:
    """Say whether *name* is the name of a delegated targets role, with one spelling and below 256 bytes."""
    return len(name) < 256 and _DELEGATION.fullmatch(name) is not None


def parent(name: str) -> str:
    """Return the role that delegates to *name*: ``targets/a`` for ``targets/a/b``."""
    return name.rpartition("/")[0]


def signer_of(role: str) -> str:
    """Return who signs *role* by Docker's convention: ``alice`` signs ``targets/alice``; "" for all other roles."""
    return role.removeprefix(f"{TARGETS}/") if parent(role) == TARGETS and role != RELEASES else ""


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (set(first) & {".", ":"} or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", name
    return _of_hub(first, rest)


def _of_hub(domain: str, path: str) -> tuple[str, str]:
    if domain == "index.docker.io":
        domain = "docker.io"
    return domain, f"library/{path}" if domain == "docker.io" and "/" not in path else path


def _gun_problem(text: str) -> str | None:
    if not 0 < len(text.encode("utf-8", "surrogatepass")) <= 255:
        return "it needs 1 to 255 bytes"
    if not text.isprintable() or set(text) & set("*\\%?# "):
        return "it holds a character that has no place in a name"
    parts = text.split("/")
    if set(parts) & {"", ".", "..", "_trust"}:
        return "its parts between slashes may not be empty, '.', '..' or '_trust'"
    return None


_LONGEST = 1024  # bytes; a name is at most 255, a tag 128, a digest 135
_DIGEST_HEX = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_DELEGATION = re.compile(r"targets(?:/[-a-z0-9_]+)+")
