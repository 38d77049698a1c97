"""What Notary's own client was told holds for trustreg too, and never weakens what trustreg was told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.io.test_config import _certificate
from trustreg.errors import FileError, SettingError
from trustreg.io import config as configuration
from trustreg.io.config import Config, load
from trustreg.io.notaryconfig import NotaryConfig, read_notary_config
from trustreg.io.settings import Layer, Setting
from trustreg.io.tls import TlsFiles
from trustreg.names import Gun
from trustreg.verify.pinning import Pins

APP = Gun("registry.example/team/app")
KEY, OTHER = "ab" * 32, "cd" * 32
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave the files of this machine and user out."""
    monkeypatch.setattr(configuration, "MACHINE", str(tmp_path / "machine.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, nobody else's to write to, and return where; anything but text as JSON."""

    def write(content: object, name: str = "notary/config.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o600)
        return path

    return write


def told(path: Path, **flags: Any) -> Config:
    """Load what Notary's file *path* says, and *flags*."""
    return load({"notary_config": str(path), **flags}, {})


def sources(config: Config, gun: Gun | None = APP) -> dict[str, str]:
    return {row.name: row.source for row in config.explain(gun) if row.source != "default"}


FULL = {
    "trust_dir": "keys",
    "remote_server": {
        "url": "https://trust.example:4443/",
        "root_ca": "./pki/ca.pem",
        "tls_client_cert": "/abs/me.pem",
        "tls_client_key": "me.key",
        "skipTLSVerify": False,
    },
    "trust_pinning": {"certs": {"registry.example/team/app": [KEY]}, "disable_tofu": True},
}


# --- what it says -----------------------------------------------------------------------------------


def test_all_that_it_may_say(write: Write) -> None:
    """
    Where it goes, with paths from its own folder on; and who said it.
    """
    path = write(FULL)
    config = told(path)
    site = config.site(APP)

    assert config.files == (str(path),)
    assert config.trust_dir == f"{path.parent}/keys"
    assert site.server == "https://trust.example:4443"
    assert site.tls == TlsFiles(f"{path.parent}/pki/ca.pem", "/abs/me.pem", f"{path.parent}/me.key")
    assert site.registry_tls == TlsFiles()
    assert site.pins == Pins(first_use=False, also=Pins(keys=(KEY,), first_use=False))
    assert sources(config) == {
        "trust_dir": f"{path}: trust_dir",
        "notary_config": "--notary-config",
        "server": f"{path}: remote_server.url",
        "ca": f"{path}: remote_server.root_ca",
        "client.cert": f"{path}: remote_server.tls_client_cert",
        "client.key": f"{path}: remote_server.tls_client_cert",
        "first_use": f"{path}: trust_pinning.disable_tofu",
        "notary.pins.keys": f"{path}: trust_pinning.certs[registry.example/team/app]",
    }
    assert sources(config, None) == {
        **{name: place for name, place in sources(config).items() if name in {"trust_dir", "notary_config"}},
        "notary.trust_dir": f"{path}: trust_dir",
        "notary.server": f"{path}: remote_server.url",
        "notary.ca": f"{path}: remote_server.root_ca",
        "notary.client.cert": f"{path}: remote_server.tls_client_cert",
        "notary.client.key": f"{path}: remote_server.tls_client_cert",
        "notary.pins.keys": f"{path}: trust_pinning.certs[registry.example/team/app]",
        "notary.first_use": f"{path}: trust_pinning.disable_tofu",
    }


@pytest.mark.parametrize("content", [{}, {"trust_dir": "", "remote_server": {"root_ca": None, "url": ""}}])
def test_it_may_say_nothing(write: Write, content: object) -> None:
    """
    Nothing, or something empty, which is nothing to Notary's client.
    """
    assert told(write(content)).site(APP) == load({}, {}).site(APP)


def test_its_members_may_be_capitalised(write: Write) -> None:
    """
    They count for Notary's client however they are.
    """
    config = told(write({"Trust_Pinning": {"CERTS": {str(APP): [KEY]}, "Disable_TOFU": True}}))

    assert config.site(APP).pins == Pins(first_use=False, also=Pins(keys=(KEY,), first_use=False))


def test_remarks_are_passed_over(write: Write) -> None:
    """
    Members that look like none of its own, at all depths.
    """
    remarks = {"_comment": 1.5, "//": "why", "#": []}
    pinning = {**remarks, "certs": {str(APP): [KEY]}}

    assert told(write({**remarks, "log": {"level": 1}, "trust_pinning": pinning})).site(APP).pins.given


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "this is not JSON that can be used"),
        ("{} // remark", "this is not JSON that can be used"),
        ('{"a": 1, "a": 2}', "a member is there twice"),
        ('{"x": ' + "[" * 100_000, "this is not JSON that can be used"),
        ([], "it has to be an object"),
        ({"trust_pining": {}}, "'trust_pining': there is no such member; there are trust_dir, remote_server, trust_p"),
        ({"trust_pinning.certs": {}}, "there is no such member"),
        ({"pinning": {}}, "there is no such member"),
        ({"trust_pinning": {}, "TRUST_PINNING": {}}, "trust_pinning: it is there twice"),
        ({"remote_server": {"url": "trust.example"}}, "config.json: remote_server.url: "),
        ({"remote_server": {"tls_client_cert": "x"}}, "a client certificate and its key go together"),
        ({"remote_server": {"rootca": "x"}}, "'rootca': there is no such member"),
        ({"trust_pinning": []}, "trust_pinning: it has to be an object"),
        ({"trust_pinning": {"tofu": False}}, "trust_pinning.'tofu': there is no such member"),
        ({"trust_pinning": {"disable_tofu": "true"}}, "it has to be true or false, not text"),
        ({"trust_pinning": {"certs": [KEY]}}, "it has to be an object of names of collections"),
        ({"trust_pinning": {"certs": {"a/b": []}}}, "certs[a/b]: it names nothing"),
        ({"trust_pinning": {"certs": {"a/b": KEY}}}, "it has to be a list in brackets, not text"),
        ({"trust_pinning": {"certs": {"a/b": ["ab"]}}}, "'ab' is not a key id, 64 hex digits"),
        ({"trust_pinning": {"certs": {"a/B": [KEY], "a/b": [KEY]}}}, "does not tell this name from a/B"),
        ({"trust_pinning": {"ca": {"a/b": ["x"]}}}, "it has to be text in quotes, not a list"),
        ({"trust_pinning": {"ca": {"a/b": ""}}}, "ca[a/b]: it is empty"),
    ],
)
def test_what_cannot_be_meant(write: Write, content: object, problem: str) -> None:
    """
    Nothing among the pins is ever merely passed over.
    """
    path = write(content)

    with pytest.raises(SettingError) as caught:
        told(path)

    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_it_has_to_be_there_and_ours(write: Write, tmp_path: Path) -> None:
    """
    One that was named is never taken for an empty one, and one that anybody may write to vouches for nothing.
    """
    with pytest.raises(FileError, match="there is no such file") as caught:
        told(tmp_path / "none.json")
    assert caught.value.remedy == "--notary-config names it"
    path = write(FULL)
    path.chmod(0o666)
    with pytest.raises(FileError, match="anybody may write to it"):
        told(path)


