"""Credentials are found as Docker, podman and Kubernetes leave them, and never shown."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from trustreg.errors import FileError, HelperError, SettingError, TrustregError
from trustreg.io.docker import Credential, DockerCredentials

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def login(password: str = SECRET, user: str = "bob") -> dict[str, str]:
    return {"auth": b64(f"{user}:{password}")}


def found(home: Path, config: dict[str, Any], host: str, path: str = "", **env: str) -> Credential | None:
    (home / ".docker").mkdir(parents=True, exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps(config))
    return DockerCredentials(env, str(home)).find(host, path)


def password(credential: Credential | None) -> str | None:
    return credential.password if credential else None


def helper(folder: Path, name: str, script: str) -> str:
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_nothing_is_nothing(tmp_path: Path) -> None:
    """No file, no login; and no error."""
    assert DockerCredentials({}, str(tmp_path)).find("a.org") is None
    assert DockerCredentials({}, str(tmp_path)).trust_server("a.org") is None
    assert DockerCredentials({}, str(tmp_path)).headers() == {}


@pytest.mark.parametrize(
    ("entry", "want"),
    [
        (login(), ("bob", SECRET, "", "")),
        (login("a:b"), ("bob", "a:b", "", "")),
        ({"auth": b64("bob:pw\0\0")}, ("bob", "pw", "", "")),
        ({"username": "bob", "password": SECRET}, ("bob", SECRET, "", "")),
        ({"auth": b64("0000:"), "identitytoken": SECRET}, ("0000", "", SECRET, "")),
        ({"registrytoken": SECRET}, ("", "", "", SECRET)),
    ],
)
def test_an_entry_has_many_forms(tmp_path: Path, entry: dict[str, str], want: tuple[str, ...]) -> None:
    """All that docker login and cloud tools have written."""
    got = found(tmp_path, {"auths": {"a.org": entry}}, "a.org")

    assert got is not None
    assert want == got[2:]
    assert got.host == "a.org"


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("a.org:5000", "a.org:5000"),
        ("https://a.org", "a.org"),
        ("https://a.org/v1/", "a.org"),
        ("a.org/v2/", "a.org"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_keys_are_spelled_in_many_ways(tmp_path: Path, key: str, host: str) -> None:
    """Old versions wrote URLs, and Docker Hub has its own."""
    assert password(found(tmp_path, {"auths": {key: login()}}, host)) == SECRET


def test_no_key_is_a_string_prefix(tmp_path: Path) -> None:
    """Neither of a host nor of a path, and a port is part of the host."""
    config = {"auths": {"a.org/team": login()}}

    assert password(found(tmp_path, config, "a.org", "team")) == SECRET
    assert password(found(tmp_path, config, "a.org", "team/app")) == SECRET
    assert found(tmp_path, config, "a.org", "teams/app") is None
    assert found(tmp_path, config, "a.org", "te") is None
    assert found(tmp_path, config, "a.org.evil.org", "team") is None
    assert found(tmp_path, {"auths": {"a.org": login()}}, "a.org:5000") is None


def test_the_longest_path_wins(tmp_path: Path) -> None:
    """And a key spelled as a host beats one spelled as a URL."""
    config = {
        "auths": {
            "a.org": login("host"),
            "a.org/x": login("x"),
            "a.org/x/y": login("xy"),
            "https://a.org": login("url"),
        }
    }

    assert [password(found(tmp_path, config, "a.org", path)) for path in ["x/y/z", "x/z", "w", ""]] == [
        "xy",
        "x",
        "host",
        "host",
    ]


def test_files_are_read_in_order(tmp_path: Path) -> None:
    """Each place is asked when those before have nothing; REGISTRY_AUTH_FILE is the only one when set."""
    env = {"DOCKER_CONFIG": str(tmp_path / "d"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    places = {
        "docker": tmp_path / "d/config.json",
        "runtime": tmp_path / "run/containers/auth.json",
        "config": tmp_path / ".config/containers/auth.json",
    }
    for name, path in places.items():
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"auths": {"a.org": login(name)}}))
    (tmp_path / "only.json").write_text(json.dumps({"auths": {"b.org": login("only")}}))
    variable = json.dumps({"auths": {"a.org": login("variable")}})

    def ask(host: str = "a.org", **more: str) -> str | None:
        return password(DockerCredentials({**env, **more}, str(tmp_path)).find(host))

    assert ask(DOCKER_AUTH_CONFIG=variable) == "variable"
    assert ask("b.org", REGISTRY_AUTH_FILE=str(tmp_path / "only.json")) == "only"
    assert ask(REGISTRY_AUTH_FILE=str(tmp_path / "only.json")) is None
    for name, path in places.items():
        assert ask() == name
        path.unlink()
    assert ask() is None


# --- helpers -----------------------------------------------------------------------------------


def test_a_helper_for_the_host_comes_first(tmp_path: Path) -> None:
    """Then the one for all, then the file itself; a helper that has nothing is no end."""
    path = helper(tmp_path / "bin", "one", """echo '{"Username":"u","Secret":"one"}'""")
    helper(tmp_path / "bin", "all", """echo '{"Username":"u","Secret":"all"}'""")
    helper(tmp_path / "bin", "none", "echo credentials not found in native keychain; exit 1")
    auths = {"a.org": login("file"), "b.org": {}}
    config = {"credHelpers": {"a.org": "one", "c.org": "none"}, "credsStore": "all", "auths": auths}

    assert password(found(tmp_path, config, "a.org", PATH=path)) == "one"
    assert password(found(tmp_path, config, "b.org", PATH=path)) == "all"
    assert found(tmp_path, config, "c.org", PATH=path) is None
    assert password(found(tmp_path, {**config, "credHelpers": {}, "credsStore": "none"}, "a.org", PATH=path)) == "file"


@pytest.mark.parametrize(
    ("host", "asked"), [("a.org:5000", "a.org:5000"), ("docker.io", "https://index.docker.io/v1/")]
)
def test_a_helper_is_told_the_host(tmp_path: Path, host: str, asked: str) -> None:
    """On stdin; Docker Hub under its historical name."""
    path = helper(tmp_path / "bin", "x", """read h; test "$1" = get; printf '{"Username":"u","Secret":"%s"}' "$h" """)

    assert password(found(tmp_path, {"credsStore": "x"}, host, PATH=path)) == asked


def test_a_helper_gets_no_secret_of_ours(tmp_path: Path) -> None:
    """It runs in our environment, less what opens keys and trust servers."""
    path = helper(
        tmp_path / "bin", "x", """printf '{"Username":"u","Secret":"%s"}' "$NOTARY_AUTH$TRUSTREG_PASSPHRASE$A" """
    )
    secrets = {"NOTARY_AUTH": "no", "TRUSTREG_PASSPHRASE": "no", "A": "yes"}

    assert password(found(tmp_path, {"credsStore": "x"}, "a.org", PATH=path, **secrets)) == "yes"


def test_a_helper_may_return_an_identity_token(tmp_path: Path) -> None:
    """The user <token> means that the secret is one."""
    path = helper(tmp_path / "bin", "x", """echo '{"Username":"<token>","Secret":"t"}'""")
    got = found(tmp_path, {"credsStore": "x"}, "a.org", PATH=path)

    assert got == Credential("a.org", "docker-credential-x", identity_token="t")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (f'echo \'{{"Username":"{SECRET}"}}\'', "not JSON with"),
        (f"echo {SECRET}", "not JSON with"),
        ("echo [1]", "not JSON with"),
        ("echo the keychain is locked >&2; exit 1", "the keychain is locked"),
        ("exit 3", "ended with 3"),
        ("sleep 20", "no answer within"),
    ],
)
def test_a_helper_that_fails_says_so(tmp_path: Path, script: str, problem: str) -> None:
    """Nothing it printed is repeated unless it was an error."""
    path = helper(tmp_path / "bin", "x", script)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"credsStore":"x"}')

    with pytest.raises(HelperError, match=problem) as caught:
        DockerCredentials({"PATH": path}, str(tmp_path), helper_timeout=0.5).find("a.org")

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "a/b", "", 3, "-x"])
def test_a_helper_is_a_name_and_not_a_path(tmp_path: Path, name: Any) -> None:
    """What stands in the file cannot run another program."""
    with pytest.raises(SettingError, match=r"config\.json: credHelpers\.a\.org: this is not the name"):
        found(tmp_path, {"credHelpers": {"a.org": name}}, "a.org", PATH="/bin")


def test_a_helper_that_is_missing_is_a_setting(tmp_path: Path) -> None:
    """With the program's name."""
    with pytest.raises(SettingError, match="docker-credential-gone is not installed"):
        found(tmp_path, {"credsStore": "gone"}, "a.org", PATH=str(tmp_path))


