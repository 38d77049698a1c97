"""Write vectors/keys: one key file per vector, at most one fault in each.

Keys, salts and passphrases are fixed, so a rerun changes nothing. What other programs wrote was recorded once, in
``recorded/``; those files hold the same fixed keys. None of these keys protects anything.

    python -m vectors.make.keys [FOLDER]
"""

import hashlib
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from trustreg.errors import KeyFileError, PassphraseError
from trustreg.sign import der, keyfile
from trustreg.sign.signer import PrivateKey, describe

Vector: TypeAlias = dict[str, Any]

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parent / "keys"
PASSPHRASE: Final = "correct-horse"
GUN: Final = "docker.io/library/alpine"


def make() -> dict[str, Vector]:
    """Return the vectors by name."""
    return dict(sorted([*_own(), *_go(), *_openssl(), *_openssh(), *_faults()]))


def text(vector: Vector) -> str:
    """Return *vector* as its file has it."""
    return json.dumps(vector, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write the vectors into *folder*, and remove those that are made no more."""
    vectors = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (folder / f"{name}.json").write_text(text(vector), "utf-8")


# --- what there is -------------------------------------------------------------------------------


def _own() -> Iterator[tuple[str, Vector]]:
    source = "trustreg: RFC 5958, RFC 8018, RFC 7914, RFC 7468"
    for name, private in (("ed25519", ED25519), ("p256", P256), ("rsa", RSA)):
        made = keyfile.write_own(private, PASSPHRASE, role="targets", gun=GUN, random=_random)
        yield (
            f"own-{name}",
            _good(
                "PKCS#8 under scrypt, and text before it that says what it is",
                source,
                made,
                (private, "targets", GUN),
                passphrase=PASSPHRASE,
            ),
        )
    made = keyfile.write_own(ED25519, PASSPHRASE, role="root", gun=None, random=_random)
    root = (ED25519, "root", None)
    yield (
        "own-crlf",
        _good("lines end in CR LF", source, made.replace(b"\n", b"\r\n"), root, passphrase=PASSPHRASE),
    )
    yield (
        "own-bom",
        _good("it begins with a byte order mark", source, b"\xef\xbb\xbf" + made, root, passphrase=PASSPHRASE),
    )
    yield "own-wrong-passphrase", _bad("the passphrase is wrong", source, made, "passphrase", "wrong")
    yield "own-no-passphrase", _bad("there is no passphrase", source, made, "passphrase")
    other = made.replace(_public(ED25519).encode(), b64encode(bytes(32)))
    yield (
        "own-public-of-another-key",
        _bad("the text before it shows another public key", source, other, "key-file", PASSPHRASE),
    )
    other = made.replace(b"kind: ed25519", b"kind: ecdsa")
    yield (
        "own-kind-of-another-key",
        _bad("the text before it says another kind", source, other, "key-file", PASSPHRASE),
    )


def _go() -> Iterator[tuple[str, Vector]]:
    recorded = "recorded from notary 0.7.0, key import"
    for name, private, role, gun, passphrase in (
        ("root", P256, "root", None, "root-pass"),
        ("targets", RSA, "targets", GUN, "targets-pass"),
        ("snapshot", P384, "snapshot", GUN, "snapshot-pass"),
        ("delegation", P521, "targets/releases", None, "delegation-pass"),
        ("ed25519", ED25519, "targets", "x/y", "targets-pass"),
    ):
        file = _recorded(f"notary-{name}")
        yield (
            f"notary-{name}",
            _good("a key file of the Go client", recorded, file, (private, role, gun), passphrase=passphrase),
        )
    file = _recorded("docker-signer")
    yield (
        "docker-signer",
        _good(
            "the role of a signer's key is the signer's name",
            "recorded from Docker 28.2.2, trust key load --name alice",
            file,
            (P256, "alice", None),
            passphrase="repository-pass",
        ),
    )
    yield "notary-export", _export()
    for name, private in (("ed25519", ED25519), ("p384", P384), ("rsa", RSA)):
        made = keyfile.write_notary(private, PASSPHRASE, role="targets", gun=GUN, random=_random)
        yield (
            f"notary-made-{name}",
            _good(
                "the Go client's form with more rounds than it would use itself",
                "trustreg; notary tuf/utils/pkcs8.go reads the rounds from the file",
                made,
                (private, "targets", GUN),
                passphrase=PASSPHRASE,
            ),
        )
    source = "notary tuf/utils/x509.go, ParsePEMPrivateKey"
    inner = P256.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ec_v1 = der.sequence(der.integer(1), der.sequence(der.oid(EC), der.oid(PRIME256V1)), der.octets(inner))
    yield (
        "notary-plain",
        _good(
            "not encrypted; PKCS#8 version 1 without a public key",
            source,
            _pem("PRIVATE KEY", ec_v1, role="root"),
            (P256, "root", None),
        ),
    )
    go = _go_ed25519(_raw(ED25519))
    yield (
        "notary-legacy-ed25519",
        _good(
            "as written before 0.4.0: public key, seed, public key",
            source,
            _pem("ED25519 PRIVATE KEY", go, gun=GUN, role="snapshot"),
            (ED25519, "snapshot", GUN),
        ),
    )
    other = _go_ed25519(bytes(32))
    yield (
        "notary-legacy-ed25519-mismatch",
        _bad("the first public key is another's", source, _pem("ED25519 PRIVATE KEY", other), "key-file"),
    )
    yield (
        "notary-legacy-ed25519-short",
        _bad("one byte is missing", source, _pem("ED25519 PRIVATE KEY", go[:-1]), "key-file"),
    )


def _export() -> Vector:
    keys = (
        (P384, "snapshot", GUN, "snapshot-pass"),
        (RSA, "targets", GUN, "targets-pass"),
        (P256, "root", None, "root-pass"),
        (P521, "targets/releases", None, "delegation-pass"),
    )
    return _vector(
        "an export of the Go client holds many keys, each under the passphrase of its role",
        "recorded from notary 0.7.0, key export",
        _recorded("notary-export"),
        {role: passphrase for _, role, _, passphrase in keys},
        {"keys": [_key(private, role, gun) for private, role, gun, _ in keys]},
    )


def _openssl() -> Iterator[tuple[str, Vector]]:
    version = "recorded from OpenSSL 3.0.19"
    for name, command, comment, private in (
        ("ecparam", "ecparam; ec", "SEC1 after a block of parameters", P256),
        ("rsa", "genrsa -traditional", "PKCS#1", RSA),
        ("rsa-p8", "pkcs8 -topk8 -nocrypt", "PKCS#8, not encrypted", RSA),
        ("p8-default", "pkcs8 -topk8", "PBES2 with PBKDF2, HMAC-SHA-256 and AES-256", P256),
        ("p8-scrypt", "pkcs8 -topk8 -scrypt", "PBES2 with scrypt", ED25519),
        ("p8-aes128-sha512", "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512", "another cipher and hash", P521),
        ("p8-des3-sha1", "pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1", "what OpenSSL 1.0 wrote", P256),
        ("sec1-dek", "ec -aes256", "SEC1 under the encryption of RFC 1421", P384),
        ("rsa-dek-des3", "rsa -traditional -des3", "PKCS#1 under the encryption of RFC 1421", RSA),
    ):
        file = _recorded(f"openssl-{name}")
        passphrase = PASSPHRASE if b"ENCRYPTED" in file else None
        yield (
            f"openssl-{name}",
            _good(comment, f"{version}: {command}", file, (private, None, None), passphrase=passphrase),
        )
    for name, comment in (
        ("explicit", "the curve is spelled out: that is how a wrong generator is smuggled in"),
        ("public", "there is only a public key"),
        ("p8-pbes1", "PBES1, which is outdated"),
        ("rsa1024", "RSA of 1024 bits"),
        ("ed448", "an algorithm that nobody verifies"),
    ):
        yield f"openssl-{name}", _bad(comment, version, _recorded(f"openssl-{name}"), "key-file", PASSPHRASE)
    for name in ("p8-default", "sec1-dek", "rsa-dek-des3"):
        comment = "the passphrase is wrong"
        yield (
            f"openssl-{name}-wrong-passphrase",
            _bad(comment, version, _recorded(f"openssl-{name}"), "passphrase", "wrong"),
        )


def _openssh() -> Iterator[tuple[str, Vector]]:
    version = "recorded from OpenSSH 9.2p1, ssh-keygen -p"
    for name, private in (
        ("ed25519", ED25519),
        ("ed25519-encrypted", ED25519),
        ("ecdsa", P256),
        ("rsa-encrypted", RSA),
    ):
        yield (
            f"openssh-{name}",
            _good(
                "OpenSSH's own form",
                version,
                _recorded(f"openssh-{name}"),
                (private, None, None),
                passphrase=PASSPHRASE if "encrypted" in name else None,
            ),
        )
    file = _recorded("openssh-ed25519-encrypted")
    yield "openssh-wrong-passphrase", _bad("the passphrase is wrong", version, file, "passphrase", "wrong")
    content = b64decode(b"".join(file.splitlines()[1:-1]))
    at = content.index(b"bcrypt") + 6 + 4 + 4 + 16
    absurd = content[:at] + (1 << 31).to_bytes(4, "big") + content[at + 4 :]
    yield (
        "openssh-many-rounds",
        _bad(
            "it asks for 2^31 rounds of bcrypt, some months",
            "OpenSSH PROTOCOL.key",
            _pem("OPENSSH PRIVATE KEY", absurd),
            "key-file",
            PASSPHRASE,
        ),
    )
    yield (
        "openssh-truncated",
        _bad("it ends in its header", "OpenSSH PROTOCOL.key", _pem("OPENSSH PRIVATE KEY", content[:60]), "key-file"),
    )


def _faults() -> Iterator[tuple[str, Vector]]:
    for name, comment, source, file in (*_pem_faults(), *_pkcs8_faults(), *_sec1_faults(), *_pkcs1_faults()):
        yield name, _bad(comment, source, file, "key-file", PASSPHRASE)
    for name, comment, file in _pbes2_faults():
        yield name, _bad(comment, "RFC 8018", file, "key-file", PASSPHRASE)


def _pem_faults() -> Iterator[tuple[str, str, str, bytes]]:
    source = "RFC 7468"
    plain = _pem("PRIVATE KEY", _pkcs8(ED25519))
    yield "pem-empty", "there is nothing", source, b""
    yield "pem-text", "there is text, and no PEM", source, b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n"
    yield "pem-certificate", "there is only a certificate", source, _recorded("notary-certificate")
    yield "pem-no-end", "the last line is missing", source, plain[: plain.index(b"-----END")]
    yield "pem-other-end", "the last line ends something else", source, plain.replace(b"END PRIVATE", b"END PUBLIC")
    yield "pem-base64", "a character that base64 does not have", source, plain.replace(b"MC4C", b"MC4*")
    yield "pem-padding", "the padding is missing", source, _pem("PRIVATE KEY", _pkcs8(P384)).replace(b"=", b"")
    yield "pem-dsa", "DSA is of no use", source, _pem("DSA PRIVATE KEY", der.sequence(der.integer(0)))
    yield "pem-control", "the role holds an escape", source, _pem("PRIVATE KEY", _pkcs8(ED25519), role="root\x1b[2J")
    dek = _recorded("openssl-sec1-dek")
    yield "pem-dek-cipher", "a cipher from another age", "RFC 1421", dek.replace(b"AES-256-CBC", b"DES-CBC")
    yield "pem-dek-iv", "the IV is not hexadecimal", "RFC 1421", dek.replace(b"AES-256-CBC,", b"AES-256-CBC,x")


def _pkcs8_faults() -> Iterator[tuple[str, str, str, bytes]]:
    source = "RFC 5958"

    def pem(content: bytes) -> bytes:
        return _pem("PRIVATE KEY", content)

    good = _pkcs8(ED25519)
    seed = der.octets(der.octets(_raw(ED25519)))
    yield "der-trailing", "a byte follows the key", "X.690", pem(good + b"\0")
    yield "der-truncated", "the last byte is missing", "X.690", pem(good[:-1])
    yield "der-long-length", "a length in more bytes than it needs", "X.690", pem(b"\x30\x81\x2e" + good[2:])
    yield "der-indefinite", "a length without an end", "X.690", pem(b"\x30\x80" + good[2:] + b"\0\0")
    yield "der-huge-length", "a length of 4 GiB", "X.690", pem(b"\x30\x84\xff\xff\xff\xff" + good[2:])
    padded = der.sequence(b"\x02\x02\0\0", der.sequence(der.oid("1.3.101.112")), seed)
    yield "der-padded-integer", "an integer with a leading zero", "X.690", pem(padded)
    yield (
        "pkcs8-version",
        "version 2 does not exist",
        source,
        pem(der.sequence(der.integer(2), der.sequence(der.oid("1.3.101.112")), seed)),
    )
    yield (
        "pkcs8-negative-version",
        "version -1 does not exist",
        source,
        pem(der.sequence(b"\x02\x01\xff", der.sequence(der.oid("1.3.101.112")), seed)),
    )
    yield (
        "pkcs8-algorithm",
        "X25519 cannot sign",
        source,
        pem(der.sequence(der.integer(0), der.sequence(der.oid("1.3.101.110")), seed)),
    )
    yield (
        "pkcs8-ed25519-short",
        "a seed of 31 bytes",
        "RFC 8410",
        pem(der.sequence(der.integer(0), der.sequence(der.oid("1.3.101.112")), der.octets(der.octets(bytes(31))))),
    )


def _sec1_faults() -> Iterator[tuple[str, str, str, bytes]]:
    source = "RFC 5915"

    def pem(scalar: bytes, curve: str | None, point: bytes = b"", version: int = 1) -> bytes:
        named = der.explicit(0, der.oid(curve)) if curve else b""
        public = der.explicit(1, der.bits(point)) if point else b""
        return _pem("EC PRIVATE KEY", der.sequence(der.integer(version), der.octets(scalar), named, public))

    scalar = P256.private_numbers().private_value.to_bytes(32, "big")
    other = P384.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    twin = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    yield "sec1-version", "version 2 does not exist", source, pem(scalar, PRIME256V1, version=2)
    yield "sec1-no-curve", "the curve is not named", source, pem(scalar, None)
    yield "sec1-secp256k1", "secp256k1 is not accepted by notary", source, pem(scalar, "1.3.132.0.10")
    yield "sec1-p224", "P-224 is too short", source, pem(scalar[:28], "1.3.132.0.33")
    yield "sec1-zero", "the private number is 0", source, pem(bytes(32), PRIME256V1)
    yield "sec1-large", "the private number is that of a larger curve", source, pem(b"\xff" * 32, PRIME256V1)
    yield "sec1-other-curve", "the public point is on another curve", source, pem(scalar, PRIME256V1, other)
    yield (
        "sec1-mismatch",
        "the public point is another key's",
        source,
        pem(scalar, PRIME256V1, twin.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
    )
    inner = der.sequence(der.integer(1), der.octets(scalar), der.explicit(0, der.oid("1.3.132.0.34")))
    info = der.sequence(der.integer(0), der.sequence(der.oid(EC), der.oid(PRIME256V1)), der.octets(inner))
    yield "sec1-two-curves", "the key names another curve than PKCS#8", source, _pem("PRIVATE KEY", info)


def _pkcs1_faults() -> Iterator[tuple[str, str, str, bytes]]:
    source = "RFC 8017"
    numbers = RSA.private_numbers()
    good = {
        "version": 0,
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }

    def pem(**changed: int) -> bytes:
        return _pem("RSA PRIVATE KEY", der.sequence(*map(der.integer, (good | changed).values())))

    yield "pkcs1-multi-prime", "version 1 is for more than two primes", source, pem(version=1)
    yield "pkcs1-mismatch", "p times q is not n", source, pem(p=numbers.p + 2)
    yield "pkcs1-exponent", "the public exponent has 33 bits, which Go does not read", source, pem(e=(1 << 32) + 1)
    yield "pkcs1-even-exponent", "the public exponent is even", source, pem(e=65536)
    yield "pkcs1-large", "16384 bits, which take minutes to check", source, pem(n=(1 << 16384) - 1)
    yield "pkcs1-d", "d is larger than n", source, pem(d=numbers.d + numbers.public_numbers.n * 8)


def _pbes2_faults() -> Iterator[tuple[str, str, bytes]]:
    aes = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.octets(bytes(16)))
    salt = der.octets(bytes(8))

    def pem(derivation: bytes, encryption: bytes = aes, ciphertext: bytes = bytes(64)) -> bytes:
        scheme = der.sequence(der.oid("1.2.840.113549.1.5.13"), der.sequence(derivation, encryption))
        return _pem("ENCRYPTED PRIVATE KEY", der.sequence(scheme, der.octets(ciphertext)))

    def pbkdf2(rounds: int, *more: bytes) -> bytes:
        return der.sequence(der.oid("1.2.840.113549.1.5.12"), der.sequence(salt, der.integer(rounds), *more))

    def scrypt(*numbers: int) -> bytes:
        return der.sequence(der.oid("1.3.6.1.4.1.11591.4.11"), der.sequence(salt, *map(der.integer, numbers)))

    yield "pbes2-many-rounds", "2^31 rounds of PBKDF2, many minutes", pem(pbkdf2(1 << 31))
    yield "pbes2-no-rounds", "no round of PBKDF2", pem(pbkdf2(0))
    yield "pbes2-key-size", "a key of another size than the cipher's", pem(pbkdf2(2048, der.integer(16)))
    yield (
        "pbes2-hash",
        "PBKDF2 over a hash that does not exist",
        pem(pbkdf2(2048, der.sequence(der.oid("1.2.840.113549.2.99"), der.NONE))),
    )
    yield "pbes2-scrypt-memory", "scrypt with 1 GiB", pem(scrypt(1 << 20, 8, 1))
    yield "pbes2-scrypt-work", "scrypt 2^20 times over", pem(scrypt(1 << 10, 8, 1 << 20))
    yield "pbes2-scrypt-odd", "scrypt with an N that is no power of two", pem(scrypt(1000, 8, 1))
    yield "pbes2-scrypt-zero", "scrypt with r=0", pem(scrypt(16384, 0, 1))
    yield (
        "pbes2-derivation",
        "a key derivation that does not exist",
        pem(der.sequence(der.oid("1.2.3"), der.sequence())),
    )
    gcm = der.sequence(der.oid("2.16.840.1.101.3.4.1.46"), der.octets(bytes(12)))
    yield "pbes2-cipher", "AES-GCM, which no tool writes here", pem(pbkdf2(2048), gcm)
    short = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"), der.octets(bytes(8)))
    yield "pbes2-iv", "an IV of half a block", pem(pbkdf2(2048), short)
    yield "pbes2-ciphertext", "a cipher text of no whole number of blocks", pem(pbkdf2(2048), aes, bytes(63))
    yield "pbes2-no-ciphertext", "no cipher text", pem(pbkdf2(2048), aes, b"")


# --- how it is said --------------------------------------------------------------------------------


def _good(
    comment: str,
    source: str,
    file: bytes,
    key: tuple[PrivateKey, str | None, str | None],
    *,
    passphrase: str | None = None,
) -> Vector:
    return _vector(comment, source, file, passphrase, {"keys": [_key(*key)]})


def _bad(comment: str, source: str, file: bytes, code: str, passphrase: str | None = None) -> Vector:
    return _vector(comment, source, file, passphrase, {"error": code, "problem": _problem(file, passphrase)})


def _vector(
    comment: str, source: str, file: bytes, passphrase: str | Mapping[str, str] | None, expect: Mapping[str, Any]
) -> Vector:
    return {
        "comment": comment,
        "source": source,
        "file": file.decode(),
        "passphrase": passphrase,
        "expect": expect,
    }


def _problem(file: bytes, passphrase: str | None) -> str:
    try:
        for sealed in keyfile.read_key_file(file, "file"):
            sealed.open(passphrase)
    except (KeyFileError, PassphraseError) as exc:
        return exc.problem
    raise AssertionError(file.decode())


def _key(private: PrivateKey, role: str | None, gun: str | None) -> Mapping[str, Any]:
    kind, public = describe(private.public_key())
    return {
        "kind": kind,
        "id": keyfile.key_id(kind, public),
        "role": role,
        "gun": gun,
        "public": b64encode(public).decode(),
    }


def _public(private: PrivateKey) -> str:
    return b64encode(describe(private.public_key())[1]).decode()


def _pem(label: str, content: bytes, **headers: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in sorted(headers.items())]
    encoded = b64encode(content).decode()
    lines += [""] if lines else []
    lines += [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _pkcs8(private: PrivateKey) -> bytes:
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _raw(private: ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def _go_ed25519(seed: bytes) -> bytes:
    public = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public + seed + public


def _recorded(name: str) -> bytes:
    return (HERE / "recorded" / f"{name}.pem").read_bytes()


def _random(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


def _number(curve: str) -> int:
    return int.from_bytes(hashlib.sha256(curve.encode()).digest(), "big")


def _rsa() -> rsa.RSAPrivateKey:
    return cast("rsa.RSAPrivateKey", load_pem_private_key(_recorded("openssl-rsa"), None))


EC: Final = "1.2.840.10045.2.1"
PRIME256V1: Final = "1.2.840.10045.3.1.7"
ED25519: Final = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"ed25519").digest())
P256: Final = ec.derive_private_key(_number("P-256"), ec.SECP256R1())
P384: Final = ec.derive_private_key(_number("P-384"), ec.SECP384R1())
P521: Final = ec.derive_private_key(_number("P-521"), ec.SECP521R1())
RSA: Final = _rsa()

if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
