"""OpenMMLab's ViT, in the names of mmpretrain and of mmseg.

mmpretrain's files have the encoder under ``backbone.`` (cut as a prefix) and the decoder under
``neck.``; mmseg has no decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.layouts.facebook import WITHOUT_DECODER
from ckpttool.models.layouts.renames import Layout, Rename, module, under

if TYPE_CHECKING:
    from ckpttool.models.layouts.renames import NameRule

_NORMS_AND_MLP = (
    *module("norm1", "ln1"),
    *module("norm2", "ln2"),
    *module("mlp.fc1", "ffn.layers.0.0"),  # mmcv's FFN puts it into a Sequential with the GELU
    *module("mlp.fc2", "ffn.layers.1"),
)

_BLOCK_MMPRETRAIN = (*_NORMS_AND_MLP, *module("attn.qkv"), *module("attn.proj"))

_BLOCK_MMSEG = (
    *_NORMS_AND_MLP,
    # torch's MultiheadAttention, whose fused weight and bias are parameters without a module
    Rename("attn.qkv.weight", "attn.attn.in_proj_weight"),
    Rename("attn.qkv.bias", "attn.attn.in_proj_bias"),
    *module("attn.proj", "attn.attn.out_proj"),
)


def _encoder(block: tuple[NameRule, ...]) -> tuple[NameRule, ...]:
    return (
        Rename("cls_token", "cls_token"),
        Rename("pos_embed", "pos_embed"),
        *module("patch_embed.proj", "patch_embed.projection"),
        *under("blocks.{n}.", "layers.{n}.", block),
        *module("norm", "ln1"),
    )


_NECK = (
    Rename("mask_token", "neck.mask_token"),
    Rename("decoder_pos_embed", "neck.decoder_pos_embed"),
    *module("decoder_embed", "neck.decoder_embed"),
    *under("decoder_blocks.{n}.", "neck.decoder_blocks.{n}.", _BLOCK_MMPRETRAIN),
    *module("decoder_norm", "neck.ln1"),
    *module("decoder_pred", "neck.decoder_pred"),
)

MMPRETRAIN = Layout("mmpretrain", (*_encoder(_BLOCK_MMPRETRAIN), *_NECK))
# As a whole model is saved; a bare encoder has no prefix, and either is read.
MMPRETRAIN_SAVED = Layout(
    "mmpretrain", (*under("", "backbone.", _encoder(_BLOCK_MMPRETRAIN)), *_NECK)
)
MMSEG = Layout("mmseg", (*_encoder(_BLOCK_MMSEG), *WITHOUT_DECODER))
