"""The comparison with python-tuf runs: with little to do, and nobody looks at the times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import tuf

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = """
before

<!-- what python -m bench.tuf found: begin -->

old

<!-- end -->

after
"""


def test_everything_is_measured_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Each comparison ends with a line, and with a row of the page; what is around the rows stays.
    """
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmarks.md").write_text(PAGE)
    monkeypatch.setattr(tuf, "RESULTS", tmp_path)
    tuf.main(["--rounds", "1", "--targets", "1200", "--adding", "3", "9", "--bits", "2", "--write"])

    said = capsys.readouterr().out.splitlines()
    measured = ("load and verify", "sign and serialise", "warm refresh and look-up", "peak memory, MiB")
    assert [line.partition(":")[0] for line in said] == [
        *(f"{what} 1200" for what in measured),
        "to 9 in 4 bins",
        "written",
    ]
    before, _, rest = (tmp_path / "docs" / "benchmarks.md").read_text().partition(tuf.BEGIN)
    found, _, after = rest.partition("<!-- end -->")
    assert (before, after) == ("\nbefore\n\n", "\n\nafter\n")
    assert "old" not in found
    assert found.count("\n| load and verify | 1 200 | ") == 1
    assert "\n| peak memory | 1 200 | " in found
    assert "\n| publish one more target to 9 in 4 bins | " in found
    (kept,) = (tmp_path / "bench" / "results").iterdir()
    assert len(json.loads(kept.read_text())["rows"]) == 4
