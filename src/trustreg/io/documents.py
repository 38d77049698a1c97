"""Documents as people write them and tools print them, YAML and JSON, and where in the text each value stands.

It is the YAML of manifests, and more is allowed than in :mod:`trustreg.io.yaml`: several documents, anchors, merge
keys, and tags, of which none but ``!!str`` changes anything. A key stands once all the same, and what aliases blow up
is counted as what it becomes. JSON is read as the YAML that it is, or else as values one after the other.

Source: YAML 1.2.2; for merge keys https://yaml.org/type/merge.html; RFC 6901 for pointers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trustreg.errors import ManifestError
from trustreg.io.yaml import scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn


class Scalar(NamedTuple):
    """Where a value stands: its line and column from 1 on, that of its key where it is an alias; and the text of it.

    ``start`` and ``end`` are those of the scalar in the text of the file, in characters, with its quotes.
    """

    line: int
    column: int
    start: int
    end: int


class Document:
    """One of the documents of a file: its ``value``, of dicts, lists, text, numbers, true, false and ``None``.

    ``line`` is where it begins, and ``number`` counts from 0.
    """

    def __init__(self, reading: _Reading, node: _Node, number: int) -> None:
        self._reading, self._node = reading, node
        self.value, self.line, self.number = reading.value(node, 0), node.line, number

    def place(self, pointer: str) -> Scalar:
        """Return where what the JSON *pointer* leads to stands; or what it leads to last."""
        node, key = self._node, self._node
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if node.kind == "map" and (found := self._reading.members(node).get(name)):
                key, node = found
            elif node.kind == "list" and name.isdecimal() and int(name) < len(node.value):
                key = node = node.value[int(name)]
            else:
                break
        shown = key if node.start < key.start else node
        return Scalar(shown.line, shown.column, node.start, node.end)


def read(raw: bytes, source: str) -> tuple[str, tuple[Document, ...]]:
    """Read the documents of *raw*, of a file that is called *source*; with its text, as places count in it.

    Raises:
        ManifestError: It is neither YAML nor JSON, or uses what is refused here.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise ManifestError(source, raw.count(b"\n", 0, exc.start) + 1, "it is not UTF-8 text") from exc
    begin = int(text.startswith("\ufeff"))
    reading = _Reading(source)
    try:
        documents = tuple(reading.documents(text[begin:], begin, 0, 0))
    except ManifestError:
        if not (values := _values(text, begin)):
            raise
        reading, documents = _Reading(source), ()
        for start, end in values:
            line = text.count("\n", 0, start)
            column = start - (text.rfind("\n", 0, start) + 1)
            one = _SURROGATES.sub("\ufffd" * 12, text[start:end])
            documents += tuple(reading.documents(one, start, line, column, len(documents)))
    return text, documents


class _Node(NamedTuple):
    """A value as it stands there; ``kind`` is ``map``, with pairs, ``list``, with items, or ``text`` and ``plain``."""

    kind: str
    value: Any
    line: int
    column: int
    start: int
    end: int


