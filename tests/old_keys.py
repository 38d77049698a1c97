"""Trust directories as clients of Notary before 0.4 left them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from trustreg.sign.keyfile import key_id
from trustreg.sign.signer import describe

if TYPE_CHECKING:
    from pathlib import Path

    from trustreg.sign.signer import PrivateKey

Era = Literal["0.1", "0.3"]


def lay(
    trust_dir: Path,
    private: PrivateKey,
    role: str,
    gun: str | None = None,
    *,
    era: Era = "0.1",
    passphrase: str | None = "secret",  # noqa: S107
) -> Path:
    """Put *private* where a client of *era* kept it: SEC1 or PKCS#1, the role in the name of the file or inside."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption).decode()
    keyid = key_id(*describe(private.public_key()))
    name = f"{keyid}_{role}.key" if era == "0.1" else f"{keyid}.key"
    if era == "0.3":
        first, _, rest = pem.partition("\n")
        headers, _, body = rest.partition("\n\n") if passphrase else ("", "", rest)
        said = [headers] if passphrase else []
        pem = "\n".join([first, *said, f"role: {role}", "", body])
    folder = trust_dir / "private" / ("root_keys" if role == "root" else f"tuf_keys/{gun}" if gun else "tuf_keys")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    path.write_text(pem)
    path.chmod(0o600)
    return path
