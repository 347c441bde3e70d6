"""The names of the parts: which weight a tensor belongs to, and what it is there.

Three ways of naming are in use. A part stands in the module of the weight (``up_proj.weight_scale``
or ``up_proj.qzeros``), below the weight (``up_proj.weight.absmax``), or is named after a weight
that has no module of its own (``experts.gate_up_proj_scale_inv``).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Dict, Mapping, NamedTuple

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import is_byte, is_exponent, is_float8

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

WEIGHT = "weight"

# --- in the module of the weight ----------------------------------------------------------

# Under these names nothing else is stored.
_IN_MODULE = {
    "weight_packed": role.CODES,
    "weight_scale_inv": role.SCALE,
    "weight_scale": role.SCALE,
    "scale_weight": role.SCALE,
    "weight_scale_2": role.GLOBAL_SCALE,
    "weight_global_scale": role.GLOBAL_SCALE,
    "weight_zero_point": role.ZERO_POINT,
    "weight_shape": role.SHAPE,
    "weight_g_idx": role.GROUP_INDEX,
    "SCB": role.SCALE,
    "weight_format": role.FORMAT,
    "qweight": role.CODES,
    "qzeros": role.ZERO_POINT,
    "g_idx": role.GROUP_INDEX,
    "input_scale": role.INPUT_SCALE,
    "activation_scale": role.INPUT_SCALE,
    "scale_input": role.INPUT_SCALE,
    "input_zero_point": role.INPUT_ZERO_POINT,
    "input_global_scale": role.INPUT_GLOBAL_SCALE,
    "output_scale": role.OUTPUT_SCALE,
    "pre_quant_scale": role.PRE_SCALE,
}
# Under these names, too, where codes are beside them: the name of the codes, and the role.
_BESIDE_CODES = {"scales": ("qweight", role.SCALE), "scale": (WEIGHT, role.SCALE)}
# Beside one of these, scales belong to codes that are not there.
_OF_GROUPS = ("qzeros", "g_idx")

# --- below the weight ---------------------------------------------------------------------

_BELOW = re.compile(
    r"(.+)\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w{2,8})",
    re.DOTALL,
)
_ROLE_BELOW = {
    "absmax": role.SCALE,
    "quant_map": role.QUANT_MAP,
    "nested_absmax": role.NESTED_ABSMAX,
    "nested_quant_map": role.NESTED_QUANT_MAP,
}

# --- named after the weight ---------------------------------------------------------------

_AFTER = re.compile(
    r"(.+)_((?:weight_)?scale(?:_inv|_2)?|(?:input|activation)_scale|(?:weight_)?zero_point)",
    re.DOTALL,
)
_ROLE_AFTER = {
    "scale": role.SCALE,
    "scale_inv": role.SCALE,
    "scale_2": role.GLOBAL_SCALE,
    "zero_point": role.ZERO_POINT,
    "input_scale": role.INPUT_SCALE,
    "activation_scale": role.INPUT_SCALE,
}
_BLOCKS, _SCALES = "_blocks", "_scales"

_NUMBER = re.compile(r"[0-9]+")


class Found(NamedTuple):
    """What the names say of one weight.

    Attributes:
        name: what the model calls it.
        parts: the tensors that are named after it, by role. Codes among them are there by a name
            that only codes have; see :attr:`plain`.
        plain: the tensor that has the weight's own name: codes, or the weight itself.
    """

    name: str
    parts: Dict[str, TensorInfo]
    plain: TensorInfo | None

    @property
    def codes(self) -> TensorInfo | None:
        """The tensor that holds the codes, if any does."""
        return self.parts.get(role.CODES) or self.plain


def found_in(tensors: Mapping[str, TensorInfo]) -> dict[str, Found]:
    """Return what the names of a file say, by the name of the weight.

    A weight without any part is listed if its type holds codes: whether it is quantized is for
    its siblings and the configuration to say.
    """
    parts: dict[str, dict[str, TensorInfo]] = {}
    alone: list[str] = []
    for name, info in tensors.items():
        place = _place_of(name, tensors)
        if place is not None:
            weight, what = place
            # of two spellings for one role the first stays: nobody writes both
            parts.setdefault(weight, {}).setdefault(what, info)
        elif _may_be_codes(name, info):
            alone.append(name)
    for name in alone:
        parts.setdefault(name, {})
    return {name: Found(name, found, tensors.get(name)) for name, found in parts.items()}


def _place_of(name: str, tensors: Mapping[str, TensorInfo]) -> tuple[str, str] | None:
    """Return the weight that a tensor belongs to and its role there."""
    module, last = split(name)
    weight = joined(module, WEIGHT)
    if last in _IN_MODULE:
        return weight, _IN_MODULE[last]
    if last in _BESIDE_CODES:
        codes, what = _BESIDE_CODES[last]
        beside = tensors.get(joined(module, codes))
        if codes != WEIGHT and any(joined(module, one) in tensors for one in _OF_GROUPS):
            return weight, what
        if beside is None or codes != WEIGHT:
            return None if beside is None else (weight, what)
        # halves of bytes have exponents beside them, other bytes anything
        halves = is_byte(beside.dtype) and is_exponent(tensors[name].dtype)
        return (weight, what) if is_float8(beside.dtype) or halves else None
    below = _BELOW.fullmatch(name)
    if below:
        return below[1], _ROLE_BELOW.get(below[2], role.QUANT_STATE)
    return _named_after(name, tensors)


def _named_after(name: str, tensors: Mapping[str, TensorInfo]) -> tuple[str, str] | None:
    for ending, what in ((_BLOCKS, role.CODES), (_SCALES, role.SCALE)):
        weight = name[: -len(ending)]
        other = weight + (_SCALES if ending == _BLOCKS else _BLOCKS)
        if name.endswith(ending) and weight:
            beside = tensors.get(other)
            both = [is_byte(one.dtype) for one in (tensors[name], beside) if one is not None]
            # blocks alone: four axes of bytes, sixteen to a block
            if len(both) == 2 and any(both):
                return weight, what
            if what == role.CODES and both[0] and tensors[name].shape[-1:] == (16,):
                return weight, what
    after = _AFTER.fullmatch(name)
    if after:
        codes = tensors.get(after[1])
        if codes is not None and (is_float8(codes.dtype) or is_byte(codes.dtype)):
            what = after[2]
            return after[1], _ROLE_AFTER[what[7:] if what.startswith("weight_") else what]
    return None


def _may_be_codes(name: str, info: TensorInfo) -> bool:
    # vectors of bytes are masks and counts
    if len(info.shape) < 2:
        return False
    return is_float8(info.dtype) or (is_byte(info.dtype) and split(name)[1] == WEIGHT)


def split(name: str) -> tuple[str, str]:
    """Return the module of a tensor, and the last part of its name."""
    module, _, last = name.rpartition(".")
    return module, last


def joined(module: str, last: str) -> str:
    """Return the name of a tensor in a module; the root has no name."""
    return f"{module}.{last}" if module else last


def pattern_of(name: str) -> str:
    """Return what siblings have in common: the name without the numbers of layers and experts."""
    return ".".join("*" if _NUMBER.fullmatch(part) else part for part in name.split("."))


def spellings(found: Mapping[str, Found]) -> dict[str, str]:
    """Return how a file spells the parts, most often: role -> what stands behind the module."""
    counts: dict[str, Counter[str]] = {}
    for weight, one in found.items():
        module = split(weight)[0]
        for what, info in one.parts.items():
            if info.name.startswith(f"{module}."):
                ending = info.name[len(module) + 1 :]
                if ending in _IN_MODULE:
                    counts.setdefault(what, Counter())[ending] += 1
    return {what: counter.most_common(1)[0][0] for what, counter in counts.items()}
