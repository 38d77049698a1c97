"""Signatures in their places, with skopeo on the other side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.io.signatures.conftest import web
from tests.peers import Skopeo, docker_registry, image, write_docker_config, write_layout
from tests.peers.command import clean_env, run
from tests.peers.gpg import gpg_home
from tests.peers.nginx import nginx
from trustreg.dialects import openpgp, simple
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.io.signatures.tag import TagPlace
from trustreg.io.tls import Tls
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import RegistryPeer
    from tests.peers.command import Result
    from tests.peers.gpg import Gpg

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def peer() -> Iterator[RegistryPeer]:
    """Run a registry behind a password: whoever reads signatures has to log in as for the image."""
    with docker_registry(htpasswd={"bob": "s3cret"}) as running:
        yield running


@pytest.fixture
def registry(peer: RegistryPeer, home: Path) -> HttpRegistry:
    write_docker_config(home / ".docker", peer.login())
    return HttpRegistry(Auth(Http({}, Tls({}, str(home)))), DockerCredentials({}, str(home)))


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gpg_home() as made:
        yield made


class Person:
    """Somebody with skopeo, who is told by one folder where signatures are and what to demand."""

    def __init__(self, home: Path, registry: RegistryPeer) -> None:
        self._home, self._host = home, registry.host
        self._auth = write_docker_config(home / "auth", registry.login())
        (home / "registries.d").mkdir()

    def told(self, requirement: dict[str, object], place: dict[str, object]) -> None:
        """Demand *requirement* of all images of the registry, whose signatures are at *place*."""
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self._host: [requirement]}}}
        (self._home / "policy.json").write_text(json.dumps(policy))
        (self._home / "registries.d" / "a.yaml").write_text(json.dumps({"docker": {self._host: place}}))

    def pull(self, name: str) -> Result:
        """Copy an image to here, under the policy."""
        to = f"dir:{self._home / 'pulled'}"
        return self.skopeo("copy", "--remove-signatures", "--src-tls-verify=false", "--src-authfile", self._auth,
                           f"docker://{self._host}/{name}", to, policy=True)  # fmt: skip

    def sign(self, source: str, name: str, *by: str, gpg: Path | None = None) -> Result:
        """Push the image in the layout *source*, signed."""
        return self.skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-authfile", self._auth, *by,
                           source, f"docker://{self._host}/{name}", gpg=gpg)  # fmt: skip

    def skopeo(self, *args: object, policy: bool = False, gpg: Path | None = None) -> Result:
        rules = ("--policy", self._home / "policy.json") if policy else ("--insecure-policy",)
        env = clean_env(
            HOME=str(self._home), XDG_RUNTIME_DIR=str(self._home), **({"GNUPGHOME": str(gpg)} if gpg else {})
        )
        argv = ["skopeo", *rules, "--registries.d", self._home / "registries.d", *args]
        return run(argv, env=env, check=False)


@pytest.fixture
def person(tmp_path: Path, peer: RegistryPeer) -> Person:
    return Person(tmp_path, peer)


def plain_key(tmp_path: Path) -> tuple[ec.EllipticCurvePrivateKey, Path]:
    key, path = ec.generate_private_key(ec.SECP256R1()), tmp_path / "key.pub"
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, spki))
    return key, path


def signed(key: ec.EllipticCurvePrivateKey, reference: str, digest: Digest) -> Detached:
    payload = simple.write(simple.Payload(reference=reference, digest=digest), simple.COSIGN)
    return Detached(where="", payload=payload, signature=key.sign(payload, ec.ECDSA(hashes.SHA256())))


def test_skopeo_finds_them_under_the_tag(
    peer: RegistryPeer, registry: HttpRegistry, person: Person, tmp_path: Path
) -> None:
    """
    And refuses once ours is gone, or is for another image; what others have signed there does not matter.
    """
    name = Reference.parse(f"{peer.host}/tags/app:1.0")
    digest = Digest.parse(Skopeo(peer).push(image("tagged"), "tags/app:1.0"))
    key, path = plain_key(tmp_path)
    person.told({"type": "sigstoreSigned", "keyPath": str(path)}, {"use-sigstore-attachments": True})
    place, mine = TagPlace(registry), signed(key, str(name), digest)

    assert person.pull("tags/app:1.0").returncode != 0
    place.add(name, digest, signed(plain_key(tmp_path / "..")[0], str(name), digest))
    assert person.pull("tags/app:1.0").returncode != 0
    place.add(name, digest, mine)
    assert (result := person.pull("tags/app:1.0")).returncode == 0, result.stderr
    place.remove(name, digest, mine)
    assert person.pull("tags/app:1.0").returncode != 0
    place.add(name, digest, signed(key, f"{peer.host}/tags/other:1.0", digest))
    assert person.pull("tags/app:1.0").returncode != 0


def test_skopeo_finds_them_on_a_web_server(peer: RegistryPeer, person: Person, gpg: Gpg, tmp_path: Path) -> None:
    """
    In the folder that we wrote; so do we.
    """
    name = Reference.parse(f"{peer.host}/web/app:1.0")
    digest = Digest.parse(Skopeo(peer).push(image("web"), "web/app:1.0"))
    key, other, path = gpg.generate("web"), gpg.generate("other"), tmp_path / "key.gpg"
    path.write_bytes(gpg.public(key))
    payload = simple.write(simple.Payload(reference=str(name), digest=digest))
    folder = tmp_path / "signatures"
    folder.mkdir()
    for one in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        one.chmod(0o711)
    place, mine = Lookaside(FolderFiles(folder)), Message(where="", raw=gpg.sign(payload, key))
    with nginx(folder) as server:
        person.told({"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(path)}, {"lookaside": server.url})
        place.add(name, digest, Message(where="", raw=gpg.sign(payload, other)))
        assert person.pull("web/app:1.0").returncode != 0
        place.add(name, digest, mine)
        assert (result := person.pull("web/app:1.0")).returncode == 0, result.stderr
        assert len(list(Lookaside(web(server.url)).read(name, digest))) == 2
        place.remove(name, digest, mine)
        assert person.pull("web/app:1.0").returncode != 0


def test_what_skopeo_signs_is_found(peer: RegistryPeer, person: Person, gpg: Gpg, tmp_path: Path) -> None:
    """
    In the staging folder of registries.d; what we add to it skopeo keeps when it signs again.
    """
    fingerprint, folder = gpg.generate("skopeo"), tmp_path / "staging"
    made = image("staged")
    source, digest = write_layout(made, tmp_path / "layout"), Digest.parse(made.digest)
    name = Reference.parse(f"{peer.host}/staged/app:1.0")
    person.told({"type": "reject"}, {"lookaside-staging": folder.as_uri(), "sigstore-staging": folder.as_uri()})
    result = person.sign(source, "staged/app:1.0", "--sign-by", fingerprint, gpg=gpg.home)
    place = Lookaside(FolderFiles(folder))
    (found,) = place.read(name, digest)

    assert result.returncode == 0, result.stderr
    assert isinstance(found, Message)
    said = simple.read(openpgp.open_message(found.raw, simple.LARGEST).content)
    assert (said.reference, said.digest) == (str(name), digest)
