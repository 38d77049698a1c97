"""Real servers with one fault each: the finding says which, and what to do about it."""

from __future__ import annotations

import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from scripts.push_image import push
from tests.cli.conftest import PASSPHRASE
from tests.io.rogue import Rogue, Tunnel, reply
from tests.peers import Authority, docker_registry, image, notary_server, trustreg_serve, write_docker_config
from tests.peers.command import clean_env
from tests.peers.nginx import nginx
from trustreg import Publisher
from trustreg.doctor import FAILED, OK, UNKNOWN, WARNING
from trustreg.examining import Examiner
from trustreg.io import probe
from trustreg.io.probe import Patience
from trustreg.names import Reference
from trustreg.sign import keyfile
from trustreg.wire import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.peers import KeyPair, Peer, RegistryPeer
    from trustreg.doctor import Finding, Report

REGISTRY: dict[str, Any] = {"docker_distribution_api_version": "registry/2.0"}
USUAL, HASTE = Patience(5, 5, 20), Patience(5, 5, 0.7)


def now() -> str:
    """Give the time as HTTP has it."""
    return format_datetime(datetime.now(UTC), usegmt=True)


def good(_: object) -> bytes:
    """Answer as a registry that is well."""
    return reply(200, b"{}", date=now(), **REGISTRY)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give the CA that is known here."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def locked() -> Iterator[RegistryPeer]:
    """A registry that wants a login, with the image team/app:1.0."""
    with docker_registry(htpasswd={"bob": "s3cret"}) as peer:
        push(image("1.0"), peer.url, "team/app", "1.0", login=("bob", "s3cret"))
        yield peer


@pytest.fixture(scope="module")
def trust() -> Iterator[Peer]:
    """A trust server."""
    with trustreg_serve() as peer:
        yield peer


class Here:
    """A machine that may be somewhat broken."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = clean_env(HOME=str(home))
        self.flags: dict[str, Any] = {"trust_dir": str(home / "trust")}
        self.clock: Callable[[], datetime] = partial(datetime.now, UTC)

    def examine(self, *targets: str, patience: Patience = USUAL, uploads: bool = False, **names: list[str]) -> Report:
        """Examine *targets*; *names* are addresses of names, which are otherwise unknown."""

        def look_up(host: str, port: int) -> list[Any]:
            if host.startswith("127."):
                return probe.look_up(host, port)
            if host.partition(".")[0] not in names:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, 1, 6, "", (address, port)) for address in names[host.partition(".")[0]]]

        wiring = Wiring(self.flags, self.env, self.clock)
        wanted = [target if "://" in target else Reference.parse(target) for target in targets]
        return Examiner(wiring, patience, look_up, uploads=uploads).examine(wanted)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    """Give a machine with nothing on it."""
    return Here(tmp_path)


def found(report: Report, what: str = "") -> dict[str, Finding]:
    """Give the findings by code, of all servers or only *what*."""
    return {
        each.code: each
        for part in report.parts
        for each in part.findings
        if part.what == what or (not what and part.what != "this machine")
    }


def speaking(pair: KeyPair) -> ssl.SSLContext:
    """Give what a server with this certificate speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


# --- names and addresses -----------------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve_is_said(here: Here) -> None:
    """
    And that nothing more was looked at.
    """
    report = here.examine("https://trust.example")

    assert report.verdict == FAILED
    assert [each.code for each in report.parts[1].findings] == ["asked", "unresolved", "skipped"]
    assert "does not resolve: Name or service not known" in str(found(report)["unresolved"])
    assert "/etc/resolv.conf" in str(found(report)["unresolved"].remedy)


def test_a_resolver_that_hangs_does_not_hold_us(here: Here) -> None:
    """
    The time is up, and that is the finding.
    """

    def look_up(_host: str, _port: int) -> list[Any]:
        time.sleep(3)
        return []

    wiring = Wiring(here.flags, here.env, here.clock)
    report = Examiner(wiring, Patience(0.1, 1, 1), look_up).examine(["https://trust.example"])

    assert "no answer within 0.1 s" in str(found(report)["unresolved"])


