"""Write vectors/admission: what the API server of Kubernetes asks, and what it has to be answered.

python -m vectors.make.admission [FOLDER]

The reviews are built as the documentation of the API of Kubernetes 1.31 has them. Expectations are written down here.
"""

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parent.parent / "admission"
NOW: Final = "2026-11-24T12:00:00Z"
UID: Final = "705ab4f5-6393-11e8-b7cc-42010a800002"
APP: Final = "registry.example/team/app:1.0"
PROXY: Final = "registry.example/team/proxy:2.1"
OTHER: Final = "registry.example/other/tool:3"
DOCS: Final = "Kubernetes: Dynamic Admission Control"
GOOD: Final = "Kubernetes: Admission Webhook Good Practices"
OWN: Final = "decided here"


def hexed(digit: str) -> str:
    """Return a digest."""
    return "sha256:" + digit * 64


A: Final = hexed("a")
B: Final = hexed("b")
TRUSTED: Final[Json] = {
    APP: {"verdict": "trusted", "digest": A},
    PROXY: {"verdict": "trusted", "digest": B},
    f"{APP}@{A}": {"verdict": "trusted", "digest": A},
}
UNSIGNED: Final[Json] = {"verdict": "untrusted", "digest": B, "codes": ["unsigned"]}
OFFLINE: Final[Json] = {"verdict": "unknown", "codes": ["offline"]}
KINDS: Final = {
    "Pod": ("", "v1", "pods"),
    "PodTemplate": ("", "v1", "podtemplates"),
    "ReplicationController": ("", "v1", "replicationcontrollers"),
    "Deployment": ("apps", "v1", "deployments"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
    "DaemonSet": ("apps", "v1", "daemonsets"),
    "Job": ("batch", "v1", "jobs"),
    "CronJob": ("batch", "v1", "cronjobs"),
    "Rollout": ("argoproj.io", "v1alpha1", "rollouts"),
    "Scale": ("autoscaling", "v1", "scales"),
    "Binding": ("", "v1", "bindings"),
    "ConfigMap": ("", "v1", "configmaps"),
}
ALICE: Final = {"username": "alice", "uid": "1", "groups": ["developers", "system:authenticated"]}
KUBELET: Final = {"username": "system:node:node-1", "groups": ["system:nodes", "system:authenticated"]}
CONTROLLER: Final = {
    "username": "system:serviceaccount:kube-system:replicaset-controller",
    "groups": ["system:serviceaccounts", "system:authenticated"],
}


def spec(*containers: str, **more: Any) -> Json:
    """Return the spec of a pod with these *containers*, the first of which is called app."""
    names = ["app", *(f"side-{n}" for n in range(1, len(containers)))]
    return {"containers": [{"name": n, "image": i} for n, i in zip(names, containers, strict=True)], **more}


def of(kind: str, pods: Json | None, name: str = "app", **metadata: Any) -> Json:
    """Return an object of a *kind* whose pods have that spec."""
    group, version, _ = KINDS[kind]
    head = {
        "apiVersion": f"{group}/{version}" if group else version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "team", **metadata},
    }
    if pods is None:
        return head
    template = {"metadata": {"labels": {"app": "app"}}, "spec": pods}
    if kind == "Pod":
        return {**head, "spec": pods}
    if kind == "PodTemplate":
        return {**head, "template": template}
    if kind == "CronJob":
        return {**head, "spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": template}}}}
    return {**head, "spec": {"template": template}}


def review(obj: Json | None, operation: str = "CREATE", old: Json | None = None, **more: Any) -> Json:
    """Return an AdmissionReview about *obj*."""
    kind = (obj or old or {})["kind"]
    group, version, resource = KINDS[kind]
    of_kind = {"group": group, "version": version, "kind": kind}
    of_resource = {"group": group, "version": version, "resource": resource}
    request = {
        "uid": UID,
        "kind": of_kind,
        "resource": of_resource,
        "requestKind": of_kind,
        "requestResource": of_resource,
        "name": (obj or old or {})["metadata"].get("name", ""),
        "namespace": "team",
        "operation": operation,
        "userInfo": ALICE,
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": f"{operation.title()}Options"},
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**request, **more}}


def at(obj: Json, path: str, value: Any) -> Json:
    """Return *obj* with *value* at a pointer."""
    changed = deepcopy(obj)
    *steps, last = [step.replace("~1", "/") for step in path.split("/")[1:]]
    inner: Any = changed
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner.setdefault(step, {})
    inner[int(last) if isinstance(inner, list) else last] = value
    return changed


