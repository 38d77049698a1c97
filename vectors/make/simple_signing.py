"""Write vectors/simple-signing: one GPG signature per vector, at most one fault in each.

gpg makes the messages, from keys that were recorded once, at times that are given to it: it signs without anything
random, so a rerun with gpg 2.2 changes nothing. What it makes with something random in it was recorded once, too, in
``recorded/simple-signing``, by ``record_simple_signing``; what skopeo says of each is there as well, by
``record_skopeo``. The keys protect nothing.

    python -m vectors.make.simple_signing [FOLDER]
"""

import bz2
import json
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from scripts.images import image
from tests.peers.gpg import Gpg, gpg_home

Vector: TypeAlias = dict[str, Any]

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parent / "simple-signing"
RECORDED: Final = HERE / "recorded" / "simple-signing"
IMAGE: Final = "registry.example/team/app:1.0"
DIGEST: Final = image("simple signing").digest
SIGNED, NOW = "20260101T120000", "2026-01-01T12:00:00Z"
OTHER_DIGEST: Final = f"sha256:{'0' * 64}"


def document(**changes: Any) -> dict[str, Any]:
    """Return a payload as JSON, with members replaced by their paths, ``critical__type``."""
    made: dict[str, Any] = {
        "critical": {
            "identity": {"docker-reference": IMAGE},
            "image": {"docker-manifest-digest": DIGEST},
            "type": "atomic container signature",
        },
        "optional": {"creator": "vectors 1", "timestamp": 1767268800},
    }
    for path, value in changes.items():
        *way, last = (step.replace("_", "-") for step in path.split("__"))
        at = made
        for step in way:
            at = at[step]
        at[last] = value
    return made


def payload(**changes: Any) -> bytes:
    """Return a payload, with members replaced."""
    return json.dumps(document(**changes), separators=(",", ":")).encode()


def without(*path: str) -> bytes:
    """Return a payload that lacks a member."""
    made = at = document()
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return json.dumps(made, separators=(",", ":")).encode()


PAYLOAD: Final = payload()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A message, who reads it by which keys, and what has to come of it: good, where there is no ``error``."""

    name: str
    comment: str
    message: bytes = field(repr=False)
    source: str
    keys: tuple[str, ...] = ("ed25519",)  # names of recorded keys, each of which is a file of its own
    together: bool = False  # in one file
    by: str = "ed25519"
    signed: str = NOW
    now: str = NOW
    error: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    difference: str | None = None

    def vector(self, fingerprints: Mapping[str, list[str]], verdicts: Mapping[str, Mapping[str, str]]) -> Vector:
        """Return it as its file has it."""
        keys = [(RECORDED / f"{key}.public.asc").read_text() for key in self.keys]
        good = {"outcome": "trusted", "key": fingerprints[self.by][0], "signed": self.signed}
        bad = {"outcome": "untrusted", "error": self.error, "facts": dict(self.facts), "problem": self.problem}
        said = verdicts.get(self.name, {})
        return {
            "comment": self.comment,
            "source": self.source,
            "now": self.now,
            "image": IMAGE,
            "digest": DIGEST,
            "keys": ["".join(keys)] if self.together else keys,
            "named": fingerprints[self.by if self.by in self.keys else self.keys[0]][0],
            "message": b64encode(self.message).decode(),
            "expect": bad if self.error else good,
            "skopeo": said.get("skopeo"),
            "policy": said.get("policy"),
            **({"difference": self.difference} if self.difference else {}),
        }


def make() -> dict[str, Vector]:
    """Return the vectors by name."""
    fingerprints = json.loads((RECORDED / "fingerprints.json").read_text("utf-8"))
    recorded = RECORDED / "skopeo.json"
    verdicts = json.loads(recorded.read_text("utf-8")) if recorded.exists() else {}
    with gpg_home() as gpg:
        gpg.run("--import", *sorted(RECORDED.glob("*.secret.asc")), at="20990201T000000")  # when all of them are there
        people = People(gpg, fingerprints)
        cases = [case for group in GROUPS for case in group(people)]
    vectors = {case.name: case.vector(fingerprints, verdicts) for case in cases}
    if len(vectors) != len(cases):
        raise ValueError("two vectors have one name")
    return dict(sorted(vectors.items()))


def text(vector: Vector) -> str:
    """Return *vector* as its file has it."""
    return json.dumps(vector, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write the vectors into *folder*, and remove those that are made no more."""
    vectors = make()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in vectors:
            stale.unlink()
    for name, vector in vectors.items():
        (folder / f"{name}.json").write_text(text(vector), "utf-8")


class People:
    """Those who sign, by the names of their keys; ``subkeys.1`` is the first subkey."""

    def __init__(self, gpg: Gpg, fingerprints: Mapping[str, list[str]]) -> None:
        self.gpg, self._fingerprints = gpg, fingerprints

    def fingerprint(self, name: str) -> str:
        """Return that of a key or subkey."""
        name, _, number = name.partition(".")
        return self._fingerprints[name][int(number or 0)]

    def keyid(self, name: str) -> str:
        """Return the id of a key or subkey."""
        return self.fingerprint(name)[-16:]

    def sign(self, *by: str, content: bytes = PAYLOAD, options: tuple[str, ...] = (), at: str = SIGNED) -> bytes:
        """Sign as is asked of signers of images: an opaque message, uncompressed, so that changes are easy to see."""
        users = [word for name in by or ("ed25519",) for word in ("--local-user", f"{self.fingerprint(name)}!")]
        return self.gpg.run("--compress-algo", "none", *options, *users, "--sign", stdin=content, at=at).out

    def other(self, *options: str, by: str | None = "ed25519", content: bytes = PAYLOAD) -> bytes:
        """Have gpg do something else with *content*."""
        user = ("--local-user", f"{self.fingerprint(by)}!") if by else ()
        return self.gpg.run(*options[:-1], *user, options[-1], stdin=content, at=SIGNED).out