def test_one_broken_server_of_several_is_found(here: Here, authority: Authority) -> None:
    """
    The others do what they should, so that it is only now and then that somebody notices.
    """
    here.flags["ca"] = str(authority.ca_file)
    with Rogue(good, speaking(authority.issue("several", "trust.example"))) as server:
        report = here.examine(f"https://trust.example:{server.port}", trust=["127.0.0.1", "127.0.0.2"])
    codes = found(report)

    assert report.verdict == FAILED
    assert str(codes["resolved"]) == "trust.example is 127.0.0.1, 127.0.0.2"
    assert codes["connected"].facts["at"] == codes["tls"].facts["at"] == ["127.0.0.1"]
    assert str(codes["refused"]) == f"127.0.0.2 refuses connections at port {server.port}: nothing listens there"
    assert "take the address out of the DNS" in str(codes["refused"].remedy)
    assert "open" in codes


def test_all_may_be_broken(here: Here) -> None:
    """
    Then nothing else is looked at.
    """
    codes = found(here.examine("https://trust.example:9", trust=["127.0.0.1", "127.0.0.2"]))

    assert {"asked", "resolved", "refused", "unreachable", "skipped"} == codes.keys()
    assert codes["refused"].facts["at"] == ["127.0.0.1", "127.0.0.2"]


def test_an_address_without_a_way_is_only_a_warning(here: Here) -> None:
    """
    Many machines have no IPv6, and many names have.
    """
    with Rogue(good) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert "unroutable" not in found(here.examine(url))
        near = found(here.examine(f"http://localhost:{server.port}", localhost=["127.0.0.1", "127.0.0.2"]))
    far = found(here.examine("https://trust.example:9", trust=["255.255.255.255"]))

    assert "refused" not in near  # who listens on this machine need not do so everywhere
    assert (far["unroutable"].status, far["unreachable"].status) == (WARNING, FAILED)
    assert "check its routes" in str(far["unroutable"].remedy)


# --- TLS ---------------------------------------------------------------------------------------------------------

