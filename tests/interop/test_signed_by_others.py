"""What skopeo and cosign sign, trustreg accepts by a policy; and nothing of it that has changed."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from scripts.images import OCI, image, index
from tests.peers import Skopeo
from tests.peers.command import clean_env, run
from tests.peers.gpg import gpg_home
from tests.peers.images import write_layout
from tests.peers.sigstore import Cosign, copy, program
from trustreg.facade import Judge
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, WritablePlace
from trustreg.wire import Wiring
from vectors.make import keys as maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.images import Image
    from tests.peers import RegistryPeer
    from tests.peers.gpg import Gpg
    from trustreg.judging import Decision

ONE, TWO, OTHER = image("1.0"), index("2.0", OCI), image("other")
PASSWORD = "secret"


@dataclass(frozen=True)
class Reader:
    """Somebody who judges what is in a repository, by one key."""

    registry: RegistryPeer
    path: str
    env: dict[str, str]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.registry.host}/{self.path}"

    @property
    def lookaside(self) -> Path:
        return self.folder / "signatures"

    def judge(self, tag: str, key: str, of: str = "index") -> Decision:
        """Judge a tag, or ``@DIGEST``, under a policy that requires what *key* says, as YAML."""
        policy = self.folder / "policy.yaml"
        keys = "keys:\n  gpg: {gpg: key.asc}\n" if "gpg" in key else "keys:\n  plain: {key: key.pub}\n"
        policy.write_text(f"version: 1\n{keys}default: {{require: {key}, of: {of}}}\n")
        return Judge(policy, env=self.env).judge(f"{self.name}{tag}")

    def verdict(self, tag: str, key: str, of: str = "index") -> str:
        """Give the verdict, or the reason why it is none."""
        found = self.judge(tag, key, of)
        assert found.verdict in {"trusted", "untrusted"}, found
        return next((one.answer.code for one in found.judged if one.answer.code), found.verdict)


BROKEN = {"gpg-signature", "format"}  # messages are compressed: what has changed may unpack to nothing
GPG, PLAIN, ANY_TAG = "{gpg: gpg}", "{key: plain}", "{key: plain, identity: repository}"


@pytest.fixture
def reader(open_registry: RegistryPeer, tmp_path: Path) -> Reader:
    path = f"team/app-{secrets.token_hex(6)}"
    env = clean_env(
        HOME=str(tmp_path),
        TRUSTREG_TRUST_DIR=str(tmp_path / "trust"),
        TRUSTREG_SIGNATURES=f"tag lookaside:{tmp_path}/signatures",
    )
    return Reader(open_registry, path, env, tmp_path)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Somebody's home of gpg."""
    with gpg_home() as made:
        yield made


def flipped(raw: bytes) -> bytes:
    """Give *raw* with one bit of its fifth byte from the end turned."""
    return raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]


# --- GPG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["of Debian 12", "newer"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa2048"])
def test_standalone_sign(reader: Reader, gpg: Gpg, kind: str, version: str) -> None:
    """
    Good by tag and by digest; not after one changed byte, for another name or digest, or by another key.
    """
    skopeo = "skopeo" if version == "of Debian 12" else program("skopeo")
    Skopeo(reader.registry).push(ONE, f"{reader.path}:1.0")
    fingerprint = gpg.generate(f"{kind}-{reader.path}-{version[:2]}", kind)
    (reader.folder / "key.asc").write_bytes(gpg.public(fingerprint))
    file = reader.lookaside / f"{reader.path}@sha256={ONE.manifest.hex}" / "signature-1"
    file.parent.mkdir(parents=True)

    def sign(name: str, what: Image = ONE) -> bytes:
        manifest, made = reader.folder / "manifest", reader.folder / "signature"
        manifest.write_bytes(what.manifest.raw)
        run([skopeo, "standalone-sign", manifest, name, fingerprint, "--output", made], env=gpg.env)
        return made.read_bytes()

    def verdict(raw: bytes, tag: str = ":1.0") -> str:
        file.write_bytes(raw)
        return reader.verdict(tag, GPG)

    good = sign(f"{reader.name}:1.0")
    assert verdict(good) == "trusted"
    assert verdict(good, f"@{ONE.digest}") == "trusted"
    assert verdict(flipped(good)) in BROKEN
    assert verdict(sign(f"{reader.name}:2.0")) == "identity"
    assert verdict(sign("vendor.example/app:1.0")) == "identity"
    assert verdict(sign(f"{reader.name}:1.0", OTHER)) == "signed-digest"
    (reader.folder / "key.asc").write_bytes(gpg.public(gpg.generate(f"other-{reader.path}-{version[:2]}-{kind}")))
    assert verdict(good) == "no-signature"


