"""The table of names and sizes."""

from __future__ import annotations

import io

import pytest

from ckpttool.reports.terminal.cells import columns
from ckpttool.reports.terminal.page import Page
from ckpttool.reports.terminal.size_table import SizeRow, percent_of, write_table


def test_a_table_without_rows_is_nothing() -> None:
    stream = io.StringIO()
    write_table(Page(stream), [])
    assert stream.getvalue() == ""


def test_names_with_wide_characters_move_no_column() -> None:
    stream = io.StringIO()
    names = ("\u6a21\u578b", "encoder")
    write_table(Page(stream), [SizeRow(0, name, "2 tensors", "10", "40 B") for name in names])
    lines = stream.getvalue().splitlines()[1:]
    assert len({columns(line[: line.index("2 tensors")]) for line in lines}) == 1


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (1e-9, "<0.1 %"), (0.5, "50.0 %"), (1 - 1e-9, ">99.9 %"), (1.0, "100.0 %")],
)
def test_nothing_and_all_are_not_said_of_a_share(share: float, text: str) -> None:
    assert percent_of(share) == text
