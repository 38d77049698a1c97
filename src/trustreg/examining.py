"""Where somebody looks for what is broken: this machine, the way to each server, and what the servers say.

Every step has an end, whatever the other side does; several servers, and several addresses of one, are asked at once.
Whatever goes wrong is a finding. What the findings mean is said in :mod:`trustreg.doctor`.
"""

from __future__ import annotations

import re
import shutil
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from trustreg import doctor, inventory
from trustreg.doctor import Part, Report, finding, skipped, trouble
from trustreg.errors import (
    FileError,
    InputError,
    NotInRegistryError,
    TlsError,
    TrustregError,
    UnauthorizedError,
    UnavailableError,
    UntrustedError,
)
from trustreg.io import probe
from trustreg.io.address import Url, proxy_for
from trustreg.io.auth import Access, challenges
from trustreg.io.files import require_own
from trustreg.io.http import PlainServerError, Timeouts, handshake_error, plain
from trustreg.io.probe import Head, NotHttpError, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trustreg.doctor import Finding
    from trustreg.io.auth import Auth, Challenge
    from trustreg.io.docker import Credential
    from trustreg.io.http import Http
    from trustreg.io.probe import LookUp
    from trustreg.io.registry import HttpRegistry
    from trustreg.names import Gun, Reference
    from trustreg.wire import Route, Wiring


