"""The use case of who admits objects to a cluster: a review goes in, the answer comes out.

>>> import trustreg
>>> answer = trustreg.admission.review(document, decide, policy.admission, now)

Nothing outside is touched here. Images are judged by a callable, and owners are fetched by one; so any webhook can use
it, whatever its framework.

What is answered is yes only if every image may be used. That something could not be read, judged or found out is
never a yes: it is told apart from a no, and refused like one where the policy is enforced.

Source: ``admission.k8s.io/v1``, ``imagepolicy.k8s.io/v1alpha1``; "Admission Webhook Good Practices" in the
documentation of Kubernetes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import orjson

from trustreg.dialects import admissionreview as spelling
from trustreg.dialects import kubernetes
from trustreg.dialects.admissionreview import ImageRequest, Request, cut
from trustreg.dialects.kubernetes import Found
from trustreg.errors import (
    DeadlineError,
    FormatError,
    InternalError,
    NameFormError,
    TooLargeError,
    TrustregError,
    UntrustedError,
)
from trustreg.judging import Decision, Word
from trustreg.names import Reference
from trustreg.policy import MODES, Admission, Exemption, Extractor, Mode, is_named
from trustreg.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Context:
    """For what images are judged.

    Attributes:
        uid: The review; "" for an ImageReview, which has none.
        namespace: Where they are to run.
        service_accounts: Under which accounts the pods would run.
        pull_secrets: The secrets that the pods name to pull with.
        deadline: By when an answer is due.
        dry_run: Whether nothing will come of it: no state may be written.
    """

    uid: str = ""
    namespace: str = ""
    service_accounts: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    deadline: datetime | None = None
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Which object is asked for, because another says that it was made for it."""

    namespace: str
    api_version: str
    kind: str
    name: str


