"""What findings mean: their words, their status, and when a limit is met."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trustreg import doctor
from trustreg.doctor import CODES, FAILED, OK, SKIPPED, UNKNOWN, WARNING, Certificate, Finding, Part, Report, finding
from trustreg.errors import NoTrustDataError, OfflineError, ServerError, TrustregError, UnauthorizedError
from trustreg.inventory import REFUSED, TRUSTED, Collection, RoleLine, TagLine
from trustreg.inventory import UNKNOWN as UNREAD
from trustreg.names import Digest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = Digest("sha256", "ab" * 32)


def said(codes: Any) -> list[str]:
    """Give the codes of findings."""
    return [each.code for each in codes]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([], OK),
        (["connected", "skipped"], OK),
        (["connected", "clock-off"], WARNING),
        (["clock-off", "unknown"], UNKNOWN),
        (["unknown", "refused"], FAILED),
    ],
)
def test_the_worst_finding_counts(statuses: list[str], verdict: str) -> None:
    """
    What is broken before what is unknown, that before a warning; what was skipped is not held against anybody.
    """
    parts = tuple(Part(what="server", name="x", findings=(finding(code),)) for code in statuses)

    assert verdict == Report(at=NOW, parts=parts).verdict


def test_what_is_broken_has_a_remedy_and_what_is_not_has_none() -> None:
    """
    For every code.
    """
    facts = dict.fromkeys(re.findall(r"{(\w+)}", str(doctor._SAID)), "x")
    found = {code: Finding(code=code, facts=facts) for code in CODES}

    assert [] == [code for code, each in found.items() if (each.status == OK) == bool(each.remedy)]
    assert [] == [code for code, each in found.items() if "{" in f"{each}{each.remedy}"]


def test_a_finding_shows_nothing_that_a_terminal_obeys() -> None:
    """
    Whatever a server wrote into it.
    """
    assert str(finding("unknown", problem="a\x1b[31m\nb", hint="")) == "a\\x1b[31m\\nb"


def test_what_is_the_same_at_several_addresses_is_said_once() -> None:
    """
    With all of them.
    """
    one, other = finding("connected", port=1), finding("refused", port=1)
    found = doctor.gathered({"192.0.2.1": [one], "192.0.2.2": [other], "192.0.2.3": [one]})

    assert [str(each) for each in found] == [
        "192.0.2.1, 192.0.2.3 accepts connections at port 1",
        "192.0.2.2 refuses connections at port 1: nothing listens there",
    ]


@pytest.mark.parametrize(
    ("seconds", "code", "direction"),
    [
        (0, "clock", None),
        (30, "clock", None),
        (-30, "clock", None),
        (31, "clock-off", "ahead of"),
        (-300, "clock-off", "behind"),
        (301, "clock-wrong", "ahead of"),
        (-86_400, "clock-wrong", "behind"),
    ],
)
def test_clocks_may_differ_a_little(seconds: int, code: str, direction: str | None) -> None:
    """
    Half a minute is fine, five are too much, in both directions.
    """
    found = doctor.of_clock(NOW, NOW + timedelta(seconds=seconds))

    assert (found.code, found.facts.get("direction")) == (code, direction)


def certificate(days: float = 90, *, begins: float = -1, **facts: Any) -> Certificate:
    """Give one that ends after *days*."""
    known: dict[str, Any] = {"subject": "trust", "issuer": "Some CA", "names": ("trust.example",), "sent": 1}
    dates = {"begins": NOW + timedelta(days=begins), "ends": NOW + timedelta(days=days)}
    return Certificate(**{**known, **dates, **facts})


@pytest.mark.parametrize(
    ("seen", "chain", "fits", "codes"),
    [
        (certificate(), None, True, []),
        (certificate(21.5), None, True, []),
        (certificate(20.9), None, True, ["certificate-expires"]),
        (certificate(0), None, True, ["certificate-expired"]),
        (certificate(begins=1), None, True, ["certificate-not-yet-valid"]),
        (certificate(), None, False, ["certificate-name"]),
        (certificate(names=()), None, False, ["certificate-common-name"]),
        (certificate(), "unknown", True, ["certificate-unknown-ca"]),
        (certificate(self_signed=True), "self-signed", True, ["certificate-self-signed"]),
        (certificate(next_known=True), "unknown", True, ["certificate-chain-incomplete"]),
        (certificate(next_known=True, self_signed=True), "self-signed", True, ["certificate-self-signed"]),
        (certificate(-1), "unknown", False, ["certificate-unknown-ca", "certificate-name", "certificate-expired"]),
    ],
)
def test_a_certificate_may_have_several_faults(
    seen: Certificate, chain: str | None, codes: list[str], *, fits: bool
) -> None:
    """
    All of them are said, so that nobody has to come back for the next one.
    """
    found = doctor.of_certificate("trust.example", seen, NOW, chain=chain, fits=fits, ca_file="ca.crt")

    assert codes == said(found)


def collection(
    error: TrustregError | None = None, state: str = TRUSTED, days: float = 365, role: str = "targets", **facts: Any
) -> Collection:
    """Give one with a *role* that expires after *days*, and the tag 1.0."""
    line = RoleLine(
        name=role,
        delegator="",
        signer="",
        state=state,
        error=None,
        threshold=1,
        keys=(),
        signed_by=("ab",),
        expires=NOW + timedelta(days=days),
    )
    tag = TagLine(tag="1.0", digest=DIGEST, length=1, state=state, roles=(role,), signers=(), counts=True, image=None)
    return Collection(gun="a/b", where="w", state=state, error=error, roles=(line,), tags=(tag,), **facts)


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (collection(), ["collection", "signed"]),
        (collection(first_use=True), ["collection", "first-use", "signed"]),
        (collection(days=29), ["collection", "role-expires", "signed"]),
        (collection(days=31), ["collection", "signed"]),
        (collection(days=89, role="root"), ["collection", "role-expires", "signed"]),
        (collection(days=6, role="timestamp"), ["collection", "role-expires", "signed"]),
        (collection(days=8, role="timestamp"), ["collection", "signed"]),
        (collection(days=3, role="timestamp", stored=True), ["collection", "signed"]),
        (collection(days=1, role="timestamp", stored=True), ["collection", "role-expires", "signed"]),
        (collection(ServerError("w", 500, "x"), UNREAD), ["unknown"]),
        (collection(OfflineError("w", "x"), REFUSED, -1), ["collection-refused", "role-expired"]),
        (collection(NoTrustDataError("a/b", "w"), REFUSED), ["no-collection"]),
        (collection(UnauthorizedError("w", 401, "x"), UNREAD), ["login-refused"]),
        (collection(ServerError("w", 404, "x"), UNREAD), ["no-trust-server"]),
    ],
)
def test_trust_data_is_judged(seen: Collection, codes: list[str]) -> None:
    """
    By whether it can be had and believed, and for how long.
    """
    assert codes == said(doctor.of_collection(seen, NOW, "1.0", named=True, pinned=False))


def test_where_nobody_named_a_trust_server_there_may_be_none() -> None:
    """
    That is no fault; a tag that nobody signed is, and a pin is said.
    """
    guessed = doctor.of_collection(collection(ServerError("w", 404, "x"), UNREAD), NOW, None, named=False, pinned=False)
    known = doctor.of_collection(collection(), NOW, "2.0", named=True, pinned=True)

    assert ["no-trust-server-there"] == said(guessed)
    assert ["collection", "pinned", "unsigned"] == said(known)


@pytest.mark.parametrize(
    ("answers", "code", "sentence"),
    [
        ({8 << 20: None}, "uploads", "no limit to uploads was met up to 8 MiB"),
        ({8 << 20: 404}, "uploads", "no limit to uploads was met up to 8 MiB"),
        (
            {8 << 20: 413, 1 << 20: 100},
            "uploads-limited",
            "uploads of 8 MiB are refused by their size (413), of 1 MiB they are not",
        ),
        (
            {8 << 20: 413, 64 << 10: 413},
            "uploads-refused",
            "uploads of 64 KiB are refused by their size (413) already",
        ),
    ],
)
def test_a_limit_to_uploads_is_said_in_words(answers: dict[int, int | None], code: str, sentence: str) -> None:
    """
    Between the largest that passed and the smallest that did not.
    """
    found = doctor.of_uploads(answers)

    assert found
    assert (found.code, str(found)) == (code, sentence)
    assert doctor.of_uploads({}) is None


def test_what_was_skipped_says_because_of_what() -> None:
    """
    And is no fault of its own.
    """
    (found,) = doctor.skipped("refused", "login")

    assert (found.status, str(found), found.remedy) == (
        SKIPPED,
        "not looked at, because of refused: login",
        "mend that first",
    )
