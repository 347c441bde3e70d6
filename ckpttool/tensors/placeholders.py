"""Weights without elements that stand for weights elsewhere: what one rank keeps of sharded ones.

DeepSpeed with ZeRO stage 3 replaces a parameter that it has partitioned by an empty tensor of the
same name, ``torch.empty(0)``; parameters below a threshold (biases, norms) may stay whole. FSDP
leaves the same of a parameter of which a rank has no part. A state dict that was saved without
gathering the weights first is then complete by its names and has nothing in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Mapping

from ckpttool.findings.text import count

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

#: What DeepSpeed keeps beside the weights.
_DEEPSPEED = frozenset(("ds_config", "ds_version", "param_shapes", "zero_stage"))


def placeholders(tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    """Return the tensors without elements, where they stand for most of the weights.

    That is where no tensor has any element; or where more than half of the floating tensors, or
    of those that are called ``weight``, two at least, have the shape ``[0]``. A few empty tensors
    among others (a table without rows, a buffer that is not used) are honest.
    """
    empty = tuple(name for name, info in tensors.items() if not info.numel)
    if empty and len(empty) == len(tensors):
        return empty
    floating = [name for name, info in tensors.items() if info.dtype.kind == "float"]
    weights = [name for name in floating if name.rpartition(".")[2] == "weight"]
    stubs = {name for name in floating if tensors[name].shape == (0,)}
    return empty if _most(floating, stubs) or _most(weights, stubs) else ()


def _most(names: Collection[str], stubs: Collection[str]) -> bool:
    number = sum(name in stubs for name in names)
    return number > 1 and 2 * number > len(names)


def message(empty: Collection[str], tensors: Mapping[str, TensorInfo]) -> str:
    """Return what is wrong, in a clause."""
    if len(tensors) == 1:
        return "the one tensor has no elements: there are no weights in it"
    if len(empty) == len(tensors):
        return f"all {count(len(tensors), 'tensor')} have no elements: there are no weights in it"
    return (
        f"{count(len(empty), 'tensor')} of {len(tensors):,} have no elements: the weights that "
        "these stand for are not in it"
    )


def way_out(checkpoint: Checkpoint) -> str:
    """Return how to get the weights, by what lies beside the placeholders."""
    if any(entry.key.rpartition(".")[2] in _DEEPSPEED for entry in checkpoint.entries):
        return (
            "Run DeepSpeed's zero_to_fp32.py in the checkpoint's folder and use what it writes, "
            "or save with stage3_gather_16bit_weights_on_model_save."
        )
    return (
        "Gather the weights before they are saved: with ZeRO-3 by zero_to_fp32.py or "
        "stage3_gather_16bit_weights_on_model_save, with FSDP by a full (consolidated) state dict."
    )
