"""What a tiny model's file holds, sound and with a named defect, ready for torch.save."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Callable

import torch

from tests.builders import models

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Content = Callable[[], object]


def state() -> dict[str, Tensor]:
    """All tensors of a tiny model, with random weights."""
    return {name: tensor.clone() for name, tensor in models.tiny_model().state_dict().items()}


def sound() -> object:
    return {"model": state()}


def encoder_only() -> object:
    return {"model": models.encoder_of(state())}


def encoder_block_missing() -> object:
    return {"model": models.missing_a_block(state())}


def decoder_cut_in_half() -> object:
    return {"model": models.decoder_cut_in_half(state())}


def classifier_head_added() -> object:
    return {"model": models.with_a_classifier(state())}


def norm_too_wide() -> object:
    return {"model": models.with_another_width(state())}


def half_precision() -> object:
    return {"model": {name: tensor.to(torch.bfloat16) for name, tensor in state().items()}}


def integer_weight() -> object:
    return {"model": {**state(), "norm.bias": torch.ones(models.TINY.embed_dim, dtype=torch.int32)}}


def averaged_weights_beside() -> object:
    return {"model": state(), "model_ema": state()}


def module_prefix() -> object:
    return {"model": {f"module.{name}": tensor for name, tensor in state().items()}}


def sparse_tensor_added() -> object:
    return {"model": {**state(), "mask": torch.eye(3).to_sparse()}}


def another_model() -> object:
    return {"conv1.weight": torch.rand(4, 4), "fc.weight": torch.rand(4, 4)}


def no_tensor() -> object:
    return {"epoch": 3}


def query_without_key_and_value() -> object:
    """A file of Hugging Face's layout with a third of a fused tensor."""
    name = "vit.encoder.layer.0.attention.attention.query.bias"
    return {"vit.encoder.layer.0.layernorm_before.weight": torch.rand(16), name: torch.rand(16)}


def namespace_beside() -> object:
    return {"model": state(), "args": argparse.Namespace(lr=0.1)}


class _Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch /tmp/ckpttool-was-attacked",)


def attack_beside() -> object:
    return {"model": state(), "payload": _Attack()}


def hostile_name() -> object:
    """A tensor whose name would clear a screen, end a line and annotate a CI log."""
    return {"model": {**state(), "\x1b[2J\n::error::pwned ##[error]x\u202e": torch.rand(2, 2)}}


def saved(folder: Path, content: Content, name: str = "weights.pth") -> str:
    """Write what a builder above returns."""
    path = folder / name
    torch.save(content(), path)
    return str(path)
