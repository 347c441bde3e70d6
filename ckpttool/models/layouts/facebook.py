"""The canonical names: those of the published MAE files, and of timm's ``*.mae`` models."""

from __future__ import annotations

from ckpttool.models.layouts.renames import Dropped, Layout, Rename, module, under

# The canonical names are their own convention: both sides of every rule are the same.
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