Decide: TypeAlias = Callable[[Sequence[str], Context], Sequence[Decision | TrustregError]]
"""Judges images, which are references that can be parsed; for one that could not be judged, it says why."""
Owners: TypeAlias = Callable[[Owner], Mapping[str, Any] | None]
"""Fetches an object; ``None`` where there is none. Whatever it raises, the owner is not known then."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What people have to be told of at once.

    Attributes:
        kind: ``break-glass``: an object was admitted in spite of what was found.
        uid: Of the review.
        namespace: Of the object.
        object: Its kind and name, ``Pod app-1``.
        user: Who did it.
        reason: Why, as that one says.
        images: What may not be used by the policy.
        codes: Why not.
        at: When.
    """

    kind: str
    uid: str
    namespace: str
    object: str
    user: str
    reason: str
    images: tuple[str, ...]
    codes: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One image that was judged, wherever it is named.

    Attributes:
        image: As it is named.
        found: Where.
        verdict: ``trusted``, ``untrusted`` or ``unknown``.
        mode: What comes of that: the laxer of what its rule and its namespace say.
        allowed: Whether it may be used, by verdict, mode or exception.
        decision: What the policy says; ``None`` where it could not be asked.
        error: Why it is not trusted.
        exemption: By which exception it may be used nevertheless.
        lapsed: The exception by which it might have been, if it were not over.
    """

    image: str
    found: tuple[Found, ...]
    verdict: Word
    mode: Mode
    allowed: bool
    decision: Decision | None = None
    error: TrustregError | None = None
    exemption: Exemption | None = None
    lapsed: Exemption | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons why it is not trusted."""
        if self.error is None:
            return ()
        return tuple(getattr(self.error, "codes", ())) or (self.error.code,)

    @property
    def pinned(self) -> str | None:
        """The name with the digest that was judged, where it was named by tag alone and the digest is known."""
        if self.decision is None or self.decision.digest is None:
            return None
        named = Reference.parse(self.image)
        if named.digest or named.tag is None:
            return None
        has_tag = ":" in self.image.rpartition("/")[2]
        return f"{self.image}{'' if has_tag else f':{named.tag}'}@{self.decision.digest}"


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review, and all that came of it.

    Attributes:
        response: The answer, ready for JSON.
        allowed: Whether it is a yes.
        verdict: The worst of those of the images; ``None`` where none had to be judged.
        skipped: Why none had to.
        request: What was asked; ``None`` for an ImageReview, and where it could not be read.
        images: Each image that was judged.
        passed: Those that were not, because the object, or its owner, has them already.
        alerts: What people have to be told; nothing where the server only tries.
        broken: The reason that somebody gave for getting past the policy, if it was of use.
        failure: What judging failed with, where nobody foresaw it.
    """

    response: dict[str, Any]
    allowed: bool
    verdict: Word | None = None
    skipped: str = ""
    request: Request | None = None
    images: tuple[Examined, ...] = ()
    passed: tuple[Found, ...] = ()
    alerts: tuple[Alert, ...] = ()
    broken: str = ""
    failure: Exception | None = None


def review(
    document: Any,
    decide: Decide,
    settings: Admission,
    now: datetime,
    *,
    mutating: bool = False,
    deadline: datetime | None = None,
    owners: Owners | None = None,
) -> dict[str, Any]:
    """Answer a review; see :func:`examine`, which returns what else came of it.

    Raises:
        ReviewError: It cannot be answered: tell whoever sent it by status 400.
    """
    return examine(document, decide, settings, now, mutating=mutating, deadline=deadline, owners=owners).response


def examine(
    document: Any,
    decide: Decide,
    settings: Admission,
    now: datetime,
    *,
    mutating: bool = False,
    deadline: datetime | None = None,
    owners: Owners | None = None,
) -> Review:
    """Answer a review.

    Args:
        document: An AdmissionReview of version v1, or an ImageReview of v1alpha1, as it was parsed.
        decide: Judges images. Whatever it raises, nothing is admitted for that.
        settings: What the policy says of admission.
        now: The time.
        mutating: Whether the answer may change the object: it is asked for at a mutating webhook.
        deadline: By when the answer is due, see :func:`due`; *decide* is told.
        owners: Fetches the owners of objects. They are asked for only where *settings* trust them.

    Raises:
        ReviewError: It is neither of them, or has no uid: it cannot be answered.
    """
    if spelling.is_image_review(document):
        return _images_review(document, decide, settings, now, deadline)
    uid = spelling.uid(document)
    try:
        request = spelling.read(document)
        return _Reviewing(request, decide, settings, now, deadline).review(mutating=mutating, owners=owners)
    except FormatError as exc:
        message = f"trustreg cannot read this review: {exc}"
        audit = {"verdict": "unknown", "reasons": exc.code}
        return Review(
            response=spelling.answer(uid, allowed=False, code=400, message=cut(message, _LONGEST_LINE), audit=audit),
            allowed=False,
            verdict="unknown",
        )


def due(timeout: str | None, now: datetime) -> datetime:
    """Return by when to answer a server that waits for *timeout*, ``10s``, as it says in the query of its URL.

    That is a second earlier, so that it is our reason that people see. What cannot be read is taken for the default of
    Kubernetes, 10 seconds; none waits longer than 30.
    """
    found = _TIMEOUT.fullmatch(timeout or "")
    seconds = int(found[1] or 0) * 60 + float(found[2] or 0) if found else 0.0
    seconds = min(seconds or 10.0, 30.0)
    return now + timedelta(seconds=max(seconds - 1, seconds / 2))


class _Reviewing:
    """One review of an object."""

    def __init__(
        self, request: Request, decide: Decide, settings: Admission, now: datetime, deadline: datetime | None
    ) -> None:
        self._request, self._settings = request, settings
        self._judging = _Judging(decide, settings, now, request.namespace)
        self._now, self._deadline = now, deadline

    def review(self, *, mutating: bool, owners: Owners | None) -> Review:
        request = self._request
        if skipped := _skipped(request):
            return self._unasked(skipped)
        assert request.obj is not None  # noqa: S101 # it is there where something is made or changed
        obj = request.obj
        if not self._is_of_kind(obj):
            raise FormatError("AdmissionReview", "request.object", f"it is no {request.kind} of {request.api_version}")
        extractors = self._settings.extractors
        try:
            found = kubernetes.images(obj, extractors)
            accounts, secrets = kubernetes.credentials(obj, extractors)
        except FormatError as exc:
            return self._judged(mutating=False, judged=[self._judging.refused("", (), exc)], passed=())
        known = self._known(owners)
        passed = tuple(one for one in found if (one.group, one.image) in known)
        wanted = _by_image(one for one in found if (one.group, one.image) not in known)
        if not wanted:
            return self._unasked("it names no images" if not found else "it names no other images than before", passed)
        if len(wanted) > self._settings.max_images:
            large = TooLargeError("what this object runs", self._settings.max_images, "different images")
            return self._judged(mutating=False, judged=[self._judging.refused("", (), large)], passed=passed)
        context = Context(
            uid=request.uid,
            namespace=request.namespace,
            service_accounts=accounts,
            pull_secrets=secrets,
            deadline=self._deadline,
            dry_run=request.dry_run,
        )
        at_most: Mode = "warn" if _is_mirror(request) else "enforce"
        judged = self._judging.judge(wanted, context, at_most)
        return self._judged(mutating=mutating, judged=judged, passed=passed)

    def _is_of_kind(self, obj: Mapping[str, Any]) -> bool:
        return (obj.get("apiVersion"), obj.get("kind")) == (self._request.api_version, self._request.kind)

    def _known(self, owners: Owners | None) -> set[tuple[str, str]]:
        """Return the images, with the set each belongs to, that need not be judged again."""
        request, extractors = self._request, self._settings.extractors
        if request.operation == "UPDATE" and request.old is not None:
            return _images(request.old, extractors) if self._is_of_kind(request.old) else set()
        reference = _controller(request.obj)
        if owners is None or reference is None or not self._settings.trust_owners:
            return set()
        owner = _fetched(owners, reference, request.namespace)
        return {(group, image) for group, image in _images(owner, ()) if _is_pinned(image)} if owner else set()

    def _unasked(self, why: str, passed: tuple[Found, ...] = ()) -> Review:
        answer = spelling.answer(self._request.uid, allowed=True, audit={"skipped": why})
        return Review(response=answer, allowed=True, skipped=why, request=self._request, passed=passed)

    def _judged(self, *, mutating: bool, judged: list[Examined], passed: tuple[Found, ...]) -> Review:
        request = self._request
        wrong = [one for one in judged if not one.allowed]
        broken = self._broken() if wrong else ""
        allowed = not wrong or bool(broken)
        warnings = list(_warnings(judged, broken, request.user))
        audit = {**_audit(judged), **({"break-glass": f"{request.user}: {broken}"} if broken else {})}
        patch = _patch(request, judged, self._settings, broken=bool(broken)) if mutating and allowed else []
        message = _message(judged, request.namespace)
        alerts = _alerts(request, request.namespace, wrong, broken, self._now)
        return Review(
            response=spelling.answer(
                request.uid, allowed=allowed, message=message, warnings=warnings, patch=patch, audit=audit
            ),
            allowed=allowed,
            verdict=_worst(judged),
            request=request,
            images=tuple(judged),
            passed=passed,
            alerts=alerts,
            broken=broken,
            failure=self._judging.failure,
        )

    def _broken(self) -> str:
        """Return the reason that is given for getting past the policy, by somebody who may."""
        glass, request = self._settings.break_glass, self._request
        if glass is None or not is_named(request.namespace, glass.namespaces):
            return ""
        if not (glass.anyone or request.user in glass.users or not set(glass.groups).isdisjoint(request.groups)):
            return ""
        return _reason(_annotations(request.obj).get(glass.annotation))


class _Judging:
    """Has images judged, and says what the modes and exceptions make of it."""

    def __init__(self, decide: Decide, settings: Admission, now: datetime, namespace: str) -> None:
        self._decide, self._settings, self._now, self._namespace = decide, settings, now, namespace
        self.failure: Exception | None = None

    def judge(self, wanted: Mapping[str, tuple[Found, ...]], context: Context, at_most: Mode) -> list[Examined]:
        """Judge each of *wanted*; what is not trusted is at most enforced as *at_most* says."""
        answers: dict[str, Decision | TrustregError] = {}
        for image in wanted:
            try:
                Reference.parse(image)
            except NameFormError as exc:
                answers[image] = exc
        asked = [image for image in wanted if image not in answers]
        if asked:
            answers |= zip(asked, self._asked(asked, context), strict=True)
        return [self._examined(image, found, answers[image], at_most) for image, found in wanted.items()]

    def refused(self, image: str, found: tuple[Found, ...], error: TrustregError) -> Examined:
        """Return what becomes of what cannot be judged."""
        return self._examined(image, found, error, "enforce")

    def _asked(self, images: list[str], context: Context) -> Sequence[Decision | TrustregError]:
        try:
            answers = list(self._decide(images, context))
            is_one = [isinstance(one, Decision | TrustregError) for one in answers]
            if is_one != [True] * len(images):
                raise TypeError(f"these are no {len(images)} decisions")  # noqa: TRY301 # as any other bug
        except TrustregError as exc:
            return [exc] * len(images)
        except TimeoutError:
            return [DeadlineError(image) for image in images]
        except Exception as exc:  # noqa: BLE001 # whatever it is, it admits nothing
            self.failure = exc
            return [InternalError(type(exc).__name__)] * len(images)
        return answers

    def _examined(
        self, image: str, found: tuple[Found, ...], answer: Decision | TrustregError, at_most: Mode
    ) -> Examined:
        decision = None if isinstance(answer, TrustregError) else answer
        error = answer if isinstance(answer, TrustregError) else answer.error
        verdict: Word = "untrusted" if isinstance(error, UntrustedError | NameFormError) else "unknown"
        verdict = decision.verdict if decision else verdict
        modes = (self._settings.mode(self._namespace), decision.rule.mode if decision else "enforce", at_most)
        mode: Mode = max(modes, key=MODES.index)
        covering = [] if verdict == "trusted" else self._exemptions(decision.logical if decision else image)
        exemption = next((one for one in covering if self._now < one.until), None)
        return Examined(
            image=image,
            found=found,
            verdict=verdict,
            mode=mode,
            allowed=verdict == "trusted" or mode != "enforce" or exemption is not None,
            decision=decision,
            error=error,
            exemption=exemption,
            lapsed=None if exemption or not covering else max(covering, key=lambda one: one.until),
        )

    def _exemptions(self, logical: str) -> list[Exemption]:
        try:
            named = Reference.parse(logical)
        except NameFormError:
            return []
        return [one for one in self._settings.exceptions if one.covers(named, self._namespace)]


def _images_review(
    document: Mapping[str, Any], decide: Decide, settings: Admission, now: datetime, deadline: datetime | None
) -> Review:
    """Answer an ImageReview: it says no more of a pod than its images, and of whoever wants it nothing."""
    try:
        asked = spelling.read_images(document)
    except FormatError as exc:
        reason = cut(f"trustreg cannot read this review: {exc}", _LONGEST_LINE)
        answer = spelling.answer_images(allowed=False, reason=reason)
        return Review(response=answer, allowed=False, verdict="unknown")
    judging = _Judging(decide, settings, now, asked.namespace)
    wanted = _by_image(asked.found)
    if len(wanted) > settings.max_images:
        large = TooLargeError("what this pod runs", settings.max_images, "different images")
        judged = [judging.refused("", (), large)]
    else:
        judged = judging.judge(wanted, Context(namespace=asked.namespace, deadline=deadline), "enforce")
    wrong = [one for one in judged if not one.allowed]
    broken = _broken_glass(asked, settings) if wrong else ""
    audit = {**_audit(judged), **({"break-glass": broken} if broken else {})}
    allowed = not wrong or bool(broken)
    return Review(
        response=spelling.answer_images(allowed=allowed, reason=_message(judged, asked.namespace), audit=audit),
        allowed=allowed,
        verdict=_worst(judged),
        images=tuple(judged),
        alerts=_alerts(None, asked.namespace, wrong, broken, now),
        broken=broken,
        failure=judging.failure,
    )


def _broken_glass(asked: ImageRequest, settings: Admission) -> str:
    glass = settings.break_glass
    if glass is None or not glass.anyone or not is_named(asked.namespace, glass.namespaces):
        return ""
    return _reason(asked.annotations.get(glass.annotation))


def _alerts(
    request: Request | None, namespace: str, wrong: Sequence[Examined], broken: str, now: datetime
) -> tuple[Alert, ...]:
    """Return what has to be told; of what is only tried, nothing."""
    if not broken or (request and request.dry_run):
        return ()
    name = request.name or _generated(request.obj) if request else ""
    alert = Alert(
        kind="break-glass",
        uid=request.uid if request else "",
        namespace=namespace,
        object=f"{request.kind if request else 'Pod'} {name}".rstrip(),
        user=request.user if request else "",
        reason=broken,
        images=tuple(one.image for one in wrong),
        codes=tuple(dict.fromkeys(code for one in wrong for code in one.codes)),
        at=now,
    )
    return (alert,)


# --- what need not be judged ---------------------------------------------------------------------------------------


def _skipped(request: Request) -> str:
    """Return why nothing has to be judged, or ""."""
    if request.operation in {"DELETE", "CONNECT"}:
        return f"{request.operation} brings no image"
    if request.sub_resource in _IGNORED:
        return f"{request.sub_resource} brings no image"
    # The new object may claim to be on its way out; what was stored is what the server says.
    if request.operation == "UPDATE" and isinstance(_metadata(request.old).get("deletionTimestamp"), str):
        return "it is being deleted"
    return ""


def _images(obj: Mapping[str, Any], extractors: Sequence[Extractor]) -> set[tuple[str, str]]:
    try:
        return {(one.group, one.image) for one in kubernetes.images(obj, extractors)}
    except FormatError:
        return set()


def _by_image(found: Iterable[Found]) -> dict[str, tuple[Found, ...]]:
    """Return what was found, by image."""
    images: dict[str, list[Found]] = {}
    for one in found:
        images.setdefault(one.image, []).append(one)
    return {image: tuple(places) for image, places in images.items()}


def _fetched(owners: Owners, reference: Mapping[str, Any], namespace: str) -> Mapping[str, Any] | None:
    """Return the owner that *reference* claims, if there is one: by that name, and with that uid."""
    version, kind, name, uid = (reference.get(member) for member in ("apiVersion", "kind", "name", "uid"))
    if not (isinstance(version, str) and isinstance(kind, str) and isinstance(name, str) and isinstance(uid, str)):
        return None
    if kubernetes.template(version.rpartition("/")[0], kind) is None or not uid:
        return None
    try:
        owner = owners(Owner(namespace=namespace, api_version=version, kind=kind, name=name))
    except Exception:  # noqa: BLE001 # it is not known then, and the object is judged itself
        return None
    if not isinstance(owner, dict) or (owner.get("apiVersion"), owner.get("kind")) != (version, kind):
        return None
    is_it = _metadata(owner).get("uid") == uid and _metadata(owner).get("namespace", "") == namespace
    return owner if is_it and _metadata(owner).get("name") == name else None


def _controller(obj: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the reference to the one object that *obj* says it was made for."""
    listed = _metadata(obj).get("ownerReferences")
    each = listed if isinstance(listed, list) else []
    found = [one for one in each if isinstance(one, dict) and one.get("controller") is True]
    return found[0] if len(found) == 1 else None


