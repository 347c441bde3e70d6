"""The table of docs/neighbours.md is that of the known models."""

from __future__ import annotations

from docs.make_neighbours import PAGE, page


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run make docs"
