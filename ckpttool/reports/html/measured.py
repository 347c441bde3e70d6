"""What the statistics of a file give its page: the map, histograms, the tree, the table."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, Mapping, Sequence

from ckpttool.findings.text import digits_of
from ckpttool.reports.html import histograms, tree_map
from ckpttool.reports.html.heat_map import Measure, Point, Value
from ckpttool.reports.html.shown import Drawn, name, number, shape, whole
from ckpttool.reports.html.tensors import Column, Row

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage
    from ckpttool.findings.statistics import (
        BlockHistogram,
        Histogram,
        Statistics,
        TensorStatistics,
    )

#: What the map of a file can show.
MEASURES = (
    Measure("rms", "RMS", "The root mean square of each tensor's values."),
    Measure("max", "Largest magnitude", "The largest absolute value of each tensor."),
)
#: The columns of the table after the name.
COLUMNS = (
    Column("group"),
    Column("dtype"),
    Column("shape"),
    Column("parameters", numeric=True),
    Column("min", numeric=True),
    Column("max", numeric=True),
    Column("mean", numeric=True),
    Column("std", numeric=True),
    Column("RMS", numeric=True),
    Column("zeros", numeric=True),
    Column("NaN", numeric=True),
    Column("inf", numeric=True),
)
_NO_GROUP = "tensors"
_DIGITS = 4  # of a number, if these tell it from others of its row


def group_of(one: TensorStatistics) -> str:
    """Return the name of a tensor's group; of one in none, a word for such tensors."""
    return one.group or _NO_GROUP


def values_of(one: TensorStatistics) -> dict[str, Value]:
    """Return the numbers of a tensor by measure; a word where some are not finite."""
    if one.nan:
        return {"rms": "NaN", "max": "NaN"}
    if one.infinite:
        return {"rms": "inf", "max": "inf"}
    ends = [abs(end) for end in (one.min, one.max) if end is not None]
    return {"rms": _real(one.rms), "max": _real(max(ends, default=None))}


def points(statistics: Statistics, anchors: Mapping[str, str]) -> list[Point]:
    """Return all tensors of a file for its map."""
    return [
        Point(group_of(one), one.block, one.role, anchors.get(one.name), values_of(one))
        for one in statistics.tensors
    ]


def missing_points(statistics: Statistics, coverage: Coverage | None) -> Iterator[Point]:
    """Yield the tensors that the model has and the file lacks, where their place is seen.

    It is seen by the others of their stack, whose names are ``stack.NUMBER.role``.
    """
    if coverage is None:
        return
    stacks = _stacks(statistics)
    for group, covered in coverage.groups.items():
        for missing in covered.missing:
            for stack in stacks.get(group, ()):
                if missing.startswith(stack):
                    number, _, role = missing[len(stack) :].partition(".")
                    if re.fullmatch("[0-9]{1,6}", number) and role:
                        yield Point(
                            group, int(number), role, None, {"rms": "missing", "max": "missing"}
                        )
                    break


def _stacks(statistics: Statistics) -> dict[str, list[str]]:
    """Return what stands before the number of a block in the names of each group."""
    found: dict[str, dict[str, None]] = {}
    for one in statistics.tensors:
        ending = f"{one.block}.{one.role}"
        if one.block is not None and one.name.endswith(ending):
            found.setdefault(group_of(one), {})[one.name[: -len(ending)]] = None
    return {group: list(stacks) for group, stacks in found.items()}


# --- the table ---------------------------------------------------------------------------


def row_maker(statistics: Statistics, prefix: str) -> Callable[[int], Row]:
    """Return the function that makes the row of a tensor, by its number."""
    tensors = statistics.tensors
    return lambda at: _row(tensors[at], anchor_of(prefix, at))


def anchor_of(prefix: str, at: int) -> str:
    """Return the anchor of a tensor's row."""
    return f"{prefix}-t{at}"


def _row(one: TensorStatistics, anchor: str) -> Row:
    return Row(name(one.name), cells_of(one), picture_of(one.histogram), anchor)


def cells_of(one: TensorStatistics) -> tuple[str, ...]:
    """Return the texts of a tensor's row, in the order of :data:`COLUMNS`."""
    block = "" if one.block is None else f" {one.block}"
    digits = digits_of(one.min, one.max, _DIGITS)
    return (
        f"{name(one.group)}{block}" if one.group else "",
        one.dtype,
        shape(one.shape),
        whole(one.elements),
        *(number(value, digits) for value in (one.min, one.max, one.mean)),
        *(number(value, _DIGITS) for value in (one.std, one.rms)),
        *(whole(value) for value in (one.zeros, one.nan, one.infinite)),
    )


def picture_of(histogram: Histogram | None) -> Drawn:
    """Return the small histogram of a row."""
    return Drawn("") if histogram is None else histograms.small(bins_of(histogram))


# --- histograms --------------------------------------------------------------------------


def bins_of(histogram: Histogram) -> histograms.Bins:
    """Return a histogram as the pictures take it."""
    return histograms.Bins(
        histogram.lo,
        histogram.hi,
        histogram.counts,
        histogram.below,
        histogram.above,
        histogram.of is not None,
    )


def blocks_of(sides: Sequence[Statistics]) -> Iterator[histograms.Block]:
    """Yield the blocks of the first side, each with those of the others, as far as they have it."""
    others = [{(one.group, one.block): one for one in side.blocks} for side in sides[1:]]
    for block in sides[0].blocks if sides else ():
        alike = [known.get((block.group, block.block)) for known in others]
        yield histograms.Block(
            block_label(block),
            f"{block.elements:,} values",
            tuple(bins_of(one.histogram) for one in (block, *alike) if one is not None),
        )


def block_label(block: BlockHistogram) -> str:
    """Return the name of a block."""
    group = block.group or _NO_GROUP
    return f"{group} {block.block}" if block.block is not None else f"{group}, outside of blocks"


# --- the tree ----------------------------------------------------------------------------


def leaves_of(statistics: Statistics | None, coverage: Coverage | None) -> list[tree_map.Leaf]:
    """Return the parts of the model and where they come from.

    Parts are blocks, and what lies outside of them; without statistics, groups.
    """
    groups = coverage.groups if coverage is not None else {}
    unfilled = [
        tree_map.Leaf(
            group, "missing", one.expected - one.matched, max(0, one.parameters - one.covered)
        )
        for group, one in groups.items()
    ]
    if statistics is None:
        filled = [
            tree_map.Leaf(group, "file", one.matched, one.covered) for group, one in groups.items()
        ]
        return [*filled, *unfilled]
    unexpected = frozenset(coverage.unexpected if coverage is not None else ())
    wrong = {one.name for group in groups.values() for one in group.mismatched}
    held = (one for one in statistics.tensors if one.name not in wrong)
    return [*_summed(held, unexpected), *unfilled]


def _summed(
    tensors: Iterable[TensorStatistics], unexpected: frozenset[str]
) -> Iterator[tree_map.Leaf]:
    sums: dict[tuple[str, str], list[int]] = {}
    for one in tensors:
        group = group_of(one)
        label = group if one.block is None else f"{group} {one.block}"
        origin = "unexpected" if one.name in unexpected else "file"
        both = sums.setdefault((label, origin), [0, 0])
        both[0] += 1
        both[1] += one.elements
    for (label, origin), (tensors_in_it, elements) in sums.items():
        yield tree_map.Leaf(label, origin, tensors_in_it, elements)


def _real(value: float | None) -> float | None:
    # a whole number would not be taken for a number of the map
    return None if value is None or math.isnan(value) else float(value)
