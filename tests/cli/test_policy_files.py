"""``trustreg policy lint``, ``test`` and ``import``: what is done with a policy before images are judged by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

from tests.cli.conftest import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
POLICY = """\
version: 1
keys:
  ci: {key: ci.pub}
  old: {key: old.pub}
rules:
  - match: registry.example/team
    name: team
    mode: warn
    require: {key: ci}
  - match: registry.example/free
    require: dangerous_accept_anything
default: reject
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy and its keys, to work in."""
    for name in ("ci.pub", "old.pub"):
        (tmp_path / name).write_bytes(PEM)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def validated(schema: str, text: str) -> dict[str, object]:
    """Read JSON that has to fit a schema of ours."""
    document: dict[str, object] = json.loads(text)
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text())).validate(document)
    return document


def test_lint_says_what_is_odd(desk: Desk, folder: Path) -> None:
    """
    With its line and what to do; warnings end with 1 only where they are to.
    """
    policy = folder / "policy.yaml"

    said = desk.do("policy", "lint", policy)

    assert [
        f"warning: {policy}:10: any image is accepted for registry.example/free, whoever made it",
        "  remedy: demand a signature, or name the images that you mean more closely",
        f"warning: {policy}:4: no rule names key old",
        "  remedy: take it out, or name it where it was meant to count",
        f"warning: {policy}:6: rule team is not enforced (warn): what it refuses is let through",
        "  remedy: enforce it once the log shows nothing that should have passed",
    ] == said.lines[:6]
    assert said.lines[6].startswith(f"note: {policy}:6: rule team can be met by signatures alone")
    assert 1 == desk.run("policy", "lint", "--strict", policy).code
    document = validated("policy-lint", desk.do("policy", "lint", policy, "--format", "json").out)
    assert str(policy) == document["policy"]
    assert 4 == len(document["findings"])  # type: ignore[arg-type]


def test_lint_takes_a_file_that_is_no_policy_for_an_error_in_it(desk: Desk, folder: Path) -> None:
    """
    It ends with 1, as for any error; a file that is not there could not be looked at.
    """
    policy = folder / "policy.yaml"
    policy.write_text(POLICY.replace("key: ci}", "key: cy}"))

    said = desk.run("policy", "lint", policy)
    assert (1, "") == (said.code, said.err)
    assert f"error: {policy}:9: it cannot be used: rules[0].require.key: 'cy'" in said.lines[0]
    validated("policy-lint", desk.run("policy", "lint", policy, "--format", "json").out)
    assert 3 == desk.run("policy", "lint", folder / "none.yaml").code


def test_lint_of_a_policy_in_which_nothing_is_odd(desk: Desk, folder: Path) -> None:
    """
    It says so.
    """
    (folder / "policy.yaml").write_text("version: 1\ndefault: {collection: true}\n")

    assert [f"{folder / 'policy.yaml'}: nothing is odd"] == desk.do("policy", "lint", folder / "policy.yaml").lines


def test_lint_reads_policy_json(desk: Desk, folder: Path) -> None:
    """
    What it has for other transports is passed over aloud.
    """
    policy = folder / "policy.json"
    scopes = {"docker": {"nginx": [{"type": "reject"}]}, "dir": {"": [{"type": "insecureAcceptAnything"}]}}
    policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": scopes}))

    said = desk.run("policy", "lint", policy)

    assert 1 == said.code
    assert f"error: {policy}: transports.docker.nginx: no image is called nginx" in said.lines[0]
    assert f"note: {policy}: what it says of dir is passed over" in said.out


def test_a_table_is_compared_with_what_is_found_out(begun: Desk, folder: Path) -> None:
    """
    Verdicts, rules, reasons, and whether the image may be used.
    """
    policy, table = folder / "policy.yaml", folder / "table.yaml"
    rule = f"  - match: {begun.gun}\n    name: app\n    require: {{collection: true}}\n"
    policy.write_text(POLICY.replace("rules:\n", f"rules:\n{rule}"))
    table.write_text(f"""\
- {{image: "{begun.gun}:1.0", expect: trusted, rule: app, allowed: true}}
- {{image: "{begun.gun}:2.0", expect: untrusted, code: unsigned}}
- {{image: "other.example/app:1.0", expect: untrusted, rule: default, code: reject, allowed: false}}
""")
    assert ["3 of 3 are as expected"] == begun.do("policy", "test", policy, table).lines

    table.write_text(f"""\
- image: {begun.gun}:1.0
  expect: untrusted
