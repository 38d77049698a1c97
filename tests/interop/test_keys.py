"""Keys travel: between trustreg, the Go clients, OpenSSL, OpenSSH and an HSM, in both directions."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_der_x509_certificate

from tests.interop.test_notary_reads import row, sha256
from tests.interop.test_notary_writes import push, signed
from tests.peers import DockerTrust, GoNotary, KeyRow, Passphrases, Peer, Skopeo, TargetRow, image, require
from tests.peers.command import clean_env
from tests.peers.sigstore import Cosign
from trustreg.errors import KeyKindError, PassphraseError, SignerError
from trustreg.facade import Signer
from trustreg.io.keystore import FileKeyStore
from trustreg.io.passphrases import Passphrases as Found
from trustreg.io.trustdir import store_form
from trustreg.io.uri import UriSigner
from trustreg.names import Gun
from trustreg.sign import keyfile
from trustreg.sign.certificate import root_certificate
from trustreg.sign.signer import LocalSigner, PublicKey, describe
from trustreg.verify.signatures import fingerprint
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers import RegistryPeer, Trustreg
    from trustreg.sign.signer import PrivateKey

ROLES = ("root", "targets", "snapshot", "targets/releases")
KEYS: dict[str, PrivateKey] = {
    "ed25519": maker.ED25519,
    "P-256": maker.P256,
    "P-384": maker.P384,
    "P-521": maker.P521,
    "RSA": maker.RSA,
}


def shared(trust_dir: Path, passphrases: Passphrases | None = None) -> FileKeyStore:
    """Open the trust directory of a Go client, with the variables that it reads itself."""
    passphrases = passphrases or Passphrases()
    return FileKeyStore(trust_dir, "notary", Found(passphrases.notary_env() | passphrases.docker_env()))


def distinct() -> Passphrases:
    """Return other passphrases for each role, so that none opens by luck."""
    return Passphrases(root="rrrrrrrr", targets="tttttttt", snapshot="ssssssss", delegation="dddddddd")


# --- notary -----------------------------------------------------------------------------------------


def test_keys_of_go_are_read(go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, tmp_path: Path) -> None:
    """
    Every role's, each under its own passphrase; what Go calls them is what we call them.
    """
    go = go_notary(go_server, passphrases=distinct())
    go.init(gun)
    (tmp_path / "rsa.pem").write_bytes(maker._recorded("openssl-rsa"))
    go.key_import(tmp_path / "rsa.pem", role="targets/releases")
    store = shared(go.trust_dir, go.passphrases)

    keys = store.keys()

    assert store_form(go.trust_dir) == "notary"
    assert {(held.role, held.id) for held in keys} == {(row.role, row.key_id) for row in go.key_list()}
    assert {(held.role, held.gun) for held in keys} == {
        ("root", None),
        ("targets", gun),
        ("snapshot", gun),
        ("targets/releases", None),
    }
    assert {store.open(held).kind for held in keys} == {"ecdsa", "rsa"}


@pytest.mark.parametrize("private", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("role", ROLES)
def test_our_keys_are_opened_by_go(
    go_server: Peer, go_notary: Callable[..., GoNotary], private: PrivateKey, role: str
) -> None:
    """
    Go lists them with role and GUN, opens them to change the passphrase, and writes them back as we would read them.
    """
    go = go_notary(go_server)
    held = shared(go.trust_dir).add(LocalSigner(private), role, "registry.example/app")

    go.run("key", "passwd", held.id)

    assert go.key_list() == [KeyRow(role, held.gun or "", held.id)]
    assert shared(go.trust_dir).open(held).public == held.public


def test_go_signs_with_our_key_files(
    go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, tmp_path: Path
) -> None:
    """
    Root, targets, snapshot and delegation keys from files written here sign what another Go client verifies.
    """
    go, reader = go_notary(go_server), go_notary(go_server)
    store = shared(go.trust_dir)
    root = store.add(LocalSigner.generate("ecdsa"), "root", None)
    alice = store.add(LocalSigner.generate("ecdsa"), "targets/releases", None)
    (tmp_path / "payload").write_bytes(b"hello")
    (tmp_path / "alice.pub").write_bytes(store.export_public(alice))
    go.init(gun, publish=True)
    keys = store.keys()
    for held in keys:  # Go has made two of them: write all anew
        again = {"TRUSTREG_NEW_PASSPHRASE": getattr(go.passphrases, held.role, go.passphrases.delegation)}
        FileKeyStore(go.trust_dir, "notary", Found(go.passphrases.notary_env() | again)).change_passphrase(held)

    go.delegation_add(gun, "targets/releases", tmp_path / "alice.pub")
    go.add(gun, "v1", tmp_path / "payload", publish=True)
    go.add(gun, "v2", tmp_path / "payload", roles=["targets/releases"], publish=True)
    go.key_rotate(gun, "targets")

    assert {(row.name, row.role) for row in reader.list(gun)} == {("v1", "targets"), ("v2", "targets/releases")}
    assert {root.id, alice.id} < {row.key_id for row in go.key_list()}


def test_an_export_of_go_is_imported(
    go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, tmp_path: Path
) -> None:
    """
    All keys in one file, each under the passphrase of its role.
    """
    go = go_notary(go_server, passphrases=distinct())
    go.init(gun)
    go.key_export(tmp_path / "export.pem")

    store = FileKeyStore(tmp_path / "trust", "own", Found(go.passphrases.notary_env()))
    imported = store.import_file(tmp_path / "export.pem")

    assert {(held.role, held.id) for held in imported} == {(row.role, row.key_id) for row in go.key_list()}
    assert {held.gun for held in imported} == {None, gun}


@pytest.mark.parametrize("private", KEYS.values(), ids=KEYS)
def test_our_export_is_imported_by_go(
    go_server: Peer, go_notary: Callable[..., GoNotary], tmp_path: Path, private: PrivateKey
) -> None:
    """
    Encrypted, with role, GUN and id in its headers, so Go needs to be told nothing.
    """
    go = go_notary(go_server)
    store = FileKeyStore(tmp_path / "trust", "own", Found(go.passphrases.notary_env()))
    held = store.add(LocalSigner(private), "targets", "registry.example/app")
    (tmp_path / "export.pem").write_bytes(store.export(held, "notary"))

    go.key_import(tmp_path / "export.pem")

    assert go.key_list() == [KeyRow("targets", "registry.example/app", held.id)]
    assert shared(go.trust_dir).open(held).public == held.public


def test_a_passphrase_changed_here_is_the_one_go_needs(
    go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, tmp_path: Path
) -> None:
    """
    Go publishes with the new one and not with the old one.
    """
    go = go_notary(go_server)
    go.init(gun, publish=True)
    (tmp_path / "payload").write_bytes(b"hello")
    changed = Passphrases(targets="another passphrase")
    environ = go.passphrases.notary_env() | {"TRUSTREG_NEW_PASSPHRASE": changed.targets}
    store = FileKeyStore(go.trust_dir, "notary", Found(environ))

    keys = store.keys()
    (targets,) = [held for held in keys if held.role == "targets"]
    store.change_passphrase(targets)

    go.add(gun, "v1", tmp_path / "payload")
    assert go.run("publish", gun, check=False).returncode
    GoNotary(go_server, go.trust_dir, passphrases=changed).publish(gun)
    assert [row.name for row in go.list(gun)] == ["v1"]


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA"])
def test_our_root_certificate_is_taken_by_go(
    go_server: Peer, go_notary: Callable[..., GoNotary], gun: str, tmp_path: Path, kind: str
) -> None:
    """
    Go begins a collection with key and certificate from here, and another Go client believes it.
    """
    go, reader = go_notary(go_server), go_notary(go_server)
    signer = LocalSigner(KEYS[kind])
    gun += "/" + "long" * 20  # a common name of more than 64 characters
    certificate = root_certificate(signer, Gun(gun), datetime.now(UTC), 1 << 100)
    (tmp_path / "root.crt").write_bytes(maker._pem("CERTIFICATE", certificate))
    passphrase = go.passphrases.root
    raw = keyfile.write_notary(signer.private, passphrase, role="root", gun=None, random=os.urandom)
    (tmp_path / "root.key").write_bytes(raw)
    (tmp_path / "payload").write_bytes(b"hello")

    go.run("init", "--rootkey", tmp_path / "root.key", "--rootcert", tmp_path / "root.crt", gun, "--publish")
    go.add(gun, "v1", tmp_path / "payload", publish=True)

    assert [row.name for row in reader.list(gun)] == ["v1"]


@cache
def of_every_kind() -> dict[str, PrivateKey]:
    """Return a key of every kind that both tools sign with and Go's command line takes, by the name of a signer."""
    made: dict[str, PrivateKey] = {"p384": maker.P384, "p521": maker.P521, "rsa2048": maker.RSA}
    bits = {f"rsa{size}": rsa.generate_private_key(public_exponent=65537, key_size=size) for size in (3072, 4096)}
    return {"p256": ec.generate_private_key(ec.SECP256R1()), **made, **bits}


