"""A table fits: titles are shortened first, then names lose their start, then columns go."""

from __future__ import annotations

import io
from typing import Sequence

import pytest
from rich.cells import cell_len
from rich.text import Text

from ckpttool.reports.terminal.page import Page
from ckpttool.reports.terminal.table import Column, write_table
from tests.builders.reports import Terminal

COLUMNS = (
    Column("tensor", "tensor", right=False),
    Column("shape", "shape", right=False, need=1),
    Column("relative change", "relative", need=3),
    Column("largest difference", "largest", need=2),
)
NAME = "model.layers.12.attention.self.query.weight"
ROWS = [[NAME, "[768, 768]", "4.4 %", "0.0045"], ["b", "[9]", "0.1 %", ""]]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def lines(
    width: int | None, monkeypatch: pytest.MonkeyPatch, rows: Sequence[Sequence[str]] = ROWS
) -> list[str]:
    stream = io.StringIO() if width is None else Terminal()
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
    cells = [[Text(cell) for cell in row] for row in rows]
    write_table(Page(stream), COLUMNS, cells, [Text("x")] * len(cells), 4)
    return stream.getvalue().splitlines()


def test_in_a_pipe_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = lines(None, monkeypatch)
    assert head.split("  ")[-1] == "largest difference"
    assert first.split() == ["x", NAME, "[768,", "768]", "4.4", "%", "0.0045"]
    assert second.startswith("    x b ")


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (120, ["tensor", "shape", "relative change", "largest difference"]),
        (80, ["tensor", "shape", "relative", "largest"]),
        (62, ["tensor", "relative", "largest"]),
        (40, ["tensor", "relative"]),
    ],
)
def test_what_matters_least_goes_first(
    monkeypatch: pytest.MonkeyPatch, width: int, titles: list[str]
) -> None:
    found = lines(width, monkeypatch)
    assert [part.strip() for part in found[0].split("  ") if part.strip()] == titles
    assert all(cell_len(line) <= width for line in found)
    assert "4.4 %" in found[1]
    assert "query.weight"[-width // 6 :] in found[1]


def test_wide_characters_are_counted_as_the_terminal_shows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = lines(40, monkeypatch, [["重" * 60, "[1]", "1 %", ""]])
    assert max(map(cell_len, found)) <= 40
    assert "~" in found[1]


def test_a_column_without_text_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "largest" not in lines(120, monkeypatch, [["a", "[1]", "1 %", ""]])[0]
