"""The words of this room: a quantized weight, what it is made of, and what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping, NamedTuple, Tuple

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

Shape = Tuple[int, ...]

# What a tensor is for a weight.
CODES = "codes"
SCALE = "scale"
ZERO_POINT = "zero_point"
#: The scale of the scales, one for a tensor.
GLOBAL_SCALE = "global_scale"
#: Which row of the scales each input belongs to.
GROUP_INDEX = "g_idx"
#: The logical shape as numbers.
SHAPE = "shape"
INPUT_SCALE = "input_scale"
INPUT_ZERO_POINT = "input_zero_point"
INPUT_GLOBAL_SCALE = "input_global_scale"
OUTPUT_SCALE = "output_scale"
PRE_SCALE = "pre_quant_scale"
# bitsandbytes; its absmax is the scale
QUANT_MAP = "quant_map"
NESTED_ABSMAX = "nested_absmax"
NESTED_QUANT_MAP = "nested_quant_map"
QUANT_STATE = "quant_state"
FORMAT = "weight_format"

#: What says something of the inputs of a layer, and nothing of its weight.
OF_INPUTS = frozenset({INPUT_SCALE, INPUT_ZERO_POINT, INPUT_GLOBAL_SCALE, OUTPUT_SCALE, PRE_SCALE})


class Expected(NamedTuple):
    """What a part must be.

    Attributes:
        shapes: those it may have; empty where nothing is known of them.
        fits: whether it may have a type.
        types: those types in words.
        by: what of the configuration asks for these shapes, in words.
    """

    shapes: tuple[Shape, ...]
    fits: Callable[[DType], bool]
    types: str
    by: str = ""


class Packed(NamedTuple):
    """A quantized weight.

    Attributes:
        name: what the model calls the weight: ``model.layers.0.mlp.up_proj.weight``.
        scheme: how its numbers are made of codes; a key of :data:`.schemes.SCHEMES`.
        parts: the tensors that it is made of, by role.
        shape: the weight's own, as the model has it; ``None`` where the parts do not show it.
        bits: of one code; 0 where it is not known.
        block: how many elements along each axis of the weight share a scale; ``None`` where it
            is not known.
        symmetric: whether there is no zero point; ``None`` where it is not known.
        transposed: whether the codes lie along the other axis of the last two: then ``shape`` is
            the model's, and the codes' own has these two exchanged.
        needed: the parts without which it has no numbers, and what they would be called.
        expected: what its parts must be, by role.
    """

    name: str
    scheme: str
    parts: Mapping[str, TensorInfo]
    shape: Shape | None
    bits: int = 0
    block: Shape | None = None
    symmetric: bool | None = None
    transposed: bool = False
    needed: Mapping[str, str] = {}
    expected: Mapping[str, Expected] = {}

    @property
    def codes(self) -> TensorInfo:
        """The tensor with the codes."""
        return self.parts[CODES]

    @property
    def absent(self) -> dict[str, str]:
        """The roles that are needed and not there, with the names they would have."""
        return {role: name for role, name in self.needed.items() if role not in self.parts}


# --- types, by what they are: the table of tensors.dtypes has their names -------------------


def is_float(dtype: DType) -> bool:
    """Whether it is a float that holds numbers by itself."""
    return dtype.kind == "float" and dtype.bits >= 16


def is_float8(dtype: DType) -> bool:
    """Whether it is a float of 8 bits with a mantissa."""
    found = dtype.encoding
    return dtype.kind == "float" and dtype.bits == 8 and found is not None and found.mantissa > 0


def is_exponent(dtype: DType) -> bool:
    """Whether it is a power of two: an exponent of 8 bits and nothing else."""
    return dtype.encoding is not None and dtype.encoding.mantissa == 0


def is_byte(dtype: DType) -> bool:
    """Whether it is an integer of 8 bits, signed or not."""
    return dtype.kind in ("int", "uint") and dtype.bits == 8


def is_unsigned_byte(dtype: DType) -> bool:
    """Whether it is an unsigned integer of 8 bits."""
    return dtype.kind == "uint" and dtype.bits == 8


def is_scale(dtype: DType) -> bool:
    """Whether it is a usual type of scales: a float of 16 bits or more, or a bare exponent."""
    return is_float(dtype) or is_exponent(dtype)


def is_word(dtype: DType) -> bool:
    """Whether it is an integer of 32 bits, into which codes are packed."""
    return dtype.kind in ("int", "uint") and dtype.bits == 32


def is_integer(dtype: DType) -> bool:
    """Whether it is an integer of any width."""
    return dtype.kind in ("int", "uint")
