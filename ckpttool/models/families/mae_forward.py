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
_MOST_PIXELS = 1 << 24
# Attention takes time by the square of the tokens, and a small file may have many: so much work is
# done whatever the file, two seconds on two cores, and so much for each of its parameters.
_LEAST_WORK = 1e11
_WORK_A_PARAMETER = 8e4
_WORK_A_SCORE = 200  # the softmax, measured against multiplications
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
    if not config.num_classes and not int(config.num_patches * (1 - MASK_RATIO)):
        return f"of {config.num_patches} patches none is shown"
    height, width = config.image
    most_work = max(_LEAST_WORK, _WORK_A_PARAMETER * config.parameters)
    if config.in_chans * height * width > _MOST_PIXELS or _work(config) > most_work:
        return f"an image of {height} x {width} pixels in {config.in_chans} channels is too large"
    return None


def _work(config: MAEConfig) -> float:
    """Return about how many floating point operations the blocks take."""
    shown = config.tokens if config.num_classes else config.tokens * (1 - MASK_RATIO)
    work = _work_of_blocks(config.depth, shown, config.embed_dim, config.num_heads)
    if config.has_decoder:
        narrow, heads = config.decoder_embed_dim, config.decoder_num_heads
        work += _work_of_blocks(config.decoder_depth, config.tokens, narrow, heads)
    return work


def _work_of_blocks(depth: int, tokens: float, width: int, heads: int) -> float:
    attention = tokens * (4 * width + _WORK_A_SCORE * heads)
    return IMAGES * depth * tokens * (24 * width**2 + attention)


def images_of(config: MAEConfig) -> torch.Tensor:
    """Return two different images (2, C, H, W) of mean about 0 and deviation about 1.

    Waves along the pixels, not random numbers: those may change between torch versions.
    """
    import torch

    height, width = config.image
    shape = (config.in_chans, height, width)
    numbers = torch.arange(config.in_chans * height * width, dtype=torch.float64)
    images = torch.empty(IMAGES, numbers.numel(), dtype=torch.float32)
    # in place: of large images each further copy counts; a sine's deviation is 0.7
    images[0] = (numbers * 0.37).sin_().mul_(2**0.5)
    images[1] = numbers.mul_(0.011).add_(1.0).cos_().mul_(2**0.5)
    return images.reshape(IMAGES, *shape)


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
