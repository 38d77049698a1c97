"""Images in objects of Kubernetes: all of them are found, where they are, and what is no object is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.dialects.kubernetes import Found, images, steps
from trustreg.errors import FormatError
from trustreg.policy import Extractor

POD = {
    "initContainers": [
        {"name": "migrate", "image": "registry.example/team/migrate:1.0", "command": ["/migrate"]},
        {"name": "proxy", "image": "registry.example/team/proxy:2.1", "restartPolicy": "Always"},
    ],
    "containers": [
        {
            "name": "app",
            "image": "registry.example/team/app:1.0",
            "ports": [{"containerPort": 8080}],
            "env": [{"name": "IMAGE", "value": "not/an:image"}],
            "volumeMounts": [{"name": "model", "mountPath": "/model"}],
        }
    ],
    "ephemeralContainers": [{"name": "debugger-x", "image": "busybox", "targetContainerName": "app"}],
    "volumes": [
        {"name": "model", "image": {"reference": "registry.example/team/model:7", "pullPolicy": "IfNotPresent"}},
        {"name": "tmp", "emptyDir": {}},
    ],
    "serviceAccountName": "app",
}
IN_POD = [
    ("/initContainers/0/image", "registry.example/team/migrate:1.0", "initContainers", "migrate"),
    ("/initContainers/1/image", "registry.example/team/proxy:2.1", "initContainers", "proxy"),
    ("/containers/0/image", "registry.example/team/app:1.0", "containers", "app"),
    ("/ephemeralContainers/0/image", "busybox", "ephemeralContainers", "debugger-x"),
    ("/volumes/0/image/reference", "registry.example/team/model:7", "volumes", "model"),
]


def in_pod(prefix: str) -> tuple[Found, ...]:
    """Return what POD names, where its spec stands at *prefix*."""
    return tuple(Found(pointer=prefix + at, image=image, group=group, name=name) for at, image, group, name in IN_POD)


def of(version: str, kind: str, **members: Any) -> dict[str, Any]:
    """Return an object."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "app", "namespace": "team"}, **members}


def workload(version: str, kind: str) -> dict[str, Any]:
    """Return an object that makes pods."""
    template = {"metadata": {"labels": {"app": "app"}}, "spec": POD}
    return of(version, kind, spec={"replicas": 3, "selector": {"matchLabels": {"app": "app"}}, "template": template})


KINDS = [
    (of("v1", "Pod", spec=POD, status={"phase": "Pending"}), "/spec"),
    (of("v1", "PodTemplate", template={"spec": POD}), "/template/spec"),
    (workload("v1", "ReplicationController"), "/spec/template/spec"),
    (workload("apps/v1", "Deployment"), "/spec/template/spec"),
    (workload("apps/v1", "ReplicaSet"), "/spec/template/spec"),
    (workload("apps/v1", "StatefulSet"), "/spec/template/spec"),
    (workload("apps/v1", "DaemonSet"), "/spec/template/spec"),
    (workload("apps/v1beta2", "Deployment"), "/spec/template/spec"),
    (workload("extensions/v1beta1", "Deployment"), "/spec/template/spec"),
    (workload("batch/v1", "Job"), "/spec/template/spec"),
    (
        of("batch/v1", "CronJob", spec={"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": {"spec": POD}}}}),
        "/spec/jobTemplate/spec/template/spec",
    ),
]


@pytest.mark.parametrize(("obj", "prefix"), KINDS)
def test_every_kind_that_runs_images(obj: dict[str, Any], prefix: str) -> None:
    """
    Wherever the spec of the pods is: all sets of containers, and volumes that are images, with pointers to the texts.
    """
    found = images(obj)

    assert found == in_pod(prefix)
    for one in found:
        value: Any = obj
        for step in one.pointer.split("/")[1:]:
            value = value[int(step) if isinstance(value, list) else step]
        assert value == one.image


@pytest.mark.parametrize(
    "obj",
    [
        of("v1", "ConfigMap", data={"image": "a/b:c"}),
        of("v1", "Service", spec={"containers": [{"image": "a/b:c"}]}),
        of("batch.volcano.sh/v1alpha1", "Job", spec={"template": {"spec": POD}}),
        of("example.com/v1", "IPAllowList", items=["10.0.0.0/8"]),
        of("v1", "Pod"),
        of("v1", "Pod", spec=None),
        of("v1", "Pod", spec={}),
        of("v1", "Pod", spec={"containers": None, "initContainers": [], "volumes": [{"name": "x", "image": None}]}),
        of("v1", "Pod", spec={"containers": [{"name": "set by a controller"}, {"name": "x", "image": ""}]}),
        {},
        {"kind": "Pod", "spec": {}},
    ],
)
def test_objects_without_images(obj: dict[str, Any]) -> None:
    """
    Other kinds, also those that only share a name, and pods that name none.
    """
    assert images(obj) == ()


