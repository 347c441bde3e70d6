"""The one table of element types: a new type is a new row.

How bytes become numbers, how numbers are rounded and what containers call a type all follow from
its columns; no other module lists types by name. Headers are read without numpy, so it is not
imported here.
"""

from __future__ import annotations

from typing import NamedTuple


class Float(NamedTuple):
    """How the bits of a floating number are laid out: a sign, if any, exponent and mantissa.

    Attributes:
        exponent: its bits.
        mantissa: explicit bits: the numbers just above 1 are ``2 ** -mantissa`` apart.
        bias: what is subtracted from the stored exponent.
        special: what is not finite: ``ieee`` (the highest exponent holds infinity and NaN), ``fn``
            (only all ones is NaN, no infinity) or ``fnuz`` (-0 is NaN, no infinity).
    """

    exponent: int
    mantissa: int
    bias: int
    special: str = "ieee"

    @property
    def lowest(self) -> int:
        """Exponent of the smallest normal number."""
        return 1 - self.bias

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return self.number(self._last_finite)

    @property
    def beyond(self) -> float:
        """The result of a cast whose rounded value exceeds the largest."""
        return float("inf" if self.special == "ieee" else "nan")

    def number(self, bits: int) -> float:
        """Return the number that ``bits`` stand for."""
        negative, magnitude = divmod(bits, 1 << (self.exponent + self.mantissa))
        sign = -1.0 if negative else 1.0
        if magnitude > self._last_finite:
            infinite = self.special == "ieee" and magnitude == self._last_finite + 1
            return sign * float("inf" if infinite else "nan")
        if self.special == "fnuz" and negative and not magnitude:
            return float("nan")
        exponent, fraction = divmod(magnitude, 1 << self.mantissa)
        # Subnormal: no leading one. A bare exponent has no such numbers, and no zero.
        if exponent == 0 and self.mantissa:
            exponent = 1
        else:
            fraction += 1 << self.mantissa
        return sign * fraction * 2.0 ** (exponent - self.bias - self.mantissa)

    @property
    def _last_finite(self) -> int:
        # The codes at the top that are not finite: a whole exponent, one NaN, or none of them.
        taken = {"ieee": 1 << self.mantissa, "fn": 1, "fnuz": 0}
        return (1 << (self.exponent + self.mantissa)) - 1 - taken[self.special]


class DType(NamedTuple):
    """An element type.

    Attributes:
        name: torch's.
        bits: the width of one element.
        kind: ``float``, ``int``, ``uint``, ``bool`` or ``complex``.
        encoding: the layout of a float's bits; ``None`` for other kinds, and for floats that are
            known by name and width only.
        safetensors: the code in a safetensors header, where there is one.
        storage: the torch storage class, where there is one.
        struct: its code in the ``struct`` module, which knows the same types as numpy.
        late: whether the first releases of the safetensors library cannot open a file with it.
    """

    name: str
    bits: int
    kind: str
    encoding: Float | None = None
    safetensors: str | None = None
    storage: str | None = None
    struct: str | None = None
    late: bool = False

    @property
    def itemsize(self) -> int:
        """Width of one element in whole bytes; a sub-byte type has no item size of its own.

        Raises:
            ValueError: the type is narrower than a byte.
        """
        if self.bits % 8:
            raise ValueError(f"{self.name} elements are {self.bits} bits wide")
        return self.bits // 8

    @property
    def part_bits(self) -> int:
        """Width of one number: a complex element has two."""
        return self.bits // 2 if self.kind == "complex" else self.bits

    @property
    def numpy(self) -> str | None:
        """Code in numpy without the byte order, such as ``f4``; ``None`` if numpy lacks it."""
        return f"{self.kind[0]}{self.itemsize}" if self.struct else None

    @property
    def has_numbers(self) -> bool:
        """Whether its elements can be read as numbers."""
        return self.struct is not None or self.encoding is not None

    @property
    def integral(self) -> bool:
        """Whether its elements are whole numbers; a bool is 0 or 1."""
        return self.kind in ("int", "uint", "bool")

    @property
    def castable(self) -> bool:
        """Whether floats are cast to it and from it: narrower ones mean nothing without a scale."""
        return self.kind == "float" and self.bits >= 16

    @property
    def signed(self) -> bool:
        """Whether there are negative numbers of it."""
        if self.encoding is None:
            return self.kind not in ("uint", "bool")
        return self.encoding.exponent + self.encoding.mantissa < self.bits

    @property
    def is_cut_float32(self) -> bool:
        """Whether its bits are the upper half of a float32's."""
        return self.encoding == Float(8, 7, 127)