def scenario(comment: str, source: str, document: Json, **more: Any) -> Json:
    """Return a scenario: by default all is trusted, at a validating webhook, under a policy that says no more."""
    usual: Json = {
        "now": NOW,
        "mutating": False,
        "admission": {},
        "decisions": TRUSTED,
        "owners": [],
        "review": document,
        "expect": {"allowed": True, "asked": [APP], "object": None, "says": [], "warnings": [], "alerts": []},
    }
    expect = {**usual["expect"], **more.pop("expect", {})}
    return {"comment": comment, "source": source, **usual, **more, "expect": expect}


def denied(*says: str, **more: Any) -> Json:
    """Return the expectation of a no, whose message has these words in it."""
    return {"allowed": False, "says": list(says), **more}


def make() -> dict[str, Json]:
    """Return the scenarios by name."""
    return {**basics(), **modes(), **updates(), **pins(), **owners(), **kinds(), **odd(), **image_reviews()}


def basics() -> dict[str, Json]:
    """Return the three outcomes, digests, and what is asked."""
    pod = of("Pod", spec(APP))
    two = of("Pod", spec(APP, OTHER))
    pinned = of("Pod", spec(f"{APP}@{A}"))
    moved = {f"{APP}@{A}": {"verdict": "untrusted", "digest": A, "codes": ["signed-digest"]}}
    many = of("Pod", spec(*(f"registry.example/team/app:{n}" for n in range(8))))
    equal = of("Pod", spec(APP, APP, PROXY, APP, initContainers=[{"name": "init", "image": APP}]))
    generated = at(pod, "/metadata", {"generateName": "app-", "namespace": "team"})
    return {
        "trusted": scenario("an image that is trusted", DOCS, review(pod)),
        "trusted-mutating": scenario("the same where the object may be changed", DOCS, review(pod), mutating=True),
        "generated-name": scenario("a pod whose name is still to be made", DOCS, review(generated, name="")),
        "untrusted": scenario(
            "of two images one is refused",
            DOCS,
            review(two),
            decisions={**TRUSTED, OTHER: UNSIGNED},
            expect=denied("container side-1", "refused", "unsigned", OTHER, asked=[APP, OTHER]),
        ),
        "unknown": scenario(
            "it could not be found out, which is refused and told apart from a no",
            OWN,
            review(pod),
            decisions={APP: OFFLINE},
            expect=denied("could not find out", "offline", APP),
        ),
        "untrusted-and-unknown": scenario(
            "one is refused, of another nothing is known",
            OWN,
            review(two),
            decisions={APP: OFFLINE, OTHER: UNSIGNED},
            expect=denied("could not find out [offline]", "refused [unsigned]", asked=[APP, OTHER]),
        ),
        "not-in-time": scenario(
            "there was no answer in the time that the server leaves",
            GOOD,
            review(pod),
            decisions={APP: {"error": "deadline"}},
            expect=denied("could not find out", "in time"),
        ),
        "judging-fails": scenario(
            "judging ends in a way that nobody foresaw",
            OWN,
            review(pod),
            decisions={APP: {"error": "bug"}},
            expect=denied("could not find out", "internal"),
        ),
        "no-reference": scenario(
            "what is named is no image",
            OWN,
            review(of("Pod", spec("Not An Image"))),
            mutating=True,
            expect=denied("Not An Image", "[name]", asked=[]),
        ),
        "digest": scenario(
            "an image with its digest is judged all the same, and stays as it is",
            OWN,
            review(pinned),
            mutating=True,
            admission={"pin": "pin"},
            expect={"asked": [f"{APP}@{A}"]},
        ),
        "digest-of-another-tag": scenario(
            "a digest that nobody signed as that tag",
            OWN,
            review(pinned),
            decisions=moved,
            expect=denied("signed-digest", asked=[f"{APP}@{A}"]),
        ),
        "equal-images": scenario(
            "equal images are judged once, and pinned wherever they are",
            GOOD,
            review(equal),
            mutating=True,
            admission={"pin": "pin"},
            expect={
                "asked": [APP, PROXY],
                "object": of(
                    "Pod",
                    spec(
                        f"{APP}@{A}",
                        f"{APP}@{A}",
                        f"{PROXY}@{B}",
                        f"{APP}@{A}",
                        initContainers=[{"name": "init", "image": f"{APP}@{A}"}],
                    ),
                ),
            },
        ),
        "too-many-images": scenario(
            "more images than an object may have",
            GOOD,
            review(many),
            admission={"max_images": 7},
            expect=denied("7 different images", asked=[]),
        ),
        "dry-run": scenario(
            "what is only tried is decided as ever",
            DOCS,
            review(pod, dryRun=True),
            decisions={APP: UNSIGNED},
            expect=denied("unsigned"),
        ),
    }


