"""Reviews of admission: the vectors, and what they do not say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.admission import Decides, check, decision, owners, patched, settings, time
from trustreg import admission
from trustreg.dialects import admissionreview
from trustreg.errors import OfflineError, ReviewError, SettingError
from trustreg.policy import Admission
from vectors.make import admission as made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustreg.admission import Context

FOLDER = Path(__file__).parent.parent / "vectors" / "admission"
VECTORS = sorted(FOLDER.glob("*.json"))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIELDS = {"comment", "source", "now", "mutating", "admission", "decisions", "owners", "review", "expect"}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors(path: Path) -> None:
    """
    Each is answered as it says, validly, and asks what it says, and nothing twice.
    """
    vector = json.loads(path.read_text("utf-8"))
    assert vector.keys() == FIELDS
    expect, document = vector["expect"], vector["review"]
    decides = Decides(vector["decisions"])

    def examine() -> admission.Review:
        return admission.examine(
            document,
            decides,
            settings(vector["admission"]),
            time(vector["now"]),
            mutating=vector["mutating"],
            owners=owners(vector["owners"]),
        )

    if "error" in expect:
        with pytest.raises(ReviewError):
            examine()
        return
    found = examine()
    allowed = check(found.response, document, mutating=vector["mutating"])

    assert (expect["allowed"], expect["allowed"]) == (allowed, found.allowed)
    assert expect["asked"] == decides.asked
    assert expect["object"] == patched(found.response, document.get("request", {}).get("object"))
    told = found.response.get("response") or found.response["status"]
    message = told.get("reason") or told.get("status", {}).get("message", "")
    assert [] == [words for words in expect["says"] if words not in message]
    assert expect.get("code", 403) == told.get("status", {}).get("code", 403)
    assert expect["warnings"] == told.get("warnings", [])
    assert expect.get("audit", {}).items() <= told.get("auditAnnotations", {}).items()
    alerts = [{name: getattr(alert, name) for name in ("kind", "user", "object", "reason")} for alert in found.alerts]
    images = [list(alert.images) for alert in found.alerts]
    assert expect["alerts"] == [{**one, "images": named} for one, named in zip(alerts, images, strict=True)]


def test_every_row_of_pitfalls_has_a_vector() -> None:
    """
    What each of them is about is among the names.
    """
    names = " ".join(path.stem for path in VECTORS)

    for word in (
        *("dry-run", "ephemeral-containers", "scale", "status", "binding", "update-image", "update-unchanged"),
        *("update-other-set", "scale-down", "finalizers", "going", "digest", "owner", "made", "mirror-pod"),
        *("kind-pod", "kind-podtemplate", "kind-cronjob", "kind-of-others", "not-in-time", "too-many-images"),
        *("equal-images", "pin", "annotate", "validate", "image-review", "no-uid", "generated-name", "delete"),
    ):
        assert word in names


def pod(*images: str, **more: Any) -> Any:
    """Return a review of a pod with these images."""
    return made.review(made.of("Pod", made.spec(*images)), **more)


def test_the_answer_alone() -> None:
    """
    For webhooks that need no more.
    """
    decides = Decides(made.TRUSTED)

    assert admission.review(pod(made.APP), decides, Admission(), NOW) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": made.UID,
            "allowed": True,
            "auditAnnotations": {
                "verdict": "trusted",
                "mode": "enforce",
                "rules": "team",
                "pinned": f"registry.example/team/app@{made.A}",
            },
        },
    }


def test_a_refusal_says_what_is_wrong_and_what_to_do() -> None:
    """
    In lines that a person can read: each image, where it is, the reason, the rule, a remedy.
    """
    decides = Decides({made.APP: made.UNSIGNED, made.OTHER: made.OFFLINE, made.PROXY: made.TRUSTED[made.PROXY]})
    answer = admission.review(pod(made.APP, made.OTHER, made.PROXY), decides, Admission(), NOW)

    assert answer["response"]["status"] == {
        "code": 403,
        "reason": "Forbidden",
        "message": (
            "trustreg: 2 of 3 images may not be used in namespace team:\n"
            "- container app: refused [unsigned]: registry.example/team/app:1.0 is refused by the rule team "
            "(policy.yaml:3): unsigned. What to do: see `trustreg policy explain` for each requirement of the rule\n"
            "- container side-1: could not find out [offline]: the rule team (policy.yaml:3) gives no answer for "
            "registry.example/other/tool:3: offline. What to do: try again; it is not known to be bad"
        ),
    }


def test_what_judging_is_told() -> None:
    """
    The namespace, the accounts and secrets of the pods, the time that is left, and whether it is only a try.
    """
    decides = Decides(made.TRUSTED)
    spec = made.spec(made.APP, serviceAccountName="app", imagePullSecrets=[{"name": "one"}, {"name": "two"}, {}])
    deadline = NOW + timedelta(seconds=9)
    document = made.review(made.of("CronJob", spec), dryRun=True)

    admission.review(document, decides, Admission(), NOW, deadline=deadline)
    admission.review(pod(made.APP), decides, Admission(), NOW)
    assert decides.contexts == [
        admission.Context(
            uid=made.UID,
            namespace="team",
            service_accounts=("app",),
            pull_secrets=("one", "two"),
            deadline=deadline,
            dry_run=True,
        ),
        admission.Context(uid=made.UID, namespace="team", service_accounts=("default",)),
    ]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (OfflineError("https://registry.example", "no"), "offline"),
        (SettingError("x", "no"), "setting"),
        (TimeoutError(), "deadline"),
        (RuntimeError("secret"), "internal"),
        (KeyError("secret"), "internal"),
        (RecursionError(), "internal"),
        (MemoryError(), "internal"),
    ],
)
def test_whatever_judging_raises_nothing_is_admitted(raised: Exception, code: str) -> None:
    """
    It is not known then, and the answer says why; what nobody foresaw is kept for whoever runs it, and not told.
    """

    def decide(_: Sequence[str], __: Context) -> Any:
        raise raised

    found = admission.examine(pod(made.APP), decide, Admission(), NOW)

    assert check(found.response, pod(made.APP), mutating=False) is False
    assert (found.verdict, found.images[0].codes) == ("unknown", (code,))
    message = found.response["response"]["status"]["message"]
    assert "could not find out" in message
    assert "secret" not in message
    assert (found.failure is raised) == (code == "internal")


@pytest.mark.parametrize("answers", [[], [decision(made.APP, made.TRUSTED[made.APP])] * 2, None, [None], ["yes"]])
def test_answers_that_are_none_admit_nothing(answers: Any) -> None:
    """
    Too few, too many, or something else.
    """
    found = admission.examine(pod(made.APP), lambda *_: answers, Admission(), NOW)

    assert (found.allowed, found.verdict) == (False, "unknown")
    assert found.failure


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("10s", 9),
        ("30s", 29),
        ("2s", 1),
        ("1s", 0.5),
        ("0.5s", 0.25),
        ("1m0s", 29),
        ("300s", 29),
        ("0s", 9),
        ("", 9),
        (None, 9),
        ("soon", 9),
        ("-5s", 9),
        ("10s\n", 9),
    ],
)
def test_by_when_an_answer_is_due(timeout: str | None, seconds: float) -> None:
    """
    A second before the server stops waiting, or half of the time where there is not even that.
    """
    assert admission.due(timeout, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("raw", [b"", b"x", b"\xff", b"[" * 100_000, b" " * (admissionreview.LARGEST + 1), b"NaN"])
def test_what_is_no_json_is_no_review(raw: bytes) -> None:
    """
    Or too long.
    """
    with pytest.raises(ReviewError):
        admissionreview.parse(raw)


@pytest.mark.parametrize("uid", ["x" * 257, "a\nb", "\u00e4", "\x00", 5, True, [], {}])
def test_a_uid_that_is_none(uid: Any) -> None:
    """
    Nothing is echoed that is not one.
    """
    with pytest.raises(ReviewError):
        admission.review(pod(made.APP, uid=uid), Decides(made.TRUSTED), Admission(), NOW)


def test_many_long_refusals_stay_readable() -> None:
    """
    The message has an end.
    """
    images = [f"registry.example/{'x' * 100}:{n}" for n in range(60)]
    decides = Decides({image: {**made.UNSIGNED, "codes": ["unsigned", "y" * 900]} for image in images})
    answer = admission.review(pod(*images), decides, Admission(), NOW)
    message = answer["response"]["status"]["message"]

    assert len(message) < 9000
    assert "60 of 60 images" in message
    assert message.splitlines()[-1].startswith("- and ")


def test_usual_warnings_are_short() -> None:
    """
    As the documentation of Kubernetes asks for: 120 characters where names are not long.
    """
    decides = Decides({made.APP: {**made.UNSIGNED, "mode": "warn"}, made.OTHER: {**made.OFFLINE, "mode": "warn"}})
    warnings = admission.review(pod(made.APP, made.OTHER), decides, Admission(), NOW)["response"]["warnings"]

    assert [len(warning) <= 120 for warning in warnings] == [True, True]