def plain(private: PrivateKey, role: str) -> bytes:
    """Return a key file of Go's that is not encrypted."""
    begin, _, rest = maker._pem("PRIVATE KEY", keyfile._go_pkcs8(private)).decode().partition("\n")
    return f"{begin}\nrole: {role}\n\n{rest}".encode()


@pytest.mark.parametrize("how", ["ours", "plain", "theirs"])
def test_both_sign_with_keys_of_every_kind(
    go_server: Peer,
    registry: RegistryPeer,
    go_notary: Callable[..., GoNotary],
    people: Callable[..., Trustreg],
    gun: str,
    tmp_path: Path,
    how: str,
) -> None:
    """
    One signer for each kind, all keys in one folder, in files of ours, or that are not encrypted, or that Go imported;
    each tool signs a tag in every role at once, and both readers list all.
    """
    go = go_notary(go_server)
    go.init(gun)
    keys = {f"targets/{name}": private for name, private in of_every_kind().items()}
    store = shared(go.trust_dir, go.passphrases)
    for role, private in keys.items():
        kind, public = describe(private.public_key())
        file = tmp_path / f"{role.rpartition('/')[2]}.pem"
        file.write_bytes(keyfile.public_pem(kind, public))
        go.delegation_add(gun, role, file)
        if how == "ours":
            store.add(LocalSigner(private), role, None)
        elif how == "plain":
            path = go.trust_dir / "private" / f"{keyfile.key_id(kind, public)}.key"
            path.write_bytes(plain(private, role))
            path.chmod(0o600)
        else:
            file.write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
            go.key_import(file, role=role)
    go.publish(gun)
    person = people(go_server, registry=registry, trust_dir=go.trust_dir)
    pushed = push(registry, gun, "ours")

    go.addhash(gun, "theirs", 6, sha256=sha256("theirs"), roles=list(keys), publish=True)
    person.run("sign", f"{gun}:ours")

    expected = {each for role in keys for each in (signed("ours", pushed, role), row("theirs", role))}
    entries = people(go_server).verifier().contents(gun).entries
    reader = go_notary(go_server)
    assert expected == {each for role in keys for each in reader.list(gun, roles=[role])}
    assert expected == {TargetRow(each.tag, each.digest.hex, each.length, each.role) for each in entries}
    assert {(each.role, each.key_id) for each in go.key_list()} == {
        (key["role"], key["id"]) for key in person.json("key", "list")["keys"]
    }


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "targets/releases", "alice"])
def test_an_open_key_file_is_opened_by_both(
    go_server: Peer, go_notary: Callable[..., GoNotary], tmp_path: Path, role: str
) -> None:
    """
    Of every kind, ed25519 among them; Go encrypts it when told to, and writes it as we read it; so do we.
    """
    go, folder = go_notary(go_server), tmp_path / "ours"
    for private in KEYS.values():
        name = f"{keyfile.key_id(*describe(private.public_key()))}.key"
        for trust_dir in (go.trust_dir, folder):
            (trust_dir / "private").mkdir(mode=0o700, parents=True, exist_ok=True)
            (trust_dir / "private" / name).write_bytes(plain(private, role))
            (trust_dir / "private" / name).chmod(0o600)
    store = shared(folder, go.passphrases)

    for held in shared(go.trust_dir, go.passphrases).keys():
        assert shared(go.trust_dir).open(held).public == describe(next_of(held.id).public_key())[1]
        go.run("key", "passwd", held.id)
    for held in store.keys():
        FileKeyStore(folder, "notary", Found({"TRUSTREG_NEW_PASSPHRASE": "other"})).change_passphrase(held)

    for trust_dir, secret in ((go.trust_dir, passphrase_of(role, go.passphrases)), (folder, "other")):
        kept = FileKeyStore(trust_dir, "notary", Found({"TRUSTREG_PASSPHRASE": secret}))
        assert {kept.open(held).kind for held in kept.keys()} == {"ed25519", "ecdsa", "rsa"}
        assert [held.role for held in kept.keys()] == [role] * len(KEYS)
        for path in (trust_dir / "private").glob("*.key"):
            assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")


