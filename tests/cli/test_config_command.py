"""``trustreg config`` prints what is set and where it comes from, for people and for programs."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trustreg.cli.commands import cli
from trustreg.errors import SettingError
from trustreg.io import config as configuration

KEY = "ab" * 32
FILE = f"""
[defaults]
offline_grace = "36h"

[[registry]]
match = "registry.example"
server = "https://trust.example:4443"
pins.keys = ["{KEY}"]

[[registry]]
match = "docker.io"
mirror = "mirror.example/hub"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(configuration, "MACHINE", str(tmp_path / "machine.toml"))
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["config", *arguments], catch_exceptions=True)


def test_what_holds_for_a_collection(file: Path) -> None:
    """
    A table of name, value and source, under the name of the collection.
    """
    result = run("show", "--config", str(file), "--role", "targets", "registry.example/app")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[:2] == ["registry.example/app", ""]
    assert [re.split(" {2,}", line) for line in lines[2:] if not line.startswith("trust_dir")] == [
        ["NAME", "VALUE", "SOURCE"],
        ["server", "https://trust.example:4443", f"{file}: registry[registry.example].server"],
        ["store", "-", "default"],
        ["mirror", "registry.example/app", "default"],
        ["insecure_server", "false", "default"],
        ["insecure_registry", "false", "default"],
        ["ca", "-", "default"],
        ["client", "-", "default"],
        ["pins.keys", KEY, f"{file}: registry[registry.example].pins"],
        ["first_use", "true", "default"],
        ["roles", "targets", "--role"],
        ["offline_grace", "36h", f"{file}: defaults.offline_grace"],
        ["realms", "-", "default"],
        ["previous", "-", "default"],
        ["signatures", "tag lookaside referrers extension", "default"],
        ["lookaside_ends_at_403", "false", "default"],
    ]


def test_a_name_as_people_type_it(file: Path) -> None:
    """
    ``alpine`` is Docker Hub's, and a copy in a mirror is what it is a copy of.
    """
    for name in ("alpine", "mirror.example/hub/library/alpine"):
        result = run("show", "--config", str(file), name)
        assert result.stdout.startswith("docker.io/library/alpine\n")
        assert "mirror.example/hub/library/alpine" in result.stdout


def test_all_that_was_set(file: Path) -> None:
    """
    Without a collection: everything anybody said.
    """
    result = run("show", "--config", str(file), "--server", "https://flag.example")

    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "NAME",
        "trust_dir",
        "server",
        "registry[registry.example].server",
        "registry[registry.example].pins.keys",
        "registry[docker.io].mirror",
        "defaults.offline_grace",
    ]


def test_for_programs(file: Path) -> None:
    """
    Values keep their kind; the files that were read are listed.
    """
    found = json.loads(run("show", "--config", str(file), "--format", "json", "registry.example/app").stdout)
    settings = {row.pop("name"): row for row in found["settings"]}

    assert found["gun"] == "registry.example/app"
    assert found["files"] == [str(file)]
    assert settings["ca"] == {"value": None, "source": "default"}
    assert settings["first_use"] == {"value": True, "source": "default"}
    assert settings["pins.keys"] == {"value": [KEY], "source": f"{file}: registry[registry.example].pins"}
    assert json.loads(run("show", "--config", str(file), "--format", "json").stdout)["gun"] is None


def test_the_file_to_edit(file: Path, home: Path) -> None:
    """
    There or not: one line, for ``$EDITOR``.
    """
    assert run("path").stdout == f"{home}/.config/trustreg/config.toml\n"
    assert run("path", "--config", str(file)).stdout == f"{file}\n"


def test_nowhere_to_put_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A user without a home has no file to edit.
    """
    monkeypatch.setattr(configuration, "_users", lambda _kind: None)

    error = run("path").exception
    assert isinstance(error, SettingError)
    assert str(error) == "HOME: no home folder is known to look in; name a file with --config"


def test_a_broken_file(file: Path) -> None:
    """
    The error is left to whoever prints errors, with its sentence.
    """
    file.write_text("[defaults]\nserve = 'x'")

    error = run("show", "--config", str(file)).exception
    assert isinstance(error, SettingError)
    assert str(error) == f"{file}: defaults.serve: there is no such key; did you mean server?"
