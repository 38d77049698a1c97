"""``policy.json`` means here what it means to ``skopeo copy``: cell by cell, and where it does not, it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.command import clean_env, run
from tests.policyjson import CASES

if TYPE_CHECKING:
    from pathlib import Path


ACCEPT = [{"type": "insecureAcceptAnything"}]
DEEP = "a.sub.registry.example:5000"


@pytest.mark.parametrize("newer", [False, True], ids=["old", "newer"])
def test_skopeo_loads_what_we_load(tmp_path: Path, *, newer: bool) -> None:
    """
    And refuses what we refuse; what came after skopeo 1.9 it refuses as a whole.
    """
    wrong = []
    for number, case in enumerate(case for case in CASES if case.newer == newer):
        file = tmp_path / f"{number}.json"
        file.write_text(case.text, encoding="utf-8")
        argv: list[str | Path] = ["skopeo", "--policy", file, "copy", f"dir:{tmp_path}/none", f"dir:{tmp_path}/out"]
        said = run(argv, env=clean_env(HOME=str(tmp_path)), check=False)
        if said.said("invalid policy") == (case.loads and not newer):
            wrong.append(f"{case.name}: {said.stderr}")

    assert [] == wrong
