"""A policy.json that was taken over decides as it did: for any image, whatever the signatures are."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.gpg import gpg_home
from trustreg.dialects import openpgp, policy1, policyjson, policykeys
from trustreg.errors import FileError
from trustreg.identity import scope_problem
from trustreg.io import yaml
from trustreg.names import Digest, Reference
from trustreg.policy import GpgKey, PlainKey, Policy, SignedByGpg, SignedByKey
from trustreg.policy_import import write
from trustreg.verify.policy import Answer, evaluate

if TYPE_CHECKING:
    from trustreg.policy import Leaf

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTS = ("registry.example", "registry.example:5000", "a.sub.registry.example", "docker.io", "localhost:5000")
PATHS = ("team", "team/app", "team/app/web", "library/nginx", "other")
DIGEST = Digest("sha256", "ab" * 32)


@cache
def files() -> dict[str, bytes]:
    """Return key files: two of GPG, the second with two keys and armoured, and one of each plain kind."""
    with gpg_home() as gpg:
        marks = [gpg.generate(name) for name in ("one", "two", "three")]
        made = {
            "/keys/one.gpg": gpg.public(marks[0]),
            "/keys/more/one.gpg": gpg.run("--armor", "--export", *marks[1:]).out,
        }
    privates: dict[str, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
        "/keys/ed25519.pub": ed25519.Ed25519PrivateKey.generate(),
        "/keys/ecdsa.pub": ec.generate_private_key(ec.SECP384R1()),
        "/keys/rsa.pub": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    for path, private in privates.items():
        made[path] = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


def read_file(path: str) -> bytes:
    """Read one of these files."""
    if path not in files():
        raise FileError(path, "there is no such file")
    return files()[path]


class Keys:
    """Reads keys for the policy file as its loader does."""

    def gpg(self, name: str, text: str, path: str) -> GpgKey:
        """Read GPG keys."""
        del path
        keys = openpgp.open_keys(self._raw(text))
        raw = b"".join(key.raw for key in keys)
        return GpgKey(name=name, raw=raw, fingerprints=tuple(key.fingerprint for key in keys))

    def plain(self, name: str, text: str, path: str) -> PlainKey:
        """Read a plain key."""
        del path
        return policykeys.read_pem(self._raw(text), name)

    def _raw(self, text: str) -> bytes:
        return text.encode() if text.startswith("-----BEGIN") else read_file(text)


def taken_over(raw: bytes) -> tuple[Policy, Policy, str]:
    """Return a policy.json, the policy made of it, and the text of that."""
    old = policyjson.read(raw, "policy.json", read_file)
    text = write(old, policyjson.elsewhere(raw), str).text
    tree = yaml.read(text.encode(), "policy.yaml")
    return old, policy1.read(tree.value, "policy.yaml", "", tree.line, Keys()), text


# --- what is drawn -------------------------------------------------------------------------------------------------

names = st.builds("{}/{}".format, st.sampled_from(HOSTS), st.sampled_from(PATHS))
tagged = st.builds("{}:{}".format, names, st.sampled_from(["1.0", "2.0"]))
wildcards = st.sampled_from(["*.example", "*.registry.example", "*.sub.registry.example", "*.io"])
dead = st.sampled_from(["nginx", "Registry.example", "registry.example/team/", "*", "#", "\x7f", f"a.b/c:1@{DIGEST}"])
pinned = names.map(lambda name: f"{name}@{DIGEST}")
scopes = st.one_of(st.sampled_from(HOSTS), names, tagged, pinned, wildcards, dead, st.just(""))
prefixes = st.one_of(st.sampled_from(HOSTS), names)
identities = st.one_of(
    st.sampled_from(["matchExact", "matchRepoDigestOrExact", "matchRepository"]).map(lambda kind: {"type": kind}),
    tagged.map(lambda name: {"type": "exactReference", "dockerReference": name}),
    names.map(lambda name: {"type": "exactRepository", "dockerRepository": name}),
    st.fixed_dictionaries(
        {"type": st.just("remapIdentity"), "prefix": prefixes | st.just("nginx"), "signedPrefix": prefixes}
    ),
)
gpg_paths = st.sampled_from(["/keys/one.gpg", "/keys/more/one.gpg", "/keys/none.gpg"])
plain_paths = st.sampled_from(["/keys/ed25519.pub", "/keys/ecdsa.pub", "/keys/rsa.pub", "/keys/none.pub"])


def inline(path: str) -> str:
    """Return a key as it stands in the policy itself."""
    return base64.b64encode(files().get(path, b"")).decode()


def requirement(kind: str, source: dict[str, Any], identity: dict[str, Any] | None) -> dict[str, Any]:
    """Put a requirement together."""
    members: dict[str, Any] = {"type": kind, **source}
    members |= {"keyType": "GPGKeys"} if kind == "signedBy" else {}
    return members | ({"signedIdentity": identity} if identity else {})


gpg_sources = st.one_of(
    gpg_paths.map(lambda path: {"keyPath": path}),
    st.lists(gpg_paths, max_size=2).map(lambda paths: {"keyPaths": paths}),
    gpg_paths.map(lambda path: {"keyData": inline(path)}),
)
plain_sources = st.one_of(
    plain_paths.map(lambda path: {"keyPath": path}),
    st.lists(plain_paths, min_size=1, max_size=2).map(lambda paths: {"keyPaths": paths}),
    plain_paths.map(lambda path: {"keyDatas": [inline(path)]}),
    plain_paths.map(lambda path: {"keyPath": path, "rekorPublicKeyPath": "/rekor.pub"}),
)
requirements = st.one_of(
    st.sampled_from(["reject", "insecureAcceptAnything"]).map(lambda kind: {"type": kind}),
    st.builds(requirement, st.just("signedBy"), gpg_sources, st.none() | identities),
    st.builds(requirement, st.just("sigstoreSigned"), plain_sources, st.none() | identities),
)
lists = st.lists(requirements, min_size=1, max_size=3)
docker = st.dictionaries(scopes, lists, max_size=5)
transports = st.fixed_dictionaries({"docker": docker}, optional={"dir": st.just({"/a": [{"type": "reject"}]})})
policies = st.fixed_dictionaries({"default": lists}, optional={"transports": transports})
images = tagged | pinned


def decides(policy: Policy, image: Reference, seed: int) -> str | None:
    """Return what *policy* says, where who signed it, and under what names, hangs on *seed* alone."""

    def signed(mark: str) -> list[str]:
        chosen = hashlib.sha256(f"{seed} {mark}".encode()).digest()[0]
        one, two = (str(replace(image, tag=tag, digest=None)) for tag in ("1.0", "2.0"))
        named = (str(image), one, two, f"registry.example/{image.path}:1.0", image.repository)
        return [name for bit, name in enumerate(named) if chosen >> bit & 1]

    def ask(leaf: Leaf) -> Answer:
        assert isinstance(leaf, SignedByGpg | SignedByKey)
        marks = [m for key in leaf.keys for m in (key.fingerprints if isinstance(key, GpgKey) else (key.fingerprint,))]
        held = any(leaf.identity.admits(image, name) for mark in marks for name in signed(mark))
        return Answer(path=leaf.path, kind="gpg", outcome="yes" if held else "no")

    return evaluate(policy.rule(policy.logical(image)).require, ask, NOW).outcome


# --- properties ----------------------------------------------------------------------------------------------------


@given(policies, st.lists(images, min_size=1, max_size=8), st.integers(0, 2**16))
def test_it_decides_as_it_did(document: dict[str, Any], asked: list[str], seed: int) -> None:
    """
    For every image, and of what it is that every platform has to be signed, too.
    """
    old, new, text = taken_over(json.dumps(document).encode())

    for name in asked:
        image = Reference.parse(name)
        assert decides(old, image, seed) == decides(new, image, seed), text
        assert "instance" == new.rule(image).of


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), lists)
def test_no_scope_and_no_path_gets_out_of_its_line(scope: str, found: list[dict[str, Any]]) -> None:
    """
    Whatever stands in it: the file is read back with no rule but this one.
    """
    document = {"default": [{"type": "reject"}], "transports": {"docker": {scope: found}}}
    old = policyjson.read(json.dumps(document).encode(), f"policy{scope}.json", read_file)
    text = write(old, {scope: ()}, lambda path: f"{path}{scope}").text

    tree = yaml.read(text.encode(), "policy.yaml")
    assert {"version", "default", "keys", "rules"} >= set(tree.value)
    assert ([] if scope_problem(scope) else [scope]) == [rule["match"] for rule in tree.value.get("rules", [])]


def test_what_it_looks_like() -> None:
    """
    Comments say what was lost.
    """
    release = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/keys/one.gpg"}
    same = {"type": "matchRepository"}
    ci = {"type": "sigstoreSigned", "keyData": inline("/keys/ed25519.pub"), "signedIdentity": same}
    remap = {"type": "remapIdentity", "prefix": "nginx", "signedPrefix": "docker.io"}
    cannot = {"type": "sigstoreSigned", "keyPath": "/keys/rsa.pub", "rekorPublicKeyPath": "/rekor.pub"}
    docker = {
        "registry.example/team": [release, ci],
        "registry.example/log": [cannot],
        "mirror.example": [{**release, "signedIdentity": remap}],
        "nginx": [release],
        "": [{"type": "insecureAcceptAnything"}],
    }
    document = {"default": [{"type": "reject"}], "transports": {"docker": docker, "dir": {"/a": [{"type": "reject"}]}}}

    text = taken_over(json.dumps(document).encode())[2]

    pem = files()["/keys/ed25519.pub"].decode().splitlines()[1]
    assert (
        text
        == f"""\
