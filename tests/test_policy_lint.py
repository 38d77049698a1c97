"""What is odd about a policy: each oddity is found, and what is as it should be is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.peers.gpg import gpg_home
from trustreg.dialects.openpgp import open_keys
from trustreg.errors import PolicyError
from trustreg.identity import Identity
from trustreg.metadata import Key
from trustreg.policy import (
    AcceptAnything,
    Admission,
    AllOf,
    AtLeast,
    BreakGlass,
    Exemption,
    GpgKey,
    InCollection,
    OldOrNew,
    PlainKey,
    Policy,
    Reject,
    Requirement,
    Rule,
    SignedByGpg,
    SignedByKey,
)
from trustreg.policy_lint import Finding, lint, refused

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WITHIN = timedelta(days=30)
DIGEST = f"sha256:{'0' * 64}"
REJECT = Reject(path="default")
COLLECTION = InCollection(path="c")


def plain(name: str, *, path: str = "", identity: Identity | None = None) -> SignedByKey:
    """Return the requirement that a key of this name signed; keys of one name are one key."""
    key = PlainKey(name=name, key=Key(id=name, kind="ed25519"), fingerprint=name)
    return SignedByKey(path=path or name, keys=(key,), identity=identity or Identity())


def policy(*rules: Rule, default: Requirement = REJECT, **more: Any) -> Policy:
    """Return a policy with *rules*."""
    numbered = {rule.scope: replace(rule, where=f"policy.yaml:{n}") for n, rule in enumerate(rules, 1)}
    last = Rule(scope="", require=default, name="default", where="policy.yaml:99")
    return Policy(rules=numbered, default=last, source="policy.yaml", **more)


def rule(require: Requirement, scope: str = "registry.example/team", **more: Any) -> Rule:
    """Return a rule."""
    return Rule(scope=scope, require=require, **more)


def found(made: Policy, *ignored: str, **more: Any) -> list[Finding]:
    """Return the findings, but for *ignored* codes."""
    return [one for one in lint(made, NOW, WITHIN, **more) if one.code not in ignored]


def codes(made: Policy, **more: Any) -> list[str]:
    """Return the codes and places of all findings."""
    return [f"{one.severity} {one.code} {one.where.rpartition(':')[2]}" for one in found(made, **more)]


def test_nothing_is_odd() -> None:
    """
    Of rules that demand a collection, for scopes of every kind.
    """
    scopes = (
        *("registry.example", "registry.example:5000/team", "registry.example/team", "*.example", "*.sub.example"),
        *("docker.io/library/nginx", "docker.io", "localhost:5000", "localhost/app"),
    )
    rules = (rule(AllOf(path=s, parts=(InCollection(path=s), plain(f"{n}"))), s) for n, s in enumerate(scopes))

    assert [] == found(policy(*rules, aliases={"mirror.example/hub": "docker.io"}))


@pytest.mark.parametrize(
    ("scope", "problem"),
    [
        ("docker.io/nginx:1.0", "docker.io/library/nginx"),
        ("nginx", "host"),
        ("team/app", "host"),
        ("Registry.example/team", "lower case"),
        ("registry.example/Team", "lower case"),
        ("registry.example/team/", ""),
        (f"registry.example/team:1.0@{DIGEST}", "a tag and a digest"),
        ("registry.example/team:", "tag"),
        ("*", "host"),
        ("*.example/team", "domain"),
        ("a.*.example", "host"),
        ("https://registry.example", ""),
    ],
)
def test_a_scope_that_no_image_has(scope: str, problem: str) -> None:
    """
    It is an error: the rule protects nothing.
    """
    (one,) = found(policy(rule(COLLECTION, scope)))

    assert ("scope-dead", "error", "policy.yaml:1") == (one.code, one.severity, one.where)
    assert problem in str(one)


def test_a_scope_that_could_be_meant_for_an_official_image() -> None:
    """
    It is for those of an organisation.
    """
    assert ["note scope-official 1"] == codes(policy(rule(COLLECTION, "docker.io/nginx")))
    assert [] == codes(policy(rule(COLLECTION, "docker.io/library")))


@pytest.mark.parametrize("scope", ["mirror.example/hub", "mirror.example/hub/library/a", "mirror.example/hub/a:1.0"])
def test_a_scope_under_an_alias(scope: str) -> None:
    """
    Images are looked up by the name that they are signed under.
    """
    aliased = policy(rule(COLLECTION, scope), aliases={"mirror.example/hub": "docker.io"})

    assert ["error scope-aliased 1"] == codes(aliased)


def test_a_scope_for_one_way_to_name_an_image() -> None:
    """
    The other way gets to another rule, so that one has to say the same.
    """
    app = "registry.example/team/app"
    for scope, way in ((f"{app}:1.0", "its digest"), (f"{app}@{DIGEST}", "a tag")):
        odd = policy(rule(REJECT, scope), rule(COLLECTION))
        (one,) = found(odd)

        assert ("scope-exact", "warning") == (one.code, one.severity)
        assert f"is not asked where the image is named by {way}: rule registry.example/team is" in str(one)
    same = policy(rule(COLLECTION, f"{app}:1.0"), rule(replace(COLLECTION, path="d")))
    assert [] == [code for code in codes(same) if "exact" in code]


@pytest.mark.parametrize(
    ("scope", "behind"),
    [
        ("registry.example/team/app", "registry.example/team"),
        ("registry.example/team/app:1.0", "registry.example/team"),
        ("registry.example:5000/team", "*.example"),
        ("a.sub.registry.example/team", "*.sub.registry.example"),
        ("*.sub.registry.example", "*.registry.example"),
    ],
)
def test_a_rule_that_says_what_holds_anyway(scope: str, behind: str) -> None:
    """
    By the next less specific rule, whatever the paths are.
    """
    both = policy(rule(plain("a", path="x"), scope), rule(plain("a", path="y"), behind), default=COLLECTION)

    assert ["note rule-idle 1"] == [code for code in codes(both) if "idle" in code]
    other = policy(rule(plain("a"), scope), rule(plain("b"), behind), default=COLLECTION)
    assert [] == [code for code in codes(other) if "idle" in code]
    milder = policy(rule(plain("a"), scope), rule(plain("a"), behind, mode="warn"), default=COLLECTION)
    assert [] == [code for code in codes(milder) if "idle" in code]


def test_a_default_that_nothing_gets_to() -> None:
    """
    Where the transport has one of its own.
    """
    assert ["note default-unreached 99"] == codes(policy(rule(COLLECTION, "")))


def test_what_is_not_enforced() -> None:
    """
    Both ways.
    """
    modes = policy(rule(COLLECTION, mode="warn"), rule(COLLECTION, "other.example", mode="audit"))

    assert ["warning not-enforced 1", "warning not-enforced 2"] == codes(modes)


@pytest.mark.parametrize(
    "require",
    [
        AcceptAnything(path="a"),
        AtLeast(path="a", count=1, parts=(plain("k"), AcceptAnything(path="b"))),
        AllOf(path="a", parts=(AcceptAnything(path="b"), AcceptAnything(path="c"))),
        OldOrNew(path="a", new=plain("k"), old=AcceptAnything(path="b"), until=NOW + timedelta(days=99)),
    ],
)
def test_what_accepts_anything(require: Requirement) -> None:
    """
    However deep that is hidden.
    """
    assert ["warning accepts-anything 1"] == codes(policy(rule(require)))
    assert ["warning accepts-anything 99"] == codes(policy(default=require))


@pytest.mark.parametrize(
    ("require", "odd"),
    [
        (plain("k"), True),
        (AtLeast(path="a", count=1, parts=(plain("k"), COLLECTION)), True),
        (AllOf(path="a", parts=(plain("k"), COLLECTION)), False),
        (AtLeast(path="a", count=2, parts=(plain("k"), plain("l"), COLLECTION)), True),
        (AtLeast(path="a", count=2, parts=(plain("k"), COLLECTION)), False),
        (AllOf(path="a", parts=(AcceptAnything(path="b"), COLLECTION)), False),
    ],
)
def test_what_does_not_say_that_it_is_the_latest(require: Requirement, *, odd: bool) -> None:
    """
    Signatures alone never do.
    """
    assert (["note no-freshness 1"] if odd else []) == codes(policy(rule(require)))


def test_what_cannot_be_checked() -> None:
    """
    It says what was wrong.
    """
    (one,) = found(policy(rule(AllOf(path="a", parts=(plain("k"), Reject(path="a[1]", problem="no such log"))))))

    assert ("cannot-be-checked", "error") == (one.code, one.severity)
    assert "a[1] can never be met: no such log" in str(one)
    assert one.remedy.startswith("mend")


@pytest.mark.parametrize(
    ("require", "problem"),
    [
        (AtLeast(path="a", count=2, parts=(plain("k"), plain("k", path="l"))), "too many of them rest on the same"),
        (AtLeast(path="a", count=2, parts=(plain("k"), Reject(path="b"))), "2 are required, and 1 of them can hold"),
        (AtLeast(path="a", count=3, parts=(plain("k"), plain("k"), COLLECTION)), "too many of them rest on the same"),
        (AllOf(path="a", parts=(plain("k"), Reject(path="b"))), "a part of it rejects everything"),
        (
            AllOf(path="a", parts=(COLLECTION, AtLeast(path="b", count=2, parts=(plain("k"), plain("k"))))),
            "b can never be met",
        ),
    ],
)
def test_what_can_never_be_met(require: Requirement, problem: str) -> None:
    """
    One key is one signer, wherever it stands.
    """
    (one,) = found(policy(rule(require)))

    assert ("never-met", "error") == (one.code, one.severity)
    assert problem in str(one)


def test_a_key_in_two_branches() -> None:
    """
    It counts once, so one of them may be of no use.
    """
    two = SignedByKey(path="two", keys=(*plain("k").keys, *plain("l").keys))
    shared = policy(rule(AtLeast(path="a", count=2, parts=(plain("k"), two, COLLECTION))))

    assert ["warning key-shared 1", "note no-freshness 1"] == codes(shared)
    once = policy(rule(AtLeast(path="a", count=1, parts=(plain("k"), two, COLLECTION))))
    assert ["note no-freshness 1"] == codes(once)


def test_what_counts_until_some_day() -> None:
    """
    Before it, and after: what is old is no way to meet the rule then.
    """
    old = AcceptAnything(path="old")
    ends = [OldOrNew(path="a", new=COLLECTION, old=old, until=NOW + timedelta(days=days)) for days in (-1, 10, 99)]

    assert ["warning old-over 1"] == codes(policy(rule(ends[0])))
    assert ["warning accepts-anything 1", "warning old-ends-soon 1"] == codes(policy(rule(ends[1])))
    assert ["warning accepts-anything 1"] == codes(policy(rule(ends[2])))


def test_identities() -> None:
    """
    A signature of another tag, and a name that is never put in place of another.
    """
    for way, name in (("repository", ""), ("exact-repository", "vendor.example/app")):
        odd = plain("k", identity=Identity(way=way, name=name))  # type: ignore[arg-type]
        assert ["warning tag-unbound 1", "note no-freshness 1"] == codes(policy(rule(odd)))
    remaps = {"mirror.example/x": 1, "registry.example/tea": 1, "registry.example": 0, "registry.example/team/app": 0}
    for prefix, count in remaps.items():
        remap = plain("k", identity=Identity(way="remap", name=prefix, by="vendor.example"))
        assert ["warning remap-idle 1"] * count == codes(policy(rule(remap)))[:-1]
        assert [] == codes(policy(rule(remap, "*.example")))[:-1]


def test_first_use() -> None:
    """
    Of a root that nobody pinned.
    """
    assert ["warning first-use 1"] == codes(policy(rule(replace(COLLECTION, first_use=True))))


def test_transports() -> None:
    """
    Those that are judged elsewhere, and those that nobody has.
    """
    elsewhere = {"dir": ("/a", ""), "dokcer": ("registry.example",)}

    one, two = found(policy(), elsewhere=elsewhere)

    assert ("transport-unknown", "warning") == (one.code, one.severity)
    assert ("transport-elsewhere", "note") == (two.code, two.severity)
    assert {"transport": "dir", "scopes": 2} == two.facts


def test_keys_that_no_rule_names() -> None:
    """
    They stand where the file lists them.
    """
    listed = {"k": "policy.yaml:3", "l": "policy.yaml:4"}
    (one,) = found(policy(rule(plain("k"))), "no-freshness", listed=listed)

    assert ("key-unused", "policy.yaml:4", {"key": "l"}) == (one.code, one.where, one.facts)


def test_gpg_keys() -> None:
    """
    Expired, about to, revoked and weak ones; and requirements that no key is left for.
    """
    with gpg_home() as gpg:
        made = {
            "good": gpg.generate("good"),
            "old": gpg.generate("old", lasts="30d", at="20260101T000000"),
            "soon": gpg.generate("soon", lasts="30d", at="20261110T000000"),
            "revoked": gpg.generate("revoked"),
            "weak": gpg.generate("weak", "rsa1024"),
        }
        gpg.revoke(made["revoked"])
        raws = {name: gpg.public(mark) for name, mark in made.items()}
    keys = {
        name: GpgKey(name=name, raw=raw, fingerprints=tuple(key.fingerprint for key in open_keys(raw)))
        for name, raw in raws.items()
    }

    def odd(*names: str) -> list[str]:
        signed = SignedByGpg(path="a", keys=tuple(keys[name] for name in names))
        return [code.split()[1] for code in codes(policy(rule(signed)))]

    assert ["no-freshness"] == odd("good")
    assert ["key-expires-soon", "no-freshness"] == odd("soon")
    assert ["key-expired", "key-revoked", "key-weak", "no-freshness"] == odd("good", "old", "revoked", "weak")
    assert ["key-expired", "keys-useless", "no-freshness"] == odd("old")


def test_what_gets_past_the_rules_at_the_door_of_a_cluster() -> None:
    """
    Exceptions that are over or soon will be, namespaces where nothing is enforced, and glass that everybody may break.
    """
    vendor = Exemption(match=("registry.example/vendor",), until=NOW, reason="r")
    exceptions = tuple(
        replace(vendor, until=NOW + timedelta(days=days), where=f"p.yaml:{days}") for days in (-1, 10, 99)
    )
    glass = BreakGlass(annotation="example.com/break-glass", anyone=True)
    odd = Admission(exceptions=exceptions, break_glass=glass, namespaces={"prod": "enforce", "test-*": "audit"})
    dead = replace(exceptions[-1], match=("nginx",), where="p.yaml:1")

    assert [
        "warning break-glass-anyone policy.yaml",
        "warning exception-ends-soon 10",
        "warning exception-over -1",
        "warning namespace-not-enforced policy.yaml",
    ] == codes(policy(admission=odd))
    assert ["error scope-dead 1"] == codes(policy(admission=Admission(exceptions=(dead,))))
    fine = Admission(break_glass=replace(glass, anyone=False, groups=("sre",)))
    assert [] == codes(policy(admission=fine))


def test_a_file_that_is_no_policy() -> None:
    """
    Is a finding, with its line.
    """
    one = refused(PolicyError("policy.yaml", 3, "rules[0].match", "it is empty"))

    assert ("error", "policy.yaml:3: it cannot be used: rules[0].match: it is empty") == (one.severity, str(one))
    assert "policy.json: it cannot be used: x" == str(refused(PolicyError("policy.json", 0, "", "x")))
