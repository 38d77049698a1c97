"""How people write down where signatures are kept."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from trustreg.errors import SettingError
from trustreg.io.address import Url, without_secrets


class Spelled(NamedTuple):
    """A place as it was written: ``tag``, ``referrers``, ``extension``, ``lookaside``, or a lookaside by its ``base``.

    A base is the path of a folder, or a URL that begins with ``http``, ``https``, ``s3``, ``gs`` or ``az``. A lookaside
    without one is that of the configuration of containers.
    """

    kind: str
    base: str = ""

    @classmethod
    def parse(cls, text: str, source: str = "signatures") -> Self:
        """Read *text*; raise :class:`SettingError`, about *source*, where it names no place."""
        kind, colon, base = text.partition(":")
        if (kind not in _KINDS and kind != _LOOKASIDE) or (colon and (kind != _LOOKASIDE or not base)):
            known = ", ".join((*_KINDS, _LOOKASIDE, "lookaside:FOLDER", "lookaside:https://…", "lookaside:s3://…"))
            raise SettingError(source, f"{without_secrets(text)!r} is no place of signatures; there are {known}")
        return cls(kind, _base(base, source) if base else "")

    @property
    def is_folder(self) -> bool:
        """Whether it is the lookaside in a folder."""
        return bool(self.base) and "://" not in self.base

    def __str__(self) -> str:
        return f"{self.kind}:{self.base}" if self.base else self.kind


def parse(text: str, source: str = "signatures") -> Spelled:
    """Read *text*; raise :class:`SettingError`, about *source*, where it names no place of signatures."""
    return Spelled.parse(text, source)


def folder_of(url: str, source: str) -> str:
    """Return the folder that a ``file:`` URL names; raise :class:`SettingError`, about *source*, where it is none."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment or not path.startswith("/"):
        raise SettingError(source, f"{without_secrets(url)!r} has to be written file:///FOLDER")
    return path


def _base(text: str, source: str) -> str:
    if not text.isprintable():
        raise SettingError(source, "it holds a character that cannot be seen")
    scheme = text.partition(":")[0]
    if scheme == "file":
        return folder_of(text, source)
    if scheme not in {*_WEB, *_BUCKETS} or not text[len(scheme) :].startswith("://"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError as exc:
            raise SettingError(source, f"no home folder is known for {text.partition('/')[0]}") from exc
    try:
        at = Url.parse(text if scheme in _WEB else f"https{text[len(scheme) :]}")
    except ValueError as exc:
        raise SettingError(source, f"{without_secrets(text)!r} is no place: {exc}") from exc
    if at.query:
        raise SettingError(source, f"{without_secrets(text)!r} is no place: it has a query")
    return text.rstrip("/")


_KINDS = ("tag", "referrers", "extension")
_LOOKASIDE = "lookaside"
_WEB = ("https", "http")
_BUCKETS = ("s3", "gs", "az")
