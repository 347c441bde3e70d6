"""The ``config.json`` of Hugging Face's ViTMAE: its keys, and the values they must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.models.family import ConfigFile, Hint, depth_of
from mae.config import MAEConfig, hidden_width

if TYPE_CHECKING:
    from ckpttool.models.family import Shape


def _of_shapes(shapes: Mapping[str, Shape]) -> dict[str, object]:
    """Return the settings that follow from the shapes of the tensors that are there.

    The number of heads and the activation do not: heads are slices of one fused weight.
    """
    found: dict[str, object] = {}
    patches = shapes.get("patch_embed.proj.weight", ())
    if len(patches) == 4:  # a file may hold any shape under this name
        width, channels, patch, _ = patches
        found.update(hidden_size=width, num_channels=channels, patch_size=patch)
        side = _side(shapes.get("pos_embed", ()), int("cls_token" in shapes))
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


def _side(shape: Shape, before: int) -> int | None:
    """Return the patches along one side of a square image, by its position table.

    ``before`` is the number of rows that are no patch's.
    """
    if len(shape) != 3:
        return None
    side = round(max(shape[1] - before, 0) ** 0.5)
    return side if side * side + before == shape[1] else None


def _of_size(config: MAEConfig, full: bool) -> dict[str, object]:
    settings: dict[str, object] = {
        "hidden_size": config.embed_dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "intermediate_size": hidden_width(config.embed_dim, config.mlp_ratio),
        "patch_size": config.patch_size,
        "image_size": config.img_size
        if isinstance(config.img_size, int)
        else list(config.img_size),
        "num_channels": config.in_chans,
        "qkv_bias": config.qkv_bias,
        # what the original code has, whatever the size
        "hidden_act": "gelu",
    }
    if full and not config.num_classes:
        ratio = config.mlp_ratio if config.decoder_mlp_ratio is None else config.decoder_mlp_ratio
        settings.update(
            {
                "decoder_hidden_size": config.decoder_embed_dim,
                "decoder_num_hidden_layers": config.decoder_depth,
                "decoder_num_attention_heads": config.decoder_num_heads,
                "decoder_intermediate_size": hidden_width(config.decoder_embed_dim, ratio),
            }
        )
    return settings


#: What a config.json calls the fields of the sizes that no shape shows, or not for certain.
_IN_CONFIG = {
    "num_attention_heads": "num_heads",
    "decoder_num_attention_heads": "decoder_num_heads",
    "num_hidden_layers": "depth",
    "decoder_num_hidden_layers": "decoder_depth",
    "image_size": "img_size",
    "layer_norm_eps": "layer_norm_eps",
    "norm_pix_loss": "norm_pix_loss",
    "qkv_bias": "qkv_bias",
}
#: What the arguments of the published training scripts, and others made from them, call them.
_IN_ARGUMENTS = {
    "input_size": "img_size",
    "img_size": "img_size",
    "norm_pix_loss": "norm_pix_loss",
    "num_heads": "num_heads",
    "decoder_num_heads": "decoder_num_heads",
    "decoder_depth": "decoder_depth",
    "qkv_bias": "qkv_bias",
}


def hints_of(config: Mapping[str, object], arguments: Mapping[str, object]) -> dict[str, Hint]:
    """Return what a ``config.json`` and the arguments of a training run say of the sizes.

    Where both speak, the arguments are taken: they lie in the file itself.
    """
    found = {
        field: Hint(config[key], f"{key} in config.json")
        for key, field in _IN_CONFIG.items()
        if key in config
    }
    for name, value in arguments.items():
        field = _IN_ARGUMENTS.get(name.rpartition(".")[2])
        if field is not None:
            found[field] = Hint(value, f"{name} in the file", own=True)
    return found


def _written(config: MAEConfig, full: bool) -> dict[str, object]:
    rows, columns = config.grid
    # transformers' model has a class token, a last LayerNorm, square images and no head
    if rows != columns or not config.class_token or config.pooling != "norm":
        return {}
    if config.num_classes or config.rel_pos:
        return {}
    return {
        "architectures": ["ViTMAEForPreTraining" if full else "ViTMAEModel"],
        "model_type": "vit_mae",
        **_of_size(config, full),
        # not transformers' 1e-12, with which the published weights compute something else
        "layer_norm_eps": config.layer_norm_eps,
        "mask_ratio": 0.75,  # of all published models
        "norm_pix_loss": config.norm_pix_loss,
    }


VIT_MAE_CONFIG = ConfigFile(
    model_type="vit_mae",
    of_core=("vit",),
    of_shapes=_of_shapes,
    of_size=_of_size,
    unseen=("num_attention_heads", "decoder_num_attention_heads", "image_size"),
    # by the README of the published files
    normalised=r"mae_pretrain_vit_(?:base|large|huge)_full(?:\..*)?",
    written=_written,
)
