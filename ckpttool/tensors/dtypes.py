"""The one table of element types: a new type is a new row."""

from __future__ import annotations

from typing import NamedTuple


class DType(NamedTuple):
    """An element type.

    ``name`` is torch's name, ``bits`` the width of one element, ``kind`` one of ``float``,
    ``int``, ``uint``, ``bool``, ``complex``; ``safetensors`` is the code in a safetensors
    header and ``storage`` the torch storage class, where there is one.
    """

    name: str
    bits: int
    kind: str
    safetensors: str | None = None
    storage: str | None = None

    @property
    def itemsize(self) -> int:
        """Width of one element in whole bytes; a sub-byte type has no item size of its own.

        Raises:
            ValueError: the type is narrower than a byte.
        """
        if self.bits % 8:
            raise ValueError(f"{self.name} elements are {self.bits} bits wide")
        return self.bits // 8


_TABLE = (
    DType("float64", 64, "float", "F64", "DoubleStorage"),
    DType("float32", 32, "float", "F32", "FloatStorage"),
    DType("float16", 16, "float", "F16", "HalfStorage"),
    DType("bfloat16", 16, "float", "BF16", "BFloat16Storage"),
    DType("float8_e4m3fn", 8, "float", "F8_E4M3"),
    DType("float8_e5m2", 8, "float", "F8_E5M2"),
    DType("float8_e4m3fnuz", 8, "float", "F8_E4M3FNUZ"),
    DType("float8_e5m2fnuz", 8, "float", "F8_E5M2FNUZ"),
    DType("float8_e8m0fnu", 8, "float", "F8_E8M0"),
    DType("float6_e2m3", 6, "float", "F6_E2M3"),
    DType("float6_e3m2", 6, "float", "F6_E3M2"),
    DType("float4_e2m1", 4, "float", "F4"),
    # torch packs two 4-bit elements into one byte and counts the pairs
    DType("float4_e2m1fn_x2", 8, "float"),
    DType("int64", 64, "int", "I64", "LongStorage"),
    DType("int32", 32, "int", "I32", "IntStorage"),
    DType("int16", 16, "int", "I16", "ShortStorage"),
    DType("int8", 8, "int", "I8", "CharStorage"),
    DType("uint64", 64, "uint", "U64"),
    DType("uint32", 32, "uint", "U32"),
    DType("uint16", 16, "uint", "U16"),
    DType("uint8", 8, "uint", "U8", "ByteStorage"),
    DType("bool", 8, "bool", "BOOL", "BoolStorage"),
    DType("complex128", 128, "complex", None, "ComplexDoubleStorage"),
    DType("complex64", 64, "complex", "C64", "ComplexFloatStorage"),
)

#: Every element type by torch's name.
DTYPES = {dtype.name: dtype for dtype in _TABLE}
#: By the code of a safetensors header.
SAFETENSORS_DTYPES = {dtype.safetensors: dtype for dtype in _TABLE if dtype.safetensors}
#: By the name of the torch storage class.
STORAGE_DTYPES = {dtype.storage: dtype for dtype in _TABLE if dtype.storage}


# Two elements in a byte, as torch counts them and as a safetensors header does.
_PAIRS, _FOUR_BITS = DTYPES["float4_e2m1fn_x2"], DTYPES["float4_e2m1"]


def by_elements(dtype: DType, shape: tuple[int, ...]) -> tuple[DType, tuple[int, ...]]:
    """Return type and shape with elements counted where torch counts pairs of them.

    ``float4_e2m1fn_x2`` of ``[4, 4]`` is ``float4_e2m1`` of ``[4, 8]``: ``save_file`` and
    ``load_file`` of safetensors take them for each other. One tensor has one type and shape here,
    whatever carries it.
    """
    if dtype is not _PAIRS or not shape:
        return dtype, shape
    return _FOUR_BITS, (*shape[:-1], 2 * shape[-1])


def by_pairs(dtype: DType, shape: tuple[int, ...]) -> tuple[DType, tuple[int, ...]]:
    """Return type and shape as torch counts them; those that it cannot hold as they are."""
    if dtype is not _FOUR_BITS or not shape or shape[-1] % 2:
        return dtype, shape
    return _PAIRS, (*shape[:-1], shape[-1] // 2)
