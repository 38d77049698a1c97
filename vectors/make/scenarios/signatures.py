"""Who signed, and whether it holds."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from vectors.make import material
from vectors.make.collection import (
    GUN,
    Collection,
    Delegated,
    Json,
    root_key,
)
from vectors.make.material import Listed, base64, certificate, certified, private_key, raw
from vectors.make.scenario import (
    JUNK,
    RELEASES,
    ROLES,
    Named,
    bent,
    case,
    first,
    found,
    keyed,
    signing,
    slug,
    threshold,
    usual,
)


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    source = "TUF 1.0.34 sections 5.3.4, 5.4.2, 5.5.3, 5.6.3; notary tuf/signed/verify.go"

    def refused(name: str, comment: str, role: str, collection: Collection, needed: int = 1, valid: int = 0) -> Named:
        expect = threshold(role, needed, valid)
        return case(f"{name}-{slug(role)}", comment, source, collection.publish(), expect, at=first(role))

    for role in ROLES:
        kind = "p256" if role == "root" else "ed25519"
        one, two = _pair(role)
        yield refused("signature-bad", "one bit of the signature is flipped", role, bent(role, wrap=_flip_signature))
        yield refused("signature-cut", "the signature lacks its last byte", role, bent(role, wrap=_cut_signature))
        yield refused("signature-empty", "the signature is empty", role, bent(role, wrap=signing("sig", "")))
        yield refused("signature-none", "nobody signed", role, bent(role, wrap=lambda env: env.update(signatures=[])))
        stranger = raw("stranger", kind)
        yield refused("signature-stranger", "a key that has no say signed", role, bent(role, signers=[stranger]))
        keyid = usual().signers(role)[0].id
        forged = Listed(stranger.private, stranger.spelled, keyid, stranger.method)
        yield refused(
            "signature-forged", "another key signed in the right key's name", role, bent(role, signers=[forged])
        )
        yield refused("signature-other-content", "the version was changed after signing", role, bent(role, wrap=_alter))
        both = keyed(role, [one, two], 2)
        published = both.publish()
        expect = found(published, RELEASES, first_use=True)
        yield case(f"threshold-two-{slug(role)}", "two keys are due, and both signed", source, published, expect)
        both.parts[role].signers = [one]
        yield refused("threshold-one-of-two", "two keys are due, and one signed", role, both, 2, 1)
        both.parts[role].signers = [one, one]
        yield refused("threshold-one-twice", "two keys are due, and one signed twice", role, both, 2, 1)
        twins = keyed(role, _twins(role), 2)
        yield refused("threshold-twins", "two keys are due; one key under two ids is one signer", role, twins, 2, 1)
        collection = bent(role, wrap=lambda env: env["signatures"].insert(0, JUNK))
        published = collection.publish()
        expect = found(published, RELEASES, first_use=True)
        yield case(f"signature-junk-beside-{slug(role)}", "junk beside a good signature", source, published, expect)
        if role != "root":
            yield refused(
                "key-under-the-right-id",
                "the id is the right key's, the key listed under it another",
                role,
                _substituted(role),
            )
    for method in ("ecdsa", "rsapss"):
        yield from _encodings(method, source)


def _pair(role: str) -> tuple[Listed, Listed]:
    """Return two keys for *role*."""
    if role == "root":
        return root_key("root"), root_key("second root")
    return raw(f"first {role}"), raw(f"second {role}")


def _twins(role: str) -> list[Listed]:
    """Return one key under two ids: by itself and by a certificate; a root key by two certificates."""
    private = private_key(f"twin {role}", "p256")
    second = certificate(private, GUN, not_after=datetime(2034, 1, 1, tzinfo=UTC))
    if role == "root":
        return [certified(private, certificate(private, GUN)), certified(private, second)]
    return [raw(f"twin {role}", "p256"), certified(private, second)]


def _substituted(role: str) -> Collection:
    """Return a collection that lists a stranger's key under the id of the key of *role*; the stranger signed."""
    collection, stranger = usual(), raw("stranger")
    keyid = collection.signers(role)[0].id
    bad = Listed(stranger.private, stranger.spelled, keyid, stranger.method)
    if role == RELEASES:
        collection.parts["targets"].delegations = [Delegated(RELEASES, [bad])]
    else:
        collection.keys[role] = [bad]
    return collection


def _encodings(method: str, source: str) -> Iterator[Named]:
    """Yield signatures that are right and written wrong."""
    key = raw("targets", "p256" if method == "ecdsa" else "rsa2048")
    ways: dict[str, Callable[[bytes], bytes]] = {
        "longer": lambda value: b"\x00" + value,
        "zeros": lambda value: bytes(len(value)),
        "ones": lambda value: b"\xff" * len(value),
    }
    if method == "ecdsa":
        ways["der"] = material.as_der
    for way, change in ways.items():
        collection = Collection.usual()
        collection.keys["targets"] = [key]
        collection.parts["targets"].wrap = partial(_resign, change)
        yield case(
            f"signature-{method}-{way}",
            "only the one encoding of the method counts",
            source,
            collection.publish(),
            threshold("targets"),
            at="targets",
            loads=(),
        )


def _resign(change: Callable[[bytes], bytes], envelope: Json) -> None:
    (signature,) = envelope["signatures"]
    signature["sig"] = base64(change(b64decode(signature["sig"])))


def _flip_signature(envelope: Json) -> None:
    _resign(lambda value: bytes([value[0] ^ 1]) + value[1:], envelope)


def _cut_signature(envelope: Json) -> None:
    _resign(lambda value: value[:-1], envelope)


def _alter(envelope: Json) -> None:
    envelope["signed"]["version"] += 1