def modes() -> dict[str, Json]:
    """Return modes of rules and namespaces, exceptions, and the glass that is broken."""
    pod = of("Pod", spec(APP))
    exception = {"match": "registry.example/team", "until": "2026-12-01", "reason": "OPS-12"}
    glass = {"annotation": "example.com/break-glass", "groups": "sre", "namespaces": "team"}
    broken = of("Pod", spec(APP), annotations={"example.com/break-glass": "OPS-99: the site is down"})
    sre = {"username": "bob", "groups": ["sre"]}
    alert = {
        "kind": "break-glass",
        "user": "bob",
        "object": "Pod app",
        "reason": "OPS-99: the site is down",
        "images": [APP],
    }
    refused = {"decisions": {APP: UNSIGNED}}
    return {
        "rule-warns": scenario(
            "the rule of the image only warns",
            OWN,
            review(pod),
            decisions={APP: {**UNSIGNED, "mode": "warn"}},
            expect={"warnings": [f"container app: would be refused (unsigned), not enforced: {APP}"]},
        ),
        "rule-audits": scenario(
            "the rule of the image only keeps a record",
            OWN,
            review(pod),
            decisions={APP: {**UNSIGNED, "mode": "audit"}},
            expect={"audit": {"verdict": "untrusted", "reasons": "unsigned", "mode": "audit"}},
        ),
        "namespace-warns": scenario(
            "the namespace is one that is only warned",
            OWN,
            review(pod),
            **refused,
            admission={"namespaces": {"te*": "warn", "*": "enforce"}},
            expect={"warnings": [f"container app: would be refused (unsigned), not enforced: {APP}"]},
        ),
        "namespace-audits": scenario(
            "the namespace is one of which records are kept",
            OWN,
            review(pod),
            **refused,
            admission={"namespaces": {"team": "audit"}},
            expect={"audit": {"verdict": "untrusted", "reasons": "unsigned"}},
        ),
        "unknown-in-a-warned-namespace": scenario(
            "where nothing is enforced, not knowing is told as such",
            OWN,
            review(pod),
            decisions={APP: OFFLINE},
            admission={"namespaces": {"team": "warn"}},
            expect={"warnings": [f"container app: could not find out about it (offline), not enforced: {APP}"]},
        ),
        "audited-is-not-pinned": scenario(
            "where records are kept, nothing is changed",
            OWN,
            review(pod),
            mutating=True,
            admission={"pin": "pin", "namespaces": {"team": "audit"}},
        ),
        "grace": scenario(
            "the trust server is away, and what is remembered is good enough",
            OWN,
            review(pod),
            decisions={APP: {"verdict": "trusted", "digest": A, "warnings": ["the trust server cannot be reached"]}},
            expect={"warnings": ["container app: the trust server cannot be reached"]},
        ),
        "long-warnings": scenario(
            "warnings are cut where the server would cut them",
            DOCS,
            review(of("Pod", spec(APP, PROXY))),
            decisions={
                APP: {"verdict": "trusted", "digest": A, "warnings": ["x" * 300, "y"]},
                PROXY: {"verdict": "trusted", "digest": B, "warnings": [f"{n:03} {'z' * 300}" for n in range(40)]},
            },
            expect={
                "asked": [APP, PROXY],
                "warnings": [
                    "container app: " + "x" * 240 + "…",
                    "container app: y",
                    *(f"container side-1: {n:03} {'z' * 233}…" for n in range(14)),
                    "and more warnings than can be shown",
                ],
            },
        ),
        "exception": scenario(
            "an exception that is not over",
            OWN,
            review(pod),
            **refused,
            admission={"exceptions": [exception]},
            expect={
                "warnings": [f"container app: would be refused (unsigned), excepted until 2026-12-01: OPS-12: {APP}"]
            },
        ),
        "exception-ended": scenario(
            "an exception that is over",
            OWN,
            review(pod),
            **refused,
            admission={"exceptions": [{**exception, "until": "2026-11-24T12:00:00Z"}]},
            expect=denied("refused [unsigned]", "an exception for it ended 2026-11-24T12:00Z"),
        ),
        "exception-elsewhere": scenario(
            "an exception for other namespaces",
            OWN,
            review(pod),
            **refused,
            admission={"exceptions": [{**exception, "namespaces": "legacy-*"}]},
            expect=denied("refused [unsigned]"),
        ),
        "break-glass": scenario(
            "somebody who may gets past the policy, and says why",
            OWN,
            review(broken, userInfo=sre),
            **refused,
            admission={"break_glass": glass},
            expect={
                "warnings": ["trustreg: admitted for bob, against the policy: OPS-99: the site is down"],
                "alerts": [alert],
                "audit": {"break-glass": "bob: OPS-99: the site is down"},
            },
        ),
        "break-glass-pins": scenario(
            "what the glass was broken for is pinned as it was then",
            OWN,
            review(of("Deployment", spec(APP), annotations=broken["metadata"]["annotations"]), userInfo=sre),
            **refused,
            mutating=True,
            admission={"break_glass": glass, "pin": "pin"},
            expect={
                "warnings": ["trustreg: admitted for bob, against the policy: OPS-99: the site is down"],
                "alerts": [{**alert, "object": "Deployment app"}],
                "object": of("Deployment", spec(f"{APP}@{B}"), annotations=broken["metadata"]["annotations"]),
            },
        ),
        "break-glass-dry-run": scenario(
            "the same, as a try: nobody is told",
            DOCS,
            review(broken, userInfo=sre, dryRun=True),
            **refused,
            admission={"break_glass": glass},
            expect={"warnings": ["trustreg: admitted for bob, against the policy: OPS-99: the site is down"]},
        ),
        "break-glass-by-others": scenario(
            "somebody who may not",
            OWN,
            review(broken),
            **refused,
            admission={"break_glass": glass},
            expect=denied("refused [unsigned]"),
        ),
        "break-glass-elsewhere": scenario(
            "in a namespace where it does not count",
            OWN,
            review(broken, userInfo=sre),
            **refused,
            admission={"break_glass": {**glass, "namespaces": "prod"}},
            expect=denied("refused [unsigned]"),
        ),
        "break-glass-without-a-reason": scenario(
            "without a reason",
            OWN,
            review(of("Pod", spec(APP), annotations={"example.com/break-glass": " "}), userInfo=sre),
            **refused,
            admission={"break_glass": glass},
            expect=denied("refused [unsigned]"),
        ),
        "break-glass-for-nothing": scenario(
            "the glass is whole where all images may be used",
            OWN,
            review(broken, userInfo=sre),
            admission={"break_glass": glass},
        ),
    }