def next_of(keyid: str) -> PrivateKey:
    """Return the key called *keyid* of those that these tests have."""
    return next(key for key in KEYS.values() if keyfile.key_id(*describe(key.public_key())) == keyid)


def passphrase_of(role: str, passphrases: Passphrases) -> str:
    """Return what Go encrypts a key of *role* under."""
    found = getattr(passphrases, role, passphrases.delegation)
    assert isinstance(found, str)
    return found


def test_exports_of_some_keys(
    go_server: Peer, go_notary: Callable[..., GoNotary], people: Callable[..., Trustreg], gun: str, tmp_path: Path
) -> None:
    """
    Of one key or of one collection; the file says for each where it was, and both tools take all of it in.
    """
    go, other = go_notary(go_server), go_notary(go_server)
    go.init(gun)
    go.init(f"{gun}-2")
    root = next(row.key_id for row in go.key_list() if row.role == "root")
    go.run("key", "export", "--gun", gun, "-o", tmp_path / "collection.pem")
    go.key_export(tmp_path / "root.pem", root)
    person = people(go_server)

    imported = [person.json("key", "import", tmp_path / name)["keys"] for name in ("collection.pem", "root.pem")]

    assert [sorted((key["role"], key["gun"]) for key in keys) for keys in imported] == [
        [("snapshot", gun), ("targets", gun)],
        [("root", None)],
    ]
    ids = [key["id"] for keys in imported for key in keys]
    exports = [person.run("key", "export", keyid, "--form", "notary").stdout for keyid in ids]
    (tmp_path / "back.pem").write_text("".join(exports))
    other.key_import(tmp_path / "back.pem")
    assert {row.key_id for row in other.key_list()} == set(ids)