SOON, PAST = datetime.now(UTC) + timedelta(days=10, hours=1), datetime.now(UTC) - timedelta(days=2)
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...], str, str, str]] = {
    "expired": (
        {"ends": PAST},
        ("127.0.0.1",),
        "certificate-expired",
        f"the certificate of 127.0.0.1 has expired at {PAST:%Y-%m-%dT%H:%M:%SZ}",
        "have trustreg tests",
    ),
    "soon to expire": (
        {"ends": SOON},
        ("127.0.0.1",),
        "certificate-expires",
        "the certificate of 127.0.0.1 expires in 10 days",
        "have it renewed before then",
    ),
    "not valid yet": (
        {"begins": SOON},
        ("127.0.0.1",),
        "certificate-not-yet-valid",
        "and not yet",
        "check this machine's clock first",
    ),
    "for others": (
        {},
        ("trust.example", "127.0.0.9"),
        "certificate-name",
        "127.0.0.1 shows a certificate for trust.example, 127.0.0.9, and not for 127.0.0.1",
        "subjectAltName 127.0.0.1",
    ),
    "by its common name only": (
        {"common_name": "127.0.0.1"},
        (),
        "certificate-common-name",
        "the common name (CN) 127.0.0.1 alone is not accepted",
        "it needs a certificate with the subjectAltName 127.0.0.1",
    ),
    "a link is missing": (
        {"between": True, "whole": False},
        ("127.0.0.1",),
        "certificate-chain-incomplete",
        "127.0.0.1 sends 1 of its certificates and leaves out the one of its issuer",
        "often called fullchain",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_certificate_is_said(here: Here, authority: Authority, fault: str) -> None:
    """
    In words that lead to what has to be done.
    """
    facts, names, code, sentence, remedy = FAULTS[fault]
    here.flags["ca"] = str(authority.ca_file)
    with Rogue(good, speaking(authority.issue(fault, *names, **facts))) as server:
        report = here.examine(server.url)
    codes = found(report)

    assert report.verdict == (WARNING if fault == "soon to expire" else FAILED)
    assert sentence in str(codes[code])
    assert remedy in str(codes[code].remedy)
    assert [each for each in codes if each.startswith("certificate-")] == [code]
    if report.verdict == FAILED:
        assert server.requests == []  # nothing is said to who cannot prove who it is


def test_a_whole_chain_is_fine(here: Here, authority: Authority) -> None:
    """
    And it is said which CAs made it so.
    """
    here.flags["ca"] = str(authority.ca_file)
    with Rogue(good, speaking(authority.issue("whole", "127.0.0.1", between=True))) as server:
        report = here.examine(server.url)

    assert report.verdict == OK
    assert str(found(report)["tls"]).endswith(f"CAs: {authority.ca_file}")
    assert "certificate for 127.0.0.1 by" in str(found(report)["tls"])


def test_several_faults_of_a_certificate_are_said_at_once(here: Here, tmp_path: Path) -> None:
    """
    Unknown, for somebody else and expired: nobody has to come back twice.
    """
    unknown = Authority(tmp_path / "other", "unknown tests")
    with Rogue(good, speaking(unknown.issue("bad", "trust.example", ends=PAST))) as server:
        codes = found(here.examine(server.url))

    assert ["certificate-unknown-ca", "certificate-name", "certificate-expired"] == [
        code for code in codes if code.startswith("certificate-")
    ]
    assert f"put its CA into {here.home}/.docker/tls/{server.host}/ca.crt" in str(
        codes["certificate-unknown-ca"].remedy
    )


def test_a_certificate_of_itself_is_told_from_one_of_an_unknown_ca(here: Here, tmp_path: Path) -> None:
    """
    There is no CA to be trusted.
    """
    other = Authority(tmp_path / "other", "self")
    pair = other.server()
    with Rogue(good, speaking(_self_signed(tmp_path))) as server:
        codes = found(here.examine(server.url))

    assert pair.cert.exists()
    assert "have a CA issue one" in str(codes["certificate-self-signed"].remedy)


def _self_signed(folder: Path) -> KeyPair:
    from tests.peers.authority import KeyPair
    from tests.peers.command import run

    pair = KeyPair(folder / "self.cert", folder / "self.key")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90"]
    words += ["-subj", "/CN=me", "-addext", "subjectAltName=IP:127.0.0.1"]
    run([*words, "-keyout", pair.key, "-out", pair.cert], env=clean_env())
    return pair


def test_a_server_that_wants_a_certificate_of_ours_is_understood(here: Here, authority: Authority) -> None:
    """
    With TLS 1.3 it says so after the handshake only. With one, it is said which is shown.
    """
    context = speaking(authority.server())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    folder = here.home / ".docker/tls"
    with Rogue(good, context) as server:
        here.flags["ca"] = str(authority.ca_file)
        without = found(here.examine(server.url))
        del here.flags["ca"]
        mine = folder / server.host
        mine.mkdir(parents=True)
        (mine / "ca.crt").write_bytes(authority.ca_file.read_bytes())
        pair = authority.client()
        (mine / "me.cert").write_bytes(pair.cert.read_bytes())
        (mine / "me.key").write_bytes(pair.key.read_bytes())
        report = here.examine(server.url)

    assert "client certificate" in str(without["handshake"].remedy)
    assert report.verdict == OK
    assert str(mine / "me.cert") in str(found(report)["client-certificate"])
    assert str(mine / "ca.crt") in str(found(report)["tls"])


def test_files_of_certificates_may_be_broken(here: Here) -> None:
    """
    That is a setting, and has nothing to do with the server.
    """
    (here.home / "ca.crt").write_text("not a certificate")
    here.flags["ca"] = str(here.home / "ca.crt")
    with Rogue(good) as server:
        report = here.examine(f"https://{server.host}")

    assert "holds no CA certificate in PEM form" in str(found(report)["setting"])


def test_a_port_without_tls_is_told_from_a_broken_one(here: Here) -> None:
    """
    Where plain http is not allowed.
    """
    with Rogue(good) as server:
        report = here.examine(f"https://trust.example:{server.port}", trust=["127.0.0.1"])

    assert str(found(report)["no-tls"]) == f"127.0.0.1 does not speak TLS at port {server.port}"
    assert "insecure_registry" in str(found(report)["no-tls"].remedy)


# --- answers -----------------------------------------------------------------------------------------------------


def drip(server: Callable[[], Rogue], _: object) -> Iterator[bytes]:
    """Say something again and again, and never all of it."""
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1000):
        server().pause(0.2)
        yield f"X-{number}: 1\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "code", "remedy"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not-http", "another service listens there"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300, "not-http", "another service listens there"),
        (None, "no-answer", "look at the log of the server"),
        (b"", "no-answer", "look at the log of the server"),
        ("drip", "no-answer", "look at the log of the server"),
        (reply(503), "server-error", "look at its log"),
        (reply(429), "busy", "wait, or log in"),
        (reply(404, b"<html>", content_type="text/html"), "no-trust-server", "check the address"),
        (reply(401, www_authenticate="Negotiate"), "challenge-unreadable", "WWW-Authenticate"),
        (reply(401, www_authenticate="Basic realm=x"), "login-refused", "log in: docker login"),
        (reply(401, www_authenticate='Bearer realm="ftp://x"'), "realm-refused", "name its token service by https"),
        (
            reply(200, b"{}", date="Tue, 24 Nov 2020 12:00:00 GMT"),
            "clock-wrong",
            "run NTP on both",
        ),
        (reply(200, b"{}", date="yesterday"), "clock-unread", "None"),
    ],
)
def test_what_a_server_says_is_understood(here: Here, answer: bytes | str | None, code: str, remedy: str) -> None:
    """
    Whatever it is, and however slowly it comes.
    """
    servers: list[Rogue] = []
    with Rogue(partial(drip, lambda: servers[0]) if answer == "drip" else lambda _: answer) as server:  # type: ignore[arg-type,return-value]
        servers.append(server)
        started = time.monotonic()
        report = here.examine(server.url, patience=HASTE if answer in {"drip", b""} else USUAL)

    assert remedy in str(found(report)[code].remedy)
    assert time.monotonic() - started < 10
    assert report.verdict == {"busy": UNKNOWN, "clock-unread": OK}.get(code, FAILED)


