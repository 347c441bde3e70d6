"""Which tensors make up quantized weights: numbers that mean nothing by themselves, so no cast.

A quantized weight is a row of codes, and a real number comes of a code by scales, zero points,
tables or bounds that lie beside it. Cast one of them and the weight is another one. What a tensor
is for is nowhere written down, but every format says it by the type of the codes, by names, and
by what lies in one module. Names are those of the files that these write: bitsandbytes (nf4, fp4,
LLM.int8), GPTQ, AWQ, compressed-tensors, fine-grained and scaled fp8, MXFP4, torchao, quanto, HQQ,
EETQ, AQLM, QuIP#, EXL2, EXL3, NVIDIA's ModelOpt, and observers of torch.ao.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Collection, Iterator, Mapping

if TYPE_CHECKING:
    from ckpttool.tensors import TensorInfo

# Integers of such widths hold codes, alone or packed; 64 bits are an index or a count.
_CODES = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32))

# The last part of a name that only codes have.
_PACKED = re.compile(
    r"q_?weight|q_?zeros|g_idx|q_?data|_data|Qidxs|trellis|\w*(_packed|_qweight|_qdata|_blocks)"
)
# Those of them that may be floats by their type.
_BYTES = re.compile(r"W_q|qweight|weight_packed")
# The last part of the name of a weight, which holds codes if it holds integers.
_WEIGHT = re.compile(r"(?:\w+_)?weight")
# The last part of the name of what turns codes into numbers, if there are codes beside it.
_SCALE = re.compile(
    r"s|zeros?|(?:\w*_|W)?(?:scales?|scale_inv|zero_points?|zp|absmax|min|max)|SCB|codebooks?"
)
# Integers of a model that is not quantized, beside something that is called a scale.
_PLAIN = re.compile(r"\w*(?:mask|index|indices|ids|bias|positions?)")

# What is a part of a quantizer wherever it stands: nothing else is called so.
_QUANTIZERS = re.compile(
    r"(?:nested_)?(?:absmax|quant_map)|SCB|\w*_scale_inv|(?:weight|input)_global_scale"
    r"|weight_scale_2|_amax|_pre_quant_scale"
)
# What is one in a file that has codes somewhere: the cache of an attention has scales, too.
_COMPANION = re.compile(
    r"(?:weight|input|output|[qkv]|prob|kv|kv_cache)_scale|scale_(?:weight|input)"
)
# A module that only quantizes, or watches what is to be quantized.
_QUANTIZER = re.compile(r"\w*(?:quantizer|fake_quant\w*|observer|activation_post_process\w*)")

_NARROW = 8  # bits: floating numbers that are so narrow come with scales
_MATRIX = 2  # dimensions, at least, of codes that only what lies beside them tells
_DEEPEST = 16  # modules above a tensor that are looked at


def quantized(tensors: Mapping[str, TensorInfo]) -> frozenset[str]:
    """Return the names of all tensors that quantized weights are made of.

    These are

    - floating numbers of 8 bits and less, and integers that are codes: by a name that only codes
      have, because a weight is an integer, or because a scale lies beside them;
    - everything in the modules of those, and below them: their companions, whatever they are
      called, and the biases too, which is on the safe side;
    - what only quantizers have, by its name.

    A parameter that is merely called ``scale``, in a module without codes, is none of them.
    """
    lasts: dict[str, list[str]] = {}
    for name in tensors:
        module, last = _split(name)
        lasts.setdefault(module, []).append(last)
    codes = [name for name, info in tensors.items() if _is_code(name, info, lasts)]
    modules = {module for name in codes for module in _modules(name)}
    return frozenset(
        name for name in tensors if _is_in(name, modules) or _is_companion(name, bool(codes))
    )


def _is_code(name: str, info: TensorInfo, lasts: Mapping[str, list[str]]) -> bool:
    module, last = _split(name)
    # some are kept as floats of 16 and 32 bits, which are their bytes and no numbers
    if _BYTES.fullmatch(last) or any(map(_QUANTIZERS.fullmatch, lasts.get(name, ()))):
        return True
    if info.dtype.kind == "float":
        return info.dtype.bits <= _NARROW
    if info.dtype.name not in _CODES:
        return False
    if _PACKED.fullmatch(last) or _WEIGHT.fullmatch(last):
        return True
    if len(info.shape) < _MATRIX or _PLAIN.fullmatch(last):
        return False
    beside = (*lasts[module], *lasts.get(name, ()))
    return any(_SCALE.fullmatch(one) for one in beside if one != last)


def _is_companion(name: str, codes: bool) -> bool:
    module, last = _split(name)
    if _QUANTIZERS.fullmatch(last) or _QUANTIZER.fullmatch(_split(module)[1]):
        return True
    return codes and _COMPANION.fullmatch(last) is not None


def _modules(name: str) -> Iterator[str]:
    """Yield what a code's companions lie in: its module, itself, and the tensor that it is of.

    A weight that is an object has parts below its name, and parts of parts.
    """
    yield name
    module, _ = _split(name)
    yield module
    for _ in range(_DEEPEST):
        module, last = _split(module)
        if not (_WEIGHT.fullmatch(last) or _PACKED.fullmatch(last)):
            return
        yield module


def _is_in(name: str, modules: Collection[str]) -> bool:
    """Whether a tensor lies in one of the modules, or below it; below the root lies everything."""
    module, _ = _split(name)
    if module in modules:
        return True
    for _ in range(_DEEPEST):
        module, _ = _split(module)
        if not module:
            return False
        if module in modules:
            return True
    return False


def _split(name: str) -> tuple[str, str]:
    module, _, last = name.rpartition(".")
    return module, last
