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
    bias = state.get(f"{name}.qkv.bias", 0)
    query, key, value = np.split(x @ state[f"{name}.qkv.weight"].T + bias, 3, 1)
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
    down, across = (range(0, length, side) for length in image.shape[1:])
    return [image[:, top : top + side, left : left + side] for top in down for left in across]


def encode(config: MAEConfig, state: State, image: Array, kept: list[int]) -> Array:
    """Features (T + K, D) of the patches that are kept, in their order; T of class tokens."""
    x = through_blocks(config, state, image, kept)
    return layer_norm(x, state["norm.weight"], state["norm.bias"], config.layer_norm_eps)


def through_blocks(config: MAEConfig, state: State, image: Array, kept: list[int]) -> Array:
    """The same before the last LayerNorm."""
    kernel = state["patch_embed.proj.weight"].reshape(config.embed_dim, -1)
    cut = patches(image, config.patch_size)
    before = 1 if "cls_token" in state else 0
    rows = [state["cls_token"][0, 0] + state["pos_embed"][0, 0]] if before else []
    for k in kept:
        token = kernel @ cut[k].reshape(-1) + state["patch_embed.proj.bias"]
        rows.append(token + state["pos_embed"][0, before + k])
    x = np.stack(rows)
    for n in range(config.depth):
        x = block(x, state, f"blocks.{n}", config.num_heads, config.layer_norm_eps)
    return x


def classify(config: MAEConfig, state: State, image: Array) -> Array:
    """Logits (N,) of an image: from the class token if there is one, or the patches' mean."""
    before = 1 if "cls_token" in state else 0
    every = list(range(len(patches(image, config.patch_size))))
    if config.pooling == "fc_norm":
        mean = through_blocks(config, state, image, every)[before:].mean(axis=0)
        weight, bias = state["fc_norm.weight"], state["fc_norm.bias"]
        vector = layer_norm(mean, weight, bias, config.layer_norm_eps)
    else:
        tokens = encode(config, state, image, every)
        vector = tokens[0] if before else tokens.mean(axis=0)
    if not config.probe:
        return np.asarray(state["head.weight"] @ vector + state["head.bias"])
    spread = np.sqrt(state["head.0.running_var"] + 1e-6)
    vector = (vector - state["head.0.running_mean"]) / spread
    return np.asarray(state["head.1.weight"] @ vector + state["head.1.bias"])


def decode(config: MAEConfig, state: State, features: Array, kept: list[int]) -> Array:
    """Predicted pixels (L, P) of every patch."""
    embedded = features @ state["decoder_embed.weight"].T + state["decoder_embed.bias"]
    before = 1 if "cls_token" in state else 0
    x = np.tile(state["mask_token"][0], (before + config.num_patches, 1))
    x[:before] = embedded[:before]
    for row, k in enumerate(kept):
        x[before + k] = embedded[before + row]
    x = x + state["decoder_pos_embed"][0]
    for n in range(config.decoder_depth):
        name = f"decoder_blocks.{n}"
        x = block(x, state, name, config.decoder_num_heads, config.layer_norm_eps)
    weight, bias = state["decoder_norm.weight"], state["decoder_norm.bias"]
    x = layer_norm(x, weight, bias, config.layer_norm_eps)
    return (x @ state["decoder_pred.weight"].T + state["decoder_pred.bias"])[before:]


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
