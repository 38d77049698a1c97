"""Which names do for an image, and which scopes cover it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustreg.identity import Identity, scope_problem, scopes, written
from trustreg.names import Digest, Reference

DIGEST = Digest("sha256", "a" * 64)
REPO, OTHER, VENDOR = "registry.example/ns/repo", "registry.example/ns/other", "vendor.example/repo"
SIGNED = [
    f"{REPO}:1.0",
    f"{REPO}:2.0",
    REPO,
    f"{REPO}@{DIGEST}",
    f"{REPO}:1.0@{DIGEST}",
    f"{OTHER}:1.0",
    f"{VENDOR}:1.0",
    VENDOR,
]
TABLE = [  # T: asked for by the tag 1.0, D: by digest
    (Identity(), "TD -D -- -D -D -- -- --"),
    (Identity(way="exact"), "T- -- -- -D -- -- -- --"),
    (Identity(way="repository"), "TD TD TD TD TD -- -- --"),
    (Identity(way="exact-reference", name=f"{VENDOR}:1.0"), "-- -- -- -- -- -- TD --"),
    (Identity(way="exact-repository", name=VENDOR), "-- -- -- -- -- -- TD TD"),
    (Identity(way="remap", name="registry.example/ns", by="vendor.example"), "-- -- -- -- -- -- TD --"),
]


@pytest.mark.parametrize(
    ("identity", "signed", "expected"),
    [(identity, *pair) for identity, row in TABLE for pair in zip(SIGNED, row.split(), strict=True)],
    ids=str,
)
def test_the_table_cell_by_cell(identity: Identity, signed: str, expected: str) -> None:
    """
    Asked for by tag and by digest, each way of agreeing admits what containers/image says it does.
    """
    by_tag, by_digest = Reference.parse(f"{REPO}:1.0"), Reference.parse(f"{REPO}@{DIGEST}")
    found = ("T" if identity.admits(by_tag, signed) else "-") + ("D" if identity.admits(by_digest, signed) else "-")

    assert found == expected


def test_with_tag_and_digest_the_tag_counts() -> None:
    """
    The tag has to be the one that was signed; that the digest is right is not a matter of names.
    """
    both = Reference.parse(f"{REPO}:1.0@{DIGEST}")

    assert Identity().admits(both, f"{REPO}:1.0")
    assert not Identity().admits(both, f"{REPO}:2.0")
    assert Identity().binds(both, f"{REPO}:1.0")
    assert not Identity(way="repository").binds(both, f"{REPO}:2.0")


def test_remapping_goes_by_whole_components() -> None:
    """
    What merely begins with the same letters is not remapped.
    """
    identity = Identity(way="remap", name="registry.example/ns", by="vendor.example")
    asked = Reference.parse("registry.example/nsx/repo:1.0")

    assert identity.admits(asked, "registry.example/nsx/repo:1.0")
    assert not identity.admits(asked, "vendor.example/x/repo:1.0")
    assert not identity.admits(asked, "vendor.examplex/repo:1.0")


@pytest.mark.parametrize("signed", ["", "UPPER/case:1.0", "a b", f"{REPO}:", "x" * 2000, f"{REPO}@sha256:00"])
def test_what_is_no_name_does_for_nothing(signed: str) -> None:
    """
    Nothing is raised, and nothing admitted.
    """
    for identity, _ in TABLE:
        assert not identity.admits(Reference.parse(f"{REPO}:1.0"), signed)


def test_scopes_from_the_most_specific_to_everything() -> None:
    """
    The tag or digest; the repository and what is above it; domains without port; everything.
    """
    assert list(scopes(Reference.parse("reg.eu.example:5000/a/b:1"))) == [
        "reg.eu.example:5000/a/b:1",
        "reg.eu.example:5000/a/b",
        "reg.eu.example:5000/a",
        "reg.eu.example:5000",
        "*.eu.example",
        "*.example",
        "",
    ]
    assert list(scopes(Reference.parse("reg.example:443/a:1"))) == [
        *("reg.example:443/a:1", "reg.example:443/a", "reg.example:443"),
        *("reg.example/a:1", "reg.example/a", "reg.example"),
        *("*.example", ""),
    ]
    assert next(iter(scopes(Reference.parse(f"{REPO}@{DIGEST}")))) == f"{REPO}@{DIGEST}"
    assert next(iter(scopes(Reference.parse(f"{REPO}:1.0@{DIGEST}")))) == f"{REPO}:1.0"


labels = st.text("abcz09", min_size=1, max_size=4)
hosts = st.builds("{}.{}{}".format, labels, labels, st.sampled_from(["", ":5000", ":443"])) | st.just("localhost:80")
paths = st.lists(labels, min_size=1, max_size=3).map("/".join)
ends = st.sampled_from([":1.0", f"@{DIGEST}", f":v2@{DIGEST}", ""])
images = st.builds("{}/{}{}".format, hosts, paths, ends).map(Reference.parse)


@given(images)
def test_every_scope_of_an_image_is_one(image: Reference) -> None:
    """
    What covers an image can be written into a policy, and written out it is the same.
    """
    for scope in list(scopes(image))[:-1]:
        assert scope_problem(scope) is None, scope
    assert str(written(str(image))) == str(image)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nginx",
        "team/app",
        "library/nginx",
        "Registry.example/app",
        "registry.example/App",
        "registry.example/app/",
        "registry.example//app",
        "registry.example:port/app",
        "index.docker.io/library/nginx",
        "docker.io/nginx:1.0",
        f"registry.example/app:1.0@{DIGEST}",
        "registry.example/app@sha256:00",
        "registry.example/*",
        "*",
        "*.",
        "*.example/app",
        "*.Example",
        "a b.example",
    ],
)
def test_what_covers_nothing_is_no_scope(text: str) -> None:
    """
    Each is refused, with a sentence: a rule that never applies protects nobody.
    """
    assert scope_problem(text)
