"""The careful way, for every element type: floats and complex numbers in float64, integers exactly.

Differences of integers are formed without overflow: in unsigned 64-bit arithmetic, or in Python's
own where uint64 meets negative numbers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, List, NamedTuple, Sequence

import numpy as np

from ckpttool.comparison.numbers.roundings import rounds_each
from ckpttool.comparison.numbers.runs import Runs
from ckpttool.comparison.numbers.tally import Peak, Tally
from ckpttool.comparison.numbers.ulps import bits_of, distances
from ckpttool.tensors.numpy_arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.stretches import Block
    from ckpttool.comparison.numbers.tolerance import Tolerance
    from ckpttool.tensors.dtypes import DType

#: Pairs in a block: the dozen copies in float64 fit into the caches.
BLOCK = 1 << 16

# Below this, a float64 stands for one integer only.
_EXACT = 1 << 53
# No float64 but zero is smaller, none but infinity larger.
_SMALLEST, _LARGEST = 2.0**-1074, sys.float_info.max


class _Numbers(NamedTuple):
    """Pairs as numbers.

    Attributes:
        left, right: float64 or complex128.
        integers: both sides exactly, in one type; ``None`` unless both hold integers.
        differs: which pairs differ.
        finite: which pairs are of two finite numbers; ``None`` for all of them.
        runs: which of them belong to which tensor.
        first: index of the first pair in its tensor.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    integers: tuple[NDArray[Any], NDArray[Any]] | None
    differs: NDArray[Any]
    finite: NDArray[Any] | None
    runs: Runs
    first: int


def tallies_of(
    block: Block,
    lengths: Sequence[int],
    tolerance: Tolerance | None,
    before: Tally | None = None,
) -> list[Tally]:
    """Compare tensors, or a part of one, that stand one after the other in a block.

    Args:
        block: the pairs, at least one. Of types without numbers, only what differs is counted.
        lengths: how many pairs of each tensor, at least one.
        tolerance: pairs outside of it are counted; ``None`` to count none.
        before: of the pairs before these if this is part of one large tensor; casts that it rules
            out are not looked for again.

    Returns:
        A tally of each.
    """
    runs = Runs(lengths, alone=before is not None)
    same = block.dtypes[0] == block.dtypes[1]
    differs = differing(block) if same else None
    tallies = [Tally() for _ in lengths]
    _put(tallies, "elements", runs.lengths)
    if not block.dtypes[0].has_numbers:
        assert differs is not None  # noqa: S101 (such types are compared with themselves)
        _put(tallies, "changed", runs.counts(differs))
        return tallies
    pairs = _numbers(block, differs, runs)
    if tolerance is not None and tolerance.equal_nan:
        nan = np.isnan(pairs.left) & np.isnan(pairs.right)
        pairs = pairs._replace(differs=pairs.differs & ~nan)
    _put(tallies, "changed", runs.counts(pairs.differs))
    if not same:
        _add_casts(tallies, block.dtypes, pairs, before or Tally())
    elif not block.dtypes[0].integral:
        _add_ulps(tallies, block, pairs)
    if pairs.finite is not None:
        pairs = _set_aside(tallies, pairs)
    _add_numbers(tallies, pairs, tolerance)
    return tallies


def _put(tallies: Sequence[Tally], name: str, values: NDArray[Any]) -> None:
    for tally, value in zip(tallies, values.tolist()):
        setattr(tally, name, value)


def differing(block: Block) -> NDArray[np.bool_]:
    """Return which elements differ in their bits; of a type below a byte, which bytes do."""
    dtype = block.dtypes[0]
    if dtype.bits % 8:
        left, right = (np.frombuffer(data, np.uint8) for data in block.raw)
    else:
        left, right = (bits_of(dtype, data) for data in block.raw)
    differs: NDArray[np.bool_] = left != right
    # complex numbers are compared by parts, and counted by numbers
    return differs[::2] | differs[1::2] if dtype.kind == "complex" else differs


def _numbers(block: Block, differs: NDArray[Any] | None, runs: Runs) -> _Numbers:
    sides = [_native(dtype, data) for dtype, data in zip(block.dtypes, block.raw)]
    integers = None
    if all(dtype.integral for dtype in block.dtypes):
        integers = _in_one_type(sides[0], sides[1])
    left, right = _wide(sides)
    if differs is None:
        differs = _differ(left, right, integers)
    finite = np.isfinite(left) & np.isfinite(right)
    every = None if finite.all() else finite
    return _Numbers(left, right, integers, differs, every, runs, block.first)


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


