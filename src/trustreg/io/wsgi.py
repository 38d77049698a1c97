"""The Notary API over HTTP, as a WSGI application.

It translates between HTTP and :class:`trustreg.server.TrustServer`; it bounds and it never judges. Shapes, codes and
texts are those of notary-server 0.7.0 (``server/server.go``, ``server/handlers``, ``server/errors``), recorded in
``tests/server/recorded.json``. What differs on purpose: ``Last-Modified`` is an HTTP date, ``INVALID_UPDATE`` always
says why in the one shape that Go clients show to people, a body has a limit, and a malformed one is an answer.
"""

import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote

import falcon
import orjson
from falcon.media.multipart import MultipartForm, MultipartFormHandler, MultipartParseOptions

from trustreg.errors import NameFormError, UnavailableError, UntrustedError
from trustreg.names import ROOT, SNAPSHOT, Gun, is_role
from trustreg.server import BusyError, ChangeRecord, File, MissingError, RefusedError, TrustServer, VersionTakenError

HOT: Final = "trustreg.hot"
"""Key of the WSGI environ under which a :class:`Hot` says that the answer may be given again."""


class Hot(NamedTuple):
    """Until when an answer may be repeated without asking: while the stamp at ``slot`` stands, and before ``until``."""

    slot: slice
    stamp: bytes
    until: float  # seconds since 1970


class Stamps(Protocol):
    """Knows whether a collection has changed; see :class:`trustreg.io.sql.Stamps`."""

    def slot(self, gun: Gun) -> slice:
        """Return where the stamp of *gun* stands."""

    def read(self, slot: slice) -> bytes:
        """Return the stamp at *slot* as it is now."""


@dataclass(eq=False)
class HttpError(Exception):
    """An answer that is not what was asked for, as clients of Notary read it."""

    code: str
    detail: Any = None
    status: int = 0

    def body(self) -> bytes:
        """Return the JSON of the answer."""
        fault: dict[str, Any] = {"code": self.code, "message": _ANSWERS[self.code][1]}
        if self.detail is not None:
            fault["detail"] = self.detail
        return orjson.dumps({"errors": [fault]}, option=orjson.OPT_APPEND_NEWLINE)


