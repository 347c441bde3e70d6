"""Empty tensors that stand for weights on other ranks.

DeepSpeed with ZeRO stage 3 replaces each partitioned parameter by ``torch.empty(0)`` of the same
name; parameters below a threshold (biases, norms) may stay whole. FSDP leaves the same for a
parameter of which a rank has no part. A state dict that was saved without gathering the weights
first then has every name and no weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Mapping

from ckpttool.findings.text import count

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

#: Keys that DeepSpeed saves beside the weights.
_DEEPSPEED = frozenset(("ds_config", "ds_version", "param_shapes", "zero_stage"))


def placeholders(tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    """Return the tensors without elements if they stand for most of the weights, else nothing.

    They do if no tensor has any element, or if more than half of the floating tensors, or of
    those called ``weight``, two at least, have the shape ``[0]``.
    """
    empty = tuple(name for name, info in tensors.items() if not info.numel)
    if empty and len(empty) == len(tensors):
        return empty
    # A few empty tensors among others are legitimate: a table without rows, an unused buffer.
    floating = [name for name, info in tensors.items() if info.dtype.kind == "float"]
    # Counted apart: ZeRO leaves small biases and norms whole, which may be half of the names.
    weights = [name for name in floating if name.rpartition(".")[2] == "weight"]
    stubs = {name for name in floating if tensors[name].shape == (0,)}
    return empty if _most(floating, stubs) or _most(weights, stubs) else ()


def _most(names: Collection[str], stubs: Collection[str]) -> bool:
    number = sum(name in stubs for name in names)
    # One alone proves nothing, and is more than half of a file of one tensor.
    return number > 1 and 2 * number > len(names)


def message(empty: Collection[str], tensors: Mapping[str, TensorInfo]) -> str:
    """Return what is wrong, as a clause for a finding."""
    if len(tensors) == 1:
        return "the one tensor has no elements: there are no weights in it"
    if len(empty) == len(tensors):
        return f"all {count(len(tensors), 'tensor')} have no elements: there are no weights in it"
    return (
        f"{count(len(empty), 'tensor')} of {len(tensors):,} have no elements: the weights that "
        "these stand for are not in it"
    )


def way_out(checkpoint: Checkpoint) -> str:
    """Return how to get the weights: from the folder where DeepSpeed's keys lie beside them."""
    if any(entry.key.rpartition(".")[2] in _DEEPSPEED for entry in checkpoint.entries):
        return (
            "Name the folder instead, with the optimizer states of all processes in it (ckpttool "
            "convert FOLDER --to safetensors), or save with "
            "stage3_gather_16bit_weights_on_model_save."
        )
    return (
        "Gather the weights before they are saved: with ZeRO-3 by zero_to_fp32.py or "
        "stage3_gather_16bit_weights_on_model_save, with FSDP by a full (consolidated) state dict."
    )
