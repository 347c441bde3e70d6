"""Reading the statistics of tensors in a stored result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings.statistics import (
    BlockHistogram,
    Histogram,
    Statistics,
    TensorStatistics,
)

if TYPE_CHECKING:
    from ckpttool.reports.machine.fields import Fields


def read_statistics(fields: Fields) -> Statistics:
    """Return the statistics of a file."""
    blocks = tuple(_block(block) for block in fields.inners("blocks"))
    bins = {(one.histogram.lo, one.histogram.hi, len(one.histogram.counts)) for one in blocks}
    if len(bins) > 1:
        fields.wrong("blocks", "histograms with the same bins")
    return Statistics(tuple(_tensor(tensor) for tensor in fields.inners("tensors")), blocks)


def _tensor(fields: Fields) -> TensorStatistics:
    return TensorStatistics(
        fields.text("name"),
        fields.text("dtype"),
        fields.wholes("shape"),
        fields.maybe("group", fields.text),
        fields.maybe("block", fields.whole),
        fields.text("role"),
        fields.whole("elements"),
        fields.maybe("min", fields.number),
        fields.maybe("max", fields.number),
        fields.maybe("mean", fields.number),
        fields.maybe("std", fields.number),
        fields.maybe("rms", fields.number),
        fields.maybe("zeros", fields.whole),
        fields.maybe("nan", fields.whole),
        fields.maybe("infinite", fields.whole),
        fields.maybe("histogram", lambda name: _histogram(fields.inner(name))),
        fields.maybe("unmeasured", fields.text),
    )


def _block(fields: Fields) -> BlockHistogram:
    return BlockHistogram(
        fields.maybe("group", fields.text),
        fields.maybe("block", fields.whole),
        fields.whole("tensors"),
        fields.whole("elements"),
        _histogram(fields.inner("histogram")),
    )


def _histogram(fields: Fields) -> Histogram:
    counts = fields.wholes("counts")
    if not counts or min(counts) < 0:
        fields.wrong("counts", "at least one count, and none below zero")
    return Histogram(
        fields.number("lo"),
        fields.number("hi"),
        counts,
        fields.maybe("of", fields.whole),
        fields.whole("below"),
        fields.whole("above"),
    )
