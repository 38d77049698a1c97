"""Challenges are answered, tokens are kept as long as they last, and credentials go to nobody else."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from tests.io.rogue import Rogue, reply
from trustreg.errors import ServerError, TrustregError, UnauthorizedError
from trustreg.io.address import Url
from trustreg.io.auth import Access, Auth, challenges
from trustreg.io.docker import Credential
from trustreg.io.http import Http, Timeouts
from trustreg.io.tls import Tls, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.io.rogue import Request

SECRET = "hunter2"
SCOPE = "repository:a/b:pull"


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    with Http({}, Tls({}, str(tmp_path), system=()), timeouts=Timeouts(2, 2, 10)) as client:
        yield client


def access(*found: Credential, scope: str = SCOPE) -> Access:
    return Access(scope, lambda: found, "log in: docker login")


def bob(host: str = "127.0.0.1", **fields: str) -> Credential:
    return Credential(host, "config.json", **({"user": "bob", "password": SECRET} | fields))


class Registry:
    """A server that wants a Bearer token, and its token service under /token."""

    def __init__(self, token: Callable[[Request], bytes] | None = None, realm: str = "", **more: str) -> None:
        self.token = token or (lambda _: reply(body=b'{"token":"good","expires_in":300}'))
        self.realm, self.more = realm, more
        self.good = {"Bearer good"}
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> bytes:
        if request.target.startswith("/token"):
            self.asked.append(request)
            return self.token(request)
        if request.headers.get("authorization") in self.good:
            return reply(body=b"in")
        realm = self.realm or f"http://{request.headers['host']}/token"
        extra = "".join(f',{name}="{value}"' for name, value in self.more.items())
        return reply(401, www_authenticate=f'Bearer realm="{realm}",service="reg"{extra}')


def query(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.target).query)


def basic(user: str = "bob", password: str = SECRET) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


# --- Basic -------------------------------------------------------------------------------------


def needs_basic(request: Request) -> bytes:
    if request.headers.get("authorization") == basic():
        return reply(body=b"in")
    return reply(401, www_authenticate='Basic realm="x"')


def test_basic_after_a_challenge_and_then_at_once(http: Http) -> None:
    """Nothing is sent unasked; what a server asked for once is sent with the next request."""
    auth = Auth(http)
    with Rogue(needs_basic) as server:
        for _ in range(3):
            assert auth.get(Url.parse(server.url), access(bob()), limit=9).body == b"in"

    assert [basic() if n else None for n in range(4)] == [r.headers.get("authorization") for r in server.requests]


def test_a_wrong_password_is_said_once(http: Http) -> None:
    """One attempt, for accounts lock; where the login came from, never what it is."""
    with (
        Rogue(needs_basic) as server,
        pytest.raises(UnauthorizedError, match=r"login in config\.json is wrong") as caught,
    ):
        Auth(http).get(Url.parse(server.url), access(bob(password="wrong!")), limit=9)

    assert len(server.requests) == 2
    assert "wrong!" not in f"{caught.value}{caught.value.remedy}{caught.value.facts()}"


def test_no_login_says_how_to_get_one(http: Http) -> None:
    """The remedy is the command."""
    with Rogue(needs_basic) as server, pytest.raises(UnauthorizedError, match="there is none here") as caught:
        Auth(http).get(Url.parse(server.url), access(), limit=9)

    assert caught.value.remedy == "log in: docker login"


def test_basic_goes_only_to_the_host_it_is_for(http: Http) -> None:
    """The trust server of another host does not see the registry's password unless it was allowed to."""
    with Rogue(needs_basic) as server:
        at = Url.parse(server.url)
        with pytest.raises(UnauthorizedError, match="held back") as caught:
            Auth(http).get(at, access(bob("registry.example")), limit=9)
        assert "registry.example" in str(caught.value.remedy)
        assert len(server.requests) == 1
        allowed = Auth(http, realms={"registry.example": ["127.0.0.1"]})
        assert allowed.get(at, access(bob("registry.example")), limit=9).body == b"in"


# --- Bearer ------------------------------------------------------------------------------------


