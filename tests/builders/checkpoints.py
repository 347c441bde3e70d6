"""What a tiny model's file holds, sound and with a named defect, ready for torch.save."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

import torch

from tests.builders import models

if TYPE_CHECKING:
    from torch import Tensor

Content = Callable[[], object]


def state() -> dict[str, Tensor]:
    """All tensors of a tiny model, with random weights."""
    return {name: tensor.clone() for name, tensor in models.tiny_model().state_dict().items()}


def sound() -> object:
    return {"model": state()}


def retrained() -> object:
    """The same model with other weights."""
    return {"model": models.tiny_model(seed=1).state_dict()}


def encoder_only() -> object:
    return {"model": models.encoder_of(state())}


def learned_positions() -> object:
    """An encoder with the names of an MAE's, and a table that was learned."""
    encoder = models.encoder_of(state())
    table = torch.empty_like(encoder["pos_embed"])
    return {"model": {**encoder, "pos_embed": torch.nn.init.trunc_normal_(table, std=0.02)}}


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


class Recorder:
    """An object that somebody keeps beside the weights: loading it needs this class."""

    def __init__(self) -> None:
        self.steps = [1, 2, 3]


class Pair(NamedTuple):
    """A named tuple: its pickle calls the class with arguments."""

    first: int
    second: int


def object_beside() -> object:
    return {"model": state(), "recorder": Recorder()}


def called_beside() -> object:
    return {"model": state(), "pair": Pair(1, 2)}


def function_beside() -> object:
    return {"model": state(), "activation": torch.nn.functional.relu}


def training_run() -> object:
    """What a training script saves: weights, optimizer, scaler, and arguments that tell a lot."""
    args = argparse.Namespace(
        output_dir="/checkpoint/alice/mae",
        data_path=Path("/datasets01/imagenet"),
        resume="C:\\Users\\Alice\\last.pth",
        log_url="https://alice:hunter2@example.com/logs",
        hf_token="hf_" + "x" * 34,
        dist_url="env://",
        norm_pix_loss=True,
        blr=1.5e-4,
    )
    moments = {0: {"step": 7, "exp_avg": torch.ones(4, 4)}}
    return {
        "model": state(),
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "scaler": {"scale": 65536.0},
        "epoch": 799,
        "args": args,
    }


def view_of_a_large_storage() -> object:
    """One bias that is a row of a large matrix: the whole matrix goes into the file."""
    return {"model": {**state(), "norm.bias": torch.rand(1000, models.TINY.embed_dim)[3]}}


def half_of_the_weights_halved() -> object:
    return {
        "model": {
            name: tensor.to(torch.bfloat16) if name.endswith(".weight") else tensor
            for name, tensor in state().items()
        }
    }


def one_weight_copied_over_another() -> object:
    weights = state()
    copied = weights["blocks.0.attn.proj.weight"].clone()
    return {"model": {**weights, "blocks.1.attn.proj.weight": copied}}


def one_block_copied_over_another() -> object:
    weights = state()
    first = {name: tensor for name, tensor in weights.items() if name.startswith("blocks.0.")}
    copied = {name.replace(".0.", ".1.", 1): tensor.clone() for name, tensor in first.items()}
    return {"model": {**weights, **copied}}


def large_block(depth: int = 6, factor: float = 1000.0) -> object:
    """A deep model one of whose blocks is ``factor`` times too large in one weight."""
    model = models.tiny_model(config=models.TINY._replace(depth=depth))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights["blocks.3.mlp.fc1.weight"] *= factor
    return {"model": weights}


class _Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch /tmp/ckpttool-was-attacked",)


def attack_beside() -> dict[str, object]:
    return {"model": state(), "payload": _Attack()}


def hostile_name() -> object:
    """A tensor whose name would clear a screen, end a line and annotate a CI log."""
    return {"model": {**state(), "\x1b[2J\n::error::pwned ##[error]x\u202e": torch.rand(2, 2)}}


def saved(folder: Path, content: Content, name: str = "weights.pth") -> str:
    """Write what a builder above returns."""
    path = folder / name
    torch.save(content(), path)
    return str(path)


def with_attributes(tensor: torch.Tensor, **attributes: object) -> torch.Tensor:
    """Return a tensor with attributes that somebody has set on it."""
    tensor = tensor.clone() if type(tensor) is torch.Tensor else tensor
    tensor.__dict__.update(attributes)
    return tensor
