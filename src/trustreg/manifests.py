"""Images in manifests: which there are, what is said of each, and what they are called once they are pinned.

Manifests are objects of Kubernetes, Compose files and plain lists of images. What is parsed comes in, with a way to
ask where a value stands; what is to be changed goes out, as pieces of the text. Each image is judged by whoever calls,
once, however often it is named.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, TypeAlias

from trustreg.dialects import compose, kubernetes
from trustreg.errors import FormatError, ManifestError, NameFormError, TrustregError, UnresolvedError
from trustreg.names import Digest, Reference
from trustreg.policy import Extractor, Mode
from trustreg.values import dataclass

Word: TypeAlias = Literal["trusted", "untrusted", "unknown"]


class Position(Protocol):
    """Where something stands in a text: line and column from 1 on, and the characters from ``start`` to ``end``."""

    @property
    def line(self) -> int:
        """The line."""

    @property
    def column(self) -> int:
        """The column."""

    @property
    def start(self) -> int:
        """The first character."""

    @property
    def end(self) -> int:
        """The character after the last."""


class Parsed(Protocol):
    """A document: what it holds, and where that stands."""

    @property
    def value(self) -> Any:
        """The whole."""

    @property
    def line(self) -> int:
        """Where it begins."""

    def place(self, pointer: str) -> Position:
        """Return where what *pointer* leads to stands."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an image is named.

    Attributes:
        file: In which file.
        line: From 1 on.
        column: From 1 on, in characters.
        text: What stands there.
        pointer: The JSON pointer in its document; "" in a list of images.
        object: What runs it, ``Deployment team/web`` or ``service web``; "" in a list.
        group: The set of the container, as :class:`trustreg.dialects.kubernetes.Found` has it.
        container: What the container is called.
        span: The characters of the file that say it, with quotes.
    """

    file: str
    line: int
    column: int
    text: str
    pointer: str = ""
    object: str = ""
    group: str = ""
    container: str = ""
    span: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What could not be read, and so not be judged."""

    file: str
    line: int
    error: TrustregError


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What was passed over, and why."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is said of an image.

    Attributes:
        verdict: ``trusted``, ``untrusted`` or ``unknown``.
        allowed: Whether it may be used.
        digest: Its digest, where it may be used and one is known.
        bound: Whether it is trusted as what its tag means, and not only as one of the images of its repository.
        said: What a yes rests on.
        error: Why it is no yes.
        mode: How strict the rule is.
        warnings: What should be seen.
    """

    verdict: Word
    allowed: bool
    digest: Digest | None = None
    bound: bool = False
    said: str = ""
    error: TrustregError | None = None
    mode: Mode = "enforce"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A place, the image that was judged for it, ``None`` where there is none, what is said of it, and what to write.

    ``change`` is what is to stand there, and ``None`` where nothing has to change.
    """

    place: Place
    image: Reference | None
    result: Result
    change: str | None = None


# --- reading -------------------------------------------------------------------------------------------------------


def of_document(
    document: Parsed, file: str, extractors: Sequence[Extractor], *, named: bool
) -> Iterator[Place | Problem | Passed]:
    """Yield the images that *document* names, and what keeps from seeing more.

    Args:
        document: It.
        file: The name of the file that it stands in.
        extractors: Where kinds that are not of Kubernetes itself name images.
        named: Whether the file was asked for by name, so that it has to be a manifest.
    """
    value = document.value
    if value is None:
        return
    try:
        if _is_object(value):
            yield from _of_object(document, file, extractors)
        elif compose.is_compose(value):
            yield from _of_compose(document, file)
        else:
            why = "neither an object of Kubernetes nor a Compose file"
            bad = Problem(file=file, line=document.line, error=ManifestError(file, document.line, f"this is {why}"))
            yield bad if named else Passed(file=file, line=document.line, why=why)
    except FormatError as exc:
        at = document.place(exc.path).line if exc.path else document.line
        where = f"{exc.path}: " if exc.path else ""
        yield Problem(file=file, line=at, error=ManifestError(file, at, f"{where}{exc.problem}"))