def updates() -> dict[str, Json]:
    """Return what is changed, is going, or is none of our business."""
    pod, other = of("Pod", spec(APP)), of("Pod", spec(OTHER))
    deployment = of("Deployment", spec(OTHER))
    down = at(deployment, "/spec/replicas", 0)
    swapped = of("Pod", spec(APP, initContainers=[{"name": "init", "image": OTHER}]))
    before = of("Pod", spec(OTHER, initContainers=[{"name": "init", "image": APP}]))
    going = at(other, "/metadata/deletionTimestamp", "2026-11-24T11:59:00Z")
    finalized = at(deployment, "/metadata/finalizers", [])
    debugged = of("Pod", spec(APP, ephemeralContainers=[{"name": "debugger", "image": OTHER}]))
    refused = {"decisions": {**TRUSTED, OTHER: UNSIGNED}}
    none: Json = {"asked": []}
    scale = {**of("Scale", None), "spec": {"replicas": 3}}
    binding = {**of("Binding", None), "target": {"kind": "Node", "name": "node-1"}}
    return {
        "update-image": scenario(
            "the image of a running pod is changed",
            DOCS,
            review(other, "UPDATE", pod),
            **refused,
            expect=denied("unsigned", OTHER, asked=[OTHER]),
        ),
        "update-unchanged": scenario(
            "an update that leaves images as they are",
            OWN,
            review(at(other, "/metadata/labels", {"a": "b"}), "UPDATE", other),
            **refused,
            expect=none,
        ),
        "update-scale-down": scenario(
            "fewer replicas, and images as they are", OWN, review(down, "UPDATE", deployment), **refused, expect=none
        ),
        "update-scale-down-with-another-image": scenario(
            "fewer replicas, and another image",
            OWN,
            review(at(down, "/spec/template/spec/containers/0/image", APP), "UPDATE", deployment),
            decisions={APP: UNSIGNED},
            expect=denied("unsigned"),
        ),
        "update-other-set": scenario(
            "images that change places between sets of containers are judged",
            OWN,
            review(swapped, "UPDATE", before),
            **refused,
            expect=denied("init container init", "unsigned", asked=[OTHER, APP]),
        ),
        "update-mixed": scenario(
            "one image stays, one is new: only that is judged, and pinned",
            OWN,
            review(of("Pod", spec(OTHER, APP)), "UPDATE", of("Pod", spec(OTHER))),
            **refused,
            mutating=True,
            admission={"pin": "pin"},
            expect={"object": of("Pod", spec(OTHER, f"{APP}@{A}"))},
        ),
        "update-finalizers": scenario(
            "finalizers are taken off what is being deleted",
            DOCS,
            review(
                at(finalized, "/metadata/deletionTimestamp", "2026-11-24T11:59:00Z"),
                "UPDATE",
                at(
                    at(deployment, "/metadata/deletionTimestamp", "2026-11-24T11:59:00Z"),
                    "/metadata/finalizers",
                    ["example.com/hold"],
                ),
            ),
            **refused,
            expect=none,
        ),
        "update-of-what-is-going": scenario(
            "what is being deleted may be changed",
            GOOD,
            review(going, "UPDATE", at(pod, "/metadata/deletionTimestamp", "2026-11-24T11:59:00Z")),
            **refused,
            expect=none,
        ),
        "update-that-claims-to-be-going": scenario(
            "only the object as it was stored says that it is being deleted",
            OWN,
            review(going, "UPDATE", pod),
            **refused,
            expect=denied("unsigned", asked=[OTHER]),
        ),
        "create-that-claims-to-be-going": scenario(
            "and what is new is not being deleted",
            OWN,
            review(going),
            **refused,
            expect=denied("unsigned", asked=[OTHER]),
        ),
        "update-without-the-old": scenario(
            "without the object as it was, everything is new",
            OWN,
            review(other, "UPDATE"),
            **refused,
            expect=denied("unsigned", asked=[OTHER]),
        ),
        "delete": scenario("what goes brings no image", DOCS, review(None, "DELETE", other), **refused, expect=none),
        "ephemeral-containers": scenario(
            "a container for debugging is added to a running pod",
            GOOD,
            review(debugged, "UPDATE", pod, subResource="ephemeralcontainers"),
            **refused,
            expect=denied("ephemeral container debugger", OTHER, asked=[OTHER]),
        ),
        "ephemeral-containers-pinned": scenario(
            "one that is trusted is pinned, and nothing is noted",
            GOOD,
            review(
                of("Pod", spec(APP, ephemeralContainers=[{"name": "debugger", "image": PROXY}])),
                "UPDATE",
                pod,
                subResource="ephemeralcontainers",
            ),
            mutating=True,
            admission={"pin": "pin"},
            expect={
                "asked": [PROXY],
                "object": of("Pod", spec(APP, ephemeralContainers=[{"name": "debugger", "image": f"{PROXY}@{B}"}])),
            },
        ),
        "status": scenario(
            "the status of a pod", OWN, review(other, "UPDATE", pod, subResource="status"), **refused, expect=none
        ),
        "scale": scenario("another number", OWN, review(scale, "UPDATE", scale, subResource="scale"), expect=none),
        "binding": scenario("a pod gets a node", OWN, review(binding, subResource="binding"), expect=none),
    }


