"""What the API server of Kubernetes asks at the door, and the answers that it takes.

AdmissionReview is sent to webhooks, ImageReview by the admission plugin ImagePolicyWebhook. A question is read as
strictly as its answer depends on it; members that are of no concern may be anything.

Source: ``admission.k8s.io/v1`` AdmissionReview, ``imagepolicy.k8s.io/v1alpha1`` ImageReview; "Dynamic Admission
Control" in the documentation of Kubernetes, for the limits of warnings, patches and audit annotations.
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from trustreg.dialects.kubernetes import Found
from trustreg.dialects.reading import Members
from trustreg.errors import ReviewError, shown
from trustreg.values import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Request:
    """What an AdmissionReview asks.

    Attributes:
        uid: What the answer has to repeat.
        operation: ``CREATE`` or ``UPDATE``, ``DELETE`` or ``CONNECT``.
        sub_resource: ``ephemeralcontainers``, ``status`` and so on; "" for the object itself.
        api_version: Of the object, ``apps/v1``.
        kind: Of the object.
        name: Of the object; "" where the server is still to find one.
        namespace: Where it is to be; "" where it is in none.
        user: Who wants it.
        groups: Which groups that one is in.
        dry_run: Whether nothing will come of it.
        obj: The object as it would be; ``None`` where it is to go.
        old: The object as it is; ``None`` where there is none yet.
    """

    uid: str
    operation: str
    api_version: str
    kind: str
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    obj: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    old: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """What an ImageReview asks: may the containers of a pod in ``namespace`` run these images?"""

    found: tuple[Found, ...]
    namespace: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse(raw: bytes) -> Any:
    """Parse what was sent.

    Raises:
        ReviewError: It is too long, or no JSON.
    """
    if len(raw) > LARGEST:
        raise ReviewError(f"it is longer than {LARGEST} bytes")
    try:
        return orjson.loads(raw)
    except ValueError as exc:
        raise ReviewError(f"it is no JSON: {exc}") from exc


def is_image_review(document: Any) -> bool:
    """Say whether *document* is an ImageReview, in whatever state."""
    return isinstance(document, dict) and document.get("kind") == _IMAGE_REVIEW and "request" not in document


def uid(document: Any) -> str:
    """Return what the answer to *document* has to repeat.

    Raises:
        ReviewError: There is no such thing: it cannot be answered.
    """
    request = document.get("request") if isinstance(document, dict) else None
    found = request.get("uid") if isinstance(request, dict) else None
    if not isinstance(found, str):
        raise ReviewError("an AdmissionReview has a request with a uid")
    if not (0 < len(found) <= _LONGEST_UID and found.isascii() and found.isprintable()):
        raise ReviewError("its uid is none")
    return found


def read(document: Mapping[str, Any]) -> Request:
    """Read an AdmissionReview that has a uid.

    Raises:
        FormatError: It is none of ``admission.k8s.io/v1``, or not one that the API server would send.
    """
    whole = Members(_REVIEW, "", document)
    _exactly(whole, "apiVersion", _V1)
    _exactly(whole, "kind", _REVIEW)
    request = whole.members("request")
    kind, user = request.members("kind"), _optional(request, "userInfo")
    group, version = _text(kind, "group"), kind.text("version")
    operation = request.text("operation")
    if operation not in _OPERATIONS:
        request.fail("operation", f"{operation[:40]!r} is none of {', '.join(_OPERATIONS)}")
    found = Request(
        uid=uid(document),
        operation=operation,
        sub_resource=_text(request, "subResource"),
        api_version=f"{group}/{version}" if group else version,
        kind=kind.text("kind"),
        name=_text(request, "name"),
        namespace=_text(request, "namespace"),
        user=_text(user, "username"),
        groups=user.strings("groups", nullable=True),
        dry_run=request.value.get("dryRun") is not None and request.boolean("dryRun"),
        obj=_object(request, "object"),
        old=_object(request, "oldObject"),
    )
    if operation in {"CREATE", "UPDATE"} and found.obj is None:
        request.fail("object", "it is missing")
    return found


def read_images(document: Mapping[str, Any]) -> ImageRequest:
    """Read an ImageReview.

    Raises:
        FormatError: It is none of ``imagepolicy.k8s.io/v1alpha1``, or names no images.
    """
    whole = Members(_IMAGE_REVIEW, "", document)
    _exactly(whole, "apiVersion", _V1ALPHA1)
    spec = whole.members("spec")
    found = [
        Found(pointer=f"/spec/containers/{index}/image", image=container.text("image"), group="containers")
        for index, container in enumerate(spec.objects("containers"))
    ]
    if not found:
        spec.fail("containers", "a pod has some")
    annotations = _optional(spec, "annotations")
    return ImageRequest(
        found=tuple(found),
        namespace=_text(spec, "namespace"),
        annotations={name: annotations.text(name) for name in annotations.value},
    )


def answer(
    uid: str,
    *,
    allowed: bool,
    message: str = "",
    code: int = 403,
    warnings: Sequence[str] = (),
    patch: Sequence[Mapping[str, Any]] = (),
    audit: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AdmissionReview that answers *uid*; *message* is read by whoever is refused."""
    response: dict[str, Any] = {"uid": uid, "allowed": allowed}
    if not allowed:
        response["status"] = {"code": code, "reason": _REASONS[code], "message": message}
    elif patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = binascii.b2a_base64(orjson.dumps(list(patch)), newline=False).decode()
    if fitting := _fitting(warnings):
        response["warnings"] = fitting
    if audit:
        response["auditAnnotations"] = _audit(audit)
    return {"apiVersion": _V1, "kind": _REVIEW, "response": response}


