"""Where collections are kept, as people write it: ``dir:/srv/trust/{gun}``, ``s3://bucket/trust``, ``oci:``.

``{gun}`` stands for the name of a collection, so that one setting does for many. Without it the place is that of one
collection, which is named after the place unless somebody names it otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from trustreg.errors import NameFormError, SettingError
from trustreg.io.address import Url, without_secrets
from trustreg.names import Gun, Reference


class Place(NamedTuple):
    """A place: its ``scheme``, and the ``rest`` after ``:`` or ``://``, which may hold ``{gun}``.

    ``rest`` is a path for ``dir``, a repository for ``oci``, and host or bucket with a path for the others.
    """

    scheme: str
    rest: str

    @classmethod
    def parse(cls, text: str, source: str = "store") -> Place:
        """Read *text*; raise :class:`SettingError`, about *source*, where it names no place."""
        scheme, colon, rest = text.partition(":")
        if not colon or scheme not in _SCHEMES:
            known = ", ".join(_SCHEMES.values())
            raise SettingError(source, f"{without_secrets(text)!r} is no place for a collection; there are {known}")
        if scheme not in _PLAIN:
            if not rest.startswith("//"):
                raise SettingError(source, f"{without_secrets(text)!r} has to be written {_SCHEMES[scheme]}")
            rest = rest[2:].rstrip("/")
        elif scheme == "oci":
            rest = rest or _GUN
        place = cls(scheme, rest)
        tried = place.of(Gun("a/b"), source)  # a name that is fine everywhere
        return place if place.shared else tried

    @property
    def shared(self) -> bool:
        """Whether it is a place for any number of collections."""
        return _GUN in self.rest

    def of(self, gun: Gun, source: str = "store") -> Place:
        """Return the place of the collection *gun*; raise :class:`SettingError` where that would be none."""
        name = str(gun)
        if self.scheme in _WEB:
            from urllib.parse import quote

            name = quote(name, safe="/:")
        rest = self.rest.replace(_GUN, name)
        if problem := _problem(self.scheme, rest):
            raise SettingError(source, f"{without_secrets(str(self._replace(rest=rest)))!r} is no place: {problem}")
        return self._replace(rest=_repository(rest).repository if self.scheme == "oci" else rest)

    @property
    def gun(self) -> Gun:
        """The name of the one collection that is here.

        Raises:
            SettingError: It is not the place of one, or its characters have no place in a name.
        """
        if self.shared:
            raise SettingError(str(self), "this is a place for many collections: say which one")
        rest = str(Path(self.rest).absolute()) if self.scheme == "dir" else self.rest
        slash = "/" if rest.startswith("/") else ""
        try:
            return Gun(f"{self.scheme}:{slash}{'/'.join(filter(None, rest.split('/')))}")
        except NameFormError as exc:
            raise SettingError(str(self), f"a collection cannot be named after this: {exc.problem}") from exc

    def __str__(self) -> str:
        return f"{self.scheme}:{'' if self.scheme in _PLAIN else '//'}{self.rest}"


def _problem(scheme: str, rest: str) -> str | None:
    if not rest or not rest.isprintable():
        return "it has to be text that can be shown"
    if set("{}") & set(rest):
        return f"{_GUN} is all that braces are for"
    try:
        if scheme == "oci":
            _repository(rest)
        elif scheme != "dir":
            _require_parts(rest)
            Url.parse(f"{scheme if scheme == 'http' else 'https'}://{rest}")
    except NameFormError as exc:
        return exc.problem
    except ValueError as exc:
        return str(exc)
    return None


def _repository(text: str) -> Reference:
    if "@" in text or ":" in text.rpartition("/")[2]:
        raise ValueError("it names a repository, without tag and digest")
    return Reference.parse(text)


def _require_parts(rest: str) -> None:
    if set("?#") & set(rest) or not set(rest.split("/")).isdisjoint({"", ".", ".."}):
        raise ValueError("it has no query and no fragment, and no part that is empty, '.' or '..'")


_GUN = "{gun}"
_PLAIN = {"dir", "oci"}
_WEB = {"https", "http"}
_SCHEMES = {
    "dir": "dir:PATH",
    "https": "https://HOST/PATH",
    "http": "http://HOST/PATH",
    "s3": "s3://BUCKET/PREFIX",
    "gs": "gs://BUCKET/PREFIX",
    "az": "az://CONTAINER/PREFIX",
    "oci": "oci:REPOSITORY",
}