def test_lists() -> None:
    """
    Of anything, and of one kind, whose items need not say what they are; and lists in lists.
    """
    pod, deployment = KINDS[0][0], KINDS[3][0]
    bare = {"metadata": {"name": "bare"}, "spec": POD}
    everything = of("v1", "List", items=[of("v1", "ConfigMap"), deployment, of("v1", "List", items=[pod])])

    assert images(everything) == in_pod("/items/1/spec/template/spec") + in_pod("/items/2/items/0/spec")
    assert images(of("v1", "PodList", items=[bare, pod])) == in_pod("/items/0/spec") + in_pod("/items/1/spec")
    assert images(of("apps/v1", "DeploymentList", items=[{"spec": {"template": {"spec": POD}}}])) == in_pod(
        "/items/0/spec/template/spec"
    )
    for version, kind in (("v1", "AnyList"), ("example.com/v1", "Any"), ("v1", "ConfigMap"), ("batch/v1", "CronJob")):
        assert images(of(version, kind, items=[None, "a", {"kind": 1}, pod])) == in_pod("/items/3/spec")  # for kubectl
    assert images({**pod, "items": [of("v1", "List", items=[pod])]}) == in_pod("/spec") + in_pod(
        "/items/0/items/0/spec"
    )
    assert images(of("v1", "List", items=None)) == ()


ROLLOUT = of(
    "argoproj.io/v1alpha1",
    "Rollout",
    spec={"template": {"spec": POD}, "steps": [{"image": "a.example/one:1"}, {"pause": {}}, {"image": None}]},
)


@pytest.mark.parametrize(
    ("extractor", "expected"),
    [
        (Extractor(kind="Rollout", pods=("spec.template.spec",)), in_pod("/spec/template/spec")),
        (
            Extractor(kind="Rollout", api_version="argoproj.io/v1alpha1", images=("$.spec.steps[*].image",)),
            (Found(pointer="/spec/steps/0/image", image="a.example/one:1", group="$.spec.steps[*].image"),),
        ),
        (Extractor(kind="Rollout", images=("spec.steps[0].image",)), 1),
        (Extractor(kind="Rollout", images=("spec.steps[7].image", "spec.nothing.here", "status.image")), 0),
        (Extractor(kind="Rollout", images=("spec.template.spec.containers.*['image']",)), 1),
        (Extractor(kind="Rollout", api_version="argoproj.io/v1", images=("spec.steps[*].image",)), 0),
        (Extractor(kind="Other", images=("spec.steps[*].image",)), 0),
    ],
)
def test_kinds_that_a_policy_tells_of(extractor: Extractor, expected: tuple[Found, ...] | int) -> None:
    """
    By paths to images and to specs of pods, of one version or of all.
    """
    found = images(ROLLOUT, [extractor])

    assert expected == (len(found) if isinstance(expected, int) else found)


def test_names_in_pointers_are_escaped() -> None:
    """
    As RFC 6901 has it.
    """
    obj = of("example.com/v1", "Odd", spec={"a/b~c": {"image": "x"}})

    for path in ("spec['a/b~c'].image", "spec.*.image", "$['spec'][*]['image']"):
        (found,) = images(obj, [Extractor(kind="Odd", images=(path,))])
        assert found.pointer == "/spec/a~1b~0c/image"


