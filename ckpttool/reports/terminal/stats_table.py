"""The statistics of tensors as a table: extremes, mean, deviation, zeros, and a small histogram.

Tensors of blocks that are alike are one line: its numbers are those of all of them together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Sequence, Tuple

from rich.text import Text

from ckpttool.findings.text import digits_of
from ckpttool.reports.terminal.cells import columns, padded
from ckpttool.reports.terminal.page import HEIGHTS, styled
from ckpttool.reports.terminal.size_table import percent_of

if TYPE_CHECKING:
    from ckpttool.findings.statistics import Histogram, TensorStatistics
    from ckpttool.reports.terminal.page import Page

_CELLS = 12  # of a histogram
_NARROWEST = 1e-9  # cells of a bin that has a width
_NUMBER = len("-1.23e-05")
_DIGITS = 3  # of a number, if these tell it from others of its line
_WIDEST = 60  # columns of names; a longer name moves only the rest of its own line
_SAMPLES = "histograms of large tensors are of samples; all numbers are of all elements"
_HEADS = ("min", "max", "mean", "std", "zeros")


class StatsRow(NamedTuple):
    """A line of the table: a module, or the tensors of one name with their statistics."""

    depth: int
    name: str
    what: str
    found: Together | None

    @property
    def indented(self) -> str:
        """The name at its depth."""
        return "  " * self.depth + self.name


class Together(NamedTuple):
    """The statistics of several tensors taken together.

    ``nan`` and ``infinite`` are numbers of elements; ``unmeasured`` says why there is none, and
    ``sampled`` whether ``counts`` are of a sample.
    """

    elements: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    zeros: int | None
    nan: int
    infinite: int
    counts: Tuple[float, ...]
    unmeasured: str | None
    sampled: bool


def together(tensors: Sequence[TensorStatistics]) -> Together:
    """Return the statistics of several tensors as if they were one."""
    known = [one for one in tensors if one.min is not None and one.max is not None]
    zeros = [one.zeros for one in tensors]
    mean, std = _moments(tensors)
    return Together(
        sum(one.elements for one in tensors),
        min((one.min for one in known if one.min is not None), default=None),
        max((one.max for one in known if one.max is not None), default=None),
        mean,
        std,
        None if None in zeros else sum(number or 0 for number in zeros),
        sum(one.nan or 0 for one in tensors),
        sum(one.infinite or 0 for one in tensors),
        tuple(_counts([one for one in tensors if one.histogram is not None])),
        next((one.unmeasured for one in tensors if one.unmeasured), None),
        any(one.histogram is not None and one.histogram.of is not None for one in tensors),
    )


def _moments(tensors: Sequence[TensorStatistics]) -> tuple[float | None, float | None]:
    """Return the mean and the deviation of all elements, by those of each tensor."""
    known = [
        (one.elements - (one.nan or 0) - (one.infinite or 0), one.mean, one.std)
        for one in tensors
        if one.mean is not None and one.std is not None
    ]
    number = sum(elements for elements, _, _ in known)
    # one that is beyond float64 is not left out of a sum that is said to be of all
    if not number or len(known) < sum(one.min is not None for one in tensors):
        return None, None
    # by the largest of them, so that no square overflows or vanishes
    scale = max(max(abs(own), std) for _, own, std in known) or 1.0
    parts = [(elements / number, own / scale, std / scale) for elements, own, std in known]
    mean = math.fsum(part * own for part, own, _ in parts)
    square = math.fsum(part * (std**2 + (own - mean) ** 2) for part, own, std in parts)
    return scale * mean, scale * math.sqrt(square)


def _counts(tensors: Sequence[TensorStatistics]) -> List[float]:
    """Return how many elements lie in each cell between the least and the largest edge."""
    histograms = [one.histogram for one in tensors if one.histogram is not None]
    if not histograms:
        return []
    lo, hi = min(one.lo for one in histograms), max(one.hi for one in histograms)
    cells = [0.0] * _CELLS
    for one, histogram in zip(tensors, histograms):
        scale = one.elements / histogram.of if histogram.of else 1.0
        for place, number in _spread(histogram, lo, hi):
            cells[place] += scale * number
    return cells


def _spread(histogram: Histogram, lo: float, hi: float) -> Iterator[tuple[int, float]]:
    """Yield the cells that the bins lie in, with the part of what is in a bin that is theirs."""
    # halves, since the distance of two numbers may be beyond float64
    width = (hi / 2 - lo / 2) / _CELLS
    if not width:
        yield _CELLS // 2, sum(histogram.counts)
        return
    first, last = ((edge / 2 - lo / 2) / width for edge in (histogram.lo, histogram.hi))
    step = (last - first) / len(histogram.counts)
    for number, counted in enumerate(histogram.counts):
        begin, end = first + number * step, first + (number + 1) * step
        if end - begin < _NARROWEST:  # of one value
            yield min(int(begin), _CELLS - 1), counted
            continue
        for cell in range(int(begin), min(math.ceil(end), _CELLS)):
            yield cell, counted * (min(end, cell + 1) - max(begin, cell)) / (end - begin)


def write_stats(page: Page, rows: Sequence[StatsRow]) -> None:
    """Write the rows; where columns have no room, the numbers stand below each name."""
    _write_rows(page, rows)
    if any(row.found is not None and row.found.sampled for row in rows):
        page.line(styled(_SAMPLES, "dim"), 2)


def _write_rows(page: Page, rows: Sequence[StatsRow]) -> None:
    names = min(max(columns(row.indented) for row in rows), _WIDEST)
    what = max(len(row.what) for row in rows)
    width = 2 + names + 2 + what + (2 + _NUMBER) * 4 + 2 + len("100.0 %") + 2 + _CELLS
    if page.width is not None and page.width < width:
        for row in rows:
            _write_narrow(page, row)
        return
    heads = [head.rjust(_NUMBER) for head in _HEADS[:-1]] + [_HEADS[-1].rjust(len("100.0 %"))]
    page.line(styled(f"{' ' * names}  {' ' * what}  {'  '.join(heads)}  histogram", "dim"), 2)
    for row in rows:
        text = styled(padded(row.indented, names), "" if row.found else "bold")
        text.append(f"  {row.what.ljust(what)}")
        if row.found is not None:
            text.append("  ").append_text(_cells(page, row.found))
        page.line(text, 2)


def _cells(page: Page, found: Together) -> Text:
    if found.min is None and found.unmeasured:
        return Text(found.unmeasured, "dim")
    numbers = [one.rjust(_NUMBER) for one in _numbers(found)]
    text = Text("  ".join([*numbers, _zeros(found).rjust(len("100.0 %"))]))
    text.append(f"  {_spark(page, found.counts).ljust(_CELLS)}", "cyan")
    return text.append_text(_wrong(found))


def _write_narrow(page: Page, row: StatsRow) -> None:
    indent = 2 + 2 * row.depth
    page.line(styled(row.indented, "" if row.found else "bold").append(f"  {row.what}"), 2, 6)
    found = row.found
    if found is None:
        return
    if found.min is None and found.unmeasured:
        page.line(styled(found.unmeasured, "dim"), indent + 2)
        return
    # first, so that it is not wrapped
    text = styled(f"{_spark(page, found.counts)}  ", "cyan")
    low, high, mean, std = _numbers(found)
    text.append(f"{low} to {high}  mean {mean}  std {std}")
    if found.zeros:
        text.append(f"  zeros {_zeros(found)}")
    page.line(text.append_text(_wrong(found)), indent + 2)


def _numbers(found: Together) -> List[str]:
    """Return the least, the largest, the mean and the deviation, in digits that tell them apart."""
    for digits in range(digits_of(found.min, found.max, _DIGITS), _DIGITS - 1, -1):
        texts = [_number(one, digits) for one in (found.min, found.max, found.mean)]
        if max(map(len, texts)) <= _NUMBER:
            break
    return [*texts, _number(found.std, _DIGITS)]


def _number(number: float | None, digits: int) -> str:
    return "-" if number is None else f"{number:.{digits}g}"


def _zeros(found: Together) -> str:
    if found.zeros is None or not found.elements:
        return "-"
    return percent_of(found.zeros / found.elements)


def _wrong(found: Together) -> Text:
    """Return what no weight should hold."""
    numbers = ((found.nan, "NaN"), (found.infinite, "infinite"))
    told = [f"{number:,} {what}" for number, what in numbers if number]
    return Text(f"  {', '.join(told)}", "bold red") if told else Text()


def _spark(page: Page, counts: Sequence[float]) -> str:
    most = max(counts, default=0.0)
    if not most:
        return ""
    steps = len(HEIGHTS)
    return "".join(
        page.sign(HEIGHTS[math.ceil(steps * count / most) - 1]) if count else " "
        for count in counts
    )