def pins() -> dict[str, Json]:
    """Return what becomes of tags."""
    pod, deployment = of("Pod", spec(APP)), of("Deployment", spec(APP, PROXY))
    note = json.dumps({APP: A, PROXY: B}, separators=(",", ":"))
    both = {"asked": [APP, PROXY]}
    mutate: Json = {"mutating": True, "admission": {"pin": "pin"}}
    annotate: Json = {"mutating": True, "admission": {"pin": "annotate"}}
    bare = of("Pod", spec("nginx"))
    noted = of("Deployment", spec(APP, PROXY), annotations={"a": "b", "trustreg/digests": note})
    stale = json.dumps({APP: B, "registry.example/gone:1": A}, separators=(",", ":"))
    return {
        "pin": scenario(
            "a tag gets the digest that was judged",
            OWN,
            review(deployment),
            **mutate,
            expect={**both, "object": of("Deployment", spec(f"{APP}@{A}", f"{PROXY}@{B}"))},
        ),
        "pin-at-a-validating-webhook": scenario(
            "a validating webhook changes nothing, whatever the policy says",
            DOCS,
            review(deployment),
            admission={"pin": "pin"},
            expect=both,
        ),
        "pin-latest": scenario(
            "where no tag is named, the one that is meant stands in front of the digest",
            OWN,
            review(bare),
            **mutate,
            decisions={"nginx": {"verdict": "trusted", "digest": A, "logical": "docker.io/library/nginx:latest"}},
            expect={"asked": ["nginx"], "object": of("Pod", spec(f"nginx:latest@{A}"))},
        ),
        "pin-what-is-not-trusted": scenario(
            "what is let in without being trusted is not pinned",
            OWN,
            review(of("Pod", spec(APP, OTHER))),
            **mutate,
            decisions={**TRUSTED, OTHER: {**UNSIGNED, "mode": "warn"}},
            expect={
                "asked": [APP, OTHER],
                "object": of("Pod", spec(f"{APP}@{A}", OTHER)),
                "warnings": [f"container side-1: would be refused (unsigned), not enforced: {OTHER}"],
            },
        ),
        "pin-nothing-of-what-is-refused": scenario(
            "what is refused is not changed",
            DOCS,
            review(of("Pod", spec(APP, OTHER))),
            **mutate,
            decisions={**TRUSTED, OTHER: UNSIGNED},
            expect=denied("unsigned", asked=[APP, OTHER]),
        ),
        "annotate": scenario(
            "digests are noted, and images stay as they are",
            OWN,
            review(of("Deployment", spec(APP, PROXY), annotations={"a": "b"})),
            **annotate,
            expect={**both, "object": noted},
        ),
        "annotate-first": scenario(
            "the same where there are no annotations",
            OWN,
            review(deployment),
            **annotate,
            expect={**both, "object": of("Deployment", spec(APP, PROXY), annotations={"trustreg/digests": note})},
        ),
        "annotate-again": scenario(
            "what is noted already is not noted again", OWN, review(noted), **annotate, expect=both
        ),
        "annotate-anew": scenario(
            "what was noted by others is replaced",
            OWN,
            review(of("Deployment", spec(APP, PROXY), annotations={"a": "b", "trustreg/digests": stale})),
            **annotate,
            expect={**both, "object": noted},
        ),
        "annotate-update": scenario(
            "what is not judged again stays noted",
            OWN,
            review(
                of("Deployment", spec(APP, PROXY), annotations={"trustreg/digests": json.dumps({APP: A})}),
                "UPDATE",
                of("Deployment", spec(APP), annotations={"trustreg/digests": json.dumps({APP: A})}),
            ),
            **annotate,
            expect={
                "asked": [PROXY],
                "object": of("Deployment", spec(APP, PROXY), annotations={"trustreg/digests": note}),
            },
        ),
        "validate": scenario("nothing is changed", OWN, review(pod), mutating=True, admission={"pin": "validate"}),
    }