# --- what is broken ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("{", "config.json"),
        ("[]", "config.json"),
        ('{"auths":[1]}', "auths"),
        ('{"credHelpers":"x"}', "credHelpers"),
        ('{"auths":{"a.org":"x"}}', "auths.a.org"),
        (f'{{"auths":{{"a.org":{{"auth":"{SECRET}!"}}}}}}', "auths.a.org.auth"),
        (f'{{"auths":{{"a.org":{{"auth":"{b64(SECRET)}"}}}}}}', "auths.a.org.auth"),
        (f'{{"auths":{{"a.org":{{"auth":"{b64(":" + SECRET)}"}}}}}}', "auths.a.org.auth"),
        ('{"auths":{"a.org":{"identitytoken":1}}}', "auths.a.org.identitytoken"),
        (f'{{"auths":{{"a.org":{{"auth":{SECRET}', "config.json"),
    ],
)
def test_a_broken_file_is_named_with_the_member(tmp_path: Path, text: str, member: str) -> None:
    """And nothing of what stands there, not even behind the error."""
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(text)

    with pytest.raises(SettingError) as caught:
        DockerCredentials({}, str(tmp_path)).find("a.org")

    assert caught.value.source.endswith(member)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


def test_a_file_has_a_size_and_a_kind(tmp_path: Path) -> None:
    """Neither endless files nor folders are read."""
    (tmp_path / ".docker/config.json").mkdir(parents=True)
    with pytest.raises(FileError, match="folder"):
        DockerCredentials({}, str(tmp_path)).find("a.org")
    (tmp_path / "big").write_bytes(b" " * (5 << 20))
    with pytest.raises(FileError, match="longer"):
        DockerCredentials({"REGISTRY_AUTH_FILE": str(tmp_path / "big")}, str(tmp_path)).find("a.org")


