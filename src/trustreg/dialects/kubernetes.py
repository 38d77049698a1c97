"""The images that an object of Kubernetes runs, and where in it they are named.

Objects of the kinds that Kubernetes has itself are known here: those that are pods, those that make some, and lists of
them. Of all others a policy says where they name images (:class:`trustreg.policy.Extractor`).

Source: the API of Kubernetes 1.31, ``core/v1`` PodSpec, ``apps/v1``, ``batch/v1``; RFC 6901; for paths RFC 9535, of
which names, indices and wildcards are read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from trustreg.errors import FormatError
from trustreg.policy import Extractor
from trustreg.values import dataclass

Steps: TypeAlias = tuple[str | int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """An image that an object names.

    Attributes:
        pointer: Where, as a JSON pointer to the text: ``/spec/containers/0/image``.
        image: The text, as it stands there.
        group: The set that it belongs to, ``containers``, ``initContainers``, ``ephemeralContainers`` or ``volumes``;
            or the path of a policy that it was found by.
        name: What the container or the volume is called; "" for what was found by a path.
    """

    pointer: str
    image: str
    group: str
    name: str = ""


def images(obj: Mapping[str, Any], extractors: Sequence[Extractor] = ()) -> tuple[Found, ...]:
    """Return the images that *obj*, as it was parsed, names, in the order of its members; none if its kind has none.

    A container without an image is passed over: it cannot run.

    Args:
        obj: An object, or a list of objects.
        extractors: Where objects of other kinds name images; those for kinds that are known are looked for as well.

    Raises:
        FormatError: It is not what its kind has to be, or names more than can be looked at. ``path`` is a pointer.
    """
    found = tuple(islice(_objects(_At("", obj), extractors, ("", ""), 0), _MOST + 1))
    if len(found) > _MOST:
        raise FormatError(_ROLE, "", f"it names more than {_MOST} images")
    return found


def credentials(
    obj: Mapping[str, Any], extractors: Sequence[Extractor] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the service accounts that the pods of *obj* run under, and the secrets that they name to pull images with.

    A pod that names no service account runs under the one that is called default.

    Raises:
        FormatError: It is not what its kind has to be.
    """
    at = _At("", obj)
    version, kind = at.member("apiVersion").text(), at.member("kind").text()
    path = template(version.rpartition("/")[0], kind)
    paths: list[Steps] = [path] if path else []
    paths += [steps(one) for each in extractors if _is_for(each, version, kind) for one in each.pods]
    specs = [spec for one in paths for spec in _walk(at, one)]
    accounts = [spec.member("serviceAccountName").text() or "default" for spec in specs]
    secrets = [one.member("name").text() for spec in specs for one in spec.member("imagePullSecrets").items()]
    return tuple(dict.fromkeys(accounts)), tuple(dict.fromkeys(filter(None, secrets)))


def template(group: str, kind: str) -> tuple[str, ...] | None:
    """Return the names that lead to the spec of the pods of a *kind* of Kubernetes itself; ``None`` for any other."""
    return _PODS.get((group, kind))


@lru_cache(maxsize=1024)
def steps(path: str) -> Steps:
    """Read a path of an extractor, ``spec.steps[*].image``: names, indices, and ``None`` for every member or item.

    Raises:
        FormatError: It is none.
    """
    text = path.removeprefix("$")
    text = text if text.startswith(("[", ".")) else f".{text}"
    found: list[str | int | None] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            problem = f"{path[:80]!r} is no path: names, as spec.image or ['a.b'], indices, as [0], or [*] are due"
            raise FormatError(_ROLE, "", problem)
        at = step.end()
        if step["index"]:
            found.append(int(step["index"]))
        else:
            found.append(step["name"] or step["quoted"])
    if len(found) > _MOST_STEPS:
        raise FormatError(_ROLE, "", f"{path[:80]!r} has more than {_MOST_STEPS} steps")
    return tuple(found)


def escaped(name: str) -> str:
    """Return *name* as a JSON pointer has it."""
    return name.replace("~", "~0").replace("/", "~1")


class _At(NamedTuple):
    """A value of an object, and the pointer to it."""

    pointer: str
    value: Any

    def fail(self, problem: str) -> NoReturn:
        raise FormatError(_ROLE, self.pointer, problem)

    def member(self, name: str) -> "_At":
        """Return a member of this object; where it, or this, is absent or null, that of null."""
        if self.value is None:
            return self
        if not isinstance(self.value, dict):
            self.fail("an object is due")
        return _At(f"{self.pointer}/{escaped(name)}", self.value.get(name))

    def items(self) -> "Iterator[_At]":
        """Yield the items of this list; null has none."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            self.fail("a list is due")
        for index, item in enumerate(self.value):
            yield _At(f"{self.pointer}/{index}", item)

    def text(self) -> str:
        """Return this text; "" for null."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            self.fail("a string is due")
        if len(self.value) > _LONGEST:
            self.fail(f"it is longer than {_LONGEST} characters")
        return self.value

    def every(self) -> "Iterator[_At]":
        """Yield what this object or list holds."""
        if isinstance(self.value, dict):
            for name, value in self.value.items():
                if not isinstance(name, str):
                    self.fail("the name of a member has to be a string")
                yield _At(f"{self.pointer}/{escaped(name)}", value)
        elif self.value is None or isinstance(self.value, list):
            yield from self.items()
        else:
            self.fail("an object or a list is due")


