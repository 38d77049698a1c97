"""``policy.json``: read as strictly as where it comes from, and what cannot be checked here is met by nothing."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.peers.gpg import gpg_home
from tests.policyjson import CASES, FULCIO, PKI, REJECT, SIGNED_BY, SIGSTORE, Case, policy
from trustreg.dialects import policyjson
from trustreg.errors import FileError, PolicyError
from trustreg.identity import Identity
from trustreg.names import Reference
from trustreg.policy import AcceptAnything, AllOf, Policy, Reject, Requirement, SignedByGpg, SignedByKey


def pem(private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half of *private*."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


PLAIN = {"/keys/ci.pub": pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))}
PLAIN["/keys/other.pub"] = pem(ec.derive_private_key(1234, ec.SECP256R1()))


def missing(path: str) -> bytes:
    """Have no key file at all."""
    raise FileError(path, "there is no such file")


@pytest.fixture(scope="module")
def gpg() -> dict[str, bytes]:
    """Two files with public keys, the second with two, by path; and their fingerprints."""
    with gpg_home() as home:
        names = [home.generate(name) for name in ("release", "alice", "bob")]
        return {
            "/keys/release.asc": home.run("--armor", "--export", names[0]).out,
            "/keys/team.gpg": home.public(*names[1:]),
            "fingerprints": " ".join(names).encode(),
        }


def read(text: str, files: dict[str, bytes] | None = None) -> Policy:
    """Read a policy whose key files are *files*."""

    def found(path: str) -> bytes:
        return files[path] if files and path in files else missing(path)

    return policyjson.read(text.encode(), "policy.json", found)


def required(requirement: Any, files: dict[str, bytes] | None = None) -> Requirement:
    """Return what *requirement* is read as."""
    return read(policy(a=[requirement]), files).rules["a"].require


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_read_as_strictly_as_where_it_comes_from(case: Case) -> None:
    """
    Whether a file can be loaded is not a matter of its key files, which are all missing here.
    """
    if case.loads and not case.stricter:
        assert isinstance(policyjson.read(case.text.encode(), "policy.json", missing), Policy)
        return
    with pytest.raises(PolicyError) as refused:
        policyjson.read(case.text.encode(), "policy.json", missing)

    assert "policy.json" == refused.value.source
    assert refused.value.problem


@pytest.mark.parametrize(
    ("text", "line", "path", "problem"),
    [
        ('{"default":\n[{"type":"reject"}],}', 2, "", "not JSON"),
        ('{"default":[{"type":"reject"},{"type":"x"}]}', 0, "default[1].type", "'x' is no requirement"),
        (
            policy(**{"registry.example": [SIGSTORE, {**SIGNED_BY, "keyring": "a"}]}),
            0,
            "transports.docker.registry.example[1].keyring",
            "there is no such member; there are type, keyType",
        ),
        (policy(a=[{**SIGNED_BY, "keyData": ""}]), 0, "transports.docker.a[0]", "here keyPath and keyData is"),
        ('{"default":[{"type":"reject"}],"default":[]}', 0, "", "'default'"),
    ],
)
def test_an_error_says_where(text: str, line: int, path: str, problem: str) -> None:
    """
    The line where JSON ends to be JSON, and else the way to the member.
    """
    with pytest.raises(PolicyError) as refused:
        read(text)

    assert (line, path) == (refused.value.line, refused.value.path)
    assert problem in refused.value.problem


def test_a_large_file_is_not_read() -> None:
    """
    Nor one that is nested without end.
    """
    for raw in (b" " * (policyjson.LARGEST + 1), b'{"default":' + b"[" * 100_000):
        with pytest.raises(PolicyError):
            policyjson.read(raw, "policy.json", missing)


def test_scopes_become_rules(gpg: dict[str, bytes]) -> None:
    """
    Those of docker, with "" for all images in registries; the default is for what none of them covers.
    """
    scopes = {"registry.example/team": [SIGNED_BY], "": [{"type": "insecureAcceptAnything"}]}
    transports = {"docker": scopes, "dir": {"/a": REJECT}, "atomic": {"registry.example": REJECT}}
    text = json.dumps({"default": REJECT, "transports": transports})

    found = read(text, gpg)

    team, other = (found.rule(Reference.parse(name)) for name in ("registry.example/team/app:1.0", "other.example/app"))
    assert {"registry.example/team", ""} == set(found.rules)
    assert isinstance(team.require, SignedByGpg)
    assert isinstance(other.require, AcceptAnything)
    assert isinstance(found.default.require, Reject)
    assert {"instance"} == {rule.of for rule in (team, other, found.default)}
    assert "policy.json: transports.docker.registry.example/team" == team.where
    assert {"dir": ("/a",), "atomic": ("registry.example",)} == policyjson.elsewhere(text.encode())


def test_all_of_a_list_have_to_hold() -> None:
    """
    One stands for itself.
    """
    found = read(policy(a=[{"type": "insecureAcceptAnything"}, *REJECT], b=REJECT))

    both = found.rules["a"].require
    assert isinstance(both, AllOf)
    assert [AcceptAnything, Reject] == [type(part) for part in both.parts]
    assert Reject(path="transports.docker.b[0]") == found.rules["b"].require


def test_gpg_keys_are_all_that_the_files_hold(gpg: dict[str, bytes]) -> None:
    """
    Armoured or not, in one file, in several, or in the policy itself.
    """
    release, alice, bob = gpg["fingerprints"].decode().split()
    inline = {**SIGNED_BY, "keyData": base64.encodebytes(gpg["/keys/team.gpg"]).decode()}
    del inline["keyPath"]

    one = required(SIGNED_BY, gpg)
    assert isinstance(one, SignedByGpg)
    assert [("/keys/release.asc", (release,))] == [(key.name, key.fingerprints) for key in one.keys]

    data = required(inline, gpg)
    assert isinstance(data, SignedByGpg)
    assert [("transports.docker.a[0].keyData", (alice, bob))] == [(k.name, k.fingerprints) for k in data.keys]

    several = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/keys/team.gpg", "/keys/release.asc"]}
    both = required(several, gpg)
    assert isinstance(both, SignedByGpg)
    assert [(alice, bob), (release,)] == [key.fingerprints for key in both.keys]


def test_plain_keys_are_read() -> None:
    """
    Of a file each, or of the policy itself.
    """
    data = [base64.b64encode(raw).decode() for raw in PLAIN.values()]
    spelled: list[dict[str, Any]] = [
        {"keyPaths": list(PLAIN)},
        {"keyDatas": data},
        {"keyPath": "/keys/ci.pub"},
        {"keyData": data[0]},
    ]
    found = [required({"type": "sigstoreSigned", **one}, PLAIN) for one in spelled]

    marks = [[key.fingerprint for key in one.keys] for one in found if isinstance(one, SignedByKey)]
    assert 4 == len(marks)
    assert marks[0] == marks[1]
    assert marks[2] == marks[3] == marks[0][:1]


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        (SIGNED_BY, "the key cannot be had: /keys/release.asc"),
        ({**SIGNED_BY, "keyPath": "/keys/ci.pub"}, "/keys/ci.pub holds no key that can be used"),
        ({**SIGNED_BY, "keyPath": "/keys/empty"}, "/keys/empty holds no key"),
        ({"type": "signedBy", "keyType": "GPGKeys", "keyPaths": []}, "it names no key"),
        ({"type": "signedBy", "keyType": "GPGKeys", "keyData": ""}, "keyData holds no key"),
        ({**SIGNED_BY, "keyType": "X509Certificates"}, "keyType X509Certificates is checked by nobody"),
        ({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}, "signedBaseLayer"),
        ({**SIGSTORE, "keyPath": "/none"}, "the key cannot be had"),
        ({**SIGSTORE, "keyPath": "/keys/empty"}, "one PUBLIC KEY is due"),
        ({"type": "sigstoreSigned", "keyPaths": ["/keys/ci.pub", "/none"]}, "the key cannot be had"),
        ({**SIGSTORE, "rekorPublicKeyPath": "/r"}, "the transparency log (rekorPublicKeyPath) is not checked here"),
        ({"type": "sigstoreSigned", "fulcio": FULCIO, "rekorPublicKeyData": "AA=="}, "certificates (fulcio) are not"),
        ({"type": "sigstoreSigned", "pki": PKI}, "certificates (pki) are not"),
    ],
)
def test_what_cannot_be_checked_is_met_by_nothing(requirement: Any, problem: str) -> None:
    """
    And says why: it is not passed over, and it does not keep other scopes from being judged.
    """
    found = required(requirement, {**PLAIN, "/keys/empty": b""})

    assert isinstance(found, Reject)
    assert problem in found.problem


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (None, Identity()),
        ({"type": "matchRepoDigestOrExact"}, Identity()),
        ({"type": "matchExact"}, Identity(way="exact")),
        ({"type": "matchRepository"}, Identity(way="repository")),
        ({"type": "exactReference", "dockerReference": "v/a:1"}, Identity(way="exact-reference", name="v/a:1")),
        (
            {"type": "exactRepository", "dockerRepository": "a:1"},
            Identity(way="exact-repository", name="docker.io/library/a"),
        ),
        (
            {"type": "remapIdentity", "prefix": "m.example/v", "signedPrefix": "v.example"},
            Identity(way="remap", name="m.example/v", by="v.example"),
        ),
    ],
)
def test_identities(identity: Any, expected: Identity) -> None:
    """
    Each has its way here.
    """
    found = required(SIGSTORE if identity is None else {**SIGSTORE, "signedIdentity": identity}, PLAIN)

    assert isinstance(found, SignedByKey)
    assert expected == found.identity


def test_whatever_the_bytes_it_is_read_or_refused() -> None:
    """
    Files damaged byte by byte, and member by member: nothing else ever comes out.
    """
    random = Random(20261124)
    texts = [case.text.encode() for case in CASES if case.loads]
    bits = [b"", b'"', b"{", b"]", b"null", b"1", b"\xff", b"a", b"/"]
    found = []
    for _ in range(4000):
        raw = bytearray(random.choice(texts))
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(raw))
            raw[at : at + random.randint(0, 2)] = random.choice(bits)
        with suppress(PolicyError):
            found.append(policyjson.read(bytes(raw), "policy.json", missing))

    assert 0 < len(found) < 4000
