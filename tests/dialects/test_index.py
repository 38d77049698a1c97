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


GOOD, EVIL = (f'{{"digest": "sha256:{digit * 64}"}}' for digit in "ae")


@pytest.mark.parametrize(
    "raw",
    [
        f'{{"manifests": [{GOOD}], "Manifests": [{EVIL}]}}',
        f'{{"manife\u017fts": [{EVIL}], "manifests": [{GOOD}]}}',
        f'{{"manifests": [{EVIL}], "manifests": [{GOOD}]}}',
        f'{{"manifests": [{GOOD[:-1]}, "DIGEST": {EVIL[11:]}]}}',
        f'{{"manifests": [{GOOD[:-1]}, "platform": {{"os": "linux", "OS": "windows"}}}}]}}',
        f'{{"manifests": [{GOOD[:-1]}, "platform": null, "Platform": {{"os": "linux"}}}}]}}',
    ],
)
def test_an_index_that_others_read_otherwise(raw: str) -> None:
    """
    Docker, Podman and containerd take members in any case, and the last of several: nobody may show us another list.
    """
    with pytest.raises(FormatError):
        platforms(OCI.index, raw.encode())


@given(raw=st.binary(max_size=100))
def test_rubbish_is_no_index(raw: bytes) -> None:
    """
    And no fault of ours.
    """
    with pytest.raises(FormatError):
        platforms(OCI.index, raw)
