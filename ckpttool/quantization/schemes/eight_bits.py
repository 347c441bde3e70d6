"""Codes of 8 bits, one to an element: floats (fp8) or integers, with scales.

A number is ``code * scale``, or ``(code - zero point) * scale``. The scale is one for the tensor,
for each row, for a group of a row, or for a block of rows and columns, in which the last block of
an axis may be shorter. ``weight_scale_inv`` of DeepSeek's and Qwen's files is multiplied, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import (
    Expected,
    Packed,
    is_byte,
    is_float,
    is_integer,
    is_scale,
    is_unsigned_byte,
)
from ckpttool.quantization.schemes import scales

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Shape
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.schemes.naming import Naming
    from ckpttool.quantization.settings import Arguments
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

_MX = 32
_INVERSE = "weight_scale_inv"


def floats(found: Found, arguments: Arguments, naming: Naming) -> Packed:
    """Return a weight of 8-bit floats."""
    return _packed(found, arguments, naming, "scaled-fp8")


def integers(found: Found, arguments: Arguments, naming: Naming) -> Packed:
    """Return a weight of 8-bit integers."""
    return _packed(found, arguments, naming, "scaled-int8")


def _packed(found: Found, arguments: Arguments, naming: Naming, scheme: str) -> Packed:
    codes, scale = found.codes, found.parts.get(role.SCALE)
    assert codes is not None  # noqa: S101 (the caller looked)
    shape = codes.shape
    in_blocks = arguments.block is not None or role.SCALE not in found.parts
    usual = naming.of(
        found, role.SCALE, _INVERSE if scheme == "scaled-fp8" and in_blocks else "weight_scale"
    )
    allowed = _shapes(shape, arguments, usual, None if scale is None else scale.shape)
    needed = {role.SCALE: usual}
    if arguments.symmetric is False:
        needed[role.ZERO_POINT] = naming.of(found, role.ZERO_POINT, "weight_zero_point")
    if arguments.static_inputs:
        needed[role.INPUT_SCALE] = naming.of(found, role.INPUT_SCALE, "input_scale")
    expected = {
        role.SCALE: Expected(
            allowed,
            # MXFP8: powers of two, as bytes
            _is_scale_or_byte if _has_groups_of(_MX, codes, scale) else is_scale,
            "a float of 16 bits or more, or e8m0",
            arguments.by,
        ),
        role.ZERO_POINT: Expected(allowed, _is_zero_point, "an integer or a float"),
        role.INPUT_SCALE: Expected(
            (*scales.of_tensor(shape), shape[-1:]), is_float, "a float of 16 bits or more"
        ),
    }
    return Packed(
        found.name,
        scheme,
        {**found.parts, role.CODES: codes},
        shape,
        arguments.bits if scheme == "scaled-int8" and arguments.bits else 8,
        _block(shape, arguments, None if scale is None else scale.shape),
        arguments.symmetric if role.ZERO_POINT not in found.parts else False,
        needed=needed,
        expected=expected,
    )


def _shapes(
    shape: Shape, arguments: Arguments, name: str, stored: Shape | None
) -> tuple[Shape, ...]:
    """Return the shapes that the scale of codes may have."""
    if len(shape) < 2:
        return scales.each((*scales.of_tensor(shape), shape))
    tensor, rows = scales.of_tensor(shape), scales.of_rows(shape)
    blocks = scales.of_blocks(shape, arguments.block or scales.BLOCK)
    strategy = arguments.strategy
    if strategy == "tensor":
        return tensor
    if strategy == "channel":
        return rows
    if strategy in ("group", "tensor_group") and arguments.group_size:
        return (scales.of_groups(shape, arguments.group_size),)
    if strategy == "block" or arguments.block:
        # several matrices that were stacked have a scale each, or none is divided
        return (blocks,)
    if name.endswith("_inv"):
        # without a configuration, any block that divides them will do
        shown = stored is not None and scales.shown_block(shape, stored) is not None
        return scales.each((blocks, *((stored,) if shown and stored is not None else ()), *tensor))
    shown = stored is not None and scales.shown_block(shape, stored) is not None
    return scales.each((*tensor, *rows, *((stored,) if shown and stored is not None else ())))


def _block(shape: Shape, arguments: Arguments, stored: Shape | None) -> Shape | None:
    """Return how many elements of each axis share a scale."""
    if len(shape) < 2:
        return None if stored is None else shape if scales.is_one(stored) else (1,) * len(shape)
    lead = (1,) * len(shape[:-2])
    if stored is None:
        return (*lead, *arguments.block) if arguments.block else None
    if scales.is_one(stored):
        return shape
    if arguments.block and scales.of_blocks(shape, arguments.block) == stored:
        return (*lead, *arguments.block)
    if lead and stored in scales.of_tensor(shape):
        return (*lead, *shape[-2:])
    if stored in scales.of_rows(shape):
        return (*lead, 1, shape[-1])
    size = arguments.group_size
    if size and size > 0 and scales.of_groups(shape, size) == stored:
        return (*lead, 1, size)
    shown = scales.shown_block(shape, stored)
    return None if shown is None else (*lead, *shown)


def _has_groups_of(size: int, codes: TensorInfo, scale: TensorInfo | None) -> bool:
    shape = codes.shape
    return scale is not None and bool(shape) and scale.shape == scales.of_groups(shape, size)


def _is_zero_point(dtype: DType) -> bool:
    return is_integer(dtype) or is_float(dtype) or is_byte(dtype) or dtype.bits == 8


def _is_scale_or_byte(dtype: DType) -> bool:
    return is_scale(dtype) or is_unsigned_byte(dtype)
