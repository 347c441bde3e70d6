"""The shape of a weight, where it is stored as numbers and no header shows it.

bitsandbytes keeps it as JSON in bytes, with the sizes of its blocks; compressed-tensors in
``weight_shape``. These parts are small, and read here; a larger one is not what it should be.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import Expected, is_byte, is_integer
from ckpttool.quantization.schemes import scales
from ckpttool.tensors.gather import read_small

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed, Shape
    from ckpttool.tensors.catalogue import TensorInfo

#: Bytes of a state and of a stored shape; honest ones have a few hundred.
MOST_BYTES = 4096
# Axes and elements: more than a signed 64-bit number has no file.
_MOST_AXES, _MOST_ELEMENTS = 64, (1 << 63) - 1


class Problem(NamedTuple):
    """A stored shape that is none, or contradicts the tensors: which part, and what is wrong."""

    role: str
    what: str


def with_stored_shapes(
    packed: Mapping[str, Packed],
) -> tuple[dict[str, Packed], dict[str, Problem]]:
    """Return the weights with the shapes that are stored, and what is wrong with these.

    Args:
        packed: the weights by name. Their files must be open.

    Raises:
        CkpttoolError: bytes could not be read.
    """
    found = dict(packed)
    problems: dict[str, Problem] = {}
    stored = {
        name: one.parts[what]
        for name, one in packed.items()
        for what, _ in [_READINGS.get(one.scheme, ("", None))]
        if what in one.parts
    }
    small = {name: info for name, info in stored.items() if _is_small(info)}
    read = read_small(list(small.values()), [info.nbytes for info in small.values()])
    data = dict(zip(small, read))
    for name, info in stored.items():
        what, reading = _READINGS[packed[name].scheme]
        try:
            if name not in data:
                raise ValueError(f"it is a tensor of {info.nbytes:,} bytes of {info.dtype.name}")
            found[name] = reading(packed[name], data[name])
        except ValueError as error:
            problems[name] = Problem(what, str(error))
    return found, problems


def _is_small(info: TensorInfo) -> bool:
    return is_integer(info.dtype) and 0 < info.nbytes <= MOST_BYTES and bool(info.extents)


# --- compressed-tensors ---------------------------------------------------------------------


def _with_shape(one: Packed, data: bytes) -> Packed:
    width = one.parts[role.SHAPE].dtype.itemsize
    shape = tuple(
        int.from_bytes(data[at : at + width], "little", signed=True)
        for at in range(0, len(data), width)
    )
    codes = one.codes.shape
    _check_sizes(shape)
    if len(shape) != len(codes) or shape[:-1] != codes[:-1]:
        raise ValueError(f"it says {list(shape)}, and the codes are {list(codes)}")
    words = codes[-1] * 32
    bits = one.bits or words // shape[-1]
    if scales.ceil(shape[-1] * bits, 32) != codes[-1]:
        per_row = scales.ceil(shape[-1] * bits, 32)
        raise ValueError(
            f"it says {list(shape)}, of which a row is {per_row:,} words at {bits} bits, and "
            f"the codes have {codes[-1]:,}"
        )
    return one._replace(shape=shape, bits=bits)


# --- bitsandbytes ---------------------------------------------------------------------------


def _with_state(one: Packed, data: bytes) -> Packed:
    try:
        state = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(state, dict):
        raise ValueError("it is not a JSON object")
    stored = state.get("shape")
    if not isinstance(stored, list) or not all(type(size) is int for size in stored):
        raise ValueError("it has no shape")
    shape = tuple(stored)
    _check_sizes(shape)
    elements, size = prod(shape), _size(state, "blocksize")
    kind = one.parts[role.QUANT_STATE].name.rpartition("__")[2]
    if state.get("quant_type") != kind:
        raise ValueError(f"it says quant_type {str(state.get('quant_type'))[:20]}, its name {kind}")
    halves = scales.ceil(elements, 2)
    if one.codes.nbytes != halves:
        raise ValueError(
            f"it says {list(shape)}, which is {halves:,} bytes at 4 bits, and the codes have "
            f"{one.codes.nbytes:,}"
        )
    blocks = scales.ceil(elements, size)
    expected = dict(one.expected)
    expected[role.SCALE] = expected[role.SCALE]._replace(shapes=((blocks,), (blocks, 1)))
    needed = dict(one.needed)
    if "nested_blocksize" in state:
        nested = scales.ceil(blocks, _size(state, "nested_blocksize"))
        expected[role.NESTED_ABSMAX] = expected[role.NESTED_ABSMAX]._replace(shapes=((nested,),))
        expected[role.SCALE] = Expected(expected[role.SCALE].shapes, is_byte, "bytes")
        needed.setdefault(role.NESTED_ABSMAX, f"{one.name}.nested_absmax")
        needed.setdefault(role.NESTED_QUANT_MAP, f"{one.name}.nested_quant_map")
    elif role.NESTED_ABSMAX in one.parts:
        raise ValueError("it says nothing of a nested absmax, and there is one")
    return one._replace(shape=shape, expected=expected, needed=needed, block=_run(shape, size))


def _run(shape: Shape, size: int) -> Shape | None:
    """Return the block of ``size`` elements in a row; ``None`` if a block leaves its row."""
    whole = bool(shape) and shape[-1] > 0 and shape[-1] % size == 0
    return (*(1 for _ in shape[:-1]), size) if whole else None


def _size(state: Mapping[str, object], key: str) -> int:
    size = state.get(key)
    if type(size) is not int or not 0 < size <= _MOST_ELEMENTS:
        raise ValueError(f"it has no {key}")
    return size


def _check_sizes(shape: Shape) -> None:
    if (
        len(shape) > _MOST_AXES
        or any(not 0 < size <= _MOST_ELEMENTS for size in shape)
        or prod(shape) > _MOST_ELEMENTS
    ):
        raise ValueError("it says a shape that no weight has")


_READINGS = {
    "pack-quantized": (role.SHAPE, _with_shape),
    "bnb-4bit": (role.QUANT_STATE, _with_state),
}