def make_app(
    server: TrustServer,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    stamps: Stamps | None = None,
    middleware: Iterable[Any] = (),
    most: int = 64 << 20,
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application.

    Args:
        server: Does the work.
        now: Reads the clock, once per request.
        stamps: Lets a server in front repeat answers (see :data:`HOT`); without, every answer is looked up.
        middleware: Falcon middleware, outermost first: the place of authentication and metrics. An answer to a
            request that bears credentials is never repeated, so authentication sees every such request.
        most: Bytes that an upload may have. A collection of 700 000 tags has 64 MB.
    """
    app = falcon.App(middleware=list(middleware))
    options = MultipartParseOptions()
    options.max_body_part_count = _MOST_PARTS
    options.max_body_part_buffer_size = most
    app.req_options.media_handlers = falcon.media.Handlers({falcon.MEDIA_MULTIPART: MultipartFormHandler(options)})
    api = _Api(server, now, stamps, most)
    for pattern, methods in api.routes():  # falcon asks the last one first
        app.add_sink(_Sink(methods), re.compile(pattern))
    app.add_error_handler(HttpError, _say)
    app.add_error_handler(falcon.HTTPError, _say_http)
    app.add_error_handler(VersionTakenError, _say_taken)
    app.add_error_handler(UntrustedError, _say_refused)
    app.add_error_handler(UnavailableError, _say_unavailable)
    app.add_error_handler(Exception, _say_bug)
    return app


class _Sink:
    """Answers one route; other methods are answered as if there were none."""

    def __init__(self, methods: "_Methods") -> None:
        self._methods = methods

    def __call__(self, req: falcon.Request, resp: falcon.Response, **named: str) -> None:
        clean = _clean(req.path)
        if clean != req.path:
            raise falcon.HTTPMovedPermanently(quote(clean) + (f"?{req.query_string}" if req.query_string else ""))
        handle = self._methods.get(req.method)
        if handle is not None:
            handle(req, resp, **named)
        elif req.method in _ROUTED:
            raise HttpError("METADATA_NOT_FOUND")
        else:
            resp.status = falcon.HTTP_405


class _Api:
    """The handlers, by route."""

    def __init__(self, server: TrustServer, now: Callable[[], datetime], stamps: Stamps | None, most: int) -> None:
        self._server, self._now, self._stamps, self._most = server, now, stamps, most

    def routes(self) -> "list[tuple[str, _Methods]]":
        """Return the routes, the one that takes everything first."""
        tuf = r"/v2/(?P<name>[^*]+)/_trust/tuf/"
        role = r"(?P<role>root|snapshot|timestamp|targets(?:/[-a-z0-9_]+)*)"
        return [
            (r"/", {}),
            (r"/_notary_server/health\Z", {"GET": self.health}),
            (r"/v2/\Z", {"GET": self.ping}),
            (r"/v2/(?:(?P<name>[^*]+)/)?_trust/changefeed\Z", {"GET": self.changes}),
            (rf"{tuf}\Z", {"POST": self.upload, "DELETE": self.delete}),
            (r"/v2/(?P<name>[^*]+)/_trust/replica/\Z", {"POST": self.replicate}),
            (rf"{tuf}(?P<role>snapshot|timestamp)\.key\Z", {"GET": self.key, "POST": self.next_key}),
            (rf"{tuf}(?P<version>[0-9]{{1,18}})\.{role}\.json\Z", {"GET": self.past}),
            (rf"{tuf}{role}\.(?P<sha256>[0-9a-fA-F]{{64}})\.json\Z", {"GET": self.past}),
            (rf"{tuf}{role}\.json\Z", {"GET": self.current}),
        ]

    def ping(self, _: falcon.Request, resp: falcon.Response) -> None:
        """Say that this is a trust server, and that it asks for no credentials."""
        _text(resp, b"{}")

    def health(self, _: falcon.Request, resp: falcon.Response) -> None:
        """Say that the storage can be read; if not, that is the answer."""
        self._server.changes(None, limit=1)
        resp.content_type = "application/json; charset=utf-8"
        resp.data = b"{}"

    def current(self, req: falcon.Request, resp: falcon.Response, name: str, role: str) -> None:
        """Send the current file of a role."""
        gun = _readable(name)
        hot = self._hot(gun)
        file = self._server.current(gun, role, self._now())
        self._send(req, resp, file, "public, max-age=300, s-maxage=300, must-revalidate", hot)

    def past(
        self, req: falcon.Request, resp: falcon.Response, name: str, role: str, version: str = "", sha256: str = ""
    ) -> None:
        """Send a file of a role by its version or digest."""
        gun = _readable(name)
        hot = self._hot(gun)
        file = self._server.past(gun, role, version=int(version) if version else None, sha256=sha256 or None)
        self._send(req, resp, file, "public, max-age=2592000, s-maxage=2592000", hot)

    def upload(self, req: falcon.Request, _: falcon.Response, name: str) -> None:
        """Take files into a collection."""
        gun = _writable(name)
        self._server.accept(gun, self._parts(req, is_role), self._now())

    def replicate(self, req: falcon.Request, _: falcon.Response, name: str) -> None:
        """Take files, and the history of the root, into a replica of a collection that is signed elsewhere."""
        gun = _writable(name)
        self._server.replicate(gun, self._parts(req, _is_replicated), self._now())

    def _parts(self, req: falcon.Request, known: Callable[[str], bool]) -> dict[str, bytes]:
        if (req.content_length or 0) > self._most:
            raise HttpError("MALFORMED_UPLOAD", f"an upload may have {self._most} bytes", status=413)
        return _parts(req, known)

    def delete(self, _req: falcon.Request, _resp: falcon.Response, name: str) -> None:
        """Forget a collection."""
        self._server.delete(_writable(name), self._now())

    def key(self, _: falcon.Request, resp: falcon.Response, name: str, role: str) -> None:
        """Send the public key of a role that the server signs."""
        _text(resp, self._server.key(_readable(name), role))

    def next_key(self, _: falcon.Request, resp: falcon.Response, name: str, role: str) -> None:
        """Send a new public key for a role that the server signs."""
        _text(resp, self._server.next_key(_writable(name), role))

    def changes(self, req: falcon.Request, resp: falcon.Response, name: str | None = None) -> None:
        """Send changes, oldest first: *records* after *change_id*, or that many before it if negative."""
        gun = _readable(name) if name else None
        text = req.get_param("records") or ""
        records = _integer(text, f"invalid records parameter: {text[:40]!r} is not an integer") or _USUAL_CHANGES
        change_id = _integer(req.get_param("change_id") or "0", {})
        limit = min(abs(records), _MOST_CHANGES)
        if records > 0:
            found = self._server.changes(gun, after=change_id, limit=limit)
        else:
            found = self._server.changes(gun, before=change_id if change_id > 0 else None, limit=limit)
        _text(resp, orjson.dumps({"count": len(found), "records": [_spell_change(each) for each in found]}))

    def _hot(self, gun: Gun) -> "tuple[slice, bytes] | None":
        """Return the stamp to read under; it has to be taken before the reading."""
        if self._stamps is None:
            return None
        slot = self._stamps.slot(gun)
        return slot, self._stamps.read(slot)

    def _send(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        file: File | None,
        caching: str,
        hot: "tuple[slice, bytes] | None",
    ) -> None:
        if file is None:
            raise HttpError("METADATA_NOT_FOUND", {})
        _text(resp, file.raw)
        resp.set_header("Cache-Control", caching)
        resp.last_modified = file.created
        if hot:
            req.env[HOT] = Hot(*hot, file.renew.timestamp() if file.renew else math.inf)


# --- requests --------------------------------------------------------------------------------------------------


def _readable(name: str) -> Gun:
    """Return the GUN of a request that reads; there is nothing under a name that none can have."""
    gun = _gun(name)
    if isinstance(gun, NameFormError):
        raise HttpError("METADATA_NOT_FOUND", {}) from gun
    return gun


def _writable(name: str) -> Gun:
    """Return the GUN of a request that writes."""
    gun = _gun(name)
    if isinstance(gun, NameFormError):
        raise HttpError("INVALID_GUN", str(gun)) from gun
    return gun


def _gun(name: str) -> Gun | NameFormError:
    if "\ufffd" in name:  # what bytes that are not UTF-8 have become, so that many names would be one
        return NameFormError(name, "GUN", "it is not UTF-8")
    try:
        return Gun(name)
    except NameFormError as exc:
        return exc


def _is_replicated(name: str) -> bool:
    """Say whether *name* is that of a file of a replica: a role, but of the root each version, as ``7.root``."""
    return name != ROOT and (is_role(name) or _ROOT_VERSION.fullmatch(name) is not None)


def _parts(req: falcon.Request, known: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the uploaded files by role, which has to be *known*; of several for one role the last counts."""
    files: dict[str, bytes] = {}
    try:
        form = req.get_media()
        if not isinstance(form, MultipartForm):
            raise HttpError("MALFORMED_UPLOAD", "a multipart/form-data body is due")
        for part in form:
            role = (part.filename or "").removesuffix(".json")
            if not role:
                raise HttpError("NO_FILENAME")
            if not known(role):
                raise HttpError("INVALID_ROLE", role[:256])
            files[role] = part.get_data()
    except falcon.HTTPError as exc:
        raise HttpError("MALFORMED_UPLOAD", exc.description or exc.title) from exc
    except (ValueError, AssertionError) as exc:  # headers that are not text; a body of unknown length
        raise HttpError("MALFORMED_UPLOAD") from exc
    return files


def _integer(text: str, detail: object) -> int:
    if not _INTEGER.fullmatch(text):
        raise HttpError("INVALID_PARAMETERS", detail)
    return int(text)


def _clean(path: str) -> str:
    """Return *path* without ``//``, ``.`` and ``..``, as Go's router redirects it."""
    if "//" not in path and "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


# --- answers ---------------------------------------------------------------------------------------------------


def _text(resp: falcon.Response, data: bytes) -> None:
    resp.content_type = "text/plain; charset=utf-8"
    resp.data = data


def _spell_change(change: ChangeRecord) -> dict[str, Any]:
    whole, dot, fraction = change.created.replace(tzinfo=None).isoformat().partition(".")
    return {
        "ID": str(change.id),
        "CreatedAt": f"{whole}{dot}{fraction.rstrip('0')}Z",
        "GUN": change.gun,
        "Version": change.version,
        "SHA256": change.sha256,
        "Category": change.category,
    }


def _say(_req: falcon.Request, resp: falcon.Response, error: HttpError, _named: object) -> None:
    resp.status = error.status or _ANSWERS[error.code][0]
    resp.content_type = "application/json; charset=utf-8"
    resp.data = error.body()


def _say_taken(req: falcon.Request, resp: falcon.Response, _error: VersionTakenError, named: object) -> None:
    _say(req, resp, HttpError("VERSION", {}), named)


def _say_refused(req: falcon.Request, resp: falcon.Response, error: UntrustedError, named: object) -> None:
    """Say why in the one shape that Go clients show, and within the 1024 bytes that they read of it."""
    role = error.role if isinstance(error, RefusedError) else ""
    fault: dict[str, str] = {}
    name = {ROOT: "ErrBadRoot", SNAPSHOT: "ErrBadSnapshot"}.get(role, "ErrBadTargets" if role else "ErrValidation")
    if isinstance(error, MissingError):
        name = {ROOT: "ErrValidation", SNAPSHOT: "ErrBadHierarchy"}.get(role, name)
        fault = {"Missing": SNAPSHOT} if role == SNAPSHOT else {}
    text = str(error)
    while len((said := HttpError("INVALID_UPDATE", {"Name": name, "Error": {**fault, "Msg": text}})).body()) > _SHOWN:
        text = text[: len(text) * 3 // 4] + "…"
    _say(req, resp, said, named)


def _say_unavailable(req: falcon.Request, resp: falcon.Response, error: UnavailableError, named: object) -> None:
    if not isinstance(error, BusyError):
        _LOG.error("%s", error)
    _say(req, resp, HttpError("UPDATING" if isinstance(error, BusyError) else "UNKNOWN", status=503), named)


def _say_http(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, named: object) -> None:
    """Say what falcon, or a middleware, found wrong with a request before any handler saw it."""
    code = {401: "UNAUTHORIZED", 403: "DENIED"}.get(error.status_code, "MALFORMED_UPLOAD")
    resp.set_headers(error.headers or {})
    _say(req, resp, HttpError(code, error.description, status=error.status_code), named)


def _say_bug(req: falcon.Request, resp: falcon.Response, error: Exception, named: object) -> None:
    _LOG.exception("%s %s failed", req.method, req.path, exc_info=error)
    _say(req, resp, HttpError("UNKNOWN"), named)


_Methods: TypeAlias = Mapping[str, Callable[..., None]]
_LOG = logging.getLogger("trustreg.server")
_ROUTED = frozenset({"GET", "POST", "PUT", "HEAD", "DELETE"})
_MOST_PARTS = 1024  # as many roles as a reader follows in one collection
_USUAL_CHANGES, _MOST_CHANGES = 100, 1000
_ROOT_VERSION = re.compile(rf"[1-9][0-9]{{0,8}}\.{ROOT}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SHOWN = 1024
_ANSWERS: Mapping[str, tuple[int, str]] = {
    "DENIED": (403, "requested access to the resource is denied"),
    "INVALID_GUN": (400, "The server does not support actions on images of this name."),
    "INVALID_PARAMETERS": (400, "The parameters provided are not valid."),
    "INVALID_ROLE": (400, "The role you are attempting to operate on is invalid."),
    "INVALID_UPDATE": (400, "Update sent by the client is invalid."),
    "MALFORMED_UPLOAD": (400, "The body of your request is malformed."),
    "METADATA_NOT_FOUND": (404, "You have requested metadata that does not exist."),
    "NO_FILENAME": (400, "No file/role name provided."),
    "UNAUTHORIZED": (401, "authentication required"),
    "UNKNOWN": (500, "unknown error"),
    "UPDATING": (503, "An error has occurred while updating the TUF repository."),
    "VERSION": (400, "A newer version of metadata is already available."),
}
