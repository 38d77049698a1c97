"""What registries.conf of containers' tools says: short names, places, what is blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError, SettingError
from trustreg.io import registriesconf
from trustreg.io.registriesconf import RegistriesConf, read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a folder stand for that of the machine."""
    monkeypatch.setattr(registriesconf, "MACHINE", tmp_path / "etc")
    return tmp_path / "etc"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def said(tmp_path: Path, text: str) -> RegistriesConf:
    path = written(tmp_path / "named.conf", text)
    return read(str(tmp_path), {"CONTAINERS_REGISTRIES_CONF": str(path)})


ALIASES = """
    [aliases]
    app = "registry.example/team/app"
    "team/app" = "registry.example:5000/app"
    gone = ""
"""


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("app", "registry.example/team/app"),
        ("app:1.0", "registry.example/team/app:1.0"),
        ("app@sha256:ab", "registry.example/team/app@sha256:ab"),
        ("app:1.0@sha256:ab", "registry.example/team/app:1.0@sha256:ab"),
        ("team/app:1.0", "registry.example:5000/app:1.0"),
        ("apps", None),
        ("app/app", None),
        ("gone", None),
        ("docker.io/app", None),
        ("localhost/app", None),
        ("registry.example:5000/app", None),
    ],
)
def test_what_is_short_for_what(tmp_path: Path, text: str, long: str | None) -> None:
    """
    A whole name without a registry, whatever tag or digest follows.
    """
    found = said(tmp_path, ALIASES).long(text)

    assert (found and found[0]) == long
    assert found is None or found[1] == str(tmp_path / "named.conf")


PLACES = """
    unqualified-search-registries = ["docker.io"]
    [[registry]]
    prefix = "registry.example/team"
    location = "there.example:5000/x/"
    insecure = true
    [[registry.mirror]]
    location = "mirror.example"
    [[registry]]
    location = "registry.example/team/secret"
    blocked = true
    [[registry]]
    prefix = "*.wild.example"
    [[registry]]
    prefix = "*.deep.wild.example"
    location = "other.example/deep"
    [[registry]]
    location = "docker.io"
    blocked = true
    [[registry]]
    prefix = "one.example:5000/app:1.0"
    location = "elsewhere.example/app:1.0"
    [[registry]]
    location = "one.example:5000/bad@sha256:ab"
    blocked = true
    [registries.search]
    registries = ["docker.io"]
"""


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("registry.example/team/app", "there.example:5000/x/app"),
        ("registry.example/team", "there.example:5000/x"),
        ("registry.example/teams/app", "registry.example/teams/app"),
        ("registry.example:5000/team/app", "registry.example:5000/team/app"),
        ("a.wild.example/app", "a.wild.example/app"),
        ("a.deep.wild.example:5000/app", "other.example/deep/app"),
        ("wild.example/app", "wild.example/app"),
        ("registry.example/team/secret", None),
        ("REGISTRY.example/team/secret", None),
        ("Registry.Example/team/app", "there.example:5000/x/app"),
        ("Other.example/app", "Other.example/app"),
        ("registry.example/team/secret/app", None),
        ("docker.io/library/alpine", None),
        ("one.example:5000/app", "one.example:5000/app"),
        ("one.example:5000/bad", None),
    ],
)
def test_where_images_are(tmp_path: Path, name: str, there: str | None) -> None:
    """
    By the longest prefix, component by component; what is blocked is nowhere.
    """
    conf = said(tmp_path, PLACES)
    if there is None:
        with pytest.raises(SettingError, match="blocked"):
            conf.place(name)
    else:
        assert conf.place(name) == there


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "aliases = 7",
        "[aliases]\napp = 7",
        '[aliases]\napp = "team/app"',
        '[aliases]\napp = "registry.example/app:1.0"',
        '[aliases]\napp = "registry.example/App"',
        "registry = 7",
        "registry = [7]",
        "[[registry]]",
        '[[registry]]\nprefix = "registry.example"',
        '[[registry]]\nlocation = "https://registry.example"',
        '[[registry]]\nlocation = "registry.example/App"',
        '[[registry]]\nlocation = "*.example"',
        "[[registry]]\nlocation = 7",
        '[[registry]]\nlocation = "registry.example"\nblocked = "no"',
        '[registries.block]\nregistries = ["registry.example"]',
        "a = " + "[" * 5000,
    ],
)
def test_what_it_must_not_say(tmp_path: Path, text: str) -> None:
    """
    Nothing is taken for something else, and nothing that blocks is passed over.
    """
    with pytest.raises(SettingError):
        said(tmp_path, text)


def test_which_files_count(tmp_path: Path, machine: Path) -> None:
    """
    Those of the machine and then the user's drop-ins; or all of the user's; or the one that is named.
    """

    def app(**env: str) -> str | None:
        found = read(str(tmp_path), env).long("app")
        return found and found[0]

    def alias(name: str) -> str:
        return f'[aliases]\napp = "{name}.example/app"'

    users = tmp_path / ".config/containers"
    assert app() is None
    for name, path in {
        "main": machine / "registries.conf",
        "a": machine / "registries.conf.d/20.conf",
        "b": machine / "registries.conf.d/3.conf",
        "user": users / "registries.conf.d/1.conf",
    }.items():
        written(path, alias(name))
        assert app() == f"{name}.example/app"
    written(users / "registries.conf", "")
    (users / "registries.conf.d/1.conf").unlink()
    assert app() is None
    named = written(tmp_path / "named", alias("named"))
    assert app(CONTAINERS_REGISTRIES_CONF=str(named)) == "named.example/app"
    with pytest.raises(FileError):
        app(CONTAINERS_REGISTRIES_CONF=str(tmp_path / "none"))
    named.chmod(0o666)
    with pytest.raises(FileError, match="anybody may write"):
        app(CONTAINERS_REGISTRIES_CONF=str(named))
