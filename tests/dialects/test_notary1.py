"""The Notary v1 spelling, where a vector says too little: errors that only a bug would let escape, and writing."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.vectors.loading import load
from trustreg.dialects.notary1 import Notary1, exact
from trustreg.errors import FormatError
from trustreg.metadata import FileMeta, Targets
from vectors.make.collection import Collection, Delegated
from vectors.make.material import raw

RELEASES = "targets/releases"


def fault(role: str, file: bytes) -> FormatError:
    """Return what is wrong with *file*."""
    with pytest.raises(FormatError) as caught:
        Notary1().decode(role, file)
    return caught.value


@pytest.mark.parametrize("signatures", [5, True, "text", {}, {"length": 1}, None, [5], [[]]])
def test_signatures_are_a_list_of_objects(signatures: object) -> None:
    """
    Whatever else stands there is a fault at that place, and no other error.
    """
    document = json.loads(Collection.usual().file("timestamp"))
    document["signatures"] = signatures

    assert fault("timestamp", json.dumps(document).encode()).path.startswith("signatures")


@pytest.mark.parametrize("name", ["Signed", "SIGNATURES", "\u017figned", "\u017fIGNED"])
def test_a_second_member_in_another_case_is_refused(name: str) -> None:
    """
    Readers that ignore case take U+017F for an s, too: what they would read must not differ from what is read here.
    """
    document = json.loads(Collection.usual().file("timestamp"))
    document[name] = {}

    assert "in another case" in fault("timestamp", json.dumps(document).encode()).problem


@pytest.mark.parametrize("value", [1.5, 1.0, 2**53 + 1, [0.5], {"deep": [{"er": 1e3}]}])
def test_a_number_is_judged_in_members_that_nobody_knows(value: Any) -> None:
    """
    The same file cannot be good in the usual spelling and bad in another: unknown members hold plain values only.
    """
    collection = Collection.usual()
    collection.parts["timestamp"].edit = lambda signed: signed.update(more=value)

    found = fault("timestamp", collection.file("timestamp"))

    assert "is not an integer that every reader can hold" in found.problem
    assert found.path.startswith("signed.more")


@pytest.mark.parametrize("depth", [200, 300, 600, 900, 1100, 100_000])
@pytest.mark.parametrize("place", ["", "signed", "signatures"])
def test_depth_is_a_fault_of_format(depth: int, place: str) -> None:
    """
    However deep, and wherever: nobody has to catch what Python says of it.
    """
    deep = "[" * depth + "]" * depth
    members = {"": "", "signed": '"_type":"Targets"', "signatures": ""} | {place: f'"x":{deep}'}
    first, signed, signature = members[""] or '"y":0', members["signed"], members["signatures"]
    raw = f'{{{first},"signed":{{{signed}}},"signatures":[{{{signature}}}]}}'

    with pytest.raises(FormatError):
        Notary1().decode("targets", raw.encode())


def test_a_path_begins_with_the_member() -> None:
    """
    No dot before it.
    """
    collection = Collection.usual()
    collection.parts["snapshot"].edit = lambda signed: signed["meta"]["targets"].update(length=-1)

    assert fault("snapshot", collection.file("snapshot")).path == "signed.meta.targets.length"


@pytest.mark.parametrize("offset", ["+05:60", "+00:99", "-23:60", "+24:00", "+99:00"])
def test_an_offset_is_one_that_a_clock_can_show(offset: str) -> None:
    """
    Sixty minutes are an hour, and a day has twenty-four.
    """
    collection = Collection.usual()
    collection.parts["timestamp"].expires = f"2029-01-01T00:00:00{offset}"

    assert fault("timestamp", collection.file("timestamp")).path == "signed.expires"


def test_a_method_is_written_one_way() -> None:
    """
    A signature whose method is spelled in capitals is one of a method that nobody knows.
    """
    collection = Collection.usual()
    collection.parts["timestamp"].wrap = lambda envelope: envelope["signatures"][0].update(method="EDDSA")

    (signature,) = Notary1().decode("timestamp", collection.file("timestamp")).signatures

    assert signature.scheme == ""


@pytest.mark.parametrize("custom", [1.5, {"a": [2**53 + 1]}])
def test_what_readers_would_refuse_is_not_written(custom: Any) -> None:
    """
    A payload is made of plain values, or not at all.
    """
    meta = FileMeta(length=1, hashes={"sha256": bytes(32)}, custom=custom)
    signed = Targets(version=1, expires=datetime(2030, 1, 1, tzinfo=UTC), targets={"v1": meta})

    with pytest.raises(ValueError, match="is not an integer that every reader can hold"):
        Notary1().payload(signed)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "\x00", "\x1f"])
def test_what_cannot_be_sent_is_not_written(name: str) -> None:
    """
    Control characters stand raw in what is signed, what is signed is what is sent, and that would be no JSON.
    """
    meta = FileMeta(length=1, hashes={"sha256": bytes(32)})
    for entries in ({name: meta}, {"v1": replace(meta, custom=[name])}):
        with pytest.raises(ValueError, match="a control character"):
            Notary1().payload(Targets(version=1, expires=datetime(2030, 1, 1, tzinfo=UTC), targets=entries))


def test_what_a_go_publisher_writes_is_exact() -> None:
    """
    All five kinds of files pass.
    """
    collection = Collection.usual(Delegated(RELEASES, [raw("releases")]))
    for role, file in collection.publish().files.items():
        exact(role, file)


def recorded() -> list[Any]:
    """Return every file that Go wrote, by role."""
    files = {
        (want_role(path), file)
        for vector in load("notary1/recorded")
        for path, file in (*vector.repository.items(), *vector.kept.items())
    }
    return [
        pytest.param(role, file, id=f"{role}-{hashlib.sha256(file).hexdigest()[:8]}") for role, file in sorted(files)
    ]


def want_role(path: str) -> str:
    """Return the role whose file lies at *path*: ``2.root.json``, ``targets/releases.HASH.json``, ``snapshot``."""
    name = path.removesuffix(".json")
    return "root" if name.endswith("root") else name.partition(".")[0]


@pytest.mark.parametrize(("role", "file"), recorded())
def test_what_go_wrote_is_exact_and_written_again_alike(role: str, file: bytes) -> None:
    """
    Real files pass, and come out of reading and writing as they were.
    """
    exact(role, file)
    claim = Notary1().decode(role, file)

    assert Notary1().encode(claim.payload, claim.signatures) == file


@pytest.mark.parametrize(
    ("file", "path"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"{}", "keytype"),
        (b'{"keytype":1,"keyval":{"public":"AA=="}}', "keytype"),
        (rb'{"keytype":"\ud800","keyval":{"public":"AA=="}}', ""),
        (b'{"keytype":"ed25519","keyval":[]}', "keyval"),
        (b'{"keytype":"ed25519","keyval":{}}', "keyval.public"),
        (b'{"keytype":"ed25519","keyval":{"public":"?"}}', "keyval.public"),
        (b'{"keytype":"ed25519","keytype":"ecdsa","keyval":{"public":"AA=="}}', ""),
    ],
)
def test_what_a_server_says_is_its_key_is_read_as_strictly(file: bytes, path: str) -> None:
    """
    It goes into a root: a key, or a refusal that says where.
    """
    with pytest.raises(FormatError) as caught:
        Notary1().read_key(file)

    assert (caught.value.role, caught.value.path) == ("server key", path)


@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa2048"])
def test_a_server_key_is_read_as_it_is_written(kind: str) -> None:
    """
    Under the id that it has in metadata.
    """
    listed = raw("server", kind)
    public = base64.b64decode(listed.spelled["keyval"]["public"])
    key = Notary1().key(listed.spelled["keytype"], public)

    assert key.id == listed.id
    assert Notary1().read_key(Notary1().spell_key(key)) == key
