"""Names: what the grammar allows is read, and written as it was; reading ends in nothing but a name or a refusal."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from trustreg.errors import NameFormError
from trustreg.names import Digest, Gun, Reference, is_delegation, is_role, parent

labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?", fullmatch=True)
ports = st.just("") | st.integers(0, 99999).map(lambda port: f":{port}")
hosts = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(labels, min_size=2, max_size=3),
    ports,
) | st.builds(lambda host, port: host + port, st.just("localhost"), ports)
components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}", fullmatch=True)
paths = st.lists(components, min_size=1, max_size=4).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.builds(lambda digits: Digest("sha256", digits.hex()), st.binary(min_size=32, max_size=32)) | st.builds(
    lambda digits: Digest("sha512", digits.hex()), st.binary(min_size=64, max_size=64)
)


@given(hosts, paths, st.none() | tags, st.none() | digests)
def test_a_full_reference_is_read_as_it_is_written(
    host: str, path: str, tag: str | None, digest: Digest | None
) -> None:
    """
    Host, path, tag and digest come out as they went in; without tag and digest the tag is ``latest``.
    """
    written = f"{host}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")

    reference = Reference.parse(written)

    assert reference.domain == host
    assert reference.path == path
    assert reference.tag == (tag or (None if digest else "latest"))
    assert reference.digest == digest
    assert Reference.parse(str(reference)) == reference


@given(digests)
def test_a_digest_is_read_as_it_is_written(digest: Digest) -> None:
    """
    Algorithm and digits.
    """
    assert Digest.parse(str(digest)) == digest


@given(st.text() | st.text("aA0/:@.-_[]%\\ \n", max_size=30))
def test_reading_a_reference_raises_nothing_else(written: str) -> None:
    """
    A reference, or one error; and whatever is read has one normal form that is read the same.
    """
    with suppress(NameFormError):
        reference = Reference.parse(written)
        assert Reference.parse(str(reference)) == reference
        assert str(reference.gun) == reference.repository
        assert str(reference).isascii()


@given(st.text() | st.text("aA/._:%*\\\u00e9", max_size=12))
def test_a_gun_has_one_spelling_and_is_safe(written: str) -> None:
    """
    No part climbs, hides a slash or ends a line.
    """
    with suppress(NameFormError):
        assert str(Gun(written)) == written
        assert not {"", ".", "..", "_trust"} & set(written.split("/"))
        assert written.isprintable()
        assert not set(written) & set(" \\%?#*")


@given(st.text() | st.text("targets/ab-_.A", max_size=20).map(lambda end: f"targets/{end}"))
def test_a_role_is_a_safe_path(written: str) -> None:
    """
    Only letters, digits, ``-`` and ``_`` between slashes; its parent delegates to it.
    """
    if is_delegation(written):
        assert is_role(written)
        assert all(part.isascii() and part.replace("-", "a").replace("_", "a").isalnum() for part in written.split("/"))
        assert parent(written) == "targets" or is_delegation(parent(written))