# --- docker -----------------------------------------------------------------------------------------


def test_a_key_of_docker_is_read(go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], tmp_path: Path) -> None:
    """
    Its role is the signer's name, and its public half the one that Docker hands out.
    """
    docker = docker_trust(go_server_tls)
    public = docker.key_generate("alice", tmp_path)
    store = shared(docker.trust_dir, docker.passphrases)

    (held,) = store.keys()

    assert held.role == "alice"
    assert store.open(held).public == describe(keyfile.read_public(public.read_bytes(), "alice.pub"))[1]
    read = load_pem_public_key(store.export_public(held))
    assert read == keyfile.read_public(public.read_bytes(), "alice.pub")


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_from_here_is_loaded_by_docker_and_read_back(
    go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], tmp_path: Path, kind: str
) -> None:
    """
    Round trip: out of our store, through ``docker trust key load``, back into another store.
    """
    docker = docker_trust(go_server_tls)
    here = FileKeyStore(tmp_path / "here", "own", Found({"TRUSTREG_PASSPHRASE": docker.passphrases.delegation}))
    held = here.add(LocalSigner(KEYS[kind]), "bob", None)
    (tmp_path / "bob.pem").write_bytes(here.export(held, "notary"))
    (tmp_path / "bob.pem").chmod(0o600)

    docker.key_load(tmp_path / "bob.pem", "bob")

    (loaded,) = shared(docker.trust_dir, docker.passphrases).keys()
    assert (loaded.id, loaded.role) == (held.id, "bob")
    there = FileKeyStore(tmp_path / "there", "own", Found(docker.passphrases.docker_env()))
    assert [key.id for key in there.import_file(Path(loaded.where))] == [held.id]


def test_docker_signs_with_our_keys(
    go_server_tls: Peer, docker_trust: Callable[..., DockerTrust], gun: str, tmp_path: Path
) -> None:
    """
    A root key made in Docker's trust directory begins a collection, and Docker lists a signer's key made here.
    """
    docker = docker_trust(go_server_tls)
    store = shared(docker.trust_dir, docker.passphrases)
    root = store.add(LocalSigner.generate("ecdsa"), "root", None)
    alice = store.add(LocalSigner.generate("ecdsa"), "alice", None)
    (tmp_path / "alice.pub").write_bytes(store.export_public(alice))

    docker.signer_add("alice", gun, [tmp_path / "alice.pub"])

    report = docker.inspect(gun)
    assert report is not None
    assert report.signers == {"alice": (alice.id,)}
    keys = store.keys()
    assert {("root", root.id), ("alice", alice.id)} < {(held.role, held.id) for held in keys}
    assert {held.role for held in keys} == {"root", "alice", "targets"}


# --- openssl, ssh-keygen ----------------------------------------------------------------------------


