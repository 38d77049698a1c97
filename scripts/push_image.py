"""
Push a small image, made up from a seed, into a registry: what ``skopeo copy`` does, for where there is none.

    python3 -m scripts.push_image http://127.0.0.1:5000 demo/app 1.0 --seed "hello"
"""

from __future__ import annotations

import argparse
import base64
import http.client
import urllib.parse
from typing import TYPE_CHECKING

from scripts.images import image

if TYPE_CHECKING:
    from scripts.images import Blob, Image


class PushError(Exception):
    """The registry would not take it; the text says what was asked and what it answered."""


def push(what: Image, registry: str, repository: str, tag: str, login: tuple[str, str] | None = None) -> str:
    """
    Push *what*, with all that it refers to, and move *tag* to it.

    Args:
        what: An image, or an index of several.
        registry: Its base URL, ``http://127.0.0.1:5000``.
        repository: The name inside the registry, ``demo/app``.
        tag: What it shall be called.
        login: User and password, sent as Basic authentication with each request.

    Returns:
        The digest that the tag points to now.

    Raises:
        PushError: The registry refused.
        OSError: The registry cannot be reached.
    """
    parts = urllib.parse.urlsplit(registry)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=30)
    try:
        target = _Repository(connection, repository, login)
        for part in what.walk():
            for blob in part.blobs:
                target.put_blob(blob)
            target.put_manifest(part.manifest, tag if part is what else part.digest)
    finally:
        connection.close()
    return what.digest


class _Repository:
    def __init__(self, connection: http.client.HTTPConnection, name: str, login: tuple[str, str] | None) -> None:
        self._connection, self._base = connection, f"/v2/{name}"
        self._headers = {"User-Agent": "trustreg-push"}
        if login:
            self._headers["Authorization"] = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"

    def put_blob(self, blob: Blob) -> None:
        """Upload a blob in one piece, unless it is there."""
        if self._ask("HEAD", f"{self._base}/blobs/{blob.digest}", expect=(200, 404)).status == 200:
            return
        began = self._ask("POST", f"{self._base}/blobs/uploads/", expect=(202,))
        location = urllib.parse.urlsplit(began.headers["Location"])  # relative or absolute, with a query or without
        query = "&".join(filter(None, [location.query, urllib.parse.urlencode({"digest": blob.digest})]))
        self._ask("PUT", f"{location.path}?{query}", blob.raw, "application/octet-stream", expect=(201,))

    def put_manifest(self, manifest: Blob, reference: str) -> None:
        """Upload a manifest under a tag or its digest."""
        self._ask("PUT", f"{self._base}/manifests/{reference}", manifest.raw, manifest.media_type, expect=(201,))

    def _ask(
        self, method: str, path: str, body: bytes = b"", media_type: str = "", *, expect: tuple[int, ...]
    ) -> http.client.HTTPResponse:
        headers = self._headers | ({"Content-Type": media_type} if media_type else {})
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read(65_536)
        if response.status not in expect:
            raise PushError(f"{method} {path}: {response.status} {response.reason}\n{text.decode(errors='replace')}")
        return response


def main() -> None:
    """Push an image made from a seed, and print its digest."""
    parser = argparse.ArgumentParser(description="Push a small image made from a seed.")
    parser.add_argument("registry", help="base URL, http://127.0.0.1:5000")
    parser.add_argument("repository", help="demo/app")
    parser.add_argument("tag", help="1.0")
    parser.add_argument("--seed", default="hello", help="another seed is another image (default: %(default)s)")
    args = parser.parse_args()
    print(push(image(args.seed), args.registry, args.repository, args.tag))


if __name__ == "__main__":
    main()
