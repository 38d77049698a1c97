"""
Requests of every shape, and what notary-server 0.7.0 answered (``recorded.json``).

All are about one collection with a client-managed snapshot, ``registry.example/team/app``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APP = "/v2/registry.example/team/app/_trust/tuf/"
NONE = "/v2/registry.example/team/none/_trust/tuf/"
FEED = "/v2/registry.example/team/app/_trust/changefeed"
RECORDED = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Shape:
    """One request; ``body`` is multipart with the boundary ``b`` where it begins with ``--b``."""

    method: str
    path: str
    body: bytes | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with the body."""
        return {"Content-Type": "multipart/form-data; boundary=b"} if self.body is not None else {}


def part(content: bytes, filename: str | None = None) -> bytes:
    """Return one part of a form, as the Go client writes it."""
    name = f'; filename="{filename}"' if filename is not None else ""
    head = (
        f'--b\r\nContent-Disposition: form-data; name="files"{name}\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    return head.encode() + content + b"\r\n"


END = b"--b--\r\n"
SHAPES = {
    "ping": Shape("GET", "/v2/"),
    "ping by HEAD": Shape("HEAD", "/v2/"),
    "ping by POST": Shape("POST", "/v2/"),
    "ping by PATCH": Shape("PATCH", "/v2/"),
    "ping by OPTIONS": Shape("OPTIONS", "/v2/"),
    "ping without the slash": Shape("GET", "/v2"),
    "nothing": Shape("GET", "/"),
    "health": Shape("GET", "/_notary_server/health"),
    "two slashes": Shape("GET", "/v2//registry.example/team/app/_trust/tuf/root.json"),
    "two dots": Shape("GET", "/v2/registry.example/../registry.example/./team/app/_trust/tuf/root.json"),
    "two slashes at the end": Shape("GET", "/v2//"),
    "two slashes, by POST, with a query": Shape("POST", f"/{APP}?a=b"),
    "timestamp": Shape("GET", f"{APP}timestamp.json"),
    "snapshot": Shape("GET", f"{APP}snapshot.json"),
    "targets": Shape("GET", f"{APP}targets.json"),
    "root": Shape("GET", f"{APP}root.json"),
    "root with a query": Shape("GET", f"{APP}root.json?a=b"),
    "root with an encoded slash": Shape("GET", "/v2/registry.example%2Fteam/app/_trust/tuf/root.json"),
    "root with encoded letters": Shape("GET", "/v2/%72egistry.example/team/app/_trust/tuf/%72oot.json"),
    "root by version": Shape("GET", f"{APP}1.root.json"),
    "root by version, zeros in front": Shape("GET", f"{APP}0001.root.json"),
    "root by a version nobody has": Shape("GET", f"{APP}9.root.json"),
    "root by version 0": Shape("GET", f"{APP}0.root.json"),
    "version behind the role": Shape("GET", f"{APP}root.1.json"),
    "targets by a digest nobody has": Shape("GET", f"{APP}targets.{'0' * 64}.json"),
    "targets by an upper-case digest": Shape("GET", f"{APP}targets.{'A' * 64}.json"),
    "targets by a short digest": Shape("GET", f"{APP}targets.{'0' * 63}.json"),
    "by HEAD": Shape("HEAD", f"{APP}root.json"),
    "by PUT": Shape("PUT", f"{APP}root.json"),
    "by PATCH": Shape("PATCH", f"{APP}root.json"),
    "a delegation nobody has": Shape("GET", f"{APP}targets/releases.json"),
    "a role that is none": Shape("GET", f"{APP}releases.json"),
    "a role in another case": Shape("GET", f"{APP}Root.json"),
    "a collection nobody has": Shape("GET", f"{NONE}timestamp.json"),
    "a star in the name": Shape("GET", "/v2/registry.example/*/_trust/tuf/root.json"),
    "a percent sign in the name": Shape("GET", "/v2/registry.example/a%25b/_trust/tuf/root.json"),
    "a line feed in the name": Shape("GET", "/v2/registry.example/a%0Ab/_trust/tuf/root.json"),
    "_trust in the name": Shape("GET", "/v2/registry.example/_trust/tuf/x/_trust/tuf/root.json"),
    "timestamp key": Shape("GET", f"{APP}timestamp.key"),
    "timestamp key of a collection nobody has": Shape("GET", f"{NONE}timestamp.key"),
    "next snapshot key": Shape("POST", f"{APP}snapshot.key"),
    "root key": Shape("GET", f"{APP}root.key"),
    "next targets key": Shape("POST", f"{APP}targets.key"),
    "changes without a number": Shape("GET", FEED),
    "changes": Shape("GET", f"{FEED}?records=10"),
    "changes, 0": Shape("GET", f"{FEED}?records=0"),
    "changes of all": Shape("GET", "/v2/_trust/changefeed?records=10"),
    "changes, no number": Shape("GET", f"{FEED}?records=x"),
    "changes, no id": Shape("GET", f"{FEED}?records=1&change_id=x"),
    "changes after the last": Shape("GET", f"{FEED}?records=1&change_id=99"),
    "changes backwards": Shape("GET", f"{FEED}?records=-1&change_id=-1"),
    "changes backwards from an id": Shape("GET", f"{FEED}?records=-1&change_id=99"),
    "changes backwards from the first": Shape("GET", f"{FEED}?records=-1&change_id=1"),
    "upload without the slash": Shape("POST", APP.rstrip("/")),
    "upload of nothing": Shape("POST", APP),
    "upload of an empty form": Shape("POST", APP, END),
    "upload of an empty form to nobody": Shape("POST", NONE, END),
    "upload of garbage": Shape("POST", APP, b"garbage"),
    "upload without an end": Shape("POST", APP, part(b"{}", "root")),
    "upload without a name": Shape("POST", APP, part(b"{}") + END),
    "upload with an empty name": Shape("POST", APP, part(b"{}", "") + END),
    "upload of a role that is none": Shape("POST", APP, part(b"{}", "releases") + END),
    "upload of no JSON": Shape("POST", APP, part(b"{", "root") + END),
    "upload of an empty root": Shape("POST", APP, part(b"{}", "root") + END),
    "upload of empty targets": Shape("POST", APP, part(b"{}", "targets") + END),
    "upload of an empty snapshot": Shape("POST", APP, part(b"{}", "snapshot") + END),
    "upload of a delegation": Shape("POST", APP, part(b"{}", "targets/releases") + END),
    "upload of a timestamp": Shape("POST", APP, part(b"{}", "timestamp") + END),
    "upload of targets to nobody": Shape("POST", NONE, part(b"{}", "targets") + END),
    "deletion without the slash": Shape("DELETE", APP.rstrip("/")),
    "deletion of nobody": Shape("DELETE", NONE),
}

OURS = {
    # A malformed form is an answer; Go drops the connection.
    "upload of garbage": "upload of nothing",
    "upload without an end": "upload of nothing",
    # One shape says why, and Go clients show it: MALFORMED_JSON they do not.
    "upload of no JSON": "upload of an empty root",
    # An empty list is a list.
    "changes after the last": None,
    "changes backwards from the first": None,
}
"""Where we answer otherwise on purpose: like notary-server to another request, or as the test says."""


def told(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return of an answer what is the same each time; *headers* by lower-case name."""
    names = ("content-type", "cache-control", "location") if body else ("cache-control", "location")
    return {"status": status, **{name: headers[name] for name in names if name in headers}, "body": _constant(body)}


def recorded() -> dict[str, Any]:
    """Return what notary-server answered, by name of the request."""
    answers: dict[str, Any] = json.loads(RECORDED.read_bytes())
    return answers


def _constant(body: bytes) -> Any:
    if not body:
        return None
    value = json.loads(body)
    assert body.endswith(b"\n") == ("errors" in value), "errors end with a line feed, and nothing else does"
    if "signed" in value:
        return value["signed"]["_type"]
    if "keytype" in value:
        return {**value, "keytype": "…", "keyval": dict.fromkeys(value["keyval"], "…")}
    for record in value.get("records") or ():
        record.update(dict.fromkeys(["CreatedAt", "SHA256", "ID"], "…"))
    for error in value.get("errors", ()):
        if error["code"] == "INVALID_UPDATE":
            error["detail"]["Error"]["Msg"] = "…"
        if error["code"] in {"MALFORMED_UPLOAD", "INVALID_PARAMETERS"} and error.get("detail"):
            del error["detail"]  # words
    return value
