"""The tensors of a file as a model has them: each quantized weight in place of its parts.

A schema that is from whole weights, or from a model that was built, has ``up_proj.weight`` as a
float; a quantized file has it as several tensors, the codes of another shape and type. A schema
that is from a quantized file has these tensors itself, and they stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.quantization.by_name import is_companion
from ckpttool.quantization.packed import is_float
from ckpttool.tensors.catalogue import TensorInfo

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed


# These quantize layers: the weight is [outputs, inputs] whatever the layer has.
_OF_LAYERS = frozenset({"gptq", "awq", "bnb-4bit", "llm-int8"})


class Logical(NamedTuple):
    """The tensors of a file as a model has them.

    Attributes:
        tensors: by name. A weight that was put together has no bytes, and the type that is
            expected: which it has when it is decoded is for whoever decodes it to say.
        unknown: weights of which no part shows the shape; they have the one that is expected.
        together: whether any weight was put together.
    """

    tensors: dict[str, TensorInfo]
    unknown: tuple[str, ...] = ()
    together: bool = False


def logical(
    tensors: Mapping[str, TensorInfo],
    packed: Mapping[str, Packed],
    expected: Mapping[str, TensorInfo],
) -> Logical:
    """Return the tensors of a file as a model has them.

    Args:
        tensors: those of the file, by name.
        packed: its quantized weights, with the shapes that are stored.
        expected: those of the model: what is a float there, and quantized in the file, is put
            together. Of a quantized weight that the model does not have, the codes stay.
    """
    parts: set[str] = set()
    weights: dict[str, TensorInfo] = {}
    unknown: list[str] = []
    for name, one in packed.items():
        wanted = expected.get(one.codes.name)
        if wanted is not None and not is_float(wanted.dtype):
            continue  # the schema is of a quantized file
        parts.update(info.name for info in one.parts.values())
        wanted = expected.get(name)
        if wanted is None:
            weights[one.codes.name] = one.codes
            continue
        if one.shape is None:
            unknown.append(name)
        shape = wanted.shape if one.shape is None else one.shape
        if one.scheme in _OF_LAYERS and wanted.shape == shape[::-1]:
            shape = wanted.shape  # a Conv1D of GPT-2, which is quantized as a linear layer
        weights[name] = TensorInfo(name, wanted.dtype, shape, None, ())
    if not weights:
        return Logical(dict(tensors))
    left = {
        name: info
        for name, info in tensors.items()
        # scales of a cache of keys and values lie beside no weight
        if name not in parts and (name in expected or not is_companion(name))
    }
    return Logical({**left, **weights}, tuple(unknown), together=True)
