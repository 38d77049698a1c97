"""TLS connections trust what they should, show what they may, and say what is wrong with a certificate."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.io.rogue import Rogue, Tunnel, reply
from tests.peers import Authority, notary_server
from trustreg.errors import OfflineError, SettingError, TlsError
from trustreg.io.http import Http, Timeouts
from trustreg.io.tls import Tls, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.io.rogue import Request


def context(pair: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    pair.configure_cert(made)
    return made


def client(home: Path, servers: Mapping[str, TlsFiles] | None = None, env: Mapping[str, str] | None = None) -> Http:
    return Http({}, Tls(env or {}, str(home), servers, system=[str(home / "certs.d")]), timeouts=Timeouts(5, 5, 10))


def put(folder: Path, *files: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder / file.name)


def test_an_explicit_ca_is_enough(tmp_path: Path) -> None:
    """By host and port, by host, for all."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with Rogue(lambda _: reply(body=b"ok"), context(ca.issue_cert("127.0.0.1"))) as server:
        for name in (server.host, "127.0.0.1", "*"):
            with client(tmp_path, {name: TlsFiles(ca=str(tmp_path / "ca.pem"))}) as http:
                assert http.get(server.url, limit=9).body == b"ok"


def test_an_explicit_ca_stands_alone(tmp_path: Path) -> None:
    """Neither the folders nor the environment can widen or replace what somebody pinned."""
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with Rogue(lambda _: reply(), context(ca.issue_cert("127.0.0.1"))) as server:
        put(tmp_path / ".docker/tls" / server.host, tmp_path / "ca.crt")
        env = {"REQUESTS_CA_BUNDLE": str(tmp_path / "ca.crt"), "SSL_CERT_FILE": str(tmp_path / "ca.crt")}
        with (
            client(tmp_path, {"*": TlsFiles(ca=str(tmp_path / "other.pem"))}, env) as http,
            pytest.raises(TlsError, match="unknown authority"),
        ):
            http.get(server.url, limit=9)


@pytest.mark.parametrize("folder", [".docker/tls", ".config/containers/certs.d", "certs.d"])
def test_a_folder_adds_its_ca(tmp_path: Path, folder: str) -> None:
    """Docker's folder of trust servers and the registries' ones."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "any.crt"))
    with Rogue(lambda _: reply(body=b"ok"), context(ca.issue_cert("127.0.0.1"))) as server:
        put(tmp_path / folder / server.host, tmp_path / "any.crt")
        with client(tmp_path) as http:
            assert http.get(server.url, limit=9).body == b"ok"


def test_a_folder_is_for_its_port_only(tmp_path: Path) -> None:
    """The CA of one port says nothing about another."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    with Rogue(lambda _: reply(), context(ca.issue_cert("127.0.0.1"))) as server:
        put(tmp_path / ".docker/tls" / f"127.0.0.1:{server.port + 1}", tmp_path / "ca.crt")
        put(tmp_path / ".docker/tls/127.0.0.1", tmp_path / "ca.crt")
        with client(tmp_path) as http, pytest.raises(TlsError):
            http.get(server.url, limit=9)