def _is_mirror(request: Request) -> bool:
    """Say whether a kubelet tells of a pod that it has started from a file; others may only claim so."""
    is_pod = (request.api_version, request.kind) == ("v1", "Pod")
    return is_pod and _NODES in request.groups and _MIRROR in _annotations(request.obj)


def _is_pinned(image: str) -> bool:
    try:
        return Reference.parse(image).digest is not None
    except NameFormError:
        return False


# --- what is said --------------------------------------------------------------------------------------------------


def _message(judged: Sequence[Examined], namespace: str) -> str:
    """Return what is wrong, and what to do about it, for who wanted the object."""
    wrong = [one for one in judged if not one.allowed]
    if not wrong:
        return ""
    where = f" in namespace {namespace}" if namespace else ""
    lines = [cut(_line(one), _LONGEST_LINE) for one in wrong]
    shown, left = [], _LONGEST_MESSAGE
    for line in lines:
        left -= len(line) + 3
        if left < 0:
            break
        shown.append(line)
    if len(shown) < len(lines):
        shown.append(f"and {len(lines) - len(shown)} more")
    if len(lines) == 1:
        return f"trustreg: {shown[0]}"
    return f"trustreg: {len(wrong)} of {len(judged)} images may not be used{where}:" + "".join(
        f"\n- {line}" for line in shown
    )


