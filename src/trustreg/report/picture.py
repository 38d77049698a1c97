"""The hierarchy of keys as a picture: who lets whom sign what, from the root to the right."""

from collections.abc import Iterator
from datetime import datetime

from trustreg.inventory import Collection, KeyLine, RoleLine
from trustreg.report.markup import Markup, element
from trustreg.values import dataclass, field


def picture(collection: Collection, now: datetime) -> Markup:
    """Return an SVG of the roles of *collection* at *now*: keys, thresholds and expiry in boxes, delegations as lines.

    It has classes that the page gives colours: ``box`` with the state of a role, ``edge``, ``strong``, ``faint``.
    """
    tree = _tree(collection, now)
    height = _place(tree, 0, 0)
    nodes = list(_all(tree))
    width = max(node.x for node in nodes) + _WIDTH
    edges = [_edge(node, child) for node in nodes for child in node.children]
    return element(
        "svg",
        element("title", f"Keys of {collection.gun}"),
        *edges,
        *(_box(node) for node in nodes),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"-1 -1 {width + 2} {height + 2}",
        width=width + 2,
        height=height + 2,
        role="img",
    )


@dataclass(kw_only=True)
class _Node:
    """A box: ``lines`` of text with a class and what to show of one in full; where it stands, and what hangs on it."""

    state: str
    lines: list[tuple[str, str, str]]
    children: "list[_Node]" = field(default_factory=list)
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        return 2 * _PADDING + _LINE * len(self.lines)


def _tree(collection: Collection, now: datetime) -> _Node:
    by_delegator: dict[str, list[RoleLine]] = {}
    for line in collection.roles:
        by_delegator.setdefault(line.delegator, []).append(line)
    root = by_delegator[""][0]
    top = _node(root, now)
    ahead, drawn, seen = [(root.name, top)], 0, {root.name}
    while ahead:
        name, node = ahead.pop(0)
        lines = by_delegator.get(name, [])
        room = _MOST_DRAWN - drawn
        for line in lines[:room]:
            child = _node(line, now)
            node.children.append(child)
            if line.name not in seen:  # what is delegated to twice is drawn twice, and what hangs on it once
                seen.add(line.name)
                ahead.append((line.name, child))
        if len(lines) > room:
            node.children.append(_Node(state="more", lines=[(f"and {len(lines) - room} more roles", "faint", "")]))
        drawn += len(lines[:room])
    return top


def _node(line: RoleLine, now: datetime) -> _Node:
    what = f"{line.bins} bins {line.name}" if line.bins else line.name
    version = f" · v{line.version}" if line.version else ""
    lines = [
        (_short(what, _LONGEST), "strong", what),
        (f"needs {line.threshold} of {len(line.keys)}{version}", "", ""),
        (_until(line, now), "when", ""),
        *(row for key in line.keys[:_MOST_KEYS] for row in _key(line, key)),
    ]
    if len(line.keys) > _MOST_KEYS:
        lines.append((f"and {len(line.keys) - _MOST_KEYS} more keys", "faint", ""))
    return _Node(state=line.state, lines=lines)


def _until(line: RoleLine, now: datetime) -> str:
    if line.expires is None:
        return line.state
    return f"{'expired' if line.expires <= now else 'until'} {line.expires:%Y-%m-%d}"


def _key(line: RoleLine, key: KeyLine) -> Iterator[tuple[str, str, str]]:
    signed = " ✓" if key.id in line.signed_by else ""
    yield f"{_short(key.id, 13)} {_short(key.algorithm, 12)}{signed}", "code", key.id
    if key.certificate:
        yield f"certificate until {key.certificate.ends:%Y-%m-%d}", "code faint", key.certificate.subject


def _place(node: _Node, x: int, top: int) -> int:
    """Place *node* and what hangs on it below *top*; return where it ends."""
    node.x = x
    below = top
    for child in node.children:
        below = _place(child, x + _WIDTH + _BETWEEN, below) + _GAP
    span = below - top - (_GAP if node.children else 0)
    if node.height > span:  # a node with few children beside it: they stand in the middle
        for child in node.children:
            _shift(child, (node.height - span) // 2)
    node.y = top + max(0, span - node.height) // 2
    return top + max(span, node.height)


def _shift(node: _Node, down: int) -> None:
    node.y += down
    for child in node.children:
        _shift(child, down)


def _all(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _edge(node: _Node, child: _Node) -> Markup:
    x1, y1, x2, y2 = node.x + _WIDTH, node.y + node.height // 2, child.x, child.y + child.height // 2
    bend = _BETWEEN // 2
    return element("path/", class_="edge", d=f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")


def _box(node: _Node) -> Markup:
    texts = [
        element(
            "text",
            text,
            element("title", whole) if whole and whole != text else None,
            class_=kind or None,
            x=node.x + _PADDING + 4,
            y=node.y + _PADDING + _LINE * number + _BASE,
        )
        for number, (text, kind, whole) in enumerate(node.lines)
    ]
    shape = element("rect/", x=node.x, y=node.y, width=_WIDTH, height=node.height, rx=8)
    bar = element("rect/", class_="bar", x=node.x, y=node.y + 8, width=4, height=node.height - 16, rx=2)
    return element("g", shape, bar, *texts, class_=f"box {node.state}")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_WIDTH, _BETWEEN, _GAP = 264, 56, 14  # pixels
_PADDING, _LINE, _BASE = 10, 17, 13
_LONGEST = 32  # characters of a role's name
_MOST_KEYS = 8
_MOST_DRAWN = 96  # boxes