def is_list(text: str) -> bool:
    """Say whether *text* is a plain list of images: nothing in it is a map, a list or a document of YAML."""
    return _STRUCTURE.search(text) is None


def of_list(text: str, file: str) -> Iterator[Place]:
    """Yield the images of a list: the first word of each line, but for comments."""
    for number, line in enumerate(_LINE.finditer(text), 1):
        word = _WORD.match(line[0])
        if word and not word[1].startswith("#"):
            start = line.start() + word.start(1)
            span = start, start + len(word[1])
            yield Place(file=file, line=number, column=word.start(1) + 1, text=word[1], span=span)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("apiVersion", "kind"))


def _of_object(document: Parsed, file: str, extractors: Sequence[Extractor]) -> Iterator[Place | Passed]:
    value = document.value
    found = kubernetes.images(value, extractors)
    for one in found:
        yield _place(document, file, one, _called(value, one.pointer))
    if value["kind"] == "Kustomization" and value.get("images"):
        why = "kustomize writes images anew: judge what `kustomize build` prints, by -f -"
        yield Passed(file=file, line=document.place("/images").line, why=why)
    seen = {one.pointer for one in found}
    for pointer, owner in _overlooked(value):
        if pointer not in seen:
            why = f"{_named(owner)} has an image at {pointer}, and no extractor of the policy says what that is"
            yield Passed(file=file, line=document.place(pointer).line, why=why)


def _of_compose(document: Parsed, file: str) -> Iterator[Place | Problem]:
    found, elsewhere = compose.images(document.value)
    for one in found:
        yield _place(document, file, one, f"service {one.name}")
    for other in elsewhere:
        yield Problem(
            file=file, line=document.place(other.pointer).line, error=UnresolvedError(other.what, other.problem)
        )


def _place(document: Parsed, file: str, found: kubernetes.Found, called: str) -> Place:
    at = document.place(found.pointer)
    return Place(
        file=file,
        line=at.line,
        column=at.column,
        text=found.image,
        pointer=found.pointer,
        object=called,
        group=found.group,
        container=found.name,
        span=(at.start, at.end),
    )


def _called(value: dict[str, Any], pointer: str) -> str:
    """Return what the object is called that *pointer* leads into: the innermost, in lists."""
    owner, steps = value, pointer.split("/")[1:]
    while steps[:1] == ["items"] and isinstance(value, dict) and isinstance(value.get("items"), list) and steps[1:]:
        value, steps = value["items"][int(steps[1])], steps[2:]
        owner = value if isinstance(value, dict) and value.keys() & {"kind", "metadata"} else owner
    return _named(owner)


def _named(value: Mapping[str, Any]) -> str:
    metadata = value.get("metadata")
    names = [metadata.get(name) for name in ("namespace", "name")] if isinstance(metadata, dict) else []
    name = "/".join(part for part in names if isinstance(part, str))
    return f"{value.get('kind', '')} {name}".strip()


