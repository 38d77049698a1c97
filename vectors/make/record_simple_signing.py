"""Record the keys of vectors/simple-signing, and the messages in it that gpg does not make twice alike.

It needs gpg 2.2, and makes other keys each time, so it is run by hand, when another key is wanted. The keys protect
nothing; whoever is called how is said below. After that, ``python -m vectors.make.simple_signing`` makes all vectors
anew, and ``python -m vectors.make.record_skopeo`` asks skopeo about them.

    python -m vectors.make.record_simple_signing
"""

import json
from collections.abc import Mapping
from typing import Final

from tests.peers.gpg import Gpg, gpg_home
from vectors.make.simple_signing import PAYLOAD, RECORDED, SIGNED

FOLDER: Final = RECORDED
BEGIN, END = "20250101T000000", "20250701T000000"  # the life of all keys, and the end of those that expired
KINDS: Final[Mapping[str, str]] = {
    "ed25519": "ed25519",
    "other": "ed25519",
    "stranger": "ed25519",
    "rsa2048": "rsa2048",
    "nistp256": "nistp256",
    "nistp384": "nistp384",
    "nistp521": "nistp521",
    "brainpool": "brainpoolP256r1",
    "secp256k1": "secp256k1",
    "dsa2048": "dsa2048",
    "dsa1024": "dsa1024",
    "rsa1024": "rsa1024",
    "expired": "ed25519",
    "revoked": "ed25519",
    "future": "ed25519",
    "lasting": "ed25519",
    "sha1": "rsa2048",
    "subkeys": "ed25519",
    "expired-subkeys": "ed25519",
    "revoked-subkeys": "ed25519",
}
"""Who there is, and of which kind the primary key is."""
ENCRYPTED: Final[Mapping[str, tuple[str, ...]]] = {
    "encrypted": ("--encrypt",),
    "encrypted-signed": ("--sign", "--encrypt"),
    "symmetric": ("--symmetric",),
    "symmetric-signed": ("--sign", "--symmetric"),
}
"""Messages that hold the usual payload, and how gpg is asked for them."""
LASTS: Final = {"expired": END, "expired-subkeys": END, "lasting": "20990101T000000"}


def main() -> None:
    """Make the keys, and write all that is recorded."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in FOLDER.iterdir():
        stale.unlink()
    with gpg_home() as gpg:
        found = {name: _key(gpg, name, kind) for name, kind in KINDS.items()}
        for name, fingerprint in found.items():
            secret = gpg.run("--armor", "--export-secret-keys", fingerprint).out
            (FOLDER / f"{name}.secret.asc").write_bytes(secret)
        for name in ("revoked", "revoked-subkeys"):
            gpg.revoke(found[name])
        gpg.revoke_subkey(found["subkeys"], 3, at=END)
        for name, fingerprint in found.items():
            (FOLDER / f"{name}.public.asc").write_bytes(gpg.run("--armor", "--export", fingerprint).out)
        for name, options in ENCRYPTED.items():
            (FOLDER / f"{name}.pgp").write_bytes(_encrypted(gpg, found, options))
        fingerprints = {name: _fingerprints(gpg, fingerprint) for name, fingerprint in found.items()}
    (FOLDER / "fingerprints.json").write_text(json.dumps(fingerprints, indent=2) + "\n", "utf-8")


def _fingerprints(gpg: Gpg, fingerprint: str) -> list[str]:
    listed = gpg.run("--with-colons", "-k", fingerprint).stdout.splitlines()
    return [line.split(":")[9] for line in listed if line.startswith("fpr:")]


def _encrypted(gpg: Gpg, found: Mapping[str, str], options: tuple[str, ...]) -> bytes:
    by, to = ("--local-user", f"{found['ed25519']}!"), ("--recipient", found["subkeys"], "--trust-model", "always")
    return gpg.run("--passphrase", "x", *by, *to, *options, stdin=PAYLOAD, at=SIGNED).out


def _key(gpg: Gpg, name: str, kind: str) -> str:
    begin = "20990101T000000" if name == "future" else BEGIN
    options = ("--cert-digest-algo", "SHA1") if name == "sha1" else ()
    words = ("--quick-gen-key", f"{name} <{name}@example.com>", kind, "cert,sign", LASTS.get(name, "0"))
    gpg.run("--passphrase", "", *options, *words, at=begin)
    listed = gpg.run("--with-colons", "-k", f"={name} <{name}@example.com>").stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    if name.endswith("subkeys"):
        gpg.subkey(fingerprint, at=BEGIN)
    if name == "subkeys":
        gpg.subkey(fingerprint, lasts=END, at=BEGIN)
        gpg.subkey(fingerprint, at=BEGIN)
        gpg.run("--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr", "0", at=BEGIN)
    return fingerprint


if __name__ == "__main__":
    main()
