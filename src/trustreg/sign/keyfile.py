"""Private key files: what people have, what the Go client writes, and what we write.

Reading has two steps. :func:`read_key_file` finds the keys in a file and needs no passphrase; what it returns is
a claim. :meth:`SealedKey.open` decrypts, checks and believes. How much work a file may cause is bounded before
the work starts.

Writing has two forms, and both encrypt. :func:`write_own` is for us, OpenSSL and everything else that reads
PKCS#8. :func:`write_notary` is for the Go client, which reads only what it would have written itself.

Source: RFC 5208 and 5958 (PKCS#8), RFC 8018 (PBES2), RFC 7914 (scrypt), RFC 5915 (SEC1), RFC 8017 (PKCS#1),
RFC 7468 and 1421 (PEM), OpenSSH PROTOCOL.key; notary ``tuf/utils/x509.go`` and ``tuf/utils/pkcs8.go``.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_ssh_private_key,
)

from trustreg.errors import KeyFileError, PassphraseError
from trustreg.sign import der
from trustreg.sign.signer import PrivateKey, PublicKey, describe

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Random: TypeAlias = Callable[[int], bytes]  # so many random bytes

LARGEST_KEY_FILE: Final = 262_144  # bytes; an RSA-8192 key has 6500, an export may hold many


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A private key as a file holds it, not opened: what it says of itself is a claim.

    ``role``, ``gun`` and ``path`` are None where the file does not say. ``kind`` and ``public`` are as in
    :class:`trustreg.metadata.Key`, and empty where the file does not say; :meth:`open` holds the file to them.
    """

    source: str
    encrypted: bool
    role: str | None = None
    gun: str | None = None
    path: str | None = None  # where an export of the Go client wants to be put: its key id
    kind: str = ""
    public: bytes = b""
    label: str = field(repr=False)
    content: bytes = field(repr=False)
    cipher: str = field(default="", repr=False)  # DEK-Info of RFC 1421

    def open(self, passphrase: str | None = None) -> PrivateKey:
        """Return the private key; *passphrase* is not used where nothing is encrypted.

        Raises:
            PassphraseError: It is needed and missing, or wrong.
            KeyFileError: The file is damaged, asks for absurd work, or holds a key of no use here.
        """
        if self.encrypted and passphrase is None:
            raise PassphraseError(self.source, "it is encrypted, and there is no passphrase")
        secret = (passphrase or "").encode("utf-8", "surrogateescape") if self.encrypted else None
        try:
            private = _OPEN[self.label](self, secret)
        except der.DerError as exc:
            raise KeyFileError(self.source, f"it is damaged: {exc}") from exc
        except _UnusableError as exc:
            raise KeyFileError(self.source, str(exc)) from exc
        except _WrongError as exc:
            raise PassphraseError(self.source, "the passphrase is wrong") from exc
        if self.public and (self.kind, self.public) != describe(private.public_key()):
            raise KeyFileError(self.source, "the public key beside the private key is that of another key")
        return private


def read_key_file(raw: bytes, source: str) -> tuple[SealedKey, ...]:
    """Find the private keys in *raw*, in their order, at least one; *source* names the file in errors.

    Anything else in the file, certificates, public keys, parameters and text, is passed over, save for what
    lines before a key (``role: targets``) or headers inside it say of that key.

    Raises:
        KeyFileError: There is no private key, or one is damaged beyond recognition.
    """
    if len(raw) > LARGEST_KEY_FILE:
        raise KeyFileError(source, f"it is longer than the {LARGEST_KEY_FILE} bytes that a key file may have")
    try:
        blocks = list(_blocks(raw.decode("utf-8-sig", "replace")))
        keys = tuple(_sealed(block, source) for block in blocks if block.label.endswith("PRIVATE KEY"))
    except _UnusableError as exc:
        raise KeyFileError(source, str(exc)) from exc
    if not keys:
        others = " and ".join(sorted({f"a {block.label}" for block in blocks})) or "no PEM block"
        raise KeyFileError(source, f"it holds {others}, and no private key")
    return keys