def test_an_empty_file_is_no_file(tmp_path: Path) -> None:
    """Containers mount them as placeholders."""
    (tmp_path / "empty").write_text(" \n")

    assert DockerCredentials({"REGISTRY_AUTH_FILE": str(tmp_path / "empty")}, str(tmp_path)).find("a.org") is None


def test_secrets_are_not_shown() -> None:
    """Not by repr, which ends in logs and tracebacks."""
    shown = repr(Credential("a.org", "file", "bob", SECRET, SECRET, SECRET))

    assert SECRET not in shown
    assert "bob" in shown


# --- the rest ----------------------------------------------------------------------------------


def test_notary_auth_is_for_trust_servers(tmp_path: Path) -> None:
    """base64 of user:password, or a setting that is wrong."""
    keyring = DockerCredentials({"NOTARY_AUTH": b64(f"bob:{SECRET}")}, str(tmp_path))

    assert keyring.trust_server("n.org:4443") == Credential("n.org:4443", "NOTARY_AUTH", "bob", SECRET)
    for wrong in (SECRET, b64(SECRET)):
        with pytest.raises(SettingError, match="NOTARY_AUTH") as caught:
            DockerCredentials({"NOTARY_AUTH": wrong}, str(tmp_path)).trust_server("n.org")
        assert wrong not in str(caught.value)


def test_headers_are_sent_along_but_not_the_protocol_s(tmp_path: Path) -> None:
    """HttpHeaders may add, never redefine."""
    config = {"HttpHeaders": {"X-Meta-Team": "a", "Host": "evil", "AUTHORIZATION": "x", "User-Agent": "y"}}
    found(tmp_path, config, "a.org")

    assert DockerCredentials({}, str(tmp_path)).headers() == {"X-Meta-Team": "a"}


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A B": "c"}, {"A": 1}, {"": "x"}])
def test_headers_cannot_smuggle(tmp_path: Path, headers: dict[str, Any]) -> None:
    """A line break in a value would be another header."""
    found(tmp_path, {"HttpHeaders": headers}, "a.org")

    with pytest.raises(TrustregError, match="HttpHeaders"):
        DockerCredentials({}, str(tmp_path)).headers()