# E4M3 and E5M2: "FP8 Formats for Deep Learning", arXiv:2209.05433, and the OCP 8-bit floating
# point specification; fnuz: arXiv:2206.02915. E8M0, E3M2, E2M3 and E2M1: the OCP specification of
# microscaling formats. Those below a byte are packed, and nothing here computes with them.
_TABLE = (
    DType("float64", 64, "float", Float(11, 52, 1023), "F64", "DoubleStorage", "d"),
    DType("float32", 32, "float", Float(8, 23, 127), "F32", "FloatStorage", "f"),
    DType("float16", 16, "float", Float(5, 10, 15), "F16", "HalfStorage", "e"),
    DType("bfloat16", 16, "float", Float(8, 7, 127), "BF16", "BFloat16Storage"),
    DType("float8_e4m3fn", 8, "float", Float(4, 3, 7, "fn"), "F8_E4M3", late=True),
    DType("float8_e5m2", 8, "float", Float(5, 2, 15), "F8_E5M2", late=True),
    DType("float8_e4m3fnuz", 8, "float", Float(4, 3, 8, "fnuz"), "F8_E4M3FNUZ", late=True),
    DType("float8_e5m2fnuz", 8, "float", Float(5, 2, 16, "fnuz"), "F8_E5M2FNUZ", late=True),
    DType("float8_e8m0fnu", 8, "float", Float(8, 0, 127, "fn"), "F8_E8M0", late=True),
    DType("float6_e2m3", 6, "float", None, "F6_E2M3", late=True),
    DType("float6_e3m2", 6, "float", None, "F6_E3M2", late=True),
    DType("float4_e2m1", 4, "float", None, "F4", late=True),
    # torch packs two 4-bit elements into one byte and counts the pairs
    DType("float4_e2m1fn_x2", 8, "float"),
    DType("int64", 64, "int", None, "I64", "LongStorage", "q"),
    DType("int32", 32, "int", None, "I32", "IntStorage", "i"),
    DType("int16", 16, "int", None, "I16", "ShortStorage", "h"),
    DType("int8", 8, "int", None, "I8", "CharStorage", "b"),
    DType("uint64", 64, "uint", None, "U64", None, "Q", late=True),
    DType("uint32", 32, "uint", None, "U32", None, "I", late=True),
    DType("uint16", 16, "uint", None, "U16", None, "H", late=True),
    DType("uint8", 8, "uint", None, "U8", "ByteStorage", "B"),
    DType("bool", 8, "bool", None, "BOOL", "BoolStorage", "?"),
    DType("complex128", 128, "complex", None, None, "ComplexDoubleStorage", "dd"),
    DType("complex64", 64, "complex", None, "C64", "ComplexFloatStorage", "ff", late=True),
)

#: Every element type by torch's name.
DTYPES = {dtype.name: dtype for dtype in _TABLE}
#: By the code of a safetensors header.
SAFETENSORS_DTYPES = {dtype.safetensors: dtype for dtype in _TABLE if dtype.safetensors}
#: By the name of the torch storage class.
STORAGE_DTYPES = {dtype.storage: dtype for dtype in _TABLE if dtype.storage}
#: By numpy's code, without the byte order.
NUMPY_DTYPES = {dtype.numpy: dtype for dtype in _TABLE if dtype.numpy}
#: What an untyped storage is an array of: bytes.
BYTE = DTYPES["uint8"]


# Two elements in a byte, as torch counts them and as a safetensors header does.
_PAIRS, _FOUR_BITS = DTYPES["float4_e2m1fn_x2"], DTYPES["float4_e2m1"]


def by_elements(dtype: DType, shape: tuple[int, ...]) -> tuple[DType, tuple[int, ...]]:
    """Return type and shape in single 4-bit elements, where torch counts pairs of them.

    ``float4_e2m1fn_x2`` of ``[4, 4]`` becomes ``float4_e2m1`` of ``[4, 8]``, as in safetensors'
    ``save_file``, so that a tensor has the same type and shape whatever container it comes from.
    """
    if dtype is not _PAIRS or not shape:
        return dtype, shape
    return _FOUR_BITS, (*shape[:-1], 2 * shape[-1])


def by_pairs(dtype: DType, shape: tuple[int, ...]) -> tuple[DType, tuple[int, ...]]:
    """Return type and shape as torch counts them; unchanged where torch cannot hold them."""
    # Pairs lie along the last axis; an odd one has no form in torch.
    if dtype is not _FOUR_BITS or not shape or shape[-1] % 2:
        return dtype, shape
    return _PAIRS, (*shape[:-1], shape[-1] // 2)
