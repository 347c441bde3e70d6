"""The schemes: how the parts of a weight become numbers, and what they must be for that.

Each module has a function of what was found under a weight's name and of what the configuration
says of it, and returns the weight; :func:`packed_of` knows which one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import is_byte, is_exponent, is_float8, is_word
from ckpttool.quantization.schemes import bitsandbytes, eight_bits, four_bit_floats, in_words

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.schemes.naming import Naming
    from ckpttool.quantization.settings import Arguments

#: Every scheme by its key, and what reports call it.
SCHEMES = {
    "scaled-fp8": "fp8 with scales",
    "scaled-int8": "int8 with scales",
    "llm-int8": "LLM.int8 of bitsandbytes",
    "bnb-4bit": "nf4 or fp4 of bitsandbytes",
    "pack-quantized": "integers packed in 32 bits, of compressed-tensors",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
    "torchao": "torchao",
}


def packed_of(found: Found, arguments: Arguments, naming: Naming, method: str) -> Packed | None:
    """Return the weight that the parts under a name make up; ``None`` if they are none.

    Args:
        found: the parts.
        arguments: what the configuration says of its module.
        naming: what its parts would be called.
        method: of the configuration, ``""`` without one.
    """
    codes, parts = found.codes, found.parts
    if codes is None:
        return None
    scale = parts.get(role.SCALE)
    last = "" if scale is None else scale.name.rpartition(".")[2]
    if last == "absmax" or not bitsandbytes.OF_FOUR_BITS.isdisjoint(parts):
        return bitsandbytes.four_bits(found)
    if last == "SCB" or role.FORMAT in parts:
        return bitsandbytes.eight_bits(found, naming)
    if role.CODES in parts:
        return _by_name(found, arguments, naming, method)
    if is_float8(codes.dtype):
        return eight_bits.floats(found, arguments, naming)
    return _bytes(found, arguments, naming, method) if is_byte(codes.dtype) else None


def _by_name(found: Found, arguments: Arguments, naming: Naming, method: str) -> Packed | None:
    """Return a weight whose codes have a name that only codes have."""
    codes = found.parts[role.CODES]
    if codes.name.rpartition(".")[2] == "qweight":
        return in_words.by_groups(found, arguments, naming, method)
    if is_word(codes.dtype):
        return in_words.pack_quantized(found, arguments, naming)
    return four_bit_floats.packed(found, arguments, naming)


def _bytes(found: Found, arguments: Arguments, naming: Naming, method: str) -> Packed | None:
    """Return a weight that is stored as bytes: an integer each, or two floats of 4 bits."""
    scale, parts = found.parts.get(role.SCALE), found.parts
    halves = scale is not None and (is_float8(scale.dtype) or is_exponent(scale.dtype))
    if halves or role.GLOBAL_SCALE in parts or (arguments.floats and arguments.bits == 4):
        return four_bit_floats.packed(found, arguments, naming)
    if method == "bitsandbytes" and scale is None:
        if arguments.bits == 4:
            return bitsandbytes.four_bits(found)
        return bitsandbytes.eight_bits(found, naming)
    return eight_bits.integers(found, arguments, naming)
