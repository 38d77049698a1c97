"""``policy.json`` means here what it means to ``skopeo copy``: cell by cell, and where it does not, it is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.peers import Skopeo, image, index
from tests.peers.command import clean_env, run
from tests.peers.gpg import Gpg, gpg_home
from tests.peers.sigstore import copy, program
from tests.policyjson import CASES, REJECT
from trustreg.dialects import policyjson, simple
from trustreg.io.gpg import Keyrings
from trustreg.io.signatures.lookaside import Lookaside
from trustreg.io.signatures.numbered import FolderFiles
from trustreg.judging import Judge
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Manifest
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.images import Image
    from tests.peers import RegistryPeer
    from trustreg.client import Verifier
    from trustreg.policy import InCollection

ACCEPT = [{"type": "insecureAcceptAnything"}]
VENDOR = "vendor.example/product/app"
DEEP = "a.sub.registry.example:5000"


@dataclass(frozen=True)
class Served:
    """A registry that has one image under every name."""

    served: Manifest

    def manifest(self, reference: Reference) -> Manifest:
        """Return it."""
        del reference
        return self.served


@dataclass(frozen=True)
class Scene:
    """An image in a registry, keys that sign it, and a folder for signatures."""

    registry: RegistryPeer
    gpg: Gpg
    keys: Mapping[str, Path]
    fingerprints: Mapping[str, str]
    manifest: Manifest
    keyrings: Keyrings
    folder: Path

    @property
    def digest(self) -> Digest:
        """The digest of the image."""
        return self.manifest.digest

    @property
    def repository(self) -> str:
        """The repository, as it is called where it is."""
        return f"{self.registry.host}/team/app"

    def sign(self, name: str, key: str = "release") -> bytes:
        """Sign the image under a *name*."""
        payload = simple.write(simple.Payload(reference=name, digest=self.digest))
        return self.gpg.sign(payload, self.fingerprints[key])

    @property
    def beside(self) -> str:
        """The folder of a lookaside that has the signatures of the image."""
        return f"team/app@{str(self.digest).replace(':', '=')}"

    def keep(self, *signatures: bytes) -> Path:
        """Put *signatures* into a lookaside of their own."""
        lookaside = self.folder / f"lookaside-{len(list(self.folder.iterdir()))}"
        place = lookaside / self.beside
        place.mkdir(parents=True)
        for number, signature in enumerate(signatures, 1):
            (place / f"signature-{number}").write_bytes(signature)
        return lookaside

    def skopeo(self, policy: str, name: str, lookaside: Path) -> bool:
        """Have skopeo say whether *name* may be pulled."""
        mirrors = {DEEP: self.registry.host, VENDOR.partition("/")[0]: self.registry.host}
        done = Skopeo.pull_under(policy, name, lookaside, mirrors=mirrors)
        assert done.returncode == 0 or any(map(done.said, ("Source image rejected", "signature", "Signature"))), done
        return done.returncode == 0

    def ours(self, policy: str, name: str, lookaside: Path, platform: str | None = None) -> bool:
        """Say ourselves, by the same policy and signatures."""
        read = policyjson.read(policy.encode(), "policy.json", lambda path: Path(path).read_bytes())
        place = Lookaside(FolderFiles(lookaside))
        image = Reference.parse(name)
        judge = Judge(read, Served(self.manifest), lambda *_: [(place, image)], self.keyrings, _nobody)
        return judge.judge(image, datetime.now(UTC), platform=platform).verdict == "trusted"

    def agree(self, policy: str, name: str, lookaside: Path) -> bool:
        """Say whether *name* may be used, which both have to say alike."""
        theirs = self.skopeo(policy, name, lookaside)
        assert theirs == self.ours(policy, name, lookaside), f"skopeo says {theirs} of {name}: {policy}"
        return theirs


def _manifest(image: Image) -> Manifest:
    blob = image.manifest
    return Manifest(media_type=blob.media_type, digest=Digest.parse(image.digest), raw=blob.raw)


def _nobody(leaf: InCollection) -> Verifier:
    raise AssertionError(leaf)


@pytest.fixture(scope="module")
def scene(open_registry: RegistryPeer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One image, three keys, and a file with two of them."""
    folder = tmp_path_factory.mktemp("policy-json")
    (folder / "signed").mkdir()
    pushed = image("policy.json")
    Skopeo(open_registry).push(pushed, "team/app:1.0")
    Skopeo(open_registry).push(pushed, "product/app:1.0")
    with gpg_home() as gpg:
        fingerprints = {name: gpg.generate(name) for name in ("release", "other", "stranger")}
        keys = {name: folder / f"{name}.gpg" for name in (*fingerprints, "both")}
        for name, file in keys.items():
            marks = [fingerprints["release"], fingerprints["other"]] if name == "both" else [fingerprints[name]]
            file.write_bytes(gpg.public(*marks))
        manifest = _manifest(pushed)
        with Keyrings(clean_env(HOME=str(folder))) as keyrings:
            yield Scene(open_registry, gpg, keys, fingerprints, manifest, keyrings, folder / "signed")