@pytest.mark.parametrize("version", ["of Debian 12", "newer"])
def test_copy_signed_by_gpg(reader: Reader, gpg: Gpg, version: str) -> None:
    """
    An image, and an index with all that it lists, as skopeo signs them on their way into the registry.
    """
    fingerprint = gpg.generate(f"copy-{reader.path}")
    (reader.folder / "key.asc").write_bytes(gpg.public(fingerprint))
    skopeo = "skopeo" if version == "of Debian 12" else program("skopeo")
    for tag, what in {"1.0": ONE, "2.0": TWO}.items():
        source = write_layout(what, reader.folder / tag)
        registries = reader.folder / "registries.d"
        registries.mkdir(exist_ok=True)
        base = reader.lookaside.as_uri()
        said = {"default-docker": {"lookaside": base, "lookaside-staging": base}}
        (registries / "here.yaml").write_text(json.dumps(said))  # JSON is YAML
        options = ("--insecure-policy", "--registries.d", registries)
        words = ("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--sign-by", fingerprint)
        run([skopeo, *options, *words, source, f"docker://{reader.name}:{tag}"], env=gpg.env)

    assert reader.verdict(":1.0", GPG) == "trusted"
    assert reader.verdict(":2.0", GPG, "both") == "trusted"
    assert reader.verdict(f"@{TWO.images[1].digest}", GPG) == "trusted"
    (file,) = reader.lookaside.glob(f"{reader.path}@sha256={TWO.images[1].manifest.hex}/*")
    file.write_bytes(flipped(file.read_bytes()))
    assert reader.verdict(":2.0", GPG) == "trusted"
    assert reader.verdict(":2.0", GPG, "both") in BROKEN


# --- plain keys ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["P-256", "ed25519"])
def pair(request: pytest.FixtureRequest, reader: Reader) -> tuple[Cosign, Path]:
    """Cosign, with a private key as it encrypts them, whose public half is that of the policy."""
    cosign = Cosign(reader.folder)
    if request.param == "P-256":
        private, public = cosign.generate_key_pair(PASSWORD)
    else:
        plain = reader.folder / "plain.pem"
        plain.write_bytes(maker._pem("PRIVATE KEY", maker._pkcs8(maker.ED25519)))
        private, public = cosign.import_key_pair(plain, PASSWORD)
    (reader.folder / "key.pub").write_bytes(public.read_bytes())
    return cosign, private


def test_cosign_sign(reader: Reader, pair: tuple[Cosign, Path]) -> None:
    """
    It names the repository without a tag: that is what has to be asked for, and then no tag is vouched for.
    """
    cosign, private = pair
    Skopeo(reader.registry).push(ONE, f"{reader.path}:1.0")
    Skopeo(reader.registry).push(TWO, f"{reader.path}:2.0")
    assert reader.verdict(":1.0", ANY_TAG) == "no-signature"

    cosign.sign(f"{reader.name}@{ONE.digest}", private, PASSWORD)
    cosign.sign(f"{reader.name}@{TWO.digest}", private, PASSWORD, "--recursive")

    decision = reader.judge(":1.0", ANY_TAG)
    assert (decision.verdict, decision.bound) == ("trusted", False)
    assert reader.verdict(f"@{ONE.digest}", ANY_TAG) == "trusted"
    assert reader.verdict(":1.0", PLAIN) == "identity"
    assert reader.verdict(":2.0", ANY_TAG, "both") == "trusted"


def push_signed(reader: Reader, private: Path, what: Image, tag: str, *more: str) -> None:
    """Have skopeo sign *what* on its way into the registry, with a key as cosign encrypts it."""
    (reader.folder / "passphrase").write_text(PASSWORD)
    by = ("--sign-by-sigstore-private-key", private, "--sign-passphrase-file", reader.folder / "passphrase")
    source = write_layout(what, reader.folder / secrets.token_hex(4))
    done = copy(source, f"docker://{reader.name}:{tag}", "--all", "--preserve-digests", *by, *more)
    assert done.returncode == 0, done


def test_copy_signed_by_a_plain_key(reader: Reader, pair: tuple[Cosign, Path]) -> None:
    """
    Skopeo names the tag.
    """
    push_signed(reader, pair[1], TWO, "2.0")

    decision = reader.judge(":2.0", PLAIN, "both")
    assert (decision.verdict, decision.bound) == ("trusted", True)
    assert reader.verdict(f"@{TWO.images[1].digest}", PLAIN) == "trusted"


@pytest.mark.parametrize("pair", ["P-256"], indirect=True)
def test_what_skopeo_has_not_signed(reader: Reader, pair: tuple[Cosign, Path]) -> None:
    """
    One changed byte, in the signature or what it says, another name, another digest: refused.
    """
    push_signed(reader, pair[1], ONE, "1.0")
    push_signed(reader, pair[1], OTHER, "3.0", "--sign-identity", "vendor.example/app:3.0")
    place, reference, one = _tags(reader), Reference.parse(reader.name), Digest.parse(ONE.digest)
    (good,) = _kept(place, reference, one)
    (about_another,) = _kept(place, reference, Digest.parse(OTHER.digest))

    def verdict(signature: Detached) -> str:
        for there in _kept(place, reference, one):
            place.remove(reference, one, there)
        place.add(reference, one, signature)
        return reader.verdict(":1.0", PLAIN)

    assert verdict(replace(good, signature=flipped(good.signature))) == "no-signature"
    assert verdict(replace(good, payload=good.payload.replace(b":1.0", b":1.1"))) == "no-signature"
    assert verdict(about_another) == "signed-digest"
    assert verdict(good) == "trusted"
    assert reader.verdict(":3.0", PLAIN) == "identity"
    vendor = "{key: plain, identity: {exact_reference: 'vendor.example/app:3.0'}}"
    assert reader.verdict(":3.0", vendor) == "trusted"


def _tags(reader: Reader) -> WritablePlace:
    return Wiring({}, reader.env, lambda: datetime.now(UTC)).signature_place(Reference.parse(reader.name), "tag")


def _kept(place: WritablePlace, image: Reference, digest: Digest) -> list[Detached]:
    found = list(place.read(image, digest))
    assert all(isinstance(one, Detached) for one in found)
    return [one for one in found if isinstance(one, Detached)]
