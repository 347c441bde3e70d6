"""The masked autoencoder (He et al., 2021, arXiv:2111.06377): encoder, decoder and loss."""

from __future__ import annotations

import logging
from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor, nn

from mae.config import CONFIGS, DEFAULT, MAEConfig, is_decoder_name
from mae.large.masking import random_masking
from mae.large.patch_embed import PatchEmbed
from mae.large.pos_embed import get_2d_sincos_pos_embed
from mae.large.transformer import Block

_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """What a checkpoint gave a model: the names loaded on each side, and those left alone."""

    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    missing: tuple[str, ...]


class MAEViTLarge(nn.Module):
    """A ViT that sees a quarter of the patches, and a small decoder that restores the rest.

    In shapes, B is images, L the patches of one, K those kept, D and E the widths of encoder
    and decoder, P the numbers in a patch (``patch_size ** 2 * in_chans``).

    Args:
        config: the sizes; ViT-Large with 16-pixel patches unless told otherwise.
        device: where the parameters live, torch's default without it. On ``"meta"`` nothing is
            allocated and nothing initialised; elsewhere :meth:`initialise_weights` is called.
    """

    def __init__(
        self, config: MAEConfig = CONFIGS[DEFAULT], device: torch.device | str | None = None
    ) -> None:
        super().__init__()
        self.config = config
        tokens, width, narrow = 1 + config.num_patches, config.embed_dim, config.decoder_embed_dim

        # Everything is made on the meta device first: torch's layers initialise themselves,
        # and with memory behind them that work would be done only to be thrown away.
        self.cls_token = _empty(1, 1, width)
        self.pos_embed = _empty(1, tokens, width, trained=False)
        self.mask_token = _empty(1, 1, narrow)
        self.decoder_pos_embed = _empty(1, tokens, narrow, trained=False)

        self.patch_embed = PatchEmbed(
            config.img_size, config.patch_size, config.in_chans, width, device="meta"
        )
        self.blocks = _blocks(config, config.depth, width, config.num_heads)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, device="meta")

        self.decoder_embed = nn.Linear(width, narrow, device="meta")
        self.decoder_blocks = _blocks(
            config, config.decoder_depth, narrow, config.decoder_num_heads
        )
        self.decoder_norm = nn.LayerNorm(narrow, eps=config.layer_norm_eps, device="meta")
        self.decoder_pred = nn.Linear(narrow, config.patch_size**2 * config.in_chans, device="meta")

        target = torch.empty(0, device=device).device
        if target.type != "meta":
            self.to_empty(device=target)
            self.initialise_weights()

    def initialise_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, encoder first: where training starts, not where it ends.

        Linear layers and the patch projection are Xavier-uniform with zero biases, LayerNorms
        1 and 0, class and mask token normal with deviation 0.02, the position tables fixed
        (arXiv:2111.06377, appendix A.1).

        Args:
            generator: source of the numbers, on the parameters' device; the device's default
                generator without it.
        """
        grid = self.config.grid_size
        tables = {name: getattr(self, name) for name in ("pos_embed", "decoder_pos_embed")}
        with torch.no_grad():
            for table in tables.values():
                values = get_2d_sincos_pos_embed(table.shape[-1], grid, cls_token=True)
                table.copy_(torch.from_numpy(values))  # (1, 1 + L, D)
            for token in (self.cls_token, self.mask_token):
                token.normal_(std=0.02, generator=generator)
            for module in self.modules():
                _initialise(module, generator)

    def patchify(self, images: Tensor) -> Tensor:
        """Return the pixels (B, L, P) of images (B, C, H, W), in a patch by row, column, channel.

        Raises:
            ValueError: the images are not square or no whole number of patches.
        """
        batch, channels, height, width = images.shape
        side = self.config.patch_size
        if height != width or height % side:
            raise ValueError(f"{height} x {width} pixels are no square of {side}-pixel patches")
        grid = height // side
        x = images.reshape(batch, channels, grid, side, grid, side)  # (B, C, h, p, w, q)
        x = x.permute(0, 2, 4, 3, 5, 1)  # (B, h, w, p, q, C)
        return x.reshape(batch, grid**2, side**2 * channels)  # (B, L, P)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Return the images (B, C, H, W) of pixels (B, L, P): the inverse of ``patchify``.

        Raises:
            ValueError: the number of patches is no square.
        """
        batch, length, _ = patches.shape
        side, channels = self.config.patch_size, self.config.in_chans
        grid = round(length**0.5)
        if grid**2 != length:
            raise ValueError(f"{length} patches are no square")
        x = patches.reshape(batch, grid, grid, side, side, channels)  # (B, h, w, p, q, C)
        x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, h, p, w, q)
        return x.reshape(batch, channels, grid * side, grid * side)  # (B, C, H, W)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the encoder's features (B, 1 + L, D) of whole images (B, C, H, W), unmasked.

        The class token comes first, then the patches row by row.
        """
        return self._encode(self._patch_tokens(images))

    def forward_encoder(
        self,
        images: Tensor,
        mask_ratio: float = 0.75,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode what a random mask leaves of images (B, C, H, W).

        ``noise`` (B, L) or ``generator`` make the mask repeatable, as in
        :func:`mae.large.masking.random_masking`.

        Returns:
            Features (B, 1 + K, D), class token first; mask (B, L), 1 where hidden; the
            positions (B, L) that restore the patches' order.
        """
        x = self._patch_tokens(images)  # (B, L, D)
        x, mask, ids_restore = random_masking(x, mask_ratio, noise, generator)  # (B, K, D)
        return self._encode(x), mask, ids_restore

    def forward_decoder(self, latent: Tensor, ids_restore: Tensor) -> Tensor:
        """Predict the pixels (B, L, P) of every patch from features (B, 1 + K, D)."""
        x = self.decoder_embed(latent)  # (B, 1 + K, E)

        # The kept tokens, then one mask token for each hidden patch, back in order.
        batch, length, width = *ids_restore.shape, x.shape[-1]
        hidden = self.mask_token.expand(batch, length + 1 - x.shape[1], -1)  # (B, L - K, E)
        patches = torch.cat([x[:, 1:], hidden], dim=1)  # (B, L, E)
        patches = torch.gather(patches, 1, ids_restore.unsqueeze(-1).expand(-1, -1, width))
        x = torch.cat([x[:, :1], patches], dim=1)  # (B, 1 + L, E)

        x = x + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        x = self.decoder_norm(x)
        pred: Tensor = self.decoder_pred(x)  # (B, 1 + L, P)
        return pred[:, 1:]  # without the class token

    def forward_loss(self, images: Tensor, pred: Tensor, mask: Tensor) -> Tensor:
        """Return the mean squared error over the hidden patches, a scalar; NaN if none is.

        With ``norm_pix_loss`` each patch of the target is normalised by its own mean and
        (unbiased) variance first, with 1e-6 added to the variance.
        """
        target = self.patchify(images)  # (B, L, P)
        if self.config.norm_pix_loss:
            mean = target.mean(dim=-1, keepdim=True)  # (B, L, 1)
            variance = target.var(dim=-1, keepdim=True)  # (B, L, 1)
            target = (target - mean) / (variance + 1e-6).sqrt()
        error = (pred - target).square().mean(dim=-1)  # (B, L)
        return (error * mask).sum() / mask.sum()

    def forward(
        self,
        images: Tensor,
        mask_ratio: float = 0.75,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss (scalar), predicted pixels (B, L, P) and mask (B, L) of images (B, C, H, W).

        ``noise`` and ``generator`` as in :meth:`forward_encoder`.
        """
        latent, mask, ids_restore = self.forward_encoder(images, mask_ratio, noise, generator)
        pred = self.forward_decoder(latent, ids_restore)
        loss = self.forward_loss(images, pred, mask)
        return loss, pred, mask

    def load_pretrained_encoder(self, path: str) -> Loaded:
        """Load published weights: the encoder's, and the decoder's if the file has them.

        Everything is compared before the first weight changes, so a refused file leaves the
        model as it was. ``torch.load`` is not safe with files of strangers, not even with
        ``weights_only`` (CVE-2025-32434): check those with ``ckpttool verify`` first.

        Args:
            path: a file that ``torch.load`` reads, with the weights under ``"model"``.

        Returns:
            The names loaded on each side, and the decoder's names that stay as they were.

        Raises:
            ValueError: nothing under ``"model"``; a tensor of the encoder is missing, a name is
                unknown or a shape differs; or this model is on the meta device.
            OSError, RuntimeError, pickle.UnpicklingError: ``torch.load`` cannot read the file.
        """
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), Mapping):
            raise ValueError(f'{path}: there is no state dict under "model"')
        weights = checkpoint["model"]
        problem = self._why_not(weights)
        if problem:
            raise ValueError(f"{path}: {problem}; nothing was loaded")

        missing = self.load_state_dict(weights, strict=False).missing_keys
        loaded = Loaded(
            tuple(name for name in weights if not is_decoder_name(name)),
            tuple(name for name in weights if is_decoder_name(name)),
            tuple(missing),
        )
        _log.info("%s: %d encoder and %d decoder tensors", path, *map(len, loaded[:2]))
        if loaded.decoder and loaded.missing:
            _log.warning("%s: only a part of the decoder, %d missing", path, len(loaded.missing))
        return loaded

    def _why_not(self, weights: Mapping[str, Any]) -> str | None:
        """Say why ``weights`` cannot be loaded, or return None."""
        if self.cls_token.is_meta:
            return "the model is on the meta device and has no memory to load into"
        own = self.state_dict()
        offenders = {
            "encoder tensors are missing": [
                name for name in own if name not in weights and not is_decoder_name(name)
            ],
            "names are unknown to the model": [name for name in weights if name not in own],
            "tensors have another shape": [
                name
                for name in weights
                if name in own and getattr(weights[name], "shape", None) != own[name].shape
            ],
        }
        for what, names in offenders.items():
            if names:
                return f"{len(names)} {what}: {', '.join(map(repr, names[:4]))}"
        return None

    def _patch_tokens(self, images: Tensor) -> Tensor:
        x: Tensor = self.patch_embed(images)  # (B, L, D)
        return x + self.pos_embed[:, 1:]

    def _encode(self, x: Tensor) -> Tensor:
        cls_token = self.cls_token + self.pos_embed[:, :1]  # (1, 1, D)
        x = torch.cat([cls_token.expand(x.shape[0], -1, -1), x], dim=1)  # (B, 1 + K, D)
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.norm(x)  # (B, 1 + K, D)
        return features


def mae_vit_large_patch16(
    device: torch.device | str | None = None, **overrides: Any
) -> MAEViTLarge:
    """Build the masked autoencoder ViT-Large with 16-pixel patches.

    Args:
        device: as in :class:`MAEViTLarge`.
        overrides: fields of :class:`mae.config.MAEConfig` that differ (``norm_pix_loss=True``).
    """
    return MAEViTLarge(CONFIGS["mae_vit_large_patch16"]._replace(**overrides), device=device)


def _empty(*shape: int, trained: bool = True) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape, device="meta"), requires_grad=trained)


def _blocks(config: MAEConfig, depth: int, width: int, heads: int) -> nn.ModuleList:
    return nn.ModuleList(
        Block(width, heads, config.mlp_ratio, layer_norm_eps=config.layer_norm_eps, device="meta")
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
    else:
        return
    if module.bias is not None:
        module.bias.fill_(0)
