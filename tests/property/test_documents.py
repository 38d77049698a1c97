"""Whatever stands in a file: it is read as its writer meant it, or refused, and nothing else happens."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.property.mutation import damage
from trustreg import manifests
from trustreg.errors import ManifestError
from trustreg.io.documents import read
from trustreg.io.yaml import scalar
from trustreg.manifests import Place
from trustreg.policy import Extractor

FULL = bool(os.environ.get("TRUSTREG_FULL"))
CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cn", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"
)
TEXTS = st.text(CHARACTERS, max_size=20).filter(
    lambda text: isinstance(scalar(text), str) or not text
)  # PyYAML's is YAML 1.1
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
FILE = b"""\
x-a: &a {image: "a:1", n: [1, 2]} # one
services: {web: {<<: *a, image: !!str b:2}}
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    template:
      spec:
        containers: [{name: c, image: 'c:3'}]
        volumes:
        - image:
            reference: >-
              d:4
- {apiVersion: a.b/v1, kind: C, spec: {image: e}}
"""


DOCUMENTS = st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), min_size=1, max_size=3)


@given(documents=DOCUMENTS, flow=st.booleans())
def test_what_programs_write_is_read_as_they_meant_it(documents: list[dict[str, Any]], *, flow: bool) -> None:
    """
    YAML by PyYAML, and JSON, also one value after the other.
    """
    as_yaml = yaml.safe_dump_all(documents, default_flow_style=flow, allow_unicode=flow)
    as_json = "\n".join(json.dumps(document, ensure_ascii=False) for document in documents)

    assert documents == [document.value for document in read(as_yaml.encode(), "a.yaml")[1]]
    assert documents == [document.value for document in read(as_json.encode(), "a.json")[1]]


def test_damage_is_refused_or_read() -> None:
    """
    Whatever is damaged, nothing else is raised; and each image that is found stands where it is said to.
    """
    random = Random(6)  # a red run is red again
    extractors = (Extractor(kind="C", images=("spec.image",)),)
    read_ones = 0
    for _ in range(30_000 if FULL else 3_000):
        try:
            text, documents = read(damage(random, FILE), "a.yaml")
        except ManifestError:
            continue
        read_ones += 1
        for document in documents:
            for one in manifests.of_document(document, "a.yaml", extractors, named=True):
                if isinstance(one, Place):
                    assert 0 <= one.span[0] < one.span[1] <= len(text)
                    assert one.line >= 1
                    manifests.meant(one)
    assert read_ones > 100
