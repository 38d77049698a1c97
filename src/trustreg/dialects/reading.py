"""Typed reading of parsed JSON that says where it stumbled: ``signed.meta.targets.length``."""

import binascii
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NoReturn

from trustreg.dialects import canonical
from trustreg.errors import FormatError
from trustreg.metadata import FileMeta


class Members:
    """A JSON object of ``role`` metadata, found at ``path``, read member by member."""

    __slots__ = ("path", "role", "value")

    def __init__(self, role: str, path: str, value: Any) -> None:
        self.role, self.path = role, path
        if not isinstance(value, dict):
            self.fail("", f"an object is due, not {_kind(value)}")
        self.value: dict[str, Any] = value

    def fail(self, name: str, problem: str) -> NoReturn:
        """Raise :class:`FormatError` for member *name*, or for the whole object."""
        raise FormatError(self.role, self._at(name), problem)

    def require(self, name: str) -> Any:
        """Return member *name*, which has to be there."""
        if name not in self.value:
            self.fail(name, "it is missing")
        return self.value[name]

    def text(self, name: str) -> str:
        """Return a string."""
        value = self.require(name)
        if not isinstance(value, str):
            self.fail(name, f"a string is due, not {_kind(value)}")
        return value

    def integer(self, name: str, least: int, most: int = 2**53) -> int:
        """Return an integer, *least* to *most*; true and false are none."""
        value = self.require(name)
        if type(value) is not int:
            self.fail(name, f"an integer is due, not {_kind(value)}")
        if not least <= value <= most:
            self.fail(name, f"{value} is outside {least} to {most}")
        return value

    def boolean(self, name: str) -> bool:
        """Return true or false."""
        value = self.require(name)
        if not isinstance(value, bool):
            self.fail(name, f"true or false is due, not {_kind(value)}")
        return value

    def members(self, name: str) -> "Members":
        """Return an object."""
        return Members(self.role, self._at(name), self.require(name))

    def each(self) -> Iterator[tuple[str, "Members"]]:
        """Yield the members of this object, which have to be objects themselves."""
        for name, value in self.value.items():
            yield name, Members(self.role, self._at(name), value)

    def strings(self, name: str, *, nullable: bool = False) -> tuple[str, ...]:
        """Return a list of strings; where *nullable*, null and absence are an empty one."""
        return tuple(item for item in self._list(name, nullable=nullable) if self._is_text(name, item))

    def objects(self, name: str, *, nullable: bool = False) -> Iterator["Members"]:
        """Yield the objects of a list; where *nullable*, null and absence are an empty one."""
        for index, item in enumerate(self._list(name, nullable=nullable)):
            yield Members(self.role, self._at(f"{name}[{index}]"), item)

    def base64(self, name: str) -> bytes:
        """Return the bytes of a string in standard base64, written the one right way."""
        return self.from_base64(name, self.text(name))

    def from_base64(self, name: str, text: str) -> bytes:
        """Decode *text*, which stands at *name*."""
        try:
            spelled = text.encode("ascii")
            data = binascii.a2b_base64(spelled, strict_mode=True)
        except (ValueError, UnicodeEncodeError):
            self.fail(name, "this is not base64")
        if binascii.b2a_base64(data, newline=False) != spelled:
            self.fail(name, "this is not base64 as it is written")
        return data

    def moment(self, name: str) -> datetime:
        """Return the time of an RFC 3339 string in UTC; beyond microseconds it is cut."""
        text = self.text(name)
        match = RFC3339.fullmatch(text)
        if match is None:
            self.fail(name, f"{text[:40]!r} is not a time as RFC 3339 writes it")
        fraction = (match["fraction"] or "")[:6].ljust(6, "0")
        try:
            local = datetime(*(int(match[i]) for i in range(1, 7)), int(fraction), tzinfo=_zone(match))  # type: ignore[misc, arg-type]
            return local.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(name, f"{text[:40]!r} is not a time of this calendar")

    def only(self, known: Collection[str]) -> None:
        """Judge the members that are not among *known*: nobody may read them as something else.

        A name that differs from a known one in case only is refused: some readers take one for the other.
        """
        if self.value.keys() <= frozenset(known):
            return
        for name in self.value:
            if name not in known:
                if name.casefold() in known:
                    self.fail(name, f"this is {name.casefold()!r} in another case")
                self.plain(name)

    def plain(self, name: str) -> Any:
        """Return member *name*, whatever it holds, or ``None``; its numbers are ones that all readers read alike."""
        value = self.value.get(name)
        try:
            way = canonical.unplain(value)
        except RecursionError:
            self.fail(name, "it is nested too deeply")
        if way is not None:
            self.fail(".".join((name, *way)), f"this {canonical.NOT_PLAIN}")
        return value

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name

    def _list(self, name: str, *, nullable: bool) -> list[Any]:
        value = self.value.get(name) if nullable else self.require(name)
        if value is None and nullable:
            return []
        if not isinstance(value, list):
            self.fail(name, f"a list is due, not {_kind(value)}")
        return value

    def _is_text(self, name: str, item: Any) -> bool:
        if not isinstance(item, str):
            self.fail(name, f"a list of strings is due, with no {_kind(item)}")
        return True


class Listing(Mapping[str, FileMeta]):
    """Files as metadata lists them, each read by *read* when it is asked for: of ten thousand, a look-up needs one.

    Their names end in *suffix* there, and not here.
    """

    __slots__ = ("_entries", "_read", "_suffix")

    def __init__(self, entries: Members, read: Callable[[Members], FileMeta], suffix: str = "") -> None:
        self._entries, self._read, self._suffix = entries, read, suffix

    def __getitem__(self, name: str) -> FileMeta:
        entries, spelled = self._entries, f"{name}{self._suffix}"
        return self._read(Members(entries.role, f"{entries.path}.{spelled}", entries.value[spelled]))

    def __iter__(self) -> Iterator[str]:
        names = iter(self._entries.value)
        return (name.removesuffix(self._suffix) for name in names) if self._suffix else names

    def __len__(self) -> int:
        return len(self._entries.value)

    def __contains__(self, name: object) -> bool:
        return f"{name}{self._suffix}" in self._entries.value

    @property
    def spelled(self) -> dict[str, Any]:
        """The entries as they were received."""
        return self._entries.value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _zone(match: re.Match[str]) -> timezone:
    if match["sign"] is None:
        return UTC
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return timezone(-offset if match["sign"] == "-" else offset)


RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-5][0-9]))",
)
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
