"""The policy file of trustreg: what it means, and what is refused, each with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.peers.gpg import gpg_home
from trustreg.errors import FileError, PolicyError
from trustreg.identity import Identity
from trustreg.io.policyfile import load
from trustreg.io.yaml import read
from trustreg.policy import AcceptAnything, AllOf, AtLeast, InCollection, OldOrNew, Reject, SignedByGpg, SignedByKey
from trustreg.sign.keyfile import public_pem
from trustreg.sign.signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustreg.policy import Policy

SCHEMA = json.loads((Path(trustreg.__file__).parent / "schemas" / "policy.schema.json").read_text())
PIN = "9c615abbf650d677d74b48d863500213ecc446f79b1655b869375e03b29e7b7c"
POLICY = f"""\
version: 1
aliases:
  mirror.example:5000/hub: docker.io
keys:
  release: {{gpg: keys/release.asc}}
  ci: {{key: keys/ci.pub}}
rules:
  - match: registry.example/team
    name: team
    mode: warn
    of: both
    require:
      at_least: 2
      of:
        - gpg: release
        - {{key: [ci], identity: repository}}
        - collection:
            roles: targets/releases
            signers: [alice, bob]
            pins: [{PIN}]
            offline_grace: 12h
            max_age: 5m
  - match: [registry.example/team/app:1.0, "*.example"]
    require:
      old_or_new:
        new: {{all: [{{collection: true}}, {{any: [{{gpg: release}}, {{key: ci}}]}}]}}
        old: {{gpg: release, identity: {{remap: {{prefix: registry.example, signed_prefix: old.example}}}}}}
        until: 2027-01-31
  - match: localhost:5000
    require: dangerous_accept_anything