def owners() -> dict[str, Json]:
    """Return what is made for something else."""
    pinned, tag = f"{APP}@{A}", APP
    uid = "5f0b3c1a-0000-4000-8000-000000000001"

    def reference(kind: str = "ReplicaSet", **more: Any) -> Json:
        group, version, _ = KINDS[kind]
        api = f"{group}/{version}" if group else version
        return {"apiVersion": api, "kind": kind, "name": "app-1", "uid": uid, "controller": True, **more}

    def child(*images: str, kind: str = "Pod", **more: Any) -> Json:
        by = "ReplicaSet" if kind == "Pod" else "Deployment"
        return of(kind, spec(*images), "app-1-x", ownerReferences=[reference(by, **more)])

    owner = of("ReplicaSet", spec(pinned), "app-1", uid=uid)
    deployment = of("Deployment", spec(pinned, PROXY), "app-1", uid=uid)
    trust: Json = {"admission": {"trust_owners": True}}
    no = {"decisions": {pinned: UNSIGNED, OTHER: UNSIGNED, tag: UNSIGNED}}
    refused = denied("unsigned", asked=[pinned])
    by: Json = {"userInfo": CONTROLLER}
    return {
        "owner": scenario(
            "a pod passes by the ReplicaSet that it was made for",
            OWN,
            review(child(pinned), **by),
            **trust,
            **no,
            owners=[owner],
            expect={"asked": []},
        ),
        "owner-is-not-trusted": scenario(
            "where owners are not trusted, the pod is judged itself",
            OWN,
            review(child(pinned), **by),
            **no,
            owners=[owner],
            expect=refused,
        ),
        "owner-of-a-replica-set": scenario(
            "a ReplicaSet passes by its Deployment, as far as that has the images",
            OWN,
            review(child(pinned, PROXY, kind="ReplicaSet"), **by),
            **trust,
            owners=[deployment],
            expect={"asked": [PROXY]},
        ),
        "owner-does-not-exist": scenario(
            "an owner that is claimed", OWN, review(child(pinned)), **trust, **no, expect=refused
        ),
        "owner-with-another-uid": scenario(
            "another object of that name",
            OWN,
            review(child(pinned, uid=uid.replace("1", "2"))),
            **trust,
            **no,
            owners=[owner],
            expect=refused,
        ),
        "owner-of-another-kind": scenario(
            "an owner of a kind that runs no pods",
            OWN,
            review(of("Pod", spec(pinned), ownerReferences=[{**reference(), "apiVersion": "v1", "kind": "ConfigMap"}])),
            **trust,
            **no,
            owners=[{**of("ConfigMap", None, "app-1", uid=uid), "data": {}}],
            expect=refused,
        ),
        "owner-that-is-no-controller": scenario(
            "an owner that did not make it",
            OWN,
            review(child(pinned, controller=False)),
            **trust,
            **no,
            owners=[owner],
            expect=refused,
        ),
        "owner-with-other-images": scenario(
            "an image that the owner does not have is judged",
            OWN,
            review(child(pinned, OTHER)),
            **trust,
            **no,
            owners=[owner],
            expect=denied("unsigned", OTHER, asked=[OTHER]),
        ),
        "owner-with-it-in-another-set": scenario(
            "and one that it has in another set of containers",
            OWN,
            review(
                of("Pod", spec(pinned, initContainers=[{"name": "i", "image": pinned}]), ownerReferences=[reference()])
            ),
            **trust,
            **no,
            owners=[owner],
            expect=denied("init container i", "unsigned", asked=[pinned]),
        ),
        "owner-with-a-tag": scenario(
            "a tag may have moved since the owner was admitted",
            OWN,
            review(child(tag)),
            **trust,
            **no,
            owners=[of("ReplicaSet", spec(tag), "app-1", uid=uid)],
            expect=denied("unsigned", asked=[tag]),
        ),
        "owner-cannot-be-asked": scenario(
            "where the API server does not answer, it is judged itself",
            OWN,
            review(child(pinned)),
            **trust,
            **no,
            owners="offline",
            expect=refused,
        ),
        "made-is-not-pinned": scenario(
            "a ReplicaSet that was made for a Deployment is not changed",
            GOOD,
            review(child(tag, kind="ReplicaSet")),
            mutating=True,
            admission={"pin": "pin"},
        ),
        "made-is-not-noted": scenario(
            "nor are digests noted at a pod that was made for one",
            GOOD,
            review(child(tag)),
            mutating=True,
            admission={"pin": "annotate"},
        ),
        "made-pod-is-pinned": scenario(
            "a pod with a tag is pinned, whatever it was made for",
            OWN,
            review(child(tag)),
            mutating=True,
            admission={"pin": "pin"},
            expect={"object": child(pinned)},
        ),
        "mirror-pod": scenario(
            "a pod that the kubelet has started from a file",
            GOOD,
            review(of("Pod", spec(APP), annotations={"kubernetes.io/config.mirror": "0a1b"}), userInfo=KUBELET),
            decisions={APP: UNSIGNED},
            expect={"warnings": [f"container app: would be refused (unsigned), not enforced: {APP}"]},
        ),
        "mirror-pod-by-others": scenario(
            "somebody else only claims so",
            OWN,
            review(of("Pod", spec(APP), annotations={"kubernetes.io/config.mirror": "0a1b"})),
            decisions={APP: UNSIGNED},
            expect=denied("unsigned"),
        ),
    }


