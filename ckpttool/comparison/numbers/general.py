"""The careful way, for every element type: floats and complex numbers in float64, integers exactly.

Differences of integers are formed without overflow: in unsigned 64-bit arithmetic, or in Python's
own where uint64 meets negative numbers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

import numpy as np

from ckpttool.comparison.numbers.products import dot, norm
from ckpttool.comparison.numbers.roundings import rounds
from ckpttool.comparison.numbers.tally import Number, Peak, larger_peak
from ckpttool.comparison.numbers.ulps import most_ulps
from ckpttool.tensors.numpy_arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.stretches import Block
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.tensors.dtypes import DType

#: Pairs in a block: the dozen copies in float64 fit into the caches.
BLOCK = 1 << 16

# Below this, a float64 stands for one integer only.
_EXACT = 1 << 53
# No float64 but zero is smaller, none but infinity larger.
_SMALLEST, _LARGEST = 2.0**-1074, sys.float_info.max


class Tolerance(NamedTuple):
    """What may differ and still count as equal.

    A pair is equal if ``|a - b| <= absolute + relative * max(|a|, |b|)``: the rule of
    ``numpy.allclose`` with the larger number for the second, so that the sides can be exchanged.
    """

    absolute: float = 0.0
    relative: float = 0.0
    equal_nan: bool = False

    def excludes(self, difference: NDArray[Any], large: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which absolute differences, with their larger numbers, are outside (float64)."""
        outside: NDArray[np.bool_] = difference > self.absolute + self.relative * large
        return outside


class _Numbers(NamedTuple):
    """Pairs as numbers.

    Attributes:
        left, right: float64 or complex128.
        integers: both sides exactly, in one type; ``None`` unless both hold integers.
        differs: which pairs differ.
        finite: which pairs are of two finite numbers; ``None`` for all of them.
        first: index of the first pair in the tensor.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    integers: tuple[NDArray[Any], NDArray[Any]] | None
    differs: NDArray[Any]
    finite: NDArray[Any] | None
    first: int


def add_block(
    tally: Tally, block: Block, differs: NDArray[Any] | None, tolerance: Tolerance | None
) -> None:
    """Add a block of pairs.

    Args:
        tally: what to add to.
        block: the pairs; :func:`ckpttool.tensors.numpy_arrays.numbers` must know both types.
        differs: which pairs differ in their bits; ``None`` for two types, whose values count.
        tolerance: pairs outside of it are counted; ``None`` to count none.
    """
    pairs = _numbers(block, differs)
    if tolerance is not None and tolerance.equal_nan:
        nan = np.isnan(pairs.left) & np.isnan(pairs.right)
        pairs = pairs._replace(differs=pairs.differs & ~nan)
    tally.changed += int(np.count_nonzero(pairs.differs))
    if differs is None:
        _add_casts(tally, block.dtypes, pairs)
    elif not block.dtypes[0].integral:
        ulps = most_ulps(block.dtypes[0], block.raw, pairs.finite)
        if ulps is not None:
            tally.add_ulp(ulps)
    if pairs.finite is not None:
        pairs = _set_aside(tally, pairs)
    _add_numbers(tally, pairs, tolerance)


def _numbers(block: Block, differs: NDArray[Any] | None) -> _Numbers:
    sides = [_native(dtype, data) for dtype, data in zip(block.dtypes, block.raw)]
    integers = None
    if all(dtype.integral for dtype in block.dtypes):
        integers = _in_one_type(sides[0], sides[1])
    left, right = _wide(sides)
    if differs is None:
        differs = _differ(left, right, integers)
    finite = np.isfinite(left) & np.isfinite(right)
    return _Numbers(left, right, integers, differs, None if finite.all() else finite, block.first)


def _native(dtype: DType, raw: memoryview) -> NDArray[Any]:
    found = numbers(dtype, raw)
    assert found is not None  # noqa: S101 (the caller looked)
    if dtype.kind == "complex":  # two parts
        return found.view(f"<{dtype.numpy}")
    return found


def _wide(sides: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both sides in one type: complex if either is, or their parts would not match."""
    kinds = {side.dtype.kind for side in sides}
    wide: Any = np.complex128 if "c" in kinds else np.float64
    return sides[0].astype(wide), sides[1].astype(wide)