def answer_images(*, allowed: bool, reason: str = "", audit: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the ImageReview that answers one."""
    status: dict[str, Any] = {"allowed": allowed}
    if not allowed:
        status["reason"] = reason
    if audit:
        status["auditAnnotations"] = _audit(audit)
    return {"apiVersion": _V1ALPHA1, "kind": _IMAGE_REVIEW, "status": status}


def cut(text: str, most: int) -> str:
    """Return *text* on one line that can be printed, and no longer than that."""
    text = shown(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _fitting(warnings: Sequence[str]) -> list[str]:
    """Return *warnings* as the server shows them: no more characters than it would cut off itself."""
    found: list[str] = []
    left = _LONGEST_WARNINGS - len(_MORE)
    for text in dict.fromkeys(cut(warning, _LONGEST_WARNING) for warning in warnings):
        if len(text) > left:
            return [*found, _MORE]
        left -= len(text)
        found.append(text)
    return found


def _audit(audit: Mapping[str, str]) -> dict[str, str]:
    return {name: cut(value, _LONGEST_AUDIT) for name, value in audit.items() if value}


def _exactly(whole: Members, name: str, due: str) -> None:
    if (said := whole.text(name)) != due:
        whole.fail(name, f"{said[:60]!r} is not {due}")


def _optional(members: Members, name: str) -> Members:
    return members.members(name) if members.value.get(name) is not None else Members(members.role, name, {})


def _text(members: Members, name: str) -> str:
    return members.text(name) if members.value.get(name) is not None else ""


def _object(request: Members, name: str) -> Mapping[str, Any] | None:
    return request.members(name).value if request.value.get(name) is not None else None


LARGEST: Final = 16 << 20  # bytes; the API server takes 3 MiB, and sends an object and what it was before
_V1: Final = "admission.k8s.io/v1"
_REVIEW: Final = "AdmissionReview"
_V1ALPHA1: Final = "imagepolicy.k8s.io/v1alpha1"
_IMAGE_REVIEW: Final = "ImageReview"
_OPERATIONS: Final = ("CREATE", "UPDATE", "DELETE", "CONNECT")
_REASONS: Final = {400: "BadRequest", 403: "Forbidden"}
_LONGEST_UID = 256
_LONGEST_WARNING = 256  # characters: the server cuts here
_LONGEST_WARNINGS = 4096  # and drops what comes after so many
_LONGEST_AUDIT = 1024
_MORE: Final = "and more warnings than can be shown"
