"""A tiny decoder of a language model, as safetensors files, whole and with named defects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Callable, Dict

import numpy as np

from tests.builders.safetensors import file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Weights = Dict[str, "NDArray[np.float32]"]

_CODES = {"float32": "F32", "float16": "F16", "int64": "I64"}


def weights(layers: int = 4) -> Weights:
    """Random weights under the names that transformers gives Llama."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (16, 4)}
    for layer in range(layers):
        block = f"model.layers.{layer}"
        shapes.update({f"{block}.self_attn.{one}_proj.weight": (4, 4) for one in "qkvo"})
        shapes[f"{block}.mlp.up_proj.weight"] = (8, 4)
        shapes[f"{block}.mlp.down_proj.weight"] = (4, 8)
        shapes[f"{block}.input_layernorm.weight"] = (4,)
    shapes.update({"model.norm.weight": (4,), "lm_head.weight": (16, 4)})
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype("<f4") for name, shape in shapes.items()}


def written(path: Path, tensors: Weights, metadata: dict[str, str] | None = None) -> str:
    """Write a safetensors file and return its path."""
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    data = b""
    for name, array in tensors.items():
        content = array.tobytes()
        header[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    path.write_bytes(file(json.dumps(header).encode(), data))
    return str(path)


def saved(path: Path, change: Callable[[Weights], object] = lambda _: None) -> str:
    """Write the model after one change and return the path."""
    tensors = weights()
    change(tensors)
    return written(path, tensors)


def without_a_layer(tensors: Weights) -> None:
    """What an export that loses a layer leaves."""
    for name in [name for name in tensors if ".layers.2." in name]:
        del tensors[name]


def without_the_head(tensors: Weights) -> None:
    del tensors["lm_head.weight"]


def with_scales(tensors: Weights) -> None:
    """More than the model has."""
    for layer in range(4):
        tensors[f"model.layers.{layer}.mlp.up_proj.scale"] = np.full(8, 0.5, "<f4")


def with_another_width(tensors: Weights) -> None:
    tensors["model.layers.1.mlp.up_proj.weight"] = np.ones((6, 4), "<f4")


def in_half_precision(tensors: Weights) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name] = tensors[name].astype("<f2")


def in_integers(tensors: Weights) -> None:
    tensors["model.norm.weight"] = np.ones(4, "<i8")


def with_zeros(tensors: Weights) -> None:
    """As an adapter begins."""
    tensors["model.layers.1.mlp.up_proj.weight"][:] = 0


def with_a_tied_copy(tensors: Weights) -> None:
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()


def with_nan(tensors: Weights) -> None:
    tensors["model.norm.weight"][1] = np.nan


def under_other_names(tensors: Weights) -> None:
    for name in list(tensors):
        tensors[f"transformer.{name}"] = tensors.pop(name)
