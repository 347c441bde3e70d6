"""What a tensor of an adapter is, by its name.

PEFT calls the parts of a module ``base_model.model.<module>.lora_A.weight``, with the adapter's
name behind ``lora_A`` where a state dict was saved as it is; kohya's scripts and diffusers
``<module>.lora_down.weight``, and ``<module>.alpha``, kohya's with underscores for dots and the
model's part before. What is none of these is a tensor to put in place of the model's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: What a part is: the factor of the input and of the output, their bias, the rows' magnitudes.
DOWN, UP, BIAS, MAGNITUDE, ALPHA, WHOLE = "down", "up", "bias", "magnitude", "alpha", "whole"
#: A part of an adapter that is none of these.
OTHER = "other"

_LORA = re.compile(
    r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<part>A|B|down|up|magnitude_vector)"
    r"(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?(?:\.(?P<end>weight|bias))?"
)
_PARTS = {"A": DOWN, "down": DOWN, "B": UP, "up": UP, "magnitude_vector": MAGNITUDE}
_PREFIXES = ("base_model.model.", "base_model.")
# The parts of a model in kohya's names, which have underscores for dots behind them.
_FLAT = re.compile(r"lora_(?:unet|te\d?|transformer|prior_te|prior_unet)_")
# What other adapters and other spellings have in their names.
_ADAPTERS = re.compile(
    r"(?:^|[._])(?:lora|dora_scale|lokr|hada|oft|boft|vera|ia3|token_adapter)(?:[._\d]|$)|\.diff(?:_b)?$"
)
_SAVED = re.compile(r"\.(?:modules_to_save(?:\.[^.]+)??|original_module|base_layer)(?=\.[^.]+$)")


class Part(NamedTuple):
    """What a tensor of an adapter is.

    Attributes:
        kind: one of the names above.
        module: the module that it is for, or of a ``WHOLE`` the tensor.
        adapter: the adapter's name in a file of several; empty without one.
        embedding: whether the factors are of an embedding, whose weight is the transpose.
        flat: whether the module has underscores for dots.
    """

    kind: str
    module: str
    adapter: str = ""
    embedding: bool = False
    flat: bool = False


def part_of(name: str) -> Part | None:
    """Return what a tensor is; ``None`` for the copy that PEFT keeps of a module it replaced."""
    found = _LORA.fullmatch(name)
    if found:
        kind = _PARTS[found["part"]]
        if found["end"] == "bias":
            kind = BIAS if kind == UP else OTHER
        module, flat = _bare(found["module"])
        return Part(kind, module, found["adapter"] or "", bool(found["embedding"]), flat)
    module, _, last = name.rpartition(".")
    if last == "alpha" and module:
        return Part(ALPHA, *_bare_part(module))
    if ".original_module." in name:
        return None
    if _ADAPTERS.search(name):
        return Part(OTHER, name)
    return Part(WHOLE, _bare(_SAVED.sub("", name))[0])


def _bare_part(module: str) -> tuple[str, str, bool, bool]:
    bare, flat = _bare(module)
    return bare, "", False, flat


def _bare(module: str) -> tuple[str, bool]:
    """Return a name without what PEFT or kohya's scripts put before it, and whether it is flat."""
    for prefix in _PREFIXES:
        if module.startswith(prefix):
            module = module[len(prefix) :]
            break
    found = _FLAT.match(module)
    if found and "." not in module:
        return module[found.end() :], True
    # a wrapper around a layer that has one itself
    module = f"{module}.".replace(".base_layer.", ".")
    return module[:-1], False
