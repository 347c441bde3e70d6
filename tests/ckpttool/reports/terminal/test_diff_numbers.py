"""Numbers that a person can read, and nothing that means nothing."""

from __future__ import annotations

import pytest

from ckpttool.comparison.result import Change, Largest
from ckpttool.reports.terminal import diff_numbers as numbers

CHANGE = Change(4, 2, None, None, None, 0.1, 0.01, 0.5, 0.1, None, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.0438, "4.4 %"),
        (0.00175, "0.18 %"),
        (1.2e-6, "0.00012 %"),
        (1e-12, "< 0.00001 %"),
        (0.123, "12 %"),
        (1.0, "100 %"),
        (1.4142, "141 %"),
    ],
)
def test_a_relative_change_has_two_digits(share: float, text: str) -> None:
    assert numbers.relative(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (1e-9, "< 0.01 %"),
        (1 - 1e-9, "> 99.99 %"),
        (0.5, "50.00 %"),
        (0.0123, "1.23 %"),
    ],
)
def test_shares_are_not_rounded_to_nothing_or_all(share: float, text: str) -> None:
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("changed", "total", "text"),
    [
        (9, 9, "all"),
        (3, 4_194_304, "3"),
        (30, 60, "50 %"),
        (9_997, 10_000, "99.97 %"),
        (99_999, 99_999_999, "0.1 %"),
    ],
)
def test_few_elements_are_counted(changed: int, total: int, text: str) -> None:
    assert numbers.elements(changed, total) == text


@pytest.mark.parametrize(
    ("value", "relative", "ulps", "text"),
    [
        pytest.param(1.19e-7, 1.19e-7, 1, "1.19e-07 (1 ULP)", id="a rounding"),
        pytest.param(0.0039, 0.0039, 1, "0.0039 (1 ULP)", id="a rounding of a short type"),
        pytest.param(1e-5, 1e-5, 90, "1e-05 (90 ULP)", id="tiny"),
        pytest.param(0.04, 0.04, 350_000, "0.04", id="a change"),
        pytest.param(0.04, 1.0, 971_224_709, "0.04", id="from zero"),
        pytest.param(0.04, 0.04, None, "0.04", id="no ULPs between types"),
        pytest.param(0.0, 0.0, 0, "bits only", id="a sign of zero"),
    ],
)
def test_ulps_are_told_where_they_mean_something(
    value: float, relative: float, ulps: int | None, text: str
) -> None:
    change = CHANGE._replace(
        max_abs=Largest(value, (0,), 1.0, 1.0 + value),
        max_rel=Largest(relative, (0,), 1.0, 1.0 + value),
        max_ulp=ulps,
    )
    assert numbers.largest(change) == text
