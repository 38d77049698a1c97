"""Files that are replaced while they are in use: certificates and policies.

Kubernetes replaces a mounted secret by turning a link over, others by renaming. Both give the path another inode; who
writes into the file changes its size or time.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from trustreg.errors import FileError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Watch:
    """Says whether files have changed since it was last asked, or since they were added."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._seen = {path: _mark(path) for path in paths}

    def add(self, path: Path) -> None:
        """Watch *path* as well, as it is now: before it is read, so that no change is missed."""
        self._seen.setdefault(path, _mark(path))

    def changed(self) -> bool:
        """Say whether one of them is not what it was."""
        before, self._seen = self._seen, {path: _mark(path) for path in self._seen}
        return before != self._seen


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


class Certificate:
    """The certificate of a server, which can be replaced between two handshakes.

    Each handshake begins in a context that has no say, and goes on in the one that is current then, whole: certificate
    and key are never of two generations, and nothing of an earlier one stays behind, whatever the kinds of the keys.

    Raises:
        SettingError: They are no certificate with its key.
        FileError: They cannot be read.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self.paths = (cert, key)
        self._current, self.expires = self._load()
        self.context, _ = self._load()  # what handshakes begin in
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Use what the files hold now; what was in use stays where that is of no use, and the reason is raised."""
        self._current, self.expires = self._load()

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> tuple[ssl.SSLContext, datetime]:
        cert, key = self.paths
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.num_tickets = 0  # nobody resumes what another certificate was shown for
        try:
            context.load_cert_chain(cert, key, password="")
            leaf = x509.load_pem_x509_certificate(cert.read_bytes())
        except (ssl.SSLError, ValueError) as exc:
            problem = f"{cert} and {key} are no certificate with its key, not encrypted: {exc}"
            raise SettingError("--tls-cert, --tls-key", problem) from exc
        except OSError as exc:
            raise FileError(str(exc.filename or cert), (exc.strerror or str(exc)).lower()) from exc
        return context, leaf.not_valid_after_utc.astimezone(UTC)
