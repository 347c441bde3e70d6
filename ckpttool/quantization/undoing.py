"""From a quantized weight to the codes and scales that it is decoded with, or why it is not."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple, Union

from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.text import printable
from ckpttool.quantization import packed as role
from ckpttool.quantization.codes import FOUR_BIT_FLOATS, Coded, CodeType, Grid, Planes
from ckpttool.quantization.packed import is_exponent, is_unsigned_byte
from ckpttool.quantization.schemes import SCHEMES
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.gather import fill

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

#: The schemes that are undone, by key.
UNDONE = ("scaled-fp8", "scaled-int8", "llm-int8", "mxfp4")

# Of LLM.int8: its library multiplies by this, which is 1 / 127 rounded, and does not divide.
_PART_OF_127 = 7.874015718698502e-3
_EXPONENTS = next(dtype for dtype in DTYPES.values() if is_exponent(dtype))
_IN_BLOCK = 16  # bytes of codes in a block of gpt-oss

#: What a part is called in a message.
_WORDS = {
    role.CODES: "its codes",
    role.SCALE: "its scale",
    role.ZERO_POINT: "its zero points",
    role.GLOBAL_SCALE: "the scale of its scales",
    role.SHAPE: "its shape",
}


class Refused(NamedTuple):
    """Why a weight is not decoded.

    Attributes:
        reason: in words, of the weight.
        tensors: the names of the parts that it is about.
        unsupported: whether nothing is wrong with the file: this is not done here.
    """

    reason: str
    tensors: tuple[str, ...]
    unsupported: bool = False


def undo(packed: Packed) -> Union[Coded, Refused]:
    """Return what a weight is decoded with, or why it is not.

    Raises:
        CkpttoolError: a part that says how it is stored cannot be read.
    """
    return _unsupported(packed) or _wrong_part(packed) or _UNDO[packed.scheme](packed)


# --- what stands against it ----------------------------------------------------------------


def _unsupported(packed: Packed) -> Refused | None:
    names = tuple(info.name for info in packed.parts.values())
    if packed.scheme not in UNDONE:
        scheme = SCHEMES.get(packed.scheme, packed.scheme)
        return Refused(f"{scheme} is not undone here", names, unsupported=True)
    for what, why in (
        (role.GROUP_INDEX, "its inputs are in another order"),
        (role.PRE_SCALE, "its inputs are scaled, which weights alone cannot undo"),
    ):
        if what in packed.parts:
            return Refused(why, (packed.parts[what].name,), unsupported=True)
    stored = packed.parts.get(role.FORMAT)
    if stored is not None and _number_in(stored):
        return Refused("its codes are not stored row by row", (stored.name,), unsupported=True)
    return None


def _number_in(info: TensorInfo) -> int:
    """Return a whole number that a tensor of one element holds; 0 for no element."""
    raw = bytearray(info.nbytes if info.numel == 1 else 0)
    try:
        fill(info, 0, memoryview(raw))
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise
    return int.from_bytes(raw, "little")


def _wrong_part(packed: Packed) -> Refused | None:
    """Return which part is missing, or not what it must be."""
    for what, name in packed.absent.items():
        if what not in role.OF_INPUTS:
            return Refused(f"{_WORDS.get(what, what)} is missing: {printable(name)}", (name,))
    for what, expected in packed.expected.items():
        info = packed.parts.get(what)
        if info is None or what in role.OF_INPUTS:
            continue
        if not expected.fits(info.dtype):
            reason = f"{_WORDS.get(what, what)} is {info.dtype.name}, not {expected.types}"
            return Refused(reason, (info.name,))
        if expected.shapes and info.shape not in expected.shapes:
            return _of_shape(what, info, expected.shapes)
    return None


def _of_shape(what: str, info: TensorInfo, shapes: tuple[tuple[int, ...], ...]) -> Refused:
    allowed = " or ".join(str(list(shape)) for shape in shapes)
    reason = f"{_WORDS.get(what, what)} has the shape {list(info.shape)}, not {allowed}"
    return Refused(reason, (info.name,))


# --- by scheme ----------------------------------------------------------------------------


def _eight_bits(packed: Packed) -> Union[Coded, Refused]:
    codes, shape = packed.codes, planes_of(packed.codes.shape)
    scales = _grid(packed, role.SCALE, shape)
    if isinstance(scales, Refused) or role.ZERO_POINT not in packed.parts:
        if isinstance(scales, Refused):
            return scales
        return Coded(codes, CodeType(8, codes.dtype), shape, scales)
    zeros = _grid(packed, role.ZERO_POINT, shape)
    if isinstance(zeros, Refused):
        return zeros
    return Coded(codes, CodeType(8, codes.dtype), shape, scales, zeros)


def _llm_int8(packed: Packed) -> Union[Coded, Refused]:
    found = _eight_bits(packed)
    return found if isinstance(found, Refused) else found._replace(factor=_PART_OF_127)


def _four_bit_floats(packed: Packed) -> Union[Coded, Refused]:
    codes = packed.codes
    if packed.transposed:  # blocks of 16 bytes; of three axes and more, as the model has them
        if packed.shape is None:
            return Refused(f"its codes have the shape {list(codes.shape)}", (codes.name,))
        *lead, columns, rows = packed.shape
        shape = Planes(prod(lead), rows, columns)
        scales = _grid(packed, role.SCALE, shape, (1, 2 * _IN_BLOCK))
    else:
        *lead, width = codes.shape
        shape = planes_of((*lead, 2 * width))
        scales = _grid(packed, role.SCALE, shape)
    if isinstance(scales, Refused):
        return scales
    return Coded(codes, FOUR_BIT_FLOATS, shape, scales, transposed=packed.transposed)


_UNDO = {
    "scaled-fp8": _eight_bits,
    "scaled-int8": _eight_bits,
    "llm-int8": _llm_int8,
    "mxfp4": _four_bit_floats,
}


def planes_of(shape: tuple[int, ...]) -> Planes:
    """Return a shape as matrices: fewer axes are one row, or a single element."""
    lead, (rows, columns) = shape[:-2], (1, 1, *shape)[-2:]
    return Planes(prod(lead), rows, columns)


def _grid(
    packed: Packed, what: str, shape: Planes, block: tuple[int, int] | None = None
) -> Union[Grid, Refused]:
    """Return the numbers of a part by the blocks that they belong to."""
    info = packed.parts[what]
    dtype = _read_as(info, what)
    if info.numel == 1:
        return Grid(info, dtype, Planes(1, 1, 1), max(1, shape.rows), max(1, shape.columns))
    if block is None and packed.block is not None:
        *lead, height, width = (1, *packed.block)
        block = height, width
        if len(packed.block) == 1:  # of a vector
            block = 1, width
        elif any(length != 1 for length in lead):
            block = None
    if block is None or min(block) < 1:
        reason = f"which of its elements share a number of {_WORDS[what][4:]} is not known"
        return Refused(reason, (info.name,))
    grid = Planes(shape.planes, -(-shape.rows // block[0]), -(-shape.columns // block[1]))
    if info.numel != grid.numel:
        return _of_shape(what, info, ((grid.planes, grid.rows, grid.columns),))
    return Grid(info, dtype, grid, *block)


def _read_as(info: TensorInfo, what: str) -> DType:
    # powers of two, whose exponents are stored in plain bytes
    return _EXPONENTS if what == role.SCALE and is_unsigned_byte(info.dtype) else info.dtype