def _add_casts(
    tallies: Sequence[Tally], dtypes: tuple[DType, DType], pairs: _Numbers, before: Tally
) -> None:
    left, right, runs = pairs.left, pairs.right, pairs.runs
    none = np.zeros(len(tallies), np.bool_)
    widened = runs.all_of(_are_widened(dtypes, pairs)) if before.widened else none
    rounds_left = rounds_each(right, left, dtypes[0], runs) if before.rounds_left else none
    rounds_right = rounds_each(left, right, dtypes[1], runs) if before.rounds_right else none
    _put(tallies, "widened", widened)
    _put(tallies, "rounds_left", rounds_left)
    _put(tallies, "rounds_right", rounds_right)


def _are_widened(dtypes: tuple[DType, DType], pairs: _Numbers) -> NDArray[np.bool_]:
    """Return which pairs are equal, where equal float64 values speak for the numbers."""
    equal: NDArray[np.bool_] = ~pairs.differs
    if pairs.integers is None and any(dtype.integral for dtype in dtypes):
        equal &= np.abs(pairs.left) < _EXACT  # large int64 are not float64
    return equal


def _add_ulps(tallies: Sequence[Tally], block: Block, pairs: _Numbers) -> None:
    """Add the largest distance in ULPs; for complex numbers, that of their parts."""
    dtype, runs, finite = block.dtypes[0], pairs.runs, pairs.finite
    left, right = (bits_of(dtype, data) for data in block.raw)
    found = distances(left, right, signed=dtype.signed)
    if dtype.kind == "complex":
        found = np.maximum(found[::2], found[1::2])
    if finite is not None:
        found[~finite] = 0
    _put(tallies, "max_ulp", runs.largest(found))
    if finite is not None:
        for tally, count in zip(tallies, runs.counts(finite).tolist()):
            tally.max_ulp = tally.max_ulp if count else None


def _set_aside(tallies: Sequence[Tally], pairs: _Numbers) -> _Numbers:
    """Count the pairs that are not finite and put zeros in their places."""
    assert pairs.finite is not None  # noqa: S101 (the caller looked)
    odd, counts = ~pairs.finite, pairs.runs.counts
    for word, is_it in (("nan", np.isnan), ("infinite", np.isinf)):
        left, right = is_it(pairs.left), is_it(pairs.right)
        _put(tallies, f"{word}_left", counts(left & ~right))
        _put(tallies, f"{word}_right", counts(right & ~left))
    _put(tallies, "unlike", counts(odd & pairs.differs))
    left, right = (np.where(odd, 0, side) for side in (pairs.left, pairs.right))
    return pairs._replace(left=left, right=right)


def _add_numbers(tallies: Sequence[Tally], pairs: _Numbers, tolerance: Tolerance | None) -> None:
    runs = pairs.runs
    compared = runs.lengths if pairs.finite is None else runs.counts(pairs.finite)
    _put(tallies, "compared", compared)
    exact = _differences(pairs)
    difference = exact if exact.dtype == np.float64 else exact.astype(np.float64)
    large = np.maximum(np.abs(pairs.left), np.abs(pairs.right))
    relative = difference / np.maximum(large, _SMALLEST)  # two zeros do not differ
    # the largest of integers as integers: float64 could not tell the last ones apart
    peaks = zip(tallies, compared.tolist(), _peaks(pairs, exact), _peaks(pairs, relative))
    for tally, count, max_abs, max_rel in peaks:
        if count:
            tally.max_abs, tally.max_rel = max_abs, max_rel
    parts = [side.view(np.float64) for side in (pairs.left, pairs.right)]
    twice = runs.halves() if parts[0].size > pairs.left.size else runs
    _put(tallies, "norm_left", twice.norms(parts[0]))
    _put(tallies, "norm_right", twice.norms(parts[1]))
    # the difference of two numbers near the end of float64 may lie beyond it
    _put(tallies, "norm_difference", runs.norms(np.minimum(difference, _LARGEST)))
    _put(tallies, "dot", twice.inner(parts[0], parts[1]))
    if tolerance is not None:
        _put(tallies, "outside", runs.counts(tolerance.excludes(difference, large)))


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


def _peaks(pairs: _Numbers, values: NDArray[Any]) -> List[Peak]:
    """Return the largest value of each tensor, at the first place that has it."""
    runs = pairs.runs
    at = runs.places(values, pairs.finite)
    sides = pairs.integers or (pairs.left, pairs.right)
    columns = (values[at], at - runs.starts + pairs.first, sides[0][at], sides[1][at])
    return list(map(Peak._make, zip(*(column.tolist() for column in columns))))
