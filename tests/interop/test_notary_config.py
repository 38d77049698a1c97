"""One ``config.json`` for Notary's own client and for us: both ask the same server and believe the same roots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop.test_notary_reads import sha256
from tests.peers import GoNotary, Passphrases, require
from tests.peers.command import clean_env, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers import Peer
    from tests.peers.command import Result

    Go = Callable[..., GoNotary]


class Reader:
    """Somebody with a ``config.json``, and with both tools, each with a trust directory of its own."""

    def __init__(self, home: Path, server: Peer, pinning: object, **remote: object) -> None:
        home.mkdir()
        self.home, self.file = home, home / "config.json"
        ca = {"root_ca": os.path.relpath(server.ca_file, home)} if server.ca_file else {}
        self.file.write_text(
            json.dumps({"remote_server": {"url": server.url, **ca, **remote}, "trust_pinning": pinning})
        )
        self.file.chmod(0o600)

    def notary(self, gun: str, trust: str = "go") -> bool:
        """Say whether Notary's client believes the collection."""
        argv: list[str | Path] = ["notary", "-c", self.file, "-d", self.home / trust, "list", gun]
        return run(argv, env=clean_env(HOME=str(self.home)), check=False).returncode == 0

    def trustreg(self, *words: str, trust: str = "ours", check: bool = False) -> Result:
        """Run ``trustreg``."""
        argv = (sys.executable, "-m", "trustreg", *words)
        places = ("--trust-dir", self.home / trust, "--notary-config", self.file)
        return run((*argv, *places), env=clean_env(HOME=str(self.home)), check=check)

    def believes(self, gun: str) -> bool:
        """Say whether we do; whatever else keeps us from reading is an error."""
        result = self.trustreg("list", gun)
        assert result.returncode in {0, 1}, result
        return result.returncode == 0


def root_key(go: GoNotary, gun: str) -> str:
    """Return the id that the root key of *gun* is listed under."""
    root = json.loads((go.trust_dir / "tuf" / gun / "metadata" / "root.json").read_bytes())
    (keyid,) = root["signed"]["roles"]["root"]["keyids"]
    assert isinstance(keyid, str)
    return keyid


def test_both_believe_what_is_pinned(go_server_tls: Peer, go_notary: Go, gun: str, tmp_path: Path) -> None:
    """
    By exact name, by the longest beginning, or not at all; over TLS with the CA that the file names.
    """
    go = go_notary(go_server_tls)
    go.init(gun)
    go.addhash(gun, "v1", 2, sha256=sha256("v1"), publish=True)
    right, wrong = [root_key(go, gun)], ["0" * 64]
    pinnings: list[tuple[object, bool]] = [
        ({"certs": {gun: right}}, True),
        ({"certs": {gun: wrong}}, False),
        ({"certs": {gun: right, f"{gun[:-1]}*": wrong, "*": wrong}}, True),
        ({"certs": {f"{gun[:-1]}*": right, f"{gun[:-2]}*": wrong}}, True),
        ({"certs": {f"{gun[:-1]}*": wrong, "*": right}}, False),
        ({"certs": {"registry.example": right}, "disable_tofu": True}, False),
        ({"certs": {"other.example*": wrong}}, True),
        ({}, True),
        ({"disable_tofu": True}, False),
    ]
    readers = [Reader(tmp_path / str(n), go_server_tls, pinning) for n, (pinning, _) in enumerate(pinnings)]

    assert [reader.notary(gun) for reader in readers] == [believed for _, believed in pinnings]
    assert [reader.believes(gun) for reader in readers] == [believed for _, believed in pinnings]


def test_pins_hold_with_a_warm_cache_too(go_server_tls: Peer, go_notary: Go, gun: str, tmp_path: Path) -> None:
    """
    A pin that was added later refuses what was believed before.
    """
    go = go_notary(go_server_tls)
    go.init(gun, publish=True)
    before = Reader(tmp_path / "before", go_server_tls, {})
    assert before.believes(gun)
    after = Reader(tmp_path / "after", go_server_tls, {"certs": {gun: ["0" * 64]}})

    refused = after.trustreg("list", gun, trust="../before/ours")

    assert refused.returncode == 1
    assert "is not pinned" in refused.stderr