# --- packets, read and written here and not by what is tested ------------------------------------------------------

ONE_PASS, LITERAL, SIGNATURE, COMPRESSED, MARKER, USER, PRIVATE = 4, 11, 2, 8, 10, 13, 60


def packets(message: bytes) -> dict[int, bytes]:
    """Return the bodies of the three packets of an uncompressed message of gpg, by their tags."""
    found = {}
    at = 0
    while at < len(message):
        first = message[at]
        if first & 0x40:
            tag, size, start = first & 0x3F, message[at + 1], at + 2
            if size >= 192:
                size, start = (size - 192 << 8) + message[at + 2] + 192, at + 3
        else:
            tag, width = first >> 2 & 0x0F, 1 << (first & 3)
            size = int.from_bytes(message[at + 1 : at + 1 + width], "big")
            start = at + 1 + width
        found[tag] = message[start : start + size]
        at = start + size
    return found


def old(tag: int, body: bytes) -> bytes:
    """Return a packet with an old header and a length of two bytes."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def new(tag: int, body: bytes) -> bytes:
    """Return a packet with a new header and a length of five bytes."""
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def in_parts(tag: int, body: bytes) -> bytes:
    """Return a packet that comes in two parts."""
    power = len(body).bit_length() - 1
    return (
        bytes([0xC0 | tag, 0xE0 | power]) + body[: 1 << power] + bytes([len(body) - (1 << power)]) + body[1 << power :]
    )


def joined(
    parts: Mapping[int, bytes], write: Callable[[int, bytes], bytes] = old, /, **changed: Callable[[bytes], bytes]
) -> bytes:
    """Return a message of *parts*, with bodies changed by what is called as their packets are."""
    names = {"once": ONE_PASS, "literal": LITERAL, "signature": SIGNATURE}
    return b"".join(write(tag, changed.get(name, _same)(parts[tag])) for name, tag in names.items())


def compressed(raw: bytes, how: int) -> bytes:
    """Return *raw* in a packet of compression that goes on to the end; no smaller, but the same everywhere."""
    whole = zlib.compress(raw, 0)
    return b"\xa3" + bytes([how]) + {1: whole[2:-4], 2: whole, 3: bz2.compress(raw)}.get(how, raw)


def flipped(at: int) -> Callable[[bytes], bytes]:
    """Return what flips the last bit of the byte *at*."""

    def change(body: bytes) -> bytes:
        where = at % len(body)
        return body[:where] + bytes([body[where] ^ 1]) + body[where + 1 :]

    return change


def put(at: int, byte: int) -> Callable[[bytes], bytes]:
    """Return what puts a byte in the place of another."""
    return lambda body: body[:at] + bytes([byte]) + body[at + 1 :]


def replaced(what: bytes, by: bytes) -> Callable[[bytes], bytes]:
    """Return what replaces one piece of a body by another."""

    def change(body: bytes) -> bytes:
        if what not in body:
            raise ValueError(what)
        return body.replace(what, by)

    return change


def _same(body: bytes) -> bytes:
    return body


# --- what there is -------------------------------------------------------------------------------------------------

MESSAGE = {"role": "OpenPGP message", "path": ""}
FORM = "RFC 4880 section 11.3; containers/image docs/atomic-signature.md"
SPEECH = "containers/image docs/atomic-signature.md, signature/simple.go"
HERE_ONLY = "decided here"
NOT_ASKED = "it is by a key that was not asked for"
NOT_HELD = "it does not hold"
UNCHECKED = "its key cannot vouch: it is not for signing, is younger than this, or rests on too weak a digest"
NOT_ONE = "it is not one signed message with one signature"
BINARY = "it is not in binary OpenPGP packets"
EARLY = "it ends early"
TYPED = "what may be left out is left out, or is of its type"
NO_JSON = "it is not JSON"
ONE_FORM = "one form is read, the one that signers of images write: binary, and nothing else in it"
ANNOUNCED = "who signed, and how, has to be announced as it is: by that, messages are sorted before gpg sees them"
HEX_DUE = "64 lower-case hex digits have to follow sha256:"
KIND_DUE = "it has to start with sha256: or sha512:"
OTHER_ISSUER = "its signature is not by the key that was announced"


def good(name: str, comment: str, message: bytes, source: str = FORM, **more: Any) -> Case:
    """Return a case that ends well."""
    return Case(name=name, comment=comment, message=message, source=source, **more)


def malformed(name: str, comment: str, message: bytes, problem: str, source: str = FORM, **more: Any) -> Case:
    """Return a case whose message is not of the one form."""
    return Case(
        name=name,
        comment=comment,
        message=message,
        source=source,
        error="format",
        facts=MESSAGE,
        problem=problem,
        **more,
    )


def refused(
    people: People, name: str, comment: str, message: bytes, problem: str, source: str = FORM, *, by: str, **more: Any
) -> Case:
    """Return a case whose signature, *by* a key or subkey, is not good."""
    facts = {"key": people.keyid(by)}
    return Case(
        name=name,
        comment=comment,
        message=message,
        source=source,
        error="gpg-signature",
        facts=facts,
        problem=problem,
        **more,
    )


def kinds(people: People) -> Iterator[Case]:
    """Keys of all kinds."""
    for name in ("ed25519", "rsa2048", "nistp256", "nistp384", "nistp521", "brainpool", "secp256k1", "dsa2048"):
        yield good(f"key-{name}", f"a key of the kind {name}", people.sign(name), keys=(name,), by=name)
    for name in ("rsa1024", "dsa1024"):
        yield refused(
            people,
            f"key-{name}",
            f"a key of the kind {name}, which is too short",
            people.sign(name, options=("--digest-algo", "SHA256", "--enable-dsa2")),
            "its key is too short, or not one that signs",
            HERE_ONLY,
            by=name,
            keys=(name,),
            difference="a key that could be computed does not vouch, be it GPG's or a plain one",
        )
    yield good(
        "keys-second-file",
        "the second of two keys signed, each of which has a file of its own",
        people.sign("other"),
        keys=("ed25519", "other"),
        by="other",
    )
    yield good(
        "keys-one-file",
        "the second of two keys signed, and one file has both",
        people.sign("other"),
        keys=("ed25519", "other"),
        together=True,
        by="other",
    )
    yield refused(
        people,
        "keys-stranger",
        "by a key that nobody asked for",
        people.sign("stranger"),
        NOT_ASKED,
        by="stranger",
    )
    yield refused(
        people,
        "keys-stranger-brought-along",
        "by a key that nobody asked for, and that the signature brings along",
        people.sign("stranger", options=("--include-key-block",)),
        NOT_ASKED,
        by="stranger",
    )
    yield refused(
        people,
        "keys-sha1-self-signature",
        "by a key that vouches for itself over SHA-1 only",
        people.sign("sha1", options=("--digest-algo", "SHA256")),
        UNCHECKED,
        HERE_ONLY,
        by="sha1",
        keys=("sha1",),
        difference="SHA-1 counts nowhere, nor in what a key says of itself",
    )
    yield good(
        "subkey",
        "by a subkey of the key that was asked for",
        people.sign("subkeys.1"),
        "RFC 4880 section 11.1",
        keys=("subkeys",),
        by="subkeys",
        difference="a subkey speaks for its primary key",
    )


def life(people: People) -> Iterator[Case]:
    """Times and revocations."""
    early, early_now = "20250301T120000", "2025-03-01T12:00:00Z"
    clock = "the time that counts is the one of the decision, and here it is in the past"
    yield good("time-key-lasts", "by a key that ends in 2099", people.sign("lasting"), keys=("lasting",), by="lasting")
    yield good(
        "time-before-key-expired",
        "by a key that expired afterwards, asked before it did",
        people.sign("expired", at=early),
        keys=("expired",),
        by="expired",
        signed=early_now,
        now="2025-06-30T23:59:59Z",
        difference=clock,
    )
    yield good(
        "time-key-in-its-last-second",
        "by a key that expired afterwards, asked in the second in which it does",
        people.sign("expired", at=early),
        keys=("expired",),
        by="expired",
        signed=early_now,
        now="2025-07-01T00:00:00Z",
        difference=clock,
    )
    yield refused(
        people,
        "time-key-expired",
        "by a key that has expired meanwhile, asked one second later",
        people.sign("expired", at=early),
        "its key has expired",
        by="expired",
        keys=("expired",),
        now="2025-07-01T00:00:01Z",
    )
    yield refused(
        people,
        "time-subkey-expired",
        "by a subkey that has expired meanwhile; its primary key has not",
        people.sign("subkeys.2", at=early),
        "its key has expired",
        by="subkeys.2",
        keys=("subkeys",),
    )
    yield good(
        "time-before-subkey-expired",
        "by a subkey that expired afterwards, asked before it did",
        people.sign("subkeys.2", at=early),
        keys=("subkeys",),
        by="subkeys",
        signed=early_now,
        now="2025-06-30T23:59:59Z",
        difference=clock,
    )
    yield refused(
        people,
        "time-primary-expired",
        "by a subkey that has not expired; its primary key has",
        people.sign("expired-subkeys.1", at=early),
        "its key has expired",
        by="expired-subkeys.1",
        keys=("expired-subkeys",),
    )
    for name, by, comment in (
        ("revoked", "revoked", "by a key that was revoked"),
        ("revoked-subkey", "subkeys.3", "by a subkey that was revoked; its primary key was not"),
        ("revoked-primary", "revoked-subkeys.1", "by a subkey whose primary key was revoked"),
    ):
        yield refused(
            people,
            name,
            comment,
            people.sign(by),
            "its key was revoked",
            by=by,
            keys=(by.partition(".")[0],),
        )
    yield refused(
        people,
        "revoked-later",
        "by a subkey that was revoked later than it is asked",
        people.sign("subkeys.3", at=early),
        "its key was revoked",
        HERE_ONLY,
        by="subkeys.3",
        keys=("subkeys",),
        now=early_now,
    )
    brief = people.sign(options=("--default-sig-expire", "30d"))
    yield refused(
        people,
        "time-signature-expired",
        "a signature for 30 days, asked after 60",
        brief,
        "it has expired",
        by="ed25519",
        now="2026-03-02T12:00:00Z",
    )
    yield good(
        "time-before-signature-expired",
        "a signature for 30 days, asked after 29",
        brief,
        now="2026-01-30T12:00:00Z",
        difference=clock,
    )
    yield good(
        "time-signature-lasts",
        "a signature that expires in 2098",
        people.sign(options=("--default-sig-expire", "20980101T000000")),
    )
    yield good(
        "time-skew",
        "a signature from the future, by five minutes: clocks differ",
        people.sign(at="20260101T120500"),
        HERE_ONLY,
        signed="2026-01-01T12:05:00Z",
    )
    for name, comment, at, said in (
        (
            "near",
            "a signature from the future, by five minutes and a second",
            "20260101T120501",
            "2026-01-01T12:05:01Z",
        ),
        ("far", "a signature from 2099", "20990301T120000", "2099-03-01T12:00:00Z"),
    ):
        yield refused(
            people,
            f"time-future-{name}",
            comment,
            people.sign(at=at),
            f"it claims to be from the future, {said}",
            HERE_ONLY,
            by="ed25519",
            difference="who signs for the future outlives what ends until then",
        )
    yield refused(
        people,
        "time-key-from-the-future",
        "by a key that will be made in 2099",
        people.sign("future", at="20990301T120000"),
        UNCHECKED,
        by="future",
        keys=("future",),
    )
    yield refused(
        people,
        "time-before-key",
        "asked before the key was made",
        people.sign(),
        UNCHECKED,
        HERE_ONLY,
        by="ed25519",
        now="2024-12-31T23:59:59Z",
        difference=clock,
    )


def digests(people: People) -> Iterator[Case]:
    """Hashes, and what a signature can say besides."""
    for digest in ("SHA256", "SHA384", "SHA512"):
        message = people.sign("rsa2048", options=("--digest-algo", digest))
        yield good(f"digest-{digest.lower()}", f"over {digest}", message, keys=("rsa2048",), by="rsa2048")
    for digest in ("SHA1", "SHA224", "RIPEMD160"):
        yield malformed(
            f"digest-{digest.lower()}",
            f"over {digest}",
            people.sign("rsa2048", options=("--digest-algo", digest)),
            "its signature is over a digest that is too weak",
            HERE_ONLY,
            keys=("rsa2048",),
            by="rsa2048",
            difference="SHA-256 and longer count",
        )
    parts = packets(people.sign("rsa2048", options=("--digest-algo", "SHA256")))
    yield malformed(
        "digest-md5",
        "said to be over MD5",
        joined(
            parts,
            once=replaced(b"\x03\x00\x08", b"\x03\x00\x01"),
            signature=replaced(b"\x04\x00\x01\x08", b"\x04\x00\x01\x01"),
        ),
        "its signature is over a digest that is too weak",
        keys=("rsa2048",),
        by="rsa2048",
    )
    for name, comment, options in (
        ("notation", "with a notation", ("--sig-notation", "build@example.com=7")),
        ("policy-url", "with the address of a policy", ("--sig-policy-url", "https://example.com/policy")),
        ("keyserver-url", "with the address of a keyserver", ("--sig-keyserver-url", "https://example.com/key")),
        ("sender", "with the user id of the signer", ("--sender", "ed25519@example.com")),
        ("key-block", "with the key of the signer", ("--include-key-block",)),
    ):
        yield good(f"says-{name}", comment, people.sign(options=options))
    yield good(
        "says-critical-policy-url",
        "with the address of a policy that nobody may pass over",
        people.sign(options=("--sig-policy-url", "!https://example.com/policy")),
    )
    yield refused(
        people,
        "says-critical-notation",
        "with a notation that nobody may pass over, and nobody knows",
        people.sign(options=("--sig-notation", "!build@example.com=7")),
        NOT_HELD,
        "RFC 4880 section 5.2.3.1",
        by="ed25519",
    )


def forms(people: People) -> Iterator[Case]:
    """What a message may be made of."""
    for how in ("none", "zip", "zlib", "bzip2"):
        message = people.sign(options=("--compress-algo", how))
        yield good(f"form-{how}", f"compressed by {how}" if how != "none" else "not compressed", message)
    plain = people.sign()
    parts = packets(plain)
    yield good("form-new-headers", "all headers in the newer format", joined(parts, new))
    yield good(
        "form-compressed-of-length",
        "compressed, in a packet that says how long it is",
        old(COMPRESSED, compressed(plain, 2)[1:]),
    )
    yield good("form-stored", "in a packet of compression that does not compress", compressed(plain, 0))
    yield good(
        "form-literal-in-parts",
        "the content comes in parts",
        old(ONE_PASS, parts[ONE_PASS]) + in_parts(LITERAL, parts[LITERAL]) + old(SIGNATURE, parts[SIGNATURE]),
    )
    yield good(
        "form-file-name",
        "the content says what file it was in",
        people.sign(options=("--set-filename", "payload.json")),
    )
    yield good(
        "form-for-your-eyes-only",
        "the content asks not to be saved",
        people.sign(options=("--for-your-eyes-only",)),
    )


def other_forms(people: People) -> Iterator[Case]:
    """What is none of the one form."""
    plain = people.sign()
    parts = packets(plain)
    armoured = people.other("--armor", "--sign")
    yield malformed(
        "form-armour",
        "in armour",
        armoured,
        BINARY,
        difference=ONE_FORM,
    )
    yield malformed(
        "form-clear-signed",
        "clear-signed",
        people.other("--clear-sign"),
        BINARY,
        difference=ONE_FORM,
    )
    detached = people.other("--detach-sign")
    yield malformed("form-detached", "a detached signature", detached, NOT_ONE)
    yield malformed(
        "form-detached-armour", "a detached signature in armour", people.other("--armor", "--detach-sign"), BINARY
    )
    yield malformed(
        "form-detached-and-payload",
        "a detached signature, and the payload behind it",
        detached + PAYLOAD,
        "something else follows",
    )
    yield malformed(
        "form-payload-and-detached",
        "the payload, and a detached signature behind it",
        PAYLOAD + detached,
        BINARY,
    )
    yield malformed(
        "form-signature-first",
        "signature and content in the order of PGP 2",
        old(SIGNATURE, parts[SIGNATURE]) + old(LITERAL, parts[LITERAL]),
        NOT_ONE,
        difference=ONE_FORM,
    )
    yield malformed("form-no-signature", "content that nobody signed", people.other("--store", by=None), NOT_ONE)
    yield malformed("form-payload", "the payload, and nothing else", PAYLOAD, BINARY)
    yield malformed("form-empty", "nothing", b"", NOT_ONE)
    yield malformed(
        "form-two-signers",
        "two keys signed one message, both of which are asked for",
        people.sign("ed25519", "other"),
        "it has too many parts",
        keys=("ed25519", "other"),
    )
    yield malformed(
        "form-same-signer-twice",
        "a message with one signature twice",
        old(ONE_PASS, parts[ONE_PASS][:-1] + b"\0") + joined(parts) + old(SIGNATURE, parts[SIGNATURE]),
        "it has too many parts",
    )
    yield malformed(
        "form-two-messages",
        "two messages",
        plain + people.sign("other"),
        "it has too many parts",
        keys=("ed25519", "other"),
    )
    yield malformed("form-twice", "one message twice", plain * 2, "it has too many parts")
    yield malformed(
        "form-two-compressed",
        "two compressed messages",
        old(COMPRESSED, compressed(plain, 1)[1:]) * 2,
        NOT_ONE,
        difference=ONE_FORM,
    )
    yield malformed(
        "form-two-in-one",
        "two messages in one packet of compression",
        compressed(plain * 2, 1),
        "it has too many parts",
    )
    yield malformed("form-rubbish-behind", "rubbish behind the message", plain + b"rubbish", "something else follows")
    yield malformed("form-newline-behind", "a newline behind the message", plain + b"\n", "something else follows")
    yield malformed("form-rubbish-in-front", "a newline in front of the message", b"\n" + plain, BINARY)
    yield malformed(
        "form-marker",
        "a packet in front that means nothing",
        old(MARKER, b"PGP") + plain,
        NOT_ONE,
        difference=ONE_FORM,
    )
    yield malformed(
        "form-private-packet",
        "a packet behind it that nobody knows",
        plain + new(PRIVATE, b"x"),
        NOT_ONE,
        difference=ONE_FORM,
    )
    yield malformed("form-user-id", "a user id in front", old(USER, b"somebody") + plain, NOT_ONE, difference=ONE_FORM)
    yield malformed(
        "form-two-contents",
        "two pieces of content",
        joined(parts, literal=_same).replace(old(LITERAL, parts[LITERAL]), old(LITERAL, parts[LITERAL]) * 2),
        NOT_ONE,
    )
    yield malformed(
        "form-compressed-twice",
        "compressed twice",
        compressed(compressed(plain, 1), 2),
        NOT_ONE,
        difference=ONE_FORM,
    )
    yield malformed(
        "form-unknown-compression",
        "a compression that nobody knows",
        compressed(plain, 7),
        "what it compresses cannot be read",
    )
    yield malformed(
        "form-rubbish-in-compression",
        "rubbish behind what is compressed",
        compressed(plain, 2) + b"rubbish",
        "what it compresses does not end with it",
        difference="nothing may hide behind what is compressed",
    )
    yield malformed(
        "form-content-without-end",
        "the content has no length, and so takes the signature for its own",
        old(ONE_PASS, parts[ONE_PASS]) + b"\xaf" + parts[LITERAL] + old(SIGNATURE, parts[SIGNATURE]),
        NOT_ONE,
    )
    yield malformed(
        "form-signature-in-parts",
        "the signature comes in parts",
        old(ONE_PASS, parts[ONE_PASS]) + old(LITERAL, parts[LITERAL]) + in_parts(SIGNATURE, parts[SIGNATURE]),
        "a packet comes in parts that may not",
        "RFC 4880 section 4.2.2.4",
    )
    yield malformed(
        "form-text",
        "a signature over text",
        people.sign(options=("--textmode",)),
        "its signature is not the one that was announced, over binary content",
        difference=ONE_FORM,
    )
    for kind, what in (
        (0x02, "over nothing"),
        (0x10, "of a user id"),
        (0x18, "of a subkey"),
        (0x20, "of a revocation"),
        (0x40, "of a time"),
    ):
        yield malformed(
            f"form-signature-{kind:02x}",
            f"a signature {what}",
            joined(
                parts,
                once=put(1, kind),
                signature=put(1, kind),
            ),
            "its signature is not the one that was announced, over binary content",
        )


def sizes(people: People) -> Iterator[Case]:
    """What is encrypted, and what is large."""
    for name, comment, problem in (
        ("encrypted", "encrypted, and not signed", NOT_ONE),
        ("encrypted-signed", "signed and encrypted", NOT_ONE),
        ("symmetric", "encrypted with a passphrase", NOT_ONE),
        ("symmetric-signed", "signed, and encrypted with a passphrase", NOT_ONE),
    ):
        yield malformed(f"form-{name}", comment, (RECORDED / f"{name}.pgp").read_bytes(), problem)
    large = payload(optional={"more": "x" * 60_000})
    yield good("form-large", "60 000 bytes of content, in parts", people.sign(content=large))
    huge = payload(optional={"more": "x" * 100_000})
    too_long = "it is longer than 65536 bytes"
    bounded = "what is read has bounds: a payload has 64 KiB at most"
    yield malformed(
        "form-huge",
        "100 000 bytes of content",
        people.sign(content=huge, options=("--compress-algo", "zip")),
        "it is longer than it may be when it is unpacked",
        HERE_ONLY,
        difference=bounded,
    )
    yield malformed(
        "form-huge-plain",
        "100 000 bytes of content, not compressed",
        people.sign(content=huge),
        too_long,
        HERE_ONLY,
        difference=bounded,
    )
    bomb = PAYLOAD + b" " * (8 << 20)
    yield malformed(
        "form-bomb",
        "eight million blanks behind the payload, compressed",
        people.sign(content=bomb, options=("--compress-algo", "bzip2")),
        "it is longer than it may be when it is unpacked",
        HERE_ONLY,
        difference=bounded,
    )


def damage(people: People) -> Iterator[Case]:
    """One bit that is another, and ends that are missing."""
    whole = people.sign()
    parts = packets(whole)
    announced = "its one-pass packet is not that of one signature"
    unlike = "its signature is not the one that was announced, over binary content"
    flips: tuple[tuple[str, str, str, int, str, str], ...] = (
        ("once-version", "the version of the announcement", "once", 0, "format", announced),
        ("once-kind", "the kind of the announced signature", "once", 1, "format", unlike),
        ("once-digest", "the announced digest", "once", 2, "format", unlike),
        ("once-algorithm", "the announced algorithm", "once", 3, "format", unlike),
        ("once-issuer", "the announced issuer", "once", 11, "format", OTHER_ISSUER),
        ("once-last", "whether the announced signature is the last", "once", 12, "format", announced),
        ("content", "a letter of the content", "literal", -1, "gpg-signature", NOT_HELD),
        (
            "signature-version",
            "the version of the signature",
            "signature",
            0,
            "format",
            "its signature is not of version 4",
        ),
        ("signature-digest", "the digest of the signature", "signature", 3, "format", unlike),
        ("signature-hashed-length", "the length of what the signature says", "signature", 5, "format", OTHER_ISSUER),
        ("signature-hashed-issuer", "the fingerprint that the signature says", "signature", 28, "format", OTHER_ISSUER),
        ("signature-hashed-time", "the time that the signature says", "signature", 34, "gpg-signature", NOT_HELD),
        (
            "signature-issuer",
            "the issuer that the signature says beside what it covers",
            "signature",
            46,
            "format",
            OTHER_ISSUER,
        ),
        ("signature-number", "the last byte of the signature", "signature", -1, "gpg-signature", NOT_HELD),
    )
    for name, what, packet, at, error, problem in flips:
        message = joined(parts, **{packet: flipped(at)})
        comment = f"one bit is another in {what}"
        if error == "format":
            unlike_gpg = name in {"once-kind", "once-algorithm", "once-issuer", "once-last", "signature-issuer"}
            difference = ANNOUNCED if unlike_gpg else None
            yield malformed(f"flip-{name}", comment, message, problem, difference=difference)
        else:
            yield refused(people, f"flip-{name}", comment, message, problem, by="ed25519")
    for name, what, packet, change in (
        ("literal-kind", "the kind of the content, which says text now", "literal", replaced(b"b\0", b"t\0")),
        ("literal-time", "the time of the content", "literal", flipped(5)),
        ("signature-check", "the hint at the digest", "signature", flipped(47)),
    ):
        message = joined(parts, **{packet: change})
        comment = f"one byte is another in {what}, which no signature covers"
        yield good(f"flip-{name}", comment, message, "RFC 4880 section 5.2.4")
    yield malformed(
        "flip-compressed",
        "one bit is another in what is compressed",
        flipped(40)(people.sign(options=("--compress-algo", "zlib"))),
        "what it compresses cannot be read",
    )
    yield malformed(
        "issuer-other",
        "by a key that nobody asked for, announced as one that was",
        joined(
            packets(people.sign("stranger")),
            once=replaced(bytes.fromhex(people.keyid("stranger")), bytes.fromhex(people.keyid("ed25519"))),
        ),
        OTHER_ISSUER,
    )
    swapped = replaced(bytes.fromhex(people.keyid("stranger")), bytes.fromhex(people.keyid("ed25519")))
    yield refused(
        people,
        "issuer-other-everywhere",
        "by a key that nobody asked for, which calls itself otherwise wherever it can",
        joined(packets(people.sign("stranger")), once=swapped, signature=swapped),
        NOT_HELD,
        by="ed25519",
    )
    yield malformed(
        "issuer-nobody",
        "announced to be by nobody",
        joined(parts, once=replaced(bytes.fromhex(people.keyid("ed25519")), bytes(8))),
        OTHER_ISSUER,
        difference=ANNOUNCED,
    )
    beside = b"\x00\x0a\x09\x10" + bytes.fromhex(people.keyid("ed25519"))
    yield good(
        "issuer-by-fingerprint",
        "the signature says its issuer by fingerprint only",
        joined(parts, signature=replaced(beside, b"\x00\x00")),
    )
    once, literal = old(ONE_PASS, parts[ONE_PASS]), old(LITERAL, parts[LITERAL])
    for name, comment, size, problem in (
        ("header", "ends within the first header", 1, EARLY),
        ("once", "ends within the announcement", 7, EARLY),
        ("after-once", "ends behind the announcement", len(once), NOT_ONE),
        ("content", "ends within the content", len(once) + 40, EARLY),
        ("after-content", "ends behind the content, before the signature", len(once + literal), NOT_ONE),
        ("signature", "ends within the signature", -20, EARLY),
        ("last-byte", "lacks its last byte", -1, EARLY),
    ):
        yield malformed(f"cut-{name}", f"the message {comment}", joined(parts)[:size], problem)
    yield malformed(
        "cut-compressed",
        "what is compressed lacks its last bytes",
        people.sign(options=("--compress-algo", "zlib"))[:-5],
        "what it compresses does not end with it",
        difference="what is compressed has to be whole, to its own checksum",
    )


def bad(
    people: People, name: str, comment: str, content: bytes, path: str, problem: str, difference: str | None = None
) -> Case:
    """Return a case whose payload is not as it should be."""
    return Case(
        name=f"payload-{name}",
        comment=comment,
        message=people.sign(content=content),
        source=SPEECH,
        error="format",
        facts={"role": "simple signing", "path": path},
        problem=problem,
        difference=difference,
    )


def fine(people: People, name: str, comment: str, content: bytes) -> Case:
    """Return a case whose payload is one."""
    return good(f"payload-{name}", comment, people.sign(content=content), SPEECH)


def speeches(people: People) -> Iterator[Case]:
    """Payloads as JSON."""
    whole = PAYLOAD.decode()
    yield fine(
        people, "pretty", "indented, with a newline at the end", json.dumps(document(), indent=4).encode() + b"\n"
    )
    yield fine(people, "blanks", "blanks around it", b" \t\r\n" + PAYLOAD + b"\r\n\t ")
    yield fine(people, "escapes", "a member whose name is escaped", whole.replace('"type"', '"\\u0074ype"').encode())
    yield fine(people, "nothing-optional", "nothing that is optional", payload(optional={}))
    yield fine(
        people,
        "more-optional",
        "members of optional that nobody knows",
        payload(optional={"build": {"number": 7, "tags": ["a", None]}}),
    )
    yield fine(people, "time-zero", "a time of 0", payload(optional__timestamp=0))

    yield bad(people, "empty", "it is empty", b"", "", NO_JSON)
    yield bad(people, "text", "it is no JSON", b"registry.example/team/app:1.0", "", NO_JSON)
    yield bad(people, "list", "it is a list", b"[" + PAYLOAD + b"]", "", "an object is due, not a list")
    yield bad(people, "null", "it is null", b"null", "", "an object is due, not null")
    yield bad(
        people,
        "mark",
        "a byte order mark in front",
        b"\xef\xbb\xbf" + PAYLOAD,
        "",
        NO_JSON,
    )
    yield bad(
        people,
        "utf-16",
        "it is in UTF-16",
        whole.encode("utf-16-le"),
        "",
        NO_JSON,
    )
    yield bad(
        people,
        "not-utf-8",
        "a byte that is not UTF-8",
        PAYLOAD.replace(b"vectors", b"vector\xff"),
        "",
        "it is not UTF-8",
        "text is UTF-8, or it is none",
    )
    yield bad(
        people, "control-character", "a line break within a text", PAYLOAD.replace(b"vectors", b"vector\n"), "", NO_JSON
    )
    yield bad(
        people,
        "half-a-character",
        "half a character in a text",
        PAYLOAD.replace(b"vectors", b"vector\\ud800"),
        "",
        "it has text that is none: half a character",
        "half a character is text that nobody could write down",
    )
    yield bad(people, "two", "two documents", PAYLOAD * 2, "", NO_JSON)
    yield bad(people, "letter-behind", "a letter behind it", PAYLOAD + b"x", "", NO_JSON)
    yield bad(people, "zero-behind", "a zero behind it", PAYLOAD + b"\0", "", NO_JSON)
    yield bad(people, "comma", "a comma too many", PAYLOAD[:-1] + b",}", "", NO_JSON)
    yield bad(
        people,
        "deep",
        "lists in lists, 20 000 of them",
        payload(optional={"more": 0}).replace(b":0", b":" + b"[" * 20_000 + b"]" * 20_000),
        "",
        "nested too deeply",
    )


def members(people: People) -> Iterator[Case]:
    """Members that are missing, too many, or called otherwise."""
    whole = PAYLOAD.decode()
    for name in ("critical", "optional", "type", "image", "identity", "creator", "timestamp"):
        twice = whole.replace(f'"{name}":', f'"{name}":null,"{name}":', 1).encode()
        yield bad(people, f"twice-{name}", f"{name} stands twice", twice, "", f"member {name!r} stands twice")
    yield bad(
        people,
        "twice-escaped",
        "type stands twice, once escaped",
        whole.replace('"type":', '"\\u0074ype":null,"type":').encode(),
        "",
        "member 'type' stands twice",
    )
    for name, path, problem in (
        ("critical", "Critical", "there is no such member"),
        ("optional", "Optional", "there is no such member"),
        ("type", "critical.Type", "there is no such member"),
        ("docker-reference", "critical.identity.Docker-reference", "there is no such member"),
        ("creator", "optional.Creator", "this is 'creator' in another case"),
    ):
        strict = "some readers take a name for another that differs in case only" if name == "creator" else None
        yield bad(
            people,
            f"case-{name}",
            f"{name} in another case",
            whole.replace(f'"{name}"', f'"{name.capitalize()}"').encode(),
            path,
            problem,
            strict,
        )
    for way in (
        ("critical",),
        ("optional",),
        ("critical", "type"),
        ("critical", "image"),
        ("critical", "identity"),
        ("critical", "image", "docker-manifest-digest"),
        ("critical", "identity", "docker-reference"),
    ):
        yield bad(people, f"lacks-{way[-1]}", f"{way[-1]} is missing", without(*way), ".".join(way), "it is missing")
    for where in ("", "critical", "critical__image", "critical__identity"):
        path = ".".join(filter(None, (where.replace("__", "."), "more")))
        name = where.rpartition("__")[2] or "payload"
        yield bad(
            people,
            f"more-{name}",
            f"a member of the {name} that nobody knows",
            payload(**{f"{where}__more" if where else "more": 1}),
            path,
            "there is no such member",
        )
    yield bad(
        people, "optional-null", "optional is null", payload(optional=None), "optional", "an object is due, not null"
    )
    yield bad(
        people, "optional-list", "optional is a list", payload(optional=[]), "optional", "an object is due, not a list"
    )


def values(people: People) -> Iterator[Case]:
    """Members with values that they cannot have."""
    whole = PAYLOAD.decode()
    yield bad(
        people,
        "type-cosign",
        "the type of cosign",
        payload(critical__type="cosign container image signature"),
        "critical.type",
        "'cosign container image signature' is not 'atomic container signature'",
    )
    yield bad(
        people,
        "type-number",
        "a type that is a number",
        payload(critical__type=1),
        "critical.type",
        "a string is due, not a number",
    )
    yield bad(
        people,
        "creator-number",
        "a creator that is a number",
        payload(optional__creator=1),
        "optional.creator",
        "a string is due, not a number",
    )
    yield bad(
        people,
        "creator-null",
        "a creator that is null",
        payload(optional__creator=None),
        "optional.creator",
        "a string is due, not null",
        TYPED,
    )
    for name, spelled, problem in (
        ("text", '"1767268800"', "a string"),
        ("null", "null", "null"),
        ("true", "true", "a boolean"),
    ):
        yield bad(
            people,
            f"time-{name}",
            f"a time that is {name}",
            whole.replace("1767268800", spelled).encode(),
            "optional.timestamp",
            f"an integer is due, not {problem}",
            TYPED if name == "null" else None,
        )
    for name, spelled in (("fraction", "1767268800.5"), ("point-zero", "1767268800.0"), ("power", "17672688e2")):
        strict = "a number is an integer where it is written as one" if name != "fraction" else None
        yield bad(
            people,
            f"time-{name}",
            f"a time that is written as {spelled}",
            whole.replace("1767268800", spelled).encode(),
            "",
            f"{spelled} is not an integer that every reader can hold",
            strict,
        )
    yield bad(
        people,
        "time-negative",
        "a time before 1970",
        payload(optional__timestamp=-1),
        "optional.timestamp",
        "-1 is outside 0 to 9007199254740992",
        "a program that writes times has none before 1970",
    )
    yield bad(
        people,
        "time-large",
        "a time beyond what every reader can hold",
        payload(optional__timestamp=2**53 + 1),
        "",
        f"{2**53 + 1} is not an integer that every reader can hold",
        "a number has to be read alike by every reader",
    )
    yield bad(
        people,
        "fraction-elsewhere",
        "a fraction where nobody knows what it means",
        payload(optional={"more": [0.5]}),
        "",
        "0.5 is not an integer that every reader can hold",
        "a number has to be read alike by every reader",
    )
    for name, digest, problem in (
        ("upper-case", f"sha256:{DIGEST[7:].upper()}", HEX_DUE),
        ("short", DIGEST[:-1], HEX_DUE),
        ("long", f"{DIGEST}0", HEX_DUE),
        ("bare", DIGEST[7:], KIND_DUE),
        ("sha512", f"sha512:{DIGEST[7:] * 2}", "it has to start with sha256:"),
        ("blank", f" {DIGEST}", KIND_DUE),
        ("empty", "", KIND_DUE),
        ("null", None, "a string is due, not null"),
    ):
        yield bad(
            people,
            f"digest-{name}",
            f"a digest that is {name}" if name != "sha512" else "a digest of another kind",
            payload(critical__image={"docker-manifest-digest": digest}),
            "critical.image.docker-manifest-digest",
            problem,
        )
    for name, reference, problem in (
        ("empty", "", "'library/' is not a repository name"),
        ("blank", f" {IMAGE}", "' registry.example' is not a registry host"),
        (
            "upper-case",
            "registry.example/Team/app:1.0",
            "'Team/app' is not a repository name (a repository name is lower case)",
        ),
        ("scheme", f"docker://{IMAGE}", "'docker:' is not a registry host"),
        ("null", None, "a string is due, not null"),
        ("other-digest", f"{IMAGE}@{OTHER_DIGEST}", "it names another digest than the image has"),
    ):
        yield bad(
            people,
            f"name-{name}",
            f"a name that is {name}" if name in {"empty", "null"} else f"a name with {name}",
            payload(critical__identity={"docker-reference": reference}),
            "critical.identity.docker-reference",
            problem,
        )


def identities(people: People) -> Iterator[Case]:
    """Payloads about something else."""
    yield Case(
        name="digest-other",
        comment="of another manifest",
        message=people.sign(content=payload(critical__image={"docker-manifest-digest": OTHER_DIGEST})),
        source=SPEECH,
        error="signed-digest",
        facts={"expected": DIGEST, "signed": OTHER_DIGEST},
        problem=None,
    )
    for name, comment, reference in (
        ("tag", "as another tag", "registry.example/team/app:2.0"),
        ("no-tag", "as no tag", "registry.example/team/app"),
        ("repository", "as another repository", "registry.example/team/apps:1.0"),
        ("parent", "as a repository above", "registry.example/team:1.0"),
        ("registry", "as another registry's", "registry.example:443/team/app:1.0"),
        ("short", "as a name without registry", "team/app:1.0"),
        ("digest", "by digest, and asked for by tag", f"registry.example/team/app@{DIGEST}"),
        ("tag-and-digest", "as the tag and digest, and asked for by tag", f"{IMAGE}@{DIGEST}"),
    ):
        yield Case(
            name=f"identity-{name}",
            comment=f"signed {comment}",
            message=people.sign(content=payload(critical__identity={"docker-reference": reference})),
            source="containers/image docs/containers-policy.json.5.md, matchRepoDigestOrExact",
            error="identity",
            facts={"signed": reference},
            problem=None,
        )


GROUPS: Final = (kinds, life, digests, forms, other_forms, sizes, damage, speeches, members, values, identities)

if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
