"""Which names a signature may bear that is to count for an image, and which names a rule is about.

A signature says "the manifest with this digest may be called so". An image is asked for by tag or by digest, and a
requirement says how the two names have to agree.

Source: containers/image ``docs/containers-policy.json.5.md``, ``signature/policy_reference_match.go`` and
``docker/policyconfiguration/naming.go``.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeAlias

from trustreg.errors import NameFormError
from trustreg.names import Reference
from trustreg.values import dataclass

Way: TypeAlias = Literal["digest-or-exact", "exact", "repository", "exact-reference", "exact-repository", "remap"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """How the name in a signature has to agree with the name of the image.

    Attributes:
        way: ``digest-or-exact``, the default: the same name and tag, or, for an image that is asked for by digest, any
            tag of its repository. ``exact``: the same name, tag or digest included. ``repository``: the same
            repository. ``exact-reference``: the name is ``name``. ``exact-repository``: the repository is ``name``.
            ``remap``: as ``digest-or-exact``, with the beginning ``name`` of what is asked replaced by ``by``.
        name: See there.
        by: See there.
    """

    way: Way = "digest-or-exact"
    name: str = ""
    by: str = ""

    def __str__(self) -> str:
        what = f" {self.name}" if self.name else ""
        return f"identity {self.way}{what}{f' as {self.by}' if self.by else ''}"

    def admits(self, asked: Reference, signed: str) -> bool:
        """Say whether a signature that names *signed* may count for *asked*, which has a tag or a digest.

        With tag and digest both, the tag is what counts: that the digest is the right one is not a matter of names.
        """
        try:
            named = written(signed)
            if self.way in {"repository", "exact-repository"}:
                return named.repository == (asked.repository if self.way == "repository" else repository(self.name))
            wanted = self._wanted(asked)
        except NameFormError:
            return False
        if not (named.tag or named.digest):
            return False
        if wanted.tag or self.way in {"exact", "exact-reference"}:
            return str(named) == str(wanted)
        return named.repository == wanted.repository  # what digest it names, simple.read has compared

    def binds(self, asked: Reference, signed: str) -> bool:
        """Say whether a signature that names *signed*, and counts, says that the tag of *asked* is meant."""
        try:
            named = written(signed)
        except NameFormError:  # pragma: no cover # it counts, so it was read
            return False
        return asked.tag is not None and named.tag == asked.tag

    def _wanted(self, asked: Reference) -> Reference:
        """Return the name that a signature for *asked* has to bear, with tag or digest."""
        if self.way == "exact-reference":
            return written(self.name)
        asked = replace(asked, digest=None) if asked.tag else asked
        whole = asked.repository
        if self.way != "remap" or (whole != self.name and not whole.startswith(f"{self.name}/")):
            return asked
        domain, slash, path = f"{self.by}{whole[len(self.name) :]}".partition("/")
        if not slash:
            raise NameFormError(self.by, "repository", "nothing follows the host")
        return Reference(domain, path, asked.tag, asked.digest)


def written(text: str) -> Reference:
    """Read a name as it is written: without a tag it has none, and not ``latest``.

    Raises:
        NameFormError: It is none.
    """
    named = Reference.parse(text)
    has_tag = ":" in text.partition("@")[0].rpartition("/")[2]
    return named if has_tag or named.digest else replace(named, tag=None)


def scopes(image: Reference) -> Iterator[str]:
    """Yield the scopes that cover *image*, the most specific first.

    They are the name with its tag, or its digest where it has no tag; ``host:port/a/b``, ``host:port/a`` and
    ``host:port``; the same without the port 443, which is there if none is said; then ``*.sub.domain`` and so on,
    without port; and at last "", which covers everything.
    """
    for domain in dict.fromkeys((image.domain, image.domain.removesuffix(":443"))):
        named = replace(image, domain=domain, digest=None if image.tag else image.digest)
        yield str(named)
        yield from prefixes(named.repository)
    host, _, port = image.domain.rpartition(":")
    host = host if port.isdigit() and host else image.domain
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"
    yield ""


def prefixes(name: str) -> Iterator[str]:
    """Yield *name* and what it begins with, component by component, the longest first."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def repository(text: str) -> str:
    """Read the name of a repository, and return it normalised.

    Raises:
        NameFormError: It is none, or has a tag or a digest.
    """
    named = written(text)
    if named.tag or named.digest:
        raise NameFormError(text, "repository", "it has a tag or a digest")
    return named.repository


def scope_problem(text: str) -> str | None:
    """Return why *text* is no scope, or ``None``: it has to be as :func:`scopes` spells some.

    Nothing is made of it that it does not say: a scope without a host would cover nothing.
    """
    if text.startswith("*."):
        return None if _HOST.fullmatch(text[2:]) else "only the name of a domain, in lower case, follows *."
    host, slash, rest = text.partition("/")
    if not (_HOST_AND_PORT.fullmatch(host) and _is_host(host)):
        return "it does not begin with the host of a registry, in lower case; Docker Hub's is docker.io"
    if not slash:
        return None
    try:
        named = written(text)
    except NameFormError as exc:
        return exc.problem
    if named.tag and named.digest:
        return "it has a tag and a digest"
    has_end = named.tag or named.digest
    as_is = named.domain == host and (not has_end or named.path == rest.partition("@")[0].partition(":")[0])
    return None if as_is else f"written out, it is {named}"


def _is_host(text: str) -> bool:
    return bool({".", ":"} & set(text)) or text == "localhost"


_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\]")
_HOST_AND_PORT = re.compile(rf"(?:{_HOST.pattern})(?::[0-9]{{1,5}})?")
