"""Serve a TUF repository: ``repository PORT...``, the same at each port, and write its root to ``root.json``."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.tuf_client.repository import Repository


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    files: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.files.get(self.path.removeprefix("/"))
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Serve until somebody ends it."""
    repo = Repository()
    repo.add("targets", "tools/app.tar", b"an archive " * 50_000)
    repo.publish()
    _Handler.files = repo.files
    Path("root.json").write_bytes(repo.files["metadata/1.root.json"])
    servers = [ThreadingHTTPServer(("127.0.0.1", int(port)), _Handler) for port in sys.argv[1:]]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    print("the repository is there", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
