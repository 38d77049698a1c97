"""What an image for several platforms is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.images import DOCKER, OCI, image, index
from trustreg.dialects.index import platforms
from trustreg.errors import FormatError

if TYPE_CHECKING:
    from scripts.images import Family


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
def test_the_platforms_of_an_index(family: Family) -> None:
    """
    In their order, each once; an image has none.
    """
    whole, alone = index("x", family), image("x", family)

    assert [f"sha256:{one.manifest.hex}" for one in whole.images] == [
        str(digest) for digest in platforms(family.index, whole.manifest.raw)
    ]
    assert platforms(family.manifest, alone.manifest.raw) == ()


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"manifests": {}},
        {"manifests": None},
        {"manifests": ["sha256"]},
        {"manifests": [{"digest": "sha256:short"}]},
        {"manifests": [{"digest": 7}]},
        {"manifests": [{"digest": f"sha256:{number:064x}"} for number in range(1001)]},
    ],
)
def test_an_index_that_is_none(document: object) -> None:
    """
    Is said to be none; nothing of it is signed along.
    """
    with pytest.raises(FormatError):
        platforms(OCI.index, json.dumps(document).encode())


@given(raw=st.binary(max_size=100))
def test_rubbish_is_no_index(raw: bytes) -> None:
    """
    And no fault of ours.
    """
    with pytest.raises(FormatError):
        platforms(OCI.index, raw)