def test_certificates_are_always_verified(write: Write) -> None:
    """
    ``skipTLSVerify`` changes nothing, and that is said, with what to do instead.
    """
    config = told(write({"remote_server": {"url": "https://trust.example", "skiptlsverify": True}}))

    assert config.notary
    assert [str(warning).partition(": ")[2] for warning in config.notary.warnings] == [
        "remote_server.skipTLSVerify: certificates are always verified; name the CA of the server in root_ca"
    ]
    assert config.site(APP).tls == TlsFiles()


# --- where it is looked for -------------------------------------------------------------------------


def test_a_flag_a_variable_and_a_file_may_name_it(write: Write) -> None:
    """
    In this order; a file of trustreg from its own folder on.
    """
    for name, server in (("a", "flag"), ("b", "variable"), ("c", "file")):
        write({"remote_server": {"url": f"https://{server}.example"}}, f"{name}.json")
    toml = write('notary_config = "c.json"\n', "config.toml")
    folder = toml.parent
    env = {"TRUSTREG_CONFIG": str(toml)}

    assert load({}, env).site(APP).server == "https://file.example"
    env["TRUSTREG_NOTARY_CONFIG"] = f"{folder}/b.json"
    assert load({}, env).site(APP).server == "https://variable.example"
    assert load({"notary_config": f"{folder}/a.json"}, env).site(APP).server == "https://flag.example"


