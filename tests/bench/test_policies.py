"""The benchmark of decisions by a policy runs, and writes its part of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import policies
from trustreg.sign import keyfile

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_runs_and_writes_down_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With a world of four images, one for each kind of requirement.
    """
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text(f"# Before\n\n{policies.BEGIN}\n\nold\n\n<!-- end -->\n\n## After\n")
    monkeypatch.setattr(policies, "RESULTS", tmp_path)
    monkeypatch.setattr(keyfile, "_SCRYPT", keyfile._SCRYPT)
    policies.main(["--rounds", "2", "--images", "4", "--write"])
    written = page.read_text()

    assert written.startswith(f"# Before\n\n{policies.BEGIN}\n")
    assert written.endswith("<!-- end -->\n\n## After\n")
    assert "\nold\n" not in written
    assert all(f"| median of those by `{demand}` | " in written for demand in policies.DEMANDS)
    assert len(list((tmp_path / "bench/results").glob("*-policies.json"))) == 1
