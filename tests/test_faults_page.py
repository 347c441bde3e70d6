"""The tables of SECURITY.md on failing writes are those of the runs, and of every writer."""

from __future__ import annotations

from docs.make_faults import PAGE, page
from tests.faults import results
from tests.faults.judging import FAULTS
from tests.faults.results import Came, OfWriter, Results
from tests.faults.writers import SAMPLE, WRITERS

EMPTY = "".join(f"<!-- BEGIN {name} -->\n<!-- END {name} -->\n" for name in ("WRITERS", "FAULTS"))


def test_the_tables_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, results.load()) == text


def test_every_writer_and_every_fault_was_tried() -> None:
    """Run ``make faults`` when this fails."""
    stored = results.load()
    assert list(stored.writers) == [one.name for one in (*WRITERS, SAMPLE)]
    assert list(stored.faults) == [fault.name for fault in FAULTS]
    assert all(one.failing.runs for name, one in stored.writers.items() if name != SAMPLE.name)


def test_a_row_says_what_came_of_a_writer() -> None:
    one = OfWriter(90, Came(1_000, 700, 300), Came(105, 30, 20), Came(20, 12, 8))
    stored = Results("abc", "a processor", "2026-11-26", {"lock": one}, {"EIO": Came(7, 5, 2)})
    rows = page(EMPTY, stored).splitlines()
    assert "`make faults`, 2026-11-26, of `abc`, on a processor." in rows
    assert "| lock | 90 | 1,000 | 700 | 300 | 105 | 20 | 12 | 8 |" in rows
    assert "| EIO | 7 | 5 | 2 |" in rows
