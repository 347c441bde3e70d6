"""Recognises the tensors that make up quantized weights, which a cast would corrupt.

A quantized weight is stored as codes, which scales, zero points, tables or bounds beside them turn
into numbers. No file says what a tensor is for, but the type of the codes, the names and the other
tensors of a module show it. The names are those in files of bitsandbytes (nf4, fp4, LLM.int8),
GPTQ, AWQ, compressed-tensors, fine-grained and scaled fp8, MXFP4, torchao, quanto, HQQ, EETQ, AQLM,
QuIP#, EXL2, EXL3, NVIDIA's ModelOpt, and observers of torch.ao.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Collection, Iterator, Mapping, NamedTuple

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

# The widest integers that hold codes, alone or packed; 64 bits are an index or a count.
_WIDEST_CODE = 32

# The last part of a name that only codes have.
_PACKED = re.compile(
    r"q_?weight|q_?zeros|g_idx|q_?data|_data|trellis|\w*(_packed|_qweight|_qdata|_blocks)"
)
# Those of them that may be of any type: floats that are bytes, or 64 bits that are 4 codes.
_BYTES = re.compile(r"W_q|qweight|weight_packed|Qidxs")
# The last part of the name of a weight, which holds codes if it holds integers.
_WEIGHT = re.compile(r"(?:\w+_)?weight")
# The last part of the name of a tensor that turns codes into numbers, if codes are beside it.
_SCALE = re.compile(
    r"s|zeros?|(?:\w*_|W)?(?:scales?|scale_inv|scaling_factor|zero_points?|zp|absmax|min|max)|SCB"
    r"|codebooks?|biases"
)
# The same where it lies beside the module of its codes and is named after it.
_NAMED_AFTER = re.compile(r"(.+)_(?:scales?|scale_inv|zero_points?|zeros|absmax)")
# Integers of a model that is not quantized, beside something that is called a scale.
_PLAIN = re.compile(r"\w*(?:mask|index|indices|ids|bias|positions?)")

# Parts of a quantizer anywhere: nothing else has these names.
_QUANTIZERS = re.compile(
    r"(?:nested_)?(?:absmax|quant_map)|SCB|\w*_scale_inv|(?:weight|input)_global_scale"
    r"|weight_scale_2|_amax|_?pre_quant_scale"
)
# Parts of one in any file with codes: an attention's cache has scales but no codes of its own.
_COMPANION = re.compile(
    r"(?:weight|input|output|[qkv]|prob|kv|kv_cache)_(?:scale|scaling_factor)"
    r"|scale_(?:weight|input)"
)
# Codes that mark the file and belong to no weight.
_MARKERS = frozenset({"scaled_fp8"})
# A module that only quantizes, or watches what is to be quantized.
_QUANTIZER = re.compile(r"\w*(?:quantizer|fake_quant\w*|observer|activation_post_process\w*)")

_NARROW = 8  # bits: floating numbers that are so narrow come with scales
_MATRIX = 2  # dimensions, at least, of codes that only what lies beside them tells
_DEEPEST = 16  # modules above a tensor that are looked at


class Quantized(NamedTuple):
    """The tensors that a cast does not change.

    Attributes:
        parts: names of the tensors that make up quantized weights.
        beside: names of other tensors in their modules, mostly biases. Their names do not show
            what they are for, so not casting them is the safe choice.
    """

    parts: frozenset[str]
    beside: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.parts | self.beside


def quantized(tensors: Mapping[str, TensorInfo]) -> Quantized:
    """Return the tensors that make up quantized weights, and those beside them.

    Parts of quantized weights are

    - floating numbers of 8 bits and less, and integers that are codes: by a name that only codes
      have, because a weight is an integer, or because a scale lies beside them;
    - tensors with the name of a scale in the module of codes, or named after it, and everything
      below a code or a weight that has codes: such a weight is an object, and these its fields;
    - tensors with a name that only quantizers use.

    A parameter that is merely called ``scale``, in a module without codes, is none of them. A
    module below one with codes is judged by itself, such as a norm in a block.
    """
    lasts: dict[str, list[str]] = {}
    for name in tensors:
        module, last = _split(name)
        lasts.setdefault(module, []).append(last)
    codes = {name for name, info in tensors.items() if _is_code(name, info, lasts)}
    owners = {owner for name in codes - _MARKERS for owner in _owners(name)}
    modules = {_split(owner)[0] for owner in owners}
    named = owners | modules
    parts: set[str] = set()
    beside: set[str] = set()
    for name in tensors:
        by_name = _is_companion(name, bool(codes)) or _is_named_after(name, named)
        if by_name or name in codes or _is_below(name, owners):
            parts.add(name)
        elif _split(name)[0] in modules:
            (parts if _SCALE.fullmatch(_split(name)[1]) else beside).add(name)
    return Quantized(frozenset(parts), frozenset(beside))


def _is_code(name: str, info: TensorInfo, lasts: Mapping[str, list[str]]) -> bool:
    module, last = _split(name)
    # Some formats keep codes as the bytes of 16- or 32-bit floats.
    if _BYTES.fullmatch(last) or any(map(_QUANTIZERS.fullmatch, lasts.get(name, ()))):
        return True
    if info.dtype.kind == "float":
        return info.dtype.bits <= _NARROW
    if info.dtype.kind not in ("int", "uint") or info.dtype.bits > _WIDEST_CODE:
        return False
    if _PACKED.fullmatch(last) or _WEIGHT.fullmatch(last):
        return True
    if len(info.shape) < _MATRIX or _PLAIN.fullmatch(last):
        return False
    beside = (*lasts[module], *lasts.get(name, ()))
    return any(_SCALE.fullmatch(one) for one in beside if one != last)


def is_companion(name: str) -> bool:
    """Whether a tensor has the name of a scale, in a file that has codes."""
    return _is_companion(name, codes=True)


def _is_companion(name: str, codes: bool) -> bool:
    module, last = _split(name)
    if _QUANTIZERS.fullmatch(last) or _QUANTIZER.fullmatch(_split(module)[1]):
        return True
    return codes and _COMPANION.fullmatch(last) is not None


def _owners(name: str) -> Iterator[str]:
    """Yield a code, and the tensors that it is a part of.

    A weight that is an object has parts below its name, and parts of parts.
    """
    for _ in range(_DEEPEST):
        yield name
        name, _ = _split(name)
        _, last = _split(name)
        if not (_WEIGHT.fullmatch(last) or _PACKED.fullmatch(last)):
            return


def _is_below(name: str, owners: Collection[str]) -> bool:
    for _ in range(_DEEPEST):
        name, _ = _split(name)
        if not name or name in owners:
            return bool(name)
    return False


def _is_named_after(name: str, named: Collection[str]) -> bool:
    found = _NAMED_AFTER.fullmatch(name)
    return found is not None and found.group(1) in named


def _split(name: str) -> tuple[str, str]:
    module, _, last = name.rpartition(".")
    return module, last