@pytest.mark.parametrize(("seconds", "code"), [(60, "clock-off"), (-60, "clock-off"), (600, "clock-wrong")])
def test_a_clock_that_differs_is_found(here: Here, seconds: int, code: str) -> None:
    """
    With what will break.
    """

    def skewed(_: object) -> bytes:
        return reply(200, b"{}", date=format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True))

    with Rogue(skewed) as server:
        told = found(here.examine(server.url))[code]

    assert ("ahead of" if seconds > 0 else "behind") in str(told)
    assert "tokens" in str(told)
    assert abs(told.facts["seconds"] - abs(seconds)) < 5


def test_a_server_that_accepts_and_says_nothing_is_silent(here: Here) -> None:
    """
    In plain and in TLS.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        slow = Patience(1, 1, 0.3)
        plain = found(here.examine(f"http://127.0.0.1:{port}", patience=slow))
        secure = found(here.examine(f"https://127.0.0.1:{port}", patience=slow))

    assert "not within 0.3 s" in str(plain["no-answer"])
    assert "no answer in time" in str(secure["handshake"])


# --- proxies -----------------------------------------------------------------------------------------------------


def test_a_proxy_is_said_and_looked_at(here: Here, authority: Authority) -> None:
    """
    Without what gets us in there.
    """
    here.flags["ca"] = str(authority.ca_file)
    pair = authority.issue("proxied", "trust.example")
    with Rogue(good, speaking(pair)) as server, Tunnel(server.port) as tunnel:
        here.env["https_proxy"] = f"http://bob:s3cret@{tunnel.host}"
        report = here.examine("https://trust.example")
    codes = found(report)

    assert report.verdict == OK
    assert str(codes["proxy"]) == f"the way to trust.example leads through the proxy {tunnel.url}, by the environment"
    assert codes["answers"].facts == {"at": ["trust.example"], "status": 200, "path": "/v2/"}
    assert "s3cret" not in repr(report)


@pytest.mark.parametrize(
    ("proxy", "code"),
    [("http://127.0.0.1:9", "refused"), ("http://proxy.example:3128", "unresolved"), ("gopher://x", "setting")],
)
def test_a_proxy_may_be_what_is_broken(here: Here, proxy: str, code: str) -> None:
    """
    Then it, and not the server, has the finding.
    """
    here.env["https_proxy"] = proxy
    report = here.examine("https://trust.example")

    assert report.verdict == FAILED
    assert found(report)[code].status == FAILED


# --- getting in --------------------------------------------------------------------------------------------------


def test_a_registry_lets_us_in(here: Here, locked: RegistryPeer) -> None:
    """
    Each step is said, and nothing secret.
    """
    write_docker_config(here.home / ".docker", locked.login())
    here.flags["server"] = "http://127.0.0.1:9"
    before = sorted((locked.directory / "images").rglob("*"))
    report = here.examine(f"{locked.host}/team/app:1.0", uploads=True)
    codes = found(report, "registry")

    assert ["plain", "answers", "clock", "challenge", "credentials", "admitted", "manifest", "registry", "uploads"] == [
        code for code in codes if code not in {"asked", "connected"}
    ]
    assert image("1.0").digest in str(codes["manifest"])
    assert f"auths.{locked.host}" in str(codes["credentials"])
    assert "s3cret" not in repr(report)
    assert before == sorted((locked.directory / "images").rglob("*"))


@pytest.mark.parametrize(
    ("login", "code", "sentence", "remedy"),
    [
        (None, "login-refused", "it wants a login and there is none here", "log in: docker login"),
        (("bob", "wrong"), "login-refused", "is wrong, or not enough", "as a user who may"),
    ],
)
def test_a_login_may_be_missing_or_wrong(
    here: Here, locked: RegistryPeer, login: tuple[str, str] | None, code: str, sentence: str, remedy: str
) -> None:
    """
    Which of the two is said.
    """
    write_docker_config(here.home / ".docker", {locked.host: login} if login else {})
    codes = found(here.examine(f"{locked.host}/team/app:1.0"), "registry")

    assert sentence in str(codes[code])
    assert remedy in str(codes[code].remedy)
    assert ("no-credentials" in codes) == (login is None)


@pytest.mark.parametrize(
    ("tag", "code"), [("team/app:2.0", "manifest-missing"), ("team/other:1.0", "manifest-missing")]
)
def test_an_image_may_be_missing(here: Here, locked: RegistryPeer, tag: str, code: str) -> None:
    """
    Though everything on the way is well.
    """
    write_docker_config(here.home / ".docker", locked.login())
    codes = found(here.examine(f"{locked.host}/{tag}"), "registry")

    assert "check name and tag" in str(codes[code].remedy)
    assert codes["admitted"].status == OK


def test_a_token_service_may_refuse(here: Here) -> None:
    """
    What it says is quoted; it is looked at as a server of its own.
    """

    def refuse(_: object) -> bytes:
        return reply(401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "account locked"}]}', date=now())

    with Rogue(refuse) as service:

        def challenge(_: object) -> bytes:
            return reply(
                401, www_authenticate=f'Bearer realm="{service.url}/token",service="r"', date=now(), **REGISTRY
            )

        with Rogue(challenge) as registry:
            write_docker_config(here.home / ".docker", {registry.host: ("bob", "s3cret")})
            report = here.examine(f"{registry.host}/app:1")
    codes = found(report, "registry")

    assert str(codes["challenge"]) == f"it asks for a login: Bearer, tokens from {service.url}/token"
    assert "account locked" in str(codes["token-refused"])
    assert "answers" in found(report, "token service")
    assert "s3cret" not in repr(report)


def test_a_login_that_is_held_back_is_said(here: Here) -> None:
    """
    It goes to no token service that is not known to belong to the host.
    """
    with Rogue(lambda _: reply(200, b'{"token": "t"}')) as service:
        challenge = reply(401, www_authenticate=f'Bearer realm="http://localhost:{service.port}/token"', **REGISTRY)
        with Rogue(lambda _: challenge) as registry:
            write_docker_config(here.home / ".docker", {registry.host: ("bob", "s3cret")})
            codes = found(here.examine(f"{registry.host}/app:1", localhost=["127.0.0.1"]), "registry")

    assert "realms" in str(codes["credentials-held-back"].remedy)
    assert "s3cret" not in str(service.requests)


def test_a_credential_helper_may_be_broken(here: Here, locked: RegistryPeer) -> None:
    """
    Missing, or failing: said of this machine and of the login.
    """
    folder = here.home / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"credsStore": "gone", "credHelpers": {locked.host: "sick"}}))
    program = here.home / "docker-credential-sick"
    program.write_text("#!/bin/sh\necho the vault is sealed; exit 1\n")
    program.chmod(0o755)
    here.env["PATH"] = f"{here.home}:{here.env['PATH']}"
    report = here.examine(f"{locked.host}/team/app:1.0")
    machine, registry = found(report, "this machine"), found(report, "registry")

    assert str(machine["helper"]) == "credential helpers are here: docker-credential-sick"
    assert machine["helper-missing"].facts["helper"] == "docker-credential-gone"
    assert "the vault is sealed" in str(registry["credentials-broken"])
    assert report.verdict == FAILED


def test_what_is_no_registry_is_said(here: Here) -> None:
    """
    A page that somebody shows is none.
    """
    with Rogue(lambda _: reply(200, b"<html>", content_type="text/html", date=now())) as server:
        codes = found(here.examine(f"{server.host}/app:1"), "registry")

    assert "check the host and port in the name of the image" in str(codes["no-registry"].remedy)


# --- trust data --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gun(trust: Peer, locked: RegistryPeer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A collection with the tag 1.0."""
    home = tmp_path_factory.mktemp("publisher")
    write_docker_config(home / ".docker", locked.login())
    name = f"{locked.host}/team/app"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))
        env = {**clean_env(HOME=str(home)), "TRUSTREG_PASSPHRASE": PASSPHRASE}
        publisher = Publisher(server=trust.url, trust_dir=home / "trust", env=env)
        publisher.init(name)
        publisher.sign(f"{name}:1.0")
    return name


