"""Images in manifests: found wherever they are, each judged once, and pinned without touching anything else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg import manifests
from trustreg.errors import UnsignedError
from trustreg.io.documents import read
from trustreg.manifests import Passed, Place, Problem, Result
from trustreg.names import Digest, Reference
from trustreg.policy import Extractor

OLD, NEW = (Digest("sha256", digit * 64) for digit in "12")
GOOD = Result(verdict="trusted", allowed=True, digest=NEW, bound=True)
REFUSED = Result(verdict="untrusted", allowed=False, error=UnsignedError("docker.io/library/a", "1", ()))
NAMES = "registry.example/team/app"


def found(text: str, *extractors: Extractor, named: bool = True) -> list[Place | Problem | Passed]:
    """Return what there is in *text*."""
    _, documents = read(text.encode(), "a.yaml")
    return [one for document in documents for one in manifests.of_document(document, "a.yaml", extractors, named=named)]


def pinned(text: str, results: dict[str, Result] | None = None) -> str:
    """Return *text* with the images pinned that may be used: all of them, where no *results* say otherwise."""
    places = [one for one in found(text) if isinstance(one, Place)]
    said = {image: (results or {}).get(str(image), GOOD) for image in manifests.asked(places, pin=True)}
    after, problems = manifests.rewritten(text, manifests.findings(places, said, pin=True))
    assert problems == ()
    return after


def test_where_images_are() -> None:
    """
    With file, line and column, whose they are, and in which container; objects in lists by their own name.
    """
    text = f"""
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {{name: web, namespace: team}}
  spec:
    template:
      spec:
        containers:
        - name: app
          image: {NAMES}:1
        initContainers:
        - {{name: first, image: "{NAMES}:2"}}
- apiVersion: batch/v1
  kind: CronJob
  metadata: {{name: nightly}}
  spec: {{jobTemplate: {{spec: {{template: {{spec: {{containers: [{{name: job, image: '{NAMES}:3'}}]}}}}}}}}}}
---
services:
  web:
    image: {NAMES}:4
