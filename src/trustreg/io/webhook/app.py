"""What the webhook answers, as an ASGI application.

A review is received on the event loop, with bounds, and answered in a thread, where it may wait for others. Whatever
happens, a review that has a uid gets an answer to it, and nothing is admitted because something failed.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qs

import orjson

from trustreg import admission
from trustreg.dialects import admissionreview
from trustreg.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from trustreg.admission import Context, Owner, Owners, Review
    from trustreg.errors import TrustregError
    from trustreg.io.webhook.desk import Desk, Logins
    from trustreg.io.webhook.tally import Tally
    from trustreg.judging import Decision

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


class Limits(NamedTuple):
    """What may be asked.

    Attributes:
        body: Bytes of a review; the largest object that Kubernetes stores, twice, in JSON.
        reviews: At the same time.
        seconds: For one of them, however long the server would wait.
    """

    body: int = 8 << 20
    reviews: int = 64
    seconds: float = 9.0


class Office(Protocol):
    """What the application works with, which is replaced now and then."""

    @property
    def desk(self) -> Desk:
        """Who judges."""

    def state(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether reviews are to be sent here, and what there is to say about that."""


class LoginsOf(Protocol):
    """Finds the logins of a pod."""

    def __call__(self, context: Context, *, wait: bool) -> Logins | None:
        """Return them; without *wait*, only if nobody has to be asked."""


