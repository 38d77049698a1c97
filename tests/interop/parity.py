"""What the parity tests are made of: trustreg inside this process, keys of all kinds, and readers of every kind."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509.oid import NameOID

from tests.interop.test_notary_reads import sha256
from tests.peers import DelegationRow, DockerTrust, GoNotary, TargetRow, Trustreg
from tests.peers.command import CommandError, Result
from tests.peers.process import write_private
from trustreg.cli.entry import run
from trustreg.sign.keyfile import key_id
from trustreg.sign.signer import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.peers.trust import TrustServerPeer


def on(*servers: str) -> pytest.MarkDecorator:
    """Have a test run on these trust servers, where one or two are enough."""
    return pytest.mark.parametrize("trust_server_tls", servers, indirect=True, scope="session")


class Hand(Trustreg):
    """
    Somebody with trustreg, and their trust directory in the form of Go's client, which opens keys in less time.

    Commands run in this process: there are too many to start Python for each.
    """

    def __init__(self, server: TrustServerPeer, home: Path, *, trust_dir: Path | None = None) -> None:
        super().__init__(server, home, trust_dir=trust_dir or home / ".notary")

    def run(self, *args: str | Path, stdin: bytes = b"", check: bool = True, timeout: float = 60) -> Result:
        """Run ``trustreg`` with *args*."""
        del timeout
        argv = self.argv(*args)
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with (
            patch.dict(os.environ, self.env, clear=True),
            patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
            contextlib.chdir(self.home),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run(list(argv[3:]))
        result = Result(argv, code, out.buffer.getvalue(), err.buffer.getvalue())
        if check and code:
            raise CommandError(result)
        return result

    def refused(self, *args: str | Path) -> str:
        """Run what has to end as a usage error with nothing on stdout; give what it says."""
        result = self.run(*args, check=False)
        assert (result.returncode, result.stdout) == (2, ""), result
        return result.stderr

    def sign(self, gun: str, name: str, *more: str | Path) -> None:
        """Sign the digest that these tests have for *name*, in what ``--role`` says in *more*."""
        self.run("add", "--gun", gun, "--name", name, *_digest(name), *more)

    def counting(self, gun: str, *roles: str) -> list[TargetRow]:
        """List what counts where the word of *roles* does, in this order."""
        tags = self.json("list", gun, *(word for role in roles for word in ("--role", role)))["tags"]
        return [
            TargetRow(tag["tag"], tag["digest"].removeprefix("sha256:"), tag["length"], tag["role"])
            for tag in tags
            if tag["counts"]
        ]

    def versions(self, gun: str) -> dict[str, int]:
        """Give the version of each role."""
        return {role["name"]: role["version"] for role in self.json("role", "show", "--gun", gun)["roles"]}

    def signs(self, gun: str) -> dict[str, list[str]]:
        """Give the ids of the keys of each role, as the collection lists them."""
        roles = self.json("role", "show", "--gun", gun)["roles"]
        return {role["name"]: [key["keyid"] for key in role["keys"]] for role in roles}


@dataclass(frozen=True)
class Person:
    """Somebody's signing key: private half, public half (a certificate, or the plain key) and id."""

    private: Path
    public: Path
    keyid: str


def person(directory: Path, name: str, kind: str = "ecdsa", *, certificate: bool = False) -> Person:
    """Make a key for *name*, as OpenSSL would; with a certificate, or without."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65_537, 2048)
    private, public = directory / f"{name}.key", directory / f"{name}.{'crt' if certificate else 'pub'}"
    form, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    write_private(private, key.private_bytes(pem, form, serialization.NoEncryption()))
    half = key.public_key()
    if certificate:
        public.write_bytes(certify(name, half, key).public_bytes(pem))
    else:
        public.write_bytes(half.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return Person(private, public, key_id(*describe(half)))


def root_certificate(directory: Path, gun: str, root: Person) -> Path:
    """Have a CA certify the key of *root* for the collection *gun*; give the file, the CA's own certificate in it."""
    ca, public = ec.generate_private_key(ec.SECP256R1()), load_pem_public_key(root.public.read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    issuer = certify("our CA", ca.public_key(), ca, ca=True)
    file = directory / "root.crt"
    both = (certify(gun, public, ca, issuer), issuer)
    file.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in both))
    return file


