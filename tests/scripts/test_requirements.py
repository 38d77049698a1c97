"""The lock is complete, exact, and says nothing of where packages came from."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.bootstrap import LOCK, ROOT


def locked() -> dict[str, str]:
    """Versions by canonical name."""
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_everything_asked_for_is_locked() -> None:
    """
    Each requirement of the project, of its extras and of the tools is pinned to a version that satisfies it.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = [line for line in (LOCK.parent / "dev.in").read_text().splitlines() if not line.startswith("#")]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    versions = locked()

    for requirement in map(Requirement, [*project["dependencies"], *extras, *tools]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement
