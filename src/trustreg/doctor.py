"""What is wrong between here and what is signed: findings, in the order in which one thing rests on another."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from trustreg.errors import NoTrustDataError, ServerError, TrustregError, UnauthorizedError, shown
from trustreg.inventory import EXPIRED, REFUSED, TRUSTED, UNCONFIRMED, Collection, RoleLine
from trustreg.names import ROOT, SNAPSHOT, TIMESTAMP
from trustreg.values import dataclass, field

OK: Final = "ok"
"""So it should be."""
WARNING: Final = "warning"
"""It works, and may not for long or not everywhere."""
FAILED: Final = "failed"
"""It is broken."""
UNKNOWN: Final = "unknown"
"""It could not be found out."""
SKIPPED: Final = "skipped"
"""It was not looked at, because something before it does not work."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One link of the chain, and how it is.

    Attributes:
        code: What; it does not change.
        facts: The particulars, ready for JSON.
    """

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """``ok``, ``warning``, ``failed``, ``unknown`` or ``skipped``."""
        return _SAID[self.code][0]

    @property
    def remedy(self) -> str | None:
        """What a person can do about it, in one sentence."""
        return self._spelled(_SAID[self.code][2]) or None

    def __str__(self) -> str:
        return self._spelled(_SAID[self.code][1])

    def _spelled(self, sentence: str) -> str:
        told = {name: ", ".join(value) if isinstance(value, list) else value for name, value in self.facts.items()}
        return shown(sentence.format(**told))


@dataclass(frozen=True, kw_only=True)
class Part:
    """Somebody on the way, ``what`` it is and its ``name``, and what was found there, one thing after the other."""

    what: str
    name: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that was looked at, at one moment."""

    at: datetime
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> str:
        """The worst of all findings: ``failed``, ``unknown``, ``warning`` or ``ok``."""
        found = {finding.status for part in self.parts for finding in part.findings}
        return next((status for status in (FAILED, UNKNOWN, WARNING) if status in found), OK)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a server shows of itself.

    Attributes:
        subject: Its common name; empty where it has none.
        issuer: Who issued it.
        names: Its subject alternative names.
        begins: From when on it is valid.
        ends: Until when.
        self_signed: It was issued by nobody else.
        sent: How many certificates the server sent; 0 where that cannot be told.
        next_known: A certificate between it and a CA that is trusted here is missing, by the look of it.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    self_signed: bool = False
    sent: int = 0
    next_known: bool = False


def finding(code: str, **facts: Any) -> Finding:
    """Return a finding with its facts."""
    return Finding(code=code, facts=facts)


def trouble(error: TrustregError, code: str = "unknown") -> Finding:
    """Return what *error* is as a finding."""
    return finding(code, problem=str(error), hint=error.remedy or _HINTS.get(code, "ask again"), error=error.code)


def skipped(because: str, *what: str) -> Iterator[Finding]:
    """Yield that nobody looked at *what*, because of the finding *because*."""
    return (finding("skipped", what=each, because=because) for each in what)


def gathered(findings: Mapping[str, Iterable[Finding]]) -> tuple[Finding, ...]:
    """Return *findings* by address as one list: what is the same at several addresses is said once."""
    groups: dict[tuple[str, str], tuple[Finding, list[str]]] = {}
    for address, found in findings.items():
        for each in found:
            groups.setdefault((each.code, repr(each.facts)), (each, []))[1].append(address)
    return tuple(finding(each.code, **{**each.facts, "at": at}) for each, at in groups.values())


# --- certificates and clocks -------------------------------------------------------------------------------------