def certify(
    name: str,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    issuer: x509.Certificate | None = None,
    *,
    ca: bool = False,
) -> x509.Certificate:
    """Certify *public* as *name*'s, by *issuer*'s *key*, or by its own."""
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


class Crowd:
    """
    Readers of every kind, of one collection: Go's client, trustreg and Docker, each with a cache, and Go's without.

    Args:
        server: Speaks https, for Docker.
        place: Where they keep what they know.
    """

    def __init__(self, server: TrustServerPeer, place: Path) -> None:
        self.server, self._place, self._new = server, place, itertools.count()
        self.go = GoNotary(server, place / "go-reader" / "trust")
        self.go.trust_dir.mkdir(parents=True)
        self.hand = Hand(server, place / "reader")
        self.docker = DockerTrust(server, place / "docker-reader")

    def see(self, gun: str, *rows: TargetRow, roles: Sequence[DelegationRow] = ()) -> None:
        """Require all of them to find just *rows*, each where the first role lists it, and *roles* delegated to."""
        self.find(gun, *rows, roles=[each.role for each in roles])
        ours = map(_row, self.hand.json("delegation", "list", gun)["delegations"])
        assert _sorted(roles) == _sorted(self.go.delegation_list(gun)) == _sorted(ours)
        self.agree(gun)

    def find(self, gun: str, *rows: TargetRow, roles: Sequence[str] = ()) -> None:
        """Require Go's client, with its cache and without, and trustreg to find just *rows*."""
        expected = sorted(rows, key=lambda row: row.name)
        new = self._place / f"new-reader-{next(self._new)}" / "trust"
        new.mkdir(parents=True)
        assert expected == self.go.list(gun)
        assert expected == GoNotary(self.server, new).list(gun)
        assert expected == self.hand.counting(gun, "targets", *roles)

    def agree(self, *images: str) -> list[dict[str, Any]]:
        """Require Docker and trustreg to print the same of *images*; give it."""
        theirs = self.docker.run("inspect", *images, check=False)
        ours = self.hand.run("inspect", "--format", "docker", *images, check=False)
        assert (theirs.returncode, json.loads(theirs.stdout)) == (ours.returncode, json.loads(ours.stdout))
        found: list[dict[str, Any]] = json.loads(ours.stdout)
        return found


def go_adds(go: GoNotary, gun: str, name: str, *roles: str, publish: bool = True) -> None:
    """Have Go sign *name* in *roles*, or in ``targets``."""
    go.addhash(gun, name, len(name), sha256=sha256(name), roles=roles, publish=publish)


def role(name: str, *people: Person | str, paths: Sequence[str] = ("",), threshold: int = 1) -> DelegationRow:
    """Give the row of a delegation."""
    keyids = tuple(each if isinstance(each, str) else each.keyid for each in people)
    return DelegationRow(name, tuple(paths), keyids, threshold)


def _digest(name: str) -> tuple[str, ...]:
    return ("--digest", f"sha256:{sha256(name)}", "--length", str(len(name)))


def _sorted(rows: Iterable[DelegationRow]) -> list[DelegationRow]:
    """Have no order matter; that of roles is a matter of ``see``'s own rows."""
    same = (DelegationRow(r.role, tuple(sorted(r.paths)), tuple(sorted(r.key_ids)), r.threshold) for r in rows)
    return sorted(same, key=lambda row: row.role)


def _row(spelled: dict[str, Any]) -> DelegationRow:
    return DelegationRow(spelled["name"], tuple(spelled["paths"]), tuple(spelled["keys"]), spelled["threshold"])