def kinds() -> dict[str, Json]:
    """Return every kind, and what is found in it."""
    made = {}
    places = {
        "Pod": "/spec",
        "PodTemplate": "/template/spec",
        "CronJob": "/spec/jobTemplate/spec/template/spec",
    }
    for kind in KINDS:
        if kind in {"Rollout", "Scale", "Binding", "ConfigMap"}:
            continue
        volumes = [{"name": "model", "image": {"reference": PROXY}}]
        obj = of(kind, spec(APP, volumes=volumes))
        base = places.get(kind, "/spec/template/spec")
        patched = at(
            at(obj, f"{base}/containers/0/image", f"{APP}@{A}"), f"{base}/volumes/0/image/reference", f"{PROXY}@{B}"
        )
        made[f"kind-{kind.lower()}"] = scenario(
            f"a {kind} with a volume that is an image",
            "Kubernetes API",
            review(obj),
            mutating=True,
            admission={"pin": "pin"},
            expect={"asked": [APP, PROXY], "object": patched},
        )
    rollout = at(of("Rollout", spec(APP)), "/spec/steps", [{"image": PROXY}, {"pause": {}}])
    extractor = {"kind": "Rollout", "pods": "spec.template.spec", "images": "spec.steps[*].image"}
    configmap = {**of("ConfigMap", None), "data": {"image": APP}}
    return {
        **made,
        "kind-of-others": scenario(
            "an object of a kind that the policy tells of",
            OWN,
            review(rollout),
            mutating=True,
            admission={"pin": "pin", "extractors": [extractor]},
            expect={
                "asked": [PROXY, APP],
                "object": at(
                    at(rollout, "/spec/template/spec/containers/0/image", f"{APP}@{A}"),
                    "/spec/steps/0/image",
                    f"{PROXY}@{B}",
                ),
            },
        ),
        "kind-of-others-misunderstood": scenario(
            "something else stands where the policy says that images are",
            OWN,
            review(at(rollout, "/spec/steps", "none")),
            admission={"extractors": [extractor]},
            expect=denied("[format]", "/spec/steps", asked=[]),
        ),
        "kind-without-images": scenario("an object without images", OWN, review(configmap), expect={"asked": []}),
    }


