"""Kinds of keys, their schemes and their ids."""

from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vectors.make.material import private_key
from vectors.make.tuf.keys import Json, Key, ecdsa, eddsa, rsa_pkcs1, rsa_pss
from vectors.make.tuf.repository import Repository
from vectors.make.tuf.scenario import ROLES, Named, case, found, keyed, malformed, slug, threshold, where

SPEC: Final = "TUF 1.0.34 section 4.2; securesystemslib"


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    for name, key in GOOD.items():
        for role in ("root", "timestamp", "releases"):
            published = keyed(role, [key]).publish()
            comment = f"a key of the kind {name.replace('-', ' ')}"
            yield case(f"key-{name}-{slug(role)}", comment, SPEC, published, found(published))
    yield from _inert()
    yield from _ids()
    yield from _scopes()


def _inert() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.2: a key that cannot be used vouches for nothing and harms nobody"
    for name, (comment, key) in BAD.items():
        for role in ("timestamp", "releases"):
            expect = threshold(role)
            yield case(f"key-{name}-{slug(role)}", comment, source, keyed(role, [key]).publish(), expect, at=role)
        published = keyed("timestamp", [key, eddsa("timestamp")]).publish()
        answer = found(published)
        yield case(f"key-{name}-beside", f"{comment}; a good one beside it is enough", source, published, answer)
    for role in ROLES:
        published = keyed(role, [BAD["unknown-type"][1], eddsa(role)]).publish()
        comment = "a key of a type that nobody knows, beside a good one"
        answer = found(published)
        if role == "releases":
            answer["found"]["signers"] = [eddsa(role).id]
        yield case(f"key-unknown-beside-{slug(role)}", comment, source, published, answer)


def _ids() -> Iterator[Named]:
    source = "TAP 12: key ids are names, whatever they are"
    for role in ROLES:
        for name, keyid in (("any", "the key of " + role), ("empty", ""), ("another's", eddsa("stranger").id)):
            published = keyed(role, [eddsa(role).known_as(keyid)]).publish()
            comment = "the id of the key is not computed from it"
            slugged = name.replace("'", "")
            yield case(f"key-id-{slugged}-{slug(role)}", comment, source, published, found(published))
    source = "TUF 1.0.34 section 4.2.1; an id without a key is nobody's"
    for role in ROLES:
        made = keyed(role, [eddsa(role)])
        above = {"releases": "targets"}.get(role, "root")
        made.parts[above].edit = _listing_a_stranger(role)
        published = made.publish()
        comment = "one of the ids that may sign has no key"
        yield case(f"key-id-without-key-{slug(role)}", comment, source, published, found(published))
    made = Repository.usual()
    made.parts["root"].edit = lambda signed: signed["roles"]["timestamp"]["keyids"].append(eddsa("timestamp").id)
    comment = "an id that may sign stands twice"
    expect = malformed("root", "signed.roles.timestamp.keyids")
    source = "TUF 1.0.34 section 4.3: key ids are unique"
    yield case("key-id-twice", comment, source, made.publish(), expect, at=["remember"])


def _listing_a_stranger(role: str) -> Callable[[Json], None]:
    def edit(signed: Json) -> None:
        entry = signed["roles"][role] if role != "releases" else signed["delegations"]["roles"][0]
        entry["keyids"].insert(0, "nobody")

    return edit


def _scopes() -> Iterator[Named]:
    source = "TUF 1.0.34 section 5.6.3: the keys of who delegates count, and no others"
    made = Repository.usual()
    made.parts["releases"].signers = [eddsa("targets")]
    comment = "whoever delegates does not sign for the role"
    expect = threshold("releases")
    yield case("key-of-the-delegator", comment, source, made.publish(), expect, at="releases")
    made = Repository.usual()
    made.parts["targets"].edit = lambda signed: signed["delegations"].update(keys={})
    made.keys["timestamp"] = [eddsa("timestamp"), eddsa("releases")]
    comment = "the key of a delegated role is listed by root and not by who delegates"
    yield case("key-of-root", comment, source, made.publish(), expect, at="releases")
    made = Repository.usual()
    made.keys["targets"] = [eddsa("targets").known_as(eddsa("releases").id)]
    published = made.publish()
    comment = "one id is one key to root and another key to who delegates"
    yield case("key-id-of-two-keys", comment, source, published, found(published))
    for role, other in (("timestamp", "snapshot"), ("snapshot", "targets"), ("targets", "root")):
        made = Repository.usual()
        made.parts[role].signers = [eddsa(other)]
        comment = f"the key of {other} signed for {role}"
        yield case(f"key-of-{other}-for-{role}", comment, source, made.publish(), threshold(role), at=where(role))


def _public(label: str, kind: str, form: PublicFormat, encoding: Encoding = Encoding.PEM) -> bytes:
    return private_key(label, kind).public_key().public_bytes(encoding, form)


POINT: Final = _public("old", "p256", PublicFormat.UncompressedPoint, Encoding.X962).hex()
OLD: Final = ecdsa("old")
GOOD: Final[dict[str, Key]] = {
    "ed25519": eddsa("good"),
    "ecdsa-p256": ecdsa("good"),
    "ecdsa-p384": ecdsa("good", "p384"),
    "ecdsa-p521": ecdsa("good", "p521"),
    "ecdsa-of-the-old-type": OLD.spelled_as(keytype="ecdsa-sha2-nistp256"),
    "ecdsa-p384-of-the-old-type": ecdsa("old", "p384").spelled_as(keytype="ecdsa-sha2-nistp384"),
    "ecdsa-as-a-point": OLD.spelled_as(keytype="ecdsa-sha2-nistp256", keyval={"public": POINT}),
    "rsa-pss": rsa_pss("good"),
    "rsa-pss-without-salt": rsa_pss("good", 0),
    "rsa-pss-with-the-longest-salt": rsa_pss("good", 222),
    "rsa-pkcs1v15": rsa_pkcs1("good"),
    "rsa-of-3072-bits": rsa_pss("good", bits=3072),
    "pem-without-last-line-break": OLD.spelled_as(keyval={"public": OLD.spelled["keyval"]["public"].strip()}),
    "pem-with-carriage-returns": OLD.spelled_as(
        keyval={"public": OLD.spelled["keyval"]["public"].replace("\n", "\r\n")}
    ),
}
PEM: Final = OLD.spelled["keyval"]["public"]
BAD: Final[dict[str, tuple[str, Key]]] = {
    "unknown-type": (
        "its type is one that nobody knows",
        eddsa("odd").spelled_as(keytype="glyph", scheme="glyph-9000"),
    ),
    "unknown-scheme": ("its scheme is one that nobody knows", eddsa("odd").spelled_as(scheme="ed25519ph")),
    "scheme-of-another-type": (
        "its scheme is one of another type",
        eddsa("odd").spelled_as(scheme="rsassa-pss-sha256"),
    ),
    "scheme-of-another-curve": ("its scheme is for another curve", OLD.spelled_as(scheme="ecdsa-sha2-nistp384")),
    "scheme-of-another-padding": (
        "it signs with another padding than it says",
        rsa_pss("odd").spelled_as(scheme="rsa-pkcs1v15-sha256"),
    ),
    "scheme-of-notary": ("its scheme is one of Notary v1", rsa_pss("odd").spelled_as(scheme="rsa-pss-sha256")),
    "type-of-another": ("it is of another type than it says", OLD.spelled_as(keytype="rsa")),
    "type-in-capitals": ("its type is in capitals", eddsa("odd").spelled_as(keytype="ED25519", scheme="ed25519")),
    "rsa1024": ("an RSA key that is too short", rsa_pss("odd", bits=1024)),
    "secp256k1": ("a curve that no scheme is for", ecdsa("odd", "secp256k1").spelled_as(scheme="ecdsa-sha2-nistp256")),
    "ed25519-too-short": ("a byte of the key is missing", eddsa("odd").spelled_as(keyval={"public": "00" * 31})),
    "ed25519-not-hex": ("the key is no hex", eddsa("odd").spelled_as(keyval={"public": "x" * 64})),
    "public-missing": ("there is no public key", eddsa("odd").spelled_as(keyval={})),
    "public-a-number": ("the public key is a number", eddsa("odd").spelled_as(keyval={"public": 1})),
    "pem-broken": ("the PEM ends early", OLD.spelled_as(keyval={"public": PEM[:60]})),
    "pem-of-nothing": (
        "the PEM holds nothing",
        OLD.spelled_as(keyval={"public": "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n"}),
    ),
    "point-off-the-curve": ("the point lies on no curve", OLD.spelled_as(keyval={"public": "04" + "11" * 64})),
}
