"""The ``policy.json`` of Podman, skopeo and CRI-O, read as a :class:`trustreg.policy.Policy`.

It is read as strictly as there: what they refuse to load is refused here. What it demands and nobody can check here,
certificates and transparency logs, becomes a requirement that nothing meets; so does one whose key file is missing, as
it does there.

Source: containers/image ``docs/containers-policy.json.5.md``, ``signature/policy_config.go``,
``signature/policy_config_sigstore.go`` and the transports' ``ValidatePolicyConfigurationScope``.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from trustreg.dialects import canonical
from trustreg.dialects.policykeys import read_gpg, read_pem
from trustreg.dialects.reading import Members
from trustreg.errors import FormatError, NameFormError, PolicyError, TrustregError
from trustreg.identity import Identity, Way, written
from trustreg.policy import (
    AcceptAnything,
    AllOf,
    GpgKey,
    PlainKey,
    Policy,
    Reject,
    Requirement,
    Rule,
    SignedByGpg,
    SignedByKey,
)


def read(raw: bytes, source: str, read_file: Callable[[str], bytes]) -> Policy:
    """Read a ``policy.json``, for images in registries: what it says of other transports is checked, and left.

    Args:
        raw: What is in the file.
        source: What the file is called.
        read_file: Returns what is in a key file. Its errors, of trustreg, become requirements that nothing meets.

    Raises:
        PolicyError: It is none.
    """
    reading = _Reading(source, read_file)
    rules = {}
    try:
        whole = _whole(raw)
        default = reading.rule("", _list(whole, "default"), whole.path)
        for transport, scopes in _transports(whole):
            for scope in scopes.value:
                rule = reading.rule(scope, _list(scopes, scope), scopes.path)
                if transport == _DOCKER:
                    rules[scope] = rule
    except FormatError as exc:
        line = getattr(exc.__cause__, "lineno", 0)
        raise PolicyError(source, line, exc.path, exc.problem) from exc
    return Policy(rules=rules, default=default, source=source)


def elsewhere(raw: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return the scopes that a ``policy.json``, which :func:`read` could read, has for other transports than docker."""
    transports = _transports(_whole(raw))
    return {transport: tuple(scopes.value) for transport, scopes in transports if transport != _DOCKER}


class _Reading:
    """What becomes of the requirements, and of the keys that they name."""

    def __init__(self, source: str, read_file: Callable[[str], bytes]) -> None:
        self._source, self._read_file = source, read_file

    def rule(self, scope: str, requirements: list[Members], path: str) -> Rule:
        parts = tuple(self._requirement(one) for one in requirements)
        path = requirements[0].path.removesuffix("[0]")
        require = parts[0] if len(parts) == 1 else AllOf(path=path, parts=parts)
        return Rule(scope=scope, require=require, of="instance", name=scope or path, where=f"{self._source}: {path}")

    def _requirement(self, entry: Members) -> Requirement:
        kind = entry.text("type")
        if kind in {"insecureAcceptAnything", "reject"}:
            _exactly(entry, "type")
            return Reject(path=entry.path) if kind == "reject" else AcceptAnything(path=entry.path)
        if kind == "signedBy":
            return self._signed_by(entry)
        if kind == "sigstoreSigned":
            return self._sigstore_signed(entry)
        if kind == "signedBaseLayer":
            _exactly(entry, "type", "baseLayerIdentity")
            _identity(entry.members("baseLayerIdentity"))
            return Reject(path=entry.path, problem="signedBaseLayer is checked by nobody")
        return entry.fail("type", f"{kind[:40]!r} is no requirement")

    def _signed_by(self, entry: Members) -> Requirement:
        _known(entry, "type", "keyType", "signedIdentity", *_GPG_SOURCES)
        kind = entry.text("keyType")
        if kind not in _KEY_TYPES:
            entry.fail("keyType", f"{kind[:40]!r} is none of {', '.join(_KEY_TYPES)}")
        source = _one_of(entry, _GPG_SOURCES)
        identity = _signed_identity(entry)
        texts = _texts(entry, source)
        if kind != _KEY_TYPES[0]:
            return Reject(path=entry.path, problem=f"keyType {kind} is checked by nobody")
        try:
            keys = tuple(self._gpg(entry, source, text) for text in texts)
        except _UnusableError as exc:
            return Reject(path=entry.path, problem=str(exc))
        if not keys:
            return Reject(path=entry.path, problem="it names no key")
        return SignedByGpg(path=entry.path, keys=keys, identity=identity)

    def _sigstore_signed(self, entry: Members) -> Requirement:
        _known(entry, "type", "signedIdentity", *_PLAIN_SOURCES, *_ISSUERS, *_LOGS)
        source = _one_of(entry, (*_PLAIN_SOURCES, *_ISSUERS))
        logs = [name for name in _LOGS if name in entry.value]
        if len(logs) > 1:
            entry.fail(logs[1], f"{logs[0]} is there, too, and one of them is the most")
        for name in logs:
            if not _texts(entry, name) and name.endswith("s"):
                entry.fail(name, "it is empty")
        identity = _signed_identity(entry)
        if source in _ISSUERS:
            _issuer(entry.members(source), source)
            if source == "fulcio" and not logs:
                entry.fail("", f"one of {', '.join(_LOGS)} has to be there where fulcio is")
            return Reject(path=entry.path, problem=f"certificates ({source}) are not checked here: only keys are")
        texts = _texts(entry, source)
        if not texts:
            entry.fail(source, "it is empty")
        if logs:
            return Reject(path=entry.path, problem=f"the transparency log ({logs[0]}) is not checked here")
        try:
            keys = tuple(self._plain(entry, source, text) for text in texts)
        except _UnusableError as exc:
            return Reject(path=entry.path, problem=str(exc))
        return SignedByKey(path=entry.path, keys=keys, identity=identity)

    def _gpg(self, entry: Members, source: str, text: str) -> GpgKey:
        name, raw = self._key(entry, source, text)
        try:
            return read_gpg(raw, name)
        except FormatError as exc:
            raise _UnusableError(f"{name} holds no key that can be used: {exc.problem}") from exc

    def _plain(self, entry: Members, source: str, text: str) -> PlainKey:
        name, raw = self._key(entry, source, text)
        try:
            return read_pem(raw, name)
        except TrustregError as exc:
            raise _UnusableError(f"{exc}") from exc

    def _key(self, entry: Members, source: str, text: str) -> tuple[str, bytes]:
        """Return what a key is called, and what stands in it."""
        if source.startswith("keyData"):
            return f"{entry.path}.{source}", _base64(entry, source, text)
        try:
            return text, self._read_file(text)
        except TrustregError as exc:
            raise _UnusableError(f"the key cannot be had: {exc}") from exc


