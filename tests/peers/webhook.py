"""``trustreg admission serve`` as installed, and who sends reviews to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import sys
import uuid
from typing import TYPE_CHECKING, Any

from tests.peers.command import clean_env
from tests.peers.process import Peer, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.peers.authority import Authority


class WebhookPeer(Peer):
    """The webhook: its certificate, ``tls.crt`` and ``tls.key``, is in its directory."""

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection that trusts its authority, and nobody else."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return http.client.HTTPSConnection(self.host, timeout=30, context=context)

    def ask(
        self, method: str, path: str, body: Any = None, connection: http.client.HTTPSConnection | None = None
    ) -> tuple[int, bytes]:
        """Send *body*, as JSON if it is no bytes, and return status and body of the answer."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with (
            contextlib.closing(connection or self.connect())
            if connection is None
            else contextlib.nullcontext(connection) as asking
        ):
            asking.request(method, path, raw, {"Content-Type": "application/json"})
            answer = asking.getresponse()
            return answer.status, answer.read()

    def review(
        self, document: Any, path: str = "/validate", connection: http.client.HTTPSConnection | None = None
    ) -> dict[str, Any]:
        """Send a review and return the response."""
        status, body = self.ask("POST", f"{path}?timeout=10s", document, connection)
        assert status == 200, body
        found: dict[str, Any] = json.loads(body).get("response") or json.loads(body)["status"]
        return found

    def admit(self, *images: str, path: str = "/validate", **facts: Any) -> dict[str, Any]:
        """Ask whether a pod of *images* may be made, and return the response."""
        return self.review(pod_review(*images, **facts), path)

    def metrics(self) -> dict[str, float]:
        """Return each sample by name and labels, as it is written."""
        _, body = self.ask("GET", "/metrics")
        lines = [line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has logged of reviews."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if "uid" in line]


@contextlib.contextmanager
def webhook(
    policy: Path, authority: Authority, *args: str, env: Mapping[str, str] | None = None, files: bool = True
) -> Iterator[WebhookPeer]:
    """
    Run the webhook, certified by *authority*, until it is asked to end.

    Args:
        policy: The policy file.
        authority: Certifies it.
        args: More arguments.
        env: More variables.
        files: Make the files of its certificate.
    """
    with workspace("webhook") as (directory, port):
        if files:
            pair = authority.server()
            (directory / "tls.crt").write_bytes(pair.cert.read_bytes())
            (directory / "tls.key").write_bytes(pair.key.read_bytes())
        argv = [sys.executable, "-m", "trustreg", "admission", "serve", "--policy", str(policy)]
        argv += ["--listen", f"127.0.0.1:{port}", "--tls-cert", "tls.crt", "--tls-key", "tls.key", *args]
        peer = WebhookPeer(
            "trustreg admission serve",
            argv,
            port=port,
            directory=directory,
            env=clean_env(HOME=str(directory), **(env or {})),
            ca_file=authority.ca_file,
        )
        with peer.running():
            yield peer


def pod_review(
    *images: str,
    namespace: str = "team",
    dry_run: bool = False,
    annotations: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
    user: str = "alice",
    owner: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write the review of a new pod that runs *images*, as an API server does."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    metadata: dict[str, Any] = {"name": "app-1", "namespace": namespace}
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owner:
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    pods = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": pods,
            "requestKind": kind,
            "requestResource": pods,
            "name": "app-1",
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": user, "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"containers": containers, **(spec or {})},
            },
            "oldObject": None,
            "dryRun": dry_run,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    }
