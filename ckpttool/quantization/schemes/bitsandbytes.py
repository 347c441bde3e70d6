"""bitsandbytes: nf4 and fp4, whose blocks run over the whole tensor, and LLM.int8.

Of 4 bits, two codes lie in a byte, the first in its upper half. A code is looked up in
``quant_map`` and multiplied with the ``absmax`` of its block. ``absmax`` may itself be quantized:
then it holds bytes, which ``nested_quant_map``, ``nested_absmax`` and an offset turn into numbers.
``quant_state`` is JSON in bytes, with the shape and the sizes of the blocks. Of LLM.int8, a number
is ``code * SCB / 127`` with one ``SCB`` a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import Expected, Packed, is_byte, is_float, is_unsigned_byte

if TYPE_CHECKING:
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.schemes.naming import Naming
    from ckpttool.tensors.dtypes import DType

#: Parts that nothing else has.
OF_FOUR_BITS = frozenset(
    {role.QUANT_STATE, role.QUANT_MAP, role.NESTED_ABSMAX, role.NESTED_QUANT_MAP}
)
_TYPES = ("nf4", "fp4")


def four_bits(found: Found) -> Packed:
    """Return a weight of nf4 or fp4. Its shape is in the state, which no header shows."""
    codes, name = found.codes, found.name
    assert codes is not None  # noqa: S101 (the caller looked)
    state = found.parts.get(role.QUANT_STATE)
    kind = state.name.rpartition("__")[2] if state is not None else _TYPES[0]
    needed = {
        role.SCALE: f"{name}.absmax",
        role.QUANT_MAP: f"{name}.quant_map",
        role.QUANT_STATE: f"{name}.quant_state.bitsandbytes__{kind}",
    }
    absmax = found.parts.get(role.SCALE)
    if absmax is not None and is_byte(absmax.dtype):
        needed[role.NESTED_ABSMAX] = f"{name}.nested_absmax"
        needed[role.NESTED_QUANT_MAP] = f"{name}.nested_quant_map"
    expected = {
        role.SCALE: Expected((), _is_absmax, "float32, or bytes if it is nested"),
        role.QUANT_MAP: Expected(((16,),), is_float, "a float of 16 bits or more"),
        role.QUANT_STATE: Expected((), is_unsigned_byte, "bytes"),
        role.NESTED_ABSMAX: Expected((), is_float, "a float of 16 bits or more"),
        role.NESTED_QUANT_MAP: Expected(((256,),), is_float, "a float of 16 bits or more"),
    }
    parts = {**found.parts, role.CODES: codes}
    return Packed(name, "bnb-4bit", parts, None, 4, None, True, needed=needed, expected=expected)


def eight_bits(found: Found, naming: Naming) -> Packed:
    """Return a weight of LLM.int8."""
    codes = found.codes
    assert codes is not None  # noqa: S101 (the caller looked)
    rows = codes.shape[:1]
    expected = {role.SCALE: Expected((rows, (*rows, 1)), is_float, "a float of 16 bits or more")}
    return Packed(
        found.name,
        "llm-int8",
        {**found.parts, role.CODES: codes},
        codes.shape,
        8,
        (1, *codes.shape[1:]),
        True,
        needed={role.SCALE: naming.of(found, role.SCALE, "SCB")},
        expected=expected,
    )


def _is_absmax(dtype: DType) -> bool:
    return is_float(dtype) or is_unsigned_byte(dtype)