def _objects(at: _At, extractors: Sequence[Extractor], usual: tuple[str, str], depth: int) -> Iterator[Found]:
    """Yield the images of the object at *at*; in a list of one kind, it may leave out what is *usual* there."""
    if not isinstance(at.value, dict):
        at.fail("an object is due")
    version = at.member("apiVersion").text() or usual[0]
    kind = at.member("kind").text() or usual[1]
    group = version.rpartition("/")[0]
    if (path := template(group, kind)) is not None:
        spec = at
        for name in path:
            spec = spec.member(name)
        yield from _pod(spec)
    for item, of in _items(at, version, kind, extractors):
        if depth == _DEEPEST:
            at.fail(f"lists are nested more than {_DEEPEST} deep")
        yield from _objects(item, extractors, of, depth + 1)
    for extractor in extractors:
        if _is_for(extractor, version, kind):
            yield from _extracted(at, extractor)


def _items(at: _At, version: str, kind: str, extractors: Sequence[Extractor]) -> Iterator[tuple[_At, tuple[str, str]]]:
    """Yield the objects that the object at *at* lists, and what they may leave out.

    For ``kubectl``, whatever has ``items`` is a list, called as it may be. What is called so and lists no objects, in
    kinds of somebody's own, is none for us.
    """
    if (of := _listed(version, kind, extractors)) is not None:
        yield from ((item, of) for item in at.member("items").items())
    elif isinstance(at.value.get("items"), list):
        of = (version, kind.removesuffix("List")) if kind.endswith("List") else ("", "")
        for item in at.member("items").items():
            names = (
                [item.value.get(name, "") for name in ("apiVersion", "kind")] if isinstance(item.value, dict) else []
            )
            if names and all(isinstance(name, str) for name in names):
                yield item, of


def _listed(version: str, kind: str, extractors: Sequence[Extractor]) -> tuple[str, str] | None:
    """Return the version and kind of what is listed by a list that is called *kind*, if it is one that matters."""
    if (version, kind) == ("v1", "List"):
        return "", ""
    of = kind.removesuffix("List")
    group = version.rpartition("/")[0]
    known = template(group, of) is not None or any(_is_for(extractor, version, of) for extractor in extractors)
    return (version, of) if of != kind and known else None


def _is_for(extractor: Extractor, version: str, kind: str) -> bool:
    return extractor.kind == kind and extractor.api_version in {"", version}


def _extracted(at: _At, extractor: Extractor) -> Iterator[Found]:
    for path in extractor.images:
        for place in _walk(at, steps(path)):
            if image := place.text():
                yield Found(pointer=place.pointer, image=image, group=path)
    for path in extractor.pods:
        for place in _walk(at, steps(path)):
            yield from _pod(place)


def _pod(spec: _At) -> Iterator[Found]:
    for group in _CONTAINERS:
        for container in spec.member(group).items():
            image = container.member("image")
            if text := image.text():
                yield Found(pointer=image.pointer, image=text, group=group, name=container.member("name").text())
    for volume in spec.member("volumes").items():
        image = volume.member("image").member("reference")
        if text := image.text():
            yield Found(pointer=image.pointer, image=text, group="volumes", name=volume.member("name").text())


def _walk(at: _At, path: Steps) -> Iterator[_At]:
    """Yield the values that *path* leads to from *at*; what is absent or null leads nowhere."""
    if not path:
        yield at
        return
    step, rest = path[0], path[1:]
    if step is None:
        following: Iterator[_At] = at.every()
    elif isinstance(step, int):
        following = islice(at.items(), step, step + 1)
    else:
        following = iter((at.member(step),))
    for one in following:
        if one.value is not None:
            yield from _walk(one, rest)


_ROLE: Final = "Kubernetes"
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_TEMPLATE: Final = ("spec", "template", "spec")
_PODS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): _TEMPLATE,
    **{
        (group, kind): _TEMPLATE
        for group in ("apps", "extensions")
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
    },
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
}
_MOST = 10_000  # images of one object; only a list has more than a few
_LONGEST = 4096  # characters of a name, of whatever; a reference has at most 1024
_DEEPEST = 4  # lists of lists
_MOST_STEPS = 32
_STEP = re.compile(r"\.(?:(?P<name>[A-Za-z0-9_-]+)|\*)|\[(?:(?P<index>[0-9]{1,6})|\*|'(?P<quoted>[^'\\]{1,253})')\]")
