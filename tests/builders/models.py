"""A model small enough for a test, and its tensors as the forward pass takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from mae.config import MAEConfig, is_decoder_name
from mae.large import MAEViTLarge
from mae.large.classifier import ViTClassifier
from tests.builders.memory import MemorySource
from tests.builders.sizes import TINY as TINY

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn


def tiny_model(seed: int = 0, config: MAEConfig = TINY) -> MAEViTLarge:
    """Draw all weights but the position tables at random, so that no bias or gain is idle."""
    model = MAEViTLarge(config)
    _draw(model, seed)
    return model


def of_sizes(config: MAEConfig) -> dict[str, Tensor]:
    """Tensors of a model of these sizes, be it one that cannot compute its position tables."""
    generator = torch.Generator().manual_seed(0)
    shapes = config.shapes.items()
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes}


def tiny_classifier(config: MAEConfig, seed: int = 0) -> ViTClassifier:
    """Draw all weights of a classifier, those of a probe's BatchNorm too."""
    model = ViTClassifier(config)
    _draw(model, seed)
    return model


def _draw(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3, generator=generator)
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5, generator=generator)


def images_and_noise(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two images (2, 3, 32, 32) and masking noise (2, 16)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, *TINY.image, generator=generator)
    return images, torch.rand(2, TINY.num_patches, generator=generator)


def in_memory(state: dict[str, Tensor]) -> dict[str, TensorInfo]:
    """Catalogue a state dict as if it lay in a file."""
    return {name: _info(name, tensor) for name, tensor in state.items()}


def _info(name: str, tensor: Tensor) -> TensorInfo:
    # Through bytes: numpy knows no bfloat16.
    raw = tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()
    dtype = DTYPES[str(tensor.dtype).rpartition(".")[2]]
    extent = Extent(MemorySource(raw), 0, len(raw))
    return TensorInfo(name, dtype, tuple(tensor.shape), None, (extent,))


def encoder_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave the decoder out, as the published encoder files do."""
    return {name: tensor for name, tensor in state.items() if not is_decoder_name(name)}


def decoder_cut_in_half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out every second tensor of the decoder."""
    decoder = [name for name in state if is_decoder_name(name)]
    return {name: state[name] for name in state if name not in decoder[::2]}


def missing_a_block(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out one block of the encoder."""
    return {name: state[name] for name in state if not name.startswith("blocks.1.")}


def with_a_classifier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the head that finetuned files have and the model has no place for."""
    return {**state, "head.weight": torch.zeros(10, TINY.embed_dim)}


def with_another_width(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Make one tensor wider than the model's."""
    return {**state, "norm.weight": torch.ones(TINY.embed_dim + 1)}


def with_a_string(state: dict[str, Tensor]) -> dict[str, object]:
    """Put text where a tensor must be."""
    return {**state, "norm.bias": "zeros"}


def blind_to_its_input(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Zero the patch projection, so that no pixel reaches the encoder."""
    name = "patch_embed.proj.weight"
    return {**state, name: torch.zeros_like(state[name])}


def with_a_nan(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Spoil the first element of one tensor."""
    spoilt = state[name].clone()
    spoilt.view(-1)[0] = float("nan")
    return {**state, name: spoilt}


def saved(folder: Path, state: object) -> str:
    """Write a checkpoint with ``state`` under ``"model"``."""
    path = folder / "weights.pth"
    torch.save({"model": state}, path)
    return str(path)