def odd() -> dict[str, Json]:
    """Return what is no review, or no good one."""
    good = review(of("Pod", spec(APP)))
    bad = {"allowed": False, "code": 400, "asked": []}
    error = {"error": "review"}

    def request(**more: Any) -> Json:
        return {**good, "request": {**good["request"], **more}}

    return {
        "no-uid": scenario("without a uid there is no answer", DOCS, request(uid=None), expect=error),
        "empty-uid": scenario("an empty uid is none", DOCS, request(uid=""), expect=error),
        "no-request": scenario("a review without a request", DOCS, {**good, "request": None}, expect=error),
        "no-review": scenario("another object", DOCS, of("Pod", spec(APP)), expect=error),
        "other-version": scenario(
            "a version that nobody asked for",
            DOCS,
            {**good, "apiVersion": "admission.k8s.io/v1beta1"},
            expect={**bad, "says": ["apiVersion"]},
        ),
        "other-kind": scenario("another kind of review", DOCS, {**good, "kind": "ConversionReview"}, expect=bad),
        "no-operation": scenario("no operation", DOCS, request(operation=None), expect=bad),
        "odd-operation": scenario("an operation that does not exist", DOCS, request(operation="PATCH"), expect=bad),
        "no-object": scenario("nothing is created", DOCS, request(object=None), expect={**bad, "says": ["object"]}),
        "object-of-another-kind": scenario(
            "the object is not what the request says it is", OWN, request(object=of("ConfigMap", None)), expect=bad
        ),
        "odd-namespace": scenario("a namespace that is no text", OWN, request(namespace=5), expect=bad),
        "odd-containers": scenario(
            "containers that are none",
            OWN,
            request(object=of("Pod", {"containers": {"app": APP}})),
            expect=denied("[format]", "/spec/containers", asked=[]),
        ),
        "no-containers": scenario(
            "a pod without containers, which the server refuses itself",
            OWN,
            request(object=of("Pod", {"containers": []})),
            expect={"asked": []},
        ),
    }


def image_reviews() -> dict[str, Json]:
    """Return what the admission plugin ImagePolicyWebhook asks."""
    source = "Kubernetes: Admission Control, ImagePolicyWebhook"

    def asked(*images: str, **more: Any) -> Json:
        body = {"containers": [{"image": image} for image in images], "namespace": "team", **more}
        return {"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "spec": body}

    annotation = "trustreg.image-policy.k8s.io/break-glass"
    glass = {"annotation": annotation, "dangerous_anyone": True}
    broken = asked(APP, annotations={annotation: "OPS-99"})
    alert = {"kind": "break-glass", "user": "", "object": "Pod", "reason": "OPS-99", "images": [APP]}
    return {
        "image-review": scenario(
            "images that are trusted", source, asked(APP, PROXY, APP), expect={"asked": [APP, PROXY]}
        ),
        "image-review-untrusted": scenario(
            "one that is refused",
            source,
            asked(APP, OTHER),
            decisions={**TRUSTED, OTHER: UNSIGNED},
            expect=denied("refused [unsigned]", OTHER, asked=[APP, OTHER]),
        ),
        "image-review-unknown": scenario(
            "one of which nothing is known",
            source,
            asked(APP),
            decisions={APP: OFFLINE},
            expect=denied("could not find out"),
        ),
        "image-review-warned": scenario(
            "in a namespace that is only warned",
            source,
            asked(APP),
            decisions={APP: UNSIGNED},
            admission={"namespaces": {"team": "warn"}},
            expect={"audit": {"verdict": "untrusted", "mode": "warn"}},
        ),
        "image-review-break-glass": scenario(
            "an annotation gets past the policy, if anybody may",
            source,
            broken,
            decisions={APP: UNSIGNED},
            admission={"break_glass": glass},
            expect={"alerts": [alert], "audit": {"break-glass": "OPS-99"}},
        ),
        "image-review-break-glass-by-whom": scenario(
            "who wants it is not said, so that nobody is among those who may",
            source,
            broken,
            decisions={APP: UNSIGNED},
            admission={"break_glass": {"annotation": annotation, "groups": "sre"}},
            expect=denied("unsigned"),
        ),
        "image-review-too-many": scenario(
            "more images than one may have",
            source,
            asked(*(f"a.example/x:{n}" for n in range(4))),
            admission={"max_images": 3},
            expect=denied("3 different images", asked=[]),
        ),
        "image-review-without-images": scenario("no images", source, asked(), expect=denied(asked=[])),
        "image-review-malformed": scenario(
            "an image that is no text",
            source,
            {**asked(), "spec": {"containers": [{"image": 5}]}},
            expect=denied(asked=[]),
        ),
        "image-review-of-another-version": scenario(
            "another version", source, {**asked(APP), "apiVersion": "imagepolicy.k8s.io/v1"}, expect=denied(asked=[])
        ),
    }


def text(made: Json) -> str:
    """Return a scenario as its file has it."""
    return json.dumps(made, indent=1, ensure_ascii=True) + "\n"


def main(folder: Path) -> None:
    """Write the scenarios into *folder*, and remove those that are made no more."""
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in made:
            stale.unlink()
    for name, one in made.items():
        (folder / f"{name}.json").write_text(text(one), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
