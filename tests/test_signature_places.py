"""Which places of signatures an image has, by what flags, files and the configuration of containers' tools say."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from trustreg.errors import FileError, SettingError
from trustreg.names import Reference
from trustreg.ports import Detached, Message
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = Reference.parse("registry.example:5000/team/app:1.0")
ALL = ["tag", "referrers", "extension"]


@pytest.fixture
def registries_d(tmp_path: Path) -> Path:
    folder = tmp_path / "registries.d"
    folder.mkdir()
    return folder


@pytest.fixture
def wiring(tmp_path: Path, registries_d: Path) -> Wiring:
    return wired(tmp_path, registries_d)


def wired(home: Path, registries_d: Path | None, config: str = "", **env: str) -> Wiring:
    (home / "config.toml").write_text(config)
    variables = {"HOME": str(home), "TRUSTREG_CONFIG": str(home / "config.toml"), **env}
    if registries_d:
        variables["TRUSTREG_REGISTRIES_D"] = str(registries_d)
    return Wiring({}, variables, lambda: datetime.now(UTC))


def where(wiring: Wiring, image: Reference = IMAGE) -> list[str]:
    return [place.where for place in wiring.signature_places(image)]


def written(wiring: Wiring, image: Reference = IMAGE) -> str:
    return wiring.default_place(image, Message).where


def test_nothing_is_set(tmp_path: Path, wiring: Wiring) -> None:
    """
    They are looked for in the registry, and where containers' tools keep them; a message has no place to go.
    """
    default = "/var/lib/containers/sigstore" if os.geteuid() == 0 else f"{tmp_path}/.local/share/containers/sigstore"

    assert where(wiring) == ["tag", f"lookaside:{default}", "referrers", "extension"]
    assert wiring.default_place(IMAGE, Detached).where == "tag"
    with pytest.raises(SettingError, match="nobody has said where") as failed:
        written(wiring)
    assert "registries.d" in failed.value.__notes__[0]


def test_places_by_name(tmp_path: Path, wiring: Wiring) -> None:
    """
    Each kind of place, by what it is called.
    """
    texts = (*ALL, f"lookaside:{tmp_path}", f"lookaside:file://{tmp_path}", "lookaside:https://s.example/s")
    found = [wiring.signature_place(IMAGE, text) for text in texts]

    assert [place.where for place in found] == [*ALL, *[f"lookaside:{tmp_path}"] * 2, "lookaside:https://s.example/s"]
    assert [place.holds for place in found] == [{Detached}, {Message, Detached}, *[{Message}] * 4]


@pytest.mark.parametrize(
    "text",
    ["", "tags", "tag:x", "lookaside:", "lookaside:https://", "lookaside:https://me@s.example", "lookaside:file:x",
     "lookaside:https://s.example/s?x", "lookaside:file://other.example/s", "s3://bucket", "lookaside:a\nb"],
)  # fmt: skip
def test_what_is_no_place(wiring: Wiring, text: str) -> None:
    """
    Is said to be none.
    """
    with pytest.raises(SettingError):
        wiring.signature_place(IMAGE, text)


def test_what_is_set_counts(tmp_path: Path, registries_d: Path) -> None:
    """
    In that order, and for what is written, too; folders are beside the file.
    """
    config = """
        [[registry]]
        match = "registry.example:5000/team"
        signatures = ["lookaside:signatures", "referrers"]
    """
    wiring = wired(tmp_path, registries_d, config)

    assert where(wiring) == [f"lookaside:{tmp_path}/signatures", "referrers"]
    assert written(wiring) == f"lookaside:{tmp_path}/signatures"
    assert wiring.default_place(IMAGE, Detached).where == "referrers"
    assert len(where(wiring, Reference.parse("registry.example:5000/other"))) == 4
    only = wired(tmp_path, registries_d, TRUSTREG_SIGNATURES="tag")
    assert where(only) == ["tag"]
    with pytest.raises(SettingError, match="takes such"):
        written(only)


# --- registries.d --------------------------------------------------------------------------------


SCOPES = """
default-docker:
  lookaside: file:///default
  lookaside-staging: file:///default-staging
docker:
  registry.example:5000:
    lookaside: https://host.example
  registry.example:5000/team:
    sigstore: https://team.example/below
    sigstore-staging: file:///team
  registry.example:5000/team/app:2.0:
    lookaside: file:///two
  "*.wild.example":
    lookaside: file:///wild
  quiet.example:
    use-sigstore-attachments: true
