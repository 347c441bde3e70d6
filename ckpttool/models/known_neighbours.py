"""The markers of models that are handed in beside masked autoencoders, as data.

Names are those of the published code and of files that it wrote. A spelling is the end of a
tensor's name; what stands before it, a prefix of any kind, is set aside. ``{n}`` is a number. A
shape in brackets must be the tensor's: a number is itself, a letter any size, the same one
wherever it stands in the brackets. Letters are read for what is said of a file: D width, C
channels, T frames, P and Q the height and width of a patch.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Marker(NamedTuple):
    """A role that tells a model from others.

    Attributes:
        spellings: the names, in any of its spellings.
        beside: whether it may stand beside the encoder, under a shorter prefix.
        needed: whether the model is not told without it.
    """

    spellings: Tuple[str, ...]
    beside: bool = False
    needed: bool = False


class Known(NamedTuple):
    """A kind of model.

    Attributes:
        name: what it is called.
        article: the name in a sentence.
        markers: its roles, independent of each other.
        least: how many of them must be there.
        takes: what of it an encoder of a masked autoencoder could take; ``""`` for nothing.
        lacks: what such a model has and this one has not; one of :data:`PARTS` is said only of a
            file in which it is not.
        reads: names without which it may be told, and that show its sizes.
        without: names that another model has, which is not meant.
        notes: sizes, and what is said of a file that has them.
    """

    name: str
    article: str
    markers: Tuple[Marker, ...]
    least: int = 2
    takes: str = ""
    lacks: Tuple[str, ...] = ()
    reads: Tuple[str, ...] = ()
    without: Tuple[str, ...] = ()
    notes: Tuple[Tuple[Tuple[Tuple[str, int], ...], str], ...] = ()


def _has(*spellings: str) -> Marker:
    return Marker(spellings)


def _needs(*spellings: str) -> Marker:
    return Marker(spellings, needed=True)


def _beside(*spellings: str) -> Marker:
    return Marker(spellings, beside=True)


def _needs_beside(*spellings: str) -> Marker:
    return Marker(spellings, beside=True, needed=True)


# Of a ViT of timm's spelling, which the published code of most has.
_PATCHES = "patch_embed.proj.weight [D C P Q]"
_TUBES = "patch_embed.proj.weight [D C T P Q]"
_BLOCKS = "blocks.{n}.norm1.weight [D]"
_VIT = (_PATCHES, _BLOCKS)

_Q_BIAS = _has(
    "blocks.{n}.attn.q_bias [D]", "blocks.{n}.attn.v_bias [D]", "layers.{n}.attn.q_bias [D]"
)
_PROJECTION_HEAD = (
    "head.last_layer.weight_g",
    "head.last_layer.weight_v",
    "head.last_layer.parametrizations.weight.original0",
)

# Parts of an MAE.
_CLASS_TOKEN, _POSITIONS = "the class token", "a position table"
_LAST_NORM, _DECODER = "the last norm", "the decoder"
#: Those that can be told by one name to be in a file.
PARTS = {
    _CLASS_TOKEN: "cls_token [1 1 D]",
    _POSITIONS: "pos_embed [1 N D]",
    _LAST_NORM: "norm.weight [D]",
    _DECODER: "decoder_embed.weight [E D]",
}
_ENCODER = (
    "the encoder, whose tensors have MAE's names (of a student and a teacher usually the latter's)"
)
_BLOCK_WEIGHTS = "the blocks and the patch embedding"
_SCALES = "layer scales have no place there"
_RELATIVE = "its relative positions have no place there"
_Q_AND_V = "only q and v have biases: those of k are zeros"
_IMAGES = "a patch embedding of images (its kernels span frames)"

_VIDEO = (
    Known(
        "Prithvi",
        "a Prithvi, an MAE of satellite images over time",
        (
            _needs("patch_embed.proj.weight [D C 1 P P]"),
            _needs("cls_token [1 1 D]"),
            _needs(
                # 14 x 14 patches of three images, and the class token
                *("pos_embed [1 589 D]", "decoder_pos_embed [1 589 D]"),
                # the bands of harmonised Landsat and Sentinel images, of any number of dates
                "patch_embed.proj.weight [D 6 1 P P]",
                "temporal_embed_enc.scale",
            ),
        ),
        least=3,
        takes="the blocks, the class token and the last norm, whose tensors have MAE's names",
        lacks=(_IMAGES, "a position table of one image"),
        reads=(_TUBES, _BLOCKS),
    ),
    Known(
        "mae_st",
        "a video MAE of mae_st, with positions in space and time apart",
        (
            _needs("patch_embed.proj.weight [D C T P Q]"),
            _has("pos_embed_spatial [1 N D]", "decoder_pos_embed_spatial [1 N D]"),
            _has("pos_embed_temporal [1 N D]", "decoder_pos_embed_temporal [1 N D]"),
            _has("blocks.{n}.attn.q.weight [D D]"),
        ),
        least=3,
        takes="the blocks, once q, k and v of each are put together",
        lacks=(_IMAGES, _POSITIONS),
        reads=(_TUBES, _BLOCKS),
        without=("blocks.{n}.attn.pool_q.weight", "blocks.{n}.attn.pool_k.weight"),
    ),
    Known(
        "VideoMAE",
        "a VideoMAE",
        (
            _needs(
                "patch_embed.proj.weight [D C T P Q]",
                "embeddings.patch_embeddings.projection.weight [D C T P Q]",
            ),
            _has(
                "blocks.{n}.attn.q_bias [D]",
                "encoder.layer.{n}.attention.attention.q_bias [D]",
                "encoder.layer.{n}.attention.attention.query.bias [D]",
            ),
            _beside("encoder_to_decoder.weight [E D]"),
            _beside("decoder.blocks.{n}.attn.q_bias [D]"),
        ),
        takes=f"the weights of the blocks ({_Q_AND_V})",
        lacks=(_IMAGES, _CLASS_TOKEN, _POSITIONS),
        reads=(
            _TUBES,
            "embeddings.patch_embeddings.projection.weight [D C T P Q]",
            _BLOCKS,
            "encoder.layer.{n}.layernorm_before.weight [D]",
        ),
        # of other models of videos in transformers the keys have a bias as well
        without=("encoder.layer.{n}.attention.attention.key.bias",),
    ),
    Known(
        "V-JEPA",
        "a ViT of videos without a class token, as V-JEPA is",
        (
            _needs("patch_embed.proj.weight [D C T P Q]"),
            _needs("blocks.{n}.attn.qkv.bias [E]"),
            _needs("blocks.{n}.mlp.fc1.weight [H D]"),
        ),
        least=3,
        takes="the blocks and the last norm, whose tensors have MAE's names",
        lacks=(_IMAGES, _CLASS_TOKEN, _DECODER),
        reads=(_TUBES, _BLOCKS),
        without=("cls_token [1 1 D]", "blocks.{n}.attn.q_bias [D]", "blocks.{n}.proj.weight [E D]"),
    ),
)

_MASKED = (
    Known(
        "MAE-pytorch",
        "an MAE of MAE-pytorch, the unofficial code",
        (
            _needs_beside("encoder_to_decoder.weight [E D]"),
            _needs("patch_embed.proj.weight [D C P Q]"),
            _has("blocks.{n}.attn.q_bias [D]"),
            _beside("decoder.blocks.{n}.attn.q_bias [D]"),
        ),
        least=3,
        takes=f"the weights of the blocks and the patch embedding ({_Q_AND_V})",
        lacks=(_CLASS_TOKEN, _POSITIONS, "a decoder of MAE's names"),
        reads=_VIT,
    ),
    Known(
        "SimMIM",
        "a SimMIM, which predicts pixels with one layer",
        (
            _needs_beside("decoder.0.weight [P D 1 1]"),
            _needs("mask_token [1 1 D]"),
            _needs("patch_embed.proj.weight [D C P Q]"),
        ),
        least=3,
        takes=_BLOCK_WEIGHTS,
        lacks=(_CLASS_TOKEN, _POSITIONS, _DECODER),
        reads=_VIT,
        without=("layers.{n}.blocks.{n}.attn.qkv.weight [E D]",),
    ),
    Known(
        "SatMAE",
        "a SatMAE of grouped channels",
        (
            _needs("patch_embed.{n}.proj.weight [D C P Q]"),
            _has("channel_embed [1 G E]"),
            _beside("decoder_channel_embed [1 G E]"),
        ),
        takes="the blocks and the last norm",
        lacks=(
            "one patch embedding (it has one for each group of channels)",
            "a position table of the encoder's whole width",
        ),
        reads=("patch_embed.{n}.proj.weight [D C P Q]", _BLOCKS),
    ),
    Known(
        "AudioMAE",
        "an AudioMAE, of spectrograms",
        (
            _needs("patch_embed.proj.weight [D 1 P Q]"),
            _has("pos_embed [1 513 D]"),  # 64 x 8 patches of 1024 x 128
            _has("head.weight [527 D]"),  # the classes of AudioSet
            _has("decoder_blocks.{n}.attn.relative_position_bias_table"),
        ),
        takes="the encoder, as a model of one channel and its own grid (64 x 8 patches)",
        lacks=(_DECODER,),
        reads=_VIT,
    ),
    Known(
        "ConvMAE",
        "a ConvMAE, with convolutions before its blocks",
        (
            _has("patch_embed1.proj.weight [D C P Q]", "patch_embed2.proj.weight [D C P Q]"),
            _has("patch_embed4.weight [D D]"),
            _has("stage1_output_decode.weight", "stage2_output_decode.weight"),
            _has("blocks3.{n}.attn.qkv.weight [E D]"),
        ),
        takes="the blocks of its third stage",
        lacks=("a patch embedding of whole patches", _CLASS_TOKEN),
        reads=("blocks3.{n}.norm1.weight [D]",),
    ),
    Known(
        "MultiMAE",
        "a MultiMAE, of several kinds of images",
        (
            _has("input_adapters.rgb.proj.weight [D C P Q]"),
            _has("encoder.{n}.attn.qkv.weight [E D]"),
            _has("global_tokens [1 N D]"),
        ),
        takes="the blocks and the adapter of RGB, which is a patch embedding",
        lacks=(_CLASS_TOKEN, _LAST_NORM, _DECODER),
        reads=("input_adapters.rgb.proj.weight [D C P Q]", "encoder.{n}.norm1.weight [D]"),
    ),
    Known(
        "DUSt3R",
        "a DUSt3R or MASt3R",
        (
            _needs("dec_blocks2.{n}.cross_attn.projq.weight [D D]"),
            _has("enc_blocks.{n}.attn.qkv.weight [E D]"),
            _has("dec_blocks.{n}.cross_attn.projq.weight [D D]"),
        ),
        takes="enc_blocks and the patch embedding",
        lacks=(_CLASS_TOKEN, _POSITIONS, "a decoder of one image"),
        reads=(_PATCHES, "enc_blocks.{n}.norm1.weight [D]"),
    ),
    Known(
        "CroCo",
        "a CroCo",
        (
            _needs("enc_blocks.{n}.attn.qkv.weight [E D]"),
            _has("dec_blocks.{n}.cross_attn.projq.weight [D D]"),
            _has("prediction_head.weight [E D]"),
        ),
        takes="enc_blocks and the patch embedding",
        lacks=(_CLASS_TOKEN, _POSITIONS, "a decoder of one image"),
        reads=(_PATCHES, "enc_blocks.{n}.norm1.weight [D]"),
    ),
    Known(
        "MAE of vit-pytorch",
        "an MAE or a SimMIM of vit-pytorch",
        (
            _needs_beside("to_pixels.weight [E D]"),
            _has("to_patch_embedding.1.weight [D E]", "to_patch_embedding.2.weight [D E]"),
            _has(
                "transformer.layers.{n}.0.to_qkv.weight [E D]",
                "transformer.layers.{n}.0.fn.to_qkv.weight [E D]",
            ),
        ),
        takes="the weights of the blocks under other names",
        lacks=("biases of q, k and v", "a convolution as patch embedding"),
        reads=("transformer.layers.{n}.0.norm.weight [D]",),
    ),
)

#: Of a model's blocks, what MAE's code does not write: of other inputs, or packed.
_BLOCKS_ALONE = (
    Known(
        "Hiera",
        "a Hiera, whose blocks grow wider",
        (
            _needs("blocks.{n}.proj.weight [E D]"),
            _has("patch_embed.proj.weight [D C 7 7]", "patch_embed.proj.weight [D C T 7 7]"),
            _has("multi_scale_fusion_heads.{n}.weight", "head.projection.weight [K D]"),
            _has("blocks.{n}.attn.qkv.weight [E D]"),
        ),
        least=3,
        without=("blocks.{n}.attn.pool_q.weight", "blocks.{n}.attn.pool_k.weight"),
    ),
    Known(
        "Point-MAE",
        "an MAE of point clouds, as Point-MAE and Point-M2AE are",
        (
            _needs(
                "encoder.first_conv.0.weight [D 3 1]", "encoders.{n}.first_conv.0.weight [D C 1]"
            ),
            _has(
                "blocks.blocks.{n}.attn.qkv.weight [E D]", "blocks.{n}.blocks.{n}.attn.qkv.weight"
            ),
            _has("pos_embed.0.weight [D 3]", "encoder_pos_embeds.{n}.0.weight [D 3]"),
        ),
        reads=("blocks.blocks.{n}.norm1.weight [D]",),
    ),
    Known(
        "MONAI",
        "a ViT of MONAI",
        (
            _needs("patch_embedding.position_embeddings [1 N D]"),
            _has(
                *("patch_embedding.patch_embeddings.weight [D C P Q R]",),
                *("patch_embedding.patch_embeddings.weight [D C P Q]",),
                "patch_embedding.patch_embeddings.1.weight [D E]",
            ),
            _has("blocks.{n}.mlp.linear1.weight [H D]"),
            _has("blocks.{n}.attn.out_proj.weight [D D]"),
        ),
        least=3,
        takes="the weights of the blocks under other names",
        lacks=("a patch embedding and a position table of MAE's names", _DECODER),
        reads=(_BLOCKS,),
    ),
    Known(
        "YOLOS",
        "a YOLOS, a detector with tokens for what it finds",
        (
            _needs("det_token [1 N D]", "embeddings.detection_tokens [1 N D]"),
            _beside("class_embed.layers.0.weight [D D]", "class_labels_classifier.layers.0.weight"),
            _beside("bbox_embed.layers.2.weight [4 D]", "bbox_predictor.layers.2.weight [4 D]"),
        ),
        takes=_BLOCK_WEIGHTS,
        lacks=("a position table of the patches alone", _DECODER),
        reads=_VIT,
    ),
    Known(
        "DeiT",
        "a distilled DeiT, or an AST of spectrograms, with a second token",
        (
            _needs("dist_token [1 1 D]", "embeddings.distillation_token [1 1 D]"),
            _has(
                *("blocks.{n}.attn.qkv.weight [E D]",),
                "encoder.layer.{n}.attention.attention.query.weight [D D]",
            ),
        ),
        takes=_BLOCK_WEIGHTS,
        lacks=("a position table without a row of the second token", _DECODER),
        reads=_VIT,
    ),
    Known(
        "torch.ao",
        "a ViT whose linear layers torch.ao packed as int8",
        (
            _needs(
                "blocks.{n}.attn.qkv._packed_params._packed_params.1 [E]",
                "layer.{n}.attention.attention.query._packed_params._packed_params.1 [E]",
            ),
            _has(
                "blocks.{n}.mlp.fc1._packed_params._packed_params.1 [H]",
                "layer.{n}.intermediate.dense._packed_params._packed_params.1 [H]",
            ),
        ),
        reads=_VIT,
    ),
    Known(
        "FSDP",
        "a model in flat parameters of FSDP, which have neither the names nor the shapes of its "
        "tensors (save it with FULL_STATE_DICT)",
        (
            _beside(
                "_fsdp_wrapped_module._flat_param [N]",
                *("_fsdp_wrapped_module.flat_param [N]", "_flat_param [N]", "flat_param [N]"),
            ),
            _has(
                *(
                    f"{stack}.{{n}}._fsdp_wrapped_module.{leaf} [N]"
                    for stack in ("blocks", "layers", "layer", "resblocks")
                    for leaf in ("_flat_param", "flat_param")
                ),
            ),
        ),
    ),
    Known(
        "PEFT",
        "low-rank adapters (lora_A and lora_B of PEFT), which are added to the weights of a model",
        (_needs("lora_A.weight [R D]"), _needs("lora_B.weight [E R]")),
        without=("base_layer.weight",),
    ),
)

_SELF_DISTILLED = (
    Known(
        "DINOv3",
        "a DINOv3",
        (
            _beside("storage_tokens [1 N D]", "embeddings.register_tokens [1 N D]"),
            _beside("rope_embed.periods", "embeddings.patch_embeddings.weight [D C P Q]"),
            _has("blocks.{n}.attn.qkv.bias_mask [E]", "layer.{n}.mlp.up_proj.weight [H D]"),
            _has("blocks.{n}.ls1.gamma [D]", "layer.{n}.layer_scale1.lambda1 [D]"),
        ),
        least=3,
        takes=f"{_BLOCK_WEIGHTS}; {_SCALES}",
        lacks=(_POSITIONS, _DECODER),
        reads=_VIT,
    ),
    Known(
        "DINOv2",
        "a DINOv2",
        (
            _needs(
                "blocks.{n}.ls1.gamma [D]",
                "blocks.{n}.{n}.ls1.gamma [D]",
                "encoder.layer.{n}.layer_scale1.lambda1 [D]",
            ),
            _has(
                "register_tokens [1 N D]", "reg_token [1 N D]", "embeddings.register_tokens [1 N D]"
            ),
            # MAE's has three dimensions
            _has("mask_token [1 D]", "embeddings.mask_token [1 D]"),
            _has("blocks.{n}.{n}.norm1.weight [D]"),
            _has("pos_embed [1 1370 D]", "pos_embed [1 1369 D]"),  # 37 x 37 patches of 14 pixels
            _beside("dino_head.last_layer.weight_g", "dino_head.last_layer.weight_v"),
        ),
        takes=f"{_BLOCK_WEIGHTS}; {_SCALES}",
        lacks=(_DECODER,),
        reads=(
            _PATCHES,
            _BLOCKS,
            "blocks.{n}.{n}.norm1.weight [D]",
            "embeddings.patch_embeddings.projection.weight [D C P Q]",
            "encoder.layer.{n}.norm1.weight [D]",
        ),
    ),
    Known(
        "iBOT",
        "an iBOT",
        (
            _has("masked_embed [1 D]"),
            _beside("head.last_layer2.weight_g", "head.last_layer2.weight_v"),
            _beside(*_PROJECTION_HEAD),
            _has("blocks.{n}.attn.qkv.weight [E D]"),
        ),
        least=3,
        takes=_ENCODER,
        lacks=(_DECODER,),
        reads=_VIT,
    ),
    Known(
        "DINO",
        "a DINO",
        (
            _needs_beside(*_PROJECTION_HEAD),
            _beside("head.mlp.0.weight [H D]", "head.mlp.2.weight [H D]"),
            _needs("blocks.{n}.attn.qkv.weight [E D]"),
        ),
        least=3,
        takes=_ENCODER,
        lacks=(_DECODER,),
        reads=_VIT,
    ),
)

_VITS = (
    Known(
        "SAM",
        "a Segment Anything model, or its image encoder",
        (
            _needs("blocks.{n}.attn.rel_pos_h [N H]", "layers.{n}.attn.rel_pos_h [N H]"),
            _has("neck.0.weight [E D 1 1]", "neck.conv1.weight [E D 1 1]"),
            _beside("mask_decoder.iou_token.weight [1 E]"),
            _beside("prompt_encoder.no_mask_embed.weight [1 E]"),
        ),
        takes=f"{_BLOCK_WEIGHTS}; {_RELATIVE}",
        lacks=(_CLASS_TOKEN, _LAST_NORM, _DECODER),
        reads=_VIT,
    ),
    Known(
        "ViTDet",
        "a detector of ViTDet, or its backbone",
        (
            _needs(
                "blocks.{n}.attn.rel_pos_h [N H]", "encoder.layer.{n}.attention.rel_pos_h [N H]"
            ),
            _has("patch_embed.proj.weight [D C P Q]", "embeddings.projection.weight [D C P Q]"),
            _beside("simfp_2.0.weight", "simfp_3.0.weight", "simfp_4.0.weight"),
            _beside("roi_heads.box_predictor.cls_score.weight", "roi_heads.box_head.0.fc1.weight"),
            _beside(
                "proposal_generator.rpn_head.conv.weight", "roi_heads.mask_head.predictor.weight"
            ),
        ),
        takes=f"{_BLOCK_WEIGHTS}; {_RELATIVE}",
        lacks=(_CLASS_TOKEN, _LAST_NORM, _DECODER),
        reads=(
            *_VIT,
            "embeddings.projection.weight [D C P Q]",
            "encoder.layer.{n}.norm1.weight [D]",
        ),
        without=("blocks.{n}.attn.pool_q.weight", "blocks.{n}.attn.pool_k.weight"),
    ),
    Known(
        "ViTPose",
        "a ViTPose",
        (
            _needs_beside(
                "keypoint_head.final_layer.weight",
                "keypoint_head.deconv_layers.0.weight",
                "head.conv.weight [J D K K]",
                "head.deconv1.weight [D J K K]",
            ),
            _has("last_norm.weight [D]", "layernorm.weight [D]"),
            _has(
                "blocks.{n}.attn.qkv.weight [E D]",
                "encoder.layer.{n}.attention.attention.query.weight [D D]",
            ),
        ),
        least=3,
        takes="the blocks, the position table and the last norm",
        lacks=(_CLASS_TOKEN, _DECODER),
        reads=(
            *_VIT,
            "embeddings.patch_embeddings.projection.weight [D C P Q]",
            "encoder.layer.{n}.layernorm_before.weight [D]",
        ),
        # MAE's huge model has patches of 14 pixels
        notes=(((("D", 1280), ("P", 16)), "as MAE's kernels of 14 become when padded"),),
    ),
    Known(
        "EVA-02",
        "an EVA-02",
        (
            _needs("blocks.{n}.mlp.w1.weight [H D]", "blocks.{n}.mlp.fc1_g.weight [H D]"),
            _has("blocks.{n}.mlp.w3.weight [D H]", "blocks.{n}.mlp.fc1_x.weight [H D]"),
            _has("blocks.{n}.attn.q_bias [D]"),
            _has("blocks.{n}.attn.q_proj.weight [D D]"),
            _has("blocks.{n}.mlp.ffn_ln.weight [H]"),
            _has("blocks.{n}.attn.rope.freqs_cos", "rope.freqs_cos"),
        ),
        least=3,
        takes="the patch embedding and the norms",
        lacks=("an mlp of two layers (its own has a gate)", _DECODER),
        reads=_VIT,
    ),
    Known(
        "Swin",
        "a Swin transformer",
        (
            _needs(
                "layers.{n}.blocks.{n}.attn.relative_position_bias_table",
                "layers.{n}.blocks.{n}.attn.logit_scale",
                "stages.{n}.blocks.{n}.attn.w_msa.relative_position_bias_table",
                "layers.{n}.blocks.{n}.attention.self.relative_position_bias_table",
                "layers.{n}.blocks.{n}.attention.self.logit_scale",
                "layers.{n}.blocks.{n}.attention.relative_position_bias"
                ".relative_position_bias_table",
                "features.{n}.{n}.attn.relative_position_bias_table",
                "features.{n}.{n}.attn.logit_scale",
            ),
            _has(
                "layers.{n}.downsample.reduction.weight [E D]",
                "stages.{n}.downsample.reduction.weight [E D]",
                "features.{n}.reduction.weight [E D]",
            ),
        ),
    ),
    Known(
        "BEiT",
        "a BEiT, or a model of its code such as EVA or CAE",
        (
            _Q_BIAS,
            _has(
                "blocks.{n}.gamma_1 [D]",
                "layers.{n}.gamma_1 [D]",
                "encoder.layer.{n}.lambda_1 [D]",
                "layers.{n}.lambda_1 [D]",
            ),
            _has(
                "blocks.{n}.attn.relative_position_bias_table [N H]",
                "rel_pos_bias.relative_position_bias_table [N H]",
                "layers.{n}.attn.relative_position_bias_table [N H]",
                "encoder.layer.{n}.attention.attention.relative_position_bias"
                ".relative_position_bias_table [N H]",
                "layers.{n}.relative_position_bias.relative_position_bias_table [N H]",
            ),
            _has("lm_head.weight [V D]", "fc_norm.weight [D]"),
        ),
        takes=f"the weights of the blocks and the patch embedding ({_Q_AND_V}); {_SCALES}",
        lacks=(_POSITIONS, _DECODER),
        reads=(
            *_VIT,
            "embeddings.patch_embeddings.projection.weight [D C P Q]",
            "encoder.layer.{n}.layernorm_before.weight [D]",
            "layers.{n}.layernorm_before.weight [D]",
        ),
        # mmsegmentation gives MAE's blocks the relative positions and scales of its BEiT
        without=("blocks.{n}.attn.qkv.bias [E]", "layers.{n}.attn.qkv.bias [E]"),
    ),
    Known(
        "CLIP",
        "a CLIP, or its image encoder",
        (
            _has("class_embedding [D]", "embeddings.class_embedding [D]"),
            _has(
                "transformer.resblocks.{n}.attn.in_proj_weight [E D]",
                "encoder.layers.{n}.self_attn.q_proj.weight [D D]",
            ),
            _has("conv1.weight [D C P P]", "embeddings.patch_embedding.weight [D C P P]"),
        ),
        least=3,
        takes="the blocks of its image encoder, under other names; the norm before them has no "
        "place there",
        lacks=(_DECODER,),
        reads=(
            "conv1.weight [D C P Q]",
            "embeddings.patch_embedding.weight [D C P Q]",
            "transformer.resblocks.{n}.ln_1.weight [D]",
            "encoder.layers.{n}.layer_norm1.weight [D]",
        ),
    ),
    Known(
        "SigLIP",
        "a SigLIP, or its image encoder",
        (
            _has("head.probe [1 1 D]"),
            _has("encoder.layers.{n}.self_attn.q_proj.weight [D D]"),
            _has("embeddings.patch_embedding.weight [D C P P]"),
        ),
        least=3,
        takes="the blocks of its image encoder, under other names",
        lacks=(_CLASS_TOKEN, _DECODER),
        reads=(
            "embeddings.patch_embedding.weight [D C P Q]",
            "encoder.layers.{n}.layer_norm1.weight [D]",
        ),
    ),
    Known(
        "vit-pytorch",
        "a ViT of vit-pytorch",
        (
            _has("to_patch_embedding.1.weight [D E]", "to_patch_embedding.2.weight [D E]"),
            _has(
                "transformer.layers.{n}.0.to_qkv.weight [E D]",
                "transformer.layers.{n}.0.fn.to_qkv.weight [E D]",
            ),
            _has("pos_embedding [1 N D]"),
        ),
        takes="the weights of the blocks under other names",
        lacks=("biases of q, k and v", "a convolution as patch embedding", _DECODER),
        reads=(
            "transformer.layers.{n}.0.norm.weight [D]",
            "transformer.layers.{n}.0.fn.norm.weight [D]",
        ),
    ),
    Known(
        "torchvision",
        "a ViT of torchvision",
        (
            _has("conv_proj.weight [D C P P]"),
            _has("encoder.layers.encoder_layer_{n}.self_attention.in_proj_weight [E D]"),
            _has("encoder.pos_embedding [1 N D]"),
        ),
        takes="the encoder, under other names",
        lacks=(_DECODER,),
        reads=("conv_proj.weight [D C P Q]", "encoder.layers.encoder_layer_{n}.ln_1.weight [D]"),
    ),
    Known(
        "DiT",
        "a DiT, a transformer of diffusion",
        (
            _has("x_embedder.proj.weight [D C P P]"),
            _has("t_embedder.mlp.0.weight [D E]"),
            _has("blocks.{n}.adaLN_modulation.1.weight [E D]"),
        ),
    ),
)

#: Models that are no ViT, of which only the name is said.
_OTHERS = (
    Known(
        "ResNet",
        "a ResNet",
        (
            _has(
                "conv1.weight [64 C 7 7]",
                "stem.conv1.weight [64 C 7 7]",
                "embedder.embedder.convolution.weight [64 C 7 7]",
            ),
            _has(
                "layer1.{n}.conv1.weight",
                "res2.{n}.conv1.weight",
                "encoder.stages.{n}.layers.{n}.layer.{n}.convolution.weight",
            ),
            _has(
                "layer1.{n}.bn1.running_mean",
                "res2.{n}.conv1.norm.running_mean",
                "encoder.stages.{n}.layers.{n}.layer.{n}.normalization.running_mean",
            ),
            _has("layer4.{n}.conv2.weight [D C 3 3]", "res5.{n}.conv2.weight [D C 3 3]"),
        ),
        least=3,
    ),
    Known(
        "ConvNeXt",
        "a ConvNeXt",
        (
            _has(
                "downsample_layers.0.0.weight [D C P P]",
                "stem.0.weight [D C P P]",
                "embeddings.patch_embeddings.weight [D C P P]",
                "features.0.0.weight [D C P P]",
            ),
            _has(
                "stages.{n}.{n}.dwconv.weight [D 1 7 7]",
                "stages.{n}.blocks.{n}.conv_dw.weight [D 1 7 7]",
                "encoder.stages.{n}.layers.{n}.dwconv.weight [D 1 7 7]",
                "features.{n}.{n}.block.0.weight [D 1 7 7]",
            ),
            _has(
                "stages.{n}.{n}.pwconv1.weight [E D]",
                "stages.{n}.blocks.{n}.mlp.fc1.weight",
                "encoder.stages.{n}.layers.{n}.pwconv1.weight [E D]",
                "features.{n}.{n}.layer_scale [D 1 1]",
            ),
        ),
        least=3,
    ),
    Known(
        "BERT",
        "a BERT",
        (
            _has("embeddings.word_embeddings.weight [V D]"),
            _has("embeddings.token_type_embeddings.weight [N D]"),
            _has("encoder.layer.{n}.attention.self.query.weight [D D]"),
        ),
        least=3,
    ),
    Known(
        "GPT-2",
        "a GPT-2",
        (
            _has("wte.weight [V D]"),
            _has("wpe.weight [N D]"),
            _has("h.{n}.attn.c_attn.weight [D E]"),
        ),
        least=3,
    ),
    Known(
        "Llama",
        "a language model of Llama's kind",
        (
            _has("embed_tokens.weight [V D]"),
            _has("layers.{n}.self_attn.q_proj.weight [E D]"),
            _has("layers.{n}.mlp.gate_proj.weight [H D]"),
        ),
        least=3,
    ),
    Known(
        "UNet",
        "a UNet of a diffusion model",
        (
            _has("input_blocks.0.0.weight [D C 3 3]", "conv_in.weight [D C 3 3]"),
            _has("time_embed.0.weight [E D]", "time_embedding.linear_1.weight [E D]"),
            _has(
                "middle_block.0.in_layers.2.weight [D D 3 3]",
                "mid_block.resnets.0.conv1.weight [D D 3 3]",
            ),
        ),
        least=3,
    ),
)

#: In this order: of two that fit, the first is more than the second.
KNOWN: Tuple[Known, ...] = (*_VIDEO, *_MASKED, *_BLOCKS_ALONE, *_SELF_DISTILLED, *_VITS, *_OTHERS)