class App:
    """The application.

    A review that takes nothing but what is remembered is answered on the event loop: a tenth of a millisecond, where
    going to a thread and back takes several as soon as there are many.

    Args:
        office: What it works with.
        tally: Counts.
        limits: What may be asked.
        logins: Finds the logins of a pod.
        owners: Fetches the owners of objects.
        log: Takes a record for each review, ready for JSON.
        alert: Takes what people have to be told, ready for JSON.
        warn: Is told in a sentence what is wrong here.
        clock: Reads the time.
    """

    def __init__(
        self,
        office: Office,
        tally: Tally,
        limits: Limits,
        *,
        logins: LoginsOf,
        owners: Owners | None,
        log: Callable[[Mapping[str, Any]], None],
        alert: Callable[[Mapping[str, Any]], None],
        warn: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._office, self._tally, self._limits = office, tally, limits
        self._logins, self._owners, self._log, self._alert, self._warn, self._clock = (
            logins,
            owners,
            log,
            alert,
            warn,
            clock,
        )
        self._threads = ThreadPoolExecutor(limits.reviews, "review")
        self._under_way = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"  # noqa: S101 # the server is told to speak nothing else
        reply = await self._answer(scope, receive)
        headers = [
            (b"content-type", reply.media_type),
            (b"content-length", str(len(reply.body)).encode()),
            *(((b"connection", b"close"),) if reply.status in {408, 413} else ()),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> _Reply:
        path, method = scope["path"], scope["method"]
        if path in _REVIEWS and method == "POST":
            reply = await self._receive(path, scope, receive)
            if reply.status != 200:
                self._tally.turned_away(reply.status)
            return reply
        if path in _PAGES and method in {"GET", "HEAD"}:
            return self._page(path)
        known = path in _REVIEWS or path in _PAGES
        return _text(405 if known else 404, "reviews are sent by POST" if known else "there is no such page")

    def _page(self, path: str) -> _Reply:
        ready, detail = self._office.state()
        self._tally.ready(ready=ready)
        if path == "/readyz":
            return _json(200 if ready else 503, detail)
        if path == "/metrics":
            return _Reply(200, b"text/plain; version=0.0.4; charset=utf-8", self._tally.text())
        return _text(200, "ok")

    async def _receive(self, path: str, scope: Mapping[str, Any], receive: Receive) -> _Reply:
        if self._under_way >= self._limits.reviews:
            return _text(503, f"{self._limits.reviews} reviews are being answered already")
        begun = time.perf_counter()
        self._under_way += 1
        try:
            with self._tally.in_flight():
                body = await self._body(receive)
                if isinstance(body, _Reply):
                    return body
                timeout = parse_qs(scope["query_string"].decode("latin-1")).get("timeout", [""])[0]
                if len(body) <= _SMALL and (reply := self._review(path, timeout, body, begun, _AtOnce())):
                    return reply
                loop = asyncio.get_running_loop()
                reply = await loop.run_in_executor(self._threads, self._review, path, timeout, body, begun, None)
                assert reply  # noqa: S101 # it had all the time
                return reply
        finally:
            self._under_way -= 1

    async def _body(self, receive: Receive) -> bytes | _Reply:
        body, size = bytearray(), 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _text(400, "the review was cut short")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size <= self._limits.body:
                        body += chunk
                    over = size - self._limits.body
                    if over > _PATIENCE or (over > 0 and not message.get("more_body")):
                        return _text(413, f"a review may have {self._limits.body} bytes")
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            return _text(408, f"the review did not come in within {self._limits.seconds:g} seconds")

    # --- at once, or in a thread ---

    def _review(self, path: str, timeout: str, body: bytes, begun: float, at_once: _AtOnce | None) -> _Reply | None:
        """Answer a review; *at_once* nobody may be asked, and there is no answer if somebody would have to be."""
        try:
            document = admissionreview.parse(body)
        except ReviewError as exc:
            return _text(400, str(exc))
        try:
            return self._reviewed(path.removeprefix("/"), timeout, document, begun, at_once)
        except ReviewError as exc:
            return _text(400, str(exc))
        except Exception as exc:  # noqa: BLE001 # a bug; nothing is admitted for that, and whoever asked is told
            self._fault(exc)
            return _failed(document)

    def _reviewed(
        self, endpoint: str, timeout: str, document: Any, begun: float, at_once: _AtOnce | None
    ) -> _Reply | None:
        is_images = isinstance(document, dict) and document.get("kind") == "ImageReview"
        if is_images != (endpoint == "imagereview"):
            return _text(400, "an ImageReview goes to /imagereview, an AdmissionReview to /validate or /mutate")
        now = self._clock()
        deadline = min(admission.due(timeout, now), now + timedelta(seconds=self._limits.seconds))
        desk = self._office.desk

        def decide(images: Sequence[str], context: Context) -> Sequence[Decision | TrustregError]:
            logins = self._logins(context, wait=at_once is None)
            if at_once:
                return at_once.need(desk.known(images, logins) if logins else None)
            assert logins  # noqa: S101 # they were waited for
            return desk.decide(images, logins, context.deadline or deadline)

        found = admission.examine(
            document,
            decide,
            desk.policy.admission,
            now,
            mutating=endpoint == "mutate",
            deadline=deadline,
            owners=at_once.need_owner if at_once and self._owners else self._owners,
        )
        if at_once and at_once.missing:
            return None
        if found.failure:
            self._fault(found.failure)
        seconds = time.perf_counter() - begun
        self._tally.reviewed(endpoint, found, seconds)
        record = _record(endpoint, document, found, seconds, now)
        self._log(record)
        dry_run = bool(found.request and found.request.dry_run)
        if not dry_run and (found.broken or (found.images and not found.allowed)):
            self._alert(_alert(record, found))
        return _json(200, found.response)

    def _fault(self, error: Exception) -> None:
        """Have it seen that something failed that nobody foresaw: where, and not with what, which may be secret."""
        where = traceback.extract_tb(error.__traceback__)[-1]
        self._tally.failed()
        self._warn(f"judging failed, which is a bug: {type(error).__name__} in {where.name}, line {where.lineno}")


class _AtOnce:
    """A try to answer without asking anybody; ``missing`` says that it came to nothing."""

    missing = False

    def need(self, decisions: list[Decision] | None) -> list[Decision]:
        """Return *decisions*, if that is all of them."""
        if decisions is None:
            self.missing = True
            raise LookupError
        return decisions

    def need_owner(self, _: Owner) -> None:
        """Have no owner: it would have to be asked for."""
        self.missing = True


class _Reply(NamedTuple):
    status: int
    media_type: bytes
    body: bytes


def _record(endpoint: str, document: Any, found: Review, seconds: float, now: datetime) -> dict[str, Any]:
    """Return what the log has of a review; documented in ``docs/reference/admission-metrics.md``."""
    request = found.request
    spec = document.get("spec") if endpoint == "imagereview" else None
    namespace = spec.get("namespace", "") if isinstance(spec, dict) else ""
    return {
        "time": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endpoint": endpoint,
        "uid": request.uid if request else "",
        "namespace": request.namespace if request else namespace if isinstance(namespace, str) else "",
        "kind": request.kind if request else "",
        "name": request.name if request else "",
        "operation": request.operation if request else "",
        "user": request.user if request else "",
        "dryRun": bool(request and request.dry_run),
        "allowed": found.allowed,
        "verdict": found.verdict,
        "skipped": found.skipped,
        "breakGlass": found.broken,
        "failure": type(found.failure).__name__ if found.failure else "",
        "images": [
            {
                "image": one.image,
                "verdict": one.verdict,
                "allowed": one.allowed,
                "mode": one.mode,
                "rule": one.decision.rule.name if one.decision else "",
                "reasons": list(one.codes),
                "digest": str(one.decision.digest) if one.decision and one.decision.digest else "",
                "exception": one.exemption.reason if one.exemption else "",
                "warnings": list(one.decision.warnings) if one.decision else [],
            }
            for one in found.images
        ],
        "milliseconds": round(seconds * 1000, 3),
    }


def _alert(record: Mapping[str, Any], found: Review) -> dict[str, Any]:
    """Return what people are told of a review; documented in ``docs/reference/admission-metrics.md``."""
    same = ("time", "uid", "namespace", "kind", "name", "operation", "user")
    return {
        "event": "break-glass" if found.broken else "refused",
        **{name: record[name] for name in same},
        "reason": found.broken,
        "images": [
            {name: one[name] for name in ("image", "verdict", "rule", "reasons")}
            for one, examined in zip(record["images"], found.images, strict=True)
            if not examined.allowed
        ],
    }


def _failed(document: Any) -> _Reply:
    """Return the answer to a review that could not be answered for a bug: nothing is admitted."""
    message = "trustreg: judging failed, which is a bug; its log says more"
    if document.get("kind") == "ImageReview":
        return _json(200, admissionreview.answer_images(allowed=False, reason=message))
    uid = admissionreview.uid(document)
    return _json(200, admissionreview.answer(uid, allowed=False, code=500, message=message))


def _text(status: int, text: str) -> _Reply:
    return _Reply(status, b"text/plain; charset=utf-8", f"{text}\n".encode(errors="replace"))


def _json(status: int, content: Any) -> _Reply:
    return _Reply(status, b"application/json", orjson.dumps(content))


_SMALL = 64 << 10  # bytes of a review that the event loop may spend its time on
_PATIENCE = 8 << 20  # bytes too many that are read and forgotten, for who sends first and reads then
_REVIEWS = {"/mutate", "/validate", "/imagereview"}
_PAGES = {"/healthz", "/readyz", "/metrics"}