"""


@pytest.mark.parametrize(
    ("image", "read", "write"),
    [
        ("registry.example:5000/team/app:1.0", "https://team.example/below", "/team"),
        ("registry.example:5000/team/app:2.0", "/two", "/two"),
        ("registry.example:5000/team", "https://team.example/below", "/team"),
        ("registry.example:5000/teams/app", "https://host.example", "https://host.example"),
        ("registry.example:5000/other/app", "https://host.example", "https://host.example"),
        ("registry.example/team/app", "/default", "/default-staging"),
        ("a.b.wild.example/app", "/wild", "/wild"),
        ("quiet.example/app", "/default", "/default-staging"),
        ("alpine", "/default", "/default-staging"),
    ],
)
def test_the_most_specific_scope_that_says_something_counts(
    wiring: Wiring, registries_d: Path, image: str, read: str, write: str
) -> None:
    """
    As for containers' tools: the old names of the keys too, and staging before what is read.
    """
    (registries_d / "some.yaml").write_text(SCOPES)
    (registries_d / "no.yml").write_text("nonsense: [")

    assert where(wiring, Reference.parse(image))[1] == f"lookaside:{read}"
    assert written(wiring, Reference.parse(image)) == f"lookaside:{write}"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a": "docker: {x: {lookaside: file:///a}}", "b": "docker: {x: {lookaside: file:///a}}"}, "x is in"),
        ({"a": "default-docker: {lookaside: file:///a}", "b": "default-docker: {}"}, "default-docker is in"),
        ({"a": "docker: {x: {lookaside: file:///a}, x: {}}"}, "twice"),
        ({"a": "docker: {x: {lookasides: file:///a}}"}, "no key 'lookasides'"),
        ({"a": "dockers: {}"}, "no key 'dockers'"),
        ({"a": "docker: []"}, "a table"),
        ({"a": "docker: {x: text}"}, "a table"),
        ({"a": "docker: {'': {}}"}, "no name"),
        ({"a": "default-docker: {lookaside: 7}"}, "a URL"),
        ({"a": "default-docker: {lookaside: /srv}"}, "a URL"),
        ({"a": "default-docker: {lookaside: 's3://bucket'}"}, "a URL"),
        ({"a": "default-docker: {lookaside: 'file:srv'}"}, "file:///FOLDER"),
        ({"a": "["}, "YAML"),
    ],
)
def test_what_it_must_not_say(wiring: Wiring, registries_d: Path, files: dict[str, str], problem: str) -> None:
    """
    Nothing is merely passed over; it is said where it stands.
    """
    for name, text in files.items():
        (registries_d / f"{name}.yaml").write_text(text)
    with pytest.raises(SettingError, match=problem) as failed:
        where(wiring)
    assert "registries.d" in failed.value.source


def test_which_folder_is_read(tmp_path: Path, registries_d: Path) -> None:
    """
    The one that is named; else that of the user, if there is one, and then not that of the machine.
    """
    users = tmp_path / ".config/containers/registries.d"
    users.mkdir(parents=True)
    (users / "a.yaml").write_text("default-docker: {lookaside: 'file:///users'}")
    (registries_d / "a.yaml").write_text("default-docker: {lookaside: 'file:///named'}")

    assert written(wired(tmp_path, None)) == "lookaside:/users"
    assert written(wired(tmp_path, registries_d)) == "lookaside:/named"
    assert written(wired(tmp_path, None, f'registries_d = "{registries_d}"')) == "lookaside:/named"
    (registries_d / "a.yaml").chmod(0o666)
    with pytest.raises(FileError, match="anybody may write"):
        written(wired(tmp_path, registries_d))
    (registries_d / "a.yaml").unlink()
    (registries_d / "a.yaml").mkdir()
    with pytest.raises(FileError):
        written(wired(tmp_path, registries_d))


# --- registries.conf -----------------------------------------------------------------------------


def test_images_are_where_registries_conf_says(tmp_path: Path) -> None:
    """
    Unless we say where; what is blocked is not asked; and plain http stays for this machine.
    """
    conf = tmp_path / "registries.conf"
    conf.write_text(
        '[[registry]]\nprefix = "registry.example:5000"\nlocation = "there.example/x"\ninsecure = true\n'
        '[[registry]]\nlocation = "blocked.example"\nblocked = true\n'
    )
    wiring = wired(tmp_path, None, CONTAINERS_REGISTRIES_CONF=str(conf))
    place = wiring.registry_of(IMAGE.gun)._place(IMAGE)
    own = '[[registry]]\nmatch = "registry.example:5000"\nmirror = "mine.example"\n'
    mine = wired(tmp_path, None, own, CONTAINERS_REGISTRIES_CONF=str(conf)).registry_of(IMAGE.gun)

    assert (place.host, place.path) == ("there.example", "x/team/app")
    assert not wiring._located(IMAGE.gun).insecure_registry
    assert mine._place(IMAGE).host == "mine.example"
    with pytest.raises(SettingError, match="blocked"):
        wiring.registry_of(Reference.parse("blocked.example/app").gun)
