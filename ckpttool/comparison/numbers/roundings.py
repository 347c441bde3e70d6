"""Rounding to another element type, as a cast does it: to nearest, ties to even."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.tensors.numpy_arrays import round_to_bfloat16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.runs import Runs
    from ckpttool.tensors.dtypes import DType, Float


# Elements that are rounded before all are.
_FIRST = 256


def rounds(values: NDArray[Any], wanted: NDArray[Any], dtype: DType) -> bool:
    """Whether ``values`` rounded to ``dtype`` are what is ``wanted``; NaN is NaN.

    Args:
        values: float64 or complex128; or float32, all of them finite.
        wanted: as many, of the same type.
        dtype: the element type that ``wanted`` had.
    """
    return any(_rounds(values, wanted, dtype, saturated=way) for way in _ways(dtype))


def rounds_each(
    values: NDArray[Any], wanted: NDArray[Any], dtype: DType, runs: Runs
) -> NDArray[np.bool_]:
    """Return the same of each tensor in the arrays."""
    if len(runs.starts) == 1:
        return np.array([rounds(values, wanted, dtype)])
    found = np.zeros(len(runs.starts), np.bool_)
    for way in _ways(dtype):
        rounded = _rounded(values, dtype, way)
        if rounded is not None:
            found |= runs.all_of((rounded == wanted) | (np.isnan(rounded) & np.isnan(wanted)))
    return found


def _ways(dtype: DType) -> tuple[bool, ...]:
    """Return whether what is beyond the largest number becomes that number; both are in use."""
    if dtype.integral:
        return ()
    # Newer releases of torch cast everything beyond the largest number to it, even infinity.
    saturating = dtype.encoding is not None and dtype.encoding.special == "fn"
    return (False, True) if saturating else (False,)


def _rounds(values: NDArray[Any], wanted: NDArray[Any], dtype: DType, *, saturated: bool) -> bool:
    # Tensors that are no cast of each other mostly differ in the first elements.
    parts = (slice(_FIRST), slice(_FIRST, None))
    return all(_are(_rounded(values[part], dtype, saturated), wanted[part]) for part in parts)


def _are(found: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    if found is None:
        return False
    if bool((found == wanted).all()):
        return True
    return bool(((found == wanted) | (np.isnan(found) & np.isnan(wanted))).all())


def _rounded(values: NDArray[Any], dtype: DType, saturated: bool) -> NDArray[Any] | None:
    """Return ``values`` rounded to a floating type, widened again or of that type.

    ``None`` for types to which nothing is rounded here.
    """
    if values.dtype.kind == "c" and dtype.kind != "complex":
        return None
    if dtype.numpy is not None:
        return values.astype(dtype.numpy)
    if dtype.is_cut_float32:
        return round_to_bfloat16(values)
    if dtype.encoding is None or not dtype.signed:
        return None
    return _on_grid(values, dtype.encoding, saturated)


def _on_grid(values: NDArray[Any], grid: Float, saturated: bool) -> NDArray[Any]:
    """Round in the type given, where scaling by powers of two and ``rint`` are exact."""
    _, exponents = np.frexp(values)  # a number is below 2 ** exponent
    spacing = np.maximum(exponents - 1, grid.lowest) - grid.mantissa
    result: NDArray[Any] = np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)
    too_large = np.abs(result) > grid.largest
    result[too_large] = np.copysign(grid.largest if saturated else grid.beyond, result[too_large])
    return result