class Examiner:
    """Looks for what is broken.

    Args:
        wiring: Has the settings, and finds the way.
        patience: How long to wait for each step.
        look_up: Resolves names.
        clock: Reads the time, again and again: it is compared with that of the servers.
        uploads: Find out how large uploads may be, too: headers are sent of uploads that never come.
    """

    def __init__(
        self,
        wiring: Wiring,
        patience: Patience | None = None,
        look_up: LookUp = probe.look_up,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        uploads: bool = True,
    ) -> None:
        self._wiring, self._patience, self._look_up, self._clock = wiring, patience or Patience(), look_up, clock
        self._uploads = uploads

    def examine(self, targets: Sequence[Reference | str]) -> Report:
        """Return what is found on the way to *targets*, images and URLs of servers, and on this machine."""
        try:
            self._wiring.config()
            limits = self._patience
            self._wiring = self._wiring.within(Timeouts(limits.connect, limits.answer, 2 * limits.answer))
        except TrustregError as exc:
            rest = tuple(skipped("setting", *map(str, targets)))
            return Report(at=self._wiring.now(), parts=(_part("this machine", "settings", [_setting(exc), *rest]),))
        tasks: list[Callable[[], list[Part]]] = [self._machine]
        for target in dict.fromkeys(targets):
            tasks += self._tasks(target)
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            found = list(pool.map(lambda task: task(), tasks))
        return Report(at=self._wiring.now(), parts=tuple(part for parts in found for part in parts))

    def _tasks(self, target: Reference | str) -> list[Callable[[], list[Part]]]:
        if isinstance(target, str):
            return [lambda: self._guarded("server", target, lambda found: self._server(target, found))]
        return [
            lambda: self._guarded("registry", str(target), lambda found: self._registry(target, found)),
            lambda: self._guarded("trust data", str(target.gun), lambda found: self._trust(target, found)),
        ]

    def _guarded(self, what: str, name: str, examine: Callable[[list[Finding]], list[Part]]) -> list[Part]:
        """Return what *examine* finds; if it cannot go on, what it had found by then, and why."""
        found: list[Finding] = []
        try:
            return examine(found)
        except TrustregError as exc:
            found.append(_setting(exc) if isinstance(exc, InputError) else trouble(exc))
        except Exception as exc:  # noqa: BLE001 # the other parts have something to say all the same
            found.append(finding("bug", problem=plain(f"{type(exc).__name__}: {exc}")))
        return [_part(what, name, found)]

    # --- this machine ---

    def _machine(self) -> list[Part]:
        def look(found: list[Finding]) -> list[Part]:
            found += self._local()
            return [_part("this machine", "settings", found)]

        return self._guarded("this machine", "settings", look)

    def _local(self) -> Iterator[Finding]:
        yield finding("config", files=list(self._wiring.config().files) or ["no file"])
        yield from self._policy()
        yield from _trust_dir(self._wiring.trust_dir)
        yield _gpg(self._wiring.env)
        yield from self._helpers()

    def _policy(self) -> Iterator[Finding]:
        try:
            found = self._wiring.policy()
        except TrustregError as exc:
            yield _setting(exc)
            return
        if found:
            yield finding("policy", path=found.source, rules=len(found.rules))

    def _helpers(self) -> Iterator[Finding]:
        try:
            named = self._wiring.credentials().helpers()
        except TrustregError as exc:
            yield _setting(exc)
            return
        path, here = self._wiring.env.get("PATH"), []
        for where, program in named:
            if shutil.which(program, path=path):
                here.append(program)
            else:
                yield finding("helper-missing", where=where, helper=program)
        if here:
            yield finding("helper", helpers=sorted(set(here)))

    # --- registries ---

    def _registry(self, image: Reference, found: list[Finding]) -> list[Part]:
        image = self._wiring.logical(image)
        auth, registry = self._wiring.route(image.gun).auth, self._wiring.registry_of(image.gun)
        at, rest = registry.endpoint(image), (f"the manifest of {image}", "uploads")
        found.append(
            self._asked(
                image.gun, "mirror", f"the registry of {image.repository}", f"{at.authority}{at.path.rstrip('/')}"
            )
        )
        visit = self._visit(auth, at._replace(path="/v2/"), found, or_plain=True)
        if visit.head is None:
            found += skipped(visit.because, "login", *rest)
            return [_part("registry", at.authority, found)]
        if not _is_registry(visit.head):
            found.append(finding("no-registry", url=str(visit.url), status=visit.head.status))
            found += skipped("no-registry", "login", *rest)
            return [_part("registry", at.authority, found)]
        if barred := self._entry(visit.head, visit.url, auth, registry.access(image, "pull"), at.authority, found):
            found += skipped(barred, *rest)
        else:
            found += self._image(registry, image, visit.head, visit.url)
            upload = visit.url._replace(path=f"{at.path}blobs/uploads/{_NO_UPLOAD}")
            found += self._measure(visit, auth, "PATCH", upload, registry.access(image, "pull,push"), _BLOBS)
        return [_part("registry", at.authority, found), *self._token_service(visit.head, visit.url, auth)]

    def _image(self, registry: HttpRegistry, image: Reference, head: Head, url: Url) -> Iterator[Finding]:
        try:
            manifest = registry.manifest(image)
        except UnauthorizedError as exc:
            yield trouble(exc, "login-refused" if exc.where.startswith(url.origin) else "token-refused")
            yield from skipped("login-refused", f"the manifest of {image}")
            return
        except NotInRegistryError as exc:
            yield finding("admitted", what=f"it answers for {image.repository}")
            yield trouble(exc, "manifest-missing")
            return
        except UntrustedError as exc:
            yield trouble(exc, "manifest-refused")
            return
        yield finding("admitted", what=f"it answers for {image.repository}")
        yield finding(
            "manifest",
            image=str(image),
            digest=str(manifest.digest),
            length=len(manifest.raw),
            kind=manifest.media_type.rpartition("/")[2],
        )
        version = plain(head.headers.get("docker-distribution-api-version", "without a version"), 40)
        yield finding("registry", version=version, places=list(self._places(registry, image, manifest.digest, head)))

    def _places(self, registry: HttpRegistry, image: Reference, digest: object, head: Head) -> Iterator[str]:
        yield "tags"
        with suppress(UnavailableError):
            reply = registry.ask(
                image, "pull", f"referrers/{digest}", lambda auth, url, access: auth.get(url, access, limit=_LARGEST)
            )
            if reply.status == 200 and reply.media_type == "application/vnd.oci.image.index.v1+json":
                yield "referrers"
        if head.headers.get("x-registry-supports-signatures") == "1":
            yield "its signatures extension"

    # --- trust servers and stores ---

    def _trust(self, image: Reference, found: list[Finding]) -> list[Part]:
        image = self._wiring.logical(image)
        route = self._wiring.route(image.gun)
        settings = route.settings
        if settings.store is None:
            found.append(self._asked(image.gun, "server", f"the trust server of {image.gun}", settings.server))
            return self._trust_server(route, Url.parse(settings.server), image, found)
        found.append(self._asked(image.gun, "store", f"the store of {image.gun}", settings.place))
        if settings.store.scheme in {"https", "http"}:
            visit = self._visit(route.auth, _below(Url.parse(str(settings.store)), "metadata/"), found)
            if visit.head is None:
                found += skipped(visit.because, f"the collection {image.gun}")
                return [_part("store", settings.place, found)]
        found += self._collection(route, image)
        return [_part("store", settings.place, found)]

    def _trust_server(self, route: Route, server: Url, image: Reference | None, found: list[Finding]) -> list[Part]:
        what, where = "trust server" if image else "server", str(server).removesuffix("/")
        auth, name = route.auth, str(image.gun) if image else ""
        way: list[Finding] = []
        visit = self._visit(auth, _below(server, "v2/"), way)
        if image and visit.head is None and not route.settings.named_server:  # its registry is looked at all the same
            found.append(finding("no-trust-server-there", where=where))
            return [_part(what, where, found)]
        found += way
        rest = (f"the collection {name}", "uploads") if image else ()
        if visit.head is None:
            found += skipped(visit.because, "login", *rest)
            return [_part(what, where, found)]
        scope = f"repository:{name}:" if image else "registry:catalog:"
        login = f"log in: docker login {server.authority}, or set NOTARY_AUTH"
        access = Access(f"{scope}{'pull' if image else '*'}", lambda: self._logins(route, server, image), login)
        if barred := self._entry(visit.head, visit.url, auth, access, server.authority, found):
            found += skipped(barred, *rest)
        elif image is None:
            found += self._ping(visit.head, visit.url, auth, access)
        else:
            found += self._collection(route, image)
            if not any(each.code.startswith("no-trust-server") for each in found):
                write = access._replace(scope=f"{scope}push,pull")
                upload = _below(server, f"v2/{name}/_trust/tuf/")
                found += self._measure(visit, auth, "POST", upload, write, _PUBLICATIONS)
        return [_part(what, where, found), *self._token_service(visit.head, visit.url, auth)]

    def _logins(self, route: Route, server: Url, image: Reference | None) -> Iterator[Credential]:
        """Yield the logins for a trust server, as :class:`trustreg.io.notary.NotaryServer` looks for them."""
        keyring, own = route.credentials, server.authority
        found = [keyring.trust_server(own) if route.settings.named_server else None]
        found.append(keyring.find(own, str(image.gun) if image else ""))
        found.append(keyring.find(image.domain, image.path) if image else None)
        yield from filter(None, found)

    def _collection(self, route: Route, image: Reference) -> Iterator[Finding]:
        settings = route.settings
        seen = inventory.read(str(image.gun), route.sites, self._wiring.now())
        named = settings.named_server or settings.store is not None
        pins = settings.pins
        pinned = bool(pins.keys or pins.certificates or pins.authorities or pins.root or pins.also)
        return doctor.of_collection(seen, self._wiring.now(), image.tag, named=named, pinned=pinned)

    # --- servers by their address ---

    def _server(self, text: str, found: list[Finding]) -> list[Part]:
        route, url = self._wiring.route(text), Url.parse(text)
        found.append(finding("asked", what="the server", url=str(url).removesuffix("/"), source="as you say"))
        return self._trust_server(route, url, None, found)

    def _ping(self, head: Head, url: Url, auth: Auth, access: Access) -> Iterator[Finding]:
        if head.status not in {200, 401}:
            problem = f"{url} answers {head.status}"
            yield finding("no-trust-server", where=url.origin, problem=problem)
        elif head.status == 401:
            try:
                reply = auth.get(url, access, limit=_LARGEST)
            except UnauthorizedError as exc:
                yield trouble(exc, "login-refused" if exc.where.startswith(url.origin) else "token-refused")
            else:
                yield finding("admitted", what=f"it answers {reply.status}")

    # --- the way to one server ---

    def _visit(self, auth: Auth, url: Url, found: list[Finding], *, or_plain: bool = False) -> _Visit:
        """Go to *url*, step by step, at each of its addresses; *or_plain* http where nobody speaks https and it may."""
        http = auth.http
        if proxy := proxy_for(url, self._wiring.env):
            visit = self._visit_through(http, url, proxy.at)
        else:
            or_plain = or_plain and http.may_be_plain(url)
            visit = self._visit_directly(http, url, or_plain=or_plain)
            other = Url.parse(f"http://{url.authority}{url.path}")
            reached = any(each.code == "connected" for each in visit.found)
            if or_plain and not reached and other.port != url.port:
                visit = self._visit_directly(http, other, or_plain=True)
        found += visit.found
        return visit

    def _visit_directly(self, http: Http, url: Url, *, or_plain: bool) -> _Visit:
        try:
            addresses = probe.resolve(url.host, url.port, self._patience, self._look_up)
        except OSError as exc:
            return _Visit(url, [_unresolved(url, exc)], because="unresolved")
        found = [] if addresses == (url.host,) else [finding("resolved", host=url.host, addresses=list(addresses))]
        with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
            seen = list(pool.map(lambda address: self._address(http, url, address, or_plain=or_plain), addresses))
        by_address = {address: each.found for address, each in zip(addresses, seen, strict=True)}
        reached = [address for address, each in by_address.items() if each[0].code == "connected"]
        if reached and url.loopback:  # who listens on this machine need not do so at all of its addresses
            by_address = {address: by_address[address] for address in reached}
        found += doctor.gathered(by_address)
        if first := next((each for each in seen if each.head), None):
            return first._replace(found=found)
        if not reached and (len(addresses) > 1 or found[-1].status != doctor.FAILED):
            found.append(finding("unreachable", host=url.host))
        return _Visit(
            url, found, because=[each.code for each in found if each.status in {doctor.FAILED, doctor.UNKNOWN}][-1]
        )

    def _address(self, http: Http, url: Url, address: str, *, or_plain: bool) -> _Visit:
        found: list[Finding] = []
        found.append(self._connected(address, url))
        if found[0].code != "connected":
            return _Visit(url, found)
        if url.scheme == "https":
            url = self._secured(http, url, address, found, or_plain=or_plain)
        if any(each.status == doctor.FAILED for each in found):
            return _Visit(url, found)
        if url.scheme == "http":
            found.append(finding("plain", why="it is this machine" if url.loopback else "so it is set"))
        head = self._answer(http, url, address, found)
        return _Visit(url, found, head if head and head.status != 429 and head.status < 500 else None, address)

    def _connected(self, address: str, url: Url) -> Finding:
        try:
            probe.connect(address, url.port, self._patience).close()
        except ConnectionRefusedError:
            return finding("refused", port=url.port)
        except TimeoutError:
            return finding("silent", port=url.port, seconds=f"{self._patience.connect:g}")
        except OSError as exc:
            return finding("unroutable", problem=plain((exc.strerror or str(exc)).lower()))
        return finding("connected", port=url.port)

    def _secured(self, http: Http, url: Url, address: str, found: list[Finding], *, or_plain: bool) -> Url:
        """Add what TLS shows to *found*; return *url*, in plain where that is spoken there and allowed."""
        tls, authorities = http.tls, http.tls.sources(url.host, url.port)
        try:
            shown = probe.handshake(address, url, tls, self._patience)
        except ssl.SSLError as exc:
            error = handshake_error(exc, url)
            if not isinstance(error, PlainServerError):
                hint = error.hint or _LOG
                found.append(finding("handshake", problem=error.problem, hint=hint))
            elif or_plain:
                return url._replace(scheme="http")
            else:
                found.append(finding("no-tls", port=url.port))
            return url
        except OSError as exc:
            problem = "no answer in time" if isinstance(exc, TimeoutError) else "the connection was closed"
            found.append(finding("handshake", problem=problem, hint=_PORT))
            return url
        seen = shown.certificate
        if seen is None:
            problem = "its certificate cannot be read"
            found.append(finding("handshake", problem=problem, hint="have another one issued"))
            return url
        ca_file = tls.ca_file(url.host, url.port)
        now = self._wiring.today()
        found += doctor.of_certificate(url.host, seen, now, chain=shown.chain, fits=shown.fits, ca_file=ca_file)
        if shown.version:
            found.append(
                finding(
                    "tls",
                    version=shown.version,
                    names=list(seen.names),
                    issuer=seen.issuer,
                    ends=f"{seen.ends:%Y-%m-%dT%H:%M:%SZ}",
                    cas=list(authorities.authorities),
                )
            )
            if authorities.certificate:
                found.append(finding("client-certificate", path=authorities.certificate))
        return url

    def _answer(self, http: Http, url: Url, address: str, found: list[Finding]) -> Head | None:
        path, tls = url.path, http.tls if url.scheme == "https" else None
        try:
            head = probe.ask(address, url, tls, self._patience, Connection="close")
        except NotHttpError:
            found.append(finding("not-http", port=url.port))
            return None
        except ssl.SSLError as exc:
            error = handshake_error(exc, url)
            found.append(finding("handshake", problem=error.problem, hint=error.hint or _LOG))
            return None
        except OSError as exc:
            slow = isinstance(exc, TimeoutError)
            problem = f"not within {self._patience.answer:g} s" if slow else "it closes the connection"
            found.append(finding("no-answer", path=path, problem=problem))
            return None
        if head is None:
            found.append(finding("no-answer", path=path, problem="it closes the connection"))
            return None
        found += [_answered(head, url), self._shown_by(head)]
        return head

    def _visit_through(self, http: Http, url: Url, proxy: Url) -> _Visit:
        """Go to *url* through *proxy*, of which the way is looked at; the addresses are its business."""
        found, at = [finding("proxy", host=url.host, proxy=proxy.origin)], [url.authority]
        try:
            addresses = probe.resolve(proxy.host, proxy.port, self._patience, self._look_up)
        except OSError as exc:
            return _Visit(url, [*found, _unresolved(proxy, exc)], because="unresolved")
        found += doctor.gathered({address: [self._connected(address, proxy)] for address in addresses})
        if not any(each.code == "connected" for each in found):
            return _Visit(url, found, because="unreachable")
        try:
            reply = http.get(url, limit=_LARGEST)
        except TlsError as exc:
            failed = finding("handshake", at=at, problem=exc.problem, hint=exc.hint or _LOG)
            return _Visit(url, [*found, failed], because="handshake")
        except UnavailableError as exc:
            failed = finding("no-answer", at=at, path=url.path, problem=str(exc))
            return _Visit(url, [*found, failed], because="no-answer")
        head = Head(reply.status, reply.headers)
        told = doctor.gathered({url.authority: [_answered(head, url), self._shown_by(head)]})
        good = told[0].code == "answers"
        return _Visit(url, [*found, *told], head if good else None, because=told[0].code)

    def _shown_by(self, head: Head) -> Finding:
        try:
            theirs = parsedate_to_datetime(head.headers["date"])
            return doctor.of_clock(theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC), self._clock())
        except (KeyError, ValueError, TypeError, OverflowError):
            return finding("clock-unread")

    # --- getting in ---

    def _entry(
        self, head: Head, url: Url, auth: Auth, access: Access, account: str, found: list[Finding]
    ) -> str | None:
        """Add to *found* which login *url* asks for, and what is here for it; return the code of what bars the way."""
        if head.status != 401:
            found.append(finding("open"))
            return None
        chosen, realm = _challenge(head), url
        if chosen is None:
            found.append(finding("challenge-unreadable"))
            return "challenge-unreadable"
        service = "user and password"
        if chosen.scheme == "bearer":
            try:
                realm = auth.realm(url, chosen)
            except UnavailableError as exc:
                found.append(finding("realm-refused", problem=str(exc)))
                return "realm-refused"
            service = f"tokens from {realm.origin}{realm.path}"
        found.append(finding("challenge", scheme=chosen.scheme.title(), realm=service))
        try:
            logins = list(access.credentials())
        except TrustregError as exc:
            found.append(trouble(exc, "credentials-broken"))
            return "credentials-broken"
        usable = [login for login in logins if auth.may_see(realm, login)]
        if usable:
            found.append(finding("credentials", host=usable[0].host, source=usable[0].source))
        elif logins:
            found += (
                finding("credentials-held-back", source=login.source, host=login.host, realm=realm.authority)
                for login in logins
            )
        else:
            found.append(finding("no-credentials", host=account))
        return None

    def _token_service(self, head: Head, url: Url, auth: Auth) -> list[Part]:
        """Return what is found on the way to the token service, where that is another host."""
        chosen = _challenge(head) if head.status == 401 else None
        if not chosen or chosen.scheme != "bearer":
            return []
        try:
            realm = auth.realm(url, chosen)
        except UnavailableError:
            return []
        if realm.authority == url.authority:
            return []
        return self._guarded("token service", realm.origin, lambda found: self._service(auth, realm, found))

    def _service(self, auth: Auth, realm: Url, found: list[Finding]) -> list[Part]:
        self._visit(auth, realm, found)  # without what it needs to give a token: how it likes that says nothing
        return [_part("token service", realm.origin, (each for each in found if each.code != "server-error"))]

    # --- uploads ---

    def _measure(
        self, visit: _Visit, auth: Auth, method: str, url: Url, access: Access, sizes: Sequence[int]
    ) -> Iterator[Finding]:
        """Yield how large uploads may be: by headers of some that nobody could take, whose bodies never come."""
        if not self._uploads:
            return
        if not visit.address:
            yield from skipped("proxy", "uploads")
            return
        answers: dict[int, int | None] = {}
        for size in sizes:
            try:
                answers[size] = self._refuses(visit, auth, method, url, access, size)
            except (OSError, NotHttpError, TrustregError):
                return
            if answers[size] != 413:
                break
        if said := doctor.of_uploads(answers):
            yield said

    def _refuses(self, visit: _Visit, auth: Auth, method: str, url: Url, access: Access, size: int) -> int | None:
        tls = auth.http.tls if url.scheme == "https" else None
        patience = self._patience._replace(answer=min(_WAIT, self._patience.answer))

        def announce(**more: str) -> int | None:
            try:
                head = probe.ask(
                    visit.address,
                    url,
                    tls,
                    patience,
                    method=method,
                    Content_Type="application/octet-stream",
                    Content_Length=str(size),
                    Expect="100-continue",
                    Connection="close",
                    **more,
                )
            except TimeoutError:  # it waits for the body, so it does not mind its length
                return None
            return head.status if head else None

        status = announce()
        if status == 401:  # whoever asks for a login first may look at the length afterwards
            with suppress(TrustregError):
                if ticket := auth.pass_for(url, access):
                    return announce(Authorization=ticket)
        return status

    def _asked(self, gun: Gun, name: str, what: str, url: str) -> Finding:
        rows = {row.name: row for row in self._wiring.config().explain(gun)}
        source = rows[name].source if name in rows else "default"
        return finding("asked", what=what, url=url, source=source)


