"""The tables of docs/safety.md are those of the corpora."""

from __future__ import annotations

import sys

import pytest

from docs.make_safety import PAGE, page


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the corpora differ between Pythons")
def test_the_tables_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
