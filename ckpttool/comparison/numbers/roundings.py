"""Rounding to another element type, as a cast does it: to nearest, ties to even."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType


class _Grid(NamedTuple):
    """The finite numbers of a narrow float.

    Attributes:
        mantissa: explicit mantissa bits.
        lowest: exponent of the smallest normal number.
        largest: the largest finite number.
        beyond: what a number that rounds to more becomes.
    """

    mantissa: int
    lowest: int
    largest: float
    beyond: float


_INF, _NAN = float("inf"), float("nan")
# IEEE 754-2008; bfloat16 is the upper half of a float32; the 8-bit types as in tensors/numbers.py.
_GRIDS = {
    "float32": _Grid(23, -126, (2 - 2.0**-23) * 2.0**127, _INF),
    "float16": _Grid(10, -14, 65504.0, _INF),
    "bfloat16": _Grid(7, -126, (2 - 2.0**-7) * 2.0**127, _INF),
    "float8_e5m2": _Grid(2, -14, 57344.0, _INF),
    "float8_e4m3fn": _Grid(3, -6, 448.0, _NAN),
    "float8_e5m2fnuz": _Grid(2, -15, 57344.0, _NAN),
    "float8_e4m3fnuz": _Grid(3, -7, 240.0, _NAN),
}
# Of this type newer releases of torch make the largest number of what is beyond, infinity included.
_SATURATED = {"float8_e4m3fn": _Grid(3, -6, 448.0, 448.0)}
# Elements that are rounded before all are.
_FIRST = 256
_NUMPY = {"float64": np.float64, "float32": np.float32, "float16": np.float16}


def rounds(values: NDArray[Any], wanted: NDArray[Any], dtype: DType) -> bool:
    """Whether ``values`` rounded to ``dtype`` are what is ``wanted``; NaN is NaN.

    Args:
        values: float64 or complex128; or float32, all of them finite.
        wanted: as many, of the same type.
        dtype: the element type that ``wanted`` had.
    """
    if dtype.kind not in ("float", "complex"):
        return False
    grids = (_GRIDS, _SATURATED) if dtype.name in _SATURATED else (_GRIDS,)
    return any(_rounds(values, wanted, dtype, known) for known in grids)


def _rounds(
    values: NDArray[Any], wanted: NDArray[Any], dtype: DType, grids: Mapping[str, _Grid]
) -> bool:
    # what is no cast mostly shows at once
    parts = (slice(_FIRST), slice(_FIRST, None))
    return all(_are(_rounded(values[part], dtype, grids), wanted[part]) for part in parts)


def _are(found: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    if found is None:
        return False
    if bool((found == wanted).all()):
        return True
    return bool(((found == wanted) | (np.isnan(found) & np.isnan(wanted))).all())


def _rounded(values: NDArray[Any], dtype: DType, grids: Mapping[str, _Grid]) -> NDArray[Any] | None:
    """Return ``values`` rounded to a floating type, widened again or of that type.

    ``None`` for types to which nothing is rounded here.
    """
    if dtype.kind == "complex":
        wide = values.astype(np.complex128)
        return wide if dtype.bits == 128 else wide.astype(np.complex64).astype(np.complex128)
    if values.dtype.kind == "c":
        return None
    native = _NUMPY.get(dtype.name)
    if native is not None:
        return values.astype(native)
    if dtype.name == "bfloat16" and values.dtype == np.float32:
        return _to_bfloat16(values)
    grid = grids.get(dtype.name)
    return None if grid is None else _on_grid(values, grid)


def _to_bfloat16(values: NDArray[Any]) -> NDArray[Any]:
    """Round finite float32 by integer arithmetic: ten times as fast as on a grid."""
    bits = values.view(np.uint32)
    # half of the last place that stays, less one where it is even: carries round up
    carried = bits >> np.uint32(16)
    carried &= np.uint32(1)
    carried += np.uint32(0x7FFF)
    carried += bits
    carried &= np.uint32(0xFFFF0000)
    return carried.view(np.float32)


def _on_grid(values: NDArray[Any], grid: _Grid) -> NDArray[Any]:
    """Round in the type given, where scaling by powers of two and ``rint`` are exact."""
    _, exponents = np.frexp(values)  # a number is below 2 ** exponent
    spacing = np.maximum(exponents - 1, grid.lowest) - grid.mantissa
    result: NDArray[Any] = np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)
    too_large = np.abs(result) > grid.largest
    result[too_large] = np.copysign(grid.beyond, result[too_large])
    return result
