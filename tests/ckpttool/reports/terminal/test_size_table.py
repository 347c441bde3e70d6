"""The table of names and sizes."""

from __future__ import annotations

import io

from ckpttool.reports.terminal.page import Page
from ckpttool.reports.terminal.size_table import write_table


def test_a_table_without_rows_is_nothing() -> None:
    stream = io.StringIO()
    write_table(Page(stream), [])
    assert stream.getvalue() == ""
