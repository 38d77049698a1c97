"""Who signed, and how often."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vectors.make.tuf.keys import Json, eddsa
from vectors.make.tuf.scenario import ROLES, Named, bent, case, found, keyed, malformed, slug, threshold, where

SPEC: Final = "TUF 1.0.34 sections 5.3.4, 5.4.2, 5.5.3 and 5.6.3"
JUNK: Final = {"keyid": "f" * 64, "sig": "junk"}


def make() -> Iterator[Named]:
    """Yield names and vectors."""
    for role in ROLES:
        yield from _one(role)
        yield from _thresholds(role)
    yield from _envelopes()


def _one(role: str) -> Iterator[Named]:
    source = SPEC

    def bad(name: str, comment: str, **how: Any) -> Named:
        published = bent(role, **how).publish()
        return case(f"signature-{name}-{slug(role)}", comment, source, published, threshold(role), at=where(role))

    yield bad("none", "nobody signed", signers=[])
    yield bad("stranger", "a key signed that has no say", signers=[eddsa("stranger")])
    yield bad("empty", "the signature is empty", wrap=_first(lambda _: ""))
    yield bad("not-hex", "the signature is no hex", wrap=_first(lambda sig: "x" + sig[1:]))
    yield bad("odd", "the signature lacks its last digit", wrap=_first(lambda sig: sig[:-1]))
    yield bad("cut", "the signature lacks its last byte", wrap=_first(lambda sig: sig[:-2]))
    yield bad(
        "bad", "a bit of the signature is another", wrap=_first(lambda sig: f"{int(sig[:2], 16) ^ 1:02x}" + sig[2:])
    )
    comment = "what it says was changed after it was signed"
    yield bad("other-content", comment, wrap=lambda envelope: envelope["signed"].update({"x-note": "more"}))
    comment = "signed under the id of the right key by another one"
    yield bad("forged", comment, signers=[eddsa("stranger").known_as(_id(role))])

    def fine(name: str, comment: str, wrap: Callable[[Json], Any]) -> Named:
        published = bent(role, wrap=wrap).publish()
        return case(f"signature-{name}-{slug(role)}", comment, source, published, found(published))

    source = "TUF 1.0.34 section 4.2.1; what does not count harms nobody"
    yield fine("junk-beside", "junk before a good signature", lambda envelope: envelope["signatures"].insert(0, JUNK))
    comment = "an empty signature of somebody else beside a good one"
    yield fine("empty-beside", comment, lambda envelope: envelope["signatures"].append({"keyid": "", "sig": ""}))
    yield fine("upper-case", "the hex of the signature is in capitals", _first(str.upper))


def _thresholds(role: str) -> Iterator[Named]:
    one, two, three = eddsa(role), eddsa(f"{role} too"), eddsa(f"{role} as well")
    source = "TUF 1.0.34 section 4.2.1; CVE-2020-6174 and others: keys are counted"

    def bad(name: str, comment: str, keys: list[Any], needed: int, valid: int, signers: list[Any]) -> Named:
        made = keyed(role, keys, needed)
        made.parts[role].signers = signers
        expect = threshold(role, needed, valid)
        return case(f"threshold-{name}-{slug(role)}", comment, source, made.publish(), expect, at=where(role))

    published = keyed(role, [one, two], 2).publish()
    yield case(f"threshold-two-{slug(role)}", "two are due and two signed", source, published, found(published))
    made = keyed(role, [one, two, three], 2)
    made.parts[role].signers = [one, three]
    published = made.publish()
    comment = "two of three are due and two signed"
    yield case(f"threshold-two-of-three-{slug(role)}", comment, source, published, found(published))
    yield bad("one-of-two", "two are due and one signed", [one, two], 2, 1, [one])
    yield bad("one-and-a-stranger", "two are due; one signed, and a stranger", [one, two], 2, 1, [one, three])
    twins = [one, one.known_as("another-id")]
    yield bad("twins", "one key under two ids is one signer", twins, 2, 1, twins)
    more = one.spelled_as(comment="another")
    comment = "one key under two ids, both computed from how it is written, is one signer"
    yield bad("twins-with-members", comment, [one, more], 2, 1, [one, more])
    comment = "one key under two ids, once in capitals, is one signer"
    capitals = one.known_as("ID", keyval={"public": str(one.spelled["keyval"]["public"]).upper()})
    yield bad("twins-in-capitals", comment, [one, capitals], 2, 1, [one, capitals])
    twice = bent(role, wrap=lambda envelope: envelope["signatures"].extend(envelope["signatures"]))
    yield case(
        f"signature-twice-{slug(role)}",
        "a key id signed twice",
        "TUF 1.0.34 section 4.2.1: key ids in signatures are unique",
        twice.publish(),
        malformed(role, "signatures[1].keyid"),
        at=where(role),
    )


def _envelopes() -> Iterator[Named]:
    source = "TUF 1.0.34 section 4.2.1"
    for name, comment, wrap, path in (
        ("none", "there are no signatures", lambda e: e.pop("signatures"), "signatures"),
        ("object", "signatures are no list", lambda e: e.update(signatures={}), "signatures"),
        ("null", "signatures are null", lambda e: e.update(signatures=None), "signatures"),
        ("text", "a signature is no object", lambda e: e.update(signatures=["x"]), "signatures[0]"),
        ("no-keyid", "a signature has no key id", lambda e: e["signatures"][0].pop("keyid"), "signatures[0].keyid"),
        ("no-sig", "a signature has no value", lambda e: e["signatures"][0].pop("sig"), "signatures[0].sig"),
        ("number", "a signature is a number", lambda e: e["signatures"][0].update(sig=1), "signatures[0].sig"),
        ("no-signed", "nothing is signed", lambda e: e.pop("signed"), "signed"),
        ("signed-null", "nothing is signed", lambda e: e.update(signed=None), "signed"),
        ("signed-list", "what is signed is no object", lambda e: e.update(signed=[]), "signed"),
        ("in-capitals", "members in capitals are others", lambda e: e.update(Signed=e.pop("signed")), "signed"),
    ):
        published = bent("timestamp", wrap=wrap).publish()
        yield case(f"envelope-{name}", comment, source, published, malformed("timestamp", path), at="timestamp")
    many = bent("timestamp", wrap=lambda e: e["signatures"].extend({"keyid": f"{n:x}", "sig": ""} for n in range(256)))
    comment = "more signatures than anybody needs: each would cost time"
    source = "decided here: 256"
    yield case(
        "signatures-too-many", comment, source, many.publish(), malformed("timestamp", "signatures"), at="timestamp"
    )
    full = bent("timestamp", wrap=lambda e: e["signatures"].extend({"keyid": f"{n:x}", "sig": ""} for n in range(255)))
    published = full.publish()
    yield case("signatures-many", "as many signatures as may be", source, published, found(published))


def _first(change: Callable[[str], str]) -> Callable[[Json], None]:
    return lambda envelope: envelope["signatures"][0].update(sig=change(envelope["signatures"][0]["sig"]))


def _id(role: str) -> str:
    return eddsa(role).id