@pytest.mark.parametrize("private", KEYS.values(), ids=KEYS)
def test_openssl_reads_our_form(tmp_path: Path, private: PrivateKey) -> None:
    """
    Text before the key and all: scrypt within the memory that OpenSSL allows.
    """
    require("openssl")
    raw = keyfile.write_own(private, "secret", role="targets", gun="registry.example/app", random=os.urandom)
    (tmp_path / "key.pem").write_bytes(raw)

    argv = ["openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-passin", "stdin", "-pubout"]
    done = subprocess.run(argv, input=b"secret\n", capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert describe(keyfile.read_public(done.stdout, "openssl")) == describe(private.public_key())


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("passphrase", ["", "secret"], ids=["plain", "encrypted"])
def test_keys_of_ssh_keygen_are_read(tmp_path: Path, kind: str, passphrase: str) -> None:
    """
    Of every kind that may sign.
    """
    require("ssh-keygen")
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)

    (sealed,) = keyfile.read_key_file(path.read_bytes(), "id")
    kind_read, public = describe(sealed.open(passphrase or None).public_key())

    assert (kind_read, sealed.encrypted) == (kind, bool(passphrase))
    argv = ["ssh-keygen", "-e", "-m", "PKCS8", "-f", f"{path}.pub"]
    if kind != "ed25519":  # which ssh-keygen does not convert
        shown = subprocess.run(argv, capture_output=True, check=True).stdout
        assert describe(keyfile.read_public(shown, "id.pub"))[1] == public


# --- an HSM -----------------------------------------------------------------------------------------


