"""State dicts of sharded training, where a rank keeps placeholders, and honest ones with gaps."""

from __future__ import annotations

from typing import Any, Dict

import torch

State = Dict[str, torch.Tensor]


def _stub() -> torch.Tensor:
    return torch.empty(0, dtype=torch.float16)


def stub() -> State:
    """Every parameter partitioned."""
    return {f"layer.{number}.{name}": _stub() for number in range(3) for name in ("weight", "bias")}


def model_states() -> Dict[str, Any]:
    """As DeepSpeed writes a rank's ``model_states.pt``."""
    return {
        "module": stub(),
        "param_shapes": [{name: torch.Size([8, 8]) for name in stub()}],
        "ds_config": {"zero_optimization": {"stage": 3}},
        "ds_version": "0.14.0",
        "global_steps": 100,
    }


def whole_biases() -> State:
    """Parameters below the threshold stay whole: more tensors are there than are not."""
    state = {name: torch.ones(8) if "bias" in name else t for name, t in stub().items()}
    norms = {f"layer.{number}.norm.{name}": torch.ones(8) for number in range(3) for name in "ab"}
    return {**state, **norms, "norm.weight": torch.ones(8), "norm.bias": torch.zeros(8)}


def one_left() -> State:
    """A buffer that is no parameter."""
    return {**stub(), "position_ids": torch.arange(8)}


def empty_matrices() -> State:
    """Not the shape of a placeholder, but nothing in it either."""
    return {"a.weight": torch.empty(0, 8), "b.weight": torch.empty(4, 0), "c": torch.empty(0)}


def one_stub() -> State:
    return {"weight": _stub()}


STUBS = {
    "all of them": stub,
    "as DeepSpeed writes it": model_states,
    "biases and norms are whole": whole_biases,
    "but for a buffer": one_left,
    "matrices of no rows and no columns": empty_matrices,
    "a single tensor": one_stub,
}


def a_few_empty() -> State:
    """A table without rows and an unused buffer among weights."""
    whole = {f"layer.{number}.weight": torch.ones(4, 4) for number in range(3)}
    return {**whole, "table.weight": torch.empty(0, 4), "unused": torch.empty(0)}


def extra_state() -> State:
    """As Transformer Engine keeps it: an empty tensor of bytes a layer, as many as weights."""
    state = {f"layer.{number}.weight": torch.ones(4) for number in range(2)}
    extra = {f"layer.{n}.{kind}._extra_state" for n in range(2) for kind in ("qkv", "fc1", "fc2")}
    return {**state, **{name: torch.empty(0, dtype=torch.uint8) for name in sorted(extra)}}


def empty_tables() -> State:
    """Tables of no rows: more than there are others, and none of the shape of a placeholder."""
    return {"a": torch.ones(2), **{f"t{n}.weight": torch.empty(0, 8) for n in range(4)}}


def one_empty_weight() -> State:
    """The one tensor that is called so, among others that are whole."""
    return {"adapter.weight": torch.empty(0), "scale": torch.ones(1), "shift": torch.ones(1)}


HONEST = {
    "a few": a_few_empty,
    "extra state": extra_state,
    "tables": empty_tables,
    "one weight": one_empty_weight,
}