def _line(one: Examined) -> str:
    word = "refused" if one.verdict == "untrusted" else "could not find out"
    what = f"{_where(one)}: " if one.found else ""
    named = "" if not one.image or one.image in str(one.error) else f"{one.image}: "
    said = f"{what}{word} [{', '.join(one.codes)}]: {named}{one.error}"
    if one.lapsed:
        said += f"; an exception for it ended {_day(one.lapsed.until)}"
    remedies = "; ".join(_remedies(one))
    return f"{said}. What to do: {remedies}" if remedies else said


def _remedies(one: Examined) -> Sequence[str]:
    """Return what a person can do: that of the requirements that decided, else that of the whole."""
    wanted = {"untrusted": "no", "unknown": "unknown"}.get(one.verdict)
    parts = [part for judged in (one.decision.judged if one.decision else ()) for part in judged.answer.each()]
    leaves = [part.error.remedy for part in parts if part.error and not part.parts and part.outcome == wanted]
    found = list(dict.fromkeys(remedy for remedy in leaves if remedy))[:_MOST_REMEDIES]
    if one.error and one.error.remedy and not found:
        found = [one.error.remedy]
    return found or (["try again; it is not known to be bad"] if one.verdict == "unknown" else [])


def _warnings(judged: Sequence[Examined], broken: str, user: str) -> Iterator[str]:
    """Yield what is to be seen though the object is admitted; audit keeps silent."""
    if broken:
        yield f"trustreg: admitted for {user}, against the policy: {broken}"
    for one in judged:
        if one.mode == "audit":
            continue
        codes = ", ".join(one.codes)
        word = "could not find out about it" if one.verdict == "unknown" else "would be refused"
        if one.exemption:
            until = _day(one.exemption.until)
            yield f"{_where(one)}: {word} ({codes}), excepted until {until}: {one.exemption.reason}: {one.image}"
        elif one.verdict != "trusted" and one.allowed:
            yield f"{_where(one)}: {word} ({codes}), not enforced: {one.image}"
        if one.decision and one.allowed:
            yield from (f"{_where(one)}: {warning}" for warning in one.decision.warnings)


