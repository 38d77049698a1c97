"""Files that change while they are in use, and while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustreg.io.webhook.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path


def test_changed(tmp_path: Path) -> None:
    """What is written, replaced or made is a change, once; a file that is added again is what it was at first."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    watch = Watch()
    watch.add(one)
    watch.add(other)
    assert not watch.changed()

    one.write_text("11")  # while it is read
    watch.add(one)
    assert watch.changed()
    assert not watch.changed()

    other.write_text("")
    assert watch.changed()
    one.unlink()
    assert watch.changed()
    assert not watch.changed()