def test_extractors_reach_into_lists_and_add_to_known_kinds() -> None:
    """
    A kind that is known is looked at as ever, and where the policy says besides.
    """
    extractors = [Extractor(kind="Rollout", images=("spec.steps[*].image",)), Extractor(kind="Pod", images=("spec.x",))]
    pod = of("v1", "Pod", spec={"x": "one", **POD})

    found = images(of("v1", "List", items=[ROLLOUT, pod]), extractors)
    assert [one.pointer for one in found if one.group not in POD] == ["/items/0/spec/steps/0/image", "/items/1/spec/x"]
    assert images(of("argoproj.io/v1alpha1", "RolloutList", items=[{"spec": ROLLOUT["spec"]}]), extractors)


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        ([], ""),
        ("Pod", ""),
        (None, ""),
        ({"kind": 1}, "/kind"),
        ({"apiVersion": ["v1"], "kind": "Pod"}, "/apiVersion"),
        (of("v1", "Pod", spec=[]), "/spec"),
        (of("v1", "Pod", spec="x"), "/spec"),
        (of("v1", "Pod", spec={"containers": {}}), "/spec/containers"),
        (of("v1", "Pod", spec={"containers": "nginx"}), "/spec/containers"),
        (of("v1", "Pod", spec={"containers": ["nginx"]}), "/spec/containers/0"),
        (of("v1", "Pod", spec={"containers": [{"image": 1}]}), "/spec/containers/0/image"),
        (of("v1", "Pod", spec={"containers": [{"image": "x", "name": {}}]}), "/spec/containers/0/name"),
        (of("v1", "Pod", spec={"containers": [{"image": "x" * 5000}]}), "/spec/containers/0/image"),
        (of("v1", "Pod", spec={"volumes": [{"image": "nginx"}]}), "/spec/volumes/0/image"),
        (of("v1", "Pod", spec={"volumes": [{"image": {"reference": []}}]}), "/spec/volumes/0/image/reference"),
        (of("apps/v1", "Deployment", spec={"template": 0}), "/spec/template"),
        (of("v1", "List", items={}), "/items"),
        (of("v1", "List", items=[None]), "/items/0"),
        (of("argoproj.io/v1alpha1", "Rollout", spec={"steps": {"a": {"image": 5}}}), "/spec/steps/a/image"),
        (of("argoproj.io/v1alpha1", "Rollout", spec={"steps": "x"}), "/spec/steps"),
        (of("argoproj.io/v1alpha1", "Rollout", spec={"steps": {1: {"image": "x"}}}), "/spec/steps"),
        (of("argoproj.io/v1alpha1", "Rollout", spec={"steps": ["x"]}), "/spec/steps/0"),
    ],
)
def test_what_is_no_such_object_is_refused(obj: Any, path: str) -> None:
    """
    Nothing is passed over that might be an image somewhere else; the place is told.
    """
    with pytest.raises(FormatError) as caught:
        images(obj, [Extractor(kind="Rollout", images=("spec.steps[*].image",))])

    assert caught.value.path == path


def test_it_is_bounded() -> None:
    """
    In images, and in lists of lists.
    """
    many = of("v1", "Pod", spec={"containers": [{"image": "x"}] * 10_001})
    deep: dict[str, Any] = of("v1", "Pod", spec=POD)
    for _ in range(5):
        deep = of("v1", "List", items=[deep])

    with pytest.raises(FormatError, match="more than 10000 images"):
        images(many)
    with pytest.raises(FormatError, match="more than 4 deep"):
        images(deep)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec", ("spec",)),
        ("$.spec.a-b_c", ("spec", "a-b_c")),
        ("spec[0][*].*['a.b/c']", ("spec", 0, None, None, "a.b/c")),
    ],
)
def test_paths(path: str, expected: tuple[str | int | None, ...]) -> None:
    """
    Names, indices and wildcards.
    """
    assert steps(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        *("", "$", ".", "..image", "spec.", "spec..image", "spec[", "spec[]", "spec[-1]", "spec[0:2]", "spec[?(@.x)]"),
        *("a b", "spec['a", "spec['a']x", 'spec["a"]', "a" + ".b" * 40, "spec.image\n", "sp\u00e9c"),
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    """
    Nothing is guessed.
    """
    with pytest.raises(FormatError):
        steps(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["v1", "Pod"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
bent = st.builds(
    lambda base, path, value: (base, path, value),
    st.sampled_from([obj for obj, _ in KINDS] + [ROLLOUT, of("v1", "List", items=[obj for obj, _ in KINDS])]),
    st.lists(st.integers(0, 5), max_size=8),
    json_values,
)


@given(bent)
def test_nothing_else_is_ever_raised(bending: tuple[dict[str, Any], list[int], Any]) -> None:
    """
    Whatever stands anywhere in an object: images, or FormatError.
    """
    base, path, value = bending
    obj = json.loads(json.dumps(base))
    holder: Any = {"whole": obj}
    key: Any = "whole"
    for step in path:
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        holder, key = inner, list(inner)[step % len(inner)] if isinstance(inner, dict) else step % len(inner)
    if holder is not obj:
        holder[key] = value
    extractors = [Extractor(kind="Rollout", images=("spec.steps[*].image",), pods=("spec.*.spec",))]

    try:
        found = images(obj, extractors)
    except FormatError:
        return
    assert all(isinstance(one.image, str) and one.image and one.pointer.startswith("/") for one in found)


@given(json_values)
def test_any_json_at_all(value: Any) -> None:
    """
    Nobody promises that it is an object.
    """
    with suppress(FormatError):
        images(value, [Extractor(kind="Pod", images=("*.*",), pods=("*",))])


@given(st.text(max_size=30) | st.text(".[]*'0aZ$", max_size=20))
def test_any_text_as_a_path(text: str) -> None:
    """
    Steps, or FormatError.
    """
    try:
        found = steps(text)
    except FormatError:
        return
    assert 0 < len(found) <= 32
