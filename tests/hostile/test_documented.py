"""The page about hostile servers says what the tests require."""

from __future__ import annotations

from tests.hostile.documented import PAGE, page


def test_the_tables_are_those_of_the_tests() -> None:
    """
    Every attack is there, with the codes with which it is refused; ``python -m tests.hostile.documented`` writes them.
    """
    text = PAGE.read_text()

    assert page(text) == text
