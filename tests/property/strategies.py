"""What Hypothesis draws from: JSON values, and models of all four roles such as a publisher could sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import strategies as st

from trustreg.dialects.notary1 import Notary1
from trustreg.metadata import Delegation, FileMeta, Key, Role, Root, Signature, Signed, Snapshot, Targets, Timestamp
from trustreg.names import TOP_LEVEL
from vectors.make import material

LARGEST = 2**53
SENT_OTHERWISE = "&<>\u2028\u2029"

text = st.text(st.characters(exclude_categories=["Cs"]))
"""Every text that UTF-8 can hold, control characters too."""
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
"""Every text that Notary can write: it sends what it signs, and control characters stand raw there."""


def values(integers: st.SearchStrategy[int], texts: st.SearchStrategy[str] = text) -> st.SearchStrategy[Any]:
    """Draw any JSON value without floats."""
    return st.recursive(
        st.none() | st.booleans() | integers | texts,
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(texts, inner, max_size=6),
        max_leaves=30,
    )


plain_values = values(st.integers(-LARGEST, LARGEST))
mirrored_values = values(
    st.integers(-LARGEST, LARGEST),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=SENT_OTHERWISE)),
)
"""What Go signs again as it stands: no escapes on the wire, no control characters."""

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
versions = st.integers(1, LARGEST)
role_names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12).map(
    lambda name: f"targets/{name}"
)
digests = st.fixed_dictionaries(
    {"sha256": st.binary(min_size=32, max_size=32)},
    optional={"sha512": st.binary(min_size=64, max_size=64), "sha3-256": st.binary(max_size=40)},
)
signatures = st.lists(
    st.builds(
        Signature,
        keyid=st.text("0123456789abcdef", min_size=64, max_size=64),
        scheme=st.sampled_from(["ed25519", "ecdsa-p1363-sha256", "rsa-pss-sha256", "rsa-pkcs1v15-sha256"]),
        value=st.binary(max_size=80),
    ),
    max_size=4,
).map(tuple)


def _keys() -> list[Key]:
    dialect = Notary1()
    private = material.private_key("property", "p256")
    certificate = material.certificate(private, "name").public_bytes(Encoding.DER)
    raw = bytes.fromhex(material.raw("property").fingerprint)
    return [
        dialect.key("ed25519", raw),
        dialect.key("ed25519", bytes(32)),
        dialect.key("ecdsa", certificates=(certificate,)),
        dialect.key("ecdsa", certificates=(certificate, certificate)),
        dialect.key("rsa", b"no key at all"),
        dialect.key("quantum", b"\xff"),
    ]


keys = st.lists(st.sampled_from(_keys()), unique_by=lambda key: key.id).map(lambda some: {key.id: key for key in some})


def files(custom: st.SearchStrategy[Any] = st.none()) -> st.SearchStrategy[FileMeta]:  # noqa: B008 # strategies are values
    """Draw the entry of a file."""
    return st.builds(FileMeta, length=st.integers(0, LARGEST), hashes=digests, custom=custom)


@st.composite
def roots(draw: st.DrawFn) -> Root:
    """Draw a root."""
    listed = draw(keys)
    roles = {
        name: Role(name=name, keyids=tuple(draw(_some(listed))), threshold=draw(st.integers(1, 256)))
        for name in TOP_LEVEL
    }
    return Root(**draw(common), keys=listed, roles=roles, consistent_snapshot=draw(st.booleans()), certified=True)


@st.composite
def targets(draw: st.DrawFn, custom: st.SearchStrategy[Any]) -> Targets:
    """Draw what ``targets`` or, with other names below it, a delegated role says."""
    listed = draw(keys)
    delegations = tuple(
        Delegation(
            name=name,
            keyids=tuple(draw(_some(listed))),
            threshold=draw(st.integers(1, 256)),
            prefixes=tuple(draw(st.lists(printable, max_size=3))),
        )
        for name in draw(st.lists(role_names, unique=True, max_size=3))
    )
    entries = draw(st.dictionaries(printable, files(st.none() | custom), max_size=5))
    return Targets(**draw(common), targets=entries, keys=listed, delegations=delegations)


common: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"version": versions, "expires": moments | moments.map(lambda m: m + timedelta(microseconds=1))}
)
snapshots = st.builds(
    lambda common, root, targets, others: Snapshot(**common, meta={"root": root, "targets": targets, **others}),
    common,
    files(),
    files(),
    st.dictionaries(role_names, files(), max_size=4),
)
timestamps = st.builds(lambda common, snapshot: Timestamp(**common, snapshot=snapshot), common, files())
models: st.SearchStrategy[tuple[str, Signed]] = st.one_of(
    st.tuples(st.just("root"), roots()),
    st.tuples(st.just("timestamp"), timestamps),
    st.tuples(st.just("snapshot"), snapshots),
    st.tuples(st.just("targets"), targets(values(st.integers(-LARGEST, LARGEST), printable))),
)
"""A role and what it says, whatever a reader has to understand."""
mirrored_models: st.SearchStrategy[tuple[str, Signed]] = st.one_of(
    st.tuples(st.just("root"), roots()),
    st.tuples(st.just("timestamp"), timestamps),
    st.tuples(st.just("snapshot"), snapshots),
    st.tuples(st.just("targets"), targets(mirrored_values.filter(lambda value: value is not None))),
)
"""A role and what it says, such as Go can sign again."""


def _some(listed: dict[str, Key]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(listed)), unique=True) if listed else st.just([])
