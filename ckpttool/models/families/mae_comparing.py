"""The sizes of masked autoencoders compared: those asked for, those of a file, the known ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings.errors import UsageError
from ckpttool.models.family import Kind
from mae.config import CONFIGS, MAEConfig, hidden_width

if TYPE_CHECKING:
    from ckpttool.models.family import Image, Reading

#: No image has more: sizes that large would cost memory and tell nothing.
MOST_TOKENS = 1 << 20


def contradicts(demanded: MAEConfig, found: Reading) -> bool:
    """Whether a file is of another model than the one that is demanded.

    Blocks that are missing at the end contradict nothing: they are missing.
    """
    fields = ["embed_dim", "patch_size", "image", "in_chans", "class_token", "qkv_bias", "hidden"]
    if found.kind is Kind.FULL:
        fields += ["decoder_embed_dim", "decoder_hidden"]
    ours, theirs = _compared(demanded), _compared(found.config)
    deeper = found.config.depth > demanded.depth
    if found.kind is Kind.FULL:
        deeper = deeper or found.config.decoder_depth > demanded.decoder_depth
    return deeper or any(ours[field] != theirs[field] for field in fields)


def fitted(demanded: MAEConfig, found: Reading) -> MAEConfig:
    """Return the demanded sizes, with the head and the last LayerNorm that the file has."""
    theirs = found.config
    config = demanded._replace(
        num_classes=theirs.num_classes,
        pooling=theirs.pooling,
        probe=theirs.probe,
        rel_pos=theirs.rel_pos,
        norm_pix_loss=theirs.norm_pix_loss,
    )
    if config.grid == theirs.grid:  # an image of this size was seen, whatever is left at its edges
        config = config._replace(img_size=theirs.img_size)
    return config


def at_image(config: MAEConfig, size: Image) -> MAEConfig:
    """Return the same model for images of another size, in pixels.

    Raises:
        UsageError: the patches do not fill such an image, or are too many.
    """
    changed = config._replace(img_size=size)
    if any(side % config.patch_size for side in changed.image):
        raise UsageError(
            f"patches of {config.patch_size} pixels do not fill such an image",
            expected=f"a multiple of {config.patch_size}",
            found=" x ".join(map(str, changed.image)),
        )
    if changed.num_patches > MOST_TOKENS:
        raise UsageError("the image is too large", found=f"{changed.num_patches:,} patches")
    return changed


def _compared(config: MAEConfig) -> dict[str, object]:
    narrow = config.decoder_embed_dim
    ratio = config.mlp_ratio if config.decoder_mlp_ratio is None else config.decoder_mlp_ratio
    return {
        **config._asdict(),
        "image": config.grid,  # what is left over at an edge shows in no shape
        "hidden": hidden_width(config.embed_dim, config.mlp_ratio),
        "decoder_hidden": hidden_width(narrow, ratio),
    }


def known_as(config: MAEConfig, with_decoder: bool) -> str | None:
    """Return the name of the known size that the shapes are of."""
    fields = ["embed_dim", "depth", "patch_size", "image", "in_chans", "class_token", "qkv_bias"]
    fields += ["hidden", "rel_pos"]
    if with_decoder:
        fields += ["decoder_embed_dim", "decoder_depth", "decoder_hidden"]
    ours = _compared(config)
    for name, known in CONFIGS.items():
        theirs = _compared(known)
        if all(ours[field] == theirs[field] for field in fields):
            return name
    return None
