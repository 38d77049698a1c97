"""What a policy says of admission to a cluster: what it means, and what is refused, each with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from trustreg.errors import PolicyError
from trustreg.io.policyfile import load
from trustreg.io.yaml import read
from trustreg.names import Reference
from trustreg.policy import Admission, BreakGlass, Exemption, Extractor

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.policy import Mode, Policy

SCHEMA = json.loads((Path(trustreg.__file__).parent / "schemas" / "policy.schema.json").read_text())
POLICY = """\
version: 1
default: reject
admission:
  pin: annotate
  namespaces:
    test-*: warn
    sandbox: audit
  max_images: 20
  trust_owners: true
  exceptions:
    - match: registry.example/vendor
      namespaces: [legacy, old-*]
      until: 2027-01-31
      reason: "OPS-12: signs from January on"
    - match: [registry.example/team/app:1.0, "*.example"]
      until: 2026-12-01T12:00:00Z
      reason: outage
  break_glass:
    annotation: example.com/break-glass
    users: system:serviceaccount:ops:rescue
    groups: [sre, on-call]
    namespaces: prod
  extractors:
    - kind: Rollout
      api_version: argoproj.io/v1alpha1
      pods: spec.template.spec
    - kind: Task
      images: ["spec.steps[*].image", spec.sidecar.image]