class _UnusableError(Exception):
    """The text of a problem: a key that there is no use for."""


def _whole(raw: bytes) -> Members:
    if len(raw) > LARGEST:
        raise FormatError(_WHAT, "", f"it is longer than the {LARGEST} bytes that a policy may have")
    try:
        whole = Members(_WHAT, "", canonical.parse_strictly(raw))
        json.dumps(whole.value, ensure_ascii=False).encode()  # half a character is no text
    except ValueError as exc:
        raise FormatError(_WHAT, "", f"this is not JSON as it is due: {exc}") from exc
    _known(whole, "default", "transports")
    return whole


def _transports(whole: Members) -> Iterator[tuple[str, Members]]:
    if "transports" not in whole.value:
        return
    for transport, scopes in whole.members("transports").each():
        for scope in scopes.value:
            if scope and (problem := _SCOPES.get(transport, _anything)(scope)):
                scopes.fail(scope, problem)
        yield transport, scopes


def _list(entry: Members, name: str) -> list[Members]:
    found = list(entry.objects(name))
    if not found:
        entry.fail(name, "it is empty: a list of one requirement or more is due")
    return found


def _known(entry: Members, *names: str) -> None:
    for name in entry.value:
        if name not in names:
            entry.fail(name, f"there is no such member; there are {', '.join(names)}")


def _exactly(entry: Members, *names: str) -> None:
    _known(entry, *names)
    for name in names:
        entry.require(name)


def _one_of(entry: Members, names: tuple[str, ...]) -> str:
    found = [name for name in names if name in entry.value]
    if len(found) != 1:
        entry.fail("", f"exactly one of {', '.join(names)} is due, and here {' and '.join(found) or 'none'} is")
    return found[0]


def _texts(entry: Members, name: str) -> tuple[str, ...]:
    """Return the text of *name*, or all that it lists; a path is not empty, and data are base64."""
    texts = entry.strings(name) if name.endswith("s") else (entry.text(name),)
    for text in texts:
        if "Data" in name:
            _base64(entry, name, text)
        elif not text:
            entry.fail(name, "it is empty")
    return texts


