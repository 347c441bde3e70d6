"""The masked autoencoder (He et al., 2021, arXiv:2111.06377): encoder, decoder and loss."""

from __future__ import annotations

import logging
from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor, nn

from mae.config import CONFIGS, DEFAULT, MAEConfig, is_decoder_name
from mae.large.encoder import Encoder, blocks, empty
from mae.large.masking import random_masking

_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """What a checkpoint gave a model: the names loaded on each side, and those left alone."""

    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    missing: tuple[str, ...]


class MAEViTLarge(Encoder):
    """A ViT that sees a quarter of the patches, and a small decoder that restores the rest.

    In shapes, B is images, L the patches of one, K those kept, D and E the widths of encoder
    and decoder, P the numbers in a patch (``patch_size ** 2 * in_chans``); T is 1 with a class
    token and 0 without.

    Args:
        config: the sizes; ViT-Large with 16-pixel patches unless told otherwise.
        device: where the parameters live, torch's default without it. On ``"meta"`` nothing is
            allocated and nothing initialised; elsewhere :meth:`initialise_weights` is called.
    """

    def __init__(
        self, config: MAEConfig = CONFIGS[DEFAULT], device: torch.device | str | None = None
    ) -> None:
        super().__init__(config)
        if not config.decoder_depth:  # the encoder alone, for example of a detector
            self.move_to(device)
            return
        width, narrow = config.embed_dim, config.decoder_embed_dim
        self.mask_token = empty(1, 1, narrow)
        self.decoder_pos_embed = empty(
            1, config.num_patches + config.rows_before, narrow, trained=False
        )

        self.decoder_embed = nn.Linear(width, narrow, device="meta")
        ratio = config.mlp_ratio if config.decoder_mlp_ratio is None else config.decoder_mlp_ratio
        self.decoder_blocks = blocks(
            config, config.decoder_depth, narrow, config.decoder_num_heads, ratio
        )
        self.decoder_norm = nn.LayerNorm(narrow, eps=config.layer_norm_eps, device="meta")
        self.decoder_pred = nn.Linear(narrow, config.patch_size**2 * config.in_chans, device="meta")
        self.move_to(device)

    def patchify(self, images: Tensor) -> Tensor:
        """Return the pixels (B, L, P) of images (B, C, H, W), in a patch by row, column, channel.

        Raises:
            ValueError: the images are no whole number of patches.
        """
        batch, channels, height, width = images.shape
        side = self.config.patch_size
        if height % side or width % side:
            raise ValueError(f"{height} x {width} pixels are no whole {side}-pixel patches")
        rows, columns = height // side, width // side
        x = images.reshape(batch, channels, rows, side, columns, side)  # (B, C, h, p, w, q)
        x = x.permute(0, 2, 4, 3, 5, 1)  # (B, h, w, p, q, C)
        return x.reshape(batch, rows * columns, side**2 * channels)  # (B, L, P)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Return the images (B, C, H, W) of pixels (B, L, P): the inverse of ``patchify``.

        Raises:
            ValueError: the number of patches is not that of the model's images.
        """
        batch, length, _ = patches.shape
        side, channels = self.config.patch_size, self.config.in_chans
        rows, columns = self.config.grid
        if rows * columns != length:
            raise ValueError(f"{length} patches are not the {rows} x {columns} of an image")
        x = patches.reshape(batch, rows, columns, side, side, channels)  # (B, h, w, p, q, C)
        x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, h, p, w, q)
        return x.reshape(batch, channels, rows * side, columns * side)  # (B, C, H, W)

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
            Features (B, T + K, D), class token first; mask (B, L), 1 where hidden; the
            positions (B, L) that restore the patches' order.
        """
        x = self.patch_tokens(images)  # (B, L, D)
        x, mask, ids_restore = random_masking(x, mask_ratio, noise, generator)  # (B, K, D)
        return self.encode(x), mask, ids_restore

    def forward_decoder(self, latent: Tensor, ids_restore: Tensor) -> Tensor:
        """Predict the pixels (B, L, P) of every patch from features (B, T + K, D)."""
        x = self.decoder_embed(latent)  # (B, T + K, E)
        before = int(self.config.class_token)  # T

        # The kept tokens, then one mask token for each hidden patch, back in order.
        batch, length, width = *ids_restore.shape, x.shape[-1]
        hidden = self.mask_token.expand(batch, length + before - x.shape[1], -1)  # (B, L - K, E)
        patches = torch.cat([x[:, before:], hidden], dim=1)  # (B, L, E)
        patches = torch.gather(patches, 1, ids_restore.unsqueeze(-1).expand(-1, -1, width))
        x = torch.cat([x[:, :before], patches], dim=1)  # (B, T + L, E)

        x = x + self.decoder_pos_embed[:, self.config.rows_before - before :]
        for block in self.decoder_blocks:
            x = block(x)
        x = self.decoder_norm(x)
        pred: Tensor = self.decoder_pred(x)  # (B, T + L, P)
        return pred[:, before:]  # without the class token

    @staticmethod
    def patch_scale(patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation (B, L, 1) by which pixels (B, L, P) are normalised by patch.

        The variance is the unbiased one, with 1e-6 added to it.
        """
        mean = patches.mean(dim=-1, keepdim=True)  # (B, L, 1)
        variance = patches.var(dim=-1, keepdim=True)  # (B, L, 1)
        return mean, (variance + 1e-6).sqrt()

    def forward_loss(self, images: Tensor, pred: Tensor, mask: Tensor) -> Tensor:
        """Return the mean squared error over the hidden patches, a scalar; NaN if none is.

        With ``norm_pix_loss`` each patch of the target is normalised first, as
        :meth:`patch_scale` says.
        """
        target = self.patchify(images)  # (B, L, P)
        if self.config.norm_pix_loss:
            mean, deviation = self.patch_scale(target)
            target = (target - mean) / deviation
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
        if self.pos_embed.is_meta:
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


def mae_vit_large_patch16(
    device: torch.device | str | None = None, **overrides: Any
) -> MAEViTLarge:
    """Build the masked autoencoder ViT-Large with 16-pixel patches.

    Args:
        device: as in :class:`MAEViTLarge`.
        overrides: fields of :class:`mae.config.MAEConfig` that differ (``norm_pix_loss=True``).
    """
    return MAEViTLarge(CONFIGS["mae_vit_large_patch16"]._replace(**overrides), device=device)