def test_a_folder_adds_to_the_system(tmp_path: Path) -> None:
    """As Docker does: what the system trusts stays trusted."""
    system, extra = trustme.CA(), trustme.CA()
    system.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    extra.cert_pem.write_to_path(str(tmp_path / "extra.crt"))
    with Rogue(lambda _: reply(body=b"ok"), context(system.issue_cert("127.0.0.1"))) as server:
        put(tmp_path / ".docker/tls" / server.host, tmp_path / "extra.crt")
        with client(tmp_path, env={"SSL_CERT_FILE": str(tmp_path / "system.pem")}) as http:
            assert http.get(server.url, limit=9).body == b"ok"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_names_the_system_roots(tmp_path: Path, variable: str) -> None:
    """Behind a company's proxy people set one of these."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        Rogue(lambda _: reply(body=b"ok"), context(ca.issue_cert("127.0.0.1"))) as server,
        client(tmp_path, env={variable: str(tmp_path / "ca.pem")}) as http,
    ):
        assert http.get(server.url, limit=9).body == b"ok"


def test_an_unknown_authority_is_named_with_the_place_for_its_ca(tmp_path: Path) -> None:
    """The remedy is a path that works."""
    with (
        Rogue(lambda _: reply(), context(trustme.CA().issue_cert("127.0.0.1"))) as server,
        client(tmp_path) as http,
        pytest.raises(TlsError, match="unknown authority") as caught,
    ):
        http.get(server.url, limit=9)

    assert f"{tmp_path}/.docker/tls/{server.host}/ca.crt" in str(caught.value.remedy)
    assert server.requests == []


def test_an_expired_certificate_is_named(tmp_path: Path) -> None:
    """With the clock as the other suspect."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    old = ca.issue_cert("127.0.0.1", not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    with (
        Rogue(lambda _: reply(), context(old)) as server,
        client(tmp_path, {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))}) as http,
        pytest.raises(TlsError, match="has expired") as caught,
    ):
        http.get(server.url, limit=9)

    assert "clock" in str(caught.value.remedy)


def test_another_name_is_named(tmp_path: Path) -> None:
    """What the certificate is for, so that a person sees the mistake."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        Rogue(lambda _: reply(), context(ca.issue_cert("registry.example", "10.9.8.7"))) as server,
        client(tmp_path, {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))}) as http,
        pytest.raises(TlsError, match=r"is for registry\.example, 10\.9\.8\.7"),
    ):
        http.get(server.url, limit=9)

    assert server.requests == []


def test_a_common_name_alone_is_said_to_be_too_little(tmp_path: Path) -> None:
    """The classic of private registries: openssl req -x509 -subj /CN=host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - dt.timedelta(1))
    made = builder.not_valid_after(now + dt.timedelta(1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with (
        Rogue(lambda _: reply(), tls) as server,
        client(tmp_path, {"*": TlsFiles(ca=str(tmp_path / "cert.pem"))}) as http,
        pytest.raises(TlsError, match="no subjectAltName") as caught,
    ):
        http.get(server.url.replace("127.0.0.1", "localhost"), limit=9)

    assert "subjectAltName localhost" in str(caught.value.remedy)


def test_nothing_widens_what_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HTTP library has a bundle of its own, and the process's environment may name another."""
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    tls = Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})
    with Rogue(lambda _: reply(body=b"ok"), context(ca.issue_cert("127.0.0.1"))) as server, Http({}, tls) as http:
        assert http.get(server.url, limit=9).body == b"ok"

    assert tls.context("127.0.0.1", server.port).cert_store_stats()["x509"] == 1


def test_a_cut_is_not_an_end(tmp_path: Path) -> None:
    """Where the end of the connection ends the answer, TLS says which of the two it was."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def cut(_: Request) -> bytes | None:
        asked = len(server.requests)
        return b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhalf an ans" if asked < 3 else None

    with (
        Rogue(cut, context(ca.issue_cert("127.0.0.1"))) as server,
        client(tmp_path, {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))}) as http,
        pytest.raises(OfflineError, match="closed before"),
    ):
        http.get(server.url, limit=99)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_slow_drip_ends_at_the_deadline(tmp_path: Path, head: bytes) -> None:
    """Under TLS too."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def drip(_: Request) -> Iterator[bytes]:
        yield head
        while True:
            server.pause(0.05)
            yield b"1"

    started = time.monotonic()
    tls = Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})
    with (
        Rogue(drip, context(ca.issue_cert("127.0.0.1"))) as server,
        Http({}, tls, timeouts=Timeouts(1, 1, 0.4)) as http,
        pytest.raises(OfflineError, match="not complete in time"),
    ):
        http.get(server.url, limit=9999)

    assert time.monotonic() - started < 2


