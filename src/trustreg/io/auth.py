"""Getting in: Bearer and Basic challenges, and who may see which credentials.

A request goes out without credentials first. On 401 the server's challenge is answered: *Basic* with user and
password, *Bearer* with an access token from the token service (``realm``) that the challenge names. What a server asked
for is remembered, and tokens are kept until they expire, so that the next request goes out complete. Tokens are opaque.

The server chooses the realm, so the realm is not trusted: credentials go to the host that they are kept for (at any
port), to hosts known to be its token service (Docker Hub, GitLab, DigitalOcean) and to those in ``realms``, never
elsewhere. Any other realm is asked without credentials, which is enough for what is public; if it is not, the error
says what was held back. From https, a realm over plain http is refused. A redirect to another host gets nothing.

The scope is what we need, not what the challenge says; but if a token turns out too narrow, the scope that the server
then names is asked for too, once.

Sources: distribution ``docs/spec/auth/{token,oauth,jwt}.md``; RFC 9110 section 11; RFC 6750 section 3.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from trustreg.errors import ServerError, TooLargeError, UnauthorizedError
from trustreg.io.address import Url
from trustreg.io.http import clock_hint, explanation, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from trustreg.io.docker import Credential
    from trustreg.io.http import Body, Http, Reply


class Access(NamedTuple):
    """What a request needs: ``scope``, and ``credentials`` to call for those that may help, the best first.

    ``login`` tells a person how to get some.
    """

    scope: str
    credentials: Callable[[], Iterable[Credential]]
    login: str


class Challenge(NamedTuple):
    """One entry of ``WWW-Authenticate``; the names of scheme and parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


