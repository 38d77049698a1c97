"""
Hostile reviews: whatever was bent, there is a valid answer where there is a uid, and an error of trustreg's own else.

The reviews of the vectors are bent, member by member. Nothing is trusted, so that a yes needs a reason that can be seen
in what was asked. 12 500 reviews by default, with TRUSTREG_FULL=1 ten times as many; the seeds are fixed.
"""

from __future__ import annotations

import json
import os
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.admission import check, decision, owners, patched, settings, time
from tests.property.mutation import bend, damage
from trustreg import admission
from trustreg.dialects.admissionreview import parse
from trustreg.errors import OfflineError, ReviewError
from trustreg.policy import PINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustreg.admission import Context
    from trustreg.errors import TrustregError
    from trustreg.judging import Decision

FULL = bool(os.environ.get("TRUSTREG_FULL"))
EACH = 12_500 if FULL else 1_250
FOLDER = Path(__file__).parent.parent.parent / "vectors" / "admission"
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 300)]


@cache
def whole() -> tuple[dict[str, Any], ...]:
    """The vectors."""
    return tuple(json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json")))


@cache
def vectors() -> tuple[dict[str, Any], ...]:
    """The vectors, with modes, exceptions and the glass left out; mirror pods, too: all is enforced."""
    found = [deepcopy(vector) for vector in whole() if "kubelet" not in vector["comment"]]
    for vector in found:
        for name in ("namespaces", "exceptions", "break_glass"):
            vector["admission"].pop(name, None)
    return tuple(found)


def may_be_admitted(document: Any) -> bool:
    """Say whether there is a reason to admit what *document* asks for, though no image is trusted."""
    if "request" not in document:
        return False
    request = document["request"]
    old = request.get("oldObject")
    if request["operation"] in {"DELETE", "CONNECT"} or request.get("subResource") in {"scale", "status", "binding"}:
        return True
    if request["operation"] == "UPDATE" and isinstance(old, dict):
        if isinstance(old.get("metadata"), dict) and isinstance(old["metadata"].get("deletionTimestamp"), str):
            return True
        return images(request["object"]) <= images(old)
    return not images(request["object"])


def images(obj: Any) -> set[tuple[str, str]]:
    """Return the images of *obj*, if it is of a kind that runs some, each with its set of containers."""
    paths = {
        ("v1", "Pod"): ["spec"],
        ("v1", "PodTemplate"): ["template", "spec"],
        ("batch/v1", "CronJob"): ["spec", "jobTemplate", "spec", "template", "spec"],
    }
    usual = {("v1", "ReplicationController"), ("batch/v1", "Job")}
    usual |= {("apps/v1", kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")}
    kind = (obj.get("apiVersion"), obj.get("kind"))
    if not (isinstance(kind[0], str) and isinstance(kind[1], str)) or (kind not in paths and kind not in usual):
        return set()
    for name in paths.get(kind, ["spec", "template", "spec"]):
        obj = obj.get(name) if isinstance(obj, dict) else None
    pod = obj if isinstance(obj, dict) else {}
    found = set()
    for group in (*CONTAINERS, "volumes"):
        each = pod.get(group)
        for one in each if isinstance(each, list) else ():
            image = one.get("image") if isinstance(one, dict) else None
            if group == "volumes":
                image = image.get("reference") if isinstance(image, dict) else None
            if image:
                found.add((group, str(image)))
    return found


def decide(random: Random) -> Any:
    """Return what trusts nothing, and fails in some way every now and then."""

    def one(image: str) -> Decision | TrustregError:
        return random.choice(
            (
                decision(image, {"verdict": "untrusted", "codes": ["unsigned"]}),
                decision(image, {"verdict": "unknown", "codes": ["offline"]}),
                OfflineError("https://registry.example", "no"),
            )
        )

    def some(wanted: Sequence[str], _: Context) -> Any:
        match random.randrange(20):
            case 0:
                raise random.choice((OfflineError("x", "y"), TimeoutError(), RuntimeError(), RecursionError()))
            case 1:
                return [one(image) for image in wanted[1:]]
            case 2:
                return None
            case _:
                return [one(image) for image in wanted]

    return some


def outcome(raw: bytes, vector: dict[str, Any], random: Random) -> bool | None:
    """Have *raw* answered, and require the answer to be valid; return it, or ``None`` where there is none."""
    try:
        document = parse(raw)
        found = admission.examine(
            document,
            decide(random),
            settings(vector["admission"]),
            time(vector["now"]),
            mutating=random.random() < 0.5,
            owners=owners(vector["owners"]),
        )
    except ReviewError:
        return None
    allowed = check(found.response, document, mutating=True)
    assert found.allowed is allowed
    if allowed:
        assert "patch" not in found.response.get("response", {})
        by_owner = vector["admission"].get("trust_owners") and vector["owners"]
        assert by_owner or vector["admission"].get("extractors") or may_be_admitted(document), document
    return allowed


@pytest.mark.parametrize("seed", range(4))
def test_bent_reviews(seed: int) -> None:
    """
    A member here or there is something else: where there is a uid, there is an answer.
    """
    random = Random(seed)
    outcomes = []
    for _ in range(EACH):
        vector = random.choice(vectors())
        document = bend(random, json.dumps(vector["review"]))
        try:
            raw = orjson.dumps(document)
        except TypeError:  # what JSON of Python's can spell and others cannot
            continue
        found = outcome(raw, vector, random)
        request = document.get("request")
        uid = request.get("uid") if isinstance(request, dict) else None
        if isinstance(uid, str) and uid.isascii() and uid.isprintable() and 0 < len(uid) <= 256:
            assert found is not None
        outcomes.append(found)

    assert {True, False, None} == set(outcomes)
    assert outcomes.count(False) > EACH / 4


@pytest.mark.parametrize("seed", range(4))
def test_damaged_reviews(seed: int) -> None:
    """
    Bytes are changed, lost and doubled.
    """
    random = Random(100 + seed)
    outcomes = []
    for _ in range(EACH):
        vector = random.choice(vectors())
        outcomes.append(outcome(damage(random, orjson.dumps(vector["review"])), vector, random))

    assert {False, None} <= set(outcomes)


@pytest.mark.parametrize("seed", range(2))
def test_bent_reviews_of_what_may_be_trusted(seed: int) -> None:
    """
    Whatever the policy says of admission: the answer is valid, its patch fits, and changes names to their digests only.
    """
    random = Random(200 + seed)
    digest = "sha256:" + "c" * 64
    changed = 0

    def trusting(wanted: Sequence[str], _: Context) -> Any:
        said = {"verdict": "trusted", "digest": digest, "warnings": ["x" * random.randrange(400)]}
        refused = {"verdict": "untrusted", "digest": digest, "codes": ["unsigned"]}
        return [decision(image, random.choice((said, said, said, refused))) for image in wanted]

    for _ in range(EACH):
        vector = random.choice(whole())
        document = bend(random, json.dumps(vector["review"]))
        policy = settings({**vector["admission"], "pin": random.choice(PINS)})
        mutating = random.random() < 0.7
        try:
            document = parse(orjson.dumps(document))
            found = admission.examine(
                document, trusting, policy, time(vector["now"]), mutating=mutating, owners=owners(vector["owners"])
            )
        except (TypeError, ReviewError):
            continue
        check(found.response, document, mutating=mutating)
        before = document.get("request", {}).get("object")
        after = patched(found.response, before)
        if after is None:
            continue
        changed += 1
        pairs = zip(named(before), named(after), strict=True)
        assert [
            pair for pair in pairs if pair[1] not in {pair[0], f"{pair[0]}@{digest}", f"{pair[0]}:latest@{digest}"}
        ] == []

    assert changed > EACH / 20


def named(value: Any) -> list[str]:
    """Return all text in *value*, but for what is noted."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() if name != "annotations" for text in named(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in named(inner)]
    return [value] if isinstance(value, str) else []