def _base64(entry: Members, name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        entry.fail(name, "this is not base64")


# --- identities ----------------------------------------------------------------------------------------------------


def _signed_identity(entry: Members) -> Identity:
    return _identity(entry.members("signedIdentity")) if "signedIdentity" in entry.value else Identity()


def _identity(entry: Members) -> Identity:
    kind = entry.text("type")
    if kind not in _WAYS:
        entry.fail("type", f"{kind[:40]!r} is none of {', '.join(_WAYS)}")
    way, names = _WAYS[kind]
    _exactly(entry, "type", *names)
    texts = [entry.text(name) for name in names]
    if way in {"exact-reference", "exact-repository"}:
        try:
            named = written(texts[0])
        except NameFormError as exc:
            entry.fail(names[0], str(exc))
        if way == "exact-reference" and not (named.tag or named.digest):
            entry.fail(names[0], "it has neither a tag nor a digest")
        texts[0] = named.repository if way == "exact-repository" else texts[0]
    if way == "remap":
        for name, text in zip(names, texts, strict=True):
            if not _PREFIX.fullmatch(text):
                entry.fail(name, f"{text[:80]!r} is not the beginning of the names of images")
    return Identity(way=cast("Way", way), **dict(zip(("name", "by"), texts, strict=False)))


def _issuer(entry: Members, kind: str) -> None:
    """Check what is said of those who issue certificates, which is of no further use here."""
    members = _ISSUERS[kind]
    _known(entry, *members.known)
    for name in entry.value:
        _texts(entry, name)
    for one, other in members.apart:
        if one in entry.value and other in entry.value:
            entry.fail(other, f"{one} is there, too")
    for needed in members.needed:
        if not set(needed) & entry.value.keys():
            entry.fail("", f"{' or '.join(needed)} is missing")


class _Issuer(NamedTuple):
    known: tuple[str, ...]
    needed: tuple[tuple[str, ...], ...]  # of each of these, one
    apart: tuple[tuple[str, str], ...]  # and not both of these


# --- scopes of other transports ------------------------------------------------------------------------------------


def _anything(scope: str) -> str:
    """Find no fault: of these transports, docker among them, nobody checks the scopes."""
    del scope
    return ""


def _path(scope: str) -> str:
    if scope == "/":
        return 'what holds for all of them has the scope ""'
    plain = scope.startswith("/") and not {"", ".", ".."} & set(scope[1:].split("/"))
    return "" if plain else "it has to be an absolute path, in its plain form"


def _nothing(scope: str) -> str:
    del scope
    return 'this transport has no scope but ""'


def _no_digest(scope: str) -> str:
    return "it is a digest" if _DIGEST.fullmatch(scope) else ""


def _store(scope: str) -> str:
    return "" if scope.startswith("[") else "it has to begin with the store, in brackets"


_SCOPES: Final[Mapping[str, Callable[[str], str]]] = {
    "dir": _path,
    "sif": _path,
    "oci": _path,
    "oci-archive": _path,
    "docker-archive": _nothing,
    "tarball": _nothing,
    "docker-daemon": _no_digest,
    "containers-storage": _store,
}
LARGEST: Final = 1 << 20  # bytes; three hundred keys that stand in it have that
_WHAT: Final = "policy.json"
_DOCKER: Final = "docker"
_GPG_SOURCES: Final = ("keyPath", "keyPaths", "keyData")
_KEY_TYPES: Final = ("GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs")
_PLAIN_SOURCES: Final = ("keyPath", "keyPaths", "keyData", "keyDatas")
_ISSUERS: Final[Mapping[str, _Issuer]] = {
    "fulcio": _Issuer(
        known=("caPath", "caData", "oidcIssuer", "subjectEmail"),
        needed=(("caPath", "caData"), ("oidcIssuer",), ("subjectEmail",)),
        apart=(("caPath", "caData"),),
    ),
    "pki": _Issuer(
        known=(
            *("caRootsPath", "caRootsData", "caIntermediatesPath", "caIntermediatesData"),
            *("subjectEmail", "subjectHostname"),
        ),
        needed=(("caRootsPath", "caRootsData"), ("subjectEmail", "subjectHostname")),
        apart=(("caRootsPath", "caRootsData"), ("caIntermediatesPath", "caIntermediatesData")),
    ),
}
_LOGS: Final = ("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")
_WAYS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "matchExact": ("exact", ()),
    "matchRepoDigestOrExact": ("digest-or-exact", ()),
    "matchRepository": ("repository", ()),
    "exactReference": ("exact-reference", ("dockerReference",)),
    "exactRepository": ("exact-repository", ("dockerRepository",)),
    "remapIdentity": ("remap", ("prefix", "signedPrefix")),
}
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PREFIX = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?(?:/{_PART})*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