@pytest.mark.parametrize(
    ("days", "codes"),
    [
        (0, {"collection", "first-use", "signed"}),
        (9, {"collection", "role-expires", "first-use", "signed"}),
        (20, {"collection-refused", "role-expired", "first-use"}),
    ],
)
def test_trust_data_is_looked_at_as_of_now(here: Here, trust: Peer, gun: str, days: int, codes: set[str]) -> None:
    """
    Nothing is remembered of who is met for the first time.
    """
    moment = datetime.now(UTC) + timedelta(days=days)
    here.clock = lambda: moment
    here.flags["server"] = trust.url
    told = found(here.examine(f"{gun}:1.0"), "trust server")

    assert codes == told.keys() & (codes | {"collection", "role-expires", "role-expired", "signed", "first-use"})
    assert "--pin" in str(told["first-use"].remedy)
    if days == 9:
        assert "ask who runs it why it does not" in str(told["role-expires"].remedy)
    assert not list((here.home / "trust").rglob("*.json"))


def test_there_may_be_no_trust_data(here: Here, trust: Peer, locked: RegistryPeer) -> None:
    """
    Or no trust server, where one was named or not.
    """
    here.flags["server"] = trust.url
    none = found(here.examine(f"{locked.host}/team/none:1.0"), "trust server")
    with Rogue(lambda _: reply(404, b"<html>", content_type="text/html", date=now())) as page:
        here.flags["server"] = page.url
        named = found(here.examine(f"{locked.host}/team/app:1.0"), "trust server")
        del here.flags["server"]
        guessed = found(here.examine(f"{page.host}/team/app:1.0"), "trust server")

    assert "trustreg init" in str(none["no-collection"].remedy)
    assert named["no-trust-server"].status == FAILED
    assert guessed.keys() == {"asked", "no-trust-server-there"}