def test_a_token_is_asked_for_and_kept(http: Http) -> None:
    """With service, our scope and account; once for many requests."""
    registry = Registry(scope="repository:other:push")
    auth = Auth(http)
    with Rogue(registry) as server:
        for _ in range(3):
            assert auth.get(Url.parse(server.url), access(bob()), limit=9).body == b"in"

    (asked,) = registry.asked
    assert query(asked) == {"service": ["reg"], "scope": [SCOPE], "account": ["bob"]}
    assert asked.headers["authorization"] == basic()
    assert len(server.requests) == 5


def test_without_login_a_token_is_asked_for_anonymously(http: Http) -> None:
    """That is how public images are read."""
    registry = Registry()
    with Rogue(registry) as server:
        assert Auth(http).get(Url.parse(server.url), access(), limit=9).body == b"in"

    assert "authorization" not in registry.asked[0].headers
    assert query(registry.asked[0]) == {"service": ["reg"], "scope": [SCOPE]}


def test_each_scope_has_its_token(http: Http) -> None:
    """And the second needs no second challenge."""
    registry = Registry()
    auth = Auth(http)
    with Rogue(registry) as server:
        for scope in ("repository:x:pull", "repository:y:pull", "repository:x:pull"):
            auth.get(Url.parse(server.url), access(scope=scope), limit=9)

    assert [query(r)["scope"] for r in registry.asked] == [["repository:x:pull"], ["repository:y:pull"]]
    assert [r.target for r in server.requests].count("/") == 4


@pytest.mark.parametrize(("lasts", "kept"), [(300, 269), (None, 53), (1, 53), (-5, 53), ("x", 53), (True, 53)])
def test_a_token_is_kept_until_it_expires(http: Http, lasts: Any, kept: int) -> None:
    """A minute at least, whatever it says, less a tenth."""
    registry = Registry(lambda _: reply(body=json.dumps({"access_token": "good", "expires_in": lasts}).encode()))
    now = [1000.0]
    auth = Auth(http, clock=lambda: now[0])
    with Rogue(registry) as server:
        auth.get(Url.parse(server.url), access(), limit=9)
        now[0] += kept
        auth.get(Url.parse(server.url), access(), limit=9)
        assert len(registry.asked) == 1
        now[0] += 2
        auth.get(Url.parse(server.url), access(), limit=9)
        assert len(registry.asked) == 2


def test_a_token_that_is_refused_early_is_replaced(http: Http) -> None:
    """The service's key changed, or a clock is wrong: one more try with a new one."""
    numbers = iter(["one", "two"])
    registry = Registry(lambda _: reply(body=json.dumps({"token": next(numbers)}).encode()))
    auth = Auth(http)
    with Rogue(registry) as server:
        registry.good = {"Bearer one"}
        auth.get(Url.parse(server.url), access(), limit=9)
        registry.good = {"Bearer two"}
        assert auth.get(Url.parse(server.url), access(), limit=9).body == b"in"


def test_too_narrow_a_token_is_widened_once(http: Http) -> None:
    """With the scope that the server names, beside ours; then it is over."""
    registry = Registry(
        lambda r: reply(body=json.dumps({"token": "+".join(query(r)["scope"]).replace(":", ".")}).encode()),
        scope="repository:base:pull",
        error="insufficient_scope",
    )
    registry.good = {f"Bearer {SCOPE.replace(':', '.')}+repository.base.pull"}
    with Rogue(registry) as server:
        assert Auth(http).get(Url.parse(server.url), access(), limit=9).body == b"in"
        registry.good, registry.asked = set(), []
        with pytest.raises(UnauthorizedError):
            Auth(http).get(Url.parse(server.url), access(), limit=9)

    assert [len(query(r)["scope"]) for r in registry.asked] == [1, 2]


def test_an_identity_token_is_traded_in(http: Http) -> None:
    """By POST, as a refresh token, so that it ends in no log."""
    registry = Registry()
    with Rogue(registry) as server:
        got = Auth(http).get(Url.parse(server.url), access(bob(user="", password="", identity_token="id/+=")), limit=9)

    assert got.body == b"in"
    assert registry.asked[0].method == "POST"
    assert parse_qs(registry.asked[0].body.decode()) == {
        "grant_type": ["refresh_token"],
        "service": ["reg"],
        "client_id": ["trustreg"],
        "scope": [SCOPE],
        "refresh_token": ["id/+="],
    }