def of_certificate(
    host: str, seen: Certificate, now: datetime, *, chain: str | None, fits: bool, ca_file: str
) -> Iterator[Finding]:
    """Yield what is to be said of the certificate *seen* of *host*.

    Args:
        host: What the server is called here.
        seen: What it shows.
        now: The time.
        chain: Why no way leads from it to a CA that is trusted here, as OpenSSL puts it; ``None`` where one does.
        fits: Whether it is for *host*.
        ca_file: Where a person would put the certificate of its CA.
    """
    names, days = list(seen.names), (seen.ends - now).days
    if chain:
        code = "certificate-self-signed" if seen.self_signed else "certificate-unknown-ca"
        code = "certificate-chain-incomplete" if seen.next_known and not seen.self_signed else code
        yield finding(code, issuer=seen.issuer, sent=seen.sent, problem=chain, ca=ca_file)
    if not fits and names:
        yield finding("certificate-name", host=host, names=names)
    elif not fits:
        yield finding("certificate-common-name", host=host, subject=seen.subject or "nobody")
    if seen.ends <= now:
        yield finding("certificate-expired", ends=_moment(seen.ends), issuer=seen.issuer, days=-days)
    elif now < seen.begins:
        yield finding("certificate-not-yet-valid", begins=_moment(seen.begins), issuer=seen.issuer)
    elif days < _CERTIFICATE_DAYS:
        yield finding("certificate-expires", ends=_moment(seen.ends), issuer=seen.issuer, days=days)


def of_clock(theirs: datetime, ours: datetime) -> Finding:
    """Return what is to be said of a server whose clock shows *theirs* when *ours* is what it is here."""
    apart = round((ours - theirs).total_seconds())
    size = abs(apart)
    if size <= _CLOCK_SECONDS:
        return finding("clock", seconds=_CLOCK_SECONDS)
    code = "clock-wrong" if size > _CLOCK_WORST else "clock-off"
    return finding(code, seconds=size, direction="ahead of" if apart > 0 else "behind")


# --- trust data --------------------------------------------------------------------------------------------------


def of_collection(seen: Collection, now: datetime, tag: str | None, *, named: bool, pinned: bool) -> Iterator[Finding]:
    """Yield what is to be said of the collection *seen*.

    Args:
        seen: As :func:`trustreg.inventory.read` took stock of it.
        now: The time.
        tag: One that should be signed.
        named: Somebody said where it is; if not, that was guessed from its name, and it need not be there.
        pinned: Somebody said what its root has to be.
    """
    error = seen.error
    if isinstance(error, NoTrustDataError):
        yield finding("no-collection", gun=seen.gun, where=seen.where)
        return
    if isinstance(error, ServerError) and error.status == 404:
        yield finding("no-trust-server" if named else "no-trust-server-there", where=seen.where, problem=error.problem)
        return
    if isinstance(error, UnauthorizedError):
        yield trouble(error, "login-refused")
        return
    if error and seen.state in {EXPIRED, REFUSED, UNCONFIRMED}:
        yield trouble(error, "collection-refused")
    elif error:
        yield trouble(error)
    expiring = [each for role in seen.roles for each in _of_role(role, now, stored=seen.stored)]
    if seen.state == TRUSTED:
        dated = [role for role in seen.roles if role.expires]
        first = min(dated, key=lambda role: role.expires or now)
        when = _moment(first.expires or now)
        yield finding("collection", gun=seen.gun, roles=len(seen.roles), first=first.name, when=when)
    yield from expiring
    if seen.first_use:
        root = seen.role(ROOT)
        yield finding("first-use", keyids=list(root.signed_by) if root else [])
    elif pinned and seen.state == TRUSTED:
        yield finding("pinned", gun=seen.gun)
    if tag and seen.state == TRUSTED:
        counting = [line for line in seen.tags if line.tag == tag and line.counts and line.state == TRUSTED]
        signed = [str(line.digest) for line in counting]
        yield finding("signed", tag=tag, digest=signed) if signed else finding("unsigned", tag=tag, gun=seen.gun)


def _of_role(role: RoleLine, now: datetime, *, stored: bool) -> Iterator[Finding]:
    if role.expires is None:
        return
    left = role.expires - now
    hint = _SIGN_AGAIN[stored, role.name == TIMESTAMP]
    if left <= timedelta(0):
        yield finding("role-expired", role=role.name, when=_moment(role.expires), hint=hint)
    elif left < (_STORED_SOON if stored else _SOON).get(role.name, _ROLE_SOON):
        yield finding("role-expires", role=role.name, when=_moment(role.expires), days=left.days, hint=hint)


