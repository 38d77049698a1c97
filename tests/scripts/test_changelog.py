"""The changelog is what the fragments say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import changelog
from scripts.bootstrap import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a release behind it, and two fragments."""
    monkeypatch.setattr(changelog, "ROOT", tmp_path)
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes/README.md").write_text("# not one\n")
    (tmp_path / "changes/b.md").write_text("Fixed the second\nthing.\n")
    (tmp_path / "changes/a.md").write_text("Added the first thing.\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\nFor you.\n\n## 0.0.1 (2026-01-01)\n\n* Added all.\n")
    return tmp_path


def test_the_changelog_has_every_fragment() -> None:
    """
    ``python3 -m scripts.changelog`` puts them in.
    """
    text = (ROOT / "CHANGELOG.md").read_text()
    made = changelog.section(changelog.UNRELEASED, changelog.fragments(ROOT / "changes"))

    assert text == changelog.updated(text, made)


def test_fragments_stand_below_unreleased_in_order(project: Path) -> None:
    """
    However often it is done.
    """
    assert [0, 0] == [changelog.main([]), changelog.main([])]
    assert (project / "CHANGELOG.md").read_text() == (
        "# Changelog\n\nFor you.\n\n"
        "## Unreleased\n\n* Added the first thing.\n* Fixed the second thing.\n\n"
        "## 0.0.1 (2026-01-01)\n\n* Added all.\n"
    )


def test_a_release_takes_the_fragments(project: Path) -> None:
    """
    They are gone afterwards, and what comes next is unreleased.
    """
    changelog.main([])

    assert 0 == changelog.main(["0.1.0", "2026-12-01"])

    text = (project / "CHANGELOG.md").read_text()
    assert ["0.1.0 (2026-12-01)", "0.0.1 (2026-01-01)"] == [line[3:] for line in text.splitlines() if line[:3] == "## "]
    assert [] == changelog.fragments(project / "changes")
    (project / "changes/c.md").write_text("Removed a third.\n")
    changelog.main([])
    assert "For you.\n\n## Unreleased\n\n* Removed a third.\n\n## 0.1.0" in (project / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("text", ["", "\n", "Adds something.\n"])
def test_a_fragment_that_is_none_is_named(project: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """
    And nothing is written.
    """
    before = (project / "CHANGELOG.md").read_text()
    (project / "changes/bad.md").write_text(text)

    assert 1 == changelog.main([])
    assert "bad.md: its first word is not one of Added" in capsys.readouterr().err
    assert before == (project / "CHANGELOG.md").read_text()