def write_own(private: PrivateKey, passphrase: str, *, role: str, gun: str | None, random: Random) -> bytes:
    """Return a key file in our own form: PKCS#8 under scrypt and AES-256-CBC.

    What the key is stands before it as text, which every PEM reader skips, so that a key can be listed without
    its passphrase. It is a claim: opening the file compares the public key.
    """
    kind, public = describe(private.public_key())
    about = {"role": role, "gun": gun, "kind": kind, "public": base64.b64encode(public).decode()}
    salt, iv = random(16), random(16)
    n, r, p = _SCRYPT
    key = Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(_secret(passphrase))
    derivation = der.sequence(
        der.oid(_OID_SCRYPT), der.sequence(der.octets(salt), der.integer(n), der.integer(r), der.integer(p))
    )
    plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = "".join(f"{name}: {_line(value)}\n" for name, value in about.items() if value)
    return f"trustreg private key\n{text}".encode() + _armour(_ENCRYPTED, _pbes2(derivation, key, iv, plain))


def write_notary(
    private: PrivateKey, passphrase: str, *, role: str, gun: str | None, random: Random, path: str | None = None
) -> bytes:
    """Return a key file in the form of the Go client, which Docker and notary read.

    Every byte is as Go writes it, but for the rounds of PBKDF2: Go counts as many as the file says, and writes
    2048. *path* is for exports; ``notary key import`` stores an encrypted key under it: give the key id.

    Source: notary ``tuf/utils/pkcs8.go`` (ConvertTUFKeyToPKCS8), ``tuf/utils/x509.go`` (ConvertPrivateKeyToPKCS8).
    """
    salt, iv = random(8), random(16)
    key = PBKDF2HMAC(hashes.SHA1(), 32, salt, _GO_ROUNDS).derive(_secret(passphrase))  # noqa: S303 (Go reads no other)
    derivation = der.sequence(der.oid(_OID_PBKDF2), der.sequence(der.octets(salt), der.integer(_GO_ROUNDS)))
    headers = {"gun": gun, "path": path, "role": role}
    return _armour(_ENCRYPTED, _pbes2(derivation, key, iv, _go_pkcs8(private)), headers)


def write_unopened(sealed: SealedKey, *, role: str | None, gun: str | None) -> bytes:
    """Return a key file of the Go client with the key as *sealed* holds it: under the same passphrase, or none.

    Source: notary ``storage/filestore.go`` (moveKeyTo0Dot4Location).
    """
    encryption = {"Proc-Type": "4,ENCRYPTED", "DEK-Info": sealed.cipher} if sealed.cipher else {}
    return _armour(sealed.label, sealed.content, {**encryption, "gun": gun, "role": role})


def read_certificates(raw: bytes, source: str) -> tuple[bytes, ...]:
    """Return the certificates in PEM text *raw* as DER, in their order; none where there are none.

    Raises:
        KeyFileError: One cannot be read.
    """
    try:
        found = [b.content for b in _blocks(raw.decode("utf-8-sig", "replace")) if b.label == "CERTIFICATE"]
        for der_form in found:
            _certificate(der_form)
    except ValueError as exc:
        raise KeyFileError(source, f"a certificate in it is damaged: {exc}") from exc
    return tuple(found)


def read_public(raw: bytes, source: str) -> PublicKey:
    """Return the first public key in PEM text *raw*, or that of the first certificate.

    Raises:
        KeyFileError: There is none, or it is of no use here.
    """
    try:
        for block in _blocks(raw.decode("utf-8-sig", "replace")):
            if block.label == "PUBLIC KEY":
                return _usable_public(load_der_public_key(block.content))
            if block.label == "CERTIFICATE":
                return _usable_public(_certificate(block.content).public_key())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise KeyFileError(source, f"its public key is damaged or of no known kind: {exc}") from exc
    except _UnusableError as exc:
        raise KeyFileError(source, str(exc)) from exc
    raise KeyFileError(source, "it holds no PEM public key")


