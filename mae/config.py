"""The sizes of the published masked autoencoders, as one table. Imports no framework."""

from __future__ import annotations

from math import prod
from typing import NamedTuple


class MAEConfig(NamedTuple):
    """What makes one masked autoencoder.

    Widths are in features, ``img_size`` and ``patch_size`` in pixels (square images).
    """

    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int = 16
    img_size: int = 224
    in_chans: int = 3
    mlp_ratio: float = 4.0
    decoder_embed_dim: int = 512
    decoder_depth: int = 8
    decoder_num_heads: int = 16
    layer_norm_eps: float = 1e-6
    norm_pix_loss: bool = False

    @property
    def grid_size(self) -> int:
        """Patches along one side of the image."""
        return self.img_size // self.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        return self.grid_size**2

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape of every tensor of the model, all float32, in the order of its state dict.

        Spelled out, so that names and shapes can be compared with a file's without torch.
        """
        width, narrow = self.embed_dim, self.decoder_embed_dim
        tokens, side = self.num_patches + 1, self.patch_size
        return {
            "cls_token": (1, 1, width),
            "pos_embed": (1, tokens, width),
            "mask_token": (1, 1, narrow),
            "decoder_pos_embed": (1, tokens, narrow),
            "patch_embed.proj.weight": (width, self.in_chans, side, side),
            "patch_embed.proj.bias": (width,),
            **_blocks("blocks", self.depth, width, self.mlp_ratio),
            **_layernorm("norm", width),
            **_linear("decoder_embed", width, narrow),
            **_blocks("decoder_blocks", self.decoder_depth, narrow, self.mlp_ratio),
            **_layernorm("decoder_norm", narrow),
            **_linear("decoder_pred", narrow, side**2 * self.in_chans),
        }

    @property
    def parameters(self) -> int:
        """Number of elements of all tensors of the model, encoder and decoder."""
        return sum(map(prod, self.shapes.values()))


def _blocks(stack: str, depth: int, width: int, mlp_ratio: float) -> dict[str, tuple[int, ...]]:
    hidden = int(width * mlp_ratio)
    block = {
        **_layernorm("norm1", width),
        **_linear("attn.qkv", width, 3 * width),
        **_linear("attn.proj", width, width),
        **_layernorm("norm2", width),
        **_linear("mlp.fc1", width, hidden),
        **_linear("mlp.fc2", hidden, width),
    }
    return {
        f"{stack}.{number}.{name}": shape
        for number in range(depth)
        for name, shape in block.items()
    }


def _linear(name: str, fan_in: int, fan_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (fan_out, fan_in), f"{name}.bias": (fan_out,)}


def _layernorm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


#: Name to size; encoder sizes from table 1 of arXiv:2010.11929, decoder from arXiv:2111.06377.
CONFIGS = {
    "mae_vit_base_patch16": MAEConfig(embed_dim=768, depth=12, num_heads=12),
    "mae_vit_large_patch16": MAEConfig(embed_dim=1024, depth=24, num_heads=16),
    "mae_vit_huge_patch14": MAEConfig(embed_dim=1280, depth=32, num_heads=16, patch_size=14),
}

#: The model that the tool checks against unless told otherwise.
DEFAULT = "mae_vit_large_patch16"


def is_decoder_name(name: str) -> bool:
    """Whether a tensor of the published layout belongs to the decoder, not the encoder."""
    return name == "mask_token" or name.startswith("decoder_")