def _where(one: Examined) -> str:
    """Return where the image is named, in the words of people."""
    if not one.found:
        return "the object"
    first = one.found[0]
    set_ = _SETS.get(first.group)
    where = f"{set_} {first.name}" if set_ and first.name else first.pointer
    return f"{where} and {len(one.found) - 1} more" if len(one.found) > 1 else where


def _audit(judged: Sequence[Examined]) -> dict[str, str]:
    """Return what the audit log of the server should have."""
    wrong = [one for one in judged if one.verdict != "trusted"]
    rules = [f"{one.decision.rule.name}" for one in judged if one.decision]
    pinned = [f"{one.decision.pinned}" for one in judged if one.decision and one.verdict == "trusted"]
    exceptions = [f"{one.exemption.where or one.exemption.reason}" for one in judged if one.exemption]
    each: dict[str, list[str]] = {
        "verdict": [_worst(judged) or ""],
        "mode": [min((one.mode for one in judged), key=MODES.index)],
        "rules": rules,
        "reasons": [code for one in wrong for code in one.codes],
        "refused": [one.image for one in judged if not one.allowed],
        "pinned": pinned,
        "exceptions": exceptions,
    }
    return {name: " ".join(dict.fromkeys(values)) for name, values in each.items()}


def _worst(judged: Iterable[Examined]) -> Word | None:
    found = {one.verdict for one in judged}
    order: tuple[Word, ...] = ("untrusted", "unknown", "trusted")
    return next((word for word in order if word in found), None)


