"""Key files of every program are read, ours are read by every program, and a bad file says what is bad about it."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from hypothesis import example, given
from hypothesis import strategies as st

from trustreg.errors import KeyFileError, PassphraseError
from trustreg.names import Gun
from trustreg.sign import der, keyfile
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner, PrivateKey, describe
from vectors.make import keys as maker

VECTORS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(maker.FOLDER.glob("*.json"))}


def _name(private: PrivateKey) -> str:
    return private.curve.name if isinstance(private, ec.EllipticCurvePrivateKey) else describe(private.public_key())[0]


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    """
    A key file holds what the vector says, or is refused as the vector says.
    """
    vector = VECTORS[name]
    assert {"comment", "source", "file", "passphrase", "expect"} == set(vector)

    assert vector["expect"] == _outcome(vector["file"].encode(), vector["passphrase"])


def test_the_vectors_are_what_their_script_makes() -> None:
    """
    A rerun of the script changes nothing.
    """
    made = {name: maker.text(vector) for name, vector in maker.make().items()}

    assert made == {path.stem: path.read_text("utf-8") for path in maker.FOLDER.glob("*.json")}


@pytest.mark.parametrize("private", [maker.ED25519, maker.P256, maker.P384, maker.P521, maker.RSA], ids=_name)
@pytest.mark.parametrize("write", [keyfile.write_own, keyfile.write_notary])
def test_what_is_written_is_read(private: PrivateKey, write: Callable[..., bytes]) -> None:
    """
    Every kind of key survives both forms, with its role and GUN, under a passphrase in any script.
    """
    raw = write(private, "pässwörd ✓", role="targets", gun="docker.io/library/é", random=maker._random)

    (sealed,) = keyfile.read_key_file(raw, "a.pem")

    assert (sealed.role, sealed.gun, sealed.encrypted) == ("targets", "docker.io/library/é", True)
    assert _same(private, sealed.open("pässwörd ✓"))
    with pytest.raises(PassphraseError, match=r"key a\.pem: the passphrase is wrong"):
        sealed.open("passwort")


def test_our_form_is_read_by_cryptography() -> None:
    """
    The text before the key is skipped, and scrypt is understood.
    """
    raw = keyfile.write_own(maker.P256, "secret", role="root", gun=None, random=maker._random)

    private = load_pem_private_key(raw, b"secret")

    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert _same(maker.P256, private)


def test_the_notary_form_is_that_of_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With Go's salt, IV and rounds, each recorded file comes out byte for byte.
    """
    monkeypatch.setattr(keyfile, "_GO_ROUNDS", 2048)
    for name, passphrase in (
        ("root", "root-pass"),
        ("targets", "targets-pass"),
        ("snapshot", "snapshot-pass"),
        ("delegation", "delegation-pass"),
        ("ed25519", "targets-pass"),
    ):
        recorded = maker._recorded(f"notary-{name}")
        (sealed,) = keyfile.read_key_file(recorded, name)
        random = iter(_salt_and_iv(sealed.content))

        made = keyfile.write_notary(
            sealed.open(passphrase),
            passphrase,
            role=sealed.role or "",
            gun=sealed.gun,
            random=lambda _, random=random: next(random),  # type: ignore[misc]
        )

        assert recorded == made


def test_an_export_names_the_key() -> None:
    """
    Go's import stores an encrypted key under its ``path``; headers are sorted, as Go sorts them.
    """
    raw = keyfile.write_notary(maker.ED25519, "x", role="targets", gun="a/b", path="0ff", random=maker._random)

    assert raw.decode().splitlines()[1:5] == ["gun: a/b", "path: 0ff", "role: targets", ""]
    assert keyfile.read_key_file(raw, "a")[0].path == "0ff"


def test_no_key_is_written_in_the_clear() -> None:
    """
    An empty passphrase is a mistake of the caller.
    """
    for write in (keyfile.write_own, keyfile.write_notary):
        with pytest.raises(ValueError, match="without a passphrase"):
            write(maker.ED25519, "", role="root", gun=None, random=maker._random)


def test_a_name_cannot_add_lines() -> None:
    """
    What stands before a key is one line each.
    """
    for write in (keyfile.write_own, keyfile.write_notary):
        with pytest.raises(ValueError, match="public"):
            write(maker.ED25519, "x", role="root\npublic: AAAA", gun=None, random=maker._random)


def test_secrets_stay_out_of_sight() -> None:
    """
    Neither a sealed key nor an error shows a passphrase or key material.
    """
    (sealed,) = keyfile.read_key_file(maker._recorded("openssl-rsa"), "a.pem")

    assert repr(sealed) == (
        "SealedKey(source='a.pem', encrypted=False, role=None, gun=None, path=None, kind='', public=b'')"
    )


