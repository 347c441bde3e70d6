"""From an image to a sequence of patch tokens (arXiv:2010.11929, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Cut an image into square patches and project each linearly.

    Args:
        img_size: height and width of the image, in pixels, or the side of a square one.
        patch_size: side of a patch, in pixels; the image is a multiple of it.
        in_chans: channels of the image.
        embed_dim: width of a token.
        device: where the parameters are made; ``"meta"`` allocates nothing.

    Raises:
        ValueError: the image is not a whole number of patches.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 1024,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.image = (img_size, img_size) if isinstance(img_size, int) else img_size
        for side in self.image:
            if side % patch_size:
                raise ValueError(f"{side} pixels are no whole number of {patch_size}-pixel patches")
        self.num_patches = (self.image[0] // patch_size) * (self.image[1] // patch_size)
        self.proj = nn.Conv2d(
            in_chans, embed_dim, kernel_size=patch_size, stride=patch_size, device=device
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens (B, L, D) of images (B, C, H, W), row by row.

        Raises:
            ValueError: the images are of another size.
        """
        if images.shape[-2:] != self.image:
            height, width = self.image
            size = tuple(images.shape[-2:])
            raise ValueError(f"images must be {height} x {width} pixels, not {size}")
        x: Tensor = self.proj(images)  # (B, D, h, w)
        return x.flatten(2).transpose(1, 2)  # (B, L, D)
