"""How far the result of a merge may lie from the exact one, for the arithmetic it was computed in.

The exact element is ``v = w + sum(s * sum(b_k * a_k))``. A program that computes it in an
arithmetic with the unit roundoff ``u`` (half the distance of 1 to the next number) has rounded:

- the product of the factors, by any order of summation, within ``(r + 3) * u * D`` of the exact
  one, where ``D = s * sum(|b_k| * |a_k|)`` and ``r`` is the rank (Higham, "Accuracy and Stability
  of Numerical Algorithms", 2002, section 3.1; the 3 are the scale, the product with it, and one
  more for what terms of the second order add);
- the sum with the element of A, within ``u`` of its size;
- in 16 bits, where products are summed in float32 and rounded then: the product twice (before and
  after it is scaled), each factor once if it was wider, and A's element once if it was;
- the result to the type of B, to nearest.

Rounding never exchanges the order of two numbers. So the result lies between the roundings of
``v - e`` and ``v + e``, where ``e`` is the sum of the above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

import numpy as np

from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.numpy_arrays import round_to_bfloat16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

#: The arithmetics that mergers compute in, the most exact one first: single, and those of 16 bits.
ARITHMETICS: tuple[DType, ...] = tuple(
    sorted(
        (dtype for dtype in DTYPES.values() if dtype.castable and dtype.bits <= 32),
        key=lambda dtype: -dtype.encoding.mantissa if dtype.encoding else 0,
    )
)
# Where the bound is more than this part of what is added, as where large parts cancel, it would
# explain anything: of single arithmetic, and of 16 bits.
_MOST = (2.0**-8, 2.0**-2)


class Sum(NamedTuple):
    """What one adapter adds to some elements, exactly, and what the bounds are made of.

    Attributes:
        exact: ``s * sum(b_k * a_k)``.
        absolute: ``|s| * sum(|b_k| * |a_k|)``.
        typical: the root mean square of what is added to the element's row.
        factors: ``|s| * sum(|b_k| + |a_k|)``, for factors that fall below the normal numbers.
        rank: how many products are summed.
        scale: of the products.
        widest: mantissa bits of the wider factor.
    """

    exact: NDArray[np.float64]
    absolute: NDArray[np.float64]
    typical: NDArray[np.float64]
    factors: NDArray[np.float64]
    rank: int
    scale: float
    widest: int


def rounding(dtype: DType) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what rounds float32 or float64 to a type, to nearest, ties to even, as numbers."""
    if dtype.is_cut_float32:
        return round_to_bfloat16
    code = f"<{dtype.numpy}"

    def rounded(values: NDArray[Any]) -> NDArray[Any]:
        return values if values.dtype == code else values.astype(code)

    return rounded


class Factor(NamedTuple):
    """What elements are scaled with after the sum, and how far off it may be, as a part of it."""

    value: NDArray[np.float64]
    single: float


def accepted(
    start: NDArray[np.float64],
    sums: Sequence[Sum],
    found: NDArray[np.float64],
    target: DType,
    arithmetic: DType,
    factor: Factor | None = None,
) -> NDArray[np.bool_]:
    """Return which elements of B an arithmetic explains.

    Args:
        start: the elements of A.
        sums: what each adapter adds to them, in the order of merging.
        found: the elements of B.
        target: their type.
        arithmetic: one of :data:`ARITHMETICS`.
        factor: what the rows are scaled with after the sum, of a DoRA adapter.
    """
    into = rounding(target)
    single = arithmetic.bits == ARITHMETICS[0].bits
    unit = 2.0 ** -(_mantissa(ARITHMETICS[0]) + 1)
    # carried in single arithmetic from sum to sum
    low = high = start
    told = np.ones(len(start), np.bool_)
    errors = []
    for one in sums:
        error = one.absolute * ((one.rank + 3) * unit)
        if not single:
            error = error + _of_16_bits(one, arithmetic)
        told &= error <= np.maximum(np.abs(one.exact), one.typical) * _MOST[not single]
        errors.append(error)
        low, high = _widened(low + one.exact - error, high + one.exact + error, unit)
    if factor is not None:
        relative = factor.single if single else 6 * 2.0 ** -(_mantissa(arithmetic) + 1)
        low, high = _scaled(low, high, factor.value, relative)
    explained = told & (into(low) <= found) & (found <= into(high))
    if single or factor is not None:
        return explained
    # rounded after each sum, and A's element before, so that B has a number of this type
    half = rounding(arithmetic)
    first = half(start).astype(np.float64)
    low, high = np.minimum(start, first), np.maximum(start, first)
    for one, error in zip(sums, errors):
        low, high = _widened(low + one.exact - error, high + one.exact + error, unit)
        low, high = half(low).astype(np.float64), half(high).astype(np.float64)
    fits = (into(low) <= found) & (found <= into(high))
    if _mantissa(arithmetic) < _mantissa(target):
        fits &= half(found) == found
    return explained | (told & fits)


def _of_16_bits(one: Sum, arithmetic: DType) -> NDArray[np.float64]:
    """Return how far off a sum may be where its parts were rounded to an arithmetic of 16 bits."""
    assert arithmetic.encoding is not None  # noqa: S101 (a float)
    mantissa = arithmetic.encoding.mantissa
    unit = 2.0 ** -(mantissa + 1)
    tiny = 2.0 ** (arithmetic.encoding.lowest - mantissa - 1)
    error = np.abs(one.exact) * (2.1 * unit) + tiny * (1 + abs(one.scale))
    if one.widest > mantissa:
        error += one.absolute * (2.1 * unit) + one.factors * tiny
    return error


def _widened(
    low: NDArray[np.float64], high: NDArray[np.float64], unit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of an interval after one more rounding."""
    off = np.maximum(np.abs(low), np.abs(high)) * unit
    return low - off, high + off


def _scaled(
    low: NDArray[np.float64], high: NDArray[np.float64], by: NDArray[np.float64], relative: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ends = low * by, high * by
    low, high = np.minimum(*ends), np.maximum(*ends)
    off = np.maximum(np.abs(low), np.abs(high)) * relative
    return low - off, high + off


def _mantissa(dtype: DType) -> int:
    assert dtype.encoding is not None  # noqa: S101 (a float)
    return dtype.encoding.mantissa
