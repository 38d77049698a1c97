"""A certificate authority for an afternoon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from tests.peers.process import write_private

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain, and its private key; both PEM files."""

    cert: Path
    key: Path


class Authority:
    """
    Issues certificates under one root, into *directory*.

    Make a second one to have a CA that nobody trusts, or one for clients only.
    """

    def __init__(self, directory: Path, name: str = "trustreg tests") -> None:
        self._directory, self._name = directory, name
        self._ca = trustme.CA(organization_name=name)
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_file = directory / "ca.crt"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def server(self) -> KeyPair:
        """Certify the loopback address, by number and as ``localhost``."""
        return self._issue("server", self._ca.issue_cert("127.0.0.1", "localhost", common_name="127.0.0.1"))

    def issue(
        self,
        name: str,
        *hosts: str,
        common_name: str | None = None,
        begins: datetime | None = None,
        ends: datetime | None = None,
        between: bool = False,
        whole: bool = True,
        kind: trustme.KeyType = trustme.KeyType.ECDSA,
    ) -> KeyPair:
        """
        Certify a server called *name* by whatever *hosts*.

        Args:
            name: Of the files.
            hosts: Subject alternative names.
            common_name: Of the subject.
            begins: From when on it is valid.
            ends: Until when.
            between: Have a CA between this one and the server issue it.
            whole: Have the file hold the certificate of that one, too.
            kind: Of its key.
        """
        issuer = trustme.CA(self._ca, organization_name=self._name) if between else self._ca
        leaf = issuer.issue_cert(*hosts, common_name=common_name, not_before=begins, not_after=ends, key_type=kind)
        pair = self._issue(name, leaf)
        if not whole:
            pair.cert.write_bytes(leaf.cert_chain_pems[0].bytes())
        return pair

    def client(self, name: str = "client") -> KeyPair:
        """Certify a client called *name*, for mutual TLS."""
        return self._issue(name, self._ca.issue_cert(f"{name}@clients.example", common_name=name))

    def _issue(self, name: str, leaf: trustme.LeafCert) -> KeyPair:
        pair = KeyPair(self._directory / f"{name}.cert", self._directory / f"{name}.key")
        pair.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        write_private(pair.key, leaf.private_key_pem.bytes())
        return pair
