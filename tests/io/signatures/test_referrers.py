"""Signatures as artifacts that refer to the manifest, with the registry's list of them and with one of our own."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from scripts.mini_registry import MiniRegistry
from tests.io.rogue import Rogue, reply
from trustreg.errors import (
    ContentError,
    FormatError,
    NameFormError,
    NotInRegistryError,
    SignaturePlaceError,
    TooLargeError,
    UnavailableError,
)
from trustreg.io.pushing import Pusher, blob_of
from trustreg.io.signatures import attached
from trustreg.io.signatures.bounds import MOST
from trustreg.io.signatures.referrers import COSIGN, ReferrersPlace
from trustreg.names import Digest, Reference
from trustreg.ports import Detached, Garbage, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.io.rogue import Request
    from trustreg.io.registry import HttpRegistry

INDEX = "application/vnd.oci.image.index.v1+json"
MESSAGE = Message(where="", raw=b"an OpenPGP message")
DETACHED = Detached(where="", payload=b"{}", signature=b"a signature")
DIGEST = Digest("sha256", "ab" * 32)


@pytest.fixture(params=["listed by the registry", "listed by us"])
def image(request: pytest.FixtureRequest, registry: HttpRegistry) -> Iterator[Reference]:
    """Push something to sign to a registry that knows of referrers, or to one that does not."""
    if request.param == "listed by us":
        yield pushed(registry, request.getfixturevalue("repository"))
    else:
        with MiniRegistry() as peer:
            yield pushed(registry, Reference.parse(f"{peer.host}/team/app"))


def pushed(registry: HttpRegistry, repository: Reference) -> Reference:
    pusher = Pusher(registry, repository)
    config = attached.push_config(pusher, [], attached.CONFIG)
    raw = json.dumps({"schemaVersion": 2, "mediaType": attached.OCI, "config": config, "layers": []}).encode()
    pusher.put("1.0", raw, attached.OCI)
    return Reference(repository.domain, repository.path, "1.0", blob_of(raw).digest)


def digest_of(image: Reference) -> Digest:
    assert image.digest
    return image.digest


def found(place: ReferrersPlace, image: Reference) -> list[Any]:
    return [
        one.raw if isinstance(one, Message) else (one.payload, one.signature)
        for one in place.read(image, digest_of(image))
        if not isinstance(one, Garbage)
    ]


@pytest.mark.interop
def test_both_kinds_are_kept_and_removed(registry: HttpRegistry, image: Reference) -> None:
    """
    Each once, whatever lists them; and where they are said to be, they are found.
    """
    place, digest = ReferrersPlace(registry), digest_of(image)
    assert found(place, image) == []
    where = [place.add(image, digest, one) for one in (MESSAGE, DETACHED, MESSAGE, DETACHED)]

    assert where[:2] == where[2:]
    assert {MESSAGE.raw, (DETACHED.payload, DETACHED.signature)} == set(found(place, image))
    assert set(where) == {one.where for one in place.read(image, digest)}
    for _ in range(2):
        place.remove(image, digest, MESSAGE)
        assert found(place, image) == [(DETACHED.payload, DETACHED.signature)]
    place.remove(image, digest, DETACHED)
    assert found(place, image) == []
    assert registry.manifest(Reference(image.domain, image.path, None, digest))


@pytest.mark.interop
def test_several_who_add_at_once(registry: HttpRegistry, image: Reference) -> None:
    """
    Where the registry lists them, all are there. Where we do, one that was lost is there once it is added again.
    """
    signed = [Message(where="", raw=b"%d" % number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: ReferrersPlace(registry).add(image, digest_of(image), one), signed))
    for one in signed:
        ReferrersPlace(registry).add(image, digest_of(image), one)

    assert {one.raw for one in signed} == set(found(ReferrersPlace(registry), image))
    assert len(found(ReferrersPlace(registry), image)) == 4


@pytest.mark.interop
def test_other_referrers_are_passed_over_and_stay(registry: HttpRegistry, image: Reference) -> None:
    """
    A bill of materials is no signature; nor is an artifact that is listed here and is about something else.
    """
    place, pusher, digest = ReferrersPlace(registry), Pusher(registry, image), digest_of(image)
    place.add(image, digest, DETACHED)
    (signed,) = place._artifacts(image, digest)
    assert isinstance(signed, attached.Held)
    other = {**signed.content, "artifactType": "application/x-bill"}
    pusher.put(str(blob_of(json.dumps(other).encode()).digest), json.dumps(other).encode(), attached.OCI)
    place.remove(image, digest, DETACHED)

    assert found(place, image) == []
    assert attached.find(registry, image, digest=blob_of(json.dumps(other).encode()).digest)


@pytest.mark.interop
def test_what_else_is_in_a_list_of_ours_stays(registry: HttpRegistry, repository: Reference) -> None:
    """
    Entries of others, and what they wrote on the list.
    """
    image = pushed(registry, repository)
    place, tag = ReferrersPlace(registry), f"sha256-{digest_of(image).hex}"
    entry = {"mediaType": attached.OCI, "digest": str(digest_of(image)), "size": 7, "artifactType": "application/x"}
    content = {"schemaVersion": 2, "mediaType": INDEX, "annotations": {"a": "b"}, "manifests": [entry]}
    Pusher(registry, image).put(tag, json.dumps(content).encode(), INDEX)
    place.add(image, digest_of(image), MESSAGE)
    served = json.loads(registry.manifest(Reference(image.domain, image.path, tag)).raw)

    assert served["annotations"] == {"a": "b"}
    assert served["manifests"][0] == entry
    assert [one["artifactType"] for one in served["manifests"][1:]] == [attached.OPENPGP]
    place.remove(image, digest_of(image), MESSAGE)
    assert json.loads(registry.manifest(Reference(image.domain, image.path, tag)).raw) == content


@pytest.mark.interop
def test_stopped_while_it_removes_a_list_of_ours_still_holds(
    registry: HttpRegistry, repository: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What it lists is there.
    """
    image = pushed(registry, repository)
    place = ReferrersPlace(registry)
    for one in (MESSAGE, DETACHED):
        place.add(image, digest_of(image), one)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pusher, "delete", stop)
    with pytest.raises(KeyboardInterrupt):
        place.remove(image, digest_of(image), MESSAGE)

    assert found(place, image) == [(DETACHED.payload, DETACHED.signature)]


