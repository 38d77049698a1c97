"""Whatever is wrong with a configuration is said in one sentence that names the file, the table and the key."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.errors import FileError, SettingError
from trustreg.io import files, settings
from trustreg.io.config import load
from trustreg.names import Gun

KEY = "ab" * 32


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        # unknown keys
        ("trustdir = 'x'", "trustdir", "there is no such key; did you mean trust_dir?"),
        (
            "quite_else = 1",
            "quite_else",
            "there is no such key; there are defaults, notary_config, policy, registries_d, registry, trust_dir",
        ),
        ("[default]", "default", "there is no such key; did you mean defaults?"),
        ("[defaults]\nserve = 'x'", "defaults.serve", "there is no such key; did you mean server?"),
        ("[defaults]\nfirst-use = false", "defaults.first-use", "there is no such key; did you mean first_use?"),
        (
            "[[registry]]\nmatch = 'a.example'\npin = {}",
            "registry[a.example].pin",
            "there is no such key; did you mean pins?",
        ),
        ("[defaults]\npins = { key = [] }", "defaults.pins.key", "there is no such key; did you mean keys?"),
        ("[defaults]\nclient = { crt = '' }", "defaults.client.crt", "there is no such key; did you mean cert?"),
        ("[defaults]\nmatch = 'a.example'", "defaults.match", None),
        ('[defaults]\n"\\u001b[31m" = 1', "defaults.'\\x1b[31m'", None),
        # kinds
        ("trust_dir = 1", "trust_dir", "it has to be text in quotes, not a number"),
        ("trust_dir = ['x']", "trust_dir", "it has to be text in quotes, not a list"),
        ("defaults = 1", "defaults", "it has to be a table, not a number"),
        ("[registry]\nmatch = 'x'", "registry", "it has to be a list in brackets, not a table"),
        ("registry = ['x']", "registry[#1]", "it has to be a table: write [[registry]]"),
        ("[defaults]\nserver = true", "defaults.server", "it has to be text in quotes, not true or false"),
        ("[defaults]\nserver = 2026-01-01", "defaults.server", "it has to be text in quotes, not a date or time"),
        ("[defaults]\nfirst_use = 'no'", "defaults.first_use", "it has to be true or false, not text"),
        ("[defaults]\nfirst_use = 0", "defaults.first_use", "it has to be true or false, not a number"),
        ("[defaults]\nroles = 'targets'", "defaults.roles", "it has to be a list in brackets, not text"),
        ("[defaults]\nroles = [1.5]", "defaults.roles", "it has to be text in quotes, not a number"),
        ("[defaults]\npins = ['x']", "defaults.pins", "it has to be a table, not a list"),
        ("[defaults]\nclient = 'x'", "defaults.client", "it has to be a table, not text"),
        ("[defaults]\noffline_grace = 36", "defaults.offline_grace", "it has to be text in quotes, not a number"),
        ("[defaults]\nprevious = 1", "defaults.previous", "it has to be a table, not a number"),
        (
            "[defaults]\nprevious = { server = 'https://a.example' }",
            "defaults.previous",
            "until is missing: say until when the word of the other collection counts",
        ),
        (
            "[defaults]\nprevious = { until = 2027-01-31 }",
            "defaults.previous",
            "it has to name the server or the store of the other collection, one of the two",
        ),
        (
            "[defaults]\nprevious = { until = 2027-01-31, server = 'https://a.example', store = 'oci:' }",
            "defaults.previous",
            "it has to name the server or the store of the other collection, one of the two",
        ),
        (
            "[defaults]\nprevious = { until = 7, store = 'oci:' }",
            "defaults.previous.until",
            "it has to be a day or a time, not a number",
        ),
        (
            "[defaults]\nprevious = { until = 'soon', store = 'oci:' }",
            "defaults.previous.until",
            "'soon' is not a day, as 2027-01-31, or a time, as 2027-01-31T12:00:00Z",
        ),
        (
            "[defaults]\nprevious = { till = 2027-01-31 }",
            "defaults.previous.till",
            "there is no such key; did you mean until?",
        ),
        # values
        ("trust_dir = ''", "trust_dir", "it is empty"),
        ('trust_dir = "a\\u0000b"', "trust_dir", "it holds a character that cannot be seen"),
        ("[defaults]\nroles = []", "defaults.roles", "it names nothing; leave the key out"),
        ("[defaults]\nroles = ['targets', 'targets']", "defaults.roles", "targets is listed twice"),
        ("[defaults]\nroles = ['root']", "defaults.roles", None),
        ("[defaults]\npins = {}", "defaults.pins", "it pins nothing; leave the key out"),
        ("[defaults]\npins.keys = []", "defaults.pins.keys", "it names nothing; leave the key out"),
        ("[defaults]\npins.keys = ['abcd']", "defaults.pins.keys", "'abcd' is not a key id, 64 hex digits"),
        (
            f"[defaults]\npins.keys = ['{KEY}', '{KEY.upper()}']",
            "defaults.pins.keys",
            f"{KEY} is listed twice",
        ),
        (
            "[defaults]\nclient = { cert = 'x' }",
            "defaults.client",
            "key is missing; a certificate and its key go together",
        ),
        ("[defaults]\nserver = 'trust.example'", "defaults.server", "it has to be an absolute http or https URL"),
        ("[defaults]\nserver = 'ftp://trust.example'", "defaults.server", None),
        ("[defaults]\nserver = 'https://'", "defaults.server", None),
        ("[defaults]\nserver = 'https://t.example:x'", "defaults.server", None),
        ("[defaults]\nserver = 'https://t.example?'", "defaults.server", "the address of a trust server has no query"),
        ("[defaults]\nserver = 'https://t.example#x'", "defaults.server", None),
        ("[defaults]\nserver = 'https://me:s3cret@t.example'", "defaults.server", "credentials do not belong in a URL"),
        *(
            (
                f"[defaults]\noffline_grace = '{text}'",
                "defaults.offline_grace",
                "it has to be a number and its unit, 90s, 15m, 36h or 7d, and a year at most",
            )
            for text in ("36", "h", "-1h", "1.5h", "1h30m", "1 h", "1w", "367d", "99999999d", "9" * 30 + "s", "\uff11h")
        ),
        ("[defaults]\nrealms = ['login.example/x']", "defaults.realms", None),
        ("[defaults]\nrealms = ['https://login.example']", "defaults.realms", None),
        # match and mirror
        (
            "[[registry]]",
            "registry[#1].match",
            "it is missing: say which registry, or which part of one, this entry is for",
        ),
        ("[[registry]]\nmatch = 1", "registry[#1].match", "it has to be text in quotes, not a number"),
        ("[[registry]]\nmatch = '*'", "registry[#1].match", "what holds for every registry belongs in [defaults]"),
        (
            "[[registry]]\nmatch = 'team/app'",
            "registry[#1].match",
            "'team/app' does not begin with the host of a registry; Docker Hub's is docker.io",
        ),
        (
            "[[registry]]\nmatch = 'a.example/app:1.0'",
            "registry[#1].match",
            "'a.example/app:1.0' has a tag or digest, and here is about repositories",
        ),
        ("[[registry]]\nmatch = 'https://a.example'", "registry[#1].match", None),
        ("[[registry]]\nmatch = 'a.example/'", "registry[#1].match", None),
        ("[[registry]]\nmatch = 'a.*.example'", "registry[#1].match", None),
        ("[[registry]]\nmatch = 'a.example/*'", "registry[#1].match", None),
        ("[[registry]]\nmatch = 'a.example:port'", "registry[#1].match", None),
        ("[[registry]]\nmatch = 'a.example/../b'", "registry[#1].match", None),
        (
            "[[registry]]\nmatch = 'a.example'\n[[registry]]\nmatch = 'A.example'",
            "registry[#2].match",
            "there is an entry for a.example already",
        ),
        ("[[registry]]\nmatch = 'a.example'\nserved_as = '*.example'", "registry[a.example].served_as", None),
        (
            "[[registry]]\nmatch = '*.example'\nserved_as = 'b.example'",
            "registry[*.example].served_as",
            "many hosts have no name in common: name one host in match",
        ),
        ("[[registry]]\nmatch = 'a.example'\nmirror = '*.example'", "registry[a.example].mirror", None),
        ("[[registry]]\nmatch = 'a.example'\nmirror = 'http://b.example'", "registry[a.example].mirror", None),
        (
            "[[registry]]\nmatch = '*.example'\nmirror = 'b.example'",
            "registry[*.example].mirror",
            "many hosts have no mirror in common: name one host in match",
        ),
    ],
)
def test_a_fault_names_its_place(tmp_path: Path, text: str, place: str, problem: str | None) -> None:
    """
    Whether or not the setting is one that would be used.
    """
    path = _write(tmp_path, text)

    with pytest.raises(SettingError) as refused:
        load({}, {}, str(path))

    assert refused.value.source == f"{path}: {place}"
    assert problem in {None, refused.value.problem}
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTREG_SERVER", "trust.example"),
        ("TRUSTREG_PIN", "abcd"),
        ("TRUSTREG_PIN", " "),
        ("TRUSTREG_FIRST_USE", "perhaps"),
        ("TRUSTREG_ROLES", "targets root"),
        ("TRUSTREG_OFFLINE_GRACE", "soon"),
    ],
)
def test_a_fault_in_a_variable(name: str, value: str) -> None:
    """
    The variable is named; the same value on the command line names the option.
    """
    with pytest.raises(SettingError) as refused:
        load({}, {name: value})
    assert refused.value.source == name


def test_a_home_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    ``~`` of a user without a home, or of nobody, is an error and not a folder of that name.
    """
    with pytest.raises(SettingError, match="no home folder is known for ~nobody-of-that-name"):
        load({"trust_dir": "~nobody-of-that-name/trust"}, {})


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        (b"[defaults]\nserver = \n", 2, "this is not TOML: invalid value"),
        (b"[defaults]\nserver = 'x'\nserver = 'y'\n", 3, "this is not TOML: cannot overwrite a value"),
        (b"[defaults\n\n", 1, None),
        (b"\n\n[defaults]\nroles = [", 4, "this is not TOML: invalid value"),
        (b"# caf\xc3\xa9\nx = '\xff'", 2, "it is not UTF-8 text"),
        (b"x = 2026-13-45", 1, None),
        (b"x = '''\n\n", 1, None),
        (b"x = " + b"9" * 5000, None, "a number in it is too long"),
        (b"['a (at end of document)']\n['a (at end of document)']", 2, None),
        (b"x = " + b"[" * 5000, None, "it is nested too deeply"),
        (b"x = 1\r\n\x00", 2, None),
    ],
)
def test_what_is_not_toml(tmp_path: Path, raw: bytes, line: int | None, problem: str | None) -> None:
    """
    The line is named where the parser knows it, as editors and compilers write it.
    """
    path = _write(tmp_path, raw)

    with pytest.raises(SettingError) as refused:
        load({}, {}, str(path))

    assert refused.value.source == (f"{path}:{line}" if line else str(path))
    assert problem in {None, refused.value.problem}
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=60) | st.text(alphabet="[]{}='\"\\\n.#, 1atruefls-:", max_size=60).map(str.encode))
def test_any_bytes_are_a_configuration_or_a_setting_error(raw: bytes) -> None:
    """
    Nothing else escapes.
    """
    with suppress(SettingError):
        tuple(settings._layers(settings._parse("file", raw), settings._Place("file", Path())))