def test_a_collection_in_a_store_is_looked_at(here: Here) -> None:
    """
    There is no server to be asked.
    """
    env = {**here.env, "TRUSTREG_PASSPHRASE": PASSPHRASE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "_SCRYPT", (1 << 10, 8, 1))
        Publisher(store=f"dir:{here.home}/store", trust_dir=here.home / "trust", env=env).init()
    here.flags["store"] = f"dir:{here.home}/store"
    codes = found(here.examine("registry.example/team/app"), "store")

    assert {"asked", "collection", "unsigned"} == codes.keys()


# --- uploads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "code", "facts"),
    [
        ("1m", "uploads-limited", ("8 MiB", "1 MiB")),
        ("10k", "uploads-refused", ("64 KiB", None)),
        ("100m", "uploads", (None, "8 MiB")),
    ],
)
def test_a_limit_of_a_proxy_is_found(
    here: Here, trust: Peer, gun: str, tmp_path: Path, limit: str, code: str, facts: tuple[str | None, ...]
) -> None:
    """
    By headers alone; what is behind it hears nothing of an upload that it could take.
    """
    inside = f"client_max_body_size {limit}; location / {{ proxy_pass {trust.url}; proxy_set_header Host $http_host; }}"
    with nginx(tmp_path, inside=inside) as proxy:
        here.flags["server"] = proxy.url
        codes = found(here.examine(f"{gun}:1.0", uploads=True), "trust server")

    assert facts == (codes[code].facts.get("refused"), codes[code].facts.get("taken"))
    assert code == "uploads" or "client_max_body_size" in str(codes[code].remedy)
    assert "signed" in codes


