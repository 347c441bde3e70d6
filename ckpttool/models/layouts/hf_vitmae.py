"""Hugging Face's ViTMAE, in the three spellings that its files and models have.

The hub's files were written by transformers 4. In transformers 5.23 ``state_dict()`` has new names;
``save_pretrained`` turns the encoder's back into the hub's, and the decoder's blocks into a third
form. A bare ``ViTMAEModel`` has no ``vit.`` prefix and no decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.layouts.facebook import WITHOUT_DECODER
from ckpttool.models.layouts.renames import Layout, Rename, joined, module, under

if TYPE_CHECKING:
    from ckpttool.models.layouts.renames import NameRule

# Query, key and value are three Linear layers in transformers, and one in the MAE code.
_ATTENTION = "attention.attention"

#: A block as on disk: version 4's modules.
_BLOCK: tuple[NameRule, ...] = (
    *module("norm1", "layernorm_before"),
    *joined("attn.qkv", (f"{_ATTENTION}.query", f"{_ATTENTION}.key", f"{_ATTENTION}.value")),
    *module("attn.proj", "attention.output.dense"),
    *module("norm2", "layernorm_after"),
    *module("mlp.fc1", "intermediate.dense"),
    *module("mlp.fc2", "output.dense"),
)

#: A block of a model of version 5.
_BLOCK_V5: tuple[NameRule, ...] = (
    *module("norm1", "layernorm_before"),
    *joined("attn.qkv", ("attention.q_proj", "attention.k_proj", "attention.v_proj")),
    *module("attn.proj", "attention.o_proj"),
    *module("norm2", "layernorm_after"),
    *module("mlp.fc1"),
    *module("mlp.fc2"),
)


def _encoder(blocks: tuple[NameRule, ...]) -> tuple[NameRule, ...]:
    return (
        Rename("cls_token", "embeddings.cls_token"),
        Rename("pos_embed", "embeddings.position_embeddings"),
        *module("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        *blocks,
        *module("norm", "layernorm"),
    )


def _decoder(blocks: tuple[NameRule, ...]) -> tuple[NameRule, ...]:
    return (
        Rename("mask_token", "decoder.mask_token"),
        Rename("decoder_pos_embed", "decoder.decoder_pos_embed"),
        *module("decoder_embed", "decoder.decoder_embed"),
        *blocks,
        *module("decoder_norm", "decoder.decoder_norm"),
        *module("decoder_pred", "decoder.decoder_pred"),
    )


_ENCODER = _encoder(under("blocks.{n}.", "encoder.layer.{n}.", _BLOCK))
_ENCODER_V5 = _encoder(under("blocks.{n}.", "layers.{n}.", _BLOCK_V5))

_DECODER = _decoder(under("decoder_blocks.{n}.", "decoder.decoder_layers.{n}.", _BLOCK))
_DECODER_V5 = _decoder(under("decoder_blocks.{n}.", "decoder.decoder_layers.{n}.", _BLOCK_V5))
_DECODER_V5_SAVED = _decoder(
    under("decoder_blocks.{n}.", "decoder.decoder_encoder.layer.{n}.", _BLOCK)
)

#: The head of ViTForImageClassification, whose encoder is spelled as ViTMAE's.
_HEAD = module("head", "classifier")

HF_VITMAE = Layout("hf-vitmae", (*under("", "vit.", _ENCODER), *_DECODER, *_HEAD))
HF_VITMAE_V5 = Layout("hf-vitmae-v5", (*under("", "vit.", _ENCODER_V5), *_DECODER_V5, *_HEAD))
HF_VITMAE_V5_SAVED = Layout(
    "hf-vitmae-v5-saved", (*under("", "vit.", _ENCODER), *_DECODER_V5_SAVED, *_HEAD)
)
HF_VITMAE_MODEL = Layout("hf-vitmae-model", (*_ENCODER, *WITHOUT_DECODER))
HF_VITMAE_MODEL_V5 = Layout("hf-vitmae-model-v5", (*_ENCODER_V5, *WITHOUT_DECODER))
