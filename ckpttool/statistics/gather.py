"""From what was measured of tensors to the statistics of a file, or of two with the same bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from ckpttool.files import collecting
from ckpttool.findings.statistics import BlockHistogram, Histogram, Statistics, TensorStatistics
from ckpttool.statistics.bins import (
    NOTHING,
    Edges,
    Sampled,
    bins_for,
    counts_of_each,
    counts_of_rows,
    shared_edges,
)

if TYPE_CHECKING:
    from ckpttool.models.places import TensorPlace
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.measures import Measured

#: Blocks of a file that have a histogram: a file may have as many as tensors.
MOST_BLOCKS = 1024


class Seen(NamedTuple):
    """A tensor of a file.

    Attributes:
        name: as reports call it.
        info: as it is stored.
        place: where it stands in the model.
        measured: what was measured; ``None`` for nothing.
        why_not: why it was not read; ``None`` if it was.
    """

    name: str
    info: TensorInfo
    place: TensorPlace
    measured: Measured | None
    why_not: str | None = None


def statistics_of(seen: Sequence[Seen]) -> Statistics:
    """Return the statistics of a file."""
    return statistics_of_sides((seen,))[0]


def statistics_of_sides(sides: Sequence[Sequence[Seen]]) -> tuple[Statistics, ...]:
    """Return the statistics of each file; tensors of one name have the same bins in all of them."""
    with collecting.paused():  # some objects per tensor, and none of them in a cycle
        return _statistics_of_sides(sides)


def _statistics_of_sides(sides: Sequence[Sequence[Seen]]) -> tuple[Statistics, ...]:
    edges = _edges_of(sides)
    rows = {key: row for row, key in enumerate(_blocks_of(sides))}
    samples = [[_sampled(one, edges, rows) for one in side] for side in sides]
    shared = shared_edges([one for side in samples for one in side])
    return tuple(
        Statistics(
            _tensors(side, theirs), () if shared is None else _blocks(side, theirs, shared, rows)
        )
        for side, theirs in zip(sides, samples)
    )


def _blocks_of(sides: Sequence[Sequence[Seen]]) -> list[tuple[str | None, int | None]]:
    """Return the blocks by group, those of a group by number, what is in none before them."""
    places = dict.fromkeys((one.place.group, one.place.block) for side in sides for one in side)
    groups = {group: at for at, group in enumerate(dict.fromkeys(group for group, _ in places))}
    ordered = sorted(places, key=lambda key: (groups[key[0]], -1 if key[1] is None else key[1]))
    return ordered[:MOST_BLOCKS]


def _edges_of(sides: Sequence[Sequence[Seen]]) -> Mapping[str, Edges]:
    found: dict[str, Edges] = {}
    for one in (one for side in sides for one in side):
        measured = one.measured
        if measured is None or measured.minimum is None or measured.maximum is None:
            continue
        lo, hi = float(measured.minimum), float(measured.maximum)
        known = found.get(one.name)
        found[one.name] = Edges(min(lo, known.lo), max(hi, known.hi)) if known else Edges(lo, hi)
    return found


def _sampled(
    one: Seen, edges: Mapping[str, Edges], rows: Mapping[tuple[str | None, int | None], int]
) -> Sampled:
    measured, own = one.measured, edges.get(one.name)
    if measured is None or own is None or not measured.sample.size:
        return NOTHING
    finite = one.info.numel - measured.nan - measured.infinite
    row = rows.get((one.place.group, one.place.block), -1)
    return Sampled(measured.sample, own.lo, own.hi, finite / measured.sample.size, row)


def _tensors(side: Sequence[Seen], samples: Sequence[Sampled]) -> tuple[TensorStatistics, ...]:
    counts = counts_of_each(samples, bins_for(len(side)))
    return tuple(
        _tensor(one, sample, its_counts) for one, sample, its_counts in zip(side, samples, counts)
    )


def _tensor(one: Seen, sample: Sampled, counts: tuple[int, ...]) -> TensorStatistics:
    info, measured = one.info, one.measured
    head = (one.name, info.dtype.name, info.shape, *one.place, info.numel)
    if measured is None:
        why = one.why_not or f"{info.dtype.name} is not read as numbers"
        return TensorStatistics(*head, unmeasured=why)
    histogram = None
    if len(sample.values):
        of = None if measured.stride == 1 else len(sample.values)
        histogram = Histogram(sample.lo, sample.hi, counts, of)
    return TensorStatistics(
        *head,
        measured.minimum,
        measured.maximum,
        measured.mean,
        measured.std,
        measured.rms,
        measured.zeros,
        measured.nan,
        measured.infinite,
        histogram,
        _why_incomplete(info, measured),
    )


def _why_incomplete(info: TensorInfo, measured: Measured) -> str | None:
    if not info.numel:
        return "it has no elements"
    if info.dtype.kind == "complex":
        return "complex numbers have no order; zeros, NaN and infinities are counted by parts"
    if measured.minimum is None:
        return "no element is finite"
    if None in (measured.mean, measured.std, measured.rms):
        return "a sum is beyond float64"
    return None if len(measured.sample) else "no element of the sample is finite"


def _blocks(
    side: Sequence[Seen],
    samples: Sequence[Sampled],
    edges: Edges,
    rows: Mapping[tuple[str | None, int | None], int],
) -> tuple[BlockHistogram, ...]:
    counts = counts_of_rows(samples, edges, len(rows))
    tensors, elements, values = ([0] * len(rows) for _ in range(3))
    whole = [True] * len(rows)
    for one, sample in zip(side, samples):
        if sample.row >= 0 and one.measured is not None:
            tensors[sample.row] += 1
            elements[sample.row] += one.info.numel - one.measured.nan - one.measured.infinite
            values[sample.row] += len(sample.values)
            whole[sample.row] = whole[sample.row] and one.measured.stride == 1
    return tuple(
        BlockHistogram(
            group,
            block,
            tensors[row],
            elements[row],
            Histogram(
                *edges,
                tuple(counts[row][1:-1]),
                None if whole[row] else values[row],
                counts[row][0],
                counts[row][-1],
            ),
        )
        for (group, block), row in rows.items()
        if tensors[row]
    )