class Token:
    """A token of SoftHSM in a folder of its own, with P-256 under id 2 and P-384 under id 3."""

    def __init__(self, folder: Path) -> None:
        require("softhsm2-util")
        found = [path for path in _SOFTHSM if path.exists()]
        assert found, "softhsm2-util is here and its library is not"
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        self.env = {
            "SOFTHSM2_CONF": str(folder / "softhsm2.conf"),
            "PYKCS11LIB": str(found[0]),
            "TRUSTREG_HSM_PIN": "5678",
        }
        argv = ["softhsm2-util", "--init-token", "--free", "--label", "release", "--so-pin", "1234", "--pin", "5678"]
        subprocess.run(argv, env=os.environ | self.env, check=True, capture_output=True)

    def generate(self) -> None:
        """Make the keys, in this process: PKCS#11 libraries are read once."""
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        with pkcs11.lib(self.env["PYKCS11LIB"]).get_token(token_label="release").open(user_pin="5678", rw=True) as s:
            for number, curve in ((2, "secp256r1"), (3, "secp384r1")):
                attributes = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
                domain = s.create_domain_parameters(pkcs11.KeyType.EC, attributes, local=True)
                domain.generate_keypair(store=True, id=bytes((number,)), label=f"key {number}")

    def public(self, number: int) -> PublicKey:
        """Return a public key, as its owner would export it."""
        import pkcs11
        from pkcs11.util.ec import encode_ec_public_key

        with pkcs11.lib(self.env["PYKCS11LIB"]).get_token(token_label="release").open() as session:
            key = session.get_key(pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.KeyType.EC, id=bytes((number,)))
            assert isinstance(key, pkcs11.PublicKey)
            return keyfile.read_public(maker._pem("PUBLIC KEY", encode_ec_public_key(key)), "token")


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """One token for all tests: a process loads SoftHSM once, with one configuration."""
    made = Token(tmp_path_factory.mktemp("hsm"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.env.items():
            patch.setenv(name, value)
        made.generate()
        yield made


def test_an_hsm_signs_and_certifies_itself(token: Token, tmp_path: Path) -> None:
    """
    The key never leaves the token, and is root of a collection all the same.
    """
    store = FileKeyStore(tmp_path / "trust", "own", Found(token.env))
    held = store.add_uri("hsm:2?label=release", token.public(2), "root", None)
    signer = FileKeyStore(tmp_path / "trust", "own", Found(token.env)).open(held)

    certificate = load_der_x509_certificate(
        root_certificate(signer, Gun("registry.example/app"), datetime.now(UTC), 1 << 90)
    )

    assert isinstance(signer, UriSigner)
    certificate.verify_directly_issued_by(certificate)
    assert describe(certificate.public_key()) == (held.kind, held.public)  # type: ignore[arg-type]


def test_an_hsm_that_is_not_as_it_should(token: Token) -> None:
    """
    A wrong PIN is tried once; a wrong token, key or public key is said.
    """
    public = token.public(2)

    with pytest.raises(PassphraseError, match=r"the PIN was not accepted \(PinIncorrect\)"):
        UriSigner("hsm:2?label=release", public, lambda _: "0000").sign(b"x", "id")
    with pytest.raises(SignerError, match="No PKCS#11 token found for label other"):
        UriSigner("hsm:2?label=other", public, lambda _: "5678").sign(b"x", "id")
    with pytest.raises(SignerError, match="could not find ECDSA private key on the PKCS#11 token"):
        UriSigner("hsm:9?label=release", public, lambda _: "5678").sign(b"x", "id")
    other = maker.P256.public_key()
    with pytest.raises(SignerError, match=r"does not verify as .* with the public key it was set up with"):
        UriSigner("hsm:2?label=release", other, lambda _: "5678").sign(b"x", "id")


def test_an_hsm_signs_images(token: Token, open_registry: RegistryPeer, tmp_path: Path) -> None:
    """
    As cosign does; a key on P-384, which tokens hash otherwise for, signs none.
    """
    name = f"{open_registry.host}/team/hsm-{tmp_path.name}".lower()
    Skopeo(open_registry).push(image("1.0"), f"{name.partition('/')[2]}:1.0")
    for number in (2, 3):
        kind, raw = describe(token.public(number))
        (tmp_path / f"{number}.pub").write_bytes(keyfile.public_pem(kind, raw))
    env = clean_env(HOME=str(tmp_path), **token.env)

    with Signer(key="hsm:2?label=release", public=tmp_path / "2.pub", env=env) as signer:
        made = signer.sign(f"{name}:1.0")
    with (
        Signer(key="hsm:3?label=release", public=tmp_path / "3.pub", env=env) as other,
        pytest.raises(KeyKindError, match="does not sign as ecdsa-der-sha256"),
    ):
        other.sign(f"{name}:1.0")

    assert made.key == fingerprint(token.public(2))
    said = Cosign(tmp_path).verify(f"{name}:1.0", tmp_path / "2.pub")
    assert said.returncode == 0, said


def test_an_hsm_from_the_command_line(token: Token, tmp_path: Path) -> None:
    """
    ``key add-uri`` takes P-256 and P-384, with the PIN from its variable. Notary has no use for the second, TUF does.
    """
    for number in (2, 3):
        (tmp_path / f"{number}.pub").write_bytes(keyfile.public_pem(*describe(token.public(number))))

    def add(number: int) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "trustreg", "key", "add-uri", f"hsm:{number}?label=release", "--role", "root"]
        argv += ["--public", str(tmp_path / f"{number}.pub"), "--trust-dir", str(tmp_path / str(number))]
        return subprocess.run(argv, env=os.environ | token.env, capture_output=True, check=False)

    for number in (2, 3):
        done = add(number)
        assert done.stdout.decode() == keyfile.key_id(*describe(token.public(number))) + "\n", done.stderr
    store = FileKeyStore(tmp_path / "3", "own", Found(token.env))
    signer = store.open(store.keys()[0])
    assert signer.sign(b"payload", "id", "ecdsa-sha2-nistp384").scheme == "ecdsa-sha2-nistp384"
    with pytest.raises(KeyKindError, match="does not sign as ecdsa-p1363-sha256"):
        signer.sign(b"payload", "id")


def test_a_collection_whose_keys_never_leave_the_hsm(
    token: Token,
    open_registry: RegistryPeer,
    trust_server: Peer,
    people: Callable[..., Trustreg],
    go_notary: Callable[..., GoNotary],
    tmp_path: Path,
) -> None:
    """
    The root key is in the token; the collection begins, is signed and read, and Go reads it too.
    """
    digest = Skopeo(open_registry).push(image("hsm"), "hsm/app:1.0")
    gun = f"{open_registry.host}/hsm/app"
    person = people(trust_server, env=token.env)
    (tmp_path / "root.pub").write_bytes(keyfile.public_pem(*describe(token.public(2))))
    added = person.run("key", "add-uri", "hsm:2?label=release", "--role", "root", "--public", tmp_path / "root.pub")

    person.run("init", "--use", added.stdout.strip(), gun)
    person.run("sign", f"{gun}:1.0")

    assert person.run("verify", f"{gun}:1.0").stdout.startswith(f"{gun}@{digest} ")
    assert [row.sha256 for row in go_notary(trust_server).list(gun)] == [digest.removeprefix("sha256:")]
    assert not list((person.trust_dir / "private").glob(f"{added.stdout.strip()}.[pk]e[my]"))


_SOFTHSM = (Path("/usr/lib/softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"))