class _Reading:
    """What becomes of the events that a text consists of."""

    def __init__(self, source: str) -> None:
        self._source, self._left = source, _MOST

    def documents(self, text: str, start: int, line: int, column: int, number: int = 0) -> Iterator[Document]:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._start, self._line, self._column = start, line, column
        self._events = yaml.parse(text, loader)
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors: dict[str, _Node] = {}
                    yield Document(self, self._node(next(self._events), 0), number)
                    number += 1
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            at = mark.line + line + 1 if mark else 1
            raise ManifestError(self._source, at, f"this is not YAML: {exc.problem or exc.context}") from exc
        except (yaml.YAMLError, ValueError) as exc:
            raise ManifestError(self._source, line + 1, "this is not YAML that can be read") from exc
        except RecursionError as exc:
            raise ManifestError(self._source, line + 1, "it is nested too deeply") from exc

    def _node(self, event: Any, depth: int) -> _Node:
        """Return the value that begins with *event*."""
        if depth > _DEEPEST:
            raise RecursionError
        mark = event.start_mark
        line, column = mark.line + self._line + 1, mark.column + 1 + (self._column if mark.line == 0 else 0)
        kind = type(event).__name__
        if kind == "AliasEvent":
            if event.anchor not in self._anchors:
                self._refuse(line, f"*{event.anchor} is the name of nothing that stands before it")
            return self._anchors[event.anchor]
        self._charge(line)
        if event.tag in _REFUSED:
            self._refuse(line, f"the tag {event.tag} is not for here")
        sort, value, end = "plain", getattr(event, "value", None), event
        if kind == "ScalarEvent":
            sort = "text" if event.tag in _TEXT or (event.style and event.tag != _MERGE) else "plain"
        elif kind == "SequenceStartEvent":
            sort, value = "list", []
            while type(end := next(self._events)).__name__ != "SequenceEndEvent":
                value.append(self._node(end, depth + 1))
        else:
            sort, value = "map", []
            while type(end := next(self._events)).__name__ != "MappingEndEvent":
                value.append((self._node(end, depth + 1), self._node(next(self._events), depth + 1)))
        node = _Node(sort, value, line, column, mark.index + self._start, end.end_mark.index + self._start)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def value(self, node: _Node, depth: int) -> Any:
        """Return what *node* means."""
        if depth > _DEEPEST:
            raise RecursionError
        self._charge(node.line)
        if node.kind == "map":
            return {name: self.value(item, depth + 1) for name, (_, item) in self.members(node).items()}
        if node.kind == "list":
            return [self.value(item, depth + 1) for item in node.value]
        return scalar(node.value) if node.kind == "plain" else node.value

    def members(self, node: _Node) -> dict[str, tuple[_Node, _Node]]:
        """Return the members of a map by name, those that it merges too: the keys, and the values.

        Readers differ on what counts of a member that stands before ``<<`` and is merged, too: there is none here.
        """
        found: dict[str, tuple[_Node, _Node]] = {}
        merged: list[_Node] | None = None
        before: set[str] = set()
        for key, item in node.value:
            if key.kind == "plain" and key.value == "<<":
                if merged is not None:
                    self._refuse(key.line, "<< stands here twice")
                merged, before = item.value if item.kind == "list" else [item], set(found)
            elif key.kind not in {"plain", "text"}:
                self._refuse(key.line, "a key has to be text")
            elif key.value in found:
                self._refuse(key.line, f"{key.value!r} stands here twice")
            else:
                found[key.value] = key, item
        for one in merged or ():
            if one.kind != "map":
                self._refuse(one.line, "<< is for maps, to be merged into this one")
            for name, pair in self.members(one).items():
                self._charge(one.line)
                if name in before:
                    self._refuse(found[name][0].line, f"{name!r} is merged below, by <<; write it after that")
                found.setdefault(name, pair)
        return found

    def _charge(self, line: int) -> None:
        self._left -= 1
        if self._left < 0:
            self._refuse(line, f"it holds more than {_MOST} values")

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise ManifestError(self._source, line, problem)


def _values(text: str, at: int) -> list[tuple[int, int]]:
    """Return where the JSON values begin and end that *text* consists of; none where it is something else."""
    found = []
    decoder = json.JSONDecoder()
    try:
        while begins := _BEGINS.match(text, at):
            _, at = decoder.raw_decode(text, begins.end() - 1)
            found.append((begins.end() - 1, at))
    except (ValueError, RecursionError):
        return []
    return found if not text[at:].strip() else []


_MOST = 1_000_000  # values of a file; the custom resources of a large operator have two hundred thousand
_DEEPEST = 200  # schemas in custom resource definitions have sixty
_TEXT: Final = ("!", "tag:yaml.org,2002:str")
_MERGE: Final = "tag:yaml.org,2002:merge"
_REFUSED: Final = ("tag:yaml.org,2002:binary", "tag:yaml.org,2002:set", "tag:yaml.org,2002:omap")
_BEGINS = re.compile(r"[ \t\r\n]*[\[{]")
_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)  # as JSON has them, and YAML not
