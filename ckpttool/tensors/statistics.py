"""Minimum, maximum, root mean square and counts of NaN and infinity, block by block."""

from __future__ import annotations

from math import hypot, isfinite, sqrt
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from ckpttool.tensors.numpy_arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

# Raw bytes at once of a type that is copied into a wider one, so that the copy stays small.
_WIDENED_AT_ONCE = 1 << 20

#: float32 products are summed in rows of this length, the rows in float64: exact to 7 digits.
ROW = 1024

#: Between these the squares neither overflow in the sum of a row nor vanish.
SAFE_FLOAT32 = (1e-15, 1e15)
SAFE_FLOAT64 = (1e-140, 1e140)


#: Minimum, maximum, root mean square, and how many elements are NaN and infinite.
Statistics = Tuple[Optional[float], Optional[float], Optional[float], int, int]


class Moments:
    """Statistics of one tensor's elements, over its finite values.

    Attributes:
        minimum, maximum: floats, or ints for integer types; ``None`` before any finite value.
        nan, infinite: how many elements are not finite; of a complex number each part counts.
    """

    def __init__(self, dtype: DType) -> None:
        self._dtype = dtype
        self._integers = dtype.integral
        self._finite = 0
        self._norm = 0.0
        self.minimum: float | None = None
        self.maximum: float | None = None
        self.nan = 0
        self.infinite = 0

    @property
    def rms(self) -> float | None:
        """Root of the mean square; ``None`` without a finite value or beyond float64."""
        if not self._finite or not isfinite(self._norm):
            return None
        return self._norm / sqrt(self._finite)

    @property
    def statistics(self) -> Statistics:
        """All of them; of complex numbers, which are not ordered, the counts alone."""
        if self._dtype.kind == "complex":
            return None, None, None, self.nan, self.infinite
        return self.minimum, self.maximum, self.rms, self.nan, self.infinite

    def add(self, raw: memoryview) -> None:
        """Add the little-endian bytes of some elements, in any order up to rounding of the rms."""
        direct = not self._integers and self._dtype.part_bits >= 32
        step = len(raw) if direct else _WIDENED_AT_ONCE
        for start in range(0, len(raw), max(step, 1)):
            block = numbers(self._dtype, raw[start : start + step])
            if block is not None:
                self._add(block)

    def _add(self, block: NDArray[Any]) -> None:
        low, high = block.min(), block.max()
        # NaN propagates through min and max, so these two tell whether all are finite.
        if not (self._integers or (isfinite(low) and isfinite(high))):
            block = self._set_aside(block)
            if not block.size:
                return
            low, high = block.min(), block.max()
        kind = int if self._integers else float
        self._widen(kind(low), kind(high))
        norm = _norm(block, float(max(abs(kind(low)), abs(kind(high)))))
        self._add_finite(block, kind(low), kind(high), norm)
        self._finite += block.size
        # hypot, since the square of a float64 norm may overflow
        self._norm = hypot(self._norm, norm)

    def _add_finite(self, block: NDArray[Any], low: float, high: float, norm: float) -> None:
        """Add what else is measured of finite elements, of which there is at least one."""

    def _set_aside(self, block: NDArray[Any]) -> NDArray[Any]:
        """Count what is not finite and return the rest."""
        nan = int(np.count_nonzero(np.isnan(block)))
        finite: NDArray[Any] = block[np.isfinite(block)]
        self.nan += nan
        self.infinite += block.size - finite.size - nan
        return finite

    def _widen(self, low: float, high: float) -> None:
        # Adding 0 turns -0.0 into 0.0: which zero numpy's min returns depends on the machine.
        if self.minimum is None or low < self.minimum:
            self.minimum = low + 0
        if self.maximum is None or high > self.maximum:
            self.maximum = high + 0


def of_each(dtype: DType, raw: memoryview, number: int) -> list[Statistics]:
    """Return the statistics of small tensors of one type and size, which lie end to end in ``raw``.

    They are those of :class:`Moments` to the bit, at a fraction of the cost.

    Args:
        dtype: one that has numbers.
        raw: their little-endian bytes.
        number: how many tensors; each has at least one and fewer than :data:`ROW` elements, a
            complex number counting as two.
    """
    block = numbers(dtype, raw)
    assert block is not None  # noqa: S101 (the caller looked)
    rows = block.reshape(number, -1)
    low, high = rows.min(axis=1), rows.max(axis=1)
    if dtype.integral:
        usual = np.ones(number, bool)
        rows = rows.astype(np.float64)
    else:
        low, high = low.astype(np.float64) + 0, high.astype(np.float64) + 0  # no -0.0, as there
        least, most = SAFE_FLOAT32 if rows.dtype == np.float32 else SAFE_FLOAT64
        usual = within(low, high, least, most)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows).astype(np.float64))
    rms = norms / sqrt(rows.shape[1])
    found: list[Statistics]
    if dtype.kind == "complex":
        found = [(None, None, None, 0, 0)] * number
    else:
        columns = (low.tolist(), high.tolist(), rms.tolist())
        found = [(*row, 0, 0) for row in zip(*columns)]
    length = len(raw) // number
    for index in np.flatnonzero(~usual).tolist():
        alone = Moments(dtype)
        alone.add(raw[index * length : (index + 1) * length])
        found[index] = alone.statistics
    return found


def within(low: NDArray[Any], high: NDArray[Any], least: float, most: float) -> NDArray[np.bool_]:
    """Return where the largest magnitude is between two limits, or 0: neither NaN nor infinite."""
    peak = np.maximum(np.abs(low), np.abs(high))
    usual: NDArray[np.bool_] = (peak == 0) | ((least < peak) & (peak < most))
    return usual


def _norm(block: NDArray[Any], peak: float) -> float:
    """Return the Euclidean norm of ``block``, whose largest magnitude is ``peak``.

    Not ``np.dot``: a BLAS would wake its own threads, which spin on the cores that the pool
    and the caller need.
    """
    if peak == 0:
        return 0.0
    low, high = SAFE_FLOAT32
    if block.dtype != np.float32 or not low < peak < high:
        block = block.astype(np.float64, copy=False)
    scale = 1.0
    low, high = SAFE_FLOAT64
    if not low < peak < high:
        block = block / peak
        scale = peak
    whole = block.size // ROW * ROW
    rows = block[:whole].reshape(-1, ROW)
    total = float(np.einsum("ij,ij->i", rows, rows).sum(dtype=np.float64))
    rest = block[whole:]
    total += float(np.einsum("i,i->", rest, rest))
    return scale * sqrt(total)
