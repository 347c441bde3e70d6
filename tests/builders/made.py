"""Checkpoints A and B, where B was made from A by one named operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Tuple

import torch

from tests.builders import pairs

if TYPE_CHECKING:
    from pathlib import Path

State = Dict[str, torch.Tensor]


def _cast(dtype: torch.dtype) -> Callable[[State], State]:
    return lambda tensors: {name: tensor.to(dtype) for name, tensor in tensors.items()}


def _behind(prefix: str) -> Callable[[State], State]:
    return lambda tensors: {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _as_layers(tensors: State) -> State:
    return {name.replace("blocks.", "layers."): tensor for name, tensor in tensors.items()}


def _one_elsewhere(tensors: State) -> State:
    return {("elsewhere" if name == QKV else name): value for name, value in tensors.items()}


def _split(tensors: State) -> State:
    made = dict(tensors)
    for name in [name for name in made if name.endswith("qkv.weight")]:
        for part, piece in zip("qkv", made.pop(name).chunk(3)):
            made[name.replace("qkv", part)] = piece.clone()
    return made


def _joined(tensors: State) -> State:
    made = dict(tensors)
    for name in [name for name in made if name.endswith("q.weight")]:
        parts = [made.pop(name.replace("q.weight", f"{part}.weight")) for part in "qkv"]
        made[name.replace("q.weight", "qkv.weight")] = torch.cat(parts)
    return made


def _transposed(tensors: State) -> State:
    return {
        name: tensor.t().contiguous() if "fc1" in name else tensor
        for name, tensor in tensors.items()
    }


def _tied(tensors: State) -> State:
    return {**tensors, "head.weight": tensors[QKV]}


def _copied(tensors: State) -> State:
    return {**tensors, "head.weight": tensors[QKV].clone()}


QKV = "blocks.1.attn.qkv.weight"
_SPLITS = """
[[split]]
from = "*.qkv.weight"
to = ["*.q.weight", "*.k.weight", "*.v.weight"]
"""
_JOINS = """
[[join]]
from = ["*.q.weight", "*.k.weight", "*.v.weight"]
to = "*.qkv.weight"
"""
_TRANSPOSES = """
[[transpose]]
from = "*.fc1.weight"
to = "*.fc1.weight"
"""


class Made(NamedTuple):
    """What to make of the small model, what it is called, and the rules that the proof needs.

    ``start`` makes A of the small model.
    """

    change: Callable[[State], State]
    operations: Tuple[str, ...]
    map: Dict[str, str] = {}  # noqa: RUF012 (never changed)
    rules: str | None = None
    start: Callable[[State], State] = dict


MADE: Dict[str, Made] = {
    "nothing": Made(dict, ("identical",)),
    "a prefix": Made(_behind("module."), ("renamed",)),
    "a map": Made(_as_layers, ("identical", "renamed"), {"blocks.{n}.*": "layers.{n}.*"}),
    "another name": Made(_one_elsewhere, ("identical", "renamed")),
    "split": Made(_split, ("identical", "split"), {}, _SPLITS),
    "joined": Made(_joined, ("identical", "joined"), {}, _JOINS, _split),
    "transposed": Made(_transposed, ("identical", "transposed"), {}, _TRANSPOSES),
    "bfloat16": Made(_cast(torch.bfloat16), ("cast",)),
    "float16": Made(_cast(torch.float16), ("cast",)),
    "float64": Made(_cast(torch.float64), ("cast",)),
    "widened back": Made(_cast(torch.float32), ("cast",), {}, None, _cast(torch.bfloat16)),
    "from float64": Made(_cast(torch.bfloat16), ("cast",), {}, None, _cast(torch.float64)),
    "a prefix and a cast": Made(
        lambda state: _behind("model.")(_cast(torch.float16)(state)), ("renamed", "cast")
    ),
    "a tie": Made(_tied, ("identical", "tied-name-put-back")),
    "a copy of a tie": Made(_copied, ("identical", "tied-name-put-back")),
}


def written(
    folder: Path, made: Made, spoil: Callable[[State], State] = dict
) -> Tuple[str, str, Dict[str, Any]]:
    """Write A and B; return their paths and the arguments of ``prove``. ``spoil`` changes B."""
    before = made.start(pairs.state())
    # a new dictionary each: what is spoilt must not be what A is made of
    after = spoil(made.change(made.start(pairs.state())))
    paths = pairs.save(folder, "a.pth", before), pairs.save(folder, "b.pth", after)
    options: Dict[str, Any] = {"map": made.map}
    if made.rules is not None:
        rules = folder / "rules.toml"
        rules.write_text(made.rules)
        options["rename_file"] = rules
    return (*paths, options)