def test_a_registry_token_is_used_as_it_is(http: Http) -> None:
    """No token service is asked."""
    registry = Registry()
    with Rogue(registry) as server:
        got = Auth(http).get(Url.parse(server.url), access(bob(registry_token="good")), limit=9)

    assert (got.body, registry.asked) == (b"in", [])


def test_an_upload_is_sent_again_with_its_token(http: Http) -> None:
    """A 401 means that the server has not looked at it."""
    with Rogue(Registry()) as server:
        got = Auth(http).post(Url.parse(server.url), access(), b"body", "a/b", limit=9)

    assert got.body == b"in"
    assert [r.body for r in server.requests if r.target == "/"] == [b"body", b"body"]


# --- realms ------------------------------------------------------------------------------------


def test_a_realm_on_another_host_gets_no_login(http: Http) -> None:
    """It is asked anonymously; if that is not enough the error says what was held back, and how to allow it."""
    service = Registry(lambda r: reply() if "authorization" in r.headers else reply(401))
    with Rogue(service) as other:
        realm = other.url.replace("127.0.0.1", "localhost") + "/token"
        with Rogue(Registry(realm=realm)) as server:
            at = Url.parse(server.url)
            with pytest.raises(UnauthorizedError, match="held back") as caught:
                Auth(http).get(at, access(bob()), limit=9)

    assert "realms" in str(caught.value.remedy)
    assert f"localhost:{other.port}" in str(caught.value)
    assert ["authorization" in r.headers for r in other.requests] == [False]


@pytest.mark.parametrize("entry", ["localhost", "localhost:{port}"])
def test_a_realm_that_was_allowed_gets_the_login(http: Http, entry: str) -> None:
    """By host, or by host and port."""
    service = Registry()
    with Rogue(service) as other:
        realm = other.url.replace("127.0.0.1", "localhost") + "/token"
        with Rogue(Registry(realm=realm)) as server:
            auth = Auth(http, realms={"127.0.0.1": [entry.format(port=other.port)]})
            assert auth.get(Url.parse(server.url), access(bob()), limit=9).body == b"in"

    assert service.asked[0].headers["authorization"] == basic()


def test_the_same_host_at_another_port_gets_the_login(http: Http) -> None:
    """Harbor's trust server is at 4443 and its token service at 443."""
    service = Registry()
    with Rogue(service) as other, Rogue(Registry(realm=f"{other.url}/token")) as server:
        Auth(http).get(Url.parse(server.url), access(bob(server.host)), limit=9)

    assert service.asked[0].headers["authorization"] == basic()


@pytest.mark.parametrize(
    "realm", ["http://evil.example/token", "ftp://x", "/token", "https://u:p@x/", "http://127.0.0.1:x"]
)
def test_a_realm_has_to_be_a_proper_place(http: Http, realm: str) -> None:
    """Plain http to another machine, other schemes and nonsense."""
    with Rogue(Registry(realm=realm)) as server, pytest.raises(ServerError, match="names a token service"):
        Auth(http).get(Url.parse(server.url), access(bob()), limit=9)


def test_https_is_not_downgraded_by_a_realm(tmp_path: Path) -> None:
    """A registry elsewhere cannot send the login to a plain port of this machine either."""
    auth = Auth(Http({}, Tls({}, str(tmp_path))))
    challenge = challenges('Bearer realm="http://127.0.0.1:9/token"')[0]

    with pytest.raises(ServerError, match="plain http"):
        auth.realm(Url.parse("https://registry.example"), challenge)


def test_a_realm_keeps_its_own_query(http: Http) -> None:
    """Some services have one."""

    def answer(request: Request) -> bytes:
        if request.target.startswith("/t"):
            return reply(body=b'{"token":"good"}')
        good = request.headers.get("authorization") == "Bearer good"
        return reply(200 if good else 401, www_authenticate=f'Bearer realm="http://{request.headers["host"]}/t?a=1"')

    with Rogue(answer) as server:
        Auth(http).get(Url.parse(server.url), access(), limit=9)

    assert server.requests[1].target == f"/t?a=1&scope={SCOPE.replace(':', '%3A').replace('/', '%2F')}"