def test_a_handshake_that_drips_ends_soon_after(tmp_path: Path) -> None:
    """It ends with the connect timeout at the latest."""

    def drip(_: Request) -> Iterator[bytes]:
        yield b"\x16\x03\x03\x40\x00"
        while True:
            server.pause(0.05)
            yield b"\x02"

    started = time.monotonic()
    tls = Tls({}, str(tmp_path), system=())
    with (
        Rogue(drip) as server,
        Http({}, tls, timeouts=Timeouts(0.4, 5, 10)) as http,
        pytest.raises(OfflineError, match="in time"),
    ):
        http.get(server.url.replace("http", "https"), limit=9)

    assert time.monotonic() - started < 2


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_proxy_sees_nothing_of_what_it_carries(tmp_path: Path, *, secure: bool) -> None:
    """TLS goes through it, to the server; if the proxy speaks TLS itself, it has to prove who it is as well."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})
    with (
        Rogue(lambda _: reply(body=b"ok"), context(ca.issue_cert("registry.example"))) as server,
        Tunnel(server.port, context(ca.issue_cert("127.0.0.1")) if secure else None) as proxy,
        Http({"https_proxy": proxy.url.replace("://", "://me:hunter2@")}, tls, timeouts=Timeouts(5, 5, 10)) as http,
    ):
        got = [http.get("https://registry.example/a", limit=9, headers={"Authorization": "x"}) for _ in range(2)]

    assert [b"ok", b"ok"] == [reply.body for reply in got]
    assert server.requests[0].headers["authorization"] == "x"
    assert len(proxy.asked) == server.connections == 1
    assert b"CONNECT registry.example:443 " in proxy.asked[0]
    assert b"Basic bWU6aHVudGVyMg==" in proxy.asked[0]
    assert b"Authorization: x" not in proxy.asked[0]
    assert "proxy-authorization" not in server.requests[0].headers


def test_a_plain_request_to_a_proxy_may_go_by_tls(tmp_path: Path) -> None:
    """What the proxy then does is plain http, and allowed only where plain http is."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})
    with (
        Rogue(lambda _: reply(body=b"via"), context(ca.issue_cert("127.0.0.1"))) as proxy,
        Http({"http_proxy": proxy.url}, tls, insecure=("lan",)) as http,
    ):
        assert http.get("http://lan/a", limit=9).body == b"via"

    assert proxy.requests[0].target == "http://lan/a"


def test_a_proxy_that_is_not_trusted_is_the_one_to_blame(tmp_path: Path) -> None:
    """It is its certificate that is refused, and its CA that is missing."""
    with (
        Rogue(lambda _: reply(), context(trustme.CA().issue_cert("127.0.0.1"))) as proxy,
        Http({"https_proxy": proxy.url}, Tls({}, str(tmp_path), system=())) as http,
        pytest.raises(TlsError, match=f"connection to {proxy.url}: .* unknown authority") as caught,
    ):
        http.get("https://registry.example/", limit=9)

    assert f"{proxy.host}/ca.crt" in str(caught.value.remedy)
    assert proxy.requests == []


