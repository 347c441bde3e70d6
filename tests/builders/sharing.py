"""State dicts whose tensors share bytes, named by how they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict

import torch

if TYPE_CHECKING:
    from torch import Tensor

State = Dict[str, "Tensor"]


def tied() -> State:
    """Two names of one tensor, as an embedding and a head that share their weights."""
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    return {"lm_head.weight": weight, "bias": torch.ones(2), "embed.weight": weight}


def tied_twice() -> State:
    """The first names are not the first of the alphabet, and one pair is of a head alone."""
    weight, bias = torch.ones(3), torch.zeros(2)
    return {
        "z.weight": weight,
        "a.weight": weight,
        "lm_head.bias": bias,
        "lm_head.decoder.bias": bias,
    }


def tied_in_places() -> State:
    """Two groups of tied names, at both ends and in between, and one tensor larger than them."""
    shared, twin = torch.arange(6, dtype=torch.float32), torch.arange(4, dtype=torch.int64)
    return {
        "shared": shared,
        "twin.b": twin,
        "encoder.embed": shared,
        "large": torch.arange(20, dtype=torch.float32),
        "norm": torch.ones(2, dtype=torch.float16),
        "twin.a": twin,
        "bias": torch.zeros(3),
        "lm_head": shared,
    }


def overlapping() -> State:
    """Two rows out of three each, one of them in both."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return {"top": base[:2], "bottom": base[1:]}


def neighbours() -> State:
    """Halves of one storage that touch and do not overlap."""
    base = torch.arange(8, dtype=torch.float32)
    return {"left": base[:4], "right": base[4:]}


def same_bytes_in_another_shape() -> State:
    base = torch.arange(6, dtype=torch.float32)
    return {"flat": base, "square": base.reshape(2, 3)}


def expanded() -> State:
    """A view of four elements that repeats one of them a thousand times each."""
    return {"wide": torch.arange(4, dtype=torch.float32)[:, None].expand(4, 1000)}


def bomb() -> State:
    """One element that claims to be half a gigabyte."""
    return {"bomb": torch.zeros(1).expand(1 << 27)}


def empty_twins() -> State:
    empty = torch.empty(0, 3)
    return {"one": empty, "other": empty, "whole": torch.ones(1)}