class _Visit(NamedTuple):
    """How far one comes: the ``head`` of the answer at ``address``, or else the code of what is in the way."""

    url: Url
    found: list[Finding]
    head: Head | None = None
    address: str = ""
    because: str = ""


def _part(what: str, name: str, findings: Iterable[Finding]) -> Part:
    return Part(what=what, name=name, findings=tuple(findings))


def _setting(error: TrustregError) -> Finding:
    hint = error.remedy or "correct it; trustreg config show says what is set, and where"
    return finding("setting", problem=str(error), hint=hint)


def _unresolved(url: Url, error: OSError) -> Finding:
    return finding("unresolved", host=url.host, problem=plain(error.strerror or error))


def _answered(head: Head, url: Url) -> Finding:
    code = "server-error" if head.status >= 500 else "busy" if head.status == 429 else "answers"
    return finding(code, status=head.status, path=url.path)


def _trust_dir(path: Path) -> Iterator[Finding]:
    try:
        path.lstat()
    except OSError as exc:
        state = ", which is not there yet" if isinstance(exc, FileNotFoundError) else ""
        yield (
            finding("trust-dir", path=str(path), state=state)
            if state
            else trouble(FileError(str(path), exc.strerror or "it cannot be read"), "trust-dir-unusable")
        )
        return
    try:
        require_own(path)
    except FileError as exc:
        yield trouble(exc, "trust-dir-unusable")
        return
    yield finding("trust-dir", path=str(path), state="")
    private = path / "private"
    with suppress(OSError):
        for file in islice(private.rglob("*"), _MOST_KEYS):
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o044:
                yield finding("key-exposed", path=str(private))
                return