# --- what is changed -----------------------------------------------------------------------------------------------


def _patch(request: Request, judged: Sequence[Examined], settings: Admission, *, broken: bool) -> list[dict[str, Any]]:
    """Return the operations that pin the images that are trusted, or note their digests.

    Where the glass was *broken*, the others as well: it was broken for what they are now.

    What was made for another object is left alone: a ReplicaSet that differs from its Deployment would be made anew,
    without end. Nothing compares pods with what they were made from, so these are pinned.
    """
    is_made = _controller(request.obj) is not None
    wanted = [one for one in judged if one.mode != "audit" and (broken or one.verdict == "trusted")]
    pinned = [(one, one.pinned) for one in wanted if one.pinned]
    if settings.pin == "pin" and (request.kind == "Pod" or not is_made):
        return [
            operation
            for one, name in pinned
            for place in one.found
            for operation in (
                {"op": "test", "path": place.pointer, "value": one.image},
                {"op": "replace", "path": place.pointer, "value": name},
            )
        ]
    if settings.pin == "annotate" and not is_made and not request.sub_resource:
        digests = {one.image: str(one.decision.digest) for one, _ in pinned if one.decision}
        return _annotate(request.obj or {}, digests, settings.extractors)
    return []


def _annotate(
    obj: Mapping[str, Any], digests: Mapping[str, str], extractors: Sequence[Extractor]
) -> list[dict[str, Any]]:
    """Return the operations that note *digests* by image, beside those that are noted and not judged again."""
    metadata = _metadata(obj)
    annotations = metadata.get("annotations")
    was = annotations.get(NOTE) if isinstance(annotations, dict) else None
    path = f"/metadata/annotations/{kubernetes.escaped(NOTE)}"
    images = {one.image for one in kubernetes.images(obj, extractors)}
    noted = {image: digest for image, digest in _noted(was).items() if image in images}
    text = orjson.dumps({**noted, **digests}, option=orjson.OPT_SORT_KEYS).decode()
    if text == was or not digests or not metadata:
        return []
    if not isinstance(annotations, dict):
        return [{"op": "add", "path": "/metadata/annotations", "value": {NOTE: text}}]
    if was is None:
        return [{"op": "add", "path": path, "value": text}]
    return [{"op": "test", "path": path, "value": was}, {"op": "replace", "path": path, "value": text}]


