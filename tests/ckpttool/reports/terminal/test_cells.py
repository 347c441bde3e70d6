"""Texts by the columns that they take."""

from __future__ import annotations

import pytest

from ckpttool.reports.terminal.cells import columns, end_of, padded, start_of

WIDE = "\u5c64.weight"


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        pytest.param("weight", 6, id="plain"),
        pytest.param("", 0, id="nothing"),
        pytest.param(WIDE, 9, id="wide"),
        pytest.param("e\u0301", 1, id="with an accent"),
    ],
)
def test_columns_are_those_of_a_terminal(text: str, taken: int) -> None:
    assert columns(text) == taken
    assert columns(padded(text, 12)) == 12


def test_a_text_that_is_too_wide_is_not_filled_up() -> None:
    assert padded("weight", 3) == "weight"


@pytest.mark.parametrize(
    ("width", "start", "end"),
    [
        pytest.param(9, WIDE, WIDE, id="it fits"),
        pytest.param(8, "\u5c64.weig~", "~.weight", id="a column too wide"),
        pytest.param(2, "~", "~t", id="a wide character does not fit"),
    ],
)
def test_what_does_not_fit_is_cut_and_marked(width: int, start: str, end: str) -> None:
    assert start_of(WIDE, width) == start
    assert end_of(WIDE, width) == end
