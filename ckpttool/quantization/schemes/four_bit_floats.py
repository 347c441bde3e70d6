"""Floats of 4 bits (e2m1), two to a byte, the first in its lower half: MXFP4 and NVFP4.

MXFP4 has one power of two (e8m0: the exponent plus 127, in a byte) for 32 elements. gpt-oss stores
it as ``_blocks`` [experts, rows, groups, 16] and ``_scales`` [experts, rows, groups]; transformers'
weight is the transpose of it. compressed-tensors stores ``weight_packed`` [rows, columns / 2].
NVFP4 has one 8-bit float for 16 elements, and one float32 for the tensor: ``weight_scale_2`` of
ModelOpt is multiplied, ``weight_global_scale`` of compressed-tensors is divided by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import (
    Expected,
    Packed,
    is_byte,
    is_exponent,
    is_float,
    is_float8,
    is_unsigned_byte,
)
from ckpttool.quantization.schemes import scales

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Shape
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.schemes.naming import Naming
    from ckpttool.quantization.settings import Arguments
    from ckpttool.tensors.dtypes import DType

_MX, _NV = 32, 16


def packed(found: Found, arguments: Arguments, naming: Naming) -> Packed:
    """Return a weight of 4-bit floats."""
    codes = found.codes
    assert codes is not None  # noqa: S101 (the caller looked)
    if codes.name.endswith("_blocks"):
        return _in_blocks(found)
    shape = (*codes.shape[:-1], 2 * codes.shape[-1]) if codes.shape else ()
    if _is_nvfp4(found, arguments):
        return _nvfp4(found, arguments, naming, shape)
    needed = {role.SCALE: naming.of(found, role.SCALE, "weight_scale")}
    size = arguments.group_size or _MX
    expected = {
        role.CODES: Expected((), is_byte, "bytes"),
        role.SCALE: Expected((scales.of_groups(shape, size),) if shape else (), _is_e8m0, "e8m0"),
    }
    return Packed(
        found.name,
        "mxfp4",
        {**found.parts, role.CODES: codes},
        shape,
        4,
        (*(1 for _ in shape[:-1]), size),
        True,
        needed=needed,
        expected=expected,
    )


def _is_nvfp4(found: Found, arguments: Arguments) -> bool:
    scale = found.parts.get(role.SCALE)
    if role.GLOBAL_SCALE in found.parts or arguments.group_size == _NV:
        return True
    return scale is not None and is_float8(scale.dtype)


def _in_blocks(found: Found) -> Packed:
    codes = found.codes
    assert codes is not None  # noqa: S101 (the caller looked)
    groups = codes.shape[:-1]
    logical: Shape | None = None
    if len(codes.shape) >= 3:
        *lead, rows, number, half = codes.shape
        logical = (*lead, 2 * half * number, rows)
    expected = {
        role.CODES: Expected(((*groups, _MX // 2),), is_byte, "bytes"),
        role.SCALE: Expected((groups,), _is_e8m0, "bytes or e8m0"),
    }
    return Packed(
        found.name,
        "mxfp4",
        {**found.parts, role.CODES: codes},
        logical,
        4,
        None if logical is None else (*(1 for _ in logical[:-2]), _MX, 1),
        True,
        transposed=True,
        needed={role.SCALE: f"{found.name}_scales"},
        expected=expected,
    )


def _nvfp4(found: Found, arguments: Arguments, naming: Naming, shape: Shape) -> Packed:
    codes = found.codes
    assert codes is not None  # noqa: S101 (the caller looked)
    of_compressed = role.CODES in found.parts
    ending = "weight_global_scale" if of_compressed else "weight_scale_2"
    needed = {
        role.SCALE: naming.of(found, role.SCALE, "weight_scale"),
        role.GLOBAL_SCALE: naming.of(found, role.GLOBAL_SCALE, ending),
    }
    if arguments.static_inputs:
        what = role.INPUT_GLOBAL_SCALE if of_compressed else role.INPUT_SCALE
        needed[what] = naming.of(found, what, what)
    groups = (scales.of_groups(shape, _NV),) if shape else ()
    one = Expected(scales.of_tensor(shape), is_float, "a float of 16 bits or more")
    expected = {
        role.CODES: Expected((), is_byte, "bytes"),
        role.SCALE: Expected(groups, is_float8, "an 8-bit float"),
        role.GLOBAL_SCALE: one,
        role.INPUT_SCALE: one,
        role.INPUT_GLOBAL_SCALE: one,
    }
    return Packed(
        found.name,
        "nvfp4",
        {**found.parts, role.CODES: codes},
        shape,
        4,
        (*(1 for _ in shape[:-1]), _NV),
        True,
        needed=needed,
        expected=expected,
    )


def _is_e8m0(dtype: DType) -> bool:
    return is_exponent(dtype) or is_unsigned_byte(dtype)