default: reject
"""


def new_key() -> bytes:
    """Make a public key in PEM form."""
    signer = LocalSigner.generate("ecdsa")
    return public_pem(signer.kind, signer.public)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys that the policy names."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "keys").mkdir()
    with gpg_home() as home:
        fingerprint = home.generate("release")
        (folder / "keys" / "release.asc").write_text(home.run("--armor", "--export", fingerprint).stdout)
    (folder / "keys" / "ci.pub").write_bytes(new_key())
    return folder


@pytest.fixture
def reads(folder: Path) -> Callable[[str], Policy]:
    """Read a policy from text."""

    def read_text(text: str) -> Policy:
        path = folder / "policy.yaml"
        path.write_text(text)
        return load(path)

    return read_text


def test_what_people_write_is_what_it_means(reads: Callable[[str], Policy], folder: Path) -> None:
    """
    Rules by scope, with the keys they name, and where each of them stands.
    """
    policy = reads(POLICY)
    team, app = policy.rules["registry.example/team"], policy.rules["registry.example/team/app:1.0"]
    two = team.require
    assert isinstance(two, AtLeast)
    gpg, key, collection = two.parts
    assert isinstance(gpg, SignedByGpg)
    assert isinstance(key, SignedByKey)

    assert list(policy.rules) == [
        "registry.example/team",
        "registry.example/team/app:1.0",
        "*.example",
        "localhost:5000",
    ]
    assert (team.mode, team.of, team.name, team.where) == ("warn", "both", "team", f"{folder / 'policy.yaml'}:8")
    assert (two.count, two.path, gpg.path) == (2, "rules[0].require", "rules[0].require.of[0]")
    assert [len(one.fingerprint) for one in key.keys] == [64]
    assert [[len(one) for one in known.fingerprints] for known in gpg.keys] == [[40]]
    assert key.identity == Identity(way="repository")
    assert collection == InCollection(
        path="rules[0].require.of[2]",
        roles=("targets/releases", "targets/alice", "targets/bob"),
        pins=(PIN,),
        offline_grace=timedelta(hours=12),
        max_age=timedelta(minutes=5),
    )
    change = app.require
    assert isinstance(change, OldOrNew)
    assert (change.until, change.path) == (datetime(2027, 1, 31, tzinfo=UTC), "rules[1].require.old_or_new")
    assert isinstance(change.new, AllOf)
    assert isinstance(change.old, SignedByGpg)
    assert change.old.identity == Identity(way="remap", name="registry.example", by="old.example")
    assert policy.rules["localhost:5000"].require == AcceptAnything(path="rules[2].require")
    assert policy.default.require == Reject(path="default")
    assert policy.default.where.endswith("policy.yaml:31")


def test_the_digest_is_that_of_all_that_was_read(reads: Callable[[str], Policy], folder: Path) -> None:
    """
    It changes with the policy, and with a key that it names.
    """
    before = reads(POLICY).digest
    assert reads(POLICY).digest == before
    assert reads(POLICY + "# and a comment\n").digest != before
    key = folder / "keys" / "ci.pub"
    was = key.read_bytes()
    key.write_bytes(new_key())
    changed = reads(POLICY).digest
    key.write_bytes(was)

    assert changed != before


def test_keys_may_stand_in_the_policy(reads: Callable[[str], Policy], folder: Path) -> None:
    """
    Text that begins as keys do is the key itself.
    """
    pem = (folder / "keys" / "ci.pub").read_text().replace("\n", "\n      ")
    armour = (folder / "keys" / "release.asc").read_text().replace("\n", "\n      ")
    text = POLICY.replace("{key: keys/ci.pub}", f"\n    key: |\n      {pem}")
    text = text.replace("{gpg: keys/release.asc}", f"\n    gpg: |\n      {armour}")

    assert reads(text).rules["registry.example/team"].require == reads(POLICY).rules["registry.example/team"].require


def test_a_fingerprint_says_which_key_is_meant(reads: Callable[[str], Policy]) -> None:
    """
    Another key in the file is an error, in whatever case and groups it was written.
    """
    (key,) = reads(POLICY).rules["registry.example/team"].require.parts[0].keys  # type: ignore[union-attr]
    spaced = " ".join(key.fingerprints[0][n : n + 4].lower() for n in range(0, 40, 4))  # type: ignore[union-attr]

    reads(POLICY.replace("release.asc}", f"release.asc, fingerprint: {spaced}}}"))
    with pytest.raises(PolicyError, match=r"policy.yaml:5: keys.release.fingerprint: the key is [0-9A-F]{40}"):
        reads(POLICY.replace("release.asc}", f"release.asc, fingerprint: {'0' * 40}}}"))


FAULTS = [
    ("version: 1", "version: 2", 1, "version", "2 is outside 1 to 1"),
    ("version: 1\n", "", 1, "version", "it is missing"),
    ("version: 1", "version: yes", 1, "version", "an integer is due"),
    ("default: reject", "", 1, "default", "it is missing"),
    ("default: reject", "default: rejekt", 31, "default", "a requirement is reject"),
    ("default: reject", "default: {gpg: nobody}", 31, "default.gpg", "'nobody': no such key"),
    ("default: reject", "default: {}", 31, "default", "says none"),
    ("default: reject", "default: {require: reject, match: a.example}", 31, "default.match", "no such member"),
    ("  - match: localhost:5000", "  - match: localhost", 29, "", None),
    ("  - match: localhost:5000", "  - match: nginx", 29, "rules[2].match", "no scope"),
    ("  - match: localhost:5000", "  - match: docker.io/nginx:1.0", 29, "rules[2].match", "docker.io/library/nginx"),
    ("  - match: localhost:5000", "  - match: Localhost:5000", 29, "rules[2].match", "lower case"),
    ("  - match: localhost:5000", '  - match: "*.example"', 29, "rules[2].match", "has a rule already"),
    ("  - match: localhost:5000", "  - match: []", 29, "rules[2].match", "names nothing"),
    ("mode: warn", "mode: off", 10, "rules[0].mode", "'off' is none of enforce, warn, audit"),
    ("of: both", "of: all", 11, "rules[0].of", "none of index"),
    ("at_least: 2", "at_least: 4", 13, "rules[0].require.at_least", "outside 1 to 3"),
    ("at_least: 2", "at_least: 0", 13, "rules[0].require.at_least", "outside 1 to 3"),
    ("at_least: 2", "atleast: 2", 13, "rules[0].require.atleast", "did you mean at_least?"),
    ("- gpg: release", "- gpg: ci", 15, "rules[0].require.of[0].gpg", "it is no gpg key"),
    ("- gpg: release", "- gpg: []", 15, "rules[0].require.of[0].gpg", "names nothing"),
    ("- gpg: release", "- {gpg: release, key: ci}", 15, "rules[0].require.of[0]", "says gpg and key"),
    ("- gpg: release", "- {gpg: release, identiti: exact}", 15, "", "did you mean identity?"),
    ("identity: repository", "identity: repo", 16, "rules[0].require.of[1].identity", "none of digest_or_exact"),
    ("identity: repository", "identity: {exact_reference: a.example/b}", 16, "", "a tag or a digest"),
    ("identity: repository", "identity: {exact_repository: a.example/b:1}", 16, "", "it has a tag"),
    ("identity: repository", "identity: {remap: {prefix: a.example}}", 16, "", "it is missing"),
    ("identity: repository", "identity: {exact_reference: a.example/b:1, remap: {}}", 16, "", "say one of"),
    ("roles: targets/releases", "roles: snapshot", 18, "", "not a role that signs tags"),
    ("signers: [alice, bob]", "signers: [Alice]", 18, "", "not a role that signs tags"),
    (f"pins: [{PIN}]", "pins: [abc]", 20, "", "64 hex digits"),
    ("offline_grace: 12h", "offline_grace: 12", 21, "", "a string is due"),
    ("max_age: 5m", "max_age: forever", 22, "", "a number and its unit"),
    ("max_age: 5m", "{server: https://a.example, store: 'dir:x'}: x", 22, "", "a key has to be text"),
    ("max_age: 5m", "server: https://a.example\n            store: dir:x", 23, "", "one of the two"),
    ("until: 2027-01-31", "until: 2027-02-31", 28, "", "is not a day"),
    ("until: 2027-01-31", "until: soon", 28, "", "is not a day"),
    ("until: 2027-01-31\n", "\n", 25, "", "it is missing"),
    ("hub: docker.io", "hub: docker", 3, "aliases.mirror.example:5000/hub", "beginning of the names"),
    ("hub: docker.io", 'hub: "*.example"', 3, "", "beginning of the names"),
    ("keys/ci.pub", "keys/release.asc", 6, "keys.ci.key", "ci is no public key"),
    ("keys/release.asc", "keys/ci.pub", 5, "keys.release.gpg", "release is no public GPG key"),
    ("ci: {key: keys/ci.pub}", "ci: {}", 6, "keys.ci", "it has to say gpg or key"),
    ("ci: {key: keys/ci.pub}", "c i: {key: keys/ci.pub}", 6, "keys.c i", "the name of a key"),
    ("rules:", "rules: 3\nx:", 8, "x", "there is no such member"),
    ("aliases:", "aliases:\naliases:", 3, "", "stands here twice"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "problem"), FAULTS)
def test_one_fault_each(
    reads: Callable[[str], Policy], old: str, new: str, line: int, path: str, problem: str | None
) -> None:
    """
    Line, path and sentence lead to the fault; nothing is judged by the rest.
    """
    assert POLICY.count(old) == 1
    text = POLICY.replace(old, new)
    if problem is None:
        reads(text)
        return
    with pytest.raises(PolicyError) as refused:
        reads(text)
    error = refused.value
    assert problem in error.problem
    assert (error.line, path and error.path) == (line, path)


def test_files_that_are_not_there_or_anybodys(reads: Callable[[str], Policy], folder: Path) -> None:
    """
    A key file that is missing is named, with who names it; one that anybody may write to vouches for nothing.
    """
    with pytest.raises(FileError, match="there is no such file") as missing:
        reads(POLICY.replace("keys/ci.pub", "keys/none.pub"))
    assert missing.value.remedy is not None
    assert missing.value.remedy.endswith("policy.yaml:6 names it")
    key = folder / "keys" / "ci.pub"
    key.chmod(0o666)
    with pytest.raises(FileError, match="anybody may write to it"):
        reads(POLICY)
    key.chmod(0o644)


def accepted(document: Any) -> bool:
    """Say whether the published schema accepts *document*."""
    return bool(Draft202012Validator(SCHEMA).is_valid(document))


def test_the_schema_says_what_is_accepted(reads: Callable[[str], Policy]) -> None:
    """
    It accepts the policy, and refuses each fault that is one of form.
    """
    Draft202012Validator.check_schema(SCHEMA)
    assert accepted(read(POLICY.encode(), "x").value)
    form = (
        "version",
        "no such",
        "none of",
        "says",
        "missing",
        "names nothing",
        "outside 1 to 1",
        "number and its unit",
    )
    for old, new, _, _, problem in FAULTS:
        if problem and any(word in problem for word in form) and "no such key" not in problem:
            assert not accepted(read(POLICY.replace(old, new).encode(), "x").value), new
