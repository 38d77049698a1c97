"""The benchmark of the webhook runs, and writes its part of the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import admission

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_runs_and_writes_down_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With a few images, one replica and a moment for each load.
    """
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text(f"# Before\n\n{admission.BEGIN}\n\nold\n\n<!-- end -->\n\n## After\n")
    monkeypatch.setattr(admission, "RESULTS", tmp_path)
    monkeypatch.setattr(admission, "WARM", 2)
    tiny = ["--images", "4", "--tens", "10", "--seconds", "0.1", "--rate", "50", "--decisions", "100"]
    admission.main([*tiny, "--replicas", "1", "--write"])
    written = page.read_text()
    (kept,) = (tmp_path / "bench" / "results").glob("*-admission.json")
    found = json.loads(kept.read_text())

    assert written.startswith(f"# Before\n\n{admission.BEGIN}\n")
    assert written.endswith("<!-- end -->\n\n## After\n")
    assert "\nold\n" not in written
    assert [(row["what"], row["images"], row["rate"]) for row in found["rows"]] == [
        ("cold", 1, 0),
        ("cold", 10, 0),
        ("/healthz", 0, 50),
        ("warm", 1, 50),
        ("warm", 10, 50),
        ("warm", 1, 0),
        ("warm", 10, 0),
    ]
    assert list(found["memory"]) == ["100"]
