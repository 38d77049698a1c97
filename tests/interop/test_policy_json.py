"""``policy.json`` means here what it means to ``skopeo copy``: cell by cell, and where it does not, it is said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers import Skopeo, image
from tests.peers.command import clean_env, run
from tests.peers.gpg import Gpg, gpg_home
from tests.peers.sigstore import program
from tests.policyjson import CASES, REJECT
from trustreg.dialects import policyjson, simple
from trustreg.dialects.openpgp import open_message
from trustreg.errors import UntrustedError
from trustreg.names import Digest, Reference
from trustreg.policy import Leaf, SignedByGpg
from trustreg.verify.policy import Answer, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.peers import RegistryPeer

ACCEPT = [{"type": "insecureAcceptAnything"}]
VENDOR = "vendor.example/product/app"
DEEP = "a.sub.registry.example:5000"


@dataclass(frozen=True)
class Scene:
    """An image in a registry, keys that sign it, and a folder for signatures."""

    registry: RegistryPeer
    gpg: Gpg
    keys: Mapping[str, Path]
    fingerprints: Mapping[str, str]
    digest: Digest
    folder: Path

    @property
    def repository(self) -> str:
        """The repository, as it is called where it is."""
        return f"{self.registry.host}/team/app"

    def sign(self, name: str, key: str = "release") -> bytes:
        """Sign the image under a *name*."""
        payload = simple.write(simple.Payload(reference=name, digest=self.digest))
        return self.gpg.sign(payload, self.fingerprints[key])

    def keep(self, *signatures: bytes, path: str = "team/app") -> Path:
        """Put *signatures* into a lookaside of their own."""
        lookaside = self.folder / f"lookaside-{len(list(self.folder.iterdir()))}"
        place = lookaside / f"{path}@{str(self.digest).replace(':', '=')}"
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

    def ours(self, policy: str, name: str, *signatures: bytes) -> bool:
        """Say ourselves, by the same policy and signatures."""
        asked = Reference.parse(name)
        read = policyjson.read(policy.encode(), "policy.json", lambda path: (self.folder.parent / path).read_bytes())
        by = {mark[-16:]: mark for mark in self.fingerprints.values()}

        def ask(leaf: Leaf) -> Answer:
            assert isinstance(leaf, SignedByGpg)
            allowed = {mark for key in leaf.keys for mark in key.fingerprints}
            for raw in signatures:
                try:
                    message = open_message(raw, simple.LARGEST)
                    payload = simple.read(message.content)
                except UntrustedError:
                    continue
                fits = payload.digest == self.digest and leaf.identity.admits(asked, payload.reference)
                if by[message.issuer] in allowed and fits:
                    return Answer(path=leaf.path, kind="gpg", outcome="yes")
            return Answer(path=leaf.path, kind="gpg", outcome="no")

        return evaluate(read.rule(asked).require, ask, datetime.now(UTC)).outcome == "yes"


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
        yield Scene(open_registry, gpg, keys, fingerprints, Digest.parse(pushed.digest), folder / "signed")


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
    found: dict[str, list[str]] = {"skopeo": [], "ours": []}
    for signed in SIGNED:
        signature = scene.sign(signed.format(**words))
        lookaside = scene.keep(signature)
        found["skopeo"].append("".join(c if scene.skopeo(text, asked[c], lookaside) else "-" for c in asked))
        found["ours"].append("".join(c if scene.ours(text, asked[c], signature) else "-" for c in asked))

    assert row.split() == found["skopeo"]
    assert row.split() == found["ours"]


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
        assert not scene.ours(text, asked, signature)


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

            assert (first == ACCEPT) == scene.skopeo(text, name, lookaside) == scene.ours(text, name), text


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

    text = policy(dict.fromkeys(near, ACCEPT))
    assert not scene.skopeo(text, name, lookaside)
    assert not scene.ours(text, name)
    for other in ("dir", "atomic", "docker-daemon", "nosuch"):
        text = json.dumps({"default": REJECT, "transports": {other: {"": ACCEPT}}})
        assert not scene.skopeo(text, name, lookaside)
        assert not scene.ours(text, name)


def test_all_of_a_list_have_to_hold_and_one_signature_will_do_for_each(scene: Scene) -> None:
    """
    Every list of two requirements and every set of signatures.
    """
    one, two, both = (signed_by(scene, key) for key in ("release", "other", "both"))
    accept, reject = ACCEPT[0], REJECT[0]
    lists = ([one], [both], [one, two], [one, both], [two, accept], [one, reject], [accept, reject], [accept, accept])
    name = f"{scene.repository}:1.0"
    every = {key: scene.sign(name, key) for key in scene.fingerprints}
    wrong = []
    for keys in chain.from_iterable(combinations(every, count) for count in range(len(every) + 1)):
        signatures = [every[key] for key in keys]
        lookaside = scene.keep(*signatures)
        for number, requirements in enumerate(lists):
            text = policy({scene.repository: requirements})
            if scene.skopeo(text, name, lookaside) != scene.ours(text, name, *signatures):
                wrong.append((keys, number))

    assert [] == wrong


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