# --- uploads -----------------------------------------------------------------------------------------------------


def of_uploads(answers: Mapping[int, int | None]) -> Finding | None:
    """Return what is to be said of uploads, by what was answered to the headers of one of each size.

    Args:
        answers: Statuses by the number of bytes that were announced; ``None`` where there was no answer.
    """
    refused = sorted(size for size, status in answers.items() if status == 413)
    passed = sorted(size for size, status in answers.items() if status != 413)
    if refused and passed:
        return finding("uploads-limited", refused=_size(refused[0]), taken=_size(passed[-1]), bytes=refused[0])
    if refused:
        return finding("uploads-refused", refused=_size(refused[0]), bytes=refused[0])
    return finding("uploads", taken=_size(passed[-1]), bytes=passed[-1]) if passed else None


def _size(number: int) -> str:
    return f"{number >> 20} MiB" if number >= 1 << 20 else f"{number >> 10} KiB"


def _moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


_CERTIFICATE_DAYS = 21  # most CAs that renew by themselves do so 30 days before
_CLOCK_SECONDS = 30
_CLOCK_WORST = 300  # seconds that token services and other readers forgive, most often
_ROLE_SOON = timedelta(days=30)
_SOON: Mapping[str, timedelta] = {
    ROOT: timedelta(days=90),
    TIMESTAMP: timedelta(days=7),  # a server signs it again when half of its fourteen days have passed
}
_STORED_SOON: Mapping[str, timedelta] = {
    ROOT: timedelta(days=90),
    SNAPSHOT: timedelta(days=7),  # of thirty
    TIMESTAMP: timedelta(days=2),  # of seven: what a weekly job leaves
}
_SIGN_AGAIN = {
    (True, True): "have somebody with its key run: trustreg renew, and see why the job that does so has not",
    (True, False): "have somebody with its key run: trustreg renew",
    (False, True): "the server signs it again by itself: ask who runs it why it does not; its clock may be wrong",
    (False, False): "have somebody with its key run: trustreg witness",
}
_HINTS = {"collection-refused": "use nothing of it; ask its publishers"}
_SAID: Mapping[str, tuple[str, str, str]] = {
    # This machine.
    "bug": (UNKNOWN, "this is a bug in trustreg: {problem}", "report it"),
    "config": (OK, "configured by {files}", ""),
    "gpg": (OK, "gpg {version} is {path}", ""),
    "gpg-missing": (
        WARNING,
        "gpg cannot be run: {problem}; no GPG signature can be made or verified",
        "install GnuPG 2.2 or newer, as by: apt-get install gnupg",
    ),
    "helper": (OK, "credential helpers are here: {helpers}", ""),
    "helper-missing": (
        WARNING,
        "{where} names the credential helper {helper}, which is not in PATH",
        "install it, or take it out of the file",
    ),
    "key-exposed": (WARNING, "others may read the keys in {path}", "chmod -R go-rwx {path}"),
    "policy": (OK, "images are judged by {path}; rules: {rules}", ""),
    "setting": (FAILED, "{problem}", "{hint}"),
    "trust-dir": (OK, "keys and trust data are kept in {path}{state}", ""),
    "trust-dir-unusable": (FAILED, "{problem}", "{hint}"),
    # The way there.
    "asked": (OK, "{what} is asked at {url} ({source})", ""),
    "client-certificate": (OK, "the certificate in {path} is shown where it is asked for", ""),
    "proxy": (OK, "the way to {host} leads through the proxy {proxy}, by the environment", ""),
    "resolved": (OK, "{host} is {addresses}", ""),
    "unresolved": (
        FAILED,
        "the name {host} does not resolve: {problem}",
        "check its spelling, and the name servers of this machine (/etc/resolv.conf); in a cluster, its DNS",
    ),
    "connected": (OK, "{at} accepts connections at port {port}", ""),
    "refused": (
        FAILED,
        "{at} refuses connections at port {port}: nothing listens there",
        "start the server there or take the address out of the DNS, and check the port",
    ),
    "silent": (
        FAILED,
        "{at} does not answer at port {port} within {seconds} s",
        "look for a firewall on the way, and whether a proxy has to be set (https_proxy); or mend the DNS",
    ),
    "unroutable": (
        WARNING,
        "no way leads to {at}: {problem}",
        "if it is IPv6 and this machine has none, no matter; otherwise check its routes",
    ),
    "unreachable": (FAILED, "none of the addresses of {host} can be reached", "mend what is said of each of them"),
    # TLS.
    "tls": (OK, "{at}: {version}, certificate for {names} by {issuer}, good until {ends}; CAs: {cas}", ""),
    "plain": (OK, "{at} speaks http without TLS, which is allowed here: {why}", ""),
    "no-tls": (
        FAILED,
        "{at} does not speak TLS at port {port}",
        "check the port; who speaks no TLS has to be allowed: insecure_registry or insecure_server",
    ),
    "certificate-chain-incomplete": (
        FAILED,
        "{at} sends {sent} of its certificates and leaves out the one of its issuer, {issuer}",
        "have the server send the certificates between its own and the CA, too (the file is often called fullchain)",
    ),
    "certificate-common-name": (
        FAILED,
        "{at} shows a certificate without a subjectAltName; the common name (CN) {subject} alone is not accepted",
        "it needs a certificate with the subjectAltName {host}",
    ),
    "certificate-expired": (
        FAILED,
        "the certificate of {at} has expired at {ends}",
        "if this machine's clock is right, have {issuer} issue a new one, restart the server, and see why nobody did",
    ),
    "certificate-expires": (
        WARNING,
        "the certificate of {at} expires in {days} days, at {ends}",
        "have it renewed before then; if that happens by itself, see why it has not",
    ),
    "certificate-name": (
        FAILED,
        "{at} shows a certificate for {names}, and not for {host}",
        "use a name that the certificate has, or have one issued with the subjectAltName {host}",
    ),
    "certificate-not-yet-valid": (
        FAILED,
        "the certificate of {at} is valid from {begins} on, and not yet",
        "check this machine's clock first, then that of {issuer}",
    ),
    "certificate-self-signed": (
        FAILED,
        "the certificate of {at} is signed by itself, and not known here",
        "if that is the right server, put its certificate into {ca}; better, have a CA issue one",
    ),
    "certificate-unknown-ca": (
        FAILED,
        "the certificate of {at} is by {issuer}, which is not known here ({problem})",
        "if that is the right server, put its CA into {ca}; it sends {sent} certificates, and may have to send more",
    ),
    "handshake": (FAILED, "no TLS with {at}: {problem}", "{hint}"),
    # HTTP.
    "answers": (OK, "{at} answers {status} to {path}", ""),
    "no-answer": (
        FAILED,
        "{at} takes the connection and does not answer {path}: {problem}",
        "look at the log of the server, or of the proxy in front of it: it hangs, or wants a client certificate",
    ),
    "not-http": (
        FAILED,
        "what {at} answers at port {port} is not HTTP",
        "check the port: another service listens there",
    ),
    "server-error": (
        FAILED,
        "{at} answers {status} to {path}",
        "look at its log; 502, 503 and 504 mean most often that a proxy is up and the server behind it not",
    ),
    "busy": (UNKNOWN, "{at} asks not to be asked so often ({status})", "wait, or log in if you have not"),
    "clock": (OK, "the clock of {at} and ours are less than {seconds} s apart", ""),
    "clock-off": (
        WARNING,
        "this machine's clock is {seconds} s {direction} that of {at}: tokens that live for a minute may be refused",
        "run NTP on both; compare with a third clock to see which is wrong",
    ),
    "clock-unread": (OK, "{at} does not say what time it is", ""),
    "clock-wrong": (
        FAILED,
        "this machine's clock is {seconds} s {direction} that of {at}: tokens are refused, trust data misjudged",
        "run NTP on both; compare with a third clock to see which is wrong",
    ),
    "skipped": (SKIPPED, "not looked at, because of {because}: {what}", "mend that first"),
    # Getting in.
    "open": (OK, "no login is asked for at /v2/", ""),
    "challenge": (OK, "it asks for a login: {scheme}, {realm}", ""),
    "challenge-unreadable": (
        FAILED,
        "it asks for a login and names no way that we know, Bearer or Basic",
        "check the configuration of its authentication (the header WWW-Authenticate)",
    ),
    "realm-refused": (FAILED, "{problem}", "have it name its token service by https, with an address that can be used"),
    "credentials": (OK, "there is a login for {host}, in {source}", ""),
    "credentials-broken": (FAILED, "no login could be looked up: {problem}", "{hint}"),
    "credentials-held-back": (
        FAILED,
        "the login in {source} is not shown to {realm}: that is not known to belong to {host}",
        "if {realm} is the token service of {host}, say so in the configuration: realms",
    ),
    "no-credentials": (OK, "there is no login for {host} here: it is asked as anybody", ""),
    "admitted": (OK, "it lets us in: {what}", ""),
    "login-refused": (FAILED, "{problem}", "{hint}"),
    "token-refused": (FAILED, "the token service gives no token: {problem}", "{hint}"),
    "unknown": (UNKNOWN, "{problem}", "{hint}"),
    # The registry.
    "registry": (OK, "it answers as a registry ({version}); signatures can be kept in: {places}", ""),
    "no-registry": (
        FAILED,
        "{url} answers {status}, and not as a registry does",
        "check the host and port in the name of the image, and the mirror that is configured for it",
    ),
    "manifest": (OK, "{image} is {digest}, {length} bytes of {kind}", ""),
    "manifest-missing": (FAILED, "{problem}", "check name and tag; it may have been deleted, or never pushed"),
    "manifest-refused": (FAILED, "{problem}", "{hint}"),
    "uploads": (OK, "no limit to uploads was met up to {taken}", ""),
    "uploads-limited": (
        WARNING,
        "uploads of {refused} are refused by their size (413), of {taken} they are not",
        "raise the limit of the proxy in front of it (nginx: client_max_body_size)",
    ),
    "uploads-refused": (
        FAILED,
        "uploads of {refused} are refused by their size (413) already",
        "raise the limit of the proxy in front of it (nginx: client_max_body_size)",
    ),
    # Trust data.
    "collection": (
        OK,
        "the trust data of {gun} is good; of its {roles} roles {first} is the first to expire, at {when}",
        "",
    ),
    "collection-refused": (FAILED, "{problem}", "{hint}"),
    "first-use": (
        WARNING,
        "its root would be trusted on first use: nobody has compared its keys, {keyids}",
        "compare them with what its publishers say, and pin them: --pin",
    ),
    "no-collection": (
        WARNING,
        "{where} has no trust data for {gun}",
        "check the name; if nobody signs it there, there is nothing to verify (trustreg init begins a collection)",
    ),
    "no-trust-server": (
        FAILED,
        "there is no trust server at {where}: {problem}",
        "check the address of the trust server, and the path in it",
    ),
    "no-trust-server-there": (
        WARNING,
        "there is no trust server at {where}, where it was looked for because nobody named one",
        "name it: --server, or server in the configuration; without one, images can be signed by GPG and plain keys",
    ),
    "pinned": (OK, "the root of {gun} is the one that is pinned", ""),
    "role-expired": (FAILED, "{role} has expired at {when}", "{hint}"),
    "role-expires": (WARNING, "{role} expires in {days} days, at {when}", "{hint}"),
    "signed": (OK, "the tag {tag} is signed as {digest}", ""),
    "unsigned": (FAILED, "no role that counts has signed the tag {tag} of {gun}", "sign it: trustreg sign"),
}
CODES: Final = {code: status for code, (status, _, _) in sorted(_SAID.items())}
"""All codes of findings, and their status."""