def test_an_artifact_with_more_in_it_stays(registry: HttpRegistry) -> None:
    """
    No signature is taken out of what somebody else put together.
    """
    with MiniRegistry() as peer:
        image = pushed(registry, Reference.parse(f"{peer.host}/team/app"))
        place, pusher = ReferrersPlace(registry), Pusher(registry, image)
        place.add(image, digest_of(image), DETACHED)
        (held,) = place._artifacts(image, digest_of(image))
        assert isinstance(held, attached.Held)
        layer, raw = attached.layer_of(MESSAGE)
        attached.push(pusher, raw, layer["mediaType"])
        more = json.dumps({**held.content, "layers": [*held.layers, layer]}).encode()
        pusher.put(str(blob_of(more).digest), more, attached.OCI)

        with pytest.raises(SignaturePlaceError, match="other things"):
            place.remove(image, digest_of(image), MESSAGE)


def test_what_is_not_there_has_no_referrers(registry: HttpRegistry) -> None:
    """
    Nobody signs what the registry does not have; and only sha256 is signed.
    """
    with MiniRegistry() as peer:
        image = Reference.parse(f"{peer.host}/team/app")
        with pytest.raises(NotInRegistryError):
            ReferrersPlace(registry).add(image, DIGEST, MESSAGE)
        assert list(ReferrersPlace(registry).read(image, DIGEST)) == []
        with pytest.raises(NameFormError):
            list(ReferrersPlace(registry).read(image, Digest("sha512", "ab" * 64)))


# --- a registry that does what it likes -------------------------------------------------------------


def artifact(**more: Any) -> bytes:
    layer, _ = attached.layer_of(MESSAGE)
    content = {
        "schemaVersion": 2,
        "mediaType": attached.OCI,
        "artifactType": attached.OPENPGP,
        "config": {},
        "layers": [layer],
        "subject": {"mediaType": attached.OCI, "digest": str(DIGEST), "size": 1},
    }
    return json.dumps({**content, **more}).encode()


def entry(raw: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": attached.OCI, "digest": str(blob_of(raw).digest), "size": len(raw),
            "artifactType": attached.OPENPGP, **more}  # fmt: skip


def serving(
    entries: Any, *raws: bytes, pages: Callable[[Request], bytes] | None = None, blob: bytes = MESSAGE.raw
) -> Callable[[Request], bytes]:
    """Answer with *entries*, the artifacts *raws*, and *blob* for each layer."""
    manifests = {str(blob_of(raw).digest): raw for raw in raws}

    def answer(request: Request) -> bytes:
        if request.method == "TLS":
            return reply(400)
        if "/referrers/" in request.target:
            return pages(request) if pages else reply(200, json.dumps({"manifests": entries}).encode())
        if "/blobs/" in request.target:
            return reply(200, blob)
        raw = manifests.get(request.target.rpartition("/")[2])
        unknown = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN"}]}).encode()
        return reply(404, unknown) if raw is None else reply(200, raw, content_type=attached.OCI)

    return answer


def read(registry: HttpRegistry, answer: Callable[[Request], bytes]) -> list[Any]:
    with Rogue(answer) as server:
        return list(ReferrersPlace(registry).read(Reference.parse(f"{server.host}/team/app"), DIGEST))


ABOUT_ANOTHER = artifact(subject={"digest": f"sha256:{'cd' * 32}"})
GOOD = artifact()