def _gpg(env: Mapping[str, str]) -> Finding:
    import subprocess
    from importlib.util import find_spec

    path = shutil.which("gpg", path=env.get("PATH"))
    problem = "it is not in PATH" if path is None else "python-gnupg is not installed" if not find_spec("gnupg") else ""
    if path is None or problem:
        return finding("gpg-missing", problem=problem)
    try:
        ran = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=True, env={"LC_ALL": "C"})
    except (OSError, subprocess.SubprocessError) as exc:
        return finding("gpg-missing", problem=plain(exc))
    said = re.match(rb"gpg \(GnuPG[^)]*\) (\d+(?:\.\d+)*)", ran.stdout)
    return finding("gpg", version=said[1].decode() if said else "of unknown version", path=path)


def _challenge(head: Head) -> Challenge | None:
    offered = {each.scheme: each for each in reversed(challenges(head.headers.get("www-authenticate", "")))}
    return offered.get("bearer") or offered.get("basic")


def _is_registry(head: Head) -> bool:
    versioned = head.headers.get("docker-distribution-api-version", "").startswith("registry/2")
    return versioned or (head.status in {200, 401} and "html" not in head.headers.get("content-type", ""))


def _below(url: Url, path: str) -> Url:
    return url._replace(path=f"{url.path.rstrip('/')}/{path}", query="")


_LOG, _PORT = "look at the log of the server", "check the port: what listens there may be no https"
_AT_ONCE = 8
_MOST_KEYS = 1000
_LARGEST = 4 << 20  # bytes
_WAIT = 3.0  # seconds; a proxy that minds the length says so at once
_NO_UPLOAD = "00000000-0000-0000-0000-000000000000"  # there is no such upload, so nothing can be added to it
_BLOBS = (64 << 20, 8 << 20, 1 << 20)  # bytes: layers are often that large; nginx takes one MiB where nobody says more
_PUBLICATIONS = (8 << 20, 1 << 20, 64 << 10)  # bytes: trust data of 80 000 tags; and so on