# Made from policy.json by trustreg policy import.
# Not taken over: what it says of dir: only images in registries are judged here
version: 1
keys:
  one: {{gpg: "/keys/one.gpg"}}
  inline:
    key: |
      -----BEGIN PUBLIC KEY-----
      {pem}
      -----END PUBLIC KEY-----
# Not taken over: "nginx", which covers no image: it does not begin with the host of a registry, in lower case; \
Docker Hub's is docker.io
rules:
  - match: registry.example/team
    of: instance
    require:
      all:
        - gpg: one
        - key: inline
          identity: repository
  - match: registry.example/log
    of: instance
    require: reject  # Not taken over: transports.docker.registry.example/log[0]: the transparency log \
(rekorPublicKeyPath) is not checked here
  - match: mirror.example
    of: instance
    require:
      gpg: one  # Not taken over: transports.docker.mirror.example[0]: a prefix that no image has, nginx
# This is what it had for all images of docker. Its own default was for other transports only.
default:
  of: instance
  require: dangerous_accept_anything
"""
    )


@pytest.mark.parametrize("count", [16, 17, 40, 300])
def test_long_lists(count: int) -> None:
    """
    More requirements than one list may have are put into several.
    """
    release = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/keys/one.gpg"}
    old, new, _ = taken_over(json.dumps({"default": [release] * (count - 1) + [{"type": "reject"}]}).encode())
    image = Reference.parse("registry.example/app:1.0")

    assert "no" == decides(old, image, 1) == decides(new, image, 1)
