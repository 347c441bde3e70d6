"""The statistics of the tensors of a file, as every reporter gets them: plain values.

They are of the finite elements; NaN and infinities are counted apart. ``docs/json.md`` says which
are exact and which are from a sample.
"""

from __future__ import annotations

from typing import NamedTuple


class Histogram(NamedTuple):
    """How often values lie in bins of one width between two edges.

    Attributes:
        lo, hi: the outermost edges; a value at ``hi`` is in the last bin.
        counts: of each bin.
        of: how many elements it was made of, if these are a sample; ``None`` if all were counted.
        below, above: how many values are outside of the edges.
    """

    lo: float
    hi: float
    counts: tuple[int, ...]
    of: int | None = None
    below: int = 0
    above: int = 0


class TensorStatistics(NamedTuple):
    """The statistics of one tensor.

    Attributes:
        name: as in the rest of the result: the model's own where that is known.
        dtype, shape: as stored, by torch's names.
        group: the part of the model (``encoder``); of a model that is not known the name of the
            stack of blocks, ``None`` outside of stacks.
        block: the number of its block; ``None`` if it is in none.
        role: its name within the block, or the whole name outside of blocks.
        elements: how many there are.
        min, max, mean, std, rms: of the finite elements; ``std`` is of the population. ``None``
            where there are none, where the type has no order or is not read as numbers, or beyond
            float64.
        zeros, nan, infinite: how many elements are so; of a complex number each part counts.
            ``None`` where they were not counted.
        histogram: of the finite elements; ``None`` where there is none.
        unmeasured: why something is ``None``; ``None`` where nothing is.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    group: str | None
    block: int | None
    role: str
    elements: int
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    rms: float | None = None
    zeros: int | None = None
    nan: int | None = None
    infinite: int | None = None
    histogram: Histogram | None = None
    unmeasured: str | None = None


class BlockHistogram(NamedTuple):
    """The values of all tensors of a block, or of a group's tensors outside of blocks.

    Attributes:
        group, block: as those of its tensors.
        tensors, elements: how many were counted.
        histogram: its counts are of elements: those of a sample are scaled. Bins are the same for
            all blocks of a file, and for both files of a comparison.
    """

    group: str | None
    block: int | None
    tensors: int
    elements: int
    histogram: Histogram


class Statistics(NamedTuple):
    """The statistics of a file.

    Attributes:
        tensors: in the order of the file.
        blocks: by group, those of a group by number, what is in no block first; at most 1,024.
    """

    tensors: tuple[TensorStatistics, ...]
    blocks: tuple[BlockHistogram, ...] = ()
