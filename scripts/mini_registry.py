"""
A registry in memory, for a demonstration on a machine that has none.

It speaks what the OCI distribution specification calls pull and push, over plain http on
loopback, to anybody, and forgets everything when it ends. Never a registry to keep images in.

    python3 -m scripts.mini_registry --port 5000
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
import secrets
import sys
import threading
import urllib.parse
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self


class MiniRegistry:
    """
    A running registry; a context manager, for as long as it runs.

    >>> with MiniRegistry() as registry:
    ...     registry.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, port: int = 0) -> None:
        """Listen on *port* of 127.0.0.1, on any free one when it is 0."""
        self._server = _Server(port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def host(self) -> str:
        """The address as image references spell it, ``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Request:
    """What a registry answers by; the method is never HEAD, which is GET without the body."""

    method: str
    path: str
    query: Mapping[str, str]
    media_type: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request is refused, with a status and a code of the specification's."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Store:
    """All images: blobs and manifests by repository and digest, digests by repository and tag."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._uploads: dict[tuple[str, str], bytes] = {}
        name = r"/v2/([a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*)"
        digest = r"sha256:[0-9a-f]{64}"
        reference = rf"\w[\w.-]{{0,127}}|{digest}"
        self._routes: Sequence[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", r"/v2/", self._ping),
            ("GET", rf"{name}/tags/list", self._list_tags),
            ("GET", rf"{name}/blobs/({digest})", self._get_blob),
            ("POST", rf"{name}/blobs/uploads/", self._start_upload),
            ("GET", rf"{name}/blobs/uploads/(\w+)", self._show_upload),
            ("PATCH", rf"{name}/blobs/uploads/(\w+)", self._continue_upload),
            ("PUT", rf"{name}/blobs/uploads/(\w+)", self._finish_upload),
            ("GET", rf"{name}/manifests/({reference})", self._get_manifest),
            ("PUT", rf"{name}/manifests/({reference})", self._put_manifest),
            ("DELETE", rf"{name}/manifests/({digest})", self._delete_manifest),
            ("GET", rf"{name}/referrers/({digest})", self._list_referrers),
        ]

    def answer(self, request: Request) -> Answer:
        """
        Do what *request* asks for, one request at a time.

        Raises:
            RefusedError: It asks for what is not there, or not allowed.
        """
        for method, pattern, handle in self._routes:
            if method == request.method and (found := re.fullmatch(pattern, request.path, re.ASCII)):
                with self._lock:
                    return handle(request, *found.groups())
        raise RefusedError(HTTPStatus.NOT_FOUND, "UNSUPPORTED", f"no {request.method} {request.path}")

    def _ping(self, _: Request) -> Answer:
        return _json_answer(HTTPStatus.OK, {})

    def _list_tags(self, _: Request, name: str) -> Answer:
        tags = sorted(tag for repository, tag in self._tags if repository == name)
        return _json_answer(HTTPStatus.OK, {"name": name, "tags": tags})

    def _get_blob(self, _: Request, name: str, digest: str) -> Answer:
        if (raw := self._blobs.get((name, digest))) is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"{name} has no blob {digest}")
        return _content("application/octet-stream", digest, raw)

    def _start_upload(self, request: Request, name: str) -> Answer:
        """Begin an upload, or do all of it when the digest is given; a wish to mount from elsewhere is not granted."""
        if digest := request.query.get("digest"):
            return self._put_blob(name, digest, request.body)
        upload = secrets.token_hex(16)
        self._uploads[name, upload] = b""
        return self._progress(HTTPStatus.ACCEPTED, name, upload)

    def _show_upload(self, _: Request, name: str, upload: str) -> Answer:
        return self._progress(HTTPStatus.NO_CONTENT, name, upload)

    def _continue_upload(self, request: Request, name: str, upload: str) -> Answer:
        self._uploads[name, upload] = self._uploaded(name, upload) + request.body
        return self._progress(HTTPStatus.ACCEPTED, name, upload)

    def _finish_upload(self, request: Request, name: str, upload: str) -> Answer:
        raw = self._uploaded(name, upload) + request.body
        del self._uploads[name, upload]
        return self._put_blob(name, request.query.get("digest", ""), raw)

    def _uploaded(self, name: str, upload: str) -> bytes:
        if (raw := self._uploads.get((name, upload))) is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", f"no upload {upload} to {name}")
        return raw

    def _progress(self, status: HTTPStatus, name: str, upload: str) -> Answer:
        last = max(len(self._uploaded(name, upload)) - 1, 0)
        location = f"/v2/{name}/blobs/uploads/{upload}"
        return Answer(status, headers={"Location": location, "Docker-Upload-UUID": upload, "Range": f"0-{last}"})

    def _put_blob(self, name: str, digest: str, raw: bytes) -> Answer:
        if digest != _digest(raw):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the bytes are {_digest(raw)}")
        self._blobs[name, digest] = raw
        return _created(f"/v2/{name}/blobs/{digest}", digest)

    def _get_manifest(self, _: Request, name: str, reference: str) -> Answer:
        digest = self._tags.get((name, reference), reference)
        if (found := self._manifests.get((name, digest))) is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        media_type, raw = found
        return _content(media_type, digest, raw)

    def _put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        digest = _digest(request.body)
        if ":" in reference and reference != digest:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the bytes are {digest}")
        for part in _referred(request.body):
            if (name, part) not in self._blobs and (name, part) not in self._manifests:
                raise RefusedError(HTTPStatus.NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", f"{name} has no {part}")
        self._manifests[name, digest] = (request.media_type, request.body)
        if ":" not in reference:
            self._tags[name, reference] = digest
        answer = _created(f"/v2/{name}/manifests/{digest}", digest)
        if subject := _subject(request.body):
            return Answer(answer.status, headers={**answer.headers, "OCI-Subject": subject})
        return answer

    def _delete_manifest(self, _: Request, name: str, digest: str) -> Answer:
        if self._manifests.pop((name, digest), None) is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"{name} has no manifest {digest}")
        self._tags = {key: to for key, to in self._tags.items() if (key[0], to) != (name, digest)}
        return Answer(HTTPStatus.ACCEPTED)

    def _list_referrers(self, request: Request, name: str, subject: str) -> Answer:
        """Source: OCI distribution-spec 1.1, "Listing Referrers"."""
        mine = [(digest, *found) for (there, digest), found in self._manifests.items() if there == name]
        found = [_descriptor(*one) for one in mine if _subject(one[2]) == subject]
        kind = request.query.get("artifactType")
        if kind:
            found = [entry for entry in found if entry["artifactType"] == kind]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}
        headers = {"Content-Type": _INDEX, **({"OCI-Filters-Applied": "artifactType"} if kind else {})}
        return Answer(HTTPStatus.OK, json.dumps(index).encode(), headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = Store()

    def handle_error(self, request: object, client_address: object) -> None:
        """Take it as it is that somebody has hung up before the answer; anything else is a bug."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Turns bytes on a connection into a request, and an answer into bytes."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # a body that follows its headers is not to wait for them to be acknowledged

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Take every method, ``do_GET`` and the like, the same way."""
        if name.startswith("do_"):
            return self._do
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing: a demonstration prints its own story."""

    def _do(self) -> None:
        try:
            answer = self.server.store.answer(self._request())
        except RefusedError as refused:
            answer = _json_answer(refused.status, {"errors": [{"code": refused.code, "message": str(refused)}]})
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _request(self) -> Request:
        """Read the whole request before anything is decided, so that the connection can go on."""
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        body = b"".join(self._chunks()) if chunked else self._read(self.headers.get("Content-Length", "0"), base=10)
        path, _, query = self.path.partition("?")
        return Request(
            "GET" if self.command == "HEAD" else self.command,
            urllib.parse.unquote(path),
            dict(urllib.parse.parse_qsl(query)),
            self.headers.get("Content-Type", "application/octet-stream"),
            body,
        )

    def _chunks(self) -> Iterator[bytes]:
        """Source: RFC 9112 section 7.1; extensions and trailers mean nothing here."""
        total = 0
        while chunk := self._read(self.rfile.readline(256).partition(b";")[0].decode("latin-1"), base=16):
            self._limit(total := total + len(chunk))
            yield chunk
            self.rfile.readline(256)
        while self.rfile.readline(4096).strip():
            pass

    def _read(self, length: str, base: int) -> bytes:
        try:
            size = int(length, base)
        except ValueError:
            size = -1
        self._limit(size)
        return self.rfile.read(size)

    def _limit(self, size: int) -> None:
        if not 0 <= size <= _MAX_BODY:
            self.close_connection = True  # what follows on it cannot be told from the body
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "SIZE_INVALID", "no such length is taken")


def _json_answer(status: HTTPStatus, document: object) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _content(media_type: str, digest: str, raw: bytes) -> Answer:
    return Answer(HTTPStatus.OK, raw, {"Content-Type": media_type, "Docker-Content-Digest": digest})


def _created(location: str, digest: str) -> Answer:
    return Answer(HTTPStatus.CREATED, headers={"Location": location, "Docker-Content-Digest": digest})


def _digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _referred(manifest: bytes) -> list[str]:
    """List the digests that a manifest or an index cannot do without."""
    try:
        document = json.loads(manifest)
        parts = [*document.get("layers", []), *document.get("manifests", [])]
        parts += [document["config"]] if "config" in document else []
        return [part["digest"] for part in parts]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "MANIFEST_INVALID", f"not a manifest: {error}") from error


def _subject(manifest: bytes) -> str:
    """Return the digest of what a manifest refers to, which need not be there."""
    return str((json.loads(manifest).get("subject") or {}).get("digest", ""))


def _descriptor(digest: str, media_type: str, manifest: bytes) -> dict[str, object]:
    document = json.loads(manifest)
    kind = document.get("artifactType") or document.get("config", {}).get("mediaType", "")
    said = {"annotations": document["annotations"]} if "annotations" in document else {}
    return {"mediaType": media_type, "digest": digest, "size": len(manifest), "artifactType": kind, **said}


_INDEX = "application/vnd.oci.image.index.v1+json"
_MAX_BODY = 64 << 20  # a demonstration's image is some kilobytes


def main() -> None:
    """Run a registry until it is interrupted."""
    parser = argparse.ArgumentParser(description="A registry in memory, on loopback.")
    parser.add_argument("--port", type=int, default=5000, help="0 for any free one (default: %(default)s)")
    with MiniRegistry(parser.parse_args().port) as registry, contextlib.suppress(KeyboardInterrupt):
        print(f"listening on {registry.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
