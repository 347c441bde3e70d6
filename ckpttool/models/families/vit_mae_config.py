"""The ``config.json`` of Hugging Face's ViTMAE: its keys, and the values they must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.models.family import ConfigFile, depth_of

if TYPE_CHECKING:
    from ckpttool.models.family import Shape
    from mae.config import MAEConfig


def _of_shapes(shapes: Mapping[str, Shape]) -> dict[str, object]:
    """Return the settings that follow from the shapes of the tensors that are there.

    The number of heads and the activation do not: heads are slices of one fused weight.
    """
    found: dict[str, object] = {}
    patches = shapes.get("patch_embed.proj.weight", ())
    if len(patches) == 4:  # a file may hold any shape under this name
        width, channels, patch, _ = patches
        found.update(hidden_size=width, num_channels=channels, patch_size=patch)
        side = _side(shapes.get("pos_embed", ()))
        if side is not None:
            found["image_size"] = side * patch
    for stack, prefix in (("blocks", ""), ("decoder_blocks", "decoder_")):
        depth = depth_of(shapes, stack)
        if depth is not None:
            found[f"{prefix}num_hidden_layers"] = depth
        hidden = shapes.get(f"{stack}.0.mlp.fc1.weight", ())
        if len(hidden) == 2:
            found[f"{prefix}intermediate_size"] = hidden[0]
            found[f"{prefix}hidden_size"] = hidden[1]
    if "blocks.0.attn.qkv.weight" in shapes:
        found["qkv_bias"] = "blocks.0.attn.qkv.bias" in shapes
    return found


def _side(shape: Shape) -> int | None:
    """Return the patches along one side of a square image, by its position table."""
    if len(shape) != 3:
        return None
    side = round(max(shape[1] - 1, 0) ** 0.5)  # one row is the class token's
    return side if side * side + 1 == shape[1] else None


def _of_size(config: MAEConfig, full: bool) -> dict[str, object]:
    settings: dict[str, object] = {
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "intermediate_size": int(config.embed_dim * config.mlp_ratio),
        "patch_size": config.patch_size,
        "image_size": config.img_size,
        "num_channels": config.in_chans,
        # what the original code has, whatever the size
        "qkv_bias": True,
        "hidden_act": "gelu",
    }
    if full:
        settings.update(
            {
                "decoder_hidden_size": config.decoder_embed_dim,
                "decoder_num_hidden_layers": config.decoder_depth,
                "decoder_num_attention_heads": config.decoder_num_heads,
                "decoder_intermediate_size": int(config.decoder_embed_dim * config.mlp_ratio),
            }
        )
    return settings


VIT_MAE_CONFIG = ConfigFile(
    model_type="vit_mae",
    of_shapes=_of_shapes,
    of_size=_of_size,
    # by the README of the published files
    normalised=r"mae_pretrain_vit_(?:base|large|huge)_full(?:\..*)?",
)