"""
    places = [one for one in found(text) if isinstance(one, Place)]

    assert [
        (15, "Deployment team/web", "first", "initContainers", f"{NAMES}:2", f'"{NAMES}:2"'),
        (13, "Deployment team/web", "app", "containers", f"{NAMES}:1", f"{NAMES}:1"),
        (19, "CronJob nightly", "job", "containers", f"{NAMES}:3", f"'{NAMES}:3'"),
        (23, "service web", "web", "services", f"{NAMES}:4", f"{NAMES}:4"),
    ] == [(p.line, p.object, p.container, p.group, p.text, text[slice(*p.span)]) for p in places]
    assert {"a.yaml"} == {place.file for place in places}
    assert text.splitlines()[12].index(NAMES) + 1 == places[1].column


def test_each_image_is_asked_about_once() -> None:
    """
    However often and however it is written; and what names none, not at all.
    """
    text = (
        "services: {a: {image: nginx}, b: {image: 'docker.io/library/nginx:latest'}, c: {image: '${X}'}, d: {image: A}}"
    )
    places = [one for one in found(text) if isinstance(one, Place)]

    assert (Reference.parse("nginx"),) == manifests.asked(places, pin=True)
    assert ["nginx", None, None] == [
        image.path.rpartition("/")[2] if (image := one.image) else None
        for one in manifests.findings(places[1:], {Reference.parse("nginx"): GOOD}, pin=False)
    ]


def test_what_names_no_image_is_unknown() -> None:
    """
    A variable is never passed over, and neither is a name that is none.
    """
    places = [one for one in found("services: {a: {image: 'app:$TAG'}, b: {image: 'B:1'}}") if isinstance(one, Place)]

    said = manifests.findings(places, {}, pin=True)

    assert [("unknown", False, "unresolved"), ("unknown", False, "name")] == [
        (one.result.verdict, one.result.allowed, one.result.error and one.result.error.code) for one in said
    ]


@pytest.mark.parametrize(
    ("text", "named", "expected"),
    [
        ("a: b", False, "neither an object of Kubernetes nor a Compose file"),
        ("- a", False, "neither an object of Kubernetes nor a Compose file"),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: x}\nspec: {a: [{image: b}]}",
            True,
            "Rollout x has an image at /spec/a/0/image, and no extractor of the policy says what that is",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: a.b/v1, kind: C, image: d}]",
            True,
            "C has an image at /items/0/image, and no extractor of the policy says what that is",
        ),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: a, newTag: b}]",
            True,
            "kustomize writes images anew: judge what `kustomize build` prints, by -f -",
        ),
    ],
)
def test_what_is_passed_over_is_said(text: str, *, named: bool, expected: str) -> None:
    """
    So that nobody takes it for judged.
    """
    (one,) = found(text, named=named)

    assert isinstance(one, Passed)
    assert expected == one.why


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("a: b", 1, "a.yaml:1: this is neither an object of Kubernetes nor a Compose file"),
        (
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: 1.5",
            5,
            "a.yaml:5: /spec/containers/0/image: a string is due",
        ),
        ("services:\n  a: b", 2, "a.yaml:2: /services/a: an object is due"),
        (
            "services:\n  a:\n    extends: {file: b, service: c}",
            3,
            "service a: what it extends, c of b, is not in this file",
        ),
    ],
)
def test_what_cannot_be_judged_is_a_problem(text: str, line: int, expected: str) -> None:
    """
    With its line.
    """
    (one,) = found(text)

    assert isinstance(one, Problem)
    assert (line, expected) == (one.line, str(one.error))


def test_an_extractor_finds_images_of_other_kinds() -> None:
    """
    Then nothing is passed over.
    """
    text = "apiVersion: a.b/v1\nkind: C\nmetadata: {name: c}\nspec: {steps: [{image: 'x:1'}]}"

    (one,) = found(text, Extractor(kind="C", images=("spec.steps[*].image",)))

    assert isinstance(one, Place)
    assert ("C c", "x:1", "/spec/steps/0/image") == (one.object, one.text, one.pointer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{NAMES}:1\n# {NAMES}:0\n\n  {NAMES}:2  # twice: yes\r\n{NAMES}:3",
            [(1, 1, ":1"), (4, 3, ":2"), (5, 1, ":3")],
        ),
        ("\ufeff" + NAMES, [(1, 2, "")]),
        ("", []),
    ],
)
def test_a_list_of_images(text: str, expected: list[tuple[int, int, str]]) -> None:
    """
    The first word of each line.
    """
    places = list(manifests.of_list(text, "list"))

    assert manifests.is_list(text)
    assert [(line, column, NAMES + tag) for line, column, tag in expected] == [
        (p.line, p.column, p.text) for p in places
    ]
    assert [p.text for p in places] == [text[slice(*p.span)] for p in places]


@pytest.mark.parametrize(
    "text", ["a: b", "- a", "---\na", "{}", "[a]", "%YAML 1.2", "a:\n  b", '"a": b', "x\ny: z", "-", "? a"]
)
def test_what_is_no_list(text: str) -> None:
    """
    Is read as YAML.
    """
    assert not manifests.is_list(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nginx", f"nginx:latest@{NEW}"),
        ("nginx:1", f"nginx:1@{NEW}"),
        ("localhost:5000/a", f"localhost:5000/a:latest@{NEW}"),
        (f"nginx@{OLD}", f"nginx@{OLD}"),
        (f"nginx:1@{OLD}", f"nginx:1@{NEW}"),
        (f"nginx:1@{NEW}", f"nginx:1@{NEW}"),
    ],
)
def test_what_a_pinned_image_is_called(before: str, after: str) -> None:
    """
    By the name that was written, with tag and digest; one by digest alone stays.
    """
    text = "services: {{a: {{image: '{}'}}}} # x\n"

    assert text.format(after) == pinned(text.format(before))
    assert text.format(after) == pinned(text.format(after))


def test_only_what_may_be_used_is_pinned() -> None:
    """
    What is refused stays as it is, what is let through by its rule is pinned, if its digest is known.
    """
    text = "services: {a: {image: a}, b: {image: b}, c: {image: c}}"
    results = {
        "docker.io/library/a:latest": REFUSED,
        "docker.io/library/b:latest": replace(REFUSED, allowed=True, digest=NEW, mode="warn"),
        "docker.io/library/c:latest": replace(REFUSED, allowed=True, mode="audit"),
    }

    assert f"services: {{a: {{image: a}}, b: {{image: b:latest@{NEW}}}, c: {{image: c}}}}" == pinned(text, results)


@pytest.mark.parametrize(
    "newer",
    [
        REFUSED,
        replace(REFUSED, verdict="unknown"),
        replace(REFUSED, allowed=True, digest=NEW, mode="warn"),
        replace(GOOD, bound=False),
        replace(GOOD, digest=None),
    ],
)
def test_an_outdated_digest_stays_unless_the_tag_is_verified(newer: Result) -> None:
    """
    With another digest, by somebody whose word counts for the tag; then that is the verdict, too.
    """
    text = f"services: {{a: {{image: 'a:1@{OLD}'}}}}"
    places = [one for one in found(text) if isinstance(one, Place)]
    whole, tag = manifests.asked(places, pin=True)
    assert ("docker.io/library/a:1", OLD) == (str(tag), whole.digest)

    (kept,) = manifests.findings(places, {whole: REFUSED, tag: newer}, pin=True)
    (moved,) = manifests.findings(places, {whole: REFUSED, tag: GOOD}, pin=True)
    (asis,) = manifests.findings(places, {whole: REFUSED, tag: GOOD}, pin=False)

    assert (REFUSED, None) == (kept.result, kept.change)
    assert (GOOD, f"a:1@{NEW}") == (moved.result, moved.change)
    assert (REFUSED, None) == (asis.result, asis.change)


def test_an_anchor_is_written_once() -> None:
    """
    However often it is meant.
    """
    text = (
        "x-a: &a app:1\nservices:\n  a: {image: *a}\n  b: {image: *a}\n  c: &c\n    image: b:1 # c\n  d:\n    <<: *c\n"
    )

    assert text.replace("app:1", f"app:1@{NEW}").replace("b:1", f"b:1@{NEW}") == pinned(text)


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("'a:1'  # a:1", "'a:1@NEW'  # a:1"),
        ("|-\n      a:1", "|-\n      a:1@NEW"),
        (">-\n      a:1\n", ">-\n      a:1@NEW\n"),
        ('"\\\n      a:1"', '"\\\n      a:1@NEW"'),
        ('"a\\x3a1"', None),
        (">- # a:1\n      a:1", None),
    ],
)
def test_what_stands_there_otherwise(scalar: str, expected: str | None) -> None:
    """
    Is pinned where the name stands in it as it is, once; elsewhere it is a problem, and nothing is written.
    """
    text = f"services:\n  a:\n    image: {scalar}\n    tty: true\n"
    places = [one for one in found(text) if isinstance(one, Place)]
    said = manifests.findings(places, dict.fromkeys(manifests.asked(places, pin=True), GOOD), pin=True)

    after, problems = manifests.rewritten(text, said)

    assert text.replace(scalar, (expected or scalar).replace("NEW", str(NEW))) == after
    assert ([] if expected else [("a.yaml", 3, "manifest")]) == [(p.file, p.line, p.error.code) for p in problems]


IMAGES = st.sampled_from(["nginx", "a/b:1", f"{NAMES}:1.0", f"{NAMES}:2@{OLD}", f"{NAMES}@{OLD}", "localhost:5000/x:y"])
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"), max_size=12
)
STYLES = st.sampled_from(["{}", '"{}"', "'{}'", "&a{} {{}}", "!!str {}", "   {}", '"{}"   ', "\n            {}"])
WAYS = st.sampled_from(
    [
        "      - name: c\n        image: {}{}\n",
        "      - image: {}{}\n        name: 'c'\n",
        "      - {{image: {} {}, name: x}}\n",
        '      -   "image" : {}{}\n          env: [ ]\n',
        '      # - image: not/me\n      - args: ["image: {{}}"]\n        image: {}{}\n',
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    """Return a file as somebody formatted it, and the same with its images pinned."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    before, after = [], []
    for number in range(draw(st.integers(1, 3))):
        head = "---" if number or draw(st.booleans()) else ""
        head += f"\n# {draw(TEXTS)}\napiVersion: v1\nkind:   Pod\nspec:\n    containers:\n"
        before.append(head)
        after.append(head)
        for index in range(draw(st.integers(1, 3))):
            image, way, style = draw(IMAGES), draw(WAYS), draw(STYLES)
            style = (
                "{}" if "{{image" in way and style.startswith("\n") else style.replace("&a{} {{}}", f"&a{index} {{}}")
            )
            comment = f" # {draw(TEXTS)}" if "{{image" not in way and draw(st.booleans()) else ""
            target = image if image.startswith(f"{NAMES}@") else manifests._pinned(image, Reference.parse(image), NEW)
            before.append(way.format(style.format(image), comment))
            after.append(way.format(style.format(target), comment))
    tail = draw(st.sampled_from(["", "    restartPolicy:  Never   # end\n", "\n\n...\n", "    restartPolicy: x"]))
    begin = draw(st.sampled_from(["", "\ufeff"]))
    return tuple(begin + "".join((*each, tail)).replace("\n", end) for each in (before, after))  # type: ignore[return-value]


@given(documents())
def test_nothing_but_the_images_changes(files: tuple[str, str]) -> None:
    """
    Byte for byte: comments, order, quotes, indentation and line ends stay; and pinned once is pinned for good.
    """
    before, after = files

    assert after == pinned(before)
    assert after == pinned(after)


@given(documents())
def test_spans_do_not_overlap(files: tuple[str, str]) -> None:
    """
    And each holds its image.
    """
    places = [one for one in found(files[0]) if isinstance(one, Place)]

    assert all(files[0][slice(*place.span)].count(place.text) == 1 for place in places)
    assert all(one.span[1] <= other.span[0] for one, other in pairwise(places) if one.span != other.span)
