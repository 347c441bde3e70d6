"""The encoder: a Vision Transformer on the patches that it is shown (arXiv:2111.06377)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mae.config import MAEConfig, hidden_width
from mae.large.patch_embed import PatchEmbed
from mae.large.pos_embed import get_2d_sincos_pos_embed
from mae.large.transformer import Block


class Encoder(nn.Module):
    """A ViT from the patches of an image to features, without what is made of them.

    In shapes, B is images, L the patches of one, K those that are shown, D the width; T is 1 with
    a class token and 0 without.

    Args:
        config: the sizes.

    Raises:
        ValueError: the blocks have relative positions, which are not computed here.
    """

    def __init__(self, config: MAEConfig) -> None:
        super().__init__()
        if config.rel_pos:
            raise ValueError("blocks with relative positions are not computed")
        self.config = config
        width = config.embed_dim
        # Everything is made on the meta device first: torch's layers initialise themselves,
        # and with memory behind them that work would be done only to be thrown away.
        if config.class_token:
            self.cls_token = empty(1, 1, width)
        self.pos_embed = empty(1, config.num_patches + config.rows_before, width, trained=False)
        self.patch_embed = PatchEmbed(
            config.image, config.patch_size, config.in_chans, width, device="meta"
        )
        self.blocks = blocks(config, config.depth, width, config.num_heads, config.mlp_ratio)
        if config.pooling != "none":
            norm = nn.LayerNorm(width, eps=config.layer_norm_eps, device="meta")
            setattr(self, config.pooling, norm)

    def move_to(self, device: torch.device | str | None) -> None:
        """Give the parameters memory on a device and initialise them, unless it is ``"meta"``."""
        target = torch.empty(0, device=device).device
        if target.type != "meta":
            self.to_empty(device=target)
            self.initialise_weights()

    def initialise_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights: where training starts, not where it ends.

        Linear layers and the patch projection are Xavier-uniform with zero biases, LayerNorms
        1 and 0, class and mask token normal with deviation 0.02, the position tables fixed
        (arXiv:2111.06377, appendix A.1).

        Args:
            generator: source of the numbers, on the parameters' device; the device's default
                generator without it.
        """
        config = self.config
        own = dict(self.named_parameters(recurse=False))
        with torch.no_grad():
            for name in ("pos_embed", "decoder_pos_embed"):
                if name in own:
                    table = own[name]
                    values = get_2d_sincos_pos_embed(
                        table.shape[-1], config.grid, cls_token=config.rows_before > 0
                    )
                    table.copy_(torch.from_numpy(values))  # (1, T + L, D)
            for name in ("cls_token", "mask_token"):
                if name in own:
                    own[name].normal_(std=0.02, generator=generator)
            for module in self.modules():
                _initialise(module, generator)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the features (B, T + L, D) of whole images (B, C, H, W), unmasked.

        The class token comes first, then the patches row by row.
        """
        return self.encode(self.patch_tokens(images))

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Return the patches of images (B, C, H, W) as tokens with positions (B, L, D)."""
        x: Tensor = self.patch_embed(images)  # (B, L, D)
        return x + self.pos_embed[:, self.config.rows_before :]

    def encode(self, x: Tensor) -> Tensor:
        """Return the features (B, T + K, D) of tokens (B, K, D), the class token's first."""
        x = self.through_blocks(x)
        if self.config.pooling == "none":
            return x
        features: Tensor = getattr(self, self.config.pooling)(x)  # (B, T + K, D)
        return features

    def through_blocks(self, x: Tensor) -> Tensor:
        """Return what the blocks make of tokens (B, K, D), before the last LayerNorm."""
        if self.config.class_token:
            cls_token = self.cls_token + self.pos_embed[:, :1]  # (1, 1, D)
            x = torch.cat([cls_token.expand(x.shape[0], -1, -1), x], dim=1)  # (B, 1 + K, D)
        for block in self.blocks:
            x = block(x)
        return x


def empty(*shape: int, trained: bool = True) -> nn.Parameter:
    """Return a parameter on the meta device."""
    return nn.Parameter(torch.empty(*shape, device="meta"), requires_grad=trained)


def blocks(
    config: MAEConfig, depth: int, width: int, heads: int, mlp_ratio: float
) -> nn.ModuleList:
    """Return transformer blocks on the meta device."""
    return nn.ModuleList(
        Block(
            width,
            heads,
            hidden_width(width, mlp_ratio),
            config.qkv_bias,
            layer_norm_eps=config.layer_norm_eps,
            device="meta",
        )
        for _ in range(depth)
    )


def _initialise(module: nn.Module, generator: torch.Generator | None) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        # A convolution by whole patches is a linear layer on flattened patches.
        fan_out, fan_in = module.weight.shape[0], module.weight[0].numel()
        bound = (6 / (fan_in + fan_out)) ** 0.5
        module.weight.uniform_(-bound, bound, generator=generator)
    elif isinstance(module, nn.LayerNorm):
        module.weight.fill_(1)
    elif isinstance(module, nn.BatchNorm1d):
        module.reset_running_stats()
        return
    else:
        return
    if module.bias is not None:
        module.bias.fill_(0)