- {{image: "{begun.gun}:2.0", code: moved}}
- {{image: "other.example/app:1.0", expect: trusted, rule: team}}
- {{image: "other.example/app:1.0", allowed: true, code: reject}}
""")
    said = begun.run("policy", "test", policy, table)
    assert (1, ["0 of 4 are as expected"]) == (said.code, said.talk)
    assert [
        f"{table}:1: {begun.gun}:1.0: untrusted was expected, and it is trusted",
        f"{table}:3: {begun.gun}:2.0: the reason moved was expected, and it is unsigned",
        f"{table}:4: other.example/app:1.0: the rule team was expected, and it is default ({policy}:15)",
        f"{table}:4: other.example/app:1.0: trusted was expected, and it is untrusted",
        f"{table}:5: other.example/app:1.0: it was to be allowed, and is refused: untrusted, mode enforce",
    ] == [line.partition(": other.example/app:1.0 is refused by")[0] for line in said.lines]
    document = validated("policy-test", begun.run("policy", "test", policy, table, "--format", "json").out)
    assert ["trusted", "untrusted", "untrusted", "untrusted"] == [one["verdict"] for one in document["results"]]  # type: ignore[attr-defined]


def test_what_could_not_be_found_out_is_no_failure_of_the_policy(desk: Desk, folder: Path) -> None:
    """
    It ends with 3, unless something else is otherwise than expected.
    """
    policy, table = folder / "policy.yaml", folder / "table.yaml"
    policy.write_text("version: 1\ndefault: {collection: {server: 'http://127.0.0.1:9'}}\n")
    table.write_text(f"- {{image: '{desk.gun}:1.0', expect: trusted}}\n")
    desk.push("1.0")

    assert 3 == desk.run("policy", "test", policy, table).code
    table.write_text(f"- {{image: '{desk.gun}:1.0', expect: unknown}}\n")
    assert 0 == desk.run("policy", "test", policy, table).code
    table.write_text(f"- {{image: '{desk.gun}:1.0', expect: trusted, rule: team}}\n")
    assert 1 == desk.run("policy", "test", policy, table).code


def test_offline_only_rules_are_compared(desk: Desk, folder: Path) -> None:
    """
    And what a rule decides without asking.
    """
    policy, table = folder / "policy.yaml", folder / "table.json"
    expected = [
        {"image": "registry.example/team/app:1.0", "rule": "team", "expect": "trusted", "platform": "linux/arm64"},
        {"image": "registry.example/team/app:1.0", "rule": "registry.example/team"},
        {"image": "registry.example/free/app:1.0", "expect": "trusted", "allowed": True},
        {"image": "nginx", "rule": "default", "expect": "untrusted", "code": "reject"},
    ]
    table.write_text(json.dumps(expected))

    said = desk.do("policy", "test", "--offline", policy, table)
    assert ["4 of 4 are as expected, of 1 only the rule was compared"] == said.lines
    document = validated("policy-test", desk.do("policy", "test", "--offline", policy, table, "--format", "json").out)
    assert [["verdict"], [], [], []] == [one["unasked"] for one in document["results"]]  # type: ignore[attr-defined]

    table.write_text(json.dumps([{"image": "nginx", "rule": "team"}, {"image": "nginx", "expect": "trusted"}]))
    said = desk.run("policy", "test", "--offline", policy, table)
    assert (1, 2) == (said.code, len(said.lines))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[]", "a list of 1 to"),
        ("image: nginx", "a list of 1 to"),
        ("- nginx", "[0]: an object is due"),
        ("- {image: nginx}", "[0]: it has to say expect, allowed, rule or code"),
        ("- {image: nginx, expect: yes}", "[0].expect: 'yes' is none of trusted, untrusted, unknown"),
        ("- {image: Nginx, expect: trusted}", "[0].image"),
        ("- {image: nginx, expected: trusted}", "[0].expected: there is no such member"),
        ("- {image: nginx, allowed: 1}", "[0].allowed: true or false is due"),
        ("- {image: [}", "this is not YAML"),
    ],
)
def test_a_table_that_is_none(desk: Desk, folder: Path, table: str, problem: str) -> None:
    """
    Says where, and nothing is asked.
    """
    (folder / "table.yaml").write_text(f"{table}\n")

    said = desk.run("policy", "test", folder / "policy.yaml", folder / "table.yaml")

    assert 2 == said.code
    assert f"table.yaml:1: {problem}" in said.err


def test_a_policy_json_is_taken_over(desk: Desk, folder: Path, tmp_path: Path) -> None:
    """
    To standard output, or into a new file; keys are named where they are.
    """
    sigstore = {"type": "sigstoreSigned", "keyPath": "ci.pub"}
    document = {"default": [{"type": "reject"}], "transports": {"docker": {"registry.example": [sigstore]}, "dir": {}}}
    old, new = folder / "policy.json", folder / "new.yaml"
    old.write_text(json.dumps(document))

    said = desk.run("policy", "import", old)
    assert (0, ["trustreg: not taken over: what it says of dir: only images in registries are judged here"]) == (
        said.code,
        said.talk,
    )
    assert f'  ci: {{key: "{folder}/ci.pub"}}' in said.lines
    said = desk.run("policy", "import", old, "-o", new)
    assert (0, "") == (said.code, said.out)
    assert '  ci: {key: "ci.pub"}' in new.read_text()
    assert 0 == desk.run("policy", "lint", new).code
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert 0 == desk.run("policy", "import", old, "-o", elsewhere / "new.yaml").code
    assert f'"{folder}/ci.pub"' in (elsewhere / "new.yaml").read_text()


def test_import_writes_over_nothing(desk: Desk, folder: Path) -> None:
    """
    And takes nothing but a policy.json, whatever it is called.
    """
    (folder / "old").write_text('{"default": [{"type": "reject"}]}')

    said = desk.run("policy", "import", folder / "old", "-o", folder / "policy.yaml")
    assert (2, POLICY) == (said.code, (folder / "policy.yaml").read_text())
    assert 0 == desk.run("policy", "import", folder / "old").code
    assert 2 == desk.run("policy", "import", folder / "policy.yaml").code