class Auth:
    """An HTTP client that gets in. Threads may share it, and should: it holds the tokens.

    Args:
        http: Carries the requests.
        realms: Hosts that may see the credentials of another: ``{"registry.example": ["login.example"]}``.
        clock: Reads the seconds, monotonic.
    """

    def __init__(
        self,
        http: Http,
        *,
        realms: Mapping[str, Collection[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.http = http
        self._realms, self._clock = realms or {}, clock
        self._challenges: dict[str, Challenge] = {}
        self._tickets: dict[tuple[str, ...], _Ticket] = {}
        self._lock = Lock()

    def get(self, url: Url, access: Access, *, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Read *url*; any status but 401 comes back as it is.

        Raises:
            UnauthorizedError: The server does not let us in, or its token service does not.
            SettingError: Credentials are here and cannot be read.
            UnavailableError: There is no answer, or one that makes no sense.
        """
        return self._admitted(url, access, headers or {}, lambda sent: self.http.get(url, limit=limit, headers=sent))

    def head(self, url: Url, access: Access, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for what :meth:`get` would, without its body."""
        return self._admitted(url, access, headers or {}, lambda sent: self.http.head(url, headers=sent))

    @contextmanager
    def stream(self, url: Url, access: Access, *, headers: Mapping[str, str] | None = None) -> Iterator[Reply]:
        """Read *url* piece by piece, while the context lasts: see :meth:`Http.stream`."""
        with ExitStack() as held:
            yield self._admitted(
                url, access, headers or {}, lambda sent: held.enter_context(self.http.stream(url, headers=sent))
            )

    def put(
        self,
        url: Url,
        access: Access,
        body: bytes | Body,
        media_type: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send *body*, and again if it was refused with 401: then the server has done nothing with it."""
        return self._admitted(
            url, access, headers or {}, lambda sent: self.http.put(url, body, media_type, limit=limit, headers=sent)
        )

    def post(
        self,
        url: Url,
        access: Access,
        body: bytes,
        media_type: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send *body* as :meth:`put` does."""
        return self._admitted(
            url, access, headers or {}, lambda sent: self.http.post(url, body, media_type, limit=limit, headers=sent)
        )

    def delete(self, url: Url, access: Access, *, limit: int) -> Reply:
        """Delete what *url* names."""
        return self._admitted(url, access, {}, lambda sent: self.http.delete(url, limit=limit, headers=sent))

    def pass_for(self, url: Url, access: Access) -> str:
        """Return what *url* is to be sent as ``Authorization``, by what was asked for there before; empty if nothing.

        Raises:
            SettingError: Credentials are here and cannot be read.
            UnavailableError: The token service gives none.
        """
        known = self._challenges.get(url.origin)
        return self._ticket(url, known, access, (access.scope,)).header if known else ""

    def _admitted(
        self, url: Url, access: Access, headers: Mapping[str, str], send: Callable[[Mapping[str, str]], Reply]
    ) -> Reply:
        known = self._challenges.get(url.origin)
        scopes: tuple[str, ...] = (access.scope,)
        ticket = self._ticket(url, known, access, scopes) if known else _NO_TICKET
        answered = False  # whether the ticket answers a challenge to this request, not to an earlier one
        while True:
            reply = send({**headers, "Authorization": ticket.header} if ticket.header else headers)
            if reply.status != 401:
                return reply
            if reply.url.origin != url.origin:
                raise refusal(reply)
            challenge = _choose(reply)
            if answered:
                more = challenge.parameters.get("scope", "")
                if challenge.parameters.get("error") != "insufficient_scope" or not more or len(scopes) > 1:
                    raise _refused(reply, access, ticket)
                scopes = (access.scope, more)
            with self._lock:
                self._challenges[url.origin] = challenge
                self._tickets.pop((url.origin, *scopes), None)
            sent, answered = ticket.header, True
            ticket = self._ticket(url, challenge, access, scopes)
            if ticket.header in {"", sent}:
                raise _refused(reply, access, ticket)

    def _ticket(self, url: Url, challenge: Challenge, access: Access, scopes: tuple[str, ...]) -> _Ticket:
        """Return the ticket that is kept for *scopes*, or else answer *challenge*, as far as we can."""
        key = (url.origin, *scopes)
        with self._lock:
            ticket = self._tickets.get(key, _NO_TICKET)
        if self._clock() < ticket.until:
            return ticket
        ticket = self._answer(url, challenge, access, scopes)
        with self._lock:
            self._tickets[key] = ticket
        return ticket

    def _answer(self, url: Url, challenge: Challenge, access: Access, scopes: tuple[str, ...]) -> _Ticket:
        realm = self.realm(url, challenge) if challenge.scheme == "bearer" else None
        ticket = _Ticket(until=self._clock() + _SHORTEST_LIFE, asked=(realm or url).authority)
        for credential in access.credentials():
            if credential.registry_token and self.may_see(url, credential):
                return ticket._replace(header=f"Bearer {credential.registry_token}", credential=credential)
            if not self.may_see(realm or url, credential):
                ticket = ticket._replace(held_back=credential)
            elif realm:
                return self._fetch(realm, challenge, access, scopes, ticket._replace(credential=credential))
            elif credential.user:
                return ticket._replace(header=_basic(credential), credential=credential)
        return self._fetch(realm, challenge, access, scopes, ticket) if realm else ticket

    def realm(self, url: Url, challenge: Challenge) -> Url:
        """Return the token service that *challenge* names; raise :class:`ServerError` where nobody may go there."""
        try:
            realm = Url.parse(challenge.parameters.get("realm", ""))
        except ValueError as exc:
            raise ServerError(url.origin, 401, f"it names a token service that is no proper URL: {exc}") from exc
        downgrade = url.scheme == "https" and not (url.loopback and realm.loopback)
        if realm.scheme == "http" and (downgrade or not self.http.may_be_plain(realm)):
            raise ServerError(url.origin, 401, f"it names a token service that speaks plain http, {realm.origin}")
        return realm

    def may_see(self, url: Url, credential: Credential) -> bool:
        """Say whether *credential* may be shown at *url*: to the host that it is kept for, or its token service."""
        host = credential.host
        allowed = {_hostname(host), *_REALMS.get(host, ()), *self._realms.get(host, ())}
        return url.host in allowed or url.authority in allowed

    def _fetch(
        self, realm: Url, challenge: Challenge, access: Access, scopes: tuple[str, ...], ticket: _Ticket
    ) -> _Ticket:
        """Fill in *ticket* at the token service, with its credential or without."""
        try:
            reply = self._ask(realm, challenge.parameters.get("service", ""), scopes, ticket.credential)
        except TooLargeError as exc:
            raise ServerError(str(realm), 200, "its answer is too long to be a token") from exc
        if reply.status in {400, 401, 403}:
            raise _refused(reply, access, ticket)
        if reply.status != 200:
            raise refusal(reply)
        token, lasts = _read_token(reply)
        return ticket._replace(header=f"Bearer {token}", until=self._clock() + lasts)

    def _ask(self, realm: Url, service: str, scopes: tuple[str, ...], credential: Credential | None) -> Reply:
        from urllib.parse import urlencode

        named = [("service", service)] if service else []
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                **dict(named),
                "client_id": "trustreg",
                "scope": " ".join(scopes),
                "refresh_token": credential.identity_token,
            }
            body = urlencode(form).encode()
            return self.http.post(realm, body, "application/x-www-form-urlencoded", limit=_LARGEST_ANSWER)
        named += [("scope", scope) for scope in scopes]
        headers = {}
        if credential and credential.user:
            named.insert(0, ("account", credential.user))
            headers["Authorization"] = _basic(credential)
        query = "&".join(filter(None, [realm.query, urlencode(named)]))
        return self.http.get(realm._replace(query=query), limit=_LARGEST_ANSWER, headers=headers)


class _Ticket(NamedTuple):
    """The value of ``Authorization``, good ``until`` then.

    It was made with ``credential``, or without any because ``held_back`` is none that the host ``asked`` may see. A
    password is read again when the least life of a token has passed, for a process that runs for months.
    """

    header: str = ""
    until: float = 0.0
    asked: str = ""
    credential: Credential | None = None
    held_back: Credential | None = None


def challenges(header: str) -> list[Challenge]:
    """Read ``WWW-Authenticate``: what can be read of it, and nothing where it is garbage."""
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(header[:_LONGEST_HEADER]):
        if scheme := part["scheme"]:
            found.append((scheme.lower(), {}))
        elif found:
            value = part["bare"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1].setdefault(part["name"].lower(), value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def _refused(reply: Reply, access: Access, ticket: _Ticket) -> UnauthorizedError:
    if ticket.credential:
        problem = f"the login in {ticket.credential.source} is wrong, or not enough for {access.scope}"
        hint = clock_hint(reply) or f"{access.login} as a user who may; the server's log says more"
    elif held := ticket.held_back:
        problem = f"the login in {held.source} was held back: {ticket.asked} is not known to belong to {held.host}"
        hint = f"if {ticket.asked} is the token service of {held.host}, say so in the configuration (realms)"
    else:
        problem, hint = "it wants a login and there is none here", access.login
    said = explanation(reply)
    return UnauthorizedError(str(reply.url), reply.status, f"{problem} ({said})" if said else problem, hint)


def _choose(reply: Reply) -> Challenge:
    readable = challenges(reply.headers.get("www-authenticate", ""))
    offered = {challenge.scheme: challenge for challenge in reversed(readable)}
    if chosen := offered.get("bearer") or offered.get("basic"):
        return chosen
    raise UnauthorizedError(str(reply.url), 401, "it wants a login and names no way that we know, Bearer or Basic")


def _read_token(reply: Reply) -> tuple[str, float]:
    import orjson

    try:
        answer = orjson.loads(reply.body)
        token = answer.get("token") or answer.get("access_token")
        lasts = answer.get("expires_in")
    except (ValueError, AttributeError):
        token = lasts = None
    if not (isinstance(token, str) and len(token) <= _LONGEST_TOKEN and _TOKEN.fullmatch(token)):
        raise ServerError(str(reply.url), reply.status, "its answer holds no token")
    seconds = lasts if isinstance(lasts, int) and not isinstance(lasts, bool) else 0
    return token, 0.9 * max(_SHORTEST_LIFE, seconds)  # a tenth is left for clocks and requests under way


def _basic(credential: Credential) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(f'{credential.user}:{credential.password}'.encode()).decode()}"


def _hostname(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return (host if colon and port.isdigit() else authority).strip("[]").lower()


_NO_TICKET = _Ticket()
_REALMS: Mapping[str, Collection[str]] = {
    "docker.io": ("auth.docker.io", "registry-1.docker.io", "index.docker.io"),
    "notary.docker.io": ("auth.docker.io",),
    "registry.gitlab.com": ("gitlab.com",),
    "registry.digitalocean.com": ("api.digitalocean.com",),
}
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PART = re.compile(
    rf'(?P<name>{_NAME})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s",=]+))|(?P<scheme>{_NAME})(?=[\s,]|$)'
)
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LONGEST_HEADER = 16_384
_LONGEST_TOKEN = 32_768  # characters; Go servers take 1 MiB of headers, nginx 8 KiB
_LARGEST_ANSWER = 262_144  # bytes; an access and a refresh token with some room
_SHORTEST_LIFE = 60  # seconds: the specification's default, and the least that clients have to be given