def _noted(text: Any) -> dict[str, str]:
    try:
        found = orjson.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    each = found.items() if isinstance(found, dict) else ()
    return {image: digest for image, digest in each if isinstance(digest, str) and _DIGEST.fullmatch(digest)}


# --- small things --------------------------------------------------------------------------------------------------


def _metadata(obj: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = obj.get("metadata") if obj else None
    return found if isinstance(found, dict) else {}


def _annotations(obj: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = _metadata(obj).get("annotations")
    return found if isinstance(found, dict) else {}


def _generated(obj: Mapping[str, Any] | None) -> str:
    found = _metadata(obj).get("generateName")
    return f"{found}…" if isinstance(found, str) else ""


def _reason(text: Any) -> str:
    return cut(text.strip(), _LONGEST_REASON) if isinstance(text, str) else ""


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d") if moment.strftime("%H%M%S") == "000000" else moment.strftime("%Y-%m-%dT%H:%MZ")


NOTE: Final = "trustreg/digests"
"""The annotation that notes which digests were judged, by image, as JSON."""
_IGNORED: Final = frozenset({"scale", "status", "binding"})
_NODES: Final = "system:nodes"
_MIRROR: Final = "kubernetes.io/config.mirror"
_SETS: Final = {
    "containers": "container",
    "initContainers": "init container",
    "ephemeralContainers": "ephemeral container",
    "volumes": "volume",
}
_TIMEOUT = re.compile(r"(?:([0-9]{1,3})m)?(?:([0-9]{1,4}(?:\.[0-9]{1,9})?)s)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_LINE = 1000  # characters
_LONGEST_MESSAGE = 8000
_LONGEST_REASON = 200
_MOST_REMEDIES = 2