"""


@pytest.fixture
def reads(tmp_path: Path) -> Callable[[str], Policy]:
    """Read a policy from text."""

    def read_text(text: str) -> Policy:
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        return load(path)

    return read_text


def test_what_people_write_is_what_it_means(reads: Callable[[str], Policy], tmp_path: Path) -> None:
    """
    Each member, with where exceptions stand.
    """
    assert reads(POLICY).admission == Admission(
        pin="annotate",
        namespaces={"test-*": "warn", "sandbox": "audit"},
        max_images=20,
        trust_owners=True,
        exceptions=(
            Exemption(
                match=("registry.example/vendor",),
                namespaces=("legacy", "old-*"),
                until=datetime(2027, 1, 31, tzinfo=UTC),
                reason="OPS-12: signs from January on",
                where=f"{tmp_path / 'policy.yaml'}:11",
            ),
            Exemption(
                match=("registry.example/team/app:1.0", "*.example"),
                until=datetime(2026, 12, 1, 12, tzinfo=UTC),
                reason="outage",
                where=f"{tmp_path / 'policy.yaml'}:15",
            ),
        ),
        break_glass=BreakGlass(
            annotation="example.com/break-glass",
            users=("system:serviceaccount:ops:rescue",),
            groups=("sre", "on-call"),
            namespaces=("prod",),
        ),
        extractors=(
            Extractor(kind="Rollout", api_version="argoproj.io/v1alpha1", pods=("spec.template.spec",)),
            Extractor(kind="Task", images=("spec.steps[*].image", "spec.sidecar.image")),
        ),
    )


@pytest.mark.parametrize("text", ["", "admission:\n", "admission: {}\n"])
def test_without_it_everything_is_enforced_and_nothing_changed(reads: Callable[[str], Policy], text: str) -> None:
    """
    No owner is believed, and nobody gets past.
    """
    admission = reads(f"version: 1\ndefault: reject\n{text}").admission

    assert admission == Admission()
    assert (admission.pin, admission.mode("any"), admission.trust_owners) == ("validate", "enforce", False)


@pytest.mark.parametrize(
    ("namespace", "mode"),
    [
        ("prod", "enforce"),
        ("", "warn"),
        ("test-1", "warn"),
        ("test-eu-1", "enforce"),
        ("test-exact", "enforce"),
        ("team-test", "audit"),
        ("test-us-test", "enforce"),
    ],
)
def test_the_mode_of_a_namespace(namespace: str, mode: str) -> None:
    """
    By its name, else by the longest pattern, and of two the stricter one; without any, it is enforced.
    """
    modes: dict[str, Mode] = {"*": "warn", "test-eu-*": "enforce", "test-*": "warn", "test-exact": "enforce"}
    modes |= {"prod": "enforce", "*-test": "audit", "t*-us-*": "enforce", "*-us-t*": "audit"}
    admission = Admission(namespaces=modes)

    assert admission.mode(namespace) == mode


@pytest.mark.parametrize(
    ("image", "namespace", "covered"),
    [
        ("registry.example/vendor/db:1.0", "legacy", True),
        ("registry.example/vendor/db@sha256:" + "a" * 64, "old-x", True),
        ("registry.example/vendor/db:1.0", "new", False),
        ("registry.example/vendors/db:1.0", "legacy", False),
    ],
)
def test_what_an_exception_is_about(reads: Callable[[str], Policy], image: str, namespace: str, covered: bool) -> None:
    """
    Images by scope, in its namespaces; in all of them where it names none.
    """
    first, second = reads(POLICY).admission.exceptions

    assert first.covers(Reference.parse(image), namespace) is covered
    assert second.covers(Reference.parse("eu.example/x"), namespace)


FAULTS = [
    ("pin: annotate", "pin: always", 4, "admission.pin", "none of pin, annotate, validate"),
    ("pin: annotate", "pins: pin", 4, "admission.pins", "did you mean pin?"),
    ("test-*: warn", "Test: warn", 6, "admission.namespaces.Test", "not the name of a namespace"),
    ("test-*: warn", "test-*: off", 6, "admission.namespaces.test-*", "none of enforce"),
    ("test-*: warn", "a/b: warn", 6, "admission.namespaces.a/b", "not the name of a namespace"),
    ("max_images: 20", "max_images: 0", 8, "admission.max_images", "outside 1 to 1000"),
    ("trust_owners: true", "trust_owners: 1", 9, "admission.trust_owners", "true or false is due"),
    ("      until: 2027-01-31\n", "", 11, "admission.exceptions[0].until", "missing"),
    ("until: 2027-01-31", "until: later", 13, "admission.exceptions[0].until", "is not a day"),
    ('      reason: "OPS-12: signs from January on"\n', "", 11, "admission.exceptions[0].reason", "missing"),
    ("reason: outage", 'reason: " "', 17, "admission.exceptions[1].reason", "it has to say why"),
    ("match: registry.example/vendor", 'match: "*"', 11, "admission.exceptions[0].match", "is no scope"),
    ("match: registry.example/vendor", "matches: a.example", 11, "", "did you mean match?"),
    ("[legacy, old-*]", "[legacy, old_*]", 12, "admission.exceptions[0].namespaces", "not the name of a namespace"),
    ("annotation: example.com/break-glass", "annotation: a/b/c", 19, "", "not the name of an annotation"),
    ("annotation: example.com/break-glass", "annotation: ''", 19, "", "not the name of an annotation"),
    ("    annotation: example.com/break-glass\n", "", 18, "admission.break_glass.annotation", "missing"),
    ("    users: system:serviceaccount:ops:rescue\n    groups: [sre, on-call]\n", "", 18, "", "it has to say who may"),
    ("groups: [sre, on-call]", "groups: []", 21, "", "names nothing"),
    ("namespaces: prod", "anyone: true", 22, "", "no such member"),
    ("    - kind: Rollout\n      api", "    - api", 24, "admission.extractors[0].kind", "missing"),
    ("      pods: spec.template.spec\n", "", 24, "admission.extractors[0]", "images or pods"),
    ("pods: spec.template.spec", "pods: spec..x", 26, "admission.extractors[0].pods", "is no path"),
    ("spec.sidecar.image]", "'$']", 28, "admission.extractors[1].images", "is no path"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "problem"), FAULTS)
def test_one_fault_each(reads: Callable[[str], Policy], old: str, new: str, line: int, path: str, problem: str) -> None:
    """
    Line, path and sentence lead to the fault.
    """
    assert POLICY.count(old) == 1
    with pytest.raises(PolicyError) as refused:
        reads(POLICY.replace(old, new))

    assert problem in refused.value.problem
    assert (refused.value.line, path and refused.value.path) == (line, path)


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("users", "system:serviceaccount:kube-system:replicaset-controller"),
        ("users", "system:serviceaccount:kube-system:daemon-set-controller"),
        ("users", "system:kube-controller-manager"),
        ("users", "system:anonymous"),
        ("groups", "system:authenticated"),
        ("groups", "system:unauthenticated"),
        ("groups", "system:serviceaccounts"),
        ("groups", "system:serviceaccounts:kube-system"),
    ],
)
def test_nobody_is_named_who_acts_for_anybody(reads: Callable[[str], Policy], member: str, name: str) -> None:
    """
    A controller makes what the template of anybody has, with its annotations; so it is not one of a few who may.
    """
    who = "    users: system:serviceaccount:ops:rescue\n    groups: [sre, on-call]\n"
    with pytest.raises(PolicyError) as refused:
        reads(POLICY.replace(who, f"    {member}: [somebody, '{name}']\n"))

    assert (refused.value.path, name in refused.value.problem) == (f"admission.break_glass.{member}", True)
    assert reads(POLICY.replace(who, f"    {member}: '{name}'\n    dangerous_anyone: true\n")).admission.break_glass


def test_somebody_has_to_be_named_or_the_danger(reads: Callable[[str], Policy]) -> None:
    """
    That anybody may break the glass is said in so many words.
    """
    who = "    users: system:serviceaccount:ops:rescue\n    groups: [sre, on-call]\n"
    found = reads(POLICY.replace(who, "    dangerous_anyone: true\n")).admission.break_glass

    assert found
    assert found.anyone
    with pytest.raises(PolicyError):
        reads(POLICY.replace(who, "    dangerous_anyone: false\n"))


def accepted(document: Any) -> bool:
    """Say whether the published schema accepts *document*."""
    return bool(Draft202012Validator(SCHEMA).is_valid(document))


def test_the_schema_says_what_is_accepted() -> None:
    """
    It accepts the policy, and refuses each fault that is one of form.
    """
    Draft202012Validator.check_schema(SCHEMA)
    assert accepted(read(POLICY.encode(), "x").value)
    for old, new, _, _, problem in FAULTS:
        if not any(words in problem for words in ("is no path", "is no scope", "is not a day", "has to say why")):
            assert not accepted(read(POLICY.replace(old, new).encode(), "x").value), new