# --- files that cannot be used -----------------------------------------------------------------------------------


def test_a_file_that_anybody_may_write_to(tmp_path: Path) -> None:
    """
    It could say anything by now; the remedy is a command.
    """
    path = _write(tmp_path, "")
    path.chmod(0o602)

    with pytest.raises(FileError, match="anybody may write to it") as refused:
        load({}, {}, str(path))
    assert refused.value.remedy == f"chmod o-w {path}"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """
    A folder, a pipe, a broken path: said at once, without waiting.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, problem in (
        (tmp_path, "it is a folder, not a file"),
        (pipe, "it is a pipe, not a file"),
        (_write(tmp_path, "") / "x", "a part of its path is not a folder"),
    ):
        with pytest.raises(FileError) as refused:
            load({}, {}, str(path))
        assert problem == refused.value.problem


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    """
    One MiB is a limit, not a suggestion.
    """
    assert load({}, {}, str(_write(tmp_path, b"#" * (1 << 20)))).files
    with pytest.raises(FileError, match="longer than the 1048576 bytes"):
        load({}, {}, str(_write(tmp_path, b"#" * (1 << 20) + b"#")))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A configuration that cannot be read is not the absence of one.
    """
    path = _write(tmp_path, "")

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")  # root would be let in

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileError, match="permission denied"):
        load({}, {}, str(path))


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Reading and looking at its mode are two steps; between them it may go.
    """
    path = _write(tmp_path, "")

    def read_and_remove(at: Path, limit: int) -> bytes | None:
        raw = files.read_if_present(at, limit)
        at.unlink()
        return raw

    monkeypatch.setattr(settings, "read_if_present", read_and_remove)
    with pytest.raises(FileError):
        load({}, {}, str(path))


def test_a_link_is_followed(tmp_path: Path) -> None:
    """
    Mounted configurations are links; paths in them are relative to the folder that was named.
    """
    real = tmp_path / "real"
    real.mkdir()
    _write(real, "[defaults]\nca = 'ca.pem'")
    link = tmp_path / "config.toml"
    link.symlink_to(real / "config.toml")

    assert load({}, {}, str(link)).site(Gun("registry.example/app")).tls.ca == f"{tmp_path}/ca.pem"


def _write(folder: Path, content: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return path
