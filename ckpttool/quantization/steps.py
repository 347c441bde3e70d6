"""Whether numbers are those that codes stand for: within half a step of the numbers beside them.

Rounding a number to a code gives the nearest one, so the number lies between the middles to the
neighbours of its code, each multiplied by the scale. These are exact in float64. The outermost
codes reach half a step further; with powers of two for scales they reach to the next one, because
the conversion of the OCP specification (section 6.3) takes the scale from the exponent of the
largest number, and clips what the elements' type does not reach.
"""

from __future__ import annotations

from functools import lru_cache
from math import frexp
from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.quantization.codes import Box, numbers_of
from ckpttool.quantization.packed import is_exponent
from ckpttool.tensors.gather import fill

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from ckpttool.quantization.codes import Coded, CodeType
    from ckpttool.tensors.catalogue import TensorInfo

# Elements of a part, and those that are compared at once: a dozen arrays of float64 stay within
# some megabytes.
_PART, _STEP = 1 << 22, 1 << 16
# Columns of codes that are read at once of a transposed weight.
_COLUMNS = 64
_SMALL = 2.0**-90
# Of half a step, what float32 surely tells: its rounding is below 2 ** -12 of it.
_MARGIN = 1 - 2.0**-10
# A quotient, or a product with a reciprocal, in float32 is off by so much at most.
_SLACK = 2.0**-22


class Within(NamedTuple):
    """How numbers lie around their codes.

    Attributes:
        elements: how many were compared.
        outside: those that lie further away than half a step.
        first: the first of these, counted in row-major order of the numbers; ``None`` for none.
        farthest: the largest distance of these, in steps.
        rounded: those that are within half a step only if their quotient by the scale was rounded
            to their own type of 16 bits first.
        clipped: those beyond half a step from the outermost code that the format clips to it.
        some: whether a number is not zero, and whether one that a code stands for is not.
    """

    elements: int = 0
    outside: int = 0
    first: int | None = None
    farthest: float = 0.0
    rounded: int = 0
    clipped: int = 0
    some: tuple[bool, bool] = (False, False)

    @property
    def is_erased(self) -> bool:
        """Whether every number became zero, and not all are: no scale of theirs does that."""
        return self.some == (True, False)

    def merged(self, other: Within) -> Within:
        """Return this and what was found of other elements of the same weight."""
        firsts = [one.first for one in (self, other) if one.first is not None]
        return Within(
            self.elements + other.elements,
            self.outside + other.outside,
            min(firsts, default=None),
            max(self.farthest, other.farthest),
            self.rounded + other.rounded,
            self.clipped + other.clipped,
            (self.some[0] or other.some[0], self.some[1] or other.some[1]),
        )


class Region(NamedTuple):
    """Codes that are compared at once, and where the first of their numbers lies.

    ``at`` counts the elements of the weight in row-major order.
    """

    box: Box
    at: int


