"""What trustreg signs without a trust server, other tools accept; and nothing of it that has changed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.images import DOCKER, OCI, image, index
from tests.peers import Skopeo
from tests.peers.command import clean_env
from tests.peers.gpg import gpg_home
from tests.peers.sigstore import Cosign, copy
from trustreg.facade import Signer
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, WritablePlace
from trustreg.sign import keyfile
from trustreg.sign.signer import PrivateKey, describe
from trustreg.wire import Wiring
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers import RegistryPeer, Result
    from tests.peers.gpg import Gpg

KEYS: dict[str, PrivateKey] = {
    "ed25519": maker.ED25519,
    "P-256": maker.P256,
    "P-384": maker.P384,
    "P-521": maker.P521,
    "RSA": maker.RSA,
}


@dataclass(frozen=True)
class Home:
    """A repository with an image 1.0 and an index 2.0, and somebody who signs them."""

    registry: RegistryPeer
    path: str
    env: dict[str, str]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.registry.host}/{self.path}"

    def place(self, text: str = "tag") -> WritablePlace:
        return Wiring({}, self.env, lambda: datetime.now(UTC)).signature_place(Reference.parse(self.name), text)

    def signer(self, **by: Any) -> Signer:
        return Signer(env=self.env, **by)


ONE, TWO = image("1.0"), index("2.0", OCI)


@pytest.fixture
def home(open_registry: RegistryPeer, tmp_path: Path) -> Home:
    path, skopeo = f"team/app-{secrets.token_hex(6)}", Skopeo(open_registry)
    skopeo.push(ONE, f"{path}:1.0")
    skopeo.push(TWO, f"{path}:2.0")
    return Home(open_registry, path, clean_env(HOME=str(tmp_path), TRUSTREG_TRUST_DIR=str(tmp_path / "t")), tmp_path)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as made:
        yield made


def write_key(folder: Path, private: PrivateKey) -> tuple[Path, Path]:
    """Write a private key and its public half."""
    files = folder / "key.pem", folder / "key.pub"
    files[0].write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(private)))
    files[1].write_bytes(keyfile.public_pem(*describe(private.public_key())))
    return files


def flipped(raw: bytes) -> bytes:
    """Give *raw* with one bit of its fifth byte from the end turned."""
    return raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]


def pull(home: Home, tag: str, public: Path, *options: str) -> Result:
    """Have the newer skopeo pull a tag, or ``@DIGEST``, under a policy that wants a signature by a plain key."""
    requirement = {
        "type": "sigstoreSigned",
        "keyPath": str(public),
        "signedIdentity": {"type": "matchRepoDigestOrExact"},
    }
    name = f"docker://{home.name}{tag}"
    return copy(name, "dir:pulled", "--remove-signatures", *options, requirement=requirement)


@pytest.mark.parametrize("kind", KEYS)
def test_plain_keys(home: Home, kind: str) -> None:
    """
    Skopeo and cosign take them from the registry: by tag and by digest, an index whole and for one platform.
    """
    private, public = write_key(home.folder, KEYS[kind])
    with home.signer(key=private) as signer:
        for tag in ("1.0", "2.0"):
            signer.sign(f"{home.name}:{tag}")
    cosign = Cosign(home.folder)

    assert pull(home, ":2.0", public, "--override-arch", "arm64").returncode == 0
    pulled = pull(home, ":2.0", public, "--all")
    assert pulled.returncode == 0, pulled
    for name in (f"{home.name}:1.0", f"{home.name}:2.0"):
        said = cosign.verify(name, public)
        assert said.returncode == 0, said
    if kind == "ed25519":
        assert pull(home, f"@{ONE.digest}", public).returncode == 0
        assert pull(home, f"@{TWO.digest}", public, "--all").returncode == 0
        assert cosign.verify(f"{home.name}@{TWO.images[1].digest}", public).returncode == 0


def test_an_index_alone(home: Home) -> None:
    """
    Is not enough for skopeo, which looks at the platform; to cosign it is.
    """
    private, public = write_key(home.folder, maker.ED25519)
    with home.signer(key=private) as signer:
        signer.sign(f"{home.name}:2.0", recursive=False)

    assert pull(home, ":2.0", public, "--override-arch", "arm64").returncode
    assert pull(home, ":2.0", public, "--all").returncode
    assert Cosign(home.folder).verify(f"{home.name}:2.0", public).returncode == 0


@pytest.mark.parametrize("kind", ["ed25519", "P-256"])
def test_plain_keys_that_have_not_signed_this(home: Home, kind: str) -> None:
    """
    One changed byte, in the signature or in what it says; another name; another digest; another key.
    """
    private, public = write_key(home.folder, KEYS[kind])
    place, cosign, reference = home.place(), Cosign(home.folder), Reference.parse(home.name)
    one = Digest.parse(ONE.digest)

    def keep(signature: Detached) -> None:
        """Have *signature* and no other there."""
        for there in place.read(reference, one):
            assert isinstance(there, Detached)
            place.remove(reference, one, there)
        place.add(reference, one, signature)

    with home.signer(key=private) as signer:
        signer.sign(f"{home.name}:1.0")
        (good,) = place.read(reference, one)
        assert isinstance(good, Detached)
        assert pull(home, ":1.0", public).returncode == 0

        keep(replace(good, signature=flipped(good.signature)))
        assert pull(home, ":1.0", public).returncode
        assert cosign.verify(f"{home.name}:1.0", public).returncode
        keep(replace(good, payload=good.payload.replace(b"trustreg ", b"trustre9 ")))
        assert pull(home, ":1.0", public).returncode
        assert cosign.verify(f"{home.name}:1.0", public).returncode

        other = home.signer(key=private).sign(f"{home.name}:2.0").manifests[1]
        (about_another,) = place.read(reference, other.digest)
        assert isinstance(about_another, Detached)
        keep(about_another)
        assert pull(home, ":1.0", public).returncode
        assert cosign.verify(f"{home.name}:1.0", public).returncode

        for there in place.read(reference, one):
            assert isinstance(there, Detached)
            place.remove(reference, one, there)
        signer.sign(f"{home.name}:1.0", identity="vendor.example/app")
        assert pull(home, ":1.0", public).returncode
        assert cosign.verify(f"{home.name}:1.0", public).returncode == 0  # which compares no names
        named = {"type": "exactReference", "dockerReference": "vendor.example/app:1.0"}
        requirement = {"type": "sigstoreSigned", "keyPath": str(public), "signedIdentity": named}
        taken = copy(f"docker://{home.name}:1.0", "dir:x", "--remove-signatures", requirement=requirement)
        assert taken.returncode == 0, taken

        signer.sign(f"{home.name}:1.0")
        assert pull(home, ":1.0", public).returncode == 0
    write_key(home.folder, maker.P384)
    assert pull(home, ":1.0", public).returncode
    assert cosign.verify(f"{home.name}:1.0", public).returncode


def test_several_keys_one_after_the_other(home: Home) -> None:
    """
    Each signature stays what it is, those of cosign too.
    """
    folders = [home.folder / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    mine, other = write_key(folders[0], maker.ED25519), write_key(folders[1], maker.RSA)
    cosign = Cosign(folders[2])
    theirs = cosign.generate_key_pair("secret")

    home.signer(key=mine[0]).sign(f"{home.name}:1.0")
    cosign.sign(f"{home.name}@{ONE.digest}", theirs[0], "secret")
    home.signer(key=other[0]).sign(f"{home.name}:1.0")

    for public in (mine[1], theirs[1], other[1]):
        said = cosign.verify(f"{home.name}:1.0", public)
        assert said.returncode == 0, said


def test_a_key_for_both(home: Home) -> None:
    """
    What cosign imports is the same key: each verifies what the other has signed with it.
    """
    private, public = write_key(home.folder, maker.ED25519)
    cosign = Cosign(home.folder)
    imported = cosign.import_key_pair(private, "secret")

    assert imported[1].read_bytes() == public.read_bytes()
    cosign.sign(f"{home.name}@{ONE.digest}", imported[0], "secret")
    signed = home.signer(key=private).sign(f"{home.name}:1.0")

    assert signed.manifests[0].added  # cosign names no tag
    assert cosign.verify(f"{home.name}:1.0", public).returncode == 0


@pytest.mark.parametrize(("kind", "family"), [("ed25519", DOCKER), ("rsa2048", OCI)], ids=["ed25519", "rsa"])
def test_gpg(home: Home, gpg: Gpg, kind: str, family: Any, open_registry: RegistryPeer) -> None:
    """
    Skopeo takes them, by ``standalone-verify`` and under a policy: the image, an index whole and for one platform.
    """
    skopeo, folder, whole = Skopeo(open_registry), home.folder / "signatures", index("3.0", family)
    skopeo.push(whole, f"{home.path}:3.0")
    fingerprint = gpg.generate(f"{kind}-{home.path}", kind)
    key = home.folder / "key.gpg"
    key.write_bytes(gpg.public(fingerprint))
    by = {"gpg": fingerprint, "gpg_home": gpg.home, "to": f"lookaside:{folder}"}
    with home.signer(**by) as signer:
        signed = [signer.sign(f"{home.name}:{tag}") for tag in ("1.0", "3.0")]

    raw = {one.digest: one.manifest.raw for one in (ONE, whole, *whole.images)}
    for one in (*signed[0].manifests, *signed[1].manifests):
        said = skopeo.verify_signature(
            raw[str(one.digest)], one.name, fingerprint, Path(one.where).read_bytes(), gpg.home
        )
        assert said.returncode == 0, said
    for name, scope in ((":1.0", ""), (f"@{ONE.digest}", ""), (":3.0", "amd64"), (":3.0", "arm64")):
        pulled = skopeo.pull_signed(f"{home.path}{name}", key, folder, scope=scope)
        assert pulled.returncode == 0, pulled
    newer = copy(
        f"docker://{home.name}:3.0",
        "dir:pulled",
        "--remove-signatures",
        "--all",
        requirement={"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(key)},
        registries={"lookaside": folder.as_uri()},
    )
    assert newer.returncode == 0, newer


def test_gpg_keys_that_have_not_signed_this(home: Home, gpg: Gpg, open_registry: RegistryPeer) -> None:
    """
    One changed byte; another name; another digest; another key.
    """
    skopeo, folder = Skopeo(open_registry), home.folder / "signatures"
    fingerprint, another = gpg.generate(f"mine-{home.path}"), gpg.generate(f"other-{home.path}")
    key, other_key = home.folder / "key.gpg", home.folder / "other.gpg"
    key.write_bytes(gpg.public(fingerprint))
    other_key.write_bytes(gpg.public(another))
    with home.signer(gpg=fingerprint, gpg_home=gpg.home, to=f"lookaside:{folder}") as signer:
        file = Path(signer.sign(f"{home.name}:1.0").manifests[0].where)
        good = file.read_bytes()
        assert skopeo.pull_signed(f"{home.path}:1.0", key, folder).returncode == 0
        assert skopeo.pull_signed(f"{home.path}:1.0", other_key, folder).returncode

        def refused(raw: bytes) -> None:
            file.write_bytes(raw)
            assert skopeo.pull_signed(f"{home.path}:1.0", key, folder).returncode
            said = skopeo.verify_signature(ONE.manifest.raw, f"{home.name}:1.0", fingerprint, raw, gpg.home)
            assert said.returncode

        refused(flipped(good))
        refused(Path(signer.sign(f"{home.name}:2.0").manifests[1].where).read_bytes())
        file.unlink()
        signer.sign(f"{home.name}:1.0", identity="vendor.example/app")
        refused(file.read_bytes())
