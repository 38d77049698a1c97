"""Signatures in the repository of the image, under cosign's tag, in a real registry."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.io.rogue import Rogue, reply
from trustreg.errors import (
    ContentError,
    FormatError,
    SignaturePlaceError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from trustreg.io.pushing import Pusher, blob_of
from trustreg.io.signatures import attached
from trustreg.io.signatures.bounds import LARGEST, MOST
from trustreg.io.signatures.tag import TagPlace
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.io.rogue import Request
    from trustreg.io.registry import HttpRegistry

DIGEST = Digest("sha256", "ab" * 32)
TAG = f"sha256-{'ab' * 32}.sig"


def detached(number: int, signature: bytes = b"a signature") -> Detached:
    return Detached(where="", payload=b'{"number":%d}' % number, signature=signature)


def found(place: TagPlace, image: Reference) -> list[tuple[bytes, bytes]]:
    return [(one.payload, one.signature) for one in place.read(image, DIGEST) if isinstance(one, Detached)]


def pair(signature: Detached) -> tuple[bytes, bytes]:
    return signature.payload, signature.signature


# --- a real registry -------------------------------------------------------------------------------


@pytest.mark.interop
def test_what_is_added_is_found(registry: HttpRegistry, repository: Reference) -> None:
    """
    In that order; what is there already is not added again, and the same payload signed by another is another.
    """
    place, one, two = TagPlace(registry), detached(1), detached(1, b"another")
    assert found(place, repository) == []
    places = [place.add(repository, DIGEST, each) for each in (one, two, one)]

    assert found(place, repository) == [pair(one), pair(two)]
    assert places == [f"{repository.repository}:{TAG}#{number}" for number in (1, 2, 1)]
    assert [each.where for each in place.read(repository, DIGEST)] == places[:2]


@pytest.mark.interop
def test_what_is_removed_is_gone(registry: HttpRegistry, repository: Reference) -> None:
    """
    And nothing else; the tag goes with the last one.
    """
    place, signed = TagPlace(registry), [detached(number) for number in range(3)]
    for each in signed:
        place.add(repository, DIGEST, each)
    for _ in range(2):
        place.remove(repository, DIGEST, signed[1])
        assert found(place, repository) == [pair(signed[0]), pair(signed[2])]
    for each in signed:
        place.remove(repository, DIGEST, each)

    assert found(place, repository) == []
    assert attached.find(registry, repository, tag=TAG) is None


@pytest.mark.interop
def test_what_others_put_there_stays(registry: HttpRegistry, repository: Reference) -> None:
    """
    Layers of any kind, with all that is written on them, and on the manifest.
    """
    pusher, place = Pusher(registry, repository), TagPlace(registry)
    layer, raw = attached.layer_of(detached(1))
    attached.push(pusher, raw, layer["mediaType"])
    layer["annotations"] |= {"dev.sigstore.cosign/certificate": "a certificate", "x": "y"}
    other = attached.push(pusher, b"other", "application/x-other") | {"annotations": {"of": "theirs"}}
    held = {"schemaVersion": 2, "config": attached.push_config(pusher, [], attached.CONFIG), "annotations": {"a": "b"}}
    pusher.put(TAG, json.dumps({**held, "mediaType": attached.OCI, "layers": [layer, other]}).encode(), attached.OCI)
    place.add(repository, DIGEST, detached(2))
    now = attached.find(registry, repository, tag=TAG)

    assert now
    assert [layer, other] == now.layers[:2]
    assert now.content["annotations"] == {"a": "b"}
    assert found(place, repository) == [pair(detached(1)), pair(detached(2))]
    place.remove(repository, DIGEST, detached(1))
    place.remove(repository, DIGEST, detached(2))
    now = attached.find(registry, repository, tag=TAG)
    assert now
    assert [other] == now.layers


@pytest.mark.interop
def test_several_who_add_at_once(registry: HttpRegistry, repository: Reference) -> None:
    """
    Each reads back what it did; whose was lost to another in the very moment is there once it is added again.
    """
    signed = [detached(number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: TagPlace(registry).add(repository, DIGEST, each), signed))
    for each in signed:
        TagPlace(registry).add(repository, DIGEST, each)

    assert sorted(map(pair, signed)) == sorted(found(TagPlace(registry), repository))


@pytest.mark.interop
def test_somebody_comes_in_between(
    registry: HttpRegistry, repository: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After we have read and before we write: it is done again, and both are there.
    """
    place, push = TagPlace(registry, sleep=lambda _: None), attached.push_config

    def first(*args: Any) -> dict[str, Any]:
        monkeypatch.undo()
        TagPlace(registry).add(repository, DIGEST, detached(2))
        return push(*args)

    monkeypatch.setattr(attached, "push_config", first)
    place.add(repository, DIGEST, detached(1))

    assert found(place, repository) == [pair(detached(2)), pair(detached(1))]


