"""One address at a time: whether it takes connections, what it shows of itself by TLS, and how it answers.

The client in :mod:`trustreg.io.http` takes whichever address of a name works, and is content. Here each is asked by
itself, so that one broken server of several is found. Nothing is believed of what comes back, and nothing is sent that
could change anything: of an upload only the headers.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from trustreg._version import __version__
from trustreg.doctor import Certificate
from trustreg.io.http import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import BufferedReader

    from trustreg.io.address import Url
    from trustreg.io.tls import Tls

LookUp: TypeAlias = "Callable[[str, int], list[Any]]"


class Patience(NamedTuple):
    """Seconds: to resolve a name, to connect to an address, and for an exchange with it."""

    resolve: float = 5.0
    connect: float = 5.0
    answer: float = 10.0


class Head(NamedTuple):
    """The beginning of an answer: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class Shown(NamedTuple):
    """How a TLS handshake went: ``version`` if it succeeded, else what OpenSSL makes of the ``certificate``.

    ``fits`` says whether the certificate is for the host, ``chain`` why it leads to no CA that is trusted.
    """

    version: str
    certificate: Certificate | None
    fits: bool = True
    chain: str | None = None


class NotHttpError(Exception):
    """What came back is not HTTP."""


def look_up(host: str, port: int) -> list[Any]:
    """Return what the system knows of the name *host*."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def resolve(host: str, port: int, patience: Patience, look_up: LookUp) -> tuple[str, ...]:
    """Return the addresses of *host*, at most sixteen.

    Raises:
        OSError: It has none; ``TimeoutError``: nobody could say in time.
    """
    found: SimpleQueue[list[Any] | OSError | UnicodeError] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(look_up(host, port))
        except (OSError, UnicodeError) as exc:
            found.put(exc)

    Thread(target=ask, daemon=True).start()  # nothing else ends a look-up
    try:
        entries = found.get(timeout=patience.resolve)
    except Empty:
        raise TimeoutError(f"no answer within {patience.resolve:g} s") from None
    if isinstance(entries, OSError):
        raise entries
    if isinstance(entries, UnicodeError):
        raise OSError(0, "this is not the name of a host")
    if not entries:
        raise OSError(0, "it has no addresses")
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))[:_MOST]


def connect(address: str, port: int, patience: Patience) -> socket.socket:
    """Return a connection to *address*; raise ``OSError``."""
    return socket.create_connection((address, port), patience.connect)


def handshake(address: str, url: Url, tls: Tls, patience: Patience) -> Shown:
    """Return what *address* shows of itself as the host of *url*.

    Raises:
        ssl.SSLError: There was no handshake, for another reason than the certificate.
        OSError: The connection broke, or took too long.
        SettingError: A file that was set for the host cannot be used.
    """
    context = tls.context(url.host, url.port)
    try:
        with connect(address, url.port, patience) as raw, _secured(raw, context, url.host, patience) as shown:
            der, sent = shown.getpeercert(binary_form=True), _sent(shown)
            return Shown(shown.version() or "TLS", _certificate(der, sent, context))
    except ssl.SSLCertVerificationError as exc:
        problem = exc
    with (
        connect(address, url.port, patience) as raw,
        _secured(raw, _credulous(), url.host, patience) as shown,  # to look at, not to speak to
    ):
        der, sent = shown.getpeercert(binary_form=True), _sent(shown)
    chain = problem.verify_message if problem.verify_code in _CHAIN else None
    certificate = _certificate(der, sent, context)
    if certificate is None or (not chain and problem.verify_code not in _DATES | _NAMES):
        raise problem
    fits = problem.verify_code not in _NAMES
    if chain and der:
        fits = _fits(address, url, der, patience)
    return Shown("", certificate, fits, chain)


def ask(
    address: str, url: Url, tls: Tls | None, patience: Patience, *, method: str = "GET", **headers: str
) -> Head | None:
    """Return the beginning of what *address* answers when asked for *url*; ``None`` where it closes instead.

    Header names are spelled with ``_``. With *tls* its certificate has to be good.

    Raises:
        NotHttpError: It answers something else than HTTP.
        TimeoutError: There was no answer in time.
        OSError: The connection broke.
    """
    fields = {
        "Host": url.authority,
        "User-Agent": f"trustreg/{__version__}",
        "Accept-Encoding": "identity",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {url.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    with connect(address, url.port, patience) as raw:
        if tls is None:
            return _exchange(raw, "\r\n".join(lines), patience)
        with _secured(raw, tls.context(url.host, url.port), url.host, patience) as secured:
            return _exchange(secured, "\r\n".join(lines), patience)


def _exchange(connection: socket.socket, request: str, patience: Patience) -> Head | None:
    connection.settimeout(patience.answer)
    with _cut_after(connection, patience.answer) as cut, connection.makefile("rb") as file:
        try:
            with suppress(OSError):  # who closes early may have said why
                connection.sendall(request.encode("latin-1"))
            head = _head(file)
        except (OSError, NotHttpError):
            if cut():
                raise TimeoutError from None
            raise
        if cut():  # which looks like the end of what it had to say
            raise TimeoutError
        return head


def _head(file: BufferedReader) -> Head | None:
    from http.client import HTTPException, parse_headers

    line = file.readline(1024)
    if not line:
        return None
    found = _STATUS_LINE.match(line)
    if not found:
        raise NotHttpError
    try:
        headers = parse_headers(file)  # which has a limit of its own
    except (HTTPException, ValueError) as exc:
        raise NotHttpError from exc
    return Head(int(found[1]), {name.lower(): value for name, value in headers.items()})


@contextmanager
def _cut_after(connection: socket.socket, seconds: float) -> Iterator[Callable[[], bool]]:
    """End all reading and writing after *seconds*, however busy the other side looks; yields whether that was done."""
    done: list[bool] = []

    def cut() -> None:
        done.append(True)
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # without telling TLS, which another thread uses

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: bool(done)
    finally:
        timer.cancel()


@contextmanager
def _secured(raw: socket.socket, context: ssl.SSLContext, host: str, patience: Patience) -> Iterator[ssl.SSLSocket]:
    raw.settimeout(patience.answer)
    with context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False) as secured:
        with _cut_after(secured, patience.answer) as cut:
            try:
                secured.do_handshake()
            except OSError:
                if cut():
                    raise TimeoutError from None
                raise
        yield secured


def _credulous() -> ssl.SSLContext:
    """Return a context that takes any certificate: to see what it says. Nothing is sent to who shows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _fits(address: str, url: Url, der: bytes, patience: Patience) -> bool:
    """Say whether the certificate *der* of *address* is for the host of *url*, whoever issued it: OpenSSL knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=der)
        with connect(address, url.port, patience) as raw, _secured(raw, context, url.host, patience):
            return True
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_code not in _NAMES
    except OSError:
        return True


def _sent(shown: ssl.SSLSocket) -> int:
    """Return how many certificates came; 0 where this Python does not say."""
    chain = getattr(shown, "get_unverified_chain", None)  # from 3.13 on
    if chain is None:
        chain = getattr(getattr(shown, "_sslobj", None), "get_unverified_chain", None)
    return len(chain() or ()) if chain else 0


def _certificate(der: bytes | None, sent: int, context: ssl.SSLContext) -> Certificate | None:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

    def first(name: x509.Name, oid: Any) -> str:
        found = name.get_attributes_for_oid(oid)
        return plain(str(found[0].value), 80) if found else ""

    try:
        found = x509.load_der_x509_certificate(der or b"")
        names: list[str] = []
        access: list[Any] = []
        for extension in found.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                names = [plain(str(name.value), 80) for name in extension.value]
            if isinstance(extension.value, x509.AuthorityInformationAccess):
                access = [each.access_method for each in extension.value]
        organisation = first(found.issuer, NameOID.ORGANIZATION_NAME)
        return Certificate(
            subject=first(found.subject, NameOID.COMMON_NAME),
            issuer=first(found.issuer, NameOID.COMMON_NAME) or organisation or "nobody by name",
            names=tuple(names[:_MOST]),
            begins=found.not_valid_before_utc,
            ends=found.not_valid_after_utc,
            self_signed=found.issuer == found.subject,
            sent=sent,
            next_known=AuthorityInformationAccessOID.CA_ISSUERS in access or organisation in _organisations(context),
        )
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion):
        return None


def _organisations(context: ssl.SSLContext) -> set[str]:
    """Return the organisations whose CAs are trusted, as far as they are loaded."""
    subjects: list[Any] = [certificate.get("subject", ()) for certificate in context.get_ca_certs()]
    pairs = (pair for subject in subjects for part in subject for pair in part)
    return {str(value) for name, value in pairs if name == "organizationName"}


_MOST = 16  # addresses of one name, and names in one certificate
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
_CHAIN = frozenset({2, 18, 19, 20, 21})  # no issuer that we know; self-signed
_DATES = frozenset({9, 10})  # not valid yet; expired
_NAMES = frozenset({62, 64})  # another host; another address