def test_a_redirect_elsewhere_is_not_answered(http: Http) -> None:
    """The other host's challenge does not get our token, nor a login."""
    with (
        Rogue(needs_basic) as other,
        Rogue(lambda _: reply(302, location=other.url)) as server,
        pytest.raises(UnauthorizedError),
    ):
        Auth(http).get(Url.parse(server.url), access(bob()), limit=9)

    assert [r.headers.get("authorization") for r in other.requests] == [None]


def test_the_token_of_one_server_is_not_sent_to_another(http: Http) -> None:
    """Not even to another port."""
    auth = Auth(http)
    with Rogue(Registry()) as one, Rogue(lambda _: reply()) as two:
        auth.get(Url.parse(one.url), access(bob()), limit=9)
        auth.get(Url.parse(two.url), access(bob()), limit=9)

    assert "authorization" not in two.requests[0].headers


# --- what services get wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "problem"),
    [
        (reply(body=b"{}"), ServerError, "holds no token"),
        (reply(body=b"[]"), ServerError, "holds no token"),
        (reply(body=b"<html>"), ServerError, "holds no token"),
        (reply(body=b'{"token":5}'), ServerError, "holds no token"),
        (reply(body=b'{"token":"a\\r\\nX: y"}'), ServerError, "holds no token"),
        (reply(body=json.dumps({"token": "x" * 40_000}).encode()), ServerError, "holds no token"),
        (reply(body=b"x" * 300_000), ServerError, "too long to be a token"),
        (reply(500), ServerError, "500"),
        (reply(204), ServerError, "204"),
        (reply(401), UnauthorizedError, r"login in config\.json is wrong"),
        (reply(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), UnauthorizedError, "DENIED: no"),
    ],
)
def test_a_token_service_that_fails_is_named(
    http: Http, answer: bytes, kind: type[TrustregError], problem: str
) -> None:
    """And its answer is bounded, and cannot smuggle a header."""
    with Rogue(Registry(lambda _: answer)) as server, pytest.raises(kind, match=problem):
        Auth(http).get(Url.parse(server.url), access(bob()), limit=9)


@pytest.mark.parametrize(
    "header", ["", "Negotiate", "Negotiate YII=", "\xff\xfe", '"', "=", "Bearer", ",,,", "Digest a=b"]
)
def test_garbage_for_a_challenge_is_said_to_be(http: Http, header: str) -> None:
    """No way that we know to log in, or no token service."""
    with (
        Rogue(lambda _: reply(401, www_authenticate=header)) as server,
        pytest.raises((UnauthorizedError, ServerError)),
    ):
        Auth(http).get(Url.parse(server.url), access(bob()), limit=9)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "want"),
    [
        ('Bearer realm="https://a/t",service="s"', [("bearer", {"realm": "https://a/t", "service": "s"})]),
        ('bearer Realm = https://a/t , scope="a:b c,d"', [("bearer", {"realm": "https://a/t", "scope": "a:b c,d"})]),
        ('Digest, Basic realm="x", Bearer a=b', [("digest", {}), ("basic", {"realm": "x"}), ("bearer", {"a": "b"})]),
        ('Basic realm="say \\"hi\\""', [("basic", {"realm": 'say "hi"'})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('realm="a"', []),
        ('Basic realm="unterminated', [("basic", {})]),
    ],
)  # fmt: skip
def test_challenges_are_read_as_rfc_9110_writes_them(header: str, want: list[tuple[str, dict[str, str]]]) -> None:
    """Several in one header, in any case, quoted or not; the first of two same parameters counts."""
    assert [tuple(found) for found in challenges(header)][: len(want)] == want


def test_reading_a_challenge_takes_no_time() -> None:
    """Whatever a server sends, the work is bounded."""
    for nasty in ('a="\\' * 100_000, "a=" * 100_000, 'a="' + "\\a" * 100_000, " " * 100_000 + "x"):
        challenges(nasty)


def test_it_works_over_tls(tmp_path: Path) -> None:
    """Server and token service both with certificates."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    registry = Registry()
    with Rogue(registry, tls) as server:
        registry.realm = f"{server.url}/token"
        with Http({}, Tls({}, str(tmp_path), {"*": TlsFiles(ca=str(tmp_path / "ca.pem"))})) as http:
            assert Auth(http).get(Url.parse(server.url), access(bob()), limit=9).body == b"in"
