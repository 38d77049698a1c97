"""Dataclasses that cost next to nothing to define.

``dataclasses.dataclass`` writes and compiles up to eight methods for each class, a third of a millisecond. The seventy
classes that a look-up meets would take it longer than all the cryptography it does. Here the methods are closures over
the names of the fields: for a type checker, for ``dataclasses.fields``, ``replace`` and ``asdict``, and for whoever
reads the code the classes are what they look like.

What nobody here needs is left out: ``slots``, ``InitVar``, and classes that bring one of these methods along.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

__all__ = ["dataclass", "field"]

C = TypeVar("C", bound=type)
_Fields: TypeAlias = tuple[Field[Any], ...]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, eq: bool = True, order: bool = False, kw_only: bool = False
    ) -> Callable[[C], C]:
        """Make a class a dataclass; the options mean what they mean to :func:`dataclasses.dataclass`."""

        def furnish(cls: C) -> C:
            dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
            known = fields(cls)
            compared = tuple(f.name for f in known if f.compare)
            methods = {"__init__": _init(cls, known), "__repr__": _repr(known)}
            if eq:
                methods["__eq__"] = _relation(compared, tuple.__eq__)
                methods["__hash__"] = _hash(known) if frozen else None
            if order:
                for name in ("__lt__", "__le__", "__gt__", "__ge__"):
                    methods[name] = _relation(compared, getattr(tuple, name))
            if frozen:
                methods["__setattr__"] = methods["__delattr__"] = _frozen
            for name, method in methods.items():
                setattr(cls, name, method)
            return cls

        return furnish


def _init(cls: type, fields: _Fields) -> Callable[..., None]:
    names = frozenset(f.name for f in fields)
    positional = tuple(f.name for f in fields if not f.kw_only)
    complete = _completer(cls, fields)
    finish = hasattr(cls, "__post_init__")

    def __init__(self: object, /, *args: Any, **given: Any) -> None:  # noqa: N807 # it becomes that method
        if args:
            if len(args) > len(positional):
                raise TypeError(f"{cls.__name__}() takes {len(positional)} values by position, not {len(args)}")
            for name, value in zip(positional, args, strict=False):
                if name in given:
                    raise TypeError(f"{cls.__name__}() got {name} twice")
                given[name] = value
        # Past __setattr__, which a frozen class refuses.
        self.__dict__.update(given if given.keys() == names else complete(given))
        if finish:
            self.__post_init__()  # type: ignore[attr-defined]

    return __init__


def _completer(cls: type, fields: _Fields) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what adds the defaults to the values that were given, or says what is wrong with these."""
    names = frozenset(f.name for f in fields)
    defaults = {f.name: f.default for f in fields if f.default is not MISSING}
    factories = {f.name: f.default_factory for f in fields if f.default_factory is not MISSING}

    def complete(given: dict[str, Any]) -> dict[str, Any]:
        whole = {**defaults, **given}
        for name, make in factories.items():
            if name not in whole:
                whole[name] = make()
        if whole.keys() != names:
            missing, unknown = sorted(names - whole.keys()), sorted(whole.keys() - names)
            raise TypeError(f"{cls.__name__}() " + (f"lacks {missing}" if missing else f"has no {unknown}"))
        return whole

    return complete


def _repr(fields: _Fields) -> Callable[[object], str]:
    shown = tuple(f.name for f in fields if f.repr)

    def __repr__(self: object) -> str:  # noqa: N807
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return __repr__


def _relation(names: tuple[str, ...], holds: Callable[[Any, Any], Any]) -> Callable[[object, object], Any]:
    values = _getter(names)

    def relation(self: object, other: object) -> Any:
        return holds(values(self), values(other)) if type(other) is type(self) else NotImplemented

    return relation


def _hash(fields: _Fields) -> Callable[[object], int]:
    values = _getter(tuple(f.name for f in fields if (f.compare if f.hash is None else f.hash)))

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _getter(names: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _frozen(self: object, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"cannot change field {name!r} of {type(self).__qualname__}")
