"""Statistics of tensors as a table: alone, and of blocks that are alike together."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

from ckpttool.findings.finding import Verdict
from ckpttool.findings.listing import Listing, Listings, TensorRow
from ckpttool.findings.results import FileReport
from ckpttool.findings.statistics import Histogram, Statistics, TensorStatistics
from ckpttool.reports.terminal.cells import columns
from ckpttool.reports.terminal.listing_text import write
from ckpttool.reports.terminal.page import HEIGHTS
from ckpttool.reports.terminal.stats_table import together


def measured(name: str, values: np.ndarray, bins: int = 32) -> TensorStatistics:
    """The statistics of an array, as the pass over a file makes them."""
    finite = values[np.isfinite(values)].astype(np.float64)
    shape, nan = values.shape, int(np.isnan(values).sum())
    infinite = values.size - finite.size - nan
    if not finite.size:
        return TensorStatistics(
            name,
            "float32",
            shape,
            None,
            None,
            name,
            values.size,
            nan=nan,
            infinite=infinite,
            zeros=0,
        )
    lo, hi = float(finite.min()), float(finite.max())
    counts = np.histogram(finite, bins, (lo, hi))[0].tolist() if lo < hi else [finite.size]
    moments = float(finite.mean()), float(finite.std()), math.sqrt(float((finite**2).mean()))
    return TensorStatistics(
        *(name, "float32", shape, None, None, name, values.size, lo, hi, *moments),
        *(int((finite == 0).sum()), nan, infinite, Histogram(lo, hi, tuple(counts))),
    )


def shown(*tensors: TensorStatistics) -> str:
    rows = tuple(TensorRow(one.name, one.dtype, one.shape, 4 * one.elements) for one in tensors)
    file = FileReport("x.pth", Verdict.PASS, (), "torch-zip", 1, statistics=Statistics(tensors))
    stream = io.StringIO()
    write(Listings((Listing(file, rows),)), stream)
    return stream.getvalue()


def line_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.lstrip().startswith(name)]
    return line


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param([RANDOM.normal(size=1_000)], id="one"),
        pytest.param([RANDOM.normal(size=1_000), RANDOM.normal(5, 2, 500)], id="two"),
        pytest.param([np.zeros(10), np.ones(20)], id="constants"),
        pytest.param([RANDOM.normal(size=10), np.array([np.nan, np.inf])], id="not finite"),
    ],
)
def test_several_tensors_are_taken_together_as_if_they_were_one(arrays: list[np.ndarray]) -> None:
    found = together([measured("w", one) for one in arrays])
    every = np.concatenate(arrays)
    finite = every[np.isfinite(every)]
    assert (found.min, found.max) == (finite.min(), finite.max())
    assert found.mean == pytest.approx(finite.mean())
    assert found.std == pytest.approx(finite.std())
    assert found.zeros == (finite == 0).sum()
    assert (found.nan, found.infinite) == (np.isnan(every).sum(), np.isinf(every).sum())
    assert sum(found.counts) == pytest.approx(finite.size)


def test_a_histogram_of_a_sample_stands_for_all_elements() -> None:
    whole = measured("a", np.linspace(0, 1, 1_000))
    assert whole.histogram is not None
    part = Histogram(0.0, 1.0, tuple(one // 10 for one in whole.histogram.counts), of=100)
    found = together([whole._replace(histogram=part)])
    assert max(found.counts) < 2 * min(found.counts)


@pytest.mark.parametrize("bins", [5, 8, 12, 32, 33])
def test_bins_of_any_number_fill_the_cells_evenly(bins: int) -> None:
    found = together([measured("a", np.linspace(0, 1, bins * 100), bins)])
    assert max(found.counts) == pytest.approx(min(found.counts), rel=0.05)


def test_numbers_near_the_largest_do_not_overflow() -> None:
    ends = np.array([-1.7e308, 1.7e308])
    tensor = TensorStatistics("w", "float64", (2,), None, None, "w", 2, -1.7e308, 1.7e308, 0.0)
    found = together([tensor._replace(histogram=Histogram(ends[0], ends[1], (1, 1)))])
    assert sum(found.counts) == pytest.approx(2)


def test_blocks_that_are_alike_are_one_line_of_all_of_them() -> None:
    text = shown(measured("b.0.w", np.array([-1.0, 0.0])), measured("b.1.w", np.array([3.0, 2.0])))
    assert line_of(text, "w ").split()[3:7] == ["-1", "3", "1", "1.58"]
    assert "25.0 %" in line_of(text, "w ")


def test_a_histogram_is_a_row_of_heights() -> None:
    line = line_of(shown(measured("w", RANDOM.normal(size=10_000))), "w ")
    bars = line.split("  ")[-1]
    assert len(bars) == 12
    assert set(bars) <= set(HEIGHTS)
    assert HEIGHTS[-1] in bars


def test_nan_and_infinite_values_are_said_first_and_where_they_are() -> None:
    text = shown(
        measured("a", np.array([1.0, np.nan, np.nan])), measured("b", np.array([np.inf, 1.0]))
    )
    assert "NaN in 1 tensor · infinite in 1 tensor" in text.splitlines()[0]
    assert "in 1 tensor: a" in line_of(text, "NaN")
    assert "2 NaN" in line_of(text, "a ")
    assert "1 infinite" in line_of(text, "b ")
    clean = shown(measured("a", np.array([1.0, 2.0])))
    assert "NaN" not in clean
    assert "infinite" not in clean


def test_what_was_not_measured_says_why() -> None:
    tensor = TensorStatistics(
        "w", "float4", (2,), None, None, "w", 2, unmeasured="float4 is not read as numbers"
    )
    assert "float4 is not read as numbers" in line_of(shown(tensor), "w ")


def test_with_statistics_it_is_not_said_that_only_headers_were_read() -> None:
    assert "only headers" not in shown(measured("a", np.array([1.0])))


def test_names_with_wide_characters_move_no_column() -> None:
    values = np.arange(6.0)
    text = shown(measured("\u5c64.w", values), measured("encoder.norm.w", values))
    places = {columns(line[: line.index("float32")]) for line in text.splitlines() if "[6]" in line}
    assert len(places) == 1


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        pytest.param([0.99937, 1.0008], "0.99937", "1.0008", id="of a norm"),
        pytest.param([-0.5, 2.0], "-0.5", "2", id="far apart"),
        pytest.param([1.0, 1.0], "1", "1", id="one number"),
        pytest.param([-1.23456789e20, -1.23456788e20], "-1.23e+20", "-1.23e+20", id="no room"),
    ],
)
def test_least_and_largest_differ_in_what_is_shown(
    values: list[float], low: str, high: str
) -> None:
    words = line_of(shown(measured("w", np.array(values))), "w ").split()
    assert words[3:5] == [low, high]


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_the_deviation_of_very_small_and_very_large_numbers_is_told(scale: float) -> None:
    parts = [measured(name, RANDOM.normal(size=50)) for name in ("a", "b")]
    usual = together(parts)
    assert usual.mean is not None
    assert usual.std is not None
    scaled = together(
        [
            one._replace(mean=(one.mean or 0) * scale, std=(one.std or 0) * scale, rms=None)
            for one in parts
        ]
    )
    assert scaled.mean == pytest.approx(usual.mean * scale, rel=1e-12)
    assert scaled.std == pytest.approx(usual.std * scale, rel=1e-12)


def test_numbers_that_one_tensor_lacks_are_not_told_of_all() -> None:
    known = measured("a", np.arange(4.0))
    beyond = known._replace(name="b", mean=None, std=None, rms=None)
    assert together([known, beyond])[3:5] == (None, None)
    # of one without a finite element there is nothing to tell
    assert together([known, measured("b", np.full(4, np.nan))]).mean == 1.5


def test_that_a_histogram_is_of_a_sample_is_said() -> None:
    whole = measured("w", RANDOM.normal(size=50))
    assert whole.histogram is not None
    sample = whole._replace(histogram=whole.histogram._replace(of=10))
    assert "of samples" in shown(sample)
    assert "of samples" not in shown(whole)