def signed_by(scene: Scene, key: str = "release", **identity: str) -> dict[str, Any]:
    """Return the requirement that one of the keys in a file signed."""
    wanted: dict[str, Any] = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(scene.keys[key])}
    return {**wanted, "signedIdentity": identity} if identity else wanted


def policy(scopes: Mapping[str, Any], default: Any = REJECT) -> str:
    """Return a policy with *scopes* for docker."""
    return json.dumps({"default": default, "transports": {"docker": scopes}})


# T: the image is taken by its tag 1.0, D: it is taken by its digest
SIGNED = (
    "{repo}:1.0",
    "{repo}:2.0",
    "{repo}",
    "{repo}@{digest}",
    "{repo}:1.0@{digest}",
    "{other}:1.0",
    f"{VENDOR}:1.0",
    VENDOR,
)
IDENTITIES: dict[str, tuple[dict[str, str], str]] = {
    "absent": ({}, "TD -D -- -D -D -- -- --"),
    "matchExact": ({"type": "matchExact"}, "T- -- -- -D -- -- -- --"),
    "matchRepository": ({"type": "matchRepository"}, "TD TD TD TD TD -- -- --"),
    "exactReference": ({"type": "exactReference", "dockerReference": f"{VENDOR}:1.0"}, "-- -- -- -- -- -- TD --"),
    "exactRepository": ({"type": "exactRepository", "dockerRepository": VENDOR}, "-- -- -- -- -- -- TD TD"),
    "remapIdentity": (
        {"type": "remapIdentity", "prefix": "{host}/team", "signedPrefix": VENDOR.rpartition("/")[0]},
        "-- -- -- -- -- -- TD --",
    ),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_name_counts_as_it_does_for_skopeo(scene: Scene, name: str) -> None:
    """
    Each identity that may be demanded, each name that may be signed, by tag and by digest.
    """
    identity, row = IDENTITIES[name]
    words = {"repo": scene.repository, "digest": scene.digest, "other": f"{scene.registry.host}/team/other"}
    identity = {member: text.format(host=scene.registry.host) for member, text in identity.items()}
    text = policy({scene.repository: [signed_by(scene, **identity)]})
    asked = {"T": f"{scene.repository}:1.0", "D": f"{scene.repository}@{scene.digest}"}
    found = []
    for signed in SIGNED:
        lookaside = scene.keep(scene.sign(signed.format(**words)))
        found.append("".join(c if scene.agree(text, asked[c], lookaside) else "-" for c in asked))

    assert row.split() == found


def test_a_name_with_another_digest_never_counts_here(scene: Scene) -> None:
    """
    To skopeo it does, where the repository is what matters: whoever signed it meant another image.
    """
    name = f"{scene.repository}@sha256:{'0' * 64}"
    signature = scene.sign(name)
    lookaside = scene.keep(signature)
    asked = f"{scene.repository}@{scene.digest}"
    for identity in ({}, {"type": "matchRepository"}):
        text = policy({scene.repository: [signed_by(scene, **identity)]})

        assert scene.skopeo(text, asked, lookaside)
        assert not scene.ours(text, asked, lookaside)


def test_garbage_among_signatures_is_passed_over_here(scene: Scene) -> None:
    """
    To skopeo the image is refused then: who may write into a lookaside may keep it from being used.
    """
    name = f"{scene.repository}:1.0"
    lookaside = scene.keep(b"garbage", scene.sign(name))
    text = policy({scene.repository: [signed_by(scene)]})

    assert not scene.skopeo(text, name, lookaside)
    assert scene.ours(text, name, lookaside)


@pytest.mark.parametrize("what", ["a private key", "a key twice", "two blocks of armour", "garbage behind", "nothing"])
def test_a_key_file(scene: Scene, tmp_path: Path, what: str) -> None:
    """
    Public keys, each once, and nothing else: what more skopeo takes is refused here.
    """
    release, another = scene.fingerprints["release"], scene.fingerprints["other"]
    armoured, other = (scene.gpg.run("--armor", "--export", mark).out for mark in (release, another))
    files = {
        "a private key": scene.gpg.run("--export-secret-keys", release).out,
        "a key twice": armoured * 2,
        "two blocks of armour": other + armoured,
        "garbage behind": scene.gpg.public(release) + b"garbage",
        "nothing": b"",
    }
    (tmp_path / "key").write_bytes(files[what])
    name = f"{scene.repository}:1.0"
    lookaside = scene.keep(scene.sign(name))
    text = policy({scene.repository: [{**signed_by(scene), "keyPath": str(tmp_path / "key")}]})

    theirs = scene.skopeo(text, name, lookaside)
    assert theirs == (what in {"a private key", "a key twice", "two blocks of armour"})
    assert (theirs and what == "two blocks of armour") == scene.ours(text, name, lookaside)


@pytest.mark.parametrize("way", ["tag", "digest"])
def test_what_of_an_index_has_to_be_signed(scene: Scene, way: str) -> None:
    """
    The manifest of the platform that is taken, and without a platform, which is ``--all`` to skopeo, each of them.
    """
    pushed = index("policy.json")
    Skopeo(scene.registry).push(pushed, "team/app:many")
    parts = {"index": pushed, "amd64": pushed.images[0], "arm64": pushed.images[1]}
    name = f"{scene.repository}:many" if way == "tag" else f"{scene.repository}@{pushed.digest}"
    text = policy({scene.repository: [signed_by(scene)]})
    whole = replace(scene, manifest=_manifest(pushed))
    for signed in chain.from_iterable(combinations(parts, count) for count in range(len(parts) + 1)):
        lookaside = scene.keep()
        for part in signed:
            one = replace(scene, manifest=_manifest(parts[part]))
            (lookaside / one.beside).mkdir(parents=True, exist_ok=True)
            (lookaside / one.beside / "signature-1").write_bytes(one.sign(f"{scene.repository}:many"))

        for platform in ("amd64", "arm64"):
            theirs = Skopeo.pull_under(text, name, lookaside, options=("--override-arch", platform)).returncode == 0
            assert (platform in signed) == theirs == whole.ours(text, name, lookaside, f"linux/{platform}")
        every = Skopeo.pull_under(text, name, lookaside, every=True).returncode == 0
        assert ({"amd64", "arm64"} <= set(signed)) == every == whole.ours(text, name, lookaside)


SCOPES = (
    "{image}",
    "{host}/team/app",
    "{host}/team",
    "{host}",
    "*.sub.registry.example",
    "*.registry.example",
    "*.example",
    "",
)


@pytest.mark.parametrize("way", ["tag", "digest"])
def test_the_most_specific_scope_is_the_only_one_that_counts(scene: Scene, way: str) -> None:
    """
    Each scope, over all that are less specific: what it says holds, and nothing of what they say.
    """
    name = f"{DEEP}/team/app:1.0" if way == "tag" else f"{DEEP}/team/app@{scene.digest}"
    scopes = [scope.format(image=name, host=DEEP) for scope in SCOPES]
    lookaside = scene.keep()
    for at in range(len(scopes) + 1):
        for first, rest in ((ACCEPT, REJECT), (REJECT, ACCEPT)):
            left = scopes[at:]
            text = policy({scope: rest if n else first for n, scope in enumerate(left)}, rest if left else first)

            assert (first == ACCEPT) == scene.agree(text, name, lookaside)


def test_what_looks_like_a_scope_of_an_image_is_none(scene: Scene) -> None:
    """
    Parts of a component, other hosts and ports, and the other way of naming the same image.
    """
    near = [
        *(f"{DEEP}/team/ap", f"{DEEP}/tea", f"{DEEP}/team/", f"{DEEP}/team/app:1", f"{DEEP}/team/app:2.0"),
        *(f"{DEEP}/team/app@{scene.digest}", "a.sub.registry.example", "a.sub.registry.example/team", "sub"),
        *("*.a.sub.registry.example", "*.sub.registry.example:5000", "*.b.registry.example", "*.sub", "*", "*.", "**"),
        *("*.example/team", "a.*.registry.example", "team/app", "team", "/", DEEP.upper(), f"docker://{DEEP}"),
    ]
    name = f"{DEEP}/team/app:1.0"
    lookaside = scene.keep()

    assert not scene.agree(policy(dict.fromkeys(near, ACCEPT)), name, lookaside)
    for other in ("dir", "atomic", "docker-daemon", "nosuch"):
        text = json.dumps({"default": REJECT, "transports": {other: {"": ACCEPT}}})
        assert not scene.agree(text, name, lookaside)


def test_all_of_a_list_have_to_hold_and_one_signature_will_do_for_each(scene: Scene) -> None:
    """
    Every list of two requirements and every set of signatures.
    """
    one, two, both = (signed_by(scene, key) for key in ("release", "other", "both"))
    accept, reject = ACCEPT[0], REJECT[0]
    lists = ([one], [both], [one, two], [one, both], [two, accept], [one, reject], [accept, reject], [accept, accept])
    name = f"{scene.repository}:1.0"
    every = {key: scene.sign(name, key) for key in scene.fingerprints}
    for keys in chain.from_iterable(combinations(every, count) for count in range(len(every) + 1)):
        lookaside = scene.keep(*(every[key] for key in keys))
        allowed = [scene.agree(policy({scene.repository: wanted}), name, lookaside) for wanted in lists]

        a, b = ("release" in keys), ("other" in keys)
        expected = [a, a or b, a and b, a, b, False, False, True]
        assert expected == allowed


@pytest.mark.parametrize("newer", [False, True], ids=["1.9", "fetched"])
def test_skopeo_loads_what_we_load(tmp_path: Path, *, newer: bool) -> None:
    """
    And refuses what we refuse; what came after skopeo 1.9 that refuses as a whole.
    """
    skopeo = program("skopeo") if newer else "skopeo"
    wrong = []
    for number, case in enumerate(CASES):
        file = tmp_path / f"{number}.json"
        file.write_text(case.text, encoding="utf-8")
        argv: list[str | Path] = [skopeo, "--policy", file, "copy", f"dir:{tmp_path}/none", f"dir:{tmp_path}/out"]
        said = run(argv, env=clean_env(HOME=str(tmp_path)), check=False)
        if said.said("invalid policy") == (case.loads and (newer or not case.newer)):
            wrong.append(f"{case.name}: {said.stderr}")

    assert [] == wrong


@pytest.mark.parametrize("name", ["absent", "matchRepository", "exactRepository"])
def test_names_count_alike_in_sigstore_signatures(scene: Scene, tmp_path: Path, name: str) -> None:
    """
    Which are in the registry, as cosign keeps them; cosign itself signs the repository without a tag.
    """
    identity, row = IDENTITIES[name]
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    wanted: dict[str, Any] = {"type": "sigstoreSigned", "keyPath": str(tmp_path / "key.pub")}
    wanted |= {"signedIdentity": identity} if identity else {}
    policy = policyjson.read(json.dumps({"default": [wanted]}).encode(), "policy.json", lambda _: public)
    wiring = Wiring({}, clean_env(HOME=str(tmp_path)), lambda: datetime.now(UTC))
    found, judge = [], wiring.judge(policy)
    for number, signed in enumerate(SIGNED):
        pushed = image(f"{name} {number}")
        path = f"sigstore/{name.lower()}{number}"
        Skopeo(scene.registry).push(pushed, f"{path}:1.0")
        repository, digest = f"{scene.registry.host}/{path}", Digest.parse(pushed.digest)
        words = {"repo": repository, "digest": digest, "other": f"{scene.registry.host}/sigstore/other"}
        payload = simple.write(simple.Payload(reference=signed.format(**words), digest=digest), simple.COSIGN)
        signature = private.sign(payload, ec.ECDSA(hashes.SHA256()))
        asked = {"T": f"{repository}:1.0", "D": f"{repository}@{digest}"}
        place = wiring.signature_place(Reference.parse(asked["T"]), "tag")
        place.add(Reference.parse(asked["T"]), digest, Detached(where="", payload=payload, signature=signature))

        said = ""
        for way, one in asked.items():
            theirs = copy(f"docker://{one}", "dir:pulled", "--remove-signatures", requirement=wanted).returncode == 0
            assert theirs == (judge.judge(Reference.parse(one), wiring.now()).verdict == "trusted"), f"{signed} {one}"
            said += way if theirs else "-"
        found.append(said)

    assert row.split() == found
