"""torchao: a weight is an object, which a file has in parts, and the file's metadata describes it.

Under the name of a weight the metadata has JSON with the type of the object, its settings and the
names of its parts, and under ``tensor_names`` the names of all tensors. A part of
``up_proj.weight`` is called ``up_proj._weight_scale``. The shapes follow from the size of the
blocks; of types that a kernel lays out, the names alone are known.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import (
    Expected,
    Packed,
    is_float,
    is_integer,
    is_scale,
    is_unsigned_byte,
)
from ckpttool.quantization.parts import joined, split
from ckpttool.quantization.schemes import scales

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Shape
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

_ROLES = {
    "qdata": role.CODES,
    "scale": role.SCALE,
    "zero_point": role.ZERO_POINT,
    "per_tensor_scale": role.GLOBAL_SCALE,
    "act_per_tensor_scale": role.INPUT_SCALE,
    "act_pre_scale": role.PRE_SCALE,
}
# Whose codes have the shape of the weight, and whose scales have one for each block of it.
_ONE_TO_ONE = frozenset({"Float8Tensor", "Int8Tensor", "IntxUnpackedToInt8Tensor"})
_PLAIN = "Tensor"
_BITS = re.compile(r"u?int([1-8])")
# Nested further is no metadata of this kind; the reader of JSON would go as deep as it can.
_LONGEST = 100_000


class Declared(NamedTuple):
    """What the metadata says of a weight.

    Attributes:
        kind: the type of the object.
        parts: the names of its parts in the file, by role.
        block: elements of each axis that share a scale.
        bits: of a code, where the metadata says it.
    """

    kind: str
    parts: dict[str, str]
    block: Shape | None
    bits: int


def declared_in(metadata: Mapping[str, str]) -> dict[str, Declared]:
    """Return the weights that metadata describes; none where it is of another kind."""
    if "tensor_names" not in metadata:
        return {}
    found: dict[str, Declared] = {}
    for name, text in metadata.items():
        if text.startswith("{") and len(text) <= _LONGEST and '"_tensor_data_names"' in text:
            known = _declared(name, text)
            if known is not None:
                found[name] = known
    return found


def _declared(name: str, text: str) -> Declared | None:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind, parts, data = (raw.get(key) for key in ("_type", "_tensor_data_names", "_data"))
    if not isinstance(kind, str) or kind == _PLAIN or not isinstance(parts, list):
        return None
    module, last = split(name)
    names = {
        _ROLES.get(part, part): joined(module, f"_{last}_{part}")
        for part in parts[:20]
        if isinstance(part, str)
    }
    data = data if isinstance(data, dict) else {}
    block = data.get("block_size")
    sized = isinstance(block, list) and all(type(one) is int and one > 0 for one in block)
    target = data.get("target_dtype")
    bits = _BITS.fullmatch(str(target.get("_data"))) if isinstance(target, dict) else None
    return Declared(
        kind, names, tuple(block) if sized and block else None, int(bits[1]) if bits else 0
    )


def declared(name: str, one: Declared, tensors: Mapping[str, TensorInfo]) -> Packed | None:
    """Return a weight that the metadata describes; ``None`` if no part of it is there."""
    parts = {what: tensors[part] for what, part in one.parts.items() if part in tensors}
    codes = parts.get(role.CODES)
    if codes is None:
        return None
    shape = codes.shape if one.kind in _ONE_TO_ONE else None
    expected: dict[str, Expected] = {}
    if shape is not None and one.block is not None and len(one.block) == len(shape):
        blocks = tuple(map(scales.ceil, shape, one.block))
        flat = (blocks, *((blocks[:-1],) if blocks[-1:] == (1,) else ()))
        of_one = scales.of_tensor(shape) if set(blocks) == {1} else ()
        shapes = scales.each((*flat, *of_one))
        expected = {
            role.SCALE: Expected(shapes, _is_any_scale, "a float of 16 bits or more, or e8m0"),
            role.ZERO_POINT: Expected(shapes, _is_zero_point, "an integer or a float"),
        }
    symmetric = role.ZERO_POINT not in one.parts
    return Packed(
        name,
        "torchao",
        parts,
        shape,
        one.bits or (codes.dtype.bits if shape is not None else 0),
        one.block if shape is not None else None,
        symmetric,
        needed=one.parts,
        expected=expected,
    )


def _is_any_scale(dtype: DType) -> bool:
    return is_scale(dtype) or is_unsigned_byte(dtype)


def _is_zero_point(dtype: DType) -> bool:
    return is_integer(dtype) or is_float(dtype)
