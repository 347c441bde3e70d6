"""The sizes of the published masked autoencoders, as one table. Imports no framework."""

from __future__ import annotations

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
    def parameters(self) -> int:
        """Number of elements of all tensors of the model, encoder and decoder."""
        width, decoder = self.embed_dim, self.decoder_embed_dim
        pixels = self.patch_size**2 * self.in_chans
        tokens = self.num_patches + 1
        return (
            tokens * width  # pos_embed
            + width  # cls_token
            + (pixels + 1) * width  # patch_embed
            + self.depth * _block_parameters(width, self.mlp_ratio)
            + 2 * width  # norm
            + tokens * decoder  # decoder_pos_embed
            + decoder  # mask_token
            + (width + 1) * decoder  # decoder_embed
            + self.decoder_depth * _block_parameters(decoder, self.mlp_ratio)
            + 2 * decoder  # decoder_norm
            + (decoder + 1) * pixels  # decoder_pred
        )


def _block_parameters(width: int, mlp_ratio: float) -> int:
    hidden = int(width * mlp_ratio)
    norms = 4 * width
    attention = 4 * width * (width + 1)
    mlp = (width + 1) * hidden + (hidden + 1) * width
    return norms + attention + mlp


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