@pytest.mark.parametrize(
    ("raw", "said", "error"),
    [
        (ABOUT_ANOTHER, {}, FormatError),
        (artifact(subject=None), {}, FormatError),
        (artifact(subject="x"), {}, FormatError),
        (artifact(artifactType="application/x"), {}, FormatError),
        (artifact(artifactType=None), {}, FormatError),
        (artifact(layers=[]), {}, FormatError),
        (artifact(layers={}), {}, FormatError),
        (artifact(layers=[{**attached.layer_of(MESSAGE)[0], "size": 1 << 20}]), {}, TooLargeError),
        (artifact(layers=[{**attached.layer_of(MESSAGE)[0], "digest": str(DIGEST)}]), {}, ContentError),
        (GOOD, {"digest": "sha256:short"}, FormatError),
        (GOOD, {"digest": None}, FormatError),
        (GOOD, {"digest": ["x"]}, FormatError),
    ],
    ids=str,
)
def test_one_that_is_bad_ends_nothing(
    registry: HttpRegistry, raw: bytes, said: dict[str, Any], error: type[Exception]
) -> None:
    """
    What the list says of an artifact is a claim: it is garbage, and the next one is read.
    """
    bad, good = read(registry, serving([entry(raw, **said), 7, entry(GOOD)], raw, GOOD))

    assert isinstance(bad, Garbage)
    assert type(bad.error) is error
    assert good.raw == MESSAGE.raw


def test_cosigns_own_form_is_read(registry: HttpRegistry) -> None:
    """
    It says what the artifact is by the type of the configuration alone.
    """
    layer = {**attached.layer_of(DETACHED)[0], "annotations": {attached.SIGNATURE: b64encode(b"s").decode()}}
    raw = artifact(artifactType=None, config={"mediaType": COSIGN}, layers=[layer])
    (one,) = read(registry, serving([entry(raw, artifactType=COSIGN)], raw, blob=DETACHED.payload))

    assert (one.payload, one.signature) == (DETACHED.payload, b"s")


def test_pages_are_turned(registry: HttpRegistry) -> None:
    """
    As long as they are of the same registry, and have an end.
    """

    def pages(request: Request) -> bytes:
        if "last=1" in request.target:
            return reply(200, json.dumps({"manifests": [entry(GOOD)]}).encode())
        link = "</v2/team/app/referrers/x?last=1>; rel=next"
        return reply(200, json.dumps({"manifests": []}).encode(), link=link)

    (one,) = read(registry, serving([], GOOD, pages=pages))
    assert one.raw == MESSAGE.raw
    for link in ("</v2/team/app/referrers/again>; rel=next", "<http://127.0.0.1:1/v2/elsewhere>; rel=next"):
        turned = reply(200, b'{"manifests": []}', link=link)
        with pytest.raises(UnavailableError):
            read(registry, lambda r, turned=turned: reply(400) if r.method == "TLS" else turned)  # type: ignore[misc]


def test_other_referrers_take_no_room(registry: HttpRegistry) -> None:
    """
    Sixteen pages full of something else, which take thirty times as much memory as they are long, are not kept.
    """

    def pages(request: Request) -> bytes:
        page = int(request.target.partition("last=")[2] or "0") + 1
        link = {"link": f"</v2/team/app/referrers/x?last={page}>; rel=next"} if page < 16 else {}
        return reply(200, b'{"manifests": [%s{}]}' % (b"{}," * 20_000), **link)

    tracemalloc.start()
    try:
        assert read(registry, serving([], pages=pages)) == []
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", [404, 405, 501])
def test_who_knows_of_no_referrers_is_asked_once(registry: HttpRegistry, status: int) -> None:
    """
    And from then on for the tag only.
    """
    asked: list[str] = []

    def pages(request: Request) -> bytes:
        asked.append(request.target)
        return reply(status, b"page not found")

    with Rogue(serving([], pages=pages)) as server:
        place, image = ReferrersPlace(registry), Reference.parse(f"{server.host}/team/app")
        assert list(place.read(image, DIGEST)) == list(place.read(image, DIGEST)) == []
    assert len(asked) == 1


@pytest.mark.parametrize(
    "answer",
    [*map(reply, (500, 403, 401)), *(reply(200, raw) for raw in (b"no", b"[]", b'{"manifests":{}}', bytes(5 << 20)))],
    ids=len,
)
def test_no_list_is_no_answer(registry: HttpRegistry, answer: bytes) -> None:
    """
    That nobody knows is not that there are none.
    """
    with pytest.raises(UnavailableError):
        read(registry, serving([], pages=lambda _: answer))


def test_what_is_listed_has_to_be_there(registry: HttpRegistry) -> None:
    """
    A signature that is withheld is not one that is not there.
    """
    with pytest.raises(UnavailableError):
        read(registry, serving([entry(GOOD)]))
    with pytest.raises(SignaturePlaceError):
        read(registry, serving([entry(GOOD)] * (MOST + 1), GOOD))


def test_a_registry_that_deletes_nothing_says_so(registry: HttpRegistry) -> None:
    """
    Where it keeps the list itself, the signature stays.
    """
    answer = serving([entry(GOOD)], GOOD)
    with Rogue(lambda r: reply(405) if r.method == "DELETE" else answer(r)) as server:
        image = Reference.parse(f"{server.host}/team/app")
        with pytest.raises(SignaturePlaceError, match="deletes nothing"):
            ReferrersPlace(registry).remove(image, DIGEST, MESSAGE)
