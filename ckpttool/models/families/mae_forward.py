"""The forward pass of a masked autoencoder, on two fixed images with fixed masking noise.

A classifier sees the same images whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.models.family import Computed, ForwardPass

if TYPE_CHECKING:
    import torch

    from ckpttool.models.families.mae_controls import Tensors
    from ckpttool.models.family import Shape
    from mae.config import MAEConfig
    from mae.large import MAEViTLarge
    from mae.large.classifier import ViTClassifier
    from mae.large.encoder import Encoder

#: Images of the fixed input, and the part of their patches that is hidden.
IMAGES = 2  # a model that does not look at its input gives the same for both
# Attention takes time by the square of the patches: a minute on two cores.
_MOST_PATCHES = 16_384
_MOST_PIXELS = 1 << 26
MASK_RATIO = 0.75  # that of the training, so that the decoder gets what it is used to


def _run(model: Encoder, full: bool, device: str, dtype: torch.dtype) -> Computed:
    from mae.large.classifier import ViTClassifier

    # the noise stays float32: only its order counts, and that must not depend on dtype
    images = images_of(model.config).to(device, dtype)
    if isinstance(model, ViTClassifier):
        return _classify(model, images, full)
    if TYPE_CHECKING:
        assert isinstance(model, MAEViTLarge)
    noise = noise_of(model.config).to(device)
    features, mask, ids_restore = model.forward_encoder(images, MASK_RATIO, noise)
    kept = tuple((mask[0] == 0).nonzero().flatten().tolist())
    if not full or not model.config.has_decoder:
        return Computed({"features": features}, kept)
    pred = model.forward_decoder(features, ids_restore)
    loss = float(model.forward_loss(images, pred, mask))
    return Computed({"features": features, "pred": pred}, kept, loss)


def _classify(model: ViTClassifier, images: torch.Tensor, full: bool) -> Computed:
    vectors = model.pooled(images)
    outputs = {"features": vectors[:, None]}  # one vector an image
    if full:
        outputs["logits"] = model.classify(vectors)
    return Computed(outputs, tuple(range(model.config.num_patches)), tokens=model.config.tokens)


def _shapes(config: MAEConfig, full: bool) -> dict[str, Shape]:
    patches = config.num_patches
    if config.num_classes:
        whole: dict[str, Shape] = {"features": (IMAGES, 1, config.embed_dim)}
        return {**whole, "logits": (IMAGES, config.num_classes)} if full else whole
    kept = int(patches * (1 - MASK_RATIO))  # rounded down, as the original code does
    tokens = kept + int(config.class_token)
    shapes: dict[str, Shape] = {"features": (IMAGES, tokens, config.embed_dim)}
    if full and config.has_decoder:
        shapes["pred"] = (IMAGES, patches, config.patch_size**2 * config.in_chans)
    return shapes


def _why_not(config: MAEConfig) -> str | None:
    if config.rel_pos:
        return "blocks with relative positions are not computed"
    if config.embed_dim % config.num_heads:
        return f"{config.num_heads} heads do not share a width of {config.embed_dim} evenly"
    if not config.num_patches:
        return "an image is smaller than a patch"
    height, width = config.image
    if config.num_patches > _MOST_PATCHES or config.in_chans * height * width > _MOST_PIXELS:
        return f"an image of {height} x {width} pixels in {config.in_chans} channels is too large"
    return None


def images_of(config: MAEConfig) -> torch.Tensor:
    """Return two different images (2, C, H, W) of mean about 0 and deviation about 1.

    Waves along the pixels, not random numbers: those may change between torch versions.
    """
    import torch

    height, width = config.image
    shape = (config.in_chans, height, width)
    pixels = torch.arange(config.in_chans * height * width, dtype=torch.float64)
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


MAE_FORWARD = ForwardPass(_run, _shapes, _why_not, _controls)