def test_nothing_is_changed_by_looking_at_uploads(here: Here, locked: RegistryPeer, gun: str) -> None:
    """
    Neither at Go's trust server, nor at a registry behind a proxy that passes everything on at once.
    """
    write_docker_config(here.home / ".docker", locked.login())
    with notary_server() as server:
        here.flags["server"] = server.url
        codes = found(here.examine(f"{gun}:1.0", uploads=True), "trust server")
        log = server.log
    inside = f"client_max_body_size 2m; location / {{ proxy_pass {locked.url}; proxy_request_buffering off; }}"
    before = sorted((locked.directory / "images").rglob("*"))
    with nginx(here.home, inside=inside) as proxy:
        write_docker_config(here.home / ".docker", {proxy.host: ("bob", "s3cret")})
        limited = found(here.examine(f"{proxy.host}/team/app:1.0", uploads=True), "registry")

    assert str(codes["uploads"]) == "no limit to uploads was met up to 8 MiB"
    assert "no-collection" in codes
    assert "Malformed" in log or "malformed" in log or "400" in log
    assert str(limited["uploads-limited"]) == "uploads of 8 MiB are refused by their size (413), of 1 MiB they are not"
    assert before == sorted((locked.directory / "images").rglob("*"))


# --- this machine ------------------------------------------------------------------------------------------------


def test_this_machine_is_looked_at(here: Here) -> None:
    """
    Its files, its programs.
    """
    codes = found(here.examine("https://trust.example"), "this machine")

    assert {"config", "trust-dir", "gpg"} == codes.keys()
    assert "not there yet" in str(codes["trust-dir"])


def test_a_broken_machine_is_found_out(here: Here) -> None:
    """
    A folder that anybody may write to, keys that others may read, no gpg, a file that is no JSON.
    """
    here.env["PATH"] = str(here.home)
    private = here.home / "trust/private"
    private.mkdir(parents=True)
    (private / "key.pem").write_text("")
    (private / "key.pem").chmod(0o644)
    exposed = found(here.examine("https://trust.example"), "this machine")
    (here.home / "trust").chmod(0o777)
    (here.home / ".docker").mkdir()
    (here.home / ".docker/config.json").write_text("{")
    codes = found(here.examine("https://trust.example"), "this machine")

    assert exposed["key-exposed"].remedy == f"chmod -R go-rwx {private}"
    assert "install GnuPG" in str(codes["gpg-missing"].remedy)
    assert codes["trust-dir-unusable"].remedy == f"chmod go-w {here.home}/trust"
    assert "this is not JSON" in str(codes["setting"])


def test_the_policy_that_is_set_is_read(here: Here) -> None:
    """
    Whether it can be is said, and where it is wrong.
    """
    path = here.home / "policy.yaml"
    here.env["TRUSTREG_POLICY"] = str(path)
    path.write_text("version: 1\nrules: [{match: registry.example, require: reject}]\ndefault: reject\n")
    good = found(here.examine("https://trust.example"), "this machine")
    path.write_text("version: 1\nrulez: []\ndefault: reject\n")
    bad = found(here.examine("https://trust.example"), "this machine")

    assert str(good["policy"]) == f"images are judged by {path}; rules: 1"
    assert "did you mean rules?" in str(bad["setting"])


def test_a_broken_configuration_is_the_one_finding(here: Here) -> None:
    """
    Nothing can be looked at without it.
    """
    path = here.home / "config.toml"
    path.write_text("servr = 1\n")
    here.flags["config"] = str(path)
    report = here.examine("https://trust.example", "registry.example/app")

    assert report.verdict == FAILED
    assert [each.code for part in report.parts for each in part.findings] == ["setting", "skipped", "skipped"]


def test_a_setting_that_leads_nowhere_keeps_nothing_else_from_being_looked_at(here: Here, trust: Peer) -> None:
    """
    Each target is looked at by itself, and several at once.
    """
    report = here.examine("http://trust.example", trust.url)

    assert "plain http is for this machine only" in str(found(report)["setting"])
    assert "open" in found(report)


def test_a_bug_of_ours_is_a_finding_too(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What else was found is still said.
    """
    monkeypatch.setattr(probe, "resolve", lambda *_: 1 / 0)
    report = here.examine("https://trust.example")

    assert str(found(report)["bug"]) == "this is a bug in trustreg: ZeroDivisionError: division by zero"
    assert report.verdict == UNKNOWN
