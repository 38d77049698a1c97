"""Every value comes from the place that has the most right to it, and says which that was."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from platformdirs import user_config_path, user_data_path

from trustreg.errors import FileError, SettingError
from trustreg.io import config as configuration
from trustreg.io.config import Config, load
from trustreg.io.tls import TlsFiles
from trustreg.names import Gun, Reference
from trustreg.policy import InCollection
from trustreg.verify.pinning import Pins
from trustreg.verify.workflow import RELEASED
from trustreg.wire import Wiring

APP = Gun("registry.example/team/app")
KEY, OTHER = "ab" * 32, "cd" * 32

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration file, nobody else's to write to, and return where."""

    def write(text: str, name: str = "config.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def read(write: Write) -> Callable[[str], Config]:
    """Load a text as the only configuration file."""
    return lambda text: load({}, {}, str(write(text)))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the machine's file be one of ours."""
    path = tmp_path / "etc/config.toml"
    monkeypatch.setattr(configuration, "MACHINE", str(path))
    return path


def source(config: Config, name: str, gun: Gun = APP) -> str:
    return next(row.source for row in config.explain(gun) if row.name == name)


# --- without a file ----------------------------------------------------------------------------------------------


def test_nothing_is_set() -> None:
    """
    Without any file, flag or variable trustreg asks whom Docker would ask, and believes what Docker would.
    """
    site = load({}, {}).site(APP)

    assert site._asdict() == {
        "store": None,
        "server": "https://registry.example",
        "served_as": APP,
        "named_server": False,
        "insecure_server": False,
        "registry": "registry.example",
        "repository": "team/app",
        "insecure_registry": False,
        "tls": TlsFiles(),
        "registry_tls": TlsFiles(),
        "pins": Pins(first_use=True),
        "roles": RELEASED,
        "offline_grace": timedelta(0),
        "realms": (),
        "lookaside_ends_at_403": False,
    }


@pytest.mark.parametrize(
    ("gun", "server"),
    [
        ("docker.io/library/alpine", "https://notary.docker.io"),
        ("registry.example:5000/app", "https://registry.example:5000"),
        ("localhost/app", "https://localhost"),
        ("[::1]:5000/app", "https://[::1]:5000"),
    ],
)
def test_the_default_server_is_dockers(gun: str, server: str) -> None:
    """
    Docker Hub has a trust server of its own; every other registry is asked itself.
    """
    assert server == load({}, {}).site(Gun(gun)).server


@pytest.mark.parametrize("gun", ["scripts", "team/app", "x.y@evil.example/app", "registry.example:x/app"])
def test_a_name_without_a_host_has_no_default_server(gun: str) -> None:
    """
    Collections may be named freely; those that name no host need a server that somebody names.
    """
    with pytest.raises(SettingError, match="name its trust server with --server"):
        load({}, {}).site(Gun(gun))
    assert load({"server": "https://trust.example"}, {}).site(Gun(gun)).server == "https://trust.example"
    assert load({}, {}).explain(Gun(gun))


def test_the_default_folders_are_those_of_platformdirs() -> None:
    """
    Files go where the platform keeps a user's files; never among Docker's.
    """
    config = load({}, {})

    assert str(user_data_path("trustreg")) == config.trust_dir
    assert str(user_config_path("trustreg") / "config.toml") == config.path
    assert config.files == ()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In a container a user may have no home: trustreg says so where it matters, and works where it does not.
    """
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    config = load({}, {})

    assert config.path is None
    assert config.site(APP).server == "https://registry.example"
    assert config.explain()[0].value is None
    with pytest.raises(SettingError, match="HOME: no home folder is known"):
        _ = config.trust_dir
    assert load({"trust_dir": "/trust"}, {}).trust_dir == "/trust"


# --- flag, variable, file, default -------------------------------------------------------------------------------

FILE = f"""
trust_dir = "trust"

[[registry]]
match = "registry.example"
server = "https://file.example"
ca = "file.pem"
pins = {{ keys = ["{KEY}"] }}
first_use = false
roles = ["targets/file"]
offline_grace = "3h"
"""
SPOKEN: dict[str, tuple[str, Any, str, str, Any, Any]] = {
    # setting: flag, its value, variable, its value, then what they come to
    "trust_dir": ("trust_dir", "flag", "TRUSTREG_TRUST_DIR", "variable", "flag", "variable"),
    "server": (
        "server", "https://flag.example", "TRUSTREG_SERVER", "https://variable.example",
        "https://flag.example", "https://variable.example",
    ),
    "ca": ("ca", "flag.pem", "TRUSTREG_CA", "variable.pem", "flag.pem", "variable.pem"),
    "pins": ("pin", (OTHER,), "TRUSTREG_PIN", f"{KEY.upper()} {OTHER}", (OTHER,), (KEY, OTHER)),
    "first_use": ("first_use", False, "TRUSTREG_FIRST_USE", "true", False, True),
    "roles": ("roles", ("targets",), "TRUSTREG_ROLES", "targets/a targets", ("targets",), ("targets/a", "targets")),
    "offline_grace": ("offline_grace", "1h", "TRUSTREG_OFFLINE_GRACE", "2m", "1h", "2m"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOKEN)
def test_a_flag_wins_over_a_variable_over_a_file(write: Write, name: str) -> None:
    """
    For every setting that can be said in all three places.
    """
    flag, said, variable, said_there, from_flag, from_variable = SPOKEN[name]
    path = str(write(FILE))
    row = "pins.keys" if name == "pins" else name

    def found(flags: dict[str, Any], env: dict[str, str]) -> tuple[Any, str]:
        rows = load(flags, env, path).explain(APP)
        return next((setting.value, setting.source) for setting in rows if setting.name == row)

    flags, env = {flag: said}, {variable: said_there}
    option = {"roles": "--role", "first_use": "--no-first-use"}.get(flag, f"--{flag.replace('_', '-')}")
    assert found(flags, env) == (from_flag, option)
    assert found({flag: None}, env) == (from_variable, variable)
    place = f"{path}: {name}" if name == "trust_dir" else f"{path}: registry[registry.example].{name}"
    assert found({}, {variable: ""})[1] == place


def test_a_flag_that_was_not_given_is_none_or_empty(write: Write) -> None:
    """
    What click hands over for options nobody used changes nothing, nor do options that are no settings.
    """
    path = str(write(FILE))
    flags = {"server": None, "pin": (), "roles": (), "first_use": None, "verbose": False, "passphrase_file": "x"}

    assert load({}, {}, path).site(APP) == load(flags, {}, path).site(APP)


def test_an_empty_flag_is_an_error() -> None:
    """
    ``--server "$UNSET"`` was meant to name a server: the default is not what was meant.
    """
    with pytest.raises(SettingError, match="--server: it is empty"):
        load({"server": ""}, {})


def test_dockers_variable_means_what_it_means_to_docker() -> None:
    """
    It names one server for everything, https only, and our own variable comes before it.
    """
    docker = {"DOCKER_CONTENT_TRUST_SERVER": "https://docker.example/"}

    assert load({}, docker).site(APP).server == "https://docker.example"
    assert load({}, docker).site(APP).named_server
    assert source(load({}, docker), "server") == "DOCKER_CONTENT_TRUST_SERVER"
    assert load({}, {**docker, "TRUSTREG_SERVER": "https://ours.example"}).site(APP).server == "https://ours.example"
    for server in ("http://localhost:4443", "localhost:4443", "nonsense"):
        env = {"DOCKER_CONTENT_TRUST_SERVER": server}
        with pytest.raises(SettingError, match="DOCKER_CONTENT_TRUST_SERVER: it has to be an"):
            load({}, env)
        assert load({"server": "https://flag.example"}, env).site(APP).server == "https://flag.example"


def test_docker_content_trust_off_changes_nothing() -> None:
    """
    ``DOCKER_CONTENT_TRUST=0`` is about Docker's own pull.
    """
    assert load({}, {}) == load({}, {"DOCKER_CONTENT_TRUST": "0"})


# --- which file --------------------------------------------------------------------------------------------------


def test_the_users_file_stands_above_the_machines(home: Path, write: Write, machine: Path) -> None:
    """
    Specificity decides first, then whose file it is; a key that only one has is found there.
    """
    user = home / ".config/trustreg/config.toml"
    write(
        """
        [defaults]
        server = "https://machine-default.example"
        offline_grace = "1d"
        [[registry]]
        match = "registry.example"
        server = "https://machine.example"
        roles = ["targets/machine"]
        [[registry]]
        match = "registry.example/team"
        first_use = false
        """,
        str(machine),
    )
    write(
        """
        [defaults]
        server = "https://user-default.example"
        first_use = true
        [[registry]]
        match = "registry.example"
        roles = ["targets/user"]
        """,
        str(user),
    )
    config = load({}, {})
    site = config.site(APP)

    assert config.files == (str(user), str(machine))
    assert config.path == str(user)
    assert site.roles == ("targets/user",)
    assert (site.server, source(config, "server")) == (
        "https://machine.example",
        f"{machine}: registry[registry.example].server",
    )
    assert (site.pins.first_use, source(config, "first_use")) == (
        False,
        f"{machine}: registry[registry.example/team].first_use",
    )
    assert site.offline_grace == timedelta(days=1)
    assert source(config, "offline_grace") == f"{machine}: defaults.offline_grace"
    assert config.site(Gun("other.example/app")).server == "https://user-default.example"


def test_a_file_that_is_named_is_the_only_one(home: Path, write: Write, machine: Path) -> None:
    """
    ``--config`` wins over ``TRUSTREG_CONFIG``, either over what would be looked for; it has to be there.
    """
    for path in (home / ".config/trustreg/config.toml", machine):
        write("[defaults]\nfirst_use = false", str(path))
    flag, variable = str(write("", "flag.toml")), str(write("", "variable.toml"))
    env = {"TRUSTREG_CONFIG": variable}

    assert load({}, env, flag).files == (flag,)
    assert load({}, env).files == (variable,)
    assert load({}, env).site(APP).pins.first_use
    assert load({}, {"TRUSTREG_CONFIG": ""}).path == str(home / ".config/trustreg/config.toml")
    for flags, named in (({}, "absent.toml"), ({"TRUSTREG_CONFIG": "absent.toml"}, None)):
        with pytest.raises(FileError, match=r"absent\.toml: there is no such file"):
            load({}, flags, named)
    with pytest.raises(FileError):
        load({}, env, "")


# --- which entry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "gun", "covered"),
    [
        ("registry.example", "registry.example/a", True),
        ("registry.example", "registry.example:443/a", False),
        ("registry.example", "registry.example.evil/a", False),
        ("registry.example", "sub.registry.example/a", False),
        ("registry.example", "REGISTRY.example/a", True),
        ("Registry.Example/a", "registry.example/a", True),
        ("registry.example/team", "registry.example/team", True),
        ("registry.example/team", "registry.example/team/app", True),
        ("registry.example/team", "registry.example/teams", False),
        ("registry.example/team", "registry.example/Team", False),
        ("registry.example/team/app", "registry.example/team", False),
        ("*.example.com", "a.example.com/x", True),
        ("*.example.com", "a.b.example.com/x", True),
        ("*.example.com", "example.com/x", False),
        ("*.example.com", "aexample.com/x", False),
        ("*.example.com", "a.example.com:5000/x", False),
        ("*.example.com:5000", "a.example.com:5000/x", True),
        ("*.example.com/team", "a.example.com/team/x", True),
        ("*.example.com/team", "a.example.com/x", False),
        ("index.docker.io/library", "docker.io/library/alpine", True),
        ("localhost", "localhost/x", True),
        ("[::1]:5000", "[::1]:5000/x", True),
    ],
)
def test_a_match_covers_whole_components(read: Callable[[str], Config], match: str, gun: str, covered: bool) -> None:
    """
    Never the beginning of a component, nor a host that merely ends alike.
    """
    config = read(f'[[registry]]\nmatch = "{match}"\nfirst_use = false')

    assert covered is not config.site(Gun(gun)).pins.first_use


@given(st.permutations(["defaults", "*.com", "*.example.com", "*.example.com/a", "r.example.com", "r.example.com/a/b"]))
def test_the_most_specific_entry_wins_in_any_order(order: list[str]) -> None:
    """
    The order in the file says nothing: a host wins over a ``*``, then the longer domain, then the longer path.
    """
    from trustreg.io import settings

    entries = [{"match": match, "server": f"https://{number}.example"} for number, match in enumerate(order)]
    table = {"registry": [entry for entry in entries if entry["match"] != "defaults"]}
    layers = sorted(
        settings._layers(table, settings._Place("file", Path())), key=lambda layer: layer.specificity, reverse=True
    )
    config = Config(path=None, files=(), layers=tuple(layers))

    def winner(gun: str) -> str:
        return order[int(config.site(Gun(gun)).server.removeprefix("https://").partition(".")[0])]

    assert winner("r.example.com/a/b/c") == "r.example.com/a/b"
    assert winner("r.example.com/a") == "r.example.com"
    assert winner("s.example.com/a") == "*.example.com/a"
    assert winner("s.example.com/b") == "*.example.com"
    assert winner("s.r.com/b") == "*.com"


def test_a_key_that_an_entry_lacks_comes_from_the_next(read: Callable[[str], Config]) -> None:
    """
    Key by key, down to the defaults; each says where it is from.
    """
    config = read("""
        [defaults]
        realms = ["login.example"]
        roles = ["targets/default"]
        [[registry]]
        match = "registry.example"
        server = "https://trust.example/prefix/"
        roles = ["targets/registry"]
        [[registry]]
        match = "registry.example/team"
        offline_grace = "90m"
    """)
    site, file = config.site(APP), config.files[0]

    assert site.offline_grace == timedelta(minutes=90)
    assert site.server == "https://trust.example/prefix"
    assert site.roles == ("targets/registry",)
    assert site.realms == ("login.example",)
    assert [(row.name, row.value, row.source) for row in config.explain(APP)] == [
        ("trust_dir", str(user_data_path("trustreg")), "default"),
        ("server", "https://trust.example/prefix", f"{file}: registry[registry.example].server"),
        ("store", None, "default"),
        ("mirror", "registry.example/team/app", "default"),
        ("insecure_server", False, "default"),
        ("insecure_registry", False, "default"),
        ("ca", None, "default"),
        ("client", None, "default"),
        ("pins", None, "default"),
        ("first_use", True, "default"),
        ("roles", ("targets/registry",), f"{file}: registry[registry.example].roles"),
        ("offline_grace", "90m", f"{file}: registry[registry.example/team].offline_grace"),
        ("realms", ("login.example",), f"{file}: defaults.realms"),
        ("previous", None, "default"),
        ("signatures", ("tag", "lookaside", "referrers", "extension"), "default"),
        ("lookaside_ends_at_403", False, "default"),
    ]


def test_all_that_was_set(read: Callable[[str], Config], write: Write) -> None:
    """
    Asked of no collection in particular, the configuration lists what anybody said, the strongest first.
    """
    path = str(write(FILE))
    rows = load({"pin": (OTHER,)}, {"TRUSTREG_SERVER": "https://t.example"}, path).explain()

    assert [(row.name, row.source) for row in rows] == [
        ("trust_dir", f"{path}: trust_dir"),
        ("pins.keys", "--pin"),
        ("server", "TRUSTREG_SERVER"),
        *(
            (
                f"registry[registry.example].{name}{'.keys' * (name == 'pins')}",
                f"{path}: registry[registry.example].{name}",
            )
            for name in ("server", "ca", "pins", "first_use", "roles", "offline_grace")
        ),
    ]


# --- pins --------------------------------------------------------------------------------------------------------


def test_pins_are_one_value(read: Callable[[str], Config], write: Write) -> None:
    """
    Pins of a less specific entry, or of a file where a flag pins, must not widen what is accepted.
    """
    authority, der = _certificate("ca")
    write(authority, "ca.pem")
    text = f"""
        [[registry]]
        match = "registry.example"
        pins = {{ authorities = ["ca.pem"] }}
        first_use = false
        [[registry]]
        match = "registry.example/team"
        pins.keys = ["{KEY}"]
    """
    config = read(text)

    assert config.site(APP).pins == Pins(keys=(KEY,), first_use=False)
    assert config.site(Gun("registry.example/x")).pins == Pins(authorities=(der,), first_use=False)
    pinned = load({"pin": (OTHER,)}, {}, config.files[0])
    assert pinned.site(Gun("registry.example/x")).pins == Pins(keys=(OTHER,), first_use=False)


def test_pinned_certificates_are_read_whole(read: Callable[[str], Config], write: Write, home: Path) -> None:
    """
    All certificates of a file count, paths are relative to the configuration, ``~`` is the home directory.
    """
    (one, one_der), (two, two_der), (three, three_der) = (_certificate(name) for name in ("one", "two", "three"))
    write(f"comment\n{one}\n{two}", "pki/two.pem")
    write(three, str(home / "three.pem"))
    site = read("""
        [defaults.pins]
        certificates = ["pki/two.pem"]
        authorities = ["~/three.pem"]
    """).site(APP)

    assert site.pins == Pins(certificates=(one_der, two_der), authorities=(three_der,))


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificates(read: Callable[[str], Config], write: Write, content: str) -> None:
    """
    A pin that holds nothing is an error, not no pin; other collections do not mind.
    """
    pem = write(content, "bad.pem")
    config = read('[[registry]]\nmatch = "registry.example"\npins.authorities = ["bad.pem"]')

    with pytest.raises(SettingError) as refused:
        config.site(APP)
    where = f"{config.files[0]}: registry[registry.example].pins.authorities"
    assert str(refused.value) == f"{where}: {pem} holds no certificate in PEM form that can be read"
    assert config.site(Gun("other.example/app"))


def test_a_pinned_file_that_is_absent_or_anybodys(read: Callable[[str], Config], write: Write) -> None:
    """
    The error names the file and, as a remedy, the place that names it.
    """
    config = read('[defaults]\npins.certificates = ["root.pem"]')

    with pytest.raises(FileError, match=r"root\.pem: there is no such file") as absent:
        config.site(APP)
    assert absent.value.remedy == f"{config.files[0]}: defaults.pins.certificates names it"
    write(_certificate("root")[0], "root.pem").chmod(0o666)
    with pytest.raises(FileError, match="anybody may write to it"):
        config.site(APP)


# --- plain http --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:4443", "127.0.0.1", "127.1.2.3:80", "[::1]:4443"])
def test_plain_http_on_this_machine(host: str) -> None:
    """
    Nobody is in between: trust server and registry may be asked without TLS.
    """
    site = load({"server": f"http://{host}"}, {}).site(Gun("localhost:5000/app"))

    assert (f"http://{host.removesuffix(':80')}", True, True) == (
        site.server,
        site.insecure_server,
        site.insecure_registry,
    )


def test_plain_http_elsewhere_has_to_be_marked(write: Write) -> None:
    """
    The refusal names whoever named the server; what is marked insecure is insecure, what is not is not.
    """
    path = str(
        write("""
        [[registry]]
        match = "lab.example"
        server = "http://trust.lab.example"
        [[registry]]
        match = "lab.example/marked"
        insecure_server = true
        insecure_registry = true
        [[registry]]
        match = "localhost:5000"
        server = "http://localhost:4443"
        insecure_server = false
        insecure_registry = false
    """)
    )
    config = load({}, {}, path)
    marked = config.site(Gun("lab.example/marked/app"))

    assert ("http://trust.lab.example", True, True) == (marked.server, marked.insecure_server, marked.insecure_registry)
    for gun in ("lab.example/app", "localhost:5000/app"):
        with pytest.raises(SettingError, match=r"\.server: plain http is for this machine only"):
            config.site(Gun(gun))
    for flags, env, blamed in (
        ({"server": "http://127.0.0.1.evil.example"}, {}, "--server"),
        ({}, {"TRUSTREG_SERVER": "http://localhost.evil.example"}, "TRUSTREG_SERVER"),
    ):
        with pytest.raises(SettingError, match=f"{blamed}: plain http"):
            load(flags, env, path).site(APP)
        assert load(flags, env, path).explain(APP)


# --- mirrors -----------------------------------------------------------------------------------------------------

MIRRORS = """
[[registry]]
match = "docker.io"
mirror = "mirror.example:5000/hub"
[[registry]]
match = "docker.io/team"
first_use = false
[[registry]]
match = "docker.io/team/deep"
mirror = "deep.example"
[[registry]]
match = "old.example"
mirror = "localhost:5000"
"""


@pytest.mark.parametrize(
    ("gun", "registry", "repository"),
    [
        ("docker.io/library/alpine", "mirror.example:5000", "hub/library/alpine"),
        ("docker.io/team/app", "mirror.example:5000", "hub/team/app"),
        ("docker.io/team/deep/app", "deep.example", "app"),
        ("old.example/app", "localhost:5000", "app"),
        ("registry.example/app", "registry.example", "app"),
    ],
)
def test_a_mirror_takes_the_place_of_what_its_entry_matches(
    read: Callable[[str], Config], gun: str, registry: str, repository: str
) -> None:
    """
    Images are asked for there; the collection keeps its name, and a name of the mirror leads back to it.
    """
    config = read(MIRRORS)
    site = config.site(Gun(gun))
    domain, _, path = gun.partition("/")

    assert (registry, repository) == (site.registry, site.repository)
    assert config.logical(Gun(f"{registry}/{repository}")) == Gun(gun)
    copy = Reference(domain=registry, path=repository, tag="1.0")
    assert config.logical(copy) == Reference(domain=domain, path=path, tag="1.0")


def test_the_trust_server_may_know_it_by_another_name(read: Callable[[str], Config]) -> None:
    """
    Only the server: the collection keeps its name, and so do its images.
    """
    config = read('[[registry]]\nmatch = "old.example"\nserver = "https://t.example"\nserved_as = "new.example/old"')
    site, other = config.site(Gun("old.example/app")), config.site(Gun("another.example/app"))

    assert (site.served_as, site.registry) == (Gun("new.example/old/app"), "old.example")
    assert other.served_as == Gun("another.example/app")
    assert config.logical(Gun("new.example/old/app")) == Gun("new.example/old/app")
    assert [row.value for row in config.explain(Gun("old.example/app")) if row.name == "served_as"] == [
        "new.example/old/app"
    ]


def test_insecure_is_who_is_really_asked(read: Callable[[str], Config]) -> None:
    """
    The default for plain http looks at the mirror, not at the name.
    """
    assert read(MIRRORS).site(Gun("old.example/app")).insecure_registry
    assert not read(MIRRORS).site(Gun("docker.io/library/alpine")).insecure_registry


@pytest.mark.parametrize("name", ["mirror.example:5000/hubs/a", "mirror.example/hub/a", "registry.example/a"])
def test_what_is_no_copy_keeps_its_name(read: Callable[[str], Config], name: str) -> None:
    """
    Component by component here too.
    """
    reference = Reference.parse(f"{name}:1.0")

    assert reference == read(MIRRORS).logical(reference)


def test_a_copy_of_either_of_two(read: Callable[[str], Config]) -> None:
    """
    Where the mirror's name does not say whose copy it is, trustreg does not guess; a longer mirror does say.
    """
    config = read("""
        [[registry]]
        match = "one.example"
        mirror = "mirror.example"
        [[registry]]
        match = "two.example"
        mirror = "mirror.example"
        [[registry]]
        match = "three.example"
        mirror = "mirror.example/three"
    """)

    with pytest.raises(SettingError, match=r"mirror.example/a: .* one.example/a or of two.example/a: say which"):
        config.logical(Gun("mirror.example/a"))
    assert config.logical(Gun("mirror.example/three/a")) == Gun("three.example/a")


# --- the rest ----------------------------------------------------------------------------------------------------


def test_paths_are_relative_to_who_names_them(read: Callable[[str], Config], tmp_path: Path, home: Path) -> None:
    """
    In a file to its folder, on the command line to where the command runs; ``~`` is the home directory anywhere.
    """
    config = read("""
        trust_dir = "~/trust"
        [defaults]
        ca = "pki/ca.pem"
        client = { cert = "/abs/me.pem", key = "me.key" }
    """)
    site = config.site(APP)

    assert config.trust_dir == f"{home}/trust"
    assert site.tls == site.registry_tls == (f"{tmp_path}/pki/ca.pem", "/abs/me.pem", f"{tmp_path}/me.key")
    assert load({"ca": "ca.pem"}, {"TRUSTREG_TRUST_DIR": "~/t"}).site(APP).tls.ca == "ca.pem"
    assert load({}, {"TRUSTREG_TRUST_DIR": "~/t"}).trust_dir == f"{home}/t"


@pytest.mark.parametrize(
    ("text", "span", "shown"),
    [
        ("0s", timedelta(0), "0s"),
        ("90s", timedelta(seconds=90), "90s"),
        ("15m", timedelta(minutes=15), "15m"),
        ("36h", timedelta(hours=36), "36h"),
        ("48h", timedelta(days=2), "2d"),
        ("366d", timedelta(days=366), "366d"),
    ],
)
def test_durations(text: str, span: timedelta, shown: str) -> None:
    """
    A number and its unit; shown in the largest unit that fits.
    """
    config = load({"offline_grace": text}, {})

    assert span == config.site(APP).offline_grace
    assert shown == next(row.value for row in config.explain(APP) if row.name == "offline_grace")


@pytest.mark.parametrize(("word", "truth"), [("1", True), ("Yes", True), ("on", True), ("FALSE", False), ("0", False)])
def test_a_variable_that_is_true_or_false(word: str, truth: bool) -> None:
    """
    The usual words in any case.
    """
    assert truth is load({}, {"TRUSTREG_FIRST_USE": word}).site(APP).pins.first_use


def _certificate(name: str) -> tuple[str, bytes]:
    """Return a self-signed certificate as PEM and DER."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), certificate.public_bytes(Encoding.DER)


# --- the collection before ----------------------------------------------------------------------------------------


def previous(config: Config, gun: Gun = APP) -> tuple[configuration.Site, datetime]:
    """Give the settings of the collection before, and until when its word counts."""
    found = config.previous(gun)
    assert found
    return found[0].site(gun), found[1]


def test_the_collection_before_has_its_own_place_and_pins(read: Callable[[str], Config]) -> None:
    """
    What it takes to believe the one in use says nothing of it; roles and the mirror hold for both.
    """
    config = read(f"""
        [[registry]]
        match = "registry.example"
        store = "dir:/srv/trust"
        roles = ["targets/registry"]
        pins = {{ keys = ["{KEY}"] }}
        mirror = "mirror.example"
        previous = {{ server = "https://notary.example", until = 2027-03-31, pins = {{ keys = ["{OTHER}"] }} }}
    """)
    site, until = previous(config)

    assert (site.store, site.server, site.named_server) == (None, "https://notary.example", True)
    assert (site.pins.keys, site.roles, site.registry) == ((OTHER,), ("targets/registry",), "mirror.example")
    assert until == datetime(2027, 3, 31, tzinfo=UTC)
    assert config.site(APP).pins.keys == (KEY,)
    assert config.previous(Gun("other.example/app")) is None
    rows = {row.name: row.value for row in config.explain(APP) if row.name.startswith("previous")}
    assert rows == {
        "previous.server": "https://notary.example",
        "previous.until": "2027-03-31T00:00:00Z",
        "previous.pins.keys": (OTHER,),
    }


def test_without_pins_of_its_own_it_has_none(read: Callable[[str], Config]) -> None:
    """
    But who believes nothing at first sight does not begin to.
    """
    config = read(f"""
        [defaults]
        server = "https://trust.example"
        insecure_server = true
        first_use = false
        pins = {{ keys = ["{KEY}"] }}
        [defaults.previous]
        store = "https://old.example/team"
        until = "2027-03-31T12:00:00+02:00"
    """)
    site, until = previous(config)

    assert (site.pins.given, site.pins.first_use, site.insecure_server) == (False, False, False)
    assert str(site.store) == "https://old.example/team"
    assert until == datetime(2027, 3, 31, 10, tzinfo=UTC)
    found = config.previous(APP)
    assert found
    assert found[0].previous(APP) is None


def test_a_flag_says_nothing_of_the_collection_before(write: Write) -> None:
    """
    It names a place, or pins the root of one.
    """
    text = '[defaults.previous]\nserver = "https://notary.example"\nuntil = 2027-03-31T00:00:00Z'
    config = load({"pin": (KEY,), "store": "dir:/srv/trust"}, {}, str(write(text)))

    site, _ = previous(config)
    assert (site.server, site.store, site.pins.keys) == ("https://notary.example", None, ())


@pytest.mark.parametrize("flag", [{"pin": (KEY,)}, {"server": "https://trust.example"}, {"store": "dir:/srv/trust"}])
def test_who_names_one_collection_is_told_of_that_one(write: Write, flag: dict[str, Any]) -> None:
    """
    A root that is pinned with an option is not vouched for by another one, which may not even be pinned.
    """
    path = str(write('[defaults.previous]\nserver = "https://notary.example"\nuntil = 2027-03-31T00:00:00Z'))
    before = {"HOME": "/home/ann", "TRUSTREG_SERVER": "https://other.example"}

    assert Wiring({**flag, "config": path}, before, lambda: datetime.now(UTC))._previous(APP) is None
    assert Wiring({"config": path}, before, lambda: datetime.now(UTC))._previous(APP) is not None


@pytest.mark.parametrize(
    ("flag", "pins"),
    [({"pin": (KEY,)}, ()), ({"server": "https://trust.example"}, ()), ({"store": "dir:/srv/trust"}, ()), ({}, (KEY,))],
)
def test_whom_a_policy_pins_nobody_stands_in_for(write: Write, flag: dict[str, Any], pins: tuple[str, ...]) -> None:
    """
    Nor for whom an option names while a policy decides: the collection before has another root, pinned or not.
    """
    path = str(write('[defaults.previous]\nserver = "https://notary.example"\nuntil = 2027-03-31T00:00:00Z'))
    wiring = Wiring({**flag, "config": path}, {"HOME": "/home/ann"}, lambda: datetime.now(UTC))
    plain = Wiring({"config": path}, {"HOME": "/home/ann"}, lambda: datetime.now(UTC))

    assert wiring._reader(InCollection(path="", pins=pins), Path("p"))._previous(APP) is None
    assert plain._reader(InCollection(path=""), Path("p"))._previous(APP) is not None


@pytest.mark.parametrize("place", [{}, {"server": "https://trust.example"}], ids=["here", "elsewhere"])
def test_a_policy_allows_no_first_use_that_is_forbidden(write: Write, tmp_path: Path, place: dict[str, str]) -> None:
    """
    With --no-first-use, and where a file says so, nobody is believed for coming first, whatever the policy says.
    """
    leaf = InCollection(path="", first_use=True, **place)  # type: ignore[arg-type]
    path = str(write('[[registry]]\nmatch = "registry.example"\nfirst_use = false'))
    for flags, gun, expected in (
        ({}, Gun("other.example/app"), True),
        ({}, APP, False),
        ({"first_use": False}, Gun("other.example/app"), False),
    ):
        said = {**flags, "config": path, "trust_dir": str(tmp_path)}
        wiring = Wiring(said, {"HOME": str(tmp_path)}, lambda: datetime.now(UTC))
        assert wiring._reader(leaf, Path("p"))._sites(gun).pins.first_use is expected
        assert wiring._reader(replace(leaf, first_use=False), Path("p"))._sites(gun).pins.first_use is False


def test_what_notarys_client_was_told_is_of_the_collection_before(write: Write, tmp_path: Path) -> None:
    """
    Whose client it is.
    """
    write(f'{{"trust_pinning": {{"certs": {{"{APP}": ["{OTHER}"]}}}}}}', "notary.json")
    config = load(
        {},
        {},
        str(
            write(f"""
        notary_config = "{tmp_path}/notary.json"
        [[registry]]
        match = "registry.example"
        store = "dir:/srv/trust"
        previous = {{ server = "https://notary.example", until = 2027-03-31 }}
    """)
        ),
    )
    site, _ = previous(config)

    assert site.pins.also
    assert site.pins.also.keys == (OTHER,)
    assert config.site(APP).pins.also is None


def test_what_a_server_calls_a_collection_is_its_own_word(read: Callable[[str], Config]) -> None:
    """
    And not that of the one before.
    """
    config = read("""
        [[registry]]
        match = "registry.example"
        server = "https://trust.example"
        served_as = "copies.example/registry"
        previous = { server = "https://notary.example", until = 2027-03-31 }
    """)

    assert previous(config)[0].served_as == APP
    assert config.site(APP).served_as == Gun("copies.example/registry/team/app")