def test_it_is_found_in_notarys_own_folder(write: Write, tmp_path: Path) -> None:
    """
    Pins that hold for Notary's client there hold for trustreg there; in no other folder.
    """
    write(FULL, ".notary/config.json")
    write(FULL, "trust/config.json")

    config = load({"trust_dir": str(tmp_path / ".notary")}, {})

    assert config.site(APP).pins.given
    assert config.trust_dir == str(tmp_path / ".notary")
    assert sources(config)["notary_config"] == "trust_dir"
    assert load({"trust_dir": str(tmp_path / "trust")}, {}).site(APP) == load({}, {}).site(APP)
    assert load({"trust_dir": str(tmp_path / "none" / ".notary")}, {}).site(APP) == load({}, {}).site(APP)


def test_its_folder_is_found_by_any_name(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    As ``.`` from inside, by a link to it, and as a link to elsewhere.
    """
    write(FULL, ".notary/config.json")
    write(FULL, "elsewhere/config.json")
    (tmp_path / "link").symlink_to(tmp_path / ".notary")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".notary").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / ".notary")

    for name in (".", str(tmp_path / "link"), str(tmp_path / "home" / ".notary")):
        assert load({"trust_dir": name}, {}).site(APP).pins.given


def test_one_that_is_named_stands_instead(write: Write, tmp_path: Path) -> None:
    """
    There are never two.
    """
    write(FULL, ".notary/config.json")
    other = write({}, "other.json")

    assert not told(other, trust_dir=str(tmp_path / ".notary")).site(APP).pins.given


# --- beside what trustreg was told ------------------------------------------------------------------


def test_trustreg_says_where_pins_of_both_hold(write: Write) -> None:
    """
    Server, certificates and folder of trustreg's own files win; of pins both have to be met; nobody may allow first use
    that another forbids.
    """
    notary = write(FULL)
    pki = write("", "ca.pem")
    toml = write(
        f"""
        notary_config = "{notary}"
        trust_dir = "/ours"
        [defaults]
        server = "https://ours.example"
        ca = "{pki}"
        first_use = true
        pins.keys = ["{OTHER}"]
        """,
        "config.toml",
    )
    config = load({}, {}, str(toml))
    site = config.site(APP)

    assert config.trust_dir == "/ours"
    assert site.server == "https://ours.example"
    assert site.tls == site.registry_tls == TlsFiles(ca=str(pki))
    assert site.pins == Pins(keys=(OTHER,), first_use=False, also=Pins(keys=(KEY,), first_use=False))
    assert config.site(Gun("registry.example/other")).pins == Pins(keys=(OTHER,), first_use=False)


@pytest.mark.parametrize(
    ("flags", "env"),
    [({"pin": (OTHER,)}, {"TRUSTREG_FIRST_USE": "true"}), ({}, {"TRUSTREG_PIN": OTHER, "TRUSTREG_FIRST_USE": "1"})],
)
def test_who_pins_by_hand_pins_alone(write: Write, flags: dict[str, Any], env: dict[str, str]) -> None:
    """
    As with trustreg's own files.
    """
    config = load({"notary_config": str(write(FULL)), **flags}, env)

    assert config.site(APP).pins == Pins(keys=(OTHER,), first_use=True)


def test_its_certificates_are_for_its_server(write: Write) -> None:
    """
    They are shown to no other, and vouch for no other; if it names no server, they are for whichever is asked.
    """
    path = write(FULL)
    unnamed = {key: value for key, value in FULL["remote_server"].items() if key != "url"}  # type: ignore[attr-defined]

    assert told(path, server="https://trust.example:4443").site(APP).tls.ca
    assert told(path, server="https://other.example").site(APP).tls == TlsFiles()
    assert told(write({"remote_server": unnamed}), server="https://other.example").site(APP).tls.ca


def test_a_collection_in_a_store_is_none_of_its_business(write: Write, tmp_path: Path) -> None:
    """
    Roots there have no certificates that it could pin.
    """
    site = told(write(FULL), store=f"dir:{tmp_path}/{{gun}}").site(APP)

    assert (site.pins, site.tls) == (Pins(), TlsFiles())


def test_a_pinned_authority_is_read(write: Write) -> None:
    """
    When its collection is asked for, from its file; an unreadable one is said with who named it.
    """
    text, der = _certificate("ca")
    pem = write(text, "ca.pem")
    path = write({"trust_pinning": {"ca": {"registry.example/": str(pem), "": "none.pem"}}})

    assert told(path).site(APP).pins.also == Pins(authorities=(der,))
    with pytest.raises(FileError) as caught:
        told(path).site(Gun("other.example/app"))
    assert caught.value.remedy == f"{path}: trust_pinning.ca[].authorities names it"


# --- which pins are for a collection ----------------------------------------------------------------


def as_notary_does(gun: str, keys: dict[str, str], authorities: dict[str, str]) -> str | None:
    """Find the pins as ``trustpinning/trustpin.go`` does, with names as Viper hands them over."""
    lowered = {name.lower(): value for name, value in keys.items()}
    if gun in lowered:
        return lowered[gun]
    longest, found = "", None
    for name, value in lowered.items():
        if name.endswith("*") and gun.startswith(name[:-1]) and len(name) > len(longest):
            longest, found = name, value
    if found is not None:
        return found
    longest = ""
    for name, value in ((name.lower(), value) for name, value in authorities.items()):
        if gun.startswith(name) and len(name) >= len(longest):
            longest, found = name, value
    return found


def config_of(keys: dict[str, str], authorities: dict[str, str]) -> NotaryConfig:
    def table(names: dict[str, str]) -> dict[str, Setting]:
        return {name: Setting("pins", value, "") for name, value in names.items()}

    return NotaryConfig("", Layer({}), None, table(keys), table(authorities), None, ())


NAMES = st.text("aB/", max_size=4)
STARRED = st.builds(lambda name, star: name + star, NAMES, st.sampled_from(["", "*"]))


def named(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Give tables whose names differ in more than their case."""
    return st.lists(names, max_size=5, unique_by=str.lower).map(lambda found: {name: name for name in found})


@given(st.text("ab/", min_size=1, max_size=5), named(STARRED), named(NAMES))
def test_pins_are_found_as_notary_finds_them(gun: str, keys: dict[str, str], authorities: dict[str, str]) -> None:
    """
    The exact name, the longest beginning with a star, the longest beginning of a CA; whatever the order of the file.
    """
    found = config_of(keys, authorities).pins(gun)

    assert as_notary_does(gun, keys, authorities) == (found and found.value)


@given(st.text("aB/", min_size=1, max_size=5), named(STARRED), named(NAMES))
def test_a_name_with_capitals_finds_its_own(gun: str, keys: dict[str, str], authorities: dict[str, str]) -> None:
    """
    What Notary's client would find, or something that names more of it.
    """
    found = config_of(keys, authorities).pins(gun)
    theirs = as_notary_does(gun, keys, authorities)

    assert found is not None or theirs is None
    if gun in keys:
        assert found
        assert found.value == gun


def test_an_absent_file_is_none(tmp_path: Path) -> None:
    """
    To the reader itself.
    """
    assert read_notary_config(str(tmp_path / "config.json")) is None