def parts(coded: Coded) -> list[range]:
    """Cut a weight into parts, of a few million elements each, for :func:`regions`."""
    number, size = coded.shape.numel, _PART
    if coded.transposed:  # strips of columns
        number = coded.shape.planes * -(-coded.shape.columns // _COLUMNS)
        size = max(1, _PART // max(1, _COLUMNS * coded.shape.rows))
    return [range(first, min(first + size, number)) for first in range(0, number, size)]


def regions(coded: Coded, part: range) -> Iterator[Region]:
    """Cut a part of a weight into regions whose numbers are, row by row, runs of the weight."""
    shape = coded.shape
    if not coded.transposed:
        for first in range(part.start, part.stop, _STEP):
            at = first
            for box in coded.boxes(first, min(_STEP, part.stop - first)):
                yield Region(box, at)
                at += box.height * box.width
        return
    height = _STEP // _COLUMNS
    strips = -(-shape.columns // _COLUMNS)
    for number in part:
        plane, strip = divmod(number, strips)
        left, right = strip * _COLUMNS, min((strip + 1) * _COLUMNS, shape.columns)
        for top in range(0, shape.rows, height):
            bottom = min(top + height, shape.rows)
            at = (plane * shape.columns + left) * shape.rows + top
            yield Region(Box(plane, top, bottom, left, right), at)


def compare(coded: Coded, original: TensorInfo, region: Region) -> Within:
    """Compare the numbers of a region with their codes.

    Nearly all are told by float32, with a margin that covers its rounding; the others are looked at
    with exact bounds.

    Args:
        coded: the weight.
        original: the numbers that it is said to be made of: floats, as many as it has.
        region: a part of it.

    Raises:
        CkpttoolError: one of the files cannot be read.
    """
    import numpy as np

    box = region.box
    numbers, codes = _numbers_at(coded, original, region), _codes(coded, box)
    with np.errstate(all="ignore"):
        near = np.take(_least(coded.kind), codes)
        for top, bottom, scales in coded.scales.pieces(box):
            size = np.abs(scales)
            # so small that float32 is not as exact: 0 leaves them to the exact bounds
            near[top:bottom] *= np.where(size < _SMALL, np.float32(0), size)
        if coded.factor is not None:
            near *= np.float32(coded.factor)
        decoded = coded.numbers(box)
        some = bool(numbers.any()), bool(decoded.any())
        distance = numbers - decoded
        np.abs(distance, out=distance)
        rows, columns = np.nonzero(~(distance < near))  # NaN among them
    if not len(rows):
        return Within(numbers.size, some=some)
    chosen = _Chosen(
        numbers[rows, columns].astype(np.float64),
        codes[rows, columns],
        *(
            np.zeros(len(rows)) if grid is None else grid.at(box, rows, columns).astype(np.float64)
            for grid in (coded.zeros, coded.scales)
        ),
    )
    found, wrong = _exactly(coded, original, chosen)
    if not found.outside:
        return found._replace(elements=numbers.size, some=some)
    if coded.transposed:
        places = region.at + columns * coded.shape.rows + rows
    else:
        places = region.at + rows * coded.shape.columns + columns
    return found._replace(elements=numbers.size, first=int(places[wrong].min()), some=some)


class _Chosen(NamedTuple):
    """Numbers, their codes, zero points and scales, one for each."""

    numbers: NDArray[Any]
    codes: NDArray[Any]
    zeros: NDArray[Any]
    scales: NDArray[Any]


def _exactly(
    coded: Coded, original: TensorInfo, chosen: _Chosen
) -> tuple[Within, NDArray[np.bool_]]:
    """Return how numbers lie around their codes, and which of them are outside."""
    import numpy as np

    numbers, codes, shift, scale = chosen
    encoding = original.dtype.encoding
    with np.errstate(all="ignore"):
        if coded.factor is not None:
            scale = scale * coded.factor
        low, high = ((table[codes] - shift) * scale for table in _bounds(coded.kind))
        low, high = np.minimum(low, high), np.maximum(low, high)
        size = np.abs(numbers)
        beyond = np.maximum(low - numbers, numbers - high)
        # of an infinite scale no code is a number, and the bounds of 0 would reach everywhere
        finite = np.isfinite(numbers) & np.isfinite(scale)
        fine = (beyond <= size * _SLACK) & finite
        # what is no number is within a code that is none, and infinity likewise
        fine |= np.isnan(numbers) & np.isnan(low)
        fine |= np.isinf(numbers) & ((numbers == low) | (numbers == high))
        rounded = clipped = 0
        if original.dtype.bits == 16 and encoding is not None:
            half = 2.0 ** -(encoding.mantissa + 1)
            reach = size if coded.zeros is None else size + np.abs(numbers + shift * scale)
            again = ~fine & (beyond <= reach * (half + _SLACK)) & finite
            rounded = int(np.count_nonzero(again))
            fine |= again
        if is_exponent(coded.scales.dtype):
            top = _outermost(coded)[codes] * scale
            again = ~fine & (size < np.abs(top)) & (np.sign(numbers) == np.sign(top))
            clipped = int(np.count_nonzero(again))
            fine |= again
        wrong = ~fine
        outside = int(np.count_nonzero(wrong))
        if not outside:
            return Within(rounded=rounded, clipped=clipped), wrong
        steps = 0.5 + (beyond / (high - low))[wrong]
        farthest = float(np.where(np.isnan(steps), np.inf, steps).max())
    return Within(outside=outside, farthest=farthest, rounded=rounded, clipped=clipped), wrong


def _numbers_at(coded: Coded, original: TensorInfo, region: Region) -> NDArray[Any]:
    """Return the numbers of a region, laid out as the codes are."""
    import numpy as np

    from ckpttool.tensors.numpy_arrays import numbers

    box, width = region.box, original.dtype.itemsize
    lines, length, line = box.height, box.width, coded.shape.columns
    if coded.transposed:
        lines, length, line = box.width, box.height, coded.shape.rows
    raw = memoryview(bytearray(lines * length * width))
    if length == line:
        fill(original, region.at * width, raw)
    else:
        for place in range(lines):
            part = raw[place * length * width : (place + 1) * length * width]
            fill(original, (region.at + place * line) * width, part)
    values = numbers(original.dtype, raw)
    assert values is not None  # noqa: S101 (the caller looked)
    found: NDArray[Any] = values.reshape(lines, length)
    return np.ascontiguousarray(found.T) if coded.transposed else found


def _codes(coded: Coded, box: Box) -> NDArray[Any]:
    """Return the codes of a box, each as a whole number from 0 on."""
    import numpy as np

    raw = coded.bytes_of(box)
    if coded.kind.bits == 8:
        return raw
    halves = np.stack([raw & 15, raw >> 4], axis=2).reshape(box.height, -1)
    skip = box.left % coded.kind.in_a_byte
    return halves[:, skip : skip + box.width]


@lru_cache(maxsize=None)
def _ordered(kind: CodeType) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the number of each code, and all finite ones in order."""
    import numpy as np

    values = numbers_of(kind).astype(np.float64)
    if kind.bits == 4:
        values = values[:16, 0]  # the lower half of the bytes up to 15
    return values, np.unique(values[np.isfinite(values)])


@lru_cache(maxsize=None)
def _bounds(kind: CodeType) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the middles below and above each code; NaN for a code that is no number."""
    import numpy as np

    values, ordered = _ordered(kind)
    middles = (ordered[1:] + ordered[:-1]) / 2
    first, last = ordered[:2], ordered[-2:]
    edges = np.concatenate(
        [[first[0] - (first[1] - first[0]) / 2], middles, [last[1] + (last[1] - last[0]) / 2]]
    )
    place = np.searchsorted(ordered, np.where(np.isfinite(values), values, 0))
    low, high = edges[place], edges[place + 1]
    infinite = np.isinf(values)
    low = np.where(infinite, np.where(values > 0, edges[-1], -np.inf), low)
    high = np.where(infinite, np.where(values > 0, np.inf, edges[0]), high)
    nan = np.isnan(values)
    return np.where(nan, np.nan, low), np.where(nan, np.nan, high)


@lru_cache(maxsize=None)
def _least(kind: CodeType) -> NDArray[np.float32]:
    """Return by how much a number may differ from each code at least, less a margin."""
    import numpy as np

    values, _ = _ordered(kind)
    low, high = _bounds(kind)
    with np.errstate(all="ignore"):
        least = np.minimum(values - low, high - values) * _MARGIN
    return np.where(np.isfinite(least), least, 0).astype(np.float32)


def _outermost(coded: Coded) -> NDArray[Any]:
    """Return for the outermost codes the power of two that numbers stay below; 0 for others."""
    import numpy as np

    values, ordered = _ordered(coded.kind)
    power = 2.0 ** frexp(ordered[-1])[1]
    return np.where(np.abs(values) == ordered[-1], np.sign(values) * power, 0.0)