@pytest.mark.interop
def test_what_is_no_signature_keeps_the_tag(registry: HttpRegistry, repository: Reference) -> None:
    """
    An index under this name is garbage to who reads, and nothing to replace.
    """
    kind = "application/vnd.oci.image.index.v1+json"
    content = {"schemaVersion": 2, "mediaType": kind, "manifests": []}
    Pusher(registry, repository).put(TAG, json.dumps(content).encode(), kind)
    (one,) = TagPlace(registry).read(repository, DIGEST)

    assert isinstance(one, Garbage)
    with pytest.raises(SignaturePlaceError):
        TagPlace(registry).add(repository, DIGEST, detached(1))


def test_openpgp_messages_have_no_place_here(registry: HttpRegistry) -> None:
    """
    Nobody would look for them there.
    """
    image = Reference.parse("registry.example/team/app")
    with pytest.raises(SignaturePlaceError):
        TagPlace(registry).add(image, DIGEST, Message(where="", raw=b"a message"))
    TagPlace(registry).remove(image, DIGEST, Message(where="", raw=b"a message"))


# --- one that does what it likes -------------------------------------------------------------------


def layer(raw: bytes = b"{}", signature: object = b64encode(b"s").decode(), **more: Any) -> dict[str, Any]:
    blob = blob_of(raw)
    said = {"mediaType": attached.SIMPLE_SIGNING, "digest": str(blob.digest), "size": blob.size}
    return {**said, "annotations": {attached.SIGNATURE: signature}, **more}


def read(layers: Any, blob: Callable[[Request], bytes] = lambda _: reply(200, b"{}"), **more: Any) -> list[Any]:
    """Read what a registry serves that lists *layers*, and answers for each blob what *blob* says."""
    raw = json.dumps({"schemaVersion": 2, "mediaType": attached.OCI, "config": {}, "layers": layers, **more}).encode()

    def answer(request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        return blob(request) if "/blobs/" in request.target else reply(200, raw, content_type=attached.OCI)

    import tempfile

    from trustreg.io.auth import Auth
    from trustreg.io.docker import DockerCredentials
    from trustreg.io.http import Http
    from trustreg.io.registry import HttpRegistry
    from trustreg.io.tls import Tls

    with Rogue(answer) as server, tempfile.TemporaryDirectory() as home:
        registry = HttpRegistry(Auth(Http({}, Tls({}, home, system=()))), DockerCredentials({}, home))
        return list(TagPlace(registry).read(Reference.parse(f"{server.host}/team/app"), DIGEST))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (layer(size=LARGEST + 1), TooLargeError),
        (layer(size="2"), FormatError),
        (layer(size=-1), FormatError),
        (layer(size=True), FormatError),
        (layer(digest="sha256:short"), FormatError),
        (layer(digest=None), FormatError),
        (layer(digest=["sha256"]), FormatError),
        (layer(b"[]"), ContentError),  # the registry serves {} for it
        (layer(size=1), TooLargeError),
        (layer(annotations=None), FormatError),
        (layer(annotations=["x"]), FormatError),
        (layer(signature=None), FormatError),
        (layer(signature=7), FormatError),
        (layer(signature="not base64"), FormatError),
        (layer(signature="A" * 40_000), FormatError),
    ],
    ids=str,
)
def test_one_that_is_bad_ends_nothing(bad: dict[str, Any], error: type[Exception]) -> None:
    """
    It is garbage, and the others are read.
    """
    before, one, after = read([layer(), bad, layer(signature=b64encode(b"t").decode())])

    assert (before.signature, after.signature) == (b"s", b"t")
    assert isinstance(one, Garbage)
    assert type(one.error) is error
    assert one.where.endswith(f"{TAG}#2")


