"""YAML as people write configuration in it, read so that it means one thing.

It is parsed by PyYAML, and understood by the core schema of YAML 1.2: ``yes``, ``on`` and ``012`` are text, numbers are
decimal, and a day is text as well. A key stands once, values have no tags of their own, and aliases cannot blow up
what a few lines hold.

Source: YAML 1.2.2 section 10.3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trustreg.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tree(NamedTuple):
    """A document: dicts, lists, text, numbers, true, false and ``None``; and the lines they stand in, by path.

    A path is that of :class:`trustreg.dialects.reading.Members`, ``rules[0].require.gpg``; that of the whole is "".
    """

    value: Any
    lines: dict[str, int]

    def line(self, path: str) -> int:
        """Return the line in which *path*, its key, begins; or that of what it is missing in."""
        while path and path not in self.lines:
            path = re.sub(r"(?:\.|^)[^.]*\Z|\[[0-9]+\]\Z", "", path)
        return self.lines.get(path, 1)


def read(raw: bytes, source: str) -> Tree:
    """Read the one document that *raw* is; it is called *source*.

    Raises:
        SettingError: It is no YAML, or uses what is refused here.
    """
    import yaml

    reading = _Reading(source)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = raw.decode()
        if tagged := next(_tagged(yaml.parse(text, loader)), None):
            raise reading.refused("tags, as !!str, are not for here", tagged)
        node = yaml.compose(text, loader)
        return Tree(None if node is None else reading.value(node, ""), reading.lines)
    except UnicodeDecodeError as exc:
        raise reading.refused("it is not UTF-8 text", raw.count(b"\n", 0, exc.start) + 1) from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise reading.refused(f"this is not YAML: {exc.problem or exc.context}", mark.line + 1 if mark else 1) from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise reading.refused("this is not YAML that can be read", 1) from exc
    except RecursionError as exc:
        raise reading.refused("it is nested too deeply", 1) from exc


class _Reading:
    """What becomes of the nodes of a document, and where they stand."""

    def __init__(self, source: str) -> None:
        self.lines: dict[str, int] = {}
        self._source, self._left = source, _MOST

    def refused(self, problem: str, line: int) -> SettingError:
        return SettingError(f"{self._source}:{line}", problem)

    def value(self, node: Any, path: str, begins: Any = None) -> Any:
        line = (begins or node).start_mark.line + 1
        if (left := self._left - 1) < 0:
            raise self.refused(f"it holds more than {_MOST} values", line)
        self._left, self.lines[path] = left, line
        if node.id == "scalar":
            return node.value if node.style else scalar(node.value)
        if node.id == "sequence":
            return [self.value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        found: dict[str, Any] = {}
        for key, item in node.value:
            if key.id != "scalar":
                raise self.refused("a key has to be text", key.start_mark.line + 1)
            if key.value in found:
                raise self.refused(f"{key.value!r} stands here twice", key.start_mark.line + 1)
            found[key.value] = self.value(item, f"{path}.{key.value}" if path else key.value, key)
        return found


def _tagged(events: Iterator[Any]) -> Iterator[int]:
    """Yield the lines of values that say of what kind they are."""
    depth = 0
    for event in events:
        if getattr(event, "tag", None) is not None:
            yield event.start_mark.line + 1
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if depth > _DEEPEST:
            raise RecursionError


def scalar(text: str) -> Any:
    """Return what a plain scalar is by the core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


_MOST = 100_000  # values; a policy of a thousand rules has fifteen thousand
_DEEPEST = 64
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]{1,3})?|[-+]?[0-9]+[eE][-+]?[0-9]{1,3}")
