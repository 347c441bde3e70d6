"""The canonical names: those of the published MAE files.

timm's ``vit_{base,large}_patch16_224.mae`` and ``vit_huge_patch14_224.mae`` have the same
encoder names and no decoder, so they need no table of their own.
"""

from __future__ import annotations

from ckpttool.models.layouts.renames import Dropped, Layout, Rename, module, under

#: Both sides of one transformer block; the encoder's and the decoder's are alike.
BLOCK = (
    *module("norm1"),
    *module("attn.qkv"),
    *module("attn.proj"),
    *module("norm2"),
    *module("mlp.fc1"),
    *module("mlp.fc2"),
)

ENCODER = (
    Rename("cls_token", "cls_token"),
    Rename("pos_embed", "pos_embed"),
    *module("patch_embed.proj"),
    *under("blocks.{n}.", "blocks.{n}.", BLOCK),
    *module("norm"),
)

DECODER = (
    Rename("mask_token", "mask_token"),
    Rename("decoder_pos_embed", "decoder_pos_embed"),
    *module("decoder_embed"),
    *under("decoder_blocks.{n}.", "decoder_blocks.{n}.", BLOCK),
    *module("decoder_norm"),
    *module("decoder_pred"),
)

#: For conventions that hold the encoder alone: the decoder, known and left out.
WITHOUT_DECODER = tuple(Dropped(rule.canonical) for rule in DECODER)

FACEBOOK = Layout("facebook", (*ENCODER, *DECODER))
