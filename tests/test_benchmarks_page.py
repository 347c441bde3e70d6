"""The tables of docs/benchmarks.md are those of the figures that were kept."""

from __future__ import annotations

import pytest

from benchmarks.measure import Row
from benchmarks.results import Results, saved
from docs.make_benchmarks import PAGE, page, tables

QUICK = Row("diff", "cmp", "1.20 x (0.40 s)", "at most 2 x", True)
SLOW = Row("diff", "cmp", "2.50 x (0.90 s)", "at most 2 x", False)
ALONE = Row("diff", "torch", "5.00 x faster (0.90 s)", "at least 4 x faster", True)


def results(processor: str, *rows: Row) -> Results:
    return Results(processor, {"python": "3.11.7"}, {"diff": rows})


def test_the_tables_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, list(saved())) == text


def test_every_processor_is_a_column_and_a_missed_target_stands_out() -> None:
    table = tables([results("one", QUICK), results("two", SLOW, ALONE)])
    assert table["processors"].splitlines()[2:] == [
        "| A | one | python 3.11.7 |",
        "| B | two | python 3.11.7 |",
    ]
    assert table["diff"].splitlines() == [
        "| measured | against | target | A | B |",
        "|---|---|---|---|---|",
        "| diff | cmp | at most 2 x | 1.20 x (0.40 s) | **2.50 x (0.90 s)** |",
        "| diff | torch | at least 4 x faster | - | 5.00 x faster (0.90 s) |",
    ]


def test_a_table_without_a_place_on_the_page_is_not_dropped() -> None:
    with pytest.raises(ValueError, match="no place for diff"):
        page("<!-- BEGIN processors --><!-- END processors -->", [results("one", QUICK)])