def test_a_proxy_that_speaks_no_tls_is_the_one_to_blame(tmp_path: Path) -> None:
    """The server was not even asked, so its scheme is not in doubt."""
    with (
        Rogue(lambda _: reply(400)) as proxy,
        Http({"https_proxy": proxy.url.replace("http", "https")}, Tls({}, str(tmp_path), system=())) as http,
        pytest.raises(TlsError, match="does not speak TLS") as caught,
    ):
        http.get("https://registry.example/", limit=9)

    assert caught.value.where == proxy.url.replace("http", "https")


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_server_behind_a_proxy_is_blamed_for_its_certificate(tmp_path: Path, *, secure: bool) -> None:
    """The proxy has done its part."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = Tls({}, str(tmp_path), {"127.0.0.1": TlsFiles(ca=str(tmp_path / "ca.pem"))}, system=())
    with (
        Rogue(lambda _: reply(), context(trustme.CA().issue_cert("registry.example"))) as server,
        Tunnel(server.port, context(ca.issue_cert("127.0.0.1")) if secure else None) as proxy,
        Http({"https_proxy": proxy.url}, tls) as http,
        pytest.raises(TlsError, match=r"connection to https://registry\.example: .* unknown authority") as caught,
    ):
        http.get("https://registry.example/", limit=9)

    assert "/registry.example/ca.crt" in str(caught.value.remedy)


def test_another_name_behind_a_proxy_is_named(tmp_path: Path) -> None:
    """Nobody looks again there; OpenSSL's words have to do."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        Rogue(lambda _: reply(), context(ca.issue_cert("other.example"))) as server,
        Tunnel(server.port) as proxy,
        Http({"https_proxy": proxy.url}, Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})) as http,
        pytest.raises(TlsError, match=r"registry\.example: its certificate is refused \(Hostname mismatch") as caught,
    ):
        http.get("https://registry.example/", limit=9)

    assert "a name that the certificate has" in str(caught.value.remedy)
    assert server.requests == []


@pytest.mark.interop
def test_a_client_certificate_is_shown(tmp_path: Path, authority: Authority) -> None:
    """Set, or found in the folder; without one the error says what to do."""
    pair = authority.client()
    with notary_server(tls=authority, clients=authority) as server:
        url = f"{server.url}/v2/"
        ca = str(authority.ca_file)
        with client(tmp_path, {"*": TlsFiles(ca, str(pair.cert), str(pair.key))}) as http:
            assert http.get(url, limit=9).status == 200
        with client(tmp_path, {"*": TlsFiles(ca)}) as http, pytest.raises(TlsError) as caught:
            http.get(url, limit=9)
        assert "client certificate" in str(caught.value.remedy)
        put(tmp_path / ".docker/tls" / server.host, authority.ca_file, pair.cert, pair.key)
        with client(tmp_path) as http:
            assert http.get(url, limit=9).status == 200


@pytest.mark.parametrize("what", ["ca", "cert"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, what: str, content: bytes | None) -> None:
    """Missing, empty, broken."""
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    files = TlsFiles(ca=str(path)) if what == "ca" else TlsFiles(cert=str(path), key=str(path))

    with pytest.raises(SettingError) as caught:
        Tls({}, str(tmp_path), {"*": files}).context("a.org", 443)

    assert str(path) in caught.value.source


def test_half_a_client_certificate_is_a_mistake(tmp_path: Path) -> None:
    """A certificate without its key, set or found."""
    with pytest.raises(SettingError, match="together"):
        Tls({}, str(tmp_path), {"*": TlsFiles(cert="x.cert")}).context("a.org", 443)
    (tmp_path / ".docker/tls/a.org").mkdir(parents=True)
    (tmp_path / ".docker/tls/a.org/x.cert").touch()
    with pytest.raises(SettingError, match=r"x\.key: .*cannot be read"):
        Tls({}, str(tmp_path)).context("a.org", 443)


def test_an_encrypted_client_key_never_asks_the_terminal(tmp_path: Path) -> None:
    """OpenSSL would, and a server would hang."""
    leaf = trustme.CA().issue_cert("me")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    form, locked = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    (tmp_path / "k.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "c.pem"))
    files = TlsFiles(cert=str(tmp_path / "c.pem"), key=str(tmp_path / "k.pem"))

    with pytest.raises(SettingError, match="unencrypted key"):
        Tls({}, str(tmp_path), {"*": files}).context("a.org", 443)


def test_verification_is_always_on(tmp_path: Path) -> None:
    """Chain and name, TLS 1.2 at least, no fallback to the common name."""
    made = Tls({}, str(tmp_path)).context("localhost", 443)

    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not made.hostname_checks_common_name
    assert Tls({}, str(tmp_path)).ignoring_names("localhost", 443).verify_mode == ssl.CERT_REQUIRED
