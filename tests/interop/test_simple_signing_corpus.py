"""
What skopeo says of vectors/simple-signing is what the vectors say that it does.

By default about all that somebody accepts, or that ends differently here, and a third of the others: with
``TRUSTREG_FULL=1`` about all of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.vectors.signed import load
from tests.vectors.skopeo import ACCEPTED, reader

if TYPE_CHECKING:
    from tests.peers import RegistryPeer

FULL = bool(os.environ.get("TRUSTREG_FULL"))


def test_skopeo_says_what_was_recorded(open_registry: RegistryPeer) -> None:
    """
    ``standalone-verify`` on the files, and ``copy`` under a policy.json with a lookaside.
    """
    vectors = [
        vector
        for number, vector in enumerate(load())
        if FULL or vector.trusted or vector.difference or ACCEPTED in {vector.skopeo, vector.policy} or number % 3 == 0
    ]
    with reader(open_registry) as people:
        said = people.verdicts(vectors)

    assert said == {vector.name: {"skopeo": vector.skopeo, "policy": vector.policy} for vector in vectors}
