"""The masked autoencoder once more, in numpy and double precision, straight from the papers.

It shares no code with ``mae.large`` and works on one image at a time, patch by patch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Dict

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mae.config import MAEConfig

    Array = NDArray[np.float64]

State = Dict[str, "Array"]


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """Normalise each row by its own mean and biased variance."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return np.asarray(centred / deviation * weight + bias)


def gelu(x: Array) -> Array:
    """``x * Phi(x)`` with the exact normal distribution."""
    return np.asarray(x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))))


def attention(x: Array, state: State, name: str, heads: int) -> Array:
    """One head after another."""
    query, key, value = np.split(
        x @ state[f"{name}.qkv.weight"].T + state[f"{name}.qkv.bias"], 3, 1
    )
    width = x.shape[1] // heads
    out = []
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        weights = np.exp(query[:, part] @ key[:, part].T / math.sqrt(width))
        out.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, part])
    return np.concatenate(out, 1) @ state[f"{name}.proj.weight"].T + state[f"{name}.proj.bias"]


def block(x: Array, state: State, name: str, heads: int, eps: float) -> Array:
    """Pre-norm attention and MLP with residuals."""
    normed = layer_norm(x, state[f"{name}.norm1.weight"], state[f"{name}.norm1.bias"], eps)
    x = x + attention(normed, state, f"{name}.attn", heads)
    normed = layer_norm(x, state[f"{name}.norm2.weight"], state[f"{name}.norm2.bias"], eps)
    hidden = gelu(normed @ state[f"{name}.mlp.fc1.weight"].T + state[f"{name}.mlp.fc1.bias"])
    return x + hidden @ state[f"{name}.mlp.fc2.weight"].T + state[f"{name}.mlp.fc2.bias"]


def patches(image: Array, side: int) -> list[Array]:
    """Patches (C, p, p) of an image (C, H, W), row by row."""
    places = range(0, image.shape[1], side)
    return [image[:, top : top + side, left : left + side] for top in places for left in places]


def encode(config: MAEConfig, state: State, image: Array, kept: list[int]) -> Array:
    """Features (1 + K, D) of the patches that are kept, in their order."""
    kernel = state["patch_embed.proj.weight"].reshape(config.embed_dim, -1)
    cut = patches(image, config.patch_size)
    rows = [state["cls_token"][0, 0] + state["pos_embed"][0, 0]]
    for k in kept:
        token = kernel @ cut[k].reshape(-1) + state["patch_embed.proj.bias"]
        rows.append(token + state["pos_embed"][0, 1 + k])
    x = np.stack(rows)
    for n in range(config.depth):
        x = block(x, state, f"blocks.{n}", config.num_heads, config.layer_norm_eps)
    return layer_norm(x, state["norm.weight"], state["norm.bias"], config.layer_norm_eps)


def decode(config: MAEConfig, state: State, features: Array, kept: list[int]) -> Array:
    """Predicted pixels (L, P) of every patch."""
    embedded = features @ state["decoder_embed.weight"].T + state["decoder_embed.bias"]
    x = np.tile(state["mask_token"][0], (1 + config.num_patches, 1))
    x[0] = embedded[0]
    for row, k in enumerate(kept):
        x[1 + k] = embedded[1 + row]
    x = x + state["decoder_pos_embed"][0]
    for n in range(config.decoder_depth):
        name = f"decoder_blocks.{n}"
        x = block(x, state, name, config.decoder_num_heads, config.layer_norm_eps)
    weight, bias = state["decoder_norm.weight"], state["decoder_norm.bias"]
    x = layer_norm(x, weight, bias, config.layer_norm_eps)
    return (x @ state["decoder_pred.weight"].T + state["decoder_pred.bias"])[1:]


def errors(config: MAEConfig, image: Array, predicted: Array) -> list[float]:
    """Mean squared error of each patch, its pixels in the order row, column, channel."""
    out = []
    for patch, row in zip(patches(image, config.patch_size), predicted):
        target = patch.transpose(1, 2, 0).reshape(-1)
        if config.norm_pix_loss:
            variance = ((target - target.mean()) ** 2).sum() / (target.size - 1)
            target = (target - target.mean()) / math.sqrt(variance + 1e-6)
        out.append(float(((row - target) ** 2).mean()))
    return out
