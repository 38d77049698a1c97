"""What reviews of admission are answered with: decisions as a policy makes them, and answers as a server reads them."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jsonpatch  # type: ignore[import-untyped,unused-ignore]

from trustreg.dialects import policy1
from trustreg.errors import DeadlineError, OfflineError, PolicyRefusedError, PolicyUnknownError
from trustreg.judging import Decision
from trustreg.names import Digest, Reference
from trustreg.policy import Admission, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trustreg.admission import Context, Owner
    from trustreg.errors import TrustregError
    from trustreg.policy import Mode


class NoKeys:
    """A policy without keys."""

    gpg = plain = None


def settings(said: Mapping[str, Any]) -> Admission:
    """Return what a policy that has *said* this of admission means."""
    document = {"version": 1, "default": "reject", "admission": dict(said)}
    return policy1.read(document, "policy.yaml", "", lambda _: 1, NoKeys()).admission  # type: ignore[arg-type]


def decision(image: str, said: Mapping[str, Any]) -> Decision:
    """Return the decision about *image* that a vector spells."""
    mode: Mode = said.get("mode", "enforce")
    rule = Rule(scope="registry.example/team", require=Reject(path=""), mode=mode, name="team", where="policy.yaml:3")
    verdict, codes = said["verdict"], tuple(said.get("codes", ()))
    named = Reference.parse(said.get("logical", image))
    kinds = {"untrusted": PolicyRefusedError, "unknown": PolicyUnknownError}
    error = kinds[verdict](str(named), "team", "policy.yaml:3", codes, codes) if verdict in kinds else None
    digest = Digest.parse(said["digest"]) if "digest" in said else None
    return Decision(
        image=str(named),
        logical=str(named),
        rule=rule,
        verdict=verdict,
        allowed=verdict == "trusted" or mode != "enforce",
        digest=digest,
        pinned=named.pinned(digest) if digest else None,
        error=error,
        warnings=tuple(said.get("warnings", ())),
    )


class Decides:
    """Answers from what a vector spells, and remembers what it was asked."""

    def __init__(self, decisions: Mapping[str, Mapping[str, Any]]) -> None:
        self.asked: list[str] = []
        self.contexts: list[Context] = []
        self._decisions = decisions

    def __call__(self, images: Sequence[str], context: Context) -> Sequence[Decision | TrustregError]:
        self.asked += images
        self.contexts.append(context)
        return [self._one(image) for image in images]

    def _one(self, image: str) -> Decision | TrustregError:
        said = self._decisions[image]
        if said.get("error") == "bug":
            raise ZeroDivisionError
        return DeadlineError(image) if said.get("error") == "deadline" else decision(image, said)


def owners(said: Sequence[Mapping[str, Any]] | str) -> Callable[[Owner], Mapping[str, Any] | None]:
    """Return what fetches the objects that a vector spells."""

    def fetch(owner: Owner) -> Mapping[str, Any] | None:
        if isinstance(said, str):
            raise OfflineError("https://kubernetes.default.svc", "it does not answer")
        for one in said:
            metadata = one["metadata"]
            if (one["apiVersion"], one["kind"], metadata["name"], metadata["namespace"]) == (
                owner.api_version,
                owner.kind,
                owner.name,
                owner.namespace,
            ):
                return one
        return None

    return fetch


def patched(answer: Mapping[str, Any], obj: Any) -> Any:
    """Return *obj* as the server has it after *answer*; ``None`` where it stays as it is."""
    response = answer.get("response", {})
    if "patch" not in response:
        return None
    return jsonpatch.apply_patch(deepcopy(obj), json.loads(base64.b64decode(response["patch"], validate=True)))


def check(answer: Mapping[str, Any], document: Mapping[str, Any], *, mutating: bool) -> bool:
    """Require that *answer* is a valid one to *document*; return whether it is a yes."""
    json.dumps(answer, allow_nan=False).encode("ascii")
    if "status" in answer:
        assert answer.keys() == {"apiVersion", "kind", "status"}
        assert (answer["apiVersion"], answer["kind"]) == ("imagepolicy.k8s.io/v1alpha1", "ImageReview")
        status = answer["status"]
        assert status.keys() <= {"allowed", "reason", "auditAnnotations"}
        assert type(status["allowed"]) is bool
        assert status["allowed"] or status["reason"]
        _check_audit(status.get("auditAnnotations", {}))
        return bool(status["allowed"])
    assert answer.keys() == {"apiVersion", "kind", "response"}
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert response.keys() <= {"uid", "allowed", "status", "patch", "patchType", "warnings", "auditAnnotations"}
    assert response["uid"] == document["request"]["uid"]
    assert type(response["allowed"]) is bool
    assert ("status" in response) is not response["allowed"]
    if not response["allowed"]:
        assert (response["status"]["code"], response["status"]["reason"]) in {(403, "Forbidden"), (400, "BadRequest")}
        assert response["status"]["message"]
    assert ("patch" in response) == ("patchType" in response)
    if "patch" in response:
        assert mutating
        assert response["allowed"]
        assert response["patchType"] == "JSONPatch"
        operations = json.loads(base64.b64decode(response["patch"], validate=True))
        for before, operation in zip([None, *operations], operations, strict=False):
            if operation["op"] == "replace":
                assert before
                assert (before["op"], before["path"]) == ("test", operation["path"])
    warnings = response.get("warnings", [])
    assert all(0 < len(warning) <= 256 and warning.isprintable() for warning in warnings)
    assert sum(map(len, warnings)) <= 4096
    _check_audit(response.get("auditAnnotations", {}))
    return bool(response["allowed"])


def _check_audit(audit: Mapping[str, str]) -> None:
    for name, value in audit.items():
        assert 0 < len(name) <= 63
        assert name.replace("-", "a").isalpha()
        assert name == name.lower()
        assert isinstance(value, str)
        assert len(value) <= 1024


def time(text: str) -> datetime:
    """Read a time of a vector."""
    return datetime.fromisoformat(text).astimezone(UTC)