def _overlooked(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what is called an image, in objects that are not of Kubernetes itself, and in which object."""
    group = value["apiVersion"].rpartition("/")[0]
    if isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            for pointer, owner in _overlooked(item) if _is_object(item) else ():
                yield f"/items/{index}{pointer}", owner
    elif "." in group and not group.endswith(".k8s.io"):
        for pointer in _named_image("", value):
            yield pointer, value


def _named_image(pointer: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named_image(f"{pointer}/{index}", item)
    elif isinstance(value, dict):
        for name, item in value.items():
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name == "image" and isinstance(item, str) and item:
                yield below
            else:
                yield from _named_image(below, item)


# --- judging -------------------------------------------------------------------------------------------------------


def meant(place: Place) -> Reference | TrustregError:
    """Return the image that *place* names, or why it names none."""
    if "$" in place.text:
        return UnresolvedError(place.text, "it has a variable in it, so nobody can say which image that is")
    try:
        return Reference.parse(place.text)
    except NameFormError as exc:
        return exc


def asked(places: Iterable[Place], *, pin: bool) -> tuple[Reference, ...]:
    """Return the images that have to be judged for *places*, each once.

    Where they are to be pinned, that is also what a tag means that is named with a digest.
    """
    images: dict[Reference, None] = {}
    for place in places:
        image = meant(place)
        if isinstance(image, Reference):
            images[image] = None
            if pin and image.tag and image.digest:
                images[replace(image, digest=None)] = None
    return tuple(images)


def findings(places: Iterable[Place], results: Mapping[Reference, Result], *, pin: bool) -> tuple[Finding, ...]:
    """Return what is said of each of *places*, and, with *pin*, what is to be written there."""
    return tuple(_finding(place, results, pin=pin) for place in places)


def _finding(place: Place, results: Mapping[Reference, Result], *, pin: bool) -> Finding:
    image = meant(place)
    if not isinstance(image, Reference):
        return Finding(place=place, image=None, result=Result(verdict="unknown", allowed=False, error=image))
    result = results[image]
    if not pin:
        return Finding(place=place, image=image, result=result)
    if image.digest is None:
        change = _pinned(place.text, image, result.digest) if result.allowed and result.digest else None
        return Finding(place=place, image=image, result=result, change=change)
    if image.tag is not None:
        by_tag = replace(image, digest=None)
        newer = results[by_tag]
        if newer.verdict == "trusted" and newer.bound and newer.digest and newer.digest != image.digest:
            change = _pinned(place.text, image, newer.digest)
            return Finding(place=place, image=by_tag, result=newer, change=change)
    return Finding(place=place, image=image, result=result)


def _pinned(text: str, image: Reference, digest: Digest) -> str:
    """Return *text*, which names *image*, with *digest*; the name stays as somebody spelled it."""
    name = text.partition("@")[0]
    has_tag = ":" in name.rpartition("/")[2]
    return f"{name}{'' if has_tag else f':{image.tag}'}@{digest}"


# --- rewriting -----------------------------------------------------------------------------------------------------


def rewritten(text: str, found: Iterable[Finding]) -> tuple[str, tuple[Problem, ...]]:
    """Return *text*, a file, with the changes of *found*, and those that cannot be made where they are.

    Everything else stays as it is, to the last character.
    """
    pieces: list[str] = []
    problems: list[Problem] = []
    at = 0
    changes = {one.place.span: one for one in found if one.change}  # an anchor is one place, however often it is meant
    for (start, end), one in sorted(changes.items(), key=lambda item: item[0]):
        place = one.place
        written = _replaced(text[start:end], place.text, one.change or "")
        if written is None:
            problem = "this is not written on one line, or with escapes: write it out, and it can be pinned"
            problems.append(
                Problem(file=place.file, line=place.line, error=ManifestError(place.file, place.line, problem))
            )
            continue
        pieces += [text[at:start], written]
        at = end
    return "".join((*pieces, text[at:])), tuple(problems)


def _replaced(scalar: str, old: str, new: str) -> str | None:
    """Return *scalar*, in which *old* is written, with *new* in its place; ``None`` where it is not there as it is."""
    properties = _PROPERTIES.match(scalar)
    begins = properties.end() if properties else 0
    if scalar.count(old, begins) != 1:
        return None
    before, after = scalar[:begins], scalar[begins:]
    return before + after.replace(old, new)


_STRUCTURE: Final = re.compile(r"^\ufeff?[ \t]*(?:[-?](?:\s|\Z)|---|%|[\[{]|[^#\s][^#\n]*:(?:\s|\Z))", re.MULTILINE)
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_WORD = re.compile(r"[\ufeff\s]*(\S+)")
_PROPERTIES = re.compile(r"(?:[&!]\S*(?:\s+|#[^\n]*\n)+)*")