def test_text_around_keys_is_passed_over() -> None:
    """
    Certificates, comments and what openssl prints before a key do not matter; what is said counts for the next key.
    """
    raw = b"\n".join(
        [
            b"Bag Attributes\n    friendlyName: role\nrole: root",
            maker._pem("PRIVATE KEY", maker._pkcs8(maker.ED25519)),
            maker._recorded("notary-certificate"),
            maker._recorded("openssl-ecparam"),
            b"gun: a/b",
            maker._recorded("openssl-rsa"),
        ]
    )

    said = [(sealed.role, sealed.gun) for sealed in keyfile.read_key_file(raw, "a")]

    assert said == [("root", None), (None, None), (None, "a/b")]


def test_a_file_may_not_be_endless() -> None:
    """
    The limit is on the file, whatever is in it.
    """
    with pytest.raises(KeyFileError, match="it is longer than the 262144 bytes"):
        keyfile.read_key_file(b"\n" * (keyfile.LARGEST_KEY_FILE + 1), "a")


def test_many_small_blocks_are_read_in_no_time() -> None:
    """
    A file full of beginnings is no way to keep us busy.
    """
    began = time.perf_counter()
    for filling in (b"-----BEGIN PRIVATE KEY-----\n", b"a: b\n", b"-----BEGIN A-----\n-----END A-----\n"):
        with pytest.raises(KeyFileError):
            keyfile.read_key_file(filling * (keyfile.LARGEST_KEY_FILE // len(filling)), "a")

    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("private", [maker.ED25519, maker.P256, maker.P384, maker.RSA], ids=_name)
def test_a_public_key_is_written_and_read(private: PrivateKey) -> None:
    """
    PEM out is PEM in, for cryptography too.
    """
    kind, public = describe(private.public_key())

    raw = keyfile.public_pem(kind, public)

    assert (kind, public) == describe(keyfile.read_public(raw, "a.pub"))
    assert private.public_key() == load_pem_public_key(raw)


def test_a_certificate_of_no_known_version_is_damaged() -> None:
    """
    However the library calls that.
    """
    good = root_certificate(LocalSigner(maker.P256), Gun("registry.example/app"), datetime(2026, 11, 24, tzinfo=UTC), 1)
    raw = maker._pem("CERTIFICATE", good.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1))

    for read in (keyfile.read_certificates, keyfile.read_public):
        with pytest.raises(KeyFileError, match="damaged"):
            read(raw, "a.crt")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "it holds no PEM public key"),
        (maker._recorded("openssl-rsa"), "it holds no PEM public key"),
        (maker._pem("PUBLIC KEY", b"\x30\0"), "its public key is damaged or of no known kind"),
        (
            maker._pem(
                "PUBLIC KEY",
                base64.b64decode("MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE")
                + bytes.fromhex(
                    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
                    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
                ),
            ),
            "its curve secp256k1 is of no use here",
        ),
    ],
    ids=["empty", "private", "damaged", "secp256k1"],
)
def test_a_public_key_that_is_none(raw: bytes, problem: str) -> None:
    """
    One sentence says why.
    """
    with pytest.raises(KeyFileError) as caught:
        keyfile.read_public(raw, "a.pub")

    assert caught.value.problem.startswith(problem)


def test_a_docker_public_key_is_read() -> None:
    """
    ``docker trust key generate`` writes a header into it.
    """
    kind, public = describe(maker.P256.public_key())

    read = keyfile.read_public(maker._pem("PUBLIC KEY", public, role="alice"), "alice.pub")

    assert describe(read) == (kind, public)


def test_the_id_is_that_of_notary() -> None:
    """
    The example of notary's documentation.
    """
    public = base64.b64decode("C6tuvepOqNRsK1WVWxDSe7MlO8Rnwn8otLTmYCb4aNQ=")

    assert keyfile.key_id("ed25519", public) == "97e5baf50be24008c01c3e22f2fe8158d1d6c3ac218fb9173e17a168f713ab3f"


