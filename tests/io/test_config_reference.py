"""The reference pages, the published schema and the code tell the same story."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]

import trustreg
from trustreg.errors import SettingError
from trustreg.io import settings
from trustreg.io.config import load
from trustreg.names import Gun

PACKAGE = Path(trustreg.__file__).parent
DOCS = Path(__file__).parents[2] / "docs/reference"
PAGE = (DOCS / "configuration.md").read_text()
ENVIRONMENT = (DOCS / "environment.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SCHEMA: dict[str, Any] = json.loads((PACKAGE / "schemas/config.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
KEY = "ab" * 32


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads_and_fits_the_schema(tmp_path: Path, example: str) -> None:
    """
    Every TOML block of the reference page.
    """
    path = tmp_path / "config.toml"
    path.write_text(example)

    assert load({}, {}, str(path)).files == (str(path),)
    VALIDATOR.validate(tomllib.loads(example))


def test_the_page_has_examples() -> None:
    """
    The pattern above still finds them.
    """
    assert len(EXAMPLES) >= 9


def test_the_first_example_says_what_the_page_says(tmp_path: Path) -> None:
    """
    An entry takes from a less specific one what it does not say itself.
    """
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLES[0])
    config = load({}, {}, str(path))
    values = {row.name: row.value for row in config.explain(Gun("registry.example/sandbox/app"))}

    assert values["server"] == "https://trust.example:4443"
    assert values["first_use"] is True
    assert values["pins.authorities"]


def test_the_schema_has_the_keys_of_the_code() -> None:
    """
    No more, no less, table by table.
    """
    Draft202012Validator.check_schema(SCHEMA)
    top, definitions = SCHEMA["properties"], SCHEMA["$defs"]

    assert set(top) == {*settings.EVERYWHERE, "defaults", "registry"}
    assert set(top["defaults"]["properties"]) == set(settings.DEFAULTS)
    assert set(top["registry"]["items"]["properties"]) == set(settings.REGISTRY)
    assert set(definitions["pins"]["properties"]) == set(settings.PINS)
    assert set(definitions["previous"]["properties"]) == set(settings.PREVIOUS)
    assert set(definitions["client"]["properties"]) == set(settings.CLIENT)


@pytest.mark.parametrize(
    "table",
    [
        {"trust": "x"},
        {"trust_dir": ""},
        {"defaults": {"match": "a.example"}},
        {"defaults": {"mirror": "a.example"}},
        {"registry": {"match": "a.example"}},
        {"registry": [{}]},
        {"registry": [{"match": "a.example/app:1"}]},
        {"registry": [{"match": "a.example/"}]},
        {"registry": [{"match": "a.example", "mirror": "*.example"}]},
        {"registry": [{"match": "a.example", "mirror": "https://a.example"}]},
        {"defaults": {"server": "trust.example"}},
        {"defaults": {"server": "https://me@trust.example"}},
        {"defaults": {"server": "https://trust.example?x"}},
        {"defaults": {"store": "/srv/trust"}},
        {"defaults": {"store": "s3:/bucket"}},
        {"defaults": {"insecure_server": 1}},
        {"defaults": {"client": {"cert": "x"}}},
        {"defaults": {"pins": {}}},
        {"defaults": {"pins": {"keys": []}}},
        {"defaults": {"pins": {"keys": ["abcd"]}}},
        {"defaults": {"pins": {"authorities": ["x", "x"]}}},
        {"defaults": {"roles": ["root"]}},
        {"defaults": {"offline_grace": 36}},
        {"defaults": {"offline_grace": "36"}},
        {"defaults": {"realms": ["login.example/x"]}},
        {"defaults": {"previous": {"server": "https://old.example"}}},
        {"defaults": {"previous": {"until": "2027-03-31"}}},
        {"defaults": {"signatures": []}},
        {"defaults": {"signatures": ["tags"]}},
        {"defaults": {"signatures": ["tag", "tag"]}},
        {"defaults": {"signatures": ["lookaside:"]}},
        {"defaults": {"lookaside_ends_at_403": "yes"}},
        {"defaults": {"previous": {"until": "2027-03-31", "server": "https://old.example", "store": "oci:"}}},
    ],
)
def test_what_the_code_refuses_the_schema_refuses(table: dict[str, Any]) -> None:
    """
    An editor that knows the schema warns of these.
    """
    with pytest.raises(SettingError):
        tuple(settings._layers(table, settings._Place("file", Path())))
    assert not VALIDATOR.is_valid(table)


@pytest.mark.parametrize(
    "match", ["a.example", "a.example:5000/b/c", "*.example", "*.example:5000/b", "localhost", "[::1]:5000/a"]
)
def test_what_the_code_takes_the_schema_takes(match: str) -> None:
    """
    A value for every key, and every form of a match.
    """
    values = {
        "server": "http://[::1]:4443/prefix",
        "store": "dir:/srv/trust/{gun}",
        "insecure_server": False,
        "insecure_registry": True,
        "ca": "~/ca.pem",
        "client": {"cert": "c", "key": "k"},
        "pins": {"keys": [KEY.upper()], "certificates": ["c.pem"], "authorities": ["a.pem", "b.pem"], "root": "r.json"},
        "first_use": False,
        "roles": ["targets/releases", "targets"],
        "offline_grace": "7d",
        "realms": ["login.example", "login.example:8443"],
        "previous": {"server": "https://old.example", "until": "2027-03-31", "pins": {"keys": [KEY]}},
        "signatures": ["tag", "lookaside", "lookaside:s", "lookaside:https://s.example/s", "lookaside:s3://b/s"],
        "lookaside_ends_at_403": True,
    }
    assert set(values) == set(settings.DEFAULTS)
    mirror = {} if match.startswith("*") else {"mirror": "mirror.example:5000/a"}
    table = {
        "trust_dir": "t",
        "policy": "p",
        "notary_config": "c",
        "registries_d": "d",
        "defaults": values,
        "registry": [{"match": match, **mirror, **values}],
    }

    assert len(tuple(settings._layers(table, settings._Place("file", Path())))) == 3
    VALIDATOR.validate(table)


def test_the_page_explains_every_key_with_its_flag_and_variables() -> None:
    """
    One row of a table for each key, naming what else sets it.
    """
    rows = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}

    assert set(rows) == {*settings.EVERYWHERE, *settings.REGISTRY}
    said = [(key, name) for key, _, name, _ in settings.FLAGS] + [(key, name) for key, name, _ in settings.VARIABLES]
    assert [(key, name) for key, name in said if f"`{name}`" not in rows[key]] == []


def test_every_variable_that_is_read_is_documented() -> None:
    """
    Whatever looks like the name of a variable in the code has a row on the page.
    """
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    pattern = r"[\"'`]((?:TRUSTREG|DOCKER|NOTARY|REGISTRY|XDG|SSL_CERT|REQUESTS|CURL)_[A-Z_]*[A-Z])[\"'`]"
    read = set(re.findall(pattern, code)) | {name for _, name, _ in settings.VARIABLES}

    assert [
        name for name in sorted(read) if f"| `{name}`" not in ENVIRONMENT and f", `{name}` |" not in ENVIRONMENT
    ] == []
