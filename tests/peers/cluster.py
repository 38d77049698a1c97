"""
A small stand-in for the API server of a cluster: the few documented routes that are asked for, over TLS, with a token.

No real one can be had from the package registries; ``scripts/try_in_kind`` does the same with one.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.peers.authority import Authority

TOKEN = "the token of a service account"


class ClusterPeer:
    """Objects by the path of their URL; ``asked`` is every path that was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, Any] = {}
        self.asked: list[str] = []

    def secret(self, namespace: str, name: str, host: str, login: tuple[str, str], **more: Any) -> None:
        """Keep a secret to pull with."""
        auth = b64encode(":".join(login).encode()).decode()
        content = json.dumps({"auths": {host: {"auth": auth}}, **more})
        self._put("v1", "Secret", "secrets", namespace, name, data={".dockerconfigjson": _encoded(content)})

    def account(self, namespace: str, name: str, *secrets: str) -> None:
        """Keep a service account with secrets to pull with."""
        names = [{"name": each} for each in secrets]
        self._put("v1", "ServiceAccount", "serviceaccounts", namespace, name, imagePullSecrets=names)

    def replica_set(self, namespace: str, name: str, *images: str) -> dict[str, str]:
        """Keep a ReplicaSet; return the reference to it that its pods have."""
        spec = {"template": {"spec": {"containers": [{"name": image, "image": image} for image in images]}}}
        self._put("apps/v1", "ReplicaSet", "replicasets", namespace, name, spec=spec)
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": f"ReplicaSet-{name}"}

    def _put(self, version: str, kind: str, plural: str, namespace: str, name: str, **content: Any) -> None:
        root = "apis" if "/" in version else "api"
        path = f"/{root}/{version}/namespaces/{namespace}/{plural}/{name}"
        metadata = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}"}
        self.objects[path] = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def kubeconfig(self, folder: Path, ca: Path) -> Path:
        """Write what ``KUBECONFIG`` names."""
        path = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": str(ca)}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(json.dumps(document))
        return path


@contextlib.contextmanager
def cluster(authority: Authority) -> Iterator[ClusterPeer]:
    """Serve what is kept, to who has the token."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer with the object, or with a Status as the API has it."""
            peer.asked.append(self.path)
            found = peer.objects.get(self.path)
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._send(401, _status(401, "Unauthorized"))
            elif found is None:
                self._send(404, _status(404, "NotFound"))
            else:
                self._send(200, found)

        def _send(self, status: int, content: Mapping[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    pair = authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.socket = context.wrap_socket(server.socket, server_side=True)
        peer = ClusterPeer(f"https://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()


def _status(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
