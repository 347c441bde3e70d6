"""Random masking: which patches the encoder gets to see (arXiv:2111.06377, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor


def random_masking(
    x: Tensor,
    mask_ratio: float,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Keep a random part of each sample's tokens, those with the least noise, in its order.

    ``int(L * (1 - mask_ratio))`` tokens are kept. The product is rounded down in floating
    point, which loses a token at some lengths (19 of 200 at 0.9); the published models were
    trained that way, so it stays.

    Args:
        x: tokens (B, L, D).
        mask_ratio: part to hide, ``0 <= mask_ratio < 1``.
        noise: (B, L), to decide what is kept; drawn uniformly without it.
        generator: source of the noise that is drawn, on the device of ``x``; the device's
            default generator without it.

    Returns:
        The kept tokens (B, K, D); the mask (B, L) in the dtype of ``x``, 1 where a token was
        hidden and 0 where it was kept; the positions (B, L) that restore the order: token
        ``i`` stands at place ``ids_restore[i]`` of the kept tokens followed by the hidden.

    Raises:
        ValueError: the ratio is outside its range or the noise is not (B, L).
    """
    batch, length, width = x.shape
    if not 0 <= mask_ratio < 1:
        raise ValueError(f"mask_ratio must be at least 0 and below 1, not {mask_ratio}")
    if noise is None:
        noise = torch.rand(batch, length, device=x.device, generator=generator)
    if noise.shape != (batch, length):
        raise ValueError(f"noise must be {(batch, length)}, not {tuple(noise.shape)}")
    len_keep = int(length * (1 - mask_ratio))

    # Stable, so that equal noise does not make a run depend on the machine.
    ids_shuffle = torch.argsort(noise, dim=1, stable=True)  # (B, L)
    ids_restore = torch.argsort(ids_shuffle, dim=1, stable=True)  # (B, L)

    ids_keep = ids_shuffle[:, :len_keep]  # (B, K)
    x_masked = torch.gather(x, 1, ids_keep.unsqueeze(-1).expand(-1, -1, width))  # (B, K, D)
    mask = (ids_restore >= len_keep).to(x.dtype)  # (B, L)
    return x_masked, mask, ids_restore