def public_pem(kind: str, public: bytes) -> bytes:
    """Return the public key as PEM; *kind* and *public* are as in :class:`trustreg.metadata.Key`."""
    if kind == "ed25519":
        public = der.sequence(der.sequence(der.oid(_OID_ED25519)), der.bits(public))
    return _armour("PUBLIC KEY", public)


def key_id(kind: str, public: bytes) -> str:
    """Return the id that Notary gives to a plain public key, and its key file the name.

    Source: notary ``tuf/data/keys.go`` (ID); the preimage is canonical JSON.
    """
    text = base64.b64encode(public).decode()
    return hashlib.sha256(f'{{"keytype":"{kind}","keyval":{{"private":null,"public":"{text}"}}}}'.encode()).hexdigest()


# --- PEM -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    label: str
    said: Mapping[str, str]  # lines before the block, then its headers
    content: bytes


class _UnusableError(Exception):
    """The text of a :class:`KeyFileError` to be: what is wrong with a key or its file."""


class _WrongError(Exception):
    """The passphrase does not fit."""


def _blocks(text: str) -> Iterator[_Block]:
    lines = iter(text.split("\n"))
    said: dict[str, str] = {}
    for line in lines:
        if begin := _BEGIN.fullmatch(line.strip()):
            yield _block(begin[1], said, lines)
            said = {}
        elif (pair := _PAIR.fullmatch(line.strip())) and pair[1] in _ABOUT:
            said[pair[1]] = pair[2]


def _block(label: str, said: dict[str, str], lines: Iterator[str]) -> _Block:
    body: list[str] = []
    for line in map(str.strip, lines):
        if line == f"-----END {label}-----":
            try:
                return _Block(label, said, base64.b64decode("".join(body), validate=True))
            except (binascii.Error, ValueError) as exc:
                raise _UnusableError(f"the base64 of its {label} is damaged") from exc
        if not body and (pair := _PAIR.fullmatch(line)):
            said[pair[1]] = pair[2]
        elif line.startswith("-----"):
            break
        else:
            body += [line] if line else []
    raise _UnusableError(f"its {label} does not end")


def _certificate(der_form: bytes) -> "Certificate":
    """Read a certificate; raise :class:`ValueError` where it is none."""
    from cryptography.x509 import InvalidVersion, load_der_x509_certificate

    try:
        return load_der_x509_certificate(der_form)
    except InvalidVersion as exc:
        raise ValueError(str(exc)) from exc