@pytest.mark.parametrize("usage", ["codeSigning", "serverAuth"])
def test_a_pinned_authority(go_server_tls: Peer, go_notary: Go, gun: str, tmp_path: Path, usage: str) -> None:
    """
    The CA that issued the root certificate is enough, whatever else that certificate may be used for; another is not.
    """
    go = go_notary(go_server_tls)
    issue(tmp_path, gun, usage)
    go.run("init", "--rootkey", tmp_path / "root.key", "--rootcert", tmp_path / "root.crt", gun, "--publish")
    rows: list[object] = []
    for name, file in (("right", "ca.crt"), ("wrong", "other.crt")):
        home = tmp_path / name
        reader = Reader(home, go_server_tls, {"ca": {"registry.example/": f"../{file}"}})
        rows.append(reader.believes(gun))

    assert rows == [True, False]


def test_certificates_are_verified_all_the_same(go_server_tls: Peer, go_notary: Go, gun: str, tmp_path: Path) -> None:
    """
    ``skipTLSVerify`` lets Notary's client talk to anybody. We say that we do not, and how to.
    """
    go = go_notary(go_server_tls)
    go.init(gun, publish=True)
    reader = Reader(tmp_path / "reader", go_server_tls, {}, root_ca="", skipTLSVerify=True)

    refused = reader.trustreg("list", gun)

    assert reader.notary(gun)
    assert refused.returncode == 3
    assert "skipTLSVerify: certificates are always verified; name the CA of the server in root_ca" in refused.stderr


def test_in_notarys_own_folder_nothing_has_to_be_named(go_server_tls: Peer, gun: str, tmp_path: Path) -> None:
    """
    Keys, server, CA and pins are those of ``~/.notary``: we go on where Notary's client was.
    """
    home = tmp_path / "home"
    reader = Reader(home, go_server_tls, {})
    (home / ".notary").mkdir(mode=0o700)
    moved = json.loads(reader.file.read_text())
    moved["remote_server"]["root_ca"] = str(go_server_tls.ca_file)
    (home / ".notary" / "config.json").write_text(json.dumps(moved))
    (home / ".notary" / "config.json").chmod(0o600)
    env = clean_env(HOME=str(home), **Passphrases().notary_env())
    run(["notary", "init", gun, "--publish"], env=env)
    run(["notary", "addhash", gun, "v1", "2", "--sha256", sha256("v1"), "--publish"], env=env)
    argv = [sys.executable, "-m", "trustreg"]
    env["TRUSTREG_TRUST_DIR"] = str(home / ".notary")

    listed = json.loads(run([*argv, "list", gun, "--format", "json"], env=env).stdout)
    assert [tag["tag"] for tag in listed["tags"]] == ["v1"]
    run([*argv, "remove", f"{gun}:v1"], env=env)
    assert run(["notary", "list", gun], env=env).stdout.strip() == "No targets present in this repository."


def issue(folder: Path, gun: str, usage: str) -> None:
    """Make two CAs, and a root key whose certificate the first one issued for *gun*."""
    require("openssl")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        openssl("req", "-x509", *key, "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "30")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "plain.key")
    openssl("req", "-new", "-key", "plain.key", "-subj", f"/CN={gun.replace('/', chr(92) + '/')}", "-out", "root.csr")
    (folder / "extensions").write_text(f"basicConstraints=critical,CA:false\nextendedKeyUsage={usage}\n")
    issuer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    openssl("x509", "-req", "-in", "root.csr", *issuer, "-out", "root.crt", "-days", "20", "-extfile", "extensions")
    passphrase = f"pass:{Passphrases().root}"
    cipher = ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1")
    openssl("pkcs8", "-topk8", *cipher, "-in", "plain.key", "-out", "pkcs8.pem", "-passout", passphrase)
    begin, _, rest = (folder / "pkcs8.pem").read_text().partition("\n")
    (folder / "root.key").write_text(f"{begin}\nrole: root\n\n{rest}")
    (folder / "root.key").chmod(0o600)
