"""The table of names and sizes."""

from __future__ import annotations

import io

from ckpttool.reports.terminal.cells import columns
from ckpttool.reports.terminal.page import Page
from ckpttool.reports.terminal.size_table import SizeRow, write_table


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
