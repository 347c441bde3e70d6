"""The forward pass of a masked autoencoder, on two fixed images with fixed masking noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.models.family import Computed, ForwardPass

if TYPE_CHECKING:
    import torch

    from ckpttool.models.families.mae_controls import Tensors
    from ckpttool.models.family import Shape
    from mae.config import MAEConfig
    from mae.large import MAEViTLarge

#: Images of the fixed input, and the part of their patches that is hidden.
IMAGES = 2  # a model that does not look at its input gives the same for both
MASK_RATIO = 0.75  # that of the training, so that the decoder gets what it is used to


def _run(model: MAEViTLarge, full: bool, device: str, dtype: torch.dtype) -> Computed:
    config = model.config
    # the noise stays float32: only its order counts, and that must not depend on dtype
    images, noise = images_of(config).to(device, dtype), noise_of(config).to(device)
    features, mask, ids_restore = model.forward_encoder(images, MASK_RATIO, noise)
    kept = tuple((mask[0] == 0).nonzero().flatten().tolist())
    if not full:
        return Computed({"features": features}, kept)
    pred = model.forward_decoder(features, ids_restore)
    loss = float(model.forward_loss(images, pred, mask))
    return Computed({"features": features, "pred": pred}, kept, loss)


def _shapes(config: MAEConfig, full: bool) -> dict[str, Shape]:
    patches = config.num_patches
    kept = int(patches * (1 - MASK_RATIO))  # rounded down, as the original code does
    shapes: dict[str, Shape] = {"features": (IMAGES, 1 + kept, config.embed_dim)}
    if full:
        shapes["pred"] = (IMAGES, patches, config.patch_size**2 * config.in_chans)
    return shapes


def images_of(config: MAEConfig) -> torch.Tensor:
    """Return two different images (2, C, H, W) of mean about 0 and deviation about 1.

    Waves along the pixels, not random numbers: those may change between torch versions.
    """
    import torch

    shape = (config.in_chans, config.img_size, config.img_size)
    pixels = torch.arange(config.in_chans * config.img_size**2, dtype=torch.float64)
    waves = torch.stack([(pixels * 0.37).sin(), (pixels * 0.011 + 1.0).cos()])
    return (waves * 2**0.5).reshape(IMAGES, *shape).to(torch.float32)  # a sine's deviation is 0.7


def noise_of(config: MAEConfig) -> torch.Tensor:
    """Return the masking noise (2, L), the same for both images."""
    import torch

    patches = torch.arange(config.num_patches, dtype=torch.float64)
    # fractional parts of multiples of the golden ratio are all different and spread evenly
    return (patches * 0.6180339887498949 % 1.0).to(torch.float32).expand(IMAGES, -1)


def _controls(config: MAEConfig, tensors: Tensors) -> Iterator[tuple[str, MAEConfig, Tensors]]:
    # late: every command loads the families, and only a lock file needs the controls
    from ckpttool.models.families.mae_controls import controls

    return controls(config, tensors)


MAE_FORWARD = ForwardPass(_run, _shapes, _controls)