def _in_one_type(left: NDArray[Any], right: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return integers in a type that holds both sides."""
    # numpy would compare uint64 with int64 as float64, which has too few digits for either.
    kinds = {side.dtype.kind for side in (left, right)}
    if not any(side.dtype == np.uint64 for side in (left, right)):
        common: Any = np.int64
    else:
        common = np.uint64 if kinds == {"u"} else object
    return left.astype(common), right.astype(common)


def _differ(
    left: NDArray[Any],
    right: NDArray[Any],
    integers: tuple[NDArray[Any], NDArray[Any]] | None,
) -> NDArray[Any]:
    """Return which values of two types differ; NaN is NaN, and -0 is 0."""
    if integers is not None:
        unequal: NDArray[Any] = np.not_equal(*integers).astype(bool)
        return unequal
    differs: NDArray[Any] = left != right
    differs &= ~(np.isnan(left) & np.isnan(right))
    return differs


def _add_casts(tally: Tally, dtypes: tuple[DType, DType], pairs: _Numbers) -> None:
    if tally.widened:
        tally.widened = not pairs.differs.any() and _is_exact(dtypes, pairs)
    if tally.rounds_left:
        tally.rounds_left = rounds(pairs.right, pairs.left, dtypes[0])
    if tally.rounds_right:
        tally.rounds_right = rounds(pairs.left, pairs.right, dtypes[1])


def _is_exact(dtypes: tuple[DType, DType], pairs: _Numbers) -> bool:
    """Whether equal float64 values speak for the numbers: large int64 are not float64."""
    if pairs.integers is not None or not any(dtype.integral for dtype in dtypes):
        return True
    return bool((np.abs(pairs.left) < _EXACT).all())


def _set_aside(tally: Tally, pairs: _Numbers) -> _Numbers:
    """Count the pairs that are not finite and put zeros in their places."""
    assert pairs.finite is not None  # noqa: S101 (the caller looked)
    odd = ~pairs.finite
    nan_left, nan_right = np.isnan(pairs.left), np.isnan(pairs.right)
    infinite_left, infinite_right = np.isinf(pairs.left), np.isinf(pairs.right)
    tally.nan_left += int(np.count_nonzero(nan_left & ~nan_right))
    tally.nan_right += int(np.count_nonzero(nan_right & ~nan_left))
    tally.infinite_left += int(np.count_nonzero(infinite_left & ~infinite_right))
    tally.infinite_right += int(np.count_nonzero(infinite_right & ~infinite_left))
    tally.unlike += int(np.count_nonzero(odd & pairs.differs))
    left, right = (np.where(odd, 0, side) for side in (pairs.left, pairs.right))
    return pairs._replace(left=left, right=right)


def _add_numbers(tally: Tally, pairs: _Numbers, tolerance: Tolerance | None) -> None:
    count = len(pairs.left) if pairs.finite is None else int(np.count_nonzero(pairs.finite))
    if not count:
        return
    tally.compared += count
    exact = _differences(pairs)
    difference = exact if exact.dtype == np.float64 else exact.astype(np.float64)
    large = np.maximum(np.abs(pairs.left), np.abs(pairs.right))
    relative = difference / np.maximum(large, _SMALLEST)  # two zeros do not differ
    # the largest of integers as integers: float64 could not tell the last ones apart
    tally.max_abs = _higher(tally.max_abs, pairs, exact)
    tally.max_rel = _higher(tally.max_rel, pairs, relative)
    parts = [side.view(np.float64) for side in (pairs.left, pairs.right)]
    tally.add_norms(norm(parts[0]), norm(parts[1]), norm(_finite(difference)), dot(*parts))
    if tolerance is not None:
        tally.outside += int(np.count_nonzero(tolerance.excludes(difference, large)))


def _finite(difference: NDArray[Any]) -> NDArray[Any]:
    # the difference of two numbers near the end of float64 may lie beyond it
    finite: NDArray[Any] = np.minimum(difference, _LARGEST)
    return finite


def _differences(pairs: _Numbers) -> NDArray[Any]:
    if pairs.integers is None:
        distances: NDArray[Any] = np.abs(pairs.left - pairs.right)
        return distances
    high, low = np.maximum(*pairs.integers), np.minimum(*pairs.integers)
    if high.dtype != object:
        # modulo 2 ** 64, which is right for a difference that is not negative
        high, low = high.view(np.uint64), low.view(np.uint64)
    differences: NDArray[Any] = high - low
    return differences


def _higher(best: Peak | None, pairs: _Numbers, values: NDArray[Any]) -> Peak | None:
    index = int(values.argmax())
    if pairs.finite is not None and not pairs.finite[index]:
        index = int(pairs.finite.argmax())  # it was a zero that replaced a NaN or infinity
    value = values[index]
    sides = pairs.integers or (pairs.left, pairs.right)
    left, right = (_number(side[index]) for side in sides)
    number = float(value) if isinstance(value, (float, np.floating)) else int(value)
    return larger_peak(best, Peak(number, pairs.first + index, left, right))


def _number(value: Any) -> Number:
    if isinstance(value, (int, np.integer)):
        return int(value)
    return complex(value) if isinstance(value, complex) else float(value)
