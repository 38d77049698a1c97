"""Files ``policy.json``, right and wrong: what every reader of them has to make of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

REJECT = [{"type": "reject"}]
SIGNED_BY = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/keys/release.asc"}
SIGSTORE = {"type": "sigstoreSigned", "keyPath": "/keys/ci.pub"}
FULCIO = {"caPath": "/ca.pem", "oidcIssuer": "https://issuer.example", "subjectEmail": "ci@example.com"}
PKI = {"caRootsPath": "/ca.pem", "subjectHostname": "ci.example"}
DIGEST = f"sha256:{'0' * 64}"
REMOVED: Any = object()


@dataclass(frozen=True)
class Case:
    """A file, and whether it can be loaded; ``stricter``: here it cannot; ``newer``: skopeo 1.9 knows no such thing."""

    name: str
    text: str
    loads: bool
    stricter: bool = False
    newer: bool = False


def policy(**scopes: list[Any]) -> str:
    """Return a policy with *scopes* for docker."""
    return json.dumps({"default": REJECT, "transports": {"docker": scopes}})


def _changed(base: dict[str, Any], **members: Any) -> str:
    """Return a policy with one requirement: *base* with other *members*."""
    return policy(**{"registry.example": [{k: v for k, v in {**base, **members}.items() if v is not REMOVED}]})


def _identity(**identity: Any) -> str:
    return _changed(SIGNED_BY, signedIdentity=identity)


def _scope(transport: str, scope: str) -> str:
    return json.dumps({"default": REJECT, "transports": {transport: {scope: REJECT}}})


def _prefix(prefix: str, other: str = "b.example") -> str:
    return _identity(type="remapIdentity", prefix=prefix, signedPrefix=other)


TEXTS = {
    True: {
        "a default": '{"default":[{"type":"reject"}]}',
        "blanks": ' {"default" : [ {"type":"reject"}\n]}\n ',
        "an escaped name": '{"def\\u0061ult":[{"type":"reject"}]}',
        "no transports": '{"default":[{"type":"reject"}],"transports":{}}',
        "no scopes": '{"default":[{"type":"reject"}],"transports":{"docker":{}}}',
        "an unknown transport": _scope("nosuch", "anything at all"),
        "two requirements": policy(a=[SIGNED_BY, SIGSTORE]),
        "anything twice": policy(a=[{"type": "insecureAcceptAnything"}] * 2),
        "a scope with a slash": _scope("docker", "registry.example/"),
        "a scope in capitals": _scope("docker", "Registry.example//A@x:y"),
        "a scope with tag and digest": _scope("docker", f"a:1@{DIGEST}"),
        "a wildcard alone": _scope("docker", "*."),
        "a wildcard inside": _scope("docker", "a.*.example"),
        "a folder": _scope("dir", "/a/b"),
        "a layout with a tag": _scope("oci", "/a/b:1.0"),
        "all archives": _scope("docker-archive", ""),
        "all tarballs": _scope("tarball", ""),
        "a name in the engine": _scope("docker-daemon", "app"),
        "a store": _scope("containers-storage", "[overlay@/var/lib/containers]"),
        "an ostree": _scope("ostree", "whatever"),
        "no key path": _changed(SIGNED_BY, keyPath=REMOVED, keyPaths=[]),
        "key paths": _changed(SIGNED_BY, keyPath=REMOVED, keyPaths=["/a", "/b"]),
        "key data": _changed(SIGNED_BY, keyPath=REMOVED, keyData="AA=="),
        "no key data": _changed(SIGNED_BY, keyPath=REMOVED, keyData=""),
        "key data on lines": _changed(SIGNED_BY, keyPath=REMOVED, keyData="A\nA\r\n==\n"),
        "key data with bits left": _changed(SIGNED_BY, keyPath=REMOVED, keyData="AB=="),
        "keys that sign keys": _changed(SIGNED_BY, keyType="signedByGPGKeys"),
        "certificates": _changed(SIGNED_BY, keyType="X509Certificates"),
        "authorities": _changed(SIGNED_BY, keyType="signedByX509CAs"),
        "a base layer": policy(a=[{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}]),
        "match exact": _identity(type="matchExact"),
        "match repository": _identity(type="matchRepository"),
        "match repository, digest or exact": _identity(type="matchRepoDigestOrExact"),
        "an exact reference": _identity(type="exactReference", dockerReference="a:1"),
        "an exact reference with a digest": _identity(type="exactReference", dockerReference=f"a@{DIGEST}"),
        "an exact reference with both": _identity(type="exactReference", dockerReference=f"a:1@{DIGEST}"),
        "an exact repository": _identity(type="exactRepository", dockerRepository="vendor.example/a"),
        "an exact repository with a tag": _identity(type="exactRepository", dockerRepository="a:1"),
        "a prefix that is short": _prefix("a"),
        "a prefix with a path": _prefix("a/b"),
        "a prefix with a port": _prefix("a.example:5000"),
        "a prefix in capitals": _prefix("A.example"),
        "a long prefix": _prefix("a.example/b/c", "b.example/d"),
        "a sigstore key": _changed(SIGSTORE),
        "sigstore key data": _changed(SIGSTORE, keyPath=REMOVED, keyData="AA=="),
    },
    False: {
        "nothing": "",
        "a list": "[]",
        "null": "null",
        "no default": "{}",
        "an empty default": '{"default":[]}',
        "null for a default": '{"default":null}',
        "no list for a default": '{"default":{"type":"reject"}}',
        "null for a requirement": '{"default":[null]}',
        "a list for a requirement": '{"default":[[]]}',
        "a default in capitals": '{"Default":[{"type":"reject"}]}',
        "another member": '{"default":[{"type":"reject"}],"version":1}',
        "null for transports": '{"default":[{"type":"reject"}],"transports":null}',
        "null for scopes": '{"default":[{"type":"reject"}],"transports":{"docker":null}}',
        "an empty scope": policy(a=[]),
        "a default twice": '{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}',
        "a type twice": '{"default":[{"type":"reject","type":"reject"}]}',
        "a scope twice": (
            '{"default":[{"type":"reject"}],"transports":{"docker":{"a":[{"type":"reject"}],"a":[{"type":"reject"}]}}}'
        ),
        "a transport twice": '{"default":[{"type":"reject"}],"transports":{"docker":{},"docker":{}}}',
        "something behind it": '{"default":[{"type":"reject"}]} x',
        "two of them": '{"default":[{"type":"reject"}]}{"default":[{"type":"reject"}]}',
        "a byte order mark": '\ufeff{"default":[{"type":"reject"}]}',
        "a comma too many": '{"default":[{"type":"reject"}],}',
        "a comment": '{"default":[{"type":"reject"}]/**/}',
        "an unknown type": policy(a=[{"type": "none"}]),
        "a number for a type": policy(a=[{"type": 5}]),
        "no type": policy(a=[{"keyPath": "/a"}]),
        "a type in capitals": policy(a=[{"Type": "reject"}]),
        "half a character": '{"default":[{"type":"rej\\ud800"}]}',
        "more than reject": policy(a=[{"type": "reject", "keyPath": "/a"}]),
        "a relative folder": _scope("dir", "a"),
        "the root folder": _scope("dir", "/"),
        "a folder with dots": _scope("dir", "/a/../b"),
        "a folder with a slash": _scope("dir", "/a/"),
        "a folder with two": _scope("dir", "//a"),
        "a relative layout": _scope("oci", "a"),
        "a relative archive": _scope("oci-archive", "a"),
        "a relative image": _scope("sif", "a"),
        "an archive": _scope("docker-archive", "a"),
        "a tarball": _scope("tarball", "a"),
        "a digest in the engine": _scope("docker-daemon", DIGEST),
        "no store": _scope("containers-storage", "a"),
        "no key": _changed(SIGNED_BY, keyPath=REMOVED),
        "an empty path": _changed(SIGNED_BY, keyPath=""),
        "null for a path": _changed(SIGNED_BY, keyPath=None),
        "a number for a path": _changed(SIGNED_BY, keyPath=1),
        "null for paths": _changed(SIGNED_BY, keyPath=REMOVED, keyPaths=None),
        "path and data": _changed(SIGNED_BY, keyData="AA=="),
        "path and paths": _changed(SIGNED_BY, keyPaths=["/a"]),
        "a blank in data": _changed(SIGNED_BY, keyPath=REMOVED, keyData="A A=="),
        "data without an end": _changed(SIGNED_BY, keyPath=REMOVED, keyData="AA"),
        "a key type in small letters": _changed(SIGNED_BY, keyType="gpgkeys"),
        "no key type": _changed(SIGNED_BY, keyType=REMOVED),
        "a member too many": _changed(SIGNED_BY, keyRing="/a"),
        "an empty base layer": policy(a=[{"type": "signedBaseLayer"}]),
        "null for an identity": _changed(SIGNED_BY, signedIdentity=None),
        "an unknown identity": _identity(type="matchNothing"),
        "no kind of identity": _identity(dockerReference="a:1"),
        "more than match exact": _identity(type="matchExact", dockerReference="a:1"),
        "no exact reference": _identity(type="exactReference"),
        "an exact reference without a tag": _identity(type="exactReference", dockerReference="a"),
        "an exact reference in capitals": _identity(type="exactReference", dockerReference="A:1"),
        "an exact repository in capitals": _identity(type="exactRepository", dockerRepository="A"),
        "one prefix": _identity(type="remapIdentity", prefix="a"),
        "a prefix with a slash": _prefix("a.example/"),
        "an empty prefix": _prefix(""),
        "a repository in capitals": _prefix("a.example/B"),
        "a prefix with a tag": _prefix("a.example/b:1"),
        "a prefix with two dots": _prefix("a..b"),
        "a prefix without a port": _prefix("a.example:x"),
        "a prefix with an underscore": _prefix("a_b"),
        "another prefix in capitals": _prefix("a", "B/C"),
        "a sigstore path and data": _changed(SIGSTORE, keyData="AA=="),
        "no sigstore key": _changed(SIGSTORE, keyPath=REMOVED),
        "a sigstore key type": _changed(SIGSTORE, keyType="GPGKeys"),
    },
}
NEWER = {
    True: {
        "sigstore key paths": _changed(SIGSTORE, keyPath=REMOVED, keyPaths=["/a"]),
        "sigstore key datas": _changed(SIGSTORE, keyPath=REMOVED, keyDatas=["AA==", "AA=="]),
        "a log": _changed(SIGSTORE, rekorPublicKeyPath="/rekor.pub"),
        "fulcio and a log": _changed(SIGSTORE, keyPath=REMOVED, fulcio=FULCIO, rekorPublicKeyData="AA=="),
        "a pki": _changed(SIGSTORE, keyPath=REMOVED, pki=PKI),
    },
    False: {
        "no sigstore key paths": _changed(SIGSTORE, keyPath=REMOVED, keyPaths=[]),
        "a key and fulcio": _changed(SIGSTORE, fulcio=FULCIO, rekorPublicKeyPath="/rekor.pub"),
        "fulcio without a log": _changed(SIGSTORE, keyPath=REMOVED, fulcio=FULCIO),
        "fulcio without an authority": _changed(
            SIGSTORE, keyPath=REMOVED, fulcio={"oidcIssuer": "a", "subjectEmail": "b"}, rekorPublicKeyPath="/r"
        ),
        "fulcio with two": _changed(
            SIGSTORE, keyPath=REMOVED, fulcio={**FULCIO, "caData": "AA=="}, rekorPublicKeyPath="/r"
        ),
        "two logs": _changed(SIGSTORE, rekorPublicKeyPath="/r", rekorPublicKeyData="AA=="),
        "no logs": _changed(SIGSTORE, rekorPublicKeyPaths=[]),
        "a pki without a subject": _changed(SIGSTORE, keyPath=REMOVED, pki={"caRootsPath": "/a"}),
    },
}
STRICTER = {  # read there, as something that never matches
    "half a character in a scope": (
        '{"default":[{"type":"reject"}],"transports":{"docker":{"\\ud800":[{"type":"reject"}]}}}'
    ),
}
CASES = [
    *(Case(name, text, loads) for loads, texts in TEXTS.items() for name, text in texts.items()),
    *(Case(name, text, loads, newer=True) for loads, texts in NEWER.items() for name, text in texts.items()),
    *(Case(name, text, loads=True, stricter=True) for name, text in STRICTER.items()),
]