def test_bcrypt_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An encrypted OpenSSH key needs a package that may be missing; the sentence says so.
    """

    def missing(*_: object) -> bytes:
        raise UnsupportedAlgorithm("Need bcrypt module")

    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.ssh._bcrypt_kdf", missing)
    (sealed,) = keyfile.read_key_file(maker._recorded("openssh-ed25519-encrypted"), "a")

    with pytest.raises(KeyFileError, match="needs the Python package bcrypt, or ssh-keygen -p -m PKCS8"):
        sealed.open("correct-horse")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_that_is_generated_is_written(kind: str) -> None:
    """
    What the key store makes, the key store can hold.
    """
    private = LocalSigner.generate(kind).private

    (sealed,) = keyfile.read_key_file(
        keyfile.write_notary(private, "x", role="targets", gun=None, random=maker._random), "a"
    )

    assert _same(private, sealed.open("x"))


# --- fuzz -------------------------------------------------------------------------------------------

CHEAP = [
    vector["file"].encode()
    for name, vector in VECTORS.items()
    if not name.startswith(("own-", "pem-")) and len(vector["file"]) < 4_000
]


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")
@example(b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----")
@example(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----")
def test_any_bytes_are_a_key_file_or_one_sentence(raw: bytes) -> None:
    """
    Nothing but our own errors comes out.
    """
    _outcome(raw, "correct-horse")


@given(st.data())
def test_a_mutated_file_is_a_key_file_or_one_sentence(data: st.DataObject) -> None:
    """
    Bytes of real files are changed, removed, doubled: in the text and under the base64.
    """
    raw = data.draw(st.sampled_from(CHEAP))
    begin, _, rest = raw.partition(b"-----\n")
    if data.draw(st.booleans()) and b": " not in rest and rest:
        body, end, tail = rest.partition(b"\n-----END")
        raw = begin + b"-----\n" + _mutated(data, base64.b64decode(body), encode=True) + end + tail
    else:
        raw = _mutated(data, raw)

    _outcome(raw, "correct-horse")


@given(st.data())
def test_what_is_decrypted_may_be_anything(data: st.DataObject) -> None:
    """
    A file under the right passphrase is no reason for trust either.
    """
    content = data.draw(st.binary(max_size=200) | st.sampled_from([maker._pkcs8(maker.P256), maker._pkcs8(maker.RSA)]))
    content = _mutated(data, content)
    raw = maker._pem("ENCRYPTED PRIVATE KEY", _sealed(content))

    _outcome(raw, "correct-horse")


@given(
    st.recursive(
        st.integers(0, 1 << 70).map(der.integer) | st.binary(max_size=200).map(der.octets) | st.just(der.NONE),
        lambda children: st.lists(children, max_size=4).map(lambda items: der.sequence(*items)),
    )
)
def test_any_der_is_a_key_or_one_sentence(content: bytes) -> None:
    """
    Sound DER of the wrong shape is refused like any other.
    """
    for label in ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"):
        _outcome(maker._pem(label, content), "correct-horse")


# --- helpers ----------------------------------------------------------------------------------------


def _outcome(raw: bytes, passphrases: str | dict[str, str] | None) -> dict[str, Any]:
    keys = []
    try:
        for sealed in keyfile.read_key_file(raw, "file"):
            passphrase = passphrases.get(sealed.role or "") if isinstance(passphrases, dict) else passphrases
            kind, public = describe(sealed.open(passphrase).public_key())
            keys.append(
                {
                    "kind": kind,
                    "id": keyfile.key_id(kind, public),
                    "role": sealed.role,
                    "gun": sealed.gun,
                    "public": base64.b64encode(public).decode(),
                }
            )
    except (KeyFileError, PassphraseError) as exc:
        return {"error": exc.code, "problem": exc.problem}
    return {"keys": keys}


def _mutated(data: st.DataObject, raw: bytes, *, encode: bool = False) -> bytes:
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        change = data.draw(st.sampled_from(("set", "insert", "delete", "cut")))
        if change == "set" and at < len(changed):
            changed[at] = data.draw(st.integers(0, 255))
        elif change == "insert":
            changed[at:at] = data.draw(st.binary(max_size=4))
        elif change == "delete":
            del changed[at : at + data.draw(st.integers(1, 8))]
        elif change == "cut":
            del changed[at:]
    return base64.b64encode(changed) if encode else bytes(changed)


def _sealed(content: bytes) -> bytes:
    salt = der.octets(bytes(8))
    prf = der.sequence(der.oid("1.2.840.113549.2.9"), der.NONE)
    derivation = der.sequence(der.oid("1.2.840.113549.1.5.12"), der.sequence(salt, der.integer(1), prf))
    key = PBKDF2HMAC(SHA256(), 32, bytes(8), 1).derive(b"correct-horse")
    return keyfile._pbes2(derivation, key, bytes(16), content)


def _salt_and_iv(content: bytes) -> tuple[bytes, bytes]:
    scheme = der.read(content).sequence()
    scheme.oid()
    parameters = scheme.sequence()
    derivation, encryption = parameters.sequence(), parameters.sequence()
    derivation.oid()
    encryption.oid()
    return derivation.sequence().take(der.OCTET_STRING), encryption.take(der.OCTET_STRING)


def _same(one: PrivateKey, other: PrivateKey) -> bool:
    if isinstance(one, ed25519.Ed25519PrivateKey):
        return isinstance(other, ed25519.Ed25519PrivateKey) and one.private_bytes_raw() == other.private_bytes_raw()
    assert isinstance(other, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return one.private_numbers() == other.private_numbers()
