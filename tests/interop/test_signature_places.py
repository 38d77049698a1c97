"""Signatures in their places, with skopeo on the other side."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.mini_registry import MiniRegistry
from scripts.push_image import push
from tests.io.signatures.conftest import web
from tests.peers import Skopeo, docker_registry, image, write_docker_config, write_layout
from tests.peers.command import clean_env, run
from tests.peers.gpg import gpg_home
from tests.peers.nginx import nginx
from tests.peers.sigstore import Cosign, program
from trustreg.dialects import openpgp, simple
from trustreg.errors import UnauthorizedError
from trustreg.io.auth import Auth
from trustreg.io.docker import DockerCredentials
from trustreg.io.http import Http
from trustreg.io.registry import HttpRegistry
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.io.signatures.referrers import ReferrersPlace
from trustreg.io.signatures.tag import TagPlace
from trustreg.io.tls import Tls
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Message
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers import RegistryPeer
    from tests.peers.command import Result
    from tests.peers.gpg import Gpg
    from trustreg.ports import WritablePlace

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

    def pull(self, name: str, skopeo: Path | str = "skopeo") -> Result:
        """Copy an image to here, under the policy, with the program *skopeo*."""
        to = f"dir:{self._home / 'pulled'}"
        return self.skopeo("copy", "--remove-signatures", "--src-tls-verify=false", "--src-authfile", self._auth,
                           f"docker://{self._host}/{name}", to, policy=True, program=skopeo)  # fmt: skip

    def sign(self, source: str, name: str, *by: str, gpg: Path | None = None) -> Result:
        """Push the image in the layout *source*, signed."""
        return self.skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-authfile", self._auth, *by,
                           source, f"docker://{self._host}/{name}", gpg=gpg)  # fmt: skip

    def skopeo(
        self, *args: str | Path, policy: bool = False, gpg: Path | None = None, program: Path | str = "skopeo"
    ) -> Result:
        rules = ("--policy", self._home / "policy.json") if policy else ("--insecure-policy",)
        env = clean_env(
            HOME=str(self._home), XDG_RUNTIME_DIR=str(self._home), **({"GNUPGHOME": str(gpg)} if gpg else {})
        )
        argv = [program, *rules, "--registries.d", self._home / "registries.d", *args]
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
    name, skopeo = Reference.parse(f"{peer.host}/tags/app:1.0"), program("skopeo")
    digest = Digest.parse(Skopeo(peer).push(image("tagged"), "tags/app:1.0"))
    key, path = plain_key(tmp_path)
    person.told({"type": "sigstoreSigned", "keyPath": str(path)}, {"use-sigstore-attachments": True})
    place, mine = TagPlace(registry), signed(key, str(name), digest)

    assert person.pull("tags/app:1.0", skopeo).returncode != 0
    place.add(name, digest, signed(ec.generate_private_key(ec.SECP256R1()), str(name), digest))
    assert person.pull("tags/app:1.0", skopeo).returncode != 0
    place.add(name, digest, mine)
    assert (result := person.pull("tags/app:1.0", skopeo)).returncode == 0, result.stderr
    place.remove(name, digest, mine)
    assert person.pull("tags/app:1.0", skopeo).returncode != 0
    place.add(name, digest, signed(key, f"{peer.host}/tags/other:1.0", digest))
    assert person.pull("tags/app:1.0", skopeo).returncode != 0


def test_cosign_and_we_share_a_tag(peer: RegistryPeer, registry: HttpRegistry, tmp_path: Path) -> None:
    """
    Each finds what the other has put there, and keeps it.
    """
    name = Reference.parse(f"{peer.host}/shared/app:1.0")
    digest = Digest.parse(Skopeo(peer).push(image("shared"), "shared/app:1.0"))
    write_docker_config(tmp_path / ".docker", peer.login())
    cosign, place, (key, path) = Cosign(tmp_path), TagPlace(registry), plain_key(tmp_path)
    theirs, public = cosign.generate_key_pair("s3cret")
    mine, later = signed(key, str(name), digest), signed(key, name.repository, digest)
    place.add(name, digest, mine)
    assert (result := cosign.verify(name.pinned(digest), path)).returncode == 0, result.stderr
    cosign.sign(name.pinned(digest), theirs, "s3cret")
    place.add(name, digest, later)
    found = [one for one in place.read(name, digest) if isinstance(one, Detached)]

    assert [one.signature for one in (found[0], found[2])] == [mine.signature, later.signature]
    said = simple.read(found[1].payload, simple.COSIGN)
    assert (said.reference, said.digest) == (name.repository, digest)
    for each in (path, public):
        assert (result := cosign.verify(name.pinned(digest), each)).returncode == 0, result.stderr
    for one in (mine, later):
        place.remove(name, digest, one)
    assert cosign.verify(name.pinned(digest), path).returncode != 0
    assert cosign.verify(name.pinned(digest), public).returncode == 0


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
    In the staging folder of registries.d. What we add to it skopeo throws away when it signs again, as is documented.
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
    place.add(name, digest, Message(where="", raw=b"ours"))
    assert len(list(place.read(name, digest))) == 2
    assert person.sign(source, "staged/app:1.0", "--sign-by", fingerprint, gpg=gpg.home).returncode == 0
    assert len(list(place.read(name, digest))) == 1


def test_cosign_and_we_find_each_others_referrers(registry: HttpRegistry, tmp_path: Path) -> None:
    """
    In a registry that lists them.
    """
    with MiniRegistry() as mini:
        name = Reference.parse(f"{mini.host}/referred/app:1.0")
        made = image("referred")
        push(made, mini.url, "referred/app", "1.0")
        digest, (key, path) = Digest.parse(made.digest), plain_key(tmp_path)
        place, (theirs, _) = ReferrersPlace(registry), Cosign(tmp_path).generate_key_pair("s3cret")
        env = clean_env(HOME=str(tmp_path), COSIGN_PASSWORD="s3cret", COSIGN_EXPERIMENTAL="1")

        def cosign(command: str, key: Path, *options: str) -> Result:
            words: tuple[str | Path, ...] = ("--key", key, "--allow-http-registry", *options, name.pinned(digest))
            return run([program("cosign"), command, *words], env=env, check=False)

        place.add(name, digest, signed(key, str(name), digest))
        ours = cosign("verify", path, "--insecure-ignore-tlog=true", "--experimental-oci11")
        done = cosign("sign", theirs, "--tlog-upload=false", "--yes", "--registry-referrers-mode=oci-1-1")
        found = [one for one in place.read(name, digest) if isinstance(one, Detached)]

        assert (ours.returncode, done.returncode) == (0, 0), (ours.stderr, done.stderr)
        assert len(found) == 2
        assert {simple.read(one.payload, simple.COSIGN).digest for one in found} == {digest}


def test_a_web_server_may_want_a_login(tmp_path: Path, home: Path) -> None:
    """
    From those who write; it is that of ``docker login``.
    """
    folder, users = tmp_path / "signatures", tmp_path / "users"
    folder.mkdir()
    for one in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        one.chmod(0o711)
    folder.chmod(0o777)
    users.write_text("bob:{PLAIN}s3cret\n")
    inside = (
        "location / { dav_methods PUT DELETE; create_full_put_path on;\n"
        f"limit_except GET {{ auth_basic signatures; auth_basic_user_file {users}; }} }}"
    )
    image, digest = Reference.parse("registry.example/team/app:1.0"), Digest("sha256", "ab" * 32)
    with nginx(folder, inside=inside) as server:
        env = {"HOME": str(home), "DOCKER_CONFIG": str(home / ".docker")}

        def place() -> WritablePlace:
            wiring = Wiring({}, env, lambda: datetime.now(UTC))
            return wiring.signature_place(image, f"lookaside:{server.url}/below")

        with pytest.raises(UnauthorizedError, match="login"):
            place().add(image, digest, Message(where="", raw=b"one"))
        write_docker_config(home / ".docker", {server.host: ("bob", "s3cret")})
        place().add(image, digest, Message(where="", raw=b"one"))

        assert [one.raw for one in place().read(image, digest) if isinstance(one, Message)] == [b"one"]
        place().remove(image, digest, Message(where="", raw=b"one"))
        assert list(place().read(image, digest)) == []
