"""The images that a Compose file runs, and where in it they are named.

Variables are left as they stand: ``${TAG}`` is no image. What other files say is not known here.

Source: the Compose specification, ``services``, ``extends``, ``include`` and ``volumes``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from trustreg.dialects.kubernetes import Found
from trustreg.errors import FormatError
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What another file decides: where that is said, what is affected, and how."""

    pointer: str
    what: str
    problem: str


def is_compose(value: Any) -> bool:
    """Say whether *value* may be a Compose file."""
    return isinstance(value, dict) and ("services" in value or "include" in value) and not value.keys() & _OTHERS


def images(value: Mapping[str, Any]) -> tuple[tuple[Found, ...], tuple[Elsewhere, ...]]:
    """Return the images that the services of *value* name, and what is decided elsewhere.

    A service without an image is passed over where it says how one is built, or where nothing of it says any: another
    file does that, which is merged with this one and judged by itself.

    Raises:
        FormatError: It is no Compose file. ``path`` is a pointer.
    """
    found: list[Found] = []
    elsewhere = [
        Elsewhere(pointer="/include", what="include", problem="other files belong to this one")
        for _ in [0]
        if value.get("include")
    ]
    services = _map(value.get("services"), "/services")
    for name, service in services.items():
        at = f"/services/{name.replace('~', '~0').replace('/', '~1')}"
        members = _map(service, at)
        if (image := members.get("image")) is not None:
            found.append(Found(pointer=f"{at}/image", image=_text(image, f"{at}/image"), group="services", name=name))
        elif (file := _extended(members.get("extends"), services)) is not None:
            problem = f"what it extends, {file}, is not in this file"
            elsewhere.append(Elsewhere(pointer=f"{at}/extends", what=f"service {name}", problem=problem))
        found += _volumes(members.get("volumes"), at, name)
    return tuple(found), tuple(elsewhere)


def _extended(extends: Any, services: Mapping[str, Any]) -> str | None:
    """Return what a service *extends*, unless that is nothing or stands here, where its image is seen."""
    if extends is None:
        return None
    name, file = (extends.get("service"), extends.get("file")) if isinstance(extends, dict) else (extends, None)
    return None if file is None and isinstance(name, str) and name in services else f"{name} of {file or 'nothing'}"


def _volumes(volumes: Any, at: str, name: str) -> Iterator[Found]:
    for index, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        if isinstance(volume, dict) and volume.get("type") == "image":
            place = f"{at}/volumes/{index}/source"
            yield Found(pointer=place, image=_text(volume.get("source"), place), group="volumes", name=name)


def _map(value: Any, at: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _fail(at, "an object is due")
    return value


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        _fail(at, "a string is due")
    return value


def _fail(at: str, problem: str) -> NoReturn:
    raise FormatError("Compose", at, problem)


_OTHERS: Final = {"kind", "apiVersion"}