def _sealed(block: _Block, source: str) -> SealedKey:
    if block.label in _COSIGN:
        raise _UnusableError(
            "it is encrypted as cosign does it, and nothing here opens that: make a key here, or with openssl, which"
            " cosign takes by `cosign import-key-pair`"
        )
    if block.label not in _OPEN:
        raise _UnusableError(f"a {block.label} is of no use here: {_USABLE}")
    said = block.said
    for name in ("role", "gun", "path", "DEK-Info"):
        if name in said and not said[name].isprintable():
            raise _UnusableError(f"its {name} holds characters that have no place in a name")
    try:
        public = base64.b64decode(said.get("public", ""), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _UnusableError("the base64 of its public key is damaged") from exc
    encrypted = block.label == _ENCRYPTED or "DEK-Info" in said or "ENCRYPTED" in said.get("Proc-Type", "")
    if block.label == _OPENSSH:
        encrypted = _openssh_cost(block.content) is not None
    return SealedKey(
        source=source,
        encrypted=encrypted,
        role=said.get("role") or None,
        gun=said.get("gun") or None,
        path=said.get("path") or None,
        kind=said.get("kind", "") if public else "",
        public=public,
        label=block.label,
        content=block.content,
        cipher=said.get("DEK-Info", ""),
    )


def _armour(label: str, content: bytes, headers: Mapping[str, str | None] | None = None) -> bytes:
    lines = [f"{name}: {_line(value)}" for name, value in (headers or {}).items() if value]
    if lines:
        lines.append("")
    text = base64.b64encode(content).decode()
    lines += (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def _line(value: str) -> str:
    if not value.isprintable():  # it could say more than it should in the next line
        raise ValueError(value)
    return value


# --- what is inside --------------------------------------------------------------------------------


def _open_encrypted(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    info = der.read(sealed.content)
    scheme = info.sequence()
    name = scheme.oid()
    if name != _OID_PBES2:
        raise _UnusableError(f"it is encrypted by the outdated scheme {name}: convert it with openssl pkcs8 -topk8")
    parameters = scheme.sequence()
    scheme.end()
    derivation, encryption = parameters.sequence(), parameters.sequence()
    parameters.end()
    ciphertext = info.take(der.OCTET_STRING)
    info.end()
    cipher = _CIPHERS.get(name := encryption.oid())
    if cipher is None:
        raise _UnusableError(f"its cipher {name} is not known")
    iv = encryption.take(der.OCTET_STRING)
    encryption.end()
    plain = _decrypt(cipher, _derive(derivation, cipher, secret or b""), iv, ciphertext)
    try:
        der.read(plain)
    except der.DerError as exc:  # a wrong passphrase passes for padding once in 256 times
        raise _WrongError from exc
    return _pkcs8(plain)


def _open_plain(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    return _pkcs8(_legacy(sealed, secret))


def _open_sec1(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    return _sec1(_legacy(sealed, secret))


def _open_pkcs1(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    return _pkcs1(_legacy(sealed, secret))


def _open_go_ed25519(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    return _go_ed25519(_legacy(sealed, secret))


def _open_openssh(sealed: SealedKey, secret: bytes | None) -> PrivateKey:
    rounds = _openssh_cost(sealed.content)
    if rounds is not None and not 0 < rounds <= _MOST_BCRYPT_ROUNDS:
        raise _UnusableError(f"it asks for {rounds} rounds of bcrypt, and {_MOST_BCRYPT_ROUNDS} are the most allowed")
    try:
        return _usable(load_ssh_private_key(_armour(_OPENSSH, sealed.content), secret))
    except UnsupportedAlgorithm as exc:
        if "bcrypt" in str(exc):
            raise _UnusableError(
                "an encrypted OpenSSH key needs the Python package bcrypt, or ssh-keygen -p -m PKCS8 to convert it"
            ) from exc
        raise _UnusableError(f"it is of no known kind: {_USABLE}") from exc
    except (ValueError, TypeError) as exc:
        if secret is not None and "checksum" in str(exc).lower():
            raise _WrongError from exc
        raise _UnusableError(f"it is damaged: {exc}") from exc


def _pkcs8(raw: bytes) -> PrivateKey:
    info = der.read(raw)
    if info.integer() > 1:
        raise _UnusableError("its PKCS#8 version is neither 0 nor 1")
    algorithm, content = info.sequence(), info.take(der.OCTET_STRING)
    # What may follow, attributes and the public key, is not needed.
    name = algorithm.oid()
    if name == _OID_EC:
        if algorithm.tag == der.SEQUENCE:
            raise _UnusableError("it spells out its curve instead of naming it")
        return _sec1(content, algorithm.oid())
    if name == _OID_RSA:
        return _pkcs1(content)
    if name == _OID_ED25519:
        octets = der.Reader(content)
        seed = octets.take(der.OCTET_STRING)
        octets.end()
        if len(seed) != 32:
            raise _UnusableError("its ed25519 key does not have 32 bytes")
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    if name == _OID_GO_ED25519:
        return _go_ed25519(content)
    raise _UnusableError(f"its algorithm {name} is of no use here: {_USABLE}")


def _sec1(raw: bytes, named: str | None = None) -> PrivateKey:
    info = der.read(raw)
    if info.integer() != 1:
        raise _UnusableError("its SEC1 version is not 1")
    scalar = info.take(der.OCTET_STRING)
    if info.tag == 0xA0:
        parameters = der.Reader(info.take(0xA0))
        if parameters.tag == der.SEQUENCE:
            raise _UnusableError("it spells out its curve instead of naming it")
        if named not in {None, name := parameters.oid()}:
            raise _UnusableError("it names two curves")
        named = name
        parameters.end()
    if named is None:
        raise _UnusableError("it does not name its curve")
    curve = _CURVES.get(named)
    if curve is None:
        raise _UnusableError(f"its curve {named} is of no use here: {_USABLE}")
    try:
        private = ec.derive_private_key(int.from_bytes(scalar, "big"), curve)
    except ValueError as exc:
        raise _UnusableError("its private number is none of its curve") from exc
    if info.tag == 0xA1:
        point = der.Reader(info.take(0xA1)).take(der.BIT_STRING)[1:]
        _same_public(private.public_key(), point)
    info.end()
    return private


def _same_public(public: ec.EllipticCurvePublicKey, point: bytes) -> None:
    spellings = (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint)
    if point not in {public.public_bytes(Encoding.X962, spelling) for spelling in spellings}:
        raise _UnusableError("its public key does not belong to its private key")


def _pkcs1(raw: bytes) -> PrivateKey:
    info = der.read(raw)
    if info.integer() != 0:
        raise _UnusableError("it is an RSA key of more than two primes")
    n, e, d, p, q, dp, dq, qi = (info.integer() for _ in range(8))
    info.end()
    _usable_rsa(n, e)  # before any arithmetic
    if max(d, p, q, dp, dq, qi) >= n:
        raise _UnusableError("the numbers of its RSA key do not belong together")
    try:
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()
    except ValueError as exc:
        raise _UnusableError("the numbers of its RSA key do not belong together") from exc


def _go_ed25519(raw: bytes) -> PrivateKey:
    """Read what Go's notary makes of an ed25519 key: the public key, the seed, the public key again."""
    if len(raw) != 96:
        raise _UnusableError("its ed25519 key does not have 96 bytes")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(raw[32:64])
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    if raw[:32] != public or raw[64:] != public:
        raise _UnusableError("its public key does not belong to its private key")
    return private


def _go_pkcs8(private: PrivateKey) -> bytes:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        seed = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return der.sequence(der.integer(0), der.sequence(der.oid(_OID_GO_ED25519)), der.octets(public + seed + public))
    content = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    if isinstance(private, rsa.RSAPrivateKey):
        return der.sequence(der.integer(0), der.sequence(der.oid(_OID_RSA)), der.octets(content))
    curve = next(name for name, curve in _CURVES.items() if curve.name == private.curve.name)
    return der.sequence(der.integer(1), der.sequence(der.oid(_OID_EC), der.oid(curve)), der.octets(content))


def _usable(private: object) -> PrivateKey:
    if isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        _usable_public(private.public_key())
        return private
    raise _UnusableError(f"it is a key of no use here: {_USABLE}")


def _usable_public(public: object) -> PublicKey:
    if isinstance(public, ec.EllipticCurvePublicKey):
        if all(public.curve.name != curve.name for curve in _CURVES.values()):
            raise _UnusableError(f"its curve {public.curve.name} is of no use here: {_USABLE}")
    elif isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        _usable_rsa(numbers.n, numbers.e)
    elif not isinstance(public, ed25519.Ed25519PublicKey):
        raise _UnusableError(f"it is a key of no use here: {_USABLE}")
    return public


def _usable_rsa(n: int, e: int) -> None:
    if not 2048 <= n.bit_length() <= 8192:
        raise _UnusableError(f"an RSA key of {n.bit_length()} bits is of no use here: {_USABLE}")
    if not e < 1 << 31:
        raise _UnusableError("its RSA exponent has more than 31 bits, which Go does not read")


# --- encryption ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cbc:
    """A block cipher in CBC mode: sizes in bytes."""

    key: int
    block: int
    algorithm: type[AES | TripleDES]


def _derive(derivation: der.Reader, cipher: _Cbc, secret: bytes) -> bytes:
    name, parameters = derivation.oid(), derivation.sequence()
    derivation.end()
    if name == _OID_PBKDF2:
        return _pbkdf2(parameters, cipher, secret)
    if name == _OID_SCRYPT:
        return _scrypt(parameters, cipher, secret)
    raise _UnusableError(f"its key derivation {name} is not known")


def _pbkdf2(parameters: der.Reader, cipher: _Cbc, secret: bytes) -> bytes:
    salt, rounds = parameters.take(der.OCTET_STRING), parameters.integer()
    _key_size(parameters, cipher)
    prf: hashes.HashAlgorithm | None = hashes.SHA1()  # noqa: S303 (RFC 8018 and Go imply it)
    if parameters.tag == der.SEQUENCE:
        named = parameters.sequence()
        prf = _PRFS.get(named.oid())
    parameters.end()
    if prf is None:
        raise _UnusableError("the hash of its key derivation is not known")
    if not 0 < rounds <= _MOST_ROUNDS:
        raise _UnusableError(f"it asks for {rounds} rounds of PBKDF2, and {_MOST_ROUNDS} are the most allowed")
    return PBKDF2HMAC(prf, cipher.key, salt, rounds).derive(secret)


def _scrypt(parameters: der.Reader, cipher: _Cbc, secret: bytes) -> bytes:
    salt = parameters.take(der.OCTET_STRING)
    n, r, p = (parameters.integer() for _ in range(3))
    _key_size(parameters, cipher)
    parameters.end()
    if n < 2 or n & (n - 1) or not r or not p:
        raise _UnusableError("the parameters of its scrypt make no sense")
    if 128 * n * r > _MOST_MEMORY or n * r * p > _MOST_WORK:
        raise _UnusableError(f"it asks for more work than is allowed (scrypt with N={n}, r={r}, p={p})")
    return Scrypt(salt=salt, length=cipher.key, n=n, r=r, p=p).derive(secret)


def _key_size(parameters: der.Reader, cipher: _Cbc) -> None:
    if parameters.tag == der.INTEGER and parameters.integer() != cipher.key:
        raise _UnusableError("the key size of its key derivation is not that of its cipher")


def _decrypt(cipher: _Cbc, key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    if len(iv) != cipher.block or not ciphertext or len(ciphertext) % cipher.block:
        raise _UnusableError("it is damaged: its cipher text is no whole number of blocks")
    plain = _finish(Cipher(cipher.algorithm(key), modes.CBC(iv)).decryptor(), ciphertext)
    unpadder = padding.PKCS7(cipher.block * 8).unpadder()
    try:
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError as exc:
        raise _WrongError from exc


def _legacy(sealed: SealedKey, secret: bytes | None) -> bytes:
    """Undo the encryption of RFC 1421 as OpenSSL does it: one round of MD5, so it protects next to nothing."""
    if secret is None:
        return sealed.content
    name, comma, text = sealed.cipher.partition(",")
    cipher = _DEK_CIPHERS.get(name)
    if cipher is None or not comma:
        raise _UnusableError(f"its cipher {name!r} is not known")
    try:
        iv = bytes.fromhex(text)
    except ValueError as exc:
        raise _UnusableError("its DEK-Info is damaged") from exc
    key = digest = b""
    while len(key) < cipher.key:
        digest = hashlib.md5(digest + secret + iv[:8], usedforsecurity=False).digest()
        key += digest
    plain = _decrypt(cipher, key[: cipher.key], iv, sealed.content)
    try:
        if sealed.label != _GO_LEGACY:
            der.read(plain)
        elif len(plain) != 96:
            raise _WrongError
    except der.DerError as exc:  # as above: one wrong passphrase in 256 passes for padding
        raise _WrongError from exc
    return plain


def _pbes2(derivation: bytes, key: bytes, iv: bytes, plain: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    ciphertext = _finish(Cipher(AES(key), modes.CBC(iv)).encryptor(), padder.update(plain) + padder.finalize())
    encryption = der.sequence(der.oid(_OID_AES256), der.octets(iv))
    scheme = der.sequence(der.oid(_OID_PBES2), der.sequence(derivation, encryption))
    return der.sequence(scheme, der.octets(ciphertext))


def _finish(context: CipherContext, content: bytes) -> bytes:
    return context.update(content) + context.finalize()


def _secret(passphrase: str) -> bytes:
    if not passphrase:  # whoever wants no encryption has to say so in some other tool
        raise ValueError("a key file without a passphrase")
    return passphrase.encode("utf-8", "surrogateescape")


def _openssh_cost(content: bytes) -> int | None:
    """Return the rounds of bcrypt that an OpenSSH key asks for, ``None`` where it is not encrypted."""
    if not content.startswith(_OPENSSH_MAGIC):
        raise _UnusableError("it is damaged: it is no OpenSSH key")
    at = len(_OPENSSH_MAGIC)
    parts: list[bytes] = []
    for _ in range(3):  # cipher, derivation, its options
        size = int.from_bytes(content[at : at + 4], "big")
        parts.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    if at >= len(content):
        raise _UnusableError("it is damaged: it ends too early")
    return None if parts[0] == b"none" else int.from_bytes(parts[2][-4:], "big")


_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_PAIR = re.compile(r"([A-Za-z-]{1,32}): ?(.{0,16384})")
_ABOUT = frozenset({"role", "gun", "kind", "public"})
_USABLE = "only ed25519, ECDSA on P-256, P-384 or P-521, and RSA of 2048 to 8192 bits are"

_OPENSSH_MAGIC = b"openssh-key-v1\0"
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
_OPENSSH = "OPENSSH PRIVATE KEY"
_GO_LEGACY = "ED25519 PRIVATE KEY"
_COSIGN = frozenset({"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"})  # scrypt and NaCl's secretbox
_OPEN: Mapping[str, Callable[[SealedKey, bytes | None], PrivateKey]] = {
    _ENCRYPTED: _open_encrypted,
    "PRIVATE KEY": _open_plain,
    "EC PRIVATE KEY": _open_sec1,
    "RSA PRIVATE KEY": _open_pkcs1,
    _GO_LEGACY: _open_go_ed25519,
    _OPENSSH: _open_openssh,
}

_OID_PBES2 = "1.2.840.113549.1.5.13"
_OID_PBKDF2 = "1.2.840.113549.1.5.12"
_OID_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_OID_AES256 = "2.16.840.1.101.3.4.1.42"
_OID_EC = "1.2.840.10045.2.1"
_OID_RSA = "1.2.840.113549.1.1.1"
_OID_ED25519 = "1.3.101.112"
_OID_GO_ED25519 = "1.3.6.1.4.1.11591.15.1"  # from before there was a real one
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "1.2.840.10045.3.1.7": ec.SECP256R1(),
    "1.3.132.0.34": ec.SECP384R1(),
    "1.3.132.0.35": ec.SECP521R1(),
}
_PRFS: Mapping[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.2.7": hashes.SHA1(),  # noqa: S303
    "1.2.840.113549.2.8": hashes.SHA224(),
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}
_DES3 = _Cbc(24, 8, TripleDES)
_CIPHERS: Mapping[str, _Cbc] = {
    "2.16.840.1.101.3.4.1.2": _Cbc(16, 16, AES),
    "2.16.840.1.101.3.4.1.22": _Cbc(24, 16, AES),
    _OID_AES256: _Cbc(32, 16, AES),
    "1.2.840.113549.3.7": _DES3,
}
_DEK_CIPHERS: Mapping[str, _Cbc] = {
    "AES-128-CBC": _Cbc(16, 16, AES),
    "AES-192-CBC": _Cbc(24, 16, AES),
    "AES-256-CBC": _Cbc(32, 16, AES),
    "DES-EDE3-CBC": _DES3,
}

# 16 MiB, five times: one of the settings OWASP lists as equal to N=2^17 (Password Storage Cheat Sheet), and the
# one that OpenSSL reads, whose limit for scrypt in PKCS#8 is 32 MiB. About 0.15 s.
_SCRYPT = (1 << 14, 8, 5)
_GO_ROUNDS = 100_000  # about 0.03 s here, for two hashes a round; Go reads the count from the file
_MOST_ROUNDS = 10_000_000  # of PBKDF2, seconds
_MOST_MEMORY = 256 << 20  # bytes for scrypt, twice the strongest setting OWASP lists
_MOST_WORK = 1 << 23  # N*r*p of scrypt, some five seconds
_MOST_BCRYPT_ROUNDS = 1024  # ssh-keygen writes 16 or 24
