"""The reference says what the code says."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from tests.docs import cli_reference
from tests.docs.pages import ROOT
from tests.test_errors import CONCRETE
from trustreg import doctor, forecast, policy_lint
from trustreg.cli.entry import exit_code
from trustreg.dialects import policy1
from trustreg.io.yaml import read
from trustreg.metadata import Key
from trustreg.policy import GpgKey, PlainKey
from trustreg.report import sheet

if TYPE_CHECKING:
    from trustreg.errors import TrustregError

REFERENCE = ROOT / "docs" / "reference"
LIBRARY = (REFERENCE / "library.md").read_text()
ERRORS = dict(
    re.findall(r"^### `(\S+)`\n(.*?)(?=^##|\Z)", (REFERENCE / "errors.md").read_text(), re.MULTILINE | re.DOTALL)
)
FAMILY = {1: "Untrusted", 2: "Input", 3: "Unavailable"}
CODES = {kind.code: kind for kind in reversed(CONCRETE) if "code" in vars(kind)}


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    """
    ``python -m tests.docs.cli_reference`` writes it anew.
    """
    assert cli_reference.reference() == cli_reference.PAGE.read_text()


def test_every_command_has_an_example() -> None:
    """
    In its help.
    """
    without = [name for name, command in cli_reference.commands() if "Example" not in (command.help or "")]

    groups = ("role", "delegation", "signer", "ceremony", "signatures", "policy", "admission", "key", "config")
    assert [f"trustreg {group}" for group in groups] == without


def test_every_error_is_explained() -> None:
    """
    By its code, and no other.
    """
    assert sorted(CODES) == sorted(ERRORS)


@pytest.mark.parametrize("kind", CODES.values(), ids=CODES)
def test_an_error_has_the_facts_of_the_page(kind: type[TrustregError]) -> None:
    """
    In their order.
    """
    facts = [field.name for field in fields(kind)]  # type: ignore[arg-type]

    assert f"\nFacts: {', '.join(f'`{name}`' for name in facts)}.\n" in ERRORS[kind.code]


def test_an_error_stands_below_its_family() -> None:
    """
    And the exit code is that of the family; a fault of the server's is no client's.
    """
    page = (REFERENCE / "errors.md").read_text()
    families = {
        code: head
        for head, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for code in re.findall(r"^### `(\S+)`$", text, re.MULTILINE)
    }
    server = {code for code, family in families.items() if family == "On the server"}

    assert {"upload-refused", "upload-incomplete", "version-taken"} == server
    assert {code: FAMILY[exit_code(kind.__new__(kind))] for code, kind in CODES.items() if code not in server} == {
        code: family for code, family in families.items() if code not in server
    }


def test_every_finding_and_column_of_an_inventory_is_explained() -> None:
    """
    And no other.
    """
    text = (REFERENCE / "json.md").read_text().split("\n## inventory\n")[1].split("\n## ")[0]
    codes, columns = (table.split("\n\n")[0] for table in text.split("|---|---|\n")[1:])
    first = [re.findall(r"`([\w-]+)`", row.split("|")[1]) for row in codes.splitlines()]

    assert list(forecast.CODES) == sorted(code for row in first for code in row)
    assert list(sheet.COLUMNS) == re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in columns.splitlines()))


def test_every_finding_of_doctor_is_explained() -> None:
    """
    With its status, and a remedy unless nothing has to be done.
    """
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\w+) \| .+ \| (.*?) ?\|$", (REFERENCE / "doctor.md").read_text(), re.MULTILINE
    )

    assert doctor.CODES == {code: status for code, status, _ in sorted(rows)}
    assert [] == [code for code, status, remedy in rows if (status == doctor.OK) == bool(remedy)]


def test_every_finding_about_a_policy_is_explained() -> None:
    """
    With its severity, and no other.
    """
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", (REFERENCE / "policy-lint.md").read_text(), re.MULTILINE)

    assert list(policy_lint.CODES) == [code for code, _ in rows]
    assert {"error", "warning", "note"} == {severity for _, severity in rows}


def test_every_public_name_is_on_the_page() -> None:
    """
    Of the library.
    """
    assert [] == [name for name in trustreg.__all__ if not re.search(rf"\b{name}\b", LIBRARY)]


@pytest.mark.parametrize(
    "name",
    [name for name in trustreg.__all__ if is_dataclass(getattr(trustreg, name)) and f"**`{name}`**: " in LIBRARY],
)
def test_a_result_has_the_fields_of_the_page(name: str) -> None:
    """
    All of them, in their order.
    """
    said = re.search(rf"\*\*`{name}`\*\*(?: and \*\*`\w+`\*\*)?: (.*?)\n\n", LIBRARY, re.DOTALL)
    assert said

    due = [field.name for field in fields(getattr(trustreg, name))]
    others = {"None", *trustreg.__all__} - set(due)

    assert due == [word for word in re.findall(r"`(\w+)`", said[1]) if word not in others]


def test_the_arguments_of_the_verifier_are_those_of_the_page() -> None:
    """
    In their order, with their defaults.
    """
    block = LIBRARY.split("trustreg.Verifier(\n")[1].split(")\n```")[0]
    parameters = list(inspect.signature(trustreg.Verifier).parameters)

    assert parameters == re.findall(r"^ {4}(\w+)=", block, re.MULTILINE)


def test_the_arguments_of_the_publisher_are_on_the_page() -> None:
    """
    Those of the verifier's that it has, and its own.
    """
    text = LIBRARY.split("## Publisher")[1].split("## Results")[0]

    assert [] == [name for name in inspect.signature(trustreg.Publisher).parameters if name not in text]
    assert [] == [
        name for name in inspect.signature(trustreg.Publisher.init).parameters if name not in f"self {text} gun"
    ]


def test_the_arguments_of_the_signer_are_on_the_page() -> None:
    """
    Those of the verifier's that it has, and its own.
    """
    text = LIBRARY.split("## Signer")[1].split("## Client")[0]

    assert [] == [name for name in inspect.signature(trustreg.Signer).parameters if name not in text]
    assert [] == [name for name in inspect.signature(trustreg.Signer.sign).parameters if name not in f"self {text}"]


@pytest.mark.parametrize("kind", [trustreg.Client, trustreg.AsyncClient])
def test_the_arguments_of_a_client_are_those_of_the_page(kind: type) -> None:
    """
    In their order; the first two have no name there, and a comment instead.
    """
    block = LIBRARY.split("trustreg.Client(\n")[1].split(")\n```")[0]
    shown = [named or told for named, told in re.findall(r"^ {4}(?:(\w+)=|.*?# (\w+):)", block, re.MULTILINE)]

    assert list(inspect.signature(kind).parameters) == shown


@pytest.mark.parametrize(
    "kind",
    [
        trustreg.Verifier,
        trustreg.Publisher,
        trustreg.Signer,
        trustreg.Client,
        trustreg.AsyncClient,
        trustreg.Map,
        trustreg.AsyncMap,
    ],
)
def test_every_method_is_on_the_page(kind: type) -> None:
    """
    By its name.
    """
    assert [] == [name for name in vars(kind) if not name.startswith("_") and f"{name}(" not in LIBRARY]


def test_the_policy_on_the_page_is_one() -> None:
    """
    Each example of the policy file is accepted, by the schema too; and every member that there is stands on the page.
    """
    page = (REFERENCE / "policy.md").read_text()
    schema = json.loads((Path(trustreg.__file__).parent / "schemas" / "policy.schema.json").read_text())
    for example in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        document = read(example.encode(), "policy.md").value
        Draft202012Validator(schema).validate(document)
        policy1.read(document, "policy.md", "", lambda _: 0, _AnyKeys())
    named = set(re.findall(r"`([a-z_]+)[`:]", page)) | set(re.findall(r"[`{, ]([a-z_]+):", page))

    assert _members(schema) - named == set()


class _AnyKeys:
    """Takes any file for a key."""

    def gpg(self, name: str, text: str, path: str) -> GpgKey:
        return GpgKey(name=name, raw=f"{text} {path}".encode())

    def plain(self, name: str, text: str, path: str) -> PlainKey:
        return PlainKey(name=name, key=Key(id=text, kind="ed25519"), fingerprint=path)


def _members(schema: object) -> set[str]:
    if isinstance(schema, list):
        return {name for part in schema for name in _members(part)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own | {name for part in schema.values() for name in _members(part)}
