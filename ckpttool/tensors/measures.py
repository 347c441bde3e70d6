"""Mean, deviation, zeros and a sample of a tensor's elements, beside its moments.

The numbers are of all elements: sums are of float32 in rows, added up in float64, or of float64
where that would lose digits. The sample is of elements at equal distances, whatever pieces a tensor
is read in, and is for histograms.
"""

from __future__ import annotations

from math import gcd, hypot, isfinite, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpttool.tensors.numpy_arrays import numbers
from ckpttool.tensors.statistics import (
    ROW,
    SAFE_FLOAT32,
    SAFE_FLOAT64,
    Moments,
    Statistics,
    of_each,
    within,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

# Elements of a sample: of one tensor, and of all of them together.
_OF_TENSOR = 4096
_OF_ALL = 1 << 22

# Elements in float64 at once, so that they stay in the caches.
_WIDE = 1 << 16
# The quick way has the mean square and the squared mean to 7 digits. Their difference has one less
# where it is so small a part of them, and the way in float64 is taken for smaller ones.
_LEAST_PART = 1 / 16


class Measured(NamedTuple):
    """All that is measured of a tensor.

    Attributes:
        minimum, maximum, rms, nan, infinite: as in :class:`ckpttool.tensors.statistics.Moments`.
        mean, std: of the finite elements; ``std`` is of the population. ``None`` without a finite
            value, for complex numbers, and beyond float64.
        zeros: how many elements are zero, of whatever sign.
        sample: the finite ones among elements at equal distances; empty for complex numbers.
        stride: that distance: of 1, all of them are in the sample.
    """

    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    rms: float | None
    zeros: int
    nan: int
    infinite: int
    sample: NDArray[Any]
    stride: int


def limit_for(tensors: int) -> int:
    """Return how many elements of each of so many tensors make its sample, at most."""
    return min(_OF_TENSOR, max(_OF_ALL // max(tensors, 1), 1))


def stride_for(elements: int, limit: int) -> int:
    """Return the distance between elements of which there are at most ``limit``."""
    stride = -(-elements // limit) or 1
    # Without a common divisor with any axis: the sample must not be of a few columns.
    while gcd(stride, elements) > 1:
        stride += 1
    return stride


class Measures(Moments):
    """Everything that is measured of one tensor, piece by piece.

    Args:
        dtype: of the elements.
        stride: the distance between the elements of the sample.
    """

    def __init__(self, dtype: DType, stride: int) -> None:
        super().__init__(dtype)
        self._stride = stride
        self._skip = 0
        self._sample: list[NDArray[Any]] = []
        self._mean = 0.0
        self._spread = 0.0  # the norm of what differs from the mean
        self._zeros = 0

    @property
    def measured(self) -> Measured:
        """What was measured so far."""
        minimum, maximum, rms, nan, infinite = self.statistics
        known = minimum is not None and isfinite(self._mean)
        spread = known and isfinite(self._spread)
        return Measured(
            minimum,
            maximum,
            self._mean if known else None,
            self._spread / sqrt(self._finite) if spread else None,
            rms,
            self._zeros,
            nan,
            infinite,
            np.concatenate(self._sample) if self._sample else np.empty(0, np.float32),
            self._stride,
        )

    def add_at(self, first: int, raw: memoryview) -> None:
        """Add elements that need not follow those before; ``first`` is the place of the first."""
        self._skip = -first % self._stride
        self.add(raw)

    def merge(self, later: Measures) -> None:
        """Add what was measured of other elements of the tensor."""
        if later.minimum is not None and later.maximum is not None:
            self._widen(later.minimum, later.maximum)
            self._join(later._finite, later._mean, later._spread)
        self._finite += later._finite
        self._norm = hypot(self._norm, later._norm)
        self.nan += later.nan
        self.infinite += later.infinite
        self._zeros += later._zeros
        self._sample += later._sample

    def _add(self, block: NDArray[Any]) -> None:
        if self._dtype.kind != "complex":
            chosen = block[self._skip :: self._stride]
            if chosen.size:
                self._sample.append(_finite(chosen))
            self._skip = (self._skip - block.size) % self._stride
        super()._add(block)

    def _add_finite(self, block: NDArray[Any], low: float, high: float, norm: float) -> None:
        if low <= 0 <= high:
            self._zeros += _zeros_in(block)
        if low == high:
            self._join(block.size, float(low), 0.0)
            return
        quick = _quickly(block, max(abs(low), abs(high)), norm)
        if quick is not None:
            self._join(block.size, *quick)
            return
        scale = _scale_for(max(abs(low), abs(high)))
        for start in range(0, block.size, _WIDE):
            part = block[start : start + _WIDE]
            mean, spread = _mean_and_spread(part, scale)
            self._join(part.size, mean * scale, spread * scale, start)

    def _join(self, count: int, mean: float, spread: float, more: int = 0) -> None:
        """Add mean and spread of further elements; ``more`` of this block are added already."""
        before = self._finite + more
        total = before + count
        # Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        # variances", 1979; halves, since a difference may be beyond float64
        apart = 2 * (mean / 2 - self._mean / 2) if before else 0.0
        self._mean = self._mean * (before / total) + mean * (count / total)
        between = apart * sqrt(before / total * count)
        self._spread = hypot(self._spread, spread, between)


def measured_each(
    dtype: DType, raw: memoryview, number: int, limit: int
) -> tuple[list[Statistics], list[Measured]]:
    """Measure small tensors of one type and size, which lie end to end in ``raw``.

    Arguments and the first result are those of :func:`ckpttool.tensors.statistics.of_each`.
    ``limit`` is how many elements of each make its sample.
    """
    statistics = of_each(dtype, raw, number)
    block = numbers(dtype, raw)
    assert block is not None  # noqa: S101 (the caller looked)
    rows = block.reshape(number, -1)
    wide = rows.astype(np.float64)
    zeros = (rows.shape[1] - np.count_nonzero(rows, axis=1)).tolist()
    is_complex = dtype.kind == "complex"
    stride = stride_for(rows.shape[1], limit)
    sample = np.array(rows[:, :0] if is_complex else rows[:, ::stride])  # raw is used again
    low, high = wide.min(axis=1), wide.max(axis=1)
    mean = wide.mean(axis=1)
    wide -= mean[:, np.newaxis]
    std = np.sqrt(np.einsum("ij,ij->i", wide, wide) / rows.shape[1])
    same = low == high
    mean[same], std[same] = low[same], 0
    usual = within(low, high, *SAFE_FLOAT64)
    found = [
        Measured(
            one[0],
            one[1],
            None if is_complex else its_mean,
            None if is_complex else its_std,
            one[2],
            its_zeros,
            one[3],
            one[4],
            its_sample,
            stride,
        )
        for one, its_mean, its_std, its_zeros, its_sample in zip(
            statistics, mean.tolist(), std.tolist(), zeros, sample
        )
    ]
    length = len(raw) // number
    for index in np.flatnonzero(~usual).tolist():
        alone = Measures(dtype, stride)
        alone.add(raw[index * length : (index + 1) * length])
        found[index] = alone.measured
    return statistics, found


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy without what is not finite."""
    if values.dtype.kind != "f":
        return np.array(values)
    return np.array(values[np.isfinite(values)])


def _zeros_in(block: NDArray[Any]) -> int:
    # of floats, counting what equals zero is five times as fast as counting what is not
    if block.dtype.kind == "f":
        return int(np.count_nonzero(block == 0))
    return block.size - int(np.count_nonzero(block))


def _quickly(block: NDArray[Any], peak: float, norm: float) -> tuple[float, float] | None:
    """Return mean and spread of floats by their sum and their norm; ``None`` where digits go."""
    least, most = SAFE_FLOAT32 if block.dtype == np.float32 else SAFE_FLOAT64
    if block.dtype.kind != "f" or block.size < ROW or not least < peak < most:
        return None
    whole = block.size // ROW * ROW
    # einsum and no matrix product: a BLAS would wake threads of its own
    total = float(np.einsum("ij->i", block[:whole].reshape(-1, ROW)).sum(dtype=np.float64))
    total += float(block[whole:].sum(dtype=np.float64))
    mean = total / block.size
    square = norm * norm / block.size
    variance = square - mean * mean
    if variance < square * _LEAST_PART:
        return None
    return mean, sqrt(variance * block.size)


def _scale_for(peak: float) -> float:
    """Return what to divide by, so that squares neither overflow nor vanish."""
    least, most = SAFE_FLOAT64
    return 1.0 if least < peak < most else float(peak)


def _mean_and_spread(part: NDArray[Any], scale: float) -> tuple[float, float]:
    """Return mean and spread of a part divided by ``scale``, with all digits of float64."""
    wide = part.astype(np.float64)
    if scale != 1.0:
        wide /= scale
    mean = float(wide.mean())
    wide -= mean
    return mean, sqrt(float(np.einsum("i,i->", wide, wide)))