def test_layers_of_other_kinds_are_passed_over() -> None:
    """
    Attestations, say; and what is no layer at all.
    """
    assert len(read([layer(mediaType="application/x"), layer(mediaType=["x"]), 7, None, [], layer()])) == 1


@pytest.mark.parametrize("status", [404, 401, 403, 500, 503])
def test_what_is_listed_and_not_served_is_no_answer(status: int) -> None:
    """
    A signature that is withheld is not one that is not there.
    """
    with pytest.raises(UnavailableError):
        read([layer()], lambda _: reply(status))


def test_layers_without_end_are_no_answer() -> None:
    """
    Nor are they all fetched.
    """
    asked: list[Request] = []
    with pytest.raises(SignaturePlaceError):
        read([layer() for _ in range(MOST + 1)], lambda r: asked.append(r) or reply(200, b"{}"))  # type: ignore[func-returns-value]

    assert len(asked) == MOST + 1


@pytest.mark.parametrize("layers", [None, {}, "x", "x" * (5 << 20)], ids=[1, 2, 3, 4])
def test_a_manifest_without_layers_is_garbage(layers: Any) -> None:
    """
    Whatever it is, it is no signature.
    """
    (one,) = read(layers)

    assert isinstance(one, Garbage)


def test_no_manifest_and_no_answer_are_two_things(registry: HttpRegistry) -> None:
    """
    Where a registry says that it has none, there are none. Where somebody else says something, nobody knows.
    """
    unknown = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN"}]}).encode()

    def asked(raw: bytes) -> list[Any]:
        with Rogue(lambda r: reply(400) if r.method == "TLS" else raw) as server:
            return list(TagPlace(registry).read(Reference.parse(f"{server.host}/team/app"), DIGEST))

    assert asked(reply(404, unknown)) == []
    with pytest.raises(UnauthorizedError):
        asked(reply(403, unknown))
    with pytest.raises(UnavailableError):
        asked(reply(404, b"<html>not here</html>"))


def test_a_registry_that_deletes_nothing(registry: HttpRegistry) -> None:
    """
    Gets a manifest without signatures in the place of the last one.
    """
    held, manifests = {"x": layer()}, list[dict[str, Any]]()
    kept = json.dumps({"schemaVersion": 2, "mediaType": attached.OCI, "config": {}, "layers": [held["x"]]}).encode()

    def answer(request: Request) -> bytes:
        nonlocal kept
        if request.method == "TLS":
            return reply(400)
        if request.method == "DELETE":
            return reply(405)
        if request.method == "POST":
            return reply(202, location="/upload")
        if request.method == "PUT" and "/manifests/" in request.target:
            kept = request.body
            manifests.append(json.loads(kept))
        if request.method == "PUT":
            return reply(201)
        digest = f"sha256:{hashlib.sha256(kept).hexdigest()}"
        return reply(200, kept, content_type=attached.OCI, docker_content_digest=digest)

    with Rogue(answer) as server:
        image = Reference.parse(f"{server.host}/team/app")
        TagPlace(registry).remove(image, DIGEST, Detached(where="", payload=b"{}", signature=b"s"))

        assert found(TagPlace(registry), image) == []
    assert [["application/vnd.oci.empty.v1+json"]] == [[one["mediaType"] for one in m["layers"]] for m in manifests]
